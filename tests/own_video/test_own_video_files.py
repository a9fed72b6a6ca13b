"""What is written for one of the user's own videos: which expressions get pictures, and what is set aside."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import Utils.own_video.outputs
from tests.support.video_clips import face_clip
from Utils.faces.rectangles import cut_face
from Utils.own_video.face_tracks import Segment, Track
from Utils.own_video.outputs import ReportCrops, picture_remarks, report_curves, set_aside_rows
from Utils.own_video.scoring import FaceScores, gray_crop
from Utils.own_video.video_files import Frame

RECTANGLE = (40, 20, 140, 120)


class Source:
    """As a video file: frames in order, and a frame rate."""

    fps = 30.0

    def __init__(self, n: int) -> None:
        self.images = list(face_clip()[0][:n])

    def __iter__(self):
        return (Frame(i, i / self.fps, image, i) for i, image in enumerate(self.images))


def keep_all(kept: ReportCrops, source: Source) -> None:
    for frame in source:
        kept.keep(frame)


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


def test_crops_are_those_of_the_frames(face, expressions):
    source = Source(30)
    kept = ReportCrops([face], expressions)
    assert kept.colour_and_gray(0, 5, 2) is None  # not yet
    keep_all(kept, source)
    for row in expressions.itertuples():
        for frame in (row.onset, row.apex, row.offset):
            colour, gray = kept.colour_and_gray(0, row.apex, frame)
            np.testing.assert_array_equal(colour, cut_face(source.images[frame], RECTANGLE))
            np.testing.assert_array_equal(gray, gray_crop(source.images[frame], RECTANGLE))
    assert kept.colour_and_gray(0, 5, 3) is None and kept.colour_and_gray(1, 5, 2) is None


def test_a_frame_that_never_came_has_no_crop(face, expressions):
    kept = ReportCrops([face], expressions)
    keep_all(kept, Source(20))
    assert kept.colour_and_gray(0, 22, 18) is not None and kept.colour_and_gray(0, 22, 22) is None
    (curve,) = report_curves("a", 30.0, 6, [face], expressions, kept, "kernel", [])
    found = curve.pictures("predicted", 2)
    assert found.onset is not None and found.apex is None and found.offset is None and found.flow is None


def test_only_the_highest_have_pictures_where_there_are_many(face, expressions, monkeypatch):
    assert not picture_remarks(expressions)
    monkeypatch.setattr(Utils.own_video.outputs, "MAX_PICTURED", 2)
    kept = ReportCrops([face], expressions)
    keep_all(kept, Source(30))
    (curve,) = report_curves("a", 30.0, 6, [face], expressions, kept, "kernel", [])
    found = [curve.pictures("predicted", i) for i in range(3)]
    assert found[0] is None
    for pictures in found[1:]:
        assert pictures.onset.shape == pictures.apex.shape == pictures.offset.shape == (128, 128, 3)
        assert pictures.flow.shape == (128, 128, 2)
    assert picture_remarks(expressions) == ["Pictures are of the 2 expressions with the highest scores, of 3."]


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
