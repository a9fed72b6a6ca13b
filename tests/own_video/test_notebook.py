"""docs/own_video.ipynb: its cells run in a temporary folder, and what is saved in it is small and of no machine."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest

from tests.support.paths import PROJECT

NOTEBOOK = PROJECT / "docs/own_video.ipynb"
LARGEST = 100_000  # bytes
OF_A_MACHINE = re.compile(r"/tmp|/home|/root|/work|/Users|site-packages|[A-Z]:\\\\")


@pytest.fixture(scope="module")
def notebook() -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def code_of(notebook) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def executed(source: str, names: dict) -> str:
    """Run a cell, as Jupyter does. Returns what its last line shows; "" if it shows nothing."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    value = None if last is None else eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    return "" if value is None else repr(value)


class Run:
    """The notebook after a run: its names, and for each cell of code what it showed."""

    def __init__(self, cells) -> None:
        self.names: dict = {}
        self.shown = [executed(cell.source, self.names) for cell in cells]


@pytest.fixture(scope="module")
def run(notebook, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("docs"))
        patch.setattr(sys, "path", [*sys.path])
        patch.setattr(plt, "show", lambda: None)
        plt.switch_backend("agg")
        with pd.option_context("display.width", 80, "display.max_columns", 20):  # as in Jupyter
            made = Run(code_of(notebook))
    yield made
    plt.close(made.names["figure"])
    made.names["place"].cleanup()


def saved(cell) -> str:
    """What a cell showed when the notebook was saved."""
    return "".join(o.data["text/plain"] for o in cell.outputs if o.output_type == "execute_result")


def test_the_notebook_is_valid_and_has_been_run_from_its_beginning(notebook):
    nbformat.validate(notebook)
    assert [cell.execution_count for cell in code_of(notebook)] == list(range(1, len(code_of(notebook)) + 1))
    assert not [o for cell in code_of(notebook) for o in cell.outputs if o.output_type == "error" or "stderr" in str(o)]


def test_it_is_small_and_of_no_machine():
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert len(text.encode()) < LARGEST
    assert not OF_A_MACHINE.findall(re.sub(r'"image/png": "[^"]*"', "", text))


def test_what_is_saved_is_what_a_run_shows(notebook, run):
    """Numbers may differ in their last digits on another machine, so their words and columns are compared."""
    for cell, shown in zip(code_of(notebook), run.shown, strict=True):
        words = re.findall(r"[A-Za-z_]{2,}", saved(cell))
        assert words == re.findall(r"[A-Za-z_]{2,}", shown), cell.source


def test_both_micro_expressions_are_found(run):
    table, events = run.names["table"], run.names["events"]
    assert len(table) == len(events) == 2
    assert all(abs(row.apex - event.apex) <= 3 for row, event in zip(table.itertuples(), events, strict=True))


def test_tables_of_other_programs_are_joined_frame_by_frame(run):
    frames, smile = run.names["frames"], run.names["smile"]
    openface, pyfeat = run.names["with_openface"], run.names["with_pyfeat"]
    assert len(openface) == len(pyfeat) == len(frames) == 120
    np.testing.assert_array_equal(openface["frame_openface"], openface["frame"] + 1)
    np.testing.assert_allclose(openface["timestamp_openface"], openface["timestamp"], atol=6e-4)
    np.testing.assert_allclose(openface["AU12_r"], smile[openface["source_frame"]], atol=6e-3)
    np.testing.assert_allclose(pyfeat["AU12"], smile[pyfeat["source_frame"]] / 2)


def test_the_corrected_table_is_compared(run):
    spotting, analysis = run.names["metrics"]["spotting"], run.names["metrics"]["analysis"]
    assert (spotting["tp"], spotting["fp"], spotting["fn"]) == (2, 0, 1)
    assert (analysis["evaluated"], analysis["correct"]) == (2, 1)


def test_the_corrected_elan_file_says_the_same(run):
    metrics, of_eaf = run.names["metrics"], run.names["metrics_of_eaf"]
    assert of_eaf["spotting"] == metrics["spotting"] and of_eaf["analysis"] == metrics["analysis"]
    columns = ["subject", "video", "onset", "offset", "emotion"]
    in_order = run.names["corrected"].sort_values("onset")[columns].reset_index(drop=True)
    pd.testing.assert_frame_equal(run.names["from_elan"][columns], in_order)


def test_nothing_is_written_beside_the_notebook(run):
    assert Path(run.names["place"].name).is_dir()
    made = {path.name for path in Path(run.names["place"].name).iterdir()}
    assert made == {"synthetic.mp4", "synthetic_openface.csv", "synthetic_pyfeat.csv", "corrected.csv", "corrected.eaf"}
