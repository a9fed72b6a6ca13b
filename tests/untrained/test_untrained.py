"""The two methods without training: what moves scores, what is still does not."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_extraction import FeatureJob, extract_video
from Utils.methods.table import METHODS
from Utils.own_video.displacement import N_REGIONS
from Utils.untrained.displacement import BORDER, LEAST_MOVED, STEPS, bound, curves, movement, spot_video
from Utils.untrained.flow import mean_of_features

K_PRIME = 6
#             frame 40     46        52
BUMP = np.maximum(0, 1 - np.abs(np.arange(120) - 46) / 6)  # a region moves out and comes back within 2k' frames


def features(across: np.ndarray, region: int = 3) -> np.ndarray:
    """Curves in which one region moves to the right."""
    found = np.zeros((len(across), 2 * N_REGIONS), np.float32)
    found[:, region] = across
    return found


def score(across: np.ndarray) -> np.ndarray:
    return movement(features(across), K_PRIME)[0][:, 0]


def test_a_movement_that_comes_back_scores_its_size():
    found = score(2.5 * BUMP)
    assert found.argmax() == 46 and found.max() == pytest.approx(2.5, abs=0.3)
    (interval,) = spot_video(found, None, K_PRIME, 0.55)
    assert interval.apex == 46 and abs(interval.onset - 41) <= 1 and abs(interval.offset - 51) <= 1
    assert interval.score == pytest.approx(found[46]) and interval.class_index is None
    assert (found[[interval.onset - 1, interval.offset + 1]] <= BORDER * found[46]).all()


def test_a_movement_that_stays_scores_nothing():
    """The onset of a grin that lasts: the face is not where it was, and stays where it is."""
    assert spot_video(score(5.0 * (np.arange(120) > 60)), None, K_PRIME, 0.55) == []


def test_small_movements_and_slow_drift_score_nothing():
    for across in (0.9 * LEAST_MOVED * BUMP, np.linspace(0, 5, 120), np.zeros(120)):
        found = score(across)
        assert found.max() < LEAST_MOVED and spot_video(found, None, K_PRIME, 0.55) == []
    assert bound(np.array([9.0]), 0.55) == LEAST_MOVED


@given(st.integers(0, 10**6))
def test_the_direction_does_not_matter(seed):
    angle = np.random.default_rng(seed).uniform(0, 2 * np.pi)
    turned = features(2 * BUMP * np.cos(angle))
    turned[:, N_REGIONS + 3] = 2 * BUMP * np.sin(angle)
    np.testing.assert_allclose(movement(turned, K_PRIME)[0][:, 0], score(2 * BUMP), atol=1e-4)


@pytest.mark.parametrize("fps", [30, 120])
def test_a_noisy_photograph_has_no_movement(make_video, fps):
    """A face that is only noise: nothing reaches the bound. Of fast videos, every frame has a row, too."""
    rng = np.random.default_rng(1)
    still = rng.integers(60, 200, (128, 128, 1)).repeat(3, axis=2)
    images = [np.clip(still + rng.normal(0, 2, still.shape), 0, 255).astype(np.uint8) for _ in range(40)]
    video = make_video(images)
    job = FeatureJob(video, K_PRIME, fps, "kernel", video.frames[0].parent, STEPS.features)
    shape, rows = curves(video, np.zeros((68, 2), int), job)
    found = np.stack(list(rows))
    assert shape == found.shape == (40, 2 * N_REGIONS) and np.isfinite(found).all()
    assert movement(found, K_PRIME)[0].max() < LEAST_MOVED


def test_the_mean_of_a_feature():
    images = np.zeros((2, 42, 42, 3), np.float32)
    images[1] = [0.5, 1.0, 0.0]
    (found,) = mean_of_features(images)
    np.testing.assert_allclose(found, [[0], [0.5]])


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_its_steps(name):
    method = METHODS[name]
    assert (method.steps.folds.train is not None) == (method.steps.find_weights is not None) == method.trained
    assert method.steps.folds.name == method.steps.features.name == name
    assert method.steps.spotting.recognises == method.steps.features.recognises == method.recognises
    parts = (method.steps.features, method.steps.folds, method.steps.spotting)
    assert pickle.loads(pickle.dumps(parts)) == parts, "they are sent to other processes and machines"


def test_curves_of_another_frame_rate_are_other_curves(make_video, tmp_path):
    """Their sampling depends on the rate, so features of one rate are not used for another; MEAN's are."""
    video = make_video([np.full((128, 128), 90, np.uint8)] * 40)
    keys = {}
    for method in ("displacement", "MEAN"):
        of_method = METHODS[method].steps.features
        for fps in (30, 50):
            job = FeatureJob(video, 3, fps, "kernel", tmp_path / method, of_method)
            keys[method, fps] = extract_video(job).spotting.parent.name
    assert keys["displacement", 30] != keys["displacement", 50] and keys["MEAN", 30] == keys["MEAN", 50]
