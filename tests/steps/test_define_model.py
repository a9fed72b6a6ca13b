"""The networks: parameter counts, the quick convolution against the plain one, what recognition training changes."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.late import LateModule
from tests.support.paths import PROJECT
from Utils.datasets.table import DATASETS
from Utils.networks.backend import seed_keras
from Utils.networks.mean import read_fold
from Utils.networks.weights import FoldWeights, find_weights

keras, layers = LateModule("keras"), LateModule("keras.layers")
define_model, phased_conv = LateModule("define_model"), LateModule("Utils.networks.phased_conv")


@pytest.fixture(autouse=True)
def seeded():
    seed_keras(0)


def count(weights) -> int:
    return sum(int(np.prod(w.shape)) for w in weights)


def random_weights(network, seed: int) -> None:
    """Weights as after some training: variances positive, gammas of both signs."""
    rng = np.random.default_rng(seed)
    for w in network.weights:
        values = rng.normal(0, 0.3, w.shape)
        w.assign(np.abs(values) + 0.3 if "variance" in w.name else values)


def features(n: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.random((n, 42, 42, 1), np.float32) for _ in range(3)]


def run(network, inputs):
    outputs = network(inputs, training=False)
    return [np.asarray(o) for o in outputs] if isinstance(outputs, list) else np.asarray(outputs)


# Counts, names, shapes


def test_parameters_of_the_spotting_network():
    spotting = define_model.spotting_network()
    assert spotting.count_params() == 3621
    assert count(spotting.trainable_weights) == 3593


@pytest.mark.parametrize(("classes", "branch", "with_streams", "joint"), [(3, 3987, 4407, 7608), (5, 4773, 5193, 8394)])
def test_parameters_of_the_other_networks(classes, branch, with_streams, joint):
    spotting = define_model.spotting_network()
    recognition = define_model.recognition_network(spotting, classes)
    assert count(recognition.trainable_weights) == branch
    assert recognition.count_params() == with_streams
    assert define_model.joint_network(spotting, recognition).count_params() == joint
    assert count(spotting.trainable_weights) == 0  # every layer is frozen


def test_outputs():
    spotting = define_model.spotting_network()
    recognition = define_model.recognition_network(spotting, 5)
    network = define_model.joint_network(spotting, recognition)
    assert spotting.output_names == ["spot"]
    assert recognition.output_names == ["recog"]
    assert network.output_names == ["spot", "recog"]
    assert [tuple(i.shape) for i in network.inputs] == [(None, 42, 42, 1)] * 3
    assert [tuple(o.shape) for o in network.outputs] == [(None, 1), (None, 5)]
    random_weights(network, 1)
    spot, recog = run(network, features(4))
    np.testing.assert_allclose(recog.sum(axis=1), 1, rtol=1e-5)
    assert spot.min() < 0 or spot.max() > 1  # linear
    np.testing.assert_allclose(spot, run(spotting, features(4)), rtol=1e-6)
    np.testing.assert_allclose(recog, run(recognition, features(4)), rtol=1e-6)


def test_settings_of_the_layers():
    spotting = define_model.spotting_network()
    recognition = define_model.recognition_network(spotting, 3)
    for name, filters in {"u": 3, "v": 3, "strain": 8}.items():
        conv = spotting.get_layer(f"{name}_conv")
        assert tuple(conv.kernel.shape) == (5, 5, 1, filters)
        assert float(conv.kernel_regularizer.l2) == pytest.approx(0.001)
        assert spotting.get_layer(f"{name}_dropout").rate == 0.3
    assert tuple(spotting.get_layer("streams").output.shape) == (None, 14, 14, 14)
    for network, task in ((spotting, "spot"), (recognition, "recog")):
        assert float(network.get_layer(f"{task}_conv").kernel_regularizer.l2) == pytest.approx(0.1)
        assert tuple(network.get_layer(f"{task}_conv").kernel.shape) == (5, 5, 14, 8)
        assert tuple(network.get_layer(f"{task}_flatten").output.shape) == (None, 392)
        assert network.get_layer(f"{task}_dropout").rate == 0.2


def test_a_fold_is_loaded_into_keras_models():
    """They give what the compiled networks give."""
    files = find_weights(PROJECT / "MEAN_Weights", DATASETS["DEMO"], 1, "s15")
    networks, x = define_model.load_fold(files, 3), features(5)
    compiled = read_fold(files, 3).predict(np.concatenate(x, axis=-1))
    for network, expected in zip(networks, compiled, strict=True):
        np.testing.assert_allclose(run(network, x), expected, rtol=0, atol=1e-6)
    assert define_model.load_fold(FoldWeights(files.spot, None), 3)[1] is None


# The quick convolution


def plain_stream(inputs, name: str, filters: int):
    regularizer = keras.regularizers.L2(0.001)
    x = layers.Conv2D(
        filters, 5, padding="same", activation="relu", kernel_regularizer=regularizer, name=f"{name}_conv"
    )(inputs)
    x = layers.BatchNormalization(name=f"{name}_norm")(x)
    return layers.MaxPooling2D(3, strides=3, padding="same", name=f"{name}_pool")(x)


def phased_stream(inputs, name: str, filters: int):
    regularizer = keras.regularizers.L2(0.001)
    x = phased_conv.PhasedConv2D(filters, 5, stride=3, kernel_regularizer=regularizer, name=f"{name}_conv")(inputs)
    x = layers.BatchNormalization(name=f"{name}_norm")(x)
    return phased_conv.PhaseMaxPooling(name=f"{name}_pool")(x)


def one_stream(stream, filters: int, seed: int):
    inputs = layers.Input((42, 42, 1))
    network = keras.Model(inputs, stream(inputs, "u", filters))
    random_weights(network, seed)
    return network


@pytest.mark.parametrize(("seed", "filters"), [(0, 3), (1, 8), (2, 3), (3, 8)])
def test_phased_convolution_equals_the_plain_one(seed, filters):
    plain, phased = (one_stream(stream, filters, seed) for stream in (plain_stream, phased_stream))
    rng = np.random.default_rng(seed)
    x = rng.random((6, 42, 42, 1), np.float32)
    x[0] = 0  # a feature image of identical frames
    for training in (False, True):
        expected = np.asarray(plain(x, training=training))
        assert expected.shape == (6, 14, 14, filters)
        np.testing.assert_allclose(np.asarray(phased(x, training=training)), expected, atol=1e-5)

    target = rng.normal(size=expected.shape).astype(np.float32)
    changes = []
    for network in (plain, phased):
        network.compile(keras.optimizers.SGD(1.0), loss="mse", run_eagerly=True)  # a step of 1: change = -gradient
        before = network.get_weights()
        network.train_on_batch(x, target)
        changes.append([a - b for a, b in zip(network.get_weights(), before, strict=True)])
    for expected, found in zip(*changes, strict=True):
        assert np.abs(expected).max() > 1e-4  # gradients, and the moments of the normalisation
        np.testing.assert_allclose(found, expected, atol=1e-4 * max(1, np.abs(expected).max()))


def test_spotting_network_equals_one_of_plain_layers():
    inputs = [layers.Input((42, 42, 1)) for _ in define_model.STREAMS]
    streams = zip(inputs, define_model.STREAMS.items(), strict=True)
    x = [plain_stream(i, name, filters) for i, (name, filters) in streams]
    x = layers.Conv2D(8, 5, padding="same", activation="relu")(layers.Concatenate()(x))
    x = layers.Flatten()(layers.MaxPooling2D(2, strides=2, padding="same")(x))
    plain = keras.Model(inputs, layers.Dense(1)(x))
    spotting = define_model.spotting_network()
    random_weights(spotting, 5)
    plain.set_weights(spotting.get_weights())
    np.testing.assert_allclose(run(spotting, features(5)), run(plain, features(5)), atol=1e-4)


def test_phased_layers_survive_their_configuration():
    network = one_stream(phased_stream, 3, 0)
    copy = keras.Model.from_config(network.get_config())
    copy.set_weights(network.get_weights())
    x = features(2)[0]
    np.testing.assert_array_equal(run(network, x), run(copy, x))
    assert copy.get_layer("u_conv").kernel_regularizer.l2 == network.get_layer("u_conv").kernel_regularizer.l2


def test_phased_convolution_takes_one_channel():
    with pytest.raises(ValueError, match="one input channel"):
        phased_conv.PhasedConv2D(3, 5, stride=3)(np.zeros((1, 42, 42, 3), np.float32))


# Frozen transfer


def test_recognition_training_changes_the_head_alone():
    spotting = define_model.spotting_network()
    random_weights(spotting, 7)
    recognition = define_model.recognition_network(spotting, 3)
    x, classes = features(12), np.eye(3, dtype=np.float32)[np.arange(12) % 3]
    score_before, spotting_before = run(spotting, x), spotting.get_weights()
    before = {layer.name: layer.get_weights() for layer in recognition.layers}
    recognition.compile(keras.optimizers.Adam(1e-2), loss="categorical_crossentropy", run_eagerly=True)
    for _ in range(2):
        recognition.train_on_batch(x, classes)
    for a, b in zip(spotting_before, spotting.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(run(spotting, x), score_before)
    changed = {
        name
        for name, weights in before.items()
        if any((a != b).any() for a, b in zip(weights, recognition.get_layer(name).get_weights(), strict=True))
    }
    assert changed == {"recog_conv", "recog"}


# Other backends of Keras

WEIGHTS = PROJECT / "MEAN_Weights/DEMO/spot_recog/s1.weights.h5"
ON_A_BACKEND = """
import sys
import numpy as np
import keras
from define_model import joint_network, recognition_network, spotting_network

rng = np.random.default_rng(3)
inputs = [rng.random((64, 42, 42, 1), np.float32) for _ in range(3)]
spotting = spotting_network()
joint = joint_network(spotting, recognition_network(spotting, 3))
joint.load_weights(sys.argv[1])
scores, probabilities = (keras.ops.convert_to_numpy(o) for o in joint(inputs, training=False))
spotting = spotting_network()
spotting.compile(keras.optimizers.Adam(5e-4), loss="mse")
losses = spotting.fit(inputs, np.linspace(0, 1, 64), epochs=3, verbose=0).history["loss"]
np.savez(sys.argv[2], scores=scores, probabilities=probabilities, losses=losses, backend=keras.backend.backend())
"""


def on_backend(name: str, path: Path) -> dict[str, np.ndarray]:
    environment = os.environ | {"KERAS_BACKEND": name, "PYTHONPATH": str(PROJECT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", ON_A_BACKEND, str(WEIGHTS), str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with np.load(path, allow_pickle=False) as found:
        assert found["backend"] == name
        return dict(found)


@pytest.mark.parametrize("name", ["jax", "torch"])
def test_other_backends_load_the_same_weights_and_give_the_same_outputs(name, tmp_path):
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed (pip install {name})")
    ours, theirs = (on_backend(backend, tmp_path / f"{backend}.npz") for backend in ("tensorflow", name))
    for output in ("scores", "probabilities"):
        np.testing.assert_allclose(theirs[output], ours[output], rtol=0, atol=1e-5)
    assert ours["scores"].std() > 1e-3
    assert np.isfinite(theirs["losses"]).all() and theirs["losses"][-1] < theirs["losses"][0]  # it trains there, too
