"""ELAN files for tests: small ones as this program writes them, and a check of the rules of the format."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

from Utils.evaluation.eaf_writer import Annotated, EafAbout, write_eaf

CLASSES = ("negative", "positive", "surprise")
TALK = EafAbout(subject="session 1", video="talk", fps=25.0, n_frames=200, classes=CLASSES)
TWO = (Annotated(10, 20, "negative", 15, 0.5), Annotated(50, 60, "positive", 54, 0.25))


def written(path: Path, *expressions: Annotated, about: EafAbout = TALK, **faces) -> Path:
    """An ELAN file of one face, by default with the two expressions `TWO`."""
    write_eaf(path, path.parent / "talk.mp4", {0: expressions or TWO}, about, **faces)
    return path


def without_date(content: bytes) -> bytes:
    """The content of an ELAN file without the date on which it was written."""
    changed, n = re.subn(rb' DATE="[^"]*"', b"", content)
    assert n == 1
    return changed


def check_eaf(path: Path) -> ElementTree.Element:
    """Rules of the EAF schema: slots in order, used, of one name each; annotations of a tier apart; types defined."""
    root = ElementTree.parse(path).getroot()
    assert root.tag == "ANNOTATION_DOCUMENT" and {"AUTHOR", "DATE", "VERSION", "FORMAT"} <= set(root.attrib)
    order = [child.tag for child in root]
    assert order[:2] == ["HEADER", "TIME_ORDER"]
    expected = ["HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE", "LANGUAGE", "CONSTRAINT", "CONTROLLED_VOCABULARY"]
    assert list(dict.fromkeys(order)) == expected
    slots = {s.get("TIME_SLOT_ID"): int(s.get("TIME_VALUE")) for s in root.iter("TIME_SLOT")}
    assert len(slots) == len(list(root.iter("TIME_SLOT")))
    assert list(slots.values()) == sorted(slots.values()) and min(slots.values(), default=0) >= 0
    both = [*root.iter("ALIGNABLE_ANNOTATION"), *root.iter("REF_ANNOTATION")]
    ids = [a.get("ANNOTATION_ID") for a in both]
    assert len(ids) == len(set(ids))
    (last,) = (p.text for p in root.iter("PROPERTY") if p.get("NAME") == "lastUsedAnnotationId")
    assert int(last) >= max((int(name[1:]) for name in ids), default=0)
    vocabularies = {c.get("CV_ID") for c in root.iter("CONTROLLED_VOCABULARY")}
    types = {t.get("LINGUISTIC_TYPE_ID"): t for t in root.iter("LINGUISTIC_TYPE")}
    constraints = {c.get("STEREOTYPE") for c in root.iter("CONSTRAINT")} | {None}
    for found in types.values():
        assert found.get("CONSTRAINTS") in constraints
        assert found.get("CONTROLLED_VOCABULARY_REF") in vocabularies | {None}
    tiers = {t.get("TIER_ID"): t for t in root.iter("TIER")}
    assert len(tiers) == len(list(root.iter("TIER")))
    used = set()
    for tier in tiers.values():
        kind = types[tier.get("LINGUISTIC_TYPE_REF")]
        assert tier.get("PARTICIPANT") and tier.get("ANNOTATOR")
        parent = tiers.get(tier.get("PARENT_REF"))
        assert (parent is None) == (kind.get("CONSTRAINTS") is None)
        aligned = list(tier.iter("ALIGNABLE_ANNOTATION"))
        assert not aligned or kind.get("TIME_ALIGNABLE") == "true"
        spans = spans_of(tier, slots)
        used |= {a.get(f"TIME_SLOT_REF{i}") for a in aligned for i in (1, 2)}
        assert all(a < b for a, b in spans)
        assert all(before[1] <= after[0] for before, after in pairwise(spans))
        if kind.get("CONSTRAINTS") == "Included_In":
            around = spans_of(parent, slots)
            assert all(any(a <= start and end <= b for a, b in around) for start, end in spans)
        owners = [a.get("ANNOTATION_REF") for a in tier.iter("REF_ANNOTATION")]
        assert len(owners) == len(set(owners))  # one to one
        assert set(owners) <= {a.get("ANNOTATION_ID") for a in (parent or ()) and parent.iter("ALIGNABLE_ANNOTATION")}
    assert used == set(slots)
    return root


def spans_of(tier: ElementTree.Element, slots: dict[str, int]) -> list[tuple[int, int]]:
    """Start and end of each alignable annotation of a tier, in milliseconds, in order of time."""
    found = tier.iter("ALIGNABLE_ANNOTATION")
    return sorted(tuple(slots[a.get(f"TIME_SLOT_REF{i}")] for i in (1, 2)) for a in found)
