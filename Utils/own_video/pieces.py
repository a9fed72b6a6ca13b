"""The pictures of an overlay, in pieces of about a second, each of which is drawn and encoded for itself.

Every piece begins with a key frame, so that it can be put between others without being decoded. Its hash has all that
is drawn in it. So a changed threshold needs new pieces only where something else is drawn: from three seconds before an
expression that is new or gone to three seconds after it (`SPAN` in drawing.py).
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from fractions import Fraction

import av
import cv2
import numpy as np

from Utils.own_video.drawing import MOMENT, STRIP, OverlayFace, Strip, draw_faces, draw_moment, label_colours
from Utils.own_video.video_files import Frame, FrameSource

MAX_WIDTH = 1280  # pixels of the overlay; larger videos are scaled down
# Seconds of a piece. Shorter ones make the file larger: by 5 % with 1 s, by 2 % with 2 s, compared with 10 s.
PIECE_S = 1.0

# PyAV's encoders, the best first, and their options: good quality, quickly made. The preset "superfast" takes twice as
# long for files that are a fifth smaller. The quality of "mpeg4" is 4 (1 is best, 31 is worst), in FFmpeg's unit of
# 1/118.
ENCODERS = {"libx264": {"crf": "25", "preset": "ultrafast"}, "mpeg4": {"flags": "+qscale", "global_quality": "472"}}
ENCODER_THREADS = 2  # for each video; several videos may be written at the same time
MAX_TICKS = 65535  # most units of time in a second that "mpeg4" (MPEG-4 part 2) can use


class Pictures:
    """Draws and encodes the pictures of an overlay, piece by piece.

    Parameters
    ----------
    source : FrameSource
        The video. It was read to its end before.
    faces : sequence of OverlayFace
    labels : sequence of str
        The emotions, in the order of their colours.

    Attributes
    ----------
    rate : Fraction
        Frames per second of the overlay.
    n_frames : int
    length : int
        Frames of each piece but the last.
    """

    def __init__(self, source: FrameSource, faces: Sequence[OverlayFace], labels: Sequence[str]) -> None:
        self._faces, self._fps = faces, source.fps
        self._scale = min(1.0, MAX_WIDTH / source.width)
        # At least one block of 2x2 pixels, see below
        self._width, self._height = (max(2, round(x * self._scale)) for x in (source.width, source.height))
        self._colours = label_colours(labels)
        self._strips = [Strip(face, source.fps, self._width, self._colours) for face in faces]
        total = self._height + MOMENT + STRIP * len(faces)
        # In the pixel format of the encoder, colours are stored for blocks of 2x2 pixels, so both sides must be even
        self._canvas = np.zeros((total + total % 2, self._width + self._width % 2, 3), np.uint8)
        self.rate = Fraction(source.fps).limit_denominator(max(1, int(MAX_TICKS / source.fps)))
        self.n_frames = len(source.source_frames)
        self.length = max(2, round(PIECE_S * source.fps))  # H.264 wants a frame that is no key frame between two

    def frames_of(self, piece: int) -> tuple[int, int]:
        """First and last frame (inclusive) of a piece."""
        return piece * self.length, min((piece + 1) * self.length, self.n_frames) - 1

    def hashes(self) -> list[str]:
        """Of each piece, a hash of everything that is drawn in it besides the video."""
        return [self._hash(*self.frames_of(piece)) for piece in range(-(-self.n_frames // self.length))]

    def _hash(self, first: int, last: int) -> str:
        codec = encoder()
        # Pieces of another version of the encoder may not fit together
        made_by = (av.__version__, av.library_versions["libavcodec"], codec, ENCODERS[codec], ENCODER_THREADS)
        about = (first, last, self._canvas.shape, self._scale, self._fps, made_by)
        drawn = [strip.drawn(first, last) for strip in self._strips]
        return hashlib.sha256(repr((about, self._colours, drawn)).encode()).hexdigest()

    def draw(self, frame: Frame) -> np.ndarray:
        """The picture of a frame: planes of YUV 4:2:0, (height * 3 / 2, width) uint8."""
        width, height = self._width, self._height
        image = frame.image
        if self._scale < 1:
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        picture = self._canvas[:height, :width]
        picture[:] = image
        draw_faces(picture, self._faces, frame.index, self._scale, self._colours)
        draw_moment(self._canvas[height : height + MOMENT, :width], frame.index, frame.time)
        for i, strip in enumerate(self._strips):
            top = height + MOMENT + i * STRIP
            strip.draw(self._canvas[top : top + STRIP, :width], frame.index)
        return cv2.cvtColor(self._canvas, cv2.COLOR_BGR2YUV_I420)  # faster than PyAV's own

    def begin(self) -> Piece:
        """A new piece."""
        height, width = self._canvas.shape[:2]
        return Piece(self.rate, width, height)


class Piece:
    """A piece that is being encoded: an MP4 in memory."""

    def __init__(self, rate: Fraction, width: int, height: int) -> None:
        self._file = io.BytesIO()
        self._out = av.open(self._file, "w", format="mp4")
        self._stream = self._out.add_stream(encoder(), rate=rate, options=ENCODERS[encoder()])
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
        self._stream.thread_type, self._stream.codec_context.thread_count = "AUTO", ENCODER_THREADS

    def add(self, planes: np.ndarray) -> None:
        """Add a picture, as `Pictures.draw` gives it."""
        self._out.mux(self._stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))

    def end(self) -> io.BytesIO:
        """The file, once all pictures are added."""
        self._out.mux(self._stream.encode())
        self._out.close()
        self._file.seek(0)
        return self._file


def encoder() -> str:
    """The best encoder that this PyAV has."""
    return next(name for name in ENCODERS if name in av.codecs_available)
