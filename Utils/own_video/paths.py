"""Which videos the paths of the command line stand for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from Utils.errors import InputError, shown
from Utils.own_video.image_folders import images_in
from Utils.records import natural_key

SUFFIXES = (
    ".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mjpeg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf",
    ".ogv", ".ts", ".vob", ".webm", ".wmv",
)  # fmt: skip


def find_videos_to_run(paths: Sequence[Path]) -> list[Path]:
    """The videos that paths from the command line stand for.

    A file stands for itself, a folder of videos for its videos in natural order, a folder of images for one video. A
    video that is named twice is returned once.

    Raises
    ------
    InputError
        A path does not exist or cannot be read, or a folder has neither videos nor images.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            try:
                inside = sorted(path.iterdir(), key=lambda p: natural_key(p.name))
            except OSError as error:
                raise InputError(f"{shown(path)}: cannot be read ({error.strerror})") from None
            videos = [p for p in inside if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")]
            videos = [p for p in videos if not p.is_dir()]  # links to nothing stay: they are reported later
            if not videos and not images_in(path):
                raise InputError(f"{shown(path)}: holds neither videos ({', '.join(SUFFIXES)}) nor images")
            found += videos or [path]
        elif path.exists():
            found.append(path)
        else:
            raise InputError(f"{shown(path)}: no such file or folder; give what --video should read")
    return list(dict.fromkeys(found))
