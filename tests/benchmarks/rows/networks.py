"""Training of a fold, and the prediction of fourteen networks."""

from __future__ import annotations

import itertools
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.benchmarks.rows.side import EARLIER, Side, SideFailed, earlier_side
from tests.benchmarks.table import NotMeasured, Row, ratio_row
from tests.benchmarks.timing import EPOCHS, Sizes
from Utils.settings import PROJECT

PUBLISHED_GOAL, EARLIER_GOAL, PREDICTION_GOAL, DIFFERENCE_GOAL = 8, 2.5, 5, 1e-6
NETWORKS = 14
WEIGHTS = PROJECT / "MEAN_Weights" / "DEMO" / "spot_recog"


@dataclass(frozen=True)
class FoldTimes:
    """Median seconds in which a fold is trained, by each side. `lacking`: why there is no earlier side."""

    published: float
    ours: float
    earlier: float | None
    lacking: str = ""


def fold_times(sizes: Sizes) -> FoldTimes:
    """Train a fold in all three ways, in turns. Every process has trained one before, so nothing is compiled."""
    lacking = ""
    with ExitStack() as stack:
        sides = {name: stack.enter_context(Side(name)) for name in ("published", "ours")}
        try:
            earlier = stack.enter_context(earlier_side())
            earlier.ask("train", sizes.samples, 1)
            sides["earlier"] = earlier
        except (NotMeasured, SideFailed) as error:
            lacking = str(error)
        for name in ("published", "ours"):
            sides[name].ask("train", sizes.samples, 1)
        times = [{name: whole_fold(side, sizes) for name, side in sides.items()} for _ in range(sizes.rounds)]
    median = {name: float(np.median([of_round[name] for of_round in times])) for name in sides}
    return FoldTimes(median["published"], median["ours"], median.get("earlier"), lacking)


def whole_fold(side: Side, sizes: Sizes) -> float:
    """Seconds of a fold with all epochs, extrapolated if fewer are measured."""
    if sizes.epochs == EPOCHS:
        return side.ask("train", sizes.samples, EPOCHS)
    one, more = (side.ask("train", sizes.samples, epochs) for epochs in (1, sizes.epochs))
    return one + (more - one) * (EPOCHS - 1) / (sizes.epochs - 1)


def training_rows(times: FoldTimes, sizes: Sizes) -> list[Row]:
    what = f"training, fold of {sizes.samples:,} samples, {EPOCHS} + {10 * EPOCHS} epochs"
    remark = ""
    if sizes.epochs != EPOCHS:
        remark = f"extrapolated from 1 + 10 and {sizes.epochs} + {10 * sizes.epochs} epochs"
    return [
        ratio_row(f"{what}, published way", times.published, times.ours, PUBLISHED_GOAL, remark),
        ratio_row(f"{what}, commit {EARLIER}", times.earlier, times.ours, EARLIER_GOAL, times.lacking or remark),
    ]


def prediction_rows(features: np.ndarray, sizes: Sizes) -> list[Row]:
    """The prediction of all networks. `features` are those of a video, (n, 42, 42, 3) float32."""
    what = f"prediction, {NETWORKS} networks over {sizes.features:,} features"
    theirs = ours = difference = None
    remark = "joint networks with 3 classes, those of DEMO, on one thread; features of a video of DEMO, repeated"
    try:
        theirs, ours, difference = prediction_times(np.resize(features, (sizes.features, *features.shape[1:])), sizes)
    except NotMeasured as reason:
        remark = str(reason)
    return [
        ratio_row(f"{what}, commit {EARLIER}", theirs, ours, PREDICTION_GOAL, remark),
        Row(f"{what}, largest difference", difference, DIFFERENCE_GOAL, unit="", at_most=True),
    ]


def prediction_times(features: np.ndarray, sizes: Sizes) -> tuple[float, float, float]:
    """Median seconds of the earlier commit and of ours, and the largest difference of their outputs."""
    files = list(itertools.islice(itertools.cycle(map(str, sorted(WEIGHTS.glob("*.h5")))), NETWORKS))
    with Side("ours") as ours, earlier_side() as earlier, tempfile.TemporaryDirectory() as folder:
        sides = {"earlier": earlier, "ours": ours}
        given = Path(folder) / "features.npy"
        np.save(given, features)

        def predict(name: str) -> float:
            return sides[name].ask("predict", files, str(given), str(Path(folder) / f"{name}.npy"))

        try:
            predict("earlier")
        except SideFailed as error:
            raise NotMeasured(f"commit {EARLIER}: {error}") from None
        predict("ours")
        times = [(predict("earlier"), predict("ours")) for _ in range(sizes.rounds)]
        outputs = [np.load(Path(folder) / f"{name}.npy") for name in sides]
    return *map(float, np.median(times, axis=0)), float(np.abs(outputs[0] - outputs[1]).max())
