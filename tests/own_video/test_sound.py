"""The sound of an overlay: a flash in the pictures and a tone, at the same time in the video, are so in the overlay."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.video_clips import numbered, write_film, write_video
from Utils.errors import InputError
from Utils.own_video.overlay import overlay_writer
from Utils.own_video.sound import BLOCK, IN_STEP, in_step
from Utils.own_video.video_files import open_video

STEADY = [i / 25 for i in range(50)]
PHONE = [0.0, *np.cumsum(np.random.default_rng(0).choice([0.030, 0.036, 0.1], 44)).round(3).tolist()]


class Film(NamedTuple):
    """What is seen and heard; times are seconds."""

    codec: str | None  # of the sound
    flash: float
    tone: float
    pictures_end: float
    sound_begins: float
    sound_ends: float


def overlay_of(path: Path) -> tuple[Path, list[str]]:
    """The overlay of a video, without faces, and its remarks."""
    made = path.parent / "made" / f"{path.stem}.mp4"
    made.parent.mkdir(exist_ok=True)
    source = open_video(path)
    for _ in source:
        pass
    with overlay_writer(made, source, []) as overlay:
        for frame in source:
            overlay.add(frame)
    assert [p for p in made.parent.iterdir() if p.name.startswith(".")] == []
    return made, overlay.remarks


def watch(path: Path) -> Film:
    with av.open(str(path)) as container:
        shown = [(frame.time, frame.to_ndarray(format="gray")[:40].mean()) for frame in container.decode(video=0)]
        interval = shown[1][0] - shown[0][0]
    flash = next(time for time, level in shown if level > 128)
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return Film(None, flash, np.nan, shown[-1][0] + interval, np.nan, np.nan)
        stream = container.streams.audio[0]
        heard = []
        for frame in container.decode(audio=0):
            level = np.abs(av.AudioResampler("fltp", "mono").resample(frame)[0].to_ndarray()[0])
            heard.append((frame.time, frame.sample_rate, level))
    tone = next(time + np.argmax(level > 0.2) / rate for time, rate, level in heard if (level > 0.2).any())
    end = heard[-1][0] + len(heard[-1][2]) / heard[-1][1]
    return Film(stream.codec_context.name, flash, tone, shown[-1][0] + interval, heard[0][0], end)


# name, encoder of the sound, pictures, samples, flash, whether it is copied, other arguments
FILMS = {
    "aac.mp4": ("aac", STEADY, (0, 2), 1.2, "aac", {}),
    "mp3.mkv": ("libmp3lame", STEADY, (0, 2), 1.2, "mp3float", {}),
    "opus.webm": ("libopus", STEADY, (0, 2), 1.2, "aac", {"codec": "libvpx-vp9"}),
    "pcm.avi": ("pcm_s16le", STEADY, (0, 2), 1.2, "aac", {"codec": "mjpeg"}),
    "surround.mkv": ("ac3", STEADY, (0, 2), 1.2, "aac", {"layout": "5.1"}),
    "telephone.mkv": ("pcm_s16le", STEADY, (0, 2), 1.2, "aac", {"rate": 11000}),
    "broadcast.ts": ("aac", STEADY, (0, 2), 1.2, "aac", {}),
    "variable.mkv": ("aac", PHONE, (0, PHONE[-1]), PHONE[30], "aac", {}),
    "variable_opus.mkv": ("libopus", PHONE, (0, PHONE[-1]), PHONE[30], "aac", {}),
    "pictures_late.mkv": ("aac", [t + 0.8 for t in STEADY], (0.3, 2.8), 2.0, "aac", {}),
    "pictures_late_pcm.mkv": ("pcm_s16le", [t + 0.8 for t in STEADY], (0.3, 2.8), 2.0, "aac", {}),
    "sound_late.mkv": ("aac", STEADY, (0.7, 2), 1.2, "aac", {}),
    "sound_late_pcm.mkv": ("pcm_s16le", STEADY, (0.7, 2), 1.2, "aac", {}),
    "sound_long.mkv": ("aac", STEADY, (0, 9), 1.2, "aac", {}),
    "sound_long_pcm.mkv": ("pcm_s16le", STEADY, (0, 9), 1.2, "aac", {}),
    "gap.mkv": ("aac", STEADY, (0, 2), 1.2, "aac", {"gap": (0.2, 0.9)}),
    "gap_pcm.mkv": ("pcm_s16le", STEADY, (0, 2), 1.2, "aac", {"gap": (0.2, 0.9)}),
}


@pytest.mark.parametrize("name", FILMS)
def test_flash_and_tone_stay_together(tmp_path, name):
    sound, pictures, samples, flash, codec, others = FILMS[name]
    path = write_film(tmp_path / name, sound, pictures, flash, samples, **others)
    made, remarks = overlay_of(path)
    film, source = watch(made), open_video(path)
    assert remarks == []
    assert film.codec == codec
    expected = flash - pictures[0]
    assert film.flash == pytest.approx(expected, abs=1.01 / source.fps if source.resampled else 1e-3)
    assert film.tone == pytest.approx(expected, abs=0.025)
    assert film.pictures_end == pytest.approx(pictures[-1] - pictures[0] + 0.04, abs=0.07)
    assert film.sound_ends <= film.pictures_end + 0.05
    assert film.sound_ends >= min(samples[1] - pictures[0], film.pictures_end) - 0.06


def test_sound_is_copied_bit_for_bit(tmp_path):
    def packets(path: Path) -> list[bytes]:
        with av.open(str(path)) as container:
            return [bytes(p) for p in container.demux(audio=0) if p.size]

    path = write_film(tmp_path / "a.mp4", "aac", STEADY, 1.2, (0, 2))
    found = packets(overlay_of(path)[0])
    assert len(found) > 80 and found == packets(path)[: len(found)]


def test_a_cut_off_video_keeps_its_sound(tmp_path):
    path = write_film(tmp_path / "a.mkv", "libopus", STEADY, 0.4, (0, 2))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    film = watch(overlay_of(path)[0])
    assert film.tone == pytest.approx(film.flash, abs=0.02)
    assert 0.5 < film.pictures_end < 1.9 and film.sound_ends == pytest.approx(film.pictures_end, abs=0.06)


@pytest.mark.parametrize("name", ["aac.mp4", "pcm.avi"])
def test_equal_input_gives_equal_bytes(tmp_path, name):
    sound, pictures, samples, flash, _, others = FILMS[name]
    path = write_film(tmp_path / name, sound, pictures, flash, samples, **others)
    assert overlay_of(path)[0].read_bytes() == overlay_of(path)[0].read_bytes()


def test_without_sound(tmp_path):
    made, remarks = overlay_of(write_video(tmp_path / "a.mp4", numbered(5)))
    with av.open(str(made)) as container:
        assert [stream.type for stream in container.streams] == ["video"]
    assert remarks == []


def spoiled(path: Path, from_packet: int, to_packet: int) -> Path:
    """The video with random bytes in packets of its sound."""
    with av.open(str(path)) as container:
        places = [(p.pos, p.size) for p in container.demux(audio=0) if p.size]
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for place, size in places[from_packet:to_packet]:
        data[place : place + size] = rng.integers(0, 255, size, np.uint8).tobytes()
    path.write_bytes(data)
    return path


def test_sound_that_cannot_be_decoded_is_left_out(tmp_path):
    path = spoiled(write_film(tmp_path / "a.mp4", "aac", STEADY, 1.2, (0, 2)), 0, 1000)
    made, remarks = overlay_of(path)
    assert remarks == ["a.mp4: its sound cannot be decoded; overlay.mp4 has none"]
    assert watch(made).codec is None and watch(made).flash == pytest.approx(1.2)


@pytest.mark.parametrize("sound", ["aac", "ac3"])
def test_broken_packets_become_silence(tmp_path, sound):
    path = spoiled(write_film(tmp_path / "a.mp4", sound, STEADY, 1.2, (0, 2)), 5, 20)
    made, remarks = overlay_of(path)
    assert re.fullmatch(
        r"a\.mp4: \d+ packet\(s\) of its sound cannot be decoded; overlay\.mp4 is silent there", "".join(remarks)
    )
    film = watch(made)
    assert film.codec == "aac" and film.flash == pytest.approx(1.2)


@pytest.mark.parametrize(
    ("known", "unknown", "message"),
    [
        (b"A_AAC", b"A_XYZ", "its sound cannot be decoded; overlay.mp4 has none"),
        (b"V_MPEG4/ISO/AVC", b"V_MPEG9/ISO/XYZ", "its pictures are of a kind that cannot be decoded"),
    ],
)
def test_codecs_that_nobody_knows(tmp_path, known, unknown, message):
    path = write_film(tmp_path / "a.mkv", "aac", STEADY, 1.2, (0, 2))
    path.write_bytes(path.read_bytes().replace(known, unknown))
    if known.startswith(b"A"):
        assert overlay_of(path)[1] == [f"a.mkv: {message}"]
    else:
        with pytest.raises(InputError, match=message):
            open_video(path)


@pytest.mark.parametrize("name", ["aac.mp4", "broadcast.ts", "gap_pcm.mkv"])
def test_spoiled_films_have_an_overlay_or_are_refused(tmp_path, name):
    sound, pictures, samples, flash, _, others = FILMS[name]
    whole = write_film(tmp_path / name, sound, pictures, flash, samples, **others).read_bytes()
    rng, made = np.random.default_rng(7), 0
    for _ in range(25):
        data = np.frombuffer(whole, np.uint8).copy()
        data[rng.integers(len(data), size=20)] = rng.integers(256, size=20)
        (tmp_path / name).write_bytes(data.tobytes())
        try:
            overlay_of(tmp_path / name)
            made += 1
        except InputError as error:
            assert "\n" not in str(error)
    assert made > 5


def test_a_format_that_changes(tmp_path):
    """Two recordings of other rates and channels behind each other, as broadcasts have them."""
    one = write_film(tmp_path / "a.ts", "ac3", STEADY[:25], 0.4, (0, 1)).read_bytes()
    other = write_film(
        tmp_path / "b.ts", "ac3", [t + 1 for t in STEADY[:25]], 1.4, (1, 2), rate=44100, layout="stereo"
    ).read_bytes()
    (tmp_path / "both.ts").write_bytes(one + other)
    made, _ = overlay_of(tmp_path / "both.ts")
    film = watch(made)
    assert film.tone == pytest.approx(0.4, abs=0.02)
    assert film.sound_ends == pytest.approx(2, abs=0.1)


# The samples


def place(*pieces: tuple[float | None, int]) -> np.ndarray:
    """`in_step` at 1000 samples a second, of pieces of (seconds, samples); piece i has the value i + 1."""
    made = [(time, np.full((1, n), (i + 1) / 10, np.float32)) for i, (time, n) in enumerate(pieces)]
    blocks = list(in_step(made, 1000, 1))
    assert all(block.dtype == np.float32 and 0 < block.shape[1] <= BLOCK for block in blocks)
    return np.concatenate([block[0] for block in blocks]) * 10 if blocks else np.zeros(0)


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([(0.0, 3), (0.003, 2)], [1, 1, 1, 2, 2]),
        ([(0.002, 2)], [0, 0, 1, 1]),  # it begins late
        ([(-0.002, 3), (None, 2)], [1, 2, 2]),  # before the pictures
        ([(0.0, 30), (0.031, 2)], [1] * 30 + [2, 2]),  # a millisecond is no gap
        ([(0.0, 30), (0.052, 1)], [1] * 30 + [0] * 22 + [2]),  # 22 are
        ([(0.0, 40), (0.010, 32)], [1] * 40 + [2, 2]),  # an overlap
        ([(0.0, 40), (0.010, 5), (0.04, 1)], [1] * 40 + [3]),  # in what was played
    ],
)
def test_samples_by_hand(pieces, expected):
    assert place(*pieces).round().astype(int).tolist() == expected


def test_what_is_no_number_is_silent():
    samples = np.array([[np.nan, np.inf, -np.inf, 7.0, 0.5]], np.float32)
    (block,) = in_step([(0.0, samples)], 1000, 1)
    assert block.tolist() == [[0, 1, -1, 1, 0.5]]


times = st.one_of(st.none(), st.integers(-500, 5000).map(lambda ms: ms / 1000))


@given(st.lists(st.tuples(times, st.integers(0, 1500)), max_size=8))
def test_every_sample_is_in_step(pieces):
    """Without a time a piece follows the one before; so only the first sample of each is known here."""
    found = place(*pieces).round().astype(int)
    for i, (time, n) in enumerate(pieces):
        where = np.flatnonzero(found == i + 1)
        assert len(where) <= n and (not len(where) or np.ptp(where) == len(where) - 1)
        if time is not None and len(where):
            left_out = n - len(where)
            assert abs(where[0] - left_out - round(time * 1000)) <= IN_STEP * 1000
    kept = [found[0], *(b for a, b in pairwise(found) if a != b)] if len(found) else []
    order = [value for value in kept if value]
    assert order == sorted(order)
