"""The verifier: probabilities, thresholds and intervals by hand, and files that cannot be used."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest

from tests.support.verifiers import (
    CLASSES,
    chance,
    leaf,
    made_up_verifier,
    stump,
    trees_content,
    verifier_content,
    write_verifier,
)
from Utils.errors import InputError
from Utils.own_video.candidates import FEATURES, Measured
from Utils.own_video.verify import (
    CLIPPED,
    KINDS,
    LEAF,
    MICRO,
    SHARED,
    VERIFY,
    keep_apart,
    load_verifier,
)

N_FEATURES, N_KINDS = len(FEATURES), len(KINDS)
MOTION = FEATURES.index("log motion")


@pytest.fixture
def verifier(tmp_path):
    return made_up_verifier(tmp_path)


def of_motion(*pixels: float) -> np.ndarray:
    """Features of candidates that come back, while the head stays."""
    features = np.zeros((len(pixels), N_FEATURES))
    features[:, MOTION] = np.log(pixels)
    features[:, FEATURES.index("near rest")] = 1
    features[:, FEATURES.index("head travel")] = np.log(0.05)
    return features


# Events that overlap


def kept(*events: tuple[float, float, float], threshold: float = 0.5) -> list[int]:
    """`keep_apart` of events (onset, offset, p)."""
    return keep_apart(*np.array(events, float).T, threshold).tolist()


def test_of_events_that_overlap_the_likeliest_is_kept():
    """
    time  0         10        20        30        40
    0     [---------]              p .6   shares 5 of 10 with 1, which is likelier: dropped
    1          [---------]         p .9
    2                  [---------] p .8   shares 2 of 10 with 1: kept
    3                       [----] p .7   lies in 2: dropped
    4                                 [---] p .4   below the threshold
    """
    events = [(0, 10, 0.6), (5, 15, 0.9), (13, 23, 0.8), (18, 23, 0.7), (30, 34, 0.4)]
    assert kept(*events) == [1, 2]
    assert kept(*events, threshold=0.4) == [1, 2, 4]
    assert kept(*events, threshold=0.95) == []


def test_they_come_in_order_of_time_and_the_limit_is_a_share_of_the_shorter():
    assert kept((40, 50, 0.9), (0, 10, 0.6), (20, 30, 0.8)) == [1, 2, 0]
    assert SHARED == 0.3
    assert kept((0, 100, 0.9), (97, 107, 0.8)) == [0, 1]  # 3 of 10
    assert kept((0, 100, 0.9), (96, 106, 0.8)) == [0]  # 4 of 10
    assert kept((0, 10, 0.5), (0, 10, 0.5)) == [0]  # of equal ones the first


def test_what_was_dropped_does_not_drop_others():
    """1 falls to 0, and 2 overlaps 1 only."""
    assert kept((0, 10, 0.9), (5, 15, 0.8), (10, 20, 0.7)) == [0, 2]


def test_no_event_is_no_event():
    assert keep_apart(np.zeros(0), np.zeros(0), np.zeros(0), 0.5).tolist() == []


# Probabilities


TREE = stump("busy", 0.5, above=2.0, below=-1.0)  # one that asks once
DEEP = (
    MOTION, 0.0,
    (MOTION, -1.0, leaf(10.0), leaf(20.0)),
    (FEATURES.index("busy"), 0.5, leaf(30.0), (MOTION, 1.0, leaf(40.0), leaf(50.0))),
)  # fmt: skip


def probabilities_of(folder, motion, busy=0.0, **changes) -> np.ndarray:
    features = np.zeros((len(motion), N_FEATURES))
    features[:, MOTION], features[:, FEATURES.index("busy")] = motion, busy
    return made_up_verifier(folder, **changes).probabilities(features)


def test_trees_by_hand(tmp_path):
    """
    DEEP:           motion <= 0
              yes             no
       motion <= -1              busy <= 0.5
       10        20             30      motion <= 1
                                        40        50
    """
    write_verifier(tmp_path, trees=trees_content([DEEP, TREE], baseline=0.25))
    trees = load_verifier(tmp_path, None).trees
    features = np.zeros((6, N_FEATURES))
    features[:, MOTION] = -2, -1, -0.5, 0.0, 0.5, 2.0
    assert trees.log_odds(features) == pytest.approx(np.array([10, 10, 20, 20, 30, 30]) - 1 + 0.25)
    features[:, FEATURES.index("busy")] = 0.6
    assert trees.log_odds(features) == pytest.approx(np.array([10, 10, 20, 20, 40, 50]) + 2 + 0.25)
    assert trees.log_odds(features[:0]).shape == (0,)


def test_a_tree_may_be_as_deep_as_it_has_leaves(tmp_path):
    """Of 30 thresholds 0, 1, 2, ... each node asks for the next one: the leaf of 20.5 is the 22nd, below 20 nodes."""
    tree = leaf(30.0)
    for threshold in reversed(range(30)):
        tree = (MOTION, float(threshold), leaf(float(threshold)), tree)
    write_verifier(tmp_path, trees=trees_content([tree]))
    features = np.zeros((3, N_FEATURES))
    features[:, MOTION] = -1, 20.5, 99
    assert load_verifier(tmp_path, None).trees.log_odds(features) == pytest.approx([0, 21, 30])


def test_the_calibration_is_of_the_log_odds(tmp_path):
    trees = trees_content([leaf(np.log(4))])
    assert probabilities_of(tmp_path, [0.0], trees=trees)[0, MICRO] == pytest.approx(0.8)
    p = probabilities_of(tmp_path, [0.0], trees=trees, calibration=[-1.0, 0.5])[0, MICRO]
    assert p == pytest.approx(1 / (1 + np.e / 2))  # 1 / (1 + exp(-(-1 + 0.5 log 4)))


def test_the_probability_of_a_movement(verifier):
    p = verifier.probabilities(of_motion(0.2, np.exp(-1), 1.0, 3.0))
    assert p[:, MICRO] == pytest.approx([chance(m) for m in (0.2, np.exp(-1), 1.0, 3.0)], abs=0.03)
    assert p[1, [MICRO, KINDS.index("nothing")]] == pytest.approx([0.5, 0.5], abs=0.03)


def test_probabilities_sum_to_1_whatever_is_measured(tmp_path):
    rng = np.random.default_rng(0)
    of_kinds = rng.normal(0, 2, (1 + N_FEATURES, N_KINDS - 1)).tolist()
    verifier = made_up_verifier(tmp_path, of_kinds=of_kinds, calibration=[-0.7, 0.5])
    for scale in (0.1, 1, 1e6):
        p = verifier.probabilities(rng.normal(0, scale, (200, N_FEATURES)))
        assert p.shape == (200, N_KINDS) and (p >= 0).all()
        np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)
    assert verifier.probabilities(np.zeros((0, N_FEATURES))).shape == (0, N_KINDS)


def test_the_other_kinds_share_what_is_left(tmp_path):
    """Weights 2 to 8 of the seven kinds, and half of all for micro."""
    of_kinds = np.zeros((1 + N_FEATURES, N_KINDS - 1))
    of_kinds[0] = np.log(np.arange(2, 9))
    p = probabilities_of(tmp_path, [0.0], trees=trees_content([leaf(0.0)]), of_kinds=of_kinds.tolist())[0]
    assert p[MICRO] == 0.5
    np.testing.assert_allclose(p[1:], np.arange(2, 9) / 35 / 2)


def test_features_are_standardised_and_limited_for_the_kinds(tmp_path):
    """One feature x, mean 2, scale 0.5: weight 1 of (x - 2) / 0.5 for one of seven kinds."""
    of_kinds = np.zeros((1 + N_FEATURES, N_KINDS - 1))
    of_kinds[1 + MOTION, 0] = 1.0
    mean, scale = [0.0] * N_FEATURES, [1.0] * N_FEATURES
    mean[MOTION], scale[MOTION] = 2.0, 0.5
    changes = dict(trees=trees_content([leaf(0.0)]), of_kinds=of_kinds.tolist(), mean=mean, scale=scale)
    p = probabilities_of(tmp_path, [2.0, 3.0, 100.0, -100.0], **changes)[:, 1]
    assert p == pytest.approx([0.5 * np.exp(h) / (np.exp(h) + 6) for h in (0, 2, CLIPPED, -CLIPPED)])


# Thresholds and intervals


@pytest.mark.parametrize(
    ("per_minute", "expected"),
    [
        (0.01, (0.9, 0.2, 0.1, 0.3)),  # the highest threshold there is
        (0.2, (0.9, 0.2, 0.1, 0.3)),
        (0.99, (0.9, 0.2, 0.1, 0.3)),
        (1.0, (0.5, 1.0, 0.6, 1.5)),
        (5.9, (0.5, 1.0, 0.6, 1.5)),
        (60.0, (0.1, 6.0, 4.0, 9.0)),
    ],
)
def test_the_threshold_of_a_rate_of_false_alarms(verifier, per_minute, expected):
    """Rows of the table: 0.9 gives 0.2 a minute (0.1 to 0.3), 0.5 gives 1 (0.6 to 1.5), 0.1 gives 6 (4 to 9)."""
    assert verifier.threshold(per_minute) == pytest.approx(expected)


def test_intervals_by_hand(tmp_path):
    """Onset 0.1 s + 2 times the seconds at 50 % before the apex; offset the sum of all three after it, less 0.5 s."""
    verifier = made_up_verifier(tmp_path, borders=[[0.1, 0, 2, 0], [-0.5, 1, 1, 1]])
    sides = np.array([[[0.3, 0.2, 0.1], [0.4, 0.3, 0.2]], [[0.3, 0.2, 0.1], [0.2, 0.1, 0.0]]])
    measured = Measured(np.array([2.0, 5.0]), sides, np.ones(2), np.zeros((2, N_FEATURES)))
    onset, offset = verifier.intervals(measured)
    assert onset == pytest.approx([1.5, 4.5])
    assert offset == pytest.approx([2.4, 5.0])  # -0.2 s after the apex are none


# Files


def test_what_is_written_is_read(tmp_path):
    path = write_verifier(tmp_path, trees=trees_content([DEEP, TREE], baseline=0.25))
    verifier = load_verifier(tmp_path, CLASSES)
    assert verifier.trees.roots.tolist() == [0, 9] and verifier.trees.baseline == 0.25
    assert verifier.trees.number.tolist()[:3] == [0.0, -1.0, 10.0] and verifier.classes == CLASSES
    first = verifier.file_hash
    path.write_text(path.read_text() + " ")
    assert load_verifier(tmp_path, None).file_hash != first  # another file, so that results are made again


def changed(**changes):
    return lambda content: json.dumps(content | changes)


def nested(name: str, value: float, *place: int):
    """The content with one number of an array replaced."""

    def change(content: dict) -> str:
        content = copy.deepcopy(content)
        array = content[name] if name != "trees" else content["trees"]["number"]
        for i in place[:-1]:
            array = array[i]
        array[place[-1]] = value
        return json.dumps(content)

    return change


def of_tree(**columns):
    """The content with one tree that asks once, some of its columns replaced."""
    return changed(trees=trees_content([TREE]) | columns)


def without(name: str):
    return lambda content: json.dumps({key: value for key, value in content.items() if key != name})


NOT_OURS = {
    "cut off": (lambda content: json.dumps(content)[:-100], "is damaged"),
    "empty": (lambda content: "", "is damaged"),
    "not JSON": (lambda content: "p_micro = 3", "is damaged"),
    "a list": (lambda content: "[1, 2]", "is damaged"),
    "a number": (lambda content: "3", "is damaged"),
    "nothing": (lambda content: "null", "is damaged"),
    "other version": (changed(version=1), "another version"),
    "version in words": (changed(version="1"), "another version"),
    "other features": (changed(features=list(FEATURES[:-1])), "another version"),
    "features in another order": (changed(features=list(FEATURES[::-1])), "another version"),
    "other kinds": (changed(kinds=["micro", "macro"]), "has the kinds"),
    "kinds in another order": (changed(kinds=list(KINDS[::-1])), "has the kinds"),
    "no kinds": (changed(kinds=None), "has the kinds None"),
    "other classes": (changed(classes=["disgust", "happiness"]), "is for the classes disgust, happiness"),
    "classes in another order": (changed(classes=list(CLASSES[::-1])), "is for the classes"),
    "classes a number": (changed(classes=3), "is damaged"),
    "NaN": (nested("trees", float("nan"), 1), "not finite"),
    "infinity": (nested("mean", float("inf"), 3), "not finite"),
    "a huge number": (nested("scale", 10**400, 3), "is damaged"),
    "a word": (nested("scale", "one", 3), "is damaged"),
    "null": (nested("scale", None, 3), "is damaged"),
    "scale 0": (nested("scale", 0.0, 3), "scale that is not positive"),
    "scale below 0": (nested("scale", -1.0, 3), "scale that is not positive"),
    "mean too short": (changed(mean=[0.0] * (N_FEATURES - 1)), "shape"),
    "scale too long": (changed(scale=[1.0] * (N_FEATURES + 1)), "shape"),
    "rows of several lengths": (nested("of_kinds", [0.0], 2), "is damaged"),
    "no trees": (changed(trees=trees_content([])), "shape"),
    "trees a word": (changed(trees="none"), "is damaged"),
    "trees without numbers": (changed(trees={"roots": [0], "feature": [LEAF], "right": [0], "baseline": 0}), "number"),
    "columns of two lengths": (of_tree(number=[1.0]), "do not fit one another"),
    "a root beyond the trees": (of_tree(roots=[3]), "do not fit one another"),
    "a feature that is none": (of_tree(feature=[N_FEATURES, LEAF, LEAF]), "do not fit the features"),
    "a feature below all": (of_tree(feature=[-2, LEAF, LEAF]), "do not fit the features"),
    "a node that leads to itself": (of_tree(right=[0, 0, 0]), "does not end"),
    "a node that leads beyond": (of_tree(right=[3, 0, 0]), "does not end"),
    "a last node that asks": (of_tree(feature=[MOTION, LEAF, MOTION]), "does not end"),
    "kinds of another shape": (changed(of_kinds=[[0.0] * N_KINDS]), "shape"),
    "calibration that falls": (changed(calibration=[0.0, -1.0]), "does not rise"),
    "calibration of three": (changed(calibration=[0.0, 1.0, 2.0]), "shape"),
    "borders of three": (changed(borders=[[0.0, 1.0, 0.0]] * 2), "shape"),
    "no false alarms": (changed(false_alarms=[]), "shape"),
    "false alarms out of order": (changed(false_alarms=[[0.1, 6, 4, 9], [0.9, 0.2, 0.1, 0.3]]), "out of order"),
    **{f"without {name}": (without(name), name) for name in sorted(verifier_content())},
}


@pytest.mark.parametrize("name", NOT_OURS)
def test_a_file_that_cannot_be_used_is_named_with_the_way_on(name, tmp_path):
    change, said = NOT_OURS[name]
    (tmp_path / VERIFY).write_text(change(verifier_content()))
    with pytest.raises(InputError) as refused:
        load_verifier(tmp_path, CLASSES)
    message = str(refused.value)
    assert str(tmp_path / VERIFY) in message and said in message and "--spotting paper" in message
    assert "\n" not in message and len(message) < 400 + len(str(tmp_path))


@pytest.mark.parametrize("make", ["nothing", "folder", "link to nothing"])
def test_a_file_that_is_not_there_is_named_with_the_way_on(make, tmp_path):
    path = tmp_path / VERIFY
    if make == "folder":
        path.mkdir()
    elif make == "link to nothing":
        path.symlink_to("gone")
    with pytest.raises(InputError, match=r"verify\.json: is missing.*--spotting paper"):
        load_verifier(tmp_path, CLASSES)


def test_bytes_that_are_no_text_are_damage_too(tmp_path):
    for content in (b"\xff\xfe\x00" * 50, bytes(100), b"[" * 100_000):
        (tmp_path / VERIFY).write_bytes(content)
        with pytest.raises(InputError, match="is damaged"):
            load_verifier(tmp_path, None)


def test_classes_do_not_matter_for_weights_that_have_no_verifier(tmp_path):
    write_verifier(tmp_path, classes=["disgust", "happiness"])
    assert load_verifier(tmp_path, None).classes == ("disgust", "happiness")
