"""Setting up Keras: quiet, one thread, the same result every time."""

from __future__ import annotations

import ctypes
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's C++ messages; read when TensorFlow loads
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # one arithmetic on every processor


def seed_keras(seed: int) -> None:
    """Seed everything that Keras draws from.

    On TensorFlow one thread is used: the networks are too small to gain from more, folds run side by side instead, and
    sums are then always taken in the same order.
    """
    _share_arenas()
    import keras

    if keras.backend.backend() == "tensorflow":
        _single_thread()
    keras.utils.set_random_seed(seed)


M_ARENA_MAX = -8  # of glibc's <malloc.h>


def _share_arenas() -> None:
    """Have the threads of the C library's allocator, where it is glibc's, share two arenas.

    Else each of TensorFlow's threads keeps what it has freed, and a process grows with every fold that it trains.
    """
    with suppress(OSError, AttributeError, TypeError):  # TypeError: Windows has no CDLL(None)
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 2)


def compiles(steps: int) -> bool:
    """Whether training is compiled by XLA: a step is a third quicker then, and compiling costs what 400 steps save.

    Not on PyTorch, which has another compiler.
    """
    import keras

    return keras.backend.backend() != "torch" and steps > 400


def _single_thread() -> None:
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    try:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        pass  # already running in this process, with the number set the first time


CHATTER = re.compile(
    rb"WARNING: All log messages before absl|[IW]\d{4} (\d\d:\d\d|\d{10}\.)|WARNING:tensorflow:\d+ out of"
)


@contextmanager
def without_chatter() -> Iterator[None]:
    """Hold back what TensorFlow's C++ libraries log to the standard error stream; all other lines are passed on after.

    They write to the file descriptor itself and some of them heed no setting, so that is where it is done.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        stream = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stream, 2)
            os.close(stream)
            held.seek(0)
            os.write(2, b"".join(line for line in held if not CHATTER.match(line)))
