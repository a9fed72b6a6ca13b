"""--check FILE: every rule for each variant, and files that are made to break it."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path

import pytest

from tests.support.studies import add_frames
from Utils.across.submission import COLUMNS
from Utils.across.validate import Checked, check_submission, format_check
from Utils.errors import InputError

GOOD = {
    "spotting_2022.csv": "vid,pred_onset,pred_offset,type\n006_1,3,9,me\n006_1,20,90,mae\n",
    "spotting_2023.csv": "vid,onset,offset,type\n006_1,3,9,me\n006_1,20,90,mae\n",
    "recognition_2024.csv": "subject,video,onset,offset,emotion\n006,006_1,3,9,negative\n006,006_1,20,90,surprise\n",
}
COUNTS = [
    {
        "subject": "006",
        "video": "006_1",
        "counts": {"micro": 1, "macro": 0},
        "intervals": [{"onset": 3, "offset": 9, "kind": "micro", "emotion": None}],
    }
]
assert GOOD.keys() == COLUMNS.keys()
HEAD = "vid,onset,offset,type\n"


def check(tmp_path: Path, text: str | bytes, name: str = "a.csv", **options) -> Checked:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return check_submission(path, **options)


def packed(*files: tuple[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return content.getvalue()


@pytest.mark.parametrize("variant", GOOD)
def test_every_variant_can_be_submitted(variant, tmp_path):
    checked = check(tmp_path, GOOD[variant])
    assert not checked.problems
    assert checked.remarks == [f"a.csv: 2 rows, 1 videos, columns of {variant}"]
    assert format_check(Path("a.csv"), checked).startswith("a.csv: can be submitted\n  a.csv: 2 rows")


@pytest.mark.parametrize("variant", GOOD)
@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (",3,", ",x,", "'x' is not a frame number"),
        (",3,", ",-3,", "'-3' is not a frame number"),
        (",3,", ",3.0,", "'3.0' is not a frame number"),
        (",3,", ",,", "'' is not a frame number"),
        (",3,", ",٣,", "is not a frame number"),  # a digit, elsewhere
        (",3,", "," + "9" * 5000 + ",", "is not a frame number"),
        (",3,", ",1000000001,", "is not a frame number"),
        (",3,", ",10,", "onset 10 is after offset 9"),
        (",3,", ",0,", "0 is before the first frame, 1"),
        ("006_1,", ",", "is empty"),
        ("006_1,", "00\x1b6_1,", "has characters that cannot be shown"),
        (",3,9,", ",20,90,", "the same interval as line"),
    ],
)
def test_rules_of_every_variant(variant, old, new, says, tmp_path):
    text = GOOD[variant].replace(old, new, 1).replace("surprise", "negative").replace("mae", "me")
    problems = check(tmp_path, text, frame_base=1).problems
    assert len(problems) == 1 and says in problems[0] and problems[0].startswith("a.csv, line ")
    assert len(problems[0]) < 200


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HEAD + "a,1,2,ME\n", "line 2, column type: 'ME' is none of me, mae"),
        (HEAD + "a,1,2,micro\n", "'micro' is none of me, mae"),
        ("subject,video,onset,offset,emotion\na,b,1,2,others\n", "column emotion: 'others' is none of negative"),
        ("subject,video,onset,offset,emotion\na,b,1,2,neutral\n", "'neutral' is none of"),
        ("subject,video,onset,offset,emotion\na,b,1,2,\n", "'' is none of"),
        ("subject,video,onset,offset,emotion\n,b,1,2,positive\n", "column subject: is empty"),
        ("vid,offset,onset,type\na,1,2,me\n", "line 1: the columns are vid, offset, onset, type; they must be"),
        ("vid,onset,offset\na,1,2\n", "the columns are vid, onset, offset; they"),
        ("VID,onset,offset,type\na,1,2,me\n", "the columns are VID"),
        ("vid,onset,offset,type,score\na,1,2,me,1\n", "the columns are"),
        ("vid;onset;offset;type\na;1;2;me\n", "the columns are"),
        (",".join("abcdefgh" * 20) + "\n", "the columns are a,b,c".replace(",", ", ")),
        (HEAD + 'a,1,2,"me\n"\na,1,2,me\n', "line 4: the same interval as line 2"),
    ],
)
def test_rules_of_one_variant(text, says, tmp_path):
    (problem,) = check(tmp_path, text).problems
    assert says in problem and len(problem) < 300


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + GOOD["spotting_2023.csv"],
        GOOD["spotting_2023.csv"].replace("\n", "\r\n"),
        GOOD["spotting_2023.csv"].replace("006_1", '"006_1"'),
        GOOD["spotting_2023.csv"].replace(",", ", ") + "\n\n",
        HEAD,
        HEAD + "a,0,0,me\n",
        HEAD + "a,3,9,me\na,3,9,mae\n",  # of two kinds
    ],
)
def test_good_files_in_other_forms(text, tmp_path):
    assert not check(tmp_path, text).problems


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty; its first line must name the columns vid, onset"),
        (b"\n\n", "is empty"),
        (b"vid,onset\0,offset,type\n", "is not a text file"),
        (b"\xff\xfev\0i\0d\0", "is not UTF-8 text"),
        ((HEAD + "a,1,2\n").encode(), "line 2: 3 fields where the header has 4"),
        ((HEAD + 'a,1,2,"me').encode(), "is not CSV"),
        ((HEAD + "a,1,2," + "m" * 200_000 + "\n").encode(), "is not CSV"),
    ],
)
def test_files_that_cannot_be_read(content, says, tmp_path):
    with pytest.raises(InputError, match=r"a\.csv") as error:
        check(tmp_path, content)
    assert says in str(error.value)


def test_nul_bytes_in_a_row(tmp_path):
    """Python's CSV reader refuses them, or they are reported."""
    try:
        problems = check(tmp_path, HEAD + "a\0,1,2,me\n").problems
    except InputError as error:
        problems = [str(error)]
    assert len(problems) == 1 and "\0" not in format_check(Path("a.csv"), Checked(problems))


def test_other_files(tmp_path):
    with pytest.raises(InputError, match=r"neither \.csv nor \.json"):
        check(tmp_path, HEAD, "a.txt")
    with pytest.raises(InputError, match="cannot be read"):
        check_submission(tmp_path / "no.csv")
    with pytest.raises(InputError, match="cannot be read"):
        check_submission(tmp_path)
    with (tmp_path / "big.csv").open("wb") as file:
        file.truncate(50_000_001)
    with pytest.raises(InputError, match="more than 50 MB"):
        check_submission(tmp_path / "big.csv")


def test_archives(tmp_path):
    good = packed(*GOOD.items(), ("counts.json", json.dumps(COUNTS)))
    checked = check(tmp_path, good, "a.zip")
    assert not checked.problems and checked.remarks[-1] == "a.zip/counts.json: 1 videos"
    inside = check(tmp_path, packed(("x/a.csv", HEAD)), "a.zip").problems
    assert inside == ["a.zip/x/a.csv: is in a folder of the archive; pack the files without folders"]
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = packed(("a.csv", HEAD), ("a.csv", HEAD))
    assert check(tmp_path, twice, "a.zip").problems == ["a.zip/a.csv: is in the archive twice"]
    assert "out" not in [path.name for path in tmp_path.iterdir()]
    escaping = check(tmp_path, packed(("../out.csv", HEAD)), "a.zip").problems
    assert "is in a folder" in escaping[0] and not (tmp_path.parent / "out.csv").exists()


def broken(content: bytes) -> bytes:
    """An archive whose first file is damaged: the bytes after its header."""
    start = 30 + len("a.csv")
    return content[:start] + bytes(b ^ 0xFF for b in content[start : start + 8]) + content[start + 8 :]


def lying(content: bytes) -> bytes:
    """An archive that says its file is small when it is unpacked."""
    at = content.rindex(b"PK\1\2") + 24
    return content[:at] + struct.pack("<I", 5) + content[at + 4 :]


TEXT = HEAD + "a,1,2,me\n" * 50


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"no archive", "is not a ZIP archive"),
        (b"", "is not a ZIP archive"),
        (packed(("a.csv", TEXT))[:-30], "is not a ZIP archive"),
        (broken(packed(("a.csv", TEXT))), "is not a ZIP archive"),
        (broken(packed(("a.csv", TEXT), method=zipfile.ZIP_STORED)), "is not a ZIP archive"),
        (broken(packed(("a.csv", TEXT), method=zipfile.ZIP_LZMA)), "is not a ZIP archive"),
        (broken(packed(("a.csv", TEXT), method=zipfile.ZIP_BZIP2)), "is not a ZIP archive"),
        (lying(packed(("a.csv", TEXT))), "is not a ZIP archive"),
        (packed(), "the archive is empty"),
        (packed(("x/", "")), "the archive is empty"),
        (packed(("a.csv", b"0" * 50_000_001)), "unpacks to more than 50 MB"),
        (packed(*((f"{i}.csv", HEAD) for i in range(101))), "has 101 files"),
        (packed(("a.csv", HEAD), ("b.xlsx", b"")), "b.xlsx: is neither"),
        (packed(("a.zip", packed(("a.csv", HEAD)))), "a.zip: is neither"),
    ],
)
def test_archives_that_cannot_be_read(content, says, tmp_path):
    with pytest.raises(InputError) as error:
        check(tmp_path, content, "a.zip")
    assert says in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda row: row["counts"].update(micro=2), "the counts of 006/006_1 are not those of its intervals"),
        (lambda row: row["counts"].update(macro=1), "the counts of"),
        (lambda row: row["counts"].update(other=0), "'other' is none of micro, macro"),
        (lambda row: row["intervals"][0].update(kind="me"), "'me' is none of micro, macro"),
        (lambda row: row["intervals"][0].update(onset=10), "10 to 9 is no interval"),
        (lambda row: row["intervals"][0].update(onset=0), "0 to 9 is no interval of frames from 1"),
        (lambda row: row["intervals"][0].update(onset=3.5), "3.5 to 9 is no interval"),
        (lambda row: row["intervals"][0].update(onset=True), "True to 9 is no interval"),
        (lambda row: row["intervals"][0].update(emotion="others"), "'others' is none of negative"),
        (lambda row: row.pop("counts"), "is not like counts.json"),
        (lambda row: row.update(intervals=None), "is not like counts.json"),
        (lambda row: row["counts"].pop("macro"), "is not like counts.json"),
    ],
)
def test_rules_of_the_counts(change, says, tmp_path):
    rows = json.loads(json.dumps(COUNTS))
    change(rows[0])
    (problem,) = check(tmp_path, json.dumps(rows), "counts.json", frame_base=1).problems
    assert says in problem


@pytest.mark.parametrize("text", ["", "{", '"text"', "[1]", "7", '{"a": 1}', "[" * 100_000, "[" + "9" * 5000 + "]"])
def test_counts_of_another_form(text, tmp_path):
    (problem,) = check(tmp_path, text, "counts.json").problems
    assert "is not like counts.json" in problem


def test_files_and_their_videos(tmp_path):
    add_frames(tmp_path / "v/006_1", 9)
    add_frames(tmp_path / "v/s/talk", 9)
    options = dict(frame_base=1, videos=tmp_path / "v")
    assert not check(tmp_path, HEAD + "006_1,1,9,me\ntalk,1,9,me\n", **options).problems
    late, other = check(tmp_path, HEAD + "006_1,1,10,me\nother,1,9,me\n", **options).problems
    assert late.endswith("column offset: 10 is after the last frame of 006_1, 9")
    assert other.endswith("column vid: there is no video 'other'")
    (late,) = check(tmp_path, HEAD + "006_1,0,9,me\n", frame_base=0, videos=tmp_path / "v").problems
    assert late.endswith("9 is after the last frame of 006_1, 8")
    recognised = "subject,video,onset,offset,emotion\ns,talk,1,9,positive\ns,006_2,1,9,positive\n"
    (problem,) = check(tmp_path, recognised, **options).problems
    assert "column video: there is no video '006_2'" in problem
    with pytest.raises(InputError, match="no such folder"):
        check(tmp_path, HEAD, videos=tmp_path / "nowhere")


def test_names_of_videos_are_those_of_the_submission(tmp_path):
    """`a/b` has 9 frames, `x/a_b` has 19."""
    for folder, n in (("a/b", 9), ("c/b", 9), ("x/a_b", 19)):
        add_frames(tmp_path / "v" / folder, n)
    (late,) = check(tmp_path, HEAD + "a_b,1,12,me\nx_a_b,1,12,me\n", frame_base=1, videos=tmp_path / "v").problems
    assert late.endswith("12 is after the last frame of a_b, 9")


def test_overlaps_are_remarks_and_long_lists_are_cut(tmp_path):
    checked = check(tmp_path, HEAD + "a,1,9,me\na,9,12,me\na,9,12,mae\nb,3,4,me\n")
    assert not checked.problems
    assert checked.remarks == [
        "a.csv, lines 2 and 3: intervals of a overlap", "a.csv: 4 rows, 2 videos, columns of spotting_2023.csv",
    ]  # fmt: skip
    many = format_check(Path("a.csv"), check(tmp_path, HEAD + "".join(f"a,{i},0,me\n" for i in range(1, 40))))
    assert many.splitlines()[0] == "a.csv: cannot be submitted" and "  ... and 19 more" in many.splitlines()
    assert len(many.splitlines()) == 23
