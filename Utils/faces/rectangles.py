"""Rectangles around faces, (left, top, right, bottom) in pixels, right and bottom exclusive: clip, cut, compare."""

from __future__ import annotations

import cv2
import numpy as np

CROP_SIZE = 128  # pixels, width and height of a crop (paper section 3.1)

Rectangle = tuple[int, int, int, int]


def area(rectangle: Rectangle) -> int:
    """Pixels inside."""
    return (rectangle[2] - rectangle[0]) * (rectangle[3] - rectangle[1])


def overlap(a: Rectangle, b: Rectangle) -> float:
    """Intersection over union of two rectangles, in [0, 1]."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    common = max(0, width) * max(0, height)
    return common / (area(a) + area(b) - common)


def clip_rectangle(rectangle: Rectangle, shape: tuple[int, ...]) -> Rectangle | None:
    """Clip a rectangle to an image of shape (height, width, ...); None if nothing is left."""
    left, top, right, bottom = rectangle
    left, right = max(0, left), min(shape[1], right)
    top, bottom = max(0, top), min(shape[0], bottom)
    return (left, top, right, bottom) if left < right and top < bottom else None


def cut_face(image: np.ndarray, rectangle: Rectangle) -> np.ndarray:
    """Cut `[top:bottom, left:right]` and resize it (bilinear) to (128, 128, ...), uint8."""
    left, top, right, bottom = rectangle
    return cv2.resize(image[top:bottom, left:right], (CROP_SIZE, CROP_SIZE))
