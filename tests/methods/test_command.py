"""--method and --expression from the command line, on a tiny rendered dataset with both kinds of expressions."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import face_crop
import feature_extraction
import main
from tests.support.command_line import QUICK, only_run
from tests.support.layouts import shared_layout
from tests.support.quicker import tables_only
from Utils.datasets.table import DATASETS
from Utils.evaluation.counts import precision_recall_f1
from Utils.evaluation.metrics import match_intervals
from Utils.methods.table import METHODS
from Utils.parsing import parse_settings
from Utils.records import KINDS
from Utils.work.parallel import run_units

SOFTNET = ["--method", "SOFTNet", "--workers", "1"]


def tables(run: Path) -> tuple[pd.DataFrame, pd.DataFrame, dict]:
    return (
        pd.read_csv(run / "predictions.csv", keep_default_na=False),
        pd.read_csv(run / "ground_truth.csv"),
        json.loads((run / "metrics.json").read_text()),
    )


def count(predictions: pd.DataFrame, truth: pd.DataFrame, kind: str) -> tuple[int, int, int]:
    """TP, FP and FN of one kind, from the rows of the two tables."""
    tp = 0
    of_kind = [table[table["kind"] == kind] for table in (predictions, truth)]
    for video in sorted(set(truth["video"])):
        tp += len(match_intervals(*(t.loc[t["video"] == video, ["onset", "offset"]].to_numpy() for t in of_kind)))
    return tp, len(of_kind[0]) - tp, len(of_kind[1]) - tp


def test_both_kinds_side_by_side(trained):
    run = only_run(trained, "DEMO-SOFTNet-both-train")
    predictions, truth, metrics = tables(run)
    assert truth["kind"].value_counts().to_dict() == {"micro": 2, "macro": 2}
    counts = {kind: count(predictions, truth, kind) for kind in KINDS}
    counts["overall"] = tuple(np.sum(list(counts.values()), axis=0))
    assert list(metrics["by_kind"]) == ["micro", "macro", "overall"]
    for kind, expected in counts.items():
        found = metrics["by_kind"][kind]
        assert (found["tp"], found["fp"], found["fn"]) == expected
        assert (found["precision"], found["recall"], found["f1"]) == precision_recall_f1(*expected)
    assert metrics["by_kind"]["overall"]["ap"] is None and metrics["by_kind"]["micro"]["ap"] is not None
    assert {key: metrics["spotting"][key] for key in ("tp", "fp", "fn")} == {
        key: metrics["by_kind"]["overall"][key] for key in ("tp", "fp", "fn")
    }
    assert metrics["analysis"] is metrics["strs"] is None
    assert sum(row["tp"] for row in metrics["per_video"]) == counts["overall"][0]

    settings = json.loads((run / "settings.json").read_text())
    assert settings["k"] == settings["k_prime"] and settings["k"]["macro"] > 2 * settings["k"]["micro"]
    assert settings["settings"]["batch_size"] == 12
    for kind in KINDS:
        rows = predictions[predictions["kind"] == kind]
        assert set(rows["offset"] - rows["onset"]) <= {2 * settings["k"][kind]}
        lengths = truth.loc[truth["kind"] == kind, "offset"] - truth.loc[truth["kind"] == kind, "onset"]
        assert settings["k"][kind] == int((lengths.mean() + 1) / 2)
        assert (run / f"losses-{kind}.png").is_file() and len(list((run / f"figures-{kind}").iterdir())) == 2
    assert (predictions["emotion"] == "").all()
    megc = pd.read_csv(run / "megc.csv")
    assert megc["type"].tolist() == ["me" if kind == "micro" else "mae" for kind in predictions["kind"]]
    assert "micro-expressions" in (page := (run / "report.html").read_text()) and "macro-expressions" in page


def test_weights_of_each_kind_are_used_again(trained, both_kinds, tmp_path, monkeypatch, capsys):
    """Given the weights of the training, the same command predicts the same. One kind alone is that part of both."""
    run = only_run(trained, "DEMO-SOFTNet-both-train")
    weights = run / "SOFTNet_Weights"
    files = {path.relative_to(weights / "DEMO").as_posix() for path in weights.glob("DEMO/*/*")}
    names = [f"s{n}.weights.h5" for n in (1, 2)] + ["all.weights.h5", "weights.json"]
    assert files == {f"{kind}-expression/{name}" for kind in KINDS for name in names}
    shutil.copytree(trained / "cache", tmp_path / "cache", copy_function=os.link)
    monkeypatch.chdir(tmp_path)
    tables_only(monkeypatch)
    common = [*SOFTNET, "--data_root", str(both_kinds), "--weights_dir", str(weights)]
    assert main.main([*common, "--expression", "both"]) == 0
    assert main.main([*common, "--expression", "macro"]) == 0
    assert main.main([*common, "--protocol", "upstream"]) == 0
    for table in ("predictions.csv", "ground_truth.csv", "megc.csv"):
        assert (only_run(tmp_path, "DEMO-SOFTNet-both") / table).read_bytes() == (run / table).read_bytes()
    both, _, _ = tables(run)
    macro, _, metrics = tables(only_run(tmp_path, "DEMO-SOFTNet-macro"))
    pd.testing.assert_frame_equal(both[both["kind"] == "macro"].reset_index(drop=True), macro)
    assert list(metrics["by_kind"]) == ["macro"]
    micro, _, metrics = tables(only_run(tmp_path, "DEMO-SOFTNet-pretrained"))
    assert "kind" not in micro and metrics["protocol"] == "upstream" and list(metrics["by_kind"]) == ["micro"]
    assert "STRS" not in capsys.readouterr().out.replace(" STRS: spotting", "")


def test_mean_on_macro_expressions(trained, tmp_path, monkeypatch):
    """Trained on macro-expressions alone; their weights are not those of micro-expressions."""
    shutil.copytree(trained / "data", tmp_path / "data", copy_function=os.link)
    monkeypatch.chdir(tmp_path)
    tables_only(monkeypatch)
    assert main.main(["--train", "--expression", "macro", "--workers", "1", *QUICK]) == 0
    run = only_run(tmp_path, "DEMO-macro-train")
    predictions, truth, metrics = tables(run)
    assert set(truth["kind"]) == {"macro"} and list(metrics["by_kind"]) == ["macro"]
    expected = count(predictions, truth, "macro")
    assert tuple(metrics["by_kind"]["macro"][key] for key in ("tp", "fp", "fn")) == expected
    assert metrics["analysis"]["evaluated"] == sum(row["analysed"] for row in metrics["per_video"])
    weights = run / "MEAN_Weights"
    assert {path.name for path in (weights / "DEMO").iterdir()} == {"macro"}
    common = ["--workers", "1", "--weights_dir", str(weights)]
    assert main.main([*common, "--expression", "macro"]) == 0
    again = only_run(tmp_path, "DEMO-macro-pretrained")
    assert (again / "predictions.csv").read_bytes() == (run / "predictions.csv").read_bytes()
    assert main.main(common) == 2, "there are none of micro-expressions"


def refused(arguments: list[str], capsys) -> str:
    """The one line with which a command is refused."""
    try:
        code = main.main(arguments)
    except SystemExit as stopped:
        code = stopped.code
    lines = capsys.readouterr().err.splitlines()
    said = [line for line in lines if not line.startswith("  ")]  # without progress
    assert code == 2 and len(said) == 1 and said[0].startswith("main.py: "), lines
    return said[0]


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--method", "SoftNet"], "invalid choice: 'SoftNet' (choose from 'MEAN', 'SOFTNet'"),
        ([*SOFTNET, "--train", "--ratio", "3"], "--ratio is not for --method SOFTNet: leave it out"),
        ([*SOFTNET, "--train", "--epochs_recog", "3"], "--epochs_recog is not for --method SOFTNet"),
        (["--evaluate", "a.csv", "--expression", "macro"], "--expression is for"),
        (["--dataset_name", "CASME2", "--expression", "macro"], "CASME II annotates no macro-expressions"),
        (
            ["--dataset_name", "SMIC_HS", "--expression", "both"],
            "annotates no macro-expressions; use --expression micro",
        ),
        (["--compare", "flow,MEAN", "--expression", "both"], "--compare: MEAN has no weights in"),
        (["--expression", "both"], "MEAN_Weights/DEMO/macro: no such folder of weights"),
        (
            ["--compare", "MEAN,SOFTNet", "--train", "--batch_size", "32"],
            "--batch_size: with --compare each method has",
        ),
        (["--compare", "flow,displacement", "--train"], "--train is for none of the methods of --compare"),
        (["--compare", "flow, displacement", "--train"], "--train is for none of the methods of --compare"),
        (["--method", "displacement", "--flow", "opencv"], "--flow is not for --method displacement"),
        ([*SOFTNET], "SOFTNet has no weights of its own here"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(flags, line, both_kinds, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(both_kinds, tmp_path / "data", copy_function=os.link)
    assert line in refused(flags, capsys)
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())


def test_weights_that_do_not_fit(trained, both_kinds, tmp_path, monkeypatch, capsys):
    run = only_run(trained, "DEMO-SOFTNet-both-train")
    monkeypatch.chdir(tmp_path)
    common = ["--data_root", str(both_kinds), "--cache_dir", str(trained / "cache"), "--weights_dir", str(tmp_path)]
    folder = tmp_path / "DEMO/micro-expression"
    shutil.copytree(run / "SOFTNet_Weights/DEMO/micro-expression", folder)
    said = refused([*SOFTNET, *common, "--expression", "macro"], capsys)
    assert "DEMO/macro-expression/s1.weights.h5: no weights for subject s15 (fold 1)" in said
    shutil.copyfile(main.__file__.replace("main.py", "MEAN_Weights/DEMO/spot/s1.weights.h5"), folder / "s1.weights.h5")
    assert "s1.weights.h5: does not fit the softnet network" in refused([*SOFTNET, *common], capsys)
    (folder / "weights.json").write_text('{"protocol": "upstream"}')
    assert "were trained under the upstream protocol" in refused([*SOFTNET, *common], capsys)
    (folder / "weights.json").write_text("[]")
    assert "is not a description of weights" in refused([*SOFTNET, *common], capsys)
    assert refused(["--method", "MEAN", *common], capsys).startswith(f"main.py: {tmp_path}/DEMO/spot/s1.weights.h5: no")


def test_methods_side_by_side(trained, both_kinds, tmp_path, monkeypatch, capsys):
    """--compare: a run of each method, and one table with their figures."""
    shutil.copytree(trained / "cache", tmp_path / "cache", copy_function=os.link)
    monkeypatch.chdir(tmp_path)
    tables_only(monkeypatch)
    weights = only_run(trained, "DEMO-SOFTNet-both-train") / "SOFTNet_Weights"
    common = ["--data_root", str(both_kinds), "--weights_dir", str(weights), "--workers", "1", "--expression", "both"]
    methods = ["SOFTNet", "flow", "displacement"]
    assert main.main([*common, "--compare", ",".join(methods)]) == 0
    said = capsys.readouterr().out
    table = pd.read_csv(only_run(tmp_path, "DEMO-both-pretrained") / "comparison.csv")
    kinds = [*KINDS, "overall"]
    assert list(zip(table["method"], table["kind"], strict=True)) == [(m, k) for m in methods for k in kinds]
    for method, mode in zip(methods, ("pretrained", "untrained", "untrained"), strict=True):
        _, _, metrics = tables(only_run(tmp_path, f"DEMO-{method}-both-{mode}"))
        rows = table[table["method"] == method].set_index("kind")
        for kind in kinds:
            expected, found = metrics["by_kind"][kind], rows.loc[kind]
            assert tuple(found[["tp", "fp", "fn"]]) == tuple(expected[key] for key in ("tp", "fp", "fn"))
            assert found["f1"] == pytest.approx(expected["f1"]) and found["f1_low"] <= found["f1"] <= found["f1_high"]
            assert pd.isna(found["difference"]) == (method == "SOFTNet")
            assert f"{method:<13}{kind:<8}{expected['tp']:>5}{expected['fp']:>6}{expected['fn']:>5}" in said
    assert "3 methods on DEMO, paper protocol, 2 subjects" in said


@pytest.mark.parametrize("name", ["CASME_sq", "SAMMLV"])
def test_check_counts_each_kind(name, capsys):
    root = shared_layout(name)
    assert main.main(["--dataset_name", name, "--data_root", str(root), "--check", "--expression", "both"]) == 0
    said = capsys.readouterr().out
    assert "takes part (videos with a micro-expression" in said and "takes part (videos with a macro-expression" in said
    assert "subjects/videos/expressions: here 2/2/2" in said and "2 macro-expressions that can be used" in said


def test_a_run_is_continued_and_workers_do_not_matter(trained, tmp_path, monkeypatch):
    """Two of six folds are gone, as after a kill. Two processes compute them again, and nothing else; same bytes.

    Crops and features are there. This process looks at them, because to start others only for that takes longer.
    """
    shutil.copytree(trained / "cache", tmp_path / "cache")
    folds = sorted((tmp_path / "cache/DEMO/folds").glob("*/*"))
    kept = {fold: (fold / "fold.json").stat().st_mtime_ns for fold in folds[1:5]}
    for fold in (folds[0], folds[5]):
        shutil.rmtree(fold)
    monkeypatch.chdir(tmp_path)
    tables_only(monkeypatch)
    for step in (face_crop, feature_extraction):
        monkeypatch.setattr(step, "run_units", lambda function, jobs, _, *titles: run_units(function, jobs, 1, *titles))
    command = ["--method", "SOFTNet", "--train", "--epochs_spot", "1", "--expression", "both", "--workers", "2"]
    assert main.main([*command, "--data_root", str(trained / "data")]) == 0
    assert sorted((tmp_path / "cache/DEMO/folds").glob("*/*")) == folds
    assert {fold: (fold / "fold.json").stat().st_mtime_ns for fold in kept} == kept
    run, before = only_run(tmp_path, "DEMO-SOFTNet"), only_run(trained, "DEMO-SOFTNet-both-train")
    for name in ("predictions.csv", "ground_truth.csv", "metrics.json"):
        assert (run / name).read_bytes() == (before / name).read_bytes()
    weights = [path.relative_to(run) for path in sorted(run.glob("SOFTNet_Weights/**/*.h5"))]
    assert len(weights) == 6 and all((run / w).read_bytes() == (before / w).read_bytes() for w in weights)


def test_a_switch_that_is_off_is_not_refused():
    settings = parse_settings(["--method", "flow", "--train", "False"], tuple(DATASETS), METHODS)
    assert (settings.method, settings.train, settings.mode) == ("flow", False, "untrained")
