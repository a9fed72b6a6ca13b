"""Step 1: folders of frames -> videos. Raw frames are found here, and the crops that step 3 wrote are read here."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from Utils.datasets.annotations import match_key
from Utils.datasets.table import FRAME_SUFFIXES, Dataset
from Utils.errors import UNPRINTABLE, InputError, shown
from Utils.faces.images import read_image
from Utils.faces.rectangles import CROP_SIZE
from Utils.records import Video, natural_key
from Utils.work.cache import LONGEST_NAME

WORKBOOK_SUFFIXES = (".xls", ".xlsx", ".xlsm")
LONGEST_VIDEO_NAME = LONGEST_NAME - 55  # bytes; the names of its results have more in them


@dataclass
class RawVideos:
    """What lies below a dataset's raw folder.

    Attributes
    ----------
    root : Path
    videos : dict of (str, str) to Video
        By `datasets.annotations.match_key` of the folders' subject and video, in natural order of subjects and videos;
        frames in order of their numbers; without expressions.
    problems : list of str
        Video folders that cannot be used.
    remarks : list of str
        Gaps in the frame numbers, and files and folders that are passed over.
    """

    root: Path
    videos: dict[tuple[str, str], Video] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def find_videos(dataset: Dataset, data_root: Path) -> tuple[dict[tuple[str, str], Video], list[str]]:
    """Find the folders of raw frames of a dataset.

    Parameters
    ----------
    dataset : Dataset
    data_root : Path
        Folder that holds the datasets.

    Returns
    -------
    videos : dict of (subject key, video key) to Video
    remarks : list of str
        See `RawVideos`.

    Raises
    ------
    InputError
        No raw folder, no video in it, a video folder without frames, one frame number twice, or one video twice.
    """
    raw = scan_videos(dataset, data_root)
    if raw.problems:
        more = f" (and {len(raw.problems) - 1} more such folder(s))" if len(raw.problems) > 1 else ""
        raise InputError(raw.problems[0] + more)
    if not raw.videos:
        raise InputError(
            f"{raw.root}: holds no folder of a video; expected names such as the README shows for {dataset.name}"
        )
    return raw.videos, raw.remarks


def scan_videos(dataset: Dataset, data_root: Path) -> RawVideos:
    """List the video folders of a dataset, usable or not. Raises InputError if there is no raw folder."""
    raw = RawVideos(existing_paths(data_root, dataset.raw_dirs, dataset, "raw frames")[0])
    strangers = []
    for folder in _folders(raw.root, depth=dataset.video_folder.count("/") + 1):
        match = re.fullmatch(dataset.video_folder, folder.relative_to(raw.root).as_posix())
        if match is None:
            strangers.append(folder)
            continue
        key = match_key(match["subject"], match["video"])
        try:
            if UNPRINTABLE.search(match.string) or len(os.fsencode(folder.name)) > LONGEST_VIDEO_NAME:
                raise InputError(
                    f"{shown(folder)}: the name has characters that cannot be shown, or more than {LONGEST_VIDEO_NAME} "
                    "bytes; rename the folder"
                )
            frames, remarks = _frames(folder, dataset)
            if key in raw.videos:
                raise InputError(
                    f"{folder}: the same video as {raw.videos[key].frames[0].parent}; take one of them away"
                )
        except InputError as error:
            raw.problems.append(str(error))
            continue
        except OSError as error:
            raw.problems.append(f"{folder}: cannot be read ({error.strerror})")
            continue
        raw.videos[key] = Video(subject=match["subject"], name=folder.name, frames=frames)
        raw.remarks += remarks
    if strangers:
        raw.remarks.append(
            f"{shown(strangers[0])}: not named as a video, passed over{_and_more(strangers, 'folder(s)')}"
        )
    return raw


def existing_paths(data_root: Path, candidates: tuple[str, ...], dataset: Dataset, what: str) -> list[Path]:
    """The folders and workbooks that fit the glob patterns `candidates` below `data_root`, most preferred first.

    Of those that fit one pattern the last in natural order comes first (the newest version). InputError naming the
    first candidate if there is none.
    """
    if UNPRINTABLE.search(str(data_root)):
        raise InputError(f"{shown(data_root)}: the name has characters that cannot be shown; rename the folder")
    if not data_root.is_dir():
        raise InputError(f"{data_root}: no such folder; give the folder that holds {dataset.name} with --data_root")
    found = [
        path
        for pattern in candidates
        for path in sorted(data_root.glob(pattern), key=lambda p: natural_key(p.name), reverse=True)
        if path.is_dir() or path.suffix.lower() in WORKBOOK_SUFFIXES
    ]
    if not found:
        first = data_root / candidates[0].replace(".xls*", ".xlsx")
        raise InputError(f"{first}: not found ({what} of {dataset.name}); the README shows the layout")
    return list(dict.fromkeys(found))


def _folders(root: Path, depth: int) -> Iterator[Path]:
    """Folders `depth` levels below `root`, in natural order; hidden ones are passed over, and those without any folder
    at that depth come as they are."""
    for entry in sorted((e for e in root.iterdir() if _is_folder(e)), key=lambda e: natural_key(e.name)):
        if depth == 1:
            yield entry
        else:
            below = list(_folders(entry, depth - 1))
            yield from below or [entry]


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith((".", "__MACOSX"))


def _frames(folder: Path, dataset: Dataset) -> tuple[tuple[Path, ...], list[str]]:
    """The frame files of one video in order of their numbers, and remarks. InputError if it has none, or one twice."""
    by_number: dict[int, Path] = {}
    strangers = []
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            number = dataset.frame_number(entry.name)
            if number is None:
                if entry.name.lower().endswith(FRAME_SUFFIXES) and not entry.name.startswith("."):
                    strangers.append(entry.name)
                continue
            if number in by_number:
                raise InputError(
                    f"{folder}: frame {number} is there twice, as {by_number[number].name} and {entry.name}"
                )
            if not entry.is_file():
                raise InputError(f"{entry.path}: is named as a frame and is no file; copy it from the dataset again")
            by_number[number] = Path(entry.path)
    if not by_number:
        raise InputError(f"{folder}: no frames in this video folder; copy them there, or take the folder away")
    remarks = []
    if strangers:
        remarks.append(
            f"{shown(folder / strangers[0])}: not named as a frame, passed over{_and_more(strangers, 'file(s)')}"
        )
    numbers = sorted(by_number)
    missing = numbers[-1] - numbers[0] + 1 - len(numbers)
    if missing:
        after = next(a for a, b in pairwise(numbers) if b != a + 1)
        remarks.append(
            f"{folder}: {missing} frame number(s) missing, the first after {by_number[after].name}; "
            "frames count by position"
        )
    return tuple(by_number[n] for n in numbers), remarks


def _and_more(things: list, unit: str) -> str:
    return f" (and {len(things) - 1} more {unit})" if len(things) > 1 else ""


def read_crops(video: Video) -> Iterator[np.ndarray]:
    """Read a video's crops one by one as 8-bit gray.

    Yields
    ------
    ndarray, (128, 128), uint8

    Raises
    ------
    InputError
        A crop that is unreadable or of another size.
    """
    for path in video.frames:
        yield read_crop(path)


def read_crop(path: Path) -> np.ndarray:
    """Read one crop as 8-bit gray, (128, 128) uint8. Raises InputError if it is unreadable or of another size."""
    crop = read_image(path, cv2.IMREAD_GRAYSCALE)
    if crop.shape != (CROP_SIZE, CROP_SIZE):
        raise InputError(
            f"{path}: is {crop.shape[1]}x{crop.shape[0]} pixels, a crop has {CROP_SIZE}x{CROP_SIZE}; delete its folder"
        )
    return crop
