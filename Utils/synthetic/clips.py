"""Clips: what a synthetic face does over time, and its frames.

A timeline has micro-expressions (short and weak) and what disturbs their spotting: macro-expressions, speech, blinks,
glances, head motion and flicker. The expressions and speech have one random stream, and so has each of the others and
the sensor noise. So a change of one setting does not change the course of the rest. Frames are 0-based, and intervals
include both ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from Utils.records import OTHERS
from Utils.synthetic.action_units import AU_NAMES
from Utils.synthetic.disturbances import blinks, envelope, flickering_light, glances, head_motion, smooth_noise
from Utils.synthetic.face import Face, Pose
from Utils.synthetic.identity import make_identity
from Utils.synthetic.portable import cos

MICRO, MACRO, SPEECH = "micro-expression", "macro-expression", "speech"
CLASSES = ("negative", "positive", "surprise")
Combination = tuple[tuple[str, float], ...]  # (action unit, weight) each

# How each emotion can show: probability and action units of every way. The classes share action units, so that no
# single action unit tells them apart.
REPERTOIRE: dict[str, list[tuple[float, Combination]]] = {
    "negative": [
        (0.25, (("AU4", 1.0),)),
        (0.20, (("AU4", 0.9), ("AU15", 0.9))),
        (0.15, (("AU4", 0.7), ("AU9", 0.9), ("AU10", 0.8))),
        (0.12, (("AU15", 1.0), ("AU17", 0.7))),
        (0.10, (("AU1", 0.8), ("AU15", 0.8))),
        (0.10, (("AU1", 0.7), ("AU2", 0.5), ("AU4", 0.9))),
        (0.08, (("AU10", 0.9), ("AU12", 0.4))),
    ],
    "positive": [
        (0.35, (("AU12", 1.0),)),
        (0.40, (("AU6", 0.9), ("AU12", 0.9))),
        (0.13, (("AU6", 0.8), ("AU12", 0.6), ("AU25", 0.3))),
        (0.12, (("AU1", 0.45), ("AU2", 0.45), ("AU12", 0.8))),
    ],
    "surprise": [
        (0.40, (("AU1", 1.0), ("AU2", 1.0))),
        (0.20, (("AU1", 0.9), ("AU2", 0.9), ("AU5", 1.0))),
        (0.25, (("AU1", 0.9), ("AU2", 0.9), ("AU25", 0.6), ("AU26", 0.35))),
        (0.15, (("AU5", 1.0), ("AU25", 0.7), ("AU26", 0.35))),
    ],
    OTHERS: [(0.34, (("AU24", 1.0),)), (0.33, (("AU18", 1.0),)), (0.33, (("AU17", 1.0),))],
}
STRAY_ACTION_UNITS = ("AU4", "AU1", "AU12", "AU15", "AU6", "AU17", "AU25")
STRAY_WEIGHT = (0.15, 0.4)  # range of the weight with which one of them joins a micro-expression

BLINK_FROWN = 0.05  # intensity of AU4 at a full blink
MARGIN_S = 0.4  # seconds at both ends of a clip without any event
EVENTS, BLINKS, GAZE, HEAD, LIGHT, NOISE = range(1, 7)  # numbers of the random streams

# Ranges of what is drawn for each event. Durations and gaps to other events are in seconds; apex and hold (frames for
# which the apex is held) are shares of the duration; amplitudes are shares of the full displacement.
MICRO_GAP_S, MACRO_GAP_S, SPEECH_GAP_S = 0.45, 0.3, 0.3
MICRO_APEX = (0.32, 0.5)
MACRO_S, MACRO_APEX, MACRO_HOLD, MACRO_AMPLITUDE = (0.8, 1.8), (0.25, 0.4), (0.15, 0.3), (0.55, 1.0)
SPEECH_S, SYLLABLES_HZ = (0.6, 1.4), (2.5, 4.0)

LEAST_MICRO, LEAST_RISE = 3, 2  # frames of a micro-expression from onset to offset, and from onset to apex
LEAST_INTENSITY = 0.3  # share of the mean intensity that every action unit has at least, with any jitter
SIDES_WITHIN = (0.5, 1.5)  # factors on the intensity to which the two sides of a face are limited
SPOKEN = (("AU18", 0.3), ("AU25", 0.9), ("AU26", 0.45))  # the action units of speech and their strengths


@dataclass(frozen=True)
class ClipSettings:
    """What a clip is like. With the defaults, micro-expressions are neither trivial nor hopeless to spot.

    Attributes
    ----------
    fps, frames : int
        Frames per second, and frames in the clip.
    size : (int, int)
        Width and height of the picture, pixels.
    n_me, n_macro, n_speech : (int, int)
        Smallest and largest number of micro-expressions, macro-expressions and periods of speech.
    me_amp : (float, float)
        Range of a micro-expression's intensity, as a share of the action units' full displacement.
    me_sec : (float, float)
        Range of a micro-expression's duration from onset to offset, seconds.
    au_extra : float
        Probability that a weak action unit of no meaning joins a micro-expression.
    au_jitter, side_asym : float
        Relative spread of intensities among an event's action units, and between the sides of the face.
    head : float
        Factor on the head's motion.
    blink_hz, gaze_hz : float
        Blinks and glances per second.
    flicker : float
        Relative amplitude of the light's flicker.
    noise : float
        Standard deviation of the sensor noise, grey levels.
    jpeg : int
        Quality of the frames on disk, 0 to 100.
    """

    fps: int = 30
    frames: int = 300
    size: tuple[int, int] = (320, 240)
    n_me: tuple[int, int] = (2, 4)
    n_macro: tuple[int, int] = (0, 1)
    n_speech: tuple[int, int] = (0, 1)
    me_amp: tuple[float, float] = (0.25, 0.45)
    me_sec: tuple[float, float] = (0.27, 0.50)
    au_extra: float = 0.3
    au_jitter: float = 0.25
    side_asym: float = 0.25
    head: float = 0.7
    blink_hz: float = 0.2
    gaze_hz: float = 0.5
    flicker: float = 0.006
    noise: float = 2.0
    jpeg: int = 90


@dataclass(frozen=True)
class Event:
    """An expression, or a period of speech. Frames are 0-based and inclusive.

    Attributes
    ----------
    kind : str
        `MICRO`, `MACRO` or `SPEECH`.
    emotion : str
        One of `CLASSES`, `OTHERS`, or "" for speech.
    onset, apex, offset : int
    action_units : tuple of int
        The numbers of its action units.
    """

    kind: str
    emotion: str
    onset: int
    apex: int
    offset: int
    action_units: tuple[int, ...]


@dataclass(frozen=True)
class Timeline:
    """The course of one clip. The first axis of every array is the frame.

    Attributes
    ----------
    action_units : dict of str to ndarray, shape (frames, 2)
        Name -> intensity on the left and on the right side of the image.
    blink : ndarray, shape (frames,)
        How far the eyes are closed, 0 to 1.
    gaze : ndarray, shape (frames, 2)
        Right and down, -1 to 1.
    pose : dict of str to ndarray, shape (frames,)
        Name of a field of `Pose` -> its values.
    gain : ndarray, shape (frames,)
        Factor on the brightness.
    events : list of Event
        In order of onset.
    """

    action_units: dict[str, np.ndarray]
    blink: np.ndarray
    gaze: np.ndarray
    pose: dict[str, np.ndarray]
    gain: np.ndarray
    events: list[Event]


def timeline(
    seed: int, subject: int, video: int, settings: ClipSettings, emotions: Sequence[str] | None = None
) -> Timeline:
    """The course of one clip.

    Parameters
    ----------
    seed, subject, video : int
        Together with the settings they determine the course.
    settings : ClipSettings
    emotions : sequence of str, optional
        One micro-expression for each, in the order in which they are placed (not in order of time). By default, their
        number and emotions are drawn. A micro-expression for which there is no room is left out.
    """

    def stream(purpose: int) -> np.random.Generator:
        return np.random.default_rng([seed, purpose, subject, video])

    action_units, events = _Stage(settings, stream(EVENTS)).play(emotions)
    frames, fps = settings.frames, settings.fps
    blink = blinks(stream(BLINKS), frames, fps, settings.blink_hz)
    action_units["AU4"] = action_units["AU4"] + BLINK_FROWN * blink[:, None]
    return Timeline(
        action_units=action_units,
        blink=blink,
        gaze=glances(stream(GAZE), frames, fps, settings.gaze_hz),
        pose=head_motion(stream(HEAD), frames, fps, settings.head),
        gain=flickering_light(stream(LIGHT), frames, fps, settings.flicker),
        events=sorted(events, key=lambda event: event.onset),
    )


def render_clip(
    seed: int,
    subject: int,
    video: int,
    settings: ClipSettings,
    emotions: Sequence[str] | None = None,
    face: Face | None = None,
) -> tuple[Iterator[np.ndarray], list[Event]]:
    """Frames and events of one clip; the parameters are those of `timeline`.

    Parameters
    ----------
    face : Face, optional
        `subject_face(seed, subject, settings.size)`, so that it need not be built again.

    Returns
    -------
    frames : iterator of ndarray, (height, width, 3), uint8
        BGR. Each frame is rendered when it is requested.
    events : list of Event
        In order of onset.
    """
    course = timeline(seed, subject, video, settings, emotions)
    face = face or subject_face(seed, subject, settings.size)
    noise_rng = np.random.default_rng([seed, NOISE, subject, video])
    return _frames(course, face, settings, noise_rng), course.events


def subject_face(seed: int, subject: int, size: tuple[int, int]) -> Face:
    """The face of a subject: one identity for each seed and subject."""
    return Face(make_identity(seed * 1000 + subject), size)


def _frames(
    course: Timeline, face: Face, settings: ClipSettings, noise_rng: np.random.Generator
) -> Iterator[np.ndarray]:
    for frame in range(settings.frames):
        active = {name: values[frame] for name, values in course.action_units.items() if values[frame].any()}
        blink = float(course.blink[frame])
        pose = Pose(**{name: float(values[frame]) for name, values in course.pose.items()})
        gain = float(course.gain[frame])
        yield face.render(active, (blink, blink), course.gaze[frame], pose, gain, settings.noise, noise_rng)


class _Stage:
    """Places events in a clip, one after the other, without overlap."""

    def __init__(self, settings: ClipSettings, rng: np.random.Generator) -> None:
        self.settings, self.rng = settings, rng
        self.action_units = {name: np.zeros((settings.frames, 2)) for name in AU_NAMES}
        self.events: list[Event] = []

    def play(self, emotions: Sequence[str] | None) -> tuple[dict[str, np.ndarray], list[Event]]:
        """Intensities and events of the whole clip."""
        if emotions is None:
            emotions = [str(self.rng.choice(CLASSES)) for _ in range(self._count(self.settings.n_me))]
        for emotion in emotions:
            self._micro_expression(emotion)
        for _ in range(self._count(self.settings.n_macro)):
            self._macro_expression()
        for _ in range(self._count(self.settings.n_speech)):
            self._speech()
        return self.action_units, self.events

    def _count(self, limits: tuple[int, int]) -> int:
        return int(self.rng.integers(limits[0], limits[1] + 1))

    def _place(self, length: int, gap_s: float) -> int | None:
        """A random onset for an event of `length` frames, `gap_s` seconds from all others. None if there is no room."""
        fps, margin = self.settings.fps, int(MARGIN_S * self.settings.fps)
        gap = int(gap_s * fps)
        latest = self.settings.frames - length - margin
        free = [
            onset
            for onset in range(margin + 1, latest)
            if all(onset > other.offset + gap or onset + length + gap < other.onset for other in self.events)
        ]
        return int(self.rng.choice(free)) if free else None

    def _micro_expression(self, emotion: str) -> None:
        rng, settings = self.rng, self.settings
        length = max(LEAST_MICRO, int(rng.uniform(*settings.me_sec) * settings.fps + 0.5))
        length = min(length, int(settings.me_sec[1] * settings.fps))
        onset = self._place(length, MICRO_GAP_S)
        if onset is None:
            return
        combination = self._combination(emotion)
        names = [name for name, _ in combination]
        if rng.random() < settings.au_extra:
            stray = str(rng.choice([name for name in STRAY_ACTION_UNITS if name not in names]))
            combination += ((stray, float(rng.uniform(*STRAY_WEIGHT))),)
        apex = onset + max(LEAST_RISE, round(length * rng.uniform(*MICRO_APEX)))
        course = envelope(settings.frames, onset, apex, onset + length, hold=int(rng.integers(0, 2)))
        self._act(combination, course, rng.uniform(*settings.me_amp))
        self._annotate(MICRO, emotion, (onset, apex, onset + length), combination)

    def _macro_expression(self) -> None:
        rng, settings = self.rng, self.settings
        length = round(rng.uniform(*MACRO_S) * settings.fps)
        onset = self._place(length, MACRO_GAP_S)
        if onset is None:
            return
        emotion = str(rng.choice([*CLASSES, OTHERS]))
        combination = self._combination(emotion)
        apex = onset + int(length * rng.uniform(*MACRO_APEX))
        course = envelope(settings.frames, onset, apex, onset + length, hold=int(length * rng.uniform(*MACRO_HOLD)))
        self._act(combination, course, rng.uniform(*MACRO_AMPLITUDE))
        self._annotate(MACRO, emotion, (onset, apex, onset + length), combination)

    def _speech(self) -> None:
        rng, settings = self.rng, self.settings
        length = round(rng.uniform(*SPEECH_S) * settings.fps)
        onset = self._place(length, SPEECH_GAP_S)
        if onset is None:
            return
        frames, fps = settings.frames, settings.fps
        seconds = np.arange(frames) / fps
        course = envelope(frames, onset, onset + 4, onset + length, hold=max(length - 9, 0))  # starts and ends fast
        syllables = 0.5 * (1 - cos(2 * np.pi * rng.uniform(*SYLLABLES_HZ) * seconds + rng.uniform(0, 2 * np.pi)))
        syllables *= 0.6 + 0.4 * np.abs(smooth_noise(rng, frames, fps, 3))  # some syllables are weaker
        rounding = np.abs(smooth_noise(rng, frames, fps, 2))
        for name, strength in SPOKEN:
            values = strength * (rounding if name == "AU18" else syllables)
            self.action_units[name] = np.maximum(self.action_units[name], (course * values)[:, None])
        self._annotate(SPEECH, "", (onset, onset + length // 2, onset + length), SPOKEN)

    def _combination(self, emotion: str) -> Combination:
        chances, combinations = zip(*REPERTOIRE[emotion], strict=True)
        return combinations[self.rng.choice(len(combinations), p=chances)]

    def _act(self, combination: Combination, course: np.ndarray, amplitude: float) -> None:
        """Add action units at `amplitude` times their weight, with random differences among them and between sides."""
        for name, weight in combination:
            mean = amplitude * weight
            intensity = max(mean * (1 + 0.7 * self.rng.normal(0, self.settings.au_jitter)), LEAST_INTENSITY * mean)
            lopsided = 0.5 * self.rng.normal(0, self.settings.side_asym)
            sides = np.clip([1 + lopsided, 1 - lopsided], *SIDES_WITHIN)
            self.action_units[name] = np.maximum(self.action_units[name], course[:, None] * intensity * sides)

    def _annotate(self, kind: str, emotion: str, frames: tuple[int, int, int], combination: Combination) -> None:
        self.events.append(Event(kind, emotion, *frames, tuple(int(name[2:]) for name, _ in combination)))
