"""SOFTNet against recorded runs of its published code on synthetic data (tests/recorded/softnet*; all of it beside the
project, see CONTRIBUTING.md)."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest

from feature_extraction import normalise
from prepare_training import average_half_length
from tests.support.paths import RECORDED
from training_utils import VideoScores, annotated_expressions, predict_expressions, threshold
from Utils.datasets.table import DATASETS
from Utils.evaluation.evaluate import compare
from Utils.evaluation.kinds import by_kind
from Utils.evaluation.upstream import list_order_ap
from Utils.records import Expression, Video
from Utils.softnet.features import landmarks_of, places_of, raw_feature
from Utils.softnet.network import read_network
from Utils.softnet.steps import STEPS
from Utils.softnet.training import n_others_kept, pseudo_labels
from Utils.tvl1 import tvl1_flow

CASES = json.loads((RECORDED / "softnet.json").read_text(encoding="utf-8"))
VARIANTS = ("long-micro", "long-macro", "short-micro")
SCORES = dict(np.load(RECORDED / "softnet_scores.npz"))
CASME_SQ = DATASETS["CASME_sq"]
TRAINED = ("micro", "macro")  # the kinds of which weights and sampling are recorded


class Case:
    """A recorded run, and the tables that our steps make of its scores."""

    def __init__(self, name: str, protocol: str = "upstream"):
        case = CASES[name]
        self.k, self.expected, self.records, self.protocol = case["k"], case, case["videos"], protocol
        kind = name.partition("-")[2]
        self.videos = [
            Video(
                r["subject"],
                r["video"],
                (),
                tuple(Expression(onset, None, offset, "others", kind=kind) for onset, offset in r["expressions"]),
            )
            for r in self.records
        ]
        self.scores = [
            VideoScores(video, raw, STEPS.spotting.smooth(raw, self.k, protocol), None)
            for video, raw in zip(self.videos, (SCORES[r["scores"]] for r in self.records), strict=True)
        ]
        self.predictions = predict_expressions(self.scores, CASME_SQ, self.k, 0.55, protocol, STEPS.spotting)
        self.truth = annotated_expressions(self.videos, CASME_SQ)

    def compare(self, **changes):
        records = [(v.subject, v.name, len(s.raw)) for v, s in zip(self.videos, self.scores, strict=True)]
        options = dict(videos=records, protocol=self.protocol, k_prime=self.k, ap_order=STEPS.spotting.ap_order)
        return compare(self.predictions, self.truth, CASME_SQ.classes, **options | changes)


@pytest.fixture(scope="module", params=VARIANTS)
def case(request) -> Case:
    return Case(request.param)


def test_k_is_half_the_mean_length(case):
    k_prime = average_half_length(e for v in case.videos for e in v.expressions)
    assert STEPS.pair_distance(CASME_SQ, k_prime) == case.k


def test_pseudo_labels(case):
    for video, record, scores in zip(case.videos, case.records, case.scores, strict=True):
        assert len(scores.raw) == record["frames"] - case.k
        labels = pseudo_labels(len(scores.raw), video.expressions, case.k)
        assert runs_of_ones(labels) == record["labelled"]


def runs_of_ones(labels: np.ndarray) -> list[list[int]]:
    edges = np.flatnonzero(np.diff([0, *labels, 0]))
    return [[int(first), int(end) - 1] for first, end in list(pairwise(edges))[::2]]


def test_thresholds_peaks_and_intervals(case):
    for record, scores in zip(case.records, case.scores, strict=True):
        assert threshold(scores.smoothed, 0.55) == pytest.approx(record["threshold"], abs=1e-6)
        found = STEPS.spotting.spot(scores.smoothed, None, case.k, 0.55, protocol="upstream")
        assert [e.apex - case.k for e in found] == record["peaks"]  # upstream counts from the first smoothed score
        assert [[e.onset, e.offset] for e in found] == record["predictions"]


def test_the_figures(case):
    evaluation = case.compare()
    found, expected = evaluation.metrics["spotting"], case.expected
    assert {key: found[key] for key in ("tp", "fp", "fn")} == {key: expected[key] for key in ("tp", "fp", "fn")}
    assert found["f1"] == pytest.approx(expected["f1"], abs=1e-9)
    assert found["ap"] == pytest.approx(expected["ap"], abs=1e-7)
    for record in case.records:
        rows = evaluation.of_video(record["subject"], record["video"])
        hits = {i for i, _ in rows.matches}
        assert [int(i in hits) for i in range(len(rows.predictions))] == record["tp"]


def test_average_precision_in_the_order_of_the_table(case):
    assert case.compare(ap_order=None).metrics["spotting"]["ap"] == pytest.approx(
        case.expected["ap_list_order"], abs=1e-7
    )


def test_the_order_in_which_predictions_are_visited(case):
    order = case.expected["order"]
    assert STEPS.spotting.ap_order(len(order)).tolist() == order == sorted(order, key=order.index)
    assert sorted(order) == list(range(len(order)))


def test_predictions_take_annotations_in_the_order_in_which_they_are_visited():
    """Two predictions reach the same annotation; who comes first counts as found, so the precision differs."""
    overlaps = [np.array([[0.6], [0.9]]), np.array([[0.0]])]
    assert list_order_ap(overlaps, 2, [0.5], soft=True) == pytest.approx(0.5)
    last_first = list_order_ap(overlaps, 2, [0.5], soft=True, order=lambda n: np.arange(n)[::-1])
    assert last_first == pytest.approx(0.5 * 1 / 2)  # the wrong one of the second video comes first


def test_both_kinds_are_pooled():
    metrics = {kind: Case(f"long-{kind}").compare().metrics for kind in TRAINED}
    overall, expected = by_kind(metrics)["overall"], CASES["overall"]
    assert (overall["tp"], overall["fp"], overall["fn"]) == (expected["TP"], expected["FP"], expected["FN"])
    assert overall["f1"] == pytest.approx(expected["f1"])
    assert set(by_kind({"micro": metrics["micro"]})) == {"micro"}


def test_under_the_papers_protocol_no_peak_gives_no_prediction():
    flat = np.full(40, 0.25, np.float32)
    smoothed = STEPS.spotting.smooth(flat, 5, "paper")
    assert STEPS.spotting.spot(smoothed, None, 5, 0.55, protocol="paper") == []
    (dummy,) = STEPS.spotting.spot(smoothed, None, 5, 0.55, protocol="upstream")
    assert (dummy.onset, dummy.apex, dummy.offset) == (5, 5, 5)  # [0, 0] as upstream counts


def test_places_in_the_face(case):
    for record in case.records:
        places = places_of(np.array(record["landmarks"]))
        assert [eye.tolist() for eye in places.eyes] == record["eyes"]
        brow_rows, brow_columns, mouth_rows, mouth_columns = places.regions
        assert corners(brow_columns, brow_rows) == record["brows"]
        assert corners(mouth_columns, mouth_rows) == record["mouth"]
        assert corners(*places.nose[::-1]) == record["nose"]


def corners(columns: slice, rows: slice) -> list[int]:
    return [columns.start, rows.start, columns.stop, rows.stop]


def test_features():
    """From two crops, through landmarks and flow, to the feature."""
    recorded = np.load(RECORDED / "softnet_features.npz")
    columns = (recorded[name] for name in ("video", "first", "second", "features"))
    for video, first, second, expected in zip(*columns, strict=True):
        landmarks = np.array(CASES["long-micro"]["videos"][video]["landmarks"])
        found = raw_feature(tvl1_flow(first, second), places_of(landmarks))
        np.testing.assert_allclose(found, expected, atol=3e-6)
    found, number = landmarks_of([recorded["first"][0]])
    assert number == 0 and found.tolist() == CASES["long-micro"]["videos"][0]["landmarks"]


@pytest.mark.parametrize("kind", TRAINED)
def test_numbers_of_samples(kind):
    for fold in CASES[f"long-{kind}"]["folds"]:
        others, expressions = fold["labels"]
        kept = n_others_kept(others, expressions, "upstream")
        assert kept == fold["kept"] == fold["trained"][0]
        assert fold["trained"][1] == expressions * (4 if kind == "micro" else 1)  # micro: three more of each
        assert n_others_kept(others, expressions) == others // 2


# With everything that is recorded


@pytest.fixture(scope="module", params=VARIANTS)
def full(request, golden) -> tuple[str, dict]:
    folder = golden / "softnet"
    return str(folder / request.param), json.loads((folder / f"{request.param}.json").read_text())


def test_all_recorded_features(full):
    prefix, about = full
    crops, features = np.load(f"{prefix}-crops.npz"), np.load(f"{prefix}-features.npz")
    places = [places_of(np.array(v["landmarks"])) for v in about["videos"]]
    for (video, frame), first, second, expected in zip(
        crops["video_and_frame"], crops["first"], crops["second"], features["features"], strict=True
    ):
        np.testing.assert_allclose(raw_feature(tvl1_flow(first, second), places[video]), expected, atol=3e-6)
        if frame == about["videos"][video]["landmark_frame"]:
            assert landmarks_of([first])[0].tolist() == about["videos"][video]["landmarks"]


@pytest.mark.parametrize("kind", TRAINED)
@pytest.mark.parametrize("fold", [1, 2])
def test_published_weights(golden, kind, fold):
    """The authors' files give their predictions, and from the recorded features the recorded scores."""
    folder = golden / "softnet"
    network = read_network(folder / f"weights/CASME_sq/{kind}-expression/s{fold}.hdf5")
    rng = np.random.RandomState(0)
    noise = np.concatenate([rng.rand(16, 42, 42, 1).astype("f4") for _ in range(3)], axis=-1)
    expected = np.load(folder / "predictions.npz")[f"CASME_sq__{kind}__s{fold}"]
    np.testing.assert_allclose(network.predict(noise)[:, 0], expected, atol=1e-6)
    about = json.loads((folder / f"long-{kind}.json").read_text())
    features, scores = (np.load(folder / f"long-{kind}-{what}.npz") for what in ("features", "scores"))
    tested = 0
    for (video, frame), raw in zip(features["video_and_frame"], features["features"], strict=True):
        if about["videos"][video]["fold"] == fold:
            feature = np.stack([normalise(raw[..., c]).astype(np.float32) for c in range(3)], axis=-1)
            assert float(network.predict(feature[None])[0, 0]) == pytest.approx(scores[f"raw_{video}"][frame], abs=1e-6)
            tested += 1
    assert tested >= 5


def test_the_tables_have_a_row_for_each_prediction(case):
    assert len(case.predictions) == case.expected["tp"] + case.expected["fp"]
    assert (case.predictions["emotion"] == "").all()
