"""Operations that change every member of a list, or move its members.

In:  a tuple of 1 to 30 `Image`s. Out: such a tuple, or None where the operation does not apply. Members that an
operation leaves nothing of are left out.
Where members count by place, the frame is the smallest box around all of them.
Not here: keeping some members (`keeping`), what makes one image of all (`laying`).
"""

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
from scipy import ndimage

from ...arc.task import NUM_COLOURS
from ..vocabulary import DIRECTIONS, LIST, Image, operation
from .loops.completion import turned
from .members import Members, end, frame, hole_labels, labelled, main_colour, shape, size, sole_most
from .splits import EIGHT

# Changing every member


def changed(found: Iterable[Image | None]) -> Members | None:
    """The members that something is left of; None where there are none."""
    return tuple(member for member in found if member is not None) or None


def recoloured(member: Image, colour: int) -> Image:
    """Every coloured cell in one colour."""
    return Image((member.cells != 0) * np.uint8(colour), member.y, member.x)


def cropped(member: Image) -> Image | None:
    """The member cut to its coloured cells."""
    box = ndimage.find_objects((member.cells != 0).view(np.uint8))
    if not box:
        return None
    rows, columns = box[0]
    return member.part(rows.start, columns.start, rows.stop - rows.start, columns.stop - columns.start)


def surrounded(cells: np.ndarray) -> np.ndarray:
    """The coloured cells that touch, at sides or corners, neither an empty cell nor the edge; bool (height, width)."""
    inner = np.zeros(cells.shape, bool)
    if min(cells.shape) > 2:
        full = cells != 0
        rows = full[:-2] & full[1:-1] & full[2:]
        inner[1:-1, 1:-1] = rows[:, :-2] & rows[:, 1:-1] & rows[:, 2:]
    return inner


@operation(LIST, gives=LIST, meaning="Every member cut to its coloured cells.")
def crop_each(things):
    return changed(cropped(t) for t in things)


@operation(LIST, "colour", gives=LIST, meaning="Every member in one colour.")
def recolour_each(things, colour):
    return tuple(recoloured(t, colour) for t in things)


@operation(LIST, gives=LIST, meaning="Every member in the colour that most cells of all members have.")
def recolour_alike(things):
    counts = sum(np.bincount(t.cells.ravel(), minlength=NUM_COLOURS) for t in things)
    colour = sole_most(Counter({c: n for c, n in enumerate(counts.tolist()) if c and n}))
    return None if colour is None else tuple(recoloured(t, colour) for t in things)


@operation(LIST, gives=LIST, meaning="Every member in its own main colour.")
def recolour_in_main(things):
    return tuple(recoloured(t, main_colour(t)) for t in things)


@operation(LIST, gives=LIST, meaning="Every member in the colour of its rank by number of cells: the largest in colour 1.")
def recolour_by_rank(things):
    sizes = [size(t) for t in things]
    ranks = {value: rank for rank, value in enumerate(sorted(set(sizes), reverse=True), 1)}
    return tuple(recoloured(t, ranks[s]) for t, s in zip(things, sizes)) if len(ranks) < NUM_COLOURS else None


@operation(LIST, gives=LIST, meaning="Members of the most frequent colour take the colour of another member of their shape.")
def recolour_like_twin(things):
    colours, shapes = [main_colour(t) for t in things], [shape(t) for t in things]
    frequent = sole_most(Counter(colours))
    twins = {}
    for member_shape, colour in zip(shapes, colours):
        if colour != frequent and twins.setdefault(member_shape, colour) != colour:
            return None
    if frequent is None or not any(c == frequent and s in twins for s, c in zip(shapes, colours)):
        return None
    return tuple(recoloured(t, twins.get(s, c)) if c == frequent else t for t, s, c in zip(things, shapes, colours))


@operation(LIST, gives=LIST, meaning="Every member's empty cells in its main colour.")
def fill_boxes_each(things):
    return tuple(t.with_cells(np.where(t.cells == 0, np.uint8(main_colour(t)), t.cells)) for t in things)


@operation(LIST, gives=LIST, meaning="Every member's holes in its main colour.")
def fill_holes_each(things):
    found = zip(things, hole_labels(things))
    return tuple(t.with_cells(np.where(labels > 1, np.uint8(main_colour(t)), t.cells)) for t, labels in found)


@operation(LIST, "symmetry", gives=LIST, meaning="Every member turned or mirrored.")
def turn_each(things, symmetry):
    return tuple(t.with_cells(turned(t.cells, symmetry)) for t in things)


@operation(LIST, gives=LIST, meaning="Of every member the cells that touch neither an empty cell nor its edge.")
def interior_each(things):
    inner = [(t, surrounded(t.cells)) for t in things]
    return changed(t.with_cells(t.cells * mask) if mask.any() else None for t, mask in inner)


@operation(LIST, gives=LIST, meaning="Of every member the cells that touch an empty cell or its edge.")
def outline_each(things):
    return tuple(t.with_cells(t.cells * ~surrounded(t.cells)) for t in things)


@operation(LIST, gives=LIST, meaning="Every member without the outermost cells of its box.")
def trim_each(things):
    sizes = [(t, *t.cells.shape) for t in things]
    return changed(t.part(1, 1, height - 2, width - 2) if min(height, width) > 2 else None for t, height, width in sizes)


@operation(LIST, gives=LIST, meaning="Of every member its largest connected group (sides or corners), cut out.")
def largest_group_each(things):
    return changed(largest_groups(things))


def largest_groups(things: Members) -> Iterator[Image | None]:
    """Of every member its largest group of coloured cells; None where it is empty or two groups are the largest."""
    for thing, labels in zip(things, labelled(things, lambda cells: cells != 0, EIGHT)):
        counts = np.bincount(labels.ravel()).tolist()
        counts[0] = 0
        most = max(counts)
        if counts.count(most) > 1:
            yield None
        else:
            yield cropped(thing if sum(counts) == most else thing.with_cells(thing.cells * (labels == counts.index(most))))


# Moving members


@operation(
    LIST, "direction", gives=LIST, meaning="The members slide in one direction until they meet another or the edge of all."
)
def slide(things, direction):
    top, left, bottom, right = frame(things)
    down, aside = DIRECTIONS[direction]
    length, breadth = (bottom - top, right - left) if down else (right - left, bottom - top)
    taken = np.zeros((length + 1, breadth), bool)  # as seen along the direction; what lies behind the edge is taken
    taken[-1] = True
    numbers = np.arange(length + 1)[:, None]
    distances = {}
    for index in sorted(range(len(things)), key=lambda i: -end(things[i], direction)):
        rows, columns = np.nonzero(things[index].cells)
        if not len(rows):
            return None
        rows += things[index].y - top
        columns += things[index].x - left
        along, across = (rows, columns) if down else (columns, rows)
        if down < 0 or aside < 0:
            along = length - 1 - along
        stops = np.minimum.accumulate(np.where(taken, numbers, length)[::-1])[::-1]  # the next taken cell
        distance = int((stops[along, across] - along).min()) - 1
        if distance < 0:
            return None
        taken[along + distance, across] = True
        distances[index] = distance
    moves = [(t, distances[i]) for i, t in enumerate(things)]
    return tuple(Image(t.cells, t.y + down * n, t.x + aside * n) for t, n in moves)


@operation(LIST, "direction", gives=LIST, meaning="Every member moves in one direction to the edge of the box around all.")
def align(things, direction):
    down, right = DIRECTIONS[direction]
    ends = [end(t, direction) for t in things]
    furthest_end = max(ends)
    moves = [(t, furthest_end - e) for t, e in zip(things, ends)]
    return tuple(Image(t.cells, t.y + down * n, t.x + right * n) for t, n in moves)


@operation(
    LIST, "axis", gives=LIST, meaning="Equal gaps between the members, down the rows or along them; the first and last stay."
)
def distribute(things, axis):
    dimension = 0 if axis == "rows" else 1
    spans = [((t.y, t.x)[dimension], t.cells.shape[dimension]) for t in things]
    order = sorted(range(len(things)), key=spans.__getitem__)
    room = spans[order[-1]][0] - spans[order[0]][0] - sum(spans[i][1] for i in order[:-1])
    gap, rest = divmod(room, max(len(things) - 1, 1))
    if len(things) < 3 or rest or gap < 0:
        return None
    starts, start = {}, spans[order[0]][0]
    for i in order:
        starts[i] = start
        start += spans[i][1] + gap
    return tuple(Image(t.cells, *((starts[i], t.x) if axis == "rows" else (t.y, starts[i]))) for i, t in enumerate(things))
