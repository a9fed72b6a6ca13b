"""What the parts of the kernel share: parameters, the layout of the buffers, how functions are compiled.

The kernel computes what DualTVL1OpticalFlow of OpenCV 4.5.1-4.11 computes with its defaults, bit for bit. Sources:

- Zach, Pock, Bischof (2007), "A duality based approach for realtime TV-L1 optical flow": the model and its two steps;
- Sanchez, Meinhardt-Llopis, Facciolo (2013), "TV-L1 optical flow estimation", IPOL 3: the algorithm with its scales
  and warps, which OpenCV follows;
- opencv_contrib `modules/optflow/src/tvl1flow.cpp`, OpenCV's `remap`, `medianBlur`, `resize`: the order of operations.

`tests/support/tvl1_reference.py` is the same computation, slow but readable. The two must agree in every bit.

Rules for these files:

- The order of additions and every rounding must stay as they are. The warp's 1/32-pixel grid and the thresholds on
  iterations amplify the smallest change (docs/method.md, section 8). `fastmath` is used only where no rounding depends
  on it (minima, maxima, an estimate that is computed again if it matters). `fma` is used only where the original fuses,
  or where the rounded result is the same.
- Only the outermost function is cached on disk, under a checksum of all these files (see `kernel.py`). Numba itself
  looks at the time stamp of one file. It would not notice a change in a function or constant from another file.
- The inner iterations and the warp compute `LANES` neighbouring pixels side by side (`Utils/work/lanes.py`), the other
  loops are written so that the compiler can vectorise them. The iterated fields are in one buffer, row by row, and
  within a row field by field. Each field has `STRIDE` floats, with `PAD` zeros on both sides. Indices are unsigned, so
  there is no test for negative ones. A row is computed in whole vectors, so no single pixels are left at its end. This
  does no harm: the columns beyond the image are zero and stay zero.
"""

import numpy as np
from numba import njit
from numba.core import types
from numba.extending import intrinsic

from Utils.work.compiling import SETTINGS
from Utils.work.lanes import LANES

f32, f64, i64, u64 = np.float32, np.float64, np.int64, np.uint64

# Parameters: OpenCV's defaults (DualTVL1OpticalFlow::create)
SIDE = 128  # pixels; images are SIDE x SIDE
SIZES = (128, 102, 82, 66, 53)  # side on each scale: round(previous * 0.8), nscales = 5
WARPS, OUTER_ITERATIONS, INNER_ITERATIONS = 5, 10, 30
LAMBDA_THETA = f32(0.15 * 0.3)  # lambda * theta: the longest step of u towards rho = 0
THETA = f32(0.3)
TAU_THETA = f32(0.25 / 0.3)  # tau / theta: the length of the dual step
EPSILON = 0.01  # the iterations stop at a mean squared change of EPSILON^2
GRADIENT_FLOOR = f32(1.1920929e-07)  # FLT_EPSILON: a smaller squared gradient tells nothing about the motion
UPSCALE = f32(1 / 0.8)  # the flow is in pixels, so it grows with the image

# Layout of the buffers, in floats
PAD = 16  # 64 bytes, as the buffers' alignment: then every field of every row starts at a multiple of 64 bytes
STRIDE = SIDE + 2 * PAD
FIELDS = 10
ROW = u64(FIELDS * STRIDE)  # from one row to the next, over all fields
P11, P12, P21, P22, WARPED_X, WARPED_Y, RHO, CHANGE, U1, U2 = [u64(PAD + k * STRIDE) for k in range(FIELDS)]
LINE = u64(STRIDE)  # from one row to the next in planes and line buffers
LINE2, LINE3, LINE4 = u64(2 * STRIDE), u64(3 * STRIDE), u64(4 * STRIDE)
PLANE = (SIDE + 2) * STRIDE
NEXT_PLANE = u64(PLANE)
WINDOW = 4  # columns, and lines, of a pixel's window in the warp
TAPS = 8  # columns or lines, relative to each pixel's own, that the windows of a row may cover together (see `warp`)

NSCALES = len(SIZES)

ZERO, ONE, HALF = f32(0), f32(1), f32(0.5)
ONE_LEFT = ONE_RIGHT = u64(1)
THE_LANES = u64(LANES)


def compiled(**options):
    """Numba's `njit` with the settings of these files."""
    return njit(**SETTINGS, **options)


@intrinsic
def fma_of_numbers(typing_context, a, b, c):
    """a * b + c, rounded once.

    On a processor without such an instruction LLVM calls `fmaf` of the C library, which is as exact but slower.
    """

    def generate(context, builder, signature, arguments):
        return builder.fma(*arguments)

    return types.float32(types.float32, types.float32, types.float32), generate
