"""Workbooks: both formats, wrong types in cells, missing columns and sheets, and files that are not workbooks."""

import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from load_excel import load_annotations
from tests.support.layouts import small_row, write_xls, write_xlsx
from Utils.datasets.annotations import Annotations
from Utils.datasets.table import DATASETS
from Utils.datasets.workbooks import CellError, Row, column_letter, open_workbook
from Utils.errors import InputError


def write_book(root, rows, write=write_xls):
    path = root / "CASME2/CASME2/CASME2_label_Ver_2.xls"
    write(path, [rows])
    return path


HEADER = ["Subject", "Filename", None, "OnsetFrame", "ApexFrame", "OffsetFrame", None, "AUs", "Estimated Emotion"]
GOOD = [1, "EP02_01f", None, 3, 5, 8, None, "4", "disgust"]


@pytest.mark.parametrize("write", [write_xls, write_xlsx])
def test_both_formats_whatever_the_name(tmp_path, write):
    write_book(tmp_path, [HEADER, GOOD], write)  # .xlsx content under the name .xls, too
    (found,) = load_annotations(DATASETS["CASME2"], tmp_path).rows
    assert (found.key, found.expression.onset) == (("sub1", "ep2_1f"), 2)


def test_header_in_other_words(tmp_path):
    header = ["subject", "File name", None, "Onset Frame", "Apex", "OFFSET FRAME", None, None, "Estimated  emotion"]
    write_book(tmp_path, [["A line above"], header, GOOD])
    assert len(load_annotations(DATASETS["CASME2"], tmp_path).rows) == 1


@pytest.mark.parametrize("write", [write_xls, write_xlsx])
@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (datetime.datetime(2014, 5, 8), "onset is the date 2014-05-08, not a number"),
        (True, "onset is True, not a number"),
        ("1_2", "onset is '1_2', not a number"),
        ("nan", "onset is 'nan', not a number"),
        (1.5e12, "onset is 1.5e+12, not a frame number"),
        ("", "onset is empty"),
    ],
)
def test_wrong_types_in_cells(tmp_path, write, cell, message):
    write_book(tmp_path, [HEADER, GOOD, [2, "EP03_01", None, cell, 5, 8, None, "4", "disgust"]], write)
    found = load_annotations(DATASETS["CASME2"], tmp_path)
    assert len(found.rows) == 1
    assert found.left_out == [f"CASME2_label_Ver_2.xls, sheet 'Sheet1', row 3, column D: {message}"]


def test_missing_columns_are_named(tmp_path):
    write_book(tmp_path, [["Subject", "Filename", None, "OnsetFrame"], GOOD])
    with pytest.raises(
        InputError, match=r"Ver_2\.xls, sheet 'Sheet1': no header row with the column\(s\) ApexFrame, Off"
    ):
        load_annotations(DATASETS["CASME2"], tmp_path)


def test_missing_sheets(tmp_path):
    write_xlsx(tmp_path / "CASME_sq/code_final.xlsx", [[small_row(1, "0101")], [[1, "s1", 1]]])
    with pytest.raises(InputError, match=r"has 2 sheet\(s\), three are needed"):
        load_annotations(DATASETS["CASME_sq"], tmp_path)
    write_xlsx(tmp_path / "CASME_sq/code_final.xlsx", [[small_row(1, "0101")], [[1, "s1"]], [["0101", "v0101"]]])
    with pytest.raises(InputError, match=r"sheet 'Sheet2': no row has both columns 3 and 2"):
        load_annotations(DATASETS["CASME_sq"], tmp_path)


def test_workbook_without_any_usable_row(tmp_path):
    write_book(tmp_path, [HEADER, [1, "EP02_01f", None, 9, 5, 8, None, "4", "disgust"]])
    with pytest.raises(
        InputError, match=r"no usable micro-expression; 1 row\(s\) left out .*; the first: .*row 2, column D"
    ):
        load_annotations(DATASETS["CASME2"], tmp_path)
    write_book(tmp_path, [])
    with pytest.raises(InputError, match="every sheet is empty"):
        load_annotations(DATASETS["CASME2"], tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"", b"Subject,Filename\n1,EP02_01f\n", b"<html><table></table></html>", b"PK\x03\x04", b"\xd0\xcf\x11\xe0"],
)
def test_workbook_that_is_none(tmp_path, content):
    path = tmp_path / "book.xlsx"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"book\.xlsx: (is not an Excel workbook|cannot be read as an \.xls)"):
        open_workbook(path)


@pytest.mark.parametrize("write", [write_xls, write_xlsx])
def test_broken_workbook_never_crashes(tmp_path, write):
    """A workbook that is cut anywhere, or has any byte changed, is read or refused. Nothing else may happen."""
    path = write_book(tmp_path, [HEADER, GOOD], write)
    content, rng, refused = path.read_bytes(), np.random.default_rng(0), 0
    for trial in range(80):
        changed = bytearray(content[: rng.integers(8, len(content))] if trial % 2 else content)
        changed[rng.integers(4, len(changed))] ^= int(rng.integers(1, 256))
        path.write_bytes(changed)
        try:
            open_workbook(path)
        except InputError:
            refused += 1
    assert refused > 20


CELLS = st.one_of(
    st.none(), st.text(max_size=8), st.integers(), st.floats(), st.booleans(), st.datetimes(), st.just("#N/A")
)


@given(cells=st.lists(CELLS, max_size=4), column=st.integers(0, 5))
@settings(max_examples=300, deadline=None)
def test_any_cell_is_read_or_refused(cells, column):
    cell = Row(tuple(cells), "book.xlsx, sheet 'S', row 3")
    for read in (cell.text, cell.frame, cell.number):
        try:
            read(column, "onset")
        except CellError as error:
            assert str(error).startswith(f"book.xlsx, sheet 'S', row 3, column {column_letter(column)}: onset is ")


def test_column_letters():
    assert [column_letter(i) for i in (0, 25, 26, 51, 52, 701, 702)] == ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]


def test_summary_of_nothing():
    assert Annotations().summary() == []
