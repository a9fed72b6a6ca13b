"""The one way to run units of work (a video, a fold): side by side, with a progress bar.

Units run in processes on this machine, or on a Dask cluster (`connect`). They are independent, and each writes its own
result: what is finished stays finished, whatever happens to the others.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import joblib
from joblib.externals.loky import get_reusable_executor, process_executor
from tqdm import tqdm

from Utils.errors import InputError
from Utils.work.machine import peak_memory

Numbered = list[tuple[int, object]]


class Workers:
    """Who does the work: processes of this machine, or the workers of a Dask cluster.

    Attributes
    ----------
    count : int
        Processes at most; with one, everything runs in this process. A cluster uses all the workers it has.
    cluster : Utils.work.cluster.Cluster or None
    highest_peak : int
        Bytes; the most memory that one of the other processes has had.
    """

    def __init__(self, count: int = 1, cluster=None) -> None:
        self.count, self.cluster, self.highest_peak = count, cluster, 0

    def __str__(self) -> str:
        return str(self.cluster) if self.cluster else f"{self.count} worker(s)"

    def memory_report(self) -> str:
        """One line on the peak memory of this process and of those that worked for it; empty where it is not known."""
        if not (main := peak_memory()):
            return ""
        workers = f", worker at most {self.highest_peak / 1e9:.1f} GB" if self.highest_peak else ""
        return f"peak memory: main {main / 1e9:.1f} GB{workers}"


@contextmanager
def connect(count: int, address: str | None = None, shared: Sequence[Path] = ()) -> Iterator[Workers]:
    """Workers while the block runs: `count` processes, or those of the Dask cluster at `address`.

    Parameters
    ----------
    count : int
    address : str or None
        Of the scheduler, "tcp://host:port".
    shared : sequence of Path
        Absolute, folders that exist; the cluster's workers must see them under the same names, and are asked.

    Raises
    ------
    InputError
        Dask is not installed, nobody answers at that address, or no worker is connected there.
    """
    if address is None:
        yield Workers(count)
        return
    from Utils.work.cluster import connected

    with connected(address, shared) as cluster:
        yield Workers(count, cluster)


def run_units(function: Callable, units: Sequence, workers: Workers | int, title: str, unit_name: str) -> list:
    """`[function(unit) for unit in units]`, in order, side by side.

    Parameters
    ----------
    function : callable
        Of a module (processes import it); one argument, a result that can be sent between processes.
    units : sequence
        Independent of each other.
    workers : Workers or int
        A number stands for so many processes of this machine.
    title, unit_name : str
        For the progress bar: "features", "video".

    Raises
    ------
    InputError
        Worker processes were ended from outside (lack of memory) twice, or the cluster is gone.
    Whatever `function` raises; units that were finished before stay finished (each writes its own result).
    """
    workers = Workers(workers) if isinstance(workers, int) else workers
    results: list = [None] * len(units)
    waiting = dict(enumerate(units))
    count = max(1, min(workers.count, len(units)))
    ended_before = False
    with tqdm(total=len(units), desc=f"  {title}", unit=f" {unit_name}", dynamic_ncols=True, delay=0.2) as bar:
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
                ended_before, count = True, max(2, count // 2)  # not 1: it would end this process
                bar.write(f"  {finished}; a worker process was ended from outside, going on with {count} of them")
    return results


def _run(function: Callable, units: Numbered, workers: Workers, count: int) -> Iterator[tuple[int, object]]:
    """The numbers and results of numbered units, as they are finished."""
    if workers.cluster is None and count == 1:
        yield from ((number, function(unit)) for number, unit in units)
        return
    measured = workers.cluster.run(function, units) if workers.cluster else _in_processes(function, units, count)
    for number, result, peak in measured:
        workers.highest_peak = max(workers.highest_peak, peak)
        yield number, result


def _in_processes(function: Callable, units: Numbered, count: int) -> Iterator[tuple[int, object, int]]:
    with joblib.parallel_config("loky", inner_max_num_threads=1):
        parallel = joblib.Parallel(n_jobs=count, return_as="generator_unordered", batch_size=1)
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
