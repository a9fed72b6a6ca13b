"""The metrics as a table for the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from Utils.evaluation.metrics import CLASSIFICATION_KEYS, total_row

RULE = "-" * 80
SUBJECT_WIDTHS = {
    "annotated": 10, "predicted": 10, "tp": 6, "fp": 6, "fn": 6, "analysed": 10, "correct": 9, "f1": 9,
}  # fmt: skip


def format_metrics(metrics: Mapping, *, subjects: bool = False) -> str:
    """The metrics as a table 80 columns wide, with their notes; `subjects` adds a row for each subject and a total."""
    spotting = metrics["spotting"]
    total = total_row(metrics["per_subject"], {"subject": "total"})
    title = ", ".join(str(metrics[key]) for key in ("dataset", "protocol") if key in metrics)
    lines = [
        f"Metrics: {title} protocol",
        *_block(
            "Spotting",
            {key: total[key] for key in ("annotated", "predicted", "tp", "fp", "fn")},
            {"precision": spotting["precision"], "recall": spotting["recall"], "f1": spotting["f1"]}
            | {"AP@.5:.95": spotting["ap"], "asr": spotting["asr"], "mae": spotting["mae"]},
        ),
    ]
    for name in ("analysis", "recognition"):
        if (scores := metrics[name]) is not None:
            first, second = CLASSIFICATION_KEYS[:4], CLASSIFICATION_KEYS[4:]
            rows = ({key: scores[key] for key in keys} for keys in (first, second))
            lines += _block(name.capitalize(), *rows)
    lines += [RULE, f"{'STRS':<13}{_cell(metrics['strs']):>11}    spotting F1 x analysis F1", RULE]
    if subjects:
        lines += [_subject_line({"subject": "Subject"} | {key: _heading(key) for key in SUBJECT_WIDTHS})]
        lines += [_subject_line(row) for row in metrics["per_subject"]]
        lines += [RULE, _subject_line(total), RULE]
    for note in metrics["notes"]:
        lines += textwrap.wrap(note, 80, initial_indent="  * ", subsequent_indent="    ")
    return "\n".join(lines)


def _block(label: str, *rows: Mapping) -> list[str]:
    """A rule, then each row's names above its values; the label stands left of the first."""
    lines = [RULE]
    for row in rows:
        lines.append(f"{label:<13}" + "".join(f"{_heading(key):>11}" for key in row))
        lines.append(" " * 13 + "".join(f"{_cell(value):>11}" for value in row.values()))
        label = ""
    return lines


def _subject_line(row: Mapping) -> str:
    cells = (f"{_cell(row[key]):>{width}}" for key, width in SUBJECT_WIDTHS.items())
    return f"{row['subject'][:13]:<14}" + "".join(cells)


def _heading(key: str) -> str:
    return key if len(key) > 5 else key.upper()


def _cell(value) -> str:
    return "-" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
