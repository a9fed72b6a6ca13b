"""SOFTNet's network: three streams, one hidden layer, one score (docs/softnet.md, section 6)."""

from __future__ import annotations

import Utils.networks.backend  # noqa: F401  isort: skip; before Keras: it sets what TensorFlow reads when it is loaded
import keras
from keras import layers

from define_model import FEATURE_SHAPE, KERNEL
from Utils.networks.phased_conv import PhasedConv2D, PhaseMaxPooling

STREAMS = {"u": 3, "v": 5, "strain": 8}  # inputs -> filters of their convolution
STREAM_POOL, POOL = 3, 2  # side and stride of the pooling of each stream, and of all streams together
HIDDEN = 400  # units of the hidden layer

# Kind of layer in the authors' files -> our names of these layers, in the order of creation
PUBLISHED_NAMES = {"conv2d": [f"{name}_conv" for name in STREAMS], "dense": ["hidden", "spot"]}


def softnet() -> keras.Model:
    """SOFTNet: [u, v, eps], each (batch, 42, 42, 1) float32 -> a score, (batch, 1). It has 314,817 parameters."""
    inputs = [layers.Input(FEATURE_SHAPE, name=name) for name in STREAMS]
    streams = [
        PhaseMaxPooling(name=f"{name}_pool")(PhasedConv2D(filters, KERNEL, stride=STREAM_POOL, name=f"{name}_conv")(x))
        for x, (name, filters) in zip(inputs, STREAMS.items(), strict=True)
    ]
    x = layers.Concatenate(name="streams")(streams)  # 14 x 14 x 16
    x = layers.MaxPooling2D(POOL, strides=POOL, name="pool")(x)
    x = layers.Dense(HIDDEN, activation="relu", name="hidden")(layers.Flatten(name="flatten")(x))
    return keras.Model(inputs, layers.Dense(1, name="spot")(x), name="softnet")
