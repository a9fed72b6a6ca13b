"""Pseudo-labels, k', class labels and folds: by hand, as properties, and as the authors' code made them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_extraction import VideoFeatures
from prepare_training import (
    average_half_length,
    loso_folds,
    pseudo_labels,
    recognition_samples,
    spotting_training_set,
)
from tests.support.paths import RECORDED
from training_utils import thin
from Utils.errors import InputError
from Utils.records import OTHERS, Expression, Fold, Video

CLASSES = ("negative", "positive", "surprise")
FOLDS = json.loads((RECORDED / "folds.json").read_text())


def drawn(timeline: str) -> list[Expression]:
    """Expressions from a drawing: each run of `#`."""
    edges = np.flatnonzero(np.diff([0, *(c == "#" for c in timeline), 0]))
    return [Expression(int(a), None, int(b) - 1, "negative") for a, b in edges.reshape(-1, 2)]


def labels(timeline: str) -> list[int]:
    return [int(c == "1") for c in timeline]


# Pseudo-labels


@pytest.mark.parametrize(
    ("k_prime", "frames", "expected"),
    [
        # the window [i, i + k' - 1] meets [onset, offset]
        (1, "....###....", "....111...."),
        (3, "....###....", "..11111...."),
        (4, "..###...##.", "11111111110"),
        (3, "#....", "10000"),  # nothing before the first frame
        (3, "....#", "00111"),
        (3, "...........", "00000000000"),
    ],
)
def test_pseudo_labels_by_hand(k_prime, frames, expected):
    assert pseudo_labels(len(frames), drawn(frames), k_prime).tolist() == labels(expected)


def test_pseudo_labels_end_with_the_features():
    #         frames ..........   n = 10, k = 3: 7 features
    found = pseudo_labels(7, [Expression(8, 9, 9, "negative")], 3)
    assert found.tolist() == labels("0000001")
    assert pseudo_labels(7, [Expression(50, 51, 60, "negative")], 3).tolist() == [0] * 7
    assert found.dtype == np.float32


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 15)), max_size=4), st.integers(1, 12), st.integers(1, 45))
def test_pseudo_labels_are_the_definition(intervals, k_prime, n):
    expressions = [Expression(onset, None, onset + length, "negative") for onset, length in intervals]
    found = pseudo_labels(n, expressions, k_prime)
    for i in range(n):
        window = set(range(i, i + k_prime))
        assert found[i] == any(window & set(range(e.onset, e.offset + 1)) for e in expressions)


# k'


def of_lengths(*lengths: int) -> list[Expression]:
    return [Expression(5, None, 5 + length, "negative") for length in lengths]


@pytest.mark.parametrize(
    ("lengths", "k_prime"),
    [((9,), 5), ((10,), 5), ((11,), 6), ((10, 11), 5), ((10, 12, 12), 6), ((0,), 1), ((1,), 1), ((2, 3), 1), ((3,), 2)],
)
def test_k_prime_by_hand(lengths, k_prime):
    """int((N + 1) / 2), N the mean of offset - onset; at least 1."""
    assert average_half_length(of_lengths(*lengths)) == k_prime


def test_k_prime_needs_an_expression():
    with pytest.raises(InputError, match="k'"):
        average_half_length([])


# Class labels


def video(subject: str, name: str, *emotions: str) -> Video:
    return Video(subject, name, (), tuple(Expression(i, None, i + 1, e) for i, e in enumerate(emotions)))


def test_class_index_is_the_position_in_the_list():
    videos = [video("a", "1", "surprise", OTHERS, "negative"), video("b", "1"), video("b", "2", "positive")]
    samples = recognition_samples(videos, CLASSES)
    assert [(s.video, s.expression, s.subject, s.class_index) for s in samples] == [
        (0, 0, "a", 2),
        (0, 2, "a", 0),
        (2, 0, "b", 1),
    ]


def test_others_is_a_class_where_the_dataset_lists_it():
    samples = recognition_samples([video("a", "1", OTHERS)], ("disgust", "happiness", OTHERS))
    assert [s.class_index for s in samples] == [2]


# Folds

some_videos = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.lists(st.sampled_from([*CLASSES, OTHERS]), max_size=3)),
    min_size=2,
    max_size=12,
).filter(lambda videos: len({subject for subject, _ in videos}) > 1)


def partition_holds(videos, samples, folds):
    """Every fold: train and test are disjoint and complete by subject, for both tasks."""
    assert sorted(i for f in folds for i in f.test) == list(range(len(videos)))
    for fold in folds:
        assert {videos[i].subject for i in fold.test} == {fold.held_out}
        assert not set(fold.spot_train) & set(fold.test)
        assert sorted([*fold.spot_train, *fold.test]) == list(range(len(videos)))
        assert fold.held_out not in {videos[i].subject for i in fold.spot_train}
        assert fold.held_out not in {samples[i].subject for i in fold.recog_train}
        left = set(range(len(samples))) - set(fold.recog_train)
        assert {samples[i].subject for i in left} <= {fold.held_out}


@given(some_videos)
def test_folds_are_disjoint_by_subject_for_both_tasks(drawn_videos):
    videos = [video(s, str(i), *emotions) for i, (s, emotions) in enumerate(sorted(drawn_videos))]
    samples = recognition_samples(videos, CLASSES)
    subjects = sorted({v.subject for v in videos})
    folds = loso_folds(videos, samples, subjects)
    assert [f.held_out for f in folds] == subjects
    assert [f.number for f in folds] == list(range(1, len(subjects) + 1))
    partition_holds(videos, samples, folds)


def test_folds_stay_with_their_subject_where_several_have_no_sample():
    """Subjects b, c and e have none: upstream's folds are shifted here, these are not."""
    emotions = {"a": "negative", "b": OTHERS, "c": OTHERS, "d": "positive", "e": OTHERS, "f": "surprise"}
    videos = [video(s, "1", e) for s, e in emotions.items()]
    samples = recognition_samples(videos, CLASSES)
    folds = loso_folds(videos, samples, list(emotions))
    partition_holds(videos, samples, folds)
    assert [f.recog_train.tolist() for f in folds] == [[1, 2], [0, 1, 2], [0, 1, 2], [0, 2], [0, 1, 2], [0, 1]]


def test_a_subject_that_is_left_out_does_not_change_the_numbers():
    videos = [video(s, "1", "negative") for s in ("a", "c", "d")]
    folds = loso_folds(videos, recognition_samples(videos, CLASSES), ["a", "b", "c", "d"])
    assert [(f.number, f.held_out) for f in folds] == [(1, "a"), (3, "c"), (4, "d")]


def test_names_of_different_lengths():
    videos = [video(s, "1", "negative") for s in ("s1", "s1000", "s10")]
    samples = recognition_samples(videos, CLASSES)
    partition_holds(videos, samples, loso_folds(videos, samples, ["s1", "s1000", "s10"]))


@pytest.mark.parametrize("subjects", [[], ["s15"]])
def test_one_subject_is_not_enough(subjects):
    videos = [video(s, str(i), "negative") for s in subjects for i in range(3)]
    with pytest.raises(InputError, match=subjects[0] if subjects else "none"):
        loso_folds(videos, recognition_samples(videos, CLASSES), subjects)


def test_upstream_entries_choose_what_recognition_holds_out():
    videos = [video(s, "1", "negative") for s in "abc"]
    samples = recognition_samples(videos, CLASSES)
    folds = loso_folds(videos, samples, list("abc"), [None, "a", "b"])
    assert [f.held_out for f in folds] == list("abc")  # whom spotting leaves out, and who is tested
    assert [f.recog_train.tolist() for f in folds] == [[], [1, 2], [0, 2]]
    assert [f.spot_train.tolist() for f in folds] == [[1, 2], [0, 2], [0, 1]]


# Training set of spotting


@pytest.fixture
def features(tmp_path) -> list[VideoFeatures]:
    """Four videos; one character is a feature, `#` one that shows an expression."""
    made = []
    for name, timeline in {"a": "..##", "b": ".....", "c": "...#....#", "d": "##"}.items():
        np.save(tmp_path / f"{name}.npy", np.zeros((len(timeline), 1), np.float32))
        video_of = Video(name, "1", (), tuple(drawn(timeline)))
        made.append(VideoFeatures(video_of, tmp_path / f"{name}.npy", tmp_path / f"{name}.npy", ""))
    return made


def test_all_frames_where_the_ratio_is_large(features):
    """Videos a, b (without an expression) and c; d is held out."""
    found = spotting_training_set(Fold(4, "d", np.arange(3), np.arange(0), np.array([3])), features, 1, 99, seed=1)
    assert found.videos == features[:3]
    assert [kept.tolist() for kept in found.frames] == [list(range(4)), list(range(5)), list(range(9))]
    assert found.labels.tolist() == labels("001100000000100001")


def test_kept_frames_are_drawn_by_seed_and_fold_and_numbered_in_their_video(features):
    """The shipped weights were trained on such a draw. Of d, a, c: 2 + 4 + 9 features, 6 of expressions."""
    fold = Fold(2, "b", np.array([3, 0, 2]), np.arange(0), np.array([1]))
    found = spotting_training_set(fold, features, 1, 1, seed=7)
    all_labels = np.array(labels("110011000100001"))
    kept = thin(all_labels, 1, np.random.default_rng([7, 2]))
    assert len(kept) == 12 and found.labels.tolist() == all_labels[kept].tolist()
    places = [(v, f) for v, n in enumerate((2, 4, 9)) for f in range(n)]
    assert [(v, f) for v, of_video in enumerate(found.frames) for f in of_video.tolist()] == [places[i] for i in kept]


# As the authors' code has it


@pytest.fixture(params=["casme_sq", "smic_vis"])
def recorded(request) -> dict:
    return FOLDS[request.param]


def recorded_videos(recorded: dict) -> list[Video]:
    return [
        Video(v["subject"], v["video"], (), tuple(Expression(*e) for e in v["expressions"])) for v in recorded["videos"]
    ]


def test_recorded_k_prime(recorded):
    videos = recorded_videos(recorded)
    assert average_half_length(e for v in videos for e in v.expressions) == recorded["k_prime"]


def test_recorded_pseudo_labels(recorded):
    for record, video in zip(recorded["videos"], recorded_videos(recorded), strict=True):
        expected = np.zeros(record["frames"] - recorded["k"])
        for first, last in record["ones"]:
            expected[first : last + 1] = 1
        assert pseudo_labels(len(expected), video.expressions, recorded["k_prime"]).tolist() == expected.tolist()


def test_recorded_folds(recorded):
    """Spotting as upstream; recognition as its splits, one for each subject with a sample."""
    videos = recorded_videos(recorded)
    samples = recognition_samples(videos, CLASSES)
    subjects = list(dict.fromkeys(v.subject for v in videos))
    folds = loso_folds(videos, samples, subjects)
    assert [[f.spot_train.tolist(), f.test.tolist()] for f in folds] == recorded["spotting_folds_of_videos"]
    with_samples = [f for f in folds if f.held_out in {s.subject for s in samples}]
    everything = set(range(len(samples)))
    assert [
        [f.recog_train.tolist(), sorted(everything - set(f.recog_train.tolist()))] for f in with_samples
    ] == recorded["recognition_folds_of_samples"]


@pytest.mark.parametrize("name", ["casme_sq", "smic_vis"])
def test_the_recorded_copy_is_the_shared_record(golden, name):
    shared, recorded = json.loads((golden / name / "pipeline.json").read_text()), FOLDS[name]
    videos = recorded_videos(recorded)
    n_features = [v["frames"] - recorded["k"] for v in recorded["videos"]]
    found = [pseudo_labels(n, v.expressions, recorded["k_prime"]) for n, v in zip(n_features, videos, strict=True)]
    assert np.concatenate(found).tolist() == shared["pseudo_y"]
    assert (recorded["k"], recorded["k_prime"]) == (shared["k"], shared["k_p"])
    subjects = list(dict.fromkeys(v.subject for v in videos))
    samples = recognition_samples(videos, CLASSES)
    assert [subjects.index(s.subject) for s in samples] == shared["groupsLabel_recog"]
    of_feature = [subjects.index(v.subject) for n, v in zip(n_features, videos, strict=True) for _ in range(n)]
    assert of_feature == shared["groupsLabel_spot"]
    starts = np.cumsum([0, *n_features])
    for fold, (_, test) in zip(loso_folds(videos, samples, subjects), shared["loso_spot"], strict=True):
        assert [i for v in fold.test for i in range(starts[v], starts[v + 1])] == test
