"""The readers of the datasets' annotation workbooks: one function per layout, as each dataset's authors released it.

That of CAS(ME)^3 is in `casme3.py`.

Layouts and quirks: docs/method.md, section 3. What becomes of a row: `annotations.py`. Every reader takes

- `workbooks`, a mapping of what a workbook holds ("annotations", for SAMM-LV also "emotions") to its path,
- `emotions`, what the workbook's words for emotions stand for, and
- where the dataset annotates both kinds of expressions, `kind`, "micro" or "macro": which of them are read. Rows of the
  other kind are skipped without a further look. And `spotting_only`: True if emotions do not matter. An expression
  whose emotion is missing or unknown is then "others", instead of a fault.

It returns `Annotations` with 0-based frames. It raises `InputError` if a workbook cannot be used at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from Utils.datasets.annotations import AnnotatedRow, Annotations, Emotions, match_key
from Utils.datasets.workbooks import CellError, Row, Sheet, Table, column_name, open_workbook, plain
from Utils.errors import InputError
from Utils.records import KINDS, MACRO, MICRO, OTHERS, Expression

# Reasons for which rows are skipped
LINE_OF_TEXT = "line of text"
OTHER_KIND = {MICRO: "micro-expression", MACRO: "macro-expression"}  # the row's kind, if it is not the one that is read

KIND_OF_TYPE = {type_: kind for kind, type_ in OTHER_KIND.items()}  # CAS(ME)^2's words for the kinds

# Onset, apex and offset (0-based) of the one row of CASME II that is an error of the release
CASME2_MISLABELLED = [65, 110, 110]


def read_casme_sq(
    workbooks: Mapping[str, Path], emotions: Emotions, kind: str = MICRO, spotting_only: bool = False
) -> Annotations:
    """CAS(ME)^2, `code_final.xlsx`: three sheets without headers. Its frame numbers are 1-based.

    Sheet 1 holds the expressions, sheet 2 maps the subject's number to its code, sheet 3 maps the video's name to a
    code of four digits. Offset 0 means that the apex is the offset.
    """
    path = workbooks["annotations"]
    sheets = open_workbook(path)
    if len(sheets) < 3:
        raise InputError(
            f"{path}: has {len(sheets)} sheet(s), three are needed (expressions, subjects, videos); "
            "use the workbook as the dataset's authors released it"
        )
    subjects, codes = _Map(sheets[1], key=2, value=1), _Map(sheets[2], key=1, value=0)
    subject_column, name_column, emotion_column, type_column = 0, 1, 6, 7
    column = {"onset": 2, "apex": 3, "offset": 4}

    def place(row: Row) -> tuple[str, str]:
        subject = subjects.look_up(row, subject_column, row.text(subject_column, "subject"))
        return subject, codes.look_up(row, name_column, row.text(name_column, "video").split("_")[0])

    found = Annotations()
    for row in sheets[0].rows:
        with found.reading(row, place):
            if is_text(row, name_column, r".+_\d+", column.values()):
                found.skip(row.where, LINE_OF_TEXT)
                continue
            of_row = KIND_OF_TYPE.get(plain(row.text(type_column, "type")))
            if of_row is None:
                shown = repr(row.value(type_column))
                raise row.fault(type_column, f"type {shown} is neither micro-expression nor macro-expression")
            if of_row != kind:
                found.skip(row.where, OTHER_KIND[of_row])
                continue
            subject, video = place(row)
            onset, apex, offset = _frames(row, column, ("onset", "apex", "offset"), kind)
            offset = apex if offset == 0 else offset
            if kind == MACRO or spotting_only:
                emotion = emotions.get(plain(row.value(emotion_column))) or OTHERS
            else:
                emotion = emotion_of(row, emotion_column, emotions)
            expression = Expression(onset - 1, _index(apex), offset - 1, emotion, kind=kind)
            # `zfill`: a code that was typed as a number has lost its leading zero
            found.add(AnnotatedRow(subject, video.zfill(4), expression, row.where, apex_number=apex), row, column)
    return found


def _frames(row: Row, column: Mapping[str, int], names: Sequence[str], kind: str) -> tuple[int, int | None, int]:
    """Onset, apex and offset as the workbook counts. `names` are theirs in messages.

    CellError if one of them is no frame number.

    Of macro-expressions, fractions are truncated, as the authors' code does, and the apex may be missing (None), unless
    it stands in for an offset of 0.
    """
    cells = list(zip(column.values(), names, strict=True))
    if kind == MICRO:
        return tuple(row.frame(*cell) for cell in cells)
    onset, offset = (row.frame(*cell, truncated=True) for cell in (cells[0], cells[2]))
    try:
        return onset, row.frame(*cells[1], truncated=True), offset
    except CellError:
        if offset == 0:
            raise
        return onset, None, offset


def _index(number: int | None) -> int | None:
    """A frame number from 1 as an index from 0."""
    return None if number is None else number - 1


class _Map:
    """A sheet without header, read as a map from its column `key` to its column `value`. Pairs may be repeated."""

    def __init__(self, sheet: Sheet, key: int, value: int) -> None:
        self.sheet = sheet
        self.pairs: dict[str, list[str]] = {}
        for row in sheet.rows:
            with suppress(CellError):  # a row in which one of the two cells is empty maps nothing
                values = self.pairs.setdefault(plain(row.text(key, "key")), [])
                if (text := row.text(value, "value")) not in values:
                    values.append(text)
        if not any(self.pairs.values()):
            raise InputError(
                f"{sheet.where}: no row has both columns {key + 1} and {value + 1}; is it the right workbook?"
            )

    def look_up(self, row: Row, column: int, text: str) -> str:
        """The value for `text`, the text of that cell. CellError if there is no value, or more than one."""
        values = self.pairs.get(plain(text), [])
        if len(values) != 1:
            standing = f"stands for {' and '.join(values)}" if values else "has no row"
            raise row.fault(column, f"{text!r} {standing} in {self.sheet.where.rpartition(', ')[2]}")
        return values[0]


def read_sammlv(
    workbooks: Mapping[str, Path], emotions: Emotions, kind: str = MICRO, spotting_only: bool = False
) -> Annotations:
    """SAMM Long Videos: expressions from one workbook, emotions from SAMM's, joined on (Filename, Type). 1-based.

    Rows with onset 0 are skipped. Apex -1 means unknown. Subject and video are taken from the Filename (`006_1_2` is
    subject 006, video 006_1), because the Subject cell may read as a number. Macro-expressions have no emotion
    ("others"). The second workbook is not needed for them, nor if emotions do not matter.
    """
    recognised = kind == MICRO and not spotting_only
    words = _samm_emotions(workbooks["emotions"]) if recognised else {}
    table = _first_sheet(workbooks["annotations"]).below_header(("Filename", "Onset", "Apex", "Offset", "Type"))
    column, name_pattern = frame_columns(table), r"(\d+)_(\d+)_\d+"
    name_column, type_column = table.column["Filename"], table.column["Type"]

    def place(row: Row) -> tuple[str, str]:
        match = re.fullmatch(name_pattern, row.text(name_column, "Filename"))
        if match is None:
            raise row.fault(name_column, f"Filename {row.value(name_column)!r} is not <subject>_<video>_<number>")
        return match[1], f"{match[1]}_{match[2]}"

    found = Annotations()
    for row in table.rows:
        with found.reading(row, place):
            if is_text(row, name_column, name_pattern, column.values()):
                found.skip(row.where, LINE_OF_TEXT)
                continue
            type_ = plain(row.text(type_column, "Type"))
            of_row = next((name for name in KINDS if type_.startswith(name)), None)
            if of_row is None:
                raise row.fault(type_column, f"Type {row.value(type_column)!r} is neither Micro nor Macro")
            if of_row != kind:
                found.skip(row.where, OTHER_KIND[of_row])
                continue
            subject, video = place(row)
            if row.frame(column["onset"], "Onset", truncated=kind == MACRO) == 0:
                found.skip(row.where, "onset 0")
                continue
            onset, apex, offset = _frames(row, column, ("Onset", "Apex", "Offset"), kind)
            emotion = OTHERS
            if kind == MACRO:
                offset = offset or apex
            if recognised:
                word_rows = words.get((plain(row.value(name_column)), type_), [])
                if len({plain(r.value(c)) for r, c in word_rows}) != 1:
                    here = f"{row.value(name_column)}, {row.value(type_column)}"
                    fault = "more than one emotion" if word_rows else "no emotion"
                    raise row.fault(name_column, f"{fault} for ({here}) in {workbooks['emotions'].name}")
                emotion = emotion_of(*word_rows[0], emotions)
            expression = Expression(onset - 1, None if apex == -1 else _index(apex), offset - 1, emotion, kind=kind)
            found.add(AnnotatedRow(subject, video, expression, row.where, apex_number=apex), row, column)
    return found


def _samm_emotions(path: Path) -> dict[tuple[str, str], list[tuple[Row, int]]]:
    """(Filename, Type) -> the cells, as (row, column), with the estimated emotion, from SAMM's FACS codes."""
    table = _first_sheet(path).below_header(("Filename", "Micro", "Estimated Emotion"))
    name, kind, emotion = table.column.values()
    cells: dict[tuple[str, str], list[tuple[Row, int]]] = {}
    for row in table.rows:
        if plain(row.value(emotion)):  # empty in lines of text below the table
            cells.setdefault((plain(row.value(name)), plain(row.value(kind))), []).append((row, emotion))
    return cells


def read_casme2(workbooks: Mapping[str, Path], emotions: Emotions) -> Annotations:
    """CASME II: one sheet with a header. Its frame numbers are 1-based.

    Skipped: emotions that are not evaluated (fear, sadness), the row whose apex is `/`, and the mislabelled row with
    the 0-based frames (65, 110, 110).
    """
    table = _first_sheet(workbooks["annotations"]).below_header(
        ("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Estimated Emotion")
    )
    column, name_column = frame_columns(table), table.column["Filename"]
    subject_column, emotion_column = table.column["Subject"], table.column["Estimated Emotion"]

    def place(row: Row) -> tuple[str, str]:
        return f"sub{row.frame(subject_column, 'Subject'):02d}", row.text(name_column, "Filename")

    found = Annotations()
    for row in table.rows:
        with found.reading(row, place):
            if is_text(row, name_column, r"EP\w+", column.values()):
                found.skip(row.where, LINE_OF_TEXT)
                continue
            subject, video = place(row)
            emotion = emotion_of(row, emotion_column, emotions)
            if emotion is None:
                found.skip(row.where, f"{plain(row.value(emotion_column))} (not evaluated)")
                continue
            if row.value(column["apex"]) == "/":
                found.skip(row.where, "apex /")
                continue
            frames = [row.frame(c, what) - 1 for what, c in column.items()]
            if frames == CASME2_MISLABELLED:
                found.skip(row.where, "labelling error of the release (frames 66, 111, 111)")
                continue
            found.add(AnnotatedRow(subject, video, Expression(*frames, emotion), row.where), row, column)
    return found


def read_smic(workbooks: Mapping[str, Path], emotions: Emotions) -> Annotations:
    """SMIC-E (HS, VIS, NIR): one sheet with a header. Frame numbers are absolute and count from FirstF; no apex.

    Skipped: text below the last sample, and a video's second or third expression in further columns (Onset2F, Offset2F,
    ...). Neither the paper nor the authors' code counts these: the paper has 157 expressions in 157 videos (HS).
    """
    table = _first_sheet(workbooks["annotations"]).below_header(
        ("Subject", "Filename", "OnsetF", "OffsetF", "Emotion", "FirstF")
    )
    name_column, name_pattern = table.column["Filename"], r"s(\d+)_([a-z]+_\d+)"
    subject_column = table.column["Subject"]
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
        return f"s{row.frame(subject_column, 'Subject'):02d}", match[2]

    found = Annotations()
    for row in table.rows:
        with found.reading(row, place):
            if is_text(row, name_column, name_pattern, column.values()):
                found.skip(row.where, LINE_OF_TEXT)
                continue
            subject, video = place(row)
            name = row.text(name_column, "Filename")
            if match_key(subject, "") != match_key(name.split("_")[0], ""):
                fault = row.fault(name_column, f"Filename {name!r} does not begin with the row's subject {subject}")
                found.remarks.append(f"{fault}; the Subject cell counts")
            first = row.frame(table.column["FirstF"], "FirstF")
            onset, offset = row.frame(column["onset"], "OnsetF"), row.frame(column["offset"], "OffsetF")
            emotion = emotion_of(row, table.column["Emotion"], emotions)
            expression = Expression(onset - first, None, offset - first, emotion)
            found.add(AnnotatedRow(subject, video, expression, row.where, first), row, column)
            for j in further:
                if row.holds_number([j]):
                    found.skip(row.where, "further expression of a short video")
    return found


def frame_columns(table: Table) -> dict[str, int]:
    """Indices of the onset, apex and offset columns, under these names."""
    by_name = {column_name(name): index for name, index in table.column.items()}
    return {what: by_name[what] for what in ("onset", "apex", "offset")}


def is_text(row: Row, name_column: int, name_pattern: str, columns: Iterable[int]) -> bool:
    """Whether a row is a remark beside or below the table: it names no video and holds no frame number."""
    name = re.fullmatch(name_pattern, str(row.value(name_column) or ""))
    return name is None and not row.holds_number(columns)


def emotion_of(row: Row, column: int, emotions: Emotions) -> str | None:
    """What the word in a cell stands for. CellError if the dataset does not use that word."""
    word = plain(row.text(column, "emotion"))
    if word not in emotions:
        raise row.fault(column, f"emotion {row.value(column)!r} is not one of {', '.join(emotions)}")
    return emotions[word]


def _first_sheet(path: Path) -> Sheet:
    """The first sheet that is not empty."""
    sheets = [s for s in open_workbook(path) if s.rows]
    if not sheets:
        raise InputError(f"{path}: every sheet is empty; get the file from the dataset's release again")
    return sheets[0]
