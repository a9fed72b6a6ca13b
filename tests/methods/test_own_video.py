"""SOFTNet on own videos, from the command line: scores, intervals and the kind of expressions in every file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from pympi.Elan import Eaf

import main
from face_crop import clip_rectangle, cut_face
from feature_extraction import flow_function
from tests.support.command_line import only_run
from tests.support.video_clips import FACE, write_face_images
from training_utils import threshold
from Utils.datasets.table import DATASETS
from Utils.faces.landmarks import detect_faces
from Utils.own_video.weights import Ensemble, weights_for_videos
from Utils.records import KINDS
from Utils.softnet.features import feature_image, landmarks_of, places_of
from Utils.softnet.spotting import smooth_scores

PAPER = ("--method", "SOFTNet", "--dataset_name", "DEMO", "--spotting", "paper", "--workers", "1")


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    return write_face_images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def weights_dir(trained) -> Path:
    return only_run(trained, "DEMO-SOFTNet-both-train") / "SOFTNet_Weights"


def run(images: Path, weights_dir: Path, output_dir: Path, *flags: str) -> Path:
    common = ("--video", str(images), "--fps", "30", "--weights_dir", str(weights_dir), "--output_dir", str(output_dir))
    assert main.main([*common, *flags]) == 0
    return next(output_dir.iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_those_of_the_datasets_chain(images, weights_dir, tmp_path, kind):
    folder = run(images, weights_dir, tmp_path, *PAPER, "--expression", kind)
    weights = weights_for_videos(weights_dir, DATASETS["DEMO"], None, "SOFTNet", kind)
    (k, k_prime) = weights.frames_at(30)
    about = json.loads((folder / "settings.json").read_text())
    assert k == k_prime == about["k"] == about["k_prime"]
    frames = [cv2.imread(str(images / f"img{i + 1}.png")) for i in range(FACE.frames)]
    rectangle = clip_rectangle(detect_faces(frames[0])[0], frames[0].shape)
    crops = [cv2.imencode(".jpg", cut_face(image, rectangle))[1] for image in frames]
    crops = [cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) for data in crops]
    places, flow = places_of(landmarks_of(crops[:1])[0]), flow_function("kernel")
    features = [feature_image(a, b, places, flow) for a, b in zip(crops, crops[k:], strict=False)]
    scores, _ = Ensemble(weights).predict(np.array(features, np.float32))
    found = pd.read_csv(folder / "frames.csv")
    smoothed = smooth_scores(scores, k)
    np.testing.assert_allclose(found["score"][:-k], scores, atol=1e-5)
    np.testing.assert_allclose(found["score_smoothed"][:-k], smoothed, atol=1e-5)

    table = pd.read_csv(folder / "expressions.csv", keep_default_na=False)
    assert len(table) and set(table["kind"]) == {kind} and set(table["emotion"]) == {""}
    assert (table["score"] >= threshold(smoothed, 0.55) - 1e-5).all()
    last = FACE.frames - 1
    assert (table["onset"] == (table["apex"] - k).clip(lower=0)).all()
    assert (table["offset"] == (table["apex"] + k).clip(upper=last)).all()
    predictions = pd.read_csv(folder / "predictions.csv")
    assert ("kind" in predictions) == (kind == "macro")
    (eaf,) = folder.glob("*.eaf")
    assert {row[2] for row in Eaf(str(eaf)).get_ref_annotation_data_for_tier("face 0 kind")} == {kind}
    assert f'"expressions":"{kind}"' in (folder / "report.html").read_text().replace('": "', '":"')


def test_the_second_look_takes_softnets_scores(images, weights_dir, tmp_path):
    """What it measures does not depend on the weights; the verifier that comes with the program is used."""
    folder = run(images, weights_dir, tmp_path, "--method", "SOFTNet", "--dataset_name", "DEMO", "--workers", "1")
    table = pd.read_csv(folder / "candidates.csv", keep_default_na=False)
    assert len(table) and set(table["emotion"]) == {""} and table["p_micro"].between(0, 1).all()
    assert "bring no verifier of their own" in (folder / "report.html").read_text()


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--method", "SOFTNet", "--expression", "both"], "--expression both is not for --video"),
        (["--expression", "macro"], "is for --spotting paper: add that flag"),
        (["--method", "flow"], "--method flow is not for --video; give MEAN or SOFTNet"),
        (["--method", "SOFTNet"], "SYNTH/micro-expression: no weights (all.weights.h5 or s1.weights.h5)"),
        (["--method", "SOFTNet", "--dataset_name", "CASME2"], "CASME2/micro-expression: no weights"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(flags, line, images, tmp_path, capsys):
    arguments = ["--video", str(images), "--fps", "30", "--output_dir", str(tmp_path / "runs"), *flags]
    try:
        code = main.main(arguments)
    except SystemExit as stopped:
        code = stopped.code
    said = capsys.readouterr().err
    assert code == 2 and said.count("\n") == 1 and line in said
    assert not (tmp_path / "runs").exists()


def test_weights_without_k_are_refused(images, weights_dir, tmp_path, capsys):
    """The authors' files come without `weights.json`. For micro-expressions the k' of the dataset is known."""
    folder = tmp_path / "w/CASME_sq"
    for kind in KINDS:
        (folder / f"{kind}-expression").mkdir(parents=True)
        shutil.copy(weights_dir / f"DEMO/{kind}-expression/s1.weights.h5", folder / f"{kind}-expression")
    casme = DATASETS["CASME_sq"]
    assert weights_for_videos(tmp_path / "w", casme, None, "SOFTNet", "micro").frames_at(30) == (6, 6)
    flags = ["--weights_dir", str(tmp_path / "w"), "--dataset_name", "CASME_sq", "--method", "SOFTNet"]
    flags += ["--spotting", "paper", "--expression", "macro", "--video", str(images), "--fps", "30"]
    assert main.main(flags) == 2
    assert "k' of these weights is not known; give it in seconds with --half_length" in capsys.readouterr().err
