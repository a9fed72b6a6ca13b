"""Arrays on disk: damage is seen, and what earlier versions wrote is accepted."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Utils.work import cache
from Utils.work.arrays import TRAILER, checked_file, is_array, write_array
from Utils.work.cache import atomic_file, atomic_folder, write_new_folder

ARRAYS = [np.arange(7, dtype=np.float32), np.zeros((3, 4, 2)), np.array(["s1", "s2"]), np.array(5)]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}{a.shape}")
def test_numpy_reads_what_was_written(array, tmp_path):
    path = tmp_path / "a.npy"
    write_array(path, array)
    assert is_array(path)
    for mode in (None, "r"):
        found = np.load(path, mmap_mode=mode, allow_pickle=False)
        assert found.dtype == array.dtype and np.array_equal(found, array)


def test_written_piece_by_piece_it_has_the_same_bytes(tmp_path):
    array = np.arange(60, dtype="<f4").reshape(5, 12)
    write_array(tmp_path / "a.npy", array)
    with checked_file(tmp_path / "b.npy") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (5, 12)})
        for row in array:
            file.write(row.tobytes())
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_changed_byte_of_the_data_or_the_checksum_is_seen(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("arrays") / "a.npy"
    write_array(path, np.arange(300, dtype=np.float32))
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    assert not is_array(path)


@pytest.mark.parametrize("cut", [1, TRAILER.size - 1, TRAILER.size + 1, TRAILER.size + 400])
def test_a_file_that_is_cut_short_is_refused(cut, tmp_path):
    path = tmp_path / "a.npy"
    write_array(path, np.arange(300, dtype=np.float32))
    path.write_bytes(path.read_bytes()[:-cut])
    assert not is_array(path)


def test_a_block_of_zeros_in_a_large_file_is_seen(tmp_path):
    """What a power cut can leave: the length is right, and a part of the data was never written."""
    path = tmp_path / "a.npy"
    write_array(path, np.random.default_rng(0).random((3, 1 << 17)))
    content = bytearray(path.read_bytes())
    content[2 << 20 : (2 << 20) + 4096] = bytes(4096)
    path.write_bytes(content)
    assert not is_array(path)


def test_files_of_earlier_versions_are_accepted(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(9))
    assert is_array(tmp_path / "a.npy")


@pytest.mark.parametrize("content", [b"", b"text", b"\x93NUMPY"], ids=["empty", "text", "header only"])
def test_what_is_no_array(content, tmp_path):
    (tmp_path / "a.npy").write_bytes(content)
    assert not is_array(tmp_path / "a.npy") and not is_array(tmp_path / "missing.npy")
    np.save(tmp_path / "o.npy", np.array([{}], object), allow_pickle=True)
    assert not is_array(tmp_path / "o.npy")


# What is finished is on the disk before it gets its name


@pytest.fixture
def done(monkeypatch) -> list[tuple[str, str]]:
    """What is flushed and renamed, in order: ("flush", name) and ("name", new name)."""
    order: list[tuple[str, str]] = []
    names: dict[int, str] = {}
    opened, replaced, renamed = os.open, os.replace, cache._take_name

    def open_file(path, *more, **flags):
        handle = opened(path, *more, **flags)
        names[handle] = os.path.basename(os.fspath(path))  # noqa: PTH119
        return handle

    def replace(source, target):
        order.append(("name", os.path.basename(os.fspath(target))))  # noqa: PTH119
        replaced(source, target)

    def take(scratch, final):
        order.append(("name", final.name))
        return renamed(scratch, final)

    monkeypatch.setattr(cache.os, "open", open_file)
    monkeypatch.setattr(cache.os, "fsync", lambda handle: order.append(("flush", names[handle])))
    monkeypatch.setattr(cache.os, "replace", replace)
    monkeypatch.setattr(cache, "_take_name", take)
    return order


def test_a_file_is_flushed_before_it_gets_its_name(tmp_path, done):
    with atomic_file(tmp_path / "a.json") as scratch:
        scratch.write_text("{}")
    assert [what for what, _ in done] == ["flush", "name", "flush"]
    assert done[0][1].endswith(".part.json") and done[1:] == [("name", "a.json"), ("flush", tmp_path.name)]


def test_a_runs_folder_is_flushed_with_all_that_is_in_it(tmp_path, done):
    def write(folder):
        (folder / "figures").mkdir()
        (folder / "figures" / "a.png").write_bytes(b"x")
        (folder / "metrics.json").write_text("{}")

    write_new_folder(tmp_path / "run", write)
    before = [name for what, name in done[: done.index(("name", "run"))]]
    assert {"figures", "a.png", "metrics.json"} <= set(before) and done[-1] == ("flush", tmp_path.name)


@pytest.mark.parametrize("flushed", [True, False])
def test_a_folder_of_the_cache_is_only_flushed_if_asked(flushed, tmp_path, done):
    with atomic_folder(tmp_path / "video", flushed=flushed) as folder:
        (folder / "a.csv").write_text("x")
    assert (("flush", "a.csv") in done[: done.index(("name", "video"))]) == flushed
    assert (done[-1] == ("flush", tmp_path.name)) == flushed


def test_a_disk_that_cannot_flush_is_no_error_and_a_broken_one_is(tmp_path, monkeypatch):
    def fails(number: int):
        def fsync(handle: int) -> None:
            raise OSError(number, os.strerror(number))

        return fsync

    (tmp_path / "a").write_text("x")
    monkeypatch.setattr(cache.os, "fsync", fails(cache.errno.EINVAL))
    cache.flush(tmp_path / "a")
    monkeypatch.setattr(cache.os, "fsync", fails(cache.errno.EIO))
    with pytest.raises(OSError):
        cache.flush(tmp_path / "a")
