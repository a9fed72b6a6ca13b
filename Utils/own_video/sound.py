"""The sound of a video in its overlay, in step with the pictures.

Frame i of an overlay is what the video shows i / fps seconds after its first picture, whatever the times in the file
are. So the sound at time t in the file belongs to t - (time of the first picture). Sound from before the first picture
or from after the last one is left out.

Sound that every player of MP4 plays is copied. Other sound is decoded, and encoded as AAC: gaps become silence. Every
packet is decoded in both cases, so that broken ones are left out. The memory needed does not grow with the video.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.container import InputContainer, OutputContainer

from Utils.own_video.containers import UNREADABLE, open_container

COPIED = ("aac", "mp3")  # FFmpeg's names of codecs; MP4 can hold others, but some players then give no sound
TRIED = 100  # packets in which something must be decoded, or else the sound counts as broken
MUXED = 5  # packets with which it is tried whether MP4 can hold a stream
BROKEN_READS = 1000  # errors in reading a file, after which the rest is not read
RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)  # samples a second that are kept; AAC has them
OTHER_RATE = 48000  # instead of any other rate
BITS = 96_000  # a second for each channel, when sound is encoded
BLOCK = 1024  # samples that are encoded at once, as many as a packet of AAC has
IN_STEP = 0.02  # seconds by which decoded sound may be off its time; such errors do not add up


def write_sound(path: Path, video: Path, start: float, until: float) -> tuple[bool, list[str]]:
    """Write the sound that a video has in its overlay as MP4, without pictures.

    Parameters
    ----------
    path : Path
        The MP4. Nothing is written if there is no sound.
    video : Path
    start : float
        Time of the video's first picture in its file, seconds.
    until : float
        When the last picture ends, in seconds of the overlay.

    Returns
    -------
    bool
        Whether there is any sound.
    list of str
        What is wrong with it. A video without sound has no remark.
    """
    plays = None if video.is_dir() else _plays(video)  # a folder of images has no sound
    if plays is False:
        return False, [f"{video.name}: its sound cannot be decoded; overlay.mp4 has none"]
    if plays is None:
        return False, []
    with av.open(str(path), "w", format="mp4") as out, _Sound(video, out) as sound:
        return True, sound.write(start, until)


class _Sound:
    """The sound of a video that has some, and the MP4 that it is written to."""

    def __init__(self, path: Path, out: OutputContainer) -> None:
        self._path, self._out, self._n_broken = path, out, 0
        self._copied = _can_be_copied(path)
        self._container = open_container(path)
        self._source = self._container.streams.best("audio")
        self._stream = out.add_stream_from_template(self._source) if self._copied else self._encoder()

    def __enter__(self) -> _Sound:
        return self

    def __exit__(self, *_) -> None:
        self._container.close()

    def _encoder(self) -> av.AudioStream:
        context = self._source.codec_context
        rate = context.sample_rate if context.sample_rate in RATES else OTHER_RATE
        layout = "mono" if context.channels == 1 else "stereo"
        stream = self._out.add_stream("aac", rate=rate, layout=layout)
        stream.bit_rate = BITS * stream.codec_context.channels
        return stream

    def write(self, start: float, until: float) -> list[str]:
        """Write it, see `write_sound`. Returns remarks."""
        self._out.start_encoding()  # also if nothing can be decoded
        for time, piece in self._packets(start) if self._copied else self._frames(start):
            if time >= until:
                break
            try:
                self._out.mux(piece if self._copied else self._stream.encode(piece))
            except (av.ArgumentError, av.InvalidDataError):  # other errors are those of the disk
                self._n_broken += 1
        if not self._copied:
            self._out.mux(self._stream.encode())
        if not self._n_broken:
            return []
        what = f"{self._n_broken} packet(s) of its sound cannot be decoded"
        return [f"{self._path.name}: {what}; overlay.mp4 is silent there"]

    def _decoded(self) -> Iterator[tuple[av.Packet, list[av.AudioFrame]]]:
        for packet, frames in _decoded(self._container, self._source):
            if frames is None:
                self._n_broken += 1
            else:
                yield packet, frames

    def _packets(self, start: float) -> Iterator[tuple[float, av.Packet]]:
        """(seconds in the overlay, packet) of what is copied, in order of time."""
        latest = None
        for packet, _ in self._decoded():
            ticks = packet.dts if packet.pts is None else packet.pts
            if ticks is None or not packet.size:
                continue
            ticks -= round(Fraction(start) / packet.time_base)
            if ticks + 2 * (packet.duration or 0) <= 0:
                continue  # of those that end before the pictures begin, the decoder needs only the last one
            if latest is not None and ticks <= latest:
                continue  # it would be played while another one is
            latest = packet.pts = packet.dts = ticks
            packet.stream = self._stream
            yield float(ticks * packet.time_base), packet

    def _frames(self, start: float) -> Iterator[tuple[float, av.AudioFrame]]:
        """(seconds in the overlay, samples) of what is encoded, without gaps."""
        rate, layout = self._stream.codec_context.sample_rate, self._stream.codec_context.layout.name
        position = 0
        for block in in_step(self._resampled(start, rate, layout), rate, self._stream.codec_context.channels):
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, position, Fraction(1, rate)
            yield position / rate, frame
            position += block.shape[1]

    def _resampled(self, start: float, rate: int, layout: str) -> Iterator[tuple[float | None, np.ndarray]]:
        """(seconds in the overlay or None if it is not known, samples (channels, n) float32)."""
        kind, resampler = None, None
        for _, frames in self._decoded():
            for frame in frames:
                if kind != (kind := (frame.format.name, frame.layout.name, frame.sample_rate)):
                    resampler = AudioResampler("fltp", layout, rate)
                for piece in resampler.resample(frame):
                    time = None if piece.pts is None else float(piece.pts * piece.time_base) - start
                    yield time, piece.to_ndarray()


def in_step(pieces: Iterable[tuple[float | None, np.ndarray]], rate: int, channels: int) -> Iterator[np.ndarray]:
    """Sound that begins at 0 and has no gaps, from pieces with times: every sample is within `IN_STEP` of its time.

    Parameters
    ----------
    pieces : iterable of (float or None, ndarray (channels, n))
        Seconds at which a piece begins, and its samples, -1 to 1. None: it begins where the one before ends. What lies
        before 0, or overlaps with the piece before, is left out.
    rate : int
        Samples a second.
    channels : int

    Yields
    ------
    ndarray, (channels, m), float32
        At most `BLOCK` samples, so that long gaps take no memory.
    """
    position = 0  # samples before the next one
    for time, samples in pieces:
        begin = position if time is None else round(time * rate)
        if position and abs(begin - position) <= IN_STEP * rate:
            begin = position
        samples = np.clip(np.nan_to_num(samples[:, max(0, position - begin) :]), -1, 1).astype(np.float32)
        if not samples.shape[1]:
            continue
        while position < begin:
            n = min(BLOCK, begin - position)
            yield np.zeros((channels, n), np.float32)
            position += n
        for first in range(0, samples.shape[1], BLOCK):
            yield np.ascontiguousarray(samples[:, first : first + BLOCK])
        position += samples.shape[1]


def _decoded(container: InputContainer, stream: av.AudioStream) -> Iterator[tuple[av.Packet, list | None]]:
    """The packets of a stream, and what each is decoded to; None if it cannot be decoded."""
    packets, n_broken = container.demux(stream), 0
    while n_broken < BROKEN_READS:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except UNREADABLE:
            n_broken += 1
            continue
        try:
            frames = packet.decode()
        except av.FFmpegError:
            yield packet, None
        else:
            yield packet, frames


def _plays(path: Path) -> bool | None:
    """Whether something of a video's sound can be decoded. None if it has no sound."""
    with open_container(path) as container:
        stream = container.streams.best("audio")
        if stream is None:
            return None
        if stream.codec_context is None:  # FFmpeg has no decoder
            return False
        try:
            return any(frames for _, frames in islice(_decoded(container, stream), TRIED))
        except av.FFmpegError:  # the decoder does not open
            return False


def _can_be_copied(path: Path) -> bool:
    """Whether the sound can be copied into an MP4. This is tried in memory."""
    with open_container(path) as container:
        stream = container.streams.best("audio")
        if stream.codec_context.codec.canonical_name not in COPIED:
            return False
        try:
            with av.open(io.BytesIO(), "w", format="mp4") as out:
                copy = out.add_stream_from_template(stream)
                for packet in islice(container.demux(stream), MUXED):
                    if packet.size:
                        packet.stream = copy
                        out.mux(packet)
        except (*UNREADABLE, ValueError):
            return False
    return True
