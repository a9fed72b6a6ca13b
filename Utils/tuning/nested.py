"""Chooses p, the width of the smoothing and the width of the intervals in each fold, without using its test subjects.

In every fold, the values are chosen that give the largest F1 on all *other* subjects. Their scores are held-out ones,
too: each comes from the fold that leaves its subject out. No network is trained again. (The networks that gave
these scores have seen the subject for whom the values are chosen, as one of many that they were trained on. The three
values can carry hardly anything of that.)

That it matters was measured on frozen scores of MEAN: the width of the intervals decides on many expressions whose peak
is found but whose interval is too short or too long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from feature_extraction import VideoFeatures
from train_evaluate import FoldResult
from training_utils import SpottedInterval, SpottingMethod
from Utils.evaluation.metrics import match_intervals
from Utils.records import Length, frames_of

P = tuple(round(0.30 + 0.05 * i, 2) for i in range(11))  # 0.30 to 0.80
SMOOTHING = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)  # of the paper's width, which is 2k'
REACH = (0.6, 0.8, 1.0, 1.2, 1.4, 1.7, 2.0)  # of the paper's half length of an interval, which is k'


@dataclass(frozen=True)
class Choice:
    """Values of spotting.

    Attributes
    ----------
    p : float
        Of the threshold.
    smoothing, reach : float
        Factors on the width of the smoothing, and on the half length of an interval.
    """

    p: float
    smoothing: float = 1.0
    reach: float = 1.0


def tuned(method: SpottingMethod, choice: Choice) -> SpottingMethod:
    """A method with chosen values instead of its own."""

    def width(k_prime: int) -> int:
        return max(1, round(k_prime * choice.smoothing))

    def smooth(scores: np.ndarray, k_prime: int, protocol: str) -> np.ndarray:
        return method.smooth(scores, width(k_prime), protocol)

    def spot(smoothed, probabilities, k_prime: int, p: float, *more) -> list[SpottedInterval]:
        return [
            _stretched(found, choice.reach) for found in method.spot(smoothed, probabilities, k_prime, choice.p, *more)
        ]

    def threshold(smoothed: np.ndarray, p: float) -> float:
        return method.threshold(smoothed, choice.p)

    return replace(method, smooth=smooth, spot=spot, threshold=threshold, half_width=width)


def _stretched(found: SpottedInterval, reach: float) -> SpottedInterval:
    """An interval whose two sides are longer by a factor. The peak stays."""
    before, after = round(reach * (found.apex - found.onset)), round(reach * (found.offset - found.apex))
    return replace(found, onset=found.apex - before, offset=found.apex + after)


def candidates(paper: Choice) -> list[Choice]:
    """All combinations of values. The paper's comes first; the others are in order of their distance from it."""
    found = {Choice(*values) for values in product({*P, paper.p}, SMOOTHING, REACH)} | {paper}
    return sorted(found, key=lambda c: (_distance(c, paper), c.p, c.smoothing, c.reach))


def _distance(choice: Choice, paper: Choice) -> float:
    factors = np.log([choice.smoothing / paper.smoothing, choice.reach / paper.reach])
    return float(abs(choice.p - paper.p) + np.abs(factors).sum())


def choose(
    results: Sequence[FoldResult],
    features: Sequence[VideoFeatures],
    k_prime: Length,
    p: float,
    method: SpottingMethod,
    one_per_video: bool = False,
) -> tuple[dict[str, Choice], dict[str, float]]:
    """The values for each subject, and the F1 that they give on the subjects of the other folds.

    Parameters
    ----------
    results : sequence of FoldResult
    features : sequence of VideoFeatures
    k_prime : Length
    p : float
        The paper's, or that of --p.
    method : SpottingMethod
    one_per_video : bool
        Short videos have no threshold, so their p stays.

    Returns
    -------
    choices : dict of str to Choice
        If several values give the same F1, those that are nearest to the paper's. If nothing is annotated elsewhere,
        the paper's.
    f1 : dict of str to float
        NaN where nothing is annotated.
    """
    paper = Choice(p)
    possible = [c for c in candidates(paper) if not one_per_video or c.p == p]
    tested = [result for result in results if len(result.fold.test)]
    counts = [_counts(result, features, k_prime, method, possible, one_per_video) for result in tested]
    total = sum(counts)
    choices, reached = {}, {}
    for result, own in zip(tested, counts, strict=True):
        tp, fp, fn = (total - own).T
        choice, best_f1 = paper, float("nan")
        if (tp + fn).any():
            f1 = 2 * tp / (2 * tp + fp + fn)
            best = int(np.argmax(f1))  # the first one, which is the nearest to the paper's
            choice, best_f1 = possible[best], float(f1[best])
        for subject in dict.fromkeys(features[number].video.subject for number in result.fold.test):
            choices[subject], reached[subject] = choice, best_f1
    return choices, reached


def _counts(
    result: FoldResult,
    features: Sequence[VideoFeatures],
    k_prime: Length,
    method: SpottingMethod,
    possible: Sequence[Choice],
    one_per_video: bool,
) -> np.ndarray:
    """TP, FP and FN of a fold's tested videos for each of the possible values, (values, 3)."""
    counts = np.zeros((len(possible), 3), np.int64)
    for i, number in enumerate(result.fold.test):
        video = features[number].video
        half = frames_of(k_prime, video.fps)
        counts += video_counts(result.scores(i), video.expressions, half, method, possible, one_per_video)
    return counts


def video_counts(
    raw: np.ndarray, expressions: Sequence, k_prime: int, method: SpottingMethod, possible: Sequence[Choice],
    one_per_video: bool = False,
) -> np.ndarray:  # fmt: skip
    """TP, FP and FN of one video for each of the possible values, (values, 3) int64.

    Parameters
    ----------
    raw : ndarray, (n,)
        Spotting scores.
    expressions : sequence of Expression
    k_prime : int
    method : SpottingMethod
    possible : sequence of Choice
    one_per_video : bool
    """
    annotated = np.array([(e.onset, e.offset) for e in expressions], np.int64).reshape(-1, 2)
    smoothed: dict[float, np.ndarray] = {}
    peaks: dict[tuple[float, float], list[SpottedInterval]] = {}
    hits: dict[tuple, int] = {}
    counts = np.empty((len(possible), 3), np.int64)
    for row, choice in enumerate(possible):
        if choice.smoothing not in smoothed:
            smoothed[choice.smoothing] = tuned(method, choice).smooth(raw, k_prime, "paper")
        at = (choice.smoothing, choice.p)
        if at not in peaks:
            peaks[at] = method.spot(smoothed[choice.smoothing], None, k_prime, choice.p, one_per_video, "paper")
        found = [_stretched(interval, choice.reach) for interval in peaks[at]]
        bounds = tuple((interval.onset, interval.offset) for interval in found)
        if bounds not in hits:  # many values give the same intervals
            predicted = np.array(bounds, np.int64).reshape(-1, 2)
            hits[bounds] = len(match_intervals(predicted, annotated)) if len(bounds) and len(annotated) else 0
        tp = hits[bounds]
        counts[row] = tp, len(bounds) - tp, len(annotated) - tp
    return counts
