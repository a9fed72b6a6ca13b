"""How far each part of a face has moved, in pixels: curves over a whole video that keep the size of the movement.

The networks see only movement that is normalised to [0, 1]. Here, each frame is compared with the first one of a short
window, so that a still face gives nothing and a large movement is large. The motion of the head is taken out: an affine
map of the whole face, and what a usual head moves besides when it turns. What remains is averaged over small regions at
brows, lids, cheeks, nose, mouth and chin. At the end of a window its curve is continued by the next window's, which
begins with the frame that ended the last one.

The flow at the points of a grid and the head's motion are those of Utils/faces/motion.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from Utils.faces.depth import turning_design
from Utils.faces.landmarks import predict_landmarks
from Utils.faces.motion import (
    BORDER,
    detail_at,
    equalised,
    face_points,
    flow_at,
    head_design,
    head_motion,
)
from Utils.faces.rectangles import CROP_SIZE

WINDOW_S = 0.7  # seconds after which a new reference frame is taken
SAMPLED_FPS = 28  # faster videos are measured at every n-th frame, so that at least this many a second remain
FAR = 6.0  # pixels; a head that has moved further from its place in the reference frame gets a new reference
LOST_ERROR = 60.0  # gray levels: the error that a point counts with that is not found again
LEAST_DETAIL = 0.05  # share of a region that must have detail: with less, the region's movement is taken as smaller

# Regions: name -> (landmarks whose mean is the middle, shift of the middle in eye distances to the right and down)
REGIONS: dict[str, tuple[tuple[int, ...], tuple[float, float]]] = {
    "brow outer left": ((18,), (0.0, -0.02)),
    "brow inner left": ((21,), (0.0, -0.02)),
    "brow inner right": ((22,), (0.0, -0.02)),
    "brow outer right": ((25,), (0.0, -0.02)),
    "forehead": ((21, 22), (0.0, -0.28)),
    "upper lid left": ((37, 38), (0.0, -0.04)),
    "upper lid right": ((43, 44), (0.0, -0.04)),
    "lower lid left": ((40, 41), (0.0, 0.10)),
    "lower lid right": ((46, 47), (0.0, 0.10)),
    "cheek left": ((41, 48), (-0.10, 0.0)),
    "cheek right": ((46, 54), (0.10, 0.0)),
    "nose left": ((31,), (-0.06, -0.06)),
    "nose right": ((35,), (0.06, -0.06)),
    "mouth corner left": ((48,), (0.0, 0.0)),
    "mouth corner right": ((54,), (0.0, 0.0)),
    "upper lip": ((51,), (0.0, 0.0)),
    "lower lip": ((57,), (0.0, 0.0)),
    "chin": ((8,), (0.0, -0.16)),
}
REGION_WIDTH = 0.13  # standard deviation of a region's Gaussian weights, in eye distances
GROUPS: dict[str, tuple[str, ...]] = {
    "brows": ("brow outer left", "brow inner left", "brow inner right", "brow outer right", "forehead"),
    "lids": ("upper lid left", "upper lid right", "lower lid left", "lower lid right"),
    "cheeks": ("cheek left", "cheek right", "nose left", "nose right"),
    "mouth": ("mouth corner left", "mouth corner right", "upper lip", "lower lip"),
    "chin": ("chin",),
}
N_REGIONS = len(REGIONS)
GROUP_INDICES = {group: [list(REGIONS).index(name) for name in names] for group, names in GROUPS.items()}

# Columns of the curves
MOVED = slice(0, 2 * N_REGIONS)  # x and y of each region, pixels, the head's motion taken out
HEAD = slice(MOVED.stop, MOVED.stop + 4)  # head: x, y; shear or rotation, and scale, as pixels at half the crop's width
MISFIT = slice(HEAD.stop, HEAD.stop + len(GROUPS))  # what the flow does not explain, gray levels, for each group
EYES = slice(MISFIT.stop, MISFIT.stop + 2)  # contrast of the left and the right eye: small when it is closed
CONTINUED = np.r_[MOVED, HEAD, EYES]  # what goes on from window to window; the others are measured anew
LIGHT = EYES.stop  # mean gray level of the face
N_COLUMNS = LIGHT + 1

EYE_LANDMARKS = (slice(36, 42), slice(42, 48))


@dataclass(frozen=True)
class Reference:
    """The frame that others are compared with, and what was found in it.

    Attributes
    ----------
    crop : ndarray, (128, 128), uint8
        With equalised contrast.
    points : ndarray, (m, 2), float32
        Where the flow is measured, pixels.
    quality : ndarray, (m,), float32
        How much each point counts, 0 (flat) to 1 (detailed).
    weights : ndarray, (regions, m), float32
        Of the points in each region; the quality is not in them.
    eyes : list of ndarray, (p, 2), float32
        Places in the left and the right eye whose gray levels are read.
    design : ndarray, (m, 3 or 4), float32
        What the head's motion is multiplied with at each point.
    """

    crop: np.ndarray
    points: np.ndarray
    quality: np.ndarray
    weights: np.ndarray
    eyes: list[np.ndarray]
    design: np.ndarray


def sampling_step(fps: float) -> int:
    """Every how many frames a video is measured."""
    return max(1, math.floor(fps / SAMPLED_FPS))


def make_reference(crop: np.ndarray, turns: bool = True) -> Reference:
    """Find landmarks, points and regions in a crop, (128, 128) uint8. Without `turns` the head's motion is affine."""
    landmarks = predict_landmarks(crop).astype(np.float32)
    eyes = [landmarks[eye] for eye in EYE_LANDMARKS]
    eye_distance = max(8.0, float(np.linalg.norm(eyes[1].mean(0) - eyes[0].mean(0))))
    points = face_points(landmarks, fewest=3 * N_REGIONS)
    middles = np.array(
        [landmarks[list(marks)].mean(0) + np.multiply(shift, eye_distance) for marks, shift in REGIONS.values()]
    )
    squared = ((points[None] - middles[:, None]) ** 2).sum(-1)
    weights = np.exp(-0.5 * squared / (REGION_WIDTH * eye_distance) ** 2).astype(np.float32)
    quality = detail_at(crop, points)
    design = turning_design(points, landmarks, quality) if turns else head_design(points)
    return Reference(equalised(crop), points, quality, weights, [_eye_places(eye) for eye in eyes], design)


def _eye_places(eye: np.ndarray) -> np.ndarray:
    """A grid of places in an eye, (p, 2) float32."""
    low, high = eye.min(0), eye.max(0)
    across = np.linspace(low[0], high[0], 9)
    down = np.linspace(low[1] - 1, high[1] + 1, 7)
    return np.stack(np.meshgrid(across, down), -1).reshape(-1, 2).astype(np.float32)


def measure(reference: Reference, crop: np.ndarray) -> np.ndarray:
    """One sample of the curves, (N_COLUMNS,) float32: how `crop`, (128, 128) uint8, differs from the reference."""
    sample = np.zeros(N_COLUMNS, np.float32)
    flow, usable, found, error = flow_at(reference.crop, equalised(crop), reference.points)
    head = head_motion(reference.design[usable], flow[usable], reference.quality[usable])
    rest = flow - reference.design @ head
    weights = reference.weights * (usable * reference.quality)
    total = np.maximum(weights.sum(1), LEAST_DETAIL * reference.weights.sum(1)) + 1e-6
    sample[MOVED] = ((weights @ rest) / total[:, None]).ravel()
    sample[HEAD] = (*head[0], (head[1, 1] - head[2, 0]) / 2, (head[1, 0] + head[2, 1]) / 2)
    error = np.where(found, np.clip(np.nan_to_num(error), 0, 255), LOST_ERROR)
    misfit = (reference.weights @ error) / (reference.weights.sum(1) + 1e-6)
    sample[MISFIT] = [misfit[indices].mean() for indices in GROUP_INDICES.values()]
    sample[EYES] = eye_contrasts(crop, reference, head[:3])
    sample[LIGHT] = crop[BORDER:-BORDER, BORDER:-BORDER].mean()
    return sample


def eye_contrasts(crop: np.ndarray, reference: Reference, head: np.ndarray | None = None) -> list[float]:
    """How much darker each eye's dark part is than its middle tone, gray levels: little when the lid covers the iris.

    `head` (3, 2) is the head's affine motion since the reference; None: it has not moved.
    """
    contrasts = []
    for places in reference.eyes:
        at = places
        if head is not None:
            at = places + head[0] + (places - CROP_SIZE / 2) / (CROP_SIZE / 2) @ head[1:]
        values = cv2.remap(crop, at[:, 0].astype(np.float32), at[:, 1].astype(np.float32), cv2.INTER_LINEAR)[:, 0]
        low, middle = np.percentile(values, [10, 60])
        contrasts.append(float(middle - low))
    return contrasts


class CurveMeter:
    """Measures one face while its crops go by. Curves of parts that are not measured are NaN.

    Parameters
    ----------
    n_frames : int
    fps : float
        Frames per second.
    turns : bool
        Whether what a usual head moves when it turns is taken out too.
    """

    def __init__(self, n_frames: int, fps: float, turns: bool = True) -> None:
        self.turns = turns
        self.step = sampling_step(fps)
        self.curves = np.full((math.ceil(n_frames / self.step), N_COLUMNS), np.nan, np.float32)
        self._window = max(2, round(WINDOW_S * fps / self.step))
        self._reference: Reference | None = None
        self._since = 0
        self._start = np.zeros(N_COLUMNS, np.float32)  # what is added to the samples of this window

    def wants(self, frame: int) -> bool:
        """Whether this frame is measured."""
        return frame % self.step == 0

    def end(self) -> None:
        """The face is gone, or a new scene begins: the next sample begins a new curve."""
        self._reference = None

    def add(self, frame: int, crop: np.ndarray, of_before: np.ndarray | None = None) -> None:
        """Measure a frame.

        Parameters
        ----------
        frame : int
            One that `wants` asks for; frames come in order.
        crop : ndarray, (128, 128), uint8
            The face, cut with the rectangle that holds from now on.
        of_before : ndarray, (128, 128), uint8, optional
            The same face, cut with the rectangle of the latest sample, if that is another one.
        """
        if self._reference is None:
            self._begin(crop)
            self._start[:] = 0
        sample = measure(self._reference, crop if of_before is None else of_before)
        sample[CONTINUED] += self._start[CONTINUED]
        self.curves[frame // self.step] = sample
        self._since += 1
        travelled = float(np.hypot(*(sample[HEAD][:2] - self._start[HEAD][:2])))
        if of_before is not None or self._since >= self._window or travelled > FAR:
            self._begin(crop)
            self._start = sample.copy()
            self._start[EYES] -= eye_contrasts(crop, self._reference)

    def _begin(self, crop: np.ndarray) -> None:
        self._reference = make_reference(crop, self.turns)
        self._since = 0
