"""Runs units of work (a video, a fold), several at the same time, and shows progress.

Units run in processes on this machine, or on a Dask cluster (`connect`). They are independent, and each writes its own
result. So a finished unit stays finished, whatever happens to the others.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import joblib
from joblib.externals.loky import get_reusable_executor, process_executor

from Utils.errors import InputError
from Utils.work.machine import peak_memory
from Utils.work.progress import progress

Numbered = list[tuple[int, object]]  # units with their positions
FEWEST_PROCESSES = 2  # after a process was ended: with one, units would run in this process, and it could be ended


class Workers:
    """What runs the units: processes of this machine, or the workers of a Dask cluster.

    Attributes
    ----------
    count : int
        Greatest number of processes. With 1, all units run in this process. A cluster uses all its workers instead.
    cluster : Utils.work.cluster.Cluster or None
    highest_peak : int
        The most memory that any other process has used for a unit, bytes.
    """

    def __init__(self, count: int = 1, cluster=None) -> None:
        self.count, self.cluster, self.highest_peak = count, cluster, 0

    def __str__(self) -> str:
        return str(self.cluster) if self.cluster else f"{self.count} worker(s)"

    def memory_report(self) -> str:
        """A line on the peak memory of this process and of those that worked for it; "" if it is not known."""
        if not (main := peak_memory()):
            return ""
        workers = f", worker at most {self.highest_peak / 1e9:.1f} GB" if self.highest_peak else ""
        return f"peak memory: main {main / 1e9:.1f} GB{workers}"


@contextmanager
def connect(count: int, address: str | None = None, shared: Sequence[Path] = ()) -> Iterator[Workers]:
    """Give the workers for a `with` block: `count` processes, or those of the Dask cluster at `address`.

    Parameters
    ----------
    count : int
    address : str or None
        Address of the scheduler, "tcp://host:port". None: processes of this machine.
    shared : sequence of Path
        Folders that exist, with absolute paths. Workers of a cluster must see them under the same paths, which is
        checked.

    Raises
    ------
    InputError
        Dask is not installed, no scheduler answers at that address, or no worker is connected to it.
    """
    if address is None:
        yield Workers(count)
        return
    from Utils.work.cluster import connected

    with connected(address, shared) as cluster:
        yield Workers(count, cluster)


def run_units(function: Callable, units: Sequence, workers: Workers | int, title: str, unit_name: str) -> list:
    """`[function(unit) for unit in units]`, but with several units at the same time.

    Parameters
    ----------
    function : callable
        It must be at the top level of a module, because processes import it. It takes one argument. Argument and result
        are sent between processes.
    units : sequence
        They must not depend on each other.
    workers : Workers or int
        An int is the number of processes of this machine.
    title, unit_name : str
        Texts of the progress bar, such as "features" and "video".

    Returns
    -------
    list
        The results, in the order of `units`.

    Raises
    ------
    InputError
        Worker processes were ended from outside twice (for example, because memory ran out), or the cluster does not
        answer any more.
    Exception
        Whatever `function` raises. Units that were finished before stay finished, as each has written its result.
    """
    workers = Workers(workers) if isinstance(workers, int) else workers
    results: list = [None] * len(units)
    waiting = dict(enumerate(units))
    count = max(1, min(workers.count, len(units)))
    ended_before = False
    with progress(total=len(units), title=title, unit=unit_name) as bar:
        while waiting:
            try:
                for number, result in _run(function, list(waiting.items()), workers, count):
                    results[number] = result
                    del waiting[number]
                    bar.update()
            except process_executor.TerminatedWorkerError:
                finished = f"{title}: {len(units) - len(waiting)} of {len(units)} {unit_name}s are finished and kept"
                if ended_before:
                    raise InputError(
                        f"{finished}, then a worker process was ended from outside, most likely because memory ran "
                        f"out; give the same command again with fewer --workers than {count}"
                    ) from None
                ended_before, count = True, max(FEWEST_PROCESSES, count // 2)
                bar.write(f"  {finished}; a worker process was ended from outside, continuing with {count} of them")
    return results


def _run(function: Callable, units: Numbered, workers: Workers, count: int) -> Iterator[tuple[int, object]]:
    """The numbers and the results of units, in the order in which they are finished."""
    if workers.cluster is None and count == 1:
        yield from ((number, function(unit)) for number, unit in units)
        return
    measured = workers.cluster.run(function, units) if workers.cluster else _in_processes(function, units, count)
    for number, result, peak in measured:
        workers.highest_peak = max(workers.highest_peak, peak)
        yield number, result


def _in_processes(function: Callable, units: Numbered, count: int) -> Iterator[tuple[int, object, int]]:
    """The numbers, results and peak memories (bytes) of units that run in `count` processes of this machine."""
    with joblib.parallel_config("loky", inner_max_num_threads=1):
        parallel = joblib.Parallel(n_jobs=count, return_as="generator_unordered", batch_size=1)
        folder = Path.cwd()
        yield from parallel(joblib.delayed(_measured)(function, number, unit, folder) for number, unit in units)


def _measured(function: Callable, number: int, unit, folder: Path) -> tuple[int, object, int]:
    """Run one unit in this worker process: its number, its result, and the process's peak memory in bytes."""
    os.chdir(folder)  # paths in units can be relative, and a process of an earlier call may be in another folder
    # If psutil is installed, loky replaces workers whose memory grows, as it does in every training
    process_executor._USE_PSUTIL = False
    return number, function(unit), peak_memory()


def release_workers() -> None:
    """End the processes that joblib keeps for the next call, to free the memory of what they have loaded."""
    get_reusable_executor().shutdown(wait=True)
