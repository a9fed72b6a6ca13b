"""SOFTNet's features: crops 128x128 -> 42x42x3 (docs/softnet.md, sections 2 and 4).

They differ from MEAN's in the landmarks, which are those of a face that is detected in the crop; in the motion of the
nose, which is taken away as motion of the head; in the eyes, which are masked; in the derivatives of the strain; and in
the normalisation, which comes last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from feature_extraction import N_CHANNELS, face_regions, normalise, stacked_regions, through_polar
from Utils.faces.landmarks import detect_faces, predict_landmarks
from Utils.faces.rectangles import CROP_SIZE

# dlib's numbers of the landmarks around each eye, in the order of its polygon
LEFT_EYE, RIGHT_EYE = range(36, 42), range(42, 48)
# How far each corner of a polygon is moved outwards from its landmark, (x, y) in pixels
EYE_MARGIN = 15
OUTWARDS = np.array([(-1, 0), (0, -1), (0, -1), (1, 0), (0, 1), (0, 1)]) * EYE_MARGIN
NOSE, NOSE_REACH = 28, 5  # the landmark on the nose; pixels of its patch on each side


@dataclass(frozen=True)
class Places:
    """Where the parts of a face are in the crops of a video.

    Attributes
    ----------
    regions : tuple of slice
        Rows and columns of brows and eyes, then of the mouth: from `feature_extraction.face_regions`.
    eyes : tuple of ndarray, each (6, 2), int32
        The polygon of each eye: x and y in pixels.
    nose : tuple of slice
        Rows and columns of the patch on the nose.
    """

    regions: tuple[slice, slice, slice, slice]
    eyes: tuple[np.ndarray, np.ndarray]
    nose: tuple[slice, slice]


def landmarks_of(crops: Iterable[np.ndarray]) -> tuple[np.ndarray, int | None]:
    """The landmarks of the first crop in which a face is detected, and its number.

    Parameters
    ----------
    crops : iterable of ndarray, (128, 128), uint8
        At least one. They are read until one shows a face. If several faces are found, the detector's first one counts.

    Returns
    -------
    landmarks : ndarray, (68, 2), int64
        x and y in pixels. If no crop shows a face, they are those of the first crop, and the whole crop is taken as the
        face's rectangle, as in MEAN. (The authors' code stops there.)
    number : int or None
        None if no crop shows a face.
    """
    first = None
    for number, crop in enumerate(crops):
        first = crop if first is None else first
        if faces := detect_faces(crop):
            return predict_landmarks(crop, faces[0]), number
    return predict_landmarks(first), None


def places_of(landmarks: np.ndarray) -> Places:
    """The parts of a face with these landmarks, (68, 2) int. All are clipped to the crop."""
    eyes = tuple(
        np.clip(landmarks[list(eye)] + OUTWARDS, 0, CROP_SIZE).astype(np.int32) for eye in (LEFT_EYE, RIGHT_EYE)
    )
    x, y = np.clip(landmarks[NOSE], 0, CROP_SIZE - 1)
    nose = tuple(slice(max(0, int(at) - NOSE_REACH), int(at) + NOSE_REACH + 1) for at in (y, x))
    return Places(face_regions(landmarks), eyes, nose)


def feature_image(first: np.ndarray, second: np.ndarray, places: Places, flow: Callable) -> np.ndarray:
    """The feature of two crops, as the network takes it.

    Parameters
    ----------
    first, second : ndarray, (128, 128), uint8
    places : Places
    flow : callable
        From `feature_extraction.flow_function`.

    Returns
    -------
    ndarray, (42, 42, 3), float64, in [0, 1]
        Channels u, v, eps. Each is scaled by its own minimum and maximum.
    """
    raw = raw_feature(flow(first, second), places)
    return np.dstack([normalise(raw[..., channel]) for channel in range(N_CHANNELS)])


def raw_feature(flow: np.ndarray, places: Places) -> np.ndarray:
    """A feature before it is normalised.

    Parameters
    ----------
    flow : ndarray, (128, 128, 2), float32
        u and v in pixels.
    places : Places

    Returns
    -------
    ndarray, (42, 42, 3), float64
        |u| and |v| without the motion of the nose, in pixels, and the strain minus that of the nose, which can be
        negative. The eyes are 0. Brows and eyes are above, the mouth is below.
    """
    u, v = through_polar(flow)
    image = np.dstack([u, v, forward_strain(u, v)]).astype(np.float64)
    image -= image[places.nose].mean(axis=(0, 1))
    np.abs(image[..., :2], out=image[..., :2])
    image = np.ascontiguousarray(image)
    for eye in places.eyes:  # one by one: where polygons of one call overlap, nothing is filled
        cv2.fillPoly(image, [eye], (0, 0, 0))
    return stacked_regions(image, places.regions)


def forward_strain(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Magnitude of the strain tensor, `sqrt(u_x^2 + v_y^2 + (u_y + v_x)^2 / 2)`, from forward differences.

    Parameters
    ----------
    u, v : ndarray, (height, width), float32

    Returns
    -------
    ndarray, (height, width), float32, >= 0
        The last column repeats the one before it, then the last row repeats the one before it.
    """
    u_x, u_y = u[:-1, :-1] - u[:-1, 1:], u[:-1, :-1] - u[1:, :-1]
    v_x, v_y = v[:-1, :-1] - v[:-1, 1:], v[:-1, :-1] - v[1:, :-1]
    return np.pad(np.sqrt(u_x**2 + v_y**2 + (u_y + v_x) ** 2 / 2), ((0, 1), (0, 1)), mode="edge")
