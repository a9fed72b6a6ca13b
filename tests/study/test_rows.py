"""Rows of CSV and ELAN files: which columns are read, in which spelling, and what becomes of each row."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.eaf_files import written
from tests.support.studies import GOOD, HEAD, add_frames, frames, read, study_of
from Utils.errors import UNPRINTABLE, InputError
from Utils.evaluation.eaf_writer import Annotated, EafAbout
from Utils.records import MACRO, OTHERS
from Utils.study.rows import COLUMNS, StudyRow, read_rows

REVIEW = (
    "subject,video,face,onset,apex,offset,onset_s,offset_s,score,emotion,confidence,kind,"
    "status,coder,reviewed_at,note\n"
)


def rows_of(folder: Path, text: str | bytes) -> list[StudyRow]:
    path = folder / "study.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_rows((path,)).rows


def only_row(folder: Path, text: str | bytes) -> StudyRow:
    (row,) = rows_of(folder, text)
    return row


def test_every_column_is_read(tmp_path):
    row = only_row(
        tmp_path,
        "subject,video,onset,apex,offset,onset_s,apex_s,offset_s,emotion,kind,path,fps,frame_base,coder\n"
        "p 1,talk,11,12,13,0.1,0.2,0.3,Happy  Face,macro,clips/a.mp4,29.97,1,Ada\n",
    )
    assert {name: cell.text for name, cell in row.cells.items()} == dict(
        onset="11", apex="12", offset="13", onset_s="0.1", apex_s="0.2", offset_s="0.3"
    )
    assert (row.subject, row.video, row.emotion, row.kind) == ("p 1", "talk", "happy face", "macro")
    assert (row.path, row.fps, row.frame_base) == ("clips/a.mp4", 29.97, 1)
    assert row.where == f"{tmp_path / 'study.csv'}, line 2" and row.file == str(tmp_path / "study.csv")
    assert (row.reviewed, row.scored, row.of_own_video) == (False, False, False)


def test_columns_are_found_in_any_order_case_and_spacing(tmp_path):
    row = only_row(tmp_path, "Offset , EMOTION,Video,Onset,SUBJECT\n21,Joy,talk,11,anna\n")
    assert (row.subject, row.video, row.emotion) == ("anna", "talk", "joy")
    assert (row.cells["onset"].text, row.cells["offset"].text) == ("11", "21")
    assert row.cells["onset"].where.endswith("study.csv, line 2, column onset")


def test_what_is_not_there_has_a_value_that_says_so(tmp_path):
    row = only_row(tmp_path, "subject,video,onset,offset\nanna,talk,1,2\n")
    assert (row.emotion, row.kind, row.path, row.fps, row.frame_base) == (OTHERS, "micro", "", None, None)


@pytest.mark.parametrize("word", ["", "others", "Other", "none", "unclear", "micro-expression", "OTHERS"])
def test_words_for_no_emotion(tmp_path, word):
    assert only_row(tmp_path, HEAD + f"anna,talk,1,2,3,{word}\n").emotion == OTHERS


def test_quotes_blank_lines_and_the_byte_order_mark(tmp_path):
    text = b'\xef\xbb\xbf"subject","video",onset,offset,note\r\n"van Dyck, A","a ""b""",1,2,"one\r\ntwo"\r\n,,,,\r\n'
    rows = rows_of(tmp_path, text + b"ben,talk,3,4,\r\n\r\n")
    assert [row.where.rpartition(" ")[2] for row in rows] == ["5"]  # a quote cannot be in the name of a folder
    assert rows_of(tmp_path, text.replace(b'"a ""b"""', b"talk"))[0].subject == "van Dyck, A"


@pytest.mark.parametrize("separator", [";", "|"])
def test_other_separators_are_refused_with_a_hint(tmp_path, separator):
    with pytest.raises(InputError, match=r"line 1: no column subject.*separate the columns by commas"):
        rows_of(tmp_path, "subject,video,onset,offset\nanna,talk,1,2\n".replace(",", separator))


@pytest.mark.parametrize(
    ("header", "missing"),
    [
        ("video,onset,offset", "subject"),
        ("subject,onset,offset", "video"),
        ("subject,video,offset", "onset (frames) or onset_s (seconds)"),
        ("subject,video,onset_s", "offset (frames) or offset_s (seconds)"),
        ("onset,offset", "subject, nor video"),
        ("face,onset,offset", "video"),
    ],
)
def test_a_missing_column_is_named(tmp_path, header, missing):
    with pytest.raises(InputError) as refused:
        rows_of(tmp_path, f"{header}\n{header}\n")
    said = f"{tmp_path / 'study.csv'}, line 1: no column {missing}; it has '{header.replace(',', ', ')}'"
    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("column", "word", "kind"),
    [
        ("kind", "", "micro"),
        ("kind", "micro", "micro"),
        ("kind", "Macro", "macro"),
        ("kind", "micro-expression", "micro"),
        ("kind", "Macro-Expression", "macro"),
        ("type", "me", "micro"),
        ("type", "mae", "macro"),
        ("type", "ME", "micro"),
    ],
)
def test_words_for_the_kind(tmp_path, column, word, kind):
    assert only_row(tmp_path, f"subject,video,onset,offset,{column}\nanna,talk,1,2,{word}\n").kind == kind


def test_kind_comes_before_type_where_both_are_given(tmp_path):
    head = "subject,video,onset,offset,type,kind\n"
    rows = rows_of(tmp_path, head + "anna,talk,1,2,mae,micro\nanna,talk,3,4,mae,\n")
    assert [row.kind for row in rows] == ["micro", "macro"]


def test_kinds_that_are_no_expressions_are_skipped_and_unknown_ones_left_out(tmp_path):
    path = tmp_path / "study.csv"
    words = ("head", "Blink", "speech", "occlusion", "light", "nothing", "smile")
    path.write_text("subject,video,onset,offset,kind\n" + "".join(f"anna,talk,1,2,{word}\n" for word in words))
    found = read_rows((path,))
    assert found.rows == []
    assert list(found.skipped) == [f"{word.lower()}, which is no expression" for word in words[:-1]]
    assert found.left_out == [
        f"{path}, line 8, column kind: 'smile' is neither micro nor macro; correct it, or leave it empty for micro"
    ]


def test_a_review_counts_what_was_accepted_and_added(tmp_path):
    add_frames(tmp_path / "talk")
    row = ",talk,,{},{},{},,,{},{},,micro,{},Ada,2026-11-25T10:00:00Z,\n"
    text = REVIEW + "".join(
        row.format(*fields)
        for fields in [
            (11, 15, 21, 0.5, "negative", "accepted"),
            (12, 15, 21, 0.5, "negative", "rejected"),
            (13, 15, 21, 0.5, "negative", "unreviewed"),
            (14, "", 21, "", "", "added"),
            (15, 15, 21, "", "unclear", "added"),
            (-3, 1, 5, 0.5, "negative", "accepted"),
        ]
    )
    dataset = study_of(tmp_path, text, frame_base=None)
    found = read(dataset)
    assert frames(dataset) == [(11, 15, 21), (14, None, 21), (15, 15, 21), (0, 1, 5)]  # the last began before the video
    assert [row.expression.emotion for row in found.rows] == ["negative", OTHERS, OTHERS, "negative"]
    assert {reason: [place[-6:] for place in places] for reason, places in found.skipped.items()} == {
        "rejected in the review": ["line 3"],
        "unreviewed in the review": ["line 4"],
    }
    assert found.left_out == []
    assert not [remark for remark in found.remarks if "scores" in remark]


WORDS = st.sampled_from(
    [*COLUMNS, "coder", "reviewed_at", "", "x", "1", "-1", "1e9", "\x1b", "\u202e", '"', "\n", ";", "é"]
)


@given(lines=st.lists(st.lists(WORDS, min_size=1, max_size=8), max_size=6), head=st.sets(st.sampled_from(COLUMNS)))
@settings(max_examples=150, deadline=None)
def test_any_text_is_read_or_refused_in_lines_that_can_be_shown(lines, head):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "study.csv"
        header = ",".join(
            ["subject", "video", "onset", "offset", *sorted(head - {"subject", "video", "onset", "offset"})]
        )
        n = header.count(",") + 1
        rows = [",".join((line * n)[:n]) for line in lines]
        path.write_text("\n".join([header, *rows]), encoding="utf-8", newline="")
        try:
            found = read_rows((path,))
        except InputError as error:
            said = [str(error)]
        else:
            said = [*found.left_out, *found.remarks, *found.skipped]
        assert not [line for line in said if UNPRINTABLE.search(line) or len(line) > 500]


def test_a_column_status_alone_makes_no_review(tmp_path):
    assert rows_of(tmp_path, "subject,video,onset,offset,status\nanna,talk,1,2,rejected\n")[0].reviewed is False


def test_predictions_that_nobody_reviewed_get_a_remark(tmp_path):
    add_frames(tmp_path / "talk")
    found = read(study_of(tmp_path, "video,face,onset,offset,score,emotion\ntalk,0,11,21,0.5,negative\n"))
    assert [remark for remark in found.remarks if "has scores and no review" in remark]


def test_other_faces_are_skipped(tmp_path):
    path = tmp_path / "study.csv"
    path.write_text("video,face,onset,offset\ntalk,0,1,2\ntalk,1,1,2\ntalk,,3,4\n")
    found = read_rows((path,))
    assert [row.where[-6:] for row in found.rows] == ["line 2", "line 4"] and found.left_out == []
    ((reason, places),) = found.skipped.items()
    assert "another face than face 0" in reason and len(places) == 1


def test_an_elan_file(tmp_path):
    add_frames(tmp_path / "talk", n=200)
    about = EafAbout("session 1", "talk", 25.0, 200, ("negative", "positive"))
    expressions = (
        Annotated(10, 20, "negative", 15, 0.5),
        Annotated(50, 60, "unclear"),
        Annotated(100, 180, "positive", kind=MACRO),
    )
    path = written(tmp_path / "talk.eaf", *expressions, about=about)
    (tmp_path / "session 1").mkdir()
    dataset = study_of(tmp_path, HEAD + "ben,walk,1,2,3,joy\n", path, frame_base=1, fps=25)
    found = read(dataset)
    assert frames(dataset) == [(10, 15, 20), (50, None, 60)] and frames(dataset, MACRO) == [(100, None, 180)]
    assert [row.expression.emotion for row in found.rows] == ["negative", OTHERS]
    assert [row.where for row in found.rows] == [f"{path}, expression {i}" for i in (1, 2)]
    assert {row.subject for row in found.rows} == {"session 1"}
    assert found.skipped == {"expressions of the other kind": [f"{path}, expression 3"]}
    assert dataset.kinds == ("micro", "macro")


def test_kinds_of_a_dataset_are_those_that_it_has(tmp_path):
    add_frames(tmp_path / "talk")
    head = "subject,video,onset,offset,kind\n"
    assert study_of(tmp_path, head + "anna,talk,1,2,\n").kinds == ("micro",)
    assert study_of(tmp_path, head + "anna,talk,1,2,macro\n").kinds == ("macro",)


def test_classes_are_the_emotions(tmp_path):
    add_frames(tmp_path / "talk")

    def classes(*emotions: str) -> tuple[str, ...]:
        rows = (f"anna,talk,{i + 1},,{i + 9},{emotion}\n" for i, emotion in enumerate(emotions))
        return study_of(tmp_path, HEAD + "".join(rows)).classes

    three = ("negative", "positive", "surprise")
    assert classes("surprise") == classes("positive", "Negative", "") == three  # with the order of the paper's
    assert classes("shame", "Joy", "others", "anger") == ("anger", "joy", "shame")
    assert classes("", "others") == ()


def test_the_same_expression_twice_is_left_out_with_its_first_place(tmp_path):
    add_frames(tmp_path / "talk")
    other = tmp_path / "other.csv"
    other.write_text(HEAD + GOOD)
    found = read(study_of(tmp_path, HEAD + GOOD + GOOD, other))
    assert len(found.rows) == 1
    assert found.left_out == [
        f"{other}, line 2: the same expression as {tmp_path / 'study.csv'}, line 2",
        f"{tmp_path / 'study.csv'}, line 3: the same expression as line 2",
    ]


def test_lines_about_rows_are_in_the_order_of_the_file(tmp_path):
    add_frames(tmp_path / "talk")
    bad = ("anna,talk,x,,9,\n", "anna,gone,1,,9,\n", ",talk,1,,9,\n", "anna,talk,9,,1,\n")
    found = read(study_of(tmp_path, HEAD + GOOD + "".join(bad * 3)))
    numbers = [int(line.split("line ")[1].split(":")[0].split(",")[0]) for line in found.left_out]
    assert numbers == list(range(3, 15))
