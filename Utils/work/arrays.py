"""Arrays on disk: `.npy` files with a checksum behind the data, which NumPy does not read.

The checksum shows damage that the file's header and length do not show, such as a block of zeros after a power cut. It
is CRC-32, because that is in Python's standard library and takes about a hundredth of a second for a minute of video.
Files without a checksum, which earlier versions wrote, are accepted.
"""

from __future__ import annotations

import io
import struct
import tokenize
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

MARK = b"MEAN-crc"
TRAILER = struct.Struct("<8sI")  # the mark, then the checksum of everything before it
BLOCK = 1 << 20  # bytes that are read at once


class CheckedFile:
    """A file that is written from its beginning, and whose checksum is known."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.checksum = 0

    def write(self, data: bytes) -> int:
        """Write bytes behind the others."""
        self.checksum = zlib.crc32(data, self.checksum)
        return self._file.write(data)


@contextmanager
def checked_file(path: Path) -> Iterator[CheckedFile]:
    """A file to write a `.npy` to. The checksum is added when the `with` block ends."""
    with path.open("wb") as file:
        checked = CheckedFile(file)
        yield checked
        file.write(TRAILER.pack(MARK, checked.checksum))


def write_array(path: Path, array: np.ndarray) -> None:
    """Write a `.npy` file, with its checksum.

    If the disk is full, the OSError has a reason. The error of `np.save(path)` has none.
    """
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    data = content.getbuffer()
    path.write_bytes(b"".join((data, TRAILER.pack(MARK, zlib.crc32(data)))))


def is_array(path: Path) -> bool:
    """Whether a `.npy` file is there, whole, undamaged, and without Python objects. Otherwise it must be made again."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        with path.open("rb") as file:
            return _is_undamaged(file, array.offset + array.nbytes)
    except (OSError, ValueError, EOFError, SyntaxError, tokenize.TokenError):  # the last two: of a damaged header
        return False


def _is_undamaged(file: BinaryIO, length: int) -> bool:
    """Whether the first `length` bytes of a file have the checksum that follows them, or nothing follows them."""
    checksum, left = 0, length
    while left:
        block = file.read(min(left, BLOCK))
        if not block:
            return False
        checksum, left = zlib.crc32(block, checksum), left - len(block)
    trailer = file.read(TRAILER.size + 1)
    return trailer in (b"", TRAILER.pack(MARK, checksum))
