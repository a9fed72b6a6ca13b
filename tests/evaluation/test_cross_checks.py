"""A thousand random tables: our metrics beside scikit-learn's, and beside others that were written for this test.

`test_recount.py` has a second count of both whole protocols on small tables that hypothesis chooses. Here each part is
compared with what others compute by other means: classification with the functions that scikit-learn publishes, AP as
COCO's evaluation goes about it, and the matching with what must be true of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.metrics import accuracy_score, f1_score, multilabel_confusion_matrix, precision_score, recall_score

from tests.support.random_tables import CLASSES, HALF, random_tables
from Utils.evaluation.metrics import AP_THRESHOLDS, compare_paper, match_intervals, ranked_ap
from Utils.evaluation.result import Evaluation
from Utils.evaluation.tables import VideoIntervals, bounds, group_by_video
from Utils.evaluation.upstream import compare_upstream
from Utils.evaluation.upstream_scores import classification_with_nan

N = 1000
N_UPSTREAM = 300  # of them, by the upstream protocol too


class Tables(NamedTuple):
    predictions: pd.DataFrame
    truth: pd.DataFrame
    videos: list[VideoIntervals]
    paper: Evaluation


QUICK = dict(skip_parameter_validation=True, assume_finite=True)  # of scikit-learn: its checks take most of the time


@pytest.fixture(scope="module")
def evaluated() -> list[Tables]:
    """`N` random tables, evaluated by the paper's protocol."""
    with config_context(**QUICK):
        return [evaluated_tables(seed) for seed in range(N)]


def evaluated_tables(seed: int) -> Tables:
    predictions, truth, videos = random_tables(seed, subjects=2 + seed % 5, videos=3 + seed % 6)
    paper = compare_paper(predictions, truth, CLASSES, videos=videos)
    return Tables(predictions, truth, group_by_video(predictions, truth, videos), paper)


# Classification, with scikit-learn


def test_classification_and_scikit_learn(evaluated):
    """The pairs of the tables. A pair without a predicted emotion is wrong, and "none" is no class to average over."""
    n, options = 0, dict(average="macro", zero_division=0)
    with config_context(**QUICK):
        for tables in evaluated:
            if not tables.paper.pairs:
                continue
            n += 1
            labels, guesses = (list(side) for side in zip(*tables.paper.pairs, strict=True))
            guesses = [guess or "none" for guess in guesses]
            options["labels"] = sorted((set(labels) | set(guesses)) - {"none"})
            ours = tables.paper.metrics["analysis"]
            precision, recall = (f(labels, guesses, **options) for f in (precision_score, recall_score))
            assert (ours["precision"], ours["recall"], ours["uar"]) == pytest.approx((precision, recall, recall))
            assert ours["f1"] == pytest.approx(2 * precision * recall / (precision + recall) if precision else 0)
            assert ours["uf1"] == pytest.approx(f1_score(labels, guesses, **options))
            assert ours["accuracy"] == pytest.approx(accuracy_score(labels, guesses))
            assert (ours["evaluated"], ours["classes"]) == (len(labels), len(options["labels"]))
    assert n > 2 * N / 3


def random_pairs(rng: np.random.Generator) -> tuple[list, list]:
    """Labels and guesses of up to 30 pairs. Often a class is missing on one side or on both."""
    n, allowed = int(rng.integers(1, 30)), rng.permutation(len(CLASSES))[: rng.integers(1, 4)]
    labels = rng.choice(allowed, n)
    return labels.tolist(), np.where(rng.random(n) < 0.5, labels, rng.integers(0, len(CLASSES), n)).tolist()


def test_upstreams_classification_and_scikit_learn():
    """One class against the rest, as scikit-learn's matrices of two by two have it."""
    rng = np.random.default_rng(1)
    for _ in range(N_UPSTREAM):
        labels, guesses = random_pairs(rng)
        with config_context(**QUICK):
            per_class = multilabel_confusion_matrix(labels, guesses, labels=range(len(CLASSES))).tolist()
        # both values occur on the two sides together
        kept = [(tp, fp, fn) for (tn, fp), (fn, tp) in per_class if tp + fn + fp and tn + fp + fn]
        f1 = [2 * tp / (2 * tp + fp + fn) for tp, fp, fn in kept]
        recalls = [tp / (tp + fn) if tp + fn else np.nan for tp, _, fn in kept]
        precisions = [tp / (tp + fp) if tp + fp else 0 for tp, fp, _ in kept]
        ours = classification_with_nan(list(zip(labels, guesses, strict=True)), len(CLASSES))
        assert ours["classes"] == len(kept)
        assert ours["uf1"] == (pytest.approx(np.mean(f1)) if kept else None)
        assert ours["precision"] == (pytest.approx(np.mean(precisions)) if kept else None)
        assert ours["recall"] == (pytest.approx(np.mean(np.nan_to_num(recalls))) if kept else None)
        uar = np.mean(recalls) if kept else np.nan
        assert ours["uar"] == (None if np.isnan(uar) else pytest.approx(uar))


# Matching, by looking for what must be true of it


def iou(a: tuple[int, int], b: tuple[int, int]) -> float:
    """From the lengths alone: what both cover is what the two lengths have too much over the length of the whole."""
    whole = max(a[1], b[1]) - min(a[0], b[0]) + 1
    lengths = (a[1] - a[0] + 1) + (b[1] - b[0] + 1)
    shared = max(0, lengths - whole)
    return shared / (lengths - shared)


def overlap_of(video: VideoIntervals) -> list[list[float]]:
    """IoU of each prediction with each annotation of a video."""
    predicted, annotated = bounds(video.predicted).tolist(), bounds(video.annotated).tolist()
    return [[iou(one, other) for other in annotated] for one in predicted]


def test_the_matching_is_stable_and_counts_add_up(evaluated):
    """Best IoU first means: of a pair that is left apart, one has something that fits at least as well."""
    for tables in evaluated:
        n = 0
        for video in tables.videos:
            overlap, matched = overlap_of(video), tables.paper.matches[video.subject, video.video]
            predicted, annotated = ([interval.row for interval in of] for of in (video.predicted, video.annotated))
            pairs = [(predicted.index(i), annotated.index(j)) for i, j in matched]
            got_p, got_a = ({pair[side]: overlap[pair[0]][pair[1]] for pair in pairs} for side in (0, 1))
            assert len(got_p) == len(got_a) == len(pairs)  # one to one
            assert all(overlap[i][j] >= 0.5 for i, j in pairs)
            for i, row in enumerate(overlap):
                for j, value in enumerate(row):
                    assert value < 0.5 or value <= max(got_p.get(i, 0), got_a.get(j, 0))
            n += len(pairs)
        spotting, total = tables.paper.metrics["spotting"], len(tables.predictions) + len(tables.truth)
        counts = (n, len(tables.predictions) - n, len(tables.truth) - n)
        assert (spotting["tp"], spotting["fp"], spotting["fn"]) == counts
        assert spotting["f1"] == pytest.approx(2 * n / total)


def test_upstreams_spotting_and_a_plain_loop(evaluated):
    """Greedy: a prediction looks only at its best annotation (of equal ones the last), and takes it if it is free."""
    for tables in evaluated[:N_UPSTREAM]:
        hits = []
        for video in tables.videos:
            overlap, taken = overlap_of(video), set()
            for _, i in sorted((p.onset, i) for i, p in enumerate(video.predicted)):
                best = max(range(len(video.annotated)), key=lambda j: (overlap[i][j], j), default=None)
                hits.append(best is not None and overlap[i][best] >= 0.5 and best not in taken)
                taken |= {best} if hits[-1] else set()
        names = [(video.subject, video.video) for video in tables.videos]
        found = compare_upstream(tables.predictions, tables.truth, CLASSES, k_prime=HALF, videos=names)
        spotting = found.metrics["spotting"]
        assert (spotting["tp"], spotting["fp"]) == (sum(hits), len(hits) - sum(hits))
        assert spotting["ap_greedy"] == pytest.approx(area_of_steps(hits, len(tables.truth)), abs=1e-6)


# AP in one dimension, as COCO's evaluation goes about it


def area_of_steps(hits: Sequence[bool], annotated: int) -> float:
    """A sum over the annotations that are found, each with the best precision from it on."""
    at = np.flatnonzero(hits) + 1  # ranks of the hits, from 1
    precision = np.arange(1, len(at) + 1) / at
    return sum(max(precision[i:]) for i in range(len(at))) / annotated


def coco_ap(precision: list[float], recall: list[float], levels: int = 1001) -> float:
    """The mean precision at equally spaced levels of recall. COCO has 101 of them."""
    envelope = list(precision)
    for i in range(len(envelope) - 1, 0, -1):
        envelope[i - 1] = max(envelope[i - 1], envelope[i])
    where = np.searchsorted(recall, np.linspace(0, 1, levels), side="left")
    return float(np.mean(np.array([*envelope, 0.0])[where]))


def coco_curve(ranked: list[tuple[float, int, int, list[float]]], annotated: int, threshold: float):
    """Precision and recall after each prediction. They take the best annotation that is free, in order of the score.

    `ranked` has (falling score, row, number of the video, IoU with each annotation of that video).
    """
    taken, precision, recall = set(), [], []
    for n, (_, _, video, row) in enumerate(ranked, start=1):
        free = [(value, -j) for j, value in enumerate(row) if value >= threshold and (video, j) not in taken]
        if free:
            taken.add((video, -max(free)[1]))
        precision.append(len(taken) / n)
        recall.append(len(taken) / annotated)
    return precision, recall


def test_ap_and_coco(evaluated):
    """With one prediction and one annotation a video, COCO's matching, in order of the score, is ours.

    What is left is how the area is taken: COCO's levels of recall make it differ by a thousandth.
    """
    n = 0
    for tables in evaluated:
        videos = [v._replace(predicted=v.predicted[-1:], annotated=v.annotated[:1]) for v in tables.videos]
        overlaps = [overlap_of(video) for video in videos]
        annotated = sum(len(video.annotated) for video in videos)
        found = ranked_ap(videos, [match_intervals(bounds(v.predicted), bounds(v.annotated)) for v in videos])
        ranked = sorted(
            (-p.score, p.row, number, overlaps[number][0])
            for number, video in enumerate(videos)
            for p in video.predicted
        )
        theirs = np.mean([coco_ap(*coco_curve(ranked, annotated, threshold)) for threshold in AP_THRESHOLDS])
        assert found == pytest.approx(theirs, abs=2e-3)
        n += found > 0
    assert n > N / 3


def test_ap_and_the_area_of_steps(evaluated):
    """Any tables, with our matches: their own ranking and area."""
    for tables in evaluated:
        reached = np.zeros(len(tables.predictions))
        one, other = (table[["onset", "offset"]].to_numpy() for table in (tables.predictions, tables.truth))
        for matched in tables.paper.matches.values():
            for i, j in matched:
                reached[i] = iou(tuple(one[i]), tuple(other[j]))
        order = np.argsort(-tables.predictions["score"].to_numpy(float), kind="stable")
        areas = [area_of_steps(reached[order] >= t - 1e-12, len(tables.truth)) for t in AP_THRESHOLDS]
        assert tables.paper.metrics["spotting"]["ap"] == pytest.approx(np.mean(areas))
