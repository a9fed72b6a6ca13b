"""Networks that were trained on all subjects of something, to be tested on people whom they have never seen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from Utils.across.datasets import People, require_different_people
from Utils.datasets.table import DATASETS, THREE_CLASSES, weights_entry
from Utils.errors import InputError
from Utils.methods.table import Method
from Utils.networks.weights import DESCRIPTION
from Utils.own_video.weights import OwnWeights, weights_for_videos
from Utils.records import ALL
from Utils.work.cache import read_json

TRAINED_ON = "trained_on"  # in weights.json: dataset -> {"people", "subjects"}


def network_of_all(weights_dir: Path, name: str, method: Method, kind: str) -> OwnWeights:
    """The weights `<weights_dir>/<name>` that were trained on all subjects.

    Raises InputError if there are none, or they recognise other classes than negative, positive and surprise.
    """
    weights = weights_for_videos(weights_dir, weights_entry(name), None, method.name, kind)
    files = [path for w in weights.networks for path in (w.spot, w.joint) if path]
    if any(not path.name.startswith(f"{ALL}.") for path in files):
        raise InputError(
            f"{files[0]}: holds out one subject; --test_on needs networks that were trained on all subjects "
            f"({ALL}.weights.h5), which --train and --train_on make"
        )
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
        return [
            People(dataset, str(about.get("people", dataset)), tuple(map(str, about.get("subjects", ()))), frozenset())
            for dataset, about in trained.items()
            if isinstance(about, dict)
        ]
    held_out = description.get("held_out")
    groups = held_out.values() if isinstance(held_out, dict) else ()
    subjects = tuple(str(s) for group in groups for s in (group if isinstance(group, list) else [group]))
    people = DATASETS[name].people if name in DATASETS else ""
    return [People(name, people or name, subjects, frozenset())]


def require_strangers(weights_dir: Path, name: str, method: Method, kind: str, tested: People) -> None:
    """Raise InputError if the weights were trained on people who are to be tested. It names them."""
    trained = trained_people(weights_dir, name, method, kind)
    require_different_people(trained, tested)
    for people in trained:
        if people.people == tested.people and not people.subjects:
            raise InputError(
                f"the weights {name} were trained on {people.dataset}, whose people are those of {tested.dataset}: "
                "give another dataset to --test_on"
            )


def described_people(people: Mapping | list[People]) -> dict:
    """What `weights.json` says about them: see `TRAINED_ON`."""
    return {p.dataset: {"people": p.people, "subjects": list(p.subjects)} for p in people}
