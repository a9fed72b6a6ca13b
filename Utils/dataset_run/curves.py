"""What the figures and the report of a run on a dataset show: curves, intervals, and the crops and flow of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from feature_extraction import flow_function
from load_images import read_crop
from train_evaluate import RunEvaluation
from training_utils import threshold
from Utils.datasets.table import Dataset
from Utils.faces.images import read_image
from Utils.records import Video
from Utils.report.contents import Curve
from Utils.report.figures import VideoFigure
from Utils.report.pictures import Pictures
from Utils.settings import Settings


def run_curves(run: RunEvaluation, dataset: Dataset, k_prime: int, settings: Settings) -> Iterator[Curve]:
    """A curve for each tested video. Each is only made when it is asked for.

    `k_prime` is in frames. Of `settings`, p and flow are used.
    """
    for s in run.scores:
        rows = run.evaluation.of_video(s.video.subject, s.video.name)
        tables = {"predicted": rows.predictions, "annotated": rows.annotations}

        def pictures(which: str, i: int, video=s.video, tables=tables) -> Pictures:
            return pictures_of(video, *tables[which].loc[i, ["onset", "apex", "offset"]], settings.flow)

        yield Curve(
            subject=s.video.subject,
            video=s.video.name,
            face="",
            fps=dataset.fps,
            raw=s.raw,
            smoothed=s.smoothed[: len(s.raw)],
            threshold=None if dataset.one_per_video else threshold(s.smoothed, settings.p),
            k_prime=k_prime,
            predictions=rows.predictions,
            annotations=rows.annotations,
            matches=rows.matches,
            pictures=pictures,
        )


def video_figures(
    run: RunEvaluation, dataset: Dataset, k_prime: int, settings: Settings, folder: Path
) -> list[VideoFigure]:
    """A figure for each tested video. They are to be drawn into `folder`. Other parameters: see `run_curves`."""
    figures = []
    for curve in run_curves(run, dataset, k_prime, settings):
        figures.append(
            VideoFigure(
                path=folder / f"{curve.subject}_{curve.video}.png",
                title=f"{dataset.title}  {curve.label}",
                raw=curve.raw,
                smoothed=curve.smoothed,
                threshold=curve.threshold,
                k_prime=k_prime,
                fps=dataset.fps,
                predictions=curve.predictions,
                annotations=curve.annotations,
                classes=dataset.classes,
                matched_predictions=[i for i, _ in curve.matches],
                matched_annotations=[j for _, j in curve.matches],
            )
        )
    return figures


def pictures_of(video: Video, onset: int, apex: float | None, offset: int, flow: str) -> Pictures:
    """The crops of an interval, and the flow from onset to apex.

    Parameters
    ----------
    video : Video
        Its frames are the crops.
    onset, apex, offset : int
        Frames. They can be outside the video; the apex can be unknown (None, NA or NaN).
    flow : {"kernel", "opencv"}

    Returns
    -------
    Pictures
        None stands for a crop that does not exist, and for a flow of which a crop does not exist.

    Raises
    ------
    InputError
        A crop cannot be read.
    """

    def colour(frame) -> np.ndarray | None:
        if pd.isna(frame) or not 0 <= int(frame) < len(video.frames):
            return None
        return read_image(video.frames[int(frame)], cv2.IMREAD_COLOR)

    crops = [colour(frame) for frame in (onset, apex, offset)]
    motion = None
    if crops[0] is not None and crops[1] is not None:
        motion = flow_function(flow)(*(read_crop(video.frames[int(frame)]) for frame in (onset, apex)))
    return Pictures(*crops, motion)
