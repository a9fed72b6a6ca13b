"""SOFTNet's network in compiled code, beside plain layers of Keras."""

from __future__ import annotations

import subprocess
import sys

import h5py
import numpy as np
import pytest

from tests.support.late import LateModule
from tests.support.paths import PROJECT
from Utils.errors import InputError
from Utils.softnet.compiled import compile_network, learn, outputs
from Utils.softnet.network import SHAPES, SoftNet, new_network, of_layers, read_network, train

keras = LateModule("keras")
reference = LateModule("tests.support.keras_softnet")
define_model = LateModule("define_model")


@pytest.fixture(scope="module", autouse=True)
def ready():
    compile_network(lambda line: None)


def network_of(seed: int) -> SoftNet:
    """Biases are not 0: some activations and units are below 0 for all samples, and none is 0."""
    rng = np.random.default_rng(seed)
    return of_layers({name: [rng.normal(0, 0.1, shape) for shape in shapes] for name, shapes in SHAPES.items()})


def copy_of(network: SoftNet) -> SoftNet:
    return SoftNet(*(array.copy() for array in network.arrays))


def in_keras(network: SoftNet, plain: bool = True):
    model = reference.softnet(plain)
    for name, arrays in network.layers().items():
        model.get_layer(name).set_weights(arrays)
    return model


def samples(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Some images have places that are equal, as those of a still face have."""
    rng = np.random.default_rng(seed)
    images = rng.random((n, 42, 42, 3), np.float32)
    images[n // 2] = 0
    images[n // 3, :20] = 0.25
    images[n // 4, 20:] = 0
    return images, rng.random(n).round().astype(np.float32)


def test_it_has_the_published_number_of_weights():
    assert sum(array.size for array in new_network(np.random.default_rng(0)).arrays) == 314_817
    assert SHAPES["hidden"] == [(784, 400), (400,)] and SHAPES["v_conv"] == [(5, 5, 1, 5), (5,)]


def test_new_weights_are_those_of_glorot():
    """Each kernel fills its range, and biases are 0."""
    layers = new_network(np.random.default_rng(1)).layers()
    for name, ends in {"u_conv": 25 * 4, "v_conv": 25 * 6, "strain_conv": 25 * 9, "hidden": 1184, "spot": 401}.items():
        kernel, bias = layers[name]
        limit = np.sqrt(6 / ends)
        assert 0.9 * limit < np.abs(kernel).max() <= limit and (bias == 0).all(), name
    again = new_network(np.random.default_rng(1)).layers()
    assert all(map(np.array_equal, layers["hidden"], again["hidden"]))


def test_layers_are_taken_apart_and_put_together():
    network = network_of(2)
    assert all(map(np.array_equal, of_layers(network.layers()).arrays, network.arrays))


@pytest.mark.parametrize("n", [1, 63, 64, 65, 130])
def test_scores_are_those_of_keras(n):
    network, (images, _) = network_of(3), samples(n)
    expected = in_keras(network).predict_on_batch(define_model.as_inputs(images))
    found = network.predict(images)
    assert found.shape == (n, 1) and found.dtype == np.float32 and (n == 1 or found.std() > 0)
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=4e-6)
    np.testing.assert_array_equal(network.predict(images.astype(float)[::-1])[::-1], found)


@pytest.mark.parametrize(
    ("n", "epochs", "new"), [(5, 1, False), (12, 1, False), (31, 1, False), (40, 3, False), (12, 1, True)]
)
def test_a_training_is_that_of_keras(n, epochs, new):
    """Weights after some steps, with a last batch that is shorter, and the curves.

    In a `new` network, the activations of blank places are 0, where nothing is learnt.
    """
    network = new_network(np.random.default_rng(4)) if new else network_of(4)
    images, targets = samples(n)
    before, order = copy_of(network), np.random.default_rng(5).permutation(n)
    held_out = samples(9, seed=6)
    model = in_keras(network)
    model.compile(keras.optimizers.SGD(0.002), loss="mse", metrics=["mae"])
    expected = model.fit(
        define_model.as_inputs(images[order]), targets[order], batch_size=12, epochs=epochs, shuffle=False, verbose=0,
        validation_data=(define_model.as_inputs(held_out[0]), held_out[1]),
    ).history  # fmt: skip
    found = train(network, images, targets, order, held_out, learning_rate=0.002, batch_size=12, epochs=epochs)
    assert found.keys() == expected.keys()
    for name, curve in found.items():
        np.testing.assert_allclose(curve, expected[name], rtol=2e-5, err_msg=name)
    for name, arrays in network.layers().items():
        for array, of_keras, old in zip(
            arrays, model.get_layer(name).get_weights(), before.layers()[name], strict=True
        ):
            change = np.abs(of_keras - old).max()
            assert change > 0, name
            np.testing.assert_allclose(array, of_keras, rtol=0, atol=2e-4 * change + 2e-7, err_msg=name)


def test_samples_that_are_not_in_the_order_are_not_learnt():
    images, targets = samples(20)
    order = np.arange(0, 20, 2)
    other = images.copy()
    other[1::2] = np.nan
    networks = [network_of(7), network_of(7)]
    curves = [
        train(n, x, targets, order, learning_rate=0.01, batch_size=4, epochs=2)
        for n, x in zip(networks, (images, other), strict=True)
    ]
    assert curves[0] == curves[1] and all(map(np.array_equal, networks[0].arrays, networks[1].arrays))


def test_what_is_no_number_stays_none():
    """So that scores show it."""
    images, targets = samples(6)
    images[2, 20, 20, 1] = np.nan
    network = network_of(8)
    assert np.isnan(network.predict(images))[:, 0].tolist() == [False, False, True, False, False, False]
    curves = train(network, images, targets, np.arange(6), learning_rate=0.01, batch_size=6, epochs=2)
    assert np.isnan(curves["loss"]).all() and np.isnan(network.predict(images)).all()


def test_no_samples_have_no_scores():
    assert network_of(0).predict(np.empty((0, 42, 42, 3), np.float32)).shape == (0, 1)


def test_nothing_is_compiled_a_second_time(tmp_path):
    """A worker would do it without a word: features of a video are a read-only map of a file."""
    np.save(tmp_path / "features.npy", samples(3)[0])
    features = np.load(tmp_path / "features.npy", mmap_mode="r")
    train(network_of(0), features, np.zeros(3, np.float32), np.arange(3), learning_rate=0, batch_size=2, epochs=1)
    for images in (features, features[::2], np.zeros((2, 42, 42, 3))):
        network_of(0).predict(images)
    assert len(outputs.signatures) == len(learn.signatures) == 1


def test_keras_reads_what_is_saved(tmp_path):
    network, (images, _) = network_of(9), samples(5)
    network.save_weights(tmp_path / "s1.weights.h5")
    model = reference.softnet(plain=False)
    model.load_weights(tmp_path / "s1.weights.h5")
    found = model.predict_on_batch(define_model.as_inputs(images))
    np.testing.assert_allclose(found, network.predict(images), atol=1e-5)
    model.save_weights(tmp_path / "s2.weights.h5")
    assert all(map(np.array_equal, read_network(tmp_path / "s2.weights.h5").arrays, network.arrays))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file: file.__delitem__("layers/dense_1"), "does not fit the softnet network"),
        (lambda file: file["layers/dense/vars/1"].__setitem__(0, np.inf), "has values that are not finite"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(damage, message, tmp_path):
    path = tmp_path / "s1.weights.h5"
    network_of(0).save_weights(path)
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.raises(InputError, match=rf"s1\.weights\.h5: .*{message}"):
        read_network(path)


def test_a_trained_network_needs_no_tensorflow():
    script = (
        "import sys\nimport numpy as np\nfrom Utils.softnet.network import new_network, train\n"
        "n = new_network(np.random.default_rng(0))\n"
        "train(n, np.zeros((2, 42, 42, 3), 'f4'), np.zeros(2, 'f4'), np.arange(2), learning_rate=.1, batch_size=2,"
        " epochs=1)\nprint(sorted({'tensorflow', 'keras'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
