"""The head: convolution, ReLU, 2x2 max-pooling, one dense layer; forward and backward, for one group of samples."""

from __future__ import annotations

from Utils.engine.convolution import add_kernel_gradient, correlate
from Utils.engine.layout import (
    BORDER,
    FLAT,
    HEAD_FILTERS,
    HEAD_POOL,
    HEAD_SIDE,
    KERNEL,
    POOLED,
    WIDE_POOLED,
    compiled,
    f32,
)
from Utils.engine.streams import store_tile
from Utils.work.lanes import LANES, broadcast, fill, fma, load, store, where_equal, where_greater

GRADIENT_ROW = WIDE_POOLED * HEAD_FILTERS * LANES  # floats of a row of the convolution's gradients, with its border


@compiled()
def convolve_and_pool(joined, channels, kernel, bias, rows, flat, argmax):
    """The 392 numbers before the dense layer, to `flat`; and which position of its window is the largest (0 to 3).

    `joined` is (18, 18, channels). `rows` is room for two rows of activations.
    """
    step = channels * LANES
    line = POOLED * HEAD_FILTERS * LANES
    for top in range(HEAD_SIDE):
        for k in range(HEAD_POOL):
            y = top * HEAD_POOL + k
            for x in range(0, POOLED, 2):
                start = (y * WIDE_POOLED + x) * step
                for first in range(0, HEAD_FILTERS, 4):
                    a0, a1, a2, a3, b0, b1, b2, b3 = correlate(
                        joined, start, WIDE_POOLED * step, step, KERNEL * channels, kernel, first, HEAD_FILTERS
                    )
                    at = k * line + (x * HEAD_FILTERS + first) * LANES
                    store_tile(rows, at, HEAD_FILTERS * LANES, bias, first, a0, a1, a2, a3, b0, b1, b2, b3)
        for x in range(HEAD_SIDE):
            for f in range(HEAD_FILTERS):
                at = (x * HEAD_POOL * HEAD_FILTERS + f) * LANES
                best = load(rows, at)
                index = fill(f32(0))
                number = f32(0)
                for k in range(HEAD_POOL):
                    for j in range(HEAD_POOL):
                        value = load(rows, at + k * line + j * HEAD_FILTERS * LANES)
                        index = where_greater(value, best, fill(number), index)
                        best = where_greater(value, best, value, best)
                        number += f32(1)
                to = ((top * HEAD_SIDE + x) * HEAD_FILTERS + f) * LANES
                store(flat, to, best)
                store(argmax, to, index)


@compiled()
def dense(flat, weights, bias, outputs, to):
    """The dense layer: `flat` (392) -> `to` (outputs). `weights` are (392, outputs)."""
    for o in range(outputs):
        total = broadcast(bias, o)
        for i in range(FLAT):
            total = fma(load(flat, i * LANES), broadcast(weights, i * outputs + o), total)
        store(to, o * LANES, total)


@compiled()
def dense_by_rows(flat, weights, bias, outputs, to):
    """The dense layer again, for prediction: the sums of the seven rows are added, so rounding errors are smaller."""
    row = HEAD_SIDE * HEAD_FILTERS
    for o in range(outputs):
        total = broadcast(bias, o)
        for y in range(HEAD_SIDE):
            of_row = fill(f32(0))
            for i in range(y * row, (y + 1) * row):
                of_row = fma(load(flat, i * LANES), broadcast(weights, i * outputs + o), of_row)
            total = total + of_row
        store(to, o * LANES, total)


@compiled()
def add_dense_gradient(flat, gradients, outputs, samples, weights_gradient, bias_gradient):
    """Add the gradient of the dense layer over the first `samples` lanes, one after the other.

    `gradients` (outputs) are the gradients of the outputs.
    """
    for o in range(outputs):
        for lane in range(samples):
            bias_gradient[o] += gradients[o * LANES + lane]
    for i in range(FLAT):
        for o in range(outputs):
            total = weights_gradient[i * outputs + o]
            for lane in range(samples):
                total += flat[i * LANES + lane] * gradients[o * LANES + lane]
            weights_gradient[i * outputs + o] = total


@compiled()
def gradient_of_convolution(output_gradient, weights, outputs, masks, maxima, argmax, gradients, bias_sums):
    """From the gradients of the outputs to those of the convolution: `gradients` (18, 18, 8), with a border of zeros.

    Parameters
    ----------
    output_gradient : array, (outputs)
    weights : array, (392, outputs)
    outputs : int
    masks : array, (392)
        Of the dropout before the dense layer.
    maxima, argmax : array, (392)
        From `convolve_and_pool`, before the dropout.
    gradients : array
        Its border is not touched.
    bias_sums : array, (8)
        The gradient of the bias is added, each lane on its own.
    """
    zero = fill(f32(0))
    for i in range(FLAT):
        y, x, f = i // (HEAD_SIDE * HEAD_FILTERS), i // HEAD_FILTERS % HEAD_SIDE, i % HEAD_FILTERS
        gradient = zero
        for o in range(outputs):
            gradient = fma(load(output_gradient, o * LANES), broadcast(weights, i * outputs + o), gradient)
        gradient = gradient * load(masks, i * LANES)
        gradient = where_greater(load(maxima, i * LANES), zero, gradient, zero)
        store(bias_sums, f * LANES, load(bias_sums, f * LANES) + gradient)
        index = load(argmax, i * LANES)
        number = f32(0)
        for k in range(HEAD_POOL):
            row = (y * HEAD_POOL + k + BORDER) * GRADIENT_ROW
            for j in range(HEAD_POOL):
                at = row + ((x * HEAD_POOL + j + BORDER) * HEAD_FILTERS + f) * LANES
                store(gradients, at, where_equal(index, fill(number), gradient, zero))
                number += f32(1)


@compiled()
def add_head_gradient(joined, channels, gradients, kernel_sums):
    """Add the gradient of the convolution's kernel, (25 x channels, 8), each lane on its own."""
    step = channels * LANES
    for y in range(POOLED):
        at = (y + BORDER) * GRADIENT_ROW + BORDER * HEAD_FILTERS * LANES
        for ky in range(KERNEL):
            line = (y + ky) * WIDE_POOLED * step
            for term in range(0, KERNEL * channels, 5):
                for f in range(0, HEAD_FILTERS, 2):
                    add_kernel_gradient(
                        joined, line + term * LANES, step, gradients, at + f * LANES, HEAD_FILTERS * LANES, POOLED,
                        kernel_sums, ((ky * KERNEL * channels + term) * HEAD_FILTERS + f) * LANES, HEAD_FILTERS,
                    )  # fmt: skip


@compiled()
def gradient_of_joined(gradients, turned, wide, channels, joined_gradient):
    """The gradients of the convolution's input, (14, 14, channels).

    `turned` is the kernel turned by 180 degrees, (25 x 8, wide); `wide` is the number of channels, padded.
    """
    for y in range(POOLED):
        for x in range(0, POOLED, 2):
            start = y * GRADIENT_ROW + x * HEAD_FILTERS * LANES
            for first in range(0, wide, 4):
                a0, a1, a2, a3, b0, b1, b2, b3 = correlate(
                    gradients, start, GRADIENT_ROW, HEAD_FILTERS * LANES, KERNEL * HEAD_FILTERS, turned, first, wide
                )
                to = ((y * POOLED + x) * channels + first) * LANES
                _store_some(joined_gradient, to, a0, a1, a2, a3, channels - first)
                _store_some(joined_gradient, to + channels * LANES, b0, b1, b2, b3, channels - first)


@compiled(forceinline=True)
def _store_some(array, to, a0, a1, a2, a3, n):
    """Store the first n of four vectors, or all."""
    store(array, to, a0)
    if n > 1:
        store(array, to + LANES, a1)
    if n > 2:
        store(array, to + 2 * LANES, a2)
    if n > 3:
        store(array, to + 3 * LANES, a3)
