"""The project's TV-L1 optical flow: the arithmetic of OpenCV 4.5.1-4.11, bit for bit, with any OpenCV installed.

Other rooms use the names in `__all__`.
"""

from Utils.tvl1.runner import KERNEL_VERSION, TVL1, compile_kernel, tvl1_flow

__all__ = ["KERNEL_VERSION", "TVL1", "compile_kernel", "tvl1_flow"]
