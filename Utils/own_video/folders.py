"""Which folder a video's results are in, whether they are finished, and whether they may be replaced.

The first results of a video are in `<output_dir>/<video>`. Results of other settings, weights or versions, or of
another video of this name, get a folder of their own, named after what differs: `<video>, p 0.7`. So nothing that is
finished is replaced, unless the user asks for it with --fresh. The same settings find their folder again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from Utils.errors import InputError
from Utils.own_video.footage import are_findings
from Utils.own_video.jobs import VideoJob, made_from, require_name
from Utils.settings import Settings
from Utils.work.cache import LONGEST_NAME, file_hash, key_of, read_json

DONE = "settings.json"  # written last: a folder that has it is finished
MEASURED = ("n_frames", "n_faces", "seconds", "seconds_scored", "took")  # numbers of `DONE` that the index shows
OF_WEIGHTS = ("dataset_name", "half_length", "method", "expression")  # flags that choose weights and k'

# What differs from the first results, if it is no flag: in the names of folders, and as the first ones are called
OTHERWISE = {
    "video": ("other video", "the earlier video"),
    "weights": ("other weights", "the earlier weights"),
    "verifier": ("other verifier", "the earlier verifier"),
    "program": ("other versions", "the earlier versions"),
}


def placed(jobs: Sequence[VideoJob]) -> list[VideoJob]:
    """The jobs, each with the folder that its results are in already, or else will be put into.

    A job whose video cannot be accessed, or has a name that cannot be shown, is not changed: `run_video` reports it.
    """
    taken = {job.folder.name.lower() for job in jobs}  # no other video's results are put there
    listed = {parent: _names_in(parent) for parent in {job.folder.parent for job in jobs}}
    found = []
    for job in jobs:
        try:
            found.append(_placed(job, listed[job.folder.parent], taken))
        except InputError:
            found.append(job)
        taken.add(found[-1].folder.name.lower())
    return found


def _names_in(folder: Path) -> list[str]:
    """The names in a folder, sorted; none if it does not exist or cannot be read."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _placed(job: VideoJob, names: Sequence[str], taken: set[str]) -> VideoJob:
    require_name(job)
    first = read_json(job.folder / DONE)
    origin = made_from(job)
    beside = (name for name in names if name.startswith((f"{job.name}, ", f"{job.name}-")))
    of_program = {
        folder: done
        for folder in (job.folder, *(job.folder.parent / name for name in beside))
        if written(done := read_json(folder / DONE))
    }
    key, settings = key_of(**origin), _without_program(origin)
    chosen = next((folder for folder, done in of_program.items() if done["key"] == key), None)
    replaces = ""
    if chosen is None and job.fresh:
        same = (folder for folder, done in of_program.items() if _without_program(done.get("made_from")) == settings)
        chosen = next(same, None)
        replaces = "" if chosen is None else of_program[chosen]["key"]
    if job.folder not in of_program:  # there is nothing yet, or nothing of this program: then `run_video` reports it
        return replace(job, folder=chosen or job.folder, replaces=replaces)
    now, then = _differences(job, origin, first)
    chosen = chosen or _free_folder(job, now, taken)
    if chosen == job.folder:
        return replace(job, replaces=replaces)
    note = f"results for {now} are in {chosen}; those for {then} stay in {job.folder}"
    return replace(job, folder=chosen, replaces=replaces, note=note)


def _without_program(origin: object) -> dict | None:
    """`made_from` of a job without the versions. None if this is no such thing: users may have changed it."""
    return {**origin, "program": None} if isinstance(origin, dict) else None


def _differences(job: VideoJob, origin: dict, first: dict) -> tuple[str, str]:
    """In words, what these results are made from and the first ones are not, and the other way round.

    `origin` is `made_from(job)`, `first` the `settings.json` of the first results.
    """
    flags, before = first.get("flags"), first.get("made_from")
    if not isinstance(before, dict):  # results of an earlier version have flags only
        before = {**origin, "settings": flags, "program": None}
    pairs = _differing_flags(origin["settings"], before.get("settings"))
    for part, words in OTHERWISE.items():
        by_another_rule = part == "verifier" and None in (origin[part], before.get(part))
        if origin[part] != before.get(part) and not by_another_rule:
            chosen = {name: job.about.get("flags", {}).get(name) for name in OF_WEIGHTS}
            named = _differing_flags(chosen, flags) if part == "weights" and isinstance(flags, dict) else []
            pairs += named or [words]
    now, then = zip(*pairs, strict=True) if pairs else ((), ())
    return ", ".join(now), ", ".join(filter(None, then))


def _differing_flags(now: dict, before: object) -> list[tuple[str, str]]:
    """(words, words of before) for each flag that differs.

    A flag that the rule of before does not have counts as its default, and is "" in the words of before.
    """
    before = before if isinstance(before, dict) else {}
    pairs = []
    for name, value in now.items():
        if value != before.get(name, getattr(Settings, name, None)):
            pairs.append((_in_words(name, value), _in_words(name, before[name]) if name in before else ""))
    return pairs


def _in_words(name: str, value: object) -> str:
    """A flag and its value, so that it can be a part of a folder's name."""
    if value is None:
        return f"no {name}"
    return f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"


def _free_folder(job: VideoJob, difference: str, taken: set[str]) -> Path:
    """A folder for results that differ from the first ones: a name that nothing else has."""
    wanted = f"{job.name}, {difference}"
    if len(os.fsencode(wanted)) > LONGEST_NAME - len("-999"):
        wanted = job.name
    name, again = wanted, 1
    while name.lower() in taken or os.path.lexists(job.folder.parent / name):
        again += 1
        name = f"{wanted}-{again}"
    return job.folder.parent / name


def finished(folder: Path, key: str) -> dict | None:
    """The content of `settings.json`. None if the results have another key, or if files are missing."""
    done = read_json(folder / DONE)
    if not isinstance(done, dict) or done.get("key") != key:
        return None
    if not all(isinstance(done.get(name), int | float) for name in MEASURED):
        return None
    kinds = done.get("set_aside")
    if not isinstance(kinds, dict) or not all(isinstance(n, int) for n in kinds.values()):
        return None
    if not isinstance(done.get("remarks"), list) or not all(isinstance(remark, str) for remark in done["remarks"]):
        return None
    if not are_findings(done.get("footage")):
        return None
    return done if all((folder / name).is_file() for name in written(done)) else None


def written(done: object) -> dict[str, str]:
    """File names -> SHA-256 of the results that this program wrote. `done` is the content of a `settings.json`.

    Empty if that file was not made by this program.
    """
    files = done.get("files") if isinstance(done, dict) and "key" in done else None
    return files if isinstance(files, dict) else {}


def require_replaceable(job: VideoJob, key: str) -> None:
    """Raise InputError if results with this key may not be put into the job's folder.

    This is so if it has anything that this program did not write, or that was changed since, or other results that are
    not to be replaced. It is asked before the work, and again after it: both can have happened in the meantime.
    """
    folder = job.folder
    if not folder.is_dir() or folder.is_symlink():
        if os.path.lexists(folder):
            raise InputError(
                f"{folder}: exists and is not a folder of results; choose another --output_dir, or remove it"
            )
        return
    done = read_json(folder / DONE)
    files = written(done)
    for path in sorted(folder.iterdir()):
        if not files:
            raise InputError(
                f"{folder}: exists and was not made by this program; choose another --output_dir, or move it away"
            )
        if path.name != DONE and not (path.is_file() and files.get(path.name) == file_hash(path)):
            raise InputError(
                f"{path}: was changed or added after the folder was written, and would be lost; choose another "
                "--output_dir, or move the folder away"
            )
    if files and done["key"] not in (key, job.replaces):
        raise InputError(f"{folder}: another run has just put other results there; give the same command again")
