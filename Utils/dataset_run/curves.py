"""A dataset's run as the report shows it: curves, intervals, and the crops and flow of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import pandas as pd

from feature_extraction import flow_function
from load_images import read_crop
from training_utils import threshold
from Utils.datasets.table import Dataset
from Utils.faces.images import read_image
from Utils.predictions import VideoScores
from Utils.records import Video
from Utils.report.contents import Curve
from Utils.report.pictures import Pictures
from Utils.settings import Settings


def rows_of(table: pd.DataFrame, video: Video) -> pd.DataFrame:
    """A table's rows of one video."""
    return table[(table["subject"] == video.subject) & (table["video"] == video.name)].reset_index(drop=True)


def run_curves(
    settings: Settings,
    dataset: Dataset,
    k_prime: int,
    scores: Sequence[VideoScores],
    predictions: pd.DataFrame,
    ground_truth: pd.DataFrame,
) -> Iterator[Curve]:
    """One curve per tested video, made as they are asked for."""
    for s in scores:
        video = s.features.video
        tables = {"predicted": rows_of(predictions, video), "annotated": rows_of(ground_truth, video)}

        def pictures(which: str, i: int, video=video, tables=tables) -> Pictures:
            return pictures_of(video, *tables[which].loc[i, ["onset", "apex", "offset"]], settings.flow)

        yield Curve(
            subject=video.subject,
            video=video.name,
            face="",
            fps=dataset.fps,
            raw=s.raw,
            smoothed=s.smoothed[: len(s.raw)],
            threshold=None if dataset.one_per_video else threshold(s.smoothed, settings.p),
            k_prime=k_prime,
            predictions=tables["predicted"],
            annotations=tables["annotated"],
            pictures=pictures,
        )


def pictures_of(video: Video, onset: int, apex: float | None, offset: int, flow: str) -> Pictures:
    """The crops of an interval, and the flow from onset to apex; None for a frame that is not there."""

    def colour(frame) -> np.ndarray | None:
        if pd.isna(frame) or not 0 <= int(frame) < len(video.frames):
            return None
        return read_image(video.frames[int(frame)], cv2.IMREAD_COLOR)

    crops = [colour(frame) for frame in (onset, apex, offset)]
    motion = None
    if crops[0] is not None and crops[1] is not None:
        motion = flow_function(flow)(*(read_crop(video.frames[int(frame)]) for frame in (onset, apex)))
    return Pictures(*crops, motion)
