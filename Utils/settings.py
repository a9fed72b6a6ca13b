"""The command line: one typed field per flag, its help beside it."""

from __future__ import annotations

import argparse
import math
import re
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from Utils.work.parallel import cores

PROJECT = Path(__file__).resolve().parents[1]
PROTOCOLS = ("paper", "upstream")
DATASET_NAMES = ("DEMO", "CASME_sq", "SAMMLV", "CASME2", "SMIC_HS", "SMIC_VIS", "SMIC_NIR")


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
):
    """A field of `Settings` that is a flag of the same name; `repeated`: may be given several times, with one or more
    values each, and is a tuple."""
    about = dict(type=parse, metavar=metavar, choices=choices)
    if repeated:
        about |= dict(action="extend", nargs="+")
    return field(default=default, metadata=dict(help=help, argument=about))


@dataclass(frozen=True)
class Settings:
    """Every flag of `main.py`; the defaults are the paper's."""

    dataset_name: str = flag(
        "DEMO", "dataset to run; DEMO is embedded, synthetic, and made on first use", choices=DATASET_NAMES
    )
    train: bool = flag(
        False, "True: train leave-one-subject-out; False: use the weights in --weights_dir", boolean, "True|False"
    )
    protocol: str = flag(
        "paper",
        "how samples and figures are counted: as the paper says, or as the authors' published code does",
        choices=PROTOCOLS,
    )
    videos: str = flag(
        "annotated",
        "videos that take part: those with a micro-expression (the paper), or all, as the Micro-Expression Grand "
        "Challenge has it (false positives in the others count)",
        choices=("annotated", "all"),
    )
    runs: int = flag(
        1, "repeat the training with seeds seed ... seed+N-1 and report mean and spread", number(int, 1, 1000), "N"
    )
    video: tuple[Path, ...] = flag(
        (),
        "instead of a dataset, videos of your own: files, folders of videos, or folders of frame images (with --fps); "
        "the weights are those of --dataset_name",
        Path,
        "PATH",
        repeated=True,
    )
    fps: float | None = flag(None, "frames per second of --video folders of images", number(float, 1, 1000), "RATE")
    face: str = flag(
        "largest", "which faces of a --video are followed: the largest at any time, or all", choices=("largest", "all")
    )
    absolute_threshold: float | None = flag(
        None,
        "score that an expression in a --video must reach besides T, for those who need silence on neutral videos",
        number(float, -100, 100),
        "SCORE",
    )
    half_length: float | None = flag(
        None,
        "k' in seconds for a --video, where the weights do not tell it",
        number(float, 0, 10, open_low=True),
        "SECONDS",
    )
    check: bool = flag(
        False, "True: only read the dataset and report what is there and what is wrong", boolean, "True|False"
    )
    evaluate: Path | None = flag(
        None, "only evaluate this CSV of predictions (columns subject, video, onset, offset, emotion)", Path, "CSV"
    )
    ground_truth: Path | None = flag(None, "the CSV of annotations for --evaluate (the same columns)", Path, "CSV")
    classes: str | None = flag(
        None, "the emotions that --evaluate analyses, separated by commas (default: all of the ground truth)"
    )
    data_root: Path = flag(Path("data"), "folder that holds the datasets' folders", Path, "DIR")
    weights_dir: Path | None = flag(
        None,
        "folder with <dataset>/{spot,recog,spot_recog}/s<N>.weights.h5 (or the authors' .hdf5); with --train True the "
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
    )
    epochs_spot: int = flag(10, "epochs of the spotting network", number(int, 1, 100_000), "N")
    epochs_recog: int = flag(100, "epochs of the recognition network", number(int, 1, 100_000), "N")
    batch_size: int = flag(32, "samples per training step", number(int, 1, 65_536), "N")
    learning_rate: float = flag(5e-4, "learning rate of Adam", number(float, 0, 10, open_low=True), "RATE")
    p: float = flag(0.55, "p of the spotting threshold T = mean + p (max - mean)", number(float, 0, 1), "P")
    ratio: int = flag(5, "non-expression frames kept per expression frame in training", number(int, 1, 1_000_000), "N")
    validate: bool = flag(
        False,
        "True: also record the losses on the held-out subject after every epoch (slower; the weights stay the same)",
        boolean,
        "True|False",
    )
    seed: int = flag(1, "seed of weights, shuffling, dropout and thinning", number(int, 0, 2**31 - 1), "N")
    workers: int = flag(
        cores(), "processes side by side (default: the cores, here %(default)s)", number(int, 1, 1024), "N"
    )
    scheduler: str | None = flag(
        None,
        "Dask scheduler to which videos and folds are sent instead of to processes of this machine; its workers must "
        "see the same folders (needs requirements-cluster.txt)",
        scheduler_address,
        "tcp://HOST:PORT",
    )
    fresh: bool = flag(
        False, "True: compute all anew instead of continuing from finished videos and folds", boolean, "True|False"
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


def parse_settings(argv: list[str] | None = None) -> Settings:
    """Settings from the command line; leaves with exit code 2 and one line if a flag is wrong."""
    parser = _Parser(
        prog="main.py",
        description="MEAN: spots micro-expressions in long face videos, then recognises their emotion.",
        epilog="Without any flag: the embedded DEMO dataset with the weights that come with it.",
        allow_abbrev=False,
    )
    for f in fields(Settings):
        shown = "" if f.default is None or "default:" in f.metadata["help"] else " (default: %(default)s)"
        parser.add_argument(
            f"--{f.name}",
            default=f.default if f.default != () else None,
            help=f.metadata["help"] + shown,
            **f.metadata["argument"],
        )
    given = {name: value for name, value in vars(parser.parse_args(argv)).items() if value is not None}
    settings = Settings(**given | {"video": tuple(given.get("video", ()))})
    if (settings.evaluate is None) != (settings.ground_truth is None):
        parser.error("--evaluate and --ground_truth go together: two CSV files")
    if settings.video and (settings.train or settings.check or settings.evaluate):
        parser.error("--video goes without --train, --check and --evaluate")
    folders = (settings.output_dir, settings.cache_dir, settings.weights_dir, *settings.video)
    for path in map(str, folders):
        if re.search("[\ud800-\udfff]", path):  # as Python reads bytes that are no UTF-8
            parser.error(f"{path!a} is no Unicode name; rename the folder or file")
    if settings.runs > 1 and settings.weights_dir:
        parser.error("--runs makes several sets of weights, each in its run's folder: leave --weights_dir out")
    if settings.runs > 1 and not settings.train:
        parser.error("--runs repeats the training: give --train True with it")
    return settings.with_absolute_folders() if settings.scheduler else settings
