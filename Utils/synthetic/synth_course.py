"""The course of a clip of SYNTH: what moves in each frame, and the list of events; empty to begin with.

Frames are 0-based. An event's onset is its last frame at rest, its apex the first frame at full strength, its offset
the first frame at rest again (or at the new place, if nothing goes back).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from Utils.synthetic.action_units import AU_NAMES
from Utils.synthetic.disturbances import head_motion
from Utils.synthetic.occluders import Occluder
from Utils.synthetic.portable import cos, power

KINDS = ("micro", "macro", "speech", "chewing", "blink", "glance", "head", "occlusion", "light")
MARGIN_S = 0.15  # seconds at both ends of a clip without expressions
EASINGS = ("smoothstep", "cosine", "linear", "fast")


@dataclass(frozen=True)
class SynthEvent:
    """Something that happens in a clip.

    Attributes
    ----------
    kind : str
        One of `KINDS`. A swallow is "chewing".
    emotion : str
        negative, positive, surprise or others for "micro" and "macro", else "".
    onset, apex, offset : int
        0-based frames of the clip, inclusive.
    intensity : float
        Expressions: share of the full displacement. Blinks: how far the eyes close. Light: relative change. Head: about
        the largest turn (radians) or shift (face units). Others: strength, 0 to 1.
    action_units : tuple of int
        Their numbers. A local movement that is like none has none.
    """

    kind: str
    emotion: str
    onset: int
    apex: int
    offset: int
    intensity: float
    action_units: tuple[int, ...] = ()


@dataclass(frozen=True)
class LocalMovement:
    """A smooth movement of the skin around one place; see `Motion.local_warp` for centre, sigma and shift.

    Attributes
    ----------
    course : ndarray, shape (frames,)
        Factor on the shift.
    """

    centre: np.ndarray
    sigma: np.ndarray
    shift: np.ndarray
    course: np.ndarray


@dataclass
class Course:
    """What happens in one clip. The first axis of every array is the frame.

    Attributes
    ----------
    fps : float
    frames : int
    landmarks : ndarray, shape (68, 2)
        The neutral landmarks of the face, face units.
    action_units : dict of str to ndarray, shape (frames, 2)
        Name -> intensity on the left and on the right side of the image.
    local : list of LocalMovement
    blink, gaze : ndarray, shape (frames, 2)
        How far the (left, right) eye is closed, 0 to 1; where the eyes look (right, down), -1 to 1.
    pose : dict of str to ndarray, shape (frames,)
        Name of a field of `face.Pose` -> its values.
    gain, side_gain : ndarray, shape (frames,)
        Factor on the brightness; and how much brighter the right edge of the picture is than its middle (relative).
    occluders : list of Occluder
    events : list of SynthEvent
    meanwhile : bool
        Whether speech, chewing and moves of the head may happen during a micro-expression.
    """

    fps: float
    frames: int
    landmarks: np.ndarray
    meanwhile: bool = False
    action_units: dict[str, np.ndarray] = field(init=False)
    local: list[LocalMovement] = field(default_factory=list)
    blink: np.ndarray = field(init=False)
    gaze: np.ndarray = field(init=False)
    pose: dict[str, np.ndarray] = field(init=False)
    gain: np.ndarray = field(init=False)
    side_gain: np.ndarray = field(init=False)
    occluders: list[Occluder] = field(default_factory=list)
    events: list[SynthEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        frames = self.frames
        self.action_units = {name: np.zeros((frames, 2)) for name in AU_NAMES}
        self.blink, self.gaze = np.zeros((frames, 2)), np.zeros((frames, 2))
        self.pose = head_motion(np.random.default_rng(0), frames, self.fps, 0.0)
        self.gain, self.side_gain = np.ones(frames), np.zeros(frames)

    def place(self, rng: np.random.Generator, length: int, gap_s: float = 0.0, avoid: Iterable[str] = ()) -> int | None:
        """A random onset for an event of `length` frames, `gap_s` seconds from all events of the kinds `avoid`.

        None if there is no room.
        """
        margin, gap = round(MARGIN_S * self.fps), round(gap_s * self.fps)
        onsets = np.arange(margin, self.frames - length - margin)
        kinds = set(avoid)
        for event in self.events:
            if event.kind in kinds:
                onsets = onsets[(onsets > event.offset + gap) | (onsets + length + gap < event.onset)]
        return int(rng.choice(onsets)) if len(onsets) else None

    def avoided(self, *kinds: str) -> tuple[str, ...]:
        """These kinds, and micro-expressions if nothing else may happen during one."""
        return kinds if self.meanwhile else ("micro", *kinds)

    def add(
        self,
        kind: str,
        frames: tuple[int, int, int],
        intensity: float,
        emotion: str = "",
        action_units: tuple[int, ...] = (),
    ) -> None:
        """List an event. Its frames (onset, apex, offset) are kept inside the clip and in order."""
        onset, apex, offset = (int(np.clip(frame, 0, self.frames - 1)) for frame in frames)
        apex = min(max(apex, onset), offset)
        self.events.append(SynthEvent(kind, emotion, onset, apex, offset, round(float(intensity), 4), action_units))


def ease(share: np.ndarray, kind: str) -> np.ndarray:
    """From 0 to 1 while `share` goes from 0 to 1, in one of the ways of `EASINGS`."""
    share = np.clip(share, 0, 1)
    if kind == "smoothstep":
        return share * share * (3 - 2 * share)
    if kind == "cosine":
        return 0.5 - 0.5 * cos(np.pi * share)
    return 1 - power(1 - share, 2.2) if kind == "fast" else share


def rise_and_fall(
    frames: int,
    onset: float,
    apex: float,
    offset: float,
    hold: float = 0.0,
    easings: tuple[str, str] = ("smoothstep", "smoothstep"),
    rest: float = 0.0,
) -> np.ndarray:
    """0 until the onset, 1 from the apex for `hold` frames, `rest` from the offset on, shape (frames,)."""
    frame = np.arange(frames, dtype=float)
    rise = ease((frame - onset) / max(apex - onset, 1), easings[0])
    fall = 1 - (1 - rest) * ease((frame - apex - hold) / max(offset - apex - hold, 1), easings[1])
    return rise * fall
