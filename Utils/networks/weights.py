"""Weights of networks on disk: `<weights_dir>/<dataset>/{spot,recog,spot_recog}/s<N>.weights.h5` and `weights.json`.

Those that were trained on macro-expressions are in `<weights_dir>/<dataset>/macro/...` (`folder_of`). N is the number
of the held-out subject, from 1. The authors' published files (`s<N>.hdf5`, Keras 2.4) can be used too. `files.py` reads
a file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from Utils.datasets.table import Dataset
from Utils.errors import InputError
from Utils.records import ALL, MICRO, frames_of
from Utils.work.cache import file_hash, read_json

KINDS = ("spot", "recog", "spot_recog")
PUBLISHED_ENDING = ".hdf5"  # of the authors' files
ENDINGS = (".weights.h5", PUBLISHED_ENDING)  # the preferred one first
DESCRIPTION = "weights.json"
FILE_NAME = r"s\d{1,9}"  # of a fold; int() refuses numbers of very many digits


@dataclass(frozen=True)
class FoldWeights:
    """The files of one fold. All are of one training, and have the same ending.

    Attributes
    ----------
    spot, recog : Path or None
        The file of the spotting network, and that of the recognition network. None if there is none.
    joint : Path or None
        A file with both networks. If it is given, it is read instead of the other two.
    leaks : bool
        Whether these are published files whose recognition network was trained on the subject that it is tested on.
    recognition_unused : bool
        Whether the recognition network is not used, because it leaks or was never trained.
    """

    spot: Path | None
    recog: Path | None
    joint: Path | None = None
    leaks: bool = False
    recognition_unused: bool = False

    @property
    def recognises(self) -> bool:
        """Whether the recognition network is used.

        It is if it has its own file, or if there is only a joint file, and if it is not `recognition_unused`.
        """
        return not self.recognition_unused and (self.recog is not None or self.spot is None)

    def fingerprint(self) -> list[str]:
        """SHA-256 of each file, for the key of a fold's results."""
        hashes = [file_hash(path) if path else "" for path in (self.spot, self.recog, self.joint)]
        return [*hashes, "recognition_unused"] if self.recognition_unused else hashes


def folder_of(weights_dir: Path, dataset: Dataset, kind: str = MICRO) -> Path:
    """The folder of MEAN's weights that were trained on a kind of expressions, "micro" or "macro"."""
    folder = weights_dir / dataset.name
    return folder if kind == MICRO else folder / kind


def ending_of(folder: Path) -> str | None:
    """The ending of the files that are used from a dataset's folder of weights. None if there are no weights.

    All folds use files with the same ending, because `weights.json` describes one training, and the files of two are
    never mixed. Files of this project are preferred to those of the authors, and spotting files to joint files.
    """
    for kind in ("spot", "spot_recog"):
        for ending in ENDINGS:
            if any(path.is_file() for path in (folder / kind).glob(f"*{ending}")):
                return ending
    return None


def fold_files(weights_dir: Path, dataset: Dataset, name: str, kind: str = MICRO) -> FoldWeights | None:
    """The files `{spot,recog,spot_recog}/<name>` of a dataset, with the ending of `ending_of`. None if there are none.

    Of the authors' files, the joint file is read, because the authors' code reads it. If there is a spotting file but
    no recognition file beside it, the recognition part of the joint file is untrained (docs/method.md, section 7) and
    is not used. If there are only joint files, the files do not show this. So `Dataset.folds_without_recognition` lists
    the published folds that are untrained.

    Parameters
    ----------
    weights_dir : Path
    dataset : Dataset
    name : str
        `s<N>` or `all`.
    kind : {"micro", "macro"}
        On what they were trained.
    """
    folder = folder_of(weights_dir, dataset, kind)
    ending = ending_of(folder)
    paths = (folder / kind / f"{name}{ending}" for kind in KINDS)
    spot, recog, joint = (path if path.is_file() else None for path in paths)
    if spot is None and joint is None:
        return None
    if ending != PUBLISHED_ENDING:
        return FoldWeights(spot, recog, joint if spot is None else None)
    only_joint = recog is None and spot is None
    untrained = only_joint and name in {f"s{number}" for number in dataset.folds_without_recognition}
    return FoldWeights(spot, recog, joint, recognition_unused=untrained)


def find_weights(
    weights_dir: Path, dataset: Dataset, number: int, subject: str, protocol: str = "paper", kind: str = MICRO
) -> FoldWeights:
    """The weights of a fold.

    If published weights have seen their test subject (`Dataset.leaking_folds`), their recognition network is not used
    under the paper's protocol.

    Parameters
    ----------
    weights_dir : Path
    dataset : Dataset
    number : int
        N in the names of the files, from 1.
    subject : str
        The held-out subject, for messages.
    protocol : {"paper", "upstream"}
    kind : {"micro", "macro"}

    Raises
    ------
    InputError
        There are no weights of the spotting network.
    """
    folder = folder_of(weights_dir, dataset, kind)
    files = fold_files(weights_dir, dataset, f"s{number}", kind)
    if files is None or (files.spot is None and (folder / "spot").is_dir()):
        expected = folder / "spot" / f"s{number}{ENDINGS[0]}"
        raise InputError(
            f"{expected}: no weights for subject {subject} (fold {number}); train them with --train, "
            "or name another folder with --weights_dir"
        )
    if ending_of(folder) == PUBLISHED_ENDING and number in dataset.leaking_folds:
        return replace(files, leaks=True, recognition_unused=files.recognition_unused or protocol == "paper")
    return files


def number_folds(
    weights_dir: Path,
    dataset: Dataset,
    annotated: Sequence[str],
    others: Sequence[str] = (),
    protocol: str = "paper",
    kind: str = MICRO,
) -> dict[str, int]:
    """Subject -> the number N of its files. Also checks that the weights fit the dataset and the protocol.

    If there is a `weights.json`, it has the numbers. Otherwise, as with the authors' weights, N is the position of the
    subject from 1: `annotated` in natural order, then `others`.

    Raises
    ------
    InputError
        `weights.json` has another k or other classes than the dataset, or is no description of weights. Or the weights
        were trained under the upstream protocol, so that recognition may have seen the held-out subject, and `protocol`
        is "paper". Or there are published weights without `weights.json`, and not as many subjects as the authors had.
    """
    path = folder_of(weights_dir, dataset, kind) / DESCRIPTION
    in_order = numbers_in_order(annotated, others)
    if not path.exists():
        folder = path.parent
        if dataset.published and len(annotated) != dataset.published[0] and ending_of(folder) == PUBLISHED_ENDING:
            raise InputError(
                f"{folder}: these weights are for {dataset.published[0]} subjects and {len(annotated)} are here: "
                "a network might be tested on subjects it was trained on; complete the dataset (see --check)"
            )
        return in_order
    description = read_json(path)
    if not isinstance(description, dict):
        raise InputError(f"{path}: is not a description of weights; get the file again, or remove it")
    k = frames_of(dataset.k, dataset.fps)
    for fact, ours in (("k", k), ("classes", list(dataset.classes))):
        if fact in description and description[fact] != ours:
            raise InputError(f"{path}: weights are for {fact} = {description[fact]}, {dataset.name} has {ours}")
    if description.get("protocol", protocol) == "upstream" != protocol:
        raise InputError(
            f"{path}: weights were trained under the upstream protocol, whose recognition may have seen the held-out "
            "subject; use --protocol upstream, or train again"
        )
    return numbers_described(description.get("held_out"), path.parent.glob("*/s*"), in_order)


def numbers_in_order(annotated: Sequence[str], others: Sequence[str]) -> dict[str, int]:
    """Subject -> its position from 1: `annotated` in natural order, then `others`."""
    return {subject: number for number, subject in enumerate([*annotated, *others], start=1)}


def numbers_described(held_out, files: Iterable[Path], in_order: Mapping[str, int]) -> dict[str, int]:
    """Subject -> the number N of its files, by a description of weights.

    Parameters
    ----------
    held_out : object
        Of the description: {"s<N>": subject, or list of subjects}. If it is something else or empty, `in_order` is
        returned.
    files : iterable of Path
        All files of weights.
    in_order : mapping
        From `numbers_in_order`. Subjects that are not in `held_out` get numbers that have no files, so that they are
        reported.
    """
    if not isinstance(held_out, dict):
        return dict(in_order)
    numbers = {
        str(subject): int(name[1:])
        for name, subjects in held_out.items()
        if re.fullmatch(FILE_NAME, name)
        for subject in (subjects if isinstance(subjects, list) else [subjects])
    }
    if not numbers:
        return dict(in_order)
    named = (re.fullmatch(r"s(\d{1,9})\..*", file.name) for file in files)
    last = max([*numbers.values(), *(int(match[1]) for match in named if match)], default=0)
    return {subject: numbers.get(subject, last + number) for subject, number in in_order.items()}


def weights_of_subjects(
    weights_dir: Path,
    dataset: Dataset,
    annotated: Sequence[str],
    others: Sequence[str],
    protocol: str,
    kind: str = MICRO,
) -> tuple[list[FoldWeights], list[str], list[str]]:
    """The given weights for the fold of every subject.

    `others` are the subjects without an annotation (`--videos all`). Those of them without weights are left out.

    Returns
    -------
    weights : list of FoldWeights
        Of the annotated subjects, then of the others that have weights.
    others : list of str
        Those of `others` that have weights.
    remarks : list of str
        The subjects that were left out.

    Raises
    ------
    InputError
        There are no weights for an annotated subject, or they cannot be used.
    """
    numbers = number_folds(weights_dir, dataset, annotated, others, protocol, kind)
    return weights_for_all(
        annotated, others, lambda s: find_weights(weights_dir, dataset, numbers[s], s, protocol, kind)
    )


def weights_for_all(
    annotated: Sequence[str], others: Sequence[str], find: Callable[[str], FoldWeights]
) -> tuple[list[FoldWeights], list[str], list[str]]:
    """What `weights_of_subjects` returns. `find` gives the weights of a subject, or raises InputError."""
    weights = [find(subject) for subject in annotated]
    kept, remarks = [], []
    for subject in others:
        try:
            weights.append(find(subject))
            kept.append(subject)
        except InputError as error:
            remarks.append(f"{error}; without annotation the subject is left out")
    return weights, kept, remarks


def remarks_on_weights(folder: Path, dataset: Dataset, k_prime: int, kind: str = MICRO) -> list[str]:
    """Remarks if k' (frames) or the frame rate of the weights in a folder differ from those of the data.

    Those of the weights are in `weights.json`, or else they are the published ones.
    """
    facts = {"k_prime": dataset.k_prime if kind == MICRO else None, "fps": dataset.fps}
    description = read_json(folder / DESCRIPTION)
    if isinstance(description, dict):
        facts = {name: description.get(name) for name in facts}
    here = {"k_prime": ("k'", k_prime), "fps": ("frames per second", dataset.fps)}
    return [
        f"{folder}: weights are for {name} = {facts[fact]}, the data has {value}; this can make the results worse"
        for fact, (name, value) in here.items()
        if facts[fact] is not None and facts[fact] != value
    ]


def names_for_videos(files: Iterable[Path]) -> list[str]:
    """Of the names `all` and `s<N>` of files, those that are used for own videos: `all`, or else the others, by N."""
    names = {file.name.split(".")[0] for file in files if file.is_file()}
    if ALL in names:
        return [ALL]
    return sorted((name for name in names if re.fullmatch(FILE_NAME, name)), key=lambda name: int(name[1:]))
