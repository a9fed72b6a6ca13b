"""The unit of work on SYNTH: render a clip, follow its face, and keep what the networks and the verifier learn from.

    <cache_dir>/SYNTH/<number>-<key>/curves.npy      from `CurveMeter`, (samples, columns) float32
                                     drawn.npy       the same of copies with drawn events, (copies, samples, columns)
                                     features.npy    of the chosen pairs of frames, (m, 42, 42, 3) float16 in [0, 1]
                                     pairs.npy       (m, 2) int32: the pair's first frame, and its pseudo-label
                                     apexes.npy      features of (onset, apex) and around, (r, 42, 42, 3) float16
                                     clip.json       the facts, all events, and the emotion of each of the r

Pairs begin at every `pair_step`-th frame. Of a clip to train on, those that show a micro-expression are kept, and of
others a few; of a clip to check with, all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from feature_extraction import FEATURE_VERSION, face_regions, feature_image
from prepare_training import pseudo_labels
from Utils.faces.landmarks import predict_landmarks
from Utils.own_video.displacement import CurveMeter
from Utils.own_video.face_tracks import track_faces
from Utils.own_video.scoring import gray_crop
from Utils.records import Expression
from Utils.synth_run.drawn import drawn_copies
from Utils.synthetic.synth import SynthClip, clip_frames, synth_clip
from Utils.tvl1 import KERNEL_VERSION, tvl1_flow
from Utils.work.arrays import is_array, write_array
from Utils.work.cache import atomic_folder, key_of, read_json, write_json

CLIP_VERSION = 4  # part of a clip's key: raise it when the results for the same clip change
K_S, HALF_LENGTH_S = 0.1, 0.2  # seconds: k and k', as in the other datasets (docs/method.md, section 3)
HARD_PER_EXPRESSION, OTHERS_PER_EXPRESSION = 1.0, 1.0  # pairs on other events, and on nothing, per expression pair
LEAST_OTHERS = 30  # pairs of either sort that are kept of a clip, also if it has no micro-expression
EXPRESSIVE, PHOTOGRAPHS = "expressive", ("still", "sway", "zoom", "lit")  # scenarios
CHOICE = 23  # number of the random stream that chooses them


@dataclass(frozen=True)
class ClipJob:
    """The work on one clip."""

    number: int
    seed: int
    seconds: float
    cache_dir: Path


@dataclass(frozen=True)
class ClipData:
    """What is kept of a clip. The arrays are read when they are used."""

    folder: Path
    clip: dict  # the facts of `SynthClip`
    step: int  # frames from one sample of the curves to the next
    emotions: list[str]  # of the features around the apexes
    drawn: Sequence[list[dict]] = ()  # of each copy the events; onset and offset: seconds from the first sample

    @cached_property
    def curves(self) -> np.ndarray:
        return np.load(self.folder / "curves.npy", allow_pickle=False)

    def load(self, name: str) -> np.ndarray:
        return np.load(self.folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)

    @property
    def fps(self) -> float:
        return self.clip["fps"]

    @property
    def events(self) -> list[dict]:
        return self.clip["events"]


def clip_numbers(clips: int, photographs: int, seed: int, seconds: float) -> list[int]:
    """The numbers of the clips: the first `clips`, and of those that follow the first `photographs` photographs.

    Photographs take little time to make, and most of what fools a spotter in them is rare.
    """
    numbers = list(range(clips))
    number = clips
    while len(numbers) < clips + photographs:
        if synth_clip(number, seed, seconds).scenario in PHOTOGRAPHS:
            numbers.append(number)
        number += 1
    return numbers


def frames_at(fps: float) -> tuple[int, int]:
    """k and k' at a frame rate, halves rounded up, at least 1."""
    return tuple(max(1, int(seconds * fps + 0.5)) for seconds in (K_S, HALF_LENGTH_S))


def pair_step(fps: float) -> int:
    """Every how many frames a pair begins: at high frame rates, neighbours are alike."""
    return max(1, frames_at(fps)[0] // 3)


def make_clip(job: ClipJob) -> ClipData | None:
    """Do the work on one clip, or take its finished results. None if no face was found in it."""
    clip = synth_clip(job.number, job.seed, job.seconds)
    key = key_of(version=CLIP_VERSION, flow=KERNEL_VERSION, features=FEATURE_VERSION, clip=str(clip))
    folder = job.cache_dir / "SYNTH" / f"{job.number}-{key}"
    done = _finished(folder)
    if done is None:
        with atomic_folder(folder, lambda: _finished(folder) is not None) as scratch:
            done = _compute(clip, scratch)
            write_json(scratch / "clip.json", done)
    if not done["found"]:
        return None
    return ClipData(folder, done["clip"], done["step"], done["emotions"], done["drawn"])


def _finished(folder: Path) -> dict | None:
    done = read_json(folder / "clip.json")
    if not isinstance(done, dict) or "found" not in done:
        return None
    names = ("curves", "drawn", "features", "pairs", "apexes") if done["found"] else ()
    return done if all(is_array(folder / f"{name}.npy") for name in names) else None


def _compute(clip: SynthClip, folder: Path) -> dict:
    frames = list(clip_frames(clip))
    tracking = track_faces(frames, clip.fps)
    track = max(tracking.tracks, key=lambda t: sum(s.last - s.first for s in t.segments), default=None)
    if track is None:
        return {"found": False}
    rectangle = track.segments[0].rectangle  # datasets keep one rectangle, and a clip is short
    crops = [gray_crop(frame, rectangle) for frame in frames]
    first, last = track.segments[0].first, track.segments[-1].last
    meter = CurveMeter(len(frames), clip.fps)
    measured = [i for i in range(first, last + 1) if meter.wants(i)]
    for i in measured:
        meter.add(i, crops[i])
    write_array(folder / "curves.npy", meter.curves)
    drawn = _draw_into(clip, meter, measured, [crops[i] for i in measured], folder)
    pairs = _choose_pairs(clip, first, last)
    regions = face_regions(predict_landmarks(crops[first]))
    k, _ = frames_at(clip.fps)
    features = [feature_image(crops[i], crops[i + k], regions, tvl1_flow) for i, _ in pairs]
    write_array(folder / "features.npy", _stacked(features))
    write_array(folder / "pairs.npy", np.array(pairs, np.int32).reshape(-1, 2))
    apexes = [
        (event.emotion, feature_image(crops[i], crops[j], regions, tvl1_flow))
        for event in clip.events
        if event.kind == "micro" and first <= event.onset and event.offset <= last
        for i, j in _apex_pairs(event.onset, event.apex, k)
    ]
    write_array(folder / "apexes.npy", _stacked([image for _, image in apexes]))
    emotions = [emotion for emotion, _ in apexes]
    return {"found": True, "clip": asdict(clip), "step": meter.step, "emotions": emotions, "drawn": drawn}


def _draw_into(
    clip: SynthClip, meter: CurveMeter, measured: list[int], crops: list[np.ndarray], folder: Path
) -> list[list[dict]]:
    """Write the curves of the copies with drawn events. Returns these events."""
    start = measured[0] / clip.fps
    events = [
        {"kind": e.kind, "onset": e.onset / clip.fps - start, "offset": e.offset / clip.fps - start}
        for e in clip.events
    ]
    curves = meter.curves[np.array(measured) // meter.step]
    made, drawn = drawn_copies(np.array(crops), curves, clip.fps / meter.step, events, clip.number)
    write_array(folder / "drawn.npy", made)
    return drawn


def _stacked(images: list[np.ndarray]) -> np.ndarray:
    return np.array(images, np.float16).reshape(-1, 42, 42, 3)


def _apex_pairs(onset: int, apex: int, k: int) -> Iterator[tuple[int, int]]:
    """Pairs from which the emotion is learnt: (onset, apex), and the pairs of the rise that vote for it later."""
    yield onset, apex
    for i in range(max(0, onset - k // 3), apex - k // 2, max(1, k // 3)):
        yield i, i + k


def _choose_pairs(clip: SynthClip, first: int, last: int) -> list[tuple[int, int]]:
    """(first frame, pseudo-label) of the pairs of frames whose features are kept."""
    k, k_prime = frames_at(clip.fps)
    n = last - k + 1
    micro = [Expression(e.onset, e.apex, e.offset, e.emotion) for e in clip.events if e.kind == "micro"]
    labels = pseudo_labels(max(n, 0), micro, k_prime)
    thinned = np.arange(first, n, pair_step(clip.fps))
    if clip.split == "check":
        return [(int(i), int(labels[i])) for i in thinned]
    busy = np.zeros(max(n, 0), bool)
    for e in clip.events:
        if e.kind != "micro":
            busy[max(0, e.onset - k) : e.offset + 1] = True
    rng = np.random.default_rng([CHOICE, clip.number])
    positive = thinned[labels[thinned] == 1]
    hard = thinned[(labels[thinned] == 0) & busy[thinned]]
    others = thinned[(labels[thinned] == 0) & ~busy[thinned]]
    chosen = [positive]
    for kind, share in ((hard, HARD_PER_EXPRESSION), (others, OTHERS_PER_EXPRESSION)):
        wanted = min(len(kind), max(LEAST_OTHERS, round(share * len(positive))))
        chosen.append(rng.choice(kind, wanted, replace=False))
    return [(int(i), int(labels[i])) for i in np.sort(np.concatenate(chosen))]
