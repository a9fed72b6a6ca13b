"""Videos are analysed, a person corrects what was found, and the corrected files are trained on: two commands."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from tests.support.command_line import only_run
from tests.support.quicker import tables_only
from tests.support.studies import FIRST, LAST, command
from tests.support.video_clips import face_clip, write_video
from Utils.evaluation.csv_files import is_review
from Utils.report.pages import REVIEWED_COLUMNS

NAMES = ("anna", "ben", "cem")
DATE = "2026-11-25T10:00:00.000Z"
TRAIN = ("--train", "--epochs_spot", "1", "--epochs_recog", "1", "--workers", "1")
PAPER = ("--dataset_name", "DEMO", "--spotting", "paper", "--workers", "1")


@pytest.fixture(scope="module")
def analysed(tmp_path_factory) -> Path:
    """A folder with `videos` of three people, and `runs` with what was found in them."""
    folder = tmp_path_factory.mktemp("analysed")
    (folder / "videos").mkdir()
    for subject, name in enumerate(NAMES):
        write_video(folder / "videos" / f"{name}.mp4", face_clip(subject)[0][FIRST:LAST])
    done = command(folder, "--video", "videos", *PAPER)
    assert done.code == 0, done.err
    return folder


def review(folder: Path) -> list[dict]:
    """`reviewed.csv` as the report page saves it: of two videos, every prediction and what a coder added.

    The page of a video of one's own has neither a subject nor, if there is one face, the face.
    """
    rows = []
    for video, emotion in (("anna", "negative"), ("ben", "unclear")):
        predicted = pd.read_csv(folder / "runs" / video / "expressions.csv").to_dict("records")
        assert predicted
        first = dict(predicted[0], onset=-2, onset_s=-0.0667, status="accepted", emotion=emotion)
        rows += [first, *(dict(row, status="rejected") for row in predicted[1:])]
        rows.append(dict(video=video, onset=14, offset=24, onset_s=0.4667, offset_s=0.8, status="added", emotion=""))
        rows.append(dict(predicted[0], onset=1, onset_s=0.0333, status="unreviewed"))
    rows[-2] |= dict(apex=19, emotion="positive", kind="micro")
    decided = dict(subject="", face="", coder="Ada", reviewed_at=DATE, note='left, "mouth"', kind="micro")
    rows = [{name: row.get(name, decided.get(name, "")) for name in REVIEWED_COLUMNS} | {"face": ""} for row in rows]
    with (folder / "reviewed.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, REVIEWED_COLUMNS, lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(rows)
    assert is_review(REVIEWED_COLUMNS)
    return rows


def test_correct_then_train(analysed, monkeypatch):
    tables_only(monkeypatch)
    rows = review(analysed)
    tables = ("reviewed.csv", "runs/cem/cem.eaf")
    flags = ("--annotations", *tables, "--data_root", "videos", "--dataset_name", "corrected")
    check = command(analysed, *flags, "--check", "--workers", "1")
    assert check.code == 0, check.out + check.err
    done = command(analysed, *flags, *TRAIN, "--weights_dir", "weights")
    assert done.code == 0, done.out + done.err
    of_cem = pd.read_csv(analysed / "runs/cem/expressions.csv")
    truth = pd.read_csv(only_run(analysed, "corrected-train") / "ground_truth.csv")
    assert truth["subject"].tolist() == truth["video"].tolist()  # nobody said who is who
    found = {name: of_video[["onset", "offset"]].values.tolist() for name, of_video in truth.groupby("video")}
    assert found["anna"] == [[0, rows[0]["offset"]], [14, 24]]  # it was predicted to begin before the video
    assert found["ben"][1] == [14, 24] and len(found["ben"]) == 2
    assert found["cem"] == of_cem[["onset", "offset"]].values.tolist()
    assert truth["emotion"].tolist()[:4] == ["negative", "others", "others", "positive"]
    skipped = [row["status"] for row in rows if row["status"] in ("rejected", "unreviewed")]
    for status, n in Counter(skipped).items():
        assert f"{n} {status} in the review" in done.out
    for out in (check.out, done.out):
        assert all(f"{status} in the review" in out for status in skipped)
        assert "3 video(s) without a subject, first anna" in out
    described = json.loads((analysed / "weights/corrected/weights.json").read_text())
    assert sorted(described["held_out"].values()) == list(NAMES)
    again = command(
        analysed, "--video", "videos/ben.mp4", "--dataset_name", "corrected", "--weights_dir", "weights",
        "--spotting", "paper", "--workers", "1", "--output_dir", "runs2",
    )  # fmt: skip
    assert again.code == 0, again.err
    assert (analysed / "runs2/ben/report.html").is_file()


def test_tables_of_all_kinds_name_the_same_subjects(analysed):
    """predictions.csv and the ELAN file name the folder `videos`; expressions.csv has no subject."""
    for name in ("predictions.csv", "cem/predictions.csv", "cem/expressions.csv", "cem/cem.eaf"):
        table = analysed / "runs" / name
        done = command(analysed, "--annotations", table, "--data_root", "videos", "--check", "--workers", "1")
        assert done.code == 0, done.out + done.err
        n = 3 if name == "predictions.csv" else 1
        assert f"subjects/videos/expressions: here {n}/{n}/" in done.out, done.out
        assert ("has scores and no review" in done.out) == (not name.endswith(".eaf"))


def test_videos_in_folders_of_people(analysed, tmp_path):
    """The folder of a video is its subject: two videos of anna are never in training and test set at once."""
    for subject, name in (("anna", "anna"), ("anna", "ben"), ("cem", "cem")):
        (tmp_path / "videos" / subject).mkdir(parents=True, exist_ok=True)
        (tmp_path / "videos" / subject / f"{name}.mp4").write_bytes((analysed / "videos" / f"{name}.mp4").read_bytes())
    review(analysed)
    flags = ("--annotations", analysed / "reviewed.csv", analysed / "runs/cem/cem.eaf", "--data_root", "videos")
    done = command(tmp_path, *flags, "--check", "--workers", "1")
    assert done.code == 0, done.out + done.err
    # cem's ELAN file still names the folder in which the video was: it was that of all videos
    assert "subjects/videos/expressions: here 2/3/" in done.out, done.out
