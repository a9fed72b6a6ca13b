"""The tables of predictions and of ground truth: their columns, how they are read and written, their rows by video.

Conventions
-----------
One row is one interval. Frames are 0-based and inclusive. A prediction may start before frame 0 (a peak near the
beginning, minus k'), an annotation may not. `subject` and `video` are text: `006` is not `6`. An empty `emotion` means
that the interval was spotted but not recognised. An empty `apex` is unknown. A table from elsewhere needs only the
columns of `REQUIRED_COLUMNS`. Unknown columns are kept as text and not used.

A CSV file is UTF-8 (with or without byte order mark), separated by commas, with a header line.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from Utils.errors import UNPRINTABLE, InputError
from Utils.records import natural_key
from Utils.work.cache import atomic_file

PREDICTION_COLUMNS = (
    "subject", "video", "onset", "apex", "offset", "onset_s", "offset_s", "score", "emotion", "confidence",
)  # fmt: skip
GROUND_TRUTH_COLUMNS = ("subject", "video", "onset", "apex", "offset", "onset_s", "offset_s", "emotion")
SEARCHED_APEX = "searched_apex"  # a further column of a ground truth that lacks apexes: those that the program found
REQUIRED_COLUMNS = ("subject", "video", "onset", "offset", "emotion")

KEY_COLUMNS = ("subject", "video")  # text that must be there
FRAME_COLUMNS = ("onset", "offset")  # whole numbers that must be there
NUMBER_COLUMNS = ("apex", SEARCHED_APEX, "onset_s", "offset_s", "score", "confidence")  # numbers that may be missing
MAX_FRAME = 10**9  # 58 days at 200 frames per second: a larger frame number is a mistake
MAX_NAME = 255  # characters of a subject, a video or an emotion, as in the name of a file
MAX_EMOTIONS = 100  # in one table: with more different ones, the column holds something else
MAX_PAIRS = 1_000_000  # of a prediction and an annotation of one video, over all videos: comparing takes 100 bytes each
MAX_QUOTED = 30  # characters of a field that a message quotes


class Interval(NamedTuple):
    """One row of a table. `row` is its position there; apexes and score are NaN, emotion None where unknown."""

    row: int
    onset: int
    offset: int
    apex: float
    score: float
    emotion: str | None
    searched_apex: float = math.nan

    @property
    def peak(self) -> float:
        """The apex, or the middle of the interval if the apex is unknown."""
        return (self.onset + self.offset) / 2 if math.isnan(self.apex) else self.apex


class VideoIntervals(NamedTuple):
    """What was predicted and what is annotated in one video."""

    subject: str
    video: str
    predicted: list[Interval]
    annotated: list[Interval]

    @property
    def label(self) -> str:
        """`subject/video`, as messages show it."""
        return f"{self.subject}/{self.video}"

    def in_time_order(self) -> VideoIntervals:
        """A copy in which both lists are sorted by onset (then offset, then row)."""
        by_onset = attrgetter("onset", "offset", "row")
        return self._replace(
            predicted=sorted(self.predicted, key=by_onset), annotated=sorted(self.annotated, key=by_onset)
        )


def only_searched_apexes(videos: Iterable[VideoIntervals]) -> bool:
    """Whether no annotation has an apex of its own, and some have one that the program searched (SMIC)."""
    annotated = [annotation for video in videos for annotation in video.annotated]
    return all(math.isnan(a.apex) for a in annotated) and not all(math.isnan(a.searched_apex) for a in annotated)


def bounds(intervals: Sequence[Interval]) -> np.ndarray:
    """Onsets and offsets of intervals, int64, shape (n, 2), also if n is 0."""
    return np.array([(interval.onset, interval.offset) for interval in intervals], dtype=np.int64).reshape(-1, 2)


def group_by_video(
    predictions: pd.DataFrame, ground_truth: pd.DataFrame, videos: Iterable[Sequence] | None = None
) -> list[VideoIntervals]:
    """Sort the rows of both tables into their videos, each list in the order of its table.

    Parameters
    ----------
    predictions, ground_truth : DataFrame
        See the module's conventions.
    videos : iterable of (subject, video, ...), optional
        The videos that took part, in the order in which they are to be returned. They may be without any row. By
        default these are the videos that either table names, in natural order.

    Raises
    ------
    ValueError
        A table breaks a rule (see `validate`), or has a row in a video that is not among `videos`.
    InputError
        There are more pairs of predictions and annotations than can be compared (`MAX_PAIRS`).
    """
    validate(predictions, "predictions")
    validate(ground_truth, "ground truth")
    predicted, annotated = _rows_by_video(predictions), _rows_by_video(ground_truth)
    pairs = {key: len(predicted[key]) * len(annotated[key]) for key in predicted.keys() & annotated.keys()}
    if sum(pairs.values()) > MAX_PAIRS:
        key = max(pairs, key=pairs.__getitem__)
        raise InputError(
            f"{'/'.join(key)}: {len(predicted[key])} predictions and {len(annotated[key])} annotations are too many to "
            "compare; does the column video name the right videos?"
        )
    named = predicted.keys() | annotated.keys()
    if videos is None:
        keys = sorted(named, key=lambda key: (natural_key(key[0]), natural_key(key[1])))
    else:
        keys = list(dict.fromkeys((str(record[0]), str(record[1])) for record in videos))
        if unknown := named - set(keys):
            raise ValueError(f"rows of {'/'.join(min(unknown))}, which is not among the videos that took part")
    return [VideoIntervals(*key, predicted.get(key, []), annotated.get(key, [])) for key in keys]


def classes_of(ground_truth: pd.DataFrame) -> list[str]:
    """Every emotion of a ground-truth table, sorted. They are the classes if the user does not give any."""
    return sorted({emotion for emotion in map(_text_or_none, ground_truth["emotion"]) if emotion is not None})


def validate(table: pd.DataFrame, name: str = "table") -> None:
    """Check a table.

    Raises
    ------
    ValueError
        A required column is missing, a frame number is not whole or too large, or an onset is after its offset. The
        message begins with `name`.
    """
    if missing := [column for column in REQUIRED_COLUMNS if column not in table.columns]:
        raise ValueError(f"{name}: no column {', '.join(missing)}")
    for column in FRAME_COLUMNS:
        frames = pd.to_numeric(table[column], errors="coerce").to_numpy(dtype=float)
        with np.errstate(invalid="ignore"):
            whole = np.isfinite(frames) & (np.abs(frames) <= MAX_FRAME) & (frames == np.rint(frames))
        if not whole.all():
            raise ValueError(f"{name}: {column} of row {int(np.argmin(whole))} is not a frame number")
    backwards = table["onset"].to_numpy(dtype=float) > table["offset"].to_numpy(dtype=float)
    if backwards.any():
        raise ValueError(f"{name}: onset after offset in row {int(np.argmax(backwards))}")


def _rows_by_video(table: pd.DataFrame) -> dict[tuple[str, str], list[Interval]]:
    unknown = [math.nan] * len(table)
    optional = ("apex", "score", SEARCHED_APEX)
    columns = [table[column].tolist() if column in table.columns else unknown for column in optional]
    frames = [table[column].astype(int).tolist() for column in FRAME_COLUMNS]
    keys = [table[column].astype(str).tolist() for column in KEY_COLUMNS]
    rows: dict[tuple[str, str], list[Interval]] = {}
    for row, (subject, video, onset, offset, apex, score, searched, emotion) in enumerate(
        zip(*keys, *frames, *columns, table["emotion"].tolist(), strict=True)
    ):
        apex, score, searched = map(_number_or_nan, (apex, score, searched))
        interval = Interval(row, onset, offset, apex, score, _text_or_none(emotion), searched)
        rows.setdefault((subject, video), []).append(interval)
    return rows


def _number_or_nan(value) -> float:
    return math.nan if value is None or value is pd.NA else float(value)


def _text_or_none(value) -> str | None:
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    return str(value).strip() or None


def megc_table(predictions: pd.DataFrame, last_frames: Mapping[tuple[str, str], int]) -> pd.DataFrame:
    """Predictions in the columns of the Micro-Expression Grand Challenge: `vid, onset, offset, type`.

    Parameters
    ----------
    predictions : DataFrame
        With the columns subject, video, onset, offset.
    last_frames : mapping of (str, str) to int
        (subject, video) -> last frame of every video that took part. Intervals are clamped to 0 and this frame.

    Returns
    -------
    DataFrame
        Frames are 0-based; `vid` is the video's name, with the subject before it where videos of several subjects have
        one name (CASME II); `type` is `me`, a micro-expression.
    """
    names_differ = len({video for _, video in last_frames}) == len(last_frames)
    limits = [last_frames[key] for key in zip(predictions["subject"], predictions["video"], strict=True)]
    return pd.DataFrame(
        {
            "vid": predictions["video"] if names_differ else predictions["subject"] + "_" + predictions["video"],
            "onset": predictions["onset"].clip(lower=0),
            "offset": np.minimum(predictions["offset"], limits),
            "type": "me",
        }
    )


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table as CSV. The file appears whole or not at all.

    Raises
    ------
    InputError
        The file cannot be written there.
    """
    try:
        with atomic_file(Path(path)) as scratch:
            table.to_csv(scratch, index=False, encoding="utf-8", lineterminator="\n")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}); choose another place") from error


def read_table(path: str | Path, *, ground_truth: bool = False) -> pd.DataFrame:
    """Read and check a predictions or ground-truth CSV.

    Parameters
    ----------
    path : path
        The CSV file.
    ground_truth : bool
        Whether the table holds annotations. Then there must be at least one row, and none may start before frame 0.

    Returns
    -------
    DataFrame
        The file's columns: keys as str, frames as int64, other known numbers as float64 (NaN where empty), emotion as
        str or None. Columns without a name and empty lines are left out.

    Raises
    ------
    InputError
        The file or one of its fields cannot be used. The message names file, line and column, and what to do.
    """
    path = Path(path)
    header, lines, rows = _read_fields(path)
    if repeated := sorted({name for name in header if name and header.count(name) > 1}):
        raise InputError(f"{path}, line 1: column {', '.join(repeated)} is there more than once; keep one")
    if missing := [name for name in REQUIRED_COLUMNS if name not in header]:
        hint = "; separate the columns by commas" if len(header) == 1 and re.search(r"[;\t|]", header[0]) else ""
        raise InputError(
            f"{path}, line 1: no column {', '.join(missing)} (needed are {', '.join(REQUIRED_COLUMNS)}){hint}"
        )
    if ground_truth and not rows:
        raise InputError(f"{path}: has a header and no annotation; give a file with at least one row")

    columns = {
        name: [_parse(text, name, path, line) for line, text in zip(lines, fields, strict=True)]
        for name, fields in zip(header, zip(*rows, strict=True) if rows else [()] * len(header), strict=True)
        if name
    }
    if len(emotions := set(columns["emotion"])) > MAX_EMOTIONS:
        raise InputError(f"{path}, column emotion: {len(emotions)} different emotions; is it the right column?")
    for line, onset, offset in zip(lines, columns["onset"], columns["offset"], strict=True):
        if onset > offset:
            raise InputError(f"{path}, line {line}: onset {onset} is after offset {offset}; correct or remove the row")
        if ground_truth and onset < 0:
            raise InputError(f"{path}, line {line}, column onset: {onset} is before frame 0; frames count from 0")
    return pd.DataFrame({name: pd.Series(values, dtype=_dtype(name)) for name, values in columns.items()})


def _read_fields(path: Path) -> tuple[list[str], list[int], list[list[str]]]:
    """Header, line number of each row (its first one, if a quoted field has several lines), and the rows' fields."""
    lines: list[int] = []
    rows: list[list[str]] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True, skipinitialspace=True)
            header = [name.strip() for name in next(reader, [])]
            line = reader.line_num + 1
            for fields in reader:
                if any(field.strip() for field in fields):
                    if len(fields) != len(header):
                        raise InputError(
                            f"{path}, line {line}: {len(fields)} fields where the header has {len(header)}; "
                            "put a field that contains a comma in double quotes"
                        )
                    lines.append(line)
                    rows.append([field.strip() for field in fields])
                line = reader.line_num + 1
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file; check the path") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text (byte {error.start}); save it as CSV in UTF-8") from error
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: is not CSV ({error}); save it as CSV in UTF-8") from error
    if not any(header):
        raise InputError(f"{path}: is empty; its first line must name the columns {', '.join(REQUIRED_COLUMNS)}")
    if "\0" in "".join(header):
        raise InputError(f"{path}: is not a text file; save it as CSV in UTF-8")
    if any(len(name) > MAX_NAME or UNPRINTABLE.search(name) for name in header):
        raise InputError(
            f"{path}, line 1: a column's name is too long or has characters that cannot be shown; rename it"
        )
    return header, lines, rows


def _dtype(column: str) -> str:
    if column in FRAME_COLUMNS:
        return "int64"
    return "float64" if column in NUMBER_COLUMNS else "object"


def _parse(text: str, column: str, path: Path, line: int):
    """The value of one field. InputError, with its place and what it must be, if it cannot be used."""
    where = f"{path}, line {line}, column {column}"
    if column in KEY_COLUMNS and not text:
        raise InputError(f"{where}: is empty; name the {column}")
    if column in (*KEY_COLUMNS, "emotion") and (len(text) > MAX_NAME or UNPRINTABLE.search(text)):
        raise InputError(f"{where}: {_shown(text)} is too long or has characters that cannot be shown; rename it")
    if column == "emotion":
        return text or None
    if column not in FRAME_COLUMNS and column not in NUMBER_COLUMNS:
        return text
    if column in NUMBER_COLUMNS and text.lower() in ("", "nan"):
        return math.nan
    try:
        number = float(text) if "_" not in text else math.nan  # Python would read `1_0` as 10
    except ValueError:
        number = math.nan
    if column in NUMBER_COLUMNS:
        if not math.isfinite(number):
            raise InputError(f"{where}: {_shown(text)} is not a number; write a number or leave it empty")
        return number
    if not number.is_integer() or abs(number) > MAX_FRAME:  # NaN and infinity are not integers
        raise InputError(f"{where}: {_shown(text)} is not a frame number; write a whole number")
    return int(number)


def _shown(text: str) -> str:
    """A field as a message quotes it: on one line, cut to about `MAX_QUOTED` characters."""
    return repr(text if len(text) <= MAX_QUOTED else text[: MAX_QUOTED - 3] + "..")
