"""95 % intervals of all metrics, by the bootstrap over subjects (bootstrap.py).

What a draw keeps from the whole evaluation: which prediction is matched to which annotation, the order in which AP
counts predictions (a prediction of a subject that is drawn twice counts twice in its place), which apexes are compared,
and which pairs of emotions are analysed. What is computed anew: all sums, the curve of AP, and which classes occur.

The upstream protocol
---------------------
Spotting is computed in the same way, with upstream's matching and order; AP is not rounded to single precision here.
Upstream joins predicted and annotated emotions by their positions in two lists (upstream.py). As long as both of each
pair are of one subject, the pair is drawn with this subject. If the lists are shifted so far that pairs join two
subjects, there is nothing that could be drawn with a subject: analysis, recognition and STRS have no interval then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from Utils.evaluation.bootstrap import (
    FEW_SUBJECTS,
    LEAST_SUBJECTS,
    MOST_SUBJECTS,
    RESAMPLES,
    draw_subjects,
    interval,
)
from Utils.evaluation.sums import Ranking, SubjectSums

CLASSIFIED = ("accuracy", "precision", "recall", "f1", "uf1", "uar")
SPOTTED = ("precision", "recall", "f1", "ap", "asr", "mae")
DIGITS = 6  # decimal places of intervals: the same on every machine
ABBREVIATION = 4  # letters of a name up to which it is an abbreviation and is written in capitals
BLOCK = 2_000_000  # predictions x draws that are worked on at once: 16 MB an array

Figures = dict  # "spotting", "analysis", "recognition" -> name -> values, (draws,) float64; "strs" -> values


def drawn_figures(sums: SubjectSums, draws: np.ndarray) -> Figures:
    """All metrics of each draw.

    Parameters
    ----------
    sums : SubjectSums
    draws : array of int, (draws, subjects)
        How often each subject is drawn.

    Returns
    -------
    dict
        "spotting", "analysis" and "recognition": name -> values, (draws,) float64, NaN where a draw does not define it.
        "strs": values. What `sums` has no part of is left out.
    """
    weights = draws.astype(float)
    spotting = count_figures(weights @ sums.counts)
    annotated = weights @ (sums.counts[:, 0] + sums.counts[:, 2])
    for name, ranking in sums.rankings.items():
        spotting[name] = drawn_ap(ranking, weights, annotated)
    for name, terms in sums.terms.items():
        spotting[name] = _ratio(*(weights @ terms).T)
    found = {"spotting": spotting}
    for name, confusions in sums.confusions.items():
        drawn = (weights @ confusions.reshape(len(weights[0]), -1)).reshape(len(weights), *confusions.shape[1:])
        found[name] = drawn_classification(drawn, sums.protocol)
    if "analysis" in found:
        with np.errstate(invalid="ignore"):
            product = spotting["f1"] * found["analysis"]["f1"]
        found["strs"] = np.where(spotting["f1"] == 0, 0.0, product)
    return found


def count_figures(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Precision, recall and F1, each (draws,), of TP, FP and FN, (draws, 3). See `counts.precision_recall_f1`."""
    tp, fp, fn = counts.T
    recall = _ratio(tp, tp + fn)
    f1 = np.where(tp + fn > 0, _ratio(2 * tp, 2 * tp + fp + fn), np.nan)
    return {"precision": _ratio(tp, tp + fp, 0.0), "recall": recall, "f1": f1}


def drawn_ap(ranking: Ranking, weights: np.ndarray, annotated: np.ndarray) -> np.ndarray:
    """Average precision of each draw, the mean over the thresholds, (draws,) float64; NaN where nothing is annotated.

    Equal to `metrics.average_precision` of the ranking in which each prediction stands as often as its subject is
    drawn: copies of a hit raise precision, and copies of a false positive lower it, so the best precision from a hit on
    is always that of a hit, after its last copy.

    Parameters
    ----------
    ranking : Ranking
    weights : array of float, (draws, subjects)
    annotated : array of float, (draws,)
        Number of annotations in each draw.
    """
    n_thresholds = ranking.hits.shape[1]
    areas = np.zeros(len(weights))
    step = max(1, BLOCK // max(1, len(ranking.owners)))
    for start in range(0, len(weights), step):
        block = weights[start : start + step]
        copies = block[:, ranking.owners]
        counted, copies = np.cumsum(copies, axis=1)[:, ranking.at], copies[:, ranking.at]
        for threshold in range(n_thresholds):
            chosen = ranking.hits[:, threshold]
            found = copies[:, chosen]
            precision = _ratio(np.cumsum(found, axis=1), counted[:, chosen], 0.0)
            best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
            areas[start : start + step] += np.sum(found * best, axis=1)
    return _ratio(areas, annotated * n_thresholds)


def drawn_classification(confusions: np.ndarray, protocol: str) -> dict[str, np.ndarray]:
    """Scores of pairs of emotions, by the rules of `metrics.classification` or `upstream_scores`.

    Parameters
    ----------
    confusions : array of float, (draws, C, C + 1)
        See `SubjectSums`.
    protocol : {"paper", "upstream"}

    Returns
    -------
    dict
        The names `CLASSIFIED` -> scores, (draws,) float64; NaN where they are not defined.
    """
    n_classes = confusions.shape[1]
    right = np.diagonal(confusions, axis1=1, axis2=2)[:, :n_classes]
    labels, guesses = confusions.sum(axis=2), confusions.sum(axis=1)[:, :n_classes]
    pairs = confusions.sum(axis=(1, 2))
    counted = labels + guesses > 0
    if protocol == "upstream":  # a class is left out, too, if all labels and all predictions are of it
        counted &= labels + guesses < 2 * pairs[:, None]

    def average(values: np.ndarray) -> np.ndarray:
        return _ratio(np.where(counted, values, 0.0).sum(axis=1), counted.sum(axis=1))

    precision, recall = average(_ratio(right, guesses, 0.0)), average(_ratio(right, labels, 0.0))
    if protocol == "upstream":  # 0/0 is NaN, and makes UAR and F1 NaN
        uar, of_nothing = average(_ratio(right, labels)), np.nan
    else:
        uar, of_nothing = recall, 0.0
    f1 = np.where(np.isnan(precision), np.nan, _ratio(2 * precision * recall, precision + recall, of_nothing))
    uf1 = average(_ratio(2 * right, labels + guesses, 0.0))
    accuracy = _ratio(right.sum(axis=1), pairs)
    return dict(zip(CLASSIFIED, (accuracy, precision, recall, f1, uf1, uar), strict=True))


def _ratio(above: np.ndarray, below: np.ndarray, of_nothing: float = np.nan) -> np.ndarray:
    """above / below; `of_nothing` where `below` is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(below == 0, of_nothing, above / below)


def intervals_of(metrics: Mapping, sums: SubjectSums, resamples: int = RESAMPLES) -> dict:
    """The 95 % intervals of an evaluation.

    Parameters
    ----------
    metrics : mapping
        As `evaluate.evaluate` returns them, without "intervals".
    sums : SubjectSums
        Of the same evaluation.
    resamples : int

    Returns
    -------
    dict
        "spotting", "analysis", "recognition" and "strs" as in `metrics`, with [low, high] for each figure that is not a
        count; None if there is none. "subjects" and "resamples": how many there are. "notes": why intervals are
        missing, and how far to trust them.
    """
    n = len(sums.subjects)
    enough = LEAST_SUBJECTS <= n <= MOST_SUBJECTS
    points = {"spotting": metrics["spotting"]} | {name: metrics[name] for name in ("analysis", "recognition")}
    drawn = drawn_figures(sums, draw_subjects(n, resamples)) if enough else {}
    notes = [] if enough else [f"intervals: there are none, because they need {LEAST_SUBJECTS} subjects, not {n}"]
    if n > MOST_SUBJECTS:
        notes = [f"intervals: there are none for more than {MOST_SUBJECTS} subjects; is it the right column?"]
    if enough and n < FEW_SUBJECTS:
        notes.append(f"intervals: they come from {n} subjects only, so they are too narrow; take them as a rough guide")
    found = {}
    for part, scores in points.items():
        names = [name for name in scores or () if name in (*SPOTTED, "ap_greedy", *CLASSIFIED)]
        values = drawn.get(part, {})
        found[part] = None if scores is None else {k: _bounds(scores[k], values.get(k)) for k in names}
        if enough and scores is not None:
            notes += _part_notes(part, scores, values, sums, resamples)
    found["strs"] = _bounds(metrics["strs"], drawn.get("strs"))
    return {"subjects": n, "resamples": resamples, **found, "notes": notes}


def _part_notes(part: str, scores: Mapping, values: Mapping, sums: SubjectSums, resamples: int) -> list[str]:
    """Why a part has no intervals, or how many draws do not define one of its figures."""
    if part in sums.without:
        return [f"intervals: {part} has none: {sums.without[part]}"]
    undefined = {name: int(np.isnan(v).sum()) for name, v in values.items() if scores.get(name) is not None}
    if not any(undefined.values()):
        return []
    worst = max(undefined, key=undefined.__getitem__)
    name = worst.upper() if len(worst) <= ABBREVIATION else worst
    return [
        f"intervals: {undefined[worst]} of {resamples} draws do not define the {part} {name} and are left out of it"
    ]


def _bounds(point: float | None, values: np.ndarray | None) -> list[float] | None:
    """[low, high] of a figure; None if it is not defined, or no draw defines it."""
    if point is None or values is None:
        return None
    low, high = interval(values)
    return None if np.isnan(low) else [round(low, DIGITS), round(high, DIGITS)]


def spread_of_mean(runs: Sequence[SubjectSums], resamples: int = RESAMPLES) -> dict[str, tuple[float, float, float]]:
    """How far the mean over several runs (seeds) would vary with other subjects.

    In each draw of subjects, every run's figure is computed, and the runs are averaged. So the interval belongs to the
    mean that is reported. Each run's own interval would be wider, because it also has that run's accidents.

    Returns
    -------
    dict
        "<part>_<name>", such as "spotting_f1", and "strs" -> standard deviation, low and high of the 95 % interval.
        Empty with fewer than two subjects, or more than `MOST_SUBJECTS`.
    """
    subjects = list(dict.fromkeys(subject for sums in runs for subject in sums.subjects))
    if not LEAST_SUBJECTS <= len(subjects) <= MOST_SUBJECTS:
        return {}
    draws = draw_subjects(len(subjects), resamples)
    values: dict[str, list[np.ndarray]] = {}
    for sums in runs:
        for part, figures in drawn_figures(sums.of(subjects), draws).items():
            named = {f"{part}_{k}": v for k, v in figures.items()} if part != "strs" else {part: figures}
            for name, drawn in named.items():
                values.setdefault(name, []).append(drawn)
    found = {}
    for name, of_runs in values.items():
        table = np.array(of_runs)
        known = np.isfinite(table)
        mean = _ratio(np.where(known, table, 0.0).sum(axis=0), known.sum(axis=0))
        mean = mean[np.isfinite(mean)]
        if len(mean):
            found[name] = (float(np.std(mean, ddof=1)), *interval(mean))
    return found
