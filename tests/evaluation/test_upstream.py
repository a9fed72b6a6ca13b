"""The upstream protocol: recordings of the authors' published code, then its departures one by one, by hand."""

import json

import numpy as np
import pandas as pd
import pytest

from prepare_training import average_half_length, upstream_recognition_entries
from tests.support.recordings import Recording
from training_utils import threshold
from Utils.evaluation.evaluate import evaluate
from Utils.evaluation.metrics import interval_iou
from Utils.evaluation.tables import Interval, VideoIntervals, group_by_video
from Utils.evaluation.upstream import (
    analysis_lists,
    classification_with_nan,
    compare_upstream,
    list_order_ap,
    match_in_order,
    recognition_labels,
)

EXACT = {"rel": 0, "abs": 1e-12}
NAN = float("nan")
CLASSES = ["negative", "positive", "surprise"]


def evaluate_upstream(predictions, ground_truth, classes, k_prime=5, **options) -> dict:
    return compare_upstream(predictions, ground_truth, classes, k_prime=k_prime, **options).metrics


@pytest.fixture(scope="module", params=["casme_sq", "smic_vis"])
def recording(request) -> Recording:
    return Recording(request.param)


# Recorded cases


def test_recorded_spotting(recording):
    for record in recording.records:
        smoothed, expected = recording.smoothed(record), recording.scores[f"{record['scores']}_smooth"]
        np.testing.assert_allclose(smoothed, expected, rtol=0, atol=1e-12)
        assert threshold(smoothed, 0.55) == pytest.approx(record["threshold"], **EXACT)
        assert recording.peaks(record) == record["peaks"]


def test_recorded_spotting_metrics(recording):
    spotting, expected = recording.evaluate()["spotting"], recording.expected
    assert [spotting[key] for key in ("tp", "fp", "fn")] == [expected[key] for key in ("tp", "fp", "fn")]
    for key in ("ap", "ap_greedy", "asr", "mae"):
        assert spotting[key] == pytest.approx(expected[key], **EXACT), key


def test_recorded_counts_per_fold(recording):
    rows = recording.evaluate()["per_subject"]
    cumulative = np.cumsum([[row["tp"], row["fp"], row["fn"]] for row in rows], axis=0)
    assert cumulative.tolist() == recording.expected["cumulative_tp_fp_fn"]


def test_recorded_analysis(recording):
    result, expected = recording.evaluate(), recording.expected["analysis"]
    assert result["pairs"] == [list(pair) for pair in zip(expected["label"], expected["predicted"], strict=True)]
    for key in ("uf1", "uar"):  # NaN was recorded as null
        assert result["analysis"][key] == (None if expected[key] is None else pytest.approx(expected[key], **EXACT))
    assert result["analysis"]["evaluated"] == len(expected["label"])


def test_recorded_recognition_of_all(recording):
    result, expected = recording.evaluate()["recognition"], recording.expected["recognition"]
    if expected is None:
        assert result is None
        return
    assert result["uf1"] == pytest.approx(expected["uf1"], **EXACT)
    assert result["uar"] == pytest.approx(expected["uar"], **EXACT)
    assert result["correct"] == sum(np.equal(expected["label"], expected["predicted"]))


def test_recorded_lists_of_emotions(recording):
    n_features = {video[:2]: video.n_features for video in recording.videos}
    grouped = group_by_video(recording.predictions, recording.ground_truth, recording.videos)
    for fold in recording.expected["recognised"]:
        guesses, labels = [], []
        for video in grouped:
            if video.subject == fold["subject"]:
                overlap = [[_iou(p, a) for a in video.annotated] for p in video.predicted]
                p, g = analysis_lists(video, match_in_order(np.array(overlap)), CLASSES, n_features[video[:2]])
                guesses, labels = guesses + p, labels + g
        assert (guesses, labels) == (fold["P"], fold["G"])
    subjects = {fold["subject"] for fold in recording.expected["recognised"]}
    labels = [label for _, label in recognition_labels(grouped, CLASSES, subjects)]
    assert labels == recording.expected["recognition_labels"]


def _iou(a: Interval, b: Interval) -> float:
    frames_a, frames_b = set(range(a.onset, a.offset + 1)), set(range(b.onset, b.offset + 1))
    return len(frames_a & frames_b) / len(frames_a | frames_b)


def test_recorded_recognition_folds(recording):
    subjects = list(dict.fromkeys(video.subject for video in recording.videos))
    with_samples = {r["subject"] for r in recording.records if any(a[3] in CLASSES for a in r["annotated"])}
    entries = upstream_recognition_entries(subjects, with_samples)
    assert [s for s, entry in zip(subjects, entries, strict=True) if entry is not None] == [
        fold["subject"] for fold in recording.expected["recognised"]
    ]


def test_recorded_k_prime_is_that_of_the_annotations(recording):
    assert average_half_length(recording.ground_truth.itertuples()) == recording.k_prime


def test_paper_protocol_agrees_where_the_protocols_do(recording):
    paper, upstream = recording.evaluate(protocol="paper"), recording.evaluate()
    for key in ("tp", "fp", "fn", "precision", "recall", "f1", "asr", "mae"):
        assert paper["spotting"][key] == pytest.approx(upstream["spotting"][key]), key
    assert paper["analysis"]["evaluated"] == upstream["analysis"]["evaluated"]
    json.dumps([paper, upstream], allow_nan=False)


# Matching


def test_greedy_looks_at_the_best_annotation_only():
    """Both predictions overlap the first annotation best; soft matching lets the second one go on to its next.

    frame         0         10        20        30
    annotation 0  |-------------------|               [0, 19]
    annotation 1      |-----------------------|       [4, 27]
    prediction 0  |-------------------|               [0, 19]  IoU 1, 16/28
    prediction 1   |-------------------|              [1, 20]  IoU 19/21, 17/27
    """
    overlap = interval_iou(np.array([[0, 19], [1, 20]]), np.array([[0, 19], [4, 27]]))
    np.testing.assert_array_equal(overlap, [[1, 16 / 28], [19 / 21, 17 / 27]])
    assert match_in_order(overlap) == [0, -1]
    assert match_in_order(overlap, soft=True) == [0, 1]
    assert match_in_order(overlap, 0.65, soft=True) == [0, -1]


def test_ap_matches_softly_in_time_order():
    """The same intervals, rows in the wrong order. Soft: both hit at .5, .55, .6, one above. Greedy at .5: one."""
    predictions = table_of([("s1", "v1", 1, 20, "positive"), ("s1", "v1", 0, 19, "positive")])
    ground_truth = table_of([("s1", "v1", 0, 19, "positive"), ("s1", "v1", 4, 27, "positive")])
    spotting = evaluate_upstream(predictions, ground_truth, CLASSES)["spotting"]
    assert spotting["ap"] == pytest.approx((3 * 1 + 7 * 0.5) / 10, abs=1e-7)  # single precision
    assert spotting["ap_greedy"] == 0.5


def test_predictions_take_annotations_in_order_not_best_first():
    """A poor early prediction takes the annotation from a perfect later one.

    annotation    |---------|      [0, 9]
    prediction 0 |---------|       [-1, 8]  IoU 9/11
    prediction 1  |---------|      [0, 9]   IoU 1
    """
    assert match_in_order(np.array([[9 / 11], [1]])) == [0, -1]


def test_of_equal_overlaps_the_later_annotation_goes_first():
    assert match_in_order(np.array([[0.6, 0.6]])) == [1]


def test_threshold_itself_is_reached():
    assert match_in_order(np.array([[0.5]])) == [0]
    assert match_in_order(np.array([[0.5]]), soft=True) == [0]


def test_no_annotation_no_match():
    assert match_in_order(np.zeros((2, 0))) == [-1, -1]
    assert match_in_order(np.zeros((0, 2)), soft=True) == []


def test_ap_takes_thresholds_in_any_order():
    """IoU 0.7 of the only annotation: an area of 1 at 0.5, 0 at 0.9."""
    overlaps = [np.array([[0.7]])]
    assert list_order_ap(overlaps, 1, [0.5, 0.9], soft=True) == list_order_ap(overlaps, 1, [0.9, 0.5], soft=True) == 0.5


def test_without_any_annotation_nothing_is_defined():
    spotting = evaluate_upstream(table_of([("s1", "v1", 0, 9, "negative")]), table_of([]), CLASSES)["spotting"]
    assert (spotting["fp"], spotting["precision"]) == (1, 0)
    assert {spotting[key] for key in ("recall", "f1", "ap", "ap_greedy", "asr", "mae")} == {None}


# Analysis lists


def video_of(predicted, annotated, subject="s1", video="v1") -> VideoIntervals:
    """Intervals from (onset, offset, emotion)."""
    lists = [[Interval(i, on, off, NAN, NAN, e) for i, (on, off, e) in enumerate(x)] for x in (predicted, annotated)]
    return VideoIntervals(subject, video, *lists)


def table_of(rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["subject", "video", "onset", "offset", "emotion"])


def test_others_shift_labels_against_predictions():
    """A true positive of "others" adds to P only: later labels meet the prediction before their own.

    annotation   |--others--|     |-negative-|     |-positive-|
    prediction   |-negative-|     |-positive-|     |-surprise-|
    P               0                 1                2
    G             nothing             0                1          -> pairs (0, 0), (1, 1): "all correct"
    """
    predicted = [(0, 9, "negative"), (20, 29, "positive"), (40, 49, "surprise")]
    annotated = [(0, 9, "others"), (20, 29, "negative"), (40, 49, "positive")]
    assert analysis_lists(video_of(predicted, annotated), [0, 1, 2], CLASSES, 100) == ([0, 1, 2], [0, 1])

    predictions, ground_truth = ([("s1", "v1", *row) for row in rows] for rows in (predicted, annotated))
    upstream = evaluate_upstream(table_of(predictions), table_of(ground_truth), CLASSES)
    assert upstream["pairs"] == [[0, 0], [1, 1]]
    assert upstream["analysis"]["accuracy"] == 1
    assert (upstream["per_video"][0]["analysed"], upstream["per_video"][0]["correct"]) == (2, 2)
    paper = evaluate(table_of(predictions), table_of(ground_truth), CLASSES)
    assert paper["analysis"]["evaluated"] == 2
    assert paper["analysis"]["accuracy"] == 0


def test_the_shift_goes_on_into_later_videos():
    later = [("s1", "v2", 0, 9, "positive"), ("s2", "v1", 5, 9, "surprise")]
    predictions = table_of([("s1", "v1", 0, 9, "negative"), *later])
    ground_truth = table_of([("s1", "v1", 0, 9, "others"), *later])
    result = evaluate_upstream(predictions, ground_truth, CLASSES)
    assert result["pairs"] == [[1, 0], [2, 1]]
    assert [row["analysed"] for row in result["per_video"]] == [1, 1, 0]


def test_annotation_beyond_the_last_feature_adds_to_predictions_only():
    video = video_of([(0, 9, "negative"), (90, 99, "positive")], [(90, 99, "positive")])
    assert analysis_lists(video, [-1, 0], CLASSES, 96) == ([0, 1], [-1, 1])
    assert analysis_lists(video, [-1, 0], CLASSES, 90) == ([0], [])  # and the second peak, 94.5, lies beyond it too
    earlier = video_of([(70, 79, "negative")], [(90, 99, "positive")])
    assert analysis_lists(earlier, [-1], CLASSES, 90) == ([0], [])


def test_the_video_ends_with_its_last_feature():
    """n features are 0 ... n - 1: a peak, or the table's first onset, at n lies beyond; what comes after still counts.

    frame         0         50        100
    prediction 0  |---------o---------|    [0, 100], its peak at 50
    prediction 1    |-|                    [10, 20]
    """
    video = video_of([(0, 100, "negative"), (10, 20, "positive")], [(10, 20, "positive")])
    assert analysis_lists(video, [-1, 0], CLASSES, 51) == ([0, 1], [-1, 1])
    assert analysis_lists(video, [-1, 0], CLASSES, 50) == ([1], [1])

    annotated = [(60, 69, "negative"), (10, 20, "positive")]  # the workbook's order
    beyond, within = (video_of([(10, 20, "positive")], rows) for rows in (annotated, annotated[::-1]))
    assert analysis_lists(beyond, [1], CLASSES, 60) == ([1], [])
    assert analysis_lists(within, [0], CLASSES, 60) == ([1], [1])


def test_a_false_positive_in_a_video_without_annotation_shifts_nothing():
    """It adds -1 to G, as a false positive does in any video (--videos all)."""
    right = [("s1", "v2", 0, 9, "positive"), ("s1", "v3", 0, 9, "negative")]
    predictions = table_of([("s1", "v1", 0, 9, "surprise"), *right])
    assert evaluate_upstream(predictions, table_of(right), CLASSES)["pairs"] == [[1, 1], [0, 0]]


def test_unknown_emotion_is_a_wrong_prediction():
    video = video_of([(0, 9, None), (20, 29, "anger")], [(0, 9, "negative"), (20, 29, "positive")])
    assert analysis_lists(video, [0, 1], CLASSES, 100) == ([None, None], [0, 1])


def test_subjects_without_recognition_add_nothing():
    predictions = table_of([("s1", "v1", 0, 9, None), ("s2", "v1", 0, 9, "positive"), ("s3", "v1", 0, 9, "negative")])
    ground_truth = table_of([(s, "v1", 0, 9, "positive") for s in ("s1", "s2", "s3")])
    assert evaluate_upstream(predictions, ground_truth, CLASSES)["pairs"] == [[1, 1], [1, 0]]
    result = evaluate_upstream(predictions, ground_truth, CLASSES, recognition_subjects=["s1", "s3"])
    assert result["pairs"] == [[1, 0]]
    assert result["spotting"]["tp"] == 3


# The dummy prediction, apex


def test_dummy_prediction_is_a_false_positive_with_apex_k_prime():
    """A long video without a peak: [0, 0], whose apex counts as 0 + k' = 7: a hit within (5, 12), and 2 from 9."""
    predictions = table_of([("s1", "v1", 0, 0, "negative"), ("s1", "v2", 3, 17, "positive")])
    ground_truth = table_of([("s1", "v1", 5, 12, "negative"), ("s1", "v2", 4, 17, "positive")])
    ground_truth["apex"] = [9, -1]
    result = evaluate_upstream(predictions, ground_truth, CLASSES, k_prime=7)
    assert [result["spotting"][key] for key in ("tp", "fp", "fn")] == [1, 1, 1]
    assert result["spotting"]["asr"] == 1
    assert result["spotting"]["mae"] == (2 + 11) / 2  # -1 is taken as it stands
    # P = [0, 1], G = [-1, 1]: the dummy has a class, and no partner


@pytest.mark.parametrize(("onset", "hit"), [(0, 0), (1, 1), (9, 1), (10, 0)])
def test_a_hit_lies_strictly_inside(onset, hit):
    """k' = 5, annotation [5, 15]: the apex onset + 5 must be 6 ... 14."""
    predictions, ground_truth = (table_of([("s1", "v1", on, off, "x")]) for on, off in ((onset, onset + 10), (5, 15)))
    assert evaluate_upstream(predictions, ground_truth, ["x"])["spotting"]["asr"] == hit


def test_apex_error_is_over_the_videos_that_have_an_apex():
    """Predicted apex 5; annotated 4 (searched 0: not used), searched 2, none, no prediction: (1 + 3) / 2."""
    ground_truth = table_of([("s1", video, 0, 10, "x") for video in "1234"])
    ground_truth = ground_truth.assign(apex=[4, NAN, NAN, 4], searched_apex=[0, 2, NAN, NAN])
    spotting = evaluate_upstream(table_of([("s1", video, 0, 10, "x") for video in "123"]), ground_truth, ["x"])[
        "spotting"
    ]
    assert (spotting["mae"], spotting["asr"]) == (2, 3 / 4)


def test_first_annotation_is_the_first_of_the_table():
    predictions = table_of([("s1", "v1", 40, 54, "positive")])
    ground_truth = table_of([("s1", "v1", 40, 54, "positive"), ("s1", "v1", 5, 12, "negative")])
    assert evaluate_upstream(predictions, ground_truth, CLASSES, k_prime=7)["spotting"]["asr"] == 1
    assert evaluate_upstream(predictions, ground_truth[::-1], CLASSES, k_prime=7)["spotting"]["asr"] == 0
    assert evaluate(predictions, ground_truth, CLASSES)["spotting"]["asr"] == 0


def test_ap_counts_in_list_order():
    """Hits: no, yes, of 2 annotations: area 1/2 x 1/2; ranked by score it is 1/2 x 1."""
    predictions = table_of([("s1", "v1", 50, 59, "positive"), ("s1", "v2", 0, 9, "positive")])
    predictions["score"] = [0.1, 0.9]
    ground_truth = table_of([("s1", "v1", 0, 9, "positive"), ("s1", "v2", 0, 9, "positive")])
    upstream = evaluate_upstream(predictions, ground_truth, CLASSES)["spotting"]
    assert (upstream["ap"], upstream["ap_greedy"]) == (0.25, 0.25)
    assert evaluate(predictions, ground_truth, CLASSES)["spotting"]["ap"] == 0.5


# Per-class rules


def test_class_on_no_side_is_left_out():
    scores = classification_with_nan([(0, 0), (0, 1), (1, 1)], 3)
    # class 0: precision 1, recall 1/2, F1 2/3; class 1: precision 1/2, recall 1, F1 2/3; class 2 left out
    assert scores["classes"] == 2
    assert scores["precision"] == scores["recall"] == scores["uar"] == scores["f1"] == 0.75
    assert scores["uf1"] == pytest.approx(2 / 3)


def test_class_that_fills_both_sides_is_left_out():
    scores = classification_with_nan([(1, 1), (1, 1)], 3)
    assert (scores["evaluated"], scores["correct"], scores["accuracy"], scores["classes"]) == (2, 2, 1, 0)
    assert scores["f1"] is scores["uf1"] is scores["uar"] is None
    same = [("s1", "v1", 0, 9, "positive")]
    notes = evaluate_upstream(table_of(same), table_of(same), CLASSES)["notes"]
    assert [note for note in notes if note.startswith("analysis")] == [
        "analysis: no class has pairs both of it and of another, so upstream's averages are not defined"
    ]


def test_class_predicted_and_never_annotated_makes_uar_nan_and_counts_0_for_f1():
    scores = classification_with_nan([(0, 0), (0, 2)], 3)
    # class 0: precision 1, recall 1/2; class 2: precision 0, recall 0/0
    assert scores["uar"] is None
    assert (scores["precision"], scores["recall"], scores["f1"]) == (0.5, 0.25, 2 * 0.5 * 0.25 / 0.75)
    assert scores["uf1"] == pytest.approx((2 / 3 + 0) / 2)
    annotated = [("s1", "v1", 0, 9, "negative"), ("s1", "v2", 0, 9, "negative")]
    predicted = [annotated[0], ("s1", "v2", 0, 9, "surprise")]
    notes = evaluate_upstream(table_of(predicted), table_of(annotated), CLASSES)["notes"]
    assert [note for note in notes if note.startswith("analysis")] == [
        "analysis: UAR is not defined: a class is predicted and never annotated (upstream gives NaN)"
    ]


def test_a_prediction_without_class_belongs_to_none():
    """Class 0 is annotated and not predicted: recall 0, precision 0/0; class 1 is perfect."""
    scores = classification_with_nan([(0, None), (1, 1)], 3)
    assert (scores["classes"], scores["correct"]) == (2, 1)
    assert scores["precision"] == scores["recall"] == scores["uf1"] == scores["uar"] == 0.5


def test_nothing_right_makes_f1_nan():
    scores = classification_with_nan([(0, 1), (1, 0)], 3)
    assert scores["f1"] is None
    assert scores["uf1"] == scores["uar"] == 0


def test_nothing_analysed():
    result = evaluate_upstream(table_of([]), table_of([("s1", "v1", 0, 9, "positive")]), CLASSES)
    assert result["analysis"]["evaluated"] == 0
    assert result["analysis"]["accuracy"] is None
    assert result["strs"] == 0
    assert (result["spotting"]["ap"], result["spotting"]["asr"], result["spotting"]["mae"]) == (0, 0, None)
    json.dumps(result, allow_nan=False)


def test_recognition_of_all_needs_as_many_predictions_as_samples():
    predictions = table_of([("s1", "v1", 0, 9, "positive"), ("s1", "v2", 0, 9, "positive")])
    ground_truth = table_of([("s1", "v1", 0, 9, "positive")])
    result = evaluate_upstream(predictions, ground_truth, CLASSES, one_per_video=True)
    assert result["recognition"]["f1"] is None
    assert any("2 predictions for 1 samples" in note for note in result["notes"])


# Recognition folds


@pytest.mark.parametrize(
    ("with_samples", "entries"),
    [
        ("abcde", ["a", "b", "c", "d", "e"]),
        ("abde", ["a", "b", None, "d", "e"]),  # one subject without samples: nothing is shifted
        ("bcde", [None, "b", "c", "d", "e"]),
        ("acd", ["a", None, "c", "d", None]),  # no entry for e: the published code stops there
        ("cde", [None, "c", None, "d", "e"]),  # a and b: b's fold holds out c, and c has none
        ("", [None] * 5),
    ],
)
def test_recognition_entries(with_samples, entries):
    assert upstream_recognition_entries("abcde", iter(with_samples)) == entries


def test_five_of_fourteen_subjects_without_samples():
    """CASME_sq: the empty entries are the published weights' missing recognition files, counted from 1."""
    subjects = [str(number) for number in range(1, 15)]
    entries = upstream_recognition_entries(subjects, set(subjects) - {"1", "3", "4", "8", "9"})
    assert [number for number, entry in enumerate(entries, start=1) if entry is None] == [1, 4, 6, 11, 13]
    held_out = [entry for entry in entries if entry is not None]  # in the order of `subjects`, not of the alphabet
    assert held_out == ["2", "5", "6", "7", "10", "11", "12", "13", "14"]
