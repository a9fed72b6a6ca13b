"""Small types for facts that only some datasets have: choices of classes, and counts that others published."""

from __future__ import annotations

from dataclasses import dataclass

from Utils.datasets.annotations import Emotions
from Utils.records import MICRO


@dataclass(frozen=True)
class Classes:
    """One choice of classes of a dataset: the emotions that are recognised, and what the workbook's words stand for."""

    classes: tuple[str, ...]
    emotions: Emotions


@dataclass(frozen=True)
class PublishedCount:
    """How many subjects, videos and expressions somebody counted in a dataset. `--check` shows ours beside it.

    Attributes
    ----------
    who : str
        Who counted, and how, for the report.
    expressions : int
    videos, subjects : int or None
        None if this was not published.
    kind : {"micro", "macro"}
    least_onset : int
        Expressions with an earlier onset, as a 0-based frame, were not counted.
    """

    who: str
    expressions: int
    videos: int | None = None
    subjects: int | None = None
    kind: str = MICRO
    least_onset: int = 0
