"""Connected groups of cells: labels, tables, choices between groups that look at more than one number.

In:  cells, uint8 (height, width). Out: `labels`, int32 (height, width), 0 outside of the groups, which count from 1 in reading
order of their first cells; `table`, int64 (groups, 7), with the columns below. A figure's mask: its part of its box.
Not here: what an operation does with figures (`figure_choices`, `drawing` and others).
"""

import numpy as np
from scipy import ndimage

from .fills import EIGHT
from .pairs import loops_of

FIRST, SIZE, COLOUR, TOP, LEFT, BOTTOM, RIGHT = range(7)
"""Columns: flat place of the first cell, number of cells, colour of the first cell, box (bottom and right exclusive)."""


def _labelled(cells, one_colour, corners):
    colours = np.bincount(cells.ravel(), minlength=10)[1:].nonzero()[0] + 1
    if not len(colours):
        return np.zeros(cells.shape, np.int32), np.zeros((0, 7), np.int64)
    if not one_colour or len(colours) == 1:
        labels, number = ndimage.label(cells, EIGHT if corners else None)
    else:
        structure = np.zeros((3, 3, 3), bool)  # colour, row, column: no step leads to another colour
        structure[1] = EIGHT if corners else ndimage.generate_binary_structure(2, 1)
        layers, number = ndimage.label(cells == colours[:, None, None], structure)
        labels = layers.max(0)
    flat = labels.ravel()
    first = np.zeros(number + 1, int)
    first[flat[::-1]] = np.arange(flat.size)[::-1]  # the last one written, the first cell, stays
    order = first[1:].argsort()
    new = np.zeros(number + 1, np.int32)
    new[order + 1] = np.arange(1, number + 1)
    labels, first = new[labels], first[1:][order]
    boxes = [(rows.start, columns.start, rows.stop, columns.stop) for rows, columns in ndimage.find_objects(labels)]
    sizes = np.bincount(labels.ravel(), minlength=number + 1)[1:]
    return labels, np.column_stack((first, sizes, cells.ravel()[first], np.array(boxes)))


@loops_of(_labelled)
def labelled(cells, one_colour, corners):
    """Labels and table of the groups of coloured cells; `one_colour`: no group has two; `corners`: they join cells too."""
    height, width = cells.shape
    labels = np.zeros((height, width), np.int32)
    table = np.empty((height * width, 7), np.int64)
    waiting = np.empty(height * width, np.int64)
    number = 0
    for place in range(height * width):
        colour = cells[place // width, place % width]
        if colour == 0 or labels[place // width, place % width]:
            continue
        row = table[number]
        number += 1
        row[FIRST], row[COLOUR], row[SIZE] = place, colour, 0
        row[TOP], row[LEFT], row[BOTTOM], row[RIGHT] = height, width, 0, 0
        labels[place // width, place % width] = number
        waiting[0] = place
        count = 1
        while count:
            count -= 1
            y, x = waiting[count] // width, waiting[count] % width
            row[SIZE] += 1
            row[TOP], row[LEFT] = min(row[TOP], y), min(row[LEFT], x)
            row[BOTTOM], row[RIGHT] = max(row[BOTTOM], y + 1), max(row[RIGHT], x + 1)
            for below in range(max(y - 1, 0), min(y + 2, height)):
                for beside in range(max(x - 1, 0), min(x + 2, width)):
                    if labels[below, beside] or cells[below, beside] == 0:
                        continue
                    if (corners or below == y or beside == x) and (not one_colour or cells[below, beside] == colour):
                        labels[below, beside] = number
                        waiting[count] = below * width + beside
                        count += 1
    return labels, table[:number].copy()


def _kept(cells, labels, chosen, stay):
    return cells * ((labels != 0) & (np.concatenate(((False,), chosen))[labels] == stay))


@loops_of(_kept)
def kept(cells, labels, chosen, stay):
    """Only the figures that are chosen, bool (figures,); without `stay`, only the others."""
    found = np.zeros_like(cells)
    for y in range(cells.shape[0]):
        for x in range(cells.shape[1]):
            if labels[y, x] and chosen[labels[y, x] - 1] == stay:
                found[y, x] = cells[y, x]
    return found


def _chosen_painted(cells, labels, chosen, colours):
    return np.where(np.concatenate(((False,), chosen))[labels], np.concatenate(((0,), colours)).astype(np.uint8)[labels], cells)


@loops_of(_chosen_painted)
def chosen_painted(cells, labels, chosen, colours):
    """The figures that are chosen, bool (figures,), each in its colour of `colours`, int (figures,)."""
    found = cells.copy()
    for y in range(cells.shape[0]):
        for x in range(cells.shape[1]):
            if labels[y, x] and chosen[labels[y, x] - 1]:
                found[y, x] = colours[labels[y, x] - 1]
    return found


def _inner_counts(cells, labels, number):
    return np.bincount((labels * 10 + cells).ravel(), minlength=10 * (number + 1)).reshape(-1, 10)[1:]


@loops_of(_inner_counts)
def inner_counts(cells, labels, number):
    """For every figure the number of its cells of each colour; int (figures, 10)."""
    counts = np.zeros((number, 10), np.int64)
    for y in range(cells.shape[0]):
        for x in range(cells.shape[1]):
            if labels[y, x]:
                counts[labels[y, x] - 1, cells[y, x]] += 1
    return counts


def _masks(labels, table):
    return [labels[row[TOP] : row[BOTTOM], row[LEFT] : row[RIGHT]] == label for label, row in enumerate(table, 1)]


def _symmetric(labels, table):
    return np.array([m.tobytes() in (m[::-1].tobytes(), m[:, ::-1].tobytes()) for m in _masks(labels, table)], bool)


@loops_of(_symmetric)
def symmetric(labels, table):
    """The figures whose masks equal their mirror image, left to right or top to bottom; bool (figures,)."""
    found = np.zeros(len(table), np.bool_)
    for index in range(len(table)):
        top, left, bottom, right = table[index, TOP:]
        across = upright = True
        for y in range(top, bottom):
            for x in range(left, right):
                inside = labels[y, x] == index + 1
                across = across and inside == (labels[y, left + right - 1 - x] == index + 1)
                upright = upright and inside == (labels[top + bottom - 1 - y, x] == index + 1)
            if not across and not upright:
                break
        found[index] = across or upright
    return found


def _shape_counts(labels, table):
    shapes = [(mask.shape, mask.tobytes()) for mask in _masks(labels, table)]
    return np.array([shapes.count(shape) for shape in shapes])


@loops_of(_shape_counts)
def shape_counts(labels, table):
    """How many figures have the mask of each; int (figures,)."""
    counts = np.ones(len(table), np.int64)
    for one in range(len(table)):
        height, width = table[one, BOTTOM] - table[one, TOP], table[one, RIGHT] - table[one, LEFT]
        for other in range(one):
            if table[other, SIZE] != table[one, SIZE]:
                continue
            if table[other, BOTTOM] - table[other, TOP] != height or table[other, RIGHT] - table[other, LEFT] != width:
                continue
            same = True
            for y in range(height):
                for x in range(width):
                    inside = labels[table[one, TOP] + y, table[one, LEFT] + x] == one + 1
                    if inside != (labels[table[other, TOP] + y, table[other, LEFT] + x] == other + 1):
                        same = False
                        break
                if not same:
                    break
            if same:
                counts[one] += 1
                counts[other] += 1
    return counts


def _members_packed(cells, labels, table):
    masks = zip(_masks(labels, table), table[:, TOP:].tolist())
    parts = [(mask * cells[top:bottom, left:right]).ravel() for mask, (top, left, bottom, right) in masks]
    return np.concatenate(parts) if parts else np.zeros(0, np.uint8)


@loops_of(_members_packed)
def members_packed(cells, labels, table):
    """The cells of every figure in its box, the rest of the box empty, figure after figure; uint8 (cells of all boxes,)."""
    area = 0
    for index in range(len(table)):
        area += (table[index, BOTTOM] - table[index, TOP]) * (table[index, RIGHT] - table[index, LEFT])
    packed = np.zeros(area, np.uint8)
    place = 0
    for index in range(len(table)):
        for y in range(table[index, TOP], table[index, BOTTOM]):
            for x in range(table[index, LEFT], table[index, RIGHT]):
                if labels[y, x] == index + 1:
                    packed[place] = cells[y, x]
                place += 1
    return packed


def _box(cells):
    rows, columns = cells.any(1).nonzero()[0].tolist(), cells.any(0).nonzero()[0].tolist()
    if not rows:
        return 0, 0, 0, 0, 0
    return rows[0], columns[0], rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1, len(rows) + len(columns)


@loops_of(_box)
def box(cells):
    """Top, left, height and width of the smallest part that holds every coloured cell (0 where none is), and the number of rows
    and columns that have one."""
    top, left, bottom, right = cells.shape[0], cells.shape[1], -1, -1
    lines = 0
    seen = np.zeros(cells.shape[1], np.bool_)
    for y in range(cells.shape[0]):
        for x in range(cells.shape[1]):
            if cells[y, x]:
                top, left, right = min(top, y), min(left, x), max(right, x)
                if bottom < y:
                    bottom = y
                    lines += 1
                if not seen[x]:
                    seen[x] = True
                    lines += 1
    return (top, left, bottom - top + 1, right - left + 1, lines) if lines else (0, 0, 0, 0, 0)
