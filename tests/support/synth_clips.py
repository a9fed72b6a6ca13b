"""Clips of SYNTH that are made up: curves of 5 s at 30 samples a second, and their events."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from Utils.synth_run.clips import ClipData

FPS = 30.0
TIMES = np.arange(150) / FPS


def event(kind: str, onset: float, offset: float, emotion: str = "") -> dict:
    """An event of a clip, in seconds."""
    apex = round((onset + offset) / 2 * FPS)
    return dict(kind=kind, onset=round(onset * FPS), apex=apex, offset=round(offset * FPS), emotion=emotion)


def clip_of(folder: Path, curves: np.ndarray, events: Sequence[dict] = (), step: int = 1, **facts) -> ClipData:
    np.save(folder / "curves.npy", curves.astype(np.float32))
    return ClipData(folder, {"fps": FPS, "events": list(events), "number": 0} | facts, step, [])
