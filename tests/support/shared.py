"""What is made once for all processes that run the tests (pytest-xdist starts one per core)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

LONGEST = 600  # seconds that the slowest of these things takes on a busy machine


def made_once(tmp_path_factory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that `make(folder)` has filled in one of the processes; the others wait for it. To be read only."""
    root = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        root = root.parent  # each process has a folder in it
    folder, done, failed = (root / f"shared-{name}{ending}" for ending in ("", ".done", ".failed"))
    try:
        folder.mkdir()
    except FileExistsError:
        deadline = time.monotonic() + LONGEST
        while not done.exists():
            assert not failed.exists(), f"{name}: {failed.read_text(encoding='utf-8')}"
            assert time.monotonic() < deadline, f"{name} is not made after {LONGEST} s"
            time.sleep(0.05)
        return folder
    try:
        make(folder)
    except BaseException as error:
        failed.write_text(repr(error), encoding="utf-8")
        raise
    done.touch()
    return folder
