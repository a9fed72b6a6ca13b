"""Time and memory of a whole training run for growing data, and the projection to the licensed datasets.

    python -m tests.benchmarks.growth demo [--times 1 2 4 8]    # DEMO with videos that many times as long
    python -m tests.benchmarks.growth memory [--videos 10 40]   # CASME_sq's layout, videos of 1,000 frames

Each row is one `main.py --train True` in a new process on a new synthetic dataset, which is removed afterwards. It has
a tenth of the paper's epochs: times are shorter, but grow in the same way. "CPU" is the time of all its processes.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests.benchmarks.__main__ import machine
from Utils.settings import PROJECT
from Utils.synthetic.clips import ClipSettings
from Utils.synthetic.dataset import WORKBOOK_NAME, plan, render_video, write_workbook
from Utils.work.parallel import release_workers, run_units

EPOCHS = (1, 10)
# frames of the annotated videos, folds, expressions, k' (docs/method.md, section 3; the frames: issue 4)
PROJECTED = {"CAS(ME)^2": (80_661, 14, 57, 6), "SAMM-LV": (313_605, 29, 159, 37)}
CLUSTERS = {"2 cores": 2, "16 cores": 16, "10 machines of 16 cores": 160}


class Row(NamedTuple):
    """One run: its data, and its time (seconds) and memory (GB)."""

    videos: int
    frames: int
    folds: int
    samples: int
    wall: float
    cpu: float
    stages: dict[str, float]
    main_memory: float
    worker_memory: float


def measure(dataset: str, n_subjects: int, videos_each: int, settings: ClipSettings, workers: int) -> Row:
    """Render a dataset and train on it."""
    plans = plan(1, n_subjects, videos_each, settings)
    with tempfile.TemporaryDirectory(prefix="mean-growth-") as folder:
        root = Path(folder) / "data" / dataset
        run_units(partial(render_video, root=root), plans, workers, "rendering", "video")
        write_workbook(plans, root / WORKBOOK_NAME)
        release_workers()  # otherwise the time of rendering would be counted when these processes end
        flags = ["--dataset_name", dataset, "--train", "True", "--workers", str(workers)]
        flags += ["--epochs_spot", str(EPOCHS[0]), "--epochs_recog", str(EPOCHS[1])]
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, PROJECT / "main.py", *flags], cwd=folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        said, begun = [], {}
        for line in process.stdout:
            said.append(line)
            if line.strip() and not line.startswith((" ", "-", "|")):
                begun[line.strip().split(",")[0]] = time.perf_counter()
        if process.wait():
            raise SystemExit(f"the run failed: {''.join(said[-3:])}")
        after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - start
        metrics, about = (
            json.loads(next(Path(folder).glob(f"runs/*/{name}.json")).read_text(encoding="utf-8"))
            for name in ("metrics", "settings")
        )
    cpu = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
    memory = re.search(r"main ([\d.]+) GB, worker at most ([\d.]+) GB", "".join(said))
    names = ("Face crop", "Optical-flow features", "Leave-one-subject-out training", "Evaluation")
    moments = [begun[name] for name in names]
    stages = dict(zip(("crop", "features", "training"), np.diff(moments).tolist(), strict=True))
    n_videos = len(metrics["per_video"])
    samples = thinned_samples(metrics["spotting"]["tp"] + metrics["spotting"]["fn"], about["k_prime"])
    return Row(
        n_videos, n_videos * settings.frames, n_subjects, samples, wall, cpu, stages, float(memory[1]), float(memory[2])
    )


def thinned_samples(expressions: int, k_prime: int, ratio: int = 5) -> int:
    """Number of spotting samples of a dataset.

    An expression of mean length 2k' gives 3k' - 1 features with label 1, and `ratio` times as many others are added.
    """
    return expressions * (3 * k_prime - 1) * (1 + ratio)


def show(rows: list[Row]) -> None:
    print("\n videos  frames  folds    wall     CPU    crop  features  training  main     worker")
    for r in rows:
        stages = "  ".join(f"{r.stages[name]:6.1f} s" for name in ("crop", "features", "training"))
        print(f"{r.videos:7d} {r.frames:7d} {r.folds:6d} {r.wall:6.0f} s {r.cpu:6.0f} s {stages}  "
              f"{r.main_memory:.1f} GB   {r.worker_memory:.1f} GB")  # fmt: skip


def departure_from_line(rows: list[Row]) -> float:
    """The largest relative distance of a row's time (wall clock) from the straight line through all rows."""
    frames, wall = np.array([r.frames for r in rows]), np.array([r.wall for r in rows])
    weights = 1 / wall  # relative distances count
    return float(np.abs(np.polyval(np.polyfit(frames, wall, 1, w=weights), frames) / wall - 1).max())


def project(row: Row, workers: int) -> None:
    """Scale the largest row: crops and features by frames, training by folds x thinned samples x the paper's epochs."""
    per_frame = (row.stages["crop"] + row.stages["features"]) * workers / row.frames
    per_sample = row.stages["training"] * workers * 10 / ((row.folds + 1) * row.samples)
    print("\nProjection, not a measurement (this machine's core, paper's epochs, every core busy):")
    for name, (frames, folds, expressions, k_prime) in PROJECTED.items():
        fold = per_sample * thinned_samples(expressions, k_prime)
        times = []
        for title, cores in CLUSTERS.items():
            training = fold * -(-(folds + 1) // cores)  # a fold is not divided
            times.append(f"{title} {(per_frame * frames / cores + training) / 60:.0f} min")
        work = (per_frame * frames + fold * (folds + 1)) / 3600
        print(f"  {name} ({frames} frames, {folds} folds): {work:.1f} core hours; {', '.join(times)}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.benchmarks.growth", description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("demo", "memory"))
    parser.add_argument("--times", type=int, nargs="+", default=[1, 2, 4, 8], metavar="N")
    parser.add_argument("--videos", type=int, nargs="+", default=[10, 40], metavar="N")
    parser.add_argument("--workers", type=int, default=2, metavar="N")
    arguments = parser.parse_args()
    print(machine())
    rows = []
    if arguments.what == "memory":
        settings = ClipSettings(frames=1000, n_me=(1, 2), n_macro=(0, 2), n_speech=(0, 2))
        for n in arguments.videos:
            rows.append(measure("CASME_sq", max(2, n // 5), 5, settings, arguments.workers))
            show(rows[-1:])
        return
    for times in arguments.times:
        longer = ClipSettings(frames=300 * times, n_me=(2 * times, 4 * times), n_macro=(0, times), n_speech=(0, times))
        rows.append(measure("DEMO", 8, 2, longer, arguments.workers))
        show(rows[-1:])
    show(rows)
    print(f"\nTime departs from a straight line in the number of frames by at most {departure_from_line(rows):.1%}")
    project(rows[-1], arguments.workers)


if __name__ == "__main__":
    main()
