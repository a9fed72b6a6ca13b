"""The published way of computing each stage, written again as the baseline of `python -m tests.benchmarks`.

The detector looks at every frame, the flow is OpenCV's, and the strain is computed with pandas. Results are the same as
the project's. Only the time differs. The training is in `published_training.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from feature_extraction import FEATURE_SIZE, face_regions
from load_images import CROP_SIZE
from Utils.faces.landmarks import detect_faces, predict_landmarks
from Utils.faces.rectangles import Rectangle, clip_rectangle


def crop(frames: Sequence[Path], folder: Path) -> None:
    """Detect the face on every frame, but keep the first rectangle. Write the crops to `folder`."""
    kept: Rectangle | None = None
    for path in frames:
        image = cv2.imread(str(path))
        found = detect_faces(image)
        if kept is None:
            kept = clip_rectangle(found[0], image.shape)
        left, top, right, bottom = kept
        cv2.imwrite(str(folder / path.name), cv2.resize(image[top:bottom, left:right], (CROP_SIZE, CROP_SIZE)))


def strain(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Optical strain by differences of shifted data frames; (128, 128) float32 -> float64."""
    u, v = pd.DataFrame(u.astype(np.float64)), pd.DataFrame(v.astype(np.float64))
    u_x, u_y = (u - u.shift(1, axis=1)).fillna(0), (u - u.shift(1, axis=0)).fillna(0)
    v_x, v_y = (v - v.shift(1, axis=1)).fillna(0), (v - v.shift(1, axis=0)).fillna(0)
    return np.sqrt(u_x**2 + v_y**2 + (u_y + v_x) ** 2 / 2).to_numpy()


def features(crops: Sequence[Path], k: int) -> np.ndarray:
    """The feature of every pair (i, i + k), all in memory; (n - k, 42, 42, 3)."""
    images = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in crops]
    brow_rows, brow_columns, mouth_rows, mouth_columns = face_regions(predict_landmarks(images[0]))
    tvl1 = cv2.optflow.DualTVL1OpticalFlow_create()
    made = []
    for first, second in zip(images, images[k:], strict=False):
        flow = tvl1.calc(first, second, None)
        magnitude, angle = cv2.cartToPolar(flow[..., 0], flow[..., 1])
        u, v = magnitude * np.cos(angle), magnitude * np.sin(angle)
        channels = [
            cv2.normalize(c.astype(np.float64), None, alpha=0, beta=1, norm_type=cv2.NORM_MINMAX)
            for c in (u, v, strain(u, v))
        ]
        image, half = np.dstack(channels), (FEATURE_SIZE, FEATURE_SIZE // 2)
        made.append(
            np.vstack(
                [cv2.resize(image[brow_rows, brow_columns], half), cv2.resize(image[mouth_rows, mouth_columns], half)]
            )
        )
    return np.array(made)
