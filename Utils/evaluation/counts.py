"""True positives, false positives and misses: of a video, of a subject, of all; precision, recall and F1 of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from Utils.evaluation.tables import VideoIntervals


def precision_recall_f1(tp: int, fp: int, fn: int) -> tuple[float, float | None, float | None]:
    """Precision, recall and F1, in [0, 1]. Precision is 0 if nothing is predicted.

    Recall and F1 are None if nothing is annotated.
    """
    precision = tp / (tp + fp) if tp + fp else 0.0
    if tp + fn == 0:
        return precision, None, None
    return precision, tp / (tp + fn), 2 * tp / (2 * tp + fp + fn)


def class_scores(pairs: Sequence[tuple], classes: Sequence) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall and F1 of each class against all others, (classes,) float64 each, in [0, 1]; NaN where 0/0.

    `pairs` are of (label, predicted class). They are the numbers of scikit-learn's `precision_recall_fscore_support`,
    whose import takes longer than a whole evaluation.
    """
    tp = np.array([sum(label == guess == c for label, guess in pairs) for c in classes], float)
    labelled = np.array([sum(label == c for label, _ in pairs) for c in classes], float)
    predicted = np.array([sum(guess == c for _, guess in pairs) for c in classes], float)
    with np.errstate(invalid="ignore"):
        return tp / predicted, tp / labelled, 2 * tp / (labelled + predicted)


def count_row(video: VideoIntervals, tp: int, pairs: Sequence[tuple]) -> dict:
    """The counts of one video. `tp` is its number of true positives, `pairs` are those that are analysed."""
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


def per_subject(counts: Sequence[dict]) -> list[dict]:
    """The sums of the counts of each subject, in the order in which the subjects appear."""
    subjects: dict[str, list[dict]] = {}
    for row in counts:
        subjects.setdefault(row["subject"], []).append(row)
    return [total_row(rows, {"subject": subject, "videos": len(rows)}) for subject, rows in subjects.items()]


def total_row(rows: list[dict], start: Mapping) -> dict:
    """`start`, then the sums of the counts of `rows`, and the F1 of these sums."""
    sums = {
        key: sum(row[key] for row in rows)
        for key in ("annotated", "predicted", "tp", "fp", "fn", "analysed", "correct")
    }
    return {**start, **sums, "f1": precision_recall_f1(sums["tp"], sums["fp"], sums["fn"])[2]}
