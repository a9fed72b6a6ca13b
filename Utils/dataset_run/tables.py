"""Compares tables, from whatever program they come: --evaluate, --against and --agreement."""

from __future__ import annotations

import pandas as pd

from Utils.datasets.lengths import average_half_length
from Utils.errors import InputError, shown
from Utils.evaluation.agreement import agreement, format_agreement
from Utils.evaluation.difference import differences, format_differences
from Utils.evaluation.evaluate import compare
from Utils.evaluation.kinds import together
from Utils.evaluation.reviews import comparable_tables, read_intervals, under_same_keys
from Utils.evaluation.tables import classes_of
from Utils.evaluation.text import format_metrics
from Utils.screen import print_lines
from Utils.settings import Settings


def evaluate_tables(settings: Settings) -> None:
    """--evaluate: compare a table of predictions with a table of annotations, from whatever program they come.

    With --against, compare a second table with the same annotations, and the two with each other.
    """
    paths = [path for path in (settings.evaluate, settings.against, settings.ground_truth) if path]
    names = tuple(map(shown, paths))
    read = [read_intervals(path, ground_truth=path is settings.ground_truth, macro=True) for path in paths]
    parts, remarks = comparable_tables([table for table, _ in read], names)
    print_lines(*dict.fromkeys([*(remark for _, of_file in read for remark in of_file), *remarks]))
    ground_truth = pd.concat([truth for _, truth in parts[0].values()])
    classes = classes_to_analyse(settings, ground_truth)
    print(f"analysed classes: {', '.join(classes)}")
    evaluations = [evaluate_parts(of_table, ground_truth, classes, settings.protocol) for of_table in parts]
    wholes = [together(of_table, classes) for of_table in evaluations]
    for name, whole in zip(names, wholes, strict=False):
        if settings.against:
            print(f"\n{name}")
        print(format_metrics(whole.metrics, subjects=True))
    if settings.against:
        one, other = evaluations
        kinds = {kind: (one[kind], other[kind]) for kind in one} if len(one) > 1 else {}
        print(f"\n{format_differences(differences(*wholes, kinds), names[:2])}")


def classes_to_analyse(settings: Settings, ground_truth) -> list[str]:
    """The emotions of --classes, or all of the ground truth. Raises InputError if no annotation has one of them."""
    classes = classes_of(ground_truth)
    if settings.classes is None:
        return classes
    named = [name.strip() for name in settings.classes.split(",")]
    if unknown := [name for name in named if name not in classes]:
        raise InputError(
            f"--classes: no annotation has the emotion {unknown[0]!r}; the ground truth has {', '.join(classes)}"
        )
    return list(dict.fromkeys(named))


def evaluate_parts(parts: dict, ground_truth, classes: list[str], protocol: str) -> dict:
    """Kind -> the evaluation of its (predictions, annotations). k' is that of the kind, or of all annotations."""
    return {
        kind: compare(
            predicted, annotated, classes, protocol=protocol,
            k_prime=average_half_length((annotated if len(annotated) else ground_truth).itertuples()),
        )
        for kind, (predicted, annotated) in parts.items()
    }  # fmt: skip


def compare_coders(settings: Settings) -> None:
    """--agreement: how far the tables of two coders agree."""
    names = tuple(map(shown, settings.agreement))
    (first, remarks), (second, more) = (read_intervals(path, coder=True) for path in settings.agreement)
    first, second, about_keys = under_same_keys(first, second, names)
    print_lines(*remarks, *more, *about_keys)
    print(format_agreement(agreement(first, second), names))
