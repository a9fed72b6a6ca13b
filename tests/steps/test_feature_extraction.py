"""Features: each step by hand, the chain against the authors' recorded features, apex search, and the cache."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import Utils.faces.landmarks
from feature_extraction import (
    extract_features,
    face_regions,
    feature_image,
    flow_function,
    normalise,
    optical_strain,
    recognition_features,
    through_polar,
)
from tests.support.paths import RECORDED
from Utils.errors import InputError
from Utils.faces.landmarks import landmark_model, predict_landmarks
from Utils.records import Expression

SHAPE = (42, 42, 3)
WHOLE = (slice(0, 128),) * 4
TOLERANCE = 1e-6  # cartToPolar differs that much between versions of OpenCV


def still(first, second) -> np.ndarray:
    """A flow of zeros: nothing moves."""
    return np.zeros((128, 128, 2), np.float32)


@pytest.fixture(scope="module")
def recorded():
    """Twelve crops of one video, its landmarks, and two of the authors' features: (0, 3) and (onset, apex)."""
    with np.load(RECORDED / "features.npz") as arrays:
        record = dict(arrays)
    sheet = cv2.imread(str(RECORDED / "features_crops.png"), cv2.IMREAD_GRAYSCALE)
    return record | {
        "crops": dict(zip(record["frames"].tolist(), np.hsplit(sheet, len(record["frames"])), strict=True))
    }


# The steps


def test_strain_by_hand():
    u = np.array([[0, 1, 3], [0, 1, 3], [2, 3, 5]])
    v = np.array([[0, 0, 0], [1, 1, 1], [3, 3, 4]])
    # u_x = 0 1 2    v_y = 0 0 0    u_y = 0 0 0    v_x = 0 0 0
    #       0 1 2          1 1 1          0 0 0          0 0 0
    #       0 1 2          2 2 3          2 2 2          0 0 1
    squared = [[0, 1, 4], [1, 2, 5], [6, 7, 17.5]]
    np.testing.assert_allclose(optical_strain(u, v), np.sqrt(squared), rtol=1e-15)


@given(arrays(np.float32, (5, 6), elements=st.floats(-100, 100, width=32)), st.floats(-50, 50, width=32))
def test_strain_ignores_a_shift_of_the_whole(field, shift):
    shifted = optical_strain(field.astype(float) + shift, field.T[:5, :5].mean() + field.astype(float))
    np.testing.assert_allclose(shifted, optical_strain(field, field), atol=1e-3)
    assert (optical_strain(np.full((5, 6), shift), np.full((5, 6), -shift)) == 0).all()


def test_normalise_by_hand():
    np.testing.assert_allclose(normalise(np.array([[-2.0, 0.0], [2.0, 6.0]])), [[0, 0.25], [0.5, 1]])


@pytest.mark.parametrize("constant", [0.0, 3.5, -1e-9])
def test_a_constant_channel_becomes_0(constant):
    assert (normalise(np.full((128, 128), constant)) == 0).all()


@given(arrays(np.float32, (4, 5), elements=st.floats(-1000, 1000, width=32)))
def test_normalised_values_span_0_to_1(channel):
    scaled = normalise(channel)
    assert scaled.dtype == np.float64
    assert scaled.min() >= -1e-12
    assert scaled.max() <= 1 + 1e-12
    if np.ptp(channel) > 1e-6:
        assert scaled.min() == pytest.approx(0, abs=1e-9)
        assert scaled.max() == pytest.approx(1, abs=1e-9)


def test_through_polar_returns_the_flow():
    flow = np.random.default_rng(0).normal(0, 2, (128, 128, 2)).astype(np.float32)
    u, v = through_polar(flow)
    np.testing.assert_allclose(np.dstack([u, v]), flow, atol=2e-3)  # OpenCV's arc tangent is a quick one


def landmarks(**points: tuple[int, int]) -> np.ndarray:
    """68 points at (64, 64) but for those given as p17=(x, y)."""
    marks = np.full((68, 2), 64)
    for name, point in points.items():
        marks[int(name[1:])] = point
    return marks


def bounds(regions) -> list[tuple[int, int]]:
    return [(r.start, r.stop) for r in regions]


def test_face_regions_by_hand():
    brows = dict(p17=(20, 40), p26=(105, 41), p19=(30, 33), p24=(90, 35), p41=(40, 55), p46=(95, 57))
    mouth = dict(p60=(45, 95), p64=(83, 96), p50=(58, 88), p57=(64, 110))
    assert bounds(face_regions(landmarks(**brows, **mouth))) == [(21, 69), (8, 117), (76, 122), (33, 95)]
    # rows of the brows take the higher brow (19, 24) and the lower eyelid (41, 46)
    brows |= dict(p19=(30, 37), p41=(40, 59))
    assert bounds(face_regions(landmarks(**brows, **mouth)))[0] == (23, 71)


def test_face_regions_are_clipped_at_the_border():
    brows = dict(p17=(3, 40), p26=(121, 41), p19=(30, 11), p24=(90, 5), p41=(40, 55), p46=(95, 57))
    mouth = dict(p60=(11, 95), p64=(117, 96), p50=(58, 88), p57=(64, 124))
    assert bounds(face_regions(landmarks(**brows, **mouth))) == [(0, 69), (0, 128), (76, 128), (0, 128)]


@given(arrays(np.int64, (68, 2), elements=st.integers(-2000, 2000)))
def test_absurd_landmarks_still_give_regions_within_the_crop(marks):
    for region, (first, last) in zip(
        face_regions(marks),
        [
            (min(marks[19, 1], marks[24, 1]), max(marks[41, 1], marks[46, 1])),
            (marks[17, 0], marks[26, 0]),
            (marks[50, 1], marks[57, 1]),
            (marks[60, 0], marks[64, 0]),
        ],
        strict=True,
    ):
        assert 0 <= region.start < region.stop <= 128
        start, stop = max(0, first - 12), min(128, last + 12)
        if start < stop and start < 128:  # the region of docs/method.md, where there is one
            assert (region.start, region.stop) == (start, stop)


# The feature image


def ramps(first, second) -> np.ndarray:
    """u grows with the column, v with the row."""
    y, x = np.mgrid[:128, :128].astype(np.float32)
    return np.dstack([x, y])


def test_feature_image_by_hand():
    """Regions of 21 x 42 pixels are not resized: brows above, mouth below; u, v and strain in this order."""
    regions = (slice(10, 31), slice(20, 62), slice(100, 121), slice(50, 92))
    image = feature_image(None, None, regions, ramps)
    rows = np.r_[10:31, 100:121][:, None]
    columns = np.vstack([np.tile(np.r_[20:62], (21, 1)), np.tile(np.r_[50:92], (21, 1))])
    np.testing.assert_allclose(image[..., 0], columns / 127, atol=1e-3)
    np.testing.assert_allclose(image[..., 1], np.broadcast_to(rows, (42, 42)) / 127, atol=1e-3)
    np.testing.assert_allclose(image[..., 2], 1, atol=0.03)  # u_x = v_y = 1 but for the first column and row


def test_normalisation_is_over_the_whole_crop_not_the_regions():
    def spot(first, second):
        flow = still(first, second)
        flow[127, 127, 0] = 8  # outside of the regions
        flow[15, 30, 0] = 2
        return flow

    image = feature_image(None, None, (slice(10, 31), slice(20, 62), slice(60, 81), slice(50, 92)), spot)
    assert image[..., 0].max() == pytest.approx(0.25)


@settings(max_examples=25)
@given(st.integers(0, 9999), arrays(np.int64, (68, 2), elements=st.integers(-50, 180)))
def test_feature_images_have_one_shape_and_range(seed, marks):
    flow = np.random.default_rng(seed).normal(0, 3, (128, 128, 2)).astype(np.float32)
    image = feature_image(None, None, face_regions(marks), lambda first, second: flow)
    assert image.shape == SHAPE
    assert image.dtype == np.float64
    assert image.min() >= -1e-9
    assert image.max() <= 1 + 1e-9


@pytest.mark.parametrize("name", ["kernel", "opencv"])
def test_identical_frames_give_zeros(recorded, name):
    crop = recorded["crops"][6]
    flow = flow_function(name)(crop, crop)
    assert flow.shape == (128, 128, 2)
    assert flow.dtype == np.float32
    assert (feature_image(crop, crop, WHOLE, flow_function(name)) == 0).all()


# As the authors' code has it


def test_recorded_landmarks_and_features(recorded):
    crops = recorded["crops"]
    marks = predict_landmarks(crops[0])
    np.testing.assert_array_equal(marks, recorded["landmarks"])
    image = feature_image(crops[0], crops[3], face_regions(marks), flow_function("kernel"))
    np.testing.assert_allclose(image, recorded["spotting_0"], atol=TOLERANCE, rtol=0)


def test_recorded_apex_search(recorded, make_video):
    crops, (onset, apex, offset) = recorded["crops"], recorded["expression"].tolist()
    video = make_video([crops.get(i, crops[0]) for i in range(offset)], [Expression(onset, None, offset, "positive")])
    images, apexes = recognition_features(video, recorded["landmarks"], flow_function("kernel"))
    assert apexes == [apex]
    np.testing.assert_allclose(images[0], recorded["recognition"], atol=TOLERANCE, rtol=0)


def test_golden_chain(golden, make_video, tmp_path):
    """Five videos: landmarks, spotting features, found apexes and recognition features; one through the cache, too."""
    pipeline = json.loads((golden / "smic_vis" / "pipeline.json").read_text())
    k, samples = pipeline["k"], pipeline["final_samples_onset_apex_offset_0based"]
    all_crops, expected = np.load(golden / "smic_vis" / "crops.npz"), np.load(golden / "smic_vis" / "features.npz")
    for i, [[(onset, apex, offset)]] in enumerate(samples):
        crops, marks = all_crops[f"video{i:02d}"], expected["landmarks"][i]
        indices, spotting = expected[f"spot{i:02d}_idx"], expected[f"spot{i:02d}"]
        np.testing.assert_array_equal(predict_landmarks(crops[0]), marks)
        video = make_video(crops, [Expression(onset, None, offset, "negative")], name=f"{i:02d}")
        if i == 3:
            (features,), _ = extract_features([video], k, "kernel", tmp_path / "cache", workers=1)
            np.testing.assert_array_equal(np.load(features.spotting.parent / "landmarks.npy"), marks)
            assert features.n_features == len(crops) - k
            found = np.load(features.spotting)[indices]
            images, apexes = np.load(features.recognition), [e.searched_apex for e in features.video.expressions]
        else:
            regions, flow = face_regions(marks), flow_function("kernel")
            found = [feature_image(crops[j], crops[j + k], regions, flow) for j in indices]
            images, apexes = recognition_features(video, marks, flow)
        np.testing.assert_allclose(found, spotting, atol=TOLERANCE, rtol=0)
        assert apexes == [apex]
        np.testing.assert_allclose(images[0], expected["recognition"][i], atol=TOLERANCE, rtol=0)


# Onset and apex


def numbered_frames(n: int) -> list[np.ndarray]:
    """Frame i is of gray i: the flows below know frames by it."""
    return [np.full((128, 128), i, np.uint8) for i in range(n)]


def moving_area(**areas: int):
    """A flow from frame 2 whose feature grows with the area given for the other frame, f3=5 and so on."""

    def flow(first, second):
        assert first[0, 0] == 2
        field = still(first, second)
        field[: areas.get(f"f{second[0, 0]}", 0), :, 0] = 1
        return field

    return flow


def test_apex_is_searched_where_it_is_not_given(make_video):
    video = make_video(numbered_frames(9), [Expression(2, None, 7, "negative")])
    flow = moving_area(f3=20, f4=60, f5=40, f7=90)  # frame 7 is the offset, and not looked at
    images, apexes = recognition_features(video, landmarks(), flow)
    assert apexes == [4]
    expected = feature_image(*(np.full((128, 128), i, np.uint8) for i in (2, 4)), face_regions(landmarks()), flow)
    np.testing.assert_array_equal(images[0], expected.astype(np.float32))


def test_the_first_of_equal_candidates_is_the_apex(make_video):
    video = make_video(numbered_frames(9), [Expression(2, None, 7, "negative"), Expression(2, None, 3, "negative")])
    assert recognition_features(video, landmarks(), moving_area(f4=60, f6=60))[1] == [4, 2]


def test_an_apex_that_is_given_stays(make_video):
    video = make_video(numbered_frames(9), [Expression(2, 3, 7, "negative")])
    images, apexes = recognition_features(video, landmarks(), moving_area(f4=60))
    assert apexes == [3]
    assert (images == 0).all()


def test_expressions_beyond_the_last_frame(make_video):
    video = make_video(
        numbered_frames(6),
        [
            Expression(2, 4, 6, "negative"),  # the offset is after the last frame, the apex is not
            Expression(2, 6, 8, "negative"),  # the apex is after the last frame
            Expression(2, None, 9, "negative"),  # searched up to the last frame
            Expression(6, None, 9, "negative"),  # the onset is after the last frame
            Expression(2, None, 2, "negative"),  # onset and offset are the same frame
        ],
    )
    images, apexes = recognition_features(video, landmarks(), moving_area(f5=60))
    assert np.isnan(images).all(axis=(1, 2, 3)).tolist() == [False, True, False, True, False]
    assert apexes == [4, 6, 5, None, 2]


def test_no_expressions(make_video):
    images, apexes = recognition_features(make_video(numbered_frames(3)), landmarks(), still)
    assert images.shape == (0, *SHAPE)
    assert apexes == []


# The cache


@pytest.fixture
def calls(monkeypatch):
    """Counts the flows that are computed. A quick flow takes the place of the kernel."""
    counted = []

    def flow(first, second):
        counted.append((int(first[0, 0]), int(second[0, 0])))
        return np.full((128, 128, 2), [1, 2], np.float32) * np.arange(128, dtype=np.float32)[:, None, None]

    monkeypatch.setattr("feature_extraction.tvl1_flow", flow)
    return counted


@pytest.fixture
def extract(tmp_path):
    def run(videos, k=3, **kwargs):
        return extract_features(videos, k, "kernel", tmp_path / "cache", workers=1, **kwargs)

    return run


def test_n_minus_k_features_of_the_pairs(make_video, calls, extract):
    (features,), remarks = extract([make_video(numbered_frames(10), [Expression(1, 4, 6, "negative")])])
    assert remarks == []
    assert calls == [(i, i + 3) for i in range(7)] + [(1, 4)]
    assert features.n_features == 7
    spotting, recognition = np.load(features.spotting), np.load(features.recognition)
    assert (spotting.shape, spotting.dtype) == ((7, *SHAPE), np.float32)
    assert (recognition.shape, recognition.dtype) == ((1, *SHAPE), np.float32)


def test_finished_videos_are_not_computed_again(make_video, calls, extract):
    videos = [make_video(numbered_frames(n), [Expression(1, None, 3, "negative")], name=f"v{n}") for n in (8, 9)]
    first, _ = extract(videos)
    assert [f.video.expressions[0].searched_apex for f in first] == [1, 1]  # all sums are equal, so it is the first
    calls.clear()
    assert extract(videos)[0] == first
    assert calls == []


def test_a_changed_frame_recomputes_its_video_only(make_video, calls, extract):
    videos = [make_video(numbered_frames(n), [Expression(1, 2, 3, "negative")], name=f"v{n}") for n in (8, 9)]
    first, _ = extract(videos)
    calls.clear()
    cv2.imwrite(str(videos[1].frames[4]), np.full((128, 128), 200, np.uint8))
    again, _ = extract(videos)
    assert calls == [(0, 3), (1, 200), (2, 5), (3, 6), (200, 7), (5, 8), (1, 2)]
    assert again[0] == first[0]
    assert again[1].key != first[1].key


def test_what_the_settings_recompute(make_video, calls, extract):
    video = make_video(numbered_frames(8), [Expression(1, 2, 3, "negative")])
    (first,), _ = extract([video])

    def pairs(video, **kwargs):
        calls.clear()
        (features,), _ = extract([video], **kwargs)
        assert (features.key == first.key) == bool(kwargs.get("fresh"))
        return sorted(calls)

    assert pairs(video, k=5) == [(0, 5), (1, 6), (2, 7)]  # (onset, apex) does not depend on k
    assert pairs(replace(video, expressions=(Expression(1, 4, 6, "negative"),))) == [(1, 4)]
    assert pairs(replace(video, expressions=(Expression(1, 2, 3, "positive"),))) == []  # but the key is different
    assert pairs(video, fresh=True) == sorted([(i, i + 3) for i in range(5)] + [(1, 2)])


def test_an_interrupted_video_leaves_nothing(make_video, extract, monkeypatch, tmp_path):
    def fails_later(first, second):
        if first[0, 0] == 2:
            raise KeyboardInterrupt
        return still(first, second)

    monkeypatch.setattr("feature_extraction.tvl1_flow", fails_later)
    with pytest.raises(KeyboardInterrupt):
        extract([make_video(numbered_frames(8))])
    assert [p for p in (tmp_path / "cache").rglob("*") if p.is_file()] == []


def test_expressions_beyond_the_last_frame_are_reported(make_video, calls, extract):
    expressions = [Expression(1, 2, 3, "negative"), Expression(9, 9, 9, "negative")]
    _, remarks = extract([make_video(numbered_frames(8), expressions)])
    assert remarks == ["s01/01_0101a: 1 expression(s) beyond the last frame not used for recognition training"]


def test_short_videos_are_left_out(make_video, calls, extract):
    videos = [make_video(numbered_frames(n), name=f"v{n}") for n in (3, 4)]
    features, remarks = extract(videos)
    assert [f.n_features for f in features] == [1]
    assert remarks == ["s01/v3: 3 frames are too few for k = 3, video left out"]
    with pytest.raises(InputError, match="k = 20"):
        extract(videos, k=20)


def test_crops_that_cannot_be_used_are_named(make_video, calls, extract):
    video = make_video(numbered_frames(8))
    cv2.imwrite(str(video.frames[5]), np.zeros((64, 128), np.uint8))
    with pytest.raises(InputError, match=r"img006\.png: is 128x64 pixels"):
        extract([video])
    video.frames[5].write_text("text")
    with pytest.raises(InputError, match=r"img006\.png"):
        extract([video])


def test_opencvs_flow_has_a_key_of_its_own(recorded, make_video, tmp_path):
    video = make_video([recorded["crops"][0], recorded["crops"][3]])
    keys = set()
    for flow in ("kernel", "opencv"):
        (features,), _ = extract_features([video], 1, flow, tmp_path / "cache", workers=1)
        keys.add(features.key)
        image = np.load(features.spotting)[0]
        assert np.abs(image - recorded["spotting_0"]).mean() < 0.05  # the same pair, whichever version is installed
    assert len(keys) == 2


# The landmark model


def test_the_landmark_model_of_the_package_is_found_without_importing_it():
    assert landmark_model().name == "shape_predictor_68_face_landmarks.dat"


def test_landmark_models_that_cannot_be_used(monkeypatch, tmp_path):
    crop, good = np.zeros((128, 128), np.uint8), landmark_model()
    own = tmp_path / "own.dat"
    monkeypatch.setattr("Utils.faces.landmarks.landmark_model", lambda: own)
    own.write_text("no model")
    with pytest.raises(InputError, match=r"own\.dat: is not a landmark model"):
        predict_landmarks(crop)
    shutil.copyfile(good.with_name("shape_predictor_5_face_landmarks.dat"), own)
    with pytest.raises(InputError, match=r"own\.dat: is a model of 5 landmarks"):
        predict_landmarks(crop)
    Utils.faces.landmarks._predictor.cache_clear()


def test_a_missing_landmark_model_is_an_input_error(monkeypatch):
    monkeypatch.setattr("Utils.faces.landmarks.MODEL_NAME", "nowhere.dat")
    with pytest.raises(InputError, match=r"Utils/nowhere\.dat: landmark model not found"):
        landmark_model()
