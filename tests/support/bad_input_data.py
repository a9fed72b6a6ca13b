"""Cases of bad frames, faces, weights, and of places that cannot be read or written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import h5py
import numpy as np
from openpyxl import load_workbook

from tests.support.bad_input import (
    BOOKS,
    N_FRAMES,
    RUN,
    VIDEO,
    Case,
    add_video,
    add_weights,
    encoded,
    face_image,
    flags_for,
    make_dataset,
    put,
)
from tests.support.paths import RECORDED

Spoil = Callable[[Path], Sequence[str]]
CHECK = ("--dataset_name", "CASME_sq", "--check", "True", "--workers", "1")
CMYK = RECORDED / "cmyk.jpg"  # `face_image` with four colours
GRAY = np.full((120, 160, 3), 90, np.uint8)

# Frames


def frame(content: bytes, name: str = "img007.jpg") -> Spoil:
    """A run over a video that has this file as a frame."""

    def spoil(root: Path) -> Sequence[str]:
        make_dataset(root)
        put(root / VIDEO / name, content)
        return flags_for()

    return spoil


def changed(change: Callable[[Path], object], flags: Sequence[str] | None = None) -> Spoil:
    """A run after a change to the folder of the video."""

    def spoil(root: Path) -> Sequence[str]:
        make_dataset(root)
        change(root / VIDEO)
        return flags or flags_for()

    return spoil


def in_place_of_a_frame(make: Callable[[Path], object]) -> Spoil:
    def change(video: Path) -> None:
        (video / "img007.jpg").unlink()
        make(video / "img007.jpg")

    return changed(change)


def all_frames(content: bytes, ending: str = ".jpg") -> Spoil:
    """A run with weights over a video whose frames are all this file."""

    def spoil(root: Path) -> Sequence[str]:
        make_dataset(root)
        shutil.rmtree(root / VIDEO)
        add_video(root / VIDEO, "img{:03d}" + ending, content)
        add_weights(root)
        return ("--dataset_name", "CASME_sq", *RUN)

    return spoil


def renamed(name: str) -> Callable[[Path], object]:
    return lambda video: video.rename(video.with_name(name))


def stranger(name: str | bytes) -> Callable[[Path], object]:
    return lambda video: shutil.copyfile(video / "img001.jpg", os.path.join(os.fsencode(video), os.fsencode(name)))  # noqa: PTH118


def truncated(ending: str) -> bytes:
    return encoded(face_image(), ending)[:-300]


def two_of_one_name(video: Path) -> None:
    (video.parent / "1_0101b").mkdir()
    shutil.copyfile(video / "img001.jpg", video.parent / "1_0101b/img001.jpg")


def without_frames(video: Path) -> None:
    for path in video.iterdir():
        path.unlink()


ALPHA = cv2.cvtColor(face_image(), cv2.COLOR_BGR2BGRA)
WIDE = np.zeros((120, 20_000, 3), np.uint8)
IMAGE = "frame is not a readable image"
FRAMES = [
    Case("frame of 0 bytes", frame(b""), ("1_0101a/img007.jpg", IMAGE)),
    Case("JPEG cut short", frame(truncated(".jpg")), ("img007.jpg", "cut short")),
    Case("PNG cut short", frame(truncated(".png")), ("img007.jpg", "frame")),
    Case("first frame cut short", frame(truncated(".jpg"), "img001.jpg"), ("img001.jpg", "cut short")),
    Case("text as frame", frame(b"Lorem ipsum dolor"), ("img007.jpg", IMAGE)),
    Case("HTML as frame", frame(b"<html>404</html>"), ("img007.jpg", IMAGE)),
    Case("zeros as frame", frame(bytes(4000)), ("img007.jpg", IMAGE)),
    Case("start of a JPEG alone", frame(b"\xff\xd8\xff\xd9"), ("img007.jpg", IMAGE)),
    Case("wrong size mid-video", frame(encoded(face_image()[:100])), ("img007.jpg", "160x100", "160x120")),
    Case("frame of one pixel mid-video", frame(encoded(GRAY[:1, :1])), ("img007.jpg", "is 1x1 pixels")),
    Case("20,000 pixels wide mid-video", frame(encoded(WIDE)), ("img007.jpg", "is 20000x120 pixels")),
    Case("frames of one pixel", all_frames(encoded(GRAY[:1, :1])), ("no face in any of the 2 videos", "1_0101a")),
    Case("frames 2,000 pixels wide", all_frames(encoded(WIDE[:40, :2000])), ("no face", "1_0101a")),
    Case("one number twice", changed(stranger("img0007.jpg")), ("frame 7 is there twice", "img0007.jpg")),
    Case("one number as JPEG and PNG", changed(stranger("img007.png")), ("frame 7 is there twice", "img007.png")),
    Case("one video twice", changed(two_of_one_name), ("1_0101b: the same video as", "1_0101a")),
    Case("gap", changed(lambda v: (v / "img007.jpg").unlink(), CHECK), ("1 frame number(s) missing",), code=0),
    Case("video without frames", changed(without_frames), ("1_0101a: no frames",)),
    Case("frame is a folder", in_place_of_a_frame(Path.mkdir), ("img007.jpg", "is not a file")),
    Case("frame links to itself", in_place_of_a_frame(lambda p: p.symlink_to(p.name)), ("1_0101a", "symbolic links")),
    Case(
        "frame links to nothing",
        in_place_of_a_frame(lambda p: p.symlink_to("gone.jpg")),
        ("img007.jpg", "link to nothing"),
    ),
    Case("folder links to itself", changed(lambda v: (v.parent / "1_0102b").symlink_to(v), CHECK), ("takes part",), 0),
    Case("folder links to its parent", changed(lambda v: (v / "up").symlink_to(v.parent), CHECK), ("takes part",), 0),
    Case("folder named with an escape", changed(renamed("1_0101\x1b[2J")), ("1_0101\\x1b[2J", "rename")),
    Case("folder name that is no Unicode", changed(renamed("1_0101\udcff")), ("1_0101\\udcff", "rename")),
    Case("folder name of 255 bytes", changed(renamed("1_0101" + "a" * 249)), ("more than 200 bytes", "rename")),
    Case("folder name in Chinese", changed(renamed("1_0101\u60b2\u4f24"), CHECK), ("takes part",), code=0),
    Case("folder name with blanks", changed(renamed("1_0101 a  b "), CHECK), ("takes part",), code=0),
    Case("stranger among frames, no Unicode", changed(stranger(b"a\xff.jpg"), CHECK), ("a\\udcff.jpg: not named",), 0),
    Case("stranger with a line break", changed(stranger("a\nb.jpg"), CHECK), ("a\\nb.jpg: not named",), code=0),
    Case("frame name of 255 characters", changed(stranger(f"img{'0' * 247}7.jpg")), ("frame 7 is there twice",)),
    Case("blank before a frame's name", changed(stranger(" img013.jpg"), CHECK), (" img013.jpg: not named",), code=0),
    Case("16-bit frames", all_frames(encoded(face_image().astype(np.uint16) * 257, ".png"), ".png"), ("STRS",), 0),
    Case("CMYK frames", all_frames(CMYK.read_bytes()), ("STRS",), code=0),
    Case("gray frames", all_frames(encoded(cv2.cvtColor(face_image(), cv2.COLOR_BGR2GRAY))), ("STRS",), code=0),
    Case("frames with alpha", all_frames(encoded(ALPHA, ".png"), ".png"), ("STRS",), code=0),
]
if hasattr(os, "mkfifo"):
    FRAMES.append(Case("frame is a pipe", in_place_of_a_frame(os.mkfifo), ("img007.jpg", "is not a file")))

# Faces


def faces(images: Sequence[np.ndarray]) -> Spoil:
    """A run with weights over two videos of these frames, the last one repeated."""

    def spoil(root: Path) -> Sequence[str]:
        make_dataset(root)
        for i, image in enumerate(images[:-1], start=1):
            put(root / VIDEO / f"img{i:03d}.jpg", encoded(image))
        rest = encoded(images[-1])
        for number in range(len(images), N_FRAMES + 1):
            put(root / VIDEO / f"img{number:03d}.jpg", rest)
        add_weights(root)
        return ("--dataset_name", "CASME_sq", *RUN)

    return spoil


def no_face_in_one_of_three(root: Path) -> Sequence[str]:
    flags = faces([face_image()])(root)
    add_video(root / Path(VIDEO).with_name("1_0102b"), content=encoded(GRAY))
    path = root / "data/CASME_sq/code_final.xlsx"
    book = load_workbook(path)
    book.worksheets[0].append([1, "v0102_1", *BOOKS["CASME_sq"].sheets[0][0][2:]])
    book.save(path)
    return flags


def scaled(factor: float) -> np.ndarray:
    return cv2.resize(face_image(), None, fx=factor, fy=factor)


def moved(pixels: int) -> np.ndarray:
    """The face, moved to the left by `pixels`. The colour of the border follows it."""
    return cv2.copyMakeBorder(face_image()[:, pixels:], 0, 0, 0, pixels, cv2.BORDER_REPLICATE)


FACES = [
    Case("no face", faces([GRAY]), ("no face in any of the 2 videos", "1_0101a")),
    Case("no face in one of three videos", no_face_in_one_of_three, ("s1/1_0102b: no face in any",), code=1),
    Case("late face", faces([GRAY, GRAY, GRAY, face_image()]), ("s1/1_0101a: first face in frame 3",), code=0),
    Case("two faces", faces([np.hstack([face_image(), face_image()])]), ("STRS",), code=0),
    Case("face at the border", faces([moved(35)]), ("STRS",), code=0),
    Case("half a face", faces([moved(75)]), ("no face",)),
    Case("tiny face", faces([scaled(0.25)]), ("no face",)),
    Case("huge face", faces([scaled(6)]), ("STRS",), code=0),
    Case("face upside down", faces([face_image()[::-1]]), ("no face", "upright?")),
]

# Weights


def weights(change: Callable[[Path], object], *flags: str) -> Spoil:
    """A run after a change to the folder of the weights."""

    def spoil(root: Path) -> Sequence[str]:
        make_dataset(root)
        change(add_weights(root))
        return ("--dataset_name", "CASME_sq", *RUN, *flags)

    return spoil


def spot(change: Callable[[Path], object], *flags: str) -> Spoil:
    return weights(lambda folder: change(folder / "spot/s1.weights.h5"), *flags)


def cut(path: Path) -> None:
    put(path, path.read_bytes()[: path.stat().st_size // 2])


def an_array(change: Callable[[h5py.Group, str], object]) -> Callable[[Path], None]:
    """Change the first array of a weight file."""

    def spoil(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            found: list[str] = []
            file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
            group, _, name = found[0].rpartition("/")
            change(file[group], name)

    return spoil


def replaced(make: Callable[[h5py.Group, str], object]) -> Callable[[Path], None]:
    def change(group: h5py.Group, name: str) -> None:
        del group[name]
        make(group, name)

    return an_array(change)


def fill(value: float) -> Callable[[Path], None]:
    return an_array(lambda group, name: group[name].write_direct(np.full(group[name].shape, value, np.float32)))


def external_storage(group: h5py.Group, name: str) -> None:
    group.create_dataset(name, (2,), "f4", external=[("/etc/passwd", 0, 8)])


def virtual(group: h5py.Group, name: str) -> None:
    layout = h5py.VirtualLayout((2,), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape=(2,))
    group.create_virtual_dataset(name, layout)


def enormous(group: h5py.Group, name: str) -> None:
    group.create_dataset(name, (10**12,), "f4", chunks=(1024,))


def external_link(group: h5py.Group, name: str) -> None:
    group[name] = h5py.ExternalLink("/etc/passwd", "/x")


def other_shape(group: h5py.Group, name: str) -> None:
    group[name] = np.zeros((7, 7), np.float32)


def description(text: str) -> Spoil:
    return weights(lambda folder: (folder / "weights.json").write_text(text))


def published_only(folder: Path) -> None:
    """One file of the authors' instead of the project's own."""
    for kind in ("spot", "recog"):
        shutil.rmtree(folder / kind)
    (folder / "spot").mkdir()
    put(folder / "spot/s1.hdf5", b"x")


PICKLE = b"cos\nsystem\n(S'touch run'\ntR."
FILE = "spot/s1.weights.h5"
WEIGHTS = [
    Case("weights missing", spot(Path.unlink), (FILE, "no weights for subject s1")),
    Case("weights folder missing", weights(lambda folder: shutil.rmtree(folder.parent)), ("w/CASME_sq", "subject s1")),
    Case("weights are a folder", spot(lambda p: (p.unlink(), p.mkdir())), (FILE, "no weights for subject s1")),
    Case("weights of 0 bytes", spot(lambda p: put(p, b"")), (FILE, "does not fit")),
    Case("weights cut short", spot(cut), (FILE, "does not fit")),
    Case("weights are text", spot(lambda p: put(p, b"0.1 0.2\n")), (FILE, "does not fit")),
    Case("weights are a pickle", spot(lambda p: put(p, PICKLE)), (FILE, "does not fit")),
    Case("weights hold NaN", spot(fill(np.nan)), (FILE, "not finite")),
    Case("weights hold infinity", spot(fill(np.inf)), (FILE, "not finite")),
    Case("weights of another shape", spot(replaced(other_shape)), (FILE, "does not fit")),
    Case("weights lack an array", spot(replaced(lambda *_: None)), (FILE, "does not fit")),
    Case("weights of recognition", spot(lambda p: shutil.copy(p.parents[1] / "recog" / p.name, p)), (FILE, "not fit")),
    Case("weights in another file's bytes", spot(replaced(external_storage)), (FILE, "in another file")),
    Case("weights that are virtual", spot(replaced(virtual)), (FILE, "in another file")),
    Case("weights behind a link to a file", spot(replaced(external_link)), (FILE, "in another file")),
    Case("weights of 4 TB", spot(replaced(enormous)), (FILE, "larger than any weights")),
    Case("recognition weights are text", weights(lambda f: put(f / "recog/s1.weights.h5", b"x")), ("recog/s1",)),
    Case("recognition weights missing", weights(lambda f: (f / "recog/s1.weights.h5").unlink()), ("s1: no recog",), 0),
    Case("published weights are text", weights(published_only), ("14 subjects and 2 are",)),
    Case("weights.json is no JSON", description("{"), ("weights.json", "is not a description")),
    Case("weights.json is a list", description("[1]"), ("weights.json", "is not a description")),
    Case("weights.json for another k", description('{"k": 20}'), ("weights.json", "k = 20", "has 3")),
    Case("weights.json for other classes", description('{"classes": ["joy"]}'), ("weights.json", "classes")),
    Case("weights.json of upstream", description('{"protocol": "upstream"}'), ("weights.json", "upstream")),
    Case("weights.json with a number of 5000 digits", description(f'{{"held_out": {{"s{"9" * 5000}": "s1"}}}}'), (), 0),
    Case("weights.json with a group of subjects", description('{"held_out": {"s2": ["s1"]}}'), ("for subject s2",)),
    Case("weights.json with a path for a subject", description('{"held_out": {"../../s1": "s1"}}'), ("STRS",), code=0),
]  # fmt: skip

# Places


def place(change: Callable[[Path], object], flags: Sequence[str] = ()) -> Spoil:
    """A run with weights after a change to the workplace."""

    def spoil(root: Path) -> Sequence[str]:
        make_dataset(root)
        add_weights(root)
        for name in ("runs", "cache"):
            (root / name).mkdir()
            (root / name).chmod(0o777)
        change(root)
        return ("--dataset_name", "CASME_sq", *RUN, *flags)

    return spoil


def closed(name: str, mode: int = 0) -> Spoil:
    return place(lambda root: (root / name).chmod(mode))


def nothing(root: Path) -> None:
    """The user `nobody` cannot write in the data root in any case."""


PLACES = [
    Case("output is read only", closed("runs", 0o555), ("runs: cannot be written", "--output_dir"), as_nobody=True),
    Case("cache is read only", closed("cache", 0o555), ("cache/CASME_sq", "--cache_dir"), as_nobody=True),
    Case("data root is read only", place(nothing), ("data cannot be written: crops go to cache",), 0, as_nobody=True),
    Case("frame without permission", closed(f"{VIDEO}/img001.jpg"), ("img001.jpg", "Permission"), as_nobody=True),
    Case("video without permission", closed(VIDEO), ("1_0101a", "Permission denied"), as_nobody=True),
    Case("subject without permission", closed("data/CASME_sq/rawpic/s1"), ("s1", "Permission denied"), as_nobody=True),
    Case("frames without permission", closed("data/CASME_sq/rawpic"), ("rawpic", "Permission denied"), as_nobody=True),
    Case("weights without permission", closed(f"w/CASME_sq/{FILE}"), (FILE, "Permission denied"), as_nobody=True),
    Case("output is a file", place(lambda root: ((root / "runs").rmdir(), put(root / "runs", b"mine"))), ("runs",)),
    Case("cache is a file", place(lambda root: ((root / "cache").rmdir(), put(root / "cache", b"mine"))), ("cache",)),
]  # fmt: skip
