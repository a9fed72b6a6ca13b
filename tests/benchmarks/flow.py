"""Compares the speed of the project's flow with OpenCV's. Both use one thread.

    python -m tests.benchmarks.flow [rounds]

The ten recorded pairs of face crops are computed by both in turns, pair by pair. So other work of the machine slows
both in the same way. Reported are the median time of a flow, the ratio of the summed times of a round, and the kernel's
time per inner iteration and pixel (its whole time, divided by their number).
"""

import platform
import sys
import time
from pathlib import Path

import cv2
import llvmlite
import numba
import numpy as np

from tests.support.tvl1_pairs import recorded_pairs, why_not_opencv
from Utils.tvl1 import KERNEL_VERSION, TVL1, compile_kernel
from Utils.tvl1.tables import LANES


def timed(function, *arguments):
    start = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - start, result


def processor():
    """The processor's name in Linux, and in LLVM, which chooses the instructions by it."""
    name = platform.processor() or platform.machine()
    about = Path("/proc/cpuinfo")
    if about.exists():
        models = [line.split(":", 1)[1].strip() for line in about.read_text().splitlines() if line[:10] == "model name"]
        name = models[0] if models else name
    return f"{name} ({llvmlite.binding.get_host_cpu_name()}, vectors of up to {LANES} floats)"


def main(rounds: int = 5) -> None:
    start = time.perf_counter()
    compile_kernel()
    ready = time.perf_counter() - start
    cv2.setNumThreads(1)
    kernel, opencv = TVL1(), cv2.optflow.DualTVL1OpticalFlow_create()
    pairs = recorded_pairs()
    kernel_times, opencv_times = np.zeros((2, rounds, len(pairs)))
    pixel_iterations = equal = 0
    for index in range(rounds):
        for number, (first, second) in enumerate(pairs):
            opencv_times[index, number], theirs = timed(opencv.calc, first, second, None)
            kernel_times[index, number], ours = timed(kernel, first, second)
            pixel_iterations += kernel.counts[2]
            equal += np.array_equal(ours, theirs)
    ratios = opencv_times.sum(1) / kernel_times.sum(1)
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}, Numba {numba.__version__}"
    print(f"{platform.system()}, {processor()}")
    print(f"{versions}, OpenCV {cv2.__version__}, kernel {KERNEL_VERSION} (ready after {ready:.1f} s)")
    print(f"{rounds} rounds of {len(pairs)} pairs of 128x128, equal to this OpenCV's: {equal} of {rounds * len(pairs)}")
    if why_not_opencv():
        print(f"  ({why_not_opencv()})")
    print(f"OpenCV  {np.median(opencv_times) * 1e3:8.2f} ms per flow (median)")
    print(f"kernel  {np.median(kernel_times) * 1e3:8.2f} ms per flow (median)")
    print(f"ratio   {np.median(ratios):8.2f}    (rounds: {ratios.min():.2f} to {ratios.max():.2f})")
    print(f"kernel  {kernel_times.sum() / pixel_iterations * 1e9:8.2f} ns per pixel and inner iteration")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
