"""Cases of weights for the user's own videos, of folders for their results, and of results that a user has changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

import Utils.work.machine
from tests.support.bad_input import Case, put
from tests.support.bad_input_data import PICKLE, cut, enormous, external_storage, fill, other_shape, replaced
from tests.support.bad_input_videos import Make, Spoil, clip, videos
from tests.support.faults import command, stand_in_for_scores
from Utils.settings import PROJECT

# Weights

SPOT, RECOG, ABOUT = (f"w/DEMO/{name}" for name in ("spot/all.weights.h5", "recog/all.weights.h5", "weights.json"))


def weights(change: Make, *flags: str) -> Spoil:
    """A command after a change to weights of all DEMO subjects, in `w`."""

    def make(root: Path) -> None:
        put(root / "a.mp4", clip())
        for name in (SPOT, RECOG, ABOUT):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(PROJECT / name.replace("w/", "MEAN_Weights/"), root / name)
        change(root)

    return videos(make, "a.mp4", flags=("--weights_dir", "w", "--dataset_name", "DEMO", *flags))


def spot(change: Make) -> Spoil:
    return weights(lambda root: change(root / SPOT))


def described(**facts) -> Spoil:
    def change(root: Path) -> None:
        about = json.loads((root / ABOUT).read_text()) | facts
        (root / ABOUT).write_text(json.dumps(about))

    return weights(change)


def description(content: bytes) -> Spoil:
    return weights(lambda root: put(root / ABOUT, content))


def plain_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["x"] = np.zeros(3)


def not_there(root: Path) -> None:
    shutil.rmtree(root / "w/DEMO")


SPOTTING = ("spot/all.weights.h5", "does not fit")
NONE = ("w/DEMO: no weights", "--weights_dir")
FACTS = {
    "k": (0, -3, 0.0, "3", True, [3], 1e6, float("nan"), float("inf")),
    "k_prime": (0, -6, "six", 10**400, float("nan")),
    "fps": (0, -30, 1e-300, 0.5, float("-inf")),
    "classes": ([], ["a"] * 3, ["a", "b"] * 60, "negative", [1, 2, 3], ["a", "", "c"], ["a", "b\n", "c"], ["\ud800"]),
}
OWN_WEIGHTS = [
    Case("own weights: no folder", weights(lambda root: shutil.rmtree(root / "w")), NONE),
    Case("own weights: empty folder", weights(not_there), NONE),
    Case("own weights: a file", weights(lambda root: (shutil.rmtree(root / "w"), put(root / "w", b"x"))), NONE),
    Case("own weights: of another dataset only", weights(lambda root: None, "--dataset_name", "CASME_sq"),
         ("w/CASME_sq: no weights",)),
    Case("own weights are a folder", spot(lambda p: (p.unlink(), p.mkdir())), NONE),
    Case("own weights link to nothing", spot(lambda p: (p.unlink(), p.symlink_to("x"))), NONE),
    Case("own weights of 0 bytes", spot(lambda p: put(p, b"")), SPOTTING),
    Case("own weights cut short", spot(cut), SPOTTING),
    Case("own weights are text", spot(lambda p: put(p, b"0.1 0.2\n")), SPOTTING),
    Case("own weights are a pickle", spot(lambda p: put(p, PICKLE)), SPOTTING),
    Case("own weights of random bytes", spot(lambda p: put(p, np.random.default_rng(0).bytes(9000))), SPOTTING),
    Case("own weights are another HDF5", spot(plain_hdf5), SPOTTING),
    Case("own weights of another shape", spot(replaced(other_shape)), SPOTTING),
    Case("own weights lack an array", spot(replaced(lambda *_: None)), SPOTTING),
    Case("own weights hold NaN", spot(fill(np.nan)), ("spot/all.weights.h5", "not finite")),
    Case("own weights of 4 TB", spot(replaced(enormous)), ("spot/all.weights.h5", "larger than any weights")),
    Case("own weights in another file", spot(replaced(external_storage)), ("spot/all.weights.h5", "in another file")),
    Case("own weights without permission", spot(lambda p: p.chmod(0)), ("spot/all", "Permission"), as_nobody=True),
    Case("own recognition is text", weights(lambda root: put(root / RECOG, b"x")), ("recog/all.weights.h5", "not fit")),
    Case("own recognition is missing", weights(lambda root: (root / RECOG).unlink()), ("no face was found in",), 0),
    Case("own weights.json missing", weights(lambda root: (root / ABOUT).unlink()), ("DEMO", "--half_length")),
    Case("own weights.json is cut short", description(b'{"k": 3'), ("weights.json: is not a description",)),
    Case("own weights.json of 0 bytes", description(b""), ("weights.json: is not a description",)),
    Case("own weights.json is a list", description(b"[1]"), ("weights.json: is not a description",)),
    Case("own weights.json is no UTF-8", description(b'{"k": "\xff"}'), ("weights.json: is not a description",)),
    Case("own weights.json without end", description(b"[" * 100_000), ("weights.json: is not a description",)),
    Case("own weights.json of long numbers", description(b'{"k": ' + b"9" * 5000 + b"}"), ("is not a description",)),
    Case("own weights.json lacks k'", description(b'{"k": 3}'), ("DEMO", "--half_length")),
    Case("own weights.json of two classes", described(classes=["a", "b"]), ("recog/all.weights.h5", "2 output")),
    Case("--half_length beside a wrong fps", weights(lambda root: put(root / ABOUT, b'{"fps": "x"}'),
         "--half_length", "1"), ("weights.json: k_prime",)),
    Case("--half_length longer than the video", weights(lambda root: None, "--half_length", "10"),
         ("no face was found in",), 0),
    Case("video shorter than k", described(k=900), ("no face was found in",), 0),
    *(Case(f"own weights.json: {name} {str(value)[:20]!r} ({i})", described(**{name: value}), ("weights.json", name))
      for name, values in FACTS.items() for i, value in enumerate(values)),
]  # fmt: skip

# Places

OUT = ("--output_dir", "out")
PAPER = ("--dataset_name", "DEMO", "--spotting", "paper")


def place(change: Make, *flags: str) -> Spoil:
    def make(root: Path) -> None:
        put(root / "a.mp4", clip())
        change(root)

    return videos(make, "a.mp4", flags=flags or OUT)


def read_only(root: Path) -> None:
    (root / "out").mkdir()
    (root / "out").chmod(0o555)


def in_the_way(make: Make) -> Spoil:
    """Something else has the name of the folder of results."""
    return place(lambda root: ((root / "out").mkdir(), make(root / "out/a")))


NO_FOLDER = ("out/a: exists and is not a folder of results", "--output_dir")
PLACES_OF_RESULTS = [
    Case("own results: read only", place(read_only), ("out: cannot be written", "--output_dir"), as_nobody=True),
    Case("own results: below a file", place(lambda root: put(root / "out", b"x"), "--output_dir", "out/deeper"),
         ("out/deeper: cannot be written",)),
    Case("own results: in the video", place(lambda root: None, "--output_dir", "a.mp4"), ("a.mp4: cannot be written",)),
    Case("own results: a file has the name", in_the_way(lambda path: put(path, b"mine")), NO_FOLDER),
    Case("own results: a link has the name", in_the_way(lambda path: path.symlink_to("gone")), NO_FOLDER),
    Case("own results: a link to a folder has it", in_the_way(lambda path: path.symlink_to("..")), NO_FOLDER),
]  # fmt: skip


# Results that exist already


def finished(change: Make, *flags: str) -> Spoil:
    """A command over a video that has results in `out`, after a change to them; with flags it has other settings."""

    def make(root: Path) -> None:
        put(root / "a.mp4", clip(n=41))
        versions = Utils.work.machine.versions
        with pytest.MonkeyPatch.context() as patch:
            stand_in_for_scores(patch)
            patch.setattr(Utils.work.machine, "versions", versions)
            assert command("--video", "a.mp4", *PAPER, *OUT).code == 0
        change(root / "out/a")

    return videos(make, "a.mp4", flags=(*PAPER, *OUT, *flags))


def added(name: str, content: bytes = b"mine") -> Make:
    """Another line in a file, or a new file."""

    def change(folder: Path) -> None:
        with (folder / name).open("ab") as file:
            file.write(content)

    return change


def table(change: Callable[[str], str]) -> Make:
    def save(folder: Path) -> None:
        path = folder / "expressions.csv"
        path.write_text(change(path.read_text()))

    return save


def settings(change: Callable[[dict], object]) -> Make:
    def save(folder: Path) -> None:
        path = folder / "settings.json"
        path.write_text(json.dumps(change(json.loads(path.read_text()))))

    return save


def both(*changes: Make) -> Make:
    return lambda folder: [change(folder) for change in changes]


def without(*names: str) -> Callable[[dict], dict]:
    return lambda about: {name: value for name, value in about.items() if name not in names}


OTHER = ("--p", "0.6")
FRESH = ("--fresh", "True")
NO_TABLE = ("out/a/expressions.csv", "is not a table of expressions any more")
NOT_OURS = ("out/a", "not made by this program", "--output_dir")
CHANGED = "was changed or added after"
RESULTS_CHANGED = [
    Case("own results: the same again", finished(lambda folder: None), ("a: 2 expression(s)",), 0),
    Case("own results: a row deleted", finished(table(lambda text: text[: text.rindex("\n", 0, -1) + 1])),
         ("a: 1 expression(s)",), 0),
    Case("own results: ELAN file saved", finished(added("a.eaf"), *FRESH), ("out/a/a.eaf", CHANGED, "--output_dir")),
    Case("own results: report changed", finished(added("report.html"), *FRESH), ("report.html", CHANGED)),
    Case("own results: note added", finished(added("notes.txt"), *FRESH), ("out/a/notes.txt", CHANGED)),
    Case("own results: folder added", finished(lambda f: (f / "mine").mkdir(), *FRESH), ("out/a/mine", CHANGED)),
    Case("own results: link added", finished(lambda f: (f / "mine").symlink_to("gone"), *FRESH), ("a/mine", CHANGED)),
    Case("own results: one removed, one changed", finished(both(lambda f: (f / "frames.csv").unlink(), added("a.eaf"))),
         ("a.eaf", CHANGED)),
    Case("own results: table of 0 bytes", finished(table(lambda _: "")), NO_TABLE),
    Case("own results: table lacks a column", finished(table(lambda text: text.replace("onset,", "start,"))), NO_TABLE),
    Case("own results: table with semicolons", finished(table(lambda text: text.replace(",", ";"))), NO_TABLE),
    Case("own results: table with text", finished(table(lambda text: text.replace("a,0,", "a,0,x"))), NO_TABLE),
    Case("own results: table without a number", finished(table(lambda text: text + "a,0,,,,,,,,,\n")), NO_TABLE),
    Case("own results: table is no UTF-8", finished(added("expressions.csv", b"a,0,1,2,3,0,0,0,0,\xff,1\n")), NO_TABLE),
    Case("own results: table is zeros", finished(table(lambda _: "\0" * 99)), NO_TABLE),
    Case("own results: settings {}", finished(settings(lambda _: {})), NOT_OURS),
    Case("own results: settings a list", finished(settings(lambda _: [1])), NOT_OURS),
    Case("own results: settings a word", finished(settings(lambda _: "key")), NOT_OURS),
    Case("own results: settings cut short", finished(lambda f: (f / "settings.json").write_text("{")), NOT_OURS),
    Case("own results: settings removed", finished(lambda f: (f / "settings.json").unlink()), NOT_OURS),
    Case("own results: settings without key", finished(settings(without("key"))), NOT_OURS),
    Case("own results: settings without files", finished(settings(without("files")), *OTHER), NOT_OURS),
    Case("own results: settings of others' files", finished(settings(lambda about: about | {"files": ["a"]}), *OTHER),
         NOT_OURS),
    Case("own results: settings that lack times", finished(both(settings(without("took", "remarks")), added("a.eaf"))),
         ("a.eaf", CHANGED)),
    Case("own results: settings with other kinds", finished(
        both(settings(lambda about: about | {"took": "long", "remarks": 3, "seconds": None}), added("a.eaf"))),
        ("a.eaf", CHANGED)),
]  # fmt: skip

RESULTS = [*OWN_WEIGHTS, *PLACES_OF_RESULTS, *RESULTS_CHANGED]
