"""The second look: which candidates are micro-expressions, with what probability, and where they begin and end.

The model is a small network on what `candidates.py` measures, fitted on SYNTH by `Utils/synth_run`. It is kept as
numbers in `verify.json`, beside the weights. What it sees does not depend on any weights, so the file that comes with
the project also serves weights that have none of their own, such as the published ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from Utils.errors import InputError
from Utils.own_video.candidates import FEATURES, Measured
from Utils.work.cache import file_hash, read_json

VERIFY = "verify.json"
VERIFY_VERSION = 1  # of the file's content and of the features: raise it when either changes
KINDS = ("micro", "macro", "head", "blink", "speech", "occlusion", "light", "nothing")
MICRO = KINDS.index("micro")
CLIPPED = 5.0  # standard deviations: features further from the mean are taken as this far
LEAST_P = 1e-6  # probabilities are kept this far from 0 and 1, so that their log-odds are finite
SHARED = 0.3  # share of the shorter of two events that may overlap: of two that overlap more, the likelier one is kept
WAY_ON = "give --spotting paper to do without it"


@dataclass(frozen=True)
class Verifier:
    """What `verify.json` says.

    Attributes
    ----------
    mean, scale : ndarray, (features,)
        Mean and standard deviation of the features.
    layers : tuple of (ndarray, ndarray)
        Weights (in, out) and bias (out,) of each layer: a ReLU between two of them, a softmax over `KINDS` at the end.
    calibration : ndarray, (2,)
        a and b: the probability of "micro" is 1 / (1 + exp(-a - b l)), where l is the log-odds that the network gives.
    borders : ndarray, (2, 4)
        For rise and fall: seconds from onset to apex, and from apex to offset, are the weighted sum of (1, and the
        seconds at 20, 50 and 80 % of the height) with these weights.
    false_alarms : ndarray, (n, 4)
        Rows of: threshold of `p_micro` (descending), false alarms a minute of neutral SYNTH videos at it, and the
        lower and upper end of that number's 95 % interval.
    classes : tuple of str
        The emotions of the weights beside it.
    file_hash : str
        SHA-256 of the file.
    """

    mean: np.ndarray
    scale: np.ndarray
    layers: tuple[tuple[np.ndarray, np.ndarray], ...]
    calibration: np.ndarray
    borders: np.ndarray
    false_alarms: np.ndarray
    classes: tuple[str, ...]
    file_hash: str = ""

    def threshold(self, per_minute: float) -> tuple[float, float, float]:
        """The lowest threshold of `p_micro` with at most `per_minute` false alarms, and their 95 % interval."""
        allowed = np.flatnonzero(self.false_alarms[:, 1] <= per_minute)
        row = self.false_alarms[allowed[-1] if len(allowed) else 0]
        return float(row[0]), float(row[2]), float(row[3])

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Features (n, features) -> probabilities of `KINDS`, (n, kinds); that of "micro" is calibrated."""
        x = np.clip((features - self.mean) / self.scale, -CLIPPED, CLIPPED)
        for weights, bias in self.layers[:-1]:
            x = np.maximum(x @ weights + bias, 0)
        weights, bias = self.layers[-1]
        x = x @ weights + bias
        x = np.exp(x - x.max(axis=1, keepdims=True))
        x /= x.sum(axis=1, keepdims=True)
        micro = calibrated(x[:, MICRO], self.calibration)
        x *= ((1 - micro) / np.maximum(1 - x[:, MICRO], 1e-9))[:, None]
        x[:, MICRO] = micro
        return x

    def intervals(self, measured: Measured) -> tuple[np.ndarray, np.ndarray]:
        """Onset and offset of each candidate, seconds from the stretch's first sample, (n,) each."""
        ones = np.ones((len(measured.at), 1))
        rise, fall = (np.hstack([ones, measured.sides[:, side]]) @ self.borders[side] for side in (0, 1))
        return measured.at - np.maximum(rise, 0), measured.at + np.maximum(fall, 0)


def calibrated(p: np.ndarray, calibration: Sequence[float]) -> np.ndarray:
    """Probabilities (n,) of the network -> calibrated ones (Platt's scaling), see `Verifier.calibration`."""
    odds = log_odds(p)
    return 1 / (1 + np.exp(-(calibration[0] + calibration[1] * odds)))


def log_odds(p: np.ndarray) -> np.ndarray:
    """log(p / (1 - p)), with p kept within [`LEAST_P`, 1 - `LEAST_P`]."""
    p = np.clip(p, LEAST_P, 1 - LEAST_P)
    return np.log(p / (1 - p))


def keep_apart(onset: np.ndarray, offset: np.ndarray, p: np.ndarray, threshold: float) -> np.ndarray:
    """Indices of the candidates with `p` of at least `threshold`, in order of time. Of any that overlap, one.

    `onset` and `offset` are (n,), in any one unit. Two overlap if they share more than `SHARED` of the shorter one.
    """
    kept: list[int] = []
    for i in np.argsort(-p, kind="stable"):
        if p[i] < threshold:
            break
        shared = [min(offset[i], offset[j]) - max(onset[i], onset[j]) for j in kept]
        shorter = [min(offset[i] - onset[i], offset[j] - onset[j]) for j in kept]
        if all(a <= SHARED * b for a, b in zip(shared, shorter, strict=True)):
            kept.append(int(i))
    return np.array(sorted(kept, key=lambda i: onset[i]), int)


def load_verifier(folder: Path, classes: Sequence[str] | None) -> Verifier:
    """Read `verify.json` of a folder of weights. `classes` are those of the weights; None: any.

    Raises
    ------
    InputError
        There is no such file, it is damaged or of another version, its numbers are not finite, or it belongs to weights
        of other classes.
    """
    path = folder / VERIFY
    if not path.is_file():
        raise InputError(f"{path}: is missing, and without it candidates cannot be verified; {WAY_ON}")
    verifier = _read(path, file_hash(path))
    if classes is not None and verifier.classes != tuple(classes):
        raise InputError(
            f"{path}: is for the classes {', '.join(verifier.classes)}, the weights have {', '.join(classes)}; {WAY_ON}"
        )
    return verifier


@lru_cache(maxsize=4)
def _read(path: Path, content_hash: str) -> Verifier:
    content = read_json(path)
    try:
        if content["version"] != VERIFY_VERSION or content["features"] != list(FEATURES):
            raise InputError(f"{path}: was made by another version of this program; get the weights again, or {WAY_ON}")
        if content["kinds"] != list(KINDS):
            raise InputError(f"{path}: has the kinds {content['kinds']!r:.80}, not {', '.join(KINDS)}; {WAY_ON}")
        verifier = Verifier(
            mean=_numbers(content["mean"], (len(FEATURES),)),
            scale=_numbers(content["scale"], (len(FEATURES),)),
            layers=tuple(
                (_numbers(layer["weights"], (None, None)), _numbers(layer["bias"], (None,)))
                for layer in content["layers"]
            ),
            calibration=_numbers(content["calibration"], (2,)),
            borders=_numbers(content["borders"], (2, 4)),
            false_alarms=_numbers(content["false_alarms"], (None, 4)),
            classes=tuple(str(name) for name in content["classes"]),
            file_hash=content_hash,
        )
        _require_chain(verifier)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: is damaged ({error}); get the weights again, or {WAY_ON}") from None
    return verifier


def _numbers(values: object, shape: tuple[int | None, ...]) -> np.ndarray:
    """An array of this shape; None stands for any length but 0. ValueError if it is another one, or not finite."""
    array = np.array(values, float)
    fits = array.ndim == len(shape) and all(n == m if m else n > 0 for n, m in zip(array.shape, shape, strict=True))
    if not fits:
        raise ValueError(f"shape {array.shape} instead of {shape}")
    if not np.isfinite(array).all():
        raise ValueError("a number is not finite")
    return array


def _require_chain(verifier: Verifier) -> None:
    """ValueError if the layers do not fit one another, a scale is not positive, or a table is out of order."""
    width = len(FEATURES)
    for weights, bias in verifier.layers:
        if weights.shape[0] != width or weights.shape[1] != len(bias):
            raise ValueError("layers that do not fit one another")
        width = len(bias)
    if width != len(KINDS) or not verifier.layers:
        raise ValueError("layers that do not end in the kinds")
    if (verifier.scale <= 0).any():
        raise ValueError("a scale that is not positive")
    if verifier.calibration[1] <= 0:
        raise ValueError("a calibration that does not rise")
    if (np.diff(verifier.false_alarms[:, 0]) > 0).any():
        raise ValueError("a table out of order")
