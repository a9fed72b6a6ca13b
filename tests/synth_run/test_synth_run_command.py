"""The command that makes SYNTH's weights, on clips that are made up instead of rendered."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.support.movement_curves import BROWS, bell, calm, with_movement
from tests.support.synth_clips import TIMES, clip_of, event
from tests.support.verifiers import CLASSES
from Utils.datasets.table import SYNTH
from Utils.own_video.displacement import MOVED
from Utils.own_video.verify import load_verifier
from Utils.own_video.weights import Ensemble, weights_for_videos
from Utils.synth_run import __main__ as synth_run
from Utils.synth_run import verifier as verifier_module
from Utils.synth_run.clips import ClipData, ClipJob

OTHER_KINDS = ("macro", "speech", "head", "blink", "occlusion", "light")


def made_up_clip(job: ClipJob) -> ClipData:
    """In place of `make_clip`: 5 s with a micro-expression at 2 s (not if it is neutral), and another event at 4 s.

    The features of pairs on the micro-expression are bright, in the channel of its emotion.
    """
    folder = job.cache_dir / f"made-up-{job.number}"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(job.number)
    neutral, emotion = job.number % 3 == 0, job.number % len(CLASSES)
    curves = calm(150) + np.pad(rng.normal(0, 0.01, (150, MOVED.stop)), ((0, 0), (0, calm(1).shape[1] - MOVED.stop)))
    events = [event(OTHER_KINDS[job.number % 6], 3.7, 4.3)]
    curves = with_movement(curves, bell(TIMES, 4.0, 0.5, 2.0), BROWS)
    if not neutral:
        curves = with_movement(curves, bell(TIMES, 2.0, 0.4))
        events.insert(0, event("micro", 1.8, 2.2, CLASSES[emotion]))
    begins = np.arange(0, 147)
    pseudo = ((begins >= 53) & (begins <= 60)).astype(np.int32) * (not neutral)
    features = rng.uniform(0, 0.2, (147, 42, 42, 3))
    features[pseudo == 1, ..., emotion] += 0.7
    np.save(folder / "features.npy", features.astype(np.float16))
    np.save(folder / "pairs.npy", np.column_stack([begins, pseudo]).astype(np.int32))
    np.save(folder / "apexes.npy", features[pseudo == 1].astype(np.float16))
    facts = dict(
        number=job.number, split="check" if job.number % 5 == 4 else "train",
        scenario="neutral" if neutral else "expressive",
        looks=dict(sex=("female", "male")[job.number % 2], age=20 + job.number, tone=job.number / 40, glasses=False,
                   beard=job.number % 2 == 1, fringe=True),
    )  # fmt: skip
    made = clip_of(folder, curves, events, **facts)
    return ClipData(made.folder, made.clip, 1, [CLASSES[emotion]] * int(pseudo.sum()))


def test_the_command_writes_weights_for_videos(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(synth_run, "make_clip", lambda job: None if job.number == 7 else made_up_clip(job))
    (tmp_path / "w/SYNTH").mkdir(parents=True)
    (tmp_path / "w/SYNTH/weights.json").write_text("replaced")
    monkeypatch.setattr(verifier_module, "COPIES", 1)  # quicker
    monkeypatch.setattr(verifier_module, "TREES", 40)
    flags = (
        "--clips",
        "40",
        "--photographs",
        "0",
        "--seconds",
        "5",
        "--epochs_spot",
        "1",
        "--epochs_recog",
        "2",
        "--workers",
        "1",
    )
    assert synth_run.main([*flags, "--weights_dir", str(tmp_path / "w"), "--cache_dir", str(tmp_path / "cache")]) == 0
    folder = tmp_path / "w/SYNTH"
    assert {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} == {
        "spot/all.weights.h5", "recog/all.weights.h5", "weights.json", "verify.json", "figures.json",
    }  # fmt: skip
    weights = weights_for_videos(tmp_path / "w", SYNTH)
    assert (weights.k, weights.k_prime, weights.fps, weights.classes) == (3, 6, 30, CLASSES) and weights.caution
    verifier = load_verifier(folder, weights.classes)
    scores, probabilities = Ensemble(weights).predict(np.zeros((2, 42, 42, 3), np.float32))
    assert np.isfinite(scores).all() and probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)
    figures = json.loads((folder / "figures.json").read_text())
    assert (figures["clips"], figures["verifier"]["clips"], figures["verifier"]["neutral"]) == (39, 8, 3)
    assert figures["recognition"]["of"] == 5 and 0 <= figures["spotting"]["auc"] <= 1
    assert figures["verifier"]["threshold"] == pytest.approx(verifier.threshold(1.0)[0], abs=1e-5)
    rows = {row["faces"]: row for row in figures["by_looks"]}
    assert rows["sex: female"]["clips"] + rows["sex: male"]["clips"] == 8
    assert (rows["glasses"]["clips"], rows["fringe"]["clips"]) == (0, 8)
    assert rows["fringe"]["minutes"] == pytest.approx(8 * 5 / 60)
    assert rows["fringe"]["found"] + rows["fringe"]["missed"] == 5
    assert "39 of 40 clips have a face; 31 to train on, 8 to check with" in capsys.readouterr().out


def test_a_few_clips_are_refused(capsys, tmp_path):
    with pytest.raises(SystemExit) as left:
        synth_run.main(["--clips", "19", "--weights_dir", str(tmp_path)])
    assert left.value.code == 2 and "at least 20 are needed" in capsys.readouterr().err


def test_files_of_the_user_are_not_lost(capsys, tmp_path):
    (tmp_path / "w/SYNTH/spot").mkdir(parents=True)
    (tmp_path / "w/SYNTH/spot/s1.weights.h5").write_text("mine")
    flags = ("--clips", "20", "--weights_dir", str(tmp_path / "w"), "--cache_dir", str(tmp_path / "cache"))
    assert synth_run.main(flags) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "spot/s1.weights.h5: is not a file of these weights" in said
    assert (tmp_path / "w/SYNTH/spot/s1.weights.h5").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_one_line(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    assert synth_run.main(["--clips", "20", "--cache_dir", str(tmp_path / "file/cache")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("synth_run: ") and said.count("\n") == 1 and "--cache_dir" in said
