"""The painted skin of a head at rest: complexion, lines, lips, nostrils and brows, with the light on the relief."""

from __future__ import annotations

import cv2
import numpy as np

from Utils.synthetic.canvas import SUBPIXEL_BITS, Canvas, blend, spline
from Utils.synthetic.identity import BROWS, EYES, OUTER_LIPS, SIDES, Identity
from Utils.synthetic.portable import hypot
from Utils.synthetic.relief import Relief, lip_line_y

BROW_HAIRS = 330  # for each brow


def paint_skin(identity: Identity, canvas: Canvas, relief: Relief, rng: np.random.Generator) -> np.ndarray:
    """Image of the skin, float32 BGR. It is not yet cut along the head's outline."""
    looks = identity.looks
    image = np.ones((*canvas.shape, 3), np.float32) * looks.skin.astype(np.float32)
    _paint_complexion(image, identity, canvas, rng)
    _paint_stubble(image, identity, canvas, rng)
    _paint_lines(image, identity, canvas)
    _paint_lips(image, identity, canvas, rng)
    image *= (1 + looks.pores * canvas.noise(rng, 0.0035))[..., None]  # the optical flow needs fine texture
    image *= relief.shade[..., None]
    image += (relief.gloss * 18 * (1 - 0.3 * looks.tone))[..., None]
    _paint_brows(image, identity, canvas, rng)
    return image


def mouth_line(identity: Identity) -> np.ndarray:
    """The line between the closed lips from the left to the right corner, face units, shape (n, 2)."""
    landmarks, middle_y = identity.landmarks, lip_line_y(identity)
    middle_x = landmarks[OUTER_LIPS, 0].mean()

    def beside(corner: int, lip: int, inner: int) -> list[float]:
        x = landmarks[lip, 0] * 0.62 + landmarks[inner, 0] * 0.38
        return [x, (landmarks[corner, 1] + middle_y) / 2 + 0.003]

    points = [
        landmarks[60],
        beside(60, 49, 61),
        [landmarks[61, 0], middle_y - 0.002],
        [middle_x, middle_y + 0.004],
        [landmarks[63, 0], middle_y - 0.002],
        beside(64, 53, 63),
        landmarks[64],
    ]
    return spline(np.array(points), 8)


def _paint_complexion(image: np.ndarray, identity: Identity, canvas: Canvas, rng: np.random.Generator) -> None:
    """Blotches, red cheeks and nose, freckles, moles."""
    looks, blob = identity.looks, canvas.blob
    image *= (1 + looks.blotches * canvas.noise(rng, 0.06))[..., None]
    for side in SIDES:
        blend(image, 0.22 * blob(side * 0.34, 0.50, 0.13, 0.10), looks.skin * [0.80, 0.80, 1.03])
    blend(image, 0.18 * blob(0, identity.landmarks[33, 1] - 0.05, 0.08, 0.05), looks.skin * [0.82, 0.82, 1.02])
    if looks.freckles > 0:
        spots = (canvas.noise(rng, 0.008) > 2.2 - looks.freckles).astype(np.float32)
        spots *= blob(-0.25, 0.42, 0.2, 0.1) + blob(0.25, 0.42, 0.2, 0.1)
        blend(image, cv2.GaussianBlur(spots, (0, 0), 1.0) * 0.5, looks.skin * 0.6)
    for _ in range(looks.moles):
        x, y = rng.uniform([-0.4, 0.35], [0.4, 1.05])
        blend(image, 0.7 * blob(x, y, 0.008, 0.008), looks.skin * 0.45)


def _paint_stubble(image: np.ndarray, identity: Identity, canvas: Canvas, rng: np.random.Generator) -> None:
    looks, landmarks = identity.looks, identity.landmarks
    if looks.stubble <= 0:
        return
    upper_edge = [[0.30, 0.66], [0.12, 0.66], [-0.12, 0.66], [-0.30, 0.66]]
    beard = canvas.polygon(np.vstack([landmarks[3:14], upper_edge]), 0.05)
    beard *= 1 - canvas.polygon(spline(landmarks[OUTER_LIPS], 6, closed=True), 0.012)
    grain = 0.75 + 0.25 * np.clip(canvas.noise(rng, 0.006), -1, 1)
    blend(image, beard * looks.stubble * grain, looks.hair * 0.8 + 15)


def _paint_lines(image: np.ndarray, identity: Identity, canvas: Canvas) -> None:
    """Folds from the nose to the mouth corners, lid creases, shadows around the eyes."""
    looks, landmarks = identity.looks, identity.landmarks
    for side, wing, corner in ((-1, landmarks[31], landmarks[48]), (1, landmarks[35], landmarks[54])):
        beside_corner = (wing + corner) / 2
        fold = np.array([wing, wing, beside_corner, corner])
        fold += np.array([[0.03, -0.04], [0.09, 0.05], [0.10, 0.03], [0.055, -0.005]]) * [side, 1]
        blend(image, canvas.line(spline(fold, 8), 0.012, 0.012) * 0.35 * looks.fold, looks.skin * 0.55)
    for points in (landmarks[eye] for eye in EYES):
        above = points[:4] - [[0, 0.02], [0, 0.04], [0, 0.04], [0, 0.02]]
        blend(image, canvas.line(spline(above, 8), 0.010, 0.005) * 0.75 * looks.crease, looks.skin * 0.45)
        below = points[[3, 4, 5, 0]] + [[0, 0.03], [0, 0.05], [0, 0.05], [0, 0.03]]
        blend(image, canvas.line(spline(below, 8), 0.010, 0.012) * 0.4 * looks.crease, looks.skin * 0.6)
        blend(image, 0.20 * canvas.blob(*points.mean(0), 0.10, 0.06), looks.skin * [0.75, 0.70, 0.78])


def _paint_lips(image: np.ndarray, identity: Identity, canvas: Canvas, rng: np.random.Generator) -> None:
    """Lips, the dark line between them, and the nostrils."""
    looks, landmarks = identity.looks, identity.landmarks
    lips = canvas.polygon(spline(landmarks[OUTER_LIPS], 8, closed=True), 0.006)
    blend(image, lips * looks.lip_strength, looks.lips)
    image *= (1 - 0.07 * canvas.noise(rng, 0.008) * lips)[..., None]
    for side, nostril in ((-1, 32), (1, 34)):
        x, y = landmarks[nostril] + [side * 0.012, -0.022]
        blend(image, 0.85 * canvas.blob(x, y, 0.024, 0.011), looks.skin * 0.18)
    blend(image, canvas.line(mouth_line(identity), 0.014, 0.005) * 0.95, looks.skin * 0.22)
    for corner in (60, 64):
        blend(image, 0.5 * canvas.blob(*landmarks[corner], 0.018, 0.014), looks.skin * 0.3)


def _paint_brows(image: np.ndarray, identity: Identity, canvas: Canvas, rng: np.random.Generator) -> None:
    """Paint a soft band, and on it single hairs that lean outwards and are thicker towards the nose."""
    looks = identity.looks
    mask = np.zeros(canvas.shape, np.float32)
    for side, brow in zip(SIDES, BROWS, strict=True):
        curve = spline(identity.landmarks[brow], 30)[::-side]  # from the outer to the inner end
        hairs = np.zeros(canvas.shape, np.uint8)
        for _ in range(BROW_HAIRS):
            inwards = rng.beta(1.1, 1.0)
            step = min(int(inwards * (len(curve) - 1)), len(curve) - 2)
            direction = curve[step + 1] - curve[step]
            direction /= hypot(*direction) + 1e-9
            thickness = looks.brow_thickness * (0.35 + 0.65 * min(1, inwards * 1.8))
            root = curve[step] + [0, rng.normal(0.010, 0.38) * thickness]
            tip = root - direction * rng.uniform(0.025, 0.05) - [0, rng.uniform(0, 0.03) * inwards]
            grey = int(150 + 80 * rng.random())
            start, end = canvas.fixed_point(np.stack([root, tip])).tolist()
            cv2.line(hairs, start, end, grey, 1, cv2.LINE_AA, SUBPIXEL_BITS)
        rim = np.array([0, looks.brow_thickness * 0.45])
        band = canvas.polygon(np.vstack([curve + rim, (curve - rim)[::-1]]), 0.012)
        strokes = cv2.GaussianBlur(hairs.astype(np.float32) / 255, (0, 0), 0.7)
        mask = np.maximum(mask, np.clip(band * 0.65 + strokes * 0.7, 0, 1))
    blend(image, mask * looks.brow_strength, np.minimum(looks.hair * 0.75, looks.skin * 0.42))
