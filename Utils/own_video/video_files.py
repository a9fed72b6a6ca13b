"""Reads videos: one frame at a time, at a constant rate, turned upright.

    for frame in open_video(Path("interview.mp4")):
        frame.index, frame.time, frame.image

Times are those of the packets. The number of frames in the header is never used. From a video of variable rate, the
frame that is on the screen is taken at every multiple of 1 / fps seconds; the rate is that of the parts with a face.
Sound is ignored here (see `sound.py`). Only the given file is read: formats that name other files or addresses
(playlists) are refused.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from Utils.errors import InputError
from Utils.faces.images import read_image
from Utils.own_video.containers import (
    UNREADABLE,
    decoded_pictures,
    open_container,
    pictures_of,
    require_size,
    ticks_of,
    upright,
)
from Utils.own_video.face_tracks import shows_face
from Utils.own_video.image_folders import IMAGE_SUFFIXES, images_in, remark_on_numbers, require_files
from Utils.own_video.rates import (
    measure_rate,
    rate_with_face,
    rate_without_times,
    remark_on_end,
    remark_on_rate,
    require_rate,
    require_times,
)
from Utils.work.progress import progress

LATE = 0.1  # share of an interval by which a frame may come late and still be on the screen: times may be whole ms
MAX_BROKEN = 1000  # packets that cannot be decoded, after which the rest is not tried if there is no frame yet
FACE_EVERY = 1.0  # seconds between the frames in which a face is looked for, to find the rate of a video
NO_TICK = Fraction(1, 1000)  # seconds; the unit of times if the stream does not give it
NO_TIME = -(1 << 63)  # stands for the time of a frame that has none, and of an image
CHECKED_ROWS = 48  # about how many rows of a frame, and as many columns or more, its check sum is made of


@dataclass(frozen=True)
class Frame:
    """One frame.

    Attributes
    ----------
    index : int
        Its number at the constant rate, from 0.
    time : float
        `index / fps`, seconds.
    image : ndarray of uint8, (height, width, 3)
        BGR.
    source_frame : int
        Which of the file's decoded frames, or of a folder's images, this is, from 0. It is `index` unless the file's
        rate is variable or frames are missing.
    ticks : int
        Its time in the file, in the stream's units. `NO_TIME` if it has none.
    """

    index: int
    time: float
    image: np.ndarray
    source_frame: int
    ticks: int = NO_TIME

    def check(self) -> int:
        """A check sum (CRC-32) of some of its pixels: frames that were decoded in another way have another one."""
        step = max(1, min(self.image.shape[:2]) // CHECKED_ROWS)
        return zlib.crc32(np.ascontiguousarray(self.image[::step, ::step]))


@dataclass
class FrameSource:
    """A video, or a folder of frame images. Every iteration reads it from the start and gives its `Frame`s.

    Attributes
    ----------
    path : Path
    fps : float
        Frames per second of the iteration.
    width, height : int
        Pixels, after the frames are turned upright.
    n_estimated : int
        About how many frames there are, for progress bars.
    resampled : bool
        Whether the file's rate is variable.
    remarks : tuple of str
        What was found before decoding.
    problems : list of str
        What the latest iteration found.
    source_frames : array of int
        `Frame.source_frame` of each frame that the latest iteration gave.
    ticks, checks : array of int
        `Frame.ticks` and `Frame.check()` of the same frames. With them, `seeking.py` finds frames again.
    images : tuple of Path
        The frames of a folder; empty for a video file.
    codec : str
        FFmpeg's name of the codec; empty for a folder.
    start : float
        Time of the first frame in the file, seconds, as the latest iteration found it. It need not be 0.
    bits_per_pixel : float or None
        Of the compressed pictures; None for a folder.
    """

    path: Path
    fps: float
    width: int
    height: int
    n_estimated: int
    resampled: bool = False
    remarks: tuple[str, ...] = ()
    problems: list[str] = field(default_factory=list)
    source_frames: array = field(default_factory=lambda: array("q"))
    ticks: array = field(default_factory=lambda: array("q"))
    checks: array = field(default_factory=lambda: array("q"))
    images: tuple[Path, ...] = ()
    codec: str = ""
    bits_per_pixel: float | None = None
    start: float = 0.0

    def __iter__(self) -> Iterator[Frame]:
        self.problems.clear()
        self.source_frames, self.ticks, self.checks = array("q"), array("q"), array("q")
        for frame in map(self.read_image, range(len(self.images))) if self.images else self._decode():
            self.source_frames.append(frame.source_frame)
            self.ticks.append(frame.ticks)
            self.checks.append(frame.check())
            yield frame

    def read_image(self, i: int) -> Frame:
        """The i-th image of a folder. InputError if it cannot be read or has another size than the first one."""
        path = self.images[i]
        image = read_image(path)
        if image.shape[:2] != (self.height, self.width):
            raise InputError(
                f"{path}: is {image.shape[1]}x{image.shape[0]} pixels, the first image {self.width}x{self.height}; "
                "a video's frames must have one size"
            )
        return Frame(i, i / self.fps, image, i)

    def _decode(self) -> Iterator[Frame]:
        """Decoded frames at the constant rate.

        Every frame is repeated until the next one's time. This fills gaps, and makes a variable rate constant.
        """
        start, i = None, 0  # time of the first frame; index of the next frame to give
        held, since = None, NO_TIME  # image and ticks of the frame before
        last, missing = 0.0, 0  # latest time since the start; frames that a constant rate lacks
        number = 0  # of the decoded frame
        for number, (ticks, time, image) in enumerate(self._decoded()):
            if start is None:
                start = self.start = time
            last = max(last, time - start)
            place = int(np.ceil(last * self.fps - LATE)) if self.resampled else round(last * self.fps)
            for gap in range(i, place):
                if held is not None:
                    missing += not self.resampled
                    yield Frame(gap, gap / self.fps, held, number - 1, since)
            i, held, since = max(i, place), image, ticks
            if not self.resampled:
                yield Frame(i, i / self.fps, image, number, ticks)
                i += 1
        if held is not None and self.resampled:
            yield Frame(i, i / self.fps, held, number, since)
        if missing:
            self.problems.append(f"{self.path.name}: {missing} frame(s) are missing; the frame before is repeated")

    def faces_seen(self, bar: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Look for a face in a frame about every second (`FACE_EVERY`). This decodes the whole video.

        `bar`: show progress.

        Returns
        -------
        moments : ndarray of float64, (n,)
            Seconds, as the file gives the times of its frames.
        seen : ndarray of bool, (n,)
            Whether any face was found.
        """
        total = round(self.n_estimated / self.fps / FACE_EVERY) + 1
        frames = progress(self._decoded(FACE_EVERY), total=total, title="frame rate", unit="detection", shown=bar)
        found = [(time, shows_face(image)) for _, time, image in frames]
        self.problems.clear()  # the iterations report them
        return np.array([time for time, _ in found]), np.array([face for _, face in found], bool)

    def of_one_size(self, image: np.ndarray) -> np.ndarray:
        """An image, scaled to the size of the first one if it has another."""
        if image.shape[:2] == (self.height, self.width):
            return image
        return cv2.resize(image, (self.width, self.height))

    def _decoded(self, every: float = 0.0) -> Iterator[tuple[int, float, np.ndarray]]:
        """(ticks, seconds, image) of all frames that can be decoded, in the decoder's order of display.

        With `every`, frames are left out that come less than so many seconds after the one before that was given.
        """
        broken = damaged = resized = count = 0
        due = -np.inf  # seconds
        reformatter = VideoReformatter()
        with open_container(self.path) as container:
            stream = decoded_pictures(self.path, container)
            packets, latest = container.demux(stream), None
            while broken < MAX_BROKEN or count:
                try:
                    packet = next(packets)
                    is_last = not packet.size and packet.dts is None  # then the decoder gives the frames it still has
                    frames = packet.decode() if packet.size or is_last else []
                except StopIteration:
                    break
                except UNREADABLE:
                    broken += 1
                    continue
                for decoded in frames:
                    damaged += decoded.is_corrupt
                    ticks = ticks_of(container, decoded)
                    if ticks is not None:
                        time = float(ticks * decoded.time_base)
                    else:
                        time = 0.0 if latest is None else latest + 1 / self.fps
                    latest, count = time, count + 1
                    if time < due:
                        continue
                    due = time + every if every else due
                    image = upright(decoded, reformatter)
                    if image.shape[:2] != (self.height, self.width):
                        image, resized = self.of_one_size(image), resized + 1
                    yield NO_TIME if ticks is None else ticks, time, image
        if broken:
            self.problems.append(f"{self.path.name}: {broken} packet(s) cannot be decoded")
        if damaged:
            self.problems.append(f"{self.path.name}: {damaged} frame(s) are damaged")
        if resized:
            self.problems.append(f"{self.path.name}: {resized} frame(s) of another size, scaled to that of the first")


def open_video(path: Path, fps: float | None = None, bar: bool = False) -> FrameSource:
    """Open a video or a folder of images.

    Of a video, all packets are read, but only the first frame is decoded. If the rate is variable, all frames are
    decoded, to measure the rate where there is a face (`FrameSource.faces_seen`).

    Parameters
    ----------
    path : Path
        A video file, or a folder of images, which are read in natural order of their names.
    fps : float, optional
        Frames per second of a folder of images.
    bar : bool
        Show progress if the whole video is decoded.

    Raises
    ------
    InputError
        The file is missing, empty, not a video, audio only, encrypted, or too large; nothing in it can be decoded; its
        times jump; its rate is outside [`LOWEST_RATE`, `HIGHEST_RATE`]; or `fps` is given, although a file has its own
        rate. The folder has no images, an image is there twice, or `fps` is missing or outside that range.
    """
    if path.is_dir():
        return _open_folder(path, fps)
    if fps is not None:
        raise InputError(f"{path}: a video file has its own frame rate; leave --fps out")
    if not path.exists():
        raise InputError(f"{path}: no such file; give a video file or a folder with --video")
    if not path.is_file():
        raise InputError(f"{path}: is neither a file nor a folder; give a video file or a folder with --video")
    if not path.stat().st_size:
        raise InputError(f"{path}: the file is empty (0 bytes); copy it again")
    try:
        with open_container(path) as container:
            return _inspect(path, container, bar)
    except av.FFmpegError as error:
        raise InputError(f"{path}: is not a video that can be read ({_reason(error)})") from None
    except (OSError, MemoryError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__


def _inspect(path: Path, container, bar: bool) -> FrameSource:
    """What is known about a video from its packets and its first frame; of variable rate, from all frames."""
    stream = pictures_of(path, container)
    require_size(path, stream)
    tick, declared = float(stream.time_base or NO_TICK), float(stream.average_rate or stream.guessed_rate or 0)
    ticks, n, n_bytes = [], 0, 0
    try:
        for packet in container.demux(stream):
            if packet.has_sidedata("encryption_info"):
                raise InputError(f"{path}: is encrypted; give a copy without protection")
            if packet.size and not packet.is_discard:
                n, n_bytes = n + 1, n_bytes + packet.size
                if packet.pts is not None:
                    ticks.append(packet.pts)
    except UNREADABLE:
        pass  # what is before the fault can be read; the fault is reported when the video is decoded
    times = np.array(ticks, np.int64) * tick
    require_times(path, times)
    times = np.unique(times)
    if len(times) > 1:
        (fps, resampled), remark = measure_rate(times, tick), ""
    else:
        (fps, remark), resampled = rate_without_times(path.name, declared, n), False
    height, width = _first_image(path).shape[:2]
    source = FrameSource(
        path,
        fps,
        width,
        height,
        _n_resampled(times, fps) if resampled else max(len(times), n),
        resampled,
        codec=stream.codec_context.codec.canonical_name,
        bits_per_pixel=8 * n_bytes / (max(1, n) * width * height),
    )
    if resampled:
        fps_with_face = rate_with_face(times, *source.faces_seen(bar))
        source.fps = fps_with_face or fps
        source.n_estimated = _n_resampled(times, source.fps)
        remark = remark_on_rate(path.name, times, source.fps, fps_with_face is not None)
    require_rate(path, source.fps)
    source.remarks = tuple(filter(None, [remark, remark_on_end(path.name, times, _duration(stream, container))]))
    return source


def _n_resampled(times: np.ndarray, fps: float) -> int:
    """How many frames a video of variable rate has at the rate `fps`. `times` are in seconds."""
    return round((times[-1] - times[0]) * fps) + 1


def _duration(stream: av.VideoStream, container) -> float:
    """Seconds that the header gives for the pictures, or else for the whole file; 0 if it gives none."""
    if stream.duration is not None:
        return float(stream.duration * (stream.time_base or NO_TICK))
    return (container.duration or 0) / av.time_base


def _first_image(path: Path) -> np.ndarray:
    """The first frame that can be decoded. InputError if there is none."""
    with open_container(path) as container:
        packets = container.demux(pictures_of(path, container))
        while True:
            try:
                for frame in next(packets).decode():
                    return upright(frame, VideoReformatter())
            except StopIteration:
                break
            except UNREADABLE:
                continue
    raise InputError(f"{path}: no frame can be decoded; is it whole, not encrypted, of at most 8192x8192 pixels?")


def _open_folder(folder: Path, fps: float | None) -> FrameSource:
    """`open_video` for a folder of images."""
    images = images_in(folder)
    if not images:
        raise InputError(f"{folder}: holds no images ({', '.join(IMAGE_SUFFIXES)}) and no videos")
    if fps is None:
        raise InputError(f"{folder}: is a folder of images; give their frames per second with --fps")
    require_rate(folder, fps)
    require_files(images)
    height, width = read_image(images[0]).shape[:2]
    remarks = tuple(filter(None, [remark_on_numbers(images)]))
    return FrameSource(folder, fps, width, height, len(images), remarks=remarks, images=images)
