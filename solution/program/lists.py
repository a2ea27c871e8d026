"""Operations on lists of images: choosing a member, laying members over or beside each other, sorting, keeping, changing and
moving them. See `vocabulary`.

In:  a tuple of 1 to 30 `Image`s. Out: one `Image` or such a tuple, or None where the operation does not apply.
A choice between members that differ is no result but a None. Members that an operation leaves nothing of are left out.
Where members count by place, the frame is the smallest box around all of them.
Not here: how a list is made (`splits`).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from scipy import ndimage

from ..arc.task import MAX_SIDE, NUM_COLOURS
from ..arc.view import apply_symmetry
from .splits import EIGHT, FOUR, colours_in
from .vocabulary import DIRECTIONS, IMAGE, LIST, Image, operation

Members = tuple[Image, ...]

OPPOSITE = {"down": "up", "left": "right", "up": "down", "right": "left"}

# What a member is like


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
    return labelled(things, lambda cells: cells == 0, FOUR)  # what is outside of a hole is 1


def hole_counts(things: Members) -> list[int]:
    return [len(set(labels[labels > 1].tolist())) for labels in hole_labels(things)]


def with_hole(things: Members) -> list[bool]:
    return [bool(labels.max() > 1) for labels in hole_labels(things)]


# Choosing one


def best(things: Members, values: list) -> Image | None:
    """The member of the greatest value; None where unequal members have it."""
    most = max(values)
    chosen = [t for t, value in zip(things, values) if value == most]
    return chosen[0] if len(chosen) == 1 or len(set(map(content, chosen))) == 1 else None


def sole(things: Members, traits: Iterable[bool]) -> Image | None:
    """The only member of several that has a trait."""
    chosen = [t for t, has in zip(things, traits) if has]
    return chosen[0] if len(chosen) == 1 < len(things) else None


def unlike(things: Members, values: list) -> Image | None:
    """The only one of three or more members whose value no other has."""
    if len(things) < 3:
        return None
    counts = Counter(values)
    return sole(things, (counts[value] == 1 for value in values))


def sole_most(counts: Counter):
    """The value that is counted most; None where there are several or none."""
    (value, most), *rest = counts.most_common(2) or [(None, 0)]
    return None if rest and rest[0][1] == most else value


@operation(LIST, gives=IMAGE, meaning="The member with most cells.")
def most_cells(things):
    return best(things, [size(t) for t in things])


@operation(LIST, gives=IMAGE, meaning="The member with fewest cells.")
def fewest_cells(things):
    return best(things, [-size(t) for t in things])


@operation(LIST, gives=IMAGE, meaning="The member with most colours.")
def most_colours(things):
    return best(things, [len(colours_in(t.cells)) for t in things])


@operation(LIST, gives=IMAGE, meaning="The member with fewest colours.")
def fewest_colours(things):
    return best(things, [-len(colours_in(t.cells)) for t in things])


@operation(LIST, gives=IMAGE, meaning="The member with the largest box.")
def largest_box(things):
    return best(things, [t.cells.size for t in things])


@operation(LIST, gives=IMAGE, meaning="The member with the smallest box.")
def smallest_box(things):
    return best(things, [-t.cells.size for t in things])


@operation(LIST, gives=IMAGE, meaning="The member with most holes.")
def most_holes(things):
    return best(things, hole_counts(things))


@operation(LIST, gives=IMAGE, meaning="The member with fewest holes.")
def fewest_holes(things):
    return best(things, [-count for count in hole_counts(things)])


@operation(LIST, gives=IMAGE, meaning="The tallest member.")
def tallest(things):
    return best(things, [t.cells.shape[0] for t in things])


@operation(LIST, gives=IMAGE, meaning="The widest member.")
def widest(things):
    return best(things, [t.cells.shape[1] for t in things])


@operation(LIST, gives=IMAGE, meaning="The first member.")
def first(things):
    return things[0]


@operation(LIST, gives=IMAGE, meaning="The last member.")
def last(things):
    return things[-1]


@operation(LIST, "direction", gives=IMAGE, meaning="The member that reaches furthest in one direction.")
def furthest(things, direction):
    return best(things, [end(t, direction) for t in things])


@operation(LIST, gives=IMAGE, meaning="The only member whose shape no other has.")
def unlike_in_shape(things):
    return unlike(things, [shape(t) for t in things])


@operation(LIST, gives=IMAGE, meaning="The only member whose colours no other has.")
def unlike_in_colours(things):
    return unlike(things, [frozenset(colours_in(t.cells)) for t in things])


@operation(LIST, gives=IMAGE, meaning="The only member whose number of cells no other has.")
def unlike_in_size(things):
    return unlike(things, [size(t) for t in things])


@operation(LIST, gives=IMAGE, meaning="The only member that is symmetric, or the only one that is not.")
def unlike_in_symmetry(things):
    return unlike(things, [is_symmetric(t) for t in things])


@operation(LIST, gives=IMAGE, meaning="The only member that equals its mirror image.")
def only_symmetric(things):
    return sole(things, [is_symmetric(t) for t in things])


@operation(LIST, gives=IMAGE, meaning="The only member that does not equal its mirror image.")
def only_asymmetric(things):
    return sole(things, [not is_symmetric(t) for t in things])


@operation(LIST, gives=IMAGE, meaning="The member that has most equals.")
def most_frequent(things):
    counts = Counter(map(content, things))
    value = sole_most(counts)
    return next((t for t in things if content(t) == value), None) if len(counts) < len(things) else None


@operation(LIST, gives=IMAGE, meaning="The only member with a hole.")
def only_with_hole(things):
    return sole(things, with_hole(things))


@operation(LIST, gives=IMAGE, meaning="The only member that touches the edge of the box around all.")
def only_at_edge(things):
    return sole(things, at_edge(things))


@operation(LIST, gives=IMAGE, meaning="The only member that does not touch the edge of the box around all.")
def only_off_edge(things):
    return sole(things, [not touches for touches in at_edge(things)])


@operation(LIST, "colour", gives=IMAGE, meaning="The only member that shows one colour.")
def only_with(things, colour):
    return sole(things, [colour in t.cells.tobytes() for t in things])


# Laying members over each other


def drawn(things: Iterable[Image], box: tuple[int, int, int, int]) -> Image | None:
    """The members at their places in a box, later ones over earlier ones."""
    top, left, bottom, right = box
    if bottom - top > MAX_SIDE or right - left > MAX_SIDE:
        return None
    canvas = np.zeros((bottom - top, right - left), np.uint8)
    for thing in things:
        cells = thing.cells
        y, x = thing.y - top, thing.x - left
        np.copyto(canvas[y : y + cells.shape[0], x : x + cells.shape[1]], cells, where=cells != 0)
    return Image(canvas, top, left)


def stacked(things: Members) -> np.ndarray | None:
    """The cells of several members of one size: uint8 (members, height, width)."""
    if len(things) < 2 or len({t.cells.shape for t in things}) > 1:
        return None
    return np.array([t.cells for t in things])


def first_colours(stack: np.ndarray) -> np.ndarray:
    """Of every cell the first colour but 0."""
    found = stack[0].copy()
    for cells in stack[1:]:
        np.copyto(found, cells, where=found == 0)
    return found


@operation(LIST, gives=IMAGE, meaning="All members at their places, later ones over earlier ones.")
def overlay(things):
    return drawn(things, frame(things))


@operation(LIST, gives=IMAGE, meaning="All members at their places, earlier ones over later ones.")
def underlay(things):
    return drawn(things[::-1], frame(things))


@operation(LIST, gives=IMAGE, meaning="Members of one size laid on one another, whatever their places: the first colour shows.")
def pile(things):
    stack = stacked(things)
    return None if stack is None else things[0].with_cells(first_colours(stack))


@operation(LIST, gives=IMAGE, meaning="The cells that are coloured in all members, in the colours of the first.")
def in_all(things):
    stack = stacked(things)
    return None if stack is None else things[0].with_cells(stack[0] * (stack != 0).all(0))


@operation(LIST, gives=IMAGE, meaning="The cells that have the same colour in all members.")
def common_part(things):
    stack = stacked(things)
    return None if stack is None else things[0].with_cells(stack[0] * (stack == stack[0]).all(0))


@operation(LIST, gives=IMAGE, meaning="The cells that are coloured in exactly one member.")
def in_exactly_one(things):
    stack = stacked(things)
    return None if stack is None else things[0].with_cells(first_colours(stack) * ((stack != 0).sum(0) == 1))


@operation(LIST, gives=IMAGE, meaning="The cells that are coloured in an odd number of members, in the first colour.")
def in_odd_number(things):
    stack = stacked(things)
    return None if stack is None else things[0].with_cells(first_colours(stack) * ((stack != 0).sum(0) % 2 == 1))


@operation(LIST, "colour", gives=IMAGE, meaning="The cells that are empty in all members, drawn in one colour.")
def in_none(things, colour):
    stack = stacked(things)
    return None if stack is None else things[0].with_cells(~stack.any(0) * np.uint8(colour))


# Laying members beside each other


def mosaic(things: Members, down: int, right: int) -> Image | None:
    """Members of one size in `down` rows of `right`."""
    stack = stacked(things)
    if stack is None:
        return None
    height, width = stack.shape[1:]
    rows = stack.reshape(down, right, height, width).swapaxes(1, 2)
    return things[0].with_cells(rows.reshape(down * height, right * width))


def layout(things: Members) -> tuple[list[int], list[int]]:
    """The rows and the columns that the members begin in."""
    return sorted({t.y for t in things}), sorted({t.x for t in things})


@operation(LIST, gives=IMAGE, meaning="Members of one height side by side, in order.")
def join_in_row(things):
    if len(things) < 2 or len({t.cells.shape[0] for t in things}) > 1:
        return None
    return things[0].with_cells(np.concatenate([t.cells for t in things], 1))


@operation(LIST, gives=IMAGE, meaning="Members of one width one below another, in order.")
def join_in_column(things):
    if len(things) < 2 or len({t.cells.shape[1] for t in things}) > 1:
        return None
    return things[0].with_cells(np.concatenate([t.cells for t in things]))


@operation(LIST, gives=IMAGE, meaning="4, 9, 16 or 25 members of one size in a square, in order.")
def join_in_square(things):
    side = round(len(things) ** 0.5)
    return mosaic(things, side, side) if side * side == len(things) else None


@operation(LIST, gives=IMAGE, meaning="Members of one size joined as they stand in rows and columns.")
def join_in_layout(things):
    rows, columns = layout(things)
    if len({(t.y, t.x) for t in things}) < len(things) or len(rows) * len(columns) != len(things):
        return None
    return mosaic(tuple(sorted(things, key=lambda t: (t.y, t.x))), len(rows), len(columns))


def by_size(things: Members) -> list[Image]:
    """The largest first."""
    return sorted(things, key=lambda t: -size(t))


@operation(LIST, gives=IMAGE, meaning="A row of the members' main colours.")
def colours_row(things):
    return Image(np.array([[main_colour(t) for t in things]], np.uint8))


@operation(LIST, gives=IMAGE, meaning="A column of the members' main colours.")
def colours_column(things):
    return Image(np.array([[main_colour(t)] for t in things], np.uint8))


@operation(LIST, gives=IMAGE, meaning="A row of the members' main colours, the largest member first.")
def colours_row_by_size(things):
    return Image(np.array([[main_colour(t) for t in by_size(things)]], np.uint8))


@operation(LIST, gives=IMAGE, meaning="A column of the members' main colours, the largest member first.")
def colours_column_by_size(things):
    return Image(np.array([[main_colour(t)] for t in by_size(things)], np.uint8))


@operation(LIST, gives=IMAGE, meaning="A cell of its main colour for every member, as they stand in rows and columns.")
def colours_layout(things):
    rows, columns = layout(things)
    if len({(t.y, t.x) for t in things}) < len(things) or len(things) < 2:
        return None
    cells = np.zeros((len(rows), len(columns)), np.uint8)
    for thing in things:
        cells[rows.index(thing.y), columns.index(thing.x)] = main_colour(thing)
    return Image(cells)


@operation(LIST, "colour", gives=IMAGE, meaning="A row of one cell per member, in one colour.")
def count_row(things, colour):
    return Image(np.full((1, len(things)), colour, np.uint8))


# Sorting


@operation(LIST, gives=LIST, meaning="The members by number of cells, the smallest first.")
def sort_by_cells(things):
    return tuple(sorted(things, key=size))


@operation(LIST, gives=LIST, meaning="The members by area of their boxes, the smallest first.")
def sort_by_box(things):
    return tuple(sorted(things, key=lambda t: t.cells.size))


@operation(LIST, gives=LIST, meaning="The members in reading order of their places.")
def sort_by_place(things):
    return tuple(sorted(things, key=lambda t: (t.y, t.x)))


@operation(LIST, "direction", gives=LIST, meaning="The members in the order in which one meets them going in one direction.")
def sort_along(things, direction):
    return tuple(sorted(things, key=lambda t: -end(t, OPPOSITE[direction])))


@operation(LIST, gives=LIST, meaning="The members in reverse order.")
def in_reverse(things):
    return things[::-1]


# Keeping some


def those(things: Members, traits: Iterable[bool]) -> Members | None:
    """The members that have a trait; None where none has."""
    return tuple(t for t, has in zip(things, traits) if has) or None


@operation(LIST, gives=LIST, meaning="Those members whose shape another has.")
def keep_repeated_shapes(things):
    shapes = [shape(t) for t in things]
    return those(things, [shapes.count(s) > 1 for s in shapes])


@operation(LIST, gives=LIST, meaning="Those members whose shape no other has.")
def keep_single_shapes(things):
    shapes = [shape(t) for t in things]
    return those(things, [shapes.count(s) == 1 for s in shapes])


@operation(LIST, gives=LIST, meaning="The members without those that equal an earlier one.")
def keep_different(things):
    seen = {}
    for thing in things:
        seen.setdefault(content(thing), thing)
    return tuple(seen.values())


@operation(LIST, gives=LIST, meaning="Those members that touch the edge of the box around all.")
def keep_outermost(things):
    return those(things, at_edge(things))


@operation(LIST, gives=LIST, meaning="Those members that do not touch the edge of the box around all.")
def keep_inner(things):
    return those(things, [not touches for touches in at_edge(things)])


@operation(LIST, gives=LIST, meaning="Those members that have a hole.")
def keep_holed(things):
    return those(things, with_hole(things))


@operation(LIST, gives=LIST, meaning="Those members that have no hole.")
def keep_solid(things):
    return those(things, [not has for has in with_hole(things)])


@operation(LIST, gives=LIST, meaning="Those members that have one cell.")
def keep_single_cells(things):
    return those(things, [size(t) == 1 for t in things])


@operation(LIST, gives=LIST, meaning="Those members that have several cells.")
def keep_several_cells(things):
    return those(things, [size(t) > 1 for t in things])


@operation(LIST, gives=LIST, meaning="Those members that equal their mirror image.")
def keep_symmetric(things):
    return those(things, [is_symmetric(t) for t in things])


@operation(LIST, gives=LIST, meaning="Those members that do not equal their mirror image.")
def keep_asymmetric(things):
    return those(things, [not is_symmetric(t) for t in things])


@operation(LIST, gives=LIST, meaning="Those members whose main colour is most frequent among the members.")
def keep_frequent_colour(things):
    colours = [main_colour(t) for t in things]
    chosen = sole_most(Counter(colours))
    return those(things, [c == chosen for c in colours])


@operation(LIST, gives=LIST, meaning="Those members whose main colour is least frequent among the members.")
def keep_rare_colour(things):
    colours = [main_colour(t) for t in things]
    chosen = sole_most(Counter({c: -n for c, n in Counter(colours).items()}))
    return those(things, [c == chosen for c in colours])


@operation(LIST, "colour", gives=LIST, meaning="Those members whose main colour is this one.")
def keep_of_colour(things, colour):
    return those(things, [main_colour(t) == colour for t in things])


@operation(LIST, gives=LIST, meaning="Those members that have more cells than the smallest.")
def drop_fewest_cells(things):
    sizes = [size(t) for t in things]
    least = min(sizes)
    return those(things, [s > least for s in sizes])


@operation(LIST, gives=LIST, meaning="Those members that have fewer cells than the largest.")
def drop_most_cells(things):
    sizes = [size(t) for t in things]
    most = max(sizes)
    return those(things, [s < most for s in sizes])


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
    return tuple(t.with_cells(apply_symmetry(t.cells, symmetry)) for t in things)


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
