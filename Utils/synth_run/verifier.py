"""Fits, calibrates and checks the verifier (`Utils/own_video/verify.py`) on the candidates of SYNTH."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import expit

from Utils.errors import InputError
from Utils.own_video.candidates import FEATURES
from Utils.own_video.verify import CLIPPED, KINDS, LEAF, MICRO, VERIFY_VERSION, Trees, Verifier, keep_apart
from Utils.synth_run.clips import EXPRESSIVE, PHOTOGRAPHS, ClipData
from Utils.synth_run.labels import (
    IGNORED,
    Labelled,
    events_of,
    labelled,
    mirrored,
    stretch_of,
    with_drawn_events,
    with_moved_head,
)
from Utils.work.parallel import Workers, run_units

TREES, LEAVES, LEARNING_RATE = 250, 16, 0.06  # of the boosted trees
LEAST_IN_LEAF, L2, FEATURES_OF_SPLIT = 20, 1.0, 0.3
# What can only speak for a micro-expression when it grows, and what only against it: so faces unlike the rendered ones
# are judged by the same sense. Names that end in "*" are beginnings.
SPEAKS_FOR = ("near rest", "wide rest", "log noise", "log surroundings", "log motion to head")
SPEAKS_AGAINST = (
    "busy", "peaks around", "misfit of *", "largest misfit", "left eye closes", "right eye closes", "light pulse",
    "light step",
)  # fmt: skip
KIND_STRENGTH = 0.1  # inverse of the regularisation of the logistic regression
COPIES, WITH_MOVED_HEAD = 4, 2  # of each clip to train on, with events drawn into its curves; the first: a moved head
FOLDS = 4  # of the people to train on: calibration and threshold are those of people whom the trees have not seen
PHOTOGRAPH_WEIGHT = 3.0  # of the candidates of a photograph: they are few, and nobody expects a false alarm there
DRAWN = 31  # number of the random stream that draws them
DIGITS = 4  # decimal places in the file
RESAMPLED = 1000  # bootstrap samples of the clips
CONFIDENCE = (2.5, 97.5)  # percentiles
HIT = 0.5  # intersection over union from which on an event is found


@dataclass(frozen=True)
class Fitted:
    """The content of `verify.json`, and the figures of the clips to check with."""

    verifier: Verifier
    content: dict
    figures: dict

    def summary(self) -> str:
        """One line on the clips to check with."""
        f = self.figures
        iou = "-" if f["mean_iou"] is None else f"{f['mean_iou']:.2f}"
        return (
            f"SYNTH, clips to check with (rendered): F1 {f['f1']:.3f}, {f['found']} found, {f['wrong']} wrong, "
            f"{f['missed']} missed, mean IoU {iou}, threshold {f['threshold']:.2f}"
        )


def training_candidates(clips: Sequence[ClipData], workers: Workers | int) -> list[Labelled]:
    """The candidates of the clips to train on, and of their copies.

    Of each clip: it and its mirror image, the same of the copies with events that are drawn into its crops, and
    copies with events that are drawn into its curves.
    """
    return [found for of_clip in run_units(_of_clip, clips, workers, "candidates", "clip") for found in of_clip]


def _of_clip(data: ClipData) -> list[Labelled]:
    curves, rate, events = stretch_of(data)
    measured = [(curves, events)]
    for of_copy, drawn in zip(data.load("drawn") if data.drawn else (), data.drawn, strict=True):
        measured.append((of_copy.astype(float), [*events, *events_of(drawn)]))
    found = [labelled(x, rate, true) for x, true in measured]
    found[0] = replace(found[0], rendered=True, neutral=data.clip["scenario"] != EXPRESSIVE)
    found += [labelled(mirrored(x), rate, true) for x, true in measured]
    rng = np.random.default_rng([DRAWN, data.clip["number"]])
    for copy in range(COPIES):
        made, head = mirrored(curves) if copy % 2 else curves, []
        if copy < WITH_MOVED_HEAD:
            made, head = with_moved_head(made, rate, rng)
        made, drawn = with_drawn_events(made, rate, events, rng)
        found.append(labelled(made, rate, [*drawn, *head]))
    weight = PHOTOGRAPH_WEIGHT if data.clip["scenario"] in PHOTOGRAPHS else 1.0
    return [replace(of_copy, weight=weight, person=data.clip["number"]) for of_copy in found]


def require_kinds(candidates: Sequence[Labelled]) -> None:
    """Raise InputError if the candidates do not show all kinds: the verifier could not learn them."""
    shown = {KINDS[k] for c in candidates for k in c.kinds if k != IGNORED}
    if lacking := [kind for kind in KINDS if kind not in shown]:
        raise InputError(f"no clip to train on shows the kind {lacking[0]}: make more --clips")


def fit(
    train: Sequence[Labelled], check: Sequence[Labelled], neutral: Sequence[bool], classes: Sequence[str], seed: int
) -> Fitted:
    """Fit the verifier.

    Calibration and threshold come from the clips to train on: of each person by trees that were fitted to the others.

    Parameters
    ----------
    train, check : sequence of Labelled
        `check` are clips of other faces, on which the figures are measured, and nothing else.
    neutral : sequence of bool
        Whether a clip of `check` has no micro-expression.
    classes : sequence of str
        The emotions of the weights that the file is for.
    seed : int
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    trees, borders = _boosted(train, seed), _fit_borders(train)
    features, kinds, _ = _together(train)
    others = kinds != MICRO
    scaler = StandardScaler().fit(features)
    x = np.clip(scaler.transform(features[others]), -CLIPPED, CLIPPED)
    regression = LogisticRegression(C=KIND_STRENGTH, max_iter=2000).fit(x, kinds[others])
    of_kinds = np.vstack([regression.intercept_, regression.coef_.T])
    held_out = held_out_odds(train, seed)
    right = [(odds[clip.kinds != IGNORED], clip.kinds[clip.kinds != IGNORED] == MICRO) for clip, odds in held_out]
    odds, micro = (np.concatenate(column) for column in zip(*right, strict=True))
    platt = LogisticRegression(C=1e6).fit(odds[:, None], micro)
    calibration = np.array([platt.intercept_[0], platt.coef_[0, 0]])
    model = (trees, scaler.mean_, scaler.scale_, of_kinds, calibration)
    verifier = Verifier(*model, borders, np.array([[1.0, 0, 0, 0]]), tuple(classes))
    quiet = [(clip, expit(calibration[0] + calibration[1] * odds)) for clip, odds in held_out if clip.neutral]
    table = false_alarm_table(verifier, quiet, seed)
    verifier = replace(verifier, false_alarms=table)
    content = {
        "version": VERIFY_VERSION,
        "features": list(FEATURES),
        "kinds": list(KINDS),
        "classes": list(classes),
        "mean": _rounded(scaler.mean_),
        "scale": _rounded(scaler.scale_),
        "trees": {
            name: _rounded(value) if isinstance(value, np.ndarray) else float(value)
            for name, value in vars(trees).items()
        },
        "of_kinds": _rounded(of_kinds),
        "calibration": _rounded(calibration),
        "borders": _rounded(borders),
        "false_alarms": _rounded(table),
    }
    return Fitted(verifier, content, figures_of(verifier, check, neutral))


def _boosted(clips: Sequence[Labelled], seed: int) -> Trees:
    """Trees that tell micro-expressions from everything else."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    features, kinds, weights = _together(clips)
    booster = HistGradientBoostingClassifier(
        max_iter=TREES, max_leaf_nodes=LEAVES, learning_rate=LEARNING_RATE, min_samples_leaf=LEAST_IN_LEAF,
        l2_regularization=L2, max_features=FEATURES_OF_SPLIT, early_stopping=False, random_state=seed,
        monotonic_cst=[_sense(name) for name in FEATURES],
    ).fit(features, kinds == MICRO, sample_weight=np.where(kinds == MICRO, 1, weights))  # fmt: skip
    return trees_of(booster)


def held_out_odds(clips: Sequence[Labelled], seed: int) -> list[tuple[Labelled, np.ndarray]]:
    """The clips as rendered, and the log-odds (n,) of their candidates by trees that have not seen their person."""
    persons = sorted({clip.person for clip in clips})
    fold_of = {person: i % FOLDS for i, person in enumerate(persons)}
    found = []
    for fold in range(FOLDS):
        trees = _boosted([clip for clip in clips if fold_of[clip.person] != fold], seed)
        held = [clip for clip in clips if clip.rendered and fold_of[clip.person] == fold]
        found += [(clip, trees.log_odds(clip.measured.features)) for clip in held]
    return found


def _sense(feature: str) -> int:
    """1 if a feature speaks for a micro-expression, -1 if against, 0 if it may do either."""

    def is_one_of(names: Sequence[str]) -> bool:
        return any(feature == name or (name.endswith("*") and feature.startswith(name[:-1])) for name in names)

    return int(is_one_of(SPEAKS_FOR)) - int(is_one_of(SPEAKS_AGAINST))


def _rounded(array: np.ndarray) -> list:
    array = np.asarray(array)
    return array.tolist() if array.dtype.kind == "i" else np.round(array, DIGITS).tolist()


def _together(clips: Sequence[Labelled]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, kinds and weights of all candidates but the ignored ones."""
    features = np.concatenate([c.measured.features for c in clips])
    kinds = np.concatenate([c.kinds for c in clips])
    weights = np.repeat([c.weight for c in clips], [len(c.kinds) for c in clips])
    used = kinds != IGNORED
    return features[used], kinds[used], weights[used]


def trees_of(booster) -> Trees:
    """The trees of a fitted, binary `HistGradientBoostingClassifier` without missing values or categories.

    scikit-learn has no public way to them. The private one is used here alone, and a test compares the probabilities.
    """
    roots, feature, number, right = [], [], [], []

    def add(nodes: np.ndarray, place: int) -> int:
        """Add a node and all below it, depth first. Returns its index."""
        index, node = len(feature), nodes[place]
        feature.append(LEAF if node["is_leaf"] else int(node["feature_idx"]))
        number.append(float(node["value"] if node["is_leaf"] else node["num_threshold"]))
        right.append(0)
        if not node["is_leaf"]:
            add(nodes, node["left"])
            right[index] = add(nodes, node["right"])
        return index

    for (predictor,) in booster._predictors:
        roots.append(add(predictor.nodes, 0))
    baseline = float(np.ravel(booster._baseline_prediction)[0])
    return Trees(np.array(roots), np.array(feature), np.array(number), np.array(right), baseline)


def _fit_borders(clips: Sequence[Labelled]) -> np.ndarray:
    """Weights (2, 4) of `Verifier.borders`: robust least squares (Huber) over the micro-expressions."""
    from sklearn.linear_model import HuberRegressor

    fitted = []
    for side in (0, 1):
        rows, wanted = [], []
        for c in clips:
            micro = c.kinds == MICRO
            apex, truth = c.measured.at[micro], c.truth[micro]
            rows.append(c.measured.sides[micro, side])
            wanted.append(apex - truth[:, 0] if side == 0 else truth[:, 1] - apex)
        model = HuberRegressor(alpha=1e-6, epsilon=1.5, max_iter=500).fit(np.concatenate(rows), np.concatenate(wanted))
        fitted.append([model.intercept_, *model.coef_])
    return np.array(fitted)


def reported(
    verifier: Verifier, clip: Labelled, threshold: float, p: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The events that are reported as micro-expressions: (onset, offset) in seconds (n, 2); their candidates (n,).

    `p` (candidates,) are their probabilities, if they are not those of the verifier.
    """
    if not len(clip.kinds):
        return np.zeros((0, 2)), np.zeros(0, int)
    if p is None:
        p = verifier.probabilities(clip.measured.features)[:, MICRO]
    onset, offset = verifier.intervals(clip.measured)
    kept = keep_apart(onset, offset, p, threshold)
    return np.column_stack([onset, offset])[kept], kept


def false_alarm_table(verifier: Verifier, neutral: Sequence[tuple[Labelled, np.ndarray]], seed: int) -> np.ndarray:
    """Rows of (threshold, false alarms a minute, 2.5 and 97.5 percentile), as `Verifier.false_alarms`.

    `neutral` are clips without micro-expressions, and the probabilities of their candidates. The percentiles are over
    bootstrap samples of the clips.
    """
    minutes = np.array([clip.seconds for clip, _ in neutral]) / 60
    thresholds = np.unique(np.r_[np.linspace(0.02, 0.98, 97), 0.99, 0.995, 0.999])[::-1]
    counts = np.array([[len(reported(verifier, clip, t, p)[1]) for clip, p in neutral] for t in thresholds])
    rng = np.random.default_rng(seed)
    samples = rng.integers(len(neutral), size=(RESAMPLED, len(neutral)))
    rates = counts[:, samples].sum(2) / minutes[samples].sum(1)
    low, high = np.percentile(rates, CONFIDENCE, axis=1)
    of_all = np.maximum.accumulate(counts.sum(1) / minutes.sum())  # a lower threshold never has fewer
    return np.column_stack([thresholds, of_all, low, np.maximum(high, of_all)])


def overlaps(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Intersection over union of intervals (n, 2) and (m, 2) in seconds, (n, m)."""
    low = np.maximum(found[:, None, 0], true[None, :, 0])
    common = np.clip(np.minimum(found[:, None, 1], true[None, :, 1]) - low, 0, None)
    lengths = (found[:, 1] - found[:, 0])[:, None] + (true[:, 1] - true[:, 0])[None]
    return common / (lengths - common + 1e-9)


def count_events(verifier: Verifier, clip: Labelled, threshold: float) -> tuple[int, int, int]:
    """(found, wrong, missed) micro-expressions of a clip. An event finds one of them at most."""
    events, _ = reported(verifier, clip, threshold)
    hit = overlaps(events, clip.events) >= HIT
    found = int(hit[linear_sum_assignment(hit, maximize=True)].sum())
    return found, len(events) - found, len(clip.events) - found


def figures_of(verifier: Verifier, check: Sequence[Labelled], neutral: Sequence[bool], per_minute: float = 1.0) -> dict:
    """What the verifier does on the clips to check with, at the default rate of false alarms."""
    threshold, measured, low, high = verifier.threshold(per_minute)
    on, ious = dict.fromkeys(KINDS, 0), []
    found, wrong, missed = np.sum([count_events(verifier, clip, threshold) for clip in check], axis=0).tolist()
    for clip in check:
        events, kept = reported(verifier, clip, threshold)
        overlap = overlaps(events, clip.events)
        hit = (overlap >= HIT).any(0)
        ious += overlap.max(0)[hit].tolist() if len(kept) else []
        for i in kept[~(overlap >= HIT).any(1)]:
            on[KINDS[clip.kinds[i]] if clip.kinds[i] != IGNORED else KINDS[MICRO]] += 1
    p = np.concatenate([verifier.probabilities(c.measured.features)[:, MICRO] for c in check if len(c.kinds)])
    kinds = np.concatenate([c.kinds for c in check])
    p, right = p[kinds != IGNORED], kinds[kinds != IGNORED] == MICRO
    return {
        "threshold": threshold, "false_alarms": per_minute, "measured": [measured, low, high],
        "checked": _false_alarms_of(verifier, check, neutral, threshold),
        "clips": len(check), "neutral": int(sum(neutral)), "candidates": len(kinds),
        "found": found, "wrong": wrong, "missed": missed,
        "f1": 2 * found / max(1, 2 * found + wrong + missed),
        "mean_iou": float(np.mean(ious)) if ious else None,
        "wrong_on": {kind: n for kind, n in on.items() if n},
        "reliability": _reliability(p, right),
    }  # fmt: skip


def _false_alarms_of(verifier: Verifier, check: Sequence[Labelled], neutral: Sequence[bool], threshold: float) -> float:
    """False alarms a minute in the neutral ones of the clips to check with."""
    quiet = [clip for clip, is_quiet in zip(check, neutral, strict=True) if is_quiet]
    minutes = sum(clip.seconds for clip in quiet) / 60
    return sum(len(reported(verifier, clip, threshold)[1]) for clip in quiet) / max(minutes, 1e-9)


def _reliability(p: np.ndarray, right: np.ndarray) -> list[list[float]]:
    """Rows of (mean probability, share that were right, number) in ten bins of equal width; empty bins are left out."""
    bins = np.minimum((p * 10).astype(int), 9)
    return [
        [float(p[bins == b].mean()), float(right[bins == b].mean()), int((bins == b).sum())]
        for b in range(10)
        if (bins == b).any()
    ]
