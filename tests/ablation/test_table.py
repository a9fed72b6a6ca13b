"""--ablate: variants of MEAN without one of its parts, or with other values."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest

import main
from prepare_training import loso_folds, recognition_samples
from tests.support.command_line import QUICK, only_run
from tests.support.late import LateModule
from tests.support.quicker import tables_only
from train_evaluate import FoldJob, Hyperparameters, train_fold
from training_utils import VOTERS, majority_class, spot_video
from Utils.ablation.table import PAPER, WINDOWS, ablations, train_variant, variants_of
from Utils.datasets.table import DATASETS
from Utils.errors import InputError
from Utils.methods.table import METHODS

define_model = LateModule("define_model")
QUICKLY = Hyperparameters(1, 1, 32, 5e-4, 5, 1, False)


def test_the_names_and_their_variants():
    names = [variant.name for variant in variants_of("all")]
    assert names[0] == PAPER and len(names) == len(set(names)) == 1 + 1 + 3 + 1 + 9 + 1 + 4
    assert [v.name for v in variants_of("strain, transfer")] == [PAPER, "no strain", "no transfer"]
    assert [v.p for v in variants_of("p")][1:] == [0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75]
    assert [v.name for v in variants_of("p,vote") if v.trained] == []
    with pytest.raises(InputError, match=r"--ablate: 'stream' is none of transfer, streams, strain, p, gap, vote, all"):
        variants_of("p,stream")


def test_the_first_variant_is_the_method_as_it_is():
    assert variants_of("p")[0].method is METHODS["MEAN"] and variants_of("p")[0].p is None


def test_the_distance_of_a_pair_is_k_prime():
    """Of DEMO, k is 3; the variant takes k', also if it differs between frame rates."""
    (gap,) = ablations()["gap"].variants
    demo = DATASETS["DEMO"]
    assert METHODS["MEAN"].steps.pair_distance(demo, 6) == 3 and gap.method.steps.pair_distance(demo, 6) == 6
    assert gap.method.steps.pair_distance(demo, {30: 6}) == {30: 6}


def test_the_windows_of_the_vote():
    """k' = 4, peak at 10: features 0-5 vote for class 0, 6-9 for 1, 10-13 for 2, later ones for 0.

    paper [6, 10): 1   whole [6, 14): 1, which is met first   second half [10, 14): 2   middle [8, 12): 1   peak: 2
    """
    classes = np.array([0] * 6 + [1] * 4 + [2] * 4 + [0] * 6)
    probabilities = np.eye(3)[classes]
    found = {name: majority_class(probabilities, 10, 4, window)[0] for name, window in WINDOWS.items()}
    assert majority_class(probabilities, 10, 4)[0] == majority_class(probabilities, 10, 4, VOTERS)[0] == 1
    assert list(found.values()) == [1, 2, 1, 2]
    confidence = majority_class(probabilities, 10, 4, WINDOWS["vote: middle half"])[1]
    assert confidence == 0.5  # two of the four features [8, 12)
    smoothed = np.eye(20)[10]
    (interval,) = spot_video(smoothed, probabilities, 4, 0.5, window=WINDOWS["vote: second half"])
    assert interval.class_index == 2


@pytest.mark.parametrize("streams", [("u",), ("strain",), ("u", "v")])
def test_networks_with_some_streams(streams):
    """Only the inputs that are asked for; the layers of the others are not there."""
    spotting = define_model.spotting_network(streams)
    recognition = define_model.recognition_network(spotting, 3)
    assert [x.name for x in spotting.inputs] == [x.name for x in recognition.inputs] == list(streams)
    names = {layer.name for layer in spotting.layers}
    assert {f"{s}_conv" in names for s in streams} == {True}
    assert not any(f"{s}_conv" in names for s in ("u", "v", "strain") if s not in streams)
    filters = sum({"u": 3, "v": 3, "strain": 8}[s] for s in streams)
    assert spotting.get_layer("streams").output.shape == (None, 14, 14, filters)
    rng = np.random.default_rng(0)
    features = rng.random((2, 42, 42, 3)).astype(np.float32)
    channels = [("u", "v", "strain").index(s) for s in streams]
    assert spotting.predict_on_batch(define_model.as_inputs(features, channels)).shape == (2, 1)


def test_from_scratch_nothing_is_frozen_or_shared():
    network = define_model.recognition_from_scratch(("u", "v", "strain"), 3)
    frozen = define_model.recognition_network(define_model.spotting_network(), 3)
    assert len(network.trainable_weights) > len(frozen.trainable_weights) == 4
    assert network.name != frozen.name  # compiled copies are kept by name


@pytest.fixture(scope="module")
def job(tiny_features, tmp_path_factory) -> FoldJob:
    videos = [f.video for f in tiny_features.features]
    samples = recognition_samples(videos, tiny_features.dataset.classes)
    fold = loso_folds(videos, samples, tiny_features.subjects)[0]
    return FoldJob(
        fold, tuple(tiny_features.features), tuple(samples), 3, tiny_features.k_prime,
        tmp_path_factory.mktemp("fold"), QUICKLY,
    )  # fmt: skip


def test_a_variant_sees_only_its_streams(job):
    """With one stream, the scores do not depend on the other channels."""
    networks = train_variant(job, ("v",))
    features = np.load(job.features[0].spotting)[:5].copy()
    before = networks.predictor(features, 6)
    features[..., [0, 2]] = 0.5
    after = networks.predictor(features, 6)
    assert [o.shape for o in before] == [(5, 1), (5, 3)] and all(map(np.array_equal, before, after))
    features[..., 1] = 0.5
    assert not np.array_equal(networks.predictor(features, 6)[0], before[0])
    assert set(networks.trained) == {"spot", "recog"} and "recog_loss" in networks.history


def test_without_transfer_the_spotting_is_the_same_and_the_streams_are_others(job):
    """The recognition network has streams of its own, which its training changes."""
    plain, transferred, _ = train_fold(job)
    spotting, recognition, _ = train_fold(job, from_scratch=True)
    for name, arrays in plain.weights.items():
        assert all(map(np.array_equal, arrays, spotting.weights[name]))
    assert np.array_equal(transferred.weights["u_conv"][0], plain.weights["u_conv"][0])
    assert not np.array_equal(recognition.weights["u_conv"][0], plain.weights["u_conv"][0])


def test_the_table_of_a_run(trained_demo, tmp_path, monkeypatch, capsys):
    """p and vote need no networks of their own: the folds that are finished are used."""
    for name in ("data", "cache"):
        shutil.copytree(trained_demo.folder / name, tmp_path / name, copy_function=os.link)
    monkeypatch.chdir(tmp_path)
    tables_only(monkeypatch)
    monkeypatch.setattr("train_evaluate._compute_fold", lambda *_: 1 / 0)
    assert main.main(["--train", "--workers", "1", "--ablate", "p,vote", *QUICK]) == 0
    said = capsys.readouterr().out
    table = pd.read_csv(only_run(tmp_path, "DEMO-train") / "ablation.csv").set_index("variant")
    assert list(table.index) == [v.name for v in variants_of("p,vote")]
    assert (
        table.loc["p = 0.55"]
        .drop(["difference", "difference_low", "difference_high", "p"])
        .equals(table.loc[PAPER].drop(["difference", "difference_low", "difference_high", "p"]))
    )
    assert table.loc["p = 0.55", "difference"] == 0 and np.isnan(table.loc[PAPER, "difference"])
    predicted = table["tp"] + table["fp"]
    values = [f"p = {p:.2f}" for p in (0.35, 0.45, 0.55, 0.65, 0.75)]
    assert (np.diff(predicted[values]) <= 0).all()  # a higher threshold never gives more
    votes = table.loc[list(WINDOWS), ["tp", "fp", "fn"]]
    assert (votes == table.loc[PAPER, ["tp", "fp", "fn"]].astype(int)).all(axis=None)  # the vote changes no interval
    assert "14 variants on DEMO, 3 subjects" in said
    run = only_run(tmp_path, "DEMO-train")
    assert list(json.loads((run / "metrics.json").read_text())) == list(table.index)
    assert json.loads((run / "settings.json").read_text())["settings"]["ablate"] == "p,vote"


def test_networks_of_their_own_need_training(tiny_demo, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main.main(["--ablate", "strain", "--data_root", str(tiny_demo)]) == 2
    assert "'no strain' needs networks of its own: add --train" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
