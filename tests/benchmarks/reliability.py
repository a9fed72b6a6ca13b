"""Figures of docs/model_card.md: draws the reliability diagram, and prints the tables of the clips to check with.

    python -m tests.benchmarks.reliability [--clips 300]        # writes docs/images/reliability.png

The figures are those of `MEAN_Weights/SYNTH/figures.json`, which `python -m Utils.synth_run` writes. The numbers of
rendered events are counted in the plans of the clips.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from Utils.datasets.table import SYNTH
from Utils.report.colours import GREY, PALETTE
from Utils.report.figures import new_figure
from Utils.settings import PROJECT
from Utils.synth_run.__main__ import SEED
from Utils.synth_run.clips import clip_numbers
from Utils.synthetic.synth import synth_clip
from Utils.work.cache import read_json

FIGURES = PROJECT / "MEAN_Weights" / SYNTH.name / "figures.json"
PICTURE = PROJECT / "docs" / "images" / "reliability.png"
LOOKS = ("rendered faces", "clips", "found", "false alarms", "false alarms a minute")


def draw(rows: Sequence[Sequence[float]], path: Path) -> None:
    """Draw rows of (mean p_micro, share that were micro-expressions, number of candidates)."""
    p, share, n = zip(*rows, strict=True)
    with new_figure(path, 4.6) as figure:
        figure.subplots_adjust(left=0.08, right=0.98, top=0.9, bottom=0.13, wspace=0.18)
        diagram, numbers = figure.subplots(1, 2)
        diagram.plot([0, 1], [0, 1], color=GREY, linestyle="--", label="as it should be")
        diagram.plot(p, share, color=PALETTE[0], marker="o", label="measured")
        diagram.set(xlabel="p_micro", ylabel="share that were micro-expressions", xlim=(0, 1), ylim=(0, 1))
        diagram.legend(loc="upper left", frameon=False)
        numbers.bar(p, n, width=0.06, color=PALETTE[0])
        numbers.set(xlabel="p_micro", ylabel="candidates", xlim=(0, 1), yscale="log")
        numbers.yaxis.set_major_formatter("{x:,.0f}")
        numbers.yaxis.set_minor_formatter("")
        figure.suptitle("Candidates of the clips to check with (SYNTH, rendered faces)")


def looks_table(rows: Sequence[dict]) -> str:
    """The rows of `by_looks` as a Markdown table."""
    lines = [f"| {' | '.join(LOOKS)} |", "|---" * len(LOOKS) + "|"]
    for row in rows:
        a_minute = f"{row['wrong'] / row['minutes']:.1f}" if row["minutes"] else "-"
        found = f"{row['found']} of {row['found'] + row['missed']}"
        lines.append(f"| {row['faces']} | {row['clips']} | {found} | {row['wrong']} | {a_minute} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.benchmarks.reliability", description=__doc__.split("\n")[0])
    parser.add_argument("--clips", type=int, default=300, metavar="N", help="as for Utils.synth_run (default: 300)")
    parser.add_argument("--photographs", type=int, default=100, metavar="N", help="as there (default: 100)")
    args = parser.parse_args()
    figures = read_json(FIGURES)
    if not isinstance(figures, dict):
        raise SystemExit(f"{FIGURES}: is missing; python -m Utils.synth_run writes it")
    draw(figures["verifier"]["reliability"], PICTURE)
    print(f"{PICTURE}\n\n{looks_table(figures['by_looks'])}\n")
    plans = [
        synth_clip(n, SEED, figures["seconds"])
        for n in clip_numbers(args.clips, args.photographs, SEED, figures["seconds"])
    ]
    for what in (Counter(e.kind for plan in plans for e in plan.events), Counter(plan.scenario for plan in plans)):
        print(", ".join(f"{name} {count:,}" for name, count in what.most_common()))


if __name__ == "__main__":
    main()
