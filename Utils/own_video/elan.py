"""Writes intervals as an ELAN file (EAF) with pympi-ling: one tier per face, and a link to the video."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from pympi.Elan import Eaf

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
DATE = "2000-01-01T00:00:00+00:00"  # always the same, so that the same results give the same file


def write_eaf(
    path: Path, media: Path, tiers: Mapping[str, Sequence[tuple[float, float, str]]], final: Path | None = None
) -> None:
    """Write intervals for ELAN. The file appears whole or not at all.

    Parameters
    ----------
    path : Path
        The .eaf.
    media : Path
        The video. It is linked by its full address and by a path relative to the .eaf. A folder of images is not
        linked, because no player shows it.
    tiers : dict of str to sequence of (float, float, str)
        Name of a tier -> onset and offset in seconds, and label. ELAN allows no overlaps within a tier, so overlapping
        intervals are shortened (see `apart`). No interval is lost.
    final : Path, optional
        Where the file will be in the end, if it is first written elsewhere. The relative link starts there.
    """
    eaf = Eaf(author="MEAN")
    eaf.adocument["DATE"] = DATE
    eaf.remove_tier("default")
    media = Path(os.path.abspath(media))  # noqa: PTH100  links are not resolved: users know this name
    if not media.is_dir():
        relative = os.path.relpath(media, Path(os.path.abspath((final or path).parent)))  # noqa: PTH100
        link = _clean("./" + Path(relative).as_posix())
        kind = MIME_TYPES.get(media.suffix.lower(), OTHER_TYPE)
        eaf.add_linked_file(media.as_uri(), relpath=link, mimetype=kind)
    names = set()
    for name, intervals in tiers.items():
        tier = _unique(_clean(name) or "tier", names)
        eaf.add_tier(tier)
        for start, end, label in apart(intervals):
            eaf.add_annotation(tier, start, end, _clean(label))
    _order_slots(eaf)
    eaf.properties = [("lastUsedAnnotationId", str(eaf.maxaid))]  # ELAN counts on from it
    with atomic_file(path) as scratch:
        eaf.to_file(str(scratch))
        scratch.with_suffix(".bak").unlink(missing_ok=True)  # pympi keeps a copy of what it overwrites


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


def _unique(name: str, names: set[str]) -> str:
    """`name`, or the first free one of `name (2)`, `name (3)`, ...; it is added to `names`."""
    found, again = name, 1
    while found in names:
        again += 1
        found = f"{name} ({again})"
    names.add(found)
    return found


def apart(intervals: Sequence[tuple[float, float, str]]) -> list[tuple[int, int, str]]:
    """Intervals without overlaps.

    Parameters
    ----------
    intervals : sequence of (float, float, str)
        Onset and offset in seconds, and label.

    Returns
    -------
    list of (int, int, str)
        Start and end in milliseconds, in order of time, each at least 1 ms long. Where two overlap, the first ends and
        the second starts in the middle of the overlap.
    """
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
