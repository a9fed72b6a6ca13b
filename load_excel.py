"""Step 2: annotation workbooks -> expressions, matched to the videos' folders."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from load_images import existing_paths
from Utils.datasets.annotations import AnnotatedRow, Annotations, Workbooks, as_upstream
from Utils.datasets.table import Dataset
from Utils.errors import InputError
from Utils.records import MACRO, MICRO, PROTOCOLS, Video

NAMES_SHOWN = 12  # folders that a remark names at most


def load_annotations(
    dataset: Dataset, data_root: Path, protocol: str = "paper", kind: str = MICRO, spotting_only: bool = False
) -> Annotations:
    """Read the dataset's workbooks.

    Parameters
    ----------
    dataset : Dataset
    data_root : Path
        Folder that contains the folders of the datasets.
    protocol : {"paper", "upstream"}
        "upstream": frame numbers, apexes and order are those of the authors' code (docs/method.md, section 7).
    kind : {"micro", "macro"}
        Which expressions are read.
    spotting_only : bool
        Whether emotions do not matter. Then expressions with an unknown emotion are used, too.

    Raises
    ------
    InputError
        The dataset does not annotate expressions of this kind. A workbook is missing, cannot be read, lacks a sheet or
        column that is needed, or has no usable expression.
    """
    annotations = read_annotations(dataset, data_root, protocol, kind, spotting_only)
    if not annotations.rows:
        reasons = annotations.summary()
        if annotations.left_out:
            reasons.append(f"the first: {annotations.left_out[0]}")
        what = f"{dataset.title}: the {dataset.annotated_in} has no usable {kind}-expression"
        raise InputError("; ".join([what, *reasons]))
    return annotations


def read_annotations(
    dataset: Dataset, data_root: Path, protocol: str = "paper", kind: str = MICRO, spotting_only: bool = False
) -> Annotations:
    """Read the dataset's workbooks, as `load_annotations` does, but accept workbooks without any usable row.

    Raises ValueError if there is no such protocol.
    """
    require_kind(dataset, kind)
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol {protocol!r} is not one of {', '.join(PROTOCOLS)}")
    paths, remarks = Workbooks(), []
    for what, candidates in dataset.workbooks.items():
        if what == "emotions" and (kind == MACRO or spotting_only):
            continue  # macro-expressions have none there
        try:
            found = existing_paths(data_root, candidates, dataset, f"workbook of {what}", dataset.any_depth)
        except InputError as error:
            if not dataset.workbooks_optional:
                raise
            paths.missing[what] = error
            continue
        paths[what], *others = found
        if others:
            names = ", ".join(str(p.relative_to(data_root)) for p in others)
            remarks.append(f"{paths[what]}: used for the {what}; not used: {names}")
    more = (kind, spotting_only) if len(dataset.kinds) > 1 else ()
    annotations = dataset.read_annotations(paths, dataset.emotions, *more)
    annotations.remarks[:0] = remarks
    return as_upstream(annotations, dataset.upstream_shift) if protocol == "upstream" else annotations


def require_kind(dataset: Dataset, kind: str) -> None:
    """Raise InputError if the dataset does not annotate expressions of this kind, "micro" or "macro"."""
    if kind not in dataset.kinds:
        raise InputError(
            f"{dataset.title} annotates no {kind}-expressions; use --expression {' or '.join(dataset.kinds)}"
        )


def match_expressions(
    videos: dict[tuple[str, str], Video], annotations: Annotations, which: str = "annotated"
) -> tuple[list[Video], list[str]]:
    """Give every video its expressions.

    Parameters
    ----------
    videos : dict of (subject key, video key) to Video
        In natural order.
    annotations : Annotations
    which : {"annotated", "all"}
        "annotated" (the paper): the videos with at least one micro-expression. "all": the others as well.

    Returns
    -------
    videos : list of Video
        In natural order. Expressions are in order of onset, or in the workbook's order if
        `annotations.workbook_order` is set.
    remarks : list of str
        Rows whose video is missing, annotations beyond a video's last frame, videos whose first frame has another
        number than the one from which the annotations count, and folders that no row names.

    Raises
    ------
    InputError
        No row matches any folder.
    """
    by_video: dict[tuple[str, str], list[AnnotatedRow]] = {}
    for row in annotations.rows:
        by_video.setdefault(row.key, []).append(row)
    remarks = []
    absent = [_absent_video(rows) for key, rows in by_video.items() if key not in videos]
    matched = []
    for key, video in videos.items():
        rows = by_video.get(key, [])
        if not annotations.workbook_order:
            rows = sorted(rows, key=lambda r: (r.expression.onset, r.expression.offset))
        remarks += _frames_against_rows(video, rows, annotations.by_number)
        if rows or which == "all":
            matched.append(replace(video, expressions=tuple(r.expression for r in rows)))
    if not any(v.expressions for v in matched):
        folders = ", ".join(v.label for v in list(videos.values())[:3])
        raise InputError(f"no row of the workbook matches a video folder: {absent[0]}; the folders are {folders}, ...")
    return matched, remarks + absent + _unnamed_folders(videos, annotations)


def _absent_video(rows: Sequence[AnnotatedRow]) -> str:
    """A remark on a video that has rows, all given here, but no folder."""
    first, left_out = rows[0], f"{len(rows)} expression(s) left out"
    if len(rows) > 1:
        numbers = ", ".join(r.where.rpartition("row ")[2] for r in rows)
        left_out += f" (rows {numbers})"
    return f"{first.where}: no frames of video {first.video} of subject {first.subject}, {left_out}"


def _frames_against_rows(video: Video, rows: Sequence[AnnotatedRow], by_number: bool) -> list[str]:
    """Remarks on one video: annotations beyond its last frame, and a first frame with an unexpected number.

    The annotations count from a certain number (`AnnotatedRow.first_frame`), and the first frame should have it. If
    frames are found by their number (`Annotations.by_number`), the remark is on annotated frames without a file.
    """
    n, remarks = len(video.frames), []
    for row in rows:
        if row.expression.offset >= n:
            what = "onset" if row.expression.onset >= n else "offset"
            beyond = getattr(row.expression, what) - (n - 1)
            remarks.append(f"{row.where}: {what} lies {beyond} frame(s) beyond the last of the {n} of {video.label}")
    if by_number:
        return remarks + _frames_without_file(video, rows)
    number = re.search(r"(\d+)$", video.frames[0].stem)  # in every layout the frames' names end with the number
    filled = video.frames[:1] == video.frames[1:2]  # the first frames are missing, and the first file stands for them
    counted = bool(rows) and rows[0].first_frame is not None and video.source is None and not filled
    if counted and number and int(number[1]) != rows[0].first_frame:
        remarks.append(
            f"{video.frames[0]}: is the first frame, but the annotations count from {rows[0].first_frame} "
            f"({rows[0].where}); it is used as number {rows[0].first_frame}"
        )
    return remarks


def _frames_without_file(video: Video, rows: Sequence[AnnotatedRow]) -> list[str]:
    """A remark on the annotated frames of one video for which there is no file, if there are any."""
    absent = []
    for row in rows:
        for what in ("onset", "apex", "offset"):
            index = getattr(row.expression, what)
            if index is None or index >= len(video.frames):
                continue  # beyond the last frame: another remark
            if int(re.search(r"\d+$", video.frames[index].stem)[0]) != index:
                absent.append(f"{what} {index} ({row.where})")
    if not absent:
        return []
    return [
        f"{video.label}: {len(absent)} annotated frame(s) without a file, the first is {absent[0]}; "
        "the nearest frame before is used, at the beginning the first one"
    ]


def _unnamed_folders(videos: dict[tuple[str, str], Video], annotations: Annotations) -> list[str]:
    """Remarks on the folders of subjects and videos that no row of the workbook names, not even an unused row."""
    named_subjects = {subject for subject, _ in annotations.named}
    subjects = list(dict.fromkeys(v.subject for (s, _), v in videos.items() if s not in named_subjects))
    labels = [v.label for key, v in videos.items() if key not in annotations.named and key[0] in named_subjects]
    return [
        f"{len(names)} {what} folder(s) without any row in the workbook: {', '.join(names[:NAMES_SHOWN])}"
        + (", ..." if len(names) > NAMES_SHOWN else "")
        for what, names in (("subject", subjects), ("video", labels))
        if names
    ]
