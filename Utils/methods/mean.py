"""MEAN: the steps at the top level, as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from feature_extraction import MEAN_FEATURES, face_regions, feature_image
from train_evaluate import MEAN_FOLDS
from training_utils import MEAN_SPOTTING
from Utils.datasets.table import Dataset
from Utils.faces.landmarks import predict_landmarks
from Utils.methods.steps import Steps, VideoMethod
from Utils.networks.mean import predict_all, read_fold
from Utils.networks.weights import (
    KINDS,
    FoldWeights,
    ending_of,
    fold_files,
    folder_of,
    names_for_videos,
    weights_of_subjects,
)


def _pair_distance(dataset: Dataset, k_prime: int) -> int:
    return dataset.k


def _places(crop: np.ndarray) -> tuple[slice, ...]:
    return face_regions(predict_landmarks(crop))


def _least_features(k_prime: int) -> int:
    return 2 * k_prime


def _weights_for_videos(weights_dir: Path, dataset: Dataset, kind: str) -> tuple[Path, tuple[FoldWeights, ...]]:
    """Preferred is the network that was trained on all subjects; else it is all leave-one-subject-out networks."""
    folder = folder_of(weights_dir, dataset, kind)
    ending = ending_of(folder)
    below = [path for name in ("spot", "spot_recog") for path in (folder / name).glob(f"*{ending}")] if ending else []
    return folder, tuple(fold_files(weights_dir, dataset, name, kind) for name in names_for_videos(below))


def _load(networks: Sequence[FoldWeights], n_classes: int) -> Callable:
    return partial(predict_all, [read_fold(files, n_classes) for files in networks])


STEPS = Steps(
    pair_distance=_pair_distance,
    features=MEAN_FEATURES,
    folds=MEAN_FOLDS,
    spotting=MEAN_SPOTTING,
    weights_folder=folder_of,
    find_weights=weights_of_subjects,
    weight_files={kind: kind for kind in KINDS},
    video=VideoMethod(_places, feature_image, _least_features, _weights_for_videos, _load),
)
