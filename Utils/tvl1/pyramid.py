"""The pyramid: bilinear resize between scales, and the gradient of an image."""

from Utils.tvl1.layout import (
    HALF,
    PAD,
    PLANE,
    STRIDE,
    ZERO,
    compiled,
    fma_of_numbers,
    i64,
)


@compiled()
def resize(source, start, pitch, target, target_start, target_pitch, size, nearest, fraction, factor, plain):
    """Bilinear resize to a square of side `size`, as IPP's AVX2 code computes it, then times `factor`.

    Column (or row) x is at `fraction[x]` of the way from source pixel `nearest[x]` to the next one. The interpolation
    fuses product and sum, except in the block `plain` = (first column, end column, first row, end row): the columns
    that are left over when IPP takes four columns at a time.
    """
    plain_left, plain_right, plain_top, plain_bottom = plain
    for y in range(size):
        upper = start + i64(nearest[y]) * pitch
        fraction_y = fraction[y]
        lower = upper if fraction_y == ZERO else upper + pitch
        for x in range(size):
            x0 = i64(nearest[x])
            fraction_x = fraction[x]
            x1 = x0 if fraction_x == ZERO else x0 + 1
            p0 = source[upper + x0]
            p1 = source[lower + x0]
            if x >= plain_left and x < plain_right and y >= plain_top and y < plain_bottom:
                r0 = p0 + (source[upper + x1] - p0) * fraction_x
                r1 = p1 + (source[lower + x1] - p1) * fraction_x
                value = r0 + (r1 - r0) * fraction_y
            else:
                r0 = fma_of_numbers(source[upper + x1] - p0, fraction_x, p0)
                r1 = fma_of_numbers(source[lower + x1] - p1, fraction_x, p1)
                value = fma_of_numbers(r1 - r0, fraction_y, r0)
            target[target_start + y * target_pitch + x] = value * factor


@compiled()
def image_gradient(planes, size):
    """Central differences with replicated border, written to the two planes after the image."""
    for y in range(size):
        above = max(y - 1, 0) * STRIDE + PAD
        below = min(y + 1, size - 1) * STRIDE + PAD
        here = y * STRIDE + PAD
        for x in range(size):
            planes[PLANE + here + x] = HALF * (planes[here + min(x + 1, size - 1)] - planes[here + max(x - 1, 0)])
            planes[2 * PLANE + here + x] = HALF * (planes[below + x] - planes[above + x])
