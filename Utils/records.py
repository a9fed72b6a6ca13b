"""The small types that flow through the steps. Each is defined once; `Dataset` is in `Utils/datasets/table.py`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np  # for annotations only: `main.py --help` need not wait for it

ALL = "all"  # name of the fold that holds nobody out; its networks are used on videos of people outside the dataset
# How samples and figures are counted: as the paper says, or as its published code does
PROTOCOLS = ("paper", "upstream")
MICRO, MACRO = KINDS = ("micro", "macro")  # kinds of expressions: involuntary and short, or ordinary ones
# k or k', frames. If the videos have different frame rates: frames per second -> frames.
Length = int | Mapping[float, int]
OTHERS = "others"  # emotion of an expression that belongs to no evaluated class: it is spotted but not recognised


@dataclass(frozen=True)
class Expression:
    """One annotated expression. Frames are 0-based and inclusive.

    Attributes
    ----------
    onset, offset : int
        First and last frame, `0 <= onset <= offset`.
    apex : int or None
        Frame of the greatest intensity, as annotated. None if the dataset does not give it (SMIC).
    emotion : str
        One of the dataset's classes, or `OTHERS`; "" if the emotion is not annotated (macro-expressions of CAS(ME)^3).
    searched_apex : int or None
        The apex that the program found for a training sample, where the dataset gives none. It is no annotation.
    kind : {"micro", "macro"}
    """

    onset: int
    apex: int | None
    offset: int
    emotion: str
    searched_apex: int | None = None
    kind: str = MICRO


@dataclass(frozen=True)
class Video:
    """One video: where its frames are, and what is annotated in it. Frames are read only when they are needed.

    Attributes
    ----------
    subject, name : str
        As its folders are named. Together the two names are unique.
    frames : tuple of Path
        The image files in frame order: raw frames before the face crop, 128x128 crops after it.
    expressions : tuple of Expression
        In order of onset; under the upstream protocol in the workbook's order.
    fps : float or None
        Frames per second. None: that of the dataset.
    source : object or None
        A video that is one file: `source.path` is the file, and every iteration over `source` gives its raw frames,
        (height, width, 3) uint8 BGR, from the start. `frames` are then only names, and their number is an estimate
        until the crops are made. None: `frames` are image files.
    """

    subject: str
    name: str
    frames: tuple[Path, ...]
    expressions: tuple[Expression, ...] = ()
    fps: float | None = None
    source: Iterable[np.ndarray] | None = None

    @property
    def raw_files(self) -> tuple[Path, ...]:
        """The files in which the raw frames are."""
        return self.frames if self.source is None else (self.source.path,)

    @property
    def label(self) -> str:
        """`subject/name`, as messages and reports show it."""
        return f"{self.subject}/{self.name}"


@dataclass(frozen=True)
class Fold:
    """One split into what is trained on and what is tested, usually leave-one-subject-out.

    Attributes
    ----------
    number : int
        1-based index of the held-out subject in natural order, or of the group of subjects. 0 if nobody is held out.
    held_out : str
        The subject whose videos are tested, the name of a group of subjects, or `ALL`.
    spot_train : ndarray of int64, (n,)
        Indices of the videos on which the spotting network is trained.
    recog_train : ndarray of int64, (n,)
        Indices of the recognition samples on which the recognition network is trained.
    test : ndarray of int64, (n,)
        Indices of the held-out subject's videos.
    group : tuple of str
        The held-out subjects, if they are a group.
    """

    number: int
    held_out: str
    spot_train: np.ndarray = field(repr=False)
    recog_train: np.ndarray = field(repr=False)
    test: np.ndarray = field(repr=False)
    group: tuple[str, ...] = ()

    @property
    def subjects(self) -> tuple[str, ...]:
        """The held-out subjects."""
        return self.group or (self.held_out,)

    @property
    def weights_name(self) -> str:
        """`s<number>` or `all`. The fold's weights are stored as `<weights_name>.weights.h5`."""
        return f"s{self.number}" if self.number else ALL


def frames_of(length: Length, fps: float | None) -> int:
    """A length in a video of `fps` frames per second (None: the dataset's rate, which all videos then have)."""
    return length[fps] if isinstance(length, Mapping) else length


def shown_length(length: Length) -> str:
    """A length for people: `3`, or `2 at 15 fps, 3 at 30 fps`."""
    if isinstance(length, Mapping):
        return ", ".join(f"{frames} at {fps:g} fps" for fps, frames in length.items())
    return str(length)


def natural_key(text: str) -> tuple:
    """Sorting key under which `s9` stands before `s10`."""
    parts = re.split(r"(\d+)", text)
    return tuple(int(part) if part.isdecimal() else part for part in parts), text
