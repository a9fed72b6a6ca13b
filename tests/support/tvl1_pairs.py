"""Pairs of images with the flows that OpenCV 4.10 has for them, and whether the installed OpenCV has the same."""

from __future__ import annotations

import hashlib
import json
import platform

import cv2
import numpy as np

from tests.support.paths import RECORDED

SIDE = 128


def recorded_pairs() -> list[tuple[np.ndarray, np.ndarray]]:
    """The ten pairs of images: columns of the sheet, first image above second."""
    sheet = cv2.imread(str(RECORDED / "tvl1_pairs.png"), cv2.IMREAD_UNCHANGED)
    columns = np.hsplit(sheet, sheet.shape[1] // SIDE)
    return [tuple(np.ascontiguousarray(image) for image in np.vsplit(column, 2)) for column in columns]


def recorded_checksums() -> list[str]:
    return json.loads((RECORDED / "tvl1.json").read_text())["sha256"]


def checksum(flow: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(flow, "<f4").tobytes()).hexdigest()


def why_not_opencv() -> str | None:
    """Why the flow of the installed OpenCV differs from the recorded one. None if it is the same."""
    version = tuple(int(part) for part in cv2.__version__.split(".")[:3])
    if not (4, 5, 1) <= version < (4, 12):
        return f"OpenCV {cv2.__version__} computes another TV-L1 than 4.5.1-4.11"
    if not hasattr(cv2, "optflow"):
        return "this OpenCV has no contrib modules"
    if platform.machine().lower() not in ("x86_64", "amd64") or not cv2.checkHardwareSupport(11):
        return "OpenCV's flow is other without AVX2"
    if not cv2.ipp.useIPP():
        return "OpenCV's flow is other without IPP"
    return None
