"""How much is measured, and the clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

EPOCHS = 10  # of the spotting network of a fold (paper section 4.2); the recognition network has ten times as many
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}  # environment of a process


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes
    ----------
    rounds : int
        How often both sides take their turn. The median counts.
    frames : int
        Frames of the published crop and flow.
    samples : int
        Thinned samples of a fold.
    epochs : int
        Epochs of the spotting network that are timed. With fewer than `EPOCHS` the time of a fold is extrapolated.
    features : int
        Features that 14 networks predict.
    memory : (int, int)
        Thinned samples of the two folds whose memory is compared.
    """

    rounds: int = 3
    frames: int = 60
    samples: int = 5000
    epochs: int = EPOCHS
    features: int = 2000
    memory: tuple[int, int] = (5000, 20_000)


QUICK = Sizes(rounds=1, frames=6, samples=320, epochs=2, features=200, memory=(1000, 4000))


def seconds(function: Callable, *arguments) -> float:
    """The time that a call takes."""
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def in_turns(theirs: Callable, ours: Callable, rounds: int) -> tuple[float, float]:
    """Median seconds of both functions, which are called in turns."""
    pairs = [(seconds(theirs), seconds(ours)) for _ in range(rounds)]
    return tuple(map(float, np.median(pairs, axis=0)))
