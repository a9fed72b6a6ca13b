"""Memory, open files and threads of one process that analyses many videos: figures of docs/reliability.md.

    python -m tests.benchmarks.soak [--videos 200] [--frames 60] [--plot docs/images/soak.png]

Each video is new: another synthetic face is rendered, written as a file, and given to `main.py --video` in this process
(face detection, flow, the shipped network, tables, ELAN file, overlay, report). The rendering and writing are measured,
too. Linux only, because the figures are read from /proc.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

import main as command_line
from tests.benchmarks.__main__ import machine
from tests.support.video_clips import write_video
from Utils.report.colours import PALETTE
from Utils.report.figures import new_figure
from Utils.synthetic.clips import ClipSettings, render_clip
from Utils.work.cache import SCRATCH

SEED = 200  # DEMO's is 0
WARM_UP = 0.2  # share of the videos that is not counted: libraries are loaded, and allocators grow


class Reading(NamedTuple):
    """This process after a video: resident memory in MB, open file descriptors, threads, files left over."""

    memory: float
    files: int
    threads: int
    left_over: int


def read_process(work: Path) -> Reading:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    left = [p for p in work.rglob("*") if SCRATCH.fullmatch(p.name)] + list((work / "tmp").iterdir())
    counts = [len(os.listdir(f"/proc/self/{name}")) for name in ("fd", "task")]
    return Reading(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, *counts, len(left))


def analyse(number: int, settings: ClipSettings, work: Path) -> None:
    """One new video through the command; its results are checked and removed."""
    images, _ = render_clip(SEED, number, 0, settings)
    video = write_video(work / f"video{number}.mp4", list(images))
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = command_line.main(["--video", str(video), "--output_dir", str(work / "out"), "--workers", "1"])
    if code or not (work / f"out/video{number}/report.html").is_file():
        raise SystemExit(f"video {number}: exit code {code}\n{said.getvalue()}")
    shutil.rmtree(work / "out")
    video.unlink()


def slope(values: np.ndarray) -> float:
    """Growth per 100 videos: the slope of a straight line through what comes after the warm-up."""
    first = round(len(values) * WARM_UP)
    return float(np.polyfit(np.arange(first, len(values)), values[first:], 1)[0] * 100)


def draw(path: Path, readings: np.ndarray) -> None:
    """Plot memory above, files and threads below, for each video."""
    with new_figure(path, 4.6) as figure:
        figure.subplots_adjust(left=0.075, right=0.985, top=0.9, bottom=0.11, hspace=0.38)
        memory, counts = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        x = np.arange(1, len(readings) + 1)
        memory.plot(x, readings[:, 0], color=PALETTE[0], linewidth=1.6)
        memory.axvline(round(len(x) * WARM_UP), color="0.7", linewidth=0.8)
        memory.set_ylim(0, readings[:, 0].max() * 1.12)
        memory.set_ylabel("resident memory, MB")
        memory.set_title(
            f"{len(x)} videos in one process: {slope(readings[:, 0]):+.1f} MB per 100 videos after the grey line",
            loc="left",
        )
        for column, name, colour in ((1, "open files", PALETTE[1]), (2, "threads", PALETTE[2])):
            counts.plot(x, readings[:, column], color=colour, linewidth=1.6, label=name)
        counts.set_ylim(0, readings[:, 1:3].max() * 1.3)
        counts.set_ylabel("number")
        counts.set_xlabel("video")
        counts.legend(loc="upper right", ncols=2)


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.benchmarks.soak", description=__doc__.split("\n")[0])
    parser.add_argument("--videos", type=int, default=200, metavar="N")
    parser.add_argument("--frames", type=int, default=60, metavar="N", help="of each")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw the figure there")
    arguments = parser.parse_args()
    settings = ClipSettings(frames=arguments.frames, size=(160, 120), n_me=(1, 1), n_macro=(0, 0), n_speech=(0, 0))
    print(machine())
    readings, start = [], time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="mean-soak-") as folder:
        work = Path(folder)
        (work / "tmp").mkdir()
        tempfile.tempdir = str(work / "tmp")
        for number in range(arguments.videos):
            analyse(number, settings, work)
            gc.collect()  # objects that only wait for garbage collection are not growth
            readings.append(read_process(work))
            if number % 20 == 19:
                print(f"  {number + 1} videos, {time.perf_counter() - start:.0f} s: {readings[-1]}", flush=True)
        tempfile.tempdir = None
    table = np.array(readings)
    first = table[round(len(table) * WARM_UP)]
    for column, (name, unit) in enumerate((("memory", " MB"), ("open files", ""), ("threads", ""), ("left over", ""))):
        print(
            f"{name}: {first[column]:.0f}{unit} after the warm-up, {table[-1, column]:.0f}{unit} at the end, at most "
            f"{table[:, column].max():.0f}{unit}; {slope(table[:, column]):+.2f}{unit} per 100 videos"
        )
    if arguments.plot:
        draw(arguments.plot, table)


if __name__ == "__main__":
    main()
