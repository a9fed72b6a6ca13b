"""Brings samples, masks and kernels into the layout of the buffers."""

from __future__ import annotations

from Utils.engine.layout import BORDER, HEAD_FILTERS, KERNEL, POOLED, SIDE, TAPS, WIDE, compiled, f32, padded
from Utils.work.lanes import LANES

IMAGE = WIDE * WIDE * LANES  # floats of an image, with its border
RANDOM_NUMBERS = 2**16  # that a mask is drawn from


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
