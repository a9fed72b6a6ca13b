"""The pictures of one interval: face crops and the flow drawn on the apex, as JPEG data URIs."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import cv2
import numpy as np

MAX_SIDE = 256  # pixels; larger crops are made smaller
FLOW_SIDE = 280  # width and height of the picture with arrows, pixels
ARROWS = 14  # number of arrows in a row, and in a column
LONGEST = 1.6  # longest arrow, in distances between two arrows
MAGNIFICATIONS = (1, 2, 3, 5, 8, 10)  # of the arrows; with more, a face that does not move would show only noise
SHORTEST = 5.0  # pixels; a shorter arrow is not drawn
HEAD = 0.35  # length of an arrow's head, as a share of the arrow's length
FINE = 4  # fractional bits of the coordinates that OpenCV draws with: 1/16 pixel
DARK, BRIGHT = (30, 20, 0), (60, 240, 255)  # colours of an arrow's rim and line, BGR
RIM, LINE = 3, 1  # their widths, pixels
JPEG = [cv2.IMWRITE_JPEG_QUALITY, 80, cv2.IMWRITE_JPEG_OPTIMIZE, 1]  # OpenCV's default is 95; a report has many


@dataclass(frozen=True)
class Pictures:
    """The pictures of one predicted or annotated interval. None if a frame is missing.

    Attributes
    ----------
    onset, apex, offset : ndarray of uint8 or None
        Face crops, (h, w) gray or (h, w, 3) BGR, normally 128x128.
    flow : ndarray of float32, (h, w, 2), or None
        Optical flow from onset to apex, in pixels of a crop of size (h, w): to the right, and down. It is drawn as
        arrows on the apex.
    """

    onset: np.ndarray | None
    apex: np.ndarray | None
    offset: np.ndarray | None
    flow: np.ndarray | None


def picture_data(pictures: Pictures) -> dict:
    """The pictures as a report takes them.

    Returns
    -------
    dict
        "onset", "apex", "offset", "flow": data URI or None. "magnification": how many times longer than the movement
        the arrows are, or None if there is no flow.

    Raises
    ------
    ValueError
        A picture is not uint8, or a shape is not one that `Pictures` allows.
    """
    data = {}
    for name in ("onset", "apex", "offset"):
        crop = getattr(pictures, name)
        data[name] = None if crop is None else jpeg_uri(_fitted(_checked(crop, name)))
    if pictures.apex is None or pictures.flow is None:
        return data | {"flow": None, "magnification": None}
    drawn, magnification = draw_flow(pictures.apex, pictures.flow)
    return data | {"flow": jpeg_uri(drawn), "magnification": magnification}


def draw_flow(apex: np.ndarray, flow: np.ndarray) -> tuple[np.ndarray, int]:
    """Draw the flow as arrows on the enlarged apex crop. An arrow is the mean movement of the area around its tail.

    Parameters
    ----------
    apex : ndarray of uint8, (h, w) or (h, w, 3)
    flow : ndarray of float, (h, w, 2)
        Pixels, to the right and down.

    Returns
    -------
    picture : ndarray of uint8, (280, 280, 3)
        BGR.
    magnification : int
        How many times longer than the movement the arrows are.

    Raises
    ------
    ValueError
        The crop or the flow has another shape or type.
    """
    if flow.ndim != 3 or flow.shape[2] != 2 or 0 in flow.shape:
        raise ValueError(f"flow: an array of shape {flow.shape} is not a flow; give (h, w, 2)")
    canvas = cv2.resize(_checked(apex, "apex"), (FLOW_SIDE, FLOW_SIDE), interpolation=cv2.INTER_CUBIC)
    canvas = cv2.cvtColor(canvas, cv2.COLOR_GRAY2BGR) if canvas.ndim == 2 else canvas
    scale = np.array([FLOW_SIDE / flow.shape[1], FLOW_SIDE / flow.shape[0]])
    finite_flow = np.nan_to_num(np.asarray(flow, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    moved = cv2.resize(finite_flow, (ARROWS, ARROWS), interpolation=cv2.INTER_AREA) * scale
    spacing = FLOW_SIDE / ARROWS
    largest = float(np.hypot(moved[..., 0], moved[..., 1]).max())
    fitting = [m for m in MAGNIFICATIONS if m * largest <= LONGEST * spacing]
    magnification = fitting[-1] if fitting else 1
    for colour, width in ((DARK, RIM), (BRIGHT, LINE)):
        for row, column in np.ndindex(ARROWS, ARROWS):
            tail = (np.array([column, row]) + 0.5) * spacing
            _draw_arrow(canvas, tail, moved[row, column] * magnification, colour, width)
    return canvas, magnification


def jpeg_uri(image: np.ndarray) -> str:
    """A picture as `data:image/jpeg;base64,...`. ValueError if OpenCV cannot encode it."""
    written, data = cv2.imencode(".jpg", image, JPEG)
    if not written:
        raise ValueError(f"a picture of shape {image.shape} cannot be written as JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")


def _draw_arrow(canvas: np.ndarray, tail: np.ndarray, move: np.ndarray, colour: tuple, width: int) -> None:
    if np.hypot(*move) < SHORTEST:
        return
    start, end = (tuple(np.rint(point * 2**FINE).astype(int).tolist()) for point in (tail, tail + move))
    cv2.arrowedLine(canvas, start, end, colour, width, cv2.LINE_AA, FINE, HEAD)


def _checked(crop: np.ndarray, name: str) -> np.ndarray:
    """The crop itself. ValueError if it is not a picture."""
    is_picture = crop.ndim == 2 or (crop.ndim == 3 and crop.shape[2] == 3)
    if crop.dtype != np.uint8 or not is_picture or 0 in crop.shape:
        what = f"{crop.dtype} of shape {crop.shape}"
        raise ValueError(f"{name}: {what} is not a picture; give uint8, (h, w) or (h, w, 3)")
    return crop


def _fitted(crop: np.ndarray) -> np.ndarray:
    """The crop, made smaller if one side is longer than `MAX_SIDE`."""
    scale = MAX_SIDE / max(crop.shape[:2])
    if scale >= 1:
        return crop
    height, width = (max(1, round(side * scale)) for side in crop.shape[:2])
    return cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA)
