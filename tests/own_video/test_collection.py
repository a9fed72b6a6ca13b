"""What a command says of its videos: on the screen and in the index of all of them."""

from __future__ import annotations

import re

import pytest

from Utils.own_video.collection import VideoOutcome, speed, write_collection


@pytest.mark.parametrize(
    ("seconds", "took", "words"),
    [
        (30, 10, "3.0x faster than real time"),
        (10, 10, "1.0x faster than real time"),
        (10, 15, "1.5x slower than real time"),
        (0, 1, "10.0x slower than real time"),
        (10, 0, "at once"),
    ],
)
def test_speed_in_words(seconds, took, words):
    assert speed(seconds, took) == words


def test_the_index_counts_what_was_set_aside_for_each_minute(tmp_path):
    """Of the minutes that were scored: here one and a half of two."""
    columns = "onset,apex,offset,face,onset_s,offset_s,score,confidence,emotion\n"
    (tmp_path / "a").mkdir()
    (tmp_path / "a/expressions.csv").write_text(columns)
    found = dict(n_expressions=3, n_frames=3600, n_faces=1, seconds=120.0, seconds_scored=90.0)
    outcome = VideoOutcome("a", "s", tmp_path / "a", set_aside={"macro": 6, "blink": 1}, **found)
    write_collection([outcome], "", tmp_path)
    page = (tmp_path / "index.html").read_text()
    assert "<td>macro 6 (4.0 a minute), blink 1 (0.7 a minute)</td>" in page
    assert re.search(r"<td[^>]*>2\.0</td>", page)
