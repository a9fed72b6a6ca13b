"""The rooms of the code and the direction of their imports (CONTRIBUTING.md), read from the syntax trees."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.support.order import BROWSER, KERAS, LONGEST
from tests.support.paths import PROJECT, TESTS

# Top to bottom: a place imports only places in a level below its own, or, without circles, in its own level.
STEPS = ("load_images", "load_excel", "face_crop", "feature_extraction", "prepare_training", "train_evaluate")
GROUND = ("define_model", "training_utils")  # steps that any step may import, and that import none
LEVELS = (
    {"main"},
    {"Utils.across"},
    {"Utils.untrained", "Utils.study"},
    {"Utils.dataset_run", "Utils.own_video", "Utils.synth_run"},
    {"Utils.ablation", "Utils.tuning"},
    {"Utils.softnet"},
    {"Utils.methods"},
    {*STEPS, *GROUND},
    {"Utils.report", "Utils.networks", "Utils.evaluation", "Utils.synthetic"},
    {"Utils.datasets", "Utils.faces", "Utils.tvl1", "Utils.engine", "Utils.work"},
    {"Utils.records", "Utils.errors", "Utils.flags", "Utils.settings", "Utils.parsing", "Utils.screen", "Utils"},
)
MODULES = {
    ".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (*PROJECT.glob("*.py"), *PROJECT.glob("Utils/**/*.py"))
}


def place_of(module: str) -> str:
    """The room, or the module itself where it is in none: "Utils.work.cache" is in "Utils.work"."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "Utils" else parts[0]


def level_of(module: str) -> int:
    return next(i for i, places in enumerate(LEVELS) if place_of(module) in places)


def imports_of(tree: ast.AST) -> set[tuple[str, str]]:
    """(module of this project, name that is taken from it or "") of all imports, also those inside functions."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {(alias.name, "") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add((whole, "") if whole in MODULES else (node.module, alias.name))
    return {(module, name) for module, name in found if module in MODULES}


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


@cache
def imports() -> dict[str, set[tuple[str, str]]]:
    """The imports of all modules."""
    return {module: imports_of(tree_of(module)) for module in MODULES}


def wrong_directions(imports: dict[str, set[tuple[str, str]]]) -> list[str]:
    """Imports against the direction of the rooms."""
    wrong = []
    for module, taken in imports.items():
        for other in {other for other, _ in taken}:
            upwards = level_of(other) < level_of(module)
            if other in STEPS + GROUND and module in STEPS + GROUND:
                in_order = module in STEPS and other in STEPS and STEPS.index(other) < STEPS.index(module)
                upwards = (not in_order and other not in GROUND) or module in GROUND
            if upwards:
                wrong.append(f"{module} imports {other}")
    return sorted(wrong)


def circle(imports: dict[str, set[tuple[str, str]]]) -> list[str]:
    """Modules that import one another in a circle, in its order; empty if there is none."""
    done: set[str] = set()

    def walk(module: str, path: list[str]) -> list[str]:
        if module in path:
            return path[path.index(module) :]
        if module in done:
            return []
        for other in sorted({other for other, _ in imports[module]}):
            if found := walk(other, [*path, module]):
                return found
        done.add(module)
        return []

    return next((found for module in sorted(imports) if (found := walk(module, []))), [])


def private_names(module: str, tree: ast.AST) -> list[str]:
    """Names with a leading underscore that a module takes from another file of the project."""
    found = [f"{module} imports {other}.{name}" for other, name in imports_of(tree) if is_private(name)]
    aliases = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                whole = alias.name if isinstance(node, ast.Import) else f"{node.module}.{alias.name}"
                if whole in MODULES:
                    aliases[alias.asname or alias.name] = whole
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr) and ast.unparse(node.value) in aliases:
            found.append(f"{module} uses {ast.unparse(node)}")
    return found


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def test_every_module_has_a_level():
    assert [module for module in MODULES if not any(place_of(module) in places for places in LEVELS)] == []


def test_imports_go_downwards():
    assert wrong_directions(imports()) == []


def test_there_is_no_circle():
    assert circle(imports()) == []


def test_rooms_do_not_import_in_a_circle_either():
    """Two rooms of one level, of which each has a module that imports one of the other."""
    rooms: dict[str, set[tuple[str, str]]] = {}
    for module, taken in imports().items():
        others = {(place_of(other), "") for other, _ in taken if place_of(other) != place_of(module)}
        rooms.setdefault(place_of(module), set()).update(others)
    assert circle(rooms) == []


def test_no_test_module_imports_another():
    """Nor does a script in a string: what tests share stands in tests/support."""
    for path in TESTS.rglob("*.py"):
        found = re.findall(r"(?:from|import) (tests[.\w]*\.test_\w+)", path.read_text(encoding="utf-8"))
        assert not found, f"{path.relative_to(PROJECT)}: {', '.join(found)}"


def test_the_files_that_have_a_place_in_the_order_of_tests_exist():
    assert [name for name in (*KERAS, *BROWSER, *LONGEST) if not (TESTS / name).is_file()] == []


@pytest.mark.parametrize("module", sorted(MODULES))
def test_private_names_stay_in_their_file(module):
    assert private_names(module, tree_of(module)) == []


def first_of_keras(tree: ast.Module) -> list[str]:
    """The modules that a module loads at its top, in order, up to the first of Keras or TensorFlow."""
    names = []
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            found = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            names += [name for name in found if name]
    of_keras = [i for i, name in enumerate(names) if name.split(".")[0] in ("keras", "tensorflow")]
    return names[: of_keras[0] + 1] if of_keras else []


def test_tensorflow_is_set_up_before_it_is_loaded():
    """Otherwise its arithmetic is that of the processor (oneDNN), and results differ between processes."""
    loads_it = {module: names for module in MODULES if (names := first_of_keras(tree_of(module)))}
    assert "define_model" in loads_it
    for module, names in loads_it.items():
        room = module.startswith("Utils.networks.")  # whose __init__ loads the set-up
        assert room or "Utils.networks.backend" in names, module


def test_every_room_says_what_it_is_for():
    rooms = list(PROJECT.glob("Utils/*/__init__.py"))
    assert len(rooms) == 19
    for path in rooms:
        assert len((ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split()) >= 10, path


@pytest.mark.parametrize(
    ("module", "line", "wrong"),
    [
        ("Utils.evaluation.metrics", "from prepare_training import thin", True),
        ("Utils.evaluation.metrics", "def f():\n    from main import run", True),
        ("Utils.work.cluster", "from Utils.networks.backend import seed_keras", True),
        ("Utils.records", "import Utils.work.cache", True),
        ("load_images", "from face_crop import crop_videos", True),
        ("training_utils", "import define_model", True),
        ("define_model", "from training_utils import thin", True),
        ("face_crop", "from load_images import read_crop", False),
        ("load_images", "from training_utils import thin", False),
        ("Utils.own_video.run", "import feature_extraction", False),
        ("Utils.synth_run.clips", "from Utils.own_video.scoring import gray_crop", False),
        ("Utils.synthetic.synth", "from Utils.synth_run.clips import pair_step", True),
        ("Utils.report.pages", "from Utils.evaluation import tables", False),
    ],
)
def test_these_tests_see_what_they_look_for(module, line, wrong):
    assert bool(wrong_directions({module: imports_of(ast.parse(line))})) == wrong


def test_a_circle_is_seen():
    imports = {"a": {("b", "x")}, "b": {("c", "")}, "c": {("a", "y")}, "d": {("a", "")}}
    assert sorted(circle(imports)) == ["a", "b", "c"]
    assert circle(imports | {"c": set()}) == []
    tree = ast.parse("from Utils.work import cache\nfrom Utils.errors import shown\ncache._machine()\nshown._x")
    assert private_names("main", tree) == ["main uses cache._machine"]


def test_paths_are_those_of_this_project():
    assert MODULES["main"] == PROJECT / "main.py" and Path(MODULES["Utils.work"]).name == "__init__.py"
