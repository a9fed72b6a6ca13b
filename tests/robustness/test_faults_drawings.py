"""Faults while a changed threshold is drawn: what is kept of the overlay before is whole or gone, never half of it."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.support import faults
from tests.support.faults import command, scratch_in, watched
from tests.support.forks import forks
from tests.support.video_clips import numbered, write_video

SAME = ("expressions.csv", "candidates.csv", "overlay.mp4")
OTHER = ("--false_alarms", "6")
ROOM = "cache/overlays"
posix = pytest.mark.skipif(os.name != "posix", reason="signals, fork and limits are POSIX's")


def flags_for(video: Path, out: Path, *more: str) -> tuple[str, ...]:
    return ("--video", str(video), "--output_dir", str(out), "--cache_dir", str(out / "cache"), *more)


def results(out: Path) -> dict[str, bytes]:
    (folder,) = out.glob("a, *")
    return {name: (folder / name).read_bytes() for name in SAME}


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """The video, a folder with the results of the first threshold, those of another one, and what that asked of the
    disk.
    """
    root = tmp_path_factory.mktemp("before")
    video = write_video(root / "a.mp4", numbered(41))
    with pytest.MonkeyPatch.context() as patch:
        faults.stand_in_for_scores(patch)
        assert command(*flags_for(video, root / "out")).code == 0
        shutil.copytree(root / "out", root / "other")
        with watched(root / "other") as requests:
            assert command(*flags_for(video, root / "other", *OTHER)).code == 0
        yield video, root / "out", results(root / "other"), requests


def of_the_room(requests: list[faults.Request]) -> list[int]:
    """Numbers, from 1, of the requests that concern what is kept of the drawings."""
    return [n for n, request in enumerate(requests, 1) if ROOM in request.path or request.what == "os.link"]


def require_kept(folder: Path) -> None:
    """What is kept is one whole set, or nothing."""
    kept = [path for path in (folder / ROOM).iterdir() if not faults.is_scratch(path)]
    assert len(kept) <= 1
    for path in kept:
        assert {file.name for file in path.iterdir()} == {"overlay.mp4", "clips.json", "kept.json"}


@pytest.mark.parametrize("kind", ["full", "gone"])
def test_a_fault_of_the_disk_while_it_is_kept(kind, before, tmp_path):
    video, first, expected, requests = before
    places = of_the_room(requests)
    assert len(places) > 5
    fault = {"full": faults.DISK_FULL, "gone": faults.GONE_DISK}[kind]
    for n in places:
        folder = shutil.copytree(first, tmp_path / str(n))
        with watched(folder, fault(n)):
            said = command(*flags_for(video, folder, *OTHER))
        assert said.code == 2 if kind == "gone" else said.code in (0, 2), (n, requests[n - 1], said)
        require_kept(folder)
        assert command(*flags_for(video, folder, *OTHER)).code == 0
        assert results(folder) == expected, (n, requests[n - 1])
        require_kept(folder)


@posix
def test_a_kill_while_it_is_kept(before, tmp_path):
    video, first, expected, requests = before
    context = forks()
    for n in of_the_room(requests):
        folder = shutil.copytree(first, tmp_path / str(n))
        flags = flags_for(video, folder, *OTHER)
        process = context.Process(target=faults.in_a_child, args=(folder, flags, faults.killed, n))
        process.start()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL, (n, requests[n - 1])
        require_kept(folder)
        assert command(*flags).code == 0
        assert results(folder) == expected, (n, requests[n - 1])
        assert not scratch_in(folder), (n, requests[n - 1])
        require_kept(folder)
