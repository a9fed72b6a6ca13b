"""The analysis of a video from Python: the same tables as those of the command line, no files, one clear error."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.support import faults
from tests.support.faults import command
from tests.support.video_clips import numbered, write_video
from Utils.errors import InputError
from Utils.own_video import analyse
from Utils.own_video.scoring import EXPRESSION_COLUMNS
from Utils.own_video.second_look import SECOND_LOOK_COLUMNS
from Utils.parsing import settings_of
from Utils.settings import PROJECT, Settings


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    faults.stand_in_for_scores(monkeypatch)


@pytest.fixture
def video(tmp_path) -> Path:
    return write_video(tmp_path / "a.mp4", numbered(41))


def as_written(table: pd.DataFrame, **options) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(table.to_csv(index=False, **options)))


@pytest.mark.parametrize(
    ("given", "columns"), [({}, SECOND_LOOK_COLUMNS), ({"spotting": "paper", "p": 0.3}, EXPRESSION_COLUMNS)]
)
def test_tables_are_those_of_the_command_line(tmp_path, video, given, columns):
    flags = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    assert command("--video", video, "--output_dir", tmp_path / "out", *flags).code == 0
    table, frames = analyse(str(video), curves=True, **given)
    assert tuple(table.columns) == columns and len(table) > 1
    pd.testing.assert_frame_equal(as_written(table), pd.read_csv(tmp_path / "out/a/expressions.csv"))
    written = pd.read_csv(tmp_path / "out/a/frames.csv")
    pd.testing.assert_frame_equal(as_written(frames, float_format="%.8g"), written)
    pd.testing.assert_frame_equal(analyse(video, **given), table)


def test_nothing_is_written(tmp_path, video, monkeypatch):
    monkeypatch.chdir(tmp_path)
    analyse("a.mp4", curves=True)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_what_is_given_is_used(monkeypatch, video):
    jobs = []

    def score(source, weights, spotting, which, flow, threads, label):
        jobs.append((weights.title, which, flow, threads, label))
        raise InputError("enough")

    monkeypatch.setattr("Utils.own_video.run.score_video", score)
    for given in ({}, dict(dataset_name="DEMO", face="all", flow="opencv", workers=3, progress=True)):
        with pytest.raises(InputError, match="enough"):
            analyse(video, **{"workers": 1} | given)
    assert jobs == [
        ("SYNTH (rendered faces)", "largest", "kernel", 1, ""),
        ("DEMO (synthetic faces)", "all", "opencv", 3, "a"),
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (dict(p=0.5), "p is for spotting paper: add that flag, or leave p out"),
        (dict(spotting="paper", false_alarms=1), "false_alarms is not for spotting paper: leave it out"),
        (dict(spotting="mine"), "spotting: 'mine' is none of verified, paper"),
        (dict(face="smallest"), "face: 'smallest' is none of largest, all"),
        (dict(false_alarms="few"), "false_alarms: 'few' is not a number"),
        (dict(workers=0), r"workers: 0 is outside \[1, 1024\]"),
        (dict(workers=1.5), "workers: '1.5' is not a whole number"),
        (dict(dataset_name="MINE"), "dataset_name: 'MINE' is none of DEMO, .*SYNTH"),
        (dict(weights_dir="nowhere"), "nowhere.*: no weights"),
        (dict(fps=30), "a video file has its own frame rate"),
        (dict(fps=float("nan")), r"fps: nan is outside"),
    ],
)
def test_values_that_cannot_be_used(video, given, message):
    with pytest.raises(InputError, match=message) as error:
        analyse(video, **given)
    assert "\n" not in str(error.value)


def test_videos_that_cannot_be_used(tmp_path, video):
    (tmp_path / "empty").mkdir()
    write_video(tmp_path / "b.mp4", numbered(3))
    (tmp_path / "c.txt").write_text("no video")
    for path, message in (
        ("nothing.mp4", "no such file"),
        ("empty", "holds neither videos"),
        (".", "has 2 videos; give one of them"),
        ("c.txt", "is not a video"),
    ):
        with pytest.raises(InputError, match=message) as error:
            analyse(tmp_path / path)
        assert "\n" not in str(error.value)


def test_settings_are_those_of_the_flags():
    assert settings_of({}) == Settings()
    given = {"video": (Path("a"),), "fps": 25, "weights_dir": "w", "fresh": True, "dataset_name": "SYNTH"}
    made = settings_of(given)
    assert (made.video, made.fps, made.weights_dir, made.fresh) == ((Path("a"),), 25.0, Path("w"), True)


def test_the_import_is_cheap():
    """TensorFlow alone takes seconds."""
    script = "import sys; from Utils.own_video import analyse; print(*{name.split('.')[0] for name in sys.modules})"
    said = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    large = {"tensorflow", "keras", "cv2", "pandas", "scipy", "numba", "av", "matplotlib", "plotly", "dlib", "sklearn"}
    assert not large & set(said.stdout.split())


def test_the_name_is_the_function_whatever_is_imported():
    """The module has the same name."""
    script = (
        "import Utils.own_video.analyse\nfrom Utils.own_video import analyse\nfrom Utils.own_video.analyse import *\n"
        "assert callable(analyse) and callable(Utils.own_video.analyse)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=PROJECT, check=True)
