"""The head at rest as one texture, and the picture behind it, which does not move."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from Utils.synthetic.canvas import Canvas, blend
from Utils.synthetic.hair import back_hair, ears, front_hair, hair_colour
from Utils.synthetic.identity import Identity
from Utils.synthetic.relief import make_relief
from Utils.synthetic.skin import paint_skin


@dataclass(frozen=True)
class HeadTexture:
    """A head without its eyes.

    Attributes
    ----------
    layer : ndarray of float32, shape (height, width, 4)
        BGR times alpha, and alpha, each 0 to 255.
    depth : ndarray of float32, shape (height, width)
        Height towards the camera, face units; 0 beside the head.
    shade : ndarray of float32, shape (height, width)
        Light on the relief. The eyes are lit by it, too.
    """

    layer: np.ndarray
    depth: np.ndarray
    shade: np.ndarray


def paint_head(identity: Identity, canvas: Canvas, rng: np.random.Generator) -> HeadTexture:
    """Paint the head from back to front: hair behind it, ears, skin, hair in front."""
    relief = make_relief(identity, canvas)
    head = canvas.polygon(relief.outline)
    skin = paint_skin(identity, canvas, relief, rng)
    hair = hair_colour(identity, canvas, relief, rng)
    ear_colour, ear_mask = ears(identity, canvas)
    layer = np.zeros((*canvas.shape, 4), np.float32)
    _lay(layer, hair * 0.62, back_hair(identity, canvas))
    _lay(layer, ear_colour, ear_mask)
    _lay(layer, skin, head)
    _lay(layer, hair, front_hair(identity, canvas, head, rng))
    layer = cv2.GaussianBlur(layer, (0, 0), canvas.scale * 0.004)
    return HeadTexture(layer * 255, np.maximum(relief.depth, 0), relief.shade)


def _lay(layer: np.ndarray, colour: np.ndarray, mask: np.ndarray) -> None:
    """Paint a colour (0 to 255) over a layer (0 to 1, premultiplied by alpha), in place."""
    layer *= 1 - mask[..., None]
    layer[..., :3] += np.clip(colour, 0, 255) / 255 * mask[..., None]
    layer[..., 3] += mask


def paint_background(identity: Identity, canvas: Canvas, rng: np.random.Generator) -> np.ndarray:
    """A wall on which the light changes across and down, float32 BGR. `canvas` is the whole picture's."""
    looks = identity.looks
    clouds = cv2.GaussianBlur(rng.normal(size=canvas.shape).astype(np.float32), (0, 0), 12)
    clouds /= clouds.std()
    across = (canvas.x - canvas.x[0, 0]) / np.ptp(canvas.x) - 0.5
    down = (canvas.y - canvas.y[0, 0]) / np.ptp(canvas.y) - 0.5
    light = 1 + 0.12 * across * np.sign(looks.light_x) - 0.10 * down + 0.02 * clouds
    return np.clip(looks.background.astype(np.float32) * light[..., None], 0, 255).astype(np.float32)


def paint_bust(image: np.ndarray, identity: Identity, canvas: Canvas) -> None:
    """Paint shoulders and neck into `image`, in place."""
    looks = identity.looks
    shoulders = [[-1.6, 2.5], [-1.35, 1.62], [-0.5, 1.38], [0.5, 1.38], [1.35, 1.62], [1.6, 2.5]]
    blend(image, canvas.polygon(shoulders, 0.011), looks.cloth)
    neck = [[-0.42, 0.8], [0.42, 0.8], [0.44, 1.45], [0.25, 1.62], [0, 1.68], [-0.25, 1.62], [-0.44, 1.45]]
    roundness = 1 - 0.28 * (canvas.x / 0.44) ** 2 + 0.18 * canvas.x / 0.44 * looks.light_x
    chin_shadow = 0.70 + 0.26 * np.clip((canvas.y - identity.landmarks[8, 1]) / 0.40, -0.4, 1)
    light = np.clip(roundness * chin_shadow, 0.2, 1)[..., None]
    blend(image, canvas.polygon(neck, 0.009), looks.skin.astype(np.float32) * 0.85 * light)
