"""Thinning, smoothing, threshold, peaks and the majority vote, by hand and as properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_utils import (
    VideoScores,
    annotated_expressions,
    find_expression_peaks,
    majority_class,
    predict_expressions,
    smooth_scores,
    spot_video,
    spotted_intervals,
    thin,
    threshold,
)
from Utils.datasets.table import DATASETS
from Utils.evaluation.tables import PREDICTION_COLUMNS
from Utils.records import Expression, Video
from Utils.settings import Settings


def bars(timeline: str) -> np.ndarray:
    """One score per character: `.` is 0, a digit its value."""
    return np.array([0 if c == "." else int(c) for c in timeline], float)


# Thinning


def test_thinning_keeps_every_expression_frame_and_the_ratio_of_others():
    labels = np.array([0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0])
    kept = thin(labels, 2, np.random.default_rng(0))
    assert {1, 6} <= set(kept)
    assert len(kept) == 2 + 2 * 2
    assert (np.diff(kept) > 0).all()
    assert kept.dtype == np.int64


def test_thinning_keeps_all_when_there_are_fewer():
    labels = np.array([0, 1, 1, 0, 0])
    assert thin(labels, 5, np.random.default_rng(0)).tolist() == [0, 1, 2, 3, 4]


@given(st.lists(st.integers(0, 1), max_size=60), st.integers(1, 6), st.integers(0, 99))
def test_thinning_counts(labels, ratio, seed):
    labels = np.array(labels, np.float32)
    kept = thin(labels, ratio, np.random.default_rng(seed))
    ones, zeros = int((labels == 1).sum()), int((labels == 0).sum())
    assert (labels[kept] == 1).sum() == ones
    assert (labels[kept] == 0).sum() == min(zeros, ratio * ones)
    assert len(set(kept.tolist())) == len(kept)


def test_thinning_is_seeded_and_spreads():
    labels = np.zeros(200)
    labels[:10] = 1
    draws = [thin(labels, 5, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert np.array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])
    drawn = np.bincount(np.concatenate([thin(labels, 5, np.random.default_rng(s)) for s in range(60)]), minlength=200)
    assert drawn[10:].min() > 0  # each of the other frames can be drawn


# Smoothing


def test_smoothing_by_hand():
    #        k' = 1: each value with the one before it
    scores = [0, 4, 0, 0, 2]
    assert smooth_scores(scores, 1).tolist() == [0, 2, 2, 0, 1]
    #        k' = 2: two before, itself, one after
    assert smooth_scores(scores, 2).tolist() == [1, 1, 1, 1.5, 0.5]
    assert smooth_scores([0.1, 0.1], 1).tolist() == [0.05, 0.1]  # in double precision


@given(st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=80), st.integers(1, 12))
def test_smoothing_is_numpys_same_and_keeps_the_length(scores, k_prime):
    smoothed = smooth_scores(scores, k_prime)
    assert smoothed.dtype == np.float64
    assert len(smoothed) == len(scores)
    upstream = smooth_scores(scores, k_prime, keep_length=False)
    same = np.convolve(scores, np.ones(2 * k_prime) / (2 * k_prime), mode="same")
    np.testing.assert_array_equal(upstream, same)
    if len(scores) >= 2 * k_prime:
        np.testing.assert_allclose(smoothed, same, rtol=0, atol=1e-12)
    else:
        assert len(upstream) == 2 * k_prime


def test_smoothing_of_a_short_video_belongs_to_its_features():
    """Three features, k' = 4: each has all three in its window of four before to three after."""
    np.testing.assert_allclose(smooth_scores([1, 2, 5], 4), [1, 1, 1])


# Threshold and peaks


def test_threshold_by_hand():
    assert threshold(np.array([0, 0, 0, 4]), 0.5) == 1 + 0.5 * 3
    assert threshold(np.array([0, 0, 0, 4]), Settings().p) == pytest.approx(1 + 0.55 * 3)  # the paper's p
    assert threshold(np.array([0.0, 2.0]), 1.0) == 2
    assert threshold(np.array([0.0, 2.0]), 0.0) == 1
    assert threshold(np.array([-4.0, 0.0, -2.0]), 0.5) == -2 + 0.5 * 2  # scores may be negative


def test_peaks_of_a_long_video():
    #              0         1         2
    #              012345678901234567890123456
    scores = bars("9..2..8.......7....5..4...6")
    # mean 41/27 = 1.52, T = 1.52 + 0.55 (9 - 1.52) = 5.63: 8 and 7 are peaks; 9 and 6 at the ends are none (no slope
    # on one side), 2, 5 and 4 lie below T
    assert find_expression_peaks(scores, 3, 0.55).tolist() == [6, 14]
    assert find_expression_peaks(scores, 3, 0.45).tolist() == [6, 14, 19]  # T = 4.88


def test_peaks_are_k_prime_apart_and_the_higher_one_stays():
    #              0         1
    #              0123456789012345678
    scores = bars("...7.8....7....7...")
    assert find_expression_peaks(scores, 2, 0.55).tolist() == [3, 5, 10, 15]
    assert find_expression_peaks(scores, 3, 0.55).tolist() == [5, 10, 15]
    assert find_expression_peaks(scores, 6, 0.55).tolist() == [5, 15]


def test_a_peak_of_exactly_t_counts():
    scores = bars(".4.8.")  # mean 2.4, T = 2.4 + p 5.6
    assert find_expression_peaks(scores, 1, (4 - 2.4) / 5.6).tolist() == [1, 3]


def test_constant_scores_have_no_peak_in_a_long_video():
    assert find_expression_peaks(np.ones(50), 5, 0.55).tolist() == []


def test_the_highest_point_of_a_short_video():
    assert find_expression_peaks(bars(".35.9.9"), 2, 0.55, one_per_video=True).tolist() == [4]
    assert find_expression_peaks(bars("9.3"), 2, 0.55, one_per_video=True).tolist() == [0]
    assert find_expression_peaks(np.zeros(4), 2, 0.55, one_per_video=True).tolist() == [0]


@given(st.lists(st.floats(0, 1), min_size=3, max_size=60), st.integers(1, 8), st.floats(0, 1))
def test_peaks_reach_the_threshold_and_keep_their_distance(scores, k_prime, p):
    scores = np.array(scores)
    peaks = find_expression_peaks(scores, k_prime, p)
    assert (scores[peaks] >= threshold(scores, p)).all()
    assert (np.diff(peaks) >= k_prime).all()


# Majority vote


def votes(timeline: str, n_classes: int = 3) -> np.ndarray:
    """Probabilities with 0.6 for the class that each digit names."""
    probabilities = np.full((len(timeline), n_classes), 0.4 / (n_classes - 1))
    probabilities[np.arange(len(timeline)), [int(c) for c in timeline]] = 0.6
    return probabilities


def test_majority_over_the_k_prime_features_before_the_peak():
    #              01234567
    #                 [  )   peak 6, k' = 3: features 3, 4, 5
    timeline = "00012122"
    assert majority_class(votes(timeline), 6, 3)[0] == 1
    assert majority_class(votes(timeline), 6, 6)[0] == 0
    assert majority_class(votes(timeline), 8, 3)[0] == 2
    assert majority_class(votes("01221"), 3, 2)[0] == 1  # the peak itself does not vote


def test_the_class_that_is_met_first_wins_a_tie():
    assert majority_class(votes("2101"), 2, 2)[0] == 2
    assert majority_class(votes("2112"), 4, 4)[0] == 2
    assert majority_class(votes("1221"), 4, 4)[0] == 1


def test_windows_at_the_ends():
    assert majority_class(votes("2110"), 0, 3)[0] == 2  # peak 0: feature 0 votes
    assert majority_class(votes("2110"), 1, 3)[0] == 2
    assert majority_class(votes("2110"), 3, 9)[0] == 1
    assert majority_class(votes("2110"), 6, 3)[0] == 0  # feature 3 is all that is left
    assert majority_class(votes("2110"), 7, 3) is None


def test_confidence_is_the_mean_probability_of_the_winner():
    class_index, confidence = majority_class(votes("0010"), 4, 4)
    assert class_index == 0
    assert confidence == pytest.approx((0.6 * 3 + 0.2) / 4)


# From scores to intervals


def test_spotted_intervals_by_hand():
    #              0         1
    #              01234567890123     k' = 3
    scores = bars(".4.......9....")
    #  votes before the peaks: [0, 1) and [6, 9)
    first, second = spotted_intervals(scores, votes("20000011000000"), [1, 9], 3)
    assert (first.onset, first.apex, first.offset, first.score, first.class_index) == (-2, 1, 4, 4, 2)
    assert (second.onset, second.apex, second.offset, second.score, second.class_index) == (6, 9, 12, 9, 1)
    assert (first.confidence, second.confidence) == pytest.approx((0.6, (0.6 + 0.6 + 0.2) / 3))
    (late,) = spotted_intervals(scores, votes("00000000000000"), [12], 3)
    assert (late.offset, late.class_index) == (15, 0)  # beyond the last frame; the first class is a class
    (spotted,) = spotted_intervals(scores, None, [9], 3)
    assert spotted.class_index is None and np.isnan(spotted.confidence)


def test_a_video_without_a_peak_is_false_only_under_upstream():
    assert spot_video(np.zeros(20), votes("1" * 20), 4, 0.55) == []
    (dummy,) = spot_video(np.zeros(20), votes("1" * 20), 4, 0.55, protocol="upstream")
    assert (dummy.onset, dummy.apex, dummy.offset, dummy.class_index) == (0, 0, 0, 1)
    (short,) = spot_video(np.zeros(20), None, 4, 0.55, one_per_video=True, protocol="upstream")
    assert (short.onset, short.apex, short.offset) == (-4, 0, 4)  # a short video always has its highest point


# Tables

DEMO = DATASETS["DEMO"]  # 30 frames per second


def test_predictions_are_of_the_smoothed_scores_and_of_the_given_p():
    """Mean 13 / 17: T is 3.2 with p = 0.3, and 8.2 with 0.9. The raw scores have no peak."""
    smoothed = bars("...4.........9...")
    video = Video("s1", "v1", ())
    scores = VideoScores(video, np.zeros(len(smoothed)), smoothed, None)
    assert predict_expressions([scores], DEMO, 3, 0.3)["apex"].tolist() == [3, 13]
    assert predict_expressions([scores], DEMO, 3, 0.9)["apex"].tolist() == [13]
    flat = VideoScores(video, smoothed, np.zeros(9), None)
    assert list(predict_expressions([flat], DEMO, 3, 0.5).columns) == list(PREDICTION_COLUMNS)


def test_annotations_as_they_are_written():
    """Frames stay whole numbers where some are unknown, and a searched apex may be frame 0."""
    expressions = (Expression(0, None, 20, "negative", searched_apex=0), Expression(31, 40, 47, "others"))
    header = "subject,video,onset,apex,offset,onset_s,offset_s,emotion"
    table = annotated_expressions([Video("s1", "v1", (), expressions)], DEMO)
    assert table.to_csv(index=False).splitlines() == [
        f"{header},searched_apex",
        "s1,v1,0,,20,0.0,0.6667,negative,0",
        "s1,v1,31,40,47,1.0333,1.5667,others,",
    ]
    known = annotated_expressions([Video("s1", "v1", (), expressions[1:])], DEMO)
    assert known.to_csv(index=False).splitlines() == [header, "s1,v1,31,40,47,1.0333,1.5667,others"]
