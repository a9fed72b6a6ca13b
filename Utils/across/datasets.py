"""What --train_on and --test_on can name, in a form in which datasets can be mixed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from load_images import RawVideos
from Utils.datasets.annotations import Annotations
from Utils.datasets.table import DATASETS, THREE_CLASSES, Dataset
from Utils.errors import InputError, shown
from Utils.records import OTHERS, Expression, Length, Video, natural_key
from Utils.settings import Settings
from Utils.study.dataset import pair_distances, study_dataset
from Utils.study.videos import find_study_videos

# What the emotions of datasets stand for in the Grand Challenge: negative, positive, surprise, or others
NEGATIVE, POSITIVE, SURPRISE = THREE_CLASSES
IN_THREE = {
    **dict.fromkeys(("anger", "angry", "contempt", "disgust", "fear", "repression", "sad", "sadness"), NEGATIVE),
    **dict.fromkeys(("happiness", "happy", "joy"), POSITIVE),
    **{name: name for name in (*THREE_CLASSES, OTHERS)},
}
TABLES = (".csv", ".eaf")
NAMES_SHOWN = 8  # subjects that a message names
LONGEST_NAME = 80  # characters of the name of several datasets, which becomes that of a folder


def named_datasets(text: str, settings: Settings, flag: str, unannotated: bool = False) -> list[Dataset]:
    """The datasets that a flag names: names of the table, tables of annotations, or a folder of videos.

    Parameters
    ----------
    text : str
        Separated by commas.
    settings : Settings
        frame_base and fps are those of tables and folders, highest_fps is used.
    flag : str
        For messages.
    unannotated : bool
        Whether a folder of videos without annotations may be named.

    Raises
    ------
    InputError
        A dataset is not known, is named twice, or has an emotion that is none of the three.
    """
    found = []
    for name in (part.strip() for part in text.split(",")):
        path = Path(name)
        if name in DATASETS:
            dataset = DATASETS[name]
        elif path.suffix.lower() in TABLES:
            stem = re.sub(r"[^\w.+-]+", "_", path.stem).strip("_.") or "study"
            dataset = study_dataset([path], path.parent, stem, settings.frame_base, settings.fps)
        elif unannotated and path.is_dir():
            dataset = folder_of_videos(path, settings.fps)
        else:
            more = ", or a folder of videos" if unannotated else ""
            raise InputError(
                f"--{flag}: {shown(name)!r} is none of {', '.join(DATASETS)}, and no table (.csv, .eaf){more}"
            )
        if dataset.name in (other.name for other in found):
            raise InputError(f"--{flag}: {dataset.name} is named twice; name it once")
        found.append(in_three_classes(dataset))
    return found


def in_three_classes(dataset: Dataset) -> Dataset:
    """A dataset whose classes are negative, positive and surprise.

    Raises InputError if one of its classes stands for none of them.
    """
    unknown = [name for name in dataset.classes if name not in IN_THREE]
    if unknown:
        raise InputError(
            f"{dataset.title}: the emotion {unknown[0]!r} stands for none of {', '.join(THREE_CLASSES)}; write one of "
            f"these, or {', '.join(name for name in IN_THREE if name not in THREE_CLASSES)}"
        )
    words = {word: None if name is None else IN_THREE[name] for word, name in dataset.emotions.items()}
    read = dataset.read_annotations
    if dataset.scan is not None and dataset.annotated:  # a table has emotions, not words for them
        read = partial(_read_in_three, read)
    return replace(dataset, classes=THREE_CLASSES, emotions=words, read_annotations=read, class_choices={})


def _read_in_three(read, *arguments) -> Annotations:
    """The annotations of a table, with emotions in three classes."""
    annotations = read(*arguments)
    rows = [
        replace(row, expression=replace(row.expression, emotion=IN_THREE[row.expression.emotion]))
        for row in annotations.rows
    ]
    return replace(annotations, rows=rows)


def folder_of_videos(folder: Path, fps: float | None) -> Dataset:
    """A dataset without annotations: every video file and every folder of images below a folder is a video.

    Each is a subject of its own. Raises InputError if there are none, or a folder of images has no frame rate.
    """
    raw = RawVideos(folder)
    for video, remarks in find_study_videos(folder, fps):
        raw.videos[video.subject, video.name] = video
        raw.remarks += remarks
    if not raw.videos:
        raise InputError(f"{folder}: has neither videos nor folders of images")
    rates = sorted({video.fps for video in raw.videos.values()})
    return Dataset(
        name=re.sub(r"[^\w.+-]+", "_", folder.resolve().name).strip("_.") or "videos",
        title=folder.resolve().name,
        raw_dirs=(),
        crop_dir="",
        workbooks={},
        read_annotations=lambda *_: Annotations(),
        emotions={},
        video_folder="",
        frame_name=r".*?(?P<number>\d*)\.[^.]+",
        fps=rates[-1],
        k=pair_distances(rates),
        kinds=(),
        scan=lambda _: raw,
        annotated=False,
    )


def slower(dataset: Dataset, highest_fps: float | None) -> tuple[Dataset, int]:
    """A dataset of the table at no more than a frame rate: every n-th frame is used. Returns it and n.

    SAMM (200 frames per second) at 30: every 7th frame, 28.6 per second.
    """
    if highest_fps is None or dataset.fps <= highest_fps or dataset.scan is not None:
        return dataset, 1
    every = math.ceil(dataset.fps / highest_fps)
    fps = dataset.fps / every
    ending = f"_every{every}"
    return replace(
        dataset, name=dataset.name + ending, title=f"{dataset.title}, every {every}th frame", fps=fps,
        k=pair_distances([fps]), crop_dir=dataset.crop_dir + ending,
    ), every  # fmt: skip


def every_nth(video: Video, every: int, fps: float) -> Video:
    """A video with every n-th of its frames, and its expressions in these frames."""
    if every == 1:
        return replace(video, fps=video.fps or fps)
    return replace(
        video,
        frames=video.frames[::every],
        fps=fps,
        expressions=tuple(_divided(e, every) for e in video.expressions),
    )


def _divided(e: Expression, every: int) -> Expression:
    apex = None if e.apex is None else e.apex // every
    return replace(e, onset=e.onset // every, apex=apex, offset=e.offset // every)


@dataclass(frozen=True)
class People:
    """Who is in a dataset, to find out whether somebody is trained on and tested.

    Attributes
    ----------
    dataset : str
    people : str
        See `Dataset.people`; tables of annotations have one word, too.
    subjects : tuple of str
    files : set of Path
        The folders or files of the videos.
    """

    dataset: str
    people: str
    subjects: tuple[str, ...]
    files: frozenset[Path]


def people_of(dataset: Dataset, videos: Sequence[Video]) -> People:
    """Who is in the videos of a dataset."""
    group = dataset.people or ("the tables" if dataset.scan is not None and dataset.annotated else dataset.name)
    folders = (path.parent if v.source is None else path for v in videos for path in v.raw_files[:1])
    subjects = tuple(dict.fromkeys(v.subject for v in videos)) if dataset.annotated else ()
    return People(dataset.name, group, subjects, frozenset(path.resolve() for path in folders))


def require_different_people(trained: Sequence[People], tested: People) -> None:
    """Raise InputError if somebody, or a video, is in a training set and in the test set. It names them."""
    for other in trained:
        both = sorted({*other.subjects} & {*tested.subjects}, key=natural_key) if other.people == tested.people else []
        if both:
            names = ", ".join(both[:NAMES_SHOWN]) + (", ..." if len(both) > NAMES_SHOWN else "")
            raise InputError(
                f"{len(both)} subject(s) of {tested.dataset} are in {other.dataset}, too ({names}): networks would be "
                "tested on people they were trained on; leave one of the two out, or rename people who are not the same"
            )
        if shared := sorted(other.files & tested.files):
            raise InputError(
                f"{shared[0]} is in {other.dataset} and in {tested.dataset}: networks would be tested on a video they "
                "were trained on; leave one of the two out"
            )


def joined_name(datasets: Sequence[Dataset]) -> str:
    """The name of networks that were trained on datasets: `CASME_sq+SAMMLV`, or `CASME_sq-all` if it is one."""
    if len(datasets) == 1:
        return f"{datasets[0].name}-all"  # `CASME_sq` has the leave-one-subject-out networks
    name = "+".join(dataset.name for dataset in datasets)
    return name if len(name) <= LONGEST_NAME else f"{datasets[0].name}+{len(datasets) - 1}_more"


def lengths_at(lengths: Mapping[float, int]) -> Length:
    """A length for each frame rate as `Length`: one number if there is one rate."""
    return dict(lengths) if len(lengths) > 1 else next(iter(lengths.values()))
