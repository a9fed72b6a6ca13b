"""Files from unknown people.

Nothing in them is executed, they cannot make the program read or write other files, and reading them always ends.
"""

from __future__ import annotations

import ast
import importlib.metadata
import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import openpyxl
import pytest

import main
from tests.support.bad_input import Seen, add_weights, make_dataset
from tests.support.quicker import tables_only, without_kernel
from Utils.datasets.workbooks import MAX_TAGS, MAX_UNPACKED
from Utils.errors import InputError
from Utils.networks.files import MAX_BYTES
from Utils.networks.mean import read_network
from Utils.settings import PROJECT
from Utils.softnet import network as softnet

SOURCES = sorted([*PROJECT.glob("*.py"), *PROJECT.glob("Utils/**/*.py")])
IDS = [path.relative_to(PROJECT).as_posix() for path in SOURCES]
# The one exception: Dask's processes send each other units of work as pickles; they are the user's own (SECURITY.md)
PICKLES = {"Utils/work/cluster.py"}
# Asks the git of the user's own machine for a revision; starts the process beside a Dask worker
PROCESSES = {"Utils/work/machine.py", "Utils/work/cluster.py"}
RUNS_CODE = {"eval", "exec", "compile", "__import__"}
UNPICKLES = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "yaml", "jsonpickle"}
LOADS_MODELS = {"load_model", "model_from_json", "model_from_config", "from_config", "deserialize", "read_pickle"}


@cache
def calls(path: Path) -> list[ast.Call]:
    return [node for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Call)]


@cache
def name_of(call: ast.Call) -> str:
    return ast.unparse(call.func)


@cache
def imported(path: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return modules


# The project's own source


@pytest.mark.parametrize("path", SOURCES, ids=IDS)
def test_nothing_unpickles(path):
    found = {module.split(".")[0] for module in imported(path)} & UNPICKLES
    assert not found or (path.relative_to(PROJECT).as_posix() in PICKLES and found == {"pickle"})
    assert "joblib.load" not in imported(path) | set(map(name_of, calls(path)))


@pytest.mark.parametrize("path", SOURCES, ids=IDS)
def test_nothing_runs_code_or_builds_a_model_from_a_file(path):
    names = {name_of(call).rpartition(".")[2] for call in calls(path) if name_of(call) != "re.compile"}
    assert not names & LOADS_MODELS
    assert not {name_of(call) for call in calls(path)} & RUNS_CODE


@pytest.mark.parametrize("path", SOURCES, ids=IDS)
def test_no_shell(path):
    assert not {
        name for name in map(name_of, calls(path)) if re.fullmatch(r"os\.(system|popen|exec\w+|spawn\w+)", name)
    }
    started = [call for call in calls(path) if name_of(call).startswith("subprocess.")]
    assert not started or path.relative_to(PROJECT).as_posix() in PROCESSES
    for call in started:
        assert not [k for k in call.keywords if k.arg == "shell"]
        assert isinstance(call.args[0], ast.List), "a list of words, not a line for a shell"


@pytest.mark.parametrize("path", SOURCES, ids=IDS)
def test_arrays_are_loaded_without_pickle(path):
    for call in calls(path):
        if name_of(call) in ("np.load", "numpy.load", "np.save", "numpy.save"):
            stated = {k.arg: ast.unparse(k.value) for k in call.keywords}
            assert stated.get("allow_pickle") == "False", f"line {call.lineno}"


# Arrays in the cache


class RunsWhenUnpickled:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def malicious_array(path: Path, mark: Path) -> None:
    np.save(path, np.array([RunsWhenUnpickled(mark)], dtype=object), allow_pickle=True)


def test_a_malicious_array_would_run(tmp_path):
    """Otherwise the next test would show nothing."""
    malicious_array(tmp_path / "a.npy", tmp_path / "mark")
    np.load(tmp_path / "a.npy", allow_pickle=True)
    assert (tmp_path / "mark").is_dir()


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """`run()`: the exit code of a run over two small videos in this folder, and what it said."""
    import feature_extraction

    make_dataset(tmp_path)
    add_weights(tmp_path)
    monkeypatch.chdir(tmp_path)
    without_kernel(monkeypatch)
    monkeypatch.setattr(
        feature_extraction, "flow_function", lambda name: lambda a, b: np.zeros((128, 128, 2), np.float32)
    )
    tables_only(monkeypatch)

    def run() -> tuple[int, str]:
        code = main.main(["--dataset_name", "CASME_sq", "--weights_dir", "w", "--workers", "1"])
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run


CACHED = (
    "**/landmarks.npy",
    "**/recognition-*/features.npy",
    "**/features.npy",
    "**/scores-0.npy",
    "**/probabilities-0.npy",
)


@pytest.mark.parametrize("which", CACHED)
def test_a_malicious_array_in_the_cache_is_not_run(which, run, tmp_path):
    assert run()[0] == 0
    found = list((tmp_path / "cache").glob(which))
    assert found
    for path in found:
        malicious_array(path, tmp_path / "mark")
    assert run()[0] == 0, "it is taken for damaged, and made anew"
    assert not (tmp_path / "mark").exists()


# Weights


@pytest.mark.parametrize("load", [softnet.read_network, lambda path: read_network(path, {"spot": 1})])
@pytest.mark.parametrize("kind", ["external", "virtual", "external link", "soft link", "enormous", "one chunk"])
def test_weights_that_name_other_files_or_no_end_are_refused_before_they_are_read(kind, load, tmp_path):
    """It is refused whatever network it is for."""
    path = tmp_path / "s1.weights.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("layers")
        if kind == "external":
            group.create_dataset("a", (8,), "u1", external=[(str(tmp_path / "secret"), 0, 8)])
        elif kind == "virtual":
            layout = h5py.VirtualLayout((8,), "u1")
            layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "a", shape=(8,))
            group.create_virtual_dataset("a", layout)
        elif kind == "external link":
            group["a"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/a")
        elif kind == "soft link":
            group["a"] = h5py.SoftLink("/layers")
        else:
            size = MAX_BYTES + 1 if kind == "enormous" else 1  # the chunk is unpacked whole
            chunk = 1 << 20 if kind == "enormous" else 2 * MAX_BYTES
            group.create_dataset("a", (size,), "u1", chunks=(chunk,), maxshape=(None,), compression="gzip")
    assert path.stat().st_size < 100_000
    with pytest.raises(InputError, match=r"s1\.weights\.h5: layers(/a)? (lies elsewhere|is larger)"):
        load(path)


@pytest.mark.parametrize("name", ["s1.weights.h5", "s1.hdf5"])
def test_an_array_that_a_file_names_a_thousand_times_is_not_read(name, tmp_path, monkeypatch):
    path = tmp_path / name
    with h5py.File(path, "w") as file:
        array = file.create_dataset("a", (1 << 20,), "f4")
        if path.suffix == ".hdf5":
            file.attrs["layer_names"] = ["spot"]
            file.create_group("spot").attrs["weight_names"] = ["/a"] * 1000
        else:
            for group in ("dense", "phased_conv2d", "phased_conv2d_1", "phased_conv2d_2"):
                for i in range(1000):
                    file[f"layers/{group}/vars/{i}"] = array
    read = []
    original = h5py.Dataset.__getitem__
    monkeypatch.setattr(h5py.Dataset, "__getitem__", lambda self, *at: read.append(self.name) or original(self, *at))
    with pytest.raises(InputError) as said:
        softnet.read_network(path)
    assert len(read) <= 1, "only to see whether it is finite"
    assert len(str(said.value)) < 600


def test_keras_is_newer_than_its_advisories_about_code_in_files():
    """Up to 3.11, Keras can run code from a file of a model. This program reads no such files.

    The advisories on 3.12.1 concern weight files. `checked_file` refuses these, and Keras itself reads none.
    """
    assert tuple(map(int, importlib.metadata.version("keras").split(".")[:2])) >= (3, 12)


# Workbooks (the catalogue in test_bad_input.py has the bombs)


def test_workbooks_are_parsed_by_defusedxml():
    from openpyxl.reader import strings
    from openpyxl.worksheet import _reader
    from openpyxl.xml.functions import fromstring, iterparse

    assert openpyxl.DEFUSEDXML is True
    for parse in (fromstring, iterparse, _reader.iterparse, strings.iterparse):
        assert parse.__module__.startswith("defusedxml.")


def test_limits_are_far_above_what_datasets_have():
    """CAS(ME)^2's workbook, the longest of the six, has some 360 rows of 9 cells of 4 tags each."""
    assert MAX_TAGS > 10 * 360 * 9 * 4 and MAX_UNPACKED > 100 * 360 * 9 * 50


# Images

IMAGES = """
import os
assert "cv2" not in __import__("sys").modules
import main, face_crop, cv2, numpy as np
from pathlib import Path
from Utils.errors import InputError
from Utils.faces.images import read_image
assert os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] == str(2**26)
assert read_image(Path("small.png")).shape == (10, 20_000, 3)
try:
    read_image(Path("large.png"))
except InputError as error:
    print(error)
"""


def test_images_beyond_64_megapixels_are_refused_before_they_are_decoded(tmp_path):
    import cv2

    for name, height in (("small.png", 10), ("large.png", 4000)):
        cv2.imwrite(str(tmp_path / name), np.zeros((height, 20_000), np.uint8))
    environment = {k: v for k, v in os.environ.items() if k != "OPENCV_IO_MAX_IMAGE_PIXELS"}
    done = subprocess.run(
        [sys.executable, "-c", IMAGES],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout == "large.png: frame is larger than 64 megapixels; make the frames smaller\n", done.stderr


# Names in files


def test_no_name_in_a_file_is_a_place_to_write_to(run, tmp_path):
    """A workbook's subjects and videos are looked up among the folders; the folders' names are one part of a path."""
    book = openpyxl.load_workbook(tmp_path / "data/CASME_sq/code_final.xlsx")
    rows, subjects, codes = book.worksheets
    for i, name in enumerate(("../../x", "/tmp/x", "..", "C:\\x", "nul\\..\\x"), start=3):
        rows.append([i, f"{name}_1", 3, 5, 8, 4, "negative", "micro-expression"])
        subjects.append([i, f"../../y{i}", i])
        codes.append([name, name])
    book.save(tmp_path / "data/CASME_sq/code_final.xlsx")
    description = {"held_out": {"s1": "s1", "s2": "s2", "../../s3": "../../z"}, "k": 3}
    (tmp_path / "w/CASME_sq/weights.json").write_text(json.dumps(description))
    before = Seen.of(tmp_path)
    outside = sorted(tmp_path.parent.iterdir())
    code, said = run()
    assert code == 0 and "no frames of video ../../x of subject ../../y3" in said, said
    assert sorted(tmp_path.parent.iterdir()) == outside
    assert Seen.of(tmp_path).files == before.files
    assert {p.name for p in tmp_path.iterdir()} == {"data", "w", "runs", "cache"}
    made = [p for p in tmp_path.rglob("*") if p.name.startswith(("x", "y3", "z"))]
    assert not made
