"""CAS(ME)^3: what is read of its tiny copy with all quirks, and what is done about each quirk."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import Utils.datasets.casme3
from face_crop import CropRoots, choose_crop_roots, crop_videos
from load_excel import load_annotations, match_expressions
from load_images import MOST_MISSING, find_videos
from prepare_training import average_half_length
from tests.support.layouts import shared_layout, write_xls, write_xlsx
from tests.support.layouts_casme3 import (
    BOTH_KINDS,
    DAMAGED,
    EXPRESSIONS,
    FIRST,
    FRAMES,
    GAP,
    HEADER,
    K_PRIME,
    MACRO_ROWS,
    MACROS,
    MICRO_BOOK,
    MICRO_ROWS,
    RAW,
    SHEETS,
    THREE,
    make_casme3,
    replace_file,
    shared_casme3,
    write_books,
)
from Utils.dataset_run.check import check_dataset
from Utils.datasets.facts import PublishedCount
from Utils.datasets.table import DATASETS
from Utils.datasets.workbooks import Row, Sheet
from Utils.errors import InputError
from Utils.faces.images import ReadableImages, read_image

CASME3 = DATASETS["CASME3"]
COLOR = f"{RAW}/data/spNO.1/a/color"


@pytest.fixture
def root(tmp_path) -> Path:
    """A copy that may be changed."""
    make_casme3(tmp_path)
    return tmp_path


def load(root, dataset=CASME3, **options):
    """Videos with their expressions, annotations and all remarks."""
    found, remarks = find_videos(dataset, root)
    annotations = load_annotations(dataset, root, **options)
    videos, more = match_expressions(found, annotations)
    return videos, annotations, remarks + annotations.remarks + more


def expressions(videos):
    return {v.label: [(e.onset, e.apex, e.offset, e.emotion) for e in v.expressions] for v in videos}


def places(lines):
    """Messages without the workbook's and the sheet's name."""
    return [line.partition("sheet ")[2].partition(", ")[2] for line in lines]


# What is read


@pytest.mark.parametrize("classes", [None, "3", "4", "7"])
def test_micro_expressions_with_the_words_of_the_classes(classes):
    dataset = CASME3.with_classes(classes)
    words = THREE if classes != "7" else {word: word for word in THREE}
    truth = {label: [(*e[:3], words[e[3]]) for e in of_video] for label, of_video in EXPRESSIONS.items()}
    videos, annotations, _ = load(shared_casme3(), dataset)
    assert expressions(videos) == truth
    assert list(expressions(videos)) == ["spNO.1/a", "spNO.1/J", "spNO.2/c"]  # "J" after "a", as small letters
    assert (annotations.left_out, annotations.skipped) == ([], {})


def test_macro_expressions_have_no_emotion_and_may_lack_an_apex():
    videos, annotations, _ = load(shared_casme3(), kind="macro")
    assert expressions(videos) == MACROS
    assert {e.kind for v in videos for e in v.expressions} == {"macro"}
    assert {reason: len(rows) for reason, rows in annotations.skipped.items()} == {"micro-expression": len(MICRO_ROWS)}
    for classes in CASME3.class_choices:  # so none is recognised, also where "others" is a class
        assert "" not in CASME3.with_classes(classes).classes


def test_classes_of_each_choice():
    sizes = {choice: len(CASME3.with_classes(choice).classes) for choice in CASME3.class_choices}
    assert sizes == {"3": 3, "4": 4, "7": 7}
    assert CASME3.with_classes("3") == CASME3.with_classes(None) == CASME3
    assert CASME3.with_classes("4").classes == ("negative", "positive", "surprise", "others")
    for choice in CASME3.class_choices:
        dataset = CASME3.with_classes(choice)
        assert set(dataset.classes) <= set(dataset.emotions.values()) <= {*dataset.classes, "others"}
        assert set(dataset.emotions) == set(CASME3.emotions)


@pytest.mark.parametrize("name", ["DEMO", "CASME2"])
def test_other_datasets_have_no_choice(name):
    with pytest.raises(InputError, match=r"has one set of classes \(.*\); leave --classes out"):
        DATASETS[name].with_classes("3")


@pytest.mark.parametrize("choice", ["5", "", "a,b", "3 "])
def test_unknown_choice(choice):
    with pytest.raises(InputError, match=r"is none of 3, 4, 7, as CAS\(ME\)\^3 has"):
        CASME3.with_classes(choice)


# Frames


def test_frame_i_is_the_file_of_number_i():
    videos, _, remarks = load(shared_casme3())
    assert {v.label: len(v.frames) for v in videos} == FRAMES
    for video in videos:
        numbers, first = [int(f.stem) for f in video.frames], FIRST[video.label]
        assert numbers[:first] == [first] * first
        gap = GAP if video.label == "spNO.1/a" else ()
        assert numbers[first:] == [GAP[0] - 1 if n in gap else n for n in range(first, FRAMES[video.label])]
    assert [line.partition("/part_A/")[2] for line in remarks[:3]] == [
        f"{folder}: {missing} frame number(s) missing, {first} of them before {first}.jpg; the nearest frame before a "
        "missing one is used for it, at the beginning the first one"
        for folder, missing, first in (
            ("data/spNO.1/J/color", 7, 7), ("data/spNO.1/a/color", 10, 8), ("data_2/part/spNO.2/c/Color", 8, 8),
        )
    ]  # fmt: skip


def test_annotated_frames_without_a_file_are_reported_once_for_each_video():
    remarks = [line for line in load(shared_casme3())[2] if "annotated frame(s) without a file" in line]
    assert [(line.split(":")[0], line.partition("first is ")[2].split(" (")[0]) for line in remarks] == [
        ("spNO.1/a", "apex 32"),
        ("spNO.1/J", "onset 0"),
        ("spNO.2/c", "onset 3"),
    ]


def test_onset_as_apex_is_an_unknown_apex():
    """The pair of one frame with itself shows nothing. The upstream protocol has the number as it is written."""
    _, annotations, remarks = load(shared_casme3())
    assert places([line for line in remarks if "apex taken as unknown" in line]) == [
        "row 4: onset and apex are the same frame, apex taken as unknown"
    ]
    upstream = load_annotations(CASME3, shared_casme3(), "upstream")
    assert [r.expression.apex for r in annotations.rows][2] is None
    assert [r.expression.apex for r in upstream.rows] == [int(row[3]) for row in MICRO_ROWS]


def test_very_long_expressions_are_used_and_change_only_the_mean():
    videos, _, remarks = load(shared_casme3())
    assert any("offset lies 2991 frame(s) beyond the last of the 50 of spNO.2/c" in line for line in remarks)
    marks = [e for v in videos for e in v.expressions]
    assert {"mean": average_half_length(marks), "median": average_half_length(marks, from_median=True)} == K_PRIME


def test_one_file_with_a_huge_number_makes_no_huge_video(root):
    shutil.copy(root / COLOR / "8.jpg", root / COLOR / "99999999.jpg")
    with pytest.raises(InputError, match=rf"99999999\.jpg: \d+ frame numbers .* more than {MOST_MISSING}; rename"):
        find_videos(CASME3, root)
    (root / COLOR / "99999999.jpg").rename(root / COLOR / f"{MOST_MISSING + 37}.jpg")
    assert len(find_videos(CASME3, root)[0]["spno.1", "a"].frames) == MOST_MISSING + 38


def test_one_subject_in_two_places_and_spellings(root):
    shutil.copytree(root / COLOR, root / RAW / "z/SPno.01/b/color")
    videos = find_videos(CASME3, root)[0].values()
    assert [v.label for v in videos] == ["spNO.1/a", "spNO.1/b", "spNO.1/J", "spNO.2/c"]
    shutil.copytree(root / COLOR, root / RAW / "z/SPno.01/A/color")
    with pytest.raises(InputError, match=r"SPno\.01/A: the same video as .*spNO\.1/a/color; remove one of them"):
        find_videos(CASME3, root)


def test_links_to_folders_above_are_followed_once(root):
    (root / RAW / "data/up").symlink_to(root / "CASME3")
    (root / RAW / "data/self").symlink_to("self")
    assert len(find_videos(CASME3, root)[0]) == 3
    assert len(load_annotations(CASME3, root).rows) == len(MICRO_ROWS)


def test_folders_that_are_no_videos_are_named(root):
    (root / RAW / "notes").mkdir()
    (root / RAW / "data/spNO.1/ab").mkdir()
    assert find_videos(CASME3, root)[1][-1].endswith("spNO.1/ab: not named as a video, skipped (and 1 more folder(s))")


def test_video_without_color(root):
    shutil.rmtree(root / COLOR)
    with pytest.raises(InputError, match=r"spNO\.1/a: no folder color with the frames; copy it there, or remove"):
        find_videos(CASME3, root)


# Workbooks


def test_both_formats(root):
    (root / BOTH_KINDS).unlink()
    both = [[*row[:6], "Micro-expression", row[6]] for row in MICRO_ROWS] + MACRO_ROWS
    names = ("AU+Emotion",)
    write_xlsx(root / "CASME3/CAS(ME)3_PART_A_v2.xlsx", [[[*HEADER, "Expression type", "Class"], *both]], names)
    assert expressions(load(root, kind="macro")[0]) == MACROS
    (root / MICRO_BOOK).unlink()
    book = root / "CASME3/a/b/cas(me)3_part_A_ME_label_JpgIndex_v2.xls"
    write_xls(book, [[[*HEADER, "emotion"], *[[*row[:6], row[7]] for row in MICRO_ROWS]]], SHEETS[1])
    assert len(load(root)[1].rows) == len(MICRO_ROWS)


def test_another_copy_of_a_workbook_is_mentioned(root):
    shutil.copy(root / MICRO_BOOK, root / "CASME3")
    remarks = load(root)[2]
    assert any("used for the micro; not used: CASME3/annotation/more/Cas(me)3" in line for line in remarks)


def test_workbooks_that_differ_are_reported(root):
    write_books(root, MICRO_ROWS[:-1], MACRO_ROWS)
    both = (root / BOTH_KINDS).read_bytes()
    other = [["spNO.2", "c", "3", "9", "13", "14", "VII", "others"], ["spNO.2", "c", "3", "9", "14", "1", "I", "sad"]]
    write_books(root, [*MICRO_ROWS[:-1], *other], MACRO_ROWS)
    replace_file(root / BOTH_KINDS, both)
    remarks = load(root)[2]
    assert any("row 7: CAS(ME)3_part_A_v2.xls has no such micro-expression, used (and 1 more" in r for r in remarks)
    write_books(root)
    micro = (root / MICRO_BOOK).read_bytes()
    write_books(root, [*MICRO_ROWS, other[0]])
    replace_file(root / MICRO_BOOK, micro)
    remarks = load(root)[2]
    assert any("row 8: the workbook with the emotions has no such micro-expression, not used" in r for r in remarks)


def test_the_workbook_of_both_kinds_is_only_compared_for_micro_expressions(root):
    replace_file(root / BOTH_KINDS, b"no workbook")
    videos, _, remarks = load(root)
    assert list(expressions(videos)) == list(EXPRESSIONS)
    assert any("not compared with the workbook of both kinds of expressions: " in line for line in remarks)
    (root / BOTH_KINDS).unlink()
    assert any("which is not there" in line for line in load(root)[2])
    with pytest.raises(
        InputError, match=r"CAS\(ME\)3_part_A_v2\.xlsx: not found \(workbook of annotations of CASME3\)"
    ):
        load(root, kind="macro")


def test_a_video_with_macro_expressions_only_is_named_by_a_row(root):
    shutil.copytree(root / COLOR, root / RAW / "spNO.2/d/color")
    shutil.copytree(root / COLOR, root / RAW / "spNO.2/e/color")
    write_books(root, MICRO_ROWS, [*MACRO_ROWS, ["spNO.2", "d", "9", "12", "30", "4", "Macro-expression", "VII"]])
    assert load(root)[2][-1] == "1 video folder(s) without any row in the workbook: spNO.2/e"


def test_methods_that_only_spot_do_not_need_the_emotions(root):
    truth = {label: [e[:3] for e in of_video] for label, of_video in EXPRESSIONS.items()}

    def intervals(videos):
        return {label: [e[:3] for e in of_video] for label, of_video in expressions(videos).items()}

    write_books(root, [[*row[:7], "boredom"] for row in MICRO_ROWS])
    with pytest.raises(InputError, match=r"no usable micro-expression; 6 row\(s\) left out.*emotion 'boredom' is not"):
        load(root)
    assert intervals(load(root, spotting_only=True)[0]) == truth
    (root / MICRO_BOOK).unlink()
    with pytest.raises(InputError, match=r"JpgIndex_v2\.xlsx: not found \(workbook of micro of CASME3\)"):
        load(root)
    videos, annotations, _ = load(root, spotting_only=True)
    assert intervals(videos) == truth and len(annotations.skipped["macro-expression"]) == len(MACRO_ROWS)
    (root / BOTH_KINDS).unlink()
    with pytest.raises(InputError, match="not found"):
        load(root, spotting_only=True)


FAULTY = {
    0: ("spNo 1", "column A: Subject 'spNo 1' is not spNO.<number>"),
    1: ("aa", "column B: Filename 'aa' is not a letter from a to z"),
    2: ("early", "column C: onset is 'early', not a number"),
    3: ("", "column D: apex is empty"),
    4: ("7.5", "column E: offset is 7.5, not a whole frame number"),
    7: ("hate", "column H: emotion 'hate' is not one of disgust, fear, anger, sad, happy, surprise, others"),
}


@pytest.mark.parametrize("column", FAULTY)
def test_faulty_rows_are_left_out_and_the_others_used(root, column):
    row = list(MICRO_ROWS[0])
    row[column], said = FAULTY[column]
    write_books(root, [row, *MICRO_ROWS[1:]])
    _, annotations, _ = load(root)
    assert len(annotations.rows) == len(MICRO_ROWS) - 1
    assert places(annotations.left_out) == [f"row 2, {said}"]


CELLS = st.one_of(
    st.none(),
    st.integers(-10, 5000),
    st.floats(),
    st.sampled_from(["spNO.3", "b", "12", "Micro-expression", "sad", "x"]),
)


@given(st.lists(st.lists(CELLS, min_size=7, max_size=7), max_size=5), st.sampled_from(["micro", "macro"]))
@settings(max_examples=200, deadline=None)
def test_any_row_is_used_left_out_or_skipped(rows, kind):
    header = [*HEADER, "Expression type" if kind == "macro" else "emotion"]
    table = [Row(tuple(cells), f"book, row {i}") for i, cells in enumerate([header, *rows], start=1)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Utils.datasets.casme3, "sheet_named", lambda path, name: Sheet("book", tuple(table)))
        found = CASME3.read_annotations({"micro": Path("book"), "annotations": Path("b")}, CASME3.emotions, kind)
    assert len(found.rows) + len(found.left_out) + sum(map(len, found.skipped.values())) == len(rows)
    for row in found.rows:
        assert 0 <= row.expression.onset <= row.expression.offset


# Damaged images


def test_readable_images_replace_what_is_damaged(tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(5)]
    for i in (1, 3, 4):
        paths[i].write_bytes(cv2.imencode(".png", np.full((4, 6, 3), 10 * i, np.uint8))[1].tobytes())
    paths[0].write_bytes(b"")
    paths[2].write_bytes(b"text")
    images = ReadableImages([paths[i] for i in (0, 0, 1, 2, 3, 3, 4)])
    assert [int(image[0, 0, 0]) for image in images] == [10, 10, 10, 10, 30, 30, 40]
    assert images.damaged == [paths[0], paths[2]]
    assert list(ReadableImages([paths[0], paths[2]])) == []
    with pytest.raises(InputError, match="No such file"):
        list(ReadableImages([tmp_path / "gone.png"]))


@pytest.mark.parametrize("protocol", ["paper", "upstream"])
def test_crops_of_damaged_images_are_those_of_the_frame_before(root, protocol):
    videos, _, _ = load(root)
    roots = choose_crop_roots(CASME3, root, root / "cache")
    crops, remarks = crop_videos(videos, CASME3, roots, workers=1, protocol=protocol)
    assert [(line.split(":")[0], line.partition("first is ")[2].split(";")[0]) for line in remarks] == [
        (label, f"{number}.jpg") for label, number in DAMAGED.items()
    ]
    for raw, video in zip(videos, crops, strict=True):
        folder = root / CASME3.crop_dir / video.label
        assert len(video.frames) == len(raw.frames)
        assert [f.name for f in video.frames] == [f.name for f in raw.frames]
        assert {f.parent for f in video.frames} == {folder}
        assert len(list(folder.glob("*.jpg"))) == len(set(raw.frames))
    replaced = {label: crops[list(FRAMES).index(label)].frames for label in DAMAGED}
    np.testing.assert_array_equal(*(read_image(replaced["spNO.1/J"][i]) for i in (7, 8)))
    np.testing.assert_array_equal(*(read_image(replaced["spNO.2/c"][i]) for i in (25, 24)))
    again, remarks_again = crop_videos(videos, CASME3, roots, workers=1, protocol=protocol)
    assert (again, remarks_again) == (crops, remarks)


def test_a_repaired_image_is_cropped_again(root):
    videos, _, _ = load(root)
    roots = CropRoots(root / "crops", by_names=True)
    crop_videos(videos, CASME3, roots, workers=1)
    shutil.copy(root / COLOR / "8.jpg", videos[1].frames[0])
    _, remarks = crop_videos(videos, CASME3, roots, workers=1)
    assert [line.split(":")[0] for line in remarks] == ["spNO.2/c"]


def test_videos_without_any_readable_image(root):
    videos, _, _ = load(root)
    for path in set(videos[0].frames):
        replace_file(path, b"")
    roots = CropRoots(root / "crops", by_names=True)
    for _ in range(2):
        crops, remarks = crop_videos(videos, CASME3, roots, workers=1)
        assert [v.label for v in crops] == ["spNO.1/J", "spNO.2/c"]
        assert remarks[0] == "spNO.1/a: none of its 38 images can be read, video left out"
    crops, remarks = crop_videos(videos, CASME3, roots, workers=1, protocol="upstream")
    assert [v.label for v in crops] == ["spNO.1/J", "spNO.2/c"]
    with pytest.raises(InputError, match=r"none of the 1 videos can be used; the first: spNO\.1/a: none of its 38 im"):
        crop_videos(videos[:1], CASME3, roots, workers=1)
    record = json.loads((root / "crops/spNO.1/a/.face_crop.json").read_text())
    assert (record["rectangle"], len(record["damaged"])) == (None, 38)


def test_other_datasets_stay_strict():
    assert {name for name, d in DATASETS.items() if d.index_is_number} == {"CASME3"}


# The check


def test_check_shows_published_counts_beside_ours():
    found = check_dataset(CASME3, shared_casme3(), half_length_from="median")
    lines = found.report.splitlines()
    assert found.problems == []
    for line in (
        "  subjects/videos/expressions: here 2/3/6",
        "  subjects/videos/expressions as counted by the dataset's authors: published 94/463/860, here 2/3/6: differs",
        "  videos/expressions as counted by others, without onset 0: published 462/858, here 3/5: differs",
        "  k': here 11",
        "  k' is made from the median of offset - onset: mean 520.0, median 21, longest 3030 frames",
        "frames that cannot be read: 2",
        "gaps and other files: 3",
    ):
        assert line in lines
    assert any(line.startswith("frames: 119 in 3 video folder(s)") for line in lines)  # each file once
    assert "  k': here 260" in check_dataset(CASME3, shared_casme3()).report.splitlines()
    macro = check_dataset(CASME3, shared_casme3(), kind="macro").report
    assert "  expressions as counted by the dataset's authors: published 3346, here 3: differs" in macro


def test_counts_that_are_equal():
    counted = (PublishedCount("us", 5, 3, 2, least_onset=1), PublishedCount("them", 6))
    report = check_dataset(replace(CASME3, released=counted), shared_casme3()).report
    assert "as counted by us: published 2/3/5, here 2/3/5: equal" in report
    assert "expressions as counted by them: published 6, here 6: equal" in report


def test_check_of_other_datasets_names_the_average():
    for average, k_prime in (("mean", 10), ("median", 12)):  # lengths 24, 24, 12, 24, 24, 7, 24
        report = check_dataset(DATASETS["CASME_sq"], shared_layout("CASME_sq"), half_length_from=average).report
        assert f"k': published 6, here {k_prime}: differs" in report
        assert f"k' is made from the {average} of offset - onset: mean 19.9, median 24, longest 24 frames" in report
