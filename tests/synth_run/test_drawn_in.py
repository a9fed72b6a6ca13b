"""Movements that are drawn into crops: where they are, how large, and that they go with the head."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from Utils.synth_run.drawn_in import (
    BETWEEN_S,
    EDGE_S,
    MACRO,
    MICRO,
    PIXELS,
    SECONDS,
    DrawnEvent,
    Spot,
    carried,
    draw_into,
    plan_drawn,
)

RATE, N = 30.0, 300
LANDMARKS = np.random.default_rng(1).uniform(30, 98, (68, 2))
STILL = np.zeros((1, 4))


def texture(seed: int = 0) -> np.ndarray:
    image = np.random.default_rng(seed).uniform(0, 255, (128, 128)).astype(np.float32)
    image = cv2.GaussianBlur(image, (0, 0), 3)
    return cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def one_spot(middle=(64.0, 64.0), push=(0.0, 3.0), course=(1.0,)) -> DrawnEvent:
    spot = Spot(np.array(middle), np.array([9.0, 9.0]), 0.0, 2.0, np.array(push))
    return DrawnEvent(MICRO, 0.0, 1.0, np.array(course), (spot,))


def flow(before: np.ndarray, after: np.ndarray, x: int, y: int) -> np.ndarray:
    """How far a place of 11 pixels has moved, by the best fit of integer shifts."""
    part = before[y - 5 : y + 6, x - 5 : x + 6].astype(int)
    errors = {
        (dx, dy): np.abs(after[y + dy - 5 : y + dy + 6, x + dx - 5 : x + dx + 6].astype(int) - part).sum()
        for dx in range(-5, 6)
        for dy in range(-5, 6)
    }
    return np.array(min(errors, key=errors.get))


@pytest.mark.parametrize("seed", range(6))
def test_events_keep_their_distance_and_their_lengths(seed):
    taken = [(3.0, 3.4), (7.0, 8.5)]
    events = plan_drawn(LANDMARKS, N, RATE, taken, np.random.default_rng(seed))
    assert events and [e.onset for e in events] == sorted(e.onset for e in events)
    for i, e in enumerate(events):
        assert e.kind in (MICRO, MACRO) and SECONDS[e.kind][0] <= e.offset - e.onset <= SECONDS[e.kind][1]
        assert e.onset >= EDGE_S and e.offset <= N / RATE - EDGE_S
        for start, end in (*taken, *((o.onset, o.offset) for o in events[:i])):
            assert e.onset >= end + BETWEEN_S - 1e-9 or e.offset <= start - BETWEEN_S + 1e-9


@pytest.mark.parametrize("seed", range(6))
def test_a_course_is_inside_its_event_and_reaches_1(seed):
    for e in plan_drawn(LANDMARKS, N, RATE, [], np.random.default_rng(seed)):
        times = np.arange(N) / RATE
        assert not e.course[times < e.onset].any() and e.course.min() >= 0 and 0.6 < e.course.max() <= 1
        if e.kind == MICRO:
            assert not e.course[times > e.offset].any()


def test_the_largest_displacement_is_within_its_bounds():
    largest = []
    for seed in range(20):
        for e in plan_drawn(LANDMARKS, N, RATE, [], np.random.default_rng(seed)):
            whole = DrawnEvent(e.kind, 0.0, 1.0, np.array([1.0]), e.spots)
            if e.kind == MICRO:
                largest.append(max(np.hypot(*spot.push) for spot in whole.spots))
    assert min(largest) > PIXELS[MICRO][0] * 0.3 and max(largest) < PIXELS[MICRO][1] * 3
    assert min(largest) < 1 and max(largest) > 2


def test_a_spot_moves_as_far_as_it_says_and_nothing_far_away():
    image = texture()
    made = draw_into(image[None], STILL, [one_spot()])[0]
    assert flow(image, made, 64, 64).tolist() == [0, 3]
    away = np.hypot(*np.mgrid[-64:64, -64:64]) > 40
    np.testing.assert_array_equal(made[away], image[away])
    half = draw_into(image[None], STILL, [one_spot(course=(0.34,))])[0]
    assert flow(image, half, 64, 64).tolist() == [0, 1]


def test_without_an_event_a_crop_stays_as_it_is():
    crops = np.stack([texture(1), texture(2)])
    made = draw_into(crops, np.zeros((2, 4)), [one_spot(course=(0.0, 1.0))])
    np.testing.assert_array_equal(made[0], crops[0])
    assert (made[1] != crops[1]).any() and made is not crops


def test_a_spot_goes_with_the_head():
    """The head has moved 20 pixels to the right: the place that moves is there now."""
    image = texture()
    made = draw_into(image[None], np.array([[20.0, 0, 0, 0]]), [one_spot(middle=(50.0, 64.0))])[0]
    assert flow(image, made, 70, 64).tolist() == [0, 3] and flow(image, made, 44, 64).tolist() == [0, 0]


def test_places_are_carried_by_shift_turn_and_scale():
    places = np.array([[64.0, 64.0], [128.0, 64.0], [64.0, 128.0]])
    np.testing.assert_allclose(carried(places, np.array([2.0, 3, 0, 0])), places + np.array([2, 3]))
    np.testing.assert_allclose(carried(places, np.array([0, 0, 0, 5.0])), places + np.array([(0, 0), (5, 0), (0, 5)]))
    np.testing.assert_allclose(carried(places, np.array([0, 0, 5.0, 0])), places + np.array([(0, 0), (0, 5), (-5, 0)]))


def test_the_same_numbers_give_the_same_events():
    first, second = (plan_drawn(LANDMARKS, N, RATE, [], np.random.default_rng(3)) for _ in range(2))
    crops = np.repeat(texture()[None], N, axis=0)
    a, b = (draw_into(crops, np.zeros((N, 4)), events) for events in (first, second))
    np.testing.assert_array_equal(a, b)
    assert (a != crops).any()


def test_a_short_clip_has_no_events():
    assert plan_drawn(LANDMARKS, 20, RATE, [], np.random.default_rng(0)) == []
