"""Write what a run leaves: settings, tables, metrics, figures, report; after training the weights and their curves."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import pandas as pd

from train_evaluate import FoldResult, RunEvaluation
from Utils.dataset_run.curves import run_curves, video_figures
from Utils.datasets.table import Dataset
from Utils.evaluation.csv_files import write_table
from Utils.evaluation.tables import megc_table
from Utils.networks.weights import DESCRIPTION, KINDS
from Utils.report.figures import draw_video
from Utils.report.losses import plot_losses
from Utils.report.pages import write_report
from Utils.report.tensorboard_logs import write_tensorboard
from Utils.settings import Settings
from Utils.work.cache import atomic_file, write_json, write_new_folder
from Utils.work.machine import git_revision, versions
from Utils.work.parallel import Workers, run_units

REMARKS_SHOWN = 12
SYNTHETIC_FACES = (
    "The faces of this dataset are synthetic: its figures show that the code works, and nothing about people."
)


def run_name(settings: Settings, ending: str = "") -> str:
    """`<dataset>-<train|pretrained>-<date>-<seed><ending>`."""
    date = datetime.now().strftime("%Y%m%d-%H%M%S")
    return f"{settings.dataset_name}-{settings.mode}-{date}-{settings.seed}{ending}"


def write_run(
    settings: Settings,
    dataset: Dataset,
    k_prime: int,
    results: Sequence[FoldResult],
    evaluated: Mapping[str, RunEvaluation],
    remarks: Sequence[str],
    workers: Workers | int,
) -> Path:
    """Write a run's folder, whole or not at all; returns it.

    `evaluated` has an evaluation per protocol. That of the run's own protocol gives tables, figures and metrics.json;
    the report has the other one's metrics beside it: the same networks and annotations, counted by the other's rules.
    """

    def write(folder: Path) -> None:
        _write_files(folder, settings, dataset, k_prime, evaluated, remarks)
        _draw_figures(folder / "figures", settings, dataset, k_prime, evaluated[settings.protocol], workers)
        if settings.train:
            histories = {r.fold.held_out: r.history for r in results}
            plot_losses(folder / "losses.png", {r.fold.held_out: r.history for r in results if r.fold.number})
            write_tensorboard(folder / "tensorboard", histories)
            save_weights(results, dataset, k_prime, settings.protocol, folder / "MEAN_Weights")

    final = write_new_folder(settings.output_dir / run_name(settings), write)
    if settings.train and settings.weights_dir:
        save_weights(results, dataset, k_prime, settings.protocol, settings.weights_dir)
    return final


def _write_files(
    folder: Path,
    settings: Settings,
    dataset: Dataset,
    k_prime: int,
    evaluated: Mapping[str, RunEvaluation],
    remarks: Sequence[str],
) -> None:
    """Settings, tables, metrics and report."""
    run = evaluated[settings.protocol]
    predictions = run.evaluation.predictions
    described = describe_run(settings, dataset, k_prime)
    write_json(folder / "settings.json", described)
    write_table(predictions, folder / "predictions.csv")
    write_table(run.evaluation.ground_truth, folder / "ground_truth.csv")
    last_frames = {(s.video.subject, s.video.name): len(s.video.frames) - 1 for s in run.scores}
    write_table(megc_table(predictions, last_frames), folder / "megc.csv")
    write_json(folder / "metrics.json", run.evaluation.metrics)
    if remarks:
        (folder / "remarks.txt").write_text("\n".join(remarks) + "\n", encoding="utf-8")
    write_report(
        folder / "report.html",
        f"{dataset.title}, {settings.mode}, seed {settings.seed}",
        run_curves(run, dataset, k_prime, settings),
        dataset.classes,
        evaluations={protocol: found.evaluation for protocol, found in evaluated.items()},
        settings=described,
        remarks=remarks,
        warnings=[SYNTHETIC_FACES] if dataset.generated else [],
    )


def _draw_figures(
    folder: Path, settings: Settings, dataset: Dataset, k_prime: int, run: RunEvaluation, workers: Workers | int
) -> None:
    """One figure per video."""
    folder.mkdir()
    run_units(draw_video, video_figures(run, dataset, k_prime, settings, folder), workers, "figures", "video")


def summarise_runs(settings: Settings, metrics: Sequence[dict]) -> Path:
    """Mean and standard deviation (n - 1) of every figure over repeated runs: printed, and written as two CSV files."""
    figures = pd.DataFrame(
        [
            {"seed": m["seed"], "strs": m["strs"]}
            | {
                f"{part}_{name}": value
                for part in ("spotting", "analysis", "recognition")
                for name, value in (m[part] or {}).items()
            }
            for m in metrics
        ]
    ).set_index("seed")
    figures = figures.astype(float)
    summary = pd.DataFrame({"mean": figures.mean(), "sd": figures.std(), "n": figures.count()})

    def write(folder: Path) -> None:
        figures.to_csv(folder / "runs.csv")
        summary.to_csv(folder / "summary.csv", index_label="figure")

    final = write_new_folder(settings.output_dir / run_name(settings, f"-runs{len(metrics)}"), write)
    print(f"\n{len(metrics)} runs, seeds {figures.index[0]} to {figures.index[-1]}: mean and standard deviation")
    print(summary.to_string(float_format=lambda x: f"{x:.4f}", header=["mean", "sd", "runs"]))
    print(f"\n  the summary is in {final}")
    return final


def print_remarks(remarks: Sequence[str]) -> None:
    """What had to be left out or looks wrong in the data, at the end of a run."""
    if not remarks:
        return
    print(f"\n{len(remarks)} remark(s) about the data:")
    for remark in remarks[:REMARKS_SHOWN]:
        print(f"  - {remark}")
    if len(remarks) > REMARKS_SHOWN:
        print("  - ... all are in the run's remarks.txt")


def describe_run(settings: Settings, dataset: Dataset, k_prime: int) -> dict:
    """All that is needed to repeat a run: every flag, k and k', versions, git revision."""
    return {
        "settings": settings.as_json(),
        "k": dataset.k,
        "k_prime": k_prime,
        "fps": dataset.fps,
        "classes": list(dataset.classes),
        "versions": versions(),
        "machine": {"system": platform.platform(), "processor": platform.machine()},
        "git_revision": git_revision(),
        "finished": datetime.now().astimezone().isoformat(timespec="seconds"),
    }


def save_weights(folds: Sequence[FoldResult], dataset: Dataset, k_prime: int, protocol: str, weights_dir: Path) -> None:
    """Copy the folds' trained weights and `weights.json` to `<weights_dir>/<dataset>`, each file whole or not."""
    folder = weights_dir / dataset.name
    for result in folds:
        for kind in KINDS:
            trained = result.folder / f"{kind}.weights.h5"
            if trained.is_file():
                copy_whole(trained, folder / kind / f"{result.fold.weights_name}.weights.h5")
    description = {"k": dataset.k, "k_prime": k_prime, "fps": dataset.fps, "classes": list(dataset.classes)}
    subjects = {r.fold.weights_name: r.fold.held_out for r in folds if r.fold.number}
    write_json(
        folder / DESCRIPTION, description | {"dataset": dataset.title, "protocol": protocol, "held_out": subjects}
    )


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file so that `target` is never half-written."""
    with atomic_file(target) as scratch:
        shutil.copyfile(source, scratch)
