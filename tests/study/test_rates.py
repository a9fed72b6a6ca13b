"""Videos of different frame rates: k and k' of each rate by hand, and each step at the rate of its video."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import feature_extraction
from feature_extraction import VideoFeatures, extract_features
from prepare_training import (
    grouped_folds,
    half_length,
    loso_folds,
    recognition_samples,
    spotting_training_set,
    spotting_validation_set,
)
from tests.support.studies import add_frames, add_video, study_of
from train_evaluate import FoldResult, collect_scores
from training_utils import VideoScores, annotated_expressions, predict_expressions, smooth_scores
from Utils.datasets.lengths import pair_distances
from Utils.datasets.table import DATASETS
from Utils.errors import InputError
from Utils.records import Expression, Video

N = 40  # features of a video


def video(subject: str, fps: float, *expressions: tuple[int, int], emotion: str = "joy") -> Video:
    found = tuple(Expression(onset, (onset + offset) // 2, offset, emotion) for onset, offset in expressions)
    return Video(subject, "talk", (Path("0.jpg"),), found, fps)


def features_of(videos: list[Video], folder: Path) -> list[VideoFeatures]:
    """Features that are all zero."""
    path = folder / "spotting.npy"
    np.save(path, np.zeros((N, 42, 42, 3), np.float32))
    return [VideoFeatures(v, path, None, "") for v in videos]


# k and k'


@pytest.mark.parametrize(
    ("fps", "k"),
    [(1, 1), (4, 1), (5, 1), (14, 1), (15, 2), (25, 3), (29.97, 3), (30, 3), (100, 10), (200, 20)],
)
def test_k_is_a_tenth_of_a_second(fps, k):
    assert pair_distances([fps]) == k
    assert pair_distances([fps, 1000]) == {fps: k, 1000: 100}


def test_k_prime_of_one_rate_is_in_frames():
    videos = [video("a", 30, (0, 12)), video("b", 30, (0, 8), (5, 8))]
    assert half_length(videos) == 4  # lengths 12, 8, 3: mean 7.67; int(8.67 / 2)
    assert half_length(videos, from_median=True) == 4  # median 8; int(9 / 2)


def test_k_prime_of_several_rates_is_the_mean_in_seconds():
    videos = [video("a", 30, (10, 22)), video("b", 15, (3, 12)), video("c", 200)]
    # lengths: 12 / 30 = 0.4 s and 9 / 15 = 0.6 s; mean 0.5 s: 15, 7.5 and 100 frames
    assert half_length(videos) == {15: 4, 30: 8, 200: 50}
    # the median of 0.4, 0.6 and 1.2 s is 0.6 s: 18, 9 and 120 frames
    videos[2] = video("c", 200, (0, 240))
    assert half_length(videos, from_median=True) == {15: 5, 30: 9, 200: 60}
    assert half_length([video("a", 2, (1, 1)), video("b", 30, (3, 3))]) == {2: 1, 30: 1}  # at least one frame
    with pytest.raises(InputError, match="no expression is annotated"):
        half_length([video("a", 2), video("b", 30)])


def test_the_dataset_has_k_of_each_rate(tmp_path):
    add_frames(tmp_path / "slow")
    add_video(tmp_path / "fast.mp4", fps=25)
    text = "subject,video,onset_s,offset_s,fps\nanna,slow,0.4,0.6,15\nben,fast,0.2,0.4,\n"
    dataset = study_of(tmp_path, text, frame_base=None, fps=None)
    assert (dataset.k, dataset.fps) == ({15: 2, 25: 3}, 25)
    assert study_of(tmp_path, text.split("ben")[0], frame_base=None, fps=None).k == 2


# Each step uses the rate of its video


def test_features_are_of_pairs_at_the_distance_of_the_rate(tmp_path, monkeypatch):
    jobs = []
    monkeypatch.setattr(feature_extraction, "run_units", lambda unit, found, *_: jobs.extend(found) or [])
    videos = [replace(video(name, fps), frames=(Path("0.jpg"),) * 3) for name, fps in (("a", 15), ("b", 30), ("c", 15))]
    _, remarks = extract_features(videos, {15: 2, 30: 3}, "kernel", tmp_path, 1)
    assert [(job.video.subject, job.k, job.fps) for job in jobs] == [("a", 2, 15), ("c", 2, 15)]
    assert remarks == ["b/talk: 3 frames are too few for k = 3, video left out"]


def test_labels_begin_k_prime_of_the_rate_before_the_onset(tmp_path):
    videos = [video("a", 15, (20, 25)), video("b", 30, (20, 25)), video("c", 30, (20, 25))]
    features = features_of(videos, tmp_path)
    k_prime = {15: 3, 30: 6}
    fold = loso_folds(videos, [], ["a", "b", "c"])[2]
    chosen = spotting_training_set(fold, features, k_prime, 1000, seed=1)  # nothing is thinned
    labels = chosen.labels.reshape(2, N)
    assert np.flatnonzero(labels[0]).tolist() == list(range(18, 26))  # 20 - 3 + 1
    assert np.flatnonzero(labels[1]).tolist() == list(range(15, 26))  # 20 - 6 + 1
    slow = loso_folds(videos, [], ["a", "b", "c"])[0]
    _, of_held_out = spotting_validation_set(slow, features, k_prime)
    assert np.flatnonzero(of_held_out).tolist() == list(range(18, 26))


def test_scores_are_smoothed_over_the_width_of_the_rate(tmp_path):
    videos = [video("a", 15), video("b", 30)]
    rng = np.random.default_rng(1)
    raw = rng.random(N).astype(np.float32)
    results = []
    for fold in loso_folds(videos, [], ["a", "b"]):
        folder = tmp_path / fold.held_out
        folder.mkdir()
        np.save(folder / "scores-0.npy", raw)
        results.append(FoldResult(fold, folder, False, {}))
    slow, fast = collect_scores(results, features_of(videos, tmp_path), {15: 3, 30: 6})
    assert slow.smoothed.tolist() == smooth_scores(raw, 3).tolist()
    assert fast.smoothed.tolist() == smooth_scores(raw, 6).tolist()
    assert slow.smoothed.tolist() != fast.smoothed.tolist()


def test_intervals_and_times_are_those_of_the_rate():
    dataset = replace(DATASETS["DEMO"], fps=30, classes=("joy",))
    score = np.zeros(N)
    score[20] = 1.0
    videos = [video("a", 15, (10, 20)), video("b", 30, (10, 20))]
    scores = [VideoScores(v, score, score, None) for v in videos]
    table = predict_expressions(scores, dataset, {15: 3, 30: 6}, 0.55, "paper")
    assert table[["onset", "apex", "offset"]].values.tolist() == [[17, 20, 23], [14, 20, 26]]
    assert table["onset_s"].tolist() == [1.1333, 0.4667] and table["offset_s"].tolist() == [1.5333, 0.8667]
    truth = annotated_expressions(videos, dataset)
    assert truth["onset_s"].tolist() == [0.6667, 0.3333]


# Folds of several subjects


@given(
    counts=st.lists(st.integers(1, 4), min_size=2, max_size=12),
    n=st.integers(2, 12),
    emotions=st.lists(st.sampled_from(["joy", "others"]), min_size=48, max_size=48),
)
@settings(max_examples=60, deadline=None)
def test_grouped_folds_never_train_on_whom_they_test(counts, n, emotions):
    emotion = iter(emotions)
    videos = [
        replace(video(f"s{i}", 30, (1, 9), emotion=next(emotion)), name=f"v{j}")
        for i, count in enumerate(counts)
        for j in range(count)
    ]
    samples = recognition_samples(videos, ("joy",))
    if n > len(counts):
        with pytest.raises(InputError, match=f"--folds {n}: there are only {len(counts)} subjects"):
            grouped_folds(videos, samples, n)
        return
    folds = grouped_folds(videos, samples, n)
    assert len(folds) == n and [fold.number for fold in folds] == list(range(1, n + 1))
    tested = [videos[i].subject for fold in folds for i in fold.test]
    assert sorted(tested) == sorted(v.subject for v in videos)  # every video once
    for fold in folds:
        subjects = {videos[i].subject for i in fold.test}
        assert subjects == set(fold.subjects) and fold.held_out == f"group-{fold.number}-of-{n}"
        assert not subjects & {videos[i].subject for i in fold.spot_train}
        assert not subjects & {samples[i].subject for i in fold.recog_train}
        assert len(fold.spot_train) + len(fold.test) == len(videos)
        kept = [i for i, sample in enumerate(samples) if sample.subject not in subjects]
        assert fold.recog_train.tolist() == kept
