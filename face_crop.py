"""Step 1: raw frames -> 128x128 face crops on disk.

The face is detected on the first frame, and its rectangle is kept for the whole video (paper section 3.1).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from load_images import CROP_SIZE
from Utils.datasets.table import Dataset
from Utils.errors import InputError
from Utils.faces.images import read_image, write_jpeg
from Utils.faces.landmarks import detect_faces
from Utils.records import Video
from Utils.work.cache import atomic_folder, files_fingerprint, key_of, read_json, require_writable, write_json
from Utils.work.parallel import run_units

RECORD = ".face_crop.json"  # in a crop folder made by this program: its key, the rectangle, where it was found
CLUTTER = {".DS_Store", "Thumbs.db", "desktop.ini"}  # what systems leave in a folder that its user has emptied
CROP_VERSION = 1  # raise it when the crops change

Rectangle = tuple[int, int, int, int]


@dataclass(frozen=True)
class CropJob:
    """One video's work: raw frames to `folder`. `fresh` redoes what is finished."""

    video: Video
    folder: Path
    crop_names: tuple[str, ...]
    fresh: bool = False


@dataclass(frozen=True)
class Crops:
    """A video with its crops as frames (None where no frame has a face) and what there is to say about it."""

    video: Video | None
    remark: str = ""


def crop_videos(
    videos: list[Video],
    dataset: Dataset,
    crop_root: Path,
    workers: int,
    fresh: bool = False,
    read_only_root: Path | None = None,
) -> tuple[list[Video], list[str]]:
    """Crop every video that is not cropped yet.

    Parameters
    ----------
    videos : list of Video
        With raw frames.
    dataset : Dataset
    crop_root : Path
        Folder of the dataset's crops; each video gets a folder with the names of its raw one.
    workers : int
    fresh : bool
        Redo the crops that this program made.
    read_only_root : Path, optional
        Folder of crops that cannot be written: those that this program did not make are used from there.

    Returns
    -------
    videos : list of Video
        With crops as frames, those without any face left out.
    remarks : list of str
        The videos left out, late faces, and crops that this program did not make.

    Raises
    ------
    InputError
        An unreadable frame, a frame of another size than the first one's, or no face in any video.
    """
    jobs = []
    for video in videos:
        folder = crop_folder(video, crop_root)
        if read_only_root is not None:
            finished = crop_folder(video, read_only_root)
            folder = finished if finished.is_dir() and not (finished / RECORD).is_file() else folder
        jobs.append(CropJob(video, folder, tuple(dataset.crop_file(f.name) for f in video.frames), fresh))
    results = run_units(crop_video, jobs, workers, "face crop", "video")
    kept = [r.video for r in results if r.video is not None]
    remarks = [r.remark for r in results if r.remark]
    if not kept:
        raise InputError(
            f"no face in any of the {len(videos)} videos, first {videos[0].frames[0].parent}; are the frames upright?"
        )
    return kept, remarks


def choose_crop_roots(dataset: Dataset, data_root: Path, cache_dir: Path) -> tuple[Path, Path | None]:
    """`crop_root` and `read_only_root` of `crop_videos`.

    Crops lie beside the raw frames, or in the cache where the data root cannot be written (said in one line).
    """
    beside, cached = data_root / dataset.crop_dir, cache_dir / "crops" / dataset.crop_dir
    try:
        require_writable(beside, "--data_root")
    except InputError:
        print(f"  {data_root} cannot be written: crops go to {cached}")
        require_writable(cached, "--cache_dir")
        return cached, beside
    return beside, None


def crop_folder(video: Video, crop_root: Path) -> Path:
    """Where a video's crops lie: below `crop_root` as its raw folder lies below the subject's or the dataset's."""
    raw = video.frames[0].parent
    return crop_root / raw.parent.name / raw.name if raw.parent.name == video.subject else crop_root / raw.name


def crop_video(job: CropJob) -> Crops:
    """Crop one video, or take the crops that are there. The unit of work of this step."""
    video, folder = job.video, job.folder
    cropped = replace(video, frames=tuple(folder / name for name in job.crop_names))
    there = set(os.listdir(folder)) if folder.is_dir() else set()
    if RECORD not in there and there - CLUTTER:
        return Crops(cropped, _check_foreign_crops(folder, job.crop_names, there))
    key = key_of(version=CROP_VERSION, frames=files_fingerprint(video.frames))
    record = None if job.fresh else _finished(job, key)
    if record is None:
        record = _write_crops(job, key)
    if record["rectangle"] is None:
        return Crops(None, f"{video.label}: no face in any of its {len(video.frames)} frames, video left out")
    found_at = record["found_in_frame"]
    return Crops(cropped, f"{video.label}: first face in frame {found_at}, not in frame 0" if found_at else "")


def _finished(job: CropJob, key: str) -> dict | None:
    """The record of crops made with this key; None if there are none, or somebody took some away."""
    record = read_json(job.folder / RECORD)
    if not isinstance(record, dict) or record.get("key") != key:
        return None
    is_whole = record["rectangle"] is None or set(os.listdir(job.folder)).issuperset(job.crop_names)
    return record if is_whole else None


def _check_foreign_crops(folder: Path, names: tuple[str, ...], there: set[str]) -> str:
    """Crops without our record are the user's: used as they are if they are complete, never overwritten."""
    missing = [n for n in names if n not in there]
    if missing:
        raise InputError(
            f"{folder}: not made by this program, {len(missing)} of {len(names)} crops missing, first {missing[0]}; "
            "take the folder away to have it made anew"
        )
    return f"{folder}: crops not made by this program are used as they are"


def _write_crops(job: CropJob, key: str) -> dict:
    """Detect, cut, and write all crops of one video; returns the record."""
    found_at, rectangle = first_face(job.video)
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
            return i, max(faces, key=lambda f: (f[2] - f[0]) * (f[3] - f[1]))
    return None, None


def clip_rectangle(rectangle: Rectangle, shape: tuple[int, ...]) -> Rectangle | None:
    """Clip (left, top, right, bottom) to an image of shape (height, width, ...); None if nothing is left."""
    left, top, right, bottom = rectangle
    left, right = max(0, left), min(shape[1], right)
    top, bottom = max(0, top), min(shape[0], bottom)
    return (left, top, right, bottom) if left < right and top < bottom else None


def cut_face(image: np.ndarray, rectangle: Rectangle) -> np.ndarray:
    """Cut `[top:bottom, left:right]` and resize it (bilinear) to (128, 128, ...), uint8."""
    left, top, right, bottom = rectangle
    return cv2.resize(image[top:bottom, left:right], (CROP_SIZE, CROP_SIZE))


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
