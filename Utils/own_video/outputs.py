"""The contents of the files that are written for one of the user's own videos: tables, ELAN file, overlay, report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from feature_extraction import flow_function
from training_utils import TIME_DIGITS
from Utils.faces.rectangles import CROP_SIZE, Rectangle, cut_face
from Utils.own_video.elan import write_eaf
from Utils.own_video.face_tracks import Tracking
from Utils.own_video.overlay import OverlayFace
from Utils.own_video.scoring import FaceScores, gray_crop
from Utils.own_video.second_look import UNCLEAR
from Utils.own_video.video_files import Frame
from Utils.report.contents import Curve, Pictures

MAX_PICTURED = 300  # expressions with pictures in a report: they take 85 KB each
MAX_SET_ASIDE = 500  # candidates in a report's list of what was set aside
NOTHING_PX = 0.3  # pixels of the 128-pixel crop
UNCLEAR_WORD = "unclear"  # the label of an emotion whose confidence is near chance
UNNAMED = "micro-expression"  # the label of an expression that is not recognised
INTERVAL = ("onset", "apex", "offset")

# Channels of the crops that are kept for the report
BGR, GRAY, BGR_AND_GRAY = slice(0, 3), 3, 4


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


def write_elan(
    path: Path, media: Path, final: Path, expressions: pd.DataFrame, faces: Sequence[FaceScores], fps: float
) -> None:
    """Write the expressions as an ELAN file, with a tier for each scored face.

    The parameters are those of `write_eaf`, with `expressions` from `spot_expressions` and `fps` in frames per second.
    """
    tiers: dict[str, list] = {f"face {face.track.number}": [] for face in faces} or {"face 0": []}
    for row in expressions.itertuples():
        tiers[f"face {row.face}"].append((row.onset / fps, (row.offset + 1) / fps, row.emotion or UNNAMED))
    write_eaf(path, media, tiers, final)


def overlay_faces(faces: Sequence[FaceScores], expressions: pd.DataFrame) -> list[OverlayFace]:
    """The scored faces as `overlay_writer` draws them."""
    made = []
    for face in faces:

        def box(frame: int, track=face.track):
            segment = track.segment_at(frame)
            return segment.rectangle if segment else None

        rows = expressions[expressions["face"] == face.track.number]
        intervals = [(r.onset, r.apex, r.offset, r.emotion or UNNAMED) for r in rows.itertuples()]
        made.append(OverlayFace(face_name(face, faces), box, face.smoothed, face.threshold, intervals))
    return made


def face_name(face: FaceScores, faces: Sequence[FaceScores]) -> str:
    """The face's name in the overlay; "" if it is the only one."""
    return f"face {face.track.number}" if len(faces) > 1 else ""


def expressions_with_pictures(expressions: pd.DataFrame) -> pd.DataFrame:
    """The expressions of which the report has pictures: the `MAX_PICTURED` with the highest scores."""
    return expressions.nlargest(MAX_PICTURED, "score")


def picture_remarks(expressions: pd.DataFrame) -> list[str]:
    """A remark for the report if some expressions have no pictures."""
    if len(expressions) <= MAX_PICTURED:
        return []
    return [f"Pictures are of the {MAX_PICTURED} expressions with the highest scores, of {len(expressions)}."]


class ReportCrops:
    """The crops that the report shows: those at onset, apex and offset of each expression that has pictures.

    They are cut while the video is read (`keep`), all three with the face's rectangle at the apex.
    """

    def __init__(self, faces: Sequence[FaceScores], expressions: pd.DataFrame) -> None:
        self._at: dict[int, list[tuple[int, Rectangle]]] = {}
        self._numbers: dict[tuple[int, int, int], int] = {}
        self._kept: set[int] = set()
        tracks = {face.track.number: face.track for face in faces}
        for row in expressions_with_pictures(expressions).itertuples():
            rectangle = tracks[row.face].segment_at(row.apex).rectangle
            for frame in {row.onset, row.apex, row.offset}:
                number = self._numbers.setdefault((row.face, row.apex, frame), len(self._numbers))
                self._at.setdefault(frame, []).append((number, rectangle))
        # One large array for all. Small ones, allocated while frames come and go, would split the free memory into
        # pieces that are too small for a frame, and the process would grow.
        self._crops = np.empty((len(self._numbers), CROP_SIZE, CROP_SIZE, BGR_AND_GRAY), np.uint8)

    def keep(self, frame: Frame) -> None:
        """Cut and keep what the report shows of a frame. Must be called with each frame of the video."""
        for number, rectangle in self._at.get(frame.index, ()):
            self._crops[number, ..., BGR] = cut_face(frame.image, rectangle)
            self._crops[number, ..., GRAY] = gray_crop(frame.image, rectangle)
            self._kept.add(number)

    def colour_and_gray(self, face: int, apex: int, frame: int) -> tuple[np.ndarray, np.ndarray] | None:
        """The crop of a frame that is onset, apex or offset of an expression, in colour and in gray.

        Returns
        -------
        colour : ndarray of uint8, (128, 128, 3)
            BGR.
        gray : ndarray of uint8, (128, 128)
            As the networks see it.
        None
            Instead of both, if the frame was not kept.
        """
        number = self._numbers.get((face, apex, frame))
        if number not in self._kept:
            return None
        return self._crops[number, ..., BGR], self._crops[number, ..., GRAY]


def report_curves(
    video: str,
    fps: float,
    k_prime: int,
    faces: Sequence[FaceScores],
    expressions: pd.DataFrame,
    crops: ReportCrops,
    flow: str,
    remarks: Sequence[str],
) -> list[Curve]:
    """A curve for each scored face, as `write_report` shows them.

    `fps` is in frames per second, `k_prime` in frames. `crops` must have kept the whole video.
    """

    def curve(face: FaceScores) -> Curve:
        rows = expressions[expressions["face"] == face.track.number].reset_index(drop=True).assign(subject="")

        def pictures(_: str, i: int) -> Pictures | None:
            pairs = [crops.colour_and_gray(face.track.number, rows["apex"][i], rows[name][i]) for name in INTERVAL]
            if not any(pairs):
                return None
            colour = [None if pair is None else np.ascontiguousarray(pair[0]) for pair in pairs]
            onset, apex = (None if pair is None else np.ascontiguousarray(pair[1]) for pair in pairs[:2])
            motion = None if onset is None or apex is None else flow_function(flow)(onset, apex)
            return Pictures(*colour, motion)

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
            pictures=pictures,
            remarks=remarks,
            without_threshold="expressions are chosen by the second look, not by a threshold of the score",
        )

    return [curve(face) for face in faces]
