"""Cases of bad input for runs across datasets, and for files of the Grand Challenge."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.support.bad_input import Case, add_video, make_dataset
from tests.support.bad_input_flags import given
from Utils.settings import PROJECT

Spoil = Callable[[Path], Sequence[str]]
HEAD = "subject,video,onset,offset,emotion\n"
ROW = "anna,talk,3,8,sad\n"
BASE = ("--frame_base", "1", "--fps", "30", "--workers", "1")
TRAIN = ("--train_on", "a.csv", "--test_on", "b.csv", *BASE)
LODO = ("--leave_one_dataset_out", *BASE)
BY_WEIGHTS = ("--test_on", "ch", "--dataset_name", "mine", "--weights_dir", "w", "--fps", "30")
CHALLENGE = "vid,onset,offset,type\n"


def table(root: Path, name: str, row: str = ROW, frames: bool = True) -> None:
    """A table with one row, and the folder of its video."""
    (root / name).write_text(HEAD + row)
    subject, video = row.split(",")[:2]
    if frames and not (root / subject / video).exists():
        add_video(root / subject / video)


def make(root: Path) -> None:
    """Two tables of different people, a folder of videos without annotations, and weights of all of DEMO's people."""
    table(root, "a.csv")
    table(root, "b.csv", "bert,chat,3,8,happy\n")
    add_video(root / "ch/x/1", n=11)
    weights(root)


def weights(root: Path) -> Path:
    """Weights `w/mine` that were trained on anna. Returns their folder."""
    folder = root / "w/mine"
    for kind in ("spot", "recog"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        source = PROJECT / f"MEAN_Weights/DEMO/{kind}/all.weights.h5"
        shutil.copyfile(source, folder / kind / "all.weights.h5")
    describe(folder)
    return folder


def describe(folder: Path, **changes: object) -> None:
    """Write `weights.json`, changed."""
    trained = {"a": {"people": "tables", "subjects": ["anna"], "fps": [30], "videos": []}}
    about = {"k": 3, "k_prime": 6, "fps": 30, "classes": ["negative", "positive", "surprise"], "trained_on": trained}
    (folder / "weights.json").write_text(json.dumps(about | changes))


def flags(*words: str, change: Callable[[Path], object] = lambda root: None) -> Spoil:
    """These flags, after a change to the workplace."""

    def spoil(root: Path) -> Sequence[str]:
        make(root)
        change(root)
        return words

    return spoil


def described(**changes: object) -> Callable[[Path], object]:
    return lambda root: describe(root / "w/mine", **changes)


def removed(path: str) -> Callable[[Path], object]:
    def remove(root: Path) -> None:
        shutil.rmtree(root / path) if (root / path).is_dir() else (root / path).unlink()

    return remove


def renamed(old: str, new: str) -> Callable[[Path], object]:
    return lambda root: (root / old).rename(root / new)


def written(name: str, content: bytes | str) -> Callable[[Path], object]:
    data = content if isinstance(content, bytes) else content.encode()
    return lambda root: (root / name).write_bytes(data)


def submitted(content: bytes | str, *more: str, name: str = "s.csv") -> Spoil:
    """--check of a file with this content."""
    return flags("--check", name, *more, change=written(name, content))


def one_per_video(root: Path) -> None:
    make_dataset(root, "SMIC_HS")


LONG = "n" * 81
NAMES = [
    Case("across: unknown dataset", flags("--train_on", "CASME9", *BASE), ("--train_on: 'CASME9' is none of DEMO",)),
    Case("across: unknown test set", flags("--train_on", "a.csv", "--test_on", "nowhere", *BASE),
         ("'nowhere' is none",)),
    Case("across: name in other letters", flags("--train_on", "demo", *BASE), ("'demo' is none of DEMO",)),
    Case("across: an empty name", flags("--train_on", "a.csv,,b.csv", *BASE), ("'' is none of",)),
    Case("across: nothing to train on", flags("--train_on", "", *BASE), ("--train_on: names no dataset",)),
    Case("across: nothing to test on", flags("--test_on", " ", *BY_WEIGHTS[2:]), ("--test_on: names no dataset",)),
    Case("across: a comma at the end", flags("--train_on", "a.csv", "--test_on", "b.csv,", *BASE), ("'' is none of",)),
    Case("across: only a comma", flags("--test_on", ",", *BY_WEIGHTS[2:]), ("--test_on: '' is none of",)),
    Case("across: a dataset twice", flags("--train_on", "a.csv,a.csv", *BASE), ("a is named twice",)),
    Case("across: tested twice", flags("--test_on", "ch,ch", *BY_WEIGHTS[2:]), ("--test_on: ch is named twice",)),
    Case("across: trained on and tested", flags("--train_on", "a.csv,b.csv", "--test_on", "b.csv", *BASE),
         ("b is in --train_on and in --test_on",)),
    Case("across: a folder to train on", flags("--train_on", "ch", *BASE),
         ("'ch' is none of", "no table (.csv, .eaf)")),
    Case("across: table is not there", flags("--train_on", "c.csv", *BASE), ("c.csv", "no such file")),
    Case("across: table is a folder", flags("--train_on", "ch.csv", *BASE, change=renamed("ch", "ch.csv")),
         ("'ch.csv' is none of",)),
    Case("across: a table named as a dataset", flags("--train_on", "CASME2.csv", *BASE,
         change=renamed("a.csv", "CASME2.csv")), ("CASME2 is a dataset of this program", "rename")),
    Case("across: a folder named as a dataset", flags("--test_on", "./DEMO", *BY_WEIGHTS[2:],
         change=renamed("ch", "DEMO")), ("DEMO is a dataset of this program",)),
    Case("across: a table with a long name", flags("--train_on", f"{LONG}.csv", *BASE,
         change=renamed("a.csv", f"{LONG}.csv")), ("more than 60 bytes", "rename it")),
    Case("across: a folder with a long name", flags("--test_on", LONG, *BY_WEIGHTS[2:], change=renamed("ch", LONG)),
         ("more than 60 bytes",)),
    Case("across: a video with a long name", flags(*BY_WEIGHTS, change=lambda root: add_video(
         root / "ch" / "v" / ("w" * 200) / ("u" * 200))), ("ch: v/ww", "rename")),
    Case("across: a line break in a name", flags("--train_on", "a\nb", *BASE), ("a\\nb",)),
    Case("across: --dataset_name of a dataset", flags("--train_on", "a.csv", "--dataset_name", "CASME2", *BASE),
         ("--dataset_name CASME2 is a dataset of this program",)),
    Case("across: --dataset_name is a path", flags("--train_on", "a.csv", "--dataset_name", "../x", *BASE),
         ("--dataset_name '../x'",)),
]  # fmt: skip
DATA = [
    Case("across: an emotion of no class", flags(*TRAIN,
         change=lambda root: table(root, "a.csv", "anna,talk,3,8,awe\n")),
         ("'awe' stands for none of negative, positive, surprise",)),
    Case("across: a table without its videos", flags("--train_on", "a.csv", "--data_root", "ch", *BASE,
         change=removed("anna")), ("no row can be used", "the videos must be in the folder of their table")),
    Case("across: a table in no folder", flags("--train_on", "no/a.csv", *BASE),
         ("no: no such folder; the videos must be",)),
    Case("across: --fps for nothing", flags("--train_on", "DEMO", "--fps", "25"),
         ("--fps is for tables and folders",)),
    Case("across: --fps for nothing that is tested", flags("--test_on", "SMIC_HS", *BY_WEIGHTS[2:]),
         ("--fps is for tables and folders",)),
    Case("across: --frame_base for nothing", flags("--train_on", "DEMO", "--frame_base", "1"),
         ("--frame_base is for tables in --train_on, and for what is tested",)),
    Case("across: videos that have one name in the files", flags(*BY_WEIGHTS, change=lambda root: [
         add_video(root / f"ch/{name}") for name in ("a/b_c", "z/b_c", "a_b/c", "z/c")]),
         ("ch: the videos a/b_c and a_b/c are both a_b_c",)),
    Case("across: no frame base", flags(*TRAIN[:4], "--fps", "30"), ("--frame_base",)),
    Case("across: no frame rate of a table", flags(*TRAIN[:6]), ("anna/talk", "--fps")),
    Case("across: one person in both", flags(*TRAIN, change=lambda root: table(root, "b.csv", "anna,more,3,8,sad\n")),
         ("1 subject(s) of b are in a, too (anna)",)),
    Case("across: one video in both", flags(*TRAIN), ("bert/chat of b is the same video as anna/talk of a",)),
    Case("across: one video in both, left out in turn", flags("--train_on", "a.csv,b.csv", *LODO), ("same video",)),
    Case("across: the data of a dataset are missing", flags("--train_on", "a.csv,CASME_sq", *BASE), ("data: no such",)),
    Case("across: macro-expressions of nobody", flags(*TRAIN, "--expression", "macro"),
         ("training on a: no macro-expressions are annotated",)),
    Case("across: macro-expressions that are not tested", flags("--train_on", "DEMO", "--test_on", "b.csv",
         "--expression", "macro", *BASE), ("b annotates no macro-expressions",)),
    Case("across: short videos with SOFTNet", flags("--train_on", "a.csv", "--test_on", "SMIC_HS", "--method",
         "SOFTNet", *BASE, change=one_per_video), ("SOFTNet is for long videos; leave SMIC_HS out",)),
    Case("across: leave out one of one", flags("--train_on", "a.csv", *LODO), ("needs at least two datasets",)),
    Case("across: an empty folder to test", flags(*BY_WEIGHTS, change=removed("ch/x")),
         ("ch: has neither videos nor",)),
    Case("across: a folder without --fps", flags(*BY_WEIGHTS[:6]), ("ch/x/1", "--fps")),
    Case("across: a damaged video", flags(*BY_WEIGHTS, change=written("ch/a.mp4", "no video")), ("ch/a.mp4",)),
    Case("across: a rate that is none", flags("--test_on", "ch@fast", *BY_WEIGHTS[2:6]), ("'fast' is no frame rate",)),
    Case("across: a rate of 0", flags("--test_on", "ch@0", *BY_WEIGHTS[2:6]), ("'0' is no frame rate",)),
    Case("across: a rate that is too high", flags("--test_on", "ch@1001", *BY_WEIGHTS[2:6]), ("'1001' is no frame",)),
    Case("across: two videos of one name", flags(*BY_WEIGHTS, change=lambda root: [
         add_video(root / f"ch/{name}") for name in ("x/1_2", "x/1/2")]), ("two videos x/1_2",)),
]  # fmt: skip
WEIGHTS = [
    Case("across: no weights", flags(*BY_WEIGHTS, change=removed("w/mine")), ("no weights (all.weights.h5)", "w/mine")),
    Case("across: no weights for macro", flags(*BY_WEIGHTS, "--expression", "macro"), ("no weights", "--train_on")),
    Case("across: weights of one left out", flags(*BY_WEIGHTS, change=lambda root: [
         (root / "w/mine" / kind / "all.weights.h5").rename(root / "w/mine" / kind / "s1.weights.h5")
         for kind in ("spot", "recog")]), ("s1.weights.h5: holds out one subject",)),
    Case("across: weights without a description", flags(*BY_WEIGHTS, change=removed("w/mine/weights.json")),
         ("weights.json: not found",)),
    Case("across: a description that is none", flags(*BY_WEIGHTS, change=written("w/mine/weights.json", "[1]")),
         ("weights.json",)),
    Case("across: weights of other classes", flags(*BY_WEIGHTS, change=described(classes=["happy", "sad", "angry"])),
         ("recognises happy, sad, angry", "train with --train_on")),
    Case("across: weights of the tested person", flags("--test_on", "a.csv", *BY_WEIGHTS[2:6], *BASE),
         ("1 subject(s) of a are in a, too (anna)",)),
    Case("across: weights of people who are not known", flags("--test_on", "SMIC_HS", *BY_WEIGHTS[2:6],
         change=lambda root: [one_per_video(root), describe(root / "w/mine",
                              trained_on={"SMIC_VIS": {"people": "SMIC", "subjects": 7}})]),
         ("were trained on SMIC_VIS, whose people are those of SMIC_HS",)),
    Case("across: damaged weights", flags(*BY_WEIGHTS, change=written("w/mine/spot/all.weights.h5", "no weights")),
         ("all.weights.h5",)),
]  # fmt: skip
ACROSS_FLAGS = [
    Case("across: --test_on without networks", given("--test_on", "ch", "--fps", "30"), ("--test_on needs networks",)),
    Case("across: --seed without training", given(*BY_WEIGHTS, "--seed", "2"), ("--seed is for --train_on",)),
    Case("across: --epochs_spot without training", given(*BY_WEIGHTS, "--epochs_spot", "2"), ("--epochs_spot is for",)),
    Case("across: --train and --train_on", given(*TRAIN, "--train"), ("--train_on or --test_on and --train are two",)),
    Case("across: --video and --test_on", given(*BY_WEIGHTS, "--video", "a.mp4"), ("are two tasks",)),
    Case("across: --check and --train_on", given(*TRAIN, "--check"), ("--check are two tasks",)),
    Case("across: --annotations", given(*TRAIN, "--annotations", "a.csv"), ("--annotations is for",)),
    Case("across: upstream", given(*TRAIN, "--protocol", "upstream"), ("--protocol is for",)),
    Case("across: a method without training", given(*TRAIN, "--method", "flow"), ("flow has nothing to train",)),
    Case("across: leave out and test on", given(*TRAIN, "--leave_one_dataset_out"), ("leave --test_on out",)),
    Case("across: leave out of nothing", given("--leave_one_dataset_out"), ("--leave_one_dataset_out is for",)),
    Case("across: leave out, with a name", given("--train_on", "a.csv,b.csv", "--dataset_name", "x", *LODO),
         ("leave --dataset_name out",)),
    Case("across: --highest_fps alone", given("--highest_fps", "30"), ("--highest_fps is for --train_on or",)),
    Case("across: --highest_fps 0.5", given(*TRAIN, "--highest_fps", "0.5"), ("--highest_fps", "[1, 1000]")),
    Case("across: --highest_fps nan", given(*TRAIN, "--highest_fps", "nan"), ("--highest_fps",)),
    Case("across: --frame_base 2", given(*TRAIN[:4], "--frame_base", "2"), ("--frame_base",)),
    Case("across: --folds", given(*TRAIN, "--folds", "2"), ("--folds is for --train",)),
]  # fmt: skip
SUBMISSIONS = [
    Case("submission: not there", flags("--check", "no.csv"), ("no.csv: cannot be read",)),
    Case("submission: another file", submitted("", name="s.txt"), ("s.txt: is neither .csv nor .json",)),
    Case("submission: empty", submitted(""), ("s.csv: is empty",)),
    Case("submission: no UTF-8", submitted(b"\xff\xfe"), ("s.csv: is not UTF-8 text",)),
    Case("submission: no archive", submitted("x", name="s.zip"), ("s.zip: is not a ZIP archive",)),
    Case("submission: other columns", submitted("a,b\n"), ("s.csv: cannot be submitted", "the columns are a, b"), 2,
         n_lines=0),
    Case("submission: unknown type", submitted(CHALLENGE + "x,1,2,ME\n"), ("line 2, column type: 'ME'",), 2, n_lines=0),
    Case("submission: before the first frame", submitted(CHALLENGE + "x,0,2,me\n", "--frame_base", "1"),
         ("column onset: 0 is before the first frame, 1",), 2, n_lines=0),
    Case("submission: after the last frame", submitted(CHALLENGE + "1,3,12,me\n", "--data_root", "ch"),
         ("column offset: 12 is after the last frame of 1, 10",), 2, n_lines=0),
    Case("submission: unknown video in data", flags("--check", "s.csv", "--data_root", "data",
         change=lambda root: [add_video(root / "data/x/1"), written("s.csv", CHALLENGE + "2,3,9,me\n")(root)]),
         ("there is no video '2'",), 2, n_lines=0),
    Case("submission: unknown video", submitted(CHALLENGE + "2,3,9,me\n", "--data_root", "ch"),
         ("there is no video '2'",), 2, n_lines=0),
    Case("submission: no folder of videos", submitted(CHALLENGE, "--data_root", "nowhere"),
         ("nowhere: no such folder",)),
    Case("submission: nothing is wrong", submitted(CHALLENGE + "1,3,9,me\n", "--data_root", "ch"),
         ("s.csv: can be submitted", "1 rows, 1 videos"), 0),
    Case("submission: and training", submitted(CHALLENGE, "--train"), ("--check FILE and --train are two tasks",)),
]  # fmt: skip
ACROSS_CASES = [*NAMES, *DATA, *WEIGHTS, *ACROSS_FLAGS, *SUBMISSIONS]
