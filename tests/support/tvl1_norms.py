"""The norms of the dual step as the kernel computes them, and exactly."""

from __future__ import annotations

import numpy as np
from numba import njit

from Utils.tvl1.iteration import quick_norm
from Utils.work.lanes import LANES, load, store


@njit
def quick_norms(dx, dy, norms, others):
    for i in range(0, len(dx), LANES):
        norm, other = quick_norm(load(dx, i), load(dy, i))
        store(norms, i, norm)
        store(others, i, other)


def compared(dx: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Norms of pairs computed in float32, which of them are uncertain, and the exact ones.

    The pairs, float32, are repeated up to a whole number of vectors.
    """
    dx, dy, norms, others = (np.resize(x, -(-len(dx) // LANES) * LANES) for x in (dx, dy, dx, dy))
    quick_norms(dx, dy, norms, others)
    return norms, norms != others, np.sqrt(dx.astype(np.float64) ** 2 + dy.astype(np.float64) ** 2).astype(np.float32)
