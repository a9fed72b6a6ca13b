"""Steps 1 to 4 for one dataset: its videos with their annotations, then crops and features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from face_crop import choose_crop_roots, crop_videos
from feature_extraction import FeatureMethod, VideoFeatures, extract_features, prepare_flow
from load_excel import load_annotations, match_expressions
from load_images import find_videos
from Utils.datasets.annotations import Annotations
from Utils.datasets.table import Dataset
from Utils.records import Length, Video
from Utils.settings import Settings
from Utils.synthetic.dataset import make_demo
from Utils.work.cache import remove_leftovers
from Utils.work.parallel import Workers, release_workers


@dataclass(frozen=True)
class Data:
    """What steps 1 and 2 find.

    Attributes
    ----------
    found : list of Video
        All videos of the dataset, in natural order.
    videos : list of Video
        Those that take part, with their expressions.
    annotations : Annotations
    remarks : list of str
    """

    found: list[Video]
    videos: list[Video]
    annotations: Annotations
    remarks: list[str]

    @property
    def annotated(self) -> list[str]:
        """The subjects with an expression, in natural order."""
        return list(dict.fromkeys(v.subject for v in self.videos if v.expressions))

    @property
    def others(self) -> list[str]:
        """The subjects that take part without an expression (`--videos all`), in natural order."""
        annotated = set(self.annotated)
        return list(dict.fromkeys(v.subject for v in self.videos if v.subject not in annotated))


def read_data(settings: Settings, dataset: Dataset, kind: str, spotting_only: bool, workers: Workers | int) -> Data:
    """Steps 1 and 2: find the videos and read the annotations.

    Of a dataset without annotations, all videos take part. Raises InputError if the data cannot be used.
    """
    if dataset.generated:
        make_demo(settings.data_root / dataset.name, workers)
    found, remarks = find_videos(dataset, settings.data_root)
    if not dataset.annotated:
        return Data(list(found.values()), list(found.values()), Annotations(), remarks)
    annotations = load_annotations(dataset, settings.data_root, settings.protocol, kind, spotting_only)
    videos, more = match_expressions(found, annotations, settings.videos)
    remarks = remarks + annotations.left_out + annotations.remarks + more
    return Data(list(found.values()), videos, annotations, remarks)


def crops_of(
    settings: Settings, dataset: Dataset, videos: Sequence[Video], found: Sequence[Video], workers: Workers | int
) -> tuple[list[Video], list[str]]:
    """Step 3: the videos with their crops, and remarks. `found` are all videos of the dataset.

    Raises InputError as `face_crop.crop_videos` does.
    """
    roots = choose_crop_roots(dataset, settings.data_root, settings.cache_dir)
    for root in (roots.crops, roots.upstream):
        remove_leftovers(root, depth=1)  # down to the subjects' folders, in which scratch is made
    return crop_videos(videos, dataset, roots, workers, settings.fresh, settings.protocol, found)


def features_of(
    settings: Settings, dataset: Dataset, videos: list[Video], k: Length, method: FeatureMethod, workers: Workers | int
) -> tuple[list[VideoFeatures], list[str]]:
    """Step 4: the features of cropped videos, and remarks. Raises InputError as `extract_features` does."""
    prepare_flow(settings.flow)
    features, remarks = extract_features(
        videos, k, settings.flow, settings.cache_dir / dataset.name, workers, settings.fresh, method, dataset.fps
    )
    release_workers()  # the next step may need their memory
    return features, remarks
