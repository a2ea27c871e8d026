"""Operations on the form of an image: symmetries, parts, and lines of cells that stay, go, or change places.

In:  an `Image` and constants. Out: an `Image`, or None where the operation does not apply.
Results that grow keep the place of the image, whichever side they grow on: it is the place of the first cell.
Not here: what makes images larger or shows their unit (`tilings`), colours (`recolouring`), parts as a list (`splits`).
"""

from functools import cache

import numpy as np

from ..vocabulary import DIRECTIONS, IMAGE, Image, operation
from .loops.completion import turned
from .loops.figures import box
from .loops.lines import shifted

CLOCKWISE = {"up": "right", "right": "down", "down": "left", "left": "up"}


def span(image: Image, direction: str, start: int, length: int) -> Image:
    """The part of `length` lines that begins `start` lines from the side that `direction` points at."""
    height, width = image.cells.shape
    if direction in ("up", "down"):
        return image.part(start if direction == "up" else height - start - length, 0, length, width)
    return image.part(0, start if direction == "left" else width - start - length, height, length)


def side(image: Image, direction: str) -> int:
    """The number of lines that follow each other in a direction."""
    return image.cells.shape[0 if direction in ("up", "down") else 1]


@operation(IMAGE, "symmetry", gives=IMAGE, meaning="The image turned or mirrored.")
def turn(image, symmetry):
    return image.with_cells(turned(image.cells, symmetry))


# Parts


@operation(IMAGE, gives=IMAGE, meaning="The smallest part that holds every coloured cell.")
def crop(image):
    *found, coloured = box(image.cells)
    return image.part(*found) if 0 < coloured < sum(image.cells.shape) else None


@operation(IMAGE, gives=IMAGE, meaning="The image without its outermost lines on all four sides.")
def peel(image):
    height, width = image.cells.shape
    return image.part(1, 1, height - 2, width - 2) if min(height, width) > 2 else None


@operation(IMAGE, "direction", gives=IMAGE, meaning="The half on one side; the middle line of an odd number is in neither.")
def half(image, direction):
    size = side(image, direction)
    return span(image, direction, 0, size // 2) if size > 1 else None


@operation(IMAGE, "direction", gives=IMAGE, meaning="The outer third on one side; lines between equal thirds belong to none.")
def third(image, direction):
    size = side(image, direction)
    return span(image, direction, 0, size // 3) if size > 2 and size % 3 != 1 else None


@operation(IMAGE, "axis", gives=IMAGE, meaning="The middle third of the rows or columns; lines between equal thirds go.")
def middle_third(image, axis):
    direction = "up" if axis == "rows" else "left"
    size = side(image, direction)
    return span(image, direction, (size - size // 3) // 2, size // 3) if size > 2 and size % 3 != 1 else None


@operation(IMAGE, "direction", gives=IMAGE, meaning="The quarter in the corner that comes clockwise after one side.")
def quarter(image, direction):
    height, width = image.cells.shape
    if min(height, width) < 2:
        return None
    corner = (direction, CLOCKWISE[direction])
    top = height - height // 2 if "down" in corner else 0
    left = width - width // 2 if "right" in corner else 0
    return image.part(top, left, height // 2, width // 2)


# Lines of cells


def kept(image: Image, rows: np.ndarray, columns: np.ndarray) -> Image | None:
    """The cells of some rows and columns, bool (height,) and (width,); None where they are all or none."""
    return None if rows.all() and columns.all() else image.with_cells(image.cells[rows][:, columns])


@operation(IMAGE, gives=IMAGE, meaning="Of neighbouring equal rows or columns only one stays.")
def squeeze(image):
    cells = image.cells
    rows, columns = np.ones(len(cells), bool), np.ones(cells.shape[1], bool)
    rows[1:] = (cells[1:] != cells[:-1]).any(1)
    columns[1:] = (cells[:, 1:] != cells[:, :-1]).any(0)
    return kept(image, rows, columns)


@operation(IMAGE, gives=IMAGE, meaning="Rows and columns without a coloured cell are dropped.")
def drop_empty_lines(image):
    return kept(image, image.cells.any(1), image.cells.any(0))


def separators(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which rows and which columns are of one colour other than 0; bool (height,) and (width,)."""
    return (cells[:, 0] != 0) & (cells == cells[:, :1]).all(1), (cells[0] != 0) & (cells == cells[0]).all(0)


@operation(IMAGE, gives=IMAGE, meaning="Rows and columns that are one colour from edge to edge are dropped.")
def drop_separators(image):
    rows, columns = separators(image.cells)
    return kept(image, ~rows, ~columns)


@operation(IMAGE, gives=IMAGE, meaning="Only rows and columns of one colour from edge to edge stay; the rest is emptied.")
def keep_separators(image):
    rows, columns = separators(image.cells)
    if not (rows.any() or columns.any()):
        return None
    return image.with_cells(np.where(rows[:, None] | columns, image.cells, np.uint8(0)))


@operation(IMAGE, "direction", gives=IMAGE, meaning="Every line moves one step; the line that leaves comes in on the other side.")
def roll(image, direction):
    return image.with_cells(shifted(image.cells, *DIRECTIONS[direction], True)) if side(image, direction) > 1 else None


@operation(IMAGE, "direction", gives=IMAGE, meaning="Every line moves one step; one is lost, an empty one comes in.")
def shift(image, direction):
    return image.with_cells(shifted(image.cells, *DIRECTIONS[direction], False))


@operation(IMAGE, "axis", gives=IMAGE, meaning="Rows or columns in the order of their number of coloured cells, fewest first.")
def sort_lines(image, axis):
    order = np.count_nonzero(image.cells, 1 if axis == "rows" else 0).argsort(kind="stable")
    return image.with_cells(image.cells[order] if axis == "rows" else image.cells[:, order])


@cache
def beside_diagonal(height: int, width: int, direction: str) -> np.ndarray:
    """1 on a diagonal and on one side of it, else 0; uint8 (height, width)."""
    above = np.triu(np.ones((height, width), np.uint8))
    below = np.tril(np.ones((height, width), np.uint8))
    return {"up": above, "down": below, "left": above[:, ::-1], "right": below[:, ::-1]}[direction]


@operation(
    IMAGE,
    "direction",
    gives=IMAGE,
    meaning="The triangle above or below the main diagonal (up, down) or the other (left, right).",
)
def triangle(image, direction):
    if min(image.cells.shape) < 2:
        return None
    return image.with_cells(image.cells * beside_diagonal(*image.cells.shape, direction))
