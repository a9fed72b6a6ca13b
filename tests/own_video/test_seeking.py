"""Frames that are read again without what is before them are those of the first reading, in every format."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import Utils.own_video.seeking
from tests.support.video_clips import numbered, texture, turn, write_video
from Utils.own_video.seeking import frames_in, joined
from Utils.own_video.video_files import FrameSource, open_video

SIZE, N = (96, 64), 200
RANGES = [(150, 153), (20, 24), (22, 26), (30, 31), (197, 230), (400, 500)]  # neither in order nor all in the video
WANTED = [*range(20, 27), 30, 31, *range(150, 154), *range(197, N)]
KEYS = {"g": "24", "keyint_min": "24", "sc_threshold": "0"}
ORDERED = {**KEYS, "preset": "medium", "bf": "3"}  # with frames that are shown earlier than they are decoded

# name, codec, pixel format, options, whether the parts are found without reading all
FILES = {
    "h264.mp4": ("libx264", "yuv420p", KEYS, True),
    "b_frames.mkv": ("libx264", "yuv420p", ORDERED, True),
    "open_groups.mkv": ("libx264", "yuv420p", {**ORDERED, "x264-params": "open-gop=1"}, None),
    "refresh.mp4": ("libx264", "yuv420p", {**KEYS, "preset": "medium", "x264-params": "intra-refresh=1"}, None),
    "one_key.mp4": ("libx264", "yuv420p", {"g": "1000"}, True),
    "camcorder.ts": ("libx264", "yuv420p", KEYS, None),
    "mjpeg.avi": ("mjpeg", "yuvj420p", {}, True),
    "mpeg4.avi": ("mpeg4", "yuv420p", {}, None),
    "mpeg2.mpg": ("mpeg2video", "yuv420p", {}, None),
}  # fmt: skip


def differing(n: int) -> list[np.ndarray]:
    """Frames that move, so that every frame differs from the others."""
    return [cv2.resize(np.roll(image, 3 * i, axis=0), SIZE) for i, image in enumerate(texture(n))]


def whole(source: FrameSource) -> list:
    return list(source)


def require_same(source: FrameSource, before: list, ranges=RANGES) -> None:
    """Some parts of a video, read again, equal those of the first reading."""
    n = len(before)
    wanted = sorted({i for first, last in ranges for i in range(first, last + 1) if i < n})
    found = list(frames_in(source, ranges))
    assert [frame.index for frame in found] == wanted
    for frame in found:
        first = before[frame.index]
        assert np.array_equal(frame.image, first.image), frame.index
        assert (frame.time, frame.source_frame, frame.ticks) == (first.time, first.source_frame, first.ticks)


@pytest.fixture
def full_readings(monkeypatch) -> list[int]:
    """Gets an entry for every reading of a whole video."""
    found = []
    read = FrameSource.__iter__
    monkeypatch.setattr(FrameSource, "__iter__", lambda source: found.append(1) or read(source))
    return found


@pytest.mark.parametrize("name", FILES)
def test_they_are_the_frames_of_the_first_reading(tmp_path, name, full_readings):
    codec, pixels, options, quick = FILES[name]
    images = differing(N)
    source = open_video(write_video(tmp_path / name, images, 25, codec=codec, pix_fmt=pixels, options=options))
    before = whole(source)
    assert len(before) == N
    full_readings.clear()
    require_same(source, before)
    assert [frame.index for frame in frames_in(source, RANGES)] == WANTED
    if quick is not None:
        assert bool(full_readings) != quick


def test_of_variable_rate_with_pauses(tmp_path, full_readings):
    times = np.cumsum([0, *([33, 34, 33, 67, 33, 300] * 40)])[:N]
    path = write_video(tmp_path / "a.mkv", differing(N), times=times.tolist(), options=KEYS)
    source = open_video(path)
    before = whole(source)
    assert source.resampled and len(before) > N
    full_readings.clear()
    require_same(source, before, [(5, 60), (100, 101), (len(before) - 3, len(before))])
    assert not full_readings


def test_of_a_turned_video(tmp_path, full_readings):
    path = turn(write_video(tmp_path / "a.mp4", differing(60), options=KEYS), 90)
    source = open_video(path)
    before = whole(source)
    assert before[0].image.shape[:2] == SIZE
    full_readings.clear()
    require_same(source, before, [(40, 45)])
    assert not full_readings


def test_of_a_folder_of_images_only_the_wanted_ones_are_read(tmp_path, full_readings):
    for i, image in enumerate(numbered(12)):
        cv2.imwrite(str(tmp_path / f"img{i}.png"), image)
    source = open_video(tmp_path, 25)
    before = whole(source)
    full_readings.clear()
    (tmp_path / "img0.png").write_bytes(b"not read")
    require_same(source, before, [(3, 4), (11, 20)])
    assert not full_readings


def test_a_frame_that_is_not_as_before_is_read_from_the_beginning(tmp_path, full_readings):
    """A decoder that gives other pictures after a jump is noticed by the check sums, one that finds no time as well."""
    source = open_video(write_video(tmp_path / "a.mp4", differing(60), options=KEYS))
    before = whole(source)
    full_readings.clear()
    source.checks[41] += 1
    require_same(source, before, [(10, 12), (40, 44)])
    assert len(full_readings) == 1
    source.ticks[41] += 1
    require_same(source, before, [(10, 12), (40, 44)])
    assert len(full_readings) == 2
    require_same(source, before, [(10, 12)])
    assert len(full_readings) == 2


def test_nothing_wanted_reads_nothing(tmp_path, full_readings, monkeypatch):
    source = open_video(write_video(tmp_path / "a.mp4", numbered(5)))
    whole(source)
    full_readings.clear()
    monkeypatch.setattr(Utils.own_video.seeking, "open_container", None)
    assert list(frames_in(source, [])) == list(frames_in(source, [(7, 9)])) == [] and not full_readings


def test_a_file_that_is_gone_is_said(tmp_path):
    path = write_video(tmp_path / "a.mp4", numbered(5))
    source = open_video(path)
    whole(source)
    Path(path).unlink()
    with pytest.raises(OSError, match="No such file"):
        list(frames_in(source, [(0, 1)]))


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [([], []), ([(3, 4), (0, 2)], [(0, 4)]), ([(0, 9), (2, 3)], [(0, 9)]), ([(5, 6), (0, 3)], [(0, 3), (5, 6)])],
)
def test_joined(ranges, expected):
    assert joined(ranges) == expected
