"""The frame rate of a video, found from the times of its frames: constant or variable. Impossible times are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from Utils.errors import InputError
from Utils.settings import HIGHEST_RATE, LOWEST_RATE

USUAL_RATES = (24, 25, 30, 48, 50, 60, 90, 100, 120, 200, 240, *(r * 1000 / 1001 for r in (24, 30, 60, 120)))
UNKNOWN_RATE = 25.0  # frames per second if a file gives neither times nor a possible rate; FFmpeg assumes 25, too

MAX_PAUSE = 600.0  # seconds; a longer pause between two frames means that the times are wrong
MAX_BACK = 1.0  # seconds; times that fall by more start again: two recordings were joined without adjusting them

# When a rate counts as constant. Shares are shares of the mean interval between two frames.
TOLERANCE = 0.02  # share by which an interval may differ from the mean, in addition to the rounding of times
DRIFT = 0.5  # share by which a frame may be away from its place, index / rate, in addition to the rounding
ROUNDING = 1.01  # ticks by which rounded times can change an interval: one, and a little for the arithmetic
TICKS_PER_FRAME = 3  # if an interval has no more ticks than this, ticks count frames: times are exact, not rounded

# How near a rate must be to a usual one to be taken as that one (share of the rate)
NEAR = 0.001  # constant rate
NEAR_ROUNDED = 0.005  # constant rate, at most, if the rounding of times makes the measured rate uncertain
NEAR_VARIABLE = 0.02  # variable rate, of which only the median interval is known

CUT_OFF = 0.05  # share of the header's duration by which the frames of a whole file may end earlier
CUT_OFF_S = 0.5  # seconds by which they always may


def require_rate(path: Path, fps: float) -> None:
    """Raise InputError if the frame rate of `path` is not within [`LOWEST_RATE`, `HIGHEST_RATE`], or NaN."""
    if not LOWEST_RATE <= fps <= HIGHEST_RATE:
        raise InputError(f"{path}: {fps:.4g} frames per second are outside [{LOWEST_RATE}, {HIGHEST_RATE}]")


def require_times(path: Path, times: np.ndarray) -> None:
    """Raise InputError if times (seconds, in order of decoding) jump as they do in no recording.

    With such times, repeated frames would fill hours, or frames would be lost.
    """
    steps = np.diff(times)
    wrong = np.flatnonzero((steps < -MAX_BACK) | (steps > MAX_PAUSE))
    if len(wrong):
        jump = f"jumps by {steps[wrong[0]]:.0f} s after {times[wrong[0]]:.0f} s"
        raise InputError(f"{path}: the time {jump}; convert the file with a video tool")


def measure_rate(times: np.ndarray, tick: float) -> tuple[float, bool]:
    """The frame rate for the times of a video's frames.

    Parameters
    ----------
    times : ndarray of float64, (n,)
        Seconds, ascending, n >= 2.
    tick : float
        Seconds; all times are multiples of it.

    Returns
    -------
    fps : float
        Frames per second: a usual rate if one is near enough.
    variable : bool
    """
    intervals = np.diff(times)
    n, span = len(intervals), float(times[-1] - times[0])
    mean = span / n
    rounding = ROUNDING * tick if tick < mean / TICKS_PER_FRAME else 0.0
    even = np.abs(intervals - mean) <= rounding + TOLERANCE * mean
    away = np.abs(times - times[0] - mean * np.arange(n + 1))
    if even.all() and (away <= rounding + DRIFT * mean).all():
        in_place = min(NEAR, DRIFT / n)  # with the usual rate, the last frame is still within DRIFT of its place
        return usual_rate(1 / mean, min(max(in_place, rounding / span), NEAR_ROUNDED)), False
    return _median_rate(intervals), True


def rate_with_face(times: np.ndarray, moments: np.ndarray, seen: np.ndarray) -> float | None:
    """The frame rate of the parts of a video of variable rate that show a face. None if no part does.

    An interval between two frames counts if the moments before and after it, at which a face was looked for, both show
    one. The first and the last moment stand for what is beyond them.

    Parameters
    ----------
    times : ndarray of float64, (n,)
        Those of the video's frames: seconds, ascending.
    moments : ndarray of float64, (m,)
        Seconds, ascending.
    seen : ndarray of bool, (m,)
        Whether there is a face at each moment.
    """
    if not seen.any():
        return None
    after = np.searchsorted(moments, (times[:-1] + times[1:]) / 2)
    last = len(moments) - 1
    with_face = seen[np.clip(after - 1, 0, last)] & seen[np.clip(after, 0, last)]
    return _median_rate(np.diff(times)[with_face]) if with_face.any() else None


def _median_rate(intervals: np.ndarray) -> float:
    """The frame rate for the median of intervals (seconds)."""
    return usual_rate(1 / float(np.median(intervals)), NEAR_VARIABLE, whole_first=True)


def remark_on_rate(name: str, times: np.ndarray, fps: float, with_face: bool) -> str:
    """A remark on a variable rate: from `times` (seconds) to `fps`, which may be that of the parts `with_face`."""
    intervals = np.diff(times)
    slowest_to_fastest = f"{1 / intervals.max():.3g} to {1 / intervals.min():.3g} per second"
    where = ", the rate where there is a face" if with_face else ""
    return f"{name}: its frame rate is variable ({slowest_to_fastest}): resampled to {fps:.4g}{where}"


def rate_without_times(name: str, declared: float, n: int) -> tuple[float, str]:
    """The frame rate of a video of `n` frames without times, and a remark ("" if there are no two frames).

    `declared` is the rate in the file, 0 if it has none.
    """
    fps = declared if LOWEST_RATE <= declared <= HIGHEST_RATE else UNKNOWN_RATE
    return fps, f"{name}: has no timestamps; {fps:.4g} frames per second are assumed" if n > 1 else ""


def usual_rate(fps: float, share: float, whole_first: bool = False) -> float:
    """The nearest usual rate that differs by at most `share` of `fps`; `fps` itself if there is none.

    `whole_first`: a whole number is preferred to a nearer rate that is none, such as 30 to 29.97.
    """
    near = [rate for rate in USUAL_RATES if abs(rate - fps) <= share * fps]
    return float(min(near, key=lambda rate: (whole_first and rate % 1 > 0, abs(rate - fps)), default=fps))


def remark_on_end(name: str, times: np.ndarray, duration: float) -> str:
    """A remark if the frames end well before `duration` (seconds, from the file's header), else "".

    The header's duration is used for nothing else.
    """
    if not len(times):
        return ""
    there = float(times[-1] - times[0])
    if duration - there <= max(CUT_OFF_S, CUT_OFF * duration):
        return ""
    return f"{name}: its pictures end after {there:.1f} s, but its header gives {duration:.1f} s: it may be cut off"
