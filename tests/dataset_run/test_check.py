"""The check of a dataset: counts compared with the published ones, rows left out, and frames that cannot be read."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

import main
from load_images import find_videos
from tests.support.layouts import make_small, shared_layout, small_clip, small_row, write_xlsx
from Utils.dataset_run.check import check_dataset, check_frames, image_fault
from Utils.datasets.table import DATASETS

CASME_SQ = DATASETS["CASME_sq"]


def test_check_of_a_whole_dataset():
    report = check_dataset(DATASETS["SAMMLV"], shared_layout("SAMMLV", faults=True)).report.splitlines()
    assert report[0].startswith("SAMM Long Videos in ")
    for line in (
        "takes part (videos with a micro-expression; 200 frames a second, k = 20)",
        "  subjects/videos/expressions: published 29/79/159, here 5/6/6: differs",
        "  k': published 37, here 12: differs",
        "  negative: 2 expressions of 1 subjects",
        "  others: 2 expressions of 2 subjects, spotted and not recognised",
        "  subjects without an expression of an evaluated class: 006, 013",
        "workbook rows: 7 micro-expressions that can be used",
        "  1 skipped, onset 0: SAMM_LongVideos_V2_Release.xlsx, sheet 'Sheet1', row 16",
        "rows left out because they are faulty: 7",
        "remarks on annotations and folders: 2",
        "  every file begins and ends as an image, and the first of each video can be decoded",
    ):
        assert line in report
    assert sum("row 21, column D: onset 45 lies after offset 21" in line for line in report) == 1
    assert (
        f"frames: 386 in 7 video folder(s) below {shared_layout('SAMMLV', faults=True)}/SAMMLV/SAMM_longvideos"
        in report
    )


@pytest.mark.parametrize(
    ("name", "published", "k_prime", "line"),
    [
        ("CASME_sq", (5, 6, 7), 10, "  subjects/videos/expressions: published 5/6/7, here 5/6/7: equal"),
        ("CASME_sq", (5, 6, 7), 10, "  k': published 10, here 10: equal"),
        ("SMIC_HS", (5, 8, 8), None, "  k': here 12"),
        ("SMIC_NIR", (), None, "  subjects/videos/expressions: here 5/8/8"),
    ],
)
def test_check_compares_with_the_published_counts(name, published, k_prime, line):
    dataset = replace(DATASETS[name], published=published, k_prime=k_prime)
    assert line in check_dataset(dataset, shared_layout(name)).report.splitlines()


def test_check_names_bad_frames_and_folders(tmp_path):
    make_small(
        tmp_path, [small_clip("s1/1_0101a"), small_clip("s2/2_0101a")], [small_row(1, "0101"), small_row(2, "0101")]
    )
    folder = tmp_path / "CASME_sq/rawpic/s1/1_0101a"
    good = (folder / "img001.jpg").read_bytes()
    for number, content in {2: b"", 3: good[:-40], 4: b"no image at all"}.items():
        (folder / f"img{number:03d}.jpg").unlink()  # a link to the clip
        (folder / f"img{number:03d}.jpg").write_bytes(content)
    (folder / "img007.jpg").unlink()
    (tmp_path / "CASME_sq/rawpic/s2/2_0102b").mkdir()
    report = check_dataset(CASME_SQ, tmp_path).report.splitlines()
    assert report[report.index("cannot be used: 4") + 1].startswith(
        f"  {tmp_path}/CASME_sq/rawpic/s2/2_0102b: no frames"
    )
    start = report.index("frames that cannot be read: 3")
    assert report[start + 1 : start + 4] == [
        f"  {folder}/img002.jpg: empty",
        f"  {folder}/img003.jpg: JPEG cut short ({len(good) - 40} bytes)",
        f"  {folder}/img004.jpg: neither JPEG nor PNG nor BMP (15 bytes)",
    ]
    assert "gaps and other files: 1" in report
    assert not any("every file begins" in line for line in report)


def test_check_decodes_the_first_frame(tmp_path):
    make_small(tmp_path, [small_clip("s1/1_0101a")], [small_row(1, "0101")])
    first = tmp_path / "CASME_sq/rawpic/s1/1_0101a/img001.jpg"
    first.unlink()
    first.write_bytes(b"\xff\xd8 hollow \xff\xd9")
    (video,) = find_videos(CASME_SQ, tmp_path)[0].values()
    assert check_frames(video) == [f"{first}: frame is not a readable image (12 bytes); copy it from the dataset again"]


@pytest.mark.parametrize("ending", [".jpg", ".png", ".bmp"])
def test_image_faults(tmp_path, ending):
    path = tmp_path / f"frame{ending}"
    content = cv2.imencode(ending, np.full((20, 30, 3), 90, np.uint8))[1].tobytes()
    path.write_bytes(content)
    assert image_fault(path) == ""
    path.write_bytes(content + bytes(3000))  # cameras append data
    assert image_fault(path) == ""
    path.write_bytes(content[:-20])
    assert "cut short" in image_fault(path)
    assert image_fault(tmp_path / "absent.jpg") == "cannot be read (No such file or directory)"


def test_a_tiff_of_the_users_own_frames_is_an_image(tmp_path):
    assert cv2.imwrite(str(tmp_path / "a.tif"), np.full((20, 30, 3), 90, np.uint8))
    assert image_fault(tmp_path / "a.tif") == ""
    (tmp_path / "b.tif").write_bytes(b"II are no image")
    assert "neither JPEG nor PNG nor BMP" in image_fault(tmp_path / "b.tif")


def test_check_of_nothing(tmp_path):
    report = check_dataset(DATASETS["CASME2"], tmp_path).report
    assert "cannot be used: 2" in report
    assert "CASME2-RAW: not found" in report
    assert "CASME2_label_Ver_2.xlsx: not found" in report
    assert "published 26/244/244, here 0/0/0: differs" in report
    (report_without_root,) = {
        check_dataset(d, tmp_path / "nowhere").report.count("no such folder") for d in DATASETS.values()
    }
    assert report_without_root == 1


def test_check_of_a_dataset_whose_rows_fit_nothing(tmp_path):
    make_small(tmp_path, [small_clip("s4/4_0101a")], [small_row(1, "0101"), small_row(1, "0102", 9)])
    report = check_dataset(CASME_SQ, tmp_path).report
    assert "no row of the workbook matches a video folder" in report
    assert "onset 9 lies after offset 8" in report
    write_xlsx(tmp_path / "CASME_sq/code_final.xlsx", [[small_row(1, "0102", 9)], [[1, "s1", 1]], [["0102", "v0102"]]])
    report = check_dataset(CASME_SQ, tmp_path).report
    assert "the workbook has no usable micro-expression" in report
    assert "rows left out because they are faulty: 1" in report


def test_the_exit_code_does_not_come_from_the_words_of_the_report(tmp_path, capsys):
    """A folder's name may contain any words, also those of the report."""
    root = tmp_path / "cannot be used"
    make_small(root, [small_clip("s1/1_0101a"), small_clip("s2/2_0101a")], [small_row(1, "0101"), small_row(2, "0101")])
    check = ["--dataset_name", "CASME_sq", "--check", "--workers", "1", "--data_root"]
    assert main.main([*check, str(root)]) == 0
    assert "cannot be used" in capsys.readouterr().out
    assert main.main([*check, str(tmp_path / "elsewhere")]) == 2


def test_the_protocol_counts():
    """Under upstream's rules an expression of SMIC that begins with the recording is dropped."""
    for protocol, counts in (("paper", "here 5/8/8"), ("upstream", "here 5/7/7")):
        found = check_dataset(DATASETS["SMIC_HS"], shared_layout("SMIC_HS"), protocol)
        assert counts in found.report and f"{protocol} protocol" in found.report and found.problems == []
