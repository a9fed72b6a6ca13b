"""The three networks (paper section 3.2; docs/method.md, section 2), with `keras` alone: any of its backends runs them.

spotting = spotting_network()
recognition = recognition_network(spotting, n_classes=3)    # the streams of `spotting`, frozen, and its own head
joint = joint_network(spotting, recognition)                # both outputs from one pass
"""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from Utils.errors import InputError
from Utils.networks.phased_conv import PhasedConv2D, PhaseMaxPooling
from Utils.networks.weights import FoldWeights, load_network

FEATURE_SHAPE = (42, 42, 1)
STREAMS = {"u": 3, "v": 3, "strain": 8}  # filters of each input's convolution
HEAD_FILTERS = 8


def spotting_network() -> keras.Model:
    """Three shallow streams and a regression head: (u, v, eps), each (batch, 42, 42, 1) float32 -> (batch, 1).

    Layers are created stream by stream; published weights are loaded in that order.
    """
    inputs = [layers.Input(FEATURE_SHAPE, name=name) for name in STREAMS]
    outputs = [_stream(x, name, filters) for x, (name, filters) in zip(inputs, STREAMS.items(), strict=True)]
    streams = layers.Concatenate(name="streams")(outputs)  # 14 x 14 x 14
    spot = layers.Dense(1, name="spot")(_head(streams, "spot"))
    return keras.Model(inputs, spot, name="spotting")


def recognition_network(spotting: keras.Model, n_classes: int) -> keras.Model:
    """The spotting network's streams, every layer frozen, with a head of its own: (batch, n_classes) probabilities."""
    for layer in spotting.layers:
        layer.trainable = False
    head = _head(spotting.get_layer("streams").output, "recog")
    recog = layers.Dense(n_classes, activation="softmax", name="recog")(head)
    return keras.Model(spotting.inputs, recog, name="recognition")


def joint_network(spotting: keras.Model, recognition: keras.Model) -> keras.Model:
    """Both networks over the shared streams: -> [(batch, 1) score, (batch, n_classes) probabilities]."""
    return keras.Model(spotting.inputs, [spotting.output, recognition.output], name="joint")


def frozen_streams(spotting: keras.Model) -> keras.Model:
    """What recognition training computes only once: (u, v, eps) -> the pooled streams before their dropout."""
    return keras.Model(spotting.inputs, [spotting.get_layer(f"{name}_pool").output for name in STREAMS], name="streams")


def recognition_head(recognition: keras.Model) -> keras.Model:
    """The part of the recognition network that training changes, from the pooled streams on.

    Its layers are those of `recognition`, so training one trains the other: the streams are frozen, and their batch
    normalisation then uses its stored moments, so that for one input they always give the same output.
    """
    inputs = [layers.Input(recognition.get_layer(f"{name}_pool").output.shape[1:]) for name in STREAMS]
    x = [recognition.get_layer(f"{name}_dropout")(x) for name, x in zip(STREAMS, inputs, strict=True)]
    for name in ("streams", "recog_conv", "recog_pool", "recog_flatten", "recog_dropout", "recog"):
        x = recognition.get_layer(name)(x)
    return keras.Model(inputs, x, name="recognition_head")


def load_fold(weights: FoldWeights, n_classes: int):
    """Build the networks of a fold and load their weights.

    Returns
    -------
    spotting : keras.Model
    recognition : keras.Model or None

    Raises
    ------
    InputError
        A file that is no weight file, has other shapes (another number of classes), or values that are not finite; a
        recognition file that was not trained on the streams of the spotting file.
    """
    spotting = spotting_network()
    if weights.joint is not None:
        recognition = recognition_network(spotting, n_classes)
        load_network(joint_network(spotting, recognition), weights.joint)
        return spotting, recognition if weights.recognises else None
    load_network(spotting, weights.spot)
    if not weights.recognises:
        return spotting, None
    streams = _stream_weights(spotting)
    recognition = recognition_network(spotting, n_classes)
    load_network(recognition, weights.recog)
    if not all(map(np.array_equal, streams, _stream_weights(spotting))):
        raise InputError(f"{weights.recog}: belongs to another spotting network than {weights.spot} (streams differ)")
    return spotting, recognition


def _stream_weights(spotting) -> list[np.ndarray]:
    """The arrays that the two networks share."""
    return [
        array for layer in spotting.layers if layer.name not in ("spot_conv", "spot") for array in layer.get_weights()
    ]


def _stream(x, name: str, filters: int):
    """42x42x1 -> 14x14xfilters: convolution 5x5, ReLU, batch normalisation, max-pooling 3x3 of stride 3, dropout."""
    x = PhasedConv2D(filters, 5, stride=3, kernel_regularizer=keras.regularizers.L2(0.001), name=f"{name}_conv")(x)
    x = layers.BatchNormalization(name=f"{name}_norm")(x)
    x = PhaseMaxPooling(name=f"{name}_pool")(x)
    return layers.Dropout(0.3, name=f"{name}_dropout")(x)


def _head(x, task: str):
    """14x14x14 -> 392."""
    x = layers.Conv2D(
        HEAD_FILTERS,
        5,
        padding="same",
        activation="relu",
        kernel_regularizer=keras.regularizers.L2(0.1),
        name=f"{task}_conv",
    )(x)
    x = layers.MaxPooling2D(2, strides=2, padding="same", name=f"{task}_pool")(x)
    x = layers.Flatten(name=f"{task}_flatten")(x)
    return layers.Dropout(0.2, name=f"{task}_dropout")(x)
