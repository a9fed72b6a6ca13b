"""--highest_fps: faster videos with every n-th of their frames."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np

from Utils.datasets.lengths import pair_distances
from Utils.datasets.table import Dataset
from Utils.records import Expression, Video
from Utils.study.videos import SAME_RATE, VideoFile

ORDINALS = {2: "2nd", 3: "3rd"}


@dataclass
class EveryNth:
    """Every n-th frame of a video file, for `Video.source`.

    Attributes
    ----------
    file : VideoFile
    every : int
    """

    file: VideoFile
    every: int
    problems: list[str] = field(default_factory=list)

    @property
    def path(self) -> Path:
        return self.file.path

    def __iter__(self) -> Iterator[np.ndarray]:
        yield from islice(self.file, 0, None, self.every)
        self.problems = list(self.file.problems)


def step_of(fps: float, highest_fps: float | None) -> int:
    """Every how many frames one is used, so that no more than `highest_fps` are left in a second.

    A rate that is higher by less than a percent, such as 30.01 instead of 30, counts as the same.
    """
    return 1 if highest_fps is None else max(1, math.ceil(fps / (highest_fps * (1 + SAME_RATE))))


def slower(dataset: Dataset, highest_fps: float | None) -> Dataset:
    """A dataset at no more than a frame rate. It has another name, because its crops and features are others.

    SAMM (200 frames per second) at 30: every 7th frame, 28.6 per second.
    """
    rates = list(dataset.k) if isinstance(dataset.k, Mapping) else [dataset.fps]
    steps = {fps: step_of(fps, highest_fps) for fps in rates}
    if set(steps.values()) == {1}:
        return dataset
    if len(rates) == 1 and dataset.scan is None:
        every = steps[rates[0]]
        ending, title = f"_every{every}", f"every {ORDINALS.get(every, f'{every}th')} frame"
    else:
        ending, title = f"_upto{highest_fps:g}", f"at most {highest_fps:g} frames per second"
    new_rates = sorted({fps / every for fps, every in steps.items()})
    return replace(
        dataset, name=dataset.name + ending, title=f"{dataset.title}, {title}", fps=new_rates[-1],
        k=pair_distances(new_rates), crop_dir=dataset.crop_dir and dataset.crop_dir + ending,
    )  # fmt: skip


def every_nth(video: Video, highest_fps: float | None, fps: float) -> Video:
    """A video at no more than a frame rate, with its expressions in the frames that are left.

    `fps` is the rate of a video that does not say its own.
    """
    recorded = video.fps or fps
    every = step_of(recorded, highest_fps)
    if every == 1:
        return replace(video, fps=recorded)
    return replace(
        video,
        frames=video.frames[::every],
        fps=recorded / every,
        expressions=tuple(_divided(e, every) for e in video.expressions),
        source=None if video.source is None else EveryNth(video.source, every),
    )


def _divided(e: Expression, every: int) -> Expression:
    apex = None if e.apex is None else e.apex // every
    return replace(e, onset=e.onset // every, apex=apex, offset=e.offset // every)
