"""Micro- and macro-expressions together: figures side by side, and pooled."""

from __future__ import annotations

import pandas as pd
import pytest

from Utils.evaluation.evaluate import compare
from Utils.evaluation.kinds import NO_EMOTIONS, by_kind, pooled, spotting_only, without_mae
from Utils.evaluation.text import WIDTH, format_metrics
from Utils.report.results import metric_groups

CLASSES = ("negative", "positive", "surprise")
VIDEOS = [("s1", "a"), ("s1", "b"), ("s2", "c")]


def table(*rows: tuple) -> pd.DataFrame:
    """Rows of video, onset, offset, emotion. The subject of video c is s2."""
    return pd.DataFrame(
        [("s2" if row[0] == "c" else "s1", *row, 0.5) for row in rows],
        columns=["subject", "video", "onset", "offset", "emotion", "score"],
    )


#   micro, video a      10----20   30----40        annotated positive, negative
#                       10----20   30----40        predicted positive, positive
#   macro, video a      10----20                   predicted: lies on a micro-expression, and is false
#   macro, video c            100------160         annotated surprise, found as surprise; another one is missed
MICRO = (
    table(("a", 10, 20, "positive"), ("a", 30, 40, "positive"), ("b", 5, 9, "surprise")),
    table(("a", 10, 20, "positive"), ("a", 30, 40, "negative")),
)
MACRO = (
    table(("a", 10, 20, "positive"), ("c", 100, 160, "surprise")),
    table(("c", 100, 160, "surprise"), ("c", 300, 360, "negative")),
)


@pytest.fixture(params=["paper", "upstream"])
def evaluations(request):
    options = dict(protocol=request.param, k_prime=5)
    return {
        "micro": compare(*MICRO, CLASSES, videos=VIDEOS[:2], **options),
        "macro": compare(*MACRO, CLASSES, videos=[VIDEOS[0], VIDEOS[2]], **options),
    }


def test_counts_are_summed_and_each_kind_is_matched_on_its_own(evaluations):
    rows = by_kind({kind: e.metrics for kind, e in evaluations.items()})
    counts = {kind: (row["tp"], row["fp"], row["fn"]) for kind, row in rows.items()}
    assert counts == {"micro": (2, 1, 0), "macro": (1, 1, 1), "overall": (3, 2, 1)}
    assert rows["overall"]["precision"] == 3 / 5 and rows["overall"]["recall"] == 3 / 4
    assert rows["overall"]["f1"] == pytest.approx(2 * 3 / 9) and rows["overall"]["ap"] is None


def test_pooled(evaluations):
    whole = pooled(evaluations, CLASSES)
    assert whole.predictions["kind"].tolist() == ["micro"] * 3 + ["macro"] * 2
    spotting = whole.metrics["spotting"]
    assert (spotting["tp"], spotting["fp"], spotting["fn"]) == (3, 2, 1)
    assert spotting["ap"] is spotting["asr"] is spotting["mae"] is None
    assert whole.metrics["analysis"]["evaluated"] == 3 and whole.metrics["analysis"]["correct"] == 2
    assert [(row["video"], row["tp"], row["fp"], row["fn"]) for row in whole.metrics["per_video"]] == [
        ("a", 2, 1, 0),
        ("b", 0, 1, 0),
        ("c", 1, 0, 1),
    ]
    assert [(row["subject"], row["videos"], row["tp"]) for row in whole.metrics["per_subject"]] == [
        ("s1", 2, 2),
        ("s2", 1, 1),
    ]
    assert all(note.startswith(("micro: ", "macro: ")) for note in whole.metrics["notes"])
    for key, pairs in whole.matches.items():  # the matches are rows of the tables one below the other
        for i, j in pairs:
            one, other = whole.predictions.iloc[i], whole.ground_truth.iloc[j]
            assert key == (one["subject"], one["video"]) == (other["subject"], other["video"])
            assert one["kind"] == other["kind"] and one["onset"] == other["onset"]
    assert len(whole.of_video("s1", "a").matches) == 2


def test_a_method_without_emotions():
    evaluation = compare(*MICRO, CLASSES, videos=VIDEOS[:2])
    metrics = spotting_only(evaluation.metrics)
    assert metrics["analysis"] is metrics["strs"] is None and metrics["notes"][-1] == NO_EMOTIONS
    assert metrics["spotting"] == evaluation.metrics["spotting"]
    said = format_metrics(metrics)
    assert "Analysis" not in said and "\nSTRS" not in said


def test_frames_of_different_rates_are_not_averaged():
    """MAE and its interval are left out with the reason; nothing else changes."""
    columns = ["subject", "video", "onset", "apex", "offset", "score", "emotion"]
    rows = [(subject, "v", 10, 15, 20, 0.5, "positive") for subject in ("s1", "s2")]
    predicted, annotated = pd.DataFrame(rows, columns=columns), pd.DataFrame(rows, columns=columns)
    before = compare(predicted, annotated.assign(apex=17), ["positive"])
    after = without_mae(before)
    assert before.metrics["spotting"]["mae"] == 2 and before.metrics["intervals"]["spotting"]["mae"] == [2, 2]
    assert after.metrics["spotting"]["mae"] is after.metrics["intervals"]["spotting"]["mae"] is None
    assert after.metrics["spotting"] | {"mae": 2} == before.metrics["spotting"]
    assert after.metrics["notes"] == [
        *before.metrics["notes"],
        "mae: the videos have different frame rates, so their frames cannot be averaged",
    ]


def test_kinds_in_the_report(evaluations):
    whole = pooled(evaluations, CLASSES)
    groups = metric_groups({whole.metrics["protocol"]: whole.metrics})
    assert [group["title"] for group in groups[:2]] == [f"Spotting of {kind}-expressions" for kind in evaluations]
    for group, (tp, fp, fn) in zip(groups, ((2, 1, 0), (1, 1, 1)), strict=False):
        values = {row["name"]: row["values"][0] for row in group["rows"]}
        assert [values[name] for name in ("True positives", "False positives", "Missed")] == [str(tp), str(fp), str(fn)]
    alone = evaluations["micro"].metrics
    assert not any("micro" in group["title"] for group in metric_groups({"paper": alone}))


def test_kinds_on_the_screen(evaluations):
    whole = pooled(evaluations, CLASSES)
    lines = format_metrics(whole.metrics, subjects=True).splitlines()
    assert max(map(len, lines)) <= WIDTH
    (overall,) = (line.split() for line in lines if line.startswith("Overall"))
    assert overall == ["Overall", "3", "2", "1", "0.6000", "0.7500", "0.6667", "-"]
