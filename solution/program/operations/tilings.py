"""Operations that change the size of an image: scaling, tilings, borders, fractals, and the units that images are built of.

In:  an `Image` and constants. Out: an `Image`, or None where the operation does not apply.
Results that grow keep the place of the image, whichever side they grow on: it is the place of the first cell.
Not here: parts of an image (`forms`), images joined from a list (`laying`).
"""

from math import gcd

import numpy as np

from ...arc.task import MAX_SIDE
from ..vocabulary import IMAGE, Image, operation
from .forms import side
from .recolouring import counted, sole_most_frequent


def widened(cells: np.ndarray, direction: str, more: np.ndarray) -> np.ndarray:
    """Further cells on the side that a direction points at."""
    first, second = (cells, more) if direction in ("down", "right") else (more, cells)
    return np.concatenate((first, second), 0 if direction in ("up", "down") else 1)


@operation(IMAGE, "factor", gives=IMAGE, meaning="Every cell becomes n x n cells.")
def scale(image, factor):
    return (
        None if factor * max(image.cells.shape) > MAX_SIDE else image.with_cells(image.cells.repeat(factor, 0).repeat(factor, 1))
    )


@operation(IMAGE, gives=IMAGE, meaning="Every cell becomes n x n cells, n being the number of colours of coloured cells.")
def scale_by_colours(image):
    factor = sum(count > 0 for count in counted(image)[1:])
    return scale.function(image, factor) if factor > 1 else None


@operation(IMAGE, gives=IMAGE, meaning="One cell for each of the largest one-coloured squares that the image is built of.")
def shrink(image):
    cells = image.cells
    # a square's side divides every place where two neighbouring lines differ
    rows = (cells[1:] != cells[:-1]).any(1).nonzero()[0] + 1
    columns = (cells[:, 1:] != cells[:, :-1]).any(0).nonzero()[0] + 1
    unit = gcd(*rows.tolist(), *columns.tolist(), *cells.shape)
    return image.with_cells(cells[::unit, ::unit]) if unit > 1 else None


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
    mirrored = image.cells[::-1] if direction in ("up", "down") else image.cells[:, ::-1]
    return image.with_cells(widened(image.cells, direction, mirrored))


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
    return image.with_cells(widened(image.cells, direction, np.zeros_like(image.cells)))


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
    colour = sole_most_frequent(image)
    return fractal_at(image, image.cells == colour, image.cells) if colour else None
