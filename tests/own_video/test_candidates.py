"""Candidates in curves that are made of numbers: found where something moves and comes back, and measured right."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.movement_curves import BROWS, CORNERS, bell, calm, triangle, with_movement
from Utils.own_video.candidates import (
    AT_LEAST,
    FEATURES,
    LEAST_DISTANCE,
    LEAST_PULSE,
    RATE,
    TAUS,
    ZONES,
    Measured,
    line_below,
    measure_candidates,
    on_grid,
    parts_of_others,
    pulses,
)
from Utils.own_video.displacement import EYES, HEAD, LIGHT, MISFIT, N_COLUMNS

FPS = 30.0
HALF_FRAME = 1 / 60  # seconds
N = 120


def features_of(measured, i: int = 0) -> dict[str, float]:
    return dict(zip(FEATURES, measured.features[i], strict=True))


def of_course(course, fps: float = FPS, regions=CORNERS, **more):
    return measure_candidates(with_movement(calm(len(course)), course, regions), fps, **more)


def coming_back(measured: Measured) -> Measured:
    """The candidates that rise and fall. The filter's lobes at either side of a pulse only rise, or only fall."""
    chosen = measured.features[:, FEATURES.index("near rest")] > 0.5
    return Measured(*(getattr(measured, f.name)[chosen] for f in fields(Measured)))


# The line on which a movement stands


def test_the_line_below_a_course_by_hand():
    """Below the 4 at sample 3 the lowest line goes from the 0 at sample 1 to the 2 at sample 5.

    There it is at 1, so that the height is 3. A line from the 0 to the 3 at sample 6 would be at 1.2.
    """
    course = np.array([1.0, 0, 2, 4, 3, 2, 3])
    line = line_below(course, 3, 3)
    assert (line.first, line.last, line.height) == (1, 5, 3.0)
    np.testing.assert_allclose(line.without(course), [1.5, 0, 1.5, 3, 1.5, 0, 0.5])
    both = np.column_stack([course, 7 - 2 * np.arange(7)])
    np.testing.assert_allclose(line.without(both), np.column_stack([line.without(course), np.zeros(7)]), atol=1e-12)
    assert line_below(course, 3, 1).height == pytest.approx(4 - 2.5)


def test_at_an_end_of_a_course_there_is_no_line():
    course = np.array([5.0, 2, 1])
    assert line_below(course, 0, 3).height == 0 == line_below(course[::-1], 2, 3).height
    assert np.isfinite(line_below(course, 0, 3).without(course)).all()


@given(st.lists(st.integers(-20, 20), min_size=3, max_size=30), st.integers(1, 40), st.floats(-3, 3))
def test_a_line_leaves_nothing_of_itself_below_the_course(values, reach, slope):
    """All of the course is above it, and a drift changes nothing."""
    course, apex = np.array(values, float), len(values) // 2
    line = line_below(course, apex, reach)
    if line.height > 0:
        assert (line.without(course)[line.first : line.last + 1] >= -1e-9).all()
    drifting = line_below(course + slope * np.arange(len(course)), apex, reach)
    assert drifting.height == pytest.approx(line.height, abs=1e-6)


# What is looked for


def test_a_pulse_gives_its_height_a_line_nothing_and_a_step_half():
    """x   ___/\\___      y at the apex is 1 - (0 + 0) / 2; on a line it is t - ((t - tau) + (t + tau)) / 2 = 0"""
    line = 0.3 * np.arange(60.0)[:, None] + 7
    for tau in TAUS:
        pulse = triangle(60, 30, 4, 4)[:, None]
        assert pulses(pulse, tau)[30, 0] == pytest.approx(1 if tau > 4 else 1 - 1 / 12)  # the mean of 0, 0 and 1/4
        np.testing.assert_allclose(pulses(line, tau)[tau + 1 : -tau - 1], 0, atol=1e-9)
        step = (np.arange(60) >= 30).astype(float)[:, None]
        assert np.abs(pulses(step, tau)).max() == pytest.approx(0.5)


def test_curves_are_put_on_a_grid_of_equal_times():
    curves = np.column_stack([np.arange(11.0), np.arange(11.0) ** 2])
    grid = on_grid(curves, 20.0)  # 11 samples of 50 ms are 0.5 s, 16 samples of the grid
    np.testing.assert_allclose(grid[:, 0], np.arange(16) / RATE * 20)
    assert grid[4, 1] == pytest.approx(4 + (9 - 4) * (4 / RATE * 20 - 2))  # between 2^2 and 3^2
    np.testing.assert_array_equal(on_grid(curves, RATE), curves)


# What is measured


def test_a_triangle_by_hand():
    """
              /\\            2 pixels at sample 60, up and down in 12 samples each. A Gaussian of 0.7 samples blunts
             /  \\           the apex by its mean distance from 0, 0.449 samples: 2 - 0.449 / 6 = 1.925 pixels.
        ____/    \\____      80 % of that, 1.54 pixels, are (2 - 1.54) * 6 = 2.76 samples from the apex, 50 % 6.22,
            48 60 72        and 20 % 9.69. Without the smoothing it would be 2.4, 6 and 9.6.
    """  # fmt: skip
    measured = coming_back(of_course(triangle(N, 60, 12, 12, 2.0)))
    assert measured.at == pytest.approx([2.0])
    np.testing.assert_allclose(measured.sides[0], np.array([[9.69, 6.22, 2.76]] * 2) / FPS, atol=0.05 / FPS)
    np.testing.assert_allclose(measured.sides[0], np.array([[9.6, 6, 2.4]] * 2) / FPS, atol=HALF_FRAME)
    assert measured.motion == pytest.approx([1.925], abs=0.01)
    found = features_of(measured)
    assert [found[f"rise {level}"] for level in (20, 50, 80)] == pytest.approx(measured.sides[0, 0].tolist())
    assert [found[f"fall {level}"] for level in (20, 50, 80)] == pytest.approx(measured.sides[0, 1].tolist())
    assert found["width"] == pytest.approx(12.44 / FPS, abs=0.1 / FPS)
    assert found["log motion"] == pytest.approx(np.log(2), abs=0.1)
    assert found["near rest"] == pytest.approx(1, abs=0.01) == pytest.approx(found["wide rest"], abs=0.01)
    assert found["log rise to fall"] == pytest.approx(0, abs=0.01)
    assert found["busy"] < 0.02 and found["log surroundings"] > 0.5


def test_on_either_side_of_a_pulse_is_a_lobe():
    """There the filter sees the pulse with the other sign. Such candidates are looked at, and do not come back.

    The lines on which they stand go down to the apex of the pulse.
    """
    measured = of_course(triangle(N, 60, 6, 6))
    before, pulse, after = measured.at
    assert before < pulse - 6 / FPS and after > pulse + 6 / FPS
    assert (measured.motion[[0, 2]] < 0.7 * measured.motion[1]).all()
    assert [features_of(measured, i)["near rest"] for i in range(3)] == pytest.approx([0, 1, 0], abs=0.02)


def test_rise_and_fall_are_told_apart():
    measured = coming_back(of_course(triangle(N, 60, 10, 6, 2.0)))
    assert measured.at == pytest.approx([2.0], abs=HALF_FRAME)
    np.testing.assert_allclose(measured.sides[0], np.array([[8, 5, 2], [4.8, 3, 1.2]]) / FPS, atol=HALF_FRAME)


@pytest.mark.parametrize("slope", [-0.15, 0.08, 0.15])
def test_a_drift_of_the_region_changes_neither_borders_nor_size(slope):
    """The region drifts by up to 4.5 pixels a second, the triangle is 2 pixels high and 0.8 s long."""
    still = coming_back(of_course(triangle(N, 60, 12, 12, 2.0)))
    moving = of_course(triangle(N, 60, 12, 12, 2.0) + slope * np.arange(N))
    i = int(np.abs(moving.at - 2.0).argmin())
    assert moving.at[i] == pytest.approx(2.0, abs=2 * HALF_FRAME)
    assert moving.motion[i] == pytest.approx(still.motion[0], abs=0.1)
    np.testing.assert_allclose(moving.sides[i].sum(0), still.sides[0].sum(0), atol=3 * HALF_FRAME)
    assert features_of(moving, i)["log height"] == pytest.approx(features_of(still)["log height"], abs=0.1)


def test_each_zone_has_candidates_of_its_own():
    """The mouth talks all the time, 3 pixels up and down at 2 Hz; a brow goes up by 0.6 pixels once."""
    talk = 3 * np.sin(2 * np.pi * 2 * np.arange(N) / FPS)
    curves = with_movement(calm(N), talk, ("upper lip", "lower lip", "chin"))
    brow = with_movement(curves, triangle(N, 63, 6, 6, 0.6), ("brow inner left", "brow inner right"))
    zone = FEATURES.index("zone")
    upper = list(ZONES).index("upper")

    def of_brows(measured: Measured) -> list[float]:
        return measured.at[measured.features[:, zone] == upper].tolist()

    assert of_brows(measure_candidates(curves, FPS)) == []
    found = measure_candidates(brow, FPS)
    assert any(at == pytest.approx(2.1, abs=2 * HALF_FRAME) for at in of_brows(found))
    i = next(i for i in range(len(found.at)) if found.features[i, zone] == upper and abs(found.at[i] - 2.1) < 0.1)
    assert found.motion[i] == pytest.approx(0.6, abs=0.07)  # that of the brows, not of the mouth
    assert features_of(found, i)["log zone to others"] < 0 < features_of(found, i)["log pulse to largest"]


def test_a_movement_of_one_zone_is_one_candidate():
    """It is already one of the whole face."""
    measured = of_course(triangle(N, 60, 8, 8, 2.0), regions=BROWS)
    assert (measured.features[:, FEATURES.index("zone")] == 0).all() and not parts_of_others(measured).any()


def test_a_zone_that_moves_with_the_rest_is_a_part_of_it():
    curves = with_movement(calm(N), triangle(N, 60, 8, 8, 2.0), (*CORNERS, *BROWS))
    measured = measure_candidates(curves, FPS)
    zones = measured.features[np.abs(measured.at - 2) < 0.1, FEATURES.index("zone")]
    assert sorted(zones.tolist()) == [0, 1, 3]
    np.testing.assert_array_equal(parts_of_others(measured), measured.features[:, FEATURES.index("zone")] > 0)


def test_what_goes_with_the_head_is_explained_by_it():
    """A region moves a tenth of what the head moves; or the head does something else."""
    pulse = triangle(N, 60, 8, 8)
    curves = with_movement(calm(N), pulse)
    with_head, apart = curves.copy(), curves.copy()
    with_head[:, HEAD.start] += 10 * pulse
    apart[:, HEAD.start] += 0.3 * np.arange(N)
    explained = [features_of(coming_back(measure_candidates(c, FPS)))["head explains"] for c in (with_head, apart)]
    assert explained[0] > 0.9 and explained[1] < 0.05


def test_what_moves_and_where_to():
    curves = with_movement(calm(N), triangle(N, 60, 8, 8, 2.0), ("mouth corner left",), (0.0, 1.0))
    found = features_of(coming_back(measure_candidates(curves, FPS)))
    assert (found["part of mouth"], found["down in mouth"]) == pytest.approx((1, 1), abs=0.01)
    assert found["part of brows"] == found["down in brows"] == pytest.approx(0, abs=0.01)
    assert found["left against right"] == pytest.approx(1, abs=0.01)
    assert found["share moving"] == pytest.approx(1 / 18)
    curves = with_movement(calm(N), triangle(N, 60, 8, 8), ("brow inner left", "brow inner right", "upper lip"))
    found = features_of(coming_back(measure_candidates(curves, FPS)))
    assert found["part of brows"] == pytest.approx(2 / 3, abs=0.01) and found["down in brows"] == pytest.approx(
        -2 / 3, abs=0.01
    )
    assert found["left against right"] == pytest.approx(0, abs=0.01) and found["share moving"] == pytest.approx(1 / 6)


def test_head_eyes_light_and_misfit_are_measured():
    pulse = triangle(N, 60, 8, 8)
    curves = with_movement(calm(N), pulse)
    plain = features_of(coming_back(measure_candidates(curves, FPS)))
    assert plain["light pulse"] == plain["light step"] == plain["left eye closes"] == plain["largest misfit"] == 0
    changed = curves.copy()
    changed[:, HEAD.start] += 3 * pulse
    changed[:, EYES.start] -= 50 * pulse
    changed[:, LIGHT] += 24 * pulse
    changed[:, MISFIT.start + 3] += 10 * pulse  # of the mouth
    found = features_of(coming_back(measure_candidates(changed, FPS)))
    assert np.exp(found["head travel"]) == pytest.approx(3, abs=0.3) and np.exp(found["head pulse"]) == pytest.approx(
        3, abs=0.3
    )
    assert found["left eye closes"] == pytest.approx(50 / 70, abs=0.05) and found["right eye closes"] == 0
    assert (
        found["light pulse"] == pytest.approx(24 / 144 * 10, abs=0.15) == pytest.approx(found["light step"], abs=0.15)
    )
    assert found["largest misfit"] == found["misfit of mouth"] == pytest.approx(np.log(13 / 3), abs=0.06)
    assert found["misfit of brows"] == pytest.approx(0)


def test_what_moves_twice_as_far_has_twice_the_motion():
    course = bell(np.arange(N) / FPS, 2.0, 0.5, 0.6)
    once, twice = of_course(course), of_course(2 * course)
    assert twice.motion == pytest.approx(2 * once.motion)
    np.testing.assert_allclose(twice.sides, once.sides, atol=1e-9)
    assert features_of(twice)["log motion"] - features_of(once)["log motion"] == pytest.approx(np.log(2), abs=0.01)


def test_a_level_and_a_slow_drift_change_nothing():
    course = triangle(N, 60, 6, 6)
    plain, moved = (coming_back(of_course(c)) for c in (course, course + 5 + 0.004 * np.arange(N)))
    assert moved.at == pytest.approx(plain.at) and moved.motion == pytest.approx(plain.motion, abs=0.02)
    np.testing.assert_allclose(moved.sides, plain.sides, atol=HALF_FRAME)


# What is none


def test_a_face_that_does_not_move_has_none():
    assert len(measure_candidates(calm(N), FPS).at) == 0
    noise = np.random.default_rng(0).normal(0, 0.02, N)
    assert len(of_course(noise).at) == 0


def test_a_drift_has_none():
    """The face's parts move by 2 pixels in 4 s, steadily."""
    assert len(of_course(np.linspace(0, 2, N)).at) == 0


def test_a_fast_drift_has_none_away_from_its_ends():
    at = of_course(np.linspace(0, 8, N)).at
    assert ((at < TAUS[-1] / FPS) | (at > (N - TAUS[-1]) / FPS)).all()


def test_a_small_step_has_none_and_a_large_one_does_not_come_back():
    """Half of a step is left by the pulses' filter, so that a large step is looked at. Its features say what it is."""
    step = (np.arange(N) >= 60).astype(float)
    assert len(of_course(1.8 * LEAST_PULSE * step).at) == 0
    measured = of_course(2.0 * step)
    for i in range(len(measured.at)):
        assert features_of(measured, i)["wide rest"] < 0.1


@pytest.mark.parametrize(("fps", "most"), [(30.0, AT_LEAST - 1), (25.0, 10), (60.0, 22)])
def test_a_short_stretch_has_none(fps, most):
    """12 samples of the grid are 11/30 s: 10 samples at 25 a second last 9/25 s, which is less."""
    for n, enough in ((1, False), (most, False), (most + 1, True)):
        course = bell(np.arange(n) / fps, n / fps / 2, 0.3, 2.0)
        assert (len(of_course(course, fps, extra=np.array([n / fps / 2])).at) > 0) == enough, n


def test_small_pulses_are_the_noise_of_the_camera():
    """Of a bell of 0.6 s, the filter of the widest pulses sees nearly all."""
    times = np.arange(N) / FPS
    assert len(of_course(bell(times, 2.0, 0.6, 0.8 * LEAST_PULSE)).at) == 0
    assert of_course(bell(times, 2.0, 0.6, 1.2 * LEAST_PULSE)).at == pytest.approx([2.0])


# Several


def test_two_pulses_are_two_candidates():
    measured = coming_back(of_course(triangle(N, 40, 5, 5) + triangle(N, 75, 5, 5, 0.6)))
    assert measured.at == pytest.approx([40 / FPS, 75 / FPS], abs=HALF_FRAME)
    assert measured.motion == pytest.approx([1.0, 0.6], rel=0.15)
    assert features_of(measured, 1)["log surroundings"] < 0 < features_of(measured)["log surroundings"]


def test_pulses_of_other_regions_do_not_hide_each_other():
    times = np.arange(N) / FPS
    curves = with_movement(calm(N), bell(times, 1.5, 0.4))
    curves = with_movement(curves, bell(times, 2.2, 0.4, 0.5), ("brow inner left", "brow inner right", "forehead"))
    measured = coming_back(measure_candidates(curves, FPS))
    assert measured.at == pytest.approx([1.5, 2.2], abs=2 * HALF_FRAME)
    assert features_of(measured)["part of mouth"] > 0.95 < features_of(measured, 1)["part of brows"]


def test_the_frame_rate_does_not_matter():
    """The same course, sampled 25, 30, 50 and 60 times a second."""
    of_rate = {}
    for fps in (25.0, 30.0, 50.0, 60.0):
        times = np.arange(0, 4, 1 / fps)
        of_rate[fps] = coming_back(of_course(bell(times, 1.01, 0.5) + bell(times, 3.0, 0.34, 0.5), fps))
    for measured in of_rate.values():
        assert measured.at == pytest.approx([1.01, 3.0], abs=HALF_FRAME + 1e-9)
        np.testing.assert_allclose(measured.sides, of_rate[30.0].sides, atol=HALF_FRAME)
        np.testing.assert_allclose(measured.motion, of_rate[30.0].motion, rtol=0.1)
    slow, fast = (of_rate[fps].features for fps in (25.0, 50.0))
    noise = FEATURES.index("log noise")  # a line between two samples has no noise
    np.testing.assert_allclose(np.delete(slow, noise, 1), np.delete(fast, noise, 1), atol=0.2)


# Places that are also looked at


def test_a_place_near_a_candidate_is_not_a_second_one():
    course = triangle(N, 60, 6, 6)
    plain = of_course(course)
    for place in (2.0, 2.0 + (LEAST_DISTANCE - 1) / FPS):
        again = of_course(course, extra=np.array([place]))
        np.testing.assert_array_equal(again.features, plain.features)


def test_other_places_are_candidates_too():
    course = triangle(N, 60, 6, 6)
    plain, more = of_course(course), of_course(course, extra=np.array([0.8, 0.85, 3.2, 99.0]))
    np.testing.assert_array_equal(more.features[: len(plain.at)], plain.features)
    added = slice(len(plain.at), None)
    assert more.at[added] == pytest.approx([0.8, 3.2, (N - 1) / FPS], abs=4.5 / FPS)  # of 0.8 and 0.85 the first
    assert more.motion[added] == pytest.approx(0, abs=0.05)
    assert len(of_course(np.zeros(N), extra=np.array([])).at) == 0


# Whatever the curves are


@given(
    seed=st.integers(0, 2**32 - 1), n=st.integers(1, 90), fps=st.sampled_from([10.0, 25.0, 30.0, 33.3, 57.0]),
    scale=st.sampled_from([0.0, 1e-6, 0.05, 1.0, 30.0]), walk=st.booleans(),
)  # fmt: skip
@settings(max_examples=30, deadline=None)  # some curves have very many candidates
def test_finite_curves_have_finite_features(seed, n, fps, scale, walk):
    rng = np.random.default_rng(seed)
    curves = rng.normal(0, scale, (n, N_COLUMNS))
    if walk:
        curves = curves.cumsum(axis=0)
    curves[:, MISFIT.start : LIGHT + 1] = np.abs(curves[:, MISFIT.start : LIGHT + 1]) % 255  # what these can be
    measured = measure_candidates(curves.astype(np.float32), fps, rng.uniform(0, n / fps, rng.integers(3)))
    m = len(measured.at)
    assert measured.sides.shape == (m, 2, 3) and measured.motion.shape == (m,)
    assert measured.features.shape == (m, len(FEATURES))
    for values in (measured.at, measured.sides, measured.motion, measured.features):
        assert np.isfinite(values).all()
    assert ((measured.at >= 0) & (measured.at <= (n - 1) / fps + 1e-9)).all()
    assert (measured.sides >= 0).all() and (np.diff(measured.sides, axis=2) <= 1e-9).all()


def test_names_of_features_are_unique():
    assert len(set(FEATURES)) == len(FEATURES)
    assert of_course(triangle(N, 60, 6, 6)).features.shape == (3, len(FEATURES))
