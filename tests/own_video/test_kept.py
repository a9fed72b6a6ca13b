"""Scores that are kept: another threshold needs neither networks nor flow, and gives what it gives without them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

import main
import Utils.own_video.kept
import Utils.own_video.run
from tests.support import faults
from tests.support.damage import DAMAGES
from tests.support.video_clips import face_clip, numbered, texture, write_video
from Utils.own_video.read_ahead import read_ahead
from Utils.settings import PROJECT

TABLES = ("expressions.csv", "candidates.csv", "frames.csv")
SAME = (*TABLES, "overlay.mp4", "report.html")  # settings.json has times, the .eaf has addresses
KEPT_FILES = {"kept.json", "scores.npy", "curves.npy", "source_frames.npy", "places.npy", "footage.json"}


def run(*flags: object) -> int:
    return main.main([*map(str, flags), "--workers", "1"])


def about(folder: Path) -> dict:
    return json.loads((folder / "settings.json").read_text())


def contents(folder: Path, names: tuple[str, ...] = SAME) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in names if (folder / name).exists()}


# Real scores of a face that leaves and comes back


@pytest.fixture(scope="module")
def face(tmp_path_factory) -> Path:
    """`a.mkv` in a folder, of variable rate; `out` and `cache` of the command without other flags."""
    root = tmp_path_factory.mktemp("kept")
    images = list(face_clip()[0])
    images = images[:40] + texture(25) + images[40:]
    times = np.cumsum([0, *([33, 34, 33, 67] * 30)])[: len(images)]
    write_video(root / "a.mkv", images, times=[int(t) for t in times])
    assert run("--video", root / "a.mkv", "--output_dir", root / "out", "--cache_dir", root / "cache") == 0
    return root


def test_a_changed_threshold_needs_neither_tensorflow_nor_matplotlib(face, tmp_path):
    """In a new process: the results equal those without any kept scores."""
    flags = ["--video", face / "a.mkv", "--output_dir", tmp_path / "kept", "--cache_dir", face / "cache"]
    flags += ["--false_alarms", 0.01]
    code = f"import sys, main; code = main.main({[str(flag) for flag in flags]}); "
    code += "sys.exit(code or 10 * bool({'tensorflow', 'keras', 'matplotlib'} & sys.modules.keys()))"
    ended = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True)
    said = ended.stdout
    assert "s of video, scores kept from an earlier run, " in said, said + ended.stderr
    assert ended.returncode == 0, "a large library was loaded" if ended.returncode == 10 else ended.stderr
    done = about(tmp_path / "kept/a")
    assert done["scores_reused"]
    assert run(*flags[:2], "--output_dir", tmp_path / "anew", "--cache_dir", tmp_path / "empty", *flags[6:]) == 0
    anew = about(tmp_path / "anew/a")
    assert not anew["scores_reused"] and anew["n_expressions"] < about(face / "out/a")["n_expressions"]
    assert contents(tmp_path / "anew/a").keys() == set(SAME)
    same = contents(tmp_path / "anew/a") == contents(tmp_path / "kept/a")  # as deep: the report links the video
    assert same  # pytest would compare reports that differ for minutes
    differing = {name for name in anew if anew[name] != done[name]}
    assert differing == {"scores_reused", "flags", "took", "files"}  # flags: of folders; files: the .eaf's addresses
    assert any("variable" in remark for remark in done["remarks"]) and done["footage"] == anew["footage"]


def test_the_papers_rule_uses_the_scores_of_the_second_look(face, tmp_path):
    found = {}
    for place in (face / "cache", tmp_path / "empty"):
        out = tmp_path / place.name
        command = ("--video", face / "a.mkv", "--output_dir", out, "--cache_dir", place)
        assert run(*command, "--spotting", "paper", "--p", 0.2) == 0
        found[about(out / "a")["scores_reused"]] = contents(out / "a")
    assert found[True] == found[False] and found[True]["expressions.csv"].count(b"\n") > 2


# Made-up scores


@pytest.fixture
def counted(monkeypatch) -> Callable[[], int]:
    """How often scores were computed since it was asked the last time. They are made up."""
    faults.stand_in_for_scores(monkeypatch)
    computed = []
    score = Utils.own_video.run.score_video
    monkeypatch.setattr(Utils.own_video.run, "score_video", lambda *given: computed.append(1) or score(*given))

    def count() -> int:
        n = len(computed)
        computed.clear()
        return n

    return count


@pytest.fixture
def command(tmp_path) -> tuple[object, ...]:
    video = write_video(tmp_path / "a.mp4", numbered(40))
    return ("--video", video, "--output_dir", tmp_path / "out", "--cache_dir", tmp_path / "cache")


def kept(cache: Path) -> Path:
    (folder,) = (cache / "own_videos").iterdir()
    return folder


def test_only_what_they_depend_on_computes_them_again(command, counted, tmp_path):
    assert run(*command) == 0 and counted() == 1
    for again, flags in (
        (0, ("--false_alarms", 6)), (0, ("--absolute_threshold", 0.1)), (0, ("--spotting", "paper")),
        (0, ("--spotting", "paper", "--p", 0.7)), (1, ("--face", "all")), (1, ("--flow", "opencv")),
        (1, ("--half_length", 0.3)), (1, ("--dataset_name", "DEMO")), (0, ("--face", "all", "--false_alarms", 6)),
        (1, ("--fresh",)), (0, ("--false_alarms", 5)),
    ):  # fmt: skip
        assert run(*command, *flags) == 0
        assert counted() == again, flags
    write_video(tmp_path / "a.mp4", numbered(36))
    assert run(*command) == 0 and counted() == 1


def test_images_need_their_rate_and_are_found_again(counted, tmp_path):
    (tmp_path / "frames").mkdir()
    for i, image in enumerate(numbered(40)):
        cv2.imwrite(str(tmp_path / f"frames/img{i}.png"), image)
    command = ("--video", tmp_path / "frames", "--output_dir", tmp_path / "out", "--cache_dir", tmp_path / "cache")
    for fps, flags, again in ((30, (), 1), (30, ("--false_alarms", 6), 0), (25, (), 1)):
        assert run(*command, "--fps", fps, *flags) == 0
        assert counted() == again
    assert contents(tmp_path / "out/frames", TABLES)["frames.csv"].count(b"\n") == 41


def test_the_paper_rule_keeps_no_curves_so_the_second_look_computes(command, counted, tmp_path):
    assert run(*command, "--spotting", "paper") == 0 and counted() == 1
    assert {p.name for p in kept(tmp_path / "cache").iterdir()} == KEPT_FILES - {"curves.npy"}
    assert run(*command) == 0 and counted() == 1
    assert {p.name for p in kept(tmp_path / "cache").iterdir()} == KEPT_FILES
    assert run(*command, "--spotting", "paper", "--p", 0.7) == 0 and counted() == 0


@pytest.mark.parametrize("name", sorted(KEPT_FILES))
def test_damaged_ones_are_computed_again(name, command, counted, tmp_path):
    assert run(*command) == 0 and counted() == 1
    whole = contents(kept(tmp_path / "cache"), tuple(KEPT_FILES))
    expected = contents(tmp_path / "out/a")
    for damage, change in {**DAMAGES, "other JSON": lambda content: b'{"check": 1, "files": {}}'}.items():
        path = kept(tmp_path / "cache") / name
        path.unlink()
        if change is not None:
            path.write_bytes(change(whole[name]))
        shutil.rmtree(tmp_path / "out")
        assert run(*command) == 0
        assert counted() == (name != "footage.json"), damage  # the footage is measured again without the scores
        assert contents(tmp_path / "out/a") == expected, damage
        assert contents(kept(tmp_path / "cache"), tuple(KEPT_FILES)) == whole, damage


@pytest.mark.parametrize(
    ("name", "before", "after", "again"),
    [("kept.json", '"fps": 30.0', '"fps": 31.0', 1), ("footage.json", '"red"', '"green"', 0)],
)
def test_values_that_were_changed_are_not_used(name, before, after, again, command, counted, tmp_path):
    """The file can still be read."""
    assert run(*command) == 0 and counted() == 1
    path = kept(tmp_path / "cache") / name
    whole = path.read_text()
    assert before in whole
    path.write_text(whole.replace(before, after, 1))
    assert run(*command, "--false_alarms", 6) == 0 and counted() == again
    found, first = (about(tmp_path / "out" / folder) for folder in ("a, false_alarms 6", "a"))
    assert found["fps"] == 30 and found["footage"] == first["footage"] and path.read_text() == whole


def test_scores_that_cannot_be_kept_do_not_stop_a_run(command, counted, tmp_path, capsys):
    (tmp_path / "cache").write_text("a file")
    for flags in ((), ("--false_alarms", 6)):
        assert run(*command, *flags) == 0 and counted() == 1
        said = f"scores are not kept for the next time: {tmp_path / 'cache/own_videos'}: Not a directory"
        assert said in capsys.readouterr().out
    assert (tmp_path / "cache").read_text() == "a file"


def test_scores_of_a_very_long_video_are_not_kept(command, counted, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Utils.own_video.kept, "MAX_VIDEO", 1000)
    assert run(*command) == 0
    assert "not kept for the next time: they take more than 0 MB" in capsys.readouterr().out
    assert not (tmp_path / "cache").exists()


def test_the_ones_used_the_longest_ago_are_removed(counted, tmp_path, monkeypatch):
    videos = [write_video(tmp_path / f"{name}.mp4", numbered(40)) for name in "abc"]
    flags = ("--output_dir", tmp_path / "out", "--cache_dir", tmp_path / "cache")
    assert run("--video", videos[0], *flags) == 0
    size = sum(path.stat().st_size for path in kept(tmp_path / "cache").iterdir())
    monkeypatch.setattr(Utils.own_video.kept, "MAX_ROOM", int(2.5 * size))
    (tmp_path / "cache/own_videos/mine").mkdir()
    assert run("--video", videos[1], *flags) == 0
    assert run("--video", videos[0], *flags, "--false_alarms", 6) == 0  # used: the other one is older now
    assert run("--video", videos[2], *flags) == 0
    counted()
    assert len(list((tmp_path / "cache/own_videos").iterdir())) == 3
    for video, again in ((videos[0], 0), (videos[2], 0), (videos[1], 1)):
        assert run("--video", video, *flags, "--false_alarms", 5) == 0
        assert counted() == again


def test_a_video_without_a_face_says_so_each_time(tmp_path, capsys):
    video = write_video(tmp_path / "nobody.mp4", texture(30))
    other = write_video(tmp_path / "other.mp4", texture(31))
    command = ("--video", video, other, "--output_dir", tmp_path / "out", "--cache_dir", tmp_path / "cache")
    for folder, flags in (("nobody", ()), ("nobody", ()), ("nobody, false_alarms 6", ("--false_alarms", 6))):
        assert run(*command, *flags) == 0
        said = capsys.readouterr().out
        assert said.count(": no face was found in 1.0 s of video") == 2 and "0 expression" not in said
        done = about(tmp_path / "out" / folder)
        assert done["n_faces"] == done["n_expressions"] == 0 and "no face was found" in " ".join(done["remarks"])
        for table in ("expressions.csv", "candidates.csv"):
            assert (tmp_path / "out" / folder / table).read_text().count("\n") == 1
        page = (tmp_path / "out/index.html").read_text(encoding="utf-8")
        assert page.count("no face was found") == 4 and ">done<" not in page
    assert about(tmp_path / "out/nobody, false_alarms 6")["scores_reused"]


# Reading ahead


def test_reading_ahead_gives_the_same_items():
    for n in (0, 1, 3, 20):
        assert list(read_ahead(range(n))) == list(range(n))
    assert next(read_ahead(iter(range(10)))) == 0  # the rest is not needed


def test_reading_ahead_raises_in_its_place():
    def items():
        yield 1
        yield 2
        raise ValueError("here")

    found = []
    with pytest.raises(ValueError, match="here"):
        for item in read_ahead(items()):
            found.append(item)
    assert found == [1, 2]
