"""dlib's face detector and 68-point landmark predictor."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path

import dlib
import numpy as np

from Utils.errors import InputError
from Utils.faces.rectangles import Rectangle
from Utils.settings import PROJECT

MODEL_NAME = "shape_predictor_68_face_landmarks.dat"
N_LANDMARKS = 68
UPSAMPLED = 1  # times that the detector doubles the image's size first (docs/method.md, section 1)


def landmark_model() -> Path:
    """The predictor's file: in `Utils/` if the user has put it there, else in the package `face_recognition_models`.

    The package is only located. It is not imported, because importing it needs setuptools. Raises InputError if the
    file is in neither place.
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
        f"{own}: landmark model not found; install it with pip install -r requirements.txt, or put the file there"
    )


@lru_cache(maxsize=1)
def _detector():
    return dlib.get_frontal_face_detector()


@lru_cache(maxsize=1)
def _predictor(path: Path):
    try:
        return dlib.shape_predictor(str(path))
    except RuntimeError as error:
        raise InputError(f"{path}: is not a landmark model of dlib ({error}); replace the file") from None


def detect_faces(image: np.ndarray) -> list[Rectangle]:
    """Find frontal faces (HOG detector, image upsampled once; paper section 3.1).

    Parameters
    ----------
    image : ndarray, (height, width, 3) or (height, width), uint8

    Returns
    -------
    list of (left, top, right, bottom)
        Pixels, int. A rectangle may reach beyond the image. Empty if there is no face.
    """
    image = np.ascontiguousarray(image)  # dlib misses faces, at random, if rows have gaps between them
    return [(r.left(), r.top(), r.right(), r.bottom()) for r in _detector()(image, UPSAMPLED)]


def predict_landmarks(crop: np.ndarray, face: Rectangle | None = None) -> np.ndarray:
    """The 68 landmarks of a gray crop.

    Parameters
    ----------
    crop : ndarray, (128, 128), uint8
    face : (left, top, right, bottom), optional
        The face's rectangle. By default it is the whole crop (docs/method.md, section 1).

    Returns
    -------
    ndarray, (68, 2), int64
        x and y in pixels. They may be outside the crop.

    Raises
    ------
    InputError
        There is no landmark model, or its file is not one, or it has another number of landmarks.
    """
    height, width = crop.shape
    shape = _predictor(landmark_model())(crop, dlib.rectangle(*(face or (0, 0, width, height))))
    if shape.num_parts != N_LANDMARKS:
        raise InputError(
            f"{landmark_model()}: is a model of {shape.num_parts} landmarks, one of {N_LANDMARKS} is needed; "
            "replace the file"
        )
    return np.array([(p.x, p.y) for p in shape.parts()], dtype=np.int64)
