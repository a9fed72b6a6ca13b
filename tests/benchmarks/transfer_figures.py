"""The figures of a spotting method on clips with drawn-in movements and on films of photographs.

A prediction is right if it is matched to a micro-expression as in `Utils.evaluation.metrics` (IoU of at least 0.5, one
to one). Everything else that is reported as a micro-expression is a false alarm, also what the people in the clips do
by themselves: nobody has annotated that. A false alarm lies on a macro-expression if it shares a frame with one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from tests.benchmarks.drawn import STILLS
from Utils.evaluation.counts import precision_recall_f1
from Utils.evaluation.metrics import interval_iou, match_intervals, ranked_ap
from Utils.evaluation.tables import Interval, VideoIntervals, bounds

RESAMPLES, INTERVAL = 1000, 0.95
FIGURES = (
    "tp", "fp", "fn", "precision", "recall", "f1", "ap", "emotions", "iou", "on_macro", "macro_hit",
    *STILLS,
)  # fmt: skip


@dataclass(frozen=True)
class Analysed:
    """One clip: what is true in it, and what a method has reported."""

    name: str
    source: str  # the clip that it was made from
    kind: str  # "drawn", or one of STILLS
    fps: float
    seconds: float
    predicted: Sequence[Interval]
    micro: Sequence[Interval]
    macro: Sequence[Interval]
    matches: list[tuple[int, int]] = field(init=False)  # indices of `predicted` and `micro`

    def __post_init__(self) -> None:
        object.__setattr__(self, "matches", match_intervals(bounds(self.predicted), bounds(self.micro)))

    def false_on_macro(self) -> np.ndarray:
        """Whether each false alarm shares a frame with each macro-expression, (false alarms, macro-expressions)."""
        right = {i for i, _ in self.matches}
        false = [p for i, p in enumerate(self.predicted) if i not in right]
        return interval_iou(bounds(false), bounds(self.macro)) > 0


def intervals_of(table: pd.DataFrame) -> list[Interval]:
    """The rows of a table with the columns onset, apex, offset, emotion and perhaps score, in order of time."""
    table = table.sort_values(["onset", "offset"], kind="stable")
    scores = table["score"] if "score" in table.columns else [float("nan")] * len(table)
    emotions = [emotion if isinstance(emotion, str) and emotion else None for emotion in table["emotion"]]
    rows = zip(table["onset"], table["offset"], table["apex"], scores, emotions, strict=True)
    return [Interval(i, int(a), int(b), float(apex), float(s), e) for i, (a, b, apex, s, e) in enumerate(rows)]


def figures(clips: Sequence[Analysed]) -> dict[str, float | None]:
    """All `FIGURES` of a method. None where there is nothing to compute it from."""
    drawn = [clip for clip in clips if clip.kind not in STILLS]
    tp = sum(len(clip.matches) for clip in drawn)
    fp = sum(len(clip.predicted) for clip in drawn) - tp
    fn = sum(len(clip.micro) for clip in drawn) - tp
    precision, recall, f1 = precision_recall_f1(tp, fp, fn)
    videos = [VideoIntervals(clip.source, clip.name, list(clip.predicted), list(clip.micro)) for clip in drawn]
    pairs = [(clip.predicted[i], clip.micro[j]) for clip in drawn for i, j in clip.matches]
    named = [p.emotion == truth.emotion for p, truth in pairs if p.emotion is not None]
    on_macro = [clip.false_on_macro() for clip in drawn]
    hit = [hits for of_clip in on_macro for hits in of_clip.any(axis=0).tolist()]
    found = dict(tp=tp, fp=fp, fn=fn, precision=precision, recall=recall, f1=f1)
    found |= dict(
        ap=ranked_ap(videos, [clip.matches for clip in drawn]),
        emotions=_mean(named),
        iou=_mean([interval_iou(bounds([p]), bounds([truth]))[0, 0] for p, truth in pairs]),
        on_macro=int(sum(of_clip.any(axis=1).sum() for of_clip in on_macro)),
        macro_hit=_mean(hit),
    )
    for kind in STILLS:
        films = [clip for clip in clips if clip.kind == kind]
        minutes = sum(clip.seconds for clip in films) / 60
        found[kind] = sum(len(clip.predicted) for clip in films) / minutes if minutes else None
    return found


def _mean(values: Sequence) -> float | None:
    return float(np.mean(values)) if len(values) else None


def bootstrap(
    clips: Sequence[Analysed],
    seed: int,
    resamples: int = RESAMPLES,
    figures_of: Callable[[Sequence[Analysed]], dict] = figures,
) -> dict[str, tuple[float, float] | None]:
    """The 95 % interval of each figure, from drawing source clips with replacement. None where it is never computed.

    All that was made from one source clip stays together, because it shows one person.
    """
    sources = sorted({clip.source for clip in clips})
    of_source = {source: [clip for clip in clips if clip.source == source] for source in sources}
    rng = np.random.default_rng(seed)
    drawn = [
        figures_of([clip for i in rng.integers(len(sources), size=len(sources)) for clip in of_source[sources[i]]])
        for _ in range(resamples)
    ]
    found: dict[str, tuple[float, float] | None] = {}
    for name in drawn[0]:
        values = [figure[name] for figure in drawn if figure[name] is not None]
        ends = np.quantile(values, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2]) if values else None
        found[name] = None if ends is None else (float(ends[0]), float(ends[1]))
    return found


def events(method: str, clips: Sequence[Analysed]) -> pd.DataFrame:
    """A row for each prediction ("found" or "false"), and for each micro-expression that was missed.

    `truth` is the kind of the drawn movement that the interval shares most with: micro, macro, or "".
    """
    rows = []
    for clip in clips:
        truths = [("micro", t) for t in clip.micro] + [("macro", t) for t in clip.macro]
        overlaps = interval_iou(bounds(clip.predicted), bounds([t for _, t in truths]))
        matched = dict(clip.matches)
        for i, prediction in enumerate(clip.predicted):
            best = int(overlaps[i].argmax()) if len(truths) else -1
            best = matched.get(i, best if best >= 0 and overlaps[i, best] > 0 else -1)
            kind, truth = truths[best] if best >= 0 else ("", None)
            result = "found" if i in matched else "false"
            rows.append(_row(method, clip, result, prediction, kind, truth, overlaps[i, best] if truth else 0.0))
        for j in set(range(len(clip.micro))) - set(matched.values()):
            best = overlaps[:, j].max(initial=0.0)
            rows.append(_row(method, clip, "missed", clip.micro[j], "micro", clip.micro[j], best))
    return pd.DataFrame(rows, columns=list(EVENT_COLUMNS))


EVENT_COLUMNS = (
    "method", "clip", "kind", "result", "onset", "apex", "offset", "onset_s", "offset_s", "score", "emotion",
    "truth", "truth_onset", "truth_offset", "truth_emotion", "iou",
)  # fmt: skip


def _row(method: str, clip: Analysed, result: str, event: Interval, kind: str, truth: Interval | None, iou) -> tuple:
    missed = result == "missed"
    return (
        method, clip.name, clip.kind, result, event.onset, event.apex, event.offset,
        round(event.onset / clip.fps, 3), round(event.offset / clip.fps, 3),
        None if missed else event.score, "" if missed else event.emotion or "",
        kind, truth and truth.onset, truth and truth.offset, truth.emotion if truth else "", round(float(iou), 3),
    )  # fmt: skip
