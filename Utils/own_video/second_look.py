"""The expressions of a video by the second look: candidates of all faces, what each of them is, and which are reported.

A candidate is a place where a part of the face moves and comes back (`candidates.py`), or a peak of the networks'
smoothed score. The verifier gives the probability that it is a micro-expression, and its borders. The networks give the
emotion. What is not reported is kept too, with the kind that it most likely is; but a zone of the face that moves with
the rest of it is no second row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.signal import find_peaks

from training_utils import TIME_DIGITS, majority_class
from Utils.datasets.table import Dataset
from Utils.own_video.candidates import FEATURES, Measured, measure_candidates, parts_of_others
from Utils.own_video.face_tracks import Track, runs_of
from Utils.own_video.footage import FACE
from Utils.own_video.paper_rule import FRAMES_FROM_0, SCORES_COMPARED
from Utils.own_video.scoring import EXPRESSION_COLUMNS, FaceScores, expression_row
from Utils.own_video.verify import KINDS, MICRO, VERIFY, Verifier, keep_apart, load_verifier
from Utils.own_video.weights import OwnWeights
from Utils.settings import FOR_VIDEOS, PAPER_RULE, PROJECT, SECOND_LOOK, Settings

SECOND_LOOK_COLUMNS = (*EXPRESSION_COLUMNS, "kind", "motion_px", "p_micro", "duration_s", "flags")
LOW_QUANTILE = 0.5  # of a face's smoothed scores: peaks of the score above it are candidates
PIXEL_DIGITS = 3  # decimal places of pixels in tables
NEAR_CHANCE = 0.15  # confidence above chance, 1 / number of classes, below which an emotion is unclear
UNCLEAR = "unclear emotion"

# When a flag is set: what was measured, and from which value on
HEAD_MOVES = 2.0  # pixels of the 128-pixel crop that the head travels during the candidate
EYES_CLOSE = 0.35  # share of the eyes' contrast that is lost
LIGHT_CHANGES = 0.5  # tenths of the face's brightness
COVERED = 1.0  # log of the growth of what the flow does not explain
SMALL_FACE = FACE[0]  # pixels of the video
EDGE_S = 0.3  # seconds from the end of what is seen of the face


@dataclass(frozen=True)
class SecondLook:
    """How candidates become expressions."""

    verifier: Verifier
    false_alarms: float  # expected a minute of a neutral video
    absolute_threshold: float | None = None  # a score that an expression must reach in addition
    own: bool = True  # whether the verifier came with the weights

    @property
    def threshold(self) -> float:
        """The least `p_micro` that is reported."""
        return self.verifier.threshold(self.false_alarms)[0]

    def about(self) -> dict:
        """The settings, as `settings.json` has them."""
        threshold, measured, low, high = self.verifier.threshold(self.false_alarms)
        return {
            "rule": SECOND_LOOK,
            "false_alarms": self.false_alarms,
            "false_alarms_measured": [measured, low, high],
            "p_micro_at_least": threshold,
            "absolute_threshold": self.absolute_threshold,
        }

    def fingerprint(self) -> dict:
        """Everything that results depend on, for a key."""
        return self.about() | {"verifier": self.verifier.file_hash}

    def explained(self) -> list[str]:
        """What readers of a report should know."""
        threshold, measured, low, high = self.verifier.threshold(self.false_alarms)
        lines = [
            FRAMES_FROM_0,
            f"Micro-expressions are the candidates with p_micro of at least {threshold:.2f}. On rendered neutral "
            f"videos this gave {measured:.1f} false alarms a minute (95 % interval {low:.1f} to {high:.1f}).",
        ]
        if self.absolute_threshold is not None:
            lines += [
                f"They must also have a score of at least {self.absolute_threshold:g} (--absolute_threshold). The "
                "false alarms were measured without this.",
                SCORES_COMPARED,
            ]
        if not self.own:
            lines.append(
                "These weights bring no verifier of their own: the one that comes with the program is used. Candidates "
                "are the movements of the face, and the local maxima of the score above its median."
            )
        return lines


def second_look_of(settings: Settings, dataset: Dataset, weights: OwnWeights) -> SecondLook | None:
    """What `--spotting` and `--false_alarms` ask for; None for the paper's rule.

    Raises InputError if the verifier cannot be used (see `load_verifier`).
    """
    if settings.spotting == PAPER_RULE:
        return None
    folder = settings.weights_source / dataset.name
    shipped = PROJECT / "MEAN_Weights" / FOR_VIDEOS
    own = dataset.name == FOR_VIDEOS or (folder / VERIFY).exists()
    verifier = load_verifier(folder if own else shipped, weights.classes if own else None)
    return SecondLook(verifier, settings.false_alarms, settings.absolute_threshold, own)


def look_again(
    video: str,
    faces: Iterable[FaceScores],
    classes: Sequence[str],
    k: int,
    look: SecondLook,
    fps: float,
    source_frames: Sequence[int],
) -> pd.DataFrame:
    """The candidates of all faces, in order of faces and time.

    Parameters
    ----------
    video : str
        Its name, for the table.
    faces : iterable of FaceScores
    classes : sequence of str
    k : int
        Distance of the two frames of a pair, at the video's rate.
    look : SecondLook
    fps : float
        Frames per second.
    source_frames : sequence of int
        `Frame.source_frame` of each frame of the video.

    Returns
    -------
    DataFrame
        The columns are `SECOND_LOOK_COLUMNS`. Those that are reported have the kind "micro". `motion_px` is in pixels
        of the 128-pixel crop, the head's motion taken out; `duration_s` is offset - onset. `flags` are words that are
        separated by "; ", in the order of `_flags`.
    """
    rows = []
    for face in faces:
        for first, last in _measured_parts(face):
            rows += _of_stretch(face, first, last, classes, k, look, fps, source_frames)
    table = pd.DataFrame([{"video": video} | row for row in rows], columns=list(SECOND_LOOK_COLUMNS))
    numbers = dict.fromkeys(("score", "confidence", "motion_px", "p_micro", "duration_s"), float)
    return table.astype(numbers).sort_values(["face", "onset", "offset"], kind="stable", ignore_index=True)


def _measured_parts(face: FaceScores) -> list[tuple[int, int]]:
    """First and last samples (inclusive) of the parts of a face's curves that have no gap and no scene cut inside."""
    seen = np.isfinite(face.curves[:, 0])
    parts = []
    for first, last in face.track.stretches():
        inside = np.zeros(len(seen), bool)
        inside[-(-first // face.step) : last // face.step + 1] = True
        parts += runs_of(seen & inside)
    return parts


def reported(candidates: pd.DataFrame) -> pd.DataFrame:
    """The rows of micro-expressions."""
    return candidates[candidates["kind"] == KINDS[MICRO]].reset_index(drop=True)


def kinds_set_aside(candidates: pd.DataFrame) -> dict[str, int]:
    """How many candidates are of each other kind, in the order of `KINDS`, without "nothing" and kinds without any."""
    counts = candidates["kind"].value_counts()
    others = [kind for kind in KINDS if kind not in (KINDS[MICRO], "nothing")]
    return {kind: int(counts[kind]) for kind in others if kind in counts}


def _of_stretch(
    face: FaceScores, first: int, last: int, classes, k, look: SecondLook, fps, source_frames
) -> list[dict]:
    """The rows of the samples `first` to `last` (inclusive) of a face's curves."""
    start, rate = first * face.step, fps / face.step
    end = min(len(source_frames) - 1, last * face.step)
    if not any(a <= end and start <= b + k for a, b in face.stretches):
        return []  # too short to be scored
    measured = measure_candidates(
        face.curves[first : last + 1], rate, score_peaks(face.smoothed[start : end + 1], k, fps)
    )
    if not len(measured.at):
        return []
    probabilities = look.verifier.probabilities(measured.features)
    onset_s, offset_s = look.verifier.intervals(measured)
    onsets, apexes, offsets = (
        np.clip(np.round(seconds * fps).astype(int) + start, start, end) for seconds in (onset_s, measured.at, offset_s)
    )
    onsets, offsets = np.minimum(onsets, apexes), np.maximum(offsets, apexes)
    scores = [_score_at(face, apex - k // 2) for apex in apexes]
    p = probabilities[:, MICRO]
    if look.absolute_threshold is not None:
        p = np.where(np.nan_to_num(scores, nan=-np.inf) >= look.absolute_threshold, p, 0.0)
    kept = set(keep_apart(onsets.astype(float), offsets + 1.0, p, look.threshold).tolist())
    others = np.delete(np.array(KINDS), MICRO)[np.delete(probabilities, MICRO, axis=1).argmax(axis=1)]
    rows, told_already = [], parts_of_others(measured)
    for i in range(len(measured.at)):
        if told_already[i] and i not in kept:
            continue
        emotion, confidence = _emotion(face, onsets[i], apexes[i], k, classes)
        frames = dict(onset=int(onsets[i]), apex=int(apexes[i]), offset=int(offsets[i]))
        row = expression_row(face, frames, scores[i], emotion, confidence, fps, source_frames)
        rows.append(
            row
            | dict(
                kind=KINDS[MICRO] if i in kept else str(others[i]),
                motion_px=round(float(measured.motion[i]), PIXEL_DIGITS),
                p_micro=round(float(probabilities[i, MICRO]), PIXEL_DIGITS),
                duration_s=round((offsets[i] - onsets[i]) / fps, TIME_DIGITS),
                flags="; ".join(_flags(measured, i, face.track, frames, (start, end), confidence, len(classes), fps)),
            )
        )
    return rows


def score_peaks(smoothed: np.ndarray, k: int, fps: float) -> np.ndarray:
    """Seconds, from the first pair, to the apexes that belong to the high peaks of a smoothed score.

    `smoothed` (n,) is NaN where nothing is scored; `k` is in frames, `fps` in frames per second.
    """
    scored = smoothed[np.isfinite(smoothed)]
    if len(scored) < 3:
        return np.zeros(0)
    peaks = find_peaks(np.nan_to_num(smoothed, nan=-np.inf), height=np.quantile(scored, LOW_QUANTILE))[0]
    return (peaks + k) / fps


def _score_at(face: FaceScores, frame: int) -> float:
    """The smoothed score of the pair that begins at a frame; NaN if it is not scored."""
    return float(face.smoothed[min(max(0, frame), len(face.smoothed) - 1)])


def _emotion(face: FaceScores, onset: int, apex: int, k: int, classes: Sequence[str]) -> tuple[str, float]:
    """The class that most pairs of the rise vote for, and its mean probability; "" and NaN if nothing is recognised."""
    last = max(onset + 1, apex - k // 2)
    window = face.probabilities[onset:last]
    window = window[np.isfinite(window).all(axis=1)]
    vote = majority_class(window, len(window), len(window)) if len(window) else None
    return ("", float("nan")) if vote is None else (classes[vote[0]], vote[1])


def _flags(measured: Measured, i: int, track: Track, frames: dict, seen: tuple[int, int], confidence, n_classes, fps):
    """What users should know about a candidate, in words."""
    value = dict(zip(FEATURES, measured.features[i], strict=True))
    segment = track.segment_at(frames["apex"])
    flags = {
        "head moves": np.exp(value["head travel"]) > HEAD_MOVES,
        "eyes close": max(value["left eye closes"], value["right eye closes"]) > EYES_CLOSE,
        "light changes": max(value["light pulse"], value["light step"]) > LIGHT_CHANGES,
        "something covers the face": value["largest misfit"] > COVERED,
        "small face": segment is not None and segment.rectangle[2] - segment.rectangle[0] < SMALL_FACE,
        "at the edge": min(frames["onset"] - seen[0], seen[1] - frames["offset"]) < EDGE_S * fps,
        UNCLEAR: n_classes > 0 and confidence < 1 / n_classes + NEAR_CHANCE,
    }
    return [name for name, is_set in flags.items() if is_set]
