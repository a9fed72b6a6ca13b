"""A tiny copy of CAS(ME)^3, Part A, with the quirks of its release (docs/datasets.md, CASME3). Every row is invented.

    make_casme3(tmp_path)      # writes tmp_path/CASME3/part_A/data/spNO.1/a/color/8.jpg ...

Two subjects with three videos of the clips of layouts.py. File number n shows frame n of its subject's clip, so the
expression in the picture has the onset 20, the apex 32 and the offset 44. Frames are 0-based and inclusive.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType

from tests.support.layouts import Clip, place_frames, rendered_clips, temporary_folder, write_xls, write_xlsx

RAW = "CASME3/part_A"
BOTH_KINDS = "CASME3/annotation/CAS(ME)3_part_A_v2.xls"
MICRO_BOOK = "CASME3/annotation/more/Cas(me)3_Part_A_ME_label_JpgIndex_v2.xlsx"  # in other letters than the release
SHEETS = ("AU+Emotion", "eye blink"), ("Label",)

HEADER = ["Subject", "Filename", "Onset", "Apex", "Offset", "AU"]
# Subject, letter, onset, apex, offset, action units, objective class, emotion. Numbers are text, as in the release.
MICRO_ROWS = [
    ["spNO.1", "a", "20", "32", "44", "4+7", "II", "disgust"],
    ["spNO.1", "j", "0", "9", "15", "14", "VII", "Others"],  # onset 0; the folder is `J`
    ["spNO.1", "J", "22", "22", "40", "1", "VI", "surprise"],  # onset = apex
    ["spNO.2", "c", "20", "32", "44", "12", "I", "happy"],
    ["spNO.2", "c", "10", "30", "3040", "1+4", "VII", "fear"],  # thousands of frames, beyond the last one
    ["spNO.2", "c", "3", "9", "12", "14", "VII", "others"],
]
# Subject, letter, onset, apex, offset, action units, type, objective class
MACRO_ROWS = [
    ["spNO.1", "a", "12", "20", "40", "12", "Macro-expression", "I"],
    ["spNO.2", "C", "9", "12", "30", "4", "Macro-expression", "VII"],
    ["spNO.2", "c", "31", None, "47", "4", "macro-expression", "VII"],  # no apex
]
BLINKS = [["Subject", "Filename", "Onset", "Apex", "Offset"], ["spNO.1", "a", "1", "2", "3"]]

# What is read: label of the video -> (onset, apex, offset, word of the workbook). An apex that is the onset is unknown.
EXPRESSIONS = MappingProxyType(
    {
        "spNO.1/a": [(20, 32, 44, "disgust")],
        "spNO.1/J": [(0, 9, 15, "others"), (22, None, 40, "surprise")],
        "spNO.2/c": [(3, 9, 12, "others"), (10, 30, 3040, "fear"), (20, 32, 44, "happy")],
    }
)
MACROS = MappingProxyType(
    {"spNO.1/a": [(12, 20, 40, "")], "spNO.2/c": [(9, 12, 30, ""), (31, None, 47, "")]},
)
THREE = MappingProxyType(
    {"disgust": "negative", "fear": "negative", "happy": "positive", "surprise": "surprise", "others": "others", "": ""}
)
FRAMES = MappingProxyType({"spNO.1/a": 48, "spNO.1/J": 46, "spNO.2/c": 50})  # the last number + 1
FIRST = MappingProxyType({"spNO.1/a": 8, "spNO.1/J": 7, "spNO.2/c": 8})  # number of the first file
GAP = (31, 32)  # numbers that are missing in spNO.1/a: 32 is an apex
DAMAGED = {"spNO.1/J": 7, "spNO.2/c": 25}  # files that are no images
K_PRIME = {"mean": 260, "median": 11}  # lengths 24, 15, 18, 24, 3030, 9: mean 520, median 21


def make_casme3(root: Path) -> None:
    """Write a data root with the dataset."""
    videos = [
        Clip("data/spNO.1/a/color", "{}.jpg", 0, first=8, start=8, frames=40),
        Clip("data/spNO.1/J/color", "{}.jpg", 0, first=7, start=7, frames=39),
        Clip("data_2/part/spNO.2/c/Color", "{}.jpg", 1, first=8, start=8, frames=42),
    ]
    place_frames(root / RAW, rendered_clips(), videos)
    color = {label: root / RAW / video.folder for label, video in zip(FRAMES, videos, strict=True)}
    for number in GAP:
        (color["spNO.1/a"] / f"{number}.jpg").unlink()
    for (label, number), content in zip(DAMAGED.items(), (b"\xff\xd8 cut short", b""), strict=True):
        replace_file(color[label] / f"{number}.jpg", content)
    depth = color["spNO.1/a"].with_name("depth")
    depth.mkdir()
    (depth / "8.png").write_bytes(b"not looked at")
    for hidden in ("__MACOSX/spNO.9/a/color", ".trash/spNO.9/a/color"):
        (root / RAW / hidden).mkdir(parents=True)
        (root / RAW / hidden / "8.jpg").write_bytes(b"not looked at")
    write_books(root)


def write_books(root: Path, micro: Sequence[Sequence] = MICRO_ROWS, macro: Sequence[Sequence] = MACRO_ROWS) -> None:
    """Write both workbooks. The one with both kinds also has the micro-expressions, without their emotions."""
    both = [[*row[:6], "Micro-expression", row[6]] for row in micro] + list(macro)
    (root / BOTH_KINDS).unlink(missing_ok=True)
    write_xls(root / BOTH_KINDS, [[[*HEADER, "Expression type", "Objective class"], *both], BLINKS], SHEETS[0])
    (root / MICRO_BOOK).unlink(missing_ok=True)
    write_xlsx(root / MICRO_BOOK, [[[*HEADER, "Objective class", "emotion"], *micro]], SHEETS[1])


def replace_file(path: Path, content: bytes) -> None:
    """Put other content in the place of a file that may be a link."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)


@cache
def shared_casme3() -> Path:
    """A data root to be read only, made once per process."""
    root = temporary_folder()
    make_casme3(root)
    return root
