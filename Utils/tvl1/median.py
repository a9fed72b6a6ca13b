"""The 5x5 median with replicated border (`medianBlur`). Every outer iteration begins with it."""

from Utils.tvl1.layout import (
    LINE,
    LINE2,
    LINE3,
    LINE4,
    PAD,
    ROW,
    compiled,
    u64,
)


@compiled(fastmath=True, forceinline=True)
def order(a, b):
    """The two values, the smaller one first."""
    return min(a, b), max(a, b)


@compiled(fastmath=True, forceinline=True)
def sort5(a, b, c, d, e):
    """Sort five values with nine exchanges (a sorting network)."""
    a, d = order(a, d)
    b, e = order(b, e)
    a, c = order(a, c)
    b, d = order(b, d)
    a, b = order(a, b)
    c, e = order(c, e)
    b, c = order(b, c)
    d, e = order(d, e)
    c, d = order(c, d)
    return a, b, c, d, e


@compiled(fastmath=True)
def sort_columns(plane, row0, row1, row2, row3, row4, sorted5, width):
    """Sort each column of five rows. A sorted column is used by the five windows that contain it."""
    for x in range(width):
        a, b, c, d, e = sort5(plane[row0 + x], plane[row1 + x], plane[row2 + x], plane[row3 + x], plane[row4 + x])
        sorted5[x] = a
        sorted5[LINE + x] = b
        sorted5[LINE2 + x] = c
        sorted5[LINE3 + x] = d
        sorted5[LINE4 + x] = e


@compiled(fastmath=True)
def median_row(sorted5, medians, in_image, width):
    """Median of 25 values from five sorted columns.

    The rows of the sorted columns are sorted too. Then the median can only be on the anti-diagonal or beside it.
    """
    for x in range(width):
        i = x + u64(PAD - 2)
        _a0, _a1, _a2, a3, a4 = sort5(
            sorted5[i], sorted5[i + u64(1)], sorted5[i + u64(2)], sorted5[i + u64(3)], sorted5[i + u64(4)]
        )
        i = i + LINE
        _b0, _b1, b2, b3, b4 = sort5(
            sorted5[i], sorted5[i + u64(1)], sorted5[i + u64(2)], sorted5[i + u64(3)], sorted5[i + u64(4)]
        )
        i = i + LINE
        _c0, c1, c2, c3, _c4 = sort5(
            sorted5[i], sorted5[i + u64(1)], sorted5[i + u64(2)], sorted5[i + u64(3)], sorted5[i + u64(4)]
        )
        i = i + LINE
        d0, d1, d2, _d3, _d4 = sort5(
            sorted5[i], sorted5[i + u64(1)], sorted5[i + u64(2)], sorted5[i + u64(3)], sorted5[i + u64(4)]
        )
        i = i + LINE
        e0, e1, _e2, _e3, _e4 = sort5(
            sorted5[i], sorted5[i + u64(1)], sorted5[i + u64(2)], sorted5[i + u64(3)], sorted5[i + u64(4)]
        )
        low = max(max(a3, b2), max(c1, d0))
        high = min(min(b4, c3), min(d2, e1))
        _q0, _q1, middle, _q3, _q4 = sort5(a4, b3, c2, d1, e0)
        low, high = order(low, high)
        medians[x] = max(low, min(high, middle)) * in_image[x]


@compiled()
def copy_line(source, start, target, at, width):
    """Copy `width` floats from `source[start:]` to `target[at:]`."""
    for x in range(width):
        target[at + x] = source[start + x]


@compiled()
def median_filter(work, field, in_image, size, width):
    """Replace one component of the flow (`field`, U1 or U2) by its 5x5 median."""
    rows = work.rows
    plane = work.median_plane
    row = ROW
    at = u64(PAD)
    last = u64(size - 1)
    for _ in range(size):
        copy_line(rows, row + field, plane, at, width)
        left = plane[at]
        right = plane[at + last]
        plane[at - u64(1)] = left
        plane[at - u64(2)] = left
        plane[at + last + u64(1)] = right
        plane[at + last + u64(2)] = right
        row = row + ROW
        at = at + LINE
    row = ROW
    for y in range(size):
        row0 = u64(max(y - 2, 0)) * LINE
        row1 = u64(max(y - 1, 0)) * LINE
        row2 = u64(y) * LINE
        row3 = u64(min(y + 1, size - 1)) * LINE
        row4 = u64(min(y + 2, size - 1)) * LINE
        sort_columns(plane, row0, row1, row2, row3, row4, work.sorted5, width + u64(2 * PAD))
        median_row(work.sorted5, work.medians, in_image, width)
        copy_line(work.medians, u64(0), rows, row + field, width)
        row = row + ROW
