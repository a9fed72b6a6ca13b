"""The command line: what it leaves, that it repeats itself, and what it says to bad input."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

import main
from feature_extraction import flow_function, prepare_flow
from tests.support.command_line import QUICK, command_line, only_run
from tests.support.figures import png
from tests.support.quicker import tables_only
from Utils.evaluation.tables import GROUND_TRUTH_COLUMNS, PREDICTION_COLUMNS


@pytest.fixture
def workplace(tiny_demo, tmp_path, monkeypatch) -> Path:
    """An empty folder with a tiny DEMO in `data`, in which `main.main` runs. They draw no figures."""
    shutil.copytree(tiny_demo, tmp_path / "data", copy_function=os.link)
    monkeypatch.chdir(tmp_path)
    tables_only(monkeypatch)
    return tmp_path


def test_training_leaves_everything(trained_demo):
    folder, done = trained_demo
    assert done.returncode == 0, done.stderr
    run = only_run(folder)
    assert run.name.startswith("DEMO-train-") and run.name.endswith("-1")
    subjects = ("s15", "s16", "s17")
    weights = {f"{kind}/s{n}.weights.h5" for kind in ("spot", "recog", "spot_recog") for n in (1, 2, 3)}
    weights |= {f"{kind}/all.weights.h5" for kind in ("spot", "recog", "spot_recog")}
    found = {p.relative_to(run / "MEAN_Weights/DEMO").as_posix() for p in run.glob("MEAN_Weights/DEMO/*/*")}
    assert found == weights
    assert all(list((run / "tensorboard" / s).glob("events*")) for s in subjects)
    figures = list((run / "figures").glob("*.png"))
    assert len(figures) == 5 and {png(f)[0] for f in figures} == {1320}  # six videos, the last without an expression
    assert png(run / "losses.png")[:2] == (1320, 792)
    predictions, truth = pd.read_csv(run / "predictions.csv"), pd.read_csv(run / "ground_truth.csv")
    assert tuple(predictions.columns) == PREDICTION_COLUMNS and tuple(truth.columns) == GROUND_TRUTH_COLUMNS
    assert set(truth["subject"]) == set(subjects)
    assert (predictions["offset"] - predictions["onset"]).nunique() == 1  # 2k'
    settings = json.loads((run / "settings.json").read_text())
    assert settings["settings"]["epochs_spot"] == 1 and settings["k"] == 3 and settings["k_prime"] > 0
    assert settings["versions"]["keras"] and settings["settings"]["seed"] == 1


def test_metrics_have_the_documented_shape(trained_demo):
    metrics = json.loads((only_run(trained_demo.folder) / "metrics.json").read_text())
    assert metrics["protocol"] == "paper" and metrics["dataset"] == "DEMO"
    assert {"tp", "fp", "fn", "precision", "recall", "f1", "ap", "asr", "mae"} <= set(metrics["spotting"])
    assert {"evaluated", "correct", "precision", "recall", "f1", "uf1", "uar", "accuracy"} <= set(metrics["analysis"])
    assert metrics["recognition"] is None and len(metrics["per_subject"]) == 3 and len(metrics["per_video"]) == 5
    truth = pd.read_csv(only_run(trained_demo.folder) / "ground_truth.csv")
    assert metrics["spotting"]["tp"] + metrics["spotting"]["fn"] == len(truth)


def test_output_is_for_people(trained_demo):
    done = trained_demo.done
    for heading in ("Videos and annotations", "Face crop", "Optical-flow features", "training, seed 1", "Evaluation"):
        assert heading in done.stdout
    assert "STRS" in done.stdout and "everything is in runs" in done.stdout
    for chatter in ("tensorflow", "cuda", "XLA", "absl", "oneDNN", "retracing", "Traceback"):
        assert chatter.lower() not in done.stderr.lower(), done.stderr


def test_pretrained_equals_trained_and_one_worker_equals_two(trained_demo, workplace):
    """The same seed gives byte-identical folds and predictions, from new caches, whatever the number of workers."""
    reference = (only_run(trained_demo.folder) / "predictions.csv").read_bytes()
    assert main.main(["--train", "True", "--workers", "1", *QUICK]) == 0
    by_two_workers = fold_files(trained_demo.folder)
    same = fold_files(workplace) == by_two_workers
    assert same and len(by_two_workers) == 4 + 2 * 5  # pytest would compare the bytes for minutes
    run = only_run(workplace)
    assert (run / "predictions.csv").read_bytes() == reference
    assert main.main(["--weights_dir", str(run / "MEAN_Weights"), "--workers", "1"]) == 0
    assert (only_run(workplace, "DEMO-pretrained") / "predictions.csv").read_bytes() == reference


def fold_files(folder: Path) -> dict[str, object]:
    """What folds leave in the cache, except the weight files and their hashes, because there are times in them."""
    found = {p: p.read_bytes() for p in (folder / "cache/DEMO/folds").rglob("*.npy")}
    for path in (folder / "cache/DEMO/folds").rglob("fold.json"):
        found[path] = {name: value for name, value in json.loads(path.read_text()).items() if name != "weights"}
    return {f"{path.parts[-3]}/{path.name}": content for path, content in found.items()}  # keys depend on file times


def test_finished_work_is_not_done_again(trained_demo, workplace, monkeypatch):
    shutil.copytree(trained_demo.folder, workplace / "again", copy_function=shutil.copy2)
    monkeypatch.chdir(workplace / "again")

    def refuse(*_):
        raise AssertionError("computed again")

    for name in (
        "face_crop._write_crops",
        "feature_extraction._write_spotting_features",
        "train_evaluate._compute_fold",
    ):
        monkeypatch.setattr(name, refuse)
    reference = (only_run(trained_demo.folder) / "predictions.csv").read_bytes()
    assert main.main(["--train", "True", "--workers", "1", *QUICK]) == 0
    runs = list((workplace / "again/runs").iterdir())
    assert len(runs) == 2 and all((r / "predictions.csv").read_bytes() == reference for r in runs)
    with pytest.raises(AssertionError, match="computed again"):
        main.main(["--train", "True", "--workers", "1", *QUICK, "--seed", "2"])


def test_repeated_runs_report_the_spread(trained_demo, workplace, monkeypatch, capsys):
    """The networks of the first seed are there already."""
    for part in ("data", "cache"):
        shutil.copytree(trained_demo.folder / part, workplace / "again" / part, copy_function=shutil.copy2)
    monkeypatch.chdir(workplace / "again")
    assert main.main(["--train", "True", "--workers", "1", *QUICK, "--runs", "2"]) == 0
    assert "2 runs, seeds 1 to 2" in capsys.readouterr().out
    (summary,) = Path("runs").glob("*-runs2/summary.csv")
    table = pd.read_csv(summary, index_col="figure")
    f1 = [json.loads(p.read_text())["spotting"]["f1"] for p in sorted(Path("runs").glob("*/metrics.json"))]
    assert len(f1) == 2
    assert table.loc["spotting_f1", "mean"] == pytest.approx(sum(f1) / 2)
    assert table.loc["spotting_f1", "sd"] == pytest.approx(abs(f1[0] - f1[1]) / 2**0.5)


def test_all_videos_count_false_positives_of_the_unannotated(trained_demo, workplace):
    weights = only_run(trained_demo.folder) / "MEAN_Weights"
    assert main.main(["--weights_dir", str(weights), "--videos", "all", "--workers", "1"]) == 0
    metrics = json.loads((only_run(workplace) / "metrics.json").read_text())
    assert len(metrics["per_video"]) == 6
    megc = pd.read_csv(only_run(workplace) / "megc.csv")
    assert list(megc.columns) == ["vid", "onset", "offset", "type"]
    assert (megc["onset"] >= 0).all() and (megc["offset"] <= 69).all() and set(megc["type"]) == {"me"}


def test_published_strs_case(tmp_path):
    """The example published with the STRS metric gives 0.2 (3 of 5 spotted; one of three classes right)."""
    head = "subject,video,onset,offset,emotion\n"
    (tmp_path / "p.csv").write_text(
        head + "1,EP02_01f,10,70,happiness\n1,EP03_02,100,170,others\n1,EP04_02,0,70,others\n"
        "2,EP01_11f,20,90,happiness\n2,EP02_04f,70,140,happiness\n"
    )
    (tmp_path / "g.csv").write_text(
        head + "1,EP02_01f,45,85,happiness\n1,EP03_02,130,160,others\n1,EP04_02,20,75,others\n"
        "2,EP01_11f,45,95,repression\n2,EP02_04f,30,140,repression\n"
    )
    done = command_line("--evaluate", "p.csv", "--ground_truth", "g.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("STRS")]
    assert float(line.split()[1]) == 0.2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["g.csv", "p.csv"]


FLAGS = [
    (("--dataset_name", "CASME3"), "CASME3"),
    (("--train", "maybe"), "maybe"),
    (("--epochs_spot", "0"), "epochs_spot"),
    (("--epochs_recog", "ten"), "ten"),
    (("--batch_size", "-1"), "batch_size"),
    (("--learning_rate", "nan"), "learning_rate"),
    (("--learning_rate", "0"), "learning_rate"),
    (("--p", "1.5"), "--p"),
    (("--ratio", "0"), "ratio"),
    (("--seed", "-1"), "seed"),
    (("--seed", "1e3"), "seed"),
    (("--workers", "0"), "workers"),
    (("--flow", "farneback"), "farneback"),
    (("--protocol", "mine"), "protocol"),
    (("--runs", "3"), "--runs is for --train"),
    (("--evaluate", "p.csv"), "--ground_truth"),
    (("--evaluate", "no.csv", "--ground_truth", "no.csv"), "no.csv"),
    (("--runs", "2", "--train", "True", "--weights_dir", "w"), "--weights_dir"),
    (("--train", "True", "--weights_dir", "a_file/w"), "a_file/w"),
    (("--data_rot", "x"), "data_rot"),
    (("extra",), "extra"),
    (("--dataset_name", "CASME_sq", "--data_root", "nowhere"), "nowhere"),
    (("--dataset_name", "CASME_sq"), "rawpic"),
    (("--output_dir", "a_file/runs"), "a_file/runs"),
    (("--cache_dir", "a_file/cache"), "a_file/cache"),
    (("--weights_dir", "nowhere"), "s15"),
]


def test_classes_are_named_as_in_the_ground_truth(workplace, capsys):
    rows = "subject,video,onset,offset,emotion\n1,a,0,9,joy\n1,b,0,9,fear\n"
    (workplace / "t.csv").write_text(rows)
    tables = ("--evaluate", "t.csv", "--ground_truth", "t.csv")
    assert main.main([*tables, "--classes", "joy , fear"]) == 0
    assert "analysed classes: joy, fear" in capsys.readouterr().out
    assert_refused((*tables, "--classes", "joy,sadness"), "sadness", capsys)


@pytest.mark.parametrize(("flags", "names"), FLAGS, ids=[" ".join(f) for f, _ in FLAGS])
def test_bad_flags_get_one_line(flags, names, workplace, capsys):
    (workplace / "a_file").write_text("something of the user's")
    assert_refused(flags, names, capsys)
    assert (workplace / "a_file").read_text() == "something of the user's"


def assert_refused(flags, names: str, capsys) -> None:
    """Exit code 2, one line on the error stream, and it names what is wrong."""
    try:
        code = main.main([*flags] if "--workers" in flags else [*flags, "--workers", "1"])
    except SystemExit as left:
        code = left.code
    said = capsys.readouterr().err
    lines = [line for line in said.splitlines() if "|" not in line]  # progress bars aside
    assert code == 2, said
    assert len([line for line in lines if line.strip()]) == 1 and names in said and "Traceback" not in said, said


VIDEO = "data/DEMO/rawpic/s15"


def spoil(path: Path, content: bytes | None) -> None:
    """Put another file in the place of a linked one (None: nothing)."""
    path.unlink()
    if content is not None:
        path.write_bytes(content)


def first_video(workplace: Path) -> Path:
    return sorted((workplace / VIDEO).iterdir())[0]


def no_workbook(w):
    spoil(w / "data/DEMO/code_final.xlsx", None)
    shutil.rmtree(w / "data/DEMO/.generated")
    (w / "data/CASME_sq").mkdir()
    shutil.move(w / "data/DEMO/rawpic", w / "data/CASME_sq/rawpic")
    return "code_final.xlsx", ("--dataset_name", "CASME_sq")


def text_for_workbook(w):
    spoil(w / "data/DEMO/code_final.xlsx", b"subject,video\n")
    return "code_final.xlsx", ()


def video_without_frames(w):
    video = first_video(w)
    for frame in video.iterdir():
        frame.unlink()
    return video.name, ()


def text_for_frame(w):
    frame = first_video(w) / "img007.jpg"
    spoil(frame, b"not an image")
    return str(Path(frame.parent.name) / frame.name), ()


def empty_frame(w):
    frame = first_video(w) / "img001.jpg"
    spoil(frame, b"")
    return str(Path(frame.parent.name) / frame.name), ()


def cut_frame(w):
    frame = first_video(w) / "img030.jpg"
    spoil(frame, frame.read_bytes()[:900])
    return str(Path(frame.parent.name) / frame.name), ()


@pytest.mark.parametrize(
    "spoiled", [no_workbook, text_for_workbook, video_without_frames, text_for_frame, empty_frame, cut_frame]
)
def test_bad_data_gets_one_line(spoiled, trained_demo, workplace, capsys):
    names, flags = spoiled(workplace)
    before = sorted(p for p in (workplace / "data").rglob("*") if "crop" not in str(p))
    assert_refused((*flags, "--weights_dir", str(only_run(trained_demo.folder) / "MEAN_Weights")), names, capsys)
    assert sorted(p for p in (workplace / "data").rglob("*") if "crop" not in str(p)) == before
    assert not list((workplace / "runs").iterdir())


def test_missing_weights_of_one_subject_are_named(trained_demo, workplace, capsys):
    shutil.copytree(only_run(trained_demo.folder) / "MEAN_Weights", workplace / "w")
    (workplace / "w/DEMO/spot/s2.weights.h5").unlink()
    assert_refused(("--weights_dir", "w"), "s16", capsys)


def test_fold_without_recognition_weights_is_spotted_only(trained_demo, workplace, capsys):
    shutil.copytree(only_run(trained_demo.folder) / "MEAN_Weights", workplace / "w")
    (workplace / "w/DEMO/recog/s2.weights.h5").unlink()
    assert main.main(["--weights_dir", "w", "--workers", "1"]) == 0
    assert "s16: no recognition weights" in capsys.readouterr().out
    predictions = pd.read_csv(only_run(workplace) / "predictions.csv")
    reference = pd.read_csv(only_run(trained_demo.folder) / "predictions.csv")
    of_s16 = predictions["subject"] == "s16"
    assert predictions[of_s16]["emotion"].isna().all() and predictions[~of_s16].equals(reference[~of_s16])
    assert predictions[of_s16]["onset"].equals(reference[of_s16]["onset"])


def test_video_without_a_face_is_left_out_and_reported(trained_demo, workplace, capsys):
    video = first_video(workplace)
    for frame in video.iterdir():
        frame.unlink()
        cv2.imwrite(str(frame), np.full((120, 160, 3), 90, np.uint8))
    weights = only_run(trained_demo.folder) / "MEAN_Weights"
    assert main.main(["--weights_dir", str(weights), "--workers", "1"]) == 1
    assert f"s15/{video.name}: no face" in capsys.readouterr().out
    left = pd.read_csv(only_run(workplace) / "ground_truth.csv")
    assert video.name not in set(left["video"]) and len(set(left["video"])) == 4


def test_opencv_flow_says_which_opencv(capsys):
    """The flow is that of the installed OpenCV; test_tvl1.py compares it with the kernel's."""
    prepare_flow("opencv")
    assert f"flow of OpenCV {cv2.__version__}" in capsys.readouterr().out
    first = np.random.default_rng(0).integers(0, 256, (128, 128), dtype=np.uint8)
    first = cv2.GaussianBlur(first, (0, 0), 4)
    second = np.roll(first, 1, axis=1)
    expected = cv2.optflow.DualTVL1OpticalFlow_create().calc(first, second, None)
    assert np.array_equal(flow_function("opencv")(first, second), expected)


def test_help_explains_every_flag(capsys):
    with pytest.raises(SystemExit) as left:
        main.main(["--help"])
    assert left.value.code == 0
    text = capsys.readouterr().out
    for name in main.Settings.__dataclass_fields__:
        assert f"--{name}" in text
