"""Writes the folder of a run on a dataset: settings, tables, metrics, figures and report.

After training, the folder also has the weights, loss curves and logs.
"""

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

REMARKS_SHOWN = 12  # remarks that are printed at the end of a run
LINKED = ("predictions.csv", "ground_truth.csv", "megc.csv", "metrics.json")  # from the report
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
    """Write the folder of a run, whole or not at all. After training, also copy the weights to `settings.weights_dir`.

    Parameters
    ----------
    settings : Settings
    dataset : Dataset
    k_prime : int
        Half the length of an expression, frames.
    results : sequence of FoldResult
    evaluated : dict of str to RunEvaluation
        Protocol -> the run as this protocol counts it. Tables, figures and metrics.json are those of the run's own
        protocol. The report shows the metrics of both, side by side.
    remarks : sequence of str
    workers : Workers or int
        They draw the figures.

    Returns
    -------
    Path
        The folder.
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
    """Write settings, tables, metrics, remarks and report."""
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
        run_curves(run, dataset, k_prime, settings, reviewed=True),
        dataset.classes,
        evaluations={protocol: found.evaluation for protocol, found in evaluated.items()},
        settings=described,
        links={name: name for name in LINKED},
        remarks=remarks,
        warnings=[SYNTHETIC_FACES] if dataset.generated else [],
    )


def _draw_figures(
    folder: Path, settings: Settings, dataset: Dataset, k_prime: int, run: RunEvaluation, workers: Workers | int
) -> None:
    """Draw a figure for each video."""
    folder.mkdir()
    run_units(draw_video, video_figures(run, dataset, k_prime, settings, folder), workers, "figures", "video")


def summarise_runs(settings: Settings, metrics: Sequence[dict]) -> Path:
    """Print the mean and the standard deviation of every metric over repeated runs, and write them as two CSV files.

    `metrics` are those of each run, as in metrics.json. The standard deviation is that of a sample (n - 1). Returns the
    folder with `runs.csv` and `summary.csv`.
    """
    rows = []
    for m in metrics:
        row = {"seed": m["seed"], "strs": m["strs"]}
        for part in ("spotting", "analysis", "recognition"):
            row |= {f"{part}_{name}": value for name, value in (m[part] or {}).items()}
        rows.append(row)
    figures = pd.DataFrame(rows).set_index("seed").astype(float)
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
    """Print what was left out or looks wrong in the data. `remarks.txt` has all of it."""
    if not remarks:
        return
    print(f"\n{len(remarks)} remark(s) about the data:")
    for remark in remarks[:REMARKS_SHOWN]:
        print(f"  - {remark}")
    if len(remarks) > REMARKS_SHOWN:
        print("  - ... all are in the run's remarks.txt")


def describe_run(settings: Settings, dataset: Dataset, k_prime: int) -> dict:
    """Everything that is needed to repeat a run: every flag, k and k', versions, git revision."""
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
    """Copy the trained weights of all folds to `<weights_dir>/<dataset>`, and write `weights.json` there.

    Each file appears whole or not at all.
    """
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
    """Copy a file. `target` appears whole or not at all."""
    with atomic_file(target) as scratch:
        shutil.copyfile(source, scratch)
