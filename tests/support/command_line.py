"""Runs `python main.py` as a user does, and finds its results."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.paths import PROJECT

QUICK = ("--epochs_spot", "1", "--epochs_recog", "2")


def command_line(*flags: object, cwd: Path) -> subprocess.CompletedProcess:
    """`python main.py ...` in a process of its own."""
    return subprocess.run(
        [sys.executable, str(PROJECT / "main.py"), *map(str, flags)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
    )


def only_run(folder: Path, beginning: str = "") -> Path:
    """The folder of the one run whose name begins like this."""
    (run,) = (folder / "runs").glob(f"{beginning}*")
    return run
