"""k and k': the distance of a pair, and half the average length of an expression. This module loads only NumPy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from Utils.datasets.table import Dataset
from Utils.errors import InputError
from Utils.records import Expression, Length, Video

PAIR_SECONDS = 0.1  # distance of the two frames of a pair
DIGITS = 6  # decimal places to which frames are rounded first, so that halves are found despite rounding errors


def average_half_length(expressions: Iterable[Expression], from_median: bool = False) -> int:
    """k' = int((N + 1) / 2), where N is the mean of offset - onset over all expressions (paper section 3.3).

    The held-out subject counts too: this is the paper's definition. With `from_median`, N is the median instead of the
    mean: a few very long expressions do not change it.

    Returns
    -------
    int
        Frames, at least 1.

    Raises
    ------
    InputError
        There is no expression.
    """
    lengths = [e.offset - e.onset for e in expressions]
    if not lengths:
        raise InputError("k' cannot be computed: no expression is annotated")
    average = np.median(lengths) if from_median else np.mean(lengths)
    return max(1, int((average + 1) / 2))


def pair_distances(rates: Sequence[float]) -> Length:
    """k of videos with these frame rates: 0.1 s, halves rounded up, at least one frame."""
    distances = {fps: max(1, math.floor(round(fps * PAIR_SECONDS, DIGITS) + 0.5)) for fps in rates}
    return lengths_at(distances)


def lengths_at(lengths: Mapping[float, int]) -> Length:
    """A length for each frame rate as `Length`: one number if there is one rate."""
    return dict(lengths) if len(lengths) > 1 else next(iter(lengths.values()))


def at_rates_of(videos: Sequence[Video], dataset: Dataset) -> Dataset:
    """A dataset whose `fps` and `k` are those of the videos that take part, where videos have rates of their own."""
    rates = sorted({video.fps for video in videos if video.fps is not None})
    return replace(dataset, fps=rates[-1], k=pair_distances(rates)) if rates else dataset
