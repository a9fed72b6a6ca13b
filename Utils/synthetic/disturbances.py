"""What disturbs the spotting of micro-expressions: blinks, glances, head motion and flicker, with a value per frame."""

from __future__ import annotations

import numpy as np

from Utils.synthetic.portable import sin

BLINK_S = (0.18, 0.32)  # seconds of the shortest and of the longest blink
BLINK_CLOSES = 0.35  # share of a blink's duration after which the eye is closed
BLINK_PAUSE = 8  # frames that are at least between two blinks
GAZE_SPREAD = (0.45, 0.25)  # standard deviation of a glance's target, to the right and down
GAZE_WITHIN = 0.9  # largest deviation of a glance's target from straight ahead
GAZE_START = 0.15  # standard deviation of the first gaze
GAZE_SPEED = 0.7  # share of the way to a glance's target that is covered in one frame

# Head motion: standard deviations of the slow drift and of the tremor in the units of `face.Pose`, and frequencies
DRIFT = {"tx": 0.010, "ty": 0.008, "rotation": 0.006, "scale": 0.004, "yaw": 0.022, "pitch": 0.018}
TREMOR = {"tx": 0.0006, "ty": 0.0006, "yaw": 0.0012, "pitch": 0.0012}
DRIFT_HZ, TREMOR_HZ = 0.45, 4.0


def envelope(frames: int, onset: float, apex: float, offset: float, hold: float = 0) -> np.ndarray:
    """A smooth course over `frames` frames: 0 until the onset, 1 from the apex for `hold` frames, 0 from the offset on.

    Returns
    -------
    ndarray of float64, shape (frames,), 0 to 1
    """

    def ease(share: np.ndarray) -> np.ndarray:
        share = np.clip(share, 0, 1)
        return share * share * (3 - 2 * share)

    frame = np.arange(frames, dtype=float)
    rise = ease((frame - onset) / max(apex - onset, 1))
    fall = 1 - ease((frame - apex - hold) / max(offset - apex - hold, 1))
    return np.minimum(rise, fall)


def smooth_noise(rng: np.random.Generator, frames: int, fps: float, hz: float) -> np.ndarray:
    """Noise of standard deviation about 1 that changes at about `hz`, shape (frames,).

    It is a spline through `2 hz` random values per second.
    """
    knots = rng.normal(size=int(frames / fps * hz * 2) + 6)  # a few more, since the spline needs neighbours at the ends
    place = np.linspace(1, len(knots) - 3, frames)
    index = place.astype(int)
    t = place - index
    a, b, c, d = (knots[index + shift] for shift in (-1, 0, 1, 2))
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t * t + (3 * b - a - 3 * c + d) * t * t * t)


def blinks(rng: np.random.Generator, frames: int, fps: float, blink_hz: float) -> np.ndarray:
    """How far the eyes are closed, 0 to 1, shape (frames,)."""
    closed = np.zeros(frames)
    if blink_hz <= 0:
        return closed
    start = rng.exponential(1 / blink_hz) * fps
    while start < frames:
        length = rng.uniform(*BLINK_S) * fps
        closed = np.maximum(closed, envelope(frames, start, start + BLINK_CLOSES * length, start + length, hold=1))
        start += length + rng.exponential(1 / blink_hz) * fps + BLINK_PAUSE
    return closed


def glances(rng: np.random.Generator, frames: int, fps: float, gaze_hz: float) -> np.ndarray:
    """Gaze to the right and down, -1 to 1, shape (frames, 2): fixations, and quick changes between them."""
    gaze = np.zeros((frames, 2))
    target = current = rng.normal(0, GAZE_START, 2)
    for frame in range(frames):
        if rng.random() < gaze_hz / fps:
            target = np.clip(rng.normal(0, GAZE_SPREAD), -GAZE_WITHIN, GAZE_WITHIN)
        current = current + (target - current) * GAZE_SPEED
        gaze[frame] = current
    return gaze


def head_motion(rng: np.random.Generator, frames: int, fps: float, amount: float) -> dict[str, np.ndarray]:
    """Drift and tremor: name of a field of `face.Pose` -> values, shape (frames,). `amount` is a factor on both."""
    pose = {name: amount * spread * smooth_noise(rng, frames, fps, DRIFT_HZ) for name, spread in DRIFT.items()}
    for name, spread in TREMOR.items():
        pose[name] += amount * spread * smooth_noise(rng, frames, fps, TREMOR_HZ)
    pose["scale"] += 1
    return pose


def flickering_light(rng: np.random.Generator, frames: int, fps: float, flicker: float) -> np.ndarray:
    """Factor on the brightness, about 1, shape (frames,): a hum, a jitter from frame to frame, and a slow drift.

    `flicker` is the relative amplitude.
    """
    seconds = np.arange(frames) / fps
    hum = sin(2 * np.pi * rng.uniform(0.5, 9) * seconds + rng.uniform(0, 2 * np.pi))
    jitter = 0.7 * rng.normal(size=frames)
    drift = 2.5 * smooth_noise(rng, frames, fps, 0.3)
    return 1 + flicker * (hum + jitter + drift)
