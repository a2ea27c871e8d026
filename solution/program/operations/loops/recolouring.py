"""Recolouring of single cells and lines. Cells: uint8 (height, width).

In:  cells and constants. Out: new cells of the same shape. Not here: regions (`fills`), figures (`figures`).
"""

import numpy as np

from .pairs import loops_of


def _only(cells, colour):
    return cells * (cells == colour)


@loops_of(_only)
def only(cells, colour):
    """The cells of one colour."""
    found = np.zeros_like(cells)
    for y in range(cells.shape[0]):
        for x in range(cells.shape[1]):
            if cells[y, x] == colour:
                found[y, x] = colour
    return found


def _without(cells, colour):
    return cells * (cells != colour)


@loops_of(_without)
def without(cells, colour):
    """All but the cells of one colour."""
    found = np.zeros_like(cells)
    for y in range(cells.shape[0]):
        for x in range(cells.shape[1]):
            if cells[y, x] != colour:
                found[y, x] = cells[y, x]
    return found


def _painted(cells, colour):
    return (cells != 0) * np.uint8(colour)


@loops_of(_painted)
def painted(cells, colour):
    """Every coloured cell in one colour."""
    found = np.zeros_like(cells)
    for y in range(cells.shape[0]):
        for x in range(cells.shape[1]):
            if cells[y, x]:
                found[y, x] = colour
    return found


def _empty_painted(cells, colour):
    return np.where(cells == 0, np.uint8(colour), cells)


@loops_of(_empty_painted)
def empty_painted(cells, colour):
    """Every empty cell in one colour."""
    found = np.empty_like(cells)
    for y in range(cells.shape[0]):
        for x in range(cells.shape[1]):
            found[y, x] = cells[y, x] if cells[y, x] else colour
    return found


def _majorities(cells, rows):
    lines = cells if rows else cells.T
    size = len(lines)
    counts = np.bincount((lines + 10 * np.arange(size)[:, None]).ravel(), minlength=10 * size).reshape(size, 10)
    most = counts.max(1, keepdims=True)
    colours = np.where((counts == most).sum(1) == 1, counts.argmax(1), 0).astype(np.uint8)
    found = np.broadcast_to(colours[:, None], lines.shape)
    return np.ascontiguousarray(found if rows else found.T)


@loops_of(_majorities)
def majorities(cells, rows):
    """Every row (or column) in its most frequent colour, empty where two are."""
    height, width = cells.shape
    found = np.zeros_like(cells)
    for line in range(height if rows else width):
        counts = np.zeros(10, np.int64)
        for place in range(width if rows else height):
            counts[cells[line, place] if rows else cells[place, line]] += 1
        best = 0
        for colour in range(1, 10):
            if counts[colour] > counts[best]:
                best = colour
        for colour in range(10):
            if colour != best and counts[colour] == counts[best]:
                best = 0
                break
        for place in range(width if rows else height):
            if rows:
                found[line, place] = best
            else:
                found[place, line] = best
    return found


def _taken_from_side(cells, down, right):
    lines = cells if down else cells.T
    given = lines[-1 if down + right > 0 else 0]  # the outermost line on that side
    found = np.where((lines != 0) & (given != 0), given, lines)
    return np.ascontiguousarray(found if down else found.T)


@loops_of(_taken_from_side)
def taken_from_side(cells, down, right):
    """Coloured cells in the colour of the outermost cell of their line on the side of a direction, where it has one."""
    height, width = cells.shape
    found = np.empty_like(cells)
    for y in range(height):
        for x in range(width):
            given = cells[(height - 1 if down > 0 else 0) if down else y, (width - 1 if right > 0 else 0) if right else x]
            found[y, x] = given if cells[y, x] and given else cells[y, x]
    return found
