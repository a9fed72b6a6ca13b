"""The paper's rule, by which expressions are found in the scores, and what readers of a report should know of it."""

from __future__ import annotations

from dataclasses import dataclass

from Utils.settings import PAPER_RULE

FRAMES_FROM_0 = "Frames are 0-based (OpenFace counts from 1)."
SCORES_COMPARED = (  # where --absolute_threshold is given
    "--absolute_threshold is the same score for every video. This assumes that their scores can be compared, which "
    "holds at most for the same weights and for footage that is alike."
)


@dataclass(frozen=True)
class Spotting:
    """How expressions are found in the scores by the paper's rule."""

    p: float  # of the threshold, in [0, 1]
    absolute_threshold: float | None = None  # a score that an expression must reach in addition

    def about(self) -> dict:
        """The settings, as `settings.json` has them."""
        return {"rule": PAPER_RULE, "p": self.p, "absolute_threshold": self.absolute_threshold}

    def fingerprint(self) -> dict:
        """Everything that results depend on, for a key."""
        return self.about()

    def explained(self) -> list[str]:
        """What readers of a report should know."""
        if self.absolute_threshold is None:
            return [
                FRAMES_FROM_0,
                "The threshold is relative to each face's own scores, so that a video without any expression often "
                "gets some too; --absolute_threshold sets a score below which nothing counts.",
            ]
        return [
            FRAMES_FROM_0,
            f"The threshold is the higher one of two: T = mean + {self.p:g} (max - mean) of each face's own scores, "
            f"and {self.absolute_threshold:g}, the score of --absolute_threshold.",
            SCORES_COMPARED,
        ]
