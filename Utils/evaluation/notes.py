"""Notes on an evaluation: why a metric is missing, or what readers must know about it. All functions return lists.

The texts are part of metrics.json: changing one changes the bytes of that file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from Utils.evaluation.tables import VideoIntervals, only_searched_apexes


def unannotated_notes(videos: Sequence[VideoIntervals]) -> list[str]:
    """Predictions in videos that the ground truth does not name. Often it spells the name differently."""
    unknown = [video for video in videos if video.predicted and not video.annotated]
    if not unknown:
        return []
    count = sum(len(video.predicted) for video in unknown)
    return [f"{count} prediction(s) in {len(unknown)} video(s) without annotation, such as {unknown[0].label}"]


def recognition_notes(n_left_out: int) -> list[str]:
    """`n_left_out` true positives are not analysed."""
    if not n_left_out:
        return []
    return [f"analysis: {n_left_out} true positive(s) of subjects without recognition are left out"]


def spotting_notes(spotting: Mapping) -> list[str]:
    """There is no prediction, or no annotation."""
    notes = []
    if spotting["tp"] + spotting["fp"] == 0:
        notes.append("spotting: there is no prediction, so precision counts as 0")
    if spotting["recall"] is None:
        notes.append("spotting: there is no annotation, so recall, F1, AP and ASR are not defined")
    return notes


def ap_notes(videos: Sequence[VideoIntervals]) -> list[str]:
    """AP does not rank the predictions, because some have no score."""
    if not any(video.annotated for video in videos):
        return []
    if not any(math.isnan(p.score) for video in videos for p in video.predicted):
        return []
    return ["ap: not every prediction has a score, so they count in the order of the table"]


def missed_notes(videos: Sequence[VideoIntervals]) -> list[str]:
    """Some annotated videos have no prediction."""
    missed = sum(not video.predicted for video in videos if video.annotated)
    return [f"asr: {missed} annotated video(s) without a prediction count as missed"] if missed else []


def apex_notes(videos: Sequence[VideoIntervals], mae: float | None) -> list[str]:
    """There is no apex to compare with, or there are only apexes that the program searched."""
    if mae is None:
        return ["mae: no video has both a prediction and an annotation with a known apex"]
    if only_searched_apexes(videos):
        return ["mae: the annotations have no apex; measured against the apexes that the program searched"]
    return []


def classification_notes(scores: Mapping, name: str) -> list[str]:
    """There is nothing to average over. The note calls these scores `name`."""
    return [] if scores["classes"] else [f"{name}: there is no pair of label and prediction to evaluate"]


def strs_notes(spotting_f1: float | None, analysis_f1: float | None) -> list[str]:
    """STRS is not defined, because one of its two factors is not."""
    if spotting_f1 is None:
        return ["strs: the F1 of spotting is not defined"]
    if analysis_f1 is None and spotting_f1 != 0:
        return ["strs: the F1 of the analysis is not defined"]
    return []
