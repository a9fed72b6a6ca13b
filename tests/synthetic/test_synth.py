"""SYNTH, the training set that is made to transfer: what its plans and frames promise. DEMO stays as it is."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import cv2
import numpy as np
import pytest

from Utils.synthetic import dataset
from Utils.synthetic import synth_negatives as negatives
from Utils.synthetic.accessories import Wardrobe
from Utils.synthetic.clips import CLASSES
from Utils.synthetic.face import Face, Pose
from Utils.synthetic.identity import make_identity
from Utils.synthetic.looks_synth import BEARDS, FEMALE, make_person
from Utils.synthetic.occluders import HAND, Occluder
from Utils.synthetic.synth import KINDS, SCENARIOS, SynthClip, clip_frames, synth_clip
from Utils.synthetic.synth_camera import draw_camera, encode_and_decode, motion_blur
from Utils.synthetic.synth_course import EASINGS, Course, rise_and_fall
from Utils.synthetic.synth_expressions import add_micro_expressions

N_PLANS = 300
PHOTOGRAPHS = ("still", "sway", "zoom", "lit")
DEMO_KEYS = "4264220db928c45c5bf1c44e7eb9a027ebf32ed5aa441c5cef0e59420de4e4c9"  # SHA-256 of the keys of its plan


@pytest.fixture(scope="module")
def clips() -> list[SynthClip]:
    return [synth_clip(number) for number in range(N_PLANS)]


def first_of(clips: list[SynthClip], scenario: str, codec: str = "") -> SynthClip:
    """The plan of one second of the first small and slow clip of a scenario."""
    return next(
        synth_clip(clip.number, seconds=1.0)
        for clip in clips
        if clip.scenario == scenario and clip.codec.startswith(codec) and clip.face_px < 130 and clip.fps <= 50
    )


# Plans


def test_plan_is_determined_by_number_and_seed(clips: list[SynthClip]):
    assert synth_clip(7) == clips[7]
    assert synth_clip(7, seed=1) != clips[7]
    assert synth_clip(7, seed=1).looks != clips[7].looks


def test_every_scenario_kind_rate_and_codec_occurs(clips: list[SynthClip]):
    assert {clip.scenario for clip in clips} == set(SCENARIOS)
    assert {event.kind for clip in clips for event in clip.events} == set(KINDS)
    assert {clip.fps for clip in clips} == {25, 30, 50, 60, 100, 200}
    assert {clip.codec.split()[0] for clip in clips} == {"jpeg", "h264"}
    emotions = {event.emotion for clip in clips for event in clip.events if event.kind == "micro"}
    assert emotions == {*CLASSES, "others"}


def test_shares_of_scenarios_and_rates(clips: list[SynthClip]):
    shares = {name: np.mean([clip.scenario == name for clip in clips]) for name in SCENARIOS}
    assert shares["expressive"] == pytest.approx(0.55, abs=0.08)
    assert shares["neutral"] == pytest.approx(0.30, abs=0.08)
    assert np.mean([clip.fps in (25, 30) for clip in clips]) == pytest.approx(0.65, abs=0.08)


def test_every_fifth_person_is_kept_for_checks(clips: list[SynthClip]):
    assert [clip.number for clip in clips if clip.split == "check"] == list(range(4, N_PLANS, 5))
    persons = {(clip.looks["age"], clip.looks["tone"]) for clip in clips}
    assert len(persons) == N_PLANS


def test_events_are_inside_the_clip_and_in_order(clips: list[SynthClip]):
    for clip in clips:
        for event in clip.events:
            assert 0 <= event.onset <= event.apex <= event.offset < clip.n_frames, (clip.number, event)
            assert (event.emotion != "") == (event.kind in ("micro", "macro"))
        assert [event.onset for event in clip.events] == sorted(event.onset for event in clip.events)


def test_micro_expressions_are_short_and_weak_and_macro_expressions_long(clips: list[SynthClip]):
    for clip in clips:
        for event in clip.events:
            seconds, tick = (event.offset - event.onset) / clip.fps, 1e-9
            if event.kind == "micro":
                assert 0.12 - tick <= seconds <= 0.5 + tick
                assert event.onset < event.apex < event.offset
                assert 0.1 <= event.intensity <= 0.7
            elif event.kind == "macro":
                assert 0.5 - 1 / clip.fps <= seconds <= 4 + 1 / clip.fps
                assert 0.3 <= event.intensity <= 1


def test_some_micro_expressions_overlap_other_expressions(clips: list[SynthClip]):
    def overlaps(kind: str) -> int:
        return sum(
            micro is not other and micro.onset < other.offset and other.onset < micro.offset
            for clip in clips
            for micro in clip.events
            for other in clip.events
            if micro.kind == "micro" and other.kind == kind
        )

    assert overlaps("macro") >= 10
    assert overlaps("micro") >= 10
    assert overlaps("occlusion") == 0
    assert min(overlaps("speech"), overlaps("head"), overlaps("blink"), overlaps("glance")) >= 10


def test_nothing_happens_during_a_micro_expression_unless_it_may():
    for meanwhile in (False, True):
        course = Course(30, 90, make_identity(3).landmarks, meanwhile)
        assert course.avoided("head") == (("head",) if meanwhile else ("micro", "head"))


def test_a_sway_and_a_mood_are_slow_and_not_listed():
    """At 2 Hz and above there is nothing: a micro-expression is faster."""
    course = Course(30, 300, make_identity(3).landmarks)
    negatives.add_sway(course, np.random.default_rng(0), 1.0)
    negatives.add_mood(course, np.random.default_rng(0), 0.4)
    assert course.events == []
    moods = [values[:, 0] for values in course.action_units.values() if values.any()]
    for values in (course.pose["tx"], course.pose["yaw"], *moods):
        assert np.ptp(values) > 0.02
        power = np.abs(np.fft.rfft((values - values.mean()) * np.hanning(300))) ** 2
        assert power[20:].sum() < 0.03 * power.sum()
    assert moods and min(values.min() for values in moods) >= 0


def test_neutral_clips_and_photographs_have_no_micro_expression(clips: list[SynthClip]):
    for clip in clips:
        kinds = {event.kind for event in clip.events}
        if clip.scenario == "neutral":
            assert "micro" not in kinds
        elif clip.scenario in PHOTOGRAPHS:
            assert kinds <= ({"light"} if clip.scenario == "lit" else set())


def test_sizes_are_even_and_hold_the_face(clips: list[SynthClip]):
    for clip in clips:
        assert 60 <= clip.face_px <= 400
        assert all(side % 2 == 0 and side >= 1.2 * clip.face_px for side in clip.size), clip


def test_only_men_have_beards():
    persons = [make_person(seed) for seed in range(200)]
    assert {person.beard for person in persons} == {"", *BEARDS}
    assert not any(person.beard for person in persons if person.sex == FEMALE)


# Courses


@pytest.mark.parametrize("easing", EASINGS)
def test_rise_and_fall(easing: str):
    course = rise_and_fall(30, 5, 10, 20, hold=4, easings=(easing, easing), rest=0.2)
    assert (course[:6] == 0).all()
    np.testing.assert_allclose(course[10:15], 1)
    np.testing.assert_allclose(course[20:], 0.2)
    assert (np.diff(course[5:11]) > 0).all()
    assert (np.diff(course[14:21]) < 0).all()


def test_a_micro_expression_moves_only_between_its_onset_and_offset():
    for seed in range(20):
        course = Course(30, 90, make_identity(3).landmarks)
        add_micro_expressions(course, np.random.default_rng(seed), 1)
        (event,) = course.events
        moves = sum(values.sum(1) for values in course.action_units.values()) + sum(one.course for one in course.local)
        assert np.flatnonzero(moves)[[0, -1]].tolist() == [event.onset + 1, event.offset - 1]


def test_a_hand_covers_the_face_only_when_it_is_before_it():
    path = np.array([[0, 0.4, 0], [3, 0.4, 0], [np.nan] * 3])
    assert Occluder(HAND, 1, path, 1.3).covers().tolist() == [True, False, False]


# Frames


@pytest.mark.parametrize("codec", ["jpeg", "h264"])
def test_frames_size_type_number_and_determinism(clips: list[SynthClip], codec: str):
    clip = synth_clip(first_of(clips, "expressive", codec).number, seconds=0.5)
    frames, again = list(clip_frames(clip)), list(clip_frames(clip))
    assert len(frames) == clip.n_frames
    assert all(frame.shape == (clip.size[1], clip.size[0], 3) and frame.dtype == np.uint8 for frame in frames)
    np.testing.assert_array_equal(frames, again)


def test_a_still_has_only_noise_and_a_swaying_photograph_moves(clips: list[SynthClip]):
    def change(scenario: str) -> float:
        """How much the mean of the last frames differs from that of the first ones, the largest of all pixels."""
        frames = [cv2.GaussianBlur(frame, (0, 0), 1.5).mean(-1) for frame in clip_frames(first_of(clips, scenario))]
        return float(np.abs(np.mean(frames[-6:], 0) - np.mean(frames[:6], 0)).max())

    assert change("still") < 6 < 12 < change("sway")


def test_an_event_is_seen_in_its_frames(clips: list[SynthClip]):
    """Between the onset and the apex of its first complete blink a face changes more than before."""
    clip, blink = next(
        (clip, event)
        for clip in (synth_clip(number, seconds=2.0) for number in range(N_PLANS))
        for event in clip.events
        if clip.scenario == "neutral" and clip.fps == 30 and event.kind == "blink" and event.intensity == 1
        if event.onset > 8 and not clip.looks["glasses"]
        if not any(
            event.onset - 8 < other.offset and other.onset < event.offset for other in clip.events if other != event
        )
    )
    frames = np.array([frame.mean(-1) for frame, _ in zip(clip_frames(clip), range(blink.offset + 1), strict=False)])
    change = np.sort(np.abs(np.diff(frames, axis=0)).reshape(len(frames) - 1, -1), 1)[:, -60:].mean(1)
    assert change[blink.onset : blink.apex].max() > 2 * change[blink.onset - 7 : blink.onset].max()


def test_h264_keeps_every_frame_in_order():
    camera = replace(draw_camera(np.random.default_rng(0), 25), codec="h264", quality=20, b_frames=3)
    frames = [np.full((32, 48, 3), 5 * i + 20, np.uint8) for i in range(40)]
    decoded = list(encode_and_decode(iter(frames), camera, 25))
    np.testing.assert_allclose([frame.mean() for frame in decoded], [frame.mean() for frame in frames], atol=2)


def test_motion_blur_keeps_the_light_and_spreads_along_the_motion():
    dot = np.zeros((21, 21, 4), np.float32)
    dot[10, 10] = 100
    blurred = motion_blur(dot, 6.0, 0.0)
    np.testing.assert_allclose(blurred.sum((0, 1)), 100, rtol=1e-5)
    assert (blurred[10, 8:13, 0] > 5).all()
    assert blurred[:9].max() == 0
    assert motion_blur(dot, 0.1, 0.1) is dot


def test_glasses_move_with_the_head_and_not_with_the_brows():
    person = next(person for person in map(make_person, range(100)) if person.glasses and person.glasses.rim > 0.02)

    def paint_only(*head) -> None:
        """The same shadows on the skin, without the glasses."""
        Wardrobe(person)(*head)

    face = Face(person.identity, (160, 160), dress=Wardrobe(person))
    bare = Face(person.identity, (160, 160), dress=paint_only)
    rims = np.abs(face.layer()[..., :3] - bare.layer()[..., :3]).max(-1) > 60
    assert rims.sum() > 50
    raised = np.abs(face.layer({"AU1": 1, "AU2": 1})[..., :3] - face.layer()[..., :3]).max(-1)
    shifted = np.abs(face.layer(pose=Pose(tx=0.05, ty=0.05))[..., :3] - face.layer()[..., :3]).max(-1)
    assert np.median(raised[rims]) < 3 < 15 < np.median(shifted[rims])


# DEMO


def test_demo_is_what_it_was():
    keys = "".join(video.key_with(renderer=1) for video in dataset.plan())
    assert hashlib.sha256(keys.encode()).hexdigest() == DEMO_KEYS
    plain, dressed = Face(make_identity(3), (160, 120)), Face(make_identity(3), (160, 120), dress=lambda *_: None)
    motion = {"action_units": {"AU1": 0.3, "AU12": (0.5, 0.2)}, "blink": (0.2, 0.1), "pose": Pose(yaw=0.02)}
    np.testing.assert_array_equal(plain.layer(**motion), dressed.layer(**motion))
    nothing = 0 * plain.local_warp((0, 0), (0.1, 0.1), (0.1, 0))
    np.testing.assert_array_equal(plain.layer(**motion), plain.layer(**motion, warp=nothing))


def test_a_local_warp_moves_the_skin_at_its_place_and_in_its_direction():
    face, up = Face(make_identity(3)), 4  # pixels
    corner = face.identity.landmarks[48]
    warp = face.local_warp(corner, (0.15, 0.15), (0, -up / face.unit))
    still, moved = face.layer()[..., :3], face.layer(warp=warp)[..., :3]
    row, column = face.landmarks()[48].round().astype(int)[::-1]

    def patch(image: np.ndarray, down: int) -> np.ndarray:
        return image[row - 3 + down : row + 4 + down, column - 3 : column + 4]

    unlike = {down: np.abs(patch(moved, down) - patch(still, 0)).mean() for down in (-up, 0, up)}
    assert unlike[-up] < 0.5 * min(unlike[0], unlike[up])
    np.testing.assert_allclose(moved[:40], still[:40], atol=0.5)
