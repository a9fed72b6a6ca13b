"""A verifier that is made up.

The further a part of the face moves, the likelier it is a micro-expression; but not if it does not come back, and not
if the head moves more.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from Utils.own_video.candidates import FEATURES
from Utils.own_video.verify import KINDS, LEAF, VERIFY, VERIFY_VERSION, Verifier, load_verifier

CLASSES = ("negative", "positive", "surprise")
NOTHING, HEAD_MOVES = KINDS.index("nothing"), KINDS.index("head")
FALSE_ALARMS = [[0.9, 0.2, 0.1, 0.3], [0.5, 1.0, 0.6, 1.5], [0.1, 6.0, 4.0, 9.0]]
STEP = 0.02  # of the features on which the trees ask, one after the other


def leaf(value: float) -> tuple:
    return (LEAF, value, None, None)


def stump(feature: str, threshold: float, above: float, below: float = 0.0) -> tuple:
    """A tree that adds `above` where a feature is above a threshold."""
    return (FEATURES.index(feature), threshold, leaf(below), leaf(above))


def ramp(feature: str, slope: float, low: float, high: float) -> list[tuple]:
    """Trees that add `slope` times (feature - low), from low to high, in steps."""
    return [stump(feature, x + STEP / 2, slope * STEP) for x in np.arange(low, high, STEP)]


def trees_content(trees: list[tuple], baseline: float = 0.0) -> dict:
    """Trees of (feature, threshold, below, above), as `verify.json` holds them."""
    held = {"roots": [], "feature": [], "number": [], "right": [], "baseline": baseline}

    def add(tree: tuple) -> int:
        feature, number, below, above = tree
        place = len(held["feature"])
        for name, value in (("feature", feature), ("number", float(number)), ("right", 0)):
            held[name].append(value)
        if below is not None:
            add(below)
            held["right"][place] = add(above)
        return place

    held["roots"] = [add(tree) for tree in trees]
    return held


def verifier_content(**changes) -> dict:
    """What `verify.json` holds. A movement of m pixels that comes back has p(micro) = m^4 / (m^4 + exp(-4)).

    This is 0.5 at 0.37 pixels. The other kinds: "nothing", unless the head travels more than a pixel: then "head".
    """
    trees = [
        *ramp("log motion", 4.0, -4.0, 3.0),
        *ramp("near rest", 8.0, 0.0, 1.0),
        *ramp("head travel", -12.0, 0.5, 3.0),
    ]
    of_kinds = np.zeros((1 + len(FEATURES), len(KINDS) - 1))
    of_kinds[0] = -12.0
    of_kinds[0, [NOTHING - 1, HEAD_MOVES - 1]] = 0.0
    of_kinds[1 + FEATURES.index("head travel"), HEAD_MOVES - 1] = 4.0
    return {
        "version": VERIFY_VERSION,
        "features": list(FEATURES),
        "kinds": list(KINDS),
        "classes": list(CLASSES),
        "mean": [0.0] * len(FEATURES),
        "scale": [1.0] * len(FEATURES),
        "trees": trees_content(trees, baseline=4.0 - 16.0 - 8.0),  # at log m = -4 and a rest of 0
        "of_kinds": of_kinds.tolist(),
        "calibration": [0.0, 1.0],
        "borders": [[0.0, 1.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]],  # where 20 % of the height are reached
        "false_alarms": FALSE_ALARMS,
    } | changes


def chance(pixels: float) -> float:
    """p(micro) for a movement of so many pixels that comes back."""
    return pixels**4 / (pixels**4 + np.exp(-4))


def write_verifier(folder: Path, **changes) -> Path:
    """Write a `verify.json`. Returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / VERIFY
    path.write_text(json.dumps(verifier_content(**changes)), encoding="utf-8")
    return path


def made_up_verifier(folder: Path, **changes) -> Verifier:
    write_verifier(folder, **changes)
    return load_verifier(folder, None)
