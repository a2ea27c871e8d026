"""Figures that move, and copies of figures, in one of four directions: a step down and right, one of both 0.

In:  cells, uint8 (height, width); labels, int32, in the same shape, 0 outside of figures. Out: new cells of the same shape.
Not here: single cells that fall (`lines`).
"""

import numpy as np
from scipy import ndimage

from ...compiled import compiled
from .lines import _facing_back, _facing_down
from .pairs import loops_of

MIRRORED, REPEATED, SPACED = range(3)
"""What is drawn beside a figure: its mirror image; itself again and again; the same with an empty line before each."""


@compiled
def _course(height, width, down, right):
    """The lines of a direction: how many, how long, flat place of the first cell, steps from line to line, cell to cell."""
    start = (height - 1) * width if down < 0 else width - 1 if right < 0 else 0
    if down:
        return width, height, start, 1, down * width
    return height, width, start, width, right


def _fallen(cells, labels, moving, down, right):
    cells, labels = _facing_down(cells, down, right), _facing_down(labels, down, right)
    height, width = cells.shape
    moving = np.concatenate(((False,), moving))
    columns, rows = labels.T.nonzero()  # column by column, from the top
    here = labels[rows, columns]
    last = np.ones(len(rows), bool)  # nothing below it in its column
    last[:-1] = columns[1:] != columns[:-1]
    gaps = np.where(last, height, np.append(rows[1:], 0)) - rows - 1
    below = np.where(last, 0, np.append(here[1:], 0))
    ways = np.where(moving, height, 0)
    foreign = (below != here) & moving[here]
    here_moving, below, gaps = here[foreign], below[foreign], gaps[foreign]
    for _ in range(len(moving)):
        before = ways.copy()
        np.minimum.at(ways, here_moving, gaps + ways[below])
        if np.array_equal(ways, before):
            break
    result = np.zeros_like(cells, order="C")
    result[rows + ways[here], columns] = cells[rows, columns]
    return _facing_back(result, down, right)


@loops_of(_fallen)
def fallen(cells, labels, moving, down, right):
    """The figures `moving`, bool (figures,), moved rigidly in a direction onto each other, the others and the edge.

    A figure moves as far as the least over its cells of the way to the next figure ahead plus that one's own way: a shortest
    path, found by relaxation.
    """
    lines, length, start, aside, step = _course(cells.shape[0], cells.shape[1], down, right)
    flat, marks = cells.ravel(), labels.ravel()
    found = np.zeros_like(cells)
    drawn = found.ravel()
    ways = np.zeros(len(moving) + 1, np.int64)  # 0 is the edge
    for index in range(len(moving)):
        if moving[index]:
            ways[index + 1] = length
    behind, ahead, gaps = np.empty(flat.size, np.int64), np.empty(flat.size, np.int64), np.empty(flat.size, np.int64)
    count = 0
    for line in range(lines):
        next_label, next_place = 0, length
        for place in range(length - 1, -1, -1):
            label = marks[start + line * aside + place * step]
            if label:
                if label != next_label and moving[label - 1]:
                    behind[count], ahead[count], gaps[count] = label, next_label, next_place - place - 1
                    count += 1
                next_label, next_place = label, place
    changed = True
    while changed:
        changed = False
        for index in range(count):
            way = gaps[index] + ways[ahead[index]]
            if way < ways[behind[index]]:
                ways[behind[index]] = way
                changed = True
    for line in range(lines):
        for place in range(length):
            here = start + line * aside + place * step
            if marks[here]:
                drawn[here + ways[marks[here]] * step] = flat[here]
    return found


def _drawn_beside(cells, labels, number, down, right, kind):
    cells, found = _facing_down(cells, down, right), _facing_down(cells, down, right).copy()
    labels = _facing_down(labels, down, right)
    boxes = ndimage.find_objects(labels)
    present, first = np.unique(labels, return_index=True)
    for label in present[first.argsort()]:
        if not label:
            continue
        rows, columns = boxes[label - 1]
        figure = cells[rows, columns] * (labels[rows, columns] == label)
        free = len(cells) - rows.stop
        if kind == MIRRORED:
            drawn = figure[::-1][:free]
        else:
            piece = np.concatenate((np.zeros_like(figure[:1]), figure)) if kind == SPACED else figure
            drawn = np.concatenate((piece,) * (free // len(piece) + 1))[:free]
        space = found[rows.stop : rows.stop + len(drawn), columns]
        np.copyto(space, drawn, where=space == 0)
    return _facing_back(found, down, right)


@loops_of(_drawn_beside)
def drawn_beside(cells, labels, number, down, right, kind):
    """Beside every figure, ahead in a direction, its mirror image or its copies, on empty cells.

    `labels`: of figures of any colours joined at sides or corners; `number` of them. The first figure wins, in reading order
    as one sees the image with the direction leading down.
    """
    lines, length, start, aside, step = _course(cells.shape[0], cells.shape[1], down, right)
    flat, marks = cells.ravel(), labels.ravel()
    found = cells.copy()
    drawn = found.ravel()
    order = np.empty(number, np.int64)
    boxes = np.empty((number + 1, 4), np.int64)  # first and last place along the direction, first and last line
    boxes[:, 0] = -1
    count = 0
    for place in range(length):
        for line in range(lines):
            label = marks[start + line * aside + place * step]
            if label:
                if boxes[label, 0] < 0:
                    boxes[label, 0], boxes[label, 2], boxes[label, 3] = place, line, line
                    order[count] = label
                    count += 1
                boxes[label, 1] = place
                boxes[label, 2], boxes[label, 3] = min(boxes[label, 2], line), max(boxes[label, 3], line)
    for label in order:
        first, last = boxes[label, 0], boxes[label, 1]
        size = last - first + 1
        for ahead in range(length - 1 - last):
            if kind == MIRRORED:
                if ahead == size:
                    break
                source = last - ahead
            elif kind == REPEATED:
                source = first + ahead % size
            else:
                source = first - 1 + ahead % (size + 1)
                if source < first:
                    continue
            for line in range(boxes[label, 2], boxes[label, 3] + 1):
                here = start + line * aside + (last + 1 + ahead) * step
                there = start + line * aside + source * step
                if marks[there] == label and drawn[here] == 0:
                    drawn[here] = flat[there]
    return found
