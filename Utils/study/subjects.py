"""Finds out who is in a video if its table does not say: tables and ELAN files of own videos often do not.

`expressions.csv` and `reviewed.csv` of an own video have no subject. `predictions.csv` and the ELAN file have the name
of the folder that contains the video, which says nothing if it is the folder of all videos.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from Utils.datasets.annotations import match_key
from Utils.records import natural_key
from Utils.study.rows import StudyRow, StudyRows
from Utils.study.videos import videos_named

NAMES_SHOWN = 3  # that a remark lists at most


def with_subjects(found: StudyRows, data_root: Path) -> StudyRows:
    """The rows, all with a subject, and remarks on those that had none.

    A video without a subject gets, of these, the first that there is: the subject that another row names for it; its
    own name, if it lies in `data_root` itself; the name of the folder in `data_root` in which it lies. Rows for which
    there are several are left out.
    """
    root_name = data_root.resolve().name
    known: dict[str, set[str]] = {}
    for row in found.rows:
        if not _lacks_subject(row, root_name):
            known.setdefault(row.video, set()).add(row.subject)
    rows, alone, chosen = [], [], {}
    for row in found.rows:
        if not _lacks_subject(row, root_name):
            rows.append(row)
            continue
        if row.video not in chosen:
            chosen[row.video] = sorted(known.get(row.video, ())) or _by_folders(row, data_root)
        subjects = chosen[row.video]
        if len(subjects) > 1:
            names = ", ".join(subjects[:NAMES_SHOWN])
            found.left_out.append(
                f"{row.where}: has no subject, and there is a video {row.video} of each of {names}; write the subject"
            )
            continue
        rows.append(replace(row, subject=subjects[0]))
        if subjects == [row.video]:
            alone.append(row.video)
    found.rows = rows
    if videos := list(dict.fromkeys(alone)):
        found.remarks.append(
            f"{len(videos)} video(s) without a subject, first {videos[0]}: each counts as a person of its own; if one "
            "person is in several of them, write the subject into the file"
        )
    found.remarks += _alike(row.subject for row in rows)
    return found


def _lacks_subject(row: StudyRow, root_name: str) -> bool:
    """Whether a row of an own video does not say who is in it: nothing, or the name of the folder of all videos."""
    return row.of_own_video and row.subject in ("", root_name)


def _by_folders(row: StudyRow, data_root: Path) -> Sequence[str]:
    """The subjects that a video can have: the folders in `data_root` with a video of its name, or its own name."""
    if row.path or videos_named(row.video, data_root):
        return [row.video]
    folders = sorted((p for p in data_root.iterdir() if p.is_dir()), key=lambda p: natural_key(p.name))
    return [p.name for p in folders if videos_named(row.video, p)] or [row.video]


def _alike(subjects: Iterable[str]) -> list[str]:
    """Remarks on subjects that differ only in case or in zeros, such as s1 and S01."""
    spellings: dict[str, list[str]] = {}
    for subject in dict.fromkeys(subjects):
        spellings.setdefault(match_key(subject, "")[0], []).append(subject)
    return [
        f"{' and '.join(names[:NAMES_SHOWN])} count as different subjects; write them in one way if they are one person"
        for names in spellings.values()
        if len(names) > 1
    ]
