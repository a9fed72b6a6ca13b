"""Reads and writes single images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from Utils.errors import InputError

cv2.setNumThreads(1)  # units of work run side by side, each on one core

# Markers of the JPEG format: start of the image, start of a scan (the compressed pixels), end of the image
JPEG_START, JPEG_SCAN, JPEG_END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
OPENCV_QUALITY = 95  # OpenCV's default for JPEG files


class DamagedImage(InputError):
    """A file that can be read and is no image: it is empty, cut short, or something else."""


def read_image(path: Path, flags: int = cv2.IMREAD_COLOR) -> np.ndarray:
    """Decode an image file.

    Parameters
    ----------
    path : Path
    flags : int
        OpenCV's flags, which decide what is returned.

    Returns
    -------
    ndarray of uint8
        `IMREAD_COLOR`: (height, width, 3) in BGR order. `IMREAD_GRAYSCALE`: (height, width).

    Raises
    ------
    InputError
        The file is missing, or too large (see `Utils/__init__.py`). `DamagedImage` if it is empty, cut short or no
        image.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: frame cannot be read ({error.strerror}); copy it from the dataset again") from None
    last_scan = max(0, data.rfind(JPEG_SCAN))  # a thumbnail in the header has an end mark too, before the last scan
    if data.startswith(JPEG_START) and JPEG_END not in data[last_scan:]:
        raise DamagedImage(f"{path}: frame is cut short ({len(data)} bytes); copy it from the dataset again")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except cv2.error as error:
        if "CV_IO_MAX_IMAGE" in str(error):
            raise InputError(f"{path}: frame is larger than 64 megapixels; make the frames smaller") from None
        image = None
    if image is None:
        raise DamagedImage(f"{path}: frame is not a readable image ({len(data)} bytes); copy it from the dataset again")
    return image


class ReadableImages:
    """The images of files one by one, (height, width, 3) uint8 BGR. One that is damaged is replaced.

    It is replaced by the readable image before it, and at the beginning by the first readable one. If there is none,
    there are no images. A file that stands several times in a row is read once.

    Attributes
    ----------
    damaged : list of Path
        The damaged files that were found so far.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths
        self.damaged: list[Path] = []

    def __iter__(self) -> Iterator[np.ndarray]:
        """As many images as there are paths. InputError as `read_image`, but not for a damaged image."""
        self.damaged, image, before, waiting = [], None, None, 0
        for path in self.paths:
            if path != before:
                try:
                    image = read_image(path)
                except DamagedImage:
                    self.damaged.append(path)
            before, waiting = path, waiting + 1
            if image is not None:
                for _ in range(waiting):
                    yield image
                waiting = 0


def write_jpeg(path: Path, image: np.ndarray, quality: int = OPENCV_QUALITY) -> None:
    """Write an image as JPEG.

    Parameters
    ----------
    path : Path
    image : ndarray of uint8, (height, width, 3) in BGR order, or (height, width)
    quality : int, 0 to 100

    Raises
    ------
    ValueError
        OpenCV cannot encode the image.
    OSError
        The file cannot be written.
    """
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"cannot encode an image of shape {image.shape} and type {image.dtype}")
    path.write_bytes(data.tobytes())
