"""A tiny study with rendered faces, trained once for all tests of this room."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.shared import made_once
from tests.support.studies import TRAIN, Done, command, write_study


class TrainedStudy(NamedTuple):
    """A folder in which the study was trained: `study`, `cache`, `runs` and `weights`; and what was printed."""

    folder: Path
    done: Done


@pytest.fixture(scope="session")
def trained_study(tmp_path_factory) -> TrainedStudy:
    """Read only."""

    def make(folder: Path) -> None:
        write_study(folder / "study")
        done = command(folder, *TRAIN, "--weights_dir", "weights")
        (folder / "done.json").write_text(json.dumps(done))

    folder = made_once(tmp_path_factory, "trained_study", make)
    return TrainedStudy(folder, Done(*json.loads((folder / "done.json").read_text())))


@pytest.fixture
def again(trained_study, tmp_path) -> Path:
    """A copy of that folder, without its runs."""
    for part in ("study", "cache", "weights"):
        shutil.copytree(trained_study.folder / part, tmp_path / part, copy_function=shutil.copy2)
    assert os.listdir(tmp_path)
    return tmp_path
