"""How much memory a worker needs for a larger training set."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from tests.benchmarks.rows.process import SIDES, run_script
from tests.benchmarks.table import Row
from tests.benchmarks.timing import Sizes

GOAL = 1.2  # times the size of the set
FEATURES = 1000  # of a video
SHAPE = (42, 42, 3)
SAMPLE = int(np.prod(SHAPE)) * 4  # bytes of a feature in memory


def memory_rows(sizes: Sizes) -> list[Row]:
    """Train two folds, each in a new process: the difference of their memory, divided by that of their sets."""
    with tempfile.TemporaryDirectory(prefix="mean-benchmark-") as folder:
        features = Path(folder) / "features.npy"
        np.save(features, np.random.default_rng(0).random((FEATURES, *SHAPE), dtype=np.float32))
        (small, n_small), (large, n_large) = (fold_memory(features, n // FEATURES) for n in sizes.memory)
    grown = (large - small) / ((n_large - n_small) * SAMPLE)
    remark = f"folds of {n_small:,} and {n_large:,} samples ({n_large * SAMPLE / 1e9:.2f} GB), each in a new process"
    what = "memory of a worker, growth with the thinned set"
    ours = f"{small / 1e9:.2f} and {large / 1e9:.2f} GB"
    return [Row(what, grown, GOAL, at_most=True, ours=ours, remark=remark)]


def fold_memory(features: Path, videos: int) -> tuple[int, int]:
    """Peak memory in bytes of a process that trains a fold, and the number of its thinned samples."""
    peak, samples = run_script(SIDES / "fold_memory.py", [features, videos], features.parent).split()
    return int(peak), int(samples)
