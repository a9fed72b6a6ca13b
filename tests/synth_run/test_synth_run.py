"""SYNTH's run: labels and drawn events by hand, and the fit of the verifier.

Rendering takes too long for the suite (`tests/synthetic` has it), so that curves and clips are made up.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from tests.support.face_crops import bump_at, mark, moved_crop
from tests.support.movement_curves import BROWS, CORNERS, bell, calm, with_movement
from tests.support.synth_clips import FPS, TIMES, clip_of, event
from tests.support.verifiers import CLASSES, made_up_verifier
from Utils.errors import InputError
from Utils.own_video.candidates import FEATURES, Measured, measure_candidates
from Utils.own_video.displacement import EYES, HEAD, LIGHT, MISFIT, MOVED, N_REGIONS, REGIONS, CurveMeter
from Utils.own_video.verify import KINDS, MICRO, VERIFY, load_verifier
from Utils.synth_run import labels
from Utils.synth_run import verifier as verifier_module
from Utils.synth_run.clips import frames_at, pair_step
from Utils.synth_run.labels import (
    IGNORED,
    MACRO_PX,
    MARGIN_S,
    MICRO_PX,
    MICRO_S,
    MIRROR,
    Labelled,
    labelled,
    mirrored,
    stretch_of,
    with_drawn_events,
    with_moved_head,
)
from Utils.synth_run.verifier import (
    COPIES,
    PHOTOGRAPH_WEIGHT,
    WITH_MOVED_HEAD,
    count_events,
    false_alarm_table,
    figures_of,
    fit,
    held_out_odds,
    require_kinds,
    trees_of,
)

NOTHING = KINDS.index("nothing")


def label(folder: Path, curves: np.ndarray, *events: dict, extra=None) -> Labelled:
    return labelled(*stretch_of(clip_of(folder, curves, events)), extra)


def kind_at(found: Labelled, time: float) -> str:
    """The kind of the candidate nearest to a time."""
    number = found.kinds[np.abs(found.measured.at - time).argmin()]
    return "ignored" if number == IGNORED else KINDS[number]


# What is learnt


def test_durations_in_frames():
    assert [frames_at(fps) for fps in (25.0, 30.0, 60.0, 200.0, 5.0)] == [(3, 5), (3, 6), (6, 12), (20, 40), (1, 1)]
    assert [pair_step(fps) for fps in (25.0, 30.0, 60.0, 100.0, 200.0)] == [1, 1, 2, 3, 6]


def test_a_stretch_is_what_was_measured(tmp_path):
    """The face is there from sample 10 to 89; a sample is taken every second frame."""
    curves = calm(100)
    curves[:10], curves[90:] = np.nan, np.nan
    events = [event("blink", 0.1, 0.5), event("micro", 1.0, 1.4)]  # at 30 frames a second: frames 3 to 15, 30 to 42
    found, rate, seconds = stretch_of(clip_of(tmp_path, curves, events, step=2))
    assert found.shape == (80, curves.shape[1]) and rate == 15
    assert [(e.kind, round(e.onset, 6), round(e.offset, 6)) for e in seconds] == [  # the blink is over before 20 / 30 s
        ("micro", round(10 / 30, 6), round(22 / 30, 6))
    ]


@pytest.mark.parametrize(
    ("onset", "offset", "kind"),
    [
        (1.75, 2.25, "micro"),  # as wide as the movement
        (1.65, 2.35, "micro"),  # the candidate covers 0.4 of 0.7 s
        (1.6, 3.9, "nothing"),  # 0.4 of 2.3 s
        (2.5, 2.9, "nothing"),  # elsewhere
    ],
)
def test_a_candidate_is_the_micro_expression_that_it_overlaps(onset, offset, kind, tmp_path):
    """A bell of 0.5 s is 0.25 s wide at half its height, and counts as 1.6 times as long."""
    curves = with_movement(calm(150), bell(TIMES, 2.0, 0.5))
    found = label(tmp_path, curves, event("micro", onset, offset))
    assert kind_at(found, 2.0) == kind
    assert found.events.tolist() == [pytest.approx([round(t * FPS) / FPS for t in (onset, offset)])]
    assert found.seconds == 5.0
    truth = found.truth[found.kinds == MICRO]
    assert len(truth) == (kind == "micro") and (kind != "micro" or truth[0] == pytest.approx(found.events[0]))
    assert np.isnan(found.truth[found.kinds != MICRO]).all()


def test_the_second_best_on_a_micro_expression_teaches_nothing(tmp_path):
    """The filter's lobes at 1.77 and 2.23 s lie in the event too, and overlap it less."""
    curves = with_movement(calm(150), bell(TIMES, 2.0, 0.5))
    found = label(tmp_path, curves, event("micro", 1.75, 2.25))
    assert [kind_at(found, time) for time in (1.77, 2.0, 2.23)] == ["ignored", "micro", "ignored"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("macro", "macro"), ("speech", "speech"), ("chewing", "speech"), ("blink", "blink"), ("glance", "blink"),
     ("light", "light"), ("head", "head"), ("occlusion", "occlusion")],
)  # fmt: skip
def test_others_are_the_kind_of_their_event(kind, expected, tmp_path):
    found = label(tmp_path, with_movement(calm(150), bell(TIMES, 2.0, 0.5)), event(kind, 1.2, 2.8))
    assert kind_at(found, 2.0) == expected and len(found.events) == 0


def test_of_events_at_the_same_time_the_first_kind_counts(tmp_path):
    curves = with_movement(calm(150), bell(TIMES, 2.0, 0.5))
    micro, macro, head = event("micro", 1.75, 2.25), event("macro", 1.0, 3.0), event("head", 0.0, 5.0)
    assert kind_at(label(tmp_path, curves, head, macro, micro), 2.0) == "micro"
    assert kind_at(label(tmp_path, curves, macro, head), 2.0) == "macro"
    assert kind_at(label(tmp_path, curves, micro, event("occlusion", 1.9, 2.1)), 2.0) == "occlusion"


def test_a_micro_expression_that_was_not_measured_is_still_one_to_find(tmp_path):
    found = label(tmp_path, calm(150), event("micro", 1.0, 1.5))
    assert len(found.kinds) == 0 and len(found.events) == 1


# Mirror images


def test_twice_in_a_mirror_is_as_before():
    curves = np.random.default_rng(0).normal(size=(40, calm(1).shape[1]))
    before = curves.copy()
    np.testing.assert_array_equal(mirrored(mirrored(curves)), curves)
    np.testing.assert_array_equal(curves, before)
    assert not np.allclose(mirrored(curves), curves)


def test_a_mirror_swaps_left_and_right():
    names = list(REGIONS)
    assert names[MIRROR[names.index("mouth corner left")]] == "mouth corner right"
    assert names[MIRROR[names.index("chin")]] == "chin"
    curves = with_movement(calm(5), np.ones(5), ("mouth corner left",), (1.0, -2.0))
    curves[:, EYES.start] = 7
    curves[:, HEAD] = (3, 4, 5, 6)
    found = mirrored(curves)
    moved = found[0, MOVED].reshape(N_REGIONS, 2)
    assert moved[names.index("mouth corner right")].tolist() == [-1, -2]
    assert not moved[names.index("mouth corner left")].any()
    assert found[0, HEAD].tolist() == [-3, 4, -5, 6] and found[0, EYES].tolist() == [60, 7]
    np.testing.assert_array_equal(found[:, MISFIT], curves[:, MISFIT])


def test_curves_of_a_mirrored_face_are_the_mirrored_curves():
    """A head that moves and turns, and a mouth's corner that rises."""
    away = np.mgrid[:128, :128].astype(np.float32) - 63.5
    crops = [
        moved_crop(
            1.0 * part - 0.01 * part * away[0], 0.4 * part + 0.01 * part * away[1] - part * bump_at(mark(48), 10)
        )
        for part in (0.0, 0.5, 1.0)
    ]
    plain, turned = CurveMeter(3, FPS), CurveMeter(3, FPS)
    for i, crop in enumerate(crops):
        plain.add(i, crop)
        turned.add(i, np.ascontiguousarray(cv2.flip(crop, 1)))
    expected = mirrored(plain.curves)
    np.testing.assert_allclose(turned.curves[:, HEAD], expected[:, HEAD], atol=0.1)
    np.testing.assert_allclose(turned.curves[:, MOVED], expected[:, MOVED], atol=0.25)
    assert np.abs(expected[:, HEAD][:, :3]).max(0).min() > 0.3 and np.abs(expected[:, MOVED]).max() > 0.4


# Drawn events


@pytest.mark.parametrize("seed", range(8))
def test_drawn_events_keep_their_distance(seed):
    """Next to a rendered micro-expression and a hand; a head turn and speech may be drawn over."""
    rng = np.random.default_rng(seed)
    present = [labels._Event("micro", 2.0, 2.4), labels._Event("occlusion", 5.0, 6.0), labels._Event("head", 0.0, 10.0)]
    curves = calm(300)
    _, events = with_drawn_events(curves, FPS, present, rng)
    assert (curves == calm(300)).all() and events[:3] == present
    drawn = events[3:]
    for i, e in enumerate(drawn):
        assert e.kind in ("micro", "macro") and MARGIN_S <= e.onset < e.offset <= 10 - MARGIN_S + 1e-9
        for other in (*(d for d in drawn[:i] if d.kind == e.kind == "micro"), *present[:2]):
            assert e.onset >= other.offset + MARGIN_S or other.onset >= e.offset + MARGIN_S
        if e.kind == "micro":
            assert MICRO_S[0] <= e.offset - e.onset <= MICRO_S[1]


def test_what_is_drawn_is_there_and_nothing_else():
    n_micro = n_macro = 0
    for seed in range(30):
        made, events = with_drawn_events(calm(300), FPS, [], np.random.default_rng(seed))
        np.testing.assert_array_equal(made[:, MISFIT.start : LIGHT + 1], calm(300)[:, MISFIT.start : LIGHT + 1])
        assert not made[:, HEAD].any()
        n_micro += sum(e.kind == "micro" for e in events)
        n_macro += sum(e.kind == "macro" for e in events)
        change = np.hypot(*made[:, MOVED].reshape(300, N_REGIONS, 2).transpose(2, 0, 1)).max(1)
        before = min((e.onset for e in events), default=10.0)
        assert not change[: int(before * FPS)].any()
        if all(e.kind == "micro" for e in events):
            inside = np.zeros(300, bool)
            for e in events:
                inside |= (np.arange(300) / FPS >= e.onset) & (np.arange(300) / FPS <= e.offset)
            assert not change[~inside].any() and (not events or change[inside].max() <= MICRO_PX[1])
        assert change.max() <= MICRO_PX[1] + 2 * MACRO_PX[1]
    assert n_micro > 2 * n_macro > 0


@pytest.mark.parametrize("seed", range(5))
def test_a_moved_head_moves_regions_by_their_depth(seed):
    """All of it is the head's drift, sideways and down, times a number of each region that no affine map has."""
    made, (head,) = with_moved_head(calm(300), FPS, np.random.default_rng(seed))
    assert (head.kind, head.onset, head.offset) == ("head", 0, 10)
    np.testing.assert_array_equal(made[:, MISFIT.start :], calm(300)[:, MISFIT.start :])
    drift = made[:, HEAD][:, :2]
    assert 1 < np.ptp(drift, axis=0).max() < 60
    moved = made[:, MOVED].reshape(300, N_REGIONS, 2)
    parallax = (moved * drift[:, None]).sum((0, 2)) / (drift**2).sum()
    np.testing.assert_allclose(moved, parallax[None, :, None] * drift[:, None], atol=1e-5)
    assert labels.PARALLAX[0] <= np.abs(parallax).max() <= labels.PARALLAX[1]
    affine = np.column_stack([np.ones(N_REGIONS), labels.PLACES])
    np.testing.assert_allclose(parallax @ affine, 0, atol=1e-6)


def test_copies_have_moved_heads_and_photographs_count_more(tmp_path):
    """A copy whose head moves has candidates of that kind; the rendered ones are calm."""
    for scenario, weight in (("neutral", 1.0), ("still", PHOTOGRAPH_WEIGHT)):
        (tmp_path / scenario).mkdir()
        data = clip_of(tmp_path / scenario, with_movement(calm(150), bell(TIMES, 2.5, 0.4), CORNERS), scenario=scenario)
        copies = verifier_module._of_clip(data)
        assert len(copies) == 2 + COPIES and {c.weight for c in copies} == {weight}
        assert [c.rendered for c in copies] == [c.neutral for c in copies] == [True] + [False] * (1 + COPIES)
        assert {c.person for c in copies} == {0}
        head = [KINDS.index("head") in c.kinds for c in copies]
        assert not any(head[:2]) and any(head[2 : 2 + WITH_MOVED_HEAD]) and not any(head[2 + WITH_MOVED_HEAD :])


def test_the_weight_of_other_candidates_lowers_p(sets, few_trees):
    train, check, neutral = sets
    heavy = fit([replace(clip, weight=20.0) for clip in train[:60]], check, neutral, CLASSES, seed=0)
    light = fit(train[:60], check, neutral, CLASSES, seed=0)
    features = np.concatenate([clip.measured.features for clip in check])
    odds = [fitted.verifier.trees.log_odds(features).mean() for fitted in (heavy, light)]
    assert odds[0] < odds[1] - 0.5


def test_short_curves_get_no_events():
    made, events = with_drawn_events(calm(20), FPS, [], np.random.default_rng(0))
    assert events == [] and (made == calm(20)).all()


def test_an_envelope_lies_between_0_and_1_and_begins_and_ends_at_0():
    """Some macro-expressions do not fall back altogether: at most 0.35 is left."""
    times = np.arange(0, 4, 0.001)
    for kind, length in (("micro", 0.3), ("macro", 1.5)):
        left = []
        for seed in range(40):
            course = labels._envelope(times, 1.0, length, np.random.default_rng(seed), kind)
            assert course.min() >= 0 and course.max() == pytest.approx(1, abs=1e-3) and course.max() <= 1
            assert not course[times < 1].any() and np.ptp(course[times > 1 + length]) < 1e-9
            assert np.abs(np.diff(course)).max() < 0.1
            top = course.argmax()
            assert (np.diff(course[:top]) >= -1e-9).all() and (np.diff(course[top:]) <= 1e-9).all()
            left.append(course[-1])
        assert max(left) <= (0.35 if kind == "macro" else 0) and min(left) == 0


def test_a_pattern_moves_one_region_by_1_and_the_others_less():
    for seed in range(30):
        sizes = np.hypot(*labels._pattern(np.random.default_rng(seed)).T)
        assert sizes.shape == (N_REGIONS,) and sizes.max() == pytest.approx(1)
        assert np.median(sizes) < 0.7


# The verifier


def made_up(rng: np.random.Generator, neutral: bool, person: int = 0) -> Labelled:
    """A clip of 10 s with four candidates, whose features tell their kinds apart."""
    kinds = rng.integers(1 if neutral else 0, len(KINDS), 4)
    features = rng.normal(0, 1, (4, len(FEATURES)))
    features[np.arange(4), kinds] += 8
    at = np.array([1.0, 3.5, 6.0, 8.5])
    sides = rng.uniform(0.05, 0.2, (4, 2, 1)) * [1.6, 1.0, 0.4]
    # onset and offset: where a line through 20 and 80 % of the height, at 1.6 and 0.4, meets 0
    truth = np.column_stack([at - 2 * sides[:, 0, 1], at + 2 * sides[:, 1, 1]])
    micro = kinds == MICRO
    measured = Measured(at, sides, np.ones(4), features)
    truths = np.where(micro[:, None], truth, np.nan), truth[micro]
    return Labelled(measured, kinds, *truths, 10.0, person=person, rendered=True, neutral=neutral)


@pytest.fixture(scope="module")
def sets():
    rng = np.random.default_rng(0)
    neutral = [i % 2 == 1 for i in range(60)]
    return [made_up(rng, i % 4 == 3, i) for i in range(250)], [made_up(rng, n) for n in neutral], neutral


@pytest.fixture(scope="module")
def few_trees():
    """Quicker."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verifier_module, "TREES", 80)
        yield


@pytest.fixture(scope="module")
def fitted(sets, few_trees):
    return fit(*sets, CLASSES, seed=0)


def test_kinds_that_can_be_told_apart_are(sets, fitted):
    figures = fitted.figures
    n_events = sum(len(clip.events) for clip in sets[1])
    assert figures["f1"] > 0.9 and figures["mean_iou"] > 0.9
    assert figures["found"] + figures["missed"] == n_events > 10
    assert (figures["clips"], figures["neutral"], figures["candidates"]) == (60, 30, 240)
    assert figures["checked"] <= 3
    assert f"{figures['found']} found" in fitted.summary()
    right = [(fitted.verifier.probabilities(clip.measured.features).argmax(1) == clip.kinds).mean() for clip in sets[1]]
    assert np.mean(right) > 0.9


def test_what_was_fitted_is_read_back(sets, fitted, tmp_path):
    (tmp_path / VERIFY).write_text(json.dumps(fitted.content))
    read = load_verifier(tmp_path, CLASSES)
    for clip in sets[1][:20]:
        features = clip.measured.features
        np.testing.assert_allclose(read.probabilities(features), fitted.verifier.probabilities(features), atol=1e-4)
        for ours, theirs in zip(read.intervals(clip.measured), fitted.verifier.intervals(clip.measured), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-4)
    for per_minute in (0.1, 1.0, 5.0):
        assert read.threshold(per_minute) == pytest.approx(fitted.verifier.threshold(per_minute), abs=1e-4)
    assert (tmp_path / VERIFY).stat().st_size < 100_000


def test_each_person_is_judged_by_trees_that_have_not_seen_them(monkeypatch, sets):
    """With 8 people in 4 folds, each fold's trees see the 6 of the others. Copies are learnt from, and not judged."""
    clips = [replace(clip, person=i // 2, rendered=i % 2 == 0) for i, clip in enumerate(sets[0][:16])]
    seen = []
    boosted = verifier_module._boosted

    def noted(of_fold, seed):
        seen.append({clip.person for clip in of_fold})
        return boosted(of_fold, seed)

    monkeypatch.setattr(verifier_module, "_boosted", noted)
    held = held_out_odds(clips, 0)
    assert seen == [set(range(8)) - {fold, fold + 4} for fold in range(4)]
    assert [clip.person for clip, _ in held] == [0, 4, 1, 5, 2, 6, 3, 7] and all(clip.rendered for clip, _ in held)
    assert all(len(odds) == len(clip.kinds) for clip, odds in held)


def test_the_same_seed_gives_the_same_file_whatever_it_is_checked_with(sets, fitted, few_trees):
    assert fit(sets[0], sets[1][:7], sets[2][:7], CLASSES, seed=0).content == fitted.content


def test_borders_are_learnt(fitted):
    """Both are twice the seconds at 50 % of the height."""
    sides = np.array([[[0.16, 0.1, 0.04], [0.24, 0.15, 0.06]]])
    onset, offset = fitted.verifier.intervals(
        Measured(np.array([5.0]), sides, np.ones(1), np.zeros((1, len(FEATURES))))
    )
    assert (onset[0], offset[0]) == pytest.approx((4.8, 5.3), abs=0.01)


def test_a_kind_that_no_candidate_has_is_said(sets):
    few = [clip for clip in sets[0] if KINDS.index("light") not in clip.kinds]
    require_kinds(sets[0])
    with pytest.raises(InputError, match="shows the kind light: make more --clips"):
        require_kinds(few)


def test_the_trees_of_the_file_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 4))
    booster = HistGradientBoostingClassifier(max_iter=20, max_leaf_nodes=8).fit(x, x[:, 0] * x[:, 1] + x[:, 2] > 0)
    more = rng.normal(size=(300, 4))
    np.testing.assert_allclose(trees_of(booster).log_odds(more), booster.decision_function(more), atol=1e-9)


def p_of(verifier, clip: Labelled) -> np.ndarray:
    return verifier.probabilities(clip.measured.features)[:, MICRO]


def test_false_alarms_grow_as_the_threshold_falls(sets, fitted):
    quiet = [c for c, n in zip(sets[1], sets[2], strict=True) if n]
    table = false_alarm_table(fitted.verifier, [(c, p_of(fitted.verifier, c)) for c in quiet], 0)
    assert table.shape[1] == 4 and (np.diff(table[:, 0]) < 0).all() and (np.diff(table[:, 1]) >= 0).all()
    assert (table[:, 2] <= table[:, 3] + 1e-9).all() and (table[:, 1] <= table[:, 3] + 1e-9).all()
    assert table[0, 0] > 0.99 and table[-1, 0] < 0.05


def movements(*apexes: float, kinds: Sequence[int], events=(), seconds: float = 5.0) -> Labelled:
    """Candidates of a movement of 1 pixel each, which `made_up_verifier` takes for micro-expressions of 0.35 s."""
    course = [bell(TIMES, apex, 0.5) for apex in apexes]
    curves = calm(150)
    for i, part in enumerate(course):
        curves = with_movement(curves, part, (CORNERS, BROWS)[i % 2])
    measured = measure_candidates(curves, FPS)
    back = measured.features[:, FEATURES.index("near rest")] > 0.5
    measured = Measured(measured.at[back], measured.sides[back], measured.motion[back], measured.features[back])
    assert len(measured.at) == len(apexes)
    return Labelled(measured, np.array(kinds), np.zeros((len(kinds), 2)), np.array(events).reshape(-1, 2), seconds)


def test_false_alarms_a_minute_by_hand(tmp_path):
    """Two clips of 30 s with 1 and 2 events of p .98, and two without any: 3 in 2 minutes."""
    verifier = made_up_verifier(tmp_path)
    clips = [
        movements(2.0, kinds=[NOTHING], seconds=30.0),
        movements(1.2, 3.5, kinds=[NOTHING] * 2, seconds=30.0),
        *(movements(kinds=[], seconds=30.0) for _ in range(2)),
    ]
    table = false_alarm_table(verifier, [(clip, p_of(verifier, clip)) for clip in clips], 0)
    at_half = table[np.abs(table[:, 0] - 0.5).argmin()]
    assert at_half[1] == pytest.approx(1.5) and 0 <= at_half[2] < 1.5 < at_half[3] <= 4
    assert table[0, 1] == 0


def test_events_are_counted_by_hand(tmp_path):
    """
    true        [1.0 1.4]          [3.3 3.7]
    reported    1.2 +- .18                     4.3 +- .18      one found, one missed, one wrong
    """
    verifier = made_up_verifier(tmp_path)
    clip = movements(1.2, 4.3, kinds=[MICRO, KINDS.index("macro")], events=[(1.0, 1.4), (3.3, 3.7)])
    assert count_events(verifier, clip, 0.5) == (1, 1, 1)
    assert count_events(verifier, clip, 0.999) == (0, 0, 2)
    figures = figures_of(verifier, [clip, movements(kinds=[])], [False, True])
    assert (figures["found"], figures["wrong"], figures["missed"], figures["f1"]) == (1, 1, 1, 0.5)
    assert figures["wrong_on"] == {"macro": 1}
    assert figures["mean_iou"] == pytest.approx(0.35 / 0.4, abs=0.06)
    assert sum(n for _, _, n in figures["reliability"]) == 2
