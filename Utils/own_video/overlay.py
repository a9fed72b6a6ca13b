"""Writes the overlay: the video again, with its sound, and with faces, scores, emotions, frame and time drawn in.

It is put together from pieces (`pieces.py`). Those that an earlier overlay of this video has, too, are copied from it,
and so is the sound. An overlay has the same bytes, whether parts of it were copied or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
from av.container import InputContainer, OutputContainer

from Utils.own_video.drawing import OverlayFace
from Utils.own_video.pieces import Pictures, Piece, encoder
from Utils.own_video.seeking import Range, joined
from Utils.own_video.sound import write_sound
from Utils.own_video.video_files import Frame, FrameSource
from Utils.work.cache import atomic_file, scratch_file

# The table of contents comes first. No rate of bits is written: it would be that of the first piece.
MP4 = {"movflags": "faststart", "write_btrt": "0"}


class EarlierOverlay(NamedTuple):
    """A finished overlay of the same video.

    Attributes
    ----------
    path : Path
    identity : tuple of int
        `identity_of` the file when it was known to be undamaged. Another run may have replaced it since.
    pieces : sequence of str
        The hashes of its pieces.
    remarks : sequence of str
        What is wrong with its sound.
    """

    path: Path
    identity: tuple[int, ...]
    pieces: Sequence[str]
    remarks: Sequence[str]

    def open(self, opened: ExitStack) -> tuple[InputContainer, InputContainer] | None:
        """The file, opened for its pictures and for its sound. None if it is another one by now."""
        try:
            pictures, sound = (opened.enter_context(av.open(str(self.path))) for _ in range(2))
            return (pictures, sound) if identity_of(self.path) == self.identity else None
        except (OSError, av.FFmpegError):
            return None


def identity_of(path: Path) -> tuple[int, ...]:
    """What differs between a file and one that replaces it, or the same one after a change. Raises OSError."""
    stat = path.stat()
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


class Overlay:
    """An overlay that is being written, see `overlay_writer`.

    Attributes
    ----------
    pieces : list of str
        The hashes of its pieces. Empty for a piece that is not whole (yet).
    sound_remarks : sequence of str
        What is wrong with the sound.
    n_encoded : int
        How many pieces were encoded, and not copied.
    """

    def __init__(
        self, out: OutputContainer, pictures: Pictures, kept: _Kept | None, sound: _Sound | None, remarks: Sequence[str]
    ) -> None:
        self._out, self._pictures, self._kept, self._sound, self.sound_remarks = out, pictures, kept, sound, remarks
        self._hashes, self.n_encoded = pictures.hashes(), 0
        self.pieces = [known if kept and i in kept.numbers else "" for i, known in enumerate(self._hashes)]
        self._video = None  # the stream of pictures in `out`
        self._piece: Piece | None = None  # the one that is being encoded
        self._at = 0  # its number, or that of the next one
        self._n_added = 0  # frames of it

    @property
    def needed(self) -> list[Range]:
        """First and last frame of each part that must be added."""
        kept = self._kept.numbers if self._kept else ()
        return joined([self._pictures.frames_of(i) for i in range(len(self.pieces)) if i not in kept])

    @property
    def remarks(self) -> list[str]:
        """What is not as it should be."""
        return [*codec_remarks(), *self.sound_remarks]

    def add(self, frame: Frame) -> None:
        """Add a frame. Frames must come in order; those that are not needed are left out here."""
        number = frame.index // self._pictures.length
        if frame.index >= self._pictures.n_frames or (self._kept and number in self._kept.numbers):
            return
        first, last = self._pictures.frames_of(number)
        if self._piece is None:
            self._copy_up_to(number)
            self._piece, self._n_added = self._pictures.begin(), 0
        self._piece.add(self._pictures.draw(frame))
        self._n_added += 1
        if frame.index == last:
            if self._n_added == last - first + 1:
                self.pieces[number] = self._hashes[number]
            self._end_piece()

    def finish(self) -> None:
        """Write what remains."""
        if self._piece is not None:  # the video has ended earlier than when it was read before
            self._end_piece()
        self._copy_up_to(len(self.pieces))
        if self._sound and self._video:
            self._sound.write(self._out)

    def _end_piece(self) -> None:
        with av.open(self._piece.end()) as container:
            (stream,) = container.streams
            start = Fraction(self._at * self._pictures.length) / self._pictures.rate
            self._mux(stream, (packet for packet in container.demux(stream) if packet.size), start)
        self._piece, self._at = None, self._at + 1
        self.n_encoded += 1

    def _copy_up_to(self, number: int) -> None:
        """Copy what is kept of the pieces before this one."""
        if self._kept:
            self._mux(self._kept.stream, self._kept.packets(number))
        self._at = number

    def _mux(self, stream, packets: Iterator[av.Packet], start: Fraction = Fraction(0)) -> None:
        """Write packets of pictures, with the sound up to them. `start` is added to their times, in seconds."""
        later = round(start / stream.time_base)
        for packet in packets:
            if self._video is None:
                self._video = self._out.add_stream_from_template(stream)
                if self._sound:
                    self._sound.begin(self._out)
            if self._sound:
                self._sound.write(self._out, (packet.dts + later) * packet.time_base)
            packet.pts, packet.dts, packet.stream = packet.pts + later, packet.dts + later, self._video
            self._out.mux(packet)


class _Kept:
    """The pieces of an earlier overlay that are as they should be."""

    def __init__(self, container: InputContainer, hashes: Sequence[str], pictures: Pictures) -> None:
        pairs = zip(hashes, pictures.hashes(), strict=False)  # a piece that is not whole has no hash
        self.numbers = {i for i, (then, now) in enumerate(pairs) if then == now}
        self._pictures = pictures
        self.stream = container.streams.video[0]
        self._packets = (packet for packet in container.demux(self.stream) if packet.size)
        self._waiting: av.Packet | None = None

    def packets(self, until: int) -> Iterator[av.Packet]:
        """The packets of the pieces before `until` that have not been given yet."""
        while packet := self._waiting or next(self._packets, None):
            number = round(packet.pts * packet.time_base * self._pictures.rate) // self._pictures.length
            if number >= until:
                self._waiting = packet
                return
            self._waiting = None
            if number in self.numbers:
                yield packet


class _Sound:
    """The sound of an MP4, which is copied."""

    def __init__(self, container: InputContainer) -> None:
        self._stream = container.streams.best("audio")
        self._packets = (
            (packet for packet in container.demux(self._stream) if packet.size) if self._stream else iter(())
        )
        self._copy = None  # the stream in the overlay
        self._waiting: av.Packet | None = None

    def begin(self, out) -> None:
        if self._stream:
            self._copy = out.add_stream_from_template(self._stream)

    def write(self, out, until: Fraction | None = None) -> None:
        """Write what comes before a time (seconds) and has not been written; all that remains without a time."""
        while packet := self._waiting or next(self._packets, None):
            if until is not None and packet.dts * packet.time_base >= until:
                self._waiting = packet
                return
            self._waiting = None
            packet.stream = self._copy
            out.mux(packet)


@contextmanager
def overlay_writer(
    path: Path,
    source: FrameSource,
    faces: Sequence[OverlayFace],
    classes: Sequence[str] | None = None,
    earlier: EarlierOverlay | None = None,
) -> Iterator[Overlay]:
    """Write the overlay as MP4, whole or not at all: in H.264 if PyAV has its encoder, with the video's sound.

    Parameters
    ----------
    path : Path
        The .mp4.
    source : FrameSource
        The video. It was read to its end before. Its pictures are not read here, but its sound is.
    faces : sequence of OverlayFace
    classes : sequence of str, optional
        The emotions, in the same order as for the report, so that they have the same colours. Other labels are white.
        Without `classes`, all labels have colours, in the order of their names.
    earlier : EarlierOverlay, optional
        What has not changed since is copied from it.

    Yields
    ------
    Overlay
        `add` must be called with each frame of the parts that are `needed`, in order; other frames do no harm.
    """
    labels = sorted({e.label for face in faces for e in face.expressions}) if classes is None else classes
    with ExitStack() as opened:
        scratch, pictures = opened.enter_context(atomic_file(path)), Pictures(source, faces, labels)
        kept = sound = None
        if earlier and (files := earlier.open(opened)):
            kept, sound, remarks = _Kept(files[0], earlier.pieces, pictures), _Sound(files[1]), earlier.remarks
        else:
            alone = opened.enter_context(scratch_file(path))
            there, remarks = write_sound(alone, source.path, source.start, pictures.n_frames / source.fps)
            sound = _Sound(opened.enter_context(av.open(str(alone)))) if there else None
        out = opened.enter_context(av.open(str(scratch), "w", format="mp4", options=MP4))
        overlay = Overlay(out, pictures, kept, sound, remarks)
        yield overlay
        overlay.finish()


def codec_remarks() -> list[str]:
    """A remark if the overlay is not H.264."""
    codec = encoder()
    return [] if codec == "libx264" else [f"overlay.mp4 is {codec}, not H.264: this PyAV has no encoder for it"]
