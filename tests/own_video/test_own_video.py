"""Own videos by the paper's rule, from the command line, on synthetic faces, with DEMO's network of all subjects."""

from __future__ import annotations

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from pympi.Elan import Eaf

import main
from face_crop import clip_rectangle, cut_face
from feature_extraction import face_regions, feature_image, flow_function
from tests.support import faults
from tests.support.video_clips import (
    FACE,
    face_clip,
    numbered,
    texture,
    turn,
    write_face_images,
    write_sound,
    write_video,
)
from training_utils import smooth_scores, threshold
from Utils.datasets.table import DATASETS
from Utils.evaluation.reviews import read_intervals
from Utils.evaluation.tables import OWN_PREDICTION_COLUMNS
from Utils.faces.landmarks import detect_faces, predict_landmarks
from Utils.own_video.scoring import EXPRESSION_COLUMNS
from Utils.own_video.weights import Ensemble, weights_for_videos
from Utils.settings import PROJECT

OUTPUTS = {"expressions.csv", "predictions.csv", "frames.csv", "overlay.mp4", "report.html", "settings.json"}


PAPER = ("--dataset_name", "DEMO", "--spotting", "paper")


def run(*flags: str | Path) -> int:
    """The command line, with the paper's rule; the second look has tests of its own."""
    return main.main([*(PAPER if "--video" in flags else ()), *map(str, flags), "--workers", "1"])


def frames_of(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "frames.csv")


def expressions_of(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "expressions.csv", keep_default_na=False)


@pytest.fixture(scope="module")
def weights():
    return weights_for_videos(PROJECT / "MEAN_Weights", DATASETS["DEMO"])


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    """A folder of videos, three of which cannot be read."""
    folder = tmp_path_factory.mktemp("own") / "session 1"
    folder.mkdir()
    face, other = list(face_clip()[0]), list(face_clip(1)[0])
    write_video(folder / "face.mp4", face)
    milliseconds = np.cumsum([0, *([33, 34, 33, 67] * 20)])[: len(face)]
    write_video(folder / "phone.mkv", face, times=[int(t) for t in milliseconds])
    turn(write_video(folder / "turned.mp4", [np.rot90(image) for image in face]), 90)
    write_video(folder / "nobody.mp4", texture(40))
    write_video(folder / "two.mp4", [np.hstack(pair) for pair in zip(face, other, strict=True)])
    write_video(folder / "leaves.mp4", face[:40] + texture(25) + face[40:])
    write_video(folder / "one.mp4", face[:1])
    write_video(folder / "grey.mkv", face[:50], codec="ffv1", pix_fmt="gray")
    (folder / "empty.mp4").touch()
    cut = write_video(folder / "cut.mp4", face[:20])
    cut.write_bytes(cut.read_bytes()[:-300])
    write_sound(folder / "sound.mp4")
    (folder / "notes.txt").write_text("skipped")
    return folder


READABLE = ("face", "grey", "leaves", "nobody", "one", "phone", "turned", "two")


@pytest.fixture(scope="module")
def analysed(videos, tmp_path_factory) -> Path:
    """The folder with the results of these videos."""
    out = tmp_path_factory.mktemp("results")
    assert run("--video", videos, "--face", "all", "--output_dir", out) == 1
    return out


# One folder of videos


def test_every_video_that_can_be_read_has_its_results(analysed):
    assert {p.name for p in analysed.iterdir()} == {*READABLE, "predictions.csv", "megc.csv", "index.html"}
    for name in READABLE:
        assert {p.name for p in (analysed / name).iterdir()} == OUTPUTS | {f"{name}.eaf"}
        about = json.loads((analysed / name / "settings.json").read_text())
        assert about["n_expressions"] == len(expressions_of(analysed / name))
        assert (about["k"], about["k_prime"]) == (3, 6)
        assert about["flags"]["face"] == "all" and about["flags"]["p"] == 0.55 and len(about["weights_key"]) == 20
        curves = frames_of(analysed / name).groupby("face")["score_smoothed"]
        assert set(map(float, about["thresholds"])) == {face for face, scores in curves if scores.notna().any()}
        for face, scores in curves:
            if scores.notna().any():
                mean, top = scores.mean(), scores.max()
                assert about["thresholds"][f"{face:.0f}"] == pytest.approx(mean + 0.55 * (top - mean), abs=1e-4)


def test_the_same_command_goes_on_and_names_the_bad_files(analysed, videos, capsys):
    before = {p: p.stat().st_mtime_ns for p in analysed.glob("*/*")}
    assert run("--video", videos, "--face", "all", "--output_dir", analysed) == 1
    said = capsys.readouterr()
    problems = [line for line in said.err.splitlines() if line.startswith("main.py: ")]
    assert len(problems) == 3 and "Traceback" not in said.err
    for name, reason in (("cut.mp4", "not a video"), ("empty.mp4", "is empty"), ("sound.mp4", "has no pictures")):
        assert any(str(videos / name) in line and reason in line for line in problems), problems
    assert {p: p.stat().st_mtime_ns for p in analysed.glob("*/*")} == before
    assert said.out.count("s of video, already done, kept; ") == len(READABLE)
    assert "  nobody: no face was found in 1.3 s of video, already done, kept; " in said.out
    assert "  one: no face is there long enough to be scored in 0.0 s of video, already done, kept; " in said.out
    assert "0 expression(s)" not in said.out
    assert "WARNING: These weights were trained on the eight rendered faces" in said.out


def test_tables_of_all_videos(analysed):
    table = pd.read_csv(analysed / "predictions.csv", keep_default_na=False)
    assert tuple(table.columns) == OWN_PREDICTION_COLUMNS
    tables = [expressions_of(analysed / name) for name in READABLE]
    parts = pd.concat([t for t in tables if len(t)])
    assert len(table) == len(parts) > 0
    assert set(table["subject"]) == {"session 1"}
    for name in ("onset", "apex", "offset", "onset_s", "offset_s", "score", "emotion", "face"):
        assert table[name].tolist() == parts[name].tolist(), name
    own = [pd.read_csv(analysed / name / "predictions.csv", keep_default_na=False) for name in READABLE]
    pd.testing.assert_frame_equal(pd.concat([t for t in own if len(t)], ignore_index=True), table)
    megc = pd.read_csv(analysed / "megc.csv")
    assert list(megc.columns) == ["vid", "onset", "offset", "type"] and len(megc) == len(table)
    page = (analysed / "index.html").read_text(encoding="utf-8")
    assert all(name in page for name in (*READABLE, "empty", "cut", "sound"))
    assert page.count("no face was found") == 2  # nobody: the status, and the remark that says what to do
    assert page.count("no face is there long enough") == 1
    assert run("--evaluate", analysed / "predictions.csv", "--ground_truth", analysed / "predictions.csv") == 0


@pytest.mark.parametrize("table", ["predictions.csv", "expressions.csv"])
def test_what_is_found_is_its_own_ground_truth(analysed, table, capsys):
    """Tables and ELAN file have the same frames and the same faces."""
    found = [name for name in READABLE if len(expressions_of(analysed / name))]
    assert "two" in found and len(found) > 2
    for name in found:
        files = analysed / name / table, analysed / name / f"{name}.eaf"
        one, other = (read_intervals(file)[0] for file in files)
        edges = ["face", "onset", "apex", "offset"]
        frames = [t[edges].astype(int).sort_values(edges).to_numpy().tolist() for t in (one, other)]
        assert frames[0] == frames[1], name
        assert run("--evaluate", files[0], "--ground_truth", files[1]) == 0
        line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("session 1"))
        n = str(len(one))
        assert line.split()[2:7] == [n, n, n, "0", "0"], line  # annotated, predicted, TP, FP, FN


def test_expressions_and_frames_agree(analysed):
    for name in READABLE:
        table, frames = expressions_of(analysed / name), frames_of(analysed / name)
        about = json.loads((analysed / name / "settings.json").read_text())
        assert tuple(table.columns) == EXPRESSION_COLUMNS
        assert frames["frame"].drop_duplicates().tolist() == list(range(about["n_frames"]))
        np.testing.assert_allclose(frames["timestamp"], frames["frame"] / about["fps"], atol=1e-4)
        scores = frames.set_index(["face", "frame"])["score_smoothed"]
        shown = frames.drop_duplicates("frame").set_index("frame")["source_frame"]
        assert table["source_frame"].tolist() == shown.loc[table["apex"]].tolist()
        for row in table.itertuples():
            around = scores[row.face].loc[max(0, row.apex - 1) : row.apex + 1]
            assert row.score == pytest.approx(around[row.apex], abs=1e-5) and row.score == pytest.approx(
                around.max(), abs=1e-5
            )
            assert 0 <= row.onset <= row.apex <= row.offset < about["n_frames"]
            assert (row.onset_s, row.offset_s) == pytest.approx(
                (row.onset / about["fps"], row.offset / about["fps"]), abs=1e-4
            )
            assert row.emotion in about["classes"] and 0 < float(row.confidence) <= 1
        p = frames.loc[frames["score"].notna(), [f"p_{c}" for c in about["classes"]]]
        np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-4)


def test_turned_and_variable_and_gray_are_the_same_face(analysed):
    face = frames_of(analysed / "face")
    assert face["success"].all() and face["score"].notna().sum() == FACE.frames - 3
    turned = frames_of(analysed / "turned")
    assert np.corrcoef(face["score_smoothed"][:-3], turned["score_smoothed"][:-3])[0, 1] > 0.8
    phone = json.loads((analysed / "phone/settings.json").read_text())
    assert "variable" in " ".join(phone["remarks"]) and phone["fps"] == 30
    assert phone["n_frames"] > FACE.frames
    assert face["source_frame"].equals(face["frame"])
    shown = frames_of(analysed / "phone")["source_frame"]
    assert shown.tolist()[:10] == [0, 1, 2, 3, 3, 4, 5, 6, 7, 7] and shown.iloc[-1] == FACE.frames - 1
    assert frames_of(analysed / "grey")["success"].all()


def test_two_faces_and_a_face_that_leaves(analysed):
    two = frames_of(analysed / "two")
    middle = two.groupby("face")["left"].mean()
    assert len(middle) == 2 and abs(middle[1] - middle[0]) == pytest.approx(FACE.size[0], abs=30)
    tiers = {name for name in Eaf(analysed / "two/two.eaf").get_tier_names() if re.fullmatch(r"face \d", name)}
    assert tiers == {"face 0", "face 1"}
    leaves = frames_of(analysed / "leaves")
    gone = leaves.loc[leaves["success"] == 0, "frame"]
    assert (gone.min(), gone.max()) == (40, 64)
    assert leaves.loc[leaves["frame"].between(38, 64), "score"].isna().all()  # no pair across the gap
    assert leaves.loc[leaves["frame"].between(0, 36), "score"].notna().all()
    remarks = " ".join(json.loads((analysed / "leaves/settings.json").read_text())["remarks"])
    assert "without a face, not scored: 1.3-2.2 s" in remarks


def test_no_face_and_one_frame_are_said(analysed):
    for name, said in (("nobody", "no face was found"), ("one", "too short to score")):
        assert len(expressions_of(analysed / name)) == 0
        assert frames_of(analysed / name)["score"].isna().all()
        assert said in " ".join(json.loads((analysed / name / "settings.json").read_text())["remarks"])


# The same as a dataset's chain


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    return write_face_images(tmp_path_factory.mktemp("images"))


def test_scores_are_those_of_the_datasets_chain(images, weights, tmp_path):
    """On frames without loss: crops, features and network as `face_crop.py` and `feature_extraction.py` make them."""
    assert run("--video", images, "--fps", 30, "--output_dir", tmp_path) == 0
    frames = [cv2.imread(str(images / f"img{i + 1}.png")) for i in range(FACE.frames)]
    rectangle = clip_rectangle(detect_faces(frames[0])[0], frames[0].shape)
    crops = []
    for image in frames:
        _, data = cv2.imencode(".jpg", cut_face(image, rectangle))
        crops.append(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))
    regions, flow = face_regions(predict_landmarks(crops[0])), flow_function("kernel")
    features = [feature_image(a, b, regions, flow) for a, b in zip(crops, crops[3:], strict=False)]
    scores, probabilities = Ensemble(weights).predict(np.array(features, np.float32))
    (folder,) = tmp_path.iterdir()
    found = frames_of(folder)
    np.testing.assert_allclose(found["score"][:-3], scores, atol=1e-5)
    np.testing.assert_allclose(found["p_surprise"][:-3], probabilities[:, 2], atol=1e-5)
    smoothed = smooth_scores(scores, 6)
    np.testing.assert_allclose(found["score_smoothed"][:-3], smoothed, atol=1e-5)
    table = expressions_of(folder)
    assert (table["score"] >= threshold(smoothed, 0.55) - 1e-6).all()


def test_an_absolute_threshold_gives_silence(images, tmp_path):
    assert run("--video", images, "--fps", 30, "--output_dir", tmp_path, "--absolute_threshold", 50) == 0
    assert len(expressions_of(next(tmp_path.iterdir()))) == 0


def test_another_frame_rate_has_other_k(images, tmp_path):
    assert run("--video", images, "--fps", 60, "--output_dir", tmp_path) == 0
    about = json.loads((next(tmp_path.iterdir()) / "settings.json").read_text())
    assert (about["k"], about["k_prime"]) == (6, 12)


# Names, and what cannot be


def test_names_that_collide_and_names_that_are_html(videos, tmp_path):
    hostile = "<script>alert(1)</script>"[:-9]  # a file's name has no slash
    for folder, name in (("a", "x.mp4"), ("b", "x.mp4"), ("c", "X.mkv"), ("d", f"{hostile}.mp4")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes((videos / "one.mp4").read_bytes())
    paths = [tmp_path / p for p in ("a/x.mp4", "b/x.mp4", "c/X.mkv", f"d/{hostile}.mp4")]
    assert run("--video", *paths, "--output_dir", tmp_path / "out") == 0
    names = {p.name for p in (tmp_path / "out").iterdir() if p.is_dir()}
    assert names == {"x.mp4", "x.mp4-2", "X.mkv", hostile}
    for page in (tmp_path / "out/index.html", tmp_path / "out" / hostile / "report.html"):
        text = page.read_text(encoding="utf-8")
        assert hostile not in text and "&lt;script&gt;alert(1)" in text


def test_results_of_others_are_not_overwritten(videos, tmp_path, capsys):
    (tmp_path / "face").mkdir()
    (tmp_path / "face/mine.txt").write_text("mine")
    (tmp_path / "face/settings.json").write_text("{}")  # as a run of a dataset has it
    assert run("--video", videos / "face.mp4", "--output_dir", tmp_path) == 2
    assert "was not made by this program" in capsys.readouterr().err
    assert {p.name for p in (tmp_path / "face").iterdir()} == {"mine.txt", "settings.json"}


@pytest.fixture
def finished(tmp_path, monkeypatch) -> Path:
    """Results of `a.mp4`, their scores made up."""
    faults.stand_in_for_scores(monkeypatch)
    write_video(tmp_path / "a.mp4", numbered(40))
    assert run("--video", tmp_path / "a.mp4", "--output_dir", tmp_path / "out") == 0
    return tmp_path / "out/a"


@pytest.mark.parametrize("name", ["expressions.csv", "overlay.mp4"])
def test_results_of_which_a_file_was_removed_are_made_again(finished, name):
    before = {path.name: path.read_bytes() for path in finished.iterdir()}
    (finished / name).unlink()
    assert run("--video", finished.parents[1] / "a.mp4", "--output_dir", finished.parent) == 0
    after = {path.name: path.read_bytes() for path in finished.iterdir()}
    assert after.keys() == before.keys() == OUTPUTS | {"a.eaf"} and after[name] == before[name]


def test_what_was_saved_in_elan_is_kept(finished, capsys):
    """A changed file is kept: by the same command, by other settings, and by --fresh, which is refused."""
    with (finished / "a.eaf").open("a", encoding="utf-8") as file:
        file.write("<!-- mine -->")
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in finished.iterdir()}
    command = ("--video", finished.parents[1] / "a.mp4", "--output_dir", finished.parent)
    assert run(*command) == 0
    assert run(*command, "--p", "0.7") == 0  # they have a folder of their own
    capsys.readouterr()
    assert run(*command, "--fresh") == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("main.py: ")]
    assert len(said) == 1 and f"{finished / 'a.eaf'}: was changed" in said[0]
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in finished.iterdir()} == before


def test_elan_gets_the_overlay_of_a_folder_of_images(tmp_path, monkeypatch):
    faults.stand_in_for_scores(monkeypatch)
    (tmp_path / "frames").mkdir()
    for i, image in enumerate(numbered(40)):
        cv2.imwrite(str(tmp_path / f"frames/img{i}.png"), image)
    assert run("--video", tmp_path / "frames", "--fps", 30, "--output_dir", tmp_path / "out") == 0
    (media,) = Eaf(tmp_path / "out/frames/frames.eaf").media_descriptors
    overlay = tmp_path / "out/frames/overlay.mp4"
    assert (media["MEDIA_URL"], media["RELATIVE_MEDIA_URL"]) == (overlay.as_uri(), "./overlay.mp4")
    assert overlay.is_file()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--video", "nothing.mp4"), "no such file"),
        (("--video", "{videos}/empty.mp4"), "is empty"),
        (("--video", "{videos}/face.mp4", "--fps", "30"), "leave --fps out"),
        (("--video", "{images}"), "give their frames per second with --fps"),
        (("--video", "{videos}/face.mp4", "--dataset_name", "CASME2"), "no weights"),
        (("--video", "{videos}/face.mp4", "--weights_dir", "nowhere"), "no weights"),
    ],
)
def test_one_line_and_exit_code_2(flags, said, videos, images, tmp_path, capsys):
    flags = [flag.format(videos=videos, images=images) for flag in flags]
    assert run(*flags, "--output_dir", tmp_path / "out") == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("main.py")]
    assert len(lines) == 1 and said in lines[0]
    assert not list((tmp_path / "out").glob("*")) if (tmp_path / "out").exists() else True


@pytest.mark.parametrize("more", [("--train", "True"), ("--evaluate", "p.csv"), ("--fps", "0"), ("--face", "both")])
def test_flags_that_do_not_go_together(more, capsys):
    with pytest.raises(SystemExit) as left:
        run("--video", "a.mp4", *more)
    assert left.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_numbered_frames_have_no_face(tmp_path):
    write_video(tmp_path / "a.mp4", numbered(20))
    assert run("--video", tmp_path / "a.mp4", "--output_dir", tmp_path / "out") == 0
    assert len(expressions_of(tmp_path / "out/a")) == 0


@pytest.mark.parametrize("flag", ["--output_dir", "--cache_dir", "--weights_dir", "--video"])
def test_names_that_are_no_unicode_are_refused(flag, capsys):
    with pytest.raises(SystemExit) as left:
        run(flag, "a\udcffb")
    assert left.value.code == 2
    assert "is not valid Unicode" in capsys.readouterr().err
