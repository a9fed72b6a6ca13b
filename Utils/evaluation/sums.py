"""What each subject adds to the metrics: enough to compute them for any draw of subjects, without the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

COUNTS = ("tp", "fp", "fn")
MAX_CELLS = 5_000_000  # of all confusion matrices: 40 MB. 700 subjects and 7 emotions have 39,200
Pair = tuple[str, int, int | None]  # (subject, annotated class, predicted class); indices, None: not among the classes


class Ranking(NamedTuple):
    """The predictions in the order in which AP counts them.

    `owners`, (predictions,) int: the subject of each. `at`, (hits,) int: the places of those that are hits at some
    threshold. `hits`, (hits, thresholds) bool: at which thresholds they are.
    """

    owners: np.ndarray
    at: np.ndarray
    hits: np.ndarray


@dataclass(frozen=True)
class SubjectSums:
    """What each of S subjects adds to the metrics. All of it is summed over the subjects that are drawn.

    Attributes
    ----------
    protocol : {"paper", "upstream"}
    subjects : tuple of str
    counts : ndarray, (S, 3)
        TP, FP and FN.
    rankings : mapping of str to Ranking
        "ap", and "ap_greedy" under the upstream protocol.
    terms : mapping of str to ndarray, (S, 2)
        "asr" and "mae" -> the sum and the number of the values that are averaged.
    confusions : mapping of str to ndarray, (S, C, C + 1)
        "analysis" and "recognition" -> numbers of pairs, by annotated and by predicted class. The last column is for
        predictions of none of the C classes.
    without : mapping of str to str
        A key of `confusions` that is not there -> why it cannot be split into subjects.
    """

    protocol: str
    subjects: tuple[str, ...]
    counts: np.ndarray
    rankings: Mapping[str, Ranking] = field(default_factory=dict)
    terms: Mapping[str, np.ndarray] = field(default_factory=dict)
    confusions: Mapping[str, np.ndarray] = field(default_factory=dict)
    without: Mapping[str, str] = field(default_factory=dict)

    def of(self, subjects: Sequence[str]) -> SubjectSums:
        """The same for these subjects, in this order. Those that are not among its own add nothing.

        All of its own must be among them.
        """
        place = {subject: i for i, subject in enumerate(subjects)}
        own = [place[subject] for subject in self.subjects]

        def moved(values: np.ndarray) -> np.ndarray:
            """`values` with the subjects at their new places."""
            found = np.zeros((len(subjects), *values.shape[1:]))
            found[own] = values
            return found

        rankings = {name: r._replace(owners=np.array(own, int)[r.owners]) for name, r in self.rankings.items()}
        terms, confusions = ({k: moved(v) for k, v in of.items()} for of in (self.terms, self.confusions))
        return SubjectSums(
            self.protocol, tuple(subjects), moved(self.counts), rankings, terms, confusions, self.without
        )


def sums_of(
    protocol: str,
    counts: Sequence[Mapping],
    rankings: Mapping[str, tuple[Sequence[str], np.ndarray]],
    terms: Mapping[str, Sequence[tuple[str, float]]],
    pairs: Mapping[str, Sequence[Pair]],
    without: Mapping[str, str] = {},
    *,
    n_classes: int,
) -> SubjectSums:
    """The sums of each subject.

    Parameters
    ----------
    protocol : {"paper", "upstream"}
    counts : sequence of mapping
        "subject", "tp", "fp" and "fn" of each video. They decide which subjects there are, and their order.
    rankings : mapping
        Name -> subject of each prediction in the order of AP, and whether it is a hit, (predictions, thresholds) bool.
    terms : mapping
        "asr" and "mae" -> (subject, value) of each value that is averaged.
    pairs : mapping
        "analysis" and "recognition" -> the pairs.
    without : mapping
        See `SubjectSums`.
    n_classes : int
    """
    subjects = list(dict.fromkeys(row["subject"] for row in counts))
    place = {subject: i for i, subject in enumerate(subjects)}
    table = np.zeros((len(subjects), len(COUNTS)))
    for row in counts:
        table[place[row["subject"]]] += [row[key] for key in COUNTS]
    averaged = {name: np.zeros((len(subjects), 2)) for name in terms}
    for name, of_name in terms.items():
        for subject, value in of_name:
            averaged[name][place[subject]] += (value, 1)
    if len(subjects) * n_classes * (n_classes + 1) > MAX_CELLS:
        pairs, without = {}, dict.fromkeys(pairs, "there are too many subjects and emotions") | without
    confusions = {name: np.zeros((len(subjects), n_classes, n_classes + 1)) for name in pairs}
    for name, of_name in pairs.items():
        for subject, label, guess in of_name:
            confusions[name][place[subject], label, n_classes if guess is None else guess] += 1
    ranked = {}
    for name, (owners, hits) in rankings.items():
        at = np.flatnonzero(hits.any(axis=1))
        ranked[name] = Ranking(np.array([place[owner] for owner in owners], int), at, hits[at])
    return SubjectSums(protocol, tuple(subjects), table, ranked, averaged, confusions, without)


def pooled_sums(parts: Sequence[SubjectSums]) -> SubjectSums:
    """The sums of two kinds of expressions together. They have no common ranking, and no common first expression."""
    subjects = list(dict.fromkeys(subject for part in parts for subject in part.subjects))
    aligned = [part.of(subjects) for part in parts]
    without = {name: why for part in parts for name, why in part.without.items() if name == "analysis"}
    confusions = {} if without else {"analysis": sum(part.confusions["analysis"] for part in aligned)}
    counts = sum(part.counts for part in aligned)
    return SubjectSums(parts[0].protocol, tuple(subjects), counts, confusions=confusions, without=without)
