"""The files for the Grand Challenge: what is in them."""

from __future__ import annotations

import zipfile

import pandas as pd
import pytest

from Utils.across.submission import (
    COLUMNS,
    Recorded,
    recorded_frames,
    submission_tables,
    submitted_intervals,
    video_ids,
    write_submission,
)
from Utils.across.validate import check_submission
from Utils.errors import InputError

VIDEOS = {("006", "006_1"): Recorded(n_frames=100), ("007", "007_1"): Recorded(n_frames=50)}
ROWS = [
    ("007", "007_1", 40, 70, "negative", "micro"),  # ends after the video
    ("006", "006_1", 30, 60, "surprise", "macro"),
    ("006", "006_1", -4, 8, "others", "micro"),  # begins before the video
    ("006", "006_1", 10, 12, None, "micro"),
    ("007", "007_1", 50, 60, "positive", "micro"),  # beside the video
    ("007", "007_1", 3, 9, "neutral", "micro"),
    ("006", "006_1", 90, 99, "positive", "micro"),
]
TABLE = pd.DataFrame(ROWS, columns=["subject", "video", "onset", "offset", "emotion", "kind"])


def lines(path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("frame_base", [0, 1])
def test_every_variant(frame_base, tmp_path):
    folder = tmp_path / "submission"
    write_submission(folder, TABLE, VIDEOS, frame_base)
    b = frame_base
    spotted = [
        f"006_1,{b},{8 + b},me",
        f"006_1,{10 + b},{12 + b},me",
        f"006_1,{30 + b},{60 + b},mae",
        f"006_1,{90 + b},{99 + b},me",
        f"007_1,{3 + b},{9 + b},me",
        f"007_1,{40 + b},{49 + b},me",
    ]
    assert lines(folder / "spotting_2022.csv") == ["vid,pred_onset,pred_offset,type", *spotted]
    assert lines(folder / "spotting_2023.csv") == ["vid,onset,offset,type", *spotted]
    assert lines(folder / "recognition_2024.csv") == [
        "subject,video,onset,offset,emotion",
        f"006,006_1,{90 + b},{99 + b},positive",
        f"007,007_1,{40 + b},{49 + b},negative",
    ]
    with zipfile.ZipFile(folder / "submission.zip") as archive:
        assert archive.namelist() == [*COLUMNS, "counts.json"]
        assert all(archive.read(name) == (folder / name).read_bytes() for name in archive.namelist())
    write_submission(tmp_path / "again", TABLE, VIDEOS, frame_base)
    assert (tmp_path / "again/submission.zip").read_bytes() == (folder / "submission.zip").read_bytes()
    for file in folder.iterdir():
        assert not check_submission(file, frame_base).problems


def test_frame_base_0_is_the_default():
    pd.testing.assert_frame_equal(submitted_intervals(TABLE, VIDEOS, None), submitted_intervals(TABLE, VIDEOS, 0))


def test_frames_of_the_recorded_video():
    """Of every 7th frame: used frame i is recorded frame 7 i, and stands for the six after it, too."""
    videos = {key: Recorded(7, 7 * 99 + 3) for key in VIDEOS}
    found = submitted_intervals(TABLE[TABLE["kind"] == "micro"], videos, 1)
    of_006 = found[found["subject"] == "006"]
    assert of_006["onset"].tolist() == [1, 71, 631] and of_006["offset"].tolist() == [63, 91, 7 * 99 + 3]


def test_the_length_of_the_recorded_video():
    assert recorded_frames(Recorded(7, 640), 92) == 640
    assert recorded_frames(Recorded(7, None), 92) == 638 and recorded_frames(Recorded(1, None), 92) == 92
    assert recorded_frames(Recorded(7, None), 0) == recorded_frames(Recorded(1, None), 0) == 0


def test_names_of_videos():
    assert video_ids([("6", "6_1"), ("7", "7_1")]) == {("6", "6_1"): "6_1", ("7", "7_1"): "7_1"}
    assert video_ids([("a", "talk"), ("b", "talk"), ("talk", "talk")]) == {
        ("a", "talk"): "a_talk", ("b", "talk"): "b_talk", ("talk", "talk"): "talk",
    }  # fmt: skip


def test_no_two_videos_have_one_name(tmp_path):
    several = [("a", "b"), ("c", "b"), ("x", "a_b")]
    ids = {("a", "b"): "a_b", ("c", "b"): "c_b", ("x", "a_b"): "x_a_b"}
    assert video_ids(several) == video_ids(iter(several)) == ids
    with pytest.raises(InputError, match="videos a/b_c and a_b/c are both a_b_c in files"):
        video_ids([("a", "b_c"), ("x", "b_c"), ("a_b", "c"), ("x", "c")])


def test_names_are_those_of_the_whole_test_set(tmp_path):
    """A video that cannot be read is in no file, but --check finds it in the folder: names are the same."""
    ids = video_ids([*VIDEOS, ("008", "006_1")])
    write_submission(tmp_path / "s", TABLE, VIDEOS, 0, ids)
    assert lines(tmp_path / "s/spotting_2023.csv")[1] == "006_006_1,0,8,me"


def test_nothing_was_spotted(tmp_path):
    tables = submission_tables(submitted_intervals(TABLE[:0], VIDEOS, 1), video_ids(VIDEOS))
    assert all(table.empty and tuple(table) == COLUMNS[name] for name, table in tables.items())
    write_submission(tmp_path / "s", TABLE[:0], VIDEOS, 1)
    checked = check_submission(tmp_path / "s/submission.zip", 1)
    assert not checked.problems and sum("nothing was spotted" in remark for remark in checked.remarks) == 3
