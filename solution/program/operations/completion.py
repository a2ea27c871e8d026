"""Operations that complete an image whose empty cells are what is missing of a pattern, a tiling or a symmetry.

In:  an `Image` and constants. Out: an `Image` of the same size and place, or None where the operation does not apply.
Not here: fills that look at regions (`fills`).
"""

from functools import cache

import numpy as np

from ..vocabulary import DIRECTIONS, IMAGE, operation
from .loops.completion import completed, completed_all_ways, continued, mirror_completed


@operation(IMAGE, "direction", gives=IMAGE, meaning="Empty lines at one side continue the pattern of the lines before them.")
def continue_lines(image, direction):
    return image.with_cells(continued(image.cells, *DIRECTIONS[direction]))


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
    empty = cells.tobytes().count(0)
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
    return image.with_cells(completed(image.cells, symmetry))


@operation(
    IMAGE,
    gives=IMAGE,
    meaning="Empty cells take the colours of all turned and mirrored images, where they agree.",
)
def complete_all_symmetries(image):
    return image.with_cells(completed_all_ways(image.cells))


@operation(
    IMAGE,
    "axis",
    gives=IMAGE,
    meaning="The order of rows or columns mirrored where most coloured cells match.",
)
def complete_mirror(image, axis):
    return image.with_cells(mirror_completed(image.cells, axis == "rows"))
