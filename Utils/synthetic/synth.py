"""SYNTH: a rendered training set made to transfer to real faces. Every number is another person and another clip.

    for number in range(300):
        clip = synth_clip(number)           # the plan: events, frame rate, size, codec
        for image in clip_frames(clip):     # the frames, after compression
            ...

Nothing here shows a real person. What differs from DEMO (`dataset.py`): persons with an age, glasses and beards; frame
rates of 25 to 200; faces of 60 to 400 pixels; compression; local movements beside action units; and many events that
are no micro-expression, all of them listed. A neutral clip has all of these but no micro-expression. A photograph is
one rendered frame that stays, sways, is zoomed, or is lit in another way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from Utils.synthetic import synth_negatives as negatives
from Utils.synthetic.accessories import Wardrobe
from Utils.synthetic.disturbances import smooth_noise
from Utils.synthetic.face import FACE_ORIGIN_Y, Face, Pose
from Utils.synthetic.identity import LONG_HAIRSTYLES
from Utils.synthetic.looks_synth import Person, make_person
from Utils.synthetic.occluders import PaintedOccluder
from Utils.synthetic.portable import exp, log, plain_opencv, sin, tanh
from Utils.synthetic.relief import half_width
from Utils.synthetic.synth_camera import Camera, draw_camera, encode_and_decode, motion_blur
from Utils.synthetic.synth_course import KINDS, Course, SynthEvent
from Utils.synthetic.synth_expressions import add_macro_expressions, add_micro_expressions

__all__ = ["KINDS", "SCENARIOS", "SynthClip", "SynthEvent", "clip_frames", "synth_clip"]

EXPRESSIVE, NEUTRAL, STILL, SWAY, ZOOM, LIT = SCENARIOS = ("expressive", "neutral", "still", "sway", "zoom", "lit")
SCENARIO_CHANCES = (0.55, 0.30, 0.0375, 0.0375, 0.0375, 0.0375)
PHOTOGRAPHS = (STILL, SWAY, ZOOM, LIT)
TRAIN, CHECK, CHECK_EVERY = "train", "check", 5  # every fifth person is kept for checks
FPS_CHANCES = {25.0: 0.32, 30.0: 0.33, 50.0: 0.10, 60.0: 0.10, 100.0: 0.08, 200.0: 0.07}
FAST_FPS = 100.0  # from this rate on, a clip has half the seconds
FACE_PX, USUAL_FACE_PX, USUAL_CHANCE = (60, 400), (90, 250), 0.75
FACE_SHARE = (0.38, 0.50)  # size of a face unit as a share of the picture's height; see `face.UNIT_SHARE`
SHAPES, WIDE = (
    ((1.0, 0.4), (4 / 3, 0.45), (16 / 9, 0.15)),
    280,
)  # width per height: chance; no wide pictures of faces above
MICRO_COUNTS = (0.05, 0.15, 0.25, 0.3, 0.25)  # chances of 0 to 4 micro-expressions in an expressive clip of 10 s
MEANWHILE_CHANCE = 0.6  # that in a clip of a living face other things may happen during a micro-expression
SPEECH_COUNTS = ((0.5, 0.35, 0.15), (0.3, 0.4, 0.3))  # chances of 0 to 2 in 10 s: without, and with "meanwhile"
HEAD_MOVE_COUNTS = ((0.4, 0.3, 0.2, 0.1), (0.2, 0.3, 0.3, 0.2))
SWAY_CHANCE, SWAYS, MOOD_CHANCE, MOODS = 0.4, (0.3, 1.3), 0.35, (0.05, 0.4)  # all the time; factors and intensities
SWAY_PX, SWAY_HZ, ZOOM_SHARE, LIT_SHARE = 4.0, (0.05, 0.35), 0.03, 0.12
FRAME, EXPRESSIONS, OTHER, BLINKS, GAZE, HEAD, LIGHT, CAMERA, PHOTO, NOISE, LIFE = range(31, 42)  # random streams


@dataclass(frozen=True)
class SynthClip:
    """The plan of one clip.

    Attributes
    ----------
    number, seed : int
        They determine the clip, with `seconds`.
    split : str
        "train" or "check"; no person is in both.
    scenario : str
        One of `SCENARIOS`.
    fps : float
    size : (int, int)
        Width and height of the picture, pixels; even.
    face_px : float
        Width of the face from ear to ear, pixels.
    n_frames : int
    looks : dict
        What the renderer drew: sex, age (years), tone (0 light to 1 dark), glasses, beard, fringe.
    events : tuple of SynthEvent
        All events, in order of onset.
    codec : str
        For example "jpeg 85" or "h264 crf 28".
    seconds : float
        The length that was asked for.
    """

    number: int
    split: str
    scenario: str
    fps: float
    size: tuple[int, int]
    face_px: float
    n_frames: int
    looks: dict[str, str | float | bool]
    events: tuple[SynthEvent, ...]
    codec: str
    seconds: float = 10.0
    seed: int = 0


def synth_clip(number: int, seed: int = 0, seconds: float = 10.0) -> SynthClip:
    """The plan of a clip, determined by its number, the seed and the length in seconds."""
    rng = _stream(seed, number, FRAME)
    person = make_person(_person_seed(seed, number))
    scenario = str(rng.choice(SCENARIOS, p=SCENARIO_CHANCES))
    fps = float(rng.choice(list(FPS_CHANCES), p=list(FPS_CHANCES.values())))
    frames = max(8, round(seconds * fps * (0.5 if fps >= FAST_FPS else 1)))
    limits = USUAL_FACE_PX if rng.random() < USUAL_CHANCE else FACE_PX
    face_px = float(exp(rng.uniform(*log(limits))))
    size = _picture_size(face_px / (2 * half_width(person.identity)), face_px, rng)
    course = _course(number, seed, scenario, fps, frames, person, size, face_px)
    return SynthClip(
        number=number,
        split=CHECK if number % CHECK_EVERY == CHECK_EVERY - 1 else TRAIN,
        scenario=scenario,
        fps=fps,
        size=size,
        face_px=round(face_px, 2),
        n_frames=frames,
        looks=person.summary(),
        events=tuple(sorted(course.events, key=lambda event: (event.onset, event.kind))),
        codec=draw_camera(_stream(seed, number, CAMERA), fps).codec_text,
        seconds=seconds,
        seed=seed,
    )


def clip_frames(clip: SynthClip) -> Iterator[np.ndarray]:
    """The frames of a clip, (height, width, 3), uint8 BGR, after compression; each is rendered when it is requested."""
    person = make_person(_person_seed(clip.seed, clip.number))
    shown = clip.number, clip.seed, clip.scenario, clip.fps, clip.n_frames, person, clip.size, clip.face_px
    course, camera = _course(*shown), draw_camera(_stream(clip.seed, clip.number, CAMERA), clip.fps)
    unit = clip.face_px / (2 * half_width(person.identity))
    face = Face(person.identity, clip.size, unit, _supersampling(unit), Wardrobe(person))
    if clip.scenario in PHOTOGRAPHS:
        pictures = _photograph(clip, course, face, _stream(clip.seed, clip.number, PHOTO))
    else:
        pictures = _living(course, face, person, camera)
    sensed = _sense(pictures, course, camera, clip, _stream(clip.seed, clip.number, NOISE))
    yield from encode_and_decode(sensed, camera, clip.fps)


def _stream(seed: int, number: int, purpose: int) -> np.random.Generator:
    return np.random.default_rng([seed, purpose, number])


def _person_seed(seed: int, number: int) -> int:
    return 1_000_000 * (seed + 1) + number  # DEMO's persons are below this


def _supersampling(unit: float) -> float:
    """Small faces need a finer texture, large ones have enough pixels."""
    return 2.0 if unit < 70 else 1.5 if unit < 120 else 1.0


def _picture_size(unit: float, face_px: float, rng: np.random.Generator) -> tuple[int, int]:
    """Width and height, even. A large face fills its picture."""
    height = unit / rng.uniform(*FACE_SHARE if face_px < WIDE else (0.46, 0.5))
    shapes, chances = zip(*SHAPES, strict=True)
    shape = rng.choice(shapes, p=chances)
    return 2 * round(height * (shape if face_px < WIDE else 1.0) / 2), 2 * round(height / 2)


def _course(
    number: int,
    seed: int,
    scenario: str,
    fps: float,
    frames: int,
    person: Person,
    size: tuple[int, int],
    face_px: float,
) -> Course:
    """What happens in a clip. Each purpose has a random stream of its own."""
    course = Course(fps, frames, person.identity.landmarks)
    light = _stream(seed, number, LIGHT)
    negatives.add_flicker(course, light, float(exp(light.uniform(log(0.001), log(0.015)))))
    if scenario in PHOTOGRAPHS:
        if scenario == LIT:
            slow = tanh(smooth_noise(light, frames, fps, float(light.uniform(0.1, 0.8))))
            course.gain *= 1 + float(light.uniform(0.3, 1)) * LIT_SHARE * slow
            negatives.add_flicker(course, light, 0.01)
            for _ in range(int(light.integers(1, 4))):
                negatives.add_light_change(course, light, (0.03, LIT_SHARE))
        return course
    life = _stream(seed, number, LIFE)
    course.meanwhile = bool(life.random() < MEANWHILE_CHANCE)
    length = frames / fps / 10.0  # the counts below are for 10 seconds
    rng = _stream(seed, number, EXPRESSIONS)
    add_macro_expressions(course, rng, _count(rng, length, (0.3, 0.4, 0.3)))
    if scenario == EXPRESSIVE:
        add_micro_expressions(course, rng, _count(rng, length, MICRO_COUNTS))
    half = size[0] / 2 / (face_px / (2 * half_width(person.identity)))
    hair = person.identity.looks.hairstyle in LONG_HAIRSTYLES
    _add_negatives(course, _stream(seed, number, OTHER), length, half, hair)
    for _ in range(_count(light, length, (0.55, 0.3, 0.15))):
        negatives.add_light_change(course, light)
    blinks, gaze, head = (_stream(seed, number, purpose) for purpose in (BLINKS, GAZE, HEAD))
    negatives.add_head_drift(course, head, float(head.uniform(0.2, 1.4)))
    if life.random() < SWAY_CHANCE:
        negatives.add_sway(course, life, float(life.uniform(*SWAYS)))
    if life.random() < MOOD_CHANCE:
        negatives.add_mood(course, life, float(life.uniform(*MOODS)))
    for _ in range(_count(head, length, HEAD_MOVE_COUNTS[course.meanwhile])):
        negatives.add_head_move(course, head)
    negatives.limit_pose(course)
    negatives.add_blinks(course, blinks, float(blinks.uniform(0.1, 0.5)))
    negatives.add_glances(course, gaze, float(gaze.uniform(0.1, 0.8)))
    return course


def _add_negatives(course: Course, rng: np.random.Generator, length: float, half: float, hair: bool) -> None:
    """Speech, chewing, swallows and occlusions."""
    for _ in range(_count(rng, length, SPEECH_COUNTS[course.meanwhile])):
        negatives.add_speech(course, rng)
    for _ in range(_count(rng, length, (0.85, 0.15))):
        negatives.add_chewing(course, rng)
    for _ in range(_count(rng, length, (0.75, 0.25))):
        negatives.add_swallow(course, rng)
    for _ in range(_count(rng, length, (0.7, 0.22, 0.08))):
        negatives.add_occlusion(course, rng, half, hair)


def _count(rng: np.random.Generator, length: float, chances: tuple[float, ...]) -> int:
    """A number of events: drawn for 10 seconds, and thinned or repeated for a clip of `length` times that."""
    count = int(rng.choice(len(chances), p=chances)) * length
    return int(count + rng.random())


def _living(course: Course, face: Face, person: Person, camera: Camera) -> Iterator[np.ndarray]:
    """Pictures of a living face without light changes and noise, float32 (height, width, 3)."""
    unit, size = face.unit, face.size
    warps = [face.local_warp(one.centre, one.sigma, one.shift) for one in course.local]
    looks = person.identity.looks
    occluders = [PaintedOccluder(one, looks.skin, looks.hair, unit) for one in course.occluders]
    origin = np.array([size[0] / 2, size[1] / 2 - FACE_ORIGIN_Y * unit])
    x = course.pose["tx"] + 0.4 * course.pose["yaw"]  # about where the middle of the face is
    y = course.pose["ty"] + 0.4 * course.pose["pitch"]
    speed = np.gradient(np.stack([x, y], 1), axis=0) * unit * camera.shutter
    for frame in range(course.frames):
        layer = motion_blur(_head(course, face, warps, frame), *speed[frame])
        image = _over(face.backdrop, layer)
        for one in occluders:
            layer = one.layer_in(frame, origin, size)
            if layer is not None:
                path = one.occluder.path[:, :2]
                step = np.nan_to_num(path[frame] - path[max(frame - 1, 0)]) * unit * camera.shutter
                image = _over(image, motion_blur(layer, *step))
        yield image


def _head(course: Course, face: Face, warps: list[np.ndarray], frame: int) -> np.ndarray:
    """The head's layer in one frame; see `Face.layer`."""
    active = {name: values[frame] for name, values in course.action_units.items() if values[frame].any()}
    pose = Pose(**{name: float(values[frame]) for name, values in course.pose.items()})
    warp = None
    for movement, full in zip(course.local, warps, strict=True):
        if movement.course[frame]:
            moved = full * np.float32(movement.course[frame])
            warp = moved if warp is None else warp + moved
    return face.layer(active, course.blink[frame], course.gaze[frame], pose, warp)


def _over(behind: np.ndarray, layer: np.ndarray) -> np.ndarray:
    """A layer (BGR times alpha, alpha; 0 to 255) before a picture, float32 (height, width, 3)."""
    uncovered = cv2.cvtColor(1 - layer[..., 3] / 255, cv2.COLOR_GRAY2BGR)
    return cv2.cvtColor(layer, cv2.COLOR_BGRA2BGR) + behind * uncovered


def _photograph(clip: SynthClip, course: Course, face: Face, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """One picture of a face with any expression, as it is, or swaying slowly, or being zoomed; float32."""
    posed = Course(clip.fps, max(clip.n_frames, 60), face.identity.landmarks)
    add_macro_expressions(posed, rng, int(rng.integers(0, 2)))
    negatives.add_head_drift(posed, rng, 2.5)
    posed.gaze[:] = rng.normal(0, 0.2, 2)
    at = posed.events[0].apex if posed.events else 0
    warps = [face.local_warp(one.centre, one.sigma, one.shift) for one in posed.local]
    picture = _over(face.backdrop, _head(posed, face, warps, at))
    shifts, zoom = np.zeros((clip.n_frames, 2)), np.ones(clip.n_frames)
    hz = float(rng.uniform(*SWAY_HZ))
    if clip.scenario == SWAY:
        waves = np.stack([smooth_noise(rng, clip.n_frames, clip.fps, hz) for _ in range(2)], 1)
        shifts = SWAY_PX * float(rng.uniform(0.4, 1)) * tanh(waves)
    elif clip.scenario == ZOOM:
        phase = 2 * np.pi * (hz * np.arange(clip.n_frames) / clip.fps + rng.random())
        zoom = 1 + ZOOM_SHARE * float(rng.uniform(0.5, 1)) * sin(phase)
    middle = np.array(clip.size) / 2
    for shift, factor in zip(shifts, zoom, strict=True):
        if clip.scenario in (SWAY, ZOOM):
            matrix = np.column_stack([np.eye(2) * factor, shift + middle * (1 - factor)])
            yield cv2.warpAffine(picture, matrix, clip.size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        else:
            yield picture


def _sense(
    pictures: Iterator[np.ndarray], course: Course, camera: Camera, clip: SynthClip, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """What the sensor sees, uint8: light and colour of the frame, focus, noise (a random part of one large field)."""
    width, height = clip.size
    field = rng.normal(0, camera.noise, (height + 64, width + 64, 3)).astype(np.float32)
    across = np.linspace(-1, 1, width, dtype=np.float32)[None, :, None]
    for frame, picture in enumerate(pictures):
        light = camera.cast * np.float32(course.gain[frame])
        if course.side_gain[frame]:
            light = light * (1 + np.float32(course.side_gain[frame]) * across)
        image = picture * light
        if camera.focus > 0.3:
            with plain_opencv():
                image = cv2.GaussianBlur(image, (0, 0), camera.focus)
        row, column = rng.integers(0, 65, 2)
        image += field[row : row + height, column : column + width]
        yield np.clip(image + np.float32(0.5), 0, 255).astype(np.uint8)
