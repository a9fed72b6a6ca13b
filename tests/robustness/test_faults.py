"""Faults of disk, clock, cache and processes, many in one run: after each the same command ends with the same results.

`faults.py` makes the faults. Runs that are killed at random moments are in test_resume.py, clusters in test_cluster.py,
and bad input in test_bad_input.py.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

import Utils.dataset_run.folder
import Utils.report.tensorboard_logs
import Utils.work.cache
from face_crop import CropRoots, crop_videos
from load_excel import load_annotations, match_expressions
from load_images import find_videos
from tests.support import faults
from tests.support.faults import RUN, command, once, results, scratch_in, watched
from tests.support.forks import forks
from Utils.datasets.table import DATASETS
from Utils.work.cache import LEFT_AFTER, atomic_folder, remove_leftovers, scratch_prefix

posix = pytest.mark.skipif(os.name != "posix", reason="signals, fork and limits are POSIX's")


@pytest.fixture(scope="module")
def quick():
    with pytest.MonkeyPatch.context() as patch:
        faults.stand_in(patch)
        yield


@pytest.fixture(scope="module")
def undisturbed(quick, tmp_path_factory) -> tuple[Path, list[faults.Request], dict[str, bytes]]:
    """A folder with a run that nothing disturbed, what it asked of the disk, and its results."""
    root = tmp_path_factory.mktemp("undisturbed")
    faults.make_dataset(root)
    with pytest.MonkeyPatch.context() as patch, watched(root) as requests:
        patch.chdir(root)
        del requests[:]
        assert command(*RUN).code == 0
    found = results(root)
    assert found["predictions.csv"].count(b"\n") == 3 and len(found) > 25
    return root, requests, found


@pytest.fixture
def new_place(undisturbed, tmp_path, monkeypatch):
    """`new_place()`: an empty folder with the dataset, in which commands run; the one before is removed."""
    root = tmp_path / "place"

    def make() -> Path:
        monkeypatch.chdir(tmp_path)
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(undisturbed[0] / "data/CASME_sq/rawpic", root / "data/CASME_sq/rawpic", copy_function=os.link)
        shutil.copyfile(undisturbed[0] / "data" / faults.WORKBOOK, root / "data" / faults.WORKBOOK)
        monkeypatch.chdir(root)
        return root

    return make


def ends_as(expected: dict[str, bytes], root: Path, what: object, *flags: str) -> None:
    """The command, given again, gives the same and leaves only what belongs there."""
    said = command(*(flags or RUN))
    assert said.code == 0 and not said.err, (what, said)
    assert results(root) == expected, what


# Every write of a run


KINDS = faults.kinds_of_the_disk()


def test_there_are_200_faults(undisturbed):
    _, requests, _ = undisturbed
    places = faults.places(requests)
    assert len(requests) > 300 and len(places) > 100
    assert sum(len(places[at]) for _, at in KINDS.values()) >= 200


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_of_the_disk_at_every_write(kind, undisturbed, new_place):
    _, requests, expected = undisturbed
    fault, at = KINDS[kind]
    failed = 0
    for n in faults.places(requests)[at]:
        root, what = new_place(), (kind, n, requests[n - 1])
        with watched(root, fault(n)):
            said = command(*RUN)
        assert said.code in (0, 2), (what, said)
        if said.code:
            failed += 1
            assert len(said.err) == 1 and said.err[0].startswith("main.py: "), (what, said)
        else:  # the run did not need what failed: crops beside the frames, cleaning up
            assert results(root) == expected, what
        if kind != "disk gone" and requests[n - 1].what not in ("os.remove", "os.rmdir"):
            assert not scratch_in(root), what
        ends_as(expected, root, what)
    assert failed > 20


@posix
def test_a_kill_at_every_fifth_write(undisturbed, new_place):
    _, requests, expected = undisturbed
    context = forks()
    for n in faults.places(requests)[::5]:
        root, what = new_place(), ("killed", n, requests[n - 1])
        process = context.Process(target=faults.in_a_child, args=(root, RUN, faults.killed, n))
        process.start()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL, (what, (root / "said.txt").read_text())
        ends_as(expected, root, what)
        assert not scratch_in(root), what


def test_another_run_at_every_fourth_write(undisturbed, new_place):
    """A whole second run takes place between two requests of the first. Both have the same results."""
    _, requests, expected = undisturbed
    for n in faults.places(requests)[::4]:
        root, what, others = new_place(), ("another run", n, requests[n - 1]), []

        def fault(i, request, n=n, others=others):
            if i == n:
                with faults.unwatched():
                    others.append(command(*RUN))

        with watched(root, fault):
            said = command(*RUN)
        assert (said.code, others[0].code, said.err, others[0].err) == (0, 0, [], []), (what, said, others)
        assert results(root) == expected, what
        assert len(list((root / "runs").iterdir())) == 2, what
        assert not scratch_in(root), what


# Clock


class Clock:
    """`datetime` for the names of runs, with a clock that is wrong."""

    ahead = timedelta()

    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) + cls.ahead


@pytest.mark.parametrize("years", [-40, 60])
def test_a_clock_that_jumps(years, undisturbed, new_place, monkeypatch):
    """The clock jumps between runs, and frames have times of before or after. Nothing is lost or done twice."""
    expected, root = undisturbed[2], new_place()
    seconds = years * 365 * 24 * 3600
    now = time.time()
    for path in root.rglob("*.jpg"):
        path.unlink()  # it is a link to a file that other folders use, too
        path.write_bytes((undisturbed[0] / path.relative_to(root)).read_bytes())
        os.utime(path, (now + seconds, now + seconds))
    ends_as(expected, root, years)
    monkeypatch.setattr(Clock, "ahead", timedelta(seconds=seconds))
    monkeypatch.setattr(Utils.dataset_run.folder, "datetime", Clock)
    for module in (Utils.work.cache, Utils.report.tensorboard_logs):  # not elsewhere: other threads wait by it
        monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: time.time() + seconds))
    with watched(root) as requests:
        for _ in range(2):
            said = command(*RUN)
            assert said.code == 0 and not said.err, said
    again = [r for r in requests if "/folds/" in r.path or "/features/" in r.path or "img" in r.path]
    assert not again, again
    runs = list((root / "runs").iterdir())
    assert len(runs) == 3
    assert len({(run / "predictions.csv").read_bytes() for run in runs}) == 1


def test_a_clock_that_jumps_takes_nothing_from_a_run_that_goes_on(tmp_path, monkeypatch):
    """The scratch of a running process is kept, however old it seems to be."""
    with atomic_folder(tmp_path / "unit") as scratch:
        (scratch / "half").write_text("")
        monkeypatch.setattr(Utils.work.cache, "time", SimpleNamespace(time=lambda: time.time() + 10 * LEFT_AFTER))
        remove_leftovers(tmp_path)
        assert (scratch / "half").exists()
    assert os.listdir(tmp_path / "unit") == ["half"]


# Places that cannot be written


def test_a_data_root_that_is_read_only(undisturbed, new_place):
    """Crops go to the cache, run after run, and the data stay as they are."""
    root = new_place()
    before = sorted(root.rglob("*"))
    for _ in range(2):
        with watched(root / "data", lambda i, request: once(errno.EROFS)(i)(i, request)):
            said = command(*RUN)
        assert said.code == 0 and "cannot be written: crops go to cache" in said.out
        assert results(root) == undisturbed[2]
    assert set(before) == {p for p in root.rglob("*") if (root / "data") in (p, *p.parents)}
    assert len(list((root / "cache/crops/CASME_sq").rglob("*.jpg"))) == 2 * faults.N_FRAMES


# A cache that is damaged


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def one_bit(content: bytes) -> bytes:
    """One bit of the data is another one; header and length are right."""
    place = len(content) - len(content) // 4
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


DAMAGES = {
    "missing": None,
    "empty": lambda content: b"",
    "half": half,
    "zeros": lambda content: bytes(len(content)),
    "text": lambda content: b"<html>404 Not Found</html>",
    "other JSON": lambda content: b"{}",
    "a list": lambda content: b"[]",
    "one bit": one_bit,
}
CACHE = {
    "features": "cache/*/features/s1/*/[0-9a-f]*[0-9a-f]/features.npy",
    "landmarks": "cache/*/features/s1/*/*/landmarks.npy",
    "recognition features": "cache/*/features/s1/*/recognition-*/features.npy",
    "apexes": "cache/*/features/s1/*/recognition-*/apexes.json",
    "fold": "cache/*/folds/s1/*/fold.json",
    "scores": "cache/*/folds/s1/*/scores-0.npy",
    "probabilities": "cache/*/folds/s1/*/probabilities-0.npy",
    "weights": "cache/*/folds/s1/*/spot_recog.weights.h5",
    "record of crops": "data/*/*_crop/s1/*/.face_crop.json",
}


@pytest.mark.parametrize("kind", CACHE)
def test_a_damaged_file_of_the_cache_is_made_anew(kind, undisturbed, new_place):
    root = new_place()
    assert command(*RUN).code == 0
    (path,) = (p for p in root.glob(CACHE[kind]))
    whole = path.read_bytes()
    for name, damage in DAMAGES.items():
        if name == "one bit" and path.suffix == ".json":
            continue  # JSON has no checksum
        if damage is None:
            path.unlink()
        else:
            path.write_bytes(damage(whole))
        if (kind, name) == ("record of crops", "missing"):
            continue  # the crops are then the user's: used as they are
        ends_as(undisturbed[2], root, (kind, name))
        assert path.read_bytes() == whole, (kind, name)


def test_a_damaged_crop_is_named(undisturbed, new_place):
    """Or made again, if it is missing."""
    root = new_place()
    assert command(*RUN).code == 0
    path = sorted(root.glob("data/*/*_crop/s1/*/*.jpg"))[5]
    whole = path.read_bytes()
    path.unlink()
    ends_as(undisturbed[2], root, "missing")
    for content in (b"", half(whole), bytes(len(whole)), b"<html>"):
        path.write_bytes(content)
        said = command(*RUN)
        assert said.code == 2 and len(said.err) == 1 and str(path.relative_to(root)) in said.err[0], said
    ends_as(undisturbed[2], root, "fresh", *RUN, "--fresh", "True")


# Processes


@posix
def test_a_worker_killed_while_it_crops(undisturbed, tmp_path, monkeypatch, capfd):
    """As a system does if memory runs out. Another process then crops its video."""
    dataset, root = DATASETS["CASME_sq"], tmp_path
    shutil.copytree(undisturbed[0] / "data", root / "data", ignore=shutil.ignore_patterns("rawpic_crop"))
    for folder in (root / "data/CASME_sq/rawpic").glob("*/*"):
        for n in range(faults.N_FRAMES + 1, 600):
            os.link(folder / f"img{n % faults.N_FRAMES + 1:03d}.jpg", folder / f"img{n:03d}.jpg")
    found, _ = find_videos(dataset, root / "data")
    videos, _ = match_expressions(found, load_annotations(dataset, root / "data"))
    killed = []

    def kill_one() -> None:
        for _ in range(6000):
            for path in (root / "crops").glob("*/.*.part"):
                if not killed and len(list(path.glob("*.jpg"))) > 5:
                    killed.append(int(Utils.work.cache.SCRATCH.fullmatch(path.name)["process"]))
                    os.kill(killed[0], signal.SIGKILL)
                    return
            time.sleep(0.002)

    killer = threading.Thread(target=kill_one)
    killer.start()
    cropped, remarks = crop_videos(videos, dataset, CropRoots(root / "crops"), workers=2)
    killer.join()
    said = capfd.readouterr()
    assert killed and killed[0] != os.getpid()
    assert "a worker process was ended from outside" in said.out + said.err
    assert [len(v.frames) for v in cropped] == [599, 599] and all(f.is_file() for v in cropped for f in v.frames)
    assert not remarks and not scratch_in(root)


def test_scratch_of_other_machines_is_left_alone_until_it_is_a_week_old(tmp_path, monkeypatch):
    name = scratch_prefix(tmp_path / "unit")
    monkeypatch.setattr(Utils.work.cache, "_machine", lambda: "0" * 8)
    theirs = tmp_path / f"{name}abc.part"
    theirs.mkdir()
    remove_leftovers(tmp_path)
    assert theirs.exists()
    monkeypatch.setattr(Utils.work.cache, "time", SimpleNamespace(time=lambda: time.time() + 2 * LEFT_AFTER))
    remove_leftovers(tmp_path)
    assert not theirs.exists()
