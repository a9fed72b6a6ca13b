"""Two tables of predictions against one ground truth: is one better than the other, or can the data not tell?

Both are evaluated on the same draws of subjects (bootstrap.py), and each figure of the second is subtracted from that
of the first, draw by draw. So what both have in common, such as a hard subject, cancels out. The 95 % interval of the
difference is that of these values, made wider for few subjects (`bootstrap.expanded_interval`), and p is theirs, too
(`bootstrap.two_sided_p`). A difference is called larger than chance would explain if p is below 0.05 and the interval
does not hold 0.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from Utils.evaluation.bootstrap import (
    FEW_SUBJECTS,
    LEAST_SUBJECTS,
    MOST_SUBJECTS,
    RESAMPLES,
    draw_subjects,
    expanded_interval,
    two_sided_p,
)
from Utils.evaluation.intervals import drawn_figures
from Utils.evaluation.result import Evaluation

LEVEL = 0.05  # p below it: larger than chance would explain
WIDTH = 80  # characters of a line
LABEL, CELL = 14, 12
MEANS = {
    "F1": "finds expressions better",
    "AP": "finds expressions better, over all thresholds and with its ranking",
    "STRS": "finds and recognises expressions better",
}


class Difference(NamedTuple):
    """A figure of two tables, and the first minus the second. What is not defined is None.

    `kind` is "" if the figure is of the whole tables. `subjects` is the number of subjects. `equal` is true if the two
    tables have the same figure in every draw.
    """

    kind: str
    figure: str  # a key of `MEANS`
    first: float | None
    second: float | None
    low: float | None
    high: float | None
    p: float | None
    subjects: int
    equal: bool

    @property
    def value(self) -> float | None:
        """The difference."""
        return None if None in (self.first, self.second) else self.first - self.second

    @property
    def is_clear(self) -> bool:
        """Whether it is larger than chance would explain."""
        return self.p is not None and self.p < LEVEL and not self.low <= 0 <= self.high


def differences(
    first: Evaluation,
    second: Evaluation,
    kinds: Mapping[str, tuple[Evaluation, Evaluation]] = {},
    resamples: int = RESAMPLES,
) -> list[Difference]:
    """Spotting F1, AP and STRS of two tables that were compared with the same ground truth.

    Parameters
    ----------
    first, second : Evaluation
        Of the whole tables.
    kinds : mapping
        If there are two kinds of expressions: kind -> the evaluations of the two tables. Then AP is only of each kind.
    resamples : int
    """
    found = _of_pair("", first, second, ("F1", "STRS") if kinds else ("F1", "AP", "STRS"), resamples)
    for kind, pair in kinds.items():
        found += _of_pair(kind, *pair, ("F1", "AP"), resamples)
    return found


def _of_pair(
    kind: str, first: Evaluation, second: Evaluation, figures: Sequence[str], resamples: int
) -> list[Difference]:
    both = (first, second)
    subjects = list(dict.fromkeys(subject for e in both for subject in e.sums.subjects))
    n = len(subjects)
    enough = LEAST_SUBJECTS <= n <= MOST_SUBJECTS
    draws = draw_subjects(n, resamples) if enough else None
    drawn = [drawn_figures(e.sums.of(subjects), draws) for e in both] if enough else []
    rows = []
    for figure in figures:
        points = [_figure(e.metrics, figure) for e in both]
        values = [value for of_table in drawn if (value := _figure(of_table, figure)) is not None]
        bounds, equal = (None, None, None), False
        if None not in points and len(values) == len(both):
            difference = values[0] - values[1]
            low, high = expanded_interval(difference, n)
            bounds, equal = (low, high, two_sided_p(difference, n)), bool(np.nanmax(np.abs(difference)) == 0)
        rows.append(Difference(kind, figure, *points, *bounds, n, equal))
    return rows


def _figure(figures: Mapping, name: str):
    """F1, AP or STRS among metrics, or among figures of draws. None if it is not there."""
    return figures.get("strs") if name == "STRS" else figures["spotting"].get(name.lower())


def format_differences(rows: Sequence[Difference], names: tuple[str, str]) -> str:
    """The differences as a table for the terminal, and in words. `names` are those of the two tables."""
    first, second = _short(names)
    lines = [
        *textwrap.wrap(f"{first} (a) against {second} (b), {_number(rows[0].subjects)}", WIDTH),
        "-" * WIDTH,
        _line("Figure", ("a", "b", "a - b"), "95 % interval", "p"),
    ]
    for row in rows:
        cells = [_cell(row.first), _cell(row.second), _cell(row.value, "+")]
        bounds = "-" if row.low is None else f"{row.low:+.4f} to {row.high:+.4f}"
        lines.append(_line(_label(row), cells, bounds, "-" if row.p is None else f"{row.p:.3f}"))
    lines.append("-" * WIDTH)
    words = [in_words(row, (first, second)) for row in rows] if rows[0].subjects >= LEAST_SUBJECTS else []
    for sentence in (*words, *_caution(rows[0].subjects)):
        lines += textwrap.wrap(sentence, WIDTH, initial_indent="  * ", subsequent_indent="    ")
    return "\n".join(lines)


def in_words(row: Difference, names: tuple[str, str]) -> str:
    """What a difference means, in one or two sentences."""
    label = _label(row)
    if missing := [name for name, value in zip(names, (row.first, row.second), strict=True) if value is None]:
        return f"{label}: not defined for {' and '.join(missing)}, so the two cannot be compared by it."
    if row.p is None or np.isnan(row.p):
        return f"{label}: not defined for draws of subjects, so the data cannot tell the two apart by it."
    if row.equal:
        return f"{label}: both are equal, whichever subjects are drawn."
    better, other = names if row.value > 0 else names[::-1]
    if row.is_clear:
        return f"{label}: {better} {MEANS[row.figure]} than {other}. This is more than chance would explain."
    if not row.low <= 0 <= row.high:
        return (
            f"{label}: {better} is better for nearly all choices of subjects. But {row.subjects} subjects can agree by "
            "chance, so the data cannot tell the two apart."
        )
    sides = [f"better by up to {row.high:.4f}"] if row.high > 0 else []
    sides += [f"worse by up to {-row.low:.4f}"] if row.low < 0 else []
    may_be = ", or ".join(sides) if len(sides) == 2 else f"equal, or {sides[0]}" if sides else "equal"
    return f"{label}: the data cannot tell the two apart. For people like these, {names[0]} may be {may_be}."


def _caution(subjects: int) -> list[str]:
    """How far to trust p with few subjects."""
    if 2.0 ** (1 - subjects) >= LEVEL:
        return [f"With {_number(subjects)}, no difference can be told from chance: it takes at least 6."]
    if subjects < FEW_SUBJECTS:
        return [f"With {subjects} subjects only, a p that is little below {LEVEL} is weak evidence."]
    return []


def _short(names: tuple[str, str]) -> tuple[str, str]:
    """The names of the two tables as sentences show them: without folders, if they still differ then."""
    last = tuple(name.replace("\\", "/").rsplit("/", 1)[-1] for name in names)
    return last if last[0] != last[1] else names


def _number(subjects: int) -> str:
    return f"{subjects} subject{'s' if subjects != 1 else ''}"


def _label(row: Difference) -> str:
    return f"{row.kind} {row.figure}".strip()


def _line(label: str, cells: Sequence[str], bounds: str, p: str) -> str:
    return f"{label:<{LABEL}}" + "".join(f"{cell:>{CELL}}" for cell in cells) + f"{bounds:>21}{p:>9}"


def _cell(value: float | None, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.4f}"
