"""Tiny synthetic copies of the six datasets, with the quirks of their releases (docs/method.md, section 3).

    make_layout("CASME2", tmp_path)        # writes tmp_path/CASME2/CASME2/CASME2-RAW/sub01/EP02_01f/img1.jpg ...

All layouts share the same five rendered clips of 64 frames, one per subject: an expression rises from frame 20 over 32
to 44 (0-based). A video is a stretch of its subject's clip. Every name, number and row is invented; what is copied is
structure: folders, file names, columns and oddities. The quirks are part of every copy; `faults=True` adds rows that
cannot be used.
"""

from __future__ import annotations

import atexit
import datetime
import io
import os
import pickle
import shutil
import tempfile
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from openpyxl import Workbook

from Utils.synthetic.face import Face, Pose
from Utils.synthetic.identity import make_identity

SIZE = (160, 120)
N_FRAMES = 64
ONSET, APEX, OFFSET = 20, 32, 44  # 0-based, in every clip
MOTIONS = ({"AU24": 0.6}, {"AU4": 0.7, "AU9": 0.4}, {"AU18": 0.6}, {"AU12": 0.7, "AU6": 0.4}, {"AU1": 0.8, "AU2": 0.7})


class Clip(NamedTuple):
    """A video's frames: files `folder/name.format(number)` from `first` on, of the subject's clip from `start` on."""

    folder: str
    name: str
    subject: int
    first: int = 1
    start: int = 0
    frames: int = N_FRAMES


def make_layout(
    name: str, root: Path, second_spelling: bool = False, faults: bool = False, clips: Path | None = None
) -> None:
    """Write a data root for a dataset.

    Parameters
    ----------
    name : str
        CASME_sq, SAMMLV, CASME2, SMIC_HS, SMIC_VIS or SMIC_NIR.
    root : Path
        What `--data_root` is to be.
    second_spelling : bool
        Folders and workbooks where and as other copies of the release have them (for CASME2: .xlsx instead of .xls).
    faults : bool
        Add rows that cannot be used.
    clips : Path, optional
        From `render_clips`; by default rendered once per process.
    """
    LAYOUTS[name](root, clips or rendered_clips(), second_spelling, faults)


@cache
def shared_layout(name: str, second_spelling: bool = False, faults: bool = False) -> Path:
    """A data root to be read only (main.py writes crops into it), made once per process."""
    root = temporary_folder()
    make_layout(name, root, second_spelling, faults)
    return root


@cache
def rendered_clips() -> Path:
    """The clips, rendered once per process."""
    folder = temporary_folder()
    render_clips(folder)
    return folder


def temporary_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="mean-layouts-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def make_small(root: Path, videos: Sequence[Clip], rows: Sequence[Sequence]) -> None:
    """A CASME_sq of these clips and rows: subject i is `s<i>`, the stimuli are v0101 and v0102 (see `small_row`)."""
    place_frames(root / "CASME_sq/rawpic", rendered_clips(), videos)
    subjects = [[i, f"s{i}", i] for i in range(1, 6)]
    codes = [[code, f"v{code}"] for code in ("0101", "0102")]
    write_xlsx(root / "CASME_sq/code_final.xlsx", [rows, subjects, codes])


def small_row(subject: int, code: str, onset=3, apex=5, offset=8, emotion="negative") -> list:
    """A row of `make_small`: a micro-expression of subject s<subject> in the video of that code, 1-based."""
    return [subject, f"v{code}_1", onset, apex, offset, 4, emotion, MICRO, None]


def small_clip(folder: str, frames: int = 10, first: int = 1) -> Clip:
    """A video of `make_small`, frames `img001.jpg` and up."""
    return Clip(folder, "img{:03d}.jpg", 0, first=first, frames=frames)


def render_clips(folder: Path) -> None:
    """Write the five clips as `folder/<subject>/<frame>.jpg`, both 0-based (about 2 s)."""
    for subject, motion in enumerate(MOTIONS):
        face, rng = Face(make_identity(seed=subject), SIZE), np.random.default_rng(subject)
        target = folder / str(subject)
        target.mkdir(parents=True)
        for frame in range(N_FRAMES):
            rise = np.interp(frame, [ONSET - 1, APEX, OFFSET + 1], [0, 1, 0])
            action_units = {unit: float(rise * full) for unit, full in motion.items()}
            drift = Pose(tx=0.01 * np.sin(frame / 20 + subject), ty=0.006 * np.cos(frame / 25))
            image = face.render(action_units, pose=drift, noise=1.5, noise_rng=rng)
            (target / f"{frame}.jpg").write_bytes(cv2.imencode(".jpg", image)[1].tobytes())


def place_frames(root: Path, clips: Path, videos: Sequence[Clip]) -> None:
    """Link (or copy) the clips' frames to where a layout has them."""
    for video in videos:
        folder = root / video.folder
        folder.mkdir(parents=True)
        for i in range(min(video.frames, N_FRAMES - video.start)):
            source = clips / str(video.subject) / f"{video.start + i}.jpg"
            target = folder / video.name.format(video.first + i)
            try:
                os.link(source, target)
            except OSError:
                shutil.copy(source, target)


def write_xlsx(path: Path, sheets: Sequence[Sequence[Sequence]], names: Sequence[str] | None = None) -> None:
    """Write sheets of rows; None leaves a cell empty. The names are Sheet1, Sheet2, ... if none are given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_xlsx(pickle.dumps((sheets, names))))


@lru_cache(maxsize=200)  # many tests begin with the same workbook
def _xlsx(pickled: bytes) -> bytes:
    """The .xlsx file of pickled sheets and names, which are pickled because lists have no hash."""
    sheets, names = pickle.loads(pickled)
    book = Workbook()
    book.remove(book.active)
    for i, rows in enumerate(sheets):
        sheet = book.create_sheet(names[i] if names else f"Sheet{i + 1}")
        for row in rows:
            sheet.append(list(row))
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def write_xls(path: Path, sheets: Sequence[Sequence[Sequence]], names: Sequence[str] | None = None) -> None:
    """The same in the format before 2007."""
    import xlwt

    book, plain, date = xlwt.Workbook(), xlwt.easyxf(), xlwt.easyxf(num_format_str="YYYY-MM-DD")
    for i, rows in enumerate(sheets):
        sheet = book.add_sheet(names[i] if names else f"Sheet{i + 1}")
        for r, row in enumerate(rows):
            for c, value in enumerate(row):
                if value is not None:
                    style = date if isinstance(value, datetime.datetime) else plain
                    sheet.write(r, c, value, style)
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(str(path))


MICRO, MACRO = "micro-expression", "macro-expression"


def _casme_sq(root: Path, clips: Path, second_spelling: bool, faults: bool) -> None:
    """Five subjects, six videos with a micro-expression; two subjects with "others" only (first and third)."""
    raw, frame = "CASME_sq/rawpic", "img{:03d}.jpg"
    place_frames(
        root,
        clips,
        [
            Clip(f"{raw}/s9/9_0101slowkettle", frame, 0),
            Clip(f"{raw}/s15/15_0101slowkettle", frame, 1),
            Clip(f"{raw}/s15/15_0401rollingmarbles", frame, 1, start=6),
            Clip(f"{raw}/s16/16_0101slowkettle", frame, 2),
            Clip(f"{raw}/s23/23_0401rollingmarbles", frame, 3),
            Clip(f"{raw}/s104/104_0101slowkettle", frame, 4, frames=42),  # the row's offset is frame 45
            Clip(f"{raw}/s104/104_0401rollingmarbles", frame, 4, frames=18),  # macro-expressions only
            Clip(f"{raw}/s104/104_0503fogharbour", frame, 4, frames=12),  # no row at all
        ],
    )
    rows = [
        [1, "kettle1_1", 21, 33, 45, 24, "others", MICRO, "unsure"],
        [2, "kettle1_1", 21, 33, 45, "4+9", "negative", MICRO, "irritation"],
        [2, "kettle1_2", 2.5, 9, 14, "12", "positive", MACRO, "delight"],  # a fraction, where nobody looks
        [2, "marbles1_1", 15, 27, 0, 4, "Negative", MICRO, "irritation"],  # offset 0: the apex
        [3, "kettle1_1", 21, 33, 45, "18?", "others", MICRO, "unsure"],
        [4, "marbles1_2", 53, 57, 60, 12, "positive", MICRO, "delight"],  # a later one first
        [4, "marbles1_1", 21, 33, 45, "L12", "positive", MICRO, "delight"],
        [5, "kettle1_1", 21, 33, 45, "1+2", "surprise", MICRO, "astonishment"],
        [5, "marbles1_1", 3, 9, 16, 25, "positive", MACRO, "delight"],
        [4, "harbour3_1", 8, 12, 16, 4, "negative", MICRO, "irritation"],  # a video that is not there
    ]
    if faults:
        rows += [
            [9, "kettle1_1", 21, 33, 45, 4, "negative", MICRO, None],
            [1, "teapot1_1", 21, 33, 45, 4, "negative", MICRO, None],
            [1, "kettle1_2", 45, 33, 21, 4, "negative", MICRO, None],
            [1, "kettle1_3", "early", 33, 45, 4, "negative", MICRO, None],
            [1, "kettle1_4", 21.5, 33, 45, 4, "negative", MICRO, None],
            [1, "kettle1_5", 21, 33, 45, 4, "postive", MICRO, None],
            [1, "kettle1_6", 21, 33, 45, 4, "negative", "micro", None],
            [1, "kettle1_7", 21, None, 45, 4, "negative", MICRO, None],
            [1, "kettle1_8", 21, 0, 45, 4, "negative", MICRO, None],
            [1, "kettle1_1", 21, 33, 45, 24, "others", MICRO, "unsure"],
        ]
    rows.append(["frames are counted from 1; invented"])
    codes = {1: "s9", 2: "s15", 3: "s16", 4: "s23", 5: "s104"}
    subjects = [[i, codes[row[0]], row[0]] for i, row in enumerate(rows, start=1) if row[0] in codes]
    videos = [["0101", "kettle1"], ["0401", "marbles1"], ["0503", "harbour3"]]
    book = "CAS(ME)^2code_final.xlsx" if second_spelling else "code_final.xlsx"
    write_xlsx(root / "CASME_sq" / book, [rows, subjects, videos])


SAMM_COLUMNS = ["Subject", "Filename", "Inducement Code", "Onset", "Apex", "Offset", "Duration"]


def _sammlv(root: Path, clips: Path, second_spelling: bool, faults: bool) -> None:
    """Five subjects, six videos with a micro-expression; two subjects with "Other" only (first and third)."""
    raw = "SAMMLV/SAMM_longvideos"
    place_frames(
        root,
        clips,
        [
            Clip(f"{raw}/006_1", "006_1_{:04d}.jpg", 0),
            Clip(f"{raw}/007_1", "007_1_{:04d}.jpg", 1),
            Clip(f"{raw}/007_2", "007_2_{:04d}.jpg", 1, start=6),
            Clip(f"{raw}/013_1", "013_1_{:04d}.jpg", 2),
            Clip(f"{raw}/020_3", "020_3_{:04d}.jpg", 3),
            Clip(f"{raw}/037_1", "037_1_{:04d}.jpg", 4, frames=42),  # the row's offset is frame 45
            Clip(f"{raw}/037_2", "037_2_{:04d}.jpg", 4, frames=30),  # macro-expressions only
        ],
    )
    micro, macro = "Micro - 1/2", "Macro"
    samples = [  # Filename, onset, apex, offset, type, estimated emotion
        ("006_1_1", 21, 33, 45, micro, "Other"),
        ("006_1_1", 2.5, 9, 14, macro, "Happiness"),  # the same Filename as another type
        ("007_1_1", 21, 33, 45, micro, "Anger"),
        ("007_2_1", 15, 27, 39, micro, "Contempt"),
        ("013_1_2", 21, 33, 45, micro, "Other"),
        ("020_3_4", 0, 5, 12, micro, "Sadness"),  # began before the recording
        ("020_3_5", 21, -1, 45, micro, "Happiness"),  # apex unknown
        ("037_1_1", 21, 33, 45, micro, "Surprise"),
        ("037_2_1", 3, 9, 16, macro, None),
    ]
    if faults:
        samples += [
            ("006-1-2", 21, 33, 45, micro, "Anger"),
            ("006_1_3", 45, 33, 21, micro, "Anger"),
            ("006_1_4", 21.5, 33, 45, micro, "Anger"),
            ("006_1_5", 21, "?", 45, micro, "Anger"),
            ("006_1_6", 21, 33, 45, "Mikro", "Anger"),
            ("006_1_7", 21, 33, 45, micro, None),
            ("006_1_8", 21, 33, 45, micro, "Boredom"),
            ("099_1_1", 21, 33, 45, micro, "Anger"),
        ]
    rows = [[f"Invented long videos, line {i} of the preamble"] for i in range(1, 10)]
    rows.append([*SAMM_COLUMNS, "Type", "Action Units", "Notes"])
    for name, onset, apex, offset, kind, _ in samples:
        subject = name[:3] if name < "010" else int(name[:3])  # text or a number
        duration = f"=F{len(rows) + 1}-D{len(rows) + 1}+1"
        rows.append([subject, name, 3, onset, apex, offset, duration, kind, "4 + L9", None])
    emotions = [[f"Invented codes, line {i} of the preamble"] for i in range(1, 14)]
    emotions.append([*SAMM_COLUMNS, "Micro", "Action Units", "Estimated Emotion", "Objective Classes", "Notes"])
    for name, onset, apex, offset, kind, emotion in samples:
        if emotion is not None:
            emotions.append([name[:3], name, 3, onset, apex, offset, 25, kind, "4", emotion, 1, None])
    emotions.append(["The last line is text."])
    books = ("SAMM_LongVideos_V2_Release.xlsx", "SAMM_20181215_Micro_FACS_Codes_v2.xlsx")
    if second_spelling:
        books = ("SAMM_LongVideos_V3_Release.xlsx", "SAMM_Micro_FACS_Codes_v2.xlsx")
    write_xlsx(root / "SAMMLV" / books[0], [rows])
    write_xlsx(root / "SAMM" / books[1], [emotions])


def _casme2(root: Path, clips: Path, second_spelling: bool, faults: bool) -> None:
    """Five subjects, eight videos with a kept expression, three without; frames `img1` ... `img10`, not padded."""
    raw = "CASME2/CASME2_RAW" if second_spelling else "CASME2/CASME2/CASME2-RAW"
    samples = [  # subject number and index, Filename, start in the clip, onset, apex, offset, emotion
        (1, 0, "EP02_01f", 0, 21, 33, 45, "others"),
        (1, 0, "EP10_02", 6, 15, 27, 39, "happiness"),
        (1, 0, "EP9_03", 2, 19, 31, 43, "others"),
        (2, 1, "EP02_01f", 0, 21, 33, 45, "disgust"),
        (2, 1, "EP03_05", 6, 15, "/", 39, "disgust"),
        (9, 2, "EP01_11", 0, 21, 33, 45, "repression"),
        (9, 2, "EP07_04f", 6, 15, 27, 39, "surprise"),
        (10, 3, "EP02_04", 0, 21, 33, 45, "happiness"),
        (10, 3, "EP19_01", 6, 15, 27, 39, "fear"),
        (26, 4, "EP05_02", 0, 21, 33, 45, "surprise"),
        (26, 4, "EP18_50", 6, 66, 111, 111, "others"),
    ]
    place_frames(
        root, clips, [Clip(f"{raw}/sub{n:02d}/{name}", "img{}.jpg", i, start=s) for n, i, name, s, *_ in samples]
    )
    header = ["Subject", "Filename", None, "OnsetFrame", "ApexFrame", "OffsetFrame", None, "Action Units"]
    rows = [[*header, "Estimated Emotion"]]
    for number, _, name, _, onset, apex, offset, emotion in samples:
        rows.append([number, name, None, onset, apex, offset, None, "4+L7", emotion])
    if faults:
        rows += [
            ["two", "EP02_01f", None, 21, 33, 45, None, "4", "disgust"],
            [2, "EP02_02", None, 21, "//", 45, None, "4", "disgust"],
            [2, "EP02_03", None, 45, 33, 21, None, "4", "disgust"],
            [2, "EP02_04", None, 21, 33, 45, None, "4", "wonder"],
            [2, "EP02_05", None, 21, 33, "", None, "4", "disgust"],
            [2, "EP02_06", None, 21, 33, 45, None, "4", "disgust"],  # a video that is not there
        ]
    rows.append([None, "end of the invented list"])
    if second_spelling:
        write_xlsx(root / "CASME2/CASME2-coding-20140508.xlsx", [rows])
    else:
        write_xls(root / "CASME2/CASME2/CASME2_label_Ver_2.xls", [rows])


def _smic(camera: str) -> Callable[[Path, Path, bool, bool], None]:
    """Five subjects, eight videos; absolute frame numbers, with six digits in HS, some after a blank in VIS and NIR."""

    def write(root: Path, clips: Path, second_spelling: bool, faults: bool) -> None:
        base = f"SMIC/{camera}_long" if second_spelling else f"SMIC/SMIC-E_raw image/{camera}_long"
        raw = f"{base}/SMIC-{camera}-E/{camera}"
        padded, blank = "image{:05d}.jpg", "image{:05d}.jpg" if camera == "HS" else "image {:05d}.jpg"
        high = 559_700 if camera == "HS" else 2_832
        samples = [  # subject number and index, Filename, frames' name, FirstF, start in the clip, emotion
            (1, 0, "s1_ne_01", padded, high, 0, "negative"),
            (1, 0, "s1_ne_10", "image{}.jpg", 970, 6, "negative"),  # from image970 over image999 to image1027
            (1, 0, "s1_ne_9", padded, high + 300, 2, "negative"),
            (2, 1, "s2_po_01", blank, 1_200, 0, "positive"),
            (3, 2, "s3_sur_01", blank, 88, 0, "surprise"),
            (3, 2, "s3_ne_02", padded, 4_000, 20, "negative"),  # begins with the onset
            (11, 3, "s11_sur_02", padded, 5_000, 0, "surprise"),
            (20, 4, "s20_po_01", padded, 6_000, 0, "Positive"),
        ]
        place_frames(
            root,
            clips,
            [
                *(Clip(f"{raw}/s{n:02d}/{v}", frame, i, first, start) for n, i, v, frame, first, start, _ in samples),
                Clip(f"{raw}/s20/s20_ne_07", padded, 4, 7_000, frames=12),  # no row at all
            ],
        )
        header = ["Subject", "Filename", None, "OnsetF", "OffsetF", "Onset2F", "Offset2F", "TotalMF1", "Emotion"]
        rows = [[*header, "FirstF", "LastF"]]
        for number, _, name, _, first, start, emotion in samples:
            onset, offset, last = first + ONSET - start, first + OFFSET - start, first + N_FRAMES - start - 1
            second = (onset + 27, offset + 15) if name == "s2_po_01" else (None, None)
            first_cell = str(first) if name == "s3_sur_01" else first  # a number typed as text
            rows.append([number, name, None, onset, offset, *second, offset - onset + 1, emotion, first_cell, last])
        if faults:
            rows += [
                [1, "s1_ne_11", None, 5020, 5044, None, None, 25, "negative", "no", 5063],
                [1, "s1_ne_12", None, 5044, 5020, None, None, 25, "negative", 5000, 5063],
                [1, "s1_ne_13", None, 4990, 5020, None, None, 25, "negative", 5000, 5063],
                [1, "s1ne14", None, 5020, 5044, None, None, 25, "negative", 5000, 5063],
                ["one", "s1_ne_15", None, 5020, 5044, None, None, 25, "negative", 5000, 5063],
                [1, "s1_ne_16", None, 5020, 5044, None, None, 25, "bored", 5000, 5063],
                [1, "s1_ne_17", None, 5020, 5044, None, None, 25, "negative", 5000, 5063],  # not there
            ]
        rows += [[], ["OnsetF: number of the first frame of the expression"], [None, "All of this is invented."]]
        book = f"SMIC_{camera}_E_annotation.xlsx" if second_spelling else f"SMIC-{camera}-E_annotation.xlsx"
        write_xlsx(root / base / book, [rows])

    return write


LAYOUTS: dict[str, Callable[[Path, Path, bool, bool], None]] = {
    "CASME_sq": _casme_sq,
    "SAMMLV": _sammlv,
    "CASME2": _casme2,
    "SMIC_HS": _smic("HS"),
    "SMIC_VIS": _smic("VIS"),
    "SMIC_NIR": _smic("NIR"),
}
