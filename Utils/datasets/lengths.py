"""k', half of the average length of an expression. Evaluation needs it too, so this module loads nothing but NumPy."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from Utils.errors import InputError
from Utils.records import Expression


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
