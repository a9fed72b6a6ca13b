"""Checks a dataset before days are spent on a run: everything is read, nothing is computed, and faults are reported.

python main.py --dataset_name CASME_sq --data_root /path/to/datasets --check
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from load_excel import match_expressions, read_annotations
from load_images import RawVideos, scan_videos
from prepare_training import half_length
from Utils.datasets.annotations import Annotations
from Utils.datasets.facts import PublishedCount
from Utils.datasets.table import Dataset
from Utils.errors import InputError
from Utils.faces.images import JPEG_END, JPEG_START, read_image
from Utils.records import MICRO, OTHERS, Video, shown_length
from Utils.settings import MEAN_LENGTH, MEDIAN_LENGTH
from Utils.work.parallel import Workers, run_units

LINES_SHOWN = 40  # lines of each kind that the report lists
PLACES_SHOWN = 3  # if no more rows than this are skipped for one reason, their places are listed

# An image must have its end mark in the last bytes of the file. Some cameras append data after it, so if it is not in
# the first number of bytes, it is looked for in the second. There, the end mark of a thumbnail can be found by mistake.
# Such a file passes this test, and is refused when it is decoded.
TAIL, LONG_TAIL = 1024, 65536

# First bytes and end marks of the image formats. A BMP has no end mark: its header has the length of the file.
PNG_START, PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND"
TIFF_STARTS = (b"II*\0", b"MM\0*")  # of folders of the user's own frames
BMP_START, BMP_LENGTH = b"BM", slice(2, 6)


@dataclass(frozen=True)
class Check:
    """What a check found: the problems that would stop a run, and the report for the user."""

    problems: list[str]
    report: str


def check_dataset(
    dataset: Dataset,
    data_root: Path,
    protocol: str = "paper",
    which: str = "annotated",
    workers: Workers | int = 1,
    kind: str = MICRO,
    spotting_only: bool = False,
    half_length_from: str = MEAN_LENGTH,
) -> Check:
    """Read all of a dataset and report what is there.

    Nothing is raised for bad input. What cannot be read is among the problems or in the report.

    Parameters
    ----------
    dataset : Dataset
    data_root : Path
        Folder that contains the folders of the datasets.
    protocol : {"paper", "upstream"}
        Annotations are read as under this protocol.
    which : {"annotated", "all"}
        The videos that would take part.
    workers : Workers or int
        They read the frames.
    kind : {"micro", "macro"}
        The expressions that are counted.
    spotting_only : bool
        Whether emotions do not matter.
    half_length_from : {"mean", "median"}
        From which average of offset - onset k' is made.
    """
    lines = [f"{dataset.title} in {data_root}, {protocol} protocol: checked, nothing computed"]
    raw = annotations = None
    problems: list[str] = []
    try:
        raw = scan_videos(dataset, data_root)
        problems += raw.problems
        if not raw.videos and not raw.problems:
            problems.append(f"{raw.root}: contains no video folder")
    except InputError as error:
        problems.append(str(error))
    try:
        annotations = read_annotations(dataset, data_root, protocol, kind, spotting_only)
        if not annotations.rows:
            problems.append(f"the {dataset.annotated_in} has no usable {kind}-expression")
    except InputError as error:
        problems.append(str(error))

    matched, remarks = [], list(annotations.remarks) if annotations else []
    if raw and raw.videos and annotations and annotations.rows:
        try:
            matched, more = match_expressions(raw.videos, annotations, which)
            remarks += more
        except InputError as error:
            problems.append(str(error))
    faults = _frame_faults(raw, workers) if raw else {}
    stopping = [video for video in matched if _stops_a_run(video, dataset, faults)]
    problems += [fault for video in stopping for fault in faults[video.subject, video.name]]
    problems = list(dict.fromkeys(problems))
    lines += _listed("cannot be used", problems)
    lines += _counts(dataset, matched, kind, half_length_from)
    if annotations:
        lines += _rows(annotations, kind, dataset.annotated_in)
    lines += _listed("remarks on annotations and folders", remarks)
    if raw:
        lines += _frames(raw, faults)
    return Check(problems, "\n".join(lines) + "\n")


def _listed(title: str, items: Sequence[str]) -> list[str]:
    """A title with the number of items, and the first `LINES_SHOWN` items. No lines if there are no items."""
    if not items:
        return []
    more = [f"  ... and {len(items) - LINES_SHOWN} more"] if len(items) > LINES_SHOWN else []
    return ["", f"{title}: {len(items)}", *(f"  {item}" for item in items[:LINES_SHOWN]), *more]


def _counts(dataset: Dataset, videos: Sequence[Video], kind: str, half_length_from: str) -> list[str]:
    """Lines on what takes part, compared with the published numbers, and on the expressions of each class."""
    expressions = [e for v in videos for e in v.expressions]
    here = (len({v.subject for v in videos}), len(videos), len(expressions))
    k_prime = half_length(videos, half_length_from == MEDIAN_LENGTH) if expressions else None
    lines = [
        "",
        f"takes part (videos with a {kind}-expression; {_rates(videos, dataset)} frames a second, "
        f"k = {shown_length(dataset.k)})",
    ]
    if dataset.published and kind == MICRO:
        published = "/".join(map(str, dataset.published))
        lines.append(f"  subjects/videos/expressions: {_compared(published, '/'.join(map(str, here)))}")
    else:
        lines.append(f"  subjects/videos/expressions: here {'/'.join(map(str, here))}")
    lines += [_beside_published(count, videos) for count in dataset.released if count.kind == kind]
    if here[0] == 1:
        lines.append("  only one subject: leave-one-subject-out needs two, so a run would stop")
    if dataset.k_prime is not None and kind == MICRO:
        lines.append(f"  k': {_compared(dataset.k_prime, k_prime)}")
    elif k_prime is not None:
        lines.append(f"  k': here {shown_length(k_prime)}")
    if expressions and not isinstance(k_prime, Mapping):
        lengths = [e.offset - e.onset for e in expressions]
        mean, median = statistics.fmean(lengths), statistics.median(lengths)
        lines.append(
            f"  k' is made from the {half_length_from} of offset - onset: mean {mean:.1f}, median {median:g}, longest "
            f"{max(lengths)} frames"
        )
    for name in dict.fromkeys((*dataset.classes, OTHERS)):
        in_videos = [v for v in videos if any(e.emotion == name for e in v.expressions)]
        count, subjects = sum(e.emotion == name for e in expressions), len({v.subject for v in in_videos})
        aside = "" if name in dataset.classes else ", spotted and not recognised"
        if count or not aside:
            lines.append(f"  {name}: {count} expressions of {subjects} subjects{aside}")
    evaluated = {v.subject for v in videos for e in v.expressions if e.emotion in dataset.classes}
    without = list(dict.fromkeys(v.subject for v in videos if v.subject not in evaluated))
    if without:
        lines.append(f"  subjects without an expression of an evaluated class: {', '.join(without)}")
    return lines


def _beside_published(count: PublishedCount, videos: Sequence[Video]) -> str:
    """A line with a published count and ours of the same."""
    counted = [(v, e) for v in videos for e in v.expressions if e.onset >= count.least_onset]
    ours = {
        "subjects": (count.subjects, len({v.subject for v, _ in counted})),
        "videos": (count.videos, len({v.label for v, _ in counted})),
        "expressions": (count.expressions, len(counted)),
    }
    known = {what: pair for what, pair in ours.items() if pair[0] is not None}
    published, here = ("/".join(str(pair[i]) for pair in known.values()) for i in (0, 1))
    return f"  {'/'.join(known)} as counted by {count.who}: {_compared(published, here)}"


def _rates(videos: Sequence[Video], dataset: Dataset) -> str:
    """The frame rates of videos: `30`, or `15 and 30`."""
    return " and ".join(f"{fps:g}" for fps in sorted({v.fps or dataset.fps for v in videos} or {dataset.fps}))


def _compared(published, here) -> str:
    """A published number and the one found here."""
    result = "equal" if published == here else "differs"
    return f"published {published}, here {here}: {result}"


def _rows(annotations: Annotations, kind: str, where: str) -> list[str]:
    """Lines on the annotated rows: how many are used, how many are skipped for each reason, and each faulty one."""
    lines = ["", f"{where} rows: {len(annotations.rows)} {kind}-expressions that can be used"]
    for reason, places in annotations.skipped.items():
        shown = f": {'; '.join(places)}" if len(places) <= PLACES_SHOWN else ""
        lines.append(f"  {len(places)} skipped, {reason}{shown}")
    return lines + _listed("rows left out because they are faulty", annotations.left_out)


def _frame_faults(raw: RawVideos, workers: Workers | int) -> dict[tuple[str, str], list[str]]:
    """(subject, video) -> a line for each frame that cannot be read, of all videos, annotated or not."""
    videos = list(raw.videos.values())
    found = run_units(check_frames, videos, workers, "frames", "video")
    return {(video.subject, video.name): lines for video, lines in zip(videos, found, strict=True)}


def _stops_a_run(video: Video, dataset: Dataset, faults: Mapping[tuple[str, str], list[str]]) -> bool:
    """Whether a run stops at the faulty frames of a video, if it has any.

    If damaged images are replaced (`Dataset.index_is_number`), it only stops at files that it may not read.
    """
    faulty = bool(faults[video.subject, video.name])
    return faulty and not (dataset.index_is_number and all(os.access(path, os.R_OK) for path in video.frames))


def _frames(raw: RawVideos, faults: Mapping[tuple[str, str], list[str]]) -> list[str]:
    """Lines on the frames of all videos: their number, those that cannot be read, gaps and other files."""
    unreadable = [line for lines in faults.values() for line in lines]
    n = sum(len(set(v.frames)) for v in raw.videos.values())
    files = [video for video in raw.videos.values() if video.source is not None]
    kind = "video(s)" if files else "video folder(s)"
    lines = ["", f"frames: {n} in {len(raw.videos)} {kind} below {raw.root}"]
    if files:
        lines.append(f"  {len(files)} of them are video files: how many frames they have is an estimate")
    if len(files) < len(raw.videos) and not unreadable:
        lines.append("  every file begins and ends as an image, and the first of each video can be decoded")
    return lines + _listed("frames that cannot be read", unreadable) + _listed("gaps and other files", raw.remarks)


def check_frames(video: Video) -> list[str]:
    """A line for each frame of one video that is not a complete image. This is a unit of work.

    The start and the end of each file are looked at. If all are right, the first frame is decoded.
    """
    if video.source is not None:
        return []  # a file that was opened when it was found, and its first frame was decoded then
    paths = dict.fromkeys(video.frames)  # one file can stand in for missing ones
    faults = [f"{path}: {fault}" for path in paths if (fault := image_fault(path))]
    if not faults:
        try:
            read_image(video.frames[0])
        except InputError as error:
            faults.append(str(error))
    return faults


def image_fault(path: Path) -> str:
    """What is wrong with the start or the end of an image file; "" if nothing is. The image is not decoded."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            if size == 0:
                return "empty"
            file.seek(0)
            start = file.read(len(PNG_START))  # the longest of the three
            tails = (_tail(file, size, length) for length in (TAIL, LONG_TAIL))
            if start.startswith(JPEG_START):
                return "" if _any_holds(tails, JPEG_END) else f"JPEG cut short ({size} bytes)"
            if start == PNG_START:
                return "" if _any_holds(tails, PNG_END) else f"PNG cut short ({size} bytes)"
            if start.startswith(BMP_START):
                expected = int.from_bytes(start[BMP_LENGTH], "little")
                return "" if size >= expected else f"BMP cut short ({size} of {expected} bytes)"
            if start.startswith(TIFF_STARTS):
                return ""  # it has no mark at its end, and no length in its header
            return f"neither JPEG nor PNG nor BMP ({size} bytes)"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def _tail(file, size: int, length: int) -> bytes:
    """The last `length` bytes of a file of `size` bytes."""
    file.seek(max(0, size - length))
    return file.read()


def _any_holds(tails: Iterable[bytes], mark: bytes) -> bool:
    return any(mark in tail for tail in tails)
