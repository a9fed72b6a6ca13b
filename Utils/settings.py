"""The command line: one typed field per flag, its help beside it, and the tasks that it belongs to."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from Utils import __version__
from Utils.records import PROTOCOLS

PROJECT = Path(__file__).resolve().parents[1]

# The tasks of main.py, and how a message names each. The first four are chosen by the flag of that name.
TASKS = {
    "evaluate": "--evaluate",
    "video": "--video",
    "check": "--check",
    "train": "--train",
    "predict": "a run on a dataset",
}
RUN = ("train", "predict")
EVERY_TASK = tuple(TASKS)  # of flags for folders and for the machine, which people keep in scripts


def boolean(text: str) -> bool:
    """True or False, as the authors' command line writes them."""
    if text.lower() in ("true", "yes", "1"):
        return True
    if text.lower() in ("false", "no", "0"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither True nor False")


def number(kind: type, low: float, high: float, open_low: bool = False):
    """A parser of numbers within [low, high], or (low, high] with `open_low`."""

    def parse(text: str):
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not {'a whole' if kind is int else 'a'} number") from None
        if not math.isfinite(value) or not low <= value <= high or (open_low and value == low):
            raise argparse.ArgumentTypeError(f"{text} is outside {'(' if open_low else '['}{low}, {high}]")
        return value

    return parse


def scheduler_address(text: str) -> str:
    """The address of a Dask scheduler."""
    match = re.fullmatch(r"tcp://(\[[0-9a-fA-F:.]+\]|[\w.-]+):(\d{1,5})", text)
    if not match or not 0 < int(match[2]) < 65_536:
        raise argparse.ArgumentTypeError(f"{text!r} is no address of a Dask scheduler, such as tcp://10.0.0.1:8786")
    return text


def flag(
    default,
    help: str,
    parse=str,
    metavar: str | None = None,
    choices: tuple[str, ...] | None = None,
    repeated: bool = False,
    tasks: tuple[str, ...] = EVERY_TASK,
):
    """A field of `Settings` that is a flag of the same name.

    Parameters
    ----------
    default
    help : str
    parse : callable
        Text -> value. A flag that is parsed by `boolean` can be given without a value, which means True.
    metavar, choices
        As argparse has them.
    repeated : bool
        May be given several times, with one or more values each, and is a tuple.
    tasks : tuple of str
        The tasks that use it, names of `TASKS`; with any other task it is refused.
    """
    about = dict(type=parse, metavar=metavar, choices=choices)
    if repeated:
        about |= dict(action="extend", nargs="+")
    if parse is boolean:
        about |= dict(nargs="?", const=True)
    return field(default=default, metadata=dict(help=help, argument=about, tasks=tasks))


@dataclass(frozen=True)
class Settings:
    """Every flag of `main.py`; the defaults are the paper's."""

    dataset_name: str = flag(
        "DEMO", "dataset to run; DEMO is embedded, synthetic, and made on first use", tasks=("video", "check", *RUN)
    )
    train: bool = flag(
        False,
        "train leave-one-subject-out; without it, the weights in --weights_dir are used",
        boolean,
        "True|False",
        tasks=("train",),
    )
    protocol: str = flag(
        "paper",
        "how samples and figures are counted: as the paper says, or as the authors' published code does",
        choices=PROTOCOLS,
        tasks=("evaluate", "check", *RUN),
    )
    videos: str = flag(
        "annotated",
        "videos that take part: those with a micro-expression (the paper), or all, as the Micro-Expression Grand "
        "Challenge has it (false positives in the others count)",
        choices=("annotated", "all"),
        tasks=RUN,
    )
    runs: int = flag(
        1,
        "repeat the training with seeds seed ... seed+N-1 and report mean and spread",
        number(int, 1, 1000),
        "N",
        tasks=("train",),
    )
    video: tuple[Path, ...] = flag(
        (),
        "instead of a dataset, videos of your own: files, folders of videos, or folders of frame images (with --fps); "
        "the weights are those of --dataset_name",
        Path,
        "PATH",
        repeated=True,
        tasks=("video",),
    )
    fps: float | None = flag(
        None, "frames per second of --video folders of images", number(float, 1, 1000), "RATE", tasks=("video",)
    )
    face: str = flag(
        "largest",
        "which faces of a --video are followed: the largest at any time, or all",
        choices=("largest", "all"),
        tasks=("video",),
    )
    absolute_threshold: float | None = flag(
        None,
        "score that an expression in a --video must reach, as well as T; it keeps neutral videos quiet",
        number(float, -100, 100),
        "SCORE",
        tasks=("video",),
    )
    half_length: float | None = flag(
        None,
        "k' (half the length of an expression) in seconds, for weights that come without it",
        number(float, 0, 10, open_low=True),
        "SECONDS",
        tasks=("video",),
    )
    check: bool = flag(
        False,
        "only read the dataset, or the videos of --video, and report what is there and what is wrong",
        boolean,
        "True|False",
        tasks=("check", "video"),
    )
    evaluate: Path | None = flag(
        None,
        "only evaluate this CSV of predictions (columns subject, video, onset, offset, emotion)",
        Path,
        "CSV",
        tasks=("evaluate",),
    )
    ground_truth: Path | None = flag(
        None, "the CSV of annotations for --evaluate (the same columns)", Path, "CSV", tasks=("evaluate",)
    )
    classes: str | None = flag(
        None,
        "the emotions that --evaluate analyses, separated by commas (default: all of the ground truth)",
        tasks=("evaluate",),
    )
    data_root: Path = flag(Path("data"), "folder that holds the datasets' folders", Path, "DIR")
    weights_dir: Path | None = flag(
        None,
        "folder with <dataset>/{spot,recog,spot_recog}/s<N>.weights.h5 (or the authors' .hdf5); with --train the "
        "new weights are copied there, too (default: MEAN_Weights; a training run keeps its weights in its own folder)",
        Path,
        "DIR",
    )
    output_dir: Path = flag(Path("runs"), "folder in which every run makes a folder of its own", Path, "DIR")
    cache_dir: Path = flag(
        Path("cache"), "folder for features and finished folds, so that a run can be continued", Path, "DIR"
    )
    flow: str = flag(
        "kernel",
        "TV-L1 optical flow: the project's kernel (the same on every machine) or the installed OpenCV's",
        choices=("kernel", "opencv"),
        tasks=("video", *RUN),
    )
    epochs_spot: int = flag(10, "epochs of the spotting network", number(int, 1, 100_000), "N", tasks=("train",))
    epochs_recog: int = flag(100, "epochs of the recognition network", number(int, 1, 100_000), "N", tasks=("train",))
    batch_size: int = flag(32, "samples per training step", number(int, 1, 65_536), "N", tasks=("train",))
    learning_rate: float = flag(
        5e-4, "learning rate of Adam", number(float, 0, 10, open_low=True), "RATE", tasks=("train",)
    )
    p: float = flag(
        0.55, "p of the spotting threshold T = mean + p (max - mean)", number(float, 0, 1), "P", tasks=("video", *RUN)
    )
    ratio: int = flag(
        5,
        "non-expression frames kept per expression frame in training",
        number(int, 1, 1_000_000),
        "N",
        tasks=("train",),
    )
    validate: bool = flag(
        False,
        "also record the losses on the held-out subject after every epoch (slower; the weights stay the same)",
        boolean,
        "True|False",
        tasks=("train",),
    )
    seed: int = flag(
        1, "seed of weights, shuffling, dropout and thinning", number(int, 0, 2**31 - 1), "N", tasks=("train",)
    )
    workers: int | None = flag(
        None, "processes side by side (default: as many as this machine has cores)", number(int, 1, 1024), "N"
    )
    scheduler: str | None = flag(
        None,
        "Dask scheduler to which videos and folds are sent instead of to processes of this machine; its workers must "
        "see the same folders (needs requirements-cluster.txt)",
        scheduler_address,
        "tcp://HOST:PORT",
        tasks=("video", *RUN),
    )
    fresh: bool = flag(
        False,
        "compute everything again, instead of continuing from finished videos and folds",
        boolean,
        "True|False",
        tasks=("video", *RUN),
    )

    @property
    def mode(self) -> str:
        return "train" if self.train else "pretrained"

    @property
    def weights_source(self) -> Path:
        """Where pretrained weights are read from."""
        return self.weights_dir or PROJECT / "MEAN_Weights"

    def with_absolute_folders(self) -> Settings:
        """The same folders for a process that works in another one."""
        names = ("data_root", "weights_dir", "output_dir", "cache_dir")
        folders = {name: folder.absolute() for name in names if (folder := getattr(self, name))}
        return replace(self, **folders, video=tuple(path.absolute() for path in self.video))

    def as_json(self) -> dict:
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values["video"] = [str(path) for path in self.video]
        return {name: str(v) if isinstance(v, Path) else v for name, v in values.items()}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        """One line instead of the whole usage; exit code 2."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def parse_settings(argv: list[str] | None = None, datasets: Sequence[str] = ()) -> Settings:
    """Settings from the command line; leaves with exit code 2 and one line if a flag is wrong, or has no use.

    Parameters
    ----------
    argv : list of str, optional
        By default the process's.
    datasets : sequence of str
        The names that --dataset_name may have; without any, every name.
    """
    parser = _Parser(
        prog="main.py",
        description="MEAN: spots micro-expressions in long face videos, then recognises their emotion.",
        epilog="Without any flag: the embedded DEMO dataset with the weights that come with it.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"MEAN {__version__}")
    for f in fields(Settings):
        shown = "" if f.default in (None, ()) or "default:" in f.metadata["help"] else f" (default: {f.default})"
        about = dict(f.metadata["argument"])
        if f.name == "dataset_name" and datasets:
            about["choices"] = tuple(datasets)
        parser.add_argument(f"--{f.name}", default=argparse.SUPPRESS, help=f.metadata["help"] + shown, **about)
    given = vars(parser.parse_args(argv))
    settings = Settings(**given | {"video": tuple(given.get("video", ()))})
    if problem := _flags_problem(settings, given) or _values_problem(settings):
        parser.error(problem)
    return settings.with_absolute_folders() if settings.scheduler else settings


def _flags_problem(settings: Settings, given: Mapping[str, object]) -> str:
    """What is wrong with the set of flags that were given: two tasks, or a flag that the task does not use."""
    chosen = [task for task in ("evaluate", "video", "check", "train") if getattr(settings, task)]
    if chosen == ["video", "check"]:
        chosen = ["video"]  # a check of the footage
    if len(chosen) > 1:
        return f"{TASKS[chosen[0]]} and {TASKS[chosen[1]]} are two tasks; give one of them"
    task = (chosen or ["predict"])[0]
    for f in fields(Settings):
        if f.name in given and given[f.name] is not False and task not in f.metadata["tasks"]:
            owners = " or ".join(TASKS[owner] for owner in f.metadata["tasks"])
            if task == "predict":
                return f"--{f.name} is for {owners}: add that flag, or leave --{f.name} out"
            return f"--{f.name} is for {owners}, not for {TASKS[task]}: leave it out"
    if (settings.evaluate is None) != (settings.ground_truth is None):
        return "--evaluate and --ground_truth go together: two CSV files"
    return ""


def _values_problem(settings: Settings) -> str:
    """What is wrong with the values of flags, taken together."""
    folders = (settings.output_dir, settings.cache_dir, settings.weights_dir, *settings.video)
    for path in map(str, folders):
        if re.search("[\ud800-\udfff]", path):  # as Python reads bytes that are no UTF-8
            return f"{path!a} is no Unicode name; rename the folder or file"
    if settings.runs > 1 and settings.weights_dir:
        return "--runs makes several sets of weights, each in its run's folder: leave --weights_dir out"
    return ""
