"""Cases of flags whose values cannot be used. Those of `--video` are in `bad_input_videos.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tests.support.bad_input import Case


def given(*flags: str) -> Callable[[Path], Sequence[str]]:
    return lambda root: flags


CASME = ("--dataset_name", "CASME_sq", "--train", "True")
VALUES = {
    "dataset_name": ("CASME4", "casme_sq", "../DEMO", ""),
    "train": ("maybe", "2", ""),
    "protocol": ("mine", ""),
    "method": ("softnet", "MDMD", ""),
    "compare": ("MEAN,mine", "", "MEAN,,flow", "MEAN,SOFTNet"),
    "expression": ("both,micro", "Macro", ""),
    "half_length_from": ("mode", "Mean", ""),
    "videos": ("some",),
    "runs": ("0", "-1", "1001", "1.5", "nan"),
    "check": ("maybe",),
    "flow": ("farneback",),
    "epochs_spot": ("0", "-1", "100001", "ten"),
    "epochs_recog": ("0", "1e3"),
    "batch_size": ("0", "65537"),
    "learning_rate": ("0", "-1", "11", "nan", "inf"),
    "p": ("-0.1", "1.1", "nan", "half"),
    "ratio": ("0", "1000001"),
    "validate": ("perhaps",),
    "seed": ("-1", "2147483648", "0x1", "9" * 5000),
    "workers": ("0", "-2", "1025", "all"),
    "scheduler": ("localhost", "tcp://host", "tcp://host:99999", "http://host:80", "tcp://host:80; reboot"),
    "fresh": ("y",),
    "ablate": ("stream", "", "p,,vote", "all,p", "P"),
    "tune": ("nest", "True", ""),
    "folds": ("1", "0", "2.5", "1001", "ten"),  # each needs --train, too
    "spotting": ("paper", "verified"),  # without --video
    "false_alarms": ("1",),
}
FLAGS = [
    Case(f"--{name} {value[:20]!r}", given(f"--{name}", value), (f"--{name}",))
    for name, values in VALUES.items()
    for value in values
]
FLAGS += [
    Case("--data_root is not there", given(*CASME, "--data_root", "nowhere"), ("nowhere: no such", "--data_root")),
    Case("--data_root is empty", given(*CASME, "--data_root", "."), ("rawpic: not found",)),
    Case("--data_root is no folder", given(*CASME, "--data_root", "/dev/null"), ("/dev/null", "--data_root")),
    Case("--data_root is no Unicode", given(*CASME, "--data_root", "a\udcff"), ("a\\udcff", "rename")),
    Case("--output_dir below a file", given(*CASME, "--output_dir", "/dev/null/r"), ("/dev/null/r", "--output_dir")),
    Case("--cache_dir below a file", given(*CASME, "--cache_dir", "/dev/null/c"), ("/dev/null/c", "--cache_dir")),
    Case("--weights_dir below a file", given(*CASME, "--weights_dir", "/dev/null/w"), ("/dev/null/w", "--weights_dir")),
    Case("--data_root with a line break", given(*CASME, "--data_root", "a\nb"), ("a\\nb", "rename")),
    Case("--evaluate with a line break", given("--evaluate", "a\nb", "--ground_truth", "c"), ("a\\nb", "no such file")),
    Case("--evaluate alone", given("--evaluate", "p.csv"), ("--ground_truth",)),
    Case("--agreement of one file", given("--agreement", "a.csv"), ("--agreement compares two files",)),
    Case("--ground_truth alone", given("--ground_truth", "g.csv"), ("--evaluate",)),
    Case(
        "--method for another dataset",
        given("--method", "SOFTNet", "--dataset_name", "SMIC_HS", "--train"),
        ("SOFTNet is for long videos", "CASME_sq"),
    ),
    Case("--compare and --method", given("--compare", "MEAN,flow", "--method", "flow"), ("leave --method out",)),
    Case("--compare and --runs", given("--compare", "MEAN", "--train", "--runs", "2"), ("leave --runs out",)),
    Case("--ratio for SOFTNet", given("--method", "SOFTNet", "--train", "--ratio", "2"), ("--ratio is not",)),
    Case("--train for a method without training", given("--method", "flow", "--train"), ("--train is not for",)),
    Case(
        "--expression that is not annotated",
        given("--dataset_name", "CASME2", "--expression", "macro", "--train"),
        ("CASME II annotates no macro-expressions",),
    ),
    Case("--runs without training", given("--runs", "2"), ("--runs is for --train",)),
    Case("--runs and --weights_dir", given("--train", "True", "--runs", "2", "--weights_dir", "w"), ("--weights_dir",)),
    Case("unknown flag", given("--data_rot", "x"), ("--data_rot",)),
    Case("abbreviated flag", given("--data", "x"), ("--data",)),
    Case("word without a flag", given("CASME_sq"), ("CASME_sq",)),
    Case("flag without a value", given("--seed"), ("--seed",)),
]  # fmt: skip

# Flags that the task does not use, or that contradict each other: (flags, texts that the line must have)
IDLE = [
    (("--agreement", "a.csv", "b.csv", "--train"), ("--agreement and --train are two tasks",)),
    (("--agreement", "a.csv", "b.csv", "--classes", "x"), ("--classes is for --evaluate or", "not for --agreement")),
    (("--video", "a.mp4", "--classes", "3"), ("--classes is for --evaluate or", "not for --video")),
    (("--half_length_from", "mean", "--video", "a.mp4"), ("--half_length_from is for --check or --train", "--video")),
    (("--evaluate", "p.csv", "--ground_truth", "g.csv", "--train"), ("--evaluate and --train are two tasks",)),
    (("--evaluate", "p.csv", "--ground_truth", "g.csv", "--video", "a.mp4"), ("--evaluate and --video",)),
    (("--check", "--train"), ("--check and --train are two tasks",)),
    (("--video", "a.mp4", "--train", "True"), ("--video and --train",)),
    (("--video", "a.mp4", "--check", "--train"), ("are two tasks",)),
    (("--fps", "25"), ("--fps is for --annotations or --video", "leave --fps out")),
    (("--half_length", "0.2"), ("--half_length is for --video",)),
    (("--face", "all"), ("--face is for --video",)),
    (("--face", "largest"), ("--face is for --video",)),  # a flag is refused even if its value is the default
    (("--absolute_threshold", "0.4", "--train"), ("--absolute_threshold is for --video, not for --train",)),
    (("--classes", "a,b"), ("--classes: DEMO (synthetic faces) has one set of classes (negative, ",)),
    (("--classes", "3", "--check"), ("--classes: DEMO (synthetic faces) has one set", "leave --classes out")),
    (("--classes", "4", "--method", "SOFTNet", "--train"), ("--classes is not for --method SOFTNet",)),
    (("--seed", "3"), ("--seed is for --train",)),
    (("--epochs_spot", "3", "--check"), ("--epochs_spot is for --train or --train_on or --test_on, not for --check",)),
    (("--validate",), ("--validate is for --train",)),
    (("--protocol", "upstream", "--video", "a.mp4"), ("--protocol is for --evaluate or --check or --train",)),
    (("--videos", "all", "--video", "a.mp4"), ("--videos is for --check or --train or a run on a dataset",)),
    (("--weights_dir", "w", "--check"), ("--weights_dir is for --video",)),
    (("--p", "0.5", "--video", "a.mp4", "--check"), ("--p is for", "not for --video with --check")),
    (("--flow", "kernel", "--evaluate", "p.csv", "--ground_truth", "g.csv"), ("--flow is for", "not for --evaluate")),
    (("--dataset_name", "DEMO", "--evaluate", "p.csv", "--ground_truth", "g.csv"), ("--dataset_name is for",)),
    (("--fresh", "--check"), ("--fresh is for",)),
    (("--scheduler", "tcp://h:1", "--check"), ("--scheduler is for",)),
    (
        ("--spotting", "paper", "--video", "a.mp4", "--check"),
        ("--spotting is for --video, not for --video with --check",),
    ),
    (("--false_alarms", "2", "--video", "a.mp4", "--check"), ("--false_alarms is for --video, not for",)),
    (("--spotting", "paper", "--train"), ("--spotting is for --video, not for --train",)),
    (("--false_alarms", "2", "--evaluate", "p.csv", "--ground_truth", "g.csv"), ("--false_alarms is for --video",)),
    (("--video", "a.mp4", "--p", "0.5"), ("--p is for --spotting paper: add that flag",)),
    (("--video", "a.mp4", "--p", "0.5", "--dataset_name", "DEMO"), ("--p is for --spotting paper",)),
    (
        ("--video", "a.mp4", "--false_alarms", "2", "--spotting", "paper"),
        ("--false_alarms is not for --spotting paper",),
    ),
    (("--ablate", "streams"), ("--ablate: 'only u' needs networks of its own", "add --train")),
    (("--ablate", "all,p"), ("--ablate: all stands for every ablation", "give it alone")),
    (("--ablate", "p", "--p", "0.6"), ("--p is not for --ablate", "leave it out")),
    (("--ablate", "strain", "--train", "--weights_dir", "w"), ("--weights_dir is not for --ablate with --train",)),
    (("--ablate", "strain", "--train", "--validate"), ("--validate is not for --ablate with --train",)),
    (("--ablate", "p", "--method", "SOFTNet"), ("--ablate is for --method MEAN", "leave --method out")),
    (("--ablate", "p", "--train", "--runs", "2"), ("--ablate is for --runs 1", "leave --runs out")),
    (("--ablate", "p", "--tune", "nested"), ("--ablate runs one kind", "leave --tune")),
    (("--ablate", "p", "--expression", "both"), ("--ablate runs one kind", "--expression both out")),
    (("--ablate", "p", "--protocol", "upstream"), ("--ablate is not for --protocol upstream",)),
    (("--ablate", "p", "--compare", "MEAN,flow"), ("--ablate and --compare are two tasks",)),
    (("--ablate", "p", "--check"), ("--ablate is for --train or a run on a dataset, not for --check",)),
    (("--tune", "nested", "--protocol", "upstream"), ("--tune is not for --protocol upstream",)),
    (("--tune", "nested", "--compare", "MEAN,flow"), ("--tune and --compare are two tasks",)),
    (("--tune", "nested", "--video", "a.mp4"), ("--tune is for --train or a run on a dataset, not for --video",)),
    (("--folds", "2"), ("--folds is for --train",)),
    (("--folds", "2", "--train", "--protocol", "upstream"), ("--folds is not for --protocol upstream",)),
    (("--dataset_name", "SYNTH"), ("--dataset_name SYNTH", "are for --video")),
    (("--dataset_name", "SYNTH", "--train"), ("--dataset_name SYNTH", "are for --video")),
    (("--dataset_name", "SYNTH", "--check"), ("--dataset_name SYNTH", "are for --video")),
]
FLAGS += [Case(" ".join(flags), given(*flags), holds) for flags, holds in IDLE]
