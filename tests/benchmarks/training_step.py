"""Says where the milliseconds of a training step of the spotting network go.

    python -m tests.benchmarks.training_step [--samples 5000] [--steps 300]

One thread, a batch of 32. Each part is compiled and repeated alone, on buffers that a whole step has filled. What the
parts do not cover, the rest, is the head (forward and backward), dropout's masks, and regularisation.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from numba import njit

from Utils.engine import CHANNELS, SPOT, initial_weights, steps
from Utils.engine.buffers import room_for
from Utils.engine.inputs import pad_kernels, take_images
from Utils.engine.layout import FLAT, POOLED, SIDE
from Utils.engine.normalisation import normalise, signs_of_gammas
from Utils.engine.parameters import flatten, moving_statistics, shape_of
from Utils.engine.training import ADAM_EPSILON, BETA1, BETA2, CONSTANTS
from Utils.work.lanes import LANES

BATCH = 32


@njit
def gather(features, indices, channels_of, images, streams):
    take_images(features, indices, channels_of, images, streams)


@njit
def forward(shape, constants, theta, moving, room, n):
    channels = shape.channels
    pad_kernels(shape, theta, room)
    signs = np.empty(channels, np.float32)
    signs_of_gammas(shape, theta, signs)
    moments = np.zeros((n, 2 * channels), np.float64)
    for g in range((n + LANES - 1) // LANES):
        steps.convolve_streams(shape, theta, signs, room, g, True, min(LANES, n - g * LANES), moments)
    of_channels = np.empty((4, channels), np.float32)
    normalise(shape, constants, theta, moments, moving, of_channels[0], of_channels[1], of_channels[2], of_channels[3])


@njit
def backward(shape, room, n, back, gradient):
    steps.add_stream_gradients(shape, room, n, back, gradient)


@njit
def adam(theta, gradient, means, squares, step):
    steps.adam(theta, gradient, means, squares, step, 5e-4, BETA1, BETA2, ADAM_EPSILON)


@njit
def whole(shape, constants, theta, moving, features, channels_of, indices, targets, bits, gradient, room):
    return steps.learn(
        shape, constants, theta, moving, features, channels_of, indices, targets, bits, gradient, room
    )  # fmt: skip


def milliseconds(function: Callable[[], object], n: int) -> float:
    """Median processor time of a call, after one that may compile: other work on the machine counts little."""
    function()
    times = []
    for _ in range(n):
        start = time.thread_time()
        function()
        times.append(time.thread_time() - start)
    return float(np.median(times)) * 1e3


def measure(samples: int, n: int) -> dict[str, float]:
    """Milliseconds of each part. The last ones are the rest and the whole step."""
    rng = np.random.default_rng(0)
    features = rng.random((samples, SIDE, SIDE, len(CHANNELS)), dtype=np.float32)
    weights = initial_weights([(SPOT, 1)], rng)
    shape, theta = shape_of(weights, CHANNELS, SPOT, False), flatten(weights, CHANNELS, SPOT)
    moving, room = moving_statistics(weights, CHANNELS), room_for(shape, BATCH, 1)
    channels_of, indices = np.arange(len(CHANNELS)), rng.permutation(samples)[:BATCH]
    targets = (rng.random((BATCH, 1)) < 1 / 6).astype(np.float32)
    numbers = -(-(POOLED * POOLED * shape.channels + FLAT) * BATCH // 4)
    bits = rng.integers(0, 2**64, numbers, np.uint64).view(np.uint16)
    gradient, means, squares = np.zeros((3, theta.size), np.float32)
    back = np.ones(4 * shape.channels, np.float32)
    arguments = shape, CONSTANTS, theta, moving, features, channels_of, indices, targets, bits, gradient, room
    whole(*arguments)
    parts = {
        "random numbers of the dropout": lambda: rng.integers(0, 2**64, numbers, np.uint64),
        "images of the batch": lambda: gather(features, indices, channels_of, room.images, len(CHANNELS)),
        "streams, forward": lambda: forward(shape, CONSTANTS, theta, moving, room, BATCH),
        "streams, gradient of the kernels": lambda: backward(shape, room, BATCH, back, gradient),
        "Adam": lambda: adam(theta.copy(), gradient, means, squares, 1),
    }
    found = {name: milliseconds(function, n) for name, function in parts.items()}
    step = milliseconds(lambda: whole(*arguments), n) + found["random numbers of the dropout"] + found["Adam"]
    return found | {"the rest: head, masks, regularisation": step - sum(found.values()), "the whole step": step}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--steps", type=int, default=300, help="steps of which the median is taken")
    args = parser.parse_args()
    found = measure(args.samples, args.steps)
    for name, ms in found.items():
        print(f"{name:<40}{ms:7.3f} ms  {ms / found['the whole step']:4.0%}")


if __name__ == "__main__":
    main()
