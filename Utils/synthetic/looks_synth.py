"""The people of SYNTH: the identities of `identity.py`, with a sex, an age, side light, glasses, beards and fringes.

A person begins as `make_identity(seed)`. What is added is drawn from a random stream of its own, so that the
identities themselves (those of DEMO) stay as they are. All figures are rough proportions of faces (men: lower and
thicker brows, a broader jaw; old age: everything sinks a little), chosen by eye, not measured on people.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from Utils.synthetic.identity import BROWS, LONG_HAIRSTYLES, MOUTH, Identity, Looks, make_identity

PERSON = 21  # number of the random stream of what is added to an identity
MALE, FEMALE = "male", "female"
AGES = (18.0, 80.0)
OLD_FROM, OLD_TO = 30.0, 75.0  # between these ages a face goes from young (0) to old (1)
GREY = np.array([150.0, 152.0, 156.0])  # BGR of grey hair
GLASSES_CHANCE, BEARD_CHANCE, FRINGE_CHANCE = 0.27, 0.35, 0.18  # beards: among men
HAIRSTYLES_OF = {  # probabilities of hair styles
    MALE: {"short": 0.42, "cropped": 0.28, "shaved": 0.20, "parted": 0.06, "fringe": 0.04},
    FEMALE: {"parted": 0.44, "fringe": 0.34, "short": 0.16, "cropped": 0.05, "shaved": 0.01},
}
FRAME_COLOURS = np.array([(25, 25, 28), (40, 55, 90), (120, 125, 130), (70, 130, 165), (90, 45, 35)], float)  # BGR
BEARDS = ("full", "full", "goatee", "moustache")  # a full beard is twice as frequent as each other one


@dataclass(frozen=True)
class Glasses:
    """Lengths are face units."""

    half_width: float  # of one lens
    half_height: float
    roundness: float  # 1 is an ellipse, towards 0 a rectangle
    rim: float  # thickness of the frame
    below: bool  # whether the rim goes around the lens, not only above it
    colour: np.ndarray  # BGR
    reflection: float  # opacity of the light on the lenses
    tint: float  # opacity of the lenses' colour


@dataclass(frozen=True)
class Person:
    """One person of SYNTH.

    Attributes
    ----------
    identity : Identity
    sex : str
        `MALE` or `FEMALE`: which proportions, brows, hair and make-up were drawn.
    age : float
        Years, as the lines, the sagging and the grey hair were drawn.
    wrinkles : float
        Strength of the lines of age, 0 to about 1.
    glasses : Glasses or None
    beard : str
        One of `BEARDS`, or "".
    beard_length : float
        Face units by which a full beard is longer than the chin.
    fringe : float
        How far hair in front of the brows reaches below the hairline, as a share of the way to the eyes; 0 for none.
    fringe_side : float
        Where the fringe is parted: -1 to 1, in half widths of the head.
    """

    identity: Identity
    sex: str
    age: float
    wrinkles: float
    glasses: Glasses | None
    beard: str
    beard_length: float
    fringe: float
    fringe_side: float

    def summary(self) -> dict[str, str | float | bool]:
        """What the renderer draws, for a model card."""
        return {
            "sex": self.sex,
            "age": round(self.age, 1),
            "tone": round(self.identity.looks.tone, 3),
            "glasses": self.glasses is not None,
            "beard": bool(self.beard),
            "fringe": self.fringe > 0,
        }


def make_person(seed: int) -> Person:
    """The person of a seed."""
    rng = np.random.default_rng([PERSON, seed])
    identity = make_identity(seed, spread=1.15)
    sex = MALE if rng.random() < 0.5 else FEMALE
    age = float(rng.uniform(*AGES))
    old = float(np.clip((age - OLD_FROM) / (OLD_TO - OLD_FROM), 0, 1))
    landmarks = _sag(_shape_of_sex(identity.landmarks, sex, rng), old, rng)
    looks = _age_looks(_looks_of_sex(identity.looks, sex, rng), old, rng)
    looks = _light(looks, rng)
    beard = str(rng.choice(BEARDS)) if sex == MALE and rng.random() < BEARD_CHANCE else ""
    has_fringe = rng.random() < FRINGE_CHANCE and looks.hairstyle not in ("shaved", "cropped")
    return Person(
        identity=Identity(seed, landmarks, looks),
        sex=sex,
        age=age,
        wrinkles=old * float(rng.uniform(0.6, 1.1)),
        glasses=_draw_glasses(rng) if rng.random() < GLASSES_CHANCE else None,
        beard=beard,
        beard_length=float(rng.uniform(0.0, 0.12)),
        fringe=float(rng.uniform(0.62, 0.92)) if has_fringe else 0.0,
        fringe_side=float(rng.uniform(-0.7, 0.7)),
    )


def _shape_of_sex(landmarks: np.ndarray, sex: str, rng: np.random.Generator) -> np.ndarray:
    """Jaw, brows and mouth of a sex; a copy, shape (68, 2)."""
    landmarks, amount = landmarks.copy(), float(rng.uniform(0.4, 1.0))
    sign = amount if sex == MALE else -amount
    landmarks[3:14, 0] *= 1 + 0.05 * sign
    landmarks[5:12, 1] += 0.02 * sign
    for brow in BROWS:
        landmarks[brow, 1] += 0.008 * sign
    middle = landmarks[60:68, 1].mean()
    landmarks[MOUTH, 1] = middle + (landmarks[MOUTH, 1] - middle) * (1 - 0.07 * sign)
    return landmarks


def _sag(landmarks: np.ndarray, old: float, rng: np.random.Generator) -> np.ndarray:
    """What age does to the shape: outer brows, upper lids, mouth corners and jowls sink, lips get thin. In place."""
    amount = old * float(rng.uniform(0.5, 1.1))
    landmarks[[17, 18, 25, 26], 1] += 0.010 * amount
    landmarks[[37, 38, 43, 44], 1] += 0.010 * amount
    landmarks[[48, 60, 54, 64], 1] += 0.018 * amount
    landmarks[[5, 6, 10, 11], 0] *= 1 + 0.035 * amount
    middle = landmarks[60:68, 1].mean()
    landmarks[MOUTH, 1] = middle + (landmarks[MOUTH, 1] - middle) * (1 - 0.18 * amount)
    return landmarks


def _looks_of_sex(looks: Looks, sex: str, rng: np.random.Generator) -> Looks:
    styles = HAIRSTYLES_OF[sex]
    style = str(rng.choice(list(styles), p=list(styles.values())))
    if sex == MALE:
        stubble = max(0.0, float(rng.uniform(-0.4, 0.5))) if style not in LONG_HAIRSTYLES else looks.stubble
        thick = looks.brow_thickness * float(rng.uniform(1.05, 1.45))
        return replace(looks, hairstyle=style, stubble=stubble, brow_thickness=thick)
    made_up = float(max(0, rng.uniform(-0.6, 1)))  # lipstick
    lips = looks.lips * (1 - 0.35 * made_up) + np.array([70, 45, 165.0]) * 0.35 * made_up
    return replace(
        looks,
        hairstyle=style,
        stubble=0.0,
        brow_thickness=looks.brow_thickness * float(rng.uniform(0.6, 0.95)),
        brow_strength=looks.brow_strength * float(rng.uniform(0.8, 1.0)),
        lips=lips,
        lip_strength=min(1.0, looks.lip_strength + 0.3 * made_up),
        crease=min(0.8, looks.crease + 0.25 * made_up),
    )


def _age_looks(looks: Looks, old: float, rng: np.random.Generator) -> Looks:
    """Grey hair, a higher hairline, deeper folds, blotches."""
    grey = float(np.clip(old * rng.uniform(0.3, 1.5) - 0.15, 0, 1))
    return replace(
        looks,
        hair=looks.hair * (1 - grey) + GREY * grey * float(rng.uniform(0.8, 1.15)),
        hairline=looks.hairline - 0.06 * old * float(rng.random()),
        fold=looks.fold + 0.7 * old,
        blotches=looks.blotches * (1 + 0.8 * old),
        crease=min(0.8, looks.crease + 0.2 * old),
    )


def _light(looks: Looks, rng: np.random.Generator) -> Looks:
    """Light from anywhere above; in every third picture from the side, with dark shadows."""
    if rng.random() < 0.35:
        side = float(rng.choice([-1, 1]) * rng.uniform(0.7, 1.7))
        return replace(
            looks, light_x=side, light_y=float(rng.uniform(-0.6, 0.1)), ambient=float(rng.uniform(0.34, 0.6))
        )
    return replace(looks, light_y=float(rng.uniform(-0.9, -0.1)), ambient=float(rng.uniform(0.4, 0.75)))


def _draw_glasses(rng: np.random.Generator) -> Glasses:
    return Glasses(
        half_width=float(rng.uniform(0.165, 0.205)),
        half_height=float(rng.uniform(0.10, 0.16)),
        roundness=float(rng.uniform(0.35, 1.0)),
        rim=float(rng.uniform(0.010, 0.032)),
        below=bool(rng.random() < 0.8),
        colour=FRAME_COLOURS[rng.integers(len(FRAME_COLOURS))] * float(rng.uniform(0.8, 1.2)),
        reflection=float(rng.uniform(0.0, 0.28)),
        tint=float(max(0, rng.uniform(-0.2, 0.12))),
    )
