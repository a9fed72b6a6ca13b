"""What the second look finds does not depend on what else is in a video: 7 s that are cut out of it give the same."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from tests.support.verifiers import made_up_verifier
from Utils.datasets.table import WEIGHTS
from Utils.own_video import scoring
from Utils.own_video.scoring import FaceScores, score_video
from Utils.own_video.second_look import SecondLook, look_again, reported
from Utils.own_video.verify import load_verifier
from Utils.own_video.video_files import open_video
from Utils.own_video.weights import weights_for_videos
from Utils.settings import PROJECT
from Utils.synthetic.clips import ClipSettings, Event, render_clip

FPS = 30
# Strong micro-expressions only: what blinks and glances hold for long has no sharp apex
CALM = ClipSettings(
    frames=12 * FPS, n_me=(4, 4), n_macro=(0, 0), n_speech=(0, 0), me_amp=(0.55, 0.7), blink_hz=0, gaze_hz=0
)
LONG = 7 * FPS
CUTS = (25, 131)  # their first frames: not a multiple of the 21 frames after which the curves get a new reference
INSIDE = 36  # frames that an apex lies inside of a cut: 1.2 s
LEAST_P, WITHIN_FRAMES, WITHIN_P = 0.3, 2, 0.15


class Analysed:
    """The scored faces of the whole video (from frame 0) and of the cuts, by their first frame."""

    def __init__(self, root: Path) -> None:
        images, self.events = render_clip(5, 8, 4, CALM)
        images = list(images)
        self.weights = weights_for_videos(PROJECT / "MEAN_Weights", WEIGHTS["SYNTH"])
        self.k = self.weights.frames_at(FPS)[0]
        self.faces: dict[int, list[FaceScores]] = {}
        for start, n in ((0, CALM.frames), *((cut, LONG) for cut in CUTS)):
            folder = root / f"from {start}"
            folder.mkdir()
            for i, image in enumerate(images[start : start + n]):
                frame = folder / f"img{i:03d}.png"
                if start:  # a cut has files of the whole video
                    os.link(root / f"from 0/img{start + i:03d}.png", frame)
                else:  # uncompressed ones are written and read in a third of the time
                    cv2.imwrite(str(frame), image, [cv2.IMWRITE_PNG_COMPRESSION, 0])
            source = open_video(folder, float(FPS), False)
            with (
                pytest.MonkeyPatch.context() as patch
            ):  # the networks' scores play no part here, and their flow is slow
                patch.setattr(scoring, "flow_function", lambda _: lambda a, b: np.zeros((*a.shape, 2), np.float32))
                self.faces[start] = score_video(source, self.weights, None, "largest", "kernel", 2, "")[1]

    def candidates(self, start: int, look: SecondLook) -> pd.DataFrame:
        """The candidates, in frames of the whole video."""
        n = CALM.frames if start == 0 else LONG
        table = look_again("a", self.faces[start], self.weights.classes, self.k, look, float(FPS), range(n))
        table[["onset", "apex", "offset"]] += start
        return table


@pytest.fixture(scope="module")
def analysed(tmp_path_factory) -> Analysed:
    return Analysed(tmp_path_factory.mktemp("cuts"))


def inside(table: pd.DataFrame, start: int) -> pd.DataFrame:
    return table[table["apex"].between(start + INSIDE, start + LONG - 1 - INSIDE)]


def without_partner(table: pd.DataFrame, others: pd.DataFrame, within_p: float = 1.0) -> list[tuple]:
    """Rows of which no other has nearly the same frames, and a probability that differs by at most `within_p`."""
    alone = []
    for row in table.itertuples():
        away = (others[["onset", "apex", "offset"]] - [row.onset, row.apex, row.offset]).abs().max(axis=1)
        near = (away <= WITHIN_FRAMES) & ((others["p_micro"] - row.p_micro).abs() <= within_p)
        if not near.any():
            alone.append((row.onset, row.apex, row.offset, row.p_micro))
    return alone


@pytest.fixture(params=["made up", "shipped"])
def look(request, tmp_path) -> SecondLook:
    """One that takes every movement for a micro-expression that comes back, and the one of the program."""
    if request.param == "made up":
        return SecondLook(made_up_verifier(tmp_path), 1.0)
    return SecondLook(load_verifier(PROJECT / "MEAN_Weights/SYNTH", None), 1.0)


@pytest.mark.parametrize("start", CUTS)
def test_the_same_events_come_out_of_a_cut(analysed, look, start, request):
    """In both directions: what is likely in the whole is reported in the cut, and the other way round.

    With the shipped verifier, probabilities may differ by more: the windows of the reference frames begin elsewhere.
    """
    within_p = WITHIN_P if "made up" in request.node.callspec.params.values() else 1.0
    whole, cut = (analysed.candidates(first, look) for first in (0, start))
    for table, others in ((whole, cut), (cut, whole)):
        likely = table[table["p_micro"] >= LEAST_P]
        assert without_partner(inside(likely, start), reported(others), within_p) == []


@pytest.mark.parametrize("start", CUTS)
def test_there_are_events_in_the_cuts(analysed, tmp_path, start):
    """The made-up verifier finds all micro-expressions that were drawn, and nothing else."""
    events: list[Event] = [e for e in analysed.events if start + INSIDE <= e.apex < start + LONG - INSIDE]
    table = reported(analysed.candidates(start, SecondLook(made_up_verifier(tmp_path), 1.0)))
    table = inside(table, start)
    assert len(events) == len(table) >= 2
    for event, row in zip(events, table.itertuples(), strict=True):
        assert abs(event.apex - row.apex) <= 3 and row.onset < event.apex < row.offset
