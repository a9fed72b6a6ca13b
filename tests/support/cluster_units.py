"""Units that tests run on a cluster. Its processes import this module, so it must be quick to import."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from Utils.errors import InputError


def square(number: int) -> tuple[int, int]:
    return number * number, os.getpid()


def refuse_2(number: int) -> int:
    if number == 2:
        raise InputError("img003.jpg: frame is cut short")
    return number


def end_process(unit: tuple[str, Path, bool]) -> int:
    """End this process, or that of the Dask worker; the second time only if they are to be ended `always`."""
    which, mark, always = unit
    if always or not mark.exists():
        mark.touch()
        os.kill(os.getpid() if which == "unit's" else os.getppid(), signal.SIGKILL)
        time.sleep(0.5)
    return os.getpid()


def raise_what_cannot_travel(number: int) -> None:
    class LocalError(Exception):
        pass

    raise LocalError(f"number {number}")


def wait_long(mark: Path) -> None:
    mark.touch()
    time.sleep(120)
