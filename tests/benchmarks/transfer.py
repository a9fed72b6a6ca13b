"""How well micro-expressions are spotted on real faces with drawn-in movements, and how often photographs fire.

    python -m tests.benchmarks.transfer DIR [--out FOLDER] [--variants 3] [--seconds 10] [--workers 2] [--seed 0]
                                        [--weights_dir DIR --dataset_name NAME [--half_length SECONDS]]

DIR has face clips of any people. Movements with known truth are drawn into their frames (drawn.py). One frame of each
clip becomes a film of a photograph: still, swaying 4 pixels, zooming 3 %, brightness changing by 12 %, all with noise.
All are written as H.264 files and analysed as the user's own videos, by the ordinary command. A clip without a face is
named and left out. Nothing is trained or chosen on these clips.

What the people in the clips do by themselves is not annotated, and counts as false alarms. Where a hand is before the
face, the movement is drawn on the hand, and can hardly be found. These are real faces with
drawn-in movements, not spontaneous micro-expressions of people.

With --out, the clips, truth.csv, figures.csv, events.csv and all reports are kept in that folder.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path

import pandas as pd

from tests.benchmarks.drawn import MACRO, MICRO, STILLS
from tests.benchmarks.drawn_clips import DRAWN, ClipJob, Piece, make_pieces
from tests.benchmarks.transfer_figures import Analysed, bootstrap, events, figures, intervals_of
from tests.benchmarks.untrained_curve import untrained_curve
from Utils.errors import InputError
from Utils.evaluation.tables import Interval
from Utils.own_video.paths import find_videos_to_run
from Utils.settings import PROJECT, Settings
from Utils.tvl1 import compile_kernel
from Utils.work.parallel import run_units

Method = Callable[[Path], pd.DataFrame]
FEW_SOURCES = 5  # with fewer clips, an interval over clips says little
CHOICE = "spotting"  # the flag that chooses the rule; without it, the paper's rule is the only one
TRUTH_COLUMNS = (
    "clip", "source", "kind", "onset", "apex", "offset", "onset_s", "offset_s", "emotion", "pixels", "parts",
)  # fmt: skip


def by_command(path: Path, flags: Sequence[str], folder: Path) -> pd.DataFrame:
    """What the ordinary command with these flags reports as micro-expressions. Raises RuntimeError if it fails."""
    import main

    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = main.main(["--video", str(path), "--output_dir", str(folder), "--workers", "1", *flags])
    if code:
        raise RuntimeError(f"{path.name}, {' '.join(flags)}: {said.getvalue().strip().splitlines()[-1]}")
    table = pd.read_csv(folder / path.stem / "expressions.csv", keep_default_na=False, na_values={"score": [""]})
    return table[table["kind"] == MICRO] if "kind" in table.columns else table


def methods(given: Sequence[str], folder: Path) -> dict[str, Method]:
    """The rows of the table: name -> method. `given` are the flags that name other weights; they may be empty."""
    has_choice = CHOICE in {f.name for f in fields(Settings)}
    paper = [f"--{CHOICE}", "paper"] if has_choice else []
    flags = {"paper's rule, DEMO weights": [*paper, "--dataset_name", "DEMO"]}
    if (PROJECT / "MEAN_Weights" / "SYNTH").is_dir():
        flags["paper's rule, SYNTH weights"] = [*paper, "--dataset_name", "SYNTH"]
    if given:
        flags["paper's rule, given weights"] = [*paper, *given]
    if has_choice:
        flags["new default"] = []
        if given:
            flags["new default, given weights"] = list(given)
    of_command = {
        name: partial(by_command, flags=f, folder=folder / re.sub(r"\W+", "_", name)) for name, f in flags.items()
    }
    return {**of_command, "untrained curve": untrained_curve}


def analyse(job: tuple[Method, Piece]) -> Analysed:
    """One file by one method. This is the unit of work."""
    method, piece = job
    predicted = intervals_of(method(piece.path))
    truth: dict[str, list[Interval]] = {MICRO: [], MACRO: []}
    for movement in piece.movements:
        onset, apex, offset = movement.frames(piece.fps)
        rows = truth[movement.kind]
        rows.append(Interval(len(rows), onset, offset, apex, float("nan"), movement.emotion))
    facts = (piece.name, piece.source, piece.kind, piece.fps, piece.seconds)
    return Analysed(*facts, predicted, truth[MICRO], truth[MACRO])


def truth_table(pieces: Sequence[Piece]) -> pd.DataFrame:
    """A row for each movement that was drawn."""
    rows = []
    for piece in pieces:
        for m in piece.movements:
            onset, apex, offset = m.frames(piece.fps)
            parts = "; ".join(f"{part} {left:.2f}/{right:.2f}" for part, (left, right) in m.weights.items())
            seconds = (round(frame / piece.fps, 3) for frame in (onset, offset))
            rows.append(
                (piece.name, piece.source, m.kind, onset, apex, offset, *seconds, m.emotion, round(m.pixels, 2), parts)
            )
    return pd.DataFrame(rows, columns=list(TRUTH_COLUMNS))


def format_table(found: dict[str, dict], intervals: dict[str, dict]) -> str:
    """A Markdown table with a row for each method."""

    def shown(method: str, name: str, digits: int) -> str:
        value, ends = found[method][name], intervals[method][name]
        if value is None or ends is None:
            return "-"
        return f"{value:.{digits}f} [{ends[0]:.{digits}f}, {ends[1]:.{digits}f}]"

    columns = {
        "F1": ("f1", 2), "precision": ("precision", 2), "recall": ("recall", 2), "TP": ("tp", 0), "FP": ("fp", 0),
        "FN": ("fn", 0), "AP@[.5:.95]": ("ap", 2), "emotions right": ("emotions", 2), "IoU of matches": ("iou", 2),
        "FP on macro": ("on_macro", 0), "share of macros hit": ("macro_hit", 2), **{k: (k, 1) for k in STILLS},
    }  # fmt: skip
    lines = ["| method | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for method in found:
        cells = (shown(method, name, digits) for name, digits in columns.values())
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def figures_table(found: dict[str, dict], intervals: dict[str, dict]) -> pd.DataFrame:
    """A row for each method and figure."""
    rows = [
        (method, name, value, *(intervals[method][name] or (None, None)))
        for method, of_method in found.items()
        for name, value in of_method.items()
    ]
    return pd.DataFrame(rows, columns=["method", "figure", "value", "low", "high"])


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.benchmarks.transfer", description=__doc__.split("\n")[0])
    parser.add_argument("clips", type=Path, metavar="DIR", help="folder of face clips")
    parser.add_argument("--weights_dir", type=Path, metavar="DIR", help="further weights, as for main.py")
    parser.add_argument("--dataset_name", default="DEMO", metavar="NAME", help="those of --weights_dir")
    parser.add_argument("--half_length", metavar="SECONDS", help="k' of --weights_dir, if they come without it")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="keep clips, tables and reports there")
    parser.add_argument("--seconds", type=float, default=10, metavar="N", help="about how long a piece of a clip is")
    parser.add_argument("--variants", type=int, default=3, metavar="N", help="sets of movements for each clip")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="files that are analysed at the same time")
    return parser.parse_args(argv)


def measure(flags: argparse.Namespace, folder: Path) -> None:
    """Make the clips, analyse them, print the table, and write everything into a folder."""
    try:
        sources = find_videos_to_run([flags.clips])
    except InputError as error:
        raise SystemExit(str(error)) from None
    clips_folder = folder / "clips"
    clips_folder.mkdir(parents=True, exist_ok=True)
    jobs = [ClipJob(source, clips_folder, flags.seconds, flags.variants, flags.seed) for source in sources]
    made = run_units(make_pieces, jobs, flags.workers, "drawing", "clip")
    for _, problem in made:
        if problem:
            print(f"  {problem}")
    pieces = [piece for of_clip, _ in made for piece in of_clip]
    if not pieces:
        raise SystemExit(f"{flags.clips}: no clip with a face")
    truth_table(pieces).to_csv(folder / "truth.csv", index=False)
    compile_kernel()
    given = ["--weights_dir", str(flags.weights_dir), "--dataset_name", flags.dataset_name]
    given += ["--half_length", flags.half_length] if flags.half_length else []
    rows = methods(given if flags.weights_dir else [], folder / "results")
    done = run_units(
        analyse, [(method, piece) for method in rows.values() for piece in pieces], flags.workers, "analysing", "file"
    )
    analysed = {name: done[i * len(pieces) : (i + 1) * len(pieces)] for i, name in enumerate(rows)}
    found = {name: figures(clips) for name, clips in analysed.items()}
    intervals = {name: bootstrap(clips, flags.seed) for name, clips in analysed.items()}
    figures_table(found, intervals).to_csv(folder / "figures.csv", index=False)
    pd.concat([events(name, clips) for name, clips in analysed.items()]).to_csv(folder / "events.csv", index=False)
    print(describe(pieces, flags))
    print(format_table(found, intervals))
    if "new default" not in rows:
        print("The new default is not there yet: this version has the paper's rule only.")


def describe(pieces: Sequence[Piece], flags: argparse.Namespace) -> str:
    """What was measured, in words."""
    drawn = [piece for piece in pieces if piece.kind == DRAWN]
    movements = [movement for piece in drawn for movement in piece.movements]
    n = {kind: sum(m.kind == kind for m in movements) for kind in (MICRO, MACRO)}
    n_sources = len({piece.source for piece in pieces})
    few = " They are few, so the intervals say little." if n_sources < FEW_SOURCES else ""
    return (
        f"Real faces with drawn-in movements, not spontaneous micro-expressions: {n_sources} clips of people, "
        f"{flags.variants} variant(s), {len(drawn)} pieces of {sum(p.seconds for p in drawn) / 60:.1f} min in all, "
        f"{n[MICRO]} micro-expressions (0.2-0.5 s, 0.8-3 pixels of the 128-pixel crop at the apex) and {n[MACRO]} "
        f"macro-expressions (0.5-4 s, 3-8 pixels); seed {flags.seed}.\n"
        f"In brackets: 95 % bootstrap intervals over the {n_sources} clips.{few} The last four columns are false "
        "alarms a minute on films of photographs."
    )


def main(argv: Sequence[str] | None = None) -> None:
    flags = parse(argv)
    from tests.benchmarks.__main__ import machine

    print(machine())
    if flags.out:
        measure(flags, flags.out)
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(flags, Path(folder))


if __name__ == "__main__":
    main()
