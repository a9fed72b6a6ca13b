"""The optical flow, on one thread."""

from __future__ import annotations

import numpy as np

from tests.benchmarks.flow import measure
from tests.benchmarks.table import Row, duration
from tests.benchmarks.timing import Sizes
from Utils.work.lanes import LANES

GOALS = {16: 1.1, 8: 1.6}  # floats in the widest vector (16: AVX-512) -> ns per pixel and inner iteration


def flow_rows(sizes: Sizes) -> list[Row]:
    found = measure(sizes.rounds)
    opencv, kernel = (f"{duration(float(np.median(times)))} a flow" for times in (found.opencv, found.kernel))
    per_iteration = float(np.median(found.per_iteration)) * 1e9
    what = "flow, pixel and inner iteration"
    return [Row(what, per_iteration, GOALS[LANES], "ns", at_most=True, other=f"OpenCV {opencv}", ours=kernel)]
