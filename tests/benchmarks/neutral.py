"""How many expressions neutral videos give, by the paper's rule and by the second look: figures of the pages.

    python -m tests.benchmarks.neutral [--videos 16]

New synthetic subjects, who are neither in DEMO nor in SYNTH, are filmed for 10 s each, once without and once with
micro-expressions. Both have blinks, glances, head motion, speech and macro-expressions. The videos are analysed as the
user's own videos: by the paper's rule with DEMO's weights, and as `main.py --video` does it without further flags.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pandas as pd

from tests.benchmarks.__main__ import machine
from Utils.datasets.table import WEIGHTS
from Utils.evaluation.metrics import match_intervals
from Utils.own_video.scoring import Spotting, score_video, spot_expressions
from Utils.own_video.second_look import look_again, reported, second_look_of
from Utils.own_video.video_files import Frame
from Utils.own_video.weights import OwnWeights, weights_for_videos
from Utils.settings import FOR_VIDEOS, PROJECT, Settings
from Utils.synthetic.clips import MICRO, ClipSettings, render_clip
from Utils.tvl1 import compile_kernel

SEED = 77  # DEMO's is 0
LEVELS = (None, 0.3, 0.4, 0.5, 0.6, 0.7)


@dataclass
class Clip:
    """Rendered frames as a source of frames."""

    images: list[np.ndarray]
    fps: float

    @property
    def n_estimated(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[Frame]:
        return (Frame(i, i / self.fps, image, i) for i, image in enumerate(self.images))


@dataclass
class Counts:
    """What one rule reports in all clips."""

    neutral: int = 0  # in neutral clips
    found: int = 0
    false: int = 0  # in the other clips

    def add(self, table: pd.DataFrame, truth: np.ndarray | None) -> None:
        """Count what is reported of a clip; `truth` (n, 2) are onset and offset in frames, None for a neutral clip."""
        if truth is None:
            self.neutral += len(table)
            return
        hits = len(match_intervals(table[["onset", "offset"]].to_numpy(), truth))
        self.found += hits
        self.false += len(table) - hits


def paper_tables(clip: Clip, weights: OwnWeights) -> dict[str, pd.DataFrame]:
    """What the paper's rule reports, without a lowest score and with each of `LEVELS`."""
    k_prime = weights.frames_at(clip.fps)[1]
    tracking, faces = score_video(clip, weights, Spotting(0.55), "largest", "kernel", 2, "")
    tables = {}
    for level in LEVELS:
        high = [replace(f, threshold=max(f.threshold, level or -np.inf)) for f in faces]
        name = "paper's rule, DEMO weights" + (f", score from {level}" if level else "")
        tables[name] = spot_expressions("", high, weights.classes, k_prime, clip.fps, range(tracking.n_frames))
    return tables


def new_tables(clip: Clip, weights: OwnWeights) -> dict[str, pd.DataFrame]:
    """What the second look reports with the default flags."""
    look = second_look_of(Settings(dataset_name=FOR_VIDEOS), WEIGHTS[FOR_VIDEOS], weights)
    tracking, faces = score_video(clip, weights, None, "largest", "kernel", 2, "")
    k = weights.frames_at(clip.fps)[0]
    found = look_again("", faces, weights.classes, k, look, clip.fps, range(tracking.n_frames))
    return {"new default, SYNTH weights": reported(found)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.benchmarks.neutral", description=__doc__.split("\n")[0])
    parser.add_argument("--videos", type=int, default=16, metavar="N", help="of either kind")
    n_videos = parser.parse_args().videos
    print(machine())
    compile_kernel()
    counts: dict[str, Counts] = {}
    for name, tables_of in (("DEMO", paper_tables), (FOR_VIDEOS, new_tables)):
        weights = weights_for_videos(PROJECT / "MEAN_Weights", WEIGHTS[name])
        minutes, annotated = 0.0, 0
        for subject, expressive in product(range(n_videos), (False, True)):
            settings = ClipSettings() if expressive else replace(ClipSettings(), n_me=(0, 0))
            images, events = render_clip(SEED, subject, int(expressive), settings)
            clip = Clip(list(images), settings.fps)
            truth = np.array([(e.onset, e.offset) for e in events if e.kind == MICRO]).reshape(-1, 2)
            annotated += len(truth)
            minutes += 0 if expressive else len(clip.images) / clip.fps / 60
            tables = tables_of(clip, weights)
            for row, table in tables.items():
                counts.setdefault(row, Counts()).add(table, truth if expressive else None)
    print(f"{n_videos} neutral and {n_videos} other videos of 10 s, {annotated} micro-expressions (synthetic)")
    print("| rule | neutral videos: expressions a minute | other videos: found | false |\n|---|---|---|---|")
    for row, n in counts.items():
        print(f"| {row} | {n.neutral / minutes:.1f} | {n.found} of {annotated} | {n.false} |")


if __name__ == "__main__":
    main()
