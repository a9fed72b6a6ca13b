"""How near to the camera the parts of a usual head are: what a head that turns moves besides an affine map.

When a head turns, what is nearer to the camera goes further. For a small turn, the flow of a rigid head is exactly an
affine map plus a multiple of the depth, which is another one to the right and down. Which head it is matters little: a
dome from ear to ear, and a nose on it.
"""

from __future__ import annotations

import numpy as np

from Utils.faces.motion import head_design

LEFT_EAR, CHIN, RIGHT_EAR, NOSE_TIP = 0, 8, 16, 30  # landmarks

# In half the distance of the ears; shares of the way from the line of the ears down to the chin
DOME, BROADER = 0.9, 1.1  # height; how far the dome goes on beyond ears and chin
DOME_DOWN = 0.1  # share: its middle
NOSE, NOSE_WIDE, NOSE_UP, NOSE_DOWN = 0.3, 0.16, 0.3, 0.12  # height, and standard deviations around the tip
LEAST_SPREAD = 1e-6


def head_depth(points: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """How near each point is, (m,) float64, in half the distance of the ears. Points (m, 2) and landmarks (68, 2): px.

    It is at least 0: beyond the dome there is a plane.
    """
    ears = landmarks[RIGHT_EAR] - landmarks[LEFT_EAR]
    half = max(1.0, float(np.hypot(*ears)) / 2)
    across = ears / (2 * half)
    axes = np.column_stack([across, (-across[1], across[0])])  # to the right and down, on the face
    middle = (landmarks[LEFT_EAR] + landmarks[RIGHT_EAR]) / 2
    right, down = ((points - middle) @ axes).T
    chin = max(1.0, float((landmarks[CHIN] - middle) @ axes[:, 1]))
    from_middle = (down / chin - DOME_DOWN) / (1 - DOME_DOWN)
    dome = DOME * np.sqrt(np.clip(1 - ((right / half) ** 2 + from_middle**2) / BROADER**2, 0, None))
    right, down = ((points - landmarks[NOSE_TIP]) @ axes / half).T
    nose = NOSE * np.exp(-0.5 * ((right / NOSE_WIDE) ** 2 + (down / np.where(down < 0, NOSE_UP, NOSE_DOWN)) ** 2))
    return dome + nose


def turning_design(points: np.ndarray, landmarks: np.ndarray, quality: np.ndarray) -> np.ndarray:
    """`head_design` with a fourth column for a head that turns, (m, 4) float32.

    The column is the depth without its affine part, so that the other columns mean what they mean without it. Its
    standard deviation is 1. `quality` (m,) are weights of the points.
    """
    design, weights = head_design(points).astype(float), quality + 1e-3
    depth = head_depth(points, landmarks)
    weighted = design * weights[:, None]
    depth = depth - design @ np.linalg.solve(weighted.T @ design + LEAST_SPREAD * np.eye(3), weighted.T @ depth)
    spread = np.sqrt((weights * depth**2).sum() / weights.sum())
    return np.column_stack([design, depth / (spread + LEAST_SPREAD)]).astype(np.float32)
