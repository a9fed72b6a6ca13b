"""Cases of bad workbooks, for the four readers, and of bad CSV files for the evaluator."""

from __future__ import annotations

import datetime
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

from openpyxl import load_workbook

from tests.support.bad_input import BOOKS, RUN, Case, add_weights, flags_for, make_dataset, put
from tests.support.layouts import write_xls, write_xlsx
from Utils.datasets.workbooks import column_letter

# Cells: what the onset's cell has instead, and what the message must say about it

CELLS: dict[str, tuple[object, str]] = {
    "date": (datetime.datetime(2014, 5, 8), "is the date 2014-05-08, not a number"),
    "NaN as text": ("nan", "is 'nan', not a number"),
    "error of Excel": ("#DIV/0!", "is '#DIV/0!', not a number"),
    "huge": (1e300, "is 1e+300, not a frame number"),
    "negative": (-5, "lies before the first frame"),
    "text": ("early", "is 'early', not a number"),
    "long text": ("x" * 30_000, "is 'xxx"),
    "empty": (None, "is empty"),
    "truth value": (True, "is True, not a number"),
    "fraction": (21.5, "not a whole frame number"),
    "formula without a value": ("=1+2", "is empty"),
    "after the offset": (4000, "lies after offset 8"),
    "full-width digits": ("\uff13", "not a number"),
}


def with_cell(name: str, column: int, value: object) -> Callable[[Path], tuple[str, ...]]:
    def spoil(root: Path) -> tuple[str, ...]:
        make_dataset(root, name)
        BOOKS[name].write(root, {column: value})
        return flags_for(name)

    return spoil


def where(name: str, column: int) -> tuple[str, ...]:
    book = BOOKS[name]
    return (Path(book.path).name, f"row {book.row + 1}, column {column_letter(column)}")


CELL_CASES = [
    Case(f"{name}: onset is {fault}", with_cell(name, book.onset, value), (*where(name, book.onset), said))
    for name, book in BOOKS.items()
    for fault, (value, said) in CELLS.items()
]
CELL_CASES += [
    Case(f"{name}: offset is {fault}", with_cell(name, book.offset, CELLS[fault][0]), where(name, book.offset))
    for name, book in BOOKS.items()
    for fault in ("date", "text", "huge")
]
NAMES = {"path": "../../x", "absolute path": "/etc/passwd", "line break": "x\n0101_1", "escape": "v\x1b[2J"}
CELL_CASES += [
    Case(f"{name}: video is a {what}", with_cell(name, book.name, text), (Path(book.path).name, f"row {book.row + 1}"))
    for name, book in BOOKS.items()
    for what, text in NAMES.items()
    if what != "escape"  # openpyxl writes none
]

# Whole workbooks

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # the container of a workbook with a password
DOCTYPE = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">%s]><workbook>&h;</workbook>""" % b"".join(
    b'<!ENTITY %c "%s">' % (letter, b"&%c;" % (letter - 1) * 10) for letter in b"bcdefgh"
)


def file_of(content: bytes) -> Callable[[Path], None]:
    return lambda path: put(path, content) and None


def cut(path: Path) -> None:
    put(path, path.read_bytes()[:-200])


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def dangling_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere.xlsx")


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def blank_sheets(path: Path) -> None:
    path.unlink()
    write_xlsx(path, [[], [], []])


def another_table(path: Path) -> None:
    path.unlink()
    write_xlsx(path, [[["name", "age"], ["Ada", 36]]])


def another_table_as_xls(path: Path) -> None:
    path.unlink()
    write_xls(path, [[["name", "age"], ["Ada", 36]]])


def merged(path: Path) -> None:
    """The cells of the expression's row from the first to the onset: only the first keeps its value."""
    book = load_workbook(path)
    row = book.worksheets[0].max_row
    book.worksheets[0].merge_cells(start_row=row, end_row=row, start_column=1, end_column=4)
    book.save(path)


def rewrite(path: Path, part: str, change: Callable[[bytes], bytes]) -> None:
    """Change one part of an .xlsx."""
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    path.unlink()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, content in parts.items():
            new.writestr(name, change(content) if name == part else content)


def bomb(path: Path) -> None:
    rewrite(path, "xl/worksheets/sheet1.xml", lambda old: old + b" " * (40 << 20))


def many_cells(path: Path) -> None:
    rows = b"<sheetData>" + b"<row><c><v>1</v></c></row>" * 100_000
    rewrite(path, "xl/worksheets/sheet1.xml", lambda old: old.replace(b"<sheetData>", rows))


def far_row(path: Path) -> None:
    row = b'<row r="999999999"><c><v>1</v></c></row></sheetData>'
    rewrite(path, "xl/worksheets/sheet1.xml", lambda old: old.replace(b"</sheetData>", row))


def one_sheet_often(path: Path) -> None:
    def change(old: bytes) -> bytes:
        start, end = old.index(b"<sheet "), old.index(b"</sheets>")
        return old[:start] + old[start : old.index(b"/>", start) + 2] * 3000 + old[end:]

    rewrite(path, "xl/workbook.xml", change)


def entities(path: Path) -> None:
    rewrite(path, "xl/workbook.xml", lambda old: DOCTYPE)


FILES: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing": (Path.unlink, "not found"),
    "0 bytes": (file_of(b""), "is not an Excel workbook"),
    "cut short": (cut, "is the file complete?"),
    "CSV renamed": (file_of(b"Subject,Filename,Onset\n1,EP02_01f,3\n"), "is not an Excel workbook"),
    "HTML as Excel": (file_of(b"<html><table><tr><td>1</td></tr></table></html>"), "is not an Excel workbook"),
    "with a password": (file_of(OLE + bytes(5000)), "without a password?"),
    "a folder": (folder, "is not a file"),
    "a dangling link": (dangling_link, "No such file"),
    "blank sheets": (blank_sheets, ""),
    "another table": (another_table, ""),
    "another table as .xls": (another_table_as_xls, ""),
    "merged cells": (merged, "row"),
    "a zip bomb": (bomb, "it unpacks to 40 MiB"),
    "too many cells": (many_cells, "XML tags"),
    "a row far below": (far_row, "rows"),
    "one sheet 3000 times": (one_sheet_often, "3000 sheet(s)"),
    "billion laughs": (entities, "EntitiesForbidden"),
}
if hasattr(os, "mkfifo"):
    FILES["a pipe"] = (fifo, "is not a file")


def with_file(name: str, change: Callable[[Path], None]) -> Callable[[Path], tuple[str, ...]]:
    def spoil(root: Path) -> tuple[str, ...]:
        make_dataset(root, name)
        change(root / "data" / BOOKS[name].path)
        return flags_for(name)

    return spoil


FILE_CASES = [
    Case(f"{name}: workbook is {fault}", with_file(name, change), (Path(book.path).name, said))
    for name, book in BOOKS.items()
    for fault, (change, said) in FILES.items()
]


def opened_elsewhere(root: Path) -> tuple[str, ...]:
    """Lock files of Excel and LibreOffice are beside the workbook."""
    make_dataset(root)
    (root / "data/CASME_sq/~$code_final.xlsx").write_bytes(b"\x03Ada" + bytes(160))
    (root / "data/CASME_sq/.~lock.code_final.xlsx#").write_text(",ada,here,24.11.2026 00:00,file:///home/ada;")
    return ("--dataset_name", "CASME_sq", "--check", "True", "--workers", "1")


def only_a_lock(root: Path) -> tuple[str, ...]:
    opened_elsewhere(root)
    (root / "data/CASME_sq/code_final.xlsx").unlink()
    return flags_for()


def without_permission(root: Path) -> tuple[str, ...]:
    make_dataset(root)
    (root / "data/CASME_sq/code_final.xlsx").chmod(0)
    return flags_for()


def rows_merged(root: Path) -> tuple[str, ...]:
    """Two rows whose name cells are merged into one: the second is left out with a remark, the first is used."""
    make_dataset(root)
    add_weights(root)
    path = root / "data/CASME_sq/code_final.xlsx"
    book = load_workbook(path)
    book.worksheets[0].append([2, None, 9, 10, 11, *BOOKS["CASME_sq"].sheets[0][0][5:]])
    book.worksheets[0].merge_cells("B2:B3")
    book.save(path)
    return ("--dataset_name", "CASME_sq", *RUN)


def second_book(content: bytes, name: str = "SAMM/SAMM_20181215_Micro_FACS_Codes_v2.xlsx"):
    def spoil(root: Path) -> tuple[str, ...]:
        make_dataset(root, "SAMMLV")
        put(root / "data" / name, content)
        return flags_for("SAMMLV")

    return spoil


WORKBOOKS = [
    *CELL_CASES,
    *FILE_CASES,
    Case("workbook opened elsewhere", opened_elsewhere, ("takes part",), code=0),
    Case("only a lock file", only_a_lock, ("code_final.xlsx: not found",)),
    Case("workbook without permission", without_permission, ("code_final.xlsx", "Permission denied"), as_nobody=True),
    Case("name cells of two rows merged", rows_merged, ("row 3, column B: video is empty",), code=0),
    Case("SAMM's second workbook is no workbook", second_book(b"x"), ("SAMM_20181215", "is not an Excel workbook")),
]

# CSV files for the evaluator

HEAD = "subject,video,onset,offset,emotion\n"
GOOD = HEAD + "1,a,0,9,joy\n"


def csv(predictions: str | bytes, ground_truth: str | bytes = GOOD, *flags: str) -> Callable[[Path], tuple[str, ...]]:
    def spoil(root: Path) -> tuple[str, ...]:
        for name, content in (("p.csv", predictions), ("g.csv", ground_truth)):
            (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return ("--evaluate", "p.csv", "--ground_truth", "g.csv", *flags)

    return spoil


def row(text: str) -> str:
    return GOOD + text + "\n"


LINE_3 = {
    "onset is text": ("1,a,early,9,joy", "column onset"),
    "onset is empty": ("1,a,,9,joy", "column onset"),
    "onset is NaN": ("1,a,nan,9,joy", "column onset"),
    "onset is infinite": ("1,a,inf,9,joy", "column onset"),
    "onset is huge": ("1,a,1e30,9,joy", "column onset"),
    "onset is a fraction": ("1,a,1.5,9,joy", "column onset"),
    "onset has an underscore": ("1,a,1_0,90,joy", "column onset"),
    "onset after offset": ("1,a,10,9,joy", "onset 10 is after offset 9"),
    "offset is a date": ("1,a,1,2014-05-08,joy", "column offset"),
    "no subject": (",a,0,9,joy", "column subject"),
    "no video": ("1,,0,9,joy", "column video"),
    "too few fields": ("1,a,0,9", "4 fields"),
    "too many fields": ("1,a,0,9,joy,fear", "6 fields"),
    "5000 digits as subject": (f"{'9' * 5000},a,0,9,joy", "column subject"),
    "escape in the video": ("1,a\x1b[2J,0,9,joy", "column video"),
    "null byte in the video": ("1,a\0,0,9,joy", ""),
    "line break in the video": ('1,"a\nb",0,9,joy', "column video"),
    "open quote": ('1,"a,0,9,joy', ""),
    "emotion of 300 characters": (f"1,a,0,9,{'x' * 300}", "column emotion"),
}
WHOLE = {
    "empty": (b"", "is empty"),
    "blank lines": (b"\n\n\n", "is empty"),
    "no header": (b"1,a,0,9,joy\n", "line 1"),
    "semicolons": (GOOD.replace(",", ";").encode(), "by commas"),
    "a column twice": (b"subject,video,onset,offset,emotion,onset\n1,a,0,9,joy,0\n", "onset"),
    "a column missing": (b"subject,video,onset,emotion\n1,a,0,joy\n", "no column offset"),
    "UTF-16": (GOOD.encode("utf-16"), "UTF-8"),
    "Latin-1": (row("1,caf\u00e9,0,9,joy").encode("latin-1"), "UTF-8"),
    "a workbook": (b"PK\x03\x04" + bytes(range(256)), "p.csv"),
    "zeros": (bytes(5000), "p.csv"),
    "a field of 200 kB": (row(f"1,a,0,9,{'x' * 200_000}").encode(), "p.csv"),
}
FULL = HEAD + "".join(f"1,a,{i},{i + 9},joy\n" for i in range(1100))


def not_there(root: Path) -> tuple[str, ...]:
    return (*csv(GOOD)(root)[:-1], "nowhere.csv")


def is_folder(root: Path) -> tuple[str, ...]:
    csv(GOOD)(root)
    (root / "d.csv").mkdir()
    return ("--evaluate", "d.csv", "--ground_truth", "g.csv")


def not_readable(root: Path) -> tuple[str, ...]:
    flags = csv(GOOD)(root)
    (root / "p.csv").chmod(0)
    return flags


CSV_FILES = [
    *(Case(f"CSV: {name}", csv(row(text)), ("p.csv, line 3", said)) for name, (text, said) in LINE_3.items()),
    *(Case(f"CSV: {name}", csv(content), ("p.csv", said)) for name, (content, said) in WHOLE.items()),
    Case("CSV: not there", not_there, ("nowhere.csv", "no such file")),
    Case("CSV: a folder", is_folder, ("d.csv", "cannot be read")),
    Case("CSV: without permission", not_readable, ("p.csv", "Permission denied"), as_nobody=True),
    Case("CSV: no annotation", csv(GOOD, HEAD), ("g.csv", "no annotation")),
    Case("CSV: annotation before frame 0", csv(GOOD, row("1,a,-3,9,joy")), ("g.csv, line 3", "before frame 0")),
    Case("CSV: more than can be compared", csv(FULL, FULL), ("1/a: 1100 predictions and 1100 annotations",)),
    Case(
        "CSV: emotions in the wrong column",
        csv(GOOD, HEAD + "".join(f"1,a,{i},{i + 9},{i}\n" for i in range(200))),
        ("g.csv, column emotion: 200 different",),
    ),
    Case("CSV: unknown class", csv(GOOD, GOOD, "--classes", "fear"), ("--classes", "'fear'")),
    Case("CSV: no prediction", csv(HEAD), ("precision counts as 0",), code=0),
    Case("CSV: a prediction before frame 0", csv(row("1,a,-9,-1,joy")), ("STRS",), code=0),
    Case("CSV: path as video", csv(row("1,../../x,0,9,joy"), row("../..,../../x,0,9,joy")), ("STRS",), code=0),
]
