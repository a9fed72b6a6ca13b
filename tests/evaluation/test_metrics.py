"""Metrics of the paper protocol: empty, invalid, perfect, worked by hand, published, and properties.

Timelines: one character is a frame unless a scale is drawn; |---| is an inclusive interval, its length in characters.
"""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from Utils.evaluation.counts import precision_recall_f1
from Utils.evaluation.evaluate import compare, evaluate
from Utils.evaluation.metrics import (
    AP_THRESHOLDS,
    average_precision,
    classification,
    interval_iou,
    match_intervals,
    strs,
)
from Utils.evaluation.notes import strs_notes, unannotated_notes
from Utils.evaluation.tables import classes_of, group_by_video
from Utils.evaluation.text import format_metrics

CLASSES = ["negative", "positive", "surprise"]
COLUMNS = ["subject", "video", "onset", "offset", "emotion"]


def table(*rows, **columns) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=COLUMNS).assign(**columns)


def one_video(*rows, **columns) -> pd.DataFrame:
    """A table of (onset, offset, emotion) in one video."""
    return table(*[("s1", "v1", *row) for row in rows], **columns)


def counts(metrics) -> tuple:
    return tuple(metrics["spotting"][key] for key in ("tp", "fp", "fn"))


# Empty


def test_no_prediction():
    metrics = evaluate(one_video(), one_video((0, 9, "negative"), (20, 29, "positive")), CLASSES)
    assert metrics["spotting"] == {
        "tp": 0, "fp": 0, "fn": 2, "precision": 0, "recall": 0, "f1": 0, "ap": 0, "asr": 0, "mae": None,
    }  # fmt: skip
    assert metrics["analysis"]["evaluated"] == 0
    assert metrics["analysis"]["f1"] is None
    assert metrics["recognition"] is None
    assert metrics["strs"] == 0
    assert [note.split(":")[0] for note in metrics["notes"]] == ["spotting", "asr", "mae", "analysis"]


def test_no_annotation():
    metrics = evaluate(one_video((0, 9, "negative")), one_video(), CLASSES)
    assert metrics["spotting"] == {
        "tp": 0, "fp": 1, "fn": 0, "precision": 0, "recall": None, "f1": None, "ap": None, "asr": None, "mae": None,
    }  # fmt: skip
    assert metrics["strs"] is None


def test_two_empty_tables():
    metrics = evaluate(one_video(), one_video(), CLASSES, one_per_video=True)
    assert metrics["per_video"] == metrics["per_subject"] == []
    assert metrics["recognition"]["evaluated"] == 0
    assert metrics["strs"] is None
    assert "Recognition" in format_metrics(metrics, subjects=True)


def test_video_without_rows_is_a_row():
    videos = [("s2", "v1", 100), ("s1", "v1", 100)]
    metrics = evaluate(one_video((0, 9, "negative")), one_video((0, 9, "negative")), CLASSES, videos=videos)
    assert [row["subject"] for row in metrics["per_video"]] == ["s2", "s1"]
    assert metrics["per_video"][0] == {
        "subject": "s2", "video": "v1", "annotated": 0, "predicted": 0, "tp": 0, "fp": 0, "fn": 0, "analysed": 0,
        "correct": 0, "f1": None,
    }  # fmt: skip


# Invalid


def test_unknown_protocol():
    with pytest.raises(ValueError, match="protocol 'mine' is not one of paper, upstream"):
        evaluate(one_video(), one_video(), CLASSES, protocol="mine")


def test_upstream_needs_k_prime():
    with pytest.raises(ValueError, match="needs k_prime"):
        evaluate(one_video(), one_video(), CLASSES, protocol="upstream")


def test_backward_interval():
    with pytest.raises(ValueError, match="ground truth: onset after offset in row 1"):
        evaluate(one_video(), one_video((0, 9, "x"), (9, 8, "x")), CLASSES)


# Intervals


def test_iou_of_inclusive_intervals():
    """
    frame      0         10
    a          |--------|        [0, 9]
    b              |--------|    [4, 13]   6 of 14
    c                    |       [10, 10]  0 of 11
    d                   |        [9, 9]    1 of 10
    e                      |-|   [12, 14]  0 of 13: two frames apart is no less than nothing
    """
    iou = interval_iou(np.array([[0, 9]]), np.array([[4, 13], [10, 10], [9, 9], [12, 14], [0, 9]]))
    np.testing.assert_array_equal(iou, [[6 / 14, 0, 1 / 10, 0, 1]])
    assert interval_iou(np.zeros((0, 2)), np.array([[0, 1]])).shape == (0, 1)


def test_threshold_is_reached_by_an_equal_iou():
    """[0, 9] and [0, 5] share 6 of 10 frames: 0.6 >= 0.6, although 0.5 + 2 x 0.05 > 0.6 in floating point."""
    assert AP_THRESHOLDS.tolist() == [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
    assert match_intervals(np.array([[0, 9]]), np.array([[0, 5]]), AP_THRESHOLDS[2]) == [(0, 0)]
    assert match_intervals(np.array([[0, 9]]), np.array([[0, 4]])) == [(0, 0)]
    assert match_intervals(np.array([[0, 99]]), np.array([[0, 48]])) == []  # 0.49


def test_matching_takes_the_best_pair_first():
    """A perfect later prediction takes the annotation from a poorer earlier one.

    annotation     |--------|     [0, 9]
    prediction 0  |--------|      [-1, 8]  IoU 9/11
    prediction 1   |--------|     [0, 9]   IoU 1
    """
    assert match_intervals(np.array([[-1, 8], [0, 9]]), np.array([[0, 9]])) == [(1, 0)]


def test_matching_goes_on_to_the_next_best():
    """Looking at the best annotation only would call prediction 1 false.

    frame         0         10        20
    annotation 0  |------------------|            [0, 19]
    annotation 1      |----------------------|    [4, 27]
    prediction 0  |------------------|            [0, 19]  IoU 1, 16/28
    prediction 1   |------------------|           [1, 20]  IoU 19/21, 17/27
    """
    predicted, annotated = np.array([[0, 19], [1, 20]]), np.array([[0, 19], [4, 27]])
    assert match_intervals(predicted, annotated) == [(0, 0), (1, 1)]
    assert match_intervals(predicted, annotated, 0.65) == [(0, 0)]


def test_matches_are_in_the_order_of_the_predictions():
    """The second prediction is the better one and is matched first."""
    predicted, annotated = np.array([[0, 8], [20, 29]]), np.array([[0, 9], [20, 29]])
    assert match_intervals(predicted, annotated) == [(0, 0), (1, 1)]


def test_matching_of_equal_pairs_takes_the_earlier():
    """
    annotation     |--------|     [10, 19]   IoU 9/11 with both
    prediction 0  |--------|      [9, 18]
    prediction 1    |--------|    [11, 20]
    """
    assert match_intervals(np.array([[9, 18], [11, 20]]), np.array([[10, 19]])) == [(0, 0)]
    assert match_intervals(np.array([[10, 19]]), np.array([[9, 18], [11, 20]])) == [(0, 0)]


@pytest.mark.parametrize(
    ("tp", "fp", "fn", "expected"),
    [(159, 85, 85, 0.6516), (60, 97, 97, 0.3822), (17, 206, 40, 0.1214), (26, 363, 133, 0.0949)],
)
def test_published_f1(tp, fp, fn, expected):
    assert precision_recall_f1(tp, fp, fn)[2] == pytest.approx(expected, abs=5e-5)


# Average precision


def test_average_precision_by_hand():
    """
    rank        1    2    3    4    5      3 annotations
    hit         yes  no   yes  no   no
    precision   1    1/2  2/3  2/4  2/5
    recall      1/3  1/3  2/3  2/3  2/3    area 1/3 x 1 + 1/3 x 2/3 = 5/9
    """
    assert average_precision([True, False, True, False, False], 3) == pytest.approx(5 / 9)


def test_precision_is_made_non_increasing_from_the_right():
    """Hits no, yes, yes of 2: precision 0, 1/2, 2/3, of which 2/3 stands for both steps."""
    assert average_precision([False, True, True], 2) == pytest.approx(2 / 3)
    assert average_precision([False, False], 2) == average_precision([], 2) == 0


def test_ap_ranks_by_score_over_all_videos_and_averages_thresholds():
    """
    video 1 annotation  |--------|             [0, 9]
            prediction  |--------|             [0, 9]   IoU 1     score .2   hit at all 10 thresholds
    video 2 annotation  |--------|             [0, 9]
            prediction  |-----|                [0, 6]   IoU 0.7   score .9   hit at .5, .55, .6, .65, .7
            prediction            |----|       [10, 15] IoU 0     score .5

    ranked: 0.7, 0, 1.  At .5-.7: yes, no, yes -> 1/2 x 1 + 1/2 x 2/3 = 5/6.  At .75-.95: no, no, yes -> 1/2 x 1/3.
    """
    predictions = table(
        ("s1", "v1", 0, 9, "x"), ("s1", "v2", 0, 6, "x"), ("s1", "v2", 10, 15, "x"), score=[0.2, 0.9, 0.5]
    )
    ground_truth = table(("s1", "v1", 0, 9, "x"), ("s1", "v2", 0, 9, "x"))
    assert evaluate(predictions, ground_truth, ["x"])["spotting"]["ap"] == pytest.approx((5 / 6 + 1 / 6) / 2)

    # in table order: 1, 0.7, 0 -> at .5-.7 area 1, at .75-.95 area 1/2
    some = [predictions.assign(score=scores) for scores in ([0.2, np.nan, 0.5], [0.2, 0.9, np.nan])]
    for unknown in (predictions.drop(columns="score"), *some):
        metrics = evaluate(unknown, ground_truth, ["x"])
        assert metrics["spotting"]["ap"] == pytest.approx((1 + 1 / 2) / 2)
        assert any(note.startswith("ap:") for note in metrics["notes"])


@pytest.mark.parametrize("score", [0.5, np.nan])
def test_predictions_of_equal_or_no_score_count_in_the_order_of_the_table(score):
    """Hits no, yes of one annotation: 1/2. In the order of videos or of time it would be yes, no: 1."""
    ground_truth = table(("s1", "v1", 0, 9, "x"))
    other_video = table(("s1", "v2", 0, 9, "x"), ("s1", "v1", 0, 9, "x"), score=score)
    later = table(("s1", "v1", 50, 59, "x"), ("s1", "v1", 0, 9, "x"), score=score)
    for predictions in (other_video, later):
        assert evaluate(predictions, ground_truth, ["x"])["spotting"]["ap"] == 0.5


def test_ap_counts_a_second_prediction_of_one_annotation_as_false():
    """
    annotation    |--------|              [0, 9]     and [50, 59], which is missed
    prediction 0  |--------|              [0, 9]     score .9
    prediction 1   |-------|              [1, 9]     score .8, IoU 0.9 with an annotation that is taken
    """
    predictions = one_video((0, 9, "x"), (1, 9, "x"), score=[0.9, 0.8])
    metrics = evaluate(predictions, one_video((0, 9, "x"), (50, 59, "x")), ["x"])
    assert metrics["spotting"]["ap"] == 0.5


# Apex


def test_asr_and_mae_by_hand():
    """First prediction and first annotation of each video, whatever the order of rows.

    frame     0    5    10   15   20
    video 1   |--A------|                 [0, 10] apex 3;  predicted apex 4: a hit, 1 off
              later: [30, 40] with a predicted apex of 35
    video 2   |----A----|                 [0, 10] apex 5;  predicted apex 10: not strictly inside, 5 off
    video 3   |---------|                 [0, 10] no apex; predicted apex 2: a hit, no error
    video 4   |----A----|                 [0, 10] apex 5;  no prediction: a miss, no error
    video 5   no annotation, a prediction: counts for neither
    """
    predictions = table(
        ("s", "1", 30, 40, "x"), ("s", "1", 0, 9, "x"), ("s", "2", 5, 15, "x"), ("s", "3", 0, 4, "x"),
        ("s", "5", 0, 4, "x"), apex=[35, 4, 10, 2, 2],
    )  # fmt: skip
    ground_truth = table(
        ("s", "1", 30, 40, "x"), *[("s", video, 0, 10, "x") for video in "1234"], apex=[35, 3, 5, np.nan, 5]
    )
    metrics = evaluate(predictions, ground_truth, ["x"])
    assert metrics["spotting"]["asr"] == 2 / 4
    assert metrics["spotting"]["mae"] == (1 + 5) / 2
    assert any("1 prediction(s) in 1 video(s) without annotation, such as s/5" in note for note in metrics["notes"])


def test_apex_defaults_to_the_middle():
    metrics = evaluate(one_video((0, 11, "x")), one_video((0, 11, "x"), apex=[5]), ["x"])
    assert metrics["spotting"]["mae"] == 0.5
    assert metrics["spotting"]["asr"] == 1


@pytest.mark.parametrize(("apex", "hit"), [(0, 0), (1, 1), (9, 1), (10, 0)])
def test_a_hit_lies_strictly_inside(apex, hit):
    predictions = one_video((0, 10, "x"), apex=[apex])
    assert evaluate(predictions, one_video((0, 10, "x")), ["x"])["spotting"]["asr"] == hit


def test_negative_apex_is_unknown():
    assert evaluate(one_video((0, 9, "x")), one_video((0, 9, "x"), apex=[-1]), ["x"])["spotting"]["mae"] is None


# Analysis


def test_macro_averages_by_hand():
    """
    label \\ predicted   negative  positive  surprise | recall
    negative                2         1         0     |  2/3
    positive                0         1         0     |  1
    precision               1        1/2       0/0 -> surprise occurs on neither side and is left out
    """
    pairs = [("negative", "negative")] * 2 + [("negative", "positive"), ("positive", "positive")]
    scores = classification(pairs, CLASSES)
    precision, recall = (1 + 1 / 2) / 2, (2 / 3 + 1) / 2
    assert scores == {
        "evaluated": 4,
        "correct": 3,
        "classes": 2,
        "accuracy": 3 / 4,
        "precision": precision,
        "recall": pytest.approx(recall),
        "f1": pytest.approx(2 * precision * recall / (precision + recall)),
        "uf1": pytest.approx((4 / 5 + 2 / 3) / 2),
        "uar": pytest.approx(recall),
    }


def test_undefined_per_class_scores_count_as_0():
    """surprise is predicted and never a label: recall 0/0; positive is a label and never predicted: precision 0/0."""
    scores = classification([("negative", "negative"), ("positive", "surprise")], CLASSES)
    assert scores["classes"] == 3
    assert scores["precision"] == scores["recall"] == scores["uf1"] == pytest.approx(1 / 3)


def test_emotion_outside_the_classes_is_wrong():
    scores = classification([("negative", "negative"), ("negative", "anger"), ("negative", None)], CLASSES)
    assert (scores["correct"], scores["classes"], scores["precision"]) == (1, 1, 1)
    assert scores["recall"] == pytest.approx(1 / 3)


def test_nothing_right():
    assert classification([("negative", "positive")], CLASSES)["f1"] == 0


def test_pairs_are_joined_by_interval():
    """An annotation of "others" is spotted and not analysed; a miss and a false positive between do not move the pairs.

    annotation   |--others--|     |-negative-|                  |-positive-|   |-surprise-|
    prediction   |-negative-|                    |-surprise-|   |-positive-|   |-negative-|
    """
    predictions = one_video((0, 9, "negative"), (35, 44, "surprise"), (50, 59, "positive"), (70, 79, "negative"))
    ground_truth = one_video((0, 9, "others"), (20, 29, "negative"), (50, 59, "positive"), (70, 79, "surprise"))
    metrics = evaluate(predictions, ground_truth, CLASSES)
    assert counts(metrics) == (3, 1, 1)
    assert (metrics["analysis"]["evaluated"], metrics["analysis"]["correct"]) == (2, 1)
    assert metrics["per_video"][0]["analysed"] == 2
    # positive 1/1/1, surprise 0, negative 0: P = R = F1 = 1/3; spotting F1 = 6/8
    assert metrics["strs"] == pytest.approx(3 / 4 * 1 / 3)


def test_subject_without_recognition_is_left_out_of_the_analysis():
    predictions = table(("1", "v", 0, 9, None), ("2", "v", 0, 9, "positive"), ("2", "w", 0, 9, None))
    ground_truth = table(*[(*key, 0, 9, "positive") for key in (("1", "v"), ("2", "v"), ("2", "w"))])
    metrics = evaluate(predictions, ground_truth, CLASSES, one_per_video=True)
    assert counts(metrics) == (3, 0, 0)
    assert (metrics["analysis"]["evaluated"], metrics["analysis"]["correct"]) == (2, 1)  # 2/w is wrong
    assert metrics["recognition"] == metrics["analysis"]
    assert "analysis: 1 true positive(s) of subjects without recognition are left out" in metrics["notes"]

    nobody = evaluate(predictions.assign(emotion=None), ground_truth, CLASSES)
    assert nobody["analysis"]["f1"] is nobody["strs"] is None


def test_a_subject_with_one_emotion_has_recognition():
    """The other prediction in the same video has no emotion, so it is wrong."""
    predictions = one_video((0, 9, "positive"), (20, 29, None))
    analysis = evaluate(predictions, one_video((0, 9, "positive"), (20, 29, "positive")), CLASSES)["analysis"]
    assert (analysis["evaluated"], analysis["correct"]) == (2, 1)


def test_recognition_of_all_looks_at_every_video():
    """Spotted or not: 1/v is a hit, 1/w a miss of the interval with the right class, 2/v has no prediction."""
    predictions = table(("1", "v", 0, 9, "positive"), ("1", "w", 50, 59, "negative"))
    ground_truth = table(("1", "v", 0, 9, "positive"), ("1", "w", 0, 9, "negative"), ("2", "v", 0, 9, "negative"))
    metrics = evaluate(predictions, ground_truth, CLASSES, one_per_video=True)
    assert (metrics["analysis"]["evaluated"], metrics["analysis"]["correct"]) == (1, 1)
    assert (metrics["recognition"]["evaluated"], metrics["recognition"]["correct"]) == (3, 2)
    # positive 1, 1; negative: precision 1, recall 1/2
    assert metrics["recognition"]["recall"] == 0.75


# STRS


def test_strs_of_undefined_scores():
    assert strs(0.0, None) == 0
    assert strs_notes(0.0, None) == []
    assert strs(0.5, None) is strs(None, 0.5) is strs(None, 0.0) is None
    assert strs_notes(0.5, None) == ["strs: the F1 of the analysis is not defined"]
    assert strs_notes(None, 0.5) == ["strs: the F1 of spotting is not defined"]
    assert strs(0.5, 0.5) == 0.25
    assert strs_notes(0.5, 0.5) == []


def test_searched_apexes_are_no_annotations():
    """
    frame        0         10
    annotation   |---------|          apex 4, or unknown and searched at 2
    prediction   |---------|          its middle: 5
    """
    prediction, annotation = one_video((0, 10, "x")), one_video((0, 10, "x"))
    both = pd.concat([annotation.assign(apex=4), annotation.assign(video="v2")])
    searched = both.assign(searched_apex=[np.nan, 2])
    predictions = pd.concat([prediction, prediction.assign(video="v2")])
    for truth in (both, searched):  # with one annotated apex a searched one does not count
        metrics = evaluate(predictions, truth, ["x"])
        assert metrics["spotting"]["mae"] == 1
        assert not any("searched" in note for note in metrics["notes"])
    only = evaluate(prediction, annotation.assign(apex=np.nan, searched_apex=2), ["x"])
    assert only["spotting"]["mae"] == 3
    assert any("measured against the apexes that the program searched" in note for note in only["notes"])


def test_comparison_names_the_rows_that_belong_together():
    """Rows out of order and of two videos; the third prediction and the second annotation of v1 are left alone."""
    predictions = table(
        ("s1", "v2", 5, 9, "y"), ("s1", "v1", 40, 49, "x"), ("s1", "v1", 90, 99, "x"), ("s1", "v1", 0, 9, "x")
    )
    truth = table(
        ("s1", "v1", 0, 9, "x"), ("s1", "v1", 70, 79, "x"), ("s1", "v1", 41, 49, "y"), ("s1", "v2", 5, 9, "y")
    )
    found = compare(predictions, truth, ["x", "y"])
    assert found.matches == {("s1", "v1"): [(3, 0), (1, 2)], ("s1", "v2"): [(0, 3)]}
    assert found.pairs == [("x", "x"), ("y", "x"), ("y", "y")]
    rows = found.of_video("s1", "v1")
    assert rows.predictions["onset"].tolist() == [40, 90, 0]
    assert rows.annotations["onset"].tolist() == [0, 70, 41]
    assert sorted(rows.matches) == [(0, 2), (2, 0)]
    assert found.of_video("s1", "v3").matches == []


def test_rows_of_a_video_are_numbered_from_0():
    """Whatever their numbers in the tables, and whoever else has a video of that name."""
    truth = table(("s2", "v1", 0, 9, "x"), ("s1", "v1", 20, 29, "y"), ("s1", "v1", 0, 9, "x"))
    rows = compare(truth[::-1], truth[1:], ["x", "y"], videos=[("s1", "v1"), ("s2", "v1")]).of_video("s1", "v1")
    assert rows.predictions["onset"].tolist() == [0, 20]
    assert rows.annotations["onset"].tolist() == [20, 0]
    assert rows.predictions.index.tolist() == rows.annotations.index.tolist() == [0, 1]
    assert sorted(rows.matches) == [(0, 1), (1, 0)]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["a", "b", "c", "other", None])), max_size=12))
def test_macro_averages_are_those_of_the_definition(pairs):
    scores, per_class = classification(pairs, list("abc")), []
    for name in "abc":
        labelled, guessed = (sum(pair[side] == name for pair in pairs) for side in (0, 1))
        hits = sum(pair == (name, name) for pair in pairs)
        if labelled + guessed:
            per_class.append((hits / max(guessed, 1), hits / max(labelled, 1), 2 * hits / (labelled + guessed)))
    assert scores["classes"] == len(per_class)
    if per_class:
        expected = np.mean(per_class, axis=0)
        assert [scores["precision"], scores["recall"], scores["uf1"]] == pytest.approx(expected, abs=1e-15)


def test_published_strs():
    """The example published with the metric: IoU 26/76, 31/71, 51/76, 46/76, 71/111, so TP 3, FP 2, FN 2, F1 0.6.

    Pairs (others, others), (repression, happiness) twice: precision and recall 1, 0, 0, so F1 = 1/3 and STRS = 0.2.
    """
    predictions = table(
        ("1", "EP02_01f", 10, 70, "happiness"),
        ("1", "EP03_02", 100, 170, "others"),
        ("1", "EP04_02", 0, 70, "others"),
        ("2", "EP01_11f", 20, 90, "happiness"),
        ("2", "EP02_04f", 70, 140, "happiness"),
    )
    ground_truth = table(
        ("1", "EP02_01f", 45, 85, "happiness"),
        ("1", "EP03_02", 130, 160, "others"),
        ("1", "EP04_02", 20, 75, "others"),
        ("2", "EP01_11f", 45, 95, "repression"),
        ("2", "EP02_04f", 30, 140, "repression"),
    )
    metrics = evaluate(predictions, ground_truth, classes_of(ground_truth))
    assert counts(metrics) == (3, 2, 2)
    assert metrics["spotting"]["f1"] == pytest.approx(0.6)
    assert metrics["analysis"]["f1"] == pytest.approx(1 / 3)
    assert metrics["strs"] == pytest.approx(0.2)


# Notes


def noted(predictions, ground_truth, **options) -> list[str]:
    return evaluate(predictions, ground_truth, CLASSES, **options)["notes"]


def test_no_notes_where_all_is_there():
    """Right or wrong: one apex error is 0, in the second case the emotion is wrong."""
    intervals = table(("s1", "v1", 0, 9, "negative"), ("s2", "v1", 0, 9, "positive"), apex=4)
    for predictions in (intervals, intervals.assign(emotion="surprise")):
        assert noted(predictions.assign(score=0.5), intervals, one_per_video=True) == []


def test_notes_without_a_true_positive():
    """A prediction is there, so only the analysis, which has no pair, is noted. Recognition has the video's label."""
    predictions, ground_truth = one_video((50, 59, "x"), score=0.5), one_video((0, 9, "negative"), apex=4)
    no_pair = "there is no pair of label and prediction to evaluate"
    assert noted(predictions, ground_truth, one_per_video=True) == [f"analysis: {no_pair}"]
    others = noted(predictions, ground_truth.assign(emotion="others"), one_per_video=True)
    assert others == [f"analysis: {no_pair}", f"recognition: {no_pair}"]


def test_notes_without_any_annotation():
    """AP is not defined, so it does not matter that there is no score."""
    predictions = table(("s1", "v9", 0, 9, "x"), ("s1", "v10", 0, 9, "x"), ("s1", "v10", 20, 29, "x"))
    assert noted(predictions, table()) == [
        "3 prediction(s) in 2 video(s) without annotation, such as s1/v9",
        "spotting: there is no annotation, so recall, F1, AP and ASR are not defined",
        "mae: no video has both a prediction and an annotation with a known apex",
        "analysis: there is no pair of label and prediction to evaluate",
        "strs: the F1 of spotting is not defined",
    ]
    neither = noted(table(), table())
    assert neither[:2] == [
        "spotting: there is no prediction, so precision counts as 0",
        "spotting: there is no annotation, so recall, F1, AP and ASR are not defined",
    ]


def test_notes_count_videos():
    """v1 has two predictions, one without a score; v2 and v3 are missed; v4 is not annotated."""
    predictions = table(
        ("s1", "v1", 0, 9, "negative"), ("s1", "v1", 20, 29, "positive"), ("s1", "v4", 0, 9, "x"),
        score=[0.5, np.nan, 0.5],
    )  # fmt: skip
    ground_truth = table(*[("s1", v, 0, 9, "negative") for v in ("v1", "v2", "v3")], apex=4)
    missed = "asr: 2 annotated video(s) without a prediction count as missed"
    no_score = "ap: not every prediction has a score, so they count in the order of the table"
    assert noted(predictions, ground_truth) == [
        "1 prediction(s) in 1 video(s) without annotation, such as s1/v4", no_score, missed,
    ]  # fmt: skip
    videos = [("s1", f"v{n}") for n in range(1, 6)]  # known: neither v4 nor v5 can be misspelt
    assert noted(predictions.assign(score=0.5, apex=np.nan), ground_truth, videos=videos) == [missed]
    grouped = group_by_video(predictions, ground_truth, videos)
    assert unannotated_notes(grouped) == ["1 prediction(s) in 1 video(s) without annotation, such as s1/v4"]


# Rows and table


def test_rows_add_up():
    predictions = table(("1", "v", 0, 9, "x"), ("1", "w", 0, 9, "x"), ("10", "v", 0, 9, "y"), ("9", "v", 5, 9, "x"))
    ground_truth = table(("1", "v", 0, 9, "x"), ("10", "v", 0, 9, "x"), ("9", "v", 0, 9, "x"))
    metrics = evaluate(predictions, ground_truth, ["x"])
    assert [(row["subject"], row["video"]) for row in metrics["per_video"]] == [
        ("1", "v"), ("1", "w"), ("9", "v"), ("10", "v"),
    ]  # fmt: skip
    two = evaluate(pd.concat([predictions[:1], table(("1", "v", 50, 59, "x"))]), ground_truth, ["x"])["per_video"]
    assert two[0] == {
        "subject": "1", "video": "v", "annotated": 1, "predicted": 2, "tp": 1, "fp": 1, "fn": 0, "analysed": 1,
        "correct": 1, "f1": 2 / 3,
    }  # fmt: skip
    assert metrics["per_subject"][0] == {
        "subject": "1", "videos": 2, "annotated": 1, "predicted": 2, "tp": 1, "fp": 1, "fn": 0, "analysed": 1,
        "correct": 1, "f1": 2 / 3,
    }  # fmt: skip
    assert [row["correct"] for row in metrics["per_subject"]] == [1, 1, 0]
    text = format_metrics({**metrics, "dataset": "DEMO"}, subjects=True)
    assert "Metrics: DEMO, paper protocol" in text
    total = next(line for line in text.splitlines() if line.startswith("total"))
    assert total.split() == ["total", "3", "4", "3", "1", "0", "3", "2", "0.8571"]
    assert all(len(line) <= 80 for line in text.splitlines())


# Properties

EMOTIONS = st.sampled_from([*CLASSES, "others"])
INTERVALS = st.tuples(st.integers(0, 60), st.integers(0, 30), EMOTIONS).map(lambda i: (i[0], i[0] + i[1], i[2]))
VIDEOS = st.lists(st.tuples(st.lists(INTERVALS, max_size=4), st.lists(INTERVALS, max_size=4)), min_size=1, max_size=5)


def tables_of(videos, shifts=None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions (each with its own score) and ground truth (each with an apex) of (predicted, annotated) videos."""
    rows = ([], [])
    for number, video in enumerate(videos):
        shift = shifts[number] if shifts else 0
        for rows_of_table, intervals in zip(rows, video, strict=True):
            for onset, offset, emotion in intervals:
                key = (f"s{number % 2}", f"v{number}")
                apex = (2 * onset + offset) // 3 + shift
                rows_of_table.append((*key, onset + shift, offset + shift, emotion, apex))
    predictions, ground_truth = (pd.DataFrame(x, columns=[*COLUMNS, "apex"]) for x in rows)
    return predictions.assign(score=np.linspace(1, 0, len(predictions))), ground_truth


def assert_same(a, b) -> None:
    """Equal but for the rounding of sums."""
    for part in ("spotting", "analysis", "recognition"):
        assert a[part] == {key: pytest.approx(value) if value is not None else None for key, value in b[part].items()}
    assert a["strs"] == (None if b["strs"] is None else pytest.approx(b["strs"]))
    assert a["per_video"] == b["per_video"]


@settings(max_examples=60, deadline=None)
@given(VIDEOS)
def test_perfect_prediction_is_1(videos):
    _, ground_truth = tables_of(videos)
    assume(len(ground_truth))
    metrics = evaluate(ground_truth.assign(score=0.5), ground_truth, CLASSES, one_per_video=True)
    assert [metrics["spotting"][key] for key in ("precision", "recall", "f1")] == [1, 1, 1]
    assert metrics["spotting"]["ap"] == pytest.approx(1)
    assert metrics["spotting"]["mae"] == 0
    if set(ground_truth["emotion"]) != {"others"}:
        for key in ("precision", "recall", "f1", "uf1", "uar", "accuracy"):
            assert metrics["analysis"][key] == 1
        assert metrics["strs"] == 1


@settings(max_examples=60, deadline=None)
@given(VIDEOS, st.randoms(use_true_random=False))
def test_order_of_rows_and_videos_changes_nothing(videos, random):
    tables = tables_of(videos)
    for t in tables:  # intervals that are equal but for their emotion have no order of their own
        assume(not t.duplicated(["subject", "video", "onset", "offset"]).any())
    shuffled = [t.iloc[random.sample(range(len(t)), len(t))] for t in tables]
    keys = [(f"s{n % 2}", f"v{n}") for n in range(len(videos))]
    same = evaluate(*shuffled, CLASSES, videos=random.sample(keys, len(keys)), one_per_video=True)
    same["per_video"].sort(key=lambda row: keys.index((row["subject"], row["video"])))
    assert_same(evaluate(*tables, CLASSES, videos=keys, one_per_video=True), same)


@settings(max_examples=60, deadline=None)
@given(VIDEOS, st.lists(st.integers(0, 1000), min_size=5, max_size=5))
def test_shifting_a_video_changes_nothing(videos, shifts):
    original = evaluate(*tables_of(videos), CLASSES, one_per_video=True)
    assert_same(evaluate(*tables_of(videos, shifts), CLASSES, one_per_video=True), original)


@pytest.mark.parametrize("protocol", ["paper", "upstream"])
@settings(max_examples=60, deadline=None)
@given(videos=VIDEOS)
def test_counts_and_ranges(protocol, videos):
    predictions, ground_truth = tables_of(videos)
    metrics = evaluate(predictions, ground_truth, CLASSES, one_per_video=True, protocol=protocol, k_prime=6)
    tp, fp, fn = counts(metrics)
    assert (tp + fn, tp + fp) == (len(ground_truth), len(predictions))
    for rows in (metrics["per_video"], metrics["per_subject"]):
        assert [sum(row[key] for row in rows) for key in ("tp", "fp", "fn")] == [tp, fp, fn]
        assert sum(row["analysed"] for row in rows) == metrics["analysis"]["evaluated"]
        assert sum(row["correct"] for row in rows) == metrics["analysis"]["correct"]
    assert metrics["spotting"]["ap"] is None or 0 <= metrics["spotting"]["ap"] <= 1
    for part in ("analysis", "recognition"):
        assert all(v is None or 0 <= v <= 1 for k, v in metrics[part].items() if k in ("f1", "uf1", "uar", "accuracy"))
    json.dumps(metrics, allow_nan=False)
    assert all(len(line) <= 80 for line in format_metrics(metrics, subjects=True).splitlines())


@settings(max_examples=60, deadline=None)
@given(VIDEOS, st.integers(0, 4), st.floats(0, 1))
def test_a_false_positive_never_raises_precision_nor_ap(videos, where, score):
    predictions, ground_truth = tables_of(videos)
    before = evaluate(predictions, ground_truth, CLASSES)["spotting"]
    far = table((f"s{where % 2}", f"v{where}", 5000, 5010, "negative"), apex=5005, score=score)
    after = evaluate(pd.concat([predictions, far]), ground_truth, CLASSES)["spotting"]
    assert (after["tp"], after["fp"]) == (before["tp"], before["fp"] + 1)
    assert after["precision"] <= before["precision"]
    assert before["ap"] is None or after["ap"] <= before["ap"] + 1e-12


@given(st.lists(INTERVALS, max_size=6), st.lists(INTERVALS, max_size=6), st.sampled_from(AP_THRESHOLDS.tolist()))
def test_matching_is_one_to_one_and_reaches_the_threshold(predicted, annotated, threshold):
    predicted, annotated = (np.array([i[:2] for i in x]).reshape(-1, 2) for x in (predicted, annotated))
    matched = match_intervals(predicted, annotated, threshold)
    iou = interval_iou(predicted, annotated)
    assert len({i for i, _ in matched}) == len({j for _, j in matched}) == len(matched)
    assert all(iou[pair] >= threshold for pair in matched)
    free = np.ones(iou.shape, dtype=bool)
    for i, j in matched:
        free[i] = free[:, j] = False
    assert not (iou[free] >= threshold).any()  # nothing more could be matched
    # a higher threshold's matching is part of a lower one's, as `evaluate` makes use of
    assert matched == [pair for pair in match_intervals(predicted, annotated) if iou[pair] >= threshold]
