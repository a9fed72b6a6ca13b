"""The contents of the files that are written for one of the user's own videos: tables, ELAN file, overlay, report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd

from training_utils import TIME_DIGITS
from Utils.evaluation.eaf import MACRO, MICRO, UNCLEAR_WORD, UNNAMED
from Utils.evaluation.eaf_writer import Annotated, EafAbout, write_eaf
from Utils.evaluation.tables import OWN_PREDICTION_COLUMNS
from Utils.own_video.clips import ClipMaker
from Utils.own_video.drawing import Marked, OverlayFace
from Utils.own_video.face_tracks import Tracking
from Utils.own_video.scoring import FaceScores
from Utils.own_video.second_look import UNCLEAR
from Utils.report.contents import Curve

MAX_SET_ASIDE = 500  # candidates in a report's list of what was set aside
NOTHING_PX = 0.3  # pixels of the 128-pixel crop
PLAYABLE = (".mp4", ".m4v", ".webm", ".mov")  # videos that browsers play, if they also know the codec
INTERVAL = ("onset", "apex", "offset")


def frames_table(
    tracking: Tracking, faces: Sequence[FaceScores], classes: Sequence[str], fps: float, source_frames: Sequence[int]
) -> pd.DataFrame:
    """A row for each frame and face, and one row with `success` 0 for each frame in which no face is followed.

    Parameters
    ----------
    tracking : Tracking
    faces : sequence of FaceScores
    classes : sequence of str
    fps : float
        Frames per second.
    source_frames : sequence of int
        `Frame.source_frame` of each frame.

    Returns
    -------
    DataFrame
        frame (from 0), timestamp (seconds), face (number from 0), success (1 if the face is followed), score,
        score_smoothed, p_<class> (probability), left, top, right, bottom (pixels of the video), source_frame. The
        score of the pair (i, i + k) is in the row of frame i. What is not known is empty (NaN or NA).
    """
    scored = {face.track.number: face for face in faces}
    columns = ["frame", "timestamp", "face", "success", "score", "score_smoothed"]
    columns += [f"p_{c}" for c in classes] + ["left", "top", "right", "bottom", "source_frame"]
    parts = []
    for track in tracking.tracks:
        face = scored.get(track.number)
        for s in track.segments:
            frames = np.arange(s.first, s.last + 1)
            table = pd.DataFrame({"frame": frames, "face": track.number, "success": 1})
            table["score"] = face.raw[frames] if face else np.nan
            table["score_smoothed"] = face.smoothed[frames] if face else np.nan
            for c, name in enumerate(classes):
                table[f"p_{name}"] = face.probabilities[frames, c] if face else np.nan
            table[["left", "top", "right", "bottom"]] = s.rectangle
            parts.append(table)
    for first, last in tracking.without_face:
        parts.append(pd.DataFrame({"frame": np.arange(first, last + 1), "success": 0}))
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
    table["source_frame"] = np.asarray(source_frames, int)[table["frame"].to_numpy(int)]
    table["timestamp"] = (table["frame"] / fps).round(TIME_DIGITS)
    table = table.reindex(columns=columns).sort_values(["frame", "face"], kind="stable", ignore_index=True)
    return table.astype(dict.fromkeys(("face", "left", "top", "right", "bottom"), "Int64"))


def with_shown_emotions(expressions: pd.DataFrame) -> pd.DataFrame:
    """The expressions, with "unclear" in place of an emotion whose confidence is near chance. Users are shown these."""
    if "flags" not in expressions:
        return expressions
    unclear = expressions["flags"].str.contains(UNCLEAR, regex=False)
    return expressions.assign(
        emotion=expressions["emotion"].mask(unclear & (expressions["emotion"] != ""), UNCLEAR_WORD)
    )


def set_aside_rows(candidates: pd.DataFrame) -> list[dict]:
    """The candidates that are no micro-expressions as the report lists them: time, kind, measurements and flags.

    Movements of `NOTHING_PX` or less that look like nothing are left to `candidates.csv`.
    """
    chosen = candidates[candidates["kind"] != "micro"]
    chosen = chosen[(chosen["kind"] != "nothing") | (chosen["motion_px"] > NOTHING_PX)]
    chosen = chosen.nlargest(MAX_SET_ASIDE, ["p_micro", "motion_px"]).sort_values(["face", "onset"])
    flags = chosen["flags"].map(lambda text: "; ".join(flag for flag in text.split("; ") if flag != UNCLEAR))
    chosen = chosen.assign(flags=flags)  # their emotions are not shown
    names = ("face", "onset_s", "offset_s", "kind", "motion_px", "p_micro", "flags")
    return [dict(zip(names, row, strict=True)) for row in chosen[list(names)].itertuples(index=False)]


def predictions_table(expressions: pd.DataFrame, subject: str) -> pd.DataFrame:
    """The expressions of a video in the columns that datasets have, and the face: `OWN_PREDICTION_COLUMNS`.

    If they are macro-expressions, there is also the column "kind".
    `subject` is the name of the folder that contains the video.
    """
    kind = ["kind"] if "kind" in expressions and (expressions["kind"] == MACRO).any() else []
    return expressions.assign(subject=subject).reindex(columns=[*OWN_PREDICTION_COLUMNS, *kind])


def write_elan(
    path: Path, media: Path, final: Path, expressions: pd.DataFrame, faces: Sequence[FaceScores], about: EafAbout
) -> None:
    """Write the expressions as an ELAN file, with a tier for each scored face.

    The parameters are those of `write_eaf`, with `expressions` from `spot_expressions` or `reported`.
    """
    annotated: dict[int, list[Annotated]] = {face.track.number: [] for face in faces} or {0: []}
    for row in expressions.itertuples():
        emotion, kind = row.emotion or UNNAMED, getattr(row, "kind", MICRO)
        annotated[row.face].append(Annotated(row.onset, row.offset, emotion, row.apex, row.score, kind))
    write_eaf(path, media, annotated, about, final)


def overlay_faces(faces: Sequence[FaceScores], expressions: pd.DataFrame) -> list[OverlayFace]:
    """The scored faces as `overlay_writer` draws them."""
    made = []
    for face in faces:

        def box(frame: int, track=face.track):
            segment = track.segment_at(frame)
            return segment.rectangle if segment else None

        rows = expressions[expressions["face"] == face.track.number]
        intervals = [
            Marked(r.onset, r.apex, r.offset, r.emotion or UNNAMED, getattr(r, "p_micro", None))
            for r in rows.itertuples()
        ]
        made.append(OverlayFace(face_name(face, faces), box, face.smoothed, face.threshold, intervals))
    return made


def face_name(face: FaceScores, faces: Sequence[FaceScores]) -> str:
    """The face's name in the overlay; "" if it is the only one."""
    return f"face {face.track.number}" if len(faces) > 1 else ""


def report_curves(
    video: str,
    fps: float,
    k_prime: int,
    faces: Sequence[FaceScores],
    expressions: pd.DataFrame,
    clips: ClipMaker,
    remarks: Sequence[str],
    eaf: str = "",
    lowest_score: float | None = None,
    kind: str = MICRO,
) -> list[Curve]:
    """A curve for each scored face, as `write_report` shows them.

    `fps` is in frames per second, `k_prime` in frames. `clips` must have kept the whole video. `eaf` is the text of
    `eaf_template`. `lowest_score` is that of --absolute_threshold. `kind` is that of the expressions.
    """

    chosen = "expressions are chosen by the second look"
    chosen += ", not by the score" if lowest_score is None else f", where the score is {lowest_score:g} or more"

    def curve(face: FaceScores) -> Curve:
        rows = expressions[expressions["face"] == face.track.number].reset_index(drop=True).assign(subject="")

        def clip(_: str, i: int) -> dict | None:
            return clips.clip(face.track.number, *(int(rows[name][i]) for name in INTERVAL))

        return Curve(
            subject="",
            video=video,
            face=str(face.track.number) if len(faces) > 1 else "",
            fps=fps,
            raw=face.raw,
            smoothed=face.smoothed,
            threshold=face.threshold,
            k_prime=k_prime,
            predictions=rows,
            annotations=rows.iloc[:0],
            matches=(),
            clip=clip,
            remarks=remarks,
            eaf=eaf,
            without_threshold=chosen,
            kind=kind,
        )

    return [curve(face) for face in faces]


def file_links(name: str, has_candidates: bool, in_collection: bool) -> dict[str, str]:
    """Name -> path relative to the report, of the other files of a video's results."""
    links = {"expressions.csv": "expressions.csv"}
    if has_candidates:
        links["candidates.csv"] = "candidates.csv"
    links |= {"frames.csv": "frames.csv", "ELAN file": f"{name}.eaf", "overlay.mp4": "overlay.mp4"}
    return links | ({"All videos": "../index.html"} if in_collection else {})


def playable_videos(path: Path, folder: Path) -> dict[str, str]:
    """Name -> path relative to `folder`, of the videos that browsers can play: the overlay, and often the original."""
    videos = {"overlay.mp4": "overlay.mp4"}
    if path.is_file() and path.suffix.lower() in PLAYABLE:
        with suppress(ValueError):  # on Windows there is no relative path to another drive
            original = os.path.relpath(os.path.abspath(path), os.path.abspath(folder))  # noqa: PTH100
            videos["the original video"] = Path(original).as_posix()
    return videos
