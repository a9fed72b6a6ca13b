"""Variants of a method on the same data: their figures side by side, each compared with the first one."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from Utils.evaluation.comparison import with_interval
from Utils.evaluation.difference import differences
from Utils.evaluation.result import Evaluation

COLUMNS = (
    "variant", "tp", "fp", "fn", "f1", "f1_low", "f1_high", "ap", "analysis_f1", "uf1", "uar", "strs", "strs_low",
    "strs_high", "difference", "difference_low", "difference_high", "p",
)  # fmt: skip


def variants_table(evaluations: Mapping[str, Evaluation]) -> pd.DataFrame:
    """A row for each variant, with the columns `COLUMNS`.

    `evaluations` has those of the variants; the first one is what the others are compared with. `*_low` and `*_high`
    are 95 % intervals (intervals.py). `difference` is F1 minus that of the first variant, with interval and p as in
    difference.py. Numbers that cannot be computed are NaN.
    """
    rows = []
    base = next(iter(evaluations.values()))
    for name, evaluation in evaluations.items():
        metrics = evaluation.metrics
        spotting, analysis, intervals = metrics["spotting"], metrics["analysis"] or {}, metrics["intervals"]
        row = {"variant": name} | {key: spotting[key] for key in ("tp", "fp", "fn", "f1", "ap")}
        row |= {"analysis_f1": analysis.get("f1"), "uf1": analysis.get("uf1"), "uar": analysis.get("uar")}
        row["strs"] = metrics["strs"]
        row["f1_low"], row["f1_high"] = (intervals["spotting"] or {}).get("f1") or (None, None)
        row["strs_low"], row["strs_high"] = intervals["strs"] or (None, None)
        if evaluation is not base:
            f1 = differences(evaluation, base)[0]
            row |= {"difference": f1.value, "difference_low": f1.low, "difference_high": f1.high, "p": f1.p}
        rows.append(row)
    numbers = [name for name in COLUMNS if name not in ("variant", "tp", "fp", "fn")]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(dict.fromkeys(numbers, float))


def format_variants(table: pd.DataFrame) -> str:
    """The table of `variants_table` for the terminal."""
    width = max(len("variant"), *map(len, table["variant"])) + 2
    head = f"{'variant':<{width}}{'TP':>4}{'FP':>5}{'FN':>5}  {'F1 [95 %]':<22}{'AP':<7}{'an. F1':<8}{'STRS':<7}"
    head += "F1 difference [95 %]"
    lines = [head, "-" * len(head)]
    for row in table.to_dict("records"):
        f1 = with_interval(row["f1"], row["f1_low"], row["f1_high"])
        difference = with_interval(row["difference"], row["difference_low"], row["difference_high"], "+")
        line = f"{row['variant']:<{width}}{row['tp']:>4}{row['fp']:>5}{row['fn']:>5}  {f1:<22}{_cell(row['ap']):<7}"
        lines.append(f"{line}{_cell(row['analysis_f1']):<8}{_cell(row['strs']):<7}{difference}".rstrip())
    return "\n".join(lines)


def _cell(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.3f}"
