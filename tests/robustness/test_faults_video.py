"""Faults while the user's own videos are analysed: a video has all results or none, and the same command ends.

The kept scores are in the same folder, so that they have faults, too.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
from pathlib import Path

import av
import pytest

from tests.support import faults
from tests.support.eaf_files import without_date
from tests.support.faults import command, scratch_in, watched
from tests.support.forks import forks
from tests.support.video_clips import numbered, write_video

SAME = ("expressions.csv", "candidates.csv", "frames.csv", "predictions.csv", "overlay.mp4")
OUTPUTS = {*SAME, "a.eaf", "report.html", "settings.json"}  # these three have times or paths in them
KEPT = {"kept.json", "scores.npy", "curves.npy", "source_frames.npy"}  # and footage.json, which comes later
N_FRAMES = 41

posix = pytest.mark.skipif(os.name != "posix", reason="signals, fork and limits are POSIX's")


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    return write_video(tmp_path_factory.mktemp("own") / "a.mp4", numbered(N_FRAMES))


@pytest.fixture(scope="module")
def quick():
    with pytest.MonkeyPatch.context() as patch:
        faults.stand_in_for_scores(patch)
        yield


def whole(out: Path) -> dict[str, bytes]:
    """The results of the video; asserts that they are all there."""
    assert {p.name for p in (out / "a").iterdir()} == OUTPUTS
    with av.open(str(out / "a/overlay.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == N_FRAMES
    eaf = re.sub(rb' RELATIVE_MEDIA_URL="[^"]*"', b"", without_date((out / "a/a.eaf").read_bytes()))
    return {name: (out / "a" / name).read_bytes() for name in SAME} | {"a.eaf": eaf}


def flags_for(video: Path, out: Path) -> tuple[str, ...]:
    return ("--video", str(video), "--output_dir", str(out), "--cache_dir", str(out / "cache"))


def kept_in(out: Path) -> dict[str, bytes]:
    """The scores that are kept; asserts that they are whole. Empty if there are none."""
    (folder, *more) = (*(out / "cache/own_videos").glob("[0-9a-f]*"), None)
    assert more in ([], [None])
    found = {p.name: p.read_bytes() for p in folder.iterdir() if not faults.is_scratch(p)} if folder else {}
    assert not found or found.keys() >= KEPT
    return found


@pytest.fixture(scope="module")
def undisturbed(video, quick, tmp_path_factory) -> tuple[list[faults.Request], dict[str, bytes], dict[str, bytes]]:
    """What an undisturbed command asked of the disk, its results, and the scores that it keeps."""
    out = tmp_path_factory.mktemp("undisturbed")
    with watched(out) as requests:
        assert command(*flags_for(video, out)).code == 0
    found = whole(out)
    assert found["expressions.csv"].count(b"\n") > 2
    assert len(faults.places(requests)) > 50
    return requests, found, kept_in(out)


@pytest.fixture
def out(tmp_path):
    """`out()`: an empty folder for results; the one before is removed."""

    def make() -> Path:
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        (tmp_path / "out").mkdir()
        return tmp_path / "out"

    return make


KINDS = faults.kinds_of_the_disk()


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_of_the_disk_at_every_write(kind, video, undisturbed, out):
    requests, expected, kept = undisturbed
    fault, _ = KINDS[kind]
    failed = 0
    for n in faults.places(requests):
        folder, what = out(), (kind, n, requests[n - 1])
        flags = flags_for(video, folder)
        with watched(folder, fault(n)):
            said = command(*flags)
        failed += said.code != 0
        assert said.code in (0, 2), (what, said)
        assert len(said.err) == (said.code == 2), (what, said)
        if said.code == 0 or (folder / "a").exists():
            assert whole(folder) == expected, what
        if kind != "disk gone" and requests[n - 1].what not in ("os.remove", "os.rmdir"):
            assert not scratch_in(folder), what
        assert kept_in(folder).items() <= kept.items(), what
        said = command(*flags)
        assert said.code == 0 and not said.err, (what, said)
        assert whole(folder) == expected, what
        assert kept_in(folder).items() <= kept.items(), what
    assert failed > 10


def in_a_child(*args: object) -> int:
    """The exit code of `faults.in_a_child` with these arguments."""
    process = forks().Process(target=faults.in_a_child, args=args)
    process.start()
    process.join(60)
    return process.exitcode


def goes_on(folder: Path, flags: tuple[str, ...], undisturbed, what: object) -> None:
    """What a kill left is whole or nothing, and the command, given again, ends with the same."""
    _, expected, kept = undisturbed
    if (folder / "a").exists():
        assert whole(folder) == expected, what
    assert kept_in(folder).items() <= kept.items(), what
    said = command(*flags)
    assert said.code == 0 and not said.err, (what, said)
    assert whole(folder) == expected, what
    assert kept_in(folder) == kept, what
    assert not scratch_in(folder), what


@posix
def test_a_kill_at_every_fifth_write(video, undisturbed, out):
    requests = undisturbed[0]
    for n in faults.places(requests)[::5]:
        folder, what = out(), ("killed", n, requests[n - 1])
        flags = flags_for(video, folder)
        assert in_a_child(folder, flags, faults.killed, n) == -signal.SIGKILL, what
        goes_on(folder, flags, undisturbed, what)


@posix
def test_what_a_kill_at_any_write_leaves(video, undisturbed, out, tmp_path):
    """One run is copied at every write. Its process has ended when the copies are used, as a killed one has."""
    requests, places = undisturbed[0], faults.places(undisturbed[0])
    folder = out()
    flags = flags_for(video, folder)
    assert in_a_child(folder, flags, faults.copied, folder, tmp_path / "copies", places) == 0
    for n in places:
        shutil.rmtree(folder)
        (tmp_path / "copies" / str(n)).rename(folder)
        goes_on(folder, flags, undisturbed, ("left", n, requests[n - 1]))
