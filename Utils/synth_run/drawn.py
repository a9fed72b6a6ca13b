"""Copies of a clip into whose crops further movements are drawn: curves of micro-expressions while the face moves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from Utils.faces.landmarks import predict_landmarks
from Utils.own_video.displacement import HEAD, CurveMeter
from Utils.synth_run.drawn_in import draw_into, plan_drawn

COPIES = 1  # of each clip
TAKEN = ("micro", "occlusion")  # kinds of events during which nothing is drawn
DRAWN = 37  # number of the random stream of what is drawn


def drawn_copies(
    crops: np.ndarray, curves: np.ndarray, fps: float, events: Sequence[dict], number: int, copies: int = COPIES
) -> tuple[np.ndarray, list[list[dict]]]:
    """Draw movements into a clip, and measure its curves again.

    Parameters
    ----------
    crops : ndarray, (n, 128, 128), uint8
        Those that were measured, from a part of a clip without gaps.
    curves : ndarray, (n, columns)
        Their curves.
    fps : float
        Crops a second.
    events : sequence of dict
        What happens there: "kind", "onset" and "offset" in seconds from the first crop.
    number : int
        Of the clip. It determines what is drawn.

    Returns
    -------
    curves : ndarray, (copies, n, columns), float32
    drawn : list of list of dict
        Of each copy the drawn events, as `events`.
    """
    taken = [(e["onset"], e["offset"]) for e in events if e["kind"] in TAKEN]
    landmarks, head = predict_landmarks(crops[0]).astype(float), curves[:, HEAD].astype(float)
    rng = np.random.default_rng([DRAWN, number])
    made, drawn = np.empty((copies, *curves.shape), np.float32), []
    for copy in range(copies):
        of_copy = plan_drawn(landmarks, len(crops), fps, taken, rng)
        meter = CurveMeter(len(crops), fps)
        for i, crop in enumerate(draw_into(crops, head - head[0], of_copy)):
            meter.add(i, crop)
        made[copy] = meter.curves
        drawn.append([{"kind": e.kind, "onset": e.onset, "offset": e.offset} for e in of_copy])
    return made, drawn
