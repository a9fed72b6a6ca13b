"""Reading videos: which frame comes at which number and time, for all kinds of files."""

from __future__ import annotations

import re

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition

from tests.support.paths import SHARED
from tests.support.video_clips import face_clip, number_of, numbered, texture, turn, write_sound, write_video
from Utils.errors import InputError
from Utils.own_video.paths import find_videos_to_run
from Utils.own_video.rates import measure_rate, rate_with_face
from Utils.own_video.video_files import FrameSource, open_video

VIDEOS = SHARED / "video"


def numbers(source: FrameSource) -> list[int]:
    frames = list(source)
    assert [f.index for f in frames] == list(range(len(frames)))
    assert [f.time for f in frames] == pytest.approx([i / source.fps for i in range(len(frames))])
    assert all(f.image.shape == (source.height, source.width, 3) and f.image.dtype == np.uint8 for f in frames)
    return [number_of(f.image) for f in frames]


# Constant rate


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".avi"])
@pytest.mark.parametrize("fps", [25, 30000 / 1001])
def test_a_constant_rate_passes_as_it_is(tmp_path, suffix, fps):
    source = open_video(write_video(tmp_path / f"a{suffix}", numbered(31), fps))
    assert source.fps == pytest.approx(fps, rel=1e-6)
    assert (source.width, source.height, source.n_estimated, source.resampled) == (64, 48, 31, False)
    assert numbers(source) == list(range(31))
    assert numbers(source) == list(range(31)), "every iteration begins anew"
    assert list(source.source_frames) == list(range(31))
    assert (source.remarks, source.problems) == ((), [])


def test_milliseconds_of_a_constant_rate_are_no_variable_rate(tmp_path):
    """Matroska rounds 1/30 s to 33, 33 and 34 ms."""
    times = [round(i * 1000 / 30) for i in range(40)]
    source = open_video(write_video(tmp_path / "a.mkv", numbered(40), times=times))
    assert (source.fps, source.resampled) == (30.0, False)
    assert numbers(source) == list(range(40))


def test_a_late_beginning_is_frame_0(tmp_path):
    times = [5000 + 40 * i for i in range(10)]
    source = open_video(write_video(tmp_path / "a.mkv", numbered(10), times=times))
    assert source.fps == 25 and numbers(source) == list(range(10))


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "suffix"),
    [
        ("ffv1", "gray", ".mkv"),
        ("ffv1", "yuv420p10le", ".mkv"),
        ("ffv1", "bgr0", ".avi"),
        ("mjpeg", "yuvj420p", ".mov"),
    ],
)
def test_formats_of_pixels(tmp_path, codec, pix_fmt, suffix):
    source = open_video(write_video(tmp_path / f"a{suffix}", numbered(12), codec=codec, pix_fmt=pix_fmt))
    assert numbers(source) == list(range(12))


def test_odd_sizes_and_names(tmp_path):
    odd = tmp_path / "ünterview – 录像 1.mkv"
    source = open_video(write_video(odd, numbered(5, (65, 49)), codec="ffv1", pix_fmt="bgr0"))
    assert (source.width, source.height) == (65, 49)
    assert numbers(source) == list(range(5))


def test_one_frame(tmp_path):
    source = open_video(write_video(tmp_path / "a.mp4", numbered(1)))
    assert numbers(source) == [0] and source.fps == 30


def test_frames_of_an_avi_keep_their_order(tmp_path):
    """AVI holds no times of display; H.264 with B-frames stores frames in another order."""
    source = open_video(write_video(tmp_path / "a.avi", numbered(40), 25, options={"bf": "3"}))
    assert numbers(source) == list(range(40))
    assert (source.n_estimated, source.problems) == (40, [])


def test_without_timestamps_the_usual_rate_is_taken_and_said(tmp_path):
    source = open_video(write_video(tmp_path / "a.h264", numbered(12), 25))
    assert numbers(source) == list(range(12))
    assert (source.fps, source.n_estimated) == (25, 12)
    assert source.remarks == ("a.h264: has no timestamps; 25 frames per second are assumed",)


def test_frames_stay_in_their_places_in_a_long_video():
    """29.96 per second is 29.97 for some frames, but not for an hour: the last would be 1.2 s off."""
    for fps, n, expected in ((29.96, 40, 30000 / 1001), (29.96, 108_000, 29.96), (30000 / 1001, 108_000, 30000 / 1001)):
        times = np.round(np.arange(n) / fps, 3)
        found, variable = measure_rate(times, 0.001)
        assert not variable and abs(times[-1] * found - (n - 1)) <= 0.6
        assert found == pytest.approx(expected, rel=1e-6)


def test_a_rate_that_changes_little_but_for_long_is_variable():
    times = np.cumsum(np.r_[0, np.full(5000, 0.033), np.full(5000, 0.0336)])
    found, variable = measure_rate(times, 1e-5)
    assert variable and found == 30


# Variable rate


def test_a_variable_rate_becomes_constant(tmp_path):
    """ms      0  33  67 100      200      300 333 367 400
    frame     0   1   2   3        4        5   6   7   8
    at 30     0   1   2   3 3 3    4 4 4    5   6   7   8"""
    times = [0, 33, 67, 100, 200, 300, 333, 367, 400]
    source = open_video(write_video(tmp_path / "a.mkv", numbered(9), times=times))
    assert (source.fps, source.resampled, source.n_estimated) == (30, True, 13)
    assert numbers(source) == [0, 1, 2, 3, 3, 3, 4, 4, 4, 5, 6, 7, 8]
    assert [frame.source_frame for frame in source] == numbers(source) == list(source.source_frames)
    assert "variable (10 to 30.3 per second): resampled to 30" in source.remarks[0]


def test_a_tick_as_long_as_a_frame_is_no_rounding():
    """AVI and some MP4 count frames: one that was dropped makes no slower video of constant rate."""
    found, variable = measure_rate(np.delete(np.arange(100), 50) / 25, 1 / 25)
    assert (found, variable) == (25, True)


def test_frames_that_come_too_fast_are_skipped(tmp_path):
    times = [0, 40, 80, 90, 100, 110, 120, 160, 200, 240, 280, 320]
    source = open_video(write_video(tmp_path / "a.mkv", numbered(12), times=times))
    assert source.fps == 25
    assert numbers(source) == [0, 1, 2, 6, 7, 8, 9, 10, 11] == list(source.source_frames)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_rate_of_a_variable_rate_is_that_of_the_parts_with_a_face(tmp_path, suffix):
    """3 s without a face at 60 frames per second, then 3 s with one at 20: most intervals are those at 60."""
    times = [*(round(i * 1000 / 60) for i in range(180)), *range(3000, 6000, 50)]
    images = texture(180) + list(face_clip()[0][:60])
    source = open_video(write_video(tmp_path / f"late{suffix}", images, times=times))
    assert source.fps == pytest.approx(20) and (source.resampled, source.n_estimated) == (True, 120)
    assert source.remarks[0].endswith("per second): resampled to 20, the rate where there is a face")
    shown = [frame.source_frame for frame in source]
    assert shown == [*range(0, 180, 3), *range(180, 240)]
    assert source.problems == []


def test_without_a_face_the_rate_is_that_of_all_frames(tmp_path):
    times = [*(round(i * 1000 / 60) for i in range(180)), *range(3000, 6000, 50)]
    source = open_video(write_video(tmp_path / "nobody.mkv", texture(240), times=times))
    assert (source.fps, source.resampled) == (60, True)
    assert source.remarks[0].endswith("per second): resampled to 60")
    shown = [frame.source_frame for frame in source]
    assert shown[:180] == list(range(180)) and shown[180:183] == [180, 180, 180]


def test_an_interval_shows_a_face_if_the_moments_around_it_do():
    """
    seconds           0         1         2         3
    frames            |  | |  | |   |   |   |   |   |
    face looked for   x         x           x
    """
    times = np.array([0, 0.25, 0.5, 0.75, 1, 1.4, 1.8, 2.2, 2.6, 3])
    moments = np.array([0, 1, 2.2])
    assert rate_with_face(times, moments, np.array([False, True, True])) == pytest.approx(2.5)
    assert rate_with_face(times, moments, np.array([True, True, False])) == pytest.approx(4)
    assert rate_with_face(times, moments, np.array([False, True, False])) is None, "too short to be sure"
    assert rate_with_face(times, moments, np.zeros(3, bool)) is None
    assert rate_with_face(times, np.array([]), np.array([], bool)) is None
    assert rate_with_face(times, moments[:1], np.ones(1, bool)) == pytest.approx(2.5), "one moment stands for all"


def test_a_time_that_jumps_by_hours_is_refused(tmp_path):
    times = [0, 40, 80, 7_200_000, 7_200_040]
    with pytest.raises(InputError, match="the time jumps by 7200 s after 0 s"):
        open_video(write_video(tmp_path / "a.mkv", numbered(5), times=times))


def test_a_time_that_begins_anew_is_refused(tmp_path):
    one, other = (write_video(tmp_path / f"{name}.ts", numbered(40), 25).read_bytes() for name in "ab")
    (tmp_path / "joined.ts").write_bytes(one + other)
    with pytest.raises(InputError, match=r"joined.ts: the time jumps by -2 s"):
        open_video(tmp_path / "joined.ts")


# Turned


@pytest.mark.parametrize(("clockwise", "corner"), [(90, "upper right"), (180, "lower right"), (270, "lower left")])
def test_the_display_matrix_is_heeded(tmp_path, clockwise, corner):
    source = open_video(turn(write_video(tmp_path / "a.mp4", numbered(4)), clockwise))
    assert (source.width, source.height) == ((64, 48) if clockwise == 180 else (48, 64))
    image = next(iter(source)).image
    rows = slice(0, 8) if corner.startswith("upper") else slice(-8, None)
    columns = slice(0, 8) if corner.endswith("left") else slice(-8, None)
    assert image[rows, columns].mean() > 240
    assert image.mean() < 60
    assert numbers(source) == list(range(4))


# Broken


def test_a_cut_off_file_gives_what_is_there(tmp_path):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(40)]
    path = write_video(tmp_path / "a.mkv", images, codec="mjpeg", pix_fmt="yuvj420p")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    frames = list(open_video(path))
    assert 10 < len(frames) < 30


@pytest.mark.parametrize(
    ("name", "options"), [("a.mkv", {}), ("a.mp4", {"movflags": "faststart"})], ids=["matroska", "mp4"]
)
def test_a_cut_off_file_is_said_to_be_one(tmp_path, name, options):
    """The header, at the beginning, tells how long the video was."""
    images = [np.random.default_rng(i).integers(0, 255, (48, 64, 3), np.uint8) for i in range(60)]
    path = write_video(tmp_path / name, images, container_options=options)
    whole = open_video(path)
    assert sum(1 for _ in whole) == 60 and whole.remarks == ()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    source = open_video(path)
    assert 20 < sum(1 for _ in source) < 40
    (remark,) = source.remarks
    assert re.fullmatch(
        rf"{name}: its pictures end after (0.9|1.0) s, but its header gives 2.0 s: it may be cut off", remark
    )


def test_an_encrypted_file_is_refused(tmp_path):
    key = "00112233445566778899aabbccddeeff"
    options = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": key, "encryption_kid": key}
    path = write_video(tmp_path / "a.mp4", numbered(5), container_options=options)
    with pytest.raises(InputError, match=r"a\.mp4: is encrypted"):
        open_video(path)


def test_a_size_that_changes_is_scaled_to_the_first(tmp_path):
    one = write_video(tmp_path / "a.h264", numbered(10)).read_bytes()
    other = write_video(tmp_path / "b.h264", numbered(10, (96, 64))).read_bytes()
    (tmp_path / "both.h264").write_bytes(one + other)
    source = open_video(tmp_path / "both.h264")
    assert (source.width, source.height) == (64, 48)
    assert numbers(source) == [*range(10), *range(10)]
    assert source.problems == ["both.h264: 10 frame(s) of another size, scaled to that of the first"]


def test_broken_packets_are_held_over_and_said(tmp_path):
    path = write_video(tmp_path / "a.avi", numbered(30), codec="mjpeg", pix_fmt="yuvj420p")
    data = bytearray(path.read_bytes())
    start = [i for i in range(len(data)) if data[i : i + 4] == b"00dc"][10]
    size = int.from_bytes(data[start + 4 : start + 8], "little")
    data[start + 8 : start + 8 + size] = bytes(size)
    path.write_bytes(data)
    source = open_video(path)
    found = numbers(source)
    (broken,) = (i for i, number in enumerate(found) if i != number)
    assert found == [broken - 1 if i == broken else i for i in range(30)]
    decoded = [i for i in range(30) if i != broken]
    assert [decoded[number] for number in source.source_frames] == found
    assert source.problems == [
        "a.avi: 1 packet(s) cannot be decoded",
        "a.avi: 1 frame(s) are missing; the frame before is repeated",
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.mp4", b"", "is empty"),
        ("a.mp4", b"no video at all, but words" * 50, "is not a video"),
        ("a.m3u8", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "is not a video"),
        ("a.txt", b"ffconcat version 1.0\nfile b.mp4\n", "is not a video"),
        ("a.mp4", bytes(5000), "is not a video"),
    ],
)
def test_files_that_are_no_videos(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        open_video(tmp_path / name)
    assert str(tmp_path / name) in str(error.value) and "\n" not in str(error.value)


def test_an_mp4_without_its_table_of_contents(tmp_path):
    path = write_video(tmp_path / "a.mp4", numbered(20))
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(InputError, match="is not a video that can be read"):
        open_video(path)


def test_the_cover_of_a_song_is_no_video(tmp_path):
    with av.open(str(tmp_path / "a.m4a"), "w", format="mp4") as container:
        sound, cover = container.add_stream("aac", rate=44100, layout="mono"), container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 44100
        container.mux(sound.encode(frame))
        picture = av.VideoFrame.from_ndarray(numbered(1)[0], format="bgr24")
        for packet in (*cover.encode(picture), *cover.encode(), *sound.encode()):
            container.mux(packet)
    with pytest.raises(InputError, match=r"a\.m4a: has no pictures \(audio only\)"):
        open_video(tmp_path / "a.m4a")


def test_sound_only_and_nothing(tmp_path):
    with pytest.raises(InputError, match=r"has no pictures \(audio only\)"):
        open_video(write_sound(tmp_path / "a.m4a"))
    with pytest.raises(InputError, match="no such file"):
        open_video(tmp_path / "nothing.mp4")


def test_frames_that_are_too_large(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", numbered(2, (160, 128)))
    monkeypatch.setattr("Utils.own_video.containers.MAX_PIXELS", 128 * 128)
    with pytest.raises(InputError, match="160x128 pixels"):
        open_video(path)


def test_frames_whose_size_is_known_by_decoding_only(tmp_path, monkeypatch):
    """Frames are already decoded when the file is opened, so larger ones must be refused there."""
    path = write_video(tmp_path / "a.avi", numbered(2, (160, 128)), codec="mjpeg", pix_fmt="yuvj420p")
    monkeypatch.setattr("Utils.own_video.containers.MAX_PIXELS", 128 * 128)
    with pytest.raises(InputError, match=r"no frame can be decoded; is it whole, .* of at most 8192x8192 pixels"):
        open_video(path)


def test_frames_that_grow_too_large_are_not_decoded(tmp_path, monkeypatch):
    """The decoder refuses them before it allocates memory for them."""
    one = write_video(tmp_path / "a.h264", numbered(10)).read_bytes()
    other = write_video(tmp_path / "b.h264", numbered(10, (256, 192))).read_bytes()
    (tmp_path / "both.h264").write_bytes(one + other)
    monkeypatch.setattr("Utils.own_video.containers.MAX_PIXELS", 128 * 128)
    source = open_video(tmp_path / "both.h264")
    assert numbers(source) == list(range(10))
    assert "packet(s) cannot be decoded" in source.problems[0]


# Folders


def test_a_folder_of_images(tmp_path):
    images = numbered(12)
    for i in (0, 1, 2, 9, 10, 11):
        cv2.imwrite(str(tmp_path / f"img{i}.png"), images[i])
    cv2.imwrite(str(tmp_path / "img3.png"), images[3].astype(np.uint16) * 257)
    cv2.imwrite(str(tmp_path / "img4.png"), images[4][..., 0])
    cv2.imwrite(str(tmp_path / "img5.png"), np.dstack([images[5], np.full((48, 64), 7, np.uint8)]))
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / ".img6.png").write_bytes(b"hidden")
    source = open_video(tmp_path, fps=100)
    assert numbers(source) == [0, 1, 2, 3, 4, 5, 9, 10, 11]
    assert list(source.source_frames) == list(range(9))
    with pytest.raises(InputError, match="--fps"):
        open_video(tmp_path)
    for fps in (0, -25, 1001, float("nan"), float("inf")):
        with pytest.raises(InputError, match="frames per second are outside"):
            open_video(tmp_path, fps)
    cv2.imwrite(str(tmp_path / "img7.png"), images[7][:20])
    with pytest.raises(InputError, match=r"img7.png: is 64x20 pixels, the first image 64x48"):
        list(open_video(tmp_path, fps=100))


def test_files_have_their_own_rate(tmp_path):
    with pytest.raises(InputError, match="leave --fps out"):
        open_video(write_video(tmp_path / "a.mp4", numbered(2)), fps=30)


def test_what_paths_stand_for(tmp_path):
    for name in ("v/b10.mp4", "v/b9.MOV", "v/.hidden.mp4", "v/notes.txt", "i/img1.png", "e/x.txt", "one.bin"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = find_videos_to_run([tmp_path / "v", tmp_path / "i", tmp_path / "one.bin", tmp_path / "v/b9.MOV"])
    assert [p.relative_to(tmp_path).as_posix() for p in found] == ["v/b9.MOV", "v/b10.mp4", "i", "one.bin"]
    for bad in ("e", "nothing"):
        with pytest.raises(InputError, match=f"{bad}: "):
            find_videos_to_run([tmp_path / bad])


@pytest.mark.skipif(not VIDEOS.is_dir(), reason=f"{VIDEOS} is not on this machine")
def test_real_videos():
    found = {p.stem: open_video(p) for p in VIDEOS.glob("*.mp4")}
    expected = {"single_face": (30, 72), "WolfgangLanger_Pexels": (24000 / 1001, 472), "no_face": (24, 95)}
    for name, (fps, n) in expected.items():
        assert found[name].fps == pytest.approx(fps)
        assert sum(1 for _ in found[name]) == n == found[name].n_estimated, name
