"""Folders of frame images: which files are the frames, and what their numbers tell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from Utils.datasets.table import FRAME_SUFFIXES
from Utils.errors import InputError
from Utils.records import natural_key

IMAGE_SUFFIXES = (*FRAME_SUFFIXES, ".tif", ".tiff")


def images_in(folder: Path) -> tuple[Path, ...]:
    """The images of a folder in natural order of their names, hidden ones and folders aside; see `require_files`."""
    found = (p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith("."))
    return tuple(sorted((p for p in found if not p.is_dir()), key=lambda p: natural_key(p.name)))


def require_files(images: Sequence[Path]) -> None:
    """Raise InputError if something has an image's name and is no file: a pipe, a link to nothing."""
    for path in images:
        if not path.is_file():
            raise InputError(f"{path}: is no file, or a link to nothing; copy the frame again")


def remark_on_numbers(images: Sequence[Path]) -> str:
    """Compare the last numbers in the names of frames; returns a remark on numbers that are missing, or "".

    Names without a number, or that differ in more than the number, are not compared: their order is all there is.

    Raises
    ------
    InputError
        A frame is there twice: `img7.jpg` and `img007.jpg`, `img7.png`.
    """
    named: dict[tuple[str, str], dict[int, Path]] = {}
    for path in images:
        if match := re.fullmatch(r"(.*?)(\d+)(\D*)", path.stem):
            numbers = named.setdefault((match[1], match[3]), {})
            if other := numbers.get(int(match[2])):
                raise InputError(f"{path}: frame {int(match[2])} is there twice (also {other.name}); take one away")
            numbers[int(match[2])] = path
    if len(named) != 1:
        return ""
    (numbers,) = named.values()
    n_missing = max(numbers) - min(numbers) + 1 - len(numbers)
    return f"{n_missing} frame number(s) missing: the frames are taken as if none were" if n_missing else ""
