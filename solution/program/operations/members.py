"""What the members of a list are like: their cells, colours, shapes, symmetry, places, holes.

In:  an `Image`, or a tuple of 1 to 30 of them. Out: a number, a colour, a key, flags.
Where members count by place, the frame is the smallest box around all of them.
Not here: how a list is made (`splits`), operations on lists (`choosing`, `laying`, `keeping`, `changing`).
"""

from collections import Counter
from collections.abc import Callable

import numpy as np
from scipy import ndimage

from ...arc.task import NUM_COLOURS
from ..vocabulary import DIRECTIONS, Image

Members = tuple[Image, ...]


def size(member: Image) -> int:
    """The number of coloured cells."""
    return int(np.count_nonzero(member.cells))


def main_colour(member: Image) -> int:
    """The most frequent colour (the lowest of several), 0 only where all is empty."""
    counts = np.bincount(member.cells.ravel(), minlength=NUM_COLOURS)
    counts[0] = 0
    return int(counts.argmax())


def content(member: Image) -> tuple:
    """Equal for two members exactly when their cells are."""
    return member.cells.shape, member.cells.tobytes()


def shape(member: Image) -> tuple:
    """Equal for two members exactly when the same cells are coloured."""
    return member.cells.shape, (member.cells != 0).tobytes()


def is_symmetric(member: Image) -> bool:
    """Equal to its mirror image, left to right or top to bottom."""
    cells = member.cells
    same = cells.tobytes()
    return cells[:, ::-1].tobytes() == same or cells[::-1].tobytes() == same


def end(member: Image, direction: str) -> int:
    """How far the member reaches in a direction."""
    down, right = DIRECTIONS[direction]
    height, width = member.cells.shape
    if down:
        return member.y + height if down > 0 else -member.y
    return member.x + width if right > 0 else -member.x


def frame(things: Members) -> tuple[int, int, int, int]:
    """Top, left, bottom and right (these two exclusive) of the box around all members."""
    return (
        min(t.y for t in things),
        min(t.x for t in things),
        max(t.y + t.cells.shape[0] for t in things),
        max(t.x + t.cells.shape[1] for t in things),
    )


def at_edge(things: Members) -> list[bool]:
    """Which members touch the edge of the box around all."""
    top, left, bottom, right = frame(things)
    return [t.y == top or t.x == left or t.y + t.cells.shape[0] == bottom or t.x + t.cells.shape[1] == right for t in things]


def labelled(things: Members, inside: Callable, neighbours: np.ndarray) -> list[np.ndarray]:
    """Labels of the connected groups of cells that are `inside` (cells -> bool); int arrays in the members' shapes.

    All members are labelled at once, side by side with a line between and around them, which is inside where 0 is.
    """
    sizes = [t.cells.shape for t in things]
    strip = np.zeros((max(height for height, _ in sizes) + 2, sum(width + 1 for _, width in sizes) + 1), np.uint8)
    boxes, left = [], 1
    for thing, (height, width) in zip(things, sizes):
        box = slice(1, 1 + height), slice(left, left + width)
        strip[box] = thing.cells
        boxes.append(box)
        left += width + 1
    labels, _ = ndimage.label(inside(strip), neighbours)
    return [labels[box] for box in boxes]


def hole_labels(things: Members) -> list[np.ndarray]:
    """Of every member labels of its enclosed empty regions; at most 1 where there is none."""
    if all(min(t.cells.shape) < 3 or t.cells.all() for t in things):
        return [np.zeros(t.cells.shape, np.int32) for t in things]
    return labelled(things, lambda cells: cells == 0, None)  # what is outside of a hole is 1


def hole_counts(things: Members) -> list[int]:
    return [len(set(labels[labels > 1].tolist())) for labels in hole_labels(things)]


def with_hole(things: Members) -> list[bool]:
    return [bool(labels.max() > 1) for labels in hole_labels(things)]


def sole_most(counts: Counter):
    """The value that is counted most; None where there are several or none."""
    (value, most), *rest = counts.most_common(2) or [(None, 0)]
    return None if rest and rest[0][1] == most else value
