"""Annotation workbooks of the datasets -> rows that name subject, video and expression, one reader per layout.

Layouts and quirks: docs/method.md, section 3, after each dataset's own release.
A row of which the dataset or the paper says that it does not count is passed over, and counted by reason. A row that
cannot be used is left out, and listed with workbook, sheet, row, column and what is wrong. A workbook that cannot be
used raises `InputError`. Nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from Utils.datasets.workbooks import CellError, Row, Sheet, Table, column_name, open_workbook, plain
from Utils.errors import InputError
from Utils.records import Expression

Emotions = Mapping[str, str | None]  # a workbook's word, in lower case -> class, "others", or None: not evaluated
Place = Callable[[Row], tuple[str, str]]  # the subject and the video that a row names

LINE_OF_TEXT = "line of text"
MACRO = "macro-expression"


@dataclass(frozen=True)
class AnnotatedRow:
    """One annotated micro-expression.

    Attributes
    ----------
    subject, video : str
        As the workbook names them; `key` is what folders are matched with.
    expression : Expression
    where : str
        Workbook, sheet and row.
    first_frame : int
        The number, in the workbook's count, of the frame with index 0.
    apex_number : int or None
        The apex as the workbook has it, also one that means "unknown" (SAMM's -1); None where it has no such column.
    """

    subject: str
    video: str
    expression: Expression
    where: str
    first_frame: int = 1
    apex_number: int | None = None

    @property
    def key(self) -> tuple[str, str]:
        return match_key(self.subject, self.video)


def match_key(subject: str, video: str) -> tuple[str, str]:
    """What a row and a folder are matched by: the names without case and leading zeros (`s1` is `S01`)."""
    return _unpadded(subject), _unpadded(video)


def _unpadded(name: str) -> str:
    return re.sub(r"0*(\d+)", r"\1", name.lower())


@dataclass
class Annotations:
    """What a reader found.

    Attributes
    ----------
    rows : list of AnnotatedRow
        The micro-expressions, in the workbook's order.
    left_out : list of str
        One line per row that names a micro-expression but cannot be used: place and fault.
    passed_over : dict of str to list of str
        Reason -> places of the rows that are not meant: macro-expressions, emotions that are not evaluated, ...
    remarks : list of str
        What is odd about rows that are used.
    named : set of (str, str)
        Keys of the videos that any row names, whether it is used or not.
    workbook_order : bool
        A video's expressions stay in the workbook's order (upstream) instead of being sorted by onset.
    """

    rows: list[AnnotatedRow] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    passed_over: dict[str, list[str]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    named: set[tuple[str, str]] = field(default_factory=set)
    workbook_order: bool = False
    _places: dict[tuple, str] = field(default_factory=dict, repr=False)  # of what `rows` holds

    @contextmanager
    def reading(self, row: Row, place: Place) -> Iterator[None]:
        """Read one row within: a CellError leaves it out. Notes which video it names, as far as that can be read."""
        with suppress(CellError):
            self.named.add(match_key(*place(row)))
        try:
            yield
        except CellError as error:
            self.left_out.append(str(error))

    def pass_over(self, where: str, reason: str) -> None:
        """Count a row that is not meant."""
        self.passed_over.setdefault(reason, []).append(where)

    def add(self, found: AnnotatedRow, row: Row, column: Mapping[str, int]) -> None:
        """Append a micro-expression; CellError if its frames are out of order or if it is there already.

        `column` has the indices of the cells "onset", "apex" and "offset".
        """
        e, first = found.expression, found.first_frame
        onset, offset = e.onset + first, e.offset + first  # as the workbook counts
        if e.onset < 0:
            raise row.fault(column["onset"], f"onset {onset} lies before the first frame {first}")
        if onset > offset:
            raise row.fault(column["onset"], f"onset {onset} lies after offset {offset}")
        if e.apex is not None and e.apex < 0:
            raise row.fault(column["apex"], f"apex {e.apex + first} lies before the first frame {first}")
        first_place = self._places.setdefault((found.key, e), row.where)
        if first_place != row.where:
            raise row.fault(column["onset"], f"the same expression as in {first_place.rpartition(', ')[2]}")
        if e.apex is not None and not e.onset <= e.apex <= e.offset:
            apex = f"apex {e.apex + first} lies outside onset {onset} to offset {offset}"
            self.remarks.append(f"{row.fault(column['apex'], apex)}; the row is used as it is")
        self.rows.append(found)

    def summary(self) -> list[str]:
        """Two lines at most: how many rows were passed over, by reason, and how many were left out."""
        lines = []
        if self.passed_over:
            reasons = ", ".join(f"{len(places)} {reason}" for reason, places in self.passed_over.items())
            lines.append(f"{sum(map(len, self.passed_over.values()))} row(s) passed over by the protocol: {reasons}")
        if self.left_out:
            lines.append(f"{len(self.left_out)} row(s) left out because they are faulty")
        return lines


def as_upstream(annotations: Annotations, shift: int) -> Annotations:
    """The annotations as the authors' published code takes them (docs/method.md, section 7).

    All frames move by `-shift`, and an expression that then begins before frame 0 is dropped; the apex is the
    workbook's number, also one that means "unknown"; the workbook's order is kept.
    """
    rows, passed_over = [], {reason: list(places) for reason, places in annotations.passed_over.items()}
    for row in annotations.rows:
        e = row.expression
        if e.onset < shift:
            passed_over.setdefault("onset at the first frame", []).append(row.where)
            continue
        apex = e.apex if row.apex_number is None else row.apex_number - row.first_frame
        apex = None if apex is None else apex - shift
        rows.append(replace(row, expression=replace(e, onset=e.onset - shift, apex=apex, offset=e.offset - shift)))
    return replace(annotations, rows=rows, passed_over=passed_over, workbook_order=True)


def read_casme_sq(workbooks: Mapping[str, Path], emotions: Emotions) -> Annotations:
    """CAS(ME)^2 `code_final.xlsx`: three sheets without headers; frames are 1-based.

    Sheet 1 holds the expressions, sheet 2 maps subject number to code, sheet 3 maps video name to a four-digit code.
    Offset 0 means that the apex is the offset. Macro-expressions are passed over.
    """
    path = workbooks["annotations"]
    sheets = open_workbook(path)
    if len(sheets) < 3:
        raise InputError(f"{path}: has {len(sheets)} sheet(s), three are needed (expressions, subjects, videos)")
    subjects, codes = _Map(sheets[1], key=2, value=1), _Map(sheets[2], key=1, value=0)
    column = {"onset": 2, "apex": 3, "offset": 4}

    def place(row: Row) -> tuple[str, str]:
        subject = subjects.look_up(row, 0, row.text(0, "subject"))
        return subject, codes.look_up(row, 1, row.text(1, "video").split("_")[0])

    found = Annotations()
    for row in sheets[0].rows:
        with found.reading(row, place):
            if _is_text(row, 1, r".+_\d+", column.values()):
                found.pass_over(row.where, LINE_OF_TEXT)
                continue
            kind = plain(row.text(7, "type"))
            if kind == "macro-expression":
                found.pass_over(row.where, MACRO)
                continue
            if kind != "micro-expression":
                raise row.fault(7, f"type {row.value(7)!r} is neither micro-expression nor macro-expression")
            subject, video = place(row)
            onset, apex, offset = (row.frame(c, what) for what, c in column.items())
            offset = apex if offset == 0 else offset
            expression = Expression(onset - 1, apex - 1, offset - 1, _emotion(row, 6, emotions))
            found.add(AnnotatedRow(subject, video.zfill(4), expression, row.where, apex_number=apex), row, column)
    return found


class _Map:
    """A sheet without header whose column `key` stands for its column `value`, one row per pair or more."""

    def __init__(self, sheet: Sheet, key: int, value: int) -> None:
        self.sheet = sheet
        self.pairs: dict[str, list[str]] = {}
        for row in sheet.rows:
            with suppress(CellError):  # a row without one of the two cells maps nothing
                values = self.pairs.setdefault(plain(row.text(key, "key")), [])
                if (text := row.text(value, "value")) not in values:
                    values.append(text)
        if not any(self.pairs.values()):
            raise InputError(
                f"{sheet.where}: no row has both columns {key + 1} and {value + 1}; is it the right workbook?"
            )

    def look_up(self, row: Row, column: int, text: str) -> str:
        """What `text`, from that cell, stands for; CellError if that is nothing or more than one thing."""
        values = self.pairs.get(plain(text), [])
        if len(values) != 1:
            standing = f"stands for {' and '.join(values)}" if values else "has no row"
            raise row.fault(column, f"{text!r} {standing} in {self.sheet.where.rpartition(', ')[2]}")
        return values[0]


def read_sammlv(workbooks: Mapping[str, Path], emotions: Emotions) -> Annotations:
    """SAMM Long Videos: expressions from one workbook, emotions from SAMM's, joined on (Filename, Type); 1-based.

    Macro rows and onset 0 are passed over; apex -1 means unknown. Subject and video come from Filename (`006_1_2` is
    subject 006, video 006_1), because the Subject cell may read as a number.
    """
    words = _samm_emotions(workbooks["emotions"])
    table = _first_sheet(workbooks["annotations"]).below_header(("Filename", "Onset", "Apex", "Offset", "Type"))
    column, name_pattern = _frame_columns(table), r"(\d+)_(\d+)_\d+"
    name_column, type_column = table.column["Filename"], table.column["Type"]

    def place(row: Row) -> tuple[str, str]:
        match = re.fullmatch(name_pattern, row.text(name_column, "Filename"))
        if match is None:
            raise row.fault(name_column, f"Filename {row.value(name_column)!r} is not <subject>_<video>_<number>")
        return match[1], f"{match[1]}_{match[2]}"

    found = Annotations()
    for row in table.rows:
        with found.reading(row, place):
            if _is_text(row, name_column, name_pattern, column.values()):
                found.pass_over(row.where, LINE_OF_TEXT)
                continue
            kind = plain(row.text(type_column, "Type"))
            if kind.startswith("macro"):
                found.pass_over(row.where, MACRO)
                continue
            if not kind.startswith("micro"):
                raise row.fault(type_column, f"Type {row.value(type_column)!r} is neither Micro nor Macro")
            subject, video = place(row)
            onset = row.frame(column["onset"], "Onset")
            if onset == 0:
                found.pass_over(row.where, "onset 0")
                continue
            apex, offset = row.frame(column["apex"], "Apex"), row.frame(column["offset"], "Offset")
            word_rows = words.get((plain(row.value(name_column)), kind), [])
            if len({plain(r.value(c)) for r, c in word_rows}) != 1:
                here = f"{row.value(name_column)}, {row.value(type_column)}"
                fault = "more than one emotion" if word_rows else "no emotion"
                raise row.fault(name_column, f"{fault} for ({here}) in {workbooks['emotions'].name}")
            emotion = _emotion(*word_rows[0], emotions)
            expression = Expression(onset - 1, None if apex == -1 else apex - 1, offset - 1, emotion)
            found.add(AnnotatedRow(subject, video, expression, row.where, apex_number=apex), row, column)
    return found


def _samm_emotions(path: Path) -> dict[tuple[str, str], list[tuple[Row, int]]]:
    """(Filename, Type) -> cells with the estimated emotion, from SAMM's FACS codes."""
    table = _first_sheet(path).below_header(("Filename", "Micro", "Estimated Emotion"))
    name, kind, emotion = table.column.values()
    cells: dict[tuple[str, str], list[tuple[Row, int]]] = {}
    for row in table.rows:
        if plain(row.value(emotion)):  # lines of text below the table have none
            cells.setdefault((plain(row.value(name)), plain(row.value(kind))), []).append((row, emotion))
    return cells


def read_casme2(workbooks: Mapping[str, Path], emotions: Emotions) -> Annotations:
    """CASME II: one sheet with a header; frames are 1-based.

    Passed over: the row whose apex is `/`, the mislabelled row with 0-based frames (65, 110, 110), and emotions that
    are not evaluated (fear, sadness).
    """
    table = _first_sheet(workbooks["annotations"]).below_header(
        ("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Estimated Emotion")
    )
    column, name_column = _frame_columns(table), table.column["Filename"]

    def place(row: Row) -> tuple[str, str]:
        return f"sub{row.frame(table.column['Subject'], 'Subject'):02d}", row.text(name_column, "Filename")

    found = Annotations()
    for row in table.rows:
        with found.reading(row, place):
            if _is_text(row, name_column, r"EP\w+", column.values()):
                found.pass_over(row.where, LINE_OF_TEXT)
                continue
            subject, video = place(row)
            emotion = _emotion(row, table.column["Estimated Emotion"], emotions)
            if emotion is None:
                found.pass_over(row.where, f"{plain(row.value(table.column['Estimated Emotion']))} (not evaluated)")
                continue
            if row.value(column["apex"]) == "/":
                found.pass_over(row.where, "apex /")
                continue
            frames = [row.frame(c, what) - 1 for what, c in column.items()]
            if frames == [65, 110, 110]:
                found.pass_over(row.where, "labelling error of the release (frames 66, 111, 111)")
                continue
            found.add(AnnotatedRow(subject, video, Expression(*frames, emotion), row.where), row, column)
    return found


def read_smic(workbooks: Mapping[str, Path], emotions: Emotions) -> Annotations:
    """SMIC-E (HS, VIS, NIR): one sheet with a header; frames are absolute and count from FirstF; no apex.

    Passed over: text below the last sample, and a video's second or third expression in further columns (Onset2F,
    Offset2F, ...), which neither the paper nor the authors' code counts: 157 videos, 157 expressions.
    """
    table = _first_sheet(workbooks["annotations"]).below_header(
        ("Subject", "Filename", "OnsetF", "OffsetF", "Emotion", "FirstF")
    )
    name_column, name_pattern = table.column["Filename"], r"s(\d+)_([a-z]+_\d+)"
    column = {"onset": table.column["OnsetF"], "offset": table.column["OffsetF"]}
    further = [
        j
        for j in range(len(table.header.cells))
        if j != column["onset"] and column_name(table.header.value(j)).startswith("onset")
    ]

    def place(row: Row) -> tuple[str, str]:
        match = re.fullmatch(name_pattern, row.text(name_column, "Filename"))
        if match is None:
            raise row.fault(name_column, f"Filename {row.value(name_column)!r} is not s<subject>_<emotion>_<number>")
        return f"s{row.frame(table.column['Subject'], 'Subject'):02d}", match[2]

    found = Annotations()
    for row in table.rows:
        with found.reading(row, place):
            if _is_text(row, name_column, name_pattern, column.values()):
                found.pass_over(row.where, LINE_OF_TEXT)
                continue
            subject, video = place(row)
            name = row.text(name_column, "Filename")
            if match_key(subject, "") != match_key(name.split("_")[0], ""):
                fault = row.fault(name_column, f"Filename {name!r} does not begin with the row's subject {subject}")
                found.remarks.append(f"{fault}; the Subject cell counts")
            first = row.frame(table.column["FirstF"], "FirstF")
            onset, offset = row.frame(column["onset"], "OnsetF"), row.frame(column["offset"], "OffsetF")
            emotion = _emotion(row, table.column["Emotion"], emotions)
            expression = Expression(onset - first, None, offset - first, emotion)
            found.add(AnnotatedRow(subject, video, expression, row.where, first), row, column)
            for _ in filter(lambda j: row.holds_number([j]), further):
                found.pass_over(row.where, "further expression of a short video")
    return found


def _frame_columns(table: Table) -> dict[str, int]:
    """Indices of the onset, apex and offset cells."""
    by_name = {column_name(name): index for name, index in table.column.items()}
    return {what: by_name[what] for what in ("onset", "apex", "offset")}


def _is_text(row: Row, name_column: int, name_pattern: str, frame_columns: Sequence[int]) -> bool:
    """Whether a row is a remark beside or below the table: it names no video and holds no frame number."""
    name = re.fullmatch(name_pattern, str(row.value(name_column) or ""))
    return name is None and not row.holds_number(frame_columns)


def _emotion(row: Row, column: int, emotions: Emotions) -> str | None:
    """What the word in a cell stands for; CellError for one that the dataset does not use."""
    word = plain(row.text(column, "emotion"))
    if word not in emotions:
        raise row.fault(column, f"emotion {row.value(column)!r} is none of {', '.join(emotions)}")
    return emotions[word]


def _first_sheet(path: Path) -> Sheet:
    sheets = [s for s in open_workbook(path) if s.rows]
    if not sheets:
        raise InputError(f"{path}: every sheet is empty")
    return sheets[0]
