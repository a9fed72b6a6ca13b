"""Face crop: real detection on rendered faces, the crops on disk, and how existing crops are treated."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache

import cv2
import numpy as np
import pytest

import face_crop
from face_crop import RECORD, CropRoots, UpstreamCut, choose_crop_roots, crop_videos, upstream_cuts
from load_images import read_crop
from tests.support.paths import PROJECT
from Utils.datasets.table import DATASETS
from Utils.errors import InputError
from Utils.faces.images import read_image, write_jpeg
from Utils.faces.landmarks import detect_faces
from Utils.faces.rectangles import clip_rectangle, cut_face
from Utils.records import Video
from Utils.synthetic.face import Face, Pose
from Utils.synthetic.identity import make_identity
from Utils.work.cache import read_json

DEMO = DATASETS["DEMO"]
BLANK = np.full((120, 160, 3), 90, np.uint8)


@cache
def face(scale: float = 1.1) -> np.ndarray:
    """A rendered face, (120, 160, 3); never written to."""
    return Face(make_identity(3), size=(160, 120)).render(pose=Pose(scale=scale))


@pytest.fixture
def crops(tmp_path):
    return tmp_path / "crops"


def raw_video(tmp_path, images, subject: str = "s15", name: str = "15_0101a") -> Video:
    folder = tmp_path / "rawpic" / subject / name
    folder.mkdir(parents=True)
    paths = tuple(folder / f"img{i:03d}.jpg" for i in range(1, len(images) + 1))
    for path, image in zip(paths, images, strict=True):
        write_jpeg(path, image)
    return Video(subject, name, paths)


def crop(video: Video, crop_root, **kwargs) -> tuple[list[Video], list[str]]:
    return crop_videos([video], DEMO, CropRoots(crop_root), workers=1, **kwargs)


def record_of(crops, name: str = "15_0101a") -> dict:
    return read_json(crops / "s15" / name / RECORD)


def state(folder) -> dict:
    return {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.iterdir()}


# What is cut


def test_crops_are_128x128_jpegs_with_the_frames_names(tmp_path, crops):
    (video,), remarks = crop(raw_video(tmp_path, [face()] * 3), crops)
    assert remarks == []
    assert video.frames == tuple(crops / "s15" / "15_0101a" / f"img00{i}.jpg" for i in (1, 2, 3))
    assert sorted(os.listdir(crops / "s15" / "15_0101a")) == [RECORD, "img001.jpg", "img002.jpg", "img003.jpg"]
    assert os.listdir(crops / "s15") == ["15_0101a"]  # no scratch is left
    for path in video.frames:
        assert path.read_bytes().startswith(b"\xff\xd8")
        assert read_image(path).shape == (128, 128, 3)
        assert read_crop(path).shape == (128, 128)


def test_every_frame_is_cut_by_the_first_frames_rectangle(tmp_path, crops):
    shifted = np.roll(face(), 30, axis=1)
    raw = raw_video(tmp_path, [face(), shifted, BLANK])
    (video,), _ = crop(raw, crops)
    left, top, right, bottom = record_of(crops)["rectangle"]
    assert [(left, top, right, bottom)] == detect_faces(read_image(raw.frames[0]))
    for raw_path, crop_path in zip(raw.frames, video.frames, strict=True):
        cut = cv2.resize(cv2.imread(str(raw_path))[top:bottom, left:right], (128, 128))
        assert crop_path.read_bytes() == cv2.imencode(".jpg", cut)[1].tobytes()  # OpenCV's default quality


def test_cut_face_by_hand():
    image = np.zeros((40, 50), np.uint8)
    image[10:20, 5:30] = 200
    assert (cut_face(image, (5, 10, 30, 20)) == 200).all()
    assert (cut_face(image, (30, 10, 50, 20)) == 0).all()


@pytest.mark.parametrize(
    ("rectangle", "clipped"),
    [
        ((5, 6, 20, 21), (5, 6, 20, 21)),
        ((-7, -1, 20, 21), (0, 0, 20, 21)),
        ((40, 30, 70, 60), (40, 30, 50, 40)),
        ((-9, -9, 90, 90), (0, 0, 50, 40)),
        ((50, 10, 60, 20), None),
        ((-30, 10, 0, 20), None),
    ],
)
def test_clip_rectangle(rectangle, clipped):
    assert clip_rectangle(rectangle, (40, 50, 3)) == clipped


@pytest.mark.parametrize(
    ("part", "edge"), [(np.s_[35:, :], 1), (np.s_[:, 55:], 0)], ids=["face at the top", "face at the left"]
)
def test_a_face_at_the_border_is_clipped(tmp_path, crops, part, edge):
    raw = raw_video(tmp_path, [np.ascontiguousarray(face()[part])] * 2)
    (found,) = detect_faces(read_image(raw.frames[0]))
    assert found[edge] < 0  # otherwise this test would show nothing
    (video,), _ = crop(raw, crops)
    rectangle = record_of(crops)["rectangle"]
    assert rectangle[edge] == 0
    assert rectangle[2:] == list(found[2:])
    assert read_crop(video.frames[0]).std() > 20


def test_the_largest_of_two_faces_wins(tmp_path, crops):
    for name, pair in {"15_0101a": (face(0.7), face(1.1)), "15_0102b": (face(1.1), face(0.7))}.items():
        raw = raw_video(tmp_path, [np.hstack(pair)], name=name)
        assert len(detect_faces(read_image(raw.frames[0]))) == 2
        crop(raw, crops)
    right, left = record_of(crops)["rectangle"], record_of(crops, "15_0102b")["rectangle"]
    assert right[0] > 160 > left[2]
    assert min(right[2] - right[0], left[2] - left[0]) > 70


@pytest.mark.parametrize("order", [1, -1])
def test_the_largest_face_wins_in_whatever_order_they_are_found(tmp_path, crops, monkeypatch, order):
    faces = [(5, 5, 60, 60), (40, 30, 120, 110), (100, 0, 150, 50)][::order]
    monkeypatch.setattr("face_crop.detect_faces", lambda image: faces)
    crop(raw_video(tmp_path, [face()]), crops)
    assert record_of(crops)["rectangle"] == [40, 30, 120, 110]


# Frames without a face


def test_the_first_frame_with_a_face_is_used(tmp_path, crops):
    (video,), remarks = crop(raw_video(tmp_path, [BLANK, BLANK, face(), face()]), crops)
    assert len(video.frames) == 4
    assert remarks == ["s15/15_0101a: first face in frame 2, not in frame 0"]
    assert read_crop(video.frames[0]).std() < 2
    assert read_crop(video.frames[3]).std() > 20
    assert crop(raw_again(video, tmp_path), crops)[1] == remarks  # reported again when the crops are read from disk


def raw_again(cropped: Video, tmp_path) -> Video:
    folder = tmp_path / "rawpic" / cropped.subject / cropped.name
    return Video(cropped.subject, cropped.name, tuple(folder / p.name for p in cropped.frames))


def test_a_video_without_any_face_is_left_out(tmp_path, crops, monkeypatch):
    raw = [raw_video(tmp_path, [BLANK] * 2), raw_video(tmp_path, [face()], name="15_0102b")]
    for _ in range(2):  # made, then remembered
        videos, remarks = crop_videos(raw, DEMO, CropRoots(crops), workers=1)
        assert [v.name for v in videos] == ["15_0102b"]
        assert remarks == ["s15/15_0101a: no face in any of its 2 frames, video left out"]
        monkeypatch.setattr("face_crop.detect_faces", lambda image: pytest.fail("detected again"))


def test_no_face_in_any_video_is_an_error(tmp_path, crops):
    with pytest.raises(InputError, match=r"no face in any of the 1 videos, .*15_0101a"):
        crop(raw_video(tmp_path, [BLANK]), crops)


# Frames that cannot be used


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-200])


def cut_short_with_thumbnail(path):
    """As cameras write them: the header of the file contains a small, complete JPEG."""
    thumbnail, data = cv2.imencode(".jpg", face()[::4, ::4])[1].tobytes(), path.read_bytes()
    comment = b"\xff\xfe" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    path.write_bytes(data[:2] + comment + data[2:])
    read_image(path)  # complete, it is read
    cut_short(path)


@pytest.mark.parametrize(
    "damage",
    [
        cut_short,
        cut_short_with_thumbnail,
        lambda path: path.write_text("no image at all"),
        lambda path: path.write_bytes(b""),
        lambda path: path.unlink(),
        lambda path: (path.unlink(), path.mkdir()),
    ],
    ids=["truncated", "truncated with thumbnail", "text", "empty", "missing", "a folder"],
)
@pytest.mark.parametrize("frame", [0, 2])
def test_an_unreadable_frame_is_named(tmp_path, crops, damage, frame):
    raw = raw_video(tmp_path, [face()] * 3)
    damage(raw.frames[frame])
    with pytest.raises(InputError, match=f"img00{frame + 1}.jpg"):
        crop(raw, crops)
    assert not (crops / "s15" / "15_0101a").exists()


@pytest.mark.parametrize("damage", [cut_short, cut_short_with_thumbnail])
def test_a_frame_that_is_cut_short_is_called_so(tmp_path, damage):
    (path,) = raw_video(tmp_path, [face()]).frames
    damage(path)
    with pytest.raises(InputError, match=r"img001\.jpg: frame is cut short"):
        read_image(path)


def test_a_frame_of_another_size_is_named(tmp_path, crops):
    raw = raw_video(tmp_path, [face(), face(), np.zeros((100, 160, 3), np.uint8)])
    with pytest.raises(InputError, match=r"img003\.jpg: is 160x100 pixels, the frames before it 160x120"):
        crop(raw, crops)


def test_png_frames_and_gray_ones(tmp_path, crops):
    folder = tmp_path / "rawpic" / "s15" / "15_0101a"
    folder.mkdir(parents=True)
    path = folder / "img001.png"
    cv2.imwrite(str(path), cv2.cvtColor(face(), cv2.COLOR_BGR2GRAY))
    (video,), _ = crop(Video("s15", "15_0101a", (path,)), crops)
    assert video.frames[0].name == "img001.jpg"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"img001\.png"):
        crop(Video("s15", "15_0101a", (path,)), crops)


def test_oversized_images_are_refused(tmp_path):
    """OpenCV reads the limit when it loads: whatever the program imports first, it must be set before."""
    path = tmp_path / "img001.png"
    cv2.imwrite(str(path), np.zeros((8200, 8200), np.uint8))
    script = "import sys, main, face_crop, pathlib; face_crop.read_image(pathlib.Path(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", script, str(path)], cwd=PROJECT, capture_output=True, text=True)
    assert "InputError" in done.stderr
    assert "img001.png: frame is larger than 64 megapixels" in done.stderr


# Crops that are there


def test_finished_crops_are_not_made_again(tmp_path, crops, monkeypatch):
    raw = raw_video(tmp_path, [face()] * 2)
    (first,), _ = crop(raw, crops)
    before = state(first.frames[0].parent)
    monkeypatch.setattr("face_crop.detect_faces", lambda image: pytest.fail("detected again"))
    (again,), _ = crop(raw, crops)
    assert again == first
    assert state(first.frames[0].parent) == before


@pytest.mark.parametrize("change", ["fresh", "changed frame", "lost crop", "broken record"])
def test_crops_are_made_again_when_asked_for_or_needed(tmp_path, crops, change):
    raw = raw_video(tmp_path, [face()] * 2)
    (video,), _ = crop(raw, crops)
    before = state(video.frames[0].parent)
    if change == "changed frame":
        write_jpeg(raw.frames[1], BLANK)
    elif change == "lost crop":
        video.frames[1].unlink()
    elif change == "broken record":
        (video.frames[0].parent / RECORD).write_text('{"key": ')
    crop(raw, crops, fresh=change == "fresh")
    after = state(video.frames[0].parent)
    assert after.keys() == before.keys()
    assert after["img001.jpg"][0] > before["img001.jpg"][0]
    assert (after["img002.jpg"][1] == before["img002.jpg"][1]) == (change != "changed frame")
    assert os.listdir(crops / "s15") == ["15_0101a"]


@pytest.mark.parametrize("fresh", [False, True])
def test_crops_of_others_are_used_and_never_overwritten(tmp_path, crops, fresh):
    raw = raw_video(tmp_path, [face()] * 2)
    folder = crops / "s15" / "15_0101a"
    folder.mkdir(parents=True)
    for name in ("img001.jpg", "img002.jpg", "notes.txt"):
        write_jpeg(folder / name, np.full((128, 128, 3), 77, np.uint8))
    before = state(folder)
    (video,), remarks = crop(raw, crops, fresh=fresh)
    assert state(folder) == before
    assert remarks == [f"{folder}: crops not made by this program are used as they are"]
    assert (read_crop(video.frames[1]) == 77).all()


def test_incomplete_crops_of_others_are_an_error(tmp_path, crops):
    raw = raw_video(tmp_path, [face()] * 3)
    folder = crops / "s15" / "15_0101a"
    folder.mkdir(parents=True)
    write_jpeg(folder / "img002.jpg", BLANK)
    with pytest.raises(InputError, match=r"15_0101a: .* 2 of 3 crops missing, first img001\.jpg"):
        crop(raw, crops)
    assert os.listdir(folder) == ["img002.jpg"]


def test_an_empty_folder_is_nobodys_crops(tmp_path, crops):
    (crops / "s15" / "15_0101a").mkdir(parents=True)
    (video,), remarks = crop(raw_video(tmp_path, [face()]), crops)
    assert remarks == []
    assert video.frames[0].is_file()


def test_two_workers_give_the_same_crops_in_order(tmp_path, crops):
    raw = [raw_video(tmp_path, [face(scale)] * 2, name=f"15_010{i}a") for i, scale in enumerate((1.1, 1.0, 0.9))]
    one, _ = crop_videos(raw, DEMO, CropRoots(crops / "one"), workers=1)
    two, _ = crop_videos(raw, DEMO, CropRoots(crops / "two"), workers=2)
    assert [v.name for v in two] == [v.name for v in raw]
    for a, b in zip(one, two, strict=True):
        assert [p.read_bytes() for p in a.frames] == [p.read_bytes() for p in b.frames]


def test_crops_go_to_the_cache_where_the_data_cannot_be_written(tmp_path, capsys):
    beside = tmp_path / "data" / DEMO.crop_dir
    assert choose_crop_roots(DEMO, tmp_path / "data", tmp_path / "cache") == CropRoots(beside)
    (tmp_path / "file").write_text("not a folder")
    roots = choose_crop_roots(DEMO, tmp_path / "file", tmp_path / "cache")
    assert roots.crops == tmp_path / "cache" / "crops" / DEMO.crop_dir and roots.crops.is_dir()
    assert roots.read_only == tmp_path / "file" / DEMO.crop_dir
    assert "cannot be written" in capsys.readouterr().out


def test_crops_of_others_beside_read_only_data_are_used(tmp_path, crops):
    raw = raw_video(tmp_path, [face()] * 2)
    (made,), _ = crop(raw, crops)
    (made.frames[0].parent / RECORD).unlink()
    (again,), remarks = crop_videos([raw], DEMO, CropRoots(tmp_path / "cache", read_only=crops), workers=1)
    assert again == made and "not made by this program" in remarks[0] and not (tmp_path / "cache").exists()


def test_crop_folders_have_the_names_of_the_raw_ones(tmp_path, crops):
    """SAMM-LV has no folder per subject, and its crops are named by the number alone."""
    folder = tmp_path / "SAMM_longvideos" / "006_1"
    folder.mkdir(parents=True)
    path = folder / "006_1_0001.jpg"
    write_jpeg(path, face())
    (video,), _ = crop_videos([Video("006", "006_1", (path,))], DATASETS["SAMMLV"], CropRoots(crops), workers=1)
    assert video.frames == (crops / "006_1" / "0001.jpg",)


# The upstream protocol's rectangles


@pytest.fixture
def faces_of(monkeypatch):
    """`faces_of[image's first pixel] = faces`: what the detector finds in a frame whose first pixel is that grey."""
    found: dict[int, list] = {}
    monkeypatch.setattr(face_crop, "detect_faces", lambda image: found.get(round(int(image[0, 0, 0]) / 10), []))
    return found


def marked(number: int, n: int = 2) -> list[np.ndarray]:
    """Frames with a texture, and `number` as their first pixels."""
    image = np.random.default_rng(number).integers(0, 255, (120, 160, 3), np.uint8)
    image[:16, :16] = number * 10
    return [image] * n


SMALL, LARGE, THIRD = (10, 20, 50, 60), (60, 20, 140, 100), (20, 30, 80, 90)


def upstream(videos, crops, **kwargs):
    return crop_videos(videos, DEMO, CropRoots(crops), workers=1, protocol="upstream", **kwargs)


def cut_with(video: Video, raw: Video) -> list[tuple]:
    """The rectangles among those of these tests with which a video's first crop was cut."""
    image, crop_ = read_image(raw.frames[0]), video.frames[0].read_bytes()
    rectangles = (SMALL, LARGE, THIRD, (0, 0, 70, 70))
    return [r for r in rectangles if cv2.imencode(".jpg", cut_face(image, r))[1].tobytes() == crop_]


def test_upstream_cuts_with_the_detectors_last_face_in_a_folder_of_its_own(tmp_path, crops, faces_of):
    faces_of[1] = [LARGE, SMALL]
    raw = raw_video(tmp_path, marked(1))
    (paper,), _ = crop(raw, crops)
    before = state(paper.frames[0].parent)
    (theirs,), remarks = upstream([raw], crops)
    assert cut_with(paper, raw) == [LARGE] and cut_with(theirs, raw) == [SMALL]
    assert remarks == ["s15/15_0101a: 2 faces in frame 0, cut with the detector's last one"]
    assert theirs.frames[0].parent == tmp_path / "crops_upstream" / "s15" / "15_0101a"
    assert state(paper.frames[0].parent) == before  # neither replaces the other
    stamps = state(theirs.frames[0].parent)
    assert upstream([raw], crops) == ([theirs], remarks) and state(theirs.frames[0].parent) == stamps
    assert crop(raw, crops)[0] == [paper] and state(paper.frames[0].parent) == before
    assert cut_with(upstream([raw], crops, fresh=True)[0][0], raw) == [SMALL]


def test_upstream_shares_the_papers_crops_where_the_rectangle_is_the_same(tmp_path, crops, faces_of):
    faces_of[1], faces_of[2] = [SMALL], [SMALL, LARGE]  # one face; the largest is the last
    raw = [raw_video(tmp_path, marked(1)), raw_video(tmp_path, marked(2), name="15_0102b")]
    theirs, remarks = upstream(raw, crops)  # before the paper's are made
    assert remarks == []
    assert [v.frames[0].parent.parent.parent for v in theirs] == [crops] * 2
    assert not (tmp_path / "crops_upstream").exists()
    assert crop_videos(raw, DEMO, CropRoots(crops), workers=1) == (theirs, [])


def test_upstream_keeps_the_rectangle_of_the_video_before(tmp_path, crops, faces_of):
    """Frame 0 shows no face. The video before can be one without annotation, and can have no face in frame 0 either."""
    faces_of[1], faces_of[3] = [SMALL, LARGE], [THIRD]
    names = ("15_0101a", "15_0102b", "15_0103c")
    first, second, third = (raw_video(tmp_path, marked(i), name=n) for i, n in zip((1, 2, 2), names, strict=True))
    late = raw_video(tmp_path, [*marked(2), *marked(3)], subject="s16", name="16_0101a")
    videos, remarks = upstream([third, late], crops, all_videos=[first, second, third, late])
    assert [cut_with(v, raw) for v, raw in zip(videos, (third, late), strict=True)] == [[LARGE], [LARGE]]
    assert remarks == [
        f"{label}: no face in frame 0, cut with the rectangle of s15/15_0101a"
        for label in ("s15/15_0103c", "s16/16_0101a")
    ]
    (paper,), _ = crop(late, crops)
    assert cut_with(paper, late) == [THIRD]


def test_of_several_videos_before_the_nearest_gives_its_rectangle(tmp_path, crops, faces_of):
    """The video is narrower than the one before, so the rectangle is clipped to 100 pixels: those it is cut from."""
    faces_of[1], faces_of[2] = [SMALL], [LARGE]
    names = ("15_0101a", "15_0102b", "15_0103c", "15_0104d")
    images = [marked(1), marked(2), marked(3), [np.ascontiguousarray(image[:, :100]) for image in marked(4)]]
    raw = [raw_video(tmp_path, frames, name=name) for frames, name in zip(images, names, strict=True)]
    (*_, last), (*_, remark) = upstream(raw, crops)
    assert remark == "s15/15_0104d: no face in frame 0, cut with the rectangle of s15/15_0102b"
    expected = cut_face(read_image(raw[3].frames[0]), (60, 20, 100, 100))
    assert last.frames[0].read_bytes() == cv2.imencode(".jpg", expected)[1].tobytes()


def test_rectangles_of_upstream_are_clipped_and_each_first_frame_is_looked_at_once(tmp_path, faces_of, monkeypatch):
    """One face beyond the right edge of the first video; none in the two others, of which the last is 150 wide."""
    faces_of[1], looked_at = [(100, 80, 170, 150)], []
    monkeypatch.setattr(face_crop, "read_image", lambda path: looked_at.append(path) or read_image(path))
    images = [marked(1), marked(2), [np.ascontiguousarray(image[:, :150]) for image in marked(2)]]
    names = ("15_0101a", "15_0102b", "15_0103c")
    raw = [raw_video(tmp_path, frames, name=name) for frames, name in zip(images, names, strict=True)]
    before = "no face in frame 0, cut with the rectangle of s15/15_0101a"
    assert upstream_cuts(raw[1:], raw) == [
        UpstreamCut((100, 80, 160, 120), f"s15/15_0102b: {before}"),
        UpstreamCut((100, 80, 150, 120), f"s15/15_0103c: {before}"),
    ]
    assert sorted(looked_at) == [video.frames[0] for video in raw]
    assert upstream_cuts(raw[:1], raw) == [UpstreamCut((100, 80, 160, 120), "")]
    faces_of[1].insert(0, SMALL)
    several = "s15/15_0101a: 2 faces in frame 0, cut with the detector's last one"
    assert upstream_cuts(raw[:1], raw) == [UpstreamCut((100, 80, 160, 120), several)]


def test_a_face_in_the_corner_is_inside_the_image(tmp_path, crops, faces_of):
    faces_of[1] = [LARGE, (0, 0, 70, 70)]
    raw = raw_video(tmp_path, marked(1))
    (video,), _ = upstream([raw], crops)
    assert cut_with(video, raw) == [(0, 0, 70, 70)]


def test_crops_of_upstream_follow_its_rectangle(tmp_path, crops, faces_of):
    """The rectangle can change although the video does not: the video before it was added or removed."""
    raw = raw_video(tmp_path, marked(1))
    for last in (SMALL, THIRD):
        faces_of[1] = [LARGE, last]
        (video,), _ = upstream([raw], crops)
        assert cut_with(video, raw) == [last]
        record = read_json(video.frames[0].parent / RECORD)
        assert (record["found_in_frame"], record["rectangle"]) == (0, list(last))


def test_the_users_crops_for_the_upstream_protocol_are_used(tmp_path, crops, faces_of):
    faces_of[1] = [LARGE, SMALL]
    raw = raw_video(tmp_path, marked(1))
    (made,), _ = upstream([raw], crops)
    folder = made.frames[0].parent
    (folder / RECORD).unlink()
    before = state(folder)
    (again,), remarks = upstream([raw], crops)
    assert again == made and state(folder) == before
    assert remarks == [f"{folder}: crops not made by this program are used as they are"]


@pytest.mark.parametrize(
    ("faces", "why"),
    [
        ([], "no face in frame 0, and in no video before it"),
        ([LARGE, (-5, 0, 70, 70)], "the face of frame 0 reaches beyond the image"),
        ([LARGE, (0, -5, 70, 70)], "the face of frame 0 reaches beyond the image"),
        ([LARGE, (170, 10, 190, 40)], "the face of frame 0 reaches beyond the image"),
    ],
)
def test_where_the_authors_code_stops_the_papers_rule_holds(tmp_path, crops, faces_of, faces, why):
    faces_of[1], faces_of[2] = faces, [LARGE]
    raw = raw_video(tmp_path, [*marked(1), *marked(2)])
    (video,), (remark,) = upstream([raw], crops)
    assert cut_with(video, raw) == [LARGE] and video.frames[0].parent.parent.parent == crops
    assert remark.endswith(f"{why}; the authors' code stops there, cut as the paper says")


def test_a_rectangle_that_reaches_beyond_the_right_edge_is_clipped_as_slices_are(tmp_path, crops, faces_of):
    faces_of[1] = [LARGE, (100, 80, 170, 150)]
    raw = raw_video(tmp_path, marked(1))
    (video,), _ = upstream([raw], crops)
    expected = cv2.imencode(".jpg", cut_face(read_image(raw.frames[0]), (100, 80, 160, 120)))[1].tobytes()
    assert video.frames[0].read_bytes() == expected


def test_crops_of_others_are_used_under_both_protocols(tmp_path, crops, faces_of):
    faces_of[1] = [LARGE, SMALL]
    raw = raw_video(tmp_path, marked(1))
    (made,), _ = crop(raw, crops)
    (made.frames[0].parent / RECORD).unlink()
    (theirs,), (remark,) = upstream([raw], crops)
    assert theirs == made and "not made by this program" in remark
