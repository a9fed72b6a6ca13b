"""What describes a network, and the memory in which it is computed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from Utils.engine.layout import FLAT, HEAD_FILTERS, POOLED, SIDE, TAPS, WIDE, WIDE_POOLED, padded
from Utils.work.lanes import LANES


class Shape(NamedTuple):
    """A network: how many filters its streams have, and where its parameters are in one flat array.

    Attributes
    ----------
    filters, wide : ndarray of int64, (streams,)
        Filters of each stream; and rounded up to whole tiles. Empty if the streams are frozen and their outputs are
        the inputs.
    kernels, biases, gammas, betas : ndarray of int64, (streams,)
        Where each stream's parameters begin: (5, 5, 1, filters) and (filters,).
    channels : int
        Filters of all streams.
    head_kernel, head_bias, dense_kernel, dense_bias : int
        Where the head's parameters begin: (5, 5, channels, 8), (8,), (392, outputs), (outputs,).
    outputs : int
    classifies : bool
        True: softmax and the categorical cross-entropy. False: a linear output and the mean squared error.
    size : int
        Of the flat array.
    """

    filters: np.ndarray
    wide: np.ndarray
    kernels: np.ndarray
    biases: np.ndarray
    gammas: np.ndarray
    betas: np.ndarray
    channels: int
    head_kernel: int
    head_bias: int
    dense_kernel: int
    dense_bias: int
    outputs: int
    classifies: bool
    size: int


class Constants(NamedTuple):
    """Settings of the layers. The dropout rates are those of the streams and of the head."""

    momentum: np.float32
    epsilon: np.float32
    stream_dropout: np.float32
    head_dropout: np.float32
    stream_l2: np.float32
    head_l2: np.float32


class Room(NamedTuple):
    """The buffers of a step, flat float32 arrays: see `room_for`. `layout.py` has their layouts."""

    images: np.ndarray
    activations: np.ndarray
    pooled: np.ndarray
    argmax: np.ndarray
    joined_gradient: np.ndarray
    stream_masks: np.ndarray
    head_masks: np.ndarray
    joined: np.ndarray
    rows: np.ndarray
    maxima: np.ndarray
    flat: np.ndarray
    top_argmax: np.ndarray
    outputs: np.ndarray
    gradients: np.ndarray
    stream_row: np.ndarray
    sums: np.ndarray
    kernel_sums: np.ndarray
    stream_kernels: np.ndarray
    turned: np.ndarray


def room_for(shape: Shape, samples: int, outputs: int) -> Room:
    """Buffers for batches of at most so many samples, and heads of at most so many outputs. All are zero."""
    groups = -(-samples // LANES)
    streams, wide = len(shape.filters), int(shape.wide.sum())
    channels = shape.channels
    areas = dict(
        images=groups * streams * WIDE * WIDE,
        activations=groups * SIDE * SIDE * wide,
        pooled=groups * POOLED * POOLED * channels,
        argmax=groups * POOLED * POOLED * channels,
        joined_gradient=groups * POOLED * POOLED * channels,
        stream_masks=POOLED * POOLED * channels,
        head_masks=FLAT,
        joined=WIDE_POOLED * WIDE_POOLED * channels,
        rows=2 * POOLED * HEAD_FILTERS,
        maxima=FLAT,
        flat=FLAT,
        top_argmax=FLAT,
        outputs=outputs,
        gradients=WIDE_POOLED * WIDE_POOLED * HEAD_FILTERS,
        stream_row=SIDE * max([4, *map(int, shape.wide)]),
        sums=4 * max(channels, HEAD_FILTERS, 4),
        kernel_sums=TAPS * max(channels * HEAD_FILTERS, *map(int, shape.wide), 4),
        # without lanes
        stream_kernels=(TAPS + 1) * wide,
        turned=TAPS * HEAD_FILTERS * padded(channels),
    )
    plain = ("stream_kernels", "turned")
    return Room(**{name: np.zeros(n * (1 if name in plain else LANES), np.float32) for name, n in areas.items()})


class Head(NamedTuple):
    """The heads of several networks, for prediction: one for each network, with the same number of outputs.

    Attributes
    ----------
    kernels, biases, dense_kernels, dense_biases : ndarray, (networks, ...), float32, flat from the second axis on
    classifies : bool
        Whether softmax is applied.
    result : ndarray, (networks, n, outputs), float32
    """

    kernels: np.ndarray
    biases: np.ndarray
    dense_kernels: np.ndarray
    dense_biases: np.ndarray
    classifies: bool
    result: np.ndarray
