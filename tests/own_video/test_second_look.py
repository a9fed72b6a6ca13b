"""The second look: what becomes of the candidates of a face. Its curves and scores are made by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.support.movement_curves import BROWS, CORNERS, bell, calm, with_movement
from tests.support.verifiers import CLASSES, chance, made_up_verifier
from Utils.own_video.displacement import EYES, HEAD, LIGHT, MISFIT, sampling_step
from Utils.own_video.face_tracks import Segment, Track
from Utils.own_video.scoring import EXPRESSION_COLUMNS, FaceScores
from Utils.own_video.second_look import (
    SECOND_LOOK_COLUMNS,
    SecondLook,
    kinds_set_aside,
    look_again,
    reported,
    score_peaks,
)

FPS = 30.0
N = 150  # frames: 5 s at 30 a second
K = 3
RECTANGLE = (40, 20, 160, 140)
LENGTH = 0.5  # seconds of a movement
SIDE = 0.176  # seconds from its apex to 20 % of its height: (1 + cos(2 pi t / LENGTH)) / 2 = 0.2


@pytest.fixture
def look(tmp_path) -> SecondLook:
    """At the default rate of false alarms the threshold is 0.5."""
    return SecondLook(made_up_verifier(tmp_path), 1.0)


def times_of(n: int = N, fps: float = FPS) -> np.ndarray:
    """Seconds of the samples that are taken of `n` frames."""
    return np.arange(0, n, sampling_step(fps)) / fps


def moving(*apexes: float, n: int = N, fps: float = FPS, height: float = 1.0, regions=CORNERS) -> np.ndarray:
    """Curves of a face that moves at these seconds."""
    times = times_of(n, fps)
    return with_movement(calm(len(times)), sum(bell(times, apex, LENGTH, height) for apex in apexes), regions)


def face_of(curves: np.ndarray, fps: float = FPS, n: int = N, number: int = 0, k: int = K, **changes) -> FaceScores:
    """A face whose score is flat, and whose emotion is surprise in every pair of frames."""
    raw = np.where(np.arange(n) < n - k, 0.3, np.nan)
    how = dict(
        track=Track(number, (Segment(0, n - 1, RECTANGLE),)), raw=raw, smoothed=raw,
        probabilities=np.tile(np.float32([0.1, 0.1, 0.8]), (n, 1)), stretches=[(0, n - 1 - k)], threshold=None,
        curves=curves.astype(np.float32), step=sampling_step(fps),
    )  # fmt: skip
    return FaceScores(**(how | changes))


def candidates_of(look: SecondLook, *faces: FaceScores, fps: float = FPS, k: int = K) -> pd.DataFrame:
    n = len(faces[0].raw)
    return look_again("a", faces, CLASSES, k, look, fps, range(1000, 1000 + n))


def micro_of(look: SecondLook, *faces: FaceScores, **how) -> pd.DataFrame:
    return reported(candidates_of(look, *faces, **how))


# What is reported


@pytest.mark.parametrize(("fps", "k"), [(30.0, 3), (25.0, 3), (60.0, 6), (200.0, 20)])
def test_a_movement_is_a_row_at_every_frame_rate(look, fps, k):
    n = round(5 * fps)
    table = micro_of(look, face_of(moving(2.0, n=n, fps=fps), fps, n, k=k), fps=fps, k=k)
    (row,) = table.itertuples()
    within = 1 + fps / 60  # frames
    assert row.apex == pytest.approx(2 * fps, abs=within)
    assert row.onset == pytest.approx((2 - SIDE) * fps, abs=within)
    assert row.offset == pytest.approx((2 + SIDE) * fps, abs=within)
    for name in ("onset", "apex", "offset"):
        assert getattr(row, f"{name}_s") == pytest.approx(getattr(row, name) / fps, abs=1e-4)
    assert row.duration_s == pytest.approx((row.offset - row.onset) / fps, abs=1e-4)
    assert row.motion_px == pytest.approx(1, abs=0.06) and row.p_micro == pytest.approx(chance(row.motion_px), abs=0.02)
    assert (row.video, row.face, row.kind, row.emotion, row.flags) == ("a", 0, "micro", "surprise", "")
    assert (row.score, row.confidence) == pytest.approx((0.3, 0.8)) and row.source_frame == 1000 + row.apex


def test_columns_are_those_of_expressions_and_more(look):
    assert SECOND_LOOK_COLUMNS[: len(EXPRESSION_COLUMNS)] == EXPRESSION_COLUMNS
    found, none = (candidates_of(look, face_of(curves)) for curves in (moving(2.0), calm(N)))
    assert tuple(found.columns) == tuple(none.columns) == SECOND_LOOK_COLUMNS
    assert len(none) == 0 and len(reported(none)) == 0
    assert look_again("a", [], CLASSES, K, look, FPS, range(N)).shape == (0, len(SECOND_LOOK_COLUMNS))


def test_what_is_not_reported_is_kept_with_its_kind(look):
    """1 pixel at 1 s; at 2.5 s less than 0.37 pixels; at 4 s the head moves by 3 pixels meanwhile."""
    times = times_of()
    curves = moving(1.0) + moving(2.5, height=0.3) - calm(N) + moving(4.0) - calm(N)
    curves[:, HEAD.start] += bell(times, 4.0, LENGTH, 3.0)
    table = candidates_of(look, face_of(curves))
    at = {time: table.iloc[(table["apex"] - FPS * time).abs().argmin()] for time in (1.0, 2.5, 4.0)}
    assert [at[time].kind for time in at] == ["micro", "nothing", "head"]
    assert at[2.5].p_micro < 0.5 and at[2.5].p_micro == pytest.approx(chance(at[2.5].motion_px), abs=0.05)
    assert len(reported(table)) == 1 and len(table) > 3  # with the filter's lobes
    assert table["onset"].is_monotonic_increasing and table["kind"].isin(["micro", "nothing", "head"]).all()


def test_zones_that_move_together_are_one_row(look):
    """Brows and mouth move by 0.3 pixels at 2 s, which is not reported: the whole face is listed, not its parts."""
    table = candidates_of(look, face_of(moving(2.0, height=0.3, regions=(*CORNERS, *BROWS))))
    assert len(table[(table["apex"] - 2 * FPS).abs() <= 2]) == 1 and len(reported(table)) == 0


def test_fewer_false_alarms_mean_a_higher_threshold(tmp_path):
    """p(micro) of 0.47 pixels is about 0.7; the thresholds are 0.9 at 0.2 a minute, 0.5 at 1, and 0.1 at 6."""
    verifier = made_up_verifier(tmp_path)
    face = face_of(moving(2.0, height=0.48))
    for per_minute, n in ((0.2, 0), (1.0, 1), (6.0, 1)):
        table = candidates_of(SecondLook(verifier, per_minute), face)
        assert (table["kind"] == "micro").sum() == n, per_minute
        assert table["p_micro"].max() == pytest.approx(0.7, abs=0.1)
        assert not (table.loc[table["kind"] != "micro", "p_micro"] > SecondLook(verifier, per_minute).threshold).any()


def test_of_two_that_overlap_one_is_reported(look):
    """Two movements 0.25 s apart, in other parts of the face; each lasts 0.35 s between 20 % and 20 %."""
    times = times_of()
    near, far = (with_movement(moving(2.0), bell(times, 2.0 + gap, LENGTH, 0.8), BROWS) for gap in (0.2, 1.5))
    assert micro_of(look, face_of(near))["apex_s"].tolist() == pytest.approx([2.0], abs=0.04)
    assert micro_of(look, face_of(far))["apex_s"].tolist() == pytest.approx([2.0, 3.5], abs=0.04)


def test_faces_and_stretches_have_times_of_their_own(look):
    """Face 0 is away from 2 to 3 s, and comes back; face 1 stays."""
    broken = moving(1.0, 4.0)
    broken[60:90] = np.nan
    table = micro_of(look, face_of(broken), face_of(moving(2.5), number=1))
    assert list(zip(table["face"], table["apex"], strict=True)) == [(0, 30), (0, 120), (1, 75)]


def test_an_event_does_not_leave_what_is_seen_of_the_face(look):
    """The face is there from 1.9 s on: the movement has begun before."""
    curves = moving(2.0, 4.0)
    curves[:57] = np.nan
    table = candidates_of(look, face_of(curves))
    assert (table["onset"] >= 57).all() and (table["offset"] < N).all()
    assert ((table["onset"] <= table["apex"]) & (table["apex"] <= table["offset"])).all()


def test_what_is_too_short_to_be_scored_is_not_looked_at(look):
    """The curves have two stretches, and the networks scored the second only."""
    curves = moving(1.0, 4.0)
    curves[60:90] = np.nan
    table = candidates_of(look, face_of(curves, stretches=[(90, N - 1 - K)]))
    assert (table["onset"] >= 90).all() and (table["kind"] == "micro").sum() == 1


def test_a_scene_cut_is_no_movement(look):
    """The curves begin anew at 0 after the cut: what is before and after it does not mix."""
    first, second = moving(1.0, n=75), moving(1.5, n=75)
    first[:, :36] += np.linspace(0, 1, 75)[:, None]  # a slow drift, so that its end is not 0
    track = Track(0, (Segment(0, 74, RECTANGLE), Segment(75, N - 1, RECTANGLE)), cuts=(75,))
    both = candidates_of(look, face_of(np.vstack([first, second]), track=track, stretches=[(0, 71), (75, N - 1 - K)]))
    alone = [candidates_of(look, face_of(part, n=75)) for part in (first, second)]
    expected = [*alone[0]["apex"], *(alone[1]["apex"] + 75)]
    assert both["apex"].tolist() == expected


# What the networks add


def test_the_rise_votes_for_the_emotion(look):
    """Pairs that begin from the onset to half of k before the apex; the fall, which is longer, says something else."""
    face = face_of(moving(2.0))
    (row,) = micro_of(look, face).itertuples()
    probabilities = np.tile(np.float32([0.9, 0.05, 0.05]), (N, 1))
    probabilities[row.onset : row.apex - 1] = (0.2, 0.7, 0.1)
    probabilities[row.onset] = (0.1, 0.3, 0.6)  # one against several
    (row,) = micro_of(look, face_of(moving(2.0), probabilities=probabilities)).itertuples()
    assert row.emotion == "positive" and row.flags == ""
    n = row.apex - 1 - row.onset
    assert row.confidence == pytest.approx((0.7 * (n - 1) + 0.3) / n, abs=1e-5)


def test_without_a_recognition_network_there_is_no_emotion(look):
    (row,) = micro_of(look, face_of(moving(2.0), probabilities=np.full((N, 3), np.nan, np.float32))).itertuples()
    assert row.emotion == "" and np.isnan(row.confidence)


def test_an_absolute_threshold_is_a_score_at_the_apex(tmp_path):
    """The pair in whose middle the apex lies begins at frame 59."""
    scores = np.where(np.arange(N) < N - K, 0.1, np.nan)
    scores[59] = 0.4
    face = face_of(moving(2.0), smoothed=scores)
    verifier = made_up_verifier(tmp_path)
    plain = candidates_of(SecondLook(verifier, 1.0), face)
    for least, n in ((0.39, 1), (0.41, 0)):
        table = candidates_of(SecondLook(verifier, 1.0, least), face)
        assert (table["kind"] == "micro").sum() == n
        pd.testing.assert_frame_equal(table.drop(columns="kind"), plain.drop(columns="kind"))  # p_micro is the same
    assert plain.loc[plain["apex"] == 60, "score"].tolist() == [0.4]
    nowhere = face_of(moving(2.0), smoothed=np.where(np.abs(np.arange(N) - 59) < 9, np.nan, 0.5))
    assert len(reported(candidates_of(SecondLook(verifier, 1.0, -1.0), nowhere))) == 0


def test_peaks_of_the_score_are_looked_at_too(look):
    """A pair that begins k frames before the apex has the highest score."""
    smoothed = np.where(np.arange(N) < N - K, 0.1, np.nan)
    smoothed[100] = 0.9
    table = candidates_of(look, face_of(moving(1.0), smoothed=smoothed))
    assert (table["apex"] - 103).abs().min() <= 4  # the highest point of its course
    assert (candidates_of(look, face_of(moving(1.0)))["apex"] - 103).abs().min() > 4


def test_high_peaks_of_a_score_by_hand():
    """
    i      0   1   2   3   4   5   6   7   8   9
    score  .1  .5  .1  .2  .1  -   .3  .9  .3  .1     the median is .2
    """
    smoothed = np.array([0.1, 0.5, 0.1, 0.2, 0.1, np.nan, 0.3, 0.9, 0.3, 0.1])
    assert score_peaks(smoothed, 3, 10.0) == pytest.approx([0.4, 0.6, 1.0])  # (1 + 3) / 10, (3 + 3) / 10, (7 + 3) / 10
    smoothed[[0, 9]] = 0.25  # now the median is .25
    assert score_peaks(smoothed, 3, 10.0) == pytest.approx([0.4, 1.0])
    for short in (np.zeros(0), np.array([0.1, 0.9]), np.full(9, np.nan), np.array([np.nan, 0.9, 0.1, np.nan])):
        assert len(score_peaks(short, 3, 10.0)) == 0


# Flags


def flags_of(look: SecondLook, curves: np.ndarray, time: float = 2.0, **changes) -> list[str]:
    table = candidates_of(look, face_of(curves, **changes))
    row = table.iloc[(table["apex"] - FPS * time).abs().argmin()]
    return row["flags"].split("; ") if row["flags"] else []


def test_flags_say_what_else_was_there(look):
    course = bell(times_of(), 2.0, LENGTH)
    assert flags_of(look, moving(2.0)) == []
    for columns, change, flag in (
        (HEAD.start, 3.0, "head moves"),
        (EYES.start + 1, -50.0, "eyes close"),
        (LIGHT, 30.0, "light changes"),
        (MISFIT.start, 10.0, "something covers the face"),
    ):
        curves = moving(2.0)
        curves[:, columns] += change * course
        assert flags_of(look, curves) == [flag]
        curves[:, columns] -= 0.9 * change * course
        assert flags_of(look, curves) == [], flag


def test_flags_on_the_face_and_its_emotion(look):
    small = Track(0, (Segment(0, N - 1, (0, 0, 99, 120)),))
    assert flags_of(look, moving(2.0), track=small) == ["small face"]
    unclear, clear = (np.tile(np.float32([p, 0.6 - p, 0.4]), (N, 1)) for p in (0.48, 0.49))  # 1 / 3 + 0.15 = 0.483
    assert flags_of(look, moving(2.0), probabilities=unclear) == ["unclear emotion"]
    assert flags_of(look, moving(2.0), probabilities=clear) == []


@pytest.mark.parametrize("apex", [0.4, 4.55])
def test_near_the_edge_of_what_is_seen_is_a_flag(look, apex):
    assert flags_of(look, moving(apex), time=apex) == ["at the edge"]
    assert flags_of(look, moving(1.0 if apex < 2 else 4.0), time=1.0 if apex < 2 else 4.0) == []


def test_several_flags_are_in_a_fixed_order(look):
    course = bell(times_of(), 0.4, LENGTH)
    curves = moving(0.4)
    curves[:, HEAD.start] += 3 * course
    curves[:, LIGHT] += 30 * course
    flags = flags_of(look, curves, 0.4, probabilities=np.full((N, 3), 1 / 3, np.float32))
    assert flags == ["head moves", "light changes", "at the edge", "unclear emotion"]


# What is said of it


def test_settings_and_words(tmp_path):
    verifier = made_up_verifier(tmp_path)
    look = SecondLook(verifier, 5.0, 0.2)
    assert look.about() == {
        "rule": "verified", "false_alarms": 5.0, "false_alarms_measured": [1.0, 0.6, 1.5], "p_micro_at_least": 0.5,
        "absolute_threshold": 0.2,
    }  # fmt: skip
    assert look.fingerprint() == look.about() | {"verifier": verifier.file_hash}
    said = " ".join(look.explained())
    assert "p_micro of at least 0.50" in said and "gave 1.0 false alarms a minute (95 % interval 0.6 to 1.5)" in said
    assert "no verifier of their own" not in said
    assert "a score of at least 0.2" in said and "measured without this" in said and "holds at most" in said
    alone = " ".join(SecondLook(verifier, 5.0).explained())
    assert "absolute_threshold" not in alone and "measured without" not in alone and "holds at most" not in alone
    assert "no verifier of their own" in " ".join(SecondLook(verifier, 5.0, own=False).explained())


def test_kinds_that_were_set_aside_are_counted():
    kinds = ["blink", "micro", "nothing", "macro", "blink", "nothing"]
    counts = kinds_set_aside(pd.DataFrame({"kind": kinds}))
    assert list(counts.items()) == [("macro", 1), ("blink", 2)]
    assert kinds_set_aside(pd.DataFrame({"kind": []})) == {}
