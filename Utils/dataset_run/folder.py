"""What a run leaves: settings, tables, metrics, figures, and after training the weights and their curves."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import subprocess
from collections.abc import Container, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from feature_extraction import VideoFeatures
from train_evaluate import FoldResult
from training_utils import threshold
from Utils.dataset_run.curves import rows_of, run_curves
from Utils.datasets.table import Dataset
from Utils.evaluation.metrics import evaluate
from Utils.evaluation.tables import write_table
from Utils.networks.weights import DESCRIPTION, KINDS
from Utils.predictions import VideoScores, annotated_expressions, collect_scores, predict_expressions
from Utils.report.figures import VideoFigure, draw_video
from Utils.report.losses import plot_losses
from Utils.report.pages import write_report
from Utils.report.tensorboard_logs import write_tensorboard
from Utils.settings import PROJECT, PROTOCOLS, Settings
from Utils.work.cache import atomic_file, write_json, write_new_folder
from Utils.work.parallel import run_units

REMARKS_SHOWN = 12
SYNTHETIC_FACES = (
    "The faces of this dataset are synthetic: its figures show that the code works, and nothing about people."
)

PACKAGES = ("tensorflow", "keras", "numpy", "scipy", "numba", "opencv-contrib-python-headless", "dlib-bin", "pandas")


def run_name(settings: Settings, ending: str = "") -> str:
    """`<dataset>-<train|pretrained>-<date>-<seed><ending>`."""
    date = datetime.now().strftime("%Y%m%d-%H%M%S")
    return f"{settings.dataset_name}-{settings.mode}-{date}-{settings.seed}{ending}"


def write_run(
    settings: Settings,
    dataset: Dataset,
    k_prime: int,
    results: Sequence[FoldResult],
    features: Sequence[VideoFeatures],
    not_recognised: Mapping[str, Container[str]],
    remarks: Sequence[str],
) -> tuple[dict, Path]:
    """Evaluate a run and write its folder, whole or not at all; returns the metrics and the folder.

    The run's own protocol gives the tables, figures and metrics.json; the report has the other one's metrics beside it:
    the same networks and annotations, counted by the other's rules. `not_recognised` names for a protocol the subjects
    that it does not analyse although their folds may have weights.
    """
    evaluated = {
        protocol: _evaluate(settings, dataset, k_prime, results, features, protocol, not_recognised.get(protocol, ()))
        for protocol in sorted(PROTOCOLS, key=lambda protocol: protocol != settings.protocol)
    }

    def write(folder: Path) -> None:
        _write_files(folder, settings, dataset, k_prime, evaluated, remarks)
        if settings.train:
            histories = {r.fold.held_out: r.history for r in results}
            plot_losses(folder / "losses.png", {r.fold.held_out: r.history for r in results if r.fold.number})
            write_tensorboard(folder / "tensorboard", histories)
            save_weights(results, dataset, k_prime, settings.protocol, folder / "MEAN_Weights")

    final = write_new_folder(settings.output_dir / run_name(settings), write)
    if settings.train and settings.weights_dir:
        save_weights(results, dataset, k_prime, settings.protocol, settings.weights_dir)
    return evaluated[settings.protocol].metrics, final


def _write_files(
    folder: Path,
    settings: Settings,
    dataset: Dataset,
    k_prime: int,
    evaluated: Mapping[str, Evaluated],
    remarks: Sequence[str],
) -> None:
    """Settings, tables, metrics, figures and report."""
    scores, predictions, ground_truth, metrics = evaluated[settings.protocol]
    described = describe_run(settings, dataset, k_prime)
    write_json(folder / "settings.json", described)
    write_table(predictions, folder / "predictions.csv")
    write_table(ground_truth, folder / "ground_truth.csv")
    write_table(megc_table(predictions, [s.features for s in scores]), folder / "megc.csv")
    write_json(folder / "metrics.json", metrics)
    if remarks:
        (folder / "remarks.txt").write_text("\n".join(remarks) + "\n", encoding="utf-8")
    draw_videos(settings, dataset, k_prime, scores, predictions, ground_truth, folder / "figures")
    write_report(
        folder / "report.html",
        f"{dataset.title}, {settings.mode}, seed {settings.seed}",
        run_curves(settings, dataset, k_prime, scores, predictions, ground_truth),
        dataset.classes,
        metrics={protocol: found.metrics for protocol, found in evaluated.items()},
        settings=described,
        remarks=remarks,
        warnings=[SYNTHETIC_FACES] if dataset.generated else [],
    )


class Evaluated(NamedTuple):
    """A run counted by one protocol."""

    scores: list[VideoScores]
    predictions: pd.DataFrame
    ground_truth: pd.DataFrame
    metrics: dict


def _evaluate(
    settings: Settings,
    dataset: Dataset,
    k_prime: int,
    results: Sequence[FoldResult],
    features: Sequence[VideoFeatures],
    protocol: str,
    not_recognised: Container[str],
) -> Evaluated:
    scores = collect_scores(results, features, k_prime, protocol)
    predictions = predict_expressions(scores, dataset, k_prime, settings.p, protocol)
    tested = [s.features for s in scores]
    ground_truth = annotated_expressions(tested, dataset)
    recognised = {r.fold.held_out for r in results if r.recognised and r.fold.held_out not in not_recognised}
    metrics = {"dataset": dataset.name, "mode": settings.mode, "seed": settings.seed} | evaluate(
        predictions,
        ground_truth,
        dataset.classes,
        one_per_video=dataset.one_per_video,
        videos=[(f.video.subject, f.video.name, f.n_features) for f in tested],
        protocol=protocol,
        k_prime=k_prime,
        recognition_subjects=recognised,
    )
    return Evaluated(scores, predictions, ground_truth, metrics)


def megc_table(predictions: pd.DataFrame, features: Sequence[VideoFeatures]) -> pd.DataFrame:
    """Predictions in the columns of the Micro-Expression Grand Challenge: `vid, onset, offset, type`.

    Frames are 0-based and clamped to the video; `vid` is the video folder's name, with the subject before it where
    videos of several subjects have one name (CASME II); `type` is `me`, a micro-expression.
    """
    last = {(f.video.subject, f.video.name): len(f.video.frames) - 1 for f in features}
    unique = len({video for _, video in last}) == len(last)
    limits = [last[key] for key in zip(predictions["subject"], predictions["video"], strict=True)]
    return pd.DataFrame(
        {
            "vid": predictions["video"] if unique else predictions["subject"] + "_" + predictions["video"],
            "onset": predictions["onset"].clip(lower=0),
            "offset": np.minimum(predictions["offset"], limits),
            "type": "me",
        }
    )


def draw_videos(
    settings: Settings,
    dataset: Dataset,
    k_prime: int,
    scores: Sequence[VideoScores],
    predictions: pd.DataFrame,
    ground_truth: pd.DataFrame,
    folder: Path,
) -> None:
    """One figure per video."""
    folder.mkdir()
    figures = [
        VideoFigure(
            path=folder / f"{s.features.video.subject}_{s.features.video.name}.png",
            title=f"{dataset.title}  {s.features.video.label}",
            raw=s.raw,
            smoothed=s.smoothed[: len(s.raw)],
            threshold=None if dataset.one_per_video else threshold(s.smoothed, settings.p),
            k_prime=k_prime,
            fps=dataset.fps,
            predictions=rows_of(predictions, s.features.video),
            annotations=rows_of(ground_truth, s.features.video),
            classes=dataset.classes,
        )
        for s in scores
    ]
    run_units(draw_video, figures, settings.workers, "figures", "video")


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


def versions() -> dict[str, str | None]:
    """Of Python and of the packages that a result may depend on."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def version(package: str) -> str | None:
    """Installed version of a package, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def git_revision() -> str | None:
    """The commit that ran, with `-dirty` where files were changed; None outside a git checkout."""
    try:
        done = subprocess.run(
            ["git", "-C", str(PROJECT), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


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
