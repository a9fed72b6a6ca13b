"""Micro- and macro-expressions of SYNTH: combinations of action units, single ones, and local movements of the skin.

A network that has seen DEMO's fixed action units alone does not transfer to faces that move in another way. So every
third expression is a local movement: one place of the face goes into any direction. Its emotion is that of the action
unit that it is like, or `OTHERS`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from Utils.records import OTHERS
from Utils.synthetic.clips import CLASSES, REPERTOIRE, STRAY_ACTION_UNITS, STRAY_WEIGHT
from Utils.synthetic.identity import MIRROR, SIDES
from Utils.synthetic.portable import arctan2, cos, exp, log, sin
from Utils.synthetic.synth_course import EASINGS, Course, LocalMovement, rise_and_fall

# Shares are of the duration, intensities of the full displacement, chances are probabilities
MICRO_S, MICRO_INTENSITY, MICRO_APEX, MICRO_HOLD = (0.12, 0.5), (0.1, 0.7), (0.25, 0.6), (0.0, 0.2)
MACRO_S, MACRO_INTENSITY, MACRO_APEX, MACRO_HOLD = (0.5, 4.0), (0.3, 1.0), (0.06, 0.5), (0.0, 0.75)
GAP_S = 0.3  # seconds between expressions that do not overlap
ON_MACRO_CHANCE, ON_MICRO_CHANCE = 0.25, 0.18  # that a micro-expression begins during another expression
COMBINATION, SINGLE, LOCAL = 0.42, 0.22, 0.36  # chances of the ways to show an expression
ONE_SIDED_CHANCE, STRAY_CHANCE = 0.2, 0.25
SIDE_SPREAD, WEIGHT_SPREAD = 0.2, 0.2  # relative deviations between sides and among action units
INCOMPLETE_CHANCE, INCOMPLETE = 0.4, (0.05, 0.3)  # macro-expressions that do not go back to the neutral face at once
CLASS_CHANCES = {**dict.fromkeys(CLASSES, 0.3), OTHERS: 0.1}

LOCAL_REACH = (0.045, 0.075)  # displacement of a local movement at full intensity, face units
MICRO_WIDTH, MACRO_WIDTH = (0.055, 0.13), (0.10, 0.18)  # its Gaussian's standard deviation, face units
ANATOMICAL_CHANCE = 0.45  # that its direction is one of an action unit, not any direction
ALIKE = np.deg2rad(40)  # a direction within this angle of an action unit's has its emotion
# Places by landmark on the image's left side (and a shift from it, face units), with the directions (away from the
# mid-line, down) of action units, their emotion and number
UP, DOWN, OUT, IN = (0, -1), (0, 1), (1, 0), (-1, 0)
PLACES = {
    "inner brow": (21, (0, 0), ((UP, "surprise", 1), (DOWN, "negative", 4), (IN, "negative", 4))),
    "outer brow": (18, (0, 0), ((UP, "surprise", 2), (DOWN, "negative", 4))),
    "mouth corner": (48, (0, 0), (((1, -1), "positive", 12), (DOWN, "negative", 15), (IN, OTHERS, 18),
                                  (OUT, OTHERS, 20))),
    "upper lip": (50, (0, 0), ((UP, "negative", 10), (DOWN, OTHERS, 24))),
    "lower lip": (58, (0, 0), ((UP, OTHERS, 24), (DOWN, "surprise", 25))),
    "chin": (8, (0, -0.12), ((UP, OTHERS, 17), (DOWN, "surprise", 26))),
    "cheek": (41, (-0.03, 0.24), ((UP, "positive", 6),)),
    "lower lid": (41, (0, 0.02), ((UP, "positive", 6),)),
    "nose wing": (31, (0.01, -0.02), ((UP, "negative", 9),)),
}  # fmt: skip


@dataclass(frozen=True)
class _Shape:
    """How one expression shows: action units with their intensity on both sides, local movements, and its emotion."""

    emotion: str
    action_units: dict[str, np.ndarray]  # name -> (left, right)
    local: tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...]  # centre, sigma and shift
    numbers: tuple[int, ...]


def add_macro_expressions(course: Course, rng: np.random.Generator, count: int) -> None:
    """Place `count` macro-expressions, those of them for which there is room."""
    for _ in range(count):
        low, high = log(MACRO_S)
        length = max(4, round(min(float(exp(rng.uniform(low, high))), 0.6 * course.frames / course.fps) * course.fps))
        onset = course.place(rng, length, GAP_S, ("macro",))
        if onset is None:
            continue
        intensity = float(rng.uniform(*MACRO_INTENSITY))
        shape = _draw_shape(course.landmarks, rng, intensity, MACRO_WIDTH)
        apex = onset + max(2, round(length * rng.uniform(*MACRO_APEX)))
        hold = (onset + length - apex) * rng.uniform(*MACRO_HOLD)
        rest = float(rng.uniform(*INCOMPLETE)) if rng.random() < INCOMPLETE_CHANCE else 0.0
        strength = rise_and_fall(course.frames, onset, apex, onset + length, hold, _easings(rng), rest)
        if rest:  # the last of it goes slowly
            seconds = (np.arange(course.frames) - onset - length) / course.fps
            strength *= exp(-np.clip(seconds, 0, None) / rng.uniform(0.8, 3))
        _act(course, shape, strength)
        course.add("macro", (onset, apex, onset + length), intensity, shape.emotion, shape.numbers)


def add_micro_expressions(course: Course, rng: np.random.Generator, count: int) -> None:
    """Place `count` micro-expressions; some begin during a macro-expression or another micro-expression."""
    shortest, longest = int(np.ceil(MICRO_S[0] * course.fps)), int(MICRO_S[1] * course.fps)
    for _ in range(count):
        length = int(np.clip(round(rng.uniform(*MICRO_S) * course.fps), max(3, shortest), longest))
        onset = _micro_onset(course, rng, length)
        if onset is None:
            continue
        intensity = MICRO_INTENSITY[0] + float(rng.beta(1.3, 1.9)) * (MICRO_INTENSITY[1] - MICRO_INTENSITY[0])
        shape = _draw_shape(course.landmarks, rng, intensity, MICRO_WIDTH)
        apex = onset + int(np.clip(round(length * rng.uniform(*MICRO_APEX)), 1, length - 1))
        hold = min(length * rng.uniform(*MICRO_HOLD), onset + length - apex - 1)
        strength = rise_and_fall(course.frames, onset, apex, onset + length, hold, _easings(rng))
        _act(course, shape, strength)
        course.add("micro", (onset, apex, onset + length), intensity, shape.emotion, shape.numbers)


def _micro_onset(course: Course, rng: np.random.Generator, length: int) -> int | None:
    hosts = {kind: [event for event in course.events if event.kind == kind] for kind in ("macro", "micro")}
    for kind, chance in (("macro", ON_MACRO_CHANCE), ("micro", ON_MICRO_CHANCE)):
        if hosts[kind] and rng.random() < chance:
            host = hosts[kind][rng.integers(len(hosts[kind]))]
            onset = int(rng.integers(host.onset + 1, host.offset))
            if onset + length < course.frames - 2:
                return onset
    return course.place(rng, length, GAP_S, ("micro", "macro"))


def _easings(rng: np.random.Generator) -> tuple[str, str]:
    return str(rng.choice(EASINGS)), str(rng.choice(EASINGS))


def _draw_shape(
    landmarks: np.ndarray, rng: np.random.Generator, intensity: float, width: tuple[float, float]
) -> _Shape:
    way = rng.choice(3, p=[COMBINATION, SINGLE, LOCAL])
    if way == 2:
        return _local_shape(landmarks, rng, intensity, width)
    emotion = str(rng.choice(list(CLASS_CHANCES), p=list(CLASS_CHANCES.values())))
    chances, combinations = zip(*REPERTOIRE[emotion], strict=True)
    combination = list(combinations[rng.choice(len(combinations), p=chances)])
    if way == 1:
        combination = [(combination[rng.integers(len(combination))][0], 1.0)]
    elif rng.random() < STRAY_CHANCE:
        combination.append((str(rng.choice(STRAY_ACTION_UNITS)), float(rng.uniform(*STRAY_WEIGHT))))
    sides = _sides(rng)
    action_units: dict[str, np.ndarray] = {}
    for name, weight in combination:
        factor = float(np.clip(1 + rng.normal(0, WEIGHT_SPREAD), 0.5, 1.5))
        action_units[name] = action_units.get(name, 0) + intensity * weight * factor * sides
    return _Shape(emotion, action_units, (), tuple(sorted(int(name[2:]) for name in action_units)))


def _sides(rng: np.random.Generator) -> np.ndarray:
    """Factors on the intensity on the left and on the right, shape (2,)."""
    if rng.random() < ONE_SIDED_CHANCE:
        return rng.permutation([1.0, max(0.0, float(rng.uniform(-0.15, 0.3)))])
    lopsided = float(np.clip(rng.normal(0, SIDE_SPREAD), -0.5, 0.5))
    return np.array([1 + lopsided, 1 - lopsided])


def _local_shape(
    landmarks: np.ndarray, rng: np.random.Generator, intensity: float, width: tuple[float, float]
) -> _Shape:
    """One place moves: on one side of the face, or on both."""
    landmark, beside, directions = PLACES[str(rng.choice(list(PLACES)))]
    if rng.random() < ANATOMICAL_CHANCE:
        away, down = directions[rng.integers(len(directions))][0]
        angle = arctan2(down, away) + rng.normal(0, 0.3)
    else:
        angle = rng.uniform(-np.pi, np.pi)
    emotion, numbers = OTHERS, ()
    for (away, down), its_emotion, number in directions:
        apart = angle - arctan2(down, away)
        if abs(arctan2(sin(apart), cos(apart))) < ALIKE:
            emotion, numbers = its_emotion, (number,)
    reach, sigma = intensity * rng.uniform(*LOCAL_REACH), rng.uniform(*width) * rng.uniform(0.8, 1.25, 2)
    factors = rng.permutation([1.0, 0.0]) if rng.random() < 0.6 else _sides(rng)
    local = []
    for side, factor in zip(SIDES, factors, strict=True):
        if factor > 0:
            point = landmarks[landmark if side < 0 else MIRROR[landmark]] + np.array(beside) * [side, 1]
            shift = factor * reach * np.array([side * cos(angle), sin(angle)])
            local.append((point, sigma, shift))
    if landmark == 8 and len(local) == 2:  # the chin is one place
        local = [(local[0][0], sigma, local[0][2] * [1, 1])]
    return _Shape(emotion, {}, tuple(local), numbers)


def _act(course: Course, shape: _Shape, strength: np.ndarray) -> None:
    """Add an expression to the course; expressions at the same time add up."""
    for name, sides in shape.action_units.items():
        course.action_units[name] = np.clip(course.action_units[name] + strength[:, None] * sides, 0, 1.2)
    for centre, sigma, shift in shape.local:
        course.local.append(LocalMovement(centre, sigma, shift, strength))
