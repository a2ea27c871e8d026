"""Operations that draw lines and rays from the cells of an image, join cells by lines, and let cells fall.

In:  an `Image` and constants. Out: an `Image` of the same size and place, or None where the operation does not apply.
Where two colours claim one empty cell, it stays empty, so that no operation prefers a colour for its number.
Not here: lines from figures (`drawing`), figures that fall as wholes (`figure_moves`).
"""

from ..vocabulary import DIRECTIONS, IMAGE, operation
from .loops.lines import DIAGONAL, STRAIGHT, crossed, extended, extended_over, joined, sunk

RAYS = {"up": (-1, 1), "right": (1, 1), "down": (1, -1), "left": (-1, -1)}
"""The step along the diagonal that comes clockwise after a direction."""

ACROSS, UPRIGHT = STRAIGHT[1::2].copy(), STRAIGHT[::2].copy()
"""The steps both ways along rows, along columns; int (2, 2)."""


@operation(IMAGE, "direction", gives=IMAGE, meaning="A line from every coloured cell in one direction, up to the next one.")
def extend(image, direction):
    return image.with_cells(extended(image.cells, *DIRECTIONS[direction]))


@operation(
    IMAGE,
    "direction",
    gives=IMAGE,
    meaning="The first coloured cell drawn in one direction to the edge, over others.",
)
def extend_over(image, direction):
    return image.with_cells(extended_over(image.cells, *DIRECTIONS[direction]))


@operation(IMAGE, "axis", gives=IMAGE, meaning="Lines from every coloured cell both ways along its row or column.")
def extend_both_ways(image, axis):
    return image.with_cells(crossed(image.cells, ACROSS if axis == "rows" else UPRIGHT))


@operation(IMAGE, gives=IMAGE, meaning="Lines from every coloured cell in all four directions, up to other ones.")
def cross(image):
    return image.with_cells(crossed(image.cells, STRAIGHT))


@operation(
    IMAGE,
    "direction",
    gives=IMAGE,
    meaning="A ray from every coloured cell along the diagonal clockwise after a side.",
)
def ray(image, direction):
    return image.with_cells(extended(image.cells, *RAYS[direction])) if min(image.cells.shape) > 1 else None


@operation(IMAGE, gives=IMAGE, meaning="Rays from every coloured cell along all four diagonals, up to other ones.")
def rays(image):
    return image.with_cells(crossed(image.cells, DIAGONAL)) if min(image.cells.shape) > 1 else None


@operation(IMAGE, "axis", gives=IMAGE, meaning="Two cells of one colour in a row, or column, are joined over empty cells.")
def connect(image, axis):
    return image.with_cells(joined(image.cells, ACROSS[:1] if axis == "rows" else UPRIGHT[:1]))


@operation(IMAGE, gives=IMAGE, meaning="Two cells of one colour in a row or a column are joined through empty cells.")
def connect_both(image):
    return image.with_cells(joined(image.cells, STRAIGHT[:2]))


@operation(IMAGE, gives=IMAGE, meaning="Two cells of one colour on a diagonal are joined through empty cells.")
def connect_diagonals(image):
    return image.with_cells(joined(image.cells, DIAGONAL[:2])) if min(image.cells.shape) > 2 else None


@operation(IMAGE, "direction", gives=IMAGE, meaning="Every coloured cell falls in one direction as far as it can.")
def gravity(image, direction):
    return image.with_cells(sunk(image.cells, *DIRECTIONS[direction]))
