"""Shows how far long work is: a moving bar on a terminal, and in a log file a line after each tenth."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TextIO

from tqdm import tqdm

SHOWN_AFTER = 0.2  # seconds: quicker work shows nothing
STEPS = 10  # lines in a log file


def progress(items: Iterable | None = None, *, total: int, title: str, unit: str, shown: bool = True):
    """Progress of `total` units on the error stream.

    Parameters
    ----------
    items : iterable, optional
        If given, the result is iterated instead of these, and every item is a unit. Otherwise `update()` is called on
        the result after each unit, in a `with` block.
    total : int
        About how many units there are.
    title, unit : str
        Texts, such as "training" and "fold".
    shown : bool
        False: show nothing.

    Returns
    -------
    tqdm or Lines
    """
    if shown and not sys.stderr.isatty():
        return Lines(items, total, title, unit, sys.stderr)
    texts = dict(desc=f"  {title}", unit=f" {unit}")
    return tqdm(items, total=total, **texts, file=sys.stderr, dynamic_ncols=True, delay=SHOWN_AFTER, disable=not shown)


class Lines:
    """What `tqdm` is for a terminal, for a file: `  training:  30% | 3 of 10 folds | 12 s`."""

    def __init__(self, items: Iterable | None, total: int, title: str, unit: str, screen: TextIO) -> None:
        self._items, self._total, self._title, self._unit = items, max(1, total), title, unit
        self._screen, self._done, self._steps, self._start = screen, 0, 0, time.monotonic()

    def __iter__(self) -> Iterator:
        for item in self._items:
            yield item
            self.update()

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_) -> None:
        pass

    def update(self) -> None:
        """One more unit is done."""
        self._done += 1
        steps = min(STEPS, STEPS * self._done // self._total)
        seconds = time.monotonic() - self._start
        if steps > self._steps and seconds >= SHOWN_AFTER:
            self._steps = steps
            done = f"{steps * 100 // STEPS:3}% | {self._done} of {self._total} {self._unit}s | {seconds:.0f} s"
            print(f"  {self._title}: {done}", file=self._screen, flush=True)

    def write(self, text: str) -> None:
        """Print a line. (On a terminal, `tqdm` does it above the bar.)"""
        print(text, flush=True)
