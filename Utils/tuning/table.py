"""Chosen values beside the paper's fixed ones, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from Utils.evaluation.result import Evaluation
from Utils.evaluation.variants import format_variants, variants_table
from Utils.tuning.nested import Choice

FIXED, CHOSEN = "fixed values", "nested choice"
FIGURES = {"F1": "f1", "AP": "ap", "analysis F1": "analysis_f1", "STRS": "strs"}  # heading -> column of the variants


@dataclass(frozen=True)
class Tuning:
    """What was chosen in one run, and what the fixed values give.

    Attributes
    ----------
    choices : mapping of str to Choice
        Subject -> its values.
    reached : mapping of str to float
        Subject -> F1 of these values on the other subjects.
    fixed, chosen : Evaluation
    """

    choices: Mapping[str, Choice]
    reached: Mapping[str, float]
    fixed: Evaluation
    chosen: Evaluation

    def table(self) -> pd.DataFrame:
        """A row for each subject: the values chosen for it, and F1 of these values on the other subjects."""
        rows = [
            {"subject": s, "p": c.p, "smoothing": c.smoothing, "reach": c.reach, "f1_of_others": self.reached[s]}
            for s, c in self.choices.items()
        ]
        return pd.DataFrame(rows)

    def compared(self) -> pd.DataFrame:
        """The figures with fixed and with chosen values: `variants_table`."""
        return variants_table({FIXED: self.fixed, CHOSEN: self.chosen})


def format_tuning(tuning: Tuning, of_kind: str = "") -> str:
    """What was chosen, and the two rows of figures, for the terminal. `of_kind` is the end of a title."""
    chosen = tuning.table().to_string(index=False, float_format=lambda x: f"{x:g}" if x in (0, 1) else f"{x:.3g}")
    return (
        f"Chosen for each subject by the scores of the others{of_kind} (smoothing, reach: times the paper's widths)\n"
        f"{chosen}\n\n{format_variants(tuning.compared())}"
    )


def summary_of(tunings: Sequence[Tuning]) -> pd.DataFrame:
    """Mean and sample standard deviation of figures over repeated runs, with fixed and with chosen values."""
    tables = [tuning.compared().set_index("variant") for tuning in tunings]
    rows = []
    for heading, column in FIGURES.items():
        row: dict[str, object] = {"figure": heading}
        of_runs = {name: pd.Series([table.loc[name, column] for table in tables]) for name in (FIXED, CHOSEN)}
        for name, values in of_runs.items():
            row |= {f"{name}, mean": values.mean(), f"{name}, sd": values.std()}
        difference = of_runs[CHOSEN] - of_runs[FIXED]
        rows.append(row | {"difference, mean": difference.mean(), "difference, sd": difference.std()})
    return pd.DataFrame(rows)
