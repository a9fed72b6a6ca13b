"""Step 6: per fold, train the networks or load their weights, and predict the held-out subject; then evaluate.

Training is in two steps (paper section 3.2): the spotting network, then the recognition network on its frozen streams.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Container, Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np

from feature_extraction import VideoFeatures
from prepare_training import (
    RecognitionSample,
    as_inputs,
    recognition_training_set,
    spotting_training_set,
    spotting_validation_set,
)
from training_utils import VideoScores, annotated_expressions, predict_expressions, smooth_scores
from Utils.datasets.table import Dataset
from Utils.errors import InputError
from Utils.evaluation.evaluate import compare
from Utils.evaluation.result import Evaluation
from Utils.networks.weights import FoldWeights
from Utils.records import Fold
from Utils.settings import Settings
from Utils.work.cache import atomic_folder, file_hash, is_array, key_of, read_json, write_array, write_json
from Utils.work.machine import keras_backend
from Utils.work.parallel import Workers, run_units

FOLD_VERSION = 3  # raise it when training or prediction changes
DONE = "fold.json"


@dataclass(frozen=True)
class Hyperparameters:
    """Settings of the training; the command line has their defaults (paper section 4.2 and the authors' code)."""

    epochs_spot: int
    epochs_recog: int
    batch_size: int
    learning_rate: float
    ratio: int
    seed: int
    validate: bool  # also the losses on the held-out subject, which change nothing else

    @classmethod
    def of(cls, settings: Settings) -> Hyperparameters:
        """Those of the command line: the flags have the same names."""
        return cls(**{f.name: getattr(settings, f.name) for f in fields(cls)})


@dataclass(frozen=True)
class FoldJob:
    """One fold's work. Exactly one of `hyperparameters` (train) and `weights` (load) is given."""

    fold: Fold
    features: tuple[VideoFeatures, ...]
    samples: tuple[RecognitionSample, ...]
    n_classes: int
    k_prime: int
    folder: Path
    hyperparameters: Hyperparameters | None = None
    weights: FoldWeights | None = None
    fresh: bool = False


@dataclass(frozen=True)
class FoldResult:
    """Where a fold's results lie: `scores-<i>.npy`, `probabilities-<i>.npy` for the i-th tested video, `fold.json`;
    after training also `{spot,recog,spot_recog}.weights.h5`. `recognised`: there was a recognition network.
    `history` holds a value per epoch of each curve (`train_fold`).
    """

    fold: Fold
    folder: Path
    recognised: bool
    history: dict[str, list[float]]

    def scores(self, i: int) -> np.ndarray:
        """(n,) float32, the raw spotting scores of the fold's i-th tested video."""
        return np.load(self.folder / f"scores-{i}.npy", allow_pickle=False)

    def probabilities(self, i: int) -> np.ndarray | None:
        """(n, C) float32, or None without a recognition network."""
        return np.load(self.folder / f"probabilities-{i}.npy", allow_pickle=False) if self.recognised else None


def run_folds(
    folds: Sequence[Fold],
    features: Sequence[VideoFeatures],
    samples: Sequence[RecognitionSample],
    n_classes: int,
    k_prime: int,
    cache_dir: Path,
    workers: Workers | int,
    hyperparameters: Hyperparameters | None = None,
    weights: Sequence[FoldWeights] | None = None,
    fresh: bool = False,
) -> tuple[list[FoldResult], list[str]]:
    """Train every fold, or load its weights, and predict its videos; finished folds are taken from the cache.

    Folds read features, not frames: the lists of frames are not sent to them.

    Returns
    -------
    results : list of FoldResult
        In the order of `folds`.
    remarks : list of str
        The folds without recognition.
    """
    without_frames = tuple(replace(f, video=replace(f.video, frames=())) for f in features)
    jobs = [
        FoldJob(
            fold=fold,
            features=without_frames,
            samples=tuple(samples),
            n_classes=n_classes,
            k_prime=k_prime,
            folder=cache_dir / "folds" / fold.held_out,
            hyperparameters=hyperparameters,
            weights=weights[i] if weights else None,
            fresh=fresh,
        )
        for i, fold in enumerate(folds)
    ]
    results = run_units(run_fold, jobs, workers, "training" if hyperparameters else "prediction", "fold")
    remarks = [_recognition_remark(job, result) for job, result in zip(jobs, results, strict=True)]
    return results, [remark for remark in remarks if remark]


def _recognition_remark(job: FoldJob, result: FoldResult) -> str:
    """What must be known about a fold's recognition; empty if nothing."""
    subject = job.fold.held_out
    if job.weights and job.weights.leaks:
        seen = f"{subject}: the published recognition weights of fold {job.fold.number} have seen this subject"
        used = "they are used, as upstream does" if result.recognised else "its expressions get no emotion"
        return f"{seen}; {used}"
    if result.recognised:
        return ""
    lacking = "samples to train on" if job.hyperparameters else "weights"
    return f"{subject}: no recognition {lacking}, its expressions are spotted without an emotion"


def run_fold(job: FoldJob) -> FoldResult:
    """Train or load, then predict one fold. The unit of work of this step."""
    folder = job.folder / _fold_key(job)
    done = _finished(folder, job)
    if done is None or job.fresh:
        from Utils.networks.backend import without_chatter

        with atomic_folder(folder, lambda: not job.fresh and _finished(folder, job) is not None) as scratch:
            with without_chatter():
                done = _compute_fold(job, scratch)
            write_json(scratch / DONE, done | {"weights": _weights_in(scratch)})
    history = {name: [np.nan if x is None else x for x in values] for name, values in done["history"].items()}
    return FoldResult(job.fold, folder, done["recognised"], history)


def _finished(folder: Path, job: FoldJob) -> dict | None:
    """What `fold.json` holds, None if the fold is not finished or a file of it is damaged."""
    done = read_json(folder / DONE)
    if not isinstance(done, dict) or not {"recognised", "history", "weights"} <= done.keys():
        return None
    kinds = ("scores", "probabilities") if done["recognised"] else ("scores",)
    whole = all(is_array(folder / f"{kind}-{i}.npy") for kind in kinds for i in range(len(job.fold.test)))
    return done if whole and done["weights"] == _weights_in(folder) else None


def _weights_in(folder: Path) -> dict[str, str]:
    """File names and SHA-256 of the weights in a fold's folder: they are copied into runs without being read."""
    return {path.name: file_hash(path) for path in sorted(folder.glob("*.weights.h5"))}


def _fold_key(job: FoldJob) -> str:
    """All that a fold's results depend on; the features' keys stand for frames, landmarks, flow, k and annotations."""
    parts = dict(
        version=FOLD_VERSION,
        tested=[job.features[i].key for i in job.fold.test],
        n_classes=job.n_classes,
        keras=importlib.metadata.version("keras"),
        backend=keras_backend(),
    )
    if job.weights:
        return key_of(weights=job.weights.fingerprint(), **parts)
    samples = [job.samples[i] for i in job.fold.recog_train]
    return key_of(
        trained=[job.features[i].key for i in job.fold.spot_train],
        samples=[(job.features[s.video].key, s.expression, s.class_index) for s in samples],
        k_prime=job.k_prime,
        number=job.fold.number,  # it is part of the seed of the thinning
        numpy=np.__version__,  # draws the thinning
        **asdict(job.hyperparameters),
        **parts,
    )


def _compute_fold(job: FoldJob, folder: Path) -> dict:
    """All of a fold's work, results written to `folder`; returns what `fold.json` holds."""
    from define_model import joint_network, load_fold
    from Utils.networks.backend import seed_keras
    from Utils.networks.compiled import predict

    history: dict[str, list[float]] = {}
    if job.weights:
        seed_keras(seed=0)
        spotting, recognition = load_fold(job.weights, job.n_classes)
    else:
        seed_keras(job.hyperparameters.seed)
        spotting, recognition, history = train_fold(job)
        spotting.save_weights(folder / "spot.weights.h5")
        if recognition is not None:
            recognition.save_weights(folder / "recog.weights.h5")
            joint_network(spotting, recognition).save_weights(folder / "spot_recog.weights.h5")
    network = spotting if recognition is None else joint_network(spotting, recognition)
    for i, video in enumerate(job.fold.test):
        scores, *probabilities = predict(
            network, as_inputs(np.load(job.features[video].spotting, mmap_mode="r", allow_pickle=False))
        )
        _require_finite((scores, *probabilities), job)
        write_array(folder / f"scores-{i}.npy", np.asarray(scores, np.float32)[:, 0])
        if probabilities:
            write_array(folder / f"probabilities-{i}.npy", np.asarray(probabilities[0], np.float32))
    written = {name: [float(x) if np.isfinite(x) else None for x in values] for name, values in history.items()}
    return {"held_out": job.fold.held_out, "recognised": recognition is not None, "history": written}


def _require_finite(outputs: Iterable[np.ndarray], job: FoldJob) -> None:
    """Raise InputError if a network's outputs are not all numbers."""
    if all(np.isfinite(array).all() for array in outputs):
        return
    if job.weights:
        raise InputError(f"{job.weights.spot}: gives scores that are not finite; get the weights again")
    raise InputError(
        f"fold {job.fold.number} ({job.fold.held_out} held out): training diverged, its scores are not finite; give a "
        f"lower --learning_rate than {job.hyperparameters.learning_rate:g}"
    )


def train_fold(job: FoldJob):
    """Two-step training of one fold with new networks and optimisers.

    Returns
    -------
    spotting : keras.Model
    recognition : keras.Model or None
        None if no sample of an evaluated class is left to train on.
    history : dict of str to list of float
        Per epoch: "spot_loss", "spot_mae", "recog_loss", "recog_accuracy"; with `validate` also these names with "val_"
        before them, on the held-out subject, where it has what they need.

    Raises
    ------
    InputError
        No frame to train on shows an expression.
    """
    import keras

    from define_model import frozen_streams, recognition_head, recognition_network, spotting_network
    from Utils.networks.backend import compiles
    from Utils.networks.compiled import predict, train

    h = job.hyperparameters
    frames = spotting_training_set(job.fold, job.features, job.k_prime, h.ratio, h.seed)
    held_out = spotting_validation_set(job.fold, job.features, job.k_prime) if h.validate else None
    steps = h.epochs_spot * -(-len(frames.labels) // h.batch_size)
    common = dict(learning_rate=h.learning_rate, batch_size=h.batch_size, seed=h.seed)
    spotting = spotting_network()
    log = train(
        spotting, frames.inputs(), frames.labels, held_out, jit_compile=compiles(steps), epochs=h.epochs_spot, **common
    )  # fmt: skip
    history = _curves("spot", log)

    images, classes = recognition_training_set([job.samples[i] for i in job.fold.recog_train], job.features)
    if not len(classes):
        return spotting, None, history
    recognition = recognition_network(spotting, job.n_classes)

    def of_streams(images: np.ndarray, classes: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        return predict(frozen_streams(spotting), as_inputs(images)), keras.utils.to_categorical(classes, job.n_classes)

    tested = [s for s in job.samples if s.video in job.fold.test] if h.validate else []
    held_out_images, held_out_classes = recognition_training_set(tested, job.features)
    validation = of_streams(held_out_images, held_out_classes) if len(held_out_classes) else None
    head = recognition_head(recognition)
    log = train(
        head, *of_streams(images, classes), validation,
        jit_compile=False, short_epochs=True, epochs=h.epochs_recog, **common,  # too few steps to compile
    )  # fmt: skip
    return spotting, recognition, history | _curves("recog", log)


def _curves(task: str, log: dict[str, list[float]]) -> dict[str, list[float]]:
    """Keras's names with the task's: "loss" -> "spot_loss", "val_loss" -> "val_spot_loss"."""
    return {f"val_{task}_{name[4:]}" if name.startswith("val_") else f"{task}_{name}": log[name] for name in log}


# Evaluation of all folds


@dataclass(frozen=True)
class RunEvaluation:
    """A run counted by one protocol: the scores of the tested videos, and their evaluation."""

    scores: list[VideoScores]
    evaluation: Evaluation


def evaluate_folds(
    results: Sequence[FoldResult],
    features: Sequence[VideoFeatures],
    dataset: Dataset,
    k_prime: int,
    settings: Settings,
    protocol: str,
    not_analysed: Container[str] = (),
) -> RunEvaluation:
    """Spot and recognise in all tested videos, and compare with the annotations.

    Parameters
    ----------
    results : sequence of FoldResult
    features : sequence of VideoFeatures
    dataset : Dataset
    k_prime : int
    settings : Settings
        Of it p, mode and seed are used.
    protocol : {"paper", "upstream"}
    not_analysed : container of str
        Subjects whose expressions are not recognised under this protocol although their folds may have weights.
    """
    scores = collect_scores(results, features, k_prime, protocol, not_analysed)
    recognised = {r.fold.held_out for r in results if r.recognised and r.fold.held_out not in not_analysed}
    evaluation = compare(
        predict_expressions(scores, dataset, k_prime, settings.p, protocol),
        annotated_expressions([s.video for s in scores], dataset),
        dataset.classes,
        one_per_video=dataset.one_per_video,
        videos=[(s.video.subject, s.video.name, len(s.raw)) for s in scores],
        protocol=protocol,
        k_prime=k_prime,
        recognition_subjects=recognised,
    )
    about = {"dataset": dataset.name, "mode": settings.mode, "seed": settings.seed}
    return RunEvaluation(scores, replace(evaluation, metrics=about | evaluation.metrics))


def collect_scores(
    results: Sequence[FoldResult],
    features: Sequence[VideoFeatures],
    k_prime: int,
    protocol: str = "paper",
    not_analysed: Container[str] = (),
) -> list[VideoScores]:
    """The scores of all tested videos: folds in order, videos in natural order."""
    return [
        VideoScores(
            features[video].video,
            result.scores(i),
            smooth_scores(result.scores(i), k_prime, keep_length=protocol == "paper"),
            None if protocol == "paper" and result.fold.held_out in not_analysed else result.probabilities(i),
        )
        for result in results
        for i, video in enumerate(result.fold.test)
    ]
