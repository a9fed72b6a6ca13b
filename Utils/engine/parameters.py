"""The weights of networks, as the arrays of Keras's layers, and as the flat arrays of the engine.

    weights = {"u_conv": [kernel, bias], "u_norm": [gamma, beta, mean, variance], ..., "spot": [kernel, bias]}

These are the names of the layers in define_model.py. A network has a convolution and a normalisation for each stream,
and for each task, "spot" or "recog", a head: a convolution and a dense layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from Utils.engine.architecture import CHANNELS, EPSILON, HEAD_FILTERS, KERNEL, STREAMS
from Utils.engine.buffers import Head, Shape
from Utils.engine.layout import FLAT, padded

Weights = Mapping[str, Sequence[np.ndarray]]

SPOT, RECOG = "spot", "recog"  # the tasks


def shapes_of(heads: Iterable[tuple[str, int]], streams: Sequence[str] = CHANNELS) -> dict[str, list[tuple[int, ...]]]:
    """Name of a layer -> the shapes of its arrays, of a network with these streams.

    `heads` are pairs (task, number of outputs).
    """
    shapes: dict[str, list[tuple[int, ...]]] = {}
    for name in streams:
        filters = STREAMS[name]
        shapes[f"{name}_conv"] = [(KERNEL, KERNEL, 1, filters), (filters,)]
        shapes[f"{name}_norm"] = [(filters,)] * 4
    channels = sum(STREAMS[name] for name in streams)
    for task, outputs in heads:
        shapes[f"{task}_conv"] = [(KERNEL, KERNEL, channels, HEAD_FILTERS), (HEAD_FILTERS,)]
        shapes[task] = [(FLAT, outputs), (outputs,)]
    return shapes


def initial_weights(
    heads: Iterable[tuple[str, int]], rng: np.random.Generator, streams: Sequence[str] = CHANNELS
) -> dict[str, list[np.ndarray]]:
    """New weights, as Keras's layers have them by default.

    Kernels are uniform within +-sqrt(6 / (inputs + outputs)) (Glorot and Bengio 2010), biases, betas and means are 0,
    gammas and variances 1. `heads` and `streams` are as in `shapes_of`.
    """
    weights = {}
    for name, shapes in shapes_of(heads, streams).items():
        if name.endswith("_norm"):
            weights[name] = [np.full(shape, i in (0, 3), np.float32) for i, shape in enumerate(shapes)]
        else:
            kernel, bias = shapes
            weights[name] = [glorot(kernel, rng), np.zeros(bias, np.float32)]
    return weights


def glorot(shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """A new kernel, (..., inputs, outputs) float32: uniform within +-sqrt(6 / (positions x (inputs + outputs)))."""
    limit = np.sqrt(6 / (int(np.prod(shape[:-2])) * (shape[-2] + shape[-1])))
    return rng.uniform(-limit, limit, shape).astype(np.float32)


def new_heads(
    trained: Weights, heads: Iterable[tuple[str, int]], rng: np.random.Generator, streams: Sequence[str] = CHANNELS
) -> dict[str, list[np.ndarray]]:
    """The streams of a trained network, with new heads: see `initial_weights`."""
    new = initial_weights(heads, rng, streams)
    return {name: trained[name] if name in shapes_of([], streams) else arrays for name, arrays in new.items()}


def names_of(streams: Sequence[str], task: str) -> list[tuple[str, int]]:
    """(name of a layer, number of its array) of all trained parameters, in the order of the flat array."""
    of_streams = [
        (f"{name}_{layer}", i) for name in streams for layer, i in (("conv", 0), ("conv", 1), ("norm", 0), ("norm", 1))
    ]
    return [*of_streams, (f"{task}_conv", 0), (f"{task}_conv", 1), (task, 0), (task, 1)]


def flatten(weights: Weights, streams: Sequence[str], task: str) -> np.ndarray:
    """All trained parameters of a network in one array, float32."""
    parts = [np.asarray(weights[name][i], np.float32).ravel() for name, i in names_of(streams, task)]
    return np.concatenate(parts)


def unflatten(theta: np.ndarray, weights: Weights, streams: Sequence[str], task: str) -> dict[str, list[np.ndarray]]:
    """`weights` with the trained parameters of `theta` instead."""
    result = {name: list(arrays) for name, arrays in weights.items()}
    at = 0
    for name, i in names_of(streams, task):
        old = result[name][i]
        result[name][i] = theta[at : at + old.size].reshape(old.shape).copy()
        at += old.size
    return result


def shape_of(weights: Weights, streams: Sequence[str], task: str, frozen: bool = False) -> Shape:
    """Where the parameters of a network are in its flat array. If the streams are `frozen`, they are not in it."""
    filters = [weights[f"{name}_conv"][0].shape[-1] for name in streams]
    trained = [] if frozen else streams
    places, at = {}, 0
    for key in names_of(trained, task):
        places[key] = at
        at += weights[key[0]][key[1]].size

    def integers(values) -> np.ndarray:
        return np.array(list(values), np.int64)

    return Shape(
        filters=integers([] if frozen else filters),
        wide=integers([] if frozen else map(padded, filters)),
        kernels=integers(places[f"{name}_conv", 0] for name in trained),
        biases=integers(places[f"{name}_conv", 1] for name in trained),
        gammas=integers(places[f"{name}_norm", 0] for name in trained),
        betas=integers(places[f"{name}_norm", 1] for name in trained),
        channels=sum(filters),
        head_kernel=places[f"{task}_conv", 0],
        head_bias=places[f"{task}_conv", 1],
        dense_kernel=places[task, 0],
        dense_bias=places[task, 1],
        outputs=weights[task][0].shape[-1],
        classifies=task == RECOG,
        size=at,
    )


def moving_statistics(weights: Weights, streams: Sequence[str]) -> np.ndarray:
    """The moving means and variances of batch normalisation, (2, channels), float32."""
    return np.array(
        [np.concatenate([weights[f"{name}_norm"][i] for name in streams]) for i in (2, 3)], np.float32
    )  # fmt: skip


def normalisation(weights: Weights, streams: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Batch normalisation in prediction, as a scale and a shift of each channel: (channels,) float32, both."""
    gamma, beta = (np.concatenate([weights[f"{name}_norm"][i] for name in streams]) for i in (0, 1))
    mean, variance = moving_statistics(weights, streams)
    scale = (gamma / np.sqrt(variance.astype(np.float64) + EPSILON)).astype(np.float32)
    return scale, (beta - mean * scale).astype(np.float32)


def head_of(networks: Sequence[Weights], task: str, n: int) -> Head:
    """The heads of networks for a task, with room for the outputs of n samples."""
    kernels, biases = (
        np.array([np.asarray(w[f"{task}_conv"][i], np.float32).ravel() for w in networks]) for i in (0, 1)
    )
    dense, dense_biases = (np.array([np.asarray(w[task][i], np.float32).ravel() for w in networks]) for i in (0, 1))
    result = np.empty((len(networks), n, dense_biases.shape[1]), np.float32)
    return Head(kernels, biases, dense, dense_biases, task == RECOG, result)
