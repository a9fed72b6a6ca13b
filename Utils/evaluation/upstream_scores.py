"""The averages over the classes of the upstream protocol (upstream.py)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from Utils.evaluation.counts import class_scores
from Utils.evaluation.metrics import CLASSIFICATION_KEYS


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
    per_class = class_scores(pairs, counted)
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


def nan_notes(scores: Mapping, name: str) -> list[str]:
    """Notes on why scores of `classification_with_nan` are None. A note calls these scores `name`."""
    if not scores["classes"]:
        return [f"{name}: no class has pairs both of it and of another, so upstream's averages are not defined"]
    notes = []
    if scores["f1"] is None:
        notes.append(f"{name}: F1 is not defined: precision and recall are 0 (upstream gives NaN)")
    if scores["uar"] is None:
        notes.append(f"{name}: UAR is not defined: a class is predicted and never annotated (upstream gives NaN)")
    return notes
