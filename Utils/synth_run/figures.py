"""What SYNTH's networks and verifier do on the clips that nothing was trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from Utils.own_video.verify import Verifier
from Utils.synth_run.clips import ClipData, frames_at
from Utils.synth_run.labels import Labelled
from Utils.synth_run.verifier import count_events

AGES = ((0, 30), (30, 50), (50, 200))
TONES = (("light", 0.0, 0.33), ("middle", 0.33, 0.66), ("dark", 0.66, 1.01))


def spotting_figures(clips: Sequence[ClipData], scores: Sequence[np.ndarray]) -> dict:
    """How well the raw score tells expression frames from others: the area under the ROC curve over all pairs."""
    from sklearn.metrics import roc_auc_score

    labels = [data.load("pairs")[:, 1] for data in clips]
    return {"auc": float(roc_auc_score(np.concatenate(labels), np.concatenate(scores)))}


def recognition_figures(clips: Sequence[ClipData], probabilities: Sequence[np.ndarray], classes: Sequence[str]) -> dict:
    """The share of micro-expressions whose emotion most pairs of the rise vote for, and their number."""
    right = n = 0
    for data, of_clip in zip(clips, probabilities, strict=True):
        begins, k = data.load("pairs")[:, 0], frames_at(data.fps)[0]
        for e in data.events:
            if e["kind"] != "micro" or e["emotion"] not in classes:
                continue
            window = of_clip[(begins >= e["onset"]) & (begins < max(e["onset"] + 1, e["apex"] - k // 2))]
            if not len(window):
                continue
            n += 1
            right += int(np.bincount(window.argmax(1), minlength=len(classes)).argmax() == classes.index(e["emotion"]))
    return {"right": right, "of": n}


def by_looks(
    verifier: Verifier, clips: Sequence[ClipData], checked: Sequence[Labelled], threshold: float
) -> list[dict]:
    """Found, missed and wrong micro-expressions, and minutes of video, for groups of the faces that were drawn."""
    groups = {f"sex: {sex}": [d.clip["looks"]["sex"] == sex for d in clips] for sex in ("female", "male")}
    groups |= {f"age: {a} to {b}": [a <= d.clip["looks"]["age"] < b for d in clips] for a, b in AGES}
    groups |= {f"skin: {name}": [a <= d.clip["looks"]["tone"] < b for d in clips] for name, a, b in TONES}
    groups |= {name: [bool(d.clip["looks"][name]) for d in clips] for name in ("glasses", "beard", "fringe")}
    rows = []
    for name, chosen in groups.items():
        counts = np.sum(
            [count_events(verifier, c, threshold) for c, yes in zip(checked, chosen, strict=True) if yes], 0
        )
        minutes = sum(c.seconds for c, yes in zip(checked, chosen, strict=True) if yes) / 60
        found, wrong, missed = (int(x) for x in np.broadcast_to(counts, 3))
        rows.append(
            {
                "faces": name,
                "clips": int(sum(chosen)),
                "minutes": minutes,
                "found": found,
                "wrong": wrong,
                "missed": missed,
            }
        )
    return rows
