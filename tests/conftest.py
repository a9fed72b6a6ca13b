"""What several tests share: a tiny rendered dataset, its features, and videos put together by hand."""

from __future__ import annotations

import gc
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import Utils  # noqa: F401  isort: skip; before cv2: it sets the limit of pixels
import cv2
import hypothesis
import numpy as np
import pytest

import feature_extraction
import main
from face_crop import CropRoots, crop_videos
from feature_extraction import VideoFeatures, extract_features
from load_excel import load_annotations, match_expressions
from load_images import find_videos
from prepare_training import average_half_length
from tests.support import order
from tests.support.command_line import QUICK, command_line
from tests.support.paths import GOLDEN
from tests.support.quicker import compile_once, folder_in_memory, looked_at_once, planned_once, remembered
from tests.support.shared import made_once
from Utils.datasets.table import DATASETS, Dataset
from Utils.faces import landmarks
from Utils.parsing import parse_settings
from Utils.records import Expression, Video
from Utils.settings import Settings
from Utils.synthetic.clips import ClipSettings
from Utils.synthetic.dataset import generate, make_demo
from Utils.work.machine import version

hypothesis.settings.register_profile("any machine", deadline=None)  # a busy one may take longer than 0.2 s
hypothesis.settings.load_profile("any machine")
gc.disable()  # until all tests are collected: to look again and again at what stays takes half of that time

# The tests start some two hundred processes. Without this, each compiles the project's files again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

TINY = ClipSettings(frames=60, size=(160, 120), n_me=(1, 2), n_macro=(0, 0), n_speech=(0, 0))


FOLDER = pytest.StashKey[Path | None]()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Files of the tests are in memory, unless `--basetemp` or TMPDIR say where. Those of pytest-xdist inherit it."""
    config.stash[FOLDER] = None
    if not (config.option.basetemp or "TMPDIR" in os.environ) and (folder := folder_in_memory()):
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
        config.stash[FOLDER] = folder
    if not hasattr(config, "workerinput") and config.option.numprocesses:  # it is the one that starts the workers
        gc.enable()
        compile_once()


def pytest_unconfigure(config: pytest.Config) -> None:
    if folder := config.stash[FOLDER]:
        shutil.rmtree(folder, ignore_errors=True)


def pytest_xdist_auto_num_workers() -> int:
    return order.processes()


def pytest_xdist_make_scheduler(config: pytest.Config, log) -> order.Scheduling:
    return order.Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order.sort(items)


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def golden() -> Path:
    """The recorded figures that lie beside the project on its developers' machines."""
    if not GOLDEN.is_dir():
        pytest.skip(f"{GOLDEN} is not on this machine")
    return GOLDEN


@pytest.fixture(scope="session", autouse=True)
def _each_flow_is_computed_once():
    """In the processes of the tests; those that they start compute all of theirs.

    Each image is searched for faces once, and DEMO is planned once. The versions of the packages, which each run writes
    down, are looked up once.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(landmarks, "_detector", looked_at_once(landmarks._detector))
        patch.setattr(feature_extraction, "tvl1_flow", remembered(feature_extraction.tvl1_flow))
        patch.setattr("Utils.dataset_run.data.make_demo", planned_once(make_demo))
        patch.setattr("Utils.work.machine.version", cache(version))
        yield


@pytest.fixture(scope="session", autouse=True)
def _scores_are_kept_outside_of_the_project(tmp_path_factory):
    """Without `--cache_dir`, commands in these processes keep the scores of videos in a folder of the tests."""
    folder = tmp_path_factory.mktemp("cache")

    def parsed(*arguments) -> Settings:
        settings = parse_settings(*arguments)
        given = settings.cache_dir != Path("cache") or not settings.video
        return settings if given else replace(settings, cache_dir=folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(main, "parse_settings", parsed)
        yield


@pytest.fixture(scope="session")
def tiny_demo(tmp_path_factory) -> Path:
    """A data root with a DEMO of 3 subjects x 2 videos x 60 frames. Read only.

    Negative and positive micro-expressions; the third subject's only one is of class others, its last video has none.
    """

    def make(data_root: Path) -> None:
        generate(data_root / "DEMO", seed=1, n_subjects=3, videos_per_subject=2, settings=TINY)

    return made_once(tmp_path_factory, "tiny_demo", make)


class TrainedDemo(NamedTuple):
    """A folder in which the tiny DEMO was trained: `data`, `cache` and `runs`; and what the command line said."""

    folder: Path
    done: subprocess.CompletedProcess


@pytest.fixture(scope="session")
def trained_demo(tiny_demo, tmp_path_factory) -> TrainedDemo:
    """The tiny DEMO, trained from the command line with two workers and the flags QUICK. Read only."""

    def make(folder: Path) -> None:
        shutil.copytree(tiny_demo, folder / "data", copy_function=os.link)
        done = command_line("--train", "True", "--workers", "2", *QUICK, cwd=folder)
        (folder / "said.json").write_text(json.dumps([done.returncode, done.stdout, done.stderr]))

    folder = made_once(tmp_path_factory, "trained_demo", make)
    return TrainedDemo(folder, subprocess.CompletedProcess([], *json.loads((folder / "said.json").read_text())))


class TinyFeatures(NamedTuple):
    """What steps 1 to 4 make of the tiny DEMO."""

    dataset: Dataset
    features: list[VideoFeatures]
    subjects: list[str]
    k_prime: int


@pytest.fixture(scope="session")
def tiny_features(tiny_demo, tmp_path_factory) -> TinyFeatures:
    """Features of four of the tiny DEMO's videos, through workbook, face detection and flow. Read only."""
    dataset = DATASETS["DEMO"]
    found, _ = find_videos(dataset, tiny_demo)
    videos, _ = match_expressions(found, load_annotations(dataset, tiny_demo))
    # two videos of the first subject, one of each other; the first 48 frames, in which their expressions lie
    videos = [replace(v, frames=v.frames[:48]) for i, v in enumerate(videos) if i != 3]

    def features_in(work: Path) -> list[VideoFeatures]:
        cropped, _ = crop_videos(videos, dataset, CropRoots(work / "crops"), workers=1)
        return extract_features(cropped, dataset.k, "kernel", work / "cache", workers=1)[0]

    features = features_in(made_once(tmp_path_factory, "tiny_features", features_in))  # finished ones are read
    subjects = list(dict.fromkeys(v.subject for v in videos))
    return TinyFeatures(dataset, features, subjects, average_half_length(e for v in videos for e in v.expressions))


@pytest.fixture
def make_video(tmp_path) -> Callable[..., Video]:
    """`make_video(images, expressions, name)`: a video of subject s01, its frames these images as PNG."""

    def make(images: Sequence[np.ndarray], expressions: Sequence[Expression] = (), name: str = "01_0101a") -> Video:
        folder = tmp_path / "frames" / "s01" / name
        folder.mkdir(parents=True)
        paths = tuple(folder / f"img{i:03d}.png" for i in range(1, len(images) + 1))
        for path, image in zip(paths, images, strict=True):
            assert cv2.imwrite(str(path), image)
        return replace(Video("s01", name, paths), expressions=tuple(expressions))

    return make
