"""What the verifier learns from: the candidates of SYNTH's curves, each with the kind of event that it lies on.

Curves add up: so micro-expressions and macro-expressions are also drawn straight into the curves of the clips to train
on, as bumps that move the regions near one or two places of the face. This gives many more events than are rendered.
Some get more motion of the head first. A head that turns moves what is near the camera further than an affine map says,
and the verifier has to tell that from an expression.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from Utils.own_video.candidates import Measured, measure_candidates
from Utils.own_video.displacement import HEAD, MOVED, N_REGIONS, REGIONS
from Utils.own_video.verify import KINDS, MICRO
from Utils.synth_run.clips import ClipData

# Kinds of SYNTH's events -> kinds of candidates. Where events overlap, the first of these is what a candidate is.
KIND_OF = {
    "occlusion": "occlusion", "micro": "micro", "macro": "macro", "speech": "speech", "chewing": "speech",
    "blink": "blink", "glance": "blink", "light": "light", "head": "head",
}  # fmt: skip
MATCHED = 0.4  # intersection over union with the event from which on a candidate is that micro-expression
ROUGH = 1.6  # an interval is about this many times the width between 50 % of its rise and 50 % of its fall
IGNORED = -1  # label of a candidate from which nothing is learnt
MIRRORED = np.array([name.replace("left", "#").replace("right", "left").replace("#", "right") for name in REGIONS])
MIRROR = np.array([list(REGIONS).index(name) for name in MIRRORED])

# Drawn bumps: seconds, pixels of the 128-pixel crop, and standard deviation in the units of `PLACES`
MICRO_S, MICRO_PX = (0.14, 0.5), (0.25, 3.0)
MACRO_S, MACRO_PX = (0.55, 3.5), (0.8, 8.0)
SPREADS = (0.08, 0.3)
MARGIN_S = 0.35  # between two drawn events, and to rendered ones
BLOCKS = 0.35  # chance that an event of another kind than these keeps a drawn one away: faces do several things at once

# Drawn motion of the head: a drift of slow waves, and some quick turns
WAVES, WAVE_HZ = (1, 3), (0.1, 0.7)  # number; oscillations a second
TURNS, TURN_S = (0, 3), (0.25, 1.2)  # number; seconds
WAVE_PX, TURN_PX, UPWARDS = 4.0, 5.0, 0.6  # pixels of the crop, standard deviations; up and down is less than sideways
TILT = 0.12  # standard deviation of rotation and scale, as pixels at half the crop's width per pixel of drift
PARALLAX = (0.02, 0.16)  # pixels by which the nearest region goes further than the head, per pixel of drift
NOSE, NOSE_SIZE = (0, 0.5), (0.25, 0.4)  # what is nearest: place and size in eye distances

# Where the regions lie on a face, in eye distances from the middle between the eyes: right and down
PLACES = np.array(
    [
        (-0.72, -0.36), (-0.22, -0.32), (0.22, -0.32), (0.72, -0.36), (0, -0.58), (-0.5, -0.08), (0.5, -0.08),
        (-0.5, 0.14), (0.5, 0.14), (-0.6, 0.6), (0.6, 0.6), (-0.24, 0.56), (0.24, 0.56), (-0.38, 1.1), (0.38, 1.1),
        (0, 0.98), (0, 1.24), (0, 1.6),
    ]
)  # fmt: skip


@dataclass(frozen=True)
class Labelled:
    """The candidates of one stretch of curves.

    Attributes
    ----------
    measured : Measured
    kinds : ndarray, (n,), int
        Index into `KINDS`, or `IGNORED`.
    truth : ndarray, (n, 2), float64
        Seconds of onset and offset of the micro-expression that a candidate is; NaN for others.
    events : ndarray, (m, 2), float64
        Seconds of all micro-expressions of the stretch.
    seconds : float
        Length of the stretch.
    weight : float
        How much candidates that are no micro-expression count when the verifier is fitted.
    person : int
        The number of the clip: everybody has one.
    rendered : bool
        Whether the clip is as it was rendered; else something is drawn into it, or it is a mirror image.
    neutral : bool
        Whether false alarms are counted in it.
    """

    measured: Measured
    kinds: np.ndarray
    truth: np.ndarray
    events: np.ndarray
    seconds: float
    weight: float = 1.0
    person: int = 0
    rendered: bool = False
    neutral: bool = False


@dataclass(frozen=True)
class _Event:
    kind: str
    onset: float  # seconds
    offset: float


def stretch_of(data: ClipData) -> tuple[np.ndarray, float, list[_Event]]:
    """The measured part of a clip: its curves, samples per second, and events in seconds from its first sample."""
    measured = np.flatnonzero(np.isfinite(data.curves[:, 0]))
    first, last = int(measured[0]), int(measured[-1])
    rate, start = data.fps / data.step, first * data.step / data.fps
    events = [
        _Event(e["kind"], e["onset"] / data.fps - start, e["offset"] / data.fps - start)
        for e in data.events
        if e["offset"] / data.fps > start
    ]
    return data.curves[first : last + 1].astype(float), rate, events


def events_of(drawn: Sequence[dict]) -> list[_Event]:
    """Events from their dictionaries, as `ClipData.drawn` has them."""
    return [_Event(e["kind"], e["onset"], e["offset"]) for e in drawn]


def labelled(curves: np.ndarray, rate: float, events: Sequence[_Event], extra: np.ndarray | None = None) -> Labelled:
    """Candidates and what they are. The parameters are those of `measure_candidates`, and the events."""
    measured = measure_candidates(curves, rate, extra)
    n = len(measured.at)
    kinds, truth = np.full(n, KINDS.index("nothing")), np.full((n, 2), np.nan)
    width = measured.sides[:, :, 1].sum(1) * ROUGH
    middle = measured.at + (measured.sides[:, 1, 1] - measured.sides[:, 0, 1]) / 2
    low, high = middle - width / 2, middle + width / 2
    for name in reversed(KIND_OF):
        for e in events:
            if e.kind == name:
                kinds[(measured.at >= e.onset) & (measured.at <= e.offset)] = KINDS.index(KIND_OF[name])
    micro = [e for e in events if e.kind == "micro"]
    for e in micro:
        inside = np.flatnonzero((measured.at >= e.onset) & (measured.at <= e.offset) & (kinds == MICRO))
        common = np.clip(np.minimum(high, e.offset) - np.maximum(low, e.onset), 0, None)
        overlap = common / (np.maximum(high, e.offset) - np.minimum(low, e.onset) + 1e-9)
        kinds[inside] = IGNORED
        if len(inside) and overlap[inside].max() >= MATCHED:
            best = inside[overlap[inside].argmax()]
            kinds[best], truth[best] = MICRO, (e.onset, e.offset)
        else:  # nothing of it was measured well: it lies on whatever else happens there
            kinds[inside] = KINDS.index("nothing")
    seconds = len(curves) / rate
    return Labelled(measured, kinds, truth, np.array([(e.onset, e.offset) for e in micro]).reshape(-1, 2), seconds)


def mirrored(curves: np.ndarray) -> np.ndarray:
    """The curves of the same face in a mirror."""
    made = curves.copy()
    moved = made[:, MOVED].reshape(len(made), N_REGIONS, 2)[:, MIRROR]
    moved[..., 0] *= -1
    made[:, MOVED] = moved.reshape(len(made), -1)
    made[:, HEAD.start] *= -1
    made[:, HEAD.start + 2] *= -1
    made[:, [HEAD.stop + 5, HEAD.stop + 6]] = curves[:, [HEAD.stop + 6, HEAD.stop + 5]]
    return made


def with_moved_head(curves: np.ndarray, rate: float, rng: np.random.Generator) -> tuple[np.ndarray, list[_Event]]:
    """Add motion of the head to curves, and what its parallax moves in the regions. Also returns the event of it."""
    made, times = curves.copy(), np.arange(len(curves)) / rate
    drift = np.zeros((len(curves), 2))
    for _ in range(int(rng.integers(WAVES[0], WAVES[1] + 1))):
        hz = float(np.exp(rng.uniform(*np.log(WAVE_HZ))))
        size = rng.normal(0, WAVE_PX, 2) * [1, UPWARDS] / (1 + hz)
        drift += np.sin(2 * np.pi * hz * times + rng.uniform(0, 2 * np.pi))[:, None] * size
    for _ in range(int(rng.integers(TURNS[0], TURNS[1] + 1))):
        share = np.clip((times - rng.uniform(0, times[-1])) / rng.uniform(*TURN_S), 0, 1)
        drift += (share * share * (3 - 2 * share))[:, None] * rng.normal(0, TURN_PX, 2) * [1, UPWARDS]
    made[:, HEAD.start : HEAD.start + 2] += drift
    made[:, HEAD.start + 2 : HEAD.stop] += drift @ rng.normal(0, TILT, (2, 2))
    parallax = rng.uniform(*PARALLAX) * _depth(rng)
    made[:, MOVED] += (parallax[None, :, None] * drift[:, None]).reshape(len(made), -1)
    return made, [_Event("head", 0.0, len(curves) / rate)]


def _depth(rng: np.random.Generator) -> np.ndarray:
    """How much nearer or farther each region is than the affine map of the head says, (regions,), -1 to 1."""
    from_nose = (PLACES - NOSE) / NOSE_SIZE
    depth = rng.uniform(0.5, 1.5) * np.exp(-(from_nose**2).sum(1))
    for _ in range(3):
        middle = PLACES[rng.integers(N_REGIONS)] + rng.normal(0, 0.1, 2)
        spread = rng.uniform(0.15, 0.45)
        depth += rng.normal(0, 0.35) * np.exp(-0.5 * ((PLACES - middle) ** 2).sum(1) / spread**2)
    design = np.column_stack([np.ones(N_REGIONS), PLACES])
    depth -= design @ np.linalg.lstsq(design, depth, rcond=None)[0]
    return depth / (np.abs(depth).max() + 1e-9)


def with_drawn_events(
    curves: np.ndarray, rate: float, events: Sequence[_Event], rng: np.random.Generator
) -> tuple[np.ndarray, list[_Event]]:
    """Draw up to four micro-expressions and two macro-expressions into curves. The head may move meanwhile."""
    made, drawn = curves.copy(), list(events)
    seconds = len(curves) / rate
    times = np.arange(len(curves)) / rate
    for kind in rng.permutation(["micro"] * int(rng.integers(1, 5)) + ["macro"] * int(rng.integers(0, 3))):
        length = float(rng.uniform(*MICRO_S) if kind == "micro" else np.exp(rng.uniform(*np.log(MACRO_S))))
        pixels = float(np.exp(rng.uniform(*np.log(MICRO_PX if kind == "micro" else MACRO_PX))))
        if seconds < length + 2 * MARGIN_S:
            continue
        onset = float(rng.uniform(MARGIN_S, seconds - length - MARGIN_S))
        blocking = [e for e in drawn if e.kind in ("micro", "occlusion") or rng.random() < BLOCKS]
        if any(onset < e.offset + MARGIN_S and e.onset < onset + length + MARGIN_S for e in blocking):
            continue
        pattern = _pattern(rng) * pixels
        made[:, MOVED] += _envelope(times, onset, length, rng, kind)[:, None] * pattern.ravel()
        drawn.append(_Event(str(kind), onset, onset + length))
    return made, drawn


def _pattern(rng: np.random.Generator) -> np.ndarray:
    """A movement of the regions, (regions, 2), whose largest is 1: one to three bumps, often in mirrored pairs."""
    total = np.zeros((N_REGIONS, 2))
    for _ in range(int(rng.integers(1, 4))):
        place = PLACES[rng.integers(N_REGIONS)] + rng.normal(0, 0.1, 2)
        angle = rng.uniform(0, 2 * np.pi)
        direction = np.array([np.cos(angle), np.sin(angle)]) * rng.uniform(0.4, 1)
        spread = rng.uniform(*SPREADS)
        sides = [(1, 1.0)] if rng.random() < 0.4 else [(1, 1.0), (-1, rng.uniform(0.4, 1.2))]
        for side, strength in sides:
            distance = ((PLACES - place * [side, 1]) ** 2).sum(1)
            # The regions are averages themselves, so that a bump narrower than a region moves it less
            bump = np.exp(-0.5 * distance / (spread**2 + 0.1**2)) * strength
            total += bump[:, None] * direction * [side, 1]
    return total / (np.hypot(*total.T).max() + 1e-9)


def _envelope(times: np.ndarray, onset: float, length: float, rng: np.random.Generator, kind: str) -> np.ndarray:
    """The course of a drawn event: it rises to 1, is held, and falls, in one of several shapes."""
    hold = rng.uniform(0, 0.25) if kind == "micro" else rng.uniform(0.05, 0.6)
    rise = rng.uniform(0.25, 0.6) * (1 - hold)
    up = np.clip((times - onset) / (rise * length), 0, 1)
    down = np.clip((onset + length - times) / ((1 - hold - rise) * length), 0, 1)
    shape = rng.integers(3)
    ease = (lambda t: t * t * (3 - 2 * t), lambda t: (1 - np.cos(np.pi * t)) / 2, lambda t: t**1.3)[shape]
    rest = rng.uniform(0, 0.35) if kind == "macro" and rng.random() < 0.4 else 0.0  # it does not fall back altogether
    falling = rest + (1 - rest) * ease(down)
    return np.where(times < onset + rise * length, ease(up), falling)
