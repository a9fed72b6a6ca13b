"""What a flag of the command line is: a field of `Settings` with its help, its group, and the tasks that use it."""

from __future__ import annotations

import argparse
import math
import re
from dataclasses import field
from pathlib import Path

# The tasks of main.py, and how messages name them. All but "footage" and "predict" have a flag of their name.
TASKS = {
    "evaluate": "--evaluate",
    "agreement": "--agreement",
    "video": "--video",
    "footage": "--video with --check",
    "submission": "--check FILE",
    "across": "--train_on or --test_on",
    "check": "--check",
    "train": "--train",
    "predict": "a run on a dataset",
}
EVERY_TASK = tuple(TASKS)  # flags for folders and for the machine are always accepted, because scripts often give them

# The groups of --help, in their order
DATASETS = "runs on a dataset"
VIDEOS = "your own videos"
EVALUATION = "evaluation of tables"
TRAINING = "training"
FOLDERS = "folders"
MACHINE = "the machine"
GROUPS = (DATASETS, VIDEOS, EVALUATION, TRAINING, FOLDERS, MACHINE)

MAX_PORT = 65_535  # of TCP


def boolean(text: str) -> bool:
    """True or False, in the spelling of the authors' command line, or as yes/no or 1/0.

    Raises argparse.ArgumentTypeError for any other text.
    """
    if text.lower() in ("true", "yes", "1"):
        return True
    if text.lower() in ("false", "no", "0"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither True nor False")


def boolean_or_file(text: str) -> bool | Path:
    """True or False as `boolean` reads them. Text with a dot or a slash is the path of a file.

    Raises argparse.ArgumentTypeError for any other text.
    """
    return Path(text) if re.search(r"[./\\]", text) else boolean(text)


def dataset_names(text: str) -> str:
    """Names of datasets, unchanged. Raises argparse.ArgumentTypeError if there are none."""
    if not text.strip():
        raise argparse.ArgumentTypeError("names no dataset")
    return text


def number(kind: type, low: float, high: float, open_low: bool = False):
    """A function from text to a number of type `kind` within [low, high], or within (low, high] with `open_low`.

    That function raises argparse.ArgumentTypeError for any other text.
    """

    def parse(text: str):
        try:
            value = kind(text)
        except ValueError:
            wanted = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}") from None
        if not math.isfinite(value) or not low <= value <= high or (open_low and value == low):
            bracket = "(" if open_low else "["
            raise argparse.ArgumentTypeError(f"{text} is outside {bracket}{low}, {high}]")
        return value

    return parse


def scheduler_address(text: str) -> str:
    """The address of a Dask scheduler, unchanged. Raises argparse.ArgumentTypeError if it is not one."""
    match = re.fullmatch(r"tcp://(\[[0-9a-fA-F:.]+\]|[\w.-]+):(\d{1,5})", text)
    if not match or not 0 < int(match[2]) <= MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not an address of a Dask scheduler, such as tcp://10.0.0.1:8786")
    return text


def flag(
    group: str,
    default,
    help: str,
    parse=str,
    metavar: str | None = None,
    choices: tuple[str, ...] | None = None,
    repeated: bool = False,
    tasks: tuple[str, ...] = EVERY_TASK,
):
    """A field of `Settings`, which is also a flag of the same name.

    Parameters
    ----------
    group : str
        Where --help shows it: one of `GROUPS`.
    default
        The value if the flag is not given.
    help : str
        Its text in --help.
    parse : callable
        Text -> value. A flag that is parsed by `boolean` or `boolean_or_file` can be given without a value, which means
        True.
    metavar, choices
        See `argparse.ArgumentParser.add_argument`.
    repeated : bool
        The flag may be given several times, each time with one or more values. The field is a tuple of all of them.
    tasks : tuple of str
        The tasks that use the flag, keys of `TASKS`. With any other task it is refused.
    """
    about = dict(type=parse, metavar=metavar, choices=choices)
    if repeated:
        about |= dict(action="extend", nargs="+")
    if parse in (boolean, boolean_or_file):
        about |= dict(nargs="?", const=True)
    return field(default=default, metadata=dict(group=group, help=help, argument=about, tasks=tasks))
