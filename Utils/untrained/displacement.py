"""Displacement curves: how far parts of the face move and come back, with a bound in pixels.

The curves are those that the second look of own videos measures (Utils/own_video/displacement.py): each frame is
compared with the first one of a window, so that the size of a movement is kept, and the head's motion is taken out. A
face that is still scores nothing, however noisy it is. Idea: Y. He et al., Micro-Expression Grand Challenge 2021 and
later; their bound of 1.6 pixels is for crops of 256 pixels, so here it is half of that.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from feature_extraction import FeatureJob, FeatureMethod, landmarks_of_first_crop
from load_images import read_crops
from train_evaluate import FoldJob, FoldMethod, Networks
from training_utils import SpottedInterval, SpottingMethod
from Utils.datasets.table import Dataset
from Utils.methods.steps import Steps
from Utils.own_video.displacement import MOVED, CurveMeter
from Utils.own_video.verify import VERIFY_VERSION
from Utils.records import Video

# Part of the features' keys: raise the 1 when the curves change. They are those of the second look, and their flow is
# OpenCV's.
FEATURE_VERSION = f"1, second look {VERIFY_VERSION}, OpenCV {cv2.__version__}"
FOLD_VERSION = 1  # part of a fold's key: raise it when the scores change
LEAST_MOVED = 0.8  # pixels of the 128-pixel crop that a movement must reach
BORDER = 0.2  # share of a movement's height at which it begins and ends
SMOOTHING = 0.1  # sigma of the smoothing as a share of k'


def pair_distance(dataset: Dataset, k_prime: int) -> int:
    """k = k', as in SOFTNet: half of the mean length of an expression. No pairs of this distance are made."""
    return k_prime


def least_frames(k: int) -> int:
    """The least number of frames: a movement and the face at rest before and after it."""
    return 4 * k + 1


def curves(video: Video, landmarks: np.ndarray, job: FeatureJob) -> tuple[tuple[int, ...], Iterator[np.ndarray]]:
    """For `FeatureMethod.features`: x and y of each region in pixels, one row for each frame.

    Fast videos are measured at every n-th frame, and the rows between are interpolated.
    """
    n = len(video.frames)
    meter = CurveMeter(n, job.fps, turns=False)
    for frame, crop in enumerate(read_crops(video)):
        if meter.wants(frame):
            meter.add(frame, crop)
    sampled = meter.curves[:, MOVED]
    at = np.arange(len(sampled)) * meter.step
    columns = [np.interp(np.arange(n), at, column) for column in sampled.T]
    rows = np.stack(columns, axis=1).astype(np.float32)
    return rows.shape, iter(rows)


def movement(features: np.ndarray, k_prime: int) -> list[np.ndarray]:
    """How far the face has moved and come back at each frame: [scores (n, 1) float32], pixels.

    Parameters
    ----------
    features : ndarray, (n, 2 x regions), float32
        x of all regions, then y.
    k_prime : int
        Half the mean length of an expression, frames. For each region, three places are compared: where it is, where
        it was 2k' frames before, and where it will be 2k' frames later. Its score is the distance from the nearer one
        of the last two, less half the distance between these two, and at least 0. So what comes back scores how far it
        went, and what stays away scores nothing, not even on its way. The score of the face is that of the region that
        scores most.
    """
    across, down = np.split(gaussian_filter1d(np.asarray(features, np.float64), SMOOTHING * k_prime, axis=0), 2, axis=1)
    n, reach = len(across), 2 * k_prime
    before, after = (np.clip(np.arange(n) + step, 0, n - 1) for step in (-reach, reach))

    def apart(first, second) -> np.ndarray:
        return np.hypot(across[first] - across[second], down[first] - down[second])

    here = slice(None)
    back = np.minimum(apart(here, before), apart(here, after)) - apart(before, after) / 2
    return [np.maximum(back, 0).max(axis=1)[:, np.newaxis].astype(np.float32)]


def load(job: FoldJob) -> Networks:
    """There is no network."""
    return Networks(movement, False)


def smooth(scores: np.ndarray, k_prime: int, protocol: str) -> np.ndarray:
    """The scores as they are: the curves were smoothed before."""
    return np.asarray(scores, np.float64)


def spot_video(
    smoothed: np.ndarray,
    probabilities: np.ndarray | None,
    k_prime: int,
    p: float,
    one_per_video: bool = False,
    protocol: str = "paper",
) -> list[SpottedInterval]:
    """Every movement that reaches `LEAST_MOVED`, from where it begins to where it ends.

    Parameters and value are as in `training_utils.spot_video`; p is not used. A movement begins and ends where the
    score falls to `BORDER` of its height, and at most 2k' frames from its peak.
    """
    found = []
    for peak in find_peaks(smoothed, height=LEAST_MOVED, distance=k_prime)[0].tolist():
        low = np.flatnonzero(smoothed <= BORDER * smoothed[peak])
        before, after = low[low < peak], low[low > peak]
        onset = max(before[-1] + 1 if len(before) else 0, peak - 2 * k_prime)
        offset = min(after[0] - 1 if len(after) else len(smoothed) - 1, peak + 2 * k_prime)
        found.append(SpottedInterval(int(onset), peak, int(offset), float(smoothed[peak]), None, float("nan")))
    return found


def bound(smoothed: np.ndarray, p: float) -> float:
    """`LEAST_MOVED`, for every video."""
    return LEAST_MOVED


STEPS = Steps(
    pair_distance=pair_distance,
    features=FeatureMethod(
        "displacement", FEATURE_VERSION, landmarks_of_first_crop, curves, least_frames, recognises=False, uses_fps=True
    ),
    folds=FoldMethod("displacement", FOLD_VERSION, False, load),
    spotting=SpottingMethod(smooth, spot_video, recognises=False, threshold=bound),
)
