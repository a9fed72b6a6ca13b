"""A rendered 128x128 crop of a face, and the same face moved by known amounts."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from Utils.faces.landmarks import detect_faces, predict_landmarks
from Utils.faces.rectangles import CROP_SIZE, clip_rectangle, cut_face
from Utils.synthetic.face import Face
from Utils.synthetic.identity import make_identity

DOWN, RIGHT = np.mgrid[:CROP_SIZE, :CROP_SIZE].astype(np.float32)
PORES = 6.0  # gray levels, standard deviation of the fine texture that is added, so that every place can be followed


@cache
def exact_crop(seed: int = 0) -> np.ndarray:
    """A face before it is rounded to whole gray levels, (128, 128) float32."""
    image = Face(make_identity(seed=seed), (320, 240)).render({}, noise=0)
    crop = cv2.cvtColor(cut_face(image, clip_rectangle(detect_faces(image)[0], image.shape)), cv2.COLOR_BGR2GRAY)
    texture = cv2.GaussianBlur(np.random.default_rng(seed).normal(size=crop.shape).astype(np.float32), (0, 0), 1.5)
    return crop + texture * (PORES / texture.std())


def rounded(crop: np.ndarray) -> np.ndarray:
    return np.clip(np.round(crop), 0, 255).astype(np.uint8)


def moved_crop(right: np.ndarray | float = 0.0, down: np.ndarray | float = 0.0, seed: int = 0) -> np.ndarray:
    """The face moved by so many pixels, everywhere or at each place, (128, 128) uint8."""
    at = (RIGHT - right).astype(np.float32), (DOWN - down).astype(np.float32)
    return rounded(cv2.remap(exact_crop(seed), *at, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT))


def bump_at(place: tuple[float, float], spread: float) -> np.ndarray:
    """A Gaussian of height 1 around (x, y), (128, 128) float32."""
    squared = (RIGHT - place[0]) ** 2 + (DOWN - place[1]) ** 2
    return np.exp(-0.5 * squared / spread**2).astype(np.float32)


@cache
def mark(number: int, seed: int = 0) -> tuple[float, float]:
    """A landmark of the face, (x, y) pixels."""
    return tuple(map(float, predict_landmarks(moved_crop(seed=seed))[number]))
