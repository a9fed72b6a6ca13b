"""Networks whose training and prediction functions are traced and compiled once per process, not once per fold.

Every fold builds new networks with newly drawn weights. Tracing and compiling what trains them can take longer than the
training, and is the same for every fold; so one compiled copy of each network is kept, and put into the state of the
new one before it is used: weights, random states, and an optimiser that has not seen anything.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable

import keras
import numpy as np

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
) -> dict[str, list[float]]:
    """Train a new network with a new Adam optimiser; returns the loss and the metric per epoch.

    Parameters
    ----------
    network : keras.Model
        With one output: `spotting` is trained on the mean squared error, the others on the categorical cross-entropy.
    inputs : iterable of ndarray
        One array per input. Each is copied to Keras's backend before the next one is asked for, so that arrays which
        are made on the way are not all held twice.
    targets : ndarray
    validation : (inputs, targets), optional
        Evaluated after every epoch, for the curves only ("val_loss", ...).
    learning_rate : float
    seed : int
        Of the order of the samples. It is set here, since tracing draws random numbers, too, in the first fold only.
    jit_compile : bool
    batch_size, epochs : int
    short_epochs : bool
        Epochs are of a few steps: setting up to read the samples, which TensorFlow does anew for every epoch, would
        take most of the time. It is then done once.
    """
    key = (network.name, network.output_shape, learning_rate, jit_compile)
    if key not in _TRAINERS:
        regression = network.name == "spotting"
        trainer = keras.models.clone_model(network)
        trainer.compile(
            keras.optimizers.Adam(learning_rate),
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
        if variable is not trainer.optimizer.learning_rate:  # moments and step count
            variable.assign(np.zeros(variable.shape, variable.dtype))
    tensors = [keras.ops.convert_to_tensor(array) for array in inputs]
    keras.utils.set_random_seed(seed)
    history = trainer.fit(
        **_samples(tensors, targets, seed, batch_size, short_epochs),
        epochs=epochs, verbose=0, validation_data=validation, validation_batch_size=256,
    ).history  # fmt: skip
    network.set_weights(trainer.get_weights())
    gc.collect()  # Keras leaves the training set in a cycle of references
    return history


def _samples(inputs: list, targets: np.ndarray, seed: int, batch_size: int, short_epochs: bool) -> dict:
    """What `keras.Model.fit` trains on: the arrays, or one TensorFlow dataset that goes on from epoch to epoch."""
    if not short_epochs or keras.backend.backend() != "tensorflow":
        return dict(x=inputs, y=targets, batch_size=batch_size, shuffle=True)
    import tensorflow as tf

    options = tf.data.Options()
    options.threading.private_threadpool_size = 1
    samples = tf.data.Dataset.from_tensor_slices((tuple(inputs), targets))
    samples = samples.shuffle(len(targets), seed=seed, reshuffle_each_iteration=True).batch(batch_size).repeat()
    return dict(x=samples.with_options(options), steps_per_epoch=-(-len(targets) // batch_size))


def predict(network: keras.Model, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """The network's outputs, a list also of one, for a whole video at once."""
    shapes = network.output_shape if isinstance(network.output_shape, list) else [network.output_shape]
    key = (network.name, *shapes)
    if key not in _PREDICTORS:
        _PREDICTORS[key] = keras.models.clone_model(network)
    predictor = _PREDICTORS[key]
    predictor.set_weights(network.get_weights())
    outputs = predictor.predict(inputs, batch_size=256, verbose=0)
    return outputs if isinstance(outputs, list) else [outputs]
