"""Step 5: features and expressions -> pseudo-labels, class labels and leave-one-subject-out folds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from Utils.errors import InputError
from Utils.records import ALL, Expression, Fold, Video


def average_half_length(expressions: Iterable[Expression]) -> int:
    """k' = int((N + 1) / 2), N the mean of offset - onset over the dataset's expressions (paper section 3.3).

    All subjects count, the held-out one too: it is the paper's definition.
    """
    lengths = [e.offset - e.onset for e in expressions]
    if not lengths:
        raise InputError("k' cannot be computed: no expression is annotated")
    return max(1, int((np.mean(lengths) + 1) / 2))


def pseudo_labels(n_features: int, expressions: Iterable[Expression], k_prime: int) -> np.ndarray:
    """1 where the window [i, i + k' - 1] of feature i meets an annotated [onset, offset], else 0 (paper section 3.1).

    Returns
    -------
    ndarray, (n_features,), float32
    """
    labels = np.zeros(n_features, np.float32)
    for e in expressions:
        labels[max(0, e.onset - k_prime + 1) : e.offset + 1] = 1
    return labels


@dataclass(frozen=True)
class RecognitionSample:
    """One expression of an evaluated class: `videos[video].expressions[expression]`."""

    video: int
    expression: int
    subject: str
    class_index: int


def recognition_samples(videos: Sequence[Video], classes: Sequence[str]) -> list[RecognitionSample]:
    """The expressions of evaluated classes, in order of videos and onsets; class index = position in `classes`."""
    return [
        RecognitionSample(i, j, video.subject, classes.index(e.emotion))
        for i, video in enumerate(videos)
        for j, e in enumerate(video.expressions)
        if e.emotion in classes
    ]


def loso_folds(
    videos: Sequence[Video],
    samples: Sequence[RecognitionSample],
    subjects: Sequence[str],
    recognition_entries: Sequence[str | None] | None = None,
) -> list[Fold]:
    """One fold per subject: trained on everybody else, tested on that subject, for both tasks.

    A subject without a sample of an evaluated class has a fold like all others.

    Parameters
    ----------
    videos : sequence of Video
        Those with features.
    samples : sequence of RecognitionSample
        Of these videos.
    subjects : sequence of str
        All annotated subjects in natural order: they give the folds their numbers, so that a subject whose videos had
        to be left out does not change the others' weights files.
    recognition_entries : sequence of (str or None), optional
        Upstream protocol only: for each of `subjects` whom its recognition training holds out; None: no recognition.

    Raises
    ------
    InputError
        Fewer than two subjects.
    """
    tested = {v.subject for v in videos}
    if len(tested) < 2:
        raise InputError(f"leave-one-subject-out needs two subjects, there is only {', '.join(tested) or 'none'}")
    of_video = np.array([v.subject for v in videos])
    of_sample = np.array([s.subject for s in samples], dtype=of_video.dtype)
    entries = subjects if recognition_entries is None else recognition_entries
    return [
        Fold(
            number=number,
            held_out=subject,
            spot_train=np.flatnonzero(of_video != subject),
            recog_train=np.flatnonzero((of_sample != entry) & (entry is not None)),
            test=np.flatnonzero(of_video == subject),
        )
        for number, (subject, entry) in enumerate(zip(subjects, entries, strict=True), start=1)
        if subject in tested
    ]


def fold_of_all(videos: Sequence[Video], samples: Sequence[RecognitionSample]) -> Fold:
    """The fold that trains on every subject and tests nobody: networks for videos of other people."""
    return Fold(0, ALL, np.arange(len(videos)), np.arange(len(samples)), np.array([], np.int64))
