"""Several methods on one dataset: their figures side by side, with bootstrap intervals over subjects (bootstrap.py).

Differences between methods are computed from the same draws, which makes their intervals narrower than those of the two
figures suggest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from Utils.evaluation.bootstrap import SEED, draw_subjects, interval
from Utils.evaluation.intervals import count_figures

DRAWS = 10_000  # more than an evaluation has: F1 alone takes little time, and docs/methods.md prints what they gave
COLUMNS = (
    "method", "kind", "tp", "fp", "fn", "precision", "recall", "f1", "f1_low", "f1_high", "ap", "difference",
    "difference_low", "difference_high",
)  # fmt: skip


def compare_methods(figures: Mapping[str, Mapping[str, Mapping]]) -> pd.DataFrame:
    """A row for each method and kind of expressions, with the columns `COLUMNS`.

    Parameters
    ----------
    figures : mapping
        Method -> kind ("micro", "macro", "overall") -> metrics, as `evaluate.evaluate` returns them.

    Returns
    -------
    DataFrame
        `f1_low` and `f1_high` are the 95 % interval of F1. `difference` is F1 minus that of the first method, with its
        interval; empty for the first method. Numbers that cannot be computed are NaN.
    """
    rows = []
    first = next(iter(figures))
    for method, kinds in figures.items():
        for kind, metrics in kinds.items():
            spotting, base = metrics["spotting"], figures[first][kind]
            row = (
                {"method": method, "kind": kind} | {key: spotting[key] for key in COLUMNS[2:8]} | {"ap": spotting["ap"]}
            )
            drawn = resampled_f1([metrics["per_subject"], base["per_subject"]])
            row["f1_low"], row["f1_high"] = interval(drawn[0])
            if method != first and None not in (spotting["f1"], base["spotting"]["f1"]):
                row["difference"] = spotting["f1"] - base["spotting"]["f1"]
                row["difference_low"], row["difference_high"] = interval(drawn[0] - drawn[1])
            rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def resampled_f1(tables: Sequence[Sequence[Mapping]], seed: int = SEED) -> np.ndarray:
    """F1 of random draws of subjects, (tables, `DRAWS`) float64; NaN where a draw has no annotation.

    Parameters
    ----------
    tables : sequence of sequence of mapping
        "subject", "tp", "fp" and "fn" of each subject, in each of the tables. A subject that is in one table only
        counts as nothing in the others. All tables are drawn from in the same way.
    seed : int
    """
    subjects = list(dict.fromkeys(row["subject"] for table in tables for row in table))
    counts = np.zeros((len(tables), len(subjects), 3))
    for i, table in enumerate(tables):
        for row in table:
            counts[i, subjects.index(row["subject"])] = [row[key] for key in ("tp", "fp", "fn")]
    draws = draw_subjects(len(subjects), DRAWS, seed)
    return np.array([count_figures(draws @ of_table)["f1"] for of_table in counts])


def format_comparison(table: pd.DataFrame) -> str:
    """The table of `compare_methods` for the terminal."""
    head = f"{'method':<13}{'kind':<8}{'TP':>5}{'FP':>6}{'FN':>5}  {'F1 [95 %]':<22}{'AP':<8}{'difference [95 %]'}"
    lines = [head, "-" * len(head)]
    for row in table.to_dict("records"):
        f1 = with_interval(row["f1"], row["f1_low"], row["f1_high"])
        ap = "-" if pd.isna(row["ap"]) else f"{row['ap']:.4f}"
        difference = with_interval(row["difference"], row["difference_low"], row["difference_high"], "+")
        counts = f"{row['tp']:>5}{row['fp']:>6}{row['fn']:>5}"
        lines.append(f"{row['method']:<13}{row['kind']:<8}{counts}  {f1:<22}{ap:<8}{difference}".rstrip())
    return "\n".join(lines)


def with_interval(value: float, low: float, high: float, sign: str = "") -> str:
    """A figure with its interval, for the terminal: `0.6500 [0.51, 0.77]`. `sign` is "+" for differences."""
    if pd.isna(value):
        return "" if sign else "-"
    if pd.isna(low):
        return f"{value:{sign}.4f}"
    return f"{value:{sign}.4f} [{low:{sign}.2f}, {high:{sign}.2f}]"
