"""A synthetic dataset on disk, in the layout of CASME_sq: folders of frames and a workbook of annotations.

    root/rawpic/s15/15_0101slowkettle/img001.jpg ...
    root/code_final.xlsx
    root/.generated/s15_15_0101slowkettle.json      the key of the plan that a finished video was made from

Every video can be made on its own and in any order. A finished video is recognised by its key and is not made again.
Frame numbers are 0-based in the plans, 1-based in the workbook. The names of subjects, videos and words are invented.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from openpyxl import Workbook

from Utils.records import OTHERS
from Utils.synthetic.clips import CLASSES, MACRO, SPEECH, ClipSettings, Event, render_clip, timeline
from Utils.work.cache import atomic_file, atomic_folder, require_writable, write_json
from Utils.work.parallel import Workers, run_units

RENDERER_VERSION = 2  # raise it if the same plan gives other frames: then finished videos are made again
WORKBOOK_NAME = "code_final.xlsx"
FIRST_SUBJECT_CODE = 15  # of the first subject's folder, s15
OTHERS_EVERY, OTHERS_AT = 12, 7  # of each 12 micro-expressions, the one at index 7 belongs to no evaluated class
DEAL, DEAL_MACRO = 200, 201  # numbers of the random streams that deal out stimuli and emotions
MACRO_CLIP = ClipSettings(n_me=(0, 0), n_macro=(3, 4))  # of the videos that DEMO has for macro-expressions


class Stimulus(NamedTuple):
    """What a subject watched: its code, its name in the workbook, and the word in the name of the video's folder."""

    code: str
    name: str
    word: str


STIMULI = (
    Stimulus("0101", "kettle1", "slowkettle"),
    Stimulus("0102", "kettle2", "singingkettle"),
    Stimulus("0203", "harbour3", "fogharbour"),
    Stimulus("0401", "marbles1", "rollingmarbles"),
    Stimulus("0402", "marbles2", "fallingmarbles"),
)
SELF_REPORTS = {"negative": "irritation", "positive": "delight", "surprise": "astonishment", OTHERS: "unsure"}


@dataclass(frozen=True)
class VideoPlan:
    """Everything that determines one video.

    Attributes
    ----------
    seed : int
        The dataset's seed.
    subject, video : int
        0-based numbers: of the subject, and of the video among all videos.
    stimulus : Stimulus
    settings : ClipSettings
    emotions : tuple of str
        The emotions of the micro-expressions, as `clips.timeline` takes them.
    events : tuple of Event
        What is annotated, in order of onset, 0-based. Speech is not annotated.
    """

    seed: int
    subject: int
    video: int
    stimulus: Stimulus
    settings: ClipSettings
    emotions: tuple[str, ...]
    events: tuple[Event, ...]

    @property
    def subject_code(self) -> str:
        """The name of the subject's folder, from `s15` on."""
        return f"s{FIRST_SUBJECT_CODE + self.subject}"

    @property
    def folder(self) -> Path:
        """The video's folder below the dataset's root."""
        name = f"{FIRST_SUBJECT_CODE + self.subject}_{self.stimulus.code}{self.stimulus.word}"
        return Path("rawpic") / self.subject_code / name

    @property
    def key(self) -> str:
        """Hash (SHA-256, hexadecimal) of everything that determines the frames."""
        return self.key_with(RENDERER_VERSION)

    def key_with(self, renderer: int) -> str:
        """The key with a version of the renderer."""
        content = {"renderer": renderer, **asdict(self)}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def plan(
    seed: int = 0, n_subjects: int = 8, videos_per_subject: int = 2, settings: ClipSettings | None = None
) -> list[VideoPlan]:
    """The videos of a dataset, in order of subject and video.

    The classes are dealt in turn, so that all have about the same number of micro-expressions. Every subject has at
    least one video with a micro-expression. The last video has none, unless it is the only one of its subject.

    Raises
    ------
    ValueError
        There is no subject, or no video for a subject, or more videos for a subject than stimuli.
    """
    settings = settings or ClipSettings()
    if n_subjects < 1 or not 1 <= videos_per_subject <= len(STIMULI):
        raise ValueError(
            f"{n_subjects} subjects with {videos_per_subject} videos each: "
            f"expected at least 1 subject and 1 to {len(STIMULI)} videos"
        )
    rng = np.random.default_rng([seed, DEAL])
    deck = _deal_emotions(rng)
    plans = []
    for subject in range(n_subjects):
        watched = np.sort(rng.choice(len(STIMULI), size=videos_per_subject, replace=False))
        for nth, stimulus in enumerate(watched):
            count = int(rng.integers(settings.n_me[0], settings.n_me[1] + 1))
            if nth == 0:
                count = max(count, 1)
            elif subject == n_subjects - 1 and nth == videos_per_subject - 1:
                count = 0
            emotions = tuple(next(deck) for _ in range(count))
            video = len(plans)
            course = timeline(seed, subject, video, settings, emotions)
            events = tuple(event for event in course.events if event.kind != SPEECH)
            plans.append(VideoPlan(seed, subject, video, STIMULI[stimulus], settings, emotions, events))
    return plans


def plan_demo() -> list[VideoPlan]:
    """The videos of DEMO: those of `plan`, then for each subject one with macro-expressions only.

    Leave-one-subject-out on macro-expressions needs some of every subject. (Version 1 of DEMO had seven in all.)
    """
    plans = plan()
    rng = np.random.default_rng([0, DEAL_MACRO])
    for subject in range(max(video.subject for video in plans) + 1):
        watched = {video.stimulus for video in plans if video.subject == subject}
        others = [stimulus for stimulus in STIMULI if stimulus not in watched]
        stimulus, video = others[rng.integers(len(others))], len(plans)
        course = timeline(0, subject, video, MACRO_CLIP, ())
        events = tuple(event for event in course.events if event.kind != SPEECH)
        plans.append(VideoPlan(0, subject, video, stimulus, MACRO_CLIP, (), events))
    return plans


def _deal_emotions(rng: np.random.Generator) -> Iterator[str]:
    """Emotions without end: the classes in shuffled rounds; every `OTHERS_EVERY`-th is not evaluated."""
    position = 0
    while True:
        for index in rng.permutation(len(CLASSES)):
            if position % OTHERS_EVERY == OTHERS_AT:
                yield OTHERS
                position += 1
            yield CLASSES[index]
            position += 1


def is_rendered(video: VideoPlan, root: Path, renderer: int = RENDERER_VERSION) -> bool:
    """Whether all frames of the video are below `root` and were made from exactly this plan, by this renderer."""
    try:
        record = json.loads(_record_path(video, root).read_text())
    except (OSError, ValueError):
        return False
    frames = Path(root) / video.folder
    return record.get("key") == video.key_with(renderer) and len(list(frames.glob("img*.jpg"))) == video.settings.frames


def render_video(video: VideoPlan, root: Path) -> Path:
    """Write the frames of one video, if they are not there yet. The folder appears complete or not at all.

    Several runs may do this at the same time. The first one to finish puts its folder in place; the others leave it.

    Returns
    -------
    Path
        The folder of the frames.
    """
    root = Path(root)
    folder, record = root / video.folder, _record_path(video, root)
    if is_rendered(video, root):
        return folder
    if folder.exists() and not is_rendered(video, root):  # made from another plan, or not complete
        record.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
    with atomic_folder(folder, lambda: is_rendered(video, root)) as partial:
        frames, _ = render_clip(video.seed, video.subject, video.video, video.settings, video.emotions)
        for number, image in enumerate(frames, start=1):
            encoded, content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, video.settings.jpeg])
            if not encoded:
                raise OSError(f"{folder}: frame {number} could not be encoded as JPEG")
            (partial / f"img{number:03d}.jpg").write_bytes(content.tobytes())
        write_json(record, {"key": video.key, "renderer": RENDERER_VERSION})  # first: a folder in place has a record
    return folder


def write_workbook(plans: Sequence[VideoPlan], path: Path) -> None:
    """Write the annotations in the layout of CASME_sq: three sheets without headers, frame numbers 1-based.

    The last macro-expression has offset 0, which means that its offset is its apex.
    """
    path = Path(path)
    samples = [(video, nth, event) for video in plans for nth, event in enumerate(video.events, start=1)]
    last_macro = max((i for i, (_, _, event) in enumerate(samples) if event.kind == MACRO), default=None)
    workbook = Workbook()
    annotations, subjects, stimuli = workbook.active, workbook.create_sheet("Sheet2"), workbook.create_sheet("Sheet3")
    annotations.title = "Sheet1"
    for index, (video, nth, event) in enumerate(samples):
        annotations.append(_annotation_row(video, nth, event, without_offset=index == last_macro))
        subjects.append([index + 1, video.subject_code, video.subject + 1])
    for code, name, _ in sorted({video.stimulus for video in plans}):
        stimuli.append([code, name])
    with atomic_file(path) as scratch:
        workbook.save(scratch)


def _annotation_row(video: VideoPlan, nth: int, event: Event, without_offset: bool) -> list[int | str]:
    numbers = sorted(event.action_units)
    action_units = numbers[0] if len(numbers) == 1 else "+".join(map(str, numbers))
    offset = 0 if without_offset else event.offset + 1
    frames = [event.onset + 1, event.apex + 1, offset]
    words = [event.emotion, event.kind, SELF_REPORTS[event.emotion]]
    return [video.subject + 1, f"{video.stimulus.name}_{nth}", *frames, action_units, *words]


def generate(
    root: Path,
    seed: int = 0,
    n_subjects: int = 8,
    videos_per_subject: int = 2,
    settings: ClipSettings | None = None,
    progress: Callable[[int, int, VideoPlan], None] | None = None,
) -> list[VideoPlan]:
    """Write a whole dataset below `root`, one video after the other. Seed and numbers are those of `plan`.

    Parameters
    ----------
    progress : callable, optional
        Called after each video with the number of finished videos, the number of all videos, and this video's plan.

    Returns
    -------
    list of VideoPlan
    """
    root = Path(root)
    plans = plan(seed, n_subjects, videos_per_subject, settings)
    write_workbook(plans, root / WORKBOOK_NAME)
    for done, video in enumerate(plans, start=1):
        render_video(video, root)
        if progress is not None:
            progress(done, len(plans), video)
    return plans


def _record_path(video: VideoPlan, root: Path) -> Path:
    return Path(root) / ".generated" / f"{video.subject_code}_{video.folder.name}.json"


def _is_outdated(root: Path, plans: Sequence[VideoPlan]) -> bool:
    """Whether `root` is a whole DEMO of an earlier version: its renderer was another, or it has no video of those that
    `plan_demo` adds.
    """
    first = plan()
    added = plans[len(first) :]
    for renderer in range(1, RENDERER_VERSION + 1):
        if all(is_rendered(video, root, renderer) for video in first):
            return renderer < RENDERER_VERSION or not any((root / video.folder).exists() for video in added)
    return False


def make_demo(root: Path, workers: Workers | int) -> None:
    """Make the embedded dataset, if it is not there yet, side by side and with a progress bar.

    The workbook is written last: if it is there, the dataset is complete. A DEMO that an earlier version of this
    program made is completed, or made again. One with other videos is left alone. InputError if `root` cannot be
    written.
    """
    plans = plan_demo()
    if (root / WORKBOOK_NAME).is_file() and not _is_outdated(root, plans):
        return
    require_writable(root, "--data_root")
    (root / WORKBOOK_NAME).unlink(missing_ok=True)  # so that what is interrupted is continued
    print(f"  making the DEMO dataset in {root}: {len(plans)} videos of synthetic faces (once)")
    run_units(partial(render_video, root=root), plans, workers, "rendering", "video")
    write_workbook(plans, root / WORKBOOK_NAME)
