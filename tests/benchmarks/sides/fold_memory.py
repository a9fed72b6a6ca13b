"""Trains one fold as a worker does, on feature files that are made up, and prints the process's peak memory in bytes.

    PYTHONPATH=. python tests/benchmarks/sides/fold_memory.py FEATURES VIDEOS

FEATURES is a `.npy` of the features of a video. All videos have this file, which makes no difference to the memory: the
thinned set has its own copy of every sample. `rows/memory.py` runs this.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from feature_extraction import VideoFeatures
from prepare_training import recognition_samples, spotting_training_set
from train_evaluate import FoldJob, Hyperparameters, run_fold
from Utils.engine import compile_engine
from Utils.records import Expression, Fold, Video
from Utils.settings import Settings
from Utils.work.arrays import write_array
from Utils.work.machine import peak_memory

EMOTION, CLASSES = "negative", 3
K_PRIME = 6
RATIO = 5  # others for each expression frame (paper, section 3.1)


def video_features(number: int, features: Path, recognition: Path, n: int) -> VideoFeatures:
    """A video whose expression is so long that the thinning keeps all of its features."""
    length = -(-n // (RATIO + 1))
    expression = Expression(K_PRIME, K_PRIME + length // 2, K_PRIME + length, EMOTION)
    return VideoFeatures(Video(f"s{number}", "v", (), (expression,)), features, recognition, str(number))


def main() -> None:
    features, n_videos = Path(sys.argv[1]), int(sys.argv[2])
    compile_engine(lambda line: None)
    n = len(np.load(features, mmap_mode="r"))
    with TemporaryDirectory() as folder:
        recognition = Path(folder) / "recognition.npy"
        write_array(recognition, np.array(np.load(features, mmap_mode="r")[:1]))
        videos = tuple(video_features(i, features, recognition, n) for i in range(n_videos + 1))  # the last is tested
        samples = recognition_samples([v.video for v in videos], (EMOTION,))
        fold = Fold(n_videos, f"s{n_videos}", np.arange(n_videos), np.arange(n_videos), np.array([n_videos]))
        h = Hyperparameters.of(Settings(epochs_spot=1, epochs_recog=1, ratio=RATIO))
        kept = len(spotting_training_set(fold, videos, K_PRIME, h.ratio, h.seed).labels)
        run_fold(FoldJob(fold, videos, tuple(samples), CLASSES, K_PRIME, Path(folder) / "folds", h))
    print(peak_memory(), kept)


if __name__ == "__main__":
    main()
