"""The way back: expressions.csv, reviewed.csv and ELAN files as tables, from the command line too."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

import main
from tests.support.bad_input_reviews import REVIEW_HEAD, review_row
from tests.support.eaf_files import CLASSES, TALK, written
from Utils.errors import InputError
from Utils.evaluation.csv_files import STATUSES
from Utils.evaluation.eaf_writer import Annotated, write_eaf
from Utils.evaluation.reviews import NOT_MICRO, read_intervals, under_same_keys
from Utils.own_video.outputs import predictions_table
from Utils.own_video.scoring import EXPRESSION_COLUMNS
from Utils.own_video.second_look import SECOND_LOOK_COLUMNS
from Utils.own_video.verify import KINDS, MICRO

#                 onset, offset, status
FOUR = ((10, 20, "accepted"), (30, 40, "rejected"), (50, 60, "added"), (70, 80, "unreviewed"))


@pytest.fixture
def review(tmp_path):
    path = tmp_path / "reviewed.csv"
    path.write_text(REVIEW_HEAD + "".join(review_row(a, b, status=status) for a, b, status in FOUR))
    return path


def csv(path, text: str):
    path.write_text(text)
    return path


def table(*rows, columns=("subject", "video", "face", "onset", "offset", "emotion")) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(columns))


# Which rows count


def test_what_counts_of_a_review(review):
    found, remarks = read_intervals(review, ground_truth=True)
    assert found["onset"].tolist() == [10, 50]
    assert remarks == [f"{review}: 1 unreviewed row(s) are left out"]
    found, remarks = read_intervals(review, coder=True)
    assert found["onset"].tolist() == [10, 50] and len(remarks) == 1
    found, remarks = read_intervals(review)
    assert found["onset"].tolist() == [10, 50, 70] and remarks == []


def test_what_a_coder_accepts_begins_at_frame_0(tmp_path):
    """A prediction of a dataset may begin before it. As a prediction it stays as it is."""
    path = csv(tmp_path / "r.csv", REVIEW_HEAD + review_row(-3, 20))
    assert read_intervals(path, ground_truth=True)[0]["onset"].tolist() == [0]
    assert read_intervals(path)[0]["onset"].tolist() == [-3]


def test_a_review_of_the_page_has_no_subject_and_no_face_where_there_is_one(tmp_path):
    row = review_row().replace("session 1,talk,0,", ",talk,,")
    truth, _ = read_intervals(csv(tmp_path / "r.csv", REVIEW_HEAD + row), ground_truth=True)
    one, other, remarks = under_same_keys(table(("s", "talk", "0", 10, 20, "negative")), truth, ("a", "b"))
    assert keys(one) == keys(other) == [("s", "talk")] and remarks == []


def test_every_status_is_known(review):
    assert {status for *_, status in FOUR} == set(STATUSES)


def test_words_for_no_emotion_are_none(tmp_path):
    words = ("unclear", "micro-expression", "negative", "")
    rows = "".join(review_row(10 * i, 10 * i + 5, word) for i, word in enumerate(words))
    found, _ = read_intervals(csv(tmp_path / "r.csv", REVIEW_HEAD + rows))
    assert found["emotion"].tolist() == [None, None, "negative", None]
    other = csv(tmp_path / "t.csv", "subject,video,onset,offset,emotion\ns,v,1,2,unclear\n")
    assert read_intervals(other)[0]["emotion"].tolist() == ["unclear"]  # a class of another program


def test_other_kinds_do_not_count(tmp_path):
    rows = review_row() + review_row(50, 60).replace(",micro,", ",macro,")
    path = csv(tmp_path / "r.csv", REVIEW_HEAD + rows)
    found, remarks = read_intervals(path, ground_truth=True)
    assert found["onset"].tolist() == [10] and remarks == [f"{path}: 1 row(s) of another kind than micro are left out"]
    assert set(NOT_MICRO) == set(KINDS) - {KINDS[MICRO]}
    path = written(tmp_path / "a.eaf", Annotated(10, 20, "negative", kind="macro"), Annotated(50, 60, "positive"))
    assert read_intervals(path)[0]["onset"].tolist() == [50]


@pytest.mark.parametrize("date", ["2026-11-25T10:00:00.123Z", "2026-11-25T10:00:00+01:00", "2026-11-25", ""])
def test_dates_that_are_read(tmp_path, date):
    assert len(read_intervals(csv(tmp_path / "r.csv", REVIEW_HEAD + review_row(date=date)))[0]) == 1


def test_a_status_of_another_program_is_not_looked_at(tmp_path):
    text = "subject,video,onset,offset,emotion,status\ns,v,1,2,x,maybe\n"
    assert len(read_intervals(csv(tmp_path / "t.csv", text))[0]) == 1


# Keys


def keys(found: pd.DataFrame) -> list[tuple]:
    return list(zip(found["subject"], found["video"], strict=True))


def test_a_table_without_subjects_gets_those_of_the_other():
    own = table(
        ("talk", "0", 1, 2, "x"), ("walk", "0", 1, 2, "x"), columns=("video", "face", "onset", "offset", "emotion")
    )
    other = table(("s1", "talk", "0", 1, 2, "x"), ("s2", "other", "0", 1, 2, "x"))
    first, second, _ = under_same_keys(own, other, ("a", "b"))
    assert keys(first) == [("s1", "talk"), ("unknown", "walk")] and keys(second) == [("s1", "talk"), ("s2", "other")]
    second, first, _ = under_same_keys(other, own.assign(subject=""), ("a", "b"))
    assert keys(first) == [("s1", "talk"), ("unknown", "walk")]
    first, second, _ = under_same_keys(own, own, ("a", "b"))
    assert keys(first) == keys(second) == [("unknown", "talk"), ("unknown", "walk")]


def test_faces_are_kept_apart_where_a_video_has_several():
    first = table(("s", "talk", "0", 1, 9, "x"), ("s", "walk", "0", 1, 9, "x"))
    second = table(("s", "talk", "1", 1, 9, "x"), ("s", "walk", "0", 1, 9, "x"))
    one, other, remarks = under_same_keys(first, second, ("a", "b"))
    assert keys(one) == [("s", "talk, face 0"), ("s", "walk")] and keys(other) == [("s", "talk, face 1"), ("s", "walk")]
    assert remarks == []
    one, other, _ = under_same_keys(first.iloc[:1], second.iloc[:1], ("a", "b"))  # the same video, other faces
    assert keys(one) == [("s", "talk, face 0")] and keys(other) == [("s", "talk, face 1")]


@pytest.mark.parametrize("change", [lambda t: t.drop(columns="face"), lambda t: t.assign(face="")])
def test_faces_that_only_one_table_has_are_not_kept_apart_and_this_is_said(change):
    first = table(("s", "talk", "0", 1, 9, "x"), ("s", "talk", "1", 1, 9, "x"))
    second = change(table(("s", "talk", "1", 1, 9, "x")))
    one, other, remarks = under_same_keys(first, second, ("a.csv", "b.csv"))
    assert set(keys(one)) == set(keys(other)) == {("s", "talk")}
    assert remarks == ["faces are not kept apart, because b.csv does not say the face of each row"]


def test_no_video_in_both_is_refused_for_own_videos_only():
    first = table(("s", "talk", "0", 1, 9, "x"))
    second = table(("s", "walk", "0", 1, 9, "x"))
    with pytest.raises(InputError, match="a has s/talk, b has s/walk"):
        under_same_keys(first, second, ("a", "b"))
    under_same_keys(first.drop(columns="face"), second.drop(columns="face"), ("a", "b"))
    under_same_keys(first.iloc[:0], second, ("a", "b"))


# The command line. Seconds are those of 25 frames per second.


def expressions(*rows, columns=SECOND_LOOK_COLUMNS) -> pd.DataFrame:
    """A table of expressions of the video "talk": (face, onset, apex, offset, score, emotion)."""
    found = pd.DataFrame(rows, columns=["face", "onset", "apex", "offset", "score", "emotion"])
    seconds = {f"{name}_s": found[name] / 25 for name in ("onset", "apex", "offset")}
    return found.assign(video="talk", confidence=0.6, kind="micro", flags="", **seconds).reindex(columns=list(columns))


TWO = ((0, 10, 15, 20, 0.5, "negative"), (0, 50, 54, 60, 0.25, "positive"))


def evaluated(capsys, predictions, truth) -> str:
    assert main.main(["--evaluate", str(predictions), "--ground_truth", str(truth)]) == 0
    return capsys.readouterr().out


def figures(out: str) -> dict[str, str]:
    """Name -> value of the printed table."""
    lines = out.splitlines()
    found = {}
    for names, values in pairwise(lines):
        if names.startswith(("Spotting", " ")) and values.startswith(" " * 13) and len(names.split()) > 2:
            names = names.removeprefix("Spotting").split()
            if len(names) == len(values.split()):
                found |= dict(zip(names, values.split(), strict=True))
    return found


@pytest.mark.parametrize("columns", [EXPRESSION_COLUMNS, SECOND_LOOK_COLUMNS])
@pytest.mark.parametrize("name", ["expressions.csv", "predictions.csv"])
def test_a_correction_in_elan_is_the_ground_truth(tmp_path, capsys, name, columns):
    """One of two predictions is removed, the other's apex is moved by 3 frames: 1 TP, 1 FP, MAE 3 frames."""
    found = expressions(*TWO, columns=columns)
    found.to_csv(tmp_path / "expressions.csv", index=False)
    predictions_table(found, "session 1").to_csv(tmp_path / "predictions.csv", index=False)
    truth = written(tmp_path / "talk.eaf", Annotated(11, 20, "negative", 18))
    out = evaluated(capsys, tmp_path / name, truth)
    read = figures(out)
    assert (read["TP"], read["FP"], read["FN"], read["AP@.5:.95"]) == ("1", "1", "0", "0.9000"), out
    assert float(next(value for key, value in read.items() if key.lower().startswith("mae"))) == 3
    assert "session 1" in out and "not every prediction has a score" not in out


def test_an_elan_file_is_evaluated_as_predictions(tmp_path, capsys):
    truth = csv(tmp_path / "g.csv", "subject,video,onset,apex,offset,emotion\nsession 1,talk,10,15,20,negative\n")
    read = figures(evaluated(capsys, written(tmp_path / "talk.eaf"), truth))
    assert (read["TP"], read["FP"], read["FN"]) == ("1", "1", "0")


def test_a_review_against_the_predictions(tmp_path, capsys, review):
    predictions_table(expressions(*TWO), "session 1").to_csv(tmp_path / "p.csv", index=False)
    out = evaluated(capsys, tmp_path / "p.csv", review)
    read = figures(out)
    assert (read["TP"], read["FP"], read["FN"]) == ("2", "0", "0")
    assert f"  - {review}: 1 unreviewed row(s) are left out\n" in out


def test_two_faces_at_the_same_time_are_kept_apart(tmp_path, capsys):
    """Face 1 smiles; the prediction is of face 0 at the same time: it is wrong."""
    both = expressions((0, 10, 15, 20, 0.5, "negative"), (1, 50, 54, 60, 0.25, "positive"))
    predictions_table(both, "session 1").to_csv(tmp_path / "p.csv", index=False)
    write_eaf(
        tmp_path / "talk.eaf",
        tmp_path / "talk.mp4",
        {0: [], 1: [Annotated(10, 20, "negative", 15), Annotated(50, 60, "positive", 54)]},
        TALK,
    )
    read = figures(evaluated(capsys, tmp_path / "p.csv", tmp_path / "talk.eaf"))
    assert (read["TP"], read["FP"], read["FN"]) == ("1", "1", "1")


def test_a_truth_without_any_emotion_can_be_spotted(tmp_path, capsys):
    truth = written(tmp_path / "talk.eaf", Annotated(10, 20, "unclear", 15))
    predictions_table(expressions(*TWO), "session 1").to_csv(tmp_path / "p.csv", index=False)
    assert figures(evaluated(capsys, tmp_path / "p.csv", truth))["TP"] == "1"


def test_own_predictions_have_the_columns_of_datasets():
    found = predictions_table(expressions(*TWO), "s")
    assert found.columns.tolist()[:10] == [
        "subject", "video", "onset", "apex", "offset", "onset_s", "offset_s", "score", "emotion", "confidence",
    ]  # fmt: skip
    assert found.columns[10:].tolist() == ["face"]
    assert found.iloc[0].tolist() == ["s", "talk", 10, 15, 20, 0.4, 0.8, 0.5, "negative", 0.6, 0]
    assert np.isnan(predictions_table(expressions((0, 1, 2, 3, np.nan, "")), "s")["score"][0])
    assert set(CLASSES) >= set(found["emotion"])


KINDS_HEAD = "subject,video,onset,offset,emotion,"
#          onset, offset, kind as the two columns say it
BOTH = ((10, 20, "micro", "me"), (100, 160, "macro", "mae"), (200, 260, "macro", "mae"))


def of_kinds(path, rows, column="kind"):
    """A table with a column `kind` or `type`."""
    word = 2 if column == "kind" else 3
    lines = [f"s,v,{row[0]},{row[1]},positive,{row[word]}\n" for row in rows]
    return csv(path, KINDS_HEAD + f"{column}\n" + "".join(lines))


@pytest.mark.parametrize("columns", [("kind", "kind"), ("type", "kind"), ("type", "type")])
def test_both_kinds_are_compared_if_both_tables_have_them(tmp_path, columns, capsys):
    """A macro-expression that lies on an annotated micro-expression is no match. One of the two macros is found."""
    predicted = [(10, 20, "macro", "mae"), (100, 160, "macro", "mae"), (300, 310, "micro", "me")]
    tables = [
        of_kinds(tmp_path / f"{i}.csv", rows, column)
        for i, (rows, column) in enumerate(zip((predicted, BOTH), columns, strict=True))
    ]
    assert main.main(["--evaluate", str(tables[0]), "--ground_truth", str(tables[1])]) == 0
    said = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["Micro", "0", "1", "1", "0.0000", "0.0000", "0.0000", "0.0000"] in said
    assert ["Macro", "1", "1", "1", "0.5000", "0.5000", "0.5000"] in [line[:7] for line in said]
    assert ["Overall", "1", "2", "2", "0.3333", "0.3333", "0.3333", "-"] in said


def test_macro_expressions_of_one_table_alone_are_left_out(tmp_path, capsys):
    truth = of_kinds(tmp_path / "t.csv", BOTH)
    predictions = csv(tmp_path / "p.csv", "subject,video,onset,offset,emotion\ns,v,10,20,positive\n")
    assert main.main(["--evaluate", str(predictions), "--ground_truth", str(truth)]) == 0
    said = capsys.readouterr().out
    assert f"{truth}: 2 row(s) of another kind than micro are left out" in said and "Overall" not in said
    only_macro = of_kinds(tmp_path / "m.csv", BOTH[1:])
    assert main.main(["--evaluate", str(predictions), "--ground_truth", str(only_macro)]) == 2
    assert "no expression remains as ground truth (2 row(s) of another kind than micro" in capsys.readouterr().err
    assert main.main(["--evaluate", str(only_macro), "--ground_truth", str(only_macro)]) == 0
    assert "1.0000" in capsys.readouterr().out


def test_another_word_in_the_column_type_is_refused(tmp_path, capsys):
    table = of_kinds(tmp_path / "t.csv", [(1, 2, "", "micro")], "type")
    assert main.main(["--evaluate", str(table), "--ground_truth", str(table)]) == 2
    assert "column type: 'micro' is neither me nor mae" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["macro-expression", "Macro", "mae"])
def test_other_words_for_macro_expressions(tmp_path, word, capsys):
    table = of_kinds(tmp_path / "t.csv", [(10, 20, "micro"), (100, 160, word)])
    assert main.main(["--evaluate", str(table), "--ground_truth", str(table)]) == 0
    said = [line.split()[:4] for line in capsys.readouterr().out.splitlines()]
    assert ["Micro", "1", "0", "0"] in said and ["Macro", "1", "0", "0"] in said


def test_macro_expressions_that_a_dataset_run_missed_count(tmp_path, capsys):
    """The predictions say their kind, and none is macro. Those of an own video never are, so there none counts."""
    truth = of_kinds(tmp_path / "t.csv", BOTH)
    predictions = of_kinds(tmp_path / "p.csv", BOTH[:1])
    assert main.main(["--evaluate", str(predictions), "--ground_truth", str(truth)]) == 0
    assert ["Overall", "1", "0", "2"] in [line.split()[:4] for line in capsys.readouterr().out.splitlines()]
    text = predictions.read_text().replace("emotion,kind", "emotion,kind,face").replace("micro", "micro,0")
    own = csv(tmp_path / "own.csv", text)
    assert main.main(["--evaluate", str(own), "--ground_truth", str(truth)]) == 0
    said = capsys.readouterr().out
    assert "2 row(s) of another kind than micro are left out" in said and "Overall" not in said


def test_macro_expressions_alone_are_named(tmp_path, capsys):
    table = of_kinds(tmp_path / "t.csv", BOTH[1:])
    assert main.main(["--evaluate", str(table), "--ground_truth", str(table)]) == 0
    assert "Metrics: paper protocol, macro-expressions" in capsys.readouterr().out
