"""Arithmetic that gives the same bits on every processor, so that the renderer's frames do.

NumPy computes sums, differences, products, quotients, square roots and roundings of arrays exactly as IEEE 754 says,
one operation after the other. It does not do so with `exp`, `sin`, `cos`, `arctan2`, `tanh`, `log` and powers: with
AVX-512 they are other code than with AVX2, and differ in the last bits. Matrix products, convolutions and linear
equations (OpenBLAS) add in an order that depends on the processor. OpenCV blurs with fused multiply-adds where there
are any, and enlarges with Intel's IPP. The functions here use exact operations only, in a fixed order.

Results of float32 arrays are float32, those of everything else float64. The errors that are stated are those against
the true values; an ulp is one unit in the last place.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import factorial

import cv2
import numpy as np

LN2 = 0.6931471805599453  # and the part of it that is lost by rounding
LN2_REST = 2.3190468138462996e-17
SQRT_HALF = 0.7071067811865476
HALF_PI = (1.5707963407039642, -1.3909067675399456e-08, 6.123233995736766e-17)  # sum to it; the first two have 26 bits
TAN_22 = 0.41421356237309503  # of 22.5 degrees
SINE = [(-1) ** k / factorial(2 * k + 1) for k in range(9)]  # coefficients of the series in x squared
COSINE = [(-1) ** k / factorial(2 * k) for k in range(10)]
ARCTANGENT = [(-1) ** k / (2 * k + 1) for k in range(22)]
LOGARITHM = [2 / (2 * k + 1) for k in range(12)]


@contextmanager
def plain_opencv() -> Iterator[None]:
    """OpenCV without code for newer processors and without IPP, also as a decorator.

    This holds for the whole process, so no other thread should render at the same time. It makes the renderer no
    slower: most of its time goes into `remap` and `warpAffine`, which have no such code. (`filter2D` gets slow.)
    """
    optimized, ipp = cv2.useOptimized(), cv2.ipp.useIPP()
    cv2.setUseOptimized(False)
    try:
        yield
    finally:
        cv2.setUseOptimized(optimized)
        cv2.ipp.setUseIPP(ipp)


def exp(values: np.ndarray | float) -> np.ndarray:
    """The exponential function, within 3 ulp. Values above 709 (float32: 88) are taken as that."""
    values = np.asarray(values)
    return (_EXP_SINGLE if values.dtype == np.float32 else _EXP_DOUBLE)(values)


def log(values: np.ndarray | float) -> np.ndarray:
    """The natural logarithm of values that are not negative; error below 3 ulp. Of 0 it is -744.4."""
    values, dtype = _doubles(values)
    mantissa, exponent = np.frexp(np.maximum(values, 5e-324))  # the mantissa is at least 1/2 and below 1
    small = mantissa < SQRT_HALF
    mantissa, exponent = np.where(small, 2 * mantissa, mantissa), exponent - small
    share = (mantissa - 1) / (mantissa + 1)
    return (exponent * LN2 + share * _series(LOGARITHM, share * share)).astype(dtype)


def power(base: np.ndarray | float, exponent: float) -> np.ndarray:
    """`base` (0 to 1) to the power of `exponent` (above 0, up to 3); error below 5e-16."""
    base, dtype = _doubles(base)
    return np.where(base > 0, exp(exponent * log(base)), 0).astype(dtype)


def sin(angle: np.ndarray | float) -> np.ndarray:
    """The sine of an angle up to 1e5, radians; error below 2.3e-16. NaN gives NaN."""
    return _sine(angle, 0)


def cos(angle: np.ndarray | float) -> np.ndarray:
    """The cosine, with the limits of `sin`."""
    return _sine(angle, 1)


def _sine(angle: np.ndarray | float, quarters: int) -> np.ndarray:
    """The sine of an angle and so many quarters of a turn."""
    angle, dtype = _doubles(angle)
    n = np.rint(angle * (2 / np.pi))
    rest = angle - n * HALF_PI[0] - n * HALF_PI[1] - n * HALF_PI[2]
    square = rest * rest
    quarter = n + quarters
    quarter = quarter - 4 * np.floor(quarter / 4)
    result = np.where((quarter == 1) | (quarter == 3), _series(COSINE, square), rest * _series(SINE, square))
    return np.where(quarter >= 2, -result, result).astype(dtype)


def arctan2(y: np.ndarray | float, x: np.ndarray | float) -> np.ndarray:
    """The angle of the direction (x, y), -pi to pi; error below 5e-16. -0 is taken as 0."""
    (y, dtype), (x, other) = _doubles(y), _doubles(x)
    wide, high = np.abs(x), np.abs(y)
    steep = high > wide
    tangent = np.where(steep, wide, high) / np.maximum(np.where(steep, high, wide), 5e-324)
    turned = tangent > TAN_22
    tangent = np.where(turned, (tangent - 1) / (tangent + 1), tangent)
    angle = np.where(turned, np.pi / 4, 0) + tangent * _series(ARCTANGENT, tangent * tangent)
    angle = np.where(steep, np.pi / 2 - angle, angle)
    angle = np.where(x < 0, np.pi - angle, angle)
    return np.where(y < 0, -angle, angle).astype(np.result_type(dtype, other))


def tanh(values: np.ndarray | float) -> np.ndarray:
    """The hyperbolic tangent; error below 3e-16."""
    values, dtype = _doubles(values)
    shrunk = exp(-2 * np.abs(values))
    return (np.sign(values) * ((1 - shrunk) / (1 + shrunk))).astype(dtype)


def hypot(x: np.ndarray | float, y: np.ndarray | float) -> np.ndarray:
    """The length of the vector (x, y), within 1 ulp; neither may be so large or small that its square is not finite."""
    return np.sqrt(x * x + y * y)


def product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The product of two matrices, (n, k) and (k, m). The sums go from the first to the last of the k."""
    total = left[:, :1] * right[:1]
    for k in range(1, left.shape[1]):
        total += left[:, k : k + 1] * right[k : k + 1]
    return total


def solve(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve `matrix` @ x = `right`, shapes (n, n) and (n, m), by Gauss-Jordan elimination. x has the shape of `right`.

    No rows are exchanged, so the matrix must be symmetric and positive definite.
    """
    rows = np.hstack([matrix, right])
    for k in range(len(rows)):
        rows[k] /= rows[k, k]
        factors = rows[:, k : k + 1].copy()
        factors[k] = 0
        rows -= factors * rows[k]
    return rows[:, len(rows) :]


def _doubles(values: np.ndarray | float) -> tuple[np.ndarray, type[np.floating]]:
    """As float64, and the type of the result."""
    values = np.asarray(values)
    return values.astype(np.float64), np.float32 if values.dtype == np.float32 else np.float64


def _series(coefficients: np.ndarray | list[float], x: np.ndarray) -> np.ndarray:
    """The polynomial with these coefficients, the constant first, by Horner's rule."""
    total = x * coefficients[-1]
    for coefficient in coefficients[-2:0:-1]:
        total += coefficient
        total *= x
    total += coefficients[0]
    return total


class _Exponential:
    """`exp` for one type of floats: x is n ln(2) / 32 + r, and exp(x) is 2 to the power of n / 32, times exp(r).

    Parameters
    ----------
    dtype : type
    bits : int
        Bits of ln(2) / 32 after the binary point that are multiplied with n without rounding.
    terms : int
        Coefficients of the series of exp(r). |r| is at most 0.011.
    least, most : int
        Smaller and larger values are taken as these. The result of `least` is 0.
    """

    def __init__(self, dtype: type[np.floating], bits: int, terms: int, least: int, most: int) -> None:
        step = LN2 / 32
        upper = round(step * 2**bits) / 2**bits
        self.least, self.most, self.per_step = dtype(least), dtype(most), dtype(1 / step)
        self.step, self.rest_of_step = dtype(upper), dtype(step - upper + LN2_REST / 32)
        self.series = np.array([1 / factorial(k) for k in range(terms)], dtype)
        self.first = round(least / step)  # n of the first of `powers`
        n = np.arange(self.first, round(most / step) + 1)
        fractions = _series([1 / factorial(k) for k in range(20)], np.arange(32) * step)
        self.powers = np.ldexp(fractions[n & 31], n >> 5).astype(dtype)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """The exponential of each value."""
        values = np.minimum(np.maximum(values, self.least), self.most)
        n = np.rint(values * self.per_step)
        rest = values - n * self.step
        rest -= n * self.rest_of_step
        return _series(self.series, rest) * self.powers[n.astype(np.intp) - self.first]


_EXP_SINGLE = _Exponential(np.float32, bits=17, terms=4, least=-120, most=88)
_EXP_DOUBLE = _Exponential(np.float64, bits=40, terms=7, least=-800, most=709)
