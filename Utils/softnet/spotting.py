"""From SOFTNet's scores to intervals (docs/softnet.md, section 8)."""

from __future__ import annotations

import numpy as np


def smooth_scores(scores: np.ndarray, k: int) -> np.ndarray:
    """The mean over 2k features, only where all of them exist.

    Parameters
    ----------
    scores : ndarray, (n,)
    k : int, >= 1

    Returns
    -------
    ndarray, (n,), float32
        The value at feature i is the mean of the features i - k to i + k - 1. NaN at the first k features and at the
        last k, so all are NaN if there are not more than 2k features.
    """
    smoothed = np.full(len(scores), np.nan, np.float32)
    n = len(scores) - 2 * k
    if n > 0:
        windows = np.lib.stride_tricks.sliding_window_view(np.asarray(scores, np.float32), 2 * k)
        smoothed[k : k + n] = windows[:n].mean(axis=1)
    return smoothed


def visiting_order(n: int) -> np.ndarray:
    """The order in which the authors' code visits n predictions for its average precision, (n,) int64.

    It sorts them by a confidence that is 0 for all, with NumPy's default sort, which is not stable from 17 elements on.
    """
    by_confidence = np.argsort(np.zeros(n, dtype=object))  # of objects: the result is the same on every processor
    return (n - 1 - by_confidence)[::-1]
