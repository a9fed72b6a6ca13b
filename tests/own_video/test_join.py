"""The documented joins with OpenFace and Py-Feat, as they stand in docs/own_video.md, on tiny tables."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import main
from tests.support import faults
from tests.support.paths import PROJECT
from tests.support.video_clips import numbered, write_video

N_FRAMES = 40
LATE = (7, 15, 23)  # frames of the file that stay on the screen for twice the time
SECTION = re.compile(r"^## Join with OpenFace and Py-Feat$(.*?)^## ", re.MULTILINE | re.DOTALL)
SNIPPETS = re.findall(
    r"^```python\n(.*?)^```", SECTION.search((PROJECT / "docs/own_video.md").read_text(encoding="utf-8"))[1],
    re.MULTILINE | re.DOTALL,
)  # fmt: skip


def test_there_are_four_snippets_of_two_lines():
    assert [len(snippet.splitlines()) for snippet in SNIPPETS] == [2, 2, 2, 2]


@pytest.fixture(params=["constant rate", "variable rate"])
def place(request, tmp_path, monkeypatch) -> Path:
    """The working folder of a user: results of `interview`, and the tables of the other programs.

    AU12 of a frame is its number in the file, from 0, as a hundredth. OpenFace knows no times of a variable rate.
    """
    faults.stand_in_for_scores(monkeypatch)
    monkeypatch.chdir(tmp_path)
    steps = [2 if i in LATE and request.param == "variable rate" else 1 for i in range(N_FRAMES - 1)]
    times = [round(tick * 1000 / 30) for tick in np.cumsum([0, *steps])]
    video = write_video(tmp_path / "interview.mkv", numbered(N_FRAMES), times=times if max(steps) > 1 else None)
    assert main.main(["--video", str(video), "--cache_dir", "cache", "--workers", "1"]) == 0
    lines = ["frame, face_id, timestamp, confidence, success, pose_Rx, AU12_r, AU12_c"]
    lines += [f"{i + 1}, 0, {i / 30:.3f}, 0.98, 1, 0.1, {i / 100}, 1" for i in range(N_FRAMES)]
    (tmp_path / "interview_openface.csv").write_text("\n".join(lines) + "\n")
    pyfeat = pd.DataFrame({"FaceRectX": 20.0, "FaceScore": 0.9, "AU12": np.arange(N_FRAMES) / 100, "happiness": 0.1})
    pyfeat.assign(input="interview.mkv", frame=np.arange(N_FRAMES)).to_csv(
        tmp_path / "interview_pyfeat.csv", index=False
    )
    return tmp_path


def run(*snippets: str) -> dict:
    names: dict = {"pd": pd}
    for snippet in snippets:
        exec(snippet, names)
    return names


def is_variable(place: Path) -> bool:
    return json.loads((place / "runs/interview/settings.json").read_text())["n_frames"] > N_FRAMES


@pytest.mark.parametrize(("snippet", "column"), [(SNIPPETS[0], "AU12_r"), (SNIPPETS[1], "AU12")])
def test_frames_are_joined_with_their_own_row(place, snippet, column):
    before = pd.read_csv("runs/interview/frames.csv")
    frames = run(snippet)["frames"]
    assert len(frames) == len(before) and (len(before) > N_FRAMES) == is_variable(place)
    assert set(before.columns) <= set(frames.columns)
    pd.testing.assert_frame_equal(frames[before.columns], before)
    np.testing.assert_allclose(frames[column], before["source_frame"] / 100)


@pytest.mark.parametrize(("snippet", "column"), [(SNIPPETS[0], "AU12_r"), (SNIPPETS[1], "AU12")])
def test_expressions_are_joined_with_the_row_of_their_apex(place, snippet, column):
    expressions = run(snippet.replace("frames.csv", "expressions.csv"))["frames"]
    assert len(expressions) == 2
    frames = pd.read_csv("runs/interview/frames.csv").set_index("frame")
    np.testing.assert_allclose(expressions[column], frames.loc[expressions["apex"], "source_frame"] / 100)


def test_an_action_unit_during_each_expression(place):
    expressions = run(SNIPPETS[0], SNIPPETS[2])["expressions"]
    frames = pd.read_csv("runs/interview/frames.csv").set_index("frame")
    last = frames.loc[expressions["offset"], "source_frame"]  # it rises all the time
    np.testing.assert_allclose(expressions["AU12_r"], last / 100)
    assert len(expressions) == 2


def test_times_of_three_decimals_find_their_frame(place):
    if is_variable(place):
        return
    frames = run(SNIPPETS[3])["frames"]
    assert len(frames) == N_FRAMES
    np.testing.assert_allclose(frames["AU12_r"], frames["frame"] / 100)
