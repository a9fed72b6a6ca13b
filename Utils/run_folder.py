"""What a run leaves: settings, tables, metrics, figures, and after training the weights and their curves."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import subprocess
from collections.abc import Container, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from feature_extraction import VideoFeatures
from train_evaluate import FoldResult, VideoScores, annotated_expressions
from training_utils import threshold
from Utils.cache import atomic_file, atomic_folder, write_json
from Utils.datasets import Dataset
from Utils.metrics import evaluate
from Utils.parallel import run_units
from Utils.plot_losses import plot_losses
from Utils.plots import VideoFigure, draw_video
from Utils.records import Video
from Utils.settings import PROJECT, Settings
from Utils.tables import write_table
from Utils.training_logs import write_tensorboard
from Utils.weights import DESCRIPTION, KINDS

REMARKS_SHOWN = 12

PACKAGES = ("tensorflow", "keras", "numpy", "scipy", "numba", "opencv-contrib-python-headless", "dlib-bin", "pandas")


def new_run_folder(settings: Settings, ending: str = "") -> Path:
    """`<output_dir>/<dataset>-<train|pretrained>-<date>-<seed><ending>`, a name that no run has or is writing to."""
    date = datetime.now().strftime("%Y%m%d-%H%M%S")
    name = f"{settings.dataset_name}-{settings.mode}-{date}-{settings.seed}{ending}"
    folder, again = settings.output_dir / name, 1
    while folder.exists() or any(settings.output_dir.glob(f".{folder.name[:40]}-*.part")):
        again += 1
        folder = settings.output_dir / f"{name}-{again}"
    return folder


def write_run(
    settings: Settings,
    dataset: Dataset,
    k_prime: int,
    results: Sequence[FoldResult],
    scores: Sequence[VideoScores],
    predictions: pd.DataFrame,
    not_recognised: Container[str],
    remarks: Sequence[str],
) -> tuple[dict, Path]:
    """Evaluate a run and write its folder, whole or not at all; returns the metrics and the folder.

    `not_recognised` names subjects that are not analysed although their fold may have weights (upstream protocol).
    """
    features = [s.features for s in scores]
    ground_truth = annotated_expressions(features, dataset)
    recognised = {r.fold.held_out for r in results if r.recognised and r.fold.held_out not in not_recognised}
    metrics = {"dataset": dataset.name, "mode": settings.mode, "seed": settings.seed} | evaluate(
        predictions,
        ground_truth,
        dataset.classes,
        one_per_video=dataset.one_per_video,
        videos=[(f.video.subject, f.video.name, f.n_features) for f in features],
        protocol=settings.protocol,
        k_prime=k_prime,
        recognition_subjects=recognised,
    )
    final = new_run_folder(settings)
    with atomic_folder(final) as folder:
        write_json(folder / "settings.json", describe_run(settings, dataset, k_prime))
        write_table(predictions, folder / "predictions.csv")
        write_table(ground_truth, folder / "ground_truth.csv")
        write_table(megc_table(predictions, features), folder / "megc.csv")
        write_json(folder / "metrics.json", metrics)
        if remarks:
            (folder / "remarks.txt").write_text("\n".join(remarks) + "\n", encoding="utf-8")
        draw_videos(settings, dataset, k_prime, scores, predictions, ground_truth, folder / "figures")
        if settings.train:
            histories = {r.fold.held_out: r.history for r in results}
            plot_losses(folder / "losses.png", {r.fold.held_out: r.history for r in results if r.fold.number})
            write_tensorboard(folder / "tensorboard", histories)
            save_weights(results, dataset, k_prime, settings.protocol, folder / "MEAN_Weights")
    if settings.train and settings.weights_dir:
        save_weights(results, dataset, k_prime, settings.protocol, settings.weights_dir)
    return metrics, final


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

    def rows(table: pd.DataFrame, video: Video) -> pd.DataFrame:
        return table[(table["subject"] == video.subject) & (table["video"] == video.name)].reset_index(drop=True)

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
            predictions=rows(predictions, s.features.video),
            annotations=rows(ground_truth, s.features.video),
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
    final = new_run_folder(settings, f"-runs{len(metrics)}")
    with atomic_folder(final) as folder:
        figures.to_csv(folder / "runs.csv")
        summary.to_csv(folder / "summary.csv", index_label="figure")
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
