"""Folders of frames with other images in them, or without their first frames; and rates that differ between kinds."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from load_excel import match_expressions
from tests.support.studies import GOOD, HEAD, add_frames, read, study_of
from train_evaluate import FoldJob, Hyperparameters, _fold_key
from Utils.dataset_run.folder import RunPart, save_weights
from Utils.datasets.lengths import at_rates_of
from Utils.methods.table import METHODS
from Utils.records import ALL, Fold, Video
from Utils.study.videos import open_study_video


@pytest.mark.parametrize("stray", ["cover.jpg", "cover1.jpg", "IMG_5.png"])
def test_an_image_that_is_no_frame_shifts_nothing(stray, tmp_path):
    """Whatever its name sorts before: frame 0 is img001."""
    folder = add_frames(tmp_path / "anna" / "talk")
    (folder / stray).touch()
    video, remarks = open_study_video(folder, "anna", "talk", 30)
    assert [path.name for path in video.frames] == [f"img{i:03d}.jpg" for i in range(1, 61)]
    assert remarks == [f"{folder / stray}: not numbered as the frames, skipped"]


def test_gaps_are_filled_beside_other_images(tmp_path):
    folder = add_frames(tmp_path / "talk", n=10)
    (folder / "img004.jpg").unlink()
    (folder / "cover.jpg").touch()
    (folder / "back.jpg").touch()
    video, remarks = open_study_video(folder, "anna", "talk", 30)
    assert [path.name for path in video.frames[2:5]] == ["img003.jpg", "img003.jpg", "img005.jpg"]
    assert "back.jpg: not numbered as the frames, skipped (and 1 more)" in remarks[0] and "1 frame number" in remarks[1]


def test_names_without_a_common_number_are_used_in_order_and_said(tmp_path):
    folder = tmp_path / "talk"
    folder.mkdir()
    for name in ("a1.jpg", "b1.jpg", "c.jpg"):
        (folder / name).touch()
    video, remarks = open_study_video(folder, "anna", "talk", 30)
    assert [path.name for path in video.frames] == ["a1.jpg", "b1.jpg", "c.jpg"]
    assert remarks == [f"{folder}: the names are not numbered alike; the images are used in their order"]


def test_missing_first_frames_are_reported_once_and_truly(tmp_path):
    """img005 is frame 5 of 1 to 64: the first four are filled, and no remark says that it is used as number 1."""
    add_frames(tmp_path / "anna" / "talk", first=5)
    dataset = study_of(tmp_path, HEAD + GOOD)
    raw = dataset.scan(tmp_path)
    (video,), remarks = match_expressions(raw.videos, read(dataset))
    assert video.frames[10].name == "img011.jpg" and video.expressions[0].onset == 10
    assert not remarks and len(raw.remarks) == 1 and "4 of them before img005.jpg" in raw.remarks[0]


def test_rates_are_those_of_the_videos_that_take_part(tmp_path):
    """Micro-expressions at 25 and 30 frames per second; a macro-expression at 200, which has no part in theirs."""
    rows = "subject,video,onset,offset,kind,fps\n" + "".join(
        f"{name},talk,11,21,{kind},{fps}\n"
        for name, kind, fps in [("a", "micro", 25), ("b", "", 30), ("c", "macro", 200)]
    )
    for name in "abc":
        add_frames(tmp_path / name / "talk")
    dataset = study_of(tmp_path, rows, fps=None)
    assert dataset.fps == 200 and dataset.k == {25: 3, 30: 3, 200: 20}
    videos = list(dataset.scan(tmp_path).videos.values())
    both, one = at_rates_of(videos[:2], dataset), at_rates_of(videos[:1], dataset)
    assert (both.fps, both.k) == (30, {25: 3, 30: 3}) and (one.fps, one.k) == (25, 3)
    assert at_rates_of([Video("a", "talk", ())], dataset) is dataset  # of the table: no video has a rate of its own


@pytest.mark.parametrize(
    ("k", "k_prime", "fps", "expected"),
    [
        (3, 4, 30, {"k": 3, "k_prime": 4, "fps": 30}),
        ({25: 3, 30: 3}, {25: 5, 30: 6}, 30, {"k": 3, "k_prime": 6, "fps": 30, "fps_of_videos": [25, 30]}),
        (20, 37, None, {"k": 20, "k_prime": 37, "fps": 200}),
    ],
)
def test_weights_say_the_rate_that_their_lengths_are_of(k, k_prime, fps, expected, tmp_path):
    """The study's highest rate, 200, is of videos with another kind of expressions."""
    dataset = SimpleNamespace(name="study", title="study", fps=200, classes=("joy",))
    part = RunPart("micro", k, k_prime, [], {}, fps=fps)
    save_weights(part, dataset, METHODS["MEAN"], "paper", tmp_path)
    found = json.loads((tmp_path / "study" / "weights.json").read_text())
    assert {name: found[name] for name in expected} == expected and ("fps_of_videos" in found) == (len(expected) > 3)


def test_networks_depend_on_the_rate_of_each_video(tmp_path):
    """The same videos, the same k and k' for each rate, but two videos exchange their rates: other labels."""

    def key(rates: tuple[float, ...]) -> str:
        features = tuple(
            SimpleNamespace(key=f"v{i}", video=Video("s", f"v{i}", (), (), fps)) for i, fps in enumerate(rates)
        )
        everybody = Fold(0, ALL, np.arange(3), np.arange(0), np.arange(0))
        job = FoldJob(
            everybody, features, (), 3, {28: 4, 30: 4, 34: 5}, tmp_path, Hyperparameters(1, 1, 32, 1.0, 5, 1, False)
        )
        return _fold_key(job)

    assert key((28, 34, 30)) != key((34, 28, 30)) and key((28, 34, 30)) == key((28, 34, 30))
