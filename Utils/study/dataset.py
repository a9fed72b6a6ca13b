"""Makes a `Dataset` of tables of annotations and of the videos that they name (docs/datasets.md)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from load_images import RawVideos
from Utils.datasets.annotations import AnnotatedRow, Annotations
from Utils.datasets.table import THREE_CLASSES, Dataset
from Utils.errors import InputError, shown
from Utils.records import KINDS, OTHERS, Expression, Length, Video, natural_key
from Utils.study.rows import FRAMES, SECONDS, RowError, StudyRow, StudyRows, read_rows
from Utils.study.videos import find_path, open_study_video

PAIR_SECONDS = 0.1  # distance of the two frames of a pair, as in the table of datasets
AGREES = 0.5  # frames by which a frame and its time in seconds may differ
DIGITS = 6  # decimal places to which frames are rounded first, so that halves are found despite rounding errors
LONGEST_TIME = 1_000_000  # seconds, 11 days: a larger time is a mistake


@dataclass
class Study:
    """What the tables and the videos have.

    Attributes
    ----------
    name : str
    found : StudyRows
        Rows that are faulty, or do not count, are added to its lists.
    raw : RawVideos
    expressions : list of AnnotatedRow
        In the order of the files.
    """

    name: str
    found: StudyRows
    raw: RawVideos
    expressions: list[AnnotatedRow] = field(default_factory=list)

    def scan(self, data_root: Path) -> RawVideos:
        """The videos, for `Dataset.scan`. They were already looked for."""
        return self.raw

    def annotations(
        self, workbooks: Mapping, emotions: Mapping, kind: str | None = None, spotting_only: bool = False
    ) -> Annotations:
        """The expressions of a kind (None: all), for `Dataset.read_annotations`."""
        rows = [row for row in self.expressions if kind in (row.expression.kind, None)]
        skipped = {reason: list(places) for reason, places in self.found.skipped.items()}
        if others := [row.where for row in self.expressions if row not in rows]:
            skipped["expressions of the other kind"] = others
        return Annotations(rows, list(self.found.left_out), skipped, list(self.found.remarks), set(self.found.named))


def study_dataset(
    tables: Sequence[Path], data_root: Path, name: str, frame_base: int | None = None, fps: float | None = None
) -> Dataset:
    """The dataset that tables of annotations describe.

    Parameters
    ----------
    tables : sequence of Path
        CSV files and ELAN files.
    data_root : Path
        Folder in which the videos are looked for, and to which paths in the tables are relative.
    name : str
        Name of the dataset.
    frame_base : {0, 1}, optional
        The number of a video's first frame in the tables. Needed if a table has frames and does not say.
    fps : float, optional
        Frames per second of folders of frames whose rows do not say.

    Returns
    -------
    Dataset
        Its `fps` is the highest rate of its videos. Its `classes` are the emotions of the tables: negative, positive,
        surprise if there are no others, else in alphabetical order.

    Raises
    ------
    InputError
        A table or a video cannot be used, no row can be used, a table does not say from which number frames count or
        counts from both 0 and 1, one video is there twice, or two subjects have the same video.
    """
    if not data_root.is_dir():
        raise InputError(f"{shown(data_root)}: no such folder; give the folder with the videos with --data_root")
    found = read_rows(tables)
    raw = RawVideos(data_root)
    study = Study(name, found, raw)
    by_video: dict[tuple[str, str], list[StudyRow]] = {}
    for row in found.rows:
        by_video.setdefault((row.subject, row.video), []).append(row)
    videos = _open_videos(by_video, study, data_root, fps)
    bases = _frame_bases(found.rows, videos, frame_base)
    _add_expressions(study, found.rows, videos, bases)
    if not study.expressions and not raw.problems:
        first = f"; the first: {found.left_out[0]}" if found.left_out else ""
        raise InputError(f"{shown(tables[0])}: no row can be used as an expression{first}")
    rates = sorted({video.fps for video in raw.videos.values()}) or [1]
    emotions = {row.expression.emotion for row in study.expressions} - {OTHERS}
    classes = THREE_CLASSES if emotions <= set(THREE_CLASSES) and emotions else tuple(sorted(emotions))
    there = {row.expression.kind for row in study.expressions}
    return Dataset(
        name=name,
        title=name,
        raw_dirs=(),
        crop_dir="",
        workbooks={},
        read_annotations=study.annotations,
        emotions={emotion: emotion for emotion in classes},
        video_folder="",
        frame_name=r".*?(?P<number>\d*)\.[^.]+",
        fps=rates[-1],
        k=pair_distances(rates),
        classes=classes,
        kinds=tuple(kind for kind in KINDS if kind in there) or KINDS[:1],
        scan=study.scan,
    )


def pair_distances(rates: Sequence[float]) -> Length:
    """k of videos with these frame rates: 0.1 s, halves rounded up, at least one frame."""
    distances = {fps: max(1, math.floor(round(fps * PAIR_SECONDS, DIGITS) + 0.5)) for fps in rates}
    return distances if len(distances) > 1 else next(iter(distances.values()))


def _open_videos(
    by_video: Mapping[tuple[str, str], Sequence[StudyRow]], study: Study, data_root: Path, fps: float | None
) -> dict[tuple[str, str], Video]:
    """Find and open the videos, and put them into `study.raw` in natural order. Rows without a video are left out."""
    videos: dict[tuple[str, str], Video] = {}
    owners: dict[Path, tuple[str, str]] = {}
    for key, rows in by_video.items():
        subject, name = key
        paths, rates = ({value for row in rows if (value := getattr(row, f))} for f in ("path", "fps"))
        if len(paths) > 1:
            raise InputError(
                f"{rows[0].where}: video {name} of {subject} has two paths, {' and '.join(sorted(paths)[:2])}"
            )
        if len(rates) > 1:
            raise InputError(
                f"{rows[0].where}: video {name} of {subject} has two frame rates, "
                f"{' and '.join(f'{rate:g}' for rate in sorted(rates)[:2])}; a video has one"
            )
        path = find_path(next(iter(paths), ""), subject, name, data_root)
        if path is None:
            where = next(iter(paths), "") or f"{subject}/{name} or {name}"
            study.found.left_out += [f"{row.where}: no video {where} in {data_root}" for row in rows]
            continue
        if (owner := owners.setdefault(path.resolve(), key)) != key:
            raise InputError(
                f"{rows[0].where}: {path} is video {name} of {subject}, and also {owner[1]} of {owner[0]}; a video "
                "belongs to one subject and has one name"
            )
        try:
            videos[key], remarks = open_study_video(
                path, subject, name, next(iter(rates), fps if path.is_dir() else None)
            )
        except InputError as error:
            study.raw.problems.append(str(error))
            continue
        study.raw.remarks += remarks
    for key in sorted(videos, key=lambda key: tuple(map(natural_key, key))):
        study.raw.videos[key] = videos[key]
    return videos


def _frame_bases(
    rows: Sequence[StudyRow], videos: Mapping[tuple[str, str], Video], given: int | None
) -> dict[str, int]:
    """File -> the number from which its frames count: by its column, by --frame_base, or by its times in seconds."""
    bases: dict[str, tuple[int, str]] = {}
    for row in rows:
        video = videos.get((row.subject, row.video))
        if video is None or "onset" not in row.cells or not row.cells["onset"].text:
            continue
        base = row.frame_base if row.frame_base is not None else _base_by_times(row, video.fps)
        if base is None:
            continue
        file = row.file
        known, where = bases.setdefault(file, (base, row.where))
        if known != base:
            raise InputError(
                f"{row.where}: counts frames from {base}, but {where} counts from {known}; use one of them"
            )
    if given is not None:
        for base, where in bases.values():
            if base != given:
                raise InputError(f"{where}: counts frames from {base}, but --frame_base is {given}; leave the flag out")
    found = {file: base for file, (base, _) in bases.items()}
    for row in rows:
        file = row.file
        if file not in found and "onset" in row.cells and row.cells["onset"].text:
            if given is None:
                raise InputError(
                    f"{row.where}: does not say whether a video's first frame is 0 or 1; give --frame_base 0 or "
                    "--frame_base 1, or add a column frame_base"
                )
            found[file] = given
    return found


def _base_by_times(row: StudyRow, fps: float) -> int | None:
    """The frame base that fits the times in seconds of a row; None if it has none, or if neither fits."""
    try:
        onset = row.cells["onset"].whole_number()
        seconds = _seconds(row, "onset_s")
    except RowError:
        return None
    if seconds is None or onset is None:
        return None
    first = round(onset - seconds * fps)
    return first if first in (0, 1) and abs(onset - first - seconds * fps) < AGREES else None


def _seconds(row: StudyRow, column: str) -> float | None:
    """A time of a row; None if there is none. Raises RowError if it is no number."""
    return row.cells[column].number(-LONGEST_TIME, LONGEST_TIME) if column in row.cells else None


def _add_expressions(
    study: Study, rows: Sequence[StudyRow], videos: Mapping[tuple[str, str], Video], bases: Mapping[str, int]
) -> None:
    """Add the expressions of all rows that can be used, and list the others."""
    places: dict[tuple, str] = {}
    for row in rows:
        video = videos.get((row.subject, row.video))
        if video is None:
            continue
        base = bases.get(row.file, 0)
        try:
            expression = _expression(row, video, base)
            first = places.setdefault((row.subject, row.video, expression), row.where)
            if first != row.where:
                raise RowError(f"{row.where}: the same expression as {first.rpartition(', ')[2]}")
        except RowError as error:
            study.found.left_out.append(str(error))
            continue
        if expression.apex is not None and not expression.onset <= expression.apex <= expression.offset:
            study.found.remarks.append(f"{row.where}: the apex lies outside onset to offset; the row is used as it is")
        study.expressions.append(AnnotatedRow(row.subject, row.video, expression, row.where, base, exact=True))


def _expression(row: StudyRow, video: Video, base: int) -> Expression:
    """The expression of a row. Raises RowError if a frame is missing or wrong."""
    numbers: dict[str, int | None] = {}
    for frame, second in zip(FRAMES, SECONDS, strict=True):
        number = row.cells[frame].whole_number() if frame in row.cells else None
        seconds = _seconds(row, second)
        if number is not None:
            number -= base
            if seconds is not None and abs(number - seconds * video.fps) >= AGREES + 1:
                raise row.cells[frame].fault(
                    f"frame {number + base} and {seconds:g} s do not agree at {video.fps:g} frames per second"
                )
        elif seconds is not None:
            number = math.floor(round(seconds * video.fps, DIGITS) + 0.5)
        numbers[frame] = number
    for frame in ("onset", "offset"):
        if numbers[frame] is None:
            raise RowError(f"{row.where}, column {frame}: is empty; write a frame or a time")
    onset, apex, offset = (numbers[frame] for frame in FRAMES)
    cell = row.cells.get("onset") or row.cells["onset_s"]
    if onset < 0 and row.reviewed:
        onset = 0  # a coder may accept a prediction that begins before the video
    if onset < 0:
        raise cell.fault(f"{cell.text} lies before the video's first frame, which is {base}")
    if onset > offset:
        raise cell.fault(f"onset {onset + base} lies after offset {offset + base}")
    if onset >= len(video.frames):
        last = len(video.frames) - 1 + base
        raise cell.fault(f"{cell.text} lies beyond the last frame of the video, which is {last}")
    return Expression(onset, apex, offset, row.emotion, kind=row.kind)
