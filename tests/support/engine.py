"""Samples, weights and a small training for the tests of Utils/engine."""

from __future__ import annotations

import hashlib

import numpy as np

from Utils.engine import CHANNELS, RECOG, SPOT, initial_weights, predict, train

CLASSES = 3


def features(n: int, seed: int = 0) -> np.ndarray:
    """Random images. The first is constant, as of frames that do not differ: all positions of a window are equal."""
    images = np.random.default_rng(seed).random((n, 42, 42, 3), dtype=np.float32)
    images[0] = 0
    return images


def random_weights(seed: int, streams=CHANNELS) -> dict[str, list[np.ndarray]]:
    """As after some training: gammas of both signs, biases and means that are not 0."""
    rng = np.random.default_rng(seed)
    weights = initial_weights([(SPOT, 1), (RECOG, CLASSES)], rng, streams)
    for name, arrays in weights.items():
        if name.endswith("_norm"):
            arrays[:] = [rng.normal(0, 1, a.shape).astype(np.float32) for a in arrays[:3]] + [
                rng.uniform(0.2, 1, arrays[3].shape).astype(np.float32)
            ]
        else:
            arrays[1] = rng.normal(0, 0.1, arrays[1].shape).astype(np.float32)
    return weights


def digest(*groups) -> str:
    layers = [arrays for group in groups for arrays in (group.values() if isinstance(group, dict) else group)]
    return hashlib.sha256(b"".join(array.tobytes() for arrays in layers for array in arrays)).hexdigest()[:16]


def of_a_small_training():
    weights, images = random_weights(4), features(9)
    classes = np.eye(CLASSES, dtype=np.float32)[np.arange(9) % CLASSES]
    trained, _ = train(weights, RECOG, images, classes, learning_rate=1e-3, batch_size=9, epochs=1, seed=3)
    return trained, predict([trained], images, [SPOT, RECOG])
