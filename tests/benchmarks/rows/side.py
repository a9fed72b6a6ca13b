"""Processes that train and predict: as the project does, as an earlier commit did, and in the published way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.benchmarks.rows.process import SIDES
from tests.benchmarks.table import NotMeasured
from tests.benchmarks.timing import ONE_THREAD
from Utils.settings import PROJECT

EARLIER = "e186982"  # the commit that issue 15 compares with


class SideFailed(RuntimeError):
    """A side has ended with an error; the text is its last line."""


class Side:
    """A process of `sides/networks.py`, with the code of the folder `root`. It ends when the `with` block ends."""

    def __init__(self, name: str, root: Path = PROJECT) -> None:
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115  see __exit__
        self._process = subprocess.Popen(
            [sys.executable, SIDES / "networks.py", name], cwd=root,
            env={**os.environ, **ONE_THREAD, "PYTHONPATH": str(root)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True,
        )  # fmt: skip

    def __enter__(self) -> Side:
        return self

    def __exit__(self, *_) -> None:
        self._process.kill()
        self._process.wait()
        with suppress(BrokenPipeError):  # a question that was never read
            self._process.stdin.close()
        self._process.stdout.close()
        self._errors.close()

    def ask(self, name: str, *arguments) -> float:
        """What a method of the side returns. Raises SideFailed if the process ends."""
        with suppress(BrokenPipeError):  # it has ended, as the missing answer shows
            self._process.stdin.write(json.dumps([name, *arguments]) + "\n")
            self._process.stdin.flush()
        if answer := self._process.stdout.readline():
            return json.loads(answer)
        self._process.wait()
        self._errors.seek(0)
        raise SideFailed((self._errors.read().strip().splitlines() or ["it has ended"])[-1])


@contextmanager
def earlier_side() -> Iterator[Side]:
    """The project at the commit `EARLIER`, from a temporary worktree. Raises NotMeasured if git does not have it."""
    with tempfile.TemporaryDirectory(prefix="mean-earlier-") as folder:
        place = Path(folder) / EARLIER
        _git("worktree", "add", "--detach", str(place), EARLIER)
        try:
            with Side("earlier", place) as side:
                yield side
        finally:
            _git("worktree", "remove", "--force", str(place))


def _git(*arguments: str) -> None:
    """Run git, without hooks. Raises NotMeasured if that fails."""
    try:
        done = subprocess.run(
            ["git", "-C", PROJECT, "-c", f"core.hooksPath={os.devnull}", *arguments], capture_output=True, text=True
        )  # fmt: skip
    except OSError as error:
        raise NotMeasured(f"git cannot be run ({error.strerror})") from None
    if done.returncode:
        raise NotMeasured(f"commit {EARLIER} is not to be had: {done.stderr.strip().splitlines()[-1]}")
