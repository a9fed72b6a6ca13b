"""Small datasets of tables (--annotations): with empty files as frames, where only names matter, or rendered faces."""

from __future__ import annotations

from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import cv2
import pytest

import main
from load_excel import read_annotations
from tests.support.video_clips import face_clip, numbered, write_video
from Utils.datasets.annotations import Annotations
from Utils.datasets.table import Dataset
from Utils.records import MICRO
from Utils.study.dataset import study_dataset

FIRST, LAST = 30, 66  # frames of the rendered clips that are used: their expressions begin at 43 or later
STUDY = """\
subject,video,onset_s,apex_s,offset_s,emotion,fps
anna,talk,0.4333,0.6000,0.8000,negative,30
ben,talk,0.5333,0.7333,0.9333,surprise,
cem,walk,0.4667,,0.9333,positive,
anna,talk,3.0000,,3.5000,negative,30
"""
TRAIN = ("--annotations", "study/study.csv", "--train", "--epochs_spot", "1", "--epochs_recog", "1", "--workers", "1")
HEAD = "subject,video,onset,apex,offset,emotion\n"
GOOD = "anna,talk,11,15,21,negative\n"


def add_frames(folder: Path, n: int = 60, first: int = 1) -> Path:
    """A folder of `n` empty frames img001.jpg, ... Returns it."""
    folder.mkdir(parents=True)
    for number in range(first, first + n):
        (folder / f"img{number:03d}.jpg").touch()
    return folder


def add_video(path: Path, n: int = 20, fps: float = 30) -> Path:
    """A video file of `n` flat frames. Returns it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_video(path, numbered(n), fps=fps)


def study_of(root: Path, text: str, *more: Path, frame_base: int | None = 1, fps: float | None = 30) -> Dataset:
    """The dataset of a CSV file with this text and of other files; its videos are in `root`."""
    table = root / "study.csv"
    table.write_text(text, encoding="utf-8")
    return study_dataset((table, *more), root, "study", frame_base, fps)


def read(dataset: Dataset, kind: str = MICRO) -> Annotations:
    """The annotations of a study."""
    return read_annotations(dataset, Path(), kind=kind)


def frames(dataset: Dataset, kind: str = MICRO) -> list[tuple[int, int | None, int]]:
    """(onset, apex, offset) of all expressions, 0-based."""
    return [(e.onset, e.apex, e.offset) for e in (row.expression for row in read(dataset, kind).rows)]


class Done(NamedTuple):
    """What a command did: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


def command(folder: Path, *flags: object) -> Done:
    """`main.py flags` in a folder, in this process."""
    out, err = StringIO(), StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(folder)
        code = main.main(list(map(str, flags)))
    return Done(code, out.getvalue(), err.getvalue())


def write_study(folder: Path) -> None:
    """Three subjects: a folder of frames, a file of 30 and a file of 15 frames a second; and `study.csv`.

    The last of its rows lies after the end of its video.
    """
    clips = [face_clip(subject)[0][FIRST:LAST] for subject in range(3)]
    (folder / "anna/talk").mkdir(parents=True)
    for i, image in enumerate(clips[0], start=1):
        assert cv2.imwrite(str(folder / f"anna/talk/img{i}.png"), image)
    (folder / "ben").mkdir()
    write_video(folder / "ben/talk.mp4", clips[1])
    write_video(folder / "walk.mp4", clips[2][::2], fps=15)
    (folder / "study.csv").write_text(STUDY)
