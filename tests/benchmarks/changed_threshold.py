"""How long another `--false_alarms` takes for a video that was analysed before, and what takes that time.

    python -m tests.benchmarks.changed_threshold ../shared/video/WolfgangLanger_Pexels.mp4 10 20 60

For each length in seconds, the video is played forwards and backwards until it is so long, at 640x360 and 30 frames a
second. Printed are `took` of settings.json for the first analysis, the median for three other values, the same without
an overlay, and the time that reading the video alone takes. Loading Python and TensorFlow does not count.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import cv2
import pytest

import main as command_line
import Utils.own_video.run
from tests.support.video_clips import write_video
from Utils.own_video.video_files import open_video

WIDTH, HEIGHT, FPS = 640, 360, 30
USED = 240  # frames of the video that are played
OTHERS = (2, 4, 8)  # values of --false_alarms


def frames_of(path: Path) -> list:
    frames = itertools.islice(open_video(path), USED)
    return [cv2.resize(frame.image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) for frame in frames]


def took(video: Path, false_alarms: int, work: Path, out: str) -> float:
    """Seconds that the analysis with this value took."""
    flags = [
        "--video",
        video,
        "--false_alarms",
        false_alarms,
        "--output_dir",
        work / out,
        "--cache_dir",
        work / "cache",
    ]
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = command_line.main([str(flag) for flag in flags])
    if code:
        raise SystemExit(said.getvalue())
    (settings,) = (work / out).glob("*/settings.json")
    return json.loads(settings.read_text(encoding="utf-8"))["took"]


@contextmanager
def no_overlay(path: Path, *_, **__) -> Iterator[SimpleNamespace]:
    path.touch()
    yield SimpleNamespace(add=lambda frame: None, remarks=[])


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.benchmarks.changed_threshold", description=__doc__.split("\n")[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("seconds", type=int, nargs="+")
    given = parser.parse_args()
    there = frames_of(given.video)
    print("seconds  first  changed  without overlay  reading alone")
    for seconds in given.seconds:
        with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            work = Path(folder)
            played = itertools.cycle([*there, *reversed(there)])
            video = write_video(work / "video.mp4", list(itertools.islice(played, seconds * FPS)), fps=FPS)
            first = took(video, 1, work, "first")
            changed = statistics.median(took(video, n, work, f"changed{n}") for n in OTHERS)
            patch.setattr(Utils.own_video.run, "overlay_writer", no_overlay)
            without = statistics.median(took(video, n, work, f"without{n}") for n in OTHERS)
            start = time.perf_counter()
            for _ in open_video(video):
                pass
            reading = time.perf_counter() - start
        print(f"{seconds:7} {first:6.1f} {changed:8.2f} {without:16.2f} {reading:14.2f}", flush=True)


if __name__ == "__main__":
    main()
