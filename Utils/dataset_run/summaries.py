"""Tables over several runs, methods or variants, each in a folder of its own; and remarks for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from Utils.dataset_run.folder import run_name
from Utils.evaluation.comparison import compare_methods, format_comparison
from Utils.evaluation.csv_files import write_table
from Utils.evaluation.intervals import spread_of_mean
from Utils.evaluation.result import Evaluation
from Utils.evaluation.variants import format_variants, variants_table
from Utils.settings import MEAN, Settings
from Utils.tuning.table import Tuning, summary_of
from Utils.work.cache import write_json, write_new_folder
from Utils.work.machine import git_revision, versions

REMARKS_SHOWN = 12  # remarks that are printed at the end of a run


def summarise_runs(settings: Settings, evaluations: Sequence[Evaluation]) -> Path:
    """Print how every metric varies over repeated runs and over subjects, and write it as two CSV files.

    Returns the folder with `runs.csv`, which has each run's metrics, and `summary.csv`. Its columns are the "mean" over
    the runs; "sd", the standard deviation of the runs (n - 1), which only their seeds make; "sd_subjects", "low" and
    "high", the standard deviation and the 95 % interval that the choice of subjects gives to this mean
    (`intervals.spread_of_mean`); "n", the number of runs that define the metric.
    """
    rows = []
    for m in (evaluation.metrics for evaluation in evaluations):
        row = {"seed": m["seed"], "strs": m["strs"]}
        for part in ("spotting", "analysis", "recognition"):
            row |= {f"{part}_{name}": value for name, value in (m[part] or {}).items()}
        rows.append(row)
    figures = pd.DataFrame(rows).set_index("seed").astype(float)
    spread = spread_of_mean([evaluation.sums for evaluation in evaluations])
    of_subjects = pd.DataFrame.from_dict(spread, orient="index", columns=["sd_subjects", "low", "high"])
    of_subjects = of_subjects.reindex(figures.columns[figures.notna().any()]).reindex(figures.columns)
    summary = pd.DataFrame({"mean": figures.mean(), "sd": figures.std(), **of_subjects, "n": figures.count()})

    def write(folder: Path) -> None:
        figures.to_csv(folder / "runs.csv")
        summary.to_csv(folder / "summary.csv", index_label="figure")

    final = write_new_folder(settings.output_dir / run_name(settings, f"-runs{len(rows)}"), write)
    print(f"\n{len(rows)} runs, seeds {figures.index[0]} to {figures.index[-1]}: mean and standard deviations")
    header = ["mean", "sd seeds", "sd subjects", "95 % from", "to", "runs"]
    print(summary.to_string(float_format=lambda x: f"{x:.4f}", header=header, na_rep="-"))
    n_subjects = len({subject for evaluation in evaluations for subject in evaluation.sums.subjects})
    print(f"  sd subjects, 95 %: of the mean over the runs, by a bootstrap over {n_subjects} subjects")
    print(f"\n  the summary is in {final}")
    return final


def write_comparison(settings: Settings, figures: Mapping[str, Mapping[str, Mapping]]) -> Path:
    """Print the figures of several methods side by side, and write them as comparison.csv in a folder of its own.

    `figures` has those of each method and kind of expressions: see `comparison.compare_methods`. Returns the folder.
    """
    table = compare_methods(figures)
    final = write_new_folder(
        settings.output_dir / run_name(replace(settings, method=MEAN), "-compared"),
        lambda folder: write_table(table, folder / "comparison.csv"),
    )
    n = len({row["subject"] for kinds in figures.values() for m in kinds.values() for row in m["per_subject"]})
    print(f"\n{len(figures)} methods on {settings.dataset_name}, {settings.protocol} protocol, {n} subjects")
    print(format_comparison(table))
    print("  F1 with its 95 % interval, and its difference from the first method: bootstrap over the subjects")
    print(f"\n  the comparison is in {final}")
    return final


def write_variants(settings: Settings, evaluations: Mapping[str, Evaluation], remarks: Sequence[str]) -> Path:
    """Print the figures of variants side by side, and write them as ablation.csv in a folder of its own.

    `evaluations` has those of each variant; the first one is the method as it is. Returns the folder, which also has
    the metrics of each variant, the flags and the remarks.
    """
    table = variants_table(evaluations)

    def write(folder: Path) -> None:
        write_table(table, folder / "ablation.csv")
        write_json(folder / "metrics.json", {name: evaluation.metrics for name, evaluation in evaluations.items()})
        about = {"settings": settings.as_json(), "versions": versions(), "git_revision": git_revision()}
        write_json(folder / "settings.json", about)
        if remarks:
            (folder / "remarks.txt").write_text("\n".join(remarks) + "\n", encoding="utf-8")

    final = write_new_folder(settings.output_dir / run_name(settings, "-ablation"), write)
    subjects = {subject for evaluation in evaluations.values() for subject in evaluation.sums.subjects}
    print(f"\n{len(evaluations)} variants on {settings.dataset_name}, {len(subjects)} subjects")
    print(format_variants(table))
    print("  95 % intervals, and differences from the first row: bootstrap over the subjects")
    print(f"\n  the table is in {final}")
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


def summarise_tuning(settings: Settings, tunings: Sequence[Tuning], kind: str) -> Path:
    """Print fixed and chosen values over repeated runs, and write them as tuning.csv. Returns its folder."""
    table = summary_of(tunings)
    folder = settings.output_dir / run_name(settings, f"-tuning-{kind}-runs{len(tunings)}")
    final = write_new_folder(folder, lambda folder: write_table(table, folder / "tuning.csv"))
    print(f"\n{len(tunings)} runs, {kind}-expressions, fixed and chosen values: mean and sd over the seeds")
    print(table.to_string(index=False, float_format=lambda x: f"{x:.4f}", na_rep="-"))
    print(f"\n  the table is in {final}")
    return final
