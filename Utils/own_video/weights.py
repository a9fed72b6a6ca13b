"""Networks for videos of people who are not in the dataset.

Preferred are the networks that were trained on all subjects. If there are none, all leave-one-subject-out networks are
used together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from Utils.datasets.table import DATASETS, Dataset
from Utils.errors import UNPRINTABLE, InputError
from Utils.methods.steps import Steps
from Utils.methods.table import METHODS
from Utils.networks.weights import DESCRIPTION, FoldWeights
from Utils.records import ALL, MICRO
from Utils.settings import FOR_VIDEOS, LOWEST_RATE, MEAN
from Utils.work.cache import file_hash, read_json

MAX_CLASSES = 100  # far more than any dataset has: a longer list is a mistake
MAX_NUMBER = 1e6  # k, k' and fps must be below it: a larger number is a mistake
CLASSES_QUOTED = 80  # characters of a wrong list of classes that a message shows
RATIO_DIGITS = 6  # decimal places to which frames are rounded first, so that halves are found despite rounding errors


@dataclass(frozen=True)
class OwnWeights:
    """Weights, and facts about their training.

    Attributes
    ----------
    networks : tuple of FoldWeights
        Either one, which was trained on all subjects, or one for each held-out subject. The scores of several are
        averaged, and they vote on the class.
    k, k_prime : float
        Frames of the training videos.
    fps : float
        Frames per second of the training videos.
    classes : tuple of str
        The emotions, in the order of the network's outputs.
    title : str
        The dataset's name in reports.
    caution : str
        What users must know, from `Dataset.caution`; "" if there is nothing.
    method : str
        The method's name: a key of `Utils.methods.table.METHODS`.
    kind : {"micro", "macro"}
        The kind of expressions on which they were trained.
    """

    networks: tuple[FoldWeights, ...]
    k: float
    k_prime: float
    fps: float
    classes: tuple[str, ...]
    title: str
    caution: str
    method: str = MEAN
    kind: str = MICRO

    @property
    def steps(self) -> Steps:
        """What the method does in every step."""
        return METHODS[self.method].steps

    def least_features(self, fps: float) -> int:
        """How many features a part of a video must have to be scored."""
        return self.steps.video.least_features(self.frames_at(fps)[1])

    def frames_at(self, fps: float) -> tuple[int, int]:
        """k and k' at another frame rate: the same durations in seconds, halves rounded up, at least one frame."""

        def frames(n: float) -> int:
            return max(1, math.floor(round(n / self.fps * fps, RATIO_DIGITS) + 0.5))

        return frames(self.k), frames(self.k_prime)

    def fingerprint(self) -> list:
        """Everything that results depend on, for a key: the facts, and the SHA-256 of the files."""
        facts = [self.k, self.k_prime, self.fps, list(self.classes), [w.fingerprint() for w in self.networks]]
        return facts if (self.method, self.kind) == (MEAN, MICRO) else [*facts, self.method, self.kind]

    def file_hashes(self) -> dict[str, str]:
        """File, such as "spot/all.weights.h5" -> its SHA-256 (hexadecimal)."""
        files = (path for w in self.networks for path in (w.spot, w.recog, w.joint) if path)
        return {f"{path.parent.name}/{path.name}": file_hash(path) for path in files}


def weights_for_videos(
    weights_dir: Path, dataset: Dataset, half_length: float | None = None, method: str = MEAN, kind: str = MICRO
) -> OwnWeights:
    """The weights of `<weights_dir>/<dataset>` for videos of other people.

    Parameters
    ----------
    weights_dir : Path
    dataset : Dataset
    half_length : float, optional
        k' in seconds. It replaces that of the weights. It is needed if neither `weights.json` nor the paper gives k',
        as for the published weights of CASME II and SMIC.
    method : str
        A key of `Utils.methods.table.METHODS`.
    kind : {"micro", "macro"}
        The kind of expressions on which they were trained.

    Raises
    ------
    InputError
        There are no weights, `weights.json` cannot be used, or k' is not known.
    """
    steps = METHODS[method].steps
    if steps.video is None:
        raise InputError(f"--method {method} is not for --video; give MEAN or SOFTNet")
    folder, networks = steps.video.find_weights(weights_dir, dataset, kind)
    if not networks:
        below = next(f"{below}/" if below else "" for below in steps.weight_files.values())
        advice = f"train with {_training_flags(dataset, method, kind)}, or name another folder with --weights_dir"
        if dataset.name == FOR_VIDEOS and (method, kind) != (MEAN, MICRO):
            advice = "give a folder of weights with --weights_dir, and the dataset in it with --dataset_name"
        raise InputError(f"{folder}: no weights ({below}{ALL}.weights.h5 or {below}s1.weights.h5); {advice}")
    described = read_json(folder / DESCRIPTION) if (folder / DESCRIPTION).exists() else {}
    if not isinstance(described, dict):
        raise InputError(f"{folder / DESCRIPTION}: is not a description of weights; get the file again")
    k_prime = dataset.k_prime if kind == MICRO else None
    facts = {"k": dataset.k, "k_prime": k_prime, "fps": dataset.fps, "classes": list(dataset.classes)}
    facts |= {name: described[name] for name in facts if described.get(name) is not None}
    if half_length is not None:
        facts["k_prime"] = half_length * facts["fps"] if _is_positive(facts["fps"]) else None
    elif facts["k_prime"] is None:
        raise InputError(
            f"{folder}: k' of these weights is not known; give it in seconds with --half_length (half the mean of "
            "offset - onset in the dataset on which they were trained)"
        )
    for name in ("k", "k_prime", "fps"):
        if not _is_positive(facts[name]):
            raise InputError(f"{folder / DESCRIPTION}: {name} is {facts[name]!r}, not a positive number below 1e6")
    if facts["fps"] < LOWEST_RATE:
        raise InputError(f"{folder / DESCRIPTION}: fps is {facts['fps']!r}, less than {LOWEST_RATE}")
    spots_only = not any(files.recog or files.joint for files in networks)
    if not _are_names(facts["classes"]) and not (spots_only and facts["classes"] == []):
        quoted = str(facts["classes"])[:CLASSES_QUOTED]
        raise InputError(f"{folder / DESCRIPTION}: classes are {quoted!r}, not a list of names")
    k = steps.pair_distance(replace(dataset, k=facts["k"]), facts["k_prime"])
    return OwnWeights(
        networks, k, facts["k_prime"], facts["fps"], tuple(facts["classes"]), dataset.title, dataset.caution,
        method, kind,
    )  # fmt: skip


def _training_flags(dataset: Dataset, method: str, kind: str) -> str:
    """The flags with which these weights are trained."""
    flags = ["--annotations FILE"] if dataset.name not in DATASETS else []
    flags += [f"--dataset_name {dataset.name}"]
    flags += [f"--method {method}"] if method != MEAN else []
    flags += [f"--expression {kind}"] if kind != MICRO else []
    return " ".join([*flags, "--train"])


def _is_positive(value) -> bool:
    """Whether this is a positive number below `MAX_NUMBER`. True and False are no numbers here."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < MAX_NUMBER


def _are_names(classes) -> bool:
    """Whether this is a list of names that are all different and can be shown, and not too long."""
    return (
        isinstance(classes, list)
        and 0 < len(classes) <= MAX_CLASSES
        and all(isinstance(c, str) and c and not UNPRINTABLE.search(c) for c in classes)
        and len(set(classes)) == len(classes)
    )


def ensemble_of(weights: OwnWeights) -> Ensemble:
    """The networks of `weights`. They are loaded once in each process, and again if the files have changed.

    Raises InputError if a file cannot be used.
    """
    return _ensemble(weights, str(weights.fingerprint()))


@lru_cache(maxsize=1)
def _ensemble(weights: OwnWeights, fingerprint: str) -> Ensemble:
    return Ensemble(weights)


class Ensemble:
    """The loaded networks of `OwnWeights`. Making one raises InputError if a file cannot be used."""

    def __init__(self, weights: OwnWeights) -> None:
        self._n_classes = len(weights.classes)
        self._outputs = weights.steps.video.load(weights.networks, self._n_classes)

    def predict(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The scores and the class probabilities of features.

        Parameters
        ----------
        features : ndarray, (n, 42, 42, 3), float32

        Returns
        -------
        scores : ndarray, (n,), float32
            The mean over all networks.
        probabilities : ndarray, (n, C), float32
            In [0, 1]. If there is one network, its probabilities. If there are several, the share of the recognition
            networks that give each class the largest probability. NaN if no network recognises.
        """
        outputs = self._outputs(np.asarray(features, np.float32))
        scores = np.mean([o[0][:, 0] for o in outputs], axis=0)
        probabilities = [o[1] for o in outputs if len(o) > 1]
        return scores.astype(np.float32), self._vote(probabilities, len(outputs), len(features))

    def _vote(self, probabilities: Sequence[np.ndarray], networks: int, n: int) -> np.ndarray:
        """The `probabilities` that `predict` returns for `n` features, from those of each recognition network."""
        if not probabilities:
            return np.full((n, self._n_classes), np.nan, np.float32)
        if networks == 1:
            return np.asarray(probabilities[0], np.float32)
        return np.mean([np.eye(self._n_classes)[p.argmax(axis=1)] for p in probabilities], axis=0).astype(np.float32)
