"""Videos of one's own, from files to files: one folder of results per video, and for several a table and an index.

<output_dir>/<video>/expressions.csv    a row per spotted expression (Utils/own_video/scoring.py, EXPRESSION_COLUMNS)
                     frames.csv         a row per frame and face
                     <video>.eaf        for ELAN, a tier per face
                     overlay.mp4        the video with box, score and emotion
                     report.html
                     settings.json      what it was made from and with, and what the other files were when written
<output_dir>/predictions.csv, megc.csv, index.html   of all videos of the command

What is finished is not made again, and what somebody has changed since (ELAN saves into the same file) is kept.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pandas as pd

from feature_extraction import FEATURE_VERSION
from Utils.errors import UNPRINTABLE, InputError, shown
from Utils.evaluation.tables import megc_table
from Utils.own_video.face_tracks import Tracking
from Utils.own_video.footage import GREEN, Finding, FootageMeter, are_findings, scored_share
from Utils.own_video.outputs import (
    ReportCrops,
    frames_table,
    overlay_faces,
    picture_remarks,
    report_curves,
    write_elan,
)
from Utils.own_video.overlay import codec_remarks, overlay_writer
from Utils.own_video.scoring import Spotting, score_video, scored_stretches, spot_expressions
from Utils.own_video.video_files import open_video
from Utils.own_video.weights import OwnWeights, ensemble_of
from Utils.records import natural_key
from Utils.report.pages import write_index, write_report
from Utils.settings import Settings
from Utils.tvl1 import KERNEL_VERSION
from Utils.work.cache import (
    LONGEST_NAME,
    atomic_file,
    atomic_folder,
    file_hash,
    files_fingerprint,
    key_of,
    read_json,
    write_json,
)
from Utils.work.parallel import Workers, run_units

OWN_VIDEO_VERSION = 2  # raise it when the results for the same video change
DONE = "settings.json"
OVERLAY = "overlay.mp4"
COLLECTION = ("predictions.csv", "megc.csv", "index.html")
COLLECTED = ("onset", "offset", "emotion")  # in the tables of all videos
LOWEST_FPS = 20  # below it k is under two frames of most recordings' blur: said, not refused
SYNTHETIC = (
    "These weights were trained on synthetic faces: they show that the program works, and say nothing reliable about "
    "people. Use weights trained on a real dataset (--dataset_name, --weights_dir)."
)
EXPLAINED = (
    "Frames are 0-based (OpenFace counts from 1). The threshold is relative to each face's own scores, so that a video "
    "without any expression still tends to fire; --absolute_threshold sets a score below which nothing counts."
)


@dataclass(frozen=True)
class VideoJob:
    """One video's work: from `path` to `folder`."""

    path: Path
    name: str
    folder: Path
    weights: OwnWeights
    spotting: Spotting
    fps: float | None
    which: str
    flow: str
    threads: int
    fresh: bool
    bars: bool
    about: dict


@dataclass(frozen=True)
class VideoOutcome:
    """What became of a video: its folder, or the problem; `seconds` is its length, `took` the time it needed, without
    that for loading TensorFlow."""

    name: str
    subject: str
    folder: Path
    problem: str = ""
    n_expressions: int = 0
    n_frames: int = 0
    seconds: float = 0.0
    took: float = 0.0
    remarks: tuple[str, ...] = ()
    footage: tuple[Finding, ...] = ()


def jobs_of(paths: Sequence[Path], settings: Settings, weights: OwnWeights, about: dict) -> list[VideoJob]:
    """A job per video. Videos of one name get their folders by their whole file names, then by numbers."""
    full_names = [Path(os.path.abspath(path)).name or "root" for path in paths]  # noqa: PTH100  "." has none, "/" neither
    stems = [Path(name).stem if path.is_file() else name for path, name in zip(paths, full_names, strict=True)]
    stems = [stem if stem.strip(".") else name for stem, name in zip(stems, full_names, strict=True)]  # "...mp4"
    alone = len(paths) == 1
    taken = set(COLLECTION)
    jobs = []
    for path, stem, full_name in zip(paths, stems, full_names, strict=True):
        alike = sum(other.lower() == stem.lower() for other in (*stems, *COLLECTION))
        name = stem if alike == 1 else full_name
        again = 1
        while name.lower() in taken:
            again += 1
            name = f"{full_name}-{again}"
        taken.add(name.lower())
        jobs.append(
            VideoJob(
                path=path,
                name=name,
                folder=settings.output_dir / name,
                weights=weights,
                spotting=Spotting(settings.p, settings.absolute_threshold),
                fps=settings.fps,
                which=settings.face,
                flow=settings.flow,
                threads=settings.workers if alone and not settings.scheduler else 1,
                fresh=settings.fresh,
                bars=alone,
                about=about,
            )
        )
    return jobs


def run_videos(jobs: Sequence[VideoJob], output_dir: Path, workers: Workers | int) -> list[VideoOutcome]:
    """All videos, side by side where there are several; with several also the tables and the index of all."""
    if len(jobs) == 1:
        return [run_video(jobs[0])]
    outcomes = run_units(run_video, jobs, workers, "videos", "video")
    write_collection(outcomes, jobs, output_dir)
    return outcomes


def run_video(job: VideoJob) -> VideoOutcome:
    """One video; what cannot be read is an outcome, so that the others go on. The unit of work."""
    subject = Path(os.path.realpath(job.path)).parent.name  # `resolve` raises where a link links to itself
    outcome = VideoOutcome(shown(job.name), shown(subject), job.folder)
    try:
        _require_name(job)
        key = _key(job)
        done = None if job.fresh else _finished(job.folder, key)
        if done is None:
            _require_replaceable(job.folder)
            done = _compute(job, key)
        n = len(read_expressions(job.folder / "expressions.csv"))
    except InputError as error:
        return replace(outcome, problem=shown(error))
    facts = {name: done[name] for name in ("n_frames", "seconds", "took")}
    facts["footage"] = tuple(Finding(**finding) for finding in done["footage"])
    return replace(outcome, n_expressions=n, remarks=tuple(done["remarks"]), **facts)


def _require_name(job: VideoJob) -> None:
    """Raise InputError if the video's name cannot be shown, or is too long for its results."""
    if UNPRINTABLE.search(str(job.path)) or len(os.fsencode(f"{job.name}.eaf")) > LONGEST_NAME:
        raise InputError(
            f"{job.path}: the name has characters that cannot be shown, or is too long for its results; rename it"
        )


def _key(job: VideoJob) -> str:
    files = sorted(p for p in job.path.iterdir() if p.is_file()) if job.path.is_dir() else [job.path]
    return key_of(
        version=OWN_VIDEO_VERSION,
        files=files_fingerprint(files),
        fps=job.fps,
        which=job.which,
        flow=[job.flow, KERNEL_VERSION, FEATURE_VERSION],
        p=job.spotting.p,
        absolute_threshold=job.spotting.absolute_threshold,
        weights=job.weights.fingerprint(),
        versions=job.about["versions"],
    )


def _finished(folder: Path, key: str) -> dict | None:
    """What `settings.json` holds, None if it is of other settings or not all files are there."""
    done = read_json(folder / DONE)
    if not isinstance(done, dict) or done.get("key") != key:
        return None
    if not all(isinstance(done.get(name), int | float) for name in ("n_frames", "seconds", "took")):
        return None
    if not isinstance(done.get("remarks"), list) or not all(isinstance(remark, str) for remark in done["remarks"]):
        return None
    if not are_findings(done.get("footage")):
        return None
    return done if all((folder / name).is_file() for name in _written(done)) else None


def _written(done: object) -> dict[str, str]:
    """Names and SHA-256 of the files that this program wrote beside a `settings.json`; empty if it is not ours."""
    files = done.get("files") if isinstance(done, dict) and "key" in done else None
    return files if isinstance(files, dict) else {}


def _require_replaceable(folder: Path) -> None:
    """Raise InputError unless all in a video's folder is as this program wrote it, or there is nothing."""
    if not folder.is_dir() or folder.is_symlink():
        if os.path.lexists(folder):
            raise InputError(f"{folder}: is there and no folder of results; name another --output_dir, or take it away")
        return
    written = _written(read_json(folder / DONE))
    for path in sorted(folder.iterdir()):
        if not written:
            raise InputError(
                f"{folder}: is there and was not made by this program; name another --output_dir, or take it away"
            )
        if path.name != DONE and not (path.is_file() and written.get(path.name) == file_hash(path)):
            raise InputError(
                f"{path}: was changed or added since the folder was written, which would be replaced; name another "
                "--output_dir, or take the folder away"
            )


def _compute(job: VideoJob, key: str) -> dict:
    """Everything for one video, its folder written whole or not at all; returns what `settings.json` holds."""
    from Utils.networks.backend import seed_keras, without_chatter

    source = open_video(job.path, job.fps)
    with without_chatter():
        seed_keras(0)
        ensemble_of(job.weights)  # TensorFlow and the networks are loaded once per process: that is not counted
        start = time.perf_counter()
        tracking, faces = score_video(
            source, job.weights, job.spotting, job.which, job.flow, job.threads, job.name if job.bars else ""
        )
    if not tracking.n_frames:
        raise InputError(f"{job.path}: no frame can be decoded; is the file whole?")
    k, k_prime = job.weights.frames_at(source.fps)
    expressions = spot_expressions(job.name, faces, job.weights.classes, k_prime, source.fps, tracking.n_frames)
    remarks = [*source.remarks, *source.problems, *tracking_remarks(tracking, k, k_prime, source.fps)]
    with atomic_folder(job.folder) as folder:
        expressions.to_csv(folder / "expressions.csv", index=False)
        frames = frames_table(tracking, faces, job.weights.classes, source.fps)
        frames.to_csv(folder / "frames.csv", index=False, float_format="%.8g")
        media = job.folder / OVERLAY if job.path.is_dir() else job.path  # no player shows a folder of images
        write_elan(folder / f"{job.name}.eaf", media, job.folder / f"{job.name}.eaf", expressions, faces, source.fps)
        crops, meter = ReportCrops(faces, expressions), FootageMeter(tracking, source.fps)
        drawn = overlay_faces(faces, expressions)
        with overlay_writer(folder / OVERLAY, source, drawn, job.weights.classes) as draw:
            for frame in source:
                draw(frame)
                crops.keep(frame)
                meter.add(frame)
        remarks += codec_remarks()
        scored = scored_share(tracking, k, k_prime)
        footage = [asdict(finding) for finding in meter.findings(scored, source.bits_per_pixel, source.codec)]
        done = dict(
            key=key,
            video=str(job.path),
            n_expressions=len(expressions),
            n_frames=tracking.n_frames,
            fps=source.fps,
            k=k,
            k_prime=k_prime,
            seconds=tracking.n_frames / source.fps,
            classes=list(job.weights.classes),
            footage=footage,
            remarks=remarks,
            **job.about,
        )
        write_report(
            folder / "report.html",
            job.name,
            report_curves(job.name, source.fps, k_prime, faces, expressions, crops, job.flow, remarks),
            job.weights.classes,
            settings={name: value for name, value in done.items() if name not in ("key", "remarks", "footage")},
            footage=footage,
            remarks=[*remarks, EXPLAINED, *picture_remarks(expressions)],
            warnings=[SYNTHETIC] if job.weights.synthetic else [],
        )
        files = {path.name: file_hash(path) for path in sorted(folder.iterdir())}
        done |= {"files": files, "took": time.perf_counter() - start}
        write_json(folder / DONE, done)
    return done


def tracking_remarks(tracking: Tracking, k: int, k_prime: int, fps: float) -> list[str]:
    """Stretches without a face, faces and stretches too short to score, cuts, a low frame rate."""

    def times(stretches: Sequence[tuple[int, int]]) -> str:
        shown = ", ".join(f"{first / fps:.1f}-{(last + 1) / fps:.1f} s" for first, last in stretches[:20])
        return shown + (f" and {len(stretches) - 20} more" if len(stretches) > 20 else "")

    remarks = []
    if fps < LOWEST_FPS:
        remarks.append(f"{fps:.3g} frames per second are few: micro-expressions last 2 to 15 frames at 30")
    if not tracking.tracks:
        remarks.append("no face was found: nothing is scored; faces must look into the camera and be large enough")
    elif tracking.without_face:
        remarks.append(f"without a face, not scored: {times(tracking.without_face)}")
    for track in tracking.tracks:
        scored = {first for first, _ in scored_stretches(track, k, 2 * k_prime)}
        short = [s for s in track.stretches() if s[0] not in scored]
        if short:
            remarks.append(f"face {track.number}: too short to score ({k + 2 * k_prime} frames needed): {times(short)}")
    if tracking.cuts:
        remarks.append(f"scene cuts at {', '.join(f'{c / fps:.1f} s' for c in tracking.cuts[:20])}")
    return remarks


def read_expressions(path: Path) -> pd.DataFrame:
    """The columns of an `expressions.csv` that the tables of all videos have; somebody may have edited it.

    Raises
    ------
    InputError
        It is no such table any more.
    """
    try:
        table = pd.read_csv(path, keep_default_na=False, dtype={"emotion": str})[list(COLLECTED)]
        return table.astype({"onset": "int64", "offset": "int64"})
    except (ValueError, KeyError, OSError) as error:
        why = " ".join(str(error).split())
        raise InputError(f"{path}: is no table of expressions any more ({why}); take its folder away") from None


def write_collection(outcomes: Sequence[VideoOutcome], jobs: Sequence[VideoJob], output_dir: Path) -> None:
    """`predictions.csv` and `megc.csv` of all videos, in natural order, and `index.html`."""
    parts, rows = [], []
    for outcome in sorted(outcomes, key=lambda outcome: natural_key(outcome.name)):
        if not outcome.problem:
            table = read_expressions(outcome.folder / "expressions.csv")
            parts += [table.assign(subject=outcome.subject, video=outcome.name)] if len(table) else []
        rows.append(
            dict(
                video=outcome.name,
                report=None if outcome.problem else f"{outcome.folder.name}/report.html",
                expressions=None if outcome.problem else outcome.n_expressions,
                seconds=None if outcome.problem else outcome.seconds,
                problem=outcome.problem or None,
            )
        )
    columns = ["subject", "video", *COLLECTED]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
    last_frames = {(o.subject, o.name): o.n_frames - 1 for o in outcomes}
    megc = megc_table(table, last_frames)
    for name, content in zip(COLLECTION[:2], (table.reindex(columns=columns), megc), strict=True):
        with atomic_file(output_dir / name) as scratch:
            content.to_csv(scratch, index=False)
    warnings = [SYNTHETIC] if jobs[0].weights.synthetic else []
    write_index(output_dir / COLLECTION[2], "MEAN: videos", rows, warnings=warnings)


def print_outcomes(outcomes: Sequence[VideoOutcome], jobs: Sequence[VideoJob]) -> None:
    """One line per video, its remarks below it; problems last, on the error stream."""
    for outcome in outcomes:
        if outcome.problem:
            continue
        speed = f", {outcome.seconds / outcome.took:.1f} times real time" if outcome.took else ""
        print(
            f"  {outcome.name}: {outcome.n_expressions} expression(s) in {outcome.seconds:.1f} s of video{speed}; "
            f"{outcome.folder / 'report.html'}"
        )
        for finding in outcome.footage:
            if finding.level != GREEN:
                print(f"    - footage, {finding}")
        for remark in outcome.remarks:
            print(f"    - {remark}")
    for outcome in outcomes:
        if outcome.problem:
            print(f"main.py: {outcome.problem}", file=sys.stderr)
