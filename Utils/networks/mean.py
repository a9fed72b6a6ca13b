"""MEAN's networks with their weights, without Keras: to predict, to load and to save.

The files are those of Keras: `define_model.joint_network(...).load_weights(path)` reads what is saved here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from Utils.engine import CHANNELS, RECOG, SPOT, predict, shapes_of
from Utils.errors import InputError
from Utils.networks.files import Layout, read_layers, write_layers
from Utils.networks.weights import FoldWeights

# In the authors' files, the convolutions of the heads were created after those of the streams u, v, eps
LAYOUT = Layout(
    names={
        "phased_conv2d": ["u_conv", "v_conv", "strain_conv"],
        "batch_normalization": ["u_norm", "v_norm", "strain_norm"],
        "conv2d": ["spot_conv", "recog_conv"],
        "dense": ["spot", "recog"],
    },
    published={
        "conv2d": ["u_conv", "v_conv", "strain_conv", "spot_conv", "recog_conv"],
        "batch_normalization": ["u_norm", "v_norm", "strain_norm"],
    },
)


@dataclass(frozen=True)
class MeanNetwork:
    """A network of MEAN.

    Attributes
    ----------
    weights : mapping
        Name of a layer -> its arrays: see Utils/engine/parameters.py.
    tasks : tuple of {"spot", "recog"}
        Its outputs, in order.
    streams : tuple of str
    """

    weights: Mapping[str, Sequence[np.ndarray]]
    tasks: tuple[str, ...] = (SPOT,)
    streams: tuple[str, ...] = CHANNELS

    def predict(self, features: np.ndarray) -> list[np.ndarray]:
        """The outputs, each (n, outputs) float32, for features (n, 42, 42, 3) float32."""
        return [outputs[0] for outputs in predict([self.weights], features, self.tasks, self.streams)]

    def save_weights(self, path: Path) -> None:
        """Write the weights to a file as Keras would."""
        names = shapes_of([(task, 1) for task in self.tasks], self.streams)
        write_layers(path, {name: self.weights[name] for name in names}, LAYOUT)


def read_network(path: Path, tasks: Mapping[str, int]) -> MeanNetwork:
    """A network from a file of either format.

    Parameters
    ----------
    path : Path
    tasks : mapping
        The outputs of the network, in order: "spot" or "recog" -> how many.

    Raises
    ------
    InputError
        The file cannot be read, is not a weight file of such a network, has values that are not finite, or is not safe
        to read (see `files.read_layers`).
    """
    name = {(SPOT,): "spotting", (RECOG,): "recognition"}.get(tuple(tasks), "joint")
    about = f"{name} network with {' and '.join(map(str, tasks.values()))} output(s)"
    return MeanNetwork(read_layers(path, shapes_of(tasks.items()), LAYOUT, about), tuple(tasks))


def read_fold(files: FoldWeights, n_classes: int) -> MeanNetwork:
    """The network of a fold: with both outputs, or with spotting only if recognition is missing or not used.

    Raises
    ------
    InputError
        As `read_network` does, for example because the number of classes differs. Or the recognition file was not
        trained on the streams of the spotting file.
    """
    if files.joint is not None:
        network = read_network(files.joint, {SPOT: 1, RECOG: n_classes})
        return network if files.recognises else MeanNetwork(network.weights, (SPOT,))
    spotting = read_network(files.spot, {SPOT: 1})
    if not files.recognises:
        return spotting
    recognition = read_network(files.recog, {RECOG: n_classes})
    for name, arrays in spotting.weights.items():
        if name in recognition.weights and not all(map(np.array_equal, arrays, recognition.weights[name])):
            raise InputError(f"{files.recog}: belongs to another spotting network than {files.spot} (streams differ)")
    return joined(spotting, recognition)


def joined(spotting: MeanNetwork, recognition: MeanNetwork) -> MeanNetwork:
    """Both networks in one, with the streams that they share."""
    return MeanNetwork({**recognition.weights, **spotting.weights}, (SPOT, RECOG), spotting.streams)


def predict_all(networks: Sequence[MeanNetwork], features: np.ndarray) -> list[list[np.ndarray]]:
    """The outputs of each network (see `MeanNetwork.predict`), in one pass over the features for all that are alike."""
    results: list[list[np.ndarray]] = [[] for _ in networks]
    for tasks in dict.fromkeys(network.tasks for network in networks):
        places = [i for i, network in enumerate(networks) if network.tasks == tasks]
        outputs = predict([networks[i].weights for i in places], features, tasks)
        for place, *of_network in zip(places, *outputs, strict=True):
            results[place] = of_network
    return results
