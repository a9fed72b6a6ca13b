"""How far each part of a face has moved, in pixels: curves over a whole video that keep the size of the movement.

The networks see only movement that is normalised to [0, 1]. Here, each frame is compared with the first one of a short
window, so that a still face gives nothing and a large movement is large. The motion of the head, an affine map of the
whole face, is taken out; what remains is averaged over small regions at brows, lids, cheeks, nose, mouth and chin. At
the end of a window its curve is continued by the next window's, which begins with the frame that ended the last one.

The flow is that of Lucas and Kanade in pyramids (Bouguet, 2001; OpenCV) at the points of a grid. It is quicker than
TV-L1 and does not make small movements smaller, as TV-L1's smoothness term does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from Utils.faces.landmarks import predict_landmarks
from Utils.faces.rectangles import CROP_SIZE

WINDOW_S = 0.7  # seconds after which a new reference frame is taken
SAMPLED_FPS = 28  # faster videos are measured at every n-th frame, so that at least this many a second remain
FAR = 6.0  # pixels; a head that has moved further from its place in the reference frame gets a new reference
GRID = 7  # pixels between the points at which the flow is measured
BORDER = 6  # pixels at the edge of the crop without points: what leaves the crop there has no flow
LK_WINDOW, LK_LEVELS, LK_STEPS, LK_EPSILON = 15, 3, 10, 0.01
LARGEST = 15.0  # pixels: points that seem to have moved further are left out

FEWEST_POINTS = 12  # that must be found again for a fit of the head's motion
LOST_ERROR = 60.0  # gray levels: the error that a point counts with that is not found again

# Contrast is made equal everywhere first, so that light does not count as motion
BROAD = 8.0  # pixels, standard deviation of the Gaussian that gives the local mean and contrast
LEAST_CONTRAST = 5.0  # gray levels: flatter places are not amplified further
SPREAD = 42.0  # gray levels of one local standard deviation in the equalised crop

# Flat skin shows no movement, only noise: points count by the detail around them
FINE = 2.0  # pixels, standard deviation of the Gaussian that the detail is measured against
DETAIL = 4.0  # gray levels of detail at which a point counts by half: about twice the noise of a usual camera
LEAST_DETAIL = 0.05  # share of a region that must have detail: with less, the region's movement is taken as smaller

# Robust fit of the head's motion: Tukey's weights on the residuals, in pixels
ROUNDS, LEAST_SCALE, TUKEY = 3, 0.25, 4.685

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
JAW_AND_BROWS = slice(0, 27)
FOREHEAD_SHARE = 0.35  # of the distance from brows to chin: how far the face goes on above the brows


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
    """

    crop: np.ndarray
    points: np.ndarray
    quality: np.ndarray
    weights: np.ndarray
    eyes: list[np.ndarray]


def sampling_step(fps: float) -> int:
    """Every how many frames a video is measured."""
    return max(1, math.floor(fps / SAMPLED_FPS))


def equalised(crop: np.ndarray) -> np.ndarray:
    """A crop (128, 128) uint8 whose local mean and contrast are the same everywhere, uint8."""
    image = crop.astype(np.float32)
    detail = image - cv2.GaussianBlur(image, (0, 0), BROAD)
    contrast = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), BROAD))
    return np.clip(detail * (SPREAD / (contrast + LEAST_CONTRAST)) + 128, 0, 255).astype(np.uint8)


def make_reference(crop: np.ndarray) -> Reference:
    """Find landmarks, points and regions in a crop, (128, 128) uint8."""
    landmarks = predict_landmarks(crop).astype(np.float32)
    eyes = [landmarks[eye] for eye in EYE_LANDMARKS]
    eye_distance = max(8.0, float(np.linalg.norm(eyes[1].mean(0) - eyes[0].mean(0))))
    inside = _face_mask(landmarks)
    places = np.arange(BORDER, CROP_SIZE - BORDER, GRID)
    grid = np.stack(np.meshgrid(places, places), -1).reshape(-1, 2)
    points = grid[inside[grid[:, 1], grid[:, 0]] > 0].astype(np.float32)
    if len(points) < 3 * N_REGIONS:  # landmarks far outside the crop: take all of it
        points = grid.astype(np.float32)
    middles = np.array(
        [landmarks[list(marks)].mean(0) + np.multiply(shift, eye_distance) for marks, shift in REGIONS.values()]
    )
    squared = ((points[None] - middles[:, None]) ** 2).sum(-1)
    weights = np.exp(-0.5 * squared / (REGION_WIDTH * eye_distance) ** 2).astype(np.float32)
    return Reference(equalised(crop), points, _quality(crop, points), weights, [_eye_places(eye) for eye in eyes])


def _quality(crop: np.ndarray, points: np.ndarray) -> np.ndarray:
    """How much each point counts, (m,) float32: by the detail around it."""
    image = crop.astype(np.float32)
    detail = image - cv2.GaussianBlur(image, (0, 0), FINE)
    power = cv2.GaussianBlur(detail * detail, (0, 0), 1.5 * FINE)
    columns, rows = points.astype(int).T
    return power[rows, columns] / (power[rows, columns] + DETAIL**2)


def _face_mask(landmarks: np.ndarray) -> np.ndarray:
    """1 inside jaw, brows and the lower forehead, (128, 128) uint8."""
    outline = landmarks[JAW_AND_BROWS]
    height = outline[:, 1].max() - landmarks[17:27, 1].min()
    above = landmarks[17:27] - [0, FOREHEAD_SHARE * height]
    hull = cv2.convexHull(np.vstack([outline, above]).astype(np.int32))
    return cv2.fillConvexPoly(np.zeros((CROP_SIZE, CROP_SIZE), np.uint8), hull, 1)


def _eye_places(eye: np.ndarray) -> np.ndarray:
    """A grid of places in an eye, (p, 2) float32."""
    low, high = eye.min(0), eye.max(0)
    across = np.linspace(low[0], high[0], 9)
    down = np.linspace(low[1] - 1, high[1] + 1, 7)
    return np.stack(np.meshgrid(across, down), -1).reshape(-1, 2).astype(np.float32)


def measure(reference: Reference, crop: np.ndarray) -> np.ndarray:
    """One sample of the curves, (N_COLUMNS,) float32: how `crop`, (128, 128) uint8, differs from the reference."""
    sample = np.zeros(N_COLUMNS, np.float32)
    moved, found, error = cv2.calcOpticalFlowPyrLK(
        reference.crop,
        equalised(crop),
        reference.points,
        None,
        winSize=(LK_WINDOW, LK_WINDOW),
        maxLevel=LK_LEVELS,
        criteria=(cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, LK_STEPS, LK_EPSILON),
    )
    flow = moved - reference.points
    usable = (found[:, 0] == 1) & np.isfinite(flow).all(1) & (np.abs(flow).max(1) < LARGEST)
    usable &= ((moved >= BORDER) & (moved <= CROP_SIZE - 1 - BORDER)).all(1)
    flow = np.where(usable[:, None], flow, 0)
    if usable.sum() < FEWEST_POINTS:
        usable[:] = True  # nothing of the face is found again: no movement, and a large misfit
    centred = (reference.points - CROP_SIZE / 2) / (CROP_SIZE / 2)
    design = np.column_stack([np.ones(len(centred), np.float32), centred])
    head = _robust_fit(design[usable], flow[usable], reference.quality[usable])
    rest = flow - design @ head
    weights = reference.weights * (usable * reference.quality)
    total = np.maximum(weights.sum(1), LEAST_DETAIL * reference.weights.sum(1)) + 1e-6
    sample[MOVED] = ((weights @ rest) / total[:, None]).ravel()
    sample[HEAD] = (*head[0], (head[1, 1] - head[2, 0]) / 2, (head[1, 0] + head[2, 1]) / 2)
    error = np.where(found[:, 0] == 1, np.clip(np.nan_to_num(error[:, 0]), 0, 255), LOST_ERROR)
    misfit = (reference.weights @ error) / (reference.weights.sum(1) + 1e-6)
    sample[MISFIT] = [misfit[indices].mean() for indices in GROUP_INDICES.values()]
    sample[EYES] = eye_contrasts(crop, reference, head)
    sample[LIGHT] = crop[BORDER:-BORDER, BORDER:-BORDER].mean()
    return sample


def _robust_fit(design: np.ndarray, flow: np.ndarray, quality: np.ndarray) -> np.ndarray:
    """The affine motion (3, 2) that most points (m, 3) follow with their flow (m, 2). Tukey's weights, iterated.

    `quality` (m,) are weights of the points.
    """
    weights = quality + 1e-4
    ridge = 1e-3 * np.eye(3, dtype=np.float32)
    for _ in range(ROUNDS):
        weighted = design * weights[:, None]
        fit = np.linalg.solve(weighted.T @ design + ridge, weighted.T @ flow)
        distance = np.hypot(*(flow - design @ fit).T)
        scale = max(LEAST_SCALE, 1.4826 * float(np.median(distance)))
        tukey = np.clip(1 - (distance / (TUKEY * scale)) ** 2, 0, None) ** 2
        weights = (tukey * quality).astype(np.float32) + 1e-4
    return fit


def eye_contrasts(crop: np.ndarray, reference: Reference, head: np.ndarray | None = None) -> list[float]:
    """How much darker each eye's dark part is than its middle tone, gray levels: little when the lid covers the iris.

    `head` (3, 2) is the head's motion since the reference; None: it has not moved.
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
    """

    def __init__(self, n_frames: int, fps: float) -> None:
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
        self._reference = make_reference(crop)
        self._since = 0
