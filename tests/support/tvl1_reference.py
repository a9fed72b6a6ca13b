"""Specification of the flow: TV-L1 as OpenCV 4.5.1-4.11's DualTVL1OpticalFlow computes it (all defaults), readable.

`Utils/tvl1` must equal this in every bit, and this must equal the recorded flows of OpenCV (x86, IPP with AVX2).
The rules, in the order of `flow`:

1. Both images as float32 on five scales, each 0.8 times the one before (`resize`). The flow starts at zero on the
   smallest scale and is handed upwards, times 1.25; the dual fields p start at zero on every scale.
2. Five warps per scale: the second image and its gradient (central differences) at the positions that the flow points
   to (`remap`), then rho without its linear part: I1w - wx u1 - wy u2 - I0.
3. Per warp up to ten times: a 5x5 median of u, then up to 30 inner iterations (`iterate`); all of it ends as soon as
   the summed squared change of u is at most 0.01^2 per pixel.

All arithmetic is float32, product and sum rounded apart, except where `fma` or a conversion to float64 is written.
Sources: opencv_contrib `modules/optflow/src/tvl1flow.cpp`; Zach et al. 2007; IPOL 3 (2013).
"""

import numpy as np
from numba import njit

f32, f64 = np.float32, np.float64

SIZES = (128, 102, 82, 66, 53)
LAMBDA_THETA, THETA, TAU_THETA = f32(0.15 * 0.3), f32(0.3), f32(0.25 / 0.3)
GRADIENT_FLOOR = np.finfo(f32).eps


def fma(a, b, c):
    """a * b + c of float32; a * b is exact in float64. Rounded twice: that this ever differs, no test has met."""
    return (a.astype(f64) * b + c).astype(f32)


def interpolate(a, b, fraction, fused):
    return fma(b - a, fraction, a) if fused else a + (b - a) * fraction


def resize(image, new_size):
    """Bilinear, square to square, pixel centres aligned, positions clamped to the image, in the arithmetic of IPP.

    IPP fuses product and sum, but not in the columns that are left over after groups of four; upwards it treats the
    outermost rows and columns apart. Downwards it takes the last pixel as a + (b - a), which is rounded.
    """
    size = len(image)
    upwards = new_size > size
    position = (np.arange(new_size) + 0.5) * (size / new_size if upwards else 1.25) - 0.5
    first = np.clip(np.floor(position), 0, size - 2).astype(int)
    fraction = np.clip(position - first, 0, 1).astype(f32)
    if upwards:
        first[-1], fraction[-1] = size - 1, 0
    second = np.minimum(first + 1, size - 1)

    def bilinear(fused):
        upper = interpolate(image[first][:, first], image[first][:, second], fraction, fused)
        lower = interpolate(image[second][:, first], image[second][:, second], fraction, fused)
        return interpolate(upper, lower, fraction[:, None], fused)

    result = bilinear(fused=True)
    low, high = (1, new_size - 1) if upwards else (0, new_size)
    rest = (high - low) % 4
    if rest:
        result[low:high, high - rest : high] = bilinear(fused=False)[low:high, high - rest : high]
    return result


def gradient(image):
    """Central differences in x and y, border replicated."""
    padded = np.pad(image, 1, mode="edge")
    return f32(0.5) * (padded[1:-1, 2:] - padded[1:-1, :-2]), f32(0.5) * (padded[2:, 1:-1] - padded[:-2, 1:-1])


def median5(image):
    """Median of each 5x5 window, border replicated."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(image, 2, mode="edge"), (5, 5))
    return np.median(windows.reshape(*image.shape, 25), axis=2).astype(f32)


@njit(cache=True)
def cubic_weights(t):
    """Cubic convolution with a = -3/4, at the fraction t (a multiple of 1/32: all of it exact in float32)."""
    weights = np.empty(4, f32)
    weights[0] = f32(-0.75) * t * (f32(1) - t) * (f32(1) - t)
    weights[1] = (f32(1.25) * t - f32(2.25)) * t * t + f32(1)
    weights[3] = f32(-0.75) * t * t * (f32(1) - t)
    weights[2] = f32(1) - weights[0] - weights[1] - weights[3]
    return weights


@njit(cache=True)
def remap(image, map_x, map_y):
    """Cubic interpolation at positions rounded to 1/32 pixel; zero outside the image.

    Where the 4x4 window lies inside, the taps of each row are summed, then the rows; elsewhere tap is added to tap.
    """
    size = len(image)
    result = np.zeros_like(map_x)
    for y in range(size):
        for x in range(size):
            position_x = np.rint(map_x[y, x] * f32(32)) / f32(32)
            position_y = np.rint(map_y[y, x] * f32(32)) / f32(32)
            x0 = int(np.floor(position_x))
            y0 = int(np.floor(position_y))
            weights_x = cubic_weights(position_x - f32(x0))
            weights_y = cubic_weights(position_y - f32(y0))
            inside = 1 <= x0 <= size - 3 and 1 <= y0 <= size - 3
            total = f32(0)
            for j in range(4):
                row = f32(0) if inside else total
                for i in range(4):
                    yy, xx = y0 + j - 1, x0 + i - 1
                    if 0 <= yy < size and 0 <= xx < size:
                        row = row + (weights_y[j] * weights_x[i]) * image[yy, xx]
                total = total + row if inside else row
            result[y, x] = total
    return result


@njit(cache=True)
def divergence(p_x, p_y, y, x):
    """Backward differences. The order of the four terms in the first column differs from the rest."""
    if x > 0 and y > 0:
        return (p_x[y, x] - p_x[y, x - 1]) + (p_y[y, x] - p_y[y - 1, x])
    if x > 0:
        return (p_x[y, x] - p_x[y, x - 1]) + p_y[y, x]
    if y > 0:
        return (p_x[y, x] + p_y[y, x]) - p_y[y - 1, x]
    return p_x[y, x] + p_y[y, x]


@njit(cache=True, error_model="numpy")
def iterate(u1, u2, p11, p12, p21, p22, warped_x, warped_y, rho_constant):
    """One inner iteration in place: u by thresholding, then p. Returns the squared change of u, summed in order."""
    size = len(u1)
    total = f32(0)
    for y in range(size):
        for x in range(size):
            wx, wy = warped_x[y, x], warped_y[y, x]
            rho = rho_constant[y, x] + (wx * u1[y, x] + wy * u2[y, x])
            squared = wx * wx + wy * wy
            if rho < -(LAMBDA_THETA * squared):
                step = LAMBDA_THETA
            elif rho > LAMBDA_THETA * squared:
                step = -LAMBDA_THETA
            elif squared > GRADIENT_FLOOR:
                step = -rho / squared
            else:
                step = f32(0)
            new1 = (u1[y, x] + step * wx) + THETA * divergence(p11, p12, y, x)
            new2 = (u2[y, x] + step * wy) + THETA * divergence(p21, p22, y, x)
            change1 = new1 - u1[y, x]
            change2 = new2 - u2[y, x]
            total = total + (change1 * change1 + change2 * change2)
            u1[y, x] = new1
            u2[y, x] = new2
    for u, p_x, p_y in ((u1, p11, p12), (u2, p21, p22)):
        for y in range(size):
            for x in range(size):
                dx = u[y, x + 1] - u[y, x] if x < size - 1 else f32(0)
                dy = u[y + 1, x] - u[y, x] if y < size - 1 else f32(0)
                norm = f32(np.sqrt(f64(dx) * f64(dx) + f64(dy) * f64(dy)))
                p_x[y, x] = (p_x[y, x] + TAU_THETA * dx) / (f32(1) + TAU_THETA * norm)
                p_y[y, x] = (p_y[y, x] + TAU_THETA * dy) / (f32(1) + TAU_THETA * norm)
    return total


def reference_flow(first, second):
    """Flow from `first` to `second`, uint8 128x128, as float32 128x128x2."""
    firsts, seconds = [first.astype(f32)], [second.astype(f32)]
    for size in SIZES[1:]:
        firsts.append(resize(firsts[-1], size))
        seconds.append(resize(seconds[-1], size))
    u1, u2 = np.zeros_like(firsts[-1]), np.zeros_like(firsts[-1])
    for scale in reversed(range(len(SIZES))):
        size = SIZES[scale]
        threshold = f32(0.01 * 0.01 * (size * size))
        own_y, own_x = np.mgrid[:size, :size].astype(f32)
        planes = (seconds[scale], *gradient(seconds[scale]))
        p = [np.zeros((size, size), f32) for _ in range(4)]
        for _ in range(5):
            warped, warped_x, warped_y = (remap(plane, own_x + u1, own_y + u2) for plane in planes)
            rho_constant = warped - warped_x * u1 - warped_y * u2 - firsts[scale]
            change, outer = np.inf, 0
            while change > threshold and outer < 10:
                u1, u2 = median5(u1), median5(u2)
                outer += 1
                inner = 0
                while change > threshold and inner < 30:
                    change = iterate(u1, u2, *p, warped_x, warped_y, rho_constant)
                    inner += 1
        if scale > 0:
            u1, u2 = (resize(u, SIZES[scale - 1]) * f32(1.25) for u in (u1, u2))
    return np.dstack([u1, u2])
