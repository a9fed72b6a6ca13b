"""Writes the overlay: the video again, with its sound, and with faces, scores, emotions, frame and time drawn in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from Utils.own_video.drawing import MOMENT, STRIP, OverlayFace, Strip, draw_faces, draw_moment, label_colours
from Utils.own_video.sound import Sound
from Utils.own_video.video_files import Frame, FrameSource
from Utils.work.cache import atomic_file

MAX_WIDTH = 1280  # pixels of the overlay; larger videos are scaled down

# PyAV's encoders, the best first, and their options: good quality, quickly made. The preset "superfast" takes twice as
# long for files that are a fifth smaller. The quality of "mpeg4" is 4 (1 is best, 31 is worst), in FFmpeg's unit of
# 1/118.
ENCODERS = {"libx264": {"crf": "25", "preset": "ultrafast"}, "mpeg4": {"flags": "+qscale", "global_quality": "472"}}
ENCODER_THREADS = 2  # for each video; several videos may be written at the same time
MAX_TICKS = 65535  # most units of time in a second that "mpeg4" (MPEG-4 part 2) can use


class Overlay:
    """An overlay that is being written, see `overlay_writer`."""

    def __init__(self, out, source: FrameSource, faces: Sequence[OverlayFace], labels: Sequence[str], sound: Sound):
        self._out, self._source, self._faces, self._sound = out, source, faces, sound
        self._scale = min(1.0, MAX_WIDTH / source.width)
        # At least one block of 2x2 pixels, see below
        self._width, self._height = (max(2, round(x * self._scale)) for x in (source.width, source.height))
        self._colours = label_colours(labels)
        self._strips = [Strip(face, source.fps, self._width, self._colours) for face in faces]
        total = self._height + MOMENT + STRIP * len(faces)
        rate = Fraction(source.fps).limit_denominator(max(1, int(MAX_TICKS / source.fps)))
        self._stream = out.add_stream(_codec(), rate=rate, options=ENCODERS[_codec()])
        # In this pixel format, colours are stored for blocks of 2x2 pixels, so both sides must be even
        self._stream.width, self._stream.height = self._width + self._width % 2, total + total % 2
        self._stream.pix_fmt = "yuv420p"
        self._stream.thread_type, self._stream.codec_context.thread_count = "AUTO", ENCODER_THREADS
        self._canvas = np.zeros((self._stream.height, self._stream.width, 3), np.uint8)

    def add(self, frame: Frame) -> None:
        """Add a frame. Must be called with each frame of the video, in order, while the source is read."""
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
        self._sound.write(self._source.start, frame.time + 1 / self._source.fps)
        # OpenCV's conversion is faster than PyAV's own
        planes = cv2.cvtColor(self._canvas, cv2.COLOR_BGR2YUV_I420)
        self._out.mux(self._stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))

    def finish(self) -> None:
        """Write what the encoders still have."""
        self._out.mux(self._stream.encode())
        self._sound.finish()

    @property
    def remarks(self) -> list[str]:
        """What is not as it should be. It is complete after `finish`."""
        return [*codec_remarks(), *self._sound.remarks]


@contextmanager
def overlay_writer(
    path: Path, source: FrameSource, faces: Sequence[OverlayFace], classes: Sequence[str] | None = None
) -> Iterator[Overlay]:
    """Write the overlay as MP4, whole or not at all: in H.264 if PyAV has its encoder, with the video's sound.

    Parameters
    ----------
    path : Path
        The .mp4.
    source : FrameSource
        The video. Its pictures are not read here, but its sound is.
    faces : sequence of OverlayFace
    classes : sequence of str, optional
        The emotions, in the same order as for the report, so that they have the same colours. Other labels are white.
        Without `classes`, all labels have colours, in the order of their names.

    Yields
    ------
    Overlay
        `add` must be called with each frame of the video, in order. After the `with` block it has all `remarks`.
    """
    labels = sorted({e.label for face in faces for e in face.expressions}) if classes is None else classes
    with (
        atomic_file(path) as scratch,
        av.open(str(scratch), "w", format="mp4", options={"movflags": "faststart"}) as out,
        Sound(source.path, out) as sound,
    ):
        overlay = Overlay(out, source, faces, labels, sound)
        yield overlay
        overlay.finish()


def _codec() -> str:
    """The best encoder that this PyAV has."""
    return next(name for name in ENCODERS if name in av.codecs_available)


def codec_remarks() -> list[str]:
    """A remark if the overlay is not H.264."""
    codec = _codec()
    return [] if codec == "libx264" else [f"overlay.mp4 is {codec}, not H.264: this PyAV has no encoder for it"]
