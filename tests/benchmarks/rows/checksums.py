"""What the checksums of kept arrays cost."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.benchmarks.rows.demo import Demo
from tests.benchmarks.rows.process import SIDES, run_script
from tests.benchmarks.table import Row

GOAL = 1  # per cent of a run's time


def checksum_rows(demo: Demo) -> list[Row]:
    """Two runs on DEMO with given weights: one that makes everything, and the same again, which checks what is kept."""
    shares = np.array([of_two_runs(demo) for _ in range(demo.sizes.rounds)])
    first, again = map(float, np.median(shares, axis=0))
    how = "DEMO with given weights, one worker"
    return [
        Row("checksums, share of a run's time", first, GOAL, "%", at_most=True, remark=how),
        Row("checksums, share of a run that finds all finished", again, GOAL, "%", at_most=True, remark=how),
    ]


def of_two_runs(demo: Demo) -> Sequence[float]:
    """The shares of the two runs, per cent."""
    with tempfile.TemporaryDirectory(prefix="mean-benchmark-") as folder:
        flags = ["--data_root", str(demo.data_root.resolve()), "--cache_dir", "cache", "--workers", "1"]
        flags += ["--output_dir", "runs"]
        return [checksum_share([*flags, *more], Path(folder)) for more in (["--fresh"], [])]


def checksum_share(flags: list[str], folder: Path) -> float:
    """The share of checksums in the time of a run, per cent."""
    whole, checksums = map(float, run_script(SIDES / "checksum_time.py", flags, folder).split())
    return 100 * checksums / whole
