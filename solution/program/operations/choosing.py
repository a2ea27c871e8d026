"""Operations that choose one member of a list.

In:  a tuple of 1 to 30 `Image`s. Out: one of them, or None where the operation does not apply.
A choice between members that differ is no result but a None.
Not here: choosing several (`keeping`), choosing figures within an image (`figure_choices`).
"""

from collections import Counter
from collections.abc import Iterable

from ..vocabulary import IMAGE, LIST, Image, operation
from .members import Members, at_edge, content, end, hole_counts, is_symmetric, shape, size, sole_most
from .splits import colours_in


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


@operation(LIST, gives=IMAGE, meaning="The only member that does not touch the edge of the box around all.")
def only_off_edge(things):
    return sole(things, [not touches for touches in at_edge(things)])


@operation(LIST, "colour", gives=IMAGE, meaning="The only member that shows one colour.")
def only_with(things, colour):
    return sole(things, [colour in t.cells.tobytes() for t in things])
