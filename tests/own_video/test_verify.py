"""The verifier: probabilities, thresholds and intervals by hand, and files that cannot be used."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest

from tests.support.verifiers import CLASSES, chance, made_up_verifier, verifier_content, write_verifier
from Utils.errors import InputError
from Utils.own_video.candidates import FEATURES, Measured
from Utils.own_video.verify import (
    CLIPPED,
    KINDS,
    LEAST_P,
    MICRO,
    SHARED,
    VERIFY,
    calibrated,
    keep_apart,
    load_verifier,
    log_odds,
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


def dense(n_in: int, n_out: int, value: float = 0.0) -> dict:
    return {"weights": np.full((n_in, n_out), value).tolist(), "bias": [0.0] * n_out}


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


def test_calibration_keeps_the_order_and_can_do_nothing():
    p = np.linspace(0.001, 0.999, 99)
    np.testing.assert_allclose(calibrated(p, (0, 1)), p, atol=1e-12)
    for calibration in ((0.7, 0.4), (-3.0, 2.0)):
        assert (np.diff(calibrated(p, calibration)) > 0).all()
    # log-odds of 0.8 are log 4: 1 / (1 + exp(-(-1 + 0.5 log 4))) = 1 / (1 + e / 2)
    assert calibrated(np.array([0.8]), (-1.0, 0.5))[0] == pytest.approx(1 / (1 + np.e / 2))


def test_log_odds_are_finite():
    assert log_odds(np.array([0.5, 0.8])) == pytest.approx([0, np.log(4)])
    assert log_odds(np.array([0.0, 1.0])) == pytest.approx([np.log(LEAST_P), -np.log(LEAST_P)], rel=1e-3)


def test_the_probability_of_a_movement_by_hand(verifier):
    """Log-odds of micro and nothing are +-(2 + 2 log m), the other six kinds are at about -12."""
    p = verifier.probabilities(of_motion(0.2, np.exp(-1), 1.0, 3.0))
    assert p[:, MICRO] == pytest.approx([chance(m) for m in (0.2, np.exp(-1), 1.0, 3.0)], abs=1e-4)
    assert p[1, [MICRO, KINDS.index("nothing")]] == pytest.approx([0.5, 0.5], abs=1e-4)
    assert p[2, KINDS.index("speech")] == pytest.approx(np.exp(-14), rel=0.1)


def test_probabilities_sum_to_1_whatever_is_measured(tmp_path):
    rng = np.random.default_rng(0)
    layers = [
        {"weights": rng.normal(0, 2, (a, b)).tolist(), "bias": rng.normal(0, 2, b).tolist()}
        for a, b in ((N_FEATURES, 12), (12, N_KINDS))
    ]
    verifier = made_up_verifier(tmp_path, layers=layers, calibration=[-0.7, 0.5])
    for scale in (0.1, 1, 1e6):
        p = verifier.probabilities(rng.normal(0, scale, (200, N_FEATURES)))
        assert p.shape == (200, N_KINDS) and (p >= 0).all()
        np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)
    assert verifier.probabilities(np.zeros((0, N_FEATURES))).shape == (0, N_KINDS)


def test_the_kinds_keep_their_shares_when_micro_is_calibrated(tmp_path):
    layers = [{"weights": np.zeros((N_FEATURES, N_KINDS)).tolist(), "bias": np.log(np.arange(1, 9)).tolist()}]
    p = made_up_verifier(tmp_path, layers=layers, calibration=[1.0, 1.0]).probabilities(np.zeros((1, N_FEATURES)))[0]
    assert p[MICRO] == pytest.approx(1 / (1 + 35 * np.exp(-1)))  # 1 of 36 before: odds 1 / 35
    np.testing.assert_allclose(p[1:] / p[1:].sum(), np.arange(2, 9) / 35)


def test_features_are_standardised_and_limited_and_hidden_layers_are_rectified(tmp_path):
    """One feature x, mean 2, scale 0.5: h = max(0, (x - 2) / 0.5). Log-odds of micro against each other kind: h - 1."""
    hidden, out = dense(N_FEATURES, 1), dense(1, N_KINDS)
    hidden["weights"][MOTION][0], out["weights"][0][MICRO], out["bias"][MICRO] = 1.0, 1.0, -1.0
    mean, scale = [0.0] * N_FEATURES, [1.0] * N_FEATURES
    mean[MOTION], scale[MOTION] = 2.0, 0.5
    verifier = made_up_verifier(tmp_path, layers=[hidden, out], mean=mean, scale=scale)
    features = np.zeros((4, N_FEATURES))
    features[:, MOTION] = 0.0, 2.0, 3.0, 100.0
    expected = [np.exp(h - 1) / (np.exp(h - 1) + 7) for h in (0, 0, 2, CLIPPED)]
    assert verifier.probabilities(features)[:, MICRO] == pytest.approx(expected)


# Thresholds and intervals


@pytest.mark.parametrize(
    ("per_minute", "expected"),
    [
        (0.01, (0.9, 0.1, 0.3)),  # the highest threshold there is
        (0.2, (0.9, 0.1, 0.3)),
        (0.99, (0.9, 0.1, 0.3)),
        (1.0, (0.5, 0.6, 1.5)),
        (5.9, (0.5, 0.6, 1.5)),
        (60.0, (0.1, 4.0, 9.0)),
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
    rng = np.random.default_rng(0)
    layers = [
        {"weights": rng.normal(size=(a, b)).tolist(), "bias": rng.normal(size=b).tolist()}
        for a, b in ((N_FEATURES, 5), (5, 4), (4, N_KINDS))
    ]
    path = write_verifier(tmp_path, layers=layers)
    verifier = load_verifier(tmp_path, CLASSES)
    assert [w.shape for w, _ in verifier.layers] == [(N_FEATURES, 5), (5, 4), (4, N_KINDS)]
    assert verifier.layers[1][0].tolist() == layers[1]["weights"] and verifier.classes == CLASSES
    first = verifier.file_hash
    path.write_text(path.read_text() + " ")
    assert load_verifier(tmp_path, None).file_hash != first  # another file, so that results are made again


def changed(**changes):
    return lambda content: json.dumps(content | changes)


def nested(name: str, value: float, *place: int):
    """The content with one number of an array replaced."""

    def change(content: dict) -> str:
        content = copy.deepcopy(content)
        array = content[name] if name != "layers" else content["layers"][0]["weights"]
        for i in place[:-1]:
            array = array[i]
        array[place[-1]] = value
        return json.dumps(content)

    return change


def without(name: str):
    return lambda content: json.dumps({key: value for key, value in content.items() if key != name})


NOT_OURS = {
    "cut off": (lambda content: json.dumps(content)[:-100], "is damaged"),
    "empty": (lambda content: "", "is damaged"),
    "not JSON": (lambda content: "p_micro = 3", "is damaged"),
    "a list": (lambda content: "[1, 2]", "is damaged"),
    "a number": (lambda content: "3", "is damaged"),
    "nothing": (lambda content: "null", "is damaged"),
    "other version": (changed(version=2), "another version"),
    "version in words": (changed(version="1"), "another version"),
    "other features": (changed(features=list(FEATURES[:-1])), "another version"),
    "features in another order": (changed(features=list(FEATURES[::-1])), "another version"),
    "other kinds": (changed(kinds=["micro", "macro"]), "has the kinds"),
    "kinds in another order": (changed(kinds=list(KINDS[::-1])), "has the kinds"),
    "no kinds": (changed(kinds=None), "has the kinds None"),
    "other classes": (changed(classes=["disgust", "happiness"]), "is for the classes disgust, happiness"),
    "classes in another order": (changed(classes=list(CLASSES[::-1])), "is for the classes"),
    "classes a number": (changed(classes=3), "is damaged"),
    "NaN": (nested("layers", float("nan"), MOTION, 0), "not finite"),
    "infinity": (nested("mean", float("inf"), 3), "not finite"),
    "a huge number": (nested("scale", 10**400, 3), "is damaged"),
    "a word": (nested("scale", "one", 3), "is damaged"),
    "null": (nested("scale", None, 3), "is damaged"),
    "scale 0": (nested("scale", 0.0, 3), "scale that is not positive"),
    "scale below 0": (nested("scale", -1.0, 3), "scale that is not positive"),
    "mean too short": (changed(mean=[0.0] * (N_FEATURES - 1)), "shape"),
    "scale too long": (changed(scale=[1.0] * (N_FEATURES + 1)), "shape"),
    "rows of several lengths": (nested("layers", [0.0], 2), "is damaged"),
    "no layers": (changed(layers=[]), "layers that do not end in the kinds"),
    "layers a word": (changed(layers="none"), "is damaged"),
    "layers that do not chain": (changed(layers=[dense(N_FEATURES, 5), dense(4, N_KINDS)]), "do not fit one another"),
    "first layer too narrow": (changed(layers=[dense(N_FEATURES - 1, N_KINDS)]), "do not fit one another"),
    "last layer too narrow": (changed(layers=[dense(N_FEATURES, N_KINDS - 1)]), "do not end in the kinds"),
    "bias too long": (changed(layers=[{**dense(N_FEATURES, N_KINDS), "bias": [0.0] * 9}]), "do not fit one another"),
    "calibration that falls": (changed(calibration=[0.0, -1.0]), "does not rise"),
    "calibration of three": (changed(calibration=[0.0, 1.0, 2.0]), "shape"),
    "borders of three": (changed(borders=[[0.0, 1.0, 0.0]] * 2), "shape"),
    "no false alarms": (changed(false_alarms=[]), "shape"),
    "false alarms out of order": (changed(false_alarms=[[0.1, 6, 4, 9], [0.9, 0.2, 0.1, 0.3]]), "out of order"),
    **{f"without {name}": (without(name), name) for name in sorted(verifier_content())},
}


TOO_LARGE = pytest.mark.xfail(strict=True, raises=OverflowError, reason="verify._read does not catch OverflowError")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=TOO_LARGE) if name == "a huge number" else name for name in NOT_OURS]
)
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
