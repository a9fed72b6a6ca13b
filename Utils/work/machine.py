"""Facts about the machine and the program: cores, memory, versions, and the git commit."""

from __future__ import annotations

import os
import platform
import re
import subprocess
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
