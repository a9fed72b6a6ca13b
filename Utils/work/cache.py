"""Results on disk. They are written whole or not at all, and recognised by a key made from what they depend on."""

from __future__ import annotations

import errno
import hashlib
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

from Utils.errors import InputError

UMASK = os.umask(0)  # the permissions that new files do not get; it can only be read by setting it
os.umask(UMASK)
KEY_DIGITS = 20  # hexadecimal digits: 80 bits, so two results do not get the same key by chance
MACHINE_DIGITS = 8
NAME_SHOWN = 40  # characters of a result's name that begin the name of its scratch
LONGEST_NAME = 255  # bytes of a file's name, on most file systems
BLOCK = 1 << 20  # bytes that are read at once
FOLDER_IN_THE_WAY = (errno.ENOTEMPTY, errno.EEXIST)  # errors of renaming onto a folder that has files
CANNOT_FLUSH = (errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EACCES)  # errors of systems that cannot flush this
LEFT_AFTER = 7 * 24 * 3600  # seconds without a change after which scratch of another machine counts as left over

# Scratch is a hidden file or folder beside the result that it becomes: `.name-machine.process-random.part`
SCRATCH = re.compile(r"\..*\b(?P<machine>[0-9a-f]{8})\.(?P<process>\d+)-[a-z0-9_]+\.(part|old)(\.\w+)?")


def key_of(**parts) -> str:
    """A key of `KEY_DIGITS` hexadecimal digits for parts that JSON can hold. Equal parts give an equal key."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_DIGITS]


def files_fingerprint(paths: Iterable[Path]) -> str:
    """SHA-256 (hexadecimal) of the names, sizes and times of change of files. Their bytes are not read.

    Raises InputError if a file is missing or cannot be accessed.
    """
    digest = hashlib.sha256()
    for path in paths:
        try:
            stat = path.stat()
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None
        digest.update(f"{path.name}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256 (hexadecimal) of a file's bytes. Raises OSError if it cannot be read."""
    with path.open("rb") as file:
        if hasattr(hashlib, "file_digest"):
            return hashlib.file_digest(file, "sha256").hexdigest()
        return _hash_blocks(file)


def _hash_blocks(file) -> str:
    """What `hashlib.file_digest` does, for Python 3.10, which does not have it."""
    digest = hashlib.sha256()
    while block := file.read(BLOCK):
        digest.update(block)
    return digest.hexdigest()


@contextmanager
def atomic_folder(
    final: Path, is_finished: Callable[[], bool] = lambda: False, flushed: bool = False
) -> Iterator[Path]:
    """A new folder beside `final`. When the `with` block ends without an error, it is renamed to `final`.

    An earlier `final` is replaced, unless `is_finished()` is true by then. In that case another run has finished the
    same result and may be reading it, so it stays and the new folder is removed.

    Parameters
    ----------
    final : Path
    is_finished : callable
        Whether `final` is a finished result.
    flushed : bool
        Whether the files are on the disk before they get their names, so that a power cut leaves the old folder or the
        new one. What is kept in the cache is not: its checksums show damage, and it is made again.

    Yields
    ------
    Path
        The new folder, empty.
    """
    with _scratch_folder(final) as scratch:
        yield scratch
        if flushed:
            flush_all(scratch)
        while not is_finished():
            try:
                os.replace(scratch, final)
                if flushed:
                    flush(final.parent)
                return
            except OSError as error:
                if error.errno not in FOLDER_IN_THE_WAY and not final.is_dir():
                    raise
                old = Path(tempfile.mkdtemp(prefix=scratch_prefix(final), suffix=".old", dir=final.parent))
                try:
                    os.replace(final, old / "old")
                except FileNotFoundError:
                    pass  # another run has moved it away in the meantime: try again
                finally:
                    shutil.rmtree(old, ignore_errors=True)


def write_new_folder(wanted: Path, write: Callable[[Path], None]) -> Path:
    """Let `write(folder)` fill a new folder, and give it the first free name of `wanted`, `wanted-2`, ...

    The folder appears whole or not at all. It never replaces another one, not even one that another process puts there
    in the same moment. Returns its path.
    """
    with _scratch_folder(wanted) as scratch:
        write(scratch)
        flush_all(scratch)
        final, again = wanted, 1
        while not _take_name(scratch, final):
            again += 1
            final = wanted.with_name(f"{wanted.name}-{again}")
    flush(final.parent)
    return final


def flush_all(folder: Path) -> None:
    """Wait until everything in a folder is on the disk."""
    for path in folder.rglob("*"):
        flush(path)
    flush(folder)


def flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk. Where a system cannot do this, nothing happens."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return  # Windows opens no folders
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in CANNOT_FLUSH:
            raise
    finally:
        os.close(handle)


def _take_name(scratch: Path, final: Path) -> bool:
    """Rename a folder, unless something has that name already. Returns whether it was renamed."""
    if final.exists():
        return False
    try:
        scratch.rename(final)
    except OSError:
        if final.exists():  # another process has just taken the name
            return False
        raise
    return True


@contextmanager
def _scratch_folder(final: Path) -> Iterator[Path]:
    """An empty folder beside `final`. It is removed at the end, if it is still there."""
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
    """A path beside `final`, with the same suffix. When the `with` block ends without an error, it replaces `final`."""
    with scratch_file(final) as scratch:
        yield scratch
        scratch.chmod(0o666 & ~UMASK)
        flush(scratch)
        os.replace(scratch, final)
        flush(final.parent)


@contextmanager
def scratch_file(final: Path) -> Iterator[Path]:
    """An empty file beside `final`, with the same suffix. It is removed at the end, if it is still there."""
    final.parent.mkdir(parents=True, exist_ok=True)
    if not SCRATCH.fullmatch(final.parent.name):
        remove_leftovers(final.parent)
    handle, name = tempfile.mkstemp(prefix=scratch_prefix(final), suffix=f".part{final.suffix}", dir=final.parent)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def scratch_prefix(final: Path) -> str:
    """The beginning of the name of scratch: `.name-machine.process-`."""
    return f".{final.name[:NAME_SHOWN]}-{_machine()}.{os.getpid()}-"


@lru_cache(maxsize=1)
def _machine() -> str:
    """Eight digits that identify this machine, its boot and its container.

    Processes with the same digits share one numbering: a process's number tells whether it is still running.
    """
    parts = [platform.node()]
    with suppress(OSError):  # not Linux
        parts += [Path("/proc/sys/kernel/random/boot_id").read_text(), str(Path("/proc/self/ns/pid").readlink())]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:MACHINE_DIGITS]


def remove_leftovers(folder: Path, depth: int = 0) -> None:
    """Remove the scratch that killed runs left in a folder, and in its subfolders down to `depth` levels.

    Scratch of a process of this machine is left over if that process is gone. Scratch of another machine is left over
    if nothing in it has changed for a week.
    """
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return  # the folder is missing or may not be read
    for entry in entries:
        if (owner := SCRATCH.fullmatch(entry.name)) and _is_left_over(Path(entry.path), owner):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                Path(entry.path).unlink(missing_ok=True)
        elif depth and not owner and entry.is_dir(follow_symlinks=False):
            remove_leftovers(Path(entry.path), depth - 1)


def _is_left_over(scratch: Path, owner: re.Match) -> bool:
    if owner["machine"] == _machine() and os.name == "posix":  # on Windows signal 0 is Ctrl-C
        try:
            os.kill(int(owner["process"]), 0)
        except ProcessLookupError:
            return True
        except OSError:
            pass  # it is running and belongs to another user
        return False  # the time of change does not count: the clock may have jumped since
    try:
        changed = max(path.lstat().st_mtime for path in (scratch, *(scratch.iterdir() if scratch.is_dir() else ())))
    except OSError:
        return False  # it is being removed or renamed at this moment
    return time.time() - changed > LEFT_AFTER


def write_json(path: Path, value) -> None:
    """Write a value as indented JSON, whole or not at all. ValueError if it holds NaN or infinity: they are no JSON."""
    with atomic_file(path) as scratch:
        scratch.write_text(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path):
    """The value of a JSON file. None if the file is missing, cannot be read or is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def require_writable(folder: Path, flag: str) -> None:
    """Make `folder` if needed, and try to write a file in it.

    Raises InputError, which names the flag that chooses the folder, if that is not possible.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}); choose another folder with {flag}") from None
