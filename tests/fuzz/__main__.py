"""Fuzzing, guided by coverage: `python -m tests.fuzz --seconds 600` (all targets, one after the other).

python -m tests.fuzz --target csv --seconds 60
python -m tests.fuzz --seconds 600 --keep True    # what was found to reach more code is added to tests/fuzz/corpus

Needs atheris (Linux, Python 3.11 to 3.13). An input that raises anything but InputError, takes longer than 5 s or more
than 500 MB ends the run, and is left in `fuzz-findings`. Exit code 0 if there was none.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import os
import re
import subprocess
import sys
import tempfile
from contextlib import redirect_stderr
from functools import cache
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).resolve().parents[1]
CORPUS = TESTS / "fuzz/corpus"
NAMES = ("csv", "workbook", "names")
LIMITS = ("-timeout=5", "-rss_limit_mb=500", "-max_len=20000")
ROUND = 120  # seconds after which another process goes on: the fuzzer itself grows, by 0.4 KB per input
KEPT = 4000  # bytes at most of an input that is kept
UNREAD = ("chart", "chartsheet", "drawing", "pivot")  # packages of openpyxl for what the program does not read


@cache
def targets() -> dict:
    """The targets, instrumented. To load them takes seconds."""
    import atheris
    import pandas  # noqa: F401  not instrumented: it is large, and not what is looked at

    included = ["Utils", "main", "openpyxl", "xlrd", "tests.fuzz"]
    instrumented = atheris.instrument_imports(include=included, exclude=modules_of_openpyxl(UNREAD))
    with redirect_stderr(io.StringIO()), instrumented:  # it names each module
        import openpyxl  # noqa: F401
        import xlrd  # noqa: F401

        from tests.fuzz.targets import TARGETS, scratch
    scratch()  # before processes are forked: this one removes it, and they end without doing anything more
    return TARGETS


def modules_of_openpyxl(packages: tuple[str, ...]) -> list[str]:
    """The names of all modules in these packages. They are half of openpyxl, and to instrument them takes seconds."""
    (root,) = map(Path, importlib.util.find_spec("openpyxl").submodule_search_locations)
    files = [path.relative_to(root) for package in packages for path in (root / package).rglob("*.py")]
    return [".".join(("openpyxl", *path.with_suffix("").parts)).removesuffix(".__init__") for path in files]


def fuzz_here(name: str, arguments: list[str]) -> None:
    """Fuzz one target in this process; libFuzzer ends it."""
    import atheris

    itself = f"{sys.executable} -m tests.fuzz --here {name}"  # what libFuzzer gives to a shell when it merges
    atheris.Setup([itself, *arguments], targets()[name])
    atheris.Fuzz()


class Done(NamedTuple):
    """How a process ended: exit code, standard output and error stream."""

    code: int
    out: str
    err: str


def fuzz_in_a_fork(name: str, arguments: list[str]) -> Done:
    """Fuzz one target in a copy of this process, which has loaded the targets."""
    targets()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        sys.stdout.flush()
        sys.stderr.flush()
        process = os.fork()
        if not process:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            try:
                fuzz_here(name, arguments)
            finally:
                os._exit(1)  # libFuzzer has ended it before
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        said = []
        for stream in (out, err):
            stream.seek(0)
            said.append(stream.read().decode(errors="replace"))
        return Done(code, *said)


def fuzz(name: str, seconds: int, least: int, keep: bool) -> int:
    """Fuzz one target in processes of its own, and say in a line what was done.

    If a busy machine gets through fewer inputs than `least` in these seconds, this many follow.
    """
    findings = Path("fuzz-findings")
    findings.mkdir(exist_ok=True)
    executions, ran, code = 0, 0, 0
    with tempfile.TemporaryDirectory() as found:
        while (ran < seconds or executions < least) and not code:
            until = f"-max_total_time={min(ROUND, seconds - ran)}" if ran < seconds else f"-runs={least}"
            limits = [until, f"-artifact_prefix={findings}/{name}-", *LIMITS]
            done = fuzz_in_a_fork(name, [*limits, found, str(CORPUS / name)])
            code = done.code
            end = re.search(r"Done (\d+) runs in (\d+) second", done.err)
            tried = [int(n) for n in re.findall(r"^#(\d+)\t", done.err, re.MULTILINE)]
            executions += int(end[1]) if end else max(tried, default=0)
            ran += int(end[2]) if end else 0
            if not (end or code):
                raise SystemExit(f"{name}: the fuzzer did not say what it has done\n{done.err[-2000:]}")
        if keep:
            command = [sys.executable, "-m", "tests.fuzz", "--here", name]
            merge = ["-merge=1", f"-max_len={KEPT}", str(CORPUS / name), found]
            subprocess.run([*command, *merge], capture_output=True)
    print(f"{name}: {executions} executions in {ran} s, {'FAILED after them' if code else 'ok'}", flush=True)
    if code:
        print(done.out[-4000:], done.err[-2000:])
    if not any(findings.iterdir()):
        findings.rmdir()
    return code


def main() -> int:
    if sys.argv[1:2] == ["--here"]:
        fuzz_here(sys.argv[2], sys.argv[3:])
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--least", type=int, default=0, help="inputs for each target")
    parser.add_argument("--target", choices=NAMES, action="append", help="one of them (default: all)")
    parser.add_argument("--keep", choices=("True", "False"), default="False", help="add to the saved corpus")
    given = parser.parse_args()
    codes = [fuzz(name, given.seconds, given.least, given.keep == "True") for name in given.target or NAMES]
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
