"""What the figures were measured on: date, processor, versions."""

from __future__ import annotations

import datetime
import os
import platform
from pathlib import Path

import llvmlite.binding

from Utils.work.lanes import LANES
from Utils.work.machine import git_revision, version

SHOWN = ("tensorflow", "keras", "numpy", "numba", "opencv-contrib-python-headless", "dlib-bin", "pandas")


def processor() -> str:
    """The processor's name in Linux, and in LLVM, which chooses the instructions by it."""
    name = platform.processor() or platform.machine()
    about = Path("/proc/cpuinfo")
    if about.exists():
        models = [line.split(":", 1)[1].strip() for line in about.read_text().splitlines() if line[:10] == "model name"]
        name = models[0] if models else name
    return f"{name} ({llvmlite.binding.get_host_cpu_name()}, vectors of up to {LANES} floats)"


def machine() -> str:
    """Two lines: date, processor, cores and commit; versions."""
    versions = ", ".join(f"{name} {version(name)}" for name in SHOWN)
    where = f"{datetime.date.today()}, {processor()}, {os.cpu_count()} cores, commit {git_revision() or 'not known'}"
    return f"{where}\nPython {platform.python_version()}, {versions}"


def load() -> str:
    """A line on how busy the machine is now; "" if this is not known."""
    return (
        f"processes that wanted a core in the last minute: {os.getloadavg()[0]:.1f}"
        if hasattr(os, "getloadavg")
        else ""
    )
