"""Reads what --evaluate, --against, --ground_truth and --agreement take, and brings tables under the same keys.

Besides the tables of tables.py these are `expressions.csv` of an own video, `reviewed.csv` of the report page, and ELAN
files (eaf.py). Of each, only the rows that count are kept:

- `reviewed.csv`: "accepted" and "added" count. As predictions, "unreviewed" counts too. "rejected" never counts.
  What a coder accepted begins at frame 0 if it was predicted to begin before it.
- Rows whose `kind` is a movement other than a micro-expression do not count (`candidates.csv`, and what a coder called
  "macro"). But --evaluate compares macro-expressions too, if both tables have some (`kinds_to_compare`). MEGC's column
  `type` says the same in other words, "me" and "mae".

Keys
----
- A table of an own video (it has a column `face`) may be without a subject. It then gets the subject that the other
  table has for a video of that name.
- Faces are kept apart if both tables have a face in each row: where a video has several faces, its name then becomes
  `talk, face 1`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from Utils.errors import InputError
from Utils.evaluation.csv_files import ACCEPTED, ADDED, REJECTED, UNREVIEWED, is_review, read_table
from Utils.evaluation.eaf import NO_EMOTION, SUFFIX, read_eaf
from Utils.evaluation.tables import FRAME_COLUMNS, KEY_COLUMNS, MEGC_TYPES
from Utils.records import KINDS, MACRO, MICRO

NOT_MICRO = (MACRO, "head", "blink", "speech", "occlusion", "light", "nothing")  # kinds that do not count as micro
KIND_OF_TYPE = {word: kind for kind, word in MEGC_TYPES.items()}
SYNONYMS = KIND_OF_TYPE | {f"{kind}{ending}": kind for kind in KINDS for ending in ("", "-expression")}
UNKNOWN_SUBJECT = "unknown"  # of an own video, if the other table does not name a subject either
NAMES_SHOWN = 3  # videos of a table that a message names

Parts = dict[str, tuple[pd.DataFrame, pd.DataFrame]]  # kind -> its predictions and annotations


def read_intervals(
    path: str | Path, *, ground_truth: bool = False, coder: bool = False, macro: bool = False
) -> tuple[pd.DataFrame, list[str]]:
    """The rows of a file that count, and remarks on those that do not.

    Parameters
    ----------
    path : path
        A CSV file or an .eaf.
    ground_truth : bool
        Whether the rows are annotations. Then at least one must count.
    coder : bool
        Whether the rows are those of a coder, whom --agreement compares with another. Rows count as in a ground truth,
        but there may be none.
    macro : bool
        Whether macro-expressions count too. If the file says the kind of its rows, the table then has the column
        "kind", "micro" or "macro".

    Raises
    ------
    InputError
        The file cannot be used (see `read_table` and `read_eaf`), or no annotation counts.
    """
    path = Path(path)
    is_eaf = path.suffix.lower() == SUFFIX
    table = read_eaf(path) if is_eaf else read_table(path, ground_truth=ground_truth)
    remarks = []
    if is_review(table.columns):
        table, remarks = _decided(table, path, ground_truth or coder)
        words = table["emotion"].isin(NO_EMOTION)
        table = table.assign(emotion=[None if no else word for no, word in zip(words, table["emotion"], strict=True)])
    kinds = _kinds(table, path)
    if macro and ("kind" in table or "type" in table):
        table = table.assign(kind=kinds)
    other = kinds.isin([kind for kind in NOT_MICRO if kind != MACRO or not macro])
    if other.any():
        wanted = "micro or macro" if macro else "micro"
        remarks.append(f"{path}: {int(other.sum())} row(s) of another kind than {wanted} are left out")
    table = table[~other]
    if ground_truth and table.empty:
        raise _nothing_remains(path, remarks)
    return table.reset_index(drop=True), remarks


def _nothing_remains(path: str | Path, remarks: Sequence[str]) -> InputError:
    """The error about a table without any annotation that counts."""
    why = f" ({'; '.join(remark.removeprefix(f'{path}: ') for remark in remarks)})" if remarks else ""
    return InputError(f"{path}: no expression remains as ground truth{why}")


def _kinds(table: pd.DataFrame, path: Path) -> pd.Series:
    """The kind of each row, by the column "kind" or else by "type". InputError if "type" has another word than MEGC's.

    In "kind", other words than those of this program stand for "micro".
    """
    if "kind" in table:
        words = [SYNONYMS.get(str(word).strip().lower(), word) for word in table["kind"]]
        words = [word if word in NOT_MICRO else MICRO for word in words]
    elif "type" in table:
        if unknown := [word for word in table["type"] if word not in KIND_OF_TYPE]:
            known = " nor ".join(KIND_OF_TYPE)
            raise InputError(
                f"{path}, column type: {unknown[0]!r} is neither {known}; correct it, or remove the column"
            )
        words = [KIND_OF_TYPE[word] for word in table["type"]]
    else:
        words = [MICRO] * len(table)
    return pd.Series(words, index=table.index, dtype=object)


def comparable_tables(tables: Sequence[pd.DataFrame], names: tuple[str, ...]) -> tuple[list[Parts], list[str]]:
    """One or two tables of predictions and, last, their annotations, under the same keys; and remarks.

    Returns for each table of predictions: kind -> (predictions, annotations). Raises InputError as `under_same_keys`
    and `kinds_to_compare` do.
    """
    if len(tables) == 2:
        predictions, ground_truth, about_keys = under_same_keys(*tables, names)
        parts, about_kinds = kinds_to_compare(predictions, ground_truth, names)
        return [parts], about_kinds + about_keys
    (*predictions, ground_truth), about_keys = three_under_same_keys(*tables, names)
    (first, one), (second, other) = (
        kinds_to_compare(table, ground_truth, (name, names[-1]))
        for table, name in zip(predictions, names[:-1], strict=True)
    )
    first, second, about_kinds = same_kinds(first, second, names[:-1])
    return [first, second], one + other + about_kinds + about_keys


def kinds_to_compare(
    predictions: pd.DataFrame, ground_truth: pd.DataFrame, names: tuple[str, str]
) -> tuple[Parts, list[str]]:
    """Kind -> the rows of both tables, and a remark on macro-expressions that are left out.

    Macro-expressions count if both tables have some, or if the annotations have some and the predictions of a dataset
    say their kind: then all are missed. (Predictions of an own video also say it, but macro-expressions are not among
    them.) `names` are the tables' names in messages. Raises InputError if no annotation remains.
    """
    spots_both = "kind" in predictions and "face" not in predictions
    predictions, ground_truth = tables = tuple(
        table if "kind" in table else table.assign(kind=MICRO) for table in (predictions, ground_truth)
    )
    has_macro = [bool((table["kind"] == MACRO).any()) for table in tables]
    if not has_macro[1] or not (has_macro[0] or spots_both):
        (predicted, remarks), (annotated, more) = map(_only_micro, tables, names)
        if annotated.empty:
            raise _nothing_remains(names[1], more)
        return {MICRO: (predicted, annotated)}, remarks + more
    kinds = [kind for kind in KINDS if any((table["kind"] == kind).any() for table in tables)]
    return {kind: tuple(_of_kind(table, kind) for table in tables) for kind in kinds}, []


def same_kinds(first: Parts, second: Parts, names: tuple[str, str]) -> tuple[Parts, Parts, list[str]]:
    """The same kinds of two tables of predictions, and a remark on macro-expressions that only one of them can have.

    `first` and `second` are what `kinds_to_compare` gives for each of them with the same ground truth. A table without
    a row of a kind has an empty table there. `names` are the tables' names in messages.
    """
    both = (first, second)
    kinds = [kind for kind in KINDS if any(kind in parts for parts in both)]
    remarks = []
    if MACRO in kinds and (lacking := [n for n, parts in zip(names, both, strict=True) if MACRO not in parts]):
        kinds.remove(MACRO)
        remarks.append(
            f"macro-expressions are left out, because {lacking[0]} has none and does not say the kind of rows"
        )
    annotated = {kind: next(parts[kind][1] for parts in both if kind in parts) for kind in kinds}
    aligned = [
        {kind: parts.get(kind) or (next(iter(parts.values()))[0].iloc[:0], annotated[kind]) for kind in kinds}
        for parts in both
    ]
    return *aligned, remarks


def _only_micro(table: pd.DataFrame, name: str) -> tuple[pd.DataFrame, list[str]]:
    """The micro-expressions of a table, and a remark if there are others. `name` is the table's name in messages."""
    n = int((table["kind"] != MICRO).sum())
    remarks = [f"{name}: {n} row(s) of another kind than micro are left out"] if n else []
    return _of_kind(table, MICRO), remarks


def _of_kind(table: pd.DataFrame, kind: str) -> pd.DataFrame:
    return table[table["kind"] == kind].drop(columns="kind").reset_index(drop=True)


def _decided(table: pd.DataFrame, path: Path, annotated: bool) -> tuple[pd.DataFrame, list[str]]:
    """The rows of a review that count, and a remark on those that nobody has looked at, or a remark if none counts."""
    counts = table["status"].value_counts()
    chosen = table[table["status"].isin((ACCEPTED, ADDED) if annotated else (ACCEPTED, ADDED, UNREVIEWED))]
    if annotated:
        chosen = chosen.assign(**{name: chosen[name].clip(lower=0) for name in FRAME_COLUMNS})
    remarks = []
    if annotated and counts.get(UNREVIEWED, 0):
        remarks.append(f"{path}: {counts[UNREVIEWED]} unreviewed row(s) are left out")
    if annotated and chosen.empty and counts.get(REJECTED, 0):
        remarks.append(f"{path}: {counts[REJECTED]} row(s) are rejected")
    return chosen, remarks


def under_same_keys(
    first: pd.DataFrame, second: pd.DataFrame, names: tuple[str, str]
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Two tables with subjects, and with faces as part of the video's name; and remarks. See the module's docstring.

    `names` are the tables' names in messages.

    Raises
    ------
    InputError
        A table without subjects has a video that the other table has of several subjects. Or a table is of an own video
        and no video is in both.
    """
    first, second = _with_subjects(first, second, names), _with_subjects(second, first, names[::-1])
    _require_common_video(first, second, names)
    (first, second), remarks = _with_faces((first, second), names)
    return first, second, remarks


def three_under_same_keys(
    first: pd.DataFrame, second: pd.DataFrame, ground_truth: pd.DataFrame, names: tuple[str, str, str]
) -> tuple[list[pd.DataFrame], list[str]]:
    """Two tables of predictions and their ground truth, as `under_same_keys` does it with two tables; and remarks.

    The ground truth decides: where it has no subject, it gets that of either table, and both tables get theirs from it.
    Faces are kept apart only if all three say them. `names` are the tables' names in messages.
    """
    predicted = [first, second]
    with_subject = [table for table in predicted if "subject" in table]
    either = pd.concat([table[list(KEY_COLUMNS)] for table in with_subject]) if with_subject else first
    ground_truth = _with_subjects(ground_truth, either, (names[2], f"{names[0]} or {names[1]}"))
    predicted = [_with_subjects(t, ground_truth, (n, names[2])) for t, n in zip(predicted, names[:2], strict=True)]
    for table, name in zip(predicted, names[:2], strict=True):
        _require_common_video(table, ground_truth, (name, names[2]))
    return _with_faces((*predicted, ground_truth), names)


def _require_common_video(first: pd.DataFrame, second: pd.DataFrame, names: tuple[str, str]) -> None:
    """Raise InputError if a table is of an own video, and no video is in both."""
    of_own_video = "face" in first or "face" in second
    if of_own_video and len(first) and len(second) and not _videos(first) & _videos(second):
        (one, other) = (", ".join("/".join(key) for key in sorted(_videos(t))[:NAMES_SHOWN]) for t in (first, second))
        raise InputError(f"no subject and video is in both tables: {names[0]} has {one}, {names[1]} has {other}")


def _videos(table: pd.DataFrame) -> set[tuple[str, str]]:
    return set(zip(table["subject"], table["video"], strict=True))


def _with_subjects(table: pd.DataFrame, other: pd.DataFrame, names: tuple[str, str]) -> pd.DataFrame:
    """The table; where it has no subject, with the one that `other` has for the same video."""
    subjects = table["subject"] if "subject" in table else pd.Series("", index=table.index, dtype=object)
    if (subjects != "").all():
        return table.assign(subject=subjects)
    known: dict[str, set[str]] = {}
    for subject, video in _videos(other) if "subject" in other else ():
        known.setdefault(video, set()).update({subject} - {""})
    filled = []
    for subject, video in zip(subjects, table["video"], strict=True):
        found = {subject} if subject else known.get(video) or {UNKNOWN_SUBJECT}
        if len(found) > 1:
            raise InputError(
                f"{names[0]}: has no subject for the video {video!r}, and {names[1]} has that video of the subjects "
                f"{', '.join(sorted(found)[:NAMES_SHOWN])}; add a column subject"
            )
        filled += found
    return table.assign(subject=pd.Series(filled, index=table.index, dtype=object))


def _with_faces(tables: Sequence[pd.DataFrame], names: Sequence[str]) -> tuple[list[pd.DataFrame], list[str]]:
    """The tables, with the face in the names of videos that have several; and a remark where this cannot be done."""
    faces: dict[tuple[str, str], set[str]] = {}
    for table in tables:
        if "face" in table:
            for subject, video, face in zip(table["subject"], table["video"], table["face"], strict=True):
                faces.setdefault((subject, video), set()).update({face} - {""})
    several = {key for key, found in faces.items() if len(found) > 1}
    if not several:
        return list(tables), []
    for table, name in zip(tables, names, strict=True):
        if len(table) and ("face" not in table or (table["face"] == "").any()):
            return list(tables), [f"faces are not kept apart, because {name} does not say the face of each row"]

    def named(table: pd.DataFrame) -> pd.DataFrame:
        if table.empty:
            return table
        keys = zip(table["subject"], table["video"], table["face"], strict=True)
        videos = [f"{v}, face {face}" if (s, v) in several else v for s, v, face in keys]
        return table.assign(video=pd.Series(videos, index=table.index, dtype=object))

    return [named(table) for table in tables], []
