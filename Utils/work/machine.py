"""What machine this is: cores, memory, versions, and the commit that runs."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import subprocess
from contextlib import suppress
from pathlib import Path

from Utils.settings import PROJECT

# The packages that a result may depend on.
PACKAGES = ("tensorflow", "keras", "numpy", "scipy", "numba", "opencv-contrib-python-headless", "dlib-bin", "pandas")


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


def versions() -> dict[str, str | None]:
    """Of Python and of the packages that a result may depend on; None for a package that is not installed."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def version(package: str) -> str | None:
    """Installed version of a package, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def keras_backend() -> str:
    """The library with which Keras computes, and its version: "tensorflow 2.20.0". The library is not loaded.

    The choice is Keras's own: the environment variable KERAS_BACKEND, else `keras.json`, else TensorFlow.
    """
    name = os.environ.get("KERAS_BACKEND")
    if not name:
        home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
        with suppress(OSError, ValueError, AttributeError):  # most machines have no such file
            name = json.loads(Path(home, "keras.json").read_text(encoding="utf-8")).get("backend")
    name = name or "tensorflow"
    try:
        return f"{name} {importlib.metadata.version(name)}"
    except importlib.metadata.PackageNotFoundError:
        return name  # the package has another name, such as tensorflow-cpu


def git_revision() -> str | None:
    """The commit that ran, with `-dirty` where files were changed; None outside a git checkout."""
    try:
        done = subprocess.run(
            ["git", "-C", str(PROJECT), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
