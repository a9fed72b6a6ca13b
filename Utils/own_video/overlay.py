"""A video again, with what was found in it drawn on top: face boxes, the score around each moment, emotions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from Utils.faces.rectangles import Rectangle
from Utils.own_video.face_tracks import runs_of
from Utils.own_video.video_files import Frame, FrameSource
from Utils.report.figures import emotion_colours
from Utils.work.cache import atomic_file

MAX_WIDTH = 1280  # pixels of the overlay; larger videos are scaled down
STRIP = 64  # pixels of height for each face's score, below the picture
SPAN = 6.0  # seconds of score that the strip shows, the present in the middle
ENCODERS = {"libx264": {"crf": "25", "preset": "superfast"}, "mpeg4": {"flags": "+qscale", "global_quality": "472"}}
MAX_TICKS = 65535  # per second, of MPEG-4 part 2
FONT, WHITE, GREY, DARK = cv2.FONT_HERSHEY_SIMPLEX, (255, 255, 255), (150, 150, 150), (32, 32, 32)
Colour = tuple[int, int, int]


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


@contextmanager
def overlay_writer(
    path: Path, source: FrameSource, faces: Sequence[OverlayFace], classes: Sequence[str] | None = None
) -> Iterator[Callable[[Frame], None]]:
    """Write the overlay, H.264 in MP4 where the encoder is there, whole or not at all.

    Parameters
    ----------
    path : Path
        The .mp4.
    source : FrameSource
        Its size and rate count; it is not read.
    faces : sequence of OverlayFace
    classes : sequence of str, optional
        The emotions, in the order in which the report colours them; other labels are white. Without it, all labels are
        coloured, in the order of their names.

    Yields
    ------
    callable
        Adds a frame; to be called with each frame of the video, in order.
    """
    scale = min(1.0, MAX_WIDTH / source.width)
    width, height = (max(2, round(x * scale)) for x in (source.width, source.height))
    labels = sorted({e[3] for face in faces for e in face.expressions}) if classes is None else classes
    colours = label_colours(labels)
    strips = [_Strip(face, source.fps, width, colours) for face in faces]
    rate = Fraction(source.fps).limit_denominator(max(1, int(MAX_TICKS / source.fps)))
    total = height + STRIP * len(faces)
    with (
        atomic_file(path) as scratch,
        av.open(str(scratch), "w", format="mp4", options={"movflags": "faststart"}) as out,
    ):
        stream = out.add_stream(_codec(), rate=rate, options=ENCODERS[_codec()])
        stream.width, stream.height, stream.pix_fmt = width + width % 2, total + total % 2, "yuv420p"
        stream.thread_type, stream.codec_context.thread_count = "AUTO", 2
        canvas = np.zeros((stream.height, stream.width, 3), np.uint8)

        def add(frame: Frame) -> None:
            image = frame.image
            if scale < 1:
                image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
            canvas[:height, :width] = image
            for i, (face, strip) in enumerate(zip(faces, strips, strict=True)):
                _draw_box(canvas[:height, :width], face, frame.index, scale, colours)
                top = height + i * STRIP
                strip.draw(canvas[top : top + STRIP, :width], frame.index)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(canvas, format="bgr24")))

        yield add
        out.mux(stream.encode())


def _codec() -> str:
    """The best encoder that this PyAV has."""
    return next(name for name in ENCODERS if name in av.codecs_available)


def codec_remarks() -> list[str]:
    """A remark where the overlay is not H.264."""
    codec = _codec()
    return [] if codec == "libx264" else [f"overlay.mp4 is {codec}, not H.264: this PyAV has no encoder for it"]


def label_colours(classes: Sequence[str]) -> dict[str, Colour]:
    """BGR of each emotion, as in the report."""
    return {
        name: tuple(int(code.lstrip("#")[i : i + 2], 16) for i in (4, 2, 0))
        for name, code in emotion_colours(classes).items()
    }


def _draw_box(picture: np.ndarray, face: OverlayFace, frame: int, scale: float, colours: Mapping[str, Colour]) -> None:
    box = face.box(frame)
    if box is None:
        return
    left, top, right, bottom = (round(x * scale) for x in box)
    label = face.running(frame)
    colour = colours.get(label, WHITE) if label else GREY
    cv2.rectangle(picture, (left, top), (right - 1, bottom - 1), colour, 3 if label else 1, cv2.LINE_AA)
    text = " ".join(part for part in (face.name, _plain(label)) if part)
    if not text:
        return
    (wide, high), _ = cv2.getTextSize(text, FONT, 0.5, 1)
    left, top = max(0, left), max(high + 8, top)  # written inside the picture
    if label:
        cv2.rectangle(picture, (left - 1, top - high - 8), (left + wide + 6, top), colour, cv2.FILLED)
    _write(picture, text, (left + 3, top - 5), WHITE, 0.5)


def _plain(text: str) -> str:
    """OpenCV writes ASCII only."""
    return text.encode("ascii", "replace").decode()


def _write(canvas: np.ndarray, text: str, place: tuple[int, int], colour: Colour, size: float) -> None:
    cv2.putText(canvas, text, place, FONT, size, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(canvas, text, place, FONT, size, colour, 1, cv2.LINE_AA)


class _Strip:
    """The score of one face: the curve of some seconds, the threshold, expressions as blocks, the present as a line."""

    def __init__(self, face: OverlayFace, fps: float, width: int, colours: Mapping[str, Colour]) -> None:
        self.face, self.width, self.colours = face, width, colours
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
                band[2:, left : max(right, left + 1)] = np.array(self.colours.get(label, WHITE)) * 0.45
                cv2.putText(band, _plain(label), (left + 3, 13), FONT, 0.4, WHITE, 1, cv2.LINE_AA)
        if self.face.threshold is not None:
            y = int(self._y(self.face.threshold))
            band[y, ::3] = GREY
        first, last = max(0, now - self.half), min(len(self.face.scores), now + self.half + 1)
        frames, scores = np.arange(first, last), self.face.scores[first:last]
        for start, end in runs_of(np.isfinite(scores)):
            run = slice(start, end + 1)
            points = np.stack([self._x(frames[run], now), self._y(scores[run])], axis=1)
            cv2.polylines(band, [points.round().astype(np.int32)], False, WHITE, 1, cv2.LINE_AA)
        cv2.line(band, (self.width // 2, 0), (self.width // 2, STRIP), (80, 80, 255), 1)
        _write(band, self.face.name or "score", (4, STRIP - 6), GREY, 0.4)
