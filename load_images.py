"""Step 1: folders of frames -> videos.

Raw frames are found here. The crops that step 3 writes are also read here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
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
ADDED_TO_NAME = 55  # bytes that the name of a result may have in addition to that of its video: the subject, `.png`
MOST_MISSING = 10_000  # frame numbers of a video, if frames are found by number: more than 5 minutes at 30 a second
LONGEST_VIDEO_NAME = LONGEST_NAME - ADDED_TO_NAME  # bytes


@dataclass
class RawVideos:
    """What is in a dataset's folder of raw frames.

    Attributes
    ----------
    root : Path
        The folder.
    videos : dict of (str, str) to Video
        The key is `datasets.annotations.match_key` of the subject and the video that the folders name. Videos are in
        natural order of subjects and names, and their frames in order of their numbers. They have no expressions yet.
    problems : list of str
        Video folders that cannot be used, and why.
    remarks : list of str
        Gaps in the frame numbers, and files and folders that are skipped.
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
        Folder that contains the folders of the datasets.

    Returns
    -------
    videos : dict of (subject key, video key) to Video
    remarks : list of str
        See `RawVideos`.

    Raises
    ------
    InputError
        There is no raw folder, no video in it, or a video folder that cannot be used: it has no frames or one frame
        number twice, its name is too long or cannot be shown, it cannot be read, or the same video is there twice.
    """
    raw = scan_videos(dataset, data_root)
    if raw.problems:
        more = f" (and {len(raw.problems) - 1} more such folder(s))" if len(raw.problems) > 1 else ""
        raise InputError(raw.problems[0] + more)
    if not raw.videos:
        raise InputError(
            f"{raw.root}: contains no video folder; docs/datasets.md shows how the folders of {dataset.name} are named"
        )
    return raw.videos, raw.remarks


def scan_videos(dataset: Dataset, data_root: Path) -> RawVideos:
    """List the video folders of a dataset, also those that cannot be used.

    Raises InputError if there is no raw folder.
    """
    if dataset.scan is not None:
        return dataset.scan(data_root)
    raw = RawVideos(existing_paths(data_root, dataset.raw_dirs, dataset, "raw frames")[0])
    skipped, subjects = [], {}
    folders = _folders(raw.root, depth=dataset.video_folder.count("/") + 1)
    if dataset.any_depth:
        folders = (folder for folder, below, _ in _folders_at_any_depth(raw.root, dataset) if not below)
    for folder in folders:
        match = re.fullmatch(dataset.video_folder, folder.relative_to(raw.root).as_posix())
        if match is None:
            skipped.append(folder)
            continue
        key, subject = match_key(match["subject"], match["video"]), match["subject"]
        if dataset.any_depth:  # a subject can be in several places, and must be written in one way
            subject = subjects.setdefault(key[0], subject)
        try:
            if UNPRINTABLE.search(match.string) or len(os.fsencode(folder.name)) > LONGEST_VIDEO_NAME:
                raise InputError(
                    f"{shown(folder)}: the name has characters that cannot be shown, or more than {LONGEST_VIDEO_NAME} "
                    "bytes; rename the folder"
                )
            frames, remarks = _frames(_frames_folder(folder, dataset), dataset)
            if key in raw.videos:
                raise InputError(f"{folder}: the same video as {raw.videos[key].frames[0].parent}; remove one of them")
        except InputError as error:
            raw.problems.append(str(error))
            continue
        except OSError as error:
            raw.problems.append(f"{folder}: cannot be read ({error.strerror})")
            continue
        raw.videos[key] = Video(subject=subject, name=folder.name, frames=frames)
        raw.remarks += remarks
    if dataset.any_depth:  # folders in other folders are in the order of these
        raw.videos = dict(sorted(raw.videos.items(), key=lambda video: tuple(map(natural_key, video[0]))))
    if skipped:
        raw.remarks.append(f"{shown(skipped[0])}: not named as a video, skipped{_and_more(skipped, 'folder(s)')}")
    return raw


def existing_paths(
    data_root: Path, candidates: tuple[str, ...], dataset: Dataset, what: str, any_depth: bool = False
) -> list[Path]:
    """The folders and workbooks in `data_root` that match given patterns. The one to use comes first.

    Parameters
    ----------
    data_root : Path
        Folder that contains the folders of the datasets.
    candidates : tuple of str
        Glob patterns relative to `data_root`, in order of preference. Among the matches of one pattern, the last in
        natural order is preferred: it is the newest version.
    dataset : Dataset
    what : str
        What is looked for, for the message.
    any_depth : bool
        Whether files are looked for at any depth below the folder of their pattern, by their name in any case.

    Raises
    ------
    InputError
        `data_root` is missing or has a name that cannot be shown, or nothing matches.
    """
    if UNPRINTABLE.search(str(data_root)):
        raise InputError(f"{shown(data_root)}: the name has characters that cannot be shown; rename the folder")
    if not data_root.is_dir():
        raise InputError(f"{data_root}: no such folder; give the folder that contains {dataset.name} with --data_root")
    found = [
        path
        for pattern in candidates
        for path in sorted(
            _files_at_any_depth(data_root, pattern, dataset) if any_depth else data_root.glob(pattern),
            key=lambda p: natural_key(p.name),
            reverse=True,
        )
        if path.is_dir() or path.suffix.lower() in WORKBOOK_SUFFIXES
    ]
    if not found:
        first = data_root / candidates[0].replace(".xls*", ".xlsx")
        raise InputError(f"{first}: not found ({what} of {dataset.name}); docs/datasets.md shows the layout")
    return list(dict.fromkeys(found))


def _folders(root: Path, depth: int) -> Iterator[Path]:
    """The folders `depth` levels below `root`, in natural order. Hidden folders are skipped.

    If a folder on the way has no folder at that depth, it is given itself, so that it is reported.
    """
    for entry in sorted((e for e in root.iterdir() if _is_folder(e)), key=lambda e: natural_key(e.name)):
        if depth == 1:
            yield entry
        else:
            below = list(_folders(entry, depth - 1))
            yield from below or [entry]


def _folders_at_any_depth(root: Path, dataset: Dataset) -> Iterator[tuple[Path, list[Path], list[Path]]]:
    """`root` and every folder below it in natural order, each with its folders and its files.

    Hidden folders are skipped. What is in the folder of a video is not looked at: it is given without folders and
    files. Each folder is visited once, also if links lead to it.
    """
    visited, waiting = set(), [root]
    while waiting:
        folder = waiting.pop()
        if (real := folder.resolve()) in visited:
            continue
        visited.add(real)
        below, files = [], []
        if not re.fullmatch(dataset.video_folder, folder.relative_to(root).as_posix()):
            for entry in sorted(folder.iterdir(), key=lambda e: natural_key(e.name)):
                (below if _is_folder(entry) else files).append(entry)
        waiting += reversed(below)
        yield folder, below, files


def _files_at_any_depth(data_root: Path, pattern: str, dataset: Dataset) -> Iterator[Path]:
    """The files that match the last part of a pattern, in any case, below the folder that its other parts name."""
    root, _, name = pattern.rpartition("/")
    if (data_root / root).is_dir():
        for _, _, files in _folders_at_any_depth(data_root / root, dataset):
            yield from (file for file in files if fnmatchcase(file.name.lower(), name.lower()))


def _is_folder(path: Path) -> bool:
    """Whether this is a folder, and neither hidden nor what macOS adds to ZIP files."""
    return path.is_dir() and not path.name.startswith((".", "__MACOSX"))


def _frames_folder(folder: Path, dataset: Dataset) -> Path:
    """The folder with the frames of the video in `folder`. Raises InputError if there is none."""
    if not dataset.frames_folder:
        return folder
    for below in sorted(folder.iterdir()):
        if below.name.lower() == dataset.frames_folder.lower() and below.is_dir():
            return below
    raise InputError(f"{folder}: no folder {dataset.frames_folder} with the frames; copy it there, or remove {folder}")


def _frames(folder: Path, dataset: Dataset) -> tuple[tuple[Path, ...], list[str]]:
    """The frame files of one video in order of their numbers, and remarks.

    Raises InputError if there are none, if one number is there twice, or if a frame is not a file.
    """
    by_number: dict[int, Path] = {}
    skipped = []
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            number = dataset.frame_number(entry.name)
            if number is None:
                if entry.name.lower().endswith(FRAME_SUFFIXES) and not entry.name.startswith("."):
                    skipped.append(entry.name)
                continue
            if number in by_number:
                other = by_number[number].name
                raise InputError(
                    f"{folder}: frame {number} is there twice, as {other} and {entry.name}; remove one of them"
                )
            if not entry.is_file():
                raise InputError(
                    f"{entry.path}: is not a file, or is a link to nothing; copy it from the dataset again"
                )
            by_number[number] = Path(entry.path)
    if not by_number:
        raise InputError(f"{folder}: no frames in this video folder; copy them there, or remove the folder")
    remarks = []
    if skipped:
        remarks.append(f"{shown(folder / skipped[0])}: not named as a frame, skipped{_and_more(skipped, 'file(s)')}")
    if dataset.index_is_number:
        frames, about_gaps = frames_by_number(folder, by_number)
        return frames, remarks + about_gaps
    numbers = sorted(by_number)
    missing = numbers[-1] - numbers[0] + 1 - len(numbers)
    if missing:
        after = next(a for a, b in pairwise(numbers) if b != a + 1)
        remarks.append(
            f"{folder}: {missing} frame number(s) missing, the first after {by_number[after].name}; "
            "the frames are used as if none were missing"
        )
    return tuple(by_number[n] for n in numbers), remarks


def frames_by_number(folder: Path, by_number: dict[int, Path], start: int = 0) -> tuple[tuple[Path, ...], list[str]]:
    """Frame i is the file of number `start` + i. Where it is missing, it is the nearest one before, or else the first.

    Also returned is a remark on missing numbers. Raises InputError if more than `MOST_MISSING` are missing: one file
    with a wrong number would otherwise make a video of any length.
    """
    numbers = sorted(by_number)
    first, last = numbers[0], numbers[-1]
    missing = last + 1 - start - len(numbers)
    if missing > MOST_MISSING:
        _, stray = max((b - a, b) for a, b in pairwise([start - 1, *numbers]))
        raise InputError(
            f"{by_number[stray]}: {missing} frame numbers of this video are missing, most of them before this one, "
            f"more than {MOST_MISSING}; rename or remove the file if it is no frame of the video"
        )
    frames, file = [], by_number[first]
    for number in range(start, last + 1):
        file = by_number.get(number, file)
        frames.append(file)
    if not missing:
        return tuple(frames), []
    return tuple(frames), [
        f"{folder}: {missing} frame number(s) missing, {first - start} of them before {by_number[first].name}; the "
        "nearest frame before a missing one is used for it, at the beginning the first one"
    ]


def _and_more(things: list, unit: str) -> str:
    """The end of a remark on the first of several things: how many more there are. "" if there is only one."""
    return f" (and {len(things) - 1} more {unit})" if len(things) > 1 else ""


def read_crops(video: Video) -> Iterator[np.ndarray]:
    """Read a video's crops one by one as 8-bit gray.

    Yields
    ------
    ndarray of uint8, (128, 128)

    Raises
    ------
    InputError
        A crop cannot be read or has another size.
    """
    for path in video.frames:
        yield read_crop(path)


def read_crop(path: Path) -> np.ndarray:
    """Read one crop as 8-bit gray, (128, 128) uint8. Raises InputError if it cannot be read or has another size."""
    crop = read_image(path, cv2.IMREAD_GRAYSCALE)
    if crop.shape != (CROP_SIZE, CROP_SIZE):
        size, wanted = f"{crop.shape[1]}x{crop.shape[0]}", f"{CROP_SIZE}x{CROP_SIZE}"
        raise InputError(
            f"{path}: is {size} pixels, but a crop has {wanted}; delete its folder to make the crops again"
        )
    return crop
