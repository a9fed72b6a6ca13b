"""The functions that are called from outside, with a cache on disk.

Numba looks at the time stamp of one file only. It would not notice a change in a function of another file. So the cache
is kept under a checksum of all files of this room.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from numba import njit

from Utils.engine import steps
from Utils.engine.lanes import LANES
from Utils.engine.layout import SETTINGS


def checksum_of_sources() -> int:
    """A number that changes with any file of this package. It has 63 bits, to fit into a signed 64-bit integer."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return int.from_bytes(digest.digest()[:8], "big") >> 1


def cached(function):
    """Compile with a cache on disk. If no folder for the cache can be written, every process compiles for itself."""
    try:
        return njit(cache=True, **SETTINGS)(function)
    except RuntimeError:  # Numba: "cannot cache function ...: no locator available"
        return njit(**SETTINGS)(function)


def make(checksum):
    """The compiled functions. They use `checksum`, so Numba makes it part of the keys under which they are cached.

    It is the checksum of the sources, and LANES, because the same sources have other buffers with other vectors.
    """

    @cached
    def learn(shape, constants, theta, moving, features, channels, indices, targets, bits, slopes, room):
        result = steps.learn(shape, constants, theta, moving, features, channels, indices, targets, bits, slopes, room)
        return result, checksum

    @cached
    def adam(theta, gradient, means, squares, step, learning_rate, beta1, beta2, epsilon):
        steps.adam(theta, gradient, means, squares, step, learning_rate, beta1, beta2, epsilon)
        return checksum

    @cached
    def outputs(shape, thetas, signs, slopes, offsets, features, channels, heads, streams_result, room):
        steps.outputs(shape, thetas, signs, slopes, offsets, features, channels, heads, streams_result, room)
        return checksum

    return learn, adam, outputs


learn, adam, outputs = make((checksum_of_sources(), LANES))
