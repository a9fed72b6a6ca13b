"""The compiled networks against Keras's plain layers: outputs, gradients, statistics, a whole training."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from tests.support.engine import CLASSES, digest, features, of_a_small_training, random_weights
from tests.support.paths import PROJECT
from Utils.engine import CHANNELS, RECOG, SPOT, cached, initial_weights, predict, train
from Utils.engine.inputs import draw_masks
from Utils.engine.parameters import flatten, names_of, unflatten
from Utils.engine.prediction import stream_outputs
from Utils.engine.training import ADAM_EPSILON, BETA1, BETA2, CONSTANTS, Trainer
from Utils.networks.backend import seed_keras
from Utils.work.lanes import LANES

WITHOUT_DROPOUT = CONSTANTS._replace(stream_dropout=np.float32(0), head_dropout=np.float32(0))


# Keras's plain layers, in double precision


@pytest.fixture(scope="module")
def keras():
    seed_keras(0)
    import keras

    return keras


def plain_network(keras, weights, task: str, streams=CHANNELS, frozen: bool = False, masked: bool = False):
    """The network of plain layers without dropout. If `masked`, its last two inputs are the masks of the dropout."""
    layers, dtype = keras.layers, "float64"
    inputs, pooled = [], []
    for name in streams:
        inputs.append(layers.Input((42, 42, 1), dtype=dtype))
        filters = weights[f"{name}_conv"][0].shape[-1]
        x = layers.Conv2D(
            filters, 5, padding="same", activation="relu", kernel_regularizer=keras.regularizers.L2(0.001),
            trainable=not frozen, dtype=dtype, name=f"{name}_conv",
        )(inputs[-1])  # fmt: skip
        x = layers.BatchNormalization(trainable=not frozen, dtype=dtype, name=f"{name}_norm")(x)
        pooled.append(layers.MaxPooling2D(3, strides=3, padding="same", dtype=dtype)(x))
    x = layers.Concatenate(dtype=dtype)(pooled) if len(pooled) > 1 else pooled[0]
    if masked:
        inputs += [layers.Input(shape, dtype=dtype) for shape in (x.shape[1:], (392,))]
        x = layers.Multiply(dtype=dtype)([x, inputs[-2]])
    x = layers.Conv2D(
        8, 5, padding="same", activation="relu", kernel_regularizer=keras.regularizers.L2(0.1), dtype=dtype,
        name=f"{task}_conv",
    )(x)  # fmt: skip
    x = layers.Flatten(dtype=dtype)(layers.MaxPooling2D(2, strides=2, padding="same", dtype=dtype)(x))
    if masked:
        x = layers.Multiply(dtype=dtype)([x, inputs[-1]])
    activation = "softmax" if task == RECOG else None
    x = layers.Dense(weights[task][0].shape[-1], activation=activation, dtype=dtype, name=task)(x)
    network = keras.Model(inputs, x)
    for layer in network.layers:
        if layer.weights:
            layer.set_weights(weights[layer.name])
    return network


def inputs_of(images: np.ndarray, streams=CHANNELS) -> list[np.ndarray]:
    return [images[..., CHANNELS.index(name)][..., np.newaxis] for name in streams]


@pytest.mark.parametrize("task", [SPOT, RECOG])
@pytest.mark.parametrize("streams", [CHANNELS, ("strain",), ("u", "v")])
def test_outputs_are_those_of_keras(keras, task, streams):
    weights, images = random_weights(1, streams), features(LANES + 3)
    (found,) = predict([weights], images, [task], streams)
    expected = np.asarray(plain_network(keras, weights, task, streams)(inputs_of(images, streams), training=False))
    assert found.shape == (1, *expected.shape) and expected.std() > 1e-3
    np.testing.assert_allclose(found[0], expected, rtol=3e-6, atol=2e-6)


def gradient_of_keras(keras, network, images, targets, task) -> tuple[dict, float]:
    """(name of a layer, number of its array) -> the gradient; and the loss with regularisation."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        outputs = network(images, training=True)
        if task == SPOT:
            loss = tf.reduce_mean((outputs - targets) ** 2)
        else:
            loss = tf.reduce_mean(keras.losses.categorical_crossentropy(targets, outputs))
        loss += tf.add_n(network.losses)
    variables = [(layer.name, i) for layer in network.layers for i, _ in enumerate(layer.trainable_weights)]
    gradients = tape.gradient(loss, network.trainable_weights)
    return {key: np.asarray(g) for key, g in zip(variables, gradients, strict=True)}, float(loss)


def masks_of(seed: int, batch: int, channels: int) -> list[np.ndarray]:
    """The masks that a `Trainer` draws for its first batch from a generator with this seed."""
    sizes = (14 * 14 * channels, 392)
    n = sum(sizes) * batch
    bits = np.random.default_rng(seed).integers(0, 2**64, -(-n // 4), np.uint64).view(np.uint16)[:n]
    parts = np.split(bits.reshape(sum(sizes), batch).T, [sizes[0]], axis=1)
    masks = [(part >= rate * 2**16) / (1 - rate) for part, rate in zip(parts, (0.3, 0.2), strict=True)]
    return [masks[0].reshape(batch, 14, 14, channels), masks[1]]


@pytest.mark.parametrize("batch", [32, 19, 11, 5])
@pytest.mark.parametrize(
    ("task", "frozen", "streams"),
    [
        (SPOT, False, CHANNELS), (RECOG, False, CHANNELS), (RECOG, True, CHANNELS),
        (SPOT, False, ("u",)), (SPOT, False, ("strain",)), (RECOG, False, ("u", "v")), (RECOG, True, ("v", "strain")),
    ],
)  # fmt: skip
def test_gradients_are_those_of_keras(keras, task, frozen, streams, batch):
    """With the same masks of the dropout; they differ by less than 1e-5 of the largest.

    The batches are the same on every machine: some fill vectors of 8 or 16 samples, some do not. No maximum of a
    pooling may be a tie at single precision, since then another position gets the gradient: the samples of seed 0 have
    one (a gap of 8e-8). Other samples gave up to 1.6e-5, in one sum of 56,000 terms. Keras itself, in single precision,
    differs from double precision by up to 1.9e-4.
    """
    weights, images = random_weights(2, streams), features(40)
    indices = np.random.default_rng(3).permutation(40)[:batch]
    rng = np.random.default_rng(1)
    targets = np.eye(CLASSES)[rng.integers(0, CLASSES, batch)] if task == RECOG else rng.random((batch, 1))
    targets = targets.astype(np.float32)
    trainer = Trainer(weights, task, streams, frozen)
    inputs = stream_outputs(weights, images, task, streams) if frozen else images
    loss, regularisation, _ = trainer.find_gradient(inputs, indices, targets, np.random.default_rng(7))

    network = plain_network(keras, weights, task, streams, frozen, masked=True)
    doubles = [x.astype(np.float64) for x in inputs_of(images[indices], streams)]
    doubles += masks_of(7, batch, weights[f"{task}_conv"][0].shape[2])
    expected, with_regularisation = gradient_of_keras(keras, network, doubles, targets.astype(np.float64), task)
    assert loss / batch + regularisation == pytest.approx(with_regularisation, rel=1e-5)
    at = 0
    largest = max(np.abs(g).max() for g in expected.values())
    for key in names_of(() if frozen else streams, task):
        size = expected[key].size
        np.testing.assert_allclose(
            trainer.gradient[at : at + size], expected[key].ravel(), rtol=0, atol=1e-5 * largest, err_msg=str(key)
        )
        assert np.abs(expected[key]).max() > 0
        at += size
    assert at == trainer.gradient.size
    if not frozen:
        for name in streams:
            for found, there in zip(
                trainer.weights()[f"{name}_norm"][2:], network.get_layer(f"{name}_norm").get_weights()[2:], strict=True
            ):
                np.testing.assert_allclose(found, there, rtol=1e-5)


def test_adam_is_that_of_keras(keras):
    """Ten steps on the same gradients, some of them 0."""
    rng = np.random.default_rng(0)
    theta = rng.normal(size=50).astype(np.float32)
    variable, optimizer = keras.Variable(theta), keras.optimizers.Adam(5e-3)
    moments = np.zeros_like(theta), np.zeros_like(theta)
    for step in range(1, 11):
        gradient = (rng.normal(size=50) * (rng.random(50) < 0.8)).astype(np.float32)
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
        cached.adam(theta, gradient, *moments, step, 5e-3, BETA1, BETA2, ADAM_EPSILON)
    np.testing.assert_allclose(theta, np.asarray(variable), rtol=1e-5, atol=1e-6)


@pytest.fixture
def in_double_precision(keras):
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx("float32")


@pytest.mark.parametrize(("task", "frozen"), [(SPOT, False), (RECOG, True)])
def test_a_training_is_that_of_keras(keras, task, frozen, in_double_precision):
    """Some epochs without dropout, with batches in the same order: curves and weights, also on held-out samples."""
    weights, images = random_weights(3), features(21)
    rng = np.random.default_rng(2)
    targets = np.eye(CLASSES)[rng.integers(0, CLASSES, 21)] if task == RECOG else rng.random((21, 1))
    targets = targets.astype(np.float32)
    held_out = features(6, seed=9), targets[:6]
    trained, history = train(
        weights, task, images, targets, held_out, frozen=frozen, constants=WITHOUT_DROPOUT,
        learning_rate=1e-3, batch_size=8, epochs=3, seed=4,
    )  # fmt: skip

    network = plain_network(keras, weights, task, frozen=frozen)
    loss, metric = ("categorical_crossentropy", "accuracy") if task == RECOG else ("mse", "mae")
    network.compile(keras.optimizers.Adam(1e-3), loss=loss, metrics=[metric])
    order, expected = np.random.default_rng(4), {name: [] for name in history}
    for _ in range(3):
        permuted = order.permutation(21)
        for of_batch in (8, 8, 5):
            numbers = (14 * 14 * 14 + 392) * of_batch
            order.integers(0, 2**64, -(-numbers // 4), np.uint64)  # as for the dropout
        found = network.fit(
            inputs_of(images[permuted].astype(np.float64)), targets[permuted].astype(np.float64), batch_size=8,
            epochs=1, shuffle=False, verbose=0,
            validation_data=(inputs_of(held_out[0].astype(np.float64)), held_out[1].astype(np.float64)),
        ).history  # fmt: skip
        for name in history:
            expected[name] += found[name]
    # Adam divides by the size of a gradient. So where that is nearly 0, rounding alone decides about a step. If it is a
    # bias, normalisation hides it in training, and not on held-out samples.
    for name, values in history.items():
        np.testing.assert_allclose(values, expected[name], rtol=3e-3 if "val" in name else 2e-4, err_msg=name)
    layers = [layer for layer in network.layers if layer.weights]
    found, there = (
        np.concatenate([a.ravel() for layer in layers for a in of_layer(layer)])
        for of_layer in (lambda layer: trained[layer.name], lambda layer: layer.get_weights())
    )
    assert (np.abs(found - there) > 1e-4).mean() < 0.01 and np.abs(found - there).max() < 9 * 1e-3


# On its own


def of_a_training(batch_size: int = 32, seed: int = 1):
    rng = np.random.default_rng(0)
    weights = initial_weights([(SPOT, 1), (RECOG, CLASSES)], rng)
    images = features(41)
    targets = (rng.random((41, 1)) > 0.5).astype(np.float32)
    settings = dict(learning_rate=5e-4, batch_size=batch_size, seed=seed)
    spotting, _ = train(weights, SPOT, images, targets, epochs=2, **settings)
    classes = np.eye(CLASSES, dtype=np.float32)[rng.integers(0, CLASSES, 41)]
    recognition, _ = train(weights | spotting, RECOG, images, classes, epochs=3, frozen=True, **settings)
    return spotting, recognition, predict([recognition], images, [SPOT, RECOG])


def test_a_training_has_the_same_bytes_on_all_processors():
    """Recorded with vectors of 8 and of 16 numbers. A change in any rounding shows here."""
    assert digest(*of_a_training()) == "d23bebd34414441c"


def test_another_seed_or_batch_size_gives_another_training():
    spotting, _, _ = of_a_training()
    assert digest(of_a_training(seed=2)[0]) != digest(spotting) != digest(of_a_training(batch_size=40)[0])


def test_the_given_weights_are_not_changed_and_frozen_streams_stay():
    weights = random_weights(5)
    before = {name: [a.copy() for a in arrays] for name, arrays in weights.items()}
    targets = np.eye(CLASSES, dtype=np.float32)[[0, 1, 2, 0]]
    settings = dict(learning_rate=0.1, batch_size=2, epochs=2, seed=0)
    trained, history = train(weights, RECOG, features(4), targets, frozen=True, **settings)
    assert {name for name in weights if not all(map(np.array_equal, trained[name], before[name]))} == {
        "recog_conv", RECOG,
    }  # fmt: skip
    assert all(np.array_equal(a, b) for name in weights for a, b in zip(weights[name], before[name], strict=True))
    assert set(history) == {"loss", "accuracy"} and len(history["loss"]) == 2
    assert all(0 <= x <= 1 for x in history["accuracy"])
    everything, _ = train(weights, RECOG, features(4), targets, **settings)
    changed = {name for name in weights if not all(map(np.array_equal, everything[name], before[name]))}
    assert changed == set(weights) - {"spot_conv", SPOT}


@njit
def _draw(bits, first, n, rate, masks, start, size, samples):
    draw_masks(bits, first, n, rate, masks, start, size, samples)


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.2])
def test_dropout_drops_its_share_and_keeps_the_mean(rate):
    n, size, samples = 3, 20_000, 5
    bits = np.random.default_rng(0).integers(0, 2**16, size * samples, np.uint16)
    masks = np.zeros(size * LANES, np.float32)
    _draw(bits, 2, n, np.float32(rate), masks, 0, size, samples)
    drawn = masks.reshape(size, LANES)
    assert set(np.unique(drawn[:, :n])) == ({np.float32(1)} if rate == 0 else {0, np.float32(1) / np.float32(1 - rate)})
    assert (drawn[:, :n] == 0).mean() == pytest.approx(rate, abs=0.01)
    assert not drawn[:, n:].any()
    kept = bits.reshape(size, samples)[:, 2 : 2 + n] >= rate * 2**16
    np.testing.assert_array_equal(drawn[:, :n] > 0, kept)


@settings(max_examples=20, deadline=None)
@given(n=st.integers(1, 2 * LANES + 1), seed=st.integers(0, 5))
def test_an_output_does_not_depend_on_the_samples_beside_it(n, seed):
    weights, images = random_weights(seed), features(2 * LANES + 1)
    whole = predict([weights], images, [SPOT, RECOG])
    part = predict([weights], images[:n], [SPOT, RECOG])
    for a, b in zip(whole, part, strict=True):
        np.testing.assert_array_equal(a[:, :n], b)
    np.testing.assert_allclose(whole[1].sum(axis=-1), 1, rtol=1e-6)


@settings(max_examples=20, deadline=None)
@given(streams=st.lists(st.sampled_from(CHANNELS), min_size=1, unique=True), task=st.sampled_from([SPOT, RECOG]))
def test_flat_parameters_and_back(streams, task):
    weights = initial_weights([(task, 2)], np.random.default_rng(0), streams)
    theta = flatten(weights, streams, task)
    assert theta.size == sum(a.size for name, arrays in weights.items() for a in arrays[:2])
    back = unflatten(theta, weights, streams, task)
    assert all(np.array_equal(a, b) for name in weights for a, b in zip(weights[name], back[name], strict=True))


def test_new_weights_are_within_their_limits():
    weights = initial_weights([(SPOT, 1)], np.random.default_rng(0))
    kernel = weights["spot_conv"][0]
    limit = np.sqrt(6 / (25 * (14 + 8)))
    assert np.abs(kernel).max() <= limit and np.abs(kernel).max() > 0.99 * limit
    assert abs(kernel.mean()) < 0.05 * limit
    assert {name: [float(a.mean()) for a in arrays] for name, arrays in weights.items() if "norm" in name} == {
        f"{name}_norm": [1, 0, 0, 1] for name in CHANNELS
    }
    assert not weights["u_conv"][1].any() and not weights[SPOT][1].any()


def test_weights_that_are_not_numbers_give_scores_that_are_not():
    """Nothing on the way makes a number of NaN, so that such scores are refused."""
    for name in ("u_conv", "strain_norm", "spot_conv", SPOT):
        weights = random_weights(8)
        weights[name][0].flat[0] = np.nan
        assert np.isnan(predict([weights], features(3)[1:])[0]).all(), name


def test_arrays_of_other_shapes_are_refused():
    """The compiled functions check no index."""
    weights, settings = random_weights(9), dict(learning_rate=1e-3, batch_size=2, epochs=1, seed=0)
    ones = np.ones((4, 1), np.float32)
    for images in (features(4)[..., :1], features(4)[:, :41], features(4)[0]):
        with pytest.raises(ValueError, match="features have the shape"):
            predict([weights], images)
    for images, targets in ((features(4), ones[:3]), (features(4), np.ones((4, 2))), (features(1)[:0], ones[:0])):
        with pytest.raises(ValueError, match="targets have the shape"):
            train(weights, SPOT, images, targets, **settings)
    with pytest.raises(ValueError, match="features have the shape"):
        train(weights, RECOG, features(4)[..., :2], np.ones((4, CLASSES)), frozen=True, **settings)
    assert [output.shape for output in predict([weights], features(1)[:0], [SPOT, RECOG])] == [(1, 0, 1), (1, 0, 3)]


SMALL = """
import gc
gc.disable()  # to compile is then a sixth quicker
from tests.support.engine import digest, of_a_small_training
from Utils.engine import compile_engine
compile_engine(lambda line: print("said:", line))
print(digest(*of_a_small_training()))
"""


def test_says_when_it_compiles_and_needs_no_fma(tmp_path):
    """Without AVX and FMA all bytes are the same. The second process finds the code in the cache."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    if platform.machine().lower() in ("x86_64", "amd64"):
        environment |= {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": ""}

    def run():
        command = [sys.executable, "-c", SMALL]
        done = subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    expected = digest(*of_a_small_training())
    assert run() == ["said: compiling the networks for this processor (once, about 10 s)...", expected]
    assert run() == [expected]


def test_another_length_of_vectors_is_another_entry_of_the_cache():
    """Code for vectors of 16 numbers would write beyond buffers for 8."""
    from Utils.work import lanes

    assert LANES in cached.learn.py_func.__closure__[0].cell_contents
    script = "from Utils.work.lanes import LANES; print(LANES)"
    for chosen, expected in (("+avx2,+fma", "8"), ("+avx2,+fma,+avx512f", "16")):
        environment = os.environ | {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": chosen}
        said = subprocess.run(
            [sys.executable, "-c", script], env=environment, cwd=PROJECT, capture_output=True, text=True, check=True
        )
        assert said.stdout.strip() == expected
    assert lanes.LANES in (8, 16)


def test_a_trained_network_needs_no_tensorflow(tmp_path):
    """Neither to train, nor to save, to load and to predict."""
    script = """
import sys
from pathlib import Path
import numpy as np
import main, train_evaluate, Utils.own_video.run
from Utils.engine import initial_weights, train
from Utils.networks.mean import MeanNetwork, read_network
x = np.random.default_rng(0).random((4, 42, 42, 3), np.float32)
first = initial_weights([("spot", 1)], np.random.default_rng(0), ("u", "v", "strain"))
weights, _ = train(first, "spot", x, np.ones((4, 1)), learning_rate=1e-3, batch_size=4, epochs=1, seed=0)
MeanNetwork(weights).save_weights(Path(sys.argv[1]))
assert np.isfinite(read_network(Path(sys.argv[1]), {"spot": 1}).predict(x)[0]).all()
assert not {"tensorflow", "keras"} & set(sys.modules)
"""
    path = tmp_path / "s1.weights.h5"
    subprocess.run([sys.executable, "-c", script, str(path)], cwd=PROJECT, check=True)


def test_features_that_are_not_plain_arrays(tmp_path):
    """Mapped from a file, in another order in memory, in double precision."""
    weights, images = random_weights(6), features(3)
    np.save(tmp_path / "features.npy", images)
    (expected,) = predict([weights], images)
    others = (
        np.load(tmp_path / "features.npy", mmap_mode="r"), np.asfortranarray(images), images.astype(np.float64),
    )  # fmt: skip
    for other in others:
        np.testing.assert_array_equal(predict([weights], other)[0], expected)
