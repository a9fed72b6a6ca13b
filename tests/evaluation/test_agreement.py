"""Agreement of two coders: by hand, its properties, and from the command line."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import main
from tests.support.bad_input_reviews import REVIEW_HEAD, review_row
from tests.support.eaf_files import written
from Utils.evaluation.agreement import WIDTH, agreement, format_agreement
from Utils.evaluation.eaf_writer import Annotated

COLUMNS = ["subject", "video", "onset", "offset", "emotion"]


def table(*rows, fps: float | None = None) -> pd.DataFrame:
    """Rows (video, onset, offset, emotion) of one subject; with seconds if a frame rate is given."""
    found = pd.DataFrame([("s", *row) for row in rows], columns=COLUMNS).astype({"emotion": object})
    return found if fps is None else found.assign(onset_s=found["onset"] / fps, offset_s=found["offset"] / fps)


#            0         10        20        30        40        50
# first  a   [--------]          [--------]          [--------]
# second a   [--------]            [------]                  [----]
# first  b   [--------]          [--------]
# second b     [--------]        [--------]
FIRST = table(
    ("a", 0, 9, "joy"), ("a", 20, 29, "joy"), ("a", 40, 49, "fear"), ("b", 0, 9, "fear"), ("b", 20, 29, "fear"), fps=10
)
SECOND = table(
    ("a", 0, 9, "joy"), ("a", 22, 29, "fear"), ("a", 47, 52, "fear"), ("b", 2, 11, "fear"), ("b", 20, 29, "joy"), fps=10
)


def test_by_hand():
    """4 of 5 match, with IoU 1, 8/10, 8/12 and 1. Emotions joy/joy, joy/fear, fear/fear, fear/joy.

    Two of four are equal; by chance it would be 1/2 * 1/2 + 1/2 * 1/2, so kappa is 0. Onsets differ by 0, 2, 2, 0
    frames, offsets by 0, 0, 2, 0.
    """
    found = agreement(FIRST, SECOND)
    assert (found["videos"], found["videos_in_both"]) == (2, 2)
    assert (found["first"], found["second"], found["matched"]) == (5, 5, 4)
    assert found["f1"] == pytest.approx(0.8) and found["mean_iou"] == pytest.approx((1 + 0.8 + 8 / 12 + 1) / 4)
    assert found["emotion"] == {"pairs": 4, "equal": 2, "kappa": pytest.approx(0)}
    seconds = {"mean_s": pytest.approx(0.1), "median_absolute_s": pytest.approx(0.1)}
    assert found["onset"] == {"mean": 1, "median_absolute": 1} | seconds
    assert found["offset"] == pytest.approx({"mean": 0.5, "median_absolute": 0, "mean_s": 0.05, "median_absolute_s": 0})
    assert found["notes"] == []


def test_the_order_of_rows_does_not_matter():
    assert agreement(FIRST, SECOND.iloc[[2, 0, 4, 1, 3]].reset_index(drop=True)) == agreement(FIRST, SECOND)


def test_kappa_by_hand():
    """Of 6 pairs 5 are equal. Joy 3 and 2 times, fear 3 and 4: chance is (3 * 2 + 3 * 4) / 36 = 1/2.

    kappa = (5/6 - 1/2) / (1 - 1/2).
    """
    times = [(i * 20, i * 20 + 9) for i in range(6)]
    first = table(*(("a", *t, emotion) for t, emotion in zip(times, ["joy"] * 3 + ["fear"] * 3, strict=True)))
    second = table(*(("a", *t, emotion) for t, emotion in zip(times, ["joy"] * 2 + ["fear"] * 4, strict=True)))
    found = agreement(first, second)
    assert found["emotion"] == {"pairs": 6, "equal": 5, "kappa": pytest.approx(2 / 3)}
    assert found["onset"]["mean_s"] is None


def test_signs():
    """Positive: the second coder is later. The median is of the sizes."""
    first, second = table(("a", 100, 200, "x")), table(("a", 97, 205, "x"))
    found = agreement(first, second)
    assert (found["onset"]["mean"], found["onset"]["median_absolute"], found["offset"]["mean"]) == (-3, 3, 5)


def test_what_is_left_out_or_not_defined_is_said():
    first, second = (
        table(("a", 0, 9, "x"), ("b", 0, 9, None)),
        table(("a", 0, 9, "x"), ("b", 0, 9, "x"), ("c", 0, 9, "x")),
    )
    found = agreement(first, second)
    assert found["emotion"] == {"pairs": 1, "equal": 1, "kappa": None}
    assert found["notes"] == [
        "1 video(s) have intervals in one table only",
        "kappa: 1 pair(s) in which a coder named no emotion are left out",
        "kappa: both coders named only one emotion, the same one, so it is not defined",
    ]


@pytest.mark.parametrize(("first", "second", "f1"), [((), (), None), ((("a", 0, 9, "x"),), (), 0)])
def test_empty_tables(first, second, f1):
    found = agreement(table(*first), table(*second))
    assert (found["f1"], found["mean_iou"], found["emotion"]["kappa"], found["onset"]["mean"]) == (f1, None, None, None)
    assert format_agreement(found, ("a", "b"))


rows = st.lists(
    st.tuples(
        st.sampled_from("ab"), st.integers(0, 400), st.integers(0, 60), st.sampled_from(["joy", "fear", "anger", None])
    ).map(lambda row: (row[0], row[1], row[1] + row[2], row[3])),
    max_size=12,
)


@given(rows)
def test_a_table_agrees_with_itself(some):
    found = agreement(table(*some, fps=30), table(*some, fps=30))
    named = [emotion for *_, emotion in some if emotion]
    assert found["f1"] == (1 if some else None) and found["mean_iou"] == (1 if some else None)
    if len({row[:3] for row in some}) == len(some):  # equal intervals can be matched crosswise
        assert found["emotion"]["equal"] == found["emotion"]["pairs"] == len(named)
        assert found["emotion"]["kappa"] == (pytest.approx(1) if len(set(named)) > 1 else None)
    for edge in ("onset", "offset"):
        assert set(found[edge].values()) == ({0} if some else {None})


@given(rows, rows)
def test_the_order_of_two_coders_changes_signs_only(first, second):
    one, other = agreement(table(*first), table(*second)), agreement(table(*second), table(*first))
    assert one["matched"] <= min(len(first), len(second))
    assert 0 <= (one["f1"] or 0) <= 1 and (one["mean_iou"] is None or 0.5 <= one["mean_iou"] <= 1)
    assert one["emotion"]["kappa"] is None or -1 <= one["emotion"]["kappa"] <= 1 + 1e-9
    assert (one["first"], one["second"], one["videos"]) == (other["second"], other["first"], other["videos"])
    assert len(format_agreement(one, ("a" * 300, "b"))) > 100


# The command line


def test_the_printed_table(tmp_path, capsys):
    FIRST.to_csv(tmp_path / "a.csv", index=False)
    SECOND.to_csv(tmp_path / "b.csv", index=False)
    assert main.main(["--agreement", str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= WIDTH
    values = {line[:26].strip(): line[26:].split() for line in lines}
    assert values["expressions"] == ["5", "and", "5,", "4", "matched"]
    assert values["F1 of intervals"] == ["0.8000"] and values["mean IoU"] == ["0.8667"]
    assert values["same emotion"] == ["2", "of", "4", "pairs"]
    assert values["Cohen's kappa of emotion"] == ["0.0000"]
    assert values["onset"] == ["+1.00", "frames", "1.0", "frames", "+0.1000", "s", "0.1000", "s"]
    assert values["offset"] == ["+0.50", "frames", "0.0", "frames", "+0.0500", "s", "0.0000", "s"]


def test_a_review_and_an_elan_file(tmp_path, capsys):
    """The rejected row and the one that nobody looked at do not count. The times of both are known."""
    rows = review_row() + review_row(30, 40, status="rejected") + review_row(70, 80, status="unreviewed", date="")
    (tmp_path / "a.csv").write_text(REVIEW_HEAD + rows)
    other = written(tmp_path / "b.eaf", Annotated(12, 20, "negative", 15), Annotated(70, 80, "positive", 75))
    assert main.main(["--agreement", str(tmp_path / "a.csv"), str(other)]) == 0
    out = capsys.readouterr().out
    assert "1 and 2, 1 matched" in out and "1 unreviewed row(s) are left out" in out
    assert "+2.00 frames" in out and "+0.0800 s" in out
