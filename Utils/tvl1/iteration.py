"""The inner iterations: in each, the thresholding step (u) and the dual step (p), in place, in one sweep.

Everything is computed for `LANES` neighbouring pixels of a row side by side.
"""

import numpy as np

from Utils.tvl1.layout import (
    CHANGE,
    GRADIENT_FLOOR,
    HALF,
    INNER_ITERATIONS,
    LAMBDA_THETA,
    ONE,
    ONE_LEFT,
    ONE_RIGHT,
    P11,
    P12,
    P21,
    P22,
    RHO,
    ROW,
    TAU_THETA,
    THE_LANES,
    THETA,
    U1,
    U2,
    WARPED_X,
    WARPED_Y,
    ZERO,
    compiled,
    f32,
    f64,
    u64,
)
from Utils.work.lanes import LANES, any_differ, fill, fma, inverse_root, load, store, where_greater

# Share of the threshold within which the change is summed again, in the original's order: see `iterate`
NEAR_THRESHOLD = 2e-3
TINY = f32(2**-90)  # a smaller squared norm is taken for this one: see `quick_norm`
A_BIT_MORE, A_BIT_LESS = f32(1 + 2**-16), f32(1 - 2**-16)


@compiled(forceinline=True)
def update_flow(rows, i, is_first, first_lane):
    """Update u at `LANES` pixels: the thresholding step v(u), with three cases for rho, then u = v + theta div p.

    The original sums the divergence of column 0 in another order than that of the other columns. `first_lane` is 1 for
    this column, else 0; it is used if the pixels are the first of a row (`is_first`).

    Returns
    -------
    lanes
        The squared change of u.
    """
    zero = fill(ZERO)
    wx = load(rows, i + WARPED_X)
    wy = load(rows, i + WARPED_Y)
    u1 = load(rows, i + U1)
    u2 = load(rows, i + U2)
    rho = load(rows, i + RHO) + (wx * u1 + wy * u2)
    squared = wx * wx + wy * wy
    limit = fill(LAMBDA_THETA) * squared
    step = where_greater(squared, fill(GRADIENT_FLOOR), rho / squared, zero)
    step = where_greater(rho, limit, fill(LAMBDA_THETA), step)
    step = where_greater(-limit, rho, fill(-LAMBDA_THETA), step)
    p11, p12 = load(rows, i + P11), load(rows, i + P12)
    p21, p22 = load(rows, i + P21), load(rows, i + P22)
    above12, above22 = load(rows, i + P12 - ROW), load(rows, i + P22 - ROW)
    div1 = (p11 - load(rows, i + P11 - ONE_LEFT)) + (p12 - above12)
    div2 = (p21 - load(rows, i + P21 - ONE_LEFT)) + (p22 - above22)
    if is_first:
        div1 = where_greater(first_lane, zero, (p11 + p12) - above12, div1)
        div2 = where_greater(first_lane, zero, (p21 + p22) - above22, div2)
    new1 = (u1 - step * wx) + fill(THETA) * div1
    new2 = (u2 - step * wy) + fill(THETA) * div2
    change1 = new1 - u1
    change2 = new2 - u2
    change = change1 * change1 + change2 * change2
    store(rows, i + CHANGE, change)
    store(rows, i + U1, new1)
    store(rows, i + U2, new2)
    return change


@compiled(forceinline=True)
def smaller_first(a, b):
    return where_greater(a, b, b, a), where_greater(a, b, a, b)


@compiled(forceinline=True)
def quick_norm(dx, dy):
    """|(dx, dy)|, rounded as the original rounds it: in float64, then to float32.

    Two results are returned. If they are equal, they are right.

    That takes four times as long as a float32 root. `high + low` is dx^2 + dy^2 with a relative error of less than
    2^-44. `root` is nearly the root of `high`, from an estimate of 1 / root and one step of Newton's method. The whole
    sum minus root^2, times `half_inverse`, is what is missing to the exact norm. Where the norm is about halfway
    between two float32 numbers, `missing` has a relative error of less than 2^-18, which includes the second rounding
    of the original. So if the norm is rounded to the same number with a bit more of it (2^-16) and with a bit less,
    this number is right.

    If dx^2 + dy^2 is below 2^-80, float32 is too coarse for `low`. That does no harm, because 1 + tau/theta |grad u| is
    then 1 with any small number. `TINY` keeps the inverse finite.
    """
    square_x = dx * dx
    square_y = dy * dy
    high = square_x + square_y
    low = fma(dx, dx, -square_x) + fma(dy, dy, -square_y)
    smaller, larger = smaller_first(square_x, square_y)
    low = low + (smaller - (high - larger))
    high = where_greater(high, fill(TINY), high, fill(TINY))
    inverse = inverse_root(high)
    root = high * inverse
    half_inverse = fill(HALF) * inverse
    correction = fma(-root, half_inverse, fill(HALF))
    root = fma(root, correction, root)
    half_inverse = fma(half_inverse, correction, half_inverse)
    missing = (fma(-root, root, high) + low) * half_inverse
    return fma(missing, fill(A_BIT_MORE), root), fma(missing, fill(A_BIT_LESS), root)


@compiled()
def exact_norm(dx, dy, room):
    """|(dx, dy)| as the original computes it: in float64, then rounded to float32. `room` has place for 2 vectors."""
    store(room, u64(0), dx)
    store(room, THE_LANES, dy)
    for lane in range(LANES):
        x, y = f64(room[lane]), f64(room[LANES + lane])
        room[lane] = f32(np.sqrt(x * x + y * y))
    return load(room, u64(0))


@compiled(forceinline=True)
def update_dual(rows, i, is_last, has_right, has_below, room):
    """Update p at `LANES` pixels: the dual step p = (p + tau/theta grad u) / (1 + tau/theta |grad u|).

    `has_right` is 0 at the last column and beyond, else 1; it is used if the pixels are the last of a row (`is_last`).
    In the last row `has_below` is False.
    """
    u1, u2 = load(rows, i + U1), load(rows, i + U2)
    dx1 = load(rows, i + U1 + ONE_RIGHT) - u1
    dx2 = load(rows, i + U2 + ONE_RIGHT) - u2
    if is_last:
        dx1 = dx1 * has_right
        dx2 = dx2 * has_right
    dy1 = dy2 = fill(ZERO)
    if has_below:
        dy1 = load(rows, i + U1 + ROW) - u1
        dy2 = load(rows, i + U2 + ROW) - u2
    norm1, other1 = quick_norm(dx1, dy1)
    norm2, other2 = quick_norm(dx2, dy2)
    if any_differ(norm1, other1, norm2, other2):
        norm1 = exact_norm(dx1, dy1, room)
        norm2 = exact_norm(dx2, dy2, room)
    one, tau = fill(ONE), fill(TAU_THETA)
    n1, n2 = one + tau * norm1, one + tau * norm2
    store(rows, i + P11, (load(rows, i + P11) + tau * dx1) / n1)
    store(rows, i + P12, (load(rows, i + P12) + tau * dy1) / n1)
    store(rows, i + P21, (load(rows, i + P21) + tau * dx2) / n2)
    store(rows, i + P22, (load(rows, i + P22) + tau * dy2) / n2)


@compiled()
def sum_change_in_order(rows, size):
    """Sum of the squared changes of all pixels, added one after the other in float32, as the original does it."""
    total = ZERO
    row = ROW
    for _ in range(size):
        for x in range(size):
            total = total + rows[row + CHANGE + x]
        row = row + ROW
    return total


@compiled()
def iterate(rows, has_right, room, size, threshold):
    """Iterate until the change is at most `threshold`, or `INNER_ITERATIONS` times. Returns (number, last change).

    The new u of row y needs the old dual field of rows y and y-1. The new dual field of row y-1 needs the new u of rows
    y-1 and y. So one sweep does both, with the dual field one row, and `LANES` pixels, behind: the processor can then
    work on both at once.

    The original's change is a running float32 sum of at most 128^2 terms, so it is wrong by a factor of at most
    1 +- 128^2 / 2^24 (0.1 %). The estimate here, a sum for each lane, is nearer. The order can only matter if the
    estimate is nearer to the threshold than 0.2 % (`NEAR_THRESHOLD`). Only then the sum is computed again as the
    original computes it.
    """
    low = f64(threshold) * (1 - NEAR_THRESHOLD)
    high = f64(threshold) * (1 + NEAR_THRESHOLD)
    last = u64((size - 1) // LANES) * THE_LANES
    right = load(has_right, last)
    room[:] = ZERO
    room[0] = ONE
    first_lane = load(room, u64(0))
    iterations = 0
    while True:
        row = ROW
        changes = update_flow(rows, row, True, first_lane)
        for x in range(THE_LANES, last + THE_LANES, THE_LANES):
            changes = changes + update_flow(rows, row + x, False, first_lane)
        for _ in range(1, size):
            above = row
            row = row + ROW
            changes = changes + update_flow(rows, row, True, first_lane)
            for x in range(THE_LANES, last + THE_LANES, THE_LANES):
                changes = changes + update_flow(rows, row + x, False, first_lane)
                update_dual(rows, above + x - THE_LANES, False, right, True, room)
            update_dual(rows, above + last, True, right, True, room)
        for x in range(u64(0), last, THE_LANES):
            update_dual(rows, row + x, False, right, False, room)
        update_dual(rows, row + last, True, right, False, room)
        iterations += 1
        store(room, u64(0), changes)
        change = f64(0)
        for lane in range(LANES):
            change += f64(room[lane])
        if change > low and change < high:
            change = f64(sum_change_in_order(rows, size))
        if iterations >= INNER_ITERATIONS or not change > f64(threshold):
            return iterations, change
