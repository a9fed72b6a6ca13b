"""The upstream protocol: what the authors' published code computes, exactly, departures from the paper included.

It is there so that published figures and weights can be compared like with like; metrics.py holds the paper's
protocol, the default. Both take the same two tables and return the same dict.

Conventions
-----------
Folds, then videos in natural order, then predictions in time order make up every list below; annotations stand in the
order of their table (the workbook's). A prediction is the interval [j - k', j + k'] around a peak j. A long video
without any peak holds the one prediction [0, 0], which the spotting step writes into the table. Classes are counted in
the order of `classes`.

What differs from the paper's protocol
--------------------------------------
- Each prediction in turn takes an annotation. Greedy: only the one of the best IoU is looked at. Soft: the best one
  that is still free. (`match_in_order`)
- AP counts the predictions in list order, not ranked by score, in single precision. (`list_order_ap`)
- The predicted apex is the first onset + k'. The annotated one is taken as it stands, also the -1 of an unknown one.
  (`apex_scores`)
- Predicted and annotated emotions are two lists that are joined by position, and a true positive of a class that is not
  evaluated shifts one against the other. (`analysis_lists`)
- A class that fills both sides of all pairs is left out, as is one that occurs on neither side; 0/0 is NaN, and makes
  the average NaN. (`classification_with_nan`)
- The recognition folds of `prepare_training.upstream_recognition_entries`.

References
----------
https://github.com/genbing99/MEAN_Spot-then-recognize; its average precision is that of
https://github.com/bes-dev/mean_average_precision, without the ranking.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from Utils.evaluation.metrics import (
    AP_THRESHOLDS,
    CLASSIFICATION_KEYS,
    IOU_THRESHOLD,
    average_precision,
    count_row,
    interval_iou,
    per_subject,
    recognised_subjects,
    spotting_scores,
    strs,
)
from Utils.evaluation.notes import missed_notes, spotting_notes, strs_notes, unannotated_notes
from Utils.evaluation.result import Evaluation, table_rows
from Utils.evaluation.tables import VideoIntervals, bounds, group_by_video

FALSE_POSITIVE = -1  # stands in the list of annotated classes where a prediction is none


class UpstreamVideo(NamedTuple):
    """A video that took part. `n_features` is its number of frames - k; unknown counts as infinitely many."""

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
) -> Evaluation:
    """The published code's protocol. Parameters and errors: `evaluate.compare`.

    `videos` are in upstream order. `recognition_subjects` are those whose fold has an entry
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
    matches = [[(i, j) for i, j in enumerate(of_video) if j >= 0] for of_video in taken]
    guesses, labels = [], []  # upstream's P and G
    for index, (video, of_video) in enumerate(zip(grouped, taken, strict=True)):
        if video.subject in recognised:
            last = n_features.get((video.subject, video.video), math.inf)
            guesses_of_video, labels_of_video = analysis_lists(video, of_video, classes, last)
            guesses += [(guess, index) for guess in guesses_of_video]
            labels += labels_of_video
    joined = [(g, *p) for g, p in zip(labels, guesses, strict=False) if g != FALSE_POSITIVE]  # G lags behind P
    pairs = [(label, guess) for label, guess, _ in joined]
    pairs_of_video: list[list[tuple]] = [[] for _ in grouped]
    for label, guess, index in joined:
        pairs_of_video[index].append((label, guess))
    counts = [count_row(*row) for row in zip(grouped, map(len, matches), pairs_of_video, strict=True)]

    n_annotated = sum(len(video.annotated) for video in grouped)
    spotting = {
        **spotting_scores(counts),
        "ap": list_order_ap(overlaps, n_annotated, AP_THRESHOLDS, soft=True),
        **apex_scores(grouped, k_prime),
        "ap_greedy": list_order_ap(overlaps, n_annotated, [IOU_THRESHOLD], soft=False),
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
    """The annotation that each prediction of a video takes, or -1.

    Parameters
    ----------
    overlap : array, shape (predictions, annotations)
        IoU. Of equal ones the later annotation goes first.
    soft : bool
        Go down the annotations by falling IoU to the first free one, instead of looking at the best one only.
    """
    return _first_free(_candidates(overlap, threshold, soft), threshold)


def _candidates(overlap: np.ndarray, threshold: float, soft: bool) -> list[list[tuple[float, int]]]:
    """(IoU, annotation) of those that each prediction looks at and that reach the threshold, the best first."""
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


def _first_free(candidates: Sequence[Sequence[tuple[float, int]]], threshold: float) -> list[int]:
    matched, taken = [], set()
    for of_prediction in candidates:
        found = next((j for iou, j in of_prediction if iou >= threshold and j not in taken), -1)
        matched.append(found)
        taken.add(found)  # -1 is no candidate
    return matched


def list_order_ap(
    overlaps: Sequence[np.ndarray], annotated: int, thresholds: Iterable[float], *, soft: bool
) -> float | None:
    """Average precision without ranking, mean over the thresholds, rounded to single precision where upstream does."""
    if annotated == 0:
        return None
    thresholds = list(thresholds)
    candidates = [_candidates(overlap, min(thresholds), soft) for overlap in overlaps]
    areas = []
    for threshold in thresholds:
        hits = [j >= 0 for of_video in candidates for j in _first_free(of_video, threshold)]
        areas.append(average_precision(hits, annotated))
    return float(np.mean(np.array(areas, dtype=np.float32)))


def apex_scores(videos: Sequence[VideoIntervals], k_prime: int) -> dict:
    """ASR and MAE of each annotated video's first prediction, its apex taken as onset + k', and first annotation.

    The annotated apex is the one of the table, also an impossible number; where there is none (SMIC), the searched one.
    Upstream gives every video a prediction and every annotation an apex. For a table that does not: a video without
    prediction is a miss, and a video without either number has no error.
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
    """What one video adds to P, the predicted classes, and to G, the annotated ones.

    To P each prediction adds its class (None: not among `classes`). To G it adds the class of its annotation, -1
    where it has none, and *nothing* where that class is not evaluated or the video's first annotated onset lies beyond
    the last feature. A peak beyond the last feature (smoothing lengthens a video shorter than 2k') adds to neither.
    """
    guesses: list[int | None] = []
    labels: list[int] = []
    for prediction, j in zip(video.predicted, matched, strict=True):
        if prediction.peak >= n_features:
            continue
        guesses.append(_index(prediction.emotion, classes))
        if not video.annotated or video.annotated[0].onset >= n_features:
            continue
        label = FALSE_POSITIVE if j < 0 else _index(video.annotated[j].emotion, classes)
        if label is not None:
            labels.append(label)
    return guesses, labels


def recognition_labels(videos: list[VideoIntervals], classes: Sequence[str], recognised: set[str]) -> list[int]:
    """The classes of all recognition samples of the given subjects: annotations of an evaluated class, in order."""
    labels = [_index(a.emotion, classes) for video in videos if video.subject in recognised for a in video.annotated]
    return [label for label in labels if label is not None]


def classification_with_nan(pairs: Sequence[tuple], n_classes: int) -> dict:
    """Scores of pairs (annotated, predicted class index), each class against the rest; NaN becomes None.

    "precision" and "recall" are means in which NaN counts as 0, "f1" their harmonic mean (None where it is 0/0); "uf1"
    and "uar" are means in which it does not. Without a class that can be counted all but the counts is None.
    """
    correct = sum(label == guess for label, guess in pairs)
    scores = dict.fromkeys(CLASSIFICATION_KEYS) | {"evaluated": len(pairs), "correct": correct}
    counted = _counted_classes(pairs, n_classes)
    scores |= {"classes": len(counted), "accuracy": correct / len(pairs) if pairs else None}
    if not counted:
        return scores
    from sklearn.metrics import precision_recall_fscore_support  # takes half a second to import

    labels, guesses = ([-1 if index is None else index for index in side] for side in zip(*pairs, strict=True))
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
    """The classes that upstream averages over: not those that fill both sides of all pairs, or neither side."""
    counts = [sum((label == c) + (guess == c) for label, guess in pairs) for c in range(n_classes)]
    return [c for c, count in enumerate(counts) if 0 < count < 2 * len(pairs)]


def _nan_notes(scores: Mapping, name: str) -> list[str]:
    """Why scores of `classification_with_nan` are None; `name` is what a note calls them."""
    if not scores["classes"]:
        return [f"{name}: no class has pairs both of it and of another, so upstream's averages are not defined"]
    notes = []
    if scores["f1"] is None:
        notes.append(f"{name}: F1 is 0/0, upstream's NaN")
    if scores["uar"] is None:
        notes.append(f"{name}: UAR is upstream's NaN, a class is predicted and never annotated")
    return notes


def _recognition_all(labels: Sequence[int], guesses: Sequence[int | None], n_classes: int) -> tuple[dict, list[str]]:
    """The scores of all videos' one prediction, and notes on them."""
    if len(labels) != len(guesses):
        note = f"recognition: {len(guesses)} predictions for {len(labels)} samples; upstream stops there"
        return dict.fromkeys(CLASSIFICATION_KEYS), [note]
    pairs = list(zip(labels, guesses, strict=True))
    scores = classification_with_nan(pairs, n_classes)
    return scores, _nan_notes(scores, "recognition")


def _index(emotion: str | None, classes: Sequence[str]) -> int | None:
    return classes.index(emotion) if emotion in classes else None


def _in_prediction_order(video: VideoIntervals) -> VideoIntervals:
    return video._replace(predicted=video.in_time_order().predicted)
