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
  (`list_order_hits`, `hits_ap`)
- The predicted apex is the first onset + k'. The annotated apex is used as it is, even if it is -1 (unknown).
  (`apex_terms`)
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
from Utils.evaluation.sums import sums_of
from Utils.evaluation.tables import VideoIntervals, bounds, group_by_video
from Utils.evaluation.upstream_scores import classification_with_nan, nan_notes

FALSE_POSITIVE = -1  # stands in the list of annotated classes for a prediction that is a false positive
NOT_MATCHED = -1  # stands for the annotation of a prediction that takes none
SHIFTED = "its pairs join predictions and annotations of different subjects, so no subject can be drawn with its own"


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
    guesses, labels = [], []  # P and G in docs/method.md, section 7; each has the index of its video with it
    for index, (video, of_video) in enumerate(zip(grouped, taken, strict=True)):
        if video.subject in recognised:
            last = n_features.get((video.subject, video.video), math.inf)
            guesses_of_video, labels_of_video = analysis_lists(video, of_video, classes, last)
            guesses += [(guess, index) for guess in guesses_of_video]
            labels += [(label, index) for label in labels_of_video]
    lists = list(zip(labels, guesses, strict=False))  # G can be shorter
    joined = [(label, *p) for (label, _), p in lists if label != FALSE_POSITIVE]
    pairs = [(label, guess) for label, guess, _ in joined]
    pairs_of_video: list[list[tuple]] = [[] for _ in grouped]
    for label, guess, index in joined:
        pairs_of_video[index].append((label, guess))
    counts = [count_row(*row) for row in zip(grouped, map(len, matches), pairs_of_video, strict=True)]
    owned = {"analysis": [((grouped[i].subject, label), (grouped[j].subject, g)) for (label, i), (g, j) in lists]}

    n_annotated = sum(len(video.annotated) for video in grouped)
    rankings = {
        "ap": list_order_hits(overlaps, AP_THRESHOLDS, soft=True, order=ap_order),
        "ap_greedy": list_order_hits(overlaps, [IOU_THRESHOLD], soft=False, order=ap_order),
    }
    terms = apex_terms(grouped, k_prime)
    spotting = {
        **spotting_scores(counts),
        "ap": hits_ap(rankings["ap"][1], n_annotated),
        **{name: sum(v for _, v in of_name) / len(of_name) if of_name else None for name, of_name in terms.items()},
        "ap_greedy": hits_ap(rankings["ap_greedy"][1], n_annotated),
    }
    analysis = classification_with_nan(pairs, len(classes))
    recognition, recognition_notes = None, []
    if one_per_video:
        truth = recognition_labels(grouped, classes, recognised)
        recognition, recognition_notes = _recognition_all(
            [label for _, label in truth], [guess for guess, _ in guesses], len(classes)
        )
        of_subjects = [(grouped[index].subject, guess) for guess, index in guesses]
        owned["recognition"] = list(zip(truth, of_subjects, strict=True)) if recognition["classes"] is not None else []
    notes = [
        *(unannotated_notes(grouped) if records is None else []),
        *spotting_notes(spotting),
        *missed_notes(grouped),
        *([] if spotting["mae"] is not None else ["mae: no video has both a prediction and an annotated apex"]),
        *nan_notes(analysis, "analysis"),
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
    ranked = {name: ([grouped[i].subject for i in of_hits], hits) for name, (of_hits, hits) in rankings.items()}
    sums = sums_of("upstream", counts, ranked, terms, *_owned_pairs(owned), n_classes=len(classes))
    return Evaluation(predictions, ground_truth, metrics, table_rows(grouped, matches), named, sums)


def _owned_pairs(lists: Mapping[str, Sequence[tuple]]) -> tuple[dict[str, list[tuple]], dict[str, str]]:
    """The pairs of each subject, and why there are none, as `sums.sums_of` takes them.

    `lists` has "analysis" and perhaps "recognition": ((subject, label), (subject, guess)) by position. A false positive
    counts in the shift of the lists, although it makes no pair.
    """
    shifted = {name for name, pairs in lists.items() if any(label[0] != guess[0] for label, guess in pairs)}
    owned = {
        name: [(subject, label, guess) for (subject, label), (_, guess) in pairs if label != FALSE_POSITIVE]
        for name, pairs in lists.items()
        if name not in shifted
    }
    return owned, dict.fromkeys(shifted, SHIFTED)


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
    """Average precision without ranking: `hits_ap` of `list_order_hits`, which have the parameters."""
    return hits_ap(list_order_hits(overlaps, thresholds, soft=soft, order=order)[1], annotated)


def list_order_hits(
    overlaps: Sequence[np.ndarray],
    thresholds: Iterable[float],
    *,
    soft: bool,
    order: Callable[[int], np.ndarray] | None = None,
) -> tuple[list[int], np.ndarray]:
    """Which predictions are hits at which thresholds, in the order in which AP counts them.

    Parameters
    ----------
    overlaps : sequence of array, shape (predictions, annotations)
        IoU, for each video.
    thresholds : iterable of float
    soft : bool
        See `match_in_order`.
    order : callable, optional
        n -> the order in which the n predictions of all videos take annotations and are counted, (n,) int. By default
        it is that of the list.

    Returns
    -------
    videos : list of int
        The index of each prediction's video.
    hits : ndarray, (predictions, thresholds) bool
    """
    thresholds = list(thresholds)
    listed = [
        (video, [(iou, (video, j)) for iou, j in of_prediction])
        for video, overlap in enumerate(overlaps)
        for of_prediction in _candidates(overlap, min(thresholds), soft)
    ]
    if order is not None:
        listed = [listed[i] for i in order(len(listed))]
    candidates = [of_prediction for _, of_prediction in listed]
    hits = [[found != NOT_MATCHED for found in _first_free(candidates, threshold)] for threshold in thresholds]
    return [video for video, _ in listed], np.array(hits, bool).reshape(len(thresholds), len(listed)).T


def hits_ap(hits: np.ndarray, annotated: int) -> float | None:
    """Average precision of predictions in their order, averaged over the thresholds. None if nothing is annotated.

    `hits` has (predictions, thresholds) bool, `annotated` is the number of annotations in all videos. The result is in
    [0, 1], and rounded to single precision where upstream rounds.
    """
    if annotated == 0:
        return None
    return float(np.mean(np.array([average_precision(column, annotated) for column in hits.T], dtype=np.float32)))


def apex_terms(videos: Sequence[VideoIntervals], k_prime: int) -> dict[str, list[tuple[str, float]]]:
    """For ASR ("asr") and MAE ("mae"): (subject, value) of each value that is averaged; MAE in frames.

    They compare the first prediction and the first annotation of each annotated video.

    The predicted apex is onset + k'. The annotated apex is the number in the table, even if no frame has it, or the
    searched one if there is none (SMIC). In upstream's own tables, every video has a prediction and every annotation
    has an apex. In other tables, a video without a prediction counts as missed in ASR, and a video without a prediction
    or an apex is left out of MAE.
    """
    hits, errors = [], []
    for video in videos:
        if not video.annotated:
            continue
        first = video.annotated[0]
        peak = video.predicted[0].onset + k_prime if video.predicted else math.nan
        apex = first.searched_apex if math.isnan(first.apex) else first.apex
        hits.append((video.subject, first.onset < peak < first.offset))
        if not math.isnan(abs(peak - apex)):
            errors.append((video.subject, abs(peak - apex)))
    return {"asr": hits, "mae": errors}


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


def recognition_labels(
    videos: list[VideoIntervals], classes: Sequence[str], recognised: set[str]
) -> list[tuple[str, int]]:
    """(subject, class index) of all annotations of an evaluated class, in order, of the subjects `recognised`."""
    labels = [
        (video.subject, _index(a.emotion, classes))
        for video in videos
        if video.subject in recognised
        for a in video.annotated
    ]
    return [(subject, label) for subject, label in labels if label is not None]


def _recognition_all(labels: Sequence[int], guesses: Sequence[int | None], n_classes: int) -> tuple[dict, list[str]]:
    """The scores of recognition, one prediction for each video, and notes on them.

    All scores are None if there are not as many predictions as labels.
    """
    if len(labels) != len(guesses):
        note = f"recognition: {len(guesses)} predictions for {len(labels)} samples; upstream stops there"
        return dict.fromkeys(CLASSIFICATION_KEYS), [note]
    pairs = list(zip(labels, guesses, strict=True))
    scores = classification_with_nan(pairs, n_classes)
    return scores, nan_notes(scores, "recognition")


def _index(emotion: str | None, classes: Sequence[str]) -> int | None:
    """The class index of an emotion. None if it is not evaluated."""
    return classes.index(emotion) if emotion in classes else None


def _in_prediction_order(video: VideoIntervals) -> VideoIntervals:
    """A copy with the predictions in order of time. The annotations stay in the order of their table."""
    return video._replace(predicted=video.in_time_order().predicted)
