"""Folders of results: other settings never replace finished ones, and a re-run finds its own folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

import main
import Utils.own_video.jobs
import Utils.own_video.run
import Utils.work.machine
from tests.support import faults
from tests.support.video_clips import numbered, write_video
from Utils.settings import PROJECT


@pytest.fixture(autouse=True)
def _quick(monkeypatch) -> None:
    faults.stand_in_for_scores(monkeypatch)


@pytest.fixture
def video(tmp_path) -> Path:
    return write_video(tmp_path / "a.mp4", numbered(40))


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "out"


def run(*flags: object) -> int:
    return main.main([*map(str, flags), "--workers", "1"])


def about(folder: Path) -> dict:
    return json.loads((folder / "settings.json").read_text())


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.iterdir()}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


FOLDERS = {
    "a, p 0.7": ("--spotting", "paper", "--p", 0.7),
    "a, absolute_threshold 0.2": ("--spotting", "paper", "--absolute_threshold", 0.2),
    "a, face all": ("--spotting", "paper", "--face", "all"),
    "a, flow opencv": ("--spotting", "paper", "--flow", "opencv"),
    "a, spotting verified": (),
    "a, spotting verified, false_alarms 0.3": ("--false_alarms", 0.3),
    "a, half_length 0.3": ("--spotting", "paper", "--half_length", 0.3),
    "a, dataset_name DEMO": ("--spotting", "paper", "--dataset_name", "DEMO"),
}


def test_every_flag_that_changes_results_has_a_folder_and_is_in_its_settings(video, out, capsys):
    command = ("--video", video, "--output_dir", out)
    assert run(*command, "--spotting", "paper") == 0
    before = contents(out / "a")
    for folder, flags in FOLDERS.items():
        capsys.readouterr()
        assert run(*command, *flags) == 0
        said = capsys.readouterr().out
        assert f"are in {out / folder}; those for " in said and f" stay in {out / 'a'}\n" in said
        done = about(out / folder)
        given = dict(zip(flags[::2], flags[1::2], strict=True))
        assert {f"--{name}": done["flags"][name] for name in done["flags"] if f"--{name}" in given} == given
        assert done["key"] != about(out / "a")["key"] and (done["k"], done["fps"]) == (3, 30)
    assert contents(out / "a") == before
    assert names(out) == {"a", *FOLDERS}
    written = {folder: contents(out / folder) for folder in FOLDERS}
    for folder, flags in FOLDERS.items():  # each finds its own again
        capsys.readouterr()
        assert run(*command, *flags) == 0
        said = capsys.readouterr().out
        assert f"already done, kept; {out / folder / 'report.html'}" in said and f" stay in {out / 'a'}\n" in said
    assert {folder: contents(out / folder) for folder in FOLDERS} == written and names(out) == {"a", *FOLDERS}


def test_the_first_folder_is_found_again_whatever_its_settings(video, out, capsys):
    """A default that comes second is named, too. A flag that the first rule did not have is not said of it."""
    command = ("--video", video, "--output_dir", out, "--spotting", "paper")
    for flags in (("--p", 0.7), (), ("--p", 0.7), ("--absolute_threshold", 0.1, "--p", 0.7), ()):
        assert run(*command, *flags) == 0
    assert names(out) == {"a", "a, p 0.55", "a, absolute_threshold 0.1"}
    assert about(out / "a")["flags"]["p"] == 0.7
    capsys.readouterr()
    assert run(*command[:4], "--false_alarms", 0.3) == 0
    words = "results for spotting verified, false_alarms 0.3 are in"
    assert (
        f"{words} {out / 'a'}, spotting verified, false_alarms 0.3; those for spotting paper stay in {out / 'a'}\n"
        in (capsys.readouterr().out)
    )


def test_settings_have_the_hashes_of_the_weights_and_the_threshold(video, out):
    import hashlib

    assert run("--video", video, "--output_dir", out, "--spotting", "paper") == 0
    done = about(out / "a")
    assert done["weights_files"]
    for name, known in done["weights_files"].items():
        path = PROJECT / "MEAN_Weights/SYNTH" / name
        assert hashlib.sha256(path.read_bytes()).hexdigest() == known
    assert list(done["thresholds"]) == ["0"] and 0 < done["thresholds"]["0"] < 1
    assert done["made_from"]["settings"] == {
        "spotting": "paper", "p": 0.55, "absolute_threshold": None, "face": "largest", "fps": None, "flow": "kernel",
    }  # fmt: skip
    assert done["made_from"]["verifier"] is None
    assert run("--video", video, "--output_dir", out) == 0
    assert len(about(out / "a, spotting verified")["made_from"]["verifier"]) == 64


def test_another_rate_of_images_has_its_folder(tmp_path, out):
    import cv2

    (tmp_path / "frames").mkdir()
    for i, image in enumerate(numbered(40)):
        cv2.imwrite(str(tmp_path / f"frames/img{i}.png"), image)
    for fps in (30, 25):
        assert run("--video", tmp_path / "frames", "--fps", fps, "--output_dir", out) == 0
    assert names(out) == {"frames", "frames, fps 25"} and about(out / "frames, fps 25")["fps"] == 25


def test_fresh_replaces_the_results_of_the_same_settings_only(video, out, monkeypatch):
    command = ("--video", video, "--output_dir", out, "--spotting", "paper")
    assert run(*command) == run(*command, "--p", 0.7) == 0
    first, second = contents(out / "a"), contents(out / "a, p 0.7")
    assert run(*command, "--p", 0.7, "--fresh") == 0
    assert contents(out / "a") == first
    again = contents(out / "a, p 0.7")
    assert names(out) == {"a", "a, p 0.7"} and again["frames.csv"][1] != second["frames.csv"][1]
    assert again["frames.csv"][0] == second["frames.csv"][0]


def test_an_older_version_stays_and_fresh_replaces_it(video, out, monkeypatch):
    command = ("--video", video, "--output_dir", out)
    assert run(*command) == run(*command, "--false_alarms", 6) == 0
    before = contents(out / "a")
    monkeypatch.setattr(Utils.own_video.jobs, "OWN_VIDEO_VERSION", 10_000)
    assert run(*command) == 0
    assert contents(out / "a") == before
    assert about(out / "a, other versions")["made_from"]["program"]["results"] == 10_000
    assert run(*command, "--false_alarms", 6, "--fresh") == 0
    assert names(out) == {"a", "a, other versions", "a, false_alarms 6"}
    assert about(out / "a, false_alarms 6")["made_from"]["program"]["results"] == 10_000


def test_results_before_settings_had_their_origin_stay(video, out):
    command = ("--video", video, "--output_dir", out)
    assert run(*command) == 0
    done = about(out / "a")
    del done["made_from"]
    (out / "a/settings.json").write_text(json.dumps(done | {"key": "0" * 20}))
    before = contents(out / "a")
    for fresh in ((), ("--fresh",)):
        assert run(*command, *fresh) == 0
        assert contents(out / "a") == before and names(out) == {"a", "a, other versions"}


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda about: about.pop("made_from"), "a, false_alarms 6, other versions"),
        (lambda about: about.update(made_from=3, flags="p"), "a, false_alarms 6, other versions"),
        (lambda about: about.update(made_from={"settings": [1]}), "a, false_alarms 6, other video, "),
        (lambda about: about["made_from"].update(settings={"false_alarms": [1]}), "a, false_alarms 6"),
        (lambda about: about["flags"].clear(), "a, false_alarms 6"),
    ],
)
def test_settings_that_users_have_changed_still_get_a_folder_beside_them(damage, expected, video, out):
    command = ("--video", video, "--output_dir", out)
    assert run(*command) == 0
    done = about(out / "a")
    damage(done)
    (out / "a/settings.json").write_text(json.dumps(done))
    before = contents(out / "a")
    for fresh in ((), (), ("--fresh",)):
        assert run(*command, "--false_alarms", 6, *fresh) == 0
        (folder,) = names(out) - {"a"}
        assert folder.startswith(expected) and contents(out / "a") == before


def test_another_video_of_this_name_and_other_weights_have_their_folders(video, out, tmp_path):
    assert run("--video", video, "--output_dir", out) == 0
    before = contents(out / "a")
    (tmp_path / "b").mkdir()
    other = write_video(tmp_path / "b/a.mp4", numbered(36))
    assert run("--video", other, "--output_dir", out) == 0
    shutil.copytree(PROJECT / "MEAN_Weights/SYNTH", tmp_path / "w/SYNTH")
    facts = json.loads((tmp_path / "w/SYNTH/weights.json").read_text())
    for k_prime in (7, 8):
        (tmp_path / "w/SYNTH/weights.json").write_text(json.dumps(facts | {"k_prime": k_prime}))
        assert run("--video", video, "--output_dir", out, "--weights_dir", tmp_path / "w") == 0
    assert contents(out / "a") == before
    assert names(out) == {"a", "a, other video", "a, other weights", "a, other weights-2"}
    assert about(out / "a, other video")["n_frames"] == 36 and about(out / "a, other weights-2")["k_prime"] > 7


def test_tables_and_index_have_the_results_of_the_command(tmp_path, out, monkeypatch):
    for name in ("a", "b"):
        write_video(tmp_path / f"{name}.mp4", numbered(40))
    command = ("--video", tmp_path / "a.mp4", tmp_path / "b.mp4", "--output_dir", out)
    rows: list[dict] = []
    monkeypatch.setattr("Utils.own_video.collection.write_index", lambda path, title, r, **_: rows.extend(r))
    paper = ("--spotting", "paper", "--absolute_threshold")
    assert run(*command, *paper, 0) == run(*command, *paper, 50) == run(*command, *paper, 0) == 0
    reports = ["a/report.html", "b/report.html"]
    others = ["a, absolute_threshold 50/report.html", "b, absolute_threshold 50/report.html"]
    assert [row["report"] for row in rows] == reports + others + reports
    assert [bool(row["expressions"]) for row in rows] == [True, True, False, False, True, True]
    assert ["stay in" in " ".join(row["remarks"]) for row in rows] == [False, False, True, True, False, False]
    table = pd.read_csv(out / "predictions.csv")
    assert table["video"].tolist() == ["a", "a", "b", "b"] and names(out) >= {"a", "b"}


def test_a_video_whose_name_looks_like_another_ones_folder(tmp_path, out):
    """`a` with p 0.7 may not take the folder that the video `a, p 0.7` of the same command has, nor one that it had."""
    for name in ("a", "a, p 0.7"):
        write_video(tmp_path / f"{name}.mp4", numbered(40 if name == "a" else 36))
    paper = ("--output_dir", out, "--spotting", "paper")
    both = ("--video", tmp_path / "a.mp4", tmp_path / "a, p 0.7.mp4")
    assert run(*both[:2], *paper) == 0
    assert run(*both, *paper, "--p", 0.7) == 0
    assert about(out / "a, p 0.7")["n_frames"] == 36 and about(out / "a, p 0.7-2")["n_frames"] == 40
    assert run(*both[:2], *paper, "--p", 0.7) == 0
    assert names(out) >= {"a", "a, p 0.7", "a, p 0.7-2"} and not (out / "a, p 0.7-3").exists()


def test_a_long_name_gets_a_number(tmp_path, out):
    name = "n" * 245
    video = write_video(tmp_path / f"{name}.mp4", numbered(40))
    for flags in ((), ("--false_alarms", 6), ("--false_alarms", 6)):
        assert run("--video", video, "--output_dir", out, *flags) == 0
    assert names(out) == {name, f"{name}-2"}


def test_results_that_another_run_wrote_meanwhile_are_not_replaced(video, out, monkeypatch, capsys):
    """Two commands with different settings begin at the same time: both see that there is no folder yet."""
    command = ("--video", video, "--output_dir", out)
    write_elan = Utils.own_video.run.write_elan

    def other_run_first(*arguments) -> None:
        monkeypatch.setattr(Utils.own_video.run, "write_elan", write_elan)
        assert run(*command, "--false_alarms", 6) == 0
        write_elan(*arguments)

    monkeypatch.setattr(Utils.own_video.run, "write_elan", other_run_first)
    assert run(*command) == 2
    assert "another run has just put other results there" in capsys.readouterr().err
    assert about(out / "a")["flags"]["false_alarms"] == 6
    assert run(*command) == 0
    assert names(out) == {"a", "a, false_alarms 1"}


def test_a_file_that_is_changed_while_it_is_made_again_is_kept(video, out, monkeypatch, capsys):
    command = ("--video", video, "--output_dir", out)
    assert run(*command) == 0
    write_elan = Utils.own_video.run.write_elan

    def with_a_note(*arguments) -> None:
        (out / "a/notes.txt").write_text("mine")
        write_elan(*arguments)

    monkeypatch.setattr(Utils.own_video.run, "write_elan", with_a_note)
    assert run(*command, "--fresh") == 2
    assert "notes.txt: was changed or added" in capsys.readouterr().err
    assert (out / "a/notes.txt").read_text() == "mine"
