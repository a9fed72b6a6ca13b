"""Small rendered datasets for runs across datasets: some annotated, some as a test set of the Grand Challenge has them.

data/DEMO              2 subjects, each with one micro- and one macro-expression, 100 frames at 30 fps
data/SMIC/...          SMIC_HS, one video with one expression, at 100 fps
lab/lab.csv            anna, a folder of frames at 15 fps, and bert, a video file at 60 fps; micro-expressions
hall/hall.csv          carl, a folder of frames at 30 fps; micro- and macro-expressions
test/samm/006_1/       a folder of frames named 006_1_0001.jpg, ...
test/cas/              spNO.7/a/color/<n>.jpg without the first frames and with a gap; b.mp4, at 25 fps
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import cv2

from load_excel import load_annotations, match_expressions
from load_images import find_videos
from tests.support.bad_input import BOOKS
from tests.support.video_clips import write_video
from Utils.datasets.table import DATASETS
from Utils.records import KINDS, MICRO, Expression
from Utils.synthetic.clips import ClipSettings
from Utils.synthetic.dataset import generate

BOTH = ClipSettings(frames=100, size=(160, 120), n_me=(1, 1), n_macro=(1, 1), n_speech=(0, 0))
TRAIN, TEST = "DEMO,lab/lab.csv", "SMIC_HS,hall/hall.csv"
CHALLENGE = "test/samm@40,test/cas@20"
SAMM_FRAMES, CAS_FRAMES, CAS_FILE_FRAMES = 80, 60, 40
CAS_FIRST, CAS_GAP = 8, (30, 31)  # number of the first file, and numbers that are missing
HEAD = "subject,video,onset,apex,offset,emotion,kind,fps\n"
EMOTIONS = {"anna": "sad", "bert": "happy", "carl": "surprise"}


def make_across(root: Path) -> None:
    """Write all of them. Every video is rendered for itself, so no two show the same."""
    generate(root / "data/DEMO", seed=14, n_subjects=2, videos_per_subject=1, settings=BOTH)
    rendered = root / "rendered"
    generate(rendered / "DEMO", seed=15, n_subjects=6, videos_per_subject=1, settings=BOTH)
    found, expressions = find_videos(DATASETS["DEMO"], rendered)[0], {}
    for kind in KINDS:
        for video in match_expressions(found, load_annotations(DATASETS["DEMO"], rendered, kind=kind))[0]:
            expressions.setdefault(video.subject, []).extend(video.expressions)
    clips = [(video.frames, expressions[video.subject]) for video in found.values()]
    _lab(root / "lab", clips[0], clips[1])
    _hall(root / "hall", clips[2])
    _smic(root, clips[3])
    place(root / "test/samm/006_1", "006_1_{:04d}.jpg", clips[4][0][:SAMM_FRAMES])
    color = place(root / "test/cas/spNO.7/a/color", "{}.jpg", clips[5][0][:CAS_FRAMES])
    for number in (*range(1, CAS_FIRST), *CAS_GAP):
        (color / f"{number}.jpg").unlink()
    place(color.with_name("depth"), "{}.jpg", clips[5][0][:3])
    images = [cv2.imread(str(path)) for path in clips[5][0][CAS_FRAMES:][:CAS_FILE_FRAMES]]
    write_video(root / "test/cas/b.mp4", images, fps=25)
    shutil.rmtree(rendered)


def place(folder: Path, name: str, frames: Sequence[Path]) -> Path:
    """Link frames to `folder/name.format(number)`, from number 1 on. Returns the folder."""
    folder.mkdir(parents=True)
    for number, path in enumerate(frames, start=1):
        os.link(path, folder / name.format(number))
    return folder


def row(subject: str, e: Expression, step: int, fps: object) -> str:
    """The row of an expression in a video with every `step`-th frame. Frames count from 1."""
    frames = ["" if frame is None else str(frame // step + 1) for frame in (e.onset, e.apex, e.offset)]
    return ",".join([subject, "talk", *frames, EMOTIONS[subject], e.kind, str(fps)]) + "\n"


def _lab(folder: Path, anna, bert) -> None:
    place(folder / "anna/talk", "img{:03d}.jpg", anna[0][::2])
    (folder / "bert").mkdir()
    write_video(folder / "bert/talk.mp4", [cv2.imread(str(path)) for path in bert[0]], fps=60)
    rows = [row("anna", e, 2, 15) for e in anna[1] if e.kind == MICRO]
    rows += [row("bert", e, 1, 60) for e in bert[1] if e.kind == MICRO]
    (folder / "lab.csv").write_text(HEAD + "".join(rows))


def _hall(folder: Path, carl) -> None:
    place(folder / "carl/talk", "img{:03d}.jpg", carl[0])
    (folder / "hall.csv").write_text(HEAD + "".join(row("carl", e, 1, 30) for e in carl[1]))


def _smic(root: Path, clip) -> None:
    frames, expressions = clip
    (micro,) = (e for e in expressions if e.kind == MICRO)
    book = BOOKS["SMIC_HS"]
    book.write(root, {book.onset: micro.onset + 1, 4: micro.offset + 1, 10: len(frames)})
    place(root / "data" / Path(book.frame).parent, Path(book.frame).name, frames)
