"""The parts of SOFTNet, computed by hand and on faces that are drawn here."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import Utils.softnet.steps
from feature_extraction import extract_features
from prepare_training import ThinnedFrames
from train_evaluate import FoldJob, Hyperparameters
from Utils.errors import InputError
from Utils.records import Expression, Fold
from Utils.softnet.features import Places, feature_image, forward_strain, landmarks_of, places_of, raw_feature
from Utils.softnet.spotting import smooth_scores, visiting_order
from Utils.softnet.steps import STEPS, least_frames
from Utils.softnet.training import AugmentedFrames, augment, pseudo_labels, thin


def expression(onset: int, offset: int) -> Expression:
    return Expression(onset, None, offset, "others")


#   feature   0  1  2  3  4  5  6  7  8  9      k = 3, window of feature i: i, i+1, i+2
#   frames                o  x  x                onset 4, offset 6: frames 5 and 6 count
@pytest.mark.parametrize(
    ("onset", "offset", "expected"),
    [
        (4, 6, "0001111000"),
        (0, 2, "1110000000"),
        (3, 3, "0000000000"),  # only an onset
        (8, 40, "0000000111"),
        (20, 30, "0000000000"),
    ],
)
def test_pseudo_labels_leave_the_onset_out(onset, offset, expected):
    found = pseudo_labels(10, [expression(onset, offset)], 3)
    windows = [set(range(i, i + 3)) & set(range(onset + 1, offset + 1)) for i in range(10)]
    assert "".join(str(int(x)) for x in found) == expected == "".join(str(int(bool(w))) for w in windows)


@given(st.integers(1, 60), st.integers(1, 12), st.integers(0, 70), st.integers(0, 30))
def test_pseudo_labels_are_what_their_definition_says(n, k, onset, length):
    found = pseudo_labels(n, [expression(onset, onset + length)], k)
    meets = [any(onset < frame <= onset + length for frame in range(i, i + k)) for i in range(n)]
    assert found.tolist() == meets


@given(st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=60), st.integers(1, 12))
def test_smoothing_is_the_mean_over_2k_features_where_all_exist(values, k):
    found = smooth_scores(np.array(values, np.float32), k)
    assert len(found) == len(values)
    for i, value in enumerate(found):
        if k <= i < len(values) - k:
            assert value == pytest.approx(np.mean(values[i - k : i + k]), abs=1e-5)
        else:
            assert np.isnan(value)
    assert np.isfinite(found).any() == (len(values) + k >= least_frames(k))


@pytest.mark.parametrize(("others", "expressions", "paper", "upstream"), [(8, 3, 4, 4), (4, 6, 2, 3), (2, 9, 1, 2)])
def test_half_of_the_other_features_are_kept(others, expressions, paper, upstream):
    labels = np.concatenate([np.zeros(others), np.ones(expressions)])
    for protocol, expected in (("paper", paper), ("upstream", upstream)):
        kept = thin(labels, np.random.default_rng(1), protocol)
        assert (labels[kept] == 0).sum() == expected and (labels[kept] == 1).sum() == expressions
        assert (np.diff(kept) > 0).all()
        np.testing.assert_array_equal(kept, thin(labels, np.random.default_rng(1), protocol))


def test_three_more_samples_of_each_expression_feature():
    images = np.random.default_rng(0).random((2, 42, 42), np.float32)
    before = images.copy()
    flipped, blurred, noisy = augment(images, np.random.default_rng(1))[3:]  # those of the second
    np.testing.assert_array_equal(images, before)  # upstream changes them in place
    np.testing.assert_array_equal(flipped, images[1, :, ::-1])
    assert blurred.std() < 0.5 * images[1].std() and blurred.mean() == pytest.approx(images[1].mean(), abs=0.02)
    assert noisy.min() >= 0 and noisy.max() <= 1
    middle = (images[1] > 0.35) & (images[1] < 0.65)  # where nothing is clipped
    assert (noisy - images[1])[middle].std() == pytest.approx(0.1, abs=0.02)


class Frames(ThinnedFrames):
    """Features that are not in files."""

    def __init__(self, images: np.ndarray, labels: np.ndarray):
        super().__init__([], [], labels)
        object.__setattr__(self, "given", images)

    def images(self, more=0):
        return np.concatenate([self.given, np.zeros((more, 42, 42, 3), np.float32)])


@pytest.mark.parametrize(("augmented", "n"), [(True, 5 + 3 * 2), (False, 5)])
def test_samples_and_their_copies_and_one_order_for_all_epochs(augmented, n):
    images = np.random.default_rng(0).random((5, 42, 42, 3), np.float32)
    images[..., 1] = images[..., 2] = images[..., 0]
    labels = np.array([0, 1, 0, 0, 1], np.float32)
    samples = AugmentedFrames(Frames(images, labels), augmented, np.random.default_rng(3))
    found = samples.images()
    assert found.shape == (n, 42, 42, 3) and samples.labels.tolist() == [0, 1, 0, 0, 1] + [1] * (n - 5)
    np.testing.assert_array_equal(found[:5], images)
    assert sorted(samples.order) == list(range(n)) != samples.order.tolist()
    for copy in range(5, n):  # three of sample 1, then of sample 4
        of, kind = [1, 4][(copy - 5) // 3], (copy - 5) % 3
        expected = images[of, :, ::-1] if kind == 0 else cv2.GaussianBlur(images[of], (7, 7), 0)
        if kind < 2:
            np.testing.assert_allclose(found[copy], expected, atol=1e-6)
        else:
            assert 0.05 < (found[copy] - images[of]).std() < 0.1
            assert np.unique(found[copy] - images[of], axis=-1).shape[-1] == 3, "each channel has its own noise"
    again = AugmentedFrames(Frames(images, labels), augmented, np.random.default_rng(3))
    np.testing.assert_array_equal(again.order, samples.order)
    np.testing.assert_array_equal(again.images(), found)


def test_forward_strain_by_hand():
    """u grows by 2 to the right, v by 1 downwards: u_x = -2, v_y = -1 everywhere (a pixel minus its neighbour)."""
    rows, columns = np.mgrid[:4, :5].astype(np.float32)
    strain = forward_strain(2 * columns, rows)
    assert strain.dtype == np.float32 and strain.shape == (4, 5)
    np.testing.assert_allclose(strain, np.sqrt(4 + 1))
    u = np.zeros((4, 5), np.float32)
    u[0, 1] = 3  # differs from the pixels left of, right of and below it
    found = forward_strain(u, np.zeros_like(u))
    np.testing.assert_allclose(found[0], [3, np.sqrt(9 + 9 / 2), 0, 0, 0], rtol=1e-6)
    found = forward_strain(u[::-1, ::-1], np.zeros_like(u))  # now at the edges, which repeat their neighbours
    np.testing.assert_array_equal(found[-1], found[-2])
    np.testing.assert_array_equal(found[:, -1], found[:, -2])


LANDMARKS = np.array([(20 + 3 * (i % 30), 30 + 3 * (i // 3)) for i in range(68)])


def test_motion_of_the_whole_face_leaves_nothing():
    flow = np.empty((128, 128, 2), np.float32)
    flow[..., 0], flow[..., 1] = 3, -2
    np.testing.assert_allclose(raw_feature(flow, places_of(LANDMARKS)), 0, atol=1e-5)


def test_the_eyes_are_masked():
    """A polygon that covers the upper half: that half of the feature is 0, the rest is not."""
    everywhere = np.array([(0, 0), (128, 0), (128, 63), (0, 63)], np.int32)
    regions = (slice(0, 64), slice(0, 128), slice(64, 128), slice(0, 128))
    places = Places(regions, (everywhere, everywhere), (slice(100, 111), slice(60, 71)))
    flow = np.random.default_rng(0).normal(0, 1, (128, 128, 2)).astype(np.float32)
    found = raw_feature(flow, places)
    assert (found[:21] == 0).all() and (found[21:, :, :2] >= 0).all() and found[21:].std() > 0.1


@given(st.integers(-200, 300), st.integers(-200, 300))
def test_landmarks_outside_of_the_crop_are_clipped(dx, dy):
    places = places_of(LANDMARKS + np.array((dx, dy)))
    image = feature_image(*np.zeros((2, 128, 128), np.uint8), places, lambda a, b: np.ones((128, 128, 2), np.float32))
    assert image.shape == (42, 42, 3) and np.isfinite(image).all()


def test_without_a_face_the_whole_crop_counts():
    gray = np.full((128, 128), 90, np.uint8)
    landmarks, number = landmarks_of([gray, gray])
    assert number is None and landmarks.shape == (68, 2)


def test_videos_without_a_smoothed_score_are_left_out(make_video, tmp_path):
    """k = 4: 13 frames give 9 features and one smoothed score. The grey crops show no face, which is reported."""
    rng = np.random.default_rng(0)
    crops = [np.repeat(rng.integers(80, 120, (128, 128, 1), np.uint8), 3, axis=2)] * 13
    long, short = make_video(crops, name="01_0101a"), make_video(crops[:12], name="01_0102b")
    features, remarks = extract_features([long, short], 4, "kernel", tmp_path, workers=1, method=STEPS.features)
    (found,) = features
    assert found.video.name == "01_0101a" and found.n_features == 9 and found.recognition is None
    assert remarks == [
        "s01/01_0102b: 12 frames are too few for k = 4, video left out",
        "s01/01_0101a: no face found in any crop, so the whole crop was taken as the face",
    ]
    again, more = extract_features([long, short], 4, "kernel", tmp_path, workers=1, method=STEPS.features)
    assert again == features and more == remarks  # finished ones are used, and reported again
    with pytest.raises(InputError, match="no video has 13 or more frames"):
        extract_features([short], 4, "kernel", tmp_path, workers=1, method=STEPS.features)


def test_up_to_sixteen_predictions_are_visited_in_order():
    for n in range(17):
        assert visiting_order(n).tolist() == list(range(n))
    assert visiting_order(17).tolist() != list(range(17))


@pytest.mark.parametrize(("kind", "augmented"), [("micro", True), ("macro", False)])
def test_only_micro_expressions_are_augmented(kind, augmented, monkeypatch):
    """The training of a fold asks for it."""
    asked = []

    class Stop(Exception):
        pass

    def frames(_, augmented, rng):
        asked.append(augmented)
        raise Stop

    monkeypatch.setattr(Utils.softnet.steps, "thinned_frames", lambda *_: None)
    monkeypatch.setattr(Utils.softnet.steps, "AugmentedFrames", frames)
    fold = Fold(1, "s1", *np.zeros((3, 1), int))
    settings = Hyperparameters(1, 1, 12, 5e-4, 5, 1, validate=False)
    job = FoldJob(fold, (), (), 3, 6, Path(), hyperparameters=settings, method=STEPS.folds, kind=kind)
    with pytest.raises(Stop):
        STEPS.folds.train(job)
    assert asked == [augmented]
