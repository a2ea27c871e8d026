"""Lines, rays and falling cells. A direction is a step: rows down and columns to the right, each -1, 0 or 1.

In:  cells, uint8 (height, width), and constants. Out: new cells of the same shape.
Where two lines of different colours claim an empty cell, it stays empty. Not here: what moves as a whole (`falls`).
"""

import numpy as np

from ...compiled import compiled
from .pairs import loops_of

CONTESTED = 255
"""A cell that lines of different colours claim."""

STRAIGHT = np.array([[1, 0], [0, -1], [-1, 0], [0, 1]])
DIAGONAL = np.array([[-1, 1], [1, 1], [1, -1], [-1, -1]])


def agreed(cells: np.ndarray, *lines: np.ndarray) -> np.ndarray:
    """`cells` with every empty cell in the colour of those of `lines` that are coloured there, where they agree."""
    highest = np.maximum.reduce(lines)
    lowest = np.minimum.reduce([line - np.uint8(1) for line in lines])  # empty: 255
    return np.where((cells == 0) & (highest - np.uint8(1) == lowest), highest, cells)


def _extended(cells, down, right):
    found = cells.copy()
    height, width = cells.shape
    target = np.ix_(*(range(max(s, 0), n + min(s, 0)) for s, n in ((down, height), (right, width))))
    source = np.ix_(*(range(max(-s, 0), n + min(-s, 0)) for s, n in ((down, height), (right, width))))
    for _ in range(max(height, width)):
        found[target] = np.where(cells[target] == 0, found[source], cells[target])
    return found


@loops_of(_extended)
def extended(cells, down, right):
    """A line from every coloured cell in one direction, up to the next one."""
    height, width = cells.shape
    found = cells.copy()
    for row in range(height):
        y = row if down >= 0 else height - 1 - row
        above = y - down
        if above < 0 or above >= height:
            continue
        for column in range(width):
            x = column if right >= 0 else width - 1 - column
            beside = x - right
            if found[y, x] == 0 and 0 <= beside < width:
                found[y, x] = found[above, beside]
    return found


@compiled
def _claim(found, line):
    """Empty cells take the colour of a line; those of another colour's line are contested."""
    for y in range(found.shape[0]):
        for x in range(found.shape[1]):
            if line[y, x] and found[y, x] != line[y, x]:
                found[y, x] = CONTESTED if found[y, x] else line[y, x]


@compiled
def _settled(cells, claims):
    """The cells, and in empty ones the claims that nobody contests."""
    for y in range(cells.shape[0]):
        for x in range(cells.shape[1]):
            if cells[y, x]:
                claims[y, x] = cells[y, x]
            elif claims[y, x] == CONTESTED:
                claims[y, x] = 0
    return claims


def _crossed(cells, steps):
    return agreed(cells, *(_extended(cells, down, right) for down, right in steps.tolist()))


@loops_of(_crossed)
def crossed(cells, steps):
    """Lines from every coloured cell in several directions, up to other ones. `steps`: int (directions, 2)."""
    claims = np.zeros_like(cells)
    for number in range(len(steps)):
        _claim(claims, extended(cells, steps[number, 0], steps[number, 1]))
    return _settled(cells, claims)


def _joined(cells, steps):
    lines = []
    for down, right in steps.tolist():
        one = _extended(cells, down, right)
        lines.append(one * (one == _extended(cells, -down, -right)))
    return agreed(cells, *lines)


@loops_of(_joined)
def joined(cells, steps):
    """Two cells of one colour on a line are joined over empty cells, for several directions of lines; int (directions, 2)."""
    claims = np.zeros_like(cells)
    for number in range(len(steps)):
        down, right = steps[number, 0], steps[number, 1]
        one, other = extended(cells, down, right), extended(cells, -down, -right)
        for y in range(cells.shape[0]):
            for x in range(cells.shape[1]):
                if one[y, x] != other[y, x]:
                    one[y, x] = 0
        _claim(claims, one)
    return _settled(cells, claims)


def _crossed_from(cells, chosen):
    blocking = np.where(chosen, cells, (cells != 0) * np.uint8(10))
    lines = [_extended(blocking, down, right) for down, right in STRAIGHT.tolist()]
    return agreed(cells, *(line * (line < 10) for line in lines))


@loops_of(_crossed_from)
def crossed_from(cells, chosen):
    """Lines from the chosen cells (bool) in the four straight directions, up to other coloured cells."""
    claims = np.zeros_like(cells)
    blocking = cells.copy()
    for y in range(cells.shape[0]):
        for x in range(cells.shape[1]):
            if cells[y, x] and not chosen[y, x]:
                blocking[y, x] = 10
    for down, right in ((1, 0), (0, -1), (-1, 0), (0, 1)):
        line = extended(blocking, down, right)
        for y in range(cells.shape[0]):
            for x in range(cells.shape[1]):
                if line[y, x] == 10:
                    line[y, x] = 0
        _claim(claims, line)
    return _settled(cells, claims)


@compiled
def _course(height, width, down, right):
    """The lines of a direction: how many, how long, flat place of the first cell, steps from line to line, cell to cell."""
    start = (height - 1) * width if down < 0 else width - 1 if right < 0 else 0
    if down:
        return width, height, start, 1, down * width
    return height, width, start, width, right


def _facing_down(cells, down, right):
    """A view in which the direction leads down; its own inverse but for the transpose."""
    lines = cells if down else cells.T
    return lines if down + right > 0 else lines[::-1]


def _facing_back(lines, down, right):
    lines = lines if down + right > 0 else lines[::-1]
    return np.ascontiguousarray(lines if down else lines.T)


def _extended_over(cells, down, right):
    lines = _facing_down(cells, down, right)
    started = np.logical_or.accumulate(lines != 0)
    return _facing_back(started * lines[(lines != 0).argmax(0), np.arange(lines.shape[1])], down, right)


@loops_of(_extended_over)
def extended_over(cells, down, right):
    """The first coloured cell of every line drawn in a direction to the edge, over others."""
    lines, length, start, aside, step = _course(cells.shape[0], cells.shape[1], down, right)
    flat = cells.ravel()
    found = np.zeros_like(cells)
    drawn = found.ravel()
    for line in range(lines):
        colour = 0
        place = start + line * aside
        for _ in range(length):
            if not colour:
                colour = flat[place]
            drawn[place] = colour
            place += step
    return found


def _sunk(cells, down, right):
    lines = _facing_down(cells, down, right)
    return _facing_back(lines[(lines != 0).argsort(0, kind="stable"), np.arange(lines.shape[1])], down, right)


@loops_of(_sunk)
def sunk(cells, down, right):
    """Every coloured cell falls in a direction as far as it can."""
    lines, length, start, aside, step = _course(cells.shape[0], cells.shape[1], down, right)
    flat = cells.ravel()
    found = np.zeros_like(cells)
    drawn = found.ravel()
    for line in range(lines):
        place = free = start + line * aside + (length - 1) * step
        for _ in range(length):
            if flat[place]:
                drawn[free] = flat[place]
                free -= step
            place -= step
    return found


def _shifted(cells, down, right, around):
    height, width = cells.shape
    found = np.roll(cells, (down, right), (0, 1))
    if not around:
        if down:
            found[0 if down > 0 else height - 1] = 0
        else:
            found[:, 0 if right > 0 else width - 1] = 0
    return found


@loops_of(_shifted)
def shifted(cells, down, right, around):
    """Every line moved one step; `around`: the line that leaves comes in on the other side, else an empty one."""
    height, width = cells.shape
    found = np.zeros_like(cells)
    for y in range(height):
        for x in range(width):
            row, column = y + down, x + right
            if 0 <= row < height and 0 <= column < width:
                found[row, column] = cells[y, x]
            elif around:
                found[row % height, column % width] = cells[y, x]
    return found
