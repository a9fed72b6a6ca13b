"""Runs on a study of two folders and two frame rates, from its CSV to the report."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path

import pandas as pd
import pytest

import Utils.study.videos
from face_crop import CropJob, crop_video
from tests.support.command_line import only_run
from tests.support.quicker import tables_only
from tests.support.studies import FIRST, TRAIN, command
from tests.support.video_clips import face_clip
from Utils.records import Video
from Utils.study.dataset import study_dataset
from Utils.study.videos import open_study_video

EXPECTED = [  # subject, video, onset, apex, offset: 0-based, at 30, 30 and 15 frames a second
    ("anna", "talk", 13, 18, 24),
    ("ben", "talk", 16, 22, 28),
    ("cem", "walk", 7, None, 14),
]
K_PRIME = {15: 3, 30: 6}  # lengths 11 / 30, 12 / 30 and 7 / 15 s: mean 0.411 s, which is 6.2 and 12.3 frames


def refuse(*_, **__):
    raise AssertionError("computed again")


def nothing_is_computed(patch) -> None:
    for name in (
        "face_crop._write_crops",
        "feature_extraction._write_spotting_features",
        "train_evaluate._compute_fold",
    ):
        patch.setattr(name, refuse)


def test_the_times_are_those_of_the_rendered_expressions():
    for subject, (_, _, onset, _, offset) in enumerate(EXPECTED):
        (event,) = face_clip(subject)[1]
        step = 2 if subject == 2 else 1
        assert abs((event.onset - FIRST) / step - onset) <= 1 and abs((event.offset - FIRST) / step - offset) <= 1


def test_training_leaves_everything(trained_study):
    folder, done = trained_study
    assert done.code == 0, done.out + done.err
    run = only_run(folder)
    assert re.fullmatch(r"study-train-\d{8}-\d{6}-1", run.name)
    truth = pd.read_csv(run / "ground_truth.csv")
    rows = truth[["subject", "video", "onset", "apex", "offset"]].values.tolist()
    assert [tuple(None if value != value else value for value in row) for row in rows] == EXPECTED
    assert truth["onset_s"].round(2).tolist() == [0.43, 0.53, 0.47]
    predictions = pd.read_csv(run / "predictions.csv")
    for (subject, _), of_video in predictions.groupby(["subject", "video"]):
        assert set(of_video["offset"] - of_video["onset"]) == {2 * K_PRIME[15 if subject == "cem" else 30]}
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["dataset"] == "study" and metrics["spotting"]["tp"] + metrics["spotting"]["fn"] == 3
    assert [row["subject"] for row in metrics["per_subject"]] == ["anna", "ben", "cem"]
    assert (run / "report.html").stat().st_size > 50_000
    assert "anna/talk" in (run / "report.html").read_text(encoding="utf-8")
    assert {path.name for path in (run / "figures").iterdir()} == {
        f"{subject}_{video}.png" for subject, video, *_ in EXPECTED
    }
    described = json.loads((run / "weights.json").read_text() if (run / "weights.json").exists() else "{}")
    assert described == {}
    (path,) = run.glob("MEAN_Weights/study/weights.json")
    described = json.loads(path.read_text())
    assert (described["k"], described["k_prime"], described["fps"]) == (3, 6, 30)
    assert described["classes"] == ["negative", "positive", "surprise"]
    assert described["held_out"] == {"s1": "anna", "s2": "ben", "s3": "cem"}


def test_what_is_printed_and_what_was_left_out(trained_study):
    folder, done = trained_study
    lines = done.out.splitlines()
    assert "  3 subjects, 3 videos, 3 micro-expressions" in lines
    assert "  k = 2 and k' = 3 frames at 15 frames per second" in lines
    assert "  k = 3 and k' = 6 frames at 30 frames per second" in lines
    assert "  1 row(s) left out because they are faulty" in lines
    place = "study/study.csv, line 5, column onset_s: 3.0000 s lies after the end of the video"
    assert f"  - {place}" in lines
    assert place in (only_run(folder) / "remarks.txt").read_text().splitlines()
    assert "Traceback" not in done.out + done.err


def test_check_counts_and_computes_nothing(again, monkeypatch):
    nothing_is_computed(monkeypatch)
    done = command(again, "--annotations", "study/study.csv", "--check", "--workers", "1")
    assert done.code == 0 and not (again / "runs").exists()
    for line in (
        "takes part (videos with a micro-expression; 15 and 30 frames a second, k = 2 at 15 fps, 3 at 30 fps)",
        "  subjects/videos/expressions: here 3/3/3",
        "  k': here 3 at 15 fps, 6 at 30 fps",
        "  surprise: 1 expressions of 1 subjects",
        "table rows: 3 micro-expressions that can be used",
        "rows left out because they are faulty: 1",
        "  2 of them are video files: how many frames they have is an estimate",
    ):
        assert line in done.out.splitlines(), done.out


def test_finished_work_is_not_done_again(trained_study, again, monkeypatch):
    nothing_is_computed(monkeypatch)
    tables_only(monkeypatch)
    assert command(again, *TRAIN).code == 0
    assert (only_run(again) / "predictions.csv").read_bytes() == (
        only_run(trained_study.folder) / "predictions.csv"
    ).read_bytes()
    with pytest.raises(AssertionError, match="computed again"):
        command(again, *TRAIN, "--seed", "2")


@pytest.mark.parametrize("change", ["frames", "file", "row"])
def test_what_changed_is_computed_again(again, monkeypatch, change):
    nothing_is_computed(monkeypatch)
    if change == "frames":
        (again / "study/anna/talk/img36.png").unlink()
    elif change == "file":
        path = again / "study/walk.mp4"
        path.write_bytes(path.read_bytes() + bytes(8))
    else:
        path = again / "study/study.csv"
        path.write_text(path.read_text().replace("0.9333,surprise", "1.0000,surprise"))
    with pytest.raises(AssertionError, match="computed again"):
        command(again, *TRAIN)


def test_weights_of_a_study_are_used_again(trained_study, again, monkeypatch):
    """On the study itself, where each subject has the networks that did not see it, and on a video."""
    tables_only(monkeypatch)
    reference = (only_run(trained_study.folder) / "predictions.csv").read_bytes()
    flags = ("--annotations", "study/study.csv", "--weights_dir", "weights", "--workers", "1")
    assert command(again, *flags).code == 0
    assert (only_run(again, "study-pretrained") / "predictions.csv").read_bytes() == reference
    own = ("--video", "study/walk.mp4", "--dataset_name", "study", "--weights_dir", "weights", "--spotting", "paper")
    done = command(again, *own, "--workers", "1", "--cache_dir", "cache2")
    assert done.code == 0, done.err
    described = json.loads((again / "runs/walk/settings.json").read_text())
    assert "MEAN on 1 video(s), 1 network(s) of study" in done.out
    assert (described["k"], described["k_prime"]) == (2, 3)  # 3 and 6 frames at 30 a second, halves rounded up
    for flags in (("--dataset_name", "other"), ("--dataset_name", "../study")):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(again)
            try:
                code = command(again, "--video", "study/walk.mp4", "--weights_dir", "weights", *flags).code
            except SystemExit as left:
                code = left.code
        assert code == 2


def test_groups_of_subjects(again, monkeypatch):
    tables_only(monkeypatch)
    done = command(again, *TRAIN, "--folds", "2", "--weights_dir", "grouped")
    assert done.code == 0 and "2 folds of subjects: training, seed 1" in done.out
    held_out = json.loads((again / "grouped/study/weights.json").read_text())["held_out"]
    groups = [group if isinstance(group, list) else [group] for name, group in held_out.items() if name != "all"]
    assert sorted(subject for group in groups for subject in group) == ["anna", "ben", "cem"] and len(groups) == 2
    metrics = json.loads((only_run(again) / "metrics.json").read_text())
    assert metrics["spotting"]["tp"] + metrics["spotting"]["fn"] == 3
    predictions = (only_run(again) / "predictions.csv").read_bytes()
    flags = ("--annotations", "study/study.csv", "--weights_dir", "grouped", "--workers", "1")
    assert command(again, *flags).code == 0  # each subject has the networks of its group
    found = pd.read_csv(only_run(again, "study-pretrained") / "predictions.csv")
    expected = pd.read_csv(only_run(again, "study-train") / "predictions.csv")
    order = ["subject", "video", "onset"]
    pd.testing.assert_frame_equal(
        found.sort_values(order, ignore_index=True), expected.sort_values(order, ignore_index=True)
    )
    assert predictions


def test_without_any_emotion_expressions_are_spotted_only(again, monkeypatch):
    tables_only(monkeypatch)
    table = pd.read_csv(again / "study/study.csv").drop(columns="emotion")
    table.to_csv(again / "study/spots.csv", index=False)
    train = [flag.replace("study.csv", "spots.csv") for flag in TRAIN]
    done = command(again, *train, "--weights_dir", "weights", "--folds", "2")
    assert done.code == 0, done.err
    metrics = json.loads((only_run(again) / "metrics.json").read_text())
    assert metrics["spotting"]["tp"] + metrics["spotting"]["fn"] == 3
    assert metrics["analysis"]["evaluated"] == 0
    assert metrics["strs"] == (None if metrics["spotting"]["tp"] else 0)  # F1 = 0 makes it 0
    assert {path.name for path in (again / "weights/spots").iterdir()} == {"spot", "weights.json"}
    own = ("--video", "study/walk.mp4", "--dataset_name", "spots", "--weights_dir", "weights", "--workers", "1")
    for rule in ("paper", "verified"):
        done = command(again, *own, "--spotting", rule, "--output_dir", rule)
        assert done.code == 0, done.err
        found = pd.read_csv(again / rule / "walk/expressions.csv")
        assert found["emotion"].isna().all() and found["confidence"].isna().all()


@pytest.mark.parametrize("method", ["SOFTNet", "flow", "displacement"])
def test_other_methods_on_mixed_rates(again, monkeypatch, method):
    tables_only(monkeypatch)
    train = ("--train", "--epochs_spot", "1", "--folds", "2") if method == "SOFTNet" else ()
    done = command(again, "--annotations", "study/study.csv", "--method", method, "--workers", "1", *train)
    assert done.code == 0, done.err
    run = only_run(again, f"study-{method}-")
    assert len(pd.read_csv(run / "ground_truth.csv")) == 3
    described = json.loads((run / "settings.json").read_text())
    assert described["k_prime"] == {"15": 3, "30": 6} and set(described["k"]) == {"15", "30"}


def test_jobs_on_video_files_can_be_sent_to_other_processes(again):
    video, _ = open_study_video(again / "study/walk.mp4", "cem", "walk", None)
    job = CropJob(video, again / "crops/cem/walk", ())
    crops = crop_video(pickle.loads(pickle.dumps(job))).video
    assert len(crops.frames) == 18 and all(path.is_file() for path in crops.frames)
    assert isinstance(pickle.loads(pickle.dumps(crops)), Video) and crops.source is None
    dataset = study_dataset((again / "study/study.csv",), again / "study", "study")
    assert pickle.loads(pickle.dumps(dataset)).k == {15: 2, 30: 3}


def test_a_video_that_is_shorter_than_it_says(again, monkeypatch):
    """The number of frames of a file is an estimate. What is missing then is left out, and nothing fails."""
    opened = Utils.study.videos.open_video

    def too_long(path: Path, *arguments):
        source = opened(path, *arguments)
        source.n_estimated *= 2
        return source

    monkeypatch.setattr(Utils.study.videos, "open_video", too_long)
    tables_only(monkeypatch)
    path = again / "study/study.csv"
    path.write_text(path.read_text() + "cem,walk,1.6,,1.9,positive,\n")  # frames 24 to 29, of 18
    done = command(again, "--annotations", "study/study.csv", "--weights_dir", "weights", "--workers", "1")
    assert done.code == 0 and "cem/walk: 1 expression(s) beyond the last frame" in done.out, done.out + done.err
