"""A verifier that is made up.

The further a part of the face moves, the likelier it is a micro-expression; but not if it does not come back, and not
if the head moves more.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from Utils.own_video.candidates import FEATURES
from Utils.own_video.verify import KINDS, MICRO, VERIFY, VERIFY_VERSION, Verifier, load_verifier

CLASSES = ("negative", "positive", "surprise")
NOTHING, HEAD_MOVES = KINDS.index("nothing"), KINDS.index("head")
FALSE_ALARMS = [[0.9, 0.2, 0.1, 0.3], [0.5, 1.0, 0.6, 1.5], [0.1, 6.0, 4.0, 9.0]]
UNLIKELY = -12.0  # log-odds of the kinds that nothing speaks for


def verifier_content(**changes) -> dict:
    """What `verify.json` holds. A movement of m pixels that comes back has p(micro) = m^4 / (m^4 + exp(-4)).

    This is 0.5 at 0.37 pixels.
    """
    weights, bias = np.zeros((len(FEATURES), len(KINDS))), np.full(len(KINDS), UNLIKELY)
    weights[FEATURES.index("log motion"), [MICRO, NOTHING]] = 2, -2
    weights[FEATURES.index("near rest"), MICRO] = 8
    weights[FEATURES.index("head travel"), HEAD_MOVES] = 4
    bias[[MICRO, NOTHING, HEAD_MOVES]] = 2 - 8, -2, 0
    return {
        "version": VERIFY_VERSION,
        "features": list(FEATURES),
        "kinds": list(KINDS),
        "classes": list(CLASSES),
        "mean": [0.0] * len(FEATURES),
        "scale": [1.0] * len(FEATURES),
        "layers": [{"weights": weights.tolist(), "bias": bias.tolist()}],
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
