"""Writes expressions as an ELAN file (EAF) with pympi-ling. `eaf.py` says what is in it, and reads."""

from __future__ import annotations

import math
import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from pympi.Elan import Eaf

from Utils.evaluation.eaf import (
    APEX,
    EMOTION,
    EXPRESSION,
    FPS_PROPERTY,
    FRAMES_PROPERTY,
    KIND,
    KIND_WORDS,
    MICRO,
    SCORE,
    SUBJECT_PROPERTY,
    VIDEO_PROPERTY,
    emotion_words,
    milliseconds,
)
from Utils.work.cache import atomic_file

# Characters that XML does not allow (XML 1.0, section 2.2)
NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
REPLACED = "\ufffd"  # stands for each of them

# Other suffixes count as MP4. Python's own table is not used because it depends on the system.
MIME_TYPES = {
    ".3gp": "video/3gpp", ".asf": "video/x-ms-asf", ".avi": "video/x-msvideo", ".flv": "video/x-flv",
    ".m2ts": "video/mp2t", ".mkv": "video/x-matroska", ".mov": "video/quicktime", ".mpeg": "video/mpeg",
    ".mpg": "video/mpeg", ".mts": "video/mp2t", ".ogv": "video/ogg", ".ts": "video/mp2t", ".vob": "video/mpeg",
    ".webm": "video/webm", ".wmv": "video/x-ms-wmv",
}  # fmt: skip
OTHER_TYPE = "video/mp4"
ANNOTATOR = "MEAN"
NO_DATE = datetime(2000, 1, 1, tzinfo=timezone.utc)  # of a template: who fills it sets the date
# The language of the vocabularies' words, as ELAN names one that is not determined
LANGUAGE = ("und", "http://cdb.iso.org/lg/CDB-00130975-001", "undetermined (und)")

# Linguistic type -> its constraint, whether it has times of its own, and its vocabulary
TYPES = {
    EXPRESSION: (None, True, EMOTION),
    KIND: ("Symbolic_Association", False, KIND),
    APEX: ("Included_In", True, None),
    SCORE: ("Symbolic_Association", False, None),
}


@dataclass(frozen=True)
class Annotated:
    """An expression as the file has it. Frames are 0-based and inclusive."""

    onset: int
    offset: int
    emotion: str  # a word of the vocabulary
    apex: int | None = None
    score: float = math.nan
    kind: str = MICRO


@dataclass(frozen=True)
class EafAbout:
    """Facts about a video that its ELAN file holds."""

    subject: str
    video: str
    fps: float  # frames per second
    n_frames: int
    classes: Sequence[str]  # the emotions that the weights know


def write_eaf(
    path: Path, media: Path, faces: Mapping[int, Sequence[Annotated]], about: EafAbout, final: Path | None = None
) -> None:
    """Write expressions for ELAN. The file appears whole or not at all.

    Parameters
    ----------
    path : Path
        The .eaf.
    media : Path
        The video. It is linked by its full address and by a path relative to the .eaf. A folder of images is not
        linked, because no player shows it.
    faces : dict of int to sequence of Annotated
        Number of a face -> its expressions. Each face gets a tier, and one more for what overlaps (see `layers`).
    about : EafAbout
    final : Path, optional
        Where the file will be in the end, if it is first written elsewhere. The relative link starts there.
    """
    _save(_document(media, faces, about, final or path, datetime.now().astimezone()), path)


def eaf_template(media: Path | None, faces: Iterable[int], about: EafAbout, final: Path | None = None) -> str:
    """An ELAN file without expressions, as text. The report page fills it with what a person has reviewed.

    It has the tiers of `faces`. Its date is always the same, so that the same results give the same page. `media` is
    None for a video that is there only as images: no video is linked, and ELAN shows times without pictures. `final`
    is where the page will be, if there is a video. Other parameters: see `write_eaf`.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "template.eaf"
        _save(_document(media, dict.fromkeys(faces, ()), about, final, NO_DATE), path)
        return path.read_text(encoding="utf-8")


def _document(
    media: Path | None, faces: Mapping[int, Sequence[Annotated]], about: EafAbout, final: Path | None, date: datetime
) -> Eaf:
    """The ELAN file. Parameters: see `write_eaf`."""
    eaf = Eaf(author=ANNOTATOR)
    eaf.adocument["DATE"] = date.isoformat(timespec="seconds")
    eaf.remove_tier("default")
    if media is not None:
        _add_media(eaf, media, final)
    words = emotion_words(about.classes)
    words += [a.emotion for expressions in faces.values() for a in expressions]
    _add_types(eaf, {EMOTION: dict.fromkeys(map(_clean, words)), KIND: KIND_WORDS})
    for face, expressions in faces.items():
        for i, layer in enumerate(layers(expressions, about.fps)):
            _add_layer(eaf, f"face {face}" if i == 0 else f"face {face} ({i + 1})", f"face {face}", layer, about.fps)
    _order_slots(eaf)
    facts = {SUBJECT_PROPERTY: about.subject, VIDEO_PROPERTY: about.video}
    facts |= {FPS_PROPERTY: repr(float(about.fps)), FRAMES_PROPERTY: str(about.n_frames)}
    eaf.properties = [("lastUsedAnnotationId", str(eaf.maxaid))]  # ELAN counts on from it
    eaf.properties += [(name, _clean(text)) for name, text in facts.items()]
    return eaf


def _save(eaf: Eaf, path: Path) -> None:
    with atomic_file(path) as scratch:
        eaf.to_file(str(scratch))
        scratch.with_suffix(".bak").unlink(missing_ok=True)  # pympi keeps a copy of what it overwrites


def span(annotated: Annotated, fps: float) -> tuple[int, int]:
    """Start and end in milliseconds: the times of the onset frame and of the offset frame, at least 1 ms apart."""
    start = milliseconds(annotated.onset, fps)
    return start, max(start + 1, milliseconds(annotated.offset, fps))


def layers(expressions: Sequence[Annotated], fps: float) -> list[list[Annotated]]:
    """The expressions of a face, in order of time, in as few layers as possible, so that none overlaps in its layer.

    There is at least one layer, which may be empty. No expression is shortened. Each goes to the first layer that is
    free at its start.
    """
    found: list[list[Annotated]] = [[]]
    for annotated in sorted(expressions, key=lambda a: (*span(a, fps), a.emotion)):
        start, _ = span(annotated, fps)
        free = next((layer for layer in found if not layer or span(layer[-1], fps)[1] <= start), None)
        if free is None:
            found.append(free := [])
        free.append(annotated)
    return found


def _add_media(eaf: Eaf, media: Path, final: Path) -> None:
    media = Path(os.path.abspath(media))  # noqa: PTH100  links are not resolved: users know this name
    if not media.is_dir():
        relative = os.path.relpath(media, Path(os.path.abspath(final.parent)))  # noqa: PTH100
        link = _clean("./" + Path(relative).as_posix())
        kind = MIME_TYPES.get(media.suffix.lower(), OTHER_TYPE)
        eaf.add_linked_file(media.as_uri(), relpath=link, mimetype=kind)


def _add_types(eaf: Eaf, vocabularies: Mapping[str, Sequence[str] | Mapping[str, None]]) -> None:
    """Add the linguistic types and the vocabularies (name -> words)."""
    eaf.remove_linguistic_type("default-lt")
    eaf.add_language(*LANGUAGE)
    for name, words in vocabularies.items():
        eaf.add_controlled_vocabulary(name)
        for i, word in enumerate(words):
            eaf.add_cv_entry(name, f"{name}_{i}", [(word, LANGUAGE[0], None)])
    for name, (constraint, alignable, vocabulary) in TYPES.items():
        about = dict(LINGUISTIC_TYPE_ID=name, TIME_ALIGNABLE=str(alignable).lower(), GRAPHIC_REFERENCES="false")
        about |= dict(CONSTRAINTS=constraint, CONTROLLED_VOCABULARY_REF=vocabulary)
        eaf.add_linguistic_type(name, param_dict=about)


def _add_layer(eaf: Eaf, tier: str, participant: str, expressions: Sequence[Annotated], fps: float) -> None:
    """Add the tier of a layer and the three tiers below it."""
    eaf.add_tier(tier, ling=EXPRESSION, part=participant, ann=ANNOTATOR)
    for below in (KIND, APEX, SCORE):
        eaf.add_tier(f"{tier} {below}", ling=below, parent=tier, part=participant, ann=ANNOTATOR)
    for annotated in expressions:
        start, end = span(annotated, fps)
        eaf.add_annotation(tier, start, end, _clean(annotated.emotion))
        parent = next(reversed(eaf.tiers[tier][0]))
        _add_value(eaf, f"{tier} {KIND}", parent, annotated.kind)
        if annotated.apex is not None:
            at = min(max(start, milliseconds(annotated.apex, fps)), end - 1)
            eaf.add_annotation(f"{tier} {APEX}", at, max(at + 1, min(end, milliseconds(annotated.apex + 1, fps))), APEX)
        if not math.isnan(annotated.score):
            _add_value(eaf, f"{tier} {SCORE}", parent, str(float(annotated.score)))


def _add_value(eaf: Eaf, tier: str, parent: str, value: str) -> None:
    """Add a value that belongs to an annotation. pympi's own function looks for that annotation by its time."""
    name = eaf.generate_annotation_id()
    eaf.annotations[name] = tier
    eaf.tiers[tier][1][name] = (parent, value, None, None)


def _order_slots(eaf: Eaf) -> None:
    """Number the time slots in order of time. The format demands that order, and pympi writes them by number."""
    by_time = sorted(eaf.timeslots, key=lambda slot: (eaf.timeslots[slot], int(slot[2:])))
    new = {old: f"ts{i}" for i, old in enumerate(by_time, start=1)}
    eaf.timeslots = {new[old]: eaf.timeslots[old] for old in by_time}
    for intervals, *_ in eaf.tiers.values():
        for name, (start, end, *rest) in intervals.items():
            intervals[name] = (new[start], new[end], *rest)


def _clean(text: str) -> str:
    """The text with every character replaced that XML does not allow."""
    return NOT_XML.sub(REPLACED, text)
