"""Scores that are kept, so that another threshold or rule needs neither the networks nor the flow again.

<cache_dir>/own_videos/<key>/kept.json          where the faces are, the frame rate, remarks on the file
                             scores.npy         (faces, frames, 1 + classes) float32: raw score and probabilities
                             curves.npy         (faces, samples, columns) float32: the faces' movement (second look)
                             source_frames.npy  (frames,) int64
                             places.npy         (frames, 2) int64: time and check sum of each frame, to find it again
                             footage.json       how good the footage is

The key has all that they depend on, but not how expressions are chosen. An hour of video with one face takes about 25
MB (30 frames a second). A folder appears whole or not at all. `kept.json` has the SHA-256 of everything, and what is
damaged is computed again.
"""

from __future__ import annotations

import os
import re
import shutil
from array import array
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from Utils.own_video.face_tracks import Segment, Track, Tracking
from Utils.own_video.footage import Finding, are_findings
from Utils.own_video.image_folders import images_in
from Utils.own_video.jobs import VideoJob, scores_key
from Utils.own_video.paper_rule import Spotting
from Utils.own_video.scoring import FaceScores, face_scores
from Utils.own_video.video_files import FrameSource
from Utils.work.arrays import write_array
from Utils.work.cache import KEY_DIGITS, atomic_folder, file_hash, key_of, read_json, write_json

ROOM = "own_videos"  # in --cache_dir
KEPT, FOOTAGE = "kept.json", "footage.json"
SCORES, CURVES, SOURCE_FRAMES, PLACES = "scores.npy", "curves.npy", "source_frames.npy", "places.npy"
OF_SOURCE = (
    "fps", "width", "height", "n_estimated", "resampled", "remarks", "problems", "codec", "bits_per_pixel", "start",
)  # fmt: skip
MAX_VIDEO = 256 << 20  # bytes: the scores of a video that take more, 10 hours with one face, are not kept
MAX_ROOM = 1 << 30  # bytes of all: when there are more, those that were used the longest ago are removed
KEY = re.compile(rf"[0-9a-f]{{{KEY_DIGITS}}}")


class Scored(NamedTuple):
    """What the first two passes over a video give."""

    source: FrameSource
    tracking: Tracking
    faces: list[FaceScores]


class KeptScores:
    """The scores of one video in the cache. Making it raises InputError if the video cannot be accessed."""

    def __init__(self, job: VideoJob) -> None:
        self._job = job
        self._folder = job.cache_dir / ROOM / scores_key(job)

    def load(self, paper_rule: Spotting | None) -> Scored | None:
        """The scores; None if there are none, if they are damaged, or if the second look lacks the curves.

        `paper_rule` is None for the second look.
        """
        facts = checked(self._folder / KEPT)
        if facts is None or (paper_rule is None and CURVES not in facts["files"]):
            return None
        arrays = {}
        for name, known in facts["files"].items():
            try:
                if file_hash(self._folder / name) != known:
                    return None
                arrays[name] = np.load(self._folder / name, allow_pickle=False)
            except (OSError, ValueError, EOFError):
                return None
        with suppress(OSError):
            os.utime(self._folder / KEPT)  # used now: see `make_room`
        return self._scored(facts, arrays, paper_rule)

    def _scored(self, facts: dict, arrays: dict[str, np.ndarray], paper_rule: Spotting | None) -> Scored:
        path = self._job.path
        images = images_in(path) if path.is_dir() else ()
        source = FrameSource(path, **facts["source"], images=images)
        source.remarks, source.source_frames = tuple(source.remarks), array("q", arrays[SOURCE_FRAMES].tolist())
        source.ticks, source.checks = (array("q", column.tolist()) for column in arrays[PLACES].T)
        tracking = _tracking_of(facts["tracking"])
        k_prime = self._job.weights.frames_at(source.fps)[1]
        smooth, faces = self._job.weights.steps.spotting.smooth, []
        for i, number in enumerate(facts["scored"]):
            raw, probabilities = arrays[SCORES][i, :, 0].astype(float), arrays[SCORES][i, :, 1:]
            curves = (None, 1) if paper_rule else (arrays[CURVES][i], facts["step"])
            faces.append(face_scores(tracking.tracks[number], raw, probabilities, k_prime, paper_rule, *curves, smooth))
        return Scored(source, tracking, faces)

    def save(self, scored: Scored) -> str:
        """Keep the scores. Returns why they could not be kept, "" if they were. Errors of the disk are not raised."""
        source, tracking, faces = scored
        n_classes = len(self._job.weights.classes)
        arrays = {
            SCORES: np.empty((len(faces), tracking.n_frames, 1 + n_classes), np.float32),
            SOURCE_FRAMES: np.array(source.source_frames, np.int64),
            PLACES: np.array([source.ticks, source.checks], np.int64).T,
        }
        for i, face in enumerate(faces):
            arrays[SCORES][i, :, 0], arrays[SCORES][i, :, 1:] = face.raw, face.probabilities
        if all(face.curves is not None for face in faces):
            arrays[CURVES] = np.array([face.curves for face in faces], np.float32)
        if sum(content.nbytes for content in arrays.values()) > MAX_VIDEO:
            return f"they take more than {MAX_VIDEO >> 20} MB"
        facts = {
            "source": {name: getattr(source, name) for name in OF_SOURCE},
            "tracking": asdict(tracking),
            "scored": [face.track.number for face in faces],
            "step": faces[0].step if faces else 1,
        }
        try:
            with atomic_folder(self._folder) as folder:
                for name, content in arrays.items():
                    write_array(folder / name, content)
                facts["files"] = {name: file_hash(folder / name) for name in arrays}
                write_checked(folder / KEPT, facts)
            make_room(self._folder.parent, MAX_ROOM)
        except OSError as error:
            return f"{self._folder.parent}: {error.strerror}"
        return ""

    def load_footage(self) -> list[Finding] | None:
        """The findings on the footage; None if there are none, or if they are damaged."""
        facts = checked(self._folder / FOOTAGE)
        if facts is None or not are_findings(facts.get("findings")):
            return None
        return [Finding(**finding) for finding in facts["findings"]]

    def save_footage(self, findings: Sequence[Finding]) -> None:
        """Keep the findings, beside scores that are kept. If that is not possible they are measured again next time."""
        with suppress(OSError):
            if self._folder.is_dir():
                write_checked(self._folder / FOOTAGE, {"findings": [asdict(finding) for finding in findings]})


def write_checked(path: Path, facts: dict) -> None:
    write_json(path, {"check": key_of(**facts), **facts})


def checked(path: Path) -> dict | None:
    """What `write_checked` has written; None if it is not there or is not as it was written."""
    facts = read_json(path)
    if not isinstance(facts, dict):
        return None
    check = facts.pop("check", None)
    try:
        return facts if check == key_of(**facts) else None
    except ValueError:  # NaN or infinity, which it does not write
        return None


def _tracking_of(facts: dict) -> Tracking:
    """The inverse of `dataclasses.asdict`, through JSON, which has lists for tuples."""
    tracks = []
    for track in facts["tracks"]:
        segments = (Segment(s["first"], s["last"], tuple(s["rectangle"])) for s in track["segments"])
        tracks.append(Track(track["number"], tuple(segments), tuple(track["cuts"])))
    without_face = tuple((first, last) for first, last in facts["without_face"])
    return Tracking(facts["n_frames"], tuple(tracks), tuple(facts["cuts"]), without_face)


def make_room(room: Path, most: int) -> None:
    """Remove what was used the longest ago, until what is kept of all videos takes at most `most` bytes.

    A folder without its file `KEPT` is of no use: it counts as the oldest.
    """
    found = []
    for folder in room.iterdir():
        if KEY.fullmatch(folder.name):
            with suppress(OSError):  # another run has just removed it
                stats = {path.name: path.stat() for path in folder.iterdir()}
                used = stats[KEPT].st_mtime_ns if KEPT in stats else 0
                found.append((used, sum(stat.st_size for stat in stats.values()), folder))
    total = 0
    for _, size, folder in sorted(found, reverse=True):
        total += size
        if total > most:
            shutil.rmtree(folder, ignore_errors=True)
