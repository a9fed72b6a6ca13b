"""Compares predictions with annotations by either protocol: two tables in, metrics and matches out.

metrics = evaluate(predictions, ground_truth, classes)          # the metrics, as metrics.json has them
evaluation = compare(predictions, ground_truth, classes)        # with the matches, for figures and the report

Importing this module loads neither TensorFlow nor OpenCV.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from Utils.evaluation.intervals import intervals_of
from Utils.evaluation.metrics import Evaluation, compare_paper
from Utils.evaluation.upstream import compare_upstream
from Utils.records import PROTOCOLS


def compare(
    predictions: pd.DataFrame,
    ground_truth: pd.DataFrame,
    classes: Sequence[str],
    *,
    one_per_video: bool = False,
    videos: Iterable[Sequence] | None = None,
    protocol: str = "paper",
    k_prime: int | None = None,
    recognition_subjects: Iterable[str] | None = None,
    ap_order: Callable[[int], np.ndarray] | None = None,
) -> Evaluation:
    """Compare a table of predictions with a table of annotations.

    Parameters
    ----------
    predictions, ground_truth : DataFrame
        See tables.py. If a prediction has no apex, its middle counts as the apex.
    classes : sequence of str
        The evaluated emotions. Annotations of other emotions are spotted but not analysed. Predictions of other
        emotions are wrong.
    one_per_video : bool
        True if every video of the dataset has one expression and one prediction. Then "recognition" is computed too.
    videos : iterable of (subject, video) or (subject, video, n_features), optional
        The videos that took part, also those without a row in the tables. By default these are the videos that either
        table names, in natural order.
    protocol : {"paper", "upstream"}
        See metrics.py and upstream.py.
    k_prime : int, optional
        Half the mean length of an expression, frames. Only the upstream protocol needs it.
    recognition_subjects : iterable of str, optional
        Only for the upstream protocol: the subjects whose fold had recognition. By default all. Subjects that have
        predictions of which none has an emotion are always left out.
    ap_order : callable, optional
        Only for the upstream protocol: n -> the order in which n predictions are visited for AP, (n,) int. By default
        it is that of the table.

    Raises
    ------
    ValueError
        The protocol is unknown, the upstream protocol has no `k_prime`, or a table breaks a rule of tables.py.
    InputError
        There are more pairs of predictions and annotations than can be compared.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol {protocol!r} is not one of {', '.join(PROTOCOLS)}")
    common = dict(one_per_video=one_per_video, videos=videos)
    if protocol == "paper":
        evaluation = compare_paper(predictions, ground_truth, classes, **common)
    elif k_prime is None:
        raise ValueError("the upstream protocol needs k_prime")
    else:
        evaluation = compare_upstream(
            predictions, ground_truth, classes, k_prime=k_prime, recognition_subjects=recognition_subjects,
            ap_order=ap_order, **common,
        )  # fmt: skip
    intervals = intervals_of(evaluation.metrics, evaluation.sums)
    return replace(evaluation, metrics=evaluation.metrics | {"intervals": intervals})


def evaluate(predictions: pd.DataFrame, ground_truth: pd.DataFrame, classes: Sequence[str], **options) -> dict:
    """All metrics of a table of predictions. Parameters and errors are those of `compare`.

    Returns
    -------
    dict
        "protocol", "spotting", "analysis", "recognition" (None unless `one_per_video`), "strs", "per_subject",
        "per_video", "notes" and "intervals" (95 %, see `intervals.intervals_of`). All values are plain Python values,
        so it can be written as JSON. A metric that cannot be computed is None, and "notes" has the reason.

        The upstream protocol adds "ap_greedy" to "spotting" (AP at IoU 0.5 with greedy matching), and "pairs", which
        are the class indices [annotated, predicted] of each analysed pair. None there: not an evaluated class.
    """
    return compare(predictions, ground_truth, classes, **options).metrics
