"""Step 3: raw frames -> 128x128 face crops on disk.

The face is detected on the first frame, and its rectangle is kept for the whole video (paper section 3.1). The paper's
protocol takes the largest face of the first frame that shows one. The upstream protocol takes the rectangle that the
authors' code takes (docs/method.md, section 5); where that is another one, its crops lie in a folder of their own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from Utils.datasets.table import Dataset
from Utils.errors import InputError
from Utils.faces.images import read_image, write_jpeg
from Utils.faces.landmarks import detect_faces
from Utils.faces.rectangles import Rectangle, area, clip_rectangle, cut_face
from Utils.records import Video
from Utils.work.cache import atomic_folder, files_fingerprint, key_of, read_json, require_writable, write_json
from Utils.work.parallel import Workers, run_units

RECORD = ".face_crop.json"  # in a crop folder made by this program: its key, the rectangle, where it was found
CLUTTER = {".DS_Store", "Thumbs.db", "desktop.ini"}  # what systems leave in a folder that its user has emptied
CROP_VERSION = 1  # raise it when the crops change
UPSTREAM_SUFFIX = "_upstream"  # of the folder of the crops that only the upstream protocol uses


@dataclass(frozen=True)
class CropRoots:
    """Where a dataset's crops lie.

    Attributes
    ----------
    crops : Path
        Of the paper's protocol, and of the upstream protocol where its rectangle is the same. Each video gets a folder
        with the names of its raw one.
    read_only : Path or None
        Crops that cannot be written: those that this program did not make are used from there.
    """

    crops: Path
    read_only: Path | None = None

    @property
    def upstream(self) -> Path:
        """Crops that only the upstream protocol uses."""
        return self.crops.with_name(self.crops.name + UPSTREAM_SUFFIX)


@dataclass(frozen=True)
class UpstreamCut:
    """The rectangle that the authors' code cuts a video with, and a remark where it is not the paper's.

    None where that code stops, or would cut nothing: the video is then cut as the paper says.
    """

    rectangle: Rectangle | None
    remark: str


@dataclass(frozen=True)
class CropJob:
    """One video's work: raw frames to `folder`. `fresh` redoes what is finished.

    With `upstream`, to `upstream_folder` if its rectangle is not the paper's.
    """

    video: Video
    folder: Path
    crop_names: tuple[str, ...]
    fresh: bool = False
    upstream: UpstreamCut | None = None
    upstream_folder: Path | None = None


@dataclass(frozen=True)
class Crops:
    """A video with its crops as frames (None where no frame has a face) and what there is to report about it."""

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
        Redo the crops that this program made.
    protocol : {"paper", "upstream"}
    all_videos : sequence of Video
        Upstream protocol: every video of the dataset, annotated or not, in natural order. Where a video's first frame
        shows no face, the rectangle of the video before it is used. By default `videos`.

    Returns
    -------
    videos : list of Video
        With crops as frames, those without any face left out.
    remarks : list of str
        The videos left out, late faces, rectangles that are not the paper's, and crops that this program did not make.

    Raises
    ------
    InputError
        An unreadable frame, a frame of another size than the first one's, or no face in any video.
    """
    cuts: Sequence[UpstreamCut | None] = [None] * len(videos)
    if protocol == "upstream":
        cuts = upstream_cuts(videos, all_videos or videos, workers)
    jobs = []
    for video, cut in zip(videos, cuts, strict=True):
        names = tuple(dataset.crop_file(f.name) for f in video.frames)
        folder = _folder_to_use(video, roots)
        jobs.append(CropJob(video, folder, names, fresh, cut, crop_folder(video, roots.upstream) if cut else None))
    results = run_units(crop_video, jobs, workers, "face crop", "video")
    kept = [r.video for r in results if r.video is not None]
    remarks = [r.remark for r in results if r.remark]
    if not kept:
        raise InputError(
            f"no face in any of the {len(videos)} videos, first {videos[0].frames[0].parent}; are the frames upright?"
        )
    return kept, remarks


def choose_crop_roots(dataset: Dataset, data_root: Path, cache_dir: Path) -> CropRoots:
    """Crops lie beside the raw frames, or in the cache where the data root cannot be written (one line says so)."""
    beside, cached = data_root / dataset.crop_dir, cache_dir / "crops" / dataset.crop_dir
    try:
        require_writable(beside, "--data_root")
    except InputError:
        print(f"  {data_root} cannot be written: crops go to {cached}")
        require_writable(cached, "--cache_dir")
        return CropRoots(cached, read_only=beside)
    return CropRoots(beside)


def crop_folder(video: Video, crop_root: Path) -> Path:
    """Where a video's crops lie: below `crop_root` as its raw folder lies below the subject's or the dataset's."""
    raw = video.frames[0].parent
    return crop_root / raw.parent.name / raw.name if raw.parent.name == video.subject else crop_root / raw.name


def _folder_to_use(video: Video, roots: CropRoots) -> Path:
    """The video's folder below `roots.crops`, or the user's own crops below the folder that cannot be written."""
    if roots.read_only is not None:
        finished = crop_folder(video, roots.read_only)
        if finished.is_dir() and not (finished / RECORD).is_file():
            return finished
    return crop_folder(video, roots.crops)


def crop_video(job: CropJob) -> Crops:
    """Crop one video, or take the crops that are there. The unit of work of this step."""
    if remark := _foreign_crops(job):
        return Crops(_with_crops(job), remark)
    if job.upstream is None or job.upstream.rectangle is None:
        crops = _crop(job, first_face)
        extra = job.upstream.remark if job.upstream else ""
        return replace(crops, remark="; ".join(filter(None, (crops.remark, extra))))
    if _paper_rectangle(job) == job.upstream.rectangle:
        return _crop(job, first_face)
    apart = replace(job, folder=job.upstream_folder)
    if remark := _foreign_crops(apart):
        return Crops(_with_crops(apart), remark)
    crops = _crop(apart, lambda _: (0, job.upstream.rectangle), rectangle=job.upstream.rectangle)
    return replace(crops, remark=job.upstream.remark)


def _crop(job: CropJob, find, **key_parts) -> Crops:
    """Take the finished crops of `job.folder`, or make them; `find(video)` gives frame number and rectangle."""
    key = key_of(version=CROP_VERSION, frames=files_fingerprint(job.video.frames), **key_parts)
    record = None if job.fresh else _finished(job, key)
    if record is None:
        record = _write_crops(job, key, *find(job.video))
    if record["rectangle"] is None:
        return Crops(None, f"{job.video.label}: no face in any of its {len(job.video.frames)} frames, video left out")
    found_at = record["found_in_frame"]
    remark = f"{job.video.label}: first face in frame {found_at}, not in frame 0" if found_at else ""
    return Crops(_with_crops(job), remark)


def _with_crops(job: CropJob) -> Video:
    return replace(job.video, frames=tuple(job.folder / name for name in job.crop_names))


def _paper_rectangle(job: CropJob) -> Rectangle | None:
    """What the paper's protocol cuts with: from the record of finished crops, else detected."""
    record = _finished(job, key_of(version=CROP_VERSION, frames=files_fingerprint(job.video.frames)))
    rectangle = record["rectangle"] if record else first_face(job.video)[1]
    return tuple(rectangle) if rectangle else None


def _finished(job: CropJob, key: str) -> dict | None:
    """The record of crops made with this key; None if there are none, or some were taken away."""
    record = read_json(job.folder / RECORD)
    if not isinstance(record, dict) or record.get("key") != key:
        return None
    is_whole = record["rectangle"] is None or set(os.listdir(job.folder)).issuperset(job.crop_names)
    return record if is_whole else None


def _foreign_crops(job: CropJob) -> str:
    """A remark if `job.folder` holds crops without our record: they are the user's, and are used as they are.

    Raises
    ------
    InputError
        They are not complete. They are never overwritten.
    """
    there = set(os.listdir(job.folder)) if job.folder.is_dir() else set()
    if RECORD in there or not there - CLUTTER:
        return ""
    missing = [n for n in job.crop_names if n not in there]
    if missing:
        raise InputError(
            f"{job.folder}: not made by this program, {len(missing)} of {len(job.crop_names)} crops missing, first "
            f"{missing[0]}; take the folder away to have it made anew"
        )
    return f"{job.folder}: crops not made by this program are used as they are"


def _write_crops(job: CropJob, key: str, found_at: int | None, rectangle: Rectangle | None) -> dict:
    """Cut and write all crops of one video; returns the record."""
    record = {"key": key, "rectangle": rectangle, "found_in_frame": found_at}
    with atomic_folder(job.folder, lambda: not job.fresh and _finished(job, key) is not None) as scratch:
        if rectangle is not None:
            for crop, name in zip(cut_faces(job.video, rectangle), job.crop_names, strict=True):
                write_jpeg(scratch / name, crop)
        write_json(scratch / RECORD, record)
    return record


def first_face(video: Video) -> tuple[int | None, Rectangle | None]:
    """The first frame with a face and the largest face's rectangle in it, clipped to the image; None twice if none."""
    for i, path in enumerate(video.frames):
        image = read_image(path)
        faces = [clip_rectangle(face, image.shape) for face in detect_faces(image)]
        faces = [f for f in faces if f is not None]
        if faces:
            return i, max(faces, key=area)
    return None, None


@dataclass(frozen=True)
class FirstFrame:
    """The faces of a video's first frame, as the detector gives them, and the image's (height, width)."""

    faces: tuple[Rectangle, ...]
    shape: tuple[int, int]


def first_frame(video: Video) -> FirstFrame:
    """Detect the faces of a video's first frame. A unit of work."""
    image = read_image(video.frames[0])
    return FirstFrame(tuple(detect_faces(image)), image.shape[:2])


def upstream_cuts(
    videos: Sequence[Video], all_videos: Sequence[Video], workers: Workers | int = 1
) -> list[UpstreamCut]:
    """The rectangle that the authors' code cuts each video with (docs/method.md, section 5).

    It takes the last of the detector's faces in the first frame. Where there is none, the rectangle of the video before
    stays, in natural order of subjects and videos.
    """
    frames = run_units(first_frame, videos, workers, "first frames", "video")
    found = {_place(video): frame for video, frame in zip(videos, frames, strict=True)}
    positions = {_place(video): i for i, video in enumerate(all_videos)}
    cuts = []
    for video in videos:
        faces, source = found[_place(video)].faces, video
        for before in reversed(all_videos[: positions[_place(video)]]):
            if faces:
                break
            source = before
            faces = _remembered(before, found).faces
        cuts.append(_upstream_cut(video, faces, source, found[_place(video)].shape))
    return cuts


def _remembered(video: Video, found: dict[tuple[str, str], FirstFrame]) -> FirstFrame:
    """`first_frame(video)`, detected once and kept in `found`."""
    if _place(video) not in found:
        found[_place(video)] = first_frame(video)
    return found[_place(video)]


def _place(video: Video) -> tuple[str, str]:
    return video.subject, video.name


def _upstream_cut(video: Video, faces: Sequence[Rectangle], source: Video, shape: tuple[int, int]) -> UpstreamCut:
    """From the faces that count for a video, those of `source`'s first frame, to its rectangle and remark."""
    if not faces:
        why = "no face in frame 0, and in no video before it"
        return UpstreamCut(None, f"{video.label}: {why}; the authors' code stops there, cut as the paper says")
    left, top, *_ = faces[-1]
    clipped = clip_rectangle(faces[-1], shape)
    if left < 0 or top < 0 or clipped is None:
        why = "the face of frame 0 reaches beyond the image"
        return UpstreamCut(None, f"{video.label}: {why}; the authors' code stops there, cut as the paper says")
    if source is not video:
        return UpstreamCut(clipped, f"{video.label}: no face in frame 0, cut with the rectangle of {source.label}")
    if len(faces) > 1:
        return UpstreamCut(clipped, f"{video.label}: {len(faces)} faces in frame 0, cut with the detector's last one")
    return UpstreamCut(clipped, "")


def cut_faces(video: Video, rectangle: Rectangle) -> Iterator[np.ndarray]:
    """Cut the same rectangle from every frame. Raises InputError for a frame of another size than the first one's."""
    shape = None
    for path in video.frames:
        image = read_image(path)
        if shape is not None and image.shape != shape:
            raise InputError(
                f"{path}: is {image.shape[1]}x{image.shape[0]} pixels, the frames before it {shape[1]}x{shape[0]}; "
                "a video's frames must have one size"
            )
        shape = image.shape
        yield cut_face(image, rectangle)
