"""The command line: one typed field for each flag, with its help and the tasks that it belongs to."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from Utils import __version__
from Utils.errors import InputError
from Utils.flags import (
    DATASETS,
    EVALUATION,
    FOLDERS,
    GROUPS,
    MACHINE,
    TASKS,
    TRAINING,
    VIDEOS,
    boolean,
    flag,
    number,
    scheduler_address,
)
from Utils.records import PROTOCOLS

PROJECT = Path(__file__).resolve().parents[1]

RUN = ("train", "predict")
SECOND_LOOK, PAPER_RULE = "verified", "paper"  # values of --spotting
FOR_VIDEOS = "SYNTH"  # weights that --video takes by default, and that are for nothing else

# Limits of flags. Most are far above every sensible value, and only catch typing errors.
MAX_RUNS = 1000
LOWEST_RATE, HIGHEST_RATE = 1, 1000  # frames per second; of video files, too
FALSE_ALARMS = (0.01, 60)  # a minute
MAX_SCORE = 100  # spotting scores are about 0 to 1
MAX_HALF_LENGTH = 10  # seconds; micro-expressions take less than one
MAX_EPOCHS = 100_000
MAX_BATCH = 65_536
MAX_LEARNING_RATE = 10
MAX_RATIO = 1_000_000
MAX_SEED = 2**31 - 1  # NumPy takes seeds below 2**32, and --runs counts on from this one
MAX_WORKERS = 1024


EXAMPLES = """\
examples:
  main.py                                        run DEMO with the weights that come with it
  main.py --video interview.mp4                  analyse a video of your own; the report is in runs/interview
  main.py --dataset_name CASME_sq --data_root /data --train
                                                 train and evaluate on a dataset, leave-one-subject-out
"""


@dataclass(frozen=True)
class Settings:
    """The values of all flags of `main.py`. The defaults are the paper's."""

    dataset_name: str = flag(
        DATASETS,
        "DEMO",
        "dataset to use; DEMO is part of the program: synthetic faces, generated on first use; with --video, the "
        "weights to use (default there: SYNTH, which was trained for videos)",
        tasks=("video", "footage", "check", *RUN),
    )
    train: bool = flag(
        TRAINING,
        False,
        "train leave-one-subject-out; without this flag, the weights in --weights_dir are used",
        boolean,
        "True|False",
        tasks=("train",),
    )
    protocol: str = flag(
        DATASETS,
        "paper",
        "which one is followed where they differ: the paper, or the authors' published code (upstream)",
        choices=PROTOCOLS,
        tasks=("evaluate", "check", *RUN),
    )
    videos: str = flag(
        DATASETS,
        "annotated",
        "videos that take part: those with a micro-expression (as in the paper), or all (as in the Micro-Expression "
        "Grand Challenge; in the others, every prediction is a false positive)",
        choices=("annotated", "all"),
        tasks=("check", *RUN),
    )
    runs: int = flag(
        TRAINING,
        1,
        "train N times, with the seeds seed ... seed+N-1, and report mean and standard deviation",
        number(int, 1, MAX_RUNS),
        "N",
        tasks=("train",),
    )
    video: tuple[Path, ...] = flag(
        VIDEOS,
        (),
        "analyse your own videos instead of a dataset: files, folders of videos, or folders of frame images (with "
        "--fps); the weights are those of --dataset_name",
        Path,
        "PATH",
        repeated=True,
        tasks=("video", "footage"),
    )
    fps: float | None = flag(
        VIDEOS,
        None,
        "frames per second of the folders of images in --video",
        number(float, LOWEST_RATE, HIGHEST_RATE),
        "RATE",
        tasks=("video", "footage"),
    )
    face: str = flag(
        VIDEOS,
        "largest",
        "which faces in a --video are followed: at any time only the largest one, or all",
        choices=("largest", "all"),
        tasks=("video", "footage"),
    )
    spotting: str = flag(
        VIDEOS,
        SECOND_LOOK,
        "how expressions in a --video are chosen: by a second look at every candidate, which measures how far the face "
        "moves (verified), or by the paper's threshold on the networks' score alone (paper)",
        choices=(SECOND_LOOK, PAPER_RULE),
        tasks=("video",),
    )
    false_alarms: float = flag(
        VIDEOS,
        1.0,
        "false alarms that you accept in a minute of a video without micro-expressions; fewer also means that more "
        "micro-expressions are missed",
        number(float, *FALSE_ALARMS),
        "N",
        tasks=("video",),
    )
    absolute_threshold: float | None = flag(
        VIDEOS,
        None,
        "score of the networks that an expression in a --video must reach in addition",
        number(float, -MAX_SCORE, MAX_SCORE),
        "SCORE",
        tasks=("video",),
    )
    half_length: float | None = flag(
        VIDEOS,
        None,
        "k' in seconds: half of the mean length of a micro-expression, over which scores are smoothed; needed if the "
        "weights come without it, and replaces theirs",
        number(float, 0, MAX_HALF_LENGTH, open_low=True),
        "SECONDS",
        tasks=("video", "footage"),
    )
    check: bool = flag(
        DATASETS,
        False,
        "only read the dataset, or the videos of --video, and report what is there and what is wrong",
        boolean,
        "True|False",
        tasks=("check", "footage"),
    )
    evaluate: Path | None = flag(
        EVALUATION,
        None,
        "only evaluate this table of predictions: a CSV file (columns subject, video, onset, offset, emotion), such as "
        "predictions.csv, expressions.csv or reviewed.csv, or an ELAN file (.eaf) that this program wrote",
        Path,
        "FILE",
        tasks=("evaluate",),
    )
    ground_truth: Path | None = flag(
        EVALUATION,
        None,
        "table of annotations for --evaluate (the same kinds of file)",
        Path,
        "FILE",
        tasks=("evaluate",),
    )
    classes: str | None = flag(
        EVALUATION,
        None,
        "emotions that --evaluate analyses, separated by commas (default: all that the ground truth has)",
        tasks=("evaluate",),
    )
    agreement: tuple[Path, ...] = flag(
        EVALUATION,
        (),
        "compare the tables of two coders (the same kinds of file): Cohen's kappa on emotion, F1 and mean IoU of the "
        "intervals, differences of onset and offset",
        Path,
        "FILE",
        repeated=True,
        tasks=("agreement",),
    )
    data_root: Path = flag(FOLDERS, Path("data"), "folder that contains the folders of the datasets", Path, "DIR")
    weights_dir: Path | None = flag(
        FOLDERS,
        None,
        "folder from which weights are read: <dataset>/{spot,recog,spot_recog}/s<N>.weights.h5, or the authors' .hdf5 "
        "files (default: MEAN_Weights); with --train, the new weights are copied there (default: they are only in the "
        "folder of the run)",
        Path,
        "DIR",
        tasks=("video", "footage", *RUN),
    )
    output_dir: Path = flag(FOLDERS, Path("runs"), "folder in which every run makes its own folder", Path, "DIR")
    cache_dir: Path = flag(
        FOLDERS,
        Path("cache"),
        "folder for features, finished folds and scores of videos, so that runs can be continued",
        Path,
        "DIR",
    )
    flow: str = flag(
        MACHINE,
        "kernel",
        "TV-L1 optical flow: this project's kernel (the same result on every machine), or the installed OpenCV's",
        choices=("kernel", "opencv"),
        tasks=("video", *RUN),
    )
    epochs_spot: int = flag(
        TRAINING, 10, "epochs of the spotting network", number(int, 1, MAX_EPOCHS), "N", tasks=("train",)
    )
    epochs_recog: int = flag(
        TRAINING, 100, "epochs of the recognition network", number(int, 1, MAX_EPOCHS), "N", tasks=("train",)
    )
    batch_size: int = flag(TRAINING, 32, "samples in a training step", number(int, 1, MAX_BATCH), "N", tasks=("train",))
    learning_rate: float = flag(
        TRAINING,
        5e-4,
        "learning rate of Adam",
        number(float, 0, MAX_LEARNING_RATE, open_low=True),
        "RATE",
        tasks=("train",),
    )
    p: float = flag(
        DATASETS,
        0.55,
        "p of the spotting threshold T = mean + p (max - mean)",
        number(float, 0, 1),
        "P",
        tasks=("video", *RUN),
    )
    ratio: int = flag(
        TRAINING,
        5,
        "non-expression frames that are kept for each expression frame in training",
        number(int, 1, MAX_RATIO),
        "N",
        tasks=("train",),
    )
    validate: bool = flag(
        TRAINING,
        False,
        "also record the losses on the held-out subject after every epoch (slower; the weights are the same)",
        boolean,
        "True|False",
        tasks=("train",),
    )
    seed: int = flag(
        TRAINING,
        1,
        "seed of the random numbers: initial weights, shuffling, dropout, and which non-expression frames are kept",
        number(int, 0, MAX_SEED),
        "N",
        tasks=("train",),
    )
    workers: int | None = flag(
        MACHINE,
        None,
        "processes that work at the same time (default: as many as this machine has cores)",
        number(int, 1, MAX_WORKERS),
        "N",
    )
    scheduler: str | None = flag(
        MACHINE,
        None,
        "address of a Dask scheduler; videos and folds are computed by its workers instead of by processes of this "
        "machine; they must see the same folders (needs requirements-cluster.txt)",
        scheduler_address,
        "tcp://HOST:PORT",
        tasks=("video", *RUN),
    )
    fresh: bool = flag(
        MACHINE,
        False,
        "compute everything again instead of using finished videos and folds; of a video, the results of the same "
        "settings are replaced, and no others",
        boolean,
        "True|False",
        tasks=("video", *RUN),
    )

    @property
    def mode(self) -> str:
        """How the networks are made, as the names of runs show it."""
        return "train" if self.train else "pretrained"

    @property
    def weights_source(self) -> Path:
        """The folder from which weights are read."""
        return self.weights_dir or PROJECT / "MEAN_Weights"

    def with_absolute_folders(self) -> Settings:
        """These settings with absolute paths, so that a process in another working folder finds the same files."""
        names = ("data_root", "weights_dir", "output_dir", "cache_dir")
        folders = {name: folder.absolute() for name in names if (folder := getattr(self, name))}
        return replace(self, **folders, video=tuple(path.absolute() for path in self.video))

    def as_json(self) -> dict:
        """Every flag's name -> its value, with paths as text."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in ("video", "agreement"):
            values[name] = [str(path) for path in values[name]]
        return {name: str(v) if isinstance(v, Path) else v for name, v in values.items()}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        """Print one line instead of the whole usage, and exit with code 2."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def parse_settings(argv: list[str] | None = None, datasets: Sequence[str] = ()) -> Settings:
    """Settings from the command line.

    Parameters
    ----------
    argv : list of str, optional
        The flags. By default those of this process.
    datasets : sequence of str
        The names that --dataset_name accepts. If there are none, it accepts every name.

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
            about["choices"] = (*datasets, FOR_VIDEOS)
        groups[f.metadata["group"]].add_argument(f"--{f.name}", default=argparse.SUPPRESS, help=text, **about)
    given = vars(parser.parse_args(argv))
    if given.get("video"):
        given.setdefault("dataset_name", FOR_VIDEOS)
    settings = Settings(**given | {name: tuple(given.get(name, ())) for name in ("video", "agreement")})
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
    if chosen == ["video", "check"]:
        chosen = ["footage"]
    if len(chosen) > 1:
        return f"{TASKS[chosen[0]]} and {TASKS[chosen[1]]} are two tasks; give one of them"
    task = (chosen or ["predict"])[0]
    for f in fields(Settings):
        if f.name in given and given[f.name] is not False and task not in f.metadata["tasks"]:
            owners = " or ".join(TASKS[owner] for owner in f.metadata["tasks"] if owner != "footage")
            if task == "predict":
                return f"--{f.name} is for {owners}: add that flag, or leave --{f.name} out"
            return f"--{f.name} is for {owners}, not for {TASKS[task]}: leave it out"
    if settings.dataset_name == FOR_VIDEOS and task not in ("video", "footage"):
        return f"--dataset_name {FOR_VIDEOS}: these weights are for --video, there is no such dataset to run on"
    if task == "video" and "p" in given and settings.spotting != PAPER_RULE:
        return f"--p is for --spotting {PAPER_RULE}: add that flag, or leave --p out"
    if "false_alarms" in given and settings.spotting == PAPER_RULE:
        return f"--false_alarms is not for --spotting {PAPER_RULE}: leave it out"
    if (settings.evaluate is None) != (settings.ground_truth is None):
        return "--evaluate and --ground_truth go together: two files"
    if settings.agreement and len(settings.agreement) != 2:
        return f"--agreement compares two files; give two, not {len(settings.agreement)}"
    return ""


def _values_problem(settings: Settings) -> str:
    """What is wrong with the values of the flags; "" if nothing is. Single values are checked when they are parsed."""
    folders = (settings.output_dir, settings.cache_dir, settings.weights_dir, *settings.video)
    for path in map(str, folders):
        if re.search("[\ud800-\udfff]", path):  # Python reads bytes that are not UTF-8 as surrogates
            return f"{path!a} is not valid Unicode; rename the folder or file"
    if settings.runs > 1 and settings.weights_dir:
        return "--runs gives several sets of weights, each in the folder of its run: leave --weights_dir out"
    return ""
