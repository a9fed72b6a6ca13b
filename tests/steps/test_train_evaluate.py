"""Folds: a real tiny training, its determinism and cache, what it may read, and the tables made of its scores."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

import train_evaluate
from prepare_training import (
    fold_of_all,
    loso_folds,
    pseudo_labels,
    recognition_samples,
    recognition_training_set,
    spotting_training_set,
    spotting_validation_set,
)
from train_evaluate import Hyperparameters, collect_scores, evaluate_folds, run_folds
from training_utils import VideoScores, annotated_expressions, predict_expressions, smooth_scores
from Utils.datasets.table import DATASETS
from Utils.engine import initial_weights
from Utils.errors import InputError
from Utils.evaluation.tables import GROUND_TRUTH_COLUMNS, PREDICTION_COLUMNS
from Utils.networks.mean import MeanNetwork
from Utils.networks.weights import FoldWeights, find_weights
from Utils.settings import Settings

TINY = Hyperparameters.of(Settings(epochs_spot=1, epochs_recog=2))
KINDS = ("spot", "recog", "spot_recog")


@pytest.fixture(scope="module")
def samples(tiny_features):
    return recognition_samples([f.video for f in tiny_features.features], tiny_features.dataset.classes)


@pytest.fixture(scope="module")
def folds(tiny_features, samples):
    return loso_folds([f.video for f in tiny_features.features], samples, tiny_features.subjects)


@pytest.fixture(scope="module")
def spotted_only(folds):
    """The third fold, as if no subject had an expression of an evaluated class."""
    return replace(folds[2], recog_train=np.array([], np.int64))


@pytest.fixture(scope="module")
def train(tiny_features, samples):
    """Train or load folds of the tiny DEMO into a cache."""

    def run(cache, folds, workers=1, weights=None, **hyperparameters):
        return run_folds(
            folds,
            tiny_features.features,
            samples,
            len(tiny_features.dataset.classes),
            tiny_features.k_prime,
            cache,
            workers,
            hyperparameters=None if weights else replace(TINY, **hyperparameters),
            weights=weights,
        )

    return run


@pytest.fixture(scope="module")
def trained(train, folds, spotted_only, tmp_path_factory):
    """The first fold and the one that is spotted only, trained in this process: (cache, results, remarks)."""
    cache = tmp_path_factory.mktemp("trained")
    return cache, *train(cache, [folds[0], spotted_only])


def arrays(result) -> list[bytes]:
    return [p.read_bytes() for p in sorted(result.folder.glob("*.npy"))]


def thinned(tiny_features, fold, features=None, ratio=5, seed=1):
    """The spotting training set of a fold of the tiny DEMO."""
    return spotting_training_set(fold, features or tiny_features.features, tiny_features.k_prime, ratio, seed)


def of_fold(fold, samples):
    """The samples that a fold's recognition network is trained on."""
    return [samples[i] for i in fold.recog_train]


# What a training leaves


def test_the_dataset_is_what_these_tests_need(tiny_features, samples):
    assert [f.video.subject for f in tiny_features.features] == ["s15", "s15", "s16", "s17"]
    assert {s.class_index for s in samples} == {0, 1}
    assert {s.subject for s in samples} == {"s15", "s16"}  # s17 has only an expression of class others


def test_files_and_shapes(trained, tiny_features):
    result = trained[1][0]
    expected = {"fold.json"} | {f"{kind}.weights.h5" for kind in KINDS}
    expected |= {f"{what}-{i}.npy" for what in ("scores", "probabilities") for i in (0, 1)}
    assert {p.name for p in result.folder.iterdir()} == expected
    for i, video in enumerate(result.fold.test):
        n = tiny_features.features[video].n_features
        assert (result.scores(i).shape, result.scores(i).dtype) == ((n,), np.float32)
        assert result.probabilities(i).shape == (n, 3)
        np.testing.assert_allclose(result.probabilities(i).sum(axis=1), 1, rtol=1e-5)
        assert np.isfinite(result.scores(i)).all()
        assert result.scores(i).std() > 0
    assert {name: len(values) for name, values in result.history.items()} == {
        "spot_loss": 1,
        "spot_mae": 1,
        "recog_loss": 2,
        "recog_accuracy": 2,
    }


def test_a_fold_without_recognition_samples_is_spotted_only(trained):
    _, (_, result), remarks = trained
    assert remarks == ["s17: no recognition samples to train on, its expressions are spotted without an emotion"]
    assert not result.recognised
    assert result.probabilities(0) is None
    assert {p.name for p in result.folder.iterdir()} == {"fold.json", "scores-0.npy", "spot.weights.h5"}
    assert result.history.keys() == {"spot_loss", "spot_mae"}


# The same again, or not


def test_the_same_training_gives_the_same_bytes(trained, train, folds, tmp_path):
    """That two workers give them, too, is in test_main.py."""
    (again,), _ = train(tmp_path, folds[:1])
    assert arrays(again) == arrays(trained[1][0])
    assert again.folder.name == trained[1][0].folder.name
    assert again.history == trained[1][0].history


def test_a_fold_does_not_depend_on_what_its_process_did_before(trained, train, folds, tmp_path):
    """The results must not depend on which fold came first."""
    train(tmp_path / "before", [folds[1]], seed=5)
    (again,), _ = train(tmp_path, folds[:1])
    assert arrays(again) == arrays(trained[1][0])


def test_another_seed_differs(trained, train, spotted_only, tmp_path):
    (other,), _ = train(tmp_path, [spotted_only], seed=2)
    assert np.abs(other.scores(0) - trained[1][1].scores(0)).max() > 1e-3
    assert other.folder.name != trained[1][1].folder.name


def test_finished_folds_are_taken_from_the_cache(trained, train, folds, spotted_only, monkeypatch):
    monkeypatch.setattr(train_evaluate, "_compute_fold", lambda job, folder: pytest.fail("computed again"))
    again, _ = train(trained[0], [folds[0], spotted_only])
    assert [(r.folder, r.history, r.recognised) for r in again] == [
        (r.folder, r.history, r.recognised) for r in trained[1]
    ]


@pytest.mark.parametrize(
    "change", [dict(ratio=3), dict(learning_rate=1e-3), dict(batch_size=16), dict(epochs_recog=3), dict(seed=2)]
)
def test_other_settings_are_computed_anew(trained, train, folds, monkeypatch, change):
    def stop(job, folder):
        raise KeyboardInterrupt

    monkeypatch.setattr(train_evaluate, "_compute_fold", stop)
    with pytest.raises(KeyboardInterrupt):
        train(trained[0], folds[:1], **change)
    leftovers = [p.name for p in (trained[0] / "folds" / "s15").iterdir()]
    assert leftovers == [trained[1][0].folder.name]  # an interrupted fold leaves nothing


def test_loaded_weights_predict_what_training_predicted(trained, train, folds, tmp_path):
    result = trained[1][0]
    for kind in KINDS:
        (tmp_path / "DEMO" / kind).mkdir(parents=True)
        shutil.copyfile(result.folder / f"{kind}.weights.h5", tmp_path / "DEMO" / kind / "s1.weights.h5")
    weights = [find_weights(tmp_path, DATASETS["DEMO"], 1, "s15")]
    (loaded,), remarks = train(tmp_path / "cache", folds[:1], weights=weights)
    assert remarks == []
    assert arrays(loaded) == arrays(result)

    (tmp_path / "DEMO" / "recog" / "s1.weights.h5").unlink()
    weights = [find_weights(tmp_path, DATASETS["DEMO"], 1, "s15")]
    (spotted,), remarks = train(tmp_path / "cache", folds[:1], weights=weights)
    assert remarks == ["s15: no recognition weights, its expressions are spotted without an emotion"]
    assert spotted.probabilities(0) is None
    np.testing.assert_allclose(spotted.scores(0), loaded.scores(0), atol=1e-6)


def test_published_weights_that_have_seen_their_subject(trained, train, folds, tmp_path):
    """Their recognition network is not used (paper) or used (upstream); a remark says which."""
    folder, seen = (
        trained[1][0].folder,
        "s15: the published recognition weights recog.weights.h5 have seen this subject",
    )
    files = FoldWeights(*(folder / f"{kind}.weights.h5" for kind in ("spot", "recog")), leaks=True)
    for unused, then in ((True, "its expressions get no emotion"), (False, "they are used, as upstream does")):
        (result,), remarks = train(tmp_path, folds[:1], weights=[replace(files, recognition_unused=unused)])
        assert remarks == [f"{seen}; {then}"]
        assert result.recognised != unused


@pytest.mark.parametrize(
    ("too_large", "read", "named"),
    [
        ("spot_conv", ("spot_recog",), "spot_recog"),
        ("spot_conv", ("spot", "spot_recog"), "spot_recog"),
        ("spot_conv", ("spot", "recog"), "spot"),
        ("recog_conv", ("spot", "recog"), "recog"),
    ],
)
def test_scores_that_are_not_finite_name_the_file_that_was_read(train, folds, tmp_path, too_large, read, named):
    """Weights near the largest float32 are finite, but their sums are not."""
    weights = initial_weights([("spot", 1), ("recog", 3)], np.random.default_rng(0))
    weights[too_large] = [np.full_like(array, 3e38) for array in weights[too_large]]
    for kind in read:
        MeanNetwork(weights, tuple(kind.split("_"))).save_weights(tmp_path / f"{kind}.weights.h5")
    files = FoldWeights(*(tmp_path / f"{kind}.weights.h5" if kind in read else None for kind in KINDS))
    with pytest.raises(InputError) as error:
        train(tmp_path / "cache", folds[:1], weights=[files])
    assert str(error.value).startswith(f"{tmp_path / named}.weights.h5: gives scores that are not finite")


# The held-out subject's curves, and the fold that holds nobody out


def test_validation_adds_curves_and_changes_nothing_else(trained, train, folds, spotted_only, tmp_path):
    (with_curves, without_samples), _ = train(tmp_path, [folds[0], spotted_only], validate=True)
    for validated, plain in zip((with_curves, without_samples), trained[1], strict=True):
        assert arrays(validated) == arrays(plain)
        assert plain.history == {name: v for name, v in validated.history.items() if not name.startswith("val_")}
    added = {name: len(v) for name, v in with_curves.history.items() if name.startswith("val_")}
    assert added == {"val_spot_loss": 1, "val_spot_mae": 1, "val_recog_loss": 2, "val_recog_accuracy": 2}
    added = {name for name in without_samples.history if name.startswith("val_")}
    assert added == {"val_spot_loss", "val_spot_mae"}


def test_validation_is_on_all_frames_of_the_held_out_subject(tiny_features, folds):
    images, labels = spotting_validation_set(folds[0], tiny_features.features, tiny_features.k_prime)
    tested = [tiny_features.features[i] for i in folds[0].test]
    expected = np.concatenate([np.load(f.spotting) for f in tested])
    np.testing.assert_array_equal(images, expected)
    assert len(labels) == len(expected)
    assert labels.sum() == sum(
        pseudo_labels(f.n_features, f.video.expressions, tiny_features.k_prime).sum() for f in tested
    )


def test_the_fold_of_all_trains_on_everybody_and_tests_nobody(train, tiny_features, samples, tmp_path):
    everybody = fold_of_all([f.video for f in tiny_features.features], samples)
    (result,), remarks = train(tmp_path, [everybody], validate=True)
    assert remarks == []
    assert {p.name for p in result.folder.iterdir()} == {"fold.json"} | {f"{kind}.weights.h5" for kind in KINDS}
    assert spotting_validation_set(everybody, tiny_features.features, tiny_features.k_prime) is None
    assert thinned(tiny_features, everybody).labels.sum() == sum(
        pseudo_labels(f.n_features, f.video.expressions, tiny_features.k_prime).sum() for f in tiny_features.features
    )
    assert not any(name.startswith("val_") for name in result.history)


def test_a_fold_without_an_expression_to_train_on_is_refused(tiny_features, folds):
    features = [replace(f, video=replace(f.video, expressions=())) for f in tiny_features.features]
    with pytest.raises(InputError, match=r"fold 1 \(s15 held out\): no other subject has an annotated expression"):
        thinned(tiny_features, folds[0], features)


# What a fold may read


def without_held_out(features, fold, gone):
    """Features in which the files of the held-out subject are missing."""
    return tuple(replace(f, spotting=gone, recognition=gone) if i in fold.test else f for i, f in enumerate(features))


def test_training_reads_nothing_of_the_held_out_subject(tiny_features, samples, folds, tmp_path):
    for fold in folds:
        complete = tiny_features.features
        blind = without_held_out(complete, fold, tmp_path / "gone.npy")
        for a, b in zip(
            [thinned(tiny_features, fold, blind).images()], [thinned(tiny_features, fold).images()], strict=True
        ):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(thinned(tiny_features, fold, blind).labels, thinned(tiny_features, fold).labels)
        made = [recognition_training_set(of_fold(fold, samples), features) for features in (blind, complete)]
        for a, b in zip(*made, strict=True):
            np.testing.assert_array_equal(a, b)


def test_spotting_training_set_by_hand(tiny_features, folds):
    """Each input is a frame of a training video with its pseudo-label; every expression frame is there once."""
    known = {}
    for i in folds[0].spot_train:
        f = tiny_features.features[i]
        labels = pseudo_labels(f.n_features, f.video.expressions, tiny_features.k_prime)
        known |= {image.tobytes(): label for image, label in zip(np.load(f.spotting), labels, strict=True)}
    frames = thinned(tiny_features, folds[0])
    rows = frames.images()
    assert rows.dtype == np.float32 and rows.shape == (len(frames.labels), 42, 42, 3)
    assert [known[row.tobytes()] for row in rows] == frames.labels.tolist()
    ones = int(sum(known.values()))
    assert frames.labels.sum() == ones
    assert len(frames.labels) == ones + min(5 * ones, len(known) - ones)
    with_room = frames.images(more=2)  # for samples that are made of these
    assert with_room.shape == (len(rows) + 2, 42, 42, 3)
    np.testing.assert_array_equal(with_room[:-2], rows)


def test_thinning_depends_on_seed_and_fold(tiny_features, folds):
    def chosen(fold, seed=1):
        return thinned(tiny_features, fold, ratio=1, seed=seed).images().tobytes()

    assert chosen(folds[0]) == chosen(folds[0])
    assert chosen(folds[0]) != chosen(folds[0], seed=2)
    assert chosen(folds[0]) != chosen(replace(folds[0], number=9))


def test_recognition_training_set_by_hand(tiny_features, samples, folds, tmp_path):
    images, classes = recognition_training_set(of_fold(folds[2], samples), tiny_features.features)
    assert classes.tolist() == [s.class_index for s in samples]
    for image, s in zip(images, samples, strict=True):
        np.testing.assert_array_equal(image, np.load(tiny_features.features[s.video].recognition)[s.expression])

    beyond = np.load(tiny_features.features[0].recognition)
    np.save(tmp_path / "beyond.npy", np.full_like(beyond, np.nan))  # an expression beyond the last frame
    features = (replace(tiny_features.features[0], recognition=tmp_path / "beyond.npy"), *tiny_features.features[1:])
    images, left = recognition_training_set(of_fold(folds[2], samples), features)
    assert left.tolist() == classes[1:].tolist()
    assert np.isfinite(images).all()


# Tables


def bumps(n: int, **at: float) -> np.ndarray:
    """Scores of 0 with values at some features: f7=1.0."""
    scores = np.zeros(n, np.float32)
    for name, value in at.items():
        scores[int(name[1:])] = value
    return scores


def scored(tiny_features, smoothed, votes: str | None = None) -> VideoScores:
    probabilities = None if votes is None else np.eye(3)[[int(c) for c in votes]] * 0.7 + 0.1
    return VideoScores(tiny_features.features[0].video, smoothed, np.asarray(smoothed, float), probabilities)


def test_predictions_by_hand(tiny_features):
    #        features  0123456789...          k' = 4
    #        votes     000000011112222222222
    #        peaks       ^ 2        ^ 13
    scores = scored(tiny_features, bumps(21, f2=0.9, f13=1.0), "000000011112222222222")
    table = predict_expressions([scores], tiny_features.dataset, 4, 0.55)
    assert list(table.columns) == list(PREDICTION_COLUMNS)
    assert table[["onset", "apex", "offset"]].to_numpy().tolist() == [[-2, 2, 6], [9, 13, 17]]
    assert table["emotion"].tolist() == ["negative", "positive"]  # [0, 2) and [9, 13): 1 1 2 2, first met
    assert table["score"].tolist() == pytest.approx([0.9, 1.0])
    assert table["confidence"].tolist() == pytest.approx([0.8, 0.45])
    assert table["onset_s"].tolist() == pytest.approx([-2 / 30, 9 / 30], abs=1e-4)
    assert set(table["subject"] + "/" + table["video"]) == {tiny_features.features[0].video.label}


def test_predictions_without_recognition_and_without_peaks(tiny_features):
    flat, peaked = scored(tiny_features, np.zeros(20)), scored(tiny_features, bumps(20, f9=1.0))
    table = predict_expressions([flat, peaked], tiny_features.dataset, 4, 0.55)
    assert table["apex"].tolist() == [9]
    assert table["emotion"].tolist() == [""]
    assert table["confidence"].isna().all()
    upstream = predict_expressions([flat], tiny_features.dataset, 4, 0.55, "upstream")
    assert upstream[["onset", "apex", "offset"]].to_numpy().tolist() == [[0, 0, 0]]
    assert len(predict_expressions([flat], tiny_features.dataset, 4, 0.55)) == 0


def test_short_videos_have_one_prediction(tiny_features):
    scores = scored(tiny_features, bumps(20, f5=0.9, f14=1.0))
    table = predict_expressions([scores, scores], DATASETS["SMIC_VIS"], 3, 0.55)
    assert table["apex"].tolist() == [14, 14]


def test_collected_scores_are_in_order_and_smoothed(trained, tiny_features):
    scores = collect_scores(trained[1], tiny_features.features, tiny_features.k_prime)
    assert [s.video for s in scores] == [tiny_features.features[i].video for i in (0, 1, 3)]
    for s in scores:
        np.testing.assert_array_equal(s.smoothed, smooth_scores(s.raw, tiny_features.k_prime))


def test_annotations_table(tiny_features):
    table = annotated_expressions([f.video for f in tiny_features.features], tiny_features.dataset)
    assert list(table.columns) == list(GROUND_TRUTH_COLUMNS)
    expected = [(f.video.label, e.onset, e.apex, e.offset, e.emotion) for f in tiny_features.features
                for e in f.video.expressions]  # fmt: skip
    labels = table["subject"] + "/" + table["video"]
    found = list(zip(labels, table["onset"], table["apex"], table["offset"], table["emotion"], strict=True))
    assert found == expected
    assert table["offset_s"].tolist() == pytest.approx(table["offset"] / 30, abs=1e-4)


def test_searched_apexes_stand_in_a_column_of_their_own(tiny_features):
    video = tiny_features.features[0].video
    known, *rest = video.expressions
    unknown = replace(known, apex=None, searched_apex=known.apex + 1)
    table = annotated_expressions([replace(video, expressions=(unknown, *rest))], tiny_features.dataset)
    assert list(table.columns) == [*GROUND_TRUTH_COLUMNS, "searched_apex"]
    assert table["apex"].isna().tolist() == [True] + [False] * len(rest)
    assert table["searched_apex"].fillna(-1).tolist() == [known.apex + 1] + [-1] * len(rest)


# Evaluation of all folds


def test_subjects_that_a_protocol_does_not_analyse(trained, tiny_features):
    """Under the paper's protocol their expressions get no emotion; under upstream's they keep it, and do not count."""
    features, k_prime = tiny_features.features, tiny_features.k_prime

    def evaluated(protocol, not_analysed):
        run = evaluate_folds(
            trained[1], features, tiny_features.dataset, k_prime, Settings(p=0.0), protocol, not_analysed
        ).evaluation
        emotions = run.predictions.loc[run.predictions["subject"] == "s15", "emotion"]
        return (emotions != "").any(), {row["subject"]: row["analysed"] for row in run.metrics["per_subject"]}

    for protocol in ("paper", "upstream"):
        assert evaluated(protocol, ())[0]
    assert evaluated("paper", {"s15"}) == (False, {"s15": 0, "s17": 0})
    assert evaluated("upstream", {"s15"}) == (True, {"s15": 0, "s17": 0})


def test_the_run_is_named_in_its_metrics(trained, tiny_features):
    run = evaluate_folds(
        trained[1], tiny_features.features, tiny_features.dataset, tiny_features.k_prime, Settings(seed=7), "paper"
    )
    metrics = run.evaluation.metrics
    assert (metrics["dataset"], metrics["mode"], metrics["seed"], metrics["protocol"]) == (
        "DEMO", "pretrained", 7, "paper",
    )  # fmt: skip
    assert [s.video for s in run.scores] == [tiny_features.features[i].video for i in (0, 1, 3)]
