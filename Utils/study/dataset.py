"""Makes a `Dataset` of tables of annotations and of the videos that they name (docs/datasets.md)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from load_images import RawVideos
from Utils.datasets.annotations import AnnotatedRow, Annotations
from Utils.datasets.lengths import DIGITS, pair_distances
from Utils.datasets.table import THREE_CLASSES, Dataset
from Utils.errors import InputError, shown
from Utils.records import KINDS, OTHERS, Expression, Video, natural_key
from Utils.study.rows import FRAME_BASES, FRAMES, SECONDS, Cell, RowError, StudyRow, StudyRows, quoted, read_rows
from Utils.study.subjects import with_subjects
from Utils.study.videos import find_path, open_study_video

AGREES = 1.5  # frames by which a frame and its time in seconds may differ: half a frame, and one of frame base
CLEAR = 0.25  # frames by which times may be wrong if they are to tell the frame base


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

    @property
    def named(self) -> set[tuple[str, str]]:
        """Subject and video of every row."""
        return {(row.subject, row.video) for row in self.found.rows}

    def scan(self, data_root: Path) -> RawVideos:
        """The videos, for `Dataset.scan`. They were already looked for."""
        return self.raw

    def annotations(
        self, workbooks: Mapping, emotions: Mapping, kind: str | None = None, spotting_only: bool = False
    ) -> Annotations:
        """The expressions of a kind (None: all), for `Dataset.read_annotations`."""
        rows = [row for row in self.expressions if kind in (row.expression.kind, None)]
        skipped = {reason: list(places) for reason, places in self.found.skipped.items()}
        if others := [row.where for row in self.expressions if kind not in (row.expression.kind, None)]:
            skipped["expressions of the other kind"] = others
        return Annotations(rows, list(self.found.left_out), skipped, list(self.found.remarks), self.named)


def study_dataset(
    tables: Sequence[Path],
    data_root: Path,
    name: str,
    frame_base: int | None = None,
    fps: float | None = None,
    advice: str = "--data_root says where the videos are",
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
    advice : str
        Where the videos must be, for messages.

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
        raise InputError(f"{shown(data_root)}: no such folder; {advice}")
    found = with_subjects(read_rows(tables), data_root)
    raw = RawVideos(data_root)
    study = Study(name, found, raw)
    by_video: dict[tuple[str, str], list[StudyRow]] = {}
    for row in found.rows:
        by_video.setdefault((row.subject, row.video), []).append(row)
    videos = _open_videos(by_video, study, data_root, fps)
    bases = _frame_bases(found.rows, videos, frame_base)
    _add_expressions(study, found.rows, videos, bases)
    found.left_out.sort(key=natural_key)  # in the order of files and lines, whatever is wrong with them
    if not study.expressions and not raw.problems:
        first = f"; the first: {found.left_out[0]}" if found.left_out else ""
        first += "" if videos or not found.rows else f"; {advice}"
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
            where = quoted(next(iter(paths))) if any(paths) else f"{subject}/{name} or {name}"
            study.found.left_out += [
                f"{row.where}: there is no video file or folder {where} in {data_root}" for row in rows
            ]
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
    by_file: dict[str, list[StudyRow]] = {}
    for row in rows:
        if row.has_frames and (row.subject, row.video) in videos:
            by_file.setdefault(row.file, []).append(row)
    bases: dict[str, int] = {}
    for file, of_file in by_file.items():
        said = [row for row in of_file if row.frame_base is not None]
        first = said[0] if said else of_file[0]
        if other := [row for row in said if row.frame_base != first.frame_base]:
            raise InputError(
                f"{other[0].where}: counts frames from {other[0].frame_base}, but {first.where} counts from "
                f"{first.frame_base}; use one of them"
            )
        base = first.frame_base
        if base is None:
            base = _base_by_times(of_file, videos)
        if base is None and given is None:
            raise InputError(
                f"{first.where}: does not say whether a video's first frame is 0 or 1; give --frame_base 0 or "
                "--frame_base 1, or add a column frame_base"
            )
        if None not in (base, given) and base != given and not first.of_own_video:
            why = "" if said else ", by its times in seconds"
            raise InputError(
                f"{first.where}: counts frames from {base}{why}, but --frame_base is {given}; leave the flag out"
            )
        bases[file] = given if base is None else base
    return bases


def _base_by_times(rows: Sequence[StudyRow], videos: Mapping[tuple[str, str], Video]) -> int | None:
    """The frame base that fits the times in seconds of most rows of a file. None if no row has both, or neither fits.

    Times that are rounded so much that they could hide a frame tell nothing.
    """
    differences, rates = [], [1.0]
    decimals = max((len(_text(row, "onset_s").partition(".")[2]) for row in rows), default=0)
    for row in rows:
        try:
            onset, seconds = row.cells["onset"].whole_number(), row.cells["onset_s"].seconds()
        except (RowError, KeyError):
            continue
        if None not in (onset, seconds):
            rates.append(videos[row.subject, row.video].fps)
            differences.append(onset - seconds * rates[-1])
    if not differences or 0.5 * 10**-decimals * max(rates) >= CLEAR:
        return None
    fitting = {base: sum(abs(difference - base) < CLEAR for difference in differences) for base in FRAME_BASES}
    return next((base for base, n in fitting.items() if 2 * n > len(differences)), None)


def _text(row: StudyRow, column: str) -> str:
    """The text of a cell; "" if it is empty or there is no such column."""
    return "" if column not in row.cells or row.cells[column].is_empty else row.cells[column].text


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
                file, _, line = first.rpartition(", ")
                raise RowError(f"{row.where}: the same expression as {line if file == row.file else first}")
        except RowError as error:
            study.found.left_out.append(str(error))
            continue
        if expression.apex is not None and not expression.onset <= expression.apex <= expression.offset:
            study.found.remarks.append(f"{row.where}: the apex lies outside onset to offset; the row is used as it is")
        numbered = base if row.has_frames and not row.of_own_video else None
        study.expressions.append(AnnotatedRow(row.subject, row.video, expression, row.where, numbered, exact=True))


def _expression(row: StudyRow, video: Video, base: int) -> Expression:
    """The expression of a row. Raises RowError if a frame is missing or wrong."""
    frames = {frame: _frame(row, frame, video.fps, base) for frame in FRAMES}
    for name in ("onset", "offset"):
        if frames[name] is None:
            raise RowError(f"{row.where}, column {name}: is empty; write a frame or a time")
    onset, apex, offset = frames.values()
    if row.reviewed:
        onset = max(onset, 0)  # a coder may accept a prediction that begins before the video
    elif onset < 0:
        raise _fault(row, "onset", "lies before the video's first frame", f", which is {base}")
    if apex is not None and apex < 0:
        raise _fault(row, "apex", "lies before the video's first frame; leave it empty if it is not known")
    if onset > offset:
        raise _fault(row, "onset", f"lies after offset {_written(row, 'offset').text}")
    if onset >= (n := len(video.frames)):
        raise _fault(row, "onset", "lies after the end of the video", f", whose last frame is {n - 1 + base}")
    return Expression(onset, apex, offset, row.emotion, kind=row.kind)


def _frame(row: StudyRow, name: str, fps: float, base: int) -> int | None:
    """Onset, apex or offset of a row as a 0-based frame; None if the row has neither a frame nor a time.

    A time stands for the frame that is nearest to it. Raises RowError if a cell is faulty, or frame and time disagree.
    """
    second = SECONDS[FRAMES.index(name)]
    number = row.cells[name].whole_number() if name in row.cells else None
    seconds = row.cells[second].seconds() if second in row.cells else None
    if number is None:
        return None if seconds is None else math.floor(round(seconds * fps, DIGITS) + 0.5)
    if seconds is not None and abs(number - base - seconds * fps) >= AGREES:
        raise row.cells[name].fault(f"frame {number} and {seconds:g} s do not agree at {fps:g} frames per second")
    return number - base


def _written(row: StudyRow, name: str) -> Cell:
    """The cell that gives onset, apex or offset: a frame, or else a time."""
    return row.cells[name] if _text(row, name) else row.cells[SECONDS[FRAMES.index(name)]]


def _fault(row: StudyRow, name: str, what: str, in_frames: str = "") -> RowError:
    """The error about the onset, apex or offset of a row. `in_frames` is added to it if the row gives a frame."""
    cell = _written(row, name)
    return cell.fault(f"{cell.text} {what}{in_frames}" if _text(row, name) else f"{cell.text} s {what}")
