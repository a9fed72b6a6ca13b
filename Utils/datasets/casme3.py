"""The reader of CAS(ME)^3, Part A (Li et al., TPAMI 2023). What was found in the release: docs/datasets.md, CASME3.

There are two workbooks:

- "micro": the sheet `label`, with the micro-expressions and their emotions;
- "annotations": the sheet `AU+Emotion`, with expressions of both kinds and without emotions. Macro-expressions are read
  from it. The micro-expressions in it are compared with those of the other workbook. Its sheet `eye blink` is not used.

Numbers are stored as text. They are those in the names of the frames' files, so frame 0 is the file `0.jpg`, whether it
exists or not (`Annotations.by_number`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from Utils.datasets.annotations import AnnotatedRow, Annotations, Emotions
from Utils.datasets.readers import KIND_OF_TYPE, LINE_OF_TEXT, OTHER_KIND, emotion_of, frame_columns, is_text
from Utils.datasets.workbooks import CellError, Row, Table, plain, sheet_named
from Utils.errors import InputError
from Utils.records import MACRO, MICRO, OTHERS, Expression

BOTH_KINDS, MICRO_ONLY = "AU+Emotion", "label"  # the sheets
COLUMNS = ("Subject", "Filename", "Onset", "Apex", "Offset")  # in both
TYPE, EMOTION = "Expression type", "emotion"  # columns of the first and of the second sheet
SUBJECT, LETTER = r"(?i:spno)\.\s*(\d+)", r"[A-Za-z]"
NO_EMOTION = ""  # of an expression whose emotion is not annotated: it is spotted, and not recognised


def read_casme3(
    workbooks: Mapping[str, Path], emotions: Emotions, kind: str = MICRO, spotting_only: bool = False
) -> Annotations:
    """CAS(ME)^3, Part A. Parameters: see `readers.py`.

    Where emotions do not matter, micro-expressions are read from the sheet with both kinds if the workbook with the
    emotions is missing.

    An apex that is the onset is taken as unknown: the pair (onset, apex) would be one frame twice, which shows no
    movement. The upstream protocol has it as it is written.
    """
    if kind == MACRO or (spotting_only and "micro" not in workbooks):
        return _read_both_kinds(workbooks["annotations"], kind)
    table = sheet_named(workbooks["micro"], MICRO_ONLY).below_header((*COLUMNS, EMOTION))
    column = table.column[EMOTION]

    def emotion(row: Row) -> str | None:
        if spotting_only:
            return emotions.get(plain(row.value(column))) or OTHERS
        return emotion_of(row, column, emotions)

    found = _read(table, MICRO, emotion)
    if "annotations" in workbooks:
        _compare(found, workbooks["annotations"])
    else:
        found.remarks.append("not compared with the workbook of both kinds of expressions, which is not there")
    return found


def _read_both_kinds(path: Path, kind: str) -> Annotations:
    """The expressions of one kind in the sheet with both kinds. They have no emotion."""
    table = sheet_named(path, BOTH_KINDS).below_header((*COLUMNS, TYPE))
    return _read(table, kind, lambda _: NO_EMOTION, type_column=table.column[TYPE])


def _read(table: Table, kind: str, emotion: Callable[[Row], str | None], type_column: int | None = None) -> Annotations:
    """The expressions of one kind in a sheet. Without `type_column`, all rows are of this kind."""
    name_column, column = table.column["Filename"], frame_columns(table)

    def place(row: Row) -> tuple[str, str]:
        return _subject(row, table.column["Subject"]), _letter(row, name_column)

    found, same = Annotations(by_number=True), []
    for row in table.rows:
        with found.reading(row, place):
            if is_text(row, name_column, LETTER, column.values()):
                found.skip(row.where, LINE_OF_TEXT)
                continue
            if type_column is not None and (of_row := _kind(row, type_column)) != kind:
                found.skip(row.where, OTHER_KIND[of_row])
                continue
            onset, offset = (row.frame(column[what], what) for what in ("onset", "offset"))
            apex = _apex(row, column["apex"], kind)
            if apex == onset:
                same.append(row.where)
            expression = Expression(onset, None if apex == onset else apex, offset, emotion(row), kind=kind)
            found.add(AnnotatedRow(*place(row), expression, row.where, 0, apex), row, column)
    if same:
        found.remarks.append(f"{same[0]}: onset and apex are the same frame, apex taken as unknown{_of(same)}")
    return found


def _subject(row: Row, column: int) -> str:
    """`spNO.<number>`, however it is written. CellError if the cell names no subject."""
    match = re.fullmatch(SUBJECT, row.text(column, "Subject"))
    if match is None:
        raise row.fault(column, f"Subject {row.value(column)!r} is not spNO.<number>")
    return f"spNO.{match[1]}"


def _letter(row: Row, column: int) -> str:
    """The video's letter, small. CellError if the cell is no letter."""
    letter = row.text(column, "Filename")
    if not re.fullmatch(LETTER, letter):
        raise row.fault(column, f"Filename {row.value(column)!r} is not a letter from a to z")
    return letter.lower()


def _apex(row: Row, column: int, kind: str) -> int | None:
    """The number in the apex cell. Of macro-expressions it may be missing (None): only their interval matters."""
    try:
        return row.frame(column, "apex")
    except CellError:
        if kind == MICRO:
            raise
        return None


def _kind(row: Row, column: int) -> str:
    """The kind of a row's expression. CellError if the cell names none."""
    kind = KIND_OF_TYPE.get(plain(row.text(column, TYPE)))
    if kind is None:
        shown = repr(row.value(column))
        raise row.fault(column, f"type {shown} is neither Micro-expression nor Macro-expression")
    return kind


def _compare(found: Annotations, path: Path) -> None:
    """Add remarks on micro-expressions that only one of the two workbooks has.

    The videos that the other workbook names count as named. If it cannot be used, this is only a remark.
    """
    try:
        other = _read_both_kinds(path, MICRO)
    except InputError as error:
        found.remarks.append(f"not compared with the workbook of both kinds of expressions: {error}")
        return
    found.named |= other.named
    here, there = ({_mark(row): row.where for row in rows} for rows in (found.rows, other.rows))
    for ours, theirs, what in ((here, there, path.name), (there, here, "the workbook with the emotions")):
        if lone := [where for mark, where in ours.items() if mark not in theirs]:
            used = "used" if ours is here else "not used"
            found.remarks.append(f"{lone[0]}: {what} has no such micro-expression, {used}{_of(lone)}")


def _mark(row: AnnotatedRow) -> tuple:
    """What is compared between the workbooks."""
    return row.key, row.expression.onset, row.apex_number, row.expression.offset


def _of(places: list[str]) -> str:
    """The end of a remark on the first of several rows."""
    return f" (and {len(places) - 1} more row(s))" if len(places) > 1 else ""
