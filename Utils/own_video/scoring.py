"""Scores the user's own videos: faces are followed, pairs of frames scored, expressions spotted and recognised.

The steps are the same as for datasets: flow, features, networks, smoothing, threshold, majority vote. They are applied
to each face, in each part of the video in which it is present. k and k' have the durations that they have in the
training videos, at the frame rate of this video.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
from scipy.signal import find_peaks

from feature_extraction import flow_function
from training_utils import MEAN_SPOTTING, TIME_DIGITS, spotted_intervals, threshold
from Utils.faces.rectangles import Rectangle, cut_face
from Utils.own_video.displacement import CurveMeter
from Utils.own_video.face_tracks import Track, Tracking, runs_of, track_faces
from Utils.own_video.paper_rule import Spotting
from Utils.own_video.video_files import Frame
from Utils.own_video.weights import OwnWeights, ensemble_of
from Utils.work.progress import progress

BATCH = 256  # features that are predicted at once
WAITING = 8  # pairs of frames that may wait for each thread: it always has work, and little memory is needed
SCORE_DIGITS = 6  # decimal places of scores and confidences in tables
NO_SEGMENT = -1  # stands for the index of a segment where a track has none
EXPRESSION_COLUMNS = (
    "video", "face", "onset", "apex", "offset", "onset_s", "apex_s", "offset_s", "score", "emotion", "confidence",
    "source_frame",
)  # fmt: skip


@dataclass(frozen=True)
class FaceScores:
    """The scores of one face. Entry i is that of the frames (i, i + k); it is NaN where the face is not scored.

    Attributes
    ----------
    track : Track
    raw, smoothed : ndarray, (n_frames,), float64
    probabilities : ndarray, (n_frames, C), float32
        In [0, 1]. Also NaN if no network recognises.
    stretches : list of (int, int)
        First and last feature (inclusive) of each part that is scored.
    threshold : float or None
        The score that a peak must reach by the paper's rule. None for the second look.
    curves : ndarray, (n_samples, columns), float32, or None
        How far each part of the face has moved, from `CurveMeter`. NaN where the face is not there. None for the
        paper's rule.
    step : int
        Frames from one sample of the curves to the next.
    """

    track: Track
    raw: np.ndarray
    smoothed: np.ndarray
    probabilities: np.ndarray
    stretches: list[tuple[int, int]]
    threshold: float | None
    curves: np.ndarray | None = None
    step: int = 1


def gray_crop(image: np.ndarray, rectangle: Rectangle) -> np.ndarray:
    """The face as a gray crop, (128, 128) uint8. `image` is (height, width, 3) uint8 BGR.

    It is cut out, written as JPEG in memory, and read as gray, because this is how the crops of datasets are made
    (docs/method.md, section 1, step 1).
    """
    _, data = cv2.imencode(".jpg", cut_face(image, rectangle))
    return cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)


def score_video(
    source, weights: OwnWeights, spotting: Spotting | None, which: str, flow: str, threads: int, label: str
):
    """Read a video twice: first to follow the faces, then to score the pairs of frames.

    Parameters
    ----------
    source : FrameSource
        From `Utils.own_video.video_files.open_video`.
    weights : OwnWeights
    spotting : Spotting or None
        The paper's rule. None: the faces' movement is measured instead, for the second look.
    which : {"largest", "all"}
        The faces that are followed.
    flow : {"kernel", "opencv"}
    threads : int
        Number of threads that compute the flow.
    label : str
        "" if no progress bars are wanted, else any text.

    Returns
    -------
    tracking : Tracking
    faces : list of FaceScores
        The faces with at least one scored part.

    Raises
    ------
    InputError
        The video or the weights cannot be read.
    """
    k, k_prime = weights.frames_at(source.fps)
    shown = bool(label)
    frames = progress(source, total=source.n_estimated, title="faces", unit="frame", shown=shown)
    tracking = track_faces((frame.image for frame in frames), source.fps, which)
    ensemble = ensemble_of(weights)
    shape = (len(tracking.tracks), tracking.n_frames)
    raw = np.full(shape, np.nan)
    probabilities = np.full((*shape, len(weights.classes)), np.nan, np.float32)
    meters = [None if spotting else CurveMeter(tracking.n_frames, source.fps) for _ in tracking.tracks]
    frames = progress(source, total=tracking.n_frames, title="scores", unit="frame", shown=shown)
    seen = _faces(frames, tracking)
    if not spotting:
        seen = _measured(seen, tracking, meters)
    method = weights.steps
    pairs = _pairs(seen, tracking, k, weights.least_features(source.fps), method.video.places)
    for places, features in _batches(_features(pairs, method.video.image, flow_function(flow), threads)):
        rows, columns = np.array(places).T
        raw[rows, columns], probabilities[rows, columns] = ensemble.predict(features)
    faces = [
        face_scores(track, raw[i], probabilities[i], k_prime, spotting, *_curves_of(meters[i]), method.spotting.smooth)
        for i, track in enumerate(tracking.tracks)
        if np.isfinite(raw[i]).any()
    ]
    return tracking, faces


def scored_stretches(track: Track, k: int, minimum: int) -> list[tuple[int, int]]:
    """First and last feature (inclusive) of the parts of a track with at least `minimum` features.

    Shorter parts are too short for smoothing.
    """
    return [(first, last - k) for first, last in track.stretches() if last - k - first + 1 >= minimum]


FrameFaces = tuple[Frame, list[np.ndarray | None]]  # a frame, and the crop of each track; None where it is not there


def _segment_numbers(track: Track, n_frames: int) -> np.ndarray:
    """For each frame the index into the track's segments, `NO_SEGMENT` where there is none, (n_frames,) int."""
    numbers = np.full(n_frames, NO_SEGMENT)
    for i, segment in enumerate(track.segments):
        numbers[segment.first : segment.last + 1] = i
    return numbers


def _faces(frames: Iterable[Frame], tracking: Tracking) -> Iterator[FrameFaces]:
    """The crops of all faces in each frame. Both passes over a video use the same frames."""
    segments = [_segment_numbers(track, tracking.n_frames) for track in tracking.tracks]
    for j, frame in enumerate(frames):
        if j >= tracking.n_frames:
            break
        yield (
            frame,
            [
                None if of[j] == NO_SEGMENT else gray_crop(frame.image, track.segments[of[j]].rectangle)
                for track, of in zip(tracking.tracks, segments, strict=True)
            ],
        )


def _measured(faces: Iterable[FrameFaces], tracking: Tracking, meters: list[CurveMeter]) -> Iterator[FrameFaces]:
    """Pass the faces on, and let the meter of each track measure them."""
    segments = [_segment_numbers(track, tracking.n_frames) for track in tracking.tracks]
    latest = [NO_SEGMENT] * len(meters)
    for j, (frame, crops) in enumerate(faces):
        for number, (meter, crop) in enumerate(zip(meters, crops, strict=True)):
            track, now = tracking.tracks[number], segments[number][j]
            if now == NO_SEGMENT or j in track.cuts:
                meter.end()
                latest[number] = NO_SEGMENT
            if crop is None or not meter.wants(j):
                continue
            before = None
            if latest[number] not in (NO_SEGMENT, now):  # the rectangle has changed since the latest sample
                before = gray_crop(frame.image, track.segments[latest[number]].rectangle)
            meter.add(j, crop, before)
            latest[number] = now
        yield frame, crops


def _pairs(faces: Iterable[FrameFaces], tracking: Tracking, k: int, minimum: int, places: Callable) -> Iterator[tuple]:
    """((track, i), crop of frame i, crop of frame i + k, places) for every scored pair, in order of frames.

    Both crops of a pair are cut with the rectangle of its first frame. `minimum` is that of `scored_stretches`,
    `places` that of `VideoMethod`.
    """
    segments = [_segment_numbers(track, tracking.n_frames) for track in tracking.tracks]
    starts_pair = np.zeros((len(tracking.tracks), tracking.n_frames), bool)
    for number, track in enumerate(tracking.tracks):
        for first, last in scored_stretches(track, k, minimum):
            starts_pair[number, first : last + 1] = True
    latest: list[deque] = [deque(maxlen=k + 1) for _ in tracking.tracks]  # crops of the latest k + 1 frames
    found: dict[tuple[int, int], object] = {}  # the places of (track, segment): from its first frame
    for j, (frame, crops) in enumerate(faces):
        for number, (track, crop) in enumerate(zip(tracking.tracks, crops, strict=True)):
            now, i = segments[number][j], j - k
            if crop is not None and (number, now) not in found:
                found[number, now] = places(crop)
            latest[number].append(crop)
            if i < 0 or not starts_pair[number, i]:
                continue
            then = segments[number][i]
            second = crop if then == now else gray_crop(frame.image, track.segments[then].rectangle)
            yield (number, i), latest[number][0], second, found[number, then]


def _features(
    pairs: Iterable[tuple], image: Callable, flow: Callable, threads: int
) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
    """(place, feature) in the order of the pairs. Threads compute them, because the flow releases Python's lock."""
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[tuple[tuple[int, int], Future]] = deque()
        for place, first, second, places in pairs:
            waiting.append((place, pool.submit(image, first, second, places, flow)))
            if len(waiting) > WAITING * threads:
                done, future = waiting.popleft()
                yield done, future.result()
        for done, future in waiting:
            yield done, future.result()


def _batches(features: Iterable[tuple]) -> Iterator[tuple[list, np.ndarray]]:
    """Places, and features (m, 42, 42, 3) float32, in batches of at most `BATCH`."""
    places, images = [], []
    for place, image in features:
        places.append(place)
        images.append(image.astype(np.float32))
        if len(places) == BATCH:
            yield places, np.array(images)
            places, images = [], []
    if places:
        yield places, np.array(images)


def _curves_of(meter: CurveMeter | None) -> tuple[np.ndarray | None, int]:
    return (None, 1) if meter is None else (meter.curves, meter.step)


def face_scores(
    track: Track,
    raw: np.ndarray,
    probabilities: np.ndarray,
    k_prime: int,
    spotting: Spotting | None,
    curves: np.ndarray | None = None,
    step: int = 1,
    smooth: Callable[[np.ndarray, int, str], np.ndarray] = MEAN_SPOTTING.smooth,
) -> FaceScores:
    """Smooth the scores of one face, and compute its threshold over all its parts.

    `k_prime` is in frames; `spotting` is None for the second look; `smooth` is the method's. The others are those of
    `FaceScores`.
    """
    stretches = runs_of(np.isfinite(raw))
    smoothed = np.full(len(raw), np.nan)
    for first, last in stretches:
        smoothed[first : last + 1] = smooth(raw[first : last + 1], k_prime, "paper")
    height = None
    if spotting is not None:
        height = threshold(smoothed[np.isfinite(smoothed)], spotting.p)
        if spotting.absolute_threshold is not None:
            height = max(height, spotting.absolute_threshold)
    return FaceScores(track, raw, smoothed, probabilities, stretches, height, curves, step)


def expression_row(
    face: FaceScores,
    frames: dict[str, int],
    score: float,
    emotion: str,
    confidence: float,
    fps: float,
    source_frames: Sequence[int],
) -> dict:
    """The columns `EXPRESSION_COLUMNS` of an expression, without the video. `frames` are its onset, apex and offset."""
    return dict(
        face=face.track.number,
        **frames,
        **{f"{name}_s": round(frame / fps, TIME_DIGITS) for name, frame in frames.items()},
        score=round(score, SCORE_DIGITS),
        emotion=emotion,
        confidence=round(confidence, SCORE_DIGITS),
        source_frame=source_frames[frames["apex"]],
    )


def spot_expressions(
    video: str,
    faces: Iterable[FaceScores],
    classes: tuple[str, ...],
    k_prime: int,
    fps: float,
    source_frames: Sequence[int],
) -> pd.DataFrame:
    """The expressions of all faces, in order of faces and time.

    Parameters
    ----------
    video : str
        Its name, for the table.
    faces : iterable of FaceScores
    classes : tuple of str
    k_prime : int
        Frames at the video's rate.
    fps : float
        Frames per second.
    source_frames : sequence of int
        `Frame.source_frame` of each frame of the video.

    Returns
    -------
    DataFrame
        The columns are `EXPRESSION_COLUMNS`. Frames are 0-based and inclusive, those that end in `_s` are seconds. An
        interval is [peak - k', peak + k'], clamped to the video. `source_frame` is that of the apex. `emotion` is ""
        and `confidence` NaN if no network recognises.
    """
    rows = []
    for face in faces:
        for first, last in runs_of(np.isfinite(face.smoothed)):
            smoothed = face.smoothed[first : last + 1]
            probabilities = face.probabilities[first : last + 1]
            recognised = probabilities if np.isfinite(probabilities).all() else None
            peaks = find_peaks(smoothed, height=face.threshold, distance=k_prime)[0]
            for found in spotted_intervals(smoothed, recognised, peaks, k_prime):
                frames = dict(
                    onset=max(0, first + found.onset),
                    apex=first + found.apex,
                    offset=min(len(source_frames) - 1, first + found.offset),
                )
                emotion = "" if found.class_index is None else classes[found.class_index]
                row = expression_row(face, frames, found.score, emotion, found.confidence, fps, source_frames)
                rows.append({"video": video} | row)
    table = pd.DataFrame(rows, columns=list(EXPRESSION_COLUMNS))
    return table.astype({"score": float})  # also if there are no rows
