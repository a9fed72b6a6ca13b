"""What became of the videos of a command: the tables and the index of all of them, and the lines on the screen."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from Utils.errors import InputError, reason_of
from Utils.evaluation.tables import OWN_PREDICTION_COLUMNS, megc_table
from Utils.own_video.footage import GREEN, Finding
from Utils.records import natural_key
from Utils.report.pages import write_index
from Utils.work.cache import atomic_file

TABLES = ("predictions.csv", "megc.csv")  # of all videos of a command
INDEX = "index.html"
COLLECTION = (*TABLES, INDEX)
NO_FACE = "no face was found"
NOT_SCORED = "no face is there long enough to be scored"
FRAMES = ("onset", "apex", "offset", "face")  # whole numbers of the tables of all videos
NUMBERS = ("onset_s", "offset_s", "score", "confidence")  # numbers there; the last two may be missing
COLLECTED = (*FRAMES, *NUMBERS, "emotion")


@dataclass(frozen=True)
class VideoOutcome:
    """What became of a video. If there is a problem, the fields below it have no values."""

    name: str
    subject: str  # name of the folder that contains the video
    folder: Path  # where the results are
    problem: str = ""  # why the video could not be analysed; "" if it was
    n_expressions: int = 0
    n_frames: int = 0
    n_faces: int = 0  # faces that were followed
    seconds: float = 0.0  # length of the video
    seconds_scored: float = 0.0  # with a face for long enough
    set_aside: Mapping[str, int] = field(default_factory=dict)  # kind -> number of candidates that are not reported
    took: float = 0.0  # seconds that the analysis took, without the loading of the networks
    kept: bool = False  # whether the results were there already
    scores_reused: bool = False  # whether the results were made from scores of an earlier command
    remarks: tuple[str, ...] = ()
    footage: tuple[Finding, ...] = ()


def read_expressions(path: Path) -> pd.DataFrame:
    """The columns `COLLECTED` of an `expressions.csv`: `FRAMES` as int64, `NUMBERS` as float64, emotion as str.

    Raises InputError if the file cannot be read as such a table, because a user may have edited it.
    """
    try:
        table = pd.read_csv(path, keep_default_na=False, dtype=str)[list(COLLECTED)]
        numbers = table[list(NUMBERS)].replace("", "nan").astype(float)
        return table.assign(**numbers, **table[list(FRAMES)].astype(float).astype("int64"))
    except (ValueError, KeyError, OSError) as error:
        raise InputError(
            f"{path}: is not a table of expressions any more ({reason_of(error)}); remove its folder"
        ) from None


def write_collection(outcomes: Sequence[VideoOutcome], caution: str, output_dir: Path) -> None:
    """Write `predictions.csv` and `megc.csv` of all videos, in natural order of their names, and `index.html`.

    `caution` is that of the weights: the index begins with it, if it is not "". Raises InputError if the table of a
    video cannot be read.
    """
    parts, rows = [], []
    for outcome in sorted(outcomes, key=lambda outcome: natural_key(outcome.name)):
        if not outcome.problem:
            table = read_expressions(outcome.folder / "expressions.csv")
            parts += [table.assign(subject=outcome.subject, video=outcome.name)] if len(table) else []
        rows.append(_index_row(outcome))
    columns = list(OWN_PREDICTION_COLUMNS)
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
    last_frames = {(o.subject, o.name): o.n_frames - 1 for o in outcomes}
    megc = megc_table(table, last_frames)
    for name, content in zip(TABLES, (table.reindex(columns=columns), megc), strict=True):
        with atomic_file(output_dir / name) as scratch:
            content.to_csv(scratch, index=False)
    warnings = [caution] if caution else []
    write_index(output_dir / INDEX, "MEAN: videos", rows, warnings=warnings)


def _index_row(outcome: VideoOutcome) -> dict:
    """A row of the index, as `write_index` takes it."""
    if outcome.problem:
        return dict(video=outcome.name, problem=outcome.problem)
    minutes = outcome.seconds_scored / 60
    return dict(
        video=outcome.name,
        report=f"{outcome.folder.name}/report.html",
        faces=outcome.n_faces,
        expressions=outcome.n_expressions if outcome.n_faces else None,
        per_minute=outcome.n_expressions / minutes if minutes else None,
        set_aside=", ".join(_counted(kind, n, minutes) for kind, n in outcome.set_aside.items()),
        scored=outcome.seconds_scored,
        seconds=outcome.seconds,
        status=_nothing_scored(outcome) or "done",
        remarks=[*(f"footage, {finding}" for finding in outcome.footage if finding.level != GREEN), *outcome.remarks],
    )


def _counted(kind: str, n: int, minutes: float) -> str:
    """How many candidates of a kind there are, and how many in each minute that was scored."""
    return f"{kind} {n} ({n / minutes:.1f} a minute)" if minutes else f"{kind} {n}"


def _nothing_scored(outcome: VideoOutcome) -> str:
    """Why nothing of a video was scored; "" if some of it was. Such a video has no expressions, but not "0"."""
    if not outcome.n_faces:
        return NO_FACE
    return "" if outcome.seconds_scored else NOT_SCORED


def speed(seconds: float, took: float) -> str:
    """How fast a video of so many seconds was analysed, in words."""
    if took <= 0:
        return "at once"
    if seconds >= took:
        return f"{seconds / took:.1f}x faster than real time"
    return f"{took / max(seconds, 0.1):.1f}x slower than real time"


def _how(outcome: VideoOutcome) -> str:
    """How the results of a video came about, in words."""
    if outcome.kept:
        return "already done, kept"
    took = speed(outcome.seconds, outcome.took)
    return f"scores kept from an earlier run, {took}" if outcome.scores_reused else took


def print_outcomes(outcomes: Sequence[VideoOutcome]) -> None:
    """Print a line for each video, with its remarks below it. Problems come last, on the error stream."""
    for outcome in outcomes:
        if outcome.problem:
            continue
        found = _nothing_scored(outcome) or f"{outcome.n_expressions} expression(s)"
        where = outcome.folder / "report.html"
        print(f"  {outcome.name}: {found} in {outcome.seconds:.1f} s of video, {_how(outcome)}; {where}")
        for finding in outcome.footage:
            if finding.level != GREEN:
                print(f"    - footage, {finding}")
        for remark in outcome.remarks:
            print(f"    - {remark}")
    for outcome in outcomes:
        if outcome.problem:
            print(f"main.py: {outcome.problem}", file=sys.stderr)
