"""How far parts of a face have moved: a rendered crop is moved by known amounts, and the curves must say so."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tests.support.face_crops import bump_at, exact_crop, mark, moved_crop, rounded
from Utils.faces.depth import head_depth
from Utils.faces.landmarks import detect_faces, predict_landmarks
from Utils.faces.motion import LARGEST, equalised
from Utils.own_video.displacement import (
    EYES,
    FAR,
    GROUPS,
    HEAD,
    LIGHT,
    MISFIT,
    MOVED,
    N_COLUMNS,
    N_REGIONS,
    REGIONS,
    SAMPLED_FPS,
    WINDOW_S,
    CurveMeter,
    make_reference,
    measure,
    sampling_step,
)
from Utils.own_video.scoring import gray_crop
from Utils.synthetic.face import Face, Pose
from Utils.synthetic.identity import make_identity

LEFT_CORNER = list(REGIONS).index("mouth corner left")
WARP = 12.0  # pixels, standard deviation of a local movement
FPS = 30.0


@pytest.fixture(scope="module")
def reference():
    return make_reference(moved_crop())


def residual(sample: np.ndarray) -> np.ndarray:
    """Pixels that each region has moved, the head's motion taken out."""
    return np.hypot(*sample[MOVED].reshape(-1, 2).T)


# One sample


def test_the_same_crop_has_not_moved(reference):
    sample = measure(reference, moved_crop())
    np.testing.assert_array_equal(sample[: MISFIT.stop], 0)
    assert sample[LIGHT] == pytest.approx(moved_crop()[6:-6, 6:-6].mean(), abs=1e-3)


@pytest.mark.parametrize(("right", "down"), [(0.5, 0.0), (0.3, -0.7), (1.5, 0.25), (-2.2, 1.1)])
def test_a_face_that_moves_as_a_whole_is_the_heads_motion(reference, right, down):
    sample = measure(reference, moved_crop(right, down))
    assert sample[HEAD] == pytest.approx([right, down, 0, 0], abs=0.06)
    assert residual(sample).max() < 0.05


def test_a_head_that_is_nearer_or_turned_is_the_heads_motion_too(reference):
    """At half the crop's width, 64 pixels from the middle, 2 % are 1.28 pixels."""
    away = np.mgrid[:128, :128].astype(np.float32) - 64
    nearer = measure(reference, moved_crop(0.02 * away[1], 0.02 * away[0]))
    assert nearer[HEAD] == pytest.approx([0, 0, 0, 1.28], abs=0.15)
    turned = measure(reference, moved_crop(-0.02 * away[0], 0.02 * away[1]))
    assert turned[HEAD] == pytest.approx([0, 0, 1.28, 0], abs=0.15)
    assert max(residual(nearer).max(), residual(turned).max()) < 0.2  # of 1.3 at the edges


@pytest.mark.parametrize(("right", "down"), [(0, -5), (5, 0), (-4, -4)])
def test_what_leaves_the_crop_is_no_movement_of_the_face(right, down):
    """A picture larger than the crop is moved, so that what was at an edge is outside, and other content inside."""
    noise = np.random.default_rng(5).normal(128, 60, (160, 160)).astype(np.float32)
    picture = np.clip(cv2.GaussianBlur(noise, (0, 0), 2) * 3 - 256, 0, 255)
    picture[16:144, 16:144] = moved_crop()
    picture = np.rint(cv2.GaussianBlur(picture, (0, 0), 0.7)).astype(np.uint8)

    def crop(right: int, down: int) -> np.ndarray:
        return picture[16 - down : 144 - down, 16 - right : 144 - right].copy()

    sample = measure(make_reference(crop(0, 0)), crop(right, down))
    assert sample[HEAD][:2] == pytest.approx([right, down], abs=0.05)
    assert residual(sample).max() < 0.25


@pytest.mark.parametrize("direction", [(1.0, 0.0), (0.0, -1.0)])
def test_a_local_movement_stays_in_its_region(reference, direction):
    """The mean of a bump of standard deviation s under weights of standard deviation w is s^2 / (s^2 + w^2).

    w is 0.13 eye distances of 51 pixels, so that it is 0.77 of the bump's 1 pixel.
    """
    bump = bump_at(mark(48), WARP)
    sample = measure(reference, moved_crop(direction[0] * bump, direction[1] * bump))
    size = residual(sample)
    assert size.argmax() == LEFT_CORNER and 0.5 < size[LEFT_CORNER] < 1.2
    corner = sample[MOVED].reshape(-1, 2)[LEFT_CORNER]
    assert corner @ direction > 0.98 * size[LEFT_CORNER]
    far = [i for i, name in enumerate(REGIONS) if not name.endswith("left") and "lip" not in name and name != "chin"]
    assert len(far) == 8 and size[far].max() < 0.2
    assert np.abs(sample[HEAD][:2]).max() < 0.15


def test_regions_are_averages_over_their_surroundings(reference):
    narrow, wide = (
        residual(measure(reference, moved_crop(bump_at(mark(48), spread))))[LEFT_CORNER] for spread in (5.0, 12.0)
    )
    assert narrow < 0.8 * wide


@pytest.mark.parametrize("gain", [0.88, 1.12])
def test_brighter_and_darker_is_no_movement(reference, gain):
    sample = measure(reference, rounded(exact_crop() * gain))
    assert residual(sample).max() < 0.1 and np.abs(sample[HEAD]).max() < 0.1
    assert sample[LIGHT] == pytest.approx(gain * exact_crop()[4:-4, 4:-4].mean(), rel=0.02)


def test_equalised_contrast_does_not_depend_on_the_light():
    plain, dark = equalised(moved_crop()).astype(int), equalised(rounded(exact_crop() * 0.5 + 40)).astype(int)
    assert np.abs(plain - dark).mean() < 8 < np.abs(plain - 128).mean()
    assert np.ptp(equalised(np.full((128, 128), 90, np.uint8))) == 0


def test_another_face_is_a_misfit_and_not_a_movement_without_bounds(reference):
    """Also a crop in which nothing is found again, and one without any detail."""
    same = measure(reference, moved_crop(0.5))
    for other in (moved_crop(seed=3), np.random.default_rng(0).integers(0, 255, (128, 128), np.uint8)):
        sample = measure(reference, other)
        assert np.isfinite(sample).all() and np.abs(sample[: HEAD.stop]).max() < 30
        assert sample[MISFIT].min() > 3 * same[MISFIT].max()
    flat = measure(reference, np.full((128, 128), 90, np.uint8))
    assert (
        np.isfinite(flat).all()
        and np.isfinite(measure(make_reference(np.zeros((128, 128), np.uint8)), moved_crop())).all()
    )


def test_a_covered_eye_has_less_contrast(reference):
    open_eyes = measure(reference, moved_crop())[EYES]
    crop = moved_crop().copy()
    x, y = (int(np.mean([mark(n)[axis] for n in range(36, 42)])) for axis in (0, 1))
    crop[y - 6 : y + 7, x - 12 : x + 13] = crop[y + 10, x]
    left, right = measure(reference, crop)[EYES]
    assert left < 0.3 * open_eyes[0] and right == pytest.approx(open_eyes[1], rel=0.1)


def test_columns_and_groups_cover_everything_once():
    named = [name for names in GROUPS.values() for name in names]
    assert sorted(named) == sorted(REGIONS) and N_REGIONS == len(REGIONS) == 18
    parts = [MOVED, HEAD, MISFIT, EYES, slice(LIGHT, LIGHT + 1)]
    assert [i for part in parts for i in range(part.start, part.stop)] == list(range(N_COLUMNS))


@pytest.mark.parametrize("pose", [Pose(yaw=0.06), Pose(pitch=-0.06), Pose(yaw=-0.05, pitch=0.04, tx=0.02)], ids=str)
@pytest.mark.parametrize("number", [3, 9])
def test_a_head_that_turns_moves_no_part_of_its_face(number, pose):
    """With an affine map alone, a nose that goes further than the cheeks looks like a movement of about a pixel."""
    face = Face(make_identity(number), size=(240, 240))
    first, second = face.render(pose=Pose()).copy(), face.render(pose=pose).copy()
    (rectangle,) = detect_faces(first)
    crops = gray_crop(first, rectangle), gray_crop(second, rectangle)
    affine, turning = (residual(measure(make_reference(crops[0], turns), crops[1])).max() for turns in (False, True))
    assert affine > 0.6 and turning < 0.45 * affine


def test_depth_changes_nothing_where_the_head_does_not_turn(reference):
    """The column of depth has no affine part, so that the head's numbers mean the same with and without it."""
    weights = reference.quality + 1e-3
    np.testing.assert_allclose((weights * reference.design[:, 3]) @ reference.design[:, :3], 0, atol=0.02)
    assert (weights * reference.design[:, 3] ** 2).sum() / weights.sum() == pytest.approx(1, abs=1e-3)
    bump = 1.5 * bump_at(mark(48), WARP)
    with_turns, without = (measure(make_reference(moved_crop(), t), moved_crop(0.5, bump)) for t in (True, False))
    np.testing.assert_allclose(with_turns[HEAD], without[HEAD], atol=0.1)
    np.testing.assert_allclose(with_turns[MOVED], without[MOVED], atol=0.25)


def test_depth_turns_with_the_face():
    """Nose before cheeks before ears, also for a face that is tilted by 0.5 rad, which is as deep at each point."""
    upright = predict_landmarks(moved_crop()).astype(float)
    turn = np.array([[np.cos(0.5), np.sin(0.5)], [-np.sin(0.5), np.cos(0.5)]])
    depth = head_depth(upright, upright)
    assert depth[30] > depth[33] > depth[48] > depth[[0, 16]].max() and (depth >= 0).all()
    np.testing.assert_allclose(head_depth(upright @ turn + 9, upright @ turn + 9), depth, atol=1e-9)


# Curves


@pytest.mark.parametrize(("fps", "step"), [(25, 1), (30, 1), (50, 1), (60, 2), (100, 3), (200, 7), (23.976, 1), (5, 1)])
def test_at_least_28_samples_a_second_remain(fps, step):
    assert sampling_step(fps) == step
    assert fps / step >= min(fps, SAMPLED_FPS)
    meter = CurveMeter(41, fps)
    assert len(meter.curves) == -(-41 // step)
    assert [i for i in range(41) if meter.wants(i)] == list(range(0, 41, step))


def curves_of(crops, fps: float = FPS) -> np.ndarray:
    meter = CurveMeter(len(crops), fps)
    for i, crop in enumerate(crops):
        if meter.wants(i):
            meter.add(i, crop)
    return meter.curves


def test_a_curve_goes_on_over_a_change_of_window():
    """The mouth's corner moves by 1 pixel in 1.6 s, over two changes of window (every 21 frames), and stays there."""
    bump = bump_at(mark(48), WARP)
    course = np.minimum(np.arange(56) / 48, 1)
    curve = curves_of([moved_crop(part * bump) for part in course])[:, MOVED].reshape(-1, N_REGIONS, 2)[:, LEFT_CORNER]
    assert round(WINDOW_S * FPS) == 21
    assert 0.5 < curve[50:, 0].mean() < 1.2
    np.testing.assert_allclose(curve[:, 0], course * curve[50:, 0].mean(), atol=0.12)
    assert np.abs(np.diff(curve[:, 0])).max() < 0.12


def test_the_head_goes_on_over_a_change_of_window():
    places = 0.08 * np.arange(50)
    curves = curves_of([moved_crop(place, -place / 2) for place in places])
    np.testing.assert_allclose(curves[:, HEAD.start], places, atol=0.15)
    np.testing.assert_allclose(curves[:, HEAD.start + 1], -places / 2, atol=0.15)
    assert residual(curves[-1]).max() < 0.15


def test_a_head_that_went_far_gets_a_new_reference():
    """It jumps by 7 pixels three times. Points that are 21 pixels from their first place would be left out."""
    assert FAR < 7 < LARGEST < 21
    meter = CurveMeter(20, FPS)
    for i, place in enumerate([0, 7, 14, 21]):
        meter.add(i, moved_crop(place - 10))
    np.testing.assert_allclose(meter.curves[:4, HEAD.start], [0, 7, 14, 21], atol=0.3)


def test_a_curve_goes_on_over_a_change_of_rectangle():
    """From frame 5 on, the face is cut 4 pixels further to the left, so that it is 4 pixels further to the right."""
    places = 0.1 * np.arange(12)
    meter = CurveMeter(12, FPS)
    for i, place in enumerate(places):
        before = moved_crop(place) if i == 5 else None
        meter.add(i, moved_crop(place + (4 if i >= 5 else 0)), before)
    np.testing.assert_allclose(meter.curves[:, HEAD.start], places, atol=0.1)


def test_without_a_face_there_is_nothing_and_afterwards_a_new_curve():
    meter = CurveMeter(12, FPS)
    for i in range(4):
        meter.add(i, moved_crop(0.5 * i))
    meter.end()
    for i in range(7, 10):
        meter.add(i, moved_crop(0.5 * i))
    assert np.isnan(meter.curves[[4, 5, 6, 10, 11]]).all() and np.isfinite(meter.curves[[0, 3, 7, 9]]).all()
    np.testing.assert_allclose(meter.curves[[0, 3, 7, 9], HEAD.start], [0, 1.5, 0, 1.0], atol=0.05)


def test_a_scene_cut_begins_a_new_curve():
    meter = CurveMeter(4, FPS)
    meter.add(0, moved_crop())
    meter.add(1, moved_crop(1.0))
    meter.end()
    meter.add(2, moved_crop(seed=3))
    meter.add(3, moved_crop(0.5, seed=3))
    np.testing.assert_array_equal(meter.curves[2, : MISFIT.stop], 0)
    assert meter.curves[3, HEAD.start] == pytest.approx(0.5, abs=0.05)


def test_a_fast_camera_gives_the_curve_of_a_slow_one():
    """The same movement at 30 and at 200 frames per second, of which every 7th is measured."""
    seconds = 0.8
    slow, fast = (
        curves_of([moved_crop(1.5 * np.sin(np.pi * t)) for t in np.arange(0, seconds, 1 / fps)], fps)[:, HEAD.start]
        for fps in (30.0, 200.0)
    )
    at = np.arange(len(slow)) / 30
    np.testing.assert_allclose(np.interp(at[:-1], np.arange(len(fast)) * 7 / 200, fast), slow[:-1], atol=0.1)


def test_open_eyes_of_a_still_face_keep_their_contrast():
    """Only the camera's noise, 2 gray levels, changes, over three changes of window. The contrast is about 80."""
    rng = np.random.default_rng(0)
    eyes = curves_of([rounded(exact_crop() + rng.normal(0, 2, (128, 128))) for _ in range(70)])[:, EYES]
    assert np.ptp(eyes, axis=0).max() < 12
