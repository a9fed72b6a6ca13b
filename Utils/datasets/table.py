"""The table of datasets: every fact that differs between them is here. To add a dataset, add an entry.

Sources of the facts: docs/method.md, section 3 (each dataset's release, the paper's section 4.1, the authors' code).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from Utils.datasets.annotations import Annotations, Emotions
from Utils.datasets.casme3 import read_casme3
from Utils.datasets.facts import Classes, PublishedCount
from Utils.datasets.readers import read_casme2, read_casme_sq, read_sammlv, read_smic
from Utils.errors import InputError
from Utils.records import KINDS, MACRO, MICRO, OTHERS, Length
from Utils.settings import MEAN_LENGTH, MEDIAN_LENGTH

CAUTION_DEMO = (
    "These weights were trained on the eight rendered faces of DEMO: they show that the program works, and say nothing "
    "reliable about people. Leave --dataset_name out, or use weights trained on a real dataset (--weights_dir)."
)
CAUTION_SYNTH = (
    "These weights were trained on rendered faces. They were measured on rendered faces, and on real faces with "
    "drawn-in movements, not on spontaneous micro-expressions of people (docs/model_card.md)."
)
FRAME_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")  # of the image files that can be frames of a dataset

THREE_CLASSES = ("negative", "positive", "surprise")
CASME2_CLASSES = ("disgust", "happiness", "others", "surprise", "repression")

# What the workbooks' words stand for: a class, "others" (spotted but not recognised), or None (not evaluated at all)
THREE_EMOTIONS: Emotions = {name: name for name in THREE_CLASSES}
SAMM_EMOTIONS: Emotions = {
    **dict.fromkeys(("anger", "contempt", "disgust", "fear", "sadness"), "negative"),
    "happiness": "positive",
    "surprise": "surprise",
    "other": OTHERS,
    "others": OTHERS,
}

# CAS(ME)^3 has seven emotions. With 3 and 4 classes, four of them are negative. With 3, "others" is no class.
CASME3_EMOTIONS: Emotions = {
    **dict.fromkeys(("disgust", "fear", "anger", "sad"), "negative"),
    "happy": "positive",
    "surprise": "surprise",
    "others": OTHERS,
}
CASME3_CLASSES = {
    "3": Classes(THREE_CLASSES, CASME3_EMOTIONS),
    "4": Classes((*THREE_CLASSES, OTHERS), CASME3_EMOTIONS),
    "7": Classes(tuple(CASME3_EMOTIONS), {name: name for name in CASME3_EMOTIONS}),
}


@dataclass(frozen=True)
class Dataset:
    """One dataset. All paths are relative to the data root. Where several are given, the first that exists is used.

    Attributes
    ----------
    name, title : str
        The name on the command line, and the name in reports.
    raw_dirs : tuple of str
        Where the raw frames may be.
    crop_dir : str
        Where the 128x128 crops are written. "": into the cache.
    workbooks : dict of str to tuple of str
        What the reader needs ("annotations", for SAMM-LV also "emotions") -> where it may be (glob patterns).
    read_annotations : callable
        (workbooks, emotions) -> Annotations. If `kinds` has both, there are two more parameters: the kind, and whether
        emotions do not matter.
    emotions : dict of str to str or None
        The workbook's words for emotions, in lower case and without blanks -> what they stand for: a class, `OTHERS`,
        or None (not evaluated).
    video_folder : str
        Regular expression of a video's folder, relative to the raw folder, with the groups `subject` and `video`. The
        workbook's rows are matched to these two (`Utils.datasets.annotations.match_key`). It has one slash for each
        level of folders between the raw folder and the video's.
    frame_name : str
        Regular expression of a frame's file name, with the group `number`.
    crop_name : str
        Name of a crop: `{stem}` is the raw frame's name without its suffix, `{number}` its number as written there.
    fps : int
        Frames per second.
    k : Length
        Distance of the two frames of a pair: fps x 0.1, halves rounded up.
    classes : tuple of str
        The emotions that are recognised. A class's index is its position.
    kinds : tuple of str
        The kinds of expressions that are annotated: "micro" alone, or "macro" too.
    one_per_video : bool
        True for short videos with one expression each: the highest point of the score is the only prediction. False:
        every peak is a prediction.
    upstream_shift : int
        What the authors' code subtracts from every frame number in addition (docs/method.md, section 7).
    published : tuple of int
        (subjects, videos, expressions) that the paper uses. Empty if the paper does not use the dataset.
    k_prime : int or None
        The published k'. None if none is published.
    leaking_folds : tuple of int
        Published folds whose recognition weights were trained on the subject that they are tested on (docs/fidelity.md,
        section 2): 1-based numbers.
    folds_without_recognition : tuple of int
        Published folds without a recognition file: the recognition part of their joint file is untrained. 1-based.
    scan : callable or None
        The data root -> the videos (`load_images.RawVideos`), if they are not in folders as `video_folder` says.
    class_choices : dict of str to Classes
        What --classes may be -> the classes and emotions that are then used. `classes` and `emotions` are the default.
        Empty if there is no choice.
    half_length_from : {"mean", "median"}
        From which average of offset - onset k' is made, if --half_length_from is not given.
    released : tuple of PublishedCount
        What the dataset's authors and others count in it.
    index_is_number : bool
        True: frame i is the file of number i. If that file is missing, frame i is the nearest one before it, or at the
        beginning the first one. A file that is no readable image is replaced in the same way. False: frame i is the
        i-th file, and an unreadable one stops the run.
    any_depth : bool
        Whether video folders may be at any depth in the raw folder, and workbooks at any depth in the folder of their
        pattern. The names of the workbooks are then compared without case.
    frames_folder : str
        The folder with the frames in a video's folder; its name is compared without case. "": the video's folder.
    workbooks_optional : bool
        Whether workbooks may be missing. The reader then raises the error for those that it needs.
    annotated : bool
        False for videos without annotations, which can only be tested.
    people : str
        Datasets that show the same people have the same word here.
    generated : bool
        True for the embedded dataset, which is generated on first use.
    caution : str
        What users must know who apply weights of this dataset to their own videos. "" if there is nothing.
    """

    name: str
    title: str
    raw_dirs: tuple[str, ...]
    crop_dir: str
    workbooks: Mapping[str, tuple[str, ...]]
    read_annotations: Callable[..., Annotations]
    emotions: Emotions
    video_folder: str
    frame_name: str
    fps: int
    k: Length
    crop_name: str = "{stem}.jpg"
    classes: tuple[str, ...] = THREE_CLASSES
    kinds: tuple[str, ...] = (MICRO,)
    one_per_video: bool = False
    upstream_shift: int = 0
    published: tuple[int, ...] = ()
    k_prime: int | None = None
    leaking_folds: tuple[int, ...] = ()
    folds_without_recognition: tuple[int, ...] = ()
    scan: Callable[[Path], object] | None = None
    class_choices: Mapping[str, Classes] = field(default_factory=dict)
    half_length_from: str = MEAN_LENGTH
    released: tuple[PublishedCount, ...] = ()
    index_is_number: bool = False
    any_depth: bool = False
    frames_folder: str = ""
    workbooks_optional: bool = False
    annotated: bool = True
    people: str = ""
    generated: bool = False
    caution: str = ""

    def with_classes(self, choice: str | None) -> Dataset:
        """This dataset with one of its choices of classes. None: with its default.

        Raises InputError if there is no such choice.
        """
        if choice is None:
            return self
        if not self.class_choices:
            raise InputError(
                f"--classes: {self.title} has one set of classes ({', '.join(self.classes)}); leave --classes out"
            )
        if choice not in self.class_choices:
            raise InputError(f"--classes: {choice!r} is none of {', '.join(self.class_choices)}, as {self.title} has")
        return replace(self, classes=self.class_choices[choice].classes, emotions=self.class_choices[choice].emotions)

    @property
    def annotated_in(self) -> str:
        """Where the annotations are, as messages say it."""
        return "workbook" if self.workbooks else "table"

    def frame_number(self, file_name: str) -> int | None:
        """The number in a frame's file name. None if the file is not named as a frame."""
        match = re.fullmatch(self.frame_name, file_name)
        return int(match["number"]) if match else None

    def crop_file(self, file_name: str) -> str:
        """The file name of the crop for the file name of a raw frame."""
        match = re.fullmatch(self.frame_name, file_name)
        return self.crop_name.format(stem=Path(file_name).stem, number=match["number"])


_IMAGE = f"(?i:{'|'.join(map(re.escape, FRAME_SUFFIXES))})"  # upper or lower case
_ENDS = (".xls*", "*.xls*")  # the workbook as released, then copies with something added to the name, such as a date

_CASME_SQ_LAYOUT = dict(
    read_annotations=read_casme_sq,
    emotions=THREE_EMOTIONS | {"others": OTHERS},
    video_folder=r"(?P<subject>s\d+)/\d+_(?P<video>\d{4}).*",
    frame_name=r"img ?(?P<number>\d+)" + _IMAGE,
    fps=30,
    k=3,
    kinds=KINDS,
)


def _smic(name: str, folder: str, fps: int, k: int, published: tuple[int, ...]) -> Dataset:
    """The entry of SMIC-E HS, VIS or NIR. They differ only in camera, frame rate and names of folders."""
    long_dirs = (f"SMIC/SMIC-E_raw image/{folder}_long", f"SMIC/{folder}_long")
    names = (f"SMIC-{folder}-E", f"SMIC_{folder}_E")
    return Dataset(
        name=name,
        title=f"SMIC-E-{folder} (long)",
        raw_dirs=tuple(f"{d}/{n}/{folder}" for d in long_dirs for n in names),
        crop_dir=f"SMIC/SMIC_E_{folder}_crop",
        people="SMIC",
        workbooks={"annotations": tuple(f"{d}/{n}_annotation{end}" for d in long_dirs for n in names for end in _ENDS)},
        read_annotations=read_smic,
        emotions=THREE_EMOTIONS | {"ne": "negative", "po": "positive", "sur": "surprise"},
        video_folder=r"(?P<subject>s\d+)/s\d+_(?P<video>[a-z]+_\d+)",
        frame_name=r"(?:reg_)?(?:image)? *(?P<number>\d+)" + _IMAGE,
        fps=fps,
        k=k,
        one_per_video=True,
        upstream_shift=1,
        published=published,
    )


DATASETS: dict[str, Dataset] = {
    d.name: d
    for d in (
        Dataset(
            name="DEMO",
            title="DEMO (synthetic faces)",
            raw_dirs=("DEMO/rawpic",),
            crop_dir="DEMO/rawpic_crop",
            workbooks={"annotations": ("DEMO/code_final.xlsx",)},
            generated=True,
            caution=CAUTION_DEMO,
            **_CASME_SQ_LAYOUT,
        ),
        Dataset(
            name="CASME_sq",
            title="CAS(ME)^2",
            raw_dirs=("CASME_sq/rawpic",),
            crop_dir="CASME_sq/rawpic_crop",
            workbooks={"annotations": ("CASME_sq/code_final.xls*", "CASME_sq/CAS(ME)^2code_final*.xls*")},
            published=(14, 33, 57),
            k_prime=6,
            leaking_folds=(5, 10, 12),
            folds_without_recognition=(1, 4, 6, 11, 13),
            **_CASME_SQ_LAYOUT,
        ),
        Dataset(
            name="SAMMLV",
            title="SAMM Long Videos",
            raw_dirs=("SAMMLV/SAMM_longvideos",),
            crop_dir="SAMMLV/SAMM_longvideos_crop",
            workbooks={
                "annotations": ("SAMMLV/SAMM_LongVideos_V2_Release.xls*", "SAMMLV/SAMM_LongVideos_V*.xls*"),
                "emotions": tuple(
                    f"{d}/{book}"
                    for d in ("SAMM", "SAMMLV")
                    for book in ("SAMM_20181215_Micro_FACS_Codes_v2.xls*", "SAMM_*Micro_FACS_Codes*.xls*")
                ),
            },
            read_annotations=read_sammlv,
            emotions=SAMM_EMOTIONS,
            video_folder=r"(?P<video>(?P<subject>\d+)_\d+)",
            frame_name=r"\d+_\d+_(?P<number>\d+)" + _IMAGE,
            crop_name="{number}.jpg",
            fps=200,
            k=20,
            kinds=KINDS,
            published=(29, 79, 159),
            k_prime=37,
            folds_without_recognition=(19,),
        ),
        Dataset(
            name="CASME2",
            title="CASME II",
            raw_dirs=("CASME2/CASME2/CASME2-RAW", "CASME2/CASME2-RAW", "CASME2/CASME2_RAW"),
            crop_dir="CASME2/CASME2/CASME2-RAW_crop",
            workbooks={
                "annotations": tuple(
                    f"{d}/{book}"
                    for d in ("CASME2/CASME2", "CASME2")
                    for book in ("CASME2_label_Ver_2.xls*", "CASME2-coding-*.xls*")
                )
            },
            read_annotations=read_casme2,
            emotions={name: name for name in CASME2_CLASSES} | {"fear": None, "sadness": None},
            video_folder=r"(?P<subject>sub\d+)/(?P<video>EP\d+_.+)",
            frame_name=r"img ?(?P<number>\d+)" + _IMAGE,
            fps=200,
            k=20,
            classes=CASME2_CLASSES,
            one_per_video=True,
            published=(26, 244, 244),
        ),
        Dataset(
            name="CASME3",
            title="CAS(ME)^3",
            raw_dirs=("CASME3/part_A", "CASME3/Part_A"),
            crop_dir="CASME3/part_A_crop",
            workbooks={
                "micro": ("CASME3/cas(me)3_part_A_ME_label_JpgIndex_v2.xls*",),
                "annotations": ("CASME3/CAS(ME)3_part_A_v2.xls*",),
            },
            read_annotations=read_casme3,
            emotions=CASME3_EMOTIONS,
            video_folder=r"(?:.+/)?(?P<subject>(?i:spno)\.\d+)/(?P<video>[A-Za-z])",
            frame_name=r"(?P<number>\d+)" + _IMAGE,
            fps=30,
            k=3,
            kinds=KINDS,
            class_choices=CASME3_CLASSES,
            half_length_from=MEDIAN_LENGTH,
            released=(
                PublishedCount("the dataset's authors", 860, 463, 94),
                PublishedCount("others, without onset 0", 858, 462, least_onset=1),
                PublishedCount("the dataset's authors", 3346, kind=MACRO),
            ),
            index_is_number=True,
            any_depth=True,
            frames_folder="color",
            workbooks_optional=True,
        ),
        _smic("SMIC_HS", "HS", fps=100, k=10, published=(16, 157, 157)),
        _smic("SMIC_VIS", "VIS", fps=25, k=3, published=(8, 71, 71)),
        _smic("SMIC_NIR", "NIR", fps=25, k=3, published=(8, 71, 71)),
    )
}

# Weights for the user's own videos, made by `python -m Utils.synth_run`. There is no dataset on disk to run on.
SYNTH = Dataset(
    name="SYNTH",
    title="SYNTH (rendered faces)",
    raw_dirs=(),
    crop_dir="",
    workbooks={},
    read_annotations=read_casme_sq,
    emotions=THREE_EMOTIONS,
    video_folder="",
    frame_name="",
    fps=30,
    k=3,
    k_prime=6,
    generated=True,
    caution=CAUTION_SYNTH,
)
WEIGHTS = DATASETS | {SYNTH.name: SYNTH}  # what --dataset_name can name with --video


def weights_entry(name: str) -> Dataset:
    """The entry of weights for videos: of the table, or one whose facts are all in the `weights.json` of its folder."""
    if name in WEIGHTS:
        return WEIGHTS[name]
    return replace(DATASETS["DEMO"], name=name, title=name, fps=0, k=0, classes=(), generated=False, caution="")
