"""One inner iteration: thresholding step (u) and dual step (p), in place, in one sweep."""

import numpy as np

from Utils.tvl1.layout import (
    CHANGE,
    GRADIENT_FLOOR,
    INNER_ITERATIONS,
    LAMBDA_THETA,
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


@compiled()
def update_flow_columns(rows, row, width):
    """u of one row: the thresholding step v(u), by which of three cases rho falls in, then u = v + theta div p.

    Column 0 comes out wrong in its last bit: see `update_flow_row`.
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
    """Sum of one row's squared changes, in any order: an estimate (see `iterate`)."""
    total = f64(0)
    for x in range(width):
        total += f64(rows[row + CHANGE + x])
    return total


@compiled()
def update_flow_row(rows, row, width):
    """u of one row. Column 0 sums its divergence in another order: done apart, and put over the vector result."""
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
    """The squared changes of all pixels, one after the other in float32, as the original sums them."""
    total = ZERO
    row = ROW
    for _ in range(size):
        for x in range(size):
            total = total + rows[row + CHANGE + x]
        row = row + ROW
    return total


@compiled()
def update_dual_row(rows, row, has_right, has_below, width):
    """p of one row, in place: the dual step p = (p + tau/theta grad u) / (1 + tau/theta |grad u|).

    A product with `has_right[x]` or `has_below`, 1 or 0, makes the differences 0 at the last column and row. The four
    quotients come from two reciprocals: with r = 1 / n correctly rounded and q = a r, the two fused steps
    q + (a - q n) r give a / n correctly rounded (Markstein 1990).
    """
    for x in range(width):
        i = row + x
        u1 = rows[i + U1]
        u2 = rows[i + U2]
        dx1 = (rows[i + U1 + ONE_RIGHT] - u1) * has_right[x]
        dx2 = (rows[i + U2 + ONE_RIGHT] - u2) * has_right[x]
        dy1 = (rows[i + U1 + ROW] - u1) * has_below
        dy2 = (rows[i + U2 + ROW] - u2) * has_below
        norm1 = f32(np.sqrt(f64(dx1) * f64(dx1) + f64(dy1) * f64(dy1)))
        norm2 = f32(np.sqrt(f64(dx2) * f64(dx2) + f64(dy2) * f64(dy2)))
        n1 = ONE + TAU_THETA * norm1
        n2 = ONE + TAU_THETA * norm2
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
def iterate(rows, has_right, size, width, threshold):
    """Inner iterations until the change is at most `threshold` or their number is used up: (number, last change).

    u of row y needs the dual field of rows y and y-1 from before, the dual field of row y-1 needs u of rows y-1 and y
    from after: so one sweep does both, the dual field one row behind.
    The original's change is a running float32 sum of at most 128^2 terms, so it is off by a factor of at most
    1 +- 128^2 / 2^24 (0.1 %): only when the float64 estimate is nearer than 0.2 % to the threshold is it redone.
    """
    low = f64(threshold) * (1 - 2e-3)
    high = f64(threshold) * (1 + 2e-3)
    iterations = 0
    while True:
        change = f64(0)
        row = ROW
        for y in range(size):
            change += update_flow_row(rows, row, width)
            if y > 0:
                update_dual_row(rows, row - ROW, has_right, ONE, width)
            row = row + ROW
        update_dual_row(rows, row - ROW, has_right, ZERO, width)
        iterations += 1
        if change > low and change < high:
            change = f64(sum_change_in_order(rows, size))
        if iterations >= INNER_ITERATIONS or not change > f64(threshold):
            return iterations, change
