"""Runs scripts in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from Utils.settings import PROJECT

SIDES = PROJECT / "tests" / "benchmarks" / "sides"


def run_script(script: Path, arguments: Sequence[object], folder: Path) -> str:
    """What a script prints that runs in a folder, with this project's code. Raises RuntimeError if it fails."""
    done = subprocess.run(
        [sys.executable, script, *map(str, arguments)], cwd=folder, env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True, text=True, errors="replace",
    )  # fmt: skip
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise RuntimeError(f"{script.name} {' '.join(map(str, arguments))}: {said[-1] if said else 'failed'}")
    return done.stdout


def run_main(flags: Sequence[object], folder: Path) -> None:
    """`main.py` with these flags, in a folder. Raises RuntimeError if it fails."""
    run_script(PROJECT / "main.py", flags, folder)
