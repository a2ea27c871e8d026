"""Operations that draw from the figures of an image: fillings and frames of their boxes, middle cells and lines, crosses.

In:  an `Image` and constants. Out: an `Image` of the same size and place, or None where the operation does not apply.
Not here: lines from every cell (`lines`), copies of figures (`figure_moves`).
"""

import numpy as np

from ..vocabulary import IMAGE, operation
from .figures import MIXED, figures_of
from .loops.drawing import boxes_filled, boxes_framed, middles
from .loops.lines import crossed_from


@operation(IMAGE, gives=IMAGE, meaning="Empty cells in the bounding box of a figure take its colour; smaller figures win.")
def fill_boxes(image):
    figures = figures_of(image, looped=True)
    return figures and image.with_cells(boxes_filled(image.cells, figures.table, 0))


@operation(IMAGE, "colour", gives=IMAGE, meaning="Empty cells in the bounding box of a figure of any colours take one colour.")
def fill_boxes_with(image, colour):
    figures = figures_of(image, MIXED, looped=True)
    return figures and image.with_cells(boxes_filled(image.cells, figures.table, colour))


@operation(
    IMAGE,
    "colour",
    gives=IMAGE,
    meaning="Empty cells right around every figure's bounding box take one colour.",
)
def frame_boxes(image, colour):
    figures = figures_of(image, MIXED, looped=True)
    return figures and image.with_cells(boxes_framed(image.cells, figures.table, colour))


@operation(IMAGE, gives=IMAGE, meaning="Only the middle cells of bounding boxes, in the colours of the figures.")
def centre_cells(image):
    figures = figures_of(image, looped=True)
    return figures and image.with_cells(middles(image.cells, figures.table, 0))


@operation(
    IMAGE,
    "colour",
    gives=IMAGE,
    meaning="The middle cell of every larger figure's bounding box takes one colour.",
)
def paint_centres(image, colour):
    figures = figures_of(image, looped=True)
    return figures and image.with_cells(middles(image.cells, figures.table, colour))


@operation(IMAGE, gives=IMAGE, meaning="Only the first cell of every figure, in reading order, stays.")
def first_cells(image):
    figures = figures_of(image)
    if figures is None or figures.sizes.max() == 1:
        return None
    cells = np.zeros_like(image.cells)
    cells.ravel()[figures.first] = figures.colours
    return image.with_cells(cells)


@operation(
    IMAGE,
    "axis",
    gives=IMAGE,
    meaning="A line to both edges through the middle row or column of each figure.",
)
def centre_lines(image, axis):
    figures = figures_of(image, looped=True)
    if figures is None:
        return None
    rows, boxes = axis == "rows", figures.boxes
    middle = boxes[:, 0] + boxes[:, 2] - 1 if rows else boxes[:, 1] + boxes[:, 3] - 1
    odd = middle % 2 == 0
    if not odd.any():
        return None
    colours = np.zeros(image.cells.shape[0 if rows else 1], np.uint8)
    colours[middle[odd] // 2] = figures.colours[odd]
    return image.with_cells(np.where(image.cells == 0, colours[:, None] if rows else colours, image.cells))


@operation(IMAGE, gives=IMAGE, meaning="Single cells among other figures send lines in all four directions.")
def cross_from_single(image):
    figures = figures_of(image)
    if figures is None:
        return None
    single = figures.sizes == 1
    cells = image.cells
    if not single.any() or (single.all() and cells.all()):
        return None
    return image.with_cells(crossed_from(cells, figures.spread(single)))
