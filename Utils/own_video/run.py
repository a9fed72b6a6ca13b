"""The user's own videos, from files to files. Each video gets a folder of results; several also get common tables.

<output_dir>/<video>/expressions.csv    a row for each spotted expression (SECOND_LOOK_COLUMNS in second_look.py; with
                                        --spotting paper EXPRESSION_COLUMNS in scoring.py)
                     candidates.csv     the same for every candidate, with what it most likely is (not with
                                        --spotting paper)
                     frames.csv         a row for each frame and face
                     predictions.csv    the expressions in the columns of datasets, for --evaluate
                     <video>.eaf        for ELAN, with tiers for each face (Utils/evaluation/eaf.py)
                     overlay.mp4        the video with its sound, boxes, scores, emotions, frame and time
                     report.html
                     settings.json      the video, all settings, and the SHA-256 of the other files
<output_dir>/predictions.csv, megc.csv, index.html   for all videos of the command, if there are several

Finished results are not made again, and those of other settings have a folder of their own (`folders.py`). Scores are
kept, and so is what was drawn, so that another threshold takes little time (`kept.py`, `kept_drawings.py`). Files that
users have changed since are never replaced (ELAN, for example, saves into the .eaf file).
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd

from Utils.errors import InputError, shown
from Utils.evaluation.eaf_writer import EafAbout, eaf_template
from Utils.own_video.clips import ClipMaker, picture_remarks
from Utils.own_video.collection import VideoOutcome, read_expressions, write_collection
from Utils.own_video.face_tracks import Tracking
from Utils.own_video.folders import DONE, MEASURED, finished, placed, require_replaceable
from Utils.own_video.footage import Finding, FootageMeter, scored_share
from Utils.own_video.jobs import VideoJob, made_from, require_name
from Utils.own_video.kept import KeptScores, Scored
from Utils.own_video.kept_drawings import NOTHING, OVERLAY, Drawings, KeptDrawings
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
from Utils.own_video.overlay import Overlay, overlay_writer
from Utils.own_video.paper_rule import SCORES_COMPARED, Spotting
from Utils.own_video.read_ahead import read_ahead
from Utils.own_video.scoring import FaceScores, score_video, scored_stretches, spot_expressions
from Utils.own_video.second_look import kinds_set_aside, look_again, reported
from Utils.own_video.seeking import frames_in
from Utils.own_video.video_files import FrameSource, open_video
from Utils.own_video.weights import ensemble_of
from Utils.records import MICRO
from Utils.report.pages import write_report
from Utils.settings import MEAN
from Utils.work.cache import atomic_folder, file_hash, key_of, write_json
from Utils.work.parallel import Workers, run_units

LOWEST_FPS = 20  # below this rate k is under two frames, so this is reported; the video is still analysed
TIMES_SHOWN = 20  # times that a remark lists
NOT_IN_REPORT = (
    "key", "made_from", "scores_reused", "flags", "weights_key", "weights_files", "remarks", "footage", "set_aside",
)  # fmt: skip  # of `settings.json`


def run_videos(jobs: Sequence[VideoJob], output_dir: Path, workers: Workers | int) -> list[VideoOutcome]:
    """Analyse all videos, several at the same time. If there are several, also write the tables and the index of all.

    Raises InputError if a finished table cannot be read. Videos that cannot be analysed raise nothing: see `run_video`.
    """
    jobs = placed(jobs)
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
        require_name(job)
        origin = made_from(job)
        done = None if job.fresh else finished(job.folder, key_of(**origin))
        kept = done is not None
        if not kept:
            require_replaceable(job, key_of(**origin))
            done = _compute(job, origin)
        n = len(read_expressions(job.folder / "expressions.csv"))
    except InputError as error:
        return replace(outcome, problem=shown(error))
    facts = {name: done[name] for name in (*MEASURED, "set_aside", "scores_reused")}
    facts["footage"] = tuple(Finding(**finding) for finding in done["footage"])
    remarks = (*([job.note] if job.note else []), *done["remarks"])
    return replace(outcome, n_expressions=n, remarks=remarks, kept=kept, **facts)


def subject_of(path: Path) -> str:
    """The subject in the tables of a video: the name of the folder that contains it."""
    return shown(Path(os.path.realpath(path)).parent.name) or "root"  # Path.resolve raises for a link to itself


def score_faces(job: VideoJob, paper_rule: Spotting | None) -> tuple[Scored, float]:
    """Follow and score the faces of a video; and the seconds that it took, without loading the networks.

    `paper_rule` is None for the second look. Raises InputError if the video cannot be analysed.
    """
    source = open_video(job.path, job.fps, job.bars)
    ensemble_of(job.weights)  # this loads the networks, once for each process, so it is not timed
    start = time.perf_counter()
    tracking, faces = score_video(
        source, job.weights, paper_rule, job.faces_followed, job.flow, job.threads, job.name if job.bars else ""
    )
    if not tracking.n_frames:
        raise InputError(f"{job.path}: no frame can be decoded; is the file whole?")
    return Scored(source, tracking, faces), time.perf_counter() - start


def choose_expressions(
    job: VideoJob, source: FrameSource, tracking: Tracking, faces: Sequence[FaceScores]
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """The expressions and, with the second look, all candidates. The other values are those of `score_faces`."""
    k, k_prime = job.weights.frames_at(source.fps)
    shown_frames = source.source_frames[: tracking.n_frames]  # as the latest pass over the video found them
    if isinstance(job.spotting, Spotting):
        found = spot_expressions(job.name, faces, job.weights.classes, k_prime, source.fps, shown_frames)
        named = (job.weights.method, job.weights.kind) != (MEAN, MICRO)
        return (found.assign(kind=job.weights.kind) if named else found), None
    candidates = look_again(job.name, faces, job.weights.classes, k, job.spotting, source.fps, shown_frames)
    return reported(candidates), candidates


def _compute(job: VideoJob, origin: dict) -> dict:
    """Do all the work on one video, and write its folder, whole or not at all. Returns the content of `settings.json`.

    Scores that were kept are used again. `origin` is `made_from(job)`. Raises InputError if the video cannot be
    analysed.
    """
    start, took, not_kept = time.perf_counter(), 0.0, ""
    paper_rule = job.spotting if isinstance(job.spotting, Spotting) else None
    kept = KeptScores(job)
    scored = None if job.fresh else kept.load(paper_rule)
    reused = scored is not None
    if scored is None:
        scored, took = score_faces(job, paper_rule)
        start = time.perf_counter()
        not_kept = kept.save(scored)
    expressions, candidates = choose_expressions(job, *scored)
    k, _ = job.weights.frames_at(scored.source.fps)
    remarks = [*scored.source.remarks, *scored.source.problems]
    remarks += tracking_remarks(scored.tracking, k, job.weights.least_features(scored.source.fps), scored.source.fps)
    if not_kept:
        remarks.append(f"the scores are not kept for the next time: {not_kept}")
    with atomic_folder(job.folder, flushed=True) as folder:
        _write_tables(folder, job, scored, expressions, candidates)
        findings = kept.load_footage() if reused else None
        drawings = KeptDrawings(job)
        overlay, clips, measured = _draw(
            folder, job, scored, expressions, findings, NOTHING if job.fresh else drawings.load()
        )
        if findings is None:
            kept.save_footage(measured)
        remarks += overlay.remarks
        done = _facts(job, origin, scored, len(expressions), candidates, measured, remarks)
        done |= {"scores_reused": reused}
        _write_report(folder, job, scored, done, expressions, candidates, clips)
        files = {path.name: file_hash(path) for path in sorted(folder.iterdir())}
        if not not_kept:
            drawings.save(folder / OVERLAY, files[OVERLAY], overlay.pieces, overlay.sound_remarks, clips.made)
        done |= {"files": files, "took": took + time.perf_counter() - start}
        write_json(folder / DONE, done)
        require_replaceable(job, done["key"])
    return done


def _write_tables(
    folder: Path, job: VideoJob, scored: Scored, expressions: pd.DataFrame, candidates: pd.DataFrame | None
) -> None:
    """Write the CSV files and the ELAN file."""
    source, tracking, faces = scored
    subject = subject_of(job.path)
    expressions.to_csv(folder / "expressions.csv", index=False)
    if candidates is not None:
        candidates.to_csv(folder / "candidates.csv", index=False)
    shown_frames = source.source_frames[: tracking.n_frames]  # as the latest pass over the video found them
    frames = frames_table(tracking, faces, job.weights.classes, source.fps, shown_frames)
    frames.to_csv(folder / "frames.csv", index=False, float_format="%.8g")
    predictions_table(expressions, subject).to_csv(folder / "predictions.csv", index=False)
    name = f"{job.name}.eaf"
    shown_rows = with_shown_emotions(expressions)
    write_elan(folder / name, _media(job), job.folder / name, shown_rows, faces, _about_eaf(job, scored))


def _media(job: VideoJob) -> Path:
    """The video that ELAN plays. No player can show a folder of images, so for one it is the overlay."""
    return job.folder / OVERLAY if job.path.is_dir() else job.path


def _about_eaf(job: VideoJob, scored: Scored) -> EafAbout:
    return EafAbout(subject_of(job.path), job.name, scored.source.fps, scored.tracking.n_frames, job.weights.classes)


def _draw(
    folder: Path,
    job: VideoJob,
    scored: Scored,
    expressions: pd.DataFrame,
    findings: list[Finding] | None,
    earlier: Drawings,
) -> tuple[Overlay, ClipMaker, list[Finding]]:
    """Read the video once more: write the overlay, make the report's clips, and measure the footage.

    `findings` are those on the footage, if they are known already. Then only those parts of the video are read that are
    not in the `earlier` drawings. Returns the overlay, the clips and the findings.
    """
    source, tracking, faces = scored
    clips = ClipMaker(faces, expressions, source.fps, earlier.clips)
    meter = FootageMeter(tracking, source.fps, source.resampled) if findings is None else None
    drawn = overlay_faces(faces, with_shown_emotions(expressions))
    with overlay_writer(folder / OVERLAY, source, drawn, job.weights.classes, earlier.overlay) as overlay:
        for frame in read_ahead(source if meter else frames_in(source, [*overlay.needed, *clips.needed])):
            overlay.add(frame)
            clips.keep(frame)
            if meter:
                meter.add(frame)
    if meter:
        share = scored_share(tracking, *job.weights.frames_at(source.fps))
        findings = meter.findings(share, source.bits_per_pixel, source.codec)
    return overlay, clips, findings


def _facts(
    job: VideoJob,
    origin: dict,
    scored: Scored,
    n_expressions: int,
    candidates: pd.DataFrame | None,
    findings: Sequence[Finding],
    remarks: Sequence[str],
) -> dict:
    """What `settings.json` says of a video and its results."""
    source, tracking, faces = scored
    k, k_prime = job.weights.frames_at(source.fps)
    seconds = tracking.n_frames / source.fps
    return dict(
        key=key_of(**origin),
        made_from=origin,
        video=str(job.path),
        n_expressions=n_expressions,
        n_frames=tracking.n_frames,
        fps=source.fps,
        k=k,
        k_prime=k_prime,
        n_faces=len(tracking.tracks),
        seconds=seconds,
        seconds_scored=scored_share(tracking, k, k_prime) * seconds,
        set_aside={} if candidates is None else kinds_set_aside(candidates),
        classes=list(job.weights.classes),
        spotting=job.spotting.about(),
        thresholds={face.track.number: face.threshold for face in faces} if candidates is None else {},
        footage=[asdict(finding) for finding in findings],
        remarks=remarks,
        **job.about,
    )


def _write_report(
    folder: Path,
    job: VideoJob,
    scored: Scored,
    done: dict,
    expressions: pd.DataFrame,
    candidates: pd.DataFrame | None,
    clips: ClipMaker,
) -> None:
    source, _, faces = scored
    numbers = [face.track.number for face in faces] or [0]
    template = eaf_template(_media(job), numbers, _about_eaf(job, scored), job.folder / "report.html")
    absolute = job.spotting.absolute_threshold
    curves = report_curves(
        job.name, source.fps, done["k_prime"], faces, with_shown_emotions(expressions), clips, done["remarks"],
        template, absolute, job.weights.kind,
    )  # fmt: skip
    write_report(
        folder / "report.html",
        job.name,
        curves,
        job.weights.classes,
        settings={name: value for name, value in done.items() if name not in NOT_IN_REPORT},
        footage=done["footage"],
        links=file_links(job.name, candidates is not None, not job.bars),
        videos=playable_videos(job.path, job.folder),
        compared="" if absolute is None else SCORES_COMPARED,
        remarks=[*done["remarks"], *job.spotting.explained(), *picture_remarks(expressions)],
        set_aside=None if candidates is None else set_aside_rows(candidates),
        warnings=[job.weights.caution] if job.weights.caution else [],
    )


def tracking_remarks(tracking: Tracking, k: int, minimum: int, fps: float) -> list[str]:
    """Remarks on a low frame rate, parts without a face, parts that are too short to be scored, and scene cuts.

    `k` is in frames at the video's rate `fps`; a part must have `minimum` features to be scored.
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
        scored = {first for first, _ in scored_stretches(track, k, minimum)}
        short = [s for s in track.stretches() if s[0] not in scored]
        if short:
            remarks.append(f"face {track.number}: too short to score ({k + minimum} frames needed): {times(short)}")
    if tracking.cuts:
        remarks.append(f"scene cuts at {', '.join(f'{c / fps:.1f} s' for c in tracking.cuts[:TIMES_SHOWN])}")
    return remarks
