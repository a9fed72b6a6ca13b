"""What an overlay shows of a moment: boxes and labels in the picture, frame and time, and a strip for each face.

Labels never leave the picture or their strip, and never overlap (`labels.py`). A text that is too long is written
smaller, then its last parts are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from Utils.faces.rectangles import Rectangle
from Utils.own_video.face_tracks import runs_of
from Utils.own_video.labels import place_labels
from Utils.report.colours import emotion_colours

SPAN = 6.0  # seconds of score that a strip shows, with the present moment in the middle
MOMENT = 28  # pixels; height of the line with frame and time
HEAD, NAMES, CURVE = 28, 20, 44  # pixels of a strip: the line with the score; names of expressions; the curve
STRIP = HEAD + NAMES + CURVE

FONT, WHITE, GREY, DARK = cv2.FONT_HERSHEY_SIMPLEX, (255, 255, 255), (150, 150, 150), (32, 32, 32)
BLACK, PRESENT = (0, 0, 0), (80, 80, 255)  # outline of texts; the line at the present moment
TEXT, SMALLEST, SMALLER = 0.6, 0.35, 0.05  # sizes of texts in OpenCV's unit: usual, least, and the step between sizes
NAME_TEXT = 0.4  # size of the names of expressions in a strip
PAD = 4  # pixels around a text; its outline needs up to three of them
UNDER, OVER = 8, 4  # pixels of the curve's part of a strip below the lowest and above the highest score
BLOCK_LIGHT = 0.45  # brightness of the colour of an expression's block
DASH = 3  # pixels from one dot to the next in the line of the threshold
Colour = tuple[int, int, int]


class Marked(NamedTuple):
    """An expression as it is drawn. Frames are 0-based and inclusive."""

    onset: int
    apex: int
    offset: int
    label: str
    p_micro: float | None = None  # None for the paper's rule


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
    expressions : sequence of Marked
    """

    name: str
    box: Callable[[int], Rectangle | None]
    scores: np.ndarray
    threshold: float | None
    expressions: Sequence[Marked]

    def running(self, frame: int) -> Marked | None:
        """The expression that is going on at a frame. None if there is none."""
        return next((e for e in self.expressions if e.onset <= frame <= e.offset), None)

    def label(self, frame: int) -> str:
        """The label of the expression that is going on at a frame; "" if there is none."""
        running = self.running(frame)
        return running.label if running else ""

    def texts(self, frame: int) -> list[str]:
        """What the strip says about a frame: name, score, and the emotion and probability of what is going on."""
        score = self.scores[frame] if frame < len(self.scores) else np.nan
        found = [self.name, f"score {score:.2f}" if np.isfinite(score) else "score -"]
        if running := self.running(frame):
            found += [running.label, "" if running.p_micro is None else f"p(micro) {running.p_micro:.2f}"]
        return [text for text in found if text]


class Text(NamedTuple):
    """A text that fits."""

    text: str
    size: float  # in OpenCV's unit
    width: int  # pixels, with PAD on all sides
    height: int
    base: int  # pixels from its upper end to its base line


def fitting(parts: Sequence[str], width: int, size: float = TEXT) -> Text:
    """Texts beside each other within `width` pixels. Empty ones are left out.

    If they are too wide they are written smaller, then the last ones are left out, then the first one is cut.
    """
    parts = [_plain(part) for part in parts if part] or [""]
    while True:
        text = "  ".join(parts)
        for smaller in np.arange(size, min(size, SMALLEST) - SMALLER / 2, -SMALLER):
            found = _measured(text, float(smaller))
            if found.width <= width or not text:
                return found
        parts = parts[:-1] if len(parts) > 1 else [parts[0][:-1]]


def _measured(text: str, size: float) -> Text:
    (wide, high), below = cv2.getTextSize(text, FONT, size, 1)
    return Text(text, size, wide + 2 * PAD, high + below + 2 * PAD, high + PAD)


def _plain(text: str) -> str:
    """The text in ASCII, because OpenCV can write nothing else. Other characters become `?`."""
    return text.encode("ascii", "replace").decode()


def _write(canvas: np.ndarray, text: Text, left: int, top: int, colour: Colour, outlined: bool = True) -> None:
    """Write a text, with a black outline if wanted. `left` and `top` are those of its `width` and `height`."""
    place = (left + PAD, top + text.base)
    if outlined:  # without smooth edges, which would take longer
        cv2.putText(canvas, text.text, place, FONT, text.size, BLACK, 3, cv2.LINE_8)
    cv2.putText(canvas, text.text, place, FONT, text.size, colour, 1, cv2.LINE_AA)


def label_colours(classes: Sequence[str]) -> dict[str, Colour]:
    """Emotion -> its colour in the report, as (blue, green, red), 0 to 255 each."""
    return {name: tuple(reversed(bytes.fromhex(code.lstrip("#")))) for name, code in emotion_colours(classes).items()}


def draw_faces(
    picture: np.ndarray, faces: Sequence[OverlayFace], frame: int, scale: float, colours: Mapping[str, Colour]
) -> None:
    """Draw the boxes of all faces into a picture, each with its name and the emotion that is going on.

    Parameters
    ----------
    picture : ndarray, (height, width, 3), uint8
        BGR. It is changed.
    faces : sequence of OverlayFace
    frame : int
    scale : float
        Size of the picture divided by that of the video.
    colours : mapping
        Label -> colour.
    """
    height, width = picture.shape[:2]
    shown = [(face, box) for face in faces if (box := face.box(frame)) is not None]
    shown = [(face, tuple(round(x * scale) for x in box)) for face, box in shown]
    for face, (left, top, right, bottom) in shown:
        label = face.label(frame)
        colour = colours.get(label, WHITE) if label else GREY
        cv2.rectangle(picture, (left, top), (right - 1, bottom - 1), colour, 3 if label else 1, cv2.LINE_AA)
    named = [(face, box) for face, box in shown if face.name or face.label(frame)]
    texts = [fitting([part for part in (face.name, face.label(frame)) if part], width) for face, _ in named]
    wishes = [_beside(box, text.width, text.height) for (_, box), text in zip(named, texts, strict=True)]
    places = place_labels(wishes, width, height, [box for _, box in shown])
    for (face, _), text, place in zip(named, texts, places, strict=True):
        if place is None:
            continue  # the strip says the same
        if label := face.label(frame):
            left, top, right, bottom = place
            _fill(picture[top:bottom, left:right], colours.get(label, WHITE))
        _write(picture, text, *place[:2], WHITE)


def _beside(box: Rectangle, wide: int, high: int) -> list[Rectangle]:
    """Where the label of a box may be, the best place first: above, below, right, left, inside."""
    left, top, right, bottom = box
    corners = [
        (left, top - high), (right - wide, top - high), (left, bottom), (right - wide, bottom), (right, top),
        (left - wide, top), (left, top), (left, bottom - high),
    ]  # fmt: skip
    return [(x, y, x + wide, y + high) for x, y in corners]


def draw_moment(band: np.ndarray, frame: int, time: float) -> None:
    """Write frame and time (seconds) into a line, (MOMENT, width, 3) uint8 BGR."""
    _fill(band, DARK)
    text = fitting([f"frame {frame}", f"{time:.3f} s"], band.shape[1])
    _write(band, text, 0, (MOMENT - text.height) // 2, WHITE, outlined=False)


def _fill(part: np.ndarray, colour: Colour) -> None:
    """Give all pixels a colour. This is much faster than `part[:] = colour`."""
    cv2.rectangle(part, (0, 0), (part.shape[1], part.shape[0]), colour, cv2.FILLED)


class Strip:
    """The strip of one face. Its first line has the score at the moment, and what is going on.

    Below is the score, `SPAN` seconds wide: the curve, the threshold as a dotted line, expressions as blocks with their
    names, and the present as a vertical line.
    """

    def __init__(self, face: OverlayFace, fps: float, width: int, colours: Mapping[str, Colour]) -> None:
        self.face, self.width, self.colours = face, width, colours
        self.half = max(1, round(SPAN / 2 * fps))
        known = face.scores[np.isfinite(face.scores)]
        levels = [*known, *([] if face.threshold is None else [face.threshold])]
        self.low, self.high = (min(levels), max(levels)) if levels else (0.0, 1.0)

    def drawn(self, first: int, last: int) -> tuple:
        """Everything that is drawn of the face at the frames `first` to `last` (inclusive): its `repr` tells."""
        face = self.face
        boxes = [face.box(frame) for frame in range(first, last + 1)]
        scores = face.scores[max(0, first - self.half) : last + self.half + 1]
        near = [tuple(e) for e in face.expressions if first - self.half <= e.offset and e.onset <= last + self.half]
        return face.name, boxes, scores.tobytes(), face.threshold, self.low, self.high, near

    def _y(self, score: np.ndarray | float) -> np.ndarray:
        """Pixels from the top of the strip."""
        share = (np.asarray(score) - self.low) / ((self.high - self.low) or 1)  # or 1: all scores may be equal
        return STRIP - UNDER - share * (CURVE - UNDER - OVER)

    def _x(self, frame: np.ndarray | float, now: int) -> np.ndarray:
        """Pixels from the left end of the strip."""
        return (np.asarray(frame) - now + self.half) / (2 * self.half) * (self.width - 1)

    def draw(self, band: np.ndarray, now: int) -> None:
        """Draw the strip at frame `now` into `band`, (STRIP, width, 3) uint8 BGR."""
        _fill(band, DARK)
        text = fitting(self.face.texts(now), self.width)
        _write(band, text, 0, (HEAD - text.height) // 2, WHITE, outlined=False)
        self._draw_expressions(band, now)
        if self.face.threshold is not None:
            y = int(self._y(self.face.threshold))
            band[y, ::DASH] = GREY
        first, last = max(0, now - self.half), min(len(self.face.scores), now + self.half + 1)
        frames, scores = np.arange(first, last), self.face.scores[first:last]
        for start, end in runs_of(np.isfinite(scores)):
            run = slice(start, end + 1)
            points = np.stack([self._x(frames[run], now), self._y(scores[run])], axis=1)
            cv2.polylines(band, [points.round().astype(np.int32)], False, WHITE, 1, cv2.LINE_AA)
        cv2.line(band, (self.width // 2, HEAD + NAMES), (self.width // 2, STRIP), PRESENT, 1)

    def _draw_expressions(self, band: np.ndarray, now: int) -> None:
        """A block for each expression that the strip shows, with its name where there is room beside nearer ones."""
        near = [e for e in self.face.expressions if e.offset >= now - self.half and e.onset <= now + self.half]
        near.sort(key=lambda e: abs((e.onset + e.offset) / 2 - now))
        texts, wishes = [], []
        for e in near:
            left, right = (int(x) for x in np.clip(self._x(np.array([e.onset, e.offset + 1]), now), 0, self.width - 1))
            colour = tuple(int(x * BLOCK_LIGHT) for x in self.colours.get(e.label, WHITE))
            _fill(band[HEAD:, left : max(right, left + 1)], colour)
            text = fitting([e.label], self.width, NAME_TEXT)
            texts.append(text)
            wishes.append([(x, 0, x + text.width, NAMES) for x in (left, right - text.width)])
        for text, place in zip(texts, place_labels(wishes, self.width, NAMES, far=False), strict=True):
            if place is not None:
                _write(band, text, place[0], HEAD + (NAMES - text.height) // 2, WHITE)
