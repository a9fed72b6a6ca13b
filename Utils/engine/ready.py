"""Makes the compiled functions ready before they are needed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba.core import event

from Utils.engine import cached
from Utils.engine.layout import SIDE
from Utils.engine.parameters import RECOG, SPOT, initial_weights
from Utils.engine.prediction import predict
from Utils.engine.training import train
from Utils.work.compiling import Announcement

ENGINE_VERSION = "1"  # part of the keys of results: raise it when a result changes by more than rounding
COMPILING = "compiling the networks for this processor (once, about 10 s)..."


def compile_engine(say: Callable[[str], object] = print, training: bool = True) -> None:
    """Load the compiled functions from Numba's cache on disk, or compile them and report that in one line.

    Call this before worker processes are started. Otherwise each of them compiles. The cache is where that of the
    optical flow is. The functions are compiled again when a file of this package, Numba or the kind of processor
    changes.

    Parameters
    ----------
    say : callable
        Called with the one line, `COMPILING`, if anything is compiled.
    training : bool
        Whether networks are to be trained, too.
    """
    weights = initial_weights([("spot", 1), ("recog", 1)], np.random.default_rng(0))
    blank = np.zeros((1, SIDE, SIDE, 3), np.float32)
    with event.install_listener("numba:compile", Announcement(say, COMPILING, (cached.learn, cached.outputs))):
        predict([weights], blank, [SPOT])
        predict([weights], blank, [SPOT, RECOG])
        if training:
            train(
                weights, SPOT, blank, np.zeros((1, 1), np.float32), learning_rate=0, batch_size=1, epochs=1, seed=0
            )  # fmt: skip
            train(
                weights, RECOG, blank, np.zeros((1, 1), np.float32), learning_rate=0, batch_size=1, epochs=1, seed=0,
                frozen=True,
            )  # fmt: skip
