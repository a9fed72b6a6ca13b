"""Checksums of what must be the same bits on every processor: functions of `portable.py`, and frames.

python -m tests.support.portable_frames      # prints them as JSON
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

import Utils  # noqa: F401  isort: skip; before cv2: it sets the limit of pixels
import cv2
import numpy as np

from Utils.synthetic import dataset, portable
from Utils.synthetic.clips import subject_face, timeline
from Utils.synthetic.face import Pose
from Utils.synthetic.synth import clip_frames, synth_clip


def checksum(arrays: Iterable[np.ndarray]) -> str:
    """Of the bytes of all arrays: the first half of their SHA-256."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:32]


def functions_checksum() -> str:
    """Of the bits of the functions' results at some thousand places."""
    x = np.linspace(-20, 20, 4001)
    positive = np.abs(x) / 20
    rng = np.random.default_rng(0)  # uniform values are made from integers, without rounding
    matrix = rng.random((20, 20)) + 20 * np.eye(20)
    results = [portable.exp(x), portable.exp(x.astype(np.float32)), portable.log(positive), portable.sin(x)]
    results += [portable.cos(x), portable.arctan2(x, x[::-1] + 1), portable.tanh(x), portable.hypot(x, x[::-1])]
    results += [portable.power(positive, p) for p in (0.35, 0.92, 2.2)]
    results += [portable.product(matrix, matrix), portable.solve(matrix + matrix.T, matrix)]
    return checksum(results)


def frames_checksums() -> dict[str, str]:
    """Of the courses of DEMO's videos, of its faces in one frame each, and of frames of SYNTH."""
    plans = dataset.plan_demo()
    courses = [timeline(v.seed, v.subject, v.video, v.settings, v.emotions) for v in plans]
    values = [[*c.action_units.values(), c.blink, c.gaze, *c.pose.values(), c.gain] for c in courses]
    found = {"courses": checksum(array for arrays in values for array in arrays)}
    for subject in range(8):
        face = subject_face(0, subject, (320, 240))
        action_units = {"AU1": 0.4, "AU6": 0.3, "AU12": (0.5, 0.2), "AU25": 0.7, "AU26": 0.2}
        pose = Pose(tx=0.01, rotation=0.02, scale=1.01, yaw=0.03, pitch=-0.02)
        rng = np.random.default_rng(subject)
        image = face.render(action_units, (0.1, 0.3), (0.4, -0.2), pose, gain=1.01, noise=2.0, noise_rng=rng)
        layer = face.layer(action_units, (0.1, 0.3), (0.4, -0.2), pose)  # floats, which show more than grey levels do
        jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
        found[f"subject {subject}"] = checksum([jpeg, layer, face.backdrop])
    clips = (clip for clip in map(synth_clip, range(100)) if clip.codec.startswith("jpeg") and clip.face_px < 120)
    for clip, _ in zip(clips, range(6), strict=False):
        found[f"clip {clip.number}"] = checksum([frame for frame, _ in zip(clip_frames(clip), range(2), strict=False)])
    return found


if __name__ == "__main__":
    print(json.dumps({"functions": functions_checksum(), "frames": frames_checksums()}, indent=4))
