"""What was reviewed in the page goes to ELAN, and back as ground truth: a real browser, pympi, and `--evaluate`."""

from __future__ import annotations

import numpy as np
import pytest
from pympi.Elan import Eaf

import main
from tests.support.browser import CALM, NOW, choose_prediction, open_review
from tests.support.command_line import only_run
from tests.support.eaf_files import check_eaf
from tests.support.report_examples import CLASSES, FPS, curve
from Utils.evaluation.csv_files import read_table
from Utils.evaluation.eaf import read_eaf
from Utils.evaluation.eaf_writer import EafAbout, eaf_template
from Utils.evaluation.reviews import read_intervals
from Utils.report.pages import write_report


@pytest.fixture
def two_faces(tmp_path):
    """A report of the user's own video with two faces, and an ELAN file without expressions."""
    about = EafAbout("session 1", "talk", FPS, 120, CLASSES)
    eaf = eaf_template(tmp_path / "talk.mp4", (0, 1), about, tmp_path / "report.html")
    rows = {"0": [(18, 24, 30, "surprise", 0.9), (50, 56, 62, "negative", 0.3)], "1": [(20, 26, 40, "unclear", 0.5)]}
    curves = [curve("", "talk", found, face=face, eaf=eaf) for face, found in rows.items()]
    write_report(tmp_path / "report.html", "talk", curves, CLASSES)
    return tmp_path / "report.html"


def test_what_was_reviewed_goes_to_elan_and_back(two_faces, tmp_path, visit_still):
    page = open_review(visit_still(two_faces, **CALM))
    page.get_by_label("Coder").fill("A <B>")
    page.get_by_label("Coder").blur()
    page.get_by_role("button", name="Accept").click()
    page.get_by_role("button", name="Add a missed one").click()  # it overlaps the first
    for label, frame in (("Onset frame", "20"), ("Offset frame", "44"), ("Onset frame", "28")):
        page.get_by_label(label).fill(frame)
        page.get_by_label(label).blur()
    page.locator("#review-emotion").select_option("others")
    choose_prediction(page, 1)
    page.get_by_role("button", name="Reject").click()
    page.locator("#expressions tr[data-curve='1'] .choose").click()
    page.get_by_role("button", name="Accept").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save for ELAN").click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    root = check_eaf(path)
    assert root.get("AUTHOR") == "A <B>" and NOW.fullmatch(root.get("DATE"))
    found = read_eaf(path)
    assert found[["subject", "video"]].drop_duplicates().to_numpy().tolist() == [["session 1", "talk"]]
    columns = ["face", "onset", "apex", "offset", "emotion", "kind"]
    assert found[columns].to_numpy().tolist() == [
        ["0", 18, 24, 30, "surprise", "micro"],
        ["0", 28, 28, 44, "others", "micro"],
        ["1", 20, 26, 40, None, "micro"],  # "unclear"
    ]
    assert found["score"].tolist() == pytest.approx([0.9, np.nan, 0.5], nan_ok=True)
    eaf = Eaf(str(path))
    assert sorted(eaf.get_tier_names())[:4] == ["face 0", "face 0 (2)", "face 0 (2) apex", "face 0 (2) kind"]
    assert eaf.get_annotation_data_for_tier("face 0") == [(600, 1000, "surprise")]
    reviewed = tmp_path / "reviewed.csv"
    with page.expect_download() as download:
        page.get_by_role("button", name="Save reviewed.csv").click()
    download.value.save_as(reviewed)
    table, remarks = read_intervals(reviewed, ground_truth=True)
    assert (
        remarks == []
        and table[["onset", "offset"]].to_numpy().tolist() == found[["onset", "offset"]].to_numpy().tolist()
    )
    assert main.main(["--agreement", str(reviewed), str(path)]) == 0


def test_a_review_of_a_dataset_goes_to_elan_and_is_ground_truth(trained_demo, tmp_path, visit_still):
    """The page of a real run. There is no video to link, because a dataset's videos are images."""
    run = only_run(trained_demo.folder)
    page = open_review(visit_still(run / "report.html", **CALM))
    page.get_by_role("button", name="Accept").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save for ELAN").click()
    path = tmp_path / "reviewed.eaf"
    download.value.save_as(path)
    root = check_eaf(path)
    assert not list(root.iter("MEDIA_DESCRIPTOR"))
    predicted, found = read_table(run / "predictions.csv"), read_eaf(path)
    same = ["subject", "video", "onset", "apex", "offset", "emotion"]
    assert found[same].to_numpy().tolist() == predicted[same].iloc[:1].to_numpy().tolist()
    assert main.main(["--evaluate", str(path), "--ground_truth", str(run / "ground_truth.csv")]) == 0
