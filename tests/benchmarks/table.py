"""The table of `python -m tests.benchmarks`: its rows, which goals are met, and the exit code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

COLUMNS = ("", "other side", "here", "figure", "goal", "met")
ALL_MET, MISSED = 0, 1  # exit codes
TIMES = "times"  # unit of a ratio: the time of the other side, divided by ours


class NotMeasured(Exception):
    """Something cannot be measured here; the text says why. Not for errors of the project."""


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes
    ----------
    what : str
    figure : float or None
        What is compared with the goal, in `unit`. None: it is not measured.
    goal : float or None
        None: there is no goal.
    unit : str
        `TIMES`, "s", "ns", "%", or "" for a bare number.
    at_most : bool
        Whether the goal is the greatest figure that is allowed. Otherwise it is the least.
    other, ours : str
        What was measured on both sides, with units; "" if there is no other side.
    remark : str
        Shown below the table: how it was measured, or why not.
    """

    what: str
    figure: float | None
    goal: float | None
    unit: str = TIMES
    at_most: bool = False
    other: str = ""
    ours: str = ""
    remark: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal is met. None: it is not known, or there is no goal."""
        if self.figure is None or self.goal is None:
            return None
        return self.figure <= self.goal if self.at_most else self.figure >= self.goal

    def cells(self, judged: bool) -> tuple[str, ...]:
        """The texts of `COLUMNS`. `judged`: whether it may be said that a goal is met or missed."""
        figure = "not measured" if self.figure is None else with_unit(self.figure, self.unit)
        goal = "-"
        if self.goal is not None:
            goal = f"at {'most' if self.at_most else 'least'} {with_unit(self.goal, self.unit)}"
        met = {True: "yes", False: "NO", None: "-"}[self.met]
        return self.what, self.other, self.ours, figure, goal, met if judged or self.met is None else "not judged"


def ratio_row(what: str, theirs: float | None, ours: float | None, goal: float, remark: str = "") -> Row:
    """A row that compares two times in seconds. None: it is not measured."""
    if theirs is None or ours is None:
        return Row(what, None, goal, remark=remark)
    return Row(what, theirs / ours, goal, other=duration(theirs), ours=duration(ours), remark=remark)


def number(value: float) -> str:
    """Three digits that count: 347, 24.5, 0.0931, 3.1e-07."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def with_unit(value: float, unit: str) -> str:
    return f"{number(value)} {unit}".strip()


def duration(seconds: float) -> str:
    """Seconds, or milliseconds below one."""
    return f"{number(seconds)} s" if seconds >= 1 else f"{number(seconds * 1e3)} ms"


def table(rows: Sequence[Row], judged: bool = True) -> str:
    """All rows as a Markdown table, and their remarks below it."""
    cells = [COLUMNS, *(row.cells(judged) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [f"| {' | '.join(text.ljust(w) for text, w in zip(row, widths, strict=True))} |" for row in cells]
    lines.insert(1, f"|{'|'.join('-' * (width + 2) for width in widths)}|")
    lines += [f"- {row.what}: {row.remark}" for row in rows if row.remark]
    return "\n".join(lines)


def exit_code(rows: Sequence[Row], judged: bool = True) -> int:
    """`MISSED` if a figure that was measured misses its goal."""
    return MISSED if judged and any(row.met is False for row in rows) else ALL_MET
