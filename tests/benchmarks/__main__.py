"""Compares the speed of each stage with the published way of doing it, on DEMO. Both are measured in turns in one run.

    python -m tests.benchmarks [--data_root DIR] [--frames 60] [--samples 5000] [--epochs 10 100] [--rounds 3]

Needs a quiet machine and about a quarter of an hour. Both sides compute on one thread, except in rows that name another
number. A ratio is the time of the published way, divided by ours.
"""

from __future__ import annotations

import argparse
import datetime
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numba
import numpy as np

from Utils.networks.backend import seed_keras, without_chatter

seed_keras(0)

import keras  # noqa: E402  after the set-up

from face_crop import CropJob, crop_video, first_face  # noqa: E402
from feature_extraction import (  # noqa: E402
    FeatureJob,
    extract_features,
    extract_video,
    face_regions,
    feature_image,
    flow_function,
)
from load_images import read_crops  # noqa: E402
from prepare_training import (  # noqa: E402
    as_inputs,
    loso_folds,
    recognition_samples,
    recognition_training_set,
    spotting_training_set,
    spotting_validation_set,
)
from tests.benchmarks import published  # noqa: E402
from tests.benchmarks.flow import processor  # noqa: E402
from tests.benchmarks.opencv_versions import DEMO, demo_videos, raw_demo_videos  # noqa: E402
from train_evaluate import FoldJob, Hyperparameters, run_fold  # noqa: E402
from Utils.faces.images import read_image, write_jpeg  # noqa: E402
from Utils.faces.landmarks import detect_faces, predict_landmarks  # noqa: E402
from Utils.faces.rectangles import cut_face  # noqa: E402
from Utils.records import Video  # noqa: E402
from Utils.settings import Settings  # noqa: E402
from Utils.tvl1 import TVL1, compile_kernel  # noqa: E402
from Utils.work.machine import version  # noqa: E402

GOALS = {"crop": 15, "features": 15, "training": 3, "end to end": 12}
SHOWN = ("tensorflow", "keras", "numpy", "numba", "opencv-contrib-python-headless", "dlib-bin", "pandas")
SQUARE_ROOTS = 2  # float64, per pixel and inner iteration of the flow (Utils/tvl1/iteration.py)


def seconds(function: Callable, *arguments) -> float:
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def in_turns(theirs: Callable, ours: Callable, rounds: int) -> tuple[float, float]:
    """Median seconds of both functions, which are called in turns."""
    pairs = [(seconds(theirs), seconds(ours)) for _ in range(rounds)]
    return tuple(np.median(pairs, axis=0))


def time_crop(video: Video, n: int, rounds: int) -> tuple[float, float]:
    """Seconds per frame.

    Ours only detects the face on the first frame, so the length of the video matters: DEMO's videos have 300 frames.
    """
    with tempfile.TemporaryDirectory() as folder:
        job = CropJob(video, Path(folder) / "ours", tuple(f.name for f in video.frames), fresh=True)
        theirs, ours = in_turns(
            lambda: published.crop(video.frames[:n], Path(folder)), lambda: crop_video(job), rounds
        )  # fmt: skip
    return theirs / n, ours / len(video.frames)


def time_features(video: Video, n: int, rounds: int) -> tuple[float, float]:
    """Seconds per pair, from the same crops. Both results are compared."""
    short = replace(video, frames=video.frames[: n + DEMO.k], expressions=())
    made: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as folder:

        def ours() -> None:
            found = extract_video(FeatureJob(short, DEMO.k, "kernel", Path(folder), fresh=True))
            made["ours"] = np.load(found.spotting)

        def theirs() -> None:
            made["theirs"] = published.features(short.frames, DEMO.k)

        times = in_turns(theirs, ours, rounds)
    print(f"  features differ by at most {np.abs(made['ours'] - made['theirs']).max():.1e}")
    return times[0] / n, times[1] / n


def time_training(job: FoldJob, n_samples: int, epochs: tuple[int, int]) -> tuple[float, float, float, int]:
    """Seconds per fold of `n_samples` thinned samples (DEMO's, repeated or cut to that number), and DEMO's own number.

    Ours is given twice: for the first fold of a process, which compiles, and for a further one.
    """
    import train_evaluate

    h = job.hyperparameters
    frames = spotting_training_set(job.fold, job.features, job.k_prime, h.ratio, h.seed)
    chosen = np.arange(n_samples) % len(frames.labels)
    images, labels = frames.images()[chosen], frames.labels[chosen]
    spotting = as_inputs(images), labels

    def recognition(samples: list) -> tuple | None:
        images, classes = recognition_training_set(samples, job.features)
        return (as_inputs(images), keras.utils.to_categorical(classes, job.n_classes)) if len(classes) else None

    trained = recognition([job.samples[i] for i in job.fold.recog_train])
    held_out = recognition([s for s in job.samples if s.video in job.fold.test])
    of_held_out = spotting_validation_set(job.fold, job.features, job.k_prime)
    validation = (as_inputs(of_held_out[0]), of_held_out[1]), held_out
    kept = train_evaluate.spotting_training_set
    train_evaluate.spotting_training_set = lambda *_: GivenFrames(images, labels)
    try:
        with tempfile.TemporaryDirectory() as folder, without_chatter():
            theirs = seconds(published.train, spotting, trained, validation, Path(folder), epochs)
            first, further = (seconds(run_fold, replace(job, folder=Path(folder) / name)) for name in ("1", "2"))
    finally:
        train_evaluate.spotting_training_set = kept
    return theirs, first, further, len(frames.labels)


@dataclass(frozen=True)
class GivenFrames:
    """Training frames that are in memory. They take the place of `prepare_training.ThinnedFrames`."""

    kept: np.ndarray
    labels: np.ndarray

    def images(self) -> np.ndarray:
        return self.kept


def time_whole(folder: Path, data_root: Path, train: bool) -> float:
    """Seconds of `main.py` on all of DEMO with two workers. Crops and features are made again."""
    import main

    flags = ["--data_root", data_root, "--cache_dir", folder / "cache", "--output_dir", folder / "runs"]
    flags += ["--train", train, "--workers", "2", "--fresh"]
    start = time.perf_counter()
    if main.main([*map(str, flags)]):
        raise SystemExit("the run of DEMO failed")
    return time.perf_counter() - start


def scaling(videos: list[Video], rounds: int) -> tuple[float, float]:
    """How many times faster two processes, and two threads, extract features than one."""
    short = [replace(v, frames=v.frames[:150], expressions=()) for v in videos[:4]]
    with tempfile.TemporaryDirectory() as folder:

        def processes(n: int) -> None:
            extract_features(short, DEMO.k, "kernel", Path(folder), n, fresh=True)

        processes(2)  # the processes stay, as between the stages of a run
        of_processes = in_turns(lambda: processes(1), lambda: processes(2), rounds)
    crops = [list(read_crops(v)) for v in short[:2]]

    def flows(images: list[np.ndarray]) -> None:
        kernel = TVL1()
        for first, second in zip(images, images[DEMO.k :], strict=False):
            kernel(first, second)

    def threads(n: int) -> None:
        with ThreadPoolExecutor(n) as pool:
            list(pool.map(flows, crops))

    of_threads = in_turns(lambda: threads(1), lambda: threads(2), rounds)
    return of_processes[0] / of_processes[1], of_threads[0] / of_threads[1]


def parts_of_crop(video: Video) -> dict[str, float]:
    """Milliseconds per frame of each part of cropping."""
    n, parts = 60, dict.fromkeys(("read and decode", "cut and resize", "encode and write"), 0.0)
    found = seconds(detect_faces, read_image(video.frames[0]))
    _, rectangle = first_face(video)
    with tempfile.TemporaryDirectory() as folder:
        for path in video.frames[:n]:
            start = time.perf_counter()
            image = read_image(path)
            decoded = time.perf_counter()
            crop = cut_face(image, rectangle)
            cut = time.perf_counter()
            write_jpeg(Path(folder) / path.name, crop)
            done = time.perf_counter()
            for name, value in zip(parts, (decoded - start, cut - decoded, done - cut), strict=True):
                parts[name] += value / n * 1e3
    return {"detection, once per video": found / len(video.frames) * 1e3} | parts


def parts_of_features(video: Video) -> dict[str, float]:
    """Milliseconds per pair of each part of feature extraction."""
    n = 60
    start = time.perf_counter()
    crops = list(read_crops(replace(video, frames=video.frames[: n + DEMO.k])))
    decoded = (time.perf_counter() - start) / len(crops) * 1e3
    flow, regions = flow_function("kernel"), face_regions(predict_landmarks(crops[0]))
    pairs = list(zip(crops, crops[DEMO.k :], strict=False))
    flows = seconds(lambda: [flow(*pair) for pair in pairs]) / n * 1e3
    whole = seconds(lambda: [feature_image(*pair, regions, flow) for pair in pairs]) / n * 1e3
    return {"read and decode": decoded, "flow": flows, "strain, normalising, regions": whole - flows}


@numba.njit
def _square_roots(values: np.ndarray, times: int) -> float:
    total = 0.0
    for _ in range(times):
        for i in range(values.size):
            values[i] = np.sqrt(values[i] + 1.0)
    return total + values[0]


def limits(video: Video) -> list[str]:
    """The kernel's time per pixel and inner iteration, the time that its square roots alone take, and its memory."""
    crops = list(read_crops(replace(video, frames=video.frames[:13])))
    kernel, iterations = TVL1(), 0
    start = time.perf_counter()
    for first, second in zip(crops, crops[3:], strict=False):
        kernel(first, second)
        iterations += kernel.counts[2]
    per_iteration = (time.perf_counter() - start) / iterations * 1e9
    values = np.ones(1024)
    _square_roots(values, 1)
    root = min(seconds(_square_roots, values, 20_000) for _ in range(3)) / (20_000 * values.size) * 1e9
    source, target = np.ones((2, 1 << 26), np.float32)
    bandwidth = 2 * source.nbytes / min(seconds(np.copyto, target, source) for _ in range(3)) / 1e9
    return [
        f"flow: {per_iteration:.2f} ns per pixel and inner iteration; its {SQUARE_ROOTS} float64 square roots alone "
        f"take {SQUARE_ROOTS * root:.2f} ns here, so at most {per_iteration / (SQUARE_ROOTS * root):.1f} times faster",
        f"memory: {bandwidth:.1f} GB/s (copy); a pair's fields (under 1 MB) stay in the second-level cache",
    ]


def report(rows: list[tuple[str, str, float, float]], notes: list[str]) -> None:
    width = max(len(f"{stage}, {unit}") for stage, unit, *_ in rows)
    print(f"\n{'':{width}}   published        ours      ratio   goal")
    for stage, unit, theirs, ours in rows:
        figures = (
            f"{theirs * 1e3:9.2f} ms {ours * 1e3:8.2f} ms"
            if "1,000" not in unit and "fold" not in unit
            else f"{theirs:9.1f} s  {ours:8.1f} s "
        )
        print(f"{f'{stage}, {unit}':{width}}  {figures} {theirs / ours:9.1f}   {GOALS[stage]:4d}")
    print()
    for note in notes:
        print(note)


def machine() -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in SHOWN)
    return f"{datetime.date.today()}, {processor()}, {os.cpu_count()} cores\n{versions}"


def shares(title: str, parts: dict[str, float]) -> str:
    total = sum(parts.values())
    return f"{title} ({total:.2f} ms): " + ", ".join(f"{k} {v:.2f} ms ({v / total:.0%})" for k, v in parts.items())


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.benchmarks", description=__doc__.split("\n")[0])
    parser.add_argument("--data_root", type=Path, default=Path("data"), metavar="DIR")
    parser.add_argument("--frames", type=int, default=60, metavar="N", help="frames of the published crop and flow")
    parser.add_argument("--samples", type=int, default=5000, metavar="N", help="thinned samples of the fold")
    parser.add_argument("--epochs", type=int, nargs=2, default=(10, 100), metavar="N", help="spotting, recognition")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    arguments = parser.parse_args()

    print(machine())
    compile_kernel()
    cv2.setNumThreads(1)
    raw, (videos, k_prime) = raw_demo_videos(arguments.data_root), demo_videos(arguments.data_root)
    n = arguments.frames
    print("crop ...", flush=True)
    crop = time_crop(raw[0], n, arguments.rounds)
    print("features ...", flush=True)
    pair = time_features(videos[0], n, arguments.rounds)
    print("end to end ...", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        trained, pretrained = (time_whole(Path(folder), arguments.data_root, train) for train in (True, False))
        found, _ = extract_features(videos, DEMO.k, "kernel", Path(folder) / "cache" / DEMO.name, 2)
        samples = recognition_samples(videos, DEMO.classes)
        folds = loso_folds(videos, samples, list(dict.fromkeys(v.subject for v in videos)))
        epochs = dict(epochs_spot=arguments.epochs[0], epochs_recog=arguments.epochs[1])
        job = FoldJob(
            folds[0], tuple(found), tuple(samples), 3, k_prime, Path(), Hyperparameters.of(Settings(**epochs))
        )
        print("training ...", flush=True)
        fold_theirs, *fold_ours, own_samples = time_training(job, arguments.samples, arguments.epochs)
    print("scaling ...", flush=True)
    processes, threads = scaling(videos, arguments.rounds)
    frames = sum(len(v.frames) for v in videos) / 1000
    # the whole of the published way: the stages as measured above, one after the other
    theirs = (crop[0] + pair[0]) * 1000
    theirs_trained = theirs + len(folds) * fold_theirs * own_samples / arguments.samples / frames
    report(
        [
            ("crop", "per frame", *crop),
            ("features", "per pair", *pair),
            ("training", f"per fold of {arguments.samples} samples, the first", fold_theirs, fold_ours[0]),
            ("training", f"per fold of {arguments.samples} samples, further", fold_theirs, fold_ours[1]),
            ("end to end", "per 1,000 frames, trained folds", theirs_trained, trained / frames),
            ("end to end", "per 1,000 frames, given folds", theirs, pretrained / frames),
        ],
        [
            f"Two processes extract features {processes:.2f} times as fast as one, two threads compute flow "
            f"{threads:.2f} times as fast.",
            f"End to end: ours is `main.py` on DEMO ({len(folds)} folds) with 2 workers, the start of TensorFlow, "
            "figures, report, and where it trains the network of all subjects; the published way is the sum of its "
            "stages (the whole would take an hour).",
            shares("Crop per frame", parts_of_crop(raw[0])),
            shares("Features per pair", parts_of_features(videos[0])),
            *limits(videos[0]),
        ],
    )


if __name__ == "__main__":
    main()
