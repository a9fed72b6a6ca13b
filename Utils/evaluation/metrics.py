"""The metrics of the paper: spotting, analysis (spot, then recognize), and both together (STRS).

Conventions
-----------
Two tables go in (see tables.py), and one dict comes out (see `evaluate.evaluate`). The rows of a video are sorted by
time. So the order of the rows does not matter, with one exception: predictions with equal scores are ranked in the
order of the table. A metric that cannot be computed is None, and "notes" has the reason. Counts are summed over all
videos; nothing is averaged over subjects.

Metrics
-------
- Spotting: a prediction is a true positive if it is matched to an annotation with an intersection over union (IoU) of
  at least 0.5. The matching is one to one. The metrics are precision, recall, F1 (`spotting_scores`), AP@[.5:.95]
  (`ranked_ap`), the apex spotting rate ASR (the mean of `apex_hits`) and the mean absolute error of the apex MAE (the
  mean of `apex_errors`).
- Analysis (`classification`): the emotions of the true positives whose annotated class is evaluated. A true positive
  without a predicted emotion is wrong. But if no prediction of a subject has an emotion, its fold had no recognition,
  and the subject is left out. Precision and recall are means over the classes that occur as a label or as a prediction
  (macro averages), where 0/0 counts as 0. F1 is the harmonic mean of *these two*. UF1 is the mean of the F1 of each
  class, and UAR the mean of the recall of each class.
- STRS (`strs`): spotting F1 x analysis F1. It is 0 if the spotting F1 is 0.
- Recognition (all): the emotion of each video's one prediction, compared with the video's label.

References
----------
Liong, See, Chan: Spot-then-Recognize: A Micro-Expression Analysis Network for Seamless Evaluation of Long Videos.
Signal Processing: Image Communication 110 (2023) 116875.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from Utils.evaluation.counts import class_scores, count_row, per_subject, precision_recall_f1
from Utils.evaluation.notes import (
    ap_notes,
    apex_notes,
    classification_notes,
    missed_notes,
    recognition_notes,
    spotting_notes,
    strs_notes,
    unannotated_notes,
)
from Utils.evaluation.result import Evaluation, Matches, table_rows
from Utils.evaluation.sums import sums_of
from Utils.evaluation.tables import VideoIntervals, bounds, group_by_video, only_searched_apexes

IOU_THRESHOLD = 0.5  # least IoU of a true positive, in the paper and in the Micro-Expression Grand Challenge
AP_THRESHOLDS = np.arange(50, 100, 5) / 100  # of AP@[.5:.95]; each is exact, so that an IoU of 3/5 reaches 0.6
CLASSIFICATION_KEYS = ("evaluated", "correct", "classes", "accuracy", "precision", "recall", "f1", "uf1", "uar")

Pair = tuple[str, str | None]  # (annotated, predicted emotion)


def compare_paper(
    predictions: pd.DataFrame,
    ground_truth: pd.DataFrame,
    classes: Sequence[str],
    *,
    one_per_video: bool = False,
    videos: Iterable[Sequence] | None = None,
) -> Evaluation:
    """Compare two tables by the paper's protocol. Parameters and errors are those of `evaluate.compare`."""
    grouped = [video.in_time_order() for video in group_by_video(predictions, ground_truth, videos)]
    matches = [match_intervals(bounds(video.predicted), bounds(video.annotated)) for video in grouped]
    recognised = recognised_subjects(grouped)
    pairs_of_video = [_analysis_pairs(v, matched, classes) for v, matched in zip(grouped, matches, strict=True)]
    analysed = [pairs if v.subject in recognised else [] for v, pairs in zip(grouped, pairs_of_video, strict=True)]
    n_left_out = sum(map(len, pairs_of_video)) - sum(map(len, analysed))
    counts = [count_row(v, len(m), pairs) for v, m, pairs in zip(grouped, matches, analysed, strict=True)]
    pairs = [pair for of_video in analysed for pair in of_video]
    owned = {
        "analysis": [(v.subject, *pair) for v, of_video in zip(grouped, analysed, strict=True) for pair in of_video]
    }
    if one_per_video:
        owned["recognition"] = _first_pairs(grouped, classes, recognised)

    ranked, hits, errors = ranked_ious(grouped, matches), apex_hits(grouped), apex_errors(grouped)
    spotting = {
        **spotting_scores(counts),
        "ap": _mean_ap(ranked, grouped),
        "asr": sum(hit for _, hit in hits) / len(hits) if hits else None,
        "mae": float(np.mean([error for _, error in errors])) if errors else None,
    }
    analysis = classification(pairs, classes)
    recognition = classification([pair[1:] for pair in owned["recognition"]], classes) if one_per_video else None
    notes = [
        *(unannotated_notes(grouped) if videos is None else []),
        *recognition_notes(n_left_out),
        *spotting_notes(spotting),
        *ap_notes(grouped),
        *missed_notes(grouped),
        *apex_notes(grouped, spotting["mae"]),
        *classification_notes(analysis, "analysis"),
        *(classification_notes(recognition, "recognition") if recognition else []),
        *strs_notes(spotting["f1"], analysis["f1"]),
    ]
    metrics = {
        "protocol": "paper",
        "spotting": spotting,
        "analysis": analysis,
        "recognition": recognition,
        "strs": strs(spotting["f1"], analysis["f1"]),
        "per_subject": per_subject(counts),
        "per_video": counts,
        "notes": notes,
    }
    numbers = {name: i for i, name in enumerate(classes)}
    sums = sums_of(
        "paper",
        counts,
        rankings={"ap": ([subject for subject, _ in ranked], _ious(ranked)[:, None] >= AP_THRESHOLDS)},
        terms={"asr": hits, "mae": errors},
        pairs={k: [(s, numbers[label], numbers.get(guess)) for s, label, guess in of] for k, of in owned.items()},
        n_classes=len(classes),
    )
    return Evaluation(predictions, ground_truth, metrics, table_rows(grouped, matches), pairs, sums)


# Spotting


def interval_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of intervals: the number of frames in both, divided by the number in at least one.

    Parameters
    ----------
    a : array of int, shape (n, 2)
    b : array of int, shape (m, 2)
        First and last frame of each interval. Both belong to it.

    Returns
    -------
    array of float64, shape (n, m), in [0, 1]
    """
    a, b = np.reshape(a, (-1, 1, 2)), np.reshape(b, (1, -1, 2))
    shared = np.maximum(np.minimum(a[..., 1], b[..., 1]) - np.maximum(a[..., 0], b[..., 0]) + 1, 0)
    lengths = (a[..., 1] - a[..., 0] + 1) + (b[..., 1] - b[..., 0] + 1)
    return shared / (lengths - shared)


def match_intervals(predicted: np.ndarray, annotated: np.ndarray, threshold: float = IOU_THRESHOLD) -> Matches:
    """Match the predictions and annotations of one video one to one, best IoU first.

    Of the pairs that reach the threshold, the one with the highest IoU is taken first, then the next one in which
    prediction and annotation are both still free, and so on. Of pairs with equal IoU, the one with the earlier
    prediction comes first, then the one with the earlier annotation. So the matching at a higher threshold is a part of
    this one: those of its pairs that reach the higher threshold.

    Parameters
    ----------
    predicted : array of int, shape (n, 2)
    annotated : array of int, shape (m, 2)
        First and last frame of each interval.
    threshold : float
        Least IoU of a pair.

    Returns
    -------
    list of (int, int)
        Indices of prediction and annotation, in the order of the predictions.
    """
    iou = interval_iou(predicted, annotated)
    rows, columns = np.nonzero(iou >= threshold)
    best_first = np.lexsort((columns, rows, -iou[rows, columns]))
    matched: dict[int, int] = {}
    taken: set[int] = set()
    for i, j in zip(rows[best_first].tolist(), columns[best_first].tolist(), strict=True):
        if i not in matched and j not in taken:
            matched[i] = j
            taken.add(j)
    return sorted(matched.items())


def average_precision(hits: Sequence[bool], annotated: int) -> float:
    """Area under the curve of precision over recall, in [0, 1]. Predictions count in the given order.

    Each precision is first replaced by the best one at the same or a higher recall, so that it never increases.

    Parameters
    ----------
    hits : sequence of bool
        Whether each prediction is a true positive.
    annotated : int
        Number of annotations, at least 1.
    """
    found = np.cumsum(np.asarray(hits, dtype=np.int64))
    recall = np.concatenate(([0.0], found / annotated, [1.0]))
    precision = np.concatenate((found / np.arange(1, len(found) + 1), [0.0]))  # 0 after the last prediction
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(recall)
    return float(np.sum(steps[steps > 0] * precision[steps > 0]))


def spotting_scores(counts: Sequence[Mapping]) -> dict:
    """TP, FP and FN, summed over the rows of `count_row`, then precision, recall and F1."""
    tp, fp, fn = (sum(row[key] for row in counts) for key in ("tp", "fp", "fn"))
    precision, recall, f1 = precision_recall_f1(tp, fp, fn)
    return {"tp": tp, "fp": fp, "fn": fn, "precision": precision, "recall": recall, "f1": f1}


def ranked_ap(videos: Sequence[VideoIntervals], matches: Sequence[Matches]) -> float | None:
    """AP@[.5:.95], in [0, 1], of the predictions as `ranked_ious` ranks them. None if nothing is annotated."""
    return _mean_ap(ranked_ious(videos, matches), videos)


def ranked_ious(videos: Sequence[VideoIntervals], matches: Sequence[Matches]) -> list[tuple[str, float]]:
    """Subject of each prediction, and IoU with the annotation that it is matched to (0: none), as AP ranks them.

    The predictions of all videos are ranked by falling score, and those with equal scores in the order of the table. If
    any prediction has no score, all are ranked in the order of the table. `matches` are those of each video.
    """
    ranked = []
    for video, matched in zip(videos, matches, strict=True):
        overlap = interval_iou(bounds(video.predicted), bounds(video.annotated))
        reached = {i: overlap[i, j] for i, j in matched}
        ranked += [(-p.score, p.row, video.subject, reached.get(i, 0.0)) for i, p in enumerate(video.predicted)]
    if any(math.isnan(score) for score, *_ in ranked):
        ranked = [(0.0, *of_prediction) for _, *of_prediction in ranked]
    return [(subject, iou) for _, _, subject, iou in sorted(ranked)]


def _mean_ap(ranked: Sequence[tuple[str, float]], videos: Sequence[VideoIntervals]) -> float | None:
    annotated, best = sum(len(video.annotated) for video in videos), _ious(ranked)
    if annotated == 0:
        return None
    return float(np.mean([average_precision(best >= threshold, annotated) for threshold in AP_THRESHOLDS]))


def _ious(ranked: Sequence[tuple[str, float]]) -> np.ndarray:
    return np.array([iou for _, iou in ranked], float)


def apex_hits(videos: Sequence[VideoIntervals]) -> list[tuple[str, bool]]:
    """For ASR: whether the first predicted apex of each annotated video is between onset and offset, both excluded.

    With the video's subject. Onset and offset are those of the video's first annotation. A video without a prediction
    counts as missed.
    """
    annotated = [video for video in videos if video.annotated]
    return [
        (v.subject, bool(v.predicted) and v.annotated[0].onset < v.predicted[0].peak < v.annotated[0].offset)
        for v in annotated
    ]


def apex_errors(videos: Sequence[VideoIntervals]) -> list[tuple[str, float]]:
    """For MAE: |predicted apex - annotated apex|, frames, of the first prediction and annotation of each video.

    With the video's subject. Only videos count that have both and whose annotated apex is known. A negative apex is
    unknown (SAMM writes -1). If no annotation in any video has an apex (SMIC), the apexes that the program searched are
    used.
    """
    searched = only_searched_apexes(videos)
    errors = []
    for video in videos:
        if video.predicted and video.annotated:
            first = video.annotated[0]
            apex = first.searched_apex if searched else first.apex
            if apex >= 0:  # false for NaN, which is an unknown apex
                errors.append((video.subject, abs(video.predicted[0].peak - apex)))
    return errors


# Recognition


def classification(pairs: Sequence[Pair], classes: Sequence[str]) -> dict:
    """Scores of pairs (label, predicted emotion), averaged over the classes.

    Parameters
    ----------
    pairs : sequence of (str, str or None)
        All labels are among `classes`. A prediction that is not is wrong.
    classes : sequence of str
        The evaluated emotions.

    Returns
    -------
    dict
        "evaluated" and "correct": numbers of pairs. "classes": number of classes that occur as a label or a prediction,
        which are averaged over. "precision", "recall": macro averages; "f1": their harmonic mean; "uf1", "uar",
        "accuracy"; all in [0, 1], and None if there is no pair.
    """
    present = [name for name in classes if any(name in pair for pair in pairs)]
    if not present:
        return dict.fromkeys(CLASSIFICATION_KEYS) | {"evaluated": 0, "correct": 0, "classes": 0}
    precision, recall, uf1 = (float(np.mean(np.nan_to_num(values))) for values in class_scores(pairs, present))
    correct = sum(label == guess for label, guess in pairs)
    return {
        "evaluated": len(pairs),
        "correct": correct,
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / (precision + recall) if precision + recall else 0.0,
        "uf1": uf1,
        "uar": recall,
        "accuracy": correct / len(pairs),
        "classes": len(present),
    }


def strs(spotting_f1: float | None, analysis_f1: float | None) -> float | None:
    """The spot-then-recognize score: the product of the two F1, in [0, 1].

    It is 0 if the spotting F1 is 0, even if there is no analysis F1. Otherwise it is None if either F1 is None.
    """
    if spotting_f1 == 0:
        return 0.0
    if spotting_f1 is None or analysis_f1 is None:
        return None
    return spotting_f1 * analysis_f1


def recognised_subjects(videos: Sequence[VideoIntervals]) -> set[str]:
    """All subjects, except those that have predictions of which none has an emotion: their fold had no recognition."""
    predicted = {video.subject for video in videos if video.predicted}
    with_emotion = {video.subject for video in videos if any(p.emotion is not None for p in video.predicted)}
    return {video.subject for video in videos} - (predicted - with_emotion)


def _analysis_pairs(video: VideoIntervals, matched: Matches, classes: Sequence[str]) -> list[Pair]:
    """(label, predicted emotion) of the true positives whose annotated class is evaluated."""
    pairs = [(video.annotated[j].emotion, video.predicted[i].emotion) for i, j in matched]
    return [pair for pair in pairs if pair[0] in classes]


def _first_pairs(
    videos: list[VideoIntervals], classes: Sequence[str], recognised: set[str]
) -> list[tuple[str, str, str | None]]:
    """(subject, label, predicted emotion) of each video of the subjects `recognised`, if its label is evaluated.

    The predicted emotion is None if the video has no prediction. It is then wrong.
    """
    return [
        (video.subject, video.annotated[0].emotion, video.predicted[0].emotion if video.predicted else None)
        for video in videos
        if video.annotated and video.annotated[0].emotion in classes and video.subject in recognised
    ]
