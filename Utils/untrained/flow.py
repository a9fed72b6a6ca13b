"""SOFTNet's pipeline without its network: the mean of a feature is the score.

The features are SOFTNet's before they are normalised, so a large movement has a large score. Smoothing, threshold,
peaks and intervals are SOFTNet's. The paper gives the figures of such a pipeline without saying how it makes one score
of a feature; the mean over all pixels and the three channels is our reading.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from feature_extraction import FeatureMethod, PairFeatures
from train_evaluate import FoldJob, FoldMethod, Networks
from training_utils import SpottingMethod
from Utils.methods.steps import Steps
from Utils.softnet.features import Places, places_of, raw_feature
from Utils.softnet.spotting import visiting_order
from Utils.softnet.steps import FEATURE_VERSION as SOFTNET_VERSION
from Utils.softnet.steps import find_landmarks, least_frames, pair_distance, smooth, spot_video

FEATURE_VERSION = f"1, SOFTNet {SOFTNET_VERSION}"  # part of the features' keys, which are SOFTNet's raw ones
FOLD_VERSION = 1  # part of a fold's key: raise it when the scores change


def feature_image(first: np.ndarray, second: np.ndarray, places: Places, flow: Callable) -> np.ndarray:
    """The raw feature of two crops: see `Utils.softnet.features`, `feature_image` and `raw_feature`."""
    return raw_feature(flow(first, second), places)


def mean_of_features(features: np.ndarray, k_prime: int | None = None) -> list[np.ndarray]:
    """Features, (n, 42, 42, 3) float32 -> [scores (n, 1) float32]: the mean of each, in pixels. k' is not used."""
    return [np.array([[feature.mean()] for feature in features], np.float32)]


def load(job: FoldJob) -> Networks:
    """There is no network."""
    return Networks(mean_of_features, False)


STEPS = Steps(
    pair_distance=pair_distance,
    features=FeatureMethod(
        "flow", FEATURE_VERSION, find_landmarks, PairFeatures(places_of, feature_image), least_frames, recognises=False
    ),
    folds=FoldMethod("flow", FOLD_VERSION, False, load),
    spotting=SpottingMethod(smooth, spot_video, visiting_order, recognises=False),
)
