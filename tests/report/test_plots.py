"""Figures and TensorBoard logs: what is drawn, read back from matplotlib's objects; kinds of files; odd input."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import same_color
from matplotlib.figure import Figure

from tests.support.figures import (
    BLUE,
    CLASSES,
    GREEN,
    GREY,
    INK,
    ORANGE,
    RAW,
    TYPICAL,
    assert_nothing_overlaps,
    bars,
    curves,
    dots,
    entries,
    from_side_to_side,
    from_top_to_bottom,
    handle,
    history,
    kept_figures,
    of_colour,
    png,
    shades,
    video_figure,
)
from tests.support.paths import PROJECT
from Utils.report.colours import finite
from Utils.report.figures import DPI, LEFT, MAX_LANES, RIGHT, WIDTH, draw_video, printable
from Utils.report.losses import plot_losses
from Utils.report.tensorboard_logs import EVENT_FILE, write_tensorboard

NAN = float("nan")
PANEL = (WIDTH - LEFT - RIGHT) * DPI  # pixels
NARROW = 12 * 297 / PANEL  # frames of a typical video; bars below this have no room for hatching and apex

pytestmark = pytest.mark.filterwarnings("error")  # glyphs, layout, limits: matplotlib warns of all of them


@pytest.fixture(scope="module")
def typical(tmp_path_factory) -> Figure:
    """The Figure of the typical video, which many tests look at. It is drawn once."""
    with pytest.MonkeyPatch.context() as patch:
        kept = kept_figures(patch, write=False)
        draw_video(video_figure(tmp_path_factory.mktemp("typical") / "v.png", **TYPICAL))
    return kept[-1]


@pytest.fixture
def drawn(typical, tmp_path, monkeypatch):
    """`drawn(...)`: the Figure of a video, see `video_figure`."""
    kept = kept_figures(monkeypatch, write=False)

    def draw(**settings) -> Figure:
        if settings == TYPICAL:
            return typical
        draw_video(video_figure(tmp_path / "v.png", **settings))
        return kept[-1]

    return draw


@pytest.fixture
def plotted(tmp_path, monkeypatch):
    """`plotted(histories)`: the Figure of a training."""
    kept = kept_figures(monkeypatch, write=False)

    def plot(histories) -> Figure:
        plot_losses(tmp_path / "losses.png", histories)
        return kept[-1]

    return plot


# The scores


def test_the_scores_are_drawn(tmp_path, drawn):
    video, upper = video_figure(tmp_path, **TYPICAL), drawn(**TYPICAL).axes[0]
    (raw,) = of_colour(curves(upper), RAW)
    (smoothed,) = of_colour([line for line in curves(upper) if len(line.get_xdata()) > 2], INK)
    for line, scores in ((raw, video.raw), (smoothed, video.smoothed)):
        np.testing.assert_array_equal(line.get_xdata(), np.arange(297))
        np.testing.assert_allclose(line.get_ydata(), scores)
        assert line.get_linestyle() == "-" and line.get_marker() == "None"
    assert smoothed.get_linewidth() > raw.get_linewidth() and smoothed.get_zorder() > raw.get_zorder()
    assert upper.get_ylabel() == "spotting score"
    assert upper.get_xlim() == (-0.5, 299.5)  # the last prediction ends at frame 299
    low, high = upper.get_ylim()
    heights = [*video.raw, *video.smoothed]
    assert low < min(heights) and high > max(heights)
    assert high - low < 1.3 * np.ptp(heights)  # the curves fill the panel
    assert 5 <= len([y for y in upper.get_yticks() if low <= y <= high]) <= 8


def test_the_threshold_is_a_dashed_line_where_it_selects(tmp_path, drawn):
    video, upper = video_figure(tmp_path, **TYPICAL), drawn(**TYPICAL).axes[0]
    (line,) = from_side_to_side(upper)
    assert list(line.get_xdata()) == [0, 1] and list(line.get_ydata()) == [video.threshold] * 2
    assert line.is_dashed() and same_color(line.get_color(), INK)
    assert not from_side_to_side(drawn(threshold=None, **TYPICAL).axes[0])
    low, high = drawn(threshold=9.0).axes[0].get_ylim()
    assert low < 0.2 and 9 < high < 12


def test_scores_that_are_all_the_same_have_room(drawn):
    same = dict(raw=np.full(297, 0.3), smoothed=np.full(297, 0.3))
    assert drawn(**same, threshold=0.3).axes[0].get_ylim() == pytest.approx((0.27, 0.33))
    zeros = dict(raw=np.zeros(297), smoothed=np.zeros(297))
    assert drawn(**zeros, threshold=0.0).axes[0].get_ylim() == pytest.approx((-0.1, 0.1))
    nothing = dict(raw=np.full(297, np.inf), smoothed=np.full(297, NAN))
    assert drawn(**nothing, threshold=NAN).axes[0].get_ylim() == pytest.approx((-0.08, 1.08))


def test_infinite_scores_are_gaps(drawn):
    raw = np.linspace(0, 1, 297)
    raw[10], raw[20], raw[30] = np.inf, -np.inf, NAN
    upper = drawn(raw=raw, **TYPICAL).axes[0]
    heights = of_colour(curves(upper), RAW)[0].get_ydata()
    assert np.flatnonzero(np.isnan(heights)).tolist() == [10, 20, 30]
    np.testing.assert_array_equal(np.delete(heights, [10, 20, 30]), np.delete(raw, [10, 20, 30]))


def test_a_single_score_is_a_point(drawn):
    upper = drawn(n=1).axes[0]
    assert [line.get_marker() for line in curves(upper)] == ["o", "o"]


# Marks in the panel of the scores


def test_annotated_intervals_are_shades_with_their_apex(drawn):
    """From half a frame before the onset to half a frame after the offset, in the emotion's colour, behind all."""
    upper = drawn(**TYPICAL).axes[0]
    assert shades(upper) == [(39.5, 52.5, BLUE), (119.5, 133.5, GREEN), (227.5, 240.5, GREY)]
    assert all(p.get_zorder() < min(line.get_zorder() for line in upper.lines) for p in upper.patches)
    assert all(0 < p.get_alpha() < 0.5 and p.get_linewidth() == 0 for p in upper.patches)
    apexes = [(line.get_xdata()[0], line.get_color().lower()) for line in from_top_to_bottom(upper)]
    assert apexes == [(46, BLUE), (127, GREEN), (234, GREY)]
    assert all(list(line.get_ydata()) == [0, 1] for line in from_top_to_bottom(upper))


@pytest.mark.parametrize(
    ("onset", "apex", "offset", "shade", "ticks"),
    [
        (-5, 2, 10, (-0.5, 10.5), [2]),
        (290, None, 10**9, (289.5, 302.5), []),  # beyond the last of 297 features by k' at most
        (5, -1, 20, (4.5, 20.5), []),
        (5, NAN, 20, (4.5, 20.5), []),
        (5, 40, 20, (4.5, 20.5), []),  # an apex outside its interval
    ],
)
def test_shades_end_where_the_panel_does(drawn, onset, apex, offset, shade, ticks):
    upper = drawn(annotations=[(onset, apex, offset, "negative")]).axes[0]
    assert shades(upper) == [(*shade, BLUE)]
    assert [line.get_xdata()[0] for line in from_top_to_bottom(upper)] == ticks


def test_predicted_peaks_stand_on_the_smoothed_score(tmp_path, drawn):
    """Filled in the emotion's colour where they are true positives, white inside where they are not."""
    height = video_figure(tmp_path).smoothed
    assert dots(drawn(**TYPICAL).axes[0]) == [
        (44, height[44], BLUE, BLUE),
        (72, height[72], GREEN, "#ffffff"),
        (128, height[128], ORANGE, ORANGE),
        (293, height[293], GREY, "#ffffff"),
    ]


def test_a_peak_outside_the_video_or_without_a_score_has_no_mark(drawn):
    scores = np.linspace(0, 1, 297)
    scores[50] = NAN
    outside = [(-8, -2, 4, "negative"), (290, 297, 303, "negative"), (44, 50, 56, "negative"), (94, 100, 106, "")]
    assert [x for x, *_ in dots(drawn(predictions=outside, smoothed=scores).axes[0])] == [100]
    no_apex = [(93, NAN, 107, "negative")]
    assert [x for x, *_ in dots(drawn(predictions=no_apex).axes[0])] == [100]  # the middle


def test_many_peaks_have_smaller_marks(drawn):
    def sizes(count):
        rows = [(j - 2, j, j + 2, "negative") for j in range(5, 5 + 3 * count, 3)]
        lines = drawn(n=400, predictions=rows).axes[0].lines
        return {line.get_markersize() for line in lines if line.get_linestyle() == "None"}

    (few,), (many,) = sizes(20), sizes(100)
    assert 3 < many < few < 8


# The tracks


def test_a_typical_video_has_a_bar_for_every_interval(drawn):
    """Annotated above predicted; solid where matched, hatched where not; the emotion beside it."""
    figure = drawn(**TYPICAL)
    found = bars(figure)
    assert [(b.label, b.colour, b.solid, b.hatched, b.apex) for b in found] == [
        ("✓ negative", BLUE, True, False, 46),
        ("✓ surprise", GREEN, True, False, 127),
        ("others", GREY, False, True, 234),
        ("✓ negative", BLUE, True, False, 44),
        ("surprise", GREEN, False, True, 72),
        ("✓ positive", ORANGE, True, False, 128),
        ("?", GREY, False, True, 293),
    ]
    edges = [(39.5, 52.5), (119.5, 133.5), (227.5, 240.5), (37.5, 50.5), (65.5, 78.5), (121.5, 134.5), (286.5, 299.5)]
    np.testing.assert_allclose([(b.first, b.last) for b in found], edges)
    lanes = np.array([b.middle for b in found]) - found[0].middle
    # the second prediction begins below the first one's label
    np.testing.assert_allclose(lanes, [0, 0, 0, 1.5, 2.5, 1.5, 1.5])
    for box in (p for p in figure.axes[1].patches if p.get_height() < 1):
        assert 0.4 < box.get_height() < 0.9  # of a lane


def test_the_tracks_are_told_apart(drawn):
    figure = drawn(**TYPICAL)
    lower = figure.axes[1]
    assert [text.get_text() for text in lower.get_yticklabels()] == ["annotated", "predicted"]
    annotated, predicted = ([b.middle for b in bars(figure)][part] for part in (slice(3), slice(3, None)))
    np.testing.assert_allclose(lower.get_yticks(), [np.mean([*{*annotated}]), np.mean([*{*predicted}])])
    (border,) = from_side_to_side(lower)
    height = border.get_ydata()[0]
    assert max(annotated) < height < min(predicted)
    (shade,) = (p for p in lower.patches if p.get_height() >= 1)
    assert (shade.get_y(), shade.get_y() + shade.get_height()) == (0, height)
    assert (shade.get_x(), shade.get_width()) == (0, 1) and shade.get_zorder() < 1
    assert not same_color(shade.get_facecolor(), "white")
    assert lower.get_ylim()[1] == 0 and lower.get_ylim()[0] > max(predicted)  # lanes count downwards
    assert not any(line.get_visible() for line in lower.get_ygridlines())
    assert all(tick.tick1line.get_markersize() == 0 for tick in lower.yaxis.get_major_ticks())


def test_an_empty_track_says_so(drawn):
    def words(**changes):
        lower = drawn(**changes).axes[1]
        return [(text.get_text(), *text.get_position()) for text in lower.texts]

    assert [word for word, *_ in words()] == ["none", "none"]
    middles = drawn().axes[1].get_yticks()
    assert [(x, y) for _, x, y in words()] == [(148, middles[0]), (148, middles[1])]
    one = [(40, 46, 52, "negative")]
    assert [word for word, *_ in words(annotations=one)] == ["negative", "none"]
    assert [word for word, *_ in words(predictions=one)] == ["none", "negative"]


def test_true_positives_are_those_that_are_given(drawn):
    #              0         1         2
    #              0123456789012345678901234
    # annotated    ..[=======]..............     [2, 10]
    # predicted    [=====].....[====].......     [0, 6]: IoU 5/11, [12, 17]
    #              ....[=======]............     [4, 12]: IoU 7/11
    rows = [(4, 8, 12, "positive"), (0, 3, 6, "positive"), (12, 14, 17, "positive")]
    matched = drawn(
        n=25, predictions=rows, annotations=[(2, 6, 10, "negative")], matched_predictions=[0], matched_annotations=[0]
    )
    assert [(round(b.apex), b.solid) for b in bars(matched)] == [(6, True), (3, False), (8, True), (14, False)]
    other = drawn(
        n=25,
        predictions=rows,
        annotations=[(2, 6, 10, "negative")],
        matched_predictions=[1, 2],
        matched_annotations=[0],
    )
    assert [(round(b.apex), b.solid) for b in bars(other)] == [(6, True), (3, True), (8, False), (14, True)]
    assert other.texts[1].get_text() == "1 annotated, 3 predicted, 2 true positives"
    assert [inside == edge for *_, edge, inside in dots(other.axes[0])] == [True, False, True]  # in time order


def test_a_narrow_bar_has_no_hatching_and_no_apex(drawn):
    wide, narrow = round(NARROW) + 1, round(NARROW) - 2
    figure = drawn(predictions=[(50, 51, 50 + wide, "negative"), (150, 151, 150 + narrow, "negative")])
    assert [(b.hatched, b.apex) for b in bars(figure)] == [(True, 51), (False, None)]


def test_a_bar_is_never_too_thin_to_see(drawn):
    figure = drawn(n=5000, predictions=[(2500, 2500, 2500, "negative")])
    (bar,) = bars(figure)
    assert (bar.last - bar.first) * PANEL / 5000 == pytest.approx(6)
    assert (bar.first + bar.last) / 2 == pytest.approx(2500, abs=1)


def test_bars_are_cut_beyond_the_panel_and_left_out_outside_it(drawn):
    figure = drawn(
        annotations=[(400, 410, 420, "surprise")],
        predictions=[(-(10**9), -5, 20, "positive"), (-20, -10, -2, "negative"), (290, 296, 10**9, "negative")],
    )
    first, last = bars(figure)  # the others are not in sight
    assert first.first < -0.5 and first.last == pytest.approx(20.5)
    assert last.first == pytest.approx(289.5) and last.last > 302.5
    assert max(-first.first, last.last - 302) < 5
    assert "none" in [text.get_text() for text in figure.axes[1].texts]
    assert figure.texts[1].get_text() == "1 annotated, 3 predicted, 0 true positives, 2 outside the video"


def test_a_label_on_its_bar_has_a_ground(drawn):
    """Where the bar fills the panel there is no room beside it."""
    (inside,) = (t for t in drawn(annotations=[(-5, 3, 400, "negative")]).axes[1].texts if t.get_text() == "negative")
    assert same_color(inside.get_bbox_patch().get_facecolor()[:3], "white")
    (beside,) = (t for t in drawn(annotations=[(5, 9, 20, "negative")]).axes[1].texts if t.get_text() == "negative")
    assert beside.get_bbox_patch() is None


def test_a_label_stands_to_the_right_of_its_bar_or_to_the_left_at_the_border(drawn):
    figure = drawn(predictions=[(20, 25, 30, "negative"), (280, 285, 290, "positive")])
    renderer = figure.canvas.get_renderer()
    for bar, right in zip(bars(figure), (True, False), strict=True):
        label = next(t for t in figure.axes[1].texts if t.get_text() == bar.label).get_window_extent(renderer)
        middle = figure.axes[1].transData.transform([((bar.first + bar.last) / 2, 0)])[0, 0]
        assert (label.x0 > middle) == right and (label.x1 < middle) == (not right)


def assert_bars_are_apart(figure: Figure) -> None:
    """No bar or label lies over another one of its lane, and no label is cut by the panel."""
    panel, found = figure.axes[1].get_window_extent(), bars(figure)
    for one, other in combinations(found, 2):
        if one.middle == other.middle:
            assert one.extent.x1 < other.extent.x0 or other.extent.x1 < one.extent.x0, (one, other)
    for bar in found:
        if bar.label:
            assert panel.x0 <= bar.extent.x0 + 11 and bar.extent.x1 - 11 <= panel.x1, bar


@pytest.mark.parametrize(
    ("n", "k_prime", "count"), [(5000, 37, 40), (5000, 6, 40), (5000, 37, 130), (297, 6, 40), (25, 6, 4)]
)
def test_labels_do_not_overlap(drawn, n, k_prime, count):
    rng = np.random.default_rng(count)
    peaks = np.sort(rng.choice(np.arange(0, n, max(1, k_prime // 2)), count, replace=False))
    rows = [(j - k_prime, j, j + k_prime, rng.choice(CLASSES)) for j in peaks.tolist()]
    figure = drawn(n=n, k_prime=k_prime, predictions=rows)
    found = bars(figure)
    assert len(found) == count and len({bar.middle for bar in found}) <= MAX_LANES
    assert_bars_are_apart(figure)
    if count <= 40 and n > 1000:
        assert {bar.label for bar in found} == set(CLASSES)  # in full


def test_where_labels_have_no_room_they_go(drawn):
    rows = [(j - 6, j, j + 6, "negative") for j in range(10, 4990, 9)]
    figure = drawn(n=5000, predictions=rows)
    found = bars(figure)
    assert {bar.label for bar in found} == {""} and len(found) == len(rows)
    assert_bars_are_apart(figure)
    assert figure.get_figheight() * DPI < 850


def test_more_bars_than_lanes_share_them(drawn):
    figure = drawn(predictions=[(j, j + 100, j + 200, "negative") for j in range(20)])
    found = bars(figure)
    assert [bar.first for bar in found] == pytest.approx([j - 0.5 for j in range(20)])
    assert len({bar.middle for bar in found}) == MAX_LANES


def test_bars_without_labels_stand_close_together(drawn):
    """Twenty long bars take all lanes, so no bar has a label; others then share a lane, five pixels apart."""
    close = [(j, j + 20, j + 39, "negative") for j in range(1000, 4900, 61)]
    figure = drawn(n=5000, predictions=[*((j, j + 100, j + 200, "negative") for j in range(20)), *close])
    found = bars(figure)[20:]
    assert len(found) == len(close) and {bar.label for bar in found} == {""}
    assert len({bar.middle for bar in found}) == 1


def test_labels_are_shortened_before_they_go(drawn):
    rows = [(j, j + 3, j + 6, "negative") for j in range(0, 290, 4)]
    figure = drawn(predictions=rows)
    assert {bar.label for bar in bars(figure)} == {"neg"}
    assert_bars_are_apart(figure)


def test_a_bar_stands_on_its_frames(drawn):
    (bar,) = bars(drawn(n=100, predictions=[(20, 25, 29, "negative")]))
    assert (bar.first, bar.last) == pytest.approx((19.5, 29.5))


# Axes, heading, legends


def test_time_runs_in_frames_below_and_in_seconds_above(drawn):
    figure = drawn(**TYPICAL)
    figure.draw_without_rendering()  # gives the axis of seconds its limits
    upper, lower = figure.axes
    assert upper.get_xlim() == lower.get_xlim() == (-0.5, 299.5)
    assert lower.get_xlabel() == "frame" and not upper.get_xlabel()
    assert list(upper.get_xticks()) == list(lower.get_xticks())
    assert all(tick == int(tick) for tick in lower.get_xticks())
    assert 10 <= len([tick for tick in lower.get_xticks() if 0 <= tick <= 296]) <= 15
    assert not any(text.get_visible() and text.get_text() for text in upper.get_xticklabels())
    assert all(tick.tick1line.get_markersize() == 0 for tick in upper.xaxis.get_major_ticks())
    (seconds,) = upper.child_axes
    assert seconds.get_xlabel() == "time (s)"
    assert seconds.get_xlim() == pytest.approx((-0.5 / 30, 299.5 / 30))
    assert not seconds.spines["top"].get_visible()
    assert 6 <= len([tick for tick in seconds.get_xticks() if 0 <= tick <= 9.88]) <= 15
    frames, times = np.array([0.0, 30.0, 150.0]), np.array([0.0, 1.0, 5.0])
    there = seconds.transData.transform(np.column_stack([times, np.zeros(3)]))[:, 0]
    np.testing.assert_allclose(there, upper.transData.transform(np.column_stack([frames, np.zeros(3)]))[:, 0])


@pytest.mark.parametrize("n", [1, 3, 7])
def test_frames_are_whole_numbers_in_short_videos(drawn, n):
    for axes in drawn(n=n, k_prime=1).axes:
        ticks = [tick for tick in axes.get_xticks() if -0.5 <= tick <= n - 0.5]
        assert ticks and set(ticks) <= {*range(n)}


def test_scores_have_few_ticks_whatever_their_range(drawn):
    for high in (0.13, 0.37, 0.71, 1.9, 4.4, 8.6):
        scores = np.linspace(0, high, 297)
        axes = drawn(raw=scores, smoothed=scores, threshold=None).axes[0]
        low, high = axes.get_ylim()
        assert 4 <= len([y for y in axes.get_yticks() if low <= y <= high]) <= 8


def test_the_panels_stand_above_one_another(drawn):
    figure = drawn(**TYPICAL)
    upper, lower = (axes.get_window_extent() for axes in figure.axes)
    assert upper.width == lower.width == pytest.approx(PANEL) and upper.x0 == lower.x0 == pytest.approx(LEFT * DPI)
    assert lower.y1 < upper.y0 < lower.y1 + 15
    assert upper.height > 2 * lower.height


def test_the_heading_names_the_video_and_counts(drawn):
    title, counts = drawn(**TYPICAL).texts
    assert title.get_text() == "CAS(ME)^2  s15/0102"
    assert counts.get_text() == "3 annotated, 4 predicted, 2 true positives"
    one = dict(
        annotations=[(40, 46, 52, "negative")],
        predictions=[(40, 46, 52, "negative")],
        matched_predictions=[0],
        matched_annotations=[0],
    )
    assert drawn(**one).texts[1].get_text() == "1 annotated, 1 predicted, 1 true positive"
    assert drawn(title="v" * 300).texts[0].get_text() == "v" * 59 + "…"


def test_the_legends_explain_what_is_drawn(tmp_path, drawn):
    video, figure = video_figure(tmp_path), drawn(**TYPICAL)
    curves_and_marks, of_bars = figure.legends
    assert entries(curves_and_marks) == [
        "raw score", "smoothed over 2k' = 12 frames", f"threshold T = {video.threshold:.3g}",
        "peak: true positive", "peak: false positive", "apex",
    ]  # fmt: skip
    assert entries(of_bars) == ["✓ matched (IoU ≥ 0.5)", "not matched", *CLASSES, "others, unknown"]
    assert [same_color(handle(figure, "raw").get_color(), RAW), handle(figure, "threshold").is_dashed()] == [True, True]
    assert same_color(handle(figure, "smoothed").get_color(), INK)
    hit, miss = (handle(figure, f"peak: {name} positive") for name in ("true", "false"))
    assert same_color(hit.get_markerfacecolor(), INK) and same_color(miss.get_markerfacecolor(), "white")
    assert {(one.get_marker(), one.get_linestyle()) for one in (hit, miss)} == {("o", "None")}
    assert handle(figure, "apex").get_marker() == "|" and handle(figure, "apex").get_linestyle() == "None"
    assert handle(figure, "not matched").get_hatch() and not handle(figure, "✓").get_hatch()
    for words, wanted in zip((*CLASSES, "others"), (BLUE, ORANGE, GREEN, GREY), strict=True):
        assert same_color(handle(figure, words).get_facecolor(), wanted)
    assert all(len({round(e.y0) for e in map(extent_of(figure), legend.get_texts())}) <= 3 for legend in figure.legends)


def extent_of(figure: Figure):
    return lambda artist: artist.get_window_extent(figure.canvas.get_renderer())


def test_the_legends_have_only_what_there_is(drawn):
    known = drawn(threshold=None, predictions=[(40, 46, 52, "negative")])
    assert "threshold" not in " ".join(entries(known.legends[0]))
    assert entries(known.legends[1])[-1] == "surprise"  # no emotion is unknown
    classes = drawn(classes=("disgust", "others", "happiness"))
    assert entries(classes.legends[1])[2:] == ["disgust", "happiness", "others, unknown"]
    assert same_color(handle(classes, "happiness").get_facecolor(), ORANGE)  # others takes no colour from the palette
    five = drawn(classes=("disgust", "happiness", "others", "surprise", "repression"))
    seen = [tuple(handle(five, name).get_facecolor()) for name in ("disgust", "happiness", "surprise", "repression")]
    assert len({*seen}) == 4
    assert [same_color(a, b) for a, b in zip(seen, (BLUE, ORANGE, GREEN), strict=False)] == [True] * 3


def test_there_are_six_colours_and_a_seventh_class_has_the_first_one_again(drawn):
    names = tuple(f"class {i}" for i in range(7))
    figure = drawn(classes=names)
    colours = [tuple(handle(figure, name).get_facecolor()) for name in names]
    assert len({*colours}) == 6 and colours[6] == colours[0]


# Files and odd input


def test_a_typical_file(tmp_path):
    draw_video(video_figure(tmp_path / "new" / "v.png", **TYPICAL))
    width, height, chunks = png(tmp_path / "new" / "v.png")
    assert width == 1320 and 550 < height < 750
    assert not chunks & {b"tIME", b"tEXt", b"iTXt", b"zTXt"}  # nothing that changes from day to day


EDGE_CASES = {
    "nothing": {},
    "no predictions": dict(annotations=TYPICAL["annotations"]),
    "no annotations": dict(predictions=TYPICAL["predictions"]),
    "no threshold": dict(threshold=None, **TYPICAL),
    "constant scores": dict(raw=np.full(297, 0.3), smoothed=np.full(297, 0.3), threshold=0.3, **TYPICAL),
    "zero scores": dict(raw=np.zeros(297), smoothed=np.zeros(297), threshold=0.0),
    "huge scores": dict(raw=np.full(297, 1e30), smoothed=np.linspace(-1e30, 1e30, 297), threshold=0.0, **TYPICAL),
    "no finite score": dict(raw=np.full(297, np.inf), smoothed=np.full(297, NAN), threshold=NAN, **TYPICAL),
    "NaN apex": dict(annotations=[(5, NAN, 20, "positive")], predictions=[(4, NAN, 19, "positive")]),
    "apex -1 and None": dict(annotations=[(5, -1, 20, "positive"), (40, None, 60, None)]),
    "one feature": dict(n=1, predictions=[(-6, 0, 6, "surprise")], annotations=[(0, 0, 0, "surprise")]),
    "30 features": dict(n=30, predictions=[(-2, 4, 10, "positive")], annotations=[(0, 5, 29, "positive")]),
    "beyond the ends": dict(
        annotations=[(-5, 2, 10, "negative"), (290, None, 10**9, "positive"), (400, 410, 420, "surprise")],
        predictions=[(-(10**9), -5, 10**9, "positive"), (-20, -10, -2, "negative"), (297, 300, 303, "negative")],
    ),
    "unicode": dict(
        title="被试 s1/Ünïcode é $x_1^ 😀\n\t", predictions=[(1, 3, 9, "χαρά $\\frac 喜")], classes=("喜", "χαρά")
    ),
    "long names": dict(title="v" * 300, predictions=[(270, 280, 296, "e" * 80)], classes=("e" * 80, *"abcdefg")),
}


@pytest.mark.parametrize("changes", EDGE_CASES.values(), ids=EDGE_CASES.keys())
def test_edge_cases(tmp_path, monkeypatch, changes):
    kept = kept_figures(monkeypatch)
    draw_video(video_figure(tmp_path / "v.png", **changes))
    (figure,) = kept
    width, height, _ = png(tmp_path / "v.png")
    assert width == 1320 and 550 < height < 750
    assert len(curves(figure.axes[0])) == 2 and len(figure.texts) == 2 and len(figure.legends) == 2
    rows = [*changes.get("annotations", ()), *changes.get("predictions", ())]
    assert len(bars(figure)) == len([row for row in rows if row[0] <= 302 and row[2] >= 0])  # in sight
    assert_nothing_overlaps(figure)
    assert_bars_are_apart(figure)


def test_what_the_font_lacks_is_a_box(drawn):
    figure = drawn(**EDGE_CASES["unicode"])
    assert figure.texts[0].get_text() == "□□ s1/Ünïcode é $x_1^ 😀□□"  # DejaVu Sans has the smile
    assert [bar.label for bar in bars(figure)] == ["χαρά $\\frac □"]
    assert entries(figure.legends[1])[2:4] == ["□", "χαρά"]


def test_malformed_input_is_refused(tmp_path):
    with pytest.raises(ValueError, match="pair"):
        draw_video(video_figure(tmp_path / "v.png", raw=np.zeros(0), smoothed=np.zeros(0)))
    with pytest.raises(ValueError, match="pair"):
        draw_video(video_figure(tmp_path / "v.png", raw=np.zeros(5), smoothed=np.zeros(4)))
    two = video_figure(tmp_path / "v.png", **TYPICAL)
    two.predictions["video"] = "v2"
    with pytest.raises(ValueError, match=r"s1/v1 and s1/v2"):
        draw_video(two)
    assert not list(tmp_path.iterdir())


def test_finite():
    np.testing.assert_array_equal(finite(np.float32([0.5, np.inf, -np.inf, NAN])), [0.5, NAN, NAN, NAN])
    assert finite(np.float32([0.5])).dtype == finite([1]).dtype == np.float64


def test_printable():
    assert printable("s1/été ✓", 60) == "s1/été ✓"
    assert printable("被\n", 60) == "□□"
    assert printable("abcdef", 4) == "abc…" and printable("abcdef", 3) == "abc"


def test_figures_do_not_stay_in_memory(tmp_path):
    draw_video(video_figure(tmp_path / "v.png", **TYPICAL))
    gc.collect()
    assert not [one for one in gc.get_objects() if type(one) is Figure]


def test_another_process_draws_the_same_bytes_without_pyplot_or_tensorflow(tmp_path):
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nsavefig.bbox: tight\nfont.size: 30\n")
    script = (
        "import sys; from pathlib import Path; from tests.support.figures import TYPICAL, history, video_figure\n"
        "from Utils.report.figures import draw_video\n"
        "from Utils.report.tensorboard_logs import write_tensorboard\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "draw_video(video_figure(folder / 'there.png', **TYPICAL)); write_tensorboard(folder, {'s1': history()})\n"
        "print(sorted({'matplotlib.pyplot', 'tensorflow'} & sys.modules.keys()))\n"
    )
    environment = {**os.environ, "MATPLOTLIBRC": str(tmp_path), "PYTHONPATH": "."}
    environment.pop("DISPLAY", None)
    done = subprocess.run([sys.executable, "-c", script], env=environment, cwd=PROJECT, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
    draw_video(video_figure(tmp_path / "here.png", **TYPICAL))
    assert (tmp_path / "here.png").read_bytes() == (tmp_path / "there.png").read_bytes()


# Training curves

LOSSES = {
    "folds": {f"s{i}": history(seed=i, recognised=i != 3) for i in range(30)},
    "one epoch": {"s1": history(1)},
    "no recognition": {"s1": history(recognised=False)},
    "not a number": {"s1": {"spot_loss": [1e9, NAN, 1e-3], "spot_mae": [float("inf")] * 3}, "s2": history(5)},
    "no epoch": {"s1": {"spot_loss": [], "spot_mae": []}},
    "no fold": {},
}


@pytest.mark.parametrize("histories", LOSSES.values(), ids=LOSSES.keys())
def test_losses(tmp_path, monkeypatch, histories):
    kept = kept_figures(monkeypatch)
    plot_losses(tmp_path / "losses.png", histories)
    (figure,) = kept
    assert png(tmp_path / "losses.png")[:2] == (1320, 792)
    assert len(figure.axes) == 4
    assert_nothing_overlaps(figure)


def folds_of(axes) -> list[list[float]]:
    return [line.get_ydata().tolist() for line in of_colour(axes.lines, RAW)]


def test_every_fold_has_a_curve_and_their_mean_a_bold_one(plotted):
    first, second = history(3, seed=1), history(2, seed=2)
    figure = plotted({"s1": first, "s2": second})
    for axes, name in zip(figure.axes, ("spot_loss", "spot_mae", "recog_loss", "recog_accuracy"), strict=True):
        np.testing.assert_array_equal(folds_of(axes), [first[name], [*second[name], NAN]])
        (mean,) = of_colour(axes.lines, BLUE)
        expected = [(first[name][i] + second[name][i]) / 2 for i in range(2)] + [first[name][2]]
        np.testing.assert_allclose(mean.get_ydata(), expected)
        assert all(line.get_xdata().tolist() == [1, 2, 3] for line in axes.lines)
        thin = of_colour(axes.lines, RAW)[0]
        assert mean.get_linewidth() > 2 * thin.get_linewidth() and mean.get_zorder() >= thin.get_zorder()
        assert len(axes.lines) == 3 and {line.get_marker() for line in axes.lines} == {"None"}
        assert axes.get_xlim() == (1, 3) and all(tick == int(tick) for tick in axes.get_xticks())


def test_the_panels_of_the_losses_are_labelled(plotted):
    figure = plotted({"s1": history(), "s2": history(recognised=False)})
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "spotting: loss", "spotting: mean absolute error", "recognition: loss (1 of 2 folds)",
        "recognition: accuracy on the training samples (1 of 2 folds)",
    ]  # fmt: skip
    assert [axes.get_ylabel() for axes in figure.axes] == [
        "MSE + L2 penalty", "MAE of the score", "cross-entropy + L2 penalty", "accuracy",
    ]  # fmt: skip
    assert {axes.get_xlabel() for axes in figure.axes} == {"epoch"}
    (heading,) = figure.texts
    assert heading.get_text() == "Training curves of 2 folds"
    assert plotted({"s1": history()}).texts[0].get_text() == "Training curves of 1 fold"
    (legend,) = figure.legends
    assert entries(legend) == ["one fold (one subject held out)", "mean of the folds"]
    assert same_color(handle(figure, "one fold").get_color(), RAW)
    assert same_color(handle(figure, "mean of").get_color(), BLUE)


def test_held_out_subjects_have_their_mean(plotted):
    first, second = history(3, seed=1), history(3, seed=2)
    first["val_spot_loss"], second["val_spot_loss"] = [0.2, 0.4, 0.6], [0.4, 0.6]
    figure = plotted({"s1": first, "s2": second})
    (line,) = of_colour(figure.axes[0].lines, ORANGE)
    np.testing.assert_allclose(line.get_ydata(), [0.3, 0.5, 0.6])
    assert line.get_xdata().tolist() == [1, 2, 3]
    assert not any(of_colour(axes.lines, ORANGE) for axes in figure.axes[1:])
    assert entries(figure.legends[0])[2:] == ["mean on the held-out subjects"]
    assert same_color(handle(figure, "mean on").get_color(), ORANGE)


def test_losses_that_fall_far_have_a_logarithmic_axis(plotted):
    def scales(lowest: float) -> list[tuple[str, str]]:
        falling = {name: [1.0, 0.5, lowest] for name in history(1)}
        return [(axes.get_yscale(), axes.get_ylabel()) for axes in plotted({"s1": falling}).axes]

    assert scales(0.01) == [
        ("log", "MSE + L2 penalty (log)"), ("log", "MAE of the score (log)"),
        ("log", "cross-entropy + L2 penalty (log)"), ("linear", "accuracy"),
    ]  # fmt: skip
    assert {scale for scale, _ in scales(1 / 29)} == {"linear"}
    assert {scale for scale, _ in scales(0.0)} == {"linear"}  # 0 has no logarithm
    axes = plotted({"s1": {name: [1.0, 0.5, 0.01] for name in history(1)}}).axes[0]
    low, high = axes.get_ylim()
    ticks = [tick for tick in axes.get_yticks() if low <= tick <= high]
    np.testing.assert_allclose(ticks, [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0])
    words = [axes.yaxis.get_major_formatter()(tick) for tick in ticks]
    assert words == ["0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1"]
    assert len(axes.yaxis.get_minorticklocs()) == 0


def test_accuracy_has_all_of_its_range(plotted):
    low, high = plotted({"s1": history()}).axes[3].get_ylim()
    assert -0.1 < low < 0 and 1 < high < 1.1


def test_a_panel_without_values_says_so(plotted):
    figure = plotted(LOSSES["no recognition"])
    for axes in figure.axes[2:]:
        assert [text.get_text() for text in axes.texts] == ["no values"] and not axes.lines
        assert not len(axes.get_xticks()) and not len(axes.get_yticks())
        assert axes.texts[0].get_position() == (0.5, 0.5) and axes.texts[0].get_transform() == axes.transAxes
    assert not any(axes.texts for axes in figure.axes[:2])


def test_one_epoch_is_a_point(plotted):
    axes = plotted(LOSSES["one epoch"]).axes[0]
    assert [line.get_marker() for line in axes.lines] == ["o", "o"] and axes.get_xlim() == (0.5, 1.5)


# TensorBoard


@pytest.mark.filterwarnings("default")  # of TensorBoard's own imports
def test_tensorboard_reads_the_events_back(tmp_path, monkeypatch):
    import tensorboard.compat

    monkeypatch.setitem(sys.modules, "tensorboard.compat.notf", tensorboard.compat)  # read without TensorFlow: quick
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    histories = {"s9": history(3, seed=1), "被试 006": history(2, recognised=False, seed=2)}
    for _ in range(2):  # writing again replaces, it does not add
        write_tensorboard(tmp_path / "tensorboard", histories)
    files = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert files == [Path("tensorboard") / subject / EVENT_FILE for subject in sorted(histories)]

    tags = dict(spot_loss="spot/loss", spot_mae="spot/mae", recog_loss="recog/loss", recog_accuracy="recog/accuracy")
    for subject, curves_of_subject in histories.items():
        events = EventAccumulator(str(tmp_path / "tensorboard" / subject))
        events.Reload()
        assert sorted(events.Tags()["scalars"]) == sorted(tags[name] for name in curves_of_subject)
        for name, values in curves_of_subject.items():
            scalars = events.Scalars(tags[name])
            assert [scalar.step for scalar in scalars] == list(range(1, len(values) + 1))
            assert [scalar.value for scalar in scalars] == pytest.approx(values, rel=1e-6)
