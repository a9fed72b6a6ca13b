"""Curves of a face that are made of numbers: nothing moves, but for what is added."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from Utils.own_video.displacement import EYES, LIGHT, MISFIT, MOVED, N_COLUMNS, N_REGIONS, REGIONS

CORNERS = ("mouth corner left", "mouth corner right", "upper lip")
BROWS = ("brow inner left", "brow inner right", "forehead")


def calm(n: int) -> np.ndarray:
    """`n` samples of a face that does not move: open eyes, little misfit, gray skin, (n, N_COLUMNS) float64."""
    curves = np.zeros((n, N_COLUMNS))
    curves[:, MISFIT], curves[:, EYES], curves[:, LIGHT] = 2.0, 60.0, 120.0
    return curves


def with_movement(
    curves: np.ndarray,
    course: np.ndarray,
    regions: Sequence[str] = CORNERS,
    direction: tuple[float, float] = (0.0, -1.0),
) -> np.ndarray:
    """The same, where regions also follow a course (n,) in a direction (right, down), pixels."""
    made = curves.copy()
    moved = made[:, MOVED].reshape(len(made), N_REGIONS, 2)
    for name in regions:
        moved[:, list(REGIONS).index(name)] += np.outer(course, direction)
    made[:, MOVED] = moved.reshape(len(made), -1)
    return made


def triangle(n: int, apex: float, rise: float, fall: float, height: float = 1.0) -> np.ndarray:
    """A course (n,) that rises in `rise` samples to its apex, and falls in `fall`."""
    away = np.arange(n) - apex
    return height * np.clip(1 - np.where(away < 0, -away / rise, away / fall), 0, 1)


def bell(times: np.ndarray, apex: float, length: float, height: float = 1.0) -> np.ndarray:
    """A smooth course at these times: half of a cosine's wave, `length` long."""
    inside = np.abs(times - apex) < length / 2
    return height * np.where(inside, (1 + np.cos(2 * np.pi * (times - apex) / length)) / 2, 0)
