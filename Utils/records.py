"""The small types that flow through the steps, each defined once (`Dataset` stands in `Utils/datasets/table.py`)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ALL = "all"  # the fold that holds nobody out; its networks are for other people's videos
# How samples and figures are counted: as the paper says, or as its published code does.
PROTOCOLS = ("paper", "upstream")
OTHERS = "others"  # an expression of no evaluated class: it is spotted, and not recognised


@dataclass(frozen=True)
class Expression:
    """One annotated micro-expression; frames are 0-based and inclusive.

    Attributes
    ----------
    onset, offset : int
        First and last frame, `0 <= onset <= offset`.
    apex : int or None
        Frame of the greatest intensity as annotated; None where the dataset does not give it (SMIC).
    emotion : str
        One of the dataset's classes, or `OTHERS`.
    searched_apex : int or None
        The apex that the program found for a training sample, where the dataset gives none. It is no annotation.
    """

    onset: int
    apex: int | None
    offset: int
    emotion: str
    searched_apex: int | None = None


@dataclass(frozen=True)
class Video:
    """One video: where its frames lie and what is annotated in it. Frames are read when needed.

    Attributes
    ----------
    subject, name : str
        The names of its folders, unique together.
    frames : tuple of Path
        The image files in frame order (raw frames before the face crop, 128x128 crops after it).
    expressions : tuple of Expression
        In order of onset.
    """

    subject: str
    name: str
    frames: tuple[Path, ...]
    expressions: tuple[Expression, ...] = ()

    @property
    def label(self) -> str:
        """`subject/name`, as messages and reports show it."""
        return f"{self.subject}/{self.name}"


@dataclass(frozen=True)
class Fold:
    """One leave-one-subject-out split.

    Attributes
    ----------
    number : int
        1-based index of the held-out subject in natural order; 0 where nobody is held out.
    held_out : str
        The subject whose videos are tested, or `ALL`.
    spot_train, recog_train : ndarray of int64
        Indices of the videos (spotting) and of the recognition samples that are trained on.
    test : ndarray of int64
        Indices of the held-out subject's videos.
    """

    number: int
    held_out: str
    spot_train: np.ndarray = field(repr=False)
    recog_train: np.ndarray = field(repr=False)
    test: np.ndarray = field(repr=False)

    @property
    def weights_name(self) -> str:
        """Its weights are stored as `<name>.weights.h5`: `s<number>`, or `all`."""
        return f"s{self.number}" if self.number else ALL


def natural_key(text: str) -> tuple:
    """Sorting key under which `s9` stands before `s10`."""
    parts = re.split(r"(\d+)", text)
    return tuple(int(part) if part.isdecimal() else part for part in parts), text
