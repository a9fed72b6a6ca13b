"""The result of an evaluation: the metrics, and which rows of the two tables belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from Utils.evaluation.sums import SubjectSums
from Utils.evaluation.tables import VideoIntervals

Matches = list[tuple[int, int]]  # (prediction, annotation): positions in two lists or rows of two tables


@dataclass(frozen=True)
class Evaluation:
    """Two tables that were compared. Figures, report and files all show these matches and compute no others.

    Attributes
    ----------
    predictions, ground_truth : DataFrame
        The tables.
    metrics : dict
        See `evaluate.evaluate`.
    matches : dict of (str, str) to list of (int, int)
        (subject, video) -> the true positives, each as a row of `predictions` and a row of `ground_truth`.
    pairs : list of (str or None, str or None)
        (annotated, predicted emotion) of the pairs that are analysed.
    sums : SubjectSums
        What each subject adds to the metrics, for their intervals.
    """

    predictions: pd.DataFrame
    ground_truth: pd.DataFrame
    metrics: dict
    matches: Mapping[tuple[str, str], Matches]
    pairs: Sequence[tuple[str | None, str | None]]
    sums: SubjectSums

    def of_video(self, subject: str, video: str) -> VideoRows:
        """The rows of one video in both tables, numbered from 0, and its matches with these numbers."""
        tables, numbers = [], []
        for table in (self.predictions, self.ground_truth):
            rows = np.flatnonzero((table["subject"].astype(str) == subject) & (table["video"].astype(str) == video))
            tables.append(table.iloc[rows].reset_index(drop=True))
            numbers.append({int(row): i for i, row in enumerate(rows)})
        predicted, annotated = numbers
        matches = [(predicted[i], annotated[j]) for i, j in self.matches.get((subject, video), ())]
        return VideoRows(*tables, matches)


@dataclass(frozen=True)
class VideoRows:
    """The part of an `Evaluation` that concerns one video. `matches` are rows of the two tables here."""

    predictions: pd.DataFrame
    annotations: pd.DataFrame
    matches: Matches


def table_rows(videos: Sequence[VideoIntervals], matches: Sequence[Matches]) -> dict[tuple[str, str], Matches]:
    """(subject, video) -> its matches, as rows of the two tables.

    `matches` has those of each of `videos`, as positions in its lists `predicted` and `annotated`.
    """
    return {
        (video.subject, video.video): [(video.predicted[i].row, video.annotated[j].row) for i, j in matched]
        for video, matched in zip(videos, matches, strict=True)
    }
