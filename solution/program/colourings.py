"""Operations on the colours of an image of unchanged size: recolouring, fills, lines, neighbourhoods, completion.

In:  an `Image` and constants. Out: an `Image` of the same size and place, or None where the operation does not apply.
Where two colours claim one empty cell, it stays empty, so that no operation prefers a colour for its number.
Not here: operations that change the size (`forms`), that treat connected components as wholes (`figures`).
"""

from functools import cache

import numpy as np
from scipy import ndimage

from ..arc.view import apply_symmetry
from .forms import along, downwards
from .vocabulary import DIRECTIONS, IMAGE, operation

EIGHT = np.ones((3, 3), bool)


def colour_counts(cells: np.ndarray) -> np.ndarray:
    """How many cells have each colour; int (10,)."""
    return np.bincount(cells.ravel(), minlength=10)


# Recolouring


@operation(IMAGE, "colour", gives=IMAGE, meaning="Only the cells of one colour stay.")
def keep_colour(image, colour):
    return image.with_cells(image.cells * (image.cells == colour))


@operation(IMAGE, "colour", gives=IMAGE, meaning="The cells of one colour are emptied.")
def drop_colour(image, colour):
    return image.with_cells(image.cells * (image.cells != colour))


@operation(IMAGE, "colour", gives=IMAGE, meaning="Every coloured cell takes one colour.")
def paint(image, colour):
    return image.with_cells((image.cells != 0) * np.uint8(colour))


@operation(IMAGE, "colour", gives=IMAGE, meaning="Every empty cell takes one colour.")
def fill_empty(image, colour):
    return image.with_cells(np.where(image.cells == 0, np.uint8(colour), image.cells))


@operation(IMAGE, gives=IMAGE, meaning="Only the most frequent colour of coloured cells stays.")
def keep_most_frequent(image):
    counts = colour_counts(image.cells)[1:]
    most = counts.max()
    if np.count_nonzero(counts) < 2 or np.count_nonzero(counts == most) > 1:
        return None
    return image.with_cells(image.cells * (image.cells == counts.argmax() + 1))


@operation(IMAGE, gives=IMAGE, meaning="Only the least frequent colour of coloured cells stays.")
def keep_least_frequent(image):
    counts = colour_counts(image.cells)[1:]
    present = counts.nonzero()[0]
    if len(present) < 2:
        return None
    least = present[counts[present].argmin()]
    if np.count_nonzero(counts == counts[least]) > 1:
        return None
    return image.with_cells(image.cells * (image.cells == least + 1))


@operation(IMAGE, gives=IMAGE, meaning="The two most frequent colours of coloured cells are exchanged.")
def swap_two(image):
    counts = colour_counts(image.cells)
    counts[0] = 0
    third, second, first = counts.argsort()[-3:]
    if not counts[second] or counts[second] == counts[third]:
        return None
    new = np.arange(10, dtype=np.uint8)
    new[[first, second]] = second, first
    return image.with_cells(new[image.cells])


@operation(IMAGE, gives=IMAGE, meaning="The two colours of a two-coloured image are exchanged; empty counts as a colour.")
def invert(image):
    lowest, highest = image.cells.min(), image.cells.max()
    if lowest == highest:
        return None
    result = lowest + highest - image.cells
    # every third colour would lie strictly between
    return None if ((image.cells != lowest) & (image.cells != highest)).any() else image.with_cells(result)


@operation(IMAGE, gives=IMAGE, meaning="The most frequent colour is emptied where it is more frequent than empty cells.")
def empty_background(image):
    counts = colour_counts(image.cells)
    background = counts.argmax()
    if not background or np.count_nonzero(counts == counts[background]) > 1:
        return None
    return image.with_cells(image.cells * (image.cells != background))


@operation(IMAGE, gives=IMAGE, meaning="Empty cells and cells of the most frequent colour are exchanged.")
def exchange_background(image):
    counts = colour_counts(image.cells)
    counts_coloured = counts[1:]
    most = counts_coloured.max()
    if not counts[0] or not most or np.count_nonzero(counts_coloured == most) > 1:
        return None
    new = np.arange(10, dtype=np.uint8)
    new[[0, counts_coloured.argmax() + 1]] = counts_coloured.argmax() + 1, 0
    return image.with_cells(new[image.cells])


@operation(IMAGE, "axis", gives=IMAGE, meaning="Every row or column takes its most frequent colour; empty where two are.")
def line_majority(image, axis):
    cells = along(image.cells, axis)
    size = len(cells)
    counts = np.bincount((cells + 10 * np.arange(size)[:, None]).ravel(), minlength=10 * size).reshape(size, 10)
    most = counts.max(1, keepdims=True)
    colours = np.where((counts == most).sum(1) == 1, counts.argmax(1), 0).astype(np.uint8)
    return image.with_cells(along(np.broadcast_to(colours[:, None], cells.shape), axis))


@operation(
    IMAGE,
    "direction",
    gives=IMAGE,
    meaning="Coloured cells take the colour of their line's outermost cell on one side.",
)
def take_from_side(image, direction):
    def action(cells):  # the last row gives
        return np.where((cells != 0) & (cells[-1] != 0), cells[-1], cells)

    return image.with_cells(downwards(image.cells, direction, action)) if min(image.cells.shape) > 1 else None


# Fills


def enclosed(empty: np.ndarray, structure=None) -> np.ndarray:
    """The cells of `empty` from which no way over such cells leads out; bool (height, width). `structure`: steps; None, sides."""
    around = np.ones((empty.shape[0] + 2, empty.shape[1] + 2), bool)
    around[1:-1, 1:-1] = empty
    return ndimage.label(around, structure)[0][1:-1, 1:-1] > 1  # the outside comes first


@operation(IMAGE, "colour", gives=IMAGE, meaning="Enclosed empty cells take one colour; a way out leads over sides.")
def fill_holes(image, colour):
    holes = enclosed(image.cells == 0)
    return image.with_cells(np.where(holes, np.uint8(colour), image.cells)) if holes.any() else None


@operation(IMAGE, "colour", gives=IMAGE, meaning="Enclosed empty cells take one colour; a way out leads over sides and corners.")
def fill_sealed_holes(image, colour):
    holes = enclosed(image.cells == 0, EIGHT)
    return image.with_cells(np.where(holes, np.uint8(colour), image.cells)) if holes.any() else None


@operation(IMAGE, "colour", gives=IMAGE, meaning="Enclosed empty cells in one colour; all others become empty.")
def keep_holes(image, colour):
    holes = enclosed(image.cells == 0)
    return image.with_cells(holes * np.uint8(colour)) if holes.any() else None


@operation(IMAGE, "colour", gives=IMAGE, meaning="Empty cells that are not enclosed take one colour.")
def fill_outside(image, colour):
    empty = image.cells == 0
    holes = enclosed(empty)
    return image.with_cells(np.where(empty & ~holes, np.uint8(colour), image.cells)) if holes.any() else None


@operation(IMAGE, gives=IMAGE, meaning="Enclosed empty regions take the colour around them, where it is only one.")
def fill_holes_around(image):
    cells = image.cells
    holes = enclosed(cells == 0)
    if not holes.any():
        return None
    regions, number = ndimage.label(holes)
    # no hole touches the edge: rolling never reaches around
    colours = np.zeros((number + 1, 10), bool)
    for step, axis in ((1, 0), (-1, 0), (1, 1), (-1, 1)):
        colours[regions, np.roll(cells, step, axis)] = True
    colours[0] = colours[:, 0] = False
    new = np.where(colours.sum(1) == 1, colours.argmax(1), 0).astype(np.uint8)
    return image.with_cells(cells + new[regions])


@operation(IMAGE, "colour", gives=IMAGE, meaning="Empty cells that join a cell of one colour over sides of empty cells take it.")
def flood(image, colour):
    flooded = (image.cells == 0) | (image.cells == colour)
    labels, number = ndimage.label(flooded)
    reached = np.zeros(number + 1, bool)
    reached[labels[image.cells == colour]] = True
    return image.with_cells(np.where(reached[labels], np.uint8(colour), image.cells)) if reached.any() else None


@operation(IMAGE, "colour", gives=IMAGE, meaning="The outermost cells of the image take one colour.")
def draw_frame(image, colour):
    if min(image.cells.shape) < 3:
        return None
    cells = image.cells.copy()
    cells[0] = cells[-1] = cells[:, 0] = cells[:, -1] = colour
    return image.with_cells(cells)


@operation(IMAGE, gives=IMAGE, meaning="As on a chess board, every second cell is emptied; the first one stays.")
def checkered(image):
    height, width = image.cells.shape
    return image.with_cells(image.cells * ((np.arange(height)[:, None] + np.arange(width)) % 2 == 0))


# Lines


def agreed(cells: np.ndarray, *lines: np.ndarray) -> np.ndarray:
    """`cells` with every empty cell in the colour of those of `lines` that are coloured there, where they agree."""
    highest = np.maximum.reduce(lines)
    lowest = np.minimum.reduce([line - np.uint8(1) for line in lines])  # empty: 255
    return np.where((cells == 0) & (highest - np.uint8(1) == lowest), highest, cells)


def smeared(cells: np.ndarray) -> np.ndarray:
    """Every coloured cell drawn down to the next coloured cell or the edge."""
    rows = np.maximum.accumulate((cells != 0) * np.arange(len(cells))[:, None], 0)  # 0 where none is above: empty, or row 0
    return cells[rows, np.arange(cells.shape[1])]


def diagonally(cells: np.ndarray, action) -> np.ndarray:
    """`action` with every diagonal (down and left) as a column. Cells that are added at its ends are empty; they go again."""
    height, width = cells.shape
    wide = np.zeros((height, width + height), np.uint8)
    wide[:, :width] = cells
    # row i of a flat picture one column narrower begins i cells later
    skewed = action(wide.ravel()[: height * (width + height - 1)].reshape(height, -1))
    wide = np.zeros(height * (width + height), np.uint8)
    wide[: height * (width + height - 1)] = skewed.ravel()
    return wide.reshape(height, -1)[:, :width]


def ray_from(cells: np.ndarray, direction: str) -> np.ndarray:
    """Every coloured cell drawn along the diagonal that comes clockwise after a direction."""
    down, left = (1 if direction in ("down", "right") else -1), (1 if direction in ("down", "left") else -1)
    return diagonally(cells[::down, ::left], smeared)[::down, ::left]


def line_from(cells: np.ndarray, direction: str) -> np.ndarray:
    """Every coloured cell drawn in one direction."""
    return downwards(cells, direction, smeared)


@operation(IMAGE, "direction", gives=IMAGE, meaning="A line from every coloured cell in one direction, up to the next one.")
def extend(image, direction):
    return image.with_cells(line_from(image.cells, direction))


@operation(
    IMAGE,
    "direction",
    gives=IMAGE,
    meaning="The first coloured cell drawn in one direction to the edge, over others.",
)
def extend_over(image, direction):
    def action(cells):
        started = np.logical_or.accumulate(cells != 0)
        return started * cells[(cells != 0).argmax(0), np.arange(cells.shape[1])]

    return image.with_cells(downwards(image.cells, direction, action))


@operation(IMAGE, "axis", gives=IMAGE, meaning="Lines from every coloured cell both ways along its row or column.")
def extend_both_ways(image, axis):
    cells = along(image.cells, axis)
    return image.with_cells(along(agreed(cells, line_from(cells, "left"), line_from(cells, "right")), axis))


@operation(IMAGE, gives=IMAGE, meaning="Lines from every coloured cell in all four directions, up to other ones.")
def cross(image):
    return image.with_cells(agreed(image.cells, *(line_from(image.cells, direction) for direction in DIRECTIONS)))


@operation(
    IMAGE,
    "direction",
    gives=IMAGE,
    meaning="A ray from every coloured cell along the diagonal clockwise after a side.",
)
def ray(image, direction):
    return image.with_cells(ray_from(image.cells, direction)) if min(image.cells.shape) > 1 else None


@operation(IMAGE, gives=IMAGE, meaning="Rays from every coloured cell along all four diagonals, up to other ones.")
def rays(image):
    if min(image.cells.shape) < 2:
        return None
    return image.with_cells(agreed(image.cells, *(ray_from(image.cells, direction) for direction in DIRECTIONS)))


def between(cells: np.ndarray, line=line_from, direction: str = "down", opposite: str = "up") -> np.ndarray:
    """The colour of both nearest coloured cells along a line where they are equal, else 0."""
    one = line(cells, direction)
    return one * (one == line(cells, opposite))


@operation(IMAGE, "axis", gives=IMAGE, meaning="Two cells of one colour in a row, or column, are joined over empty cells.")
def connect(image, axis):
    return image.with_cells(along(between(along(image.cells, axis), line_from, "left", "right"), axis))


@operation(IMAGE, gives=IMAGE, meaning="Two cells of one colour in a row or a column are joined through empty cells.")
def connect_both(image):
    cells = image.cells
    return image.with_cells(agreed(cells, between(cells), between(cells, line_from, "left", "right")))


@operation(IMAGE, gives=IMAGE, meaning="Two cells of one colour on a diagonal are joined through empty cells.")
def connect_diagonals(image):
    if min(image.cells.shape) < 3:
        return None
    cells = image.cells
    return image.with_cells(agreed(cells, between(cells, ray_from), between(cells, ray_from, "left", "right")))


@operation(IMAGE, "direction", gives=IMAGE, meaning="Every coloured cell falls in one direction as far as it can.")
def gravity(image, direction):
    def action(cells):
        return cells[(cells != 0).argsort(0, kind="stable"), np.arange(cells.shape[1])]

    return image.with_cells(downwards(image.cells, direction, action))


# Neighbourhoods


def neighbours(cells: np.ndarray, corners: bool) -> np.ndarray:
    """What is at the four sides of every cell, with `corners` then at the corners; 0 outside. (4 or 8, height, width)"""
    height, width = cells.shape
    wide = np.zeros((height + 2, width + 2), cells.dtype)
    wide[1:-1, 1:-1] = cells
    places = ((0, 1), (1, 0), (1, 2), (2, 1), (0, 0), (0, 2), (2, 0), (2, 2))[: 8 if corners else 4]
    return np.array([wide[y : y + height, x : x + width] for y, x in places])


def outlined(image, colour: int, corners: bool):
    around = (neighbours(image.cells, corners) != 0).any(0) & (image.cells == 0)
    return image.with_cells(np.where(around, np.uint8(colour), image.cells)) if around.any() else None


@operation(IMAGE, "colour", gives=IMAGE, meaning="Empty cells at a side or corner of a coloured one take one colour.")
def outline(image, colour):
    return outlined(image, colour, True)


@operation(IMAGE, "colour", gives=IMAGE, meaning="Empty cells at a side of a coloured one take one colour.")
def outline_sides(image, colour):
    return outlined(image, colour, False)


@operation(IMAGE, gives=IMAGE, meaning="Every coloured cell colours the empty cells at its sides.")
def grow_sides(image):
    return image.with_cells(agreed(image.cells, *neighbours(image.cells, False)))


@operation(IMAGE, gives=IMAGE, meaning="Every coloured cell colours the empty cells at its sides and corners.")
def grow(image):
    return image.with_cells(agreed(image.cells, *neighbours(image.cells, True)))


@operation(IMAGE, gives=IMAGE, meaning="Coloured cells with an empty cell or the edge at a side are emptied.")
def erode_sides(image):
    return image.with_cells(image.cells * (neighbours(image.cells, False) != 0).all(0))


@operation(IMAGE, gives=IMAGE, meaning="Coloured cells with an empty cell or the edge at a side or corner are emptied.")
def erode(image):
    return image.with_cells(image.cells * (neighbours(image.cells, True) != 0).all(0))


def interior(cells: np.ndarray) -> np.ndarray:
    """Coloured cells with their own colour at all sides and corners; bool (height, width)."""
    return (cells != 0) & (neighbours(cells, True) == cells).all(0)


@operation(IMAGE, gives=IMAGE, meaning="Cells with their own colour at all sides and corners are emptied.")
def hollow(image):
    return image.with_cells(image.cells * ~interior(image.cells))


@operation(IMAGE, "colour", gives=IMAGE, meaning="Cells with their own colour at all sides and corners take one colour.")
def paint_interior(image, colour):
    inside = interior(image.cells)
    return image.with_cells(np.where(inside, np.uint8(colour), image.cells)) if inside.any() else None


@operation(IMAGE, gives=IMAGE, meaning="Only coloured cells that touch no other one, not even at a corner, stay.")
def keep_isolated(image):
    return image.with_cells(image.cells * ~neighbours(image.cells, True).any(0))


@operation(IMAGE, gives=IMAGE, meaning="Coloured cells that touch no other one, not even at a corner, are emptied.")
def drop_isolated(image):
    return image.with_cells(image.cells * neighbours(image.cells, True).any(0))


@operation(IMAGE, gives=IMAGE, meaning="Only coloured cells with exactly one coloured cell at their sides stay: ends of lines.")
def keep_ends(image):
    return image.with_cells(image.cells * (np.count_nonzero(neighbours(image.cells, False), 0) == 1))


@operation(IMAGE, "factor", gives=IMAGE, meaning="Only coloured cells with exactly n coloured cells at their sides stay.")
def keep_with_neighbours(image, factor):
    return image.with_cells(image.cells * (np.count_nonzero(neighbours(image.cells, False), 0) == factor))


@operation(IMAGE, gives=IMAGE, meaning="Cells with their own colour nowhere around them take the most frequent one there.")
def denoise(image):
    cells = image.cells
    if min(cells.shape) < 2:
        return None
    around = neighbours(cells + np.uint8(1), True)  # colours from 1 on, 0 outside
    alone = (around != cells + np.uint8(1)).all(0)
    if not alone.any():
        return None
    counts = (around[:, alone, None] == np.arange(1, 11, dtype=np.uint8)).sum(0)  # lonely cell, colour
    result = cells.copy()
    result[alone] = np.where((counts == counts.max(1, keepdims=True)).sum(1) == 1, counts.argmax(1), cells[alone])
    return image.with_cells(result)


# Completion: empty cells are what is missing


@operation(IMAGE, "direction", gives=IMAGE, meaning="Empty lines at one side continue the pattern of the lines before them.")
def continue_lines(image, direction):
    def action(cells):
        known = cells.any(1).nonzero()[0]
        if not len(known) or known[-1] == len(cells) - 1:
            return None
        size = known[-1] + 1
        same = (cells[:size, None] == cells[:size]).all(2)  # row, row
        step = next((step for step in range(1, size) if same.diagonal(step).all()), size)
        return cells[np.arange(len(cells)) % step]

    cells = downwards(image.cells, direction, action)
    return None if cells is None else image.with_cells(cells)


@cache
def _apart(size: int) -> np.ndarray:
    """For every distance the places that are so far on; `size` beyond the end. int (size, size)"""
    return np.minimum(np.arange(size)[:, None] + np.arange(size), size)


def fitting_periods(cells: np.ndarray) -> np.ndarray:
    """The distances, in rows, at which no two coloured cells differ; int (n,)."""
    height, width = cells.shape
    longer = np.zeros((height + 1, width), np.uint8)
    longer[:-1] = cells
    other = longer[_apart(height)]  # distance, row, column
    differ = ((other != cells) & (other != 0) & (cells != 0)).reshape(height, -1).any(1)
    return (~differ[1:]).nonzero()[0] + 1


@operation(IMAGE, gives=IMAGE, meaning="Empty cells take the colours that the smallest period of rows and columns gives them.")
def complete_period(image):
    cells = image.cells
    height, width = cells.shape
    empty = np.count_nonzero(cells == 0)
    if not 0 < empty <= cells.size // 2:
        return None
    rows = [p for p in fitting_periods(cells).tolist() if 2 * p <= height] + [height]
    columns = [p for p in fitting_periods(cells.T).tolist() if 2 * p <= width] + [width]
    for tall, wide in sorted(((tall, wide) for tall in rows for wide in columns), key=lambda p: p[0] * p[1])[:-1]:
        tile = (np.arange(height) % tall * wide)[:, None] + np.arange(width) % wide
        colours = np.zeros(tall * wide, np.uint8)
        colours[tile] = cells  # some cell of each place, empty or not
        colours[tile[cells != 0]] = cells[cells != 0]
        filled = colours[tile]
        if (filled == cells)[cells != 0].all():
            return image.with_cells(filled)
    return None


@operation(IMAGE, "symmetry", gives=IMAGE, meaning="Empty cells take the colours of the turned or mirrored image.")
def complete_symmetry(image, symmetry):
    other = apply_symmetry(image.cells, symmetry)
    if other.shape != image.cells.shape:
        return None
    return image.with_cells(np.where(image.cells == 0, other, image.cells))


@operation(
    IMAGE,
    gives=IMAGE,
    meaning="Empty cells take the colours of all turned and mirrored images, where they agree.",
)
def complete_all_symmetries(image):
    images = (image.cells, image.cells.T) if image.cells.shape[0] == image.cells.shape[1] else (image.cells,)
    mirrored = [cells[::down, ::right] for cells in images for down in (1, -1) for right in (1, -1)]
    return image.with_cells(agreed(image.cells, *mirrored))


@operation(
    IMAGE,
    "axis",
    gives=IMAGE,
    meaning="The order of rows or columns mirrored where most coloured cells match.",
)
def complete_mirror(image, axis):
    cells = along(image.cells, axis)
    height, width = cells.shape
    if height < 3 or not (cells == 0).any():
        return None
    longer = np.zeros((height + 1, width), np.uint8)
    longer[:-1] = cells[::-1]
    further = longer[_apart(height)]  # the mirror image moved up by a distance, row, column
    longer[:-1] = cells
    other = np.concatenate((further, longer[_apart(height)][1:, ::-1]))  # and moved down
    both = (other != 0) & (cells != 0)
    differ = (both & (other != cells)).reshape(len(other), -1).any(1)
    matching = np.where(differ, -1, both.reshape(len(other), -1).sum(1))
    # the cells on the mirror line match themselves: no evidence
    best = matching.argmax()
    if matching[best] <= np.count_nonzero(cells, 1).max():
        return None
    return image.with_cells(along(np.where(cells == 0, other[best], cells), axis))
