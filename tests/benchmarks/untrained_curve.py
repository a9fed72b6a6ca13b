"""Spots micro-expressions without any training: how far regions of the face have moved since a window's first frame.

The size of the movement is kept, in pixels of the 128-pixel crop, so that a still face gives nothing. The head's
movement is that of the nose, and is taken away. A movement counts if it rises above a bound and is back within half a
second. After Y. He et al. (Micro-Expression Grand Challenge 2021 and later). Its numbers are theirs for crops of 256
pixels, halved. Nothing here was chosen on any footage.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from Utils.faces.landmarks import predict_landmarks
from Utils.faces.rectangles import CROP_SIZE, cut_face
from Utils.own_video.face_tracks import track_faces
from Utils.own_video.video_files import open_video
from Utils.tvl1 import tvl1_flow

COLUMNS = ("onset", "apex", "offset", "score", "emotion")
WINDOW, STEP = 1.2, 0.5  # seconds: whatever takes half a second is inside a window as a whole
LONGEST = 0.5  # seconds of a micro-expression
LEAST_MOVED = 0.8  # pixels of the crop
BORDER = 0.2  # share of the height at which a movement begins and ends; a raised cosine is higher for 70 % of its time
SMOOTHING = 0.02  # sigma in seconds
HALF_SIDE = 6  # pixels from a landmark to the edge of its region
REGIONS = (17, 19, 21, 22, 24, 26, 48, 54, 51, 57, 8)  # landmarks: brows, corners of the mouth, lips, chin
NOSE = (28, 29, 30)


def regions_of(landmarks: np.ndarray, numbers: tuple[int, ...]) -> list[tuple[slice, slice]]:
    """Rows and columns of the square around each of these landmarks, at least one pixel inside the crop."""
    corners = np.clip(landmarks[list(numbers)], HALF_SIDE, CROP_SIZE - 1 - HALF_SIDE)
    return [(slice(y - HALF_SIDE, y + HALF_SIDE + 1), slice(x - HALF_SIDE, x + HALF_SIDE + 1)) for x, y in corners]


def moved_regions(flow: np.ndarray, regions: list, nose: list) -> np.ndarray:
    """How far each region has moved, the nose's movement taken away; pixels, (regions,)."""
    head = np.mean([flow[place].mean(axis=(0, 1)) for place in nose], axis=0)
    return np.array([np.hypot(*(flow[place].mean(axis=(0, 1)) - head)) for place in regions])


def bumps_in(curves: np.ndarray, fps: float) -> Iterator[tuple[int, int, int, float]]:
    """(onset, apex, offset, height) of the short movements of a window. `curves`: (frames, regions), pixels."""
    for curve in gaussian_filter1d(curves, SMOOTHING * fps, axis=0).T:
        for apex in find_peaks(curve, height=LEAST_MOVED)[0]:
            low = np.flatnonzero(curve <= BORDER * curve[apex])
            before, after = low[low < apex], low[low > apex]
            if len(before) and len(after):
                onset, offset = before[-1] + 1, after[0] - 1
                if (offset - onset + 1) / fps <= LONGEST:
                    yield int(onset), int(apex), int(offset), float(curve[apex])


def without_doubles(found: list[tuple[int, int, int, float]]) -> list[tuple[int, int, int, float]]:
    """The highest of all movements that share frames, in order of time."""
    kept: list[tuple[int, int, int, float]] = []
    for event in sorted(found, key=lambda e: (-e[3], e[0])):
        if all(event[2] < other[0] or event[0] > other[2] for other in kept):
            kept.append(event)
    return sorted(kept)


def untrained_curve(path: Path) -> pd.DataFrame:
    """The micro-expressions of a video's largest face. The columns are `COLUMNS`; emotions are not known."""
    source = open_video(path)
    tracking = track_faces((frame.image for frame in source), source.fps)
    segments = [segment for track in tracking.tracks for segment in track.segments]
    crops: dict[int, list[np.ndarray]] = {i: [] for i in range(len(segments))}
    for frame in source:
        for i, segment in enumerate(segments):
            if segment.first <= frame.index <= segment.last:
                crops[i].append(cv2.cvtColor(cut_face(frame.image, segment.rectangle), cv2.COLOR_BGR2GRAY))
    found = []
    length, step = round(WINDOW * source.fps), max(1, round(STEP * source.fps))
    for segment, images in zip(segments, crops.values(), strict=True):
        for start in range(0, max(1, len(images) - length + step), step):
            window = images[start : start + length]
            landmarks = predict_landmarks(window[0])
            regions, nose = regions_of(landmarks, REGIONS), regions_of(landmarks, NOSE)
            curves = np.array([moved_regions(tvl1_flow(window[0], image), regions, nose) for image in window])
            first = segment.first + start
            found += [(first + a, first + b, first + c, height) for a, b, c, height in bumps_in(curves, source.fps)]
    rows = [(*event, "") for event in without_doubles(found)]
    return pd.DataFrame(rows, columns=list(COLUMNS))
