"""What the tests of methods share: a tiny dataset with both kinds of expressions, and SOFTNet trained on it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import main
from tests.support.shared import made_once
from Utils.synthetic.clips import ClipSettings
from Utils.synthetic.dataset import generate

BOTH = ClipSettings(frames=100, size=(160, 120), n_me=(1, 1), n_macro=(1, 1), n_speech=(0, 0))
QUICK_SOFTNET = ["--method", "SOFTNet", "--workers", "1", "--train", "--epochs_spot", "1"]


@pytest.fixture(scope="session")
def both_kinds(tmp_path_factory) -> Path:
    """A data root with a DEMO of 2 subjects, each with one micro- and one macro-expression in one video. Read only."""

    def make(root: Path) -> None:
        generate(root / "DEMO", seed=14, n_subjects=2, videos_per_subject=1, settings=BOTH)

    return made_once(tmp_path_factory, "both_kinds", make)


@pytest.fixture(scope="session")
def trained(both_kinds, tmp_path_factory) -> Path:
    """A folder in which SOFTNet was trained on both kinds: `data`, `cache` and `runs`. Read only."""

    def make(folder: Path) -> None:
        shutil.copytree(both_kinds, folder / "data", copy_function=os.link)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            assert main.main([*QUICK_SOFTNET, "--expression", "both"]) == 0

    return made_once(tmp_path_factory, "trained_softnet", make)
