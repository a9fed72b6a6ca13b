"""Places labels in a picture: none leaves it, and no two overlap."""

from __future__ import annotations

from collections.abc import Sequence

from Utils.faces.rectangles import Rectangle


def place_labels(
    wishes: Sequence[Sequence[Rectangle]], width: int, height: int, avoid: Sequence[Rectangle] = (), far: bool = True
) -> list[Rectangle | None]:
    """Where labels go, (left, top, right, bottom) each, in pixels; right and bottom are outside of the label.

    Labels are placed in their order. Each gets the first of its wishes, moved into the picture, that overlaps neither
    an earlier label nor anything in `avoid`; if there is none, the first that overlaps no earlier label; if there is
    none, the free place that is nearest to its first wish.

    Parameters
    ----------
    wishes : sequence of sequence of (left, top, right, bottom)
        For each label at least one place, the best one first. All places of a label have the same size.
    width, height : int
        Pixels of the picture.
    avoid : sequence of (left, top, right, bottom)
        What labels should not cover if they have a choice, such as faces.
    far : bool
        Whether labels may go where nobody wished them.

    Returns
    -------
    list of (left, top, right, bottom) or None
        None: the label is larger than the picture, or there is no free place for it.
    """
    taken: list[Rectangle] = []
    found: list[Rectangle | None] = []
    for places in wishes:
        wide, high = places[0][2] - places[0][0], places[0][3] - places[0][1]
        place = None
        if wide <= width and high <= height:
            inside = [_moved_inside(p, width, height) for p in places]
            free = [p for p in inside if not _overlaps_any(p, taken)]
            clear = [p for p in free if not _overlaps_any(p, avoid)]
            place = next(iter(clear + free), None)
            if place is None and far:
                place = _nearest_free(inside[0], taken, width, height)
        found.append(place)
        taken += [] if place is None else [place]
    return found


def overlap(one: Rectangle, other: Rectangle) -> bool:
    """Whether two rectangles share a pixel."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _overlaps_any(place: Rectangle, others: Sequence[Rectangle]) -> bool:
    return any(overlap(place, other) for other in others)


def _moved_inside(place: Rectangle, width: int, height: int) -> Rectangle:
    """The place, moved into the picture, which is at least as large."""
    left, top, right, bottom = place
    x, y = max(0, min(left, width - (right - left))), max(0, min(top, height - (bottom - top)))
    return x, y, x + right - left, y + bottom - top


def _nearest_free(wish: Rectangle, taken: Sequence[Rectangle], width: int, height: int) -> Rectangle | None:
    """The free place that is nearest to a wish. None if there is none.

    Any free place can be moved to the left or to the right, then up or down, until it touches a label or the border. So
    only such places are tried, and one is found if there is any.
    """
    wide, high = wish[2] - wish[0], wish[3] - wish[1]
    lefts = {0, width - wide} | {t[2] for t in taken} | {t[0] - wide for t in taken}
    tops = {0, height - high} | {t[3] for t in taken} | {t[1] - high for t in taken}
    free = [
        place
        for x in sorted(lefts)
        for y in sorted(tops)
        if 0 <= x <= width - wide and 0 <= y <= height - high
        if not _overlaps_any(place := (x, y, x + wide, y + high), taken)
    ]
    return min(free, key=lambda p: (p[0] - wish[0]) ** 2 + (p[1] - wish[1]) ** 2, default=None)
