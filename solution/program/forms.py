"""Operations on the form of an image: symmetries, parts, sizes, tilings, separators.

In:  an `Image` and constants. Out: an `Image`, or None where the operation does not apply.
Results that grow keep the place of the image, whichever side they grow on: it is the place of the first cell.
Not here: colours, fills and lines (`colourings`), connected components (`figures`), parts as a list (`lists`).
"""

import numpy as np

from ..arc.task import MAX_SIDE
from ..arc.view import apply_symmetry
from .vocabulary import DIRECTIONS, IMAGE, Image, operation


def downwards(cells: np.ndarray, direction: str, action):
    """`action`, made for the direction down, in another direction; `action` may give None."""
    if direction == "down":
        return action(cells)
    if direction == "up":
        result = action(cells[::-1])
        return None if result is None else result[::-1]
    result = action(cells.T if direction == "right" else cells[:, ::-1].T)
    return None if result is None else result.T if direction == "right" else result.T[:, ::-1]


def along(cells: np.ndarray, axis: str) -> np.ndarray:
    """A view whose rows are the lines of the axis: the rows or the columns of `cells`. Its own inverse."""
    return cells if axis == "rows" else cells.T


def span(image: Image, direction: str, start: int, length: int) -> Image:
    """The part of `length` lines that begins `start` lines from the side that `direction` points at."""
    height, width = image.cells.shape
    if direction in ("up", "down"):
        return image.part(start if direction == "up" else height - start - length, 0, length, width)
    return image.part(0, start if direction == "left" else width - start - length, height, length)


def side(image: Image, direction: str) -> int:
    """The number of lines that follow each other in a direction."""
    return image.cells.shape[0 if DIRECTIONS[direction][0] else 1]


# Parts


@operation(IMAGE, "symmetry", gives=IMAGE, meaning="The image turned or mirrored.")
def turn(image, symmetry):
    return image.with_cells(apply_symmetry(image.cells, symmetry))


@operation(IMAGE, gives=IMAGE, meaning="The smallest part that holds every coloured cell.")
def crop(image):
    rows, columns = image.cells.any(1).nonzero()[0], image.cells.any(0).nonzero()[0]
    if not len(rows) or len(rows) + len(columns) == sum(image.cells.shape):
        return None
    return image.part(rows[0].item(), columns[0].item(), (rows[-1] - rows[0] + 1).item(), (columns[-1] - columns[0] + 1).item())


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
    if min(image.cells.shape) < 2:
        return None
    clockwise = {"up": "right", "right": "down", "down": "left", "left": "up"}[direction]
    first = span(image, direction, 0, side(image, direction) // 2)
    return span(first, clockwise, 0, side(first, clockwise) // 2)


# Sizes and tilings


@operation(IMAGE, "factor", gives=IMAGE, meaning="Every cell becomes n x n cells.")
def scale(image, factor):
    return (
        None if factor * max(image.cells.shape) > MAX_SIDE else image.with_cells(image.cells.repeat(factor, 0).repeat(factor, 1))
    )


@operation(IMAGE, gives=IMAGE, meaning="Every cell becomes n x n cells, n being the number of colours of coloured cells.")
def scale_by_colours(image):
    factor = np.count_nonzero(np.bincount(image.cells.ravel(), minlength=10)[1:])
    return scale.function(image, factor) if factor > 1 else None


@operation(IMAGE, gives=IMAGE, meaning="One cell for each of the largest one-coloured squares that the image is built of.")
def shrink(image):
    cells = image.cells
    # a square's side divides every place where two neighbouring lines differ
    rows = (cells[1:] != cells[:-1]).any(1).nonzero()[0] + 1
    columns = (cells[:, 1:] != cells[:, :-1]).any(0).nonzero()[0] + 1
    side_of_square = np.gcd.reduce([*rows.tolist(), *columns.tolist(), *cells.shape])
    return image.with_cells(cells[::side_of_square, ::side_of_square]) if side_of_square > 1 else None


def period(cells: np.ndarray) -> int:
    """After how many rows the rows repeat; their number where they do not."""
    (height, width), data = cells.shape, cells.tobytes()
    return next((step for step in range(1, height // 2 + 1) if data[step * width :] == data[: -step * width]), height)


@operation(IMAGE, gives=IMAGE, meaning="The smallest tile that repeats at least twice; the last repetition may be cut off.")
def smallest_tile(image):
    height, width = period(image.cells), period(image.cells.T)
    return image.part(0, 0, height, width) if (height, width) != image.cells.shape else None


@operation(IMAGE, "factor", gives=IMAGE, meaning="The image n x n times.")
def tile(image, factor):
    cells = image.cells
    if factor * max(cells.shape) > MAX_SIDE:
        return None
    line = np.concatenate((cells,) * factor, 1)
    return image.with_cells(np.concatenate((line,) * factor))


@operation(IMAGE, "axis", "factor", gives=IMAGE, meaning="The image n times below each other (rows) or side by side (columns).")
def repeat(image, axis, factor):
    number = 0 if axis == "rows" else 1
    if factor * image.cells.shape[number] > MAX_SIDE:
        return None
    return image.with_cells(np.concatenate((image.cells,) * factor, number))


@operation(IMAGE, "direction", gives=IMAGE, meaning="The mirror image joined to one side.")
def mirror_join(image, direction):
    if 2 * side(image, direction) > MAX_SIDE:
        return None
    return image.with_cells(downwards(image.cells, direction, lambda cells: np.concatenate((cells, cells[::-1]))))


@operation(IMAGE, gives=IMAGE, meaning="The image with its mirror images on the right, below and across.")
def mirror_four(image):
    if 2 * max(image.cells.shape) > MAX_SIDE:
        return None
    top = np.concatenate((image.cells, image.cells[:, ::-1]), 1)
    return image.with_cells(np.concatenate((top, top[::-1])))


@operation(IMAGE, gives=IMAGE, meaning="A square image and its three turned ones, each a quarter turn on, clockwise.")
def turn_four(image):
    cells = image.cells
    if not 1 < len(cells) == cells.shape[1] <= MAX_SIDE // 2:
        return None
    top = np.concatenate((cells, cells[::-1].T), 1)
    return image.with_cells(np.concatenate((top, top[::-1, ::-1])))


@operation(IMAGE, "colour", gives=IMAGE, meaning="A border of one colour added around the image.")
def border(image, colour):
    height, width = image.cells.shape
    if max(height, width) + 2 > MAX_SIDE:
        return None
    cells = np.full((height + 2, width + 2), colour, np.uint8)
    cells[1:-1, 1:-1] = image.cells
    return image.with_cells(cells)


@operation(IMAGE, "direction", gives=IMAGE, meaning="An empty image of the same size joined to one side.")
def double_canvas(image, direction):
    if 2 * side(image, direction) > MAX_SIDE:
        return None
    return image.with_cells(downwards(image.cells, direction, lambda cells: np.concatenate((cells, np.zeros_like(cells)))))


@operation(IMAGE, gives=IMAGE, meaning="An empty line between every two neighbouring rows and columns.")
def space_out(image):
    height, width = image.cells.shape
    if not 1 < max(height, width) <= (MAX_SIDE + 1) // 2:
        return None
    cells = np.zeros((2 * height - 1, 2 * width - 1), np.uint8)
    cells[::2, ::2] = image.cells
    return image.with_cells(cells)


@operation(IMAGE, gives=IMAGE, meaning="Every second row and column, from the first on.")
def every_second(image):
    return image.with_cells(image.cells[::2, ::2]) if min(image.cells.shape) > 2 else None


def fractal_at(image: Image, where: np.ndarray, cells: np.ndarray) -> Image | None:
    """`cells` in the place of every cell of `where`; the other cells become empty pieces of the same size."""
    (height, width), (rows, columns) = cells.shape, where.shape
    if height * rows > MAX_SIDE or width * columns > MAX_SIDE:
        return None
    grown = where[:, None, :, None] * cells[None, :, None, :]  # row, row of the piece, column, column of the piece
    return image.with_cells(grown.reshape(height * rows, width * columns))


@operation(IMAGE, gives=IMAGE, meaning="Every coloured cell becomes the image, every empty one an empty image.")
def fractal(image):
    return fractal_at(image, image.cells != 0, image.cells)


@operation(IMAGE, gives=IMAGE, meaning="Every empty cell becomes the image, every coloured one an empty image.")
def fractal_of_empty(image):
    return fractal_at(image, image.cells == 0, image.cells)


@operation(IMAGE, gives=IMAGE, meaning="Every coloured cell becomes the image with its one colour and empty exchanged.")
def fractal_of_inverse(image):
    if max(image.cells.shape) ** 2 > MAX_SIDE:  # each side is multiplied by itself
        return None
    colour = image.cells.max()
    if not colour or ((image.cells != 0) & (image.cells != colour)).any():
        return None
    return fractal_at(image, image.cells != 0, np.where(image.cells == 0, colour, np.uint8(0)))


@operation(IMAGE, gives=IMAGE, meaning="Every cell of the most frequent colour becomes the image, all others empty ones.")
def fractal_of_majority(image):
    if max(image.cells.shape) ** 2 > MAX_SIDE:
        return None
    counts = np.bincount(image.cells.ravel(), minlength=10)[1:]
    if (counts == counts.max()).sum() > 1:
        return None
    return fractal_at(image, image.cells == counts.argmax() + 1, image.cells)


# Lines of cells


def kept(image: Image, rows: np.ndarray, columns: np.ndarray) -> Image | None:
    """The cells of some rows and columns; None where they are all or none."""
    number = np.count_nonzero(rows) + np.count_nonzero(columns)
    if number == len(rows) + len(columns):
        return None
    return image.with_cells(image.cells[rows][:, columns])


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
    if side(image, direction) < 2:
        return None
    return image.with_cells(downwards(image.cells, direction, lambda cells: np.concatenate((cells[-1:], cells[:-1]))))


@operation(IMAGE, "direction", gives=IMAGE, meaning="Every line moves one step; one is lost, an empty one comes in.")
def shift(image, direction):
    (down, right), (height, width) = DIRECTIONS[direction], image.cells.shape
    cells = np.zeros_like(image.cells)
    cells[max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = image.cells[
        max(-down, 0) : height + min(-down, 0), max(-right, 0) : width + min(-right, 0)
    ]
    return image.with_cells(cells)


@operation(IMAGE, "axis", gives=IMAGE, meaning="Rows or columns in the order of their number of coloured cells, fewest first.")
def sort_lines(image, axis):
    cells = along(image.cells, axis)
    return image.with_cells(along(cells[np.count_nonzero(cells, 1).argsort(kind="stable")], axis))


@operation(
    IMAGE,
    "direction",
    gives=IMAGE,
    meaning="The triangle above or below the main diagonal (up, down) or the other (left, right).",
)
def triangle(image, direction):
    if min(image.cells.shape) < 2:
        return None
    cells = image.cells if direction in ("up", "down") else image.cells[:, ::-1]
    rows, columns = np.arange(len(cells))[:, None], np.arange(cells.shape[1])
    cells = np.where(rows <= columns if direction in ("up", "left") else rows >= columns, cells, np.uint8(0))
    return image.with_cells(cells if direction in ("up", "down") else cells[:, ::-1])
