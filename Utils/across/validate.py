"""Checks a file for the Micro-Expression Grand Challenge before it is submitted: --check FILE.

A file is a CSV in one of the variants of submission.py, which its header tells, or a ZIP archive of such files.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from Utils.across.submission import COLUMNS, COUNTS
from Utils.datasets.table import THREE_CLASSES
from Utils.errors import InputError, shown
from Utils.evaluation.csv_files import parse_fields
from Utils.evaluation.tables import MAX_FRAME, MEGC_TYPES
from Utils.study.videos import find_study_videos

ONSETS, OFFSETS = ("onset", "pred_onset"), ("offset", "pred_offset")
WORDS = {"type": tuple(MEGC_TYPES.values()), "emotion": THREE_CLASSES}  # column -> the words that it may have
MAX_BYTES = 50_000_000  # of a file, unpacked
LINES_SHOWN = 20  # problems that are listed


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
    for name, text in _texts(path):
        if name.endswith(".json"):
            _check_json(name, text, checked)
        else:
            _check_table(name, text, frame_base or 0, lengths, checked)
    return checked


def format_check(path: Path, checked: Checked) -> str:
    """The result for the terminal."""
    lines = [f"{shown(path)}: {'cannot be submitted' if checked.problems else 'can be submitted'}"]
    lines += [f"  {line}" for line in checked.problems[:LINES_SHOWN]]
    if len(checked.problems) > LINES_SHOWN:
        lines.append(f"  ... and {len(checked.problems) - LINES_SHOWN} more")
    return "\n".join([*lines, *(f"  {remark}" for remark in checked.remarks)])


def _texts(path: Path) -> Iterator[tuple[str, str]]:
    """The name and the text of each file."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: has more than {MAX_BYTES // 10**6} MB, which no submission has")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    files = {path.name: content}
    if path.suffix.lower() == ".zip":
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
                    raise InputError(f"{path}: unpacks to more than {MAX_BYTES // 10**6} MB, which no submission has")
                files = {f"{path.name}/{e.filename}": archive.read(e) for e in archive.infolist() if not e.is_dir()}
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
            raise InputError(f"{path}: is not a ZIP archive that can be read ({error}); pack it again") from None
    if not files:
        raise InputError(f"{path}: the archive is empty; pack the CSV files again")
    for name, data in files.items():
        if not name.lower().endswith((".csv", ".json")):
            raise InputError(f"{name}: is neither .csv nor .json; give the files of the submission only")
        try:
            yield name, data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError(f"{name}: is not UTF-8 text (byte {error.start}); save it as CSV in UTF-8") from None


def _check_table(name: str, text: str, frame_base: int, lengths: Mapping[str, int] | None, checked: Checked) -> None:
    """Check one table, by the columns of its header."""
    header, lines, rows = parse_fields(io.StringIO(text), name, needed=COLUMNS["spotting_2023.csv"])
    variants = [variant for variant, columns in COLUMNS.items() if list(columns) == header]
    if not variants:
        known = "; or ".join(", ".join(columns) for columns in COLUMNS.values())
        checked.problems.append(f"{name}, line 1: the columns are {', '.join(header)}; they must be {known}")
        return
    columns = COLUMNS[variants[0]]
    seen: dict[tuple, int] = {}
    intervals: dict[tuple, list[tuple[int, int, int]]] = {}
    for line, fields in zip(lines, rows, strict=True):
        row = dict(zip(header, fields, strict=True))
        problems = list(_row_problems(row, frame_base, lengths))
        checked.problems += [f"{name}, line {line}, column {column}: {problem}" for column, problem in problems]
        if tuple(fields) in seen:
            checked.problems.append(f"{name}, line {line}: the same as line {seen[tuple(fields)]}")
        elif not problems:
            onset, offset = (int(row[next(c for c in names if c in row)]) for names in (ONSETS, OFFSETS))
            key = tuple(row[c] for c in columns if c not in (*ONSETS, *OFFSETS, "emotion"))
            intervals.setdefault(key, []).append((onset, offset, line))
        seen.setdefault(tuple(fields), line)
    for key, of_video in intervals.items():
        of_video.sort()
        for (_, end, line), (start, _, other) in pairwise(of_video):
            if start <= end:
                checked.remarks.append(f"{name}, lines {line} and {other}: intervals of {key[0]} overlap")
    n_videos = len({key[:-1] if "type" in header else key for key in intervals})
    checked.remarks.append(f"{name}: {len(rows)} rows, {n_videos} videos, columns of {variants[0]}")


def _row_problems(
    row: Mapping[str, str], frame_base: int, lengths: Mapping[str, int] | None
) -> Iterator[tuple[str, str]]:
    """Column and problem of each cell that is wrong."""
    frames = {}
    for column, text in row.items():
        if column in (*ONSETS, *OFFSETS):
            if not text.isascii() or not text.isdigit() or int(text) > MAX_FRAME:
                yield column, f"{text!r} is not a frame number"
            elif int(text) < frame_base:
                yield column, f"{text} is before the first frame, {frame_base}"
            else:
                frames[column] = int(text)
        elif column in WORDS and text not in WORDS[column]:
            yield column, f"{text!r} is none of {', '.join(WORDS[column])}"
        elif not text:
            yield column, "is empty"
    if len(frames) == 2 and (both := list(frames.values()))[0] > both[1]:
        yield next(iter(frames)), f"onset {both[0]} is after offset {both[1]}"
    if lengths is None:
        return
    video = row.get("vid") or row.get("video", "")
    named = next((name for name in (video, f"{row.get('subject')}_{video}") if name in lengths), None)
    if named is None:
        yield ("vid" if "vid" in row else "video"), f"there is no video {video!r}"
        return
    for column, frame in frames.items():
        if column in OFFSETS and frame > lengths[named] - 1 + frame_base:
            yield column, f"{frame} is after the last frame of {video}, {lengths[named] - 1 + frame_base}"


def _lengths(folder: Path) -> dict[str, int]:
    """Name of each video, and `<subject>_<name>` -> its number of frames."""
    found: dict[str, int] = {}
    for video, _ in find_study_videos(folder, fps=1):  # the rate of folders of images does not matter here
        found[video.name] = found[f"{video.subject}_{video.name}"] = len(video.frames)
    return found


def _check_json(name: str, text: str, checked: Checked) -> None:
    """Check the counts of each video."""
    try:
        videos = json.loads(text)
        wrong = [
            row["video"]
            for row in videos
            if any(n != sum(i["kind"] == kind for i in row["intervals"]) for kind, n in row["counts"].items())
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        checked.problems.append(f"{name}: is not like {COUNTS}: a list of subject, video, counts, intervals")
        return
    checked.problems += [f"{name}: the counts of {video} are not those of its intervals" for video in wrong]
    if not wrong:
        checked.remarks.append(f"{name}: {len(videos)} videos")
