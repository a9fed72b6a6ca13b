"""From which blur on footage is amber or red: Crete's measure of rendered faces with a known blur.

    python -m tests.benchmarks.footage

The bounds in `Utils/own_video/footage.py` are taken from this table. The faces are synthetic. About 5 s.
"""

from __future__ import annotations

import cv2
import numpy as np

from Utils.faces.landmarks import detect_faces
from Utils.faces.rectangles import CROP_SIZE, cut_face
from Utils.own_video.footage import BLUR, crete_blur, level_of
from Utils.synthetic.face import Face, Pose
from Utils.synthetic.identity import make_identity

SIGMAS = (0.0, 0.4, 0.8, 1.2, 1.6, 2.4, 3.2)  # of a Gaussian, in pixels of the 128-pixel crop
SEEDS = range(12)


def measure(seed: int) -> list[float]:
    """The blur of one face for each of `SIGMAS`."""
    render = dict(pose=Pose(scale=1.1), noise=1.5, noise_rng=np.random.default_rng(seed))
    image = Face(make_identity(seed), size=(640, 480)).render(**render)
    gray, rectangle = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), detect_faces(image)[0]
    scale = (rectangle[2] - rectangle[0]) / CROP_SIZE
    blurred = (cv2.GaussianBlur(gray, (0, 0), sigma * scale) if sigma else gray for sigma in SIGMAS)
    return [crete_blur(cut_face(face, rectangle)) for face in blurred]


def main() -> None:
    found = np.array([measure(seed) for seed in SEEDS])
    print(f"bounds: amber {BLUR[0]}, red {BLUR[1]}; {len(SEEDS)} rendered faces\n")
    print("| blur (pixels of the crop) | least | median | most | the median is |\n|---|---|---|---|---|")
    for sigma, column in zip(SIGMAS, found.T, strict=True):
        low, middle, high = np.quantile(column, (0, 0.5, 1))
        print(f"| {sigma} | {low:.2f} | {middle:.2f} | {high:.2f} | {level_of(middle, BLUR)} |")


if __name__ == "__main__":
    main()
