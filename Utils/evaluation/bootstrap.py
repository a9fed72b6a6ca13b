"""The bootstrap over subjects: random draws of whole subjects, and what is read from them, 95 % intervals and p.

Subjects differ more from one another than videos of one subject do. So whole subjects are drawn, with replacement, as
many as there are. A subject that is drawn twice counts twice. Every figure is computed anew for each draw, and its 95 %
interval goes from the 2.5th to the 97.5th percentile of what that gives (the percentile interval: [1], section 13.3).
Two methods are compared by the same draws.

scipy.stats.bootstrap is not used: there, one draw in which a figure is not defined makes the whole interval NaN. The
tests compare our intervals with its.

With few subjects, percentile intervals are too narrow: docs/method.md, section 4, has how often they hold the truth.
For a difference, where a decision follows, they are therefore made wider (`expanded_interval`).

References
----------
[1] B. Efron, R. J. Tibshirani: An Introduction to the Bootstrap. Chapman & Hall, 1993.
[2] T. C. Hesterberg: What Teachers Should Know About the Bootstrap. The American Statistician 69(4), 2015.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

RESAMPLES = 2000  # draws of an evaluation
SEED = 0  # of the draws: equal tables get equal intervals
COVERED = (2.5, 97.5)  # percentiles: 95 % intervals
LEAST_SUBJECTS = 2  # with one subject, all draws are equal
MOST_SUBJECTS = 5000  # their draws take 80 MB; the largest datasets of the field have 700
FEW_SUBJECTS = 10  # below it, intervals are clearly too narrow


@lru_cache(maxsize=8)
def draw_subjects(n_subjects: int, resamples: int = RESAMPLES, seed: int = SEED) -> np.ndarray:
    """How often each subject is in each draw, (resamples, n_subjects) int64. A row sums to `n_subjects`. Read only."""
    shares = np.full(n_subjects, 1 / max(1, n_subjects))
    draws = np.random.default_rng(seed).multinomial(n_subjects, shares, resamples)
    draws.setflags(write=False)
    return draws


def interval(values: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of the values of a figure, (resamples,). Draws in which it is NaN are left out; NaN if all."""
    known = values[np.isfinite(values)]
    return tuple(float(x) for x in np.percentile(known, COVERED)) if len(known) else (np.nan, np.nan)


def expanded_interval(values: np.ndarray, n_subjects: int) -> tuple[float, float]:
    """The 95 % interval of a difference, (resamples,), made wider for few subjects. NaN is left out; NaN if all is.

    The percentiles are those at which the interval has the length of Student's, with the factor sqrt(n / (n - 1)) for
    the variance that the bootstrap underestimates (the "expanded percentile interval" of [2]).
    """
    from scipy.special import ndtr, stdtrit  # here, because the import takes a quarter of a second

    known = values[np.isfinite(values)]
    if not len(known):
        return np.nan, np.nan
    tail = ndtr(_expansion(n_subjects) * stdtrit(n_subjects - 1, COVERED[0] / 100))
    return tuple(float(x) for x in np.quantile(known, (tail, 1 - tail)))


def two_sided_p(differences: np.ndarray, n_subjects: int) -> float:
    """The two-sided p of a difference whose values in all draws are `differences`, (resamples,); in (0, 1].

    It is the largest error rate whose interval still holds 0 ([1], section 15.4). For the percentile interval this is
    twice the share of the draws on the side of 0 with fewer draws. Draws at 0 count on both sides, and the observed
    data count as one more draw, so it is never 0. Then it is enlarged for few subjects, as `expanded_interval` is. NaN
    is left out; NaN if nothing is left.

    It is at least 2 / 2^n with n subjects. If both methods are equally good, all n subjects favour the same one with
    that probability, so no smaller p can be believed.
    """
    from scipy.special import ndtri, stdtr  # as above

    known = differences[np.isfinite(differences)]
    if not len(known):
        return np.nan
    side = min(np.count_nonzero(known <= 0), np.count_nonzero(known >= 0))
    quantile = ndtri(min(0.5, (side + 1) / (len(known) + 1)))  # at most 0
    enlarged = 2 * stdtr(n_subjects - 1, quantile / _expansion(n_subjects))
    return float(max(enlarged, 2.0 ** (1 - n_subjects)))


def _expansion(n_subjects: int) -> float:
    return math.sqrt(n_subjects / (n_subjects - 1))
