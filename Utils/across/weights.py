"""Networks that were trained on all subjects of something, to be tested on people whom they have never seen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from Utils.across.people import TABLES, People, require_different_people
from Utils.datasets.table import THREE_CLASSES, WEIGHTS, weights_entry
from Utils.errors import InputError
from Utils.methods.table import Method
from Utils.networks.weights import DESCRIPTION
from Utils.own_video.weights import OwnWeights, weights_for_videos
from Utils.records import ALL, MICRO
from Utils.work.cache import read_json

# In weights.json: dataset -> {"people", "subjects", "fps", "videos"} (see `People`), and the --highest_fps of training
TRAINED_ON, HIGHEST_FPS = "trained_on", "highest_fps"


def network_of_all(weights_dir: Path, name: str, method: Method, kind: str) -> OwnWeights:
    """The weights `<weights_dir>/<name>` that were trained on all subjects.

    Raises InputError if there are none, or they recognise other classes than negative, positive and surprise.
    """
    entry = weights_entry(name)
    folder, networks = method.steps.video.find_weights(weights_dir, entry, kind)
    files = [path for w in networks for path in (w.spot, w.joint) if path]
    if not files:
        flags = f" --expression {kind}" if kind != MICRO else ""
        raise InputError(
            f"{folder}: no weights ({ALL}.weights.h5); train with --train_on ...{flags}, or name other weights with "
            "--dataset_name and --weights_dir"
        )
    if any(not path.name.startswith(f"{ALL}.") for path in files):
        raise InputError(
            f"{files[0]}: holds out one subject; --test_on needs networks that were trained on all subjects "
            f"({ALL}.weights.h5), which --train and --train_on make"
        )
    if not (folder / DESCRIPTION).is_file():
        raise InputError(f"{folder / DESCRIPTION}: not found; copy it from where the weights were trained")
    weights = weights_for_videos(weights_dir, entry, None, method.name, kind)
    if method.recognises and weights.classes != THREE_CLASSES:
        raise InputError(
            f"{files[0]}: recognises {', '.join(weights.classes)}, but --test_on compares {', '.join(THREE_CLASSES)}; "
            "train with --train_on"
        )
    return weights


def trained_people(weights_dir: Path, name: str, method: Method, kind: str) -> list[People]:
    """On whom weights were trained, as far as their `weights.json` says."""
    description = read_json(method.steps.weights_folder(weights_dir, weights_entry(name), kind) / DESCRIPTION)
    description = description if isinstance(description, dict) else {}
    trained = description.get(TRAINED_ON)
    if isinstance(trained, dict):
        return [_people(dataset, about) for dataset, about in trained.items() if isinstance(about, dict)]
    held_out = description.get("held_out")
    groups = held_out.values() if isinstance(held_out, dict) else ()
    subjects = tuple(str(s) for group in groups for s in (group if isinstance(group, list) else [group]))
    people = WEIGHTS[name].people if name in WEIGHTS else TABLES
    return [People(name, people or name, subjects)]


def _people(dataset: str, about: dict) -> People:
    """What `weights.json` says about one dataset. Lists that are none count as empty."""
    lists = {key: about[key] if isinstance(about.get(key), list) else [] for key in ("subjects", "videos")}
    subjects, videos = (tuple(map(str, values)) for values in lists.values())
    return People(dataset, str(about.get("people", dataset)), subjects, dict.fromkeys(videos, "a video"))


def require_strangers(weights_dir: Path, name: str, method: Method, kind: str, tested: People) -> None:
    """Raise InputError if the weights were trained on people who are to be tested. It names them."""
    trained = trained_people(weights_dir, name, method, kind)
    require_different_people(trained, tested)
    for people in trained:
        if people.people == tested.people and people.people != TABLES and not people.subjects:
            raise InputError(
                f"the weights {name} were trained on {people.dataset}, whose people are those of {tested.dataset}: "
                "give another dataset to --test_on"
            )


def described_training(people: Sequence[People], highest_fps: float | None) -> dict:
    """What `weights.json` says about the training."""
    trained = {
        p.dataset: {"people": p.people, "subjects": list(p.subjects), "fps": list(p.fps), "videos": sorted(p.videos)}
        for p in people
    }
    return {TRAINED_ON: trained, HIGHEST_FPS: highest_fps}
