"""Intervals as an ELAN file (EAF), through pympi-ling: one tier per face, the video linked."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from pympi.Elan import Eaf

from Utils.work.cache import atomic_file

NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, section 2.2
MIME_TYPES = {
    ".3gp": "video/3gpp", ".asf": "video/x-ms-asf", ".avi": "video/x-msvideo", ".flv": "video/x-flv",
    ".m2ts": "video/mp2t", ".mkv": "video/x-matroska", ".mov": "video/quicktime", ".mpeg": "video/mpeg",
    ".mpg": "video/mpeg", ".mts": "video/mp2t", ".ogv": "video/ogg", ".ts": "video/mp2t", ".vob": "video/mpeg",
    ".webm": "video/webm", ".wmv": "video/x-ms-wmv",
}  # fmt: skip  # other suffixes are taken for MP4; Python's own table depends on the system
DATE = "2000-01-01T00:00:00+00:00"  # a fixed one: the same results give the same file


def write_eaf(
    path: Path, media: Path, tiers: Mapping[str, Sequence[tuple[float, float, str]]], final: Path | None = None
) -> None:
    """Write intervals for ELAN, whole or not at all.

    Parameters
    ----------
    path : Path
        The .eaf.
    media : Path
        The video, linked by its address and relative to the .eaf. A folder of images is not linked: no player shows it.
    tiers : dict of str to sequence of (float, float, str)
        Tier's name -> onset and offset in seconds, and label. ELAN allows no overlaps within a tier: where two meet,
        both end halfway. None is lost.
    final : Path, optional
        Where the file will lie in the end, if it is written elsewhere first: the relative link is from there.
    """
    eaf = Eaf(author="MEAN")
    eaf.adocument["DATE"] = DATE
    eaf.remove_tier("default")
    media = Path(os.path.abspath(media))  # noqa: PTH100  not resolved: the name that the user knows
    if not media.is_dir():
        relative = os.path.relpath(media, Path(os.path.abspath((final or path).parent)))  # noqa: PTH100
        link = _clean("./" + Path(relative).as_posix())
        kind = MIME_TYPES.get(media.suffix.lower(), "video/mp4")
        eaf.add_linked_file(media.as_uri(), relpath=link, mimetype=kind)
    names = set()
    for name, intervals in tiers.items():
        tier = _unique(_clean(name) or "tier", names)
        eaf.add_tier(tier)
        for start, end, label in apart(intervals):
            eaf.add_annotation(tier, start, end, _clean(label))
    _order_slots(eaf)
    eaf.properties = [("lastUsedAnnotationId", str(eaf.maxaid))]  # ELAN numbers new annotations from there
    with atomic_file(path) as scratch:
        eaf.to_file(str(scratch))
        scratch.with_suffix(".bak").unlink(missing_ok=True)  # pympi keeps what was there


def _order_slots(eaf: Eaf) -> None:
    """Number the time slots in order of time: that is how the format wants them, and pympi writes them by number."""
    by_time = sorted(eaf.timeslots, key=lambda slot: (eaf.timeslots[slot], int(slot[2:])))
    new = {old: f"ts{i}" for i, old in enumerate(by_time, start=1)}
    eaf.timeslots = {new[old]: eaf.timeslots[old] for old in by_time}
    for intervals, *_ in eaf.tiers.values():
        for name, (start, end, *rest) in intervals.items():
            intervals[name] = (new[start], new[end], *rest)


def _clean(text: str) -> str:
    return NOT_XML.sub("�", text)


def _unique(name: str, names: set[str]) -> str:
    found, again = name, 1
    while found in names:
        again += 1
        found = f"{name} ({again})"
    names.add(found)
    return found


def apart(intervals: Sequence[tuple[float, float, str]]) -> list[tuple[int, int, str]]:
    """Intervals in milliseconds and order of time, without overlaps, each at least 1 ms long."""
    found: list[tuple[int, int, str]] = []
    for onset, offset, label in sorted(intervals):
        start, end = max(0, round(onset * 1000)), max(0, round(offset * 1000))
        if found and start < found[-1][1]:
            before = found[-1]
            middle = max(before[0] + 1, (start + min(end, before[1])) // 2)
            found[-1] = (before[0], min(before[1], middle), before[2])
            start = found[-1][1]
        found.append((start, max(end, start + 1), label))
    return found
