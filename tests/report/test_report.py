"""The HTML report as it is written: contents, escaping, pictures, tables of results."""

import base64
import csv
import hashlib
import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from tests.support.report_examples import (
    CLASSES,
    HOSTILE,
    SET_ASIDE,
    clip,
    curve,
    evaluations_of,
    metrics_of,
    run,
    table,
    verified,
    write_example,
)
from Utils.evaluation.tables import GROUND_TRUTH_COLUMNS, PREDICTION_COLUMNS
from Utils.report.clip import ClipFrames, clip_data
from Utils.report.contents import CSV_COLUMNS, csv_line, curve_contents, float32_base64
from Utils.report.pages import SCRIPTS, relative_link, script_json, write_report
from Utils.report.results import NEITHER, confusion, confusion_tables, flattened, metric_groups, subject_table

COLOURS = {"negative": "#000001", "positive": "#000002", "surprise": "#000003"}


# What is written


def contents(*curves):
    return [curve_contents(i, c, COLOURS) for i, c in enumerate(curves)]


class Page(HTMLParser):
    """A page's scripts (type, text), addresses that it names, and policy."""

    def __init__(self, text):
        super().__init__()
        self.scripts, self.addresses, self.policy, self.inside = [], [], "", False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.addresses += [attributes[key] for key in ("src", "href", "action", "srcset") if key in attributes]
        if tag == "script":
            self.inside = True
            self.scripts.append([attributes.get("type", ""), ""])
        if attributes.get("http-equiv") == "Content-Security-Policy":
            self.policy = attributes["content"]

    def handle_endtag(self, tag):
        self.inside = self.inside and tag != "script"

    def handle_data(self, data):
        if self.inside:
            self.scripts[-1][1] += data


def test_the_page_names_nothing_outside_and_the_hash_of_each_script(tmp_path):
    page = Page(write_example(tmp_path / "report.html").read_text(encoding="utf-8"))
    assert page.addresses == ["data:,", "#main", "#footage"]
    code = [text for kind, text in page.scripts if kind in ("", "text/plain")]  # the second is Plotly, started later
    hashes = {f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in code}
    policy = dict(part.strip().split(" ", 1) for part in page.policy.split(";"))
    assert len(code) == 1 + len(SCRIPTS) and set(policy["script-src"].split()) == hashes
    assert policy["default-src"] == "'none'" and policy["img-src"] == "data:"
    data = [json.loads(text) for kind, text in page.scripts if kind == "application/json"]
    assert [part["label"] for part in data if "label" in part] == ["s1/a", "s1/b", "s10/c"]


def test_equal_input_gives_equal_bytes_and_a_generator_does(tmp_path):
    for name, curves in (("one.html", run()), ("two.html", (c for c in run()))):
        write_report(tmp_path / name, "DEMO", curves, CLASSES, settings={"a": 1.5})
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_json_in_a_script_element_has_no_markup_and_says_the_same():
    text = script_json(list(HOSTILE))
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == list(HOSTILE)
    with pytest.raises(ValueError, match="JSON"):
        script_json(float("nan"))


def test_scores_are_little_endian_float32_with_gaps():
    values = np.frombuffer(base64.b64decode(float32_base64([0.5, np.nan, np.inf, -2.0])), "<f4")
    np.testing.assert_array_equal(values, np.float32([0.5, np.nan, np.nan, -2.0]))


def test_a_curve_as_the_page_holds_it():
    rows = [(50, 56.0, 62, "positive", 0.3), (10, np.nan, 20, "anger", 0.5), (18, 24.0, 30, None, np.nan)]
    asked = []

    def clip_once(which, row):
        asked.append((which, row))
        return clip(which, row)

    (content,) = contents(curve("s1", "a", rows, [(12, -1.0, 20, "positive")], clip=clip_once, face="2"))
    assert (content.label, content.option) == ("s1/a, face 2", "s1/a, face 2 (3 predicted, 1 annotated, 1 matched)")
    shown = [(r["kind"], r["onset"], r["apex"], r["emotion"], r["matched"], r["colour"]) for r in content.rows]
    assert shown == [
        ("predicted", 10, None, "anger", True, "#8C8C8C"),
        ("annotated", 12, -1, "positive", True, "#000002"),
        ("predicted", 18, 24, None, False, "#8C8C8C"),
        ("predicted", 50, 56, "positive", False, "#000002"),
    ]
    assert [r["apex_s"] for r in content.rows] == pytest.approx([None, -1 / 30, 24 / 30, 56 / 30])
    intervals = content.data["intervals"]
    assert [intervals[r["position"]]["onset"] for r in content.rows] == [10, 12, 18, 50]
    assert [i["lane"] for i in intervals] == [0, 1, 0, 0]  # 18 to 30 overlaps 10 to 20
    assert [i["peak_frame"] for i in intervals] == [15, 24, 56, 16]  # the middle where the apex is unknown
    assert sorted(asked) == [("annotated", 0), ("predicted", 0), ("predicted", 1), ("predicted", 2)]
    assert intervals[0]["start"] == pytest.approx(9.5 / 30) and intervals[0]["end"] == pytest.approx(20.5 / 30)


def test_times_come_from_the_table_where_it_has_them():
    predictions = table(PREDICTION_COLUMNS, "s1", "a", (30, 36, 42, "positive", 0.5)).assign(onset_s=7.0, offset_s=7.5)
    (content,) = contents(curve(predictions=predictions))
    row = content.rows[0]
    assert (row["onset_s"], row["apex_s"], row["offset_s"]) == pytest.approx((7.0, 7.2, 7.5))


def test_the_summary_puts_the_plot_into_words():
    scores = np.array([0.1, 0.4, np.nan, 0.2])
    (content,) = contents(curve(n=4, raw=scores, smoothed=scores, fps=2.0))
    assert content.data["summary"] == (
        "2.0 seconds (4 frames at 2 frames per second); the smoothed score lies between 0.1 and 0.4, highest at 0.50 s "
        "(frame 1); it is the mean over 12 frames, 6.00 s; 0.5 seconds are not scored; threshold 0.25; 0 predicted."
    )


def test_nothing_scored_and_no_pictures_is_a_curve_too():
    scores = np.full(5, np.nan)
    (content,) = contents(curve(n=5, raw=scores, smoothed=scores, predicted=[(0, 2, 4, "positive")], clip=None))
    assert "2.0 seconds" not in content.data["summary"] and "0.2 seconds are not scored" in content.data["summary"]
    assert content.clips == [None]


def test_many_overlapping_intervals_stay_in_few_lanes():
    (content,) = contents(curve(predicted=[(i, i + 20, i + 40, "positive") for i in range(20)]))
    assert {i["lane"] for i in content.data["intervals"]} == set(range(6))


def no_crops(*_) -> dict:
    return clip_data(ClipFrames((1, 2), 1), [], 30.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(smoothed=np.zeros(3)), "raw and smoothed"),
        (dict(raw=np.zeros(0), smoothed=np.zeros(0)), "raw and smoothed"),
        (dict(fps=0.0), "frames per second"),
        (dict(fps=float("nan")), "frames per second"),
        (dict(predictions=table(PREDICTION_COLUMNS, "s2", "a", (1, 2, 3, "positive"))), "s2/a"),
        (dict(annotations=table(GROUND_TRUTH_COLUMNS, "s1", "a", (9, 9, 3, "positive"))), "onset after offset"),
        (dict(predicted=[(1, 2, 3, "x")], clip=no_crops), "2 crops of shape"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        write_report(tmp_path / "report.html", "DEMO", [curve(**changes)], CLASSES)
    assert list(tmp_path.iterdir()) == []


def test_csv_lines_survive_any_text():
    row = dict.fromkeys(CSV_COLUMNS) | {"video": 'a,"b"\r\nc', "score": 1 / 3, "matched": True, "onset": -2}
    (fields,) = (
        csv.reader([csv_line(row)], strict=True)
        if "\n" not in csv_line(row)
        else csv.reader(csv_line(row).splitlines(keepends=True), strict=True)
    )
    assert dict(zip(CSV_COLUMNS, fields, strict=True)) == dict.fromkeys(CSV_COLUMNS, "") | {
        "video": 'a,"b"\r\nc', "score": "0.333333", "matched": "yes", "onset": "-2",
    }  # fmt: skip


# What a second look set aside


def written(path, **more) -> str:
    write_report(path, "a", more.pop("curves", [verified()]), CLASSES, **more)
    return path.read_text(encoding="utf-8")


def cells_of(text, table_id) -> list[list[str]]:
    """The text of the cells of a table's body, row by row."""
    body = text.split(f'<table id="{table_id}"')[1].split("<tbody>")[1].split("</tbody>")[0]
    return [
        [
            html.unescape(re.sub("<[^>]*>", "", cell)).strip()
            for cell in re.findall(r"<t[dh]\b.*?</t[dh]>", row, re.DOTALL)
        ]
        for row in body.split("</tr>")[:-1]
    ]


def test_what_was_set_aside_is_a_table(tmp_path):
    text = written(tmp_path / "report.html", set_aside=SET_ASIDE)
    assert cells_of(text, "set-aside") == [
        ["1.00", "1.75", "macro", "2.35", "0.11", "head moves"],
        ["7.00", "7.20", "blink", "0.50", "0.00", ""],
    ]
    assert "candidates.csv" in text and "What was set aside, and why" in text
    assert "not measured on spontaneous micro-expressions" in " ".join(text.split())
    (row,) = cells_of(text, "expressions")
    assert row[1:9] == ["positive", "0.33", "0.73", "–", "0.87", "0.65", "small face; unclear emotion", "0.500"]
    with_faces = written(
        tmp_path / "two.html", set_aside=[{**SET_ASIDE[0], "face": 1}], curves=[replace(verified(), face="1")]
    )
    assert cells_of(with_faces, "set-aside")[0][0] == "1"


def test_nothing_set_aside_is_said(tmp_path):
    text = written(tmp_path / "report.html", set_aside=[])
    assert "Nothing was set aside" in text and 'id="set-aside"' not in text


def test_where_nothing_was_scored_it_is_said(tmp_path):
    """A video without a face: it is a video, nothing was set aside, and the remarks have the reason."""
    finding = {"name": "time with a scored face", "value": "0%", "level": "red", "advice": "Look."}
    path = tmp_path / "report.html"
    write_report(path, "a", [], CLASSES, footage=[finding], set_aside=[], remarks=["no face was found"])
    text = path.read_text(encoding="utf-8")
    assert "Nothing was scored, so there is no curve" in text and 'id="remarks"' in text
    assert not any(words in text for words in ("0 video", "Nothing was set aside", "There is no video"))


def test_without_a_second_look_there_is_no_such_table(tmp_path):
    text = written(tmp_path / "report.html", set_aside=None)
    for absent in ("set aside", "set-aside", "p(micro)", "Movement (px)", "candidates.csv"):
        assert absent not in text.split("<script")[0]
    assert "even a video of a neutral face tends to get predicted expressions" in " ".join(text.split())


def test_what_is_said_of_the_threshold_does_not_contradict_an_absolute_one(tmp_path):
    relative, within = "A relative threshold lies between", "Compare scores within one video only"
    text = written(tmp_path / "relative.html")
    assert relative in text and within in text
    text = written(tmp_path / "absolute.html", compared="Scores of all videos are compared.")
    assert relative not in text and within not in text and "Scores of all videos are compared." in text


@pytest.mark.parametrize("hostile", HOSTILE)
def test_flags_and_kinds_are_escaped(hostile, tmp_path):
    rows = [{**SET_ASIDE[0], "flags": hostile, "kind": hostile}]
    text = written(tmp_path / "report.html", set_aside=rows, curves=[verified(flags=hostile)])
    assert hostile not in text
    assert cells_of(text, "set-aside")[0][2::3] == [hostile.strip()] * 2
    assert cells_of(text, "expressions")[0][7] == hostile.strip()


# Results


def counts_of(matrix: dict) -> list[list[int]]:
    return [[cell["count"] for cell in row["cells"]] for row in matrix["rows"]]


def test_the_confusion_matrix_counts_what_the_metrics_analyse():
    evaluations = evaluations_of(run())
    assert evaluations["paper"].pairs == [("surprise", "surprise"), ("negative", "positive")]
    analysis = evaluations["paper"].metrics["analysis"]
    assert (analysis["evaluated"], analysis["correct"]) == (2, 1)
    paper, upstream = confusion_tables(evaluations, CLASSES)
    assert (paper["protocol"], upstream["protocol"]) == ("paper", "upstream")
    assert counts_of(paper) == counts_of(upstream) == [[0, 1, 0], [0, 0, 0], [0, 0, 1]]


def test_each_protocol_has_the_confusion_matrix_of_its_own_pairs():
    """Upstream's dummy prediction and its list that lags behind change its pairs; the paper's stay as they are."""
    curves = [
        curve("s1", "a", [(10, 16, 22, "negative", 0.9), (50, 56, 62, "positive", 0.8)],
              [(10, 16, 22, "others"), (50, 56, 62, "positive")]),
    ]  # fmt: skip
    evaluations = evaluations_of(curves)
    tables = {t["protocol"]: counts_of(t) for t in confusion_tables(evaluations, CLASSES)}
    assert tables["paper"] == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert tables["upstream"] == [[0, 0, 0], [1, 0, 0], [0, 0, 0]]
    first = [t["protocol"] for t in confusion_tables(dict(reversed(evaluations.items())), CLASSES)]
    assert first == ["paper", "upstream"]


def test_a_subject_without_recognition_and_an_emotion_of_no_class_do_not_count():
    curves = [
        curve("s1", "a", [(10, 16, 22, None)], [(10, 16, 22, "positive")]),  # no emotion at all: not recognised
        curve("s2", "a", [(10, 16, 22, "anger"), (50, 56, 62, None)],
              [(10, 16, 22, "positive"), (50, 56, 62, "surprise"), (80, 81, 82, "negative")]),
        curve("s3", "a", [(10, 16, 22, "positive")], [(10, 16, 22, "others")]),
    ]  # fmt: skip
    evaluation = evaluations_of(curves)["paper"]
    assert evaluation.pairs == [("positive", "anger"), ("surprise", None)]
    assert evaluation.metrics["analysis"]["evaluated"] == len(evaluation.pairs)


def test_the_report_shows_the_matches_that_it_is_given():
    """It computes none of its own: the same tables with other matches give other marks."""
    given = curve("s1", "a", [(10, 16, 22, "negative"), (50, 56, 62, "positive")], [(10, 16, 22, "negative")])
    none, second = replace(given, matches=[]), replace(given, matches=[(1, 0)])

    def marks(curve):
        return {(r["kind"], r["onset"]): r["matched"] for r in contents(curve)[0].rows}

    assert marks(given) == {("predicted", 10): True, ("predicted", 50): False, ("annotated", 10): True}
    assert marks(none) == dict.fromkeys(marks(given), False)
    assert marks(second) == {("predicted", 10): False, ("predicted", 50): True, ("annotated", 10): True}
    assert "1 matched" in contents(second)[0].option and "0 matched" in contents(none)[0].option


def test_confusion_by_hand():
    pairs = [("negative", "negative"), ("negative", "positive"), ("negative", "negative"), ("positive", None)]
    matrix = confusion(pairs, CLASSES)
    assert matrix["columns"] == [*CLASSES, NEITHER]
    counts = {row["label"]: [cell["count"] for cell in row["cells"]] for row in matrix["rows"]}
    assert counts == {"negative": [2, 1, 0, 0], "positive": [0, 0, 0, 1], "surprise": [0, 0, 0, 0]}
    assert matrix["rows"][0]["cells"][0] == {"count": 2, "share": 2 / 3, "right": True}
    assert confusion(pairs[:3], CLASSES)["columns"] == list(CLASSES)


def test_metric_rows_have_a_value_for_each_protocol():
    groups = {group["title"].split(":")[0]: group["rows"] for group in metric_groups(metrics_of(run()))}
    assert list(groups) == ["Spotting", "Analysis", "Both"]
    values = {row["name"]: row["values"] for row in groups["Spotting"]}
    assert values["True positives"] == ["2", "2"] and values["F1"] == ["0.5000", "0.5000"]
    assert values["AP at IoU 0.5, greedy"][0] == "–" != values["AP at IoU 0.5, greedy"][1]


def test_intervals_stand_beside_their_figures(tmp_path):
    rows = {row["name"]: row for group in metric_groups(metrics_of(run())) for row in group["rows"]}
    assert rows["F1"]["values"] == ["0.5000"] * 2 and rows["F1"]["intervals"] == ["0.500–0.571"] * 2
    assert rows["True positives"]["intervals"] == ["", ""] and rows["AP at IoU 0.5, greedy"]["intervals"][0] == ""
    page = write_example(tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("0.5000 <small>0.500–0.571</small>") == 2 and "The small numbers are 95 % intervals" in page
    assert page.count("intervals: they come from 2 subjects only") == 2  # a note of each protocol


def test_subjects_and_their_total():
    rows = subject_table(metrics_of(run())["paper"])
    shown = [(r["subject"], r["videos"], r["annotated"], r["predicted"], r["tp"], r["f1"]) for r in rows]
    assert shown == [
        ("s1", "2", "3", "4", "2", "0.5714"),
        ("s10", "1", "0", "1", "0", "–"),
        ("All", "3", "3", "5", "2", "0.5000"),
    ]


def test_settings_are_flattened():
    nested = {"k": 3, "s": {"p": 0.55, "dir": None, "classes": ["a", "b"]}, "train": True}
    assert dict(flattened(nested)) == {"k": "3", "s.p": "0.55", "s.dir": "–", "s.classes": "a, b", "train": "true"}


@pytest.mark.parametrize(
    ("path", "link"),
    [
        ("a b/report.html", "./a%20b/report.html"),
        ("javascript:alert(1)", "./javascript%3Aalert%281%29"),
        ("50%#1?.html", "./50%25%231%3F.html"),
        ("ä/\udcff.html", "./%C3%A4/%FF.html"),
    ],
)
def test_links_are_relative_whatever_the_name(path, link):
    assert relative_link(path) == link
