"""The analysis of a video from Python, without files.

    from Utils.own_video import analyse

    table = analyse("interview.mp4")
    table, frames = analyse("interview.mp4", curves=True)

Nothing large is imported before `analyse` is called.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from Utils.errors import InputError, shown
from Utils.parsing import settings_of
from Utils.settings import FOR_VIDEOS

if TYPE_CHECKING:
    import pandas as pd


def analyse(
    path: str | Path,
    *,
    curves: bool = False,
    face: str | None = None,
    fps: float | None = None,
    dataset_name: str = FOR_VIDEOS,
    weights_dir: str | Path | None = None,
    half_length: float | None = None,
    spotting: str | None = None,
    false_alarms: float | None = None,
    p: float | None = None,
    absolute_threshold: float | None = None,
    flow: str | None = None,
    workers: int | None = None,
    progress: bool = False,
) -> pd.DataFrame | tuple[pd.DataFrame, pd.DataFrame]:
    """The expressions in a video. Nothing is written.

    Parameters
    ----------
    path : str or Path
        A video file, or a folder of frame images (with `fps`).
    curves : bool
        Also return what is known of each frame.
    face, fps, dataset_name, weights_dir, half_length, spotting, false_alarms, p, absolute_threshold, flow
        As the flags of `main.py --video` with these names; None is their default.
    workers : int, optional
        Threads that compute the flow. By default as many as this machine has cores.
    progress : bool
        Show progress bars.

    Returns
    -------
    expressions : DataFrame
        The rows and columns of `expressions.csv` (docs/own_video.md). Frames are 0-based and inclusive.
    frames : DataFrame
        With `curves` only: the rows and columns of `frames.csv`.

    Raises
    ------
    InputError
        The video, the weights or a value cannot be used. The message is one line.
    """
    given = dict(
        face=face, fps=fps, dataset_name=dataset_name, weights_dir=weights_dir, half_length=half_length,
        spotting=spotting, false_alarms=false_alarms, p=p, absolute_threshold=absolute_threshold, flow=flow,
        workers=workers,
    )  # fmt: skip
    given = {name: value for name, value in given.items() if value is not None} | {"video": (Path(path),)}
    settings = settings_of(given)

    from feature_extraction import prepare_flow
    from Utils.datasets.table import WEIGHTS
    from Utils.own_video.jobs import jobs_of
    from Utils.own_video.outputs import frames_table
    from Utils.own_video.paths import find_videos_to_run
    from Utils.own_video.run import choose_expressions, score_faces
    from Utils.own_video.second_look import second_look_of
    from Utils.own_video.weights import weights_for_videos
    from Utils.work.machine import cores

    if dataset_name not in WEIGHTS:
        raise InputError(f"dataset_name: {dataset_name!r} is none of {', '.join(WEIGHTS)}")
    paths = find_videos_to_run(settings.video)
    if len(paths) != 1:
        raise InputError(f"{shown(path)}: has {len(paths)} videos; give one of them")
    weights = weights_for_videos(settings.weights_source, WEIGHTS[dataset_name], settings.half_length)
    look = second_look_of(settings, WEIGHTS[dataset_name], weights)
    prepare_flow(settings.flow)
    if prepare := weights.steps.folds.prepare:
        prepare(False)
    (job,) = jobs_of(paths, replace(settings, workers=settings.workers or cores()), weights, look, {})
    job = replace(job, bars=progress)
    (source, tracking, faces), _ = score_faces(job, None if look else job.spotting)
    expressions, _ = choose_expressions(job, source, tracking, faces)
    if not curves:
        return expressions
    shown_frames = source.source_frames[: tracking.n_frames]
    return expressions, frames_table(tracking, faces, weights.classes, source.fps, shown_frames)
