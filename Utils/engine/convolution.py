"""The two inner loops of a 5x5 convolution, on buffers of `layout.py`: its output, and the gradient of its kernel.

The loops take a window of five rows. In a row, the numbers that a position uses are next to each other: 5 columns x
channels of them, called `terms` (and times `LANES` in floats).
"""

from __future__ import annotations

from Utils.engine.layout import KERNEL, compiled, f32
from Utils.work.lanes import LANES, broadcast, fill, fma, load, store


@compiled(forceinline=True)
def correlate(image, start, row, step, terms, kernel, first, filters):
    """The outputs of four filters at two positions: (a0, a1, a2, a3, b0, b1, b2, b3), without bias.

    Parameters
    ----------
    image : array
    start : int
        Where the window of the first position begins in `image`, floats.
    row, step : int
        From one row to the next, and from one position to the next, floats.
    terms : int
        5 x channels.
    kernel : array
        The kernel as (5 rows, terms, filters).
    first, filters : int
        The first of the four filters, and the number of all filters.
    """
    a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = fill(f32(0))
    at = first
    for y in range(KERNEL):
        i = start + y * row
        for _ in range(terms):
            a = load(image, i)
            b = load(image, i + step)
            w = broadcast(kernel, at)
            a0 = fma(a, w, a0)
            b0 = fma(b, w, b0)
            w = broadcast(kernel, at + 1)
            a1 = fma(a, w, a1)
            b1 = fma(b, w, b1)
            w = broadcast(kernel, at + 2)
            a2 = fma(a, w, a2)
            b2 = fma(b, w, b2)
            w = broadcast(kernel, at + 3)
            a3 = fma(a, w, a3)
            b3 = fma(b, w, b3)
            at += filters
            i += LANES
    return a0, a1, a2, a3, b0, b1, b2, b3


@compiled(forceinline=True)
def add_kernel_gradient(image, start, step, gradients, gradient, gradient_step, positions, sums, to, filters):
    """Add what one row of positions contributes to the gradient of five terms and two filters of a kernel.

    Parameters
    ----------
    image : array
    start, step : int
        Where the first of the five terms of the first position is in `image`, and from one position to the next.
    gradients : array
        Gradients of the output.
    gradient, gradient_step : int
        Where that of the first position and filter is in `gradients`, and from one position to the next.
    positions : int
    sums : array
        The gradient of the kernel as (terms, filters), each lane on its own.
    to, filters : int
        Where the first term and filter is in `sums`, floats; and the number of all filters.
    """
    next_term = filters * LANES
    t0, t1, t2, t3, t4 = to, to + next_term, to + 2 * next_term, to + 3 * next_term, to + 4 * next_term
    a0, a1, a2, a3, a4 = load(sums, t0), load(sums, t1), load(sums, t2), load(sums, t3), load(sums, t4)
    b0, b1, b2, b3, b4 = (
        load(sums, t0 + LANES),
        load(sums, t1 + LANES),
        load(sums, t2 + LANES),
        load(sums, t3 + LANES),
        load(sums, t4 + LANES),
    )
    for _ in range(positions):
        a = load(gradients, gradient)
        b = load(gradients, gradient + LANES)
        x = load(image, start)
        a0 = fma(x, a, a0)
        b0 = fma(x, b, b0)
        x = load(image, start + LANES)
        a1 = fma(x, a, a1)
        b1 = fma(x, b, b1)
        x = load(image, start + 2 * LANES)
        a2 = fma(x, a, a2)
        b2 = fma(x, b, b2)
        x = load(image, start + 3 * LANES)
        a3 = fma(x, a, a3)
        b3 = fma(x, b, b3)
        x = load(image, start + 4 * LANES)
        a4 = fma(x, a, a4)
        b4 = fma(x, b, b4)
        start += step
        gradient += gradient_step
    store(sums, t0, a0)
    store(sums, t1, a1)
    store(sums, t2, a2)
    store(sums, t3, a3)
    store(sums, t4, a4)
    store(sums, t0 + LANES, b0)
    store(sums, t1 + LANES, b1)
    store(sums, t2 + LANES, b2)
    store(sums, t3 + LANES, b3)
    store(sums, t4 + LANES, b4)


@compiled()
def sum_over_lanes(lane_sums, n, samples, totals):
    """Add the first `samples` lanes of each of n vectors to `totals`, one after the other."""
    for i in range(n):
        total = totals[i]
        for lane in range(samples):
            total += lane_sums[i * LANES + lane]
        totals[i] = total
