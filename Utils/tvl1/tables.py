"""The tables that the kernel reads, and the memory in which it works."""

from typing import NamedTuple

import numpy as np

from Utils.tvl1.layout import EPSILON, FIELDS, NSCALES, PLANE, SIDE, SIZES, STRIDE, TAPS, WINDOW
from Utils.work.lanes import LANES

FLOATS_IN_64_BYTES = 16


class Workspace(NamedTuple):
    """The memory of the kernel for one thread: flat float32 arrays, aligned to 64 bytes, zero at the start."""

    rows: np.ndarray  # the iterated fields, in the layout that `layout.py` describes
    first_pyramid: np.ndarray  # one plane per scale
    second_pyramid: np.ndarray  # three planes per scale: image, x gradient, y gradient
    upscaled: np.ndarray  # two planes: the two components of u on their way from one scale to the next
    lanes: np.ndarray  # two vectors
    median_plane: np.ndarray
    sorted5: np.ndarray
    medians: np.ndarray
    sums: np.ndarray  # this and the following: some vectors each, of the pixels that are warped
    positions: np.ndarray
    weights_x: np.ndarray
    weights_y: np.ndarray
    spread_x: np.ndarray
    spread_y: np.ndarray


class Tables(NamedTuple):
    """What the kernel looks up. `s` is the scale, `x` the column."""

    widths: np.ndarray  # uint64, [s]: the side rounded up to whole vectors, for the median
    thresholds: np.ndarray  # float32, [s]: the inner iterations go on while the summed squared change exceeds it
    in_image: np.ndarray  # float32, [s, x]: 1 inside the image, else 0
    columns: np.ndarray  # float32, [x]: x
    has_right: np.ndarray  # float32, [s, x]: 1 if there is a neighbour to the right, else 0
    nearest: np.ndarray  # int32, [0, s, x]: from scale s - 1 down to s; [1, s, x]: from s up to s - 1
    fraction: np.ndarray  # float32, as `nearest`: see `bilinear_table`


def aligned_zeros(count: int) -> np.ndarray:
    """`count` float32 zeros that start at a multiple of 64 bytes: the size of a cache line and of the widest vector."""
    memory = np.zeros(count + FLOATS_IN_64_BYTES, np.float32)
    start = (-memory.ctypes.data // memory.itemsize) % FLOATS_IN_64_BYTES
    return memory[start : start + count]


def make_workspace() -> Workspace:
    """A new workspace, 2.8 MB."""
    return Workspace(
        rows=aligned_zeros((SIDE + 3) * FIELDS * STRIDE),
        first_pyramid=aligned_zeros(NSCALES * PLANE),
        second_pyramid=aligned_zeros(NSCALES * 3 * PLANE),
        upscaled=aligned_zeros(2 * PLANE),
        lanes=aligned_zeros(2 * LANES),
        median_plane=aligned_zeros(PLANE),
        sorted5=aligned_zeros(5 * STRIDE),
        medians=aligned_zeros(STRIDE),
        sums=aligned_zeros(3 * LANES),
        positions=aligned_zeros(2 * LANES),
        weights_x=aligned_zeros(WINDOW * LANES),
        weights_y=aligned_zeros(WINDOW * LANES),
        spread_x=aligned_zeros(TAPS * LANES),
        spread_y=aligned_zeros(TAPS * LANES),
    )


def bilinear_table(size: int, new_size: int) -> tuple[np.ndarray, np.ndarray]:
    """For each of `new_size` pixels, the source pixel to its left and the fraction of the way to the next one.

    Pixel centres are aligned. Positions beyond the first or last centre are moved onto it. The step is the one that
    OpenCV passes on: 1 / 0.8 downwards, the ratio of the sizes upwards.

    Returns
    -------
    nearest : ndarray of int32, (new_size,)
    fraction : ndarray of float32, (new_size,)
        0 to 1.
    """
    upwards = new_size > size
    step = size / new_size if upwards else 1 / 0.8
    position = (np.arange(new_size) + 0.5) * step - 0.5
    nearest = np.floor(position).astype(np.int32)
    fraction = (position - nearest).astype(np.float32)
    fraction[nearest < 0] = 0
    nearest[nearest < 0] = 0
    beyond = nearest >= size - 1
    # Downwards, IPP computes the last pixel as p0 + (p1 - p0), which is rounded
    fraction[beyond], nearest[beyond] = (0, size - 1) if upwards else (1, size - 2)
    return nearest, fraction


def make_tables() -> Tables:
    """The tables for images of side `SIDE` on all scales."""
    nearest = np.zeros((2, NSCALES, SIDE), np.int32)
    fraction = np.zeros((2, NSCALES, SIDE), np.float32)
    for scale in range(1, NSCALES):
        large, small = SIZES[scale - 1 : scale + 1]
        nearest[0, scale, :small], fraction[0, scale, :small] = bilinear_table(large, small)
        nearest[1, scale, :large], fraction[1, scale, :large] = bilinear_table(small, large)
    return Tables(
        widths=np.array([-(-size // LANES) * LANES for size in SIZES], np.uint64),
        thresholds=np.array([np.float32(EPSILON * EPSILON * (size * size)) for size in SIZES], np.float32),
        in_image=np.array([np.arange(SIDE) < size for size in SIZES], np.float32),
        columns=np.arange(SIDE, dtype=np.float32),
        has_right=np.array([np.arange(SIDE) < size - 1 for size in SIZES], np.float32),
        nearest=nearest,
        fraction=fraction,
    )


TABLES = make_tables()
