"""Checks a file for the Micro-Expression Grand Challenge before it is submitted: --check FILE.

A file is a CSV in one of the variants of submission.py, which its header tells, or a ZIP archive of such files.
"""

from __future__ import annotations

import io
import json
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from Utils.across.submission import COLUMNS, COUNTS, video_ids
from Utils.datasets.table import THREE_CLASSES
from Utils.errors import UNPRINTABLE, InputError, shown
from Utils.evaluation.csv_files import MAX_QUOTED, parse_fields
from Utils.evaluation.tables import MAX_FRAME, MEGC_TYPES
from Utils.records import KINDS
from Utils.study.videos import find_study_videos

ONSETS, OFFSETS = ("onset", "pred_onset"), ("offset", "pred_offset")
WORDS = {"type": tuple(MEGC_TYPES.values()), "emotion": THREE_CLASSES}  # column -> the words that it may have
MAX_BYTES = 50_000_000  # of a file, unpacked
MAX_FILES = 100  # in an archive
FRAME_DIGITS = 10  # no frame number has more
LINES_SHOWN = 20  # problems that are listed
# What reading a damaged or strange archive raises
BAD_ARCHIVE = (
    zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError, struct.error, zlib.error,
    lzma.LZMAError,
)  # fmt: skip


@dataclass
class Checked:
    """What is wrong with a file, and what is unusual or good about it."""

    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def check_submission(path: Path, frame_base: int | None = None, videos: Path | None = None) -> Checked:
    """Check a file of predictions.

    Parameters
    ----------
    path : Path
        A CSV file or a ZIP archive.
    frame_base : {0, 1}, optional
        The least frame number. By default 0.
    videos : Path, optional
        Folder with the videos of the test set. The names in the file must be those of videos, and intervals must end
        within them.

    Raises
    ------
    InputError
        The file cannot be read, or is neither of these.
    """
    checked = Checked()
    lengths = None if videos is None else _lengths(videos)
    for name, text in _texts(path, checked):
        if name.lower().endswith(".json"):
            _check_json(name, text, frame_base or 0, checked)
        else:
            _check_table(name, text, frame_base or 0, lengths, checked)
    return checked


def format_check(path: Path, checked: Checked) -> str:
    """The result for the terminal."""
    lines = [f"{shown(path)}: {'cannot be submitted' if checked.problems else 'can be submitted'}"]
    lines += [f"  {shown(line)}" for line in checked.problems[:LINES_SHOWN]]
    if len(checked.problems) > LINES_SHOWN:
        lines.append(f"  ... and {len(checked.problems) - LINES_SHOWN} more")
    lines += [f"  {shown(remark)}" for remark in checked.remarks[:LINES_SHOWN]]
    if len(checked.remarks) > LINES_SHOWN:
        lines.append(f"  ... and {len(checked.remarks) - LINES_SHOWN} more remarks")
    return "\n".join(lines)


def _texts(path: Path, checked: Checked) -> Iterator[tuple[str, str]]:
    """The name and the text of each file. What is wrong with an archive's list of files is added to `checked`."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: has more than {MAX_BYTES // 10**6} MB, which no submission has")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    files = [(path.name, content)]
    if path.suffix.lower() == ".zip":
        files = list(_unpacked(path, content, checked))
    for name, data in files:
        if not name.lower().endswith((".csv", ".json")):
            raise InputError(f"{shown(name)}: is neither .csv nor .json; give the files of the submission only")
        try:
            yield name, data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError(f"{name}: is not UTF-8 text (byte {error.start}); save it as CSV in UTF-8") from None


def _unpacked(path: Path, content: bytes, checked: Checked) -> Iterator[tuple[str, bytes]]:
    """The files of an archive. Nothing is written, and no more than `MAX_BYTES` are unpacked."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if not entries:
                raise InputError(f"{path}: the archive is empty; pack the CSV files again")
            if len(entries) > MAX_FILES:
                raise InputError(f"{path}: has {len(entries)} files; pack the CSV files only")
            if sum(entry.file_size for entry in entries) > MAX_BYTES:
                raise InputError(f"{path}: unpacks to more than {MAX_BYTES // 10**6} MB, which no submission has")
            seen: set[str] = set()
            for entry in entries:
                name = f"{path.name}/{entry.filename}"
                if "/" in entry.filename or "\\" in entry.filename:
                    checked.problems.append(f"{name}: is in a folder of the archive; pack the files without folders")
                if entry.filename in seen:
                    checked.problems.append(f"{name}: is in the archive twice")
                seen.add(entry.filename)
                yield name, archive.read(entry)
    except BAD_ARCHIVE as error:
        raise InputError(f"{path}: is not a ZIP archive that can be read ({error}); pack it again") from None


def _check_table(name: str, text: str, frame_base: int, lengths: Mapping[str, int] | None, checked: Checked) -> None:
    """Check one table, by the columns of its header."""
    header, lines, rows = parse_fields(io.StringIO(text, newline=""), name, needed=COLUMNS["spotting_2023.csv"])
    variants = [variant for variant, columns in COLUMNS.items() if list(columns) == header]
    if not variants:
        known = "; or ".join(", ".join(columns) for columns in COLUMNS.values())
        checked.problems.append(f"{name}, line 1: the columns are {_quoted(', '.join(header))}; they must be {known}")
        return
    columns = COLUMNS[variants[0]]
    seen: dict[tuple, int] = {}
    intervals: dict[tuple, list[tuple[int, int, int]]] = {}
    for line, fields in zip(lines, rows, strict=True):
        row = dict(zip(header, fields, strict=True))
        problems = list(_row_problems(row, frame_base, lengths))
        checked.problems += [f"{name}, line {line}, column {column}: {problem}" for column, problem in problems]
        if not problems:
            frames = tuple(int(row[next(c for c in names if c in row)]) for names in (ONSETS, OFFSETS))
            key = tuple(row[c] for c in columns if c not in (*ONSETS, *OFFSETS, "emotion"))
            if (key, frames) in seen:
                checked.problems.append(f"{name}, line {line}: the same interval as line {seen[key, frames]}")
            else:
                intervals.setdefault(key, []).append((*frames, line))
            seen.setdefault((key, frames), line)
    for key, of_video in intervals.items():
        of_video.sort()
        for (_, end, line), (start, _, other) in pairwise(of_video):
            if start <= end:
                video = key[0] if "type" in header else "/".join(key)
                checked.remarks.append(f"{name}, lines {line} and {other}: intervals of {video} overlap")
    n_videos = len({key[:-1] if "type" in header else key for key in intervals})
    if not rows:
        checked.remarks.append(f"{name}: has no rows: nothing was spotted")
    checked.remarks.append(f"{name}: {len(rows)} rows, {n_videos} videos, columns of {variants[0]}")


def _row_problems(
    row: Mapping[str, str], frame_base: int, lengths: Mapping[str, int] | None
) -> Iterator[tuple[str, str]]:
    """Column and problem of each cell that is wrong."""
    frames = {}
    for column, text in row.items():
        if column in (*ONSETS, *OFFSETS):
            frame = _frame(text)
            if frame is None:
                yield column, f"{_quoted(text)!r} is not a frame number"
            elif frame < frame_base:
                yield column, f"{frame} is before the first frame, {frame_base}"
            else:
                frames[column] = frame
        elif column in WORDS and text not in WORDS[column]:
            yield column, f"{_quoted(text)!r} is none of {', '.join(WORDS[column])}"
        elif not text:
            yield column, "is empty"
        elif UNPRINTABLE.search(text):
            yield column, f"{_quoted(text)!r} has characters that cannot be shown"
    if len(frames) == 2 and (both := list(frames.values()))[0] > both[1]:
        yield next(iter(frames)), f"onset {both[0]} is after offset {both[1]}"
    if lengths is None:
        return
    column = "vid" if "vid" in row else "video"
    video = row[column]
    named = next((name for name in (f"{row.get('subject')}/{video}", video) if name in lengths), None)
    if named is None:
        yield column, f"there is no video {_quoted(video)!r}"
        return
    for column, frame in frames.items():
        if column in OFFSETS and frame > lengths[named] - 1 + frame_base:
            yield column, f"{frame} is after the last frame of {video}, {lengths[named] - 1 + frame_base}"


def _frame(text: str) -> int | None:
    """A frame number. None if the text is none."""
    is_number = text.isascii() and text.isdigit() and len(text) <= FRAME_DIGITS
    return int(text) if is_number and int(text) <= MAX_FRAME else None


def _quoted(text: str) -> str:
    """The beginning of a text, for a message."""
    return text if len(text) <= MAX_QUOTED * 4 else text[:MAX_QUOTED] + "..."


def _lengths(folder: Path) -> dict[str, int]:
    """`vid`, and `<subject>/<video>`, of each video -> its number of frames."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the folder with the videos with --data_root")
    of_images = 1  # their frame rate, which does not matter here
    found = {(v.subject, v.name): len(v.frames) for v, _ in find_study_videos(folder, of_images)}
    ids = video_ids(found)
    return {name: n for key, n in found.items() for name in (ids[key], "/".join(key))}


def _check_json(name: str, text: str, frame_base: int, checked: Checked) -> None:
    """Check the counts and the intervals of each video."""
    try:
        videos = json.loads(text)
        problems = [f"{name}: {problem}" for row in videos for problem in _count_problems(row, frame_base)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        checked.problems.append(f"{name}: is not like {COUNTS}: a list of subject, video, counts, intervals")
        return
    checked.problems += problems
    if not problems:
        checked.remarks.append(f"{name}: {len(videos)} videos")


def _count_problems(row: Mapping, frame_base: int) -> Iterator[str]:
    """What is wrong with one video of the counts. Raises KeyError or TypeError if it has not their form."""
    video = _quoted(f"{row['subject']}/{row['video']}")
    kinds = [interval["kind"] for interval in row["intervals"]]
    if unknown := [kind for kind in (*kinds, *row["counts"]) if kind not in KINDS]:
        yield f"{video}: {_quoted(str(unknown[0]))!r} is none of {', '.join(KINDS)}"
    elif any(row["counts"][kind] != kinds.count(kind) for kind in KINDS):
        yield f"the counts of {video} are not those of its intervals"
    for interval in row["intervals"]:
        onset, offset = interval["onset"], interval["offset"]
        if type(onset) is not int or type(offset) is not int or not frame_base <= onset <= offset <= MAX_FRAME:
            yield f"{video}: {_quoted(f'{onset} to {offset}')} is no interval of frames from {frame_base}"
        if interval["emotion"] not in (None, *THREE_CLASSES):
            yield f"{video}: {_quoted(str(interval['emotion']))!r} is none of {', '.join(THREE_CLASSES)}"
