"""What the parts of the engine share: sizes, the layout of the buffers, how functions are compiled.

The engine computes what plain Keras layers compute: the networks of define_model.py, forward, and backward for their
training. tests/engine compares both.

Buffers are flat arrays of float32. Samples are in groups of `LANES`, which are computed side by side. So the innermost
`LANES` numbers belong to the samples of a group. In the last group of a batch some lanes can have no sample: they have
images of zeros, and no sum counts them.

    images      stream, y, x                46 x 46: with a border of two zeros
    activations   stream, y, x, filter        after ReLU; filters of a stream are padded to a multiple of `TILE`
    pooled      y, x, channel               14 x 14; the filters of all streams one after the other, without padding
    argmax      as pooled                   which position of its window is the largest: 0 to 8, row by row
    joined      y, x, channel               18 x 18: input of the head's convolution, with a border of two zeros

Sums over the samples of a batch are taken sample by sample, in order. So a result does not depend on `LANES`, and it
has the same bytes on all x86 processors with the same C library, whose exponential the softmax uses. Products and sums
are fused where `fma` says so, and nowhere else. Prediction sums the dense layer in another order than training, with
smaller errors.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numba.extending import register_jitable

from Utils.engine.architecture import FEATURE_SIDE as SIDE
from Utils.engine.architecture import HEAD_FILTERS, HEAD_POOL, KERNEL, STREAM_POOL
from Utils.work.compiling import SETTINGS

f32, f64 = np.float32, np.float64

BORDER = KERNEL // 2
WIDE = SIDE + 2 * BORDER
POOLED = SIDE // STREAM_POOL
WIDE_POOLED = POOLED + 2 * BORDER
HEAD_SIDE = POOLED // HEAD_POOL
FLAT = HEAD_SIDE * HEAD_SIDE * HEAD_FILTERS  # inputs of the last layer
TAPS = KERNEL * KERNEL
WINDOW = STREAM_POOL * STREAM_POOL  # positions in a pooling window

TILE = 4  # filters that `correlate` computes at once


def compiled(**options):
    """Numba's `njit` with the settings of these files."""
    return njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **SETTINGS, **options)


@register_jitable
def padded(filters: int) -> int:
    """The number of filters, rounded up to whole tiles."""
    return -(-filters // TILE) * TILE
