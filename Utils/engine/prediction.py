"""The outputs of one or several networks for features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from Utils.engine import cached
from Utils.engine.architecture import CHANNELS
from Utils.engine.buffers import room_for
from Utils.engine.layout import POOLED, SIDE
from Utils.engine.parameters import SPOT, Weights, flatten, head_of, normalisation, shape_of


def predict(
    networks: Sequence[Weights], features: np.ndarray, tasks: Sequence[str] = (SPOT,), streams: Sequence[str] = CHANNELS
) -> list[np.ndarray]:
    """The outputs of networks for features. All networks are computed in one pass over the features.

    Parameters
    ----------
    networks : sequence of mapping
        The weights of each network: see `parameters.py`. At least one.
    features : ndarray, (n, 42, 42, 3), float32, in [0, 1]
    tasks : sequence of {"spot", "recog"}
        The heads.
    streams : sequence of str
        The streams that the networks have, in order.

    Returns
    -------
    list of ndarray
        For each task (networks, n, outputs), float32: scores, or probabilities, which sum to 1.

    Raises
    ------
    ValueError
        The features have another shape.
    """
    heads = tuple(head_of(networks, task, len(features)) for task in tasks)
    _outputs(networks, features, heads, tasks[0], streams, np.empty((0, POOLED, POOLED, 1), np.float32))
    return [head.result for head in heads]


def stream_outputs(network: Weights, features: np.ndarray, task: str, streams: Sequence[str]) -> np.ndarray:
    """The normalised and pooled outputs of all streams of a network, (n, 14, 14, channels), float32."""
    shape = shape_of(network, streams, task)
    result = np.empty((len(features), POOLED, POOLED, shape.channels), np.float32)
    _outputs([network], features, (head_of([network], task, len(features)),), task, streams, result)
    return result


def _outputs(networks, features, heads, task, streams, streams_result) -> None:
    """Fill the results of `heads`, and `streams_result` unless it is empty."""
    shape = shape_of(networks[0], streams, task)
    scales, shifts = (np.array(arrays) for arrays in zip(*(normalisation(w, streams) for w in networks), strict=True))
    thetas = np.array([flatten(w, streams, task) for w in networks])
    signs = np.where(scales < 0, np.float32(-1), np.float32(1))
    channels = np.array([CHANNELS.index(name) for name in streams])
    room = room_for(shape, 1, max(head.result.shape[2] for head in heads))
    cached.outputs(shape, thetas, signs, scales, shifts, readable(features), channels, heads, streams_result, room)


def readable(features: np.ndarray) -> np.ndarray:
    """Features as the compiled functions take them: float32, contiguous, and a plain array that may be written to.

    A copy is made where they are not so. Raises ValueError if they are not (n, 42, 42, 3): the compiled functions check
    no index.
    """
    if np.shape(features)[1:] != (SIDE, SIDE, len(CHANNELS)):
        raise ValueError(f"features have the shape {np.shape(features)} instead of (n, {SIDE}, {SIDE}, 3)")
    return np.require(np.asarray(features), np.float32, ["C", "W"])
