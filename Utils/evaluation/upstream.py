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
- The recognition folds of `upstream_recognition_entries`.

References
----------
https://github.com/genbing99/MEAN_Spot-then-recognize; its average precision is that of
https://github.com/bes-dev/mean_average_precision, without the ranking.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from prepare_training import average_half_length
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
    unannotated_remark,
)
from Utils.evaluation.tables import VideoIntervals, bounds, group_by_video

FALSE_POSITIVE = -1  # stands in the list of annotated classes where a prediction is none


class UpstreamVideo(NamedTuple):
    """A video that took part. `n_features` is its number of frames - k; unknown counts as infinitely many."""

    subject: str
    video: str
    n_features: float = math.inf


def evaluate_upstream(
    predictions: pd.DataFrame,
    ground_truth: pd.DataFrame,
    classes: Sequence[str],
    *,
    one_per_video: bool = False,
    videos: Iterable[Sequence] | None = None,
    k_prime: int | None = None,
    recognition_subjects: Iterable[str] | None = None,
) -> dict:
    """All metrics of a predictions table, as the published code computes them.

    Parameters
    ----------
    predictions, ground_truth, classes, one_per_video
        See `Utils.evaluation.metrics.evaluate`.
    videos : iterable of (subject, video) or (subject, video, n_features), optional
        The videos that took part, in upstream order. By default those that a table names, in natural order.
    k_prime : int, optional
        By default half the annotations' mean length, as in `prepare_training.average_half_length`.
    recognition_subjects : iterable of str, optional
        Subjects whose fold had recognition: those with an entry (`upstream_recognition_entries`) and weights. By
        default those with an emotion on any prediction.

    Returns
    -------
    dict
        As `evaluate` returns, and "ap_greedy" in "spotting" (AP at IoU 0.5, greedy matching), and
        "pairs": [annotated, predicted] class index of each analysed pair (None: no evaluated class).

    Raises
    ------
    ValueError
        A table breaks a rule of Utils/evaluation/tables.py.
    """
    notes: list[str] = []
    videos = None if videos is None else [UpstreamVideo(*record) for record in videos]
    grouped = [_in_prediction_order(video) for video in group_by_video(predictions, ground_truth, videos)]
    n_features = {(str(v.subject), str(v.video)): v.n_features for v in videos or ()}
    if videos is None:
        notes += unannotated_remark(grouped)
    annotations = [annotation for video in grouped for annotation in video.annotated]
    if k_prime is None:
        k_prime = average_half_length(annotations) if annotations else 0
    recognised = recognised_subjects(grouped)
    if recognition_subjects is not None:
        recognised &= set(recognition_subjects)

    overlaps = [interval_iou(bounds(video.predicted), bounds(video.annotated)) for video in grouped]
    matches = [match_in_order(overlap) for overlap in overlaps]
    guesses, labels = [], []  # upstream's P and G
    for index, (video, matched) in enumerate(zip(grouped, matches, strict=True)):
        if video.subject in recognised:
            last = n_features.get((video.subject, video.video), math.inf)
            of_video, labels_of_video = analysis_lists(video, matched, classes, last)
            guesses += [(guess, index) for guess in of_video]
            labels += labels_of_video
    joined = [(g, *p) for g, p in zip(labels, guesses, strict=False) if g != FALSE_POSITIVE]  # G lags behind P
    pairs = [(label, guess) for label, guess, _ in joined]
    pairs_of_video: list[list[tuple]] = [[] for _ in grouped]
    for label, guess, index in joined:
        pairs_of_video[index].append((label, guess))
    counts = [
        count_row(video, sum(j >= 0 for j in matched), of_video)
        for video, matched, of_video in zip(grouped, matches, pairs_of_video, strict=True)
    ]

    spotting = {
        **spotting_scores(counts, notes),
        "ap": list_order_ap(overlaps, len(annotations), AP_THRESHOLDS, soft=True),
        **apex_scores(grouped, k_prime, notes),
        "ap_greedy": list_order_ap(overlaps, len(annotations), [IOU_THRESHOLD], soft=False),
    }
    analysis = classification_with_nan(pairs, len(classes), notes, "analysis")
    recognition = None
    if one_per_video:
        truth = recognition_labels(grouped, classes, recognised)
        recognition = _recognition_all(truth, [guess for guess, _ in guesses], len(classes), notes)
    return {
        "protocol": "upstream",
        "spotting": spotting,
        "analysis": analysis,
        "recognition": recognition,
        "strs": strs(spotting["f1"], analysis["f1"], notes),
        "per_subject": per_subject(counts),
        "per_video": counts,
        "pairs": [list(pair) for pair in pairs],
        "notes": notes,
    }


def upstream_recognition_entries(subjects: Sequence[str], subjects_with_samples: Iterable[str]) -> list[str | None]:
    """Which subject the recognition fold of each subject holds out.

    Split r holds out the r-th subject that has a sample of an evaluated class. The published code lists the splits and
    puts an empty entry before split r where *subject* r has no sample; subject s then uses entry s. With two or more
    subjects without samples the entries are shifted, and may not suffice: the published code stops there with an index
    error, here the subjects without an entry have no recognition.

    Parameters
    ----------
    subjects : sequence of str
        All subjects, in natural order of their folders.
    subjects_with_samples : iterable of str
        Those with at least one sample of an evaluated class.

    Returns
    -------
    list of str or None
        For each subject the one that is held out; None for an empty or missing entry: no recognition.
    """
    with_samples = set(subjects_with_samples)
    splits = [subject for subject in subjects if subject in with_samples]
    entries: list[str | None] = []
    for r, held_out in enumerate(splits):
        if subjects[r] not in with_samples:
            entries.append(None)
        entries.append(held_out)
    return (entries + [None] * len(subjects))[: len(subjects)]


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


def apex_scores(videos: list[VideoIntervals], k_prime: int, notes: list[str]) -> dict:
    """ASR and MAE of each annotated video's first prediction, its apex taken as onset + k', and first annotation.

    Upstream gives every video a prediction and every annotation an apex. For a table that does not: a video without
    prediction is a miss, and a video without either number has no error.
    """
    annotated = [video for video in videos if video.annotated]
    first = [(video.predicted[0].onset + k_prime, video.annotated[0]) for video in annotated if video.predicted]
    errors = [abs(peak - annotation.apex) for peak, annotation in first if not math.isnan(annotation.apex)]
    if len(first) < len(annotated):
        notes.append(f"asr: {len(annotated) - len(first)} annotated video(s) without a prediction count as missed")
    if not errors:
        notes.append("mae: no video has both a prediction and an annotated apex")
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


def classification_with_nan(pairs: Sequence[tuple], n_classes: int, notes: list[str], name: str) -> dict:
    """Scores of pairs (annotated, predicted class index), each class against the rest; NaN becomes None.

    "precision" and "recall" are means in which NaN counts as 0, "f1" their harmonic mean; "uf1" and "uar" are means
    in which it does not.
    """
    per_class = []
    for emotion in range(n_classes):
        labelled = sum(label == emotion for label, _ in pairs)
        predicted = sum(guess == emotion for _, guess in pairs)
        hits = sum(label == guess == emotion for label, guess in pairs)
        if 0 < labelled + predicted < 2 * len(pairs):  # 0 or 2n: the two vectors hold only one value
            per_class.append((_ratio(hits, predicted), _ratio(hits, labelled), 2 * hits / (labelled + predicted)))
    correct = sum(label == guess for label, guess in pairs)
    scores = dict.fromkeys(CLASSIFICATION_KEYS) | {"evaluated": len(pairs), "correct": correct}
    scores |= {"classes": len(per_class), "accuracy": correct / len(pairs) if pairs else None}
    if not per_class:
        notes.append(f"{name}: no class has pairs both of it and of another, so upstream's averages are not defined")
        return scores
    precision, recall = (float(np.mean(np.nan_to_num([row[i] for row in per_class]))) for i in (0, 1))
    _, uar, uf1 = np.mean(per_class, axis=0).tolist()
    scores |= {"precision": precision, "recall": recall, "uf1": uf1}
    if precision + recall:
        scores["f1"] = 2 * precision * recall / (precision + recall)
    else:
        notes.append(f"{name}: F1 is 0/0, upstream's NaN")
    if math.isnan(uar):
        notes.append(f"{name}: UAR is upstream's NaN, a class is predicted and never annotated")
    else:
        scores["uar"] = uar
    return scores


def _recognition_all(labels: list[int], guesses: list[int | None], n_classes: int, notes: list[str]) -> dict:
    if len(labels) == len(guesses):
        return classification_with_nan(list(zip(labels, guesses, strict=True)), n_classes, notes, "recognition")
    notes.append(f"recognition: {len(guesses)} predictions for {len(labels)} samples; upstream stops there")
    return dict.fromkeys(CLASSIFICATION_KEYS)


def _index(emotion: str | None, classes: Sequence[str]) -> int | None:
    return classes.index(emotion) if emotion in classes else None


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _in_prediction_order(video: VideoIntervals) -> VideoIntervals:
    return video._replace(predicted=video.in_time_order().predicted)
