"""Candidates: where a face may have moved and come back, and what is measured of each.

A pulse of height 1 that rises and falls within a window gives 1 in

    y(t) = x(t) - (x(t - tau) + x(t + tau)) / 2

for the curve x of a region, whatever the curve's level and steady drift. Candidates are the local maxima of the largest
y over all regions and over `TAUS`. The regions that move at a maximum, each in its direction, are that movement's
pattern; the curves seen along the pattern are its course s(t), from which borders, duration and rest are measured.

All arithmetic is on a grid of `RATE` samples per second, so that one model serves all frame rates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from Utils.own_video.displacement import EYES, GROUP_INDICES, GROUPS, HEAD, LIGHT, MISFIT, MOVED, N_REGIONS, REGIONS

RATE = 30.0  # samples per second
TAUS = (4, 7, 11)  # samples: half widths of the pulses that are looked for, 0.13 to 0.37 s
SMOOTHED = 0.7  # samples, standard deviation
LEAST_PULSE = 0.10  # pixels of the 128-pixel crop: smaller pulses are the noise of a good camera
LEAST_DISTANCE = 5  # samples between two candidates
AT_LEAST = 12  # samples: shorter stretches have no candidates
PATTERN_SHARE = 0.35  # of the largest region's pulse: smaller ones are not part of the pattern
APEX_WITHIN = 4  # samples from the candidate to the highest point of its course
NEAR, WIDE = 15, 45  # samples on either side in which the course is followed: 0.5 and 1.5 s
AROUND = 45  # samples on either side that are the surroundings
OWN = 12  # samples on either side that are the candidate's own
REACH = APEX_WITHIN + max(WIDE, AROUND)  # samples
TINY = 1e-3  # pixels: keeps ratios finite
LEVELS = (0.2, 0.5, 0.8)  # of the height, at which the times of rise and fall are taken

FEATURES = (
    "log motion", "log energy", "share moving", "log scale 4/11", "log scale 7/11",
    *(f"part of {group}" for group in GROUPS), *(f"down in {group}" for group in GROUPS), "left against right",
    "rise 20", "rise 50", "rise 80", "fall 80", "fall 50", "fall 20", "width", "width of long course",
    "log rise to fall", "near rest", "wide rest", "log wide to near", "held",
    "log noise", "log surroundings", "busy", "peaks around",
    "head pulse", "head speed", "head travel", "head turn", "log motion to head",
    *(f"misfit of {group}" for group in GROUPS), "largest misfit",
    "left eye closes", "right eye closes", "eyes' contrast", "light pulse", "light step",
)  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """The candidates of one stretch of a face. All arrays have a row for each.

    Attributes
    ----------
    at : ndarray, (n,), float64
        Seconds from the stretch's first sample to the apex.
    sides : ndarray, (n, 2, 3), float64
        Seconds from each of `LEVELS` (20, 50, 80 % of the height) on the rise to the apex, and from the apex to each on
        the fall (20, 50, 80 %).
    motion : ndarray, (n,), float64
        Pixels of the 128-pixel crop by which the region that moves most has moved at the apex.
    features : ndarray, (n, len(FEATURES)), float64
        What the model sees.
    """

    at: np.ndarray
    sides: np.ndarray
    motion: np.ndarray
    features: np.ndarray


def on_grid(curves: np.ndarray, fps: float) -> np.ndarray:
    """Curves (n, columns) of one stretch, sampled `fps` times a second, on the grid of `RATE`, (m, columns) float64."""
    n = len(curves)
    places = np.arange(0, (n - 1) / fps + 1e-9, 1 / RATE) * fps
    low = np.minimum(places.astype(int), n - 1)
    high = np.minimum(low + 1, n - 1)
    share = (places - low)[:, None]
    return curves[low] * (1 - share) + curves[high] * share


def pulses(curves: np.ndarray, tau: int) -> np.ndarray:
    """y of the module's docstring, the same shape as `curves` (n, columns). Beyond the ends the last value is kept."""
    padded = np.pad(curves, ((tau + 1, tau + 1), (0, 0)), mode="edge")
    calm = (padded[:-2] + padded[1:-1] + padded[2:]) / 3  # calm[i] is the mean around curve i - tau
    n = len(curves)
    return curves - (calm[:n] + calm[2 * tau : 2 * tau + n]) / 2


def measure_candidates(curves: np.ndarray, fps: float, extra: np.ndarray | None = None) -> Measured:
    """Find and measure the candidates of one stretch.

    Parameters
    ----------
    curves : ndarray, (n, columns), float
        From `displacement.CurveMeter`, without NaN.
    fps : float
        Samples of `curves` per second.
    extra : ndarray, (m,), optional
        Seconds from the first sample: places that are also looked at, for example the peaks of a network's score.
    """
    grid = gaussian_filter1d(on_grid(np.asarray(curves, float), fps), SMOOTHED, axis=0, mode="nearest")
    if len(grid) < AT_LEAST:
        return _nothing()
    of_taus = np.array([pulses(grid[:, MOVED], tau).reshape(-1, N_REGIONS, 2) for tau in TAUS])
    sizes = np.hypot(of_taus[..., 0], of_taus[..., 1])  # (taus, n, regions)
    strength = np.sort(sizes, axis=2)[..., -3:].mean(2).max(0)
    peaks = find_peaks(np.r_[0, strength, 0], height=LEAST_PULSE, distance=LEAST_DISTANCE)[0] - 1
    places = np.clip(np.round(np.asarray([] if extra is None else extra) * RATE), 0, len(grid) - 1).astype(int)
    noise = _noise(grid[:, MOVED])
    rows = []
    for peak in (*peaks, *places):
        row = _measure_one(grid, of_taus, sizes, strength, peaks, int(peak), noise)
        if len(rows) < len(peaks) or all(abs(row[0] - other[0]) >= LEAST_DISTANCE for other in rows):
            rows.append(row)
    if not rows:
        return _nothing()
    at, sides, motion, features = (np.array(column, float) for column in zip(*rows, strict=True))
    return Measured(at / RATE, sides / RATE, motion, features)


def _nothing() -> Measured:
    return Measured(np.zeros(0), np.zeros((0, 2, 3)), np.zeros(0), np.zeros((0, len(FEATURES))))


def _noise(moved: np.ndarray) -> np.ndarray:
    """The measurement's noise around each sample, pixels, (n,): the median absolute second difference, over +-1 s."""
    second = np.abs(np.diff(moved, 2, axis=0)).mean(1)
    second = np.pad(second, (1, 1), mode="edge")
    n, reach = len(second), int(RATE)
    return np.array([np.median(second[max(0, i - reach) : i + reach + 1]) for i in range(n)])


def _measure_one(grid, of_taus, sizes, strength, peaks, peak: int, noise) -> tuple:
    """(apex in samples, times of the levels in samples, motion in pixels, features) of the candidate at a sample."""
    scale = int(np.sort(sizes[:, peak], axis=1)[:, -3:].mean(1).argmax())
    size = sizes[scale, peak]
    pattern = np.where((size >= PATTERN_SHARE * size.max())[:, None], of_taus[scale, peak], 0)
    start = max(0, peak - REACH)  # all that is measured lies within this reach of the candidate
    place, grid = peak - start, grid[start : peak + REACH + 1]
    course = grid[:, MOVED] @ (pattern.ravel() / (np.linalg.norm(pattern) + TINY))
    low, high = max(0, place - APEX_WITHIN), min(len(grid), place + APEX_WITHIN + 1)
    apex = low + int(course[low:high].argmax())
    rise, fall = _side(course[apex::-1], NEAR), _side(course[apex:], NEAR)
    wide_rise, wide_fall = _side(course[apex::-1], WIDE), _side(course[apex:], WIDE)
    before = grid[max(0, apex - round(rise.foot))]
    after = grid[min(len(grid) - 1, apex + round(fall.foot))]
    moved = (grid[apex, MOVED] - (before[MOVED] + after[MOVED]) / 2).reshape(-1, 2)
    motion = float(np.hypot(*moved.T).max())
    features = [
        *_what_moves(moved, sizes[:, peak]),
        *_course(rise, fall, wide_rise, wide_fall, course, apex),
        *_surroundings(noise, strength, peaks, peak, start + apex),
        *_head(grid, apex, rise, fall, motion),
        *_appearance(grid, apex, rise, fall),
    ]
    return start + apex, [rise.times, fall.times], motion, features


@dataclass(frozen=True)
class _Side:
    """One side of a course: its height, the samples from the apex to each of `LEVELS` and to the lowest point."""

    height: float
    times: tuple[float, ...]
    foot: int


def _side(course: np.ndarray, reach: int) -> _Side:
    """Follow a course from its apex (index 0) for `reach` samples."""
    part = course[: reach + 1]
    foot = int(part.argmin())
    height = float(part[0] - part[foot])
    times = []
    for level in LEVELS:
        bound = part[foot] + level * height
        below = np.flatnonzero(part[: foot + 1] <= bound)
        first = int(below[0]) if len(below) else foot
        if first == 0:
            times.append(0.0)
            continue
        step = part[first - 1] - part[first]
        times.append(first - 1 + (part[first - 1] - bound) / step if step > 0 else float(first))
    return _Side(height, tuple(map(float, times)), foot)


def _what_moves(moved: np.ndarray, sizes: np.ndarray) -> list[float]:
    """How much, at which scale and where: features from the movement (regions, 2) and the pulses (taus, regions)."""
    size = np.hypot(*moved.T)
    energy = size**2
    total = energy.sum() + TINY**2
    top = np.sort(sizes, axis=1)[:, -3:].mean(1) + TINY
    sides = [energy[[name.endswith(side) for name in REGIONS]].sum() for side in ("left", "right")]
    return [
        np.log(size.max() + TINY),
        0.5 * np.log(total),
        float((size > 0.5 * size.max()).mean()),
        np.log(top[0] / top[2]),
        np.log(top[1] / top[2]),
        *(energy[i].sum() / total for i in GROUP_INDICES.values()),
        *(moved[i, 1].sum() / (size.sum() + TINY) for i in GROUP_INDICES.values()),
        abs(sides[0] - sides[1]) / (sum(sides) + TINY**2),
    ]


def _course(rise: _Side, fall: _Side, wide_rise: _Side, wide_fall: _Side, course: np.ndarray, apex: int) -> list[float]:
    near_high = max(rise.height, fall.height) + TINY
    near_low = min(rise.height, fall.height) + TINY
    wide_high = max(wide_rise.height, wide_fall.height) + TINY
    wide_low = min(wide_rise.height, wide_fall.height) + TINY
    part = course[max(0, apex - WIDE) : apex + WIDE + 1]
    return [
        *(t / RATE for t in rise.times),
        *(t / RATE for t in reversed(fall.times)),
        (rise.times[1] + fall.times[1]) / RATE,
        (wide_rise.times[1] + wide_fall.times[1]) / RATE,
        np.log((rise.height + TINY) / (fall.height + TINY)),
        near_low / near_high,
        wide_low / wide_high,
        np.log(wide_high / near_low),
        float((part > course[apex] - 0.3 * near_low).mean()),
    ]


def _surroundings(noise, strength, peaks, peak: int, apex: int) -> list[float]:
    """How much else moves around the candidate."""
    places = np.arange(max(0, apex - AROUND), min(len(strength), apex + AROUND + 1))
    others = strength[places[np.abs(places - apex) > OWN]]
    own = strength[peak] + TINY
    near = peaks[(np.abs(peaks - peak) <= AROUND) & (peaks != peak)]
    return [
        np.log(own / (noise[apex] + TINY)),
        np.log(own / ((others.max() if len(others) else 0) + TINY)),
        float(np.median(others) / own) if len(others) else 0.0,
        float((strength[near] > 0.4 * own).sum()),
    ]


def _head(grid: np.ndarray, apex: int, rise: _Side, fall: _Side, motion: float) -> list[float]:
    head = grid[:, HEAD]
    start, end = max(0, apex - max(3, rise.foot)), min(len(grid) - 1, apex + max(3, fall.foot))
    pulse = head[apex] - (head[start] + head[end]) / 2
    part = head[start : end + 1]
    speed = float(np.hypot(*np.diff(part[:, :2], axis=0).T).max()) if len(part) > 1 else 0.0
    size = float(np.hypot(*pulse[:2]))
    return [
        np.log(size + 0.05),
        np.log(speed + 0.02),
        np.log(float(np.ptp(part[:, :2], axis=0).max()) + 0.05),
        np.log(float(np.ptp(part[:, 2:], axis=0).max()) + 0.05),
        np.log((motion + TINY) / (float(np.ptp(part[:, :2], axis=0).max()) + 0.1)),
    ]


def _appearance(grid: np.ndarray, apex: int, rise: _Side, fall: _Side) -> list[float]:
    """What the flow does not explain, the eyes' opening, and the light: at the apex against before and after."""
    start, end = max(0, apex - max(4, rise.foot)), min(len(grid) - 1, apex + max(4, fall.foot))
    inside = grid[start : end + 1]
    outside = np.minimum(grid[start], grid[end])
    misfit = np.log((inside[:, MISFIT].max(0) + 1) / (outside[MISFIT] + 1))
    eyes = np.maximum(grid[start, EYES], grid[end, EYES])
    surroundings = grid[max(0, apex - AROUND) : apex + AROUND + 1]
    usual = np.maximum(np.maximum(np.median(surroundings[:, EYES], axis=0), eyes), 0)
    closes = (usual - inside[:, EYES].min(0)) / (usual + 10)
    light = grid[:, LIGHT]
    mean = light[apex] + 1
    return [
        *misfit,
        float(misfit.max()),
        *closes,
        np.log(usual.mean() + 5) - 3,
        abs(light[apex] - (light[start] + light[end]) / 2) / mean * 10,
        float(np.ptp(inside[:, LIGHT])) / mean * 10,
    ]
