"""The one way to run units of work (a video, a fold): side by side, with a progress bar.

Units run in processes on this machine, or on a Dask cluster inside `with scheduler(...)`. They are independent, and
each writes its own result: what is finished stays finished, whatever happens to the others.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import joblib
from joblib.externals.loky import get_reusable_executor, process_executor
from tqdm import tqdm

from Utils.errors import InputError

_cluster = None  # a `Utils.work.cluster.Cluster` inside `with scheduler(...)`
_highest_peak = 0  # bytes, of the processes that have run units for this one

Numbered = list[tuple[int, object]]


def run_units(function: Callable, units: Sequence, workers: int, title: str, unit_name: str) -> list:
    """`[function(unit) for unit in units]`, in order, over at most `workers` processes.

    Parameters
    ----------
    function : callable
        Of a module (processes import it); one argument, a result that can be sent between processes.
    units : sequence
        Independent of each other.
    workers : int
        Processes at most; with one, everything runs in this process. A cluster uses all the workers it has.
    title, unit_name : str
        For the progress bar: "features", "video".

    Raises
    ------
    InputError
        Worker processes were ended from outside (lack of memory) twice, or the cluster is gone.
    Whatever `function` raises; units that were finished before stay finished (each writes its own result).
    """
    results: list = [None] * len(units)
    waiting = dict(enumerate(units))
    workers = max(1, min(workers, len(units)))
    ended_before = False
    with tqdm(total=len(units), desc=f"  {title}", unit=f" {unit_name}", dynamic_ncols=True, delay=0.2) as bar:
        while waiting:
            try:
                for number, result in _run(function, list(waiting.items()), workers):
                    results[number] = result
                    del waiting[number]
                    bar.update()
            except process_executor.TerminatedWorkerError:
                finished = f"{title}: {len(units) - len(waiting)} of {len(units)} {unit_name}s are finished and kept"
                if ended_before:
                    raise InputError(
                        f"{finished}, then a worker process was ended from outside, most likely because memory ran "
                        f"out; give the same command again with fewer --workers than {workers}"
                    ) from None
                ended_before, workers = True, max(2, workers // 2)  # not 1: it would end this process
                bar.write(f"  {finished}; a worker process was ended from outside, going on with {workers} of them")
    return results


def _run(function: Callable, units: Numbered, workers: int) -> Iterator[tuple[int, object]]:
    """The numbers and results of numbered units, as they are finished."""
    if _cluster is None and workers == 1:
        yield from ((number, function(unit)) for number, unit in units)
        return
    global _highest_peak
    measured = _cluster.run(function, units) if _cluster else _in_processes(function, units, workers)
    for number, result, peak in measured:
        _highest_peak = max(_highest_peak, peak)
        yield number, result


def _in_processes(function: Callable, units: Numbered, workers: int) -> Iterator[tuple[int, object, int]]:
    with joblib.parallel_config("loky", inner_max_num_threads=1):
        parallel = joblib.Parallel(n_jobs=workers, return_as="generator_unordered", batch_size=1)
        folder = Path.cwd()
        yield from parallel(joblib.delayed(_measured)(function, number, unit, folder) for number, unit in units)


def _measured(function: Callable, number: int, unit, folder: Path) -> tuple[int, object, int]:
    os.chdir(folder)  # a process of an earlier call may stand elsewhere, and units name files relative to it
    # Where psutil is installed, loky takes a worker that has loaded TensorFlow for one that leaks, and replaces it.
    process_executor._USE_PSUTIL = False
    return number, function(unit), peak_memory()


def release_workers() -> None:
    """End the processes that joblib keeps for the next call: what they have loaded for one step goes with them."""
    get_reusable_executor().shutdown(wait=True)


@contextmanager
def scheduler(address: str | None, shared: Sequence[Path] = ()) -> Iterator[str]:
    """Send units to the Dask cluster at `address` while the block runs; with None nothing changes.

    Parameters
    ----------
    address : str or None
        Of the scheduler, "tcp://host:port".
    shared : sequence of Path
        Absolute, folders that exist; workers must see them under the same names, and are asked.

    Yields
    ------
    str
        "2 Dask worker(s) at tcp://host:port", or nothing.

    Raises
    ------
    InputError
        Dask is not installed, nobody answers at that address, or no worker is connected there.
    """
    global _cluster
    if address is None:
        yield ""
        return
    from Utils.work.cluster import connected

    with connected(address, shared) as _cluster:
        try:
            yield f"{_cluster.count_workers()} Dask worker(s) at {address}"
        finally:
            _cluster = None


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peak_memory() -> int:
    """The most memory that this process has had, in bytes; 0 where the system does not tell (Windows).

    Linux is asked for the high-water mark of this program: `ru_maxrss` begins with that of the process that started it.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        if found := re.search(r"^VmHWM:\s*(\d+) kB", status, re.MULTILINE):
            return int(found[1]) * 1024
    except OSError:
        pass  # not Linux
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if os.uname().sysname == "Darwin" else 1024)


def memory_report() -> str:
    """One line on the peak memory of this process and of those that ran its units; empty where it is not known."""
    if not (main := peak_memory()):
        return ""
    workers = f", worker at most {_highest_peak / 1e9:.1f} GB" if _highest_peak else ""
    return f"peak memory: main {main / 1e9:.1f} GB{workers}"
