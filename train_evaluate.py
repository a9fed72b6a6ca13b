"""Step 6: per fold, train the networks or load their weights, and predict the held-out subject; then evaluate.

Training is in two steps (paper section 3.2): the spotting network, then the recognition network on its frozen streams.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np

from feature_extraction import FEATURE_SIZE, VideoFeatures
from prepare_training import RecognitionSample, pseudo_labels
from training_utils import thin
from Utils.errors import InputError
from Utils.networks.backend import keras_backend
from Utils.networks.weights import FoldWeights
from Utils.records import Fold
from Utils.work.cache import atomic_folder, file_hash, is_array, key_of, read_json, write_array, write_json
from Utils.work.parallel import run_units

FOLD_VERSION = 3  # raise it when training or prediction changes
DONE = "fold.json"


@dataclass(frozen=True)
class Hyperparameters:
    """Settings of the training (paper section 4.2 and the authors' code)."""

    epochs_spot: int = 10
    epochs_recog: int = 100
    batch_size: int = 32
    learning_rate: float = 5e-4
    ratio: int = 5
    seed: int = 1
    validate: bool = False  # also the losses on the held-out subject, which change nothing else

    @classmethod
    def of(cls, settings) -> Hyperparameters:
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
    workers: int,
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
    remarks = [
        f"{r.fold.held_out}: no recognition {'samples to train on' if hyperparameters else 'weights'}, "
        "its expressions are spotted without an emotion"
        for r in results
        if not r.recognised
    ]
    return results, remarks


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
    from define_model import joint_network
    from Utils.networks.backend import seed_keras
    from Utils.networks.compiled import predict
    from Utils.networks.weights import load_fold

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
    inputs, labels = spotting_training_set(job)
    held_out = validation_sets(job) if h.validate else (None, None)
    steps = h.epochs_spot * -(-len(labels) // h.batch_size)
    common = dict(learning_rate=h.learning_rate, batch_size=h.batch_size, seed=h.seed)
    spotting = spotting_network()
    log = train(
        spotting, inputs, labels, held_out[0], jit_compile=compiles(steps), epochs=h.epochs_spot, **common
    )  # fmt: skip
    history = _curves("spot", log)

    images, classes = recognition_training_set(job)
    if not len(classes):
        return spotting, None, history
    recognition = recognition_network(spotting, job.n_classes)

    def of_streams(images: np.ndarray, classes: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        return predict(frozen_streams(spotting), as_inputs(images)), keras.utils.to_categorical(classes, job.n_classes)

    validation = of_streams(*held_out[1]) if held_out[1] else None
    head = recognition_head(recognition)
    log = train(
        head, *of_streams(images, classes), validation,
        jit_compile=False, short_epochs=True, epochs=h.epochs_recog, **common,  # too few steps to compile
    )  # fmt: skip
    return spotting, recognition, history | _curves("recog", log)


def _curves(task: str, log: dict[str, list[float]]) -> dict[str, list[float]]:
    """Keras's names with the task's: "loss" -> "spot_loss", "val_loss" -> "val_spot_loss"."""
    return {f"val_{task}_{name[4:]}" if name.startswith("val_") else f"{task}_{name}": log[name] for name in log}


def spotting_training_set(job: FoldJob) -> tuple[list[np.ndarray], np.ndarray]:
    """The thinned frames of a fold's training videos: [u, v, eps], each (n, 42, 42, 1) float32; pseudo-labels (n,)."""
    videos = [job.features[i] for i in job.fold.spot_train]
    labels = [pseudo_labels(v.n_features, v.video.expressions, job.k_prime) for v in videos]
    if not any(label.any() for label in labels):
        raise InputError(
            f"fold {job.fold.number} ({job.fold.held_out} held out): no other subject has an annotated expression to "
            "train on; annotate more subjects, or leave this one out"
        )
    starts = np.cumsum([0, *map(len, labels)])
    rng = np.random.default_rng([job.hyperparameters.seed, job.fold.number])
    kept = thin(np.concatenate(labels), job.hyperparameters.ratio, rng)
    inputs = [np.empty((len(kept), FEATURE_SIZE, FEATURE_SIZE, 1), np.float32) for _ in range(3)]
    for video, start, stop in zip(videos, starts, starts[1:], strict=False):
        first, last = np.searchsorted(kept, [start, stop])
        chosen = np.load(video.spotting, mmap_mode="r", allow_pickle=False)[kept[first:last] - start]
        for channel, array in enumerate(inputs):
            array[first:last, ..., 0] = chosen[..., channel]
    return inputs, np.concatenate(labels)[kept]


def recognition_training_set(job: FoldJob) -> tuple[np.ndarray, np.ndarray]:
    """(onset, apex) features (m, 42, 42, 3) float32 of a fold's training samples and their class indices (m,)."""
    return _recognition_images(job, [job.samples[i] for i in job.fold.recog_train])


def validation_sets(job: FoldJob) -> tuple[tuple | None, tuple | None]:
    """What the published procedure validates on: the held-out subject's frames and its samples, None where it has none.

    Returns
    -------
    spotting : ([u, v, eps], pseudo-labels)
        All frames, not thinned; shapes as `spotting_training_set`'s.
    recognition : (images, class indices)
        As `recognition_training_set`'s.
    """
    videos = [job.features[i] for i in job.fold.test]
    if not videos:
        return None, None
    images = np.concatenate([np.load(v.spotting, mmap_mode="r", allow_pickle=False) for v in videos])
    labels = [pseudo_labels(v.n_features, v.video.expressions, job.k_prime) for v in videos]
    samples = _recognition_images(job, [s for s in job.samples if s.video in job.fold.test])
    return (as_inputs(images), np.concatenate(labels)), samples if len(samples[1]) else None


def _recognition_images(job: FoldJob, samples: Sequence[RecognitionSample]) -> tuple[np.ndarray, np.ndarray]:
    images = [
        np.load(job.features[s.video].recognition, mmap_mode="r", allow_pickle=False)[s.expression] for s in samples
    ]
    usable = [i for i, image in enumerate(images) if np.isfinite(image).all()]
    shape = (-1, FEATURE_SIZE, FEATURE_SIZE, 3)
    return (
        np.array([images[i] for i in usable], np.float32).reshape(shape),
        np.array([samples[i].class_index for i in usable], np.int64),
    )


def as_inputs(images: np.ndarray) -> list[np.ndarray]:
    """(n, 42, 42, 3) features -> the networks' three inputs, each (n, 42, 42, 1)."""
    return [np.ascontiguousarray(images[..., channel : channel + 1]) for channel in range(3)]
