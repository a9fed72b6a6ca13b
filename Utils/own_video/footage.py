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
LEVELS = (GREEN, AMBER, RED)
SAMPLES_PER_SECOND = 2  # at which faces are looked at; the frame rate is measured on every frame

# Bounds: (amber, red). A value on the wrong side of the first is amber, of the second red.

# New frames per second: below 25, k = 0.1 s is under 2.5 frames; below 20, under two.
RATE = (25.0, 20.0)
# Pixels, the shorter side of the face's rectangle: a smaller face is enlarged to 128, its small movements are lost.
FACE = (100.0, 60.0)
# Crete's measure, 0 (sharp) to 1. Rendered faces reach these when blurred by about 1.2 and 2.4 pixels of the crop.
BLUR = (0.58, 0.7)
# Share of the face's pixels that are black, or that are white: no movement can be seen in them.
CLIPPED = (0.1, 0.3)
# Median gray level of the face, 0 to 255.
DARK, BRIGHT = (60.0, 35.0), (200.0, 225.0)
# Bits per pixel of H.264. Other codecs need a share of it; those that are not named here are not judged.
BITS = (0.04, 0.015)
CODECS = {"h264": 1.0, "hevc": 0.5, "vp9": 0.5, "av1": 0.5}
# Share of the video in which a face is scored.
SCORED = (0.9, 0.5)
# Pixels of the 128x128 crop by which the head moves in half a second, 90th percentile.
MOTION = (4.0, 10.0)

CHANGED = 2  # gray levels by which a pixel must differ to count as changed
REPEATED = 0.001  # share of changed pixels below which a frame repeats the one before; noise changes far more
FEW_REPEATED = 0.02  # share of repeated frames that is not reported
SAMPLED = 480  # pixels of the shorter side that are compared: larger frames are read at every n-th pixel, not averaged
BLUR_WIDTH = 11  # pixels of the box filter of Crete's measure (its authors' choice is 9 to 11)
BLACK, WHITE = 12, 243  # gray levels from which on a pixel counts as black or white
FLAT = 2.0  # gray levels; crops with a smaller standard deviation show nothing whose motion could be measured


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
    if not isinstance(values, list) or not all(isinstance(value, dict) and value.keys() == names for value in values):
        return False
    return all(isinstance(text, str) for value in values for text in value.values()) and all(
        value["level"] in LEVELS for value in values
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
    """Measures while the frames of a video go by; `add` is to be called with each of them, in order.

    Parameters
    ----------
    tracking : Tracking
        Where the faces are.
    fps : float
        Frames per second of the frames that come.
    resampled : bool
        The video's rate is variable: frames are repeated by this program, so repeats say nothing about the camera.
    """

    def __init__(self, tracking: Tracking, fps: float, resampled: bool = False) -> None:
        self._tracking, self._fps, self._resampled = tracking, fps, resampled
        self._every = max(1, round(fps / SAMPLES_PER_SECOND))
        self._latest: np.ndarray | None = None
        self._repeated = self._n = 0
        self._sizes: list[int] = []
        self._blur: list[float] = []
        self._median: list[float] = []
        self._black: list[float] = []
        self._white: list[float] = []
        self._moved: list[float] = []
        # Of each track, the frame, the rectangle and the crop of its latest sample.
        self._before: dict[int, tuple[int, tuple, np.ndarray]] = {}

    def add(self, frame: Frame) -> None:
        """Measure one frame."""
        gray = cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY)
        step = max(1, min(gray.shape) // SAMPLED)
        small = gray[::step, ::step]
        if self._latest is not None:
            changed = (cv2.absdiff(small, self._latest) >= CHANGED).mean()
            self._repeated += float(changed) < REPEATED
        self._latest, self._n = small.copy(), self._n + 1
        if frame.index in self._tracking.cuts:
            self._before.clear()
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
        self._black.append(float((crop <= BLACK).mean()))
        self._white.append(float((crop >= WHITE).mean()))
        before = self._before.get(number)
        if before is not None and before[0] == index - self._every and crop.std() > FLAT < before[2].std():
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
        if bits is not None and codec in CODECS:
            found.append(_compression(bits, codec))
        found.append(_scored(scored))
        if self._moved:
            found.append(self._head_motion())
        return found

    def _rate(self) -> Finding:
        repeated = 0.0 if self._resampled else self._repeated / max(1, self._n - 1)
        value = f"{self._fps:.4g} frames per second"
        advice = "Record at 25 frames per second or more: micro-expressions last 0.04 to 0.5 s."
        if repeated < FEW_REPEATED:
            repeated = 0.0
        else:
            value += f", {repeated:.0%} of them repeat the frame before"
            advice = "Record with the camera's own program: screen recordings and slow cameras repeat frames."
        level = level_of(self._fps * (1 - repeated), RATE)
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
        median, black, white = (float(np.median(x)) for x in (self._median, self._black, self._white))
        dark = worse(level_of(median, DARK), level_of(black, CLIPPED))
        bright = worse(level_of(median, BRIGHT), level_of(white, CLIPPED))
        level = worse(dark, bright)
        advice = ""
        if level != GREEN:
            advice = "Use more light from the front." if level == dark else "Use less light, or expose for the face."
        value = f"gray level {median:.0f} of 255, {black:.0%} of the face black, {white:.0%} white"
        return Finding("exposure", value, level, advice)

    def _head_motion(self) -> Finding:
        moved = float(np.percentile(self._moved, 90))
        level = level_of(moved, MOTION)
        advice = "Ask for a still head, or rest the head: its movement hides that of the face."
        value = f"{moved:.1f} pixels of the 128-pixel crop in half a second (90th percentile)"
        return Finding("head motion", value, level, advice if level != GREEN else "")


def _compression(bits: float, codec: str) -> Finding:
    level = level_of(bits / CODECS[codec], BITS)
    advice = "Record or export with a higher bit rate: strong compression takes small movements away."
    return Finding("compression", f"{bits:.3f} bits per pixel ({codec})", level, advice if level != GREEN else "")


def _scored(share: float) -> Finding:
    level = level_of(share, SCORED)
    advice = "Only these parts are analysed: keep the face in the picture, turned to the camera, and uncovered."
    return Finding("time with a scored face", f"{share:.0%}", level, advice if level != GREEN else "")


def worse(first: str, second: str) -> str:
    """The worse of two levels."""
    return max(first, second, key=LEVELS.index)


def worst(findings: Sequence[Finding]) -> str:
    """The worst level of the findings."""
    return max((finding.level for finding in findings), key=LEVELS.index, default=GREEN)


def scored_share(tracking: Tracking, k: int, k_prime: int) -> float:
    """Share of a video's frames that lie in a stretch of a face that is long enough to be scored, 0 to 1."""
    scored = np.zeros(tracking.n_frames, bool)
    for track in tracking.tracks:
        for first, last in scored_stretches(track, k, 2 * k_prime):
            scored[first : last + k + 1] = True
    return float(scored.mean()) if tracking.n_frames else 0.0


def inspect_footage(path: Path, fps: float | None, which: str, weights: OwnWeights) -> tuple[list[Finding], list[str]]:
    """Look at a video without scoring it: `main.py --video PATH --check`.

    It is decoded twice, or three times if its rate is variable.

    Parameters
    ----------
    path, fps
        As `video_files.open_video` takes them.
    which : {"largest", "all"}
        The faces that are followed.
    weights : OwnWeights
        They say how long a stretch with a face must be.

    Returns
    -------
    findings : list of Finding
    remarks : list of str
        What is odd about the file: a variable rate, an early end, frames that cannot be decoded.

    Raises
    ------
    InputError
        The video cannot be read.
    """
    source = open_video(path, fps)
    tracking = track_faces((frame.image for frame in source), source.fps, which)
    if not tracking.n_frames:
        raise InputError(f"{path}: no frame can be decoded; is the file whole?")
    meter = FootageMeter(tracking, source.fps, source.resampled)
    for frame in source:
        meter.add(frame)
    scored = scored_share(tracking, *weights.frames_at(source.fps))
    findings = meter.findings(scored, source.bits_per_pixel, source.codec)
    return findings, [*source.remarks, *source.problems]
