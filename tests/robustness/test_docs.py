"""The pages, README.md to docs/*.md: links, flags, paths and commands lead somewhere, and the version is one.

Pages are read as GitHub shows them: what stands in code is no link, and a heading's anchor is made by GitHub's rule.
"""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.support.paths import PROJECT, TESTS
from Utils import __version__
from Utils.datasets.table import DATASETS
from Utils.parsing import parse_settings
from Utils.settings import Settings

PAGES = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md")])
each_page = pytest.mark.parametrize("page", PAGES, ids=[p.relative_to(PROJECT).as_posix() for p in PAGES])

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
FLAG = re.compile(r"(?<![\w-])--[a-z]\w*(?:-\w+)*")
EXITS = {"--help", "--version"}  # they print and leave with exit code 0

# Names on the pages that belong to other programs
OTHER_PROGRAMS = {
    "pip": {"--no-deps", "--require-hashes", "--target"},
    "pip-compile": {"--allow-unsafe", "--generate-hashes", "--strip-extras"},
    "dask": {"--nthreads", "--nworkers", "--port"},
}
CODE_ROOMS = ("docs/", "tests/", "Utils/", ".ci/")
FILES_AT_THE_TOP = re.compile(r"[\w-]+\.(py|md|toml|lock|cff)|requirements[\w-]*\.txt")
PLACEHOLDER = re.compile(r"[<>{}]|\.\.\.")


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> list[str]:
    """The lines of a page's fenced blocks in a language, without comments."""
    lines = [line for found, block in FENCE.findall(read(page)) if found == language for line in block.splitlines()]
    return [stripped for line in lines if (stripped := re.sub(r"(^|\s)#.*", "", line).strip())]


def spans(page: Path) -> list[str]:
    """The text between single backticks."""
    return SPAN.findall(FENCE.sub("", read(page)))


def words(page: Path) -> Iterator[str]:
    """The words of a page's code: spans and commands."""
    for code in (*spans(page), *blocks(page, "bash")):
        yield from (word.rstrip(",;:") for word in code.split())


# Links


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings: small letters, digits, `_`, `-`, blanks as `-`; a number if repeated."""
    found: set[str] = set()
    repeated: Counter[str] = Counter()
    for heading in HEADING.findall(FENCE.sub("", read(page))):
        text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)|`|\*", r"\1", heading).lower()
        slug = "".join(c for c in text if c in "- _" or unicodedata.category(c)[0] in "LM" or c.isdecimal())
        slug = slug.replace(" ", "-")
        found.add(slug if not repeated[slug] else f"{slug}-{repeated[slug]}")
        repeated[slug] += 1
    return found


@each_page
def test_links_lead_to_files_and_headings(page):
    for target in LINK.findall(SPAN.sub("", FENCE.sub("", read(page)))):
        if re.match(r"[a-z]+:", target):
            continue  # another site
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), f"{page.name}: {target}"
        assert file.resolve().is_relative_to(PROJECT), f"{page.name}: {target} lies outside of the repository"
        assert not anchor or anchor in anchors(file), f"{page.name}: {target}: no such heading in {file.name}"


def test_every_page_is_reached_from_the_readme():
    linked = {Path(t.partition("#")[0]) for t in LINK.findall(read(PROJECT / "README.md")) if ".md" in t}
    assert {page.relative_to(PROJECT) for page in PAGES} == linked | {Path("README.md")}


# Flags and commands


def flags_of_other_commands() -> set[str]:
    """Flags of `python -m tests.fuzz`, `tests.benchmarks...` and `Utils.synth_run`, as their sources name them."""
    sources = [*TESTS.glob("fuzz/*.py"), *TESTS.glob("benchmarks/*.py"), *PROJECT.glob("Utils/*/__main__.py")]
    return {flag for source in sources for flag in re.findall(r'"(--[a-z]\w*)"', read(source))}


@each_page
def test_every_flag_exists(page):
    known = {f"--{field.name}" for field in fields(Settings)} | EXITS | flags_of_other_commands()
    known |= set().union(*OTHER_PROGRAMS.values())
    assert set(FLAG.findall(read(page))) <= known


def test_flags_of_other_programs_are_needed():
    named = {flag for page in PAGES for flag in FLAG.findall(read(page))}
    assert set().union(*OTHER_PROGRAMS.values()) <= named


def main_commands(page: Path) -> list[str]:
    """Arguments of main.py in the page's commands, and in README's table of results."""
    found = [part.strip() for line in blocks(page, "bash") for part in re.split(r"&&|;", line)]
    if page.name == "README.md":
        found += [f"python {span}" for span in spans(page) if span.startswith("main.py")]
    matches = [re.fullmatch(r"(?:\.venv/bin/)?python main\.py\b(.*)", command) for command in found]
    return [match[1] for match in matches if match]


def test_the_readme_has_commands():
    assert len(main_commands(PROJECT / "README.md")) > 10


@each_page
def test_every_command_is_accepted(page, capsys):
    for arguments in map(shlex.split, main_commands(page)):
        try:
            parse_settings(arguments)
        except SystemExit as stop:
            assert stop.code == 0 and EXITS & set(arguments), f"{page.name}: {capsys.readouterr().err}"


def test_the_readme_has_the_command_of_ci():
    assert read(PROJECT / ".ci/run").splitlines()[-1] in read(PROJECT / "README.md").splitlines()


# Paths and modules


def looks_like_ours(word: str) -> bool:
    """A path from the top of the repository, without placeholders."""
    return not PLACEHOLDER.search(word) and (word.startswith(CODE_ROOMS) or bool(FILES_AT_THE_TOP.fullmatch(word)))


def names_of_tests(file: Path) -> list[str]:
    return re.findall(r"^def (test_\w+)", read(file), re.MULTILINE)


@each_page
def test_paths_and_the_tests_in_them_exist(page):
    for word in words(page):
        path, _, test = word.partition("::")
        if looks_like_ours(path):
            file = PROJECT / path
            assert file.exists(), f"{page.name}: {word}"
            assert not test or any(fnmatch(name, test) for name in names_of_tests(file)), f"{page.name}: {word}"


@each_page
def test_names_of_tests_exist(page):
    names = {name for file in TESTS.rglob("test_*.py") for name in names_of_tests(file)}
    for span in spans(page):
        if re.fullmatch(r"test_\w+\*?", span):
            assert any(fnmatch(name, span) for name in names), f"{page.name}: {span}"


@each_page
def test_modules_exist(page):
    """`python -m tests.fuzz` and `python -m Utils.a` are files or folders that run.

    `Utils.a` is a room, and `Utils.a.b.name` is in its file.
    """
    for word in words(page):
        if re.fullmatch(r"tests(\.\w+)+", word):
            path = PROJECT / word.replace(".", "/")
            assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), f"{page.name}: {word}"
        elif re.fullmatch(r"Utils(\.\w+)+", word):
            room = PROJECT / word.replace(".", "/")
            if (room / "__main__.py").is_file() or (room / "__init__.py").is_file():
                continue
            module, _, name = word.rpartition(".")
            file = (PROJECT / module.replace(".", "/")).with_suffix(".py")
            assert file.is_file() and re.search(rf"\b(def|class) {name}\b|^{name}\b", read(file), re.MULTILINE), word


def test_the_page_of_datasets_names_every_place():
    text = read(PROJECT / "docs/datasets.md")
    for name in ("DEMO", "CASME_sq", "SAMMLV", "CASME2", "CASME3", "SMIC_HS"):  # VIS and NIR differ by these letters
        dataset = DATASETS[name]
        books = [patterns[0] for patterns in dataset.workbooks.values()]
        for place in (*dataset.raw_dirs, dataset.crop_dir, *books):
            assert place in text, f"{name}: {place}"


# The version


def test_one_version():
    cited = re.findall(r'^version: "?([^"\n]+)"?$', read(PROJECT / "CITATION.cff"), re.MULTILINE)
    changed = re.findall(r"^## (\S+)", read(PROJECT / "CHANGELOG.md"), re.MULTILINE)
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)
    assert (cited, changed[0]) == ([__version__], __version__)
