"""The three networks (paper section 3.2; docs/method.md, section 2). Only `keras` is used, so they run on any backend.

spotting = spotting_network()
recognition = recognition_network(spotting, n_classes=3)    # the streams of `spotting`, frozen, and a new head
joint = joint_network(spotting, recognition)                # both outputs in one pass
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import Utils.networks.backend  # noqa: F401  isort: skip; before Keras: it sets what TensorFlow reads when it is loaded
import keras
import numpy as np
from keras import layers

from Utils.engine import RECOG
from Utils.engine.architecture import (
    EPSILON,
    FEATURE_SIDE,
    HEAD_DROPOUT,
    HEAD_FILTERS,
    HEAD_L2,
    HEAD_POOL,
    KERNEL,
    MOMENTUM,
    STREAM_DROPOUT,
    STREAM_L2,
    STREAM_POOL,
    STREAMS,
)
from Utils.networks.mean import read_fold
from Utils.networks.phased_conv import PhasedConv2D, PhaseMaxPooling
from Utils.networks.weights import FoldWeights

FEATURE_SHAPE = (FEATURE_SIDE, FEATURE_SIDE, 1)  # of each input


def spotting_network(streams: Sequence[str] = tuple(STREAMS)) -> keras.Model:
    """The spotting network: [u, v, eps], each (batch, 42, 42, 1) float32 -> a score, (batch, 1).

    It has a stream for each input, and one linear output. Its layers are created stream by stream. The authors' weights
    are loaded in that order. With only some of `STREAMS` it has only these inputs, for ablations.
    """
    inputs = [layers.Input(FEATURE_SHAPE, name=name) for name in streams]
    outputs = [_stream(x, name, STREAMS[name]) for x, name in zip(inputs, streams, strict=True)]
    # 14 x 14 x 14 with all streams
    joined = (
        layers.Concatenate(name="streams")(outputs) if len(outputs) > 1 else layers.Identity(name="streams")(outputs[0])
    )
    spot = layers.Dense(1, name="spot")(_head(joined, "spot"))
    return keras.Model(inputs, spot, name=_named("spotting", streams))


def recognition_network(spotting: keras.Model, n_classes: int) -> keras.Model:
    """The recognition network: [u, v, eps], each (batch, 42, 42, 1) float32 -> probabilities, (batch, n_classes).

    It shares the streams of `spotting` and has its own head. All layers of `spotting` are frozen.
    """
    for layer in spotting.layers:
        layer.trainable = False
    head = _head(spotting.get_layer("streams").output, "recog")
    recog = layers.Dense(n_classes, activation="softmax", name="recog")(head)
    return keras.Model(spotting.inputs, recog, name=_named("recognition", streams_of(spotting)))


def recognition_from_scratch(streams: Sequence[str] = tuple(STREAMS), n_classes: int = 3) -> keras.Model:
    """The recognition network with streams of its own, which are trained, too: an ablation of the transfer."""
    network = recognition_network(spotting_network(streams), n_classes)
    for layer in network.layers:
        layer.trainable = True
    network.name = f"{network.name}_from_scratch"
    return network


def streams_of(network: keras.Model) -> tuple[str, ...]:
    """The names of a network's streams, in order."""
    return tuple(name for name in STREAMS if name in {tensor.name for tensor in network.inputs})


def as_inputs(images: np.ndarray, channels: Iterable[int] = range(len(STREAMS))) -> list[np.ndarray]:
    """Features (n, 42, 42, 3) -> the inputs of a network, [u, v, eps], each (n, 42, 42, 1)."""
    return [np.ascontiguousarray(images[..., channel : channel + 1]) for channel in channels]


def _named(task: str, streams: Sequence[str]) -> str:
    """The name of a network: of its task, and of its streams if it has not all of them."""
    return task if tuple(streams) == tuple(STREAMS) else "_".join([task, *streams])


def joint_network(spotting: keras.Model, recognition: keras.Model) -> keras.Model:
    """Both networks over their shared streams: [u, v, eps] -> [score (batch, 1), probabilities (batch, n_classes)]."""
    name = _named("joint", streams_of(spotting))
    return keras.Model(spotting.inputs, [spotting.output, recognition.output], name=name)


def load_fold(weights: FoldWeights, n_classes: int):
    """The networks of a fold as Keras models, with their weights loaded.

    Parameters
    ----------
    weights : FoldWeights
    n_classes : int

    Returns
    -------
    spotting : keras.Model
    recognition : keras.Model or None
        None if the recognition network is missing or not used.

    Raises
    ------
    InputError
        As `Utils.networks.mean.read_fold` does.
    """
    loaded = read_fold(weights, n_classes)
    spotting = spotting_network()
    recognition = recognition_network(spotting, n_classes) if RECOG in loaded.tasks else None
    for network in filter(None, (spotting, recognition)):
        for layer in network.layers:
            if layer.weights:
                layer.set_weights(loaded.weights[layer.name])
    return spotting, recognition


def _stream(x, name: str, filters: int):
    """A stream, 42x42x1 -> 14x14xfilters: convolution, ReLU, batch normalisation, max pooling, dropout.

    The convolution and the pooling are those of `Utils/networks/phased_conv.py`, which are faster.
    """
    regularizer = keras.regularizers.L2(STREAM_L2)
    x = PhasedConv2D(filters, KERNEL, stride=STREAM_POOL, kernel_regularizer=regularizer, name=f"{name}_conv")(x)
    x = layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, name=f"{name}_norm")(x)
    x = PhaseMaxPooling(name=f"{name}_pool")(x)
    return layers.Dropout(STREAM_DROPOUT, name=f"{name}_dropout")(x)


def _head(x, task: str):
    """What comes before the output, 14x14x14 -> 392: convolution, ReLU, max pooling, flatten, dropout."""
    x = layers.Conv2D(
        HEAD_FILTERS,
        KERNEL,
        padding="same",
        activation="relu",
        kernel_regularizer=keras.regularizers.L2(HEAD_L2),
        name=f"{task}_conv",
    )(x)
    x = layers.MaxPooling2D(HEAD_POOL, strides=HEAD_POOL, padding="same", name=f"{task}_pool")(x)
    x = layers.Flatten(name=f"{task}_flatten")(x)
    return layers.Dropout(HEAD_DROPOUT, name=f"{task}_dropout")(x)
