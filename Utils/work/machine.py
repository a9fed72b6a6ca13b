"""Facts about the machine and the program: cores, memory, versions, and the git commit."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from contextlib import suppress
from pathlib import Path

from Utils.settings import PROJECT

KIB = 1024  # bytes
GIT_WITHIN = 10  # seconds; after that the commit counts as unknown
COMMIT_DIGITS = 12  # hexadecimal digits of the commit

# The packages that a result may depend on
PACKAGES = ("tensorflow", "keras", "numpy", "scipy", "numba", "opencv-contrib-python-headless", "dlib-bin", "pandas")


def cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peak_memory() -> int:
    """The most memory that this process has used, in bytes. 0 if the system does not report it (Windows).

    On Linux, `/proc` is read, because `ru_maxrss` starts with the memory of the process that started this one.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        if found := re.search(r"^VmHWM:\s*(\d+) kB", status, re.MULTILINE):
            return int(found[1]) * KIB
    except OSError:
        pass  # not Linux
    try:
        import resource
    except ImportError:
        return 0
    unit = 1 if os.uname().sysname == "Darwin" else KIB  # macOS counts bytes, other systems KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def versions() -> dict[str, str | None]:
    """The versions of Python and of the packages that a result may depend on. None: the package is not installed."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def version(package: str) -> str | None:
    """The installed version of a package. None if it is not installed."""
    from importlib import metadata  # here, because `main.py --help` need not wait for it

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def keras_backend() -> str:
    """The library with which Keras computes, and its version, such as "tensorflow 2.20.0". The library is not loaded.

    It is found as Keras finds it: by the environment variable KERAS_BACKEND, else by `keras.json`, else TensorFlow.
    """
    name = os.environ.get("KERAS_BACKEND")
    if not name:
        home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
        with suppress(OSError, ValueError, AttributeError):  # most machines have no such file
            name = json.loads(Path(home, "keras.json").read_text(encoding="utf-8")).get("backend")
    name = name or "tensorflow"
    number = version(name)
    return f"{name} {number}" if number else name  # without a number the package has another name: tensorflow-cpu


def git_revision() -> str | None:
    """The git commit of this program, with `-dirty` if files were changed. None if this is not a git checkout."""
    try:
        done = subprocess.run(
            ["git", "-C", str(PROJECT), "describe", "--always", "--dirty", f"--abbrev={COMMIT_DIGITS}", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=GIT_WITHIN,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
