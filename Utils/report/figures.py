"""Figures of a run: one PNG for each video, with scores above, and annotated and predicted intervals below.

They are drawn with matplotlib's objects on an Agg canvas, without a display and without the global state of pyplot. So
several processes can draw at the same time, and equal input gives equal bytes. The user's matplotlibrc is not used.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from Utils.evaluation.metrics import IOU_THRESHOLD
from Utils.evaluation.tables import Interval, group_by_video
from Utils.records import OTHERS
from Utils.report.colours import GREY, emotion_colours, finite
from Utils.work.cache import atomic_file

DPI = 110  # pixels of an inch
WIDTH = 12.0  # inches; width of every figure
LEFT, RIGHT, TOP, BOTTOM = 0.95, 0.2, 0.85, 1.12  # inches around the panels of a video's figure
SCORE_HEIGHT, LANE_HEIGHT, GAP = 2.9, 0.19, 0.08  # inches; GAP is between the panels of scores and of tracks
HEADING_AT, LEGENDS_AT = 0.16, (0.34, 0.1)  # inches; heading from the top, the two lines of legends from the bottom

# Tracks: heights in lanes
MAX_LANES = 9  # lanes of a track; if labels would need more, they are shortened, then left out
TRACK_MARGIN = 0.25  # above and below each track
BAR_HEIGHT, APEX_HEIGHT = 0.64, 0.8

# Bars and labels: sizes in pixels
LABEL_SIZE = 8.0  # points
LABEL_LETTERS, SHORT_LETTERS = 14, 3  # of an emotion's name; the short one is used if there is little room
TITLE_LETTERS = 60
LABEL_GAP, NEIGHBOUR_GAP = 4.0, 11.0  # between a bar and its label; between one bar and the next
MIN_BAR, NARROW_BAR = 6.0, 12.0  # least width of a bar; a bar below the second has no room for hatching and apex
CUT = 10.0  # a bar that reaches beyond the panel is drawn so much further, so that its border is not seen at the edge

# Score panel
PEAK_SIZE, SMALL_PEAK_SIZE = 6.5, 4.5  # points
MANY_PEAKS = 80  # from this number on, markers of peaks are small
SCORE_TICKS, TIME_TICKS = 7, 14  # most ticks of an axis
ROOM = 0.08  # share of the range of scores that is left free above and below
ROOM_IF_EQUAL = 0.1  # the same if all scores are equal: share of their value, or this number if they are 0

HATCH = "//////"
INK, RAW = "#222222", "#B4BCC4"
ROUND_STEPS = (1, 2, 2.5, 5, 10)  # possible distances of ticks, times a power of ten
FONT = "DejaVu Sans"  # it comes with matplotlib
STYLE = [
    "default",
    {
        "font.family": FONT,
        "font.size": 9,
        "text.parse_math": False,
        "axes.edgecolor": "#666666",
        "axes.linewidth": 0.8,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#E8E8E8",
        "grid.linewidth": 0.7,
        "hatch.linewidth": 0.9,
        "legend.frameon": False,
        "savefig.dpi": DPI,
    },
]


@dataclass(frozen=True)
class VideoFigure:
    """What the figure of one video shows.

    Attributes
    ----------
    path : Path
        The PNG.
    title : str
    raw, smoothed : ndarray, (n,)
        Spotting score of each feature. Feature i is drawn at frame i.
    threshold : float or None
        Height that a peak must reach. None if there is one prediction for each video, which needs no threshold.
    k_prime : int
        Frames; the score is smoothed over 2k'.
    fps : float
        Frames per second.
    predictions, annotations : DataFrame
        The rows of this video, with the columns of Utils/evaluation/tables.py. Frames can be outside the video.
    classes : sequence of str
        The evaluated emotions. Their order decides their colours.
    matched_predictions, matched_annotations : collection of int
        The rows of `predictions` and of `annotations` that the evaluation matched.
    """

    path: Path
    title: str
    raw: np.ndarray
    smoothed: np.ndarray
    threshold: float | None
    k_prime: int
    fps: float
    predictions: pd.DataFrame
    annotations: pd.DataFrame
    classes: Sequence[str]
    matched_predictions: Collection[int]
    matched_annotations: Collection[int]


class Bar(NamedTuple):
    """An interval as it is drawn. `left`, `right` and `text_x` are pixels from the panel's left edge."""

    interval: Interval
    matched: bool
    left: float
    right: float
    text: str
    text_x: float
    lane: int


def draw_video(video: VideoFigure) -> None:
    """Write the figure of one video. This is a unit of work.

    Raises
    ------
    ValueError
        There are no scores, or not as many smoothed as raw ones; a table breaks a rule of evaluation/tables.py; or the
        tables have rows of two videos.
    """
    n = len(video.raw)
    if n == 0 or len(video.smoothed) != n:
        raise ValueError(f"{video.title}: {n} raw and {len(video.smoothed)} smoothed scores; they must come in pairs")
    annotated, predicted = _intervals(video)
    beyond = max([interval.offset for interval, _ in annotated + predicted], default=0) - (n - 1)
    # The frames at the left and the right edge. A frame reaches half a frame to each side of its number. Intervals can
    # end after the last feature, so up to k' frames are added.
    span = (-0.5, n - 0.5 + min(max(beyond, 0), video.k_prime))
    colours = emotion_colours(video.classes)
    tracks = [_pack(intervals, span) for intervals in (annotated, predicted)]
    lanes = [max([bar.lane + 1 for bar in bars], default=1) for bars in tracks]
    tracks_height = LANE_HEIGHT * (sum(lanes) + 4 * TRACK_MARGIN)
    height = TOP + SCORE_HEIGHT + GAP + tracks_height + BOTTOM
    with new_figure(video.path, height) as figure:
        score_axes = _panel(figure, TOP, SCORE_HEIGHT)
        track_axes = _panel(figure, TOP + SCORE_HEIGHT + GAP, tracks_height)
        _draw_scores(score_axes, video, span)
        _draw_marks(score_axes, video, tracks, colours)
        _draw_tracks(track_axes, tracks, lanes, span, colours)
        _label_time(score_axes, track_axes, video.fps, span)
        outside = len(annotated) + len(predicted) - sum(map(len, tracks))
        _draw_heading(figure, video.title, annotated, predicted, outside)
        _draw_legends(figure, video, colours, {i.emotion for i, _ in annotated + predicted})


def _intervals(video: VideoFigure) -> tuple[list[tuple[Interval, bool]], list[tuple[Interval, bool]]]:
    """The annotated and the predicted intervals in order of time, each with whether it is matched."""
    grouped = group_by_video(video.predictions, video.annotations)
    if len(grouped) > 1:
        raise ValueError(f"{video.title}: rows of {grouped[0].label} and {grouped[1].label}; give those of one video")
    if not grouped:
        return [], []
    rows = grouped[0].in_time_order()
    predicted = [(interval, interval.row in video.matched_predictions) for interval in rows.predicted]
    return [(interval, interval.row in video.matched_annotations) for interval in rows.annotated], predicted


def _pack(intervals: list[tuple[Interval, bool]], span: tuple[float, float]) -> list[Bar]:
    """Give every interval within `span` a bar, a label and a lane in which nothing overlaps it.

    If more than `MAX_LANES` lanes would be needed, labels are shortened, then left out. If that is not enough either,
    some bars overlap.
    """
    in_sight = [(i, matched) for i, matched in intervals if i.onset - 0.5 < span[1] and i.offset + 0.5 > span[0]]
    bars: list[Bar] = []
    for letters in (LABEL_LETTERS, SHORT_LETTERS, 0):
        gap = NEIGHBOUR_GAP if letters else LABEL_GAP
        ends: list[float] = []  # right end of the last bar in each lane
        bars = []
        for bar in sorted((_bar(interval, matched, span, letters) for interval, matched in in_sight), key=_extent):
            left, right = _extent(bar)
            lane = next((k for k, end in enumerate(ends) if end + gap <= left), len(ends))
            ends[lane : lane + 1] = [right]
            bars.append(bar._replace(lane=lane))
        if len(ends) <= MAX_LANES:
            return bars
    return [bar._replace(lane=bar.lane % MAX_LANES) for bar in bars]


def _bar(interval: Interval, matched: bool, span: tuple[float, float], letters: int) -> Bar:
    """An interval, clipped to the panel. Its label is to the right of it, or to the left if the panel ends there."""
    width = (WIDTH - LEFT - RIGHT) * DPI
    scale = width / (span[1] - span[0])
    left = max((interval.onset - 0.5 - span[0]) * scale, -CUT)
    right = min((interval.offset + 0.5 - span[0]) * scale, width + CUT)
    if right - left < MIN_BAR:
        left, right = (left + right - MIN_BAR) / 2, (left + right + MIN_BAR) / 2
    text = printable(interval.emotion or "?", letters) if letters else ""
    text = f"✓ {text}".strip() if matched else text
    length = _text_width(text)
    text_x = right + LABEL_GAP
    if text_x + length > width - LABEL_GAP:
        text_x = left - LABEL_GAP - length
    if text_x < LABEL_GAP:
        text_x = (left + right - length) / 2  # the bar fills the panel, so the label is on top of it
    return Bar(interval, matched, left, right, text, text_x, 0)


def _extent(bar: Bar) -> tuple[float, float]:
    """The left and the right end of a bar with its label, pixels."""
    if not bar.text:
        return bar.left, bar.right
    return min(bar.left, bar.text_x), max(bar.right, bar.text_x + _text_width(bar.text))


@lru_cache(maxsize=256)
def _text_width(text: str) -> float:
    """Width of a label, pixels."""
    font = FontProperties(family=FONT, size=LABEL_SIZE)
    return RendererAgg(1, 1, DPI).get_text_width_height_descent(text, font, ismath=False)[0] if text else 0.0


def _draw_scores(axes: Axes, video: VideoFigure, span: tuple[float, float]) -> None:
    """The score panel: raw and smoothed curve, and the threshold."""
    marker = dict(marker="o", markersize=3) if len(video.raw) == 1 else {}  # a line through one point is not visible
    frames = np.arange(len(video.raw))
    axes.plot(frames, finite(video.raw), color=RAW, linewidth=0.8, zorder=2, **marker)
    axes.plot(frames, finite(video.smoothed), color=INK, linewidth=1.6, zorder=3, **marker)
    heights = np.concatenate([finite(video.raw), finite(video.smoothed)])
    if video.threshold is not None:
        axes.axhline(video.threshold, color=INK, linewidth=1.1, linestyle=(0, (5, 3)), zorder=2.5)
        heights = np.append(heights, finite([video.threshold]))
    heights = heights[np.isfinite(heights)]
    low, high = (heights.min(), heights.max()) if len(heights) else (0.0, 1.0)
    room = ROOM * (high - low) or ROOM_IF_EQUAL * abs(high) or ROOM_IF_EQUAL
    axes.set_ylim(low - room, high + room)
    axes.set_xlim(*span)
    axes.set_ylabel("spotting score")
    axes.yaxis.set_major_locator(MaxNLocator(SCORE_TICKS, steps=ROUND_STEPS))


def _draw_marks(axes: Axes, video: VideoFigure, tracks: list[list[Bar]], colours: Mapping) -> None:
    """In the score panel: annotated intervals as shades behind the curves, predicted peaks on the smoothed curve."""
    for bar in tracks[0]:
        interval, colour = bar.interval, colours.get(bar.interval.emotion, GREY)
        first, last = np.clip([interval.onset - 0.5, interval.offset + 0.5], *axes.get_xlim())
        axes.axvspan(first, last, color=colour, alpha=0.16, linewidth=0, zorder=1)
        if first <= interval.apex <= last:
            axes.axvline(interval.apex, color=colour, linewidth=1, zorder=1.5)
    size = PEAK_SIZE if len(tracks[1]) < MANY_PEAKS else SMALL_PEAK_SIZE
    for bar in tracks[1]:
        frame, colour = round(bar.interval.peak), colours.get(bar.interval.emotion, GREY)
        if 0 <= frame < len(video.smoothed) and np.isfinite(video.smoothed[frame]):
            fill = colour if bar.matched else "white"
            axes.plot(
                [frame], [video.smoothed[frame]], "o", markersize=size, color=fill, markeredgecolor=colour,
                markeredgewidth=size / 4, zorder=4,
            )  # fmt: skip


def _draw_tracks(
    axes: Axes, tracks: list[list[Bar]], lanes: list[int], span: tuple[float, float], colours: Mapping
) -> None:
    """The track of annotated intervals, and below it that of predicted ones. Heights are in lanes, from the top."""
    below_first = lanes[0] + 2 * TRACK_MARGIN
    starts = (TRACK_MARGIN, below_first + TRACK_MARGIN)
    for bars, start, count in zip(tracks, starts, lanes, strict=True):
        for bar in bars:
            _draw_bar(axes, bar, start + bar.lane + 0.5, span, colours.get(bar.interval.emotion, GREY))
        if not bars:
            axes.text(sum(span) / 2, start + count / 2, "none", color=GREY, style="italic", ha="center", va="center")
    axes.axhspan(0, below_first, color="#F6F6F6", zorder=0)
    axes.axhline(below_first, color="#666666", linewidth=0.8)
    axes.set_ylim(sum(lanes) + 4 * TRACK_MARGIN, 0)
    axes.set_yticks([start + count / 2 for start, count in zip(starts, lanes, strict=True)], ["annotated", "predicted"])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)


def _draw_bar(axes: Axes, bar: Bar, middle: float, span: tuple[float, float], colour: str) -> None:
    """A bar with its apex and its label. It is solid if the interval is matched, else hatched."""
    pixel = (span[1] - span[0]) / ((WIDTH - LEFT - RIGHT) * DPI)  # width of a pixel in frames
    left, right, text_x = (span[0] + x * pixel for x in (bar.left, bar.right, bar.text_x))
    narrow = bar.right - bar.left < NARROW_BAR
    bottom = middle - BAR_HEIGHT / 2
    box = Rectangle((left, bottom), right - left, BAR_HEIGHT, edgecolor=colour, linewidth=1.1, zorder=3)
    box.set(facecolor=colour if bar.matched else "white", hatch=None if bar.matched or narrow else HATCH)
    axes.add_patch(box)
    if not narrow and left <= bar.interval.apex <= right:
        ends = [middle - APEX_HEIGHT / 2, middle + APEX_HEIGHT / 2]
        axes.plot([bar.interval.apex] * 2, ends, color=INK, linewidth=1.6, zorder=4)
    label = axes.text(text_x, middle, bar.text, fontsize=LABEL_SIZE, color=INK, va="center_baseline", zorder=5)
    if left < text_x < right:
        label.set_bbox(dict(facecolor="white", edgecolor="none", alpha=0.85, pad=1))


def _label_time(score_axes: Axes, track_axes: Axes, fps: float, span: tuple[float, float]) -> None:
    """The axes of time: frames below the tracks, seconds above the scores."""
    for axes in (score_axes, track_axes):
        axes.set_xlim(*span)
        axes.xaxis.set_major_locator(MaxNLocator(TIME_TICKS, steps=ROUND_STEPS, integer=True, min_n_ticks=1))
    score_axes.tick_params(axis="x", length=0, labelbottom=False)
    track_axes.set_xlabel("frame")
    seconds = score_axes.secondary_xaxis("top", functions=(lambda frame: frame / fps, lambda time: time * fps))
    seconds.xaxis.set_major_locator(MaxNLocator(TIME_TICKS, steps=ROUND_STEPS))
    seconds.spines["top"].set_visible(False)  # the panel already has a line there
    seconds.set_xlabel("time (s)")


def _draw_heading(figure: Figure, title: str, annotated: list, predicted: list, outside: int) -> None:
    """The title, and how many intervals there are. `outside` is the number of those that are not drawn."""
    matched = sum(hit for _, hit in predicted)
    counts = f"{len(annotated)} annotated, {len(predicted)} predicted, {matched} true positive{'s' * (matched != 1)}"
    counts += f", {outside} outside the video" if outside else ""
    y = 1 - HEADING_AT / figure.get_figheight()
    figure.text(LEFT / WIDTH, y, printable(title, TITLE_LETTERS), fontsize=12, fontweight="bold", va="top")
    figure.text(1 - RIGHT / WIDTH, y, counts, fontsize=10, ha="right", va="top")


def _draw_legends(figure: Figure, video: VideoFigure, colours: Mapping, emotions: set[str | None]) -> None:
    """Two lines at the bottom: one for the curves and the marks on them, one for the bars and their colours."""
    lines = [
        Line2D([], [], color=RAW, linewidth=1.2, label="raw score"),
        Line2D([], [], color=INK, linewidth=1.6, label=f"smoothed over 2k' = {2 * video.k_prime} frames"),
    ]
    if video.threshold is not None:
        text = f"threshold T = {video.threshold:.3g}"
        lines.append(Line2D([], [], color=INK, linewidth=1.1, linestyle=(0, (5, 3)), label=text))
    dot = dict(linestyle="none", marker="o", markersize=PEAK_SIZE, markeredgecolor=INK, markeredgewidth=1.5)
    lines.append(Line2D([], [], color=INK, label="peak: true positive", **dot))
    lines.append(Line2D([], [], color="white", label="peak: false positive", **dot))
    lines.append(
        Line2D([], [], color=INK, linestyle="none", marker="|", markersize=9, markeredgewidth=1.6, label="apex")
    )
    bars = [
        Patch(facecolor=INK, edgecolor=INK, label=f"✓ matched (IoU ≥ {IOU_THRESHOLD:g})"),
        Patch(facecolor="white", edgecolor=INK, hatch=HATCH, label="not matched"),
    ]
    named = [(printable(name, LABEL_LETTERS), colour) for name, colour in colours.items() if name != OTHERS]
    bars += [Patch(color=colour, label=label) for label, colour in named]
    if OTHERS in colours or emotions - colours.keys():
        bars.append(Patch(color=GREY, label="others, unknown"))
    centre = (LEFT + WIDTH - RIGHT) / 2 / WIDTH
    for handles, inches in zip((lines, bars), LEGENDS_AT, strict=True):
        figure.legend(
            handles=handles, loc="lower center", bbox_to_anchor=(centre, inches / figure.get_figheight()),
            ncols=len(handles), fontsize=8.5, borderpad=0, borderaxespad=0, handlelength=1.8, columnspacing=1.6,
        )  # fmt: skip


@contextmanager
def new_figure(path: Path, height: float) -> Iterator[Figure]:
    """A figure, `WIDTH` by about `height` inches. It is written to `path`, without a date, when the block ends."""
    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(WIDTH, round(height * DPI) / DPI), dpi=DPI)
        FigureCanvasAgg(figure)
        yield figure
        with atomic_file(Path(path)) as scratch:
            figure.savefig(scratch, format="png", metadata={"Software": None})
        figure.clear()


def _panel(figure: Figure, top: float, height: float) -> Axes:
    """New axes between the side margins, `height` inches high and `top` inches below the figure's upper edge."""
    total = figure.get_figheight()
    return figure.add_axes((LEFT / WIDTH, 1 - (top + height) / total, 1 - (LEFT + RIGHT) / WIDTH, height / total))


def printable(text: str, length: int) -> str:
    """At most `length` characters of a text. Those that the font does not have become a box.

    A text that is cut ends with three dots, except if it is as short as `SHORT_LETTERS`.
    """
    glyphs = _glyphs()
    shown = "".join(c if c.isprintable() and ord(c) in glyphs else "□" for c in text)
    if len(shown) <= length:
        return shown
    if length <= SHORT_LETTERS:
        return shown[:length]
    return shown[: length - 1].rstrip() + "…"


@lru_cache(maxsize=1)
def _glyphs() -> frozenset[int]:
    """The characters that `FONT` has, as Unicode code points."""
    return frozenset(get_font(findfont(FontProperties(family=FONT))).get_charmap())
