"""The catalogue of bad input: what the command line reports, and that it does not change the user's files."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

import feature_extraction
import main
import Utils.dataset_run.folder
from tests.support.bad_input import (
    RUN,
    Case,
    Seen,
    add_video,
    add_weights,
    flags_for,
    half_written,
    lines_of,
    make_dataset,
)
from tests.support.bad_input_across import ACROSS_CASES, ACROSS_FLAGS
from tests.support.bad_input_against import AGAINST
from tests.support.bad_input_casme3 import CASME3
from tests.support.bad_input_data import FACES, FRAMES, PLACES, WEIGHTS
from tests.support.bad_input_flags import FLAGS
from tests.support.bad_input_results import RESULTS
from tests.support.bad_input_reviews import REVIEWED
from tests.support.bad_input_study import STUDIES, STUDY_FLAGS
from tests.support.bad_input_tables import CSV_FILES, WORKBOOKS
from tests.support.bad_input_verifiers import VERIFIERS
from tests.support.bad_input_videos import VIDEO_FLAGS, VIDEOS
from tests.support.command_line import command_line as in_own_process
from tests.support.forks import start_main
from tests.support.paths import PROJECT
from tests.support.quicker import tables_only, without_kernel
from tests.support.video_clips import numbered, write_video
from Utils.settings import Settings

NOBODY = 65534
CASES = [
    *WORKBOOKS,
    *STUDIES,
    *FRAMES,
    *FACES,
    *WEIGHTS,
    *FLAGS,
    *CSV_FILES,
    *PLACES,
    *VIDEOS,
    *RESULTS,
    *VERIFIERS,
    *REVIEWED,
    *AGAINST,
    *CASME3,
    *ACROSS_CASES,
]

posix = pytest.mark.skipif(os.name != "posix", reason="users and signals are POSIX's")


@pytest.fixture
def quick(monkeypatch) -> None:
    """Features are made up, figures and reports are not made, to save time. Bad input concerns none of them."""

    def spotting(video, landmarks, job, path):
        np.save(path, np.zeros((len(video.frames) - job.k, 42, 42, 3), np.float32))

    def recognition(video, landmarks, flow):
        return np.zeros((len(video.expressions), 42, 42, 3), np.float32), [e.apex for e in video.expressions]

    monkeypatch.setattr(feature_extraction, "_write_spotting_features", spotting)
    monkeypatch.setattr(feature_extraction, "recognition_features", recognition)
    without_kernel(monkeypatch)
    tables_only(monkeypatch)
    monkeypatch.setattr(Utils.dataset_run.folder, "git_revision", lambda: None)


@pytest.fixture
def workplace(monkeypatch) -> Iterator[Path]:
    """A folder that every user may enter and write in."""
    with tempfile.TemporaryDirectory(prefix="mean-bad-input-") as folder:
        root = Path(folder)
        root.chmod(0o777)
        monkeypatch.chdir(root)
        yield root


@contextmanager
def user(as_nobody: bool) -> Iterator[None]:
    """Inside the `with` block, files are used without root's rights."""
    if not as_nobody or os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def command_line(flags) -> int:
    try:
        return main.main(list(flags))
    except SystemExit as left:  # argparse
        return left.code


def test_the_catalogue_is_large_and_names_are_unique():
    assert len(CASES) == len({case.name for case in CASES}) >= 120
    assert {case.code for case in CASES} == {0, 1, 2}


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_bad_input(case: Case, workplace, quick, capsys):
    if case.as_nobody and os.name != "posix":
        pytest.skip("permissions are POSIX's")
    flags = case.spoil(workplace)
    before = Seen.of(workplace)
    with user(case.as_nobody):
        code = command_line(flags)
    out, err = capsys.readouterr()
    said = lines_of(err)
    assert code == case.code, out + err
    assert "Traceback" not in out + err
    assert len(said) == (case.code == 2 if case.n_lines is None else case.n_lines), err
    assert all(line.startswith("main.py: ") for line in said), err
    assert all(words in (err if said else out) for words in case.says), out + err
    if case.code == 2:
        assert not [run for run in (workplace / "runs").glob("*") if run.is_dir()]
    assert Seen.of(workplace).files == before.files
    assert not half_written(workplace)


def test_every_flag_is_in_the_catalogue():
    given = [
        flag for case in (*FLAGS, *VIDEO_FLAGS, *STUDY_FLAGS, *ACROSS_FLAGS, AGAINST[0]) for flag in case.spoil(Path())
    ]
    named = {flag.removeprefix("--") for flag in given if flag.startswith("--")}
    assert {f.name for f in fields(Settings)} <= named


WRITES = (
    "face_crop.write_jpeg",
    "feature_extraction.np.save",
    "feature_extraction.write_json",
    "train_evaluate.write_json",
    "Utils.dataset_run.folder.write_table",
    "Utils.dataset_run.folder.write_json",
)


@pytest.mark.parametrize("write", WRITES)
def test_a_full_disk_is_said_and_the_next_run_goes_on(write, workplace, quick, capsys):
    make_dataset(workplace)
    add_weights(workplace)
    before = Seen.of(workplace)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "file")

    with pytest.MonkeyPatch.context() as disk:
        disk.setattr(write, full)
        assert command_line(("--dataset_name", "CASME_sq", *RUN)) == 2
    said = lines_of(capsys.readouterr().err)
    assert said == ["main.py: file: No space left on device; what is finished is kept"]
    assert not half_written(workplace) and not list((workplace / "runs").iterdir())
    assert command_line(("--dataset_name", "CASME_sq", *RUN)) == 0, capsys.readouterr()
    assert Seen.of(workplace).files == before.files


# In separate processes: the exit code as a shell sees it, and signals


def test_exit_code_of_the_process(workplace):
    done = in_own_process(*flags_for(), cwd=workplace)
    assert (done.returncode, lines_of(done.stderr)) == (
        2,
        ["main.py: data: no such folder; give the folder that contains CASME_sq with --data_root"],
    ), done.stdout + done.stderr


def signalled(sent: signal.Signals, began: Callable[[], object], root: Path, flags: Sequence[str]) -> tuple[int, str]:
    """Start `main.py flags` in a process of its own, and send it a signal when `began()`. Its exit code and errors."""
    with tempfile.TemporaryDirectory() as folder:
        errors = Path(folder, "errors.txt")
        run = start_main(root, flags, errors)
        wait_for(began, run.is_alive)
        os.kill(run.pid, sent)
        run.join(60)
        return run.exitcode, errors.read_text(encoding="utf-8")


def wait_for(began: Callable[[], object], is_alive: Callable[[], bool]) -> None:
    for _ in range(6000):
        if began():
            return
        assert is_alive(), "it has ended before"
        time.sleep(0.01)
    raise AssertionError("it has not begun within a minute")


@posix
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_signals_leave_whole_files_and_the_next_run_cleans_up(sent, code, workplace, quick, capsys):
    """During the face crop, of a video that takes a second."""
    make_dataset(workplace)
    add_weights(workplace)
    shutil.rmtree(workplace / "data/CASME_sq/rawpic/s1/1_0101a")
    add_video(workplace / "data/CASME_sq/rawpic/s1/1_0101a", n=900)
    before = Seen.of(workplace)
    crops = workplace / "data/CASME_sq/rawpic_crop/s1"
    ended, err = signalled(sent, lambda: list(crops.glob(".*.part/*")), workplace, flags_for())
    assert ended == code, err
    assert "Traceback" not in err and not (crops / "1_0101a").exists()
    if sent == signal.SIGINT:
        assert lines_of(err) == ["main.py: interrupted; give the same command again to continue"]
        assert not half_written(workplace)
    assert command_line(("--dataset_name", "CASME_sq", *RUN)) == 0, capsys.readouterr()
    assert len(list((crops / "1_0101a").glob("*.jpg"))) == 900
    assert Seen.of(workplace).files == before.files
    assert not half_written(workplace)


@posix
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_signal_from_a_terminal(sent, code, workplace):
    """A new Python process, as users start it; the others that get signals are forked."""
    make_dataset(workplace)
    add_weights(workplace)
    shutil.rmtree(workplace / "data/CASME_sq/rawpic/s1/1_0101a")
    add_video(workplace / "data/CASME_sq/rawpic/s1/1_0101a", n=900)
    run = subprocess.Popen(
        [sys.executable, str(PROJECT / "main.py"), *flags_for()],
        cwd=workplace,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that starts the tests in the background has their processes ignore Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    crops = workplace / "data/CASME_sq/rawpic_crop/s1"
    wait_for(lambda: list(crops.glob(".*.part/*")), lambda: run.poll() is None)
    run.send_signal(sent)
    _, err = run.communicate(timeout=60)
    assert run.returncode == code and "Traceback" not in err, err
    if sent == signal.SIGINT:
        assert lines_of(err) == ["main.py: interrupted; give the same command again to continue"]
        assert not half_written(workplace)


@pytest.fixture(scope="module")
def scored_video(tmp_path_factory) -> Path:
    """A folder with the video `a.mp4` and `cache`, which has its scores: only its results are to be written."""
    folder = tmp_path_factory.mktemp("scored_video")
    video = write_video(folder / "a.mp4", numbered(40, (480, 360)) * 8)
    flags = {"--video": video, "--cache_dir": folder / "cache", "--output_dir": folder / "runs"}
    assert main.main([str(word) for flag in flags.items() for word in flag]) == 0
    return folder


@posix
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_signals_while_a_video_is_analysed(sent, code, scored_video, workplace, quick, capsys):
    """While the results are being written, which takes a second if nothing that was drawn is kept."""
    shutil.copy2(scored_video / "a.mp4", workplace)
    shutil.rmtree(scored_video / "cache/overlays")
    before = Seen.of(workplace)
    flags = ("--video", "a.mp4", "--cache_dir", str(scored_video / "cache"), "--workers", "1")
    began = lambda: list((workplace / "runs").glob(".a-*.part/.overlay*"))  # noqa: E731
    ended, err = signalled(sent, began, workplace, flags)
    assert ended == code, err
    assert "Traceback" not in err and not (workplace / "runs/a").exists()
    if sent == signal.SIGINT:
        assert lines_of(err) == ["main.py: interrupted; give the same command again to continue"]
        assert not half_written(workplace)
    else:
        assert half_written(workplace)
    assert command_line(flags) == 0, capsys.readouterr()
    assert (workplace / "runs/a/settings.json").is_file()
    assert Seen.of(workplace).files == before.files
    assert not half_written(workplace)
