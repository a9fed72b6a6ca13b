"""The inner iterations: in each, the thresholding step (u) and the dual step (p), in place, in one sweep."""

import numpy as np

from Utils.tvl1.layout import (
    CHANGE,
    GRADIENT_FLOOR,
    INNER_ITERATIONS,
    LAMBDA_THETA,
    LINE,
    LINE2,
    MINUS_LAMBDA_THETA,
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
    THETA,
    U1,
    U2,
    WARPED_X,
    WARPED_Y,
    ZERO,
    compiled,
    f32,
    f64,
    fma,
)

# Share of the threshold within which the change is summed again, in the original's order: see `iterate`
NEAR_THRESHOLD = 2e-3
OVER_HALF_UNIT = f32(2**-24 + 2**-47)  # times x: a bit more than half the distance from x to the next float32 number
UNCERTAIN = f32(2**-16)  # see `quick_norm`


@compiled()
def update_flow_columns(rows, row, width):
    """Update u in one row: the thresholding step v(u), with three cases for rho, then u = v + theta div p.

    The result for column 0 can be wrong in its last bit. `update_flow_row` corrects it.
    """
    above = row - ROW
    for x in range(width):
        i = row + x
        wx = rows[i + WARPED_X]
        wy = rows[i + WARPED_Y]
        u1 = rows[i + U1]
        u2 = rows[i + U2]
        rho = rows[i + RHO] + (wx * u1 + wy * u2)
        squared = wx * wx + wy * wy
        limit = LAMBDA_THETA * squared
        quotient = -rho / squared
        step = quotient if squared > GRADIENT_FLOOR else ZERO
        step = MINUS_LAMBDA_THETA if rho > limit else step
        step = LAMBDA_THETA if rho < -limit else step
        div1 = (rows[i + P11] - rows[i + P11 - ONE_LEFT]) + (rows[i + P12] - rows[above + x + P12])
        div2 = (rows[i + P21] - rows[i + P21 - ONE_LEFT]) + (rows[i + P22] - rows[above + x + P22])
        new1 = (u1 + step * wx) + THETA * div1
        new2 = (u2 + step * wy) + THETA * div2
        change1 = new1 - u1
        change2 = new2 - u2
        rows[i + CHANGE] = change1 * change1 + change2 * change2
        rows[i + U1] = new1
        rows[i + U2] = new2


@compiled(fastmath=True)
def estimate_change(rows, row, width):
    """Sum of the squared changes in one row, added in any order. It is an estimate: see `iterate`."""
    total = f64(0)
    for x in range(width):
        total += f64(rows[row + CHANGE + x])
    return total


@compiled()
def update_flow_row(rows, row, width):
    """Update u in one row; returns the estimate of its change.

    The original sums the divergence of column 0 in another order than that of the other columns. So column 0 is
    computed apart, and written over the result of the vectorised loop.
    """
    above = row - ROW
    wx = rows[row + WARPED_X]
    wy = rows[row + WARPED_Y]
    u1 = rows[row + U1]
    u2 = rows[row + U2]
    rho = rows[row + RHO] + (wx * u1 + wy * u2)
    squared = wx * wx + wy * wy
    limit = LAMBDA_THETA * squared
    step = -rho / squared if squared > GRADIENT_FLOOR else ZERO
    step = MINUS_LAMBDA_THETA if rho > limit else step
    step = LAMBDA_THETA if rho < -limit else step
    div1 = (rows[row + P11] + rows[row + P12]) - rows[above + P12]
    div2 = (rows[row + P21] + rows[row + P22]) - rows[above + P22]
    new1 = (u1 + step * wx) + THETA * div1
    new2 = (u2 + step * wy) + THETA * div2
    change1 = new1 - u1
    change2 = new2 - u2
    update_flow_columns(rows, row, width)
    rows[row + CHANGE] = change1 * change1 + change2 * change2
    rows[row + U1] = new1
    rows[row + U2] = new2
    return estimate_change(rows, row, width)


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


@compiled(forceinline=True)
def gradients(rows, i, has_right, has_below):
    """The differences of u1 and u2 at place `i` to the right and below: (dx1, dy1, dx2, dy2).

    The factors `has_right` and `has_below` are 1 or 0. They make the differences 0 at the last column and row.
    """
    u1 = rows[i + U1]
    u2 = rows[i + U2]
    dx1 = (rows[i + U1 + ONE_RIGHT] - u1) * has_right
    dx2 = (rows[i + U2 + ONE_RIGHT] - u2) * has_right
    dy1 = (rows[i + U1 + ROW] - u1) * has_below
    dy2 = (rows[i + U2 + ROW] - u2) * has_below
    return dx1, dy1, dx2, dy2


@compiled()
def exact_norm(dx, dy):
    """|(dx, dy)| as the original computes it: in float64, then rounded to float32."""
    return f32(np.sqrt(f64(dx) * f64(dx) + f64(dy) * f64(dy)))


@compiled(forceinline=True)
def quick_norm(dx, dy):
    """The same norm computed in float32, and whether it could differ from `exact_norm`.

    A float64 root takes four times as long as a float32 root. `high + low` is dx^2 + dy^2 with a relative error of less
    than 2^-44. The correctly rounded norm is the root of `high`, or the float32 number just above or below it (`up`,
    `down`). It is `up` if the whole sum exceeds (root + (up - root) / 2)^2. That is the case if `rest`, which is the
    sum minus root^2, exceeds root (up - root); the square of half a unit is left out. All these errors, and the second
    rounding of the original, move the bound by less than a share of 2^-20. So only nearer to a bound than `UNCERTAIN`
    is it uncertain.

    If dx^2 + dy^2 is below 2^-80, float32 is too coarse for `low`. That does no harm, because 1 + tau/theta |grad u| is
    then 1 with either number.
    """
    square_x = dx * dx
    square_y = dy * dy
    high = square_x + square_y
    low = fma(dx, dx, -square_x) + fma(dy, dy, -square_y)
    low = low + (min(square_x, square_y) - (high - max(square_x, square_y)))
    root = np.sqrt(high)
    rest = fma(-root, root, high) + low
    up = fma(root, OVER_HALF_UNIT, root)
    down = fma(root, -OVER_HALF_UNIT, root)
    above = root * (up - root)
    below = root * (down - root)
    norm = up if rest > above else root
    norm = down if rest < below else norm
    return norm, (abs(rest - above) < UNCERTAIN * above) | (abs(rest - below) < -UNCERTAIN * below)


@compiled(fastmath=True)
def sum_line(values, start, width):
    """Sum of `width` values, added in any order."""
    total = ZERO
    for x in range(width):
        total += values[start + x]
    return total


@compiled()
def dual_norms(rows, row, has_right, has_below, norms, width):
    """|grad u1| and |grad u2| of one row, to the first two lines of `norms`. The third line marks what is uncertain.

    If anything is, the row is computed again. That is about one row in 250.
    """
    for x in range(width):
        dx1, dy1, dx2, dy2 = gradients(rows, row + x, has_right[x], has_below)
        norms[x], uncertain1 = quick_norm(dx1, dy1)
        norms[x + LINE], uncertain2 = quick_norm(dx2, dy2)
        norms[x + LINE2] = ONE if uncertain1 | uncertain2 else ZERO
    if sum_line(norms, LINE2, width) > ZERO:
        for x in range(width):
            dx1, dy1, dx2, dy2 = gradients(rows, row + x, has_right[x], has_below)
            norms[x] = exact_norm(dx1, dy1)
            norms[x + LINE] = exact_norm(dx2, dy2)


@compiled()
def update_dual_row(rows, row, has_right, has_below, norms, width):
    """Update p in one row, in place: the dual step p = (p + tau/theta grad u) / (1 + tau/theta |grad u|).

    The four quotients are computed from two reciprocals: if r = 1 / n is correctly rounded and q = a r, then the two
    fused steps q + (a - q n) r give a / n, correctly rounded (Markstein 1990).
    """
    dual_norms(rows, row, has_right, has_below, norms, width)
    for x in range(width):
        i = row + x
        dx1, dy1, dx2, dy2 = gradients(rows, i, has_right[x], has_below)
        n1 = ONE + TAU_THETA * norms[x]
        n2 = ONE + TAU_THETA * norms[x + LINE]
        r1 = ONE / n1
        r2 = ONE / n2
        a = rows[i + P11] + TAU_THETA * dx1
        q = a * r1
        rows[i + P11] = fma(fma(-q, n1, a), r1, q)
        a = rows[i + P12] + TAU_THETA * dy1
        q = a * r1
        rows[i + P12] = fma(fma(-q, n1, a), r1, q)
        a = rows[i + P21] + TAU_THETA * dx2
        q = a * r2
        rows[i + P21] = fma(fma(-q, n2, a), r2, q)
        a = rows[i + P22] + TAU_THETA * dy2
        q = a * r2
        rows[i + P22] = fma(fma(-q, n2, a), r2, q)


@compiled()
def iterate(rows, has_right, norms, size, width, threshold):
    """Iterate until the change is at most `threshold`, or `INNER_ITERATIONS` times. Returns (number, last change).

    The new u of row y needs the old dual field of rows y and y-1. The new dual field of row y-1 needs the new u of rows
    y-1 and y. So one sweep does both, with the dual field one row behind.

    The original's change is a running float32 sum of at most 128^2 terms, so it is wrong by a factor of at most
    1 +- 128^2 / 2^24 (0.1 %). It can only matter if the float64 estimate is nearer to the threshold than 0.2 %
    (`NEAR_THRESHOLD`). Only then the sum is computed again as the original computes it.
    """
    low = f64(threshold) * (1 - NEAR_THRESHOLD)
    high = f64(threshold) * (1 + NEAR_THRESHOLD)
    iterations = 0
    while True:
        change = f64(0)
        row = ROW
        for y in range(size):
            change += update_flow_row(rows, row, width)
            if y > 0:
                update_dual_row(rows, row - ROW, has_right, ONE, norms, width)
            row = row + ROW
        update_dual_row(rows, row - ROW, has_right, ZERO, norms, width)
        iterations += 1
        if change > low and change < high:
            change = f64(sum_change_in_order(rows, size))
        if iterations >= INNER_ITERATIONS or not change > f64(threshold):
            return iterations, change
