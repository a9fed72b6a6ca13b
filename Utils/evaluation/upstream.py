"""The upstream protocol: exactly what the authors' published code computes, including its departures from the paper.

It is needed to compare published figures and weights like with like. The default is the paper's protocol (metrics.py).
Both take the same two tables and return the same dict. Specification: docs/method.md, section 7.

Conventions
-----------
All lists below are in the order of folds, then of videos in natural order, then of predictions in time. Annotations are
in the order of their table, which is the workbook's. A prediction is the interval [j - k', j + k'] around a peak j. A
long video without any peak has the one prediction [0, 0], which the spotting step writes into the table. The index of a
class is its position in `classes`.

What differs from the paper's protocol
--------------------------------------
- Predictions take annotations one after the other. Greedy: a prediction only looks at the annotation with the best IoU.
  Soft: it takes the best one that is still free. (`match_in_order`)
- For AP, predictions count in the order of the list. They are not ranked by score. It is computed in single precision.
  (`list_order_ap`)
- The predicted apex is the first onset + k'. The annotated apex is used as it is, even if it is -1 (unknown).
  (`apex_scores`)
- The predicted and the annotated emotions are two lists that are joined by position. A true positive whose class is not
  evaluated shifts one list against the other. (`analysis_lists`)
- A class is left out of the averages if it does not occur, or if all labels and all predictions are this class. 0/0 is
  NaN and makes the average NaN. (`classification_with_nan`)
- The recognition folds are those of `prepare_training.upstream_recognition_entries`.

References
----------
https://github.com/genbing99/MEAN_Spot-then-recognize; its average precision is that of
https://github.com/bes-dev/mean_average_precision, without the ranking.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from Utils.evaluation.counts import count_row, per_subject
from Utils.evaluation.metrics import (
    AP_THRESHOLDS,
    CLASSIFICATION_KEYS,
    IOU_THRESHOLD,
    average_precision,
    interval_iou,
    recognised_subjects,
    spotting_scores,
    strs,
)
from Utils.evaluation.notes import missed_notes, spotting_notes, strs_notes, unannotated_notes
from Utils.evaluation.result import Evaluation, table_rows
from Utils.evaluation.tables import VideoIntervals, bounds, group_by_video

FALSE_POSITIVE = -1  # stands in the list of annotated classes for a prediction that is a false positive
NOT_MATCHED = -1  # stands for the annotation of a prediction that takes none
NOT_EVALUATED = -1  # stands for the class index of a predicted emotion that is not among the classes


class UpstreamVideo(NamedTuple):
    """A video that took part. `n_features` is its number of frames - k. If it is unknown, it counts as infinite."""

    subject: str
    video: str
    n_features: float = math.inf


def compare_upstream(
    predictions: pd.DataFrame,
    ground_truth: pd.DataFrame,
    classes: Sequence[str],
    *,
    k_prime: int,
    one_per_video: bool = False,
    videos: Iterable[Sequence] | None = None,
    recognition_subjects: Iterable[str] | None = None,
    ap_order: Callable[[int], np.ndarray] | None = None,
) -> Evaluation:
    """Compare two tables by the upstream protocol. Parameters and errors are those of `evaluate.compare`.

    `videos` must be in upstream's order. `recognition_subjects` are the subjects whose fold has an entry
    (`prepare_training.upstream_recognition_entries`) and weights.
    """
    records = None if videos is None else [UpstreamVideo(*record) for record in videos]
    grouped = [_in_prediction_order(video) for video in group_by_video(predictions, ground_truth, records)]
    n_features = {(str(v.subject), str(v.video)): v.n_features for v in records or ()}
    recognised = recognised_subjects(grouped)
    if recognition_subjects is not None:
        recognised &= set(recognition_subjects)

    overlaps = [interval_iou(bounds(video.predicted), bounds(video.annotated)) for video in grouped]
    taken = [match_in_order(overlap) for overlap in overlaps]
    matches = [[(i, j) for i, j in enumerate(of_video) if j != NOT_MATCHED] for of_video in taken]
    guesses, labels = [], []  # P and G in docs/method.md, section 7; a guess has the index of its video with it
    for index, (video, of_video) in enumerate(zip(grouped, taken, strict=True)):
        if video.subject in recognised:
            last = n_features.get((video.subject, video.video), math.inf)
            guesses_of_video, labels_of_video = analysis_lists(video, of_video, classes, last)
            guesses += [(guess, index) for guess in guesses_of_video]
            labels += labels_of_video
    joined = [(g, *p) for g, p in zip(labels, guesses, strict=False) if g != FALSE_POSITIVE]  # G can be shorter
    pairs = [(label, guess) for label, guess, _ in joined]
    pairs_of_video: list[list[tuple]] = [[] for _ in grouped]
    for label, guess, index in joined:
        pairs_of_video[index].append((label, guess))
    counts = [count_row(*row) for row in zip(grouped, map(len, matches), pairs_of_video, strict=True)]

    n_annotated = sum(len(video.annotated) for video in grouped)
    spotting = {
        **spotting_scores(counts),
        "ap": list_order_ap(overlaps, n_annotated, AP_THRESHOLDS, soft=True, order=ap_order),
        **apex_scores(grouped, k_prime),
        "ap_greedy": list_order_ap(overlaps, n_annotated, [IOU_THRESHOLD], soft=False, order=ap_order),
    }
    analysis = classification_with_nan(pairs, len(classes))
    recognition, recognition_notes = None, []
    if one_per_video:
        truth = recognition_labels(grouped, classes, recognised)
        recognition, recognition_notes = _recognition_all(truth, [guess for guess, _ in guesses], len(classes))
    notes = [
        *(unannotated_notes(grouped) if records is None else []),
        *spotting_notes(spotting),
        *missed_notes(grouped),
        *([] if spotting["mae"] is not None else ["mae: no video has both a prediction and an annotated apex"]),
        *_nan_notes(analysis, "analysis"),
        *recognition_notes,
        *strs_notes(spotting["f1"], analysis["f1"]),
    ]
    metrics = {
        "protocol": "upstream",
        "spotting": spotting,
        "analysis": analysis,
        "recognition": recognition,
        "strs": strs(spotting["f1"], analysis["f1"]),
        "per_subject": per_subject(counts),
        "per_video": counts,
        "pairs": [list(pair) for pair in pairs],
        "notes": notes,
    }
    named = [tuple(None if i is None else classes[i] for i in pair) for pair in pairs]
    return Evaluation(predictions, ground_truth, metrics, table_rows(grouped, matches), named)


# Spotting


def match_in_order(overlap: np.ndarray, threshold: float = IOU_THRESHOLD, *, soft: bool = False) -> list[int]:
    """The index of the annotation that each prediction of a video takes, or `NOT_MATCHED`.

    Parameters
    ----------
    overlap : array of float, shape (predictions, annotations)
        IoU. Of annotations with equal IoU, the later one is preferred.
    threshold : float
        Least IoU of a prediction and the annotation that it takes.
    soft : bool
        False: a prediction takes its best annotation, or none if that is not free. True: it takes the best one that is
        free.
    """
    return _first_free(_candidates(overlap, threshold, soft), threshold)


def _candidates(overlap: np.ndarray, threshold: float, soft: bool) -> list[list[tuple[float, int]]]:
    """For each prediction, (IoU, annotation) of the annotations that it may take, the best first.

    They reach the threshold. Without `soft` there is at most one.
    """
    if not overlap.size:
        return [[] for _ in overlap]
    best_first = np.argsort(overlap, axis=1, kind="stable")[:, ::-1]
    if not soft:
        best_first = best_first[:, :1]
    iou = np.take_along_axis(overlap, best_first, axis=1)
    reached = (iou >= threshold).sum(axis=1).tolist()
    return [
        list(zip(ious[:n], annotations[:n], strict=True))
        for ious, annotations, n in zip(iou.tolist(), best_first.tolist(), reached, strict=True)
    ]


def _first_free(candidates: Sequence[Sequence[tuple[float, Hashable]]], threshold: float) -> list[Hashable]:
    """The first candidate of each prediction that reaches the threshold and is still free, or `NOT_MATCHED`.

    `candidates` has (IoU, annotation) of each prediction, the best first.
    """
    matched, taken = [], set()
    for of_prediction in candidates:
        found = next((j for iou, j in of_prediction if iou >= threshold and j not in taken), NOT_MATCHED)
        matched.append(found)
        taken.add(found)  # NOT_MATCHED is never a candidate, so adding it changes nothing
    return matched


def list_order_ap(
    overlaps: Sequence[np.ndarray],
    annotated: int,
    thresholds: Iterable[float],
    *,
    soft: bool,
    order: Callable[[int], np.ndarray] | None = None,
) -> float | None:
    """Average precision without ranking, averaged over the thresholds. None if nothing is annotated.

    Parameters
    ----------
    overlaps : sequence of array, shape (predictions, annotations)
        IoU, for each video.
    annotated : int
        Number of annotations in all videos.
    thresholds : iterable of float
    soft : bool
        See `match_in_order`.
    order : callable, optional
        n -> the order in which the n predictions of all videos take annotations and are counted, (n,) int. By default
        it is that of the list.

    Returns
    -------
    float or None
        In [0, 1]. It is rounded to single precision where upstream rounds.
    """
    if annotated == 0:
        return None
    thresholds = list(thresholds)
    candidates = [
        [(iou, (video, j)) for iou, j in of_prediction]
        for video, overlap in enumerate(overlaps)
        for of_prediction in _candidates(overlap, min(thresholds), soft)
    ]
    if order is not None:
        candidates = [candidates[i] for i in order(len(candidates))]
    areas = []
    for threshold in thresholds:
        hits = [annotation != NOT_MATCHED for annotation in _first_free(candidates, threshold)]
        areas.append(average_precision(hits, annotated))
    return float(np.mean(np.array(areas, dtype=np.float32)))


def apex_scores(videos: Sequence[VideoIntervals], k_prime: int) -> dict:
    """ASR ("asr") and MAE ("mae", frames) of the first prediction and the first annotation of each annotated video.

    The predicted apex is onset + k'. The annotated apex is the number in the table, even if no frame has it, or the
    searched one if there is none (SMIC). In upstream's own tables, every video has a prediction and every annotation
    has an apex. In other tables, a video without a prediction counts as missed in ASR, and a video without a prediction
    or an apex is left out of MAE. Each metric is None if no video is left.
    """
    annotated = [video for video in videos if video.annotated]
    first = [(video.predicted[0].onset + k_prime, video.annotated[0]) for video in annotated if video.predicted]
    apexes = [a.searched_apex if math.isnan(a.apex) else a.apex for _, a in first]
    errors = [abs(peak - apex) for (peak, _), apex in zip(first, apexes, strict=True) if not math.isnan(apex)]
    hits = sum(annotation.onset < peak < annotation.offset for peak, annotation in first)
    return {
        "asr": hits / len(annotated) if annotated else None,
        "mae": sum(errors) / len(errors) if errors else None,
    }


# Recognition


def analysis_lists(
    video: VideoIntervals, matched: list[int], classes: Sequence[str], n_features: float
) -> tuple[list[int | None], list[int]]:
    """What one video appends to the list of predicted classes (P) and to the list of annotated classes (G).

    Each prediction appends its class to P. To G it appends the class of the annotation that it takes, or
    `FALSE_POSITIVE` if it takes none. It appends *nothing* to G if the class of that annotation is not evaluated, or if
    the first annotated onset of the video is beyond the last feature. A prediction whose peak is beyond the last
    feature appends to neither list. Such peaks exist because smoothing lengthens videos with fewer than 2k' features.

    Parameters
    ----------
    video : VideoIntervals
    matched : list of int
        From `match_in_order`.
    classes : sequence of str
    n_features : float
        Number of features of the video.

    Returns
    -------
    guesses : list of (int or None)
        Class indices. None if the predicted emotion is not among `classes`.
    labels : list of int
        Class indices, or `FALSE_POSITIVE`.
    """
    guesses: list[int | None] = []
    labels: list[int] = []
    for prediction, j in zip(video.predicted, matched, strict=True):
        if prediction.peak >= n_features:
            continue
        guesses.append(_index(prediction.emotion, classes))
        if video.annotated and video.annotated[0].onset >= n_features:
            continue
        label = FALSE_POSITIVE if j == NOT_MATCHED else _index(video.annotated[j].emotion, classes)
        if label is not None:
            labels.append(label)
    return guesses, labels


def recognition_labels(videos: list[VideoIntervals], classes: Sequence[str], recognised: set[str]) -> list[int]:
    """The class indices of all annotations of an evaluated class, in order, of the subjects `recognised`."""
    labels = [_index(a.emotion, classes) for video in videos if video.subject in recognised for a in video.annotated]
    return [label for label in labels if label is not None]


def classification_with_nan(pairs: Sequence[tuple], n_classes: int) -> dict:
    """Scores of pairs (annotated, predicted class index), with the keys of `metrics.classification`.

    Each class is compared with all others together, and the scores are averaged over the classes. For "precision" and
    "recall", NaN counts as 0. "f1" is the harmonic mean of these two; None if that is 0/0. "uf1" and "uar" are the
    means of F1 and recall; "uar" is None if the recall of any class is NaN. If no class can be counted, all scores
    except "accuracy" are None.

    Parameters
    ----------
    pairs : sequence of (int, int or None)
        Indices below `n_classes`. None: the predicted emotion is not among the classes.
    n_classes : int
    """
    correct = sum(label == guess for label, guess in pairs)
    scores = dict.fromkeys(CLASSIFICATION_KEYS) | {"evaluated": len(pairs), "correct": correct}
    counted = _counted_classes(pairs, n_classes)
    scores |= {"classes": len(counted), "accuracy": correct / len(pairs) if pairs else None}
    if not counted:
        return scores
    from sklearn.metrics import precision_recall_fscore_support  # here, because the import takes half a second

    sides = zip(*pairs, strict=True)
    labels, guesses = ([NOT_EVALUATED if index is None else index for index in side] for side in sides)
    per_class = precision_recall_fscore_support(labels, guesses, labels=counted, average=None, zero_division=np.nan)
    precision, recall = (float(np.mean(np.nan_to_num(values))) for values in per_class[:2])
    uar, uf1 = (float(np.mean(values)) for values in per_class[1:3])
    scores |= {"precision": precision, "recall": recall, "uf1": uf1}
    if precision + recall:
        scores["f1"] = 2 * precision * recall / (precision + recall)
    if not math.isnan(uar):
        scores["uar"] = uar
    return scores


def _counted_classes(pairs: Sequence[tuple], n_classes: int) -> list[int]:
    """The classes that upstream averages over: those that occur, unless all labels and predictions are one class."""
    counts = [sum((label == c) + (guess == c) for label, guess in pairs) for c in range(n_classes)]
    return [c for c, count in enumerate(counts) if 0 < count < 2 * len(pairs)]


def _nan_notes(scores: Mapping, name: str) -> list[str]:
    """Notes on why scores of `classification_with_nan` are None. A note calls these scores `name`."""
    if not scores["classes"]:
        return [f"{name}: no class has pairs both of it and of another, so upstream's averages are not defined"]
    notes = []
    if scores["f1"] is None:
        notes.append(f"{name}: F1 is not defined: precision and recall are 0 (upstream gives NaN)")
    if scores["uar"] is None:
        notes.append(f"{name}: UAR is not defined: a class is predicted and never annotated (upstream gives NaN)")
    return notes


def _recognition_all(labels: Sequence[int], guesses: Sequence[int | None], n_classes: int) -> tuple[dict, list[str]]:
    """The scores of recognition, one prediction for each video, and notes on them.

    All scores are None if there are not as many predictions as labels.
    """
    if len(labels) != len(guesses):
        note = f"recognition: {len(guesses)} predictions for {len(labels)} samples; upstream stops there"
        return dict.fromkeys(CLASSIFICATION_KEYS), [note]
    pairs = list(zip(labels, guesses, strict=True))
    scores = classification_with_nan(pairs, n_classes)
    return scores, _nan_notes(scores, "recognition")


def _index(emotion: str | None, classes: Sequence[str]) -> int | None:
    """The class index of an emotion. None if it is not evaluated."""
    return classes.index(emotion) if emotion in classes else None


def _in_prediction_order(video: VideoIntervals) -> VideoIntervals:
    """A copy with the predictions in order of time. The annotations stay in the order of their table."""
    return video._replace(predicted=video.in_time_order().predicted)
