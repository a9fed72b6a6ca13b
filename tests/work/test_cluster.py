"""Units on a real Dask cluster on this machine: the same bytes, workers that leave, and the messages if it fails."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import main
from face_crop import CropJob, crop_video
from tests.support.cluster_units import end_process, raise_what_cannot_travel, refuse_2, square, wait_long
from tests.support.command_line import QUICK, only_run
from tests.support.paths import TESTS
from tests.support.quicker import tables_only
from tests.support.video_clips import face_clip, write_video
from Utils.errors import InputError
from Utils.study.videos import open_study_video
from Utils.work import cluster
from Utils.work.parallel import connect, run_units

distributed = pytest.importorskip("distributed", reason="not installed: pip install -r requirements-cluster.txt")


class Dask:
    """A scheduler and its workers, each a process group of its own, in a folder that holds nothing of the project.

    `nanny`: each worker is started, and started again, by another process, as it is by default.
    """

    def __init__(self, folder: Path, n_workers: int, nanny: bool = False) -> None:
        self.folder, self.file, self.processes = folder, folder / "scheduler.json", []
        self.start("scheduler", "--host", "127.0.0.1", "--port", str(free_port()), "--no-dashboard")
        kind = "--nanny" if nanny else "--no-nanny"
        for _ in range(n_workers):
            self.start("worker", kind, "--nthreads", "1", "--no-dashboard", "--local-directory", str(folder))
        wait_for(self.is_known, 60)
        if n_workers:
            with distributed.Client(self.address, set_as_default=False) as client:
                client.wait_for_workers(n_workers, timeout=60)

    def start(self, kind: str, *flags: str) -> None:
        """`dask scheduler` or `dask worker`."""
        environment = os.environ | {"PYTHONPATH": str(TESTS), "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
        command = [sys.executable, "-m", "dask", kind, "--scheduler-file", str(self.file), *flags]
        with (self.folder / "log.txt").open("a") as log:
            self.processes.append(
                subprocess.Popen(
                    command, cwd=self.folder, env=environment, stdout=log, stderr=log, start_new_session=True
                )
            )

    def is_known(self) -> bool:
        """Whether the scheduler has written its address. For a moment, its file is there and empty."""
        return self.file.is_file() and bool(self.file.read_text().strip())

    @property
    def address(self) -> str:
        return json.loads(self.file.read_text())["address"]

    def stop(self) -> None:
        for process in reversed(self.processes):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def dask(tmp_path_factory) -> Iterator[Dask]:
    """A scheduler and two workers; a unit that ends two workers is given up."""
    started = Dask(tmp_path_factory.mktemp("dask"), n_workers=2, nanny=True)
    yield started
    started.stop()


def test_the_demo_gives_the_same_bytes_on_a_cluster(dask, tiny_demo, trained_demo, tmp_path, monkeypatch, capsys):
    """All stages run there, from relative folders; a local run has computed everything again."""
    monkeypatch.chdir(tmp_path)
    tables_only(monkeypatch)
    shutil.copytree(tiny_demo, "data", copy_function=os.link)
    assert main.main(["--train", "True", *QUICK, "--scheduler", dask.address]) == 0
    said, local = capsys.readouterr(), trained_demo.done
    assert "2 Dask worker(s) at tcp://127.0.0.1:" in said.out and "Dask" not in local.stdout
    assert "worker at most" in said.out
    assert "training: 100% |" in said.err and "training: 100% |" in local.stderr
    predictions = [(only_run(folder) / "predictions.csv").read_bytes() for folder in (tmp_path, trained_demo.folder)]
    assert predictions[0] == predictions[1] and predictions[0].count(b"\n") > 1
    for folder in (tmp_path, trained_demo.folder):
        assert not list(folder.rglob(".*.part"))


def test_video_files_of_a_study_are_cropped_on_a_cluster(dask, tmp_path):
    path = write_video(tmp_path / "talk.mp4", face_clip()[0][:6])
    jobs = [CropJob(open_study_video(path, name, "talk", None)[0], tmp_path / name, ()) for name in ("anna", "ben")]
    with connect(1, dask.address) as workers:
        crops = run_units(crop_video, jobs, workers, "face crop", "video")
    assert [len(found.video.frames) for found in crops] == [6, 6]
    assert all(frame.is_file() for found in crops for frame in found.video.frames)


# Units


def test_results_come_in_order_from_several_processes(dask):
    with connect(1, dask.address) as workers:
        results = run_units(square, range(20), workers, "test", "unit")
    assert [result for result, _ in results] == [n * n for n in range(20)]
    pids = {pid for _, pid in results}
    assert len(pids) == 2 and os.getpid() not in pids
    assert "worker at most" in workers.memory_report()
    assert run_units(square, [3], 1, "test", "unit") == [(9, os.getpid())]


def test_bad_input_is_passed_on_as_it_is(dask):
    with connect(1, dask.address) as workers, pytest.raises(InputError, match=r"^img003\.jpg: frame is cut short$"):
        run_units(refuse_2, range(6), workers, "test", "unit")


def test_other_errors_are_passed_on_as_they_are(dask):
    with connect(1, dask.address) as workers, pytest.raises(TypeError):
        run_units(square, ["a"], workers, "test", "unit")
    with connect(1, dask.address) as workers, pytest.raises(RuntimeError, match="number 1"):
        run_units(raise_what_cannot_travel, [1], workers, "test", "unit")


@pytest.mark.parametrize("which", ["unit's", "worker's"])
def test_a_unit_whose_process_ends_is_done_by_another(dask, which, tmp_path):
    with connect(1, dask.address) as workers:
        (pid,) = run_units(end_process, [(which, tmp_path / "mark", False)], workers, "test", "unit")
    assert pid != os.getpid() and (tmp_path / "mark").exists()


@pytest.mark.parametrize("which", ["unit's", "worker's"])
def test_a_unit_that_ends_every_process_is_given_up(dask, which, tmp_path):
    with (
        connect(1, dask.address) as workers,
        pytest.raises(InputError, match=r"several workers were ended by the same unit.*memory"),
    ):
        run_units(end_process, [(which, tmp_path / "mark", True)], workers, "test", "unit")


@pytest.mark.parametrize("different", ["sources", "numpy", "numba"])
def test_workers_that_would_compute_differently_are_refused(dask, different, monkeypatch):
    here = cluster.conditions()
    monkeypatch.setattr(cluster, "conditions", lambda: here | {different: "another"})
    refusal = f"worker on .* has {different} .*, main.py has another"
    with connect(1, dask.address) as workers, pytest.raises(InputError, match=refusal):
        run_units(square, [1], workers, "test", "unit")


def test_workers_that_do_not_see_the_folders_are_refused(dask, tmp_path):
    with connect(1, dask.address, [tmp_path]) as workers:
        for mark in tmp_path.glob(".shared-*.part"):
            mark.unlink()  # as if the workers saw another folder of this name
        with pytest.raises(InputError, match=f"does not see {tmp_path}"):
            run_units(square, [1], workers, "test", "unit")


def test_workers_that_cannot_import_the_project_are_refused(dask, tmp_path, monkeypatch):
    started = Dask(tmp_path, n_workers=1)
    try:
        monkeypatch.setattr(cluster, "PROJECT", tmp_path / "not there")
        with (
            connect(1, started.address) as workers,
            pytest.raises(InputError, match=r"cannot import the project.*PYTHONPATH"),
        ):
            run_units(square, [1], workers, "test", "unit")
    finally:
        started.stop()


@pytest.mark.parametrize(
    ("which", "said"), [(0, "the scheduler does not answer any more"), (1, "all workers have left")]
)
def test_a_run_ends_that_is_left_alone(which, said, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "ALONE_FOR", 2)
    started = Dask(tmp_path, n_workers=1)

    def end_a_process():
        wait_for((tmp_path / "mark").exists, 60)
        os.killpg(started.processes[which].pid, signal.SIGKILL)

    thread = threading.Thread(target=end_a_process)
    try:
        with pytest.raises(InputError, match=said), connect(1, started.address) as workers:
            thread.start()
            run_units(wait_long, [tmp_path / "mark"], workers, "test", "unit")
    finally:
        thread.join()
        started.stop()


# Clusters that cannot be used


def refused(capsys, *flags: str) -> str:
    """The one line with which `main.py` refuses these flags."""
    try:
        code = main.main(list(flags))
    except SystemExit as left:
        code = left.code
    said = capsys.readouterr().err
    assert code == 2 and said.count("\n") == 1 and said.startswith("main.py: "), said
    return said


@pytest.mark.parametrize(
    "address", ["10.0.0.1:8786", "tcp://10.0.0.1", "tcp://:8786", "tcp://host:port", "tcp://a:99999", "http://a:1", ""]
)
def test_a_malformed_address_is_refused(address, capsys):
    assert "tcp://10.0.0.1:8786" in refused(capsys, "--scheduler", address)


def test_nobody_at_the_address(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cluster, "CONNECT_WITHIN", 1)
    address = f"tcp://127.0.0.1:{free_port()}"
    began = time.monotonic()
    said = refused(capsys, "--scheduler", address)
    assert f"--scheduler {address}: no Dask scheduler answers there" in said
    assert time.monotonic() - began < 5


def test_something_else_at_the_address(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cluster, "CONNECT_WITHIN", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=lambda: server.accept()[0].sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")).start()
        said = refused(capsys, "--scheduler", f"tcp://127.0.0.1:{server.getsockname()[1]}")
    assert "no Dask scheduler answers there" in said


def test_a_scheduler_without_workers(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dask").mkdir()
    started = Dask(tmp_path / "dask", n_workers=0)
    monkeypatch.setattr(cluster, "WORKER_WITHIN", 1)
    try:
        assert "no worker is connected" in refused(capsys, "--scheduler", started.address)
    finally:
        started.stop()


def test_a_client_whose_thread_starts_too_late_is_tried_again(tmp_path, monkeypatch, capsys):
    """On a busy machine, Dask gives up after 10 s with an AssertionError. The second time, no scheduler answers."""
    monkeypatch.chdir(tmp_path)
    tried = []

    def client(address, timeout):
        tried.append(address)
        raise AssertionError if len(tried) == 1 else OSError("refused")

    monkeypatch.setattr(distributed, "Client", client)
    assert "no Dask scheduler answers there (refused)" in refused(capsys, "--scheduler", "tcp://127.0.0.1:8786")
    assert len(tried) == 2


def test_dask_is_not_installed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert "pip install -r requirements-cluster.txt" in refused(capsys, "--scheduler", "tcp://127.0.0.1:8786")
