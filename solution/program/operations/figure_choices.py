"""Operations that keep, drop, cut out or paint some of the figures of an image: the largest, those inside others and so on.

In:  an `Image` and constants. Out: an `Image`, or None where the operation does not apply.
Not here: figures that move (`figure_moves`), lines and boxes drawn from them (`drawing`), one member of a list (`choosing`).
"""

from collections.abc import Callable

import numpy as np

from ..vocabulary import IMAGE, Operation, operation
from .figures import MIXED, ONE, SIDES, figures_of
from .loops.figures import SIZE, TOP, chosen_painted, inner_counts, kept, labelled, shape_counts, symmetric
from .loops.fills import around_holes, outermost

KINDS = {ONE: "of one colour", SIDES: "of one colour, joined at sides", MIXED: "of any colours"}


# Choices: functions from figures to bool (figures,), whose docstring completes "only ... stay". Shapes leave colours aside.


def largest(figures):
    """those with the most cells"""
    return figures.sizes == figures.sizes.max()


def smallest(figures):
    """those with the fewest cells"""
    return figures.sizes == figures.sizes.min()


def one_cell(figures):
    """those of a single cell"""
    return figures.sizes == 1


def at_edge(figures):
    """those that touch the edge of the image"""
    (height, width), boxes = figures.labels.shape, figures.boxes
    return (boxes == (0, 0, height, width)).any(1)


def with_hole(figures):
    """those that enclose empty cells"""
    return around_holes(figures.cells, figures.labels, len(figures))


def filled_boxes(figures):
    """filled rectangles"""
    boxes = figures.boxes
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) == figures.sizes


def mirrored(figures):
    """those equal to their mirror image (left-right or top-bottom)"""
    return symmetric(figures.labels, figures.table)


def common_shape(figures):
    """those of the most frequent shape"""
    counts = shape_counts(figures.labels, figures.table)
    return counts == counts.max()


def own_shape(figures):
    """those whose shape no other has"""
    return shape_counts(figures.labels, figures.table) == 1


def own_colour(figures):
    """those whose colour no other has"""
    return np.bincount(figures.colours)[figures.colours] == 1


def inside(figures):
    """those enclosed by others"""
    return ~outermost(figures.cells, figures.labels, len(figures))


def upright(figures):
    """those higher than wide"""
    boxes = figures.boxes
    return boxes[:, 2] - boxes[:, 0] > boxes[:, 3] - boxes[:, 1]


def lying(figures):
    """those wider than high"""
    boxes = figures.boxes
    return boxes[:, 2] - boxes[:, 0] < boxes[:, 3] - boxes[:, 1]


LOOPED = (filled_boxes, mirrored, common_shape, own_shape, upright, lying)


def choosing(choice: Callable, kinds: tuple[str, ...], verb: str, meaning: str, action: Callable, *constants: str):
    """For every kind of figures the operation that makes `action` of the image, its figures and which of them are chosen; None
    where all figures are chosen or none. The first kind is left out of the name."""

    def made(kind) -> Operation:
        def function(image, *values):
            figures = figures_of(image, kind, choice in LOOPED)
            chosen = figures and figures.chosen(choice)
            return None if chosen is None else action(image, figures, chosen, *values)

        function.__name__ = f"{verb}_{choice.__name__}" + (f"_{kind}" if kind != kinds[0] else "")
        meant = meaning.format(f"figures {KINDS[kind]}", choice.__doc__)
        return operation(IMAGE, *constants, gives=IMAGE, meaning=meant)(function)

    operations = tuple(map(made, kinds))
    return operations if len(operations) > 1 else operations[0]


def keep(choice: Callable, *kinds: str):
    def action(image, figures, chosen):
        return image.with_cells(kept(image.cells, figures.labels, chosen, True))

    return choosing(choice, kinds, "keep", "Of {}, only {} stay.", action)


def drop(choice: Callable, *kinds: str):
    def action(image, figures, chosen):
        return image.with_cells(kept(image.cells, figures.labels, chosen, False))

    return choosing(choice, kinds, "drop", "Of {}, {} are emptied.", action)


def crop_to(choice: Callable, *kinds: str):
    def action(image, figures, chosen):
        cells = kept(image.cells, figures.labels, chosen, True)
        _, table = labelled(cells, False, True)
        if len(table) > 1:
            return None
        top, left, bottom, right = table[0, TOP:].tolist()
        box = top, left, bottom - top, right - left
        return image.with_cells(cells).part(*box) if box[2:] != cells.shape else None

    return choosing(choice, kinds, "crop", "Of {}, the bounding box of {}, if one; others go.", action)


def paint(choice: Callable, *kinds: str):
    def action(image, figures, chosen, colour):
        return coloured(image, figures, chosen, np.full(len(chosen), colour))

    return choosing(choice, kinds, "paint", "Of {}, {} take one colour.", action, "colour")


keep_largest, keep_largest_sides, keep_largest_mixed = keep(largest, ONE, SIDES, MIXED)
crop_largest, crop_largest_mixed = crop_to(largest, ONE, MIXED)
drop_largest = drop(largest, ONE)
paint_largest = paint(largest, SIDES)
keep_smallest, crop_smallest, paint_smallest = keep(smallest, ONE), crop_to(smallest, ONE), paint(smallest, SIDES)
paint_one_cell = paint(one_cell, ONE)
keep_at_edge, drop_at_edge, paint_at_edge = keep(at_edge, SIDES), drop(at_edge, SIDES), paint(at_edge, SIDES)
keep_with_hole, drop_with_hole, paint_with_hole = keep(with_hole, ONE), drop(with_hole, ONE), paint(with_hole, ONE)
keep_filled_boxes, paint_filled_boxes = keep(filled_boxes, SIDES), paint(filled_boxes, SIDES)
keep_mirrored, drop_mirrored, paint_mirrored = keep(mirrored, ONE), drop(mirrored, ONE), paint(mirrored, ONE)
keep_common_shape, keep_own_shape, paint_own_shape = keep(common_shape, ONE), keep(own_shape, ONE), paint(own_shape, ONE)
crop_own_shape, crop_own_colour = crop_to(own_shape, MIXED), crop_to(own_colour, ONE)
keep_inside, drop_inside, paint_inside = keep(inside, ONE), drop(inside, ONE), paint(inside, ONE)
keep_upright, keep_lying = keep(upright, SIDES), keep(lying, SIDES)


@operation(IMAGE, "direction", gives=IMAGE, meaning="Only the figure of any colours nearest to one side stays, if only one is.")
def keep_nearest(image, direction):
    figures = figures_of(image, MIXED, looped=True)
    if figures is None or len(figures) < 2:
        return None
    boxes = figures.boxes
    place = boxes[:, ("up", "left", "down", "right").index(direction)]
    nearest = place == (place.min() if direction in ("up", "left") else place.max())
    return image.with_cells(kept(image.cells, figures.labels, nearest, True)) if np.count_nonzero(nearest) == 1 else None


# Recolouring


@operation(IMAGE, gives=IMAGE, meaning="Figures joined at sides in the colours 1, 2, 3... by number of cells, the largest in 1.")
def colour_by_rank(image):
    figures = figures_of(image, SIDES)
    if figures is None:
        return None
    sizes = figures.table[:, SIZE].tolist()
    ranks = {size: rank for rank, size in enumerate(sorted(set(sizes), reverse=True), 1)}
    if not 1 < len(ranks) < 10:
        return None
    return coloured(image, figures, np.ones(len(figures), bool), np.array([ranks[size] for size in sizes]))


@operation(IMAGE, gives=IMAGE, meaning="Figures joined at sides in the colour whose number is their number of cells, up to 9.")
def colour_by_size(image):
    figures = figures_of(image, SIDES)
    if figures is None or figures.sizes.max() > 9:
        return None
    return coloured(image, figures, np.ones(len(figures), bool), figures.sizes.copy())


def coloured(image, figures, chosen: np.ndarray, colours: np.ndarray):
    return image.with_cells(chosen_painted(image.cells, figures.labels, chosen, colours))


@operation(IMAGE, gives=IMAGE, meaning="Every figure of two colours, one on a single cell, takes the colour of that cell.")
def take_mark(image):
    figures = figures_of(image, MIXED)
    if figures is None:
        return None
    counts = inner_counts(image.cells, figures.labels, len(figures))
    single = counts == 1
    marked = ((counts > 0).sum(1) == 2) & (single.sum(1) == 1)
    return coloured(image, figures, marked, single.argmax(1)) if marked.any() else None


@operation(IMAGE, gives=IMAGE, meaning="Every figure of several colours takes the most frequent of them, if it is only one.")
def take_majority(image):
    figures = figures_of(image, MIXED)
    if figures is None:
        return None
    counts = inner_counts(image.cells, figures.labels, len(figures))
    clear = (counts == counts.max(1, keepdims=True)).sum(1) == 1
    return coloured(image, figures, clear, counts.argmax(1))
