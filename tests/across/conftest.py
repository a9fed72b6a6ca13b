"""What the tests of runs across datasets share: small datasets, and networks that were trained on two of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import main
import Utils.across.results
from tests.support.layouts_across import TEST, TRAIN, make_across
from tests.support.quicker import tables_only
from tests.support.shared import made_once

QUICK = ("--epochs_spot", "1", "--epochs_recog", "1", "--workers", "1")
AT_20 = ("--frame_base", "1", "--highest_fps", "20", "--workers", "1")
MEAN_RUN = ("--train_on", TRAIN, "--test_on", TEST, *AT_20, *QUICK[:4], "--weights_dir", "w")
NAME = "DEMO_every2+lab_upto20"  # of the networks that MEAN_RUN trains
SOFTNET_RUN = (
    "--train_on", "hall/hall.csv,lab/lab.csv", "--test_on", "test/samm@25", "--expression", "both",
    "--method", "SOFTNet", "--frame_base", "1", "--epochs_spot", "1", "--workers", "1",
)  # fmt: skip


def tables_across(patch: pytest.MonkeyPatch) -> None:
    """Runs draw no figures, and their reports are empty."""
    tables_only(patch)
    patch.setattr(Utils.across.results, "plot_losses", lambda path, *_: path.touch())


@pytest.fixture(scope="session")
def across(tmp_path_factory) -> Path:
    """The folder of `make_across`. Read only."""
    return made_once(tmp_path_factory, "across", make_across)


def trained_in(tmp_path_factory, across: Path, name: str, flags) -> Path:
    """A folder with the datasets, in which main.py was run with `flags`. Read only."""

    def make(folder: Path) -> None:
        shutil.copytree(across, folder, copy_function=os.link, dirs_exist_ok=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            tables_across(patch)
            assert main.main(list(flags)) == 0

    return made_once(tmp_path_factory, name, make)


@pytest.fixture(scope="session")
def mean_run(across, tmp_path_factory) -> Path:
    """MEAN, trained on DEMO and lab.csv and tested on SMIC_HS and hall.csv, all at most at 20 frames per second."""
    return trained_in(tmp_path_factory, across, "across_mean", MEAN_RUN)


@pytest.fixture(scope="session")
def softnet_run(across, tmp_path_factory) -> Path:
    """SOFTNet for both kinds of expressions, trained on hall.csv and lab.csv, used on one test set."""
    return trained_in(tmp_path_factory, across, "across_softnet", SOFTNET_RUN)


@pytest.fixture
def workplace(tmp_path, monkeypatch) -> Callable[[Path], Path]:
    """`workplace(folder)`: a copy of a folder, in which the next commands run. Its files are links."""

    def enter(folder: Path) -> Path:
        shutil.copytree(folder, tmp_path / "copy", copy_function=os.link)
        monkeypatch.chdir(tmp_path / "copy")
        tables_across(monkeypatch)
        return tmp_path / "copy"

    return enter
