"""Units of work on a Dask cluster: `main.py --scheduler tcp://host:port`, over a folder that all machines share.

dask scheduler --port 8786                                    # on one machine
dask worker tcp://host:8786 --nthreads 1 --nworkers 16        # on every machine: a process per core
python main.py --train --scheduler tcp://host:8786 --data_root /shared/data --cache_dir /shared/cache ...

A unit travels as bytes, so that the scheduler has no need of this project. A worker takes the project from the folder
of `main.py` where it sees that folder, else from its own PYTHONPATH, and refuses what it would compute differently:
other sources, other versions, another folder. A unit whose worker leaves is given to another one by Dask.
"""

from __future__ import annotations

import functools
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
from Utils.work.machine import keras_backend, peak_memory, versions

CONNECT_WITHIN = 10  # seconds, for the scheduler and for the first worker
ALONE_FOR = 60  # seconds without any worker after which a run gives up
IDLE_FOR = 120  # seconds without a unit after which a worker's process for them ends, and frees its memory
ATTEMPTS = 3  # at a unit whose process is ended from outside


@contextmanager
def connected(address: str, shared: Sequence[Path]) -> Iterator[Cluster]:
    """A cluster with at least one worker. See `parallel.connect`."""
    try:
        from distributed import Client, TimeoutError  # on Python 3.10 not the built-in one
    except ImportError:
        raise InputError("--scheduler needs Dask: pip install -r requirements-cluster.txt") from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters is said in one line here
    with ExitStack() as stack:
        try:
            client = stack.enter_context(Client(address, timeout=CONNECT_WITHIN))
        except (OSError, ValueError, RuntimeError, MemoryError) as error:  # the last: somebody else's words, as a size
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(
                f"--scheduler {address}: no Dask scheduler answers there ({reason}); start one with: dask scheduler"
            ) from None
        try:
            client.wait_for_workers(1, timeout=CONNECT_WITHIN)
        except TimeoutError:
            raise InputError(
                f"--scheduler {address}: no worker is connected; start some with: dask worker {address} --nthreads 1"
            ) from None
        marks = [stack.enter_context(_mark(folder)) for folder in shared]
        yield Cluster(client, address, marks)


@contextmanager
def _mark(folder: Path) -> Iterator[str]:
    """An empty file in a folder, by which others see that theirs of that name is the same."""
    handle, name = tempfile.mkstemp(prefix=scratch_prefix(folder / "shared"), suffix=".part", dir=folder)
    os.close(handle)
    try:
        yield name
    finally:
        Path(name).unlink(missing_ok=True)


class Cluster:
    """A connected cluster. `marks` are files that a worker must see."""

    def __init__(self, client, address: str, marks: Sequence[str]) -> None:
        self._client = client
        self._address = address
        self._marks = list(marks)
        self._run = uuid.uuid4().hex

    def __str__(self) -> str:
        return f"{self.count_workers()} Dask worker(s) at {self._address}"

    def count_workers(self) -> int:
        return len(self._client.nthreads())

    def run(self, function: Callable, units: Sequence[tuple[int, object]]) -> Iterator[tuple[int, object, int]]:
        """(number, `function(unit)`, the worker's peak memory in bytes) of numbered units, as they are finished.

        Raises
        ------
        InputError
            A worker cannot or may not take part, a unit ended several workers, or the cluster is gone.
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
        """The futures that are done, at least one, and those that are not."""
        from distributed import CancelledError, TimeoutError, wait
        from distributed.comm import CommClosedError

        since_worker = 0
        while True:
            try:
                return wait(waiting, timeout=ALONE_FOR / 4, return_when="FIRST_COMPLETED")
            except TimeoutError:
                pass
            except (CancelledError, CommClosedError):
                raise self._gone() from None
            try:
                since_worker = 0 if self.count_workers() else since_worker + ALONE_FOR / 4
            except (OSError, RuntimeError, CommClosedError, TimeoutError):
                raise self._gone() from None
            if since_worker >= ALONE_FOR:
                raise InputError(
                    f"{self._address}: all workers have left; what is finished is kept: start some and give the same "
                    "command again"
                )

    def _gone(self) -> InputError:
        return InputError(
            f"{self._address}: the scheduler does not answer any more; what is finished is kept: start it and its "
            "workers, and give the same command again"
        )

    def _answer(self, future) -> tuple[object, int]:
        """A finished unit's result and its worker's peak memory."""
        from distributed import CancelledError, KilledWorker
        from distributed.comm import CommClosedError

        try:
            answer = future.result()
        except (KilledWorker, ChildProcessError):
            raise InputError(
                f"{self._address}: several workers ended over the same unit, most likely because memory ran out; what "
                "is finished is kept: start fewer workers to a machine and give the same command again"
            ) from None
        except (CancelledError, CommClosedError):
            raise self._gone() from None
        answer = {"refused": answer} if isinstance(answer, str) else pickle.loads(answer)
        if "refused" in answer:
            raise InputError(answer["refused"])
        if "error" in answer:
            raise answer["error"] from RuntimeError(answer["where"])
        return answer["result"], answer["peak"]


def _function_of_workers() -> Callable[..., bytes | str]:
    """What workers are sent. Defined in here, it travels as code, not as a name in a module that they may not have.

    Units run in a process beside the Dask worker's, one to each of its threads, kept for the units of one run. Dask's
    own thread draws from Python's random numbers, of which Keras makes its seeds: in its process a seed would mean
    nothing.
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
                process.stdin.close()  # it ends then
            process = start_process(project)
            if process.stdout.read(5) != b"ready":
                return (
                    f"worker on {platform.node()}: cannot import the project from {project} (its log says why); put it "
                    "into the shared folder, or start the worker with PYTHONPATH=<a copy of it> and its requirements"
                )
        try:
            process.stdin.write(len(payload).to_bytes(8, "big") + payload)
            process.stdin.flush()
            answer = process.stdout.read(int.from_bytes(process.stdout.read(8), "big"))
        except BrokenPipeError:
            answer = b""
        if not answer:
            process.kill()
            raise ChildProcessError("ended from outside")  # Dask tries again
        processes[threading.get_ident()] = run, process
        return answer

    return run_unit


def serve() -> None:
    """The process beside a worker: answers units from the standard input until that ends, or nothing comes for long."""
    stdin, stdout = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    stdout.write(b"ready")
    while True:
        stdout.flush()
        nothing_comes = threading.Timer(IDLE_FOR, os._exit, (0,))
        nothing_comes.daemon = True
        nothing_comes.start()
        size = stdin.read(8)
        nothing_comes.cancel()
        if len(size) < 8:
            return
        answer = pickle.dumps(answer_payload(stdin.read(int.from_bytes(size, "big"))), protocol=5)
        stdout.write(len(answer).to_bytes(8, "big") + answer)


def answer_payload(payload: bytes) -> dict:
    """Run one unit: its "result" and the "peak" of memory; or why it is "refused"; or the "error" and where it was."""
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
        except Exception:  # some errors cannot travel
            error = RuntimeError(str(error))
        return {"error": error, "where": where}


@functools.cache
def conditions() -> dict[str, str | None]:
    """What a unit's result depends on besides the unit, as this process has it: its answer must not change later."""
    packages = {name: version for name, version in versions().items() if name != "python"}
    found = {"Python": ".".join(platform.python_version_tuple()[:2]), "Keras backend": keras_backend()} | packages
    sources = hashlib.sha256()
    for path in sorted([*PROJECT.glob("*.py"), *PROJECT.glob("Utils/**/*.py")]):
        sources.update(path.relative_to(PROJECT).as_posix().encode() + b"\0" + path.read_bytes())
    return found | {"sources": sources.hexdigest()[:12]}
