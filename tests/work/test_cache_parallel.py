"""Results on disk: whole or not at all, keyed by what they depend on. Units of work: in order, errors passed on."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.paths import PROJECT
from Utils.errors import InputError
from Utils.work.cache import (
    LEFT_AFTER,
    UMASK,
    _hash_blocks,
    atomic_file,
    atomic_folder,
    file_hash,
    files_fingerprint,
    key_of,
    read_json,
    remove_leftovers,
    require_writable,
    write_json,
    write_new_folder,
)
from Utils.work.machine import cores, peak_memory
from Utils.work.parallel import Workers, release_workers, run_units

# Whole or not at all


def test_a_file_appears_when_the_block_ends(tmp_path):
    final = tmp_path / "deep" / "table.csv"
    with atomic_file(final) as scratch:
        assert scratch.parent == final.parent
        assert scratch.suffix == ".csv"
        scratch.write_text("new")
        assert not final.exists()
    assert final.read_text() == "new"
    assert os.listdir(final.parent) == ["table.csv"]
    assert final.stat().st_mode & 0o777 == 0o666 & ~UMASK


def test_a_file_is_replaced_or_left_as_it_was(tmp_path):
    final = tmp_path / "a.json"
    write_json(final, [1])
    write_json(final, [2])
    assert read_json(final) == [2]
    with pytest.raises(RuntimeError), atomic_file(final) as scratch:
        scratch.write_text("half of")
        raise RuntimeError
    assert read_json(final) == [2]
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_folder_appears_when_the_block_ends(tmp_path):
    final = tmp_path / "deep" / "video"
    with atomic_folder(final) as scratch:
        (scratch / "inner").mkdir()
        (scratch / "inner" / "x").write_text("new")
        assert scratch.name.startswith(".")  # what reads the parent folder skips it
        assert not final.exists()
    assert (final / "inner" / "x").read_text() == "new"
    assert os.listdir(final.parent) == ["video"]
    assert final.stat().st_mode & 0o777 == 0o777 & ~UMASK


def test_a_folder_is_replaced_whole(tmp_path):
    final = tmp_path / "video"
    for content in ("old", "new"):
        with atomic_folder(final) as scratch:
            (scratch / content).write_text(content)
    assert os.listdir(final) == ["new"]
    assert os.listdir(tmp_path) == ["video"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_leaves_nothing_new(tmp_path, error):
    final = tmp_path / "video"
    for before in ([], ["old"]):
        with pytest.raises(error), atomic_folder(final) as scratch:
            (scratch / "half").write_text("")
            raise error
        assert os.listdir(tmp_path) == (["video"] if before else [])
        assert not before or os.listdir(final) == before
        if not before:
            final.mkdir()
            (final / "old").write_text("")


def test_a_file_in_the_place_of_a_folder_is_not_replaced(tmp_path):
    final = tmp_path / "video"
    final.write_text("a file")
    with pytest.raises(OSError), atomic_folder(final) as scratch:
        (scratch / "x").write_text("")
    assert final.read_text() == "a file"
    assert os.listdir(tmp_path) == ["video"]


def write_again_and_again(unit: tuple[int, Path]) -> int:
    """One of two writers of the same folder and file."""
    number, root = unit
    (root / f"ready{number}").touch()
    deadline = time.monotonic() + 20
    while not (root / f"ready{1 - number}").exists() and time.monotonic() < deadline:
        time.sleep(0.001)
    for _ in range(60):
        with atomic_folder(root / "folder") as scratch:
            for name in "abc":
                (scratch / name).write_text(str(number))
        with atomic_file(root / "file") as scratch:
            scratch.write_text(str(number) * 5000)
    return os.getpid()


def test_two_processes_write_the_same(tmp_path):
    processes = run_units(write_again_and_again, [(0, tmp_path), (1, tmp_path)], 2, "test", "unit")
    assert len(set(processes)) == 2
    assert len({(tmp_path / "folder" / name).read_text() for name in "abc"}) == 1
    assert (tmp_path / "file").read_text() in ("0" * 5000, "1" * 5000)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder", "ready0", "ready1"]


def test_a_folder_that_another_run_moves_away_in_the_meantime(tmp_path, monkeypatch):
    """The folder is in the way when ours gets its name, and is gone when we look at it."""
    replace, calls = os.replace, []

    def moved_away_at_once(source, target):
        calls.append(target)
        if len(calls) == 1:
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", moved_away_at_once)
    with atomic_folder(tmp_path / "video") as scratch:
        (scratch / "a").touch()
    assert os.listdir(tmp_path) == ["video"] and os.listdir(tmp_path / "video") == ["a"]


def test_a_finished_folder_of_a_faster_run_stays(tmp_path):
    final = tmp_path / "video"
    with atomic_folder(final, lambda: (final / "theirs").exists()) as scratch:
        (scratch / "ours").touch()
        final.mkdir()
        (final / "theirs").touch()
    assert os.listdir(final) == ["theirs"]
    assert os.listdir(tmp_path) == ["video"]


KILLED = """
import os, signal, sys
from pathlib import Path
from Utils.work.cache import atomic_file, atomic_folder
with atomic_folder(Path(sys.argv[1], "video")) as folder, atomic_file(Path(sys.argv[1], "a.csv")) as file:
    (folder / "half").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_new_folders_take_the_next_free_name(tmp_path):
    """Also if another run finishes while this one is writing."""
    wanted = tmp_path / "runs" / "run"

    def outer(folder: Path) -> None:
        (folder / "who").write_text("outer")
        assert write_new_folder(wanted, lambda other: other.joinpath("who").write_text("inner")) == wanted
        assert not list(wanted.parent.glob("run-*"))

    assert write_new_folder(wanted, outer) == wanted.with_name("run-2")
    assert {p.name: (p / "who").read_text() for p in wanted.parent.iterdir()} == {"run": "inner", "run-2": "outer"}


def test_a_folder_that_comes_to_be_in_the_last_moment_is_not_replaced(tmp_path, monkeypatch):
    rename = os.rename

    def other_first(source, target):
        if not (tmp_path / "run").exists():
            (tmp_path / "run").mkdir()
            (tmp_path / "run" / "who").write_text("other")
        rename(source, target)

    monkeypatch.setattr(os, "rename", other_first)
    final = write_new_folder(tmp_path / "run", lambda folder: folder.joinpath("who").write_text("mine"))
    assert final == tmp_path / "run-2" and (final / "who").read_text() == "mine"
    assert (tmp_path / "run" / "who").read_text() == "other"
    assert sorted(os.listdir(tmp_path)) == ["run", "run-2"]


def test_a_new_folder_that_cannot_be_finished_is_not_there(tmp_path):
    def half(folder: Path) -> None:
        (folder / "a").write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_new_folder(tmp_path / "run", half)
    assert not os.listdir(tmp_path)


def test_what_a_killed_run_leaves_is_removed_and_nothing_else(tmp_path):
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path], cwd=PROJECT)
    assert killed.returncode == -signal.SIGKILL
    leftovers = set(os.listdir(tmp_path))
    assert len(leftovers) == 2
    (tmp_path / ".mine.part").mkdir()
    with atomic_folder(tmp_path / "deep" / "video") as used, atomic_file(tmp_path / "b.csv") as also_used:
        week_old = time.time() - LEFT_AFTER - 60
        theirs = [tmp_path / f".video-{machine:08x}.{os.getpid()}-abc.part" for machine in (1, 2)]
        for path in theirs:
            path.mkdir()
        (theirs[0] / "frame").touch()
        for path in (theirs[0] / "frame", *theirs):
            os.utime(path, (week_old, week_old))
        (theirs[1] / "frame").touch()  # of another machine, which still writes to it
        remove_leftovers(tmp_path, depth=2)
        assert used.is_dir() and also_used.is_file()
        assert set(os.listdir(tmp_path)) == {"deep", also_used.name, theirs[1].name, ".mine.part"}
    assert set(os.listdir(tmp_path)) == {"deep", "b.csv", theirs[1].name, ".mine.part"}
    remove_leftovers(tmp_path / "not there")


def test_writing_removes_what_a_killed_run_left_beside_it(tmp_path):
    subprocess.run([sys.executable, "-c", KILLED, tmp_path], cwd=PROJECT)
    assert len(os.listdir(tmp_path)) == 2
    write_json(tmp_path / "a.json", 1)
    assert os.listdir(tmp_path) == ["a.json"]


def test_json_is_strict_and_whole(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"emotion": "Ärger", "x": [1.5, None]})
    assert json.loads(path.read_text(encoding="utf-8")) == {"emotion": "Ärger", "x": [1.5, None]}
    for value in (math.nan, math.inf, {1, 2}):
        with pytest.raises((ValueError, TypeError)):
            write_json(path, value)
    assert read_json(path)["emotion"] == "Ärger"
    assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize("content", [None, b"", b'{"a": ', b"\xff\xfe\x00", b"\x80\x04K\x01."])
def test_what_is_no_json_reads_as_none(tmp_path, content):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    assert read_json(path) is None


# Keys


def test_keys_are_stable():
    """The same in every process and run: written down here."""
    assert key_of(k=3, flow="kernel 1", marks=[(1, None, 3)]) == key_of(marks=[[1, None, 3]], flow="kernel 1", k=3)
    assert key_of(k=3, flow="kernel 1") == "3e6448f9b4ab25d39f21"
    with pytest.raises(ValueError, match="not JSON compliant"):
        key_of(p=math.nan)


@given(*[st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3) | st.lists(st.integers()))] * 2)
def test_different_parts_have_different_keys(a, b):
    assert (key_of(parts=a) == key_of(parts=b)) == (a == b)
    assert len(key_of(parts=a)) == 20


def test_fingerprint_changes_with_the_files(tmp_path):
    paths = [tmp_path / name for name in ("1.jpg", "2.jpg")]
    for path in paths:
        path.write_bytes(b"1234")
        os.utime(path, ns=(0, 10**18))
    first = files_fingerprint(paths)
    assert files_fingerprint(paths) == first
    seen = {first, files_fingerprint(paths[::-1]), files_fingerprint(paths[:1]), files_fingerprint([])}
    os.utime(paths[1], ns=(0, 10**18 + 1))
    seen.add(files_fingerprint(paths))
    paths[1].write_bytes(b"12345")
    os.utime(paths[1], ns=(0, 10**18))
    seen.add(files_fingerprint(paths))
    renamed = paths[1].rename(tmp_path / "3.jpg")
    seen.add(files_fingerprint([paths[0], renamed]))
    assert len(seen) == 7
    with pytest.raises(InputError, match=r"2\.jpg"):
        files_fingerprint(paths)


def test_file_hash_is_sha256(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc" * 500_000)
    with path.open("rb") as file:
        assert file_hash(path) == _hash_blocks(file)
    path.write_bytes(b"abc")
    assert file_hash(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_require_writable(tmp_path):
    require_writable(tmp_path / "new" / "folder", "--cache_dir")
    assert os.listdir(tmp_path / "new" / "folder") == []
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match=r"file.*cannot be written.*--cache_dir"):
            require_writable(folder, "--cache_dir")


# Units of work


def slow_square(i: int) -> tuple[int, int]:
    time.sleep(0.02 * (3 - i % 4))  # later ones are done first
    return i * i, os.getpid()


def refuse_2(i: int) -> int:
    if i == 2:
        raise InputError("img003.jpg: frame is cut short")
    return i


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order(workers):
    results = run_units(slow_square, range(8), workers, "test", "unit")
    assert [square for square, _ in results] == [i * i for i in range(8)]
    pids = {pid for _, pid in results}
    assert pids == {os.getpid()} if workers == 1 else os.getpid() not in pids


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_are_passed_on_as_they_are(workers):
    with pytest.raises(InputError, match=r"^img003\.jpg: frame is cut short$"):
        run_units(refuse_2, range(6), workers, "test", "unit")


def where_am_i(_) -> Path:
    return Path.cwd()


def test_processes_of_an_earlier_call_work_in_the_folder_of_this_one(tmp_path, monkeypatch):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        assert set(run_units(where_am_i, range(4), 2, "test", "unit")) == {(tmp_path / name).resolve()}


def end_process(unit: tuple[Path, int]) -> int:
    """End this process the first `times` times, as a system does if memory runs out."""
    folder, times = unit
    before = len(list(folder.iterdir()))
    if before < times:
        (folder / str(before)).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def test_a_process_that_is_ended_is_replaced_once(tmp_path, capsys):
    for name in ("once", "always"):
        (tmp_path / name).mkdir()
    finished = [(tmp_path / "nothing", 0)] * 4
    (tmp_path / "nothing").mkdir()
    processes = run_units(end_process, [*finished, (tmp_path / "once", 1)], 2, "features", "video")
    assert len(processes) == 5 and os.getpid() not in processes
    said = capsys.readouterr()
    assert "a worker process was ended from outside, continuing with 2 of them" in said.out + said.err
    with pytest.raises(InputError, match=r"^features: \d of 5 videos are finished and kept, .*fewer --workers than 2$"):
        run_units(end_process, [*finished, (tmp_path / "always", 99)], 2, "features", "video")
    assert len(list((tmp_path / "always").iterdir())) == 2


def hold(megabytes: int) -> int:
    held.append(bytearray(megabytes * 10**6))
    time.sleep(0.4)
    return os.getpid()


held: list[bytearray] = []


def test_peak_memory_of_processes_is_reported():
    """Only the memory of the other processes counts, not that of this one."""
    release_workers()  # those of tests that ran before, in which TensorFlow may be loaded
    here = bytearray(600 * 10**6)
    assert peak_memory() > 600e6
    workers = Workers(2)
    run_units(hold, [1] * 4, workers, "test", "unit")
    del here
    main, worker = map(float, re.findall(r"(\d+\.\d) GB", workers.memory_report()))
    assert main >= 0.6 and worker < 0.6
    processes = run_units(hold, [120] * 10, workers, "test", "unit")
    assert len(set(processes)) <= 2  # a process that has grown is not replaced as if it leaked
    assert float(re.findall(r"(\d+\.\d) GB", workers.memory_report())[1]) >= 0.4


def test_one_unit_and_none_run_here():
    assert run_units(slow_square, [3], 8, "test", "unit") == [(9, os.getpid())]
    assert run_units(slow_square, [], 8, "test", "unit") == []


def test_there_is_a_core():
    assert cores() >= 1
