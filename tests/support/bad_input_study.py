"""Cases of tables of annotations (--annotations) and of the videos that they name."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.bad_input import N_FRAMES, Case, add_video, encoded, face_image, put
from tests.support.bad_input_flags import given
from tests.support.eaf_files import TALK
from tests.support.video_clips import numbered, write_sound, write_video
from Utils.evaluation.eaf_writer import Annotated, write_eaf
from Utils.settings import PROJECT

Spoil = Callable[[Path], Sequence[str]]
HEAD = "subject,video,onset,apex,offset,emotion,fps\n"
GOOD = "anna,talk,3,5,8,negative,30\nben,talk,3,5,8,positive,\n"
STUDY = ("--annotations", "data/study.csv", "--workers", "1")
BASE = ("--frame_base", "1")
TRAIN, CHECK, WEIGHTS = (*STUDY, *BASE, "--train"), (*STUDY, *BASE, "--check"), (*STUDY, *BASE, "--weights_dir", "w")
HERE = "data/study.csv"


@cache
def film(images: str = "face", fps: float = 30) -> bytes:
    """A video file of `N_FRAMES` frames: of a face, or of grey levels."""
    frames = [face_image()] * N_FRAMES if images == "face" else numbered(N_FRAMES, (160, 120))
    with TemporaryDirectory() as folder:
        return write_video(Path(folder) / "film.mp4", frames, fps=fps).read_bytes()


def add_study(root: Path, text: str | bytes = HEAD + GOOD) -> Path:
    """Make `data`: anna/talk is a folder of frames, ben/talk.mp4 a file; and `study.csv` with this text."""
    add_video(root / "data/anna/talk")
    (root / "data/ben").mkdir()
    (root / "data/ben/talk.mp4").write_bytes(film())
    (root / HERE).write_bytes(text if isinstance(text, bytes) else text.encode())
    return root / "data"


def table(text: str | bytes, flags: Sequence[str] = TRAIN) -> Spoil:
    """A run with another text in the table."""
    return lambda root: (add_study(root, text), flags)[1]


def rows(more: str, flags: Sequence[str] = CHECK, head: str = HEAD, good: str = GOOD) -> Spoil:
    """The check of a table with more rows, which are left out."""
    return table(head + good + more, flags)


def row(**cells: object) -> Spoil:
    """The check of a table with one more row, in line 4: a good one of anna, but for these cells."""
    new = dict(subject="anna", video="talk", onset=2, apex="", offset=4, emotion="negative", fps="") | cells
    lines = [line.split(",") for line in GOOD.split()]
    padded = "".join(",".join([*line, *[""] * (len(new) - len(line))]) + "\n" for line in lines)
    return table(",".join(new) + "\n" + padded + ",".join(map(str, new.values())) + "\n", CHECK)


def changed(change: Callable[[Path], object], flags: Sequence[str] = TRAIN, text: str = HEAD + GOOD) -> Spoil:
    """A run after a change to the folder `data`."""
    return lambda root: (change(add_study(root, text)), flags)[1]


def files(*tables: str, change: Callable[[Path], object] = lambda data: None, task: str = "--train") -> Spoil:
    """A run with these tables."""
    return changed(change, ("--annotations", *tables, "--data_root", "data", *BASE, "--workers", "1", task))


def with_weights(change: Callable[[Path], object], text: str = HEAD + GOOD) -> Spoil:
    """A run with the weights of DEMO."""

    def spoil(root: Path) -> Sequence[str]:
        change(add_study(root, text))
        for kind in ("spot", "recog"):
            (root / "w/study" / kind).mkdir(parents=True)
            for number in (1, 2, 3):
                source = PROJECT / f"MEAN_Weights/DEMO/{kind}/s1.weights.h5"
                shutil.copyfile(source, root / "w/study" / kind / f"s{number}.weights.h5")
        return WEIGHTS

    return spoil


def without_column(name: str) -> Spoil:
    names = HEAD.strip().split(",")
    place = names.index(name)
    lines = [line.split(",") for line in (HEAD + GOOD).split()]
    return table("".join(",".join(line[:place] + line[place + 1 :]) + "\n" for line in lines))


def a_folder_as_table(data: Path) -> None:
    (data / "study.csv").unlink()
    (data / "study.csv").mkdir()


def no_elan_file(data: Path) -> None:
    (data / "a.eaf").write_text("0.4 0.8 negative\n")


def elan_file(*expressions: Annotated) -> Callable[[Path], object]:
    """An ELAN file with these expressions."""

    def change(data: Path) -> None:
        write_eaf(data / "a.eaf", data / "talk.mp4", {0: expressions}, TALK)

    return change


def nobody_in(folder: str) -> Callable[[Path], object]:
    """One more video, which shows no face."""

    def change(data: Path) -> None:
        (data / folder).mkdir()
        (data / folder / "talk.mp4").write_bytes(film("grey"))

    return change


def two_bases(root: Path) -> Sequence[str]:
    head = HEAD.strip() + ",frame_base\n"
    add_study(root, head + "anna,talk,3,5,8,negative,30,0\nben,talk,3,5,8,positive,,1\n")
    return (*STUDY, "--train")


def mixed_rates(root: Path) -> Sequence[str]:
    (add_study(root) / "ben/talk.mp4").write_bytes(film(fps=15))
    return (*TRAIN, "--protocol", "upstream")


REVIEW = "subject,video,onset,offset,fps,coder,reviewed_at,status\n"
MANY = "".join(f"anna,talk,1,,2,emotion {i},30\n" for i in range(200))
NAME, LONG = "x" * 120, "x" * 121
ONE = Annotated(10, 20, "negative")
TIMES = "subject,video,onset,offset,onset_s,offset_s,fps\n"
TABLES = [
    Case("study: no such table", files("data/no.csv"), ("data/no.csv: there is no such file",)),
    Case("study: table is a folder", changed(a_folder_as_table), (f"{HERE}: cannot be read",)),
    Case("study: table is empty", table(""), (f"{HERE}: is empty", "subject, video, onset, offset")),
    Case("study: only a header", table(HEAD), (f"{HERE}: has a header and no annotation",)),
    Case("study: random bytes", table(bytes(range(128, 256)) * 8), (f"{HERE}: is not UTF-8 text",)),
    Case("study: UTF-16", table((HEAD + GOOD).encode("utf-16")), (f"{HERE}: is not UTF-8 text",)),
    Case("study: zeros", table(bytes(4000)), (f"{HERE}",)),
    Case("study: a workbook", table(b"PK\x03\x04\x14\x00\x06\x00\x08\x00\x00\x00!\x00"), (f"{HERE}",)),
    Case("study: a quote without end", table(HEAD + 'anna,"talk,3,5,8,,30\n'), (f"{HERE}, line ", "is not CSV")),
    Case("study: semicolons", table((HEAD + GOOD).replace(",", ";")), (f"{HERE}, line 1", "columns by commas")),
    Case("study: too many fields", table(HEAD + "anna,talk,3,5,8,joy, happy,30\n"), (f"{HERE}, line 2: 8 fields",)),
    Case("study: a column twice", table(HEAD.replace("apex", "onset") + GOOD), ("line 1: column onset is there more",)),
    Case("study: no column subject", without_column("subject"), (f"{HERE}, line 1: no column subject; it has",)),
    Case("study: no column video", without_column("video"), (f"{HERE}, line 1: no column video; it has",)),
    Case("study: no column onset", without_column("onset"), ("line 1: no column onset (frames) or onset_s (seconds)",)),
    Case("study: no column offset", without_column("offset"), ("no column offset (frames) or offset_s (seconds)",)),
    Case("study: no column apex", lambda root: (without_column("apex")(root), CHECK)[1], ("takes part",), 0),
    Case("study: no column emotion", lambda root: (without_column("emotion")(root), CHECK)[1], ("takes part",), 0),
    Case("study: table given twice", files(HERE, HERE), (f"{HERE}: is given twice",)),
    Case("study: table given under two names", files(HERE, "data/anna/../study.csv"), ("study.csv: is given twice",)),
    Case("study: ELAN file that is none", files("data/a.eaf", change=no_elan_file), ("a.eaf: is not an ELAN file",)),
    Case("study: ELAN file without expressions", files("data/a.eaf", change=elan_file()), ("has no expression",)),
    Case("study: ELAN file of no video", files(HERE, "data/a.eaf", change=elan_file(ONE), task="--check"),
         ("left out because they are faulty: 1", "data/a.eaf, expression 1: there is no video file or folder"), 0),
    Case("study: 200 emotions", table(HEAD + MANY), (f"{HERE}: 200 different emotions",)),
    Case("study: no base of frames", table(HEAD + GOOD, (*STUDY, "--train")),
         (f"{HERE}, line 2: does not say whether a video's first frame is 0 or 1", "--frame_base 0")),
    Case("study: two bases of frames", two_bases, ("line 3: counts frames from 1, but", "line 2 counts from 0")),
    Case("study: another base than the flag",
         table(HEAD.replace("fps", "frame_base") + GOOD.replace(",30", ",0"), (*TRAIN, "--fps", "30")),
         (f"{HERE}, line 2: counts frames from 0, but --frame_base is 1",)),
    Case("study: times that contradict the flag", table(TIMES + "anna,talk,3,8,0.1000,0.2667,30\n"),
         (f"{HERE}, line 2: counts frames from 0, by its times in seconds, but --frame_base is 1",)),
    Case("study: two frame rates", table(HEAD + GOOD + "anna,talk,2,,4,,25\n"),
         (f"{HERE}, line 2: video talk of anna has two frame rates, 25 and 30",)),
    Case("study: no frame rate", table((HEAD + GOOD).replace(",30", ",")), ("data/anna/talk: is a folder of images",)),
    Case("study: another frame rate than the file's", table((HEAD + GOOD).replace("positive,", "positive,60")),
         ("data/ben/talk.mp4: has 30 frames per second, but the table or --fps says 60",)),
    Case("study: no video is there", table(HEAD + "cem,talk,3,5,8,joy,30\n"),
         (f"{HERE}: no row can be used", "no video file or folder cem/talk or talk in data; --data_root says where")),
    Case("study: every row is faulty", table(HEAD + "anna,talk,8,5,3,joy,30\n"),
         (f"{HERE}: no row can be used", "line 2, column onset: 8 lies after offset 3")),
    Case("study: macro-expressions only", table(HEAD.replace("fps", "kind") + GOOD.replace(",30", ",macro").replace(
         "positive,", "positive,macro"), (*TRAIN, "--fps", "30")), ("annotates no micro-expressions", "macro")),
    Case("study: everything rejected", table(
         "video,face,onset,offset,status,coder,reviewed_at\ntalk,0,2,4,rejected,Ada,\n"), ("no row can be used",)),
    Case("study: one subject", table(HEAD + GOOD.split("ben")[0]), ("needs two subjects, there is only anna",)),
    Case("study: one subject, checked", table(HEAD + GOOD.split("ben")[0], CHECK), ("only one subject",), 0),
    Case("study: more folds than subjects", table(HEAD + GOOD, (*TRAIN, "--folds", "3")),
         ("--folds 3: there are only 2 subjects; give at most 2",)),
    Case("study: upstream with two frame rates", mixed_rates, ("--protocol upstream: the authors' code has one frame",
         "15 and 30")),
    Case("study: no weights", table(HEAD + GOOD, WEIGHTS), ("w/study", "no weights")),
]  # fmt: skip

LEFT_OUT = [
    Case(f"study: row with {name}", row(**cells), ("left out because they are faulty: 1", f"{HERE}, line 4", said), 0)
    for name, cells, said in [
        ("onset after offset", dict(onset=9, offset=8), "column onset: 9 lies after offset 8"),
        ("frame 0 of base 1", dict(onset=0), "column onset: 0 lies before the video's first frame, which is 1"),
        ("a negative frame", dict(onset=-7), "column onset: -7 lies before the video's first frame"),
        ("an apex of -1", dict(apex=-1), "column apex: -1 lies before the video's first frame; leave it empty"),
        ("a frame after the end", dict(onset=13, offset=20), "column onset: 13 lies after the end of the video"),
        ("a huge frame", dict(offset="9" * 400), "column offset: '9999", ),
        ("infinity", dict(offset="inf"), "column offset: 'inf' is not a frame number"),
        ("a fraction", dict(onset="2.5"), "column onset: '2.5' is not a frame number; write a whole number"),
        ("a word as frame", dict(apex="early"), "column apex: 'early' is not a frame number"),
        ("NaN as onset", dict(onset="NaN"), "column onset: is empty; write a frame or a time"),
        ("no offset", dict(offset=""), "column offset: is empty; write a frame or a time"),
        ("an escape as path", dict(path="\x1b[2J"), r"column path: '\x1b[2J' has characters that cannot be shown"),
        ("a long path", dict(video="w", path="x" * 5000), "there is no video file or folder 'xxx"),
        ("no subject", dict(subject=""), "column subject: is empty; write the name"),
        ("no video", dict(video=""), "column video: is empty; write the name"),
        ("a slash in its name", dict(video="a/talk"), "column video: 'a/talk' has a character that names of folders"),
        ("a path as subject", dict(subject="../anna"), "column subject: '../anna' cannot be the name of a folder"),
        ("a hidden video", dict(video=".talk"), "column video: '.talk' cannot be the name of a folder"),
        ("a long name", dict(subject=LONG), "column subject: 'xxx"),
        ("an escape as name", dict(video="\x1b[2J"), r"column video: '\x1b[2J' cannot be the name"),
        ("a video that is not there", dict(video="walk"), "no video file or folder anna/walk or walk in data"),
        ("an unknown kind", dict(kind="smile"), "column kind: 'smile' is neither micro nor macro"),
        ("an unknown type", dict(type="mee"), "column type: 'mee' is neither micro nor macro"),
        ("an escape as emotion", dict(emotion="\x1b[2J"), "column emotion: '\\x1b[2J' is too long or has characters"),
        ("a frame base of 2", dict(frame_base=2), "column frame_base: 2 is neither 0 nor 1"),
        ("a frame rate of 0", dict(fps=0), "column fps: '0' is not a number from 1 to 1000"),
        ("a frame rate in words", dict(fps="PAL"), "column fps: 'PAL' is not a number from 1 to 1000"),
        ("frames and times that disagree", dict(onset_s=5, offset_s=6), "column onset: frame 2 and 5 s do not agree"),
        ("a time in words", dict(onset="", onset_s="0:01", offset_s=1), "column onset_s: '0:01' is not a time in sec"),
    ]
]  # fmt: skip
LEFT_OUT += [
    Case("study: an unknown status", rows("anna,talk,2,4,30,,,maybe\n", head=REVIEW, good="anna,talk,6,8,30,,,added\n"),
         ("faulty: 1", "line 3, column status: 'maybe' is not a status; write accepted"), 0),
    Case("study: a row twice", rows(GOOD.split()[0] + "\n"), ("faulty: 1", "line 4: the same expression as line 2"), 0),
    Case("study: a blink", row(kind="blink"), ("1 skipped", "blink, which is no expression", "line 4"), 0),
    Case("study: another face", row(face=1), ("1 skipped", "another face than face 0"), 0),
    Case("study: offset after the end", row(offset=15), ("offset lies 3 frame(s) beyond the last of the 12",), 0),
    Case("study: two spellings of a subject", rows("BEN,walk,2,,4,,30\n"), ("faulty: 1", "ben and BEN count as"), 0),
    Case("study: rows left out in a run", with_weights(lambda data: None, HEAD + GOOD + "anna,talk,9,,3,,\n"),
         ("1 row(s) left out because they are faulty", f"{HERE}, line 4, column onset: 9 lies after", "STRS"), 0),
    Case("study: a video without a face", with_weights(nobody_in("cem"), HEAD + GOOD + "cem,talk,3,5,8,positive,\n"),
         ("cem/talk: no face in any of its 12 frames", "STRS"), 1),
]  # fmt: skip


def twice(data: Path) -> None:
    shutil.copyfile(data / "ben/talk.mp4", data / "ben/talk.avi")


def empty_folder(data: Path) -> None:
    for path in (data / "anna/talk").iterdir():
        path.unlink()


def one_for_both(data: Path) -> None:
    shutil.move(data / "anna/talk", data / "talk")
    shutil.rmtree(data / "ben")


def long_names(data: Path) -> None:
    (data / NAME).mkdir()
    shutil.move(data / "anna/talk", data / NAME / NAME)


def in_place(name: str, make: Callable[[Path], object]) -> Callable[[Path], None]:
    def change(data: Path) -> None:
        (data / name).unlink()
        make(data / name)

    return change


FRAME = "anna/talk/img007.jpg"
FILE = "ben/talk.mp4"
NAMED = f"data/{FILE}: "
FOUND = [
    Case("study: two videos of one name", changed(twice), ("data/ben: talk.avi and talk.mp4 are both video 'talk'",)),
    Case("study: one video of two subjects", changed(one_for_both), (f"{HERE}, line 3: data/talk is video talk of ben",
         "and also talk of anna")),
    Case("study: two paths of a video", table((HEAD + GOOD).replace("fps", "path").replace(",30", ",anna/talk")
         + "anna,talk,2,,4,,ben/talk.mp4\n", (*TRAIN, "--fps", "30")), ("line 2: video talk of anna has two paths",)),
    Case("study: folder without frames", changed(empty_folder), ("data/anna/talk: has no images",)),
    Case("study: a frame number twice", changed(lambda d: shutil.copyfile(d / FRAME, d / "anna/talk/img07.jpg")),
         ("frame 7 is there twice",)),
    Case("study: a frame links to nothing", changed(in_place(FRAME, lambda p: p.symlink_to("gone.jpg"))),
         ("img007.jpg: is not a file, or is a link to nothing",)),
    Case("study: a frame is text", changed(lambda d: put(d / FRAME, b"Lorem")), ("img007.jpg: frame is not a",)),
    Case("study: a frame of another size", changed(lambda d: put(d / FRAME, encoded(face_image()[:100]))),
         ("img007.jpg: is 160x100 pixels, the frames before it 160x120",)),
    Case("study: a frame is text, checked", changed(lambda d: put(d / FRAME, b"Lorem"), CHECK),
         ("cannot be used: 1", "img007.jpg: neither JPEG nor PNG nor BMP"), n_lines=0),
    Case("study: a missing frame", changed(lambda d: (d / FRAME).unlink(), CHECK), ("1 frame number(s) missing",), 0),
    Case("study: video of 0 bytes", changed(lambda d: (d / FILE).write_bytes(b"")), (NAMED,)),
    Case("study: video cut short", changed(lambda d: (d / FILE).write_bytes(film()[:500])), (NAMED,)),
    Case("study: text as video", changed(lambda d: (d / FILE).write_text("Lorem ipsum")), (NAMED,)),
    Case("study: sound as video", changed(lambda d: write_sound(d / FILE)), (NAMED,)),
    Case("study: unreadable video, checked", changed(lambda d: (d / FILE).write_text("Lorem"), CHECK),
         ("cannot be used: 1", NAMED), n_lines=0),
    Case("study: a folder with the name of a file", changed(in_place(FILE, Path.mkdir)), ("there is only anna",)),
    Case("study: video without permission", changed(lambda d: (d / FILE).chmod(0)), (NAMED,), as_nobody=True),
    Case("study: table without permission", changed(lambda d: (d / "study.csv").chmod(0)),
         (f"{HERE}: cannot be read (Permission denied)",), as_nobody=True),
    Case("study: folder without permission", changed(lambda d: (d / "anna").chmod(0)), ("data/anna",), as_nobody=True),
    Case("study: names of 120 bytes", with_weights(long_names, (HEAD + GOOD).replace("anna,talk", f"{NAME},{NAME}")),
         ("STRS",), 0),
]  # fmt: skip
if hasattr(os, "mkfifo"):
    FOUND.append(Case("study: a frame is a pipe", changed(in_place(FRAME, os.mkfifo)), ("img007.jpg: is not a file",)))

_A = ("--annotations", "a.csv")
STUDY_FLAGS = [
    Case(" ".join(flags), given(*flags), says)
    for flags, says in [
        (("--frame_base", "1"), ("--frame_base is for --annotations: add that flag",)),
        ((*_A, "--frame_base", "2", "--check"), ("--frame_base: 2 is outside [0, 1]",)),
        ((*_A, "--frame_base", "one", "--check"), ("--frame_base: 'one' is not a whole number",)),
        (("--fps", "30", "--train"), ("--fps is for --annotations or --video",)),
        ((*_A, "--fps", "0", "--check"), ("--fps",)),
        ((*_A, "--dataset_name", "CASME_sq"), ("--dataset_name CASME_sq is a dataset of this program", "another name")),
        ((*_A, "--dataset_name", "SYNTH", "--train"), ("--dataset_name SYNTH",)),
        ((*_A, "--dataset_name", "../x", "--train"), ("--dataset_name '../x': use at most 80 letters",)),
        ((*_A, "--dataset_name", "x" * 81, "--train"), ("use at most 80 letters",)),
        ((*_A, "--dataset_name", ".x", "--train"), ("no dot at the beginning",)),
        (("--annotations", "--train"), ("--annotations: expected at least one argument",)),
        ((*_A, "--video", "a.mp4"), ("--annotations is for --check or --train", "not for --video")),
        ((*_A, "--evaluate", "p.csv", "--ground_truth", "g.csv"), ("--annotations is for", "not for --evaluate")),
        ((*_A, "--data_root", "nowhere", "--check"), ("nowhere: no such folder", "--data_root")),
        ((*_A, "--data_root", "/dev/null", "--check"), ("/dev/null: no such folder",)),
        (("--annotations", "a\nb.csv", "--check"), ("a\\nb.csv: there is no such file",)),
        (("--annotations", "a\udcff.csv", "--check"), ("a\\udcff.csv", "not valid Unicode")),
        (("--folds", "5"), ("--folds is for --train: add that flag",)),
        (("--train", "--folds", "1"), ("--folds: 1 is outside [2, 1000]",)),
        (("--train", "--folds", "two"), ("--folds: 'two' is not a whole number",)),
        (("--train", "--folds", "2", "--protocol", "upstream"), ("--folds is not for --protocol upstream",)),
    ]
]
STUDIES = [*TABLES, *LEFT_OUT, *FOUND, *STUDY_FLAGS]
