"""Loading: the six layouts with their quirks, what is left out and why, and odd folders and rows."""

import cv2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from load_excel import load_annotations, match_expressions
from load_images import find_videos, read_crop
from tests.support import layouts
from tests.support.layouts import (
    make_layout,
    make_small,
    place_frames,
    rendered_clips,
    shared_layout,
    small_clip,
    small_row,
    write_xlsx,
)
from tests.support.layouts_truth import EXPRESSIONS, SMIC, UPSTREAM_EXPRESSIONS
from Utils.datasets.annotations import match_key
from Utils.datasets.readers import read_casme_sq
from Utils.datasets.table import DATASETS
from Utils.datasets.workbooks import open_workbook
from Utils.errors import InputError
from Utils.faces.landmarks import detect_faces

CASME_SQ = DATASETS["CASME_sq"]


def load(name, root, protocol="paper", which="annotated"):
    """Videos, annotations and all remarks of a data root."""
    found, remarks = find_videos(DATASETS[name], root)
    annotations = load_annotations(DATASETS[name], root, protocol)
    videos, more = match_expressions(found, annotations, which)
    return videos, annotations, remarks + annotations.remarks + more


def expressions(videos):
    """{label: [(onset, apex, offset, emotion), ...]} in the order of the videos."""
    return {v.label: [(e.onset, e.apex, e.offset, e.emotion) for e in v.expressions] for v in videos}


def below_the_sheet(lines):
    """Messages without the workbook's and the sheet's name."""
    return [line.partition("sheet 'Sheet1', ")[2] for line in lines]


# What comes out of each layout

SMIC_SKIPPED = {"further expression of a short video": 1, "line of text": 2}
SKIPPED = {
    "CASME_sq": {"macro-expression": 2, "line of text": 1},
    "SAMMLV": {"macro-expression": 2, "onset 0": 1},
    "CASME2": {
        "apex /": 1,
        "fear (not evaluated)": 1,
        "labelling error of the release (frames 66, 111, 111)": 1,
        "line of text": 1,
    },
    **dict.fromkeys(SMIC, SMIC_SKIPPED),
}

SMIC_FAULTS = [
    "row 10, column J: FirstF is 'no', not a number",
    "row 11, column D: onset 5044 lies after offset 5020",
    "row 12, column D: onset 4990 lies before the first frame 5000",
    "row 13, column B: Filename 's1ne14' is not s<subject>_<emotion>_<number>",
    "row 14, column A: Subject is 'one', not a number",
    "row 15, column I: emotion 'bored' is not one of negative, positive, surprise, ne, po, sur",
]
FAULTS = {
    "CASME_sq": [
        "row 11, column A: '9' has no row in sheet 'Sheet2'",
        "row 12, column B: 'teapot1' has no row in sheet 'Sheet3'",
        "row 13, column C: onset 45 lies after offset 21",
        "row 14, column C: onset is 'early', not a number",
        "row 15, column C: onset is 21.5, not a whole frame number",
        "row 16, column G: emotion 'postive' is not one of negative, positive, surprise, others",
        "row 17, column H: type 'micro' is neither micro-expression nor macro-expression",
        "row 18, column D: apex is empty",
        "row 19, column D: apex 0 lies before the first frame 1",
        "row 20, column C: the same expression as in row 1",
    ],
    "SAMMLV": [
        "row 20, column B: Filename '006-1-2' is not <subject>_<video>_<number>",
        "row 21, column D: onset 45 lies after offset 21",
        "row 22, column D: Onset is 21.5, not a whole frame number",
        "row 23, column E: Apex is '?', not a number",
        "row 24, column H: Type 'Mikro' is neither Micro nor Macro",
        "row 25, column B: no emotion for (006_1_7, Micro - 1/2) in SAMM_20181215_Micro_FACS_Codes_v2.xlsx",
        "row 28, column J: emotion 'Boredom' is not one of anger, contempt, disgust, fear, sadness, happiness, "
        "surprise, other, others",
    ],
    "CASME2": [
        "row 13, column A: Subject is 'two', not a number",
        "row 14, column E: apex is '//', not a number",
        "row 15, column D: onset 45 lies after offset 21",
        "row 16, column I: emotion 'wonder' is not one of disgust, happiness, others, surprise, repression, fear, "
        "sadness",
        "row 17, column F: offset is empty",
    ],
    **dict.fromkeys(SMIC, SMIC_FAULTS),
}
ABSENT = {
    "CASME_sq": "row 10: no frames of video 0503 of subject s23, 1 expression(s) left out",
    "SAMMLV": "row 27: no frames of video 099_1 of subject 099, 1 expression(s) left out",
    "CASME2": "row 18: no frames of video EP02_06 of subject sub02, 1 expression(s) left out",
    **dict.fromkeys(SMIC, "row 16: no frames of video ne_17 of subject s01, 1 expression(s) left out"),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
@pytest.mark.parametrize("second_spelling", [False, True])
@pytest.mark.parametrize("faults", [False, True])
def test_expressions_of_each_layout(name, second_spelling, faults):
    videos, annotations, _ = load(name, shared_layout(name, second_spelling, faults))
    assert list(expressions(videos).items()) == list(EXPRESSIONS[name].items())
    assert {reason: len(places) for reason, places in annotations.skipped.items()} == SKIPPED[name]


@pytest.mark.parametrize("name", FAULTS)
def test_faulty_rows_are_left_out_and_named(name):
    _, annotations, remarks = load(name, shared_layout(name, faults=True))
    assert below_the_sheet(annotations.left_out) == FAULTS[name]
    assert ABSENT[name] in below_the_sheet(remarks)
    assert annotations.summary()[1] == f"{len(FAULTS[name])} row(s) left out because they are faulty"
    assert load(name, shared_layout(name))[1].left_out == []


def test_message_names_workbook_and_sheet():
    _, annotations, _ = load("CASME2", shared_layout("CASME2", faults=True))
    assert annotations.left_out[0].startswith("CASME2_label_Ver_2.xls, sheet 'Sheet1', row 13, column A: ")
    assert annotations.skipped["apex /"] == ["CASME2_label_Ver_2.xls, sheet 'Sheet1', row 6"]
    assert annotations.summary()[0].startswith("4 row(s) skipped: 1 apex /, 1 fear (not evaluated)")


def test_remarks_on_folders_and_frames():
    _, _, remarks = load("CASME_sq", shared_layout("CASME_sq"))
    assert remarks == [
        "code_final.xlsx, sheet 'Sheet1', row 8: offset lies 3 frame(s) beyond the last of the 42 of "
        "s104/104_0101slowkettle",
        "code_final.xlsx, sheet 'Sheet1', row 10: no frames of video 0503 of subject s23, 1 expression(s) left out",
        "1 video folder(s) without any row in the workbook: s104/104_0503fogharbour",
    ]
    _, _, remarks = load("SMIC_NIR", shared_layout("SMIC_NIR"))
    assert remarks == ["1 video folder(s) without any row in the workbook: s20/s20_ne_07"]


def test_videos_without_micro_expression_on_request():
    videos, _, _ = load("CASME_sq", shared_layout("CASME_sq"), which="all")
    assert [v.label for v in videos if not v.expressions] == [
        "s104/104_0401rollingmarbles",
        "s104/104_0503fogharbour",
    ]


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_frames_in_order_of_their_numbers(name):
    dataset = DATASETS[name]
    videos, _, _ = load(name, shared_layout(name))
    for video in videos:
        numbers = [dataset.frame_number(f.name) for f in video.frames]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert all(f.is_file() for f in video.frames)


def test_img9_comes_before_img10():
    videos, _, _ = load("CASME2", shared_layout("CASME2"))
    assert [f.name for f in videos[0].frames[8:10]] == ["img9.jpg", "img10.jpg"]
    videos, _, _ = load("SMIC_VIS", shared_layout("SMIC_VIS"))
    assert [f.name for f in videos[2].frames[29:31]] == ["image999.jpg", "image1000.jpg"]
    assert videos[3].frames[0].name == "image 01200.jpg"


@pytest.mark.parametrize("subject", range(len(layouts.MOTIONS)))
@pytest.mark.parametrize("start", [0, 2, 6, 20])
def test_dlib_finds_the_rendered_faces(subject, start):
    image = cv2.imread(str(rendered_clips() / str(subject) / f"{start}.jpg"))
    assert len(detect_faces(image)) == 1


# The upstream protocol (docs/method.md, section 7)


@pytest.mark.parametrize("name", SMIC)
def test_upstream_subtracts_one_more_in_smic_and_drops_onset_at_first_frame(name):
    videos, annotations, _ = load(name, shared_layout(name), "upstream")
    assert list(expressions(videos).items()) == list(UPSTREAM_EXPRESSIONS[name].items())
    assert below_the_sheet(annotations.skipped["onset at the first frame"]) == ["row 7"]


def test_upstream_takes_the_apex_as_it_stands():
    videos, _, _ = load("SAMMLV", shared_layout("SAMMLV"), "upstream")
    assert expressions(videos) == UPSTREAM_EXPRESSIONS["SAMMLV"]


def test_upstream_keeps_the_workbooks_order():
    videos, _, _ = load("CASME_sq", shared_layout("CASME_sq"), "upstream")
    assert expressions(videos) == UPSTREAM_EXPRESSIONS["CASME_sq"]


def test_unknown_protocol_is_refused():
    with pytest.raises(ValueError, match="not one of paper, upstream"):
        load_annotations(DATASETS["CASME_sq"], shared_layout("CASME_sq"), "papre")


# The table


def test_no_entry_lacks_a_fact():
    assert {name: (d.published, d.k_prime) for name, d in DATASETS.items() if d.published} == {
        "CASME_sq": ((14, 33, 57), 6),
        "SAMMLV": ((29, 79, 159), 37),
        "CASME2": ((26, 244, 244), None),
        "SMIC_HS": ((16, 157, 157), None),
        "SMIC_VIS": ((8, 71, 71), None),
        "SMIC_NIR": ((8, 71, 71), None),
    }
    for dataset in DATASETS.values():
        assert dataset.k == round(dataset.fps * 0.1 + 0.01)  # 25 x 0.1 counts as 3
        assert {e for e in dataset.emotions.values() if e} <= {*dataset.classes, "others"}
        assert set(dataset.classes) <= set(dataset.emotions.values())


NAMES = {
    "CASME_sq": "img{:03d}.jpg",
    "SAMMLV": "006_1_{:04d}.jpg",
    "CASME2": "img{}.jpg",
    "SMIC_HS": "image{}.jpg",
    "SMIC_VIS": "image {:05d}.jpg",
    "SMIC_NIR": "image  {:05d}.BMP",
}


@pytest.mark.parametrize("name", NAMES)
@given(number=st.integers(0, 10_000_000))
@settings(max_examples=50, deadline=None)
def test_frame_number_is_read_from_the_name(name, number):
    dataset = DATASETS[name]
    file_name = NAMES[name].format(number)
    assert dataset.frame_number(file_name) == number
    stem = file_name.rpartition(".")[0]
    assert dataset.crop_file(file_name) == (f"{number:04d}.jpg" if name == "SAMMLV" else f"{stem}.jpg")


@pytest.mark.parametrize("file_name", ["Thumbs.db", "._img001.jpg", "img.jpg", "img001.txt", "img001 (1).jpg", "001"])
@pytest.mark.parametrize("name", NAMES)
def test_other_files_are_no_frames(name, file_name):
    assert DATASETS[name].frame_number(file_name) is None


@pytest.mark.parametrize(
    ("row", "folder"),
    [
        (("s01", "ne_01"), ("s1", "ne_1")),
        (("sub02", "EP02_01f"), ("sub2", "ep02_01F")),
        (("s9", "401"), ("s9", "0401")),
    ],
)
def test_names_match_without_padding_and_case(row, folder):
    assert match_key(*row) == match_key(*folder)
    assert match_key("s1", "0101") != match_key("s10", "101")


# Folders


def test_gap_is_reported_and_frames_count_by_position(tmp_path):
    make_small(tmp_path, [small_clip("s1/1_0101a")], [small_row(1, "0101")])
    for number in (4, 5, 8):
        (tmp_path / f"CASME_sq/rawpic/s1/1_0101a/img{number:03d}.jpg").unlink()
    videos, _, remarks = load("CASME_sq", tmp_path)
    folder = tmp_path / "CASME_sq/rawpic/s1/1_0101a"
    gap = "3 frame number(s) missing, the first after img003.jpg; the frames are used as if none were missing"
    assert remarks[0] == f"{folder}: {gap}"
    assert len(videos[0].frames) == 7
    assert videos[0].frames[3].name == "img006.jpg"


def test_frames_that_begin_elsewhere_are_reported(tmp_path):
    make_small(tmp_path, [small_clip("s1/1_0101a", first=5)], [small_row(1, "0101")])
    assert "is the first frame, but the annotations count from 1 (code_final.xlsx" in load("CASME_sq", tmp_path)[2][0]


def test_onset_beyond_the_last_frame(tmp_path):
    make_small(tmp_path, [small_clip("s1/1_0101a")], [small_row(1, "0101", 11, 12, 13)])
    videos, _, remarks = load("CASME_sq", tmp_path)
    assert remarks == [
        "code_final.xlsx, sheet 'Sheet1', row 1: onset lies 1 frame(s) beyond the last of the 10 of s1/1_0101a",
    ]
    assert expressions(videos) == {"s1/1_0101a": [(10, 11, 12, "negative")]}


def test_folder_without_frames(tmp_path):
    make_small(tmp_path, [small_clip("s1/1_0101a")], [small_row(1, "0101")])
    (tmp_path / "CASME_sq/rawpic/s1/1_0102b").mkdir()
    with pytest.raises(InputError, match=r"1_0102b: no frames in this video folder"):
        find_videos(CASME_SQ, tmp_path)


def test_one_frame_number_twice(tmp_path):
    make_small(tmp_path, [small_clip("s1/1_0101a")], [small_row(1, "0101")])
    folder = tmp_path / "CASME_sq/rawpic/s1/1_0101a"
    (folder / "img3.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=r"frame 3 is there twice, as img003\.jpg and img3\.jpg; remove one of them$"):
        find_videos(CASME_SQ, tmp_path)


def test_one_video_twice(tmp_path):
    make_small(
        tmp_path,
        [small_clip("s1/1_0101a"), small_clip("s1/1_0101copy"), small_clip("s01/1_0101a")],
        [small_row(1, "0101")],
    )
    with pytest.raises(InputError, match=r"the same video as .*1_0101a; remove one of them \(and 1 more such"):
        find_videos(CASME_SQ, tmp_path)


def test_unknown_names_are_skipped_with_a_remark(tmp_path):
    make_small(tmp_path, [small_clip("s1/1_0101a"), small_clip("s1/old"), small_clip("backup")], [small_row(1, "0101")])
    folder = tmp_path / "CASME_sq/rawpic/s1/1_0101a"
    (folder / "img001 copy.jpg").write_bytes(b"")
    (folder / "Thumbs.db").write_bytes(b"")
    (folder.parent / ".hidden").mkdir()
    videos, _, remarks = load("CASME_sq", tmp_path)
    assert [v.label for v in videos] == ["s1/1_0101a"]
    assert remarks == [
        f"{folder}/img001 copy.jpg: not named as a frame, skipped",
        f"{folder.parents[1]}/backup: not named as a video, skipped (and 1 more folder(s))",
    ]


def test_subject_that_no_row_names(tmp_path):
    make_small(
        tmp_path, [small_clip("s1/1_0101a"), small_clip("s3/3_0101a"), small_clip("s3/3_0102b")], [small_row(1, "0101")]
    )
    assert load("CASME_sq", tmp_path)[2] == ["1 subject folder(s) without any row in the workbook: s3"]


def test_natural_order_of_subjects_and_videos(tmp_path):
    folders = ["s10/10_0101a", "s9/9_0101a", "s2/2_0102a", "s2/2_0101b"]
    make_small(tmp_path, [small_clip(f) for f in folders], [])
    found, _ = find_videos(CASME_SQ, tmp_path)
    assert [v.label for v in found.values()] == ["s2/2_0101b", "s2/2_0102a", "s9/9_0101a", "s10/10_0101a"]


def test_no_row_fits(tmp_path):
    make_small(tmp_path, [small_clip("s4/4_0101a")], [small_row(1, "0101"), small_row(1, "0101", 4)])
    with pytest.raises(InputError, match=r"a video folder: .*2 expression\(s\) left out \(rows 1, 2\); .*4_0101a"):
        load("CASME_sq", tmp_path)


def test_missing_folders(tmp_path):
    dataset = DATASETS["SMIC_HS"]
    with pytest.raises(InputError, match="no such folder; give the folder that contains SMIC_HS with --data_root"):
        find_videos(dataset, tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"SMIC-HS-E/HS: not found \(raw frames of SMIC_HS\)"):
        find_videos(dataset, tmp_path)
    with pytest.raises(InputError, match=r"SMIC-HS-E_annotation\.xlsx: not found \(workbook of annotations"):
        load_annotations(dataset, tmp_path)
    (tmp_path / "SMIC/HS_long/SMIC-HS-E/HS").mkdir(parents=True)
    with pytest.raises(InputError, match="contains no video folder"):
        find_videos(dataset, tmp_path)


# Rows


def test_repeated_rows_and_odd_apexes(tmp_path):
    rows = [small_row(1, "0101"), small_row(1, "0101", 4, 5, 9), small_row(1, "0102", 3, 9, 8), small_row(1, "0101")]
    make_small(tmp_path, [small_clip("s1/1_0101a"), small_clip("s1/1_0102b")], rows)
    videos, annotations, remarks = load("CASME_sq", tmp_path)
    assert expressions(videos) == {
        "s1/1_0101a": [(2, 4, 7, "negative"), (3, 4, 8, "negative")],
        "s1/1_0102b": [(2, 8, 7, "negative")],
    }
    assert below_the_sheet(annotations.left_out) == ["row 4, column C: the same expression as in row 1"]
    assert below_the_sheet(remarks) == [
        "row 3, column D: apex 9 lies outside onset 3 to offset 8; the row is used as it is"
    ]


def test_codes_as_numbers_and_contradicting_maps(tmp_path):
    place_frames(tmp_path / "CASME_sq/rawpic", rendered_clips(), [small_clip("s1/1_0101a"), small_clip("s2/2_0101a")])
    subjects = [[1, "s1", 1], [2, "s2", 2], [3, "s3", 2], [None, None, None], [4, "s1", 1]]
    write_xlsx(
        tmp_path / "CASME_sq/code_final.xlsx",
        [[small_row(1, "0101"), small_row(2, "0101")], subjects, [[101, "V0101"]]],
    )
    videos, annotations, _ = load("CASME_sq", tmp_path)
    assert [v.label for v in videos] == ["s1/1_0101a"]
    assert below_the_sheet(annotations.left_out) == ["row 2, column A: '2' stands for s2 and s3 in sheet 'Sheet2'"]


def test_contradicting_emotions_are_not_chosen_between(tmp_path):
    make_layout("SAMMLV", tmp_path)
    book = tmp_path / "SAMM/SAMM_20181215_Micro_FACS_Codes_v2.xlsx"
    rows = [list(r.cells) for r in open_workbook(book)[0].rows]
    again = next(list(r) for r in rows if "007_1_1" in r)
    again[9] = "Sadness"
    write_xlsx(book, [[*rows, again]])
    _, annotations, _ = load("SAMMLV", tmp_path)
    assert below_the_sheet(annotations.left_out) == [
        f"row 13, column B: more than one emotion for (007_1_1, Micro - 1/2) in {book.name}"
    ]


def test_smic_subject_that_is_not_the_files(tmp_path):
    make_layout("SMIC_VIS", tmp_path)
    book = next(tmp_path.glob("SMIC/*/VIS_long/*.xlsx"))
    rows = [list(r.cells) for r in open_workbook(book)[0].rows]
    rows[1][1] = "s4_ne_01"
    write_xlsx(book, [rows])
    videos, _, remarks = load("SMIC_VIS", tmp_path)
    assert expressions(videos) == EXPRESSIONS["SMIC_VIS"]
    assert below_the_sheet(remarks)[0].startswith("row 2, column B: Filename 's4_ne_01' does not begin with the row's")


def test_second_workbook_is_mentioned(tmp_path):
    make_layout("CASME_sq", tmp_path)
    write_xlsx(tmp_path / "CASME_sq/CAS(ME)^2code_final.xlsx", [[]])
    (tmp_path / "CASME_sq/code_final.xlsx~").write_bytes(b"")
    _, _, remarks = load("CASME_sq", tmp_path)
    assert remarks[0].endswith("code_final.xlsx: used for the annotations; not used: CASME_sq/CAS(ME)^2code_final.xlsx")


def test_newest_of_several_versions(tmp_path):
    make_layout("CASME2", tmp_path)
    good = tmp_path / "CASME2/CASME2/CASME2_label_Ver_2.xls"
    rows = [r.cells for r in open_workbook(good)[0].rows]
    good.unlink()
    write_xlsx(good.with_name("CASME2-coding-20190701.xlsx"), [rows])
    write_xlsx(good.with_name("CASME2-coding-20140508.xlsx"), [[]])
    videos, _, _ = load("CASME2", tmp_path)
    assert expressions(videos) == EXPRESSIONS["CASME2"]


def test_crop_of_another_size_is_refused():
    videos, _, _ = load("CASME_sq", shared_layout("CASME_sq"))
    with pytest.raises(InputError, match="is 160x120 pixels, but a crop has 128x128"):
        read_crop(videos[0].frames[0])


MACROS = {  # frames are 0-based; fractions are truncated (2.5 is frame 1), as the authors of SOFTNet do
    "CASME_sq": {
        "s15/15_0101slowkettle": [(1, 8, 13, "positive")],
        "s104/104_0401rollingmarbles": [(2, 8, 15, "positive")],
    },
    "SAMMLV": {"006/006_1": [(1, 8, 13, "others")], "037/037_2": [(2, 8, 15, "others")]},
}


@pytest.mark.parametrize("name", MACROS)
@pytest.mark.parametrize("protocol", ["paper", "upstream"])
def test_macro_expressions_on_request(name, protocol):
    """Of the same workbooks. Micro-expressions are skipped then, faulty or not."""
    dataset, root = DATASETS[name], shared_layout(name, faults=True)
    annotations = load_annotations(dataset, root, protocol, "macro")
    videos, _ = match_expressions(find_videos(dataset, root)[0], annotations)
    assert expressions(videos) == MACROS[name]
    assert {e.kind for video in videos for e in video.expressions} == {"macro"}
    assert annotations.skipped["micro-expression"] and "macro-expression" not in annotations.skipped


def test_macro_expressions_whose_emotion_or_apex_is_unknown_are_used(tmp_path):
    """Only the interval matters. The apex is needed where it stands in for an offset of 0."""
    rows = [
        [1, "kettle1_1", 10, "?", 40, 4, "boredom", "macro-expression", None],
        [1, "kettle1_2", 50, None, 80, 4, None, "macro-expression", None],
        [1, "kettle1_3", 90, 99.5, 0, 4, "positive", "macro-expression", None],
        [1, "kettle1_4", 110, None, 0, 4, "positive", "macro-expression", None],
        [1, "kettle1_5", 130, 120, 125, 4, "positive", "macro-expression", None],
    ]
    write_xlsx(tmp_path / "book.xlsx", [rows, [[1, "s15", 1]], [["0101", "kettle1"]]])
    found = read_casme_sq({"annotations": tmp_path / "book.xlsx"}, DATASETS["CASME_sq"].emotions, "macro")
    assert [(r.expression.onset, r.expression.apex, r.expression.offset, r.expression.emotion) for r in found.rows] == [
        (9, None, 39, "others"),
        (49, None, 79, "others"),
        (89, 98, 98, "positive"),
    ]
    assert below_the_sheet(found.left_out) == [
        "row 4, column D: apex is empty",
        "row 5, column C: onset 130 lies after offset 125",
    ]


@pytest.mark.parametrize("name", ["CASME2", *SMIC])
def test_datasets_without_macro_expressions_say_so(name, tmp_path):
    with pytest.raises(InputError, match=r"annotates no macro-expressions; use --expression micro"):
        load_annotations(DATASETS[name], tmp_path, kind="macro")


def test_without_emotions_every_interval_counts(tmp_path):
    """For methods that only spot: SAMM's second workbook need not be there, and an unknown emotion is no fault."""
    root = tmp_path / "samm"
    make_layout("SAMMLV", root, faults=True, clips=rendered_clips())
    for book in root.glob("SAMM*/SAMM_2*"):
        book.unlink()
    with pytest.raises(InputError, match="workbook of emotions"):
        load_annotations(DATASETS["SAMMLV"], root)
    annotations = load_annotations(DATASETS["SAMMLV"], root, spotting_only=True)
    assert {row.expression.emotion for row in annotations.rows} == {"others"}
    # The two rows without a known emotion are then equal to the first one of their video
    again = [f"row {n}, column D: the same expression as in row 11" for n in (25, 26)]
    others = [line for line in FAULTS["SAMMLV"] if "emotion" not in line]
    assert sorted(below_the_sheet(annotations.left_out)) == sorted([*others, *again])

    root = shared_layout("CASME_sq", faults=True)
    annotations = load_annotations(DATASETS["CASME_sq"], root, spotting_only=True)
    others = [line for line in FAULTS["CASME_sq"] if "emotion" not in line]
    again = "row 16, column C: the same expression as in row 1"  # "postive" is "others", as in row 1
    assert sorted(below_the_sheet(annotations.left_out)) == sorted([*others, again])
