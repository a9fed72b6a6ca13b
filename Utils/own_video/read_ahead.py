"""Reads a video in a thread while the frames before are worked on: decoding and encoding then use two cores."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

AHEAD = 4  # frames that are read before they are asked for: enough to keep both sides busy, and 100 MB at 4K
END = object()  # stands for the item after the last one

Item = TypeVar("Item")


def read_ahead(items: Iterable[Item], ahead: int = AHEAD) -> Iterator[Item]:
    """The same items in the same order. A thread makes the next ones, at most `ahead` of them.

    What making an item raises is raised here, in its place.
    """
    iterator = iter(items)
    with ThreadPoolExecutor(1) as pool:
        waiting = deque(pool.submit(next, iterator, END) for _ in range(ahead))
        while (item := waiting.popleft().result()) is not END:
            waiting.append(pool.submit(next, iterator, END))
            yield item
