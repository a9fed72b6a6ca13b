"""SOFTNet's network in compiled code: the same mathematics as plain Keras layers, without TensorFlow.

Both poolings, of 3x3 and then of 2x2, are one of 6x6: the largest of the largest. So of each filter, 7x7 activations
are used further, and only they have a gradient. Samples, filters and taps are summed in one fixed order, in single
precision and without fused products, so the same samples give the same bytes on every processor, in one process or
several.

    images   sample, y, x, channel      42 x 42 x 3, in [0, 1]
    pooled   sample, (y, x, filter)     7 x 7 x 16, as Keras flattens them; filters of u, v and eps in this order
    places   as pooled                  where in the activations, y * 46 + x; -1 if none is above 0
    units    sample, hidden unit        400, after ReLU
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numba import njit
from numba.core import event

from Utils.engine import architecture
from Utils.engine.architecture import FEATURE_SIDE as SIDE
from Utils.engine.architecture import KERNEL
from Utils.work.compiling import SETTINGS, Announcement, cached, checksum_of_files

STREAMS = {"u": 3, "v": 5, "strain": 8}  # inputs -> filters of their convolution
STREAM_POOL, POOL = 3, 2  # side and stride of the pooling of each stream, and of all streams together
HIDDEN = 400  # units of the hidden layer
FILTERS = sum(STREAMS.values())
CHANNEL_OF = np.repeat(np.arange(len(STREAMS)), list(STREAMS.values()))  # of each filter
TAPS = KERNEL * KERNEL
BORDER = KERNEL // 2
WIDE = SIDE + 2 * BORDER  # of an image with a border of zeros
PLANE = WIDE * WIDE + KERNEL - 1  # floats of one channel: the last window reads a little more than the image
CELL = STREAM_POOL * POOL  # side of the 6x6 pixels of which the largest activation goes on
CELLS = SIDE // CELL
FLAT = CELLS * CELLS * FILTERS
SUMMED = FLAT // CELLS  # inputs of the hidden layer that are summed before the next ones
PARTS = 16  # in which sums over hidden units are taken: unit j belongs to part j % 16
PREDICTED_AT_ONCE = 64  # samples
COMPILING = "compiling SOFTNet's network for this processor (once, about 5 s)..."

f32 = np.float32


def compiled(function):
    """Numba's `njit` for functions that are called by those below."""
    return njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **SETTINGS)(function)


@compiled
def take(image, padded):
    """Copy an image (42, 42, 3) into the middle of `padded` (3, PLANE), whose border is 0."""
    for y in range(SIDE):
        at = (y + BORDER) * WIDE + BORDER
        for x in range(SIDE):
            for c in range(3):
                padded[c, at + x] = image[y, x, c]


@compiled
def pool_streams(padded, kernel, bias, activations, pooled, places):
    """Convolution, ReLU and both poolings of one sample.

    `activations` (42 x 46) is overwritten with those of one filter, before ReLU. Their rows are as wide as those of the
    image, so that one loop goes over all; the last four columns are not used.
    """
    for f in range(FILTERS):
        plane = padded[CHANNEL_OF[f]]
        activations[:] = bias[f]
        for dy in range(KERNEL):
            w0, w1, w2, w3, w4 = (
                kernel[f, dy * KERNEL],
                kernel[f, dy * KERNEL + 1],
                kernel[f, dy * KERNEL + 2],
                kernel[f, dy * KERNEL + 3],
                kernel[f, dy * KERNEL + 4],
            )
            window = plane[dy * WIDE :]
            for i in range(SIDE * WIDE):
                activations[i] = (
                    activations[i]
                    + w0 * window[i]
                    + w1 * window[i + 1]
                    + w2 * window[i + 2]
                    + w3 * window[i + 3]
                    + w4 * window[i + 4]
                )
        for cell in range(CELLS * CELLS):
            first = (cell // CELLS * WIDE + cell % CELLS) * CELL
            largest, place = f32(0), -1
            for y in range(CELL):
                for i in range(first + y * WIDE, first + y * WIDE + CELL):
                    value = activations[i]
                    if value > largest or value != value:  # NaN stays NaN, so that scores show it
                        largest, place = value, i
            pooled[cell * FILTERS + f], places[cell * FILTERS + f] = largest, place


@compiled
def sum_of_products(one, other, part):
    """Of two arrays (400,). `part` (16,) is overwritten."""
    part[:] = f32(0)
    for start in range(0, HIDDEN, PARTS):
        for i in range(PARTS):
            part[i] += one[start + i] * other[start + i]
    total = f32(0)
    for i in range(PARTS):
        total += part[i]
    return total


@compiled
def hidden_units(pooled, hidden, hidden_bias, sums, units):
    """The hidden layer of some samples: `units` (samples, 400) are written, `sums` (as many, 400) is overwritten.

    The inputs are summed in parts, which loses less precision than one long sum.
    """
    for s in range(len(units)):
        units[s] = hidden_bias
    for first in range(0, FLAT, SUMMED):
        sums[:] = f32(0)
        for i in range(first, first + SUMMED):
            weights = hidden[i]
            for s in range(len(units)):
                value = pooled[s, i]
                if value != 0:
                    for j in range(HIDDEN):
                        sums[s, j] += value * weights[j]
        for s in range(len(units)):
            units[s] += sums[s]
    for s in range(len(units)):
        for j in range(HIDDEN):
            if units[s, j] <= 0:
                units[s, j] = f32(0)


@compiled
def score_all(images, kernel, bias, hidden, hidden_bias, output, output_bias):
    """The scores of images, (n,) float32. The other arguments are those of `SoftNet`."""
    scores = np.empty(len(images), np.float32)
    padded = np.zeros((3, PLANE), np.float32)
    activations, part = np.empty(SIDE * WIDE, np.float32), np.empty(PARTS, np.float32)
    pooled = np.empty((PREDICTED_AT_ONCE, FLAT), np.float32)
    places, sums = np.empty(FLAT, np.int64), np.empty((PREDICTED_AT_ONCE, HIDDEN), np.float32)
    units = np.empty_like(sums)
    for start in range(0, len(images), PREDICTED_AT_ONCE):
        count = min(PREDICTED_AT_ONCE, len(images) - start)
        for s in range(count):
            take(images[start + s], padded)
            pool_streams(padded, kernel, bias, activations, pooled[s], places)
        hidden_units(pooled, hidden, hidden_bias, sums[:count], units[:count])
        for s in range(count):
            scores[start + s] = sum_of_products(units[s], output, part) + output_bias[0]
    return scores


@compiled
def learn_epoch(images, targets, order, batch_size, rate, kernel, bias, hidden, hidden_bias, output, output_bias):
    """One epoch of gradient descent. The weights, which are those of `SoftNet`, are changed.

    Returns the sums of the squared and of the absolute errors, each sample with the weights before its step.
    """
    batch_size = min(batch_size, len(order))
    squares, distances = 0.0, 0.0
    padded = np.zeros((3, PLANE), np.float32)
    activations, part = np.empty(SIDE * WIDE, np.float32), np.empty(PARTS, np.float32)
    pooled, places = np.empty((batch_size, FLAT), np.float32), np.empty((batch_size, FLAT), np.int64)
    units, back = np.empty((batch_size, HIDDEN), np.float32), np.empty((batch_size, HIDDEN), np.float32)
    to_pooled = np.empty((batch_size, FLAT), np.float32)  # the gradient of `pooled`
    of_kernel, of_bias = np.empty_like(kernel), np.empty_like(bias)
    of_hidden, of_hidden_bias = np.empty(HIDDEN, np.float32), np.empty(HIDDEN, np.float32)
    of_output = np.empty_like(output)
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        count = len(batch)
        for s in range(count):
            take(images[batch[s]], padded)
            pool_streams(padded, kernel, bias, activations, pooled[s], places[s])
        hidden_units(pooled, hidden, hidden_bias, back[:count], units[:count])
        of_output[:] = f32(0)
        of_hidden_bias[:] = f32(0)
        of_output_bias = f32(0)
        for s in range(count):
            error = sum_of_products(units[s], output, part) + output_bias[0] - targets[batch[s]]
            squares += error * error
            distances += abs(error)
            error *= f32(2) / f32(count)  # the gradient of the mean squared error
            of_output_bias += error
            for j in range(HIDDEN):
                back[s, j] = f32(0) if units[s, j] == 0 else error * output[j]
                of_output[j] += error * units[s, j]
                of_hidden_bias[j] += back[s, j]
        for i in range(FLAT):
            weights = hidden[i]
            of_hidden[:] = f32(0)
            for s in range(count):
                to_pooled[s, i] = f32(0)
                if places[s, i] >= 0:
                    value = pooled[s, i]
                    to_pooled[s, i] = sum_of_products(weights, back[s], part)
                    for j in range(HIDDEN):
                        of_hidden[j] += value * back[s, j]
            for j in range(HIDDEN):
                weights[j] -= rate * of_hidden[j]
        of_kernel[:] = f32(0)
        of_bias[:] = f32(0)
        for s in range(count):
            take(images[batch[s]], padded)
            for i in range(FLAT):
                if places[s, i] >= 0:
                    f, slope = i % FILTERS, to_pooled[s, i]
                    window = padded[CHANNEL_OF[f], places[s, i] :]
                    of_bias[f] += slope
                    for dy in range(KERNEL):
                        for dx in range(KERNEL):
                            of_kernel[f, dy * KERNEL + dx] += slope * window[dy * WIDE + dx]
        kernel -= rate * of_kernel
        bias -= rate * of_bias
        hidden_bias -= rate * of_hidden_bias
        output -= rate * of_output
        output_bias -= rate * of_output_bias
    return squares, distances


def make(checksum):
    """The functions that are called from outside, with a cache on disk.

    They use `checksum`, so Numba makes it part of the keys under which they are cached.
    """

    @cached
    def outputs(images, kernel, bias, hidden, hidden_bias, output, output_bias):
        return score_all(images, kernel, bias, hidden, hidden_bias, output, output_bias), checksum

    @cached
    def learn(images, targets, order, batch_size, rate, kernel, bias, hidden, hidden_bias, output, output_bias):
        sums = learn_epoch(
            images, targets, order, batch_size, rate, kernel, bias, hidden, hidden_bias, output, output_bias
        )
        return sums, checksum

    return outputs, learn


SOURCES = (Path(__file__), Path(architecture.__file__))
outputs, learn = make(checksum_of_files(SOURCES))


def read_only(images: np.ndarray) -> np.ndarray:
    """The same images as float32 without gaps, which may not be written to.

    For Numba that is another type, so all images are of this one: features that are kept are read-only.
    """
    images = np.ascontiguousarray(images, np.float32).view()
    images.flags.writeable = False
    return images


def compile_network(say: Callable[[str], object], training: bool = True) -> None:
    """Load the compiled functions from Numba's cache on disk, or compile them and report that in one line.

    Call this before worker processes are started. Otherwise each of them compiles. `say` is called with the one line,
    `COMPILING`. Without `training` only what predicts is compiled.
    """
    shapes = (FILTERS, TAPS), (FILTERS,), (FLAT, HIDDEN), (HIDDEN,), (HIDDEN,), (1,)
    weights = [np.zeros(shape, np.float32) for shape in shapes]
    blank = read_only(np.zeros((1, SIDE, SIDE, 3), np.float32))
    with event.install_listener("numba:compile", Announcement(say, COMPILING, (learn, outputs))):
        outputs(blank, *weights)
        if training:
            learn(blank, np.zeros(1, np.float32), np.zeros(1, np.int64), 1, f32(0), *weights)
