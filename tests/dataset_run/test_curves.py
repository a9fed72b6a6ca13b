"""What figures and report of a run show: the matches of the run's own protocol."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from tests.support.bad_input import encoded, face_image
from train_evaluate import RunEvaluation
from training_utils import VideoScores
from Utils.dataset_run.curves import clip_of, draw_pictures, run_curves, video_pictures
from Utils.datasets.table import DATASETS
from Utils.evaluation.evaluate import compare
from Utils.records import Video
from Utils.settings import Settings

DEMO = DATASETS["DEMO"]
SETTINGS = Settings()
COLUMNS = ["subject", "video", "onset", "offset", "apex", "emotion", "score"]


def run_of(protocol: str) -> RunEvaluation:
    """Two videos; in the first one both predictions lie best on annotation 0, which only one may take.

    frame         0         10        20        30
    annotation 0  |-------------------|               [0, 19]
    annotation 1      |-----------------------|       [4, 27]
    prediction 0  |-------------------|               [0, 19]
    prediction 1   |-------------------|              [1, 20]
    """
    predicted = [("s1", "a", 0, 19), ("s1", "a", 1, 20), ("s1", "b", 3, 9)]
    annotated = [("s1", "a", 0, 19), ("s1", "a", 4, 27), ("s1", "b", 3, 9)]
    tables = [
        pd.DataFrame([(*row, (row[2] + row[3]) // 2, "positive", 0.5) for row in rows], columns=COLUMNS)
        for rows in (predicted, annotated)
    ]
    videos = [("s1", "a", 40), ("s1", "b", 40)]
    evaluation = compare(*tables, DEMO.classes, videos=videos, protocol=protocol, k_prime=6)
    scores = [VideoScores(Video(s, v, ()), np.zeros(n), np.zeros(n), None) for s, v, n in videos]
    return RunEvaluation(scores, evaluation)


@pytest.mark.parametrize(("protocol", "matches"), [("paper", [(0, 0), (1, 1)]), ("upstream", [(0, 0)])])
def test_figures_and_report_show_the_matches_of_the_runs_protocol(protocol, matches):
    run = run_of(protocol)
    tp = [row["tp"] for row in run.evaluation.metrics["per_video"]]
    first, second = run_curves(run, DEMO, 6, SETTINGS)
    assert (first.matches, second.matches) == (matches, [(0, 0)])
    figures = [p.figure for p in video_pictures(run, DEMO, 6, SETTINGS, Path("figures"), Path("clips"))]
    assert [list(figure.matched_predictions) for figure in figures] == [[i for i, _ in matches], [0]]
    assert [list(figure.matched_annotations) for figure in figures] == [[j for _, j in matches], [0]]
    assert tp == [len(figure.matched_predictions) for figure in figures]
    assert [figure.path.name for figure in figures] == ["s1_a.png", "s1_b.png"]
    assert second.predictions["onset"].tolist() == second.annotations["onset"].tolist() == [3]


def test_each_interval_has_the_clip_that_was_made_beside_the_figure(tmp_path):
    """A clip belongs to a row of its own video, not to its place in time."""
    face = cv2.resize(face_image()[22:93, 40:111], (128, 128))
    run, scores = run_of("paper"), []
    for number, s in enumerate(run.scores):  # the faces of the second video move the other way
        frames = tuple(tmp_path / f"{number}-{i}.jpg" for i in range(40))
        for i, path in enumerate(frames):
            path.write_bytes(encoded(np.roll(face, (-1) ** number * (i // 8), axis=1)))
        scores.append(replace(s, video=replace(s.video, frames=frames)))
    run = RunEvaluation(scores, run.evaluation)
    clips = tmp_path / "clips"
    clips.mkdir()
    for pictures in video_pictures(run, DEMO, 6, SETTINGS, tmp_path, clips):
        draw_pictures(pictures)
    made = set()
    for s, curve in zip(scores, run_curves(run, DEMO, 6, SETTINGS, clips=clips), strict=True):
        for which, table in (("predicted", curve.predictions), ("annotated", curve.annotations)):
            for i, row in table.iterrows():
                clip = curve.clip(which, i)
                assert clip == clip_of(s.video, row["onset"], row["apex"], row["offset"], curve.fps)
                made.add((clip["sheet"], clip["onset"]))
    assert len(made) >= 4, "the clips differ"
