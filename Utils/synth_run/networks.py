"""Trains MEAN's two networks on all clips of SYNTH, with the paper's procedure (docs/method.md, section 1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from train_evaluate import INITIAL
from Utils.engine import RECOG, SPOT, initial_weights, new_heads, train
from Utils.networks.mean import MeanNetwork, joined
from Utils.synth_run.clips import ClipData


def spotting_samples(clips: Sequence[ClipData]) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, 42, 42, 3) float32, and pseudo-labels (n,) float32, of all clips to train on."""
    features = np.concatenate([np.asarray(data.load("features"), np.float32) for data in clips])
    labels = np.concatenate([data.load("pairs")[:, 1] for data in clips]).astype(np.float32)
    return features, labels


def recognition_samples(clips: Sequence[ClipData], classes: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Features (m, 42, 42, 3) float32, and class indices (m,), of the micro-expressions of an evaluated class."""
    images, indices = [], []
    for data in clips:
        of_clip = np.asarray(data.load("apexes"), np.float32)
        for image, emotion in zip(of_clip, data.emotions, strict=True):
            if emotion in classes:
                images.append(image)
                indices.append(list(classes).index(emotion))
    return np.array(images, np.float32).reshape(-1, 42, 42, 3), np.array(indices, np.int64)


def train_networks(
    spotting_set: tuple, recognition_set: tuple, n_classes: int, epochs: tuple[int, int], learning_rate: float,
    batch_size: int, seed: int,
):  # fmt: skip
    """The spotting network, and the recognition network on its frozen streams.

    Parameters
    ----------
    spotting_set, recognition_set : pair of ndarray
        From `spotting_samples` and `recognition_samples`.
    n_classes : int
    epochs : (int, int)
        Of spotting and of recognition.
    learning_rate : float
        Of Adam.
    batch_size, seed : int

    Returns
    -------
    spotting, recognition : MeanNetwork
    """
    common = dict(learning_rate=learning_rate, batch_size=batch_size, seed=seed)
    drawn = np.random.default_rng([seed, INITIAL])
    features, labels = spotting_set
    first = initial_weights([(SPOT, 1)], drawn)
    spotting, _ = train(first, SPOT, features, labels[:, np.newaxis], epochs=epochs[0], **common)
    images, classes = recognition_set
    new = new_heads(spotting, [(RECOG, n_classes)], drawn)
    targets = np.eye(n_classes, dtype=np.float32)[classes]
    recognition, _ = train(new, RECOG, images, targets, epochs=epochs[1], frozen=True, **common)
    return MeanNetwork(spotting, (SPOT,)), MeanNetwork(recognition, (RECOG,))


def predict_clip(spotting: MeanNetwork, recognition: MeanNetwork, data: ClipData) -> tuple[np.ndarray, np.ndarray]:
    """Scores (n,) and class probabilities (n, C) of the kept pairs of a clip."""
    scores, probabilities = joined(spotting, recognition).predict(np.asarray(data.load("features"), np.float32))
    return scores[:, 0], probabilities
