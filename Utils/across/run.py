"""Runs across datasets: --train_on, --test_on, --leave_one_dataset_out.

Networks are trained on all subjects of several datasets, whatever their frame rates. Their emotions are put into three
classes: negative, positive, surprise. k and k' are durations: k' comes from all expressions that are trained on. A
dataset is tested with the k and k' of the networks; its own annotations are only used for the evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from feature_extraction import VideoFeatures
from prepare_training import fold_of_all, recognition_samples
from train_evaluate import Hyperparameters, evaluate_folds, run_folds
from Utils.across.datasets import name_of_networks, named_datasets
from Utils.across.people import require_different_people
from Utils.across.rates import slower
from Utils.across.results import Tested, Trained, write_pooled, write_submissions, write_tested, write_trained
from Utils.across.sources import Source, average_of, half_length_of, read_source, require_kinds
from Utils.across.submission import video_ids
from Utils.across.weights import (
    described_training,
    network_of_all,
    remark_on_rate,
    require_trained_on_others,
    warning_on_training,
)
from Utils.dataset_run.data import crops_of, features_of
from Utils.dataset_run.folder import RunPart
from Utils.dataset_run.summaries import print_remarks
from Utils.datasets.lengths import lengths_at, pair_distances
from Utils.datasets.table import THREE_CLASSES, Dataset
from Utils.errors import InputError
from Utils.methods.table import METHODS, Method
from Utils.own_video.weights import OwnWeights
from Utils.records import Fold, Length, shown_length
from Utils.screen import heading, print_memory
from Utils.settings import Settings
from Utils.work.cache import remove_leftovers, require_writable
from Utils.work.machine import cores
from Utils.work.parallel import Workers, connect


def run_across(settings: Settings) -> int:
    """Train on some datasets, test on others, and write a folder for each. Returns the number of videos left out.

    Raises InputError if a dataset, or weights, cannot be used, or if somebody would be trained on and tested.
    """

    method = METHODS[settings.method]
    settings = replace(settings, workers=settings.workers or cores(), protocol="paper")
    trained = named_datasets(settings.train_on, settings, "train_on") if settings.train_on else []
    tested = named_datasets(settings.test_on, settings, "test_on", unannotated=True) if settings.test_on else []
    if both := [dataset.name for dataset in tested if dataset.name in [other.name for other in trained]]:
        raise InputError(f"{both[0]} is in --train_on and in --test_on: leave it out in one of them")
    if settings.leave_one_dataset_out and len(trained) < 2:
        raise InputError("--leave_one_dataset_out needs at least two datasets in --train_on")
    require_used_flags(settings, trained, tested)
    for dataset in (*trained, *tested):
        if dataset.one_per_video and not method.short_videos:
            raise InputError(f"{method.name} is for long videos; leave {dataset.name} out")
    splits = [(trained, tested)]  # the datasets that are trained on and tested, several times
    if settings.leave_one_dataset_out:
        splits = [([d for d in trained if d is not held_out], [held_out]) for held_out in trained]
    for training, of_test in splits:
        require_kinds(settings.kinds, training, of_test)
    for folder, flag in ((settings.output_dir, "--output_dir"), (settings.cache_dir, "--cache_dir")):
        require_writable(folder, flag)
    if settings.train_on and settings.weights_dir:
        require_writable(settings.weights_dir, "--weights_dir")
    with connect(settings.workers, settings.scheduler, (settings.output_dir, settings.cache_dir)) as workers:
        print(f"{method.name} across datasets, {workers}")
        run = _Across(settings, method, workers)
        for training, of_test in splits:  # whatever is wrong with the data is found before the work begins
            run.require_usable(training, of_test)
        results = [tested for split in splits for tested in run.train_and_test(*split)]
        if settings.leave_one_dataset_out:
            write_pooled(settings, results, "leave-one-dataset-out")
        elif len(annotated := [result for result in results if result.dataset.annotated]) > 1:
            write_pooled(settings, annotated, "pooled")
        if len(unannotated := [result for result in results if not result.dataset.annotated]) > 1:
            write_submissions(settings, unannotated)
    print_remarks(run.remarks_on(list(run.remarks)))
    print_memory(workers)
    return run.n_left_out


def require_used_flags(settings: Settings, trained: Sequence[Dataset], tested: Sequence[Dataset]) -> None:
    """Raise InputError if --fps or --frame_base was given and does nothing."""
    own = [dataset for dataset in (*trained, *tested) if dataset.scan is not None]
    if settings.fps is not None and not own:
        raise InputError("--fps is for tables and folders in --train_on and --test_on: leave it out")
    numbered = tested or settings.leave_one_dataset_out or any(dataset.annotated for dataset in own)
    if settings.frame_base is not None and not numbered:
        raise InputError("--frame_base is for tables in --train_on, and for what is tested: leave it out")


class _Across:
    """What the parts of a run across datasets share.

    Attributes
    ----------
    sources : dict of (str, str) to Source
        (name of the dataset, kind) -> what was read of it.
    remarks : dict of str to list of str
        Name of the dataset -> remarks on it.
    warnings : list of str
        What was printed before the work began.
    """

    def __init__(self, settings: Settings, method: Method, workers: Workers) -> None:
        self.settings, self.method, self.workers = settings, method, workers
        self.sources: dict[tuple[str, str], Source] = {}
        self.remarks: dict[str, list[str]] = {}
        self.left_out: set[tuple[str, str, str]] = set()
        self.warnings: list[str] = []

    @property
    def n_left_out(self) -> int:
        """The number of videos that should take part, and have no features."""
        return len(self.left_out)

    def remarks_on(self, names: Sequence[str]) -> list[str]:
        """The remarks on datasets, each once. They name the dataset if the run has several."""
        named = [(name, remark) for name in names for remark in self.remarks.get(name, ())]
        several = len({name for name, _ in self.sources}) > 1
        return list(dict.fromkeys(f"{name}: {remark}" if several else remark for name, remark in named))

    def kinds_of(self, dataset: Dataset) -> list[str]:
        """The kinds of expressions for which a dataset is tested."""
        return [kind for kind in self.settings.kinds if not dataset.annotated or kind in dataset.kinds]

    def require_usable(self, training: Sequence[Dataset], tested: Sequence[Dataset]) -> None:
        """Read the datasets of one training and its tests.

        Raises InputError if one, or the weights, cannot be used, or somebody would be trained on and tested.
        """
        settings, people = self.settings, []
        for kind in settings.kinds:
            people += [self.read(dataset, kind).people for dataset in training if kind in dataset.kinds]
        for dataset in tested:
            for kind in self.kinds_of(dataset):
                if not training:
                    network_of_all(settings.weights_source, settings.dataset_name, self.method, kind)
                source = self.read(dataset, kind)
                require_different_people(people, source.people)
                if not training:
                    weights = settings.weights_source, settings.dataset_name, self.method, kind
                    require_trained_on_others(*weights, source.people)
                    self.warn(warning_on_training(*weights))
            sources = [self.read(dataset, kind) for kind in self.kinds_of(dataset)]
            try:
                video_ids(dict.fromkeys(key for source in sources for key in source.recorded))
            except InputError as error:
                raise InputError(f"{dataset.title}: {error}") from None

    def warn(self, warning: str) -> None:
        """Print a warning, if it is one, once. The folders of tested datasets have it among their remarks."""
        if warning and warning not in self.warnings:
            self.warnings.append(warning)
            print(f"  WARNING: {warning}")

    def train_and_test(self, training: Sequence[Dataset], tested: Sequence[Dataset]) -> list[Tested]:
        """Train, if there are datasets for it, and test."""
        weights_dir, name = self.settings.weights_source, self.settings.dataset_name
        if training:
            weights_dir, name = self.train(training)
        return [self.test(dataset, weights_dir, name) for dataset in tested]

    def train(self, datasets: Sequence[Dataset]) -> tuple[Path, str]:
        """Train on all subjects of `datasets`. Returns the folder of weights, and the name of the new ones in it."""
        kinds = self.settings.kinds
        of_kinds = {kind: [self.read(d, kind) for d in datasets if kind in d.kinds] for kind in kinds}
        name = self.settings.dataset_name or name_of_networks([slower(d, self.settings.highest_fps) for d in datasets])
        parts: list[RunPart] = []
        for kind, sources in of_kinds.items():
            heading(f"Training on {name}: {kind}-expressions")
            for dataset in datasets:
                if kind not in dataset.kinds:
                    self.remarks.setdefault(dataset.name, []).append(f"annotates no {kind}-expressions")
            parts.append(self.train_kind(name, sources, kind))
        remarks = self.remarks_on([*(dataset.name for dataset in datasets), name])
        fps = {kind: max(v.fps for s in sources for v in s.videos) for kind, sources in of_kinds.items()}
        trained = Trained(name, parts, fps)
        return write_trained(self.settings, trained, self.method, remarks), name

    def train_kind(self, name: str, sources: Sequence[Source], kind: str) -> RunPart:
        """Train on one kind of expressions."""
        steps, settings = self.method.steps, self.settings
        average, several = average_of(sources, settings.half_length_from)
        k_prime = half_length_of(sources, average)
        rates = sorted({v.fps for s in sources for v in s.videos})
        k = steps.pair_distance(replace(sources[0].dataset, k=pair_distances(rates)), k_prime)
        print_lengths(k, k_prime)
        if several:
            print(f"  k' is made from the {average}, which one of the datasets needs")
        features: list[VideoFeatures] = []
        for source in sources:
            for f in self.features(source, k):
                subject = f"{source.dataset.name}/{f.video.subject}"  # two datasets can have subjects of one name
                features.append(replace(f, video=replace(f.video, subject=subject)))
        videos = [f.video for f in features]
        samples = recognition_samples(videos, THREE_CLASSES) if self.method.recognises else []
        n_subjects = len({v.subject for v in videos})
        print(f"  {n_subjects} subjects, {len(videos)} videos, {len(samples)} samples for recognition")
        results, remarks = run_folds(
            [fold_of_all(videos, samples)],
            features,
            samples,
            len(THREE_CLASSES),
            k_prime,
            settings.cache_dir / name,
            self.workers,
            hyperparameters=Hyperparameters.of(settings),
            fresh=settings.fresh,
            method=steps.folds,
            kind=kind,
        )
        self.remarks.setdefault(name, []).extend(remarks)
        about = described_training([source.people for source in sources], settings.highest_fps)
        return RunPart(kind, k, k_prime, results, {}, about=about)

    def test(self, dataset: Dataset, weights_dir: Path, name: str) -> Tested:
        """Test a dataset with networks that were trained on all subjects of other ones, and write its folder."""
        parts, sources = [], []
        for kind in self.kinds_of(dataset):
            source = self.read(dataset, kind)
            heading(f"Testing on {source.dataset.title}: {kind}-expressions, networks of {name}")
            weights = network_of_all(weights_dir, name, self.method, kind)
            require_trained_on_others(weights_dir, name, self.method, kind, source.people)
            if weights.caution:
                print(f"  WARNING: {weights.caution}")
            recorded_rates = {v.fps * source.recorded[v.subject, v.name].every for v in source.videos}
            highest = self.settings.highest_fps
            if remark := remark_on_rate(weights_dir, name, self.method, kind, highest, recorded_rates):
                self.remarks.setdefault(dataset.name, []).append(remark)
            parts.append(self.test_kind(source, weights, name, kind))
            sources.append(source)
        recorded = {key: video for source in sources for key, video in source.recorded.items()}
        tested = Tested(dataset.name, sources[0].dataset, parts, recorded, name)
        remarks = [*self.warnings, *self.remarks_on([dataset.name])]
        return replace(tested, folder=write_tested(self.settings, self.method, tested, remarks, self.workers))

    def test_kind(self, source: Source, weights: OwnWeights, name: str, kind: str) -> RunPart:
        """Test one kind of expressions."""
        settings, steps = self.settings, self.method.steps
        rates = sorted({v.fps for v in source.videos})
        k, k_prime = (lengths_at({fps: weights.frames_at(fps)[i] for fps in rates}) for i in (0, 1))
        n_expressions = sum(len(v.expressions) for v in source.videos)
        print(f"  {len({v.subject for v in source.videos})} subjects, {len(source.videos)} videos", end="")
        print(f", {n_expressions} {kind}-expressions" if source.dataset.annotated else ", not annotated")
        print_lengths(k, k_prime)
        features = self.features(source, k)
        subjects = tuple(dict.fromkeys(f.video.subject for f in features))
        nothing = np.array([], np.int64)
        fold = Fold(0, f"by-{name}", nothing, nothing, np.arange(len(features)), subjects)
        results, remarks = run_folds(
            [fold],
            features,
            [],
            len(THREE_CLASSES),
            k_prime,
            settings.cache_dir / source.dataset.name,
            self.workers,
            weights=[weights.networks[0]],
            fresh=settings.fresh,
            method=steps.folds,
            kind=kind,
        )
        self.remarks.setdefault(source.name, []).extend(remarks)
        run = evaluate_folds(results, features, source.dataset, k_prime, settings, "paper", (), steps.spotting, kind)
        return RunPart(kind, k, k_prime, results, {"paper": run})

    def read(self, dataset: Dataset, kind: str) -> Source:
        """Steps 1 and 2, once for each dataset and kind."""
        if (dataset.name, kind) not in self.sources:
            source = read_source(self.settings, dataset, kind, self.method, self.workers)
            remove_leftovers(self.settings.cache_dir / source.dataset.name, depth=3)
            self.sources[dataset.name, kind] = source
            self.remarks.setdefault(dataset.name, []).extend(source.remarks)
        return self.sources[dataset.name, kind]

    def features(self, source: Source, k: Length) -> list[VideoFeatures]:
        """Steps 3 and 4."""
        dataset, steps = source.dataset, self.method.steps
        videos, remarks = crops_of(self.settings, dataset, source.videos, source.found, self.workers)
        features, more = features_of(self.settings, dataset, videos, k, steps.features, self.workers)
        self.remarks.setdefault(source.name, []).extend([*remarks, *more])
        there = {(f.video.subject, f.video.name) for f in features}
        keys = {(v.subject, v.name) for v in source.videos}
        self.left_out |= {(source.name, *key) for key in keys - there}
        if not features:
            raise InputError(f"{dataset.title}: none of its {len(source.videos)} video(s) can be used")
        return features


def print_lengths(k: Length, k_prime: Length) -> None:
    """Print k and k'."""
    print(f"  frames: k = {shown_length(k)}; k' = {shown_length(k_prime)}")
