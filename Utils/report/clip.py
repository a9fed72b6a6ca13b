"""The moving picture of one expression as a report embeds it: small frames, and a small field of the face's movement.

The page plays the frames, and magnifies the movement by warping each frame along the field (clip.js). A field is
embedded rather than pictures that are magnified in advance, because it takes 0.5 KB for each frame, where a second set
of pictures would take 3 KB for every magnification; and the same field draws the arrows and holds the head still.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from Utils.faces.landmarks import predict_landmarks
from Utils.faces.motion import detail_at, equalised, face_points, flow_at, head_design, head_motion
from Utils.faces.rectangles import CROP_SIZE

BEFORE, AFTER = 5, 5  # frames that are shown before the onset and after the offset
MAX_FRAMES = 36  # of a clip: from a longer stretch, every second frame is taken, or every third, ...
NODES = 16  # of the field in a row and in a column; they are in the middle of blocks of 8x8 pixels
WIDTH = 5.0  # pixels, standard deviation of the Gaussian with which the field follows the points around a node
PRIOR = 0.3  # what "does not move" counts in a node; a point with detail counts 1 at its place
SMOOTH_S = 0.02  # seconds, standard deviation of the Gaussian that takes noise out of the field over time
FEWEST_POINTS = 54  # on the face; with fewer, the landmarks were wrong, and the whole crop is used
LEVELS = 127  # of a field's values: they are whole numbers from -LEVELS to LEVELS

MAX_SHEET = 84_000  # bytes of the JPEG that has all frames of a clip side by side: 112 KB in base64
QUALITIES = (88, 80, 72, 64, 56, 48, 40, 30, 20, 10)  # of JPEG: the first that fits
COLUMNS = 6  # frames in a row of the sheet


class ClipFrames(NamedTuple):
    """Which frames of a video an interval's clip has.

    Attributes
    ----------
    numbers : tuple of int
        In order. The onset, the apex and the offset are among them, if they are in the video.
    onset : int
        Number of the frame that the movement is measured from: the onset, or the first frame if it is not there.
    """

    numbers: tuple[int, ...]
    onset: int


def frames_of_clip(onset: int, apex: float | None, offset: int, first: int, last: int) -> ClipFrames | None:
    """The frames of an interval's clip. None if the interval is outside the frames `first` to `last` that exist."""
    start, end = max(first, onset - BEFORE), min(last, offset + AFTER)
    if start > end or offset < first or onset > last:
        return None
    reference = min(max(onset, start), end)
    named = {reference, min(offset, end)}
    if apex is not None and math.isfinite(apex) and start <= round(apex) <= end:
        named.add(round(apex))
    step = math.ceil((end - start + 1) / (MAX_FRAMES - len(named)))
    return ClipFrames(tuple(sorted({*range(start, end + 1, step), *named})), reference)


def clip_data(frames: ClipFrames, crops: Sequence[np.ndarray], fps: float) -> dict:
    """A clip as the page takes it.

    Parameters
    ----------
    frames : ClipFrames
    crops : sequence of ndarray, (128, 128, 3), uint8
        BGR; one for each of `frames.numbers`, all cut with the same rectangle.
    fps : float
        Frames per second of the video.

    Returns
    -------
    dict
        "frames": numbers of the frames. "onset": position of the reference frame among them. "sheet": data URI of a
        JPEG that has the frames in rows of "columns". "nodes" and "scale" (pixels): the field of the face's movement
        since the onset is `scale` times "field", int8 in base64, (frames, nodes, nodes, 2), without the head's
        motion. "head": the head's motion since the onset, six numbers for each frame (`motion.head_motion`).

    Raises
    ------
    ValueError
        The number, a shape or a type of the crops is another one.
    """
    shape = (CROP_SIZE, CROP_SIZE, 3)
    if len(crops) != len(frames.numbers) or any(crop.shape != shape or crop.dtype != np.uint8 for crop in crops):
        raise ValueError(f"{len(frames.numbers)} crops of shape {shape} and uint8 are needed, one for each frame")
    gray = [cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY) for crop in crops]
    reference = frames.numbers.index(frames.onset)
    heads, field = movement(gray, reference)
    field = smoothed(field, np.array(frames.numbers) / fps)
    field -= field[reference]
    scale = float(np.abs(field).max()) / LEVELS or 1.0
    return {
        "frames": list(frames.numbers),
        "onset": reference,
        "columns": COLUMNS,
        "sheet": _sheet(crops),
        "nodes": NODES,
        "scale": scale,
        "field": base64.b64encode(np.rint(field / scale).astype(np.int8).tobytes()).decode("ascii"),
        "head": [[round(float(value), 3) for value in head.ravel()] for head in heads],
    }


def movement(gray: Sequence[np.ndarray], reference: int) -> tuple[np.ndarray, np.ndarray]:
    """How the face has moved since the frame at position `reference`. `gray` are crops, (128, 128) uint8.

    Returns
    -------
    heads : ndarray, (n, 3, 2), float32
        The head's motion: see `motion.head_motion`.
    field : ndarray, (n, NODES, NODES, 2), float32
        What remains, in pixels to the right and down, at the nodes (row, column). 0 away from the face. It is smooth,
        so the peak of a small movement is flattened: a corner of the mouth that moves with its surroundings of 12
        pixels (standard deviation) comes out at about two thirds of its movement.
    """
    first = gray[reference]
    points = face_points(predict_landmarks(first).astype(np.float32), FEWEST_POINTS)
    quality, design, sharp = detail_at(first, points), head_design(points), equalised(first)
    nodes = (np.arange(NODES) + 0.5) * CROP_SIZE / NODES - 0.5
    apart = np.exp(-0.5 * ((points[:, None] - nodes[None, :, None]) / WIDTH) ** 2)  # (m, NODES, 2): columns, rows
    near = np.einsum("mr,mc->rcm", apart[..., 1], apart[..., 0])
    heads, field = np.zeros((len(gray), 3, 2), np.float32), np.zeros((len(gray), NODES, NODES, 2), np.float32)
    for i, crop in enumerate(gray):
        if i == reference:
            continue
        flow, usable, _, _ = flow_at(sharp, equalised(crop), points)
        heads[i] = head_motion(design[usable], flow[usable], quality[usable])
        weights = near * (usable * quality)
        field[i] = (weights @ (flow - design @ heads[i])) / (weights.sum(-1) + PRIOR)[..., None]
    return heads, field


def smoothed(field: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """The mean of a field (n, ...) over the frames around each, at `seconds` (n,), with Gaussian weights."""
    weights = np.exp(-0.5 * ((seconds[:, None] - seconds[None]) / SMOOTH_S) ** 2)
    weights /= weights.sum(1, keepdims=True)
    return np.einsum("ij,j...->i...", weights, field).astype(np.float32)


def _sheet(crops: Sequence[np.ndarray]) -> str:
    """All crops in one JPEG, at the best quality that fits into `MAX_SHEET`."""
    rows = math.ceil(len(crops) / COLUMNS)
    sheet = np.zeros((rows * CROP_SIZE, COLUMNS * CROP_SIZE, 3), np.uint8)
    for i, crop in enumerate(crops):
        top, left = (CROP_SIZE * place for place in divmod(i, COLUMNS))
        sheet[top : top + CROP_SIZE, left : left + CROP_SIZE] = crop
    for quality in QUALITIES:
        settings = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
        written, data = cv2.imencode(".jpg", sheet, settings)
        if not written:
            raise ValueError(f"a picture of shape {sheet.shape} cannot be written as JPEG")
        if len(data) <= MAX_SHEET:
            break
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")
