"""What the figures and the report of a run on a dataset show: curves, intervals, and the clip of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import pandas as pd

from train_evaluate import RunEvaluation
from Utils.datasets.table import Dataset
from Utils.evaluation.eaf_writer import EafAbout, eaf_template
from Utils.faces.images import read_image
from Utils.records import MICRO, Length, Video, frames_of
from Utils.report.clip import clip_data, frames_of_clip
from Utils.report.contents import Curve
from Utils.report.figures import VideoFigure
from Utils.settings import Settings


def run_curves(
    run: RunEvaluation,
    dataset: Dataset,
    k_prime: Length,
    settings: Settings,
    reviewed: bool = False,
    kind: str = MICRO,
    other: tuple[str, RunEvaluation] | None = None,
) -> Iterator[Curve]:
    """A curve for each tested video. Each is only made when it is asked for.

    Of `settings`, p is used. `reviewed`: the curves are for a page in which they can be
    reviewed and saved for ELAN. `kind` is that of the expressions. If the page has curves of both kinds, `other` is the
    other kind with its run.
    """
    others = {(s.video.subject, s.video.name): (other[0], s.smoothed) for s in other[1].scores} if other else {}
    for s in run.scores:
        fps = s.video.fps or dataset.fps
        rows = run.evaluation.of_video(s.video.subject, s.video.name)
        tables = {"predicted": rows.predictions, "annotated": rows.annotations}

        def clip(which: str, i: int, video=s.video, tables=tables, fps=fps) -> dict | None:
            return clip_of(video, *tables[which].loc[i, ["onset", "apex", "offset"]], fps)

        about = EafAbout(s.video.subject, s.video.name, fps, len(s.video.frames), dataset.classes)
        yield Curve(
            subject=s.video.subject,
            video=s.video.name,
            face="",
            kind=kind,
            several_kinds=other is not None,
            companion=others.get((s.video.subject, s.video.name)),
            fps=fps,
            raw=s.raw,
            smoothed=s.smoothed[: len(s.raw)],
            threshold=None if dataset.one_per_video else s.threshold,
            k_prime=s.half_width or frames_of(k_prime, s.video.fps),
            predictions=rows.predictions,
            annotations=rows.annotations,
            matches=rows.matches,
            clip=clip,
            eaf=eaf_template(None, (0,), about) if reviewed else "",
        )


def video_figures(
    run: RunEvaluation, dataset: Dataset, k_prime: Length, settings: Settings, folder: Path
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
                k_prime=curve.k_prime,
                fps=curve.fps,
                predictions=curve.predictions,
                annotations=curve.annotations,
                classes=dataset.classes,
                matched_predictions=[i for i, _ in curve.matches],
                matched_annotations=[j for _, j in curve.matches],
            )
        )
    return figures


def clip_of(video: Video, onset: int, apex: float | None, offset: int, fps: float) -> dict | None:
    """The clip of an interval as `write_report` takes it. None if the interval lies outside the video.

    Parameters
    ----------
    video : Video
        Its frames are the crops.
    onset, apex, offset : int
        Frames. They can be outside the video; the apex can be unknown (None, NA or NaN).
    fps : float
        Frames per second.

    Raises
    ------
    InputError
        A crop cannot be read.
    """
    known_apex = None if pd.isna(apex) else float(apex)
    frames = frames_of_clip(int(onset), known_apex, int(offset), 0, len(video.frames) - 1)
    if frames is None:
        return None
    return clip_data(frames, [read_image(video.frames[number], cv2.IMREAD_COLOR) for number in frames.numbers], fps)
