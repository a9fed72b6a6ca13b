"""The whole computation, from two images to the flow. Only `flow` is called from outside."""

from pathlib import Path

from Utils.tvl1.iteration import iterate
from Utils.tvl1.layout import (
    FIELDS,
    NEXT_PLANE,
    NSCALES,
    ONE,
    OUTER_ITERATIONS,
    PAD,
    PLANE,
    ROW,
    SIDE,
    SIZES,
    STRIDE,
    U1,
    U2,
    UPSCALE,
    WARPS,
    ZERO,
    compiled,
    f64,
    i64,
    u64,
)
from Utils.tvl1.median import copy_line, median_filter
from Utils.tvl1.pyramid import image_gradient, resize
from Utils.tvl1.warp import warp
from Utils.work.compiling import cached, checksum_of_sources
from Utils.work.lanes import LANES


@compiled()
def build_pyramids(first, second, first_pyramid, second_pyramid, tables):
    """Both images on all scales. The second image's scales are three planes apart: two are for its gradient."""
    for y in range(SIDE):
        for x in range(SIDE):
            first_pyramid[y * STRIDE + PAD + x] = first[y, x]
            second_pyramid[y * STRIDE + PAD + x] = second[y, x]
    for scale in range(1, NSCALES):
        size = SIZES[scale]
        plain = (size - size % 4, size, i64(0), size)
        nearest = tables.nearest[0, scale]
        fraction = tables.fraction[0, scale]
        for pyramid, pitch in ((first_pyramid, PLANE), (second_pyramid, 3 * PLANE)):
            start = (scale - 1) * pitch + PAD
            resize(pyramid, start, STRIDE, pyramid, start + pitch, STRIDE, size, nearest, fraction, ONE, plain)


@compiled()
def solve_scale(work, tables, scale, counts):
    """The warps of one scale (`WARPS` of them). The flow is read from `work.rows` and left there."""
    size = SIZES[scale]
    width = tables.widths[scale]
    threshold = tables.thresholds[scale]
    in_image = tables.in_image[scale]
    first = work.first_pyramid[scale * PLANE : (scale + 1) * PLANE]
    planes = work.second_pyramid[scale * 3 * PLANE : (scale + 1) * 3 * PLANE]
    image_gradient(planes, size)
    for _ in range(WARPS):
        counts[3] += warp(work, tables, scale, planes, first, size)
        for _ in range(OUTER_ITERATIONS):
            median_filter(work, U1, in_image, size, width)
            median_filter(work, U2, in_image, size, width)
            iterations, change = iterate(work.rows, tables.has_right[scale], work.lanes, size, threshold)
            counts[0] += 1
            counts[1] += iterations
            counts[2] += iterations * size * size
            if not change > f64(threshold):
                break


@compiled()
def upscale_flow(work, tables, scale):
    """Bring the flow of `scale` to the next larger scale. The dual field starts from zero on each scale."""
    size = SIZES[scale - 1]
    plain = (size - 1 - (size - 2) % 4, size - 1, i64(1), size - 1)
    nearest = tables.nearest[1, scale]
    fraction = tables.fraction[1, scale]
    for field, plane in ((U1, 0), (U2, 1)):
        start = i64(ROW + field)
        end = plane * PLANE + PAD
        resize(work.rows, start, FIELDS * STRIDE, work.upscaled, end, STRIDE, size, nearest, fraction, UPSCALE, plain)
    work.rows[:] = ZERO
    for y in range(size):
        line = u64(y * STRIDE + PAD)
        row = u64(y + 1) * ROW
        copy_line(work.upscaled, line, work.rows, row + U1, u64(size))
        copy_line(work.upscaled, line + NEXT_PLANE, work.rows, row + U2, u64(size))


def make_flow(checksum):
    """The compiled kernel. `flow` uses `checksum`, so Numba makes it part of the key under which `flow` is cached.

    It is the checksum of the sources, and LANES, because the same sources have other buffers with other vectors.
    """

    @cached
    def flow(first, second, out, work, tables, counts):
        """Write the flow from image `first` to `second` (uint8, SIDE x SIDE) to `out` (float32, SIDE x SIDE x 2).

        `work` and `tables` are those of `tables.py`. `counts` (int64, 4) receives the numbers of outer iterations, of
        inner iterations, of inner iterations times pixels, and of vectors whose pixels were warped one by one. Returns
        the checksum of the sources from which it was compiled.
        """
        build_pyramids(first, second, work.first_pyramid, work.second_pyramid, tables)
        counts[:] = 0
        work.rows[:] = ZERO
        for scale in range(NSCALES - 1, -1, -1):
            solve_scale(work, tables, scale, counts)
            if scale > 0:
                upscale_flow(work, tables, scale)
        for y in range(SIDE):
            row = u64(y + 1) * ROW
            for x in range(u64(SIDE)):
                out[y, x, 0] = work.rows[row + U1 + x]
                out[y, x, 1] = work.rows[row + U2 + x]
        return checksum[0]

    return flow


SOURCES = checksum_of_sources(Path(__file__).parent)
flow = make_flow((SOURCES, LANES))
