"""Reads parts of a video again, without decoding all that is before them.

    for frame in frames_in(source, [(90, 120), (600, 640)]):
        ...

The earlier pass over the video has noted the time and a check sum of each frame. So a frame that is found by its time
is known to be the one that was there before. If it is not (some formats cannot be sought in, and after some key frames
the decoder needs a while), the video is read from its beginning instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from av.container import InputContainer
from av.video.reformatter import VideoReformatter

from Utils.own_video.containers import UNREADABLE, decoded_pictures, open_container, ticks_of, upright
from Utils.own_video.video_files import NO_TIME, Frame, FrameSource

FORWARD = 1.0  # seconds: a part that begins sooner after the one before is reached by decoding, not by seeking
EARLIER = (0.0, 3.0)  # seconds before a part at which it is sought: in some formats the first key frame comes too late

Range = tuple[int, int]  # first and last frame, inclusive


class NotFoundAgain(Exception):
    """A frame cannot be reached by seeking, or is not the one that was there before."""


def joined(ranges: Sequence[Range]) -> list[Range]:
    """The same frames as ranges that are in order, do not overlap and do not touch."""
    found: list[Range] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def frames_in(source: FrameSource, ranges: Sequence[Range]) -> Iterator[Frame]:
    """The frames of some parts of a video, in order, as an iteration over `source` gives them.

    Parameters
    ----------
    source : FrameSource
        One that was read to its end before, so that `ticks` and `checks` are known.
    ranges : sequence of (int, int)
        First and last frame of each part, inclusive. Frames that the video did not have are left out.
    """
    ranges = [(first, min(last, len(source.ticks) - 1)) for first, last in joined(ranges) if first < len(source.ticks)]
    given = -1
    try:
        for frame in _sought(source, ranges):
            yield frame
            given = frame.index
    except NotFoundAgain:
        wanted = {i for first, last in ranges for i in range(max(first, given + 1), last + 1)}
        for frame in source if wanted else ():
            if frame.index in wanted:
                yield frame


def _sought(source: FrameSource, ranges: Sequence[Range]) -> Iterator[Frame]:
    if source.images:
        for first, last in ranges:
            for i in range(first, last + 1):
                yield _known(source, source.read_image(i))
        return
    if not ranges:
        return
    with open_container(source.path) as container:
        parts = _Parts(source, container)
        for first, last in ranges:
            parts.go_to(first)
            for i in range(first, last + 1):
                yield _known(source, parts.frame(i))


def _known(source: FrameSource, frame: Frame) -> Frame:
    """The frame. Raises NotFoundAgain if it is not as it was before."""
    if frame.check() != source.checks[frame.index]:
        raise NotFoundAgain
    return frame


class _Parts:
    """A video file in which frames are looked for by their times."""

    def __init__(self, source: FrameSource, container: InputContainer) -> None:
        self._source, self._container = source, container
        self._stream = decoded_pictures(source.path, container)
        self._reformatter = VideoReformatter()
        self._frames = self._decoded()
        self._now = None  # the latest decoded frame
        self._image: np.ndarray | None = None  # of `_now`, once it is needed

    def _decoded(self) -> Iterator:
        try:
            for packet in self._container.demux(self._stream):
                yield from packet.decode()
        except UNREADABLE:
            raise NotFoundAgain from None

    def _next(self) -> int:
        """Decode one more frame; returns its ticks."""
        self._now, self._image = next(self._frames, None), None
        ticks = None if self._now is None else ticks_of(self._container, self._now)
        if ticks is None:
            raise NotFoundAgain
        return ticks

    def go_to(self, i: int) -> None:
        """Decode up to frame `i`."""
        wanted, tick = self._source.ticks[i], self._stream.time_base
        if wanted == NO_TIME or not tick:
            raise NotFoundAgain
        if self._now is not None and 0 <= wanted - ticks_of(self._container, self._now) <= FORWARD / tick:
            return
        for seconds in EARLIER:
            try:
                self._container.seek(wanted - round(seconds / tick), stream=self._stream)
            except (*UNREADABLE, OSError):
                raise NotFoundAgain from None
            self._frames = self._decoded()
            if self._next() <= wanted:
                return
        raise NotFoundAgain

    def frame(self, i: int) -> Frame:
        """Frame `i`, which is not before the latest one."""
        wanted = self._source.ticks[i]
        while (ticks := ticks_of(self._container, self._now)) < wanted:
            ticks = self._next()
        if ticks != wanted or self._now.is_corrupt:
            raise NotFoundAgain
        if self._image is None:
            self._image = self._source.of_one_size(upright(self._now, self._reformatter))
        return Frame(i, i / self._source.fps, self._image, self._source.source_frames[i], wanted)
