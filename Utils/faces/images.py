"""Reading and writing single images."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from Utils.errors import InputError

cv2.setNumThreads(1)  # units of work run side by side, one core each


def read_image(path: Path, flags: int = cv2.IMREAD_COLOR) -> np.ndarray:
    """Decode an image file.

    Parameters
    ----------
    path : Path
    flags : int
        OpenCV's: `IMREAD_COLOR` gives (height, width, 3) uint8 in BGR order, `IMREAD_GRAYSCALE` (height, width) uint8.

    Raises
    ------
    InputError
        Naming the file, if it is missing, empty, truncated, no image or too large (see `Utils/__init__.py`).
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: frame cannot be read ({error.strerror}); copy it from the dataset again") from None
    if data.startswith(b"\xff\xd8") and b"\xff\xd9" not in data[max(0, data.rfind(b"\xff\xda")) :]:
        # a JPEG without an end after its last scan; a thumbnail in its header has an end of its own
        raise InputError(f"{path}: frame is cut short ({len(data)} bytes); copy it from the dataset again")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except cv2.error as error:
        if "CV_IO_MAX_IMAGE" in str(error):
            raise InputError(f"{path}: frame is larger than 64 megapixels; make the frames smaller") from None
        image = None
    if image is None:
        raise InputError(f"{path}: frame is not a readable image ({len(data)} bytes); copy it from the dataset again")
    return image


def write_jpeg(path: Path, image: np.ndarray, quality: int = 95) -> None:
    """Write an image as JPEG; 95 is OpenCV's default quality."""
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"cannot encode an image of shape {image.shape} and type {image.dtype}")
    path.write_bytes(data.tobytes())
