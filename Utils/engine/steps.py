"""One training step, and the outputs of some samples.

`cached.py` has them with a cache on disk.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from Utils.engine.head import (
    add_dense_gradient,
    add_head_gradient,
    connect,
    connect_by_rows,
    convolution_slopes,
    convolve_and_pool,
    slopes_of_joined,
)
from Utils.engine.lanes import LANES, fma, load, spread, store
from Utils.engine.layout import (
    BORDER,
    FLAT,
    HEAD_FILTERS,
    KERNEL,
    POOLED,
    SIDE,
    STREAM_POOL,
    TAPS,
    WIDE,
    WIDE_POOLED,
    compiled,
    f32,
    f64,
    padded,
)
from Utils.engine.streams import add_stream_gradient, pool, pool_and_sum, respond

IMAGE = WIDE * WIDE * LANES  # floats of an image, with its border
RANDOM_NUMBERS = 2**16  # that a mask is drawn from


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
    responses: np.ndarray
    pooled: np.ndarray
    places: np.ndarray
    joined_slopes: np.ndarray
    stream_masks: np.ndarray
    head_masks: np.ndarray
    joined: np.ndarray
    rows: np.ndarray
    peaks: np.ndarray
    tops: np.ndarray
    top_places: np.ndarray
    outputs: np.ndarray
    slopes: np.ndarray
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
        responses=groups * SIDE * SIDE * wide,
        pooled=groups * POOLED * POOLED * channels,
        places=groups * POOLED * POOLED * channels,
        joined_slopes=groups * POOLED * POOLED * channels,
        stream_masks=POOLED * POOLED * channels,
        head_masks=FLAT,
        joined=WIDE_POOLED * WIDE_POOLED * channels,
        rows=2 * POOLED * HEAD_FILTERS,
        peaks=FLAT,
        tops=FLAT,
        top_places=FLAT,
        outputs=outputs,
        slopes=WIDE_POOLED * WIDE_POOLED * HEAD_FILTERS,
        stream_row=SIDE * max([4, *map(int, shape.wide)]),
        sums=4 * max(channels, HEAD_FILTERS, 4),
        kernel_sums=TAPS * max(channels * HEAD_FILTERS, *map(int, shape.wide), 4),
        # without lanes
        stream_kernels=(TAPS + 1) * wide,
        turned=TAPS * HEAD_FILTERS * padded(channels),
    )
    plain = ("stream_kernels", "turned")
    return Room(**{name: np.zeros(n * (1 if name in plain else LANES), np.float32) for name, n in areas.items()})


@compiled()
def take_images(features, indices, first_channel, images, streams):
    """Copy samples to `images`: the lanes beyond the samples become zero."""
    n = len(indices)
    groups = (n + LANES - 1) // LANES
    for g in range(groups):
        for lane in range(LANES):
            i = g * LANES + lane
            for s in range(streams):
                plane = (g * streams + s) * IMAGE + (BORDER * WIDE + BORDER) * LANES + lane
                if i < n:
                    for y in range(SIDE):
                        for x in range(SIDE):
                            images[plane + (y * WIDE + x) * LANES] = features[
                                indices[i], y, x, first_channel[s]
                            ]  # fmt: skip
                else:
                    for y in range(SIDE):
                        for x in range(SIDE):
                            images[plane + (y * WIDE + x) * LANES] = f32(0)


@compiled(inline="always")
def take_pooled(features, indices, pooled, channels):
    """Copy outputs of frozen streams, (n, 14, 14, channels), to `pooled`."""
    n = len(indices)
    groups = (n + LANES - 1) // LANES
    size = POOLED * POOLED * channels
    for g in range(groups):
        for lane in range(LANES):
            i = g * LANES + lane
            for y in range(POOLED):
                for x in range(POOLED):
                    for c in range(channels):
                        to = g * size * LANES + ((y * POOLED + x) * channels + c) * LANES + lane
                        pooled[to] = features[indices[i], y, x, c] if i < n else f32(0)


@compiled()
def draw_masks(bits, first, n, rate, masks, start, size, samples):
    """Dropout: the factor of each number, 0 or 1 / (1 - rate), in `masks`.

    `bits` (numbers, batch) are 16 random bits for each number and sample of the batch; the numbers from `start` on are
    used, and the samples from `first` on, of which there are n. With a rate of 0 nothing is dropped.
    """
    limit = f32(rate) * f32(RANDOM_NUMBERS)
    factor = f32(1) / (f32(1) - rate)
    for i in range(size):
        row = (start + i) * samples + first
        for lane in range(n):
            masks[i * LANES + lane] = factor if f32(bits[row + lane]) >= limit else f32(0)


@compiled(inline="always")
def pad_kernels(shape, theta, room):
    """The kernels and biases of the streams, padded with zeros to whole tiles."""
    at = 0
    for s in range(len(shape.filters)):
        filters, wide = shape.filters[s], shape.wide[s]
        for tap in range(TAPS):
            for f in range(filters):
                room.stream_kernels[at + tap * wide + f] = theta[shape.kernels[s] + tap * filters + f]
        for f in range(filters):
            room.stream_kernels[at + TAPS * wide + f] = theta[shape.biases[s] + f]
        at += (TAPS + 1) * wide


@compiled(inline="always")
def turn_head_kernel(shape, theta, turned):
    """The head's kernel turned by 180 degrees, with inputs and outputs exchanged, padded to whole tiles."""
    channels = shape.channels
    wide = padded(channels)
    for y in range(KERNEL):
        for x in range(KERNEL):
            source = shape.head_kernel + ((KERNEL - 1 - y) * KERNEL + KERNEL - 1 - x) * channels * HEAD_FILTERS
            for f in range(HEAD_FILTERS):
                for c in range(channels):
                    turned[((y * KERNEL + x) * HEAD_FILTERS + f) * wide + c] = theta[source + c * HEAD_FILTERS + f]


@compiled(inline="always")
def respond_group(shape, theta, signs, room, group, trained, samples, moments):
    """The streams of a group: responses, pooled responses, and in training their places.

    In training the sums of the responses and of their squares, for each of the `samples` of the group, are added to
    `moments`, (samples of the batch, 2 x channels) float64.
    """
    streams = len(shape.filters)
    pooled_size = POOLED * POOLED * shape.channels * LANES
    all_wide = 0
    for s in range(streams):
        all_wide += shape.wide[s]
    pooled = room.pooled[group * pooled_size : (group + 1) * pooled_size]
    places = room.places[group * pooled_size : (group + 1) * pooled_size]
    at = 0
    channel = 0
    base = group * SIDE * SIDE * all_wide * LANES if trained else 0
    for s in range(streams):
        filters, wide = shape.filters[s], shape.wide[s]
        image = room.images[(group * streams + s) * IMAGE : (group * streams + s + 1) * IMAGE]
        kernel = room.stream_kernels[at : at + TAPS * wide]
        bias = room.stream_kernels[at + TAPS * wide : at + (TAPS + 1) * wide]
        line = SIDE * wide * LANES
        for y in range(POOLED):
            to = base + (y * STREAM_POOL * line if trained else 0)
            for k in range(STREAM_POOL):
                respond(image, kernel, bias, wide, y * STREAM_POOL + k, room.responses, to + k * line)
            rows = room.responses[to : to + STREAM_POOL * line]
            if trained:
                pool_and_sum(rows, wide, filters, signs, channel, shape.channels, y, pooled, places, room.sums)
                add_moments(room.sums, channel, filters, shape.channels, group * LANES, samples, moments)
            else:
                pool(rows, wide, filters, signs, channel, shape.channels, y, pooled)
        at += (TAPS + 1) * wide
        channel += filters
        base += SIDE * line


@compiled()
def sum_over_lanes(lane_sums, n, samples, totals):
    """Add the first `samples` lanes of each of n vectors to `totals`, one after the other."""
    for i in range(n):
        total = totals[i]
        for lane in range(samples):
            total += lane_sums[i * LANES + lane]
        totals[i] = total


@compiled()
def add_moments(sums, channel, filters, channels, first_sample, samples, moments):
    """Add to `moments` what `pool_and_sum` left in `sums`, in double precision.

    With r = first + d, the sum of r^2 is n first^2 + 2 first sum(d) + sum(d^2).
    """
    n = f64(STREAM_POOL * SIDE)
    for c in range(channel, channel + filters):
        for lane in range(samples):
            first = f64(sums[c * LANES + lane])
            total = f64(sums[(channels + c) * LANES + lane])
            squares = f64(sums[(2 * channels + c) * LANES + lane])
            moments[first_sample + lane, c] += n * first + total
            moments[first_sample + lane, channels + c] += n * first * first + f64(2) * first * total + squares


@compiled()
def normalise(shape, constants, theta, moments, moving, means, inverses, slope, offset):
    """Batch normalisation, from the sums of each sample: a response r becomes r x `slope` + `offset`.

    All but the first four are written, (channels,) each: also the means, and the inverses of the standard deviations.
    The moving statistics are updated.
    """
    channels = shape.channels
    count = f64(len(moments)) * f64(SIDE * SIDE)
    c = 0
    for s in range(len(shape.filters)):
        for f in range(shape.filters[s]):
            total = f64(0)
            squares = f64(0)
            for i in range(len(moments)):
                total += moments[i, c]
                squares += moments[i, channels + c]
            mean = total / count
            variance = max(squares / count - mean * mean, f64(0))
            means[c] = f32(mean)
            inverses[c] = f32(f64(1) / math.sqrt(variance + f64(constants.epsilon)))
            slope[c] = theta[shape.gammas[s] + f] * inverses[c]
            offset[c] = theta[shape.betas[s] + f] - means[c] * slope[c]
            moving[0, c] = moving[0, c] * constants.momentum + means[c] * (f32(1) - constants.momentum)
            moving[1, c] = moving[1, c] * constants.momentum + f32(variance) * (f32(1) - constants.momentum)
            c += 1


@compiled(inline="always")
def join(pooled, masks, slope, offset, channels, joined):
    """The input of the head: the pooled responses, normalised (times `slope` plus `offset`), times the masks."""
    for y in range(POOLED):
        for x in range(POOLED):
            for c in range(channels):
                at = ((y * POOLED + x) * channels + c) * LANES
                value = fma(load(pooled, at), spread(slope, c), spread(offset, c)) * load(masks, at)
                store(joined, (((y + BORDER) * WIDE_POOLED + x + BORDER) * channels + c) * LANES, value)


@compiled()
def classify(outputs, n_outputs, lane):
    """Softmax over the outputs of one lane, in place."""
    largest = outputs[lane]
    for o in range(1, n_outputs):
        largest = max(largest, outputs[o * LANES + lane])
    total = f64(0)
    for o in range(n_outputs):
        outputs[o * LANES + lane] = f32(math.exp(f64(outputs[o * LANES + lane]) - f64(largest)))
        total += outputs[o * LANES + lane]
    for o in range(n_outputs):
        outputs[o * LANES + lane] = f32(outputs[o * LANES + lane] / total)


@compiled()
def judge(outputs, shape, targets, first, samples, batch):
    """Turn the outputs of a group into gradients of the loss, and return the sums of its loss and of its metric.

    The loss is that of each sample, without regularisation; the metric the absolute error, or 1 for a right class.
    """
    loss = f64(0)
    metric = f64(0)
    for lane in range(samples):
        if shape.classifies:
            classify(outputs, shape.outputs, lane)
            best = 0
            wanted = 0
            for o in range(shape.outputs):
                if outputs[o * LANES + lane] > outputs[best * LANES + lane]:
                    best = o
                if targets[first + lane, o] > targets[first + lane, wanted]:
                    wanted = o
            loss -= math.log(max(f64(outputs[wanted * LANES + lane]), 1e-30))
            metric += f64(1) if best == wanted else f64(0)
            for o in range(shape.outputs):
                difference = outputs[o * LANES + lane] - targets[first + lane, o]
                outputs[o * LANES + lane] = difference / f32(batch)
        else:
            difference = outputs[lane] - targets[first + lane, 0]
            loss += f64(difference) * f64(difference)
            metric += abs(f64(difference))
            outputs[lane] = f32(2) * difference / f32(batch)
    for lane in range(samples, LANES):
        for o in range(shape.outputs):
            outputs[o * LANES + lane] = f32(0)
    return loss, metric


@compiled()
def add_regularisation(theta, start, size, factor, gradient):
    """Add the gradient of factor * sum of squares of some parameters; returns that sum times the factor."""
    total = f64(0)
    for i in range(start, start + size):
        total += f64(theta[i]) * f64(theta[i])
        gradient[i] += f32(2) * factor * theta[i]
    return f64(factor) * total


@compiled(inline="always")
def regularise(shape, constants, theta, gradient):
    """The L2 regularisation of all kernels of convolutions: adds its gradient, returns its loss."""
    loss = add_regularisation(
        theta, shape.head_kernel, TAPS * shape.channels * HEAD_FILTERS, constants.head_l2, gradient
    )
    for s in range(len(shape.filters)):
        loss += add_regularisation(theta, shape.kernels[s], TAPS * shape.filters[s], constants.stream_l2, gradient)
    return loss


@compiled()
def signs_of_gammas(shape, theta, signs):
    """-1 for each channel whose gamma is negative, else 1."""
    c = 0
    for s in range(len(shape.filters)):
        for f in range(shape.filters[s]):
            signs[c] = f32(-1) if theta[shape.gammas[s] + f] < f32(0) else f32(1)
            c += 1


@compiled(inline="always")
def learn(shape, constants, theta, moving, features, channels_of, indices, targets, bits, gradient, room):
    """One step: the gradient of the loss of a batch.

    Parameters
    ----------
    shape : Shape
    constants : Constants
    theta : ndarray, (size,), float32
        All parameters.
    moving : ndarray, (2, channels), float32
        Moving means and variances of batch normalisation. They are updated.
    features : ndarray, (n, 42, 42, 3), float32; without streams (n, 14, 14, channels)
    channels_of : ndarray of int64, (streams,)
        Which channel of `features` is each stream's.
    indices : ndarray of int64, (batch,)
        The samples of the batch in `features`.
    targets : ndarray, (batch, outputs), float32
    bits : ndarray of uint16, ((14 x 14 x channels + 392) x batch,)
        Random numbers of the dropout.
    gradient : ndarray, (size,), float32
        The result.
    room : Room

    Returns
    -------
    loss, regularisation, metric : float
        Sum of the samples' losses, the regularisation, sum of the metric: see `judge`.
    """
    n = len(indices)
    groups = (n + LANES - 1) // LANES
    streams = len(shape.filters)
    channels = shape.channels
    pooled_size = POOLED * POOLED * channels
    gradient[:] = f32(0)
    slope = np.ones(channels, np.float32)
    offset = np.zeros(channels, np.float32)
    means = np.zeros(channels, np.float32)
    inverses = np.ones(channels, np.float32)
    count = f64(n) * f64(SIDE * SIDE)
    if streams:
        take_images(features, indices, channels_of, room.images, streams)
        pad_kernels(shape, theta, room)
        signs = np.empty(channels, np.float32)
        signs_of_gammas(shape, theta, signs)
        moments = np.zeros((n, 2 * channels), np.float64)
        for g in range(groups):
            respond_group(shape, theta, signs, room, g, True, min(LANES, n - g * LANES), moments)
        normalise(shape, constants, theta, moments, moving, means, inverses, slope, offset)
    else:
        take_pooled(features, indices, room.pooled, channels)
    turn_head_kernel(shape, theta, room.turned)
    wide = padded(channels)
    head_kernel = theta[shape.head_kernel : shape.head_bias]
    head_bias = theta[shape.head_bias : shape.head_bias + HEAD_FILTERS]
    dense_kernel = theta[shape.dense_kernel : shape.dense_bias]
    dense_bias = theta[shape.dense_bias : shape.dense_bias + shape.outputs]
    loss = f64(0)
    metric = f64(0)
    gamma_totals = np.zeros(channels, np.float64)
    beta_totals = np.zeros(channels, np.float64)
    for g in range(groups):
        first = g * LANES
        samples = min(LANES, n - first)
        pooled = room.pooled[g * pooled_size * LANES : (g + 1) * pooled_size * LANES]
        draw_masks(bits, first, samples, constants.stream_dropout, room.stream_masks, 0, pooled_size, n)
        draw_masks(bits, first, samples, constants.head_dropout, room.head_masks, pooled_size, FLAT, n)
        join(pooled, room.stream_masks, slope, offset, channels, room.joined)
        convolve_and_pool(room.joined, channels, head_kernel, head_bias, room.rows, room.peaks, room.top_places)
        for i in range(0, FLAT * LANES, LANES):
            store(room.tops, i, load(room.peaks, i) * load(room.head_masks, i))
        connect(room.tops, dense_kernel, dense_bias, shape.outputs, room.outputs)
        of_group = judge(room.outputs, shape, targets, first, samples, n)
        loss += of_group[0]
        metric += of_group[1]
        add_dense_gradient(
            room.tops, room.outputs, shape.outputs, samples,
            gradient[shape.dense_kernel : shape.dense_bias],
            gradient[shape.dense_bias : shape.dense_bias + shape.outputs],
        )  # fmt: skip
        room.sums[:] = f32(0)
        room.kernel_sums[:] = f32(0)
        convolution_slopes(
            room.outputs, dense_kernel, shape.outputs, room.head_masks, room.peaks, room.top_places, room.slopes,
            room.sums,
        )  # fmt: skip
        add_head_gradient(room.joined, channels, room.slopes, room.kernel_sums)
        sum_over_lanes(
            room.kernel_sums, TAPS * channels * HEAD_FILTERS, samples, gradient[shape.head_kernel : shape.head_bias]
        )
        sum_over_lanes(room.sums, HEAD_FILTERS, samples, gradient[shape.head_bias : shape.head_bias + HEAD_FILTERS])
        if streams:
            joined_slopes = room.joined_slopes[g * pooled_size * LANES : (g + 1) * pooled_size * LANES]
            slopes_of_joined(room.slopes, room.turned, wide, channels, joined_slopes)
            room.sums[:] = f32(0)
            for p in range(POOLED * POOLED):
                for c in range(channels):
                    at = (p * channels + c) * LANES
                    value = load(joined_slopes, at) * load(room.stream_masks, at)
                    store(joined_slopes, at, value)
                    normal = (load(pooled, at) - spread(means, c)) * spread(inverses, c)
                    store(room.sums, c * LANES, load(room.sums, c * LANES) + value)
                    to = (channels + c) * LANES
                    store(room.sums, to, fma(value, normal, load(room.sums, to)))
            sum_over_lanes(room.sums, channels, samples, beta_totals)
            sum_over_lanes(room.sums[channels * LANES :], channels, samples, gamma_totals)
    if streams:
        back = np.empty(4 * channels, np.float32)
        c = 0
        for s in range(streams):
            for f in range(shape.filters[s]):
                gradient[shape.gammas[s] + f] = f32(gamma_totals[c])
                gradient[shape.betas[s] + f] = f32(beta_totals[c])
                back[c] = slope[c]
                back[channels + c] = f32(f64(slope[c]) * beta_totals[c] / count)
                back[2 * channels + c] = f32(f64(slope[c]) * f64(inverses[c]) * gamma_totals[c] / count)
                back[3 * channels + c] = means[c]
                c += 1
        add_stream_gradients(shape, room, n, back, gradient)
    return loss, regularise(shape, constants, theta, gradient), metric


@compiled(inline="always")
def add_stream_gradients(shape, room, n, back, gradient):
    """Add the gradients of the kernels and biases of all streams."""
    streams = len(shape.filters)
    pooled_size = POOLED * POOLED * shape.channels * LANES
    base = 0
    for g in range((n + LANES - 1) // LANES):
        samples = min(LANES, n - g * LANES)
        slopes = room.joined_slopes[g * pooled_size : (g + 1) * pooled_size]
        places = room.places[g * pooled_size : (g + 1) * pooled_size]
        channel = 0
        for s in range(streams):
            filters, wide = shape.filters[s], shape.wide[s]
            size = SIDE * SIDE * wide * LANES
            room.kernel_sums[:] = f32(0)
            room.sums[:] = f32(0)
            room.stream_row[:] = f32(0)
            add_stream_gradient(
                room.images[(g * streams + s) * IMAGE : (g * streams + s + 1) * IMAGE],
                room.responses[base : base + size],
                wide, filters, channel, shape.channels, slopes, places, back,
                room.stream_row, room.kernel_sums, room.sums,
            )  # fmt: skip
            for tap in range(TAPS):
                of_tap = shape.kernels[s] + tap * filters
                sum_over_lanes(
                    room.kernel_sums[tap * wide * LANES :], filters, samples, gradient[of_tap : of_tap + filters]
                )
            sum_over_lanes(room.sums, filters, samples, gradient[shape.biases[s] : shape.biases[s] + filters])
            base += size
            channel += filters


@compiled(inline="always")
def adam(theta, gradient, means, squares, step, learning_rate, beta1, beta2, epsilon):
    """A step of Adam (Kingma and Ba 2015), as Keras computes it; `step` counts from 1."""
    rate = f32(f64(learning_rate) * math.sqrt(1 - f64(beta2) ** step) / (1 - f64(beta1) ** step))
    for i in range(len(theta)):
        means[i] += (gradient[i] - means[i]) * (f32(1) - beta1)
        squares[i] += (gradient[i] * gradient[i] - squares[i]) * (f32(1) - beta2)
        theta[i] -= means[i] * rate / (np.sqrt(squares[i]) + epsilon)


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


@compiled(inline="always")
def outputs(shape, thetas, signs, slopes, offsets, features, channels_of, heads, streams_result, room):
    """The outputs of several networks for the same samples.

    Parameters
    ----------
    shape : Shape
        Of the streams of each network.
    thetas : ndarray, (networks, size), float32
        Parameters of the streams.
    signs, slopes, offsets : ndarray, (networks, channels), float32
        Batch normalisation with the moving statistics: a response times `slopes` plus `offsets`; and signs of `slopes`.
    features, channels_of
        See `learn`.
    heads : tuple of Head
        Not empty.
    streams_result : ndarray, (n, 14, 14, channels), float32
        The outputs of the first network's streams are written here, unless it is empty.
    room : Room
    """
    n = len(features)
    channels = shape.channels
    no_moments = np.empty((0, 0), np.float64)
    room.stream_masks[:] = f32(1)
    for first in range(0, n, LANES):
        samples = min(LANES, n - first)
        take_images(features, np.arange(first, first + samples), channels_of, room.images, len(shape.filters))
        for network in range(len(thetas)):
            pad_kernels(shape, thetas[network], room)
            respond_group(shape, thetas[network], signs[network], room, 0, False, samples, no_moments)
            join(room.pooled, room.stream_masks, slopes[network], offsets[network], channels, room.joined)
            if network == 0 and len(streams_result):
                for lane in range(samples):
                    for y in range(POOLED):
                        for x in range(POOLED):
                            at = ((y + BORDER) * WIDE_POOLED + x + BORDER) * channels * LANES + lane
                            for c in range(channels):
                                streams_result[first + lane, y, x, c] = room.joined[at + c * LANES]
            for head in heads:
                n_outputs = head.result.shape[2]
                convolve_and_pool(
                    room.joined, channels, head.kernels[network], head.biases[network], room.rows, room.peaks,
                    room.top_places,
                )  # fmt: skip
                connect_by_rows(
                    room.peaks, head.dense_kernels[network], head.dense_biases[network], n_outputs, room.outputs
                )
                for lane in range(samples):
                    if head.classifies:
                        classify(room.outputs, n_outputs, lane)
                    for o in range(n_outputs):
                        head.result[network, first + lane, o] = room.outputs[o * LANES + lane]
