"""Who a synthetic face is: 68 landmarks in face units, and the colours and proportions of its looks, from a seed.

The landmarks follow the 68-point scheme of dlib's predictor: jaw 0-16, brows 17-26, nose 27-35, eyes 36-47, outer lips
48-59, inner lips 60-67. Left and right are those of the image. All identities are variations of one template, so a face
recogniser takes them for one family.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

JAW = slice(0, 17)
BROWS = (slice(17, 22), slice(22, 27))  # left, right
EYES = (slice(36, 42), slice(42, 48))
MOUTH = slice(48, 68)
OUTER_LIPS = slice(48, 60)
SIDES = (-1, 1)  # sign of x on the left and on the right side

# fmt: off
_INNER_X = np.array([
    0.0, .0753, .1811, .2908, .3934, .5869, .6895, .7991, .9050, .9800,                       # brows
    .4901, .4901, .4901, .4901, .3669, .4260, .4901, .5542, .6134,                            # nose
    .1217, .1871, .2658, .3346, .2609, .1827, .6456, .7144, .7931, .8585, .7975, .7193,       # eyes
    .2541, .3410, .4289, .4901, .5514, .6393, .7261, .6422, .5567, .4901, .4235, .3381,       # outer lips
    .2904, .4281, .4901, .5522, .6899, .5534, .4901, .4269]) - .4901                          # inner lips
_INNER_Y = np.array([
    .1065, .0389, .0187, .0345, .0774, .0774, .0345, .0187, .0389, .1065,
    .2034, .3070, .4098, .5156, .5873, .6093, .6281, .6093, .5873,
    .2164, .1788, .1799, .2317, .2451, .2441, .2317, .1799, .1788, .2164, .2441, .2451,
    .7802, .7454, .7274, .7426, .7274, .7454, .7802, .8648, .9022, .9093, .9022, .8648,
    .7850, .7880, .7900, .7880, .7850, .7960, .7980, .7960])
_JAW_X = np.array([-.640, -.632, -.610, -.570, -.495, -.385, -.262, -.132, 0.])
_JAW_Y = np.array([.215, .400, .575, .745, .905, 1.045, 1.145, 1.210, 1.230])
MIRROR = np.array([
    *range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31, 45, 44, 43, 42, 47, 46,
    39, 38, 37, 36, 41, 40, 54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65])
# fmt: on
TEMPLATE = np.concatenate(
    [
        np.stack([np.r_[_JAW_X, -_JAW_X[-2::-1]], np.r_[_JAW_Y, _JAW_Y[-2::-1]]], 1),
        np.stack([_INNER_X, _INNER_Y], 1),
    ]
)
LEAST_LID_HEIGHT = 0.112  # least distance between an open eye and its brow, face units
CENTRE_Y = 0.2  # height, between the eyes, about which the face is made longer or shorter
SHAPE = 7  # seed of the random stream of shape and looks, with the identity's seed

LIGHT_SKIN, MIDDLE_SKIN, DARK_SKIN = (np.array(c, float) for c in ((172, 196, 234), (110, 148, 200), (62, 86, 128)))
HAIR_COLOURS = np.array([(22, 24, 30), (30, 42, 62), (45, 75, 110), (95, 140, 175), (135, 140, 145)], float)
IRIS_COLOURS = np.array([(40, 60, 85), (30, 40, 55), (120, 105, 75), (85, 115, 95)], float)  # brown, dark, blue, green
HAIRSTYLES = ("short", "parted", "cropped", "fringe")
LONG_HAIRSTYLES = ("parted", "fringe")


@dataclass(frozen=True)
class Looks:
    """Everything about a face except its landmarks. Colours are BGR arrays, lengths face units, strengths 0 to 1."""

    face_width: float  # factor on the template
    face_length: float
    tone: float  # 0 light .. 1 dark
    skin: np.ndarray
    hair: np.ndarray
    hairstyle: str  # one of HAIRSTYLES, or "shaved"
    hairline: float  # y of the hair's lower edge on the forehead
    lips: np.ndarray
    lip_strength: float
    iris: np.ndarray
    iris_radius: float
    brow_thickness: float
    brow_strength: float
    stubble: float
    nose_height: float
    cheek_height: float
    fold: float  # strength of the fold from nose to mouth corner
    socket_depth: float
    light_x: float  # direction to the light: x and y, where z (towards the camera) is 1
    light_y: float
    ambient: float
    blotches: float  # relative contrast of broad skin noise
    pores: float  # relative contrast of fine skin noise
    crease: float  # strength of the lid creases
    ear: float  # factor on the ear's height
    background: np.ndarray
    cloth: np.ndarray
    freckles: float
    moles: int


@dataclass(frozen=True)
class Identity:
    """A face at rest.

    Attributes
    ----------
    seed : int
        The seed that it was made from. Its textures are drawn with the same seed.
    landmarks : ndarray, shape (68, 2)
        Neutral landmarks in face units.
    looks : Looks
        Colours, proportions and strengths.
    """

    seed: int
    landmarks: np.ndarray
    looks: Looks


class _Variation:
    """Random draws for one identity: clipped normal deviations, scaled by `spread`, and uniform values."""

    def __init__(self, seed: int, spread: float) -> None:
        self.rng = np.random.default_rng([SHAPE, seed])
        self.spread = spread

    def normal(self, sigma: float) -> float:
        return float(np.clip(self.rng.normal(0, sigma), -2 * sigma, 2 * sigma)) * self.spread

    def factor(self, sigma: float) -> float:
        return 1 + self.normal(sigma)

    def uniform(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))


def make_identity(seed: int, spread: float = 1.0) -> Identity:
    """The identity of a seed. `spread` scales the random deviations of the shape from the template."""
    draw = _Variation(seed, spread)
    landmarks = TEMPLATE.copy()
    face_width, face_length = draw.factor(0.045), draw.factor(0.04)
    _vary_jaw(landmarks, draw)
    _vary_eyes_and_brows(landmarks, draw)
    _vary_nose_and_mouth(landmarks, draw)
    landmarks[:, 0] *= face_width
    landmarks[:, 1] = CENTRE_Y + (landmarks[:, 1] - CENTRE_Y) * face_length
    landmarks += draw.rng.normal(0, 0.0035 * spread, landmarks.shape)  # no face is symmetric
    return Identity(seed, landmarks, _draw_looks(draw, face_width, face_length))


def _vary_jaw(landmarks: np.ndarray, draw: _Variation) -> None:
    landmarks[JAW, 0] *= draw.factor(0.035)
    squareness = draw.factor(0.05)
    landmarks[3:7, 0] *= squareness
    landmarks[10:14, 0] *= squareness
    landmarks[5:12, 1] += draw.normal(0.03)


def _vary_eyes_and_brows(landmarks: np.ndarray, draw: _Variation) -> None:
    size, openness, apart = draw.factor(0.06), draw.factor(0.12), draw.normal(0.014)
    tilt = draw.normal(0.05)
    for side, eye in zip(SIDES, EYES, strict=True):
        centre = landmarks[eye].mean(0)
        shape = landmarks[eye] - centre
        shape *= [size, size * openness * 1.08]
        shape[:, 1] -= side * tilt * shape[:, 0]
        landmarks[eye] = centre + shape + [side * apart, 0]
    lowered, arch, slope = 0.020 + draw.normal(0.013), draw.factor(0.15), draw.normal(0.05)
    for side, brow in zip(SIDES, BROWS, strict=True):
        centre = landmarks[brow].mean(0)
        shape = landmarks[brow] - centre
        shape[:, 1] = shape[:, 1] * arch - side * slope * shape[:, 0]
        shape[:, 0] *= draw.factor(0.01)
        landmarks[brow] = centre + shape + [side * apart * 0.7, lowered]
    for brow, eye in zip(BROWS, EYES, strict=True):  # a raised brow needs skin to stretch
        clearance = (landmarks[eye][1:3, 1] - landmarks[brow][[2, 3] if eye == EYES[0] else [1, 2], 1]).min()
        landmarks[brow, 1] -= max(0.0, LEAST_LID_HEIGHT - clearance)


def _vary_nose_and_mouth(landmarks: np.ndarray, draw: _Variation) -> None:
    nose_width, nose_length = draw.factor(0.10), draw.normal(0.022)
    landmarks[31:36, 0] *= nose_width
    landmarks[30:36, 1] += nose_length
    landmarks[28:30, 1] += nose_length * np.array([0.33, 0.66])
    mouth_width, lowered, fullness = draw.factor(0.07), draw.normal(0.018) + nose_length * 0.5, draw.factor(0.16)
    landmarks[MOUTH, 0] *= mouth_width
    middle = landmarks[60:68, 1].mean()
    thickness = np.r_[1, [fullness] * 5, 1, [fullness * draw.factor(0.08)] * 5]
    landmarks[OUTER_LIPS, 1] = middle + (landmarks[OUTER_LIPS, 1] - middle) * thickness
    landmarks[MOUTH, 1] += lowered
    corner_drop = draw.normal(0.012)
    landmarks[[48, 60, 54, 64], 1] += corner_drop
    landmarks[[49, 59, 53, 55], 1] += corner_drop * 0.5


def _draw_looks(draw: _Variation, face_width: float, face_length: float) -> Looks:
    rng, uniform = draw.rng, draw.uniform
    tone = float(rng.beta(1.2, 1.5))
    if tone < 0.5:
        skin = LIGHT_SKIN * (1 - 2 * tone) + MIDDLE_SKIN * 2 * tone
    else:
        skin = MIDDLE_SKIN * (2 - 2 * tone) + DARK_SKIN * (2 * tone - 1)
    skin = skin * (1 + rng.normal(0, 0.02, 3))
    hair = HAIR_COLOURS[rng.choice(5, p=[0.36, 0.3, 0.18, 0.08, 0.08])]
    iris = IRIS_COLOURS[rng.integers(0, 4)]
    if tone > 0.45:  # fair hair and light eyes go with fair skin
        iris = IRIS_COLOURS[rng.integers(0, 2)]
        hair = HAIR_COLOURS[rng.choice([0, 0, 0, 1, 4])]
    hairstyle = str(rng.choice([*HAIRSTYLES, "shaved"], p=[0.24, 0.24, 0.16, 0.24, 0.12]))
    return Looks(
        face_width=face_width,
        face_length=face_length,
        tone=tone,
        skin=skin,
        hair=hair * uniform(0.85, 1.15),
        hairstyle=hairstyle,
        hairline=uniform(-0.34, -0.22),
        lips=skin * np.array([0.70, 0.62, 0.86]) * uniform(0.88, 1.08),
        lip_strength=uniform(0.5, 1),
        iris=iris,
        iris_radius=uniform(0.050, 0.058),
        brow_thickness=uniform(0.028, 0.044),
        brow_strength=uniform(0.72, 0.95),
        stubble=max(0.0, uniform(-0.5, 0.45)) if hairstyle not in LONG_HAIRSTYLES else 0.0,
        nose_height=uniform(0.13, 0.19),
        cheek_height=uniform(0.02, 0.05),
        fold=uniform(0.1, 1.0),
        socket_depth=uniform(0.03, 0.05),
        light_x=uniform(-0.55, 0.55),
        light_y=uniform(-0.75, -0.3),
        ambient=uniform(0.42, 0.62),
        blotches=uniform(0.015, 0.035),
        pores=uniform(0.02, 0.05),
        crease=uniform(0.15, 0.5),
        ear=uniform(0.8, 1.15),
        background=rng.uniform(60, 205) + rng.normal(0, 12, 3),
        cloth=rng.uniform(30, 200, 3),
        freckles=max(0.0, uniform(-0.6, 0.5)),
        moles=int(rng.integers(0, 4)),
    )
