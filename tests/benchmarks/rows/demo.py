"""Stages of a run on DEMO: crop, features, and everything from end to end."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from face_crop import CropJob, crop_video
from feature_extraction import MEAN_FEATURES, FeatureJob, extract_video
from prepare_training import pseudo_labels
from tests.benchmarks import published
from tests.benchmarks.rows.networks import FoldTimes, fold_times
from tests.benchmarks.rows.process import run_main
from tests.benchmarks.table import Row, ratio_row
from tests.benchmarks.timing import Sizes, in_turns, seconds
from training_utils import thin
from Utils.datasets.table import DATASETS
from Utils.engine import compile_engine
from Utils.records import Video
from Utils.settings import Settings
from Utils.tvl1 import compile_kernel

STAGE_GOAL, TRAINED_GOAL, GIVEN_GOAL = 15, 15, 35
DEMO = DATASETS["DEMO"]
WORKERS = 2


class Pair(NamedTuple):
    """Median seconds of the published way and of ours."""

    theirs: float
    ours: float


class Demo:
    """DEMO, and the times of the stages on it. Each is measured when it is asked for, once."""

    def __init__(self, data_root: Path, sizes: Sizes) -> None:
        compile_kernel()
        compile_engine()
        cv2.setNumThreads(1)
        self.data_root, self.sizes = data_root, sizes

    @cached_property
    def raw(self) -> list[Video]:
        from tests.benchmarks.opencv_versions import raw_demo_videos

        return raw_demo_videos(self.data_root)

    @property
    def cropped(self) -> list[Video]:
        return self._cropped[0]

    @property
    def k_prime(self) -> int:
        return self._cropped[1]

    @cached_property
    def _cropped(self) -> tuple[list[Video], int]:
        from tests.benchmarks.opencv_versions import demo_videos

        return demo_videos(self.data_root)

    @cached_property
    def crop(self) -> Pair:
        """A frame. Ours detects the face on the first frame only, so the length of the video matters: 300 frames."""
        video, n = self.raw[0], self.sizes.frames
        with tempfile.TemporaryDirectory() as folder:
            job = CropJob(video, Path(folder) / "ours", tuple(f.name for f in video.frames), fresh=True)
            theirs, ours = in_turns(
                lambda: published.crop(video.frames[:n], Path(folder)), lambda: crop_video(job), self.sizes.rounds
            )  # fmt: skip
        return Pair(theirs / n, ours / len(video.frames))

    @cached_property
    def features(self) -> tuple[Pair, float]:
        """A pair of crops, and the largest difference of the two sides' features."""
        video, n = self.cropped[0], self.sizes.frames
        short = replace(video, frames=video.frames[: n + DEMO.k], expressions=())
        made: dict[str, np.ndarray] = {}
        with tempfile.TemporaryDirectory() as folder:

            def ours() -> None:
                made["ours"] = features_of(short, Path(folder))

            def theirs() -> None:
                made["theirs"] = published.features(short.frames, DEMO.k)

            times = in_turns(theirs, ours, self.sizes.rounds)
        return Pair(times[0] / n, times[1] / n), float(np.abs(made["ours"] - made["theirs"]).max())

    @cached_property
    def whole_video(self) -> np.ndarray:
        """The features of the first video, (n, 42, 42, 3) float32."""
        with tempfile.TemporaryDirectory() as folder:
            return np.array(features_of(replace(self.cropped[0], expressions=()), Path(folder)))

    @cached_property
    def fold(self) -> FoldTimes:
        return fold_times(self.sizes)

    def thinned(self, held_out: str) -> int:
        """The number of thinned samples of a fold."""
        videos = [v for v in self.cropped if v.subject != held_out]
        labels = [pseudo_labels(len(v.frames) - DEMO.k, v.expressions, self.k_prime) for v in videos]
        return len(thin(np.concatenate(labels), Settings().ratio, np.random.default_rng(0)))


def features_of(video: Video, folder: Path) -> np.ndarray:
    job = FeatureJob(video, DEMO.k, DEMO.fps, "kernel", folder, MEAN_FEATURES, fresh=True)
    return np.load(extract_video(job).spotting, mmap_mode="r")


def crop_rows(demo: Demo) -> list[Row]:
    return [ratio_row("face crop, a frame", *demo.crop, STAGE_GOAL)]


def feature_rows(demo: Demo) -> list[Row]:
    times, difference = demo.features
    return [ratio_row("features, a pair", *times, STAGE_GOAL, f"the features differ by at most {difference:.1e}")]


def end_to_end_rows(demo: Demo) -> list[Row]:
    """`main.py` on all of DEMO, against the sum of the published stages, which would take an hour."""
    thousands = sum(len(v.frames) for v in demo.raw) / 1000
    subjects = list(dict.fromkeys(v.subject for v in demo.raw))
    theirs = (demo.crop.theirs + demo.features[0].theirs) * 1000
    of_folds = sum(demo.fold.published * demo.thinned(held_out) / demo.sizes.samples for held_out in subjects)
    ours = [[run_demo(demo, train) / thousands for train in (True, False)] for _ in range(demo.sizes.rounds)]
    trained, given = map(float, np.median(ours, axis=0))
    what = f"end to end, 1,000 frames, {WORKERS} workers"
    how = "the published way is the sum of its stages; the fold is scaled to DEMO's samples"
    return [
        ratio_row(
            f"{what}, {len(subjects)} folds trained", theirs + of_folds / thousands, trained, TRAINED_GOAL, how
        ),
        ratio_row(f"{what}, given weights", theirs, given, GIVEN_GOAL),
    ]  # fmt: skip


def run_demo(demo: Demo, train: bool) -> float:
    """Seconds of a run on DEMO: start, crops, features, folds, figures, report. Nothing is taken from the cache."""
    with tempfile.TemporaryDirectory(prefix="mean-benchmark-") as folder:
        flags = ["--data_root", demo.data_root.resolve(), "--cache_dir", "cache", "--output_dir", "runs"]
        flags += ["--train", train, "--workers", WORKERS, "--fresh"]
        return seconds(run_main, flags, Path(folder))
