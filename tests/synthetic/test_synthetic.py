"""The synthetic faces, clips and dataset: what they promise. Pictures are compared in `test_portable.py`."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import dlib
import numpy as np
import openpyxl
import pytest

from Utils.synthetic import dataset
from Utils.synthetic.action_units import AU_NAMES
from Utils.synthetic.clips import CLASSES, MACRO, MICRO, ClipSettings, render_clip, timeline
from Utils.synthetic.face import Face, Pose
from Utils.synthetic.identity import MIRROR, TEMPLATE, make_identity

SHORT = ClipSettings(frames=60, size=(160, 120), n_me=(1, 1), n_macro=(0, 0), n_speech=(0, 0))


@pytest.fixture(scope="module")
def face() -> Face:
    return Face(make_identity(3))


# Identity


def test_template_is_symmetric():
    np.testing.assert_allclose(TEMPLATE[MIRROR] * [-1, 1], TEMPLATE, atol=2e-4)


def test_identity_is_determined_by_its_seed():
    first, again, other = make_identity(5), make_identity(5), make_identity(6)
    np.testing.assert_array_equal(first.landmarks, again.landmarks)
    assert first.looks.hairstyle == again.looks.hairstyle
    assert np.abs(first.landmarks - other.landmarks).max() > 0.01
    assert not np.allclose(first.looks.skin, other.looks.skin)


def test_brows_stay_above_the_eyes():
    for seed in range(50):
        landmarks = make_identity(seed).landmarks
        assert (landmarks[[37, 38, 43, 44], 1] - landmarks[[19, 20, 23, 24], 1]).min() > 0.08


# Face


def test_frame_shape_type_and_determinism(face: Face):
    motion = {"action_units": {"AU1": 0.3, "AU12": (0.5, 0.2)}, "blink": (0.2, 0.1), "pose": Pose(yaw=0.02)}
    frame = face.render(**motion)
    assert frame.shape == (240, 320, 3)
    assert frame.dtype == np.uint8
    np.testing.assert_array_equal(frame, Face(make_identity(3)).render(**motion))


def test_other_sizes():
    assert Face(make_identity(0), size=(201, 151)).render().shape == (151, 201, 3)


def test_unknown_action_unit_is_refused(face: Face):
    with pytest.raises(ValueError, match="AU99"):
        face.render({"AU99": 1.0})


def test_noise_needs_its_own_stream(face: Face):
    with pytest.raises(ValueError, match="noise_rng"):
        face.render(noise=2.0)
    noisy = face.render(noise=4.0, noise_rng=np.random.default_rng(0)).astype(float)
    assert 3 < (noisy - face.render()).std() < 5


# Which landmarks an action unit moves: (name, landmarks, sign of the motion away from the mid-line, and down)
MOVES = [
    ("AU1", [21, 22], 0, -1),
    ("AU2", [18, 25], 0, -1),
    ("AU4", [20, 23], -1, 1),
    ("AU12", [48, 54], 1, -1),
    ("AU15", [48, 54], 0, 1),
    ("AU18", [48, 54], -1, 0),
    ("AU26", [7, 8, 9, 57], 0, 1),
]


@pytest.mark.parametrize(("name", "moved", "away", "down"), MOVES)
def test_action_unit_moves_its_landmarks(face: Face, name: str, moved: list[int], away: int, down: int):
    rest = face.landmarks()
    shift = face.landmarks({name: 1.0}) - rest
    outwards = shift[moved, 0] * np.sign(rest[moved, 0] - rest[27, 0])
    if away:
        assert (outwards * away > 1.0).all()
    if down:
        assert (shift[moved, 1] * down > 1.5).all()
    still = [39, 42] if min(moved) >= 48 or 8 in moved else [48, 54, 8]
    assert np.abs(shift[still]).max() < 0.4


def test_one_sided_action_unit_moves_one_side(face: Face):
    shift = np.abs(face.landmarks({"AU12": (1.0, 0.0)}) - face.landmarks()).max(1)
    assert shift[48] > 4
    assert shift[54] < 0.6


@pytest.mark.parametrize("name", [name for name in AU_NAMES if name not in ("AU4", "AU9", "AU26")])
def test_picture_changes_where_the_action_unit_acts(face: Face, name: str):
    change = np.abs(face.render({name: 0.4}).astype(int) - face.render()).max(2)
    landmarks = face.landmarks()
    middle = int(landmarks[30, 1])  # tip of the nose
    upper, lower = change[:middle].sum(), change[middle:].sum()
    if name in ("AU1", "AU2", "AU5"):
        assert upper > 1000
        assert lower < 0.02 * upper
    elif name != "AU6":  # the cheek lies between
        assert lower > 1000
        lids = 0.4 if name == "AU12" else 0.1  # a smile narrows the eyes
        assert upper < lids * lower
    left, right = int(landmarks[0, 0]) - 12, int(landmarks[16, 0]) + 12
    assert change[:, :left].max() == change[:, right:].max() == 0


def test_full_displacement_is_reached_in_the_picture(face: Face):
    """The picture follows the landmarks: a mole's worth of skin at the mouth corner is found where it should be."""
    rest, smile = face.render(), face.render({"AU12": 0.5})
    corner, moved = face.landmarks()[48], face.landmarks({"AU12": 0.5})[48]
    x, y = np.round(corner).astype(int)
    patch = rest[y - 6 : y + 7, x - 6 : x + 7]
    found = cv2.minMaxLoc(cv2.matchTemplate(smile, patch, cv2.TM_CCOEFF_NORMED)[y - 20 : y + 15, x - 25 : x + 15])[3]
    position = np.array(found) + [x - 25, y - 20] + 6
    assert np.abs((position - [x, y]) - (moved - corner)).max() < 1.5


def test_blink_and_mouth(face: Face):
    rest = face.render().astype(int)
    landmarks = np.round(face.landmarks()).astype(int)
    x, y = landmarks[36:42].mean(0).astype(int) - [0, 3]
    closed = face.render(blink=(1, 0)).astype(int)
    assert closed[y, x].mean() > rest[y, x].mean() + 30  # skin where the iris was
    x = landmarks[42:48, 0].mean().astype(int)
    np.testing.assert_array_equal(closed[y, x], rest[y, x])
    opened = face.render({"AU25": 1, "AU26": 1}).astype(int)
    lip_line = landmarks[62]
    cavity = opened[lip_line[1] + 9 : lip_line[1] + 13, lip_line[0] - 2 : lip_line[0] + 3]
    assert cavity.mean() < 70


def test_pose_places_the_head():
    face = Face(make_identity(1), size=(320, 240), unit=50)
    moved = face.landmarks(pose=Pose(tx=1.0, ty=-0.5, scale=1.2)) - face.landmarks()
    np.testing.assert_allclose(moved.mean(0), [50, -25], atol=8)
    turned = face.landmarks(pose=Pose(rotation=np.pi / 2))
    assert turned[16, 1] - turned[0, 1] > 50  # clockwise: the right side goes down
    layer = face.layer(pose=Pose(tx=1.0))
    assert layer[..., 3].max() > 254
    assert layer[:, :60, 3].max() == 0


def test_dlib_finds_exactly_one_face():
    detector = dlib.get_frontal_face_detector()
    for seed in range(12):
        face = Face(make_identity(seed))
        rectangles = detector(np.ascontiguousarray(face.render()[:, :, ::-1]), 1)
        assert len(rectangles) == 1, f"identity {seed}"
        nose = face.landmarks()[30]
        assert rectangles[0].contains(dlib.point(*np.round(nose).astype(int).tolist()))


# Clips


def test_timeline_is_determined_by_its_seed():
    settings = ClipSettings()
    first, again, other = (timeline(seed, 1, 2, settings) for seed in (4, 4, 5))
    assert first.events == again.events
    assert first.events != other.events
    for name in AU_NAMES:
        np.testing.assert_array_equal(first.action_units[name], again.action_units[name])
    np.testing.assert_array_equal(first.gaze, again.gaze)


@pytest.mark.parametrize("change", [{"noise": 9.0}, {"jpeg": 50}, {"flicker": 0.05}, {"head": 2.0}])
def test_disturbances_do_not_change_the_course(change: dict[str, float]):
    settings = ClipSettings()
    course, changed = timeline(0, 0, 0, settings), timeline(0, 0, 0, replace(settings, **change))
    assert course.events == changed.events
    for name in AU_NAMES:
        np.testing.assert_array_equal(course.action_units[name], changed.action_units[name])
    np.testing.assert_array_equal(course.blink, changed.blink)
    np.testing.assert_array_equal(course.gaze, changed.gaze)
    if "head" not in change:
        np.testing.assert_array_equal(course.pose["yaw"], changed.pose["yaw"])
    if "flicker" not in change:
        np.testing.assert_array_equal(course.gain, changed.gain)


def test_noise_level_changes_only_the_noise():
    quiet, noisy = (
        np.array(list(render_clip(0, 0, 0, replace(SHORT, frames=30, noise=level))[0])[:6], float) for level in (0, 3)
    )
    difference = noisy - quiet
    assert np.abs(difference.mean((1, 2, 3))).max() < 0.2
    assert 2 < difference.std() < 4
    assert np.abs(difference[0] - difference[1]).mean() > 1  # each frame its own


@pytest.mark.parametrize("fps", [25, 30, 100])
def test_events(fps: int):
    settings = ClipSettings(fps=fps, frames=10 * fps, n_macro=(1, 1), n_speech=(1, 1))
    for video in range(12):
        events = timeline(0, 0, video, settings).events
        assert 2 <= sum(event.kind == MICRO for event in events) <= 4
        for event in events:
            assert 0 < event.onset < event.apex < event.offset < settings.frames
            if event.kind == MICRO:
                assert event.emotion in CLASSES
                assert (event.offset - event.onset) / fps <= 0.5
        for earlier, later in pairwise(events):
            assert earlier.offset < later.onset


def test_action_units_act_within_their_events_only():
    settings = ClipSettings(n_macro=(0, 0), n_speech=(0, 0), blink_hz=0)
    course = timeline(0, 0, 0, settings)
    active = sum(values.sum(1) for values in course.action_units.values()) > 0
    expected = np.zeros(settings.frames, bool)
    for event in course.events:
        expected[event.onset + 1 : event.offset] = True
    np.testing.assert_array_equal(active, expected)


def test_requested_emotions_are_played():
    course = timeline(0, 0, 0, ClipSettings(), emotions=["surprise", "others"])
    assert sorted(event.emotion for event in course.events if event.kind == MICRO) == ["others", "surprise"]
    assert not any(event.kind == MICRO for event in timeline(0, 0, 0, ClipSettings(), emotions=[]).events)


def test_clip_shorter_than_its_events():
    frames, events = render_clip(0, 0, 0, replace(SHORT, frames=10))
    assert events == []
    assert len(list(frames)) == 10


# Dataset


def test_plan_covers_classes_and_subjects():
    plans = dataset.plan(seed=0)
    assert len(plans) == 16
    assert len({video.folder for video in plans}) == 16
    micro = [[event for event in video.events if event.kind == MICRO] for video in plans]
    assert [bool(events) for events in micro] == [True] * 15 + [False]
    counts = {emotion: sum(event.emotion == emotion for events in micro for event in events) for emotion in CLASSES}
    assert max(counts.values()) - min(counts.values()) <= 1
    assert min(counts.values()) >= 10
    others = sum(event.emotion == "others" for events in micro for event in events)
    assert 2 <= others <= 5
    assert any(event.kind == MACRO for video in plans for event in video.events)
    assert plans == dataset.plan(seed=0)
    assert plans != dataset.plan(seed=1)


def test_too_many_videos_are_refused():
    with pytest.raises(ValueError, match="videos"):
        dataset.plan(videos_per_subject=99)


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dataset.VideoPlan]]:
    root = tmp_path_factory.mktemp("CASME_sq")
    return root, dataset.generate(root, n_subjects=2, videos_per_subject=2, settings=SHORT)


def test_frames_on_disk(generated: tuple[Path, list[dataset.VideoPlan]]):
    root, plans = generated
    assert sorted(path.name for path in (root / "rawpic").iterdir()) == ["s15", "s16"]
    for video in plans:
        folder = root / video.folder
        assert folder.name.startswith(f"{15 + video.subject}_{video.stimulus.code}")
        assert sorted(path.name for path in folder.iterdir()) == [f"img{n:03d}.jpg" for n in range(1, 61)]
    assert cv2.imread(str(folder / "img001.jpg")).shape == (120, 160, 3)
    assert not list(root.rglob("*.partial"))


def test_workbook_layout(tmp_path: Path):
    plans = dataset.plan(seed=1)
    path = tmp_path / "deep" / dataset.WORKBOOK_NAME
    dataset.write_workbook(plans, path)
    workbook = openpyxl.load_workbook(path)
    assert [path.name for path in path.parent.iterdir()] == [dataset.WORKBOOK_NAME]
    annotations, subjects, stimuli = ([list(row) for row in sheet.values] for sheet in workbook)

    expected = [(video, event) for video in plans for event in video.events]
    assert len(annotations) == len(subjects) == len(expected)
    codes = {name: code for code, name in stimuli}
    without_offset = [row for row in annotations if row[4] == 0]
    assert [row[7] for row in without_offset] == [MACRO]
    for row, subject_row, (video, event) in zip(annotations, subjects, expected, strict=True):
        subject, sample, onset, apex, offset, action_units, emotion, kind, report = row
        assert subject == subject_row[2] == video.subject + 1
        assert subject_row[1] == video.subject_code == f"s{14 + subject}"
        assert codes[sample.split("_")[0]] == video.stimulus.code
        assert (onset, apex) == (event.onset + 1, event.apex + 1)
        assert offset in (event.offset + 1, 0)
        assert (emotion, kind) == (event.emotion, event.kind)
        assert isinstance(report, str)
        if isinstance(action_units, str):
            assert sorted(map(int, action_units.split("+"))) == sorted(event.action_units)
        else:
            assert (action_units,) == event.action_units
    assert {type(row[5]) for row in annotations} == {int, str}
    assert all(isinstance(code, str) and len(code) == 4 and code.startswith("0") for code in codes.values())


def test_finished_video_is_left_alone_and_partial_one_redone(tmp_path: Path):
    video = dataset.plan(n_subjects=1, videos_per_subject=1, settings=replace(SHORT, frames=20))[0]
    folder = dataset.render_video(video, tmp_path)
    first = folder / "img001.jpg"
    content, written = first.read_bytes(), first.stat().st_mtime_ns

    dataset.render_video(video, tmp_path)
    assert first.stat().st_mtime_ns == written

    (folder / "img020.jpg").unlink()  # a frame went missing
    assert not dataset.is_rendered(video, tmp_path)
    dataset.render_video(video, tmp_path)
    assert first.stat().st_mtime_ns > written
    assert first.read_bytes() == content
    assert len(list(folder.iterdir())) == 20

    changed = replace(video, settings=replace(video.settings, noise=5.0))  # other settings: other frames
    dataset.render_video(changed, tmp_path)
    assert first.read_bytes() != content
    assert not dataset.is_rendered(video, tmp_path)


def test_killed_render_leaves_no_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    video = dataset.plan(n_subjects=1, videos_per_subject=1, settings=replace(SHORT, frames=20))[0]
    encode, calls = cv2.imencode, []

    def killed_at_the_tenth(*arguments):
        calls.append(1)
        if len(calls) == 10:
            raise KeyboardInterrupt
        return encode(*arguments)

    monkeypatch.setattr(dataset.cv2, "imencode", killed_at_the_tenth)
    with pytest.raises(KeyboardInterrupt):
        dataset.render_video(video, tmp_path)
    assert not (tmp_path / video.folder).exists()
    assert len(list(dataset.render_video(video, tmp_path).iterdir())) == 20
    assert not list(tmp_path.rglob("*.partial"))


@pytest.fixture
def small_demo(monkeypatch) -> list:
    """A DEMO of two subjects with short videos: the videos of its version 1."""
    first = dataset.plan(0, 2, 1, SHORT)
    monkeypatch.setattr(dataset, "plan", lambda: list(first))
    monkeypatch.setattr(dataset, "MACRO_CLIP", replace(SHORT, frames=110, n_me=(0, 0), n_macro=(1, 1)))
    return first


def write_version_1(root, videos) -> None:
    for video in videos:
        dataset.render_video(video, root)
    dataset.write_workbook(videos, root / dataset.WORKBOOK_NAME)


def contents(root) -> dict:
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_demo_of_version_1_is_completed_and_nothing_else_changes(small_demo, tmp_path):
    write_version_1(tmp_path, small_demo)
    before = contents(tmp_path)
    dataset.make_demo(tmp_path, workers=1)
    after = contents(tmp_path)
    workbook = Path(dataset.WORKBOOK_NAME)
    assert {path for path in before if before[path] != after[path]} == {workbook}
    added = dataset.plan_demo()[len(small_demo) :]
    assert [video.subject for video in added] == [0, 1] and all(dataset.is_rendered(v, tmp_path) for v in added)
    assert {event.kind for video in added for event in video.events} == {"macro-expression"}
    assert not {v.folder for v in added} & {v.folder for v in small_demo}
    dataset.make_demo(tmp_path, workers=1)
    assert contents(tmp_path) == after, "it is complete now"


def test_demo_of_an_older_renderer_is_made_again(small_demo, tmp_path):
    dataset.make_demo(tmp_path, workers=1)
    frames, plans = {path: content for path, content in contents(tmp_path).items() if path.suffix == ".jpg"}, []
    for video in dataset.plan_demo():
        record = tmp_path / ".generated" / f"{video.subject_code}_{video.folder.name}.json"
        record.write_text(json.dumps({"key": video.key_with(1), "renderer": 1}))
        (tmp_path / video.folder / "img001.jpg").write_bytes(b"older")
        plans.append(video)
    dataset.make_demo(tmp_path, workers=1)
    assert {path: content for path, content in contents(tmp_path).items() if path in frames} == frames
    assert all(dataset.is_rendered(video, tmp_path) for video in plans)
    (tmp_path / plans[0].folder / "img002.jpg").unlink()  # then it is not whole: somebody has changed it
    record.write_text(json.dumps({"key": plans[-1].key_with(1), "renderer": 1}))
    before = contents(tmp_path)
    dataset.make_demo(tmp_path, workers=1)
    assert contents(tmp_path) == before


def test_an_upgrade_that_is_interrupted_is_continued(small_demo, tmp_path, monkeypatch):
    write_version_1(tmp_path, small_demo)
    plans = dataset.plan_demo()
    monkeypatch.setattr(dataset, "run_units", lambda work, plans, *_: [work(plan) for plan in plans[:-1]] + [1 / 0])
    with pytest.raises(ZeroDivisionError):
        dataset.make_demo(tmp_path, workers=1)
    monkeypatch.undo()
    monkeypatch.setattr(dataset, "plan_demo", lambda: plans)
    dataset.make_demo(tmp_path, workers=1)
    assert all(dataset.is_rendered(video, tmp_path) for video in plans)


def test_a_demo_of_the_user_is_left_alone(small_demo, tmp_path):
    """With other videos, or a part of them, it is not one that this program made as a whole."""
    write_version_1(tmp_path, small_demo[:1])
    before = contents(tmp_path)
    dataset.make_demo(tmp_path, workers=1)
    assert contents(tmp_path) == before
