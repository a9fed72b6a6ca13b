"""Movements that are drawn into the crops of a face that moves anyway: short ones, and some long ones.

A face that is rendered shows its micro-expressions in the renderer's own way, and few of them while something else goes
on. Here any crops get more: one to three smooth spots of the face are pushed aside and come back, wherever the head is
meanwhile. Each spot has a place, a width, a form and a direction of its own; most lie on both sides of the face.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from Utils.faces.rectangles import CROP_SIZE
from Utils.synthetic.identity import MIRROR
from Utils.synthetic.synth_course import EASINGS, rise_and_fall

MICRO, MACRO = "micro", "macro"
COUNTS = {MICRO: (2, 5), MACRO: (0, 2)}  # in 10 s
SECONDS = {MICRO: (0.14, 0.55), MACRO: (0.6, 4.0)}
PIXELS = {MICRO: (0.5, 3.5), MACRO: (2.0, 9.0)}  # largest displacement, pixels of the crop; its logarithm is uniform
RISE, HOLD = {MICRO: (0.22, 0.62), MACRO: (0.06, 0.5)}, {MICRO: (0.0, 0.25), MACRO: (0.0, 0.75)}  # shares
REST_CHANCE, REST = 0.3, (0.05, 0.4)  # macro-expressions that do not go back altogether: the share that stays
BETWEEN_S, EDGE_S = 0.25, 0.3  # seconds between two drawn events or to a micro-expression, and to the ends
TRIES = 10  # to find a place in time

PLACES = (*range(17, 68), 7, 8, 9)  # landmarks: brows, nose, eyes, mouth, chin
SPOTS = (0.5, 0.35, 0.15)  # chances of 1, 2 and 3
BESIDE = 0.04  # standard deviation of the distance from the landmark, shares of the face's width
WIDTHS, LONGER = (0.045, 0.15), (0.75, 1.35)  # shares of the face's width: from the middle to 60 %; length to width
FORMS = (1.6, 3.2)  # 2 is a Gaussian; with more the spot has a flat top
UPRIGHT = 1.4  # how much more often a spot goes up or down than aside
ONE_SIDE_CHANCE, OTHER_SIDE = 0.3, (0.3, 1.2)
FACE_WIDTH = 0.9  # of the crop


@dataclass(frozen=True)
class Spot:
    """A smooth displacement: place, width and push in pixels of the crop, the width's angle, and the form."""

    middle: np.ndarray  # (2,), when the head is where it was in the first crop
    width: np.ndarray  # (2,)
    angle: float
    form: float
    push: np.ndarray  # (2,)


@dataclass(frozen=True)
class DrawnEvent:
    """A movement: onset and offset in seconds from the first crop, its course (0 to 1) for each crop, its spots."""

    kind: str
    onset: float
    offset: float
    course: np.ndarray
    spots: tuple[Spot, ...]


def plan_drawn(
    landmarks: np.ndarray, samples: int, rate: float, taken: Sequence[tuple[float, float]], rng: np.random.Generator
) -> list[DrawnEvent]:
    """Random events for `samples` crops, `rate` of them a second, outside of the intervals `taken` (seconds)."""
    seconds, events = samples / rate, []
    kinds = [kind for kind, (low, high) in COUNTS.items() for _ in range(_number(rng, low, high, seconds / 10))]
    for kind in rng.permutation(kinds):
        length = float(np.exp(rng.uniform(*np.log(SECONDS[kind]))) if kind == MACRO else rng.uniform(*SECONDS[kind]))
        if seconds < length + 2 * EDGE_S:
            continue
        onset = _free_onset(length, seconds, [*taken, *((e.onset, e.offset) for e in events)], rng)
        if onset is None:
            continue
        pixels = float(np.exp(rng.uniform(*np.log(PIXELS[kind]))))
        course = _course(str(kind), onset * rate, length * rate, samples, rng)
        events.append(DrawnEvent(str(kind), onset, onset + length, course, _spots(landmarks, pixels, rng)))
    return sorted(events, key=lambda event: event.onset)


def draw_into(crops: np.ndarray, head: np.ndarray, events: Sequence[DrawnEvent]) -> np.ndarray:
    """A copy of crops (n, 128, 128) uint8 with the events.

    `head` (n, 4) is the motion of the head since the first crop, as the curves have it: to the right, down, rotation
    and scale, the last two as pixels at half the crop's width.
    """
    made = crops.copy()
    grid = np.stack(np.meshgrid(np.arange(CROP_SIZE), np.arange(CROP_SIZE)), -1).astype(np.float32)
    for i in range(len(crops)):
        spots = [(event.course[i], spot) for event in events if event.course[i] > 0 for spot in event.spots]
        if not spots:
            continue
        moved = sum(np.float32(share) * _push(grid, spot, head[i]) for share, spot in spots)
        # What comes to a place was where it is pushed from: the field there, not the field here
        moved = cv2.remap(moved, grid - moved, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        made[i] = cv2.remap(crops[i], grid - moved, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return made


def carried(places: np.ndarray, head: np.ndarray) -> np.ndarray:
    """Where places (m, 2) of the first crop are when the head has moved by `head` (4,), (m, 2)."""
    right, down, turn, grow = head
    x, y = ((places - CROP_SIZE / 2) / (CROP_SIZE / 2)).T
    return places + np.column_stack([right + x * grow - y * turn, down + x * turn + y * grow])


def _free_onset(length: float, seconds: float, taken: Sequence[tuple[float, float]], rng) -> float | None:
    """A random onset of an event of this length, in seconds; None if there seems to be no room."""
    for onset in rng.uniform(EDGE_S, seconds - length - EDGE_S, TRIES).tolist():
        if all(onset >= end + BETWEEN_S or onset + length + BETWEEN_S <= start for start, end in taken):
            return onset
    return None


def _number(rng: np.random.Generator, low: int, high: int, share: float) -> int:
    return int(rng.integers(low, high + 1) * share + rng.random())


def _course(kind: str, onset: float, length: float, samples: int, rng: np.random.Generator) -> np.ndarray:
    """0 outside, 1 from the apex on while it is held. Onset and length are samples, and need not be whole."""
    hold = rng.uniform(*HOLD[kind]) * length
    apex = onset + rng.uniform(*RISE[kind]) * (length - hold)
    rest = float(rng.uniform(*REST)) if kind == MACRO and rng.random() < REST_CHANCE else 0.0
    easings = str(rng.choice(EASINGS)), str(rng.choice(EASINGS))
    return rise_and_fall(samples, onset, apex, onset + length, hold, easings, rest)


def _spots(landmarks: np.ndarray, pixels: float, rng: np.random.Generator) -> tuple[Spot, ...]:
    spots = []
    size = FACE_WIDTH * CROP_SIZE
    for _ in range(1 + int(rng.choice(len(SPOTS), p=SPOTS))):
        number = int(rng.choice(PLACES))
        beside = rng.normal(0, BESIDE * size, 2)
        width = rng.uniform(*WIDTHS) * size * np.array([1, rng.uniform(*LONGER)])
        push = rng.normal(0, 1, 2) * [1, UPRIGHT]
        push *= rng.uniform(0.5, 1) / (np.hypot(*push) + 1e-9)
        angle, form = rng.uniform(0, np.pi), rng.uniform(*FORMS)
        spots.append(Spot(landmarks[number] + beside, width, angle, form, push))
        other = int(MIRROR[number])
        if other != number and rng.random() >= ONE_SIDE_CHANCE:
            mirrored = landmarks[other] + beside * [-1, 1]
            spots.append(Spot(mirrored, width, -angle, form, push * [-1, 1] * rng.uniform(*OTHER_SIDE)))
    places = np.array([spot.middle for spot in spots], np.float32)
    largest = np.hypot(*sum(_push(places, spot, np.zeros(4)) for spot in spots).T).max()
    factor = pixels / max(largest, 0.2)
    return tuple(Spot(s.middle, s.width, s.angle, s.form, s.push * factor) for s in spots)


def _push(places: np.ndarray, spot: Spot, head: np.ndarray) -> np.ndarray:
    """How far a spot pushes places (..., 2), the same shape, float32."""
    from_middle = places - carried(spot.middle[None], head)[0].astype(np.float32)
    cosine, sine = np.cos(spot.angle), np.sin(spot.angle)
    turned = np.array([[cosine, -sine], [sine, cosine]], np.float32) / spot.width.astype(np.float32)
    squared = ((from_middle @ turned) ** 2).sum(-1)
    return np.exp(-0.5 * squared ** np.float32(spot.form / 2))[..., None] * spot.push.astype(np.float32)
