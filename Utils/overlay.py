"""A video again, with what was found in it drawn on top: face boxes, the score around each moment, emotions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from face_crop import Rectangle
from Utils.cache import atomic_file
from Utils.plots import PALETTE

MAX_WIDTH = 1280  # pixels of the overlay; larger videos are scaled down
STRIP = 64  # pixels of height for each face's score, below the picture
SPAN = 6.0  # seconds of score that the strip shows, the present in the middle
ENCODERS = {"libx264": {"crf": "23", "preset": "veryfast"}, "mpeg4": {"qscale": "4"}}
FONT, WHITE, GREY, DARK = cv2.FONT_HERSHEY_SIMPLEX, (255, 255, 255), (150, 150, 150), (32, 32, 32)


@dataclass(frozen=True)
class OverlayFace:
    """What is drawn of one face.

    Attributes
    ----------
    name : str
        Written beside its box; may be empty.
    box : callable
        Frame -> (left, top, right, bottom) in the video's pixels, or None.
    scores : ndarray, (n,)
        Per frame, NaN where there is none.
    threshold : float or None
    expressions : sequence of (onset, apex, offset, label)
        Frames are 0-based and inclusive.
    """

    name: str
    box: Callable[[int], Rectangle | None]
    scores: np.ndarray
    threshold: float | None
    expressions: Sequence[tuple[int, int, int, str]]

    def running(self, frame: int) -> str:
        """The label of the expression that runs at a frame, or ""."""
        return next((label for onset, _, offset, label in self.expressions if onset <= frame <= offset), "")


def write_overlay(source: Iterable, path: Path, faces: Sequence[OverlayFace]) -> list[str]:
    """Write the overlay, H.264 in MP4 where the encoder is there, whole or not at all.

    Parameters
    ----------
    source : FrameSource
        It is read from the start.
    path : Path
        The .mp4.
    faces : sequence of OverlayFace

    Returns
    -------
    list of str
        Remarks: another codec than H.264.
    """
    codec = next(name for name in ENCODERS if name in av.codecs_available)
    scale = min(1.0, MAX_WIDTH / source.width)
    width, height = (max(2, round(x * scale)) for x in (source.width, source.height))
    strips = [_Strip(face, source.fps, width) for face in faces]
    total = height + STRIP * len(faces)
    with (
        atomic_file(path) as scratch,
        av.open(str(scratch), "w", format="mp4", options={"movflags": "faststart"}) as out,
    ):
        stream = out.add_stream(codec, rate=Fraction(source.fps).limit_denominator(100_000), options=ENCODERS[codec])
        stream.width, stream.height, stream.pix_fmt = width + width % 2, total + total % 2, "yuv420p"
        stream.codec_context.thread_count = 2
        canvas = np.zeros((stream.height, stream.width, 3), np.uint8)
        for frame in source:
            image = (
                frame.image if scale == 1 else cv2.resize(frame.image, (width, height), interpolation=cv2.INTER_AREA)
            )
            canvas[:height, :width] = image
            for i, (face, strip) in enumerate(zip(faces, strips, strict=True)):
                _draw_box(canvas, face, frame.index, scale)
                top = height + i * STRIP
                strip.draw(canvas[top : top + STRIP, :width], frame.index)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(canvas, format="bgr24")))
        out.mux(stream.encode())
    return [] if codec == "libx264" else [f"overlay.mp4 is {codec}, not H.264: this PyAV has no encoder for it"]


def colour_of(label: str) -> tuple[int, int, int]:
    """BGR; the same label has the same colour."""
    code = PALETTE[sum(label.encode()) % len(PALETTE)].lstrip("#")
    return tuple(int(code[i : i + 2], 16) for i in (4, 2, 0))


def _draw_box(canvas: np.ndarray, face: OverlayFace, frame: int, scale: float) -> None:
    box = face.box(frame)
    if box is None:
        return
    left, top, right, bottom = (round(x * scale) for x in box)
    label = face.running(frame)
    colour = colour_of(label) if label else GREY
    cv2.rectangle(canvas, (left, top), (right - 1, bottom - 1), colour, 3 if label else 1, cv2.LINE_AA)
    text = " ".join(part for part in (face.name, _plain(label)) if part)
    if text:
        _write(canvas, text, (left, max(14, top - 6)), colour if label else WHITE, 0.6 if label else 0.45)


def _plain(text: str) -> str:
    """OpenCV writes ASCII only."""
    return text.encode("ascii", "replace").decode()


def _write(canvas: np.ndarray, text: str, place: tuple[int, int], colour: tuple[int, int, int], size: float) -> None:
    cv2.putText(canvas, text, place, FONT, size, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(canvas, text, place, FONT, size, colour, 1, cv2.LINE_AA)


class _Strip:
    """The score of one face: the curve of some seconds, the threshold, expressions as blocks, the present as a line."""

    def __init__(self, face: OverlayFace, fps: float, width: int) -> None:
        self.face, self.width = face, width
        self.half = max(1, round(SPAN / 2 * fps))
        known = face.scores[np.isfinite(face.scores)]
        levels = [*known, *([] if face.threshold is None else [face.threshold])]
        self.low, self.high = (min(levels), max(levels)) if levels else (0.0, 1.0)

    def _y(self, score: np.ndarray | float) -> np.ndarray:
        share = (np.asarray(score) - self.low) / ((self.high - self.low) or 1)
        return STRIP - 8 - share * (STRIP - 22)

    def _x(self, frame: np.ndarray | float, now: int) -> np.ndarray:
        return (np.asarray(frame) - now + self.half) / (2 * self.half) * (self.width - 1)

    def draw(self, band: np.ndarray, now: int) -> None:
        band[:] = DARK
        for onset, _, offset, label in self.face.expressions:
            if offset >= now - self.half and onset <= now + self.half:
                left, right = (int(x) for x in np.clip(self._x(np.array([onset, offset + 1]), now), 0, self.width - 1))
                band[2:, left : max(right, left + 1)] = np.array(colour_of(label)) * 0.45
                cv2.putText(band, _plain(label), (left + 3, 13), FONT, 0.4, WHITE, 1, cv2.LINE_AA)
        if self.face.threshold is not None:
            y = int(self._y(self.face.threshold))
            band[y, ::3] = GREY
        first, last = max(0, now - self.half), min(len(self.face.scores), now + self.half + 1)
        frames, scores = np.arange(first, last), self.face.scores[first:last]
        edges = np.flatnonzero(np.diff(np.concatenate([[0], np.isfinite(scores).astype(np.int8), [0]])))
        for start, end in zip(edges[::2], edges[1::2], strict=True):
            points = np.stack([self._x(frames[start:end], now), self._y(scores[start:end])], axis=1)
            cv2.polylines(band, [points.round().astype(np.int32)], False, WHITE, 1, cv2.LINE_AA)
        cv2.line(band, (self.width // 2, 0), (self.width // 2, STRIP), (80, 80, 255), 1)
        _write(band, self.face.name or "score", (4, STRIP - 6), GREY, 0.4)
