"""Cases of the verifier that comes with weights for the user's own videos: `verify.json`."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np

from tests.support.bad_input import Case, put
from tests.support.bad_input_videos import NO_FACE, Make, Spoil, clip, linked, videos
from tests.support.verifiers import verifier_content, write_verifier
from Utils.own_video.verify import KINDS, VERIFY
from Utils.settings import PROJECT

WAY_ON = ("w/SYNTH/verify.json", "--spotting paper")
DAMAGED = (*WAY_ON, "is damaged")


def beside(change: Make, *flags: str, name: str = "SYNTH") -> Spoil:
    """A command after a change to the file `verify.json` beside copies of shipped weights, in `w`."""

    def make(root: Path) -> None:
        put(root / "a.mp4", clip())
        shutil.copytree(PROJECT / "MEAN_Weights" / name, root / "w" / name)
        (root / "w" / name / VERIFY).unlink(missing_ok=True)
        change(root / "w" / name / VERIFY)

    return videos(make, "a.mp4", flags=("--weights_dir", "w", *flags))


def content(**changes) -> Make:
    """What a verifier holds, with changes."""
    return lambda path: write_verifier(path.parent, **changes)


def holds(text: bytes) -> Make:
    return lambda path: put(path, text)


def nothing(path: Path) -> None:
    """The file stays away."""


def closed(path: Path) -> None:
    content()(path)
    path.chmod(0)


TEXT = json.dumps(verifier_content()).encode()
OTHERS = ["disgust", "happiness", "surprise"]
ONE_BAD = [float("nan"), *verifier_content()["mean"][1:]]
ENDLESS = [float("inf"), *verifier_content()["scale"][1:]]

VERIFIERS = [
    Case("verifier missing", beside(nothing), (*WAY_ON, "is missing")),
    Case("verifier missing, paper's rule", beside(nothing, "--spotting", "paper"), (NO_FACE,), 0),
    Case("verifier is a folder", beside(Path.mkdir), (*WAY_ON, "is missing")),
    Case("verifier links to nothing", beside(linked("gone")), (*WAY_ON, "is missing")),
    Case("verifier is /dev/zero", beside(linked("/dev/zero")), (*WAY_ON, "is missing")),
    Case("verifier without permission", beside(closed), ("w/SYNTH/verify.json", "Permission denied"), as_nobody=True),
    Case("verifier of 0 bytes", beside(holds(b"")), DAMAGED),
    Case("verifier cut off", beside(holds(TEXT[:-40])), DAMAGED),
    Case("verifier cut off, paper's rule", beside(holds(TEXT[:-40]), "--spotting", "paper"), (NO_FACE,), 0),
    Case("verifier is binary", beside(holds(np.random.default_rng(0).bytes(9000))), DAMAGED),
    Case("verifier is zeros", beside(holds(bytes(9000))), DAMAGED),
    Case("verifier is a list", beside(holds(b"[1, 2, 3]")), DAMAGED),
    Case("verifier is brackets without end", beside(holds(b"[" * 100_000)), DAMAGED),
    Case("verifier is no UTF-8", beside(holds(TEXT.replace(b"micro", b"micr\xff"))), DAMAGED),
    Case("verifier is {}", beside(holds(b"{}")), DAMAGED),
    Case("verifier of other classes", beside(content(classes=OTHERS)), (*WAY_ON, "disgust", "negative")),
    Case("verifier of other classes with line breaks", beside(content(classes=["a\nb", "c"])), (*WAY_ON, "a\\nb")),
    Case("verifier of other kinds", beside(content(kinds=list(KINDS[:-1]))), (*WAY_ON, "kinds")),
    Case("verifier of another version", beside(content(version=99)), (*WAY_ON, "another version")),
    Case("verifier of other features", beside(content(features=["motion"])), (*WAY_ON, "another version")),
    Case("verifier holds NaN", beside(content(mean=ONE_BAD)), (*WAY_ON, "not finite")),
    Case("verifier holds infinity", beside(content(scale=ENDLESS)), (*WAY_ON, "not finite")),
    Case("verifier of another shape", beside(content(calibration=[0.0, 1.0, 2.0])), (*WAY_ON, "shape")),
    Case("verifier without trees", beside(content(trees={})), DAMAGED),
    Case("verifier of DEMO is cut off", beside(holds(TEXT[:-40]), "--dataset_name", "DEMO", name="DEMO"),
         ("w/DEMO/verify.json", "is damaged", "--spotting paper")),
    Case("DEMO without a verifier", beside(nothing, "--dataset_name", "DEMO", name="DEMO"), (NO_FACE,), 0),
    Case("a verifier that can be used", beside(content()), (NO_FACE,), 0),
]  # fmt: skip
if hasattr(os, "mkfifo"):
    VERIFIERS.append(Case("verifier is a pipe", beside(os.mkfifo), (*WAY_ON, "is missing")))
