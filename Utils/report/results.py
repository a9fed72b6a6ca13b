"""The tables of results in a report: metrics of each protocol, subjects, confusion of emotions, settings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from Utils.evaluation.counts import total_row
from Utils.evaluation.kinds import KEYS
from Utils.evaluation.result import Evaluation
from Utils.records import KINDS

PROTOCOL_NAMES = {"paper": "Paper's protocol", "upstream": "Published code's protocol"}
SPOTTING = {
    "tp": "True positives",
    "fp": "False positives",
    "fn": "Missed",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "ap": "AP, mean over IoU 0.5 to 0.95",
    "ap_greedy": "AP at IoU 0.5, greedy",
    "asr": "Apex spotting rate",
    "mae": "Apex error (frames)",
}
CLASSIFICATION = {
    "evaluated": "Evaluated",
    "correct": "Correct",
    "accuracy": "Accuracy",
    "precision": "Precision, mean over emotions",
    "recall": "Recall, mean over emotions",
    "f1": "F1 of these two",
    "uf1": "UF1",
    "uar": "UAR",
}
SECTIONS = (
    ("spotting", "Spotting: is an expression found where one is annotated?", SPOTTING),
    ("analysis", "Analysis: of those found, is the emotion right?", CLASSIFICATION),
    ("recognition", "Recognition: the emotion of each video's one prediction", CLASSIFICATION),
)
SUBJECT_COLUMNS = {
    "subject": "Subject", "videos": "Videos", "annotated": "Annotated", "predicted": "Predicted", "tp": "Found",
    "fp": "False", "fn": "Missed", "analysed": "Analysed", "correct": "Correct", "f1": "Spotting F1",
}  # fmt: skip
NEITHER = "other or none"  # column of a confusion matrix for predicted emotions that are not evaluated, or missing


def protocol_name(protocol: str) -> str:
    """The name of a protocol on the page."""
    return PROTOCOL_NAMES.get(protocol, protocol)


def metric_groups(metrics: Mapping[str, Mapping]) -> list[dict]:
    """Groups of rows, each with a "title". A row has a "name", and a text for each protocol: "values", "intervals".

    `metrics` has the metrics of each protocol. Rows that no protocol has are left out. An interval is "" if there is
    none.
    """
    groups = []
    for section, title, names in SECTIONS:
        scores = [protocol.get(section) or {} for protocol in metrics.values()]
        intervals = [_intervals(protocol, section) for protocol in metrics.values()]
        rows = [
            {"name": name, "values": [cell(score.get(key)) for score in scores], "intervals": _texts(intervals, key)}
            for key, name in names.items()
            if any(key in score for score in scores)
        ]
        if rows:
            groups.append({"title": title, "rows": rows})
    groups[:0] = _kind_groups(metrics)
    if all(protocol.get("analysis") is None for protocol in metrics.values()):
        return groups
    together = {
        "name": "STRS, spotting F1 × analysis F1",
        "values": [cell(protocol.get("strs")) for protocol in metrics.values()],
        "intervals": _texts([protocol.get("intervals", {}) for protocol in metrics.values()], "strs"),
    }
    return [*groups, {"title": "Both", "rows": [together]}]


def _intervals(metrics: Mapping, section: str) -> Mapping:
    """The intervals of one section of the metrics of one protocol: name -> (low, high) or None. Empty if unknown."""
    return metrics.get("intervals", {}).get(section) or {}


def _texts(intervals: Sequence[Mapping], key: str) -> list[str]:
    """The interval of one figure under each protocol, as the table shows it."""
    found = [of_protocol.get(key) for of_protocol in intervals]
    return [
        "" if bounds is None else "–".join(f"{x:.{3 if bounds[1] <= 1 else 1}f}" for x in bounds) for bounds in found
    ]


def _kind_groups(metrics: Mapping[str, Mapping]) -> list[dict]:
    """A group for each kind of expressions, if the run has both: see `metric_groups`."""
    of_protocols = [protocol.get("by_kind", {}) for protocol in metrics.values()]
    intervals = [_intervals(protocol, "by_kind") for protocol in metrics.values()]
    kinds = [kind for kind in KINDS if all(kind in rows for rows in of_protocols)]
    if len(kinds) < 2:
        return []
    return [
        {
            "title": f"Spotting of {kind}-expressions",
            "rows": [
                {
                    "name": SPOTTING[key],
                    "values": [cell(rows[kind][key]) for rows in of_protocols],
                    "intervals": _texts([of_kinds.get(kind, {}) for of_kinds in intervals], key),
                }
                for key in KEYS
            ],
        }
        for kind in kinds
    ]


def all_notes(metrics: Mapping) -> list[str]:
    """The notes on the metrics of one protocol, and on their intervals."""
    return [*metrics.get("notes", ()), *metrics.get("intervals", {}).get("notes", ())]


def subject_table(metrics: Mapping) -> list[dict]:
    """A row for each subject, and one for all, as column -> text. `metrics` are those of one protocol."""
    rows = list(metrics.get("per_subject") or ())
    if not rows:
        return []
    start = {"subject": "All", "videos": sum(row.get("videos", 0) for row in rows)}
    return [{key: cell(row.get(key)) for key in SUBJECT_COLUMNS} for row in [*rows, total_row(rows, start)]]


def confusion_tables(evaluations: Mapping[str, Evaluation], classes: Sequence[str]) -> list[dict]:
    """The confusion matrix of the pairs that each protocol analyses. That of the paper's protocol comes first."""
    by_protocol = sorted(evaluations.items(), key=lambda item: item[0] != "paper")
    return [
        {"protocol": protocol} | confusion(evaluation.pairs, classes)
        for protocol, evaluation in by_protocol
        if evaluation.pairs
    ]


def confusion(pairs: Sequence[tuple], classes: Sequence[str]) -> dict:
    """A confusion matrix of pairs (annotated, predicted emotion).

    Returns
    -------
    dict
        "columns": the predicted emotions. "rows": one for each annotated emotion, with its "label", the "total" of its
        pairs, and "cells". A cell has the "count" of a column, its "share" of the row in [0, 1], and whether the
        prediction is "right".
    """
    others = any(guess not in classes for _, guess in pairs)
    columns = [*classes, *([NEITHER] if others else [])]
    rows = []
    for label in classes:
        guesses = [guess if guess in classes else NEITHER for annotated, guess in pairs if annotated == label]
        counts = [guesses.count(column) for column in columns]
        cells = [
            {"count": count, "share": count / len(guesses) if guesses else 0.0, "right": column == label}
            for column, count in zip(columns, counts, strict=True)
        ]
        rows.append({"label": label, "cells": cells, "total": len(guesses)})
    return {"columns": columns, "rows": rows}


def flattened(settings: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Names and values of nested settings: {"versions": {"numpy": "2"}} gives ("versions.numpy", "2")."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{name}.")
        elif isinstance(value, (list, tuple)):
            yield f"{prefix}{name}", ", ".join(map(_shown, value))
        else:
            yield f"{prefix}{name}", _shown(value)


def cell(value) -> str:
    """A metric as the tables show it: a dash for None, four decimal places for a float."""
    if value is None:
        return "–"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _shown(value) -> str:
    """A setting as the table shows it: a dash for None, truth values and floats as in JSON."""
    if value is None:
        return "–"
    return json.dumps(value) if isinstance(value, (bool, float)) else str(value)
