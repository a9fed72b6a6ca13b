"""Both protocols, compared on any tables with a second count, which was written from the method, not the code."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import recount
from Utils.evaluation.evaluate import evaluate

CLASSES = ("negative", "positive", "surprise")
VIDEOS = [("s2", "a"), ("s2", "b"), ("s10", "a")]
K_PRIME = 4
COLUMNS = ["subject", "video", "onset", "apex", "offset", "emotion", "score"]

whole = st.integers(0, 24)
emotions = st.sampled_from((*CLASSES, "others"))
annotations = st.tuples(st.sampled_from(VIDEOS), whole, st.integers(0, 9), st.integers(0, 9), emotions)
guesses = st.tuples(
    st.sampled_from(VIDEOS), whole, st.sampled_from((*CLASSES, "")), st.integers(0, 4).map(lambda n: n / 4)
)


@st.composite
def tables(draw) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions [peak - k', peak + k'], and annotations with an apex somewhere in them, of three videos."""
    truth = [
        (*v, on, on + min(apex, n), on + n, e, None) for v, on, apex, n, e in draw(st.lists(annotations, min_size=1))
    ]
    peaks = draw(st.lists(guesses, max_size=12, unique_by=lambda g: g[:2]))
    predicted = [(*v, peak - K_PRIME, peak, peak + K_PRIME, emotion, score) for v, peak, emotion, score in peaks]
    return pd.DataFrame(predicted, columns=COLUMNS), pd.DataFrame(truth, columns=COLUMNS).drop(columns="score")


def assert_same(found: dict, counted: dict) -> None:
    for part in ("spotting", "analysis", "recognition"):
        if counted[part] is None:
            assert found[part] is None
        else:
            assert found[part] == pytest.approx(counted[part], abs=1e-6), part
    assert found["strs"] == pytest.approx(counted["strs"])


@settings(max_examples=150, deadline=None)
@given(tables(), st.booleans())
def test_the_paper_protocol(both, one_per_video):
    predictions, truth = both
    found = evaluate(predictions, truth, CLASSES, one_per_video=one_per_video)
    assert_same(found, recount.paper(predictions, truth, CLASSES, one_per_video))


@settings(max_examples=150, deadline=None)
@given(tables(), st.booleans(), st.sets(st.sampled_from(["s2", "s10"])))
def test_the_upstream_protocol(both, one_per_video, with_recognition):
    predictions, truth = both
    silent = {s for s, rows in predictions.groupby("subject") if (rows["emotion"] == "").all()}
    n_features = dict.fromkeys(VIDEOS, 22)
    found = evaluate(
        predictions, truth, CLASSES, one_per_video=one_per_video, protocol="upstream", k_prime=K_PRIME,
        videos=[(*video, n) for video, n in n_features.items()], recognition_subjects=with_recognition,
    )  # fmt: skip
    counted = recount.upstream(
        predictions, truth, CLASSES, one_per_video, n_features, K_PRIME, with_recognition - silent
    )
    if one_per_video and found["recognition"]["evaluated"] is None:  # not as many predictions as samples
        assert counted["recognition"]["evaluated"] == 0
        counted["recognition"] = found["recognition"]
    assert_same(found, counted)
