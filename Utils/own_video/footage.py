"""Is the footage good enough? Seven measurements of a video, each green, amber or red, with what to do about it.

    meter = FootageMeter(tracking, source.fps)
    for frame in source:
        meter.add(frame)
    for finding in meter.findings(scored, source.bits_per_pixel, source.codec):
        print(finding)

What is good enough follows from what the method needs (docs/own_video.md): two frames 0.1 s apart, cut to 128x128, in
which a movement of a fraction of a pixel must be visible. The bounds are stated with the constants; where no source
gives one, it was chosen on rendered faces (`python -m tests.benchmarks.footage`), and the page says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np

from Utils.errors import InputError
from Utils.faces.rectangles import cut_face
from Utils.own_video.face_tracks import Tracking, track_faces
from Utils.own_video.scoring import scored_stretches
from Utils.own_video.video_files import Frame, open_video
from Utils.own_video.weights import OwnWeights

GREEN, AMBER, RED = "green", "amber", "red"
SAMPLES_PER_SECOND = 2  # at which faces are looked at; the frame rate is measured on every frame

# Bounds: (amber, red). A value on the wrong side of the first is amber, of the second red.
RATE = (25.0, 20.0)  # new frames per second: below 25, k = 0.1 s is under 2.5 frames; below 20, under two
FACE = (
    100.0,
    60.0,
)  # pixels, the face's width: a smaller one is enlarged to 128, and its movements are no longer there
BLUR = (
    0.58,
    0.7,
)  # Crete's measure, 0 (sharp) to 1: rendered faces blurred by 1.2 and 2.4 pixels of the crop reach these
CLIPPED = (0.1, 0.3)  # share of the face's pixels that are black or white, in which no movement can be seen
DARK, BRIGHT = (60.0, 35.0), (200.0, 225.0)  # median grey level of the face, of 0 to 255
BITS = (0.04, 0.015)  # bits per pixel of a video of H.264; newer codecs need half, folders of images are not measured
SCORED = (0.9, 0.5)  # share of the video in which a face is scored
MOTION = (4.0, 10.0)  # pixels of the 128x128 crop by which the head moves in half a second, 90th percentile

REPEATED = 0.05  # grey levels; frames whose thumbnails differ by less on average show the same picture
THUMBNAIL = (64, 36)  # pixels
BLUR_WIDTH = 11  # pixels of the box filter of Crete's measure (its authors' choice is 9 to 11)
BLACK, WHITE = 12, 243  # grey levels from which on a pixel counts as clipped; video has little below 16 and above 235
EFFICIENT_CODECS = ("hevc", "vp9", "av1")


@dataclass(frozen=True)
class Finding:
    """One measurement: what it is of, its value in words, green, amber or red, and what to do (empty if green)."""

    name: str
    value: str
    level: str
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.level}: {self.name} {self.value}" + (f". {self.advice}" if self.advice else "")


def are_findings(values: object) -> bool:
    """Whether these are findings as a JSON file holds them: users may have changed it."""
    names = {field.name for field in fields(Finding)}
    return isinstance(values, list) and all(
        isinstance(value, dict) and value.keys() == names and all(isinstance(text, str) for text in value.values())
        for value in values
    )


def level_of(value: float, bounds: tuple[float, float]) -> str:
    """Green, amber or red. Bounds that fall (25, 20) are lower ones, bounds that rise upper ones."""
    amber, red = bounds
    if amber > red:
        amber, red, value = -amber, -red, -value
    if value <= amber:
        return GREEN
    return AMBER if value <= red else RED


def crete_blur(image: np.ndarray) -> float:
    """The perceptual blur of an image, 0 (sharp) to 1: Crete et al., The Blur Effect, SPIE 6492 (2007), section 3.

    How much of the change between neighbouring pixels a strong blur takes away: much from a sharp image, little from
    one that is blurred already. The worse of the two directions counts. 1 for an image without any change.

    Parameters
    ----------
    image : ndarray, (height, width), uint8
    """
    image = image.astype(np.float64)
    measures = []
    for axis, size in ((0, (1, BLUR_WIDTH)), (1, (BLUR_WIDTH, 1))):  # OpenCV's order: width, height
        change = np.abs(np.diff(image, axis=axis))
        left = np.abs(np.diff(cv2.blur(image, size), axis=axis))
        taken = np.maximum(change - left, 0).sum()
        measures.append(1 - taken / change.sum() if change.any() else 1.0)
    return max(measures)


class FootageMeter:
    """Measures while the frames of a video go by; `add` is to be called with each of them, in order."""

    def __init__(self, tracking: Tracking, fps: float) -> None:
        self._tracking, self._fps = tracking, fps
        self._every = max(1, round(fps / SAMPLES_PER_SECOND))
        self._thumbnail: np.ndarray | None = None
        self._repeated = self._n = 0
        self._sizes: list[int] = []
        self._blur: list[float] = []
        self._median: list[float] = []
        self._clipped: list[float] = []
        self._moved: list[float] = []
        self._before: dict[
            int, tuple[int, tuple, np.ndarray]
        ] = {}  # track -> frame, rectangle, crop of the last sample

    def add(self, frame: Frame) -> None:
        """Measure one frame."""
        gray = cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY)
        small = cv2.resize(gray, THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.float32)
        if self._thumbnail is not None:
            self._repeated += float(np.abs(small - self._thumbnail).mean()) < REPEATED
        self._thumbnail, self._n = small, self._n + 1
        if frame.index % self._every:
            return
        for track in self._tracking.tracks:
            segment = track.segment_at(frame.index)
            if segment is not None:
                self._add_face(track.number, frame.index, segment.rectangle, gray)

    def _add_face(self, number: int, index: int, rectangle: tuple, gray: np.ndarray) -> None:
        crop = cut_face(gray, rectangle)
        self._sizes.append(min(rectangle[2] - rectangle[0], rectangle[3] - rectangle[1]))
        self._blur.append(crete_blur(crop))
        self._median.append(float(np.median(crop)))
        self._clipped.append(float(((crop <= BLACK) | (crop >= WHITE)).mean()))
        before = self._before.get(number)
        if before is not None and before[0] == index - self._every:
            moved = before[2], cut_face(gray, before[1])  # both cut with the rectangle of the first
            (x, y), _ = cv2.phaseCorrelate(*(image.astype(np.float32) for image in moved))
            self._moved.append(float(np.hypot(x, y)))
        self._before[number] = (index, rectangle, crop)

    def findings(self, scored: float, bits: float | None = None, codec: str = "") -> list[Finding]:
        """All measurements, in the order in which a user can do something about them.

        Parameters
        ----------
        scored : float
            Share of the frames with a scored face, 0 to 1.
        bits : float or None
            Bits per pixel of the stream; None for a folder of images.
        codec : str
            FFmpeg's name of the video's codec.
        """
        found = [self._rate()]
        if self._sizes:
            found += [self._face_size(), self._sharpness(), self._exposure()]
        if bits is not None:
            found.append(_compression(bits, codec))
        found.append(_scored(scored))
        if self._moved:
            found.append(self._head_motion())
        return found

    def _rate(self) -> Finding:
        repeated = self._repeated / max(1, self._n - 1)
        new = self._fps * (1 - repeated)
        value = f"{self._fps:.4g} frames per second"
        if new >= 0.9 * self._fps:
            advice = "Record at 25 frames per second or more: micro-expressions last 0.04 to 0.5 s."
            new = self._fps
        else:
            value += f", {repeated:.0%} of them repeat the frame before"
            advice = "Record with the camera's own program: screen recordings and slow cameras repeat frames."
        level = level_of(new, RATE)
        return Finding("frame rate", value, level, advice if level != GREEN else "")

    def _face_size(self) -> Finding:
        size = float(np.median(self._sizes))
        level = level_of(size, FACE)
        advice = "Move the camera nearer, zoom in, or record with more pixels: a face should be 100 pixels wide."
        return Finding("face size", f"{size:.0f} pixels", level, advice if level != GREEN else "")

    def _sharpness(self) -> Finding:
        blur = float(np.median(self._blur))
        level = level_of(blur, BLUR)
        advice = "Focus on the face, clean the lens, and use more light, so that the shutter is open for less time."
        return Finding("blur", f"{blur:.2f} (0 is sharp, 1 is blurred)", level, advice if level != GREEN else "")

    def _exposure(self) -> Finding:
        median, clipped = float(np.median(self._median)), float(np.median(self._clipped))
        levels = {level_of(median, DARK), level_of(median, BRIGHT), level_of(clipped, CLIPPED)}
        level = next(level for level in (RED, AMBER, GREEN) if level in levels)
        advice = (
            "Use more light from the front." if median < BRIGHT[0] / 2 else "Use less light, or expose for the face."
        )
        value = f"grey level {median:.0f} of 255, {clipped:.0%} of the face black or white"
        return Finding("exposure", value, level, advice if level != GREEN else "")

    def _head_motion(self) -> Finding:
        moved = float(np.percentile(self._moved, 90))
        level = level_of(moved, MOTION)
        advice = "Ask for a still head, or rest the head: its movement hides that of the face."
        value = f"{moved:.1f} pixels of the 128-pixel crop in half a second (90th percentile)"
        return Finding("head motion", value, level, advice if level != GREEN else "")


def _compression(bits: float, codec: str) -> Finding:
    bounds = tuple(bound / 2 for bound in BITS) if codec in EFFICIENT_CODECS else BITS
    level = level_of(bits, bounds)
    advice = "Record or export with a higher bit rate: strong compression takes small movements away."
    return Finding("compression", f"{bits:.3f} bits per pixel", level, advice if level != GREEN else "")


def _scored(share: float) -> Finding:
    level = level_of(share, SCORED)
    advice = "Only these parts are analysed: keep the face in the picture, turned to the camera, and uncovered."
    return Finding("time with a scored face", f"{share:.0%}", level, advice if level != GREEN else "")


def worst(findings: Sequence[Finding]) -> str:
    """Red if any finding is red, else amber if any is, else green."""
    levels = {finding.level for finding in findings}
    return next((level for level in (RED, AMBER) if level in levels), GREEN)


def scored_share(tracking: Tracking, k: int, k_prime: int) -> float:
    """Share of a video's frames that lie in a stretch of a face that is long enough to be scored, 0 to 1."""
    scored = np.zeros(tracking.n_frames, bool)
    for track in tracking.tracks:
        for first, last in scored_stretches(track, k, 2 * k_prime):
            scored[first : last + k + 1] = True
    return float(scored.mean()) if tracking.n_frames else 0.0


def inspect_footage(path: Path, fps: float | None, which: str, weights: OwnWeights) -> list[Finding]:
    """Look at a video without scoring it: `main.py --video PATH --check`. It is decoded twice.

    Parameters
    ----------
    path, fps
        As `video_files.open_video` takes them.
    which : {"largest", "all"}
        The faces that are followed.
    weights : OwnWeights
        They say how long a stretch with a face must be.

    Raises
    ------
    InputError
        The video cannot be read.
    """
    source = open_video(path, fps)
    tracking = track_faces((frame.image for frame in source), source.fps, which)
    if not tracking.n_frames:
        raise InputError(f"{path}: no frame can be decoded; is the file whole?")
    meter = FootageMeter(tracking, source.fps)
    for frame in source:
        meter.add(frame)
    scored = scored_share(tracking, *weights.frames_at(source.fps))
    return meter.findings(scored, source.bits_per_pixel, source.codec)
