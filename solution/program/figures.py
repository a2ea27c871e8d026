"""Operations on the figures (connected components) of an image: choosing, recolouring, moving, drawing and counting them.

In:  an `Image` and constants. Out: an `Image`, or None where the operation does not apply.
Figures are in reading order of their first cells. The last labellings are remembered, since a search asks many operations
about the same image.
Not here: figures as a list of images (`lists`), fills and lines that need no components (`colourings`).
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np
from scipy import ndimage

from ..arc.task import MAX_SIDE
from . import forms
from .colourings import EIGHT, agreed, colour_counts, enclosed, line_from
from .forms import along, downwards
from .vocabulary import DIRECTIONS, IMAGE, Image, Operation, operation

ONE, SIDES, MIXED = "one", "sides", "mixed"
"""What a figure is: cells of one colour joined at sides or corners; of one colour at sides; coloured ones at sides or corners."""

KINDS = {ONE: "of one colour", SIDES: "of one colour, joined at sides", MIXED: "of any colours"}
MAX_LOOPED = 60
"""Operations that go through figures one by one leave images with more of them alone."""


@dataclass(frozen=True, eq=False)
class Figures:
    """`labels`: int32 (height, width), 0 empty, then figures from 1 on. The others: for every figure, without the 0."""

    cells: np.ndarray
    labels: np.ndarray
    first: np.ndarray
    """Where it begins: index into the flat cells."""
    sizes: np.ndarray
    """Its number of cells."""
    _chosen: dict = field(default_factory=dict)

    def chosen(self, choice: Callable) -> np.ndarray:
        """`choice` of these figures, remembered."""
        if choice not in self._chosen:
            self._chosen[choice] = choice(self)
        return self._chosen[choice]

    @cached_property
    def slices(self) -> list[tuple[slice, slice]]:
        """The bounding boxes."""
        return ndimage.find_objects(self.labels)

    @cached_property
    def boxes(self) -> np.ndarray:
        """Top, left, bottom, right (the last two exclusive); int (figures, 4)."""
        return np.array([(y.start, x.start, y.stop, x.stop) for y, x in self.slices])

    @cached_property
    def masks(self) -> list[np.ndarray]:
        """What of the bounding box belongs to the figure; bool."""
        return [self.labels[box] == label for label, box in enumerate(self.slices, 1)]

    @cached_property
    def colours(self) -> np.ndarray:
        """The colour of the first cell; of all cells where figures have one colour."""
        return self.cells.ravel()[self.first]

    def spread(self, values: np.ndarray) -> np.ndarray:
        """For every cell the value of its figure, 0 for empty cells."""
        return np.concatenate((np.zeros(1, values.dtype), values))[self.labels]

    def touched(self, *labels: np.ndarray) -> np.ndarray:
        """The figures that appear in some labels; bool (figures,)."""
        seen = np.zeros(len(self.sizes) + 1, bool)
        for some in labels:
            seen[some] = True
        return seen[1:]


@lru_cache(512)
def _labelled(data: bytes, height: int, width: int, kind: str) -> Figures | None:
    cells = np.frombuffer(data, np.uint8).reshape(height, width)
    colours = np.bincount(cells.ravel(), minlength=10)[1:].nonzero()[0] + 1
    if not len(colours):
        return None
    if kind == MIXED or len(colours) == 1:
        labels, number = ndimage.label(cells, None if kind == SIDES else EIGHT)
    else:
        structure = np.zeros((3, 3, 3), bool)  # colour, row, column: no step leads to another colour
        structure[1] = EIGHT if kind == ONE else ndimage.generate_binary_structure(2, 1)
        layers, number = ndimage.label(cells == colours[:, None, None], structure)
        labels = layers.max(0)
    flat = labels.ravel()
    first = np.zeros(number + 1, int)
    first[flat[::-1]] = np.arange(flat.size)[::-1]  # the last one written, the first cell, stays
    order = first[1:].argsort()
    new = np.zeros(number + 1, np.int32)
    new[order + 1] = np.arange(1, number + 1)
    labels = new[labels]
    labels.flags.writeable = False
    return Figures(cells, labels, first[1:][order], np.bincount(labels.ravel(), minlength=number + 1)[1:])


def figures_of(image: Image, kind: str = ONE, looped: bool = False) -> Figures | None:
    """The figures of an image; None where there is none, or too many for an operation that goes through them (`looped`)."""
    figures = _labelled(image.cells.tobytes(), *image.cells.shape, kind)
    return None if figures is None or (looped and len(figures.sizes) > MAX_LOOPED) else figures


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
    labels = figures.labels
    return figures.touched(labels[0], labels[-1], labels[:, 0], labels[:, -1])


def with_hole(figures):
    """those that enclose empty cells"""
    holes = enclosed(figures.labels == 0)
    below = holes[1:] & (figures.labels[:-1] != 0)  # the highest cell of a hole lies below the figure around it
    regions, number = ndimage.label(holes)
    owners = np.zeros(number + 1, int)
    owners[regions[1:][below][::-1]] = figures.labels[:-1][below][::-1]  # the last one written, the highest, stays
    return figures.touched(owners[1:])


def filled_boxes(figures):
    """filled rectangles"""
    boxes = figures.boxes
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) == figures.sizes


def mirrored(figures):
    """those equal to their mirror image (left-right or top-bottom)"""
    return np.array([m.tobytes() in (m[::-1].tobytes(), m[:, ::-1].tobytes()) for m in figures.masks])


def shape_counts(figures) -> np.ndarray:
    """How many figures have the shape of each; int (figures,)."""
    shapes = [(mask.shape, mask.tobytes()) for mask in figures.masks]
    counts = Counter(shapes)
    return np.array([counts[shape] for shape in shapes])


def common_shape(figures):
    """those of the most frequent shape"""
    counts = shape_counts(figures)
    return counts == counts.max()


def own_shape(figures):
    """those whose shape no other has"""
    return shape_counts(figures) == 1


def colour_figure_counts(figures) -> np.ndarray:
    """For every colour the number of its figures; int (10,)."""
    return np.bincount(figures.colours, minlength=10)


def own_colour(figures):
    """those whose colour no other has"""
    return colour_figure_counts(figures)[figures.colours] == 1


def inside(figures):
    """those enclosed by others"""
    labels = figures.labels
    around = np.zeros((labels.shape[0] + 2, labels.shape[1] + 2), bool)
    around[1:-1, 1:-1] = labels
    out = ndimage.label(~around)[0] == 1  # the empty cells with a way out, and a margin
    return ~figures.touched(labels[out[:-2, 1:-1] | out[2:, 1:-1] | out[1:-1, :-2] | out[1:-1, 2:]])


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
    """For every kind of figures the operation that makes `action` of the image and the cells of the chosen figures; None where
    all figures are chosen or none. The first kind is left out of the name."""

    def made(kind) -> Operation:
        def function(image, *values):
            figures = figures_of(image, kind, choice in LOOPED)
            if figures is None:
                return None
            chosen = figures.chosen(choice)
            return None if chosen.all() or not chosen.any() else action(image, figures.spread(chosen), *values)

        function.__name__ = f"{verb}_{choice.__name__}" + (f"_{kind}" if kind != kinds[0] else "")
        meant = meaning.format(f"figures {KINDS[kind]}", choice.__doc__)
        return operation(IMAGE, *constants, gives=IMAGE, meaning=meant)(function)

    operations = tuple(map(made, kinds))
    return operations if len(operations) > 1 else operations[0]


def keep(choice: Callable, *kinds: str):
    def action(image, chosen):
        return image.with_cells(image.cells * chosen)

    return choosing(choice, kinds, "keep", "Of {}, only {} stay.", action)


def drop(choice: Callable, *kinds: str):
    def action(image, chosen):
        return image.with_cells(image.cells * ~chosen)

    return choosing(choice, kinds, "drop", "Of {}, {} are emptied.", action)


def crop_to(choice: Callable, *kinds: str):
    def action(image, chosen):
        return forms.crop.function(image.with_cells(image.cells * chosen)) if ndimage.label(chosen, EIGHT)[1] == 1 else None

    return choosing(choice, kinds, "crop", "Of {}, the bounding box of {}, if one; others go.", action)


def paint(choice: Callable, *kinds: str):
    def action(image, chosen, colour):
        return image.with_cells(np.where(chosen, np.uint8(colour), image.cells))

    return choosing(choice, kinds, "paint", "Of {}, {} take one colour.", action, "colour")


keep_largest, keep_largest_sides, keep_largest_mixed = keep(largest, ONE, SIDES, MIXED)
crop_largest, crop_largest_mixed = crop_to(largest, ONE, MIXED)
drop_largest = drop(largest, ONE)
paint_largest = paint(largest, SIDES)
keep_smallest, crop_smallest, paint_smallest = keep(smallest, ONE), crop_to(smallest, ONE), paint(smallest, SIDES)
keep_one_cell, paint_one_cell = keep(one_cell, ONE), paint(one_cell, ONE)
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
    if figures is None or len(figures.sizes) < 2:
        return None
    place = {"up": figures.boxes[:, 0], "left": figures.boxes[:, 1], "down": -figures.boxes[:, 2], "right": -figures.boxes[:, 3]}
    nearest = place[direction] == place[direction].min()
    return image.with_cells(image.cells * figures.spread(nearest)) if np.count_nonzero(nearest) == 1 else None


# Recolouring


@operation(IMAGE, gives=IMAGE, meaning="Figures joined at sides in the colours 1, 2, 3... by number of cells, the largest in 1.")
def colour_by_rank(image):
    figures = figures_of(image, SIDES)
    if figures is None:
        return None
    _, ranks = np.unique(-figures.sizes, return_inverse=True)
    return image.with_cells(figures.spread((ranks + 1).astype(np.uint8))) if 0 < ranks.max() < 9 else None


@operation(IMAGE, gives=IMAGE, meaning="Figures joined at sides in the colour whose number is their number of cells, up to 9.")
def colour_by_size(image):
    figures = figures_of(image, SIDES)
    return image.with_cells(figures.spread(figures.sizes.astype(np.uint8))) if figures and figures.sizes.max() < 10 else None


def inner_counts(figures: Figures) -> np.ndarray:
    """For every figure the number of its cells of each colour; int (figures, 10)."""
    number = len(figures.sizes)
    return np.bincount((figures.labels * 10 + figures.cells).ravel(), minlength=10 * (number + 1)).reshape(-1, 10)[1:]


@operation(IMAGE, gives=IMAGE, meaning="Every figure of two colours, one on a single cell, takes the colour of that cell.")
def take_mark(image):
    figures = figures_of(image, MIXED)
    if figures is None:
        return None
    counts = inner_counts(figures)
    marked = ((counts > 0).sum(1) == 2) & ((counts == 1).sum(1) == 1)
    if not marked.any():
        return None
    colours = (counts == 1).argmax(1).astype(np.uint8)
    return image.with_cells(np.where(figures.spread(marked), figures.spread(colours), image.cells))


@operation(IMAGE, gives=IMAGE, meaning="Every figure of several colours takes the most frequent of them, if it is only one.")
def take_majority(image):
    figures = figures_of(image, MIXED)
    if figures is None:
        return None
    counts = inner_counts(figures)
    clear = (counts == counts.max(1, keepdims=True)).sum(1) == 1
    return image.with_cells(np.where(figures.spread(clear), figures.spread(counts.argmax(1).astype(np.uint8)), image.cells))


# Movement


def fallen(cells: np.ndarray, labels: np.ndarray, number: int, moving: np.ndarray) -> np.ndarray:
    """`cells` with the figures `moving` (bool (number + 1,)) fallen down rigidly onto each other, the others and the edge.

    A figure falls as far as the least over its cells of the way to the next figure below plus that one's own way: a shortest
    path, found by relaxation.
    """
    height, width = cells.shape
    columns, rows = labels.T.nonzero()  # column by column, from the top
    here = labels[rows, columns]
    last = np.ones(len(rows), bool)  # nothing below it in its column
    last[:-1] = columns[1:] != columns[:-1]
    gaps = np.where(last, height, np.append(rows[1:], 0)) - rows - 1
    below = np.where(last, 0, np.append(here[1:], 0))
    ways = np.where(moving, height, 0)
    ways[0] = 0  # the edge
    foreign = (below != here) & moving[here]
    here_moving, below, gaps = here[foreign], below[foreign], gaps[foreign]
    for _ in range(number + 1):
        before = ways.copy()
        np.minimum.at(ways, here_moving, gaps + ways[below])
        if np.array_equal(ways, before):
            break
    result = np.zeros_like(cells)
    result[rows + ways[here], columns] = cells[rows, columns]
    return result


def drop_figures(image: Image, direction: str, kind: str, colour: int | None = None) -> Image | None:
    figures = figures_of(image, kind)
    if figures is None:
        return None
    number = len(figures.sizes)
    moving = np.ones(number + 1, bool)
    if colour is not None:
        moving[1:] = figures.colours == colour
        if not moving[1:].any():
            return None

    def action(both):  # (height, width) of cells and labels in one number
        return fallen((both % 10).astype(np.uint8), both // 10, number, moving)

    return image.with_cells(downwards(figures.labels * 10 + image.cells, direction, action))


@operation(
    IMAGE,
    "direction",
    gives=IMAGE,
    meaning="Figures of one colour move rigidly in one direction until they meet.",
)
def move(image, direction):
    return drop_figures(image, direction, ONE)


@operation(
    IMAGE,
    "direction",
    gives=IMAGE,
    meaning="Figures of any colours move rigidly in one direction until they meet.",
)
def move_mixed(image, direction):
    return drop_figures(image, direction, MIXED)


@operation(IMAGE, "colour", "direction", gives=IMAGE, meaning="The figures of this colour move rigidly until they meet.")
def move_colour(image, colour, direction):
    return drop_figures(image, direction, ONE, colour)


# Drawing


@operation(IMAGE, gives=IMAGE, meaning="Empty cells in the bounding box of a figure take its colour; smaller figures win.")
def fill_boxes(image):
    figures = figures_of(image, looped=True)
    if figures is None:
        return None
    cells = np.zeros_like(image.cells)
    for i in (-figures.sizes).argsort(kind="stable"):
        cells[figures.slices[i]] = figures.colours[i]
    return image.with_cells(np.where(image.cells == 0, cells, image.cells))


@operation(IMAGE, "colour", gives=IMAGE, meaning="Empty cells in the bounding box of a figure of any colours take one colour.")
def fill_boxes_with(image, colour):
    figures = figures_of(image, MIXED, looped=True)
    if figures is None:
        return None
    cells = np.zeros_like(image.cells)
    for box in figures.slices:
        cells[box] = colour
    return image.with_cells(np.where(image.cells == 0, cells, image.cells))


@operation(
    IMAGE,
    "colour",
    gives=IMAGE,
    meaning="Empty cells right around every figure's bounding box take one colour.",
)
def frame_boxes(image, colour):
    figures = figures_of(image, MIXED, looped=True)
    if figures is None:
        return None
    around = np.zeros(image.cells.shape, bool)
    for top, left, bottom, right in figures.boxes.tolist():
        around[max(top - 1, 0) : bottom + 1, max(left - 1, 0) : right + 1] = True
    for box in figures.slices:
        around[box] = False
    return image.with_cells(np.where(around & (image.cells == 0), np.uint8(colour), image.cells))


def centres(figures: Figures) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The figures whose bounding box has a middle cell, its row and its column."""
    boxes = figures.boxes
    rows, columns = boxes[:, 0] + boxes[:, 2] - 1, boxes[:, 1] + boxes[:, 3] - 1
    odd = ((rows % 2 == 0) & (columns % 2 == 0)).nonzero()[0]
    return odd, rows[odd] // 2, columns[odd] // 2


@operation(IMAGE, gives=IMAGE, meaning="Only the middle cells of bounding boxes, in the colours of the figures.")
def centre_cells(image):
    figures = figures_of(image, looped=True)
    if figures is None:
        return None
    chosen, rows, columns = centres(figures)
    cells = np.zeros_like(image.cells)
    cells[rows, columns] = figures.colours[chosen]
    return image.with_cells(cells) if len(chosen) else None


@operation(
    IMAGE,
    "colour",
    gives=IMAGE,
    meaning="The middle cell of every larger figure's bounding box takes one colour.",
)
def paint_centres(image, colour):
    figures = figures_of(image, looped=True)
    if figures is None:
        return None
    chosen, rows, columns = centres(figures)
    large = figures.sizes[chosen] > 1
    cells = image.cells.copy()
    cells[rows[large], columns[large]] = colour
    return image.with_cells(cells) if large.any() else None


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
    middle = figures.boxes[:, :2] + figures.boxes[:, 2:] - 1
    middle = middle[:, 0 if axis == "rows" else 1]
    odd = middle % 2 == 0
    colours = np.zeros(len(along(image.cells, axis)), np.uint8)
    colours[middle[odd] // 2] = figures.colours[odd]
    cells = along(image.cells, axis)
    return image.with_cells(along(np.where(cells == 0, colours[:, None], cells), axis)) if odd.any() else None


@operation(IMAGE, gives=IMAGE, meaning="Single cells among other figures send lines in all four directions.")
def cross_from_single(image):
    figures = figures_of(image)
    if figures is None:
        return None
    single = figures.spread(figures.sizes == 1)
    if not single.any() or single.all():
        return None
    blocking = np.where(single, image.cells, (image.cells != 0) * np.uint8(10))
    lines = [line_from(blocking, direction) for direction in DIRECTIONS]
    return image.with_cells(agreed(image.cells, *(line * (line < 10) for line in lines)))


def drawn_on(image: Image, direction: str, piece: Callable) -> Image | None:
    """Below every figure of any colours, as seen in a direction, `piece(cells of the figure, free lines)`, on empty cells."""

    def action(cells):
        figures = _labelled(cells.tobytes(), *cells.shape, MIXED)
        result = cells.copy()
        for (_, left, bottom, right), box, mask in zip(figures.boxes.tolist(), figures.slices, figures.masks):
            free = len(cells) - bottom
            drawn = piece(cells[box] * mask, free)[:free]
            space = result[bottom : bottom + len(drawn), left:right]
            np.copyto(space, drawn, where=space == 0)
        return result

    if figures_of(image, MIXED, looped=True) is None:
        return None
    return image.with_cells(downwards(image.cells, direction, action))


@operation(IMAGE, "direction", gives=IMAGE, meaning="The mirror image of every figure of any colours beside it on one side.")
def mirror_beside(image, direction):
    return drawn_on(image, direction, lambda figure, free: figure[::-1])


@operation(IMAGE, "direction", gives=IMAGE, meaning="Every figure of any colours repeated in one direction up to the edge.")
def repeat_to_edge(image, direction):
    return drawn_on(image, direction, lambda figure, free: np.concatenate((figure,) * (free // len(figure) + 1)))


@operation(IMAGE, "direction", gives=IMAGE, meaning="Every figure of any colours repeated up to the edge, a cell apart.")
def repeat_spaced(image, direction):
    def piece(figure, free):
        spaced = np.concatenate((np.zeros_like(figure[:1]), figure))
        return np.concatenate((spaced,) * (free // len(spaced) + 1))

    return drawn_on(image, direction, piece)


# Counting: results are new images, with the place of this one


def lined_up(image: Image, colours: np.ndarray, axis: str) -> Image | None:
    return image.with_cells(colours.astype(np.uint8)[None] if axis == "rows" else colours.astype(np.uint8)[:, None])


@operation(IMAGE, gives=IMAGE, meaning="A row with one cell for each figure, in its colour, in reading order.")
def count_figures(image):
    figures = figures_of(image)
    return None if figures is None else lined_up(image, figures.colours, "rows")


@operation(IMAGE, "axis", gives=IMAGE, meaning="The colours of the figures in a row or column, largest first.")
def figure_colours_by_size(image, axis):
    figures = figures_of(image)
    if figures is None or len(np.unique(figures.sizes)) < len(figures.sizes):
        return None
    return lined_up(image, figures.colours[(-figures.sizes).argsort(kind="stable")], axis)


@operation(IMAGE, "axis", gives=IMAGE, meaning="The colours of coloured cells in a row or column, most frequent first.")
def colours_by_cells(image, axis):
    return ranked(image, colour_counts(image.cells), axis)


@operation(IMAGE, "axis", gives=IMAGE, meaning="The colours in a row or column, that of the most figures first.")
def colours_by_figures(image, axis):
    figures = figures_of(image)
    return None if figures is None else ranked(image, colour_figure_counts(figures), axis)


def ranked(image: Image, counts: np.ndarray, axis: str) -> Image | None:
    """The colours in the order of `counts` (10,), most first; None where two are equal."""
    colours = counts[1:].nonzero()[0] + 1
    if not len(colours) or len(np.unique(counts[colours])) < len(colours):
        return None
    return lined_up(image, colours[(-counts[colours]).argsort()], axis)


@operation(IMAGE, gives=IMAGE, meaning="A bar for each colour, as long as it has cells: one row each, longest first.")
def histogram(image):
    return bars(image, colour_counts(image.cells))


def bars(image: Image, counts: np.ndarray) -> Image | None:
    """A row for each colour, as long as `counts` (10,) says; None where two are equal or one is longer than an image can be."""
    order = ranked(image, counts, "columns")
    if order is None or counts[1:].max() > MAX_SIDE:
        return None
    lengths = counts[order.cells]
    return image.with_cells(order.cells * (np.arange(lengths.max()) < lengths))
