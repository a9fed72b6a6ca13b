"""Reads videos: one frame at a time, at a constant rate, turned upright.

    for frame in open_video(Path("interview.mp4")):
        frame.index, frame.time, frame.image

Times are those of the packets. The number of frames in the header is never used. From a video of variable rate, the
frame that is on the screen is taken at every multiple of 1 / fps seconds; the rate is that of the parts with a face.
Sound is ignored here (see `sound.py`). Only the given file is read: formats that name other files or addresses
(playlists) are refused.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.reformatter import VideoReformatter

from Utils.errors import InputError
from Utils.faces.images import read_image
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

# FFmpeg's names of the formats that are read: those in which one file is the whole video
FORMATS = "mov,matroska,avi,mpegts,mpeg,mpegvideo,flv,ogg,asf,mxf,h264,hevc,mjpeg,m4v,gif"
MAX_PIXELS = 8192 * 8192  # of a frame: 64 megapixels, as for images (Utils/__init__.py)
LATE = 0.1  # share of an interval by which a frame may come late and still be on the screen: times may be whole ms
DECODER_THREADS = 2  # for each video; several videos may be read at the same time
UNREADABLE = (av.FFmpegError, IndexError)  # what reading a packet raises; IndexError: PyAV does not know its stream
MAX_BROKEN = 1000  # packets that cannot be decoded, after which the rest is not tried if there is no frame yet
FACE_EVERY = 1.0  # seconds between the frames in which a face is looked for, to find the rate of a video
NO_TICK = Fraction(1, 1000)  # seconds; the unit of times if the stream does not give it


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
    """

    index: int
    time: float
    image: np.ndarray
    source_frame: int


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
    images: tuple[Path, ...] = ()
    codec: str = ""
    bits_per_pixel: float | None = None
    start: float = 0.0

    def __iter__(self) -> Iterator[Frame]:
        self.problems.clear()
        self.source_frames = array("q")
        for frame in self._read_images() if self.images else self._decode():
            self.source_frames.append(frame.source_frame)
            yield frame

    def _read_images(self) -> Iterator[Frame]:
        for i, path in enumerate(self.images):
            image = read_image(path)
            if image.shape[:2] != (self.height, self.width):
                raise InputError(
                    f"{path}: is {image.shape[1]}x{image.shape[0]} pixels, the first image {self.width}x{self.height}; "
                    "a video's frames must have one size"
                )
            yield Frame(i, i / self.fps, image, i)

    def _decode(self) -> Iterator[Frame]:
        """Decoded frames at the constant rate.

        Every frame is repeated until the next one's time. This fills gaps, and makes a variable rate constant.
        """
        start, held, i = None, None, 0  # time of the first frame; the frame before; index of the next frame to give
        last, missing = 0.0, 0  # latest time since the start; frames that a constant rate lacks
        number = 0  # of the decoded frame
        for number, (time, image) in enumerate(self._decoded()):
            if start is None:
                start = self.start = time
            last = max(last, time - start)
            place = int(np.ceil(last * self.fps - LATE)) if self.resampled else round(last * self.fps)
            for gap in range(i, place):
                if held is not None:
                    missing += not self.resampled
                    yield Frame(gap, gap / self.fps, held, number - 1)
            i, held = max(i, place), image
            if not self.resampled:
                yield Frame(i, i / self.fps, image, number)
                i += 1
        if held is not None and self.resampled:
            yield Frame(i, i / self.fps, held, number)
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
        found = [(time, shows_face(image)) for time, image in frames]
        self.problems.clear()  # the iterations report them
        return np.array([time for time, _ in found]), np.array([face for _, face in found], bool)

    def _decoded(self, every: float = 0.0) -> Iterator[tuple[float, np.ndarray]]:
        """(seconds, image) of all frames that can be decoded, in the decoder's order of display.

        With `every`, frames are left out that come less than so many seconds after the one before that was given.
        """
        broken = damaged = resized = count = 0
        due = -np.inf  # seconds
        reformatter = VideoReformatter()
        with open_container(self.path) as container:
            stream = _pictures(self.path, container)
            stream.thread_type, stream.codec_context.thread_count = "AUTO", DECODER_THREADS
            by_order = container.format.name == "avi"  # AVI has no display times; those that FFmpeg gives are unordered
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
                    ticks = decoded.dts if by_order else decoded.pts
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
                        image, resized = cv2.resize(image, (self.width, self.height)), resized + 1
                    yield time, image
        if broken:
            self.problems.append(f"{self.path.name}: {broken} packet(s) cannot be decoded")
        if damaged:
            self.problems.append(f"{self.path.name}: {damaged} frame(s) are damaged")
        if resized:
            self.problems.append(f"{self.path.name}: {resized} frame(s) of another size, scaled to that of the first")


def upright(frame: av.VideoFrame, reformatter: VideoReformatter) -> np.ndarray:
    """A decoded frame as (height, width, 3) uint8 BGR, turned as its display matrix demands."""
    image = reformatter.reformat(frame, format="bgr24").to_ndarray()
    turns = round(frame.rotation / 90) % 4  # counterclockwise
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


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


def open_container(path: Path) -> InputContainer:
    """The container of a video file. FFmpeg is told to read no other file, and to refuse frames that are too large."""
    options = {"protocol_whitelist": "file", "format_whitelist": FORMATS, "max_pixels": str(MAX_PIXELS)}
    container = av.open(str(path.absolute()), options=options, metadata_errors="replace")
    for stream in container.streams.video:
        if stream.codec_context is None:
            continue  # there is no decoder for it
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}  # checked before memory is taken for a frame
    return container


def _pictures(path: Path, container) -> av.VideoStream:
    """The first stream of moving pictures. The cover picture of a song is not one."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            if stream.codec_context is None:
                raise InputError(f"{path}: its pictures are of a kind that cannot be decoded; convert it to H.264")
            return stream
    kinds = ", ".join(sorted({s.type for s in container.streams} - {"video"})) or "nothing"
    raise InputError(f"{path}: has no pictures ({kinds} only); give a video file")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__


def _inspect(path: Path, container, bar: bool) -> FrameSource:
    """What is known about a video from its packets and its first frame; of variable rate, from all frames."""
    stream = _pictures(path, container)
    if stream.width * stream.height > MAX_PIXELS:
        size = f"{stream.width}x{stream.height} pixels"
        raise InputError(f"{path}: frames of {size} are more than {MAX_PIXELS} pixels; scale the video down")
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
        packets = container.demux(_pictures(path, container))
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
