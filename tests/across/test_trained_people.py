"""On whom weights were trained: what `weights.json` says, whatever command trained them, and what is done about it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import main
import Utils.across.run
from tests.across.conftest import NAME, QUICK
from Utils.across.weights import remark_on_rate, trained_people, warning_on_training
from Utils.methods.table import METHODS
from Utils.settings import PROJECT

MEAN, SHIPPED = METHODS["MEAN"], PROJECT / "MEAN_Weights"
NOT_KNOWN = "do not say on which videos they were trained"


def refused(flags, capsys, *words: str) -> None:
    assert main.main([*flags, "--workers", "1"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and all(word in said for word in words), said


def same_videos(folder: Path) -> None:
    """The videos of DEMO and of lab.csv in two other places, under names that say nothing."""
    for name, source in (("of_demo", "data/DEMO/rawpic/s15"), ("of_lab", "lab/anna")):
        (video,) = (path.parent for path in (folder / source).rglob("*1.jpg") if path.stem.endswith("001"))
        shutil.copytree(video, folder / name / "x")


@pytest.mark.parametrize("method", ["MEAN", "SOFTNet"])
def test_weights_of_a_leave_one_subject_out_run(method, across, workplace, capsys):
    """They have networks that were trained on all subjects, which --test_on uses."""
    folder = workplace(across)
    same_videos(folder)
    table = (folder / "lab/lab.csv").read_text().replace("sad", "negative").replace("happy", "positive")
    (folder / "lab/lab.csv").unlink()  # a link
    (folder / "lab/lab.csv").write_text(table)
    quick = QUICK[:2] if method == "SOFTNet" else QUICK[:4]
    trained = ["--train", "--method", method, *quick, "--workers", "1", "--weights_dir", "w"]
    assert main.main(trained) == 0
    assert main.main([*trained, "--annotations", "lab/lab.csv", "--frame_base", "1"]) == 0
    demo, lab = (trained_people(folder / "w", name, METHODS[method], "micro") for name in ("DEMO", "lab"))
    assert [(p.dataset, p.people, p.subjects, len(p.videos)) for p in (*demo, *lab)] == [
        ("DEMO", "DEMO", ("s15", "s16"), 2), ("lab", "tables", ("anna", "bert"), 2),
    ]  # fmt: skip
    by = ("--weights_dir", "w", "--method", method, "--fps", "30")
    capsys.readouterr()
    refused(["--test_on", "of_demo", "--dataset_name", "DEMO", *by], capsys, "x/x of of_demo is the same video as")
    refused(["--test_on", "of_lab", "--dataset_name", "lab", *by], capsys, "x/x of of_lab is the same video as")


def test_only_videos_that_were_used_are_described(across, workplace, monkeypatch):
    folder = workplace(across)
    said = {}
    monkeypatch.setattr(main, "train_and_evaluate", lambda *given: said.update(given[3].trained_on) or 1 / 0)
    (frames,) = {path.parent for path in (folder / "data/DEMO/rawpic/s16").rglob("*.jpg")}
    for path in sorted(frames.iterdir())[2:]:
        path.unlink()  # too few for a pair
    with pytest.raises(ZeroDivisionError):
        main.main(["--train", *QUICK, "--videos", "all"])
    about = said["trained_on"]["DEMO"]
    assert about["subjects"] == ["s15"] and len(about["videos"]) == 1


def described(tmp_path: Path, **about: object) -> tuple:
    """The arguments that name weights with this description."""
    (tmp_path / "mine").mkdir(exist_ok=True)
    (tmp_path / "mine/weights.json").write_text(json.dumps(about))
    return tmp_path, "mine", MEAN, "micro"


def test_weights_that_do_not_say_it(tmp_path):
    known = {"people": "a", "subjects": ["s1"], "videos": ["d"]}
    assert warning_on_training(*described(tmp_path, trained_on={"a": known})) == ""
    for about in ({}, {"a": []}, {"a": known, "b": known | {"videos": []}}, [1]):
        warning = warning_on_training(*described(tmp_path, trained_on=about))
        assert NOT_KNOWN in warning and "\n" not in warning
    assert "(nothing is compared)" in warning_on_training(*described(tmp_path))
    older = described(tmp_path, held_out={"s1": "anna"})
    assert "(only names of subjects are compared)" in warning_on_training(*older)
    (demo,) = trained_people(SHIPPED, "DEMO", MEAN, "micro")
    assert demo.subjects == tuple(f"s{n}" for n in range(15, 23)) and demo.people == "DEMO"


def test_the_warning_is_on_the_screen_once(mean_run, workplace, monkeypatch, capsys):
    workplace(mean_run)
    monkeypatch.setattr(Utils.across.run._Across, "train_and_test", lambda *_: [])
    frame_base = ("--frame_base", "1", "--workers", "1")
    shutil.copytree(SHIPPED / "DEMO", "older/DEMO")
    about = json.loads(Path("older/DEMO/weights.json").read_text())
    del about["trained_on"]["DEMO"]["videos"]
    Path("older/DEMO/weights.json").write_text(json.dumps(about))
    from_older = ("--dataset_name", "DEMO", "--weights_dir", "older")
    assert main.main(["--test_on", "lab/lab.csv,hall/hall.csv", *from_older, *frame_base]) == 0
    said = capsys.readouterr().out
    assert said.count("WARNING") == 1 and f"WARNING: the weights DEMO {NOT_KNOWN}" in said
    assert main.main(["--test_on", "hall/hall.csv", "--dataset_name", NAME, "--weights_dir", "w", *frame_base]) == 0
    assert "WARNING" not in capsys.readouterr().out


def test_another_highest_rate_than_that_of_the_training(tmp_path):
    at_30 = described(tmp_path, highest_fps=30)
    assert remark_on_rate(*at_30, 30, [200]) == remark_on_rate(*at_30, None, [25, 30]) == ""
    without = "the weights mine were trained with --highest_fps 30 and are tested without --highest_fps; this can"
    assert remark_on_rate(*at_30, None, [25, 200]).startswith(without)
    never = described(tmp_path, highest_fps=None)
    assert "trained without --highest_fps and are tested with --highest_fps 20;" in remark_on_rate(*never, 20, [30])
    for about in ({}, {"highest_fps": "fast"}, {"highest_fps": 0}, {"highest_fps": True}):
        assert remark_on_rate(*described(tmp_path, **about), 20, [200]) == ""


def test_the_remark_on_the_rate_is_in_the_folder(mean_run, workplace):
    folder = workplace(mean_run)
    flags = ["--test_on", "hall/hall.csv", "--dataset_name", NAME, "--weights_dir", "w", "--workers", "1"]
    assert main.main([*flags, "--frame_base", "1", "--output_dir", "fast"]) == 0
    (run,) = (folder / "fast").iterdir()
    assert "trained with --highest_fps 20 and are tested without --highest_fps" in (run / "remarks.txt").read_text()
