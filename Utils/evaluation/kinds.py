"""Micro- and macro-expressions together: their figures side by side, and pooled (docs/softnet.md, section 8).

Each kind is evaluated on its own. "overall" pools them: TP, FP and FN are summed, and precision, recall and F1 are
those of the sums.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from Utils.evaluation.counts import per_subject, precision_recall_f1, total_row
from Utils.evaluation.intervals import intervals_of
from Utils.evaluation.metrics import classification, spotting_scores, strs
from Utils.evaluation.result import Evaluation, Matches
from Utils.evaluation.sums import pooled_sums
from Utils.evaluation.upstream_scores import classification_with_nan

OVERALL = "overall"
NO_EMOTIONS = "analysis: this method spots expressions and recognises no emotions"
KEYS = ("tp", "fp", "fn", "precision", "recall", "f1", "ap")


def by_kind(metrics: Mapping[str, Mapping]) -> dict[str, dict]:
    """The figures of spotting of each kind, and of both together ("overall") if there are two.

    `metrics` has the metrics of each kind, as `evaluate.evaluate` returns them. AP is None overall: the predictions of
    two networks have no common ranking.
    """
    rows = {kind: {key: of_kind["spotting"][key] for key in KEYS} for kind, of_kind in metrics.items()}
    if len(rows) > 1:
        tp, fp, fn = (sum(row[key] for row in rows.values()) for key in ("tp", "fp", "fn"))
        precision, recall, f1 = precision_recall_f1(tp, fp, fn)
        rows[OVERALL] = dict(tp=tp, fp=fp, fn=fn, precision=precision, recall=recall, f1=f1, ap=None)
    return rows


def spotting_only(metrics: Mapping) -> dict:
    """The metrics of a method that recognises no emotions: "analysis" and "strs" are None, and so are their notes."""
    notes = [note for note in metrics["notes"] if not note.startswith(("analysis", "strs"))]
    about_intervals = [note for note in metrics["intervals"]["notes"] if "analysis" not in note]
    intervals = metrics["intervals"] | {"analysis": None, "strs": None, "notes": about_intervals}
    return {**metrics, "analysis": None, "strs": None, "notes": [*notes, NO_EMOTIONS], "intervals": intervals}


def without_mae(evaluation: Evaluation) -> Evaluation:
    """The evaluation of videos of different frame rates: MAE is None, because a frame is not as long in each."""
    metrics = evaluation.metrics
    notes = [note for note in metrics["notes"] if not note.startswith("mae")]
    intervals = metrics["intervals"]
    if intervals["spotting"]:
        intervals = intervals | {"spotting": intervals["spotting"] | {"mae": None}}
    metrics = metrics | {
        "spotting": metrics["spotting"] | {"mae": None},
        "intervals": intervals,
        "notes": [*notes, "mae: the videos have different frame rates, so their frames cannot be averaged"],
    }
    return replace(evaluation, metrics=metrics)


def _joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all tables. A table without rows gives only columns: the types of its columns say nothing."""
    columns = list(dict.fromkeys(column for table in tables for column in table))
    with_rows = [table for table in tables if len(table)] or tables
    return pd.concat(with_rows, ignore_index=True).reindex(columns=columns)


def pooled(evaluations: Mapping[str, Evaluation], classes: Sequence[str]) -> Evaluation:
    """The evaluations of two kinds under one protocol as one.

    Its tables have the column "kind". Its "spotting" is that of both together, and its "analysis" that of the pairs of
    both. ASR and MAE are None: they look at the first expression of a video, which is of one kind.

    Its "intervals" have "by_kind": kind -> the intervals of the figures of "by_kind". Those of each kind come from the
    subjects of this kind, as if it were alone, and those of "overall" from all subjects.
    """
    parts = evaluations.values()
    tables = [
        _joined([getattr(e, name).assign(kind=kind) for kind, e in evaluations.items()])
        for name in ("predictions", "ground_truth")
    ]
    rows: dict[tuple[str, str], list[dict]] = {}
    for row in (row for e in parts for row in e.metrics["per_video"]):
        rows.setdefault((row["subject"], row["video"]), []).append(row)
    counts = [total_row(of_video, {"subject": key[0], "video": key[1]}) for key, of_video in rows.items()]
    pairs = [pair for e in parts for pair in e.pairs]
    first = next(iter(parts)).metrics
    metrics = {key: first[key] for key in ("dataset", "mode", "seed", "protocol") if key in first}
    if first["protocol"] == "paper":
        analysis = classification([pair for pair in pairs if pair[0] in classes], classes)
    else:
        numbers = {name: i for i, name in enumerate(classes)}
        analysis = classification_with_nan([tuple(map(numbers.get, pair)) for pair in pairs], len(classes))
    if first["analysis"] is None:
        analysis = None
    spotting = spotting_scores(counts) | dict.fromkeys(("ap", "asr", "mae"))
    metrics |= {
        "spotting": spotting,
        "analysis": analysis,
        "recognition": None,
        "strs": None if analysis is None else strs(spotting["f1"], analysis["f1"]),
        "by_kind": by_kind({kind: e.metrics for kind, e in evaluations.items()}),
        "per_subject": per_subject(counts),
        "per_video": counts,
        "notes": [f"{kind}: {note}" for kind, e in evaluations.items() for note in e.metrics["notes"]],
    }
    sums = pooled_sums([e.sums for e in parts])
    intervals = intervals_of(metrics, sums)
    of_kinds = {kind: e.metrics["intervals"]["spotting"] for kind, e in evaluations.items()}
    of_kinds[OVERALL] = intervals["spotting"]
    notes = [f"{kind}: {note}" for kind, e in evaluations.items() for note in _new_notes(e, intervals["notes"])]
    intervals["notes"] += notes
    intervals["by_kind"] = {kind: {key: found[key] for key in KEYS[3:]} for kind, found in of_kinds.items()}
    return Evaluation(*tables, metrics | {"intervals": intervals}, _joined_matches(list(parts)), pairs, sums)


def together(evaluations: Mapping[str, Evaluation], classes: Sequence[str]) -> Evaluation:
    """The evaluations of one or two kinds as one, with "by_kind" among its metrics."""
    if len(evaluations) > 1:
        return pooled(evaluations, classes)
    ((kind, evaluation),) = evaluations.items()
    return replace(evaluation, metrics=evaluation.metrics | {"by_kind": by_kind({kind: evaluation.metrics})})


def _new_notes(evaluation: Evaluation, known: Sequence[str]) -> list[str]:
    """The notes on the intervals of an evaluation that are not `known`."""
    return [note for note in evaluation.metrics["intervals"]["notes"] if note not in known]


def _joined_matches(evaluations: Sequence[Evaluation]) -> dict[tuple[str, str], Matches]:
    """(subject, video) -> the matches of all evaluations, as rows of their tables one below the other."""
    joined: dict[tuple[str, str], Matches] = {}
    predicted = annotated = 0
    for e in evaluations:
        for key, matches in e.matches.items():
            joined.setdefault(key, []).extend((i + predicted, j + annotated) for i, j in matches)
        predicted, annotated = predicted + len(e.predictions), annotated + len(e.ground_truth)
    return joined
