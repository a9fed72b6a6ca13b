"""--train_on, --test_on and --leave_one_dataset_out from the command line, on small datasets of four frame rates."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import face_crop
import feature_extraction
import main
import train_evaluate
import Utils.across.run
import Utils.dataset_run.folder
from tests.across.conftest import AT_20, MEAN_RUN, NAME, QUICK
from tests.support.command_line import only_run
from tests.support.layouts_across import (
    CAS_FILE_FRAMES,
    CAS_FRAMES,
    CHALLENGE,
    SAMM_FRAMES,
    TEST,
)
from Utils.across.validate import check_submission
from Utils.evaluation.counts import precision_recall_f1
from Utils.evaluation.metrics import match_intervals
from Utils.work.parallel import run_units

TABLES = ("predictions.csv", "ground_truth.csv", "megc.csv", "submission/submission.zip")


def read_json(path: Path):
    return json.loads(path.read_text(encoding="utf-8"))


def counted(predictions: pd.DataFrame, truth: pd.DataFrame) -> tuple[int, int, int]:
    """TP, FP and FN of two tables, from their rows."""
    tp = 0
    for key in set(zip(truth["subject"], truth["video"], strict=True)):
        rows = [t[(t["subject"] == key[0]) & (t["video"] == key[1])][["onset", "offset"]] for t in (predictions, truth)]
        tp += len(match_intervals(*(table.to_numpy() for table in rows)))
    return tp, len(predictions) - tp, len(truth) - tp


def test_weights_say_on_whom_they_were_trained(mean_run, softnet_run):
    about = read_json(mean_run / "w" / NAME / "weights.json")
    assert about["classes"] == ["negative", "positive", "surprise"] and about["held_out"] == {}
    assert (about["fps"], about["fps_of_videos"], about["highest_fps"]) == (20, [15, 20], 20)
    demo, lab = about["trained_on"]["DEMO"], about["trained_on"]["lab"]
    assert (demo["people"], demo["subjects"], demo["fps"]) == ("DEMO", ["s15", "s16"], [15])
    assert (lab["people"], lab["subjects"], lab["fps"]) == ("tables", ["anna", "bert"], [15, 20])
    assert len({*demo["videos"], *lab["videos"]}) == 4
    run = only_run(mean_run, f"{NAME}-train")
    assert (run / "MEAN_Weights" / NAME / "weights.json").read_bytes() == (
        mean_run / "w" / NAME / "weights.json"
    ).read_bytes()
    assert read_json(run / "settings.json")["k"] == {"15.0": 2, "20.0": 2}

    # Each kind has the frame rates, and the people, of its own videos
    weights = only_run(softnet_run, "hall+lab-SOFTNet-both-train") / "SOFTNet_Weights/hall+lab"
    micro, macro = (read_json(weights / f"{kind}-expression/weights.json") for kind in ("micro", "macro"))
    assert (micro["fps"], micro["fps_of_videos"], list(micro["trained_on"])) == (60, [15, 30, 60], ["hall", "lab"])
    assert macro["fps"] == 30 and list(macro["trained_on"]) == ["hall"] and macro["highest_fps"] is None
    assert macro["k"] > 2 * micro["k"] * 30 / 60
    remarks = (weights.parents[1] / "remarks.txt").read_text()
    assert "lab: annotates no macro-expressions" in remarks


def that_travel(function, units, *more):
    """`run_units`, for units that can be sent to another machine."""
    return run_units(function, pickle.loads(pickle.dumps((function, list(units)), protocol=5))[1], *more)


def test_given_weights_and_the_challenge(mean_run, workplace, monkeypatch, capsys):
    """The same weights give the same bytes. In the same command, two test sets of the challenge."""
    folder = workplace(mean_run)
    for module in (face_crop, feature_extraction, train_evaluate):
        monkeypatch.setattr(module, "run_units", that_travel)
    reports = {}

    def report(path, title, *_, **given):
        path.touch()
        reports[title.split(",")[0]] = given

    monkeypatch.setattr(Utils.dataset_run.folder, "write_report", report)
    flags = ["--test_on", f"{TEST},{CHALLENGE}", "--dataset_name", NAME, "--weights_dir", "w", *AT_20]
    assert main.main([*flags, "--output_dir", "again"]) == 0
    said = capsys.readouterr().out
    for name in ("SMIC_HS_every5", "hall_upto20"):
        (one,) = (folder / "runs").glob(f"{name}-by*")
        (other,) = (folder / "again").glob(f"{name}-by*")
        for table in TABLES:
            assert (one / table).read_bytes() == (other / table).read_bytes(), table
    (pooled,) = (folder / "again").glob("*-pooled")
    assert pd.read_csv(pooled / "datasets.csv")["dataset"].tolist() == ["SMIC_HS_every5", "hall_upto20", "together"]

    (samm,), (cas,) = (list((folder / "again").glob(f"{name}-by*")) for name in ("samm_upto20", "cas_upto20"))
    assert "there are no annotations to compare with" in said and "  006_1/006_1\n" in said
    counts = {row["video"]: row for run in (samm, cas) for row in read_json(run / "submission/counts.json")}
    last = {"006_1": SAMM_FRAMES, "a": CAS_FRAMES, "b": CAS_FILE_FRAMES}
    assert {(row["subject"], name) for name, row in counts.items()} == {("006_1", "006_1"), ("spNO.7", "a"), ("b", "b")}
    for name, row in counts.items():
        assert row["intervals"] and all(1 <= i["onset"] <= i["offset"] <= last[name] for i in row["intervals"])
    assert sum(i["offset"] == last["006_1"] or i["offset"] % 2 == 0 for i in counts["006_1"]["intervals"])
    predictions = pd.read_csv(samm / "predictions.csv")
    every = 2  # 40 frames per second, at most 20
    assert [i["onset"] for i in counts["006_1"]["intervals"]] == (predictions["onset"].clip(0) * every + 1).tolist()
    assert "frame numbers in tables and figures" in (samm / "remarks.txt").read_text()
    for run, videos in ((samm, "test/samm"), (cas, "test/cas")):
        for file in ("submission.zip", "spotting_2022.csv", "spotting_2023.csv", "recognition_2024.csv"):
            assert not check_submission(run / "submission" / file, 1, Path(videos)).problems
    assert reports["cas"]["evaluations"] == {} and "no annotations" in reports["cas"]["remarks"][0]
    assert list(reports["cas"]["links"])[-1] == "submission/submission.zip" and len(reports["cas"]["links"]) == 4
    assert reports["hall"]["evaluations"] and "ground_truth.csv" in reports["hall"]["links"]
    metrics = read_json(cas / "metrics.json")
    assert set(metrics["spotting"].values()) == {None} and metrics["strs"] is metrics["by_kind"]["micro"]["f1"] is None
    assert metrics["per_video"][0]["predicted"] is not None and metrics["per_video"][0]["tp"] is None
    assert "no annotations" in metrics["notes"][0] and not (cas / "ground_truth.csv").exists()
    (archives,) = (folder / "again").glob("*-submission")
    with zipfile.ZipFile(archives / "spotting_2022.zip") as archive:
        assert archive.namelist() == ["samm_pred.csv", "cas_pred.csv"]
        assert archive.read("cas_pred.csv") == (cas / "submission/spotting_2022.csv").read_bytes()
    assert not check_submission(archives / "recognition_2024.zip", 1).problems


def test_a_second_run_computes_nothing_again(mean_run, workplace, monkeypatch, capsys):
    folder = workplace(mean_run)
    first = {run.name for run in (folder / "runs").iterdir()}

    def refuse(*_, **__):
        raise AssertionError("computed again")

    for function in ("face_crop._write_crops", "feature_extraction._write_spotting_features",
                     "feature_extraction.recognition_features", "train_evaluate._compute_fold"):  # fmt: skip
        monkeypatch.setattr(function, refuse)
    assert main.main([*MEAN_RUN]) == 0
    again = [run for run in (folder / "runs").iterdir() if run.name not in first]
    assert len(again) == len(first) == 4
    for run in again:
        (same,) = (other for other in first if other.rsplit("-20", 1)[0] == run.name.rsplit("-20", 1)[0]
                   and other.endswith("pooled") == run.name.endswith("pooled"))  # fmt: skip
        for table in TABLES:
            if (run / table).exists():
                assert (run / table).read_bytes() == (folder / "runs" / same / table).read_bytes()


def test_pooled_counts_are_those_of_the_tables(mean_run):
    """SMIC_HS, with one expression in a video, and hall.csv together."""
    run = next((mean_run / "runs").glob("*-pooled"))
    predictions, truth = (pd.read_csv(run / name) for name in ("predictions.csv", "ground_truth.csv"))
    metrics = read_json(run / "metrics.json")
    assert set(truth["subject"]) == {"SMIC_HS_every5/s01", "hall_upto20/carl"}
    tp, fp, fn = counted(predictions, truth)
    spotting = metrics["spotting"]
    assert (spotting["tp"], spotting["fp"], spotting["fn"]) == (tp, fp, fn) and tp + fn == 2
    assert spotting["f1"] == precision_recall_f1(tp, fp, fn)[2] and spotting["ap"] is spotting["mae"] is None
    smic = pd.read_csv(only_run(mean_run, "SMIC_HS_every5-by") / "predictions.csv")
    assert len(smic) == 1  # the highest point is the only prediction
    assert any("AP and MAE are not pooled" in note for note in metrics["notes"])


def test_both_kinds_in_the_files_of_the_challenge(softnet_run):
    run = only_run(softnet_run, "samm-by-hall+lab-SOFTNet-both")
    spotted = pd.read_csv(run / "submission/spotting_2023.csv")
    assert spotted["vid"].eq("006_1").all() and set(spotted["type"]) == {"me", "mae"}
    assert spotted["onset"].is_monotonic_increasing and spotted["onset"].min() >= 1
    assert pd.read_csv(run / "submission/recognition_2024.csv").empty  # this method recognises nothing
    (video,) = read_json(run / "submission/counts.json")
    kinds = spotted["type"].map({"me": "micro", "mae": "macro"}).value_counts().to_dict()
    assert video["counts"] == {"micro": 0, "macro": 0} | kinds
    assert {i["emotion"] for i in video["intervals"]} == {None}


def test_leave_one_dataset_out(mean_run, workplace, capsys):
    """Each dataset is tested by networks that never saw it. Crops and features are those of the other runs."""
    folder = workplace(mean_run)
    flags = ["--train_on", "DEMO,hall/hall.csv", "--leave_one_dataset_out", *AT_20, *QUICK[:4]]
    assert main.main([*flags, "--output_dir", "lodo"]) == 0
    lodo = folder / "lodo"
    names = {run.name.split("-pretrained")[0].split("-train")[0] for run in lodo.iterdir()}
    demo, hall = "DEMO_every2", "hall_upto20"
    assert names == {f"{demo}-all", f"{hall}-all", f"{demo}-by-{hall}-all", f"{hall}-by-{demo}-all", f"{demo}+{hall}"}
    (pooled,) = lodo.glob("*-leave-one-dataset-out")
    counts, pairs = np.zeros(3, int), np.zeros(2, int)
    for name in (f"{demo}-by", f"{hall}-by"):
        (run,) = lodo.glob(f"{name}*")
        counts += counted(*(pd.read_csv(run / table) for table in ("predictions.csv", "ground_truth.csv")))
        analysis = read_json(run / "metrics.json")["analysis"]
        pairs += [analysis["evaluated"], analysis["correct"]]
    metrics = read_json(pooled / "metrics.json")
    assert [metrics["spotting"][key] for key in ("tp", "fp", "fn")] == counts.tolist()
    assert [metrics["analysis"][key] for key in ("evaluated", "correct")] == pairs.tolist()
    f1 = metrics["spotting"]["f1"]
    assert metrics["strs"] == (f1 * metrics["analysis"]["f1"] if f1 else 0)
    table = pd.read_csv(pooled / "datasets.csv").set_index("dataset")
    assert table.loc["together", ["tp", "fp", "fn"]].tolist() == counts.tolist()
    assert "2 datasets together" in capsys.readouterr().out
    (trained,) = lodo.glob(f"{hall}-all-train*")
    about = read_json(trained / f"MEAN_Weights/{hall}-all/weights.json")
    assert list(about["trained_on"]) == ["hall"] and about["trained_on"]["hall"]["subjects"] == ["carl"]


def test_equal_archives_have_equal_bytes(mean_run):
    archives = [(run / "submission/submission.zip").read_bytes() for run in (mean_run / "runs").glob("*-by-*")]
    for content in archives:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert {entry.date_time[0] for entry in archive.infolist()} == {2000}
            assert {entry.create_system for entry in archive.infolist()} == {3}
    assert len(archives) == 2


def refused(flags, capsys, *words: str) -> None:
    """The command is refused before anything is computed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Utils.across.run, "crops_of", lambda *_: pytest.fail("computed"))
        assert main.main([*flags, "--frame_base", "1", "--workers", "1"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and all(word in said for word in words), said


def test_people_who_were_trained_on_are_not_tested(mean_run, workplace, capsys):
    folder = workplace(mean_run)
    by_weights = ("--dataset_name", NAME, "--weights_dir", "w")
    refused(["--test_on", "DEMO", *by_weights], capsys, "2 subject(s) of DEMO", "(s15, s16)")
    refused(["--test_on", "lab/lab.csv", *by_weights], capsys, "of lab are in lab, too (anna, bert)")
    refused(["--test_on", "DEMO", "--dataset_name", "DEMO"], capsys, "of DEMO are in DEMO", "s15, s16")
    # the videos themselves, under another name and in another place
    (folder / "other").mkdir()
    (folder / "other/x.mp4").write_bytes((folder / "lab/bert/talk.mp4").read_bytes())
    refused(["--test_on", "other", *by_weights], capsys, "x/x of other is the same video as a video of lab")
    refused(["--train_on", "lab/lab.csv", "--test_on", "other"], capsys, "the same video as bert/talk of lab")
    # two tables with a person of one name, written in two ways
    text = (folder / "hall/hall.csv").read_text().replace("carl,", "Anna,")
    (folder / "hall/more.csv").write_text(text)
    (folder / "hall/carl").rename(folder / "hall/Anna")
    refused(["--train_on", "lab/lab.csv", "--test_on", "hall/more.csv"], capsys, "1 subject(s) of more", "(Anna)")
    lodo = ["--train_on", "lab/lab.csv,hall/more.csv", "--leave_one_dataset_out", *QUICK[:4]]
    refused(lodo, capsys, "1 subject(s) of lab are in more, too (anna)")
