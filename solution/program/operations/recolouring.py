"""Operations that recolour single cells or lines of an image, by their colours, not by what is around them.

In:  an `Image` and constants. Out: an `Image` of the same size and place, or None where the operation does not apply.
Not here: fills (`fills`), lines (`lines`), figures (`figure_choices`).
"""

from functools import cache, lru_cache

import numpy as np

from ..vocabulary import DIRECTIONS, IMAGE, Image, operation
from .loops.recolouring import empty_painted, majorities, only, painted, taken_from_side, without


@lru_cache(256)
def counted(image: Image) -> tuple[int, ...]:
    """How many cells have each of the ten colours. Remembered, since a search asks many operations about the same image."""
    data = image.cells.tobytes()
    return tuple(map(data.count, range(10)))


def sole_most_frequent(image: Image) -> int:
    """The most frequent colour of coloured cells; 0 where there are several or none."""
    counts = counted(image)[1:]
    most = max(counts)
    return counts.index(most) + 1 if counts.count(most) == 1 else 0


@cache
def exchanged(one: int, other: int) -> np.ndarray:
    """Colour -> colour, with two exchanged; uint8 (10,)."""
    new = np.arange(10, dtype=np.uint8)
    new[[one, other]] = other, one
    return new


@operation(IMAGE, "colour", gives=IMAGE, meaning="Only the cells of one colour stay.")
def keep_colour(image, colour):
    return image.with_cells(only(image.cells, colour))


@operation(IMAGE, "colour", gives=IMAGE, meaning="The cells of one colour are emptied.")
def drop_colour(image, colour):
    return image.with_cells(without(image.cells, colour))


@operation(IMAGE, "colour", gives=IMAGE, meaning="Every coloured cell takes one colour.")
def paint(image, colour):
    return image.with_cells(painted(image.cells, colour))


@operation(IMAGE, "colour", gives=IMAGE, meaning="Every empty cell takes one colour.")
def fill_empty(image, colour):
    return image.with_cells(empty_painted(image.cells, colour))


@operation(IMAGE, gives=IMAGE, meaning="Only the most frequent colour of coloured cells stays.")
def keep_most_frequent(image):
    colour = sole_most_frequent(image)
    if not colour or counted(image)[1:].count(0) == 8:
        return None
    return image.with_cells(only(image.cells, colour))


@operation(IMAGE, gives=IMAGE, meaning="Only the least frequent colour of coloured cells stays.")
def keep_least_frequent(image):
    counts = counted(image)[1:]
    least = min(filter(None, counts), default=0)
    if counts.count(0) > 7 or counts.count(least) > 1:
        return None
    return image.with_cells(only(image.cells, counts.index(least) + 1))


@operation(IMAGE, gives=IMAGE, meaning="The two most frequent colours of coloured cells are exchanged.")
def swap_two(image):
    counts = counted(image)
    first, second, third = sorted(range(1, 10), key=lambda colour: -counts[colour])[:3]
    if not counts[second] or counts[second] == counts[third]:
        return None
    return image.with_cells(exchanged(first, second)[image.cells])


@operation(IMAGE, gives=IMAGE, meaning="The two colours of a two-coloured image are exchanged; empty counts as a colour.")
def invert(image):
    present = [colour for colour, count in enumerate(counted(image)) if count]
    return image.with_cells(exchanged(*present)[image.cells]) if len(present) == 2 else None


@operation(IMAGE, gives=IMAGE, meaning="The most frequent colour is emptied where it is more frequent than empty cells.")
def empty_background(image):
    colour = sole_most_frequent(image)
    counts = counted(image)
    return image.with_cells(without(image.cells, colour)) if colour and counts[colour] > counts[0] else None


@operation(IMAGE, gives=IMAGE, meaning="Empty cells and cells of the most frequent colour are exchanged.")
def exchange_background(image):
    colour = sole_most_frequent(image)
    return image.with_cells(exchanged(0, colour)[image.cells]) if colour and counted(image)[0] else None


@operation(IMAGE, "axis", gives=IMAGE, meaning="Every row or column takes its most frequent colour; empty where two are.")
def line_majority(image, axis):
    return image.with_cells(majorities(image.cells, axis == "rows"))


@operation(
    IMAGE,
    "direction",
    gives=IMAGE,
    meaning="Coloured cells take the colour of their line's outermost cell on one side.",
)
def take_from_side(image, direction):
    if min(image.cells.shape) < 2:
        return None
    return image.with_cells(taken_from_side(image.cells, *DIRECTIONS[direction]))


@operation(IMAGE, gives=IMAGE, meaning="As on a chess board, every second cell is emptied; the first one stays.")
def checkered(image):
    cells = image.cells.copy()
    cells[::2, 1::2] = cells[1::2, ::2] = 0
    return image.with_cells(cells)
