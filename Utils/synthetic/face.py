"""A face that moves: it is rendered with action units, blinks, gaze and head pose.

For example:
    face = Face(make_identity(seed=3))
    image = face.render({"AU12": 0.4}, blink=(0, 0), pose=Pose(yaw=0.02))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from Utils.synthetic.action_units import STEP, ActionUnits, Motion, both_sides, openings
from Utils.synthetic.canvas import Canvas
from Utils.synthetic.eyes import make_eyes
from Utils.synthetic.head import HeadTexture, paint_background, paint_bust, paint_head
from Utils.synthetic.identity import Identity
from Utils.synthetic.mouth import Mouth, paint_opening
from Utils.synthetic.portable import cos, plain_opencv, product, sin

LEFT, RIGHT, TOP, BOTTOM = -1.0, 1.0, -0.85, 1.48  # edges of the head's texture, face units
PIVOT = (0.0, 0.45)  # the point about which the head turns and by which it is placed, face units
FACE_ORIGIN_Y = 0.33  # face units from the point (0, 0) down to the picture's middle
UNIT_SHARE = 0.46  # default size of a face unit, as a share of the picture's height
LOWER_LIP = [55, 56, 57, 58, 59, 65, 66, 67]  # landmarks
LOWER_LIP_SHARE = [0.6, 0.9, 1, 0.9, 0.6, 0.9, 1, 0.9]  # how much of the gap below the lip line each of them moves
UPPER_INNER_LIP = [61, 62, 63]  # landmarks
WORN_DEPTH = 0.06  # depth of what is worn before the face against the relief's middle, face units: parallax
PAINT, NOISE_FIELD = 11, 5  # seeds of the random streams: of a head's textures (with the identity's seed), of the noise


@dataclass(frozen=True)
class Pose:
    """Where the head is.

    Attributes
    ----------
    tx, ty : float
        Shift to the right and down, face units.
    rotation : float
        Rotation in the picture's plane, radians, clockwise.
    scale : float
        Factor on the size.
    yaw, pitch : float
        Small turns to the right and down: shift per height of the relief, which is about the angle in radians.
    """

    tx: float = 0.0
    ty: float = 0.0
    rotation: float = 0.0
    scale: float = 1.0
    yaw: float = 0.0
    pitch: float = 0.0


class Face:
    """A renderer for one identity. It keeps scratch memory, so it can render only one picture at a time.

    Parameters
    ----------
    identity : Identity
    size : (int, int)
        Width and height of the picture, pixels.
    unit : float, optional
        Pixels per face unit in the picture. By default `UNIT_SHARE` of the height.
    supersampling : float
        Resolution of the texture, divided by the resolution of the picture.
    dress : callable, optional
        Called with the identity, the texture's canvas and the head before its eyes are made. It may paint on the
        head's layer, in place. It returns what is worn before the face and moves with the head, not with the skin
        (glasses, hair over the brows), as such a layer, or None.
    """

    @plain_opencv()
    def __init__(
        self,
        identity: Identity,
        size: tuple[int, int] = (320, 240),
        unit: float | None = None,
        supersampling: float = 1.5,
        dress: Callable[[Identity, Canvas, HeadTexture], np.ndarray | None] | None = None,
    ) -> None:
        self.identity, self.size = identity, size
        self.unit = unit or size[1] * UNIT_SHARE
        self.supersampling = supersampling
        scale = self.unit * supersampling
        width, height = int((RIGHT - LEFT) * scale), int((BOTTOM - TOP) * scale)
        self._canvas = Canvas(LEFT, TOP, width, height, scale)
        self._grid = np.ascontiguousarray(np.mgrid[0:height, 0:width][::-1].transpose(1, 2, 0), np.float32)  # (x, y)

        rng = np.random.default_rng([PAINT, identity.seed])
        head = paint_head(identity, self._canvas, rng)
        self._worn = dress(identity, self._canvas, head) if dress else None
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

    @plain_opencv()
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
        """Render one picture.

        Parameters
        ----------
        action_units : mapping of str to float or (float, float), optional
            Name, as in `action_units.AU_NAMES` -> intensity, 0 to 1, for both sides or (left, right) in the image.
        blink : (float, float)
            How far the left and the right eye are closed, 0 to 1.
        gaze : (float, float)
            Right and down, -1 to 1.
        pose : Pose, optional
            Straight ahead by default.
        gain : float
            Factor on the brightness of the whole picture.
        noise : float
            Standard deviation of the sensor noise, grey levels. More than 0 needs `noise_rng`.
        noise_rng : Generator, optional
            The random stream of the noise.
        backdrop : ndarray of float32, shape (height, width, 3), optional
            What is behind the head, BGR, 0 to 255. By default `self.backdrop`: background, neck and shoulders.

        Returns
        -------
        ndarray of uint8, shape (height, width, 3)
            BGR.

        Raises
        ------
        ValueError
            An unknown action unit, or noise without `noise_rng`.
        """
        layer = self.layer(action_units, blink, gaze, pose)
        behind = self.backdrop if backdrop is None else backdrop
        uncovered = cv2.cvtColor(1 - layer[..., 3] / 255, cv2.COLOR_GRAY2BGR)
        image = cv2.cvtColor(layer, cv2.COLOR_BGRA2BGR) + behind * uncovered
        image *= np.float32(gain)
        if noise > 0:
            if noise_rng is None:
                raise ValueError("noise needs noise_rng, the random stream that it is drawn from")
            image += np.float32(noise) * _noise_pattern(self.size, noise_rng)
        return np.clip(image + np.float32(0.5), 0, 255).astype(np.uint8)

    @plain_opencv()
    def layer(
        self,
        action_units: ActionUnits | None = None,
        blink: Sequence[float] = (0.0, 0.0),
        gaze: Sequence[float] = (0.0, 0.0),
        pose: Pose | None = None,
        warp: np.ndarray | None = None,
    ) -> np.ndarray:
        """The head alone, placed in the picture; the parameters are those of `render`.

        Parameters
        ----------
        warp : ndarray, optional
            More movement of the skin: a sum of what `local_warp` returns.

        Returns
        -------
        ndarray of float32, shape (height, width, 4)
            BGR times alpha, and alpha; 0 to 255.
        """
        pose, pairs = pose or Pose(), both_sides(action_units or {})
        lids, gap_up, gap_down = openings(pairs)
        for eye, (upper, lower), closed in zip(self._eyes, lids, blink, strict=True):
            eye.draw(self._texture, upper * (1 - closed), lower, gaze)
        field = self._field(pairs, pose, warp)
        sources = np.subtract(self._grid, field, out=self._sources)
        opening = self._mouth.opening(gap_up, gap_down, field)
        if opening is not None:
            sources[opening.rows, opening.columns, 1] += opening.shift
        texture, border = self._moved, cv2.BORDER_REPLICATE
        cv2.remap(self._texture, sources, None, cv2.INTER_LINEAR, dst=texture, borderMode=border)
        if opening is not None:
            paint_opening(texture, opening)
        placement = self._placement(pose)
        layer = cv2.warpAffine(texture, placement, self.size, flags=cv2.INTER_LINEAR, borderValue=0)
        return layer if self._worn is None else self._wear(layer, placement, pose)

    def local_warp(self, centre: Sequence[float], sigma: Sequence[float], shift: Sequence[float]) -> np.ndarray:
        """A movement of the skin around one place, for `layer`. The parameters are those of `Motion.local_warp`."""
        return self._motion.local_warp(np.asarray(centre), np.asarray(sigma), np.asarray(shift))

    def landmarks(self, action_units: ActionUnits | None = None, pose: Pose | None = None) -> np.ndarray:
        """The 68 landmarks in pixels of the picture, shape (68, 2). They do not follow lids that open and close."""
        pose, pairs = pose or Pose(), both_sides(action_units or {})
        _, gap_up, gap_down = openings(pairs)
        points = self.identity.landmarks + self._motion.landmark_shift(pairs, pose.yaw, pose.pitch)
        points[LOWER_LIP, 1] += gap_down * np.array(LOWER_LIP_SHARE)
        points[UPPER_INNER_LIP, 1] -= gap_up
        placement = self._placement(pose)
        return product(self._canvas.to_pixels(points), placement[:, :2].T) + placement[:, 2]

    def _wear(self, layer: np.ndarray, placement: np.ndarray, pose: Pose) -> np.ndarray:
        """Lay what is worn over the head's layer, in place. It is stiff: a turn of the head only shifts it."""
        shift = np.array([pose.yaw, pose.pitch]) * WORN_DEPTH * self._canvas.scale
        stiff = np.column_stack([placement[:, :2], placement[:, 2:] + product(placement[:, :2], shift[:, None])])
        worn = cv2.warpAffine(self._worn, stiff, self.size, flags=cv2.INTER_LINEAR, borderValue=0)
        layer *= (1 - worn[..., 3:] / 255).astype(np.float32)
        layer += worn
        return layer

    def _field(self, pairs: Mapping[str, np.ndarray], pose: Pose, warp: np.ndarray | None) -> np.ndarray:
        """Backward displacement at the texture's resolution, in its pixels, float32 (height, width, 2)."""
        coarse = self._motion.field(pairs, pose.yaw, pose.pitch, warp)
        size = coarse.shape[1] * STEP, coarse.shape[0] * STEP  # at least the texture's size
        fine = cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR)
        return fine[: self._canvas.height, : self._canvas.width]

    def _placement(self, pose: Pose) -> np.ndarray:
        """The affine map from pixels of the texture to pixels of the picture, shape (2, 3)."""
        scale = pose.scale / self.supersampling
        cosine, sine = cos(pose.rotation) * scale, sin(pose.rotation) * scale
        turn = np.array([[cosine, -sine], [sine, cosine]])
        target = self._origin + np.add(PIVOT, (pose.tx, pose.ty)) * self.unit
        return np.column_stack([turn, target - (turn * self._canvas.to_pixels(PIVOT)).sum(1)])


def _noise_pattern(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Noise of standard deviation 1 for one picture, (height, width, 3): a random part of a field of twice its size."""
    width, height = size
    row, column = rng.integers(0, height), rng.integers(0, width)
    return _noise_field(width, height)[row : row + height, column : column + width]


@lru_cache(maxsize=2)
def _noise_field(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(NOISE_FIELD).normal(size=(height * 2, width * 2, 3)).astype(np.float32)
