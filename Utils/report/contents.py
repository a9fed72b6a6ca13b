"""What a report shows of each video: the curve of its scores, its intervals, and their rows in the table."""

from __future__ import annotations

import base64
import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from Utils.evaluation.tables import Interval, VideoIntervals, group_by_video
from Utils.records import MICRO
from Utils.report.colours import GREY, finite

CSV_COLUMNS = (
    "subject", "video", "face", "kind", "onset", "apex", "offset", "onset_s", "apex_s", "offset_s", "score", "emotion",
    "confidence", "matched",
)  # fmt: skip
MAX_LANES = 6  # lanes of a track; if more intervals overlap, some are drawn over others
CSV_DIGITS = 6  # decimal places in the CSV that the page can save

Kind = Literal["predicted", "annotated"]


@dataclass(frozen=True)
class Curve:
    """One video of a dataset, or one face in a video of the user.

    Attributes
    ----------
    subject, video : str
        As in the tables.
    face : str
        Which face of the video; "" if there is only one.
    fps : float
        Frames per second.
    raw, smoothed : ndarray, (n,)
        Spotting score of each feature. Feature i is drawn at frame i. NaN where the face is not scored: a gap.
    threshold : float or None
        Height that a peak must reach. None if there is one prediction for each video, which needs no threshold.
    k_prime : int
        Frames; the score is smoothed over 2k'.
    predictions, annotations : DataFrame
        The rows of this video, with the columns of evaluation/tables.py. Either can be empty. Frames can be outside
        the curve.
    matches : sequence of (int, int)
        (row of `predictions`, row of `annotations`) of each pair that the evaluation matched.
    clip : callable or None
        ("predicted" or "annotated", position of a row in that table) -> what `Utils.report.clip.clip_data` gives, or
        None if there are no pictures. It is called once for each interval.
    kind : {"micro", "macro"}
        The kind of the expressions.
    several_kinds : bool
        Whether the page has curves of both kinds, so that each must be named.
    companion : (str, ndarray) or None
        The other kind of expressions and its smoothed score of this video, (m,). It is drawn thinly in the same plot.
    remarks : sequence of str
        For example on parts without a face.
    eaf : str
        An ELAN file of this video, with a tier for each of its faces and without expressions: the page fills it with
        what was reviewed. "" if the page cannot save one.
    without_threshold : str
        How predictions are chosen if there is no threshold.
    """

    subject: str
    video: str
    face: str
    fps: float
    raw: np.ndarray
    smoothed: np.ndarray
    threshold: float | None
    k_prime: int
    predictions: pd.DataFrame
    annotations: pd.DataFrame
    matches: Sequence[tuple[int, int]]
    clip: Callable[[Kind, int], dict | None] | None
    kind: str = MICRO
    several_kinds: bool = False
    companion: tuple[str, np.ndarray] | None = None
    remarks: Sequence[str] = ()
    eaf: str = ""
    without_threshold: str = "the highest point is taken"

    @property
    def label(self) -> str:
        """`subject/video, face, kind`, as headings and the selector show it."""
        name = f"{self.subject}/{self.video}" if self.subject else self.video
        named = [f"face {self.face}"] if self.face else []
        named += [f"{self.kind}-expressions"] if self.several_kinds else []
        return ", ".join([name, *named])


class CurveContents(NamedTuple):
    """What the page has about one curve."""

    label: str  # its heading
    option: str  # its line in the list from which users choose a curve
    blind_option: str  # the same for a blind review
    data: dict  # what the script draws
    clips: list[dict | None]  # the moving picture of each of its intervals
    rows: list[dict]  # its rows in the table of expressions, in order of onset
    intervals: VideoIntervals
    n_matched: int


def curve_contents(number: int, curve: Curve, colours: Mapping[str, str]) -> CurveContents:
    """Everything that the page has about one curve. This makes its clips.

    Parameters
    ----------
    number : int
        Position among the curves of the page, from 0.
    curve : Curve
    colours : mapping
        Emotion -> "#rrggbb". Any other emotion is grey.

    Raises
    ------
    ValueError
        There are no scores, or not as many smoothed as raw ones; the frame rate is not positive; a table breaks a rule
        of Utils/evaluation/tables.py or has rows of another video; or crops have another shape or type.
    """
    n = len(curve.raw)
    if n == 0 or np.ndim(curve.raw) != 1 or np.shape(curve.smoothed) != (n,):
        raise ValueError(f"{curve.label}: raw and smoothed scores {np.shape(curve.raw)}, {np.shape(curve.smoothed)}")
    if not (math.isfinite(curve.fps) and curve.fps > 0):
        raise ValueError(f"{curve.label}: {curve.fps} frames per second")
    video = group_by_video(curve.predictions, curve.annotations, [(curve.subject, curve.video)])[0].in_time_order()
    matched = {"predicted": {i for i, _ in curve.matches}, "annotated": {j for _, j in curve.matches}}
    rows = [
        _row(number, curve, kind, interval, interval.row in matched[kind], bool(video.annotated), colours)
        for kind, intervals in (("predicted", video.predicted), ("annotated", video.annotated))
        for interval in intervals
    ]
    lanes = [lane for intervals in (video.predicted, video.annotated) for lane in _lanes(intervals)]
    drawn = [_drawn(curve, row, lane) for row, lane in zip(rows, lanes, strict=True)]
    clips = [curve.clip(row["kind"], row["source"]) if curve.clip else None for row in rows]
    data = {
        "label": curve.label,
        "subject": curve.subject,
        "video": curve.video,
        "face": curve.face,
        "frames": n,
        "k_prime": curve.k_prime,
        "expressions": curve.kind,
        "eaf": curve.eaf,
        "fps": float(curve.fps),
        "raw": float32_base64(curve.raw),
        "smoothed": float32_base64(curve.smoothed),
        "companion": curve.companion and [curve.companion[0], float32_base64(curve.companion[1])],
        "threshold": curve.threshold if curve.threshold is None else float(curve.threshold),
        "summary": summary(curve, video, len(curve.matches)),
        "blind_summary": f"{_length(curve)}; {_counts(video)}.",
        "remarks": [str(remark) for remark in curve.remarks],
        "intervals": drawn,
    }
    for position, row in enumerate(rows):
        row["position"] = position
    rows.sort(key=lambda row: (row["onset"], row["offset"], row["kind"] == "predicted"))
    options = [f"{curve.label} ({_counts(video, matches)})" for matches in (len(curve.matches), None)]
    return CurveContents(curve.label, *options, data, clips, rows, video, len(curve.matches))


def summary(curve: Curve, video: VideoIntervals, matched: int) -> str:
    """The plot in words, for people who cannot see it. `matched` is the number of matches."""
    n, smoothed = len(curve.raw), finite(curve.smoothed)
    scored = smoothed[np.isfinite(smoothed)]
    parts = [_length(curve)]
    if len(scored):
        highest = int(np.nanargmax(smoothed))
        parts.append(
            f"the smoothed score lies between {scored.min():.3g} and {scored.max():.3g}, highest at "
            f"{highest / curve.fps:.2f} s (frame {highest})"
        )
    parts.append(f"it is the mean over {2 * curve.k_prime} frames, {2 * curve.k_prime / curve.fps:.2f} s")
    if n > len(scored):
        parts.append(f"{(n - len(scored)) / curve.fps:.1f} seconds are not scored")
    parts.append(curve.without_threshold if curve.threshold is None else f"threshold {curve.threshold:.3g}")
    return "; ".join([*parts, _counts(video, matched)]) + "."


def float32_base64(values: np.ndarray) -> str:
    """Values as little-endian float32 in base64. Infinite values become NaN."""
    return base64.b64encode(finite(values).astype("<f4").tobytes()).decode("ascii")


def _length(curve: Curve) -> str:
    n = len(curve.raw)
    return f"{n / curve.fps:.1f} seconds ({n:,} frames at {curve.fps:g} frames per second)"


def _counts(video: VideoIntervals, matched: int | None = None) -> str:
    """The numbers of intervals, and of matches if they are given and the video is annotated."""
    parts = [f"{len(video.predicted)} predicted"]
    if video.annotated:
        parts.append(f"{len(video.annotated)} annotated")
        if matched is not None:
            parts.append(f"{matched} matched")
    return ", ".join(parts)


def _row(
    number: int, curve: Curve, kind: Kind, interval: Interval, matched: bool, annotated: bool, colours: Mapping
) -> dict:
    """A row of the table of expressions. What is unknown is None.

    `number` is the curve's position, and `annotated` is whether its video has annotations.
    """
    table = curve.predictions if kind == "predicted" else curve.annotations
    source = table.iloc[interval.row]
    apex = _whole(interval.apex)
    onset_s = _number(source.get("onset_s"), interval.onset / curve.fps)
    row = {
        "subject": curve.subject,
        "video": curve.video,
        "face": curve.face,
        "kind": kind,
        "onset": interval.onset,
        "apex": apex,
        "offset": interval.offset,
        "onset_s": onset_s,
        "apex_s": None if apex is None else onset_s + (apex - interval.onset) / curve.fps,
        "offset_s": _number(source.get("offset_s"), interval.offset / curve.fps),
        "score": _number(source.get("score")),
        "emotion": interval.emotion,
        "confidence": _number(source.get("confidence")),
        "matched": matched if annotated else None,
        "p_micro": _number(source.get("p_micro")),
        "motion_px": _number(source.get("motion_px")),
        "flags": str(source.get("flags", "")),
    }
    colour = colours.get(interval.emotion, GREY)
    named = curve.kind if curve.several_kinds else ""
    return row | {
        "curve": number, "source": interval.row, "colour": colour, "expressions": named, "csv": csv_line(row),
    }  # fmt: skip


def _whole(apex: float) -> float | None:
    """The apex as int if it is a whole number, as float if not, None if it is unknown (NaN)."""
    if math.isnan(apex):
        return None
    return int(apex) if apex == int(apex) else apex


def csv_line(row: Mapping) -> str:
    """The row as a line of a CSV file with the columns `CSV_COLUMNS`, without a line end."""
    cells = [_csv_cell(row[column]) for column in CSV_COLUMNS]
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()


def _csv_cell(value):
    """A value as in the CSV: "yes" or "no" for a truth value, numbers rounded, "" for what is unknown."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return round(value, CSV_DIGITS) if isinstance(value, float) else value


def _drawn(curve: Curve, row: Mapping, lane: int) -> dict:
    """An interval as the script draws it. "start", "end" and "peak" are seconds on the curve's axis.

    The bar begins half a frame before the onset and ends half a frame after the offset. An apex that is unknown or
    negative is replaced by the middle of the interval.
    """
    keys = (
        "kind", "onset", "apex", "offset", "onset_s", "offset_s", "score", "emotion", "confidence", "matched", "colour",
        "p_micro", "motion_px", "flags",
    )  # fmt: skip
    peak = row["apex"]
    if peak is None or peak < 0:
        peak = (row["onset"] + row["offset"]) / 2
    return {key: row[key] for key in keys} | {
        "start": (row["onset"] - 0.5) / curve.fps,
        "end": (row["offset"] + 0.5) / curve.fps,
        "peak": peak / curve.fps,
        "peak_frame": round(peak),
        "lane": lane,
    }


def _lanes(intervals: Sequence[Interval]) -> list[int]:
    """The lane of each interval, from 0: the first one in which it overlaps no other.

    The intervals are in order of onset. If none of `MAX_LANES` lanes is free, it is the lane that is free first.
    """
    ends: list[int] = []
    lanes = []
    for interval in intervals:
        lane = next((i for i, end in enumerate(ends) if end < interval.onset), len(ends))
        if lane == MAX_LANES:
            lane = int(np.argmin(ends))
        ends[lane : lane + 1] = [interval.offset]
        lanes.append(lane)
    return lanes


def _number(value, default: float | None = None) -> float | None:
    """A cell as float, or `default` if it is missing, NaN or infinite."""
    if value is None or pd.isna(value) or not math.isfinite(value):
        return default
    return float(value)
