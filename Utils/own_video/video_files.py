"""Reading videos: one frame at a time, at a constant rate, upright, whatever the file's header says.

    for frame in open_video(Path("interview.mp4")):
        frame.index, frame.time, frame.image

Timestamps are those of the packets; the number of frames in the header is never used. A video of variable rate gets the
frame that is on the screen at every 1/fps of a second. Audio is ignored, and only this file is read: formats that name
other files or addresses (playlists) are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.stream import Disposition
from av.video.reformatter import VideoReformatter

from Utils.errors import InputError, shown
from Utils.faces.images import read_image
from Utils.own_video.image_folders import IMAGE_SUFFIXES, images_in, remark_on_numbers, require_files
from Utils.records import natural_key

SUFFIXES = (
    ".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mjpeg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf",
    ".ogv", ".ts", ".vob", ".webm", ".wmv",
)  # fmt: skip
FORMATS = "mov,matroska,avi,mpegts,mpeg,mpegvideo,flv,ogg,asf,mxf,h264,hevc,mjpeg,m4v,gif"  # demuxers of single files
MAX_PIXELS = 8192 * 8192
LOWEST_RATE, HIGHEST_RATE = 1, 1000  # frames per second
MAX_PAUSE = 600.0  # seconds; a longer one between two frames is taken for broken timestamps
MAX_BACK = 1.0  # seconds; timestamps that fall by more begin anew (recordings joined without care)
TOLERANCE = 0.02  # of the mean interval by which intervals may differ in a video of constant rate, besides a tick
DRIFT = 0.5  # of the mean interval by which frames may be off index / fps in one
CUT_OFF = 0.05  # of the header's duration, and half a second, by which a whole file may be shorter
EARLY = 0.1  # of a frame by which one may come late and still count as on the screen (ticks of a millisecond)
USUAL_RATES = (24, 25, 30, 48, 50, 60, 90, 100, 120, 200, 240, *(r * 1000 / 1001 for r in (24, 30, 60, 120)))


@dataclass(frozen=True)
class Frame:
    """One frame: its number from 0 at the constant rate, `index / fps` seconds, (height, width, 3) uint8 BGR."""

    index: int
    time: float
    image: np.ndarray


@dataclass
class FrameSource:
    """A video, or a folder of frame images. Every iteration reads it from the start.

    Attributes
    ----------
    path : Path
    fps : float
        Of the frames that come out.
    width, height : int
        Pixels, after rotation.
    n_estimated : int
        About how many frames there are, for progress bars.
    resampled : bool
        The file's rate is variable.
    remarks : tuple of str
        Known before decoding.
    problems : list of str
        Found by the latest iteration.
    """

    path: Path
    fps: float
    width: int
    height: int
    n_estimated: int
    resampled: bool = False
    remarks: tuple[str, ...] = ()
    problems: list[str] = field(default_factory=list)
    images: tuple[Path, ...] = ()

    def __iter__(self) -> Iterator[Frame]:
        self.problems.clear()
        return self._read_images() if self.images else self._decode()

    def _read_images(self) -> Iterator[Frame]:
        for i, path in enumerate(self.images):
            image = read_image(path)
            if image.shape[:2] != (self.height, self.width):
                raise InputError(
                    f"{path}: is {image.shape[1]}x{image.shape[0]} pixels, the first image {self.width}x{self.height}; "
                    "a video's frames must have one size"
                )
            yield Frame(i, i / self.fps, image)

    def _decode(self) -> Iterator[Frame]:
        """Decoded frames, each held until the next one's time: that fills gaps, and makes a variable rate constant."""
        start, held, i = None, None, 0
        last, missing = 0.0, 0
        for time, image in self._decoded():
            start = time if start is None else start
            last = max(last, time - start)
            place = int(np.ceil(last * self.fps - EARLY)) if self.resampled else round(last * self.fps)
            for gap in range(i, place):
                if held is not None:
                    missing += not self.resampled
                    yield Frame(gap, gap / self.fps, held)
            i, held = max(i, place), image
            if not self.resampled:
                yield Frame(i, i / self.fps, image)
                i += 1
        if held is not None and self.resampled:
            yield Frame(i, i / self.fps, held)
        if missing:
            self.problems.append(f"{self.path.name}: {missing} frame(s) are missing, the frame before is held")

    def _decoded(self) -> Iterator[tuple[float, np.ndarray]]:
        """(seconds, image) of all frames that can be decoded, in order of time."""
        broken = damaged = resized = count = 0
        reformatter = VideoReformatter()
        with _open(self.path) as container:
            stream = _pictures(self.path, container)
            stream.thread_type, stream.codec_context.thread_count = "AUTO", 2
            by_order = container.format.name == "avi"  # holds no times of display: what stands for them is out of order
            packets, latest = container.demux(stream), None
            while broken < 1000 or count:
                try:
                    packet = next(packets)
                    frames = packet.decode() if packet.size or packet.dts is None else []  # the last one has no time
                except StopIteration:
                    break
                except av.FFmpegError:
                    broken += 1
                    continue
                for decoded in frames:
                    damaged += decoded.is_corrupt
                    image = upright(decoded, reformatter)
                    if image.shape[:2] != (self.height, self.width):
                        image, resized = cv2.resize(image, (self.width, self.height)), resized + 1
                    ticks = decoded.dts if by_order else decoded.pts
                    if ticks is not None:
                        time = float(ticks * decoded.time_base)
                    else:
                        time = 0.0 if latest is None else latest + 1 / self.fps
                    latest, count = time, count + 1
                    yield time, image
        if broken:
            self.problems.append(f"{self.path.name}: {broken} packet(s) cannot be decoded")
        if damaged:
            self.problems.append(f"{self.path.name}: {damaged} frame(s) are damaged")
        if resized:
            self.problems.append(f"{self.path.name}: {resized} frame(s) of another size, scaled to the first one's")


def upright(frame: av.VideoFrame, reformatter: VideoReformatter) -> np.ndarray:
    """A decoded frame as (height, width, 3) uint8 BGR, turned as its display matrix says."""
    image = reformatter.reformat(frame, format="bgr24").to_ndarray()
    turns = round(frame.rotation / 90) % 4  # counterclockwise
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


def open_video(path: Path, fps: float | None = None) -> FrameSource:
    """Look at a video's packets, decoding only the first frame.

    Parameters
    ----------
    path : Path
        A video file, or a folder of images (natural order of their names).
    fps : float, optional
        Frames per second of a folder of images.

    Raises
    ------
    InputError
        Nothing there, empty, no video, audio only, encrypted, too large, nothing that can be decoded; less than 1 or
        more than 1000 frames per second; a folder without images or without `fps`, or `fps` for a file, which has
        its own; times that jump.
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
        with _open(path) as container:
            return _look_at(path, container)
    except av.FFmpegError as error:
        raise InputError(f"{path}: is not a video that can be read ({_reason(error)})") from None
    except (OSError, MemoryError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None


def _open(path: Path):
    options = {"protocol_whitelist": "file", "format_whitelist": FORMATS, "max_pixels": str(MAX_PIXELS)}
    container = av.open(str(path.absolute()), options=options, metadata_errors="replace")
    for stream in container.streams.video:
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}  # FFmpeg refuses larger frames before they are
    return container


def _pictures(path: Path, container) -> av.VideoStream:
    """The first stream of moving pictures; the cover of a song is none."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    kinds = ", ".join(sorted({s.type for s in container.streams} - {"video"})) or "nothing"
    raise InputError(f"{path}: has no pictures ({kinds} only); give a video file")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__


def _look_at(path: Path, container) -> FrameSource:
    stream = _pictures(path, container)
    if stream.width * stream.height > MAX_PIXELS:
        size = f"{stream.width}x{stream.height} pixels"
        raise InputError(f"{path}: frames of {size} are more than {MAX_PIXELS} pixels; scale it down")
    tick, declared = stream.time_base or Fraction(1, 1000), stream.average_rate or stream.guessed_rate
    ticks, n = [], 0
    try:
        for packet in container.demux(stream):
            if packet.has_sidedata("encryption_info"):
                raise InputError(f"{path}: is encrypted; give a copy without protection")
            if packet.size and not packet.is_discard:
                n += 1
                if packet.pts is not None:
                    ticks.append(packet.pts)
    except av.FFmpegError:
        pass  # what comes before it can be read; decoding meets it again, and says so
    times = np.array(ticks, np.int64) * float(tick)
    _check_times(path, times)
    times = np.unique(times)
    if len(times) > 1:
        fps, resampled, remark = _rate(path.name, times, float(tick))
    else:
        fps, resampled = float(declared or 0), False
        fps = fps if LOWEST_RATE <= fps <= HIGHEST_RATE else 25.0
        remark = f"{path.name}: has no timestamps; taken for {fps:.4g} frames per second" if n > 1 else ""
    _check_rate(path, fps)
    said = (remark, _cut_off(path.name, times, stream, container))
    n = round((times[-1] - times[0]) * fps) + 1 if resampled else max(len(times), n)
    height, width = _first_image(path).shape[:2]
    return FrameSource(path, fps, width, height, n, resampled, tuple(filter(None, said)))


def _check_times(path: Path, times: np.ndarray) -> None:
    """Refuse times, in order of decoding, that no recording has: held frames would fill hours, or frames be lost."""
    steps = np.diff(times)
    wrong = np.flatnonzero((steps < -MAX_BACK) | (steps > MAX_PAUSE))
    if len(wrong):
        said = f"jumps by {steps[wrong[0]]:.0f} s after {times[wrong[0]]:.0f} s"
        raise InputError(f"{path}: the time {said}; write the file again with a video tool")


def _check_rate(path: Path, fps: float) -> None:
    if not LOWEST_RATE <= fps <= HIGHEST_RATE:  # NaN, too
        raise InputError(f"{path}: {fps:.4g} frames per second are outside [{LOWEST_RATE}, {HIGHEST_RATE}]")


def _first_image(path: Path) -> np.ndarray:
    with _open(path) as container:
        for packet in container.demux(_pictures(path, container)):
            try:
                for frame in packet.decode():
                    return upright(frame, VideoReformatter())
            except av.FFmpegError:
                continue
    raise InputError(f"{path}: no frame can be decoded; is it whole, not encrypted, of at most 8192x8192 pixels?")


def _cut_off(name: str, times: np.ndarray, stream: av.VideoStream, container) -> str:
    """A remark where the header tells of more than there is, which is not relied on for anything else."""
    if not len(times):
        return ""
    told = (container.duration or 0) / av.time_base
    if stream.duration is not None:
        told = float(stream.duration * stream.time_base)
    there = float(times[-1] - times[0])
    if told - there <= max(0.5, CUT_OFF * told):
        return ""
    return f"{name}: its pictures end after {there:.1f} s, its header tells of {told:.1f} s: it may be cut off"


def _rate(name: str, times: np.ndarray, tick: float) -> tuple[float, bool, str]:
    """Frames per second, whether the rate is variable, and a remark; times ascending, at least two, in seconds."""
    intervals = np.diff(times)
    n, span = len(intervals), float(times[-1] - times[0])
    mean = span / n
    rounding = 1.01 * tick if tick < mean / 3 else 0.0  # coarse ticks count frames: they are exact
    even = np.abs(intervals - mean) <= rounding + TOLERANCE * mean
    off = np.abs(times - times[0] - mean * np.arange(n + 1))
    if even.all() and (off <= rounding + DRIFT * mean).all():
        share = min(max(min(0.001, DRIFT / n), rounding / span), 0.005)  # the last frame stays in its place
        return _usual(1 / mean, share), False, ""
    fps = _usual(1 / float(np.median(intervals)), 0.02)
    low, high = 1 / intervals.max(), 1 / intervals.min()
    return fps, True, f"{name}: its frame rate is variable ({low:.3g} to {high:.3g} per second): resampled to {fps:.4g}"


def _usual(fps: float, share: float) -> float:
    """A usual rate within that share, whole ones first, else the rate itself."""
    near = [rate for rate in USUAL_RATES if abs(rate - fps) <= share * fps]
    return float(min(near, key=lambda rate: (share > 0.01 and rate % 1 > 0, abs(rate - fps)), default=fps))


def _open_folder(folder: Path, fps: float | None) -> FrameSource:
    images = images_in(folder)
    if not images:
        raise InputError(f"{folder}: holds no images ({', '.join(IMAGE_SUFFIXES)}) and no videos")
    if fps is None:
        raise InputError(f"{folder}: is a folder of images; give their frames per second with --fps")
    _check_rate(folder, fps)
    require_files(images)
    height, width = read_image(images[0]).shape[:2]
    remarks = tuple(filter(None, [remark_on_numbers(images)]))
    return FrameSource(folder, fps, width, height, len(images), remarks=remarks, images=images)


def find_videos_to_run(paths: Sequence[Path]) -> list[Path]:
    """The videos that command-line paths stand for: files, folders of videos (natural order), folders of images.

    Raises
    ------
    InputError
        A path that is not there, or a folder with neither videos nor images.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            try:
                inside = sorted(path.iterdir(), key=lambda p: natural_key(p.name))
            except OSError as error:
                raise InputError(f"{shown(path)}: cannot be read ({error.strerror})") from None
            videos = [p for p in inside if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")]
            videos = [p for p in videos if not p.is_dir()]  # a link to nothing is one that cannot be read
            if not videos and not images_in(path):
                raise InputError(f"{shown(path)}: holds neither videos ({', '.join(SUFFIXES)}) nor images")
            found += videos or [path]
        elif path.exists():
            found.append(path)
        else:
            raise InputError(f"{shown(path)}: no such file or folder; give what --video should read")
    return list(dict.fromkeys(found))
