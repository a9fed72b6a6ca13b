"""Networks for videos of other people: which are used, what is known about them, how several are used together."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from Utils.datasets.table import DATASETS, WEIGHTS
from Utils.errors import InputError
from Utils.own_video.weights import Ensemble, OwnWeights, ensemble_of, weights_for_videos
from Utils.settings import PROJECT

SHIPPED = PROJECT / "MEAN_Weights"
DEMO = DATASETS["DEMO"]


@pytest.fixture
def loso_only(tmp_path) -> Path:
    """The shipped weights of two folds, without the network of all subjects."""
    for kind in ("spot", "recog"):
        (tmp_path / "DEMO" / kind).mkdir(parents=True)
        for name in ("s2", "s10"):
            shutil.copyfile(SHIPPED / "DEMO" / kind / "s2.weights.h5", tmp_path / "DEMO" / kind / f"{name}.weights.h5")
    shutil.copyfile(SHIPPED / "DEMO/weights.json", tmp_path / "DEMO/weights.json")
    return tmp_path


def describe(folder: Path, **facts) -> None:
    path = folder / "DEMO/weights.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))


def test_the_network_of_all_subjects_goes_first():
    weights = weights_for_videos(SHIPPED, DEMO)
    assert [w.spot.name for w in weights.networks] == ["all.weights.h5"]
    assert (weights.k, weights.fps, weights.classes, weights.caution) == (3, 30, DEMO.classes, DEMO.caution)
    assert weights.k_prime == json.loads((SHIPPED / "DEMO/weights.json").read_text())["k_prime"]


def test_weights_of_rendered_faces_come_with_a_caution_and_others_do_not():
    assert {name for name, d in WEIGHTS.items() if d.caution} == {"DEMO", "SYNTH"}
    assert "say nothing reliable about people" in DEMO.caution
    for words in ("rendered faces", "real faces with drawn-in movements", "not on spontaneous micro-expressions"):
        assert words in WEIGHTS["SYNTH"].caution


def test_without_it_all_folds_in_order(loso_only):
    weights = weights_for_videos(loso_only, DEMO)
    assert [w.spot.name for w in weights.networks] == ["s2.weights.h5", "s10.weights.h5"]


@pytest.mark.parametrize(
    ("fps", "expected"),
    [(30, (3, 6)), (25, (3, 5)), (60, (6, 12)), (200, (20, 40)), (10, (1, 2)), (3, (1, 1)), (29.97, (3, 6))],
)
def test_durations_stay(fps, expected):
    """k = 3 and k' = 6 frames at 30 frames per second are 0.1 and 0.2 s; halves are rounded up, as the paper does."""
    weights = OwnWeights((), 3, 6, 30, ("a",), "", "")
    assert weights.frames_at(fps) == expected


def test_a_half_is_rounded_up_although_floats_fall_short_of_it():
    """29 frames at 100 per second are 14.5 at 50; in floating point 29 / 100 * 50 < 14.5."""
    assert 29 / 100 * 50 < 14.5
    assert OwnWeights((), 10, 29, 100, ("a",), "", "").frames_at(50) == (5, 15)


def test_k_prime_that_nothing_tells(tmp_path):
    (tmp_path / "CASME2/spot").mkdir(parents=True)
    (tmp_path / "CASME2/spot/s1.hdf5").touch()
    with pytest.raises(InputError, match="--half_length"):
        weights_for_videos(tmp_path, DATASETS["CASME2"])
    weights = weights_for_videos(tmp_path, DATASETS["CASME2"], half_length=0.17)
    assert weights.frames_at(200) == (20, 34)
    (tmp_path / "CASME_sq/spot").mkdir(parents=True)
    (tmp_path / "CASME_sq/spot/s1.hdf5").touch()
    assert weights_for_videos(tmp_path, DATASETS["CASME_sq"]).k_prime == 6  # the paper's


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (dict(k=0), "k is 0"),
        (dict(k_prime=-3), "k_prime is -3"),
        (dict(fps="30"), "fps is '30'"),
        (dict(fps=True), "fps is True"),
        (dict(k=float("nan")), "k is nan"),
        (dict(classes="negative"), "classes are 'negative'"),
        (dict(classes=[]), "classes are"),
    ],
)
def test_descriptions_that_cannot_be(loso_only, facts, message):
    describe(loso_only, **facts)
    with pytest.raises(InputError, match=message):
        weights_for_videos(loso_only, DEMO)


def test_no_weights_and_no_description(tmp_path, loso_only):
    with pytest.raises(InputError, match="no weights"):
        weights_for_videos(tmp_path / "nothing", DEMO)
    (loso_only / "DEMO/weights.json").write_text("[1]")
    with pytest.raises(InputError, match="not a description"):
        weights_for_videos(loso_only, DEMO)


def test_scores_are_averaged_and_classes_voted(loso_only):
    shutil.copyfile(SHIPPED / "DEMO/spot/s3.weights.h5", loso_only / "DEMO/spot/s10.weights.h5")
    shutil.copyfile(SHIPPED / "DEMO/recog/s3.weights.h5", loso_only / "DEMO/recog/s10.weights.h5")
    both = weights_for_videos(loso_only, DEMO)
    features = np.random.default_rng(0).random((40, 42, 42, 3), np.float32)
    scores, votes = Ensemble(both).predict(features)
    single = [Ensemble(replace(both, networks=(n,))).predict(features) for n in both.networks]
    np.testing.assert_allclose(scores, (single[0][0] + single[1][0]) / 2, atol=1e-6)
    np.testing.assert_allclose(single[0][1].sum(axis=1), 1, atol=1e-5)
    expected = (np.eye(3)[single[0][1].argmax(1)] + np.eye(3)[single[1][1].argmax(1)]) / 2
    np.testing.assert_array_equal(votes, expected)


def test_networks_are_loaded_once_until_their_files_change(loso_only):
    """A process of a cluster can live longer than a training, so the files can change while it runs."""
    weights = weights_for_videos(loso_only, DEMO)
    first = ensemble_of(weights)
    assert ensemble_of(weights_for_videos(loso_only, DEMO)) is first
    for kind in ("spot", "recog"):
        shutil.copyfile(SHIPPED / "DEMO" / kind / "s3.weights.h5", loso_only / "DEMO" / kind / "s2.weights.h5")
    assert ensemble_of(weights) is not first


def test_networks_that_only_spot(loso_only):
    shutil.rmtree(loso_only / "DEMO/recog")
    _, probabilities = Ensemble(weights_for_videos(loso_only, DEMO)).predict(np.zeros((4, 42, 42, 3), np.float32))
    assert probabilities.shape == (4, 3) and np.isnan(probabilities).all()
