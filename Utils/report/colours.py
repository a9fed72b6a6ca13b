"""What figures and pages share: their colours, and values without infinities. Nothing that draws is loaded here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from Utils.records import OTHERS

# Colours of Okabe and Ito, which colour-blind readers can distinguish. Yellow is left out: it is too faint on white.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
GREY = "#8C8C8C"  # for "others", for an emotion that is not a class, and for none


def emotion_colours(classes: Sequence[str]) -> dict[str, str]:
    """Class -> its colour, "#rrggbb". Colours go by position, but "others" is always grey and takes no position."""
    named = [name for name in classes if name != OTHERS]
    colours = {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(named)}
    return colours | ({OTHERS: GREY} if OTHERS in classes else {})


def finite(values: Sequence[float]) -> np.ndarray:
    """The values as float64. Infinite ones become NaN, which is a gap in a curve."""
    values = np.asarray(values, np.float64)
    return np.where(np.isfinite(values), values, np.nan)
