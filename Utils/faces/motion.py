"""How points of a face move from one crop to another, and which part of that is the motion of the head.

The flow is that of Lucas and Kanade in pyramids (Bouguet, 2001; OpenCV) at the points of a grid. It is quicker than
TV-L1 and does not make small movements smaller, as TV-L1's smoothness term does. The motion of the head is an affine
map that most points of the face follow.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from Utils.faces.rectangles import CROP_SIZE

GRID = 7  # pixels between the points at which the flow is measured
BORDER = 6  # pixels at the edge of the crop without points: what leaves the crop there has no flow
LK_WINDOW, LK_LEVELS, LK_STEPS, LK_EPSILON = 15, 3, 10, 0.01
LARGEST = 15.0  # pixels: points that seem to have moved further are left out
FEWEST_POINTS = 12  # that must be found again for a fit of the head's motion

# Contrast is made equal everywhere first, so that light does not count as motion
BROAD = 8.0  # pixels, standard deviation of the Gaussian that gives the local mean and contrast
LEAST_CONTRAST = 5.0  # gray levels: flatter places are not amplified further
SPREAD = 42.0  # gray levels of one local standard deviation in the equalised crop

# Flat skin shows no movement, only noise: points count by the detail around them
FINE = 2.0  # pixels, standard deviation of the Gaussian that the detail is measured against
DETAIL = 4.0  # gray levels of detail at which a point counts by half: about twice the noise of a usual camera

# Robust fit of the head's motion: Tukey's weights on the residuals, in pixels
ROUNDS, LEAST_SCALE, TUKEY = 3, 0.25, 4.685

JAW_AND_BROWS, BROWS = slice(0, 27), slice(17, 27)  # landmarks
FOREHEAD_SHARE = 0.35  # of the distance from brows to chin: how far the face goes on above the brows


class Flow(NamedTuple):
    """How points have moved.

    Attributes
    ----------
    moved : ndarray, (m, 2), float32
        Pixels to the right and down; 0 where a point was not found again.
    usable : ndarray, (m,), bool
        Whether a point was found again. All True if nearly none was, so that a fit is possible and gives no motion.
    found : ndarray, (m,), bool
        As OpenCV says it.
    error : ndarray, (m,), float32
        What the flow does not explain, gray levels of the equalised crops; of points that were not found anything.
    """

    moved: np.ndarray
    usable: np.ndarray
    found: np.ndarray
    error: np.ndarray


def equalised(crop: np.ndarray) -> np.ndarray:
    """A crop (128, 128) uint8 whose local mean and contrast are the same everywhere, uint8."""
    image = crop.astype(np.float32)
    detail = image - cv2.GaussianBlur(image, (0, 0), BROAD)
    contrast = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), BROAD))
    return np.clip(detail * (SPREAD / (contrast + LEAST_CONTRAST)) + 128, 0, 255).astype(np.uint8)


def face_points(landmarks: np.ndarray, fewest: int) -> np.ndarray:
    """The points of the grid that lie on the face, (m, 2) float32: column and row in pixels of the crop.

    `landmarks` are (68, 2). If they are so far outside the crop that fewer than `fewest` points remain, all points of
    the grid are taken.
    """
    inside = _face_mask(landmarks)
    places = np.arange(BORDER, CROP_SIZE - BORDER, GRID)
    grid = np.stack(np.meshgrid(places, places), -1).reshape(-1, 2)
    points = grid[inside[grid[:, 1], grid[:, 0]] > 0]
    return (grid if len(points) < fewest else points).astype(np.float32)


def detail_at(crop: np.ndarray, points: np.ndarray) -> np.ndarray:
    """How much each point of a crop (128, 128) counts, (m,) float32: 0 on flat skin, near 1 where detail is around."""
    image = crop.astype(np.float32)
    detail = image - cv2.GaussianBlur(image, (0, 0), FINE)
    power = cv2.GaussianBlur(detail * detail, (0, 0), 1.5 * FINE)
    columns, rows = points.astype(int).T
    return power[rows, columns] / (power[rows, columns] + DETAIL**2)


def flow_at(reference: np.ndarray, crop: np.ndarray, points: np.ndarray) -> Flow:
    """The flow at `points` (m, 2) float32 from one crop to another, both (128, 128) uint8 and equalised."""
    moved, found, error = cv2.calcOpticalFlowPyrLK(
        reference,
        crop,
        points,
        None,
        winSize=(LK_WINDOW, LK_WINDOW),
        maxLevel=LK_LEVELS,
        criteria=(cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, LK_STEPS, LK_EPSILON),
    )
    flow = moved - points
    usable = (found[:, 0] == 1) & np.isfinite(flow).all(1) & (np.abs(flow).max(1) < LARGEST)
    usable &= ((moved >= BORDER) & (moved <= CROP_SIZE - 1 - BORDER)).all(1)
    flow = np.where(usable[:, None], flow, 0)
    if usable.sum() < FEWEST_POINTS:
        usable[:] = True  # nothing of the face is found again: no movement
    return Flow(flow, usable, found[:, 0] == 1, error[:, 0])


def head_design(points: np.ndarray) -> np.ndarray:
    """What the head's motion is multiplied with at each point, (m, 3) float32: 1, and the place in -1 to 1."""
    centred = (points - CROP_SIZE / 2) / (CROP_SIZE / 2)
    return np.column_stack([np.ones(len(centred), np.float32), centred])


def head_motion(design: np.ndarray, flow: np.ndarray, quality: np.ndarray) -> np.ndarray:
    """The motion (columns, 2) that most points (m, columns) follow with their flow (m, 2). Tukey's weights, iterated.

    `design` is that of `head_design`, for an affine motion, or of `depth.turning_design`. `quality` (m,) are weights of
    the points. `design @ motion` is the head's part of the flow, in pixels.
    """
    weights = quality + 1e-4
    ridge = 1e-3 * np.eye(design.shape[1], dtype=np.float32)
    for _ in range(ROUNDS):
        weighted = design * weights[:, None]
        fit = np.linalg.solve(weighted.T @ design + ridge, weighted.T @ flow)
        distance = np.hypot(*(flow - design @ fit).T)
        scale = max(LEAST_SCALE, 1.4826 * float(np.median(distance)))
        tukey = np.clip(1 - (distance / (TUKEY * scale)) ** 2, 0, None) ** 2
        weights = (tukey * quality).astype(np.float32) + 1e-4
    return fit


def _face_mask(landmarks: np.ndarray) -> np.ndarray:
    """1 inside jaw, brows and the lower forehead, (128, 128) uint8."""
    outline = landmarks[JAW_AND_BROWS]
    height = outline[:, 1].max() - landmarks[BROWS, 1].min()
    above = landmarks[BROWS] - [0, FOREHEAD_SHARE * height]
    hull = cv2.convexHull(np.vstack([outline, above]).astype(np.int32))
    return cv2.fillConvexPoly(np.zeros((CROP_SIZE, CROP_SIZE), np.uint8), hull, 1)
