"""The command line on the tiny copy of CAS(ME)^3: training, both kinds of expressions, classes, k', and resuming."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import main
from tests.support.command_line import only_run
from tests.support.layouts import make_small, small_clip, small_row
from tests.support.layouts_casme3 import EXPRESSIONS, FRAMES, K_PRIME, MACROS, THREE, shared_casme3
from tests.support.quicker import tables_only

NAME, K, FPS = "CASME3", 3, 30
COMMON = ("--dataset_name", NAME, "--workers", "1")
QUICK = ("--train", "--epochs_spot", "2", "--epochs_recog", "1")
CLASSES = {
    "3": ["negative", "positive", "surprise"],
    "4": ["negative", "positive", "surprise", "others"],
    "7": ["disgust", "fear", "anger", "sad", "happy", "surprise", "others"],
}
MACRO_K_PRIME = 11  # lengths 28, 21, 16: the median is 21


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A working directory with the data."""
    shutil.copytree(shared_casme3(), tmp_path / "data", copy_function=os.link)
    monkeypatch.chdir(tmp_path)
    tables_only(monkeypatch)
    return tmp_path


def table(run: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(run / f"{name}.csv", keep_default_na=False)


def read(path: Path) -> dict:
    return json.loads(path.read_text())


def intervals(expressions: dict, words: dict) -> list[tuple]:
    """Rows of ground_truth.csv."""
    return [(*label.split("/"), e[0], e[2], words[e[3]]) for label, of in expressions.items() for e in of]


def rows(truth: pd.DataFrame) -> list[tuple]:
    return list(truth[["subject", "video", "onset", "offset", "emotion"]].itertuples(index=False, name=None))


def newest(place: Path) -> Path:
    """The folder of the last run."""
    return max((place / "runs").iterdir(), key=lambda folder: folder.stat().st_mtime_ns)


def files(folder: Path) -> dict[str, bytes]:
    names = ("predictions.csv", "ground_truth.csv", "megc.csv", "metrics.json")
    return {name: (folder / name).read_bytes() for name in names}


def test_both_kinds_are_trained_continued_and_used(place, capsys):
    common = (*COMMON, "--expression", "both")
    assert main.main([*common, *QUICK]) == 0
    said = capsys.readouterr().out
    assert "2 subjects, 3 videos, 6 micro-expressions" in said and "2 subjects, 2 videos, 3 macro-expressions" in said
    assert f"k = {K} and k' = {K_PRIME['median']} frames at {FPS} frames per second" in said
    run = only_run(place)
    about = read(run / "settings.json")
    assert about["k_prime"] == {"micro": K_PRIME["median"], "macro": MACRO_K_PRIME}
    assert (about["settings"]["half_length_from"], about["classes"]) == ("median", CLASSES["3"])
    truth = table(run, "ground_truth")
    assert rows(truth) == intervals(EXPRESSIONS, THREE) + intervals(MACROS, THREE)
    for kind, folder in (("micro", NAME), ("macro", f"{NAME}/macro")):
        description = read(run / "MEAN_Weights" / folder / "weights.json")
        assert (description["classes"], description["k_prime"]) == (CLASSES["3"], about["k_prime"][kind])
    remarks = (run / "remarks.txt").read_text()
    assert remarks.count("image(s) cannot be read") == 2 and remarks.count("frame number(s) missing") == 3
    features = {p.parts[3] + "/" + p.parts[4]: p for p in Path("cache", NAME, "features").glob("*/*/[0-9a-f]*/f*.npy")}
    assert {v: len(np.load(p)) for v, p in features.items()} == {v: n - K for v, n in FRAMES.items()}

    before = {path: path.stat().st_mtime_ns for path in Path("cache").rglob("*") if path.is_file()}
    assert main.main([*common, *QUICK]) == 0  # everything is taken from the cache
    assert {path: path.stat().st_mtime_ns for path in Path("cache").rglob("*") if path.is_file()} == before
    (again,) = (folder for folder in (place / "runs").iterdir() if folder != run)
    assert files(again) == files(run)
    assert main.main([*COMMON, "--weights_dir", str(run / "MEAN_Weights")]) == 0
    loaded, columns = table(only_run(place, f"{NAME}-pretrained"), "predictions"), ["video", "onset", "offset", "score"]
    micro = table(run, "predictions").query("kind == 'micro'")
    assert len(loaded) and loaded[columns].values.tolist() == micro[columns].values.tolist()


def test_the_classes_of_a_run(place, capsys):
    """Every choice is another result in the cache, and takes the same features."""
    weights = ("--weights_dir", "w")
    for choice, words in (("4", THREE), ("7", {word: word for word in THREE})):
        assert main.main([*COMMON, *QUICK, *weights, "--classes", choice]) == 0
        run = newest(place)
        assert rows(table(run, "ground_truth")) == intervals(EXPRESSIONS, words)
        assert set(table(run, "predictions")["emotion"]) <= set(CLASSES[choice])
        about = read(run / "settings.json")
        assert (about["classes"], about["settings"]["classes"]) == (CLASSES[choice], choice)
        assert read(Path("w", NAME, "weights.json"))["classes"] == CLASSES[choice]
    found = {np.load(path).shape[1] for path in Path("cache", NAME, "folds").rglob("probabilities-*.npy")}
    assert found == {4, 7}
    assert len(list(Path("cache", NAME, "features").glob("*/*/[0-9a-f]*/features.npy"))) == len(FRAMES)
    capsys.readouterr()
    assert main.main([*COMMON, *weights]) == 2
    assert "weights are for classes" in capsys.readouterr().err


def test_softnet_is_trained_on_it(place, capsys):
    assert main.main([*COMMON, "--method", "SOFTNet", "--train", "--epochs_spot", "1"]) == 0
    said = capsys.readouterr().out
    assert f"k' = {K_PRIME['median']}" in said
    assert len(table(only_run(place), "ground_truth")) == sum(map(len, EXPRESSIONS.values()))


@pytest.mark.parametrize(("average", "k_prime"), K_PRIME.items())
def test_check_with_either_average(average, k_prime, place, capsys):
    for expression in ("micro", "both"):
        flags = (*COMMON, "--check", "--half_length_from", average, "--expression", expression)
        assert main.main(list(flags)) == 0
        assert f"k': here {k_prime}\n" in capsys.readouterr().out
    assert not (place / "cache").exists() and not (place / "runs").exists()


def test_the_average_is_kept_with_a_run_of_any_dataset(monkeypatch, tmp_path):
    marks = [small_row(1, "0101", 2, 3, 4), small_row(1, "0101", 3, 4, 5), small_row(2, "0101", 1, 5, 12)]
    make_small(tmp_path / "data", [small_clip("s1/1_0101a", 30), small_clip("s2/2_0101a", 30)], marks)
    monkeypatch.chdir(tmp_path)
    tables_only(monkeypatch)
    for flags, average, k_prime in (((), "mean", 3), (("--half_length_from", "median"), "median", 1)):
        assert main.main(["--dataset_name", "CASME_sq", "--workers", "1", "--method", "displacement", *flags]) == 0
        about = read(newest(tmp_path) / "settings.json")
        assert (about["settings"]["half_length_from"], about["k_prime"]) == (average, k_prime)
