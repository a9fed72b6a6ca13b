"""Is the footage good enough: measurements of rendered faces with known faults, and the command that prints them."""

from __future__ import annotations

import json
from itertools import pairwise

import cv2
import numpy as np
import pytest

import main
from tests.support.video_clips import face_clip, write_video
from Utils.own_video.face_tracks import Segment, Track, Tracking
from Utils.own_video.footage import (
    AMBER,
    GREEN,
    RED,
    FootageMeter,
    are_findings,
    crete_blur,
    level_of,
    scored_share,
    worst,
)
from Utils.own_video.video_files import Frame

RECTANGLE = (30, 10, 140, 120)


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    return list(face_clip()[0][:31])


def measured(images, fps=30.0, rectangle=RECTANGLE, scored=1.0, bits=0.1, codec="h264", resampled=False) -> dict:
    """Name -> (level, value) of the findings on frames with a face in one rectangle."""
    tracking = Tracking(len(images), (Track(0, (Segment(0, len(images) - 1, rectangle),)),), (), ())
    meter = FootageMeter(tracking, fps, resampled)
    for i, image in enumerate(images):
        meter.add(Frame(i, i / fps, image, i))
    findings = meter.findings(scored, bits, codec)
    assert all(bool(f.advice) == (f.level != GREEN) for f in findings)  # advice where there is something to do
    return {f.name: (f.level, f.value) for f in findings}


def blurred(images, sigma: float) -> list[np.ndarray]:
    return [cv2.GaussianBlur(image, (0, 0), sigma) for image in images]


def test_bounds():
    assert [level_of(x, (25, 20)) for x in (30, 25, 24.9, 20, 19.9)] == [GREEN, GREEN, AMBER, AMBER, RED]
    assert [level_of(x, (0.1, 0.3)) for x in (0.0, 0.1, 0.11, 0.3, 0.31)] == [GREEN, GREEN, AMBER, AMBER, RED]


def test_a_good_clip_is_green(images):
    found = measured(images)
    assert {name for name, (level, _) in found.items() if level != GREEN} == set(), found
    assert found["face size"] == (GREEN, "110 pixels")
    assert list(found) == [
        "frame rate", "face size", "blur", "exposure", "compression", "time with a scored face", "head motion",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fps", "level"), [(200, GREEN), (25, GREEN), (24000 / 1001, AMBER), (24, AMBER), (20, AMBER), (15, RED)]
)
def test_frame_rate(images, fps, level):
    assert measured(images, fps=fps)["frame rate"][0] == level


def test_repeated_frames_lower_the_rate(images):
    """A camera of 15 frames a second in a file of 30, and a photograph."""
    level, value = measured([image for image in images[:15] for _ in range(2)])["frame rate"]
    assert level == RED and value == "30 frames per second, 52% of them repeat the frame before"
    assert measured([images[0]] * 30)["frame rate"][0] == RED
    twenty = [*images[:27], images[26], images[26], images[26]]  # 3 of 29
    assert measured(twenty, fps=27)["frame rate"] == (
        AMBER,
        "27 frames per second, 10% of them repeat the frame before",
    )


def test_frames_that_this_program_repeats_are_not_blamed_on_the_camera(images):
    twice = [image for image in images[:15] for _ in range(2)]
    assert measured(twice, resampled=True)["frame rate"] == (GREEN, "30 frames per second")


def test_a_still_face_in_a_large_noisy_picture_is_no_repetition(images):
    rng, large = np.random.default_rng(0), cv2.resize(images[0], (1920, 1440))
    noisy = [np.clip(large + rng.normal(0, 1.5, large.shape), 0, 255).astype(np.uint8) for _ in range(4)]
    assert measured(noisy, rectangle=(180, 60, 840, 720))["frame rate"] == (GREEN, "30 frames per second")


@pytest.mark.parametrize(("size", "level"), [(110, GREEN), (100, GREEN), (99, AMBER), (60, AMBER), (59, RED)])
def test_face_size(images, size, level):
    assert measured(images, rectangle=(30, 10, 30 + size, 10 + size))["face size"] == (level, f"{size} pixels")


def test_blur_grows_with_the_blur(images):
    gray = cv2.cvtColor(images[0], cv2.COLOR_BGR2GRAY)
    values = [crete_blur(gray), *(crete_blur(cv2.GaussianBlur(gray, (0, 0), sigma)) for sigma in (0.5, 1, 2, 4))]
    assert all(a < b for a, b in pairwise(values)) and 0 < values[0] < values[-1] < 1
    assert crete_blur(np.full((20, 20), 7, np.uint8)) == 1
    checkerboard = np.uint8(np.indices((40, 40)).sum(axis=0) % 2 * 255)
    assert crete_blur(checkerboard) < 0.15
    assert [measured(blurred(images, s))["blur"][0] for s in (0.3, 1.2, 4)] == [GREEN, AMBER, RED]


def test_blur_is_that_of_the_worse_direction():
    rng = np.random.default_rng(0)
    stripes = np.uint8(rng.integers(0, 255, (1, 60)).repeat(60, axis=0))  # no change at all from row to row
    assert crete_blur(stripes) == crete_blur(stripes.T) == 1


@pytest.mark.parametrize(
    ("change", "level"),
    [
        (lambda x: x, GREEN),
        (lambda x: x * 0.35, AMBER),
        (lambda x: x * 0.15, RED),
        (lambda x: x * 0.2 + 180, AMBER),
        (lambda x: x * 3.0, RED),
    ],
)
def test_exposure(images, change, level):
    changed = [np.clip(change(image.astype(float)), 0, 255).astype(np.uint8) for image in images]
    assert measured(changed)["exposure"][0] == level


@pytest.mark.parametrize(
    ("bits", "codec", "level"),
    [
        (0.1, "h264", GREEN),
        (0.03, "h264", AMBER),
        (0.01, "h264", RED),
        (0.03, "hevc", GREEN),
        (0.01, "vp9", AMBER),
        (0.005, "av1", RED),
    ],
)
def test_compression(images, bits, codec, level):
    assert measured(images, bits=bits, codec=codec)["compression"][0] == level


def test_what_has_no_bound_is_not_judged(images):
    assert "compression" not in measured(images, bits=None)  # a folder of images
    assert "compression" not in measured(images, bits=0.3, codec="mjpeg")


@pytest.mark.parametrize(("share", "part", "words"), [(0.4, "black", "more light"), (0.4, "white", "less light")])
def test_advice_on_exposure_fits_the_fault(images, share, part, words):
    """A face of a good gray level, 40 % of which is black, or white."""
    spoiled = images[0].copy()
    rows = round(spoiled.shape[0] * share)
    spoiled[:rows] = 0 if part == "black" else 255
    tracking = Tracking(1, (Track(0, (Segment(0, 0, (0, 0, *spoiled.shape[1::-1])),)),), (), ())
    meter = FootageMeter(tracking, 30)
    meter.add(Frame(0, 0, spoiled, 0))
    (found,) = (f for f in meter.findings(1.0) if f.name == "exposure")
    assert found.level == RED and words in found.advice


def test_pictures_without_anything_in_them_have_no_motion():
    assert "head motion" not in measured([np.full((120, 160, 3), 90, np.uint8)] * 31)


@pytest.mark.parametrize(("share", "level"), [(1.0, GREEN), (0.9, GREEN), (0.89, AMBER), (0.5, AMBER), (0.0, RED)])
def test_time_with_a_scored_face(images, share, level):
    assert measured(images, scored=share)["time with a scored face"][0] == level


@pytest.mark.parametrize(("step", "level"), [(0, GREEN), (6, AMBER), (12, RED)])
def test_head_motion(images, step, level):
    """The picture moves by `step` pixels of the crop in half a second (15 frames)."""
    wide = np.pad(images[0], ((0, 0), (40, 40), (0, 0)), mode="edge")
    scale = (RECTANGLE[2] - RECTANGLE[0]) / 128
    shifts = [round(step * scale * i / 15) for i in range(31)]
    moved = [wide[:, 40 + shift : 40 + shift + images[0].shape[1]] for shift in shifts]
    found = measured(moved)["head motion"]
    assert found[0] == level and abs(float(found[1].split()[0]) - step) < 1, found


def test_without_a_face_only_the_video_is_measured(images):
    meter = FootageMeter(Tracking(5, (), (), ((0, 4),)), 30)
    for i, image in enumerate(images[:5]):
        meter.add(Frame(i, i / 30, image, i))
    findings = meter.findings(0.0, 0.1, "h264")
    assert [f.name for f in findings] == ["frame rate", "compression", "time with a scored face"]
    assert worst(findings) == RED and worst(findings[:2]) == GREEN


def test_scored_share_by_hand():
    """k = 2, k' = 3: stretches need 6 features, so 8 frames. Frames 0-9 and 20-29 of 40; 30-36 are too few."""
    segments = tuple(Segment(a, b, RECTANGLE) for a, b in ((0, 9), (20, 29), (31, 37)))
    assert scored_share(Tracking(40, (Track(0, segments),), (), ()), 2, 3) == 20 / 40
    assert scored_share(Tracking(40, (), (), ()), 2, 3) == 0


def test_findings_that_somebody_has_changed():
    good = [dict(name="blur", value="0.3", level="green", advice="")]
    assert are_findings(good) and are_findings([])
    for bad in (
        None,
        {},
        [1],
        [{}],
        [good[0] | {"more": ""}],
        [good[0] | {"value": 3}],
        [good[0] | {"level": "purple"}],
    ):
        assert not are_findings(bad)


# The command


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("footage") / "a.mp4", face_clip()[0][:40], 30)


def test_check_of_a_video_prints_and_writes_nothing(clip, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    before = sorted(clip.parent.iterdir())
    assert main.main(["--video", str(clip), "--check"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"{clip}: ") and said[1] == "  green: frame rate 30 frames per second"
    assert len(said) == 8
    assert sorted(clip.parent.iterdir()) == before and not list(tmp_path.iterdir())


def test_exit_codes_of_the_check(clip, tmp_path, capsys):
    (tmp_path / "no.mp4").write_bytes(b"no video")
    assert main.main(["--video", str(tmp_path / "no.mp4"), "--check"]) == 2
    assert main.main(["--video", str(tmp_path / "no.mp4"), str(clip), "--check"]) == 1
    said = capsys.readouterr()
    assert said.err.count("\n") == 2 and "no.mp4: is not a video" in said.err and str(clip) in said.out


def test_the_check_also_says_what_is_odd_about_the_file(tmp_path, capsys):
    images = list(face_clip()[0][:30])
    times = np.cumsum([0, *([33, 33, 100] * 10)])[:30].tolist()  # milliseconds: a variable rate
    path = write_video(tmp_path / "vfr.mkv", images, 30, times=times)
    assert main.main(["--video", str(path), "--check"]) == 0
    said = capsys.readouterr().out
    assert "frame rate is variable" in said and "resampled to 30, the rate where there is a face" in said
    assert "green: frame rate 30 frames per second" in said


def test_results_and_report_have_the_findings(clip, tmp_path, capsys):
    dark = [(image * 0.35).astype(np.uint8) for image in face_clip()[0][:40]]
    path = write_video(tmp_path / "dark.mp4", dark, 30)
    assert main.main(["--video", str(path), "--output_dir", str(tmp_path / "out"), "--workers", "1"]) == 0
    said = capsys.readouterr().out
    written = json.loads((tmp_path / "out/dark/settings.json").read_text())["footage"]
    levels = {finding["name"]: finding["level"] for finding in written}
    assert levels["exposure"] != GREEN and levels["frame rate"] == GREEN
    report = (tmp_path / "out/dark/report.html").read_text()
    assert "Is the footage good enough?" in report and "Use more light from the front." in report
    assert "footage, " in said and "Use more light" in said and "green: frame rate" not in said
