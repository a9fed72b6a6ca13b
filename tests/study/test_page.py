"""The example of docs/datasets.md, as it stands there."""

from __future__ import annotations

import re

import pytest

from tests.support.paths import PROJECT
from tests.support.studies import add_frames, add_video
from tests.support.video_clips import numbered, write_video
from Utils.dataset_run.check import check_dataset
from Utils.study.dataset import study_dataset
from Utils.study.rows import COLUMNS

PAGE = (PROJECT / "docs/datasets.md").read_text(encoding="utf-8")
SECTION = PAGE.split("## Your own dataset: one CSV")[1].split("\n## ")[0]


def test_the_example_is_read(tmp_path):
    (text,) = re.findall(r"```csv\n(.*?)```", SECTION, re.DOTALL)
    (tmp_path / "p01").mkdir()
    write_video(tmp_path / "p01/interview.mp4", numbered(42) * 11, fps=30)
    add_frames(tmp_path / "p01/walk", n=80)
    add_video(tmp_path / "talk.mkv", n=42, fps=25)
    (tmp_path / "study.csv").write_text(text)
    dataset = study_dataset((tmp_path / "study.csv",), tmp_path, "study", 1)
    assert dataset.classes == ("disgust", "happiness", "surprise") and dataset.kinds == ("micro", "macro")
    assert dataset.k == {25: 3, 30: 3, 200: 20}
    checked = check_dataset(dataset, tmp_path)
    assert "subjects/videos/expressions: here 2/3/3" in checked.report
    assert "study.csv, line 6, column onset: 90 lies after the end of the video" in checked.report  # 42 frames here


@pytest.mark.parametrize("column", COLUMNS)
def test_every_column_is_on_the_page(column):
    own_videos = ("face", "status", "score")  # columns of own videos are in docs/own_video.md
    assert f"`{column}`" in SECTION or column in own_videos
