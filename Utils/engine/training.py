"""Trains a network with Adam (Kingma and Ba 2015), step by step, as Keras's `fit` does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from Utils.engine import cached
from Utils.engine.architecture import CHANNELS, EPSILON, HEAD_DROPOUT, HEAD_L2, MOMENTUM, STREAM_DROPOUT, STREAM_L2
from Utils.engine.buffers import Constants, room_for
from Utils.engine.layout import FLAT, POOLED
from Utils.engine.loss import LEAST_PROBABILITY
from Utils.engine.parameters import RECOG, Weights, flatten, moving_statistics, shape_of, unflatten
from Utils.engine.prediction import predict, readable, stream_outputs

BETA1, BETA2, ADAM_EPSILON = np.float32(0.9), np.float32(0.999), np.float32(1e-7)  # Keras's defaults
CONSTANTS = Constants(
    *map(np.float32, (MOMENTUM, EPSILON, STREAM_DROPOUT, HEAD_DROPOUT, STREAM_L2, HEAD_L2))
)  # fmt: skip


class Trainer:
    """A network in training.

    Parameters
    ----------
    weights : mapping
        See `parameters.py`. They are not changed.
    task : {"spot", "recog"}
        Which head is trained: with the mean squared error, or with the categorical cross-entropy.
    streams : sequence of str
        The streams that the network has.
    frozen : bool
        Whether the streams keep their weights, and normalise with their moving statistics.
    constants : Constants
        Settings of the layers.

    Attributes
    ----------
    gradient : ndarray, (size,), float32
        That of the last step. `parameters.names_of` has its order.
    """

    def __init__(
        self,
        weights: Weights,
        task: str,
        streams: Sequence[str] = CHANNELS,
        frozen: bool = False,
        constants: Constants = CONSTANTS,
    ) -> None:
        self._first, self._task, self._streams = weights, task, tuple(streams)
        self._trained = () if frozen else self._streams
        self._constants = constants
        self._shape = shape_of(weights, streams, task, frozen)
        self._theta = flatten(weights, self._trained, task)
        self._moving = moving_statistics(weights, streams)
        self._channels = np.array([CHANNELS.index(name) for name in self._trained], np.int64)
        self._moments = np.zeros_like(self._theta), np.zeros_like(self._theta)
        self._steps = 0
        self._room = None
        self._size = 0
        self.gradient = np.zeros_like(self._theta)

    def find_gradient(
        self, inputs: np.ndarray, indices: np.ndarray, targets: np.ndarray, rng: np.random.Generator
    ) -> tuple[float, float, float]:
        """The gradient of the loss over a batch, to `gradient`.

        Parameters
        ----------
        inputs : ndarray, (n, 42, 42, 3), float32
            If the streams are frozen, their outputs, (n, 14, 14, channels).
        indices : ndarray of int64, (batch,)
            Which of them are the batch.
        targets : ndarray, (batch, outputs), float32
        rng : Generator
            Draws the masks of the dropout.

        Returns
        -------
        loss, regularisation, metric : float
            Sum over the batch of the loss without regularisation; the regularisation; sum of the absolute errors, or
            number of right classes.
        """
        if len(indices) > self._size:
            self._room, self._size = room_for(self._shape, len(indices), self._shape.outputs), len(indices)
        numbers = (POOLED * POOLED * self._shape.channels + FLAT) * len(indices)
        bits = rng.integers(0, 2**64, -(-numbers // 4), np.uint64).view(np.uint16)
        result, _ = cached.learn(
            self._shape, self._constants, self._theta, self._moving, inputs, self._channels,
            indices, targets, bits, self.gradient, self._room,
        )  # fmt: skip
        return result

    def step(self, learning_rate: float) -> None:
        """Change the weights by Adam, with the gradient of the last batch."""
        self._steps += 1
        cached.adam(
            self._theta, self.gradient, *self._moments, self._steps, float(learning_rate), BETA1, BETA2, ADAM_EPSILON
        )

    def weights(self) -> dict[str, list[np.ndarray]]:
        """The weights as they are now."""
        result = unflatten(self._theta, self._first, self._trained, self._task)
        at = 0
        for name in self._trained:
            n = result[f"{name}_norm"][0].size
            result[f"{name}_norm"][2:] = [row[at : at + n].copy() for row in self._moving]
            at += n
        return result


def train(
    weights: Weights,
    task: str,
    features: np.ndarray,
    targets: np.ndarray,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    *,
    learning_rate: float,
    batch_size: int,
    epochs: int,
    seed: int,
    streams: Sequence[str] = CHANNELS,
    frozen: bool = False,
    constants: Constants = CONSTANTS,
) -> tuple[dict[str, list[np.ndarray]], dict[str, list[float]]]:
    """Train a network. The samples are shuffled before every epoch.

    Parameters
    ----------
    weights, task, streams, frozen, constants
        See `Trainer`.
    features : ndarray, (n, 42, 42, 3), float32
    targets : ndarray, (n, outputs), float32
        Scores, or one-hot classes.
    validation : (features, targets), optional
        Evaluated after every epoch. This only adds curves ("val_loss" and so on).
    learning_rate : float
    batch_size, epochs : int
    seed : int
        Of the order of the samples and of the dropout.

    Returns
    -------
    weights : dict
        The trained weights.
    history : dict of str to list of float
        "loss" (with regularisation) and "mae" or "accuracy", and the same with "val_" before them: the value after each
        epoch.

    Raises
    ------
    ValueError
        There is no sample, or features or targets have another shape.
    """
    rng = np.random.default_rng(seed)
    targets = np.ascontiguousarray(targets, np.float32)
    expected = (len(features), weights[task][1].size)
    if targets.shape != expected or not len(targets):
        raise ValueError(f"targets have the shape {targets.shape} instead of {expected}, n > 0")
    trainer = Trainer(weights, task, streams, frozen, constants)
    inputs = stream_outputs(weights, features, task, streams) if frozen else readable(features)
    metric = "accuracy" if task == RECOG else "mae"
    history = {name: [] for name in ("loss", metric)}
    if validation is not None:
        history |= {"val_loss": [], f"val_{metric}": []}
    for _ in range(epochs):
        order = rng.permutation(len(targets))
        loss = total = 0.0
        for start in range(0, len(order), batch_size):
            indices = order[start : start + batch_size]
            of_batch, regularisation, of_metric = trainer.find_gradient(inputs, indices, targets[indices], rng)
            loss += of_batch + regularisation * len(indices)
            total += of_metric
            trainer.step(learning_rate)
        history["loss"].append(loss / len(order))
        history[metric].append(total / len(order))
        if validation is not None:
            of_validation = _evaluate(trainer.weights(), task, streams, frozen, *validation)
            history["val_loss"].append(of_validation[0])
            history[f"val_{metric}"].append(of_validation[1])
    return trainer.weights(), history


def _evaluate(
    weights: Weights, task: str, streams, frozen: bool, features: np.ndarray, targets: np.ndarray
) -> tuple[float, float]:
    """The loss with regularisation of what is trained, and the metric, of samples."""
    outputs = predict([weights], features, [task], streams)[0][0].astype(np.float64)
    if task == RECOG:
        losses = -np.log(np.maximum((outputs * targets).sum(axis=1), LEAST_PROBABILITY))
        metric = (outputs.argmax(axis=1) == targets.argmax(axis=1)).mean()
    else:
        losses, metric = (outputs - targets)[:, 0] ** 2, np.abs(outputs - targets).mean()
    factors = dict.fromkeys(() if frozen else streams, STREAM_L2) | {task: HEAD_L2}
    kernels = {name: weights[f"{name}_conv"][0].astype(np.float64) for name in factors}
    regularisation = sum(factor * np.sum(kernels[name] ** 2) for name, factor in factors.items())
    return float(losses.mean() + regularisation), float(metric)
