"""Small datasets that are damaged, and what the command line must then report. The cases are in `bad_input_*.py`.

A case makes a dataset in `data`: one video (subject s1, 12 frames of one drawn face), or two videos and weights in `w`.
It damages something, and returns the flags that are to be given.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from tests.support.layouts import MICRO, SAMM_COLUMNS, write_xlsx
from Utils.settings import PROJECT
from Utils.synthetic.face import Face
from Utils.synthetic.identity import make_identity
from Utils.work.cache import SCRATCH

N_FRAMES = 12
RUN = ("--workers", "1", "--weights_dir", "w")


class Case(NamedTuple):
    """One case of the catalogue.

    `says`: texts that the message must have. `code`: 2 if nothing could be done, 1 if a part was left out, 0 if the
    input is unusual but can be used. `as_nobody`: run by a user who may not read or write everything. `n_lines`: number
    of lines in the error stream. By default it is 1 with code 2, else 0. With several videos, each that fails has one.
    """

    name: str
    spoil: Callable[[Path], Sequence[str]]
    says: tuple[str, ...]
    code: int = 2
    as_nobody: bool = False
    n_lines: int | None = None


class Book(NamedTuple):
    """The smallest copy of a dataset: its workbooks as sheets, the place of its one expression, and its frames."""

    path: str
    sheets: list[list[list]]
    row: int  # 0-based, in the first sheet
    name: int  # column of what names the video
    onset: int
    offset: int
    frame: str
    more: dict[str, list[list[list]]] = {}  # noqa: RUF012  never changed

    def write(self, root: Path, changes: dict[int, object] | None = None, path: str | None = None) -> Path:
        """Write the workbook with some cells of the expression's row changed. Returns its path."""
        sheets = [[list(row) for row in rows] for rows in self.sheets]
        for column, value in (changes or {}).items():
            sheets[0][self.row][column] = value
        target = root / "data" / (path or self.path)
        target.unlink(missing_ok=True)
        write_xlsx(target, sheets)
        return target


_SMIC = "SMIC/SMIC-E_raw image/HS_long"
_SAMM_ROW = ["006", "006_1_1", 3, 3, 5, 8, 6, "Micro - 1/2", "4", None]
_SAMM_HEADER = [*SAMM_COLUMNS, "Type", "Action Units", "Notes"]
_SAMM_FACS = [[*SAMM_COLUMNS, "Micro", "Action Units", "Estimated Emotion"], [*_SAMM_ROW[:9], "Anger"]]
_SMIC_HEADER = ["Subject", "Filename", None, "OnsetF", "OffsetF", "Onset2F", "Offset2F", "TotalMF1", "Emotion"]
_CASME2_HEADER = ["Subject", "Filename", None, "OnsetFrame", "ApexFrame", "OffsetFrame", None, "AUs"]
BOOKS = {
    "CASME_sq": Book(
        "CASME_sq/code_final.xlsx",
        [[[1, "v0101_1", 3, 5, 8, 4, "negative", MICRO, None]], [[1, "s1", 1]], [["0101", "v0101"], ["0102", "v0102"]]],
        0, 1, 2, 4, "CASME_sq/rawpic/s1/1_0101a/img{:03d}.jpg",
    ),
    "SAMMLV": Book(
        "SAMMLV/SAMM_LongVideos_V2_Release.xlsx",
        [[_SAMM_HEADER, _SAMM_ROW]],
        1, 1, 3, 5, "SAMMLV/SAMM_longvideos/006_1/006_1_{:04d}.jpg",
        {"SAMM/SAMM_20181215_Micro_FACS_Codes_v2.xlsx": [_SAMM_FACS]},
    ),
    "CASME2": Book(
        "CASME2/CASME2/CASME2_label_Ver_2.xlsx",
        [[[*_CASME2_HEADER, "Estimated Emotion"], [1, "EP02_01f", None, 3, 5, 8, None, "4", "disgust"]]],
        1, 1, 3, 5, "CASME2/CASME2/CASME2-RAW/sub01/EP02_01f/img{}.jpg",
    ),
    "SMIC_HS": Book(
        f"{_SMIC}/SMIC-HS-E_annotation.xlsx",
        [[[*_SMIC_HEADER, "FirstF", "LastF"], [1, "s1_ne_01", None, 3, 8, None, None, 6, "negative", 1, 12]]],
        1, 1, 3, 4, f"{_SMIC}/SMIC-HS-E/HS/s01/s1_ne_01/image{{:06d}}.jpg",
    ),
}  # fmt: skip
VIDEO = "data/CASME_sq/rawpic/s1/1_0101a"


@cache
def face_image() -> np.ndarray:
    """A drawn face, (120, 160, 3) uint8; the detector finds it at (40, 22) to (111, 93)."""
    return Face(make_identity(seed=0), (160, 120)).render({}, noise=0)


def encoded(image: np.ndarray, ending: str = ".jpg") -> bytes:
    return cv2.imencode(ending, image)[1].tobytes()


def make_dataset(root: Path, name: str = "CASME_sq") -> None:
    """Make the smallest copy of a dataset in `root/data`: one video whose frames are links to one file."""
    book = BOOKS[name]
    book.write(root)
    for path, sheets in book.more.items():
        write_xlsx(root / "data" / path, sheets)
    add_video(root / "data" / Path(book.frame).parent, Path(book.frame).name)


def add_video(folder: Path, frame: str = "img{:03d}.jpg", content: bytes | None = None, n: int = N_FRAMES) -> Path:
    """Make a folder of `n` frames that are links to one file. Returns it."""
    folder.mkdir(parents=True)
    first = folder / frame.format(1)
    first.write_bytes(content if content is not None else encoded(face_image()))
    for number in range(2, n + 1):
        os.link(first, folder / frame.format(number))
    return folder


def put(path: Path, content: bytes) -> Path:
    """Put another file in the place of a link."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    return path


def add_weights(root: Path) -> Path:
    """Add a second subject, s2, with the same frames, and weights for both: DEMO's first ones. Returns their folder.

    Everything is a copy that may be changed, except the frames, which are links.
    """
    shutil.copytree(root / VIDEO, root / "data/CASME_sq/rawpic/s2/2_0101a", copy_function=os.link)
    (row,), subjects, codes = BOOKS["CASME_sq"].sheets
    write_xlsx(root / "data" / BOOKS["CASME_sq"].path, [[row, [2, *row[1:]]], [*subjects, [2, "s2", 2]], codes])
    folder = root / "w/CASME_sq"
    for kind in ("spot", "recog"):
        (folder / kind).mkdir(parents=True)
        for name in ("s1.weights.h5", "s2.weights.h5"):
            shutil.copyfile(PROJECT / f"MEAN_Weights/DEMO/{kind}/s1.weights.h5", folder / kind / name)
    return folder


def flags_for(name: str = "CASME_sq") -> tuple[str, ...]:
    """Flags of a run that needs no weights to reach the frames."""
    return ("--dataset_name", name, "--train", "True", "--workers", "1")


class Seen(NamedTuple):
    """The user's files in a workplace: path -> digest and time of change.

    For a link it is the target, for a folder nothing.
    """

    files: dict[str, tuple]

    @classmethod
    def of(cls, root: Path, made_by_us: Iterable[str] = ("runs", "cache")) -> Seen:
        files = {}
        for folder, folders, names in os.walk(root):
            here = Path(folder)
            if here == root:
                folders[:] = [f for f in folders if f not in made_by_us]
            folders[:] = [f for f in folders if not f.endswith("_crop")]
            for path in (here / name for name in (*names, *folders)):
                stat = path.lstat()
                if path.is_symlink():
                    what = path.readlink()
                elif path.is_file():
                    what = hashlib.sha256(path.read_bytes()).hexdigest()
                else:
                    what = None
                times = (stat.st_mtime_ns,) if not path.is_dir() else ()  # a folder's changes with what we add to it
                files[str(path.relative_to(root))] = (stat.st_mode, stat.st_size if times else 0, what, *times)
        return cls(files)


def half_written(root: Path) -> list[str]:
    """The scratch that was left in any folder."""
    return [
        os.path.join(folder, name)  # noqa: PTH118
        for folder, folders, names in os.walk(root)
        for name in (*folders, *names)
        if SCRATCH.fullmatch(name)
    ]


def lines_of(said: str) -> list[str]:
    """The lines of the error stream, without progress bars."""
    return [line for part in said.splitlines() for line in part.split("\r") if line.strip() and "|" not in line]
