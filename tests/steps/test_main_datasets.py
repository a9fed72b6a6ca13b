"""The command line on tiny synthetic copies of the six licensed datasets' layouts, with their quirks."""

from __future__ import annotations

import json
import os
import shutil

import pandas as pd
import pytest

import main
from tests.support.command_line import QUICK, only_run
from tests.support.layouts import shared_layout
from Utils.datasets.table import DATASETS
from Utils.settings import DATASET_NAMES

LICENSED = ("CASME_sq", "SAMMLV", "CASME2", "SMIC_HS", "SMIC_VIS", "SMIC_NIR")
UPSTREAM = ("CASME_sq", "CASME2", "SMIC_HS")  # one of each kind of sample and of spotting


@pytest.mark.parametrize("name", LICENSED)
def test_every_dataset_runs_trained_and_pretrained(name, tmp_path, monkeypatch, capsys):
    """End to end on tiny synthetic copies of the six layouts with their quirks, three of them in both protocols."""
    shutil.copytree(shared_layout(name), tmp_path / "data", copy_function=os.link)
    monkeypatch.chdir(tmp_path)
    common = ["--dataset_name", name, "--workers", "1"]
    assert main.main([*common, "--train", "True", *QUICK]) == 0
    run = only_run(tmp_path)
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["spotting"]["tp"] + metrics["spotting"]["fn"] == len(pd.read_csv(run / "ground_truth.csv")) > 0
    assert (metrics["recognition"] is None) == (name in ("CASME_sq", "SAMMLV"))
    weights = ["--weights_dir", str(run / "MEAN_Weights")]
    assert main.main([*common, *weights]) == 0
    again = only_run(tmp_path, f"{name}-pretrained")
    assert (again / "predictions.csv").read_bytes() == (run / "predictions.csv").read_bytes()
    if name not in UPSTREAM:
        return
    capsys.readouterr()
    code = main.main([*common, *weights, "--protocol", "upstream"])
    said = capsys.readouterr()
    assert code == 0, said.err
    newest = max((tmp_path / "runs").glob(f"{name}-pretrained-*"), key=lambda r: r.stat().st_mtime_ns)
    assert json.loads((newest / "metrics.json").read_text())["protocol"] == "upstream"


COUNTS = {"CASME_sq": "5/6/7", "SAMMLV": "5/6/6"} | dict.fromkeys(LICENSED[2:], "5/8/8")  # tests/support/layouts.py


@pytest.mark.parametrize("name", LICENSED)
def test_check_counts_without_computing(name, capsys):
    root = shared_layout(name)
    before = sorted(root.rglob("*"))
    assert main.main(["--dataset_name", name, "--data_root", str(root), "--check", "True", "--workers", "1"]) == 0
    report = capsys.readouterr().out
    assert f"here {COUNTS[name]}: differs" in report and "cannot be used" not in report
    assert sorted(root.rglob("*")) == before


def test_check_of_nothing_fails(tmp_path, capsys):
    assert main.main(["--dataset_name", "CASME2", "--data_root", str(tmp_path / "nowhere"), "--check", "True"]) == 2
    assert "cannot be used" in capsys.readouterr().out


def test_the_command_line_names_every_dataset():
    assert tuple(DATASETS) == DATASET_NAMES
