"""Times SOFTNet's features with the project's flow and with OpenCV's, at the distances of its pairs, on one thread.

    python main.py --method flow --expression both     # makes DEMO and its crops
    python -m tests.benchmarks.softnet [rounds]

Pairs of DEMO's videos are computed by both in turns. The distances are those of micro- and of macro-expressions on DEMO
and on CAS(ME)^2; 3 is MEAN's. Reported are the median times of a feature and of its flow alone, and their ratios.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import cv2
import numpy as np

from load_images import read_crop
from Utils.softnet.features import feature_image, landmarks_of, places_of
from Utils.tvl1 import TVL1, compile_kernel

CROPS = Path("data/DEMO/rawpic_crop")
DISTANCES = (3, 6, 7, 18, 20)
VIDEOS, PAIRS = 5, 4  # of each distance


def pairs(distance: int) -> list[tuple]:
    """First crop, second crop, and places in the face, from several videos."""
    found = []
    for folder in sorted(CROPS.glob("*/*"))[:VIDEOS]:
        crops = sorted(folder.glob("img*.jpg"))
        places = places_of(landmarks_of([read_crop(crops[0])])[0])
        for start in np.linspace(0, len(crops) - distance - 1, PAIRS).astype(int):
            found.append((read_crop(crops[start]), read_crop(crops[start + distance]), places))
    return found


def main(rounds: int = 3) -> None:
    if not CROPS.is_dir():
        sys.exit(f"{CROPS}: no crops; run main.py --method flow --expression both first")
    compile_kernel()
    cv2.setNumThreads(1)
    opencv = cv2.optflow.DualTVL1OpticalFlow_create()
    flows = {"kernel": TVL1(), "opencv": lambda first, second: opencv.calc(first, second, None)}
    print("distance   feature: kernel    OpenCV   ratio     flow alone: kernel    OpenCV   ratio")
    for distance in DISTANCES:
        times = {name: np.zeros((2, rounds, VIDEOS * PAIRS)) for name in flows}
        for index in range(rounds):
            for number, (first, second, places) in enumerate(pairs(distance)):
                for name, flow in flows.items():
                    begin = time.perf_counter()
                    feature_image(first, second, places, flow)
                    middle = time.perf_counter()
                    flow(first, second)
                    times[name][:, index, number] = middle - begin, time.perf_counter() - middle
        cells = []
        for what in (0, 1):
            kernel, other = (1e3 * times[name][what] for name in ("kernel", "opencv"))
            cells.append(f"{np.median(kernel):8.1f} ms{np.median(other):7.1f} ms{other.sum() / kernel.sum():8.1f}")
        print(f"{distance:8d}   {cells[0]:>31}   {cells[1]:>41}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
