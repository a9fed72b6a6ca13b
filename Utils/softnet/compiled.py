"""Trains and predicts with networks that are traced and compiled once in each process, not once for each fold.

Every fold builds a new network with new random weights. To trace and compile its training can take longer than the
training itself, and the result is the same for every fold. Therefore one compiled copy is kept. Before it is used, it
gets the state of the new network: its weights, its random states, and a new optimiser.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable
from functools import cache

import Utils.networks.backend  # noqa: F401  isort: skip; before Keras: it sets what TensorFlow reads when it is loaded
import keras
import numpy as np

PREDICTED_AT_ONCE = 256  # samples

_TRAINERS: dict[tuple, keras.Model] = {}
_PREDICTORS: dict[str, keras.Model] = {}


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
) -> dict[str, list[float]]:
    """Train a new network by gradient descent, with the mean squared error. The samples are taken in their order.

    Parameters
    ----------
    network : keras.Model
        It has one output.
    inputs : iterable of ndarray
        One array for each input, (n, ...) float32. Each is copied to Keras's backend before the next one is asked for.
        So if arrays are made when they are asked for, only one of them is in memory twice.
    targets : ndarray, (n,), float32
        Scores.
    validation : (inputs, targets), optional
        Evaluated after every epoch. This only adds curves ("val_loss" and so on).
    learning_rate : float
    seed : int
        It is set just before the training. If it was set earlier, the first fold of a process would differ, because
        making the compiled copy draws random numbers, too.
    jit_compile : bool
        Whether XLA compiles the training.
    batch_size, epochs : int

    Returns
    -------
    dict of str to list of float
        "loss" and "mae", and the same with "val_" before them: the value after each epoch.
    """
    _set_libraries_aside()
    key = (network.name, network.output_shape, learning_rate, jit_compile)
    if key not in _TRAINERS:
        trainer = keras.models.clone_model(network)
        trainer.compile(keras.optimizers.SGD(learning_rate), loss="mse", metrics=["mae"], jit_compile=jit_compile)
        trainer.optimizer.build(trainer.trainable_variables)
        _TRAINERS[key] = trainer
    trainer = _TRAINERS[key]
    for ours, new in zip(trainer.variables, network.variables, strict=True):
        ours.assign(new)
    for variable in trainer.optimizer.variables:
        if variable is not trainer.optimizer.learning_rate:  # the other is the number of steps
            variable.assign(np.zeros(variable.shape, variable.dtype))
    tensors = [keras.ops.convert_to_tensor(array) for array in inputs]
    keras.utils.set_random_seed(seed)
    history = trainer.fit(
        tensors, targets, batch_size=batch_size, shuffle=False, epochs=epochs, verbose=0,
        validation_data=validation, validation_batch_size=PREDICTED_AT_ONCE,
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


def predict(network: keras.Model, inputs: list[np.ndarray]) -> np.ndarray:
    """The output of a network, (n, ...) float32. `inputs` has an array for each input, (n, ...) float32."""
    if network.name not in _PREDICTORS:
        _PREDICTORS[network.name] = keras.models.clone_model(network)
    predictor = _PREDICTORS[network.name]
    predictor.set_weights(network.get_weights())
    # `Model.predict` would prepare the reading of the samples first, which takes longer than a short video
    starts = range(0, len(inputs[0]), PREDICTED_AT_ONCE)
    return np.concatenate(
        [predictor.predict_on_batch([array[start : start + PREDICTED_AT_ONCE] for array in inputs]) for start in starts]
    )
