"""How far our figures are from those recorded from the authors' code. docs/fidelity.md quotes these differences.

    python -m tests.benchmarks.differences

The recordings (GOLDEN in `tests/support/paths.py`) are only on the developers' machines, beside the project. It takes
about 20 s.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import Utils.networks.backend  # noqa: F401  isort: skip; before TensorFlow: the settings that a run has
import numpy as np

from feature_extraction import face_regions, feature_image, flow_function
from tests.support.paths import GOLDEN
from tests.support.recordings import Recording
from training_utils import threshold
from Utils.engine import RECOG, SPOT
from Utils.networks.mean import read_network
from Utils.settings import Settings

CLASSES = {"CASME2": 5, "SMIC_VIS": 3}  # of the published weights that are recorded
KINDS = ("spot", "recog", "spot_recog")


def spotting_features() -> Iterator[np.ndarray]:
    """Some pairs (i, i+k) of each SMIC_VIS video; the recorded crops are the input."""
    pipeline, crops, recorded = _smic_vis()
    flow = flow_function("kernel")
    for number in range(len(pipeline["final_samples_onset_apex_offset_0based"])):
        images, regions = crops[f"video{number:02d}"], face_regions(recorded["landmarks"][number])
        for i, expected in zip(recorded[f"spot{number:02d}_idx"], recorded[f"spot{number:02d}"], strict=True):
            yield feature_image(images[i], images[i + pipeline["k"]], regions, flow) - expected


def recognition_features() -> Iterator[np.ndarray]:
    """The pair (onset, apex) of the one expression in each SMIC_VIS video."""
    pipeline, crops, recorded = _smic_vis()
    flow = flow_function("kernel")
    for number, [[(onset, apex, _)]] in enumerate(pipeline["final_samples_onset_apex_offset_0based"]):
        images, regions = crops[f"video{number:02d}"], face_regions(recorded["landmarks"][number])
        yield feature_image(images[onset], images[apex], regions, flow) - recorded["recognition"][number]


def _smic_vis() -> tuple[dict, dict, dict]:
    """What was recorded of SMIC_VIS: figures of the pipeline, crops, features."""
    folder = GOLDEN / "smic_vis"
    pipeline = json.loads((folder / "pipeline.json").read_text(encoding="utf-8"))
    return pipeline, np.load(folder / "crops.npz"), np.load(folder / "features.npz")


def published_weights() -> Iterator[np.ndarray]:
    """The predictions of six published weight files from random inputs, in TensorFlow 2.4.1 and here."""
    folder, rng = GOLDEN / "weights", np.random.RandomState(0)
    inputs = [rng.rand(16, 42, 42, 1).astype(np.float32) for _ in range(3)]
    recorded = np.load(folder / "predictions.npz")
    for dataset, n_classes in CLASSES.items():
        for kind in KINDS:
            for n, output in enumerate(_predicted(folder / dataset / kind / "s1.hdf5", kind, n_classes, inputs)):
                yield output - recorded[f"{dataset}__{kind}__s1__{n}"]


def _predicted(path: Path, kind: str, n_classes: int, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """The outputs of the network of this kind with the weights of a file."""
    spot, recog = {SPOT: 1}, {RECOG: n_classes}
    tasks = dict(zip(KINDS, (spot, recog, spot | recog), strict=True))[kind]
    return read_network(path, tasks).predict(np.concatenate(inputs, axis=-1))


def smoothed_scores() -> Iterator[np.ndarray]:
    """The smoothed scores of each recorded video."""
    for case in map(Recording, ("casme_sq", "smic_vis")):
        for record in case.records:
            yield case.smoothed(record) - case.scores[f"{record['scores']}_smooth"]


def thresholds() -> Iterator[np.ndarray]:
    """The spotting threshold T of each recorded video."""
    for case in map(Recording, ("casme_sq", "smic_vis")):
        for record in case.records:
            yield np.asarray(threshold(case.smoothed(record), Settings().p) - record["threshold"])


COMPARED: dict[str, Callable[[], Iterator[np.ndarray]]] = {
    "spotting features": spotting_features,
    "recognition features": recognition_features,
    "outputs of published weights": published_weights,
    "smoothed scores": smoothed_scores,
    "thresholds": thresholds,
}


def main() -> None:
    if not GOLDEN.is_dir():
        raise SystemExit(f"{GOLDEN}: the recordings are not on this machine")
    for name, compare in COMPARED.items():
        largest = [np.abs(difference).max() for difference in compare()]
        print(f"{name}: {len(largest)}, differ by at most {max(largest):.2g}")


if __name__ == "__main__":
    main()
