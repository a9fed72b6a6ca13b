"""Reads the tables of --annotations: CSV files (docs/datasets.md), tables of own videos, and ELAN files.

Every row ends in one of three ways, as those of workbooks do (Utils/datasets/annotations.py): it is used, it is skipped
because it does not count, or it is left out because a cell is faulty. Only what concerns a whole file is an error.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from Utils.datasets.workbooks import LARGEST_FRAME, column_name
from Utils.errors import UNPRINTABLE, InputError
from Utils.evaluation.csv_files import ACCEPTED, ADDED, STATUSES, is_review, read_fields
from Utils.evaluation.eaf import NO_EMOTION, SUFFIX, read_eaf
from Utils.evaluation.reviews import NOT_MICRO, SYNONYMS
from Utils.evaluation.tables import MAX_EMOTIONS
from Utils.records import KINDS, MICRO, OTHERS
from Utils.settings import HIGHEST_RATE, LOWEST_RATE

FRAMES, SECONDS = ("onset", "apex", "offset"), ("onset_s", "apex_s", "offset_s")
COLUMNS = (
    "subject", "video", *FRAMES, *SECONDS, "emotion", "kind", "type", "path", "fps", "frame_base", "face", "status",
    "score",
)  # fmt: skip
FRAME_BASES = (0, 1)  # the number of a video's first frame
LONGEST_NAME = 120  # bytes of a subject or a video, which become names of folders
FORBIDDEN = re.compile(r'[/\\:*?"<>|]')  # in the names of folders, on one system or another
LONGEST_TIME = 1_000_000  # seconds, 11 days: a larger time is a mistake
QUOTED = 40  # characters of a cell that a message quotes
NO_CLASS = ("", "other", OTHERS, "none", *NO_EMOTION)  # emotions that stand for no class
OWN_VIDEO_BASE = 0  # tables and ELAN files of own videos count frames from it


class RowError(ValueError):
    """A row cannot be used. The message names file, line and column; the row is left out and reported."""


@dataclass(frozen=True)
class Cell:
    """The text of a cell, and its place for messages: `study.csv, line 3, column onset`."""

    text: str
    where: str

    @property
    def is_empty(self) -> bool:
        return self.text.lower() in ("", "nan", "<na>")

    def fault(self, what: str) -> RowError:
        """The error about this cell, for the caller to raise."""
        return RowError(f"{self.where}: {what}")

    def number(self, low: float, high: float, wanted: str = "") -> float | None:
        """The cell as a number in [low, high]. None if it is empty. RowError, naming what is `wanted`, for all else."""
        if self.is_empty:
            return None
        try:
            value = float(self.text) if "_" not in self.text else math.nan  # Python would read `1_0` as 10
        except ValueError:
            value = math.nan
        if not low <= value <= high:  # false for NaN
            raise self.fault(f"{quoted(self.text)} is not {wanted or f'a number from {low:g} to {high:g}'}")
        return value

    def whole_number(self) -> int | None:
        """The cell as a frame number. None if it is empty. RowError if it is something else."""
        wanted = "a frame number; write a whole number"
        value = self.number(-LARGEST_FRAME, LARGEST_FRAME, wanted)
        if value is not None and not value.is_integer():
            raise self.fault(f"{quoted(self.text)} is not {wanted}")
        return None if value is None else int(value)

    def seconds(self) -> float | None:
        """The cell as a time. None if it is empty. RowError if it is something else."""
        return self.number(-LONGEST_TIME, LONGEST_TIME, "a time in seconds; write a number such as 1.25")


@dataclass(frozen=True)
class StudyRow:
    """One row that counts, as it is written. Whether it fits its video is found out later (dataset.py).

    Attributes
    ----------
    where : str
        File and line.
    subject : str
        "" if the table is one of own videos and does not say.
    video : str
    cells : mapping of str to Cell
        The columns of `FRAMES` and `SECONDS` that the file has.
    emotion : str
        In lower case; `OTHERS` if there is none.
    kind : {"micro", "macro"}
    path : str
        Where the video is; "" if the file does not say.
    fps : float or None
        Frames per second; None if the file does not say.
    frame_base : int or None
        The number of the first frame; None if the file does not say.
    reviewed : bool
        Whether a person accepted or added it in the report page.
    scored : bool
        Whether a program gave it a score.
    of_own_video : bool
        Whether the file is a table or an ELAN file of own videos. Its subject is then the name of a folder.
    """

    where: str
    subject: str
    video: str
    cells: Mapping[str, Cell]
    emotion: str
    kind: str
    path: str
    fps: float | None
    frame_base: int | None
    reviewed: bool = False
    scored: bool = False
    of_own_video: bool = False

    @property
    def has_frames(self) -> bool:
        """Whether it has a frame number, so that the frame base matters."""
        return any(name in self.cells and not self.cells[name].is_empty for name in FRAMES)

    @property
    def file(self) -> str:
        """The file, as `where` names it."""
        return self.where.rpartition(", ")[0]


@dataclass
class StudyRows:
    """What the files have.

    Attributes
    ----------
    rows : list of StudyRow
    left_out : list of str
        A line for each faulty row.
    skipped : dict of str to list of str
        Reason -> the places of rows that do not count.
    remarks : list of str
    """

    rows: list[StudyRow] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    skipped: dict[str, list[str]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def skip(self, where: str, reason: str) -> None:
        self.skipped.setdefault(reason, []).append(where)


def read_rows(paths: Sequence[Path]) -> StudyRows:
    """The rows of all files.

    Raises
    ------
    InputError
        A file cannot be read, lacks a column that is needed, or has one twice; one file is given twice; or the files
        have more than `MAX_EMOTIONS` emotions.
    """
    found = StudyRows()
    seen: set[Path] = set()
    for path in paths:
        if path.resolve() in seen:
            raise InputError(f"{path}: is given twice; give it once")
        seen.add(path.resolve())
        n = len(found.rows)
        for where, cells in _eaf_cells(path) if path.suffix.lower() == SUFFIX else _csv_cells(path):
            try:
                _add(found, where, cells)
            except RowError as error:
                found.left_out.append(str(error))
        if any(row.scored and not row.reviewed for row in found.rows[n:]) and path.suffix.lower() != SUFFIX:
            found.remarks.append(f"{path}: has scores and no review, as predictions have; did a person correct it?")
    if len(emotions := {row.emotion for row in found.rows}) > MAX_EMOTIONS:
        raise InputError(f"{paths[0]}: {len(emotions)} different emotions; is emotion the right column?")
    return found


def _csv_cells(path: Path) -> Iterator[tuple[str, dict[str, Cell]]]:
    """The place of each row of a CSV file, and its cells by column."""
    header, lines, rows = read_fields(path, needed=("subject", "video", "onset", "offset"))
    wanted = {column_name(name): name for name in COLUMNS}
    names = [wanted.get(column_name(name), "") for name in header]
    if repeated := [name for name in names if name and names.count(name) > 1]:
        raise InputError(f"{path}, line 1: column {repeated[0]} is there more than once; keep one")
    of_own_video, reviewed = "face" in names, is_review(header)
    missing = [name for name in ("subject", "video") if name not in names and not (name == "subject" and of_own_video)]
    for frame, second in (("onset", "onset_s"), ("offset", "offset_s")):
        if not {frame, second} & set(names):
            missing.append(f"{frame} (frames) or {second} (seconds)")
    if missing:
        wrong_commas = len(header) == 1 and re.search(r"[;\t|]", header[0])
        hint = "separate the columns by commas" if wrong_commas else f"it has {quoted(', '.join(header))}"
        raise InputError(f"{path}, line 1: no column {', nor '.join(missing)}; {hint}")
    if not rows:
        raise InputError(f"{path}: has a header and no annotation; give a file with at least one row")
    kept = {name: i for i, name in enumerate(names) if name and (name != "status" or reviewed)}
    for line, fields in zip(lines, rows, strict=True):
        where = f"{path}, line {line}"
        yield where, {name: Cell(fields[i], f"{where}, column {name}") for name, i in kept.items()}


def _eaf_cells(path: Path) -> Iterator[tuple[str, dict[str, Cell]]]:
    """The place of each expression of an ELAN file, and its cells by column."""
    table = read_eaf(path)
    if table.empty:
        raise InputError(f"{path}: has no expression; give a file with at least one")
    for i, row in enumerate(table.to_dict("records"), start=1):
        where = f"{path}, expression {i}"
        texts = {name: "" if value is None or value != value else str(value) for name, value in row.items()}
        texts["apex"] = texts["apex"].removesuffix(".0")
        yield where, {name: Cell(texts[name], f"{where}, {name}") for name in COLUMNS if name in texts}


def _add(found: StudyRows, where: str, cells: Mapping[str, Cell]) -> None:
    """Use a row, or count it as one that does not count. Raises RowError if one of its cells is faulty."""

    def text(name: str) -> str:
        return cells[name].text if name in cells else ""

    video = _name(cells["video"])
    of_own_video = "face" in cells
    subject = _name(cells["subject"]) if text("subject") or not of_own_video else ""
    status = text("status")
    if "status" in cells and status not in STATUSES:
        raise cells["status"].fault(f"{quoted(status)} is not a status; write {', '.join(STATUSES)}")
    if status and status not in (ACCEPTED, ADDED):
        return found.skip(where, f"{status} in the review")
    if text("face") not in ("", "0"):
        return found.skip(where, "another face than face 0, which is the one that is cropped")
    word = text("kind") or text("type")
    kind = SYNONYMS.get(word.lower(), word.lower()) or MICRO
    if kind not in KINDS:
        if kind in NOT_MICRO:
            return found.skip(where, f"{kind}, which is no expression")
        raise cells["kind" if text("kind") else "type"].fault(
            f"{quoted(word)} is neither micro nor macro; correct it, or leave it empty for micro"
        )
    emotion = " ".join(text("emotion").lower().split())
    if len(emotion) > QUOTED or UNPRINTABLE.search(emotion):
        raise cells["emotion"].fault(f"{quoted(text('emotion'))} is too long or has characters that cannot be shown")
    if UNPRINTABLE.search(text("path")):
        raise cells["path"].fault(f"{quoted(text('path'))} has characters that cannot be shown; rename the video")
    base = cells["frame_base"].whole_number() if "frame_base" in cells else OWN_VIDEO_BASE if of_own_video else None
    if base not in (*FRAME_BASES, None):
        raise cells["frame_base"].fault(f"{base} is neither 0 nor 1, the number of a video's first frame")
    fps = cells["fps"].number(LOWEST_RATE, HIGHEST_RATE) if "fps" in cells else None
    found.rows.append(
        StudyRow(
            where, subject, video,
            {name: cells[name] for name in (*FRAMES, *SECONDS) if name in cells},
            OTHERS if emotion in NO_CLASS else emotion, kind, text("path"), fps, base, bool(status),
            bool(text("score")), of_own_video,
        )
    )  # fmt: skip
    return None


def _name(cell: Cell) -> str:
    """The name of a subject or a video. RowError if it cannot be the name of a folder."""
    name = cell.text
    if not name:
        raise cell.fault("is empty; write the name")
    too_long = len(name.encode("utf-8", "replace")) > LONGEST_NAME
    if too_long or name.startswith(".") or name.endswith((".", " ")) or UNPRINTABLE.search(name):
        raise cell.fault(f"{quoted(name)} cannot be the name of a folder; use letters, digits, - and _")
    if FORBIDDEN.search(name):
        raise cell.fault(f"{quoted(name)} has a character that names of folders cannot have; use the column path")
    return name


def quoted(text: str) -> str:
    """A text as a message shows it: on one line, cut to about `QUOTED` characters."""
    return repr(text if len(text) <= QUOTED else text[: QUOTED - 2] + "..")
