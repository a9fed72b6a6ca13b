"""Step 5: features and expressions -> pseudo-labels, class labels, leave-one-subject-out folds and training sets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from feature_extraction import FEATURE_SIZE, VideoFeatures
from training_utils import thin
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
    from sklearn.model_selection import LeaveOneGroupOut  # takes half a second to import

    of_video = np.array([v.subject for v in videos])
    splits = {of_video[test[0]]: (train, test) for train, test in LeaveOneGroupOut().split(of_video, groups=of_video)}
    of_sample = np.array([s.subject for s in samples], dtype=of_video.dtype)
    entries = subjects if recognition_entries is None else recognition_entries
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


def fold_of_all(videos: Sequence[Video], samples: Sequence[RecognitionSample]) -> Fold:
    """The fold that trains on every subject and tests nobody: networks for videos of other people."""
    return Fold(0, ALL, np.arange(len(videos)), np.arange(len(samples)), np.array([], np.int64))


def upstream_recognition_entries(subjects: Sequence[str], subjects_with_samples: Iterable[str]) -> list[str | None]:
    """Which subject the recognition fold of each subject holds out.

    Split r holds out the r-th subject that has a sample of an evaluated class. The published code lists the splits and
    puts an empty entry before split r where *subject* r has no sample; subject s then uses entry s. With two or more
    subjects without samples the entries are shifted, and may not suffice: the published code stops there with an index
    error, here the subjects without an entry have no recognition.

    Parameters
    ----------
    subjects : sequence of str
        All subjects, in natural order of their folders.
    subjects_with_samples : iterable of str
        Those with at least one sample of an evaluated class.

    Returns
    -------
    list of str or None
        For each subject the one that is held out; None for an empty or missing entry: no recognition.
    """
    with_samples = set(subjects_with_samples)
    splits = [subject for subject in subjects if subject in with_samples]
    entries: list[str | None] = []
    for r, held_out in enumerate(splits):
        if subjects[r] not in with_samples:
            entries.append(None)
        entries.append(held_out)
    return (entries + [None] * len(subjects))[: len(subjects)]


# Training sets


@dataclass(frozen=True)
class ThinnedFrames:
    """The frames of a fold's training videos that its spotting network is trained on.

    Attributes
    ----------
    videos : list of VideoFeatures
    frames : list of ndarray of int64
        Of each video, the features that are kept, ascending.
    labels : ndarray, (n,), float32
        Pseudo-labels of all that is kept.
    """

    videos: list[VideoFeatures]
    frames: list[np.ndarray]
    labels: np.ndarray

    def inputs(self) -> Iterator[np.ndarray]:
        """u, then v, then eps: each (n, 42, 42, 1) float32, made when it is asked for."""
        for channel in range(3):
            array = np.empty((len(self.labels), FEATURE_SIZE, FEATURE_SIZE, 1), np.float32)
            first = 0
            for video, kept in zip(self.videos, self.frames, strict=True):
                features = np.load(video.spotting, mmap_mode="r", allow_pickle=False)
                array[first : first + len(kept), ..., 0] = features[kept, ..., channel]
                first += len(kept)
            yield array


def spotting_training_set(
    fold: Fold, features: Sequence[VideoFeatures], k_prime: int, ratio: int, seed: int
) -> ThinnedFrames:
    """The thinned frames of a fold's training videos.

    Parameters
    ----------
    fold : Fold
    features : sequence of VideoFeatures
        Of all videos.
    k_prime : int
    ratio : int
        Non-expression frames per expression frame.
    seed : int
        Of the thinning, with the fold's number.

    Raises
    ------
    InputError
        No frame to train on shows an expression.
    """
    videos = [features[i] for i in fold.spot_train]
    of_videos = [pseudo_labels(v.n_features, v.video.expressions, k_prime) for v in videos]
    if not any(labels.any() for labels in of_videos):
        raise InputError(
            f"fold {fold.number} ({fold.held_out} held out): no other subject has an annotated expression to "
            "train on; annotate more subjects, or leave this one out"
        )
    labels = np.concatenate(of_videos)
    kept = thin(labels, ratio, np.random.default_rng([seed, fold.number]))
    starts = np.cumsum([0, *map(len, of_videos)])
    places = np.searchsorted(kept, starts)
    frames = [kept[a:b] - start for a, b, start in zip(places, places[1:], starts, strict=False)]
    return ThinnedFrames(videos, frames, labels[kept])


def recognition_training_set(
    samples: Sequence[RecognitionSample], features: Sequence[VideoFeatures]
) -> tuple[np.ndarray, np.ndarray]:
    """(onset, apex) features (m, 42, 42, 3) float32 of samples and their class indices (m,) int64.

    Samples with a frame beyond their video's last one are left out.
    """
    images = [np.load(features[s.video].recognition, mmap_mode="r", allow_pickle=False)[s.expression] for s in samples]
    usable = [i for i, image in enumerate(images) if np.isfinite(image).all()]
    return (
        np.array([images[i] for i in usable], np.float32).reshape(-1, FEATURE_SIZE, FEATURE_SIZE, 3),
        np.array([samples[i].class_index for i in usable], np.int64),
    )


def spotting_validation_set(
    fold: Fold, features: Sequence[VideoFeatures], k_prime: int
) -> tuple[list[np.ndarray], np.ndarray] | None:
    """What the published procedure validates on: all frames of the held-out subject, not thinned.

    Returns
    -------
    [u, v, eps], each (n, 42, 42, 1) float32, and pseudo-labels (n,) float32; None where nobody is held out.
    """
    videos = [features[i] for i in fold.test]
    if not videos:
        return None
    images = np.concatenate([np.load(v.spotting, mmap_mode="r", allow_pickle=False) for v in videos])
    labels = [pseudo_labels(v.n_features, v.video.expressions, k_prime) for v in videos]
    return as_inputs(images), np.concatenate(labels)


def as_inputs(images: np.ndarray) -> list[np.ndarray]:
    """(n, 42, 42, 3) features -> the networks' three inputs, each (n, 42, 42, 1)."""
    return [np.ascontiguousarray(images[..., channel : channel + 1]) for channel in range(3)]
