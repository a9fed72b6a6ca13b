"""The moving pictures of the expressions of one's own video: cut and made small while the video is read once more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import pandas as pd

from Utils.faces.rectangles import CROP_SIZE, Rectangle
from Utils.own_video.face_tracks import Track
from Utils.own_video.scoring import FaceScores
from Utils.own_video.seeking import Range, joined
from Utils.own_video.video_files import Frame
from Utils.report.clip import ClipFrames, clip_data, frames_of_clip
from Utils.work.cache import key_of

MAX_PICTURED = 300  # expressions with pictures in a report: they take at most 150 KB each


def expressions_with_pictures(expressions: pd.DataFrame) -> pd.DataFrame:
    """The expressions of which the report has pictures: the `MAX_PICTURED` with the highest scores."""
    return expressions.nlargest(MAX_PICTURED, "score")


def picture_remarks(expressions: pd.DataFrame) -> list[str]:
    """A remark for the report if some expressions have no pictures."""
    if len(expressions) <= MAX_PICTURED:
        return []
    return [f"Pictures are of the {MAX_PICTURED} expressions with the highest scores, of {len(expressions)}."]


class _Begun:
    """A clip whose frames are being collected. `key` is that of `_key`."""

    def __init__(self, key: str, frames: ClipFrames, rectangle: Rectangle) -> None:
        self.key, self.frames, self.rectangle = key, frames, rectangle
        self.crops: dict[int, np.ndarray] = {}


class ClipMaker:
    """Makes the clip of each expression that has pictures. `keep` must be called with each frame of the video.

    All frames of a clip are cut with the face's rectangle at the apex, and lie in the same part of the track: no scene
    cut is inside. Crops are only kept until the last frame of their clip, so the memory does not grow with the video.

    Parameters
    ----------
    faces : sequence of FaceScores
    expressions : DataFrame
        With the columns face, onset, apex, offset and score.
    fps : float
        Frames per second.
    earlier : mapping, optional
        `made` of an earlier run on the same video. Clips that are there are not made again.

    Attributes
    ----------
    made : dict
        Key of a clip -> the clip (`clip_data`). Only those that have all their frames.
    """

    def __init__(
        self,
        faces: Sequence[FaceScores],
        expressions: pd.DataFrame,
        fps: float,
        earlier: Mapping[str, dict] | None = None,
    ) -> None:
        self._fps = fps
        self.made: dict[str, dict] = {}
        self._cut_short: dict[str, dict] = {}  # the others
        self._keys: dict[tuple[int, int, int, int], str] = {}  # (face, onset, apex, offset) -> key in `made`
        self._waiting: dict[int, list[_Begun]] = {}  # first frame -> clips that begin there
        self._begun: list[_Begun] = []
        tracks = {face.track.number: face.track for face in faces}
        for row in expressions_with_pictures(expressions).itertuples():
            first, last = _part_around(tracks[row.face], row.apex)
            rectangle = tracks[row.face].segment_at(row.apex).rectangle
            frames = frames_of_clip(row.onset, row.apex, row.offset, first, last)
            if frames is None:
                continue
            begun = _Begun(_key(frames, rectangle), frames, rectangle)
            self._keys[row.face, row.onset, row.apex, row.offset] = begun.key
            if earlier and begun.key in earlier:
                self.made[begun.key] = earlier[begun.key]
            else:
                self._waiting.setdefault(frames.numbers[0], []).append(begun)

    @property
    def needed(self) -> list[Range]:
        """First and last frame of the parts of the video that must be given to `keep`."""
        clips = [begun.frames.numbers for waiting in self._waiting.values() for begun in waiting]
        return joined([(numbers[0], numbers[-1]) for numbers in clips])

    def keep(self, frame: Frame) -> None:
        """Cut and keep what the report shows of a frame, and make the clips that are complete with it."""
        self._begun += self._waiting.pop(frame.index, ())
        for begun in self._begun:
            if frame.index in begun.frames.numbers:
                begun.crops[frame.index] = _shown_crop(frame.image, begun.rectangle)
        for begun in [b for b in self._begun if b.frames.numbers[-1] <= frame.index]:
            self._begun.remove(begun)
            self._make(begun)

    def clip(self, face: int, onset: int, apex: int, offset: int) -> dict | None:
        """The clip of an expression as `write_report` takes it. None if it has no pictures."""
        for begun in self._begun:  # frames that never came: the video ended earlier than when it was scored
            self._make(begun)
        self._begun.clear()
        key = self._keys.get((face, onset, apex, offset))
        return self.made.get(key) or self._cut_short.get(key)

    def _make(self, begun: _Begun) -> None:
        if begun.frames.onset in begun.crops:
            frames = begun.frames._replace(numbers=tuple(begun.crops))
            whole = len(begun.crops) == len(begun.frames.numbers)
            clips = self.made if whole else self._cut_short
            clips[begun.key] = clip_data(frames, list(begun.crops.values()), self._fps)


def _key(frames: ClipFrames, rectangle: Rectangle) -> str:
    """A key of everything that a clip depends on besides the video."""
    return key_of(frames=list(frames.numbers), onset=frames.onset, rectangle=[int(x) for x in rectangle])


def _part_around(track: Track, frame: int) -> tuple[int, int]:
    """First and last frame (inclusive) of the part of a track, without gap or scene cut, that a frame belongs to."""
    return next((first, last) for first, last in track.stretches() if first <= frame <= last)


def _shown_crop(image: np.ndarray, rectangle: Rectangle) -> np.ndarray:
    """A face for people to look at, (128, 128, 3) uint8 BGR. A large one is made smaller without the jagged edges that
    the networks' crops have.
    """
    left, top, right, bottom = rectangle
    face = image[top:bottom, left:right]
    method = cv2.INTER_AREA if min(face.shape[:2]) > CROP_SIZE else cv2.INTER_CUBIC
    return cv2.resize(face, (CROP_SIZE, CROP_SIZE), interpolation=method)
