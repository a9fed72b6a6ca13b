"""What passes before a face: hands, drawn as a palm with fingers and a forearm, and strands of hair.

An occluder is painted once and is moved over the picture, in face units relative to the face's mid-line (`canvas.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from Utils.synthetic.canvas import Canvas, spline
from Utils.synthetic.portable import cos, plain_opencv, sin

HAND, STRAND = "hand", "strand"
PAINT_OCCLUDER = 23  # number of the random stream of the painting, with the occluder's seed
FACE_MIDDLE, FACE_RADII = np.array([0.0, 0.40]), np.array([0.64, 0.84])  # ellipse of the face, face units
# Outlines of which the frames behind an occluder are computed, (x, y) in face units from its own origin
FINGERTIPS = [(-0.26, -0.55), (-0.10, -0.72), (0.06, -0.74), (0.22, -0.62), (-0.40, -0.1)]
PALM_AND_ARM = [(0, 0), (-0.22, -0.2), (0.22, -0.2), (0, 0.3), (-0.12, 0.6), (0.12, 0.6), (0, 1.0), (0, 1.6)]
HAND_POINTS = np.array([*FINGERTIPS, *PALM_AND_ARM])
STRAND_POINTS = np.stack([np.zeros(8), np.linspace(0.15, 0.95, 8)], 1)
CANVASES = {HAND: (-0.6, -0.95, 1.2, 3.6), STRAND: (-0.35, -0.1, 0.7, 1.3)}  # left, top, width, height, face units


@dataclass(frozen=True)
class Occluder:
    """Something before the face.

    Attributes
    ----------
    kind : str
        `HAND` or `STRAND`.
    seed : int
        Of the painting.
    path : ndarray, shape (frames, 3)
        x and y of its origin (the palm's middle; a strand's root) in face units, and its angle, radians clockwise. NaN
        in frames in which it is outside the picture.
    size : float
        Factor on the size.
    """

    kind: str
    seed: int
    path: np.ndarray
    size: float

    def covers(self) -> np.ndarray:
        """Whether it covers some of the face, shape (frames,), bool."""
        points = (HAND_POINTS if self.kind == HAND else STRAND_POINTS) * self.size
        cosine, sine = cos(self.path[:, 2]), sin(self.path[:, 2])
        x = points[:, 0] * cosine[:, None] - points[:, 1] * sine[:, None] + self.path[:, :1]
        y = points[:, 0] * sine[:, None] + points[:, 1] * cosine[:, None] + self.path[:, 1:2]
        inside = ((np.stack([x, y], -1) - FACE_MIDDLE) / FACE_RADII) ** 2
        return (inside.sum(-1) < 1).any(1)


class PaintedOccluder:
    """The picture of one occluder, and where it goes in a frame.

    Parameters
    ----------
    occluder : Occluder
    skin, hair : ndarray, shape (3,)
        BGR of the person's skin and hair.
    unit : float
        Pixels per face unit of the picture.
    """

    @plain_opencv()
    def __init__(self, occluder: Occluder, skin: np.ndarray, hair: np.ndarray, unit: float) -> None:
        self.occluder, self.unit = occluder, unit
        left, top, width, height = CANVASES[occluder.kind]
        self.canvas = Canvas(left, top, int(width * unit), int(height * unit), unit)
        rng = np.random.default_rng([PAINT_OCCLUDER, occluder.seed])
        colour, mask = _hand(self.canvas, skin, rng) if occluder.kind == HAND else _strand(self.canvas, hair, rng)
        self.layer = np.dstack([np.clip(colour, 0, 255) * mask[..., None], 255 * mask]).astype(np.float32)

    @plain_opencv()
    def layer_in(self, frame: int, origin: np.ndarray, size: tuple[int, int]) -> np.ndarray | None:
        """The layer placed in the picture, float32 (height, width, 4), BGR times alpha; None if it is not there.

        `origin` is the place of the face's (0, 0), and `size` (width, height) that of the picture, pixels.
        """
        x, y, angle = self.occluder.path[frame]
        if not np.isfinite(x):
            return None
        cosine, sine = cos(angle) * self.occluder.size, sin(angle) * self.occluder.size
        turn = np.array([[cosine, -sine], [sine, cosine]])
        shift = origin + np.array([x, y]) * self.unit - (turn * self.canvas.to_pixels(np.zeros(2))).sum(1)
        matrix = np.column_stack([turn, shift])
        return cv2.warpAffine(self.layer, matrix, size, flags=cv2.INTER_LINEAR, borderValue=0)


def _hand(canvas: Canvas, skin: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Colour and mask: fingers up, forearm down. The parts are shaded one by one, so that fingers can be told apart."""
    closed = rng.uniform(0.5, 1.0)  # how close together the fingers are
    parts = [([[0, 0.30], [0, 3.0]], 0.34), ([[0, -0.08], [0, 0.20]], 0.46)]
    for x, length in ((-0.17, 0.40), (-0.06, 0.50), (0.06, 0.52), (0.17, 0.42)):
        spread = x * (1 + (1 - closed))
        parts.append(([[x, -0.20], [spread * 1.25, -0.24 - length * rng.uniform(0.85, 1.05)]], 0.115))
    side = rng.choice([-1, 1])
    parts.append(([[side * 0.14, 0.12], [side * 0.30, -0.08], [side * 0.36, -0.24]], 0.13))
    colour = np.ones((*canvas.shape, 3), np.float32) * skin.astype(np.float32)
    whole = np.zeros(canvas.shape, np.float32)
    for points, width in parts:
        mask = canvas.line(np.array(points), width, 0.004)
        shade = 0.68 + 0.34 * cv2.GaussianBlur(mask, (0, 0), width * 0.28 * canvas.scale)
        colour += (skin * shade[..., None] - colour) * mask[..., None]
        whole = np.maximum(whole, mask)
    colour *= (1 + 0.03 * canvas.noise(rng, 0.006) + 0.03 * canvas.noise(rng, 0.05))[..., None]
    if rng.random() < 0.6:  # a sleeve
        sleeve = np.clip((canvas.y - rng.uniform(0.55, 1.2)) / 0.02, 0, 1)[..., None]
        colour += (rng.uniform(30, 200, 3) * (1 + 0.05 * canvas.noise(rng, 0.02))[..., None] - colour) * sleeve
    return colour, cv2.GaussianBlur(whole, (0, 0), max(0.5, 0.006 * canvas.scale))


def _strand(canvas: Canvas, hair: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Colour and mask of a few hairs that hang down from the origin in a curve."""
    mask = np.zeros(canvas.shape, np.float32)
    bend, length = rng.uniform(-0.12, 0.12), rng.uniform(0.7, 1.0)
    for _ in range(int(rng.integers(8, 25))):
        x, end = rng.normal(0, 0.025), length * rng.uniform(0.8, 1)
        points = [[x, -0.02], [x * 1.3 + bend, length * 0.5], [x * 0.7 + rng.normal(0, 0.03), end]]
        mask = np.maximum(mask, canvas.line(spline(np.array(points), 10), 0.018, 0.004) * rng.uniform(0.7, 1))
    mask *= np.clip((canvas.y - 0.02) / 0.18, 0, 1)  # it comes out of the hair
    colour = hair * (1 + 0.15 * canvas.noise(rng, 0.01))[..., None]
    return colour, mask
