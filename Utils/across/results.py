"""What runs across datasets leave: a folder for new networks, one for each tested dataset, and pooled figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from Utils.across.datasets import joined_name
from Utils.across.submission import (
    COLUMNS,
    COUNTS,
    Recorded,
    recorded_frames,
    video_ids,
    write_archive,
    write_submission,
)
from Utils.dataset_run.folder import RunPart, describe_run, evaluation_of, run_name, save_weights, write_run
from Utils.datasets.table import DATASETS, THREE_CLASSES, Dataset
from Utils.evaluation.csv_files import write_table
from Utils.evaluation.evaluate import compare
from Utils.evaluation.kinds import spotting_only, together
from Utils.evaluation.result import Evaluation
from Utils.evaluation.text import format_metrics
from Utils.methods.table import Method
from Utils.report.losses import plot_losses
from Utils.report.tensorboard_logs import write_tensorboard
from Utils.settings import Settings
from Utils.work.cache import write_json, write_new_folder
from Utils.work.parallel import Workers

SUBMISSION = "submission"  # folder with the files for the Grand Challenge
THINNED = (
    "frame numbers in tables and figures count the frames that were used, and times are those of the recordings; only "
    f"the files in {SUBMISSION} have the frame numbers of the recordings"
)
VIDEOS_SHOWN = 30  # that are printed
NOT_POOLED = ("ap", "mae")  # figures that make no sense over several datasets


@dataclass(frozen=True)
class Tested:
    """A dataset that was tested.

    Attributes
    ----------
    name : str
        The dataset's name, whatever its frame rate.
    dataset : Dataset
    parts : list of RunPart
        One for each kind of expressions.
    recorded : mapping of (str, str) to Recorded
        (subject, video) -> the recorded video.
    by : str
        The name of the networks.
    folder : Path or None
        What was written about it.
    """

    name: str
    dataset: Dataset
    parts: list[RunPart]
    recorded: Mapping[tuple[str, str], Recorded]
    by: str
    folder: Path | None = None


@dataclass(frozen=True)
class Trained:
    """Networks that were trained on all subjects of some datasets.

    Attributes
    ----------
    name : str
    parts : list of RunPart
        One for each kind of expressions.
    fps : mapping of str to float
        Kind -> the highest frame rate of its videos.
    """

    name: str
    parts: list[RunPart]
    fps: Mapping[str, float]

    def facts(self, kind: str) -> Dataset:
        """A dataset with what `weights.json` says about the networks of a kind, whose k and k' are at this rate."""
        about = dict(name=self.name, title=self.name, classes=THREE_CLASSES, generated=False, caution="")
        return replace(DATASETS["DEMO"], fps=self.fps[kind], kinds=tuple(self.fps), **about)


def write_trained(settings: Settings, trained: Trained, method: Method, remarks: Sequence[str]) -> Path:
    """Write the folder of new networks. Returns the folder of weights, in which they have the name `trained.name`."""
    of_run = replace(settings, dataset_name=trained.name, train=True)
    parts = trained.parts

    def save(part: RunPart, weights_dir: Path) -> None:
        save_weights(part, trained.facts(part.kind), method, "paper", weights_dir)

    def write(folder: Path) -> None:
        write_json(folder / "settings.json", describe_run(of_run, trained.facts(parts[0].kind), parts))
        if remarks:
            (folder / "remarks.txt").write_text("\n".join(remarks) + "\n", encoding="utf-8")
        for part in parts:
            ending = f"-{part.kind}" if len(parts) > 1 else ""
            histories = {r.fold.held_out: r.history for r in part.results}
            plot_losses(folder / f"losses{ending}.png", histories)
            write_tensorboard(folder / f"tensorboard{ending}", histories)
            save(part, folder / method.weights_name)

    final = write_new_folder(settings.output_dir / run_name(of_run), write)
    if settings.weights_dir:
        for part in parts:
            save(part, settings.weights_dir)
    print(f"  the networks are in {final}")
    return final / method.weights_name


def write_tested(
    settings: Settings, method: Method, tested: Tested, remarks: Sequence[str], workers: Workers | int
) -> Path:
    """Write the folder of a tested dataset, with its files for the Grand Challenge, and print the metrics."""
    dataset = replace(tested.dataset, title=f"{tested.dataset.title}, networks of {tested.by}")
    of_run = replace(settings, dataset_name=f"{tested.dataset.name}-by-{tested.by}", train=False)

    if any(recorded.every > 1 for recorded in tested.recorded.values()):
        remarks = [*remarks, THINNED]

    def submission(folder: Path) -> None:
        predictions = evaluation_of(tested.parts, "paper", dataset).predictions
        if len(tested.parts) == 1:
            predictions = predictions.assign(kind=tested.parts[0].kind)
        scores = [s.video for part in tested.parts for s in part.evaluated["paper"].scores]
        used = {(video.subject, video.name): len(video.frames) for video in scores}
        videos = {}
        for key, recorded in tested.recorded.items():  # also those that cannot be used: they have no expressions
            if n_frames := recorded_frames(recorded, used.get(key, 0)):
                videos[key] = recorded._replace(n_frames=n_frames)
        ids = video_ids(tested.recorded)
        write_submission(folder / SUBMISSION, predictions, videos, settings.frame_base, ids)

    final = write_run(of_run, dataset, method, tested.parts, remarks, workers, submission)
    evaluation = evaluation_of(tested.parts, "paper", dataset)
    if tested.dataset.annotated:
        print(format_metrics(evaluation.metrics, subjects=True))
    else:
        print_counts(evaluation.predictions, tested)
    print(f"\n  everything is in {final}; the files for the Grand Challenge are in {final / SUBMISSION}")
    return final


def print_counts(predictions: pd.DataFrame, tested: Tested) -> None:
    """Print how many expressions were spotted in each video of a dataset without annotations."""
    scores = [score for part in tested.parts for score in part.evaluated["paper"].scores]
    videos = list(dict.fromkeys((score.video.subject, score.video.name) for score in scores))
    counts = predictions.groupby(["subject", "video"]).size()
    print(f"  {len(predictions)} expressions spotted in {len(videos)} videos; there are no annotations to compare with")
    for subject, video in videos[:VIDEOS_SHOWN]:
        print(f"  {counts.get((subject, video), 0):6d}  {subject}/{video}")
    if len(videos) > VIDEOS_SHOWN:
        print(f"     ... all are in {SUBMISSION}/{COUNTS}")


def write_submissions(settings: Settings, results: Sequence[Tested]) -> Path:
    """Write the archives of several test sets: one for each variant, with a file `<test set>_pred.csv` for each set.

    `results` have the folders that `write_tested` wrote. Returns the folder of the archives.
    """

    def write(folder: Path) -> None:
        for variant in COLUMNS:
            files = {f"{result.name}_pred.csv": result.folder / SUBMISSION / variant for result in results}
            write_archive(folder / f"{Path(variant).stem}.zip", files)

    of_run = replace(settings, dataset_name=joined_name([result.dataset for result in results]), train=False)
    final = write_new_folder(settings.output_dir / run_name(of_run, f"-{SUBMISSION}"), write)
    print(f"\n  archives with all {len(results)} test sets are in {final}")
    return final


def pooled_evaluation(results: Sequence[Tested]) -> Evaluation:
    """The evaluations of several datasets as one: all counts are summed, and STRS is that of the sums.

    Subjects get the name of their dataset, as it is used: `SAMMLV/006`, or with --highest_fps `SAMMLV_every7/006`. AP
    and MAE are None: scores of different networks have no common ranking, and a frame is not as long in every dataset.
    """
    kinds = list(dict.fromkeys(part.kind for result in results for part in result.parts))
    return together({kind: _pooled_kind(results, kind) for kind in kinds}, THREE_CLASSES)


def _pooled_kind(results: Sequence[Tested], kind: str) -> Evaluation:
    """`pooled_evaluation` of one kind of expressions."""
    found = [(r.dataset, part) for r in results for part in r.parts if part.kind == kind]
    tables: dict[str, list[pd.DataFrame]] = {"predictions": [], "ground_truth": []}
    videos = []
    for dataset, part in found:
        evaluation = part.evaluated["paper"].evaluation
        for name, of_datasets in tables.items():
            table = getattr(evaluation, name)
            of_datasets.append(table.assign(subject=dataset.name + "/" + table["subject"].astype(str)))
        videos += [(f"{dataset.name}/{row['subject']}", row["video"]) for row in evaluation.metrics["per_video"]]
    joined = [pd.concat(of_datasets, ignore_index=True) for of_datasets in tables.values()]
    one_per_video = all(dataset.one_per_video for dataset, _ in found)
    evaluation = compare(*joined, THREE_CLASSES, one_per_video=one_per_video, videos=videos)
    recognised = all(part.evaluated["paper"].evaluation.metrics["analysis"] is not None for _, part in found)
    metrics = evaluation.metrics if recognised else spotting_only(evaluation.metrics)
    for figures in (metrics["spotting"], metrics["intervals"]["spotting"]):
        figures.update(dict.fromkeys(NOT_POOLED))
    metrics["notes"] = [note for note in metrics["notes"] if not note.startswith(NOT_POOLED)]
    metrics["notes"].append("AP and MAE are not pooled: scores and frames of different datasets cannot be compared")
    return replace(evaluation, metrics=metrics)


def write_pooled(settings: Settings, results: Sequence[Tested], ending: str) -> Path:
    """Print the figures of each tested dataset and of all together, and write those as a folder."""
    evaluation = pooled_evaluation(results)
    rows = [_row(r.dataset.name, evaluation_of(r.parts, "paper", r.dataset).metrics) for r in results]
    table = pd.DataFrame([*rows, _row("together", evaluation.metrics)])
    name = joined_name([result.dataset for result in results])

    def write(folder: Path) -> None:
        write_table(evaluation.predictions, folder / "predictions.csv")
        write_table(evaluation.ground_truth, folder / "ground_truth.csv")
        write_table(table, folder / "datasets.csv")
        write_json(folder / "metrics.json", {"dataset": name, "seed": settings.seed} | evaluation.metrics)

    of_run = replace(settings, dataset_name=name, train=False)
    final = write_new_folder(settings.output_dir / run_name(of_run, f"-{ending}"), write)
    print(f"\n{len(results)} datasets together")
    print(format_metrics({"dataset": name} | evaluation.metrics))
    print(table.to_string(index=False, float_format=lambda x: f"{x:.4f}", na_rep="-"))
    print(f"\n  the pooled figures are in {final}")
    return final


def _row(name: str, metrics: dict) -> dict:
    """The figures of one dataset in the table of several."""
    spotting, analysis = metrics["spotting"], metrics["analysis"] or {}
    row = {"dataset": name} | {key: spotting[key] for key in ("tp", "fp", "fn", "f1")}
    return row | {"analysis_f1": analysis.get("f1"), "strs": metrics["strs"]}
