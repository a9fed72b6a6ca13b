"""What SOFTNet is trained on: pseudo-labels, thinning and augmentation (docs/softnet.md, sections 5 and 7)."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from prepare_training import ThinnedFrames
from Utils.records import Expression

BLUR = 7  # pixels; side of the Gaussian kernel, whose sigma OpenCV takes from this size
NOISE_VARIANCE = 0.01
COPIES = 3  # of each expression feature, by augmentation


def pseudo_labels(n_features: int, expressions: Iterable[Expression], k: int) -> np.ndarray:
    """The labels on which SOFTNet is trained, (n_features,) float32.

    1 where the window [i, i + k - 1] of feature i meets (onset, offset] of an expression, else 0. Unlike in MEAN, the
    onset frame itself does not count.
    """
    labels = np.zeros(n_features, np.float32)
    for e in expressions:
        if e.offset > e.onset:
            labels[max(0, e.onset + 2 - k) : e.offset + 1] = 1
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


class AugmentedFrames:
    """The samples on which SOFTNet is trained in a fold.

    Parameters
    ----------
    frames : ThinnedFrames
    augmented : bool
        Whether every expression feature has three more samples (`augment`).
    rng : Generator
        Draws the order of the samples, which is the same in every epoch, and the noise.

    Attributes
    ----------
    labels : ndarray, (n,), float32
    order : ndarray of int64, (n,)
        In which the samples are trained on.
    """

    def __init__(self, frames: ThinnedFrames, augmented: bool, rng: np.random.Generator) -> None:
        self._frames, self._rng = frames, rng
        self._copied = np.flatnonzero(frames.labels == 1) if augmented else np.array([], np.int64)
        self.labels = np.concatenate([frames.labels, np.ones(COPIES * len(self._copied), np.float32)])
        self.order = rng.permutation(len(self.labels))

    def images(self) -> np.ndarray:
        """The samples, (n, 42, 42, 3) float32: those of `frames`, then the others, with new noise in each call."""
        n = len(self._frames.labels)
        images = self._frames.images(more=len(self.labels) - n)
        for channel in range(images.shape[-1]):
            images[n:, ..., channel] = augment(images[self._copied, ..., channel], self._rng)
        return images


def augment(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Three more samples of each one: left and right exchanged, blurred, with noise. For micro-expressions only.

    Parameters
    ----------
    images : ndarray, (n, 42, 42), float32, in [0, 1]
        One channel of n features.
    rng : Generator
        Draws the noise.

    Returns
    -------
    ndarray, (3n, 42, 42), float32, in [0, 1]
        The three of the first sample, then of the second, and so on. Copies: the samples themselves are not changed.
    """
    more = np.empty((len(images), COPIES, *images.shape[1:]), np.float32)
    for image, copies in zip(images, more, strict=True):
        copies[0] = image[:, ::-1]
        copies[1] = cv2.GaussianBlur(image, (BLUR, BLUR), 0)
        copies[2] = np.clip(image + rng.normal(0, np.sqrt(NOISE_VARIANCE), image.shape), 0, 1)
    return more.reshape(-1, *images.shape[1:])
