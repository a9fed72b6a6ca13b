"""Following faces: made-up detections on drawn frames, so that every rectangle is known; then the real detector."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from Utils.faces.landmarks import detect_faces
from Utils.own_video.face_tracks import Segment, Track, Tracking, overlap, runs_of, track_faces

FPS = 10
SIZE = (90, 160)


def frame(*faces: tuple[int, int, int, int], grey: int = 60) -> np.ndarray:
    """A frame on which each face is a rectangle of its own shade of blue, which `detect` below finds."""
    image = np.full((*SIZE, 3), grey, np.uint8)
    for i, (left, top, right, bottom) in enumerate(faces):
        image[top:bottom, left:right] = (200 + i, 0, 0)
    return image


def detect(image: np.ndarray) -> list[tuple[int, int, int, int]]:
    found = []
    for blue in (200, 201):
        rows, columns = np.nonzero((image[..., 0] == blue) & (image[..., 1] == 0))
        if len(rows):
            found.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
    return [tuple(map(int, face)) for face in found]


def follow(frames: list[np.ndarray], which: str = "largest") -> Tracking:
    return track_faces(iter(frames), FPS, which, detect)


FACE, OTHER, SMALL = (20, 20, 60, 60), (100, 20, 140, 60), (100, 20, 120, 40)


def test_a_face_that_stays_has_one_rectangle():
    """A detector's result varies by a pixel or two. This does not move the rectangle."""
    frames = [frame((20 + i % 2, 20, 60 + i % 2, 60)) for i in range(35)]
    found = follow(frames)
    assert found.tracks == (Track(0, (Segment(0, 34, FACE),)),)
    assert (found.n_frames, found.without_face, found.cuts) == (35, (), ())


@pytest.mark.parametrize("gone", [1, 7, 13, 20, 29])
@pytest.mark.parametrize("back", [38, 44, 57])
def test_comings_and_goings_are_found_to_the_frame(gone, back):
    """0 ... gone-1   gone ... back-1   back ... 59
    face           nothing           face"""
    frames = [frame(*(() if gone <= i < back else (FACE,))) for i in range(60)]
    found = follow(frames)
    (track,) = found.tracks  # it comes back where it was: the same face
    assert [(s.first, s.last) for s in track.segments] == [(0, gone - 1), (back, 59)]
    assert track.stretches() == [(0, gone - 1), (back, 59)]
    assert found.without_face == ((gone, back - 1),)


def test_a_face_that_moves_gets_a_new_rectangle_without_a_gap():
    frames = [frame((20 + 2 * i, 20, 60 + 2 * i, 60)) for i in range(40)]
    (track,) = follow(frames).tracks
    assert len(track.segments) > 2
    assert track.stretches() == [(0, 39)]
    for i in range(40):
        assert overlap(track.segment_at(i).rectangle, (20 + 2 * i, 20, 60 + 2 * i, 60)) > 0.5


def test_all_faces_or_the_largest():
    frames = [frame(FACE, SMALL) for _ in range(25)]
    assert [t.segments for t in follow(frames, "all").tracks] == [(Segment(0, 24, FACE),), (Segment(0, 24, SMALL),)]
    assert [t.segments for t in follow(frames).tracks] == [(Segment(0, 24, FACE),)]


def test_the_largest_is_followed_until_it_is_gone_or_small():
    equal = [frame(FACE, OTHER) for _ in range(20)]
    assert len(follow(equal).tracks) == 1
    alone = [frame(FACE) for _ in range(15)] + [frame((0, 0, 0, 0), OTHER) for _ in range(15)]
    first, second = follow(alone).tracks
    assert first.segments == (Segment(0, 14, FACE),)
    assert second.segments == (Segment(15, 29, OTHER),)


def test_a_scene_cut_ends_stretches_and_is_looked_at_once():
    frames = [frame(FACE) for _ in range(13)] + [frame(FACE, grey=160) for _ in range(12)]
    found = follow(frames)
    (track,) = found.tracks
    assert found.cuts == (13,)
    assert track.stretches() == [(0, 12), (13, 24)]
    assert found.without_face == ()


def test_light_that_changes_slowly_is_no_cut():
    frames = [frame(FACE, grey=40 + 4 * i) for i in range(40)]
    assert follow(frames).cuts == ()


def test_no_face_no_frame_and_one_frame():
    empty = follow([frame() for _ in range(23)])
    assert (empty.tracks, empty.without_face) == ((), ((0, 22),))
    assert follow([]) == Tracking(0, (), (), ())
    assert follow([frame(FACE)]).tracks == (Track(0, (Segment(0, 0, FACE),)),)


def test_large_frames_are_scaled_for_the_detector_only():
    large = [np.kron(frame(FACE), np.ones((10, 10, 1), np.uint8)) for _ in range(3)]  # 1600 x 900
    (track,) = follow(large).tracks
    np.testing.assert_allclose(track.segments[0].rectangle, (200, 200, 600, 600), atol=6)


def test_few_frames_are_looked_at():
    looked = []
    track_faces((frame(FACE) for _ in range(100)), FPS, detect=lambda image: looked.append(1) or detect(image))
    assert len(looked) == 1 + 10


def test_the_real_detector(tiny_features):
    import cv2

    raw = [cv2.imread(str(path)) for path in tiny_features.features[0].video.frames]
    frames = [cv2.copyMakeBorder(crop, 60, 60, 90, 90, cv2.BORDER_REPLICATE) for crop in raw]
    found = track_faces(iter(frames), 30)
    assert len(found.tracks) == 1 and found.tracks[0].stretches() == [(0, len(frames) - 1)]


@given(st.lists(st.booleans(), max_size=50))
def test_runs_of_a_mask(mask):
    again = np.zeros(len(mask), bool)
    for first, last in runs_of(mask):
        assert 0 <= first <= last and not again[first : last + 1].any()
        again[first : last + 1] = True
    assert again.tolist() == mask


ends = st.lists(st.integers(0, 50), min_size=2, max_size=2, unique=True).map(sorted)
boxes = st.tuples(ends, ends).map(lambda both: (both[0][0], both[1][0], both[0][1], both[1][1]))


@given(boxes, boxes)
def test_overlap_is_symmetric_and_one_for_equals(a, b):
    assert overlap(a, b) == overlap(b, a) and 0 <= overlap(a, b) <= 1
    assert overlap(a, a) == 1
    if overlap(a, b) == 1:
        assert a == b


def test_the_detector_gets_rows_without_gaps(monkeypatch):
    # At widths that are no multiple of 16, PyAV's frames have gaps between rows. dlib then misses faces, at random.
    seen = []
    monkeypatch.setattr("Utils.faces.landmarks._detector", lambda: lambda image, upsampled: seen.append(image) or [])
    rows = np.arange(12 * 32).astype(np.uint8).reshape(12, 32)
    frame = np.lib.stride_tricks.as_strided(rows, (12, 10, 3), (32, 3, 1))
    assert not frame.flags.c_contiguous
    detect_faces(frame)
    assert seen[0].flags.c_contiguous and np.array_equal(seen[0], frame)
