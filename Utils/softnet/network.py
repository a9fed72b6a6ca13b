"""SOFTNet's network: three streams, one hidden layer, one score (docs/softnet.md, section 6). No Keras is needed.

Its files are those that Keras would write, and the authors' files can be read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from Utils.engine import glorot
from Utils.networks.files import Layout, read_layers, write_layers
from Utils.softnet.compiled import FLAT, HIDDEN, KERNEL, STREAMS, TAPS, learn, outputs, read_only

CONVOLUTIONS = [f"{name}_conv" for name in STREAMS]
SHAPES: dict[str, list[tuple[int, ...]]] = {
    **{f"{name}_conv": [(KERNEL, KERNEL, 1, filters), (filters,)] for name, filters in STREAMS.items()},
    "hidden": [(FLAT, HIDDEN), (HIDDEN,)],
    "spot": [(HIDDEN, 1), (1,)],
}  # name of a layer -> the shapes of its kernel and its bias
LAYOUT = Layout(
    names={"phased_conv2d": CONVOLUTIONS, "dense": ["hidden", "spot"]},
    published={"conv2d": CONVOLUTIONS, "dense": ["hidden", "spot"]},
)


@dataclass(frozen=True)
class SoftNet:
    """The network. It has 314,817 parameters.

    Attributes
    ----------
    kernel, bias : ndarray, (16, 25) and (16,), float32
        Of the filters of u, v and eps, in this order.
    hidden, hidden_bias : ndarray, (784, 400) and (400,), float32
    output, output_bias : ndarray, (400,) and (1,), float32
    """

    kernel: np.ndarray
    bias: np.ndarray
    hidden: np.ndarray
    hidden_bias: np.ndarray
    output: np.ndarray
    output_bias: np.ndarray

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """All weights, as `compiled.py` takes them."""
        return tuple(vars(self).values())

    def predict(self, features: np.ndarray) -> np.ndarray:
        """The scores (n, 1) float32 of features, (n, 42, 42, 3) float32 in [0, 1]."""
        return outputs(read_only(features), *self.arrays)[0][:, np.newaxis]

    def layers(self) -> dict[str, list[np.ndarray]]:
        """Name of a layer -> kernel and bias, of the shapes `SHAPES`."""
        found, first = {}, 0
        for name in CONVOLUTIONS:
            shape, (filters,) = SHAPES[name]
            own = slice(first, first + filters)
            found[name] = [self.kernel[own].T.reshape(shape), self.bias[own]]
            first += filters
        return found | {"hidden": [self.hidden, self.hidden_bias], "spot": [self.output[:, None], self.output_bias]}

    def save_weights(self, path: Path) -> None:
        """Write the weights to a file as Keras would."""
        write_layers(path, self.layers(), LAYOUT)


def of_layers(layers: Mapping[str, Sequence[np.ndarray]]) -> SoftNet:
    """The network with the arrays of `SoftNet.layers`, which are copied."""
    kernels, biases = zip(*(layers[name] for name in CONVOLUTIONS), strict=True)
    kernel = np.concatenate([array.reshape(TAPS, -1).T for array in kernels])
    arrays = (kernel, np.concatenate(biases), *layers["hidden"], layers["spot"][0][:, 0], layers["spot"][1])
    return SoftNet(*(np.array(array, np.float32, order="C") for array in arrays))


def new_network(rng: np.random.Generator) -> SoftNet:
    """A network with new weights, as Keras's layers have them by default.

    Kernels are uniform (Glorot and Bengio 2010), biases are 0.
    """
    return of_layers({name: [glorot(kernel, rng), np.zeros(bias)] for name, (kernel, bias) in SHAPES.items()})


def read_network(path: Path) -> SoftNet:
    """The network with the weights in a file of either format. Raises InputError as `files.read_layers` does."""
    return of_layers(read_layers(path, SHAPES, LAYOUT, "softnet network with 1 output(s)"))


def train(
    network: SoftNet,
    images: np.ndarray,
    targets: np.ndarray,
    order: np.ndarray,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    *,
    learning_rate: float,
    batch_size: int,
    epochs: int,
) -> dict[str, list[float]]:
    """Train a network by gradient descent, with the mean squared error. Its weights are changed.

    Parameters
    ----------
    network : SoftNet
    images : ndarray, (n, 42, 42, 3), float32, in [0, 1]
    targets : ndarray, (n,), float32
        Scores.
    order : ndarray of int64, (m,), m >= 1
        The samples, in the order in which they are taken in every epoch.
    validation : (images, targets), optional
        Evaluated after every epoch. This only adds curves ("val_loss" and so on).
    learning_rate : float
    batch_size, epochs : int

    Returns
    -------
    dict of str to list of float
        "loss" and "mae", the mean over the samples of each epoch, and the same with "val_" before them.
    """
    images = read_only(images)
    history: dict[str, list[float]] = {"loss": [], "mae": []}
    for _ in range(epochs):
        sums, _ = learn(images, targets, order, batch_size, np.float32(learning_rate), *network.arrays)
        for name, total in zip(("loss", "mae"), sums, strict=True):
            history[name].append(total / len(order))
        if validation is not None:
            errors = network.predict(validation[0])[:, 0].astype(float) - validation[1]
            history.setdefault("val_loss", []).append(float((errors**2).mean()))
            history.setdefault("val_mae", []).append(float(np.abs(errors).mean()))
    return history
