"""Step 5: features and expressions -> pseudo-labels, class labels, leave-one-subject-out folds and training sets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from feature_extraction import FEATURE_SIZE, N_CHANNELS, VideoFeatures
from training_utils import thin
from Utils.datasets.lengths import average_half_length
from Utils.errors import InputError
from Utils.records import ALL, Expression, Fold, Length, Video, frames_of

Labels = Callable[[int, Iterable[Expression], int], np.ndarray]  # a function like `pseudo_labels`


def half_length(videos: Sequence[Video], from_median: bool = False) -> Length:
    """k' of videos: `average_half_length` of all their expressions.

    If the videos have different frame rates, N is the average in seconds, and k' is given for each rate.
    """
    rates = {v.fps for v in videos}
    if len(rates) <= 1:
        return average_half_length((e for v in videos for e in v.expressions), from_median)
    seconds = [(e.offset - e.onset) / v.fps for v in videos for e in v.expressions]
    if not seconds:
        raise InputError("k' cannot be computed: no expression is annotated")
    average = np.median(seconds) if from_median else np.mean(seconds)
    return {fps: max(1, int((average * fps + 1) / 2)) for fps in sorted(rates)}


def pseudo_labels(n_features: int, expressions: Iterable[Expression], k_prime: int) -> np.ndarray:
    """The labels on which the spotting network is trained (paper section 3.1).

    Returns
    -------
    ndarray, (n_features,), float32
        1 where the window [i, i + k' - 1] of feature i meets an annotated [onset, offset], else 0.
    """
    labels = np.zeros(n_features, np.float32)
    for e in expressions:
        labels[max(0, e.onset - k_prime + 1) : e.offset + 1] = 1
    return labels


@dataclass(frozen=True)
class RecognitionSample:
    """An expression of an evaluated class: `videos[video].expressions[expression]`."""

    video: int
    expression: int
    subject: str
    class_index: int


def recognition_samples(videos: Sequence[Video], classes: Sequence[str]) -> list[RecognitionSample]:
    """The expressions of evaluated classes, in the order of videos and of their expressions.

    `class_index` of a sample is the position of its emotion in `classes`.
    """
    return [
        RecognitionSample(i, j, video.subject, classes.index(e.emotion))
        for i, video in enumerate(videos)
        for j, e in enumerate(video.expressions)
        if e.emotion in classes
    ]


def require_two_subjects(videos: Iterable[Video]) -> set[str]:
    """The subjects of the videos. Raises InputError if there are fewer than two: none could be left out."""
    subjects = {video.subject for video in videos}
    if len(subjects) < 2:
        raise InputError(f"leave-one-subject-out needs two subjects, there is only {', '.join(subjects) or 'none'}")
    return subjects


def loso_folds(
    videos: Sequence[Video],
    samples: Sequence[RecognitionSample],
    subjects: Sequence[str],
    recognition_entries: Sequence[str | None] | None = None,
) -> list[Fold]:
    """One fold for each subject, for both tasks: tested on that subject, and trained on all others.

    A subject without a sample of an evaluated class has a fold like all others.

    Parameters
    ----------
    videos : sequence of Video
        The videos with features.
    samples : sequence of RecognitionSample
        Samples of these videos.
    subjects : sequence of str
        All subjects. A fold's number is the position of its subject here, from 1. Subjects whose videos had to be left
        out are listed too, so that the numbers of the other folds, and with them their weight files, do not change.
    recognition_entries : sequence of (str or None), optional
        Upstream protocol only: for each of `subjects`, the subject that its recognition training holds out. None: no
        recognition.

    Returns
    -------
    list of Fold
        In the order of `subjects`, without those that have no video.

    Raises
    ------
    InputError
        The videos show fewer than two subjects.
    """
    tested = require_two_subjects(videos)
    from sklearn.model_selection import LeaveOneGroupOut  # here, because the import takes half a second

    of_video = np.array([v.subject for v in videos])
    splits = {of_video[test[0]]: (train, test) for train, test in LeaveOneGroupOut().split(of_video, groups=of_video)}
    of_sample = np.array([s.subject for s in samples], dtype=of_video.dtype)
    entries = subjects if recognition_entries is None else recognition_entries  # the paper: the fold's own subject
    return [
        Fold(
            number=number,
            held_out=subject,
            spot_train=splits[subject][0],
            recog_train=np.flatnonzero((of_sample != entry) & (entry is not None)),
            test=splits[subject][1],
        )
        for number, (subject, entry) in enumerate(zip(subjects, entries, strict=True), start=1)
        if subject in tested
    ]


def grouped_folds(videos: Sequence[Video], samples: Sequence[RecognitionSample], n: int) -> list[Fold]:
    """`n` folds, each of which holds out several subjects (--folds), so that the groups have about as many videos.

    Raises
    ------
    InputError
        The videos show fewer than `n` subjects.
    """
    from sklearn.model_selection import GroupKFold

    of_video = np.array([v.subject for v in videos])
    if (there := len(set(of_video))) < n:
        raise InputError(f"--folds {n}: there are only {there} subjects; give at most {there}, or leave the flag out")
    of_sample = np.array([s.subject for s in samples], dtype=of_video.dtype)
    folds = []
    for number, (train, test) in enumerate(GroupKFold(n).split(of_video, groups=of_video), start=1):
        group = tuple(dict.fromkeys(map(str, of_video[test])))
        kept = np.flatnonzero(~np.isin(of_sample, group))
        folds.append(Fold(number, f"group-{number}-of-{n}", train, kept, test, group))
    return folds


def fold_of_all(videos: Sequence[Video], samples: Sequence[RecognitionSample]) -> Fold:
    """The fold that is trained on all subjects and tests none. Its networks are for videos of other people."""
    return Fold(0, ALL, np.arange(len(videos)), np.arange(len(samples)), np.array([], np.int64))


def upstream_recognition_entries(subjects: Sequence[str], subjects_with_samples: Iterable[str]) -> list[str | None]:
    """The subject that the recognition fold of each subject holds out in the authors' code.

    Split r holds out the r-th subject that has a sample of an evaluated class. The authors' code makes a list of the
    splits, and puts an empty entry before split r if *subject* r has no sample. Subject s then uses entry s. If two or
    more subjects have no sample, the entries are shifted, and there may be too few. The authors' code then stops with
    an index error. Here, the subjects without an entry have no recognition. Source: docs/method.md, section 7.

    Parameters
    ----------
    subjects : sequence of str
        All subjects, in natural order of their folders.
    subjects_with_samples : iterable of str
        The subjects with at least one sample of an evaluated class.

    Returns
    -------
    list of (str or None)
        For each subject, the one that is held out. None if the entry is empty or missing: no recognition.
    """
    with_samples = set(subjects_with_samples)
    splits = [subject for subject in subjects if subject in with_samples]
    entries: list[str | None] = []
    for r, held_out in enumerate(splits):
        if subjects[r] not in with_samples:
            entries.append(None)
        entries.append(held_out)
    return (entries + [None] * len(subjects))[: len(subjects)]


def recognition_entries(
    subjects: Sequence[str], videos: Sequence[Video], samples: Sequence[RecognitionSample]
) -> list[str | None]:
    """For each of `subjects`, the one that its fold's recognition training holds out under the upstream protocol.

    None means that there is no recognition. Subjects without an annotation have None.
    """
    annotated = [s for s in subjects if any(v.subject == s and v.expressions for v in videos)]
    entries = upstream_recognition_entries(annotated, {s.subject for s in samples})
    by_subject = dict(zip(annotated, entries, strict=True))
    return [by_subject.get(subject) for subject in subjects]


# Training sets


@dataclass(frozen=True)
class ThinnedFrames:
    """The features on which the spotting network of a fold is trained.

    Attributes
    ----------
    videos : list of VideoFeatures
        The training videos.
    frames : list of ndarray of int64
        For each video, the indices of the features that are kept, ascending.
    labels : ndarray, (n,), float32
        The pseudo-labels, 0 or 1, of all features that are kept.
    """

    videos: list[VideoFeatures]
    frames: list[np.ndarray]
    labels: np.ndarray

    def images(self, more: int = 0) -> np.ndarray:
        """The features that are kept, (n + more, 42, 42, 3) float32. The last `more` are not filled."""
        n = len(self.labels) + more
        array = np.empty((n, FEATURE_SIZE, FEATURE_SIZE, N_CHANNELS), np.float32)
        first = 0
        for video, kept in zip(self.videos, self.frames, strict=True):
            features = np.load(video.spotting, mmap_mode="r", allow_pickle=False)
            np.take(features, kept, axis=0, out=array[first : first + len(kept)], mode="clip")  # no second copy
            first += len(kept)
        return array


def spotting_training_set(
    fold: Fold, features: Sequence[VideoFeatures], k_prime: Length, ratio: int, seed: int
) -> ThinnedFrames:
    """The features of a fold's training videos, thinned (see `training_utils.thin`).

    Parameters
    ----------
    fold : Fold
    features : sequence of VideoFeatures
        Those of all videos.
    k_prime : Length
        Half the length of an expression.
    ratio : int
        How many non-expression frames are kept for each expression frame.
    seed : int
        Seed of the thinning, together with the fold's number.

    Raises
    ------
    InputError
        No frame of the training videos shows an expression.
    """
    rng = np.random.default_rng([seed, fold.number])
    return thinned_frames(fold, features, k_prime, pseudo_labels, lambda labels: thin(labels, ratio, rng))


def thinned_frames(
    fold: Fold, features: Sequence[VideoFeatures], k_prime: Length, label: Labels, choose: Callable
) -> ThinnedFrames:
    """The features of a fold's training videos that `choose` keeps.

    Parameters
    ----------
    fold, features, k_prime
        See `spotting_training_set`, which also says what is raised.
    label : callable
        The method's pseudo-labels: a function like `pseudo_labels`.
    choose : callable
        All labels, (n,) float32 -> the indices of those that are kept, ascending.
    """
    videos = [features[i] for i in fold.spot_train]
    of_videos = [label(v.n_features, v.video.expressions, frames_of(k_prime, v.video.fps)) for v in videos]
    if not any(labels.any() for labels in of_videos):
        raise InputError(
            f"fold {fold.number} ({fold.held_out} held out): no other subject has an annotated expression to "
            "train on; annotate more subjects, or leave this one out"
        )
    labels = np.concatenate(of_videos)
    kept = choose(labels)
    starts = np.cumsum([0, *map(len, of_videos)])
    places = np.searchsorted(kept, starts)
    frames = [kept[a:b] - start for a, b, start in zip(places, places[1:], starts, strict=False)]
    return ThinnedFrames(videos, frames, labels[kept])


def recognition_training_set(
    samples: Sequence[RecognitionSample], features: Sequence[VideoFeatures]
) -> tuple[np.ndarray, np.ndarray]:
    """The (onset, apex) features of samples, (m, 42, 42, 3) float32, and their class indices, (m,) int64.

    Samples with a frame beyond the last one of their video are left out.
    """
    images = [np.load(features[s.video].recognition, mmap_mode="r", allow_pickle=False)[s.expression] for s in samples]
    usable = [i for i, image in enumerate(images) if np.isfinite(image).all()]
    return (
        np.array([images[i] for i in usable], np.float32).reshape(-1, FEATURE_SIZE, FEATURE_SIZE, N_CHANNELS),
        np.array([samples[i].class_index for i in usable], np.int64),
    )


def spotting_validation_set(
    fold: Fold,
    features: Sequence[VideoFeatures],
    k_prime: Length,
    label: Labels | None = None,
) -> tuple[np.ndarray, np.ndarray] | None:
    """The data on which the authors' procedure validates: all features of the held-out subject, not thinned.

    `label` is the method's function of pseudo-labels, by default `pseudo_labels`.

    Returns
    -------
    images : ndarray, (n, 42, 42, 3), float32
    labels : ndarray, (n,), float32
        The pseudo-labels, 0 or 1.
    None
        Instead of both, if no subject is held out.
    """
    videos = [features[i] for i in fold.test]
    if not videos:
        return None
    images = np.concatenate([np.load(v.spotting, mmap_mode="r", allow_pickle=False) for v in videos])
    label = label or pseudo_labels
    labels = [label(v.n_features, v.video.expressions, frames_of(k_prime, v.video.fps)) for v in videos]
    return images, np.concatenate(labels)
