"""What a reader of annotation workbooks returns: rows that name subject, video and expression, and what was not used.

Every row of a workbook ends in one of three ways:

- it is used (`Annotations.rows`);
- it is skipped, because the dataset or the paper says that it does not count, and counted by reason;
- it is left out, because it is faulty, and listed with workbook, sheet, row, column and fault.

Nothing is guessed. The readers are in `readers.py`; layouts and quirks of the workbooks: docs/method.md, section 3.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from Utils.datasets.workbooks import CellError, Row
from Utils.errors import InputError
from Utils.records import Expression

Emotions = Mapping[str, str | None]  # a workbook's word, in lower case -> class, "others", or None: not evaluated
Place = Callable[[Row], tuple[str, str]]  # the subject and the video that a row names


@dataclass(frozen=True)
class AnnotatedRow:
    """One annotated expression.

    Attributes
    ----------
    subject, video : str
        As the workbook names them. Folders are matched by `key`.
    expression : Expression
    where : str
        Workbook, sheet and row.
    first_frame : int or None
        The number, as the workbook counts, of the frame with index 0. None if it is no number in the frames' names.
    apex_number : int or None
        The number in the workbook's apex cell, even if it means "unknown" (SAMM's -1). None if the dataset's workbook
        marks no apex as unknown by a number, or has no apex.
    exact : bool
        Whether names are compared as they are written, and not by `match_key`.
    """

    subject: str
    video: str
    expression: Expression
    where: str
    first_frame: int | None = 1
    apex_number: int | None = None
    exact: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """The names by which folders are matched: see `match_key`."""
        return (self.subject, self.video) if self.exact else match_key(self.subject, self.video)


class Workbooks(dict[str, Path]):
    """What a workbook holds -> its path. Those that were not found are in `missing`, with the error that says so.

    Looking one of these up raises its error.
    """

    def __init__(self) -> None:
        super().__init__()
        self.missing: dict[str, InputError] = {}

    def __missing__(self, what: str) -> Path:
        raise self.missing[what]


def match_key(subject: str, video: str) -> tuple[str, str]:
    """The key that matches a row to a folder: both names in lower case, without leading zeros (`S01` becomes `s1`)."""
    return _unpadded(subject), _unpadded(video)


def _unpadded(name: str) -> str:
    return re.sub(r"0*(\d+)", r"\1", name.lower())


@dataclass
class Annotations:
    """What a reader found.

    Attributes
    ----------
    rows : list of AnnotatedRow
        The expressions, in the workbook's order.
    left_out : list of str
        One line for each faulty row: its place and the fault.
    skipped : dict of str to list of str
        Reason -> places of the rows that were skipped: macro-expressions, emotions that are not evaluated, ...
    remarks : list of str
        What is unusual about rows that are used.
    named : set of (str, str)
        Keys of the videos that any row names, whether the row is used or not.
    workbook_order : bool
        True: the expressions of a video stay in the workbook's order (upstream). False: they are sorted by onset.
    by_number : bool
        True: the frame numbers of the workbook are those in the names of the frames' files (`Dataset.index_is_number`).
        False: they are positions of files.
    """

    rows: list[AnnotatedRow] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    skipped: dict[str, list[str]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    named: set[tuple[str, str]] = field(default_factory=set)
    workbook_order: bool = False
    by_number: bool = False
    _places: dict[tuple, str] = field(default_factory=dict, repr=False)  # (key, expression) -> where it stood first

    @contextmanager
    def reading(self, row: Row, place: Place) -> Iterator[None]:
        """Read one row inside the `with` block: a CellError there is listed in `left_out` and goes no further.

        The video that the row names is added to `named`, if it can be read.
        """
        with suppress(CellError):
            self.named.add(match_key(*place(row)))
        try:
            yield
        except CellError as error:
            self.left_out.append(str(error))

    def skip(self, where: str, reason: str) -> None:
        """Count a row that is skipped."""
        self.skipped.setdefault(reason, []).append(where)

    def add(self, found: AnnotatedRow, row: Row, column: Mapping[str, int]) -> None:
        """Append an expression.

        Parameters
        ----------
        found : AnnotatedRow
        row : Row
            Where it was read.
        column : mapping of str to int
            Indices of the columns "onset", "offset" and, if there is one, "apex".

        Raises
        ------
        CellError
            Onset or apex before the first frame, onset after offset, or an expression that an earlier row has already.
            An apex outside [onset, offset] is only remarked on.
        """
        e, first = found.expression, found.first_frame
        onset, offset = e.onset + first, e.offset + first  # as the workbook counts
        if e.onset < 0:
            raise row.fault(column["onset"], f"onset {onset} lies before the first frame {first}")
        if onset > offset:
            raise row.fault(column["onset"], f"onset {onset} lies after offset {offset}")
        if e.apex is not None and e.apex < 0:
            raise row.fault(column["apex"], f"apex {e.apex + first} lies before the first frame {first}")
        first_place = self._places.setdefault((found.key, e), row.where)
        if first_place != row.where:
            raise row.fault(column["onset"], f"the same expression as in {first_place.rpartition(', ')[2]}")
        if e.apex is not None and not e.onset <= e.apex <= e.offset:
            apex = f"apex {e.apex + first} lies outside onset {onset} to offset {offset}"
            self.remarks.append(f"{row.fault(column['apex'], apex)}; the row is used as it is")
        self.rows.append(found)

    def summary(self) -> list[str]:
        """At most two lines: how many rows were skipped, by reason, and how many were left out."""
        lines = []
        if self.skipped:
            reasons = ", ".join(f"{len(places)} {reason}" for reason, places in self.skipped.items())
            lines.append(f"{sum(map(len, self.skipped.values()))} row(s) skipped: {reasons}")
        if self.left_out:
            lines.append(f"{len(self.left_out)} row(s) left out because they are faulty")
        return lines


def as_upstream(annotations: Annotations, shift: int) -> Annotations:
    """The annotations as the authors' published code reads them (docs/method.md, section 7).

    All frame numbers are lowered by `shift`, and an expression that would then begin before frame 0 is skipped. The
    apex is the workbook's number, even if it means "unknown". The workbook's order is kept.
    """
    rows, skipped = [], {reason: list(places) for reason, places in annotations.skipped.items()}
    for row in annotations.rows:
        e = row.expression
        if e.onset < shift:
            skipped.setdefault("onset at the first frame", []).append(row.where)
            continue
        apex = e.apex if row.apex_number is None else row.apex_number - row.first_frame
        apex = None if apex is None else apex - shift
        rows.append(replace(row, expression=replace(e, onset=e.onset - shift, apex=apex, offset=e.offset - shift)))
    return replace(annotations, rows=rows, skipped=skipped, workbook_order=True)
