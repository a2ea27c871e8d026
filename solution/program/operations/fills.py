"""Operations that fill or empty regions of an image, by what encloses them or what is around them.

In:  an `Image` and constants. Out: an `Image` of the same size and place, or None where the operation does not apply.
Where two colours claim one empty cell, it stays empty, so that no operation prefers a colour for its number.
Not here: connected components as wholes (`figures`).
"""

from ..vocabulary import IMAGE, operation
from .loops.fills import ALONE, HOLES, OUTSIDE, flooded, holes_filled_around, region_painted
from .loops.neighbourhoods import denoised, grown, kept_by_count, painted_by_count


@operation(IMAGE, "colour", gives=IMAGE, meaning="Enclosed empty cells take one colour; a way out leads over sides.")
def fill_holes(image, colour):
    return image.with_cells(region_painted(image.cells, colour, False, HOLES))


@operation(IMAGE, "colour", gives=IMAGE, meaning="Enclosed empty cells take one colour; a way out leads over sides and corners.")
def fill_sealed_holes(image, colour):
    return image.with_cells(region_painted(image.cells, colour, True, HOLES))


@operation(IMAGE, "colour", gives=IMAGE, meaning="Enclosed empty cells in one colour; all others become empty.")
def keep_holes(image, colour):
    return image.with_cells(region_painted(image.cells, colour, False, ALONE))


@operation(IMAGE, "colour", gives=IMAGE, meaning="Empty cells that are not enclosed take one colour.")
def fill_outside(image, colour):
    return image.with_cells(region_painted(image.cells, colour, False, OUTSIDE))


@operation(IMAGE, gives=IMAGE, meaning="Enclosed empty regions take the colour around them, where it is only one.")
def fill_holes_around(image):
    return image.with_cells(holes_filled_around(image.cells))


@operation(IMAGE, "colour", gives=IMAGE, meaning="Empty cells that join a cell of one colour over sides of empty cells take it.")
def flood(image, colour):
    return image.with_cells(flooded(image.cells, colour))


@operation(IMAGE, "colour", gives=IMAGE, meaning="The outermost cells of the image take one colour.")
def draw_frame(image, colour):
    if min(image.cells.shape) < 3:
        return None
    cells = image.cells.copy()
    cells[0] = cells[-1] = cells[:, 0] = cells[:, -1] = colour
    return image.with_cells(cells)


# By what is around a cell


@operation(IMAGE, "colour", gives=IMAGE, meaning="Empty cells at a side or corner of a coloured one take one colour.")
def outline(image, colour):
    return image.with_cells(painted_by_count(image.cells, colour, True, False, 1))


@operation(IMAGE, "colour", gives=IMAGE, meaning="Empty cells at a side of a coloured one take one colour.")
def outline_sides(image, colour):
    return image.with_cells(painted_by_count(image.cells, colour, False, False, 1))


@operation(IMAGE, gives=IMAGE, meaning="Every coloured cell colours the empty cells at its sides.")
def grow_sides(image):
    return image.with_cells(grown(image.cells, False))


@operation(IMAGE, gives=IMAGE, meaning="Every coloured cell colours the empty cells at its sides and corners.")
def grow(image):
    return image.with_cells(grown(image.cells, True))


@operation(IMAGE, gives=IMAGE, meaning="Coloured cells with an empty cell or the edge at a side are emptied.")
def erode_sides(image):
    return image.with_cells(kept_by_count(image.cells, False, False, 4, 4))


@operation(IMAGE, gives=IMAGE, meaning="Coloured cells with an empty cell or the edge at a side or corner are emptied.")
def erode(image):
    return image.with_cells(kept_by_count(image.cells, True, False, 8, 8))


@operation(IMAGE, gives=IMAGE, meaning="Cells with their own colour at all sides and corners are emptied.")
def hollow(image):
    return image.with_cells(kept_by_count(image.cells, True, True, 0, 7))


@operation(IMAGE, "colour", gives=IMAGE, meaning="Cells with their own colour at all sides and corners take one colour.")
def paint_interior(image, colour):
    return image.with_cells(painted_by_count(image.cells, colour, True, True, 8))


@operation(IMAGE, gives=IMAGE, meaning="Only coloured cells that touch no other one, not even at a corner, stay.")
def keep_isolated(image):
    return image.with_cells(kept_by_count(image.cells, True, False, 0, 0))


@operation(IMAGE, gives=IMAGE, meaning="Coloured cells that touch no other one, not even at a corner, are emptied.")
def drop_isolated(image):
    return image.with_cells(kept_by_count(image.cells, True, False, 1, 8))


@operation(IMAGE, gives=IMAGE, meaning="Only coloured cells with exactly one coloured cell at their sides stay: ends of lines.")
def keep_ends(image):
    return image.with_cells(kept_by_count(image.cells, False, False, 1, 1))


@operation(IMAGE, "factor", gives=IMAGE, meaning="Only coloured cells with exactly n coloured cells at their sides stay.")
def keep_with_neighbours(image, factor):
    return image.with_cells(kept_by_count(image.cells, False, False, factor, factor))


@operation(IMAGE, gives=IMAGE, meaning="Cells with their own colour nowhere around them take the most frequent one there.")
def denoise(image):
    return image.with_cells(denoised(image.cells))
