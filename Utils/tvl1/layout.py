"""What the parts of the kernel share: parameters, the layout of the buffers, how functions are compiled.

The kernel computes what OpenCV 4.5.1-4.11's DualTVL1OpticalFlow does, all defaults, bit for bit. Sources:

- Zach, Pock, Bischof (2007), "A duality based approach for realtime TV-L1 optical flow": the model and its two steps;
- Sanchez, Meinhardt-Llopis, Facciolo (2013), "TV-L1 optical flow estimation", IPOL 3: the algorithm with its scales
  and warps, which OpenCV follows;
- opencv_contrib `modules/optflow/src/tvl1flow.cpp`, OpenCV's `remap`, `medianBlur`, `resize`: the order of operations.

`tests/support/tvl1_reference.py` says the same slowly and readably; the two must agree in every bit.

Rules for these files:

- The order of additions and the roundings are the result: small changes are amplified by the warp's 1/32-pixel grid
  and by the thresholds on iterations (docs/method.md, section 8). `fastmath` stands only where no rounding depends on
  it (minima, maxima, an estimate that is redone when it matters); `fma` stands only where the original fuses, or where
  the rounded result is the same.
- Only the outermost function is cached on disk, under a checksum of all these files (see `kernel.py`): Numba itself
  looks at one file's time stamp, and would not notice a change in a function or constant taken from another.
- Written for the vectoriser. The iterated fields lie in one buffer, row by row and in a row field by field, each
  field `STRIDE` floats with `PAD` zeros on both sides. Dual fields come first, as the distance to u then exceeds what
  the compiler must assume to overlap; indices are unsigned (no test for negative ones); `width` is rounded up so that
  no scalar rest is left, which does no harm as the columns beyond the image are zero and stay zero.
"""

import numpy as np
from numba import njit
from numba.core import types
from numba.extending import intrinsic

f32, f64, i64, u64 = np.float32, np.float64, np.int64, np.uint64

# Parameters, with OpenCV's defaults (DualTVL1OpticalFlow::create).
SIDE = 128  # images are SIDE x SIDE
SIZES = (128, 102, 82, 66, 53)  # side per scale: round(previous * 0.8), nscales = 5
WARPS, OUTER_ITERATIONS, INNER_ITERATIONS = 5, 10, 30
LAMBDA_THETA = f32(0.15 * 0.3)  # lambda * theta, the longest step of u towards rho = 0
MINUS_LAMBDA_THETA = f32(-0.15 * 0.3)
THETA = f32(0.3)
TAU_THETA = f32(0.25 / 0.3)  # tau / theta, the length of the dual step
EPSILON = 0.01  # stops at a mean squared change of EPSILON^2
GRADIENT_FLOOR = f32(1.1920929e-07)  # FLT_EPSILON: smaller squared gradients say nothing about the motion
UPSCALE = f32(1 / 0.8)  # a flow grows with its image

# Layout of the buffers.
PAD = 16
STRIDE = SIDE + 2 * PAD
FIELDS = 10
ROW = u64(FIELDS * STRIDE)  # from a row to the next, all fields
P11, P12, P21, P22, WARPED_X, WARPED_Y, RHO, CHANGE, U1, U2 = [u64(PAD + k * STRIDE) for k in range(FIELDS)]
LINE = u64(STRIDE)  # from a row to the next in planes and line buffers
LINE2, LINE3, LINE4 = u64(2 * STRIDE), u64(3 * STRIDE), u64(4 * STRIDE)
PLANE = (SIDE + 2) * STRIDE
NEXT_PLANE = u64(PLANE)
TAPS = 8  # most columns, and lines, that the windows of one row's pixels may cover about their own

NSCALES = len(SIZES)

ZERO, ONE, HALF = f32(0), f32(1), f32(0.5)
ONE_LEFT = ONE_RIGHT = u64(1)

SETTINGS = {"nogil": True, "error_model": "numpy"}  # numpy: x / 0 is inf or NaN, without a test


def compiled(**options):
    """Numba's `njit` as these files need it."""
    return njit(**SETTINGS, **options)


@intrinsic
def fma(typing_context, a, b, c):
    """a * b + c, rounded once. Without such an instruction LLVM calls the C library's `fmaf`: as exact, slower."""

    def generate(context, builder, signature, arguments):
        return builder.fma(*arguments)

    return types.float32(types.float32, types.float32, types.float32), generate
