"""Measures how fast the project is, and compares it with its goals and with other ways of doing the same.

    python -m tests.benchmarks                           # everything, three rounds
    python -m tests.benchmarks --only crop flow          # some rows
    python -m tests.benchmarks --quick                   # small sizes, to see that it runs; goals are not judged

Prints one table with goals, machine and versions. The exit code is 1 if a figure misses its goal. What cannot be
measured here is shown as "not measured"; it is neither met nor missed.

Needs a quiet machine and about half an hour. Both sides of a comparison take turns, and the median counts. Both compute
on one thread, except in rows that name another number. A ratio is the time of the other side, divided by ours.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.benchmarks.machine import load, machine
from tests.benchmarks.rows import checksums, demo, flow, memory, networks, parts, startup
from tests.benchmarks.rows.demo import Demo
from tests.benchmarks.table import Row, exit_code, table
from tests.benchmarks.timing import EPOCHS, QUICK, Sizes

ROWS: dict[str, Callable[[Demo], list[Row]]] = {
    "crop": demo.crop_rows,
    "features": demo.feature_rows,
    "flow": lambda bench: flow.flow_rows(bench.sizes),
    "training": lambda bench: networks.training_rows(bench.fold, bench.sizes),
    "prediction": lambda bench: networks.prediction_rows(bench.whole_video, bench.sizes),
    "end_to_end": demo.end_to_end_rows,
    "memory": lambda bench: memory.memory_rows(bench.sizes),
    "startup": lambda bench: startup.startup_rows(bench.sizes),
    "checksums": checksums.checksum_rows,
}
PARTS = "parts"  # no rows, only notes


def arguments_of(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tests.benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=(*ROWS, PARTS), metavar="NAME", help=f"{', '.join(ROWS)}, {PARTS}")
    parser.add_argument("--rounds", type=int, metavar="N", help="how often each side takes its turn (default: 3)")
    parser.add_argument(
        "--epochs", type=int, choices=range(2, EPOCHS + 1), metavar="N",
        help=f"epochs of the spotting network that are timed, 2 to {EPOCHS}, and ten times as many of the recognition "
        f"network (default: {EPOCHS}, all); with fewer, a fold's time is extrapolated, which the table says",
    )  # fmt: skip
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, one round; goals are not judged, exit code 0"
    )
    parser.add_argument("--data_root", type=Path, default=Path("data"), metavar="DIR", help="where DEMO is, or is made")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Measure, print the table, and return the exit code."""
    arguments = arguments_of(argv)
    given = {name: value for name in ("rounds", "epochs") if (value := getattr(arguments, name)) is not None}
    sizes = replace(QUICK if arguments.quick else Sizes(), **given)
    print(f"{machine()}\n{load()}\n", flush=True)
    bench, rows, notes = Demo(arguments.data_root, sizes), [], []
    for name in arguments.only or (*ROWS, PARTS):
        start = time.perf_counter()
        print(f"{name} ...", end=" ", flush=True)
        if name == PARTS:
            notes += parts.notes(bench)
        else:
            rows += ROWS[name](bench)
        print(f"{time.perf_counter() - start:.0f} s", flush=True)
    if arguments.quick:
        print("\nA quick run, with small sizes: the figures are not those of the project, and goals are not judged.")
    print("", table(rows, judged=not arguments.quick) if rows else "", *notes, "", load(), sep="\n")
    return exit_code(rows, judged=not arguments.quick)


if __name__ == "__main__":
    sys.exit(main())
