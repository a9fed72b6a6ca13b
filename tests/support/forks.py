"""Runs in processes of their own that start at once: they are forked from a process that has loaded everything.

To start Python and to load the libraries takes longer than most of these runs. They are killed and exit like any other
process, and their files are real ones.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.util
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

import numpy as np
import pytest

from tests.support.paths import PROJECT, TESTS

LOAD = "MEAN_TEST_LOADS_ALL"  # set in the environment of the process that forks the runs


@cache
def forks() -> ForkServerContext:
    """The context of the process that forks the runs. There is one for all tests of this process."""
    with pytest.MonkeyPatch.context() as patch:  # its socket is not in the tests' folder, which is removed before it
        patch.delenv("TMPDIR", raising=False)
        patch.setattr(tempfile, "tempdir", None)
        multiprocessing.util.get_temp_dir()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with pytest.MonkeyPatch.context() as environment:
        paths = os.pathsep.join([str(PROJECT), str(TESTS)])
        environment.setenv("PYTHONPATH", paths, prepend=os.pathsep)
        environment.setenv(LOAD, "1")
        context.Process(target=int).start()
    return context


def start_main(folder: Path, flags: Sequence[str], errors: Path) -> ForkServerProcess:
    """`main.py flags` in a folder, as from a terminal. The file `errors` gets its error stream."""
    process = forks().Process(target=run_main, args=(folder, flags, errors))
    process.start()
    return process


def run_main(folder: Path, flags: Sequence[str], errors: Path) -> None:
    """In a forked process. A shell that starts the tests in the background has their processes ignore Ctrl-C."""
    import main

    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT), 2)
    sys.exit(main.main(list(flags)))


def load_all() -> None:
    """Load what runs load when they need it: models, compiled functions, and the modules of a whole run."""
    import feature_extraction
    import Utils.dataset_run.data
    from tests.support import faults
    from tests.support.quicker import planned_once
    from Utils.engine import compile_engine
    from Utils.faces.landmarks import detect_faces, predict_landmarks
    from Utils.tvl1 import compile_kernel

    feature_extraction._landmark_model_hash()
    predict_landmarks(np.zeros((128, 128), np.uint8))
    detect_faces(np.zeros((128, 128, 3), np.uint8))
    compile_kernel(lambda text: None)
    compile_engine(lambda text: None)
    Utils.dataset_run.data.make_demo = planned_once(Utils.dataset_run.data.make_demo)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        faults.make_dataset(Path(folder))
        faults.stand_in(patch)
        patch.chdir(folder)
        faults.command(*faults.RUN)


if os.environ.pop(LOAD, None):
    load_all()
