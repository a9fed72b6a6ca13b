"""Draws movements with known truth into frames of real faces. Pure functions of frames, landmarks and random numbers.

A movement is a smooth warp of the picture: a sum of displacements with Gaussian shape, which lie at dlib's landmarks
and go with them through the clip. Lengths are shares of the face's width, which is the width of the detector's
rectangle. The crops that the networks see have the same width, 128 pixels, so sizes are given in pixels of the crop.

Only the picture moves. Nothing casts new shadows or wrinkles, and a mouth that is shut does not open: these are not
spontaneous expressions of people.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d

from Utils.faces.landmarks import N_LANDMARKS, detect_faces, predict_landmarks
from Utils.faces.rectangles import CROP_SIZE, Rectangle, area, clip_rectangle, cut_face, overlap
from Utils.own_video.face_tracks import DETECTION_SIDE, SAME_FACE, runs_of
from Utils.synthetic.identity import MIRROR

MICRO, MACRO = "micro", "macro"
PIXELS = {MICRO: (0.8, 3.0), MACRO: (3.0, 8.0)}  # largest displacement at the apex, pixels of the crop
MICRO_SECONDS = 0.2, 0.5
MACRO_SECONDS, RARE_MACRO_SECONDS = (0.8, 2.5), ((0.5, 0.8), (2.5, 4.0))
USUAL_MACROS = 0.8  # share of the macro-expressions with the first range of durations
APEX = 0.3, 0.55  # of the duration
LONGEST_HOLD = 0.3  # share of its duration for which a macro-expression may stay at its apex
GAP = 0.7  # least seconds between two movements, and between a movement and the ends of its part of a clip
A_SECOND = {MICRO: 0.3, MACRO: 0.1}  # movements per second of a clip
PART_CHANCE = 0.7  # chance that each part of an emotion takes part
ONE_SIDED, WEAK_SIDE = 0.2, 0.4  # chance that one side of the face moves less, and its share then

REACH = 3.0  # sigmas; beyond this distance a displacement is exactly 0
INVERSION_STEPS = 6
DETECTIONS_A_SECOND = 8  # landmarks in between are interpolated
SMOOTHING = 0.12  # sigma in seconds of the landmarks' paths
LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)  # of the image


class Bump(NamedTuple):
    """One displacement. It also lies on the other side of the face, mirrored, unless it is in the middle."""

    landmarks: tuple[int, ...]  # it lies at their mean; those of the image's left side, or of the middle
    shift: tuple[float, float]  # from there (away from the mid-line, down), shares of the face's width
    toward: tuple[float, float]  # (away from the mid-line, down), relative to the other bumps of the emotion
    sigma: float  # share of the face's width
    middle: bool = False


PARTS: dict[str, dict[str, tuple[Bump, ...]]] = {
    "negative": {
        "brows together and down": (
            Bump((20, 21), (0, 0), (-0.5, 0.8), 0.075),
            Bump((18, 19), (0, 0), (-0.1, 0.5), 0.08),
        ),
        "corners down": (Bump((48,), (0.02, 0.03), (0.1, 1.0), 0.08),),
        "chin up": (Bump((8, 57), (0, 0), (0, -0.8), 0.09, middle=True),),
        "lips pressed": (
            Bump((51,), (0, 0), (0, 0.4), 0.06, middle=True),
            Bump((57,), (0, 0), (0, -0.6), 0.06, middle=True),
        ),
    },
    "positive": {
        "corners up and out": (Bump((48,), (0.02, 0), (0.7, -0.75), 0.085),),
        "cheeks up": (
            Bump((40, 41, 48), (0.04, 0), (0, -0.6), 0.10),
            Bump((40, 41), (0, 0.03), (0, -0.45), 0.06),
        ),
    },
    "surprise": {
        "inner brows up": (Bump((20, 21), (0, -0.02), (0, -1.0), 0.085),),
        "outer brows up": (Bump((17, 18, 19), (0, -0.02), (0, -0.9), 0.085),),
        "jaw and lips down": (
            Bump((57,), (0, 0.02), (0, 0.9), 0.09, middle=True),
            Bump((8,), (0, -0.04), (0, 0.9), 0.11, middle=True),
        ),
    },
}
EMOTIONS = tuple(PARTS)


@dataclass(frozen=True)
class Movement:
    """A movement that is drawn, with the interval in which it differs from rest."""

    kind: str  # MICRO or MACRO
    start: float  # seconds from the beginning of the clip
    seconds: float
    apex: float  # share of the duration
    hold: float  # share of the duration for which it stays at the apex, around it
    pixels: float  # largest displacement at the apex, pixels of the crop
    emotion: str
    weights: dict[str, tuple[float, float]]  # part -> strength on the image's left and right side

    def envelope(self, time: float) -> float:
        """The share of the displacement at a time in seconds, in [0, 1]: a smooth rise, the apex, a smooth fall."""
        place = (time - self.start) / self.seconds
        if not 0 < place < 1:
            return 0.0
        rise, fall = self.apex - self.hold / 2, 1 - self.apex - self.hold / 2
        nearer = min(place / rise, (1 - place) / fall, 1.0)
        return float(np.sin(np.pi / 2 * nearer) ** 2)

    def frames(self, fps: float) -> tuple[int, int, int]:
        """Onset, apex and offset: the first, the highest and the last frame in which the envelope is above 0."""
        inside = np.arange(int(self.start * fps), int((self.start + self.seconds) * fps) + 2)
        height = np.array([self.envelope(i / fps) for i in inside])
        moved = inside[height > 0]
        apex = (self.start + self.apex * self.seconds) * fps
        return int(moved[0]), int(np.clip(round(apex), moved[0], moved[-1])), int(moved[-1])


def plan_movements(first: float, last: float, rng: np.random.Generator) -> list[Movement]:
    """Random movements between two times in seconds, in order, at least `GAP` apart and from both ends."""
    span = last - first
    wanted = [kind for kind, rate in A_SECOND.items() for _ in range(int(rate * span + rng.random()))]
    kinds = [str(kind) for kind in rng.permutation(wanted)]
    durations = [_seconds(kind, rng) for kind in kinds]
    while kinds and sum(durations) + GAP * (len(kinds) + 1) > span:
        kinds.pop()
        durations.pop()
    if not kinds:
        return []
    free = (span - sum(durations) - GAP * (len(kinds) + 1)) * rng.dirichlet(np.ones(len(kinds) + 1))
    movements, now = [], first
    for kind, seconds, slack in zip(kinds, durations, free, strict=False):
        now += slack + GAP
        emotion = str(rng.choice(EMOTIONS))
        movements.append(
            Movement(
                kind,
                start=now,
                seconds=seconds,
                apex=rng.uniform(*APEX),
                hold=rng.uniform(0, LONGEST_HOLD) if kind == MACRO else 0.0,
                pixels=rng.uniform(*PIXELS[kind]),
                emotion=emotion,
                weights=_weights(emotion, rng),
            )
        )
        now += seconds
    return movements


def _seconds(kind: str, rng: np.random.Generator) -> float:
    if kind == MICRO:
        return rng.uniform(*MICRO_SECONDS)
    usual = rng.random() < USUAL_MACROS
    return rng.uniform(*(MACRO_SECONDS if usual else RARE_MACRO_SECONDS[rng.integers(2)]))


def _weights(emotion: str, rng: np.random.Generator) -> dict[str, tuple[float, float]]:
    """Some of an emotion's parts, at least one, with their strengths on both sides."""
    names = list(PARTS[emotion])
    chosen = [name for name in names if rng.random() < PART_CHANCE] or [str(rng.choice(names))]
    sides = [1.0, 1.0]
    if rng.random() < ONE_SIDED:
        sides[rng.integers(2)] = WEAK_SIDE
    strengths = {name: rng.uniform(0.6, 1.2) for name in chosen}
    return {name: (strength * sides[0], strength * sides[1]) for name, strength in strengths.items()}


# Where the face is


@dataclass(frozen=True)
class FacePath:
    """The face of a clip in every frame.

    Attributes
    ----------
    points : ndarray, (n, 68, 2), float64
        Landmarks, x and y in pixels of the frame. NaN where there is no face.
    width : ndarray, (n,), float64
        The width of the face, pixels of the frame.
    runs : list of (int, int)
        First and last frame (inclusive) of the parts in which one face is there without a gap.
    """

    points: np.ndarray
    width: np.ndarray
    runs: list[tuple[int, int]]


def find_face(image: np.ndarray, near: Rectangle | None = None) -> Rectangle | None:
    """The largest face, or the one that overlaps `near` most; in a reduced picture as for own videos. None: no face."""
    scale = min(1.0, DETECTION_SIDE / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image
    found = [clip_rectangle(tuple(round(x / scale) for x in face), image.shape) for face in detect_faces(small)]
    faces = [face for face in found if face is not None]
    same = [face for face in faces if near is not None and overlap(face, near) >= SAME_FACE]
    return max(same, key=lambda face: overlap(face, near)) if same else max(faces, key=area, default=None)


def face_landmarks(image: np.ndarray, rectangle: Rectangle) -> np.ndarray:
    """The 68 landmarks of a face, (68, 2) float64, pixels of the frame."""
    crop = cv2.cvtColor(cut_face(image, rectangle), cv2.COLOR_BGR2GRAY)
    left, top, right, bottom = rectangle
    return predict_landmarks(crop) * np.array([right - left, bottom - top]) / CROP_SIZE + (left, top)


def follow_face(images: Iterable[np.ndarray], fps: float) -> FacePath:
    """Follow the face of a clip: landmarks of some frames, interpolated, and smoothed so that they do not tremble."""
    step = max(1, round(fps / DETECTIONS_A_SECOND))
    seen: list[tuple[int, Rectangle | None, np.ndarray | None]] = []
    n = 0
    for i, image in enumerate(images):
        n = i + 1
        if i % step == 0:
            rectangle = find_face(image, seen[-1][1] if seen else None)
            seen.append((i, rectangle, None if rectangle is None else face_landmarks(image, rectangle)))
    if seen and seen[-1][0] < n - 1:
        seen.append((n - 1, *seen[-1][1:]))  # the few frames after the last detection: the face stays where it was
    return path_of(seen, n, fps)


def path_of(seen: Sequence[tuple[int, Rectangle | None, np.ndarray | None]], n: int, fps: float) -> FacePath:
    """The path from what was `seen`: (frame, rectangle, landmarks), both None where there was no face."""
    values, there = np.full((n, 2 * N_LANDMARKS + 1), np.nan), np.zeros(n, bool)
    for (i, first, start), (j, second, end) in pairwise(seen):
        if first is None or second is None or overlap(first, second) < SAME_FACE:
            continue
        there[i : j + (j == seen[-1][0])] = True
        share = np.arange(j - i + 1)[:, None] / (j - i)
        before, after = (np.append(p.ravel(), r[2] - r[0]) for p, r in ((start, first), (end, second)))
        values[i : j + 1] = (1 - share) * before + share * after
    runs = runs_of(there)
    for first, last in runs:
        part = values[first : last + 1]
        values[first : last + 1] = gaussian_filter1d(part, SMOOTHING * fps, axis=0, mode="nearest")
    return FacePath(values[:, :-1].reshape(n, N_LANDMARKS, 2), values[:, -1], runs)


# Drawing


class Bumps(NamedTuple):
    """Displacements in one frame."""

    centres: np.ndarray  # (m, 2), pixels
    vectors: np.ndarray  # (m, 2), pixels
    sigmas: np.ndarray  # (m,), pixels


def place_bumps(movement: Movement, points: np.ndarray, width: float) -> Bumps:
    """The displacements of a movement at its apex, for a face with these landmarks and this width.

    They turn with the face, and the largest displacement of their sum is `movement.pixels` in the crop.
    """
    across = points[RIGHT_EYE].mean(axis=0) - points[LEFT_EYE].mean(axis=0)
    across = across / np.linalg.norm(across)
    down = np.array([-across[1], across[0]])
    centres, vectors, sigmas = [], [], []
    for name, strengths in movement.weights.items():
        for bump in PARTS[movement.emotion][name]:
            for outward, strength in zip((-1, 1), strengths, strict=True):  # left, then right
                numbers = np.array(bump.landmarks)
                place = points[numbers if outward < 0 else MIRROR[numbers]].mean(axis=0)
                if bump.middle:  # both sides move it, half each
                    strength = strength / 2
                x, y = bump.shift
                centres.append(place + width * (outward * x * across + y * down))
                x, y = bump.toward
                vectors.append(strength * (outward * x * across + y * down))
                sigmas.append(bump.sigma * width)
    bumps = Bumps(np.array(centres), np.array(vectors), np.array(sigmas))
    peak = np.hypot(*np.moveaxis(displacement(bumps, region_of(bumps)), -1, 0)).max()
    return bumps._replace(vectors=bumps.vectors * (movement.pixels * width / CROP_SIZE / peak))


def region_of(bumps: Bumps, shape: Sequence[int] | None = None) -> Rectangle | None:
    """The rectangle outside of which nothing moves, clipped to a picture of this shape. None if nothing is left."""
    reach = REACH * bumps.sigmas[:, None]
    left, top = np.floor((bumps.centres - reach).min(axis=0)).astype(int).tolist()
    right, bottom = np.ceil((bumps.centres + reach).max(axis=0)).astype(int).tolist()
    rectangle = left, top, right + 1, bottom + 1
    return rectangle if shape is None else clip_rectangle(rectangle, tuple(shape))


def displacement(bumps: Bumps, region: Rectangle) -> np.ndarray:
    """Where the pixels of a rectangle move to, (height, width, 2) float32: x and y, pixels.

    Each bump is a Gaussian from which its value at `REACH` sigmas is taken away, so that it ends there without a step.
    """
    left, top, right, bottom = region
    x, y = np.arange(left, right), np.arange(top, bottom)
    total, edge = np.zeros((len(y), len(x), 2), np.float32), np.exp(-(REACH**2) / 2)
    for centre, vector, sigma in zip(*bumps, strict=True):
        in_x, in_y = (np.exp(-(((a - c) / sigma) ** 2) / 2) for a, c in zip((x, y), centre, strict=True))
        height = np.maximum(np.outer(in_y, in_x) - edge, 0) / (1 - edge)
        total += (height[..., None] * vector).astype(np.float32)
    return total


def warp(image: np.ndarray, bumps: Bumps) -> np.ndarray:
    """The picture after every pixel p has moved to p + d(p). A copy; pixels out of reach are exactly as before.

    The pixel that comes to q is p = q - d(p). It is found by a fixed-point iteration, which converges because the
    displacement changes by less than a pixel from one pixel to the next.
    """
    region = region_of(bumps, image.shape)
    if region is None:
        return image.copy()
    left, top, right, bottom = region
    forward = displacement(bumps, region)
    x, y = np.meshgrid(np.arange(right - left, dtype=np.float32), np.arange(bottom - top, dtype=np.float32))
    back = forward
    for _ in range(INVERSION_STEPS):
        back = cv2.remap(forward, x - back[..., 0], y - back[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    back[np.hypot(back[..., 0], back[..., 1]) < 1e-3] = 0
    warped = image.copy()
    warped[top:bottom, left:right] = cv2.remap(
        image, x + left - back[..., 0], y + top - back[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    return warped


def draw_movements(
    image: np.ndarray, time: float, movements: Sequence[Movement], points: np.ndarray, width: float
) -> np.ndarray:
    """A frame with the movements of this time (seconds) drawn in. The frame itself where nothing moves."""
    for movement in movements:
        share = movement.envelope(time)
        if share > 0:
            bumps = place_bumps(movement, points, width)
            image = warp(image, bumps._replace(vectors=bumps.vectors * share))
    return image


# Stills

STILLS = ("still", "sway", "zoom", "light")
SWAY, ZOOM, LIGHT, NOISE = 4.0, 0.03, 0.12, 2.0  # pixels; shares; sigma of the noise in grey levels
TURNS_A_SECOND = 0.15, 0.5  # how often it sways, zooms or gets lighter


def still_frame(image: np.ndarray, kind: str, time: float, rate: float, rng: np.random.Generator) -> np.ndarray:
    """A frame of the film of a photograph, with noise. It goes back and forth `rate` times a second. `time`: s."""
    phase = 2 * np.pi * rate * time
    height, width = image.shape[:2]
    picture = image.astype(np.float32)
    if kind in ("sway", "zoom"):
        zoom = 1 + ZOOM * np.sin(phase) if kind == "zoom" else 1.0
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 0, zoom)
        if kind == "sway":
            matrix[:, 2] += SWAY * np.sin(phase), SWAY / 2 * np.sin(0.7 * phase)
        picture = cv2.warpAffine(
            picture, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
        )
    elif kind == "light":
        picture = picture * (1 + LIGHT * np.sin(phase))
    elif kind != "still":
        raise ValueError(f"{kind!r} is not one of {', '.join(STILLS)}")
    noise = rng.standard_normal(picture.shape, np.float32) * NOISE
    return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)
