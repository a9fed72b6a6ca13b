"""What is fuzzed: the CSV evaluator, the workbook readers and the parser of frame names.

A target takes bytes. It may raise InputError and nothing else; what it gives back is checked as far as rules are known.
"""

from __future__ import annotations

import atexit
import io
import json
import math
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path

from Utils.dataset_run import tables
from Utils.datasets.annotations import Annotations, match_key
from Utils.datasets.table import DATASETS, Dataset
from Utils.datasets.workbooks import Row, Sheet
from Utils.errors import UNPRINTABLE, InputError
from Utils.evaluation.evaluate import evaluate
from Utils.evaluation.reviews import read_intervals, under_same_keys
from Utils.evaluation.tables import classes_of
from Utils.records import OTHERS, PROTOCOLS, natural_key
from Utils.settings import Settings

READERS = ("CASME_sq", "SAMMLV", "CASME2", "SMIC_HS")
PARTS = ("xl/worksheets/sheet1.xml", "xl/workbook.xml", "xl/sharedStrings.xml", "xl/styles.xml", "[Content_Types].xml")
LONGEST_NAME = 255  # bytes, of a file


@cache
def scratch() -> Path:
    """A folder for the files of this process, in memory if the system has such a folder. It is removed at the end."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="mean-fuzz-", dir=memory if os.access(memory, os.W_OK) else None))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def evaluate_csv(data: bytes) -> None:
    """First byte: the protocol, and whether one table is both. The rest: predictions, a line `%`, ground truth."""
    how, data = data[:1], data[1:]
    predictions, _, ground_truth = data.partition(b"\n%\n")
    paths = scratch() / "p.csv", scratch() / "g.csv"
    paths[0].write_bytes(predictions)
    paths[1].write_bytes(ground_truth or predictions)
    protocol = PROTOCOLS[bool(how) and how[0] % 2]
    settings = Settings(evaluate=paths[0], ground_truth=paths[1], protocol=protocol)
    try:
        with redirect_stdout(io.StringIO()):
            tables.evaluate_tables(settings)
        read = read_intervals(paths[0])[0], read_intervals(paths[1], ground_truth=True)[0]
        read = under_same_keys(*read, ("p.csv", "g.csv"))[:2]
        check_metrics(evaluate(*read, classes_of(read[1]), protocol=protocol, k_prime=6))
    except InputError as error:
        check_message(error)


def check_message(error: InputError) -> None:
    message = str(error)
    assert message and not UNPRINTABLE.search(message) and len(message) < 2000, message


def check_metrics(metrics: dict) -> None:
    json.dumps(metrics, allow_nan=False)
    for part in ("spotting", "analysis"):
        for name in ("precision", "recall", "f1", "uf1", "uar", "accuracy", "ap", "asr"):
            value = metrics[part].get(name)
            assert value is None or -1e-9 <= value <= 1 + 1e-9, (part, name, value)


def read_workbook(data: bytes) -> None:
    """First byte: which reader, and what the rest is: a file, a part of an .xlsx, or cells of sheets."""
    how, data = data[0] if data else 0, data[1:]
    dataset = DATASETS[READERS[how % 4]]
    kind = how // 4 % (len(PARTS) + 2)
    try:
        if kind == 0:
            found = read_file(dataset, data)
        elif kind <= len(PARTS):
            found = read_file(dataset, with_part(PARTS[kind - 1], data))
        else:
            found = read_cells(dataset, data)
    except InputError as error:
        check_message(error)
    else:
        check_annotations(dataset, found)


def read_file(dataset: Dataset, content: bytes) -> Annotations:
    path = scratch() / "book.xlsx"
    path.write_bytes(content)
    return dataset.read_annotations(dict.fromkeys(("annotations", "emotions"), path), dataset.emotions)


@cache
def plain_parts() -> dict[str, bytes]:
    from openpyxl import Workbook

    book = Workbook()
    for rows in ([["s1", 1], ["v", 2]], [["0101", "v0101"]]):
        sheet = book.create_sheet()
        for row in rows:
            sheet.append(row)
    file = io.BytesIO()
    book.save(file)
    with zipfile.ZipFile(file) as parts:
        return {name: parts.read(name) for name in parts.namelist()}


def with_part(name: str, content: bytes) -> bytes:
    """A small .xlsx with another content of one part."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as parts:
        for part, old in (plain_parts() | {name: content}).items():
            parts.writestr(part, content if part == name else old)
    return file.getvalue()


def read_cells(dataset: Dataset, data: bytes) -> Annotations:
    """Lines are rows, tabs separate cells, an empty line ends a sheet; the readers are given the sheets directly."""
    text = data.decode("utf-8", "replace")
    sheets = [
        Sheet(
            f"book, sheet {s}",
            tuple(Row(tuple(map(cell, r.split("\t"))), f"book, row {i}") for i, r in enumerate(rows)),
        )
        for s, rows in enumerate(block.split("\n") for block in text.split("\n\n"))
    ]
    import Utils.datasets.readers

    real, Utils.datasets.readers.open_workbook = Utils.datasets.readers.open_workbook, lambda path: sheets
    try:
        return dataset.read_annotations(dict.fromkeys(("annotations", "emotions"), Path("book")), dataset.emotions)
    finally:
        Utils.datasets.readers.open_workbook = real


def cell(text: str) -> object:
    """What a workbook's library may give for a cell."""
    if text == "":
        return None
    if text in ("TRUE", "FALSE"):
        return text == "TRUE"
    try:
        return int(text[:4000]) if text.lstrip("-").isdecimal() else float(text)
    except ValueError:
        return text


def check_annotations(dataset: Dataset, found: Annotations) -> None:
    for row in found.rows:
        e = row.expression
        assert 0 <= e.onset <= e.offset and (e.apex is None or e.apex >= 0), row
        assert e.emotion in (*dataset.classes, OTHERS), row
        assert not UNPRINTABLE.search(row.subject + row.video), row
    for line in (*found.left_out, *found.remarks, *found.summary()):
        assert not UNPRINTABLE.search(line) and len(line) < 2000, line


def read_names(data: bytes) -> None:
    """The bytes are a frame's name, then after a slash those of a video's folder."""
    name, _, folder = data.partition(b"/")
    name, folder = (os.fsdecode(part.replace(b"\0", b"")[:LONGEST_NAME]) for part in (name, folder))
    folder = folder.replace("\\", "/")
    for dataset in DATASETS.values():
        number = dataset.frame_number(name)
        if number is not None:
            assert number >= 0
            crop = dataset.crop_file(name)
            assert crop.endswith(".jpg") and "/" not in crop and not crop.startswith("."), crop
    natural_key(name)
    assert match_key(name, folder) == match_key(name.upper().lower(), folder) or not name.isascii()
    assert not math.isnan(len(natural_key(folder)))


TARGETS: dict[str, Callable[[bytes], None]] = {"csv": evaluate_csv, "workbook": read_workbook, "names": read_names}
