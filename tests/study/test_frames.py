"""Onset, apex and offset: frame bases, times in seconds, and what does not fit the video."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from load_excel import match_expressions
from tests.support.studies import GOOD, HEAD, add_frames, add_video, frames, read, study_of
from Utils.errors import InputError
from Utils.records import KINDS

BOTH = "subject,video,onset,apex,offset,onset_s,apex_s,offset_s\n"
TIMES = "subject,video,onset_s,apex_s,offset_s\n"


@pytest.fixture
def root(tmp_path) -> Path:
    """A folder with the video `talk`, 60 frames from 1."""
    add_frames(tmp_path / "talk")
    return tmp_path


def refused(root: Path, text: str, *more: Path, **options) -> str:
    with pytest.raises(InputError) as error:
        study_of(root, text, *more, **options)
    return str(error.value).replace(f"{root}/", "")


# Frame bases


@pytest.mark.parametrize(("base", "expected"), [(0, (11, 15, 21)), (1, (10, 14, 20))])
def test_the_base_is_given(root, base, expected):
    dataset = study_of(root, HEAD + GOOD, frame_base=base)
    assert frames(dataset) == [expected]
    assert [row.first_frame for row in read(dataset).rows] == [base]


def test_a_file_that_does_not_say_is_refused(root):
    assert refused(root, HEAD + GOOD, frame_base=None) == (
        "study.csv, line 2: does not say whether a video's first frame is 0 or 1; give --frame_base 0 or "
        "--frame_base 1, or add a column frame_base"
    )


@pytest.mark.parametrize("column", ["onset", "apex", "offset"])
def test_one_frame_among_times_needs_a_base_too(root, column):
    head = TIMES.replace(f"{column}_s", column)
    fields = ["5" if name == column else "0.1666667" for name in ("onset", "apex", "offset")]
    text = f"{head}anna,talk,{','.join(fields)}\n"
    assert "does not say whether" in refused(root, text, frame_base=None)
    assert frames(study_of(root, text, frame_base=0)) == [(5, 5, 5)]


@pytest.mark.parametrize(("base", "expected"), [(0, (11, 15, 21)), (1, (10, 14, 20))])
def test_a_column_says_the_base(root, base, expected):
    head, row = HEAD.strip() + ",frame_base\n", GOOD.strip()
    assert frames(study_of(root, f"{head}{row},{base}\n", frame_base=None)) == [expected]
    assert frames(study_of(root, f"{head}{row},{base}\nanna,talk,22,23,24,,\n", frame_base=None))[0] == expected


def test_a_column_with_two_bases_and_a_flag_that_says_another(root):
    head = HEAD.strip() + ",frame_base\n"
    assert refused(root, f"{head}anna,talk,1,2,3,,1\nanna,talk,1,2,3,,\nanna,talk,1,2,3,,0\n", frame_base=None) == (
        "study.csv, line 4: counts frames from 0, but study.csv, line 2 counts from 1; use one of them"
    )
    assert refused(root, f"{head}anna,talk,1,2,3,,1\n", frame_base=0) == (
        "study.csv, line 2: counts frames from 1, but --frame_base is 0; leave the flag out"
    )
    assert frames(study_of(root, f"{head}anna,talk,1,2,3,,1\n", frame_base=1)) == [(0, 1, 2)]


def test_each_file_has_its_own_base(root):
    other = root / "other.csv"
    other.write_text(HEAD.strip() + ",frame_base\nanna,talk,11,15,21,positive,0\n")
    dataset = study_of(root, HEAD.strip() + ",frame_base\nanna,talk,11,15,21,negative,1\n", other, frame_base=None)
    assert frames(dataset) == [(10, 14, 20), (11, 15, 21)]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("anna,talk,16,,19,0.500,,0.600\n", (15, None, 18)),  # 0.5 s x 30 = 15: the first frame is 1
        ("anna,talk,15,,18,0.500,,0.600\n", (15, None, 18)),
        ("anna,talk,16,18,19,0.500,0.567,0.600\n", (15, 17, 18)),
    ],
)
def test_times_tell_the_base(root, row, expected):
    assert frames(study_of(root, BOTH + row, frame_base=None)) == [expected]


def test_times_that_are_rounded_too_much_do_not_tell_the_base(root):
    text = BOTH + "anna,talk,16,,19,0.5,,0.6\n"  # 0.5 can be 0.45 to 0.55 s: 13.5 to 16.5 frames
    assert "does not say whether" in refused(root, text, frame_base=None)
    assert frames(study_of(root, text, frame_base=1)) == [(15, None, 18)]
    two = BOTH + "anna,talk,102,,106,0.50,,0.53\n"  # at 200 frames a second, 0.01 s are two frames
    assert "does not say whether" in refused(root, two, frame_base=None, fps=200)


def test_the_most_exact_time_of_a_file_says_how_exact_they_are(root):
    """Programs leave out zeros at the end: 0.5 among times of four decimals is 0.5000."""
    text = BOTH + "anna,talk,16,,19,0.5,,0.6\nanna,talk,21,,24,0.6667,,0.7667\n"
    assert frames(study_of(root, text, frame_base=None)) == [(15, None, 18), (20, None, 23)]


def test_times_of_which_half_say_0_and_half_1_do_not_tell_the_base(root):
    text = BOTH + "anna,talk,16,,19,0.5000,,0.6000\nanna,talk,20,,23,0.6667,,0.7667\n"
    assert "does not say whether" in refused(root, text, frame_base=None)
    assert frames(study_of(root, text, frame_base=0)) == [(16, None, 19), (20, None, 23)]


def test_one_wrong_row_does_not_change_the_base_of_a_file(root):
    rows = [f"anna,talk,{i + 1},,{i + 3},{i / 30:.4f},,{(i + 2) / 30:.4f}\n" for i in (3, 10, 20)]
    dataset = study_of(root, BOTH + "anna,talk,40,,50,0.1000,,0.3000\n" + "".join(rows), frame_base=None)
    assert frames(dataset) == [(i, None, i + 2) for i in (3, 10, 20)]
    assert read(dataset).left_out == [
        f"{root / 'study.csv'}, line 2, column onset: frame 40 and 0.1 s do not agree at 30 frames per second"
    ]


def test_times_that_contradict_the_flag(root):
    assert refused(root, BOTH + "anna,talk,16,,19,0.500,,0.600\n", frame_base=0) == (
        "study.csv, line 2: counts frames from 1, by its times in seconds, but --frame_base is 0; leave the flag out"
    )


def test_own_videos_count_from_0_whatever_the_flag_is_for(root):
    own = root / "reviewed.csv"
    own.write_text("video,face,onset,offset,emotion\ntalk,0,11,21,positive\n")
    dataset = study_of(root, HEAD + GOOD, own, frame_base=1)
    assert frames(dataset) == [(10, 14, 20), (11, None, 21)]


def test_a_folder_that_begins_with_another_number_gets_a_remark(tmp_path):
    add_frames(tmp_path / "talk", first=0)
    dataset = study_of(tmp_path, HEAD + GOOD, frame_base=1)
    _, remarks = match_expressions(dataset.scan(tmp_path).videos, read(dataset))
    assert [
        remark for remark in remarks if "img000.jpg: is the first frame, but the annotations count from 1" in remark
    ]


@pytest.mark.parametrize("text", [TIMES + "anna,talk,0.1,,0.2\n", "video,face,onset,offset\ntalk,0,1,9\n"])
def test_times_and_own_videos_do_not_count_by_the_names_of_frames(root, text):
    dataset = study_of(root, text, frame_base=None)
    _, remarks = match_expressions(dataset.scan(root).videos, read(dataset))
    assert not [remark for remark in remarks if "is the first frame" in remark]


# Seconds


@pytest.mark.parametrize(
    ("fps", "seconds", "frame"),
    [
        (25, "0", 0),
        (25, "0.02", 1),  # 0.5: halves are rounded up
        (25, "0.0199", 0),
        (25, "0.48", 12),
        (25, "0.5", 13),  # 12.5
        (30, "0.5", 15),
        (30, "0.3333", 10),  # 9.999
        (30, "1.4333", 43),  # 42.999
        (30, "0.05", 2),  # 1.5
        (200, "0.1", 20),
        (200, "0.1024", 20),  # 20.48
        (200, "0.1025", 21),  # 20.5
        (200, "0.29", 58),  # 57.99999999999999 in floating point
        (29.97, "1", 30),
    ],
)
def test_seconds_are_the_nearest_frame(root, fps, seconds, frame):
    text = TIMES + f"anna,talk,0,{seconds},{seconds}\n"
    assert frames(study_of(root, text, fps=fps, frame_base=None)) == [(0, frame, frame)]


@given(
    fps=st.one_of(st.sampled_from([15, 24, 25, 29.97, 30, 50, 59.94, 60, 100, 120, 200]), st.floats(1, 1000)),
    numbers=st.lists(st.integers(0, 59), min_size=3, max_size=3).map(sorted),
    decimals=st.integers(4, 9),
)
@settings(max_examples=60, deadline=None)
def test_a_frame_is_the_same_in_seconds(fps, numbers, decimals):
    """frame / fps, written with at least four decimals, is that frame again."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        add_frames(root / "talk")
        times = ",".join(f"{number / fps:.{decimals}f}" for number in numbers)
        assert frames(study_of(root, f"{TIMES}anna,talk,{times}\n", fps=fps, frame_base=None)) == [tuple(numbers)]


def test_each_video_is_read_at_its_own_rate(tmp_path):
    add_frames(tmp_path / "slow")
    add_video(tmp_path / "fast.mp4", n=40, fps=50)
    text = "subject,video,onset_s,offset_s,fps\nanna,slow,0.4,0.6,15\nanna,fast,0.4,0.6,\n"
    assert frames(study_of(tmp_path, text, frame_base=None, fps=None)) == [(6, None, 9), (20, None, 30)]


def test_a_frame_is_taken_where_frame_and_time_are_given(root):
    assert frames(study_of(root, BOTH + "anna,talk,10,,20,0.3633,,0.64\n", frame_base=0)) == [(10, None, 20)]


@pytest.mark.parametrize(
    ("seconds", "agrees"), [("0.3800", True), ("0.3867", False), ("0.2867", True), ("0.2800", False)]
)
def test_a_frame_and_its_time_may_differ_by_less_than_a_frame_and_a_half(root, seconds, agrees):
    """Frame 10 is at 0.3333 s. 0.38 s is 1.4 frames later, 0.3867 s 1.6 frames; 0.2867 s is 1.4 frames earlier."""
    row = f"anna,talk,10,,20,{seconds},,0.6667\n"
    found = read(study_of(root, BOTH + row + "anna,talk,30,,40,1.0000,,1.3333\n", frame_base=0))
    assert len(found.left_out) == (not agrees) and len(found.rows) == 1 + agrees


# What does not fit


@pytest.mark.parametrize(
    ("onset", "apex", "offset", "said"),
    [
        ("21", "", "11", "column onset: 21 lies after offset 11"),
        ("0", "", "11", "column onset: 0 lies before the video's first frame, which is 1"),
        ("-5", "", "11", "column onset: -5 lies before the video's first frame, which is 1"),
        ("61", "", "70", "column onset: 61 lies after the end of the video, whose last frame is 60"),
        ("11", "0", "21", "column apex: 0 lies before the video's first frame; leave it empty if it is not known"),
        ("", "", "11", "column onset: is empty; write a frame or a time"),
        ("11", "", "", "column offset: is empty; write a frame or a time"),
        ("nan", "", "11", "column onset: is empty; write a frame or a time"),
        ("11.5", "", "21", "column onset: '11.5' is not a frame number; write a whole number"),
        ("11", "", "early", "column offset: 'early' is not a frame number; write a whole number"),
        ("1_1", "", "21", "column onset: '1_1' is not a frame number; write a whole number"),
        ("inf", "", "21", "column onset: 'inf' is not a frame number; write a whole number"),
        ("11", "?", "21", "column apex: '?' is not a frame number; write a whole number"),
        ("1e300", "", "21", "column onset: '1e300' is not a frame number; write a whole number"),
    ],
)
def test_a_row_that_cannot_be_used_is_left_out(root, onset, apex, offset, said):
    found = read(study_of(root, HEAD + f"anna,talk,{onset},{apex},{offset},\n" + GOOD))
    assert [line.removeprefix(f"{root / 'study.csv'}, ") for line in found.left_out] == [f"line 2, {said}"]
    assert len(found.rows) == 1


@pytest.mark.parametrize(
    ("onset", "offset", "said"),
    [
        ("1", "0.5", "1 s lies after offset 0.5"),
        ("-0.1", "0.5", "-0.1 s lies before the video's first frame"),
        ("2", "3", "2 s lies after the end of the video"),
        ("soon", "3", "'soon' is not a time in seconds; write a number such as 1.25"),
        ("1e9", "3", "'1e9' is not a time in seconds; write a number such as 1.25"),
    ],
)
def test_messages_about_times_are_in_seconds(root, onset, offset, said):
    found = read(study_of(root, TIMES + f"anna,talk,{onset},,{offset}\nanna,talk,0,,0.1\n"))
    assert [line.removeprefix(f"{root / 'study.csv'}, ") for line in found.left_out] == [
        f"line 2, column onset_s: {said}"
    ]


def test_an_expression_of_one_frame_and_one_that_ends_after_the_video(root):
    found = read(study_of(root, HEAD + "anna,talk,60,60,60,\nanna,talk,1,1,61,\n"))
    assert [(e.onset, e.offset) for e in (row.expression for row in found.rows)] == [(59, 59), (0, 60)]
    assert found.left_out == []  # the second one gets a remark when it is matched with its video


def test_an_apex_outside_gets_a_remark(root):
    found = read(study_of(root, HEAD + "anna,talk,11,30,21,\n"))
    assert frames(study_of(root, HEAD + "anna,talk,11,30,21,\n")) == [(10, 29, 20)]
    assert found.remarks == [
        f"{root / 'study.csv'}, line 2: the apex lies outside onset to offset; the row is used as it is"
    ]


def test_no_row_that_can_be_used_is_an_error_with_the_first_reason(root):
    assert refused(root, HEAD + "anna,talk,9,,1,\n") == (
        "study.csv: no row can be used as an expression; the first: study.csv, line 2, column onset: 9 lies after "
        "offset 1"
    )


CELLS = st.sampled_from(["", "0", "1", "5", "30", "60", "61", "-1", "2.5", "x", "nan", "1e99", "0.5", "999999999999"])
ROW = st.fixed_dictionaries(
    {
        "subject": st.sampled_from(["anna", "ben", "", "a/b", ".x"]),
        "video": st.sampled_from(["talk", "gone", "", "x\t"]),
        **dict.fromkeys(("onset", "apex", "offset", "onset_s", "offset_s", "fps"), CELLS),
        "kind": st.sampled_from(["", "micro", "macro", "blink", "smile"]),
        "emotion": st.sampled_from(["", "joy", "x" * 50, "unclear"]),
        "face": st.sampled_from(["", "0", "1", "two"]),
        "status": st.sampled_from(["accepted", "rejected", "added", "unreviewed", ""]),
    }
)


@given(rows=st.lists(ROW, min_size=1, max_size=5), columns=st.sets(st.sampled_from(["face", "status", "kind", "fps"])))
@settings(max_examples=80, deadline=None)
def test_every_row_is_used_skipped_or_left_out(rows, columns):
    """In exactly one of the three ways, whatever is in the cells."""
    names = [name for name in rows[0] if name in columns or name not in ("face", "status", "kind", "fps")]
    more = ["coder", "reviewed_at"] if "status" in columns else []
    good = dict(subject="ben", video="own", onset="1", offset="9", face="", status="added")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        add_frames(root / "talk")
        add_frames(root / "own", n=9)
        lines = [",".join([*names, *more])]
        for row in (*rows, good):
            lines.append(",".join([*(row.get(name, "") for name in names), *("" for _ in more)]))
        try:
            dataset = study_of(root, "\n".join(lines) + "\n", frame_base=1)
        except InputError as error:
            assert "\n" not in str(error)
            return
        places = [row.where for kind in KINDS for row in (read(dataset, kind).rows if kind in dataset.kinds else ())]
        found = read(dataset, dataset.kinds[0])
        for reason, where in found.skipped.items():
            places += where if reason != "expressions of the other kind" else []
        ends = [int(place.rpartition(" ")[2]) for place in places]
        ends += [int(line.split(", line ")[1].split(":")[0].split(",")[0]) for line in found.left_out]
        filled = [line for line, text in enumerate(lines, start=1) if text.strip(",")]  # an empty line is no row
        assert sorted(ends) == filled[1:]
