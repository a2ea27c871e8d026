"""What the cells around a cell say of it. Outside of the image all is empty.

In:  cells, uint8 (height, width), and constants. Out: new cells of the same shape, `NOTHING` where a function does not apply.
`corners`: the cells at the corners count, as those at the sides do. Not here: regions of any extent (`fills`, `figures`).
"""

import numpy as np

from ...compiled import compiled
from .lines import CONTESTED, agreed
from .pairs import NOTHING, loops_of


def neighbours(cells: np.ndarray, corners: bool) -> np.ndarray:
    """What is at the four sides of every cell, with `corners` then at the corners; 0 outside. (4 or 8, height, width)"""
    height, width = cells.shape
    wide = np.zeros((height + 2, width + 2), cells.dtype)
    wide[1:-1, 1:-1] = cells
    places = ((0, 1), (1, 0), (1, 2), (2, 1), (0, 0), (0, 2), (2, 0), (2, 2))[: 8 if corners else 4]
    return np.array([wide[y : y + height, x : x + width] for y, x in places])


def counts_around(cells: np.ndarray, corners: bool, alike: bool) -> np.ndarray:
    """How many cells around each are coloured or, with `alike`, have its colour; int (height, width)."""
    around = neighbours(cells, corners)
    return np.count_nonzero((around == cells) & (around != 0) if alike else around, 0)


@compiled
def _count(cells, y, x, corners, alike):
    """The same for one cell."""
    count = 0
    for below in range(max(y - 1, 0), min(y + 2, cells.shape[0])):
        for beside in range(max(x - 1, 0), min(x + 2, cells.shape[1])):
            if (below != y or beside != x) and (corners or below == y or beside == x):
                if cells[below, beside] and (not alike or cells[below, beside] == cells[y, x]):
                    count += 1
    return count


def _kept_by_count(cells, corners, alike, least, most):
    counts = counts_around(cells, corners, alike)
    return cells * ((counts >= least) & (counts <= most))


@loops_of(_kept_by_count)
def kept_by_count(cells, corners, alike, least, most):
    """Only the cells with `least` to `most` coloured cells around them; with `alike`, of their own colour."""
    found = np.zeros_like(cells)
    for y in range(cells.shape[0]):
        for x in range(cells.shape[1]):
            if cells[y, x] and least <= _count(cells, y, x, corners, alike) <= most:
                found[y, x] = cells[y, x]
    return found


def _painted_by_count(cells, colour, corners, alike, least):
    chosen = (counts_around(cells, corners, alike) >= least) & ((cells != 0) == alike)
    return np.where(chosen, np.uint8(colour), cells) if chosen.any() else NOTHING


@loops_of(_painted_by_count)
def painted_by_count(cells, colour, corners, alike, least):
    """Empty cells with at least so many coloured ones around them in one colour; with `alike`, coloured ones with their own."""
    found = cells.copy()
    any_found = False
    for y in range(cells.shape[0]):
        for x in range(cells.shape[1]):
            if (cells[y, x] != 0) == alike and _count(cells, y, x, corners, alike) >= least:
                found[y, x] = colour
                any_found = True
    return found if any_found else np.zeros((0, 0), np.uint8)


def _grown(cells, corners):
    return agreed(cells, *neighbours(cells, corners))


@loops_of(_grown)
def grown(cells, corners):
    """Every coloured cell colours the empty ones around it, where they agree."""
    found = np.zeros_like(cells)
    for y in range(cells.shape[0]):
        for x in range(cells.shape[1]):
            colour = cells[y, x]
            if not colour:
                for below in range(max(y - 1, 0), min(y + 2, cells.shape[0])):
                    for beside in range(max(x - 1, 0), min(x + 2, cells.shape[1])):
                        other = cells[below, beside]
                        if other and other != colour and (corners or below == y or beside == x):
                            colour = CONTESTED if colour else other
            found[y, x] = 0 if colour == CONTESTED else colour
    return found


def _denoised(cells):
    if min(cells.shape) < 2:
        return NOTHING
    around = neighbours(cells + np.uint8(1), True)  # colours from 1 on, 0 outside
    alone = (around != cells + np.uint8(1)).all(0)
    if not alone.any():
        return NOTHING
    counts = (around[:, alone, None] == np.arange(1, 11, dtype=np.uint8)).sum(0)  # lonely cell, colour
    result = cells.copy()
    result[alone] = np.where((counts == counts.max(1, keepdims=True)).sum(1) == 1, counts.argmax(1), cells[alone])
    return result


@loops_of(_denoised)
def denoised(cells):
    """Cells with their own colour nowhere around them in the most frequent one there, if it is only one."""
    height, width = cells.shape
    found = cells.copy()
    counts = np.empty(10, np.int64)
    any_found = False
    if height < 2 or width < 2:
        return np.zeros((0, 0), np.uint8)
    for y in range(height):
        for x in range(width):
            for colour in range(10):
                counts[colour] = 0
            for below in range(max(y - 1, 0), min(y + 2, height)):
                for beside in range(max(x - 1, 0), min(x + 2, width)):
                    counts[cells[below, beside]] += 1
            if counts[cells[y, x]] > 1:
                continue
            any_found = True
            counts[cells[y, x]] = 0
            best, most = cells[y, x], 0
            for colour in range(10):
                if counts[colour] > most:
                    best, most = colour, counts[colour]
                elif counts[colour] == most:
                    best = cells[y, x]
            found[y, x] = best
    return found if any_found else np.zeros((0, 0), np.uint8)
