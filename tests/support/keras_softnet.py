"""SOFTNet's network (docs/softnet.md, section 6) of Keras's layers: what the program's own code is compared with."""

from __future__ import annotations

import Utils.networks.backend  # noqa: F401  isort: skip; before Keras: it sets what TensorFlow reads when it is loaded
import keras
from keras import layers

from Utils.networks.phased_conv import PhasedConv2D, PhaseMaxPooling


def softnet(plain: bool = True) -> keras.Model:
    """[u, v, eps], each (batch, 42, 42, 1) float32 -> a score, (batch, 1).

    If it is not `plain`, its convolutions are those of define_model.py, after which layers are named in files.
    """

    def stream(x, name: str, filters: int):
        if not plain:
            return PhaseMaxPooling(name=f"{name}_pool")(PhasedConv2D(filters, 5, stride=3, name=f"{name}_conv")(x))
        x = layers.Conv2D(filters, 5, padding="same", activation="relu", name=f"{name}_conv")(x)
        return layers.MaxPooling2D(3, strides=3, name=f"{name}_pool")(x)

    filters = {"u": 3, "v": 5, "strain": 8}
    inputs = [layers.Input((42, 42, 1), name=name) for name in filters]
    x = layers.Concatenate()([stream(x, *of) for x, of in zip(inputs, filters.items(), strict=True)])
    x = layers.Flatten()(layers.MaxPooling2D(2, strides=2)(x))
    x = layers.Dense(400, activation="relu", name="hidden")(x)
    return keras.Model(inputs, layers.Dense(1, name="spot")(x))
