"""Where the time of a stage goes, and what a second core gains. These are notes below the table, without goals."""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from face_crop import first_face
from feature_extraction import extract_features, face_regions, feature_image, flow_function
from load_images import read_crops
from tests.benchmarks.rows.demo import DEMO, Demo
from tests.benchmarks.timing import in_turns, seconds
from Utils.faces.images import read_image, write_jpeg
from Utils.faces.landmarks import detect_faces, predict_landmarks
from Utils.faces.rectangles import cut_face
from Utils.records import Video
from Utils.tvl1 import TVL1
from Utils.work.parallel import release_workers


def notes(demo: Demo) -> list[str]:
    processes, threads = scaling(demo.cropped, demo.sizes.rounds)
    return [
        f"Two processes extract features {processes:.2f} times as fast as one, two threads compute flow {threads:.2f} "
        "times as fast.",
        shares("Crop, a frame", parts_of_crop(demo.raw[0])),
        shares("Features, a pair", parts_of_features(demo.cropped[0])),
    ]


def scaling(videos: list[Video], rounds: int) -> tuple[float, float]:
    """How many times faster two processes, and two threads, extract features than one."""
    short = [replace(v, frames=v.frames[:150], expressions=()) for v in videos[:4]]
    with tempfile.TemporaryDirectory() as folder:

        def processes(n: int) -> None:
            extract_features(short, DEMO.k, "kernel", Path(folder), n, fresh=True, fps=DEMO.fps)

        processes(2)  # the processes stay, as between the stages of a run
        of_processes = in_turns(lambda: processes(1), lambda: processes(2), rounds)
    release_workers()
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


def shares(title: str, parts: dict[str, float]) -> str:
    total = sum(parts.values())
    return f"{title} ({total:.2f} ms): " + ", ".join(f"{k} {v:.2f} ms ({v / total:.0%})" for k, v in parts.items())
