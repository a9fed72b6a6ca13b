"""Cases of ELAN files and reviews that --evaluate, --ground_truth and --agreement cannot use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.support.bad_input import Case
from tests.support.bad_input_tables import DOCTYPE
from tests.support.eaf_files import TALK, written
from Utils.evaluation.eaf_writer import Annotated

Spoil = Callable[[Path], tuple[str, ...]]
GOOD = "subject,video,onset,offset,emotion\nsession 1,talk,10,20,negative\nsession 1,talk,50,60,positive\n"
REVIEW_HEAD = (
    "subject,video,face,onset,apex,offset,onset_s,offset_s,score,emotion,confidence,kind,"
    "status,coder,reviewed_at,note\n"
)
ROW = "session 1,talk,0,{},15,{},0.4,0.8,0.5,{},0.6,micro,{},Ada,{},\n"
DATE = "2026-11-25T10:00:00Z"


def review_row(onset=10, offset=20, emotion="negative", status="accepted", date=DATE) -> str:
    return ROW.format(onset, offset, emotion, status, date)


def put(root: Path, name: str, content: bytes | str) -> None:
    (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def both(first: str, second: str) -> tuple[str, ...]:
    return ("--evaluate", first, "--ground_truth", second)


def eaf(change: Callable[[bytes], bytes]) -> Spoil:
    """The ELAN file as ground truth, after a change to its content."""

    def spoil(root: Path) -> tuple[str, ...]:
        put(root, "p.csv", GOOD)
        path = written(root / "g.eaf")
        path.write_bytes(change(path.read_bytes()))
        return both("p.csv", "g.eaf")

    return spoil


def swap(old: str, new: str) -> Spoil:
    def change(content: bytes) -> bytes:
        assert old.encode() in content, old
        return content.replace(old.encode(), new.encode())

    return eaf(change)


def content(text: bytes) -> Spoil:
    return eaf(lambda _: text)


def reviews(truth: str, predictions: str = GOOD) -> Spoil:
    def spoil(root: Path) -> tuple[str, ...]:
        put(root, "p.csv", predictions)
        put(root, "reviewed.csv", REVIEW_HEAD + truth)
        return both("p.csv", "reviewed.csv")

    return spoil


def agreement(first: str, second: str) -> Spoil:
    def spoil(root: Path) -> tuple[str, ...]:
        put(root, "a.csv", first)
        put(root, "b.csv", second)
        return ("--agreement", "a.csv", "b.csv")

    return spoil


def not_there(root: Path) -> tuple[str, ...]:
    put(root, "p.csv", GOOD)
    return both("p.csv", "nowhere.eaf")


def a_folder(root: Path) -> tuple[str, ...]:
    put(root, "p.csv", GOOD)
    (root / "g.eaf").mkdir()
    return both("g.eaf", "p.csv")


def own_table(subjects: tuple[str, ...]) -> Spoil:
    """The expressions.csv of an own video, which names no subject, beside annotations of these subjects."""

    def spoil(root: Path) -> tuple[str, ...]:
        put(root, "expressions.csv", "video,face,onset,offset,emotion\ntalk,0,10,20,negative\n")
        put(root, "g.csv", GOOD.splitlines()[0] + "\n" + "".join(f"{s},talk,10,20,negative\n" for s in subjects))
        return both("expressions.csv", "g.csv")

    return spoil


def many_emotions(root: Path) -> tuple[str, ...]:
    put(root, "p.csv", GOOD)
    expressions = [Annotated(i, i, f"emotion {i}") for i in range(200)]
    written(root / "g.eaf", *expressions, about=replace(TALK, fps=200.0))
    return both("p.csv", "g.eaf")


OTHER_XML = b"<?xml version='1.0'?><html><body/></html>"
LAUGHS = DOCTYPE.replace(b"<workbook>&h;</workbook>", b"<ANNOTATION_DOCUMENT>&h;</ANNOTATION_DOCUMENT>")
OUTSIDE = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY h SYSTEM "file:///etc/passwd">]><ANNOTATION_DOCUMENT/>"""
NO_XML = ("g.eaf: is not an ELAN file, because it is not XML",)
SLOT_1 = '<TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="400" />'
REVIEW, LINE_2 = "reviewed.csv", "reviewed.csv, line 2"

EAFS = [
    Case("ELAN: not there", not_there, ("nowhere.eaf: there is no such file",)),
    Case("ELAN: a folder", a_folder, ("g.eaf: cannot be read",)),
    Case("ELAN: empty", content(b""), NO_XML),
    Case("ELAN: text", content(b"0.4 0.8 negative\n"), NO_XML),
    Case("ELAN: random bytes", content(bytes(range(256)) * 8), NO_XML),
    Case("ELAN: a CSV file", content(GOOD.encode()), NO_XML),
    Case("ELAN: cut short", eaf(lambda data: data[:-300]), NO_XML),
    Case("ELAN: unknown encoding", content(b"<?xml version='1.0' encoding='latin-99'?><a/>"), NO_XML),
    Case("ELAN: nested without end", content(b"<a>" * 100_000), NO_XML),
    Case("ELAN: other XML", content(OTHER_XML), ("g.eaf: is XML, but not an ELAN file", "'html'")),
    Case("ELAN: billion laughs", content(LAUGHS), ("g.eaf: declares a document type or entities",)),
    Case("ELAN: a file from outside", content(OUTSIDE), ("g.eaf: declares a document type or entities",)),
    Case("ELAN: without our tier", swap("face 0", "Anna"),
         ("g.eaf: has no tier such as 'face 0'", "'Anna', 'Anna kind', 'Anna apex', 'Anna score'")),
    Case("ELAN: an element only", content(b"<ANNOTATION_DOCUMENT/>"), ("no property 'mean_video'",)),
    Case("ELAN: without the frame rate", swap("mean_fps", "my_fps"), ("g.eaf: its header has no property 'mean_fps'",)),
    Case("ELAN: frame rate of 0", swap(">25.0<", ">0<"), ("g.eaf, property 'mean_fps': 0 is not a frame rate",)),
    Case("ELAN: frame rate is text", swap(">25.0<", ">PAL<"), ("g.eaf, property 'mean_fps': 'PAL' is not a number",)),
    Case("ELAN: frame rate is NaN", swap(">25.0<", ">nan<"), ("'nan' is not a number",)),
    Case("ELAN: half a frame", swap(">200<", ">0.5<"), ("g.eaf, property 'mean_frames'",)),
    Case("ELAN: a word outside the vocabulary", swap("<ANNOTATION_VALUE>positive<", "<ANNOTATION_VALUE>joy<"),
         ("g.eaf, tier 'face 0', at 2.000 s: 'joy' is not in the vocabulary 'emotion' (negative, positive, surprise",)),
    Case("ELAN: an escape as a word", swap("<ANNOTATION_VALUE>positive<", "<ANNOTATION_VALUE>&#x9b;2J<"),
         ("at 2.000 s: '\\x9b2J' is too long or has characters that cannot be shown",)),
    Case("ELAN: 200 emotions", many_emotions, ("g.eaf: 200 different emotions; is it the right file?",)),
    Case("ELAN: a kind outside the vocabulary", swap("<ANNOTATION_VALUE>micro<", "<ANNOTATION_VALUE>mini<"),
         ("at 0.400 s: 'mini' is not in the vocabulary 'kind' (micro, macro)",)),
    Case("ELAN: without the vocabulary", swap('CV_ID="emotion"', 'CV_ID="feelings"'),
         ("g.eaf: has no controlled vocabulary 'emotion'",)),
    Case("ELAN: beyond the video", swap('TIME_VALUE="2400"', 'TIME_VALUE="9000"'),
         ("tier 'face 0', at 2.000 s: the expression ends at 9.000 s, but the video at 8.000 s",)),
    Case("ELAN: a time is missing", swap(SLOT_1, '<TIME_SLOT TIME_SLOT_ID="ts1" />'),
         ("tier 'face 0', annotation 'a2': has no time",)),
    Case("ELAN: a time is text", swap('"ts1" TIME_VALUE="400"', '"ts1" TIME_VALUE="early"'), ("has no time that can",)),
    Case("ELAN: a slot is missing", swap(SLOT_1, ""), ("tier 'face 0', annotation 'a2': has no time",)),
    Case("ELAN: ends before its start", swap('"ts1" TIME_VALUE="400"', '"ts1" TIME_VALUE="4000"'),
         ("annotation 'a2': ends at 800 ms, not after its start at 4000 ms",)),
    Case("ELAN: an apex in no expression", swap('"ts2" TIME_VALUE="600"', '"ts2" TIME_VALUE="20"'),
         ("tier 'face 0 apex', at 0.020 s: this apex is in no expression",)),
    Case("ELAN: a score is text", swap("<ANNOTATION_VALUE>0.5<", "<ANNOTATION_VALUE>high<"),
         ("tier 'face 0', at 0.400 s: 'high' is not a number",)),
    Case("ELAN: of another video", swap(">talk<", ">walk<"),
         ("no subject and video is in both tables: p.csv has session 1/talk, g.eaf has session 1/walk",)),
]  # fmt: skip

REVIEWS = [
    Case("review: unknown status", reviews(review_row(status="maybe")),
         (f"{LINE_2}, column status: 'maybe' is not a status; write accepted, rejected, added, unreviewed",)),
    Case("review: no status", reviews(review_row(status="")), (f"{LINE_2}, column status: ''",)),
    Case("review: bad date", reviews(review_row(date="25.11.2026")),
         (f"{LINE_2}, column reviewed_at: '25.11.2026' is not a date",)),
    Case("review: nothing remains", reviews(review_row(status="rejected") + review_row(status="unreviewed", date="")),
         (f"{REVIEW}: no expression remains as ground truth (1 unreviewed row(s) are left out; 1 row(s)",)),
    Case("review: of another video", reviews(review_row().replace("talk", "walk")),
         ("no subject and video is in both tables: p.csv has session 1/talk, reviewed.csv has session 1/walk",)),
    Case("review: of another subject", reviews(review_row().replace("session 1", "session 2")),
         ("no subject and video is in both tables", "session 2/talk")),
    Case("review: onset is text", reviews(review_row(onset="early")), (f"{LINE_2}, column onset: 'early'",)),
    Case("own video: of several subjects", own_table(("s1", "s2")),
         ("expressions.csv: has no subject for the video 'talk', and g.csv has that video of the subjects s1, s2",)),
    Case("own video: of one subject", own_table(("s1",)), ("STRS",), 0),
    Case("agreement: no such file", lambda root: (put(root, "a.csv", GOOD), ("--agreement", "a.csv", "b.csv"))[1],
         ("b.csv: there is no such file",)),
    Case("agreement: no CSV", agreement(GOOD, "x\n"), ("b.csv, line 1: no column subject",)),
    Case("agreement: another video", agreement(GOOD, REVIEW_HEAD + review_row().replace("talk", "walk")),
         ("no subject and video is in both tables: a.csv has session 1/talk, b.csv has session 1/walk",)),
    Case("agreement: nothing accepted", agreement(GOOD, REVIEW_HEAD + review_row(status="rejected")),
         ("2 and 0, 0 matched",), 0),
]  # fmt: skip

REVIEWED = [*EAFS, *REVIEWS]
