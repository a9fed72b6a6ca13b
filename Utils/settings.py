"""The flags of `main.py`: one typed field for each, with its help and the tasks that it belongs to."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path

from Utils.flags import (
    DATASETS,
    EVALUATION,
    FOLDERS,
    MACHINE,
    TRAINING,
    VIDEOS,
    boolean,
    boolean_or_file,
    dataset_names,
    flag,
    number,
    scheduler_address,
)
from Utils.records import KINDS, MICRO, PROTOCOLS

REPEATED = ("video", "annotations", "agreement")  # flags that take several paths
PROJECT = Path(__file__).resolve().parents[1]

RUN = ("train", "predict")
ACROSS = "across"  # --train_on, --test_on
MEAN = "MEAN"  # value of --method
UNTRAINED = ("flow", "displacement")  # values of --method that have nothing to train
BOTH = "both"  # value of --expression
NO_TUNING, NESTED = "none", "nested"  # values of --tune
MEAN_LENGTH, MEDIAN_LENGTH = "mean", "median"  # values of --half_length_from
SECOND_LOOK, PAPER_RULE = "verified", "paper"  # values of --spotting
FOR_VIDEOS = "SYNTH"  # weights that --video takes by default, and that are for nothing else

# Limits of flags. Most are far above every sensible value, and only catch typing errors.
MAX_RUNS = 1000
MAX_FOLDS = 1000
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


@dataclass(frozen=True)
class Settings:
    """The values of all flags of `main.py`. The defaults are the paper's."""

    dataset_name: str = flag(
        DATASETS,
        "DEMO",
        "dataset to use; DEMO is part of the program: synthetic faces, generated on first use; with --video, the "
        "weights to use (default there: SYNTH, which was trained for videos)",
        metavar="NAME",
        tasks=("video", "footage", "check", *RUN, ACROSS),
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
    method: str = flag(
        DATASETS,
        MEAN,
        "MEAN; or SOFTNet, which spots only and needs weights of its own (--train, or --weights_dir); or one of two "
        "without training: flow (SOFTNet's pipeline without its network) and displacement (how far the face moves)",
        tasks=("video", "check", *RUN, ACROSS),
    )
    annotations: tuple[Path, ...] = flag(
        DATASETS,
        (),
        "use a dataset of your own, which these tables describe: CSV files (columns subject, video, onset, offset, and "
        "where known apex, emotion, kind, path, fps; or onset_s, offset_s in seconds), reviewed.csv of your own "
        "videos, or ELAN files; the videos are in --data_root (default: beside the first table); --dataset_name gives "
        "it a name",
        Path,
        "FILE",
        repeated=True,
        tasks=("check", *RUN),
    )
    frame_base: int | None = flag(
        DATASETS,
        None,
        "number of a video's first frame, 0 or 1: in the tables of --annotations, where it is needed if they do not "
        "say, and in files for the Grand Challenge (there 0 if it is not given)",
        number(int, 0, 1),
        "0|1",
        tasks=("check", "submission", *RUN, ACROSS),
    )
    folds: int | None = flag(
        TRAINING,
        None,
        "train N folds, each of which holds out several subjects, instead of leave-one-subject-out",
        number(int, 2, MAX_FOLDS),
        "N",
        tasks=("train",),
    )
    train_on: str | None = flag(
        DATASETS,
        None,
        "train one set of networks on all subjects of several datasets: names of datasets, or tables of --annotations "
        "(.csv, .eaf), separated by commas; emotions become negative, positive or surprise",
        dataset_names,
        metavar="DATASET,...",
        tasks=(ACROSS,),
    )
    test_on: str | None = flag(
        DATASETS,
        None,
        "test on datasets that the networks were not trained on, or spot in a folder of videos without annotations "
        "(FOLDER, or FOLDER@RATE with the frame rate of its images); the networks are those of --train_on, or those of "
        "--dataset_name in --weights_dir",
        dataset_names,
        metavar="DATASET,...",
        tasks=(ACROSS,),
    )
    leave_one_dataset_out: bool = flag(
        DATASETS,
        False,
        "test each dataset of --train_on with networks that were trained on the others, and pool the counts",
        boolean,
        "True|False",
        tasks=(ACROSS,),
    )
    highest_fps: float | None = flag(
        DATASETS,
        None,
        "use only every n-th frame of faster datasets in --train_on and --test_on, so that no rate is higher than this",
        number(float, LOWEST_RATE, HIGHEST_RATE),
        "RATE",
        tasks=(ACROSS,),
    )
    ablate: str | None = flag(
        DATASETS,
        None,
        "run MEAN and variants without one of its parts, or with other values, and print their figures side by side: "
        "transfer, streams, strain, p, gap, vote, several of these separated by commas, or all; p and vote also work "
        "with given weights, the others need --train",
        metavar="NAME,...",
        tasks=RUN,
    )
    tune: str = flag(
        DATASETS,
        NO_TUNING,
        "choose p, the width of the smoothing and that of the intervals for each subject, on the held-out scores of "
        "the other subjects (nested); none: the paper's fixed values",
        choices=(NO_TUNING, NESTED),
        tasks=RUN,
    )
    compare: str | None = flag(
        DATASETS,
        None,
        "run several methods, separated by commas, and print their figures side by side, with 95 %% intervals over the "
        "subjects; those that can be trained are, if --train is given",
        metavar="METHOD,...",
        tasks=RUN,
    )
    expression: str = flag(
        DATASETS,
        MICRO,
        "kind of the expressions: micro, macro, or both one after the other; the last two for datasets that annotate "
        "macro-expressions (CASME_sq, SAMMLV, CASME3, DEMO, and tables with a column kind)",
        choices=(*KINDS, BOTH),
        tasks=("video", "check", *RUN, ACROSS),
    )
    half_length_from: str | None = flag(
        DATASETS,
        None,
        "average of the expressions' lengths (offset - onset) from which k' is made: k' = int((average + 1) / 2) "
        "(default: mean; CASME3: median, because very long expressions there distort the mean)",
        choices=(MEAN_LENGTH, MEDIAN_LENGTH),
        tasks=("check", *RUN, ACROSS),
    )
    videos: str = flag(
        DATASETS,
        "annotated",
        "videos that take part: those with an expression of that kind (as in the paper), or all (as in the "
        "Micro-Expression Grand Challenge; in the others, every prediction is a false positive)",
        choices=("annotated", "all"),
        tasks=("check", *RUN, ACROSS),
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
        "frames per second of the folders of images in --video, or of those in --annotations without a rate there",
        number(float, LOWEST_RATE, HIGHEST_RATE),
        "RATE",
        tasks=("video", "footage", "check", *RUN, ACROSS),
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
    check: bool | Path = flag(
        DATASETS,
        False,
        "only read the dataset, or the videos of --video, and report what is there and what is wrong; with a FILE "
        "(.csv, .json, .zip), check whether it can be submitted to the Grand Challenge, with --data_root also whether "
        "it fits the videos there",
        boolean_or_file,
        "True|False|FILE",
        tasks=("check", "footage", "submission"),
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
        "table of annotations for --evaluate and --against (the same kinds of file)",
        Path,
        "FILE",
        tasks=("evaluate",),
    )
    against: Path | None = flag(
        EVALUATION,
        None,
        "a second table of predictions (the same kinds of file): print how far --evaluate is better or worse than it, "
        "with 95 %% intervals over the subjects, and whether that is more than chance",
        Path,
        "FILE",
        tasks=("evaluate",),
    )
    classes: str | None = flag(
        EVALUATION,
        None,
        "emotions that --evaluate analyses, separated by commas (default: all that the ground truth has); in a run on "
        "a dataset with a choice of classes (CASME3), how many are recognised: 3, 4 or 7 (default: 3)",
        tasks=("evaluate", "check", *RUN),
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
    data_root: Path | None = flag(  # None: with --check FILE, if it is not given
        FOLDERS, Path("data"), "folder that contains the folders of the datasets", Path, "DIR"
    )
    weights_dir: Path | None = flag(
        FOLDERS,
        None,
        "folder from which weights are read: <dataset>/{spot,recog,spot_recog}/s<N>.weights.h5, or the authors' .hdf5 "
        "files (default: MEAN_Weights); with --train, the new weights are copied there (default: they are only in the "
        "folder of the run)",
        Path,
        "DIR",
        tasks=("video", "footage", *RUN, ACROSS),
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
        tasks=("video", *RUN, ACROSS),
    )
    epochs_spot: int = flag(
        TRAINING, 10, "epochs of the spotting network", number(int, 1, MAX_EPOCHS), "N", tasks=("train", ACROSS)
    )
    epochs_recog: int = flag(
        TRAINING, 100, "epochs of the recognition network", number(int, 1, MAX_EPOCHS), "N", tasks=("train", ACROSS)
    )
    batch_size: int = flag(
        TRAINING,
        32,
        "samples in a training step (default: 32; SOFTNet: 12)",
        number(int, 1, MAX_BATCH),
        "N",
        tasks=("train", ACROSS),
    )
    learning_rate: float = flag(
        TRAINING,
        5e-4,
        "learning rate of Adam",
        number(float, 0, MAX_LEARNING_RATE, open_low=True),
        "RATE",
        tasks=("train", ACROSS),
    )
    p: float = flag(
        DATASETS,
        0.55,
        "p of the spotting threshold T = mean + p (max - mean)",
        number(float, 0, 1),
        "P",
        tasks=("video", *RUN, ACROSS),
    )
    ratio: int = flag(
        TRAINING,
        5,
        "non-expression frames that are kept for each expression frame in training",
        number(int, 1, MAX_RATIO),
        "N",
        tasks=("train", ACROSS),
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
        tasks=("train", ACROSS),
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
        tasks=("video", *RUN, ACROSS),
    )
    fresh: bool = flag(
        MACHINE,
        False,
        "compute everything again instead of using finished videos and folds; of a video, the results of the same "
        "settings are replaced, and no others",
        boolean,
        "True|False",
        tasks=("video", *RUN, ACROSS),
    )

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of expressions, in the order in which they are worked on."""
        return KINDS if self.expression == BOTH else (self.expression,)

    @property
    def mode(self) -> str:
        """How the networks are made, as the names of runs show it."""
        if self.method in UNTRAINED:
            return "untrained"
        return "train" if self.train else "pretrained"

    @property
    def weights_source(self) -> Path:
        """The folder from which weights are read."""
        return self.weights_dir or PROJECT / "MEAN_Weights"

    def with_absolute_folders(self) -> Settings:
        """These settings with absolute paths, so that a process in another working folder finds the same files."""
        names = ("data_root", "weights_dir", "output_dir", "cache_dir")
        folders = {name: folder.absolute() for name in names if (folder := getattr(self, name))}
        lists = {name: tuple(path.absolute() for path in getattr(self, name)) for name in ("video", "annotations")}
        return replace(self, **folders, **lists)

    def as_json(self) -> dict:
        """Every flag's name -> its value, with paths as text."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in REPEATED:
            values[name] = [str(path) for path in values[name]]
        return {name: str(v) if isinstance(v, Path) else v for name, v in values.items()}
