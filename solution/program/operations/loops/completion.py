"""Empty cells as what is missing of a pattern: symmetries, repeated lines, mirrors. And the symmetries themselves.

In:  cells, uint8 (height, width), and constants. Out: new cells, `NOTHING` where a function does not apply.
Not here: tiles and their periods, which are found in few steps of numpy (`completion` of the operations).
"""

import numpy as np

from ....arc.view import apply_symmetry
from ...compiled import compiled
from .lines import CONTESTED, _facing_back, _facing_down, agreed
from .pairs import NOTHING, loops_of


@compiled
def _walk(height, width, symmetry):
    """How a turned image reads the flat cells of one of this shape: its height and width, first place, steps down and right."""
    if symmetry == 0:
        return height, width, 0, width, 1
    if symmetry == 1:
        return width, height, width - 1, -1, width
    if symmetry == 2:
        return height, width, height * width - 1, -width, -1
    if symmetry == 3:
        return width, height, (height - 1) * width, 1, -width
    if symmetry == 4:
        return width, height, 0, 1, width
    if symmetry == 5:
        return height, width, width - 1, width, -1
    if symmetry == 6:
        return width, height, height * width - 1, -1, -width
    return height, width, (height - 1) * width, -width, 1


def _turned(cells, symmetry):
    return np.ascontiguousarray(apply_symmetry(cells, symmetry))


@loops_of(_turned)
def turned(cells, symmetry):
    """The cells under a symmetry of the square, an index into `arc.view.SYMMETRIES`."""
    height, width, start, down, right = _walk(cells.shape[0], cells.shape[1], symmetry)
    flat = cells.ravel()
    found = np.empty((height, width), np.uint8)
    for y in range(height):
        for x in range(width):
            found[y, x] = flat[start + y * down + x * right]
    return found


def _completed(cells, symmetry):
    other = apply_symmetry(cells, symmetry)
    return np.where(cells == 0, other, cells) if other.shape == cells.shape else NOTHING


@loops_of(_completed)
def completed(cells, symmetry):
    """Empty cells in the colours of the turned image, if that has the same shape."""
    height, width, start, down, right = _walk(cells.shape[0], cells.shape[1], symmetry)
    if height != cells.shape[0] or width != cells.shape[1]:
        return np.zeros((0, 0), np.uint8)
    flat = cells.ravel()
    found = np.empty((height, width), np.uint8)
    for y in range(height):
        for x in range(width):
            found[y, x] = cells[y, x] if cells[y, x] else flat[start + y * down + x * right]
    return found


def _completed_all_ways(cells):
    ways = [apply_symmetry(cells, symmetry) for symmetry in range(8)]
    return agreed(cells, *(way for way in ways if way.shape == cells.shape))


@loops_of(_completed_all_ways)
def completed_all_ways(cells):
    """Empty cells in the colours of all turned images of the same shape, where they agree."""
    found = cells.copy()
    flat = cells.ravel()
    for symmetry in range(1, 8):
        height, width, start, down, right = _walk(cells.shape[0], cells.shape[1], symmetry)
        if height != cells.shape[0] or width != cells.shape[1]:
            continue
        for y in range(height):
            for x in range(width):
                colour = flat[start + y * down + x * right]
                if colour and found[y, x] != colour and not cells[y, x]:
                    found[y, x] = CONTESTED if found[y, x] else colour
    for y in range(cells.shape[0]):
        for x in range(cells.shape[1]):
            if found[y, x] == CONTESTED:
                found[y, x] = 0
    return found


def _continued(cells, down, right):
    lines = _facing_down(cells, down, right)
    known = lines.any(1).nonzero()[0]
    if not len(known) or known[-1] == len(lines) - 1:
        return NOTHING
    size = known[-1] + 1
    same = (lines[:size, None] == lines[:size]).all(2)  # line, line
    step = next((step for step in range(1, size) if same.diagonal(step).all()), size)
    return _facing_back(lines[np.arange(len(lines)) % step], down, right)


@loops_of(_continued)
def continued(cells, down, right):
    """Empty lines on the side of a direction continue the pattern of the lines before them; down and right are a step."""
    height, width = cells.shape
    lines, breadth = (height, width) if down else (width, height)
    flat = cells.ravel()
    start = (height - 1) * width if down < 0 else width - 1 if right < 0 else 0
    step, aside = (down * width, 1) if down else (right, width)
    size = 0
    for line in range(lines):
        for place in range(breadth):
            if flat[start + line * step + place * aside]:
                size = line + 1
                break
    if size == 0 or size == lines:
        return np.zeros((0, 0), np.uint8)
    period = 1
    while period < size:
        repeats = True
        for line in range(period, size):
            for place in range(breadth):
                here = start + line * step + place * aside
                if flat[here] != flat[here - period * step]:
                    repeats = False
                    break
            if not repeats:
                break
        if repeats:
            break
        period += 1
    found = np.empty_like(cells)
    drawn = found.ravel()
    for line in range(lines):
        for place in range(breadth):
            drawn[start + line * step + place * aside] = flat[start + line % period * step + place * aside]
    return found


def _mirror_completed(cells, rows):
    lines = cells if rows else cells.T
    height, width = lines.shape
    if height < 3 or not (lines == 0).any():
        return NOTHING
    apart = np.minimum(np.arange(height)[:, None] + np.arange(height), height)  # the places so far on; `height` beyond the end
    longer = np.zeros((height + 1, width), np.uint8)
    longer[:-1] = lines[::-1]
    further = longer[apart]  # the mirror image moved up by a distance, row, column
    longer[:-1] = lines
    other = np.concatenate((further, longer[apart][1:, ::-1]))  # and moved down
    both = (other != 0) & (lines != 0)
    differ = (both & (other != lines)).reshape(len(other), -1).any(1)
    matching = np.where(differ, -1, both.reshape(len(other), -1).sum(1))
    # the cells on the mirror line match themselves: no evidence
    best = matching.argmax()
    if matching[best] <= np.count_nonzero(lines, 1).max():
        return NOTHING
    found = np.where(lines == 0, other[best], lines)
    return np.ascontiguousarray(found if rows else found.T)


@loops_of(_mirror_completed)
def mirror_completed(cells, rows):
    """Empty cells in the colours of the order of rows (or columns) mirrored where most coloured cells match."""
    lines, breadth = cells.shape if rows else cells.shape[::-1]
    step, aside = (cells.shape[1], 1) if rows else (1, cells.shape[1])
    flat = cells.ravel()
    fullest = 0
    total = 0
    for line in range(lines):
        count = 0
        for place in range(breadth):
            if flat[line * step + place * aside]:
                count += 1
        total += count
        fullest = max(fullest, count)
    if lines < 3 or total == lines * breadth:
        return np.zeros((0, 0), np.uint8)
    best, most = -1, fullest
    for turn in range(2 * lines - 1):  # line and mirrored line add up to `around`; moved up first, then down
        around = lines - 1 - turn if turn < lines else turn
        matching = 0
        for line in range(max(0, around - lines + 1), min(lines, around + 1)):
            for place in range(breadth):
                one, other = flat[line * step + place * aside], flat[(around - line) * step + place * aside]
                if one and other:
                    matching = matching + 1 if one == other else -lines * breadth
            if matching < 0:
                break
        if matching > most:
            best, most = around, matching
    if best < 0:
        return np.zeros((0, 0), np.uint8)
    found = cells.copy()
    drawn = found.ravel()
    for line in range(max(0, best - lines + 1), min(lines, best + 1)):
        for place in range(breadth):
            if not flat[line * step + place * aside]:
                drawn[line * step + place * aside] = flat[(best - line) * step + place * aside]
    return found
