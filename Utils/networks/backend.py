"""Sets up Keras: no log messages, one thread, the same result every time."""

from __future__ import annotations

import ctypes
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from Utils.work.progress import shown_on

# TensorFlow reads these when it is loaded
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # only fatal errors of its C++ code are logged
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # oneDNN's arithmetic depends on the processor

M_ARENA_MAX = -8  # number of the option in glibc's <malloc.h>
ARENAS = 2  # that all threads share: see `_share_arenas`

# Lines that TensorFlow's C++ libraries log and that users need not see
CHATTER = re.compile(
    rb"WARNING: All log messages before absl|[IW]\d{4} (\d\d:\d\d|\d{10}\.)|WARNING:tensorflow:\d+ out of"
)


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


@contextmanager
def without_chatter() -> Iterator[None]:
    """Drop what TensorFlow's libraries log to the standard error stream. Other lines are passed on at the end.

    Some of these libraries ignore every setting, and they write to the file descriptor directly. Therefore the file
    descriptor is redirected. Progress still appears at once.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        stream = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            if _is_standard_error(sys.stderr):
                screen = os.fdopen(os.dup(stream), "w", buffering=1, encoding="utf-8", errors="replace")
                with screen, shown_on(screen):
                    yield
            else:
                yield
        finally:
            sys.stderr.flush()
            os.dup2(stream, 2)
            os.close(stream)
            held.seek(0)
            os.write(2, b"".join(line for line in held if not CHATTER.match(line)))


def _is_standard_error(stream) -> bool:
    """Whether a Python stream writes to file descriptor 2. In tests it can be another one, or none."""
    try:
        return stream.fileno() == 2
    except (AttributeError, OSError):
        return False
