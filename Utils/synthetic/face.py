"""A face that moves: render it with action units, blinks, gaze and head pose.

For example:
    face = Face(make_identity(seed=3))
    image = face.render({"AU12": 0.4}, blink=(0, 0), pose=Pose(yaw=0.02))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from Utils.synthetic.action_units import STEP, ActionUnits, Motion, both_sides, openings
from Utils.synthetic.canvas import Canvas
from Utils.synthetic.eyes import make_eyes
from Utils.synthetic.head import paint_background, paint_bust, paint_head
from Utils.synthetic.identity import Identity
from Utils.synthetic.mouth import Mouth, paint_opening

LEFT, RIGHT, TOP, BOTTOM = -1.0, 1.0, -0.85, 1.48  # of the head's texture, face units
PIVOT = (0.0, 0.45)  # the head turns about this point and is placed by it
FACE_ORIGIN_Y = 0.33  # the point (0, 0) lies this many face units above the picture's middle
UNIT_SHARE = 0.46  # of the picture's height: the default size of a face unit
LOWER_LIP = [55, 56, 57, 58, 59, 65, 66, 67]
LOWER_LIP_SHARE = [0.6, 0.9, 1, 0.9, 0.6, 0.9, 1, 0.9]  # of the gap below the lip line
UPPER_INNER_LIP = [61, 62, 63]


@dataclass(frozen=True)
class Pose:
    """Where the head is.

    Attributes
    ----------
    tx, ty : float
        Shift right and down, face units.
    rotation : float
        In the picture's plane, radians, clockwise.
    scale : float
        Factor on the size.
    yaw, pitch : float
        Small turns, as shift per height of the relief (about radians); right and down.
    """

    tx: float = 0.0
    ty: float = 0.0
    rotation: float = 0.0
    scale: float = 1.0
    yaw: float = 0.0
    pitch: float = 0.0


class Face:
    """A renderer for one identity; one picture at a time (it keeps scratch space).

    Parameters
    ----------
    identity : Identity
    size : (int, int)
        Width and height of the picture.
    unit : float, optional
        Pixels per face unit in the picture; 0.46 of the height by default.
    supersampling : float
        The texture's resolution over the picture's.
    """

    def __init__(
        self,
        identity: Identity,
        size: tuple[int, int] = (320, 240),
        unit: float | None = None,
        supersampling: float = 1.5,
    ) -> None:
        self.identity, self.size = identity, size
        self.unit = unit or size[1] * UNIT_SHARE
        self.supersampling = supersampling
        scale = self.unit * supersampling
        width, height = int((RIGHT - LEFT) * scale), int((BOTTOM - TOP) * scale)
        self._canvas = Canvas(LEFT, TOP, width, height, scale)
        self._grid = np.ascontiguousarray(np.mgrid[0:height, 0:width][::-1].transpose(1, 2, 0), np.float32)  # (x, y)

        rng = np.random.default_rng([11, identity.seed])
        head = paint_head(identity, self._canvas, rng)
        self._texture = head.layer.copy()  # the eyes are redrawn in it
        self._sources, self._moved = np.empty_like(self._grid), np.empty_like(self._texture)  # scratch
        self._eyes = make_eyes(identity, self._canvas, head)
        self._mouth = Mouth(identity, self._canvas)
        self._motion = Motion(identity, self._canvas, head.depth)
        self._origin = np.array([size[0] / 2, size[1] / 2 - FACE_ORIGIN_Y * self.unit])  # of (0, 0), picture pixels
        left, top = -self._origin / self.unit
        picture = Canvas(left, top, *size, self.unit)
        self.backdrop = paint_background(identity, picture, rng)
        paint_bust(self.backdrop, identity, picture)

    def render(
        self,
        action_units: ActionUnits | None = None,
        blink: Sequence[float] = (0.0, 0.0),
        gaze: Sequence[float] = (0.0, 0.0),
        pose: Pose | None = None,
        gain: float = 1.0,
        noise: float = 0.0,
        noise_rng: np.random.Generator | None = None,
        backdrop: np.ndarray | None = None,
    ) -> np.ndarray:
        """One picture.

        Parameters
        ----------
        action_units : mapping of str to float or (float, float), optional
            Intensities, 0 to 1, for both sides or (left, right) in the image; names as in `action_units.AU_NAMES`.
        blink : (float, float)
            How far the left and the right eye is closed, 0 to 1.
        gaze : (float, float)
            Right and down, -1 to 1.
        pose : Pose, optional
            Straight ahead by default.
        gain : float
            Factor on the brightness of the whole picture.
        noise : float
            Standard deviation of the sensor noise in grey levels; needs `noise_rng`.
        noise_rng : Generator, optional
            The noise's own random stream.
        backdrop : ndarray, shape (height, width, 3), optional
            What lies behind the head, instead of the face's own background, neck and shoulders.

        Returns
        -------
        ndarray of uint8, shape (height, width, 3), BGR
        """
        layer = self.layer(action_units, blink, gaze, pose)
        behind = self.backdrop if backdrop is None else backdrop
        uncovered = cv2.cvtColor(1 - layer[..., 3] / 255, cv2.COLOR_GRAY2BGR)
        image = cv2.cvtColor(layer, cv2.COLOR_BGRA2BGR) + behind * uncovered
        image *= np.float32(gain)
        if noise > 0:
            if noise_rng is None:
                raise ValueError("noise needs a noise_rng: the stream it is drawn from")
            image += np.float32(noise) * _noise_pattern(self.size, noise_rng)
        return np.clip(image + np.float32(0.5), 0, 255).astype(np.uint8)

    def layer(
        self,
        action_units: ActionUnits | None = None,
        blink: Sequence[float] = (0.0, 0.0),
        gaze: Sequence[float] = (0.0, 0.0),
        pose: Pose | None = None,
    ) -> np.ndarray:
        """The head alone, placed in the picture: float32 (height, width, 4), BGR times alpha, and alpha, 0 to 255."""
        pose, pairs = pose or Pose(), both_sides(action_units or {})
        lids, gap_up, gap_down = openings(pairs)
        for eye, (upper, lower), closed in zip(self._eyes, lids, blink, strict=True):
            eye.draw(self._texture, upper * (1 - closed), lower, gaze)
        field = self._field(pairs, pose)
        sources = np.subtract(self._grid, field, out=self._sources)
        opening = self._mouth.opening(gap_up, gap_down, field)
        if opening is not None:
            sources[opening.rows, opening.columns, 1] += opening.shift
        texture, border = self._moved, cv2.BORDER_REPLICATE
        cv2.remap(self._texture, sources, None, cv2.INTER_LINEAR, dst=texture, borderMode=border)
        if opening is not None:
            paint_opening(texture, opening)
        return cv2.warpAffine(texture, self._placement(pose), self.size, flags=cv2.INTER_LINEAR, borderValue=0)

    def landmarks(self, action_units: ActionUnits | None = None, pose: Pose | None = None) -> np.ndarray:
        """The 68 landmarks in picture pixels, shape (68, 2); lids that open and close are not followed."""
        pose, pairs = pose or Pose(), both_sides(action_units or {})
        _, gap_up, gap_down = openings(pairs)
        points = self.identity.landmarks + self._motion.landmark_shift(pairs, pose.yaw, pose.pitch)
        points[LOWER_LIP, 1] += gap_down * np.array(LOWER_LIP_SHARE)
        points[UPPER_INNER_LIP, 1] -= gap_up
        placement = self._placement(pose)
        return self._canvas.to_pixels(points) @ placement[:, :2].T + placement[:, 2]

    def _field(self, pairs: Mapping[str, np.ndarray], pose: Pose) -> np.ndarray:
        """Backward displacement at the texture's resolution, pixels."""
        coarse = self._motion.field(pairs, pose.yaw, pose.pitch)
        size = coarse.shape[1] * STEP, coarse.shape[0] * STEP  # at least the texture's size
        fine = cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR)
        return fine[: self._canvas.height, : self._canvas.width]

    def _placement(self, pose: Pose) -> np.ndarray:
        """Affine map from texture pixels to picture pixels, shape (2, 3)."""
        scale = pose.scale / self.supersampling
        cosine, sine = np.cos(pose.rotation) * scale, np.sin(pose.rotation) * scale
        turn = np.array([[cosine, -sine], [sine, cosine]])
        target = self._origin + np.add(PIVOT, (pose.tx, pose.ty)) * self.unit
        return np.column_stack([turn, target - turn @ self._canvas.to_pixels(PIVOT)])


def _noise_pattern(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Unit noise for one picture: a window at a random place of a fixed field twice as wide and high."""
    width, height = size
    row, column = rng.integers(0, height), rng.integers(0, width)
    return _noise_field(width, height)[row : row + height, column : column + width]


@lru_cache(maxsize=2)
def _noise_field(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(5).normal(size=(height * 2, width * 2, 3)).astype(np.float32)
