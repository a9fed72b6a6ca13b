"""Makes clips with drawn-in movements, and films of photographs, from face clips. All are H.264 files.

A clip is cut to pieces of about the wanted length. A short one is played forward and backward. So each piece can be
analysed as any video of a user.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np

from tests.benchmarks.drawn import (
    DETECTIONS_A_SECOND,
    STILLS,
    TURNS_A_SECOND,
    FacePath,
    Movement,
    draw_movements,
    follow_face,
    plan_movements,
    still_frame,
)
from Utils.errors import InputError
from Utils.own_video.video_files import FrameSource, open_video

SHORT, PLAYED = 6.0, 8.0  # seconds: shorter clips are played forward and backward until they are this long
STILL_SECONDS = 15.0
LONGEST_SIDE = 1280  # pixels; larger frames are scaled down
LEAST_FACE = 2.0  # seconds with a face: with less, a clip is left out
ENCODER = {"crf": "20", "preset": "medium", "threads": "1"}
DRAWN = "drawn"  # the kind of a clip with movements; those of photographs are named in STILLS


@dataclass(frozen=True)
class Piece:
    """A file that was made, and what is true in it."""

    path: Path
    source: str  # the clip that it was made from
    kind: str  # DRAWN, or one of STILLS
    fps: float
    seconds: float
    movements: tuple[Movement, ...]

    @property
    def name(self) -> str:
        return self.path.stem


def rate_of(fps: float) -> Fraction:
    """A frame rate as a fraction: 30000/1001 for 29.97."""
    return Fraction(fps).limit_denominator(1001)


def write_clip(path: Path, frames: Iterable[np.ndarray], fps: float) -> None:
    """Write BGR frames as H.264. A column or row too many for its pairs of pixels is cut off."""
    rate = rate_of(fps)
    with av.open(str(path), "w") as container:
        stream = None
        for i, image in enumerate(frames):
            height, width = (side // 2 * 2 for side in image.shape[:2])
            if stream is None:
                stream = container.add_stream("libx264", rate=rate)
                stream.height, stream.width, stream.pix_fmt, stream.options = height, width, "yuv420p", ENCODER
                stream.codec_context.time_base = 1 / rate
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), format="bgr24")
            frame.pts, frame.time_base = i, 1 / rate
            container.mux(stream.encode(frame))
        if stream is not None:
            container.mux(stream.encode())


def frames_of(source: FrameSource) -> Iterator[np.ndarray]:
    """The frames of a clip, scaled down to `LONGEST_SIDE`."""
    scale = min(1.0, LONGEST_SIDE / max(source.width, source.height))
    for frame in source:
        yield (
            frame.image
            if scale == 1
            else cv2.resize(frame.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        )


def orders_of(n: int, fps: float, seconds: float) -> list[list[int]]:
    """The frames of each piece of a clip of `n` frames, in the order in which they are shown.

    Pieces have equal lengths, as near to `seconds` as possible, so that nothing is thrown away.
    """
    if n / fps < SHORT:
        cycle = [*range(n), *range(n - 2, 0, -1)] or [0]
        return [[cycle[i % len(cycle)] for i in range(round(PLAYED * fps))]]
    edges = np.linspace(0, n, max(1, round(n / fps / seconds)) + 1).round().astype(int).tolist()
    return [list(range(first, end)) for first, end in pairwise(edges)]


def runs_in(order: Sequence[int], path: FacePath) -> list[tuple[int, int]]:
    """First and last position (inclusive) of the parts of a piece in which one face is there without a gap."""
    number = np.full(len(path.width), -1)
    for i, (first, last) in enumerate(path.runs):
        number[first : last + 1] = i
    shown = number[np.asarray(order)]
    edges = np.flatnonzero(np.diff(shown)) + 1
    starts, ends = [0, *edges.tolist()], [*edges.tolist(), len(shown)]
    return [(a, b - 1) for a, b in zip(starts, ends, strict=True) if shown[a] >= 0]


@dataclass(frozen=True)
class ClipJob:
    """The work on one clip."""

    clip: Path
    folder: Path  # where the files go
    seconds: float  # about how long a piece is
    variants: int  # sets of movements
    seed: int


def make_pieces(job: ClipJob) -> tuple[list[Piece], str]:
    """Make all files of one clip. Returns them, and why the clip was left out ("" if it was not)."""
    clip, folder, seed = job.clip, job.folder, job.seed
    try:
        source = open_video(clip)
    except InputError as error:
        return [], f"{error}; left out"
    fps = float(rate_of(source.fps))
    path = follow_face(frames_of(source), source.fps)
    with_face = sum(last - first + 1 for first, last in path.runs) / fps
    if with_face < LEAST_FACE:
        return [], f"{clip.name}: {with_face:.1f} s with a face, left out"
    name = clip.name.replace(".", "_")
    orders = orders_of(len(path.width), fps, job.seconds)
    played = len(path.width) / fps < SHORT
    kept = list(frames_of(source)) if played else []
    pieces = []
    for variant in range(job.variants):
        rng = np.random.default_rng([seed, variant, zlib.crc32(clip.name.encode())])
        frames = None if played else frames_of(source)
        for i, order in enumerate(orders):
            runs = [(first / fps, last / fps) for first, last in runs_in(order, path)]
            movements = [m for run in runs for m in plan_movements(*run, rng)]
            images = (kept[j] for j in order) if played else (next(frames) for _ in order)
            drawn = (
                draw_movements(image, at / fps, movements, path.points[j], path.width[j])
                for at, (j, image) in enumerate(zip(order, images, strict=False))
            )
            file = folder / f"{name}-{variant + 1}-{i + 1}.mp4"
            write_clip(file, drawn, fps)
            pieces.append(Piece(file, clip.name, DRAWN, fps, len(order) / fps, tuple(movements)))
    return pieces + _make_stills(source, name, path, folder, fps, seed), ""


def _make_stills(source: FrameSource, name: str, path: FacePath, folder: Path, fps: float, seed: int) -> list[Piece]:
    """One frame of a clip as a film of each kind in `STILLS`."""
    rng = np.random.default_rng([seed, zlib.crc32(name.encode()), 1])
    step = max(1, round(fps / DETECTIONS_A_SECOND))
    with_face = [
        i for first, last in path.runs for i in range(first, last + 1) if i % step == 0
    ]  # detected, not guessed
    chosen = int(rng.choice(with_face))
    image = next(image for i, image in enumerate(frames_of(source)) if i == chosen)
    pieces = []
    for kind in STILLS:
        rate, n = rng.uniform(*TURNS_A_SECOND), round(STILL_SECONDS * fps)
        file = folder / f"{name}-{kind}.mp4"
        write_clip(file, (still_frame(image, kind, i / fps, rate, rng) for i in range(n)), fps)
        pieces.append(Piece(file, source.path.name, kind, fps, n / fps, ()))
    return pieces
