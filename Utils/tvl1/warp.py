"""The warp: cubic interpolation (a = -3/4), positions rounded to 1/32 pixel, zero outside the image (`remap`)."""

import numpy as np

from Utils.tvl1.layout import (
    LINE,
    LINE2,
    LINE3,
    LINE4,
    NEXT_PLANE,
    ONE,
    PAD,
    PLANE,
    RHO,
    ROW,
    STRIDE,
    TAPS,
    U1,
    U2,
    WARPED_X,
    WARPED_Y,
    ZERO,
    compiled,
    f32,
    i64,
    u64,
)

# Cubic interpolation with OpenCV's parameter a, at positions rounded to 1 / GRID pixel
A = f32(-0.75)
A_PLUS_2, A_PLUS_3 = f32(1.25), f32(2.25)
GRID = f32(32)
WINDOW = 4  # columns, and lines, of a pixel's window

# The fast way of `warp` reads up to TAPS columns, the first of them at the lowest offset - 1. If all offsets of a row
# are between LEFTMOST and RIGHTMOST, these columns stay inside the image and the PAD zeros on both sides. A vertical
# offset must be below FAR, so that it can be converted to an integer.
LEFTMOST, RIGHTMOST = f32(4 - PAD), f32(PAD - 8)
FAR = f32(1e4)


@compiled()
def cubic_weights(rows, row, field, base, weights, width, slope):
    """For each pixel, the four weights along one axis (lines 0-3) and its whole offset (line 4).

    The pixel's own position is `base + slope * x`; the whole offset is floor(position) - own position. All of this is
    exact in float32, except for the sum of own position and flow.
    """
    for x in range(width):
        own = base + slope * f32(np.int32(x))
        position = np.rint((own + rows[row + field + x]) * GRID) * (ONE / GRID)
        whole = np.floor(position)
        t = position - whole
        s = ONE - t
        first = A * t * s * s
        last = A * t * t * s
        second = (A_PLUS_2 * t - A_PLUS_3) * t * t + ONE
        weights[x] = first
        weights[LINE + x] = second
        weights[LINE2 + x] = ONE - first - second - last
        weights[LINE3 + x] = last
        weights[LINE4 + x] = whole - own


@compiled(fastmath=True)
def offset_range(weights, in_image, width):
    """Smallest and largest whole offset among the pixels of a row."""
    first = weights[LINE4]
    low = first
    high = first
    for x in range(width):
        offset = weights[LINE4 + x] if in_image[x] > ZERO else first
        low = min(low, offset)
        high = max(high, offset)
    return low, high


@compiled()
def spread_weights(weights, lowest, spread, width, columns):
    """Write each pixel's four weights to the places of its taps among the row's `columns`, and 0 to the others."""
    for k in range(columns):
        place = f32(k)
        line = u64(k) * LINE
        for x in range(width):
            start = weights[LINE4 + x] - lowest
            value = ZERO
            value = weights[x] if start == place else value
            value = weights[LINE + x] if start == place - ONE else value
            value = weights[LINE2 + x] if start == place - f32(2) else value
            value = weights[LINE3 + x] if start == place - f32(3) else value
            spread[line + x] = value


def make_accumulate(columns, one_by_one):
    """Make the function that adds one row of `columns` taps to the three warped planes (image, x and y gradient).

    The two-dimensional weight is rounded first, then its product with the tap, then the sum. Inside the image the taps
    of a row are summed first, and the sum is added (`one_by_one` False). At the border of the image they are added one
    after the other (True).
    """

    @compiled()
    def accumulate(planes, tap0, tap1, tap2, spread_x, spread_y, line_y, sums, width):
        for x in range(width):
            weight_y = spread_y[line_y + x]
            if one_by_one:
                sum0 = sums[x]
                sum1 = sums[LINE + x]
                sum2 = sums[LINE2 + x]
            else:
                sum0 = ZERO
                sum1 = ZERO
                sum2 = ZERO
            for k in range(columns):
                weight = weight_y * spread_x[u64(k * STRIDE) + x]
                sum0 = sum0 + weight * planes[tap0 + x + u64(k)]
                sum1 = sum1 + weight * planes[tap1 + x + u64(k)]
                sum2 = sum2 + weight * planes[tap2 + x + u64(k)]
            if one_by_one:
                sums[x] = sum0
                sums[LINE + x] = sum1
                sums[LINE2 + x] = sum2
            else:
                sums[x] = sums[x] + sum0
                sums[LINE + x] = sums[LINE + x] + sum1
                sums[LINE2 + x] = sums[LINE2 + x] + sum2

    return accumulate


accumulate4 = make_accumulate(4, False)
accumulate5 = make_accumulate(5, False)
accumulate6 = make_accumulate(6, False)
accumulate8 = make_accumulate(8, False)
accumulate8_one_by_one = make_accumulate(8, True)


@compiled()
def warp_pixel(planes, weights_x, weights_y, x, y, size, sums, inside):
    """Warp one pixel of the three planes, without vectorisation."""
    x0 = x + i64(weights_x[4 * STRIDE + x])
    y0 = y + i64(weights_y[4 * STRIDE + x])
    total0 = ZERO
    total1 = ZERO
    total2 = ZERO
    for j in range(4):
        yy = y0 + j - 1
        if yy < 0 or yy >= size:
            continue
        sum0 = ZERO if inside else total0
        sum1 = ZERO if inside else total1
        sum2 = ZERO if inside else total2
        weight_y = weights_y[j * STRIDE + x]
        tap = yy * STRIDE + PAD + x0 - 1
        for i in range(4):
            if x0 + i < 1 or x0 + i > size:
                continue
            weight = weight_y * weights_x[i * STRIDE + x]
            sum0 = sum0 + weight * planes[tap + i]
            sum1 = sum1 + weight * planes[tap + i + PLANE]
            sum2 = sum2 + weight * planes[tap + i + 2 * PLANE]
        total0 = total0 + sum0 if inside else sum0
        total1 = total1 + sum1 if inside else sum1
        total2 = total2 + sum2 if inside else sum2
    sums[x] = total0
    sums[STRIDE + x] = total1
    sums[2 * STRIDE + x] = total2


@compiled()
def warp_ends_of_row(planes, weights_x, weights_y, y, size, sums):
    """Compute again the pixels whose 4x4 window goes beyond the image on the left or right."""
    for x in range(size):
        x0 = weights_x[4 * STRIDE + x] + f32(x)
        inside = x0 >= ONE and x0 <= f32(size - 3)
        if not inside:
            warp_pixel(planes, weights_x, weights_y, x, y, size, sums, inside)


@compiled()
def choose_sums(weights_x, weights_y, y, size, sums, border_sums, width):
    """In a row with windows that go beyond the image above or below: use the border's sums for the pixels there."""
    furthest = size - f32(3)
    for x in range(width):
        x0 = weights_x[LINE4 + x] + f32(np.int32(x))
        y0 = weights_y[LINE4 + x] + y
        inside = (x0 >= ONE) & (x0 <= furthest) & (y0 >= ONE) & (y0 <= furthest)
        sums[x] = sums[x] if inside else border_sums[x]
        sums[LINE + x] = sums[LINE + x] if inside else border_sums[LINE + x]
        sums[LINE2 + x] = sums[LINE2 + x] if inside else border_sums[LINE2 + x]


@compiled()
def store_warped_row(rows, row, first, line, sums, in_image, width):
    """Store the warped gradient, and the part of rho that stays the same until the next warp."""
    for x in range(width):
        i = row + x
        wx = sums[LINE + x] * in_image[x]
        wy = sums[LINE2 + x] * in_image[x]
        rows[i + WARPED_X] = wx
        rows[i + WARPED_Y] = wy
        rows[i + RHO] = (sums[x] - wx * rows[i + U1] - wy * rows[i + U2] - first[line + x]) * in_image[x]


@compiled()
def warp(work, planes, first, size, width, in_image):
    """Warp the second image and its gradient by u, and store what the iterations need.

    Neighbouring pixels move alike, so the windows of a row start at few different offsets. Therefore the taps of every
    offset that occurs are read for the whole row, and a pixel that does not use a tap has weight 0 for it: x + 0 * y is
    exactly x. So no pixel needs taps from addresses of its own. A row whose pixels move too differently or too far is
    warped pixel by pixel.

    Returns
    -------
    int
        The number of rows that were warped pixel by pixel.
    """
    rows = work.rows
    sums = work.sums
    border_sums = work.border_sums
    weights_x = work.weights_x
    weights_y = work.weights_y
    spread_x = work.spread_x
    spread_y = work.spread_y
    row = ROW
    slow_rows = 0
    for y in range(size):
        cubic_weights(rows, row, U1, ZERO, weights_x, width, ONE)
        cubic_weights(rows, row, U2, f32(y), weights_y, width, ZERO)
        low_x, high_x = offset_range(weights_x, in_image, width)
        low_y, high_y = offset_range(weights_y, in_image, width)
        near = low_x >= LEFTMOST and high_x <= RIGHTMOST and abs(low_y) < FAR
        if near and high_x - low_x <= f32(TAPS - WINDOW) and high_y - low_y <= f32(TAPS - WINDOW):
            columns = i64(high_x - low_x) + WINDOW
            lines = i64(high_y - low_y) + WINDOW
            left = i64(low_x)
            top = y + i64(low_y) - 1
            at_border = top < 0 or y + i64(high_y) > size - 3
            # `accumulate` is compiled for 4, 5, 6 and 8 columns, at the border for 8: unused columns have weight 0
            spread_weights(weights_x, low_x, spread_x, width, TAPS if columns == 7 or at_border else columns)
            spread_weights(weights_y, low_y, spread_y, width, lines)
            sums[:] = ZERO
            if at_border:
                border_sums[:] = ZERO
            for k in range(lines):
                yy = top + k
                if yy < 0 or yy >= size:
                    continue
                tap0 = u64(yy * STRIDE + PAD + left - 1)
                tap1 = tap0 + NEXT_PLANE
                tap2 = tap1 + NEXT_PLANE
                line_y = u64(k) * LINE
                if columns == 4:
                    accumulate4(planes, tap0, tap1, tap2, spread_x, spread_y, line_y, sums, width)
                elif columns == 5:
                    accumulate5(planes, tap0, tap1, tap2, spread_x, spread_y, line_y, sums, width)
                elif columns == 6:
                    accumulate6(planes, tap0, tap1, tap2, spread_x, spread_y, line_y, sums, width)
                else:
                    accumulate8(planes, tap0, tap1, tap2, spread_x, spread_y, line_y, sums, width)
                if at_border:
                    accumulate8_one_by_one(planes, tap0, tap1, tap2, spread_x, spread_y, line_y, border_sums, width)
            if at_border:
                choose_sums(weights_x, weights_y, f32(y), f32(size), sums, border_sums, width)
            else:
                warp_ends_of_row(planes, weights_x, weights_y, y, size, sums)
        else:
            slow_rows += 1
            for x in range(size):
                x0 = f32(x) + weights_x[4 * STRIDE + x]
                y0 = f32(y) + weights_y[4 * STRIDE + x]
                if x0 > f32(-4) and y0 > f32(-4) and x0 < f32(size + 4) and y0 < f32(size + 4):
                    inside = x0 >= ONE and y0 >= ONE and x0 <= f32(size - 3) and y0 <= f32(size - 3)
                    warp_pixel(planes, weights_x, weights_y, x, y, size, sums, inside)
                else:
                    sums[x] = ZERO
                    sums[STRIDE + x] = ZERO
                    sums[2 * STRIDE + x] = ZERO
        store_warped_row(rows, row, first, u64(y) * LINE + u64(PAD), sums, in_image, width)
        row = row + ROW
    return slow_rows
