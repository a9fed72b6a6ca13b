"""Random tables of predictions and annotations: many hits, equal scores, missing apexes and emotions, empty videos."""

from __future__ import annotations

import numpy as np
import pandas as pd

CLASSES = ("negative", "positive", "surprise")
COLUMNS = ["subject", "video", "onset", "apex", "offset", "emotion", "score"]
HALF = 4  # half the length of a predicted interval, frames


def random_tables(
    seed: int, subjects: int = 4, videos: int = 6, others: bool = True
) -> tuple[pd.DataFrame, pd.DataFrame, list[tuple[str, str]]]:
    """Predictions, annotations (at least one), and all videos, of which each subject has at least one.

    Predictions have equal lengths, as those of a run. About half of them lie on an annotation. `others`: whether some
    annotations are of this emotion, which is not evaluated.
    """
    rng = np.random.default_rng(seed)
    names = [(f"s{i % subjects + 1}", f"v{i}") for i in range(max(subjects, videos))]
    names.sort()
    emotions = (*CLASSES, "others") if others else CLASSES
    truth, predicted = [], []
    for _ in range(rng.integers(1, 2 * videos)):
        onset, length = int(rng.integers(5, 40)), int(rng.integers(4, 12))
        apex = onset + int(rng.integers(0, length)) if rng.random() < 0.8 else np.nan
        truth.append((*names[rng.integers(len(names))], onset, apex, onset + length, str(rng.choice(emotions)), np.nan))
    taken = set()
    for _ in range(rng.integers(0, 4 * videos)):
        video, peak = names[rng.integers(len(names))], int(rng.integers(0, 50))
        if rng.random() < 0.5:
            subject, name, onset, _, offset, *_ = truth[rng.integers(len(truth))]
            video, peak = (subject, name), (onset + offset) // 2 + int(rng.integers(-2, 3))
        if (video, peak) not in taken:
            taken.add((video, peak))
            emotion = None if rng.random() < 0.1 else str(rng.choice(CLASSES))
            predicted.append((*video, peak - HALF, peak, peak + HALF, emotion, float(rng.integers(0, 8)) / 8))
    return pd.DataFrame(predicted, columns=COLUMNS), pd.DataFrame(truth, columns=COLUMNS).drop(columns="score"), names
