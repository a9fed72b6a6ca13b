"""Reads the cells of .xls and .xlsx workbooks. Messages name workbook, sheet, row and column."""

from __future__ import annotations

import datetime
import io
import math
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from Utils.errors import UNPRINTABLE, InputError, reason_of

LARGEST_FRAME = 100_000_000  # far above any real frame number: a larger one is a typing error
LONGEST_FAULT = 300  # characters of a message about a cell, which itself may hold 32,767
SHEETS_NAMED = 5  # in a message
HEADER_WITHIN = 40  # rows that are not blank in which the header is looked for; SAMM's is near row 14
XLSX_START, XLS_START = b"PK", b"\xd0\xcf\x11\xe0"  # first bytes: of a ZIP archive, of an OLE2 file

# Limits. A workbook of 13 kB can be made so that reading it takes minutes and gigabytes. Real ones stay far below them:
# a row of annotations has about 40 XML tags.
MAX_UNPACKED = 32 * 2**20  # bytes of all parts of an .xlsx together, or of an .xls
MAX_TAGS = 250_000  # XML tags of all parts together; the slowest ones (styles) take 20 us each
MAX_READ = 4 * MAX_TAGS  # sheets times tags of the longest part: sheets may share a part, which is read for each
MAX_ROWS = 4 * 2**20  # of all sheets together, with blank rows; a single sheet may have 1,048,576
MAX_CELLS = 4 * 2**20  # of all sheets together, with blank cells

NUMBER = re.compile(r"[+-]?\d+(\.\d*)?", re.ASCII)  # a number typed as text; float() would also accept `1_2` and `nan`
SHEET = re.compile(rb"<(?:\w+:)?sheet\b")  # an entry in a workbook's list of sheets


class CellError(ValueError):
    """A cell cannot be used. The message names it; its row is left out and reported."""


@dataclass(frozen=True)
class Row:
    """One row of a sheet. `where` is its place: `book.xlsx, sheet 'Sheet1', row 12`. Columns count from 0."""

    cells: tuple
    where: str

    def value(self, column: int):
        """The raw cell: str (stripped of blanks), int, float, bool, datetime or None. None beyond the last cell."""
        value = self.cells[column] if column < len(self.cells) else None
        return value.strip() if isinstance(value, str) else value

    def text(self, column: int, what: str) -> str:
        """The cell as text; a whole number becomes its digits. `what` names the cell in messages.

        Raises CellError if it is empty, a date, a truth value, or has characters that cannot be shown.
        """
        value = self.value(column)
        if value in (None, "") or (isinstance(value, float) and math.isnan(value)):
            raise self.fault(column, f"{what} is empty")
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise self.fault(column, f"{what} is {_shown(value)}, not text")
        if isinstance(value, float) and value.is_integer():
            return str(int(value))
        text = re.sub(r"[\t\r\n]+", " ", str(value))
        if UNPRINTABLE.search(text):
            raise self.fault(column, f"{what} is {_shown(value)}, with characters that cannot be shown")
        return text

    def number(self, column: int, what: str) -> float:
        """The cell as a finite number; a number typed as text is accepted. `what` names the cell in messages.

        Raises CellError if it is empty, no number, or its absolute value is above `LARGEST_FRAME`.
        """
        value = self.value(column)
        if value in (None, ""):
            raise self.fault(column, f"{what} is empty")
        if isinstance(value, str) and NUMBER.fullmatch(value):
            value = float(value)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.fault(column, f"{what} is {_shown(value)}, not a number")
        if not abs(value) <= LARGEST_FRAME:  # `not ... <=` also catches NaN
            raise self.fault(column, f"{what} is {value:g}, not a frame number")
        return float(value)

    def frame(self, column: int, what: str, truncated: bool = False) -> int:
        """The cell as a whole frame number. CellError if it is none, unless fractions are `truncated`."""
        number = self.number(column, what)
        if not truncated and not number.is_integer():
            raise self.fault(column, f"{what} is {number}, not a whole frame number")
        return int(number)

    def holds_number(self, columns: Iterable[int]) -> bool:
        """Whether any of these cells is a number."""
        for column in columns:
            try:
                self.number(column, "")
            except CellError:
                continue
            return True
        return False

    def fault(self, column: int, text: str) -> CellError:
        """The error about one cell, for the caller to raise."""
        text = text if len(text) <= LONGEST_FAULT else f"{text[:LONGEST_FAULT]}..."
        return CellError(f"{self.where}, column {column_letter(column)}: {text}")


@dataclass(frozen=True)
class Table:
    """The part of a sheet from its header row on.

    Attributes
    ----------
    column : dict of str to int
        Index of each requested column, under the name that was requested.
    header : Row
    rows : tuple of Row
        The rows below the header.
    """

    column: dict[str, int]
    header: Row
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Sheet:
    """One sheet: its place (`book.xlsx, sheet 'Sheet1'`), its rows without the blank ones, and its name."""

    where: str
    rows: tuple[Row, ...]
    name: str = ""

    def below_header(self, columns: Sequence[str], search: int = HEADER_WITHIN) -> Table:
        """Find the header row that names all `columns`, among the first `search` rows.

        Names are compared without case and blanks, and `Onset Frame` is the same as `Onset`. If there is no such row,
        raises InputError with the columns that are missing in the row that comes nearest.
        """
        best: list[str] = list(columns)
        for i, row in enumerate(self.rows[:search]):
            found: dict[str, int] = {}
            for j in range(len(row.cells)):
                found.setdefault(column_name(row.value(j)), j)
            missing = [c for c in columns if column_name(c) not in found]
            if not missing:
                indices = {c: found[column_name(c)] for c in columns}
                return Table(indices, row, self.rows[i + 1 :])
            if len(missing) < len(best):
                best = missing
        raise InputError(
            f"{self.where}: no header row with the column(s) {', '.join(best)} in the first {search} rows; "
            "use the workbook as the dataset's authors released it"
        )


def open_workbook(path: Path) -> list[Sheet]:
    """Read every sheet of a workbook: .xls with xlrd, .xlsx with openpyxl. The file's first bytes decide which it is.

    A formula counts as the value that was last computed. Raises InputError if the file is missing, cannot be read, is
    not a workbook, or is too large.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: is not a file; put the workbook of the dataset's release there")
    try:
        with path.open("rb") as file:
            start = file.read(len(XLS_START))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if start.startswith(XLSX_START):
        sheets = _read_xlsx(path)
    elif start.startswith(XLS_START):
        sheets = _read_xls(path)
    else:
        raise InputError(
            f"{path}: is not an Excel workbook (.xls or .xlsx); get the file from the dataset's release again"
        )
    return [Sheet(_where(path, name), rows, name) for name, rows in sheets]


def sheet_named(path: Path, name: str) -> Sheet:
    """The sheet of this name, compared without case and blanks. InputError as `open_workbook`, or if there is none."""
    sheets = open_workbook(path)
    found = next((sheet for sheet in sheets if plain(sheet.name) == plain(name)), None)
    if found is None:
        there = ", ".join(repr(sheet.name) for sheet in sheets[:SHEETS_NAMED])
        raise InputError(
            f"{path}: has no sheet {name!r} (there are: {there}); use the workbook as the dataset's authors released it"
        )
    return found


class _Size:
    """Counts the rows and cells of one workbook's sheets. ValueError if there are too many."""

    def __init__(self) -> None:
        self.rows = self.cells = 0

    def add(self, rows: int, cells: int) -> None:
        self.rows, self.cells = self.rows + rows, self.cells + cells
        if self.rows > MAX_ROWS or self.cells > MAX_CELLS:
            raise ValueError(f"more than {MAX_ROWS} rows or {MAX_CELLS} cells; delete empty rows and columns")


def _rows(cells: Iterable[tuple], where: str, size: _Size) -> tuple[Row, ...]:
    """The rows that are not blank."""
    rows, counted = [], 0
    for i, row in enumerate(cells, start=1):
        if not row and i <= MAX_ROWS:  # it is not in the file: there can be a million of them before a row far below
            continue
        size.add(i - counted, len(row))
        counted = i
        if any(value is not None and value != "" for value in row):
            rows.append(Row(tuple(row), f"{where}, row {i}"))
    return tuple(rows)


def _where(path: Path, sheet: str) -> str:
    return f"{path.name}, sheet {sheet!r}"


def _read_xlsx(path: Path) -> list[tuple[str, tuple[Row, ...]]]:
    import openpyxl  # here, because the evaluation of CSV files needs no workbook library

    try:
        with path.open("rb") as file, warnings.catch_warnings():  # not the path: openpyxl goes by its suffix
            warnings.simplefilter("ignore", UserWarning)  # they are about styles and extensions, which are not used
            _require_small(file)
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)  # read_only: row by row
            sheets, size = [], _Size()
            for sheet in book.worksheets:
                sheet.reset_dimensions()  # some programs write wrong dimensions into the file
                rows = _rows(sheet.iter_rows(values_only=True), _where(path, sheet.title), size)
                sheets.append((sheet.title, rows))
            return sheets
    except (
        zipfile.BadZipFile, zlib.error, KeyError, ValueError, TypeError, AttributeError, IndexError, OSError, EOFError,
        SyntaxError, RuntimeError, AssertionError,
    ) as error:  # fmt: skip
        reason = reason_of(error.__cause__ or error)
        raise InputError(f"{path}: cannot be read as an .xlsx workbook ({reason}); is the file complete?") from None


def _require_small(file) -> None:
    """ValueError if an .xlsx unpacks to more than an annotation workbook can be. Nothing is parsed before this check.

    The sizes in the archive's directory can be trusted: Python reads no more of a part than the size given there.
    """
    with zipfile.ZipFile(file) as parts:
        unpacked = sum(part.file_size for part in parts.infolist())
        if unpacked > MAX_UNPACKED:
            raise ValueError(f"it unpacks to {unpacked >> 20} MiB, more than {MAX_UNPACKED >> 20}")
        contents = [parts.read(part) for part in parts.infolist()]
    tags = [content.count(b"<") for content in contents]
    sheets = sum(len(SHEET.findall(content)) for content in contents)
    if sum(tags) > MAX_TAGS or sheets * max(tags, default=0) > MAX_READ:
        raise ValueError(f"{sum(tags)} XML tags for {sheets} sheet(s); keep the sheets with annotations only")
    file.seek(0)


def _read_xls(path: Path) -> list[tuple[str, tuple[Row, ...]]]:
    import xlrd

    try:
        if path.stat().st_size > MAX_UNPACKED:
            raise ValueError(f"it has {path.stat().st_size >> 20} MiB, more than {MAX_UNPACKED >> 20}")
        book = xlrd.open_workbook(path, logfile=io.StringIO(), ragged_rows=True)
        sheets, size = [], _Size()
        for sheet in book.sheets():
            cells = (tuple(_xls_values(sheet.row(i), book.datemode)) for i in range(sheet.nrows))
            sheets.append((sheet.name, _rows(cells, _where(path, sheet.name), size)))
        return sheets
    except Exception as error:  # on a broken file xlrd raises struct, assertion, index and decoding errors, and more
        raise InputError(
            f"{path}: cannot be read as an .xls workbook ({reason_of(error)}); is it complete, and without a password?"
        ) from None


def _xls_values(cells: Sequence, datemode: int) -> Iterator:
    """Values of xlrd's cells as openpyxl would give them. xlrd gives dates, truth values and errors as numbers."""
    from xlrd import XL_CELL_BOOLEAN, XL_CELL_DATE, XL_CELL_ERROR, error_text_from_code, xldate

    for cell in cells:
        if cell.ctype == XL_CELL_BOOLEAN:
            yield bool(cell.value)
        elif cell.ctype == XL_CELL_ERROR:
            yield error_text_from_code.get(cell.value, "#ERROR!")
        elif cell.ctype == XL_CELL_DATE:
            yield xldate.xldate_as_datetime(cell.value, datemode)
        else:
            yield cell.value


def column_letter(column: int) -> str:
    """The name of a column as spreadsheet programs show it: 0 -> A, 25 -> Z, 26 -> AA."""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def plain(text) -> str:
    """A word in the form in which words are compared: without blanks, in lower case. Empty for None."""
    return "".join(str(text).split()).lower() if text is not None else ""


def column_name(text) -> str:
    """A column's name as it is compared: `Onset`, `OnsetFrame` and `Onset Frame` are the same column."""
    return plain(text).removesuffix("frame")


def _shown(value) -> str:
    """A cell's value as messages show it."""
    return f"the date {value:%Y-%m-%d}" if isinstance(value, datetime.date) else repr(value)
