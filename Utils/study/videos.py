"""Finds the videos of a study: video files, or folders of frames."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from load_images import frames_by_number
from Utils.errors import InputError
from Utils.own_video.image_folders import IMAGE_SUFFIXES, images_in, numbered_alike, require_files
from Utils.own_video.paths import SUFFIXES
from Utils.own_video.video_files import open_video
from Utils.records import Video, natural_key

LATEST_START = 100  # of the first file, up to which the frames before it are taken as missing
SAME_RATE = 0.01  # share by which a frame rate in a table may differ from that of the video file
COLOR, DEPTH = "color", "depth"  # folders of CAS(ME)^3 with the frames of a video, and with others
FRAME_NAME = "{:06d}.jpg"  # stands for a frame of a video file


@dataclass
class VideoFile:
    """The frames of a video file, for `Video.source`.

    Attributes
    ----------
    path : Path
    problems : list of str
        What the latest iteration found.
    """

    path: Path
    problems: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[np.ndarray]:
        frames = open_video(self.path)
        for frame in frames:
            yield frame.image
        self.problems = list(frames.problems)


def find_path(path: str, subject: str, name: str, data_root: Path) -> Path | None:
    """Where a video is: `path` if it is given, or else below `data_root`. None if it is not there.

    Without a path, these are looked for: a folder or a video file `<subject>/<name>`, then `<name>`. A file may have
    any ending of a video.

    Raises
    ------
    InputError
        There are several.
    """
    if path:
        given = data_root / path  # an absolute path stays as it is
        return given if os.path.exists(given) else None  # noqa: PTH110  Path.exists raises for a name that is too long
    for folder in (data_root / subject, data_root):
        found = videos_named(name, folder)
        if len(found) > 1:
            names = " and ".join(sorted(p.name for p in found)[:2])
            raise InputError(
                f"{folder}: {names} are both video {name!r}; remove one, or name the right one in a column path"
            )
        if found:
            return found[0]
    return None


def videos_named(name: str, folder: Path) -> list[Path]:
    """The videos of this name in a folder: folders and video files. There are none if it is no folder.

    Raises InputError if the folder cannot be read.
    """
    try:
        return [path for path in folder.iterdir() if _is_named(path, name)] if folder.is_dir() else []
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror})") from None


def _is_named(path: Path, name: str) -> bool:
    """Whether a path is a video of this name: a folder, or a video file with or without its ending in the name."""
    if name not in (path.name, path.stem) or path.name.startswith("."):  # first, because it asks no disk
        return False
    if path.is_dir():
        return path.name == name
    return path.suffix.lower() in SUFFIXES


def find_study_videos(folder: Path, fps: float | None) -> Iterator[tuple[Video, list[str]]]:
    """All videos below a folder, in natural order, and remarks on each.

    A video is a video file, or a folder that has images. Its subject is the topmost folder on the way to it, and its
    name is the rest of the way, joined by `_`. A video at the top is a subject of its own. A folder `color`, as of
    CAS(ME)^3, is not part of the way, and `depth` beside it is skipped. Raises InputError as `open_study_video` does,
    and if a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror})")

    paths = []
    for parent, folders, files in os.walk(folder, onerror=refuse):
        skipped = (DEPTH,) if COLOR in map(str.lower, folders) else ()
        folders[:] = [
            name for name in folders if not name.startswith((".", "__MACOSX")) and name.lower() not in skipped
        ]
        files = [Path(parent, name) for name in files if not name.startswith(".")]
        paths += [path for path in files if path.suffix.lower() in SUFFIXES]
        if any(path.suffix.lower() in IMAGE_SUFFIXES for path in files):
            paths.append(Path(parent))
    for path in sorted(paths, key=lambda path: natural_key(str(path))):
        way = path.relative_to(folder)
        way = way.parent if path.is_dir() and way.name.lower() == COLOR else way
        parts = (way if path.is_dir() else way.with_suffix("")).parts or (folder.resolve().name,)
        subject, name = parts[0], "_".join(parts[1:]) or parts[0]
        yield open_study_video(path, subject, name, fps if path.is_dir() else None)


def open_study_video(path: Path, subject: str, name: str, fps: float | None) -> tuple[Video, list[str]]:
    """A video without expressions, and remarks on it.

    Parameters
    ----------
    path : Path
    subject, name : str
    fps : float or None
        Frames per second, as the user gives it. A folder needs it. A file has its own rate.

    Raises
    ------
    InputError
        The video cannot be read, or a folder has no images or no frame rate, or `fps` is not that of the file.
    """
    if path.is_dir():
        try:
            images = images_in(path)
            if not images:
                raise InputError(f"{path}: has no images ({', '.join(IMAGE_SUFFIXES)}); copy the frames there")
            require_files(images)
            frames, remarks = _by_number(path, images)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None
        if fps is None:
            raise InputError(
                f"{path}: is a folder of images; write their frames per second into a column fps, or give --fps"
            )
        return Video(subject, name, frames, fps=_plain(fps)), remarks
    video = open_video(path)
    if fps is not None and abs(fps - video.fps) > SAME_RATE * video.fps:
        raise InputError(
            f"{path}: has {video.fps:g} frames per second, but the table or --fps says {fps:g}; correct that, or leave "
            "it out"
        )
    frames = tuple(path / FRAME_NAME.format(i) for i in range(max(1, video.n_estimated)))
    return Video(subject, name, frames, fps=_plain(video.fps), source=VideoFile(path)), list(video.remarks)


def _by_number(folder: Path, images: Sequence[Path]) -> tuple[tuple[Path, ...], list[str]]:
    """The frames of a folder, and remarks on images that are none, and on missing ones.

    If most names differ in a number only, these are the frames, and frame i is the file of number i + start. Else all
    images are, in the order of their names. Frames count from 0 if there is a file 0, else from 1, or from the first
    file if its number is large: then it is a part of a longer video. A missing frame is replaced by the one before it.
    """
    numbers = next(iter(numbered_alike(images)), {})
    if 2 * len(numbers) <= len(images):
        return tuple(images), [f"{folder}: the names are not numbered alike; the images are used in their order"]
    first = min(numbers)
    frames, remarks = frames_by_number(folder, numbers, first if first == 0 or first > LATEST_START else 1)
    used = set(numbers.values())
    if others := [path.name for path in images if path not in used]:
        more = f" (and {len(others) - 1} more)" if len(others) > 1 else ""
        remarks = [f"{folder / others[0]}: not numbered as the frames, skipped{more}", *remarks]
    return frames, remarks


def _plain(fps: float) -> float:
    """A frame rate as int where it is whole, so that it is shown as 30 and not as 30.0."""
    return int(fps) if float(fps).is_integer() else fps
