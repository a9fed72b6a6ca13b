"""How far two coders agree: two tables of intervals in, figures out.

Conventions
-----------
The intervals of a video are matched one to one, best IoU first, from an IoU of .5 on (`metrics.match_intervals`). All
figures except the counts and F1 are of matched pairs. A difference is the second coder's frame minus the first one's.
Cohen's kappa is about the pairs in which both coders named an emotion. It is (p - c) / (1 - c), where p is the share of
equal emotions, and c the share that is expected if both chose at random with their own frequencies.

Reference: J. Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological Measurement 20,
1960.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from Utils.evaluation.metrics import IOU_THRESHOLD, interval_iou, match_intervals
from Utils.evaluation.tables import VideoIntervals, bounds, group_by_video

EDGES = ("onset", "offset")
WIDTH = 80  # characters of a line
LABEL = 26  # characters of a line's name
NAME = WIDTH - LABEL  # characters of a table's name that are shown


def agreement(first: pd.DataFrame, second: pd.DataFrame) -> dict:
    """Figures of how far two tables of intervals agree.

    Parameters
    ----------
    first, second : DataFrame
        See tables.py. Seconds are known if both have the columns onset_s and offset_s, with a number in each matched
        row.

    Returns
    -------
    dict
        "videos": the number that either table names; "videos_in_both"; "first", "second", "matched": numbers of
        intervals; "f1" and "mean_iou" in [0, 1]; "emotion" with "pairs", "equal" and "kappa"; "onset" and "offset" with
        "mean" and "median_absolute" (frames), "mean_s" and "median_absolute_s" (seconds); "notes". What cannot be
        computed is None.

    Raises
    ------
    ValueError
        A table breaks a rule of tables.py.
    InputError
        There are more pairs of intervals than can be compared.
    """
    videos = group_by_video(first, second)
    pairs, ious = _matched(videos)
    n_first, n_second, matched = len(first), len(second), len(pairs)
    in_both = sum(bool(video.predicted and video.annotated) for video in videos)
    emotion = _emotions([(a.emotion, b.emotion) for a, b in pairs])
    notes = []
    if in_both < len(videos):
        notes.append(f"{len(videos) - in_both} video(s) have intervals in one table only")
    if emotion["pairs"] < matched:
        notes.append(f"kappa: {matched - emotion['pairs']} pair(s) in which a coder named no emotion are left out")
    if emotion["pairs"] and emotion["kappa"] is None:
        notes.append("kappa: both coders named only one emotion, the same one, so it is not defined")
    return {
        "videos": len(videos),
        "videos_in_both": in_both,
        "first": n_first,
        "second": n_second,
        "matched": matched,
        "f1": 2 * matched / (n_first + n_second) if n_first + n_second else None,
        "mean_iou": float(np.mean(ious)) if ious else None,
        "emotion": emotion,
        **{edge: _differences(edge, pairs, first, second) for edge in EDGES},
        "notes": notes,
    }


def _matched(videos: Sequence[VideoIntervals]) -> tuple[list, list[float]]:
    """The matched pairs of all videos, (interval of the first table, of the second), and the IoU of each."""
    pairs, ious = [], []
    for video in videos:
        one, other = bounds(video.predicted), bounds(video.annotated)
        if len(one) and len(other):
            iou = interval_iou(one, other)
            for i, j in match_intervals(one, other, IOU_THRESHOLD):
                pairs.append((video.predicted[i], video.annotated[j]))
                ious.append(float(iou[i, j]))
    return pairs, ious


def _emotions(pairs: Sequence[tuple[str | None, str | None]]) -> dict:
    """Number of pairs with two emotions, how many of them are equal, and Cohen's kappa (None if it is not defined)."""
    from sklearn.metrics import cohen_kappa_score  # here, because the import takes half a second

    named = [pair for pair in pairs if None not in pair]
    equal = sum(a == b for a, b in named)
    defined = len({emotion for pair in named for emotion in pair}) > 1
    kappa = float(cohen_kappa_score(*map(list, zip(*named, strict=True)))) if defined else None
    return {"pairs": len(named), "equal": equal, "kappa": kappa}


def _differences(edge: str, pairs: Sequence[tuple], first: pd.DataFrame, second: pd.DataFrame) -> dict:
    """Mean and median absolute difference of the onsets or offsets of matched pairs, in frames and in seconds."""
    frames = np.array([getattr(b, edge) - getattr(a, edge) for a, b in pairs], float)
    found = {"mean": _mean(frames), "median_absolute": _median_absolute(frames)}
    column = f"{edge}_s"
    seconds = np.full(0, np.nan)
    if column in first and column in second:
        one, other = first[column].to_numpy(float), second[column].to_numpy(float)
        seconds = np.array([other[b.row] - one[a.row] for a, b in pairs], float)
    return found | {"mean_s": _mean(seconds), "median_absolute_s": _median_absolute(seconds)}


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) and np.isfinite(values).all() else None


def _median_absolute(values: np.ndarray) -> float | None:
    return float(np.median(np.abs(values))) if len(values) and np.isfinite(values).all() else None


def format_agreement(figures: Mapping, names: tuple[str, str]) -> str:
    """The figures of `agreement` as a table for the terminal. `names` are the names of the two tables."""
    emotion = figures["emotion"]
    equal = f"{emotion['equal']} of {emotion['pairs']} pairs" if emotion["pairs"] else "-"
    lines = [
        "Agreement of two tables",
        "-" * WIDTH,
        *(_line(which, name[-NAME:]) for which, name in zip(("first", "second"), names, strict=True)),
        _line("videos", f"{figures['videos']}, {figures['videos_in_both']} of them in both"),
        _line("expressions", f"{figures['first']} and {figures['second']}, {figures['matched']} matched"),
        "-" * WIDTH,
        _line("F1 of intervals", _figure(figures["f1"])),
        _line("mean IoU", _figure(figures["mean_iou"])),
        _line("same emotion", equal),
        _line("Cohen's kappa of emotion", _figure(emotion["kappa"])),
        "-" * WIDTH,
        f"{'second minus first':<{LABEL}}" + "".join(f"{cell:>13}" for cell in ("mean", "median |d|") * 2),
    ]
    for edge in EDGES:
        found = figures[edge]
        frames = [_figure(found[key], "+.2f" if key == "mean" else ".1f") for key in ("mean", "median_absolute")]
        seconds = [_figure(found[key], "+.4f" if key == "mean_s" else ".4f") for key in ("mean_s", "median_absolute_s")]
        cells = [f"{value} frames" if value != "-" else value for value in frames]
        cells += [f"{value} s" if value != "-" else value for value in seconds]
        lines.append(f"{edge:<{LABEL}}" + "".join(f"{cell:>13}" for cell in cells))
    lines.append("-" * WIDTH)
    legend = (
        "Intervals match one to one from an IoU of .5 on; IoU, emotions and differences are of the matched ones. "
        "Kappa: 1 is full agreement, 0 is what chance gives. median |d|: median of the absolute differences."
    )
    lines += textwrap.wrap(legend, WIDTH, initial_indent="  ", subsequent_indent="  ")
    for note in figures["notes"]:
        lines += textwrap.wrap(note, WIDTH, initial_indent="  * ", subsequent_indent="    ")
    return "\n".join(lines)


def _line(label: str, text: str) -> str:
    return f"{label:<{LABEL}}{text}"


def _figure(value: float | None, form: str = ".4f") -> str:
    return "-" if value is None else f"{value:{form}}"
