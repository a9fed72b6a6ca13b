"""SOFTNet in the steps: the parts of this room put together as Utils/methods needs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from scipy.signal import find_peaks

from feature_extraction import FEATURE_VERSION as MEAN_VERSION
from feature_extraction import FeatureMethod, PairFeatures
from load_images import read_crops
from prepare_training import spotting_validation_set, thinned_frames
from train_evaluate import FoldJob, FoldMethod, Networks, loss_curves
from training_utils import SpottedInterval, SpottingMethod, spotted_intervals, threshold
from Utils.datasets.table import Dataset
from Utils.methods.steps import Steps, VideoMethod
from Utils.networks.weights import FoldWeights
from Utils.records import MICRO, Video
from Utils.softnet.compiled import compile_network
from Utils.softnet.features import Places, feature_image, landmarks_of, places_of
from Utils.softnet.network import SoftNet, new_network, read_network
from Utils.softnet.network import train as train_network
from Utils.softnet.spotting import smooth_scores, visiting_order
from Utils.softnet.training import AugmentedFrames, pseudo_labels, thin
from Utils.softnet.weights import find_weights, weights_folder, weights_for_videos

# Part of the features' keys: raise the 1 when the features change. They also use parts of MEAN's.
FEATURE_VERSION = f"1, MEAN {MEAN_VERSION}"
FOLD_VERSION = 2  # part of a fold's key: raise it when training or prediction changes


def pair_distance(dataset: Dataset, k_prime: int) -> int:
    """k = k': half of the mean length of an expression (docs/softnet.md, section 3)."""
    return k_prime


def least_frames(k: int) -> int:
    """The least number of frames of a video: it then has one smoothed score."""
    return 3 * k + 1


def find_landmarks(video: Video) -> tuple[np.ndarray, str]:
    """The landmarks of a video, and a remark if they are not those of the first crop. See `landmarks_of`."""
    landmarks, number = landmarks_of(read_crops(video))
    if number is None:
        return landmarks, f"{video.label}: no face found in any crop, so the whole crop was taken as the face"
    return landmarks, f"{video.label}: landmarks are those of frame {number}: no face found before" if number else ""


def train(job: FoldJob) -> Networks:
    """Train SOFTNet on a fold (docs/softnet.md, section 7). Raises InputError as `train_evaluate.run_folds` does."""
    h = job.hyperparameters
    rng = np.random.default_rng([h.seed, job.fold.number])
    choose = partial(thin, rng=rng, protocol=job.protocol)
    frames = thinned_frames(job.fold, job.features, job.k_prime, pseudo_labels, choose)
    samples = AugmentedFrames(frames, augmented=job.kind == MICRO, rng=rng)
    held_out = spotting_validation_set(job.fold, job.features, job.k_prime, pseudo_labels) if h.validate else None
    network = new_network(np.random.default_rng(h.seed))  # the same in all folds
    log = train_network(
        network, samples.images(), samples.labels, samples.order, held_out,
        learning_rate=h.learning_rate, batch_size=h.batch_size, epochs=h.epochs_spot,
    )  # fmt: skip
    return Networks(partial(predict_features, network), False, {"spot": network}, loss_curves("spot", log))


def load(job: FoldJob) -> Networks:
    """SOFTNet with the given weights. Raises InputError if the file cannot be used."""
    return Networks(partial(predict_features, read_network(job.weights.spot)), False)


def prepare(training: bool) -> None:
    """Compile the network, before processes are started that would all compile it."""
    compile_network(lambda text: print(f"  {text}", flush=True), training)


def predict_features(network: SoftNet, features: np.ndarray, k_prime: int | None = None) -> list[np.ndarray]:
    """The scores of features, (n, 42, 42, 3) float32: a list with one array, (n, 1).

    `k_prime` is not used: the function is a `Networks.predictor`.
    """
    return [network.predict(features)]


def load_for_videos(networks: Sequence[FoldWeights], n_classes: int) -> Callable:
    """See `VideoMethod.load`. Raises InputError if a file cannot be used."""
    loaded = [read_network(files.spot) for files in networks]
    return lambda features: [predict_features(network, features) for network in loaded]


def places_in_video(crop: np.ndarray) -> Places:
    """The parts of a face in its first crop, (128, 128) uint8. Where none is detected, the whole crop is the face."""
    return places_of(landmarks_of([crop])[0])


def least_features(k: int) -> int:
    """How many features a part of a video must have: it then has one smoothed score."""
    return 2 * k + 1


def smooth(scores: np.ndarray, k: int, protocol: str) -> np.ndarray:
    """`smooth_scores`, which is the same under both protocols."""
    return smooth_scores(scores, k)


def spot_video(
    smoothed: np.ndarray,
    probabilities: np.ndarray | None,
    k: int,
    p: float,
    one_per_video: bool = False,
    protocol: str = "paper",
) -> list[SpottedInterval]:
    """Spot the expressions of one tested video: every peak of height T or more (docs/softnet.md, section 8).

    `smoothed` is that of `smooth_scores`. The other parameters and the value are as in `training_utils.spot_video`.
    Under "upstream" a video without a peak gives one interval of one frame, the first that has a smoothed score.
    """
    known = np.flatnonzero(np.isfinite(smoothed))
    scored = smoothed[known]
    peaks = known[find_peaks(scored, height=threshold(scored, p), distance=k)[0]]
    if len(peaks) or protocol == "paper":
        return spotted_intervals(smoothed, None, peaks, k)
    first = int(known[0])
    return [SpottedInterval(first, first, first, float(smoothed[first]), None, float("nan"))]


STEPS = Steps(
    pair_distance=pair_distance,
    features=FeatureMethod(
        "SOFTNet",
        FEATURE_VERSION,
        find_landmarks,
        PairFeatures(places_of, feature_image),
        least_frames,
        recognises=False,
    ),
    folds=FoldMethod("SOFTNet", FOLD_VERSION, False, load, train, prepare),
    spotting=SpottingMethod(smooth, spot_video, visiting_order, recognises=False),
    weights_folder=weights_folder,
    find_weights=find_weights,
    weight_files={"spot": ""},
    video=VideoMethod(places_in_video, feature_image, least_features, weights_for_videos, load_for_videos),
)
