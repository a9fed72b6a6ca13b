"""Movements drawn into real faces (tests/benchmarks/drawn*.py), and the figures of the benchmark that uses them."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from tests.benchmarks import transfer
from tests.benchmarks.drawn import (
    EMOTIONS,
    GAP,
    MACRO,
    MICRO,
    PARTS,
    PIXELS,
    SWAY,
    Bumps,
    Movement,
    displacement,
    draw_movements,
    path_of,
    place_bumps,
    plan_movements,
    region_of,
    still_frame,
    warp,
)
from tests.benchmarks.drawn_clips import Piece, orders_of, runs_in, write_clip
from tests.benchmarks.transfer import analyse, by_command, format_table, measure, methods, parse, truth_table
from tests.benchmarks.transfer_figures import Analysed, bootstrap, events, figures, intervals_of
from tests.benchmarks.untrained_curve import bumps_in, without_doubles
from Utils.own_video.video_files import open_video
from Utils.synthetic.identity import TEMPLATE

SLOPE = 2  # grey levels a pixel of the ramps
WIDTH = 110.0
POINTS = TEMPLATE * 55 + (64, 40)  # a face of about this width in a picture of 128x128


def ramps(side: int = 124) -> np.ndarray:
    """A picture whose first two channels tell a pixel's own x and y."""
    y, x = np.mgrid[:side, :side]
    return np.dstack([x * SLOPE, y * SLOPE, x + y]).astype(np.uint8)


def came_from(image: np.ndarray) -> np.ndarray:
    """Where each pixel of a warped `ramps()` came from, x and y."""
    return image[..., :2].astype(float) / SLOPE


def movement(emotion: str = "positive", pixels: float = 3.0, **facts) -> Movement:
    weights = facts.pop("weights", dict.fromkeys(PARTS[emotion], (1.0, 1.0)))
    facts = dict(kind=MICRO, start=1.0, seconds=0.4, apex=0.5, hold=0.0) | facts
    return Movement(**facts, pixels=pixels, emotion=emotion, weights=weights)


# Drawing


def test_pixels_move_to_where_they_are_said_to():
    bumps = Bumps(np.array([[60.0, 50.0]]), np.array([[3.0, -4.0]]), np.array([10.0]))
    source = came_from(warp(ramps(), bumps))
    assert source[46, 63] == pytest.approx([60, 50], abs=0.3)  # the centre has moved by (3, -4)
    place = np.dstack(np.meshgrid(np.arange(124), np.arange(124)))
    forward = displacement(bumps, (0, 0, 124, 124))
    x, y = np.moveaxis(np.rint(source).astype(int), -1, 0)
    assert np.abs(source + forward[y, x] - place)[2:-2, 2:-2].max() < 0.6  # half a grey level, half a pixel of p
    assert np.hypot(*np.moveaxis(source - place, -1, 0))[2:-2, 2:-2].max() == pytest.approx(5, abs=0.4)


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_macro_expressions_do_not_fold_the_picture(emotion):
    """What is inverted, put forward again, is where it was: also where bumps move towards each other."""
    bumps = place_bumps(movement(emotion, pixels=PIXELS[MACRO][1]), POINTS, WIDTH)
    gradients = np.gradient(displacement(bumps, (0, 0, 128, 128)), axis=(0, 1))
    assert max(np.abs(g).max() for g in gradients) < 1


def test_the_rest_of_the_picture_is_untouched():
    image = np.random.default_rng(0).integers(0, 256, (140, 128, 3), dtype=np.uint8)
    before = image.copy()
    bumps = place_bumps(movement(weights={"corners up and out": (1.0, 0.0)}), POINTS, WIDTH)
    left, top, right, bottom = region_of(bumps, image.shape)
    warped = warp(image, bumps)
    assert (image == before).all()  # a copy was drawn on
    changed = (warped != image).any(axis=2)
    assert changed.sum() > 100
    rows, columns = np.nonzero(changed)
    assert (rows >= top).all() and (rows < bottom).all() and (columns >= left).all() and (columns < right).all()
    reach = np.hypot(columns - bumps.centres[0, 0], rows - bumps.centres[0, 1])
    assert reach.max() < 3 * bumps.sigmas[0] + PIXELS[MACRO][1]
    edge = displacement(bumps, (left - 5, top - 5, right + 5, bottom + 5))
    y, x = np.mgrid[top - 5 : bottom + 5, left - 5 : right + 5]
    beyond = np.hypot(x - bumps.centres[0, 0], y - bumps.centres[0, 1]) > 3 * bumps.sigmas[0]
    assert (edge[beyond] == 0).all() and (edge[~beyond] != 0).any()
    far = Bumps(bumps.centres + 1000, bumps.vectors, bumps.sigmas)
    assert (warp(image, far) == image).all()


@pytest.mark.parametrize("emotion", EMOTIONS)
@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_the_largest_displacement_is_the_given_one_in_the_crop(emotion, scale):
    bumps = place_bumps(movement(emotion, pixels=2.0), POINTS * scale, WIDTH * scale)
    length = np.hypot(*np.moveaxis(displacement(bumps, region_of(bumps)), -1, 0))
    assert length.max() * 128 / (WIDTH * scale) == pytest.approx(2.0, rel=1e-3)


def test_corners_go_up_and_out_and_down():
    up = place_bumps(movement("positive", weights={"corners up and out": (1.0, 1.0)}), POINTS, WIDTH)
    assert up.centres[0, 0] < POINTS[48, 0] < 64 < POINTS[54, 0] < up.centres[1, 0]
    assert up.vectors[0, 0] < 0 < up.vectors[1, 0] and (up.vectors[:, 1] < 0).all()
    down = place_bumps(movement("negative", weights={"corners down": (1.0, 1.0)}), POINTS, WIDTH)
    assert (down.vectors[:, 1] > 0).all()
    one = place_bumps(movement("negative", weights={"corners down": (1.0, 0.4)}), POINTS, WIDTH)
    assert np.linalg.norm(one.vectors[1]) == pytest.approx(0.4 * np.linalg.norm(one.vectors[0]))


def test_movements_go_and_turn_with_the_face():
    upright = place_bumps(movement("negative"), POINTS, WIDTH)
    turn = np.array([[0.6, 0.8], [-0.8, 0.6]])
    turned = place_bumps(movement("negative"), POINTS @ turn + (30, 90), WIDTH)
    assert turned.centres == pytest.approx(upright.centres @ turn + (30, 90))
    assert turned.vectors == pytest.approx(upright.vectors @ turn, rel=5e-3, abs=0.01)  # the peak is sought on pixels


def test_truth_is_where_the_envelope_is_above_zero():
    image, fps, m = ramps(), 30, movement(pixels=3.0, start=0.99, apex=0.4)
    onset, apex, offset = m.frames(fps)
    heights = [m.envelope(i / fps) for i in range(60)]
    assert [i for i, height in enumerate(heights) if height > 0] == list(range(onset, offset + 1))
    assert (onset, apex, offset) == (30, 34, 41) and max(heights) > 0.97
    frames = [draw_movements(image, i / fps, [m], POINTS, WIDTH) for i in (onset - 1, apex, offset + 1)]
    assert (frames[0] == image).all() and (frames[2] == image).all() and (frames[1] != image).any()


def test_a_hold_stays_at_the_apex():
    m = movement(kind=MACRO, seconds=2.0, hold=0.3)
    assert [m.envelope(1 + 2 * place) for place in (0.36, 0.5, 0.64)] == [1, 1, 1]
    assert 0 < m.envelope(1.1) < m.envelope(1.5) < 1


def test_plans_keep_their_limits():
    seen = set()
    for seed in range(60):
        plan = plan_movements(2.0, 12.0, np.random.default_rng(seed))
        ends = [2.0, *(x for m in plan for x in (m.start, m.start + m.seconds)), 12.0]
        assert all(b - a > GAP - 1e-9 for a, b in zip(ends[::2], ends[1::2], strict=True))
        for m in plan:
            seen |= {m.kind, m.emotion}
            low, high = (0.2, 0.5) if m.kind == MICRO else (0.5, 4.0)
            assert low <= m.seconds <= high and 0.3 <= m.apex <= 0.55 and m.weights
            assert PIXELS[m.kind][0] <= m.pixels <= PIXELS[m.kind][1]
        assert plan == plan_movements(2.0, 12.0, np.random.default_rng(seed))
    assert seen == {MICRO, MACRO, *EMOTIONS}
    assert plan_movements(0.0, 1.0, np.random.default_rng(0)) == []


def test_the_path_follows_the_face_and_ends_where_it_is_gone():
    def seen(i: int, there: bool = True) -> tuple:
        left = 10 + i  # a pixel a frame
        return (i, (left, 10, left + 50, 60), np.full((68, 2), float(left))) if there else (i, None, None)

    path = path_of([seen(0), seen(4), seen(8), seen(12, there=False), seen(16), seen(20), seen(24)], 25, fps=30)
    assert path.runs == [(0, 7), (16, 24)]
    assert path.points[19:22, 0, 0] == pytest.approx([29, 30, 31], abs=0.7)  # its ends are drawn in a little
    assert path.width[20] == pytest.approx(50) and np.isnan(path.points[12]).all()
    jump = path_of([seen(0), seen(4), (8, (300, 10, 350, 60), np.zeros((68, 2))), (12, None, None)], 13, fps=30)
    assert jump.runs == [(0, 3)]


def test_order_of_frames():
    assert orders_of(4, 1.0, 10)[0] == [0, 1, 2, 3, 2, 1, 0, 1]
    pieces = orders_of(590, 30, 10)
    assert [len(piece) for piece in pieces] == [295, 295]
    assert [i for piece in pieces for i in piece] == list(range(590))
    path = SimpleNamespace(width=np.zeros(4), runs=[(1, 3)])
    assert runs_in([0, 1, 2, 3, 2, 1, 0, 1], path) == [(1, 5), (7, 7)]


def test_stills():
    image = np.full((60, 80, 3), 100, np.uint8)
    image[20:40, 30:50] = 180

    def frame(kind: str) -> np.ndarray:
        return still_frame(image, kind, 1.0, 0.25, np.random.default_rng(0)).astype(float)  # as far as it goes

    assert (frame("still") - image).std() == pytest.approx(2, abs=0.1)
    sway = frame("sway")
    assert sway[30, 30 + int(SWAY) - 1].mean() < 110 and sway[30, 50 + int(SWAY) - 2].mean() > 170
    assert frame("light")[50, 70].mean() == pytest.approx(112, abs=3)
    assert (frame("zoom") - 100).sum() / (image - 100.0).sum() == pytest.approx(1.03**2, abs=0.02)
    with pytest.raises(ValueError, match="blink"):
        frame("blink")


def test_clips_are_whole_videos(tmp_path):
    images = [np.full((49, 65, 3), 60 + 10 * i, np.uint8) for i in range(12)]
    write_clip(tmp_path / "a.mp4", images, 24000 / 1001)
    source = open_video(tmp_path / "a.mp4")
    frames = [frame.image for frame in source]
    assert source.codec == "h264" and source.fps == pytest.approx(23.976, abs=1e-3)
    assert len(frames) == 12 and frames[0].shape == (48, 64, 3)
    assert [frame.mean() for frame in frames] == pytest.approx([60 + 10 * i for i in range(12)], abs=4)


# The untrained curve


def test_the_untrained_curve_takes_short_movements_only():
    times = np.arange(36) / 30
    short = [movement(start=0.3, seconds=0.4).envelope(t) for t in times]
    long = [movement(start=0.1, seconds=1.0).envelope(t) for t in times]
    (found,) = bumps_in(np.stack([1.5 * np.array(short), 3 * np.array(long), 0.7 * np.array(short)], 1), 30)
    assert found[:3] == (11, 15, 19) and found[3] == pytest.approx(1.5, abs=0.1)
    assert without_doubles([(3, 5, 9, 1.0), (20, 22, 24, 1.0), (9, 10, 12, 2.0)]) == [
        (9, 10, 12, 2.0),
        (20, 22, 24, 1.0),
    ]


# Figures


def table(*rows: tuple) -> list:
    """Intervals from (onset, offset, emotion[, score])."""
    columns = ["onset", "offset", "emotion", "score"]
    frame = pd.DataFrame([(*row, 1.0)[:4] for row in rows], columns=columns)
    return intervals_of(frame.assign(apex=(frame["onset"] + frame["offset"]) // 2))


#            0         10        20        30        40        50        60        70
# micro      .         [--- 10-19]         [--- 30-39]         [--- 50-59]
# macro                                                                  [------ 60-79]
# predicted            [10-19]               [-- 32-41]             [55-62]     [70-75]
# IoU                  1                     8/12                   5/13, false; both false ones touch the macro
CLIP_A = Analysed(
    "a1", "a", "drawn", 30, 8,
    table((10, 19, "positive", 0.9), (32, 41, "negative", 0.8), (55, 62, "surprise", 0.7), (70, 75, "", 0.6)),
    table((10, 19, "positive"), (30, 39, "surprise"), (50, 59, "surprise")),
    table((60, 79, "negative"), (90, 120, "negative")),
)  # fmt: skip
CLIP_B = Analysed("b1", "b", "drawn", 30, 8, table(), table((5, 10, "negative")), table())
STILL_A = Analysed("a-still", "a", "still", 30, 15, table((1, 5, ""), (40, 49, "")), [], [])
STILL_B = Analysed("b-still", "b", "still", 30, 15, table((1, 5, "")), [], [])
CLIPS = [CLIP_A, CLIP_B, STILL_A, STILL_B]


def test_figures():
    found = figures(CLIPS)
    assert (found["tp"], found["fp"], found["fn"]) == (2, 2, 2)
    assert (found["precision"], found["recall"], found["f1"]) == (0.5, 0.5, 0.5)
    # 4 annotations; at IoU .5 to .65 both first ones are right: area 1/4 + 1/4; from .7 on only the first: 1/4
    assert found["ap"] == pytest.approx((4 * 0.5 + 6 * 0.25) / 10)
    assert found["emotions"] == 0.5
    assert found["iou"] == pytest.approx((1 + 8 / 12) / 2)
    assert found["on_macro"] == 2 and found["macro_hit"] == 0.5
    assert found["still"] == 3 / 0.5
    assert found["sway"] is None


def test_figures_of_nothing():
    found = figures([CLIP_B])
    assert (found["tp"], found["fp"], found["fn"], found["f1"]) == (0, 0, 1, 0)
    assert found["emotions"] is None and found["iou"] is None and found["macro_hit"] is None
    assert figures([STILL_A])["f1"] is None and figures([])["ap"] is None


def test_bootstrap_keeps_what_a_person_has_together_and_is_seeded():
    first = bootstrap(CLIPS, seed=3, resamples=50)
    assert first == bootstrap(CLIPS, seed=3, resamples=50)
    assert first["still"] == (4, 8)  # of one film of a, or of b: 8 or 4 a minute
    assert first["f1"] == pytest.approx((0, 4 / 7))
    assert first["sway"] is None
    people = [replace(CLIP_A, source=str(i), predicted=CLIP_A.predicted[:i]) for i in range(5)]
    assert bootstrap(people, seed=3, resamples=9) == bootstrap(people, seed=3, resamples=9)
    assert bootstrap(people, seed=3, resamples=9) != bootstrap(people, seed=4, resamples=9)
    alone = bootstrap([CLIP_A, STILL_A], seed=0, resamples=5)
    assert alone["f1"] == pytest.approx((4 / 7, 4 / 7))


def test_events_name_what_they_lie_on():
    rows = events("m", [CLIP_A, CLIP_B, STILL_B])
    assert rows["result"].tolist() == ["found", "found", "false", "false", "missed", "missed", "false"]
    assert rows["truth"].tolist() == ["micro", "micro", "micro", "macro", "micro", "micro", ""]
    assert rows["iou"].tolist() == pytest.approx([1, 0.667, 0.385, 0.3, 0.385, 0, 0], abs=1e-3)
    assert rows["truth_onset"].tolist()[:4] == [10, 30, 50, 60] and np.isnan(rows["truth_onset"].iloc[-1])


def test_the_table_has_a_row_for_each_method():
    found, intervals = {"m": figures(CLIPS)}, {"m": bootstrap(CLIPS, 0, 20)}
    lines = format_table(found, intervals).splitlines()
    assert len(lines) == 3 and len({line.count("|") for line in lines}) == 1
    assert lines[2].startswith("| m | 0.50 [0.00, 0.57] | 0.50 [")


# Methods


def test_only_micro_expressions_of_the_command_count(tmp_path, monkeypatch):
    given = []

    def fake(argv: list[str]) -> int:
        given.append(argv)
        (tmp_path / "x").mkdir()
        rows = pd.DataFrame(
            dict(kind=["micro", "macro"], onset=[1, 9], apex=[2, 10], offset=[3, 20], emotion=["", "a"])
        )
        rows.to_csv(tmp_path / "x" / "expressions.csv", index=False)
        print("not to be seen")
        return 0

    monkeypatch.setitem(sys.modules, "main", SimpleNamespace(main=fake))
    found = intervals_of(by_command(tmp_path / "x.mp4", ["--p", "0.5"], tmp_path))
    assert [(i.onset, i.offset, i.emotion) for i in found] == [(1, 3, None)]
    assert given[0][-2:] == ["--p", "0.5"]


def test_a_command_that_fails_is_not_counted_as_nothing_found(tmp_path, monkeypatch, capsys):
    def fake(argv: list[str]) -> int:
        print("main.py: no weights", file=sys.stderr)
        return 2

    monkeypatch.setitem(sys.modules, "main", SimpleNamespace(main=fake))
    with pytest.raises(RuntimeError, match=r"x\.mp4.*no weights"):
        by_command(tmp_path / "x.mp4", [], tmp_path)
    assert capsys.readouterr() == ("", "")


def test_rows_of_the_table(tmp_path):
    assert {"paper's rule, DEMO weights", "untrained curve"} <= methods([], tmp_path).keys()
    assert "paper's rule, given weights" in methods(["--weights_dir", "w"], tmp_path)


def test_the_new_default_is_a_row_once_the_rule_can_be_chosen(tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "CHOICE", "no_such_flag")
    before = methods([], tmp_path)
    assert "new default" not in before
    assert before["paper's rule, DEMO weights"].keywords["flags"] == ["--dataset_name", "DEMO"]
    monkeypatch.setattr(transfer, "CHOICE", "flow")  # some flag that there is
    after = methods(["--weights_dir", "w"], tmp_path)
    assert after["new default"].keywords["flags"] == []
    assert after["paper's rule, DEMO weights"].keywords["flags"] == ["--flow", "paper", "--dataset_name", "DEMO"]
    assert after["paper's rule, given weights"].keywords["flags"] == ["--flow", "paper", "--weights_dir", "w"]
    folders = [method.keywords["folder"] for name, method in after.items() if name != "untrained curve"]
    assert len(set(folders)) == len(folders)


def test_a_file_is_compared_with_its_own_truth(tmp_path):
    movements = (movement(start=0.99), movement(kind=MACRO, start=3.0, seconds=2.0))
    piece = Piece(tmp_path / "c.mp4", "c.mp4", "drawn", 30.0, 8.0, movements)
    columns = ["onset", "apex", "offset", "emotion"]
    found = analyse((lambda path: pd.DataFrame([(30, 35, 41, "positive"), (91, 95, 99, "")], columns=columns), piece))
    assert found.matches == [(0, 0)] and found.false_on_macro().tolist() == [[True]]
    assert [(m.onset, m.offset) for m in found.macro] == [(91, 149)]


def test_a_folder_without_videos_is_named_in_one_line(tmp_path):
    with pytest.raises(SystemExit, match="holds neither videos"):
        measure(parse([str(tmp_path)]), tmp_path / "out")


def test_truth_table(tmp_path):
    piece = Piece(tmp_path / "c.mp4", "c.mp4", "drawn", 30.0, 8.0, (movement(start=0.99),))
    (row,) = truth_table([piece]).to_dict("records")
    assert (row["clip"], row["onset"], row["offset"], row["kind"], row["pixels"]) == ("c", 30, 41, MICRO, 3.0)
    assert row["parts"].startswith("corners up and out 1.00/1.00")
