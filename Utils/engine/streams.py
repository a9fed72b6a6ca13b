"""The streams: convolution, ReLU, batch normalisation, 3x3 max-pooling; forward and backward, for one group of samples.

Batch normalisation is the same affine function at all positions. So the largest of a window is found before it, or the
smallest where gamma is negative. For the statistics and for the gradient, all positions count.
"""

from __future__ import annotations

from Utils.engine.convolution import add_kernel_gradient, correlate
from Utils.engine.layout import KERNEL, POOLED, SIDE, STREAM_POOL, WIDE, compiled, f32
from Utils.work.lanes import LANES, broadcast, fill, fma, load, store, where_equal, where_greater


@compiled(forceinline=True)
def relu(x):
    """max(x, 0). NaN stays NaN, so that scores show it."""
    zero = fill(f32(0))
    return where_greater(zero, x, zero, x)


@compiled(forceinline=True)
def store_tile(activations, at, step, bias, first, a0, a1, a2, a3, b0, b1, b2, b3):
    """Add the bias to what `correlate` gives, apply ReLU, and store it.

    The first position goes to `at`, the second `step` floats further on.
    """
    c0, c1, c2, c3 = (
        broadcast(bias, first),
        broadcast(bias, first + 1),
        broadcast(bias, first + 2),
        broadcast(bias, first + 3),
    )
    store(activations, at, relu(a0 + c0))
    store(activations, at + LANES, relu(a1 + c1))
    store(activations, at + 2 * LANES, relu(a2 + c2))
    store(activations, at + 3 * LANES, relu(a3 + c3))
    at += step
    store(activations, at, relu(b0 + c0))
    store(activations, at + LANES, relu(b1 + c1))
    store(activations, at + 2 * LANES, relu(b2 + c2))
    store(activations, at + 3 * LANES, relu(b3 + c3))


@compiled()
def convolve_row(image, kernel, bias, wide, y, activations, to):
    """One row of a stream's activations, which are written from `activations[to]` on.

    `image` is that stream's part of `images`; `kernel` (25, wide) and `bias` (wide) are padded with zeros.
    """
    for x in range(0, SIDE, 2):
        start = (y * WIDE + x) * LANES
        for first in range(0, wide, 4):
            a0, a1, a2, a3, b0, b1, b2, b3 = correlate(
                image, start, WIDE * LANES, LANES, KERNEL, kernel, first, wide
            )  # fmt: skip
            at = to + (x * wide + first) * LANES
            store_tile(activations, at, wide * LANES, bias, first, a0, a1, a2, a3, b0, b1, b2, b3)


@compiled()
def pool(rows, wide, filters, signs, channel, channels, y, pooled):
    """The largest activation of each window (times its sign in `signs`) in one row of windows, for prediction.

    `rows` has three rows of activations. `y` is the row of windows. The stream's filters begin at `channel` of
    `pooled`.
    """
    line = SIDE * wide * LANES
    for x in range(POOLED):
        for f in range(filters):
            sign = broadcast(signs, channel + f)
            at = (x * STREAM_POOL * wide + f) * LANES
            best = load(rows, at) * sign
            for row in range(STREAM_POOL):
                for column in range(STREAM_POOL):
                    value = load(rows, at + row * line + column * wide * LANES) * sign
                    best = where_greater(value, best, value, best)
            store(pooled, ((y * POOLED + x) * channels + channel + f) * LANES, best * sign)


@compiled()
def pool_and_sum(rows, wide, filters, signs, channel, channels, y, pooled, argmax, sums):
    """As `pool`, for training: also which position is the largest, and sums for the statistics.

    `sums` (3, channels) gets in each lane: the first activation of the three rows; and over the rows the sum of all
    activations minus the first one, and the sum of the squares of these.
    """
    line = SIDE * wide * LANES
    for f in range(filters):
        sign = broadcast(signs, channel + f)
        first = load(rows, f * LANES)
        total = squares = fill(f32(0))
        for x in range(POOLED):
            at = (x * STREAM_POOL * wide + f) * LANES
            best = load(rows, at) * sign
            index = fill(f32(0))
            number = f32(0)
            for row in range(STREAM_POOL):
                for column in range(STREAM_POOL):
                    activation = load(rows, at + row * line + column * wide * LANES)
                    value = activation * sign
                    index = where_greater(value, best, fill(number), index)
                    best = where_greater(value, best, value, best)
                    number += f32(1)
                    shifted = activation - first
                    total = total + shifted
                    squares = fma(shifted, shifted, squares)
            to = ((y * POOLED + x) * channels + channel + f) * LANES
            store(pooled, to, best * sign)
            store(argmax, to, index)
        store(sums, (channel + f) * LANES, first)
        store(sums, (channels + channel + f) * LANES, total)
        store(sums, (2 * channels + channel + f) * LANES, squares)


@compiled()
def add_stream_gradient(
    image, activations, wide, filters, channel, channels, gradients, argmax, back, row, kernel_sums, bias_sums
):
    """Add a stream's part of the gradient, from the gradient of its pooled output, each lane on its own.

    Parameters
    ----------
    image, activations : array
        Those of the stream.
    wide, filters, channel, channels : int
        As above.
    gradients, argmax : array
        (14, 14, channels): the gradient of the normalised and pooled output, and from `pool_and_sum`.
    back : array, (4, channels)
        What batch normalisation does to a gradient: scale, constant, factor of the activation, mean of the activations.
    row : array
        Room for one row of gradients.
    kernel_sums : array, (25, wide)
    bias_sums : array, (wide)
    """
    zero = fill(f32(0))
    pairs = filters + filters % 2
    for y in range(SIDE):
        number = f32(y % STREAM_POOL * STREAM_POOL)
        line = y * SIDE * wide * LANES
        for f in range(filters):
            c = channel + f
            scale, constant = broadcast(back, c), broadcast(back, channels + c)
            factor, mean = broadcast(back, 2 * channels + c), broadcast(back, 3 * channels + c)
            total = load(bias_sums, f * LANES)
            for x in range(SIDE):
                window = ((y // STREAM_POOL * POOLED + x // STREAM_POOL) * channels + c) * LANES
                here = fill(number + f32(x % STREAM_POOL))
                at = (x * wide + f) * LANES
                activation = load(activations, line + at)
                gradient = where_equal(load(argmax, window), here, load(gradients, window), zero)
                gradient = fma(gradient, scale, zero - fma(activation - mean, factor, constant))
                gradient = where_greater(activation, zero, gradient, zero)
                total = total + gradient
                store(row, at, gradient)
            store(bias_sums, f * LANES, total)
        for ky in range(KERNEL):
            for f in range(0, pairs, 2):
                add_kernel_gradient(
                    image, (y + ky) * WIDE * LANES, LANES, row, f * LANES, wide * LANES, SIDE,
                    kernel_sums, (ky * KERNEL * wide + f) * LANES, wide,
                )  # fmt: skip
