"""Writes the overlay: the video again, with the face boxes, the scores around each moment and the emotions drawn in."""

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
STRIP = 64  # pixels; height of the strip that shows the score of a face, below the picture
SPAN = 6.0  # seconds of score that a strip shows, with the present moment in the middle

# PyAV's encoders, the best first, and their options: a small file of good quality, quickly made. The quality of "mpeg4"
# is 4 (1 is best, 31 is worst), in FFmpeg's unit of 1/118.
ENCODERS = {"libx264": {"crf": "25", "preset": "superfast"}, "mpeg4": {"flags": "+qscale", "global_quality": "472"}}
ENCODER_THREADS = 2  # for each video; several videos may be written at the same time
MAX_TICKS = 65535  # most units of time in a second that "mpeg4" (MPEG-4 part 2) can use

FONT, WHITE, GREY, DARK = cv2.FONT_HERSHEY_SIMPLEX, (255, 255, 255), (150, 150, 150), (32, 32, 32)
BLACK, PRESENT = (0, 0, 0), (80, 80, 255)  # outline of texts; the line at the present moment
BOX_TEXT, STRIP_TEXT = 0.5, 0.4  # sizes of texts, in OpenCV's unit
PAD, BELOW_TEXT = 3, 5  # pixels left, right and above the text of a box; pixels below its base line
UNDER, OVER = 8, 14  # pixels of a strip below the lowest and above the highest score; labels are written above
BLOCK_TOP, BLOCK_LIGHT = 2, 0.45  # pixels above the block of an expression; brightness of its colour
DASH = 3  # pixels from one dot to the next in the line of the threshold
NAME_AT = (4, STRIP - 6)  # pixels; where a face's name is written in its strip
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class OverlayFace:
    """What is drawn of one face.

    Attributes
    ----------
    name : str
        Text beside its box; can be "".
    box : callable
        Frame -> (left, top, right, bottom) in pixels of the video, or None if the face is not there.
    scores : ndarray, (n,)
        The score at each frame; NaN where there is none.
    threshold : float or None
        None: no line is drawn.
    expressions : sequence of (onset, apex, offset, label)
        Frames are 0-based and inclusive.
    """

    name: str
    box: Callable[[int], Rectangle | None]
    scores: np.ndarray
    threshold: float | None
    expressions: Sequence[tuple[int, int, int, str]]

    def running(self, frame: int) -> str:
        """The label of the expression that is going on at a frame; "" if there is none."""
        return next((label for onset, _, offset, label in self.expressions if onset <= frame <= offset), "")


@contextmanager
def overlay_writer(
    path: Path, source: FrameSource, faces: Sequence[OverlayFace], classes: Sequence[str] | None = None
) -> Iterator[Callable[[Frame], None]]:
    """Write the overlay as MP4, whole or not at all: in H.264 if PyAV has its encoder.

    Parameters
    ----------
    path : Path
        The .mp4.
    source : FrameSource
        Only its size and its frame rate are used. It is not read.
    faces : sequence of OverlayFace
    classes : sequence of str, optional
        The emotions, in the same order as for the report, so that they have the same colours. Other labels are white.
        Without `classes`, all labels have colours, in the order of their names.

    Yields
    ------
    callable
        Adds a frame. Must be called with each frame of the video, in order.
    """
    scale = min(1.0, MAX_WIDTH / source.width)
    width, height = (max(2, round(x * scale)) for x in (source.width, source.height))  # at least one block, see below
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
        # In this pixel format, colours are stored for blocks of 2x2 pixels, so both sides must be even
        stream.width, stream.height, stream.pix_fmt = width + width % 2, total + total % 2, "yuv420p"
        stream.thread_type, stream.codec_context.thread_count = "AUTO", ENCODER_THREADS
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
    """A remark if the overlay is not H.264."""
    codec = _codec()
    return [] if codec == "libx264" else [f"overlay.mp4 is {codec}, not H.264: this PyAV has no encoder for it"]


def label_colours(classes: Sequence[str]) -> dict[str, Colour]:
    """Emotion -> its colour in the report, as (blue, green, red), 0 to 255 each."""
    return {name: tuple(reversed(bytes.fromhex(code.lstrip("#")))) for name, code in emotion_colours(classes).items()}


def _draw_box(picture: np.ndarray, face: OverlayFace, frame: int, scale: float, colours: Mapping[str, Colour]) -> None:
    """Draw a face's box into the picture, with its name and the emotion that is going on."""
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
    (wide, high), _ = cv2.getTextSize(text, FONT, BOX_TEXT, 1)
    high += PAD + BELOW_TEXT
    left, top = max(0, left), max(high, top)  # so that the text is inside the picture
    if label:
        cv2.rectangle(picture, (left - 1, top - high), (left + wide + 2 * PAD, top), colour, cv2.FILLED)
    _write(picture, text, (left + PAD, top - BELOW_TEXT), WHITE, BOX_TEXT)


def _plain(text: str) -> str:
    """The text in ASCII, because OpenCV can write nothing else. Other characters become `?`."""
    return text.encode("ascii", "replace").decode()


def _write(canvas: np.ndarray, text: str, place: tuple[int, int], colour: Colour, size: float) -> None:
    """Write a text with a black outline. `place` is the left end of its base line, (x, y)."""
    cv2.putText(canvas, text, place, FONT, size, BLACK, 3, cv2.LINE_AA)
    cv2.putText(canvas, text, place, FONT, size, colour, 1, cv2.LINE_AA)


class _Strip:
    """The strip with the score of one face, `SPAN` seconds wide.

    It shows the curve, the threshold as a dotted line, expressions as blocks, and the present as a vertical line.
    """

    def __init__(self, face: OverlayFace, fps: float, width: int, colours: Mapping[str, Colour]) -> None:
        self.face, self.width, self.colours = face, width, colours
        self.half = max(1, round(SPAN / 2 * fps))
        known = face.scores[np.isfinite(face.scores)]
        levels = [*known, *([] if face.threshold is None else [face.threshold])]
        self.low, self.high = (min(levels), max(levels)) if levels else (0.0, 1.0)

    def _y(self, score: np.ndarray | float) -> np.ndarray:
        """Pixels from the top of the strip."""
        share = (np.asarray(score) - self.low) / ((self.high - self.low) or 1)  # or 1: all scores may be equal
        return STRIP - UNDER - share * (STRIP - UNDER - OVER)

    def _x(self, frame: np.ndarray | float, now: int) -> np.ndarray:
        """Pixels from the left end of the strip."""
        return (np.asarray(frame) - now + self.half) / (2 * self.half) * (self.width - 1)

    def draw(self, band: np.ndarray, now: int) -> None:
        """Draw the strip at frame `now` into `band`, (STRIP, width, 3) uint8 BGR."""
        band[:] = DARK
        for onset, _, offset, label in self.face.expressions:
            if offset >= now - self.half and onset <= now + self.half:
                left, right = (int(x) for x in np.clip(self._x(np.array([onset, offset + 1]), now), 0, self.width - 1))
                colour = np.array(self.colours.get(label, WHITE))
                band[BLOCK_TOP:, left : max(right, left + 1)] = colour * BLOCK_LIGHT
                cv2.putText(band, _plain(label), (left + PAD, OVER - 1), FONT, STRIP_TEXT, WHITE, 1, cv2.LINE_AA)
        if self.face.threshold is not None:
            y = int(self._y(self.face.threshold))
            band[y, ::DASH] = GREY
        first, last = max(0, now - self.half), min(len(self.face.scores), now + self.half + 1)
        frames, scores = np.arange(first, last), self.face.scores[first:last]
        for start, end in runs_of(np.isfinite(scores)):
            run = slice(start, end + 1)
            points = np.stack([self._x(frames[run], now), self._y(scores[run])], axis=1)
            cv2.polylines(band, [points.round().astype(np.int32)], False, WHITE, 1, cv2.LINE_AA)
        cv2.line(band, (self.width // 2, 0), (self.width // 2, STRIP), PRESENT, 1)
        _write(band, self.face.name or "score", NAME_AT, GREY, STRIP_TEXT)
