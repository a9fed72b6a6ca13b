"""The metrics as a table for the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence

from Utils.evaluation.counts import total_row
from Utils.evaluation.kinds import KEYS as KIND_KEYS
from Utils.evaluation.metrics import CLASSIFICATION_KEYS
from Utils.records import MACRO

# Widths in characters. A line with a label and six cells is 79 long, so it fits into 80.
WIDTH = 80
LABEL = 13
CELL = 11
SUBJECT_WIDTHS = {
    "annotated": 10, "predicted": 10, "tp": 6, "fp": 6, "fn": 6, "analysed": 10, "correct": 9, "f1": 9,
}  # fmt: skip
KIND_LABEL, KIND_CELL = 10, 10
RULE = "-" * WIDTH
LEGEND = (
    "TP found, FP wrong, FN missed. AP@.5:.95: average precision, mean over IoU .5 to .95. ASR: share of videos whose "
    "first predicted apex lies in the first annotation. MAE: mean distance of these two apexes, in frames. STRS: "
    "spotting F1 x analysis F1. UF1, UAR: means over the emotions of F1 and of recall."
)
INTERVALS = "95 %"  # name of a line of intervals
INTERVAL_LEGEND = " 95 %: the interval of each figure above it, by a bootstrap over {} subjects."
AP = "AP@.5:.95"
TENS, HUNDREDS = 10, 100  # from these on, an interval has fewer decimal places
ABBREVIATION = 5  # letters of a name up to which it is an abbreviation and is written in capitals


def format_metrics(metrics: Mapping, *, subjects: bool = False) -> str:
    """The metrics as a table of `WIDTH` columns, with their notes.

    Parameters
    ----------
    metrics : mapping
        As `evaluate` returns them.
    subjects : bool
        Whether to add a row for each subject, and their total.
    """
    spotting = metrics["spotting"]
    total = total_row(metrics["per_subject"], {"subject": "total"})
    title = ", ".join(str(metrics[key]) for key in ("dataset", "protocol") if key in metrics)
    alone = ", macro-expressions" if list(metrics.get("by_kind", ())) == [MACRO] else ""
    intervals = metrics.get("intervals", {})
    of_spotting = intervals.get("spotting", {})
    lines = [
        f"Metrics: {title} protocol{alone}",
        *_block(
            "Spotting",
            {key: total[key] for key in ("annotated", "predicted", "tp", "fp", "fn")},
            {"precision": spotting["precision"], "recall": spotting["recall"], "f1": spotting["f1"]}
            | {AP: spotting["ap"], "asr": spotting["asr"], "mae": spotting["mae"]},
            intervals=of_spotting | {AP: of_spotting.get("ap")},
        ),
    ]
    if len(kinds := metrics.get("by_kind", {})) > 1:
        lines += [RULE, _kind_line({"kind": "Kind"} | {key: _heading(key) for key in KIND_KEYS})]
        for kind, row in kinds.items():
            of_kind = intervals.get("by_kind", {}).get(kind, {})
            lines += [_kind_line({"kind": kind} | row), *_interval_line(KIND_KEYS, of_kind, KIND_LABEL, KIND_CELL)]
    for name in ("analysis", "recognition"):
        if (scores := metrics[name]) is not None:
            first, second = CLASSIFICATION_KEYS[:4], CLASSIFICATION_KEYS[4:]
            rows = ({key: scores[key] for key in keys} for keys in (first, second))
            lines += _block(name.capitalize(), *rows, intervals=intervals.get(name) or {})
    lines += [RULE]
    if metrics["analysis"] is not None:
        lines += [f"{'STRS':<{LABEL}}{_cell(metrics['strs']):>{CELL}}"]
        lines += [*_interval_line(["strs"], intervals), RULE]
    if subjects:
        lines += [_subject_line({"subject": "Subject"} | {key: _heading(key) for key in SUBJECT_WIDTHS})]
        lines += [_subject_line(row) for row in metrics["per_subject"]]
        lines += [RULE, _subject_line(total), RULE]
    shown = any(line.startswith(INTERVALS) for line in lines)
    legend = LEGEND + INTERVAL_LEGEND.format(intervals["subjects"]) if shown else LEGEND
    lines += textwrap.wrap(legend, WIDTH, initial_indent="  ", subsequent_indent="  ")
    for note in (*metrics["notes"], *intervals.get("notes", ())):
        lines += textwrap.wrap(note, WIDTH, initial_indent="  * ", subsequent_indent="    ")
    return "\n".join(lines)


def _block(label: str, *rows: Mapping, intervals: Mapping) -> list[str]:
    """A rule, then for each row its names above its values, and these above their intervals.

    The label is to the left of the first names.
    """
    lines = [RULE]
    for row in rows:
        lines.append(f"{label:<{LABEL}}" + "".join(f"{_heading(key):>{CELL}}" for key in row))
        lines.append(" " * LABEL + "".join(f"{_cell(value):>{CELL}}" for value in row.values()))
        lines += _interval_line(row, intervals)
        label = ""
    return lines


def _interval_line(names: Iterable[str], intervals: Mapping, label: int = LABEL, width: int = CELL) -> list[str]:
    """One line with the intervals of the figures `names`, or none if no figure has one."""
    found = [intervals.get(name) for name in names]
    if not any(found):
        return []
    return [f"{INTERVALS:<{label}}" + "".join(f"{format_interval(bounds):>{width}}" for bounds in found).rstrip()]


def format_interval(bounds: Sequence[float] | None) -> str:
    """An interval [low, high] in few characters, such as .012-.345 or 15.5-20.1; "" if there is none."""
    if bounds is None:
        return ""
    if bounds[1] <= 1:
        return "-".join("1.00" if round(bound, 3) == 1 else f"{bound:.3f}"[1:] for bound in bounds)
    digits = 2 if bounds[1] < TENS else 1 if bounds[1] < HUNDREDS else 0
    return "-".join(f"{bound:.{digits}f}" for bound in bounds)


def _subject_line(row: Mapping) -> str:
    cells = (f"{_cell(row[key]):>{width}}" for key, width in SUBJECT_WIDTHS.items())
    return f"{row['subject'][:LABEL]:<{LABEL + 1}}" + "".join(cells)


def _kind_line(row: Mapping) -> str:
    return f"{row['kind'].capitalize():<{KIND_LABEL}}" + "".join(f"{_cell(row[key]):>{KIND_CELL}}" for key in KIND_KEYS)


def _heading(key: str) -> str:
    return key if len(key) > ABBREVIATION else key.upper()


def _cell(value) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
