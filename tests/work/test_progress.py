"""How far long work is: lines in a file, a bar on a terminal."""

from __future__ import annotations

import io
import itertools
import re

import pytest

from Utils.work import progress as module
from Utils.work.progress import progress


@pytest.fixture
def slow(monkeypatch):
    """Every look at the clock is a second later."""
    clock = itertools.count()
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(clock)))


def test_a_file_gets_a_line_after_each_tenth(slow, capsys):
    assert list(progress(range(40), total=40, title="scores", unit="frame")) == list(range(40))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10 and "\r" not in "".join(lines)
    assert lines[0] == "  scores:  10% | 4 of 40 frames | 4 s"
    assert lines[-1] == "  scores: 100% | 40 of 40 frames | 40 s"


def test_few_units_get_a_line_each(slow, capsys):
    with progress(total=3, title="training", unit="fold") as bar:
        for _ in range(3):
            bar.update()
        bar.write("  a remark")
    said = capsys.readouterr()
    assert re.findall(r"\d+%", said.err) == ["30%", "60%", "100%"] and said.out == "  a remark\n"


def test_more_units_than_were_expected_end_at_100(slow, capsys):
    list(progress(range(25), total=20, title="faces", unit="frame"))
    assert capsys.readouterr().err.splitlines()[-1] == "  faces: 100% | 20 of 20 frames | 20 s"


def test_quick_work_and_what_is_not_to_be_shown_say_nothing(capsys):
    list(progress(range(40), total=40, title="scores", unit="frame"))
    list(progress(range(40), total=40, title="scores", unit="frame", shown=False))
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar(monkeypatch):
    screen = io.StringIO()
    screen.isatty = lambda: True
    monkeypatch.setattr(module.sys, "stderr", screen)
    monkeypatch.setattr(module, "SHOWN_AFTER", 0)
    list(progress(range(5), total=5, title="scores", unit="frame"))
    assert "\r" in screen.getvalue() and "scores: 100%" in screen.getvalue() and "5/5" in screen.getvalue()
