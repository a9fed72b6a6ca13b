"""The table of ablations: each has some variants of MEAN, which differ from the paper's method in one thing.

To add one, add an entry. The variants of an ablation are compared with the paper's method on the same folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from feature_extraction import CHANNELS
from train_evaluate import MEAN_FOLDS, FoldJob, FoldMethod, Networks, train_fold
from training_utils import MEAN_SPOTTING, Window, spot_video
from Utils.datasets.table import Dataset
from Utils.errors import InputError
from Utils.methods.table import METHODS, Method
from Utils.networks.mean import MeanNetwork
from Utils.records import Length

PAPER = "paper"  # name of the method as it is
ALL = "all"  # stands for every ablation
LEAST_P, MOST_P, STEP_P = 0.35, 0.75, 0.05
VERSION = 2  # part of a fold's key: raise it when the training of a variant changes
WINDOWS: dict[str, Window] = {
    "vote: whole interval": (-1, 1),
    "vote: second half": (0, 1),
    "vote: middle half": (-0.5, 0.5),
    "vote: peak only": (0, 0),
}


@dataclass(frozen=True)
class Variant:
    """One variant.

    Attributes
    ----------
    name : str
    method : Method
        MEAN, with other steps.
    p : float or None
        Of the spotting threshold; None: as it is.
    trained : bool
        Whether networks of its own must be trained.
    """

    name: str
    method: Method
    p: float | None = None
    trained: bool = False


@dataclass(frozen=True)
class Ablation:
    """One ablation: its name on the command line, what it shows, and its variants."""

    name: str
    about: str
    variants: Sequence[Variant] = field(repr=False)


def predict_apart(networks: Sequence[MeanNetwork], features: np.ndarray, k_prime: int) -> list[np.ndarray]:
    """The outputs of networks that need not share streams: see `train_evaluate.Networks.predictor`."""
    return [network.predict(features)[0] for network in networks]


def train_variant(job: FoldJob, streams: Sequence[str] = CHANNELS, from_scratch: bool = False) -> Networks:
    """Train the networks of a variant. Raises InputError as `train_fold` does."""
    spotting, recognition, history = train_fold(job, streams, from_scratch)
    trained = {"spot": spotting} if recognition is None else {"spot": spotting, "recog": recognition}
    return Networks(partial(predict_apart, tuple(trained.values())), recognition is not None, trained, history)


def _cannot_load(job: FoldJob) -> Networks:
    raise InputError("--ablate: weights of a variant cannot be given; add --train")


def _trained(name: str, streams: Sequence[str] = CHANNELS, from_scratch: bool = False) -> Variant:
    """A variant whose networks are trained in another way."""
    train = partial(train_variant, streams=tuple(streams), from_scratch=from_scratch)
    folds = FoldMethod(f"MEAN, {name}", VERSION, True, _cannot_load, train, MEAN_FOLDS.prepare, by_engine=True)
    return Variant(name, _mean_with(folds=folds), trained=True)


def _mean_with(**steps) -> Method:
    """MEAN with some other steps."""
    mean = METHODS["MEAN"]
    return replace(mean, own_steps=replace(mean.steps, **steps))


def _half_length_as_gap(dataset: Dataset, k_prime: Length) -> Length:
    """k' as the distance of the two frames of a pair."""
    return k_prime


def _gap() -> Variant:
    """A variant whose pairs are k' frames apart instead of k."""
    return Variant("gap k' instead of k", _mean_with(pair_distance=_half_length_as_gap), trained=True)


def _with_p(p: float) -> Variant:
    return Variant(f"p = {p:.2f}", METHODS["MEAN"], p=p)


def _vote(name: str, window: Window) -> Variant:
    spotting = replace(MEAN_SPOTTING, spot=partial(spot_video, window=window))
    return Variant(name, _mean_with(spotting=spotting))


def ablations() -> dict[str, Ablation]:
    """Name -> ablation."""
    steps = round((MOST_P - LEAST_P) / STEP_P) + 1
    values = [round(LEAST_P + i * STEP_P, 2) for i in range(steps)]
    found = (
        Ablation("transfer", "recognition that is trained from scratch", [_trained("no transfer", from_scratch=True)]),
        Ablation("streams", "one stream at a time", [_trained(f"only {name}", (name,)) for name in CHANNELS]),
        Ablation("strain", "without optical strain", [_trained("no strain", ("u", "v"))]),
        Ablation("p", f"p from {LEAST_P} to {MOST_P}", [_with_p(p) for p in values]),
        Ablation("gap", "k' as the distance of a pair", [_gap()]),
        Ablation("vote", "other features vote on the emotion", [_vote(*item) for item in WINDOWS.items()]),
    )
    return {ablation.name: ablation for ablation in found}


def variants_of(names: str) -> list[Variant]:
    """The paper's method, then the variants of all ablations that are named, separated by commas.

    Raises InputError if there is no ablation of a name.
    """
    known = ablations()
    chosen = list(dict.fromkeys(name.strip() for name in names.split(",")))
    if ALL in chosen and len(chosen) > 1:
        raise InputError(f"--ablate: {ALL} stands for every ablation; give it alone")
    chosen = list(known) if chosen == [ALL] else chosen
    if unknown := [name for name in chosen if name not in known]:
        raise InputError(f"--ablate: {unknown[0]!r} is none of {', '.join(known)}, {ALL}")
    paper = Variant(PAPER, METHODS["MEAN"])
    return [paper, *(variant for name in chosen for variant in known[name].variants)]
