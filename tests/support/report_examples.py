"""Curves that the tests of the report put into it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import Utils  # noqa: F401  isort: skip; before cv2: it sets the limit of pixels
import cv2
import numpy as np
import pandas as pd

from tests.support.face_crops import bump_at, mark, moved_crop
from Utils.evaluation.evaluate import compare
from Utils.evaluation.metrics import match_intervals
from Utils.evaluation.result import Evaluation
from Utils.evaluation.tables import GROUND_TRUTH_COLUMNS, PREDICTION_COLUMNS
from Utils.report.clip import clip_data, frames_of_clip
from Utils.report.contents import Curve
from Utils.report.pages import write_report

CLASSES = ("negative", "positive", "surprise")
FPS = 30.0
CORNER, RISE, WIDE = 48, 3.0, 12.0  # the landmark that moves; pixels up; pixels, standard deviation of the movement
HOSTILE = (
    "<script>window.hacked = 1</script>",
    "</script><img src=x onerror='window.hacked = 1'>",
    '"><svg onload=window.hacked=1>&lt;b&gt;%{x}\u2028<!--',
)


# What a second look set aside
SET_ASIDE = [
    dict(face=0, onset_s=1.0, offset_s=1.754, kind="macro", motion_px=2.354, p_micro=0.106, flags="head moves"),
    dict(face=0, onset_s=7.0, offset_s=7.2, kind="blink", motion_px=0.5, p_micro=0.004, flags=""),
]


def table(columns, subject, video, *rows) -> pd.DataFrame:
    """Rows (onset, apex, offset, emotion, score)."""
    named = [dict(zip(("onset", "apex", "offset", "emotion", "score"), row, strict=False)) for row in rows]
    return pd.DataFrame([dict(subject=subject, video=video) | row for row in named], columns=list(columns))


@cache
def moving_face(n: int) -> tuple[np.ndarray, ...]:
    """Crops of a rendered face whose left corner of the mouth goes up `RISE` pixels and back, (128, 128, 3) uint8."""
    heights = RISE * np.sin(np.pi * np.arange(n) / max(1, n - 1))
    near = bump_at(mark(CORNER), WIDE)
    return tuple(cv2.cvtColor(moved_crop(down=-height * near), cv2.COLOR_GRAY2BGR) for height in heights)


def clip(which: str, row: int) -> dict | None:
    """A clip of the first predictions and annotations; later rows have none."""
    if row > 1:
        return None
    frames = frames_of_clip(18 + 32 * row, 24 + 32 * row, 30 + 32 * row, 0, 119)
    return clip_data(frames, moving_face(len(frames.numbers)), FPS)


def curve(subject="s1", video="a", predicted=(), annotated=(), n=120, **changes) -> Curve:
    raw = np.random.default_rng(n).normal(0.2, 0.1, n).astype(np.float32)
    settings = dict(
        subject=subject, video=video, face="", fps=FPS, raw=raw, smoothed=np.convolve(raw, np.ones(12) / 12, "same"),
        threshold=0.25, k_prime=6, predictions=table(PREDICTION_COLUMNS, subject, video, *predicted),
        annotations=table(GROUND_TRUTH_COLUMNS, subject, video, *annotated), clip=clip,
        matches=match_intervals(*([(row[0], row[2]) for row in rows] for rows in (predicted, annotated))),
    )  # fmt: skip
    return Curve(**(settings | changes))


def verified(**changes):
    """A curve whose one prediction has what the second look adds."""
    more = dict(p_micro=0.87, motion_px=0.654, flags="small face; unclear emotion") | changes
    predictions = table(PREDICTION_COLUMNS, "", "a", (10, 16, 22, "positive", 0.5)).assign(**more)
    return curve("", "a", threshold=None, predictions=predictions)


def run() -> list[Curve]:
    """Two videos of s1, one of s10: five predictions, three annotations, two of them matched."""
    return [
        curve("s1", "a", [(18, 24, 30, "surprise", 0.9), (50, 56, 62, "negative", 0.31),
               (92, 98, 104, "positive", 0.4)],
              [(20, 25, 31, "surprise"), (70, None, 80, "negative")], remarks=["no face in frames 3 to 5"]),
        curve("s1", "b", [(10, 16, 22, "positive", 0.305)], [(11, 15, 20, "negative")], n=60),
        curve("s10", "c", [(30, 36, 42, None, None)], n=60, threshold=None),
    ]  # fmt: skip


def tables_of(curves):
    """Predictions and annotations of all curves."""
    both = ([c.predictions for c in curves], [c.annotations for c in curves])
    return tuple(
        pd.DataFrame([row for part in parts for row in part.to_dict("records")], columns=parts[0].columns)
        for parts in both
    )


def evaluations_of(curves, classes=CLASSES) -> dict[str, Evaluation]:
    """The curves' tables, compared by both protocols."""
    videos = [(c.subject, c.video, len(c.raw)) for c in curves]
    tables = tables_of(curves)
    return {p: compare(*tables, classes, protocol=p, videos=videos, k_prime=6) for p in ("paper", "upstream")}


def metrics_of(curves) -> dict[str, dict]:
    return {protocol: evaluation.metrics for protocol, evaluation in evaluations_of(curves).items()}


def write_example(path: Path) -> Path:
    """Write the report of `run()` with everything that a report can have."""
    curves = run()
    write_report(
        path, "Report of DEMO", curves, CLASSES, evaluations=evaluations_of(curves), remarks=["a remark on the data"],
        settings={"seed": 1, "versions": {"numpy": "2.2.6"}}, warnings=["These weights come from synthetic faces."],
        footage=[dict(name="face size", value="80 pixels", level="amber", advice="Move the camera nearer."),
                 dict(name="blur", value="0.30", level="green", advice=""),
                 dict(name="frame rate", value="10", level="red", advice="Record at 25.")],
    )  # fmt: skip
    return path
