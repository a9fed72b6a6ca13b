"""What an overlay shows of a moment: labels that neither leave the picture nor overlap, and texts that fit."""

from __future__ import annotations

from itertools import combinations

import cv2
import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from Utils.own_video.drawing import (
    CURVE,
    GREY,
    HEAD,
    MOMENT,
    NAMES,
    PAD,
    STRIP,
    TEXT,
    Marked,
    OverlayFace,
    Strip,
    draw_faces,
    draw_moment,
    fitting,
    label_colours,
)
from Utils.own_video.labels import overlap, place_labels

# Places of labels


@st.composite
def wished(draw, most: int = 6):
    """(wishes, width, height, avoid)"""
    width, height = draw(st.integers(1, 60)), draw(st.integers(1, 40))
    corner = st.tuples(st.integers(-30, 80), st.integers(-30, 60))

    def label():
        wide, high = draw(st.integers(1, 30)), draw(st.integers(1, 20))
        corners = draw(st.lists(corner, min_size=1, max_size=3))
        return [(x, y, x + wide, y + high) for x, y in corners]

    wishes = [label() for _ in range(draw(st.integers(0, most)))]
    avoid = [label()[0] for _ in range(draw(st.integers(0, 2)))]
    return wishes, width, height, avoid


def is_free(place, taken, width: int, height: int) -> bool:
    left, top, right, bottom = place
    inside = left >= 0 and top >= 0 and right <= width and bottom <= height
    return inside and not any(overlap(place, other) for other in taken)


@given(wished(), st.booleans())
def test_labels_stay_in_the_picture_and_apart(wanted, far):
    wishes, width, height, avoid = wanted
    found = place_labels(wishes, width, height, avoid, far)
    assert len(found) == len(wishes)
    placed = [place for place in found if place is not None]
    assert all(is_free(place, [], width, height) for place in placed)
    assert not any(overlap(*pair) for pair in combinations(placed, 2))
    for place, wish in zip(found, wishes, strict=True):
        if place is not None:
            assert [b - a for a, b in zip(place[:2], place[2:], strict=True)] == [
                b - a for a, b in zip(wish[0][:2], wish[0][2:], strict=True)
            ]


@given(wished())
def test_a_label_is_left_out_only_if_there_is_no_place_for_it(wanted):
    wishes, width, height, avoid = wanted
    found = place_labels(wishes, width, height, avoid)
    for i, place in enumerate(found):
        if place is None:
            left, top, right, bottom = wishes[i][0]
            wide, high = right - left, bottom - top
            taken = [other for other in found[:i] if other is not None]
            assert not any(
                is_free((x, y, x + wide, y + high), taken, width, height) for x in range(width) for y in range(height)
            )


@given(wished(most=1))
def test_a_wish_that_is_free_is_granted(wanted):
    wishes, width, height, avoid = wanted
    assume(wishes)
    (place,) = place_labels(wishes, width, height)
    clear = [wish for wish in wishes[0] if is_free(wish, [], width, height)]
    if wishes[0][0] in clear:
        assert place == wishes[0][0]
    if clear_of_faces := [wish for wish in clear if is_free(wish, avoid, width, height)]:
        (place,) = place_labels(wishes, width, height, avoid)
        assert place is not None and not any(overlap(place, face) for face in avoid)
        assert wishes[0][0] not in clear_of_faces or place == wishes[0][0]


def test_labels_by_hand():
    """Three labels of 10x4 want the same place of a picture of 20x8, and two more find none."""
    wish = [(2, 1, 12, 5)]
    found = place_labels([wish] * 5, 20, 8)
    assert found[0] == wish[0] and sum(place is not None for place in found) == 1  # 1 and 3 rows, 2 and 8 columns stay
    corner = [(0, 0, 10, 4)]
    assert place_labels([corner] * 5, 20, 8) == [(0, 0, 10, 4), (0, 4, 10, 8), (10, 0, 20, 4), (10, 4, 20, 8), None]
    assert place_labels([corner] * 2, 20, 8, far=False) == [(0, 0, 10, 4), None]
    assert place_labels([[(0, 0, 21, 4)]], 20, 8) == [None]


def test_faces_are_avoided():
    places = [(0, 0, 5, 5), (5, 0, 10, 5)]
    assert place_labels([places], 20, 20, [(0, 0, 5, 9)]) == [places[1]]
    assert place_labels([places], 20, 20, [(0, 0, 9, 9)]) == [places[0]]  # a face is covered if there is no choice


# Texts


@given(
    st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=0x400), max_size=30), min_size=1, max_size=4),
    st.integers(20, 900),
)
@example(["", "000"], 40)
def test_texts_fit_and_begin_with_what_matters_most(parts, width):
    text = fitting(parts, width)
    assert text.width <= width or not text.text
    assert text.height <= min(MOMENT, HEAD) and text.size <= TEXT
    whole = "  ".join(part.encode("ascii", "replace").decode() for part in parts if part)
    assert whole.startswith(text.text.rstrip(" ")) and (text.text or not whole.strip() or width < 40)
    canvas = np.zeros((100, 1000, 3), np.uint8)
    cv2.putText(canvas, text.text, (PAD, 50), cv2.FONT_HERSHEY_SIMPLEX, text.size, (255,) * 3, 3, cv2.LINE_AA)
    rows, columns = np.nonzero(canvas.any(axis=2))
    if len(rows):  # what is drawn, with its outline, is within the measured size
        assert columns.max() < text.width and rows.min() >= 50 - text.base and rows.max() < 50 - text.base + text.height


def face(n: int = 60, name: str = "", expressions=(), box=(20, 40, 60, 80)) -> OverlayFace:
    return OverlayFace(name, lambda frame: box, np.linspace(0, 1, n), None, expressions)


def test_what_a_strip_says():
    marked = [Marked(10, 12, 14, "surprise", 0.934), Marked(30, 31, 32, "negative")]
    texts = face(name="face 1", expressions=marked).texts
    assert texts(0) == ["face 1", "score 0.00"]
    assert texts(12) == ["face 1", "score 0.20", "surprise", "p(micro) 0.93"]
    assert texts(31) == ["face 1", "score 0.53", "negative"]
    assert texts(99) == ["face 1", "score -"]
    assert OverlayFace("", lambda f: None, np.full(3, np.nan), None, []).texts(1) == ["score -"]


def written(monkeypatch) -> list[tuple[str, int, int]]:
    """What is written from now on: text, left end, and base line."""
    calls: list[tuple[str, int, int]] = []
    put = cv2.putText

    def record(canvas, text, place, font, size, colour, *rest):
        if any(colour):  # the outline comes first
            (wide, _), below = cv2.getTextSize(text, font, size, 1)
            assert place[0] > 0 and place[0] + wide < canvas.shape[1] and place[1] + below <= canvas.shape[0], text
            calls.append((text, *place))
        return put(canvas, text, place, font, size, colour, *rest)

    monkeypatch.setattr(cv2, "putText", record)
    return calls


@pytest.mark.parametrize("width", [96, 160, 640, 1280])
def test_frame_and_time_are_written(monkeypatch, width):
    calls = written(monkeypatch)
    band = np.zeros((MOMENT, width, 3), np.uint8)
    draw_moment(band, 123, 4.1)
    (text, *_) = calls[0]
    assert text == ("frame 123  4.100 s" if width > 120 else "frame 123")
    assert (band > 200).any()


@pytest.mark.parametrize("n", [3, 12])
def test_labels_of_faces_beside_each_other_are_apart(monkeypatch, n):
    """Faces in one place, at the upper edge of the picture."""
    calls = written(monkeypatch)
    picture = np.zeros((480, 640, 3), np.uint8)
    faces = [face(name=f"face {i}", box=(300, 4, 400, 104)) for i in range(n)]
    draw_faces(picture, faces, 0, 1.0, {})
    assert sorted(text for text, *_ in calls) == sorted(f"face {i}" for i in range(n))
    spots = [(left, base - 16, left + 60, base + 6) for _, left, base in calls]
    assert not any(overlap(*pair) for pair in combinations(spots, 2))
    assert n > 3 or not any(overlap(spot, (310, 4, 390, 104)) for spot in spots)  # no face is covered


def test_names_of_expressions_in_a_strip_do_not_collide(monkeypatch):
    """Of three that are near each other, the two nearest to the present are named; all have their block."""
    calls = written(monkeypatch)
    marked = [Marked(30, 31, 33, "surprise"), Marked(35, 37, 38, "negative"), Marked(40, 43, 44, "positive")]
    colours = label_colours(["negative", "positive", "surprise"])
    strip = Strip(face(120, expressions=marked), 25, 400, colours)
    band = np.zeros((STRIP, 400, 3), np.uint8)
    strip.draw(band, 37)
    assert [text for text, *_ in calls] == ["score 0.31  negative", "negative", "surprise"]
    assert all(HEAD <= base <= HEAD + NAMES for _, _, base in calls[1:])
    present = {tuple(colour) for colour in band[-2].tolist()}
    blocks = {name: tuple(int(c * 0.45) for c in colour) for name, colour in colours.items()}
    assert set(blocks.values()) <= present


def test_the_threshold_is_a_dotted_line():
    steady = OverlayFace("", lambda f: None, np.linspace(0, 1, 50), 0.5, [])
    band = np.zeros((STRIP, 300, 3), np.uint8)
    Strip(steady, 25, 300, {}).draw(band, 0)
    dots = (band[STRIP - CURVE :] == GREY).all(axis=2).sum(axis=1)
    assert dots.max() >= 90 and (dots > 10).sum() == 1
