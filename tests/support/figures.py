"""Figures that tests draw, and how they read them back: from matplotlib's objects, not from the picture."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import same_color, to_hex
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox

from tests.support.quicker import without_rendering
from training_utils import smooth_scores, threshold
from Utils.evaluation.tables import GROUND_TRUTH_COLUMNS, PREDICTION_COLUMNS
from Utils.report.figures import VideoFigure

CLASSES = ("negative", "positive", "surprise")
BLUE, ORANGE, GREEN, GREY = "#0072b2", "#e69f00", "#009e73", "#8c8c8c"  # of the three classes in order, and of others
RAW, INK = "#b4bcc4", "#222222"

# frame      40     52       66     78         120     133                228     240           287  ...
# annotated  [negative]                        [surprise ]                [others  ]
# predicted [negative]       [surprise]          [positive]                                     [no emotion]
#            hit             miss                hit                      not found             miss
TYPICAL = dict(
    annotations=[(40, 46, 52, "negative"), (120, 127, 133, "surprise"), (228, 234, 240, "others")],
    predictions=[(38, 44, 50, "negative"), (66, 72, 78, "surprise"), (122, 128, 134, "positive"), (287, 293, 299, "")],
    matched_predictions=(0, 2),
    matched_annotations=(0, 1),
)


def table(columns: Sequence[str], *rows: Sequence) -> pd.DataFrame:
    """Rows (onset, apex, offset, emotion) of one video."""
    named = [dict(zip(("onset", "apex", "offset", "emotion"), row, strict=True)) for row in rows]
    return pd.DataFrame([dict(subject="s1", video="v1", score=0.5) | row for row in named], columns=list(columns))


def video_figure(
    path: Path,
    n: int = 297,
    predictions: Sequence[Sequence] = (),
    annotations: Sequence[Sequence] = (),
    matched_predictions: Collection[int] = (),
    matched_annotations: Collection[int] = (),
    k_prime: int = 6,
    **changes,
) -> VideoFigure:
    """What a video's figure shows, for random scores; rows are (onset, apex, offset, emotion).

    `matched_predictions` are the rows of `predictions` that are true positives, `matched_annotations` the rows of
    `annotations` that were found.
    This is the only place in the tests that makes a VideoFigure.
    """
    raw = np.random.default_rng(1).normal(0.2, 0.1, n).astype(np.float32)
    smoothed = smooth_scores(raw, k_prime)
    matches = dict(matched_predictions=matched_predictions, matched_annotations=matched_annotations)
    settings = dict(
        path=path,
        title="CAS(ME)^2  s15/0102",
        raw=raw,
        smoothed=smoothed,
        threshold=threshold(smoothed, 0.55),
        k_prime=k_prime,
        fps=30,
        predictions=table(PREDICTION_COLUMNS, *predictions),
        annotations=table(GROUND_TRUTH_COLUMNS, *annotations),
        classes=CLASSES,
    )
    return VideoFigure(**settings | matches | changes)


def history(epochs: int = 10, recognised: bool = True, seed: int = 0) -> dict[str, list[float]]:
    """Random curves of a training."""
    values = np.random.default_rng(seed).uniform(0.1, 1, (4, epochs)).tolist()
    names = ("spot_loss", "spot_mae", "recog_loss", "recog_accuracy")
    return dict(zip(names, values, strict=True)) if recognised else dict(zip(names[:2], values[:2], strict=True))


def png(path: Path) -> tuple[int, int, set[bytes]]:
    """Width and height in pixels, and the kinds of chunks in the file."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", data[16:24])
    chunks, at = set(), 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        chunks.add(data[at + 4 : at + 8])
        at += 12 + length
    return width, height, chunks


def kept_figures(monkeypatch, write: bool = True) -> list[Figure]:
    """From here on figures stay as they were drawn in this list. `write=False`: their files are empty (quicker)."""
    import Utils.report.figures

    kept: list[Figure] = []

    class Kept(Figure):
        def __init__(self, *args, **kwargs) -> None:
            super().__init__(*args, **kwargs)
            kept.append(self)

        def clear(self, keep_observers: bool = False) -> None:
            """The program clears a figure after writing it; Figure itself does before it draws."""
            if self not in kept:
                super().clear(keep_observers)

    monkeypatch.setattr(Utils.report.figures, "Figure", Kept)
    if not write:
        without_rendering(monkeypatch)
    return kept


# What is in the panels


def colour(artist) -> str:
    return to_hex(artist.get_color())


def curves(axes: Axes) -> list[Line2D]:
    """Lines over the panel's own coordinates; not those that run from border to border."""
    return [line for line in axes.lines if line.get_transform() == axes.transData and line.get_linestyle() != "None"]


def of_colour(lines: Sequence[Line2D], wanted: str) -> list[Line2D]:
    return [line for line in lines if same_color(line.get_color(), wanted)]


def dots(axes: Axes) -> list[tuple[float, float, str, str]]:
    """Markers without a line: x, y, colour of the edge and of the inside."""
    return [
        (*line.get_xydata()[0].tolist(), to_hex(line.get_markeredgecolor()), to_hex(line.get_markerfacecolor()))
        for line in axes.lines
        if line.get_linestyle() == "None" and line.get_marker() == "o"
    ]


def from_side_to_side(axes: Axes) -> list[Line2D]:
    """Horizontal lines from border to border."""
    return [line for line in axes.lines if line.get_transform() == axes.get_yaxis_transform(which="grid")]


def from_top_to_bottom(axes: Axes) -> list[Line2D]:
    """Vertical lines from border to border."""
    return [line for line in axes.lines if line.get_transform() == axes.get_xaxis_transform(which="grid")]


def shades(axes: Axes) -> list[tuple[float, float, str]]:
    """Vertical bands from border to border: first and last x, colour."""
    return [
        (p.get_x(), p.get_x() + p.get_width(), to_hex(p.get_facecolor()))
        for p in axes.patches
        if (p.get_y(), p.get_height()) == (0, 1)
    ]


class DrawnBar(NamedTuple):
    """An interval's bar as it stands in the lower panel, in frames and in lanes from the top."""

    first: float
    last: float
    middle: float
    colour: str  # of its edge
    solid: bool
    hatched: bool
    label: str
    apex: float | None
    extent: Bbox  # with its label, in pixels


def bars(figure: Figure) -> list[DrawnBar]:
    """The bars of the lower panel, annotated ones first, then by time. A bar's label is the text beside or on it."""
    axes = figure.axes[1]
    renderer = figure.canvas.get_renderer()
    found = []
    labels = [(text, text.get_window_extent(renderer)) for text in axes.texts if text.get_text()]
    apexes = [(line.get_xdata()[0], np.mean(line.get_ydata())) for line in curves(axes)]
    for box in axes.patches:
        if box.get_height() >= 1:
            continue  # the shade of a track; bars are less than a lane high
        first, last = box.get_x(), box.get_x() + box.get_width()
        middle = box.get_y() + box.get_height() / 2
        drawn = box.get_window_extent(renderer)
        beside = [(text, e) for text, e in labels if abs(text.get_position()[1] - middle) < 0.01]
        near = [(text, e) for text, e in beside if e.x0 - drawn.x1 < 8 and drawn.x0 - e.x1 < 8]
        ticks = [apex for apex, height in apexes if first <= apex <= last and abs(height - middle) < 0.01]
        filled = not same_color(box.get_facecolor(), "white")
        if filled:
            assert same_color(box.get_facecolor(), box.get_edgecolor())
        found.append(
            DrawnBar(
                first, last, middle, to_hex(box.get_edgecolor()), filled, bool(box.get_hatch()),
                near[0][0].get_text() if near else "", ticks[0] if ticks else None,
                Bbox.union([drawn, near[0][1]]) if near else drawn,
            )
        )  # fmt: skip
    (border,) = from_side_to_side(axes)
    return sorted(found, key=lambda bar: (bar.middle > border.get_ydata()[0], bar.first))


def entries(legend: Legend) -> list[str]:
    return [text.get_text() for text in legend.get_texts()]


def handle(figure: Figure, words: str):
    """The legends' sample beside a text that begins with `words`."""
    (found,) = (
        one
        for legend in figure.legends
        for one, text in zip(legend.legend_handles, legend.get_texts(), strict=True)
        if text.get_text().startswith(words)
    )
    return found


def assert_nothing_overlaps(figure: Figure, apart: Callable[[Figure], list] | None = None) -> None:
    """Headings, panels with their labels, and legends lie inside the picture and beside one another."""
    renderer = figure.canvas.get_renderer()
    parts = [*figure.texts, *figure.axes, *figure.legends]
    boxes = [part.get_tightbbox(renderer) for part in parts]
    picture = Bbox.from_extents(-1, -1, figure.bbox.width + 1, figure.bbox.height + 1)
    for i, box in enumerate(boxes):
        assert picture.x0 <= box.x0 < box.x1 <= picture.x1 and picture.y0 <= box.y0 < box.y1 <= picture.y1, parts[i]
        for j in range(i):
            assert not box.padded(-0.5).overlaps(boxes[j].padded(-0.5)), (parts[i], parts[j])
