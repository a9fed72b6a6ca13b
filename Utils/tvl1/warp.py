"""The warp: cubic interpolation (a = -3/4), positions rounded to 1/32 pixel, zero outside the image (`remap`)."""

from Utils.tvl1.layout import (
    LINE,
    NEXT_PLANE,
    ONE,
    PAD,
    PLANE,
    RHO,
    ROW,
    STRIDE,
    TAPS,
    THE_LANES,
    U1,
    U2,
    WARPED_X,
    WARPED_Y,
    WINDOW,
    ZERO,
    compiled,
    f32,
    i64,
    u64,
)
from Utils.work.lanes import (
    LANES,
    any_differ,
    fill,
    floor,
    largest,
    load,
    rint,
    smallest,
    store,
    where_equal,
    where_greater,
)

# Cubic interpolation with OpenCV's parameter a, at positions rounded to 1 / GRID pixel
A = f32(-0.75)
A_PLUS_2, A_PLUS_3 = f32(1.25), f32(2.25)
GRID = f32(32)

# The fast way of `warp` reads up to TAPS columns, the first of them at the lowest offset - 1. If all offsets are from
# LEFTMOST to RIGHTMOST, these columns stay inside the image and the PAD zeros on both sides. A vertical offset must be
# below FAR, so that it can be converted to an integer.
LEFTMOST, RIGHTMOST = f32(4 - PAD), f32(PAD - 8)
FAR = f32(1e4)


@compiled(forceinline=True)
def cubic_weights(own, u, weights):
    """The four weights along one axis, to `weights`, for the pixels at positions `own`. Returns the whole positions.

    All of this is exact in float32, except for the sum of own position and flow, and the weights.
    """
    position = rint((own + u) * fill(GRID)) * fill(ONE / GRID)
    whole = floor(position)
    t = position - whole
    one = fill(ONE)
    a = fill(A)
    s = one - t
    first = a * t * s * s
    last = a * t * t * s
    second = (fill(A_PLUS_2) * t - fill(A_PLUS_3)) * t * t + one
    store(weights, u64(0), first)
    store(weights, THE_LANES, second)
    store(weights, u64(2) * THE_LANES, one - first - second - last)
    store(weights, u64(3) * THE_LANES, last)
    return whole


@compiled(forceinline=True)
def spread_weights(weights, offset, lowest, spread, count):
    """Write each pixel's four weights to the places of its taps among `count`, and 0 to the others."""
    start = offset - fill(lowest)
    for k in range(count):
        value = fill(ZERO)
        for j in range(WINDOW):
            value = where_equal(start, fill(f32(k - j)), load(weights, u64(j) * THE_LANES), value)
        store(spread, u64(k) * THE_LANES, value)


@compiled(forceinline=True)
def add_taps(planes, left, top, size, spread_x, spread_y, columns, lines, one_by_one):
    """The sums of the taps of the three planes: image, x gradient, y gradient.

    The first tap of the first pixel is at column `left`, counted from the padding's first, and line `top`. The
    two-dimensional weight is rounded first, then its product with the tap, then the sum. Inside the image the taps of a
    line are summed first, and the sum is added (`one_by_one` False). At the border of the image they are added one
    after the other (True).
    """
    zero = fill(ZERO)
    total0 = total1 = total2 = zero
    for k in range(lines):
        y = top + k
        if y < 0 or y >= size:
            continue
        tap = u64(y * STRIDE + left)
        weight_y = load(spread_y, u64(k) * THE_LANES)
        sum0 = sum1 = sum2 = zero
        if one_by_one:
            sum0, sum1, sum2 = total0, total1, total2
        for c in range(columns):
            weight = weight_y * load(spread_x, u64(c) * THE_LANES)
            sum0 = sum0 + weight * load(planes, tap)
            sum1 = sum1 + weight * load(planes, tap + NEXT_PLANE)
            sum2 = sum2 + weight * load(planes, tap + NEXT_PLANE + NEXT_PLANE)
            tap = tap + u64(1)
        if one_by_one:
            total0, total1, total2 = sum0, sum1, sum2
        else:
            total0, total1, total2 = total0 + sum0, total1 + sum1, total2 + sum2
    return total0, total1, total2


@compiled()
def warp_pixel(planes, weights_x, weights_y, lane, x0, y0, size, sums):
    """Warp one pixel of the three planes: its whole position is (x0, y0), its weights are those of this lane."""
    inside = x0 >= 1 and y0 >= 1 and x0 <= size - 3 and y0 <= size - 3
    total0 = total1 = total2 = ZERO
    for j in range(WINDOW):
        y = y0 + j - 1
        if y < 0 or y >= size:
            continue
        sum0 = ZERO if inside else total0
        sum1 = ZERO if inside else total1
        sum2 = ZERO if inside else total2
        weight_y = weights_y[j * LANES + lane]
        tap = y * STRIDE + PAD + x0 - 1
        for i in range(WINDOW):
            if x0 + i < 1 or x0 + i > size:
                continue
            weight = weight_y * weights_x[i * LANES + lane]
            sum0 = sum0 + weight * planes[tap + i]
            sum1 = sum1 + weight * planes[tap + i + PLANE]
            sum2 = sum2 + weight * planes[tap + i + 2 * PLANE]
        total0 = total0 + sum0 if inside else sum0
        total1 = total1 + sum1 if inside else sum1
        total2 = total2 + sum2 if inside else sum2
    sums[lane] = total0
    sums[LANES + lane] = total1
    sums[2 * LANES + lane] = total2


@compiled()
def warp_one_by_one(planes, weights_x, weights_y, whole_x, whole_y, size, positions, sums):
    """Warp `LANES` pixels one after the other; a pixel far from the image is 0."""
    store(positions, u64(0), whole_x)
    store(positions, THE_LANES, whole_y)
    sums[:] = ZERO
    for lane in range(LANES):
        x0, y0 = positions[lane], positions[LANES + lane]
        if x0 > f32(-WINDOW) and y0 > f32(-WINDOW) and x0 < f32(size + WINDOW) and y0 < f32(size + WINDOW):
            warp_pixel(planes, weights_x, weights_y, lane, i64(x0), i64(y0), size, sums)


@compiled()
def warp(work, tables, scale, planes, first, size):
    """Warp the second image and its gradient by u, and store what the iterations need.

    `LANES` neighbouring pixels are warped side by side. They move alike, so their windows start at few different
    offsets. Therefore the taps of every offset that occurs are read for all of them, and a pixel that does not use a
    tap has weight 0 for it: x + 0 * y is exactly x. So no pixel needs taps from addresses of its own. Pixels that move
    too differently or too far are warped one by one.

    Returns
    -------
    int
        The number of times that `LANES` pixels were warped one by one.
    """
    rows, sums, spread_x, spread_y = work.rows, work.sums, work.spread_x, work.spread_y
    weights_x, weights_y = work.weights_x, work.weights_y
    in_image = tables.in_image[scale]
    one, zero = fill(ONE), fill(ZERO)
    furthest = fill(f32(size - 3))
    row = ROW
    slow = 0
    for y in range(size):
        own_y = fill(f32(y))
        for x in range(u64(0), u64(size), THE_LANES):
            i = row + x
            own_x = load(tables.columns, x)
            u1, u2 = load(rows, i + U1), load(rows, i + U2)
            exists = load(in_image, x)
            whole_x = cubic_weights(own_x, u1, weights_x)
            whole_y = cubic_weights(own_y, u2, weights_y)
            # Pixels beyond the image do as the first one does
            offset_x, offset_y = whole_x - own_x, whole_y - own_y
            store(sums, u64(0), offset_x)
            store(sums, THE_LANES, offset_y)
            offset_x = where_greater(exists, zero, offset_x, fill(sums[u64(0)]))
            offset_y = where_greater(exists, zero, offset_y, fill(sums[THE_LANES]))
            low_x, high_x = smallest(offset_x), largest(offset_x)
            low_y, high_y = smallest(offset_y), largest(offset_y)
            near = low_x >= LEFTMOST and high_x <= RIGHTMOST and abs(low_y) < FAR
            if near and high_x - low_x <= f32(TAPS - WINDOW) and high_y - low_y <= f32(TAPS - WINDOW):
                columns = i64(high_x - low_x) + WINDOW
                lines = i64(high_y - low_y) + WINDOW
                left = i64(x) + i64(low_x) + (PAD - 1)
                top = y + i64(low_y) - 1
                spread_weights(weights_x, offset_x, low_x, spread_x, columns)
                spread_weights(weights_y, offset_y, low_y, spread_y, lines)
                sum0, sum1, sum2 = add_taps(planes, left, top, size, spread_x, spread_y, columns, lines, False)
                outside = where_greater(one, whole_x, one, where_greater(whole_x, furthest, one, zero))
                outside = where_greater(one, whole_y, one, where_greater(whole_y, furthest, one, outside))
                if any_differ(outside, zero, outside, zero):
                    end0, end1, end2 = add_taps(planes, left, top, size, spread_x, spread_y, columns, lines, True)
                    sum0 = where_greater(outside, zero, end0, sum0)
                    sum1 = where_greater(outside, zero, end1, sum1)
                    sum2 = where_greater(outside, zero, end2, sum2)
            else:
                slow += 1
                warp_one_by_one(planes, weights_x, weights_y, whole_x, whole_y, size, work.positions, sums)
                sum0 = load(sums, u64(0))
                sum1 = load(sums, THE_LANES)
                sum2 = load(sums, u64(2) * THE_LANES)
            wx = sum1 * exists
            wy = sum2 * exists
            store(rows, i + WARPED_X, wx)
            store(rows, i + WARPED_Y, wy)
            rho = sum0 - wx * u1 - wy * u2 - load(first, u64(y) * LINE + u64(PAD) + x)
            store(rows, i + RHO, rho * exists)
        row = row + ROW
    return slow
