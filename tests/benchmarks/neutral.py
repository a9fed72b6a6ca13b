"""How many expressions neutral videos give, and how an absolute threshold changes this: figures of the README.

    python -m tests.benchmarks.neutral [--videos 16]

New synthetic subjects, who are not in DEMO, are filmed for 10 s each, once without and once with micro-expressions.
Both have blinks, glances, head motion, speech and macro-expressions. The videos are analysed as the user's own videos,
with the shipped network of all DEMO subjects.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from tests.benchmarks.__main__ import machine
from Utils.datasets.table import DATASETS
from Utils.evaluation.metrics import match_intervals
from Utils.networks.backend import without_chatter
from Utils.own_video.scoring import Spotting, score_video, spot_expressions
from Utils.own_video.video_files import Frame
from Utils.own_video.weights import weights_for_videos
from Utils.settings import PROJECT
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


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.benchmarks.neutral", description=__doc__.split("\n")[0])
    parser.add_argument("--videos", type=int, default=16, metavar="N", help="of either kind")
    n_videos = parser.parse_args().videos
    print(machine())
    compile_kernel()
    weights = weights_for_videos(PROJECT / "MEAN_Weights", DATASETS["DEMO"])
    neutral, minutes = dict.fromkeys(LEVELS, 0), 0.0
    found, fired, annotated = dict.fromkeys(LEVELS, 0), dict.fromkeys(LEVELS, 0), 0
    for subject in range(n_videos):
        for expressive in (False, True):
            settings = ClipSettings() if expressive else replace(ClipSettings(), n_me=(0, 0))
            images, events = render_clip(SEED, subject, int(expressive), settings)
            clip = Clip(list(images), settings.fps)
            truth = np.array([(e.onset, e.offset) for e in events if e.kind == MICRO]).reshape(-1, 2)
            annotated += len(truth)
            minutes += 0 if expressive else len(clip.images) / clip.fps / 60
            k_prime = weights.frames_at(clip.fps)[1]
            with without_chatter():
                tracking, faces = score_video(clip, weights, Spotting(0.55), "largest", "kernel", 2, "")
            for level in LEVELS:
                high = [replace(f, threshold=max(f.threshold, level or -np.inf)) for f in faces]
                table = spot_expressions("", high, weights.classes, k_prime, clip.fps, range(tracking.n_frames))
                if expressive:
                    hits = match_intervals(table[["onset", "offset"]].to_numpy(), truth)
                    found[level] += len(hits)
                    fired[level] += len(table) - len(hits)
                else:
                    neutral[level] += len(table)
    print(f"{n_videos} neutral and {n_videos} other videos of 10 s, {annotated} micro-expressions (synthetic)")
    print("absolute threshold   neutral: expressions a minute   others: found, false")
    for level in LEVELS:
        shown = "none" if level is None else f"{level:.1f}"
        print(f"{shown:>18}   {neutral[level] / minutes:29.1f}   {found[level]:13d}, {fired[level]}")


if __name__ == "__main__":
    main()
