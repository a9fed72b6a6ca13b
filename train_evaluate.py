"""Step 6: for each fold, train the networks or load their weights, and predict the held-out subject. Then evaluate all.

Training has two steps (paper section 3.2): first the spotting network, then the recognition network on its frozen
streams.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from pathlib import Path

import numpy as np

from feature_extraction import CHANNELS, VideoFeatures
from prepare_training import (
    RecognitionSample,
    recognition_training_set,
    spotting_training_set,
    spotting_validation_set,
)
from training_utils import MEAN_SPOTTING, SpottingMethod, VideoScores, annotated_expressions, predict_expressions
from Utils.datasets.table import Dataset
from Utils.engine import ENGINE_VERSION, RECOG, SPOT, compile_engine, initial_weights, new_heads, train
from Utils.errors import InputError
from Utils.evaluation.evaluate import compare
from Utils.evaluation.kinds import by_kind, spotting_only, without_mae
from Utils.evaluation.result import Evaluation
from Utils.networks.mean import MeanNetwork, joined, read_fold
from Utils.networks.weights import FoldWeights
from Utils.records import MICRO, Fold, Length, frames_of
from Utils.settings import Settings
from Utils.work.arrays import is_array, write_array
from Utils.work.cache import atomic_folder, file_hash, key_of, read_json, write_json
from Utils.work.parallel import Workers, run_units

FOLD_VERSION = 4  # part of a fold's key: raise it when training or prediction changes
INITIAL = 1  # with the seed of the training: the seed of the first weights
DONE = "fold.json"  # written last: a fold that has it is finished


@dataclass(frozen=True)
class Hyperparameters:
    """Settings of the training. The flags have their defaults (paper section 4.2 and the authors' code)."""

    epochs_spot: int
    epochs_recog: int
    batch_size: int
    learning_rate: float
    ratio: int
    seed: int
    validate: bool  # also record the losses on the held-out subject; this changes nothing else

    @classmethod
    def of(cls, settings: Settings) -> Hyperparameters:
        """The settings of the command line. The flags have the same names."""
        return cls(**{f.name: getattr(settings, f.name) for f in fields(cls)})


@dataclass(frozen=True)
class Networks:
    """The networks of a fold.

    Attributes
    ----------
    predictor : callable
        The features of a video, (n, ...) float32, and k' in frames, which networks do not need -> [scores (n, 1)], or
        [scores, probabilities (n, C)].
    recognised : bool
        Whether it gives probabilities.
    trained : dict
        Name of a file -> the network that is saved there by its `save_weights`. Empty if weights were loaded.
    history : dict of str to list of float
        See `train_fold`. Empty if weights were loaded.
    """

    predictor: Callable[[np.ndarray, int], list[np.ndarray]]
    recognised: bool
    trained: dict = field(default_factory=dict)
    history: dict = field(default_factory=dict)


@dataclass(frozen=True)
class FoldMethod:
    """What differs between methods in this step. MEAN's is `MEAN_FOLDS`; Utils/methods has those of the others.

    Attributes
    ----------
    name, version : str, int
        Parts of a fold's key. The version is raised when training or prediction changes.
    recognises : bool
        Whether the method recognises emotions.
    load : callable
        FoldJob -> Networks, with the given weights.
    train : callable or None
        FoldJob -> Networks, which are new. None if there is nothing to train; then there are no weights either.
    prepare : callable or None
        Called once with whether networks are trained, before any fold is computed.
    by_engine : bool
        Whether its networks are computed by Utils/engine, whose version is then part of a fold's key.
    """

    name: str
    version: int
    recognises: bool
    load: Callable[[FoldJob], Networks]
    train: Callable[[FoldJob], Networks] | None = None
    prepare: Callable[[bool], object] | None = None
    by_engine: bool = False


@dataclass(frozen=True)
class FoldJob:
    """The work on one fold. Either `hyperparameters` is given (train) or `weights` (load), never both.

    Neither is given if the method has nothing to train.
    """

    fold: Fold
    features: tuple[VideoFeatures, ...]
    samples: tuple[RecognitionSample, ...]
    n_classes: int
    k_prime: Length
    folder: Path
    hyperparameters: Hyperparameters | None = None
    weights: FoldWeights | None = None
    fresh: bool = False
    method: FoldMethod | None = None  # MEAN's
    kind: str = MICRO  # of the expressions; for methods whose training depends on it, as on the protocol
    protocol: str = "paper"


@dataclass(frozen=True)
class FoldResult:
    """The results of a fold.

    Attributes
    ----------
    fold : Fold
    folder : Path
        It has `scores-<i>.npy` and `probabilities-<i>.npy` for the i-th tested video, `fold.json`, and after training
        also `{spot,recog,spot_recog}.weights.h5`.
    recognised : bool
        Whether there was a recognition network.
    history : dict of str to list of float
        Name of a curve -> its value after each epoch. The names are listed in `train_fold`. Empty without training.
    """

    fold: Fold
    folder: Path
    recognised: bool
    history: dict[str, list[float]]

    def scores(self, i: int) -> np.ndarray:
        """The raw spotting scores of the fold's i-th tested video, (n,) float32."""
        return np.load(self.folder / f"scores-{i}.npy", allow_pickle=False)

    def probabilities(self, i: int) -> np.ndarray | None:
        """The class probabilities of the fold's i-th tested video, (n, C) float32. None if it was not recognised."""
        return np.load(self.folder / f"probabilities-{i}.npy", allow_pickle=False) if self.recognised else None


def run_folds(
    folds: Sequence[Fold],
    features: Sequence[VideoFeatures],
    samples: Sequence[RecognitionSample],
    n_classes: int,
    k_prime: Length,
    cache_dir: Path,
    workers: Workers | int,
    hyperparameters: Hyperparameters | None = None,
    weights: Sequence[FoldWeights] | None = None,
    fresh: bool = False,
    method: FoldMethod | None = None,
    kind: str = MICRO,
    protocol: str = "paper",
) -> tuple[list[FoldResult], list[str]]:
    """Train every fold, or load its weights, and predict its videos. Finished folds are taken from the cache.

    To train, `hyperparameters` is given; to load, `weights`, one for each of `folds`. `fresh` computes finished folds
    again. `method` is MEAN's by default. Results go to `<cache_dir>/folds/<held-out
    subject>/<key>`.

    Returns
    -------
    results : list of FoldResult
        In the order of `folds`.
    remarks : list of str
        Folds without recognition, and folds whose published weights have seen their test subject.

    Raises
    ------
    InputError
        Weights cannot be used, there is nothing to train on, or the training diverged.
    """
    # Folds need the features and not the frames, so the long lists of frames are not sent to the processes
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
            method=method or MEAN_FOLDS,
            kind=kind,
            protocol=protocol,
        )
        for i, fold in enumerate(folds)
    ]
    prepare = (method or MEAN_FOLDS).prepare
    if prepare and any(fresh or _finished(job.folder / _fold_key(job), job) is None for job in jobs):
        prepare(hyperparameters is not None)
    results = run_units(run_fold, jobs, workers, "training" if hyperparameters else "prediction", "fold")
    remarks = [_recognition_remark(job, result) for job, result in zip(jobs, results, strict=True)]
    return results, [remark for remark in remarks if remark]


def _recognition_remark(job: FoldJob, result: FoldResult) -> str:
    """What users must know about a fold's recognition; "" if nothing."""
    subject = job.fold.held_out
    if job.weights and job.weights.leaks:
        file = job.weights.recog or job.weights.joint or job.weights.spot
        seen = f"{subject}: the published recognition weights {file.name} have seen this subject"
        used = "they are used, as upstream does" if result.recognised else "its expressions get no emotion"
        return f"{seen}; {used}"
    if result.recognised or not job.method.recognises:
        return ""
    lacking = "samples to train on" if job.hyperparameters else "weights"
    return f"{subject}: no recognition {lacking}, its expressions are spotted without an emotion"


def run_fold(job: FoldJob) -> FoldResult:
    """Train one fold or load its weights, then predict its videos. This is the unit of work of this step.

    Raises InputError as `run_folds` does.
    """
    folder = job.folder / _fold_key(job)
    done = _finished(folder, job)
    if done is None or job.fresh:
        with atomic_folder(folder, lambda: not job.fresh and _finished(folder, job) is not None) as scratch:
            done = _compute_fold(job, scratch)
            write_json(scratch / DONE, done | {"weights": _weights_in(scratch)})
    history = {name: [np.nan if x is None else x for x in values] for name, values in done["history"].items()}
    return FoldResult(job.fold, folder, done["recognised"], history)


def _finished(folder: Path, job: FoldJob) -> dict | None:
    """The content of `fold.json`. None if the fold is not finished, or if one of its files is damaged."""
    done = read_json(folder / DONE)
    if not isinstance(done, dict) or not {"recognised", "history", "weights"} <= done.keys():
        return None
    kinds = ("scores", "probabilities") if done["recognised"] else ("scores",)
    whole = all(is_array(folder / f"{kind}-{i}.npy") for kind in kinds for i in range(len(job.fold.test)))
    return done if whole and done["weights"] == _weights_in(folder) else None


def _weights_in(folder: Path) -> dict[str, str]:
    """File names -> SHA-256 of the weights in a fold's folder.

    The files are copied into the folders of runs without being read, so only this shows whether they are damaged.
    """
    return {path.name: file_hash(path) for path in sorted(folder.glob("*.weights.h5"))}


def _fold_key(job: FoldJob) -> str:
    """A key of everything that a fold's results depend on.

    The keys of the features cover the frames, landmarks, flow, k and annotations.
    """
    method = job.method or MEAN_FOLDS
    parts = dict(
        version=method.version, tested=[job.features[i].key for i in job.fold.test], n_classes=job.n_classes
    )  # fmt: skip
    if method.by_engine:
        parts |= dict(engine=ENGINE_VERSION)
    if method != MEAN_FOLDS:
        parts |= dict(method=method.name, kind=job.kind, protocol=job.protocol)
    if isinstance(job.k_prime, Mapping):  # which rate a video has is not in the keys of its features
        numbers = [*job.fold.test, *job.fold.spot_train]
        parts["half_lengths"] = [frames_of(job.k_prime, job.features[i].video.fps) for i in numbers]
    if job.weights:
        return key_of(weights=job.weights.fingerprint(), **parts)
    if job.hyperparameters is None:
        return key_of(k_prime=job.k_prime, **parts)
    samples = [job.samples[i] for i in job.fold.recog_train]
    return key_of(
        trained=[job.features[i].key for i in job.fold.spot_train],
        samples=[(job.features[s.video].key, s.expression, s.class_index) for s in samples],
        k_prime=job.k_prime,
        number=job.fold.number,  # part of the seed of the thinning
        numpy=np.__version__,  # the thinning is drawn by NumPy
        **asdict(job.hyperparameters),
        **parts,
    )


def _compute_fold(job: FoldJob, folder: Path) -> dict:
    """Do all the work of a fold, and write the results to `folder`. Returns the content of `fold.json`."""
    method = job.method or MEAN_FOLDS
    networks = method.train(job) if job.hyperparameters else method.load(job)
    for name, network in networks.trained.items():
        network.save_weights(folder / f"{name}.weights.h5")
    for i, video in enumerate(job.fold.test):
        features = np.load(job.features[video].spotting, mmap_mode="r", allow_pickle=False)
        scores, *probabilities = networks.predictor(features, frames_of(job.k_prime, job.features[video].video.fps))
        _require_finite((scores, *probabilities), job)
        write_array(folder / f"scores-{i}.npy", np.asarray(scores, np.float32)[:, 0])
        if probabilities:
            write_array(folder / f"probabilities-{i}.npy", np.asarray(probabilities[0], np.float32))
    # JSON has no NaN, so None stands for it
    written = {
        name: [float(x) if np.isfinite(x) else None for x in values] for name, values in networks.history.items()
    }
    return {"held_out": job.fold.held_out, "recognised": networks.recognised, "history": written}


def _require_finite(outputs: Iterable[np.ndarray], job: FoldJob) -> None:
    """Raise InputError if any output of a network is NaN or infinite: the scores first, then the probabilities."""
    finite = [bool(np.isfinite(array).all()) for array in outputs]
    if all(finite):
        return
    if files := job.weights:
        used = files.joint or (files.recog if finite[0] else files.spot)
        raise InputError(f"{used}: gives scores that are not finite; get the weights again")
    raise InputError(
        f"fold {job.fold.number} ({job.fold.held_out} held out): training diverged, its scores are not finite; give a "
        f"lower --learning_rate than {job.hyperparameters.learning_rate:g}"
    )


def train_fold(job: FoldJob, streams: Sequence[str] = CHANNELS, from_scratch: bool = False):
    """Train one fold in two steps, with new networks and optimisers.

    The two last parameters are for ablations: networks with some streams only; and a recognition network that does not
    use the spotting network's streams but is trained from scratch.

    Returns
    -------
    spotting : MeanNetwork
    recognition : MeanNetwork or None
        None if there is no sample of an evaluated class to train on.
    history : dict of str to list of float
        The value after each epoch of "spot_loss", "spot_mae", "recog_loss" and "recog_accuracy". With `validate` also
        of "val_spot_loss" and so on: the same on the held-out subject, if it has frames or samples for it.

    Raises
    ------
    InputError
        No frame of the training videos shows an expression.
    """
    h = job.hyperparameters
    frames = spotting_training_set(job.fold, job.features, job.k_prime, h.ratio, h.seed)
    held_out = spotting_validation_set(job.fold, job.features, job.k_prime) if h.validate else None
    common = dict(
        streams=streams, learning_rate=h.learning_rate, batch_size=h.batch_size, seed=h.seed
    )  # fmt: skip
    drawn = np.random.default_rng([h.seed, INITIAL])
    weights, log = train(
        initial_weights([(SPOT, 1)], drawn, streams), SPOT, frames.images(), frames.labels[:, np.newaxis],
        held_out and (held_out[0], held_out[1][:, np.newaxis]), epochs=h.epochs_spot, **common,
    )  # fmt: skip
    spotting = MeanNetwork(weights, (SPOT,), tuple(streams))
    history = loss_curves("spot", log)

    images, classes = recognition_training_set([job.samples[i] for i in job.fold.recog_train], job.features)
    if not len(classes):
        return spotting, None, history
    tested = [s for s in job.samples if s.video in job.fold.test] if h.validate else []
    held_out_images, held_out_classes = recognition_training_set(tested, job.features)
    one_hot = np.eye(job.n_classes, dtype=np.float32)
    head = [(RECOG, job.n_classes)]
    new = initial_weights(head, drawn, streams) if from_scratch else new_heads(weights, head, drawn, streams)
    weights, log = train(
        new, RECOG, images, one_hot[classes],
        (held_out_images, one_hot[held_out_classes]) if len(held_out_classes) else None,
        epochs=h.epochs_recog, frozen=not from_scratch, **common,
    )  # fmt: skip
    return spotting, MeanNetwork(weights, (RECOG,), tuple(streams)), history | loss_curves("recog", log)


def train_mean(job: FoldJob) -> Networks:
    """Train MEAN's networks of a fold. Raises InputError as `train_fold` does."""
    spotting, recognition, history = train_fold(job)
    if recognition is None:
        return Networks(partial(predict_features, spotting), False, {"spot": spotting}, history)
    joint = joined(spotting, recognition)
    trained = {"spot": spotting, "recog": recognition, "spot_recog": joint}
    return Networks(partial(predict_features, joint), True, trained, history)


def load_mean(job: FoldJob) -> Networks:
    """MEAN's networks of a fold, with given weights. Raises InputError as `read_fold` does."""
    network = read_fold(job.weights, job.n_classes)
    return Networks(partial(predict_features, network), RECOG in network.tasks)


def predict_features(network: MeanNetwork, features: np.ndarray, k_prime: int | None = None) -> list[np.ndarray]:
    """The outputs of a network for features, (n, 42, 42, 3) float32: a list of arrays, each (n, ...).

    `k_prime` is not used: the function is a `Networks.predictor`.
    """
    return network.predict(features)


def prepare_mean(training: bool) -> None:
    """Compile MEAN's networks, before processes are started that would all compile them."""
    compile_engine(lambda text: print(f"  {text}", flush=True), training)


MEAN_FOLDS = FoldMethod("MEAN", FOLD_VERSION, True, load_mean, train_mean, prepare_mean, by_engine=True)


def loss_curves(task: str, log: dict[str, list[float]]) -> dict[str, list[float]]:
    """The curves of a training with the task in their names: "loss" -> "spot_loss", "val_loss" -> "val_spot_loss"."""
    curves = {}
    for name, values in log.items():
        validation = "val_" if name.startswith("val_") else ""
        curves[f"{validation}{task}_{name.removeprefix('val_')}"] = values
    return curves


# Evaluation of all folds


@dataclass(frozen=True)
class RunEvaluation:
    """A run as one protocol counts it: the scores of the tested videos, and their evaluation."""

    scores: list[VideoScores]
    evaluation: Evaluation


def evaluate_folds(
    results: Sequence[FoldResult],
    features: Sequence[VideoFeatures],
    dataset: Dataset,
    k_prime: Length,
    settings: Settings,
    protocol: str,
    not_analysed: Container[str] = (),
    method: SpottingMethod = MEAN_SPOTTING,
    kind: str = MICRO,
    of_subject: Mapping[str, SpottingMethod] = {},
) -> RunEvaluation:
    """Spot and recognise the expressions of all tested videos, and compare them with the annotations.

    Parameters
    ----------
    results : sequence of FoldResult
    features : sequence of VideoFeatures
    dataset : Dataset
    k_prime : Length
    settings : Settings
        Only p, mode and seed are used.
    protocol : {"paper", "upstream"}
    not_analysed : container of str
        Subjects whose expressions are not recognised under this protocol, even if their folds have weights for it.
    method : SpottingMethod
    kind : {"micro", "macro"}
        The kind of the expressions.
    of_subject : mapping
        Subjects -> a method that is used for them instead of `method`.
    """
    scores = collect_scores(results, features, k_prime, protocol, not_analysed, method, settings.p, of_subject)
    recognised = {s for r in results if r.recognised for s in r.fold.subjects if s not in not_analysed}
    evaluation = compare(
        predict_expressions(scores, dataset, k_prime, settings.p, protocol, method, of_subject),
        annotated_expressions([s.video for s in scores], dataset),
        dataset.classes,
        one_per_video=dataset.one_per_video,
        videos=[(s.video.subject, s.video.name, len(s.raw)) for s in scores],
        protocol=protocol,
        k_prime=k_prime,
        recognition_subjects=recognised,
        ap_order=method.ap_order,
    )
    about = {"dataset": dataset.name, "mode": settings.mode, "seed": settings.seed}
    if of_subject:
        about["tune"] = settings.tune
    if len({s.video.fps or dataset.fps for s in scores}) > 1:
        evaluation = without_mae(evaluation)
    metrics = evaluation.metrics if method.recognises else spotting_only(evaluation.metrics)
    metrics = about | metrics | {"by_kind": by_kind({kind: metrics})}
    return RunEvaluation(scores, replace(evaluation, metrics=metrics))


def collect_scores(
    results: Sequence[FoldResult],
    features: Sequence[VideoFeatures],
    k_prime: Length,
    protocol: str = "paper",
    not_analysed: Container[str] = (),
    method: SpottingMethod = MEAN_SPOTTING,
    p: float | None = None,
    of_subject: Mapping[str, SpottingMethod] = {},
) -> list[VideoScores]:
    """The scores of all tested videos: in the order of folds, then of videos in natural order.

    Under the paper's protocol, the videos of the subjects `not_analysed` have no probabilities. With `p` they have
    thresholds. `of_subject` has the methods of subjects that have another one than `method`.
    """
    collected = []
    for result in results:
        for i, number in enumerate(result.fold.test):
            video = features[number].video
            used, half = of_subject.get(video.subject, method), frames_of(k_prime, video.fps)
            raw = result.scores(i)
            smoothed = used.smooth(raw, half, protocol)
            recognised = protocol != "paper" or video.subject not in not_analysed
            collected.append(
                VideoScores(
                    video,
                    raw,
                    smoothed,
                    result.probabilities(i) if recognised else None,
                    None if p is None else used.threshold(smoothed, p),
                    used.half_width(half) if used.half_width else half,
                )
            )
    return collected
