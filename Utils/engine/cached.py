"""The functions that are called from outside, with a cache on disk, under a checksum of all files of this room."""

from __future__ import annotations

from pathlib import Path

from Utils.engine import steps
from Utils.work.compiling import cached, checksum_of_sources
from Utils.work.lanes import LANES


def make(checksum):
    """The compiled functions. They use `checksum`, so Numba makes it part of the keys under which they are cached.

    It is the checksum of the sources, and LANES, because the same sources have other buffers with other vectors.
    """

    @cached
    def learn(shape, constants, theta, moving, features, channels, indices, targets, bits, gradient, room):
        result = steps.learn(
            shape, constants, theta, moving, features, channels, indices, targets, bits, gradient, room
        )
        return result, checksum

    @cached
    def adam(theta, gradient, means, squares, step, learning_rate, beta1, beta2, epsilon):
        steps.adam(theta, gradient, means, squares, step, learning_rate, beta1, beta2, epsilon)
        return checksum

    @cached
    def outputs(shape, thetas, signs, scales, shifts, features, channels, heads, streams_result, room):
        steps.outputs(shape, thetas, signs, scales, shifts, features, channels, heads, streams_result, room)
        return checksum

    return learn, adam, outputs


learn, adam, outputs = make((checksum_of_sources(Path(__file__).parent), LANES))
