"""Cases of a second table of predictions (--against) that cannot be used, or that is unusual."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.support.bad_input import Case, put
from tests.support.bad_input_flags import given
from tests.support.bad_input_reviews import DATE, REVIEW_HEAD, ROW
from tests.support.bad_input_tables import FULL, GOOD, HEAD
from tests.support.eaf_files import written

Spoil = Callable[[Path], tuple[str, ...]]
FILES = ("--evaluate", "a.csv", "--against", "b.csv", "--ground_truth", "g.csv")
OWN = "video,face,onset,offset,emotion\n"
WITH_KIND = HEAD.replace("\n", ",kind\n")


def tables(second: str | bytes, first: str = GOOD, truth: str = GOOD, *flags: str) -> Spoil:
    """The command with these three files."""

    def spoil(root: Path) -> tuple[str, ...]:
        for name, content in (("a.csv", first), ("b.csv", second), ("g.csv", truth)):
            put(root / name, content if isinstance(content, bytes) else content.encode())
        return (*FILES, *flags)

    return spoil


def not_there(root: Path) -> tuple[str, ...]:
    tables(GOOD)(root)
    (root / "b.csv").unlink()
    return FILES


def a_folder(root: Path) -> tuple[str, ...]:
    not_there(root)
    (root / "b.csv").mkdir()
    return FILES


def without_permission(root: Path) -> tuple[str, ...]:
    tables(GOOD)(root)
    (root / "b.csv").chmod(0)
    return FILES


def damaged_eaf(root: Path) -> tuple[str, ...]:
    tables(GOOD)(root)
    path = written(root / "b.eaf")
    path.write_bytes(path.read_bytes()[:-300])
    return ("--evaluate", "a.csv", "--against", "b.eaf", "--ground_truth", "g.csv")


def of_own_video(second: str, truth: str) -> Spoil:
    return tables(second, HEAD + "1,talk,0,9,joy\n", truth)


AGAINST = [
    Case("--against without --evaluate", given("--against", "b.csv"), ("--against is for --evaluate",)),
    Case("--against without a ground truth", given("--evaluate", "a.csv", "--against", "b.csv"), ("--ground_truth",)),
    Case("--against with --agreement", given("--agreement", "a.csv", "b.csv", "--against", "c.csv"),
         ("--against is for --evaluate, not for --agreement",)),
    Case("--against without a value", given(*FILES[:3], *FILES[4:]), ("--against", "expected one argument")),
    Case("--against: two files", given(*FILES[:4], "c.csv", *FILES[4:]), ("c.csv",)),
    Case("--against: not there", not_there, ("b.csv: there is no such file",)),
    Case("--against: a folder", a_folder, ("b.csv: cannot be read",)),
    Case("--against: without permission", without_permission, ("b.csv", "Permission denied"), as_nobody=True),
    Case("--against: empty", tables(b""), ("b.csv: is empty",)),
    Case("--against: a workbook", tables(b"PK\x03\x04" + bytes(range(256))), ("b.csv",)),
    Case("--against: onset is text", tables(GOOD + "1,a,early,9,joy\n"), ("b.csv, line 3, column onset: 'early'",)),
    Case("--against: onset after offset", tables(GOOD + "1,a,10,9,joy\n"), ("b.csv, line 3: onset 10 is after",)),
    Case("--against: no column", tables(GOOD.replace("offset", "end")), ("b.csv, line 1: no column offset",)),
    Case("--against: a damaged ELAN file", damaged_eaf, ("b.eaf: is not an ELAN file, because it is not XML",)),
    Case("--against: a review with an unknown status", tables(REVIEW_HEAD + ROW.format(1, 9, "joy", "maybe", DATE)),
         ("b.csv, line 2, column status: 'maybe' is not a status",)),
    Case("--against: more than can be compared", tables(FULL, truth=FULL), ("1/a: 1100 predictions",)),
    Case("--against: of another own video", of_own_video(OWN + "walk,0,0,9,joy\n", HEAD + "1,talk,0,9,joy\n"),
         ("no subject and video is in both tables: b.csv has unknown/walk, g.csv has 1/talk",)),
    Case("--against: of which subject?",
         of_own_video(OWN + "talk,0,0,9,joy\n", HEAD + "1,talk,0,9,joy\n2,talk,0,9,joy\n"),
         ("b.csv: has no subject for the video 'talk', and g.csv has that video of the subjects 1, 2",)),
    Case("--against: an unknown class", tables(GOOD, GOOD, GOOD, "--classes", "fear"), ("--classes", "'fear'")),
    Case("--against: only macro-expressions are annotated",
         tables(GOOD, WITH_KIND + "1,a,0,9,joy,macro\n", WITH_KIND + "1,a,0,9,joy,macro\n"),
         ("g.csv: no expression remains as ground truth",)),
    # unusual, but it can be used
    Case("--against: no prediction", tables(HEAD), ("b.csv\nMetrics", "precision counts as 0"), code=0),
    Case("--against: the same table", tables(GOOD), ("With 1 subject, no difference",), code=0),
    Case("--against: another subject", tables(GOOD.replace("1,a", "2,a")), ("b.csv (b), 2 subjects",), code=0),
]  # fmt: skip
