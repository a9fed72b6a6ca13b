"""Step 4: pairs of crops -> optical-flow features.

A feature is a 42x42 image with three channels: horizontal flow u, vertical flow v and optical strain eps. It shows only
the regions that move in expressions: brows and eyes, and the mouth. Sources: paper section 3.1; docs/method.md, section
1, steps 2 to 7.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from load_images import read_crop, read_crops
from Utils.engine import CHANNELS
from Utils.errors import InputError
from Utils.faces.landmarks import landmark_model, predict_landmarks
from Utils.faces.rectangles import CROP_SIZE
from Utils.records import Length, Video, frames_of
from Utils.tvl1 import KERNEL_VERSION, compile_kernel, tvl1_flow
from Utils.work.arrays import checked_file, is_array, write_array
from Utils.work.cache import atomic_folder, file_hash, files_fingerprint, key_of, read_json, write_json
from Utils.work.parallel import Workers, run_units

FEATURE_SIZE = 42  # pixels; the upper half shows brows and eyes, the lower half the mouth
N_CHANNELS = len(CHANNELS)
MARGIN = 12  # pixels around the landmarks of a region
FEATURE_VERSION = 1  # part of the features' keys: raise it when the features change
REMARK = "remark.json"  # a remark on the landmarks, beside them

# dlib's numbers of the landmarks that limit the regions. Left and right are those of the image.
BROW_ENDS = 17, 26  # outer ends of the left and the right brow
BROWS = 19, 24  # middle of each brow
EYES = 41, 46  # lower lid of each eye
MOUTH_HEIGHT = 50, 57  # upper edge of the upper lip, lower edge of the lower lip
MOUTH_WIDTH = 60, 64  # left and right inner corner of the mouth


@dataclass(frozen=True)
class VideoFeatures:
    """A video, and the files with its features. They are memory-mapped when they are used.

    Attributes
    ----------
    video : Video
        Its frames are the crops. Expressions without an annotated apex have a searched one, if it could be found.
    spotting : Path
        `.npy`, (n - k, 42, 42, 3) float32 in [0, 1]. Feature i is that of the frames (i, i + k). (Of the methods in
        Utils/untrained: pixels, and for displacement curves, (n, 2 x regions).)
    recognition : Path or None
        `.npy`, (expressions, 42, 42, 3) float32 in [0, 1]. Each is that of (onset, apex). NaN if one of these frames is
        missing. None if the method does not recognise emotions.
    key : str
        A key of everything that the features depend on.
    remark : str
        A remark on the landmarks; "" if there is none.
    """

    video: Video
    spotting: Path
    recognition: Path | None
    key: str
    remark: str = ""

    @property
    def n_features(self) -> int:
        """Number of features for spotting, n - k."""
        return len(np.load(self.spotting, mmap_mode="r", allow_pickle=False))


@dataclass(frozen=True)
class FeatureMethod:
    """What differs between methods in this step. MEAN's is `MEAN_FEATURES`; Utils/methods has those of the others.

    Attributes
    ----------
    name, version : str, int or str
        Parts of the features' keys. The version changes when the features do.
    find_landmarks : callable
        Video, whose frames are crops -> landmarks, (68, 2) int, and a remark on them ("" if there is none).
    features : callable
        (Video, landmarks, FeatureJob) -> the shape of the features, and an iterable of them, each float32. For methods
        that compare pairs of frames it is `PairFeatures`.
    least_frames : callable
        k -> the least number of frames of a video that can be used.
    recognises : bool
        Whether there are features of (onset, apex), too.
    uses_fps : bool
        Whether the features depend on the frame rate.
    """

    name: str
    version: int | str
    find_landmarks: Callable[[Video], tuple[np.ndarray, str]]
    features: Callable[[Video, np.ndarray, FeatureJob], tuple[tuple[int, ...], Iterable[np.ndarray]]]
    least_frames: Callable[[int], int]
    recognises: bool
    uses_fps: bool = False


@dataclass(frozen=True)
class FeatureJob:
    """The work on one video."""

    video: Video
    k: int
    fps: float
    flow: str
    folder: Path
    method: FeatureMethod
    fresh: bool = False


def extract_features(
    videos: list[Video],
    k: Length,
    flow: str,
    cache_dir: Path,
    workers: Workers | int,
    fresh: bool = False,
    method: FeatureMethod | None = None,
    fps: float = 30,
) -> tuple[list[VideoFeatures], list[str]]:
    """The features of every video. Finished ones are taken from the cache.

    Parameters
    ----------
    videos : list of Video
        Their frames are the crops.
    k : Length
        Distance of the two frames of a spotting pair.
    flow : {"kernel", "opencv"}
        The TV-L1 of this project, or of the installed OpenCV.
    cache_dir : Path
        The features go to `<cache_dir>/features/<subject>/<video>/<key>`.
    workers : Workers or int
    fresh : bool
        Compute features again, even if they are finished.
    method : FeatureMethod
        By default MEAN's.
    fps : float
        Frames per second of the videos that have no rate of their own, for methods that need it.

    Returns
    -------
    features : list of VideoFeatures
        In the order of `videos`. Videos with too few frames are left out: with MEAN, those with k or fewer.
    remarks : list of str
        The videos that were left out, landmarks that are uncertain, and expressions with a frame beyond the last one.

    Raises
    ------
    InputError
        A crop cannot be read or has another size, or no video has enough frames.
    """
    method = method or MEAN_FEATURES
    jobs, remarks = [], []
    for v in videos:
        distance = frames_of(k, v.fps)
        if len(v.frames) < method.least_frames(distance):
            remarks.append(f"{v.label}: {len(v.frames)} frames are too few for k = {distance}, video left out")
            continue
        folder = cache_dir / "features" / v.subject / v.name
        jobs.append(FeatureJob(v, distance, v.fps or fps, flow, folder, method, fresh))
    if not jobs:
        least, distance = min((method.least_frames(d), d) for d in (frames_of(k, v.fps) for v in videos))
        raise InputError(
            f"no video has {least} or more frames (k = {distance}); is the frame rate that of the dataset?"
        )
    features = run_units(extract_video, jobs, workers, "features", "video")
    remarks += [f.remark for f in features if f.remark]
    for f in features if method.recognises else ():
        missing = int(np.isnan(np.load(f.recognition, allow_pickle=False)[:, 0, 0, 0]).sum())
        if missing:
            remarks.append(
                f"{f.video.label}: {missing} expression(s) beyond the last frame not used for recognition training"
            )
    return features, remarks


def extract_video(job: FeatureJob) -> VideoFeatures:
    """The features of one video. This is the unit of work of this step.

    Raises InputError if a crop cannot be read or has another size.
    """
    video, method = job.video, job.method
    settings = dict(
        version=method.version,
        flow=f"kernel {KERNEL_VERSION}" if job.flow == "kernel" else f"opencv {cv2.__version__}",
        landmark_model=_landmark_model_hash(),
        crops=files_fingerprint(video.frames),
    )
    if method != MEAN_FEATURES:  # its keys are older than the other methods
        settings["method"] = method.name
    if method.uses_fps:
        settings["fps"] = job.fps
    key = key_of(k=job.k, **settings)
    spotting = job.folder / key
    if job.fresh or not _has_spotting(spotting):
        landmarks, remark = method.find_landmarks(video)
        with atomic_folder(spotting, lambda: not job.fresh and _has_spotting(spotting)) as scratch:
            write_array(scratch / "landmarks.npy", landmarks)
            if remark:
                write_json(scratch / REMARK, remark)
            _write_spotting_features(video, landmarks, job, scratch / "features.npy")
    marks = [(e.onset, e.apex, e.offset) for e in video.expressions]
    if not method.recognises:
        whole_key = key_of(spotting=key, expressions=marks)
        return VideoFeatures(video, spotting / "features.npy", None, whole_key, read_json(spotting / REMARK) or "")
    landmarks = np.load(spotting / "landmarks.npy", allow_pickle=False)
    recognition_key = key_of(expressions=marks, **settings)
    recognition = job.folder / f"recognition-{recognition_key}"
    if job.fresh or not _has_recognition(recognition, len(marks)):
        images, apexes = recognition_features(video, landmarks, flow_function(job.flow))
        with atomic_folder(recognition, lambda: not job.fresh and _has_recognition(recognition, len(marks))) as scratch:
            write_array(scratch / "features.npy", images)
            write_json(scratch / "apexes.json", apexes)
    apexes = read_json(recognition / "apexes.json")
    expressions = tuple(
        replace(e, searched_apex=apex) if e.apex is None else e
        for e, apex in zip(video.expressions, apexes, strict=True)
    )
    return VideoFeatures(
        replace(video, expressions=expressions),
        spotting / "features.npy",
        recognition / "features.npy",
        key_of(spotting=key, recognition=recognition_key, emotions=[e.emotion for e in expressions]),
    )


def _has_spotting(folder: Path) -> bool:
    """Whether a folder has finished spotting features."""
    return is_array(folder / "features.npy") and is_array(folder / "landmarks.npy")


def _has_recognition(folder: Path, n: int) -> bool:
    """Whether a folder has finished features of `n` expressions."""
    apexes = read_json(folder / "apexes.json")
    return is_array(folder / "features.npy") and isinstance(apexes, list) and len(apexes) == n


@lru_cache(maxsize=1)
def _landmark_model_hash() -> str:
    return file_hash(landmark_model())


def _write_spotting_features(video: Video, landmarks: np.ndarray, job: FeatureJob, path: Path) -> None:
    """Write the features of a video one by one.

    No memory map is used for writing: with one, a full disk would end the process without a message.
    """
    shape, features = job.method.features(video, landmarks, job)
    with checked_file(path) as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        for feature in features:
            file.write(feature.astype("<f4").tobytes())


@dataclass(frozen=True)
class PairFeatures:
    """The features of the pairs (i, i + k), i = 0 ... n - k - 1, for `FeatureMethod.features`.

    Attributes
    ----------
    places : callable
        Landmarks -> what `image` needs of them.
    image : callable
        (first crop, second crop, places, flow function) -> a feature, (42, 42, 3).
    """

    places: Callable
    image: Callable[..., np.ndarray]

    def __call__(
        self, video: Video, landmarks: np.ndarray, job: FeatureJob
    ) -> tuple[tuple[int, ...], Iterator[np.ndarray]]:
        """Their shape, (n - k, 42, 42, 3), and the features. At most k + 1 crops are in memory."""
        shape = (len(video.frames) - job.k, FEATURE_SIZE, FEATURE_SIZE, N_CHANNELS)
        return shape, self._features(video, job.k, self.places(landmarks), flow_function(job.flow))

    def _features(self, video: Video, k: int, places, flow: Callable) -> Iterator[np.ndarray]:
        window: deque[np.ndarray] = deque(maxlen=k + 1)
        for j, crop in enumerate(read_crops(video)):
            window.append(crop)
            if j >= k:
                yield self.image(window[0], window[-1], places, flow)


def recognition_features(video: Video, landmarks: np.ndarray, flow: Callable) -> tuple[np.ndarray, list[int | None]]:
    """The features of (onset, apex), one for each expression.

    If the dataset does not give the apex, it is searched, as the authors do for SMIC: it is the first j in [onset,
    offset) for which the feature of (onset, j) has the largest sum.

    Parameters
    ----------
    video : Video
        Its frames are the crops.
    landmarks : ndarray, (68, 2), int
        x and y in pixels of the crop.
    flow : callable
        From `flow_function`.

    Returns
    -------
    images : ndarray, (expressions, 42, 42, 3), float32, in [0, 1]
        NaN for an expression with a frame beyond the video's last one.
    apexes : list of int or None
        As given, or as found. None if it could not be searched.
    """
    n, regions = len(video.frames), face_regions(landmarks)
    images = np.full((len(video.expressions), FEATURE_SIZE, FEATURE_SIZE, N_CHANNELS), np.nan, np.float32)
    apexes: list[int | None] = []
    for i, e in enumerate(video.expressions):
        if e.apex is None:
            end = max(e.offset, e.onset + 1)  # at least one candidate, also if onset and offset are the same frame
            candidates = range(e.onset, min(end, n))
        else:
            candidates = [e.apex]
        apexes.append(e.apex)
        if e.onset >= n or not candidates or not 0 <= candidates[-1] < n:
            continue
        onset_crop, best = read_crop(video.frames[e.onset]), -np.inf
        for j in candidates:
            image = feature_image(onset_crop, read_crop(video.frames[j]), regions, flow)
            if image.sum() > best:
                best, images[i], apexes[i] = image.sum(), image, j
    return images, apexes


def prepare_flow(name: str) -> None:
    """Compile the kernel before processes are started. For the flow of OpenCV, print its version instead."""
    if name == "kernel":
        compile_kernel(lambda text: print(f"  {text}", flush=True))
    else:
        print(f"  flow of OpenCV {cv2.__version__}; it may differ from the kernel, which equals OpenCV 4.5.1 to 4.11")


def flow_function(name: str) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """The function for "kernel" or "opencv": two crops (128, 128) uint8 -> u and v, (128, 128, 2) float32, pixels."""
    return tvl1_flow if name == "kernel" else _opencv_flow().calc_pair


class _OpenCVFlow:
    """The TV-L1 of the installed OpenCV with its defaults. It serves as a cross-check.

    Versions of OpenCV give different results: docs/method.md, section 8.
    """

    def __init__(self) -> None:
        self._tvl1 = cv2.optflow.DualTVL1OpticalFlow_create()

    def calc_pair(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return self._tvl1.calc(first, second, None)


@lru_cache(maxsize=1)
def _opencv_flow() -> _OpenCVFlow:
    return _OpenCVFlow()


def feature_image(first: np.ndarray, second: np.ndarray, regions: tuple[slice, ...], flow: Callable) -> np.ndarray:
    """The feature of two crops.

    Parameters
    ----------
    first, second : ndarray, (128, 128), uint8
    regions : tuple of slice
        From `face_regions`.
    flow : callable
        From `flow_function`.

    Returns
    -------
    ndarray, (42, 42, 3), float64, in [0, 1]
        Channels u, v, eps. Brows and eyes are above, the mouth is below.
    """
    u, v = through_polar(flow(first, second))
    return stacked_regions(np.dstack([normalise(c) for c in (u, v, optical_strain(u, v))]), regions)


def stacked_regions(image: np.ndarray, regions: tuple[slice, ...]) -> np.ndarray:
    """The two regions of an image (128, 128, 3), each resized to half a feature, brows and eyes above: (42, 42, 3).

    `regions` are those of `face_regions`.
    """
    brow_rows, brow_columns, mouth_rows, mouth_columns = regions
    half = (FEATURE_SIZE, FEATURE_SIZE // 2)  # OpenCV's order: width, height
    return np.vstack(
        [cv2.resize(image[brow_rows, brow_columns], half), cv2.resize(image[mouth_rows, mouth_columns], half)]
    )


def through_polar(flow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """u and v of a flow (128, 128, 2) float32, converted to magnitude and angle and back, as the authors do.

    Both are (128, 128) float32, in pixels. They differ from those of the flow by rounding.
    """
    magnitude, angle = cv2.cartToPolar(flow[..., 0], flow[..., 1])
    return magnitude * np.cos(angle), magnitude * np.sin(angle)


def optical_strain(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Magnitude of the strain tensor, `sqrt(u_x^2 + v_y^2 + (u_y + v_x)^2 / 2)` (paper equation 3).

    Derivatives are backward differences. They are 0 where there is no pixel before.

    Parameters
    ----------
    u, v : ndarray, (height, width), float

    Returns
    -------
    ndarray, (height, width), float64, >= 0
    """
    u, v = u.astype(np.float64), v.astype(np.float64)
    u_x, u_y = np.diff(u, axis=1, prepend=u[:, :1]), np.diff(u, axis=0, prepend=u[:1])
    v_x, v_y = np.diff(v, axis=1, prepend=v[:, :1]), np.diff(v, axis=0, prepend=v[:1])
    return np.sqrt(u_x**2 + v_y**2 + (u_y + v_x) ** 2 / 2)


def normalise(channel: np.ndarray) -> np.ndarray:
    """Scale a channel, (height, width), to [0, 1] by its own minimum and maximum. Returns float64.

    A constant channel becomes 0.
    """
    return cv2.normalize(channel.astype(np.float64), None, alpha=0, beta=1, norm_type=cv2.NORM_MINMAX)


def face_regions(landmarks: np.ndarray) -> tuple[slice, slice, slice, slice]:
    """Rows and columns of the brows and eyes, then rows and columns of the mouth (paper section 3.1).

    Parameters
    ----------
    landmarks : ndarray, (68, 2), int
        x and y in pixels of the crop.

    Returns
    -------
    tuple of slice
        Each within [0, 128] and at least one pixel long.
    """
    x, y = landmarks[:, 0], landmarks[:, 1]
    return (
        _region(min(y[i] for i in BROWS), max(y[i] for i in EYES)),
        _region(*(x[i] for i in BROW_ENDS)),
        _region(*(y[i] for i in MOUTH_HEIGHT)),
        _region(*(x[i] for i in MOUTH_WIDTH)),
    )


def _region(first: int, last: int) -> slice:
    """`first - MARGIN : last + MARGIN`, clipped to the crop. At least one pixel is left, wherever the landmarks are."""
    start = int(np.clip(first - MARGIN, 0, CROP_SIZE - 1))
    return slice(start, int(np.clip(last + MARGIN, start + 1, CROP_SIZE)))


def landmarks_of_first_crop(video: Video) -> tuple[np.ndarray, str]:
    """The landmarks of a video's first crop, for `FeatureMethod.find_landmarks`."""
    return predict_landmarks(read_crop(video.frames[0])), ""


def more_than(k: int) -> int:
    """The least number of frames that give a pair."""
    return k + 1


MEAN_FEATURES = FeatureMethod(
    name="MEAN",
    version=FEATURE_VERSION,
    find_landmarks=landmarks_of_first_crop,
    features=PairFeatures(face_regions, feature_image),
    least_frames=more_than,
    recognises=True,
)
