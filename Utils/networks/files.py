"""Reads and writes a file of weights, without Keras: files as Keras 3 writes them, and the authors' (.hdf5, Keras 2.4).

A network is a mapping: name of a layer -> its arrays. Nothing in a file is executed, and what is not safe to read is
refused before it is read.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from Utils.errors import InputError, reason_of
from Utils.networks.weights import PUBLISHED_ENDING

MOST_ARRAYS = 10  # of a layer that are looked at; layers have at most 4
MAX_BYTES = 16 * 2**20  # of all arrays in a file; MEAN's published files have 0.1 MB, SOFTNet's 1.3 MB

Layers = Mapping[str, Sequence[np.ndarray]]
Names = Mapping[str, Sequence[str]]  # kind of layer -> our names of these layers, in the order of creation


@dataclass(frozen=True)
class Layout:
    """Where the layers of a method's networks are in files.

    In a file, "conv2d" is the first layer of its kind that the network has, and "conv2d_1" the second.

    Attributes
    ----------
    names : mapping
        In the files of this program, which are those that Keras writes: kind -> our names.
    published : mapping
        The same for the authors' files. Names of layers that the network does not have are skipped. Layers of other
        kinds have our names there.
    """

    names: Names
    published: Names

    def groups(self, here: Collection[str]) -> dict[str, str]:
        """Name of a layer -> the name of its group in a file of a network that has the layers `here`."""
        return {
            name: kind if i == 0 else f"{kind}_{i}"
            for kind, ours in self.names.items()
            for i, name in enumerate(name for name in ours if name in here)
        }


def write_layers(path: Path, layers: Layers, layout: Layout) -> None:
    """Write the layers of a network to a file as Keras would."""
    with h5py.File(path, "w") as file:
        file.create_group("vars")
        for name, group in layout.groups(layers).items():
            variables = file.create_group(f"layers/{group}/vars")
            for i, array in enumerate(layers[name]):
                variables.create_dataset(str(i), data=np.asarray(array, np.float32))


def read_layers(
    path: Path, expected: Mapping[str, Sequence[tuple[int, ...]]], layout: Layout, network: str
) -> dict[str, list[np.ndarray]]:
    """The layers of a network from a file of either format, float32.

    Parameters
    ----------
    path : Path
    expected : mapping
        Name of a layer -> the shapes of its arrays. Other layers in the file are left out.
    layout : Layout
    network : str
        What the network is, for messages: "spotting network with 1 output(s)".

    Raises
    ------
    InputError
        The file cannot be read, is not a weight file of such a network, has values that are not finite, or is not safe
        to read (see `checked_file`).
    """
    try:
        with checked_file(path) as file:
            if path.suffix == PUBLISHED_ENDING:
                there = _by_our_names(_published_layers(file), expected, layout.published)
            else:
                groups = layout.groups(expected)
                there = {layer: _variables(file[f"layers/{group}/vars"]) for layer, group in groups.items()}
            for layer, needed in expected.items():  # first: a file can name an array any number of times
                found = [dataset.shape for dataset in there.get(layer, [])[:MOST_ARRAYS]]
                if found != needed:
                    raise InputError(
                        f"{path}: does not fit the {network}: layer {layer} needs weights of shapes {needed}, the file "
                        f"has {found or 'none'}; get the file again, or train with --train"
                    )
            with np.errstate(over="ignore"):  # what becomes infinite is refused
                arrays = {layer: [np.asarray(d[()], np.float32) for d in there[layer]] for layer in expected}
    except (OSError, KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise InputError(
            f"{path}: does not fit the {network} ({reason_of(error)}); get the file again, or train with --train"
        ) from None
    if not all(np.isfinite(array).all() for of_layer in arrays.values() for array in of_layer):
        raise InputError(f"{path}: has values that are too large for float32; get the file again")
    return arrays


def _variables(variables: h5py.Group) -> list[h5py.Dataset]:
    return [variables[str(i)] for i in range(len(variables))]


@contextmanager
def checked_file(path: Path) -> Iterator[h5py.File]:
    """An open file of weights that is safe to read, and whose values are all finite.

    Raises
    ------
    InputError
        It is not safe, or a value is not finite.
    OSError, RuntimeError
        From h5py, if the file cannot be read.
    """
    with h5py.File(path, "r") as file:
        _require_plain(file, path)
        _require_finite(file, path)
        yield file


def _require_plain(file: h5py.File, path: Path) -> None:
    """Raise InputError if the file would make the program read another file, or far more than the networks hold.

    HDF5 can refer to other files by links, virtual datasets and external storage. It also states the size of an array,
    which can be wrong on purpose. Attacks on Keras of these kinds: CVE-2026-1669 and CVE-2026-0897.
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
        if isinstance(item, h5py.Dataset):
            chunk = math.prod(item.chunks or ()) * item.dtype.itemsize  # it is unpacked whole, however little is read
            n_bytes += max(item.nbytes, chunk)
        if n_bytes > MAX_BYTES:
            raise InputError(
                f"{path}: {name} is larger than any weights of this program; get weights from a source you trust"
            )

    check("/", file)
    file.visititems(check)


def _require_finite(file: h5py.File, path: Path) -> None:
    """Raise InputError if any array in the file has NaN or infinity."""

    def check(name: str, item) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind == "f" and not np.isfinite(item[()]).all():
            raise InputError(f"{path}: {name} has values that are not finite; get the file again")

    file.visititems(check)


def _published_layers(file: h5py.File) -> list[tuple[str, list[h5py.Dataset]]]:
    """(name, arrays) of the layers with weights, in the order of the file."""
    root = file.get("model_weights", file)  # a file of a whole model has the layers in this group
    layers = []
    for name in root.attrs["layer_names"]:
        group = root[_text(name)]
        arrays = [group[_text(w)] for w in group.attrs["weight_names"]]
        if arrays:
            layers.append((_text(name), arrays))
    return layers


def _text(name) -> str:
    """A name in an HDF5 file as str. Depending on the version of HDF5, it is read as bytes."""
    return name.decode() if isinstance(name, bytes) else str(name)


def _by_our_names(
    layers: list[tuple[str, list[h5py.Dataset]]], here: Collection[str], published_names: Names
) -> dict[str, list[h5py.Dataset]]:
    names = {kind: [name for name in ours if name in here] for kind, ours in published_names.items()}
    values = {}
    for name, arrays in layers:
        waiting = names.get(name.rstrip("0123456789_"), [])  # Keras numbers layers: conv2d, conv2d_1, ...
        values[waiting.pop(0) if waiting else name] = arrays
    return values
