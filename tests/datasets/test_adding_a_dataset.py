"""The worked example of docs/datasets.md, run as it stands on that page, on the files that the page shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.layouts import write_xlsx
from tests.support.paths import PROJECT
from Utils.datasets import readers, table
from Utils.parsing import parse_settings

HEADING = "## Add a dataset of your own"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FOLDER_LINE = re.compile(r"(?P<folder>\S+)/(?P<letter>[a-z])(?P<first>\d+)\.png \.\.\. [a-z](?P<last>\d+)\.png")


@pytest.fixture(scope="module")
def section() -> str:
    return (PROJECT / "docs/datasets.md").read_text(encoding="utf-8").partition(HEADING)[2]


@pytest.fixture(scope="module")
def blocks(section) -> dict[str, list[str]]:
    """The section's blocks by language: python (reader, entry, what looks at the result), text (files, output)."""
    found: dict[str, list[str]] = {}
    for language, block in BLOCK.findall(section):
        found.setdefault(language, []).append(block)
    assert (len(found["python"]), len(found["text"])) == (3, 2)
    return found


@pytest.fixture
def attic(blocks, section, tmp_path, monkeypatch):
    """The entry in the table of datasets, and below the working directory the files that the page shows."""
    monkeypatch.chdir(tmp_path)
    reader, entry, _ = blocks["python"]
    in_readers = dict(vars(readers))
    exec(reader, in_readers)
    dataset = eval(entry, vars(table) | {"read_attic": in_readers["read_attic"]})
    monkeypatch.setitem(table.DATASETS, dataset.name, dataset)
    make_files(blocks["text"][0])
    write_xlsx(Path("data/ATTIC/attic.xlsx"), [rows_of_table(section)])
    return dataset


def make_files(tree: str) -> None:
    """Empty frames: nothing here looks into them."""
    lines = [FOLDER_LINE.fullmatch(line) for line in tree.splitlines()]
    for line in filter(None, lines):
        folder, digits = Path(line["folder"]), len(line["first"])
        folder.mkdir(parents=True)
        for number in range(int(line["first"]), int(line["last"]) + 1):
            (folder / f"{line['letter']}{number:0{digits}}.png").touch()
    assert lines.count(None) == 1, "the workbook"


def rows_of_table(section: str) -> list[list]:
    """The page's table as a sheet: header and rows, numbers as numbers, empty cells as None."""
    lines = [line for line in section.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "---" not in line]
    return [[int(cell) if cell.isdecimal() else cell or None for cell in row] for row in cells]


def test_the_page_prints_what_it_says(attic, blocks, capsys):
    exec(blocks["python"][2], {})
    assert capsys.readouterr().out == blocks["text"][1]


def test_the_entry_follows_the_rules_of_the_table(attic):
    assert attic.k == int(0.1 * attic.fps + 0.5)
    assert set(attic.emotions.values()) <= {*attic.classes, table.OTHERS, None}


def test_a_faulty_row_is_reported_and_the_others_are_used(attic, section):
    header, first, *others = rows_of_table(section)
    write_xlsx(Path("data/ATTIC/attic.xlsx"), [[header, [*first[:2], "soon", *first[3:]], *others]])
    found = attic.read_annotations({"annotations": Path("data/ATTIC/attic.xlsx")}, attic.emotions)
    assert len(found.rows) == len(others)
    assert [line.partition("row ")[2] for line in found.left_out] == ["2, column C: onset is 'soon', not a number"]


def test_the_command_line_takes_the_name(attic):
    assert parse_settings(["--dataset_name", "ATTIC"], tuple(table.DATASETS)).dataset_name == "ATTIC"
