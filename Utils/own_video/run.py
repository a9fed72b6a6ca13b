"""The user's own videos, from files to files. Each video gets a folder of results; several also get common tables.

<output_dir>/<video>/expressions.csv    a row for each spotted expression (SECOND_LOOK_COLUMNS in second_look.py; with
                                        --spotting paper EXPRESSION_COLUMNS in scoring.py)
                     candidates.csv     the same for every candidate, with what it most likely is (not with
                                        --spotting paper)
                     frames.csv         a row for each frame and face
                     predictions.csv    the expressions in the columns of datasets, for --evaluate
                     <video>.eaf        for ELAN, with tiers for each face (Utils/evaluation/eaf.py)
                     overlay.mp4        the video with box, score and emotion
                     report.html
                     settings.json      the video, all settings, and the SHA-256 of the other files
<output_dir>/predictions.csv, megc.csv, index.html   for all videos of the command, if there are several

Finished results are not made again. Files that users have changed since are never replaced (ELAN, for example, saves
into the .eaf file).
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from feature_extraction import FEATURE_VERSION
from Utils.errors import UNPRINTABLE, InputError, shown
from Utils.own_video.clips import ClipMaker, picture_remarks
from Utils.own_video.collection import COLLECTION, VideoOutcome, read_expressions, write_collection
from Utils.own_video.elan import EafAbout, eaf_template
from Utils.own_video.face_tracks import Tracking
from Utils.own_video.footage import Finding, FootageMeter, are_findings, scored_share
from Utils.own_video.outputs import (
    file_links,
    frames_table,
    overlay_faces,
    playable_videos,
    predictions_table,
    report_curves,
    set_aside_rows,
    with_shown_emotions,
    write_elan,
)
from Utils.own_video.overlay import codec_remarks, overlay_writer
from Utils.own_video.scoring import Spotting, score_video, scored_stretches, spot_expressions
from Utils.own_video.second_look import SecondLook, kinds_set_aside, look_again, reported
from Utils.own_video.video_files import open_video
from Utils.own_video.weights import OwnWeights, ensemble_of
from Utils.report.pages import write_report
from Utils.settings import Settings
from Utils.tvl1 import KERNEL_VERSION
from Utils.work.cache import (
    LONGEST_NAME,
    atomic_folder,
    file_hash,
    files_fingerprint,
    key_of,
    read_json,
    write_json,
)
from Utils.work.parallel import Workers, run_units

OWN_VIDEO_VERSION = 4  # part of a video's key: raise it when the results for the same video change
DONE = "settings.json"  # written last: a folder that has it is finished
OVERLAY = "overlay.mp4"
LOWEST_FPS = 20  # below this rate k is under two frames, so this is reported; the video is still analysed
TIMES_SHOWN = 20  # times that a remark lists
NOT_IN_REPORT = ("key", "flags", "weights_key", "remarks", "footage", "set_aside")  # of `settings.json`
MEASURED = (
    "n_frames",
    "n_faces",
    "seconds",
    "seconds_scored",
    "took",
)  # numbers of `settings.json` that the index shows


@dataclass(frozen=True)
class VideoJob:
    """The work on one video."""

    path: Path  # the video, or the folder of its frames
    name: str  # in tables, titles and names of files
    folder: Path  # where the results go
    weights: OwnWeights
    spotting: Spotting | SecondLook  # the paper's rule, or the second look
    fps: float | None  # of a folder of frames
    faces_followed: str  # "largest" or "all"
    flow: str  # "kernel" or "opencv"
    threads: int  # that compute the flow
    fresh: bool  # compute it again, even if it is finished
    bars: bool  # show progress bars
    about: dict  # facts about the run, for settings.json and the report


def jobs_of(
    paths: Sequence[Path], settings: Settings, weights: OwnWeights, look: SecondLook | None, about: dict
) -> list[VideoJob]:
    """A job for each video. Without `look`, expressions are chosen by the paper's rule.

    The folder of results has the video's name without its suffix. If this name is not unique, it has the whole file
    name, and if that is not unique either, a number is added.
    """
    # An absolute path has a name where a relative one has none ("."). Only "/" has none then.
    full_names = [Path(os.path.abspath(path)).name or "root" for path in paths]  # noqa: PTH100
    stems = [_stem(path, name) for path, name in zip(paths, full_names, strict=True)]
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
                spotting=look or Spotting(settings.p, settings.absolute_threshold),
                fps=settings.fps,
                faces_followed=settings.face,
                flow=settings.flow,
                threads=settings.workers if alone and not settings.scheduler else 1,
                fresh=settings.fresh,
                bars=alone,
                about=about,
            )
        )
    return jobs


def _stem(path: Path, name: str) -> str:
    """The `name` of a file without its suffix. The name of a folder is not changed, nor one such as `...mp4`."""
    if not path.is_file():
        return name
    stem = Path(name).stem
    return stem if stem.strip(".") else name  # only dots would be no name for a folder


def run_videos(jobs: Sequence[VideoJob], output_dir: Path, workers: Workers | int) -> list[VideoOutcome]:
    """Analyse all videos, several at the same time. If there are several, also write the tables and the index of all.

    Raises InputError if a finished table cannot be read. Videos that cannot be analysed raise nothing: see `run_video`.
    """
    if len(jobs) == 1:
        return [run_video(jobs[0])]
    outcomes = run_units(run_video, jobs, workers, "videos", "video")
    write_collection(outcomes, jobs[0].weights.caution, output_dir)
    return outcomes


def run_video(job: VideoJob) -> VideoOutcome:
    """Analyse one video, or use its finished results. This is the unit of work.

    If the video cannot be analysed, nothing is raised, so that the others go on. The outcome then has the problem.
    """
    outcome = VideoOutcome(shown(job.name), subject_of(job.path), job.folder)
    try:
        _require_name(job)
        key = _key(job)
        done = None if job.fresh else _finished(job.folder, key)
        kept = done is not None
        if not kept:
            _require_replaceable(job.folder)
            done = _compute(job, key)
        n = len(read_expressions(job.folder / "expressions.csv"))
    except InputError as error:
        return replace(outcome, problem=shown(error))
    facts = {name: done[name] for name in (*MEASURED, "set_aside")}
    facts["footage"] = tuple(Finding(**finding) for finding in done["footage"])
    return replace(outcome, n_expressions=n, remarks=tuple(done["remarks"]), kept=kept, **facts)


def subject_of(path: Path) -> str:
    """The subject in the tables of a video: the name of the folder that contains it."""
    return shown(Path(os.path.realpath(path)).parent.name) or "root"  # Path.resolve raises for a link to itself


def _require_name(job: VideoJob) -> None:
    """Raise InputError if the video's name cannot be shown, or is too long for its results."""
    if UNPRINTABLE.search(str(job.path)) or len(os.fsencode(f"{job.name}.eaf")) > LONGEST_NAME:
        raise InputError(
            f"{job.path}: the name has characters that cannot be shown, or is too long for its results; rename it"
        )


def _key(job: VideoJob) -> str:
    """A key of everything that the results depend on."""
    files = sorted(p for p in job.path.iterdir() if p.is_file()) if job.path.is_dir() else [job.path]
    return key_of(
        version=OWN_VIDEO_VERSION,
        files=files_fingerprint(files),
        fps=job.fps,
        faces_followed=job.faces_followed,
        flow=[job.flow, KERNEL_VERSION, FEATURE_VERSION],
        spotting=job.spotting.fingerprint(),
        weights=job.weights.fingerprint(),
        versions=job.about["versions"],
    )


def _finished(folder: Path, key: str) -> dict | None:
    """The content of `settings.json`. None if the settings were different, or if files are missing."""
    done = read_json(folder / DONE)
    if not isinstance(done, dict) or done.get("key") != key:
        return None
    if not all(isinstance(done.get(name), int | float) for name in MEASURED):
        return None
    kinds = done.get("set_aside")
    if not isinstance(kinds, dict) or not all(isinstance(n, int) for n in kinds.values()):
        return None
    if not isinstance(done.get("remarks"), list) or not all(isinstance(remark, str) for remark in done["remarks"]):
        return None
    if not are_findings(done.get("footage")):
        return None
    return done if all((folder / name).is_file() for name in _written(done)) else None


def _written(done: object) -> dict[str, str]:
    """File names -> SHA-256 of the results that this program wrote. `done` is the content of a `settings.json`.

    Empty if that file was not made by this program.
    """
    files = done.get("files") if isinstance(done, dict) and "key" in done else None
    return files if isinstance(files, dict) else {}


def _require_replaceable(folder: Path) -> None:
    """Raise InputError if a video's folder has anything that this program did not write, or that was changed since."""
    if not folder.is_dir() or folder.is_symlink():
        if os.path.lexists(folder):
            raise InputError(
                f"{folder}: exists and is not a folder of results; choose another --output_dir, or remove it"
            )
        return
    written = _written(read_json(folder / DONE))
    for path in sorted(folder.iterdir()):
        if not written:
            raise InputError(
                f"{folder}: exists and was not made by this program; choose another --output_dir, or move it away"
            )
        if path.name != DONE and not (path.is_file() and written.get(path.name) == file_hash(path)):
            raise InputError(
                f"{path}: was changed or added after the folder was written, and would be lost; choose another "
                "--output_dir, or move the folder away"
            )


def _compute(job: VideoJob, key: str) -> dict:
    """Do all the work on one video, and write its folder, whole or not at all. Returns the content of `settings.json`.

    Raises InputError if the video cannot be analysed.
    """
    from Utils.networks.backend import seed_keras, without_chatter

    source = open_video(job.path, job.fps, job.bars)
    with without_chatter():
        seed_keras(0)
        ensemble_of(job.weights)  # this loads TensorFlow and the networks, once for each process, so it is not timed
        start = time.perf_counter()
        paper_rule = job.spotting if isinstance(job.spotting, Spotting) else None
        tracking, faces = score_video(
            source, job.weights, paper_rule, job.faces_followed, job.flow, job.threads, job.name if job.bars else ""
        )
    if not tracking.n_frames:
        raise InputError(f"{job.path}: no frame can be decoded; is the file whole?")
    k, k_prime = job.weights.frames_at(source.fps)
    shown_frames = source.source_frames[: tracking.n_frames]  # as the latest pass over the video found them
    common = (source.fps, shown_frames)
    if paper_rule:
        expressions, candidates = spot_expressions(job.name, faces, job.weights.classes, k_prime, *common), None
    else:
        candidates = look_again(job.name, faces, job.weights.classes, k, job.spotting, *common)
        expressions = reported(candidates)
    remarks = [*source.remarks, *source.problems, *tracking_remarks(tracking, k, k_prime, source.fps)]
    with atomic_folder(job.folder) as folder:
        expressions.to_csv(folder / "expressions.csv", index=False)
        if candidates is not None:
            candidates.to_csv(folder / "candidates.csv", index=False)
        frames = frames_table(tracking, faces, job.weights.classes, source.fps, shown_frames)
        frames.to_csv(folder / "frames.csv", index=False, float_format="%.8g")
        shown_rows = with_shown_emotions(expressions)
        media = job.folder / OVERLAY if job.path.is_dir() else job.path  # no player can show a folder of images
        predictions_table(expressions, subject_of(job.path)).to_csv(folder / "predictions.csv", index=False)
        eaf = EafAbout(subject_of(job.path), job.name, source.fps, tracking.n_frames, job.weights.classes)
        write_elan(folder / f"{job.name}.eaf", media, job.folder / f"{job.name}.eaf", shown_rows, faces, eaf)
        clips, meter = ClipMaker(faces, expressions, source.fps), FootageMeter(tracking, source.fps, source.resampled)
        drawn = overlay_faces(faces, shown_rows)
        with overlay_writer(folder / OVERLAY, source, drawn, job.weights.classes) as draw:
            for frame in source:
                draw(frame)
                clips.keep(frame)
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
            n_faces=len(tracking.tracks),
            seconds=tracking.n_frames / source.fps,
            seconds_scored=scored * tracking.n_frames / source.fps,
            set_aside={} if candidates is None else kinds_set_aside(candidates),
            classes=list(job.weights.classes),
            spotting=job.spotting.about(),
            thresholds={face.track.number: face.threshold for face in faces} if paper_rule else {},
            footage=footage,
            remarks=remarks,
            **job.about,
        )
        numbers = [face.track.number for face in faces] or [0]
        template = eaf_template(media, numbers, eaf, job.folder / "report.html")
        write_report(
            folder / "report.html",
            job.name,
            report_curves(job.name, source.fps, k_prime, faces, shown_rows, clips, remarks, eaf=template),
            job.weights.classes,
            settings={name: value for name, value in done.items() if name not in NOT_IN_REPORT},
            footage=footage,
            links=file_links(job.name, candidates is not None, not job.bars),
            videos=playable_videos(job.path, job.folder),
            remarks=[*remarks, *job.spotting.explained(), *picture_remarks(expressions)],
            set_aside=None if candidates is None else set_aside_rows(candidates),
            warnings=[job.weights.caution] if job.weights.caution else [],
        )
        files = {path.name: file_hash(path) for path in sorted(folder.iterdir())}
        done |= {"files": files, "took": time.perf_counter() - start}
        write_json(folder / DONE, done)
    return done


def tracking_remarks(tracking: Tracking, k: int, k_prime: int, fps: float) -> list[str]:
    """Remarks on a low frame rate, parts without a face, parts that are too short to be scored, and scene cuts.

    `k` and `k_prime` are frames at the video's rate `fps`.
    """

    def times(stretches: Sequence[tuple[int, int]]) -> str:
        shown = ", ".join(f"{first / fps:.1f}-{(last + 1) / fps:.1f} s" for first, last in stretches[:TIMES_SHOWN])
        if len(stretches) > TIMES_SHOWN:
            shown += f" and {len(stretches) - TIMES_SHOWN} more"
        return shown

    remarks = []
    if fps < LOWEST_FPS:
        remarks.append(f"{fps:.3g} frames per second are few: micro-expressions last 2 to 15 frames at 30")
    if not tracking.tracks:
        remarks.append("no face was found: nothing is scored; faces must look into the camera and be large enough")
    elif tracking.without_face:
        remarks.append(f"without a face, not scored: {times(tracking.without_face)}")
    for track in tracking.tracks:
        scored = {first for first, _ in scored_stretches(track, k, minimum=2 * k_prime)}
        short = [s for s in track.stretches() if s[0] not in scored]
        if short:
            remarks.append(f"face {track.number}: too short to score ({k + 2 * k_prime} frames needed): {times(short)}")
    if tracking.cuts:
        remarks.append(f"scene cuts at {', '.join(f'{c / fps:.1f} s' for c in tracking.cuts[:TIMES_SHOWN])}")
    return remarks
