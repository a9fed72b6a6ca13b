"""Figures and TensorBoard logs: files of the right kind, nothing overlapping, no warning, odd input."""

import gc
import os
import struct
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from tests.support.paths import PROJECT
from training_utils import smooth_scores, threshold
from Utils.evaluation.metrics import match_intervals
from Utils.evaluation.tables import GROUND_TRUTH_COLUMNS, PREDICTION_COLUMNS
from Utils.report.figures import (
    DPI,
    LEFT,
    MAX_LANES,
    RIGHT,
    WIDTH,
    VideoFigure,
    _bar,
    _extent,
    _intervals,
    _pack,
    draw_video,
    emotion_colours,
    printable,
)
from Utils.report.losses import plot_losses
from Utils.report.tensorboard_logs import EVENT_FILE, write_tensorboard

CLASSES = ("negative", "positive", "surprise")
NAN = float("nan")
PANEL = (WIDTH - LEFT - RIGHT) * DPI  # pixels

pytestmark = pytest.mark.filterwarnings("error")  # glyphs, layout, limits: matplotlib warns of all of them


def table(columns, *rows) -> pd.DataFrame:
    """Rows (onset, apex, offset, emotion) of one video."""
    named = [dict(zip(("onset", "apex", "offset", "emotion"), row, strict=True)) for row in rows]
    return pd.DataFrame([dict(subject="s1", video="v1", score=0.5) | row for row in named], columns=list(columns))


def figure(path, n=297, predictions=(), annotations=(), k_prime=6, **changes) -> VideoFigure:
    raw = np.random.default_rng(1).normal(0.2, 0.1, n).astype(np.float32)
    smoothed = smooth_scores(raw, k_prime)
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
    matches = match_intervals(*([(row[0], row[2]) for row in rows] for rows in (predictions, annotations)))
    settings |= dict(hits=[i for i, _ in matches], found=[j for _, j in matches])
    return VideoFigure(**settings | changes)


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


TYPICAL = dict(
    annotations=[(40, 46, 52, "negative"), (120, 127, 133, "surprise"), (228, 234, 240, "others")],
    predictions=[(38, 44, 50, "negative"), (66, 72, 78, "surprise"), (122, 128, 134, "positive"), (287, 293, 299, "")],
)


def test_a_typical_video(tmp_path):
    draw_video(figure(tmp_path / "new" / "v.png", **TYPICAL))
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
        title="被试 s1/Ünïcode é 😀 $x_1^ \n\t", predictions=[(1, 3, 9, "χαρά $\\frac 喜")], classes=("喜", "χαρά")
    ),
    "long names": dict(title="v" * 300, predictions=[(270, 280, 296, "e" * 80)], classes=("e" * 80, *"abcdefg")),
}


@pytest.mark.parametrize("changes", EDGE_CASES.values(), ids=EDGE_CASES.keys())
def test_edge_cases(tmp_path, changes):
    draw_video(figure(tmp_path / "v.png", **changes))
    width, height, _ = png(tmp_path / "v.png")
    assert width == 1320 and 550 < height < 750


def test_malformed_input_is_refused(tmp_path):
    with pytest.raises(ValueError, match="pair"):
        draw_video(figure(tmp_path / "v.png", raw=np.zeros(0), smoothed=np.zeros(0)))
    with pytest.raises(ValueError, match="pair"):
        draw_video(figure(tmp_path / "v.png", raw=np.zeros(5), smoothed=np.zeros(4)))
    two = figure(tmp_path / "v.png", **TYPICAL)
    two.predictions["video"] = "v2"
    with pytest.raises(ValueError, match=r"s1/v1 and s1/v2"):
        draw_video(two)
    assert not list(tmp_path.iterdir())


def test_true_positives_are_those_of_the_metrics_unless_given(tmp_path):
    #              0         1         2
    #              0123456789012345678901234
    # annotated    ..[=======]..............     [2, 10]
    # predicted    [=====].....[====].......     [0, 6]: IoU 5/11, [12, 17]
    #              ....[=======]............     [4, 12]: IoU 7/11
    rows = [(4, 8, 12, "positive"), (0, 3, 6, "positive"), (12, 14, 17, "positive")]
    video = figure(tmp_path, predictions=rows, annotations=[(2, 6, 10, "negative")])
    annotated, predicted = _intervals(video)
    assert [matched for _, matched in annotated] == [True]
    assert [(i.onset, matched) for i, matched in predicted] == [(0, False), (4, True), (12, False)]
    given = figure(tmp_path, predictions=rows, annotations=[(2, 6, 10, "negative")], hits=[1, 2], found=[])
    annotated, predicted = _intervals(given)
    assert [(i.onset, matched) for i, matched in predicted] == [(0, True), (4, False), (12, True)]
    assert [matched for _, matched in annotated] == [False]


def assert_nothing_overlaps(bars):
    for lane in {bar.lane for bar in bars}:
        extents = sorted(_extent(bar) for bar in bars if bar.lane == lane)
        assert all(right < left for (_, right), (left, _) in pairwise(extents))
    for bar in bars:
        if bar.text:
            assert bar.text_x >= 0 and _extent(bar)[1] <= PANEL + 10


@pytest.mark.parametrize(
    ("n", "k_prime", "count"), [(5000, 37, 40), (5000, 6, 40), (5000, 37, 130), (297, 6, 40), (25, 6, 4)]
)
def test_labels_do_not_overlap(tmp_path, n, k_prime, count):
    rng = np.random.default_rng(count)
    peaks = np.sort(rng.choice(np.arange(0, n, max(1, k_prime // 2)), count, replace=False))
    rows = [(j - k_prime, j, j + k_prime, rng.choice(CLASSES)) for j in peaks.tolist()]
    bars = _pack(_intervals(figure(tmp_path, predictions=rows))[1], (-0.5, n - 0.5))
    assert len(bars) == count and max(bar.lane for bar in bars) < MAX_LANES
    assert_nothing_overlaps(bars)
    if count <= 40 and n > 1000:
        assert {bar.text for bar in bars} == set(CLASSES)  # in full


def test_where_labels_have_no_room_they_go(tmp_path):
    rows = [(j - 6, j, j + 6, "negative") for j in range(10, 4990, 9)]
    bars = _pack(_intervals(figure(tmp_path, predictions=rows))[1], (-0.5, 4999.5))
    assert {bar.text for bar in bars} == {""} and len(bars) == len(rows)
    assert_nothing_overlaps(bars)
    draw_video(figure(tmp_path / "v.png", n=900, predictions=rows[:90]))
    assert png(tmp_path / "v.png")[1] < 850


def test_a_bar_stands_on_its_frames(tmp_path):
    [(interval, matched)] = _intervals(figure(tmp_path, predictions=[(20, 25, 29, "negative")]))[1]
    bar = _bar(interval, matched, (-0.5, 99.5), 14)
    assert (bar.left, bar.right) == pytest.approx((0.2 * PANEL, 0.3 * PANEL))  # frames 20 ... 29 of 100
    assert bar.text_x > bar.right


def test_colours_follow_the_classes_and_others_is_grey():
    three, five = (
        emotion_colours(CLASSES),
        emotion_colours(("disgust", "happiness", "others", "surprise", "repression")),
    )
    assert len({*three.values()}) == 3 and len({*five.values()}) == 5
    assert list(three.values()) == [five[name] for name in ("disgust", "happiness", "surprise")]


def test_printable():
    assert printable("s1/été ✓", 60) == "s1/été ✓"
    assert printable("被\n", 60) == "□□"
    assert printable("abcdef", 4) == "abc…" and printable("abcdef", 3) == "abc"


def history(epochs=10, recognised=True, seed=0):
    values = np.random.default_rng(seed).uniform(0.1, 1, (4, epochs)).tolist()
    names = ("spot_loss", "spot_mae", "recog_loss", "recog_accuracy")
    return dict(zip(names, values, strict=True)) if recognised else dict(zip(names[:2], values[:2], strict=True))


LOSSES = {
    "folds": {f"s{i}": history(seed=i, recognised=i != 3) for i in range(30)},
    "one epoch": {"s1": history(1)},
    "no recognition": {"s1": history(recognised=False)},
    "not a number": {"s1": {"spot_loss": [1e9, NAN, 1e-3], "spot_mae": [float("inf")] * 3}, "s2": history(5)},
    "no epoch": {"s1": {"spot_loss": [], "spot_mae": []}},
    "no fold": {},
}


@pytest.mark.parametrize("histories", LOSSES.values(), ids=LOSSES.keys())
def test_losses(tmp_path, histories):
    plot_losses(tmp_path / "losses.png", histories)
    assert png(tmp_path / "losses.png")[:2] == (1320, 792)


def test_figures_do_not_stay_in_memory(tmp_path):
    draw_video(figure(tmp_path / "v.png", **TYPICAL))
    gc.collect()
    assert not [one for one in gc.get_objects() if type(one) is Figure]


def test_another_process_draws_the_same_bytes_without_pyplot_or_tensorflow(tmp_path):
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nsavefig.bbox: tight\nfont.size: 30\n")
    script = (
        "import sys; from pathlib import Path; from tests.report.test_plots import *\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "draw_video(figure(folder / 'there.png', **TYPICAL)); write_tensorboard(folder, {'s1': history()})\n"
        "print(sorted({'matplotlib.pyplot', 'tensorflow'} & sys.modules.keys()))\n"
    )
    environment = {**os.environ, "MATPLOTLIBRC": str(tmp_path), "PYTHONPATH": "."}
    environment.pop("DISPLAY", None)
    done = subprocess.run([sys.executable, "-c", script], env=environment, cwd=PROJECT, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
    draw_video(figure(tmp_path / "here.png", **TYPICAL))
    assert (tmp_path / "here.png").read_bytes() == (tmp_path / "there.png").read_bytes()


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
    for subject, curves in histories.items():
        events = EventAccumulator(str(tmp_path / "tensorboard" / subject))
        events.Reload()
        assert sorted(events.Tags()["scalars"]) == sorted(tags[name] for name in curves)
        for name, values in curves.items():
            scalars = events.Scalars(tags[name])
            assert [scalar.step for scalar in scalars] == list(range(1, len(values) + 1))
            assert [scalar.value for scalar in scalars] == pytest.approx(values, rel=1e-6)
