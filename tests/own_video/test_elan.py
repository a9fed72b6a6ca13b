"""ELAN files: the rules of the format, and the way from this program to ELAN and back."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes, urlparse

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pympi.Elan import Eaf

from tests.support.eaf_files import CLASSES, TALK, TWO, check_eaf, without_date, written
from Utils.errors import UNPRINTABLE, InputError
from Utils.evaluation.eaf import EAF_COLUMNS, frame_at, milliseconds, read_eaf
from Utils.evaluation.eaf_writer import Annotated, EafAbout, layers, span, write_eaf


def test_an_eaf_is_what_annotators_expect(tmp_path):
    media = tmp_path / "videos" / "Gespräch 1 & <2>.mov"
    media.parent.mkdir()
    media.touch()
    faces = {0: [Annotated(25, 35, "negative", 30, 0.5), Annotated(50, 62, "überrascht <&>\x00")], 1: [], 12: TWO}
    path = tmp_path / "out" / "a.eaf"
    write_eaf(path, media, faces, TALK)
    root = check_eaf(path)
    eaf = Eaf(path)
    below = ("kind", "apex", "score")
    assert set(eaf.get_tier_names()) == {f"face {n}{end}" for n in faces for end in ("", *(f" {b}" for b in below))}
    assert sorted(a[:3] for a in eaf.get_annotation_data_for_tier("face 0")) == [
        (1000, 1400, "negative"),
        (2000, 2480, "überrascht <&>�"),
    ]
    assert eaf.get_annotation_data_for_tier("face 1") == []
    assert [a[:3] for a in eaf.get_annotation_data_for_tier("face 0 apex")] == [(1200, 1240, "apex")]
    assert eaf.get_ref_annotation_data_for_tier("face 0 score") == [(1000, 1400, "0.5", "negative")]
    assert [a[2] for a in eaf.get_ref_annotation_data_for_tier("face 0 kind")] == ["micro", "micro"]
    about = eaf.get_parameters_for_tier("face 12 apex")
    assert (about["PARENT_REF"], about["PARTICIPANT"], about["ANNOTATOR"]) == ("face 12", "face 12", "MEAN")
    constraints = {name: eaf.get_parameters_for_linguistic_type(name).get("CONSTRAINTS") for name in ("kind", "apex")}
    assert constraints == {"kind": "Symbolic_Association", "apex": "Included_In"}
    words = [values[0][0] for values, _ in eaf.get_cv_entries("emotion").values()]
    assert words == [*CLASSES, "others", "unclear", "micro-expression", "überrascht <&>�"]
    assert [values[0][0] for values, _ in eaf.get_cv_entries("kind").values()] == ["micro", "macro"]
    assert dict(eaf.get_properties())["mean_fps"] == "25.0"
    (link,) = root.iter("MEDIA_DESCRIPTOR")
    assert Path(unquote(urlparse(link.get("MEDIA_URL")).path)) == media
    assert (path.parent / unquote(link.get("RELATIVE_MEDIA_URL"))).resolve() == media
    assert link.get("MIME_TYPE") == "video/quicktime"
    first = path.read_bytes()
    write_eaf(path, media, faces, TALK)
    assert without_date(path.read_bytes()) == without_date(first)
    assert [p.name for p in path.parent.iterdir()] == ["a.eaf"]


def test_the_date_is_that_of_the_results(tmp_path):
    date = datetime.fromisoformat(check_eaf(written(tmp_path / "a.eaf")).get("DATE"))
    assert timedelta(0) <= datetime.now(timezone.utc) - date < timedelta(minutes=1)


@pytest.mark.parametrize("name", ["bl ank#1%.webm", "ctrl\x01.webm", os.fsdecode(b"lat\xe9in.webm")])
def test_names_of_videos_are_linked(tmp_path, name):
    """What XML cannot hold is in the absolute address only, escaped."""
    write_eaf(tmp_path / "a.eaf", tmp_path / name, {0: TWO}, TALK)
    (link,) = check_eaf(tmp_path / "a.eaf").iter("MEDIA_DESCRIPTOR")
    assert os.fsdecode(unquote_to_bytes(urlparse(link.get("MEDIA_URL")).path)) == str(tmp_path / name)
    assert link.get("RELATIVE_MEDIA_URL") == "./" + re.sub("[\x01\udce9]", "�", name)
    assert link.get("MIME_TYPE") == "video/webm"


def test_a_folder_of_images_is_not_linked(tmp_path):
    write_eaf(tmp_path / "a.eaf", tmp_path, {0: TWO}, TALK)
    assert not list(check_eaf(tmp_path / "a.eaf").iter("MEDIA_DESCRIPTOR"))


def test_labels_are_xml(tmp_path):
    everything = "".join(map(chr, range(0x20))) + "\ud800\ufffe"
    path = written(tmp_path / "a.eaf", Annotated(0, 9, everything))
    assert not re.search("[\x00-\x08]", path.read_text(encoding="utf-8"))
    check_eaf(path)


# Overlapping intervals


@pytest.mark.parametrize(
    ("intervals", "expected"),
    [
        ([], [[]]),
        ([(0, 10), (10, 20)], [[(0, 10), (10, 20)]]),  # one ends when the next begins
        ([(0, 10), (9, 20)], [[(0, 10)], [(9, 20)]]),
        # 0....5....10...15...20
        # [---------]   [-----]      first
        #      [-----------]         second
        ([(0, 10), (5, 17), (14, 20)], [[(0, 10), (14, 20)], [(5, 17)]]),
        ([(0, 9), (0, 9), (0, 9)], [[(0, 9)], [(0, 9)], [(0, 9)]]),
        ([(4, 4), (4, 4), (5, 5)], [[(4, 4), (5, 5)], [(4, 4)]]),
    ],
)
def test_layers_by_hand(intervals, expected):
    found = layers([Annotated(a, b, "x") for a, b in intervals], 25)
    assert [[(a.onset, a.offset) for a in layer] for layer in found] == expected


def test_what_overlaps_is_on_a_second_tier_and_not_cut(tmp_path):
    path = written(tmp_path / "a.eaf", Annotated(10, 30, "negative", 12), Annotated(20, 40, "positive", 33, 0.25))
    check_eaf(path)
    eaf = Eaf(path)
    assert [a[:3] for a in eaf.get_annotation_data_for_tier("face 0")] == [(400, 1200, "negative")]
    assert [a[:3] for a in eaf.get_annotation_data_for_tier("face 0 (2)")] == [(800, 1600, "positive")]
    assert eaf.get_parameters_for_tier("face 0 (2)")["PARTICIPANT"] == "face 0"
    table = read_eaf(path)
    assert table[["face", "onset", "apex", "offset"]].to_numpy().tolist() == [["0", 10, 12, 30], ["0", 20, 33, 40]]


# There and back

frames = st.integers(0, 20_000)
words = st.sampled_from([*CLASSES, "others", "unclear", "micro-expression"])


@st.composite
def annotated(draw) -> Annotated:
    onset, apex, offset = sorted(draw(st.tuples(frames, frames, frames)))
    score = draw(st.floats(-5, 5, allow_nan=False) | st.just(float("nan")))
    return Annotated(onset, offset, draw(words), draw(st.sampled_from([apex, None])), score, draw(kinds))


kinds = st.sampled_from(["micro", "macro"])
rates = st.sampled_from([12.5, 24000 / 1001, 25.0, 30000 / 1001, 30.0, 59.94, 100.0, 200.0, 240.0, 400.0])


@given(st.lists(annotated(), max_size=8), st.lists(annotated(), max_size=3), rates)
def test_what_is_written_is_read_through_pympi_too(tmp_path_factory, first, second, fps):
    path = tmp_path_factory.mktemp("eaf") / "a.eaf"
    write_eaf(path, path.parent / "talk.mp4", {0: first, 3: second}, EafAbout("s 1", "talk", fps, 20_001, CLASSES))
    check_eaf(path)
    expected = expected_rows({0: first, 3: second})
    assert rows_of(read_eaf(path)) == expected
    again = path.with_name("saved.eaf")
    Eaf(path).to_file(again)  # another program reads and saves it
    assert rows_of(read_eaf(again)) == expected


def expected_rows(faces: dict[int, Sequence[Annotated]]) -> list[tuple]:
    found = []
    for face, expressions in faces.items():
        for a in expressions:
            emotion = None if a.emotion in ("unclear", "micro-expression") else a.emotion
            found.append((str(face), a.onset, a.apex, a.offset, *map(str, (a.score, emotion, a.kind))))
    return sorted(found, key=str)


def rows_of(table: pd.DataFrame) -> list[tuple]:
    assert tuple(table.columns) == EAF_COLUMNS
    apexes = [None if np.isnan(apex) else int(apex) for apex in table["apex"]]
    columns = ("face", "onset", "offset", "score", "emotion", "kind")
    rows = zip(*(table[name] for name in columns), apexes, strict=True)
    return sorted(((f, a, x, b, *map(str, (s, e, k))) for f, a, b, s, e, k, x in rows), key=str)


@given(frames, rates)
def test_a_frame_is_the_one_that_is_shown_at_its_time(frame, fps):
    assert frame_at(milliseconds(frame, fps), fps) == frame


@pytest.mark.parametrize(
    ("time", "frame"),
    [(0, 0), (39, 0), (40, 1), (79, 1), (80, 2), (867, 21)],  # 40 ms each
)
def test_frames_of_times_by_hand(time, frame):
    """A time inside a frame is this frame, as ELAN shows it: an edge that a person drags is rarely at a frame's start.

    39.5 ms and later count as the next frame, because files have whole milliseconds.
    """
    assert frame_at(time, 25) == frame


def test_the_offset_is_that_of_the_tables(tmp_path):
    """26 / 30 s is 0.8667 s in the tables and 867 ms in ELAN, as an offset and as an onset."""
    about = EafAbout("s", "talk", 30.0, 100, CLASSES)
    path = written(
        tmp_path / "a.eaf", Annotated(10, 26, "negative", 20), Annotated(26, 26, "positive", 26), about=about
    )
    eaf = Eaf(path)
    assert sorted(a[:2] for a in eaf.get_annotation_data_for_tier("face 0")) == [(333, 867), (867, 868)]
    table = read_eaf(path)
    assert table["offset_s"].tolist() == pytest.approx([26 / 30, 26 / 30])
    assert table["onset"].tolist() == [10, 26] and table["offset"].tolist() == [26, 26]
    assert span(Annotated(26, 26, "positive"), 30) == (867, 868)


def test_the_file_is_self_contained(tmp_path):
    table = read_eaf(written(tmp_path / "a.eaf"))
    assert table[["subject", "video", "face"]].drop_duplicates().to_numpy().tolist() == [["session 1", "talk", "0"]]
    assert table["onset"].tolist() == [10, 50] and table["emotion"].tolist() == ["negative", "positive"]
    assert table["score"].tolist() == [0.5, 0.25] and table["kind"].tolist() == ["micro", "micro"]


def test_what_a_person_edits_in_elan(tmp_path):
    """An edge is dragged, a word is added to the vocabulary and used, an expression is added without tiers below it."""
    path = written(tmp_path / "a.eaf")
    eaf = Eaf(path)
    eaf.add_cv_entry("emotion", "mine", [("contempt", "und", None)])
    eaf.add_annotation("face 0", 3210, 3555, " contempt ")  # 80.25 and 88.9 frames
    eaf.add_annotation("face 0", 4000, 4400, "")
    eaf.remove_annotation("face 0", 450)
    for name in ("kind", "score"):  # ELAN removes what belongs to it
        tier = eaf.tiers[f"face 0 {name}"][1]
        del tier[min(tier, key=lambda a: int(a[1:]))]
    eaf.remove_annotation("face 0 apex", 610)
    eaf.to_file(path)
    table = read_eaf(path)
    assert table["onset"].tolist() == [50, 80, 100] and table["offset"].tolist() == [60, 88, 110]
    assert table["emotion"].tolist() == ["positive", "contempt", None]
    assert table["kind"].tolist() == ["micro"] * 3
    np.testing.assert_array_equal(table["score"], [0.25, np.nan, np.nan])


@given(st.data())
def test_a_damaged_file_is_read_or_refused(tmp_path_factory, data):
    """Bytes are replaced, removed or repeated; half of the time these are words of the format or its values."""
    content = written(tmp_path_factory.mktemp("eaf") / "a.eaf").read_bytes()
    for _ in range(data.draw(st.integers(1, 4))):
        parts = re.findall(rb'"[^"]*"|>[^<>\s]+<|.', content, re.DOTALL)
        at = data.draw(st.integers(0, len(parts) - 1))
        other = st.binary(max_size=3) | st.sampled_from(parts) | st.sampled_from([b'"-1"', b'"9e9"', b'""', b">nan<"])
        content = b"".join([*parts[:at], data.draw(other), *parts[at + 1 :]])
    path = tmp_path_factory.mktemp("eaf") / "b.eaf"
    path.write_bytes(content)
    try:
        table = read_eaf(path)
    except InputError as error:
        assert str(error).startswith(str(path)) and not UNPRINTABLE.search(str(error))
    else:
        assert (table["onset"] <= table["offset"]).all() and (table["onset"] >= 0).all()


def test_a_file_without_expressions(tmp_path):
    write_eaf(tmp_path / "a.eaf", tmp_path / "talk.mp4", {0: []}, TALK)
    table = read_eaf(tmp_path / "a.eaf")
    assert table.empty and tuple(table.columns) == EAF_COLUMNS and table["onset"].dtype == np.int64


def test_an_end_just_after_the_last_frame_is_the_last_frame(tmp_path):
    path = written(tmp_path / "a.eaf", Annotated(190, 200, "negative"))
    assert read_eaf(path)["offset"].tolist() == [199]
