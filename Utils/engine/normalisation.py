"""Batch normalisation: its statistics, what it does to activations, and its gradient."""

from __future__ import annotations

import math

from Utils.engine.convolution import sum_over_lanes
from Utils.engine.layout import BORDER, POOLED, SIDE, STREAM_POOL, WIDE_POOLED, compiled, f32, f64
from Utils.work.lanes import LANES, broadcast, fma, load, store


@compiled()
def signs_of_gammas(shape, theta, signs):
    """-1 for each channel whose gamma is negative, else 1."""
    c = 0
    for s in range(len(shape.filters)):
        for f in range(shape.filters[s]):
            signs[c] = f32(-1) if theta[shape.gammas[s] + f] < f32(0) else f32(1)
            c += 1


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
def normalise(shape, constants, theta, moments, moving, means, inverses, scale, shift):
    """Batch normalisation, from the sums of each sample: an activation r becomes r x `scale` + `shift`.

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
            scale[c] = theta[shape.gammas[s] + f] * inverses[c]
            shift[c] = theta[shape.betas[s] + f] - means[c] * scale[c]
            moving[0, c] = moving[0, c] * constants.momentum + means[c] * (f32(1) - constants.momentum)
            moving[1, c] = moving[1, c] * constants.momentum + f32(variance) * (f32(1) - constants.momentum)
            c += 1


@compiled(inline="always")
def join(pooled, masks, scale, shift, channels, joined):
    """The input of the head: the pooled activations, normalised (times `scale` plus `shift`), times the masks."""
    for y in range(POOLED):
        for x in range(POOLED):
            for c in range(channels):
                at = ((y * POOLED + x) * channels + c) * LANES
                value = fma(load(pooled, at), broadcast(scale, c), broadcast(shift, c)) * load(masks, at)
                store(joined, (((y + BORDER) * WIDE_POOLED + x + BORDER) * channels + c) * LANES, value)


@compiled(inline="always")
def add_gamma_and_beta_gradient(
    pooled, joined_gradient, masks, means, inverses, channels, samples, sums, gammas, betas
):
    """Add the gradients of gamma and beta, from those of `join`'s result, which are multiplied by the masks in place.

    `gammas` and `betas`, (channels,) float64, are the sums over all samples so far; `sums` is room for vectors.
    """
    sums[:] = f32(0)
    for p in range(POOLED * POOLED):
        for c in range(channels):
            at = (p * channels + c) * LANES
            value = load(joined_gradient, at) * load(masks, at)
            store(joined_gradient, at, value)
            normal = (load(pooled, at) - broadcast(means, c)) * broadcast(inverses, c)
            store(sums, c * LANES, load(sums, c * LANES) + value)
            to = (channels + c) * LANES
            store(sums, to, fma(value, normal, load(sums, to)))
    sum_over_lanes(sums, channels, samples, betas)
    sum_over_lanes(sums[channels * LANES :], channels, samples, gammas)


@compiled()
def finish_normalisation(shape, n, scale, inverses, means, gammas, betas, gradient, back):
    """Write the gradients of gamma and beta, and what `add_stream_gradient` needs, to `back`, (4 x channels,).

    `gammas` and `betas` are the sums over all n samples.
    """
    channels = shape.channels
    count = f64(n) * f64(SIDE * SIDE)
    c = 0
    for s in range(len(shape.filters)):
        for f in range(shape.filters[s]):
            gradient[shape.gammas[s] + f] = f32(gammas[c])
            gradient[shape.betas[s] + f] = f32(betas[c])
            back[c] = scale[c]
            back[channels + c] = f32(f64(scale[c]) * betas[c] / count)
            back[2 * channels + c] = f32(f64(scale[c]) * f64(inverses[c]) * gammas[c] / count)
            back[3 * channels + c] = means[c]
            c += 1
