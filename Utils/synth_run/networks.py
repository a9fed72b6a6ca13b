"""Trains MEAN's two networks on all clips of SYNTH, with the paper's procedure (docs/method.md, section 1)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from prepare_training import as_inputs
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
    spotting, recognition : keras.Model
    """
    import keras

    from define_model import frozen_streams, recognition_head, recognition_network, spotting_network
    from Utils.networks.backend import compiles, seed_keras
    from Utils.networks.compiled import predict, train

    seed_keras(seed)
    common = dict(learning_rate=learning_rate, batch_size=batch_size, seed=seed)
    spotting = spotting_network()
    features, labels = spotting_set
    steps = epochs[0] * math.ceil(len(labels) / batch_size)
    train(spotting, as_inputs(features), labels, jit_compile=compiles(steps), epochs=epochs[0], **common)
    recognition = recognition_network(spotting, n_classes)
    images, classes = recognition_set
    streams = predict(frozen_streams(spotting), as_inputs(images))
    targets = keras.utils.to_categorical(classes, n_classes)
    head = recognition_head(recognition)
    train(head, streams, targets, jit_compile=False, short_epochs=True, epochs=epochs[1], **common)
    return spotting, recognition


def predict_clip(spotting, recognition, data: ClipData) -> tuple[np.ndarray, np.ndarray]:
    """Scores (n,) and class probabilities (n, C) of the kept pairs of a clip."""
    from define_model import joint_network
    from Utils.networks.compiled import predict

    features = np.asarray(data.load("features"), np.float32)
    scores, probabilities = predict(joint_network(spotting, recognition), as_inputs(features))
    return scores[:, 0], probabilities
