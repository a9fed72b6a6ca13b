"""Results on disk: written whole or not at all, and recognised by a key made from what they depend on."""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

import numpy as np

from Utils.errors import InputError

UMASK = os.umask(0)  # what the user keeps from others; it can only be read by setting it
os.umask(UMASK)
LONGEST_NAME = 255  # bytes of a file's name, on most file systems
LEFT_AFTER = 7 * 24 * 3600  # seconds without a change after which nobody's scratch is still in use
SCRATCH = re.compile(r"\..*\b(?P<machine>[0-9a-f]{8})\.(?P<process>\d+)-[a-z0-9_]+\.(part|old)(\.\w+)?")


def key_of(**parts) -> str:
    """A 20-digit key of JSON-serialisable parts: equal parts, equal key."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def files_fingerprint(paths: Iterable[Path]) -> str:
    """Fingerprint of files by name, size and time of change (their bytes are not read)."""
    digest = hashlib.sha256()
    for path in paths:
        try:
            stat = path.stat()
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None
        digest.update(f"{path.name}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return (
            hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _hash_blocks(file)
        )


def _hash_blocks(file) -> str:
    """`hashlib.file_digest` for Python 3.10."""
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


@contextmanager
def atomic_folder(final: Path, is_finished: Callable[[], bool] = lambda: False) -> Iterator[Path]:
    """A new folder beside `final` that takes its place when the block ends without an error.

    An earlier `final` is replaced, unless `is_finished()` then says that it is as good: another run was faster, and may
    be reading it.
    """
    with _scratch_folder(final) as scratch:
        yield scratch
        while not is_finished():
            try:
                os.replace(scratch, final)
                return
            except OSError:
                if not final.is_dir():
                    raise
                old = Path(tempfile.mkdtemp(prefix=scratch_prefix(final), suffix=".old", dir=final.parent))
                try:
                    os.replace(final, old / "old")
                except FileNotFoundError:
                    pass  # another run was faster: try again
                finally:
                    shutil.rmtree(old, ignore_errors=True)


def write_new_folder(wanted: Path, write: Callable[[Path], None]) -> Path:
    """Let `write(folder)` fill a new folder that then gets the first free name of `wanted`, `wanted-2`, ...

    It is there whole or not at all and takes the place of no other, not even of one that another process puts there in
    the same moment. Returns its path.
    """
    with _scratch_folder(wanted) as scratch:
        write(scratch)
        final, again = wanted, 1
        while not _take_name(scratch, final):
            again += 1
            final = wanted.with_name(f"{wanted.name}-{again}")
    return final


def _take_name(scratch: Path, final: Path) -> bool:
    """Rename a folder unless something has that name, also if it only now comes to be."""
    if final.exists():
        return False
    try:
        scratch.rename(final)
    except OSError:
        if final.exists():
            return False
        raise
    return True


@contextmanager
def _scratch_folder(final: Path) -> Iterator[Path]:
    """An empty folder beside `final`; what is left of it at the end is removed."""
    final.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(final.parent)
    scratch = Path(tempfile.mkdtemp(prefix=scratch_prefix(final), suffix=".part", dir=final.parent))
    try:
        scratch.chmod(0o777 & ~UMASK)
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def atomic_file(final: Path) -> Iterator[Path]:
    """A path beside `final`, with the same ending, that takes its place when the block ends without an error."""
    final.parent.mkdir(parents=True, exist_ok=True)
    if not SCRATCH.fullmatch(final.parent.name):
        remove_leftovers(final.parent)
    handle, name = tempfile.mkstemp(prefix=scratch_prefix(final), suffix=f".part{final.suffix}", dir=final.parent)
    os.close(handle)
    scratch = Path(name)
    try:
        yield scratch
        scratch.chmod(0o666 & ~UMASK)
        os.replace(scratch, final)
    finally:
        scratch.unlink(missing_ok=True)


def scratch_prefix(final: Path) -> str:
    """What a name of scratch begins with: `.name-machine.process-`."""
    return f".{final.name[:40]}-{_machine()}.{os.getpid()}-"


@lru_cache(maxsize=1)
def _machine() -> str:
    """Eight digits that are the same for processes whose numbers are of one list: this machine, boot and container."""
    parts = [platform.node()]
    with suppress(OSError):  # not Linux
        parts += [Path("/proc/sys/kernel/random/boot_id").read_text(), str(Path("/proc/self/ns/pid").readlink())]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]


def remove_leftovers(folder: Path, depth: int = 0) -> None:
    """Remove the scratch that killed runs left in a folder, and in the folders down to `depth` levels below it.

    Scratch is left over if its process was one of this machine and is gone; where that cannot be told, if nothing in it
    changed for a week.
    """
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return  # not there, or not ours to read
    for entry in entries:
        if (owner := SCRATCH.fullmatch(entry.name)) and _is_left_over(Path(entry.path), owner):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                Path(entry.path).unlink(missing_ok=True)
        elif depth and not owner and entry.is_dir(follow_symlinks=False):
            remove_leftovers(Path(entry.path), depth - 1)


def _is_left_over(scratch: Path, owner: re.Match) -> bool:
    if owner["machine"] == _machine() and os.name == "posix":  # elsewhere signal 0 is not harmless
        try:
            os.kill(int(owner["process"]), 0)
        except ProcessLookupError:
            return True
        except OSError:
            pass  # there, and another user's
        return False  # whatever the clock says: it may have jumped since
    try:
        changed = max(path.lstat().st_mtime for path in (scratch, *(scratch.iterdir() if scratch.is_dir() else ())))
    except OSError:
        return False  # just being removed or moved into place
    return time.time() - changed > LEFT_AFTER


def write_json(path: Path, value) -> None:
    """Write a value as indented JSON, whole or not at all. NaN is refused: it is no JSON."""
    with atomic_file(path) as scratch:
        scratch.write_text(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path):
    """The value of a JSON file, or None if the file is missing or not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def write_array(path: Path, array: np.ndarray) -> None:
    """Write a `.npy` file. Raises OSError with a reason if the disk is full, which `np.save` to a file does not."""
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    path.write_bytes(content.getbuffer())


def is_array(path: Path) -> bool:
    """Whether a `.npy` file is there and whole; one that is damaged, or not made of numbers, is to be made anew."""
    try:
        np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return False
    return True


def require_writable(folder: Path, flag: str) -> None:
    """Make `folder` if needed and write a file in it. Raises InputError naming the flag that chooses it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}); choose another folder with {flag}") from None
