"""What was drawn is kept: another threshold draws only what has changed, and its files are those of a new run."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest

import main
import Utils.own_video.clips
import Utils.own_video.kept_drawings
import Utils.own_video.run
from tests.support import faults
from tests.support.damage import DAMAGES
from tests.support.video_clips import numbered, write_film, write_video
from Utils.own_video.drawing import SPAN, Marked, OverlayFace
from Utils.own_video.kept import make_room
from Utils.own_video.overlay import EarlierOverlay, Overlay, identity_of, overlay_writer
from Utils.own_video.pieces import Pictures
from Utils.own_video.video_files import FrameSource, open_video
from Utils.work.cache import KEY_DIGITS

# Overlays of a film of 12 s with 5 frames a second: 12 pieces of 5 frames

FPS, SECONDS = 5, 12
N, HALF = FPS * SECONDS, round(SPAN / 2 * FPS)  # frames; those that a strip shows on each side
SCORES = np.sin(np.arange(N) / 7) ** 2
FIRST, SECOND = Marked(4, 5, 6, "positive", 0.9), Marked(40, 41, 42, "surprise", 0.8)
REDRAWN = {piece for piece in range(SECONDS) if piece * FPS <= 42 + HALF and (piece + 1) * FPS > 40 - HALF}
CLASSES = ("negative", "positive", "surprise")
SOUNDS = {  # encoder of the film's sound, and in which file
    "copied": ("aac", "a.mp4"),
    "copied MP3": ("libmp3lame", "a.mkv"),
    "encoded": ("pcm_s16le", "a.mkv"),
    "ends early": ("aac", "b.mkv"),
    "none": (None, "a.mp4"),
}


def face(*expressions: Marked, name: str = "", threshold=None, scores=SCORES, left: int = 10) -> OverlayFace:
    return OverlayFace(name, lambda frame: (left, 10, left + 30, 40), scores, threshold, expressions)


def read_once(path: Path) -> FrameSource:
    source = open_video(path)
    for _ in source:
        pass
    return source


@pytest.fixture(scope="module", params=SOUNDS)
def film(request, tmp_path_factory) -> FrameSource:
    sound, name = SOUNDS[request.param]
    path = tmp_path_factory.mktemp("film") / name
    if sound is None:
        return read_once(write_video(path, numbered(40) + numbered(N - 40), FPS))
    end = 2 if name == "b.mkv" else SECONDS
    return read_once(write_film(path, sound, [i / FPS for i in range(N)], 1.2, (0, end)))


def write(path: Path, source: FrameSource, drawn: OverlayFace, earlier: EarlierOverlay | None = None) -> Overlay:
    """Write an overlay, and give it only the frames that it needs."""
    with overlay_writer(path, source, [drawn], CLASSES, earlier) as overlay:
        wanted = {i for first, last in overlay.needed for i in range(first, last + 1)}
        for frame in source:
            if frame.index in wanted:
                overlay.add(frame)
    assert not [p for p in path.parent.iterdir() if p.name.startswith(".")]
    return overlay


def as_earlier(path: Path, overlay: Overlay) -> EarlierOverlay:
    return EarlierOverlay(path, identity_of(path), overlay.pieces, overlay.sound_remarks)


def test_only_the_changed_pieces_are_encoded_and_the_bytes_are_the_same(film, tmp_path):
    """There and back again: an expression is new, then it is gone."""
    before, after = face(FIRST), face(FIRST, SECOND)
    alone = write(tmp_path / "alone.mp4", film, after)
    earlier = write(tmp_path / "before.mp4", film, before)
    assert alone.n_encoded == earlier.n_encoded == SECONDS
    changed = write(tmp_path / "changed.mp4", film, after, as_earlier(tmp_path / "before.mp4", earlier))
    assert changed.needed == [(min(REDRAWN) * FPS, (max(REDRAWN) + 1) * FPS - 1)]
    assert changed.n_encoded == len(REDRAWN) < SECONDS
    assert changed.pieces == alone.pieces and changed.remarks == alone.remarks == []
    assert (tmp_path / "changed.mp4").read_bytes() == (tmp_path / "alone.mp4").read_bytes()
    again = write(tmp_path / "again.mp4", film, before, as_earlier(tmp_path / "changed.mp4", changed))
    assert again.n_encoded == len(REDRAWN)
    assert (tmp_path / "again.mp4").read_bytes() == (tmp_path / "before.mp4").read_bytes()
    same = write(tmp_path / "same.mp4", film, before, as_earlier(tmp_path / "again.mp4", again))
    assert same.n_encoded == 0 and same.needed == []
    assert (tmp_path / "same.mp4").read_bytes() == (tmp_path / "before.mp4").read_bytes()


def test_an_overlay_has_every_frame_in_its_place_and_a_key_frame_each_second(film, tmp_path):
    write(tmp_path / "o.mp4", film, face(FIRST, SECOND))
    with av.open(str(tmp_path / "o.mp4")) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        times = [packet.pts * packet.time_base for packet in packets]
    assert [float(time * FPS) for time in times] == list(range(N)) and stream.average_rate == FPS
    assert [i for i, packet in enumerate(packets) if packet.is_keyframe] == list(range(0, N, FPS))
    with av.open(str(tmp_path / "o.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == N


@pytest.fixture(scope="module")
def silent(tmp_path_factory) -> FrameSource:
    path = tmp_path_factory.mktemp("silent") / "a.mp4"
    return read_once(write_video(path, numbered(40) + numbered(N - 40), FPS))


def test_an_overlay_that_was_replaced_since_is_not_used(silent, tmp_path):
    """Another run of the same video can put its own there, with other pieces."""
    path = tmp_path / "before.mp4"
    earlier = as_earlier(path, write(path, silent, face(FIRST)))
    write(path, silent, face(SECOND))
    changed = write(tmp_path / "changed.mp4", silent, face(FIRST, SECOND), earlier)
    assert changed.n_encoded == SECONDS
    path.unlink()
    assert write(tmp_path / "gone.mp4", silent, face(FIRST, SECOND), earlier).n_encoded == SECONDS
    write(tmp_path / "alone.mp4", silent, face(FIRST, SECOND))
    for name in ("changed.mp4", "gone.mp4"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "alone.mp4").read_bytes()


@pytest.mark.parametrize("lost", [range(33, N), range(10, 12)])
def test_a_piece_that_is_not_whole_is_not_used_again(silent, tmp_path, lost):
    """A video that could not be read to its end, or not in the middle, can be whole the next time."""
    path = tmp_path / "short.mp4"
    with overlay_writer(path, silent, [face(FIRST)], CLASSES) as short:
        for frame in silent:
            if frame.index not in lost:
                short.add(frame)
    again = write(tmp_path / "again.mp4", silent, face(FIRST), as_earlier(path, short))
    assert again.n_encoded == len({i // FPS for i in lost})
    write(tmp_path / "alone.mp4", silent, face(FIRST))
    assert (tmp_path / "again.mp4").read_bytes() == (tmp_path / "alone.mp4").read_bytes()


def raised(scores: np.ndarray, frame: int, by: float) -> np.ndarray:
    scores = scores.copy()
    scores[frame] += by
    return scores


EVERYWHERE = set(range(SECONDS))
AROUND_20 = {piece for piece in range(SECONDS) if piece * FPS <= 20 + HALF and (piece + 1) * FPS > 20 - HALF}
CHANGES = {
    "nothing": (face(FIRST), set()),
    "name": (face(FIRST, name="face 0"), EVERYWHERE),
    "place": (face(FIRST, left=11), EVERYWHERE),
    "threshold": (face(FIRST, threshold=0.5), EVERYWHERE),  # its line is seen all the time
    "highest score": (face(FIRST, scores=raised(SCORES, 20, 2)), EVERYWHERE),  # the scale is another one
    "a score": (face(FIRST, scores=raised(SCORES, 20, 0.01)), AROUND_20),
    "emotion": (face(FIRST._replace(label="negative")), {0, 1, 2, 3, 4}),
    "probability": (face(FIRST._replace(p_micro=0.91)), {0, 1, 2, 3, 4}),
    "a later onset": (face(FIRST._replace(onset=5)), {0, 1, 2, 3, 4}),
    "which one comes first": (face(FIRST, FIRST._replace(label="negative")), {0, 1, 2, 3, 4}),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_hash_has_everything_that_is_drawn(silent, what):
    drawn, expected = CHANGES[what]
    before, after = (Pictures(silent, [shown], CLASSES).hashes() for shown in (face(FIRST), drawn))
    assert {i for i in EVERYWHERE if before[i] != after[i]} == expected


def test_a_hash_has_the_colours_the_encoder_and_the_rate(silent, monkeypatch):
    def hashes(classes=CLASSES) -> list[str]:
        return Pictures(silent, [face(FIRST)], classes).hashes()

    before = hashes()
    assert not set(before) & set(hashes(CLASSES[::-1]))
    monkeypatch.setattr("Utils.own_video.pieces.ENCODERS", {"libx264": {"crf": "24", "preset": "ultrafast"}})
    assert not set(before) & set(hashes())
    monkeypatch.undo()
    monkeypatch.setattr(silent, "fps", 4.99)
    assert not set(before) & set(hashes())


# Whole commands, with made-up scores: 7 s with 30 frames a second, with one expression, or two with 6 false alarms

N_FRAMES, N_PIECES, N_CHANGED = 210, 7, 5
SAME = ("expressions.csv", "candidates.csv", "frames.csv", "predictions.csv", "overlay.mp4", "report.html")
MORE = ("--false_alarms", 6)


class Drawn(NamedTuple):
    """What a command did."""

    frames: int  # that were read to draw on them
    pieces: int  # of the overlay that were encoded
    clips: int  # that were made


@pytest.fixture
def drawn(monkeypatch) -> Callable[[], Drawn]:
    """What was drawn since it was asked the last time."""
    counts, written = dict(frames=0, clips=0), []
    choose = Utils.own_video.run.choose_expressions

    def chosen(job, *others):
        expressions, candidates = choose(job, *others)
        return expressions.iloc[: None if job.spotting.false_alarms == MORE[1] else 1], candidates

    def counted(frames):
        for frame in frames:
            counts["frames"] += 1
            yield frame

    def clip(frames, crops, fps):
        counts["clips"] += 1
        return {"frames": list(frames.numbers), "sum": int(sum(crop.sum() for crop in crops))}

    def report(path, title, curves, *_, **__):
        path.write_text(json.dumps([curve.clip("", i) for curve in curves for i in range(len(curve.predictions))]))

    class Watched(Overlay):
        def __init__(self, *given) -> None:
            super().__init__(*given)
            written.append(self)

    faults.stand_in_for_scores(monkeypatch)
    monkeypatch.setattr(Utils.own_video.overlay, "Overlay", Watched)
    monkeypatch.setattr(Utils.own_video.clips, "clip_data", clip)
    for name, stand_in in (("choose_expressions", chosen), ("read_ahead", counted), ("write_report", report)):
        monkeypatch.setattr(Utils.own_video.run, name, stand_in)

    def count() -> Drawn:
        found = Drawn(counts["frames"], sum(overlay.n_encoded for overlay in written), counts["clips"])
        counts.update(frames=0, clips=0)
        written.clear()
        return found

    return count


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("video") / "a.mp4"
    return write_video(path, [numbered(30)[i % 30] for i in range(N_FRAMES)])


@pytest.fixture
def run(video, tmp_path) -> Callable[..., dict[str, bytes]]:
    """`run(out, flags)`: the results of the command, in a folder of this name."""

    def command(out: str, *flags: object, cache: str = "cache") -> dict[str, bytes]:
        places = ("--video", video, "--output_dir", tmp_path / out, "--cache_dir", tmp_path / cache)
        assert main.main([*map(str, (*places, *flags)), "--workers", "1"]) == 0
        (folder,) = (tmp_path / out).iterdir()
        return {name: (folder / name).read_bytes() for name in SAME}

    return command


@pytest.fixture(scope="module")
def made_before() -> dict[str, bytes]:
    """The results of `fresh`, once they are made."""
    return {}


@pytest.fixture
def fresh(run, drawn, made_before) -> dict[str, bytes]:
    """The results with two expressions, of a run that had nothing. It is done once."""
    if not made_before:
        made_before.update(run("fresh", *MORE, cache="other cache"))
        assert drawn() == (N_FRAMES, N_PIECES, 2) and len(json.loads(made_before["report.html"])) == 2
    return made_before


@pytest.fixture
def kept(run, drawn, fresh, tmp_path) -> Path:
    """The folder of what is kept after a run with one expression."""
    run("first")
    assert drawn() == (N_FRAMES, N_PIECES, 1)
    (folder,) = (tmp_path / "cache/overlays").iterdir()
    return folder


def test_another_threshold_draws_what_has_changed(run, drawn, fresh, kept):
    """Only the frames of the changed pieces are read, and only the new clip is made."""
    assert run("second", *MORE) == fresh
    assert drawn() == (N_CHANGED * 30, N_CHANGED, 1)
    assert run("third", "--false_alarms", 2)["expressions.csv"] != fresh["expressions.csv"]
    assert drawn() == (N_CHANGED * 30, N_CHANGED, 0)
    assert run("fourth", "--fresh", *MORE) == fresh
    assert drawn() == (N_FRAMES, N_PIECES, 2)


def test_only_the_latest_overlay_is_kept_and_takes_no_room(run, kept, tmp_path):
    assert {path.name for path in kept.iterdir()} == {"overlay.mp4", "clips.json", "kept.json"}
    assert (kept / "overlay.mp4").samefile(tmp_path / "first/a/overlay.mp4")
    assert len(json.loads((kept / "clips.json").read_text())) == 1
    run("second", *MORE)
    assert list(kept.parent.iterdir()) == [kept] and len(list(kept.iterdir())) == 3
    assert (kept / "overlay.mp4").samefile(tmp_path / "second/a/overlay.mp4")
    assert (tmp_path / "first/a/overlay.mp4").stat().st_nlink == 1
    assert len(json.loads((kept / "clips.json").read_text())) == 2


def test_on_another_file_system_it_is_copied(run, drawn, fresh, kept, tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", refused)
    assert run("second", *MORE) == fresh and drawn().pieces == N_CHANGED
    assert (kept / "overlay.mp4").read_bytes() == fresh["overlay.mp4"]
    assert not (kept / "overlay.mp4").samefile(tmp_path / "second/a/overlay.mp4")


def test_what_the_user_does_with_the_results_does_no_harm(run, drawn, fresh, kept, tmp_path):
    shutil.rmtree(tmp_path / "first")
    assert run("second", *MORE) == fresh and drawn().pieces == N_CHANGED
    with (tmp_path / "second/a/overlay.mp4").open("r+b") as file:  # the kept one is the same file
        file.seek(5000)
        file.write(b"changed")
    assert run("third", *MORE) == fresh and drawn().pieces == N_PIECES
    assert run("fourth", "--false_alarms", 2) and drawn().pieces == N_CHANGED


@pytest.mark.parametrize(
    ("name", "pieces", "clips"),
    [("overlay.mp4", N_PIECES, 1), ("clips.json", N_CHANGED, 2), ("kept.json", N_PIECES, 2)],
)
def test_what_is_damaged_is_drawn_again(name, pieces, clips, run, drawn, fresh, kept):
    whole = {path.name: path.read_bytes() for path in kept.iterdir()}
    for i, (damage, change) in enumerate(DAMAGES.items()):
        shutil.rmtree(kept)
        kept.mkdir()
        for other, content in whole.items():
            if other != name or change is not None:
                (kept / other).write_bytes(change(content) if other == name else content)
        assert run(f"again {i}", *MORE) == fresh, damage
        assert drawn()[1:] == (pieces, clips), damage


def test_a_cache_that_cannot_be_written_stops_nothing(run, drawn, fresh, kept, tmp_path):
    shutil.rmtree(tmp_path / "cache/overlays")
    (tmp_path / "cache/overlays").write_text("a file")
    for i in range(2):
        assert run(f"again {i}", *MORE) == fresh and drawn().pieces == N_PIECES


def test_what_was_used_the_longest_ago_is_removed(run, kept, tmp_path, monkeypatch):
    size = sum(path.stat().st_size for path in kept.iterdir())
    monkeypatch.setattr(Utils.own_video.kept_drawings, "MAX_ROOM", int(1.5 * size))
    run("other", "--face", "all")
    (left,) = (tmp_path / "cache/overlays").iterdir()
    assert left != kept


def test_a_folder_without_its_list_goes_first(tmp_path):
    """Its removal was interrupted."""
    for name, size, listed in (("a" * KEY_DIGITS, 30, False), ("b" * KEY_DIGITS, 30, True)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "overlay.mp4").write_bytes(bytes(size))
        if listed:
            (tmp_path / name / "kept.json").write_text("{}")
    make_room(tmp_path, 40)
    assert [path.name for path in tmp_path.iterdir()] == ["b" * KEY_DIGITS]
