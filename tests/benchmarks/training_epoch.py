"""Times one epoch of the spotting network, so that two commits can be compared in turns.

    python -m tests.benchmarks.training_epoch [--samples 5000] [--epochs 6]

One thread, batches of 32, after tracing and compiling. The samples are random numbers: the time does not depend on
them. The last line has only the seconds of one epoch.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from Utils.networks.backend import seed_keras, without_chatter

seed_keras(0)

from define_model import FEATURE_SHAPE, STREAMS, spotting_network  # noqa: E402  after the set-up
from Utils.networks.compiled import train  # noqa: E402

BATCH = 32


def seconds_of(inputs: list[np.ndarray], labels: np.ndarray, epochs: int) -> float:
    """Seconds that so many epochs take with a new network."""
    network = spotting_network()
    start = time.perf_counter()
    train(
        network, inputs, labels, learning_rate=5e-4, seed=1, jit_compile=True, batch_size=BATCH, epochs=epochs
    )  # fmt: skip
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--epochs", type=int, default=6, help="epochs of which the mean is taken")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    inputs = [rng.random((args.samples, *FEATURE_SHAPE), dtype=np.float32) for _ in STREAMS]
    labels = (rng.random(args.samples) < 1 / 6).astype(np.float32)
    with without_chatter():
        seconds_of(inputs, labels, 1)  # traces and compiles
        one = seconds_of(inputs, labels, 1)
        more = seconds_of(inputs, labels, 1 + args.epochs)
    print(f"{args.samples} samples, batches of {BATCH}, one thread: {one:.3f} s for one epoch with its preparation")
    print(f"{(more - one) / args.epochs:.4f}")


if __name__ == "__main__":
    main()
