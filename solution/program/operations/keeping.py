"""Operations that put the members of a list in an order, or keep some of them.

In:  a tuple of 1 to 30 `Image`s. Out: such a tuple of some of them, or None where none is left.
Not here: choosing one (`choosing`), changing members (`changing`).
"""

from collections import Counter
from collections.abc import Iterable

from ..vocabulary import LIST, operation
from .members import Members, at_edge, content, end, is_symmetric, main_colour, shape, size, sole_most, with_hole

OPPOSITE = {"down": "up", "left": "right", "up": "down", "right": "left"}

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
