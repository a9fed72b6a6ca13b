"""One training step, and the outputs of some samples.

`cached.py` has them with a cache on disk.
"""

from __future__ import annotations

import math

import numpy as np

from Utils.engine.convolution import sum_over_lanes
from Utils.engine.head import (
    add_dense_gradient,
    add_head_gradient,
    convolve_and_pool,
    dense,
    dense_by_rows,
    gradient_of_convolution,
    gradient_of_joined,
)
from Utils.engine.inputs import IMAGE, draw_masks, pad_kernels, take_images, take_pooled, turn_head_kernel
from Utils.engine.layout import (
    BORDER,
    FLAT,
    HEAD_FILTERS,
    POOLED,
    SIDE,
    STREAM_POOL,
    TAPS,
    WIDE_POOLED,
    compiled,
    f32,
    f64,
    padded,
)
from Utils.engine.loss import classify, loss_of_group, regularise
from Utils.engine.normalisation import (
    add_gamma_and_beta_gradient,
    add_moments,
    finish_normalisation,
    join,
    normalise,
    signs_of_gammas,
)
from Utils.engine.streams import add_stream_gradient, convolve_row, pool, pool_and_sum
from Utils.work.lanes import LANES, load, store


@compiled(inline="always")
def convolve_streams(shape, theta, signs, room, group, trained, samples, moments):
    """The streams of a group: activations, pooled activations, and in training their argmax.

    In training the sums of the activations and of their squares, for each of the `samples` of the group, are added to
    `moments`, (samples of the batch, 2 x channels) float64.
    """
    streams = len(shape.filters)
    pooled_size = POOLED * POOLED * shape.channels * LANES
    all_wide = 0
    for s in range(streams):
        all_wide += shape.wide[s]
    pooled = room.pooled[group * pooled_size : (group + 1) * pooled_size]
    argmax = room.argmax[group * pooled_size : (group + 1) * pooled_size]
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
                convolve_row(image, kernel, bias, wide, y * STREAM_POOL + k, room.activations, to + k * line)
            rows = room.activations[to : to + STREAM_POOL * line]
            if trained:
                pool_and_sum(rows, wide, filters, signs, channel, shape.channels, y, pooled, argmax, room.sums)
                add_moments(room.sums, channel, filters, shape.channels, group * LANES, samples, moments)
            else:
                pool(rows, wide, filters, signs, channel, shape.channels, y, pooled)
        at += (TAPS + 1) * wide
        channel += filters
        base += SIDE * line


@compiled(inline="always")
def learn_head(shape, constants, theta, pooled, scale, shift, first, samples, targets, bits, gradient, room):
    """The head for a group: its outputs, and the gradients of its parameters, which are added.

    The group is the `samples` samples from number `first` of the batch, `pooled` what its streams' pooling gave. See
    `learn` for the others. Returns the sums of the samples' losses and of the metric.
    """
    n = len(targets)
    channels = shape.channels
    pooled_size = POOLED * POOLED * channels
    dense_kernel = theta[shape.dense_kernel : shape.dense_bias]
    draw_masks(bits, first, samples, constants.stream_dropout, room.stream_masks, 0, pooled_size, n)
    draw_masks(bits, first, samples, constants.head_dropout, room.head_masks, pooled_size, FLAT, n)
    join(pooled, room.stream_masks, scale, shift, channels, room.joined)
    convolve_and_pool(
        room.joined, channels, theta[shape.head_kernel : shape.head_bias],
        theta[shape.head_bias : shape.head_bias + HEAD_FILTERS], room.rows, room.maxima, room.top_argmax,
    )  # fmt: skip
    for i in range(0, FLAT * LANES, LANES):
        store(room.flat, i, load(room.maxima, i) * load(room.head_masks, i))
    dense(
        room.flat, dense_kernel, theta[shape.dense_bias : shape.dense_bias + shape.outputs], shape.outputs, room.outputs
    )
    of_group = loss_of_group(room.outputs, shape, targets, first, samples, n)
    add_dense_gradient(
        room.flat, room.outputs, shape.outputs, samples,
        gradient[shape.dense_kernel : shape.dense_bias],
        gradient[shape.dense_bias : shape.dense_bias + shape.outputs],
    )  # fmt: skip
    room.sums[:] = f32(0)
    room.kernel_sums[:] = f32(0)
    gradient_of_convolution(
        room.outputs, dense_kernel, shape.outputs, room.head_masks, room.maxima, room.top_argmax, room.gradients,
        room.sums,
    )  # fmt: skip
    add_head_gradient(room.joined, channels, room.gradients, room.kernel_sums)
    sum_over_lanes(
        room.kernel_sums, TAPS * channels * HEAD_FILTERS, samples, gradient[shape.head_kernel : shape.head_bias]
    )
    sum_over_lanes(room.sums, HEAD_FILTERS, samples, gradient[shape.head_bias : shape.head_bias + HEAD_FILTERS])
    return of_group


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
        Sum of the samples' losses, the regularisation, sum of the metric: see `loss_of_group`.
    """
    n = len(indices)
    groups = (n + LANES - 1) // LANES
    streams = len(shape.filters)
    channels = shape.channels
    pooled_size = POOLED * POOLED * channels * LANES
    gradient[:] = f32(0)
    scale = np.ones(channels, np.float32)
    shift = np.zeros(channels, np.float32)
    means = np.zeros(channels, np.float32)
    inverses = np.ones(channels, np.float32)
    if streams:
        take_images(features, indices, channels_of, room.images, streams)
        pad_kernels(shape, theta, room)
        signs = np.empty(channels, np.float32)
        signs_of_gammas(shape, theta, signs)
        moments = np.zeros((n, 2 * channels), np.float64)
        for g in range(groups):
            convolve_streams(shape, theta, signs, room, g, True, min(LANES, n - g * LANES), moments)
        normalise(shape, constants, theta, moments, moving, means, inverses, scale, shift)
    else:
        take_pooled(features, indices, room.pooled, channels)
    turn_head_kernel(shape, theta, room.turned)
    loss = f64(0)
    metric = f64(0)
    gammas = np.zeros(channels, np.float64)
    betas = np.zeros(channels, np.float64)
    for g in range(groups):
        first = g * LANES
        samples = min(LANES, n - first)
        pooled = room.pooled[g * pooled_size : (g + 1) * pooled_size]
        of_group = learn_head(
            shape, constants, theta, pooled, scale, shift, first, samples, targets, bits, gradient, room
        )
        loss += of_group[0]
        metric += of_group[1]
        if streams:
            joined_gradient = room.joined_gradient[g * pooled_size : (g + 1) * pooled_size]
            gradient_of_joined(room.gradients, room.turned, padded(channels), channels, joined_gradient)
            add_gamma_and_beta_gradient(
                pooled, joined_gradient, room.stream_masks, means, inverses, channels, samples, room.sums, gammas, betas
            )
    if streams:
        back = np.empty(4 * channels, np.float32)
        finish_normalisation(shape, n, scale, inverses, means, gammas, betas, gradient, back)
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
        gradients = room.joined_gradient[g * pooled_size : (g + 1) * pooled_size]
        argmax = room.argmax[g * pooled_size : (g + 1) * pooled_size]
        channel = 0
        for s in range(streams):
            filters, wide = shape.filters[s], shape.wide[s]
            size = SIDE * SIDE * wide * LANES
            room.kernel_sums[:] = f32(0)
            room.sums[:] = f32(0)
            room.stream_row[:] = f32(0)
            add_stream_gradient(
                room.images[(g * streams + s) * IMAGE : (g * streams + s + 1) * IMAGE],
                room.activations[base : base + size],
                wide, filters, channel, shape.channels, gradients, argmax, back,
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


@compiled(inline="always")
def outputs(shape, thetas, signs, scales, shifts, features, channels_of, heads, streams_result, room):
    """The outputs of several networks for the same samples.

    Parameters
    ----------
    shape : Shape
        Of the streams of each network.
    thetas : ndarray, (networks, size), float32
        Parameters of the streams.
    signs, scales, shifts : ndarray, (networks, channels), float32
        Batch normalisation with the moving statistics: an activation times `scales` plus `shifts`; and the signs of
        `scales`.
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
            convolve_streams(shape, thetas[network], signs[network], room, 0, False, samples, no_moments)
            join(room.pooled, room.stream_masks, scales[network], shifts[network], channels, room.joined)
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
                    room.joined, channels, head.kernels[network], head.biases[network], room.rows, room.maxima,
                    room.top_argmax,
                )  # fmt: skip
                dense_by_rows(
                    room.maxima, head.dense_kernels[network], head.dense_biases[network], n_outputs, room.outputs
                )
                for lane in range(samples):
                    if head.classifies:
                        classify(room.outputs, n_outputs, lane)
                    for o in range(n_outputs):
                        head.result[network, first + lane, o] = room.outputs[o * LANES + lane]
