"""Predictions and ground truth as CSV files: UTF-8 (with or without byte order mark), commas, a header line."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TextIO

import pandas as pd

from Utils.errors import UNPRINTABLE, InputError
from Utils.evaluation.tables import (
    FRAME_COLUMNS,
    KEY_COLUMNS,
    MAX_EMOTIONS,
    MAX_FRAME,
    MAX_NAME,
    NUMBER_COLUMNS,
    REQUIRED_COLUMNS,
)
from Utils.work.cache import atomic_file

# A review: a table that the report page exports after a person looked at the expressions
REVIEW_COLUMNS = ("status", "coder", "reviewed_at")  # that make a table a review
ACCEPTED, REJECTED, ADDED, UNREVIEWED = STATUSES = ("accepted", "rejected", "added", "unreviewed")
MAX_QUOTED = 30  # characters of a field that a message quotes


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table as CSV. The file appears whole or not at all.

    Raises
    ------
    InputError
        The file cannot be written there.
    """
    try:
        with atomic_file(Path(path)) as scratch:
            table.to_csv(scratch, index=False, encoding="utf-8", lineterminator="\n")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}); choose another place") from error


def is_review(columns: Iterable[str]) -> bool:
    """Whether a table with these columns is a review."""
    return set(REVIEW_COLUMNS) <= set(columns)


def read_table(path: str | Path, *, ground_truth: bool = False) -> pd.DataFrame:
    """Read and check a predictions or ground-truth CSV.

    Parameters
    ----------
    path : path
        The CSV file.
    ground_truth : bool
        Whether the table holds annotations. Then there must be at least one row, and none may start before frame 0,
        except in a review, because a predicted interval may, and a coder may accept it.

    Returns
    -------
    DataFrame
        The file's columns: keys as str, frames as int64, other known numbers as float64 (NaN where empty), emotion as
        str or None. Columns without a name and empty lines are left out. A table of an own video, which has a column
        `face`, may be without the column `subject`, or have nothing in it.

    Raises
    ------
    InputError
        The file or one of its fields cannot be used. The message names file, line and column, and what to do.
    """
    path = Path(path)
    header, lines, rows = read_fields(path)
    if repeated := sorted({name for name in header if name and header.count(name) > 1}):
        raise InputError(f"{path}, line 1: column {', '.join(repeated)} is there more than once; keep one")
    optional = ("subject",) if "face" in header else ()
    if missing := [name for name in REQUIRED_COLUMNS if name not in (*header, *optional)]:
        hint = "; separate the columns by commas" if len(header) == 1 and re.search(r"[;\t|]", header[0]) else ""
        raise InputError(
            f"{path}, line 1: no column {', '.join(missing)} (needed are {', '.join(REQUIRED_COLUMNS)}){hint}"
        )
    if ground_truth and not rows:
        raise InputError(f"{path}: has a header and no annotation; give a file with at least one row")

    columns = {
        name: [
            text if not text and name in optional else _parse(text, name, path, line)
            for line, text in zip(lines, fields, strict=True)
        ]
        for name, fields in zip(header, zip(*rows, strict=True) if rows else [()] * len(header), strict=True)
        if name
    }
    if len(emotions := set(columns["emotion"])) > MAX_EMOTIONS:
        raise InputError(f"{path}, column emotion: {len(emotions)} different emotions; is it the right column?")
    for line, onset, offset in zip(lines, columns["onset"], columns["offset"], strict=True):
        if onset > offset:
            raise InputError(f"{path}, line {line}: onset {onset} is after offset {offset}; correct or remove the row")
        if ground_truth and onset < 0 and not is_review(columns):
            raise InputError(f"{path}, line {line}, column onset: {onset} is before frame 0; frames count from 0")
    if is_review(columns):
        for i, line in enumerate(lines):
            _check_review({name: columns[name][i] for name in REVIEW_COLUMNS}, path, line)
    return pd.DataFrame({name: pd.Series(values, dtype=_dtype(name)) for name, values in columns.items()})


def read_fields(path: Path, needed: Sequence[str] = REQUIRED_COLUMNS) -> tuple[list[str], list[int], list[list[str]]]:
    """The header of a CSV file, the line number of each row, and the rows' fields, without blanks around them.

    If a quoted field has several lines, the row's number is that of the first one. `needed` are the columns that the
    message about an empty file names. Raises InputError if the file cannot be read or is not CSV.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return parse_fields(file, str(path), needed)
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file; check the path") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text (byte {error.start}); save it as CSV in UTF-8") from error


def parse_fields(file: TextIO, name: str, needed: Sequence[str]) -> tuple[list[str], list[int], list[list[str]]]:
    """What `read_fields` returns, of an open file with the name `name` in messages. InputError if it is not CSV."""
    lines: list[int] = []
    rows: list[list[str]] = []
    reader = csv.reader(file, strict=True, skipinitialspace=True)
    try:
        header = [field.strip() for field in next(reader, [])]
        line = reader.line_num + 1
        for fields in reader:
            if any(field.strip() for field in fields):
                if len(fields) != len(header):
                    raise InputError(
                        f"{name}, line {line}: {len(fields)} fields where the header has {len(header)}; "
                        "put a field that contains a comma in double quotes"
                    )
                lines.append(line)
                rows.append([field.strip() for field in fields])
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{name}, line {reader.line_num}: is not CSV ({error}); save it as CSV in UTF-8") from error
    if not any(header):
        raise InputError(f"{name}: is empty; its first line must name the columns {', '.join(needed)}")
    if "\0" in "".join(header):
        raise InputError(f"{name}: is not a text file; save it as CSV in UTF-8")
    if any(len(field) > MAX_NAME or UNPRINTABLE.search(field) for field in header):
        raise InputError(
            f"{name}, line 1: a column's name is too long or has characters that cannot be shown; rename it"
        )
    return header, lines, rows


def _dtype(column: str) -> str:
    if column in FRAME_COLUMNS:
        return "int64"
    return "float64" if column in NUMBER_COLUMNS else "object"


def _parse(text: str, column: str, path: Path, line: int):
    """The value of one field. InputError, with its place and what it must be, if it cannot be used."""
    where = f"{path}, line {line}, column {column}"
    if column in KEY_COLUMNS and not text:
        raise InputError(f"{where}: is empty; name the {column}")
    if column in (*KEY_COLUMNS, "emotion") and (len(text) > MAX_NAME or UNPRINTABLE.search(text)):
        raise InputError(f"{where}: {_shown(text)} is too long or has characters that cannot be shown; rename it")
    if column == "emotion":
        return text or None
    if column not in FRAME_COLUMNS and column not in NUMBER_COLUMNS:
        return text
    if column in NUMBER_COLUMNS and text.lower() in ("", "nan"):
        return math.nan
    try:
        number = float(text) if "_" not in text else math.nan  # Python would read `1_0` as 10
    except ValueError:
        number = math.nan
    if column in NUMBER_COLUMNS:
        if not math.isfinite(number):
            raise InputError(f"{where}: {_shown(text)} is not a number; write a number or leave it empty")
        return number
    if not number.is_integer() or abs(number) > MAX_FRAME:  # NaN and infinity are not integers
        raise InputError(f"{where}: {_shown(text)} is not a frame number; write a whole number")
    return int(number)


def _check_review(fields: dict[str, str], path: Path, line: int) -> None:
    """Raise InputError if a row of a review has an unknown status or a wrong date."""
    status, when = fields["status"], fields["reviewed_at"]
    if status not in STATUSES:
        raise InputError(
            f"{path}, line {line}, column status: {_shown(status)} is not a status; write {', '.join(STATUSES)}"
        )
    try:
        if when:
            datetime.fromisoformat(re.sub("Z$", "+00:00", when))  # Python 3.10 does not know the Z
    except ValueError:
        raise InputError(
            f"{path}, line {line}, column reviewed_at: {_shown(when)} is not a date; write one such as "
            "2026-11-25T14:30:00+01:00, or leave it empty"
        ) from None


def _shown(text: str) -> str:
    """A field as a message quotes it: on one line, cut to about `MAX_QUOTED` characters."""
    return repr(text if len(text) <= MAX_QUOTED else text[: MAX_QUOTED - 3] + "..")
