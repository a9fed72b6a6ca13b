"""The summary of repeated runs: the spread of seeds, and that of subjects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.support.random_tables import CLASSES, random_tables
from Utils.dataset_run.summaries import summarise_runs
from Utils.evaluation.evaluate import compare
from Utils.evaluation.kinds import spotting_only
from Utils.settings import Settings


def runs(n: int) -> list:
    """Evaluations of n runs on 12 subjects; each misses other predictions of the same table."""
    predictions, truth, videos = random_tables(1, subjects=12, videos=40)
    found = [compare(predictions[predictions.index % 5 != i], truth, CLASSES, videos=videos) for i in range(n)]
    return [replace(e, metrics=e.metrics | {"seed": i + 1}) for i, e in enumerate(found)]


def test_both_spreads(tmp_path, capsys):
    evaluations = runs(3)
    folder = summarise_runs(Settings(output_dir=tmp_path, train=True, runs=3), evaluations)
    table = pd.read_csv(folder / "summary.csv", index_col="figure")
    assert list(table.columns) == ["mean", "sd", "sd_subjects", "low", "high", "n"]
    for name, row in table[table["sd_subjects"].notna()].iterrows():
        assert row["low"] <= row["mean"] <= row["high"] and row["sd_subjects"] > 0, name
    values = [e.metrics["spotting"]["f1"] for e in evaluations]
    assert table.loc["spotting_f1", "mean"] == pytest.approx(np.mean(values))
    assert table.loc["spotting_f1", "sd"] == pytest.approx(np.std(values, ddof=1))
    low, high = evaluations[0].metrics["intervals"]["spotting"]["f1"]
    assert table.loc["spotting_f1", "high"] - table.loc["spotting_f1", "low"] == pytest.approx(high - low, abs=0.05)
    assert table.loc["spotting_tp", "sd_subjects":"high"].isna().all()  # a count has no interval
    said = capsys.readouterr().out
    assert "sd seeds" in said and "sd subjects" in said and "by a bootstrap over 12 subjects" in said
    assert max(map(len, said.split("\n  the summary")[0].splitlines())) <= 80


def test_a_figure_that_no_run_has_has_no_spread(tmp_path):
    evaluations = [replace(e, metrics=spotting_only(e.metrics)) for e in runs(2)]
    table = pd.read_csv(summarise_runs(Settings(output_dir=tmp_path), evaluations) / "summary.csv", index_col="figure")
    assert table.loc["strs"].drop("n").isna().all() and not any(table.index.str.startswith("analysis"))
    assert table.loc["spotting_f1"].notna().all()
