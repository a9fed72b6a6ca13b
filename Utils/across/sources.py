"""Reads the datasets of a run across datasets, at the frame rates at which they are used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prepare_training import half_length
from Utils.across.people import People, people_of
from Utils.across.rates import every_nth, slower, step_of
from Utils.across.submission import Recorded
from Utils.dataset_run.data import read_data
from Utils.datasets.table import Dataset
from Utils.errors import InputError
from Utils.methods.table import Method
from Utils.records import Length, Video
from Utils.settings import MEAN_LENGTH, MEDIAN_LENGTH, Settings
from Utils.work.parallel import Workers


@dataclass(frozen=True)
class Source:
    """One kind of expressions of one dataset, after steps 1 and 2.

    Attributes
    ----------
    name : str
        The dataset's name, whatever its frame rate.
    dataset : Dataset
        At the frame rate at which it is used.
    videos, found : list of Video
        Those that take part, and all. Every video has its frame rate.
    recorded : dict of (str, str) to Recorded
        (subject, video) -> the recorded video.
    people : People
    remarks : list of str
    """

    name: str
    dataset: Dataset
    videos: list[Video]
    found: list[Video]
    recorded: Mapping[tuple[str, str], Recorded]
    people: People
    remarks: list[str]


def read_source(settings: Settings, dataset: Dataset, kind: str, method: Method, workers: Workers | int) -> Source:
    """Steps 1 and 2 for one kind of expressions of a dataset. Raises InputError if the data cannot be used."""
    data = read_data(settings, dataset, kind, not method.recognises, workers)
    highest = settings.highest_fps
    videos, found = ([every_nth(v, highest, dataset.fps) for v in some] for some in (data.videos, data.found))
    recorded = {
        (v.subject, v.name): Recorded(step_of(v.fps or dataset.fps, highest), None if v.source else len(v.frames))
        for v in data.videos
    }
    people = people_of(dataset, data.videos, sorted({v.fps for v in videos}))
    return Source(dataset.name, slower(dataset, highest), videos, found, recorded, people, data.remarks)


def require_kinds(kinds: Sequence[str], training: Sequence[Dataset], tested: Sequence[Dataset]) -> None:
    """Raise InputError if nothing could be trained for one of these kinds of expressions, or a dataset has none."""
    for kind in kinds if training else ():
        if not any(kind in dataset.kinds for dataset in training):
            titles = ", ".join(dataset.title for dataset in training)
            raise InputError(f"training on {titles}: no {kind}-expressions are annotated; give another --expression")
    for dataset in tested:
        if dataset.annotated and not set(kinds) & set(dataset.kinds):
            raise InputError(
                f"{dataset.title} annotates no {kinds[0]}-expressions; leave it out, or give another --expression"
            )


def average_of(sources: Sequence[Source], given: str | None) -> tuple[str, bool]:
    """From which average k' is made, and whether the datasets differ in it: then from the median."""
    averages = {given or source.dataset.half_length_from for source in sources}
    return MEDIAN_LENGTH if MEDIAN_LENGTH in averages else MEAN_LENGTH, len(averages) > 1


def half_length_of(sources: Sequence[Source], average: str) -> Length:
    """k' of the expressions of all sources: one length, or one for each frame rate."""
    return half_length([video for source in sources for video in source.videos], average == MEDIAN_LENGTH)
