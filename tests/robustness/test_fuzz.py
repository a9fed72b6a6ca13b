"""Fuzzing for seconds: the saved corpus, a little more where atheris is there, and rows and intervals of hypothesis.

For longer: `python -m tests.fuzz --seconds 600`.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import Utils.datasets.readers
from tests.fuzz.targets import TARGETS, cell, check_annotations, check_metrics
from tests.support.paths import TESTS
from Utils.datasets.table import DATASETS
from Utils.datasets.workbooks import Row, Sheet
from Utils.errors import InputError
from Utils.evaluation.csv_files import read_table, write_table
from Utils.evaluation.evaluate import evaluate
from Utils.evaluation.tables import classes_of
from Utils.records import PROTOCOLS
from Utils.settings import PROJECT

CORPUS = TESTS / "fuzz/corpus"
SECONDS, LEAST = 1, 300  # and inputs, for each of the three targets

SAVED = sorted(CORPUS.glob("*/*"))


def test_there_is_a_corpus_for_each_target():
    assert {path.parent.name for path in SAVED} == set(TARGETS)
    assert sum(path.stat().st_size for path in SAVED) < 1_000_000


@pytest.mark.parametrize("name", TARGETS)
def test_saved_inputs(name):
    for path in SAVED:
        if path.parent.name == name:
            TARGETS[name](path.read_bytes())


def test_a_target_does_not_hide_errors(monkeypatch):
    monkeypatch.setattr("tests.fuzz.targets.read_intervals", lambda *_, **__: 1 / 0)
    monkeypatch.setattr("Utils.dataset_run.tables.evaluate_tables", lambda _: None)
    with pytest.raises(ZeroDivisionError):
        TARGETS["csv"](b"\0subject")


@pytest.fixture(scope="module")
def fuzzed() -> subprocess.CompletedProcess:
    """All targets, one after the other. To load what they need takes longer than to fuzz them for a second."""
    command = [sys.executable, "-m", "tests.fuzz", "--seconds", str(SECONDS), "--least", str(LEAST)]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=600)


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris: Linux, Python 3.11 to 3.13")
@pytest.mark.parametrize("name", TARGETS)
def test_fuzzing_for_seconds(name, fuzzed):
    assert fuzzed.returncode == 0, fuzzed.stdout + fuzzed.stderr
    (line,) = (line for line in fuzzed.stdout.splitlines() if line.startswith(f"{name}: "))
    assert int(line.split()[1]) >= LEAST and line.endswith("ok"), fuzzed.stdout  # executions


# Rows of workbooks: good ones of each reader, some cells replaced by anything

GOOD_ROWS = {
    "CASME_sq": [1, "v0101_1", 3, 5, 8, 4, "negative", "micro-expression"],
    "SAMMLV": ["006", "006_1_1", 3, 5, 8, "Micro - 1/2", "Anger"],
    "CASME2": [1, "EP02_01f", 3, 5, 8, "disgust"],
    "SMIC_HS": [1, "s1_ne_01", 103, 108, "negative", 101],
}
HEADERS = {
    "CASME_sq": None,
    "SAMMLV": ["Subject", "Filename", "Onset", "Apex", "Offset", "Type", "Estimated Emotion", "Micro"],
    "CASME2": ["Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Estimated Emotion"],
    "SMIC_HS": ["Subject", "Filename", "OnsetF", "OffsetF", "Emotion", "FirstF"],
}
NUMBERS = st.integers(-3, 30) | st.integers() | st.floats() | st.sampled_from([0, -1, 66, 111, 10**9])
WORDS = st.sampled_from(["/", "s1_ne_01", "006_1_2", "Macro", "macro-expression", "fear", "v0101_2", "../../x"])
CELLS = st.none() | NUMBERS | WORDS | st.text(max_size=6) | st.booleans() | st.datetimes() | st.text().map(cell)


@st.composite
def sheets(draw, name: str) -> list[Sheet]:
    rows = []
    for _ in range(draw(st.integers(1, 4))):
        row = list(GOOD_ROWS[name])
        for column in draw(st.sets(st.integers(0, len(row) - 1), max_size=2)):
            row[column] = draw(CELLS)
        rows.append([*row, "Micro - 1/2"])
    if HEADERS[name]:
        rows.insert(0, HEADERS[name])
    tables = [rows]
    if name == "CASME_sq":
        tables += [[[1, "s1", 1], [2, draw(CELLS), draw(CELLS)]], [["0101", "v0101"], [draw(CELLS), draw(CELLS)]]]
    return [
        Sheet(f"book, sheet {s}", tuple(Row(tuple(r), f"book, row {i}") for i, r in enumerate(table, start=1)))
        for s, table in enumerate(tables)
    ]


@pytest.mark.parametrize("name", GOOD_ROWS)
@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_row_is_used_left_out_or_skipped(name, data):
    dataset, given_sheets = DATASETS[name], data.draw(sheets(name))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Utils.datasets.readers, "open_workbook", lambda path: given_sheets)
        try:
            found = dataset.read_annotations(dict.fromkeys(("annotations", "emotions"), Path("book")), dataset.emotions)
        except InputError:
            return
    check_annotations(dataset, found)
    rows = len(given_sheets[0].rows) - bool(HEADERS[name])
    assert len(found.rows) + len(found.left_out) + sum(map(len, found.skipped.values())) == rows


@pytest.mark.parametrize("name", GOOD_ROWS)
def test_the_good_rows_are_good(name):
    """So that the test before does not only see what is refused."""
    rows = [row for row in (HEADERS[name], [*GOOD_ROWS[name], "Micro - 1/2"]) if row]
    tables = [rows, [[1, "s1", 1]], [["0101", "v0101"]]]
    made = [Sheet("book", tuple(Row(tuple(r), f"book, row {i}") for i, r in enumerate(t))) for t in tables]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Utils.datasets.readers, "open_workbook", lambda path: made)
        dataset = DATASETS[name]
        found = dataset.read_annotations(dict.fromkeys(("annotations", "emotions"), Path("book")), dataset.emotions)
    assert len(found.rows) == 1 and not found.left_out


# Intervals

FRAMES = st.integers(0, 40) | st.integers(0, 10**9)
NAMES = st.sampled_from(["1", "2", "s10", "s9"])


def tables(first_frame: int):
    row = st.tuples(
        NAMES, NAMES, FRAMES, st.integers(0, 60), st.sampled_from(["joy", "fear", None]), st.floats(-5, 5) | st.none()
    )
    return st.lists(row, min_size=1, max_size=8).map(
        lambda rows: pd.DataFrame(
            {
                "subject": [r[0] for r in rows],
                "video": [r[1] for r in rows],
                "onset": [r[2] + first_frame for r in rows],
                "offset": [min(r[2] + first_frame + r[3], 10**9) for r in rows],
                "emotion": [r[4] for r in rows],
                "score": pd.Series([r[5] for r in rows], dtype=float),
            }
        )
    )


@settings(max_examples=300, deadline=None)
@given(tables(first_frame=-10), tables(first_frame=0), st.sampled_from(PROTOCOLS))
def test_metrics_of_any_intervals(predictions, ground_truth, protocol):
    metrics = evaluate(predictions, ground_truth, classes_of(ground_truth), protocol=protocol, k_prime=6)
    check_metrics(metrics)
    spotting = metrics["spotting"]
    if protocol == "paper":  # the authors' code counts some twice
        assert spotting["tp"] + spotting["fn"] == len(ground_truth)
        assert spotting["tp"] + spotting["fp"] == len(predictions)
        assert metrics["analysis"]["evaluated"] <= spotting["tp"]


@settings(max_examples=60, deadline=None)
@given(tables(first_frame=0))
def test_intervals_survive_the_file_and_find_themselves(tmp_path_factory, table):
    path = tmp_path_factory.mktemp("tables") / "t.csv"
    write_table(table, path)
    back = read_table(path, ground_truth=True)
    assert back[["subject", "video", "onset", "offset"]].equals(table[["subject", "video", "onset", "offset"]])
    spotting = evaluate(back, back, classes_of(back))["spotting"]
    assert (spotting["tp"], spotting["fp"], spotting["fn"], spotting["f1"]) == (len(table), 0, 0, 1)
