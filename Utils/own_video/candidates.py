"""Candidates: where a face may have moved and come back, and what is measured of each.

A pulse of height 1 that rises and falls within a window gives 1 in

    y(t) = x(t) - (x(t - tau) + x(t + tau)) / 2

for the curve x of a region, whatever the curve's level and steady drift. Candidates are the local maxima of the largest
y over all regions and over `TAUS`. The regions that move at a maximum, each in its direction, are that movement's
pattern; the curves seen along the pattern are its course s(t), from which borders, duration and rest are measured.

Faces move all the time. So each zone of the face has candidates of its own: a brow that twitches while the mouth talks
is found. And a course is made straight: what lies above the line on which it stands is measured. A slow drift has then
no part in it.

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
SHORT = 8  # samples on either side of the shortest line on which a course may stand
OWN_ZONE = 0.7  # share of a movement's energy in one zone from which on that zone has no second candidate at this place
HEAD_RIDGE = 1.0  # square pixels: less motion of the head explains nothing
LEVELS = (0.2, 0.5, 0.8)  # of the height, at which the times of rise and fall are taken

ZONES: dict[str, tuple[str, ...]] = {
    "face": tuple(GROUPS),
    "upper": ("brows",),
    "middle": ("lids", "cheeks"),
    "lower": ("mouth", "chin"),
}
ZONE_INDICES = [sorted(i for group in groups for i in GROUP_INDICES[group]) for groups in ZONES.values()]
FACE, STRONGEST = 0, (3, 2, 2, 2)  # the first zone; of how many regions of each zone the mean is taken

FEATURES = (
    "log motion", "log energy", "share moving", "log scale 4/11", "log scale 7/11",
    *(f"part of {group}" for group in GROUPS), *(f"down in {group}" for group in GROUPS), "left against right",
    "rise 20", "rise 50", "rise 80", "fall 80", "fall 50", "fall 20", "width", "width of long course",
    "log rise to fall", "near rest", "wide rest", "log wide to near", "held",
    "log height", "log short to near height", "log wide to near height", "tilt", "width on long line",
    "log pulse to largest", "log pulse to usual", "head explains", "log head to rest",
    "log best to median region", "part of pattern", "log zone to others", "zone",
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
    seen = _Seen(grid, of_taus, sizes, [_strength(sizes, zone) for zone in range(len(ZONES))], _noise(grid[:, MOVED]))
    places = np.clip(np.round(np.asarray([] if extra is None else extra) * RATE), 0, len(grid) - 1).astype(int)
    rows, peaks = [], seen.peaks(FACE)
    for peak in (*peaks, *places):
        row = _measure_one(seen, FACE, peaks, int(peak))
        if len(rows) < len(peaks) or all(abs(row[0] - other[0]) >= LEAST_DISTANCE for other in rows):
            rows.append(row)
    for zone in range(FACE + 1, len(ZONES)):
        of_zone = seen.peaks(zone)
        for peak in of_zone:
            near = peaks[np.abs(peaks - peak) < LEAST_DISTANCE]
            if any(seen.part_of(zone, int(other)) >= OWN_ZONE for other in near):
                continue
            rows.append(_measure_one(seen, zone, of_zone, int(peak)))
    if not rows:
        return _nothing()
    at, sides, motion, features = (np.array(column, float) for column in zip(*rows, strict=True))
    return Measured(at / RATE, sides / RATE, motion, features)


def parts_of_others(measured: Measured) -> np.ndarray:
    """Which candidates are of a zone, and have one of the whole face at the same time, (n,) bool."""
    of_zone = measured.features[:, FEATURES.index("zone")] != FACE
    near = np.abs(measured.at[:, None] - measured.at[None, ~of_zone]) * RATE < LEAST_DISTANCE
    return of_zone & near.any(axis=1)


def _nothing() -> Measured:
    return Measured(np.zeros(0), np.zeros((0, 2, 3)), np.zeros(0), np.zeros((0, len(FEATURES))))


def _noise(moved: np.ndarray) -> np.ndarray:
    """The measurement's noise around each sample, pixels, (n,): the median absolute second difference, over +-1 s."""
    second = np.abs(np.diff(moved, 2, axis=0)).mean(1)
    second = np.pad(second, (1, 1), mode="edge")
    n, reach = len(second), int(RATE)
    return np.array([np.median(second[max(0, i - reach) : i + reach + 1]) for i in range(n)])


@dataclass(frozen=True)
class _Seen:
    """A stretch on the grid: curves, pulses of all `TAUS`, their sizes, strengths of `ZONES` and noise."""

    grid: np.ndarray
    of_taus: np.ndarray
    sizes: np.ndarray
    strengths: list[np.ndarray]
    noise: np.ndarray

    def peaks(self, zone: int) -> np.ndarray:
        """The samples at which a zone may have moved and come back."""
        padded = np.r_[0, self.strengths[zone], 0]
        return find_peaks(padded, height=LEAST_PULSE, distance=LEAST_DISTANCE)[0] - 1

    def part_of(self, zone: int, peak: int) -> float:
        """The share of a zone in the energy of the pulses at a sample."""
        energy = (self.sizes[self.scale(FACE, peak), peak]) ** 2
        return float(energy[ZONE_INDICES[zone]].sum() / (energy.sum() + TINY**2))

    def scale(self, zone: int, peak: int) -> int:
        """Which of `TAUS` has the largest pulse of a zone at a sample."""
        inside = np.sort(self.sizes[:, peak][:, ZONE_INDICES[zone]], axis=1)
        return int(inside[:, -STRONGEST[zone] :].mean(1).argmax())


def _strength(sizes: np.ndarray, zone: int) -> np.ndarray:
    return np.sort(sizes[..., ZONE_INDICES[zone]], axis=2)[..., -STRONGEST[zone] :].mean(2).max(0)


def _measure_one(seen: _Seen, zone: int, peaks: np.ndarray, peak: int) -> tuple:
    """(apex in samples, times of the levels in samples, motion in pixels, features) of the candidate at a sample."""
    scale = seen.scale(zone, peak)
    size = seen.sizes[scale, peak]
    inside = np.zeros(N_REGIONS, bool)
    inside[ZONE_INDICES[zone]] = True
    part = inside & (size >= PATTERN_SHARE * size[inside].max())
    pattern = np.where(part[:, None], seen.of_taus[scale, peak], 0)
    start = max(0, peak - REACH)  # all that is measured lies within this reach of the candidate
    place, grid = peak - start, seen.grid[start : peak + REACH + 1]
    direction = pattern.ravel() / (np.linalg.norm(pattern) + TINY)
    course = grid[:, MOVED] @ direction
    low, high = max(0, place - APEX_WITHIN), min(len(grid), place + APEX_WITHIN + 1)
    apex = low + int(line_below(course, place, NEAR).without(course)[low:high].argmax())
    near, short, wide = (line_below(course, apex, reach) for reach in (NEAR, SHORT, WIDE))
    straight = near.without(course)
    rise, fall = _side(straight[apex::-1], apex - near.first), _side(straight[apex:], near.last - apex)
    raw = [_side(course[apex::-1], reach) for reach in (NEAR, WIDE)] + [
        _side(course[apex:], reach) for reach in (NEAR, WIDE)
    ]
    moved = near.without(grid[:, MOVED])[apex].reshape(-1, 2)
    motion = float(np.hypot(*moved[inside].T).max())
    long = wide.without(course)
    width = sum(_side(x, n).times[1] for x, n in ((long[apex::-1], apex - wide.first), (long[apex:], wide.last - apex)))
    features = [
        *_what_moves(moved, seen.sizes[:, peak]),
        *_course(rise, fall, *raw, course, apex),
        np.log(near.height + TINY),
        np.log((short.height + TINY) / (near.height + TINY)),
        np.log((wide.height + TINY) / (near.height + TINY)),
        float(np.clip((course[near.last] - course[near.first]) / (near.height + TINY), -5, 5)),
        width / RATE,
        *_own_background(seen.of_taus[scale, start : peak + REACH + 1].reshape(len(grid), -1) @ direction, place),
        *_head_explains(grid, straight, near),
        *_where(size, part, inside),
        float(zone),
        *_surroundings(seen.noise, seen.strengths[zone], peaks, peak, start + apex),
        *_head(grid, apex, rise, fall, motion),
        *_appearance(grid, apex, rise, fall),
    ]
    return start + apex, [rise.times, fall.times], motion, features


@dataclass(frozen=True)
class Line:
    """The line on which a course stands: its first and last sample, and how far the apex is above it."""

    first: int
    last: int
    height: float

    def without(self, curves: np.ndarray) -> np.ndarray:
        """Curves (n,) or (n, columns) from which the line through their own values at these samples is taken away."""
        samples = np.arange(len(curves), dtype=float)
        share = (samples - self.first) / max(1, self.last - self.first)
        share = share.reshape(-1, *[1] * (curves.ndim - 1))
        return curves - curves[self.first] * (1 - share) - curves[self.last] * share


def line_below(course: np.ndarray, apex: int, reach: int) -> Line:
    """The lowest line below the apex of a course (n,) through two of its samples, within `reach` of either side.

    It is a side of the lower convex hull. At an end of the course the line ends at the apex, and the height is 0.
    """
    before = np.arange(max(0, apex - reach), apex)
    after = np.arange(apex + 1, min(len(course), apex + reach + 1))
    if not len(before) or not len(after):
        return Line(before[0] if len(before) else apex, after[-1] if len(after) else apex, 0.0)
    left, right = (apex - before)[:, None], (after - apex)[None]
    below = (course[before][:, None] * right + course[after][None] * left) / (left + right)
    i, j = np.unravel_index(int(below.argmin()), below.shape)
    return Line(int(before[i]), int(after[j]), max(0.0, float(course[apex] - below[i, j])))


def _own_background(pulse: np.ndarray, place: int) -> list[float]:
    """The pulse of the pattern (n,) at the candidate's place against that of other times: the largest, the usual."""
    away = np.abs(np.arange(len(pulse)) - place)
    others = np.abs(pulse[(away > OWN) & (away <= AROUND)])
    own = abs(pulse[place]) + TINY
    if not len(others):
        return [3.0, 3.0]
    return [np.log(own / (others.max() + TINY)), np.log(own / (np.median(others) + TINY))]


def _head_explains(grid: np.ndarray, straight: np.ndarray, line: Line) -> list[float]:
    """How much of a course goes with the head: the share of its energy, and the size of this part against the rest."""
    span = slice(line.first, line.last + 1)
    head, course = line.without(grid[:, HEAD])[span], straight[span]
    ridge = HEAD_RIDGE * np.eye(head.shape[1])
    fit = head @ np.linalg.solve(head.T @ head + ridge, head.T @ course)
    total, rest = float((course**2).sum()) + TINY**2, float(((course - fit) ** 2).sum())
    return [1 - rest / total, 0.5 * np.log((float((fit**2).sum()) + TINY**2) / (rest + TINY**2))]


def _where(size: np.ndarray, part: np.ndarray, inside: np.ndarray) -> list[float]:
    """How much of what moves belongs to the candidate: pulses (regions,), of the pattern, and inside its zone."""
    energy = size**2
    others = size[~inside].max() if (~inside).any() else size[~part].max(initial=0)
    return [
        np.log((size[inside].max() + TINY) / (np.median(size) + TINY)),
        float(energy[part].sum() / (energy.sum() + TINY**2)),
        np.log((size[inside].max() + TINY) / (others + TINY)),
    ]


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


def _course(
    rise: _Side, fall: _Side, near_rise: _Side, wide_rise: _Side, near_fall: _Side, wide_fall: _Side, course, apex: int
) -> list[float]:
    """The straight sides `rise` and `fall`, and those of the course as it is."""
    near_high = max(near_rise.height, near_fall.height) + TINY
    near_low = min(near_rise.height, near_fall.height) + TINY
    wide_high = max(wide_rise.height, wide_fall.height) + TINY
    wide_low = min(wide_rise.height, wide_fall.height) + TINY
    part = course[max(0, apex - WIDE) : apex + WIDE + 1]
    return [
        *(t / RATE for t in rise.times),
        *(t / RATE for t in reversed(fall.times)),
        (rise.times[1] + fall.times[1]) / RATE,
        (wide_rise.times[1] + wide_fall.times[1]) / RATE,
        np.log((near_rise.height + TINY) / (near_fall.height + TINY)),
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
