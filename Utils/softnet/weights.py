"""SOFTNet's weights on disk: `<weights_dir>/<dataset>/<micro|macro>-expression/s<N>.weights.h5`.

The authors' files have the same names with the ending `.hdf5`. N is the number of the held-out subject, from 1. A
`weights.json` in that folder, or else in the dataset's folder, says which subject each file holds out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from Utils.datasets.table import Dataset
from Utils.errors import InputError
from Utils.networks.weights import (
    DESCRIPTION,
    ENDINGS,
    FILE_NAME,
    PUBLISHED_ENDING,
    FoldWeights,
    names_for_videos,
    numbers_described,
    numbers_in_order,
    weights_for_all,
)
from Utils.settings import PROJECT
from Utils.work.cache import read_json

# Subjects for whom the authors have published weights (docs/softnet.md, section 6)
PUBLISHED_SUBJECTS = {
    ("CASME_sq", "micro"): 14, ("CASME_sq", "macro"): 20, ("SAMMLV", "micro"): 29, ("SAMMLV", "macro"): 29,
}  # fmt: skip


def weights_folder(weights_dir: Path, dataset: Dataset, kind: str) -> Path:
    """The folder of the weights that were trained on a kind of expressions, "micro" or "macro"."""
    return weights_dir / dataset.name / f"{kind}-expression"


def weights_for_videos(weights_dir: Path, dataset: Dataset, kind: str) -> tuple[Path, tuple[FoldWeights, ...]]:
    """The folder, and the network that was trained on all subjects, or else all leave-one-subject-out networks."""
    folder = weights_folder(weights_dir, dataset, kind)
    ending = ending_of(folder)
    names = names_for_videos(folder.glob(f"*{ending}"))
    return folder, tuple(FoldWeights(spot=folder / f"{name}{ending}", recog=None) for name in names)


def ending_of(folder: Path) -> str:
    """The ending of the files that are used from a folder: those of this program, if there are any."""
    return next((ending for ending in ENDINGS if any(folder.glob(f"s*{ending}"))), ENDINGS[0])


def find_weights(
    weights_dir: Path,
    dataset: Dataset,
    annotated: Sequence[str],
    others: Sequence[str],
    protocol: str,
    kind: str,
) -> tuple[list[FoldWeights], list[str], list[str]]:
    """The given weights for the fold of every subject. Parameters and values: see `weights.weights_of_subjects`.

    Raises
    ------
    InputError
        There are no weights for an annotated subject. `weights.json` is no description, or the weights were trained
        under the upstream protocol and `protocol` is "paper". Or there are published weights without `weights.json`,
        and not as many subjects as the authors had.
    """
    folder = weights_folder(weights_dir, dataset, kind)
    ending = ending_of(folder)
    in_order = numbers_in_order(annotated, others)
    numbers = _described_numbers(folder, kind, protocol, in_order)
    if numbers is None:
        known = PUBLISHED_SUBJECTS.get((dataset.name, kind))
        if ending == PUBLISHED_ENDING and known not in (None, len(annotated)):
            raise InputError(
                f"{folder}: these weights are for {known} subjects and {len(annotated)} are here: a network might be "
                "tested on subjects it was trained on; complete the dataset (see --check)"
            )
        numbers = in_order

    if weights_dir == PROJECT / "MEAN_Weights":
        raise InputError(
            "SOFTNet has no weights of its own here; train it with --train, or name a folder of weights with "
            "--weights_dir"
        )

    def find(subject: str) -> FoldWeights:
        path = folder / f"s{numbers[subject]}{ending}"
        if not path.is_file():
            raise InputError(
                f"{path}: no weights for subject {subject} (fold {numbers[subject]}); train them with --train, "
                "or name another folder with --weights_dir"
            )
        return FoldWeights(spot=path, recog=None)

    return weights_for_all(annotated, others, find)


def _described_numbers(folder: Path, kind: str, protocol: str, in_order: Mapping[str, int]) -> dict[str, int] | None:
    """Subject -> the number of its file, by the first `weights.json` that says so. None if none does.

    The one in the dataset's folder can have one map for both kinds, or one for each. MEAN's own description can be in
    the same place; it has classes, and says nothing about SOFTNet's files.
    """
    for path in (folder / DESCRIPTION, folder.parent / DESCRIPTION):
        if not path.exists():
            continue
        description = read_json(path)
        if not isinstance(description, dict):
            raise InputError(f"{path}: is not a description of weights; get the file again, or remove it")
        if "classes" in description:
            continue
        if description.get("protocol", protocol) == "upstream" != protocol:
            raise InputError(
                f"{path}: weights were trained under the upstream protocol; use --protocol upstream, or train again"
            )
        held_out = description.get("held_out")
        if isinstance(held_out, dict):
            held_out = held_out[kind] if isinstance(held_out.get(kind), dict) else held_out
            if any(re.fullmatch(FILE_NAME, name) for name in held_out):
                return numbers_described(held_out, folder.glob("s*"), in_order)
    return None
