"""What a method does in every step where methods differ. `Method.steps` gives it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from feature_extraction import FeatureMethod
from train_evaluate import FoldMethod
from training_utils import SpottingMethod
from Utils.datasets.table import Dataset


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

    The last three are missing if there is nothing to train.
    """

    pair_distance: Callable[[Dataset, int], int]
    features: FeatureMethod
    folds: FoldMethod
    spotting: SpottingMethod
    weights_folder: Callable[[Path, Dataset, str], Path] | None = None
    find_weights: Callable | None = None
    weight_files: Mapping[str, str] = field(default_factory=dict)
