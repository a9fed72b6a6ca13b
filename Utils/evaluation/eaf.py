"""Reads expressions from an ELAN file (EAF) that this program wrote and that a person may have edited in ELAN.

This is the one place that names tiers, vocabularies and properties. `eaf_writer.py` writes with them.

What is in a file
-----------------
- `face 0`: a tier for each face, with an interval for each expression. Its value is a word of the vocabulary `emotion`.
  Where intervals of one face overlap, there is a second tier `face 0 (2)`, because ELAN allows no overlap in a tier.
- Below each such tier `face 0 kind` (a word of the vocabulary `kind`), `face 0 apex` (a mark inside the expression) and
  `face 0 score` (a number). All three may be missing.
- In the header the properties `PROPERTIES`. ELAN keeps them when it saves the file.

Times
-----
A frame's time is frame / fps, the moment at which it appears. An interval begins at the time of the onset frame and
ends at the time of the offset frame, so ELAN shows the `onset_s` and `offset_s` of the tables, in whole milliseconds.
An interval of one frame is 1 ms long. A time is read as the frame that is shown at that time. Up to 400 frames per
second every frame is read as it was written; above that it can be one frame off.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

import pandas as pd
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from Utils.errors import UNPRINTABLE, InputError, reason_of, shown
from Utils.evaluation.tables import MAX_EMOTIONS, MAX_FRAME, MAX_NAME
from Utils.records import OTHERS

SUFFIX = ".eaf"

# Linguistic types, which are also the ends of the names of the three tiers below a face's tier
EXPRESSION, KIND, APEX, SCORE = "expression", "kind", "apex", "score"
EMOTION = "emotion"  # name of the vocabulary of the face's tier; that of the kind's tier is `KIND`

UNCLEAR_WORD = "unclear"  # an emotion whose confidence is near chance
UNNAMED = "micro-expression"  # an expression that is not recognised
NO_EMOTION = (UNCLEAR_WORD, UNNAMED)  # both are read as no emotion
MICRO, MACRO = "micro", "macro"
KIND_WORDS = (MICRO, MACRO)

# Properties of the header. They make a file self-contained: times become frames of a video.
VIDEO_PROPERTY, SUBJECT_PROPERTY = "mean_video", "mean_subject"
FPS_PROPERTY, FRAMES_PROPERTY = "mean_fps", "mean_frames"
PROPERTIES = (SUBJECT_PROPERTY, VIDEO_PROPERTY, FPS_PROPERTY, FRAMES_PROPERTY)

EAF_COLUMNS = (
    "subject", "video", "face", "onset", "apex", "offset", "onset_s", "offset_s", "score", "emotion", "kind",
)  # fmt: skip

ROOT = "ANNOTATION_DOCUMENT"
FACE_TIER = re.compile(r"face (\d{1,6})(?: \(\d{1,6}\))?")
MAX_BYTES = 50_000_000  # of a file: 100,000 expressions take about half of it
HIGHEST_RATE = 1000  # frames per second
WORDS_SHOWN = 12  # of a vocabulary, or tiers, in a message
MAX_QUOTED = 30  # characters of a value that a message quotes
ROUNDING = 1e-6  # of a frame, against errors of floating-point numbers


def emotion_words(classes) -> list[str]:
    """The vocabulary of emotions: the classes of the weights, then the words that stand for something else."""
    return list(dict.fromkeys((*classes, OTHERS, *NO_EMOTION)))


def milliseconds(frame: float, fps: float) -> int:
    """The time of a frame, as ELAN stores it."""
    return max(0, round(frame * 1000 / fps))


def frame_at(time_ms: int, fps: float) -> int:
    """The frame that is shown at a time. Half a millisecond is added, because times are rounded to milliseconds."""
    return math.floor((time_ms + 0.5) * fps / 1000 + ROUNDING)


@dataclass(frozen=True)
class _Header:
    subject: str
    video: str
    fps: float
    n_frames: int


@dataclass(frozen=True)
class _Interval:
    """An alignable annotation. Times are in milliseconds."""

    name: str
    start: int
    end: int
    value: str


def read_eaf(path: str | Path) -> pd.DataFrame:
    """The expressions of an ELAN file, in order of faces and time.

    Returns
    -------
    DataFrame
        The columns are `EAF_COLUMNS`. subject ("" if the file has none), video and face are str; onset and offset int64
        (frames); the apex and the score are NaN where there is none; emotion is None where it is "unclear",
        "micro-expression" or empty; kind is "micro" where there is none.

    Raises
    ------
    InputError
        The file is no ELAN file or has not what the module's docstring describes. The message names file and place.
    """
    path = Path(path)
    root = _root(path)
    header = _header(root, path)
    slots = {s.get("TIME_SLOT_ID"): s.get("TIME_VALUE") for s in root.iterfind("TIME_ORDER/TIME_SLOT")}
    tiers = {tier.get("TIER_ID", ""): tier for tier in root.iterfind("TIER")}
    faces = {name: match[1] for name in tiers if (match := FACE_TIER.fullmatch(name))}
    if not faces:
        names = ", ".join(repr(_cut(name)) for name in [*tiers][:WORDS_SHOWN]) or "none"
        raise InputError(f"{path}: has no tier such as 'face 0', in which expressions are; its tiers: {names}")
    emotions, kinds = _vocabulary(root, EMOTION), _vocabulary(root, KIND) or dict.fromkeys(KIND_WORDS)
    if not emotions:
        raise InputError(f"{path}: has no controlled vocabulary {EMOTION!r}; use the file that this program wrote")
    rows = []
    for name, face in faces.items():
        intervals = _intervals(tiers[name], slots, path)
        kind_of, score_of = (_values_below(tiers.get(f"{name} {below}"), path) for below in (KIND, SCORE))
        marks = _apexes(tiers.get(f"{name} {APEX}"), intervals, slots, header.fps, path)
        for interval in intervals:
            where = f"{path}, tier {name!r}, at {interval.start / 1000:.3f} s"
            kind, score = kind_of.get(interval.name, ""), score_of.get(interval.name, "")
            onset, offset = _frames(interval, header, where)
            for word, words, vocabulary in ((interval.value, emotions, EMOTION), (kind, kinds, KIND)):
                if len(word) > MAX_NAME or UNPRINTABLE.search(word):
                    raise InputError(f"{where}: {_cut(word)!r} is too long or has characters that cannot be shown")
                if word and word not in words:
                    raise InputError(
                        f"{where}: {_cut(word)!r} is not in the vocabulary {vocabulary!r} "
                        f"({shown(', '.join(map(_cut, [*words][:WORDS_SHOWN])))}); correct it, or add it there in ELAN"
                    )
            times = dict(onset_s=onset / header.fps, offset_s=offset / header.fps)
            apex = min(max(onset, marks[interval.name]), offset) if interval.name in marks else math.nan
            emotion = None if interval.value in ("", *NO_EMOTION) else interval.value
            rows.append(
                dict(subject=header.subject, video=header.video, face=str(int(face)), onset=onset, apex=apex)
                | dict(offset=offset, **times, score=_number(score, where), emotion=emotion, kind=kind or MICRO)
            )
    if len(used := {row["emotion"] for row in rows}) > MAX_EMOTIONS:
        raise InputError(f"{path}: {len(used)} different emotions; is it the right file?")
    rows.sort(key=lambda row: (int(row["face"]), row["onset"], row["offset"]))
    numbers = dict.fromkeys(("apex", "onset_s", "offset_s", "score"), float) | dict(onset="int64", offset="int64")
    table = pd.DataFrame(rows, columns=list(EAF_COLUMNS)).astype(numbers)
    return table.assign(emotion=pd.Series([row["emotion"] for row in rows], dtype=object))


def _root(path: Path) -> Element:
    """The first element of the file. Entities are not expanded, and a document type is refused."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file; check the path") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    if len(data) > MAX_BYTES:
        raise InputError(f"{path}: has more than {MAX_BYTES // 1_000_000} MB, which no file of expressions needs")
    try:
        root = fromstring(data, forbid_dtd=True)
    except DefusedXmlException as error:
        raise InputError(
            f"{path}: declares a document type or entities ({type(error).__name__}), which no ELAN file has"
        ) from None
    except (ParseError, ValueError, LookupError) as error:
        raise InputError(f"{path}: is not an ELAN file, because it is not XML ({shown(reason_of(error))})") from None
    if root.tag != ROOT:
        raise InputError(f"{path}: is XML, but not an ELAN file: it begins with {_cut(root.tag)!r}, not with {ROOT!r}")
    return root


def _header(root: Element, path: Path) -> _Header:
    found = {p.get("NAME"): (p.text or "").strip() for p in root.iterfind("HEADER/PROPERTY")}
    for name in (VIDEO_PROPERTY, FPS_PROPERTY, FRAMES_PROPERTY):
        if not found.get(name):
            raise InputError(
                f"{path}: its header has no property {name!r}, without which times are no frames; use the file that "
                "this program wrote"
            )
    for name in (VIDEO_PROPERTY, SUBJECT_PROPERTY):
        if len(text := found.get(name, "")) > MAX_NAME or UNPRINTABLE.search(text):
            raise InputError(f"{path}, property {name!r}: is too long or has characters that cannot be shown")
    fps, n_frames = (_number(found[name], f"{path}, property {name!r}") for name in (FPS_PROPERTY, FRAMES_PROPERTY))
    if not 0 < fps <= HIGHEST_RATE:
        raise InputError(f"{path}, property {FPS_PROPERTY!r}: {fps:g} is not a frame rate")
    if not 0 < n_frames <= MAX_FRAME or n_frames != int(n_frames):
        raise InputError(f"{path}, property {FRAMES_PROPERTY!r}: {n_frames:g} is not a number of frames")
    return _Header(found.get(SUBJECT_PROPERTY, ""), found[VIDEO_PROPERTY], fps, int(n_frames))


def _vocabulary(root: Element, name: str) -> dict[str, None]:
    """The words of a controlled vocabulary, in order, in either spelling of the format; empty if there is none."""
    for vocabulary in root.iterfind("CONTROLLED_VOCABULARY"):
        if vocabulary.get("CV_ID") == name:
            entries = [*vocabulary.iterfind("CV_ENTRY"), *vocabulary.iterfind("CV_ENTRY_ML/CVE_VALUE")]
            return dict.fromkeys(text for entry in entries if (text := (entry.text or "").strip()))
    return {}


def _intervals(tier: Element | None, slots: dict, path: Path) -> list[_Interval]:
    """The alignable annotations of a tier, in order of time."""
    found = []
    for annotation in () if tier is None else tier.iterfind("ANNOTATION/ALIGNABLE_ANNOTATION"):
        name = annotation.get("ANNOTATION_ID", "")
        where = f"{path}, tier {_cut(tier.get('TIER_ID', ''))!r}, annotation {_cut(name)!r}"
        times = []
        for reference in ("TIME_SLOT_REF1", "TIME_SLOT_REF2"):
            text = slots.get(annotation.get(reference))
            if text is None or not re.fullmatch(r"[0-9]{1,12}", text):
                raise InputError(f"{where}: has no time that can be read; save the file in ELAN again")
            times.append(int(text))
        if times[0] >= times[1]:
            raise InputError(
                f"{where}: ends at {times[1]} ms, not after its start at {times[0]} ms; correct it in ELAN"
            )
        found.append(_Interval(name, *times, _value(annotation)))
    return sorted(found, key=lambda interval: (interval.start, interval.end))


def _values_below(tier: Element | None, path: Path) -> dict[str, str]:
    """Name of an annotation of the parent tier -> the value that belongs to it."""
    annotations = () if tier is None else tier.iterfind("ANNOTATION/REF_ANNOTATION")
    return {annotation.get("ANNOTATION_REF", ""): _value(annotation) for annotation in annotations}


def _apexes(tier: Element | None, parents: list[_Interval], slots: dict, fps: float, path: Path) -> dict[str, int]:
    """Name of an expression -> its apex, a frame. A mark belongs to the expression in which its middle lies.

    The apex is the frame at the mark's start. A mark of 1 ms at the end of the expression is the offset frame, because
    no mark may reach beyond the expression.
    """
    found: dict[str, int] = {}
    for mark in _intervals(tier, slots, path):
        where = f"{path}, tier {tier.get('TIER_ID')!r}, at {mark.start / 1000:.3f} s"
        middle = (mark.start + mark.end) / 2
        before = bisect_right(parents, middle, key=lambda parent: parent.start)
        parent = parents[before - 1] if before and middle < parents[before - 1].end else None
        if parent is None:
            raise InputError(f"{where}: this apex is in no expression; move or remove it in ELAN")
        if parent.name in found:
            raise InputError(f"{where}: the expression has a second apex; remove one in ELAN")
        at_the_end = mark.end == parent.end and mark.end - mark.start == 1
        found[parent.name] = frame_at(mark.end if at_the_end else mark.start, fps)
    return found


def _frames(interval: _Interval, header: _Header, where: str) -> tuple[int, int]:
    """Onset and offset. A time up to one frame after the last frame still counts as the last frame."""
    onset, offset = (frame_at(time, header.fps) for time in (interval.start, interval.end))
    if offset > header.n_frames or onset >= header.n_frames:
        end = header.n_frames / header.fps
        raise InputError(f"{where}: the expression ends at {interval.end / 1000:.3f} s, but the video at {end:.3f} s")
    return onset, min(offset, header.n_frames - 1)


def _value(annotation: Element) -> str:
    return (annotation.findtext("ANNOTATION_VALUE") or "").strip()


def _number(text: str, where: str) -> float:
    """The number that a text holds; NaN if it is empty."""
    try:
        number = float(text) if text and "_" not in text else math.nan
    except ValueError:
        number = math.inf
    if math.isinf(number) or (text and math.isnan(number)):
        raise InputError(f"{where}: {_cut(text)!r} is not a number")
    return number


def _cut(text: str) -> str:
    """A text as a message quotes it, cut to about `MAX_QUOTED` characters."""
    return text if len(text) <= MAX_QUOTED else text[: MAX_QUOTED - 2] + ".."
