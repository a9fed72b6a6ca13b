"""Folders of frame images: which files are the frames, and whether the numbers in their names are complete."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from Utils.datasets.table import FRAME_SUFFIXES
from Utils.errors import InputError
from Utils.records import natural_key

IMAGE_SUFFIXES = (*FRAME_SUFFIXES, ".tif", ".tiff")


def images_in(folder: Path) -> tuple[Path, ...]:
    """The images of a folder in natural order of their names. Hidden files and folders are skipped.

    What is returned may be a pipe or a link to nothing: see `require_files`.
    """
    found = (p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith("."))
    return tuple(sorted((p for p in found if not p.is_dir()), key=lambda p: natural_key(p.name)))


def require_files(images: Sequence[Path]) -> None:
    """Raise InputError if one of the images is not a file but, for example, a pipe or a link to nothing."""
    for path in images:
        if not path.is_file():
            raise InputError(f"{path}: is not a file, or is a link to nothing; copy the frame again")


def remark_on_numbers(images: Sequence[Path]) -> str:
    """A remark on frames that are missing, by `numbers_of`, which also says what is raised; "" if none is missing."""
    numbers = numbers_of(images)
    if not numbers:
        return ""
    n_missing = max(numbers) - min(numbers) + 1 - len(numbers)
    return f"{n_missing} frame number(s) missing; the frames are used as if none were missing" if n_missing else ""


def numbers_of(images: Sequence[Path]) -> dict[int, Path]:
    """Number -> image, by the last number in each name. Images without one are left out.

    Empty if the names differ in more than the number. Raises InputError as `numbered_alike` does.
    """
    (numbers, *others) = numbered_alike(images) or [{}]
    return {} if others else numbers


def numbered_alike(images: Sequence[Path]) -> list[dict[int, Path]]:
    """Images whose names differ in their last number only, as number -> image; the largest group first.

    Images without a number are in no group.

    Raises
    ------
    InputError
        A frame is there twice, such as `img7.jpg` with `img007.jpg` or with `img7.png`.
    """
    named: dict[tuple[str, str], dict[int, Path]] = {}
    for path in images:
        if match := re.fullmatch(r"(.*?)(\d+)(\D*)", path.stem):
            numbers = named.setdefault((match[1], match[3]), {})
            if other := numbers.get(int(match[2])):
                raise InputError(f"{path}: frame {int(match[2])} is there twice (also {other.name}); remove one")
            numbers[int(match[2])] = path
    return sorted(named.values(), key=len, reverse=True)
