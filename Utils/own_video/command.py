"""--video, and --video with --check: the user's own videos, from the flags to what is printed."""

from __future__ import annotations

import sys
from dataclasses import replace

from feature_extraction import prepare_flow
from Utils.datasets.table import weights_entry
from Utils.errors import InputError, shown
from Utils.own_video.collection import print_outcomes
from Utils.own_video.footage import inspect_footage, worst
from Utils.own_video.jobs import jobs_of
from Utils.own_video.paths import find_videos_to_run
from Utils.own_video.run import run_videos
from Utils.own_video.second_look import second_look_of
from Utils.own_video.weights import weights_for_videos
from Utils.screen import print_memory
from Utils.settings import Settings
from Utils.work import machine
from Utils.work.cache import key_of, remove_leftovers, require_writable
from Utils.work.parallel import connect


def analyse_videos(settings: Settings) -> tuple[int, int]:
    """--video: spot and recognise expressions in the user's own videos.

    Returns how many videos failed, and how many there are. Raises InputError if nothing can be done.
    """
    dataset = weights_entry(settings.dataset_name)
    settings = replace(settings, workers=settings.workers or machine.cores())
    paths = find_videos_to_run(settings.video)
    weights = weights_for_videos(
        settings.weights_source, dataset, settings.half_length, settings.method, settings.expression
    )
    look = second_look_of(settings, dataset, weights)
    require_writable(settings.output_dir, "--output_dir")
    remove_leftovers(settings.output_dir)
    print(f"{settings.method} on {len(paths)} video(s), {len(weights.networks)} network(s) of {dataset.title}")
    if weights.caution:
        print(f"  WARNING: {weights.caution}")
    prepare_flow(settings.flow)
    if prepare := weights.steps.folds.prepare:
        prepare(False)
    about = dict(
        weights=f"{dataset.title}, {len(weights.networks)} network(s)",
        weights_key=key_of(weights=weights.fingerprint()),
        weights_files=weights.file_hashes(),
        versions=machine.versions(),
        flags=settings.as_json(),
    )
    with connect(settings.workers, settings.scheduler, (settings.output_dir,)) as workers:
        jobs = jobs_of(paths, settings, weights, look, about | {"git_revision": machine.git_revision()})
        outcomes = run_videos(jobs, settings.output_dir, workers)
    print_outcomes(outcomes)
    print_memory(workers)
    return sum(bool(outcome.problem) for outcome in outcomes), len(outcomes)


def check_videos(settings: Settings) -> tuple[int, int]:
    """Say whether the footage of videos is good enough; returns what `analyse_videos` does. Nothing is written."""
    paths = find_videos_to_run(settings.video)
    weights = weights_for_videos(settings.weights_source, weights_entry(settings.dataset_name), settings.half_length)
    n_failed = 0
    for path in paths:
        try:
            findings, remarks = inspect_footage(path, settings.fps, settings.face, weights)
        except InputError as error:
            print(f"main.py: {shown(error)}", file=sys.stderr)
            n_failed += 1
            continue
        print(f"{shown(path)}: {worst(findings)}")
        for line in (*findings, *remarks):
            print(f"  {line}")
    return n_failed, len(paths)
