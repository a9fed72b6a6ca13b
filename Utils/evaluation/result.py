"""What an evaluation gives: the figures, and which rows of the two tables belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from Utils.evaluation.tables import VideoIntervals

Matches = list[tuple[int, int]]  # (prediction, annotation), positions in two lists or tables


@dataclass(frozen=True)
class Evaluation:
    """Two tables, compared. Figures, report and files show these matches and compute none of their own.

    Attributes
    ----------
    predictions, ground_truth : DataFrame
        What was compared.
    metrics : dict
        See `evaluate.evaluate`.
    matches : dict of (str, str) to list of (int, int)
        (subject, video) -> rows of `predictions` and of `ground_truth` that belong together: the true positives.
    pairs : list of (str or None, str or None)
        (annotated, predicted emotion) of what is analysed.
    """

    predictions: pd.DataFrame
    ground_truth: pd.DataFrame
    metrics: dict
    matches: Mapping[tuple[str, str], Matches]
    pairs: Sequence[tuple[str | None, str | None]]

    def of_video(self, subject: str, video: str) -> VideoRows:
        """One video's rows of both tables, numbered from 0, and its matches in these numbers."""
        tables, numbers = [], []
        for table in (self.predictions, self.ground_truth):
            rows = np.flatnonzero((table["subject"] == subject) & (table["video"] == video))
            tables.append(table.iloc[rows].reset_index(drop=True))
            numbers.append({int(row): i for i, row in enumerate(rows)})
        predicted, annotated = numbers
        matches = [(predicted[i], annotated[j]) for i, j in self.matches.get((subject, video), ())]
        return VideoRows(*tables, matches)


@dataclass(frozen=True)
class VideoRows:
    """One video's part of an `Evaluation`: `matches` are positions in its two tables."""

    predictions: pd.DataFrame
    annotations: pd.DataFrame
    matches: Matches


def table_rows(videos: Sequence[VideoIntervals], matches: Sequence[Matches]) -> dict[tuple[str, str], Matches]:
    """Matches by (subject, video), as rows of the tables instead of positions in the lists of `videos`."""
    return {
        (video.subject, video.video): [(video.predicted[i].row, video.annotated[j].row) for i, j in matched]
        for video, matched in zip(videos, matches, strict=True)
    }
