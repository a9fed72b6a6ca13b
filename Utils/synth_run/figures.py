"""What SYNTH's networks and verifier do on the clips that nothing was trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from Utils.own_video.verify import Verifier
from Utils.synth_run.clips import EXPRESSIVE, PHOTOGRAPHS, ClipData, frames_at
from Utils.synth_run.labels import Labelled, events_of, labelled, stretch_of
from Utils.synth_run.verifier import HIT, count_events, overlaps, reported

AGES = ((0, 30), (30, 50), (50, 200))
BACKGROUNDS = {"speech": "speech", "chewing": "speech", "head": "head", "blink": "blink", "glance": "blink"}
CALM, MACRO_NEAR, NEAR_S = "nothing else", "macro within 1 s", 1.0
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


def by_background(verifier: Verifier, clips: Sequence[ClipData], checked: Sequence[Labelled], threshold: float) -> dict:
    """What is found of the movements that are drawn into the clips to check with, by what else goes on; false alarms.

    A movement is in all rows that fit. False alarms are those of the clips as they were rendered, `checked`, by
    scenario. Of the drawn macro-expressions those are counted that a false alarm shares time with.
    """
    found: dict[str, list[int]] = {}
    macro = [0, 0]
    for data in clips:
        _, rate, events = stretch_of(data)
        for of_copy, drawn in zip(data.load("drawn") if data.drawn else (), data.drawn, strict=True):
            clip = labelled(of_copy.astype(float), rate, [*events, *events_of(drawn)])
            predicted, _ = reported(verifier, clip, threshold)
            hit = overlaps(predicted, clip.events) >= HIT
            false = predicted[~hit.any(1)]
            for e in events_of(drawn):
                shares = [b > e.onset and a < e.offset for a, b in false]
                if e.kind == "macro":
                    macro[0] += any(shares)
                    macro[1] += 1
                    continue
                right = bool(hit[:, np.abs(clip.events[:, 0] - e.onset) < 1e-6].any())
                for name in _backgrounds(data, e, events, events_of(drawn)):
                    counts = found.setdefault(name, [0, 0])
                    counts[0] += right
                    counts[1] += 1
    false_alarms = {}
    for scenario in sorted({data.clip["scenario"] for data in clips} - {EXPRESSIVE}):
        of_scenario = [c for c, data in zip(checked, clips, strict=True) if data.clip["scenario"] == scenario]
        wrong = sum(len(reported(verifier, c, threshold)[1]) for c in of_scenario)
        false_alarms[scenario] = [wrong, sum(c.seconds for c in of_scenario) / 60]
    return {"found": found, "false_alarms": false_alarms, "macro_taken_for_micro": macro}


def _backgrounds(data: ClipData, event, events: Sequence, drawn: Sequence) -> set[str]:
    """What else goes on during a drawn event: the scenario of a photograph, or kinds of events."""
    if data.clip["scenario"] in PHOTOGRAPHS:
        return {data.clip["scenario"]}
    names = {
        BACKGROUNDS[e.kind] for e in events
        if e.kind in BACKGROUNDS and e.offset > event.onset and e.onset < event.offset
    }  # fmt: skip
    for e in (*events, *drawn):
        if e.kind == "macro" and e.offset + NEAR_S > event.onset and e.onset - NEAR_S < event.offset:
            names.add(MACRO_NEAR)
    return names or {CALM}
