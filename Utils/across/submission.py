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
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

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
WRITTEN = (2000, 1, 1, 0, 0, 0)  # time of the files in the archive, so that equal results give equal bytes


def submitted_intervals(
    predictions: pd.DataFrame, n_frames: Mapping[tuple[str, str], int], frame_base: int | None, every: int = 1
) -> pd.DataFrame:
    """Predictions in the frames of the recorded videos.

    Parameters
    ----------
    predictions : DataFrame
        Columns subject, video, onset, offset, emotion, kind. Frames count from 0.
    n_frames : mapping of (str, str) to int
        (subject, video) -> its number of frames, as they were used.
    frame_base : int or None
        The number of a video's first frame in the result; None: 0.
    every : int
        Every n-th of the recorded frames was used.

    Returns
    -------
    DataFrame
        The same columns. onset and offset are within the video, and numbered from `frame_base`. Intervals that lie
        beside the video are left out.
    """
    keys = zip(predictions["subject"], predictions["video"], strict=True)
    last = pd.Series([n_frames[key] * every - 1 for key in keys], index=predictions.index, dtype="int64")
    onset = (predictions["onset"] * every).clip(lower=0)
    offset = (predictions["offset"] * every + every - 1).clip(upper=last)
    inside = onset <= offset
    found = predictions.assign(onset=onset + (frame_base or 0), offset=offset + (frame_base or 0))
    return found.loc[inside, ["subject", "video", "onset", "offset", "emotion", "kind"]].reset_index(drop=True)


def submission_tables(found: pd.DataFrame, several_names: bool) -> dict[str, pd.DataFrame]:
    """File name -> its table. `several_names`: subjects have videos of one name, so `vid` is `<subject>_<video>`."""
    vid = found["subject"] + "_" + found["video"] if several_names else found["video"]
    kinds = found["kind"].map(MEGC_TYPES)
    spotted = pd.DataFrame({"vid": vid, "onset": found["onset"], "offset": found["offset"], "type": kinds})
    emotions = found["emotion"].fillna("")
    recognised = found[(found["kind"] == MICRO) & ~emotions.isin(NO_EMOTION)]
    return {
        SPOTTING_2022: spotted.rename(columns={"onset": "pred_onset", "offset": "pred_offset"}),
        SPOTTING_2023: spotted,
        RECOGNITION: recognised[list(COLUMNS[RECOGNITION])],
    }


def counts_of(found: pd.DataFrame, videos: Mapping[tuple[str, str], int]) -> list[dict]:
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
    n_frames: Mapping[tuple[str, str], int],
    frame_base: int | None,
    every: int = 1,
) -> None:
    """Write all files into a new folder. Parameters: see `submitted_intervals`."""
    folder.mkdir()
    found = submitted_intervals(predictions, n_frames, frame_base, every)
    several_names = len({video for _, video in n_frames}) < len(n_frames)
    for name, table in submission_tables(found, several_names).items():
        write_table(table, folder / name)
    write_json(folder / COUNTS, counts_of(found, n_frames))
    files = (*COLUMNS, COUNTS)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in files:
            archive.writestr(zipfile.ZipInfo(name, WRITTEN), (folder / name).read_bytes())
    (folder / ARCHIVE).write_bytes(packed.getvalue())
