"""Runs units of work on a Dask cluster: `main.py --scheduler tcp://host:port`. All machines share a folder.

dask scheduler --port 8786                                    # on one machine
dask worker tcp://host:8786 --nthreads 1 --nworkers 16        # on every machine: a process for each core
python main.py --train --scheduler tcp://host:8786 --data_root /shared/data --cache_dir /shared/cache ...

Units are sent as bytes, so the scheduler does not need this project. A worker uses the project in the folder of
`main.py` if it can see that folder, or else the one on its PYTHONPATH. It refuses a unit if its result could differ:
because the worker has other sources or other versions of packages, or cannot see the shared folders. If a worker
leaves, Dask gives its unit to another one.
"""

from __future__ import annotations

import functools
import gc
import hashlib
import logging
import os
import pickle
import platform
import subprocess
import sys
import tempfile
import threading
import traceback
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from Utils.errors import InputError
from Utils.settings import PROJECT
from Utils.work.cache import scratch_prefix
from Utils.work.machine import peak_memory, versions

CONNECT_WITHIN = 10  # seconds until the scheduler must answer
WORKER_WITHIN = 10  # seconds after that until a worker must be connected
ALONE_FOR = 60  # seconds without any worker after which a run gives up
LOOKS = 4  # how often it is checked during this time whether there are workers, if no unit was finished
IDLE_FOR = 120  # seconds without a unit after which a worker's unit process ends, to free its memory
ATTEMPTS = 3  # times that a unit is tried if its process is ended from outside
SOURCES_DIGITS = 12  # hexadecimal digits of the hash of the sources

# What a worker and its unit process write to each other: the second writes READY, then both send messages of bytes,
# each after its length, which is a number of LENGTH_BYTES bytes
READY = b"ready"
LENGTH_BYTES = 8


@contextmanager
def connected(address: str, shared: Sequence[Path]) -> Iterator[Cluster]:
    """Give a cluster with at least one worker for a `with` block. Parameters and errors: see `parallel.connect`."""
    try:
        from distributed import Client, TimeoutError  # on Python 3.10 this TimeoutError is not the built-in one
    except ImportError:
        raise InputError("--scheduler needs Dask: pip install -r requirements-cluster.txt") from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters is reported here, in one line
    with ExitStack() as stack:
        try:
            client = stack.enter_context(_new_client(Client, address))
        # MemoryError: something else than a scheduler answers, and its bytes are read as the size of a message
        except (OSError, ValueError, RuntimeError, MemoryError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(
                f"--scheduler {address}: no Dask scheduler answers there ({reason}); start one with: dask scheduler"
            ) from None
        try:
            client.wait_for_workers(1, timeout=WORKER_WITHIN)
        except TimeoutError:
            raise InputError(
                f"--scheduler {address}: no worker is connected; start some with: dask worker {address} --nthreads 1"
            ) from None
        marks = [stack.enter_context(_mark(folder)) for folder in shared]
        yield Cluster(client, address, marks)


def _new_client(kind: type, address: str):
    """A `distributed.Client`. It is tried a second time if the machine was too busy to start the client's thread.

    Dask waits 10 seconds for that thread and then ends with an AssertionError. Clients that nobody uses any more are
    removed first. If Python removed one while the new client starts, both would wait for the same lock for ever.
    """
    gc.collect()
    try:
        return kind(address, timeout=CONNECT_WITHIN)
    except AssertionError:
        return kind(address, timeout=CONNECT_WITHIN)


@contextmanager
def _mark(folder: Path) -> Iterator[str]:
    """Make an empty file in a shared folder. A worker that sees the file sees the same folder. Gives its path."""
    handle, name = tempfile.mkstemp(prefix=scratch_prefix(folder / "shared"), suffix=".part", dir=folder)
    os.close(handle)
    try:
        yield name
    finally:
        Path(name).unlink(missing_ok=True)


class Cluster:
    """A connected cluster. `marks` are the paths of files that every worker must see."""

    def __init__(self, client, address: str, marks: Sequence[str]) -> None:
        self._client = client
        self._address = address
        self._marks = list(marks)
        self._run = uuid.uuid4().hex

    def __str__(self) -> str:
        return f"{self.count_workers()} Dask worker(s) at {self._address}"

    def count_workers(self) -> int:
        """Number of workers that are connected now."""
        return len(self._client.nthreads())

    def run(self, function: Callable, units: Sequence[tuple[int, object]]) -> Iterator[tuple[int, object, int]]:
        """Run numbered units.

        Yields
        ------
        (int, object, int)
            The number of a unit, `function(unit)`, and the peak memory of the worker in bytes, in the order in which
            units are finished.

        Raises
        ------
        InputError
            A worker refuses the units, a unit ended several workers, or the cluster does not answer any more.
        Exception
            Whatever `function` raises.
        """
        payloads = [
            pickle.dumps((conditions(), self._marks, pickle.dumps((function, unit), protocol=5)), protocol=5)
            for _, unit in units
        ]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sending large graph")
            futures = self._client.map(
                _function_of_workers(),
                payloads,
                run=self._run,
                project=str(PROJECT),
                key="mean-unit",
                pure=False,
                retries=ATTEMPTS - 1,
            )
        numbers = {future.key: number for future, (number, _) in zip(futures, units, strict=True)}
        waiting = set(futures)
        try:
            while waiting:
                done, waiting = self._some_done(waiting)
                for future in done:
                    yield numbers[future.key], *self._answer(future)
        finally:
            if waiting and self._client.status == "running":
                self._client.cancel(list(waiting), force=True)

    def _some_done(self, waiting: set) -> tuple[set, set]:
        """Wait until at least one future is done. Returns those that are done, and those that are not."""
        from distributed import CancelledError, TimeoutError, wait
        from distributed.comm import CommClosedError

        without_workers, look_every = 0.0, ALONE_FOR / LOOKS  # seconds
        while True:
            try:
                return wait(waiting, timeout=look_every, return_when="FIRST_COMPLETED")
            except TimeoutError:
                pass
            except (CancelledError, CommClosedError):
                raise self._lost_scheduler_error() from None
            try:
                without_workers = 0.0 if self.count_workers() else without_workers + look_every
            except (OSError, RuntimeError, CommClosedError, TimeoutError):
                raise self._lost_scheduler_error() from None
            if without_workers >= ALONE_FOR:
                raise InputError(
                    f"{self._address}: all workers have left; what is finished is kept: start some and give the same "
                    "command again"
                )

    def _lost_scheduler_error(self) -> InputError:
        """The error for a scheduler that does not answer any more."""
        return InputError(
            f"{self._address}: the scheduler does not answer any more; what is finished is kept: start it and its "
            "workers, and give the same command again"
        )

    def _answer(self, future) -> tuple[object, int]:
        """The result of a finished unit, and the peak memory of its worker in bytes. Errors are those of `run`."""
        from distributed import CancelledError, KilledWorker
        from distributed.comm import CommClosedError

        try:
            answer = future.result()
        except (KilledWorker, ChildProcessError):
            raise InputError(
                f"{self._address}: several workers were ended by the same unit, most likely because memory ran out; "
                "what is finished is kept: start fewer workers on each machine and give the same command again"
            ) from None
        except (CancelledError, CommClosedError):
            raise self._lost_scheduler_error() from None
        answer = {"refused": answer} if isinstance(answer, str) else pickle.loads(answer)
        if "refused" in answer:
            raise InputError(answer["refused"])
        if "error" in answer:
            raise answer["error"] from RuntimeError(answer["where"])
        return answer["result"], answer["peak"]


def _function_of_workers() -> Callable[..., bytes | str]:
    """The function that is sent to the workers.

    It is defined inside another function. So it is sent as code, and not as a name in a module that workers may not
    have. It runs units in a second process beside the Dask worker's. There is one such process for each thread of the
    worker, and it is kept for all units of a run. Units do not run in Dask's own process: threads there draw from
    Python's random numbers, and a unit may end its process.
    """

    def start_process(project: str) -> subprocess.Popen:
        libraries = ("OMP", "OPENBLAS", "MKL", "NUMBA", "VECLIB_MAXIMUM", "NUMEXPR")
        return subprocess.Popen(
            [sys.executable, "-c", "from Utils.work.cluster import serve; serve()"],
            cwd=project if os.path.isdir(project) else None,  # noqa: PTH112
            env=os.environ | {f"{library}_NUM_THREADS": "1" for library in libraries},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def run_unit(payload: bytes, run: str, project: str) -> bytes | str:
        from distributed import get_worker

        processes = get_worker().__dict__.setdefault("mean_processes", {})
        of_run, process = processes.pop(threading.get_ident(), ("", None))
        if of_run != run or process.poll() is not None:
            if process:
                process.stdin.close()  # then it ends
            process = start_process(project)
            if process.stdout.read(len(READY)) != READY:
                return (
                    f"worker on {platform.node()}: cannot import the project from {project} (its log says why); put it "
                    "into the shared folder, or start the worker with PYTHONPATH=<a copy of it> and its requirements"
                )
        try:
            process.stdin.write(len(payload).to_bytes(LENGTH_BYTES, "big") + payload)
            process.stdin.flush()
            answer = process.stdout.read(int.from_bytes(process.stdout.read(LENGTH_BYTES), "big"))
        except BrokenPipeError:
            answer = b""
        if not answer:
            process.kill()
            raise ChildProcessError("ended from outside")  # then Dask tries the unit again
        processes[threading.get_ident()] = run, process
        return answer

    return run_unit


def serve() -> None:
    """Run units in the process beside a worker: units come on the standard input, answers go to the standard output.

    It ends when the standard input ends, or after `IDLE_FOR` seconds without a unit.
    """
    stdin, stdout = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print goes to the error stream, so that it is not read as an answer
    stdout.write(READY)
    while True:
        stdout.flush()
        idle = threading.Timer(IDLE_FOR, os._exit, (0,))
        idle.daemon = True
        idle.start()
        size = stdin.read(LENGTH_BYTES)
        idle.cancel()
        if len(size) < LENGTH_BYTES:
            return  # the standard input has ended
        answer = pickle.dumps(answer_payload(stdin.read(int.from_bytes(size, "big"))), protocol=5)
        stdout.write(len(answer).to_bytes(LENGTH_BYTES, "big") + answer)


def answer_payload(payload: bytes) -> dict:
    """Run one unit.

    Returns
    -------
    dict
        "result" and "peak" (memory in bytes); or "refused", which is the reason as one line; or "error", which is the
        exception, and "where", which is its traceback.
    """
    expected, marks, unit = pickle.loads(payload)
    here = f"worker on {platform.node()}"
    for name, ours in conditions().items():
        if ours != (theirs := expected.get(name)):
            return {"refused": f"{here}: has {name} {ours}, main.py has {theirs}; make them equal"}
    for mark in map(Path, marks):
        if not mark.exists():
            return {"refused": f"{here}: does not see {mark.parent}; --scheduler needs folders that all machines share"}
    try:
        function, argument = pickle.loads(unit)
        return {"result": function(argument), "peak": peak_memory()}
    except InputError as error:
        return {"refused": str(error)}
    except Exception as error:
        where = f"{here}:\n{traceback.format_exc()}"
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # some errors cannot be sent between processes
            error = RuntimeError(str(error))
        return {"error": error, "where": where}


@functools.cache
def conditions() -> dict[str, str | None]:
    """What the result of a unit depends on in addition to the unit: versions and the sources.

    It is computed once in each process, so that it stays that of the code that was loaded.
    """
    packages = {name: version for name, version in versions().items() if name != "python"}
    found = {"Python": ".".join(platform.python_version_tuple()[:2])} | packages
    sources = hashlib.sha256()
    for path in sorted([*PROJECT.glob("*.py"), *PROJECT.glob("Utils/**/*.py")]):
        sources.update(path.relative_to(PROJECT).as_posix().encode() + b"\0" + path.read_bytes())
    return found | {"sources": sources.hexdigest()[:SOURCES_DIGITS]}
