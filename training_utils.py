"""What steps 5 and 6 need: thinning of training frames; from scores over smoothing, threshold, peaks, intervals and
majority vote to the table of predictions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.signal import find_peaks

from Utils.datasets.table import Dataset
from Utils.evaluation.tables import GROUND_TRUTH_COLUMNS, PREDICTION_COLUMNS, SEARCHED_APEX
from Utils.records import Video


def thin(labels: np.ndarray, ratio: int, rng: np.random.Generator) -> np.ndarray:
    """Indices of all expression frames and of at most `ratio` times as many others, drawn without replacement.

    Parameters
    ----------
    labels : ndarray, (n,)
        Pseudo-labels, 0 or 1.
    ratio : int
        Non-expression frames per expression frame; if there are fewer, all are kept.
    rng : Generator

    Returns
    -------
    ndarray of int64, ascending
    """
    expression, other = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    wanted = ratio * len(expression)
    if len(other) > wanted:
        other = rng.choice(other, wanted, replace=False)
    return np.sort(np.concatenate([expression, other]))


def smooth_scores(scores: np.ndarray, k_prime: int, keep_length: bool = True) -> np.ndarray:
    """Moving average over 2k' features (paper section 3.3).

    Parameters
    ----------
    scores : ndarray, (n,)
    k_prime : int, >= 1
    keep_length : bool
        `numpy.convolve(..., mode="same")` returns 2k' values for a video of fewer features: a peak may then lie beyond
        its end. False: as the authors' code has it. True: the values that belong to the features.

    Returns
    -------
    ndarray, (n,), float64
        Beyond the ends scores count as 0. Without `keep_length` (max(n, 2k'),).
    """
    length = 2 * k_prime
    box = np.ones(length) / length
    scores = np.asarray(scores, np.float64)
    if not keep_length:
        return np.convolve(scores, box, mode="same")
    start = (length - 1) // 2
    return np.convolve(scores, box)[start : start + len(scores)]


def threshold(smoothed: np.ndarray, p: float) -> float:
    """T = mean + p (max - mean) of the smoothed scores (paper equation 5)."""
    mean = smoothed.mean()
    return float(mean + p * (smoothed.max() - mean))


def find_expression_peaks(smoothed: np.ndarray, k_prime: int, p: float, one_per_video: bool = False) -> np.ndarray:
    """Features at which an expression is spotted, ascending, int64.

    Long videos: every peak of height T or more, k' features apart. Short videos: the highest point.
    """
    if one_per_video:
        return np.array([int(np.argmax(smoothed))])
    return find_peaks(smoothed, height=threshold(smoothed, p), distance=k_prime)[0]


def majority_class(probabilities: np.ndarray, peak: int, k_prime: int) -> tuple[int, float] | None:
    """The class of a spotted interval: most frequent argmax over the features [peak - k', peak).

    Parameters
    ----------
    probabilities : ndarray, (n, C), float
        Rows sum to 1.
    peak : int
        For a peak at 0, feature 0 votes.
    k_prime : int

    Returns
    -------
    class_index : int
        Of equally frequent ones, the one met first.
    confidence : float
        Mean probability of that class over the same features.
    None
        If the window lies beyond the last feature.
    """
    window = probabilities[max(0, peak - k_prime) : max(1, peak)]
    if not len(window):
        return None
    votes = window.argmax(axis=1)
    counts = np.bincount(votes)
    winner = int(next(c for c in votes if counts[c] == counts.max()))
    return winner, float(window[:, winner].mean())


@dataclass(frozen=True)
class SpottedInterval:
    """One spotted expression; frames may lie before the first or after the last one.

    Attributes
    ----------
    onset, apex, offset : int
        [peak - k', peak + k'] around the peak.
    score : float
        The smoothed score at the peak.
    class_index : int or None
        None where nothing recognises it.
    confidence : float
        Of the class, in [0, 1]; NaN without one.
    """

    onset: int
    apex: int
    offset: int
    score: float
    class_index: int | None
    confidence: float


def spotted_intervals(
    smoothed: np.ndarray, probabilities: np.ndarray | None, peaks: Iterable[int], k_prime: int
) -> list[SpottedInterval]:
    """The intervals around peaks, with the class that the features before each peak vote for.

    Parameters
    ----------
    smoothed : ndarray, (n,)
    probabilities : ndarray, (n, C), or None
        None without a recognition network.
    peaks : iterable of int
        From `find_expression_peaks`.
    k_prime : int
    """
    found = []
    for peak in map(int, peaks):
        vote = None if probabilities is None else majority_class(probabilities, peak, k_prime)
        class_index, confidence = vote or (None, float("nan"))
        interval = (peak - k_prime, peak, peak + k_prime)
        found.append(SpottedInterval(*interval, float(smoothed[peak]), class_index, confidence))
    return found


def spot_video(
    smoothed: np.ndarray,
    probabilities: np.ndarray | None,
    k_prime: int,
    p: float,
    one_per_video: bool = False,
    protocol: str = "paper",
) -> list[SpottedInterval]:
    """Spot the expressions of one tested video and recognise them.

    Under the upstream protocol a video without a peak gives the interval [0, 0].
    """
    peaks = find_expression_peaks(smoothed, k_prime, p, one_per_video)
    if len(peaks) or protocol == "paper":
        return spotted_intervals(smoothed, probabilities, peaks, k_prime)
    dummy = spotted_intervals(smoothed, probabilities, [0], k_prime)
    return [replace(interval, onset=0, offset=0) for interval in dummy]


@dataclass(frozen=True)
class VideoScores:
    """What was computed for one tested video.

    Attributes
    ----------
    video : Video
    raw, smoothed : ndarray, (n,)
        Spotting scores.
    probabilities : ndarray, (n, C), or None
        None where its fold has no recognition network.
    """

    video: Video
    raw: np.ndarray
    smoothed: np.ndarray
    probabilities: np.ndarray | None


def predict_expressions(
    scores: Sequence[VideoScores], dataset: Dataset, k_prime: int, p: float, protocol: str = "paper"
) -> pd.DataFrame:
    """The predictions table, in order of videos and time.

    An interval is [peak - k', peak + k'] around its apex; it may begin before frame 0 or end after the last one.
    """
    rows = []
    for s in scores:
        for found in spot_video(s.smoothed, s.probabilities, k_prime, p, dataset.one_per_video, protocol):
            emotion = "" if found.class_index is None else dataset.classes[found.class_index]
            row = _row(s.video, found.onset, found.apex, found.offset, dataset.fps)
            rows.append(row | dict(score=found.score, emotion=emotion, confidence=found.confidence))
    return pd.DataFrame(rows, columns=list(PREDICTION_COLUMNS))


def annotated_expressions(videos: Sequence[Video], dataset: Dataset) -> pd.DataFrame:
    """The ground-truth table, in order of videos and onsets; with a column of searched apexes, if there are any."""
    rows = [
        _row(video, e.onset, e.apex, e.offset, dataset.fps) | {"emotion": e.emotion, SEARCHED_APEX: e.searched_apex}
        for video in videos
        for e in video.expressions
    ]
    searched = any(row[SEARCHED_APEX] is not None for row in rows)
    columns = [*GROUND_TRUTH_COLUMNS, *([SEARCHED_APEX] if searched else [])]
    whole = dict.fromkeys({"apex", SEARCHED_APEX} & set(columns), "Int64")  # with gaps, which int64 cannot have
    return pd.DataFrame(rows, columns=columns).astype(whole)


def _row(video: Video, onset: int, apex: int | None, offset: int, fps: int) -> dict:
    return dict(
        subject=video.subject,
        video=video.name,
        onset=onset,
        apex=apex,
        offset=offset,
        onset_s=round(onset / fps, 4),
        offset_s=round(offset / fps, 4),
    )
