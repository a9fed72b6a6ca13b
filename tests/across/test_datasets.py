"""What --train_on and --test_on can name, frame rates, and who is who."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from load_excel import load_annotations
from tests.support.layouts import shared_layout
from tests.support.layouts_casme3 import shared_casme3
from tests.support.studies import add_frames, add_video
from tests.support.video_clips import number_of
from Utils.across.datasets import folder_of_videos, in_three_classes, joined_name, name_of_networks, named_datasets
from Utils.across.people import People, people_of, require_different_people, video_digest
from Utils.across.rates import EveryNth, every_nth, slower, step_of
from Utils.across.sources import Source, average_of, half_length_of, require_kinds
from Utils.across.weights import described_training
from Utils.datasets.table import DATASETS, THREE_CLASSES
from Utils.errors import InputError
from Utils.methods.table import METHODS
from Utils.parsing import parse_settings
from Utils.records import Expression, Video
from Utils.settings import Settings
from Utils.study.videos import VideoFile

SETTINGS = Settings(frame_base=1, fps=30)
HEAD = "subject,video,onset,offset,emotion\n"


def emotions_of(name: str, root: Path) -> list[str]:
    """The emotions of all micro-expressions, in three classes, in the order of the workbook."""
    (dataset,) = named_datasets(name, SETTINGS, "train_on")
    assert dataset.classes == THREE_CLASSES
    return [row.expression.emotion for row in load_annotations(dataset, root).rows]


def test_emotions_in_three_classes():
    """The fixtures' emotions: CASME2's five, SAMM's, CASME3's seven."""
    negative, positive, surprise = THREE_CLASSES
    assert emotions_of("CASME2", shared_layout("CASME2")) == [
        "others", positive, "others", negative, negative, surprise, positive, surprise,
    ]  # fmt: skip
    samm = emotions_of("SAMMLV", shared_layout("SAMMLV"))
    assert samm == ["others", negative, negative, "others", positive, surprise]
    assert sorted(emotions_of("CASME3", shared_casme3())) == sorted(
        [negative, "others", surprise, positive, negative, "others"]
    )
    assert set(emotions_of("SMIC_VIS", shared_layout("SMIC_VIS"))) == set(THREE_CLASSES)


@pytest.mark.parametrize(
    ("word", "emotion"),
    [("contempt", "negative"), ("Sadness", "negative"), ("joy", "positive"), ("surprise", "surprise"), ("", "others")],
)
def test_emotions_of_a_table(word, emotion, tmp_path):
    add_frames(tmp_path / "anna/talk")
    (tmp_path / "a b.csv").write_text(HEAD + f"anna,talk,3,9,{word}\n")
    (dataset,) = named_datasets(str(tmp_path / "a b.csv"), SETTINGS, "train_on")
    assert dataset.name == "a_b" and dataset.classes == THREE_CLASSES
    (row,) = load_annotations(dataset, tmp_path).rows
    assert row.expression.emotion == emotion


def test_an_emotion_that_stands_for_nothing(tmp_path):
    add_frames(tmp_path / "anna/talk")
    (tmp_path / "a.csv").write_text(HEAD + "anna,talk,3,9,boredom\n")
    with pytest.raises(InputError, match="'boredom' stands for none of negative, positive, surprise"):
        named_datasets(str(tmp_path / "a.csv"), SETTINGS, "train_on")
    odd = replace(DATASETS["DEMO"], classes=("pride",))
    with pytest.raises(InputError, match="pride"):
        in_three_classes(odd)


def test_videos_of_a_folder(tmp_path):
    add_frames(tmp_path / "ch/006_1", 5)
    add_frames(tmp_path / "ch/spNO.7/a/Color", 5, first=9)
    add_frames(tmp_path / "ch/spNO.7/a/Depth", 5)
    add_frames(tmp_path / "ch/.hidden", 5)
    add_frames(tmp_path / "ch/depth", 5)  # without color beside it, it is a name as any other
    add_video(tmp_path / "ch/b.mp4", fps=25)
    dataset = folder_of_videos(tmp_path / "ch", 200)
    videos = list(dataset.scan(tmp_path).videos.values())
    assert [(v.label, v.fps) for v in videos] == [
        ("006_1/006_1", 200), ("b/b", 25), ("depth/depth", 200), ("spNO.7/a", 200),
    ]  # fmt: skip
    assert [len(v.frames) for v in videos if v.name == "a"] == [13]  # 1 to 8 are missing
    assert dataset.fps == 200 and dataset.k == {25: 3, 200: 20} and not dataset.annotated


def test_two_videos_of_one_name_in_a_folder(tmp_path):
    add_frames(tmp_path / "ch/a/b_c", 5)
    add_frames(tmp_path / "ch/a/b/c", 5)
    with pytest.raises(InputError, match="two videos a/b_c"):
        folder_of_videos(tmp_path / "ch", 30)


def test_a_rate_for_each_folder(tmp_path):
    add_frames(tmp_path / "samm/x", 5)
    add_frames(tmp_path / "cas@30/y", 5)
    text = f"{tmp_path}/samm@200, {tmp_path}/cas@30"  # the second has such a name
    samm, cas = named_datasets(text, SETTINGS, "test_on", unannotated=True)
    assert (samm.name, samm.fps, cas.name, cas.fps) == ("samm", 200, "cas_30", 30)


def test_names_of_several_datasets():
    demo = DATASETS["DEMO"]
    assert name_of_networks([demo]) == "DEMO-all" and name_of_networks([demo, DATASETS["CASME2"]]) == "DEMO+CASME2"
    long = [replace(demo, name=str(i) * 50) for i in range(5)]
    assert joined_name(long) == "0" * 30 + "+4_more-4b0c03a0"


def test_names_of_all_splits_differ():
    """Networks of six of the seven datasets are written side by side. Names of other alphabets have more bytes."""
    for names in (list(DATASETS), [f"{i}{'面' * 20}" for i in range(4)], ["a+b", "c", "d"]):
        datasets = [replace(DATASETS["DEMO"], name=name) for name in names]
        found = [joined_name([d for d in datasets if d is not one]) for one in datasets]
        assert len(set(found)) == len(names) and all(len(name.encode()) <= 60 for name in found)
    one, other = ([replace(DATASETS["DEMO"], name=name) for name in names] for names in (("a+b", "c"), ("a", "b+c")))
    assert joined_name(one) != joined_name(other)


def test_paths_are_absolute_for_other_machines(tmp_path, monkeypatch):
    add_frames(tmp_path / "anna/talk")
    (tmp_path / "a.csv").write_text(HEAD + "anna,talk,3,9,sad\n")
    monkeypatch.chdir(tmp_path)
    for scheduler, absolute in (("tcp://h:1", True), (None, False)):
        settings = replace(SETTINGS, scheduler=scheduler)
        (dataset,) = named_datasets("a.csv", settings, "train_on")
        (video,) = dataset.scan(tmp_path).videos.values()
        assert video.frames[0].is_absolute() == absolute


@pytest.mark.parametrize(
    ("fps", "highest", "every"),
    [
        (200, 30, 7),
        (200, 200, 1),
        (30, 30, 1),
        (30, None, 1),
        (30.02, 30, 1),
        (60.04, 30, 2),
        (25, 30, 1),
        (100, 30, 4),
    ],
)
def test_every_nth_frame(fps, highest, every):
    assert step_of(fps, highest) == every


def test_a_slower_dataset():
    samm = slower(DATASETS["SAMMLV"], 30)
    assert (samm.name, samm.title) == ("SAMMLV_every7", "SAMM Long Videos, every 7th frame")
    assert samm.fps == 200 / 7 and samm.k == 3 and samm.crop_dir == "SAMMLV/SAMM_longvideos_crop_every7"
    assert slower(DATASETS["SAMMLV"], 100).title.endswith("every 2nd frame")
    assert slower(DATASETS["CASME_sq"], 30) is DATASETS["CASME_sq"]
    mixed = replace(DATASETS["DEMO"], k={15: 2, 60: 6}, fps=60, scan=lambda _: None, crop_dir="")
    lower = slower(mixed, 20)
    assert (lower.name, lower.fps, lower.k, lower.crop_dir) == ("DEMO_upto20", 20, {15: 2, 20: 2}, "")


def test_expressions_of_a_slower_video():
    frames = tuple(Path(f"{i}.jpg") for i in range(20))
    video = Video("s", "v", frames, (Expression(6, 7, 13, "negative"), Expression(14, None, 19, "positive")), fps=60)
    slow = every_nth(video, 20, 30)
    assert [path.stem for path in slow.frames] == ["0", "3", "6", "9", "12", "15", "18"] and slow.fps == 20
    assert [(e.onset, e.apex, e.offset) for e in slow.expressions] == [(2, 2, 4), (4, None, 6)]
    assert every_nth(replace(video, fps=None), None, 30).fps == 30


def test_a_slower_video_file(tmp_path):
    path = add_video(tmp_path / "a.mp4", n=11)
    source = EveryNth(VideoFile(path), 3)
    assert [number_of(image) for image in source] == [0, 3, 6, 9] and source.path == path
    again = pickle.loads(pickle.dumps(source))  # for other processes
    assert [number_of(image) for image in again] == [0, 3, 6, 9]


def people(dataset: str, subjects: str, group: str = "", **videos: str) -> People:
    return People(dataset, group or dataset, tuple(subjects.split()), videos)


def test_who_is_in_two_datasets():
    hs = people("SMIC_HS", "s1 s02 s10", "SMIC")
    with pytest.raises(InputError, match=r"2 subject\(s\) of SMIC_VIS are in SMIC_HS, too \(s2, s10\)"):
        require_different_people([hs], people("SMIC_VIS", "s2 s10 s3", "SMIC"))
    require_different_people([hs], people("CASME_sq", "s1"))  # other people
    require_different_people([hs], people("SMIC_NIR", "s4", "SMIC"))
    with pytest.raises(InputError, match="x/1 of b is the same video as y/2 of a"):
        require_different_people([people("a", "", d1="y/2")], people("b", "", d1="x/1"))
    many = " ".join(f"s{i}" for i in range(20))
    with pytest.raises(InputError, match=r"20 subject\(s\).*s7, \.\.\.\)"):
        require_different_people([people("a", many)], people("a", many))
    assert DATASETS["SMIC_HS"].people == DATASETS["SMIC_VIS"].people == DATASETS["SMIC_NIR"].people


def test_the_same_video_under_another_name(tmp_path):
    one = add_video(tmp_path / "a.mp4", n=9)
    other = tmp_path / "b.mp4"
    other.write_bytes(one.read_bytes())
    videos = [Video("s", "v", (), source=VideoFile(path)) for path in (one, other, add_video(tmp_path / "c.mp4", n=8))]
    assert len({video_digest(video) for video in videos}) == 2
    for name, start in (("x", 0), ("y", 0), ("z", 1)):
        (tmp_path / name).mkdir()
        for i in range(4):
            (tmp_path / name / f"{i}.jpg").write_bytes(bytes([start + i]))
    x, y, z, short = (
        Video("s", name, tuple(sorted((tmp_path / name).iterdir()))[:n])
        for name, n in zip("xyzx", (4, 4, 4, 3), strict=True)
    )
    assert video_digest(x) == video_digest(y) and len({video_digest(v) for v in (x, z, short)}) == 3
    study = replace(DATASETS["DEMO"], name="lab", scan=lambda _: None)
    assert people_of(study, [x], (30,)) == People("lab", "tables", ("s",), {video_digest(x): "s/x"}, (30,))
    assert people_of(replace(study, annotated=False), [x]).subjects == ()
    assert described_training([people("a", "s1", d2="x", d1="y")], 30) == {
        "trained_on": {"a": {"people": "a", "subjects": ["s1"], "fps": [], "videos": ["d1", "d2"]}},
        "highest_fps": 30,
    }


def test_kinds_that_are_not_annotated():
    both, micro = DATASETS["CASME_sq"], DATASETS["CASME2"]
    require_kinds(("macro",), [both, micro], [both])
    require_kinds(("micro", "macro"), [both, micro], [micro])  # tested for micro-expressions only
    with pytest.raises(InputError, match="CASME II annotates no macro-expressions"):
        require_kinds(("macro",), [both], [micro])
    with pytest.raises(InputError, match="training on CASME II: no macro-expressions are annotated"):
        require_kinds(("micro", "macro"), [micro], [both])
    require_kinds(("macro",), [both], [replace(micro, annotated=False)])


def test_half_length_of_several_datasets():
    """Lengths of 0.2, 0.2 and 2 seconds: k' is half of their mean, 0.8, or of their median."""

    def source(name: str, fps: float, *seconds: float) -> Source:
        expressions = tuple(Expression(0, None, round(s * fps), "negative") for s in seconds)
        videos = [Video(name, "v", (), expressions, fps)]
        return Source(name, DATASETS[name], videos, videos, {}, people(name, name), [])

    samm, casme, casme3 = source("SAMMLV", 200, 0.2), source("CASME_sq", 30, 0.2, 2), source("CASME3", 30, 0.2, 2)
    assert average_of([samm, casme], None) == ("mean", False)
    assert average_of([samm, casme3], None) == ("median", True)
    assert average_of([samm, casme3], "mean") == ("mean", False)
    assert average_of([samm, casme], "median") == ("median", False)
    assert half_length_of([samm, casme], "mean") == {30: 12, 200: 80}
    assert half_length_of([samm, casme3], "median") == {30: 3, 200: 20}


def test_weights_for_videos_can_be_tested():
    """SYNTH is no dataset to run on, but its weights can be tested on one."""
    methods, names = METHODS, tuple(DATASETS)
    assert parse_settings(["--test_on", "DEMO", "--dataset_name", "SYNTH"], names, methods).dataset_name == "SYNTH"
    with pytest.raises(SystemExit):
        parse_settings(["--train_on", "DEMO", "--dataset_name", "SYNTH"], names, methods)
