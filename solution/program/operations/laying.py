"""Operations that make one image of a list: members over each other, beside each other, or one cell for each.

In:  a tuple of 1 to 30 `Image`s. Out: one `Image`, or None where the operation does not apply.
Where members count by place, the frame is the smallest box around all of them.
Not here: one member alone (`choosing`), tilings with one image (`tilings`).
"""

from collections.abc import Iterable

import numpy as np

from ...arc.task import MAX_SIDE
from ..vocabulary import IMAGE, LIST, Image, operation
from .members import Members, frame, main_colour, size

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
