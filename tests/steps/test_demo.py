r"""README's figures for DEMO: what the recorded tables give, and two of its videos made and analysed again.

Recorded are the tables of the pretrained run: `python main.py`, then `cp runs/DEMO-pretrained-*/predictions.csv
tests/recorded/demo_predictions.csv`, and ground_truth.csv alike.

DEMO's frames, crops, landmarks and flow are the same bytes on every x86 processor. Features and networks are not.
How far this goes was measured by the same run on an AMD EPYC with AVX2 (Zen 3, 1 December 2026), without its AVX2 and
without IPP:

    NPY_DISABLE_CPU_FEATURES="AVX2 FMA3 AVX F16C SSE42 SSE41 SSSE3 POPCNT" OPENCV_IPP=disabled \
    OPENCV_CPU_DISABLE=AVX2,FP16,AVX,SSE4.2,SSE4.1,SSSE3 OPENBLAS_CORETYPE=Prescott python main.py

On one with AVX-512 (Zen 4) the rows are the recorded ones; nine scores differ by 1e-16. In the run of this command
features differ by 3.3e-6 at most. With the weights of before, smoothed scores and confidences differed by 3e-7, and
all 36 rows were the same otherwise.

The frames' last bits matter more than one would think. The frames of renderer 1 differ from these by one gray level in
about two pixels of nine frames in ten. With them those weights gave TP/FP/FN 26/9/19 on a processor with AVX-512 and
24/11/21 with AVX2.
"""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

import main
from tests.support import recount
from tests.support.command_line import only_run
from tests.support.paths import PROJECT, RECORDED
from tests.support.quicker import without_rendering
from Utils.evaluation.csv_files import read_table
from Utils.evaluation.evaluate import evaluate
from Utils.synthetic.dataset import WORKBOOK_NAME, plan, render_video, write_workbook

CLASSES = ("negative", "positive", "surprise")
VIDEOS = {("s15", "15_0203fogharbour"), ("s20", "20_0203fogharbour")}
SCORE_TOLERANCE = 1e-4  # of a smoothed score at a peak, and of the confidence, between processors


def recorded():
    """Predictions and ground truth of the pretrained run over all of DEMO."""
    return (
        read_table(RECORDED / "demo_predictions.csv"),
        read_table(RECORDED / "demo_ground_truth.csv", ground_truth=True),
    )


def test_readme_has_the_figures_of_the_recorded_run():
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    (row,) = re.findall(r"^\| DEMO \(\*\*synthetic\*\*\) \|(.*)$", text, re.MULTILINE)
    metrics = evaluate(*recorded(), CLASSES)
    spotting, analysis = metrics["spotting"], metrics["analysis"]

    def printed(value: float) -> str:
        return f"{value:.4f}".removeprefix("0")

    for words in (
        f"spotting F1 {printed(spotting['f1'])} (TP {spotting['tp']}, FP {spotting['fp']}, FN {spotting['fn']})",
        f"AP {printed(spotting['ap'])}",
        f"analysis F1 {printed(analysis['f1'])}, UF1 {printed(analysis['uf1'])}, UAR {printed(analysis['uar'])} "
        f"({analysis['evaluated']} analysed, {analysis['correct']} correct)",
        f"STRS {printed(metrics['strs'])}",
    ):
        assert words in row, words
    assert (spotting["tp"], spotting["fp"], spotting["fn"]) == (26, 12, 19)


def test_the_recorded_figures_are_counted_again():
    """Counted by tests/support/recount.py, so README's figures do not depend on the evaluation's code alone."""
    tables = [recount.read_table(RECORDED / f"demo_{name}.csv") for name in ("predictions", "ground_truth")]
    counted, found = recount.paper(*tables, CLASSES, one_per_video=False), evaluate(*recorded(), CLASSES)
    assert found["spotting"] == pytest.approx(counted["spotting"])
    assert found["analysis"] == pytest.approx(counted["analysis"])
    assert found["strs"] == pytest.approx(counted["strs"])


def test_the_recorded_annotations_are_those_that_demo_is_made_with():
    truth = recorded()[1]
    planned = [
        (video.subject_code, video.folder.name, event.onset, event.apex, event.offset, event.emotion)
        for video in plan()
        for event in sorted(video.events, key=lambda event: event.onset)
        if event.kind == "micro-expression"
    ]
    columns = ["subject", "video", "onset", "apex", "offset", "emotion"]
    assert list(truth[columns].itertuples(index=False, name=None)) == planned


def test_two_videos_give_the_recorded_rows(tmp_path, monkeypatch):
    """From rendering to metrics with the shipped weights; all other videos' folders are missing, which is reported."""
    monkeypatch.chdir(tmp_path)
    without_rendering(monkeypatch)
    plans = plan()
    for video in plans:
        if (video.subject_code, video.folder.name) in VIDEOS:
            render_video(video, tmp_path / "data/DEMO")
    write_workbook(plans, tmp_path / "data/DEMO" / WORKBOOK_NAME)
    assert main.main(["--workers", "1"]) == 0
    run = only_run(tmp_path, "DEMO-pretrained")
    assert json.loads((run / "settings.json").read_text())["k_prime"] == 6  # as for all videos

    def of_the_two(table):
        return table[[video in VIDEOS for video in zip(table["subject"], table["video"], strict=True)]]

    expected, truth = map(of_the_two, recorded())
    found = read_table(run / "predictions.csv")
    for column in ("subject", "video", "onset", "apex", "offset", "emotion"):
        assert found[column].tolist() == expected[column].tolist(), column
    np.testing.assert_allclose(found["score"], expected["score"], atol=SCORE_TOLERANCE)
    np.testing.assert_allclose(found["confidence"], expected["confidence"], atol=SCORE_TOLERANCE)
    annotated = read_table(run / "ground_truth.csv", ground_truth=True)
    for column in ("subject", "video", "onset", "apex", "offset", "emotion"):
        assert annotated[column].tolist() == truth[column].tolist(), column
    metrics = json.loads((run / "metrics.json").read_text())
    whole = evaluate(*recorded(), CLASSES)["per_video"]
    assert metrics["per_video"] == [row for row in whole if (row["subject"], row["video"]) in VIDEOS]
    assert sum(row["tp"] for row in metrics["per_video"]) == 3
