"""What SOFTNet is trained on: pseudo-labels, thinning and augmentation (docs/softnet.md, sections 5 and 7)."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from Utils.records import Expression

BLUR = 7  # pixels; side of the Gaussian kernel, whose sigma OpenCV takes from this size
NOISE_VARIANCE = 0.01


def pseudo_labels(n_features: int, expressions: Iterable[Expression], k: int) -> np.ndarray:
    """The labels on which SOFTNet is trained, (n_features,) float32.

    1 where the window [i, i + k - 1] of feature i meets (onset, offset] of an expression, else 0. The onset frame itself
    does not count, unlike in MEAN.
    """
    labels = np.zeros(n_features, np.float32)
    for e in expressions:
        labels[max(0, e.onset + 2 - k) : max(0, e.offset + 1)] = 1
    return labels


def thin(labels: np.ndarray, rng: np.random.Generator, protocol: str = "paper") -> np.ndarray:
    """Indices of all expression features and of some of the others (`n_others_kept`), drawn without replacement.

    Parameters
    ----------
    labels : ndarray, (n,)
        0 or 1.
    rng : Generator
    protocol : {"paper", "upstream"}

    Returns
    -------
    ndarray of int64, (m,), ascending
    """
    expression, other = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    wanted = n_others_kept(len(other), len(expression), protocol)
    return np.sort(np.concatenate([expression, rng.choice(other, wanted, replace=False)]))


def n_others_kept(others: int, expressions: int, protocol: str = "paper") -> int:
    """How many of the features without expression are kept for training: half of them.

    The authors' code keeps half of the larger class, so more of them if expressions are more. It stops if there are too
    few; here all are kept then.
    """
    return min(others, max(others, expressions) // 2) if protocol == "upstream" else others // 2


def augment(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Three more samples of each one: left and right exchanged, blurred, with noise. For micro-expressions only.

    Parameters
    ----------
    images : ndarray, (n, 42, 42, 3), float32, in [0, 1]
    rng : Generator
        Draws the noise.

    Returns
    -------
    ndarray, (3n, 42, 42, 3), float32, in [0, 1]
        The three of the first sample, then of the second, and so on. Copies: the samples themselves are not changed.
    """
    more = np.empty((len(images), 3, *images.shape[1:]), np.float32)
    for image, copies in zip(images, more, strict=True):
        copies[0] = image[:, ::-1]
        copies[1] = cv2.GaussianBlur(image, (BLUR, BLUR), 0)
        copies[2] = np.clip(image + rng.normal(0, np.sqrt(NOISE_VARIANCE), image.shape), 0, 1)
    return more.reshape(-1, *images.shape[1:])
