"""Times one epoch of the spotting network, so that two commits can be compared in turns.

    python -m tests.benchmarks.training_epoch [--samples 5000] [--epochs 6]

One thread, batches of 32, after compiling. The samples are random numbers: the time does not depend on
them. The last line has only the seconds of one epoch.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from Utils.engine import SPOT, compile_engine, initial_weights, train
from Utils.engine.layout import SIDE

BATCH = 32


def seconds_of(features: np.ndarray, labels: np.ndarray, epochs: int) -> float:
    """Seconds that so many epochs take with a new network."""
    weights = initial_weights([(SPOT, 1)], np.random.default_rng(0))
    start = time.perf_counter()
    train(weights, SPOT, features, labels, learning_rate=5e-4, seed=1, batch_size=BATCH, epochs=epochs)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--epochs", type=int, default=6, help="epochs of which the mean is taken")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    features = rng.random((args.samples, SIDE, SIDE, 3), dtype=np.float32)
    labels = (rng.random((args.samples, 1)) < 1 / 6).astype(np.float32)
    compile_engine()
    seconds_of(features, labels, 1)
    one = seconds_of(features, labels, 1)
    more = seconds_of(features, labels, 1 + args.epochs)
    print(f"{args.samples} samples, batches of {BATCH}, one thread: {one:.3f} s for one epoch with its preparation")
    print(f"{(more - one) / args.epochs:.4f}")


if __name__ == "__main__":
    main()
