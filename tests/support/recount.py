"""Metrics counted again from the two tables, written from METHOD.md sections 4, 5 and 7 and not from the program.

It is slow and plain: an interval is a set of frames, an overlap a fraction. `paper` and `upstream` return what
metrics.json must hold under "spotting", "analysis", "recognition" and "strs"; None stands for what cannot be computed.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

import pandas as pd

HALF = Fraction(1, 2)
THRESHOLDS = [Fraction(hundredths, 100) for hundredths in range(50, 100, 5)]


class Row(NamedTuple):
    subject: str
    video: str
    onset: int
    apex: float  # NaN if it is unknown
    offset: int
    emotion: str | None
    score: float

    @property
    def frames(self) -> set[int]:
        return set(range(self.onset, self.offset + 1))


def rows_of(table: pd.DataFrame) -> list[Row]:
    """The rows of a table that was read with `read_tables`."""
    scores = table["score"] if "score" in table else [math.nan] * len(table)
    return [
        Row(r.subject, r.video, int(r.onset), float(r.apex), int(r.offset), r.emotion or None, float(score))
        for r, score in zip(table.itertuples(), scores, strict=True)
    ]


def read_table(path) -> pd.DataFrame:
    """A run's CSV file: names and emotions as text, other empty cells as NaN."""
    return pd.read_csv(path, dtype={"subject": str, "video": str}).fillna({"emotion": ""})


def overlap(one: Row, other: Row) -> Fraction:
    if (one.subject, one.video) != (other.subject, other.video):
        return Fraction(0)
    return Fraction(len(one.frames & other.frames), len(one.frames | other.frames))


def one_to_one(predicted: list[Row], annotated: list[Row], least: Fraction) -> dict[int, int]:
    """The best pair, then the best of what is left, and so on; of equal ones the earlier in time."""
    left = {(i, j): overlap(p, a) for i, p in enumerate(predicted) for j, a in enumerate(annotated)}
    left = {pair: iou for pair, iou in left.items() if iou >= least}
    found: dict[int, int] = {}
    while left:
        i, j = max(left, key=lambda pair: (left[pair], -pair[0], -pair[1]))
        found[i] = j
        left = {pair: iou for pair, iou in left.items() if pair[0] != i and pair[1] != j}
    return found


def in_turn(predicted: list[Row], annotated: list[Row], least: Fraction, soft: bool) -> dict[int, int]:
    """Each prediction in turn takes the annotation it overlaps most, if it is free; `soft`: the best one that is."""
    found: dict[int, int] = {}
    for i, p in enumerate(predicted):
        best = sorted(range(len(annotated)), key=lambda j: (overlap(p, annotated[j]), j), reverse=True)
        for j in best if soft else best[:1]:
            if overlap(p, annotated[j]) >= least and j not in found.values():
                found[i] = j
                break
    return found


def area(hits: Sequence[bool], annotated: int) -> float:
    """Under precision over recall: at each new recall the best precision from there on."""
    found, curve = 0, []
    for n, hit in enumerate(hits, start=1):
        found += hit
        curve.append((hit, found / n))
    return sum(max(p for _, p in curve[n:]) / annotated for n, (hit, _) in enumerate(curve) if hit)


def spotting(predicted: list[Row], annotated: list[Row], matched: Mapping[int, int]) -> dict:
    tp = len(matched)
    fp, fn = len(predicted) - tp, len(annotated) - tp
    f1 = tp / (tp + (fp + fn) / 2)
    return dict(tp=tp, fp=fp, fn=fn, precision=tp / (tp + fp) if tp + fp else 0.0, recall=tp / (tp + fn), f1=f1)


def firsts(predicted: list[Row], annotated: list[Row]) -> list[tuple[Row | None, Row]]:
    """The first prediction and the first annotation of each annotated video."""
    first_a, first_p = ({(r.subject, r.video): r for r in reversed(rows)} for rows in (annotated, predicted))
    return [(first_p.get(video), a) for video, a in first_a.items()]


def mean(values: Collection[float]) -> float | None:
    return sum(values) / len(values) if values else None


def product(spotted: float, analysed: float | None) -> float | None:
    return 0.0 if spotted == 0 else None if analysed is None else spotted * analysed


def paper(predictions: pd.DataFrame, truth: pd.DataFrame, classes: Sequence[str], one_per_video: bool) -> dict:
    def in_time(rows: list[Row]) -> list[Row]:
        return sorted(rows, key=lambda r: (r.onset, r.offset))

    in_table, annotated = rows_of(predictions), in_time(rows_of(truth))
    predicted = in_time(in_table)
    matched = one_to_one(predicted, annotated, HALF)

    by_score = sorted(in_table, key=lambda r: -r.score) if not any(math.isnan(r.score) for r in in_table) else in_table
    areas = []
    for least in THRESHOLDS:
        found = one_to_one(predicted, annotated, least)
        hits = {id(predicted[i]) for i in found}
        areas.append(area([id(r) in hits for r in by_score], len(annotated)))

    def apex(row: Row) -> float:
        return (row.onset + row.offset) / 2 if math.isnan(row.apex) else row.apex

    pairs = firsts(predicted, annotated)
    errors = [abs(apex(p) - a.apex) for p, a in pairs if p and a.apex >= 0]
    silent = {r.subject for r in predicted} - {r.subject for r in predicted if r.emotion}
    analysed = [(annotated[j].emotion, predicted[i].emotion) for i, j in matched.items()]
    subjects = [annotated[j].subject for j in matched.values()]
    analysed = [pair for pair, s in zip(analysed, subjects, strict=True) if pair[0] in classes and s not in silent]
    of_all = [(a.emotion, p and p.emotion) for p, a in pairs if a.emotion in classes and a.subject not in silent]
    spotted, analysis = spotting(predicted, annotated, matched), recognition(analysed, classes)
    return {
        "spotting": spotted
        | dict(
            ap=mean(areas), mae=mean(errors), asr=mean([bool(p) and a.onset < apex(p) < a.offset for p, a in pairs])
        ),
        "analysis": analysis,
        "recognition": recognition(of_all, classes) if one_per_video else None,
        "strs": product(spotted["f1"], analysis["f1"]),
    }


def recognition(pairs: Sequence[tuple], classes: Sequence[str]) -> dict:
    """Macro averages over the classes on either side of the pairs (annotated, predicted); 0/0 counts as 0."""
    seen = [c for c in classes if any(c in pair for pair in pairs)]
    hits = {c: sum(pair == (c, c) for pair in pairs) for c in seen}
    precision = [hits[c] / max(1, sum(p == c for _, p in pairs)) for c in seen]
    recall = [hits[c] / max(1, sum(a == c for a, _ in pairs)) for c in seen]
    f1 = [2 * p * r / (p + r) if p + r else 0.0 for p, r in zip(precision, recall, strict=True)]
    p, r = mean(precision), mean(recall)
    return dict(
        evaluated=len(pairs),
        correct=sum(a == b for a, b in pairs),
        classes=len(seen),
        precision=p,
        recall=r,
        f1=None if not seen else 2 * p * r / (p + r) if p + r else 0.0,
        uf1=mean(f1),
        uar=r,
        accuracy=mean([a == b for a, b in pairs]),
    )


def upstream(
    predictions: pd.DataFrame,
    truth: pd.DataFrame,
    classes: Sequence[str],
    one_per_video: bool,
    n_features: Mapping[tuple[str, str], int],
    k_prime: int,
    with_recognition: Collection[str],
) -> dict:
    """`n_features` in the order of the videos; `with_recognition`: the subjects with an entry that is not empty."""
    order = list(n_features)
    predicted = sorted(rows_of(predictions), key=lambda r: (order.index((r.subject, r.video)), r.onset, r.offset))
    annotated = sorted(rows_of(truth), key=lambda r: order.index((r.subject, r.video)))
    matched = in_turn(predicted, annotated, HALF, soft=False)

    def ap(thresholds: Sequence[Fraction], soft: bool) -> float:
        found = [in_turn(predicted, annotated, least, soft) for least in thresholds]
        return mean([area([i in f for i in range(len(predicted))], len(annotated)) for f in found])

    guesses, labels = [], []
    first = {(r.subject, r.video): r for r in reversed(annotated)}
    for i, p in enumerate(predicted):
        video = (p.subject, p.video)
        if p.subject not in with_recognition or p.apex >= n_features[video]:
            continue
        guesses.append(p.emotion if p.emotion in classes else None)
        if video in first and first[video].onset >= n_features[video]:
            continue
        if i not in matched:
            labels.append(None)
        elif annotated[matched[i]].emotion in classes:
            labels.append(annotated[matched[i]].emotion)
    samples = [r.emotion for r in annotated if r.subject in with_recognition and r.emotion in classes]
    pairs = [(label, guess) for label, guess in zip(labels, guesses, strict=False) if label is not None]
    of_all = list(zip(samples, guesses, strict=True)) if len(samples) == len(guesses) else []
    by_video = firsts(predicted, annotated)
    peaks = [(p.onset + k_prime, a) for p, a in by_video if p]
    spotted, analysis = spotting(predicted, annotated, matched), one_against_the_rest(pairs, classes)
    return {
        "spotting": spotted
        | dict(
            ap=ap(THRESHOLDS, soft=True),
            ap_greedy=ap([HALF], soft=False),
            asr=sum(a.onset < peak < a.offset for peak, a in peaks) / len(by_video),
            mae=mean([abs(peak - a.apex) for peak, a in peaks if not math.isnan(a.apex)]),
        ),
        "analysis": analysis,
        "recognition": one_against_the_rest(of_all, classes) if one_per_video else None,
        "strs": product(spotted["f1"], analysis["f1"]),
    }


def one_against_the_rest(pairs: Sequence[tuple], classes: Sequence[str]) -> dict:
    """As upstream: a class is left out if both sides together hold one value only; 0/0 is NaN, here None in the end."""
    scores = []
    for c in classes:
        sides = [(a == c, b == c) for a, b in pairs]
        if len({value for pair in sides for value in pair}) < 2:
            continue
        tp, fp, fn = (sides.count(kind) for kind in ((True, True), (False, True), (True, False)))
        precision, recall = (tp / (tp + other) if tp + other else math.nan for other in (fp, fn))
        scores.append((precision, recall, 2 * tp / (2 * tp + fp + fn)))
    p, r = (mean([0.0 if math.isnan(s[i]) else s[i] for s in scores]) for i in (0, 1))
    uar = mean([s[1] for s in scores])
    return dict(
        evaluated=len(pairs),
        correct=sum(a == b for a, b in pairs),
        classes=len(scores),
        precision=p,
        recall=r,
        f1=2 * p * r / (p + r) if scores and p + r else None,
        uf1=mean([s[2] for s in scores]),
        uar=None if uar is None or math.isnan(uar) else uar,
        accuracy=mean([a == b for a, b in pairs]),
    )
