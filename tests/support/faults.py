"""Makes faults, one at a time. Every request to change something on disk below a folder has a number; the n-th fails.

Python reports each such request before it is carried out (`sys.addaudithook`): files that are opened for writing, made,
renamed or removed. A write that only partly fits on the disk is no such request, so the system makes it fail:
`RLIMIT_FSIZE`.
"""

from __future__ import annotations

import errno
import io
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import face_crop
import feature_extraction
import main
import train_evaluate
import Utils.dataset_run.curves
import Utils.dataset_run.folder
import Utils.networks.backend
import Utils.own_video.clips
import Utils.own_video.collection
import Utils.own_video.run
import Utils.own_video.second_look
import Utils.work.machine
from tests.support.bad_input import BOOKS, encoded, face_image
from tests.support.layouts import write_xls
from tests.support.movement_curves import BROWS, CORNERS, calm, triangle, with_movement
from tests.support.quicker import without_kernel
from tests.support.verifiers import made_up_verifier
from Utils.own_video.face_tracks import Segment, Track, Tracking
from Utils.own_video.scoring import face_scores
from Utils.work.arrays import write_array
from Utils.work.cache import SCRATCH, atomic_file

try:
    import resource
except ImportError:  # Windows
    resource = None

CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.link", "os.symlink", "os.truncate"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
ROOM = 40  # bytes that a file may have if the disk is nearly full
N_FRAMES = 8
WORKBOOK = "CASME_sq/code_final.xls"


class Request(NamedTuple):
    """A request to the disk, and the file that it concerns."""

    what: str
    path: str


Fault = Callable[[int, Request], None]  # it is called with the number of each request, from 1, before it is carried out
_watched: tuple[str, list[Request], Fault | None] | None = None


def _hook(event: str, args: tuple) -> None:
    if _watched is None or not (event in CHANGES or (event == "open" and args[2] & WRITING)):
        return
    if isinstance(args[0], int):
        return  # a file that is open already
    root, requests, fault = _watched
    path = os.path.abspath(os.fsdecode(args[0]))  # noqa: PTH100
    if path == root or path.startswith(root + os.sep):
        requests.append(Request(event, path))
        if fault:
            fault(len(requests), requests[-1])


@cache
def _install() -> None:
    sys.addaudithook(_hook)  # until the process ends, because an audit hook cannot be removed


@contextmanager
def watched(root: Path, fault: Fault | None = None) -> Iterator[list[Request]]:
    """The requests below a folder during the `with` block. `fault` is called for each of them first."""
    global _watched
    _install()
    before, requests = _watched, []
    _watched = (str(root.resolve()), requests, fault)
    try:
        yield requests
    finally:
        _watched = before


@contextmanager
def unwatched() -> Iterator[None]:
    global _watched
    before, _watched = _watched, None
    try:
        yield
    finally:
        _watched = before


# Faults


def once(number: int) -> Callable[[int], Fault]:
    """Only the n-th request fails, with this errno."""

    def at(n: int) -> Fault:
        def fault(i: int, request: Request) -> None:
            if i == n:
                raise OSError(number, os.strerror(number), request.path)

        return fault

    return at


def from_then_on(number: int) -> Callable[[int], Fault]:
    """The n-th request and all later ones fail: the disk is gone, and nothing can be cleaned up."""

    def at(n: int) -> Fault:
        def fault(i: int, request: Request) -> None:
            if i >= n:
                raise OSError(number, os.strerror(number), request.path)

        return fault

    return at


def out_of_room(n: int) -> Fault:
    """From the n-th request on, files may only have a few bytes: writes fit in part, then fail."""

    def fault(i: int, request: Request) -> None:
        if i == n:
            resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    return fault


@contextmanager
def room_again() -> Iterator[None]:
    """Undo `out_of_room`."""
    try:
        yield
    finally:
        if resource:
            limit = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


def killed(n: int) -> Fault:
    def fault(i: int, request: Request) -> None:
        if i == n:
            os.kill(os.getpid(), signal.SIGKILL)

    return fault


def copied(folder: Path, copies: Path, places: Sequence[int]) -> Fault:
    """At each of the places, the folder is copied to `copies/n`: it is what a kill at the n-th request would leave."""

    def fault(i: int, request: Request) -> None:
        if i in places:
            with unwatched():
                shutil.copytree(folder, copies / str(i))

    return fault


DISK_FULL, BROKEN_DISK, GONE_DISK = once(errno.ENOSPC), once(errno.EIO), from_then_on(errno.EIO)


def kinds_of_the_disk() -> dict[str, tuple[Callable[[int], Fault], slice]]:
    """Name -> a fault of the disk, and at which of the places of a run: at each, or in turns with the others."""
    kinds = {
        "disk full": (DISK_FULL, slice(None)),
        "input/output error": (BROKEN_DISK, slice(0, None, 3)),
        "disk gone": (GONE_DISK, slice(1, None, 3)),
    }
    if resource:
        kinds["no room for all of it"] = (out_of_room, slice(2, None, 3))
    return kinds


# Runs


def places(requests: list[Request]) -> list[int]:
    """Numbers of requests, from 1.

    Of those that differ only in numbers and random names, only the first is given.
    """
    first: dict[tuple[str, str], int] = {}
    for n, request in enumerate(requests, 1):
        alike = re.sub(r"-[0-9a-f]{8}\.\d+-[a-z0-9_]+|[0-9a-f]{20}|\d+(?:-\d+)*", "#", request.path)
        first.setdefault((request.what, alike), n)
    return list(first.values())


class Said(NamedTuple):
    """How a command ended: exit code, standard output, lines of the error stream without progress bars."""

    code: int
    out: str
    err: list[str]


def command(*flags: str | Path) -> Said:
    """`main.py flags` in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), room_again():
        code = main.main([*map(str, flags), "--workers", "1"])
    with_bars = re.split(r"[\r\n]", err.getvalue())
    return Said(code, out.getvalue(), [line for line in with_bars if line.strip() and "|" not in line])


def in_a_child(folder: Path, flags: tuple[str, ...], fault: Callable[..., Fault], *args: object) -> None:
    """In a forked process: the command in a folder, with the fault `fault(*args)`."""
    os.chdir(folder)
    (stand_in_for_scores if "--video" in flags else stand_in)(pytest.MonkeyPatch())
    with watched(folder, fault(*args)):
        said = command(*flags)
    (folder / "said.txt").write_text(repr(said))
    os._exit(said.code)


def scratch_in(root: Path) -> list[str]:
    """Scratch of files and folders that were being written."""
    return [name for _, folders, files in os.walk(root) for name in (*folders, *files) if SCRATCH.fullmatch(name)]


def is_scratch(path: Path) -> bool:
    return SCRATCH.fullmatch(path.name) is not None


# A small dataset; slow computations are replaced by made-up results


def make_dataset(root: Path) -> None:
    """CASME_sq in `root/data`: two subjects with one video of a drawn face each, one expression in it.

    The workbook is an .xls, which is read five times as quickly as an .xlsx.
    """
    (row,), subjects, codes = BOOKS["CASME_sq"].sheets
    write_xls(root / "data" / WORKBOOK, [[row, [2, *row[1:]]], [*subjects, [2, "s2", 2]], codes])
    for subject in (1, 2):
        for number in range(1, N_FRAMES + 1):
            path = root / f"data/CASME_sq/rawpic/s{subject}/{subject}_0101a/img{number:03d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(np.roll(face_image(), number, axis=1)))


def stand_in(patch: pytest.MonkeyPatch) -> None:
    """Faces, flow, networks and figures are made up.

    All files are read, written and renamed by the program's own code.
    """

    def flow(first, second):
        return np.dstack([first, second]).astype(np.float32) / 100

    def fold(job, folder):
        for kind in ("spot", "recog", "spot_recog"):
            (folder / f"{kind}.weights.h5").write_bytes(f"{kind} of {job.fold.held_out}".encode() * 10)
        for i, video in enumerate(job.fold.test):
            n = job.features[video].n_features
            brightness = float(np.load(job.features[video].spotting, allow_pickle=False).mean())
            write_array(folder / f"scores-{i}.npy", (np.hanning(n) + brightness).astype(np.float32))
            write_array(folder / f"probabilities-{i}.npy", np.tile(np.float32([0.7, 0.2, 0.1]), (n, 1)))
        history = {name: [1.0, 0.5] for name in ("spot_loss", "recog_loss")}
        return {"held_out": job.fold.held_out, "recognised": True, "history": history}

    def page(path, title, curves, *_, **__):
        clips = [curve.clip("annotated", 0) for curve in curves]
        with atomic_file(path) as scratch:
            scratch.write_text(f"<!doctype html>{clips}" + "report " * 100)

    def picture(path, *_):
        with atomic_file(path) as scratch:
            scratch.write_bytes(bytes(100))

    marks = np.random.default_rng(0).integers(30, 100, (68, 2))
    patch.setattr(face_crop, "detect_faces", lambda image: [(40, 22, 111, 93)])
    patch.setattr(feature_extraction, "predict_landmarks", lambda crop: marks)
    patch.setattr(feature_extraction, "_landmark_model_hash", lambda: "model")
    without_kernel(patch)
    patch.setattr(feature_extraction, "flow_function", lambda name: flow)
    patch.setattr(train_evaluate, "_compute_fold", fold)
    patch.setattr(Utils.dataset_run.folder, "git_revision", lambda: None)
    patch.setattr(Utils.dataset_run.folder, "versions", lambda: {})
    patch.setattr(Utils.dataset_run.curves, "draw_video", lambda figure: picture(figure.path))
    patch.setattr(Utils.dataset_run.curves, "clip_of", lambda *interval: {"made": "up"})
    patch.setattr(Utils.dataset_run.folder, "plot_losses", picture)
    patch.setattr(Utils.dataset_run.folder, "write_report", page)


def stand_in_for_scores(patch: pytest.MonkeyPatch) -> None:
    """One face in the middle of a user's video, with two expressions.

    Networks, verifier, the clips of expressions and the report are made up.
    """

    def score(source, weights, spotting, which, flow, threads, label):
        n = sum(1 for _ in source)
        k, k_prime = weights.frames_at(source.fps)
        track = Track(0, (Segment(0, n - 1, (10, 10, source.width - 10, source.height - 10)),))
        raw = np.full(n, np.nan)
        raw[: n - k] = np.float32(np.sin(np.arange(n - k) * np.pi / 20) ** 2)  # as precise as those of networks
        probabilities = np.tile(np.float32([0.2, 0.5, 0.3]), (n, 1))
        curves = with_movement(calm(n), triangle(n, 10, 6, 6, 2.0), CORNERS)
        curves = with_movement(curves, triangle(n, 30, 6, 6, 2.0), BROWS)
        curves = None if spotting else np.float32(curves)
        return Tracking(n, (track,), (), ()), [face_scores(track, raw, probabilities, k_prime, spotting, curves)]

    with tempfile.TemporaryDirectory() as made:
        verifier = made_up_verifier(Path(made))

    def page(path, *_, **__):
        with atomic_file(path) as scratch:
            scratch.write_text("<!doctype html>" + "report " * 100)

    for name, made_up in (("score_video", score), ("ensemble_of", lambda weights: None), ("write_report", page)):
        patch.setattr(Utils.own_video.run, name, made_up)
    patch.setattr(Utils.own_video.second_look, "load_verifier", lambda folder, classes: verifier)
    patch.setattr(Utils.own_video.clips, "clip_data", lambda frames, crops, fps: {})
    patch.setattr(Utils.own_video.collection, "write_index", page)
    patch.setattr(Utils.networks.backend, "seed_keras", lambda seed: None)
    without_kernel(patch)
    patch.setattr(Utils.work.machine, "git_revision", lambda: None)
    patch.setattr(Utils.work.machine, "versions", lambda: {})


RUN = ("--dataset_name", "CASME_sq", "--train", "--weights_dir", "w")


def results(root: Path) -> dict[str, bytes]:
    """What the newest run and the folder of weights hold; of files with dates and curves that they are there."""
    run = max((root / "runs").iterdir(), key=lambda run: run.stat().st_mtime_ns)
    files = {str(p.relative_to(run)): p for p in run.rglob("*") if p.is_file()}
    files |= {str(p.relative_to(root)): p for p in (root / "w").rglob("*") if p.is_file() and not is_scratch(p)}
    return {n: b"" if n == "settings.json" or "tfevents" in n else p.read_bytes() for n, p in files.items()}
