"""What each departure of the authors' code from the paper changes in a figure: the table of docs/fidelity.md.

    python -m tests.benchmarks.departures [--data_root DIR] [--cache_dir DIR]

One departure at a time is switched from the paper's way to that of the authors' code. Everything else stays as in the
paper. Scores are those of the shipped networks on DEMO (synthetic faces). If a departure changes nothing there, DEMO is
changed as its row says. It takes about three minutes, if DEMO's features are there.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from face_crop import first_face
from feature_extraction import (
    VideoFeatures,
    extract_features,
    face_regions,
    feature_image,
    flow_function,
)
from load_excel import load_annotations, match_expressions
from load_images import find_videos
from prepare_training import (
    average_half_length,
    loso_folds,
    recognition_samples,
    recognition_training_set,
    upstream_recognition_entries,
)
from tests.benchmarks.opencv_versions import DEMO, demo_videos
from tests.support.layouts import shared_layout
from train_evaluate import collect_scores, run_folds
from training_utils import (
    VideoScores,
    annotated_expressions,
    find_expression_peaks,
    predict_expressions,
    smooth_scores,
)
from Utils.datasets.table import DATASETS
from Utils.engine import RECOG, new_heads, train
from Utils.evaluation.evaluate import evaluate
from Utils.evaluation.metrics import (
    AP_THRESHOLDS,
    average_precision,
    classification,
    interval_iou,
    match_intervals,
)
from Utils.evaluation.tables import VideoIntervals, bounds, group_by_video
from Utils.evaluation.upstream import (
    FALSE_POSITIVE,
    analysis_lists,
    classification_with_nan,
    match_in_order,
)
from Utils.faces.images import read_image
from Utils.faces.landmarks import predict_landmarks
from Utils.faces.rectangles import cut_face
from Utils.networks.mean import MeanNetwork, read_fold
from Utils.networks.weights import find_weights
from Utils.records import OTHERS, Fold, Video
from Utils.settings import PROJECT, Settings
from Utils.tvl1 import compile_kernel

CLASSES = list(DEMO.classes)
P = Settings().p
WITHOUT_SAMPLES = (0, 2, 3)  # subjects of DEMO taken for such, as the first ones of CASME_sq
UNPUBLISHED = {1, 4, 6, 11, 13}  # of CASME_sq's 14 subjects, 1-based: those without a published recognition file
SEEDS = range(1, 4)  # of the recognition heads that are trained here
WINDOW = 6  # features of a video shorter than 2k' = 12


@dataclass(frozen=True)
class Demo:
    """DEMO's videos with the scores of the shipped networks, in the order of folds."""

    scores: list[VideoScores]
    features: list[VideoFeatures]
    subjects: list[str]
    k_prime: int
    weights: list
    data_root: Path


def load_demo(data_root: Path, cache_dir: Path) -> Demo:
    """What `python main.py` computes, up to the scores."""
    cropped, k_prime = demo_videos(data_root)
    compile_kernel()
    features, _ = extract_features(cropped, DEMO.k, "kernel", cache_dir / DEMO.name, workers=1)
    videos = [f.video for f in features]
    subjects = list(dict.fromkeys(v.subject for v in videos))
    weights = [find_weights(PROJECT / "MEAN_Weights", DEMO, n, s) for n, s in enumerate(subjects, start=1)]
    samples = recognition_samples(videos, CLASSES)
    folds = loso_folds(videos, samples, subjects)
    results, _ = run_folds(
        folds, features, samples, len(CLASSES), k_prime, cache_dir / DEMO.name, workers=1, weights=weights
    )
    in_order = [features[i] for fold in folds for i in fold.test]
    return Demo(collect_scores(results, features, k_prime), in_order, subjects, k_prime, weights, data_root)


# Tables and figures


def tables(demo: Demo, scores: Sequence[VideoScores] | None = None, p: float = P, dummy: bool = False) -> tuple:
    """Predictions and ground truth; `dummy`: a video without a peak gives [0, 0]."""
    scores = demo.scores if scores is None else scores
    predictions = predict_expressions(scores, DEMO, demo.k_prime, p, "upstream" if dummy else "paper")
    return predictions, annotated_expressions([s.video for s in scores], DEMO)


def in_time_order(predictions: pd.DataFrame, ground_truth: pd.DataFrame) -> list[VideoIntervals]:
    return [video.in_time_order() for video in group_by_video(predictions, ground_truth)]


def counts(metrics: dict) -> str:
    """TP/FP/FN and F1 of spotting."""
    spotting = metrics["spotting"]
    return f"{spotting['tp']}/{spotting['fp']}/{spotting['fn']}, F1 {shown(spotting['f1'])}"


def analysed(scores: dict) -> str:
    """Correct and evaluated pairs, F1 and UAR."""
    return f"{scores['correct']} of {scores['evaluated']}, F1 {shown(scores['f1'])}, UAR {shown(scores['uar'])}"


def shown(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.4f}"


def relabelled(scores: Sequence[VideoScores], subjects: Iterable[str], first_only: bool = False) -> list[VideoScores]:
    """The same videos, with the expressions of these subjects (or only the first of all) renamed "others"."""
    changed, done, subjects = [], False, set(subjects)
    for s in scores:
        expressions = []
        for e in s.video.expressions:
            hit = s.video.subject in subjects and not (first_only and done)
            done |= hit
            expressions.append(replace(e, emotion=OTHERS) if hit else e)
        changed.append(replace(s, video=replace(s.video, expressions=tuple(expressions))))
    return changed


# Rows: (departure, measured on, figure, paper, upstream)


def recognition_folds(demo: Demo) -> list[tuple]:
    """In DEMO every subject has a sample. If three are treated as having none, upstream's rule shifts the folds."""
    name = "recognition folds shifted"
    samples = recognition_samples([f.video for f in demo.features], CLASSES)
    entries = upstream_recognition_entries(demo.subjects, {s.subject for s in samples})
    rows = [(name, "DEMO", "folds that hold out their own subject", len(entries), _own(entries, demo.subjects))]
    rows += [(name, *row) for row in published_casme_sq()]

    without = [demo.subjects[i] for i in WITHOUT_SAMPLES]
    scores = relabelled(demo.scores, without)
    videos = [s.video for s in scores]
    samples = recognition_samples(videos, CLASSES)
    entries = upstream_recognition_entries(demo.subjects, {s.subject for s in samples})
    paper, upstream = [], []
    for seed in SEEDS:
        heads = {}  # those that both protocols share are trained once
        for found, held_out in ((paper, demo.subjects), (upstream, entries)):
            found.append(heads_evaluated(demo, scores, samples, held_out, seed, heads))
    leaked = [s for s, e in zip(demo.subjects, entries, strict=True) if e not in (None, s) and s not in without]
    lost = [s for s, e in zip(demo.subjects, entries, strict=True) if e is None and s not in without]
    where = (
        f'DEMO, subjects {", ".join(without)} called "others": {", ".join(leaked)} trained on, '
        f"{', '.join(lost)} not analysed; heads trained here, mean of seeds {SEEDS[0]}-{SEEDS[-1]}"
    )
    for figure, get in (
        ("pairs analysed", lambda m: m["analysis"]["evaluated"]),
        ("analysis F1", lambda m: m["analysis"]["f1"]),
        (f"of them {', '.join(leaked)}: correct", lambda m: _correct(m, leaked)),
    ):
        found = [np.mean([get(m) for m in side]) for side in (paper, upstream)]
        rows.append((name, where, figure, *(f"{x:.4f}" if "F1" in figure else f"{x:.4g}" for x in found)))
    return rows


def published_casme_sq() -> list[tuple]:
    """Which subjects of CASME_sq can lack samples.

    These are all sets for which upstream's rule gives just those recognition files that were not published.
    """
    subjects, rows = range(1, 15), []
    for n in range(len(subjects)):
        for without in combinations(subjects, n):
            entries = upstream_recognition_entries(subjects, set(subjects) - set(without))
            if {s for s, e in zip(subjects, entries, strict=True) if e is None} == UNPUBLISHED:
                wrong = {s: e for s, e in zip(subjects, entries, strict=True) if e not in (None, s)}
                lost = sorted(UNPUBLISHED - set(without))
                matter = [s for s in wrong if s not in without]
                where = f"published CASME_sq weights; without samples: {_listed(without)}"
                found = f"{_listed(wrong)}; {_listed(matter)}; {_listed(lost)}"
                rows.append((where, "shifted folds; of them with samples; subjects never analysed", "none", found))
    return rows


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))


def _own(entries: Sequence[str | None], subjects: Sequence[str]) -> int:
    return sum(e == s for e, s in zip(entries, subjects, strict=True))


def _correct(metrics: dict, subjects: Sequence[str]) -> int:
    return sum(row["correct"] for row in metrics["per_subject"] if row["subject"] in subjects)


def heads_evaluated(
    demo: Demo, scores: list[VideoScores], samples, held_out: Sequence[str | None], seed: int, heads: dict
) -> dict:
    """The paper's metrics with recognition heads trained anew on the shipped spotting networks' streams.

    `held_out` names for every subject whom its head's training leaves out (None: no recognition). Subjects without a
    sample keep the shipped head, no pair depends on it. `heads` keeps what each head predicts.
    """
    folds = loso_folds([s.video for s in scores], samples, demo.subjects, held_out)
    changed, with_samples = list(scores), {s.subject for s in samples}
    for fold, entry, weights in zip(folds, held_out, demo.weights, strict=True):
        if fold.held_out not in with_samples:
            continue
        if entry is not None and (fold.held_out, entry) not in heads:
            trained = [samples[i] for i in fold.recog_train]
            heads[fold.held_out, entry] = _with_new_head(demo, fold, trained, weights, seed)
        predicted = dict.fromkeys(fold.test) if entry is None else heads[fold.held_out, entry]
        for i, probabilities in predicted.items():
            changed[i] = replace(scores[i], probabilities=probabilities)
    return evaluate(*tables(demo, changed), CLASSES)


def _with_new_head(demo: Demo, fold: Fold, samples, weights, seed: int) -> dict[int, np.ndarray]:
    """Train a fold's recognition head as `train_evaluate.train_fold` does, and predict the fold's videos."""
    loaded = read_fold(weights, len(CLASSES)).weights
    new = new_heads(loaded, [(RECOG, len(CLASSES))], np.random.default_rng(seed))
    images, classes = recognition_training_set(samples, demo.features)
    trained, _ = train(
        new, RECOG, images, np.eye(len(CLASSES), dtype=np.float32)[classes],
        learning_rate=5e-4, seed=seed, batch_size=32, epochs=100, frozen=True,
    )  # fmt: skip
    network = MeanNetwork(trained, (RECOG,))
    return {int(i): network.predict(np.load(demo.features[i].spotting))[0] for i in fold.test}


def others_lag(demo: Demo) -> list[tuple]:
    """Pairs joined by interval, or by position in two lists, of which one leaves out "others"."""
    rows = []
    first = demo.scores[0].video.subject
    for where, scores in (
        ('DEMO (no true positive is "others")', demo.scores),
        ('DEMO, its first expression called "others"', relabelled(demo.scores, [first], first_only=True)),
    ):
        predictions, ground_truth = tables(demo, scores)
        guesses, labels = [], []
        for video in in_time_order(predictions, ground_truth):
            matched = dict(match_intervals(bounds(video.predicted), bounds(video.annotated)))
            of_video = [matched.get(i, -1) for i in range(len(video.predicted))]
            p, g = analysis_lists(video, of_video, CLASSES, np.inf)
            guesses, labels = guesses + p, labels + g
        pairs = [(CLASSES[g], CLASSES[p]) for g, p in zip(labels, guesses, strict=False) if g != FALSE_POSITIVE]
        paper = evaluate(predictions, ground_truth, CLASSES)["analysis"]
        rows.append(('"others" shift the pairs', where, "analysis", analysed(paper), analysed(_scored(pairs))))
    return rows


def _scored(pairs: Sequence[tuple]) -> dict:
    return classification(pairs, CLASSES)


def dummy_prediction(demo: Demo) -> list[tuple]:
    """A long video without any peak."""
    rows = []
    lowered = replace(demo.scores[0], smoothed=smooth_scores(demo.scores[0].raw - 2, demo.k_prime))
    for where, scores in (
        ("DEMO (every video has a peak)", demo.scores),
        ("DEMO, scores of the first video lowered by 2, so that it has no peak", [lowered, *demo.scores[1:]]),
    ):
        found = [evaluate(*tables(demo, scores, dummy=dummy), CLASSES) for dummy in (False, True)]
        rows.append(("dummy prediction [0, 0]", where, "spotting TP/FP/FN", *map(counts, found)))
    return rows


def ranking(demo: Demo) -> list[tuple]:
    """AP of the same matching, with predictions ranked by score, or in the order of videos and time."""
    predictions, ground_truth = tables(demo)
    grouped = in_time_order(predictions, ground_truth)
    areas = []
    for t in AP_THRESHOLDS:
        hits = []
        for video in grouped:
            matched = {i for i, _ in match_intervals(bounds(video.predicted), bounds(video.annotated), t)}
            hits += [i in matched for i in range(len(video.predicted))]
        areas.append(average_precision(hits, len(ground_truth)))
    ranked = evaluate(predictions, ground_truth, CLASSES)["spotting"]["ap"]
    return [("AP not ranked", "DEMO", "AP@[.5:.95]", shown(ranked), shown(float(np.mean(areas))))]


def matching(demo: Demo) -> list[tuple]:
    """One to one, best IoU first, or each prediction in turn looking at its best annotation only."""
    two = pd.DataFrame([("s1", "v1", 0, 19, "positive"), ("s1", "v1", 1, 20, "positive")], columns=COLUMNS)
    overlapping = pd.DataFrame([("s1", "v1", 0, 19, "positive"), ("s1", "v1", 4, 27, "positive")], columns=COLUMNS)
    rows = []
    for where, (predictions, ground_truth) in (
        ("DEMO", tables(demo)),
        ("constructed: predicted [0, 19], [1, 20], annotated [0, 19], [4, 27]", (two, overlapping)),
    ):
        paper = evaluate(predictions, ground_truth, CLASSES)
        tp = 0
        for video in in_time_order(predictions, ground_truth):
            tp += sum(j >= 0 for j in match_in_order(interval_iou(bounds(video.predicted), bounds(video.annotated))))
        fp, fn = len(predictions) - tp, len(ground_truth) - tp
        greedy = {"spotting": dict(tp=tp, fp=fp, fn=fn, f1=2 * tp / (2 * tp + fp + fn))}
        rows.append(("greedy matching", where, "spotting TP/FP/FN", counts(paper), counts(greedy)))
    return rows


COLUMNS = ["subject", "video", "onset", "offset", "emotion"]


def absent_classes(demo: Demo) -> list[tuple]:
    """Both leave out a class that does not occur. Upstream also leaves out one if all pairs have nothing else."""
    rows = []
    predictions, ground_truth = tables(demo)
    per_subject = [{"subject": s} | m for s in demo.subjects for m in [_subject_analysis(predictions, ground_truth, s)]]
    one_class = next(row["subject"] for row in per_subject if row["classes"] == 1)
    for where, subject in (("DEMO", None), (f"DEMO, subject {one_class} alone: one class, all right", one_class)):
        kept = [t if subject is None else t[t["subject"] == subject] for t in (predictions, ground_truth)]
        paper = evaluate(*kept, CLASSES)["analysis"]
        pairs = []
        for video in in_time_order(*kept):
            for i, j in match_intervals(bounds(video.predicted), bounds(video.annotated)):
                if (label := video.annotated[j].emotion) in CLASSES:
                    pairs.append((CLASSES.index(label), CLASSES.index(video.predicted[i].emotion)))
        upstream = classification_with_nan(pairs, len(CLASSES))
        shape = (f"{analysed(m)}, {m['classes']} classes" for m in (paper, upstream))
        rows.append(("absent classes", where, "analysis", *shape))
    two_classes = next(row for row in per_subject if row["classes"] == 2)
    where = f"DEMO, subject {two_classes['subject']} alone: two classes"
    as_zero = f"the same (counted as 0 it would be {shown(two_classes['uf1'] * 2 / len(CLASSES))})"
    rows.append(("absent classes", where, "UF1", shown(two_classes["uf1"]), as_zero))
    return rows


def _subject_analysis(predictions: pd.DataFrame, ground_truth: pd.DataFrame, subject: str) -> dict:
    of_subject = (t[t["subject"] == subject] for t in (predictions, ground_truth))
    return evaluate(*of_subject, CLASSES)["analysis"]


def half_length(demo: Demo) -> list[tuple]:
    """k' with and without the held-out subject. Both protocols use the first."""
    rows = []
    measured = {"DEMO": [f.video for f in demo.features]}
    measured |= {f"tests/support/layouts.py, {name}": _fixture_videos(name) for name in ("CASME_sq", "SMIC_HS")}
    for where, videos in measured.items():
        subjects = list(dict.fromkeys(v.subject for v in videos))
        without = [average_half_length(e for v in videos if v.subject != s for e in v.expressions) for s in subjects]
        k_prime = average_half_length(e for v in videos for e in v.expressions)
        values = ", ".join(map(str, sorted(set(without))))
        rows.append(
            ("k' from all subjects", where, "k' (without the held-out subject)", f"{k_prime} ({values})", "the same")
        )
    return rows


def _fixture_videos(name: str, protocol: str = "paper") -> list[Video]:
    """The annotated videos of a tiny synthetic copy of a layout."""
    dataset, root = DATASETS[name], shared_layout(name)
    return match_expressions(find_videos(dataset, root)[0], load_annotations(dataset, root, protocol))[0]


def before_frame_0(demo: Demo) -> list[tuple]:
    """Intervals that begin before the video: as both protocols match them, compared with clamped ones."""
    early = pd.DataFrame([("s1", "v1", -4, 8, "positive")], columns=COLUMNS)
    annotated = pd.DataFrame([("s1", "v1", 3, 8, "positive")], columns=COLUMNS)
    rows = []
    for where, (predictions, ground_truth) in (
        ("DEMO", tables(demo)),
        ("constructed: predicted [-4, 8], annotated [3, 8]", (early, annotated)),
    ):
        clamped = predictions.assign(onset=predictions["onset"].clip(lower=0))
        paper, other = (counts(evaluate(t, ground_truth, CLASSES)) for t in (predictions, clamped))
        figure = f"spotting TP/FP/FN; {(predictions['onset'] < 0).sum()} of {len(predictions)} begin early"
        rows.append(("intervals before frame 0", where, figure, paper, f"the same (clamped it would be {other})"))
    return rows


def previous_rectangle(demo: Demo) -> list[tuple]:
    """The worst case: no video that is its subject's first shows a face in frame 0.

    The rectangle of the subject before is then kept.
    """
    found, _ = find_videos(DEMO, demo.data_root)
    raw = {(v.subject, v.name): v for v in found.values()}
    changed, before = list(demo.scores), None
    for i, s in enumerate(demo.scores):
        video = raw[s.video.subject, s.video.name]
        if before is not None and before.subject != video.subject:
            changed[i] = _recropped(demo, s, video, first_face(before)[1])
        before = video
    paper, upstream = (evaluate(*tables(demo, scores), CLASSES) for scores in (demo.scores, changed))
    name, n = "rectangle of the previous video", sum(a is not b for a, b in zip(changed, demo.scores, strict=True))
    where = f"DEMO, {n} of {len(changed)} videos cut with the rectangle of the subject before"
    return [
        (name, where, "spotting TP/FP/FN", counts(paper), counts(upstream)),
        (name, where, "analysis", analysed(paper["analysis"]), analysed(upstream["analysis"])),
    ]


def _recropped(demo: Demo, s: VideoScores, video: Video, rectangle) -> VideoScores:
    """The scores of a video that is cut with another rectangle."""
    encoded = (cv2.imencode(".jpg", cut_face(read_image(path), rectangle))[1] for path in video.frames)
    crops = [cv2.imdecode(jpeg, cv2.IMREAD_GRAYSCALE) for jpeg in encoded]
    regions, flow = face_regions(predict_landmarks(crops[0])), flow_function("kernel")
    images = [feature_image(a, b, regions, flow) for a, b in zip(crops, crops[DEMO.k :], strict=False)]
    network = read_fold(demo.weights[demo.subjects.index(video.subject)], len(CLASSES))
    scores, probabilities = network.predict(np.array(images, np.float32))
    return VideoScores(s.video, scores[:, 0], smooth_scores(scores[:, 0], demo.k_prime), probabilities)


def short_videos(demo: Demo) -> list[tuple]:
    """A video with fewer than 2k' features, for which `numpy.convolve` gives 2k' values."""
    found = []
    for keep_length in (True, False):
        peaks = []
        for s in demo.scores:
            smoothed = smooth_scores(s.raw[:WINDOW], demo.k_prime, keep_length)
            peaks += find_expression_peaks(smoothed, demo.k_prime, P).tolist()
        found.append(f"{len(peaks)}; {sum(peak >= WINDOW for peak in peaks)}")
    where = f"DEMO, the first {WINDOW} features of each of {len(demo.scores)} videos"
    return [("fewer than 2k' features", where, "peaks; of them beyond the last feature", *found)]


def smic_samples(demo: Demo) -> list[tuple]:
    """SMIC's frame numbers lowered by one more, and expressions dropped that begin with the recording."""
    found = []
    for protocol in ("paper", "upstream"):
        videos = _fixture_videos("SMIC_HS", protocol)
        onsets = sorted({e.onset for v in videos for e in v.expressions})
        found.append(f"{sum(len(v.expressions) for v in videos)}; {', '.join(map(str, onsets))}")
    return [("SMIC frames", "tests/support/layouts.py, SMIC_HS", "expressions; their onsets", *found)]


def all_together(demo: Demo) -> list[tuple]:
    """`--protocol upstream` compared with `--protocol paper`."""
    videos = [(f.video.subject, f.video.name, f.n_features) for f in demo.features]
    paper = evaluate(*tables(demo), CLASSES)
    with_dummies = tables(demo, dummy=True)
    upstream = evaluate(*with_dummies, CLASSES, videos=videos, protocol="upstream", k_prime=demo.k_prime)
    name = "--protocol upstream, all of it"
    rows = [
        (name, "DEMO", "spotting TP/FP/FN", counts(paper), counts(upstream)),
        (name, "DEMO", "analysis", analysed(paper["analysis"]), analysed(upstream["analysis"])),
        (name, "DEMO", "STRS", shown(paper["strs"]), shown(upstream["strs"])),
    ]
    for key in ("ap", "asr", "mae"):
        rows.append((name, "DEMO", key.upper(), *(shown(m["spotting"][key]) for m in (paper, upstream))))
    return rows


MEASUREMENTS = (
    recognition_folds,
    others_lag,
    dummy_prediction,
    ranking,
    matching,
    absent_classes,
    half_length,
    previous_rectangle,
    before_frame_0,
    short_videos,
    smic_samples,
    all_together,
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.benchmarks.departures", description=__doc__.split("\n")[0])
    parser.add_argument("--data_root", type=Path, default=Path("data"), metavar="DIR")
    parser.add_argument("--cache_dir", type=Path, default=Path("cache"), metavar="DIR")
    arguments = parser.parse_args()
    print("| departure | measured on | figure | paper | upstream |\n|---|---|---|---|---|")
    demo = load_demo(arguments.data_root, arguments.cache_dir)
    for measure in MEASUREMENTS:
        for row in measure(demo):
            print(f"| {' | '.join(map(str, row))} |", flush=True)


if __name__ == "__main__":
    main()
