"""What is no micro-expression in a clip of SYNTH: blinks, glances, speech, chewing, head motion, occlusions and light.

Each function adds to a `Course` and lists every event with its frames; slow drifts, tremor and flicker are not listed.
"""

from __future__ import annotations

import numpy as np

from Utils.synthetic.disturbances import flickering_light, head_motion, smooth_noise
from Utils.synthetic.identity import SIDES
from Utils.synthetic.occluders import HAND, STRAND, Occluder
from Utils.synthetic.portable import cos, sin, tanh
from Utils.synthetic.synth_course import Course, LocalMovement, ease, rise_and_fall

# Times in seconds, frequencies in Hz, lengths in face units, angles in radians; the rest are strengths
BLINK_S, BLINK_CLOSES, BLINK_FROWN = (0.12, 0.40), (0.3, 0.45), 0.05
HALF_CHANCE, HALF_CLOSED, DOUBLE_CHANCE, DOUBLE_GAP_S = 0.22, (0.3, 0.7), 0.15, (0.05, 0.2)
GLANCE_S, GLANCE_SPREAD, LID_FOLLOWS = (0.03, 0.07), (0.5, 0.28), 0.3  # the upper lid follows the eye down
SPEECH_S, SYLLABLES_HZ = (0.5, 3.0), (2.5, 6.0)
SPOKEN = (("AU25", 0.9), ("AU26", 0.45), ("AU18", 0.35), ("AU12", 0.2), ("AU10", 0.2))
CHEWING_S, CHEWS_HZ, CHEW_DOWN, CHEW_ASIDE, CHEEK = (1.2, 4.0), (0.9, 1.9), (0.03, 0.075), (0.0, 0.03), (0.0, 0.03)
SWALLOW_S = (0.6, 1.2)
HEAD_MOVES = {  # name -> (seconds, smallest and largest change of each field of `face.Pose`, chance that it goes back)
    "turn": ((0.3, 1.5), {"yaw": (0.07, 0.20)}, 0.6),
    "nod": ((0.25, 1.2), {"pitch": (0.05, 0.16), "ty": (0.0, 0.05)}, 0.9),
    "tilt": ((0.4, 1.5), {"rotation": (0.04, 0.16), "tx": (0.0, 0.06)}, 0.6),
    "lean": ((0.5, 1.8), {"scale": (0.03, 0.10), "ty": (0.0, 0.05)}, 0.5),
    "jerk": ((0.08, 0.30), {"tx": (0.01, 0.07), "ty": (0.01, 0.05), "yaw": (0.0, 0.06), "pitch": (0.0, 0.06)}, 0.5),
}
SWAYS = {"tx": 0.05, "ty": 0.04, "rotation": 0.04, "scale": 0.025, "yaw": 0.07, "pitch": 0.05}  # standard deviations
SWAY_HZ, MOOD_HZ = (0.1, 0.6), (0.08, 0.3)
MOODS = (("AU1", "AU2"), ("AU4",), ("AU6", "AU12"), ("AU12",), ("AU15", "AU17"), ("AU24",))
POSE_LIMITS = {"tx": 0.18, "ty": 0.15, "rotation": 0.22, "yaw": 0.24, "pitch": 0.18}
LIGHT_CHANGE, RAMP_S, SIDE_LIGHT_CHANCE = (0.05, 0.30), (0.3, 2.0), 0.3
HAND_SIZE, PASS_S, REST_S, STRAND_S = (1.25, 1.6), (0.35, 1.0), (0.5, 2.5), (0.3, 1.2)


def add_blinks(course: Course, rng: np.random.Generator, hz: float) -> None:
    """Complete, half and double blinks of both eyes, `hz` per second on average, with a little frown."""
    start = rng.exponential(1 / hz) * course.fps
    while start < course.frames - 3:
        amplitude = float(rng.uniform(*HALF_CLOSED)) if rng.random() < HALF_CHANCE else 1.0
        end = start
        for _ in range(2 if rng.random() < DOUBLE_CHANCE else 1):
            end = _blink(course, rng, int(end), amplitude) + rng.uniform(*DOUBLE_GAP_S) * course.fps
        start = end + rng.exponential(1 / hz) * course.fps + 0.25 * course.fps


def _blink(course: Course, rng: np.random.Generator, onset: int, amplitude: float) -> int:
    """One blink; returns its last frame. A blink that does not fit is left out."""
    length = max(3, round(rng.uniform(*BLINK_S) * course.fps))
    if onset + length >= course.frames:
        return course.frames
    apex = onset + max(1, round(length * rng.uniform(*BLINK_CLOSES)))
    closed = amplitude * rise_and_fall(course.frames, onset, apex, onset + length, hold=0.1 * length)
    eyes = np.clip(1 + rng.normal(0, 0.06, 2), 0.8, 1)
    course.blink = np.maximum(course.blink, closed[:, None] * eyes)
    course.action_units["AU4"] = course.action_units["AU4"] + BLINK_FROWN * closed[:, None]
    course.add("blink", (onset, apex, onset + length), amplitude)
    return onset + length


def add_glances(course: Course, rng: np.random.Generator, hz: float) -> None:
    """Quick changes of the gaze, `hz` per second on average; the upper lids follow it up and down."""
    course.gaze[:] = current = rng.normal(0, 0.15, 2)
    frame = rng.exponential(1 / hz) * course.fps
    while frame < course.frames - 2:
        onset, length = int(frame), max(1, round(rng.uniform(*GLANCE_S) * course.fps))
        target = np.clip(rng.normal(0, GLANCE_SPREAD), -0.9, 0.9)
        share = ease((np.arange(course.frames) - onset) / length, "smoothstep")[:, None]
        course.gaze += share * (target - current)
        course.add("glance", (onset, onset + length, onset + length), float(np.abs(target - current).max()))
        current = target
        frame = onset + length + rng.exponential(1 / hz) * course.fps
    course.blink = np.clip(course.blink + LID_FOLLOWS * np.clip(course.gaze[:, 1:], -0.3, 1), -0.1, 1)


def add_speech(course: Course, rng: np.random.Generator) -> None:
    """One period of speech: syllables of the jaw and lips, with some play of brows and head."""
    length = round(rng.uniform(*SPEECH_S) * course.fps)
    onset = course.place(rng, length, 0.2, course.avoided("speech", "chewing"))
    if onset is None:
        return
    frames, fps, strength = course.frames, course.fps, float(rng.uniform(0.25, 1.0))
    ramp = max(2, round(0.12 * fps))
    gate = rise_and_fall(frames, onset, onset + ramp, onset + length, max(length - 2 * ramp, 0))
    seconds = np.arange(frames) / fps
    phase = rng.uniform(*SYLLABLES_HZ) * seconds + 0.25 * smooth_noise(rng, frames, fps, 1.5)
    syllables = 0.5 * (1 - cos(2 * np.pi * phase)) * (0.4 + 0.6 * np.abs(smooth_noise(rng, frames, fps, 2)))
    for name, share in SPOKEN:
        form = syllables if name in ("AU25", "AU26") else np.abs(smooth_noise(rng, frames, fps, 1.5))
        course.action_units[name] = np.clip(
            course.action_units[name] + (strength * share * gate * form)[:, None], 0, 1.2
        )
    if rng.random() < 0.4:
        accents = 0.35 * gate * np.clip(smooth_noise(rng, frames, fps, 0.8), 0, 1.5)
        for name in ("AU1", "AU2"):
            course.action_units[name] = course.action_units[name] + accents[:, None]
    course.pose["pitch"] = course.pose["pitch"] + 0.02 * gate * smooth_noise(rng, frames, fps, 2)
    course.add("speech", (onset, onset + length // 2, onset + length), strength, action_units=(10, 12, 18, 25, 26))


def add_chewing(course: Course, rng: np.random.Generator) -> None:
    """One period of chewing with closed lips: the jaw goes down and aside, the cheeks move, the lips are pressed."""
    length = round(min(rng.uniform(*CHEWING_S), 0.5 * course.frames / course.fps) * course.fps)
    onset = course.place(rng, length, 0.2, course.avoided("speech", "chewing"))
    if onset is None:
        return
    frames, landmarks = course.frames, course.landmarks
    ramp = max(2, round(0.2 * course.fps))
    gate = rise_and_fall(frames, onset, onset + ramp, onset + length, max(length - 2 * ramp, 0))
    turn = 2 * np.pi * rng.uniform(*CHEWS_HZ) * (np.arange(frames) - onset) / course.fps
    down, aside = gate * (0.5 - 0.5 * cos(turn)), gate * sin(turn)
    chin, wide = landmarks[8] - [0, 0.05], np.array([0.30, 0.20])
    course.local.append(LocalMovement(chin, wide, np.array([0, rng.uniform(*CHEW_DOWN)]), down))
    course.local.append(LocalMovement(chin, wide, np.array([rng.uniform(*CHEW_ASIDE), 0]), aside))
    for side in SIDES:
        cheek = np.array([side * 0.42, landmarks[48, 1] - 0.06])
        course.local.append(LocalMovement(cheek, np.full(2, 0.14), np.array([side * rng.uniform(*CHEEK), -0.01]), down))
    pressed = rng.uniform(0.0, 0.4) * gate * (0.5 + 0.5 * cos(turn))
    course.action_units["AU24"] = np.clip(course.action_units["AU24"] + pressed[:, None], 0, 1.2)
    course.add("chewing", (onset, onset + length // 2, onset + length), float(rng.uniform(0.5, 1)), action_units=(24,))


def add_swallow(course: Course, rng: np.random.Generator) -> None:
    """One swallow: the chin goes up, the lips are pressed. It is listed as chewing."""
    length = max(4, round(rng.uniform(*SWALLOW_S) * course.fps))
    onset = course.place(rng, length, 0.2, course.avoided("speech", "chewing"))
    if onset is None:
        return
    apex, strength = onset + max(1, length // 2), float(rng.uniform(0.2, 0.7))
    values = strength * rise_and_fall(course.frames, onset, apex, onset + length, 0.1 * length)
    for name, share in (("AU17", 1.0), ("AU24", 0.8)):
        course.action_units[name] = np.clip(course.action_units[name] + share * values[:, None], 0, 1.2)
    course.pose["pitch"] = course.pose["pitch"] + 0.03 * values
    course.add("chewing", (onset, apex, onset + length), strength, action_units=(17, 24))


def add_head_drift(course: Course, rng: np.random.Generator, amount: float) -> None:
    """The drift and tremor that every living head has; not listed."""
    for name, values in head_motion(rng, course.frames, course.fps, amount).items():
        course.pose[name] = course.pose[name] + values - (1 if name == "scale" else 0)


def add_sway(course: Course, rng: np.random.Generator, amount: float) -> None:
    """The head, or the camera, goes slowly about all the time: up to several widths of an eye; not listed."""
    for name, spread in SWAYS.items():
        slow = smooth_noise(rng, course.frames, course.fps, float(rng.uniform(*SWAY_HZ)))
        course.pose[name] = course.pose[name] + amount * spread * slow


def add_mood(course: Course, rng: np.random.Generator, strength: float) -> None:
    """Some action units grow and fade slowly all the time, over seconds; not listed."""
    for index in rng.choice(len(MOODS), int(rng.integers(1, 4)), replace=False):
        slow = smooth_noise(rng, course.frames, course.fps, float(rng.uniform(*MOOD_HZ)))
        values = np.clip(strength * (0.5 + slow), 0, 1)[:, None]
        for name in MOODS[index]:
            course.action_units[name] = np.clip(course.action_units[name] + values, 0, 1.2)


def add_head_move(course: Course, rng: np.random.Generator) -> None:
    """One turn, nod (once or twice), tilt, lean or jerk; the head goes back or stays where it is."""
    seconds, ranges, back_chance = HEAD_MOVES[str(rng.choice(list(HEAD_MOVES)))]
    length = max(2, round(rng.uniform(*seconds) * course.fps))
    goes_back, hold = rng.random() < back_chance, rng.uniform(0, 0.4) * length
    onset = course.place(rng, length, 0.05, course.avoided("head") if rng.random() < 0.8 else ("head",))
    if onset is None:
        return
    if goes_back:
        apex = onset + max(1, round((length - hold) * rng.uniform(0.3, 0.6)))
        values = rise_and_fall(course.frames, onset, apex, onset + length, min(hold, length - (apex - onset) - 1))
        if rng.random() < 0.3:  # twice, or a shake of the head
            values *= cos(2 * np.pi * np.clip((np.arange(course.frames) - onset) / length, 0, 1))
    else:
        apex = onset + length
        values = ease((np.arange(course.frames) - onset) / length, "smoothstep")
    largest = 0.0
    for name, limits in ranges.items():
        amount = float(rng.choice([-1, 1]) * rng.uniform(*limits))
        largest = max(largest, abs(amount))
        course.pose[name] = course.pose[name] + amount * values
    course.add("head", (onset, apex, onset + length), largest)


def limit_pose(course: Course) -> None:
    """Keep the head in the picture and nearly frontal. The limit is soft, so that no movement ends at a wall."""
    for name, limit in POSE_LIMITS.items():
        course.pose[name] = limit * tanh(course.pose[name] / limit)


def add_flicker(course: Course, rng: np.random.Generator, flicker: float) -> None:
    """The light's hum and jitter of relative amplitude `flicker`; not listed."""
    course.gain = course.gain * flickering_light(rng, course.frames, course.fps, flicker)


def add_light_change(course: Course, rng: np.random.Generator, limits: tuple[float, float] = LIGHT_CHANGE) -> None:
    """One step or ramp of the brightness, of the whole picture or of one side of it; it stays or goes back."""
    step = rng.random() < 0.5
    length = int(rng.integers(1, 4)) if step else max(2, round(rng.uniform(*RAMP_S) * course.fps))
    onset = course.place(rng, length, 0.1, ("light",))
    if onset is None:
        return
    change = float(rng.choice([-1, 1]) * rng.uniform(*limits))
    share = ease((np.arange(course.frames) - onset) / length, "linear" if step else "smoothstep")
    course.add("light", (onset, onset + length, onset + length), change)
    back = onset + length + round(rng.uniform(0.2, 2.0) * course.fps)
    if rng.random() < 0.4 and back + length < course.frames - 1:
        share = share - ease((np.arange(course.frames) - back) / length, "linear" if step else "smoothstep")
        course.add("light", (back, back + length, back + length), -change)
    if rng.random() < SIDE_LIGHT_CHANCE:
        course.side_gain = course.side_gain + change * share
    else:
        course.gain = course.gain * (1 + change * share)


def add_occlusion(course: Course, rng: np.random.Generator, half_width: float, hair: bool) -> None:
    """A hand that passes the face or rests on it, or (with `hair`) a strand that swings over it.

    `half_width` is half the width of the picture, face units. Micro-expressions are not covered.
    """
    if hair and rng.random() < 0.4:
        length = max(4, round(rng.uniform(*STRAND_S) * course.fps))
        path = _strand_path
    else:
        rests = rng.random() < 0.5
        length = round((rng.uniform(*REST_S) if rests else 0) * course.fps + rng.uniform(*PASS_S) * 2 * course.fps)
        path = _resting_path if rests else _passing_path
    length = min(length, round(0.5 * course.frames))
    onset = course.place(rng, length, 0.05, ("micro", "occlusion"))
    if onset is None:
        return
    along = np.clip((np.arange(course.frames) - onset) / length, 0, 1)
    occluder = path(rng, along, half_width)
    covered = np.flatnonzero(occluder.covers())
    if len(covered) < 2:
        return
    first, last = int(covered[0]) - 1, int(covered[-1]) + 1
    if first < onset - 1 or last > onset + length + 1:  # a strand that hangs before this face all the time
        return
    course.occluders.append(occluder)
    course.add("occlusion", (first, (first + last) // 2, last), 1.0)


def _passing_path(rng: np.random.Generator, along: np.ndarray, half_width: float) -> Occluder:
    """From one side of the picture to the other, at the height of any part of the face."""
    size, side, outside = float(rng.uniform(*HAND_SIZE)), rng.choice([-1, 1]), half_width + 1.1
    x = side * outside * (1 - 2 * along)
    y = rng.uniform(0.1, 1.1) + rng.uniform(-0.3, 0.3) * sin(np.pi * along)
    path = np.stack([x, y, rng.uniform(-0.4, 0.4) + 0.3 * side * (along - 0.5)], 1)
    path[(along <= 0) | (along >= 1)] = np.nan
    return Occluder(HAND, int(rng.integers(1 << 30)), path, size)


def _resting_path(rng: np.random.Generator, along: np.ndarray, half_width: float) -> Occluder:
    """From below to chin, mouth, cheek or brow; it stays there, and goes down again."""
    size, enters = float(rng.uniform(*HAND_SIZE)), rng.uniform(0.15, 0.3)
    start, target = np.array([rng.uniform(-0.6, 0.6), 3.0]), np.array([rng.uniform(-0.5, 0.5), rng.uniform(0.7, 1.5)])
    share = np.minimum(ease(along / enters, "smoothstep"), 1 - ease((along - 1 + enters) / enters, "smoothstep"))
    path = np.column_stack([start + (target - start) * share[:, None], np.full(len(along), -0.5 * target[0])])
    path[:, :2] += 0.02 * sin(2 * np.pi * along * rng.uniform(1, 4))[:, None] * share[:, None]
    path[(along <= 0) | (along >= 1)] = np.nan
    return Occluder(HAND, int(rng.integers(1 << 30)), path, size)


def _strand_path(rng: np.random.Generator, along: np.ndarray, half_width: float) -> Occluder:
    """Hangs beside the face, swings over it, and back or to where it was."""
    side = rng.choice([-1, 1])
    root = np.array([side * rng.uniform(0.48, 0.56), rng.uniform(-0.48, -0.34)])
    outside, inside = -side * rng.uniform(0.25, 0.35), side * rng.uniform(0.15, 0.8)
    swing = sin(np.pi * ease(along, "smoothstep")) ** 2
    angle = outside + (inside - outside) * swing
    path = np.column_stack([np.full(len(along), root[0]), np.full(len(along), root[1]), angle])
    return Occluder(STRAND, int(rng.integers(1 << 30)), path, float(rng.uniform(0.8, 1.1)))
