"""Cases of bad input for CAS(ME)^3: workbooks, frames that are found by their number, and its flags."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.support.bad_input import N_FRAMES, RUN, Case, add_video, encoded, face_image, put
from tests.support.layouts import write_xlsx
from Utils.settings import PROJECT

Spoil = Callable[[Path], Sequence[str]]
FOLDER = "data/CASME3"
VIDEO = f"{FOLDER}/part_A/x/spNO.1/a"
MICRO_BOOK = f"{FOLDER}/cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx"
BOTH_KINDS = f"{FOLDER}/CAS(ME)3_part_A_v2.xlsx"
COLUMNS = ("Subject", "Filename", "Onset", "Apex", "Offset")
HEADERS = {MICRO_BOOK: (*COLUMNS, "emotion"), BOTH_KINDS: (*COLUMNS, "Expression type")}
SHEETS = {MICRO_BOOK: "label", BOTH_KINDS: "AU+Emotion"}
GOOD = ("spNO.1", "a", "3", "5", "8")

TRAIN = ("--dataset_name", "CASME3", "--train", "--workers", "1")
MACRO = (*TRAIN, "--expression", "macro")
CHECK = ("--dataset_name", "CASME3", "--check", "--workers", "1")


def write_book(root: Path, book: str, rows: Sequence[Sequence], **changed: object) -> None:
    """Write a workbook. `changed` may have another `sheet` name or `header`."""
    (root / book).unlink(missing_ok=True)
    header = changed.get("header", HEADERS[book])
    write_xlsx(root / book, [[header, *rows]], [changed.get("sheet", SHEETS[book])])


def make(root: Path) -> None:
    """One video of one subject, with a micro- and a macro-expression."""
    add_video(root / VIDEO / "color", "{}.jpg")
    write_book(root, MICRO_BOOK, [(*GOOD, "sad")])
    write_book(root, BOTH_KINDS, [(*GOOD, "Micro-expression"), (*GOOD, "Macro-expression")])


def changed(change: Callable[[Path], object], flags: Sequence[str] = TRAIN) -> Spoil:
    """The flags, after a change to the workplace."""

    def spoil(root: Path) -> Sequence[str]:
        make(root)
        change(root)
        return flags

    return spoil


def book(name: str, flags: Sequence[str] = TRAIN, rows: Sequence[Sequence] | None = None, **changes: object) -> Spoil:
    """The flags, after a workbook was written in another way."""
    last = "sad" if name == MICRO_BOOK else "Macro-expression"
    return changed(lambda root: write_book(root, name, rows or [(*GOOD, last)], **changes), flags)


def cell(column: int, value: object, flags: Sequence[str] = TRAIN) -> Spoil:
    """A run in which one cell of the only expression is another."""
    name, last = (BOTH_KINDS, "Macro-expression") if flags == MACRO else (MICRO_BOOK, "sad")
    row = [*GOOD, last]
    row[column] = value
    return book(name, flags, [row])


def color(change: Callable[[Path], object], flags: Sequence[str] = TRAIN) -> Spoil:
    """The flags, after a change to the folder with the frames."""
    return changed(lambda root: change(root / VIDEO / "color"), flags)


def no_books(root: Path) -> None:
    for name in (MICRO_BOOK, BOTH_KINDS):
        (root / name).unlink(missing_ok=True)


def damaged(folder: Path, numbers: Sequence[int] = range(1, N_FRAMES + 1)) -> None:
    for number in numbers:
        put(folder / f"{number}.jpg", b"no image")


def empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def as_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_bytes(b"")


def two_subjects(root: Path) -> None:
    """A second subject and a third video, weights for both subjects, and nothing readable in the third video."""
    for folder in ("spNO.2/b", "spNO.2/c"):
        add_video(root / f"{FOLDER}/part_A/{folder}/color", "{}.jpg")
    rows = [(subject, letter, *GOOD[2:], "happy") for subject, letter in (("spNO.1", "a"), ("spNO.2", "b"))]
    write_book(root, MICRO_BOOK, [*rows, ("spNO.2", "c", *GOOD[2:], "happy")])
    damaged(root / f"{FOLDER}/part_A/spNO.2/c/color")
    for kind in ("spot", "recog"):
        (root / "w/CASME3" / kind).mkdir(parents=True)
        for name in ("s1.weights.h5", "s2.weights.h5"):
            shutil.copyfile(PROJECT / f"MEAN_Weights/DEMO/{kind}/s1.weights.h5", root / "w/CASME3" / kind / name)


PREDICT = ("--dataset_name", "CASME3", *RUN)
SMALL = encoded(face_image()[:100])
ROW_2 = ("JpgIndex_v2.xlsx", "row 2")
BOOK_CASES = [
    Case("CASME3: no workbooks", changed(no_books), ("JpgIndex_v2.xlsx: not found", "docs/datasets.md")),
    Case("CASME3: no workbooks for spotting", changed(no_books, (*TRAIN, "--method", "SOFTNet")), ("not found",)),
    Case("CASME3: no workbook of macro-expressions", changed(no_books, MACRO), ("CAS(ME)3_part_A_v2.xlsx: not found",)),
    Case("CASME3: no sheet label", book(MICRO_BOOK, sheet="Sheet1"), ("has no sheet 'label' (there are: 'Sheet1')",)),
    Case("CASME3: no sheet AU+Emotion", book(BOTH_KINDS, MACRO, sheet="eye blink"), ("no sheet 'AU+Emotion'",)),
    Case("CASME3: no column emotion", book(MICRO_BOOK, header=(*COLUMNS, "AU")), ("column(s) emotion",)),
    Case("CASME3: no column of the type", book(BOTH_KINDS, MACRO, header=COLUMNS), ("column(s) Expression type",)),
    Case("CASME3: no header", book(MICRO_BOOK, header=()), ("no header row", "Subject, Filename")),
    Case("CASME3: workbook is text", changed(lambda root: put(root / MICRO_BOOK, b"a,b")), ("not an Excel workbook",)),
    Case("CASME3: onset is text", cell(2, "early"), (*ROW_2, "column C: onset is 'early'")),
    Case("CASME3: onset is a fraction", cell(2, "3.5"), (*ROW_2, "column C: onset is 3.5")),
    Case("CASME3: onset is negative", cell(2, "-1"), (*ROW_2, "onset -1 lies before the first frame 0")),
    Case("CASME3: onset after offset", cell(2, "9"), (*ROW_2, "onset 9 lies after offset 8")),
    Case("CASME3: apex is empty", cell(3, None), (*ROW_2, "column D: apex is empty")),
    Case("CASME3: offset is huge", cell(4, 1e300), (*ROW_2, "column E: offset is 1e+300")),
    Case("CASME3: offset is a truth value", cell(4, True), (*ROW_2, "column E: offset is True")),
    Case("CASME3: subject without a number", cell(0, "spNO."), (*ROW_2, "is not spNO.<number>")),
    Case("CASME3: subject is empty", cell(0, None), (*ROW_2, "column A: Subject is empty")),
    Case("CASME3: letter is a path", cell(1, "../a"), (*ROW_2, "is not a letter from a to z")),
    Case("CASME3: unknown emotion", cell(5, "boredom"), (*ROW_2, "emotion 'boredom' is not one of disgust")),
    Case("CASME3: unknown type", cell(5, "Mikro", MACRO), ("row 2", "neither Micro-expression nor Macro-expression")),
    Case("CASME3: only micro rows for macro", cell(5, "Micro-expression", MACRO), ("no usable macro-expression",)),
    Case("CASME3: letter without a folder", cell(1, "k"), ("no frames of video k of subject spNO.1", "spNO.1/a")),
]
FRAME_CASES = [
    Case("CASME3: no part_A", changed(lambda root: shutil.rmtree(root / FOLDER / "part_A")), ("part_A: not found",)),
    Case("CASME3: part_A is empty", changed(lambda root: empty(root / FOLDER / "part_A")), ("no video folder",)),
    Case("CASME3: no folder color", color(lambda p: p.rename(p.with_name("depth"))), ("spNO.1/a: no folder color",)),
    Case("CASME3: color is a file", color(as_file), ("spNO.1/a: no folder color",)),
    Case("CASME3: color is empty", color(empty), ("spNO.1/a/color: no frames in this video folder",)),
    Case("CASME3: all images are damaged", color(damaged), ("none of the 1 videos can be used", "of its 12 images")),
    Case("CASME3: a huge number", color(lambda p: (p / "12.jpg").rename(p / "99999999.jpg")), ("99999999.jpg", "more")),
    Case("CASME3: one number twice", color(lambda p: shutil.copy(p / "7.jpg", p / "007.jpg")), ("7 is there twice",)),
    Case(
        "CASME3: one letter in two cases",
        color(lambda p: shutil.copytree(p, p.parents[1] / "A/color")),
        ("spNO.1/a: the same video as", "spNO.1/A/color"),
    ),
    Case("CASME3: an image of another size", color(lambda p: put(p / "7.jpg", SMALL)), ("7.jpg: is 160x100",)),
    Case("CASME3: a frame is a folder", color(lambda p: (p / "13.jpg").mkdir()), ("13.jpg", "is not a file")),
    Case("CASME3: image without permission", color(lambda p: (p / "7.jpg").chmod(0)), ("Permission",), as_nobody=True),
    Case("CASME3: only one subject", changed(lambda root: None), ("needs two subjects, there is only spNO.1",)),
]
FLAG_CASES = [
    Case("CASME3: --classes 5", lambda root: (*TRAIN, "--classes", "5"), ("--classes: '5' is none of 3, 4, 7",)),
    Case("CASME3: --classes with names", lambda root: (*CHECK, "--classes", "sad,happy"), ("is none of 3, 4, 7",)),
    Case("CASME3: --classes empty", lambda root: (*TRAIN, "--classes", ""), ("--classes: '' is none of",)),
    Case("CASME3: --classes with an escape", lambda root: (*TRAIN, "--classes", "\x1b[2J"), ("is none of 3, 4, 7",)),
    Case("CASME3: --half_length_from max", lambda root: (*TRAIN, "--half_length_from", "max"), ("half_length_from",)),
]
# What can be left out is, and is counted
USED_CASES = [
    Case(
        "CASME3: one row of two is faulty",
        book(MICRO_BOOK, CHECK, [(*GOOD, "sad"), ("spNO.1", "a", "x", "5", "8", "sad")]),
        ("1 micro-expressions that can be used", "because they are faulty: 1", "row 3, column C: onset is 'x'"),
        0,
    ),
    Case(
        "CASME3: one letter of two has no folder",
        book(MICRO_BOOK, CHECK, [(*GOOD, "sad"), ("spNO.1", "k", "3", "5", "8", "sad")]),
        ("here 1/1/1", "no frames of video k of subject spNO.1, 1 expression(s) left out"),
        0,
    ),
    Case("CASME3: an image is damaged", color(lambda p: damaged(p, [7]), CHECK), ("cannot be read: 1", "7.jpg"), 0),
    Case("CASME3: offset beyond the last frame", book(MICRO_BOOK, CHECK, [(*GOOD[:4], "3000", "sad")]), ("2988",), 0),
    Case(
        "CASME3: the other workbook is text",
        changed(lambda root: put(root / BOTH_KINDS, b"a,b"), CHECK),
        ("not compared with the workbook of both kinds", "not an Excel workbook"),
        0,
    ),
    Case("CASME3: one video of three is damaged", changed(two_subjects, PREDICT), ("spNO.2/c: none of its 12",), 1),
]
CASME3 = [*BOOK_CASES, *FRAME_CASES, *FLAG_CASES, *USED_CASES]
