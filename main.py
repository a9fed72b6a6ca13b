"""MEAN, the Micro-Expression Analysis Network: spot micro-expressions in long videos, then recognise them.

python main.py                                        # the embedded DEMO with the weights that come with it
python main.py --dataset_name DEMO --train True       # train leave-one-subject-out on it, and evaluate
python main.py --dataset_name CASME_sq --train True --data_root /path/to/datasets
python main.py --help
"""

from __future__ import annotations

import errno
import sys
from dataclasses import dataclass, replace

from Utils.errors import InputError, shown
from Utils.settings import Settings, parse_settings

# what the machine refuses, not the program: no permission, disk or quota full, file too large, read-only, broken or
# lost disk, long name
ENVIRONMENT_ERRORS = {
    getattr(errno, name)
    for name in ["EACCES", "EPERM", "ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EIO", "ESTALE", "ENAMETOOLONG"]
    if hasattr(errno, name)  # Windows lacks some
}


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0 done, 1 done but for the videos named, 2 bad input."""
    settings = parse_settings(argv)
    try:
        if settings.evaluate:
            return evaluate_tables(settings)
        if settings.check:
            return check(settings)
        if settings.video:
            return analyse_videos(settings)
        return run(settings)
    except InputError as error:
        print(f"main.py: {shown(error)}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno not in ENVIRONMENT_ERRORS:
            raise  # a bug keeps its traceback
        why = " ".join(str(error.strerror).split())  # h5py's has several lines
        print(f"main.py: {shown(error.filename or 'writing')}: {why}; what is finished is kept", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("main.py: interrupted; give the same command again to continue", file=sys.stderr)
        return 130


def run(settings: Settings) -> int:
    """The six steps over one dataset, then a folder and a table of metrics for every seed."""
    import Utils.networks.backend  # noqa: F401  quiets TensorFlow before anything loads it
    from Utils.dataset_run.folder import print_remarks, summarise_runs
    from Utils.datasets.table import DATASETS
    from Utils.work.cache import remove_leftovers, require_writable
    from Utils.work.parallel import memory_report, scheduler

    dataset = DATASETS[settings.dataset_name]
    require_writable(settings.output_dir, "--output_dir")
    require_writable(settings.cache_dir / dataset.name, "--cache_dir")
    if settings.train and settings.weights_dir:
        require_writable(settings.weights_dir, "--weights_dir")
    remove_leftovers(settings.cache_dir / dataset.name, depth=3)
    with scheduler(settings.scheduler, (settings.output_dir, settings.cache_dir / dataset.name)) as cluster:
        workers = cluster or f"{settings.workers} worker(s)"
        print(f"MEAN on {dataset.title}, {settings.mode}, {settings.protocol} protocol, {workers}")
        prepared = prepare(settings, dataset)
        metrics = []
        for seed in range(settings.seed, settings.seed + settings.runs):
            metrics.append(train_and_evaluate(replace(settings, seed=seed), dataset, prepared))
    if settings.runs > 1:
        summarise_runs(settings, metrics)
    print_remarks(prepared.remarks)
    if report := memory_report():
        print(f"\n{report}")
    return 1 if prepared.n_left_out else 0


@dataclass(frozen=True)
class Prepared:
    """What steps 1 to 4 give. `subjects` are all annotated ones: they number the folds."""

    features: list
    subjects: list[str]
    k_prime: int
    weights: list | None
    n_left_out: int
    remarks: list[str]


def prepare(settings: Settings, dataset) -> Prepared:
    """Steps 1 to 4: videos, annotations, crops, features."""
    from face_crop import choose_crop_roots, crop_videos
    from feature_extraction import extract_features, prepare_flow
    from load_excel import load_annotations, match_expressions
    from load_images import find_videos
    from prepare_training import average_half_length
    from Utils.networks.weights import find_weights, number_folds
    from Utils.synthetic.dataset import make_demo
    from Utils.work.cache import remove_leftovers
    from Utils.work.parallel import release_workers

    heading("Videos and annotations")
    if dataset.generated:
        make_demo(settings.data_root / dataset.name, settings.workers)
    found, remarks = find_videos(dataset, settings.data_root)
    annotations = load_annotations(dataset, settings.data_root, settings.protocol)
    raw_videos, more = match_expressions(found, annotations, settings.videos)
    remarks += annotations.left_out + annotations.remarks + more
    annotated = list(dict.fromkeys(v.subject for v in raw_videos if v.expressions))
    others = list(dict.fromkeys(v.subject for v in raw_videos if v.subject not in annotated))
    n_videos, weights = len(raw_videos), None
    if not settings.train:
        numbers = number_folds(settings.weights_source, dataset, annotated, others, settings.protocol)
        weights = [find_weights(settings.weights_source, dataset, numbers[s], s) for s in annotated]
        for subject in others:  # weights of a training with --videos all
            try:
                weights.append(find_weights(settings.weights_source, dataset, numbers[subject], subject))
            except InputError as error:
                remarks.append(f"{error}; without annotation the subject is left out")
                raw_videos = [v for v in raw_videos if v.subject != subject]
        others = [s for s in others if any(v.subject == s for v in raw_videos)]
    k_prime = average_half_length(e for v in raw_videos for e in v.expressions)
    n_expressions = sum(len(v.expressions) for v in raw_videos)
    print(f"  {len(annotated + others)} subjects, {len(raw_videos)} videos, {n_expressions} micro-expressions")
    for line in annotations.summary():
        print(f"  {line}")
    print(f"  k = {dataset.k} and k' = {k_prime} frames at {dataset.fps} frames per second")

    heading("Face crop")
    crop_root, read_only_root = choose_crop_roots(dataset, settings.data_root, settings.cache_dir)
    remove_leftovers(crop_root, depth=1)
    videos, more = crop_videos(raw_videos, dataset, crop_root, settings.workers, settings.fresh, read_only_root)
    remarks += more

    heading("Optical-flow features")
    prepare_flow(settings.flow)
    cache_dir = settings.cache_dir / dataset.name
    features, more = extract_features(videos, dataset.k, settings.flow, cache_dir, settings.workers, settings.fresh)
    release_workers()  # TensorFlow needs the room
    return Prepared(features, annotated + others, k_prime, weights, n_videos - len(features), remarks + more)


def train_and_evaluate(settings: Settings, dataset, prepared: Prepared) -> dict:
    """Steps 5 and 6 with one seed; writes the run's folder, prints the metrics and returns them."""
    from prepare_training import fold_of_all, loso_folds, recognition_samples
    from train_evaluate import Hyperparameters, run_folds
    from Utils.dataset_run.folder import write_run
    from Utils.evaluation.text import format_metrics
    from Utils.evaluation.upstream import upstream_recognition_entries

    heading(f"Leave-one-subject-out {f'training, seed {settings.seed}' if settings.train else 'prediction'}")
    features, k_prime = prepared.features, prepared.k_prime
    videos = [f.video for f in features]
    samples = recognition_samples(videos, dataset.classes)
    annotated = [s for s in prepared.subjects if any(v.subject == s and v.expressions for v in videos)]
    listed = dict(zip(annotated, upstream_recognition_entries(annotated, {s.subject for s in samples}), strict=True))
    entries = [listed.get(s) for s in prepared.subjects]
    folds = loso_folds(videos, samples, prepared.subjects, entries if settings.protocol == "upstream" else None)
    empty = {s for s, entry in zip(prepared.subjects, entries, strict=True) if entry is None}
    if settings.train:
        folds.append(fold_of_all(videos, samples))  # networks for other people's videos
    results, remarks = run_folds(
        folds,
        features,
        samples,
        len(dataset.classes),
        k_prime,
        settings.cache_dir / dataset.name,
        settings.workers,
        hyperparameters=Hyperparameters.of(settings) if settings.train else None,
        weights=[prepared.weights[f.number - 1] for f in folds] if prepared.weights else None,
        fresh=settings.fresh,
    )

    heading("Evaluation")
    metrics, folder = write_run(
        settings, dataset, k_prime, results, features, {"upstream": empty}, prepared.remarks + remarks
    )
    print(format_metrics(metrics, subjects=True))
    for remark in remarks:
        print(f"  - {remark}")
    print(f"\n  everything is in {folder}")
    return metrics


def check(settings: Settings) -> int:
    """Read a dataset and report, without computing."""
    from Utils.dataset_run.check import UNUSABLE, check_dataset
    from Utils.datasets.table import DATASETS

    report = check_dataset(DATASETS[settings.dataset_name], settings.data_root, settings.workers)
    print(report)
    return 2 if UNUSABLE in report else 0


def analyse_videos(settings: Settings) -> int:
    """Spot and recognise in videos of one's own; exit code 1 if some of several could not be read, 2 if none could."""
    import Utils.networks.backend  # noqa: F401  quiets TensorFlow before anything loads it
    from feature_extraction import prepare_flow
    from Utils.dataset_run.folder import git_revision, versions
    from Utils.datasets.table import DATASETS
    from Utils.own_video.run import SYNTHETIC, jobs_of, run_videos, say_outcomes
    from Utils.own_video.video_files import find_videos_to_run
    from Utils.own_video.weights import weights_for_videos
    from Utils.work.cache import remove_leftovers, require_writable
    from Utils.work.parallel import memory_report, scheduler

    dataset = DATASETS[settings.dataset_name]
    paths = find_videos_to_run(settings.video)
    weights = weights_for_videos(settings.weights_source, dataset, settings.half_length)
    require_writable(settings.output_dir, "--output_dir")
    remove_leftovers(settings.output_dir)
    print(f"MEAN on {len(paths)} video(s), {len(weights.networks)} network(s) of {dataset.title}")
    if weights.synthetic:
        print(f"  WARNING: {SYNTHETIC}")
    prepare_flow(settings.flow)
    about = dict(weights=f"{dataset.title}, {len(weights.networks)} network(s)", versions=versions())
    with scheduler(settings.scheduler, (settings.output_dir,)):
        jobs = jobs_of(paths, settings, weights, about | {"git_revision": git_revision()})
        outcomes = run_videos(jobs, settings)
    say_outcomes(outcomes, jobs)
    if report := memory_report():
        print(f"\n{report}")
    failed = sum(bool(outcome.problem) for outcome in outcomes)
    return 2 if failed == len(outcomes) else 1 if failed else 0


def evaluate_tables(settings: Settings) -> int:
    """Evaluate anybody's predictions against anybody's annotations, both CSV files."""
    from Utils.evaluation.metrics import evaluate
    from Utils.evaluation.tables import classes_of, read_table
    from Utils.evaluation.text import format_metrics

    predictions = read_table(settings.evaluate)
    ground_truth = read_table(settings.ground_truth, ground_truth=True)
    classes = classes_of(ground_truth)
    if settings.classes is not None:
        named = [name.strip() for name in settings.classes.split(",")]
        if unknown := [name for name in named if name not in classes]:
            raise InputError(f"--classes: no annotation is {unknown[0]!r}; the ground truth has {', '.join(classes)}")
        classes = list(dict.fromkeys(named))
    print(f"analysed classes: {', '.join(classes)}")
    print(format_metrics(evaluate(predictions, ground_truth, classes, protocol=settings.protocol), subjects=True))
    return 0


def heading(text: str) -> None:
    print(f"\n{text}", flush=True)


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # names with characters that the terminal does not have
    sys.exit(main())
