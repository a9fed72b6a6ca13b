"""Weight files: those that this program writes, those in the authors' format, and files that cannot be used."""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from Utils.datasets.table import DATASETS
from Utils.engine import RECOG, SPOT, shapes_of
from Utils.errors import InputError
from Utils.networks.mean import MeanNetwork, predict_all, read_fold, read_network
from Utils.networks.weights import FoldWeights, find_weights, fold_files, number_folds, remarks_on_weights
from Utils.work.cache import write_json

DEMO = DATASETS["DEMO"]
PUBLISHED = {  # names as Keras 2.4 gives them in the middle of a session, in the order of its files
    "conv2d_9": "u_conv",
    "conv2d_10": "v_conv",
    "conv2d_11": "strain_conv",
    "batch_normalization": "u_norm",
    "batch_normalization_1": "v_norm",
    "batch_normalization_2": "strain_norm",
    "conv2d_12": "spot_conv",
    "conv2d_13": "recog_conv",
    "spot": "spot",
    "recog": "recog",
}
VARIABLES = {2: ("kernel:0", "bias:0"), 4: ("gamma:0", "beta:0", "moving_mean:0", "moving_variance:0")}


def features(n: int = 4) -> np.ndarray:
    return np.random.default_rng(3).random((n, 42, 42, 3), np.float32)


def run(network: MeanNetwork) -> np.ndarray:
    return network.predict(features())[0]


def random_networks(seed: int, n_classes: int = 3) -> tuple[MeanNetwork, MeanNetwork]:
    rng = np.random.default_rng(seed)
    shapes = shapes_of([(SPOT, 1), (RECOG, n_classes)])
    weights = {
        name: [(np.abs(rng.normal(0, 0.3, shape)) + 0.1).astype(np.float32) for shape in of_layer]
        for name, of_layer in shapes.items()
    }
    return part(weights, SPOT), part(weights, RECOG)


def part(weights, *tasks: str) -> MeanNetwork:
    """The network with some of the heads."""
    names = shapes_of([(task, 1) for task in tasks])
    return MeanNetwork({name: weights[name] for name in names}, tasks)


def joint_network(spotting: MeanNetwork, recognition: MeanNetwork) -> MeanNetwork:
    return MeanNetwork({**recognition.weights, **spotting.weights}, (SPOT, RECOG))


def write_published(path: Path, network, whole_model: bool = False) -> None:
    """A file as Keras 2.4 wrote them: layers with their names in attributes, those without weights too."""
    own = network.weights
    listed = ["input_7", *(n for n, ours in PUBLISHED.items() if ours in own), "flatten_3"]
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights") if whole_model else file
        root.attrs["layer_names"] = [n.encode() for n in listed]
        root.attrs["keras_version"] = b"2.4.0"
        for name in listed:
            weights = own[PUBLISHED[name]] if name in PUBLISHED else []
            names = [f"{name}/{variable}" for variable in VARIABLES.get(len(weights), ())]
            group = root.create_group(name)
            group.attrs["weight_names"] = [n.encode() for n in names]
            for variable, array in zip(names, weights, strict=True):
                group[variable] = array


SUBJECTS = ["s15", "s16"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Two networks, what they predict, and their files of fold 1 in both formats."""
    folder = tmp_path_factory.mktemp("weights")
    spotting, recognition = random_networks(1)
    for kind, network in (("spot", spotting), ("recog", recognition)):
        (folder / "own" / "DEMO" / kind).mkdir(parents=True)
        network.save_weights(folder / "own" / "DEMO" / kind / "s1.weights.h5")
        (folder / "published" / "DEMO" / kind).mkdir(parents=True)
        write_published(folder / "published" / "DEMO" / kind / "s1.hdf5", network)
    return folder, run(spotting), run(recognition)


@pytest.fixture
def spot_file(saved, tmp_path) -> Path:
    """A copy of the spotting file, to be damaged."""
    return Path(shutil.copyfile(saved[0] / SPOT_FILE, tmp_path / "s1.weights.h5"))


SPOT_FILE = Path("own", "DEMO", "spot", "s1.weights.h5")
RECOG_FILE = Path("own", "DEMO", "recog", "s1.weights.h5")


# Found and loaded


@pytest.mark.parametrize("which", ["own", "published"])
def test_saved_weights_are_found_and_loaded(saved, which):
    folder, scores, probabilities = saved
    network = read_fold(find_weights(folder / which, DEMO, 1, "s15"), 3)
    assert network.tasks == (SPOT, RECOG)
    for found, expected in zip(network.predict(features()), (scores, probabilities), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_without_a_recognition_file_there_is_only_spotting(saved):
    network = read_fold(FoldWeights(saved[0] / SPOT_FILE, None), 3)
    assert network.tasks == (SPOT,)
    np.testing.assert_array_equal(run(network), saved[1])


def test_whole_model_and_joint_files(tmp_path):
    """CASME2's spot_recog files are whole models; spotting's convolution comes before recognition's."""
    spotting, recognition = random_networks(2)
    path = tmp_path / "s1.hdf5"
    write_published(path, joint_network(spotting, recognition), whole_model=True)
    scores, probabilities = read_network(path, {SPOT: 1, RECOG: 3}).predict(features())
    np.testing.assert_array_equal(scores, run(spotting))
    np.testing.assert_array_equal(probabilities, run(recognition))


@pytest.mark.parametrize(("name", "classes"), [("CASME2", 5), ("SMIC_VIS", 3)])
def test_golden_published_files(golden, name, classes):
    folder, expected = golden / "weights", np.load(golden / "weights" / "predictions.npz")
    rng = np.random.RandomState(0)
    x = np.concatenate([rng.rand(16, 42, 42, 1).astype("f4") for _ in range(3)], axis=-1)
    scores, probabilities = read_fold(find_weights(folder, DATASETS[name], 1, "first"), classes).predict(x)
    np.testing.assert_allclose(scores, expected[f"{name}__spot__s1__0"], atol=1e-5)
    np.testing.assert_allclose(probabilities, expected[f"{name}__recog__s1__0"], atol=1e-5)
    joint = read_network(folder / name / "spot_recog" / "s1.hdf5", {SPOT: 1, RECOG: classes})
    for output, found in enumerate(joint.predict(x)):
        np.testing.assert_allclose(found, expected[f"{name}__spot_recog__s1__{output}"], atol=1e-5)


def test_several_networks_at_once_give_what_each_gives_alone():
    """In the order in which they are given, also if some have no recognition."""
    networks = [
        joint_network(*random_networks(1)), random_networks(2)[0], joint_network(*random_networks(3)),
    ]  # fmt: skip
    for network, together in zip(networks, predict_all(networks, features(19)), strict=True):
        alone = network.predict(features(19))
        assert len(alone) == len(together) == len(network.tasks)
        assert all(map(np.array_equal, alone, together))


def touch(folder: Path, *names: str) -> dict[str, Path]:
    """Empty files below a dataset's folder of weights, by name."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return {name: folder / name for name in names}


def test_files_of_two_trainings_are_never_mixed(tmp_path):
    """The project's own spotting network beside the authors' recognition and joint files: own files only."""
    folder = tmp_path / "DEMO"
    theirs = touch(folder, "spot/s2.hdf5", "recog/s2.hdf5", "spot_recog/s2.hdf5")
    published = FoldWeights(theirs["spot/s2.hdf5"], theirs["recog/s2.hdf5"], theirs["spot_recog/s2.hdf5"])
    assert find_weights(tmp_path, DEMO, 2, "s16") == published
    ours = touch(folder, "spot/s2.weights.h5")
    assert find_weights(tmp_path, DEMO, 2, "s16") == FoldWeights(ours["spot/s2.weights.h5"], None)
    ours |= touch(folder, "recog/s2.weights.h5", "spot_recog/s2.weights.h5")
    found = find_weights(tmp_path, DEMO, 2, "s16")
    assert found == FoldWeights(ours["spot/s2.weights.h5"], ours["recog/s2.weights.h5"]) and found.recognises
    ours["spot/s2.weights.h5"].unlink()  # files of one training without a spotting file come after complete ones
    assert find_weights(tmp_path, DEMO, 2, "s16") == published


@pytest.mark.parametrize(
    ("names", "recognises"),
    [
        (["spot/s1.hdf5", "spot_recog/s1.hdf5"], False),  # the joint file's recognition part is untrained
        (["spot/s1.hdf5", "recog/s1.hdf5", "spot_recog/s1.hdf5"], True),
        (["spot_recog/s1.hdf5"], True),
        (["spot/s1.weights.h5"], False),
        (["spot_recog/s1.weights.h5"], True),
    ],
)
def test_what_a_fold_recognises_with(tmp_path, names, recognises):
    files = touch(tmp_path / "DEMO", *names)
    found = find_weights(tmp_path, DEMO, 1, "s15")
    assert found.recognises == recognises
    assert found.joint == files.get("spot_recog/s1.hdf5", None if found.spot else found.joint)


def test_a_subject_that_training_lacked_never_gets_the_files_of_another_training(tmp_path):
    """Own training of s16 and s17 beside three files of the authors: s15 has no weights, whatever numbers are there."""
    folder = tmp_path / "DEMO"
    touch(folder, *(f"{kind}/s{n}.hdf5" for kind in ("spot", "recog", "spot_recog") for n in (1, 2, 3, 4, 5)))
    touch(folder, "spot/s1.weights.h5", "spot/s2.weights.h5")
    write_json(folder / "weights.json", {"held_out": {"s1": "s16", "s2": "s17"}})
    numbers = number_folds(tmp_path, DEMO, ["s15", "s16", "s17"])
    assert (numbers["s16"], numbers["s17"]) == (1, 2)
    with pytest.raises(InputError, match="no weights for subject s15"):
        find_weights(tmp_path, DEMO, numbers["s15"], "s15")
    for n in (1, 2):  # and where only the authors' files are left, the same
        (folder / f"spot/s{n}.weights.h5").unlink()
    with pytest.raises(InputError, match="no weights for subject s15"):
        find_weights(tmp_path, DEMO, number_folds(tmp_path, DEMO, ["s15", "s16", "s17"])["s15"], "s15")


def test_joint_files_of_the_authors_whose_recognition_was_never_trained(tmp_path):
    casme = DATASETS["CASME_sq"]
    touch(tmp_path / "CASME_sq", *(f"spot_recog/s{n}.hdf5" for n in range(1, 15)))
    found = [n for n in range(1, 15) if find_weights(tmp_path, casme, n, "x", "upstream").recognises]
    assert found == [2, 3, 5, 7, 8, 9, 10, 12, 14]
    with pytest.raises(InputError, match="14 subjects and 10 are here"):
        number_folds(tmp_path, casme, [f"s{n}" for n in range(10)])


@pytest.mark.parametrize("protocol", ["paper", "upstream"])
def test_published_folds_that_have_seen_their_subject(tmp_path, protocol):
    casme = DATASETS["CASME_sq"]
    names = [f"{kind}/s{n}.hdf5" for kind in ("spot", "recog", "spot_recog") for n in (5, 6)]
    touch(tmp_path / "CASME_sq", *names)
    touch(tmp_path / "ours" / "CASME_sq", "spot/s10.weights.h5", "recog/s10.weights.h5")
    leaking, clean = (find_weights(tmp_path, casme, n, "x", protocol) for n in (5, 6))
    own = find_weights(tmp_path / "ours", casme, 10, "x", protocol)
    assert (leaking.leaks, leaking.recognises) == (True, protocol == "upstream")
    assert find_weights(tmp_path, casme, 5, "x").recognition_unused  # the paper's protocol is the default
    assert [(w.leaks, w.recognises) for w in (clean, own)] == [(False, True)] * 2
    assert (leaking.fingerprint() == replace(leaking, recognition_unused=False).fingerprint()) == (
        protocol == "upstream"
    )


def test_remarks_where_k_prime_or_rate_are_not_those_of_the_data(tmp_path):
    folder = tmp_path / "DEMO"
    assert remarks_on_weights(folder, DEMO, 6) == []  # nothing is known
    write_json(folder / "weights.json", {"k_prime": 6, "fps": 30})
    assert remarks_on_weights(folder, DEMO, 6) == []
    (remark,) = remarks_on_weights(folder, DEMO, 7)
    assert remark.startswith(f"{folder}: weights are for k' = 6, the data has 7")
    write_json(folder / "weights.json", {"k_prime": 6, "fps": 200})
    assert "frames per second = 200, the data has 30" in remarks_on_weights(folder, DEMO, 6)[0]
    casme = DATASETS["CASME_sq"]
    (tmp_path / "CASME_sq").mkdir()
    for text, published in ((None, True), ("[6]", True), ("{}", False), ('{"fps": 30}', False)):
        if text:  # a description says all that is known, even if that is nothing
            (tmp_path / "CASME_sq" / "weights.json").write_text(text)
        remarks = remarks_on_weights(tmp_path / "CASME_sq", casme, 9)
        assert [remark.partition(";")[0] for remark in remarks] == (
            [f"{tmp_path / 'CASME_sq'}: weights are for k' = 6, the data has 9"] if published else []  # the paper's k'
        )


def test_missing_weights_name_subject_and_file(saved):
    with pytest.raises(InputError, match=r"DEMO/spot/s2\.weights\.h5: no weights for subject s16 \(fold 2\)"):
        find_weights(saved[0] / "own", DEMO, 2, "s16")
    with pytest.raises(InputError, match=r"s1\.weights\.h5"):
        find_weights(saved[0] / "nowhere", DEMO, 1, "s15")


@pytest.mark.parametrize("name", ["recog/s1.weights.h5", "recog/s1.hdf5", "spot/s2.weights.h5"])
def test_what_is_no_weights_of_a_fold(tmp_path, name):
    """A recognition file alone, another fold's file, and a folder in the place of a file."""
    touch(tmp_path / "DEMO", name)
    (tmp_path / "DEMO" / "spot" / "s1.weights.h5").mkdir(parents=True)
    assert fold_files(tmp_path, DEMO, "s1") is None
    with pytest.raises(InputError, match="no weights for subject s15"):
        find_weights(tmp_path, DEMO, 1, "s15")


def test_a_joint_file_alone_counts_only_where_no_fold_has_a_spotting_file(tmp_path):
    """Beside other folds' spotting files it is the rest of a set from which this fold's was lost."""
    touch(tmp_path / "DEMO", "spot_recog/s1.hdf5", "recog/s2.hdf5")
    assert find_weights(tmp_path, DEMO, 1, "s15").joint is not None
    touch(tmp_path / "DEMO", "spot/s2.hdf5")
    with pytest.raises(InputError, match="no weights for subject s15"):
        find_weights(tmp_path, DEMO, 1, "s15")


def test_fingerprint_follows_the_contents(saved, spot_file):
    own = saved[0] / SPOT_FILE
    assert FoldWeights(spot_file, None).fingerprint() == FoldWeights(own, None).fingerprint()
    assert FoldWeights(own, saved[0] / RECOG_FILE).fingerprint() != FoldWeights(own, None).fingerprint()
    spot_file.write_bytes(b"other")
    assert FoldWeights(spot_file, None).fingerprint() != FoldWeights(own, None).fingerprint()


# Files that cannot be used


@pytest.mark.parametrize("which", ["own", "published"])
def test_another_number_of_classes_is_refused(saved, which):
    with pytest.raises(InputError, match=r"DEMO/recog/s1\.(weights\.h5|hdf5): "):
        read_fold(find_weights(saved[0] / which, DEMO, 1, "s15"), 5)


@pytest.mark.parametrize("which", ["own", "published"])
def test_recognition_weights_in_the_place_of_spotting_ones_are_refused(saved, which):
    recog = find_weights(saved[0] / which, DEMO, 1, "s15").recog
    with pytest.raises(InputError, match="recog/s1"):
        read_fold(FoldWeights(recog, None), 3)


def test_recognition_of_another_spotting_network_is_refused(saved, tmp_path):
    """Its head was trained on other streams: it would give classes without meaning."""
    weights = read_fold(find_weights(saved[0] / "own", DEMO, 1, "s15"), 3).weights
    weights["strain_norm"][0] += 1e-3
    part(weights, RECOG).save_weights(tmp_path / "other.weights.h5")
    with pytest.raises(InputError, match=r"other\.weights\.h5: belongs to another spotting network"):
        read_fold(FoldWeights(saved[0] / SPOT_FILE, tmp_path / "other.weights.h5"), 3)


def set_nan(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        found = []
        file.visititems(lambda name, item: found.append(item) if isinstance(item, h5py.Dataset) else None)
        floats = [item for item in found if item.dtype.kind == "f"]
        floats[-1][...] = np.where(np.arange(floats[-1].size).reshape(floats[-1].shape) == 0, np.nan, floats[-1][...])


def remove_a_layer(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["layers/dense"]


DAMAGES = {
    "NaN": set_nan,
    "truncated": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "text": lambda path: path.write_text("weights"),
    "empty": lambda path: path.write_bytes(b""),
    "pickle": lambda path: path.write_bytes(pickle.dumps({"kernel": [1.0]})),
    "other HDF5": lambda path: path.unlink() or h5py.File(path, "w").close(),
    "missing": lambda path: path.unlink(),
    "a folder": lambda path: path.unlink() or path.mkdir(),
}


@pytest.mark.parametrize("ending", [".weights.h5", ".hdf5"])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_files_are_named(saved, tmp_path, damage, ending):
    source = saved[0] / ("own" if ending == ".weights.h5" else "published") / "DEMO" / "spot" / f"s1{ending}"
    path = tmp_path / f"s1{ending}"
    path.write_bytes(source.read_bytes())
    damage(path)
    with pytest.raises(InputError, match=rf"s1{ending}: ") as caught:
        read_fold(FoldWeights(path, None), 3)
    assert "\n" not in str(caught.value)


def test_a_missing_layer_is_refused(spot_file):
    remove_a_layer(spot_file)
    with pytest.raises(InputError, match=r"s1\.weights\.h5: does not fit the spotting network"):
        read_fold(FoldWeights(spot_file, None), 3)


def test_published_layers_that_hold_no_numbers_are_refused(saved, tmp_path):
    path = tmp_path / "s1.hdf5"
    path.write_bytes((saved[0] / "published" / "DEMO" / "spot" / "s1.hdf5").read_bytes())
    with h5py.File(path, "r+") as file:
        del file["spot/spot/bias:0"]
        file["spot/spot/bias:0"] = [b"x"]
    with pytest.raises(InputError, match=r"s1\.hdf5"):
        read_fold(FoldWeights(path, None), 3)


def test_a_pickle_is_never_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    for ending in (".weights.h5", ".hdf5"):
        path = tmp_path / f"s1{ending}"
        path.write_bytes(pickle.dumps(Trap()))
        with pytest.raises(InputError):
            read_fold(FoldWeights(path, None), 3)
    assert not (tmp_path / "sprung").exists()


# weights.json


@pytest.mark.parametrize(
    ("description", "complaint"),
    [
        ({"k": DEMO.k, "classes": list(DEMO.classes), "k_prime": 99}, None),
        ({}, None),
        ({"k": 20}, "weights are for k = 20"),
        ({"k": DEMO.k, "classes": ["positive", "negative", "surprise"]}, "weights are for classes"),
        ([DEMO.k], "is not a description of weights"),
    ],
)
def test_description_of_weights(tmp_path, description, complaint):
    path = tmp_path / "DEMO" / "weights.json"
    write_json(path, description)
    if complaint is None:
        number_folds(tmp_path, DEMO, SUBJECTS)
    else:
        with pytest.raises(InputError, match=complaint) as caught:
            number_folds(tmp_path, DEMO, SUBJECTS)
        assert str(path) in str(caught.value)


def test_weights_without_a_description_are_taken_but_not_with_a_broken_one(tmp_path):
    number_folds(tmp_path, DEMO, SUBJECTS)
    (tmp_path / "DEMO").mkdir()
    (tmp_path / "DEMO" / "weights.json").write_text(json.dumps({"k": 3})[:-2])
    with pytest.raises(InputError, match=r"weights\.json"):
        number_folds(tmp_path, DEMO, SUBJECTS)


def test_numbers_follow_the_held_out_subjects_not_the_order(tmp_path):
    """A subject that is absent must not move the others onto networks that were trained on them."""
    write_json(tmp_path / "DEMO" / "weights.json", {"held_out": {"s1": "s15", "s2": "s16", "s3": "s17"}})
    assert number_folds(tmp_path, DEMO, ["s16", "s17"]) == {"s16": 2, "s17": 3}
    assert number_folds(tmp_path, DEMO, ["s14", "s15"])["s14"] > 3  # no file of that number: refused by name
    with pytest.raises(InputError, match="no weights for subject s14"):
        find_weights(tmp_path, DEMO, number_folds(tmp_path, DEMO, ["s14", "s15"])["s14"], "s14")


def test_weights_of_the_upstream_protocol_are_refused_under_the_paper_protocol(tmp_path):
    write_json(tmp_path / "DEMO" / "weights.json", {"protocol": "upstream"})
    with pytest.raises(InputError, match="may have seen the held-out subject"):
        number_folds(tmp_path, DEMO, SUBJECTS)
    assert number_folds(tmp_path, DEMO, SUBJECTS, protocol="upstream") == {"s15": 1, "s16": 2}


def test_published_weights_need_all_subjects(tmp_path):
    dataset = DATASETS["CASME_sq"]
    spot = tmp_path / dataset.name / "spot"
    spot.mkdir(parents=True)
    (spot / "s1.hdf5").write_bytes(b"")
    with pytest.raises(InputError, match="14 subjects and 2 are here"):
        number_folds(tmp_path, dataset, SUBJECTS)
    assert len(number_folds(tmp_path, dataset, [f"s{n}" for n in range(14)])) == 14
