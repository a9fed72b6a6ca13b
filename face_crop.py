"""Step 3: raw frames -> 128x128 face crops on disk.

The face is detected on the first frame, and its rectangle is kept for the whole video (paper section 3.1). The paper's
protocol takes the largest face of the first frame that shows one. The upstream protocol takes the rectangle that the
authors' code takes (docs/method.md, section 5). Where this is a different one, its crops go to a second folder.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from Utils.datasets.table import Dataset
from Utils.errors import InputError
from Utils.faces.images import ReadableImages, read_image, write_jpeg
from Utils.faces.landmarks import detect_faces
from Utils.faces.rectangles import Rectangle, area, clip_rectangle, cut_face
from Utils.faces.upstream_cut import UpstreamCut, upstream_cut
from Utils.records import Video
from Utils.work.cache import atomic_folder, files_fingerprint, key_of, read_json, require_writable, write_json
from Utils.work.parallel import Workers, run_units

RECORD = ".face_crop.json"  # in every crop folder made by this program: key, rectangle, frame of the face
CLUTTER = {".DS_Store", "Thumbs.db", "desktop.ini"}  # files that systems leave in folders that users have emptied
CROP_VERSION = 1  # part of the crops' key: raise it when the crops change
UPSTREAM_SUFFIX = "_upstream"  # ends the name of the folder for crops that only the upstream protocol uses


@dataclass(frozen=True)
class CropRoots:
    """Where the crops of a dataset are.

    Attributes
    ----------
    crops : Path
        The crops of the paper's protocol, and of the upstream protocol where its rectangle is the same. Each video has
        a folder here, with the same name as its raw folder.
    read_only : Path or None
        A folder that cannot be written. Crops in it that this program did not make are used.
    by_names : bool
        Whether the folders are named by subject and video, wherever the raw frames are.
    """

    crops: Path
    read_only: Path | None = None
    by_names: bool = False

    @property
    def upstream(self) -> Path:
        """The folder for crops that only the upstream protocol uses."""
        return self.crops.with_name(self.crops.name + UPSTREAM_SUFFIX)


@dataclass(frozen=True)
class CropJob:
    """The work on one video."""

    video: Video  # with raw frames
    folder: Path  # where the crops go
    crop_names: tuple[str, ...]  # file names of the crops, in the order of the frames; see `names`
    fresh: bool = False  # make the crops again, even if they are finished
    upstream: UpstreamCut | None = None  # None under the paper's protocol
    upstream_folder: Path | None = None  # where the crops go if the rectangle of `upstream` is not the paper's
    replace_damaged: bool = False  # replace images that cannot be read by the frame before, instead of an error

    def names(self, record: dict) -> tuple[str, ...]:
        """The file names of the crops that a record is about. How many frames a video file has is only known then."""
        return self.crop_names if "n_frames" not in record else tuple(map(_numbered, range(record["n_frames"])))


@dataclass(frozen=True)
class Crops:
    """A video whose frames are the crops (None if no frame shows a face), and a remark ("" if there is none)."""

    video: Video | None
    remark: str = ""


def crop_videos(
    videos: Sequence[Video],
    dataset: Dataset,
    roots: CropRoots,
    workers: Workers | int,
    fresh: bool = False,
    protocol: str = "paper",
    all_videos: Sequence[Video] = (),
) -> tuple[list[Video], list[str]]:
    """Crop every video that is not cropped yet.

    Parameters
    ----------
    videos : sequence of Video
        With raw frames.
    dataset : Dataset
    roots : CropRoots
    workers : Workers or int
    fresh : bool
        Make crops of this program again, even if they are finished.
    protocol : {"paper", "upstream"}
    all_videos : sequence of Video
        Needed for the upstream protocol: every video of the dataset, annotated or not, in natural order. If the first
        frame of a video shows no face, the rectangle of the video before it is used. By default `videos`.

    Returns
    -------
    videos : list of Video
        Their frames are the crops. Videos without any face are left out.
    remarks : list of str
        Videos that were left out, faces that are not yet in the first frame, rectangles that are not the paper's,
        crops that this program did not make, and images that were replaced (`Dataset.index_is_number`).

    Raises
    ------
    InputError
        A frame cannot be read or has another size than the one before it, no video shows a face, or a folder has some
        crops that this program did not make, but not all.
    """
    cuts: Sequence[UpstreamCut | None] = [None] * len(videos)
    if protocol == "upstream":
        cuts = upstream_cuts(videos, all_videos or videos, workers, dataset.index_is_number)
    jobs = []
    for video, cut in zip(videos, cuts, strict=True):
        names = tuple(dataset.crop_file(f.name) for f in video.frames)
        folder = _folder_to_use(video, roots)
        second = crop_folder(video, roots.upstream, roots.by_names) if cut else None
        jobs.append(CropJob(video, folder, names, fresh, cut, second, dataset.index_is_number))
    results = run_units(crop_video, jobs, workers, "face crop", "video")
    kept = [r.video for r in results if r.video is not None]
    remarks = [r.remark for r in results if r.remark]
    if not kept and dataset.index_is_number:
        raise InputError(f"none of the {len(videos)} videos can be used; the first: {remarks[0]}")
    if not kept:
        raise InputError(
            f"no face in any of the {len(videos)} videos, first {videos[0].frames[0].parent}; are the frames upright?"
        )
    return kept, remarks


def choose_crop_roots(dataset: Dataset, data_root: Path, cache_dir: Path) -> CropRoots:
    """Where crops go: beside the raw frames, or into the cache if the data root cannot be written.

    In the second case one line is printed. Raises InputError if the cache cannot be written either. The crops of a
    dataset without `Dataset.crop_dir` always go into the cache.
    """
    if not dataset.crop_dir:
        return CropRoots(cache_dir / "crops" / dataset.name, by_names=True)
    beside, cached = data_root / dataset.crop_dir, cache_dir / "crops" / dataset.crop_dir
    by_names = bool(dataset.frames_folder)
    try:
        require_writable(beside, "--data_root")
    except InputError:
        print(f"  {data_root} cannot be written: crops go to {cached}")
        require_writable(cached, "--cache_dir")
        return CropRoots(cached, beside, by_names)
    return CropRoots(beside, by_names=by_names)


def crop_folder(video: Video, crop_root: Path, by_names: bool = False) -> Path:
    """The folder of a video's crops: `<crop_root>/<subject>/<video>`, or `<crop_root>/<video>`.

    The second is used where the raw folder is not in a folder of the subject's name, unless `by_names`. `video` has raw
    frames.
    """
    if by_names:
        return crop_root / video.subject / video.name
    raw = video.frames[0].parent
    if raw.parent.name == video.subject:
        return crop_root / raw.parent.name / raw.name
    return crop_root / raw.name


def _folder_to_use(video: Video, roots: CropRoots) -> Path:
    """The video's folder in `roots.crops`; if the folder that cannot be written has crops of the user, those."""
    if roots.read_only is not None:
        finished = crop_folder(video, roots.read_only, roots.by_names)
        if _is_foreign(finished):
            return finished
    return crop_folder(video, roots.crops, roots.by_names)


def crop_video(job: CropJob) -> Crops:
    """Crop one video, or use its finished crops. This is the unit of work of this step.

    Raises InputError as `crop_videos` does, but not if the video shows no face.
    """
    if remark := _remark_on_users_crops(job):
        return Crops(_with_crops(job, {}), remark)
    find = partial(first_face, replace_damaged=job.replace_damaged)
    if job.upstream is None or job.upstream.rectangle is None:
        crops = _crop(job, find)
        extra = job.upstream.remark if job.upstream else ""
        return replace(crops, remark="; ".join(filter(None, (crops.remark, extra))))
    if _paper_rectangle(job) == job.upstream.rectangle:
        return _crop(job, find)
    second = replace(job, folder=job.upstream_folder)
    if remark := _remark_on_users_crops(second):
        return Crops(_with_crops(second, {}), remark)
    crops = _crop(second, lambda _: (0, job.upstream.rectangle), rectangle=job.upstream.rectangle)
    if job.replace_damaged:
        return replace(crops, remark="; ".join(filter(None, (crops.remark, job.upstream.remark))))
    return replace(crops, remark=job.upstream.remark)


def _crop(job: CropJob, find, **key_parts) -> Crops:
    """Use the finished crops in `job.folder`, or make them.

    `find(video)` gives the number of the frame that shows the face, and its rectangle. `key_parts` go into the key.
    """
    key = _crop_key(job, **key_parts)
    record = None if job.fresh else _finished(job, key)
    if record is None:
        record = _write_crops(job, key, *find(job.video))
    damaged = record.get("damaged", [])
    if record["rectangle"] is None and len(damaged) == len(set(job.video.frames)):
        return Crops(None, f"{job.video.label}: none of its {len(damaged)} images can be read, video left out")
    if record["rectangle"] is None:
        return Crops(None, f"{job.video.label}: no face in any of its {len(job.video.frames)} frames, video left out")
    found_at = record["found_in_frame"]
    remark = f"{job.video.label}: first face in frame {found_at}, not in frame 0" if found_at else ""
    if damaged:
        bad = f"{job.video.label}: {len(damaged)} image(s) cannot be read, the first is {damaged[0]}"
        used = "the nearest readable frame before is used, at the beginning the first one"
        remark = "; ".join(filter(None, [remark, bad, used]))
    if problems := record.get("problems"):
        remark = "; ".join(filter(None, [remark, *problems]))
    return Crops(_with_crops(job, record), remark)


def _crop_key(job: CropJob, **key_parts) -> str:
    """The key of the crops of a job. `key_parts` go into it."""
    return key_of(version=CROP_VERSION, frames=files_fingerprint(job.video.raw_files), **key_parts)


def _numbered(number: int) -> str:
    """The file name of a crop from a video file."""
    return f"{number:06d}.jpg"


def _with_crops(job: CropJob, record: dict) -> Video:
    """The video of a job, with its crops as frames. `record` is that of the crops; {} if they are the user's."""
    return replace(job.video, frames=tuple(job.folder / name for name in job.names(record)), source=None)


def _paper_rectangle(job: CropJob) -> Rectangle | None:
    """The paper's rectangle: from the record of finished crops, or else detected. None if no frame shows a face."""
    record = _finished(job, _crop_key(job))
    rectangle = record["rectangle"] if record else first_face(job.video, job.replace_damaged)[1]
    return tuple(rectangle) if rectangle else None


def _finished(job: CropJob, key: str) -> dict | None:
    """The record of finished crops with this key. None if there are none, or if some of them are missing."""
    record = read_json(job.folder / RECORD)
    if not isinstance(record, dict) or record.get("key") != key:
        return None
    is_whole = record["rectangle"] is None or set(os.listdir(job.folder)).issuperset(job.names(record))
    return record if is_whole else None


def _is_foreign(folder: Path) -> bool:
    """Whether a folder holds files that this program did not make."""
    there = set(os.listdir(folder)) if folder.is_dir() else set()
    return RECORD not in there and bool(there - CLUTTER)


def _remark_on_users_crops(job: CropJob) -> str:
    """A remark if the crops in `job.folder` were not made by this program, else "".

    Such crops have no `RECORD`. They belong to the user: they are used as they are, and never overwritten. Raises
    InputError if some of them are missing.
    """
    if not _is_foreign(job.folder):
        return ""
    there = set(os.listdir(job.folder))
    missing = [n for n in job.crop_names if n not in there]
    if missing:
        raise InputError(
            f"{job.folder}: not made by this program, {len(missing)} of {len(job.crop_names)} crops missing, first "
            f"{missing[0]}; remove the folder, then the crops are made again"
        )
    return f"{job.folder}: crops not made by this program are used as they are"


def _write_crops(job: CropJob, key: str, found_at: int | None, rectangle: Rectangle | None) -> dict:
    """Cut and write all crops of one video. Returns the record, which is also written."""
    record = {"key": key, "rectangle": rectangle, "found_in_frame": found_at}
    with atomic_folder(job.folder, lambda: not job.fresh and _finished(job, key) is not None) as scratch:
        images = raw_images(job.video, job.replace_damaged)
        if rectangle is not None:
            crops, source = cut_faces(job.video, rectangle, images), job.video.source
            if source is not None:
                record["n_frames"] = 0
                for i, crop in enumerate(crops):
                    write_jpeg(scratch / _numbered(i), crop)
                    record["n_frames"] = i + 1
                record["problems"] = list(source.problems)
            else:
                for crop, name in zip(crops, job.crop_names, strict=not job.replace_damaged):
                    write_jpeg(scratch / name, crop)
        if isinstance(images, ReadableImages):
            if rectangle is None:
                deque(images, maxlen=0)  # only read: is any of them an image?
            record["damaged"] = [path.name for path in images.damaged]
            if len(images.damaged) == len(set(images.paths)):
                record |= {"rectangle": None, "found_in_frame": None}
        write_json(scratch / RECORD, record)
    return record


def raw_images(video: Video, replace_damaged: bool = False) -> Iterable[np.ndarray]:
    """The raw frames of a video, which are read one by one: (height, width, 3) uint8 BGR.

    With `replace_damaged`, files that are no images are replaced (`ReadableImages`). Raises InputError if a frame
    cannot be read.
    """
    if video.source is not None:
        return iter(video.source)
    return ReadableImages(video.frames) if replace_damaged else (read_image(path) for path in video.frames)


def first_face(video: Video, replace_damaged: bool = False) -> tuple[int | None, Rectangle | None]:
    """The number of the first frame that shows a face, and the largest face in it, clipped to the image.

    Both are None if no frame shows a face. Raises InputError if a frame cannot be read; see `raw_images`.
    """
    before = None
    for i, image in enumerate(raw_images(video, replace_damaged)):
        if image is before:
            continue  # a frame that stands in for a missing one
        before = image
        faces = [clip_rectangle(face, image.shape) for face in detect_faces(image)]
        faces = [f for f in faces if f is not None]
        if faces:
            return i, max(faces, key=area)
    return None, None


@dataclass(frozen=True)
class FirstFrame:
    """The faces in a video's first frame, in the detector's order and not clipped, and the image's (height, width)."""

    faces: tuple[Rectangle, ...]
    shape: tuple[int, int]


def first_frame(video: Video, replace_damaged: bool = False) -> FirstFrame:
    """Detect the faces in a video's first frame. A unit of work. Raises InputError if the frame cannot be read.

    With `replace_damaged` it is the first one that can be read. If there is none, there is no face.
    """
    image = next(iter(raw_images(video, replace_damaged)), None)
    if image is None:
        return FirstFrame((), (0, 0))
    return FirstFrame(tuple(detect_faces(image)), image.shape[:2])


def upstream_cuts(
    videos: Sequence[Video], all_videos: Sequence[Video], workers: Workers | int = 1, replace_damaged: bool = False
) -> list[UpstreamCut]:
    """How the authors' code cuts each of `videos` (docs/method.md, section 5).

    That code takes the last of the faces that the detector finds in the first frame. If there is none, it keeps the
    rectangle of the video before, in natural order of subjects and videos (the order of `all_videos`).
    `replace_damaged`: see `first_frame`.
    """
    detect = partial(first_frame, replace_damaged=replace_damaged)
    frames = run_units(detect, videos, workers, "first frames", "video")
    found = {_video_key(video): frame for video, frame in zip(videos, frames, strict=True)}
    positions = {_video_key(video): i for i, video in enumerate(all_videos)}
    cuts = []
    for video in videos:
        faces, source = found[_video_key(video)].faces, video
        for before in reversed(all_videos[: positions[_video_key(video)]]):
            if faces:
                break
            source = before
            faces = _remembered(before, found, detect).faces
        cuts.append(upstream_cut(video, faces, source, found[_video_key(video)].shape))
    return cuts


def _remembered(video: Video, found: dict[tuple[str, str], FirstFrame], detect) -> FirstFrame:
    """`detect(video)`, its first frame, which is kept in `found` so that it is detected only once."""
    if _video_key(video) not in found:
        found[_video_key(video)] = detect(video)
    return found[_video_key(video)]


def _video_key(video: Video) -> tuple[str, str]:
    """What identifies a video in its dataset."""
    return video.subject, video.name


def cut_faces(video: Video, rectangle: Rectangle, images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Cut the same rectangle from every frame of a video: (128, 128, 3) uint8 BGR. `images` are its `raw_images`.

    Raises InputError if a frame cannot be read, or has another size than the frame before it.
    """
    shape = None
    for i, image in enumerate(images):
        if shape is not None and image.shape != shape:
            size, before = f"{image.shape[1]}x{image.shape[0]}", f"{shape[1]}x{shape[0]}"
            raise InputError(
                f"{video.frames[i]}: is {size} pixels, the frames before it {before}; all frames of a video must have "
                "the same size"
            )
        shape = image.shape
        yield cut_face(image, rectangle)
