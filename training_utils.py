"""What steps 5 and 6 need.

For training: the thinning of frames. For prediction: the way from scores to the table of predictions. Its parts are
smoothing, threshold, peaks, intervals and majority vote (docs/method.md, section 1, steps 11 and 12).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.signal import find_peaks

from Utils.datasets.table import Dataset
from Utils.evaluation.tables import GROUND_TRUTH_COLUMNS, PREDICTION_COLUMNS, SEARCHED_APEX
from Utils.records import Length, Video, frames_of

Window = tuple[float, float]
VOTERS: Window = (-1, 0)  # the features that vote on a class, from the peak on, in k': [peak - k', peak)
TIME_DIGITS = 4  # decimal places of seconds in tables: 0.1 ms


def thin(labels: np.ndarray, ratio: int, rng: np.random.Generator) -> np.ndarray:
    """Indices of all expression frames, and of at most `ratio` times as many others, drawn without replacement.

    Parameters
    ----------
    labels : ndarray, (n,)
        Pseudo-labels, 0 or 1.
    ratio : int
        Non-expression frames for each expression frame. If there are fewer, all are kept.
    rng : Generator

    Returns
    -------
    ndarray of int64, (m,), ascending
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
        True: one value is returned for each feature. False: what `numpy.convolve(..., mode="same")` returns, as in the
        authors' code. This makes a difference for a video with fewer than 2k' features: it then has 2k' values, and a
        peak may be beyond the last feature.

    Returns
    -------
    ndarray, (n,), float64
        Scores before the first and after the last feature count as 0. If `keep_length` is False: (max(n, 2k'),).
    """
    length = 2 * k_prime
    box = np.ones(length) / length
    scores = np.asarray(scores, np.float64)
    if not keep_length:
        return np.convolve(scores, box, mode="same")
    start = (length - 1) // 2
    return np.convolve(scores, box)[start : start + len(scores)]


def threshold(smoothed: np.ndarray, p: float) -> float:
    """T = mean + p (max - mean) of the smoothed scores, (n,), of which at least one is not NaN (paper equation 5)."""
    known = smoothed[~np.isnan(smoothed)]
    mean = known.mean()
    return float(mean + p * (known.max() - mean))


def find_expression_peaks(smoothed: np.ndarray, k_prime: int, p: float, one_per_video: bool = False) -> np.ndarray:
    """The features at which an expression is spotted.

    Parameters
    ----------
    smoothed : ndarray, (n,)
        From `smooth_scores`.
    k_prime : int
    p : float, in [0, 1]
        See `threshold`.
    one_per_video : bool
        False (long videos): every peak of height T or more; of peaks that are less than k' features apart, only the
        highest. True (short videos): the highest point, whatever its height; the first one if there are several.

    Returns
    -------
    ndarray of int64, (m,), ascending
    """
    if one_per_video:
        return np.array([int(np.argmax(smoothed))])
    return find_peaks(smoothed, height=threshold(smoothed, p), distance=k_prime)[0]


def majority_class(
    probabilities: np.ndarray, peak: int, k_prime: int, window: Window = VOTERS
) -> tuple[int, float] | None:
    """The class of a spotted interval: the one that most of the features [peak - k', peak) vote for.

    The vote of a feature is its class with the largest probability.

    Parameters
    ----------
    probabilities : ndarray, (n, C), float
        Rows sum to 1.
    peak : int
        If it is 0, feature 0 votes.
    k_prime : int
    window : (float, float)
        Where the features that vote begin, and end, from the peak on, in k'.

    Returns
    -------
    class_index : int
        If several classes have most votes, the one that is met first.
    confidence : float
        Mean probability of that class over the features that vote, in [0, 1].
    None
        Instead of both, if all these features are beyond the last one, or there are no classes.
    """
    first = max(0, peak + round(window[0] * k_prime))
    voters = probabilities[first : max(first + 1, peak + round(window[1] * k_prime))]
    if not voters.size:
        return None
    votes = voters.argmax(axis=1)
    counts = np.bincount(votes)
    winner = int(next(c for c in votes if counts[c] == counts.max()))
    return winner, float(voters[:, winner].mean())


@dataclass(frozen=True)
class SpottedInterval:
    """A spotted expression.

    Attributes
    ----------
    onset, apex, offset : int
        peak - k', peak, peak + k', frames. They can be before the first frame or after the last one.
    score : float
        The smoothed score at the peak.
    class_index : int or None
        None if it is not recognised.
    confidence : float
        That of the class, in [0, 1]. NaN if there is no class.
    """

    onset: int
    apex: int
    offset: int
    score: float
    class_index: int | None
    confidence: float


def spotted_intervals(
    smoothed: np.ndarray,
    probabilities: np.ndarray | None,
    peaks: Iterable[int],
    k_prime: int,
    window: Window = VOTERS,
) -> list[SpottedInterval]:
    """The intervals around peaks, with the class that the features before each peak vote for.

    Parameters
    ----------
    smoothed : ndarray, (n,)
    probabilities : ndarray, (n, C), or None
        None if there is no recognition network.
    peaks : iterable of int
        From `find_expression_peaks`.
    k_prime : int
    window : (float, float)
        See `majority_class`.
    """
    found = []
    for peak in map(int, peaks):
        vote = None if probabilities is None else majority_class(probabilities, peak, k_prime, window)
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
    window: Window = VOTERS,
) -> list[SpottedInterval]:
    """Spot the expressions of one tested video and recognise them.

    The parameters are those of `spotted_intervals` and `find_expression_peaks`. `protocol` is "paper" or "upstream".
    Under "upstream" a video without a peak gives the interval [0, 0].
    """
    peaks = find_expression_peaks(smoothed, k_prime, p, one_per_video)
    if len(peaks) or protocol == "paper":
        return spotted_intervals(smoothed, probabilities, peaks, k_prime, window)
    at_zero = spotted_intervals(smoothed, probabilities, [0], k_prime, window)
    return [replace(interval, onset=0, offset=0) for interval in at_zero]


@dataclass(frozen=True)
class VideoScores:
    """What was computed for one tested video.

    Attributes
    ----------
    video : Video
    raw : ndarray, (n,)
        The spotting score of each feature.
    smoothed : ndarray, (n,)
        From `smooth_scores`. Under the upstream protocol it can be longer.
    probabilities : ndarray, (n, C), or None
        None if its fold has no recognition network, or if that network is not used.
    threshold : float or None
        The height that a peak must reach.
    half_width : int or None
        Half the number of features over which smoothing averages; None: k'.
    """

    video: Video
    raw: np.ndarray
    smoothed: np.ndarray
    probabilities: np.ndarray | None
    threshold: float | None = None
    half_width: int | None = None


@dataclass(frozen=True)
class SpottingMethod:
    """How a method gets from scores to intervals. MEAN's is `MEAN_SPOTTING`; Utils/methods has those of the others.

    Attributes
    ----------
    smooth : callable
        (raw scores, k', protocol) -> smoothed scores; NaN where there is none.
    spot : callable
        As `spot_video`.
    ap_order : callable or None
        How many predictions there are -> the order in which the authors' code visits them for its average precision.
        None: the order of the table.
    recognises : bool
        Whether the method recognises emotions.
    threshold : callable
        (smoothed scores, p) -> the height that a peak must reach.
    half_width : callable or None
        k' -> half the number of features over which `smooth` averages. None: k' itself.
    """

    smooth: Callable[[np.ndarray, int, str], np.ndarray]
    spot: Callable[..., list[SpottedInterval]]
    ap_order: Callable[[int], np.ndarray] | None = None
    recognises: bool = True
    threshold: Callable[[np.ndarray, float], float] = threshold
    half_width: Callable[[int], int] | None = None


def _smooth_as_mean(scores: np.ndarray, k_prime: int, protocol: str) -> np.ndarray:
    return smooth_scores(scores, k_prime, keep_length=protocol == "paper")


MEAN_SPOTTING = SpottingMethod(_smooth_as_mean, spot_video)


def predict_expressions(
    scores: Sequence[VideoScores],
    dataset: Dataset,
    k_prime: Length,
    p: float,
    protocol: str = "paper",
    method: SpottingMethod = MEAN_SPOTTING,
    of_subject: Mapping[str, SpottingMethod] = {},
) -> pd.DataFrame:
    """The table of predictions, with the columns `PREDICTION_COLUMNS`, in the order of `scores` and of time.

    Parameters
    ----------
    scores : sequence of VideoScores
    dataset : Dataset
    k_prime : Length
    p : float, in [0, 1]
        See `threshold`.
    protocol : {"paper", "upstream"}
    method : SpottingMethod
    of_subject : mapping
        Subjects -> a method that is used for them instead.

    Returns
    -------
    DataFrame
        Frames, and the columns that end in `_s` in seconds. An interval is [peak - k', peak + k'], so it can begin
        before frame 0 or end after the last one. `emotion` is "" and `confidence` NaN if it is not recognised.
    """
    rows = []
    for s in scores:
        half = frames_of(k_prime, s.video.fps)
        spot = of_subject.get(s.video.subject, method).spot
        for found in spot(s.smoothed, s.probabilities, half, p, dataset.one_per_video, protocol):
            emotion = "" if found.class_index is None else dataset.classes[found.class_index]
            row = _shared_columns(s.video, found.onset, found.apex, found.offset, dataset)
            rows.append(row | dict(score=found.score, emotion=emotion, confidence=found.confidence))
    return pd.DataFrame(rows, columns=list(PREDICTION_COLUMNS))


def annotated_expressions(videos: Sequence[Video], dataset: Dataset) -> pd.DataFrame:
    """The table of annotations, with the columns `GROUND_TRUTH_COLUMNS`, in the order of videos and expressions.

    If any apex was searched, there is also the column `SEARCHED_APEX`. An apex that is not known is empty (NA).
    """
    rows = [
        _shared_columns(video, e.onset, e.apex, e.offset, dataset)
        | {"emotion": e.emotion, SEARCHED_APEX: e.searched_apex}
        for video in videos
        for e in video.expressions
    ]
    searched = any(row[SEARCHED_APEX] is not None for row in rows)
    columns = [*GROUND_TRUTH_COLUMNS, *([SEARCHED_APEX] if searched else [])]
    whole = dict.fromkeys({"apex", SEARCHED_APEX} & set(columns), "Int64")  # unlike int64, it can have empty cells
    return pd.DataFrame(rows, columns=columns).astype(whole)


def _shared_columns(video: Video, onset: int, apex: int | None, offset: int, dataset: Dataset) -> dict:
    """The columns that predictions and annotations share."""
    fps = video.fps or dataset.fps
    return dict(
        subject=video.subject,
        video=video.name,
        onset=onset,
        apex=apex,
        offset=offset,
        onset_s=round(onset / fps, TIME_DIGITS),
        offset_s=round(offset / fps, TIME_DIGITS),
    )
