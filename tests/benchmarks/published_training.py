"""The published way of training a fold, written again as the baseline of `python -m tests.benchmarks`.

The networks have plain Keras layers, and are trained with a validation pass and a checkpoint after every epoch. The
mathematics is the project's.
"""

from __future__ import annotations

from pathlib import Path

import keras
from keras import layers

from feature_extraction import FEATURE_SIZE


def plain_networks(n_classes: int) -> tuple[keras.Model, keras.Model]:
    """The spotting and the recognition network of plain Keras layers. The streams of the second are to be frozen."""
    inputs = [layers.Input((FEATURE_SIZE, FEATURE_SIZE, 1)) for _ in range(3)]
    streams = layers.Concatenate()(
        [_stream(x, filters) for x, filters in zip(inputs, (3, 3, 8), strict=True)]
    )  # fmt: skip
    spot = layers.Dense(1)(_head(streams))
    recog = layers.Dense(n_classes, activation="softmax")(_head(streams))
    return keras.Model(inputs, spot), keras.Model(inputs, recog)


def _stream(x, filters: int):
    x = layers.Conv2D(filters, 5, padding="same", activation="relu", kernel_regularizer=keras.regularizers.L2(0.001))(x)
    x = layers.MaxPooling2D(3, strides=3, padding="same")(layers.BatchNormalization()(x))
    return layers.Dropout(0.3)(x)


def _head(x):
    x = layers.Conv2D(8, 5, padding="same", activation="relu", kernel_regularizer=keras.regularizers.L2(0.1))(x)
    return layers.Dropout(0.2)(layers.Flatten()(layers.MaxPooling2D(2, strides=2, padding="same")(x)))


def train(
    spotting_set: tuple, recognition_set: tuple, validation: tuple[tuple, tuple], folder: Path, epochs: tuple[int, int]
) -> tuple[float, float]:
    """Train both networks of a fold, with a validation pass and a checkpoint after every epoch: the last losses."""
    spotting, recognition = plain_networks(recognition_set[1].shape[1])
    losses = []
    steps = ((spotting, spotting_set, "mse"), (recognition, recognition_set, "categorical_crossentropy"))
    for (network, samples, loss), held_out, n in zip(steps, validation, epochs, strict=True):
        network.compile(keras.optimizers.Adam(5e-4), loss=loss, metrics=["mae" if loss == "mse" else "accuracy"])
        checkpoint = keras.callbacks.ModelCheckpoint(folder / f"{loss}.weights.h5", save_weights_only=True)
        log = network.fit(
            *samples, batch_size=32, epochs=n, shuffle=True, verbose=0, validation_data=held_out, callbacks=[checkpoint]
        )
        losses.append(log.history["loss"][-1])
        for layer in spotting.layers:
            layer.trainable = False
    return losses[0], losses[1]
