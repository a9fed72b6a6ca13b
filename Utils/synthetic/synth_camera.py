"""The camera of SYNTH: motion blur, focus, noise, and compression as JPEG frames or as an H.264 stream."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import cv2
import numpy as np

from Utils.synthetic.portable import exp, hypot, log

LEAST_BLUR = 0.7  # pixels of motion during the exposure below which nothing is blurred
JPEG, H264 = "jpeg", "h264"


@dataclass(frozen=True)
class Camera:
    """One camera and its encoder.

    Attributes
    ----------
    shutter : float
        Exposure as a share of the time between two frames.
    focus : float
        Standard deviation of the blur by the lens, pixels.
    noise : float
        Standard deviation of the sensor noise, grey levels.
    cast : ndarray of float32, shape (3,)
        Factor on blue, green and red.
    codec : str
        "jpeg" or "h264".
    quality : int
        JPEG quality, or H.264's constant rate factor.
    keyframes : int
        Frames from one H.264 keyframe to the next.
    b_frames : int
        H.264 frames in a row that are predicted from both sides.
    """

    shutter: float
    focus: float
    noise: float
    cast: np.ndarray
    codec: str
    quality: int
    keyframes: int
    b_frames: int

    @property
    def codec_text(self) -> str:
        """For example "jpeg 85" or "h264 crf 28"."""
        return f"{self.codec} {self.quality}" if self.codec == JPEG else f"{self.codec} crf {self.quality}"


def draw_camera(rng: np.random.Generator, fps: float) -> Camera:
    """A camera; JPEG quality 50 to 95 or H.264 crf 18 to 33, a keyframe every half to 10 seconds."""
    codec = str(rng.choice([JPEG, H264]))
    return Camera(
        shutter=float(rng.uniform(0.1, 0.95)),
        focus=float(max(0.0, rng.uniform(-0.6, 1.0))),
        noise=float(exp(rng.uniform(log(0.5), log(4)))),
        cast=np.clip(1 + rng.normal(0, 0.05, 3), 0.88, 1.12).astype(np.float32),
        codec=codec,
        quality=int(rng.integers(50, 96) if codec == JPEG else rng.integers(18, 34)),
        keyframes=int(np.clip(exp(rng.uniform(log(0.5), log(10))) * fps, 12, 250)),
        b_frames=int(rng.integers(0, 4)),
    )


def motion_blur(layer: np.ndarray, dx: float, dy: float) -> np.ndarray:
    """`layer` (height, width, channels), blurred along a motion of (dx, dy) pixels during the exposure.

    `filter2D` is used as it is: with `plain_opencv` it takes 20 times as long. Its bits are other without AVX2.
    """
    length = float(hypot(dx, dy))
    if length < LEAST_BLUR:
        return layer
    steps = int(np.ceil(length)) * 2 + 1
    half = int(np.ceil(max(abs(dx), abs(dy)) / 2)) + 1
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    for share in np.linspace(-0.5, 0.5, steps):  # each point of the way, split among its four pixels
        x, y = half + share * dx, half + share * dy
        column, row = int(x), int(y)
        right, down = x - column, y - row
        weights = np.outer([1 - down, down], [1 - right, right])
        kernel[row : row + 2, column : column + 2] += weights
    return cv2.filter2D(layer, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)


def encode_and_decode(frames: Iterator[np.ndarray], camera: Camera, fps: float) -> Iterator[np.ndarray]:
    """The frames (height, width, 3), uint8 BGR, after compression; as many as before. H.264 needs even sides."""
    return _through_jpeg(frames, camera.quality) if camera.codec == JPEG else _through_h264(frames, camera, fps)


def _through_jpeg(frames: Iterator[np.ndarray], quality: int) -> Iterator[np.ndarray]:
    for image in frames:
        _, content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        yield cv2.imdecode(content, cv2.IMREAD_COLOR)


def _through_h264(frames: Iterator[np.ndarray], camera: Camera, fps: float) -> Iterator[np.ndarray]:
    """Encode and decode in memory, the same bytes in every run.

    For that, each has one thread, and streams with B-frames go without macroblock trees: with both, libx264 was
    measured to write other bytes from run to run. OpenCV converts the colours; libswscale makes grey 3 levels darker.
    """
    encoder, decoder = av.CodecContext.create("libx264", "w"), av.CodecContext.create("h264", "r")
    encoder.options = {"crf": str(camera.quality), "preset": "veryfast", "bf": str(camera.b_frames)}
    if camera.b_frames:
        encoder.options |= {"x264-params": "mbtree=0"}
    encoder.pix_fmt, encoder.gop_size, encoder.thread_count = "yuv420p", camera.keyframes, 1
    encoder.framerate = Fraction(fps).limit_denominator(1000)
    encoder.time_base = 1 / encoder.framerate
    decoder.thread_count = 1

    def pictures() -> Iterator[av.VideoFrame | None]:
        for index, image in enumerate(frames):
            if index == 0:
                encoder.height, encoder.width = image.shape[:2]
            picture = av.VideoFrame.from_ndarray(cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420), format="yuv420p")
            picture.pts = index
            yield picture
        yield None  # what the encoder still holds

    def decoded() -> Iterator[av.VideoFrame]:
        for picture in pictures():
            for packet in encoder.encode(picture):
                yield from decoder.decode(packet)
        yield from decoder.decode(None)

    for picture in decoded():
        yield cv2.cvtColor(picture.to_ndarray(format="yuv420p"), cv2.COLOR_YUV2BGR_I420)
