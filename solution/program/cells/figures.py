"""What a cell is like by the figure, or the empty region, that it belongs to.

In:  cells of one image. Out: features by name, the same names for every image; 0 where there is no figure.
Not here: features without figures (`features`).
"""

import numpy as np
from scipy import ndimage

from ..operations.figures import figures_of
from .maps import MOST, Maps, cut, empty_regions, image_of, rank, whole


def any_way(mask: np.ndarray) -> tuple:
    """Equal for shapes that differ by turns and mirror images."""
    ways = [np.rot90(m, k) for m in (mask, mask.T) for k in range(4)]
    return min((way.shape, way.tobytes()) for way in ways)


def touching(labels: np.ndarray, number: int) -> np.ndarray:
    """The figures beside a cell of another one; bool (figures,)."""
    found = np.zeros(number + 1, bool)
    for one, other in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        apart = (one != other) & (one > 0) & (other > 0)
        found[one[apart]] = found[other[apart]] = True
    return found[1:]


def holes(mask: np.ndarray) -> int:
    """Empty regions inside a figure's box that do not touch the box's edge."""
    if min(mask.shape) < 3 or mask.all():
        return 0
    labels, number = ndimage.label(~mask)
    return number - len(np.setdiff1d(np.concatenate((labels[0], labels[-1], labels[:, 0], labels[:, -1])), [0]))


def figure_features(cells: np.ndarray, kind: str, name: str, numbered: dict) -> Maps:
    """What the figure is like that a cell belongs to, 0 for empty cells. `numbered`: shapes seen before, which grows."""
    figures = figures_of(image_of(cells), kind)
    names = (
        "cells", "rank by cells", "rank by cells from below", "height", "width", "holes", "at the edge", "number alike",
        "square box", "full box", "row in box", "column in box", "row in box from below", "column in box from the right",
        "rim of box",
        "layer of box", "diagonal of box", "middle of box", "colour most of all", "more than one colour", "place", "leftmost",
        "topmost", "rightmost", "lowest", "wider than high", "symmetric", "shape", "shape turned", "touches another",
    )  # fmt: skip
    if figures is None:
        return {f"{name}: {n}": whole(cells, 0) for n in names}
    boxes, sizes, labels = figures.boxes, figures.sizes, figures.labels
    heights, widths = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    shapes = [mask.tobytes() + bytes(mask.shape) for mask in figures.masks]
    alike = np.array([shapes.count(shape) for shape in shapes])
    edge = (boxes[:, 0] == 0) | (boxes[:, 1] == 0) | (boxes[:, 2] == cells.shape[0]) | (boxes[:, 3] == cells.shape[1])
    counts = np.bincount(figures.colours, minlength=10)
    several = np.zeros(len(sizes) + 1, bool)
    several[labels[(cells != np.concatenate(([0], figures.colours))[labels])]] = True
    rows, columns = np.indices(cells.shape)
    top, left = figures.spread(boxes[:, 0]), figures.spread(boxes[:, 1])
    bottom, right = figures.spread(boxes[:, 2]), figures.spread(boxes[:, 3])
    inside = labels > 0
    rim = (rows == top) | (columns == left) | (rows == bottom - 1) | (columns == right - 1)
    values = (
        figures.spread(sizes),
        figures.spread(rank(sizes)),
        figures.spread(rank(-sizes)),
        figures.spread(heights),
        figures.spread(widths),
        figures.spread(np.array([holes(mask) for mask in figures.masks]) + 1),
        figures.spread(edge + 1),
        figures.spread(alike),
        figures.spread((heights == widths) + 1),
        figures.spread((heights * widths == sizes) + 1),
        inside * (1 + rows - top),
        inside * (1 + columns - left),
        inside * (bottom - rows),
        inside * (right - columns),
        inside * (1 + rim),
        inside * (1 + np.minimum(np.minimum(rows - top, bottom - 1 - rows), np.minimum(columns - left, right - 1 - columns))),
        inside * (1 + (rows - top == columns - left) + 2 * (rows - top == right - 1 - columns)),
        inside * (1 + (2 * rows == top + bottom - 1) + 2 * (2 * columns == left + right - 1)),
        figures.spread((counts[figures.colours] == counts.max()) + 1),
        figures.spread(several[1:] + 1),
        figures.spread(np.arange(1, len(sizes) + 1)),
        figures.spread((boxes[:, 1] == boxes[:, 1].min()) + 1),
        figures.spread((boxes[:, 0] == boxes[:, 0].min()) + 1),
        figures.spread((boxes[:, 3] == boxes[:, 3].max()) + 1),
        figures.spread((boxes[:, 2] == boxes[:, 2].max()) + 1),
        figures.spread(np.sign(widths - heights) + 2),
        figures.spread(np.array([1 + (m == m[:, ::-1]).all() + 2 * (m == m[::-1]).all() for m in figures.masks])),
        figures.spread(np.array([numbered.setdefault(shape, len(numbered) % (MOST - 1)) for shape in shapes]) + 1),
        figures.spread(np.array([numbered.setdefault(any_way(m), len(numbered) % (MOST - 1)) for m in figures.masks]) + 1),
        figures.spread(touching(labels, len(sizes)) + 1),
    )
    return {f"{name}: {n}": cut(v) for n, v in zip(names, values, strict=True)}


def region_features(cells: np.ndarray) -> Maps:
    """What the empty region is like that an empty cell belongs to, 0 for coloured cells."""
    labels, number = empty_regions(cells)
    sizes = np.bincount(labels.ravel(), minlength=number + 1)
    edge = np.zeros(number + 1, bool)
    for line in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        edge[line] = True
    found = {"region: cells": sizes, "region: at the edge": edge + 1}
    inner = np.where(edge, 0, sizes)
    found["region: rank of inner ones"] = np.where(inner > 0, rank(inner), 0)
    boxes = ndimage.find_objects(labels)
    square = [0] + [
        1 + (b[0].stop - b[0].start == b[1].stop - b[1].start) * (b[0].stop - b[0].start) ** 2 == s + 1
        for b, s in zip(boxes, sizes[1:])
    ]
    found["region: full square"] = np.array(square) + 1
    return {name: cut(np.where(labels > 0, np.asarray(values)[labels], 0)) for name, values in found.items()}
