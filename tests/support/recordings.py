"""Recorded runs of the authors' published code on synthetic data (tests/recorded)."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from tests.support.paths import RECORDED
from training_utils import find_expression_peaks, majority_class, smooth_scores
from Utils.evaluation.evaluate import evaluate
from Utils.evaluation.upstream import UpstreamVideo


class Recording:
    """A recorded run of the published code and the tables that our spotting makes of its scores."""

    def __init__(self, name: str):
        case = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
        self.name, self.k_prime, self.classes = name, case["k_prime"], case["classes"]
        self.records, self.expected = case["videos"], case["expected"]
        self.one_per_video = case["one_per_video"]
        self.scores = dict(np.load(RECORDED / f"{name}_scores.npz"))
        self.videos = [UpstreamVideo(r["subject"], r["video"], r["n_features"]) for r in self.records]
        self.predictions = pd.DataFrame([self._prediction(r, peak) for r in self.records for peak in self.peaks(r)])
        self.ground_truth = pd.DataFrame(
            [
                (r["subject"], r["video"], onset, apex, offset, emotion)
                for r in self.records
                for onset, apex, offset, emotion in r["annotated"]
            ],
            columns=["subject", "video", "onset", "apex", "offset", "emotion"],
        )

    def smoothed(self, record) -> np.ndarray:
        return smooth_scores(self.scores[f"{record['scores']}_raw"], self.k_prime)

    def peaks(self, record) -> list[int]:
        return find_expression_peaks(self.smoothed(record), self.k_prime, 0.55, self.one_per_video).tolist()

    def _prediction(self, record, peak: int) -> dict:
        """A row. Its emotion comes from the joint network's softmax; a fold without recognition has none."""
        row = {"subject": record["subject"], "video": record["video"], "apex": peak, "emotion": None}
        row |= {"onset": peak - self.k_prime, "offset": peak + self.k_prime, "score": self.smoothed(record)[peak]}
        softmax = self.scores.get(f"{record['scores'].split('_')[0]}_softmax")
        if softmax is not None:
            of_subject = [r for r in self.records if r["subject"] == record["subject"]]
            start = sum(r["n_features"] for r in of_subject[: of_subject.index(record)])
            of_video = softmax[start : start + record["n_features"]]
            row["emotion"] = self.classes[majority_class(of_video, peak, self.k_prime)[0]]
        return row

    def evaluate(self, **changes) -> dict:
        arguments = {"one_per_video": self.one_per_video, "videos": self.videos, "k_prime": self.k_prime}
        arguments |= {"protocol": "upstream"} | changes
        return evaluate(self.predictions, self.ground_truth, self.classes, **arguments)
