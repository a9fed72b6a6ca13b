"""Cases of the user's own videos: files, folders of them, folders of frames, and the flags that go with `--video`."""

from __future__ import annotations

import io
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from tests.support.bad_input import Case, encoded, face_image, put
from tests.support.bad_input_flags import given
from tests.support.video_clips import numbered, turn, write_sound, write_video

Spoil = Callable[[Path], Sequence[str]]
Make = Callable[[Path], object]


@cache
def clip(suffix: str = ".mp4", n: int = 4, size: tuple[int, int] = (64, 48), **how) -> bytes:
    """The bytes of a video of frames without a face."""
    with tempfile.TemporaryDirectory() as folder:
        return write_video(Path(folder) / f"clip{suffix}", numbered(n, size), **how).read_bytes()


def videos(make: Make, *paths: str, flags: Sequence[str] = ()) -> Spoil:
    """A command over these paths after `make(root)`."""

    def spoil(root: Path) -> Sequence[str]:
        make(root)
        return ("--video", *paths, *flags, "--workers", "1")

    return spoil


def a_file(content: bytes | Make, name: str = "a.mp4", *flags: str) -> Spoil:
    """A command over one file; `content` are its bytes, or what makes it."""
    write = content if callable(content) else lambda path: path.write_bytes(content)
    return videos(lambda root: write(root / name), f"./{name}", flags=flags)


def write(images: Sequence[np.ndarray], **how) -> Make:
    return lambda path: write_video(path, images, **how)


# Files


def zipped() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a.txt", "no video")
    return content.getvalue()


def noisy(suffix: str, n: int = 40) -> Make:
    """A video with frames of many bytes, so that half of the file has half of them."""
    images = [np.random.default_rng(i).integers(0, 255, (48, 64, 3), np.uint8) for i in range(n)]
    return write(images, **({"codec": "mjpeg", "pix_fmt": "yuvj420p"} if suffix == ".avi" else {}))


def cut_in_half(path: Path) -> None:
    noisy(path.suffix)(path)
    put(path, path.read_bytes()[: path.stat().st_size // 2])


def corrupt_in_the_middle(path: Path) -> None:
    noisy(path.suffix)(path)
    data = bytearray(path.read_bytes())
    start = data.index(b"00dc", len(data) // 2)
    data[start + 8 : start + 600] = bytes(592)
    put(path, bytes(data))


def gif_of_size(width: int, height: int) -> bytes:
    """A picture of one pixel on a canvas of that size."""
    size = width.to_bytes(2, "little") + height.to_bytes(2, "little")
    picture = b"," + bytes(4) + b"\1\0\1\0\0" + b"\2\2\x44\1\0"
    return b"GIF89a" + size + b"\x80\0\0" + bytes(6) + picture + b";"


def linked(target: str) -> Make:
    return lambda path: path.symlink_to(target)


def closed(path: Path) -> None:
    path.write_bytes(clip())
    path.chmod(0)


NO_VIDEO = ("a.mp4", "is not a video that can be read")
NAME = "the name has characters that cannot be shown"
HTML = b"<!doctype html><html><body>404 Not Found</body></html>" * 20
UNEVEN = (0, 33, 67, 100, 300, 333, 400)
NO_FACE = "no face was found"

FILES = [
    Case("video missing", videos(lambda root: None, "gone.mp4"), ("gone.mp4: no such file", "--video")),
    Case("video of 0 bytes", a_file(b""), ("a.mp4", "is empty (0 bytes)")),
    Case("video is text", a_file(b"Lorem ipsum dolor sit amet. " * 50), NO_VIDEO),
    Case("video is HTML", a_file(HTML), NO_VIDEO),
    Case("video is a ZIP", a_file(zipped()), NO_VIDEO),
    Case("video of random bytes", a_file(np.random.default_rng(0).bytes(5000)), NO_VIDEO),
    Case("video of zeros", a_file(bytes(5000)), NO_VIDEO),
    Case("video is a PNG", a_file(encoded(face_image(), ".png")), NO_VIDEO),
    Case("video is a JPEG", a_file(encoded(face_image())), NO_VIDEO),
    Case("video is a playlist", a_file(b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "a.m3u8"), ("a.m3u8", "not a")),
    Case("video is a list of files", a_file(b"ffconcat version 1.0\nfile b.mp4\n", "a.mkv"), ("a.mkv", "not a video")),
    Case("header of a video alone", a_file(clip()[:32]), NO_VIDEO),
    Case("MP4 cut short", a_file(clip()[:-300]), NO_VIDEO),
    Case("Matroska cut short", a_file(cut_in_half, "a.mkv"), ("a.mkv", "it may be cut off", "report.html"), 0),
    Case("corrupt in the middle", a_file(corrupt_in_the_middle, "a.avi"), ("1 packet(s) cannot be decoded",), 0),
    Case("sound only", a_file(write_sound), ("a.mp4", "has no pictures (audio only)")),
    Case("80 megapixels", a_file(gif_of_size(20_000, 4_000), "a.gif"), ("a.gif", "of at most 8192x8192 pixels")),
    Case("video 20,000 pixels wide", a_file(write(numbered(1, (20_000, 48)), codec="mjpeg", pix_fmt="yuvj420p")),
         (NO_FACE,), 0),
    Case("video of one pixel", a_file(write(numbered(3, (1, 1)), codec="ffv1", pix_fmt="bgr0"), "a.mkv"),
         (NO_FACE,), 0),
    Case("video of 2x2 pixels", a_file(clip(size=(2, 2))), (NO_FACE,), 0),
    Case("video of an odd size", a_file(clip(".mkv", size=(65, 49), codec="ffv1", pix_fmt="bgr0"), "a.mkv"),
         (NO_FACE,), 0),
    Case("gray video", a_file(clip(".mkv", codec="ffv1", pix_fmt="gray"), "a.mkv"), (NO_FACE,), 0),
    Case("10-bit video", a_file(clip(".mkv", codec="ffv1", pix_fmt="yuv420p10le"), "a.mkv"), (NO_FACE,), 0),
    Case("video of one frame", a_file(write([face_image()])), ("too short to score",), 0),
    Case("video without a face", a_file(clip()), (NO_FACE,), 0),
    Case("variable frame rate", a_file(write(numbered(7), times=UNEVEN), "a.mkv"), ("frame rate is variable",), 0),
    Case("a frame per second", a_file(write(numbered(3), fps=1)), ("are few",), 0),
    Case("a frame in 10 seconds", a_file(write(numbered(3), times=(0, 10_000, 20_000)), "a.mkv"), ("outside [1",)),
    Case("time jumps by hours", a_file(write(numbered(3), times=(0, 40, 7_200_000)), "a.mkv"), ("jumps by 7200 s",)),
    Case("rotated video", a_file(lambda path: turn(write(numbered(4))(path), 90)), (NO_FACE,), 0),
    Case("--fps for a file", a_file(clip(), "a.mp4", "--fps", "30"), ("a.mp4", "leave --fps out")),
    Case("link to nothing", a_file(linked("gone.mp4")), ("a.mp4: no such file",)),
    Case("link to itself", a_file(linked("a.mp4")), ("a.mp4: no such file",)),
    Case("link to a video", a_file(lambda path: (put(path.with_name("b.mp4"), clip()), path.symlink_to("b.mp4"))),
         (NO_FACE,), 0),
    Case("/dev/null", given("--video", "/dev/null"), ("/dev/null", "neither a file nor a folder")),
    Case("/dev/zero", given("--video", "/dev/zero"), ("/dev/zero", "neither a file nor a folder")),
    Case("link to /dev/zero", a_file(linked("/dev/zero")), ("a.mp4", "neither a file nor a folder")),
    Case("file without permission", a_file(closed), ("a.mp4", "Permission denied"), as_nobody=True),
]  # fmt: skip
if hasattr(os, "mkfifo"):
    FILES.append(Case("video is a pipe", a_file(os.mkfifo), ("a.mp4", "neither a file nor a folder")))

LONG = "a" * 251
NAMES = [
    Case("name with a line break", a_file(clip(), "a\nb.mp4"), ("a\\nb.mp4", NAME, "rename")),
    Case("name with an escape", a_file(clip(), "a\x1b[2Jb.mp4"), ("a\\x1b[2Jb.mp4", NAME)),
    Case("missing, with a line break", videos(lambda root: None, "a\nb.mp4"), ("a\\nb.mp4: no such file",)),
    Case("name that is no Unicode", a_file(clip(), "a\udcffb.mp4"), ("a\\udcffb.mp4", "rename")),
    Case("name of 256 characters", videos(lambda root: None, "a" * 252 + ".mp4"), ("File name too long",)),
    Case("name of 255 characters", a_file(clip(), f"{LONG}.mp4"), (NO_FACE, LONG), 0),
    Case("name too long for .eaf", a_file(clip(".ts"), f"{LONG}a.ts"), (f"{LONG}a.ts", "too long", "rename")),
    Case("name with umlaut, Chinese, blanks", a_file(clip(), " ü – 录像 1 .mp4"), (" ü – 录像 1 ",), 0),
    Case("name that is HTML", a_file(clip(), "<script>alert(1)<&.mp4"), ("<script>alert(1)<&: no face",), 0),
    Case("name of dots", a_file(clip(), "...mp4"), ("runs/...mp4/report.html",), 0),
    Case("name with a dash first", videos(lambda root: put(root / "-a.mp4", clip()), "-a.mp4"), ("--video",)),
    Case("name with a dash, said otherwise", a_file(clip(), "-a.mp4"), (NO_FACE,), 0),
]

# Folders


def folder(*files: tuple[str, bytes | Make]) -> Make:
    """Files, or what makes them, in `v`."""

    def make(root: Path) -> None:
        (root / "v").mkdir()
        for name, content in files:
            (content if callable(content) else lambda path, data=content: path.write_bytes(data))(root / "v" / name)

    return make


def nested(root: Path) -> None:
    (root / "v/deeper").mkdir(parents=True)
    put(root / "v/deeper/a.mp4", clip())


def closed_folder(root: Path) -> None:
    folder(("a.mp4", clip()))(root)
    (root / "v").chmod(0)


GOOD, BAD = ("good.mp4", clip()), ("bad.mp4", b"no video")
FOLDERS = [
    Case("empty folder", videos(folder(), "v"), ("v: holds neither videos", "nor images")),
    Case("folder of text", videos(folder(("a.txt", b"x"), ("b.mp4.part", b"x")), "v"), ("v: holds neither videos",)),
    Case("videos in a subfolder only", videos(nested, "v"), ("v: holds neither videos",)),
    Case("hidden video only", videos(folder((".a.mp4", clip())), "v"), ("v: holds neither videos",)),
    Case("folder without permission", videos(closed_folder, "v"), ("v: cannot be read (Permission",), as_nobody=True),
    Case("one of two is bad", videos(folder(GOOD, BAD), "v"), ("v/bad.mp4", "is not a video"), 1, n_lines=1),
    Case("two of three are bad", videos(folder(GOOD, BAD, ("c.mp4", b"")), "v"), ("v/bad.mp4", "v/c.mp4"), 1,
         n_lines=2),
    Case("all are bad", videos(folder(BAD, ("c.mkv", b"")), "v"), ("v/bad.mp4: is not a", "v/c.mkv: the"), n_lines=2),
    Case("one links to nothing", videos(folder(GOOD, ("a.mp4", linked("x"))), "v"), ("v/a.mp4", "No such"), 1,
         n_lines=1),
    Case("one links to itself", videos(folder(GOOD, ("a.mp4", linked("a.mp4"))), "v"), ("v/a.mp4", "symbolic links"), 1,
         n_lines=1),
    Case("folder links to itself, with a video", videos(folder(GOOD, ("up", linked("../v"))), "v"), (NO_FACE,), 0),
    Case("folder links to itself alone", videos(lambda root: (root / "v").symlink_to("v"), "v"),
         ("v: no such file or folder",)),
    Case("one with an escape", videos(folder(GOOD, ("a\x1bb.mp4", clip())), "v"), ("a\\x1bb.mp4", NAME), 1, n_lines=1),
    Case("one that is no Unicode", videos(folder(GOOD, ("a\udcff.mp4", clip())), "v"), ("a\\udcff.mp4", NAME), 1,
         n_lines=1),
    Case("one without permission", videos(folder(GOOD, ("a.mp4", closed)), "v"), ("v/a.mp4", "Permission"), 1,
         as_nobody=True, n_lines=1),
    Case("same file twice", videos(lambda root: put(root / "a.mp4", clip()), "a.mp4", "./a.mp4", "a.mp4"),
         ("MEAN on 1 video(s)",), 0),
    Case("file and folder that holds it", videos(folder(GOOD, BAD), "v/good.mp4", "v"), ("v/bad.mp4",), 1, n_lines=1),
    Case("folder and a missing file", videos(folder(GOOD), "v", "gone.mp4"), ("gone.mp4: no such file",)),
    Case("named like the table of all", videos(folder(("predictions.csv.mp4", clip()), GOOD), "v"),
         ("runs/predictions.csv.mp4/report.html",), 0),
]  # fmt: skip

# Folders of frames

PLAIN = encoded(numbered(1)[0])
FPS = ("--fps", "30")


def frames(*files: tuple[str, bytes | Make], flags: Sequence[str] = FPS, path: str = "v", n: int = 3) -> Spoil:
    """A command over frames 1 to `n` and these files."""
    return videos(folder(*((f"img{i}.jpg", PLAIN) for i in range(1, n + 1)), *files), path, flags=flags)


def a_frame(content: bytes | Make) -> Spoil:
    return frames(("img9.jpg", content))


def png_of_size(width: int, height: int) -> bytes:
    """An image whose header states this size, although it has the content of one pixel."""
    small = encoded(np.zeros((1, 1), np.uint8), ".png")
    header = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + small[24:29]
    return small[:12] + header + zlib.crc32(header).to_bytes(4, "big") + small[33:]


def here(root: Path) -> None:
    put(root / "img1.jpg", PLAIN)


IMAGES = [
    Case("frames without --fps", frames(flags=()), ("v: is a folder of images", "--fps")),
    Case("own frame of 0 bytes", a_frame(b""), ("v/img9.jpg", "not a readable image (0 bytes)")),
    Case("own frame cut short", a_frame(PLAIN[:-200]), ("v/img9.jpg", "cut short")),
    Case("own frame is text", a_frame(b"Lorem ipsum"), ("v/img9.jpg", "not a readable image")),
    Case("own frame of another size", a_frame(encoded(face_image())), ("v/img9.jpg: is 160x120", "64x48")),
    Case("own frame too large", a_frame(png_of_size(20_000, 4_000)), ("v/img9.jpg", "64 megapixels")),
    Case("own frame without permission", a_frame(closed), ("v/img9.jpg", "Permission denied"), as_nobody=True),
    Case("own frame links to nothing", a_frame(linked("gone.jpg")), ("v/img9.jpg", "link to nothing")),
    Case("own frame links to itself", a_frame(linked("img9.jpg")), ("v/img9.jpg",)),
    Case("own frame is /dev/zero", a_frame(linked("/dev/zero")), ("v/img9.jpg", "is not a file")),
    Case("own frame is there twice", frames(("img002.jpg", PLAIN)), ("frame 2 is there twice", "img002.jpg")),
    Case("own frame as JPEG and PNG", frames(("img2.png", encoded(numbered(1)[0], ".png"))), ("frame 2", "twice")),
    Case("gap in own frames", a_frame(PLAIN), ("5 frame number(s) missing",), 0),
    Case("own frames without numbers", videos(folder(("a.jpg", PLAIN), ("b.jpg", PLAIN)), "v", flags=FPS),
         (NO_FACE,), 0),
    Case("one own frame", frames(n=1), (NO_FACE,), 0),
    Case("own frame with a line break", frames(("a\nb.jpg", b"x")), ("a\\nb.jpg", "not a readable image")),
    Case("own frames, and a text", frames(("notes.txt", b"x"), ("x.jpg", Path.mkdir)), (NO_FACE,), 0),
    Case("the folder one is in", videos(here, ".", flags=FPS), (NO_FACE, "runs/mean-bad-input-"), 0),
]  # fmt: skip
if hasattr(os, "mkfifo"):
    IMAGES.append(Case("own frame is a pipe", a_frame(os.mkfifo), ("v/img9.jpg", "is not a file")))

# Flags

VALUES = {
    "fps": ("0", "-1", "0.5", "1001", "1e300", "nan", "inf", "fast", "30fps", ""),
    "face": ("both", "Largest", ""),
    "absolute_threshold": ("nan", "inf", "101", "-101", "high", ""),
    "half_length": ("0", "-1", "nan", "inf", "11", "long"),
    "spotting": ("both", "Paper", ""),
    "false_alarms": ("0", "-1", "0.009", "61", "nan", "inf", "few", ""),
}
TABLES = ("--evaluate", "p.csv", "--ground_truth", "g.csv")
TOGETHER = [("--train", "True"), ("--evaluate", "p.csv"), ("--runs", "2"), TABLES]
VIDEO_FLAGS = [
    Case(f"--{name} {value!r}", given("--video", "a.mp4", f"--{name}", value), (f"--{name}",))
    for name, values in VALUES.items()
    for value in values
]
VIDEO_FLAGS += [
    Case(f"--video and {' '.join(more)}", given("--video", "a.mp4", *more), (more[0],)) for more in TOGETHER
]
VIDEO_FLAGS += [Case("--video without a value", given("--video"), ("--video",))]

VIDEOS = [*FILES, *NAMES, *FOLDERS, *IMAGES, *VIDEO_FLAGS]
