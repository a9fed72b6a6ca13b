"""What step 6 needs: thinning of training frames, smoothing of scores, threshold, peaks, intervals, majority vote."""

from __future__ import annotations

import numpy as np
from scipy.signal import find_peaks

P = 0.55  # p of the threshold (paper section 3.3)
RATIO = 5  # non-expression frames per expression frame in training


def thin(labels: np.ndarray, ratio: int, rng: np.random.Generator) -> np.ndarray:
    """Indices of all expression frames and of at most `ratio` times as many others, drawn without replacement.

    Parameters
    ----------
    labels : ndarray, (n,)
        Pseudo-labels, 0 or 1.
    ratio : int
        Non-expression frames per expression frame; if there are fewer, all are kept.
    rng : Generator

    Returns
    -------
    ndarray of int64, ascending
    """
    expression, other = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    wanted = ratio * len(expression)
    if len(other) > wanted:
        other = rng.choice(other, wanted, replace=False)
    return np.sort(np.concatenate([expression, other]))


def smooth_scores(scores: np.ndarray, k_prime: int, keep_length: bool = True) -> np.ndarray:
    """Moving average over 2k' features (paper section 3.3).

    Parameters
    ----------
    scores : ndarray, (n,)
    k_prime : int, >= 1
    keep_length : bool
        `numpy.convolve(..., mode="same")` returns 2k' values for a video of fewer features: a peak may then lie beyond
        its end. False: as the authors' code has it. True: the values that belong to the features.

    Returns
    -------
    ndarray, (n,), float64
        Beyond the ends scores count as 0. Without `keep_length` (max(n, 2k'),).
    """
    length = 2 * k_prime
    box = np.ones(length) / length
    scores = np.asarray(scores, np.float64)
    if not keep_length:
        return np.convolve(scores, box, mode="same")
    start = (length - 1) // 2
    return np.convolve(scores, box)[start : start + len(scores)]


def threshold(smoothed: np.ndarray, p: float = P) -> float:
    """T = mean + p (max - mean) of the smoothed scores (paper equation 5)."""
    mean = smoothed.mean()
    return float(mean + p * (smoothed.max() - mean))


def find_expression_peaks(smoothed: np.ndarray, k_prime: int, p: float = P, one_per_video: bool = False) -> np.ndarray:
    """Features at which an expression is spotted, ascending, int64.

    Long videos: every peak of height T or more, k' features apart. Short videos: the highest point.
    """
    if one_per_video:
        return np.array([int(np.argmax(smoothed))])
    return find_peaks(smoothed, height=threshold(smoothed, p), distance=k_prime)[0]


def majority_class(probabilities: np.ndarray, peak: int, k_prime: int) -> tuple[int, float] | None:
    """The class of a spotted interval: most frequent argmax over the features [peak - k', peak).

    Parameters
    ----------
    probabilities : ndarray, (n, C), float
        Rows sum to 1.
    peak : int
        For a peak at 0, feature 0 votes.
    k_prime : int

    Returns
    -------
    class_index : int
        Of equally frequent ones, the one met first.
    confidence : float
        Mean probability of that class over the same features.
    None
        If the window lies beyond the last feature.
    """
    window = probabilities[max(0, peak - k_prime) : max(1, peak)]
    if not len(window):
        return None
    votes = window.argmax(axis=1)
    counts = np.bincount(votes)
    winner = int(next(c for c in votes if counts[c] == counts.max()))
    return winner, float(window[:, winner].mean())
