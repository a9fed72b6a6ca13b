"""Who is in datasets: nobody may be trained on and tested."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from Utils.datasets.annotations import match_key
from Utils.datasets.table import Dataset
from Utils.errors import InputError
from Utils.records import Video, natural_key

NAMES_SHOWN = 8  # subjects that a message names
TABLES = "tables"  # the `people` of all tables of annotations: one name is one person
READ = 1_000_000  # bytes at the beginning, in the middle and at the end of a video file that tell it from others
DIGITS = 16  # hexadecimal digits of what tells a video from others


@dataclass(frozen=True)
class People:
    """Who is in a dataset.

    Attributes
    ----------
    dataset : str
    people : str
        See `Dataset.people`: subjects of one name are one person where this is the same.
    subjects : tuple of str
        Empty if they are not known.
    videos : mapping of str to str
        What tells each video from others, whatever it is called (`video_digest`) -> its label.
    fps : tuple of float
        The frame rates at which the videos are used.
    """

    dataset: str
    people: str
    subjects: tuple[str, ...]
    videos: Mapping[str, str] = field(default_factory=dict, repr=False)
    fps: tuple[float, ...] = ()


def people_of(dataset: Dataset, videos: Sequence[Video], fps: Sequence[float] = ()) -> People:
    """Who is in the videos of a dataset, which are as recorded."""
    group = dataset.people or (TABLES if dataset.scan is not None and dataset.annotated else dataset.name)
    subjects = tuple(dict.fromkeys(v.subject for v in videos)) if dataset.annotated else ()
    return People(dataset.name, group, subjects, {video_digest(v): v.label for v in videos}, tuple(fps))


def video_digest(video: Video) -> str:
    """What tells a video from others: from its number of frames and two of them, or from parts of its file."""
    digest = hashlib.sha256()
    try:
        if video.source is None:
            digest.update(str(len(video.frames)).encode())
            for position in (len(video.frames) // 2, -1):
                digest.update(video.frames[position].read_bytes())
        else:
            digest.update(_parts(video.source.path))
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror})") from None
    return digest.hexdigest()[:DIGITS]


def _parts(path: Path) -> bytes:
    """The size of a file, and what is at its beginning, in its middle and at its end."""
    size = path.stat().st_size
    parts = [str(size).encode()]
    with path.open("rb") as file:
        for start in (0, size // 2, size - READ):
            file.seek(max(0, start))
            parts.append(file.read(READ))
    return b" ".join(parts)


def require_different_people(trained: Sequence[People], tested: People) -> None:
    """Raise InputError if somebody, or a video, is in a training set and in the test set. It names them."""
    for other in trained:
        known = {match_key(subject, "") for subject in other.subjects if other.people == tested.people}
        both = sorted((s for s in tested.subjects if match_key(s, "") in known), key=natural_key)
        if both:
            names = ", ".join(both[:NAMES_SHOWN]) + (", ..." if len(both) > NAMES_SHOWN else "")
            raise InputError(
                f"{len(both)} subject(s) of {tested.dataset} are in {other.dataset}, too ({names}): networks would be "
                "tested on people they were trained on; leave one of the two out, or rename people who are not the same"
            )
        if shared := [digest for digest in tested.videos if digest in other.videos]:
            trained_as = other.videos[shared[0]]
            raise InputError(
                f"{tested.videos[shared[0]]} of {tested.dataset} is the same video as {trained_as} of {other.dataset}: "
                "networks would be tested on a video they were trained on; leave one of the two out"
            )
