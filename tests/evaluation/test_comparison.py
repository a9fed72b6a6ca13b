"""Several methods side by side: their table, and the bootstrap over subjects."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from Utils.evaluation.bootstrap import interval
from Utils.evaluation.comparison import DRAWS, compare_methods, format_comparison, resampled_f1
from Utils.evaluation.counts import precision_recall_f1


def subject(name: str, tp: int, fp: int, fn: int) -> dict:
    return {"subject": name, "tp": tp, "fp": fp, "fn": fn}


def metrics(*subjects: dict, ap: float | None = None) -> dict:
    tp, fp, fn = (sum(row[key] for row in subjects) for key in ("tp", "fp", "fn"))
    precision, recall, f1 = precision_recall_f1(tp, fp, fn)
    spotting = dict(tp=tp, fp=fp, fn=fn, precision=precision, recall=recall, f1=f1, ap=ap)
    return {"spotting": spotting, "per_subject": list(subjects)}


def test_draws_of_two_subjects():
    """Subject a has F1 1, b has 0. Of two draws, a quarter are (a, a), a quarter (b, b), and half have both."""
    found = resampled_f1([[subject("a", 1, 0, 0), subject("b", 0, 1, 1)]])[0]
    assert found.shape == (DRAWS,) and set(np.round(found, 6)) == {0.0, 0.5, 1.0}
    shares = [(found == value).mean() for value in (0, 0.5, 1)]
    assert shares == pytest.approx([0.25, 0.5, 0.25], abs=0.02)
    assert interval(found) == (0.0, 1.0)


def test_equal_subjects_have_no_spread():
    table = [subject(name, 2, 1, 1) for name in "abcde"]
    assert interval(resampled_f1([table])[0]) == pytest.approx((2 / 3, 2 / 3))


def test_methods_are_drawn_together():
    """The second method finds one more in every subject: with the same draws, it is never worse."""
    first = [subject(name, i, 1, 5 - i) for i, name in enumerate("abcd")]
    second = [subject(name, i + 1, 1, 4 - i) for i, name in enumerate("abcd")]
    one, two = resampled_f1([first, second])
    assert (two > one).all() and interval(one)[1] > interval(two)[0]  # although the two intervals overlap
    table = compare_methods({"A": {"micro": metrics(*first)}, "B": {"micro": metrics(*second)}})
    b = table.iloc[1]
    assert b["difference"] == pytest.approx(b["f1"] - table.iloc[0]["f1"]) and b["difference_low"] > 0
    assert np.isnan(table.iloc[0]["difference"])


def test_a_subject_that_one_method_left_out_counts_as_nothing_there():
    one, two = resampled_f1([[subject("a", 1, 0, 0)], [subject("a", 1, 0, 0), subject("b", 0, 0, 1)]])
    assert np.isnan(one).any() and set(one[~np.isnan(one)]) == {1.0}
    assert set(np.round(two, 6)) == {0.0, round(2 / 3, 6), 1.0}


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=8))
def test_intervals_are_in_range_and_repeatable(counts):
    table = [subject(str(i), *row) for i, row in enumerate(counts)]
    found = resampled_f1([table])
    np.testing.assert_array_equal(found, resampled_f1([table]))
    low, high = interval(found[0])
    if any(tp + fn for tp, _, fn in counts):
        assert 0 <= low <= high <= 1
    else:
        assert np.isnan(low) and np.isnan(high)


def test_the_table_on_the_screen():
    figures = {
        "MEAN": {"micro": metrics(subject("a", 1, 0, 0), subject("b", 1, 0, 0), ap=0.25)},
        "flow": {"micro": metrics(subject("a", 0, 3, 1), subject("b", 0, 2, 1))},
    }
    lines = format_comparison(compare_methods(figures)).splitlines()
    assert lines[2] == "MEAN         micro       2     0    0  1.0000 [1.00, 1.00]   0.2500"
    assert lines[3] == "flow         micro       0     5    2  0.0000 [0.00, 0.00]   -       -1.0000 [-1.00, -1.00]"
    assert max(map(len, lines)) <= 92
