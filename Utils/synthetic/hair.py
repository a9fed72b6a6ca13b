"""Hair and ears: layers, each a colour and a mask, around a head."""

from __future__ import annotations

import cv2
import numpy as np

from Utils.synthetic.canvas import Canvas, spline
from Utils.synthetic.identity import LONG_HAIRSTYLES, SIDES, Identity
from Utils.synthetic.portable import cos, power, sin
from Utils.synthetic.relief import Relief, half_width

EAR_Y = 0.34  # height of the ears' middle, face units
HAIR_TOP_Y = -0.74  # height of the top of the hair, face units
# One side of long hair behind the head and beside the neck: x in half widths of the head, y in face units
BACK_HAIR_OUTER = [(0.70, -0.40), (0.97, -0.10), (1.09, 0.18), (1.15, 0.45), (1.18, 0.80), (1.16, 1.10), (1.04, 1.32)]
BACK_HAIR_INNER = [(0.84, 1.40), (0.70, 1.30), (0.62, 1.00), (0.50, 0.60), (0.30, 0.00)]
SHAVED_COVER = 0.55  # share of the skin that a shaved head's stubble hides


def front_hair(identity: Identity, canvas: Canvas, head: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mask of the hair in front of the head. `head` is the mask of the head itself."""
    looks, width = identity.looks, half_width(identity)
    edge = _hairline(identity)
    edge[2:-2] += rng.normal(0, 0.004, edge[2:-2].shape)
    if looks.hairstyle == "shaved":  # stubble is on the skin, so there is none outside the head
        over_the_top = np.array([[width * 1.3, edge[-1, 1]], [width * 1.3, -1.0], [-width * 1.3, -1.0]])
        corner = [[-width * 1.3, edge[0, 1]]]
        return canvas.polygon(np.vstack([edge, over_the_top, corner]), 0.02) * head * SHAVED_COVER
    volume = 1.06 if looks.hairstyle in ("short", "cropped") else 1.12
    start = edge[-1, 1] + 0.03
    angle = np.linspace(0, np.pi, 60)
    swell = 1.03 + (volume - 1.03) * np.sqrt(sin(angle)) if looks.hairstyle not in LONG_HAIRSTYLES else volume
    outer = np.stack([width * swell * cos(angle), start - (start - HAIR_TOP_Y) * power(sin(angle), 0.92)], 1)
    mask = canvas.polygon(np.vstack([edge, outer]), 0.007)
    if looks.hairstyle in LONG_HAIRSTYLES:
        for side in SIDES:
            mask = np.maximum(mask, canvas.polygon(spline(_lock(width, side), 8, closed=True), 0.012))
    return mask


def back_hair(identity: Identity, canvas: Canvas) -> np.ndarray:
    """Mask of the long hair behind head and neck. It is zero for short hair."""
    if identity.looks.hairstyle not in LONG_HAIRSTYLES:
        return np.zeros(canvas.shape, np.float32)
    width = half_width(identity)
    mask = np.zeros(canvas.shape, np.float32)
    for side in SIDES:
        curtain = np.array([*BACK_HAIR_OUTER, *BACK_HAIR_INNER]) * [side * width, 1]
        mask = np.maximum(mask, canvas.polygon(spline(curtain, 8, closed=True), 0.012))
    return mask


def hair_colour(identity: Identity, canvas: Canvas, relief: Relief, rng: np.random.Generator) -> np.ndarray:
    """Image of hair, float32 BGR: strands, brighter on the side of the light, darker towards the outline."""
    looks = identity.looks
    strands = rng.normal(size=canvas.shape).astype(np.float32)
    length = 0.01 if looks.hairstyle == "shaved" else 0.06
    strands = cv2.GaussianBlur(strands, (0, 0), sigmaX=1.2, sigmaY=length * canvas.scale)
    strands /= strands.std()
    contrast = 0.20 if looks.hair.mean() < 100 else 0.11  # with more contrast, fair strands look like stripes
    light = 0.25 * canvas.blob(looks.light_x * 0.4, -0.5, 0.35, 0.18)
    round_off = 1 - 0.30 * np.clip((relief.radius - 0.75) / 0.35, 0, 1) ** 2
    return (looks.hair * ((1 + contrast * strands + light) * round_off)[..., None]).astype(np.float32)


def ears(identity: Identity, canvas: Canvas) -> tuple[np.ndarray, np.ndarray]:
    """Colour and mask of both ears. Half of each is covered by the head."""
    looks, x = identity.looks, half_width(identity) * 1.03
    turn = np.linspace(0, 2 * np.pi, 40)
    mask = np.zeros(canvas.shape, np.float32)
    hollow = np.zeros(canvas.shape, np.float32)
    for side in SIDES:
        outline = np.stack([side * x + 0.065 * cos(turn), EAR_Y + 0.15 * looks.ear * sin(turn)], 1)
        mask = np.maximum(mask, canvas.polygon(outline, 0.004))
        hollow += 0.28 * canvas.blob(side * x * 1.015, EAR_Y, 0.022, 0.075 * looks.ear)
    return (looks.skin * 0.78 * (1 - hollow)[..., None]).astype(np.float32), mask


def _hairline(identity: Identity) -> np.ndarray:
    """Lower edge of the hair, from beyond the left temple over the forehead to beyond the right temple, (n, 2)."""
    width, y = half_width(identity), identity.looks.hairline
    shapes = {  # x in half widths of the head, y in face units; the ends are outside the head, so temples have no gap
        "short": [[-1.06, 0.24], [-0.95, 0.22], [-0.88, -0.02], [-0.64, y], [0, y - 0.03]],
        "parted": [[-1.10, 0.34], [-0.98, 0.30], [-0.91, 0.02], [-0.55, y - 0.02], [-0.15, y - 0.10]],
        "cropped": [[-1.06, 0.20], [-0.96, 0.17], [-0.90, -0.08], [-0.54, y - 0.08], [0, y - 0.12]],
        "shaved": [[-1.06, 0.18], [-0.96, 0.16], [-0.90, -0.10], [-0.54, y - 0.06], [0, y - 0.10]],
        "fringe": [[-1.10, 0.34], [-0.98, 0.30], [-0.92, 0.06], [-0.66, y + 0.05], [-0.3, y + 0.09], [0, y + 0.08]],
    }
    left = np.array(shapes[identity.looks.hairstyle])
    right = left[-2::-1] * [-1, 1]
    if identity.looks.hairstyle == "parted":
        right[0] += [-0.05, 0.05]  # the parting is left of the middle
    return spline(np.vstack([left, right]) * [width, 1], 10)


def _lock(width: float, side: int) -> np.ndarray:
    """Outline of the long hair that falls over one ear."""
    inner = [[0.93, -0.15], [0.97, 0.05], [0.985, 0.35], [0.99, 0.60], [1.00, 0.85], [1.06, 1.05]]
    outer = [[1.14, 0.95], [1.17, 0.60], [1.145, 0.30], [1.09, 0.08], [1.00, -0.12]]
    return np.array(inner + outer) * [side * width, 1]
