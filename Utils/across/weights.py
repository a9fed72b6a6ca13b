"""Networks that were trained on all subjects of something, to be tested on people whom they have never seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from feature_extraction import VideoFeatures
from Utils.across.people import TABLES, People, people_of, require_different_people
from Utils.across.rates import step_of
from Utils.datasets.table import THREE_CLASSES, WEIGHTS, Dataset, weights_entry
from Utils.errors import InputError
from Utils.methods.table import Method
from Utils.networks.weights import DESCRIPTION
from Utils.own_video.weights import OwnWeights, weights_for_videos
from Utils.records import ALL, MICRO, Video
from Utils.settings import HIGHEST_RATE, LOWEST_RATE
from Utils.work.cache import read_json

# In weights.json: dataset -> {"people", "subjects", "fps", "videos"} (see `People`); and --highest_fps, with --train_on
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
    description = _description(weights_dir, name, method, kind)
    trained = description.get(TRAINED_ON)
    if isinstance(trained, dict):
        return [_people(dataset, about) for dataset, about in trained.items() if isinstance(about, dict)]
    held_out = description.get("held_out")
    groups = held_out.values() if isinstance(held_out, dict) else ()
    subjects = tuple(str(s) for group in groups for s in (group if isinstance(group, list) else [group]))
    people = WEIGHTS[name].people if name in WEIGHTS else TABLES
    return [People(name, people or name, subjects)]


def _description(weights_dir: Path, name: str, method: Method, kind: str) -> dict:
    """What the `weights.json` of weights has; empty if it is no description."""
    description = read_json(method.steps.weights_folder(weights_dir, weights_entry(name), kind) / DESCRIPTION)
    return description if isinstance(description, dict) else {}


def _people(dataset: str, about: dict) -> People:
    """What `weights.json` says about one dataset. Lists that are none count as empty."""
    lists = {key: about[key] if isinstance(about.get(key), list) else [] for key in ("subjects", "videos")}
    subjects, videos = (tuple(map(str, values)) for values in lists.values())
    return People(dataset, str(about.get("people", dataset)), subjects, dict.fromkeys(videos, "a video"))


def require_trained_on_others(weights_dir: Path, name: str, method: Method, kind: str, tested: People) -> None:
    """Raise InputError if the weights were trained on people who are to be tested. It names them."""
    trained = trained_people(weights_dir, name, method, kind)
    require_different_people(trained, tested)
    for people in trained:
        if people.people == tested.people and people.people != TABLES and not people.subjects:
            raise InputError(
                f"the weights {name} were trained on {people.dataset}, whose people are those of {tested.dataset}: "
                "give another dataset to --test_on"
            )


def warning_on_training(weights_dir: Path, name: str, method: Method, kind: str) -> str:
    """What cannot be checked, because `weights.json` does not say on whom weights were trained. "" if it says all."""
    description = _description(weights_dir, name, method, kind)
    trained = description.get(TRAINED_ON)
    entries = list(trained.values()) if isinstance(trained, dict) else []
    known = [isinstance(about, dict) and about.get("videos") and about.get("subjects") for about in entries]
    if known and all(known):
        return ""
    people = trained_people(weights_dir, name, method, kind)
    compared = "only names of subjects are compared" if any(p.subjects for p in people) else "nothing is compared"
    return (
        f"the weights {name} do not say on which videos they were trained, so it cannot be checked whether people who "
        f"are tested are in them ({compared}); train again to be sure"
    )


def remark_on_rate(
    weights_dir: Path, name: str, method: Method, kind: str, highest_fps: float | None, recorded: Iterable[float]
) -> str:
    """A remark if weights were trained with another --highest_fps, and this changes which frames are used. Else "".

    `recorded` are the frame rates of the tested videos, as recorded.
    """
    theirs = _description(weights_dir, name, method, kind).get(HIGHEST_FPS, highest_fps)
    usable = theirs is None or (type(theirs) in (int, float) and LOWEST_RATE <= theirs <= HIGHEST_RATE)
    if not usable or all(step_of(fps, theirs) == step_of(fps, highest_fps) for fps in recorded):
        return ""
    trained, tested = (f"with --highest_fps {v:g}" if v else "without --highest_fps" for v in (theirs, highest_fps))
    return f"the weights {name} were trained {trained} and are tested {tested}; this can make the results worse"


def described_people(dataset: Dataset, videos: Sequence[Video], features: Iterable[VideoFeatures]) -> dict:
    """What `weights.json` says about a training on one dataset: on those of its `videos` that have features.

    `videos` are as recorded. Parts of each are read.
    """
    used = {(f.video.subject, f.video.name) for f in features}
    trained = [v for v in videos if (v.subject, v.name) in used]
    return {TRAINED_ON: _described([people_of(dataset, trained, sorted({v.fps or dataset.fps for v in trained}))])}


def described_training(people: Sequence[People], highest_fps: float | None) -> dict:
    """What `weights.json` says about a training across datasets."""
    return {TRAINED_ON: _described(people), HIGHEST_FPS: highest_fps}


def _described(people: Sequence[People]) -> dict:
    """Dataset -> who was trained on, as `weights.json` has it."""
    return {
        p.dataset: {"people": p.people, "subjects": list(p.subjects), "fps": list(p.fps), "videos": sorted(p.videos)}
        for p in people
    }
