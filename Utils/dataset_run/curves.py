"""What the figures and the report of a run on a dataset show: curves, intervals, and the clip of each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
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
from Utils.report.figures import VideoFigure, draw_video
from Utils.settings import Settings

INTERVAL = ["onset", "apex", "offset"]


@dataclass(frozen=True)
class VideoPictures:
    """The pictures of one tested video, which are drawn side by side with those of others.

    Attributes
    ----------
    figure : VideoFigure
    video : Video
        Its frames are the crops.
    fps : float
        Frames per second.
    clips : Path
        The JSON file that the clips are written to.
    """

    figure: VideoFigure
    video: Video
    fps: float
    clips: Path


def run_curves(
    run: RunEvaluation,
    dataset: Dataset,
    k_prime: Length,
    settings: Settings,
    reviewed: bool = False,
    kind: str = MICRO,
    other: tuple[str, RunEvaluation] | None = None,
    clips: Path | None = None,
) -> Iterator[Curve]:
    """A curve for each tested video. Each is only made when it is asked for.

    Of `settings`, p is used. `reviewed`: the curves are for a page in which they can be
    reviewed and saved for ELAN. `kind` is that of the expressions. If the page has curves of both kinds, `other` is the
    other kind with its run. `clips` is the folder in which `draw_pictures` has put the clips; None: the curves have
    none.
    """
    others = {(s.video.subject, s.video.name): (other[0], s.smoothed) for s in other[1].scores} if other else {}
    for number, s in enumerate(run.scores):
        fps = s.video.fps or dataset.fps
        rows = run.evaluation.of_video(s.video.subject, s.video.name)
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
            clip=clips and _clip_reader(_clips_of(clips, number)),
            eaf=eaf_template(None, (0,), about) if reviewed else "",
        )


def _clips_of(folder: Path, number: int) -> Path:
    """The file with the clips of a run's video, in a folder."""
    return folder / f"{number}.json"


def _clip_reader(path: Path) -> Callable[[str, int], dict | None]:
    """`Curve.clip` of a file of clips, which is read once."""
    read = cache(lambda: json.loads(path.read_text(encoding="utf-8")))
    return lambda which, i: read()[which][i]


def video_pictures(
    run: RunEvaluation, dataset: Dataset, k_prime: Length, settings: Settings, folder: Path, clips: Path
) -> list[VideoPictures]:
    """The pictures of each tested video: a figure to be drawn into `folder`, clips to be written into `clips`.

    Other parameters: see `run_curves`.
    """
    pictures = []
    for number, (s, curve) in enumerate(zip(run.scores, run_curves(run, dataset, k_prime, settings), strict=True)):
        figure = VideoFigure(
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
        pictures.append(VideoPictures(figure, s.video, curve.fps, _clips_of(clips, number)))
    return pictures


def draw_pictures(pictures: VideoPictures) -> None:
    """Draw the figure of a video, and make the clips of its intervals. This is the unit of work of a run's pictures.

    Raises InputError if a crop cannot be read.
    """
    draw_video(pictures.figure)
    tables = {"predicted": pictures.figure.predictions, "annotated": pictures.figure.annotations}
    clips = {
        which: [clip_of(pictures.video, *row, pictures.fps) for row in table[INTERVAL].itertuples(index=False)]
        for which, table in tables.items()
    }
    pictures.clips.write_text(json.dumps(clips), encoding="utf-8")


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
