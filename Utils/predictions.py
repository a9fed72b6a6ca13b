"""From the scores of tested videos to the two tables that evaluation compares: predictions and annotations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from feature_extraction import VideoFeatures
from train_evaluate import FoldResult
from training_utils import find_expression_peaks, majority_class, smooth_scores
from Utils.datasets.table import Dataset
from Utils.evaluation.tables import GROUND_TRUTH_COLUMNS, PREDICTION_COLUMNS


@dataclass(frozen=True)
class VideoScores:
    """What was computed for one tested video; `probabilities` is None where its fold has no recognition network."""

    features: VideoFeatures
    raw: np.ndarray
    smoothed: np.ndarray
    probabilities: np.ndarray | None


def collect_scores(
    results: Sequence[FoldResult], features: Sequence[VideoFeatures], k_prime: int, protocol: str = "paper"
) -> list[VideoScores]:
    """The scores of all tested videos: folds in order, videos in natural order."""
    return [
        VideoScores(
            features[video],
            result.scores(i),
            smooth_scores(result.scores(i), k_prime, keep_length=protocol == "paper"),
            result.probabilities(i),
        )
        for result in results
        for i, video in enumerate(result.fold.test)
    ]


def predict_expressions(
    scores: Sequence[VideoScores], dataset: Dataset, k_prime: int, p: float, protocol: str = "paper"
) -> pd.DataFrame:
    """Spot expressions in the scores and recognise them: the predictions table, in order of videos and time.

    An interval is [peak - k', peak + k'] around its apex; it may begin before frame 0 or end after the last one. Under
    the upstream protocol a video without a peak gives the interval [0, 0].
    """
    rows = []
    for s in scores:
        intervals = [
            (peak - k_prime, peak, peak + k_prime)
            for peak in find_expression_peaks(s.smoothed, k_prime, p, dataset.one_per_video)
        ]
        if not intervals and protocol == "upstream":
            intervals = [(0, 0, 0)]
        for onset, apex, offset in intervals:
            vote = None if s.probabilities is None else majority_class(s.probabilities, int(apex), k_prime)
            rows.append(
                _row(s.features.video, onset, apex, offset, dataset.fps)
                | dict(
                    score=float(s.smoothed[apex]),
                    emotion=dataset.classes[vote[0]] if vote else "",
                    confidence=vote[1] if vote else np.nan,
                )
            )
    return pd.DataFrame(rows, columns=list(PREDICTION_COLUMNS))


def annotated_expressions(features: Sequence[VideoFeatures], dataset: Dataset) -> pd.DataFrame:
    """The ground-truth table, in order of videos and onsets."""
    rows = [
        _row(f.video, e.onset, e.apex, e.offset, dataset.fps) | dict(emotion=e.emotion)
        for f in features
        for e in f.video.expressions
    ]
    return pd.DataFrame(rows, columns=list(GROUND_TRUTH_COLUMNS))


def _row(video, onset: int, apex: int | None, offset: int, fps: int) -> dict:
    return dict(
        subject=video.subject,
        video=video.name,
        onset=int(onset),
        apex=None if apex is None else int(apex),
        offset=int(offset),
        onset_s=round(onset / fps, 4),
        offset_s=round(offset / fps, 4),
    )
