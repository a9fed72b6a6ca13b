"""The table of `python -m tests.benchmarks`: what it shows, and its exit code. Nothing is timed here."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

from tests.benchmarks import __main__ as benchmarks
from tests.benchmarks.rows import networks, side
from tests.benchmarks.rows.networks import FoldTimes
from tests.benchmarks.table import ALL_MET, MISSED, NotMeasured, Row, exit_code, number, ratio_row, table
from tests.benchmarks.timing import QUICK, Sizes

FAST = ratio_row("fast", 30.0, 1.5, goal=15)
SLOW = ratio_row("slow", 0.2, 0.1, goal=15, remark="on one thread")
SMALL = Row("small", 0.9, 1.1, "ns", at_most=True)
LARGE = Row("large", 1.2, 1.1, "ns", at_most=True)
UNKNOWN = Row("unknown", None, 5, remark="there is no git")
FREE = Row("free", 3.0, None, "%")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_table():
    lines = table([FAST, SLOW, SMALL, LARGE, UNKNOWN, FREE]).splitlines()
    assert len({len(line) for line in lines[:8]}) == 1  # columns are aligned
    assert [cells(line) for line in lines[:1] + lines[2:8]] == [
        ["", "other side", "here", "figure", "goal", "met"],
        ["fast", "30 s", "1.5 s", "20 times", "at least 15 times", "yes"],
        ["slow", "200 ms", "100 ms", "2 times", "at least 15 times", "NO"],
        ["small", "", "", "0.9 ns", "at most 1.1 ns", "yes"],
        ["large", "", "", "1.2 ns", "at most 1.1 ns", "NO"],
        ["unknown", "", "", "not measured", "at least 5 times", "-"],
        ["free", "", "", "3 %", "-", "-"],
    ]
    assert lines[8:] == ["- slow: on one thread", "- unknown: there is no git"]


def test_figures_have_three_digits():
    assert [number(x) for x in (1234.5, 347.2, 24.46, 0.09312, 3.14e-7)] == [
        "1,234",
        "347",
        "24.5",
        "0.0931",
        "3.14e-07",
    ]


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([], ALL_MET),
        ([FAST, SMALL, FREE], ALL_MET),
        ([UNKNOWN], ALL_MET),
        ([FAST, SLOW], MISSED),
        ([LARGE, SMALL], MISSED),
        ([UNKNOWN, LARGE], MISSED),
    ],
)
def test_exit_code(rows, code):
    assert (ALL_MET, MISSED) == (0, 1)
    assert exit_code(rows) == code
    assert exit_code(rows, judged=False) == ALL_MET


def test_what_is_exactly_at_its_goal_is_met():
    assert Row("", 15, 15).met and Row("", 1.1, 1.1, at_most=True).met


def test_what_is_not_measured_is_neither_met_nor_missed():
    assert UNKNOWN.met is None and FREE.met is None
    assert "yes" not in table([UNKNOWN]) and "NO" not in table([UNKNOWN])


def test_a_quick_run_does_not_judge():
    shown = table([FAST, SLOW, UNKNOWN], judged=False)
    assert shown.count("not judged") == 2 and "NO" not in shown and "yes" not in shown


# The command, with rows that are there already


@pytest.fixture
def fixed_rows(monkeypatch):
    monkeypatch.setattr(benchmarks, "Demo", lambda data_root, sizes: sizes)
    monkeypatch.setattr(benchmarks, "ROWS", {"good": lambda sizes: [FAST, UNKNOWN], "bad": lambda sizes: [SLOW]})
    monkeypatch.setattr(benchmarks.parts, "notes", lambda sizes: [f"rounds: {sizes.rounds}"])


def test_the_command_fails_below_a_goal(fixed_rows, capsys):
    assert benchmarks.main(["--only", "good"]) == ALL_MET
    assert benchmarks.main([]) == MISSED
    said = capsys.readouterr().out
    assert "numba" in said and "| slow " in said and "rounds: 3" in said  # versions, table, notes


def test_the_command_says_that_it_is_quick(fixed_rows, capsys):
    assert benchmarks.main(["--quick"]) == ALL_MET
    assert "A quick run" in capsys.readouterr().out


def test_sizes_of_the_command(fixed_rows, capsys):
    benchmarks.main(["--quick", "--rounds", "5", "--only", "parts"])
    assert "rounds: 5" in capsys.readouterr().out


def test_unknown_rows_are_refused(capsys):
    with pytest.raises(SystemExit) as stop:
        benchmarks.main(["--only", "nothing"])
    assert stop.value.code == 2 and "training" in capsys.readouterr().err


# The earlier commit


def test_without_the_earlier_commit_its_rows_are_not_measured(monkeypatch):
    published, earlier = networks.training_rows(FoldTimes(8.0, 1.0, None, "no such commit"), Sizes())
    assert published.met and earlier.figure is None and earlier.remark == "no such commit"

    def fails(*_):
        raise NotMeasured("no such commit")

    monkeypatch.setattr(networks, "prediction_times", fails)
    rows = networks.prediction_rows(np.zeros((1, 42, 42, 3)), QUICK)
    assert [row.figure for row in rows] == [None, None] and exit_code(rows) == ALL_MET


def test_a_checkout_without_the_commit(tmp_path, monkeypatch):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    monkeypatch.setattr(side, "PROJECT", tmp_path)
    with pytest.raises(NotMeasured, match=side.EARLIER), side.earlier_side():
        pass


def test_a_side_that_ends_says_why():
    with pytest.raises(side.SideFailed, match="KeyError: 'none'"), side.Side("none") as none:
        none.ask("train", 10, 1)


def test_extrapolated_times_are_called_so():
    rows = networks.training_rows(FoldTimes(8.0, 1.0, 3.0), QUICK)
    assert all("extrapolated" in row.remark for row in rows)
    assert not any(row.remark for row in networks.training_rows(FoldTimes(8.0, 1.0, 3.0), Sizes()))

    class Linear:
        def ask(self, name: str, n: int, epochs: int) -> float:
            return 2 + 0.5 * epochs

    assert networks.whole_fold(Linear(), QUICK) == networks.whole_fold(Linear(), Sizes()) == 7
