"""Regions of empty cells: enclosed ones, those with a way out, what a colour reaches, which figures lie around or inside.

In:  cells, uint8 (height, width), and constants or labels of figures. Out: new cells of the same shape, `NOTHING` where there
is no such region; or the figures chosen.
Not here: connected groups of coloured cells (`figures`).
"""

import numpy as np
from scipy import ndimage

from ...compiled import compiled
from .pairs import NOTHING, loops_of

EIGHT = np.ones((3, 3), bool)

HOLES, ALONE, OUTSIDE = range(3)
"""What is painted: enclosed cells; these, and nothing else stays; cells with a way out."""


def _enclosed(cells, corners):
    around = np.ones((cells.shape[0] + 2, cells.shape[1] + 2), bool)
    around[1:-1, 1:-1] = cells == 0
    return ndimage.label(around, EIGHT if corners else None)[0][1:-1, 1:-1] > 1  # the outside comes first


@compiled
def _spread(open_cells, waiting, count, corners):
    """Close (0) every open cell (1) that joins one of the `count` cells of `waiting` (flat places) over open cells."""
    height, width = open_cells.shape
    while count:
        count -= 1
        y, x = waiting[count] // width, waiting[count] % width
        for below in range(max(y - 1, 0), min(y + 2, height)):
            for beside in range(max(x - 1, 0), min(x + 2, width)):
                if open_cells[below, beside] and (corners or below == y or beside == x):
                    open_cells[below, beside] = 0
                    waiting[count] = below * width + beside
                    count += 1


@compiled
def _holes(cells, corners):
    """1 in enclosed empty cells, else 0; and their number."""
    height, width = cells.shape
    holes = np.zeros((height, width), np.uint8)
    waiting = np.empty(height * width, np.int64)
    count = 0
    number = 0
    for y in range(height):
        for x in range(width):
            if cells[y, x] == 0:
                if y == 0 or x == 0 or y == height - 1 or x == width - 1:
                    waiting[count] = y * width + x
                    count += 1
                else:
                    holes[y, x] = 1
                    number += 1
    if number:
        _spread(holes, waiting, count, corners)
        number = 0
        for y in range(height):
            for x in range(width):
                number += holes[y, x]
    return holes, number


def _region_painted(cells, colour, corners, part):
    holes = _enclosed(cells, corners)
    if not holes.any():
        return NOTHING
    return np.where(
        (cells == 0) & ~holes if part == OUTSIDE else holes, np.uint8(colour), np.uint8(0) if part == ALONE else cells
    )


@loops_of(_region_painted)
def region_painted(cells, colour, corners, part):
    """Enclosed empty cells, or those outside, in one colour; with `ALONE`, all others empty. `corners`: a way out may lead over
    corners. Only where there are enclosed ones."""
    holes, number = _holes(cells, corners)
    if not number:
        return np.zeros((0, 0), np.uint8)
    for y in range(cells.shape[0]):
        for x in range(cells.shape[1]):
            if cells[y, x]:
                holes[y, x] = 0 if part == ALONE else cells[y, x]
            else:
                holes[y, x] = colour if (holes[y, x] == 0) == (part == OUTSIDE) else 0
    return holes


def _holes_filled_around(cells):
    holes = _enclosed(cells, False)
    if not holes.any():
        return NOTHING
    regions, number = ndimage.label(holes)
    # no hole touches the edge: rolling never reaches around
    colours = np.zeros((number + 1, 10), bool)
    for step, axis in ((1, 0), (-1, 0), (1, 1), (-1, 1)):
        colours[regions, np.roll(cells, step, axis)] = True
    colours[0] = colours[:, 0] = False
    new = np.where(colours.sum(1) == 1, colours.argmax(1), 0).astype(np.uint8)
    return cells + new[regions]


@loops_of(_holes_filled_around)
def holes_filled_around(cells):
    """Every enclosed region in the colour at its sides, where it is only one."""
    holes, number = _holes(cells, False)
    if not number:
        return np.zeros((0, 0), np.uint8)
    height, width = cells.shape
    found = cells.copy()
    region = np.empty(height * width, np.int64)
    for start in range(height * width):
        if not holes[start // width, start % width]:
            continue
        holes[start // width, start % width] = 0
        region[0] = start
        known, seen = 1, 0
        colour = 0  # 255: several
        while seen < known:
            y, x = region[seen] // width, region[seen] % width
            seen += 1
            for below, beside in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if cells[below, beside]:
                    colour = cells[below, beside] if colour == 0 or colour == cells[below, beside] else 255
                elif holes[below, beside]:
                    holes[below, beside] = 0
                    region[known] = below * width + beside
                    known += 1
        if colour < 255:
            for place in region[:known]:
                found[place // width, place % width] = colour
    return found


def _flooded(cells, colour):
    if not (cells == colour).any():
        return NOTHING
    labels, number = ndimage.label((cells == 0) | (cells == colour))
    reached = np.zeros(number + 1, bool)
    reached[labels[cells == colour]] = True
    return np.where(reached[labels], np.uint8(colour), cells)


@loops_of(_flooded)
def flooded(cells, colour):
    """The empty cells that join a cell of one colour over sides of empty cells, in this colour."""
    height, width = cells.shape
    empty = np.zeros((height, width), np.uint8)
    waiting = np.empty(height * width, np.int64)
    count = 0
    for y in range(height):
        for x in range(width):
            if cells[y, x] == colour:
                waiting[count] = y * width + x
                count += 1
            elif cells[y, x] == 0:
                empty[y, x] = 1
    if not count:
        return np.zeros((0, 0), np.uint8)
    _spread(empty, waiting, count, False)
    for y in range(height):
        for x in range(width):
            empty[y, x] = cells[y, x] if cells[y, x] or empty[y, x] else colour
    return empty


def _around_holes(cells, labels, number):
    regions, count = ndimage.label(_enclosed(cells, False))
    found = np.zeros(number + 1, bool)
    for region in range(1, count + 1):
        y, x = np.argwhere(regions == region)[0]
        found[labels[y - 1, x]] = True
    return found[1:]


@loops_of(_around_holes)
def around_holes(cells, labels, number):
    """The figures above the first cell of an enclosed empty region; bool (figures,)."""
    found = np.zeros(number, np.bool_)
    height, width = cells.shape
    holes, count = _holes(cells, False)
    if not count:
        return found
    waiting = np.empty(height * width, np.int64)
    for place in range(height * width):
        y, x = place // width, place % width
        if not holes[y, x]:
            continue
        found[labels[y - 1, x] - 1] = True
        holes[y, x] = 0
        waiting[0] = place
        _spread(holes, waiting, 1, False)
    return found


def _outermost(cells, labels, number):
    around = np.ones((cells.shape[0] + 2, cells.shape[1] + 2), bool)
    around[1:-1, 1:-1] = (cells == 0) & ~_enclosed(cells, False)
    beside = around[:-2, 1:-1] | around[2:, 1:-1] | around[1:-1, :-2] | around[1:-1, 2:]
    found = np.zeros(number + 1, bool)
    found[labels[beside]] = True
    return found[1:]


@loops_of(_outermost)
def outermost(cells, labels, number):
    """The figures with a side at the edge or at an empty cell that has a way out; bool (figures,)."""
    found = np.zeros(number, np.bool_)
    height, width = cells.shape
    holes, _ = _holes(cells, False)
    for y in range(height):
        for x in range(width):
            if labels[y, x] and not found[labels[y, x] - 1]:
                for below, beside in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                    inside = 0 <= below < height and 0 <= beside < width
                    if not inside or (cells[below, beside] == 0 and not holes[below, beside]):
                        found[labels[y, x] - 1] = True
    return found
