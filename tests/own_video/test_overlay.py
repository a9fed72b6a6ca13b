"""The overlay is read back."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from tests.support.video_clips import STEP, numbered, write_video
from Utils.own_video.drawing import CURVE, MOMENT, STRIP, Marked, OverlayFace, label_colours
from Utils.own_video.overlay import codec_remarks, overlay_writer
from Utils.own_video.pieces import ENCODERS
from Utils.own_video.video_files import open_video

# Overlay


def write(source, path: Path, faces, classes=None) -> None:
    """The whole overlay of a source."""
    for _ in source:
        pass
    with overlay_writer(path, source, faces, classes) as overlay:
        for frame in source:
            overlay.add(frame)


@pytest.fixture(scope="module")
def overlay(tmp_path_factory) -> Path:
    """40 frames of 160x121 pixels with two faces: one is gone from frame 20 on, one has an expression in 10 to 14."""
    folder = tmp_path_factory.mktemp("overlay")
    images = [np.full((121, 160, 3), 40, np.uint8) for _ in range(40)]
    source = open_video(write_video(folder / "a.mkv", images, 25, codec="ffv1", pix_fmt="bgr0"))
    scores = np.linspace(0, 1, 40)
    gone = np.where(np.arange(40) < 20, scores, np.nan)
    faces = [
        OverlayFace("face 0", lambda frame: (20, 30, 60, 70) if frame < 20 else None, gone, None, []),
        OverlayFace(
            "face 1", lambda frame: (100, 30, 140, 70), scores, 0.5, [Marked(10, 12, 14, "surprise – übt", 0.93)]
        ),
    ]
    write(source, folder / "overlay.mp4", faces)
    return folder / "overlay.mp4"


def decoded(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


def test_the_overlay_is_h264_of_the_same_frames(overlay):
    with av.open(str(overlay)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert stream.average_rate == 25
        assert (stream.width, stream.height) == (160, 121 + MOMENT + 2 * STRIP + 1)
    assert len(decoded(overlay)) == 40
    assert [p.name for p in overlay.parent.iterdir() if p.name.startswith(".")] == []


def test_boxes_follow_faces_and_expressions(overlay):
    frames = decoded(overlay)

    def edge(frame: int, column: int) -> np.ndarray:
        return frames[frame][40:60, column].mean(axis=0)

    assert edge(5, 20).mean() > 90 and edge(25, 20).mean() < 60  # the first face's left edge, then it is gone
    quiet, running = edge(5, 100), edge(12, 100)
    assert np.abs(quiet - quiet.mean()).max() < 25  # grey
    assert np.abs(running - label_colours(["surprise – übt"])["surprise – übt"]).max() < 60
    assert np.abs(edge(15, 100) - quiet).max() < 30  # inclusive frames 10 to 14


def test_the_strip_shows_scores_up_to_where_they_end(overlay):
    frames = decoded(overlay)
    first, second = (slice(121 + MOMENT + (i + 1) * STRIP - CURVE, 121 + MOMENT + (i + 1) * STRIP) for i in range(2))
    bright = [(frames[30][rows, 83:90] > 160).all(axis=-1).sum() for rows in (first, second)]
    assert bright[0] == 0 and bright[1] > 0  # right of the present


def test_emotions_have_the_colours_of_the_report(tmp_path):
    """Blue, orange, green as classes come; what is no class is white."""
    classes = ("negative", "positive", "surprise")
    bgr = [np.argmax(colour) for colour in label_colours(classes).values()]
    assert bgr == [0, 2, 1]
    source = open_video(write_video(tmp_path / "a.mkv", [np.zeros((96, 128, 3), np.uint8)] * 30, 25))
    runs = [Marked(0, 2, 4, "positive"), Marked(10, 12, 14, "unknown"), Marked(20, 22, 24, "surprise")]
    face = OverlayFace("", lambda frame: (20, 30, 60, 90), np.zeros(30), None, runs)
    write(source, tmp_path / "o.mp4", [face], classes)
    frames = decoded(tmp_path / "o.mp4")
    edges = [frames[i][50:70, 20].mean(axis=0) for i in (2, 12, 22, 28)]
    assert np.argmax(edges[0]) == 2 and np.argmax(edges[2]) == 1
    assert edges[1].min() > 190 and edges[3].max() < 190


@pytest.mark.parametrize("fps", [25, 30000 / 1001, 29.9437123])
def test_without_libx264_it_is_mpeg4_and_said(tmp_path, monkeypatch, fps):
    monkeypatch.setattr("Utils.own_video.pieces.ENCODERS", {"mpeg4": ENCODERS["mpeg4"]})
    source = open_video(write_video(tmp_path / "a.mp4", numbered(5)))
    source.fps = fps
    write(source, tmp_path / "o.mp4", [])
    (remark,) = codec_remarks()
    assert "is mpeg4, not H.264" in remark
    written = open_video(tmp_path / "o.mp4")
    levels = [f.image[20:28, 28:36].mean() for f in written]  # twice encoded: a little darker, in the same order
    assert np.allclose(np.diff(levels), STEP, atol=3)
    assert written.fps == pytest.approx(fps, rel=1e-3)


def test_h264_needs_no_remark():
    assert "libx264" in av.codecs_available and codec_remarks() == []


def test_large_videos_are_scaled(tmp_path):
    images = [np.full((40, 2000, 3), 90, np.uint8)] * 3
    source = open_video(write_video(tmp_path / "a.mkv", images, codec="ffv1", pix_fmt="bgr0"))
    write(source, tmp_path / "o.mp4", [OverlayFace("", lambda f: (0, 0, 2000, 40), np.zeros(3), None, [])])
    assert decoded(tmp_path / "o.mp4")[0].shape == (26 + MOMENT + STRIP, 1280, 3)


def test_nothing_is_left_of_an_overlay_that_fails(tmp_path):
    source = open_video(write_video(tmp_path / "a.mp4", numbered(5)))

    def broken(frame: int):
        if frame == 3:
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write(source, tmp_path / "o.mp4", [OverlayFace("", broken, np.zeros(5), None, [])])
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]
