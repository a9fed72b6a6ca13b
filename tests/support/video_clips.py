"""Small video files for tests: of flat grey frames that tell their number, and of the project's synthetic faces."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
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


def texture(n: int, size: tuple[int, int] = FACE.size) -> list[np.ndarray]:
    """Frames without a face: slowly moving noise of the faces' brightness."""
    rng = np.random.default_rng(1)
    field = np.kron(rng.integers(60, 160, (size[1] // 8 + 1, size[0] // 8 + 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    return [np.ascontiguousarray(field[: size[1], i % 40 : i % 40 + size[0]]) for i in range(n)]
