"""Render SYNTH, train on it, and write the weights of the user's own videos.

    python -m Utils.synth_run                      # 300 clips and 100 photographs, into MEAN_Weights/SYNTH
    python -m Utils.synth_run --clips 40 --weights_dir try --epochs_recog 20

Finished clips are kept in --cache_dir, so that a run that was stopped is continued by the same command.

What is written: spot/all.weights.h5, recog/all.weights.h5, weights.json, verify.json and figures.json (what was found
on the clips that nothing was trained on, also by the looks of the faces).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from Utils.datasets.table import SYNTH
from Utils.errors import InputError, shown
from Utils.own_video.verify import VERIFY
from Utils.settings import PROJECT, Settings
from Utils.synth_run.clips import (
    EXPRESSIVE,
    HALF_LENGTH_S,
    ClipData,
    ClipJob,
    clip_numbers,
    frames_at,
    make_clip,
    pair_step,
)
from Utils.synth_run.figures import by_background, by_looks, recognition_figures, spotting_figures
from Utils.synth_run.labels import Labelled, labelled, stretch_of
from Utils.work.cache import atomic_folder, require_writable, write_json
from Utils.work.machine import cores, versions
from Utils.work.parallel import release_workers, run_units

WRITTEN = {"spot/all.weights.h5", "recog/all.weights.h5", "weights.json", VERIFY, "figures.json"}
FEWEST_CLIPS = 20
SEED = 0  # of the clips


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit code: 0, or 2 if something cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m Utils.synth_run", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--clips", type=int, default=300, metavar="N", help="clips, each of another face (default: 300)"
    )
    parser.add_argument(
        "--photographs", type=int, default=100, metavar="N", help="further clips of photographs (default: 100)"
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="length of a clip (default: 10)")
    parser.add_argument("--weights_dir", type=Path, default=PROJECT / "MEAN_Weights", metavar="DIR")
    parser.add_argument("--cache_dir", type=Path, default=Path("cache"), metavar="DIR")
    parser.add_argument("--epochs_spot", type=int, default=Settings.epochs_spot, metavar="N")
    parser.add_argument("--epochs_recog", type=int, default=Settings.epochs_recog, metavar="N")
    parser.add_argument("--seed", type=int, default=Settings.seed, metavar="N", help="of the training (default: 1)")
    parser.add_argument("--workers", type=int, default=cores(), metavar="N")
    args = parser.parse_args(argv)
    if args.clips < FEWEST_CLIPS:
        parser.error(f"--clips: {args.clips} are too few to fit a verifier, at least {FEWEST_CLIPS} are needed")
    try:
        run(args)
    except InputError as error:
        print(f"synth_run: {shown(error)}", file=sys.stderr)
        return 2
    return 0


def run(args: argparse.Namespace) -> None:
    """Render, train, fit and write. Raises InputError if a folder cannot be written, or has files of the user."""
    from Utils.engine import compile_engine
    from Utils.synth_run.networks import predict_clip, recognition_samples, spotting_samples, train_networks
    from Utils.synth_run.verifier import fit, require_kinds, training_candidates
    from Utils.tvl1 import compile_kernel

    require_writable(args.cache_dir, "--cache_dir")
    require_writable(args.weights_dir, "--weights_dir")
    _require_replaceable(args.weights_dir / SYNTH.name)
    start = time.perf_counter()
    compile_kernel(print)
    compile_engine(print)
    numbers = clip_numbers(args.clips, args.photographs, SEED, args.seconds)
    jobs = [ClipJob(n, SEED, args.seconds, args.cache_dir) for n in numbers]
    made = run_units(make_clip, jobs, args.workers, "SYNTH", "clip")
    clips = [data for data in made if data is not None]
    train = [data for data in clips if data.clip["split"] == "train"]
    check = [data for data in clips if data.clip["split"] == "check"]
    print(f"  {len(clips)} of {len(made)} clips have a face; {len(train)} to train on, {len(check)} to check with")

    classes = SYNTH.classes
    candidates = training_candidates(train, args.workers)
    require_kinds(candidates)
    release_workers()
    spotting, recognition = train_networks(
        spotting_samples(train), recognition_samples(train, classes), len(classes),
        (args.epochs_spot, args.epochs_recog), Settings.learning_rate, Settings.batch_size, args.seed,
    )  # fmt: skip
    scores = [predict_clip(spotting, recognition, data) for data in check]
    checked = [_with_score_peaks(data, score) for data, (score, _) in zip(check, scores, strict=True)]
    neutral = [data.clip["scenario"] != EXPRESSIVE for data in check]
    fitted = fit(candidates, checked, neutral, classes, args.seed)
    figures = {
        "clips": len(clips),
        "seconds": args.seconds,
        "seed": args.seed,
        "versions": versions(),
        "verifier": fitted.figures,
        "spotting": spotting_figures(check, [score for score, _ in scores]),
        "recognition": recognition_figures(check, [p for _, p in scores], classes),
        "by_looks": by_looks(fitted.verifier, check, checked, fitted.figures["threshold"]),
        "by_background": by_background(fitted.verifier, check, checked, fitted.figures["threshold"]),
        "took_s": round(time.perf_counter() - start),
    }
    with atomic_folder(args.weights_dir / SYNTH.name) as folder:
        for name, network in (("spot", spotting), ("recog", recognition)):
            (folder / name).mkdir()
            network.save_weights(folder / name / "all.weights.h5")
        about = {"k": SYNTH.k, "k_prime": HALF_LENGTH_S * SYNTH.fps, "fps": SYNTH.fps, "classes": list(classes)}
        write_json(folder / "weights.json", about | {"dataset": SYNTH.title})
        (folder / VERIFY).write_text(json.dumps(fitted.content, separators=(",", ":")), encoding="utf-8")  # compact
        write_json(folder / "figures.json", figures)
    print(f"  {fitted.summary()}\n  everything is in {args.weights_dir / SYNTH.name}")


def _require_replaceable(folder: Path) -> None:
    """Raise InputError if a folder of weights has a file that this command does not write: it would be lost."""
    files = (path for path in sorted(folder.rglob("*")) if not path.is_dir())
    for path in files:
        if path.relative_to(folder).as_posix() not in WRITTEN:
            raise InputError(
                f"{path}: is not a file of these weights and would be lost; move it, or choose another --weights_dir"
            )


def _with_score_peaks(data: ClipData, scores: np.ndarray) -> Labelled:
    """The candidates of a clip to check with, also those at the peaks of the networks' score, as in own videos."""
    from training_utils import smooth_scores
    from Utils.own_video.second_look import score_peaks

    curves, rate, events = stretch_of(data)
    step = pair_step(data.fps)
    k, k_prime = frames_at(data.fps / step)
    extra = score_peaks(smooth_scores(scores, k_prime), k, data.fps / step)
    return labelled(curves, rate, events, extra)


if __name__ == "__main__":
    sys.exit(main())
