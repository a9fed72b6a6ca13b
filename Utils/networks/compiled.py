"""Trains and predicts with networks that are traced and compiled once in each process, not once for each fold.

Every fold builds new networks with new random weights. To trace and compile their training can take longer than the
training itself, and the result is the same for every fold. Therefore one compiled copy of each network is kept. Before
it is used, it gets the state of the new network: its weights, its random states, and a new optimiser.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Iterable
from functools import cache

import keras
import numpy as np

PREDICTED_AT_ONCE = 256  # samples
REGRESSIONS = ("spotting", "softnet")  # how names of networks begin that give a score
OPTIMIZERS = {"Adam": keras.optimizers.Adam, "SGD": keras.optimizers.SGD}

_TRAINERS: dict[tuple, keras.Model] = {}
_PREDICTORS: dict[tuple, keras.Model] = {}


def train(
    network: keras.Model,
    inputs: Iterable[np.ndarray],
    targets: np.ndarray,
    validation: tuple[list[np.ndarray], np.ndarray] | None = None,
    *,
    learning_rate: float,
    seed: int,
    jit_compile: bool,
    batch_size: int,
    epochs: int,
    short_epochs: bool = False,
    optimizer: str = "Adam",
    shuffle: bool = True,
) -> dict[str, list[float]]:
    """Train a new network with a new optimiser.

    Parameters
    ----------
    network : keras.Model
        It has one output. Networks whose names begin as in `REGRESSIONS` are trained with the mean squared error,
        others with the categorical cross-entropy.
    inputs : iterable of ndarray
        One array for each input, (n, ...) float32. Each is copied to Keras's backend before the next one is asked for.
        So if arrays are made when they are asked for, only one of them is in memory twice.
    targets : ndarray
        (n,) float32 scores, or (n, C) one-hot classes.
    validation : (inputs, targets), optional
        Evaluated after every epoch. This only adds curves ("val_loss" and so on).
    learning_rate : float
    seed : int
        Seed of the order of the samples. It is set just before the training. If it was set earlier, the first fold of
        a process would differ, because making the compiled copy draws random numbers, too.
    jit_compile : bool
        Whether XLA compiles the training.
    batch_size, epochs : int
    short_epochs : bool
        True if an epoch has only a few steps. TensorFlow prepares the reading of the samples before every epoch, which
        would then take most of the time. So it is prepared once for all epochs.
    optimizer : {"Adam", "SGD"}
        SGD without momentum.
    shuffle : bool
        Whether the samples are shuffled before every epoch. (With `short_epochs` they always are.)

    Returns
    -------
    dict of str to list of float
        "loss" and "mae" or "accuracy", and the same with "val_" before them: the value after each epoch.
    """
    _set_libraries_aside()
    key = (network.name, network.output_shape, learning_rate, jit_compile, optimizer)
    if key not in _TRAINERS:
        regression = network.name.startswith(REGRESSIONS)
        trainer = keras.models.clone_model(network)
        trainer.compile(
            OPTIMIZERS[optimizer](learning_rate),
            loss="mse" if regression else "categorical_crossentropy",
            metrics=["mae" if regression else "accuracy"],
            jit_compile=jit_compile,
        )
        trainer.optimizer.build(trainer.trainable_variables)
        _TRAINERS[key] = trainer
    trainer = _TRAINERS[key]
    for ours, new in zip(trainer.variables, network.variables, strict=True):
        ours.assign(new)
    for variable in trainer.optimizer.variables:
        if variable is not trainer.optimizer.learning_rate:  # the others are Adam's moments and the number of steps
            variable.assign(np.zeros(variable.shape, variable.dtype))
    tensors = [keras.ops.convert_to_tensor(array) for array in inputs]
    keras.utils.set_random_seed(seed)
    history = trainer.fit(
        **_fit_arguments(tensors, targets, seed, batch_size, short_epochs, shuffle),
        epochs=epochs, verbose=0, validation_data=validation, validation_batch_size=PREDICTED_AT_ONCE,
    ).history  # fmt: skip
    network.set_weights(trainer.get_weights())
    gc.collect()  # Keras leaves the training set in a cycle of references, so it would stay in memory
    return history


@cache
def _set_libraries_aside() -> None:
    """Once in each process: let the garbage collector ignore all objects that are there now.

    Nearly all of them are TensorFlow's and stay. To look through them takes a fifth of a second, after every network.
    """
    gc.collect()
    gc.freeze()


def _fit_arguments(
    inputs: list, targets: np.ndarray, seed: int, batch_size: int, short_epochs: bool, shuffle: bool
) -> dict:
    """The samples, as arguments of `keras.Model.fit`.

    They are the arrays, or for short epochs one TensorFlow dataset that serves all epochs.
    """
    if not short_epochs or keras.backend.backend() != "tensorflow":
        return dict(x=inputs, y=targets, batch_size=batch_size, shuffle=shuffle)
    import tensorflow as tf

    options = tf.data.Options()
    options.threading.private_threadpool_size = 1
    samples = tf.data.Dataset.from_tensor_slices((tuple(inputs), targets))
    samples = samples.shuffle(len(targets), seed=seed, reshuffle_each_iteration=True).batch(batch_size).repeat()
    return dict(x=samples.with_options(options), steps_per_epoch=math.ceil(len(targets) / batch_size))


def predict(
    network: keras.Model, inputs: list[np.ndarray], weights: list[np.ndarray] | None = None
) -> list[np.ndarray]:
    """The outputs of a network, each (n, ...) float32, as a list even if there is only one.

    `inputs` has an array for each input, (n, ...) float32. `weights` are used instead of the network's, if given: they
    are as `network.get_weights()` returns them.
    """
    shapes = network.output_shape if isinstance(network.output_shape, list) else [network.output_shape]
    key = (network.name, *shapes)
    if key not in _PREDICTORS:
        _PREDICTORS[key] = keras.models.clone_model(network)
    predictor = _PREDICTORS[key]
    predictor.set_weights(network.get_weights() if weights is None else weights)
    parts = []  # `Model.predict` would prepare the reading of the samples first, which takes longer than a short video
    for start in range(0, len(inputs[0]), PREDICTED_AT_ONCE):
        outputs = predictor.predict_on_batch([array[start : start + PREDICTED_AT_ONCE] for array in inputs])
        parts.append(outputs if isinstance(outputs, list) else [outputs])
    return [np.concatenate(of_one_output) for of_one_output in zip(*parts, strict=True)]
