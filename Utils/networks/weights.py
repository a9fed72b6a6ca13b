"""Network weights on disk: `<weights_dir>/<dataset>/{spot,recog,spot_recog}/s<N>.weights.h5` and `weights.json`.

N is the 1-based number of the held-out subject. The authors' published files (`s<N>.hdf5`, Keras 2.4) are read too,
layer by layer in the order of creation, into networks built here; nothing in a file is ever run.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from Utils.datasets.table import Dataset
from Utils.errors import InputError
from Utils.work.cache import file_hash, read_json

KINDS = ("spot", "recog", "spot_recog")
ENDINGS = (".weights.h5", ".hdf5")
DESCRIPTION = "weights.json"
MAX_BYTES = 16 * 2**20  # of all arrays of a file; the published ones hold 0.1 MB


@dataclass(frozen=True)
class FoldWeights:
    """The files of one fold.

    `recog` is None if no recognition network was trained. `joint`, a file with both networks, is read instead of the
    two others where it is given; its recognition counts if `recog` is given, or if there are only joint files.
    """

    spot: Path | None
    recog: Path | None
    joint: Path | None = None

    def fingerprint(self) -> list[str]:
        return [file_hash(path) if path else "" for path in (self.spot, self.recog, self.joint)]


def find_weights(weights_dir: Path, dataset: Dataset, number: int, subject: str) -> FoldWeights:
    """The weights of a fold. Raises InputError naming subject and file if the spotting network's are missing.

    The authors' programs read the joint files, so theirs (`.hdf5`) go first here; without a recognition file beside it,
    the recognition part of a joint file is untrained (docs/method.md, section 7).
    """
    folder = weights_dir / dataset.name
    spot, recog, joint = (_first_file(folder / kind, number) for kind in KINDS)
    if spot is None and (joint is None or (folder / "spot").is_dir()):
        expected = folder / "spot" / f"s{number}{ENDINGS[0]}"
        raise InputError(
            f"{expected}: no weights for subject {subject} (fold {number}); train them with --train True, "
            "or name another folder with --weights_dir"
        )
    return FoldWeights(spot, recog, joint if spot is None or (joint and joint.suffix == ".hdf5") else None)


def _first_file(folder: Path, number: int) -> Path | None:
    return next((folder / f"s{number}{e}" for e in ENDINGS if (folder / f"s{number}{e}").is_file()), None)


def number_folds(
    weights_dir: Path, dataset: Dataset, annotated: Sequence[str], others: Sequence[str] = (), protocol: str = "paper"
) -> dict[str, int]:
    """The number N of each subject's files, after comparing `weights.json`, where there is one, with the dataset.

    Without `weights.json` (the authors' weights) N is the subject's position: annotated subjects in natural order, then
    the others.

    Raises
    ------
    InputError
        k or the classes differ; weights of the upstream protocol, whose recognition may have seen the held-out subject,
        under the paper protocol; or, without `weights.json`, another number of subjects than the authors had.
    """
    path = weights_dir / dataset.name / DESCRIPTION
    in_order = {subject: number for number, subject in enumerate([*annotated, *others], start=1)}
    if not path.exists():
        folder = weights_dir / dataset.name / "spot"
        if dataset.published and len(annotated) != dataset.published[0] and list(folder.glob("*.hdf5")):
            raise InputError(
                f"{folder}: these weights are for {dataset.published[0]} subjects and {len(annotated)} are here: "
                "a network might be tested on subjects it was trained on; complete the dataset (see --check True)"
            )
        return in_order
    description = read_json(path)
    if not isinstance(description, dict):
        raise InputError(f"{path}: is not a description of weights; get the file again, or take it away")
    for fact, ours in (("k", dataset.k), ("classes", list(dataset.classes))):
        if fact in description and description[fact] != ours:
            raise InputError(f"{path}: weights are for {fact} = {description[fact]}, {dataset.name} has {ours}")
    if description.get("protocol", protocol) == "upstream" != protocol:
        raise InputError(
            f"{path}: weights were trained under the upstream protocol, whose recognition may have seen the held-out "
            "subject; use --protocol upstream, or train again"
        )
    held_out = description.get("held_out")
    if not isinstance(held_out, dict):
        return in_order
    numbers = {str(subject): int(name[1:]) for name, subject in held_out.items() if re.fullmatch(r"s\d{1,9}", name)}
    absent = max(numbers.values(), default=0)  # numbers beyond have no files, which is said later, by name
    return {subject: numbers.get(subject, absent + number) for subject, number in in_order.items()}


def load_fold(weights: FoldWeights, n_classes: int):
    """Build the networks of a fold and load their weights.

    Returns
    -------
    spotting : keras.Model
    recognition : keras.Model or None

    Raises
    ------
    InputError
        A file that is no weight file, has other shapes (another number of classes), or values that are not finite; a
        recognition file that was not trained on the streams of the spotting file.
    """
    from define_model import joint_network, recognition_network, spotting_network

    spotting = spotting_network()
    if weights.joint is not None:
        recognition = recognition_network(spotting, n_classes)
        load_network(joint_network(spotting, recognition), weights.joint)
        return spotting, recognition if weights.recog or not weights.spot else None
    load_network(spotting, weights.spot)
    if weights.recog is None:
        return spotting, None
    streams = _stream_weights(spotting)
    recognition = recognition_network(spotting, n_classes)
    load_network(recognition, weights.recog)
    if not all(map(np.array_equal, streams, _stream_weights(spotting))):
        raise InputError(f"{weights.recog}: belongs to another spotting network than {weights.spot} (streams differ)")
    return spotting, recognition


def _stream_weights(spotting) -> list[np.ndarray]:
    """The arrays that the two networks share."""
    return [
        array for layer in spotting.layers if layer.name not in ("spot_conv", "spot") for array in layer.get_weights()
    ]


def load_network(network, path: Path) -> None:
    """Load a weight file of either format into a network built here, after checking shapes and values.

    Raises
    ------
    InputError
        Naming the file, and the layer where there is one.
    """
    try:
        with h5py.File(path, "r") as file:
            _require_plain(file, path)
            _require_finite(file, path)
            published = _published_layers(file) if path.suffix == ".hdf5" else None
        if published is None:
            network.load_weights(path)
    except (OSError, KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(
            f"{path}: does not fit the {network.name} network with {network.output_shape[-1]} output(s) ({reason}); "
            "get the file again, or train with --train True"
        ) from None
    if published is not None:
        _set_published(network, published, path)


def _require_plain(file: h5py.File, path: Path) -> None:
    """Raise InputError if reading the file would read another one, or more than the networks can hold.

    HDF5 can name other files in links, virtual datasets and external storage, and gives an array's size before its
    values (known from Keras as CVE-2026-1669 and CVE-2026-0897).
    """
    n_bytes = 0

    def check(name: str, item) -> None:
        nonlocal n_bytes
        if isinstance(item, h5py.Group):
            kinds = (item.get(child, getlink=True) for child in item)
            elsewhere = not all(isinstance(kind, h5py.HardLink) for kind in kinds)
        else:
            elsewhere = isinstance(item, h5py.Dataset) and (item.is_virtual or bool(item.external))
        if elsewhere:
            raise InputError(f"{path}: {name} lies elsewhere or in another file; get weights from a source you trust")
        n_bytes += item.nbytes if isinstance(item, h5py.Dataset) else 0
        if n_bytes > MAX_BYTES:
            raise InputError(f"{path}: {name} is larger than any weights of MEAN; get weights from a source you trust")

    check("/", file)
    file.visititems(check)


def _require_finite(file: h5py.File, path: Path) -> None:
    """Raise InputError if any array of numbers in the file holds NaN or infinity."""

    def check(name: str, item) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind == "f" and not np.isfinite(item[()]).all():
            raise InputError(f"{path}: {name} holds values that are not finite; get the file again")

    file.visititems(check)


# the authors' layers by kind, in order of creation, with our names (streams u, v, eps; then the heads)
PUBLISHED_NAMES = {
    "conv2d": ["u_conv", "v_conv", "strain_conv"],
    "batch_normalization": ["u_norm", "v_norm", "strain_norm"],
}


def _published_layers(file: h5py.File) -> list[tuple[str, list[np.ndarray]]]:
    """(name, arrays) of the layers with weights, in the file's order; a whole-model file keeps them in a group."""
    root = file.get("model_weights", file)
    layers = []
    for name in root.attrs["layer_names"]:
        group = root[_text(name)]
        arrays = [np.asarray(group[_text(w)], np.float32) for w in group.attrs["weight_names"]]
        if arrays:
            layers.append((_text(name), arrays))
    return layers


def _text(name) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _set_published(network, layers: list[tuple[str, list[np.ndarray]]], path: Path) -> None:
    """Give published arrays to a network's layers. The heads' convolutions follow the three of the streams."""
    heads = [layer.name for layer in network.layers if layer.name in ("spot_conv", "recog_conv")]
    names = {kind: list(ours) for kind, ours in PUBLISHED_NAMES.items()}
    names["conv2d"] += sorted(heads, reverse=True)  # spotting's is created first
    values = {}
    for name, arrays in layers:
        waiting = names.get(name.rstrip("0123456789_"), [])
        values[waiting.pop(0) if waiting else name] = arrays
    weighted = [layer for layer in network.layers if layer.weights]
    for layer in weighted:
        found = [v.shape for v in values.get(layer.name, [])]
        needed = [tuple(w.shape) for w in layer.weights]
        if found != needed:
            raise InputError(
                f"{path}: layer {layer.name} needs weights of shapes {needed}, the file has {found or 'none'}"
            )
    for layer in weighted:
        layer.set_weights(values[layer.name])
