"""Operations that cut an image into a list: by colour, by connection, by separator lines, into equal parts. See `vocabulary`.

In:  an `Image`. Out: a tuple of 1 to 30 `Image`s in reading order of their places, or None where the cut does not apply.
Every member keeps its place. Concepts: objectness, inside and outside, same and different (ConceptARC).
Not here: what is done with a list (`choosing`, `laying`, `keeping`, `changing`).
"""

from collections.abc import Iterable
from functools import lru_cache
from itertools import product

import numpy as np

from ..vocabulary import IMAGE, LIST, Image, operation
from .figures import JOINED, MIXED, ONE, SIDES, figures_of
from .loops.figures import COLOUR, RIGHT, SIZE, TOP, box, labelled, members_packed
from .loops.recolouring import only
from .recolouring import counted

MAX_MEMBERS = 30

EIGHT = np.ones((3, 3), bool)

_NOTHING = np.zeros((3, 3), bool)
EIGHT_IN_PLANES = np.array([_NOTHING, EIGHT, _NOTHING])
"""Neighbours within one plane of (colour, row, column) arrays: one call labels the groups of every colour."""


def listed(members: Iterable[Image]) -> tuple[Image, ...] | None:
    """Members in reading order of their places; None where there are none or too many."""
    ordered = tuple(sorted(members, key=lambda m: (m.y, m.x)))
    return ordered if 0 < len(ordered) <= MAX_MEMBERS else None


def colours_in(cells: np.ndarray) -> list[int]:
    """The colours of the cells in order of first appearance, 0 left out."""
    return [c for c in dict.fromkeys(cells.tobytes()) if c]


@lru_cache(64)
def groups(image: Image, kind: str) -> list[Image]:
    """The figures of an image, each in its box; none where they are too many. Remembered, since several operations ask."""
    figures = figures_of(image, kind)
    if figures is None or len(figures) > MAX_MEMBERS:
        return []
    packed, start, members = members_packed(image.cells, figures.labels, figures.table), 0, []
    for top, left, bottom, right in figures.boxes.tolist():
        stop = start + (bottom - top) * (right - left)
        members.append(Image(packed[start:stop].reshape(bottom - top, right - left), image.y + top, image.x + left))
        start = stop
    colours = figures.table[:, COLOUR].tolist()
    if kind in (ONE, SIDES):  # members at one place, in the order in which the image shows their colours
        order = {colour: number for number, colour in enumerate(dict.fromkeys(colours))}
        members = [members[k] for k in sorted(range(len(members)), key=lambda k: order[colours[k]])]
    return members


@lru_cache(64)
def empty_groups(image: Image) -> tuple[np.ndarray, np.ndarray]:
    """Labels and table of the groups of empty cells, joined at sides."""
    return labelled((image.cells == 0).view(np.uint8), True, False)


def whole_box(image: Image, member: Image) -> Image:
    """All that `image` shows in the box of a member."""
    return image.part(member.y - image.y, member.x - image.x, *member.cells.shape)


# By colour and by connection


@operation(IMAGE, gives=LIST, meaning="One image per colour, of full size, in order of the colours' first appearance.")
def colour_layers(image):
    return tuple(Image(only(image.cells, c), image.y, image.x) for c in colours_in(image.cells)) or None


@operation(IMAGE, gives=LIST, meaning="One image per colour, cut to the colour's box.")
def colour_crops(image):
    layers = (only(image.cells, c) for c in sorted(colours_in(image.cells)))
    return listed(Image(layer, image.y, image.x).part(*box(layer)[:4]) for layer in layers)


@operation(IMAGE, gives=LIST, meaning="All that there is in the box around each colour.")
def colour_boxes(image):
    return listed(image.part(*box(only(image.cells, c))[:4]) for c in sorted(colours_in(image.cells)))


@operation(IMAGE, gives=LIST, meaning="Groups of cells of one colour that touch at their sides.")
def objects(image):
    return listed(groups(image, SIDES))


@operation(IMAGE, gives=LIST, meaning="Groups of cells of one colour that touch at sides or corners.")
def loose_objects(image):
    return listed(groups(image, ONE))


@operation(IMAGE, gives=LIST, meaning="Groups of coloured cells that touch at sides or corners, whatever their colours.")
def figures(image):
    return listed(groups(image, MIXED))


@operation(IMAGE, gives=LIST, meaning="Groups of coloured cells that touch at their sides, whatever their colours.")
def tight_figures(image):
    return listed(groups(image, JOINED))


@operation(IMAGE, gives=LIST, meaning="All that there is in the box around each group of one colour (sides or corners).")
def object_boxes(image):
    return listed(whole_box(image, member) for member in groups(image, ONE))


@operation(IMAGE, gives=LIST, meaning="All that there is in the box around each group of coloured cells (sides or corners).")
def figure_boxes(image):
    return listed(whole_box(image, member) for member in groups(image, MIXED))


@operation(IMAGE, gives=LIST, meaning="The groups of one colour that are full rectangles.")
def rectangles(image):
    return listed(member for member in groups(image, SIDES) if 0 not in member.cells.tobytes())


@operation(IMAGE, gives=LIST, meaning="What is inside every rectangular frame of one colour.")
def framed_parts(image):
    found = []
    for member in groups(image, SIDES):
        cells = member.cells
        height, width = cells.shape
        frame = min(height, width) > 2 and cells[0].all() and cells[-1].all() and cells[:, 0].all() and cells[:, -1].all()
        if frame and not cells.all():
            found.append(image.part(member.y - image.y + 1, member.x - image.x + 1, height - 2, width - 2))
    return listed(found)


@operation(IMAGE, gives=LIST, meaning="Enclosed empty regions, each in the most frequent colour at its sides.")
def holes(image):
    cells = image.cells
    height, width = cells.shape
    labels, table = empty_groups(image)
    inner = ((table[:, TOP:] != (0, 0, height, width)).all(1)).nonzero()[0].tolist() if len(table) <= MAX_MEMBERS else []
    found = []
    for number in inner:
        top, left, bottom, right = table[number, TOP : RIGHT + 1].tolist()
        mask = labels[top:bottom, left:right] == number + 1
        place = np.flatnonzero(labels == number + 1)
        around = cells.ravel()[np.concatenate((place - width, place + width, place - 1, place + 1))]
        counts = np.bincount(around, minlength=10)
        counts[0] = 0
        found.append(Image(mask * np.uint8(counts.argmax()), image.y + top, image.x + left))
    return listed(found)


@operation(IMAGE, "colour", gives=LIST, meaning="The empty regions that are full rectangles, drawn in one colour.")
def empty_rectangles(image, colour):
    _, table = empty_groups(image)
    if len(table) > MAX_MEMBERS:
        return None
    return listed(
        Image(np.full((bottom - top, right - left), colour, np.uint8), image.y + top, image.x + left)
        for size, (top, left, bottom, right) in zip(table[:, SIZE].tolist(), table[:, TOP : RIGHT + 1].tolist())
        if size == (bottom - top) * (right - left)
    )


@operation(IMAGE, "colour", gives=LIST, meaning="What is within one cell of every single cell of one colour.")
def surroundings(image, colour):
    if not 0 < counted(image)[colour] <= MAX_MEMBERS:
        return None
    marks = image.cells == colour
    if (marks[1:] & marks[:-1]).any() or (marks[:, 1:] & marks[:, :-1]).any():
        return None
    height, width = marks.shape
    found = []
    for row, column in np.argwhere(marks).tolist():
        top, left = max(row - 1, 0), max(column - 1, 0)
        found.append(image.part(top, left, min(row + 2, height) - top, min(column + 2, width) - left))
    return listed(found)


# By separator lines


def separators(cells: np.ndarray) -> dict[int, list[int]]:
    """Of every colour but 0 the rows that show nothing else."""
    found = {}
    firsts = cells[:, 0]
    for row in np.flatnonzero((cells == firsts[:, None]).all(1) & (firsts != 0)).tolist():
        found.setdefault(int(firsts[row]), []).append(row)
    return found


def between(lines: list[int], length: int) -> list[tuple[int, int]]:
    """Start and length of the stretches between lines."""
    stops = [-1, *lines, length]
    return [(a + 1, b - a - 1) for a, b in zip(stops, stops[1:]) if b - a > 1]


def panels_by(image: Image, rows: dict[int, list[int]], columns: dict[int, list[int]]) -> tuple[Image, ...] | None:
    """The panels between the separator lines of the colour that has most; None where two have most or nothing is cut."""
    number = {c: len(rows.get(c, ())) + len(columns.get(c, ())) for c in rows | columns}
    if not number:
        return None
    most = max(number.values())
    colours = [c for c, n in number.items() if n == most]
    if len(colours) > 1:
        return None
    height, width = image.cells.shape
    down, right = between(rows.get(colours[0], []), height), between(columns.get(colours[0], []), width)
    if not 1 < len(down) * len(right) <= MAX_MEMBERS:
        return None
    return tuple(image.part(top, left, tall, wide) for (top, tall), (left, wide) in product(down, right))


@operation(IMAGE, gives=LIST, meaning="The panels between full lines of one colour, across and down.")
def panels(image):
    return panels_by(image, separators(image.cells), separators(image.cells.T))


@operation(IMAGE, "axis", gives=LIST, meaning="The panels between full lines of one colour that are only rows, or only columns.")
def panels_along(image, axis):
    lines = separators(image.cells if axis == "rows" else image.cells.T)
    return panels_by(image, lines, {}) if axis == "rows" else panels_by(image, {}, lines)


# Into equal parts


def equal_stretches(length: int, number: int) -> list[tuple[int, int]] | None:
    """Start and length of so many equal parts, without gaps or with gaps of one cell."""
    for gap in (0, 1):
        size, rest = divmod(length - gap * (number - 1), number)
        if size > 0 and not rest:
            return [(k * (size + gap), size) for k in range(number)]
    return None


def cut(image: Image, down: int, right: int) -> tuple[Image, ...] | None:
    """The image in `down` times `right` equal parts, in reading order."""
    height, width = image.cells.shape
    rows, columns = equal_stretches(height, down), equal_stretches(width, right)
    if not rows or not columns or down * right > MAX_MEMBERS:
        return None
    return tuple(image.part(top, left, tall, wide) for (top, tall), (left, wide) in product(rows, columns))


@operation(
    IMAGE, "axis", "factor", gives=LIST, meaning="Halves or thirds, one below another or side by side; lines between may drop."
)
def equal_parts(image, axis, factor):
    return cut(image, factor, 1) if axis == "rows" else cut(image, 1, factor)


@operation(IMAGE, "factor", gives=LIST, meaning="Two by two or three by three equal parts; lines between may drop.")
def square_parts(image, factor):
    return cut(image, factor, factor)


@operation(IMAGE, "axis", gives=LIST, meaning="Every row, or every column.")
def lines(image, axis):
    height, width = image.cells.shape
    return cut(image, height, 1) if axis == "rows" else cut(image, 1, width)


def divisors(number: int) -> list[int]:
    return [d for d in range(1, number + 1) if number % d == 0]


@operation(IMAGE, gives=LIST, meaning="The blocks of a picture that is laid out with one smallest unit and empty blocks.")
def unit_blocks(image):
    cells = image.cells
    height, width = cells.shape
    if not cells.any():
        return None
    coloured = np.flatnonzero(cells)
    row, column = divmod(int(coloured[0]), width)
    for tall, wide in sorted(product(divisors(height), divisors(width)), key=lambda s: s[0] * s[1]):
        if tall * wide == 1 or not 1 < (height // tall) * (width // wide) <= MAX_MEMBERS:
            continue
        top, left = row - row % tall, column - column % wide
        unit = cells[top : top + tall, left : left + wide]
        copies, rest = divmod(len(coloured), np.count_nonzero(unit))
        if rest or copies < 2:
            continue
        blocks = cells.reshape(height // tall, tall, width // wide, wide)
        alike = (blocks == unit[:, None]).all((1, 3))
        if alike.sum() == copies:
            return tuple(image.part(r * tall, c * wide, tall, wide) for r, c in np.argwhere(alike).tolist())
    return None
