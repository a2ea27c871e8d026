"""Colours that a cell could be given: its own, a fixed one, one that it sees, its mirror image's.

In:  cells of one image. Out: maps of colours by name, the simplest first; the same names for every image.
Not here: what decides between them (`features`, `rules`).
"""

import numpy as np

from ..operations.figures import MIXED, figures_of
from .maps import AROUND, CORNERS, SIDES, Maps, empty_regions, image_of, line_colour, nearest, only, seen, shifted, whole
from .panels import panel_sources


def sources(cells: np.ndarray) -> Maps:
    """Colours for every cell, the simplest first. "kept" is the cell's own."""
    counts = np.bincount(cells.ravel(), minlength=10)
    coloured = [int(c) for c in np.argsort(-counts[1:], kind="stable") + 1 if counts[c]]
    found: Maps = {"kept": cells} | {f"colour {c}": whole(cells, c) for c in range(10)}
    found["most frequent colour"] = whole(cells, coloured[0] if coloured else 0)
    found["second colour"] = whole(cells, coloured[1] if len(coloured) > 1 else 0)
    found["least frequent colour"] = whole(cells, coloured[-1] if coloured else 0)
    found |= {f"seen {name}": seen(cells, *step) for name, step in AROUND.items()}
    found |= {f"cell {name}": shifted(cells, *step, 0) for name, step in AROUND.items()}
    found |= {
        "mirrored left to right": cells[:, ::-1],
        "mirrored top to bottom": cells[::-1],
        "turned half round": cells[::-1, ::-1],
        "across the diagonal": cells.T if cells.shape[0] == cells.shape[1] else whole(cells, 0),
        "colour of row": line_colour(cells, 1),
        "colour of column": line_colour(cells, 0),
        "nearest colour": nearest(cells),
    }
    figures = figures_of(image_of(cells), MIXED)
    for choice, values in (("largest", np.argmax), ("smallest", np.argmin)):
        found[f"colour of {choice} figure"] = whole(cells, figures.colours[values(figures.sizes)] if figures else 0)
    found["rarest colour of figure"] = rarest_of_figure(cells, figures) if figures else whole(cells, 0)
    found["enclosing colour"] = enclosing(cells)
    found["only colour of boxes"] = box_colour(cells)
    over = {n: np.where(found[f"cell {n}"] == 0, found[f"seen {n}"], 0) for n in AROUND}
    found["only colour seen over empty cells"] = only([over[n] for n in SIDES])
    found["only colour seen diagonally over empty cells"] = only([over[n] for n in CORNERS])
    found |= {f"corner {n}": corner(cells, *AROUND[n]) for n in CORNERS}
    return found | panel_sources(cells)


def corner(cells: np.ndarray, down: int, right: int) -> np.ndarray:
    """The first colour that each cell meets in a diagonal direction where it meets a corner, not a side."""
    sides = (shifted(cells, -down, 0, 0) != 0) | (shifted(cells, 0, -right, 0) != 0)
    marked = np.where((cells != 0) & ~sides, 10, 0).astype(np.uint8) + cells
    met = seen(marked, down, right)
    return np.where(met > 10, met - 10, 0).astype(np.uint8)


def box_colour(cells: np.ndarray) -> np.ndarray:
    """The one colour in whose bounding box a cell lies; 0 where there are several or none."""
    number, found = np.zeros(cells.shape, int), np.zeros_like(cells)
    for colour in range(1, 10):
        those = cells == colour
        if those.any():
            rows, columns = those.any(1).nonzero()[0], those.any(0).nonzero()[0]
            box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            number[box] += 1
            found[box] = colour
    return np.where(number == 1, found, 0).astype(np.uint8)


def rarest_of_figure(cells: np.ndarray, figures) -> np.ndarray:
    """For every cell of a figure of any colours the colour of which it has fewest cells."""
    counts = np.stack([np.bincount(figures.labels[cells == c], minlength=len(figures.sizes) + 1) for c in range(1, 10)])
    counts = np.where(counts > 0, counts, np.iinfo(counts.dtype).max)
    colours = (counts.argmin(0) + 1).astype(np.uint8)
    colours[0] = 0
    return colours[figures.labels]


def enclosing(cells: np.ndarray) -> np.ndarray:
    """For cells of an empty region that does not touch the edge the one colour around it; else 0."""
    labels, number = empty_regions(cells)
    around = np.zeros((number + 1, 11), bool)
    for step in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        around[labels.ravel(), shifted(cells, *step).ravel()] = True
    only = around[:, 1:10].sum(1) == 1
    colours = np.where(only & ~around[:, 10], around[:, 1:10].argmax(1) + 1, 0).astype(np.uint8)
    colours[0] = 0
    return colours[labels]
