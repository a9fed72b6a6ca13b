"""MEAN: the steps at the top level, as they are."""

from __future__ import annotations

from feature_extraction import MEAN_FEATURES
from train_evaluate import MEAN_FOLDS
from training_utils import MEAN_SPOTTING
from Utils.datasets.table import Dataset
from Utils.methods.steps import Steps
from Utils.networks.weights import KINDS, folder_of, weights_of_subjects


def _pair_distance(dataset: Dataset, k_prime: int) -> int:
    return dataset.k


STEPS = Steps(
    pair_distance=_pair_distance,
    features=MEAN_FEATURES,
    folds=MEAN_FOLDS,
    spotting=MEAN_SPOTTING,
    weights_folder=folder_of,
    find_weights=weights_of_subjects,
    weight_files={kind: kind for kind in KINDS},
)
