"""The clip of an expression: which frames it has, how the face has moved in them, and that it stays small."""

from __future__ import annotations

import base64
import json
import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.face_crops import DOWN, RIGHT, bump_at, mark, moved_crop, rounded
from tests.support.report_examples import CORNER, RISE, WIDE, moving_face
from Utils.faces.rectangles import CROP_SIZE
from Utils.report.clip import (
    AFTER,
    BEFORE,
    COLUMNS,
    MAX_FRAMES,
    NODES,
    ClipFrames,
    clip_data,
    frames_of_clip,
    movement,
    smoothed,
)

FPS = 30.0
MOST_BYTES = 150_000  # of an expression in a page
NODE = CROP_SIZE / NODES  # pixels from one node to the next


def colour(gray: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR)


def at_node(place: tuple[float, float]) -> tuple[int, int]:
    """Row and column of the node nearest to (x, y)."""
    return tuple(round((value + 0.5) / NODE - 0.5) for value in reversed(place))


# Frames


@given(
    st.integers(-20, 300),
    st.integers(0, 250),
    st.one_of(st.none(), st.just(math.nan), st.floats(0, 1)),
    st.integers(1, 280),
)
def test_the_frames_of_a_clip(onset, length, share, n):
    offset = onset + length
    apex = share if share is None or math.isnan(share) else float(round(onset + share * length))
    found = frames_of_clip(onset, apex, offset, 0, n - 1)
    if offset < 0 or onset > n - 1:
        assert found is None
        return
    numbers = list(found.numbers)
    assert numbers == sorted(set(numbers)) and len(numbers) <= MAX_FRAMES
    assert numbers[0] == max(0, onset - BEFORE) and numbers[-1] <= min(n - 1, offset + AFTER)
    named = [onset, offset, *([] if apex is None or math.isnan(apex) else [round(apex)])]
    assert {frame for frame in named if 0 <= frame < n} <= set(numbers)
    assert found.onset == min(max(0, onset), n - 1) or found.onset == onset
    if offset - onset + 1 + BEFORE + AFTER <= MAX_FRAMES - 3:
        assert numbers == list(range(numbers[0], min(n - 1, offset + AFTER) + 1))  # none is left out


# Movement


def test_the_movement_of_the_face_is_measured_without_the_heads():
    corner = mark(CORNER)
    near = bump_at(corner, WIDE)
    still = moved_crop()
    moved = moved_crop(right=1.5, down=-2.0 - RISE * near)  # the head goes to the right and up, the corner further up
    heads, field = movement([still, moved], 0)
    assert heads[0].tolist() == [[0, 0]] * 3 and not field[0].any()
    assert heads[1][0] == pytest.approx([1.5, -2.0], abs=0.15)
    across, down = field[1][at_node(corner)]
    assert abs(across) < 0.3 and -RISE - 0.3 < down < -0.5 * RISE
    eye = at_node(mark(44))
    assert np.abs(field[1][eye]).max() < 0.2
    assert np.abs(field[1][0, 0]).max() < 0.05  # away from the face


def test_a_head_that_turns_and_comes_nearer_leaves_no_movement():
    across, down = RIGHT - 64, DOWN - 64
    moved = moved_crop(right=0.03 * across - 0.02 * down, down=0.02 * across + 0.03 * down)
    heads, field = movement([moved_crop(), moved], 0)
    assert np.abs(field[1]).max() < 0.35
    assert heads[1][1:] == pytest.approx(64 * np.array([[0.03, 0.02], [-0.02, 0.03]]), abs=0.3)


def test_a_still_face_with_noise_hardly_moves():
    random = np.random.default_rng(1)
    crops = [rounded(moved_crop() + random.normal(0, 2, (CROP_SIZE, CROP_SIZE))) for _ in range(8)]
    field = movement(crops, 0)[1]
    assert np.abs(field).mean() < 0.03 and np.abs(field).max() < 0.4


def test_a_crop_without_a_face_has_a_field():
    flat = np.full((CROP_SIZE, CROP_SIZE), 90, np.uint8)
    heads, field = movement([flat, flat], 0)
    assert np.isfinite(heads).all() and np.abs(field).max() < 1e-3


def test_smoothing_keeps_what_is_the_same_and_halves_what_flickers():
    seconds = np.arange(50) / 100
    assert smoothed(np.ones((50, 2)), seconds) == pytest.approx(np.ones((50, 2)))
    flicker = np.where(np.arange(50) % 2, 1.0, -1.0)[:, None]
    assert np.abs(smoothed(flicker, seconds)[10:-10]).max() < 0.1
    slow = np.arange(3) / 10.0  # frames that are far apart are left alone
    assert smoothed(np.array([[0.0], [1.0], [0.0]]), slow)[1] == pytest.approx([1.0], abs=0.01)


# What the page gets


def decoded(data: dict) -> np.ndarray:
    """The frames of a clip, (n, 128, 128, 3)."""
    kind, text = data["sheet"].split(",")
    assert kind == "data:image/jpeg;base64"
    sheet = cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_COLOR)
    places = [divmod(i, data["columns"]) for i in range(len(data["frames"]))]
    return np.array(
        [sheet[CROP_SIZE * r : CROP_SIZE * (r + 1), CROP_SIZE * c : CROP_SIZE * (c + 1)] for r, c in places]
    )


def test_the_page_gets_frames_and_movement():
    frames = frames_of_clip(18, 24, 30, 0, 119)
    crops = moving_face(len(frames.numbers))
    data = clip_data(frames, crops, FPS)
    assert data["frames"] == list(range(13, 36)) and data["onset"] == 5 and data["columns"] == COLUMNS
    assert np.abs(decoded(data).astype(int) - np.array(crops)).mean() < 3
    field = np.frombuffer(base64.b64decode(data["field"]), np.int8).reshape(len(crops), NODES, NODES, 2)
    assert np.abs(field).max() == 127 and not field[5].any()
    risen = -data["scale"] * field[11][at_node(mark(CORNER))][1]
    expected = RISE * (1 - math.sin(math.pi * 5 / 22))
    assert 0.5 * expected < risen < 1.2 * expected
    assert [len(head) for head in data["head"]] == [6] * len(crops) and data["head"][5] == [0.0] * 6
    assert data == clip_data(frames, crops, FPS)


def test_a_clip_stays_small_whatever_is_in_it():
    random = np.random.default_rng(0)
    frames = frames_of_clip(100, 180, 400, 0, 1000)
    assert MAX_FRAMES - 3 <= len(frames.numbers) <= MAX_FRAMES
    noise = random.integers(0, 256, (len(frames.numbers), CROP_SIZE // 4, CROP_SIZE // 4, 3), np.uint8)
    crops = [cv2.resize(crop, (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_NEAREST) for crop in noise]
    assert len(json.dumps(clip_data(frames, crops, 200.0))) <= MOST_BYTES


@pytest.mark.parametrize(
    "bad",
    [
        [np.zeros((CROP_SIZE, CROP_SIZE, 3), np.uint8)],
        [np.zeros((CROP_SIZE, CROP_SIZE), np.uint8)] * 2,
        [np.zeros((64, 64, 3), np.uint8)] * 2,
        [np.zeros((CROP_SIZE, CROP_SIZE, 3))] * 2,
    ],
)
def test_crops_that_do_not_fit_are_refused(bad):
    with pytest.raises(ValueError, match="2 crops of shape"):
        clip_data(ClipFrames((3, 4), 3), bad, FPS)
