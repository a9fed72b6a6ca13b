"""Runs across datasets: --train_on, --test_on, --leave_one_dataset_out.

Networks are trained on all subjects of several datasets, whatever their frame rates. Their emotions are put into three
classes: negative, positive, surprise. k and k' are durations: k' comes from all expressions that are trained on. A
dataset is tested with the k and k' of the networks; its own annotations are only used for the evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from feature_extraction import VideoFeatures
from prepare_training import fold_of_all, half_length, recognition_samples
from train_evaluate import Hyperparameters, evaluate_folds, run_folds
from Utils.across.datasets import (
    People,
    every_nth,
    joined_name,
    lengths_at,
    named_datasets,
    people_of,
    require_different_people,
    slower,
)
from Utils.across.results import Tested, write_pooled, write_tested, write_trained
from Utils.across.weights import network_of_all, require_strangers
from Utils.dataset_run.data import crops_of, features_of, read_data
from Utils.dataset_run.folder import RunPart, print_remarks
from Utils.datasets.table import THREE_CLASSES, Dataset
from Utils.errors import InputError
from Utils.methods.table import METHODS, Method
from Utils.records import Fold, Length, Video, shown_length
from Utils.screen import heading
from Utils.settings import MEAN_LENGTH, MEDIAN_LENGTH, Settings
from Utils.study.dataset import pair_distances
from Utils.work.cache import remove_leftovers, require_writable
from Utils.work.machine import cores
from Utils.work.parallel import Workers, connect


@dataclass(frozen=True)
class Source:
    """One kind of expressions of one dataset, after steps 1 and 2.

    Attributes
    ----------
    dataset : Dataset
    videos, found : list of Video
        Those that take part, and all. Every video has its frame rate.
    every : int
        Every n-th of the recorded frames is used.
    people : People
    remarks : list of str
    """

    dataset: Dataset
    videos: list[Video]
    found: list[Video]
    every: int
    people: People
    remarks: list[str]


def run_across(settings: Settings) -> int:
    """Train on some datasets, test on others, and write a folder for each. Returns the number of videos left out.

    Raises InputError if a dataset, or weights, cannot be used, or if somebody would be trained on and tested.
    """
    import Utils.networks.backend  # noqa: F401  turns off TensorFlow's messages, so it comes before TensorFlow

    method = METHODS[settings.method]
    settings = replace(settings, workers=settings.workers or cores(), protocol="paper")
    trained = named_datasets(settings.train_on, settings, "train_on") if settings.train_on else []
    tested = named_datasets(settings.test_on, settings, "test_on", unannotated=True) if settings.test_on else []
    if both := [dataset.name for dataset in tested if dataset.name in [other.name for other in trained]]:
        raise InputError(f"{both[0]} is in --train_on and in --test_on: leave it out in one of them")
    if settings.leave_one_dataset_out and len(trained) < 2:
        raise InputError("--leave_one_dataset_out needs at least two datasets in --train_on")
    for dataset in (*trained, *tested):
        if dataset.one_per_video and not method.short_videos:
            raise InputError(f"{method.name} is for long videos; leave {dataset.name} out")
        remove_leftovers(settings.cache_dir / dataset.name, depth=3)
    for folder, flag in ((settings.output_dir, "--output_dir"), (settings.cache_dir, "--cache_dir")):
        require_writable(folder, flag)
    if settings.train_on and settings.weights_dir:
        require_writable(settings.weights_dir, "--weights_dir")
    with connect(settings.workers, settings.scheduler, (settings.output_dir, settings.cache_dir)) as workers:
        run = _Across(settings, method, workers)
        if settings.leave_one_dataset_out:
            run.leave_one_out(trained)
        else:
            weights_dir, name = settings.weights_source, settings.dataset_name
            if trained:
                weights_dir, name = run.train(trained, tested)
            results = [run.test(dataset, weights_dir, name) for dataset in tested]
            if len(results) > 1:
                write_pooled(settings, results, "pooled")
    print_remarks(list(dict.fromkeys(run.remarks)))
    if report := workers.memory_report():
        print(f"\n{report}")
    return run.n_left_out


class _Across:
    """What the parts of a run across datasets share."""

    def __init__(self, settings: Settings, method: Method, workers: Workers) -> None:
        self.settings, self.method, self.workers = settings, method, workers
        self.remarks: list[str] = []
        self.n_left_out = 0

    def leave_one_out(self, datasets: Sequence[Dataset]) -> None:
        """Test every dataset with networks that were trained on all others, and pool the counts."""
        results = []
        for held_out in datasets:
            others = [dataset for dataset in datasets if dataset is not held_out]
            weights_dir, name = self.train(others, [held_out])
            results.append(self.test(held_out, weights_dir, name))
        write_pooled(self.settings, results, "leave-one-dataset-out")

    def train(self, datasets: Sequence[Dataset], tested: Sequence[Dataset]) -> tuple[Path, str]:
        """Train on all subjects of `datasets`. Returns the folder of weights, and the name of the new ones in it."""
        name = self.settings.dataset_name or joined_name(
            [slower(dataset, self.settings.highest_fps)[0] for dataset in datasets]
        )
        parts, people = [], []
        for kind in self.settings.kinds:
            heading(f"Training on {name}: {kind}-expressions")
            fitting = [dataset for dataset in datasets if kind in dataset.kinds]
            self.remarks += [f"{d.title} annotates no {kind}-expressions" for d in datasets if d not in fitting]
            if not fitting:
                raise InputError(f"none of {name} annotates {kind}-expressions; leave --expression {kind} out")
            sources = [self.read(dataset, kind) for dataset in fitting]
            for dataset in tested:
                if kind in dataset.kinds or not dataset.annotated:
                    require_different_people([source.people for source in sources], self.read(dataset, kind).people)
            people += [source.people for source in sources if source.people not in people]
            parts.append(self.train_kind(name, sources, kind))
        rates = sorted({fps for part in parts for fps in part.rates})
        joined = replace(
            datasets[0], name=name, title=name, fps=rates[-1], k=pair_distances(rates), scan=None, generated=False,
            kinds=tuple(self.settings.kinds),
        )  # fmt: skip
        trained = [part.part for part in parts]
        return write_trained(self.settings, joined, self.method, trained, people, self.remarks), name

    def train_kind(self, name: str, sources: Sequence[Source], kind: str):
        """Train on one kind of expressions."""
        steps, settings = self.method.steps, self.settings
        averages = {settings.half_length_from or source.dataset.half_length_from for source in sources}
        k_prime = half_length([v for s in sources for v in s.videos], MEDIAN_LENGTH in averages)
        rates = sorted({v.fps for s in sources for v in s.videos})
        k = steps.pair_distance(replace(sources[0].dataset, k=pair_distances(rates)), k_prime)
        print(f"  k = {shown_length(k)}, k' = {shown_length(k_prime)} frames")
        if len(averages) > 1:
            print(f"  k' is made from the {MEDIAN_LENGTH}, which one of the datasets needs, not from the {MEAN_LENGTH}")
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
        self.remarks += remarks
        return TrainedPart(RunPart(kind, k, k_prime, results, {}), rates)

    def test(self, dataset: Dataset, weights_dir: Path, name: str) -> Tested:
        """Test a dataset with networks that were trained on all subjects of other ones, and write its folder."""
        parts, sources = [], []
        kinds = [kind for kind in self.settings.kinds if not dataset.annotated or kind in dataset.kinds]
        if not kinds:
            kind = self.settings.kinds[0]
            raise InputError(f"{dataset.title} annotates no {kind}-expressions; leave --expression out")
        for kind in kinds:
            heading(f"Testing on {dataset.title}: {kind}-expressions, networks of {name}")
            source = self.read(dataset, kind)
            weights = network_of_all(weights_dir, name, self.method, kind)
            require_strangers(weights_dir, name, self.method, kind, source.people)
            parts.append(self.test_kind(source, weights, name, kind))
            sources.append(source)
        tested = Tested(sources[0].dataset, parts, sources[0].every, name)
        write_tested(self.settings, self.method, tested, self.remarks, self.workers)
        return tested

    def test_kind(self, source: Source, weights, name: str, kind: str) -> RunPart:
        """Test one kind of expressions."""
        settings, steps = self.settings, self.method.steps
        rates = sorted({v.fps for v in source.videos})
        k, k_prime = (lengths_at({fps: weights.frames_at(fps)[i] for fps in rates}) for i in (0, 1))
        n_expressions = sum(len(v.expressions) for v in source.videos)
        print(f"  {len({v.subject for v in source.videos})} subjects, {len(source.videos)} videos", end="")
        print(f", {n_expressions} {kind}-expressions" if source.dataset.annotated else ", not annotated")
        print(f"  k = {shown_length(k)}, k' = {shown_length(k_prime)} frames")
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
        self.remarks += remarks
        self.n_left_out += len(source.videos) - len(features)
        run = evaluate_folds(results, features, source.dataset, k_prime, settings, "paper", (), steps.spotting, kind)
        return RunPart(kind, k, k_prime, results, {"paper": run})

    def read(self, dataset: Dataset, kind: str) -> Source:
        """Steps 1 and 2."""
        data = read_data(self.settings, dataset, kind, not self.method.recognises, self.workers)
        at_rate, every = slower(dataset, self.settings.highest_fps)
        videos, found = ([every_nth(v, every, at_rate.fps) for v in some] for some in (data.videos, data.found))
        self.remarks += data.remarks
        return Source(at_rate, videos, found, every, people_of(dataset, data.videos), data.remarks)

    def features(self, source: Source, k: Length) -> list[VideoFeatures]:
        """Steps 3 and 4."""
        dataset, steps = source.dataset, self.method.steps
        videos, remarks = crops_of(self.settings, dataset, source.videos, source.found, self.workers)
        features, more = features_of(self.settings, dataset, videos, k, steps.features, self.workers)
        self.remarks += remarks + more
        return features


@dataclass(frozen=True)
class TrainedPart:
    """Networks of one kind of expressions, and the frame rates of the videos that they were trained on."""

    part: RunPart
    rates: list[float]
