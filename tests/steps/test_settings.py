"""The command line as it is parsed: bare flags, defaults, and which flag belongs to which task."""

from __future__ import annotations

from dataclasses import fields

import pytest

from Utils import __version__
from Utils.flags import EVERY_TASK, GROUPS, TASKS
from Utils.parsing import parse_settings
from Utils.settings import Settings

VALUES = {"dataset_name": "CASME_sq", "protocol": "upstream", "videos": "all", "face": "all", "flow": "opencv"}
VALUES |= {"scheduler": "tcp://host:80", "p": "0.5", "spotting": "paper", "expression": "macro"}
VALUES |= {"half_length_from": "median", "frame_base": "1", "tune": "nested"}
SWITCHES = ("validate", "fresh", "leave_one_dataset_out")
NEEDED = {(name, "video"): ["--spotting", "paper"] for name in ("p", "expression")}  # what a flag needs beside it
NEEDED |= {
    (name, t): ["--annotations", "a.csv"] for name in ("fps", "frame_base") for t in ("check", "train", "predict")
}
NEEDED |= {("annotations", t): ["--dataset_name", "mine"] for t in ("check", "train", "predict")}
CHOOSE = {
    "evaluate": ["--evaluate", "p.csv", "--ground_truth", "g.csv"],
    "agreement": ["--agreement", "a.csv", "b.csv"],
    "video": ["--video", "a.mp4"],
    "footage": ["--video", "a.mp4", "--check"],
    "check": ["--check"],
    "submission": ["--check", "s.csv"],
    "across": ["--train_on", "DEMO"],
    "train": ["--train"],
    "predict": [],
}
FIELDS = {f.name: f for f in fields(Settings)}


@pytest.mark.parametrize("name", ["train", "check", "validate", "fresh"])
def test_switches_need_no_value(name):
    task = [] if name in ("train", "check", "fresh") else ["--train"]
    assert getattr(parse_settings([*task, f"--{name}"]), name) is True
    for text, value in (("True", True), ("yes", True), ("1", True), ("False", False), ("no", False)):
        assert getattr(parse_settings([*task, f"--{name}", text]), name) is value
    assert getattr(parse_settings(task), name) is False


def test_a_switch_that_is_off_chooses_no_task_and_is_never_idle():
    settings = parse_settings(["--train", "False", "--check", "--validate", "False"])
    assert settings.check and not settings.train


def test_without_flags_all_is_default():
    assert parse_settings([]) == Settings()


def test_help_is_in_groups_with_examples(capsys):
    """Every flag is in one group, the groups are in their order, and the examples are commands that are parsed."""
    with pytest.raises(SystemExit) as left:
        parse_settings(["--help"])
    text = capsys.readouterr().out
    places = [text.index(f"\n{group}:\n") for group in GROUPS] + [text.index("\nexamples:\n")]
    assert left.value.code == 0 and places == sorted(places)
    for name, f in FIELDS.items():
        group = GROUPS.index(f.metadata["group"])
        assert f"\n  --{name} " in text[places[group] : places[group + 1]], name
    examples = [line.split("  ") for line in text[places[-1] :].splitlines() if line.startswith("  main.py")]
    commands = [next(part for part in parts if part) for parts in examples]
    assert len(commands) == 3
    for command in commands:
        parse_settings(command.split()[1:])


def test_version(capsys):
    with pytest.raises(SystemExit) as left:
        parse_settings(["--version"])
    assert left.value.code == 0 and capsys.readouterr().out == f"MEAN {__version__}\n"


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    "name",
    [
        n
        for n in FIELDS
        if n not in ("train", "check", "video", "evaluate", "ground_truth", "agreement", "train_on", "test_on")
    ],
)
def test_every_flag_is_taken_by_its_tasks_and_refused_by_others(name, task, capsys):
    value = VALUES.get(name, "2")
    given = [*CHOOSE[task], f"--{name}", *([] if name in SWITCHES else [value])]
    given += NEEDED.get((name, task), [])
    if task in FIELDS[name].metadata["tasks"]:
        assert getattr(parse_settings(given), name) not in (None, FIELDS[name].default)
        return
    with pytest.raises(SystemExit) as left:
        parse_settings(given)
    said = capsys.readouterr().err
    assert left.value.code == 2 and said.count("\n") == 1 and f"--{name} is for " in said


def test_videos_have_weights_of_their_own_unless_others_are_named():
    for more in ([], ["--check"]):
        assert parse_settings(["--video", "a.mp4", *more]).dataset_name == "SYNTH"
        assert parse_settings(["--video", "a.mp4", *more, "--dataset_name", "DEMO"]).dataset_name == "DEMO"
    settings = parse_settings(["--video", "a.mp4"])
    assert (settings.spotting, settings.false_alarms) == ("verified", 1.0)


VIDEO, EVALUATE = CHOOSE["video"], CHOOSE["evaluate"]
TWO_FILES = "--evaluate and --ground_truth go together: two files"
NO_DATASET = "--dataset_name SYNTH: these weights are for --video, there is no such dataset to run on"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--train", *EVALUATE], "--evaluate and --train are two tasks; give one of them"),
        (["--train", "--check", "--video", "a.mp4"], "--video and --check are two tasks; give one of them"),
        (["--agreement", "a.csv"], "--agreement compares two files; give two, not 1"),
        (["--agreement", "a.csv", "b.csv", "c.csv"], "--agreement compares two files; give two, not 3"),
        (["--agreement", "a.csv", "b.csv", *EVALUATE], "--evaluate and --agreement are two tasks; give one of them"),
        (
            ["--agreement", "a.csv", "b.csv", "--seed", "1"],
            "--seed is for --train or --train_on or --test_on, not for --agreement: leave it out",
        ),
        (
            ["--classes", "3", "--agreement", "a.csv", "b.csv"],
            "--classes is for --evaluate or --check or --train or a run on a dataset, not for --agreement: leave it "
            "out",
        ),
        (
            ["--fps", "25", "--check"],
            "--fps is for --annotations or --video: add that flag, or leave --fps out",
        ),
        (
            ["--p", "0.5", "--check"],
            "--p is for --video or --train or a run on a dataset or --train_on or --test_on, not for --check: leave it "
            "out",
        ),
        (EVALUATE[:2], TWO_FILES),
        ([*EVALUATE[2:]], "--ground_truth is for --evaluate: add that flag, or leave --ground_truth out"),
        (["--spotting", "paper"], "--spotting is for --video: add that flag, or leave --spotting out"),
        (["--false_alarms", "2", "--train"], "--false_alarms is for --video, not for --train: leave it out"),
        ([*VIDEO, "--p", "0.5"], "--p is for --spotting paper: add that flag, or leave --p out"),
        (
            [*VIDEO, "--p", "0.5", "--spotting", "verified"],
            "--p is for --spotting paper: add that flag, or leave --p out",
        ),
        (
            [*VIDEO, "--false_alarms", "1", "--spotting", "paper"],
            "--false_alarms is not for --spotting paper: leave it out",
        ),
        (["--dataset_name", "SYNTH"], NO_DATASET),
        (["--dataset_name", "SYNTH", "--train"], NO_DATASET),
        (["--dataset_name", "SYNTH", "--check"], NO_DATASET),
    ],
)
def test_what_is_said_of_flags_that_have_no_use_together(flags, message, capsys):
    with pytest.raises(SystemExit):
        parse_settings(flags)
    assert capsys.readouterr().err == f"main.py: {message}; see main.py --help\n"


def test_every_task_takes_the_folders_and_the_number_of_workers():
    general = {name for name, f in FIELDS.items() if f.metadata["tasks"] == EVERY_TASK}
    assert general == {"data_root", "output_dir", "cache_dir", "workers"}


def test_names_of_datasets_are_checked_where_they_are_known(capsys):
    assert parse_settings(["--dataset_name", "mine"]).dataset_name == "mine"
    with pytest.raises(SystemExit):
        parse_settings(["--dataset_name", "mine"], ["DEMO"])
    assert "mine" in capsys.readouterr().err
    for name in ("DEMO", "SYNTH"):
        assert parse_settings(["--video", "a.mp4", "--dataset_name", name], ["DEMO"]).dataset_name == name
