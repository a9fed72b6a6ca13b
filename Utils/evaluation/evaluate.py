"""Evaluate predictions against annotations: two tables in, figures and matches out, by either protocol.

metrics = evaluate(predictions, ground_truth, classes)          # the figures, as metrics.json has them
evaluation = compare(predictions, ground_truth, classes)        # with the matches, for figures and report

Importing this module loads neither TensorFlow nor OpenCV.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

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
) -> Evaluation:
    """Compare a predictions table with a ground-truth table.

    Parameters
    ----------
    predictions, ground_truth : DataFrame
        See tables.py. A prediction without an apex has it at its middle.
    classes : sequence of str
        The evaluated emotions. An annotation of any other emotion is spotted and not analysed; a prediction of any
        other emotion is a wrong one.
    one_per_video : bool
        The dataset's videos hold one expression, and one prediction, each: "recognition" is computed too.
    videos : iterable of (subject, video) or (subject, video, n_features), optional
        The videos that took part, with or without rows. By default those that a table names, in natural order.
    protocol : {"paper", "upstream"}
        See metrics.py and upstream.py.
    k_prime : int, optional
        Half the mean length of an expression, in frames; the upstream protocol needs it.
    recognition_subjects : iterable of str, optional
        Upstream protocol only: the subjects whose fold had recognition. By default those with an emotion on any
        prediction.

    Raises
    ------
    ValueError
        An unknown protocol, no `k_prime` for the upstream protocol, or a table that breaks a rule of tables.py.
    InputError
        More intervals in one video than can be compared with one another.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol {protocol!r} is not one of {', '.join(PROTOCOLS)}")
    common = dict(one_per_video=one_per_video, videos=videos)
    if protocol == "paper":
        return compare_paper(predictions, ground_truth, classes, **common)
    if k_prime is None:
        raise ValueError("the upstream protocol needs k_prime")
    return compare_upstream(
        predictions, ground_truth, classes, k_prime=k_prime, recognition_subjects=recognition_subjects, **common
    )


def evaluate(predictions: pd.DataFrame, ground_truth: pd.DataFrame, classes: Sequence[str], **options) -> dict:
    """All metrics of a predictions table; arguments and errors are those of `compare`.

    Returns
    -------
    dict
        "protocol", "spotting", "analysis", "recognition" (None unless `one_per_video`), "strs", "per_subject",
        "per_video", "notes"; plain Python values, so that it can be written as JSON. What cannot be computed is None,
        and a note says why. The upstream protocol adds "ap_greedy" to "spotting" (AP at IoU 0.5, greedy matching), and
        "pairs": [annotated, predicted] class index of each analysed pair (None: no evaluated class).
    """
    return compare(predictions, ground_truth, classes, **options).metrics
