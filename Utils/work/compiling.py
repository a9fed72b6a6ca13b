"""Functions that Numba compiles from several files: how, their cache on disk, and the line that says so to users."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from numba import njit
from numba.core import event

from Utils.work import lanes

SETTINGS = {"nogil": True, "error_model": "numpy"}  # "numpy": x / 0 gives inf or NaN, and is not tested for


def checksum_of_sources(folder: Path) -> int:
    """A number that changes with any Python file of a folder, and with what compiled functions take from this one.

    It fits into a signed 64-bit integer.

    Numba itself looks at the time stamp of one file. It would not notice a change in a function of another file.
    """
    return checksum_of_files([*sorted(folder.glob("*.py")), Path(lanes.__file__)])


def checksum_of_files(files: Iterable[Path]) -> int:
    """The same of some files."""
    digest = hashlib.sha256()
    for path in [*files, Path(__file__)]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return int.from_bytes(digest.digest()[:8], "big") >> 1


def cached(function):
    """Compile with a cache on disk. If no folder for the cache can be written, every process compiles for itself.

    What the function takes from the function around it is part of the key: give it `checksum_of_sources` so.
    """
    try:
        return njit(cache=True, **SETTINGS)(function)
    except RuntimeError:  # Numba: "cannot cache function ...: no locator available"
        return njit(**SETTINGS)(function)


class Announcement(event.Listener):
    """Reports once, in one line, that one of some functions is compiled. Loading one from the cache raises no event.

    Use it with `numba.core.event.install_listener("numba:compile", ...)`.
    """

    def __init__(self, say: Callable[[str], object], line: str, functions: tuple) -> None:
        self._say, self._line, self._functions = say, line, functions
        self._said = False

    def on_start(self, event: event.Event) -> None:
        if not self._said and event.data["dispatcher"] in self._functions:
            self._said = True
            self._say(self._line)

    def on_end(self, event: event.Event) -> None:
        pass
