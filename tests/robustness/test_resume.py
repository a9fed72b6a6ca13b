"""Runs that are killed and started again, settings that change, two runs at once, trainings that diverge.

Runs are real processes with the real `main.main` (tests/support/forks.py).
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import face_crop
import feature_extraction
import main
import train_evaluate
import Utils.dataset_run.folder
import Utils.work.parallel
from tests.support.forks import forks
from tests.support.quicker import tables_only
from Utils.datasets.table import DATASETS
from Utils.synthetic.clips import ClipSettings
from Utils.synthetic.dataset import generate

QUICK = ("--train", "True", "--epochs_spot", "1", "--epochs_recog", "2")
SMALL = ClipSettings(frames=45, size=(160, 120), n_me=(1, 1), n_macro=(0, 0), n_speech=(0, 0))

posix = pytest.mark.skipif(os.name != "posix", reason="SIGKILL and fork are POSIX's")


@pytest.fixture(scope="module")
def small_demo(tmp_path_factory) -> Path:
    """A data root with a DEMO of 3 subjects with one video of 45 frames each. Read only."""
    data_root = tmp_path_factory.mktemp("small_demo")
    generate(data_root / "DEMO", seed=1, n_subjects=3, videos_per_subject=1, settings=SMALL)
    return data_root


@pytest.fixture
def workplace(small_demo, tmp_path, monkeypatch) -> Path:
    """An empty folder with the small DEMO in `data`, in which `main.main` runs."""
    shutil.copytree(small_demo, tmp_path / "data", copy_function=os.link)
    monkeypatch.chdir(tmp_path)
    return tmp_path


# Runs in processes


def no_pictures() -> None:
    """In a forked process: neither figures nor report are made."""
    tables_only(pytest.MonkeyPatch())


def run_here(folder: Path, flags: tuple[str, ...], before: Callable[[], None] | None) -> None:
    """In a forked process: `main.py flags` in a folder, as the leader of a process group."""
    os.setsid()
    os.chdir(folder)
    log = os.open("log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if before:
        before()
    sys.exit(main.main(list(flags)))


@pytest.fixture
def start():
    """`start(folder, *flags)`: a run in a process group of its own; what still runs at the end is killed."""
    started = []

    def run(folder: Path, *flags: str, before: Callable[[], None] | None = None):
        flags = flags if "--workers" in flags else (*flags, "--workers", "1")
        process = forks().Process(target=run_here, args=(folder, flags, before))
        process.start()
        started.append(process)
        return process

    yield run
    for process in started:
        if process.is_alive():
            kill(process)


def kill(process) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.join(20)


def finish(process) -> int:
    process.join(240)
    return process.exitcode


def results(run: Path) -> dict[str, bytes]:
    return {name: (run / name).read_bytes() for name in ("predictions.csv", "metrics.json", "ground_truth.csv")}


@pytest.fixture(scope="module")
def begun(small_demo, tmp_path_factory):
    """A folder in which the small DEMO is being trained by a run that nothing disturbs, and its process."""
    folder = tmp_path_factory.mktemp("undisturbed")
    shutil.copytree(small_demo, folder / "data", copy_function=os.link)
    process = forks().Process(target=run_here, args=(folder, (*QUICK, "--workers", "1"), no_pictures))
    process.start()
    return folder, process


@pytest.fixture
def undisturbed(begun) -> Path:
    """A folder in which the small DEMO was trained by a run that nothing disturbed."""
    folder, process = begun
    assert finish(process) == 0, (folder / "log.txt").read_text()
    return folder


class Stage(NamedTuple):
    """A stage of a run.

    Where its scratch appears, for how many seconds after that a run is killed at most, how many runs are killed, and
    the folder of its last unit.
    """

    scratch: re.Pattern
    longest: float
    kills: int
    last_unit: str


STAGES = {
    "crop": Stage(re.compile(r"data/DEMO/[^/]+/[^/]+/[^/]+"), 0.04, 5, "data/DEMO/rawpic_crop/s17"),
    "features": Stage(re.compile(r"cache/DEMO/features/.+"), 0.6, 6, "cache/DEMO/features/s17"),
    "fold": Stage(re.compile(r"cache/DEMO/folds/.+"), 0.5, 5, "cache/DEMO/folds/all"),
    "run folder": Stage(re.compile(r"runs/[^/]+"), 1.0, 4, "runs/none"),
}


def scratch(folder: Path) -> set[str]:
    """The scratch folders below a folder."""
    found = set()
    for path, folders, _ in os.walk(folder):
        found |= {os.path.relpath(os.path.join(path, f), folder) for f in folders if f.endswith(".part")}  # noqa: PTH118
        folders[:] = [f for f in folders if not f.endswith(".part")]
    return found


def stage_of(path: str) -> int:
    (stage,) = (i for i, stage in enumerate(STAGES.values()) if stage.scratch.fullmatch(path))
    return stage


def wait_for_unit(process, folder: Path, stage: int) -> str | None:
    """Wait until a unit of this or of a later stage is begun; the stage's name, None if the run ended before."""
    before = scratch(folder)
    while process.is_alive():
        begun = [s for s in map(stage_of, scratch(folder) - before) if s >= stage]
        if begun:
            return list(STAGES)[begun[0]]
        time.sleep(0.002)
    return None


@posix
def test_a_run_killed_20_times_ends_as_one_that_was_not(begun, workplace, start, request):
    """The moments are random, after a unit of each stage was begun. In two runs, two workers are killed as well.

    If a stage is finished before enough of its units were killed, its last unit is removed, so that it is made again.
    """
    draw = random.Random(20)
    targets = [name for name, stage in STAGES.items() for _ in range(stage.kills)]
    with_two_workers = {8, 13}
    for nth, target in enumerate(targets):
        for _ in range(12):  # a run can finish the stage before it is killed
            shutil.rmtree(workplace / STAGES[target].last_unit, ignore_errors=True)
            process = start(workplace, *QUICK, "--workers", "2" if nth in with_two_workers else "1")
            stage = wait_for_unit(process, workplace, list(STAGES).index(target))
            time.sleep(draw.uniform(0, STAGES[target].longest))
            kill(process) if process.is_alive() else process.join()
            assert process.exitcode in (0, -signal.SIGKILL), (workplace / "log.txt").read_text()
            if process.exitcode and stage == target:
                break
        else:
            pytest.fail(f"kill {nth + 1} did not hit the stage {target}")
    assert finish(start(workplace, *QUICK)) == 0, (workplace / "log.txt").read_text()
    newest = max((workplace / "runs").iterdir(), key=lambda run: run.stat().st_mtime_ns)
    undisturbed = request.getfixturevalue("undisturbed")
    assert results(newest) == results(*(undisturbed / "runs").iterdir())
    assert not scratch(workplace), "what killed runs leave is removed by later ones"
    assert "Traceback" not in (workplace / "log.txt").read_text()


@posix
def test_two_runs_at_once_give_the_same(undisturbed, workplace, start):
    """On one empty cache, and with crops in one place."""
    first, second = (start(workplace, *QUICK, before=no_pictures) for _ in range(2))
    assert (finish(first), finish(second)) == (0, 0), (workplace / "log.txt").read_text()
    runs = list((workplace / "runs").iterdir())
    assert len(runs) == 2
    for run in runs:
        assert results(run) == results(*(undisturbed / "runs").iterdir())
    assert not scratch(workplace)


# Trainings that diverge


def lose_the_weights() -> None:
    """As if training had diverged: no weight is a number."""

    def train(weights, *_, **__):
        lost = {name: [np.full_like(array, np.nan) for array in arrays] for name, arrays in weights.items()}
        return lost, {"loss": [1.0, np.nan], "mae": [1.0, np.nan], "accuracy": [0.0, np.nan]}

    train_evaluate.train = train


def lose_a_loss() -> None:
    """As if the loss of one epoch were infinite, and the weights were not."""
    train_evaluate.train = lambda weights, *_, **__: (
        weights, {"loss": [np.inf, 2.0], "mae": [np.nan, 1.0], "accuracy": [0.0, 1.0]},
    )  # fmt: skip


@posix
def test_a_training_that_diverges_gets_one_line(undisturbed, workplace, start):
    shutil.copytree(undisturbed, workplace / "again")
    (workplace / "again/log.txt").unlink()
    assert finish(start(workplace / "again", *QUICK, "--seed", "3", before=lose_the_weights)) == 2
    said = (workplace / "again/log.txt").read_text()
    assert "fold 1 (s15 held out): training diverged" in said and "lower --learning_rate than 0.0005" in said
    assert "Traceback" not in said


@posix
def test_losses_beyond_all_numbers_do_not_end_a_run(undisturbed, workplace, start):
    """Nor does the highest learning rate, at which they are beyond 1e13 (side by side, to save time)."""
    shutil.copytree(undisturbed, workplace / "highest")
    highest = start(workplace / "highest", *QUICK, "--learning_rate", "10", before=no_pictures)
    shutil.copytree(undisturbed, workplace / "again")
    for _ in range(2):  # the second time from the cache
        code = finish(start(workplace / "again", *QUICK, "--seed", "4", before=lose_a_loss))
        assert code == 0, (workplace / "again/log.txt").read_text()
    folds = [json.loads(p.read_text()) for p in (workplace / "again/cache/DEMO/folds").glob("s15/*/fold.json")]
    assert [None, 2.0] in [fold["history"]["spot_loss"] for fold in folds]
    code, said = finish(highest), (workplace / "highest/log.txt").read_text()
    assert code in (0, 2) and "Traceback" not in said, said


# What is computed again


@pytest.fixture
def computed(monkeypatch):
    """What is computed: sets of (stage, unit). What the units compute is made up, except crops.

    With several workers units run in this process, too: what other processes compute could not be seen.
    """
    done: set[tuple[str, str]] = set()
    write_crops = face_crop._write_crops

    def crops(job, key, found_at, rectangle):
        done.add(("crop", job.video.subject))
        return write_crops(job, key, found_at, rectangle)

    def spotting(video, landmarks, job, path):
        done.add(("spotting", video.subject))
        np.save(path, np.zeros((len(video.frames) - job.k, 42, 42, 3), np.float32))

    def recognition(video, landmarks, flow):
        done.add(("recognition", video.subject))
        return np.zeros((len(video.expressions), 42, 42, 3), np.float32), [e.apex for e in video.expressions]

    def fold(job, folder):
        done.add(("fold", job.fold.held_out))
        for i, video in enumerate(job.fold.test):
            np.save(folder / f"scores-{i}.npy", np.linspace(0, 1, job.features[video].n_features, dtype=np.float32))
        return {"held_out": job.fold.held_out, "recognised": False, "history": {"spot_loss": [1.0]}}

    def in_this_process(function, numbered, count):
        assert count > 1
        yield from ((number, function(unit), 0) for number, unit in numbered)

    monkeypatch.setattr(Utils.work.parallel, "_in_processes", in_this_process)
    monkeypatch.setattr(face_crop, "_write_crops", crops)
    monkeypatch.setattr(feature_extraction, "_write_spotting_features", spotting)
    monkeypatch.setattr(feature_extraction, "recognition_features", recognition)
    monkeypatch.setattr(train_evaluate, "_compute_fold", fold)
    for name in ("_draw_figures", "plot_losses", "write_tensorboard", "write_report"):
        monkeypatch.setattr(Utils.dataset_run.folder, name, lambda *_, **__: None)
    return done


def units(stages: str, subjects: str = "s15 s16 s17") -> set[tuple[str, str]]:
    return {(stage, subject) for stage in stages.split() for subject in subjects.split()}


FOLDS = units("fold", "s15 s16 s17 all")
ALL = units("crop spotting recognition") | FOLDS


@contextmanager
def nothing_changed(monkeypatch, workplace):
    yield


@contextmanager
def other_k(monkeypatch, workplace):
    monkeypatch.setitem(DATASETS, "DEMO", replace(DATASETS["DEMO"], k=4))
    yield


def attribute(where, name, value):
    @contextmanager
    def change(monkeypatch, workplace):
        monkeypatch.setattr(where, name, value)
        yield

    return change


@contextmanager
def changed_frame(monkeypatch, workplace):
    """A frame of the second subject is written again: another time, the same name and size."""
    frame = sorted((workplace / "data/DEMO/rawpic/s16").rglob("img*.jpg"))[20]
    content = frame.read_bytes()
    frame.unlink()
    frame.write_bytes(content)
    yield


@contextmanager
def missing_crop(monkeypatch, workplace):
    crops = [p for p in (workplace / "data/DEMO").rglob("s17/*/*.jpg") if "rawpic" not in p.parts]
    crops[20].unlink()
    yield


CHANGES = {
    "nothing": ((), nothing_changed, set()),
    "p": (("--p", "0.8"), nothing_changed, set()),
    "workers": (("--workers", "3"), nothing_changed, set()),
    "seed": (("--seed", "2"), nothing_changed, FOLDS),
    "epochs of spotting": (("--epochs_spot", "3"), nothing_changed, FOLDS),
    "validation": (("--validate", "True"), nothing_changed, FOLDS),
    "engine": ((), attribute(train_evaluate, "ENGINE_VERSION", "other"), FOLDS),
    "numpy": ((), attribute(np, "__version__", "9.9.9"), FOLDS),
    "k": ((), other_k, units("spotting") | FOLDS),
    "flow": (("--flow", "opencv"), nothing_changed, units("spotting recognition") | FOLDS),
    "kernel": (
        (),
        attribute(feature_extraction, "KERNEL_VERSION", 99),
        units("spotting recognition") | FOLDS,
    ),
    "landmark file": (
        (),
        attribute(feature_extraction, "_landmark_model_hash", lambda: "other"),
        units("spotting recognition") | FOLDS,
    ),
    "frame": ((), changed_frame, units("crop spotting recognition", "s16") | FOLDS),
    "crop": ((), missing_crop, units("crop spotting recognition", "s17") | FOLDS),
    "fresh": (("--fresh", "True"), nothing_changed, ALL),
}


def test_what_depends_on_a_change_is_computed_anew_and_nothing_else(computed, workplace):
    def run(*flags: str) -> set[tuple[str, str]]:
        computed.clear()
        workers = () if "--workers" in flags else ("--workers", "1")
        assert main.main(["--train", "True", *flags, *workers]) == 0
        return set(computed)

    assert run() == ALL
    for name, (flags, change, expected) in CHANGES.items():
        with pytest.MonkeyPatch.context() as monkeypatch, change(monkeypatch, workplace):
            assert run(*flags) == expected, name
            assert run(*flags) == (ALL if name == "fresh" else set()), f"{name}, given again"
    assert run() == set(), "what was computed before the changes is still there"


def test_a_prediction_depends_on_its_own_subject_and_weights(computed, workplace):
    for kind in ("spot", "recog"):
        (workplace / "w/DEMO" / kind).mkdir(parents=True)
        for n in (1, 2, 3):
            (workplace / f"w/DEMO/{kind}/s{n}.weights.h5").write_text(f"{kind} {n}")

    def run() -> set[tuple[str, str]]:
        computed.clear()
        assert main.main(["--weights_dir", "w", "--workers", "1"]) == 0
        return set(computed)

    assert run() == units("crop spotting recognition fold")
    assert run() == set()
    with changed_frame(None, workplace):
        assert run() == units("crop spotting recognition fold", "s16")
    (workplace / "w/DEMO/recog/s3.weights.h5").write_text("others")
    assert run() == units("fold", "s17")
