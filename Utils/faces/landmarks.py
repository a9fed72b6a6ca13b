"""dlib's face detector and 68-point landmark predictor."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path

import dlib
import numpy as np

from Utils.errors import InputError
from Utils.settings import PROJECT

MODEL_NAME = "shape_predictor_68_face_landmarks.dat"


def landmark_model() -> Path:
    """The predictor's file: `Utils/` where a user has put it, else the package `face_recognition_models`.

    The package is located, not imported (its import needs setuptools). Raises InputError if neither has the file.
    """
    own = PROJECT / "Utils" / MODEL_NAME
    if own.is_file():
        return own
    package = importlib.util.find_spec("face_recognition_models")
    for folder in (package.submodule_search_locations or []) if package else []:
        path = Path(folder) / "models" / MODEL_NAME
        if path.is_file():
            return path
    raise InputError(
        f"{own}: landmark model not found; pip install -r requirements.txt brings it, or put the file there"
    )


@lru_cache(maxsize=1)
def _detector():
    return dlib.get_frontal_face_detector()


@lru_cache(maxsize=1)
def _predictor(path: Path):
    try:
        return dlib.shape_predictor(str(path))
    except RuntimeError as error:
        raise InputError(f"{path}: is not a landmark model of dlib ({error})") from None


def detect_faces(image: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Frontal faces (HOG detector, image upsampled once; paper section 3.1).

    Parameters
    ----------
    image : ndarray, (height, width, 3) or (height, width), uint8

    Returns
    -------
    list of (left, top, right, bottom)
        In pixels; they may reach beyond the image.
    """
    return [(r.left(), r.top(), r.right(), r.bottom()) for r in _detector()(image, 1)]


def predict_landmarks(crop: np.ndarray) -> np.ndarray:
    """The 68 landmarks of a gray crop, taken with the whole crop as the face's rectangle.

    Parameters
    ----------
    crop : ndarray, (128, 128), uint8

    Returns
    -------
    ndarray, (68, 2), int64
        x and y in pixels; they may lie outside the crop.
    """
    height, width = crop.shape
    shape = _predictor(landmark_model())(crop, dlib.rectangle(0, 0, width, height))
    if shape.num_parts != 68:
        raise InputError(f"{landmark_model()}: is a model of {shape.num_parts} landmarks, one of 68 is needed")
    return np.array([(p.x, p.y) for p in shape.parts()], dtype=np.int64)
