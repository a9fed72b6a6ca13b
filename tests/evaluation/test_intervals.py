"""Intervals of all metrics: worked by hand, compared with scipy and with evaluations of copied tables, coverage."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.support.random_tables import CLASSES, HALF, random_tables
from Utils.evaluation.bootstrap import RESAMPLES, draw_subjects, interval
from Utils.evaluation.evaluate import compare, evaluate
from Utils.evaluation.intervals import count_figures, drawn_figures, intervals_of, spread_of_mean
from Utils.evaluation.kinds import pooled, spotting_only, together
from Utils.evaluation.metrics import compare_paper
from Utils.evaluation.sums import SubjectSums
from Utils.evaluation.text import WIDTH, format_interval, format_metrics
from Utils.evaluation.upstream import SHIFTED, compare_upstream

#   s1, video a      10--------19      40--------49      annotated negative, positive
#                    10--------19 (.9, negative)         a hit; the second is missed; 60--69 (.5) is false
#   s2, video b      10--------19      40--------49      annotated negative, surprise
#                    10--------19 (.7, positive)         a hit with a wrong emotion
#                                      40--------49 (.3, surprise)   a hit
PREDICTED = [
    ("s1", "a", 10, 15, 19, 0.9, "negative"),
    ("s1", "a", 60, 65, 69, 0.5, "negative"),
    ("s2", "b", 10, 12, 19, 0.7, "positive"),
    ("s2", "b", 40, 45, 49, 0.3, "surprise"),
]
ANNOTATED = [
    ("s1", "a", 10, 14, 19, "negative"),
    ("s1", "a", 40, 45, 49, "positive"),
    ("s2", "b", 10, 18, 19, "negative"),
    ("s2", "b", 40, 45, 49, "surprise"),
]
TABLES = (
    pd.DataFrame(PREDICTED, columns=["subject", "video", "onset", "apex", "offset", "score", "emotion"]),
    pd.DataFrame(ANNOTATED, columns=["subject", "video", "onset", "apex", "offset", "emotion"]),
)
ALL_DRAWS = np.array([(2, 0), (1, 1), (0, 2)])  # of two subjects: s1 twice, both, s2 twice


def points(metrics: dict) -> dict[str, float]:
    """Every figure that can have an interval, under one name."""
    found = {"strs": metrics["strs"]}
    for part in ("spotting", "analysis", "recognition"):
        found |= {f"{part} {name}": value for name, value in (metrics[part] or {}).items()}
    counts = ("tp", "fp", "fn", "evaluated", "correct", "classes")
    return {name: value for name, value in found.items() if name.split()[-1] not in counts}


def drawn(sums: SubjectSums, weights) -> dict[str, np.ndarray]:
    figures = drawn_figures(sums, np.atleast_2d(weights))
    found = {"strs": figures["strs"]} if "strs" in figures else {}
    for part in figures.keys() - {"strs"}:
        found |= {f"{part} {name}": values for name, values in figures[part].items()}
    return found


def test_all_draws_of_two_subjects_by_hand():
    found = drawn(compare(*TABLES, CLASSES).sums, ALL_DRAWS)
    expected = {
        "spotting precision": (1 / 2, 3 / 4, 1),
        "spotting recall": (1 / 2, 3 / 4, 1),
        "spotting f1": (1 / 2, 3 / 4, 1),
        # hits in order: s1 (1 of 1), s2, s1's false one, s2. Twice s1: 2 of 4 annotations, each at precision 1
        "spotting ap": (1 / 2, (1 + 1 + 3 / 4) / 4, 1),
        "spotting asr": (1, 1, 1),
        "spotting mae": (1, 3.5, 6),  # |15 - 14| and |12 - 18|
        "analysis accuracy": (1, 2 / 3, 1 / 2),
        # both: negative 1 of 2 found and 1 of 1 right, positive 0 of 0 and 0 of 1, surprise 1 of 1 and 1 of 1
        "analysis recall": (1, (1 / 2 + 0 + 1) / 3, 1 / 3),
        "analysis precision": (1, 2 / 3, 1 / 3),
        "analysis f1": (1, 2 * (1 / 2) * (2 / 3) / (1 / 2 + 2 / 3), 1 / 3),
        "analysis uf1": (1, (2 / 3 + 0 + 1) / 3, 1 / 3),
        "analysis uar": (1, 1 / 2, 1 / 3),
        "strs": (1 / 2, 3 / 4 * 4 / 7, 1 / 3),
    }
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name] == pytest.approx(values), name


def test_the_interval_of_two_subjects():
    """A quarter of all draws is s1 twice, and a quarter s2 twice: the interval has both ends."""
    intervals = evaluate(*TABLES, CLASSES)["intervals"]
    assert (intervals["subjects"], intervals["resamples"]) == (2, RESAMPLES)
    assert intervals["spotting"]["f1"] == [0.5, 1] and intervals["spotting"]["mae"] == [1, 6]
    assert intervals["strs"] == [round(1 / 3, 6), 0.5] and intervals["recognition"] is None
    (note,) = intervals["notes"]
    assert "2 subjects only" in note


def test_one_subject_has_no_interval():
    tables = [table[table["subject"] == "s1"] for table in TABLES]
    intervals = evaluate(*tables, CLASSES, one_per_video=True)["intervals"]
    for part in ("spotting", "analysis", "recognition"):
        assert intervals[part] and set(intervals[part].values()) == {None}
    assert intervals["strs"] is None
    assert intervals["notes"] == ["intervals: there are none, because they need 2 subjects, not 1"]


def test_draws_that_do_not_define_a_figure_are_left_out():
    """Only s1 has a pair that is analysed; a quarter of the draws has none."""
    predictions = TABLES[0].assign(emotion=["negative", "negative", None, None])
    intervals = evaluate(predictions, TABLES[1], CLASSES)["intervals"]
    assert intervals["analysis"]["f1"] == [1, 1]
    (note,) = [note for note in intervals["notes"] if "analysis" in note]
    n = int(note.split()[1])
    assert 0.22 * RESAMPLES < n < 0.28 * RESAMPLES and "do not define the analysis accuracy" in note


@pytest.mark.parametrize("seed", range(60))
def test_the_whole_is_the_draw_in_which_everybody_is_once(seed):
    predictions, truth, videos = random_tables(seed)
    options = dict(videos=videos, one_per_video=seed % 2 == 0)
    for evaluation in (
        compare_paper(predictions, truth, CLASSES, **options),
        compare_upstream(predictions, truth, CLASSES, k_prime=HALF, **options),
    ):
        found = drawn(evaluation.sums, np.ones(len(evaluation.sums.subjects), int))
        for name, value in points(evaluation.metrics).items():
            part = "analysis" if name == "strs" else name.split()[0]
            if part in evaluation.sums.without:
                assert name not in found or name == "strs"
            else:
                assert found[name] == pytest.approx([np.nan if value is None else value], nan_ok=True), name


def copied(table: pd.DataFrame, times: dict[str, int]) -> pd.DataFrame:
    """Each row as often as its subject is drawn, one copy below the other, each of a subject of its own."""
    rows = [
        row | {"subject": f"{row['subject']}.{i}"}
        for row in table.to_dict("records")
        for i in range(times[row["subject"]])
    ]
    return pd.DataFrame(rows, columns=table.columns)


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("protocol", ["paper", "upstream"])
def test_a_draw_is_an_evaluation_of_the_tables_with_copies(seed, protocol):
    """Subjects that are drawn twice, three times or never. Pairs must not be shifted, so no emotion is "others"."""
    predictions, truth, videos = random_tables(seed, others=False)
    predictions, truth = predictions.assign(apex=predictions["apex"]), truth.dropna(subset=["apex"])
    predictions = predictions.assign(emotion=predictions["emotion"].fillna("negative"))
    if truth.empty:
        pytest.skip("no annotation is left")
    subjects = sorted({subject for subject, _ in videos})
    counts = np.random.default_rng(seed).integers(0, 4, len(subjects))
    times = dict(zip(subjects, counts.tolist(), strict=True))
    original = compare_of(protocol, predictions, truth, videos)
    more = [(f"{s}.{i}", v) for s, v in videos for i in range(times[s])]
    copies = compare_of(protocol, copied(predictions, times), copied(truth, times), more, times)
    found = drawn(original.sums.of(subjects), counts)
    for name, value in points(copies.metrics).items():
        assert found[name] == pytest.approx([np.nan if value is None else value], abs=1e-7, nan_ok=True), name


def compare_of(protocol, predictions, truth, videos, times=None):
    """Under the upstream protocol, copies count one beside the other for AP, also if they are in another video."""
    if protocol == "paper":
        return compare_paper(predictions, truth, CLASSES, videos=videos)

    def beside(n: int) -> np.ndarray:
        rows = predictions.assign(original=predictions["subject"].str.rsplit(".", n=1).str[0]) if times else predictions
        place = {video: i for i, video in enumerate(videos)}
        keys = [place[key] for key in zip(rows["subject"], rows["video"], strict=True)]
        listed = rows.assign(place=keys).sort_values(["place", "onset"], kind="stable").reset_index(drop=True)
        first = listed.groupby(["original" if times else "subject", "video"])["place"].transform("min")
        return listed.assign(first=first).sort_values(["first", "onset", "place"], kind="stable").index.to_numpy()

    return compare_upstream(predictions, truth, CLASSES, k_prime=HALF, videos=videos, ap_order=beside)


@pytest.mark.parametrize("seed", range(10))
def test_subjects_in_another_order_and_among_others(seed):
    predictions, truth, _ = random_tables(seed, subjects=4)
    sums = compare_upstream(predictions, truth, CLASSES, k_prime=HALF).sums
    weights = np.random.default_rng(seed).integers(0, 4, (20, len(sums.subjects)))
    moved = sums.of(["new", *reversed(sums.subjects), "other"])
    among = np.pad(weights[:, ::-1], ((0, 0), (1, 1)), constant_values=3)
    assert moved.subjects[1:-1] == sums.subjects[::-1]
    found = drawn(moved, among)
    for name, values in drawn(sums, weights).items():
        np.testing.assert_allclose(found[name], values, err_msg=name)


def test_too_many_subjects_have_no_interval():
    """A column with something else in it. Nothing that takes much memory is made."""
    rows = [(f"s{i}", "v", 0, 9, f"e{i % 60}") for i in range(5001)]
    table = pd.DataFrame(rows, columns=["subject", "video", "onset", "offset", "emotion"])
    evaluation = compare(table, table, sorted(set(table["emotion"])))
    assert evaluation.sums.without.keys() == {"analysis"} and not evaluation.sums.confusions
    intervals = evaluation.metrics["intervals"]
    assert intervals["notes"] == ["intervals: there are none for more than 5000 subjects; is it the right column?"]
    assert set(intervals["spotting"].values()) == {None} and evaluation.metrics["spotting"]["f1"] == 1
    assert spread_of_mean([evaluation.sums]) == {}


def test_shifted_pairs_have_no_interval():
    """The first true positive is of "others": from there on, upstream joins labels with earlier predictions."""
    truth = TABLES[1].assign(emotion=["others", "positive", "negative", "surprise"])
    metrics = evaluate(TABLES[0], truth, CLASSES, protocol="upstream", k_prime=5)
    intervals = metrics["intervals"]
    assert metrics["analysis"]["f1"] is not None and set(intervals["analysis"].values()) == {None}
    assert intervals["strs"] is None and intervals["spotting"]["f1"] == [0.5, 1]
    assert f"intervals: analysis has none: {SHIFTED}" in intervals["notes"]


def test_every_figure_has_a_place_and_all_of_it_is_json():
    predictions, truth, videos = random_tables(3, subjects=12, videos=30)
    options = dict(videos=videos, one_per_video=True)
    for protocol in ({}, {"protocol": "upstream", "k_prime": HALF}):
        metrics = evaluate(predictions, truth, CLASSES, **options, **protocol)
        intervals = metrics["intervals"]
        assert points(intervals).keys() == points(metrics).keys()
        for name, bounds in points(intervals).items():
            assert bounds is None or (bounds[0] <= bounds[1] and bounds[0] >= 0), name
        again = evaluate(predictions, truth, CLASSES, **options, **protocol)
        assert json.dumps(again) == json.dumps(metrics)
    in_order, shuffled = (
        evaluate(table, truth, CLASSES, videos=videos)["intervals"]["spotting"]["f1"]
        for table in (predictions, predictions.sample(frac=1, random_state=1))
    )
    assert shuffled == in_order


def test_scipy_gives_the_same_interval():
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 9, (15, 3))
    ours = interval(count_figures(draw_subjects(15, 20_000) @ counts)["f1"])

    def f1(subjects, axis):
        tp, fp, fn = np.moveaxis(counts[subjects].sum(axis=axis - 1 if axis < 0 else axis), -1, 0)
        return 2 * tp / (2 * tp + fp + fn)

    theirs = stats.bootstrap(
        (np.arange(15),), f1, n_resamples=20_000, method="percentile", vectorized=True, rng=np.random.default_rng(1)
    ).confidence_interval
    assert ours == pytest.approx(tuple(theirs), abs=0.005)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    """20 subjects of one population, 200 times; its F1 is that of very many subjects. 95 % would be 190."""
    rng = np.random.default_rng(0)

    def people(n: int) -> np.ndarray:
        annotated = rng.integers(1, 9, n)
        tp = rng.binomial(annotated, rng.beta(2, 4, n))
        return np.stack([tp, rng.poisson(rng.gamma(2, 4, n)), annotated - tp], axis=1)

    truth = count_figures(people(200_000).sum(axis=0)[None])["f1"][0]
    draws = draw_subjects(20)
    bounds = [interval(count_figures(draws @ people(20))["f1"]) for _ in range(200)]
    assert 178 <= sum(low <= truth <= high for low, high in bounds) <= 198


def test_kinds():
    """The intervals of each kind are those that it has alone; those of both come from the summed counts."""
    options = dict(videos=[("s1", "a"), ("s2", "b"), ("s3", "c")])
    micro = compare(*TABLES, CLASSES, **options)
    macro = compare(TABLES[0][1:2], TABLES[1][1:2], CLASSES, videos=[("s1", "a")])
    both = pooled({"micro": micro, "macro": macro}, CLASSES).metrics["intervals"]
    assert both["by_kind"].keys() == {"micro", "macro", "overall"}
    assert both["by_kind"]["micro"]["f1"] == micro.metrics["intervals"]["spotting"]["f1"]
    assert set(both["by_kind"]["macro"].values()) == {None}  # one subject
    assert "macro: intervals: there are none, because they need 2 subjects, not 1" in both["notes"]
    assert both["by_kind"]["overall"]["f1"] == both["spotting"]["f1"] and both["subjects"] == 3
    assert both["by_kind"]["overall"]["ap"] is both["spotting"]["mae"] is None
    whole = together({"micro": micro}, CLASSES)
    assert whole.metrics["intervals"] == micro.metrics["intervals"] and whole.metrics["by_kind"].keys() == {"micro"}


def test_a_method_without_emotions_has_no_interval_for_them():
    predictions = TABLES[0].assign(emotion=["negative", "negative", None, None])
    intervals = spotting_only(evaluate(predictions, TABLES[1], CLASSES))["intervals"]
    assert intervals["analysis"] is intervals["strs"] is None and intervals["spotting"]["f1"] == [0.5, 1]
    assert not any("analysis" in note for note in intervals["notes"])


def test_the_spread_of_a_mean_over_runs():
    one = compare(*TABLES, CLASSES).sums
    found = spread_of_mean([one])
    values = drawn_figures(one, draw_subjects(2))["spotting"]["f1"]
    assert found["spotting_f1"] == pytest.approx((values.std(ddof=1), 0.5, 1))
    assert spread_of_mean([one, one])["strs"] == pytest.approx(found["strs"])
    # another run misses everything: half of each draw's figure
    other = compare(TABLES[0][:0], TABLES[1], CLASSES).sums
    assert spread_of_mean([one, other])["spotting_f1"] == pytest.approx((values.std(ddof=1) / 2, 0.25, 0.5))
    # a figure that one run does not define is the mean of the others, as in the summary
    assert spread_of_mean([one, other])["analysis_f1"] == pytest.approx(found["analysis_f1"])
    assert spread_of_mean([compare(*(t[t["subject"] == "s1"] for t in TABLES), CLASSES).sums]) == {}


def test_more_resamples_change_little():
    predictions, truth, _ = random_tables(5, subjects=12, videos=40)
    evaluation = compare(predictions, truth, CLASSES)
    many = intervals_of(evaluation.metrics, evaluation.sums, resamples=20_000)
    assert many["spotting"]["f1"] == pytest.approx(evaluation.metrics["intervals"]["spotting"]["f1"], abs=0.02)


@pytest.mark.parametrize(
    ("bounds", "text"),
    [
        (None, ""),
        ([0.0123, 0.3456], ".012-.346"),
        ([0.5, 1.0], ".500-1.00"),
        ([0.2, 3.456], "0.20-3.46"),
        ([9.96, 15.5], "10.0-15.5"),
        ([87.4, 123.4], "87-123"),
    ],
)
def test_an_interval_as_text(bounds, text):
    assert format_interval(bounds) == text


def test_intervals_stand_below_their_figures():
    lines = format_metrics(evaluate(*TABLES, CLASSES), subjects=True).splitlines()
    assert max(map(len, lines)) <= WIDTH
    (names,) = (i for i, line in enumerate(lines) if "PRECISION" in line.upper() and "MAE" in line)
    where = lines[names].index("F1")
    assert lines[names + 1][where - 4 : where + 2] == "0.7500"
    assert lines[names + 2].startswith("95 %") and lines[names + 2][where - 7 : where + 2] == ".500-1.00"
    (strs,) = (i for i, line in enumerate(lines) if line.startswith("STRS "))
    assert lines[strs + 1].split() == ["95", "%", ".333-.500"]
    text = " ".join(" ".join(lines).split())
    assert "95 %: the interval of each figure above it, by a bootstrap over 2 subjects." in text
    alone = format_metrics(evaluate(*(table[:1] for table in TABLES), CLASSES))
    assert "\n95 %" not in alone and "bootstrap" not in alone
