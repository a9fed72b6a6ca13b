"""How the TV-L1 of the installed OpenCV changes the scores, compared with the project's kernel (OpenCV 4.5.1 to 4.11).

    python -m tests.benchmarks.opencv_versions [--video N] [--pairs M]

Videos of DEMO (synthetic faces) go through both flows, and then through the same steps: features, the shipped networks
of the fold that holds out their subject, smoothing, peaks. To try another version of OpenCV without changing the
installed one:

    pip install --target /tmp/cv5 --no-deps opencv-contrib-python-headless==5.0.0.93
    PYTHONPATH=/tmp/cv5 python -m tests.benchmarks.opencv_versions

OpenCV takes about a third of a second for a pair, so about two minutes for a video. If DEMO is not there, it is made
and cropped first (`python main.py` does this, too).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from face_crop import CropRoots, crop_videos
from feature_extraction import face_regions, feature_image, flow_function
from load_excel import load_annotations, match_expressions
from load_images import find_videos, read_crops
from prepare_training import average_half_length
from training_utils import find_expression_peaks, smooth_scores
from Utils.datasets.table import DATASETS
from Utils.faces.landmarks import predict_landmarks
from Utils.records import Video
from Utils.settings import PROJECT
from Utils.synthetic.dataset import make_demo
from Utils.tvl1 import compile_kernel

DEMO = DATASETS["DEMO"]


class Chain(NamedTuple):
    """The results of one flow for a video: flows (n, 128, 128, 2), raw scores (n,), classes (n,), peaks."""

    flows: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    peaks: np.ndarray


def raw_demo_videos(data_root: Path) -> list[Video]:
    """DEMO's annotated videos with raw frames."""
    make_demo(data_root / DEMO.name, workers=1)
    found, _ = find_videos(DEMO, data_root)
    return match_expressions(found, load_annotations(DEMO, data_root))[0]


def demo_videos(data_root: Path) -> tuple[list[Video], int]:
    """DEMO's annotated videos with crops as frames, and k'."""
    cropped, _ = crop_videos(raw_demo_videos(data_root), DEMO, CropRoots(data_root / DEMO.crop_dir), workers=1)
    return cropped, average_half_length(e for v in cropped for e in v.expressions)


def run_chain(flow_name: str, crops: list[np.ndarray], joint, k_prime: int) -> Chain:
    """Flows, features, scores and peaks of a video. Only the flow depends on the name."""
    regions, flow = face_regions(predict_landmarks(crops[0])), flow_function(flow_name)
    flows = np.array([flow(a, b) for a, b in zip(crops, crops[DEMO.k :], strict=False)])
    images = [feature_image(None, None, regions, lambda first, second, field=field: field) for field in flows]
    scores, probabilities = joint.predict(np.array(images, np.float32))
    peaks = find_expression_peaks(smooth_scores(scores[:, 0], k_prime), k_prime)
    return Chain(flows, scores[:, 0], probabilities.argmax(axis=1), peaks)


def joint_of(subject: str, subjects: list[str]):
    """The shipped joint network of the fold that holds out a subject."""
    from Utils.networks.mean import read_fold
    from Utils.networks.weights import find_weights

    weights = find_weights(PROJECT / "MEAN_Weights", DEMO, subjects.index(subject) + 1, subject)
    return read_fold(weights, len(DEMO.classes))


def compare(label: str, ours: Chain, theirs: Chain) -> None:
    """A block of lines: how far the second result is from the first."""
    apart = np.linalg.norm((ours.flows - theirs.flows).astype(np.float64), axis=-1)
    same = [a.tobytes() == b.tobytes() for a, b in zip(ours.flows, theirs.flows, strict=True)]
    moved = np.abs(ours.scores - theirs.scores)
    n, kept = len(same), len(np.intersect1d(ours.peaks, theirs.peaks))
    print(f"{label}, {n} pairs")
    print(f"  flow difference            max {apart.max():.3g} px, mean {apart.mean():.3g} px")
    print(f"  pairs identical in bits    {sum(same)} of {n} ({np.mean(same):.1%})")
    print(f"  spotting score difference  max {moved.max():.3g}, mean {moved.mean():.3g} (scores span {_span(ours)})")
    print(f"  emotion argmax agrees      {np.mean(ours.classes == theirs.classes):.1%} of features")
    print(f"  peaks at their frame       {kept} of {len(ours.peaks)} ({len(theirs.peaks)} with OpenCV's flow)")


def _span(chain: Chain) -> str:
    return f"{chain.scores.min():.2f} to {chain.scores.max():.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.benchmarks.opencv_versions", description=__doc__.split("\n")[0])
    parser.add_argument("--video", type=int, nargs="+", default=[0], metavar="N", help="which of DEMO's videos (0)")
    parser.add_argument("--pairs", type=int, default=None, metavar="M", help="the first M pairs only")
    parser.add_argument("--data_root", type=Path, default=Path("data"), metavar="DIR")
    arguments = parser.parse_args()

    compile_kernel()
    cv2.setNumThreads(1)
    videos, k_prime = demo_videos(arguments.data_root)
    subjects = list(dict.fromkeys(v.subject for v in videos))
    print(f"OpenCV {cv2.__version__} beside the kernel, DEMO (synthetic faces), k = {DEMO.k}, k' = {k_prime}")
    for number in arguments.video:
        video = videos[number]
        last = None if arguments.pairs is None else arguments.pairs + DEMO.k
        crops = list(read_crops(video))[:last]
        joint = joint_of(video.subject, subjects)
        ours, theirs = (run_chain(name, crops, joint, k_prime) for name in ("kernel", "opencv"))
        compare(f"video {number}, {video.label}", ours, theirs)


if __name__ == "__main__":
    main()
