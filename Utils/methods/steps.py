"""What a method does in every step where methods differ. `Method.steps` gives it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from feature_extraction import FeatureMethod
from train_evaluate import FoldMethod
from training_utils import SpottingMethod
from Utils.datasets.table import Dataset
from Utils.networks.weights import FoldWeights


@dataclass(frozen=True)
class VideoMethod:
    """What a method does on the user's own videos.

    Attributes
    ----------
    places : callable
        The first crop of a face, (128, 128) uint8 -> what `image` needs of its landmarks.
    image : callable
        (first crop, second crop, places, flow function) -> a feature, (42, 42, 3).
    least_features : callable
        k' -> how many features a part of a video must have to be scored.
    find_weights : callable
        (weights_dir, dataset, kind) -> the folder, and the files of each network (none if there are none).
    load : callable
        (the files of each network, number of classes) -> a function: features (n, 42, 42, 3) float32 -> for each
        network its outputs: [scores (n, 1)] or [scores, probabilities (n, C)].
    """

    places: Callable[[np.ndarray], object]
    image: Callable[..., np.ndarray]
    least_features: Callable[[int], int]
    find_weights: Callable[[Path, Dataset, str], tuple[Path, tuple[FoldWeights, ...]]]
    load: Callable[[Sequence[FoldWeights], int], Callable[[np.ndarray], list[list[np.ndarray]]]]


@dataclass(frozen=True)
class Steps:
    """The parts of a method.

    Attributes
    ----------
    pair_distance : callable
        (dataset, k') -> k, the distance of the two frames of a pair.
    features, folds, spotting : FeatureMethod, FoldMethod, SpottingMethod
        Step 4; training and prediction in step 6; the way from scores to intervals.
    weights_folder : callable
        (weights_dir, dataset, kind) -> the folder of the weights that were trained on this kind of expressions.
    find_weights : callable
        (weights_dir, dataset, annotated, others, protocol, kind) -> as `weights.weights_of_subjects`.
    weight_files : mapping
        Name of a fold's file of weights, without ending -> its folder in `weights_folder`. "" is that folder itself.
    video : VideoMethod or None
        None if the method is not for own videos.

    The ones with weights are missing if there is nothing to train.
    """

    pair_distance: Callable[[Dataset, int], int]
    features: FeatureMethod
    folds: FoldMethod
    spotting: SpottingMethod
    weights_folder: Callable[[Path, Dataset, str], Path] | None = None
    find_weights: Callable | None = None
    weight_files: Mapping[str, str] = field(default_factory=dict)
    video: VideoMethod | None = None
