"""What is written for one of the user's own videos: which expressions get pictures, and what is set aside."""

from __future__ import annotations

import base64
from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest

import Utils
import Utils.own_video.clips
from tests.support.video_clips import face_clip
from Utils.faces.rectangles import CROP_SIZE
from Utils.own_video.clips import ClipMaker, picture_remarks
from Utils.own_video.face_tracks import Segment, Track
from Utils.own_video.outputs import report_curves, set_aside_rows
from Utils.own_video.paper_rule import Spotting
from Utils.own_video.scoring import FaceScores, face_scores
from Utils.own_video.video_files import Frame

RECTANGLE = (40, 20, 140, 120)


class Source:
    """As a video file: frames in order, and a frame rate."""

    fps = 30.0

    def __init__(self, n: int) -> None:
        self.images = list(face_clip()[0][:n])

    def __iter__(self):
        return (Frame(i, i / self.fps, image, i) for i, image in enumerate(self.images))


def keep_all(clips: ClipMaker, source: Source) -> None:
    for frame in source:
        clips.keep(frame)


@pytest.fixture
def face() -> FaceScores:
    raw = np.zeros(30)
    return FaceScores(Track(0, (Segment(0, 29, RECTANGLE),)), raw, raw, np.zeros((30, 3)), [(0, 29)], 0.5)


@pytest.fixture
def expressions() -> pd.DataFrame:
    rows = [(2, 5, 9, 0.6), (9, 14, 16, 0.9), (18, 22, 28, 0.7)]
    return pd.DataFrame(rows, columns=["onset", "apex", "offset", "score"]).assign(
        video="a", face=0, emotion="negative", onset_s=0.0, offset_s=0.0, confidence=0.5
    )


def pixels(data: dict, position: int) -> np.ndarray:
    """A frame of a clip, (128, 128, 3)."""
    sheet = cv2.imdecode(np.frombuffer(base64.b64decode(data["sheet"].split(",")[1]), np.uint8), cv2.IMREAD_COLOR)
    top, left = (CROP_SIZE * place for place in divmod(position, data["columns"]))
    return sheet[top : top + CROP_SIZE, left : left + CROP_SIZE]


def test_a_clip_has_the_frames_around_its_expression(face, expressions):
    source, clips = Source(30), ClipMaker([face], expressions, 30.0)
    keep_all(clips, source)
    (curve,) = report_curves("a", 30.0, 6, [face], expressions, clips, [])
    found = [curve.clip("predicted", i) for i in range(3)]
    assert [data["frames"] for data in found] == [list(range(15)), list(range(4, 22)), list(range(13, 30))]
    assert [data["frames"][data["onset"]] for data in found] == [2, 9, 18]
    left, top, right, bottom = RECTANGLE
    for data in found:
        for position in (0, len(data["frames"]) - 1):
            cut = source.images[data["frames"][position]][top:bottom, left:right]
            expected = cv2.resize(cut, (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_CUBIC)
            assert np.abs(pixels(data, position).astype(int) - expected).mean() < 4


def test_a_clip_ends_at_scene_cuts_and_gaps(face, expressions):
    other = (0, 0, 100, 100)
    parts = (Segment(0, 11, other), Segment(12, 16, RECTANGLE), Segment(17, 29, other))
    cut = replace(face, track=Track(0, parts, cuts=(12, 17)))
    clips = ClipMaker([cut], expressions, 30.0)
    keep_all(clips, Source(30))
    assert clips.clip(0, 9, 14, 16)["frames"] == [12, 13, 14, 15, 16]


def test_a_clip_is_kept_in_memory_only_until_it_is_made(face):
    rows = [(10 * i, 10 * i + 4, 10 * i + 8, 0.5) for i in range(200)]
    expressions = pd.DataFrame(rows, columns=["onset", "apex", "offset", "score"]).assign(face=0)
    long = replace(face, track=Track(0, (Segment(0, 2000, RECTANGLE),)))
    clips, image = ClipMaker([long], expressions, 30.0), Source(1).images[0]
    most = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Utils.own_video.clips, "clip_data", lambda frames, crops, fps: len(crops))
        for i in range(2000):
            clips.keep(Frame(i, i / 30, image, i))
            most = max(most, sum(len(begun.crops) for begun in clips._begun))
        assert clips.clip(0, 1000, 1004, 1008) == 19
    assert 19 <= most < 60


def test_frames_that_never_came_are_left_out(face, expressions):
    clips = ClipMaker([face], expressions, 30.0)
    keep_all(clips, Source(20))
    assert clips.clip(0, 18, 22, 28)["frames"] == list(range(13, 20))
    assert [clip["frames"] for clip in clips.made.values()] == [list(range(15))]  # only whole ones are used again
    clips = ClipMaker([face], expressions, 30.0)
    keep_all(clips, Source(18))  # not even the onset
    assert clips.clip(0, 18, 22, 28) is None


def test_only_the_highest_have_pictures_where_there_are_many(face, expressions, monkeypatch):
    assert not picture_remarks(expressions)
    monkeypatch.setattr(Utils.own_video.clips, "MAX_PICTURED", 2)
    clips = ClipMaker([face], expressions, 30.0)
    keep_all(clips, Source(30))
    (curve,) = report_curves("a", 30.0, 6, [face], expressions, clips, [])
    assert [curve.clip("predicted", i) is None for i in range(3)] == [True, False, False]
    assert picture_remarks(expressions) == ["Pictures are of the 2 expressions with the highest scores, of 3."]


def test_what_is_said_of_the_choice_fits_an_absolute_threshold(face, expressions):
    clips = ClipMaker([face], expressions.iloc[:0], 30.0)
    for lowest, words in (
        (None, "second look, not by the score"),
        (0.25, "second look, where the score is 0.25 or more"),
    ):
        (curve,) = report_curves("a", 30.0, 6, [face], expressions.iloc[:0], clips, [], lowest_score=lowest)
        assert words in curve.without_threshold


# What the second look set aside


def candidates(*rows) -> pd.DataFrame:
    """Rows of (face, onset, kind, motion_px, p_micro)."""
    table = pd.DataFrame(rows, columns=["face", "onset", "kind", "motion_px", "p_micro"])
    return table.assign(onset_s=table["onset"] / 30, offset_s=table["onset"] / 30 + 0.5, flags="")


def test_what_is_set_aside_has_neither_micro_expressions_nor_tiny_movements():
    table = candidates(
        (1, 5, "macro", 2.0, 0.3), (0, 60, "nothing", 0.31, 0.0), (0, 30, "micro", 1.0, 0.9),
        (0, 15, "nothing", 0.3, 0.2), (0, 45, "blink", 0.1, 0.1),
    )  # fmt: skip
    rows = set_aside_rows(table)
    assert [(r["face"], r["onset_s"], r["kind"]) for r in rows] == [(0, 1.5, "blink"), (0, 2.0, "nothing"),
                                                                    (1, 5 / 30, "macro")]  # fmt: skip
    assert set(rows[0]) == {"face", "onset_s", "offset_s", "kind", "motion_px", "p_micro", "flags"}
    assert set_aside_rows(table.iloc[:0]) == []


def test_of_many_that_are_set_aside_the_likeliest_are_shown(monkeypatch):
    monkeypatch.setattr(Utils.own_video.outputs, "MAX_SET_ASIDE", 2)
    table = candidates((0, 1, "macro", 9.0, 0.1), (0, 2, "macro", 0.1, 0.3), (0, 3, "macro", 2.0, 0.1))
    assert [r["p_micro"] for r in set_aside_rows(table)] == [0.1, 0.3]
    assert [r["motion_px"] for r in set_aside_rows(table)] == [9.0, 0.1]


# What is said of the paper's rule


def test_a_threshold_that_is_absolute_is_not_called_relative():
    relative, both = (" ".join(Spotting(0.55, score).explained()) for score in (None, 0.25))
    assert "threshold is relative to each face's own scores" in relative and "often gets some too" in relative
    assert "is relative" not in both and "often gets some" not in both
    assert "the higher one of two: T = mean + 0.55 (max - mean)" in both and "0.25, the score of" in both
    assert "assumes that their scores can be compared" in both and "compared" not in relative


@pytest.mark.parametrize(("score", "expected"), [(None, 0.55), (0.1, 0.55), (0.9, 0.9)])
def test_the_threshold_is_the_higher_one_of_two(score, expected):
    """As the remark says it: T of scores from 0 to 1 with mean 0, and the absolute one."""
    raw = np.zeros(4000)
    raw[2000:2100] = 1.0
    scored = face_scores(Track(0, (Segment(0, 3999, RECTANGLE),)), raw, np.zeros((4000, 3)), 6, Spotting(0.55, score))
    assert scored.threshold == pytest.approx(expected, abs=0.02)
