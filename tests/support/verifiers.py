"""A verifier that is made up: the further the face moves, the likelier a candidate is a micro-expression."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from Utils.own_video.candidates import FEATURES
from Utils.own_video.verify import KINDS, MICRO, VERIFY, VERIFY_VERSION, Verifier, load_verifier

CLASSES = ("negative", "positive", "surprise")
NOTHING = KINDS.index("nothing")
FALSE_ALARMS = [[0.9, 0.2, 0.1, 0.3], [0.5, 1.0, 0.6, 1.5], [0.1, 6.0, 4.0, 9.0]]
UNLIKELY = -12.0  # log-odds of all kinds but "micro" and "nothing"


def verifier_content(**changes) -> dict:
    """What `verify.json` holds. For a movement of m pixels p(micro) is m^4 / (m^4 + exp(-4)): 0.5 at 0.37 pixels."""
    weights, bias = np.zeros((len(FEATURES), len(KINDS))), np.full(len(KINDS), UNLIKELY)
    motion = FEATURES.index("log motion")
    weights[motion, [MICRO, NOTHING]] = 2, -2
    bias[[MICRO, NOTHING]] = 2, -2
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
    """p(micro) for a movement of so many pixels."""
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
