"""Operations that look at cells and their surroundings, masks, and numbers drawn as pictures. See `operations`.

In:  values of the types of `operations.Type`. Out: a new value, or None where the operation does not apply.
Not here: the form and the colours of a whole grid (`operations`), objects (`object_operations`).
"""

import numpy as np
from scipy import ndimage

from ...arc.view import SYMMETRIES, apply_symmetry
from ..generators.scenes import FOUR
from .operations import COLOUR, DIRECTION, GRID, INPUT, LOGIC, MASK, MIRROR, NUMBER, downwards, operation

COMBINE = {
    "both": np.logical_and,
    "either": np.logical_or,
    "only_one": np.logical_xor,
    "neither": lambda a, b: ~(a | b),
    "only_first": lambda a, b: a & ~b,
}


@operation(GRID, DIRECTION, gives=GRID, meaning="Every coloured cell falls in one direction as far as it can.")
def gravity(grid, direction):
    return downwards(grid, direction, lambda g: from_rows(g, np.argsort(g != 0, axis=0, kind="stable")))


def from_rows(grid: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """In every cell what `grid` has in the same column, in the row that `rows` says."""
    return grid[rows, np.arange(grid.shape[1])]


def summed(values: np.ndarray) -> np.ndarray:
    """In every cell the sum over the cell and its eight neighbours; int (height, width)."""
    columns = values.astype(int)
    columns[1:] += values[:-1]
    columns[:-1] += values[1:]
    sums = columns.copy()
    sums[:, 1:] += columns[:, :-1]
    sums[:, :-1] += columns[:, 1:]
    return sums


def shadow(grid: np.ndarray) -> np.ndarray:
    """For every cell the row of the nearest coloured cell at or above it, or -1; int (height, width)."""
    return np.maximum.accumulate(np.where(grid != 0, np.arange(grid.shape[0])[:, None], -1), 0)


def smeared(grid: np.ndarray) -> np.ndarray:
    """Every coloured cell drawn down to the next coloured cell or the edge."""
    rows = shadow(grid)
    return np.where(rows >= 0, from_rows(grid, rows), np.uint8(0))


@operation(GRID, DIRECTION, gives=GRID, meaning="A line from every coloured cell in one direction, up to the next coloured cell.")
def extend(grid, direction):
    return downwards(grid, direction, smeared)


@operation(GRID, gives=GRID, meaning="Two cells of one colour in a row or column are joined by a line through empty cells.")
def connect(grid):
    lines = []
    for direction, opposite in (("down", "up"), ("left", "right")):
        line = downwards(grid, direction, smeared)
        lines.append(np.where((line == downwards(grid, opposite, smeared)) & (grid == 0), line, np.uint8(0)))
    if ((lines[0] != 0) & (lines[1] != 0) & (lines[0] != lines[1])).any():
        return None
    return grid | lines[0] | lines[1]


@operation(GRID, COLOUR, gives=GRID, meaning="Empty cells next to a coloured cell, diagonally too, take one colour.")
def outline(grid, colour):
    return np.where((summed(grid) > 0) & (grid == 0), np.uint8(colour), grid)


def enclosed(empty: np.ndarray) -> np.ndarray:
    """The empty cells from which no way leads out at the sides of empty cells; bool (height, width)."""
    around = np.ones((empty.shape[0] + 2, empty.shape[1] + 2), bool)
    around[1:-1, 1:-1] = empty
    labels, _ = ndimage.label(around, FOUR)
    return empty & (labels[1:-1, 1:-1] != labels[0, 0])


@operation(GRID, COLOUR, gives=GRID, meaning="Empty cells enclosed by coloured ones take one colour.")
def fill_holes(grid, colour):
    return np.where(enclosed(grid == 0), np.uint8(colour), grid)


@operation(GRID, gives=GRID, meaning="Cells with coloured cells all around them are emptied.")
def hollow(grid):
    return np.where(summed(grid != 0) == 9, np.uint8(0), grid)


@operation(GRID, gives=GRID, meaning="Coloured cells that touch no other, not even diagonally, are removed.")
def drop_single_cells(grid):
    return np.where(summed(grid != 0) > 1, grid, np.uint8(0))


@operation(GRID, gives=GRID, meaning="Every coloured cell colours its four empty neighbours; two colours must not meet.")
def grow(grid):
    near = np.zeros((4, *grid.shape), np.uint8)  # what each neighbour would give
    near[0, 1:], near[1, :-1], near[2, :, 1:], near[3, :, :-1] = grid[:-1], grid[1:], grid[:, :-1], grid[:, 1:]
    highest = near.max(0)
    if (((near != 0) & (near != highest)).any(0) & (grid == 0)).any():
        return None
    return np.where(grid == 0, highest, grid)


# Masks


def panels(grid: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The two halves of a grid: parted by a line of one colour, or of a grid twice as long as wide."""
    height, width = grid.shape
    middle_column, middle_row = grid[:, width // 2], grid[height // 2]
    if width % 2 and width > 2 and middle_column[0] and (middle_column == middle_column[0]).all():
        across = True
    elif height % 2 and height > 2 and middle_row[0] and (middle_row == middle_row[0]).all():
        across = False
    elif max(width, height) == 2 * min(width, height) > 2:
        across = width > height
    else:
        return None
    side = (width if across else height) // 2
    return (grid[:, :side], grid[:, -side:]) if across else (grid[:side], grid[-side:])


@operation(INPUT, LOGIC, gives=MASK, meaning="Where both halves, either, just one, neither or only the first are coloured.")
def halves(grid, logic):
    parts = panels(grid)
    return COMBINE[logic](parts[0] != 0, parts[1] != 0) if parts else None


@operation(INPUT, gives=GRID, meaning="One half laid over the other.")
def stack_halves(grid):
    parts = panels(grid)
    return np.where(parts[0] != 0, *parts) if parts else None


@operation(INPUT, MIRROR, gives=MASK, meaning="The cells that differ from their mirror images, at most a third of the grid.")
def unlike_mirror(grid, mirror):
    unlike = grid != apply_symmetry(grid, SYMMETRIES.index(mirror))
    return unlike if 3 * np.count_nonzero(unlike) <= grid.size else None


@operation(INPUT, gives=MASK, meaning="The cells of rows and columns without a coloured cell.")
def empty_lines(grid):
    return ~grid.any(1)[:, None] | ~grid.any(0)


@operation(MASK, COLOUR, gives=GRID, meaning="The mask drawn in one colour.")
def draw_mask(mask, colour):
    return mask * np.uint8(colour)


@operation(GRID, MASK, COLOUR, gives=GRID, meaning="The cells of a mask take one colour.")
def paint(grid, mask, colour):
    return np.where(mask, np.uint8(colour), grid) if grid.shape == mask.shape else None


@operation(GRID, MASK, gives=GRID, meaning="Only the cells of a mask remain.")
def keep_where(grid, mask):
    return np.where(mask, grid, np.uint8(0)) if grid.shape == mask.shape else None


# Numbers


@operation(NUMBER, COLOUR, gives=GRID, meaning="A row of n cells of one colour.")
def bar(number, colour):
    return np.full((1, number), colour, np.uint8) if number <= 10 else None


@operation(NUMBER, COLOUR, gives=GRID, meaning="A diagonal of n cells of one colour.")
def diagonal(number, colour):
    return np.eye(number, dtype=np.uint8) * np.uint8(colour) if 2 <= number <= 8 else None
