"""How long the command line takes for small tasks, from the start of Python to its end."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.benchmarks.rows.process import run_main
from tests.benchmarks.table import Row
from tests.benchmarks.timing import Sizes, seconds
from tests.support.video_clips import write_video
from Utils.settings import PROJECT
from Utils.synthetic.clips import ClipSettings, render_clip

HELP_GOAL, EVALUATION_GOAL, VIDEO_GOAL = 0.15, 1, 5  # seconds
REAL_CLIP = PROJECT.parent / "shared" / "video" / "single_face.mp4"  # 2.4 s, 640x360, 30 frames per second
CLIP = ClipSettings(frames=72, size=(640, 360), n_me=(1, 1), n_macro=(0, 0), n_speech=(0, 0))
ROWS, VIDEOS = 1000, 50
CLASSES = ("negative", "positive", "surprise")


def startup_rows(sizes: Sizes) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="mean-benchmark-") as place:
        folder = Path(place)
        predictions, truth = write_tables(folder)
        video, which = clip(folder)
        evaluate = ["--evaluate", predictions, "--ground_truth", truth]
        return [
            _row("--help", HELP_GOAL, lambda i: ["--help"], folder, sizes),
            _row(f"--evaluate, {ROWS:,} rows", EVALUATION_GOAL, lambda i: evaluate, folder, sizes),
            _row(
                "--video, 2.4 s of video", VIDEO_GOAL,
                # new folders each time: kept scores would be used
                lambda i: ["--video", video, "--cache_dir", f"cache{i}", "--output_dir", f"out{i}"],
                folder, sizes, f"{which}, 640x360",
            ),
        ]  # fmt: skip


def _row(task: str, goal: float, flags, folder: Path, sizes: Sizes, remark: str = "") -> Row:
    """The median time of a task. One run before it is not counted: it reads files into memory and compiles.

    `flags` gives those of the i-th run.
    """
    times = [seconds(run_main, flags(i), folder) for i in range(sizes.rounds + 1)]
    return Row(f"main.py {task}", float(np.median(times[1:])), goal, "s", at_most=True, remark=remark)


def clip(folder: Path) -> tuple[Path, str]:
    """A video of 2.4 s with one face, and what it shows."""
    if REAL_CLIP.exists():
        return REAL_CLIP, "a real face"
    images, _ = render_clip(0, 0, 0, CLIP)
    return write_video(folder / "clip.mp4", list(images)), "a rendered face"


def write_tables(folder: Path) -> Sequence[Path]:
    """Tables of predictions and of annotations with `ROWS` rows each. Half of the predictions lie on an annotation."""
    rng, paths = np.random.default_rng(0), (folder / "predictions.csv", folder / "ground_truth.csv")
    lines = ["subject,video,onset,apex,offset,emotion,score"], ["subject,video,onset,apex,offset,emotion"]
    for i in range(ROWS):
        video, onset = f"s{i % VIDEOS // 2},v{i % VIDEOS}", 40 * (i // VIDEOS) + 10
        lines[1].append(f"{video},{onset},{onset + 6},{onset + 12},{rng.choice(CLASSES)}")
        shift = 2 if i % 2 else 18
        frames = f"{onset + shift},{onset + shift + 6},{onset + shift + 12}"
        lines[0].append(f"{video},{frames},{rng.choice(CLASSES)},{rng.random():.4f}")
    for path, of_table in zip(paths, lines, strict=True):
        path.write_text("\n".join(of_table) + "\n", encoding="utf-8")
    return paths
