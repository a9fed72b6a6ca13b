"""Opens video files with PyAV, so that FFmpeg reads nothing but the given file, and finds their pictures."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.reformatter import VideoReformatter

from Utils.errors import InputError

# FFmpeg's names of the formats that are read: those in which one file is the whole video
FORMATS = "mov,matroska,avi,mpegts,mpeg,mpegvideo,flv,ogg,asf,mxf,h264,hevc,mjpeg,m4v,gif"
MAX_PIXELS = 8192 * 8192  # of a frame: 64 megapixels, as for images (Utils/__init__.py)
DECODER_THREADS = 2  # for each video; several videos may be read at the same time
UNREADABLE = (av.FFmpegError, IndexError)  # what reading a packet raises; IndexError: PyAV does not know its stream


def open_container(path: Path) -> InputContainer:
    """The container of a video file. FFmpeg is told to read no other file, and to refuse frames that are too large."""
    options = {"protocol_whitelist": "file", "format_whitelist": FORMATS, "max_pixels": str(MAX_PIXELS)}
    container = av.open(str(path.absolute()), options=options, metadata_errors="replace")
    for stream in container.streams.video:
        if stream.codec_context is None:
            continue  # there is no decoder for it
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}  # checked before memory is taken for a frame
    return container


def pictures_of(path: Path, container: InputContainer) -> av.VideoStream:
    """The first stream of moving pictures. The cover picture of a song is not one."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            if stream.codec_context is None:
                raise InputError(f"{path}: its pictures are of a kind that cannot be decoded; convert it to H.264")
            return stream
    kinds = ", ".join(sorted({s.type for s in container.streams} - {"video"})) or "nothing"
    raise InputError(f"{path}: has no pictures ({kinds} only); give a video file")


def require_size(path: Path, stream: av.VideoStream) -> None:
    """Raise InputError if a stream's frames are too large."""
    if stream.width * stream.height > MAX_PIXELS:
        size = f"{stream.width}x{stream.height} pixels"
        raise InputError(f"{path}: frames of {size} are more than {MAX_PIXELS} pixels; scale the video down")


def decoded_pictures(path: Path, container: InputContainer) -> av.VideoStream:
    """The stream of a video's pictures, set up so that it can be decoded."""
    stream = pictures_of(path, container)
    stream.thread_type, stream.codec_context.thread_count = "AUTO", DECODER_THREADS
    return stream


def ticks_of(container: InputContainer, frame: av.VideoFrame) -> int | None:
    """The time of a decoded frame in its stream's units, by which frames are ordered. None if it has none."""
    # AVI has no display times; those that FFmpeg gives are unordered
    return frame.dts if container.format.name == "avi" else frame.pts


def upright(frame: av.VideoFrame, reformatter: VideoReformatter) -> np.ndarray:
    """A decoded frame as (height, width, 3) uint8 BGR, turned as its display matrix demands."""
    image = reformatter.reformat(frame, format="bgr24").to_ndarray()
    turns = round(frame.rotation / 90) % 4  # counterclockwise
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image
