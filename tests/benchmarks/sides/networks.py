"""One side of the comparisons of training and prediction. It runs in a process of its own, on one thread.

    PYTHONPATH=<folder of a commit> python tests/benchmarks/sides/networks.py {ours,published,earlier}

It answers a line of its input with a line of JSON. Such a line is a JSON list: the name of a method and its arguments.
`rows/side.py` asks. All sides train on the same random samples. The time depends on their number only.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

SIDE, CLASSES = 42, 3
EXPRESSIONS = 40  # recognition samples of a fold, about as many as a fold of DEMO has
HELD_OUT = 600, 6  # frames and expressions of the held-out subject: the published way validates on them
BATCH, LEARNING_RATE, SEED = 32, 5e-4, 1
POSITIVE = 1 / 6  # share of expression frames in a thinned set
RECOGNITION_EPOCHS = 10  # for each epoch of the spotting network


class Samples(NamedTuple):
    """Features, (n, 42, 42, 3) float32, and their labels (0 or 1, float32) or classes (int)."""

    images: np.ndarray
    labels: np.ndarray


def random_samples(n: int, seed: int, classes: bool = False) -> Samples:
    rng = np.random.default_rng(seed)
    images = rng.random((n, SIDE, SIDE, 3), dtype=np.float32)
    return Samples(images, rng.integers(0, CLASSES, n) if classes else (rng.random(n) < POSITIVE).astype(np.float32))


@cache
def training_set(n: int) -> tuple[Samples, Samples]:
    """The samples of both networks of a fold."""
    return random_samples(n, 0), random_samples(EXPRESSIONS, 1, classes=True)


def job_of(epochs: int) -> SimpleNamespace:
    """What `train_fold` reads of a FoldJob."""
    settings = SimpleNamespace(
        epochs_spot=epochs, epochs_recog=RECOGNITION_EPOCHS * epochs, batch_size=BATCH, learning_rate=LEARNING_RATE,
        ratio=5, seed=SEED, validate=False,
    )  # fmt: skip
    fold = SimpleNamespace(recog_train=[0], test=[])
    return SimpleNamespace(
        hyperparameters=settings, fold=fold, features=(), samples=[None], k_prime=1, n_classes=CLASSES
    )  # fmt: skip


class Ours:
    """The project as it is."""

    def __init__(self) -> None:
        from Utils.engine import compile_engine

        compile_engine(lambda line: None)

    def train(self, n: int, epochs: int) -> float:
        """Seconds of the training of a fold with `n` samples."""
        import train_evaluate

        spotting, recognition = training_set(n)
        thinned = SimpleNamespace(labels=spotting.labels, images=lambda: spotting.images)
        nothing = Samples(recognition.images[:0], recognition.labels[:0])
        train_evaluate.spotting_training_set = lambda *_: thinned
        train_evaluate.recognition_training_set = lambda samples, _: recognition if samples else nothing
        start = time.perf_counter()
        train_evaluate.train_fold(job_of(epochs))
        return time.perf_counter() - start

    def predict(self, files: list[str], features: str, result: str) -> float:
        """Seconds of the prediction of features by all networks. The outputs are written to a file."""
        from Utils.networks.mean import predict_all

        networks, images = _our_networks(tuple(files)), np.load(features)
        start = time.perf_counter()
        outputs = predict_all(networks, images)
        taken = time.perf_counter() - start
        np.save(result, _stacked(outputs))
        return taken


class Earlier:
    """The project at an earlier commit (Keras)."""

    def __init__(self) -> None:
        from Utils.backend import seed_keras

        seed_keras(SEED)

    def train(self, n: int, epochs: int) -> float:
        """Seconds of the training of a fold with `n` samples, compiled by XLA as for all epochs."""
        import Utils.backend

        import train_evaluate

        spotting, recognition = training_set(n)
        inputs = train_evaluate.as_inputs(spotting.images)
        train_evaluate.spotting_training_set = lambda job: (list(inputs), spotting.labels)
        train_evaluate.recognition_training_set = lambda job: recognition
        Utils.backend.compiles = lambda steps: True
        start = time.perf_counter()
        Utils.backend.seed_keras(SEED)
        train_evaluate.train_fold(job_of(epochs))
        return time.perf_counter() - start

    def predict(self, files: list[str], features: str, result: str) -> float:
        """Seconds of the prediction of features by one network after the other. The outputs are written to a file."""
        from Utils.compiled import predict

        from train_evaluate import as_inputs

        networks, images = _earlier_networks(tuple(files)), np.load(features)
        start = time.perf_counter()
        inputs = as_inputs(images)
        outputs = [predict(network, inputs) for network in networks]
        taken = time.perf_counter() - start
        np.save(result, _stacked(outputs))
        return taken


class Published:
    """The published way of training."""

    def __init__(self) -> None:
        from Utils.networks.backend import seed_keras

        seed_keras(SEED)

    def train(self, n: int, epochs: int) -> float:
        """Seconds of the training of a fold with `n` samples."""
        import keras

        from define_model import as_inputs
        from tests.benchmarks import published_training

        def classes_of(samples: Samples) -> tuple:
            return as_inputs(samples.images), keras.utils.to_categorical(samples.labels, CLASSES)

        spotting, recognition = training_set(n)
        held_out = random_samples(HELD_OUT[0], 2)
        validation = (
            (as_inputs(held_out.images), held_out.labels),
            classes_of(random_samples(HELD_OUT[1], 3, classes=True)),
        )
        inputs, targets = (as_inputs(spotting.images), spotting.labels), classes_of(recognition)
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            published_training.train(inputs, targets, validation, Path(folder), (epochs, RECOGNITION_EPOCHS * epochs))
            return time.perf_counter() - start


@cache
def _our_networks(files: tuple[str, ...]) -> list:
    from Utils.networks.mean import read_network

    return [read_network(Path(file), {"spot": 1, "recog": CLASSES}) for file in files]


@cache
def _earlier_networks(files: tuple[str, ...]) -> list:
    from Utils.weights import load_network

    from define_model import joint_network, recognition_network, spotting_network

    networks = []
    for file in files:
        spotting = spotting_network()
        networks.append(joint_network(spotting, recognition_network(spotting, CLASSES)))
        load_network(networks[-1], Path(file))
    return networks


def _stacked(outputs: list[list[np.ndarray]]) -> np.ndarray:
    """Scores and probabilities of all networks, (networks, n, 1 + classes)."""
    return np.array([np.concatenate(of_network, axis=1) for of_network in outputs])


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever libraries print is no answer
    side = {"ours": Ours, "published": Published, "earlier": Earlier}[sys.argv[1]]()
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(json.dumps(getattr(side, name)(*arguments)), file=answers, flush=True)


if __name__ == "__main__":
    main()
