"""The tables of predictions and of ground truth: their columns, and their rows by video. csv_files.py reads them.

Conventions
-----------
One row is one interval. Frames are 0-based and inclusive. A prediction may start before frame 0 (a peak near the
beginning, minus k'), an annotation may not. `subject` and `video` are text: `006` is not `6`. An empty `emotion` means
that the interval was spotted but not recognised. An empty `apex` is unknown. A column that ends in `_s` has the time of
that frame in seconds: frame / fps, the moment at which the frame appears. So `offset_s` is when the last frame begins.
A table from elsewhere needs only the columns of `REQUIRED_COLUMNS`. Unknown columns are kept as text and not used.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple

import numpy as np
import pandas as pd

from Utils.errors import InputError
from Utils.records import MACRO, MICRO, natural_key

PREDICTION_COLUMNS = (
    "subject", "video", "onset", "apex", "offset", "onset_s", "offset_s", "score", "emotion", "confidence",
)  # fmt: skip
GROUND_TRUTH_COLUMNS = ("subject", "video", "onset", "apex", "offset", "onset_s", "offset_s", "emotion")
OWN_PREDICTION_COLUMNS = (*PREDICTION_COLUMNS, "face")  # of the user's own videos; the face is a number from 0
SEARCHED_APEX = "searched_apex"  # a further column of a ground truth that lacks apexes: those that the program found
REQUIRED_COLUMNS = ("subject", "video", "onset", "offset", "emotion")

MEGC_TYPES = {MICRO: "me", MACRO: "mae"}  # the kinds as the Micro-Expression Grand Challenge names them
KEY_COLUMNS = ("subject", "video")  # text that must be there
FRAME_COLUMNS = ("onset", "offset")  # whole numbers that must be there
NUMBER_COLUMNS = ("apex", SEARCHED_APEX, "onset_s", "offset_s", "score", "confidence")  # numbers that may be missing
MAX_FRAME = 10**9  # 58 days at 200 frames per second: a larger frame number is a mistake
MAX_NAME = 255  # characters of a subject, a video or an emotion, as in the name of a file
MAX_EMOTIONS = 100  # in one table: with more different ones, the column holds something else
MAX_PAIRS = 1_000_000  # of a prediction and an annotation of one video, over all videos: comparing takes 100 bytes each


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
        With the columns subject, video, onset, offset. If there is a column kind, it has "micro" or "macro".
    last_frames : mapping of (str, str) to int
        (subject, video) -> last frame of every video that took part. Intervals are clamped to 0 and this frame.

    Returns
    -------
    DataFrame
        Frames are 0-based; `vid` is the video's name, with the subject before it where videos of several subjects have
        one name (CASME II); `type` is `me`, a micro-expression, or `mae`, a macro-expression.
    """
    names_differ = len({video for _, video in last_frames}) == len(last_frames)
    limits = [last_frames[key] for key in zip(predictions["subject"], predictions["video"], strict=True)]
    return pd.DataFrame(
        {
            "vid": predictions["video"] if names_differ else predictions["subject"] + "_" + predictions["video"],
            "onset": predictions["onset"].clip(lower=0),
            "offset": np.minimum(predictions["offset"], limits),
            "type": predictions["kind"].map(MEGC_TYPES) if "kind" in predictions else MEGC_TYPES[MICRO],
        }
    )
