"""Metrics of spotting, of spot-then-recognize analysis, and of both together (STRS), after the paper.

Conventions
-----------
Two tables go in (see tables.py), one dict comes out (see `evaluate`). Within a video the rows are put in time order, so
the order of rows does not matter, except that equal scores rank in table order. What cannot be computed is
None, and `notes` says why. Counts are summed over all videos; nothing is averaged over subjects.

Metrics
-------
- Spotting (`spotting`): a prediction is a true positive if it is matched to an annotation, one to one, with an
  intersection over union (IoU) of at least 0.5. Precision, recall, F1; AP@[.5:.95]; apex spotting rate (ASR); mean
  absolute error of the apex (MAE).
- Analysis (`classification`): the emotions of the true positives whose annotated class is evaluated. One whose
  prediction has no emotion counts as wrong, unless no prediction of that subject has one (its fold had no recognition
  then, and it is left out). Precision and recall are macro averages over the classes that occur as a label or as a
  prediction, 0/0 counting as 0; F1 is *their* harmonic mean; UF1 is the mean of the per-class F1, UAR the mean of the
  per-class recall.
- STRS (`strs`): spotting F1 x analysis F1; 0 where the spotting F1 is 0.
- Recognition (all): the emotion of each video's one prediction against the video's label.

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

from Utils.evaluation.tables import VideoIntervals, bounds, group_by_video

IOU_THRESHOLD = 0.5  # of spotting and analysis (the paper's, and MEGC's)
AP_THRESHOLDS = np.arange(50, 100, 5) / 100  # AP@[.5:.95]; hundredths, so that an IoU of 3/5 does reach 0.6
PROTOCOLS = ("paper", "upstream")
CLASSIFICATION_KEYS = ("evaluated", "correct", "classes", "accuracy", "precision", "recall", "f1", "uf1", "uar")


def evaluate(
    predictions: pd.DataFrame,
    ground_truth: pd.DataFrame,
    classes: Sequence[str],
    *,
    one_per_video: bool = False,
    videos: Iterable[Sequence] | None = None,
    protocol: str = "paper",
    k_prime: int | None = None,
    recognition_subjects: Iterable[str] | None = None,
) -> dict:
    """All metrics of a predictions table.

    Parameters
    ----------
    predictions, ground_truth : DataFrame
        See Utils/evaluation/tables.py. A prediction without an apex has it at its middle.
    classes : sequence of str
        The evaluated emotions. An annotation of any other emotion is spotted and not analysed; a prediction of any
        other emotion is a wrong one.
    one_per_video : bool
        The dataset's videos hold one expression, and one prediction, each: "recognition" is computed too.
    videos : iterable of (subject, video, ...), optional
        The videos that took part, with or without rows. By default those that a table names.
    protocol : {"paper", "upstream"}
        "upstream" evaluates as the authors' published code does, see Utils/evaluation/upstream.py.
    k_prime, recognition_subjects
        For the upstream protocol, see `Utils.evaluation.upstream.evaluate_upstream`.

    Returns
    -------
    dict
        "protocol", "spotting", "analysis", "recognition" (None unless `one_per_video`), "strs", "per_subject",
        "per_video", "notes"; plain Python values, so that it can be written as JSON.

    Raises
    ------
    ValueError
        An unknown protocol, or a table that breaks a rule of Utils/evaluation/tables.py.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol {protocol!r} is none of {', '.join(PROTOCOLS)}")
    if protocol == "upstream":
        from Utils.evaluation.upstream import evaluate_upstream  # it builds on this module

        return evaluate_upstream(
            predictions, ground_truth, classes, one_per_video=one_per_video, videos=videos, k_prime=k_prime,
            recognition_subjects=recognition_subjects,
        )  # fmt: skip
    notes: list[str] = []
    grouped = [video.in_time_order() for video in group_by_video(predictions, ground_truth, videos)]
    if videos is None:
        notes += unannotated_remark(grouped)
    matches = [match_intervals(bounds(video.predicted), bounds(video.annotated)) for video in grouped]

    recognised = recognised_subjects(grouped)
    pairs, counts, left_out = [], [], 0
    for video, matched in zip(grouped, matches, strict=True):
        of_video = _analysis_pairs(video, matched, classes)
        if video.subject not in recognised:
            left_out, of_video = left_out + len(of_video), []
        counts.append(count_row(video, len(matched), of_video))
        pairs += of_video
    if left_out:
        notes.append(f"analysis: {left_out} true positive(s) of subjects without recognition are left out")

    spotting = {
        **spotting_scores(counts, notes),
        "ap": _ranked_ap(grouped, matches, notes),
        "asr": apex_spotting_rate(grouped, notes),
        "mae": apex_error(grouped, notes),
    }
    analysis = classification(pairs, classes, notes, "analysis")
    recognition = None
    if one_per_video:
        recognition = classification(_first_pairs(grouped, classes, recognised), classes, notes, "recognition")
    return {
        "protocol": "paper",
        "spotting": spotting,
        "analysis": analysis,
        "recognition": recognition,
        "strs": strs(spotting["f1"], analysis["f1"], notes),
        "per_subject": per_subject(counts),
        "per_video": counts,
        "notes": notes,
    }


# Spotting


def interval_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of inclusive intervals: the frames that both hold over the frames that either holds.

    Parameters
    ----------
    a : array of int, shape (n, 2)
    b : array of int, shape (m, 2)
        First and last frame of each interval.

    Returns
    -------
    array of float, shape (n, m)
    """
    a, b = np.reshape(a, (-1, 1, 2)), np.reshape(b, (1, -1, 2))
    shared = np.maximum(np.minimum(a[..., 1], b[..., 1]) - np.maximum(a[..., 0], b[..., 0]) + 1, 0)
    lengths = (a[..., 1] - a[..., 0] + 1) + (b[..., 1] - b[..., 0] + 1)
    return shared / (lengths - shared)


def match_intervals(predicted: np.ndarray, annotated: np.ndarray, threshold: float = IOU_THRESHOLD) -> list[tuple]:
    """Match predictions and annotations of one video one to one, best IoU first.

    Of the pairs that reach the threshold the one with the highest IoU is taken (equal ones: the earlier prediction,
    then the earlier annotation), then the next whose two sides are still free, and so on. So the matching at a higher
    threshold is the part of this one that reaches it.

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


def precision_recall_f1(tp: int, fp: int, fn: int) -> tuple[float, float | None, float | None]:
    """Precision (0 if nothing was predicted), recall and F1 (None if nothing is annotated)."""
    precision = tp / (tp + fp) if tp + fp else 0.0
    if tp + fn == 0:
        return precision, None, None
    return precision, tp / (tp + fn), 2 * tp / (2 * tp + fp + fn)


def average_precision(hits: Sequence[bool], annotated: int) -> float:
    """Area under precision over recall for predictions in the given order.

    Precision is first made non-increasing from the right (the best precision at this recall or a higher one).

    Parameters
    ----------
    hits : sequence of bool
        Whether each prediction is a true positive.
    annotated : int
        Number of annotations, at least 1.
    """
    found = np.cumsum(np.asarray(hits, dtype=np.int64))
    recall = np.concatenate(([0.0], found / annotated, [1.0]))
    precision = np.concatenate((found / np.arange(1, len(found) + 1), [0.0]))  # 0 beyond the last prediction
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(recall)
    return float(np.sum(steps[steps > 0] * precision[steps > 0]))


def spotting_scores(counts: list[dict], notes: list[str]) -> dict:
    """TP, FP, FN over all videos, precision, recall and F1."""
    tp, fp, fn = (sum(row[key] for row in counts) for key in ("tp", "fp", "fn"))
    precision, recall, f1 = precision_recall_f1(tp, fp, fn)
    if tp + fp == 0:
        notes.append("spotting: there is no prediction, so precision counts as 0")
    if recall is None:
        notes.append("spotting: there is no annotation, so recall, F1, AP and ASR are not defined")
    return {"tp": tp, "fp": fp, "fn": fn, "precision": precision, "recall": recall, "f1": f1}


def _ranked_ap(videos: list[VideoIntervals], matches: list[list[tuple]], notes: list[str]) -> float | None:
    """AP@[.5:.95], predictions of all videos ranked by falling score, equal ones in the order of the table."""
    annotated = sum(len(video.annotated) for video in videos)
    if annotated == 0:
        return None
    ranked = []
    for video, matched in zip(videos, matches, strict=True):
        overlap = interval_iou(bounds(video.predicted), bounds(video.annotated))
        reached = {i: overlap[i, j] for i, j in matched}
        ranked += [(-p.score, p.row, reached.get(i, 0.0)) for i, p in enumerate(video.predicted)]
    if any(math.isnan(score) for score, _, _ in ranked):
        notes.append("ap: not every prediction has a score, so they count in the order of the table")
        ranked = [(0.0, row, iou) for _, row, iou in ranked]
    best = np.array([iou for _, _, iou in sorted(ranked)])
    return float(np.mean([average_precision(best >= threshold, annotated) for threshold in AP_THRESHOLDS]))


def apex_spotting_rate(videos: list[VideoIntervals], notes: list[str]) -> float | None:
    """Share of the annotated videos whose first predicted apex lies strictly inside the first annotation."""
    annotated = [video for video in videos if video.annotated]
    if not annotated:
        return None
    if missed := sum(not video.predicted for video in annotated):
        notes.append(f"asr: {missed} annotated video(s) without a prediction count as missed")
    hits = sum(
        video.annotated[0].onset < video.predicted[0].peak < video.annotated[0].offset
        for video in annotated
        if video.predicted
    )
    return hits / len(annotated)


def apex_error(videos: list[VideoIntervals], notes: list[str]) -> float | None:
    """Mean |predicted apex - apex| in frames of each video's first prediction and first annotation.

    Over the videos that have both and whose apex is known: a number, and not negative (SAMM writes -1 for unknown).
    """
    both = [video for video in videos if video.predicted and video.annotated]
    errors = [abs(v.predicted[0].peak - v.annotated[0].apex) for v in both if v.annotated[0].apex >= 0]
    if not errors:
        notes.append("mae: no video has both a prediction and an annotation with a known apex")
        return None
    return float(np.mean(errors))


# Recognition


def classification(pairs: Sequence[tuple], classes: Sequence[str], notes: list[str], name: str) -> dict:
    """Macro-averaged scores of pairs (label, predicted emotion).

    Parameters
    ----------
    pairs : sequence of (str, str or None)
        The labels are among `classes`; a prediction outside them is wrong.
    name : str
        How a note calls these scores.

    Returns
    -------
    dict
        Counts "evaluated" and "correct"; "precision", "recall" (macro averages), "f1" (their harmonic mean), "uf1",
        "uar", "accuracy"; "classes", the number of classes averaged over: those on either side.
    """
    correct = sum(label == predicted for label, predicted in pairs)
    per_class = []
    for emotion in classes:
        labelled = sum(label == emotion for label, _ in pairs)
        predicted = sum(guess == emotion for _, guess in pairs)
        hits = sum(label == guess == emotion for label, guess in pairs)
        if labelled + predicted:
            per_class.append(
                (
                    hits / predicted if predicted else 0.0,
                    hits / labelled if labelled else 0.0,
                    2 * hits / (labelled + predicted),
                )
            )
    if not per_class:
        notes.append(f"{name}: there is no pair of label and prediction to evaluate")
        return dict.fromkeys(CLASSIFICATION_KEYS) | {"evaluated": 0, "correct": 0, "classes": 0}
    precision, recall, uf1 = np.mean(per_class, axis=0).tolist()
    return {
        "evaluated": len(pairs),
        "correct": correct,
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / (precision + recall) if precision + recall else 0.0,
        "uf1": uf1,
        "uar": recall,
        "accuracy": correct / len(pairs),
        "classes": len(per_class),
    }


def strs(spotting_f1: float | None, analysis_f1: float | None, notes: list[str]) -> float | None:
    """Spot-then-recognize score: the product of both F1; 0 where nothing is spotted, whatever the analysis."""
    if spotting_f1 == 0:
        return 0.0
    if spotting_f1 is None or analysis_f1 is None:
        notes.append(f"strs: the F1 of {'spotting' if spotting_f1 is None else 'the analysis'} is not defined")
        return None
    return spotting_f1 * analysis_f1


def recognised_subjects(videos: list[VideoIntervals]) -> set[str]:
    """All subjects but those whose predictions carry no emotion at all: the fold of such a one had no recognition."""
    predicted = {video.subject for video in videos if video.predicted}
    with_emotion = {video.subject for video in videos if any(p.emotion is not None for p in video.predicted)}
    return {video.subject for video in videos} - (predicted - with_emotion)


def _analysis_pairs(video: VideoIntervals, matched: list[tuple], classes: Sequence[str]) -> list[tuple]:
    """(label, predicted emotion) of the true positives whose annotated class is evaluated."""
    pairs = [(video.annotated[j].emotion, video.predicted[i].emotion) for i, j in matched]
    return [pair for pair in pairs if pair[0] in classes]


def _first_pairs(videos: list[VideoIntervals], classes: Sequence[str], recognised: set[str]) -> list[tuple]:
    """(label, predicted emotion) of each video; a video without a prediction has none, which is wrong."""
    return [
        (video.annotated[0].emotion, video.predicted[0].emotion if video.predicted else None)
        for video in videos
        if video.annotated and video.annotated[0].emotion in classes and video.subject in recognised
    ]


# Rows of the report


def count_row(video: VideoIntervals, tp: int, pairs: Sequence[tuple]) -> dict:
    """The counts of one video."""
    annotated, predicted = len(video.annotated), len(video.predicted)
    return {
        "subject": video.subject,
        "video": video.video,
        "annotated": annotated,
        "predicted": predicted,
        "tp": tp,
        "fp": predicted - tp,
        "fn": annotated - tp,
        "analysed": len(pairs),
        "correct": sum(label == guess for label, guess in pairs),
        "f1": precision_recall_f1(tp, predicted - tp, annotated - tp)[2],
    }


def per_subject(counts: list[dict]) -> list[dict]:
    """The counts of each subject, in the order in which the subjects appear."""
    subjects: dict[str, list[dict]] = {}
    for row in counts:
        subjects.setdefault(row["subject"], []).append(row)
    return [total_row(rows, {"subject": subject, "videos": len(rows)}) for subject, rows in subjects.items()]


def total_row(rows: list[dict], start: Mapping) -> dict:
    """`start`, then the sums of the counts of `rows` and the F1 that comes of them."""
    sums = {
        key: sum(row[key] for row in rows)
        for key in ("annotated", "predicted", "tp", "fp", "fn", "analysed", "correct")
    }
    return {**start, **sums, "f1": precision_recall_f1(sums["tp"], sums["fp"], sums["fn"])[2]}


def unannotated_remark(videos: list[VideoIntervals]) -> list[str]:
    """A remark, if predictions lie in videos that the ground truth does not name: often a name spelled otherwise."""
    strangers = [video for video in videos if video.predicted and not video.annotated]
    if not strangers:
        return []
    count = sum(len(video.predicted) for video in strangers)
    return [f"{count} prediction(s) in {len(strangers)} video(s) without annotation, such as {strangers[0].label}"]
