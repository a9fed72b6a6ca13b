"""--tune nested: values that are chosen for a subject on the other subjects only."""

from __future__ import annotations

import json
import math
import os
import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import main
from tests.support.command_line import QUICK, only_run
from tests.support.quicker import tables_only
from training_utils import MEAN_SPOTTING, SpottedInterval, VideoScores, predict_expressions
from Utils.datasets.table import DATASETS
from Utils.evaluation.metrics import match_intervals
from Utils.records import Expression, Video
from Utils.softnet.steps import STEPS as SOFTNET
from Utils.tuning.nested import REACH, SMOOTHING, Choice, P, candidates, choose, tuned, video_counts

DEMO = DATASETS["DEMO"]
PAPER = Choice(0.55)
K_PRIME = 4


def bump(n: int, *peaks: int, height: float = 1.0) -> np.ndarray:
    """Scores that rise to `height` around each peak, over 2k' features, and are 0 elsewhere."""
    scores = np.zeros(n)
    for peak in peaks:
        scores[peak - K_PRIME : peak + K_PRIME] = height
    return scores


def results_of(*videos: tuple[str, np.ndarray, list[tuple[int, int]]], fps: float | None = None):
    """Fold results and features as `choose` takes them: (subject, scores, annotated intervals) of each video."""
    features, folds = [], {}
    for number, (subject, scores, intervals) in enumerate(videos):
        expressions = tuple(Expression(a, None, b, "positive") for a, b in intervals)
        features.append(SimpleNamespace(video=Video(subject, f"v{number}", (), expressions, fps)))
        folds.setdefault(subject, []).append((number, scores))
    results = [
        SimpleNamespace(
            fold=SimpleNamespace(test=[number for number, _ in tested]), scores=lambda i, tested=tested: tested[i][1]
        )
        for tested in folds.values()
    ]
    return results, features


def test_the_width_that_fits_the_others_is_chosen():
    """A, B and C have a peak at 30. The annotations of A are as long as the paper's interval, those of B and C twice.

    The paper's interval [26, 34] has 9 frames; [22, 38] has 17, so IoU 9/17 reaches 0.5 only for A. B and C need 2.0:
    to be chosen for A, their own width; for B, A's 9 frames in [22, 38] still reach 9/17. So both fit with 2.0 only.
    """
    long = [(16, 44)]  # 29 frames; the paper's 9 are fewer than half of them, 17 are more
    results, features = results_of(
        ("A", bump(80, 30), [(26, 34)]), ("B", bump(80, 30), long), ("C", bump(80, 30), long)
    )
    choices, reached = choose(results, features, K_PRIME, 0.55, MEAN_SPOTTING)
    assert choices["A"].reach in (1.7, 2.0) and reached["A"] == 1.0
    assert choices["A"].p == 0.55 and choices["A"].smoothing == 1.0  # nothing asks for another value
    counts = {c: video_counts(bump(80, 30), features[1].video.expressions, K_PRIME, MEAN_SPOTTING, [c])[0, 0] for c in
              (PAPER, Choice(0.55, 1.0, 1.4), Choice(0.55, 1.0, 1.7))}  # fmt: skip
    assert list(counts.values()) == [0, 0, 1]


def test_equal_figures_give_the_papers_values():
    results, features = results_of(*[(s, bump(80, 30), [(26, 34)]) for s in "ABC"])
    choices, reached = choose(results, features, K_PRIME, 0.55, MEAN_SPOTTING)
    assert set(choices.values()) == {PAPER} and set(reached.values()) == {1.0}


@pytest.mark.parametrize("subjects", ["A", "AB"])
def test_nobody_to_choose_on(subjects):
    """One subject; or two, of whom the other has no annotation."""
    rows = [("A", bump(80, 30), [(26, 34)]), ("B", bump(80, 30), [])]
    choices, reached = choose(*results_of(*rows[: len(subjects)]), K_PRIME, 0.55, MEAN_SPOTTING)
    assert choices["A"] == PAPER and math.isnan(reached["A"])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_subjects_own_data_does_not_change_its_values(seed):
    rng = np.random.default_rng(seed)
    rows = []
    for subject in "ABCD":
        starts = rng.integers(0, 70, 3)
        intervals = [(int(a), int(a + rng.integers(3, 25))) for a in starts]
        rows.append((subject, rng.random(90), intervals))
    before, reached = choose(*results_of(*rows), K_PRIME, 0.55, MEAN_SPOTTING)
    rows[0] = ("A", rng.random(60), [(5, 9)])
    after, reached_after = choose(*results_of(*rows), K_PRIME, 0.55, MEAN_SPOTTING)
    assert before["A"] == after["A"] and reached["A"] == reached_after["A"]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    p=st.sampled_from(P),
    smoothing=st.sampled_from(SMOOTHING),
    reach=st.sampled_from(REACH),
    method=st.sampled_from([MEAN_SPOTTING, SOFTNET.spotting]),
)
def test_the_counts_are_those_of_the_evaluation(seed, p, smoothing, reach, method):
    """What is counted while choosing is what the chosen values then give."""
    rng = np.random.default_rng(seed)
    raw, choice = rng.random(90), Choice(p, smoothing, reach)
    expressions = tuple(Expression(int(a), None, int(a) + 9, "positive") for a in rng.integers(0, 80, 3))
    video = Video("s1", "v", (), expressions)
    used = tuned(method, choice)
    scores = [VideoScores(video, raw, used.smooth(raw, K_PRIME, "paper"), None)]
    predicted = predict_expressions(scores, DEMO, K_PRIME, 0.55, "paper", method, {"s1": used})
    bounds = predicted[["onset", "offset"]].to_numpy(int).reshape(-1, 2)
    tp = len(match_intervals(bounds, np.array([(e.onset, e.offset) for e in expressions])))
    found = video_counts(raw, expressions, K_PRIME, method, [PAPER, choice])
    assert found[1].tolist() == [tp, len(bounds) - tp, len(expressions) - tp]


def test_subjects_who_are_tested_together_are_not_chosen_on():
    """--folds: A and B are in one fold, C in another. For A and B only C counts; for C both."""
    wide, fits = [(16, 44)], [(26, 34)]
    results, features = results_of(("A", bump(80, 30), fits), ("B", bump(80, 30), wide), ("C", bump(80, 30), fits))
    first, second, third = results
    both = SimpleNamespace(fold=SimpleNamespace(test=[0, 1]), scores=lambda i: (first.scores(0), second.scores(0))[i])
    choices, reached = choose([both, third], features, K_PRIME, 0.55, MEAN_SPOTTING)
    assert choices["A"] == choices["B"] == PAPER and reached["A"] == reached["B"] == 1.0
    alone, _ = choose(results, features, K_PRIME, 0.55, MEAN_SPOTTING)
    assert alone["A"].reach > 1 and alone["A"] != choices["A"]  # with B among the others, wide intervals fit


def test_what_a_chosen_method_does():
    """p = 0.3, half the smoothing, twice the interval: k' = 4 gives 2 features on each side, and [22, 38] around 30."""
    used = tuned(MEAN_SPOTTING, Choice(0.3, 0.5, 2.0))
    raw = bump(80, 30)
    assert used.half_width(4) == 2 and np.array_equal(
        used.smooth(raw, 4, "paper"), MEAN_SPOTTING.smooth(raw, 2, "paper")
    )
    smoothed = np.zeros(80)
    smoothed[30] = 1
    assert used.threshold(smoothed, 0.9) == MEAN_SPOTTING.threshold(smoothed, 0.3)
    (found,) = used.spot(smoothed, None, 4, 0.9, False, "paper")
    assert found == SpottedInterval(22, 30, 38, 1.0, None, found.confidence)


def test_the_papers_values_come_first_and_only_once():
    found = candidates(PAPER)
    assert found[0] == PAPER and len(found) == len(set(found)) == len(P) * len(SMOOTHING) * len(REACH)
    assert candidates(Choice(0.52))[0] == Choice(0.52)


def test_short_videos_keep_their_p():
    """One expression in each video: there is no threshold, so only widths are chosen."""
    rows = [(s, bump(80, 30), [(16, 44)]) for s in "ABC"]
    choices, reached = choose(*results_of(*rows), K_PRIME, 0.55, MEAN_SPOTTING, one_per_video=True)
    assert {c.p for c in choices.values()} == {0.55} and set(reached.values()) == {1.0}


def test_videos_of_different_rates_have_their_own_half_length():
    """At 15 frames per second k' is 2, so the interval around 30 is [28, 32]."""
    slow = bump(80, 30) * (np.abs(np.arange(80) - 30) <= 2)
    results, features = results_of(*[(s, slow, [(28, 32)]) for s in "ABC"], fps=15)
    choices, reached = choose(results, features, {15: 2, 30: 4}, 0.55, MEAN_SPOTTING)
    assert set(choices.values()) == {PAPER} and set(reached.values()) == {1.0}


def test_a_run_shows_both_side_by_side(trained_demo, tmp_path, monkeypatch, capsys):
    """The predictions are those of the chosen values; the fixed ones stand beside them, and equal a run without."""
    for name in ("data", "cache"):
        shutil.copytree(trained_demo.folder / name, tmp_path / name, copy_function=os.link)
    monkeypatch.chdir(tmp_path)
    tables_only(monkeypatch)
    assert main.main(["--train", "--workers", "1", "--tune", "nested", *QUICK]) == 0
    said = capsys.readouterr().out
    run, before = only_run(tmp_path, "DEMO-train"), only_run(trained_demo.folder, "DEMO-train")
    figures = pd.read_csv(run / "tuning_figures.csv").set_index("variant")
    metrics, fixed = (json.loads((r / "metrics.json").read_text())["spotting"] for r in (run, before))
    for name, expected in (("fixed values", fixed), ("nested choice", metrics)):
        assert figures.loc[name, ["tp", "fp", "fn"]].tolist() == [expected[key] for key in ("tp", "fp", "fn")]
        assert name in said
    chosen = pd.read_csv(run / "tuning.csv").set_index("subject")
    predictions = pd.read_csv(run / "predictions.csv")
    k_prime = json.loads((run / "settings.json").read_text())["k_prime"]
    for row in predictions.itertuples():
        assert row.offset - row.apex == row.apex - row.onset == round(k_prime * chosen.loc[row.subject, "reach"])
    assert json.loads((run / "settings.json").read_text())["settings"]["tune"] == "nested"
    assert json.loads((run / "metrics.json").read_text())["tune"] == "nested"
    assert "tune" not in json.loads((before / "metrics.json").read_text())
