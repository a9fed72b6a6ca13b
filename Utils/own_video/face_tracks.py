"""Where the faces of a video are. Faces are detected every second, at scene cuts, and where a face appears or leaves.

For datasets the paper's rule is used: the rectangle of the first frame is kept (`face_crop.py`). But people who film
themselves move. Within a track, the rectangle still stays until the face has left it. If it moved between the two
frames of a pair, this would be read as motion of the face.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np

from Utils.faces.landmarks import detect_faces
from Utils.faces.rectangles import Rectangle, area, clip_rectangle, overlap

DETECTION_SIDE = 640  # pixels; larger frames are scaled down to this side, in which faces of 40 pixels are still found
SAME_PLACE = 0.6  # least intersection over union with a new detection for which the rectangle is kept
SAME_FACE = 0.25  # least intersection over union for which a detection is the same face
STAY = 0.5  # share of the largest face's area; a followed face with less is given up for the largest one
CUT = 28.0  # grey levels; a larger mean difference between the thumbnails of two frames is a scene cut
THUMBNAIL = (32, 18)  # width and height of a thumbnail, pixels

Detector = Callable[[np.ndarray], list[Rectangle]]


@dataclass(frozen=True)
class Segment:
    """Frames `first` to `last` (0-based, inclusive) in which a face has one rectangle: (left, top, right, bottom)."""

    first: int
    last: int
    rectangle: Rectangle


@dataclass(frozen=True)
class Track:
    """One face: its number from 0, its segments in order of time, and the frames at which a new scene begins."""

    number: int
    segments: tuple[Segment, ...]
    cuts: tuple[int, ...] = ()

    def stretches(self) -> list[tuple[int, int]]:
        """First and last frames (inclusive) of the parts that have neither a gap nor a scene cut inside."""
        found: list[list[int]] = []
        for segment in self.segments:
            if found and segment.first == found[-1][1] + 1 and segment.first not in self.cuts:
                found[-1][1] = segment.last
            else:
                found.append([segment.first, segment.last])
        return [(first, last) for first, last in found]

    def segment_at(self, frame: int) -> Segment | None:
        """The segment that a frame belongs to. None if the face is not there."""
        return next((s for s in self.segments if s.first <= frame <= s.last), None)


@dataclass(frozen=True)
class Tracking:
    """What the first pass over a video finds.

    Attributes
    ----------
    n_frames : int
        Number of frames that could be decoded.
    tracks : tuple of Track
    cuts : tuple of int
        Frames at which a new scene begins.
    without_face : tuple of (int, int)
        First and last frames (inclusive) of the parts in which no face is followed.
    """

    n_frames: int
    tracks: tuple[Track, ...]
    cuts: tuple[int, ...]
    without_face: tuple[tuple[int, int], ...]


@dataclass
class _Growing:
    """A track that is not finished. Its segments are lists [first, last, rectangle]."""

    number: int
    segments: list[list] = field(default_factory=list)
    present: bool = False  # whether the face was found by the latest detection

    @property
    def rectangle(self) -> Rectangle:
        return self.segments[-1][2]


def track_faces(
    images: Iterable[np.ndarray], fps: float, which: str = "largest", detect: Detector = detect_faces
) -> Tracking:
    """Follow the faces of a video in one pass. About one second of reduced frames is kept in memory.

    Parameters
    ----------
    images : iterable of ndarray, (height, width, 3), uint8
        BGR, all of one size.
    fps : float
        Frames per second.
    which : {"largest", "all"}
        "largest": one face at a time, the largest. Another face takes its place only if it is gone, or if its area is
        less than half (`STAY`) of the other's. "all": every face.
    detect : callable
        (height, width, 3) uint8 -> faces as (left, top, right, bottom) in pixels.
    """
    tracker = _Tracker(max(1, round(fps)), which, detect)
    for image in images:
        tracker.add(image)
    return tracker.finish()


def shows_face(image: np.ndarray) -> bool:
    """Whether there is a face in a frame, (height, width, 3) uint8 BGR."""
    return bool(detect_faces(_reduced(image, _scale_for(image))))


def _scale_for(image: np.ndarray) -> float:
    """The factor, at most 1, by which a frame is scaled down before faces are looked for."""
    return min(1.0, DETECTION_SIDE / max(image.shape[:2]))


def _reduced(image: np.ndarray, scale: float) -> np.ndarray:
    """The frame scaled down by a factor; the frame itself if it is 1."""
    return image if scale == 1 else cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


class _Tracker:
    """Follows faces from one detection to the next.

    It keeps the frames since the latest detection. When a face has appeared or left in between, the frame at which it
    did so is found among them by bisection.
    """

    def __init__(self, interval: int, which: str, detect: Detector) -> None:
        self.interval, self.which, self.detector = interval, which, detect
        self.n = 0
        self.waiting: list[np.ndarray] = []  # reduced frames from `detected_at` + 1 on
        self.detected_at = -1
        self.thumbnail: np.ndarray | None = None
        self.cuts: list[int] = []
        self.tracks: list[_Growing] = []
        self.scale, self.size = 1.0, (0, 0)

    def add(self, image: np.ndarray) -> None:
        """Take the next frame."""
        if not self.n:
            self.size = image.shape[1], image.shape[0]
            self.scale = _scale_for(image)
        small = _reduced(image, self.scale)
        if self._is_cut(small):
            self._detect_last()
            self.cuts.append(self.n)
            for track in self.tracks:
                track.present = False
        self.waiting.append(small.copy() if small is image else small)
        self.n += 1
        at_cut = bool(self.cuts) and self.cuts[-1] == self.n - 1
        if self.n == 1 or at_cut or len(self.waiting) >= self.interval:
            self._detect_last()

    def finish(self) -> Tracking:
        """The result, after the last frame."""
        self._detect_last()
        cuts = tuple(self.cuts)
        tracks = tuple(
            Track(t.number, tuple(Segment(a, b, r) for a, b, r in t.segments if a <= b), cuts) for t in self.tracks
        )
        covered = np.zeros(self.n, bool)
        for track in tracks:
            for s in track.segments:
                covered[s.first : s.last + 1] = True
        return Tracking(self.n, tracks, cuts, tuple(runs_of(~covered)))

    def _is_cut(self, image: np.ndarray) -> bool:
        """Whether a new scene begins with this frame."""
        small = cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), THUMBNAIL, interpolation=cv2.INTER_AREA)
        before, self.thumbnail = self.thumbnail, small.astype(np.float32)
        return before is not None and float(np.abs(self.thumbnail - before).mean()) > CUT

    def _detect(self, image: np.ndarray) -> list[Rectangle]:
        """The faces in a reduced frame, in pixels of the video and clipped to it."""
        width, height = self.size
        found = [
            clip_rectangle(tuple(round(x / self.scale) for x in face), (height, width)) for face in self.detector(image)
        ]
        return [face for face in found if face is not None]

    def _detect_last(self) -> None:
        """Detect faces in the newest kept frame, and continue, end or begin tracks."""
        if not self.waiting:
            return
        now = self.n - 1
        faces = self._detect(self.waiting[-1])
        if self.which == "largest":
            faces = self._one_of(faces)
        matched = self._match(faces)
        for track in self.tracks:
            if track.number in matched:
                self._go_on(track, faces[matched[track.number]], now)
            elif track.present:
                self._end(track, now)
        for i, face in enumerate(faces):
            if i not in matched.values():
                self._begin(face, now)
        self.waiting.clear()
        self.detected_at = now

    def _one_of(self, faces: list[Rectangle]) -> list[Rectangle]:
        """The one face to follow: the followed one while it is large enough (`STAY`), else the largest. Or none."""
        largest = max(faces, key=area, default=None)
        for track in self.tracks:
            if track.present:
                stays = max(faces, key=lambda face: overlap(face, track.rectangle), default=None)
                if stays and overlap(stays, track.rectangle) >= SAME_FACE and area(stays) >= STAY * area(largest):
                    return [stays]
        return [largest] if largest else []

    def _match(self, faces: list[Rectangle]) -> dict[int, int]:
        """Track number -> index of its face. Tracks that are present come first, then the best overlap."""
        pairs = sorted(
            (
                (track.present, overlap(face, track.rectangle), track.number, i)
                for track in self.tracks
                for i, face in enumerate(faces)
            ),
            reverse=True,
        )
        matched: dict[int, int] = {}
        for _, common, number, i in pairs:
            if common >= SAME_FACE and number not in matched and i not in matched.values():
                matched[number] = i
        return matched

    def _go_on(self, track: _Growing, face: Rectangle, now: int) -> None:
        """Continue a track with the face that was found at frame `now`."""
        if not track.present:
            first = self._first_with(face, now)
            track.segments.append([first, now, face])
            track.present = True
        elif overlap(face, track.rectangle) >= SAME_PLACE:
            track.segments[-1][1] = now
        else:  # the face has moved: the new rectangle holds from the middle between the two detections on
            middle = (self.detected_at + now) // 2
            track.segments[-1][1] = middle
            track.segments.append([middle + 1, now, face])

    def _begin(self, face: Rectangle, now: int) -> None:
        """Begin a track with a face that was found at frame `now`."""
        first = self._first_with(face, now)
        if self.which == "largest":  # one face at a time: not before the other tracks end
            first = max([first, *(t.segments[-1][1] + 1 for t in self.tracks)])
        track = _Growing(len(self.tracks), present=True)
        track.segments.append([min(first, now), now, face])
        self.tracks.append(track)

    def _end(self, track: _Growing, now: int) -> None:
        """End a track whose face is gone at frame `now`: find the last frame that has it by bisection."""
        low, high = self.detected_at, now
        while high - low > 1:
            middle = (low + high) // 2
            if self._has(track.rectangle, middle):
                low = middle
            else:
                high = middle
        track.segments[-1][1] = low
        track.present = False

    def _first_with(self, face: Rectangle, now: int) -> int:
        """The first kept frame with a face that is there at frame `now`, found by bisection."""
        start = self.n - len(self.waiting)
        low, high = start - 1, now
        while high - low > 1:
            middle = (low + high) // 2
            if self._has(face, middle):
                high = middle
            else:
                low = middle
        return high

    def _has(self, rectangle: Rectangle, frame: int) -> bool:
        """Whether a kept frame has a face at this place."""
        image = self.waiting[frame - (self.n - len(self.waiting))]
        return any(overlap(face, rectangle) >= SAME_FACE for face in self._detect(image))


def runs_of(mask: np.ndarray) -> list[tuple[int, int]]:
    """First and last indices (inclusive) of the runs of True in `mask`, shape (n,), in ascending order."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(mask, np.int8), [0]])))
    return [(int(first), int(end) - 1) for first, end in zip(edges[::2], edges[1::2], strict=True)]
