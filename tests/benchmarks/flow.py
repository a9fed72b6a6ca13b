"""Compares the speed of the project's flow with OpenCV's. Both use one thread.

    python -m tests.benchmarks.flow [rounds]

The ten recorded pairs of face crops are computed by both in turns, pair by pair. So other work of the machine slows
both in the same way. Reported are the median time of a flow, the ratio of the summed times of a round, and the kernel's
time per inner iteration and pixel (its whole time, divided by their number; the median of the rounds).
"""

import platform
import sys
import time
from typing import NamedTuple

import cv2
import numba
import numpy as np

from tests.benchmarks.machine import processor
from tests.support.tvl1_pairs import recorded_pairs, why_not_opencv
from Utils.tvl1 import KERNEL_VERSION, TVL1, compile_kernel


class Measured(NamedTuple):
    """The times of the flows, in seconds."""

    opencv: np.ndarray  # (rounds, pairs)
    kernel: np.ndarray  # (rounds, pairs)
    per_iteration: np.ndarray  # (rounds,): the kernel's whole time, for an inner iteration of a pixel
    equal: int  # number of flows that are the same in bits


def timed(function, *arguments):
    start = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - start, result


def measure(rounds: int) -> Measured:
    """Compute the flows of the recorded pairs in turns."""
    compile_kernel()
    cv2.setNumThreads(1)
    kernel, opencv = TVL1(), cv2.optflow.DualTVL1OpticalFlow_create()
    pairs = recorded_pairs()
    opencv_times, kernel_times, pixel_iterations = np.zeros((3, rounds, len(pairs)))
    equal = 0
    for index in range(rounds):
        for number, (first, second) in enumerate(pairs):
            opencv_times[index, number], theirs = timed(opencv.calc, first, second, None)
            kernel_times[index, number], ours = timed(kernel, first, second)
            pixel_iterations[index, number] = kernel.counts[2]
            equal += np.array_equal(ours, theirs)
    return Measured(opencv_times, kernel_times, kernel_times.sum(1) / pixel_iterations.sum(1), equal)


def main(rounds: int = 5) -> None:
    ready, _ = timed(compile_kernel)
    found = measure(rounds)
    ratios = found.opencv.sum(1) / found.kernel.sum(1)
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}, Numba {numba.__version__}"
    print(f"{platform.system()}, {processor()}")
    print(f"{versions}, OpenCV {cv2.__version__}, kernel {KERNEL_VERSION} (ready after {ready:.1f} s)")
    pairs = found.kernel.shape[1]
    print(f"{rounds} rounds of {pairs} pairs of 128x128, equal to this OpenCV's: {found.equal} of {rounds * pairs}")
    if why_not_opencv():
        print(f"  ({why_not_opencv()})")
    print(f"OpenCV  {np.median(found.opencv) * 1e3:8.2f} ms per flow (median)")
    print(f"kernel  {np.median(found.kernel) * 1e3:8.2f} ms per flow (median)")
    print(f"ratio   {np.median(ratios):8.2f}    (rounds: {ratios.min():.2f} to {ratios.max():.2f})")
    print(f"kernel  {np.median(found.per_iteration) * 1e9:8.2f} ns per pixel and inner iteration")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
