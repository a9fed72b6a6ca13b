"""Writes the folder of a run on a dataset: settings, tables, metrics, figures and report.

After training, the folder also has the weights, loss curves and logs.
"""

from __future__ import annotations

import platform
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from pathlib import Path

from train_evaluate import FoldResult, RunEvaluation
from Utils.dataset_run.curves import draw_pictures, run_curves, video_pictures
from Utils.datasets.table import Dataset
from Utils.evaluation.csv_files import write_table
from Utils.evaluation.kinds import pooled
from Utils.evaluation.result import Evaluation
from Utils.evaluation.tables import megc_table
from Utils.methods.table import Method
from Utils.networks.weights import DESCRIPTION
from Utils.records import MACRO, MICRO, Length, frames_of
from Utils.report.losses import plot_losses
from Utils.report.pages import write_report
from Utils.report.tensorboard_logs import write_tensorboard
from Utils.settings import BOTH, MEAN, NO_TUNING, Settings
from Utils.tuning.table import Tuning
from Utils.work.cache import atomic_file, write_json, write_new_folder
from Utils.work.machine import git_revision, versions
from Utils.work.parallel import Workers, run_units

ARCHIVE = "submission/submission.zip"  # what `more` of `write_run` may write
LINKED = ("predictions.csv", "ground_truth.csv", "megc.csv", "metrics.json", ARCHIVE)  # from the report
COUNTED_ALWAYS = ("subject", "video", "videos", "predicted")  # in metrics.json, also without annotations
UNKNOWN = "the videos have no annotations, so nothing can be compared: figures that need them are null"
SYNTHETIC_FACES = (
    "The faces of this dataset are synthetic: its figures show that the code works, and nothing about people."
)


@dataclass(frozen=True)
class RunPart:
    """What a run has of one kind of expressions.

    Attributes
    ----------
    kind : {"micro", "macro"}
    k, k_prime : Length
        Distance of the two frames of a pair, and half the length of an expression.
    results : sequence of FoldResult
    evaluated : dict of str to RunEvaluation
        Protocol -> the folds as this protocol counts them.
    tuning : Tuning or None
        With --tune: what was chosen, and what the fixed values give.
    fps : float or None
        Frames per second; the highest rate of its videos, if these have different ones. None: that of the dataset.
    about : mapping
        After training: what `weights.json` says in addition, such as who was trained on.
    """

    kind: str
    k: Length
    k_prime: Length
    results: Sequence[FoldResult]
    evaluated: Mapping[str, RunEvaluation]
    tuning: Tuning | None = None
    fps: float | None = None
    about: Mapping = field(default_factory=dict)


def evaluation_of(parts: Sequence[RunPart], protocol: str, dataset: Dataset) -> Evaluation:
    """The evaluation of a run under a protocol: that of its one part, or of two parts pooled."""
    evaluations = {part.kind: part.evaluated[protocol].evaluation for part in parts}
    return pooled(evaluations, dataset.classes) if len(parts) > 1 else evaluations[parts[0].kind]


def run_name(settings: Settings, ending: str = "") -> str:
    """`<dataset>[-<method>][-<kind>]-<train|pretrained>-<date>-<seed><ending>`. MEAN and micro are not named."""
    date = datetime.now().strftime("%Y%m%d-%H%M%S")
    named = [name for name in (settings.method, settings.expression) if name not in (MEAN, MICRO)]
    return "-".join([settings.dataset_name, *named, settings.mode, date, f"{settings.seed}{ending}"])


def write_run(
    settings: Settings,
    dataset: Dataset,
    method: Method,
    parts: Sequence[RunPart],
    remarks: Sequence[str],
    workers: Workers | int,
    more: Callable[[Path], None] | None = None,
) -> Path:
    """Write the folder of a run, whole or not at all. After training, also copy the weights to `settings.weights_dir`.

    Parameters
    ----------
    settings : Settings
    dataset : Dataset
    method : Method
    parts : sequence of RunPart
        One for each kind of expressions. Tables, figures and metrics.json are those of the run's own protocol. The
        report shows the metrics of both protocols, side by side.
    remarks : sequence of str
    workers : Workers or int
        They draw the figures, and make the report's clips.
    more : callable, optional
        Writes more files into the folder, which it is given.

    Returns
    -------
    Path
        The folder.
    """

    def write(folder: Path) -> None:
        if more:
            more(folder)
        described = describe_run(settings, dataset, parts)
        write_json(folder / "settings.json", described)
        evaluations = {protocol: evaluation_of(parts, protocol, dataset) for protocol in parts[0].evaluated}
        _write_tables(folder, settings, dataset, parts, evaluations[settings.protocol], remarks)
        with tempfile.TemporaryDirectory(dir=folder) as clips:
            for part in parts:
                _draw_figures(
                    folder / f"figures{_ending(part, parts)}", settings, dataset, part.k_prime,
                    part.evaluated[settings.protocol], workers, Path(clips) / part.kind,
                )  # fmt: skip
            _write_report(folder, settings, dataset, parts, evaluations, remarks, described, Path(clips))
        for part in parts:
            ending = _ending(part, parts)
            if part.tuning:
                write_table(part.tuning.table(), folder / f"tuning{ending}.csv")
                write_table(part.tuning.compared(), folder / f"tuning_figures{ending}.csv")
            if settings.train:
                histories = {r.fold.held_out: r.history for r in part.results}
                shown = {r.fold.held_out: r.history for r in part.results if r.fold.number}
                plot_losses(folder / f"losses{ending}.png", shown)
                write_tensorboard(folder / f"tensorboard{ending}", histories)
                save_weights(part, dataset, method, settings.protocol, folder / method.weights_name)

    final = write_new_folder(settings.output_dir / run_name(settings), write)
    if settings.train and settings.weights_dir:
        for part in parts:
            save_weights(part, dataset, method, settings.protocol, settings.weights_dir)
    return final


def _ending(part: RunPart, parts: Sequence[RunPart]) -> str:
    """What the names of a part's files end with: its kind, if there are two."""
    return f"-{part.kind}" if len(parts) > 1 else ""


def _write_tables(
    folder: Path,
    settings: Settings,
    dataset: Dataset,
    parts: Sequence[RunPart],
    evaluation: Evaluation,
    remarks: Sequence[str],
) -> None:
    """Write tables, metrics and remarks. `evaluation` is that of the run's own protocol."""
    predictions, ground_truth = evaluation.predictions, evaluation.ground_truth
    if settings.expression == MACRO:
        predictions, ground_truth = (table.assign(kind=MACRO) for table in (predictions, ground_truth))
    write_table(predictions, folder / "predictions.csv")
    if dataset.annotated:
        write_table(ground_truth, folder / "ground_truth.csv")
    scores = [s for part in parts for s in part.evaluated[settings.protocol].scores]
    last_frames = {(s.video.subject, s.video.name): len(s.video.frames) - 1 for s in scores}
    write_table(megc_table(predictions, last_frames), folder / "megc.csv")
    write_json(folder / "metrics.json", evaluation.metrics if dataset.annotated else unknown(evaluation.metrics))
    if remarks:
        (folder / "remarks.txt").write_text("\n".join(remarks) + "\n", encoding="utf-8")


def _write_report(
    folder: Path,
    settings: Settings,
    dataset: Dataset,
    parts: Sequence[RunPart],
    evaluations: Mapping[str, Evaluation],
    remarks: Sequence[str],
    described: Mapping,
    clips: Path,
) -> None:
    """Write the report. `described` are the settings, and `clips` has a folder with the clips of each part."""
    write_report(
        folder / "report.html",
        _title(settings, dataset),
        chain.from_iterable(
            run_curves(
                part.evaluated[settings.protocol],
                dataset,
                part.k_prime,
                settings,
                reviewed=True,
                kind=part.kind,
                other=next(((p.kind, p.evaluated[settings.protocol]) for p in parts if p is not part), None),
                clips=clips / part.kind,
            )
            for part in parts
        ),
        dataset.classes,
        evaluations=evaluations if dataset.annotated else {},
        settings=described,
        links={name: name for name in LINKED if (folder / name).is_file()},
        remarks=remarks if dataset.annotated else [UNKNOWN, *remarks],
        warnings=[SYNTHETIC_FACES] if dataset.generated else [],
    )


def unknown(metrics: Mapping) -> dict:
    """The metrics of videos without annotations: how much is predicted, and None for what needs annotations."""

    def none(row: Mapping | None) -> dict | None:
        return row and {key: value if key in COUNTED_ALWAYS else None for key, value in row.items()}

    rows = {name: [none(row) for row in metrics[name]] for name in ("per_subject", "per_video")}
    about = {key: none(metrics[key]) for key in ("spotting", "analysis", "recognition")}
    of_kinds = {kind: none(row) for kind, row in metrics["by_kind"].items()}
    return dict(metrics) | about | rows | {"strs": None, "by_kind": of_kinds, "intervals": None, "notes": [UNKNOWN]}


def _title(settings: Settings, dataset: Dataset) -> str:
    """The report's title. It does not name MEAN and micro-expressions."""
    method = "" if settings.method == MEAN else settings.method
    kinds = {MACRO: "macro-expressions", BOTH: "micro- and macro-expressions"}.get(settings.expression, "")
    tuned = "" if settings.tune == NO_TUNING else f"values chosen ({settings.tune})"
    return ", ".join(filter(None, [dataset.title, method, kinds, settings.mode, tuned, f"seed {settings.seed}"]))


def _draw_figures(
    folder: Path,
    settings: Settings,
    dataset: Dataset,
    k_prime: Length,
    run: RunEvaluation,
    workers: Workers | int,
    clips: Path,
) -> None:
    """Draw a figure for each video into a new folder, and write the report's clips into another one."""
    folder.mkdir()
    clips.mkdir()
    run_units(
        draw_pictures, video_pictures(run, dataset, k_prime, settings, folder, clips), workers, "figures", "video"
    )


def describe_run(settings: Settings, dataset: Dataset, parts: Sequence[RunPart]) -> dict:
    """Everything that is needed to repeat a run: every flag, k and k', versions, git revision.

    If there are two parts, k and k' are those of each kind.
    """
    k, k_prime = parts[0].k, parts[0].k_prime
    if len(parts) > 1:
        k, k_prime = ({part.kind: getattr(part, name) for part in parts} for name in ("k", "k_prime"))
    return {
        "settings": settings.as_json(),
        "k": k,
        "k_prime": k_prime,
        "fps": max((part.fps or dataset.fps) for part in parts),
        "classes": list(dataset.classes),
        "versions": versions(),
        "machine": {"system": platform.platform(), "processor": platform.machine()},
        "git_revision": git_revision(),
        "finished": datetime.now().astimezone().isoformat(timespec="seconds"),
    }


def save_weights(part: RunPart, dataset: Dataset, method: Method, protocol: str, weights_dir: Path) -> None:
    """Copy the trained weights of all folds to the method's folder in `weights_dir`, and write `weights.json` there.

    Each file appears whole or not at all.
    """
    steps = method.steps
    folder = steps.weights_folder(weights_dir, dataset, part.kind)
    for result in part.results:
        for name, below in steps.weight_files.items():
            trained = result.folder / f"{name}.weights.h5"
            if trained.is_file():
                copy_whole(trained, folder / below / f"{result.fold.weights_name}.weights.h5")
    lengths, fps = {name: getattr(part, name) for name in ("k", "k_prime")}, part.fps or dataset.fps
    description = {name: frames_of(length, fps) for name, length in lengths.items()} | {"fps": fps}
    if isinstance(part.k_prime, Mapping):
        description["fps_of_videos"] = sorted(part.k_prime)
    if method.recognises:
        description["classes"] = list(dataset.classes)
    subjects = {r.fold.weights_name: list(r.fold.group) or r.fold.held_out for r in part.results if r.fold.number}
    write_json(
        folder / DESCRIPTION,
        description | {"dataset": dataset.title, "protocol": protocol, "held_out": subjects} | dict(part.about),
    )


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file. `target` appears whole or not at all."""
    with atomic_file(target) as scratch:
        shutil.copyfile(source, scratch)
