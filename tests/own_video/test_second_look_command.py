"""The second look from the command line: files that are written, keys, the paper's rule beside it, and weights."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

import main
from tests.support import faults
from tests.support.verifiers import CLASSES, made_up_verifier, write_verifier
from tests.support.video_clips import numbered, texture, write_video
from Utils.datasets.table import WEIGHTS
from Utils.own_video.displacement import HEAD, MOVED
from Utils.own_video.outputs import set_aside_rows
from Utils.own_video.scoring import EXPRESSION_COLUMNS, Spotting, score_video, spot_expressions
from Utils.own_video.second_look import SECOND_LOOK_COLUMNS
from Utils.own_video.verify import KINDS, VERIFY, load_verifier
from Utils.own_video.video_files import open_video
from Utils.own_video.weights import weights_for_videos
from Utils.settings import PROJECT
from Utils.synthetic.clips import ClipSettings, render_clip

SHIPPED = PROJECT / "MEAN_Weights"
TWO = ClipSettings(
    frames=90, size=(224, 168), n_me=(2, 2), n_macro=(0, 0), n_speech=(0, 0), me_amp=(0.55, 0.7), head=0.3
)
N_FRAMES = TWO.frames
TABLES = {"expressions.csv", "candidates.csv", "frames.csv", "predictions.csv"}
OUTPUTS = TABLES | {"overlay.mp4", "report.html", "settings.json"}


def run(*flags: object) -> int:
    return main.main([*map(str, flags), "--workers", "1"])


def about(folder: Path) -> dict:
    return json.loads((folder / "settings.json").read_text())


def table_of(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, keep_default_na=False)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """`face`: frames of a face with two micro-expressions; `w/SYNTH`: shipped networks, and a made-up verifier."""
    root = tmp_path_factory.mktemp("second")
    (root / "face").mkdir()
    for i, image in enumerate(render_clip(5, 1, 0, TWO)[0]):
        cv2.imwrite(str(root / f"face/img{i:03d}.png"), image)
    shutil.copytree(SHIPPED / "SYNTH", root / "w/SYNTH")
    write_verifier(root / "w/SYNTH")
    return root


@pytest.fixture(scope="module")
def command(place) -> tuple[object, ...]:
    return ("--video", place / "face", "--fps", 30, "--weights_dir", place / "w")


@pytest.fixture(scope="module")
def analysed(place, command) -> Path:
    """The results of the command without other flags."""
    assert run(*command, "--output_dir", place / "out") == 0
    return place / "out/face"


def test_expressions_are_the_candidates_that_are_micro(analysed, capsys):
    expressions, candidates = (table_of(analysed / f"{name}.csv") for name in ("expressions", "candidates"))
    assert {p.name for p in analysed.iterdir()} == OUTPUTS | {"face.eaf"}
    assert tuple(expressions.columns) == tuple(candidates.columns) == SECOND_LOOK_COLUMNS
    micro = candidates[candidates["kind"] == "micro"].reset_index(drop=True)
    pd.testing.assert_frame_equal(expressions, micro)
    assert 0 < len(expressions) < len(candidates) and set(candidates["kind"]) <= set(KINDS)
    assert (expressions["p_micro"] >= 0.5).all() and about(analysed)["n_expressions"] == len(expressions)
    assert set(expressions["emotion"]) <= set(CLASSES)
    frames = table_of(analysed / "frames.csv").set_index("frame")
    assert candidates["source_frame"].tolist() == frames.loc[candidates["apex"], "source_frame"].tolist()
    assert candidates["duration_s"].to_numpy() == pytest.approx(
        (candidates["offset"] - candidates["onset"]) / 30, abs=1e-4
    )


def test_settings_have_the_rule_and_its_threshold(analysed):
    assert about(analysed)["spotting"] == {
        "rule": "verified", "false_alarms": 1.0, "false_alarms_measured": [1.0, 0.6, 1.5], "p_micro_at_least": 0.5,
        "absolute_threshold": None,
    }  # fmt: skip


def rows_of(text: str, table: str) -> int:
    return text.split(f'<table id="{table}"')[1].split("</table>")[0].count("<tr") - 1


def test_the_report_shows_what_was_set_aside(analysed):
    text = (analysed / "report.html").read_text(encoding="utf-8")
    aside = set_aside_rows(pd.read_csv(analysed / "candidates.csv", keep_default_na=False))
    assert aside and rows_of(text, "set-aside") == len(aside)
    assert rows_of(text, "expressions") == len(table_of(analysed / "expressions.csv"))
    assert "p_micro of at least 0.50" in text and "even a video of a neutral face" not in text
    assert "no verifier of their own" not in text


def test_the_same_command_has_nothing_to_do_and_another_rate_has(analysed, command, place, monkeypatch):
    before = {path: path.stat().st_mtime_ns for path in analysed.iterdir()}
    assert run(*command, "--output_dir", place / "out", "--false_alarms", 1) == 0
    assert {path: path.stat().st_mtime_ns for path in analysed.iterdir()} == before
    faults.stand_in_for_scores(monkeypatch)  # quickly, and only what the key says is looked at
    keys = {}
    for name, flags in (("one", ()), ("six", ("--false_alarms", 6)), ("score", ("--absolute_threshold", 0.1)),
                        ("paper", ("--spotting", "paper"))):  # fmt: skip
        assert run(*command, "--output_dir", place / name, *flags) == 0
        keys[name] = about(place / name / "face")["key"]
    assert len(set(keys.values())) == 4
    assert about(place / "six/face")["spotting"]["p_micro_at_least"] == 0.1
    assert run(*command, "--output_dir", place / "one", "--false_alarms", 6) == 0
    assert about(place / "one/face")["key"] == keys["one"]
    assert about(place / "one/face, false_alarms 6")["key"] == keys["six"]


def test_another_verifier_is_another_key(command, place, tmp_path, monkeypatch):
    faults.stand_in_for_scores(monkeypatch)
    monkeypatch.setattr("Utils.own_video.second_look.load_verifier", load_verifier)
    shutil.copytree(place / "w", tmp_path / "w")
    keys = []
    for folder, borders in (("face", [0.0, 1.0, 0.0, 0.0]), ("face, other verifier", [0.1, 1.0, 0.0, 0.0])):
        write_verifier(tmp_path / "w/SYNTH", borders=[borders, borders])
        assert run(*command[:4], "--weights_dir", tmp_path / "w", "--output_dir", tmp_path / "out") == 0
        keys.append(about(tmp_path / "out" / folder)["key"])
    assert keys[0] != keys[1]


def test_the_papers_rule_is_what_it_was(command, place, tmp_path):
    """The rows of `spot_expressions` on the scores, with T = mean + 0.55 (max - mean); nothing of the second look."""
    assert run(*command, "--spotting", "paper", "--output_dir", tmp_path) == 0
    found = pd.read_csv(tmp_path / "face/expressions.csv")
    weights = weights_for_videos(place / "w", WEIGHTS["SYNTH"])
    source = open_video(place / "face", 30.0, False)
    _, faces = score_video(source, weights, Spotting(0.55), "largest", "kernel", 1, "")
    k_prime = weights.frames_at(30.0)[1]
    expected = spot_expressions("face", faces, weights.classes, k_prime, 30.0, source.source_frames)
    assert tuple(found.columns) == EXPRESSION_COLUMNS and len(found) > 0
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, atol=1e-6)
    assert faces[0].curves is None and faces[0].threshold is not None
    assert {p.name for p in (tmp_path / "face").iterdir()} == OUTPUTS - {"candidates.csv"} | {"face.eaf"}
    assert about(tmp_path / "face")["spotting"] == {"rule": "paper", "p": 0.55, "absolute_threshold": None}
    text = (tmp_path / "face/report.html").read_text(encoding="utf-8")
    assert "set-aside" not in text and "even a video of a neutral face" in text


def test_the_networks_scores_are_the_same_with_both_rules(analysed, command, tmp_path):
    assert run(*command, "--spotting", "paper", "--output_dir", tmp_path) == 0
    assert (tmp_path / "face/frames.csv").read_bytes() == (analysed / "frames.csv").read_bytes()


def test_curves_are_there_where_the_face_is(place, tmp_path):
    """The face is away in frames 40 to 64, and then comes back."""
    face = [cv2.imread(str(path)) for path in sorted((place / "face").iterdir())]
    path = write_video(tmp_path / "a.mp4", [*face[:40], *texture(25, TWO.size), *face[40:75]])
    weights = weights_for_videos(place / "w", WEIGHTS["SYNTH"])
    tracking, faces = score_video(open_video(path, None, False), weights, None, "largest", "kernel", 1, "")
    assert tracking.without_face == ((40, 64),)
    seen = np.zeros(100, bool)
    for scored in faces:
        assert scored.threshold is None and scored.step == 1 and len(scored.curves) == 100
        rows = np.isfinite(scored.curves)
        assert (rows.all(axis=1) == rows.any(axis=1)).all()
        begins = scored.curves[[first for first, _ in scored.track.stretches()]]
        assert not begins[:, MOVED].any() and not begins[:, HEAD].any()
        seen |= rows[:, 0]
    assert np.flatnonzero(~seen).tolist() == list(range(40, 65))


# Which verifier


def test_weights_without_a_verifier_use_the_one_of_the_program(place, tmp_path):
    assert not (SHIPPED / "DEMO" / VERIFY).exists()
    assert run("--video", place / "face", "--fps", 30, "--dataset_name", "DEMO", "--output_dir", tmp_path) == 0
    shipped = load_verifier(SHIPPED / "SYNTH", None)
    spotting = about(tmp_path / "face")["spotting"]
    assert spotting["p_micro_at_least"] == shipped.threshold(1.0)[0] and spotting["rule"] == "verified"
    assert table_of(tmp_path / "face/candidates.csv").columns.tolist() == list(SECOND_LOOK_COLUMNS)
    text = (tmp_path / "face/report.html").read_text(encoding="utf-8")
    assert "These weights bring no verifier of their own" in text


def test_weights_with_a_verifier_of_their_own_use_it(tmp_path, monkeypatch):
    """Also if they are not those for videos."""
    write_video(tmp_path / "a.mp4", numbered(40))
    faults.stand_in_for_scores(monkeypatch)
    monkeypatch.setattr("Utils.own_video.second_look.load_verifier", load_verifier)
    shutil.copytree(SHIPPED / "DEMO", tmp_path / "w/DEMO")
    write_verifier(tmp_path / "w/DEMO", false_alarms=[[0.77, 0.0, 0.0, 1.0]])
    flags = ("--dataset_name", "DEMO", "--weights_dir", tmp_path / "w", "--output_dir", tmp_path / "out")
    assert run("--video", tmp_path / "a.mp4", *flags) == 0
    assert about(tmp_path / "out/a")["spotting"]["p_micro_at_least"] == 0.77


def test_weights_for_videos_need_their_verifier(place, tmp_path, capsys):
    shutil.copytree(place / "w", tmp_path / "w")
    (tmp_path / "w/SYNTH" / VERIFY).unlink()
    flags = ("--video", place / "face", "--fps", 30, "--weights_dir", tmp_path / "w", "--output_dir", tmp_path / "out")
    assert run(*flags) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1 and re.search(r"verify\.json: is missing.*--spotting paper", said.err)
    assert "Traceback" not in said.out and not (tmp_path / "out").exists()
    assert run(*flags, "--check") == 0  # the footage needs none


# Several videos, and files that are removed


@pytest.fixture
def quick(tmp_path, monkeypatch) -> tuple[object, ...]:
    """A command over two videos, their scores made up: each has two expressions."""
    faults.stand_in_for_scores(monkeypatch)
    for name in ("a", "b"):
        write_video(tmp_path / f"{name}.mp4", numbered(40))
    return ("--video", tmp_path / "a.mp4", tmp_path / "b.mp4", "--output_dir", tmp_path / "out")


def test_the_tables_of_all_videos_have_the_expressions_only(quick, tmp_path):
    assert run(*quick) == 0
    table = table_of(tmp_path / "out/predictions.csv")
    assert table["video"].tolist() == ["a", "a", "b", "b"]
    for name in ("a", "b"):
        assert len(table_of(tmp_path / f"out/{name}/candidates.csv")) >= 2
        assert table_of(tmp_path / f"out/{name}/expressions.csv")["apex"].tolist() == [10, 30]


def test_candidates_that_were_removed_are_made_again(quick, tmp_path):
    assert run(*quick) == 0
    path = tmp_path / "out/a/candidates.csv"
    before = path.read_bytes()
    path.unlink()
    assert run(*quick) == 0 and path.read_bytes() == before


def test_candidates_that_a_user_changed_are_kept(quick, tmp_path, capsys):
    assert run(*quick) == 0
    with (tmp_path / "out/b/candidates.csv").open("a") as file:
        file.write("mine\n")
    assert run(*quick, "--fresh") == 1
    assert "b/candidates.csv: was changed" in capsys.readouterr().err


def test_made_up_verifiers_are_read_like_others(tmp_path):
    assert made_up_verifier(tmp_path).classes == load_verifier(tmp_path, CLASSES).classes
