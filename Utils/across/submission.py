"""Files for the Micro-Expression Grand Challenge, in every variant that it has asked for.

- `spotting_2022.csv`: vid, pred_onset, pred_offset, type (me, a micro-expression, or mae, a macro-expression)
- `spotting_2023.csv`: vid, onset, offset, type
- `recognition_2024.csv`: subject, video, onset, offset, emotion; micro-expressions with an emotion only
- `counts.json`: for each video how many of each kind there are, and their intervals
- `submission.zip`: all of them

Frames count from --frame_base (0, if it is not given), because the challenge does not say from which number they count.
Intervals are cut off at the first and the last frame of their video.
"""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from Utils.errors import InputError
from Utils.evaluation.csv_files import write_table
from Utils.evaluation.tables import MEGC_TYPES
from Utils.records import KINDS, MICRO, OTHERS
from Utils.work.cache import write_json

SPOTTING_2022, SPOTTING_2023, RECOGNITION = "spotting_2022.csv", "spotting_2023.csv", "recognition_2024.csv"
COUNTS, ARCHIVE = "counts.json", "submission.zip"
COLUMNS = {
    SPOTTING_2022: ("vid", "pred_onset", "pred_offset", "type"),
    SPOTTING_2023: ("vid", "onset", "offset", "type"),
    RECOGNITION: ("subject", "video", "onset", "offset", "emotion"),
}
NO_EMOTION = ("", OTHERS, "neutral")  # not submitted for recognition
UNIX, READABLE = 3, 0o100644  # where the files in the archive come from (in the format's own numbers), and their mode
WRITTEN = (2000, 1, 1, 0, 0, 0)  # time of the files in the archive, so that equal results give equal bytes


class Recorded(NamedTuple):
    """A video as it was recorded: every how many of its frames one was used, and its number of frames if known."""

    every: int = 1
    n_frames: int | None = None


def recorded_frames(recorded: Recorded, n_used: int) -> int:
    """The number of frames of a recorded video, of which `n_used` frames were used: the least, if it is not known.

    0 if nothing is known of it.
    """
    return recorded.n_frames or max(0, (n_used - 1) * recorded.every + 1)


def submitted_intervals(
    predictions: pd.DataFrame,
    videos: Mapping[tuple[str, str], Recorded],
    frame_base: int | None,
) -> pd.DataFrame:
    """Predictions in the frames of the recorded videos.

    Parameters
    ----------
    predictions : DataFrame
        Columns subject, video, onset, offset, emotion, kind. Frames are those that were used, and count from 0.
    videos : mapping of (str, str) to Recorded
        (subject, video) -> the recorded video, with its number of frames.
    frame_base : int or None
        The number of a video's first frame in the result; None: 0.

    Returns
    -------
    DataFrame
        The same columns, in order of `videos`, then of onsets. onset and offset are within the video, and numbered
        from `frame_base`. Intervals that lie beside the video are left out. emotion is "" where it is none, or others.
    """
    keys = list(zip(predictions["subject"], predictions["video"], strict=True))
    of_rows, places = [videos[key] for key in keys], {key: place for place, key in enumerate(videos)}
    every, last = (
        pd.Series(values, index=predictions.index, dtype="int64")
        for values in ([v.every for v in of_rows], [v.n_frames - 1 for v in of_rows])
    )
    onset = (predictions["onset"] * every).clip(lower=0)
    offset = (predictions["offset"] * every + every - 1).clip(upper=last)
    inside = onset <= offset
    emotion = predictions["emotion"].fillna("")
    found = predictions.assign(
        onset=onset + (frame_base or 0),
        offset=offset + (frame_base or 0),
        emotion=emotion.mask(emotion.isin(NO_EMOTION), ""),
        place=[places[key] for key in keys],
    )[inside]
    found = found.sort_values(["place", "onset", "offset"], kind="stable")
    return found[["subject", "video", "onset", "offset", "emotion", "kind"]].reset_index(drop=True)


def video_ids(videos: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """(subject, video) -> `vid`: the video's name, or `<subject>_<video>` if several videos have this name.

    No two are the same. Raises InputError if two videos cannot be told apart like this.
    """
    videos = list(videos)
    names = Counter(name for _, name in videos)
    ids = {(subject, name): name if names[name] == 1 else _long_id(subject, name) for subject, name in videos}
    while several := [key for key, n in Counter(ids.values()).items() if n > 1]:  # `a/b` and a video `a_b`
        same = [video for video, vid in ids.items() if vid == several[0]]
        longer = {video: _long_id(*video) for video in same}
        if all(ids[video] == vid for video, vid in longer.items()):
            raise InputError(
                f"the videos {'/'.join(same[0])} and {'/'.join(same[1])} are both {several[0]} in files for the Grand "
                "Challenge; rename one"
            )
        ids |= longer
    return ids


def _long_id(subject: str, name: str) -> str:
    return name if subject == name else f"{subject}_{name}"


def submission_tables(found: pd.DataFrame, ids: Mapping[tuple[str, str], str]) -> dict[str, pd.DataFrame]:
    """File name -> its table. `ids`: see `video_ids`."""
    vid = [ids[key] for key in zip(found["subject"], found["video"], strict=True)]
    kinds = found["kind"].map(MEGC_TYPES)
    spotted = pd.DataFrame({"vid": vid, "onset": found["onset"], "offset": found["offset"], "type": kinds})
    recognised = found[(found["kind"] == MICRO) & (found["emotion"] != "")]
    return {
        SPOTTING_2022: spotted.rename(columns={"onset": "pred_onset", "offset": "pred_offset"}),
        SPOTTING_2023: spotted,
        RECOGNITION: recognised[list(COLUMNS[RECOGNITION])],
    }


def counts_of(found: pd.DataFrame, videos: Iterable[tuple[str, str]]) -> list[dict]:
    """For each video how many expressions of each kind there are, and their intervals."""
    rows = []
    for subject, video in videos:
        of_video = found[(found["subject"] == subject) & (found["video"] == video)]
        rows.append(
            {
                "subject": subject,
                "video": video,
                "counts": {kind: int((of_video["kind"] == kind).sum()) for kind in KINDS},
                "intervals": [
                    {"onset": int(r.onset), "offset": int(r.offset), "kind": r.kind, "emotion": r.emotion or None}
                    for r in of_video.itertuples()
                ],
            }
        )
    return rows


def write_submission(
    folder: Path,
    predictions: pd.DataFrame,
    videos: Mapping[tuple[str, str], Recorded],
    frame_base: int | None,
    ids: Mapping[tuple[str, str], str] | None = None,
) -> None:
    """Write all files into a new folder. Parameters: see `submitted_intervals`.

    `ids` are those of `video_ids`, by default of `videos`. They are given if the test set has more videos.
    """
    folder.mkdir()
    found = submitted_intervals(predictions, videos, frame_base)
    for name, table in submission_tables(found, ids or video_ids(videos)).items():
        write_table(table, folder / name)
    write_json(folder / COUNTS, counts_of(found, videos))
    write_archive(folder / ARCHIVE, {name: folder / name for name in (*COLUMNS, COUNTS)})


def write_archive(path: Path, files: Mapping[str, Path]) -> None:
    """Write a ZIP archive: name in it -> file. Equal files give equal bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, file in files.items():
            entry = zipfile.ZipInfo(name, WRITTEN)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system, entry.external_attr = UNIX, READABLE << 16
            archive.writestr(entry, file.read_bytes())
    path.write_bytes(packed.getvalue())
