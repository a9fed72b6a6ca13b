"""Which file of SOFTNet's weights belongs to which subject."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from Utils.datasets.table import DATASETS
from Utils.errors import InputError
from Utils.networks.weights import folder_of
from Utils.records import KINDS
from Utils.softnet.weights import find_weights, weights_folder, weights_for_videos

CASME_SQ, SUBJECTS = DATASETS["CASME_sq"], ["s15", "s16", "s19"]


@pytest.fixture
def published(tmp_path) -> Path:
    """Files as the authors lay them out, for three subjects."""
    for kind in ("micro", "macro"):
        folder = tmp_path / f"CASME_sq/{kind}-expression"
        folder.mkdir(parents=True)
        for n in (1, 2, 3):
            (folder / f"s{n}.hdf5").touch()
    return tmp_path


def find(weights_dir: Path, subjects=SUBJECTS, others=(), kind="micro", protocol="paper") -> list[str]:
    """The names of the files, `<folder>/<file>`."""
    weights, _, _ = find_weights(weights_dir, CASME_SQ, subjects, others, protocol, kind)
    assert all(w.recog is w.joint is None and not w.recognises for w in weights)
    return [f"{w.spot.parent.name}/{w.spot.name}" for w in weights]


def describe(folder: Path, held_out: object, **more) -> None:
    (folder / "weights.json").write_text(json.dumps({"held_out": held_out} | more))


def test_published_weights_of_a_part_of_the_dataset_need_a_description(published):
    with pytest.raises(InputError, match="these weights are for 14 subjects and 3 are here"):
        find(published)
    with pytest.raises(InputError, match="these weights are for 20 subjects and 3 are here"):
        find(published, kind="macro")
    complete = [f"s{n}" for n in range(1, 15)]
    with pytest.raises(InputError, match=r"s4\.hdf5: no weights for subject s4 \(fold 4\)"):
        find(published, complete)  # as many as the authors had: numbered in order


@pytest.mark.parametrize("beside", [True, False])
def test_a_description_says_who_is_held_out(published, beside):
    """Beside the two folders, for both kinds or for each, or in a kind's folder."""
    folder = published / "CASME_sq"
    held_out = {"s1": "s19", "s2": "s15", "s3": "s16"}
    describe(folder if beside else folder / "micro-expression", held_out)
    assert find(published) == [f"micro-expression/s{n}.hdf5" for n in (2, 3, 1)]
    if beside:
        assert find(published, kind="macro") == [f"macro-expression/s{n}.hdf5" for n in (2, 3, 1)]
        describe(folder, {"micro": held_out, "macro": {"s1": "s15", "s2": "s16", "s3": "s19"}})
        assert find(published) == [f"micro-expression/s{n}.hdf5" for n in (2, 3, 1)]
        assert find(published, kind="macro") == [f"macro-expression/s{n}.hdf5" for n in (1, 2, 3)]


def test_a_subject_whom_no_file_holds_out_has_no_weights(published):
    describe(published / "CASME_sq", {"s1": "s15", "s2": "s16", "s3": "s20"})
    with pytest.raises(InputError, match="no weights for subject s19"):
        find(published)
    weights, kept, remarks = find_weights(published, CASME_SQ, SUBJECTS[:2], ["s20", "s19"], "paper", "micro")
    assert len(weights) == 3 and kept == ["s20"]
    assert len(remarks) == 1 and "no weights for subject s19" in remarks[0] and "is left out" in remarks[0]


def test_files_of_this_program_are_preferred(published):
    folder = published / "CASME_sq/micro-expression"
    for n in (1, 2, 3):
        (folder / f"s{n}.weights.h5").touch()
    assert find(published) == [f"micro-expression/s{n}.weights.h5" for n in (1, 2, 3)]


def test_weights_of_the_other_protocol_are_refused(published):
    describe(published / "CASME_sq", {f"s{n}": s for n, s in enumerate(SUBJECTS, 1)}, protocol="upstream")
    assert len(find(published, protocol="upstream")) == 3
    with pytest.raises(InputError, match="were trained under the upstream protocol"):
        find(published)


def test_for_own_videos_the_network_of_all_or_else_all_networks(published):
    folder, networks = weights_for_videos(published, CASME_SQ, "macro")
    assert folder.name == "macro-expression" and [w.spot.name for w in networks] == ["s1.hdf5", "s2.hdf5", "s3.hdf5"]
    (folder / "s10.hdf5").touch()
    assert [w.spot.name for w in weights_for_videos(published, CASME_SQ, "macro")[1]][-1] == "s10.hdf5"
    (folder / "all.hdf5").touch()
    assert [w.spot.name for w in weights_for_videos(published, CASME_SQ, "macro")[1]] == ["all.hdf5"]
    assert weights_for_videos(published / "nowhere", CASME_SQ, "macro")[1] == ()


@pytest.mark.parametrize("kind", KINDS)
def test_weights_of_two_methods_can_be_in_one_folder(tmp_path, kind):
    """Each has a `weights.json` of its own, which the other does not read."""
    assert weights_folder(tmp_path, CASME_SQ, kind) != folder_of(tmp_path, CASME_SQ, kind)


@pytest.mark.parametrize("held_out", [{}, {"micro": {"s1": "s15"}}, None, [1]])
def test_a_description_that_says_nothing_is_none(published, held_out):
    """Then the number of subjects must be that of the authors, or a network would be tested on whom it has seen."""
    describe(published / "CASME_sq", held_out)
    with pytest.raises(InputError, match="these weights are for 20 subjects and 3 are here"):
        find(published, kind="macro")


def test_what_mean_writes_there_is_not_about_softnets_files(published):
    describe(published / "CASME_sq", {"s1": "s19"}, classes=["negative"], protocol="upstream")
    with pytest.raises(InputError, match="these weights are for 14 subjects and 3 are here"):
        find(published)
    describe(published / "CASME_sq/micro-expression", {"s1": "s19", "s2": "s15", "s3": "s16"})
    assert find(published) == [f"micro-expression/s{n}.hdf5" for n in (2, 3, 1)]
