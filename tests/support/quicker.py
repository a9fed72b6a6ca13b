"""What makes the tests quicker and changes no result."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import Utils.dataset_run.data
import Utils.dataset_run.folder
import Utils.own_video.command
from tests.support.paths import PROJECT
from Utils.synthetic import dataset
from Utils.work.parallel import Workers

KEPT_FLOWS = 1500  # of 131 KB
MEMORY = Path("/dev/shm")  # where Linux has files that are in memory
FILES_OF_TESTS, LEFT_FREE = 4, 4  # GB; all files of the tests together have 1.5 GB


def remembered(flow: Callable, limit: int = KEPT_FLOWS) -> Callable:
    """A flow function that computes each pair only once. The flow depends on nothing but the pair (test_tvl1.py)."""
    kept: OrderedDict[bytes, np.ndarray] = OrderedDict()
    lock = threading.Lock()

    def look_up(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        key = hashlib.sha256(repr((first.shape, first.dtype, second.shape, second.dtype)).encode())
        key.update(np.ascontiguousarray(first))
        key.update(np.ascontiguousarray(second))
        with lock:
            found = kept.pop(key.digest(), None)
        if found is None:
            found = flow(first, second)
        with lock:
            kept[key.digest()] = found  # those that were used last are kept longest
            if len(kept) > limit:
                kept.popitem(last=False)
        return found.copy()

    return look_up


def looked_at_once(detector_of: Callable) -> Callable:
    """`landmarks._detector` with a detector that looks at each image only once, as it depends on nothing but the image.

    An image whose rows have gaps between them is looked at each time: its bytes alone do not say how dlib reads it.
    """
    kept: dict[bytes, object] = {}

    def detector() -> Callable:
        def faces_in(image: np.ndarray, upsampled: int):
            if not image.flags.c_contiguous:
                return detector_of()(image, upsampled)
            key = hashlib.sha256(repr((image.shape, image.dtype, upsampled)).encode())
            key.update(image)
            if key.digest() not in kept:
                kept[key.digest()] = detector_of()(image, upsampled)
            return kept[key.digest()]

        return faces_in

    return detector


def planned_once(make_demo: Callable) -> Callable:
    """`make_demo` with plans of DEMO that are made only once. They depend on nothing (test_synthetic.py)."""
    plans = {name: cache(getattr(dataset, name)) for name in ("plan", "plan_demo")}

    def make(root: Path, workers: Workers | int) -> None:
        with pytest.MonkeyPatch.context() as patch:
            for name, plan in plans.items():
                patch.setattr(dataset, name, plan)
            make_demo(root, workers)

    return make


def compile_once() -> None:
    """In a fresh checkout, compile the flow and the networks side by side. Otherwise each worker compiles both."""
    functions = {"tvl1": "compile_kernel", "engine": "compile_engine", "softnet.compiled": "compile_network"}
    if all(any((PROJECT / "Utils" / module.split(".")[0] / "__pycache__").glob("*.nbi")) for module in functions):
        return
    commands = [f"from Utils.{module} import {name}; {name}(str)" for module, name in functions.items()]
    for process in [subprocess.Popen([sys.executable, "-c", command], cwd=PROJECT) for command in commands]:
        process.wait()


def folder_in_memory() -> Path | None:
    """A new folder for the tests' files: to write and remove them takes a third of some tests' time on a disk.

    None if this machine has no such folder or too little memory.
    """
    try:
        available = int(re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())[1]) / 1e6
        if shutil.disk_usage(MEMORY).free / 1e9 < FILES_OF_TESTS or available < FILES_OF_TESTS + LEFT_FREE:
            return None
        folder = Path(tempfile.mkdtemp(prefix="mean-tests-", dir=MEMORY))
    except (OSError, TypeError):
        return None
    folder.chmod(0o1777)  # as the usual folder for temporary files: some tests are another user
    return folder


def without_rendering(patch: pytest.MonkeyPatch) -> None:
    """Figures are drawn and their files are empty: to render one takes a quarter of a second."""
    patch.setattr(Figure, "savefig", lambda self, path, **_: Path(path).touch())


def tables_only(patch: pytest.MonkeyPatch) -> None:
    """Runs on datasets draw no figures, and their report is an empty file: to make them takes a second."""
    patch.setattr(Utils.dataset_run.folder, "_draw_figures", lambda folder, *_: folder.mkdir())
    patch.setattr(Utils.dataset_run.folder, "plot_losses", lambda path, *_: path.touch())
    patch.setattr(Utils.dataset_run.folder, "write_report", lambda path, *_, **__: path.touch())


def without_kernel(patch: pytest.MonkeyPatch) -> None:
    """The flow is not compiled before it is needed."""
    for module in (Utils.dataset_run.data, Utils.own_video.command):
        patch.setattr(module, "prepare_flow", lambda name: None)
