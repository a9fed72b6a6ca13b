"""Reads the flags of `main.py` (settings.py): from the command line, or from values that Python code gives."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from Utils import __version__
from Utils.errors import InputError
from Utils.flags import GROUPS, TASKS
from Utils.records import MICRO
from Utils.settings import ACROSS, BOTH, FOR_VIDEOS, MEAN, NO_TUNING, PAPER_RULE, REPEATED, UNTRAINED, Settings

TRAINING_ONLY = ("epochs_spot", "epochs_recog", "batch_size", "learning_rate", "ratio", "seed", "half_length_from")
DATASET_NAME = r"[^\W_][\w.+-]{0,79}"  # of --dataset_name, where it is not in the table; it names folders

EXAMPLES = """\
examples:
  main.py                                        run DEMO with the weights that come with it
  main.py --video interview.mp4                  analyse a video of your own; the report is in runs/interview
  main.py --dataset_name CASME_sq --data_root /data --train
                                                 train and evaluate on a dataset, leave-one-subject-out
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        """Print one line instead of the whole usage, and exit with code 2."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def parse_settings(
    argv: list[str] | None = None, datasets: Sequence[str] = (), methods: Mapping[str, object] = {}
) -> Settings:
    """Settings from the command line.

    Parameters
    ----------
    argv : list of str, optional
        The flags. By default those of this process.
    datasets : sequence of str
        The names that --dataset_name accepts. If there are none, it accepts every name.
    methods : mapping
        The names that --method accepts -> what a method needs of the flags: its `defaults` and those it is `without`
        (`Utils.methods.table.Method`). If there are none, every name is accepted.

    Raises
    ------
    SystemExit
        Code 2, after one line: a flag is wrong, or the task does not use it. Code 0: --help or --version.
    """
    parser = _Parser(
        prog="main.py",
        usage="main.py [--flag VALUE ...]",
        description="MEAN: spots micro-expressions in long face videos, then recognises their emotion.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,  # of the examples; the rest is wrapped as usual
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"MEAN {__version__}")
    groups = {name: parser.add_argument_group(name) for name in GROUPS}
    for f in fields(Settings):
        text = f.metadata["help"]
        if f.default not in (None, ()) and "default:" not in text:
            text += f" (default: {f.default})"
        about = dict(f.metadata["argument"])
        if f.name == "dataset_name" and datasets:
            about["metavar"] = "{" + ",".join((*datasets, FOR_VIDEOS)) + "}"
        if f.name == "method" and methods:
            about["choices"] = tuple(methods)
        groups[f.metadata["group"]].add_argument(f"--{f.name}", default=argparse.SUPPRESS, help=text, **about)
    given = vars(parser.parse_args(argv))
    if given.get("video") and not given.get("annotations"):
        given.setdefault("dataset_name", FOR_VIDEOS)
    implied = {}
    if tables := given.get("annotations"):
        name = re.sub(r"[^\w.+-]+", "_", tables[0].stem).strip("_.")
        implied = {"dataset_name": name or "study", "data_root": tables[0].parent}
    elif isinstance(given.get("check"), Path):
        implied = {"data_root": None}  # the videos of the test set, if they are to be compared
    elif given.get("train_on"):
        implied = {"dataset_name": ""}  # made of the names of the datasets
    method = methods.get(given.get("method", MEAN))
    values = {**(method.defaults if method else {}), **implied, **given}
    settings = Settings(**values | {name: tuple(given.get(name, ())) for name in REPEATED})
    if datasets and (problem := _name_problem(settings, (*datasets, FOR_VIDEOS))):
        parser.error(problem)
    used = [name for name, value in given.items() if value is not False]  # a switch that is off is never idle
    if method and (unused := [name for name in method.without if name in used]):
        parser.error(f"--{unused[0]} is not for --method {method.name}: leave it out")
    compared = [methods[name] for name in map(str.strip, (settings.compare or "").split(",")) if name in methods]
    if compared and (unused := [name for name in used if all(name in m.without for m in compared)]):
        parser.error(f"--{unused[0]} is for none of the methods of --compare: leave it out")
    if own := [name for name in used if any(name in m.defaults for m in compared)]:
        parser.error(f"--{own[0]}: with --compare each method has its own; leave it out")
    if problem := _flags_problem(settings, given) or _values_problem(settings):
        parser.error(problem)
    return settings.with_absolute_folders() if settings.scheduler else settings


def settings_of(given: Mapping[str, object]) -> Settings:
    """Settings from values as Python has them: name of a flag -> its value, checked as on the command line.

    Raises InputError if a value is wrong, or the task does not use the flag.
    """
    values = {}
    for f in fields(Settings):
        if f.name not in given:
            continue
        about, value = f.metadata["argument"], given[f.name]
        if not about.get("nargs"):
            try:
                value = about["type"](str(value))
            except argparse.ArgumentTypeError as error:
                raise InputError(f"{f.name}: {error}") from None
        if about.get("choices") and value not in about["choices"]:
            raise InputError(f"{f.name}: {value!r} is none of {', '.join(about['choices'])}")
        values[f.name] = value
    settings = Settings(**values)
    if problem := _flags_problem(settings, given) or _values_problem(settings):
        raise InputError(problem.replace("--", ""))
    return settings


def _flags_problem(settings: Settings, given: Mapping[str, object]) -> str:
    """What is wrong with the flags that were given: two tasks, or a flag that the task does not use. "" if nothing is.

    `given` has the flags of the command line only, without defaults.
    """
    chosen = [task for task in ("evaluate", "agreement", "video", "check", "train") if getattr(settings, task)]
    if settings.train_on or settings.test_on:
        chosen.insert(0, ACROSS)
    if chosen == ["video", "check"]:
        chosen = ["footage"]
    if isinstance(settings.check, Path):
        chosen = ["submission", *(task for task in chosen if task != "check")]
    if len(chosen) > 1:
        return f"{TASKS[chosen[0]]} and {TASKS[chosen[1]]} are two tasks; give one of them"
    task = (chosen or ["predict"])[0]
    for f in fields(Settings):
        if f.name in given and given[f.name] is not False and task not in f.metadata["tasks"]:
            owners = " or ".join(TASKS[owner] for owner in f.metadata["tasks"] if owner != "footage")
            if task == "predict":
                return f"--{f.name} is for {owners}: add that flag, or leave --{f.name} out"
            return f"--{f.name} is for {owners}, not for {TASKS[task]}: leave it out"
    if settings.dataset_name == FOR_VIDEOS and task not in ("video", "footage") and not settings.test_on:
        return f"--dataset_name {FOR_VIDEOS}: these weights are for --video, there is no such dataset to run on"
    if task == "video" and "p" in given and settings.spotting != PAPER_RULE:
        return f"--p is for --spotting {PAPER_RULE}: add that flag, or leave --p out"
    if "false_alarms" in given and settings.spotting == PAPER_RULE:
        return f"--false_alarms is not for --spotting {PAPER_RULE}: leave it out"
    if task == "video" and settings.expression == BOTH:
        return "--expression both is not for --video: give micro or macro, one after the other"
    if task == "video" and settings.expression != MICRO and settings.spotting != PAPER_RULE:
        return f"--expression {settings.expression} with --video is for --spotting {PAPER_RULE}: add that flag"
    for name in ("ablate", "tune"):
        if name in given and settings.protocol == "upstream":
            return f"--{name} is not for --protocol upstream: leave it out"
        if name in given and settings.compare is not None:
            return f"--{name} and --compare are two tasks; give one of them"
    if settings.ablate is not None:
        if "p" in given:
            return "--p is not for --ablate, which compares with the paper's: leave it out"
        if settings.train and (idle := [name for name in ("weights_dir", "validate") if name in given]):
            return f"--{idle[0]} is not for --ablate with --train: leave it out"
        for name, value, default in (("method", settings.method, MEAN), ("runs", settings.runs, 1)):
            if value != default:
                return f"--ablate is for --{name} {default}: leave --{name} out"
        if settings.tune != NO_TUNING or settings.expression == BOTH:
            return "--ablate runs one kind of expressions with fixed values: leave --tune and --expression both out"
    if settings.folds and settings.protocol == "upstream":
        return "--folds is not for --protocol upstream: the authors' code leaves out one subject"
    if settings.compare is not None and "method" in given:
        return "--compare names the methods: leave --method out"
    if settings.compare is not None and settings.runs > 1:
        return "--compare runs each method once: leave --runs out"
    if settings.leave_one_dataset_out and (not settings.train_on or settings.test_on):
        return "--leave_one_dataset_out tests the datasets of --train_on: give that flag, and leave --test_on out"
    if settings.leave_one_dataset_out and "dataset_name" in given:
        return "--leave_one_dataset_out trains several sets of networks, which have names: leave --dataset_name out"
    if settings.test_on and not settings.train_on:
        training = [name for name in TRAINING_ONLY if name in given]
        if training:
            return f"--{training[0]} is for --train_on: add that flag, or leave --{training[0]} out"
        if "dataset_name" not in given:
            return "--test_on needs networks: train them with --train_on, or name them with --dataset_name"
    if task == ACROSS and settings.method in UNTRAINED:
        return f"--method {settings.method} has nothing to train: run it on each dataset with --dataset_name"
    if not settings.annotations and task not in ("video", "footage", "submission", ACROSS):
        for name in ("frame_base", "fps"):
            if name in given:
                owners = "--annotations or --video" if name == "fps" else "--annotations"
                return f"--{name} is for {owners}: add that flag, or leave --{name} out"
    if (settings.evaluate is None) != (settings.ground_truth is None):
        return "--evaluate and --ground_truth go together: two files"
    if settings.agreement and len(settings.agreement) != 2:
        return f"--agreement compares two files; give two, not {len(settings.agreement)}"
    return ""


def _name_problem(settings: Settings, known: Sequence[str]) -> str:
    """What is wrong with --dataset_name; "" if nothing is. `known` are the names that have an entry in the table."""
    name = settings.dataset_name
    if settings.annotations or settings.video or settings.train_on or settings.test_on:
        made = settings.train_on and not name  # of the names of the datasets
        if not made and not re.fullmatch(DATASET_NAME, name):
            return (
                f"--dataset_name {name!r}: use at most 80 letters, digits, -, _ and dots, and no dot at the beginning"
            )
        if (settings.annotations or settings.train_on) and name in known:
            what = "--annotations" if settings.annotations else "--train_on"
            return f"--dataset_name {name} is a dataset of this program: give what {what} makes another name"
        return ""
    return "" if name in known else f"--dataset_name: invalid choice: {name!r} (choose from {', '.join(known)})"


def _values_problem(settings: Settings) -> str:
    """What is wrong with the values of the flags; "" if nothing is. Single values are checked when they are parsed."""
    folders = (
        settings.output_dir, settings.cache_dir, settings.weights_dir, *settings.video, *settings.annotations
    )  # fmt: skip
    for path in map(str, folders):
        if re.search("[\ud800-\udfff]", path):  # Python reads bytes that are not UTF-8 as surrogates
            return f"{path!a} is not valid Unicode; rename the folder or file"
    if settings.runs > 1 and settings.weights_dir:
        return "--runs gives several sets of weights, each in the folder of its run: leave --weights_dir out"
    return ""
