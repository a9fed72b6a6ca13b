"""Runs `main.py` in one process, and prints the seconds of the run and those of its checksums.

    PYTHONPATH=. python tests/benchmarks/sides/checksum_time.py FLAGS...

The time of a check is that of reading the array and of its checksum. `rows/checksums.py` runs this.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import Utils.work.arrays as arrays


class Clock:
    """The summed time of the functions that it wraps. What they call of each other is not counted twice."""

    def __init__(self) -> None:
        self.seconds, self._running = 0.0, False

    def wrap(self, function: Callable) -> Callable:
        def timed(*arguments):
            with self._counted():
                return function(*arguments)

        return timed

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        if self._running:
            yield
            return
        self._running, start = True, time.perf_counter()
        try:
            yield
        finally:
            self._running = False
            self.seconds += time.perf_counter() - start


def main() -> int:
    start = time.perf_counter()
    clock = Clock()
    arrays.zlib = SimpleNamespace(crc32=clock.wrap(arrays.zlib.crc32))
    arrays._is_undamaged = clock.wrap(arrays._is_undamaged)
    import main as command_line

    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # noqa: PTH123
        code = command_line.main(sys.argv[1:])
    print(time.perf_counter() - start, clock.seconds)
    return code


if __name__ == "__main__":
    sys.exit(main())
