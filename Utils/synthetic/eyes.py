"""Eyes: lids, eyeball, iris and lashes. They are redrawn on the head's texture for every frame."""

from __future__ import annotations

import numpy as np

from Utils.synthetic.canvas import Canvas, blend, spline
from Utils.synthetic.head import HeadTexture
from Utils.synthetic.identity import EYES, Identity
from Utils.synthetic.portable import exp, hypot

GAZE_REACH = np.array([0.035, 0.020])  # shift of the iris to the right and down at a gaze of 1, face units
LIDS_MEET = 0.012  # face units below the line between the eye's corners at which closed lids meet
LEAST_OPENING = 0.001  # face units that the lower lid's landmarks stay below the upper lid's
UPPER, LOWER = [1, 2], [4, 5]  # the lids' landmarks among the eye's six


class Eye:
    """One eye of a face.

    Parameters
    ----------
    identity : Identity
    landmarks : ndarray, shape (6, 2)
        The eye's neutral landmarks, face units.
    canvas : Canvas
        The canvas of the head's texture.
    head : HeadTexture
        The head without eyes.
    """

    def __init__(self, identity: Identity, landmarks: np.ndarray, canvas: Canvas, head: HeadTexture) -> None:
        self.looks, self.landmarks, self.centre = identity.looks, landmarks, landmarks.mean(0)
        margin = np.array([0.05, 0.07])  # face units around the landmarks that are redrawn
        self.canvas, self.rows, self.columns = canvas.crop(landmarks.min(0) - margin, landmarks.max(0) + margin)
        roundness = 1 - 0.35 * ((self.canvas.x - self.centre[0]) / 0.10) ** 2
        self.roundness = np.clip(roundness, 0.5, 1).astype(np.float32)
        column, row = canvas.to_pixels(self.centre).astype(int)
        self.light = float(np.clip(head.shade[row, column], 0.5, 1.1))
        self.skin = head.layer[self.rows, self.columns, :3].copy()
        self.edge = 0.8 / canvas.scale  # softness of the iris's rim: 0.8 pixels of the texture
        self.blur = 0.35 / 110  # softness of the lids' rims: 0.35 pixels of a 320x240 picture (110 per face unit)

    def draw(self, layer: np.ndarray, upper: float, lower: float, gaze: np.ndarray) -> None:
        """Draw into the head's texture, in place. What was drawn there before is replaced.

        Parameters
        ----------
        layer : ndarray of float32, shape (height, width, 4)
            The texture, BGR and alpha. It must be opaque where the eye is.
        upper, lower : float
            Opening of the lids: 1 is neutral, 0 is closed.
        gaze : pair of float
            Right and down, -1 to 1.
        """
        top, bottom = self._lids(upper, lower)
        patch = self.skin.copy()
        mask = self.canvas.polygon(np.vstack([top, bottom]), self.blur)
        blend(patch, mask, self._eyeball(float(top[:, 1].min()), np.asarray(gaze, float)))
        blend(patch, self.canvas.line(top, 0.013, self.blur) * 0.85, self.looks.skin * 0.14)
        blend(patch, self.canvas.line(bottom, 0.007, self.blur * 1.7) * 0.5, self.looks.skin * 0.35)
        layer[self.rows, self.columns, :3] = patch

    def _lids(self, upper: float, lower: float) -> tuple[np.ndarray, np.ndarray]:
        """Curves of the upper and of the lower lid, face units, shape (n, 2) each."""
        points = self.landmarks.copy()
        first, last = points[0], points[3]
        along = np.clip((points[:, :1] - first[0]) / (last[0] - first[0]), 0, 1)
        closed = (first + (last - first) * along)[:, 1] + LIDS_MEET
        points[UPPER, 1] = closed[UPPER] + (points[UPPER, 1] - closed[UPPER]) * upper
        lowered = closed[LOWER] + (points[LOWER, 1] - closed[LOWER]) * lower
        points[LOWER, 1] = np.maximum(lowered, points[UPPER[::-1], 1] + LEAST_OPENING)
        return spline(points[[0, 1, 2, 3]], 8), spline(points[[3, 4, 5, 0]], 8)

    def _eyeball(self, lid_y: float, gaze: np.ndarray) -> np.ndarray:
        """Image of white, iris, pupil and a highlight. It is darker under the upper lid and towards the corners."""
        looks, x, y = self.looks, self.canvas.x, self.canvas.y
        iris_x, iris_y = map(float, self.centre + gaze * GAZE_REACH + [0, -0.004])  # float, so arrays stay float32
        distance = hypot(x - iris_x, y - iris_y)
        lid_shadow = np.clip(0.72 + 0.28 * (y - lid_y) / 0.04, 0.6, 1)
        image = np.array([203, 206, 212], np.float32) * (self.roundness * lid_shadow * self.light)[..., None]
        rim = np.clip(1 - np.abs(distance - looks.iris_radius * 0.92) / 0.012, 0, 1)
        iris = looks.iris.astype(np.float32) * ((1.15 - 0.6 * rim) * self.light)[..., None]
        blend(image, self._disc(distance, looks.iris_radius), iris)
        blend(image, self._disc(distance, looks.iris_radius * 0.42), np.array([12, 12, 12]))
        blend(image, self.canvas.blob(iris_x - 0.016, iris_y - 0.018, 0.007, 0.007), np.array([240, 240, 240]))
        return image

    def _disc(self, distance: np.ndarray, radius: float) -> np.ndarray:
        """Mask of a disc with a soft rim. `distance` is each pixel's distance from its centre."""
        return 1 / (1 + exp((distance - radius) / self.edge))


def make_eyes(identity: Identity, canvas: Canvas, head: HeadTexture) -> list[Eye]:
    """The left and the right eye."""
    return [Eye(identity, identity.landmarks[eye], canvas, head) for eye in EYES]
