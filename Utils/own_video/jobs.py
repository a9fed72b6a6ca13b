"""The work on the user's own videos: a job for each, with all that its results depend on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from feature_extraction import FEATURE_VERSION
from Utils.engine import ENGINE_VERSION
from Utils.errors import UNPRINTABLE, InputError
from Utils.own_video.collection import COLLECTION
from Utils.own_video.paper_rule import Spotting
from Utils.own_video.second_look import SecondLook
from Utils.own_video.verify import VERIFY_VERSION
from Utils.own_video.weights import OwnWeights
from Utils.settings import Settings
from Utils.tvl1 import KERNEL_VERSION
from Utils.work.cache import LONGEST_NAME, files_fingerprint, key_of

OWN_VIDEO_VERSION = 7  # part of a video's key: raise it when the results for the same video change
CHOSEN = ("p", "false_alarms", "absolute_threshold")  # flags of the two rules, as their `about` has them


@dataclass(frozen=True)
class VideoJob:
    """The work on one video."""

    path: Path  # the video, or the folder of its frames
    name: str  # in tables, titles and names of files
    folder: Path  # where the results go
    cache_dir: Path  # where scores are kept
    weights: OwnWeights
    spotting: Spotting | SecondLook  # the paper's rule, or the second look
    fps: float | None  # of a folder of frames
    faces_followed: str  # "largest" or "all"
    flow: str  # "kernel" or "opencv"
    threads: int  # that compute the flow
    fresh: bool  # compute it again, even if it is finished
    bars: bool  # show progress bars
    about: dict  # facts about the run, for settings.json and the report; "weights_key" and "versions" are needed
    replaces: str = ""  # with `fresh`: the key of the results in `folder` that are replaced; "" if there are none
    note: str = ""  # why `folder` has not the video's name; "" if it has


def jobs_of(
    paths: Sequence[Path], settings: Settings, weights: OwnWeights, look: SecondLook | None, about: dict
) -> list[VideoJob]:
    """A job for each video. Without `look`, expressions are chosen by the paper's rule.

    The folder of results has the video's name without its suffix. If this name is not unique, it has the whole file
    name, and if that is not unique either, a number is added. `folders.placed` chooses another one for results of other
    settings.
    """
    # An absolute path has a name where a relative one has none ("."). Only "/" has none then.
    full_names = [Path(os.path.abspath(path)).name or "root" for path in paths]  # noqa: PTH100
    stems = [_stem(path, name) for path, name in zip(paths, full_names, strict=True)]
    alone = len(paths) == 1
    taken = set(COLLECTION)
    jobs = []
    for path, stem, full_name in zip(paths, stems, full_names, strict=True):
        alike = sum(other.lower() == stem.lower() for other in (*stems, *COLLECTION))
        name = stem if alike == 1 else full_name
        again = 1
        while name.lower() in taken:
            again += 1
            name = f"{full_name}-{again}"
        taken.add(name.lower())
        jobs.append(
            VideoJob(
                path=path,
                name=name,
                folder=settings.output_dir / name,
                cache_dir=settings.cache_dir,
                weights=weights,
                spotting=look or Spotting(settings.p, settings.absolute_threshold),
                fps=settings.fps,
                faces_followed=settings.face,
                flow=settings.flow,
                threads=settings.workers if alone and not settings.scheduler else 1,
                fresh=settings.fresh,
                bars=alone,
                about=about,
            )
        )
    return jobs


def _stem(path: Path, name: str) -> str:
    """The `name` of a file without its suffix. The name of a folder is not changed, nor one such as `...mp4`."""
    if not path.is_file():
        return name
    stem = Path(name).stem
    return stem if stem.strip(".") else name  # only dots would be no name for a folder


def require_name(job: VideoJob) -> None:
    """Raise InputError if the video's name cannot be shown, or is too long for its results."""
    if UNPRINTABLE.search(str(job.path)) or len(os.fsencode(f"{job.name}.eaf")) > LONGEST_NAME:
        raise InputError(
            f"{job.path}: the name has characters that cannot be shown, or is too long for its results; rename it"
        )


def made_from(job: VideoJob) -> dict:
    """Everything that the results depend on, as `settings.json` has it. Its `key_of` is the key of the results.

    Returns
    -------
    dict
        "video": fingerprint of its files. "settings": flag -> value. "weights": key of the networks, k and k'.
        "verifier": SHA-256 of `verify.json`, None by the paper's rule. "program": versions of this program and its
        packages.

    Raises
    ------
    InputError
        The video is missing or cannot be accessed.
    """
    files = sorted(p for p in job.path.iterdir() if p.is_file()) if job.path.is_dir() else [job.path]
    rule = job.spotting.about()
    return {
        "video": files_fingerprint(files),
        "settings": {
            "spotting": rule["rule"],
            **{name: rule[name] for name in CHOSEN if name in rule},
            "face": job.faces_followed,
            "fps": job.fps,
            "flow": job.flow,
        },
        "weights": job.about["weights_key"],  # made once for all videos: hashing many files takes long
        "verifier": job.spotting.fingerprint().get("verifier"),
        "program": {
            "results": OWN_VIDEO_VERSION,
            "features": FEATURE_VERSION,
            "flow": KERNEL_VERSION,
            "networks": ENGINE_VERSION,
            **job.about["versions"],
        },
    }


def scores_key(job: VideoJob) -> str:
    """The key of the scores that are kept: `made_from` without how expressions are chosen. Raises as `made_from`."""
    origin = made_from(job)
    settings = {name: origin["settings"][name] for name in ("face", "fps", "flow")}
    return key_of(**origin | {"settings": settings, "verifier": VERIFY_VERSION})  # of the curves, whatever the rule
