"""Reading, checking and writing the tables of predictions and annotations."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.paths import PROJECT
from Utils.errors import InputError
from Utils.evaluation.csv_files import read_table, write_table
from Utils.evaluation.tables import (
    GROUND_TRUTH_COLUMNS,
    PREDICTION_COLUMNS,
    REQUIRED_COLUMNS,
    classes_of,
    group_by_video,
    megc_table,
    natural_key,
    only_searched_apexes,
    validate,
)

HEADER = "subject,video,onset,offset,emotion"


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "table.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# What is read


def test_required_columns_are_enough(tmp_path):
    table = read_table(written(tmp_path, f"{HEADER}\n006,1,-5,20,positive\n"))
    assert list(table.columns) == list(REQUIRED_COLUMNS)
    assert table.iloc[0].tolist() == ["006", "1", -5, 20, "positive"]
    assert table["onset"].dtype == np.int64


def test_optional_and_unknown_columns(tmp_path):
    text = "video,subject,note,onset,apex,offset,emotion,score\nv,s,a remark,1,,20.0,,0.5\nv,s,,3,4,5,x,nan\n"
    table = read_table(written(tmp_path, text))
    assert table["offset"].tolist() == [20, 5]
    np.testing.assert_array_equal(table["apex"], [np.nan, 4])
    np.testing.assert_array_equal(table["score"], [0.5, np.nan])
    assert table["emotion"].tolist() == [None, "x"]
    assert table["note"].tolist() == ["a remark", ""]


def test_spaces_empty_lines_quotes_and_byte_order_mark(tmp_path):
    text = f'\ufeff{HEADER} \r\n\r\n 1 , EP02 ,1, 2 , happiness\r\n,,,,\r\n"a,b", "v",1,2,x\r\n'
    table = read_table(written(tmp_path, text))
    assert table["subject"].tolist() == ["1", "a,b"]
    assert table["emotion"].tolist() == ["happiness", "x"]


def test_header_only(tmp_path):
    table = read_table(written(tmp_path, HEADER + "\n"))
    assert len(table) == 0
    assert table["onset"].dtype == np.int64
    validate(table)


def test_unnamed_columns_are_left_out(tmp_path):
    assert list(read_table(written(tmp_path, f",{HEADER},\n0,s,v,1,2,x,\n")).columns) == list(REQUIRED_COLUMNS)


# What is refused


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        (b"\x89PNG\r\n\x1a\n\x00", "not UTF-8"),
        ("é".encode("latin-1"), "not UTF-8"),
        (f"{HEADER}\n".encode("utf-16"), "not UTF-8"),
        (b"PK\x03\x04\x00\x00\x00", "CSV"),
        ("subject,video,onset,emotion\n", "line 1: no column offset"),
        ("subject;video;onset;offset;emotion\ns;v;1;2;x\n", "by commas"),
        (f"{HEADER},onset\n", "line 1: column onset .* more than once"),
        (f"{HEADER}\ns,v,1,2,x,y\n", "line 2: 6 fields where the header has 5"),
        (f"{HEADER}\ns,v,1,2\n", "line 2: 4 fields"),
        (f"{HEADER}\ns,v,1,2,x\n\n,v,1,2,x\n", "line 4, column subject: is empty"),
        (f"{HEADER}\ns,,1,2,x\n", "line 2, column video: is empty"),
        (f"{HEADER}\n\"s\n\",v,1,2,x\ns,v,one,2,x\n", "line 4, column onset: 'one' is not a frame number"),
        (f"{HEADER}\n\"s\n\",v,one,2,x\n", "line 2, column onset"),  # its first line
        (f"{HEADER}\ns,v,,2,x\n", "line 2, column onset: ''"),
        (f"{HEADER}\ns,v,1,nan,x\n", "column offset: 'nan'"),
        (f"{HEADER}\ns,v,-inf,2,x\n", "column onset: '-inf'"),
        (f"{HEADER}\ns,v,1.5,2,x\n", "column onset: '1.5'"),
        (f"{HEADER}\ns,v,1,1e10,x\n", "column offset: '1e10'"),
        (f"{HEADER}\ns,v,1,{'9' * 400},x\n", "column offset: '999"),
        (f"{HEADER}\ns,v,1,1_0,x\n", "column offset: '1_0'"),
        (f"{HEADER}\ns,v,3,2,x\n", "line 2: onset 3 is after offset 2"),
        (f"{HEADER},apex\ns,v,1,2,x,/\n", "line 2, column apex: '/' is not a number"),
        (f"{HEADER},score\ns,v,1,2,x,inf\n", "line 2, column score: 'inf' is not a number"),
        (f'{HEADER}\n"s,v,1,2,x\n', "not CSV"),
        (f"{HEADER}\n{'s' * 200_000},v,1,2,x\n", "not CSV"),
    ],
)  # fmt: skip
def test_refused_with_file_line_and_column(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(InputError, match=message) as caught:
        read_table(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 200


def test_missing_columns_are_all_named(tmp_path):
    with pytest.raises(InputError, match="no column video, offset, emotion "):
        read_table(written(tmp_path, "subject,onset\n"))


def test_no_such_file_and_a_folder(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(InputError, match="cannot be read"):
        read_table(tmp_path)


def test_ground_truth_needs_rows_from_frame_0_on(tmp_path):
    with pytest.raises(InputError, match="no annotation"):
        read_table(written(tmp_path, HEADER + "\n"), ground_truth=True)
    with pytest.raises(InputError, match="line 2, column onset: -1 is before frame 0"):
        read_table(written(tmp_path, f"{HEADER}\ns,v,-1,2,x\n"), ground_truth=True)
    assert len(read_table(written(tmp_path, f"{HEADER}\ns,v,0,0,\n"), ground_truth=True)) == 1


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content):
    path = written(tmp_path_factory.mktemp("bytes"), content)
    with pytest.raises(InputError):
        read_table(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"onset": [np.nan]}, "onset of row 0"),
        ({"offset": [1.5]}, "offset of row 0"),
        ({"offset": ["x"]}, "offset of row 0"),
        ({"onset": [11]}, "onset after offset"),
    ],
)
def test_validate_names_the_rule(change, message):
    table = pd.DataFrame({"subject": ["s"], "video": ["v"], "onset": [1], "offset": [10], "emotion": ["x"]})
    validate(table)
    with pytest.raises(ValueError, match=message):
        validate(table.assign(**change))
    with pytest.raises(ValueError, match="predictions: no column video"):
        validate(table.drop(columns="video"), "predictions")


# What is written

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=8)
ROWS = st.lists(
    st.tuples(TEXT, TEXT, st.integers(-50, 10**6), st.integers(0, 10**6), st.none() | TEXT, st.floats(-1e9, 1e9)),
    max_size=5,
)


@settings(max_examples=40, deadline=None)
@given(ROWS)
def test_what_is_written_is_read(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("tables") / "predictions.csv"
    table = pd.DataFrame(
        {
            "subject": pd.Series([row[0] for row in rows], dtype=object),
            "video": pd.Series([row[1] for row in rows], dtype=object),
            "onset": pd.Series([row[2] for row in rows], dtype="int64"),
            "offset": pd.Series([row[2] + row[3] for row in rows], dtype="int64").clip(upper=10**9),
            "score": pd.Series([row[5] for row in rows], dtype="float64"),
            "emotion": pd.Series([row[4] for row in rows], dtype=object),
        }
    )
    write_table(table, path)
    pd.testing.assert_frame_equal(read_table(path), table)
    assert [file.name for file in path.parent.iterdir()] == ["predictions.csv"]


def test_columns_of_both_tables():
    assert set(REQUIRED_COLUMNS) < set(GROUND_TRUTH_COLUMNS) < set(PREDICTION_COLUMNS)


def test_writing_keeps_the_old_file_when_it_fails(tmp_path, monkeypatch):
    path = written(tmp_path, "old")

    def full_disk(self, target, **_):
        Path(target).write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full_disk)
    with pytest.raises(InputError, match="cannot be written"):
        write_table(pd.DataFrame(), path)
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]


# Rows by video


def test_group_by_video():
    predictions = pd.DataFrame(
        [("10", "a", 1, 2, "x"), ("9", "a", 3, 4, None), ("10", "a", 0, 2, np.nan)], columns=REQUIRED_COLUMNS
    )
    ground_truth = pd.DataFrame([(9, "b", 5, 6, " ")], columns=REQUIRED_COLUMNS)
    grouped = group_by_video(predictions, ground_truth)
    assert [video.label for video in grouped] == ["9/a", "9/b", "10/a"]
    assert [(p.row, p.onset, p.emotion, p.peak) for p in grouped[2].predicted] == [(0, 1, "x", 1.5), (2, 0, None, 1)]
    assert [p.row for p in grouped[2].in_time_order().predicted] == [2, 0]
    assert grouped[1].annotated[0].emotion is None

    videos = [("10", "a", 99), ("9", "c"), ("9", "a"), (9, "b")]
    assert [video.label for video in group_by_video(predictions, ground_truth, videos)] == ["10/a", "9/c", "9/a", "9/b"]
    with pytest.raises(ValueError, match="rows of 9/a"):
        group_by_video(predictions, ground_truth, [("10", "a"), ("9", "b")])


def test_videos_that_took_part_are_listed_once_as_text():
    table = pd.DataFrame([("9", "b", 5, 6, "x")], columns=REQUIRED_COLUMNS)
    nothing = table[:0]
    videos = [(9, "b"), ("10", "a"), ("9", "b")]
    for predictions, ground_truth in ((table, nothing), (nothing, table)):
        assert [video.label for video in group_by_video(predictions, ground_truth, videos)] == ["9/b", "10/a"]
        with pytest.raises(ValueError, match="rows of 9/b, which is not among the videos that took part"):
            group_by_video(predictions, ground_truth, [("10", "a")])
    with pytest.raises(ValueError, match="rows of 8/c"):  # the first of several
        group_by_video(table, pd.concat([table.assign(video="c"), table.assign(subject="8", video="c")]), [])


def test_videos_of_both_tables_are_in_natural_order():
    names = [("s10", "v1"), ("s9", "v10"), ("s9", "v9"), ("s10", "v0")]
    rows = pd.DataFrame([(*name, 0, 9, "x") for name in names], columns=REQUIRED_COLUMNS)
    labels = ["s9/v9", "s9/v10", "s10/v0", "s10/v1"]
    assert [video.label for video in group_by_video(rows[:2], rows[2:])] == labels


def test_both_tables_are_checked():
    good = pd.DataFrame([("9", "b", 5, 6, "x")], columns=REQUIRED_COLUMNS)
    bad = good.assign(onset=7)
    with pytest.raises(ValueError, match="predictions: onset after offset in row 0"):
        group_by_video(bad, good)
    with pytest.raises(ValueError, match="ground truth: onset after offset in row 0"):
        group_by_video(good, bad)


def test_too_many_pairs_name_the_largest_video(monkeypatch):
    """v1: 1 x 1 pair, v2: 2 x 4; both together 9."""
    predictions = pd.DataFrame([("s", v, 0, 9, "x") for v in ("v1", "v2", "v2")], columns=REQUIRED_COLUMNS)
    ground_truth = pd.DataFrame([("s", v, 0, 9, "x") for v in ("v1", *4 * ["v2"])], columns=REQUIRED_COLUMNS)
    monkeypatch.setattr("Utils.evaluation.tables.MAX_PAIRS", 9)
    assert len(group_by_video(predictions, ground_truth)) == 2
    monkeypatch.setattr("Utils.evaluation.tables.MAX_PAIRS", 8)
    with pytest.raises(InputError, match="s/v2: 2 predictions and 4 annotations are too many"):
        group_by_video(predictions, ground_truth)


def test_megc_table_is_clamped_to_the_video():
    """Peaks near both ends: [-3, 9] and [90, 102] of 100 frames. CASME II's subjects have videos of one name."""
    predictions = pd.DataFrame(
        [("s1", "v1", -3, 9), ("s1", "v1", 90, 102), ("s1", "v2", 0, 40)],
        columns=["subject", "video", "onset", "offset"],
    )
    last_frames = {("s1", "v1"): 99, ("s1", "v2"): 50, ("s2", "v3"): 99}
    table = megc_table(predictions, last_frames)
    assert list(table.columns) == ["vid", "onset", "offset", "type"]
    assert table.to_numpy().tolist() == [["v1", 0, 9, "me"], ["v1", 90, 99, "me"], ["v2", 0, 40, "me"]]
    twice = megc_table(predictions, last_frames | {("s2", "v1"): 99})
    assert twice["vid"].tolist() == ["s1_v1", "s1_v1", "s1_v2"]


@pytest.mark.parametrize(
    ("apexes", "only"),
    [
        ([(None, 3), (None, 4)], True),
        ([(None, 3), (None, None)], True),  # one was not found
        ([(None, None), (None, None)], False),
        ([(None, 3), (5, None)], False),
        ([(None, 3), (-1, 4)], False),  # a dataset that gives apexes, and marks this one as unknown
        ([], False),
    ],
)
def test_only_searched_apexes(apexes, only):
    """Of all annotations (apex, searched apex), the second of a video too."""
    ground_truth = pd.DataFrame(
        [("s", "v", 0, 9, "x", *pair) for pair in apexes], columns=[*REQUIRED_COLUMNS, "apex", "searched_apex"]
    )
    assert only_searched_apexes(group_by_video(ground_truth[:0], ground_truth)) == only


def test_classes_of():
    table = pd.DataFrame({"emotion": ["b", None, "a", "", "b"]})
    assert classes_of(table) == ["a", "b"]


def test_natural_key():
    names = ["s10", "s9_10", "s9", "6", "s9_2", "006"]
    assert sorted(names, key=natural_key) == ["006", "6", "s9", "s9_2", "s9_10", "s10"]


def test_evaluation_imports_nothing_heavy():
    heavy = {"tensorflow", "keras", "cv2", "sklearn", "scipy", "numba", "matplotlib"}
    code = f"import sys, Utils.evaluation.metrics, Utils.evaluation.upstream; print({heavy} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
