"""The command line on tiny synthetic copies of the six licensed datasets' layouts, with their quirks.

What is in them stands in tests/support/layouts_truth.py. The networks are trained for two epochs and know nothing: what
is asserted of their predictions holds for any, and metrics.json is counted again from the two tables.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from functools import cache
from pathlib import Path

import cv2
import dlib
import numpy as np
import pandas as pd
import pytest

import main
from tests.support import recount
from tests.support.command_line import QUICK, only_run
from tests.support.figures import png
from tests.support.layouts import shared_layout
from tests.support.layouts_truth import (
    CROPS,
    EXPRESSIONS,
    FPS,
    FRAMES,
    K_PRIME,
    SHORT,
    UPSTREAM_EXPRESSIONS,
    K,
)
from tests.support.quicker import tables_only, without_rendering
from Utils.datasets.table import DATASETS

LICENSED = tuple(EXPRESSIONS)
RENDERED = ("CASME2",)  # one with short videos; DEMO, which test_main.py renders, has long ones
TABLES_ONLY = ("SMIC_VIS", "SMIC_NIR")  # what is drawn of them is drawn of SMIC_HS, which differs in its folders only
UPSTREAM = ("CASME_sq", "CASME2", "SMIC_HS")  # one of each kind of sample and of spotting
CLASSES = {"CASME2": ["disgust", "happiness", "others", "surprise", "repression"]}
THREE = ["negative", "positive", "surprise"]
# Subjects with a recognition entry, by METHOD.md section 7. CASME_sq: the second, fourth and fifth of five subjects
# have samples, so the list of entries is (none, split 1, split 2, none, split 3).
WITH_ENTRY = {"CASME_sq": {"s15", "s16", "s104"}, "CASME2": {"sub01", "sub02", "sub09", "sub10", "sub26"}}
WITH_ENTRY["SMIC_HS"] = {"s01", "s02", "s03", "s11", "s20"}


@pytest.mark.parametrize("name", LICENSED)
def test_every_dataset_runs_trained_and_pretrained(name, tmp_path, monkeypatch, capsys):
    """End to end on tiny synthetic copies of the six layouts with their quirks, three of them in both protocols."""
    shutil.copytree(shared_layout(name), tmp_path / "data", copy_function=os.link)
    monkeypatch.chdir(tmp_path)
    common = ["--dataset_name", name, "--workers", "1"]
    if name in TABLES_ONLY:
        tables_only(monkeypatch)
    elif name not in RENDERED:
        without_rendering(monkeypatch)
    assert main.main([*common, "--train", "True", *QUICK]) == 0
    assert_counts(capsys.readouterr().out, name, EXPRESSIONS[name])
    run = only_run(tmp_path)
    assert_crops(name)
    assert_features(name)
    assert_settings(run, name)
    assert_weights(run, name)
    assert_truth(run, name, EXPRESSIONS[name])
    assert_predictions(run, name)
    if name not in TABLES_ONLY:
        assert_figures(run, name)
    assert_metrics(run, name)

    tables_only(monkeypatch)
    weights = ["--weights_dir", str(run / "MEAN_Weights")]
    assert main.main([*common, *weights]) == 0
    again = only_run(tmp_path, f"{name}-pretrained")
    for table in ("predictions.csv", "ground_truth.csv", "megc.csv"):
        assert (again / table).read_bytes() == (run / table).read_bytes()
    assert metrics_of(again) | {"mode": "train"} == metrics_of(run)
    if name not in UPSTREAM:
        return
    capsys.readouterr()
    code = main.main([*common, *weights, "--protocol", "upstream"])
    said = capsys.readouterr()
    assert code == 0, said.err
    assert_counts(said.out, name, UPSTREAM_EXPRESSIONS[name])
    (newest,) = (r for r in (tmp_path / "runs").iterdir() if r not in (run, again))
    assert_truth(newest, name, UPSTREAM_EXPRESSIONS[name])
    assert_upstream_metrics(newest, name)


def metrics_of(run: Path) -> dict:
    return json.loads((run / "metrics.json").read_text())


def assert_counts(said: str, name: str, expressions: dict) -> None:
    """Subjects, videos, expressions, k and k' on the screen."""
    subjects = {label.split("/")[0] for label in expressions}
    n = sum(map(len, expressions.values()))
    assert f"  {len(subjects)} subjects, {len(expressions)} videos, {n} micro-expressions\n" in said
    assert f"k = {K[name]} and k' = {K_PRIME[name]} frames at {FPS[name]} frames per second\n" in said


def assert_crops(name: str) -> None:
    """A crop per frame where the authors have it; those of the first video are cut by the face in its first frame."""
    pattern, first_name = CROPS[name]
    folders = {label: Path("data", pattern.format(subject=s, video=v)) for label, s, v in split(FRAMES[name])}
    assert {label: len(list(folder.glob("*.jpg"))) for label, folder in folders.items()} == FRAMES[name]
    label, subject, video = split(FRAMES[name])[0]
    crops = by_number(folders[label].glob("*.jpg"))
    raw = Path("data").glob(f"**/{'' if name == 'SAMMLV' else subject}/{video}/*.jpg")
    frames = by_number(path for path in raw if "_crop" not in path.as_posix())
    assert crops[0].name == first_name and len(frames) == len(crops)
    (face,) = face_detector()(cv2.imread(str(frames[0]))[..., ::-1].copy(), 1)
    for crop, frame in ((crops[0], frames[0]), (crops[-1], frames[-1])):
        cut = cv2.imread(str(frame))[face.top() : face.bottom(), face.left() : face.right()]
        written = cv2.imencode(".jpg", cv2.resize(cut, (128, 128)))[1]
        np.testing.assert_array_equal(cv2.imread(str(crop)), cv2.imdecode(written, cv2.IMREAD_COLOR))


@cache
def face_detector():
    """dlib's, without the program's code. To make it takes half a second."""
    return dlib.get_frontal_face_detector()


def split(labels) -> list[tuple[str, str, str]]:
    return [(label, *label.split("/")) for label in labels]


def by_number(paths) -> list[Path]:
    return sorted(paths, key=lambda path: int(re.findall(r"\d+", path.stem)[-1]))


def assert_features(name: str) -> None:
    """n - k features of every video."""
    found = {
        f"{path.parts[3]}/{path.parts[4]}": np.load(path, mmap_mode="r", allow_pickle=False).shape
        for path in Path("cache", name, "features").glob("*/*/[0-9a-f]*/features.npy")
    }
    assert found == {label: (n - K[name], 42, 42, 3) for label, n in FRAMES[name].items()}


def assert_settings(run: Path, name: str) -> None:
    written = json.loads((run / "settings.json").read_text())
    facts = (written["k"], written["k_prime"], written["fps"], written["classes"])
    assert facts == (K[name], K_PRIME[name], FPS[name], CLASSES.get(name, THREE))


def assert_weights(run: Path, name: str) -> None:
    """Three networks for each of the five folds and for all subjects, and which subject each fold holds out."""
    folder = run / "MEAN_Weights" / name
    folds = [f"s{n}" for n in range(1, 6)]
    expected = {f"{kind}/{f}.weights.h5" for kind in ("spot", "recog", "spot_recog") for f in (*folds, "all")}
    assert {p.relative_to(folder).as_posix() for p in folder.glob("*/*")} == expected
    about = json.loads((folder / "weights.json").read_text())
    subjects = list(dict.fromkeys(label.split("/")[0] for label in EXPRESSIONS[name]))
    assert about["held_out"] == dict(zip(folds, subjects, strict=True))
    assert (about["k"], about["k_prime"], about["fps"]) == (K[name], K_PRIME[name], FPS[name])


def assert_truth(run: Path, name: str, expressions: dict) -> None:
    """ground_truth.csv row by row. An apex that nobody annotated is empty; what was searched has its own column."""
    table = pd.read_csv(run / "ground_truth.csv", dtype={"subject": str, "video": str})
    rows = [(*label.split("/"), *expression) for label, of_video in expressions.items() for expression in of_video]
    assert list(zip(table["subject"], table["video"], strict=True)) == [row[:2] for row in rows]
    assert table["onset"].tolist() == [row[2] for row in rows]
    assert table["offset"].tolist() == [row[4] for row in rows]
    assert table["emotion"].tolist() == [row[5] for row in rows]
    annotated = [i for i, row in enumerate(rows) if row[3] is not None]
    assert table["apex"].iloc[annotated].tolist() == [rows[i][3] for i in annotated]
    unknown = [i for i in range(len(rows)) if i not in annotated]
    assert ("searched_apex" in table) == bool(unknown)
    if unknown:
        assert table["apex"].iloc[unknown].isna().all() and table["searched_apex"].iloc[annotated].isna().all()
        searched = table["searched_apex"].iloc[unknown]
        assert searched.between(table["onset"].iloc[unknown], table["offset"].iloc[unknown] - 1).all()
    np.testing.assert_allclose(table["onset_s"], [row[2] / FPS[name] for row in rows], atol=1e-4)
    np.testing.assert_allclose(table["offset_s"], [row[4] / FPS[name] for row in rows], atol=1e-4)


def assert_predictions(run: Path, name: str) -> None:
    """2k' + 1 frames around a peak that lies in the video's features; one of each short video."""
    table, k_prime = recount.read_table(run / "predictions.csv"), K_PRIME[name]
    labels = table["subject"] + "/" + table["video"]
    if name in SHORT:
        assert labels.tolist() == list(FRAMES[name])
    assert labels.drop_duplicates().tolist() == [label for label in FRAMES[name] if (labels == label).any()]
    assert len(table) and set(table["offset"] - table["apex"]) == set(table["apex"] - table["onset"]) == {k_prime}
    for label, rows in table.groupby(labels):
        assert rows["apex"].between(0, FRAMES[name][label] - K[name] - 1).all()
        assert (rows["apex"].diff().dropna() >= k_prime).all()
    assert set(table["emotion"]) <= {*CLASSES.get(name, THREE)} and table["confidence"].between(0, 1).all()
    np.testing.assert_allclose(table["onset_s"], table["onset"] / FPS[name], atol=1e-4)
    np.testing.assert_allclose(table["offset_s"], table["offset"] / FPS[name], atol=1e-4)

    megc = pd.read_csv(run / "megc.csv", dtype={"vid": str})
    last = labels.map(FRAMES[name]) - 1
    assert megc["onset"].tolist() == table["onset"].clip(lower=0).tolist()
    assert megc["offset"].tolist() == np.minimum(table["offset"], last).tolist()
    names = table["subject"] + "_" + table["video"] if name == "CASME2" else table["video"]  # two videos of one name
    assert megc["vid"].tolist() == names.tolist()


def assert_figures(run: Path, name: str) -> None:
    figures = list((run / "figures").iterdir())
    assert {path.name for path in figures} == {f"{label.replace('/', '_')}.png" for label in FRAMES[name]}
    if name in RENDERED:
        assert {png(path)[0] for path in (*figures, run / "losses.png")} == {1320}


def assert_metrics(run: Path, name: str) -> None:
    """metrics.json is what a second count of the tables gives."""
    predictions, truth = (recount.read_table(run / f"{table}.csv") for table in ("predictions", "ground_truth"))
    counted = recount.paper(predictions, with_apexes(truth), CLASSES.get(name, THREE), name in SHORT)
    found = metrics_of(run)
    assert (found["protocol"], found["dataset"], found["mode"]) == ("paper", name, "train")
    assert_same(found, counted)
    assert_rows_add_up(found, FRAMES[name])


def assert_upstream_metrics(run: Path, name: str) -> None:
    predictions, truth = (recount.read_table(run / f"{table}.csv") for table in ("predictions", "ground_truth"))
    labels = list(UPSTREAM_EXPRESSIONS[name])
    n_features = {tuple(label.split("/")): FRAMES[name][label] - K[name] for label in labels}
    assert {(r.subject, r.video) for r in predictions.itertuples()} == set(n_features)  # [0, 0] where there is no peak
    counted = recount.upstream(
        predictions,
        with_apexes(truth),
        CLASSES.get(name, THREE),
        name in SHORT,
        n_features,
        K_PRIME[name],
        WITH_ENTRY[name],
    )
    found = metrics_of(run)
    assert (found["protocol"], found["dataset"]) == ("upstream", name)
    assert_same(found, counted)
    assert_rows_add_up(found, labels)


def with_apexes(truth: pd.DataFrame) -> pd.DataFrame:
    """SMIC annotates no apex: there, and only there, the searched ones count."""
    return truth.assign(apex=truth["searched_apex"]) if truth["apex"].isna().all() else truth


def assert_same(found: dict, counted: dict) -> None:
    for part in ("spotting", "analysis", "recognition"):
        if counted[part] is None:
            assert found[part] is None
        else:
            assert {key: found[part][key] for key in counted[part]} == pytest.approx(counted[part], abs=1e-6), part
    assert found["strs"] == pytest.approx(counted["strs"])


def assert_rows_add_up(metrics: dict, labels) -> None:
    """A row per video and per subject, in order; their counts sum up to the whole."""
    assert [f"{row['subject']}/{row['video']}" for row in metrics["per_video"]] == list(labels)
    assert [row["subject"] for row in metrics["per_subject"]] == list(dict.fromkeys(v.split("/")[0] for v in labels))
    for rows in (metrics["per_video"], metrics["per_subject"]):
        for key in ("tp", "fp", "fn"):
            assert sum(row[key] for row in rows) == metrics["spotting"][key]
        for key, whole in (("analysed", "evaluated"), ("correct", "correct")):
            assert sum(row[key] for row in rows) == metrics["analysis"][whole]


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


def test_the_help_names_every_dataset(capsys):
    with pytest.raises(SystemExit):
        main.main(["--help"])
    assert "{" + ",".join([*DATASETS, "SYNTH"]) + "}" in capsys.readouterr().out.replace("\n", "").replace(" ", "")
