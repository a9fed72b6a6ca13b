"""Two tables against one ground truth: the paired difference, its p, and the words; and --against as a command."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import main
from tests.support.eaf_files import written
from Utils.evaluation.bootstrap import draw_subjects, expanded_interval, interval, two_sided_p
from Utils.evaluation.difference import WIDTH, Difference, differences, format_differences, in_words
from Utils.evaluation.evaluate import compare
from Utils.evaluation.intervals import count_figures
from Utils.evaluation.kinds import together
from Utils.evaluation.reviews import same_kinds, three_under_same_keys

CLASSES = ("joy", "fear")
COLUMNS = ["subject", "video", "onset", "offset", "emotion"]


def tables(n_subjects: int, found: tuple[int, ...]) -> list[pd.DataFrame]:
    """Ten annotations of each subject, and for each of `found` a table that finds so many of them, with scores."""
    subjects = [f"s{i}" for i in range(n_subjects)]
    rows = [(s, "v", 100 * i, 100 * i + 9, CLASSES[i % 2]) for s in subjects for i in range(10)]
    truth = pd.DataFrame(rows, columns=COLUMNS)
    parts = [pd.DataFrame([r for r in rows if r[2] < 100 * n], columns=COLUMNS).assign(score=0.5) for n in found]
    return [*parts, truth]


def evaluations(n_subjects: int, found: tuple[int, ...]):
    *parts, truth = tables(n_subjects, found)
    return [compare(part, truth, CLASSES) for part in parts]


# p and the interval, from differences that are known


def test_p_is_the_error_rate_of_the_interval():
    """Without the correction for few subjects, which 10,000 subjects do not need: 30 of 1,000 draws are below 0."""
    values = np.r_[-np.ones(30), np.ones(970)]
    assert two_sided_p(values, 10_000) == pytest.approx(2 * 31 / 1001, rel=1e-3)
    assert two_sided_p(-values, 10_000) == two_sided_p(values, 10_000)
    assert two_sided_p(np.zeros(1000), 10_000) == pytest.approx(1)
    assert two_sided_p(np.r_[values, np.nan], 10_000) == two_sided_p(values, 10_000)
    assert math.isnan(two_sided_p(np.full(5, np.nan), 9)) and math.isnan(expanded_interval(np.full(5, np.nan), 9)[0])


def test_p_of_eight_subjects():
    """49 of 2,000 draws are below 0, which would be p = 0.05 for very many subjects."""
    values = np.r_[-np.ones(49), np.ones(1951)]
    expected = 2 * stats.t.cdf(stats.norm.ppf(50 / 2001) / np.sqrt(8 / 7), 7)
    assert two_sided_p(values, 8) == pytest.approx(expected) == pytest.approx(0.109, abs=0.001)


@pytest.mark.parametrize("n", range(2, 8))
def test_p_of_subjects_that_all_agree(n):
    """It is never below that of a coin that falls n times on the same side, twice because either side would do."""
    assert two_sided_p(np.ones(2000), n) >= 2 * 0.5**n
    assert (two_sided_p(np.ones(2000), n) < 0.05) == (n >= 6)


def test_the_interval_is_wider_for_few_subjects():
    """Of normal values, it is that of Student's t, times the share of the variance that the bootstrap misses."""
    values = stats.norm.ppf(np.linspace(0.00005, 0.99995, 10_000))
    for n in (5, 8, 30):
        expected = stats.t.ppf(0.975, n - 1) * np.sqrt(n / (n - 1))
        assert expanded_interval(values, n) == pytest.approx((-expected, expected), rel=0.02)
    assert expanded_interval(values, 10_000) == pytest.approx(interval(values), rel=1e-3)


def test_p_and_interval_agree():
    rng = np.random.default_rng(0)
    for n in (6, 8, 14, 40):
        for shift in np.linspace(0, 4, 60):
            values = rng.normal(shift, 1, 2000)
            p, (low, high) = two_sided_p(values, n), expanded_interval(values, n)
            assert (p < 0.05) == (not low <= 0 <= high) or abs(p - 0.05) < 0.012


def test_equal_methods_are_seldom_called_different():
    """Two methods of one quality, on 8 subjects, 400 times: 5 % would be 20."""
    rng, draws, n_clear = np.random.default_rng(0), draw_subjects(8), 0
    for _ in range(400):
        annotated, rate, rate_of_false = rng.integers(1, 9, 8), rng.beta(2, 4, 8), rng.gamma(2, 4, 8)
        drawn = []
        for _ in range(2):
            tp = rng.binomial(annotated, rate)
            counts = np.stack([tp, rng.poisson(rate_of_false), annotated - tp], axis=1)
            drawn.append(count_figures(draws @ counts)["f1"])
        n_clear += two_sided_p(drawn[0] - drawn[1], 8) < 0.05
    assert 8 <= n_clear <= 34


# Differences of two evaluations


def test_by_hand():
    """Each subject has 8 of 10 found, and 4 of 10: in every draw F1 is 16/18 and 8/14."""
    f1, ap, strs = differences(*evaluations(12, (8, 4)))
    assert (f1.figure, ap.figure, strs.figure) == ("F1", "AP", "STRS") and f1.subjects == 12
    assert f1.value == pytest.approx(16 / 18 - 8 / 14)
    assert (f1.low, f1.high) == pytest.approx((f1.value, f1.value)) and f1.p < 0.01 and f1.is_clear
    assert ap.value == pytest.approx(0.8 - 0.4) and ap.is_clear
    assert strs.value == pytest.approx(f1.value) and strs.is_clear  # every emotion is right


def test_the_other_way_round_has_the_other_sign():
    *parts, truth = tables(9, (8, 4))
    some = pd.concat([parts[0][parts[0]["subject"] < "s6"], parts[1][parts[1]["subject"] >= "s4"]])
    one, other = compare(some, truth, CLASSES), compare(parts[1], truth, CLASSES)
    for a, b in zip(differences(one, other), differences(other, one), strict=True):
        assert (a.value, a.low, a.high) == pytest.approx((-b.value, -b.high, -b.low))
        assert a.p == pytest.approx(b.p) and a.is_clear == b.is_clear


def test_pairs_are_of_the_same_draws():
    """The subjects differ much, the tables always in the same direction: only paired draws can see it."""
    truth = tables(10, (1,))[-1]
    tables_of = [truth[truth["onset"] < 100 * (truth["subject"].str[1:].astype(int) * 0.8 + more)] for more in (1, 2)]
    worse, better = (compare(table, truth, CLASSES) for table in tables_of)
    (f1, *_) = differences(better, worse)
    low, high = (e.metrics["intervals"]["spotting"]["f1"] for e in (better, worse))
    assert f1.is_clear and low[0] < high[1]  # although the two intervals overlap


def test_a_subject_that_only_one_table_has():
    *parts, truth = tables(7, (8, 4))
    extra = pd.DataFrame([("s99", "v", 0, 9, "joy")] * 3, columns=COLUMNS).assign(score=0.9)
    more = compare(pd.concat([parts[0], extra]), truth, CLASSES)
    (f1, *_) = differences(more, compare(parts[0], truth, CLASSES))
    assert f1.subjects == 8 and f1.value < 0 and f1.high <= 0 and not f1.is_clear  # one subject of eight


def test_two_kinds():
    *parts, truth = tables(8, (8, 4))
    pairs = {kind: tuple(compare(p, truth, CLASSES) for p in parts) for kind in ("micro", "macro")}
    wholes = [together({kind: pair[i] for kind, pair in pairs.items()}, CLASSES) for i in (0, 1)]
    rows = differences(*wholes, pairs)
    assert [(row.kind, row.figure) for row in rows] == [
        ("", "F1"), ("", "STRS"), ("micro", "F1"), ("micro", "AP"), ("macro", "F1"), ("macro", "AP"),
    ]  # fmt: skip
    assert all(row.is_clear for row in rows)


# In words

ROW = Difference("", "F1", 0.5, 0.4, 0.02, 0.18, 0.01, 14, False)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "F1: a.csv finds expressions better than b.csv. This is more than chance would explain."),
        (dict(first=0.3, low=-0.2, high=-0.01), "F1: b.csv finds expressions better than a.csv."),
        (dict(low=-0.02), "apart. For people like these, a.csv may be better by up to 0.1800, or worse by up to"),
        (dict(low=-0.02, high=0.0, first=0.39), "a.csv may be equal, or worse by up to 0.0200."),
        (dict(p=0.25, subjects=3), "But 3 subjects can agree by chance, so the data cannot tell the two apart."),
        (dict(equal=True), "F1: both are equal, whichever subjects are drawn."),
        (dict(second=None), "F1: not defined for b.csv, so the two cannot be compared by it."),
        (dict(low=None, high=None, p=None), "F1: not defined for draws of subjects, so the data cannot tell"),
        (dict(kind="micro", figure="AP"), "micro AP: a.csv finds expressions better, over all thresholds"),
        (dict(figure="STRS"), "STRS: a.csv finds and recognises expressions better than b.csv."),
    ],
)  # fmt: skip
def test_in_words(changes, words):
    assert words in in_words(ROW._replace(**changes), ("a.csv", "b.csv"))


def test_the_table_on_the_screen():
    rows = [ROW, ROW._replace(figure="STRS", second=None, low=None, high=None, p=None)]
    lines = format_differences(rows, ("runs/one/p.csv", "runs/two/p.csv")).splitlines()
    assert max(map(len, lines)) <= WIDTH and lines[0].startswith("runs/one/p.csv (a) against runs/two/p.csv (b), 14")
    assert lines[3].split() == ["F1", "0.5000", "0.4000", "+0.1000", "+0.0200", "to", "+0.1800", "0.010"]
    assert lines[4].split() == ["STRS", "0.5000", "-", "-", "-", "-"]
    text = format_differences([ROW._replace(subjects=3)], ("runs/a.csv", "b.csv"))
    assert text.startswith("a.csv (a) against b.csv (b), 3") and "told from chance: it takes" in text
    assert "weak evidence" in format_differences([ROW._replace(subjects=8)], ("a", "b"))


# From the command line


def command(tmp_path, monkeypatch, capsys, *files, more=()) -> str:
    monkeypatch.chdir(tmp_path)
    for name, table in zip(("a.csv", "b.csv", "g.csv"), files, strict=True):
        table.to_csv(name, index=False)
    flags = ["--evaluate", "a.csv", "--against", "b.csv", "--ground_truth", "g.csv", *more]
    assert main.main(flags) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("more", [(), ("--protocol", "upstream"), ("--classes", "joy")])
def test_the_command(tmp_path, monkeypatch, capsys, more):
    said = command(tmp_path, monkeypatch, capsys, *tables(9, (8, 4)), more=more)
    assert max(map(len, said.splitlines())) <= 80
    assert said.index("\na.csv\nMetrics:") < said.index("\nb.csv\nMetrics:") < said.index("a.csv (a) against b.csv (b)")
    assert "F1: a.csv finds expressions better than b.csv. This is more than chance" in " ".join(said.split())
    assert command(tmp_path, monkeypatch, capsys, *tables(9, (8, 4)), more=more) == said


def test_one_table_says_what_it_said_alone(tmp_path, monkeypatch, capsys):
    said = command(tmp_path, monkeypatch, capsys, *tables(9, (8, 4)))
    assert main.main(["--evaluate", "b.csv", "--ground_truth", "g.csv"]) == 0
    alone = capsys.readouterr().out
    assert alone.split("\n", 1)[1] in said


def test_kinds_are_those_of_both(tmp_path, monkeypatch, capsys):
    a, b, truth = (table.assign(kind=["macro", "micro"] * (len(table) // 2)) for table in tables(8, (8, 4)))
    said = command(tmp_path, monkeypatch, capsys, a, b, truth)
    assert "\nmicro AP " in said and "\nmacro F1 " in said and "\nAP " not in said
    said = command(tmp_path, monkeypatch, capsys, a, b.drop(columns="kind"), truth)
    assert "macro-expressions are left out, because b.csv has none" in said and "macro F1" not in said
    assert said.count("row(s) of another kind than micro are left out") == 1  # of the ground truth


def test_same_kinds_of_a_table_without_one():
    a, _, truth = tables(2, (3, 1))
    first, second, remarks = same_kinds(
        {"macro": (a, truth)}, {"micro": (a, truth), "macro": (a[:1], truth)}, ("a", "b")
    )
    assert list(first) == list(second) == ["micro", "macro"] and not remarks
    assert len(first["micro"][0]) == 0 and first["micro"][1] is truth and len(second["macro"][0]) == 1


def own(*rows, subject=None) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["video", "face", "onset", "offset", "emotion"])
    return table if subject is None else table.assign(subject=subject)


def test_three_tables_under_the_same_keys():
    """Two tables of an own video without subjects; the ground truth names it. Faces are apart where all say them."""
    a, b = own(("talk", "0", 10, 20, "joy"), ("talk", "1", 30, 40, "joy")), own(("talk", "0", 10, 20, "joy"))
    truth = own(("talk", "0", 10, 20, "joy"), subject="anna")
    (one, two, three), remarks = three_under_same_keys(a, b, truth, ("a", "b", "g"))
    assert remarks == [] and set(one["subject"]) == set(two["subject"]) == {"anna"}
    assert one["video"].tolist() == ["talk, face 0", "talk, face 1"]
    assert two["video"].tolist() == three["video"].tolist() == ["talk, face 0"]
    (one, _, three), remarks = three_under_same_keys(a, b.drop(columns="face"), truth, ("a", "b", "g"))
    assert set(one["video"]) == {"talk"} == set(three["video"])
    assert remarks == ["faces are not kept apart, because b does not say the face of each row"]


def test_the_ground_truth_gets_its_subject_from_either_table():
    a, b = own(("talk", "0", 10, 20, "joy")), own(("talk", "0", 10, 20, "joy"), subject="anna")
    for first, second in ((a, b), (b, a), (a, a)):
        found, _ = three_under_same_keys(first, second, a, ("a", "b", "g"))
        (subject,) = {s for table in found for s in table["subject"]}
        assert subject == ("unknown" if first is second else "anna")


def test_elan_and_review_and_csv(tmp_path, monkeypatch, capsys):
    """Of one own video: predictions, a review as predictions, and an ELAN file as ground truth."""
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "g.eaf")
    (tmp_path / "a.csv").write_text("video,face,onset,offset,emotion\ntalk,0,10,20,negative\ntalk,0,50,60,positive\n")
    head = "subject,video,face,onset,offset,emotion,status,coder,reviewed_at\n"
    (tmp_path / "b.csv").write_text(
        f"{head},talk,0,10,20,negative,accepted,Ada,\n,talk,0,50,60,positive,rejected,Ada,\n"
    )
    assert main.main(["--evaluate", "a.csv", "--against", "b.csv", "--ground_truth", "g.eaf"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "a.csv (a) against b.csv (b), 1 subject -" in said and "F1 1.0000 0.6667 +0.3333" in said
    assert "* F1:" not in said and "With 1 subject, no difference can be told" in said
