"""What is drawn from the boxes of figures: fillings, frames, middle cells.

In:  cells, uint8 (height, width), and a table of figures (see `figures`). Out: new cells of the same shape, `NOTHING` where
there is nothing to draw. Only empty cells are drawn on, but for middle cells.
Not here: mirror images and copies of figures (`falls`).
"""

import numpy as np

from .figures import BOTTOM, COLOUR, LEFT, RIGHT, SIZE, TOP
from .pairs import NOTHING, loops_of


def _boxes_filled(cells, table, colour):
    found = np.zeros_like(cells)
    for row in table[(-table[:, SIZE]).argsort(kind="stable")]:
        found[row[TOP] : row[BOTTOM], row[LEFT] : row[RIGHT]] = colour or row[COLOUR]
    return np.where(cells == 0, found, cells)


@loops_of(_boxes_filled)
def boxes_filled(cells, table, colour):
    """The boxes of figures in one colour, with 0 in the figures' own; the smallest figure wins, of several the last."""
    found = cells.copy()
    sizes = np.full(cells.shape, cells.size + 1)
    for index in range(len(table)):
        row = table[index]
        for y in range(row[TOP], row[BOTTOM]):
            for x in range(row[LEFT], row[RIGHT]):
                if cells[y, x] == 0 and row[SIZE] <= sizes[y, x]:
                    found[y, x] = colour if colour else row[COLOUR]
                    sizes[y, x] = row[SIZE]
    return found


def _boxes_framed(cells, table, colour):
    around = np.zeros(cells.shape, bool)
    for top, left, bottom, right in table[:, TOP:].tolist():
        around[max(top - 1, 0) : bottom + 1, max(left - 1, 0) : right + 1] = True
    for top, left, bottom, right in table[:, TOP:].tolist():
        around[top:bottom, left:right] = False
    return np.where(around & (cells == 0), np.uint8(colour), cells)


@loops_of(_boxes_framed)
def boxes_framed(cells, table, colour):
    """The cells right around every box that lie in none, in one colour."""
    height, width = cells.shape
    found = cells.copy()
    for index in range(len(table)):
        top, left, bottom, right = table[index, TOP], table[index, LEFT], table[index, BOTTOM], table[index, RIGHT]
        for y in range(max(top - 1, 0), min(bottom + 1, height)):
            for x in range(max(left - 1, 0), min(right + 1, width)):
                if cells[y, x] == 0:
                    found[y, x] = colour
    for index in range(len(table)):
        for y in range(table[index, TOP], table[index, BOTTOM]):
            for x in range(table[index, LEFT], table[index, RIGHT]):
                found[y, x] = cells[y, x]
    return found


def _middles(cells, table, colour):
    rows, columns = table[:, TOP] + table[:, BOTTOM] - 1, table[:, LEFT] + table[:, RIGHT] - 1
    odd = (rows % 2 == 0) & (columns % 2 == 0) & ((table[:, SIZE] > 1) | (colour == 0))
    if not odd.any():
        return NOTHING
    found = cells.copy() if colour else np.zeros_like(cells)
    found[rows[odd] // 2, columns[odd] // 2] = colour or table[odd, COLOUR]
    return found


@loops_of(_middles)
def middles(cells, table, colour):
    """The middle cells of the boxes of larger figures in one colour; with 0, of all in their own, and nothing else."""
    found = cells.copy() if colour else np.zeros_like(cells)
    any_found = False
    for index in range(len(table)):
        row, column = table[index, TOP] + table[index, BOTTOM] - 1, table[index, LEFT] + table[index, RIGHT] - 1
        if row % 2 == 0 and column % 2 == 0 and (colour == 0 or table[index, SIZE] > 1):
            found[row // 2, column // 2] = colour if colour else table[index, COLOUR]
            any_found = True
    return found if any_found else np.zeros((0, 0), np.uint8)
