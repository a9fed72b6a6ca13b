"""MEAN, the Micro-Expression Analysis Network: spot micro-expressions in long videos, then recognise them.

python main.py                                        # predict and evaluate DEMO with the weights that come with it
python main.py --train                                # train leave-one-subject-out on DEMO, and evaluate
python main.py --dataset_name CASME_sq --train --data_root /path/to/datasets
python main.py --help
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from Utils.datasets.table import DATASETS, Dataset
from Utils.errors import InputError, shown
from Utils.methods.table import METHODS, Method
from Utils.parsing import parse_settings
from Utils.records import PROTOCOLS, Length, frames_of
from Utils.screen import heading, print_memory
from Utils.settings import MEAN, MEDIAN_LENGTH, NESTED, Settings
from Utils.work.machine import cores

# Exit codes
DONE = 0
PARTLY_DONE = 1  # some videos were left out or failed; they are named
BAD_INPUT = 2  # bad input, or an error of the machine
INTERRUPTED = 130  # by Ctrl-C: 128 + the number of the signal (2), as shells count

# Errors that the machine causes, not the program: no permission, disk or quota full, file too large, read-only disk,
# broken or missing disk, name too long. They are reported in one line. Any other OSError is a bug of the program.
ENVIRONMENT_ERRORS = {
    getattr(errno, name)
    for name in ["EACCES", "EPERM", "ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EIO", "ESTALE", "ENAMETOOLONG"]
    if hasattr(errno, name)  # Windows does not have all of them
}


def main(argv: list[str] | None = None) -> int:
    """Run the command line. Returns the exit code: `DONE`, `PARTLY_DONE`, `BAD_INPUT` or `INTERRUPTED`.

    `argv` has the flags, by default those of this process. Raises SystemExit if a flag is wrong (code 2), and for
    --help and --version (code 0).
    """
    settings = parse_settings(argv, tuple(DATASETS), METHODS)
    try:
        if settings.evaluate:
            from Utils.dataset_run.tables import evaluate_tables

            return evaluate_tables(settings) or DONE
        if settings.agreement:
            from Utils.dataset_run.tables import compare_coders

            return compare_coders(settings) or DONE
        if settings.video:
            from Utils.own_video.command import analyse_videos, check_videos

            n_failed, n = check_videos(settings) if settings.check else analyse_videos(settings)
            return BAD_INPUT if n_failed == n else PARTLY_DONE if n_failed else DONE
        if isinstance(settings.check, Path):
            return check_submission(settings)
        if settings.train_on or settings.test_on:
            from Utils.across.run import run_across

            return PARTLY_DONE if run_across(settings) else DONE
        dataset = dataset_of(settings)
        settings = replace(settings, half_length_from=settings.half_length_from or dataset.half_length_from)
        if settings.check:
            return check(settings, dataset)
        if settings.compare is not None:
            return compare_methods(settings, dataset)
        if settings.ablate is not None:
            return ablate(settings, dataset)
        return run(settings, dataset)[0]
    except InputError as error:
        print(f"main.py: {shown(error)}", file=sys.stderr)
        return BAD_INPUT
    except OSError as error:
        if error.errno not in ENVIRONMENT_ERRORS:
            raise  # with its traceback, which is needed to find the bug
        why = " ".join(str(error.strerror).split())  # one line, also where h5py gives several
        print(f"main.py: {shown(error.filename or 'writing')}: {why}; what is finished is kept", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("main.py: interrupted; give the same command again to continue", file=sys.stderr)
        return INTERRUPTED


def dataset_of(settings: Settings) -> Dataset:
    """The dataset of a run: an entry of the table, or the one that --annotations describes. With the flag's classes.

    Raises InputError if there is no such dataset or choice of classes.
    """
    if not settings.annotations:
        return DATASETS[settings.dataset_name].with_classes(settings.classes)
    from Utils.study.dataset import study_dataset

    return study_dataset(
        settings.annotations, settings.data_root, settings.dataset_name, settings.frame_base, settings.fps
    ).with_classes(settings.classes)


def run(settings: Settings, dataset: Dataset) -> tuple[int, list[dict]]:
    """The six steps over one dataset. For every seed a folder is written and a table of metrics is printed.

    Returns the exit code, and for each seed kind ("micro", "macro" or "overall") -> metrics.
    """
    from Utils.dataset_run.summaries import print_remarks, summarise_runs, summarise_tuning

    method = METHODS[settings.method]
    settings = replace(settings, workers=settings.workers or cores())
    with begun(settings, dataset, method) as workers:
        prepared = [prepare(settings, dataset, method, kind, workers) for kind in settings.kinds]
        seeds = range(settings.seed, settings.seed + settings.runs)
        done = [run_once(replace(settings, seed=seed), dataset, method, prepared, workers) for seed in seeds]
    metrics = [{kind: evaluation.metrics for kind, evaluation in evaluations.items()} for evaluations, _ in done]
    if settings.runs > 1:
        summarise_runs(settings, [list(evaluations.values())[-1] for evaluations, _ in done])
    if settings.runs > 1 and settings.tune == NESTED:
        for i, kind in enumerate(settings.kinds):
            summarise_tuning(settings, [parts[i].tuning for _, parts in done], kind)
    print_remarks(remarks_of(prepared))
    print_memory(workers)
    return PARTLY_DONE if any(of_kind.n_left_out for of_kind in prepared) else DONE, metrics


@contextmanager
def begun(settings: Settings, dataset: Dataset, method: Method) -> Iterator:
    """Check that a run can be done, and give its workers for a `with` block. Raises InputError if it cannot."""
    from Utils.work.cache import remove_leftovers, require_writable
    from Utils.work.parallel import connect

    require_fit(settings, dataset, method)  # before anything is written
    if len(settings.kinds) > 1 and (lacking := missing_weights(settings, dataset, method)):
        raise InputError(f"{lacking}: no such folder of weights; train them with --train, or give --weights_dir")
    cache_dir = settings.cache_dir / dataset.name
    require_writable(settings.output_dir, "--output_dir")
    require_writable(cache_dir, "--cache_dir")
    if settings.train and settings.weights_dir:
        require_writable(settings.weights_dir, "--weights_dir")
    remove_leftovers(cache_dir, depth=3)  # down to features/<subject>/<video>, in which scratch is made
    with connect(settings.workers, settings.scheduler, (settings.output_dir, cache_dir)) as workers:
        print(f"{method.name} on {dataset.title}, {settings.mode}, {settings.protocol} protocol, {workers}")
        yield workers


def require_fit(settings: Settings, dataset: Dataset, method: Method) -> None:
    """Raise InputError if the dataset lacks a kind of expressions, or is not one for the method."""
    from load_excel import require_kind

    for kind in settings.kinds:
        require_kind(dataset, kind)
    if dataset.one_per_video and not method.short_videos:
        others = ", ".join(d.name for d in DATASETS.values() if not d.one_per_video)
        raise InputError(f"{method.name} is for long videos; give one of these with --dataset_name: {others}")
    if settings.protocol == "upstream" and isinstance(dataset.k, Mapping):
        rates = " and ".join(f"{fps:g}" for fps in dataset.k)
        raise InputError(
            f"--protocol upstream: the authors' code has one frame rate, the videos of {dataset.title} have {rates}"
        )


def missing_weights(settings: Settings, dataset: Dataset, method: Method) -> Path | None:
    """A folder of weights that a run without training needs and that is not there. None if there is none."""
    if settings.train or not method.trained:
        return None
    folder_of = method.steps.weights_folder
    folders = (folder_of(settings.weights_source, dataset, kind) for kind in settings.kinds)
    return next((folder for folder in folders if not folder.is_dir()), None)


def compare_methods(settings: Settings, dataset: Dataset) -> int:
    """--compare: run several methods on one dataset, and print their figures side by side. Returns the exit code."""
    from Utils.dataset_run.summaries import write_comparison

    names = list(dict.fromkeys(name.strip() for name in settings.compare.split(",")))
    if unknown := [name for name in names if name not in METHODS]:
        raise InputError(f"--compare: no method is named {unknown[0]!r}; there are {', '.join(METHODS)}")
    for name in names:
        require_fit(settings, dataset, METHODS[name])
        if lacking := missing_weights(settings, dataset, METHODS[name]):
            raise InputError(f"--compare: {name} has no weights in {lacking}; add --train, or --weights_dir")
    codes, figures = [], {}
    for name in names:
        method = METHODS[name]
        train = settings.train and method.trained
        of_method = replace(settings, method=name, compare=None, train=train, **method.defaults)
        code, metrics = run(of_method, dataset)
        codes.append(code)
        figures[name] = metrics[0]
        print()
    write_comparison(settings, figures)
    return max(codes)


def ablate(settings: Settings, dataset: Dataset) -> int:
    """--ablate: run MEAN and variants of it, and print their figures side by side. Returns the exit code."""
    from Utils.ablation.table import variants_of
    from Utils.dataset_run.summaries import print_remarks, write_variants

    variants = variants_of(settings.ablate)
    if dataset.one_per_video and any(variant.p is not None for variant in variants):
        raise InputError(f"--ablate p: videos of {dataset.title} have one expression each, which needs no threshold")
    if not settings.train and (new := [variant.name for variant in variants if variant.trained]):
        raise InputError(f"--ablate: {new[0]!r} needs networks of its own: add --train")
    settings = replace(settings, workers=settings.workers or cores())
    prepared, evaluations = {}, {}
    with begun(settings, dataset, METHODS[MEAN]) as workers:
        for variant in variants:
            method, p = variant.method, settings.p if variant.p is None else variant.p
            data = (method.steps.pair_distance, method.steps.features)
            if data not in prepared:
                prepared[data] = prepare(settings, dataset, method, settings.kinds[0], workers)
            part, _ = train_and_evaluate(replace(settings, p=p), dataset, method, prepared[data], workers)
            print(f"  {variant.name}")
            evaluations[variant.name] = part.evaluated[settings.protocol].evaluation
    remarks = remarks_of(list(prepared.values()))
    write_variants(settings, evaluations, remarks)
    print_remarks(remarks)
    print_memory(workers)
    return PARTLY_DONE if any(of_kind.n_left_out for of_kind in prepared.values()) else DONE


@dataclass(frozen=True)
class Prepared:
    """What steps 1 to 4 give for one kind of expressions.

    Attributes
    ----------
    kind : {"micro", "macro"}
    fps : float
        Frames per second; the highest rate, if the videos have different ones.
    features : list of VideoFeatures
    subjects : list of str
        All annotated subjects, then the others (`--videos all`). The number of a fold is the position of its subject
        in this list, from 1.
    k, k_prime : Length
        Distance of the two frames of a pair, and half the length of an expression.
    weights : list of FoldWeights or None
        One for each of `subjects`. None if the networks are trained.
    n_left_out : int
        Number of videos that should take part and have no features: no face, too few frames, or no weights.
    remarks : list of str
        What was left out, and what looks wrong in the data.
    trained_on : dict
        Before training: what `weights.json` will say about the people who are trained on.
    """

    kind: str
    fps: float
    features: list
    subjects: list[str]
    k: Length
    k_prime: Length
    weights: list | None
    n_left_out: int
    remarks: list[str]
    trained_on: dict


def prepare(settings: Settings, dataset: Dataset, method: Method, kind: str, workers) -> Prepared:
    """Steps 1 to 4: videos, annotations, crops, features. Raises InputError if data or weights cannot be used."""
    from prepare_training import half_length, require_two_subjects
    from Utils.across.weights import described_people
    from Utils.dataset_run.data import crops_of, features_of, read_data
    from Utils.datasets.lengths import at_rates_of
    from Utils.networks.weights import remarks_on_weights

    steps, of_kind = method.steps, kind_named(settings, kind)
    heading(f"Videos and annotations{of_kind}")
    data = read_data(settings, dataset, kind, not method.recognises, workers)
    raw_videos, annotated, others, remarks = data.videos, data.annotated, data.others, list(data.remarks)
    dataset = at_rates_of(raw_videos, dataset)
    k_prime = half_length(raw_videos, settings.half_length_from == MEDIAN_LENGTH)
    weights = None
    if not settings.train and method.trained:
        source, protocol = settings.weights_source, settings.protocol
        weights, others, more = steps.find_weights(source, dataset, annotated, others, protocol, kind)
        raw_videos = [v for v in raw_videos if v.subject in annotated or v.subject in others]
        folder = steps.weights_folder(source, dataset, kind)
        remarks += more + remarks_on_weights(folder, dataset, frames_of(k_prime, dataset.fps), kind)
    n_expressions = sum(len(v.expressions) for v in raw_videos)
    print(f"  {len(annotated + others)} subjects, {len(raw_videos)} videos, {n_expressions} {kind}-expressions")
    for line in data.annotations.summary():
        print(f"  {line}")
    k = steps.pair_distance(dataset, k_prime)
    for fps in k_prime if isinstance(k_prime, Mapping) else (dataset.fps,):
        print(f"  k = {frames_of(k, fps)} and k' = {frames_of(k_prime, fps)} frames at {fps:g} frames per second")

    heading(f"Face crop{of_kind}")
    videos, more = crops_of(settings, dataset, raw_videos, data.found, workers)
    remarks += more
    require_two_subjects(videos)  # before the flow, which takes longest

    heading(f"Optical-flow features{of_kind}")
    features, more = features_of(settings, dataset, videos, k, steps.features, workers)
    subjects, n_left_out = annotated + others, len(data.videos) - len(features)
    trained_on = described_people(dataset, raw_videos, features) if settings.train else {}
    return Prepared(
        kind, dataset.fps, features, subjects, k, k_prime, weights, n_left_out, remarks + more, trained_on
    )  # fmt: skip


def run_once(settings: Settings, dataset: Dataset, method: Method, prepared: list[Prepared], workers) -> tuple:
    """Steps 5 and 6 with one seed: write the run's folder, and print the metrics.

    Returns kind -> evaluation ("overall" is the last one if there are two kinds), and a RunPart for each kind.
    """
    from Utils.dataset_run.folder import evaluation_of, write_run
    from Utils.evaluation.kinds import OVERALL
    from Utils.evaluation.text import format_metrics
    from Utils.tuning.table import format_tuning

    done = [train_and_evaluate(settings, dataset, method, of_kind, workers) for of_kind in prepared]
    parts, remarks = [part for part, _ in done], [remark for _, more in done for remark in more]
    heading("Evaluation")
    folder = write_run(settings, dataset, method, parts, remarks_of(prepared) + remarks, workers)
    whole = evaluation_of(parts, settings.protocol, dataset)
    print(format_metrics(whole.metrics, subjects=True))
    for part in parts:
        if part.tuning:
            print(f"\n{format_tuning(part.tuning, kind_named(settings, part.kind))}")
    for remark in remarks:
        print(f"  - {remark}")
    print(f"\n  everything is in {folder}")
    kinds = {part.kind: part.evaluated[settings.protocol].evaluation for part in parts}
    return kinds if len(kinds) == 1 else kinds | {OVERALL: whole}, parts


def train_and_evaluate(settings: Settings, dataset: Dataset, method: Method, prepared: Prepared, workers):
    """Steps 5 and 6 with one seed for one kind of expressions. Returns a RunPart, and remarks on the folds."""
    from prepare_training import fold_of_all, grouped_folds, loso_folds, recognition_entries, recognition_samples
    from train_evaluate import Hyperparameters, evaluate_folds, run_folds
    from Utils.dataset_run.folder import RunPart
    from Utils.tuning.nested import choose, tuned
    from Utils.tuning.table import Tuning

    what = f"training, seed {settings.seed}" if settings.train else "prediction"
    splits = f"{settings.folds} folds of subjects:" if settings.folds else "Leave-one-subject-out"
    heading(f"{splits} {what}{kind_named(settings, prepared.kind)}")
    features, k_prime, steps = prepared.features, prepared.k_prime, method.steps
    videos = [f.video for f in features]
    samples = recognition_samples(videos, dataset.classes) if method.recognises else []
    entries = recognition_entries(prepared.subjects, videos, samples)
    if settings.folds:
        folds = grouped_folds(videos, samples, settings.folds)
    else:
        folds = loso_folds(videos, samples, prepared.subjects, entries if settings.protocol == "upstream" else None)
    if settings.train and settings.ablate is None:
        folds.append(fold_of_all(videos, samples))  # its networks are for videos of people outside the dataset
    weights = [prepared.weights[f.number - 1] for f in folds] if prepared.weights else None
    results, remarks = run_folds(
        folds,
        features,
        samples,
        len(dataset.classes),
        k_prime,
        settings.cache_dir / dataset.name,
        workers,
        hyperparameters=Hyperparameters.of(settings) if settings.train else None,
        weights=weights,
        fresh=settings.fresh,
        method=steps.folds,
        kind=prepared.kind,
        protocol=settings.protocol,
    )
    leaking = {f.held_out for f, w in zip(folds, weights, strict=True) if w.leaks} if weights else set()
    without_entry = {s for s, entry in zip(prepared.subjects, entries, strict=True) if entry is None}
    not_analysed = {"paper": leaking, "upstream": without_entry}  # subjects whose emotions do not count
    protocols = sorted(PROTOCOLS, key=lambda protocol: protocol != settings.protocol)  # the run's own comes first
    if settings.folds or settings.tune == NESTED or isinstance(k_prime, Mapping):
        protocols.remove("upstream")  # the authors' code leaves out one subject, has fixed values and one frame rate

    def evaluate(protocol: str, of_subject=MappingProxyType({})):
        return evaluate_folds(
            results, features, dataset, k_prime, settings, protocol, not_analysed[protocol], steps.spotting,
            prepared.kind, of_subject,
        )  # fmt: skip

    evaluated, tuning = {protocol: evaluate(protocol) for protocol in protocols}, None
    if settings.tune == NESTED:
        choices, reached = choose(results, features, k_prime, settings.p, steps.spotting, dataset.one_per_video)
        fixed = evaluated["paper"].evaluation
        evaluated["paper"] = evaluate("paper", {s: tuned(steps.spotting, choice) for s, choice in choices.items()})
        tuning = Tuning(choices, reached, fixed, evaluated["paper"].evaluation)
    part = RunPart(
        prepared.kind, prepared.k, k_prime, results, evaluated, tuning, prepared.fps, prepared.trained_on
    )  # fmt: skip
    return part, remarks


def remarks_of(prepared: list[Prepared]) -> list[str]:
    """The remarks on the data of all kinds of expressions, each once."""
    return list(dict.fromkeys(remark for of_kind in prepared for remark in of_kind.remarks))


def kind_named(settings: Settings, kind: str) -> str:
    """The end of a heading: the kind of expressions, if the run has more than one."""
    return f": {kind}-expressions" if len(settings.kinds) > 1 else ""


def check(settings: Settings, dataset: Dataset) -> int:
    """--check: read a dataset and report what is there. Returns the exit code; `BAD_INPUT` if a run would stop."""
    from Utils.dataset_run.check import check_dataset

    problems = []
    for kind in settings.kinds:
        found = check_dataset(
            dataset, settings.data_root, settings.protocol, settings.videos, settings.workers or cores(), kind,
            not METHODS[settings.method].recognises, settings.half_length_from,
        )  # fmt: skip
        print(found.report)
        problems += found.problems
    return BAD_INPUT if problems else DONE


def check_submission(settings: Settings) -> int:
    """--check FILE: can a file be submitted to the Grand Challenge? Returns the exit code; `BAD_INPUT` if not."""
    from Utils.across.validate import check_submission, format_check

    checked = check_submission(settings.check, settings.frame_base, settings.data_root)
    print(format_check(settings.check, checked))
    return BAD_INPUT if checked.problems else DONE


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # names may have characters that the terminal cannot show
    sys.exit(main())
