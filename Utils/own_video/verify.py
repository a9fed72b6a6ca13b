"""The second look: which candidates are micro-expressions, with what probability, and where they begin and end.

The model works on what `candidates.py` measures, and is fitted on SYNTH by `Utils/synth_run`: small decision trees give
the probability of a micro-expression, a logistic regression tells the other kinds apart. Both are kept as numbers in
`verify.json`, beside the weights. What they see does not depend on any weights, so the file that comes with the project
also serves weights that have none of their own, such as the published ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.special import expit

from Utils.errors import InputError
from Utils.own_video.candidates import FEATURES, Measured
from Utils.work.cache import file_hash, read_json

VERIFY = "verify.json"
LEAF = -1  # stands for the feature of a node that asks for none
VERIFY_VERSION = 4  # of the file's content, the features and the curves: raise it when one of them changes
KINDS = ("micro", "macro", "head", "blink", "speech", "occlusion", "light", "nothing")
MICRO = KINDS.index("micro")
CLIPPED = 5.0  # standard deviations: features further from the mean are taken as this far
SHARED = 0.3  # share of the shorter of two events that may overlap: of two that overlap more, the likelier one is kept
WAY_ON = "give --spotting paper to do without it"


@dataclass(frozen=True)
class Trees:
    """Decision trees whose values are added up. All arrays have an entry for each node of all trees.

    Attributes
    ----------
    roots : ndarray of int, (trees,)
        The first node of each tree.
    feature : ndarray of int, (nodes,)
        Which feature a node asks for; `LEAF` where the tree ends.
    number : ndarray, (nodes,)
        A threshold: with a feature of at most this the next node follows, else that of `right`. What a leaf adds.
    right : ndarray of int, (nodes,)
        A later node; 0 for a leaf.
    baseline : float
        What is added to all.
    """

    roots: np.ndarray
    feature: np.ndarray
    number: np.ndarray
    right: np.ndarray
    baseline: float

    def log_odds(self, features: np.ndarray) -> np.ndarray:
        """Features (n, features) -> the sum of all trees, (n,)."""
        nodes = np.tile(self.roots, (len(features), 1))
        rows = np.arange(len(features))[:, None]
        while ((asks := self.feature[nodes]) != LEAF).any():
            below = features[rows, np.maximum(asks, 0)] <= self.number[nodes]
            nodes = np.where(asks == LEAF, nodes, np.where(below, nodes + 1, self.right[nodes]))
        return self.baseline + self.number[nodes].sum(axis=1)


@dataclass(frozen=True)
class Verifier:
    """What `verify.json` says.

    Attributes
    ----------
    trees : Trees
        Their log-odds are those of a micro-expression, before the calibration.
    mean, scale : ndarray, (features,)
        Mean and standard deviation of the features, for `kinds`.
    kinds : ndarray, (1 + features, kinds - 1)
        Logistic regression of the kinds other than "micro", in the order of `KINDS`: intercepts, then weights.
    calibration : ndarray, (2,)
        a and b: the probability of "micro" is 1 / (1 + exp(-a - b l)), where l are the log-odds of the trees.
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

    trees: Trees
    mean: np.ndarray
    scale: np.ndarray
    kinds: np.ndarray
    calibration: np.ndarray
    borders: np.ndarray
    false_alarms: np.ndarray
    classes: tuple[str, ...]
    file_hash: str = ""

    def threshold(self, per_minute: float) -> tuple[float, float, float, float]:
        """The lowest threshold of `p_micro` with at most `per_minute` false alarms; their number; its 95 % interval.

        If there is no such threshold, the highest one is taken.
        """
        allowed = np.flatnonzero(self.false_alarms[:, 1] <= per_minute)
        return tuple(map(float, self.false_alarms[allowed[-1] if len(allowed) else 0]))

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Features (n, features) -> probabilities of `KINDS`, (n, kinds); that of "micro" is calibrated."""
        a, b = self.calibration
        micro = expit(a + b * self.trees.log_odds(features))
        x = np.clip((features - self.mean) / self.scale, -CLIPPED, CLIPPED)
        x = self.kinds[0] + x @ self.kinds[1:]
        x = np.exp(x - x.max(axis=1, keepdims=True))
        x *= ((1 - micro) / x.sum(axis=1))[:, None]
        return np.insert(x, MICRO, micro, axis=1)

    def intervals(self, measured: Measured) -> tuple[np.ndarray, np.ndarray]:
        """Onset and offset of each candidate, seconds from the stretch's first sample, (n,) each."""
        ones = np.ones((len(measured.at), 1))
        rise, fall = (np.hstack([ones, measured.sides[:, side]]) @ self.borders[side] for side in (0, 1))
        return measured.at - np.maximum(rise, 0), measured.at + np.maximum(fall, 0)


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
        if not isinstance(content, dict):
            raise ValueError("it is not a JSON object")
        if content["version"] != VERIFY_VERSION or content["features"] != list(FEATURES):
            raise InputError(f"{path}: was made by another version of this program; get the weights again, or {WAY_ON}")
        if content["kinds"] != list(KINDS):
            raise InputError(f"{path}: has the kinds {content['kinds']!r:.80}, not {', '.join(KINDS)}; {WAY_ON}")
        verifier = Verifier(
            trees=_trees(content["trees"]),
            mean=_numbers(content["mean"], (len(FEATURES),)),
            scale=_numbers(content["scale"], (len(FEATURES),)),
            kinds=_numbers(content["of_kinds"], (1 + len(FEATURES), len(KINDS) - 1)),
            calibration=_numbers(content["calibration"], (2,)),
            borders=_numbers(content["borders"], (2, 4)),
            false_alarms=_numbers(content["false_alarms"], (None, 4)),
            classes=tuple(str(name) for name in content["classes"]),
            file_hash=content_hash,
        )
        _require_order(verifier)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
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


def _trees(content: dict) -> Trees:
    """Trees from their JSON. ValueError if a node leads to none that comes later in the same file, or is too deep."""
    feature, number, right, roots = (_numbers(content[x], (None,)) for x in ("feature", "number", "right", "roots"))
    feature, right, roots = (column.astype(int) for column in (feature, right, roots))
    n = len(feature)
    if not len(number) == len(right) == n or roots.min() < 0 or roots.max() >= n:
        raise ValueError("trees that do not fit one another")
    if (feature < LEAF).any() or (feature >= len(FEATURES)).any():
        raise ValueError("trees that do not fit the features")
    inner = np.flatnonzero(feature != LEAF)
    if (right[inner] <= inner).any() or (right[inner] >= n).any() or (inner + 1 >= n).any():
        raise ValueError("a tree that does not end")
    return Trees(roots, feature, number, right, float(_numbers([content["baseline"]], (1,))[0]))


def _require_order(verifier: Verifier) -> None:
    """ValueError if a scale is not positive, the calibration does not rise, or the table is out of order."""
    if (verifier.scale <= 0).any():
        raise ValueError("a scale that is not positive")
    if verifier.calibration[1] <= 0:
        raise ValueError("a calibration that does not rise")
    if (np.diff(verifier.false_alarms[:, 0]) > 0).any():
        raise ValueError("a table out of order")
