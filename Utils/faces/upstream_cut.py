"""How the authors' code cuts a video: by the faces in its first frame (docs/method.md, section 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from Utils.faces.rectangles import Rectangle, clip_rectangle
from Utils.records import Video


@dataclass(frozen=True)
class UpstreamCut:
    """How the authors' code cuts a video: the rectangle, and a remark if there is something special about it.

    The rectangle is None if that code stops or would cut nothing. The video is then cut as the paper says.
    """

    rectangle: Rectangle | None
    remark: str


def upstream_cut(video: Video, faces: Sequence[Rectangle], source: Video, shape: tuple[int, int]) -> UpstreamCut:
    """The cut of a video by the last of `faces`, which are those in the first frame of `source`.

    `source` is the video itself or one before it. `shape` is the (height, width) of the video's own first frame.
    """
    if not faces:
        why = "no face in frame 0, and in no video before it"
        return UpstreamCut(None, f"{video.label}: {why}; the authors' code stops there, cut as the paper says")
    left, top, *_ = faces[-1]
    clipped = clip_rectangle(faces[-1], shape)
    if left < 0 or top < 0 or clipped is None:
        frame = "frame 0" if source is video else f"frame 0 of {source.label}"
        why = f"the face of {frame} reaches beyond the image"
        return UpstreamCut(None, f"{video.label}: {why}; the authors' code stops there, cut as the paper says")
    if source is not video:
        return UpstreamCut(clipped, f"{video.label}: no face in frame 0, cut with the rectangle of {source.label}")
    if len(faces) > 1:
        return UpstreamCut(clipped, f"{video.label}: {len(faces)} faces in frame 0, cut with the detector's last one")
    return UpstreamCut(clipped, "")
