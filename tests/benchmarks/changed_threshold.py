"""How long another `--false_alarms` takes for a video that was analysed before, and how much is drawn again.

    python -m tests.benchmarks.changed_threshold ../shared/video/WolfgangLanger_Pexels.mp4 60 180 600

For each length in seconds, the first 8 s of the video are played forwards and backwards until it is so long, at 640x360
and 30 frames a second. So that it need not be analysed for so long, only three of these rounds are, and the scores of
the second one count for all. So that rounds differ, the movement of each is multiplied by a random number from 0.5 to
1.5. Printed are, for `--false_alarms` from 1 to 2, 4 and 8, `took` of settings.json, how many expressions are new or
gone, and how many pieces of the overlay were encoded; then the times if nothing that was drawn is kept, and if nothing
but the video is read. Loading Python does not count.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

import main as command_line
import Utils.own_video.kept_drawings
import Utils.own_video.run
from tests.support.video_clips import write_video
from Utils.own_video.face_tracks import Segment, Track, Tracking
from Utils.own_video.overlay import Overlay, overlay_writer
from Utils.own_video.scoring import FaceScores, face_scores, score_video
from Utils.own_video.video_files import open_video

WIDTH, HEIGHT, FPS = 640, 360, 30
USED = 240  # frames of the video that are played
ROUND = 2 * USED  # frames
FIRST, OTHERS = 1, (2, 4, 8)  # values of --false_alarms


def play(there: Sequence[np.ndarray], n: int, path: Path) -> Path:
    """A video of `n` frames: those that are there, forwards and backwards again and again."""
    return write_video(path, list(itertools.islice(itertools.cycle([*there, *reversed(there)]), n)), fps=FPS)


class Rounds:
    """Stands in for `score_video`: the scores of the second of three rounds count for all rounds of a longer video."""

    def __init__(self, there: Sequence[np.ndarray], work: Path) -> None:
        self._short = play(there, 3 * ROUND, work / "short.mp4")
        self._scored: FaceScores | None = None

    def __call__(self, source, weights, *others) -> tuple[Tracking, list[FaceScores]]:
        n = sum(1 for _ in source)
        if self._scored is None:
            _, (self._scored,) = score_video(open_video(self._short), weights, *others)
        face, k_prime = self._scored, weights.frames_at(source.fps)[1]
        here, samples = (slice(ROUND // step, 2 * ROUND // step) for step in (1, face.step))
        n_rounds, rng = -(-n // ROUND), np.random.default_rng(0)
        segments = []
        for i, segment in itertools.product(range(n_rounds), face.track.segments):
            first, last = max(segment.first, ROUND), min(segment.last, 2 * ROUND - 1)
            if first <= last and (later := (i - 1) * ROUND) + first < n:
                segments.append(Segment(first + later, min(last + later, n - 1), segment.rectangle))
        track = Track(0, tuple(segments))
        raw = np.tile(face.raw[here], n_rounds)[:n]
        raw[-weights.frames_at(source.fps)[0] :] = np.nan
        probabilities = np.tile(face.probabilities[here], (n_rounds, 1))[:n]
        curves = [face.curves[samples] * rng.uniform(0.5, 1.5) for _ in range(n_rounds)]
        curves = np.concatenate(curves)[: len(range(0, n, face.step))].astype(np.float32)
        scores = face_scores(track, raw, probabilities, k_prime, None, curves, face.step, weights.steps.spotting.smooth)
        return Tracking(n, (track,), (), ()), [scores]


def analysed(video: Path, false_alarms: int, work: Path, out: str) -> tuple[float, set[tuple[int, int]]]:
    """Seconds that the analysis with this value took, and the intervals that it reports."""
    flags = (
        "--video",
        video,
        "--output_dir",
        work / out,
        "--cache_dir",
        work / "cache",
        "--false_alarms",
        false_alarms,
    )
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = command_line.main([str(flag) for flag in flags])
    if code:
        raise SystemExit(said.getvalue())
    (settings,) = (work / out).glob("*/settings.json")
    rows = pd.read_csv(settings.parent / "expressions.csv")
    return json.loads(settings.read_text(encoding="utf-8"))["took"], set(
        zip(rows["onset"], rows["offset"], strict=True)
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.benchmarks.changed_threshold", description=__doc__.split("\n")[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("seconds", type=int, nargs="+")
    given = parser.parse_args()
    there = [
        cv2.resize(frame.image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        for frame in itertools.islice(open_video(given.video), USED)
    ]
    written: list[Overlay] = []

    @contextlib.contextmanager
    def watched(*arguments):
        with overlay_writer(*arguments) as overlay:
            written.append(overlay)
            yield overlay

    print("seconds  --false_alarms  took  expressions  new or gone  pieces encoded")
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        work = Path(folder)
        patch.setattr(Utils.own_video.run, "score_video", Rounds(there, work))
        patch.setattr(Utils.own_video.run, "overlay_writer", watched)
        for seconds in given.seconds:
            video = play(there, seconds * FPS, work / f"{seconds}.mp4")
            _, first = analysed(video, FIRST, work, f"{seconds} first")
            kept = next(path for path in (work / "cache" / Utils.own_video.kept_drawings.ROOM).iterdir())
            for value in OTHERS:
                shutil.copytree(kept, work / "kept")  # of the first value: what is new is counted from it
                took, found = analysed(video, value, work, f"{seconds} changed {value}")
                pieces = f"{written[-1].n_encoded} of {len(written[-1].pieces)}"
                print(
                    f"{seconds:7} {value:15} {took:5.2f} {len(found):12} {len(first ^ found):12}  {pieces}", flush=True
                )
                shutil.rmtree(kept)
                shutil.move(work / "kept", kept)
            shutil.rmtree(kept)
            took, _ = analysed(video, FIRST + 2, work, f"{seconds} nothing kept")
            print(f"{seconds:7}  nothing drawn before: {took:.2f} s", end="; ")
            start = time.perf_counter()
            for _ in open_video(video):
                pass
            print(f"reading the video alone: {time.perf_counter() - start:.2f} s", flush=True)
            shutil.rmtree(work / "cache" / Utils.own_video.kept_drawings.ROOM)


if __name__ == "__main__":
    main()
