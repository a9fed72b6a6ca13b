"""Small datasets of tables (--annotations): frames that are empty files, because only their names matter here."""

from __future__ import annotations

from pathlib import Path

from load_excel import read_annotations
from tests.support.video_clips import numbered, write_video
from Utils.datasets.annotations import Annotations
from Utils.datasets.table import Dataset
from Utils.records import MICRO
from Utils.study.dataset import study_dataset

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
