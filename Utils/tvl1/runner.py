"""Calls the kernel: checks its input, keeps its memory, prepares its compilation."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
from numba.core import event

from Utils.tvl1 import kernel
from Utils.tvl1.layout import SIDE
from Utils.tvl1.tables import TABLES, make_workspace
from Utils.work.compiling import Announcement

# Part of cache keys. Raise the number after any change that can alter a flow. No such change is intended: the flow is
# OpenCV's.
KERNEL_VERSION = "tvl1-opencv-4.11/1"

COMPILING = "compiling the optical-flow kernel for this processor (once, about 10 s)..."


def checked_image(image: np.ndarray, name: str) -> np.ndarray:
    """The image as an array. ValueError if its shape or type is not the kernel's; `name` is used in the message."""
    image = np.asarray(image)
    if image.shape != (SIDE, SIDE) or image.dtype != np.uint8:
        raise ValueError(
            f"{name} image: the flow takes gray images of {SIDE}x{SIDE} pixels, 8 bit; "
            f"this one has shape {image.shape} and type {image.dtype}"
        )
    return image


class TVL1:
    """TV-L1 optical flow (Zach et al. 2007) as OpenCV 4.5.1-4.11 computes it. The result is the same on every machine.

    An instance holds the memory in which the kernel works (2.8 MB), so use one instance per thread. The interpreter's
    lock is released during the computation. The first call in a process loads the kernel or compiles it: see
    `compile_kernel`.

    Attributes
    ----------
    counts : ndarray of int64, (4,)
        Numbers of the last call: outer iterations, inner iterations, inner iterations times pixels, vectors whose
        pixels were warped one by one.
    """

    def __init__(self) -> None:
        self._workspace = make_workspace()
        self._first = np.zeros((SIDE, SIDE), np.uint8)
        self._second = np.zeros_like(self._first)
        self.counts = np.zeros(4, np.int64)

    def __call__(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """The flow from `first` to `second`.

        Parameters
        ----------
        first, second : ndarray of uint8, shape (128, 128)

        Returns
        -------
        ndarray of float32, shape (128, 128, 2)
            Horizontal (to the right) and vertical (downwards) motion in pixels.

        Raises
        ------
        ValueError
            If an image has another shape or type.
        """
        # Copies, because the kernel is compiled for one memory layout of writable arrays.
        self._first[:] = checked_image(first, "first")
        self._second[:] = checked_image(second, "second")
        out = np.empty((SIDE, SIDE, 2), np.float32)
        kernel.flow(self._first, self._second, out, self._workspace, TABLES, self.counts)
        return out


_own = threading.local()


def tvl1_flow(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The same as `TVL1()(first, second)`, with one instance per thread that is kept for the next call."""
    if not hasattr(_own, "tvl1"):
        _own.tvl1 = TVL1()
    return _own.tvl1(first, second)


def compile_kernel(say: Callable[[str], object] = print) -> None:
    """Make the kernel ready: load it from Numba's cache on disk, or compile it and report that in one line.

    Call this before worker processes are started. Otherwise each of them compiles.

    The cache is in `NUMBA_CACHE_DIR` if that is set, else beside the source (`__pycache__`), else in the user's cache
    folder. The kernel is compiled again when a file of this package, Numba or the kind of processor changes.

    Parameters
    ----------
    say : callable
        Called with the one line, `COMPILING`, if the kernel is compiled.
    """
    blank = np.zeros((SIDE, SIDE), np.uint8)
    with event.install_listener("numba:compile", Announcement(say, COMPILING, (kernel.flow,))):
        TVL1()(blank, blank)
