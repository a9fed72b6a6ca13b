"""Small video files for tests: of flat grey frames that tell their number, and of the project's synthetic faces."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import cv2
import numpy as np

from Utils.synthetic.clips import ClipSettings, Event, render_clip

STEP, DARKEST = 5.5, 20  # grey levels from one numbered frame to the next, and of the first
FACE = ClipSettings(frames=75, size=(192, 144), n_me=(1, 1), n_macro=(0, 0), n_speech=(0, 0), head=0.3)
MATRICES = {  # clockwise turn -> a, b, c, d of the display matrix (ISO/IEC 14496-12)
    90: (0, 1, -1, 0),
    180: (-1, 0, 0, -1),
    270: (0, -1, 1, 0),
}


def numbered(n: int, size: tuple[int, int] = (64, 48)) -> list[np.ndarray]:
    """`n` frames, at most 42, flat but for a white upper left corner; `number_of` tells which one a decoded one is."""
    frames = []
    for i in range(n):
        image = np.full((size[1], size[0], 3), int(DARKEST + STEP * i), np.uint8)
        image[: size[1] // 4, : size[0] // 4] = 255
        frames.append(image)
    return frames


def number_of(image: np.ndarray) -> int:
    """Which of the numbered frames this is, by its middle."""
    height, width = image.shape[:2]
    level = float(image[height // 2 - 2 : height // 2 + 2, width // 2 - 2 : width // 2 + 2].mean())
    return round((level - DARKEST + 1.5) / STEP)  # codecs take up to three levels away


def write_video(
    path: Path,
    images: Sequence[np.ndarray],
    fps: float = 30,
    times: Sequence[int] | None = None,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Write BGR frames; `times` are their moments in milliseconds, else the rate is constant."""
    rate = Fraction(fps).limit_denominator(1001)
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=rate if times is None else 1000)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pix_fmt
        if codec == "libx264":
            stream.options = {"crf": "8", "preset": "ultrafast", **(options or {})}
        tick = 1 / rate if times is None else Fraction(1, 1000)
        stream.codec_context.time_base = tick
        for i, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
            frame.pts, frame.time_base = i if times is None else times[i], tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def turn(path: Path, clockwise: int) -> Path:
    """Set the display matrix of an MP4's track header: players turn the picture clockwise by 90, 180 or 270 degrees."""
    data = bytearray(path.read_bytes())
    a, b, c, d = (x * 0x10000 for x in MATRICES[clockwise])
    start = data.index(b"tkhd") + 44
    data[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 0x40000000)
    path.write_bytes(data)
    return path


def write_sound(path: Path) -> Path:
    """A tenth of a second of silence."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        for _ in range(5):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.rate = 44100
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@lru_cache(maxsize=2)
def face_clip(subject: int = 0, frames: int = FACE.frames) -> tuple[tuple[np.ndarray, ...], tuple[Event, ...]]:
    """Frames of a synthetic face with one micro-expression, and what is annotated."""
    settings = ClipSettings(**{**FACE.__dict__, "frames": frames})
    images, events = render_clip(5, subject, 0, settings)
    return tuple(images), tuple(events)


def write_face_images(folder: Path) -> Path:
    """The frames of `face_clip` as PNG, without loss: img1.png, img2.png, ... Returns the folder."""
    for i, image in enumerate(face_clip()[0]):
        cv2.imwrite(str(folder / f"img{i + 1}.png"), image)
    return folder


def texture(n: int, size: tuple[int, int] = FACE.size) -> list[np.ndarray]:
    """Frames without a face: slowly moving noise of the faces' brightness."""
    rng = np.random.default_rng(1)
    field = np.kron(rng.integers(60, 160, (size[1] // 8 + 1, size[0] // 8 + 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    return [np.ascontiguousarray(field[: size[1], i % 40 : i % 40 + size[0]]) for i in range(n)]


def write_film(
    path: Path,
    sound: str,
    pictures: Sequence[float],
    flash: float,
    samples: tuple[float, float],
    codec: str = "libx264",
    gap: tuple[float, float] = (0, 0),
    rate: int = 48000,
    layout: str = "mono",
) -> Path:
    """A film of 64x48 pixels that is dark and silent, but for a white picture and a loud tone of 0.1 s at `flash`.

    Parameters
    ----------
    path : Path
    sound : str
        FFmpeg's name of the encoder of the sound.
    pictures : sequence of float
        When each picture begins, in seconds of the file.
    flash : float
        Seconds of the file.
    samples : (float, float)
        When the sound begins and ends, in seconds of the file.
    codec : str
        That of the pictures.
    gap : (float, float)
        Seconds of the file for which there is no sound.
    rate : int
        Samples a second.
    layout : str
        "mono", "stereo", or another of FFmpeg's names.
    """
    intervals = np.diff(np.round(np.array(pictures) * 1000).astype(int))
    rate_of_pictures = 1000 // int(intervals[0]) if len(set(intervals.tolist())) == 1 else 1000
    tick = Fraction(1, rate_of_pictures)
    with av.open(str(path), "w") as out:
        video = out.add_stream(codec, rate=rate_of_pictures)
        video.width, video.height, video.pix_fmt = 64, 48, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        video.options = {"libx264": {"preset": "ultrafast", "bf": "0"}, "libvpx-vp9": {"cpu-used": "8"}}.get(codec, {})
        video.codec_context.time_base = tick
        audio = out.add_stream(sound, rate=rate, layout=layout)
        kind = audio.codec_context.codec.audio_formats[0]
        resampler = av.AudioResampler(kind.name, layout, rate)
        written: list[av.Packet] = []
        for time in pictures:
            level = 255 if flash <= time < flash + 0.1 else 16
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), level, np.uint8), format="bgr24")
            frame.pts, frame.time_base = round(time / tick), tick
            written += video.encode(frame)
        written += video.encode()
        n, first = len(audio.codec_context.layout.channels), round(samples[0] * rate)
        for begin in range(first, round(samples[1] * rate), 960):
            times = (begin + np.arange(960)) / rate
            if gap[0] <= times[0] < gap[1]:
                continue
            loud = (times >= flash) & (times < flash + 0.1)
            tone = (0.8 * loud * np.sign(np.sin(2 * np.pi * 1000 * times))).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(np.tile(tone, (n, 1)), format="fltp", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, begin, Fraction(1, rate)
            for piece in resampler.resample(frame):
                written += audio.encode(piece)
        written += audio.encode()
        for packet in sorted(written, key=lambda p: (p.dts or 0) * p.time_base):
            out.mux(packet)
    return path
