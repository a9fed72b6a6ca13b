"""Sets up Keras: no log messages, one thread, the same result every time."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress

# TensorFlow reads these when it is loaded
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # only fatal errors of its C++ code are logged
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # oneDNN's arithmetic depends on the processor

M_ARENA_MAX = -8  # number of the option in glibc's <malloc.h>
ARENAS = 2  # that all threads share: see `_share_arenas`


def seed_keras(seed: int) -> None:
    """Seed every random generator that Keras uses.

    TensorFlow is set to one thread. The networks are too small to gain from more, and folds run side by side instead.
    With one thread, sums are always taken in the same order.
    """
    _share_arenas()
    import keras

    if keras.backend.backend() == "tensorflow":
        _single_thread()
    keras.utils.set_random_seed(seed)


def _share_arenas() -> None:
    """If the C library is glibc, make all threads share two arenas (areas from which memory is allocated).

    Otherwise each of TensorFlow's threads keeps the memory that it has freed, and the process grows with every fold
    that it trains.
    """
    with suppress(OSError, AttributeError, TypeError):  # not glibc; TypeError: Windows has no CDLL(None)
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)


def _single_thread() -> None:
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    try:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        pass  # TensorFlow already runs in this process, with the numbers that were set first
