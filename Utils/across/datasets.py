"""What --train_on and --test_on can name, in a form in which datasets can be mixed."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from load_images import LONGEST_VIDEO_NAME, RawVideos
from Utils.datasets.annotations import Annotations
from Utils.datasets.lengths import pair_distances
from Utils.datasets.table import DATASETS, THREE_CLASSES, Dataset
from Utils.errors import UNPRINTABLE, InputError, shown
from Utils.records import OTHERS
from Utils.settings import HIGHEST_RATE, LOWEST_RATE, Settings
from Utils.study.dataset import study_dataset
from Utils.study.videos import find_study_videos

# What the emotions of datasets stand for in the Grand Challenge: negative, positive, surprise, or others
NEGATIVE, POSITIVE, SURPRISE = THREE_CLASSES
IN_THREE = {
    **dict.fromkeys(("anger", "angry", "contempt", "disgust", "fear", "repression", "sad", "sadness"), NEGATIVE),
    **dict.fromkeys(("happiness", "happy", "joy"), POSITIVE),
    **{name: name for name in (*THREE_CLASSES, OTHERS)},
}
TABLES = (".csv", ".eaf")
VIDEOS_OF_TABLE = "the videos must be in the folder of their table"
DIGITS = 8  # hexadecimal digits in the name of several datasets that tell it from others
LONGEST_NAME = 60  # bytes of the name of a dataset, or of several; a run's folder has two of them in its name


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
    found: list[Dataset] = []
    for name in (part.strip() for part in text.split(",")):
        dataset = _named_dataset(name, settings, flag, unannotated)
        if dataset.name in (other.name for other in found):
            raise InputError(f"--{flag}: {dataset.name} is named twice; name it once, or rename one of the two")
        found.append(in_three_classes(dataset))
    return found


def _named_dataset(name: str, settings: Settings, flag: str, unannotated: bool) -> Dataset:
    """One dataset, see `named_datasets`."""
    if name in DATASETS:
        return DATASETS[name]
    path = Path(name).absolute() if settings.scheduler else Path(name)  # its workers can be in other folders
    if path.suffix.lower() in TABLES and not path.is_dir():
        stem = _name_of(path.stem, path, "study")
        return study_dataset([path], path.parent, stem, settings.frame_base, settings.fps, VIDEOS_OF_TABLE)
    if unannotated and name:
        folder, fps = _folder_and_rate(path, settings.fps)
        if folder.is_dir():
            return folder_of_videos(folder, fps)
    more = ", or a folder of videos" if unannotated else ""
    raise InputError(f"--{flag}: '{shown(name)}' is none of {', '.join(DATASETS)}, and no table (.csv, .eaf){more}")


def _folder_and_rate(path: Path, fps: float | None) -> tuple[Path, float | None]:
    """A folder and its frame rate, from `FOLDER` or `FOLDER@RATE`. Raises InputError if the rate cannot be used."""
    head, at, text = str(path).rpartition("@")
    if path.is_dir() or not at or not Path(head).is_dir():
        return path, fps
    if not re.fullmatch(r"\d{1,4}(\.\d{1,6})?", text, re.ASCII) or not LOWEST_RATE <= float(text) <= HIGHEST_RATE:
        raise InputError(
            f"{shown(path)}: {text!r} is no frame rate; write {LOWEST_RATE} to {HIGHEST_RATE} frames per second"
        )
    return Path(head), float(text)


def _name_of(text: str, path: Path, otherwise: str) -> str:
    """The name of a dataset that is a file or folder. Raises InputError if it cannot be used.

    It names folders in the cache, so it is none of the table's.
    """
    name = re.sub(r"[^\w.+-]+", "_", text).strip("_.-+") or otherwise
    if len(os.fsencode(name)) > LONGEST_NAME:
        raise InputError(f"{shown(path)}: the name has more than {LONGEST_NAME} bytes; rename it")
    if name in DATASETS:
        raise InputError(f"{shown(path)}: {name} is a dataset of this program; rename the file or folder")
    return name


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

    Its subject is the topmost folder on the way to it (`find_study_videos`). `fps` is that of folders of images.

    Raises InputError if there are none, one cannot be used, or two have the same name.
    """
    raw = RawVideos(folder)
    for video, remarks in find_study_videos(folder, fps):
        if any(UNPRINTABLE.search(n) or len(os.fsencode(n)) > LONGEST_VIDEO_NAME for n in (video.subject, video.name)):
            raise InputError(
                f"{shown(folder)}: {shown(video.label)} has characters that cannot be shown, or more than "
                f"{LONGEST_VIDEO_NAME} bytes; rename the files or folders"
            )
        if (other := raw.videos.setdefault((video.subject, video.name), video)) is not video:
            raise InputError(
                f"{shown(folder)}: there are two videos {video.label}, {other.raw_files[0]} and {video.raw_files[0]}; "
                "rename one"
            )
        raw.remarks += remarks
    if not raw.videos:
        raise InputError(f"{shown(folder)}: has neither videos nor folders of images")
    rates = sorted({video.fps for video in raw.videos.values()})
    return Dataset(
        name=_name_of(folder.resolve().name, folder, "videos"),
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


def joined_name(datasets: Sequence[Dataset]) -> str:
    """The name of several datasets, such as `CASME_sq+SAMMLV`. Other datasets have another one.

    If it is too long for a folder, or one of the names has a plus, it is the first name and a hash of all of them.
    """
    names = [dataset.name for dataset in datasets]
    name = "+".join(names)
    if len(os.fsencode(name)) <= LONGEST_NAME and not any("+" in part for part in names):
        return name
    first = os.fsencode(names[0])[: LONGEST_NAME // 2].decode("utf-8", "ignore")
    digest = hashlib.sha256(json.dumps(names).encode()).hexdigest()[:DIGITS]
    return f"{first}+{len(names) - 1}_more-{digest}"


def name_of_networks(datasets: Sequence[Dataset]) -> str:
    """The name of networks that were trained on datasets: `CASME_sq+SAMMLV`, or `CASME_sq-all` if it is one."""
    if len(datasets) == 1:
        return f"{datasets[0].name}-all"  # `CASME_sq` has the leave-one-subject-out networks
    return joined_name(datasets)
