"""What a person of SYNTH wears on the skin and before it: lines of age, beards; glasses, hair over the brows.

Lines and beards are painted on the head's texture and move with the skin. Glasses and hair over the brows are a layer
of their own that moves with the head only. Colours are BGR, 0 to 255; layers are multiplied by their alpha.
"""

from __future__ import annotations

import cv2
import numpy as np

from Utils.synthetic.canvas import Canvas, spline
from Utils.synthetic.head import HeadTexture
from Utils.synthetic.identity import EYES, OUTER_LIPS, SIDES, Identity
from Utils.synthetic.looks_synth import Glasses, Person
from Utils.synthetic.portable import cos, exp, power, sin
from Utils.synthetic.relief import half_width

DRESS = 22  # number of the random stream of the painting, with the identity's seed


class Wardrobe:
    """Dresses the head of one person; it is the `dress` of a `Face`."""

    def __init__(self, person: Person) -> None:
        self.person = person

    def __call__(self, identity: Identity, canvas: Canvas, head: HeadTexture) -> np.ndarray | None:
        """Paint on `head`, in place, and return the layer before the face, float32 (height, width, 4), or None."""
        rng = np.random.default_rng([DRESS, identity.seed])
        person = self.person
        if person.wrinkles > 0:
            _paint_wrinkles(head, person, canvas, rng)
        if person.beard:
            _paint_beard(head, person, canvas, rng)
        if person.fringe <= 0 and person.glasses is None:
            return None
        worn = np.zeros((*canvas.shape, 4), np.float32)
        if person.glasses is not None:
            _paint_glasses(worn, person.glasses, identity, canvas, rng)
            shadow = cv2.GaussianBlur(
                np.roll(worn[..., 3], round(0.025 * canvas.scale), 0), (0, 0), 0.012 * canvas.scale
            )
            head.layer[..., :3] *= (1 - 0.35 * shadow / 255)[..., None]
        if person.fringe > 0:
            _paint_fringe(worn, person, canvas, head.layer[..., 3] / 255, rng)
        return cv2.GaussianBlur(worn, (0, 0), max(0.4, canvas.scale * 0.003))


def _lay(layer: np.ndarray, colour: np.ndarray, mask: np.ndarray) -> None:
    """Paint a colour over a layer, in place."""
    layer *= 1 - mask[..., None]
    layer[..., :3] += np.clip(colour, 0, 255) * mask[..., None]
    layer[..., 3] += 255 * mask


def _paint_wrinkles(head: HeadTexture, person: Person, canvas: Canvas, rng: np.random.Generator) -> None:
    """Lines on the forehead, beside the eyes and the mouth, and bags under the eyes: dark with a bright edge below."""
    landmarks, strength = person.identity.landmarks, person.wrinkles
    lines, hairline = [], person.identity.looks.hairline
    low = landmarks[[19, 24], 1].min() - 0.07
    for y in np.linspace(hairline + 0.07, low, int(rng.integers(2, 5))):
        width = rng.uniform(0.22, 0.36)
        x = np.linspace(-width, width, 7) + rng.normal(0, 0.02)
        lines.append((np.stack([x, y + 0.012 * cos(x * 8) + rng.normal(0, 0.006, 7)], 1), 0.55))
    for side, eye, corner in ((-1, EYES[0], 36), (1, EYES[1], 45)):
        for angle in rng.uniform(-0.6, 0.8, int(rng.integers(2, 5))):  # crow's feet
            direction = np.array([side * cos(angle), sin(angle)])
            start = landmarks[corner] + direction * 0.05
            lines.append((np.array([start, start + direction * 0.045, start + direction * 0.085 + [0, 0.008]]), 0.5))
        bag = landmarks[eye][[3, 4, 5, 0]] + [[0, 0.045], [0, 0.075], [0, 0.075], [0, 0.045]]
        lines.append((bag, 0.6))
        mouth = landmarks[48 if side < 0 else 54]
        lines.append((mouth + np.array([[0.02, 0.02], [0.035, 0.08], [0.03, 0.15]]) * [side, 1], 0.7))
    lines += [(np.array([[x, 0.02], [x * 0.9, 0.07], [x, 0.12]]), 0.4) for x in (-0.03, 0.035)]  # between the brows
    dark = np.zeros(canvas.shape, np.float32)
    for points, weight in lines:
        dark = np.maximum(dark, canvas.line(spline(points, 6), 0.007, 0.006) * weight)
    opaque = head.layer[..., 3] / 255
    bright = np.roll(dark, round(0.014 * canvas.scale), 0)
    head.layer[..., :3] *= (1 - 0.70 * strength * dark * opaque + 0.15 * strength * bright * opaque)[..., None]


def _strands(canvas: Canvas, rng: np.random.Generator, length: float) -> np.ndarray:
    """Upright strands of hair: noise of standard deviation 1, float32."""
    values = rng.normal(size=canvas.shape).astype(np.float32)
    values = cv2.GaussianBlur(values, (0, 0), sigmaX=max(0.7, 0.006 * canvas.scale), sigmaY=length * canvas.scale)
    return values / values.std()


def _paint_beard(head: HeadTexture, person: Person, canvas: Canvas, rng: np.random.Generator) -> None:
    """A full beard, a goatee or a moustache, with lips left free."""
    identity, landmarks = person.identity, person.identity.landmarks
    looks = identity.looks
    mouth_x, upper = landmarks[OUTER_LIPS, 0].mean(), landmarks[51, 1]
    half_mouth = (landmarks[54, 0] - landmarks[48, 0]) / 2
    nose_base, corner_y, low = landmarks[33, 1], landmarks[[48, 54], 1].mean(), landmarks[57, 1]
    mask = np.zeros(canvas.shape, np.float32)
    moustache = [[-1.15, corner_y + 0.03], [-0.8, upper - 0.01], [-0.3, nose_base + 0.035], [0, nose_base + 0.045],
                 [0.3, nose_base + 0.035], [0.8, upper - 0.01], [1.15, corner_y + 0.03], [0.7, upper + 0.035],
                 [0, upper + 0.015], [-0.7, upper + 0.035]]  # fmt: skip
    moustache = np.array(moustache) * [half_mouth, 1] + [mouth_x, 0]
    mask = np.maximum(mask, canvas.polygon(spline(moustache, 6, closed=True), 0.014))
    if person.beard == "goatee":
        chin = landmarks[8, 1]
        goatee = np.array([[-1.15, corner_y + 0.02], [-1.1, low + 0.02], [-0.85, chin - 0.06], [0, chin],
                           [0.85, chin - 0.06], [1.1, low + 0.02], [1.15, corner_y + 0.02], [0.6, low + 0.03],
                           [0, low + 0.02], [-0.6, low + 0.03]]) * [half_mouth, 1] + [mouth_x, 0]  # fmt: skip
        mask = np.maximum(mask, canvas.polygon(spline(goatee, 6, closed=True), 0.02))
    elif person.beard == "full":
        jaw = landmarks[2:15].copy()
        jaw[3:10, 1] += person.beard_length
        width = half_width(identity)
        cheek = np.array([[0.95 * width, 0.60], [0.78 * width, 0.70], [1.25 * half_mouth, corner_y - 0.05]])
        inner = np.vstack([cheek, cheek[::-1] * [-1, 1]])
        outline = np.vstack([spline(jaw, 4), inner])
        mask = np.maximum(mask, canvas.polygon(outline, 0.03))
    mask *= 1 - canvas.polygon(spline(landmarks[OUTER_LIPS], 6, closed=True), 0.008)
    mask *= np.clip(0.86 + 0.16 * _strands(canvas, rng, 0.02), 0, 1)
    light = np.where(head.layer[..., 3] > 128, np.clip(head.shade, 0.35, 1.1), 0.55)
    colour = (looks.hair * 0.95 + 8) * ((1 + 0.22 * _strands(canvas, rng, 0.03)) * light)[..., None]
    _lay(head.layer, colour.astype(np.float32), (mask * 0.93).astype(np.float32))


def _lens(glasses: Glasses, centre: np.ndarray) -> np.ndarray:
    """Outline of one lens (a superellipse), face units, shape (n, 2)."""
    turn = np.linspace(0, 2 * np.pi, 65)
    exponent = 0.35 + 0.65 * glasses.roundness
    x = np.sign(cos(turn)) * power(np.abs(cos(turn)), exponent)
    y = np.sign(sin(turn)) * power(np.abs(sin(turn)), exponent)
    return centre + np.stack([x * glasses.half_width, y * glasses.half_height], 1)


def _paint_glasses(
    worn: np.ndarray, glasses: Glasses, identity: Identity, canvas: Canvas, rng: np.random.Generator
) -> None:
    """Rims, bridge, temples and, on the lenses, a tint and a stripe of light."""
    landmarks, width = identity.landmarks, half_width(identity)
    y = float(np.mean([landmarks[eye, 1].mean() for eye in EYES])) + 0.02
    stripe_x, slope = rng.uniform(-0.1, 0.1), rng.uniform(0.4, 0.9)
    for side, eye in zip(SIDES, EYES, strict=True):
        centre = np.array([landmarks[eye, 0].mean() + side * 0.012, y])
        outline = _lens(glasses, centre)
        inside = canvas.polygon(outline)
        _lay(worn, glasses.colour * 0.6, inside * glasses.tint)
        across = canvas.x - centre[0] - stripe_x + slope * (canvas.y - y)
        stripe = exp(-0.5 * (across / 0.06) ** 2) + 0.6 * exp(-0.5 * ((across - 0.16) / 0.02) ** 2)
        _lay(worn, np.array([245, 240, 235.0]), inside * np.clip(stripe, 0, 1) * glasses.reflection)
        part = outline if glasses.below else outline[outline[:, 1] <= y + 0.02]
        if not glasses.below:
            part = part[np.argsort(part[:, 0], kind="stable")]
        rim = canvas.line(part, glasses.rim, 0.003)
        outer = centre + np.array([side * glasses.half_width, -0.35 * glasses.half_height])
        temple = np.array([outer, [side * width * 0.99, y - 0.03]])
        rim = np.maximum(rim, canvas.line(temple, max(glasses.rim, 0.016), 0.003))
        _lay(worn, glasses.colour * (1 + 0.3 * (canvas.y < y - 0.9 * glasses.half_height))[..., None], rim * 0.96)
    inner = [landmarks[EYES[0], 0].mean() - 0.012 + glasses.half_width, landmarks[EYES[1], 0].mean() + 0.012]
    inner[1] -= glasses.half_width
    bridge = np.array([[inner[0], y - 0.02], [np.mean(inner), y - 0.05], [inner[1], y - 0.02]])
    _lay(worn, glasses.colour, canvas.line(spline(bridge, 8), max(glasses.rim, 0.014), 0.003) * 0.96)


def _paint_fringe(worn: np.ndarray, person: Person, canvas: Canvas, head: np.ndarray, rng: np.random.Generator) -> None:
    """Locks from above the hairline down to the brows or over them, parted at `fringe_side`; none beside the head."""
    identity = person.identity
    width, top = half_width(identity), identity.looks.hairline - 0.16
    lid_y = identity.landmarks[[37, 38, 43, 44], 1].mean() - 0.02
    low = identity.looks.hairline + (lid_y - identity.looks.hairline) * person.fringe
    mask = np.zeros(canvas.shape, np.float32)
    one_sided = rng.random() < 0.5
    for root in np.arange(-0.80, 0.81, 0.08):
        away = root - person.fringe_side
        if one_sided and away * np.sign(person.fringe_side + 1e-6) > 0.1:
            continue  # combed to one side: the other side is free
        reach = low - 0.05 * (1 - min(1, abs(away))) + rng.normal(0, 0.025)
        lean = 0.07 * np.sign(away) + rng.normal(0, 0.02)
        half, x = rng.uniform(0.045, 0.075), root * width
        lock = np.array([[x - half, top], [x - half + lean * 0.4, (top + reach) / 2], [x + lean, reach],
                         [x + half + lean * 0.4, (top + reach) / 2], [x + half, top]])  # fmt: skip
        mask = np.maximum(mask, canvas.polygon(lock, 0.006))
    strands = _strands(canvas, rng, 0.06)
    mask *= head * np.clip((canvas.y - top) / 0.10, 0, 1) * np.clip(0.93 + 0.10 * strands, 0, 1)
    colour = identity.looks.hair * (0.92 + 0.16 * strands)[..., None]
    _lay(worn, colour.astype(np.float32), mask.astype(np.float32))
