"""Which videos and subjects the rows mean: by path, by name, with and without a subject."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from load_excel import match_expressions
from load_images import find_videos
from tests.support.bad_input import encoded, face_image
from tests.support.eaf_files import TALK, written
from tests.support.studies import GOOD, HEAD, add_frames, add_video, read, study_of
from Utils.errors import InputError
from Utils.study.videos import find_path, open_study_video

OWN = "video,face,onset,offset,emotion\n"
OWN_ROW = "talk,,11,21,joy\n"


def found(dataset, root: Path) -> dict[str, str]:
    """`subject/video` -> the path of the file or the folder, relative to the root."""
    videos = dataset.scan(root).videos.values()
    paths = {v.label: v.source.path if v.source is not None else v.frames[0].parent for v in videos}
    return {label: path.relative_to(root).as_posix() for label, path in paths.items()}


def refused(root: Path, text: str, *more: Path, **options) -> str:
    with pytest.raises(InputError) as error:
        study_of(root, text, *more, **options)
    return str(error.value).replace(f"{root}/", "")


@pytest.mark.parametrize(
    ("made", "name", "expected"),
    [
        (("anna/talk/",), "talk", "anna/talk"),
        (("talk/",), "talk", "talk"),
        (("anna/talk.mp4",), "talk", "anna/talk.mp4"),
        (("anna/talk.MP4",), "talk", "anna/talk.MP4"),
        (("talk.mkv",), "talk", "talk.mkv"),
        (("talk.mp4",), "talk.mp4", "talk.mp4"),
        (("talk.mp4", "talk.avi"), "talk.avi", "talk.avi"),
        (("anna/talk/", "talk/"), "talk", "anna/talk"),  # the subject's folder comes first
        (("anna/talk.mp4", "ben/talk.mp4"), "talk", "anna/talk.mp4"),
        (("talk.mp4/",), "talk.mp4", "talk.mp4"),
        (("talk.txt", ".talk.mp4"), "talk", None),
        (("talk.mp4",), "Talk", None),
        (("ben/talk.mp4",), "talk", None),
    ],
)
def test_a_video_is_found_by_its_names(tmp_path, made, name, expected):
    for path in made:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).mkdir() if path.endswith("/") else (tmp_path / path).touch()
    path = find_path("", "anna", name, tmp_path)
    assert (path and path.relative_to(tmp_path).as_posix()) == expected


def test_two_videos_of_one_name_are_refused(tmp_path):
    add_frames(tmp_path / "anna" / "talk")
    (tmp_path / "anna" / "talk.mp4").touch()
    assert refused(tmp_path, HEAD + GOOD) == (
        f"{tmp_path}/anna: talk and talk.mp4 are both video 'talk'; remove one, or name the right one in a column path"
    ).replace(f"{tmp_path}/", "")
    dataset = study_of(tmp_path, HEAD.strip() + ",path\n" + GOOD.strip() + ",anna/talk\n")
    assert found(dataset, tmp_path) == {"anna/talk": "anna/talk"}


def test_paths_are_relative_to_the_root_or_absolute(tmp_path):
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    add_frames(root / "deep" / "down")
    add_frames(elsewhere)
    head = HEAD.strip() + ",path\n"
    rows = f"anna,one,1,,9,,deep/down\nanna,two,1,,9,,{elsewhere}\nanna,three,1,,9,,../elsewhere2\n"
    dataset = study_of(root, head + rows)
    videos = dataset.scan(root).videos
    assert {v.name: v.frames[0].parent.resolve() for v in videos.values()} == {
        "one": root / "deep/down",
        "two": elsewhere,
    }
    assert read(dataset).left_out == [
        f"{root / 'study.csv'}, line 4: there is no video file or folder '../elsewhere2' in {root}",
    ]


def test_a_path_of_one_row_is_for_all_rows_of_its_video(tmp_path):
    add_frames(tmp_path / "deep" / "down")
    head = HEAD.strip() + ",path\n"
    dataset = study_of(tmp_path, head + "anna,talk,1,,9,,\nanna,talk,11,,19,,deep/down\n")
    assert len(read(dataset).rows) == 2 and found(dataset, tmp_path) == {"anna/talk": "deep/down"}
    assert refused(tmp_path, head + "anna,talk,1,,9,,deep\nanna,talk,11,,19,,deep/down\n") == (
        "study.csv, line 2: video talk of anna has two paths, deep and deep/down"
    )


def test_one_video_of_two_subjects_is_refused(tmp_path):
    add_frames(tmp_path / "talk")
    assert refused(tmp_path, HEAD + GOOD + GOOD.replace("anna", "ben")) == (
        "study.csv, line 3: talk is video talk of ben, and also talk of anna; a video belongs to one subject and has "
        "one name"
    )


def test_one_video_under_two_names_is_refused(tmp_path):
    add_video(tmp_path / "talk.mp4")
    assert "is video talk.mp4 of anna, and also talk of anna" in refused(
        tmp_path, HEAD + "anna,talk,1,,9,\nanna,talk.mp4,1,,9,\n", fps=None
    )


def test_one_name_of_two_subjects_is_two_videos(tmp_path):
    add_frames(tmp_path / "anna" / "talk")
    add_video(tmp_path / "ben" / "talk.mp4", fps=30)
    dataset = study_of(tmp_path, HEAD + GOOD + "ben,talk,1,,9,joy\n")
    assert found(dataset, tmp_path) == {"anna/talk": "anna/talk", "ben/talk": "ben/talk.mp4"}


def test_videos_are_in_natural_order_and_known_to_the_loader(tmp_path):
    for subject in ("s10", "s9", "s1"):
        add_frames(tmp_path / subject / "talk", n=9)
    dataset = study_of(tmp_path, HEAD + "".join(f"{s},talk,1,,9,joy\n" for s in ("s10", "s9", "s1")))
    videos, remarks = match_expressions(find_videos(dataset, tmp_path)[0], read(dataset))
    assert [video.subject for video in videos] == ["s1", "s9", "s10"] and remarks == []
    assert [len(video.expressions) for video in videos] == [1, 1, 1]


def test_names_are_compared_as_they_are_written(tmp_path):
    for subject in ("s1", "S01"):
        add_frames(tmp_path / subject / "talk", n=9)
    dataset = study_of(tmp_path, HEAD + "s1,talk,1,,9,joy\nS01,talk,1,,9,joy\n")
    assert set(found(dataset, tmp_path)) == {"s1/talk", "S01/talk"}
    assert read(dataset).remarks == [
        "s1 and S01 count as different subjects; write them in one way if they are one person"
    ]


# Frame rates


def test_a_folder_needs_a_frame_rate(tmp_path):
    add_frames(tmp_path / "talk")
    dataset = study_of(tmp_path, HEAD + GOOD, fps=None)
    assert dataset.scan(tmp_path).problems == [
        f"{tmp_path / 'talk'}: is a folder of images; write their frames per second into a column fps, or give --fps"
    ]
    assert study_of(tmp_path, HEAD + GOOD, fps=25).fps == 25
    by_column = study_of(tmp_path, HEAD.strip() + ",fps\n" + GOOD.strip() + ",200\n" + "anna,talk,1,,9,,\n", fps=25)
    assert by_column.fps == 200 and [v.fps for v in by_column.scan(tmp_path).videos.values()] == [200]


def test_a_file_has_its_own_frame_rate(tmp_path):
    add_video(tmp_path / "talk.mp4", n=30, fps=50)
    assert study_of(tmp_path, HEAD + GOOD, fps=25).fps == 50  # --fps is for folders
    head, row = HEAD.strip() + ",fps\n", GOOD.strip()
    assert study_of(tmp_path, f"{head}{row},50.2\n").fps == 50
    assert study_of(tmp_path, f"{head}{row},25\n").scan(tmp_path).problems == [
        f"{tmp_path / 'talk.mp4'}: has 50 frames per second, but the table or --fps says 25; correct that, or leave "
        "it out"
    ]


def test_two_frame_rates_of_one_video_are_refused(tmp_path):
    add_frames(tmp_path / "talk")
    head = HEAD.strip() + ",fps\n"
    assert refused(tmp_path, head + "anna,talk,1,,9,,25\nanna,talk,11,,19,,50\n") == (
        "study.csv, line 2: video talk of anna has two frame rates, 25 and 50; a video has one"
    )


def test_frames_of_a_file_and_of_a_folder_are_the_same(tmp_path):
    """A study may mix both. The frames of a file are read from its start each time."""
    path = add_video(tmp_path / "talk.mp4", n=20)
    video, _ = open_study_video(path, "anna", "talk", None)
    assert len(video.frames) == 20 and video.fps == 30 and video.raw_files == (path,)
    twice = [[image.mean() for image in video.source] for _ in range(2)]
    assert len(twice[0]) == 20 and twice[0] == twice[1] and twice[0] == sorted(twice[0])
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in (1, 2, 10):
        (folder / f"f{number}.png").write_bytes(encoded(face_image(), ".png"))
    for number in (3, 4, 5, 6, 7, 8, 9):
        (folder / f"f{number}.png").write_bytes(encoded(face_image(), ".png"))
    video, _ = open_study_video(folder, "anna", "frames", 25.0)
    assert [path.name for path in video.frames] == [f"f{number}.png" for number in range(1, 11)]
    assert video.fps == 25 and video.source is None


# Subjects


def test_a_video_without_a_subject_is_a_person_of_its_own(tmp_path):
    add_frames(tmp_path / "talk")
    add_frames(tmp_path / "walk")
    dataset = study_of(tmp_path, OWN + OWN_ROW + "walk,,1,9,joy\n", frame_base=None)
    assert found(dataset, tmp_path) == {"talk/talk": "talk", "walk/walk": "walk"}
    assert read(dataset).remarks == [
        "2 video(s) without a subject, first talk: each counts as a person of its own; if one person is in several of "
        "them, write the subject into the file"
    ]


def test_the_folder_of_a_video_is_its_subject(tmp_path):
    add_frames(tmp_path / "anna" / "talk")
    dataset = study_of(tmp_path, OWN + OWN_ROW, frame_base=None)
    assert found(dataset, tmp_path) == {"anna/talk": "anna/talk"} and read(dataset).remarks == []


def test_a_video_in_the_root_comes_before_one_of_its_name_in_a_folder(tmp_path):
    add_frames(tmp_path / "talk")
    add_frames(tmp_path / "anna" / "talk")
    dataset = study_of(tmp_path, OWN + OWN_ROW, frame_base=None)
    assert found(dataset, tmp_path) == {"talk/talk": "talk"}


def test_two_folders_with_the_video_leave_its_rows_out(tmp_path):
    for subject in ("anna", "ben"):
        add_frames(tmp_path / subject / "talk")
    add_frames(tmp_path / "walk")
    found_rows = read(study_of(tmp_path, OWN + OWN_ROW + "walk,,1,9,joy\n", frame_base=None))
    assert found_rows.left_out == [
        f"{tmp_path / 'study.csv'}, line 2: has no subject, and there is a video talk of each of anna, ben; write the "
        "subject"
    ]
    assert len(found_rows.rows) == 1


def test_a_subject_that_another_file_names_is_used(tmp_path):
    """The same video in a table of the study and in a review: one person, not two."""
    add_frames(tmp_path / "talk")
    own = tmp_path / "reviewed.csv"
    own.write_text(OWN + OWN_ROW.replace("11,21", "31,41"))
    dataset = study_of(tmp_path, HEAD + GOOD, own)
    assert found(dataset, tmp_path) == {"anna/talk": "talk"}
    assert {row.subject for row in read(dataset).rows} == {"anna"} and len(read(dataset).rows) == 2


def test_the_folder_of_all_videos_is_no_subject(tmp_path):
    """predictions.csv and ELAN files of own videos name the folder of the video: here, that of all videos."""
    root = tmp_path / "videos"
    add_frames(root / "talk", n=200)
    path = written(tmp_path / "talk.eaf", about=replace(TALK, subject="videos"))
    dataset = study_of(root, OWN + "talk,,100,110,joy\n", path, frame_base=None, fps=25)
    assert found(dataset, root) == {"talk/talk": "talk"}
    assert len(read(dataset).rows) == 3


def test_a_subject_of_a_plain_table_is_never_guessed(tmp_path):
    root = tmp_path / "videos"
    add_frames(root / "talk")
    dataset = study_of(root, HEAD + GOOD.replace("anna", "videos") + ",talk,1,,9,joy\n")
    assert found(dataset, root) == {"videos/talk": "talk"}
    assert [line.split(", ", 1)[1] for line in read(dataset).left_out] == [
        "line 3, column subject: is empty; write the name"
    ]


@pytest.mark.parametrize("name", ["../x", "a/b", "a\\b", ".x", "x.", "a:b", "a?", "x" * 121, "é" * 61])
@pytest.mark.parametrize("column", ["subject", "video"])
def test_names_that_cannot_be_folders_are_left_out(tmp_path, name, column):
    add_frames(tmp_path / "talk")
    subject, video = (name, "talk") if column == "subject" else ("anna", name)
    rows = read(study_of(tmp_path, HEAD + GOOD + f"{subject},{video},1,,9,\n"))
    (line,) = rows.left_out
    assert f"line 3, column {column}: " in line and "name" in line and len(rows.rows) == 1


@pytest.mark.parametrize("name", ["CON", "x" * 120, "é" * 60, "Frau Müller 2", "p-1_b.c"])
def test_names_that_can_be_folders_are_used(tmp_path, name):
    add_frames(tmp_path / name)
    assert found(study_of(tmp_path, HEAD + f"{name},{name},1,,9,\n"), tmp_path) == {f"{name}/{name}": name}
