"""What a cell is like: its neighbourhood, what it sees, its place, its row, its image.

In:  cells of one image, its sources. Out: features by name, uint8, at most `MOST`; the same names for every image.
Not here: figures (`figures`), colours to give (`sources`), which features decide (`rules`).
"""

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from ..operations.figures import MIXED, ONE, SIDES, figures_of
from .figures import figure_features, region_features
from .maps import AROUND, CORNERS, MOST, Maps, cut, image_of, line_colour, rank, shifted, whole
from .panels import panel_features


def place_features(cells: np.ndarray) -> Maps:
    """Where a cell lies, from each edge and in periods."""
    rows, columns = np.indices(cells.shape)
    height, width = cells.shape
    up, left = height - 1 - rows, width - 1 - columns
    found = {
        "row": rows, "column": columns, "row from below": up, "column from the right": left,
        "distance from the edge": np.minimum(np.minimum(rows, up), np.minimum(columns, left)),
        "on a diagonal": (rows == columns) + 2 * (rows == left),
        "left or right half": np.sign(columns - left) + 1,
        "upper or lower half": np.sign(rows - up) + 1,
        "nearer to rows or columns": np.sign(np.minimum(rows, up) - np.minimum(columns, left)) + 1,
    }  # fmt: skip
    for period in (2, 3, 4):
        found |= {f"row mod {period}": rows % period, f"column mod {period}": columns % period}
        found |= {f"row + column mod {period}": (rows + columns) % period}
        found |= {f"row - column mod {period}": (rows - columns) % period}
    found |= {"column from the right mod 2": left % 2, "row from below mod 2": up % 2}
    return {name: cut(values) for name, values in found.items()}


def sight_features(cells: np.ndarray, given: Maps) -> Maps:
    """What a cell has around it and sees."""
    filled = (cells != 0).astype(np.uint8)
    sights = {name: given[f"seen {name}"] for name in AROUND}
    beside = {name: shifted(cells, *step) for name, step in AROUND.items()}
    found: Maps = {"colour": cells, "filled": filled}
    found |= {f"cell {name}": values for name, values in beside.items()}
    found |= {f"seen {name}": values for name, values in sights.items()}
    found["filled beside"] = sum(shifted(filled, *AROUND[n], 0) for n in ("up", "down", "left", "right"))
    found["filled around"] = sum(shifted(filled, *step, 0) for step in AROUND.values())
    found["filled at corners"] = found["filled around"] - found["filled beside"]
    found["alike beside"] = sum((beside[n] == cells).astype(np.uint8) for n in ("up", "down", "left", "right"))
    found["alike around"] = sum((values == cells).astype(np.uint8) for values in beside.values())
    found["sees on sides"] = sum((sights[n] != 0).astype(np.uint8) for n in ("up", "down", "left", "right"))
    for name, (one, other) in {
        "left and right": ("left", "right"), "up and down": ("up", "down"),
        "both diagonals down": ("up left", "down right"), "both diagonals up": ("up right", "down left"),
    }.items():  # fmt: skip
        found[f"sees the same {name}"] = ((sights[one] == sights[other]) & (sights[one] != 0)).astype(np.uint8)
        found[f"between {name}"] = ((sights[one] != 0) & (sights[other] != 0)).astype(np.uint8)
        found[f"sees its own colour {name}"] = ((sights[one] == cells) | (sights[other] == cells)).astype(np.uint8)
    found["most seen colour"] = most_seen(sights)
    return found


def most_seen(sights: Maps) -> np.ndarray:
    counts = np.stack([sum((s == colour).astype(np.uint8) for s in sights.values()) for colour in range(1, 10)])
    return np.where(counts.max(0) > 0, counts.argmax(0) + 1, 0).astype(np.uint8)


def line_features(cells: np.ndarray) -> Maps:
    """What the row and the column of a cell are like."""
    found = {}
    for axis, name in ((1, "row"), (0, "column")):
        filled = (cells != 0).sum(axis, keepdims=True)
        different = sum((cells == colour).any(axis, keepdims=True).astype(int) for colour in range(1, 10))
        one = (cells == cells.take([0], axis)).all(axis, keepdims=True)
        found[f"filled in {name}"] = filled
        found[f"rank of {name} by filled"] = rank(filled.ravel()).reshape(filled.shape)
        found[f"colours in {name}"] = different
        found[f"{name} of one colour"] = one * (1 + cells.take([0], axis).astype(int))
        found[f"first of {name}"], found[f"last of {name}"] = cells.take([0], axis), cells.take([-1], axis)
        found[f"colour of {name}"] = line_colour(cells, axis)
    return {name: cut(np.broadcast_to(values, cells.shape)) for name, values in found.items()}


def scene_features(cells: np.ndarray) -> Maps:
    """What the whole image is like; the same for every cell."""
    counts = np.bincount(cells.ravel(), minlength=10)
    order = np.zeros(10, np.uint8)
    order[np.argsort(-counts[1:], kind="stable") + 1] = np.arange(1, 10)
    figures = figures_of(image_of(cells), ONE)
    found = {
        "rank of colour": np.where(counts[cells] > 0, order[cells], 0),
        "cells of colour": counts[cells],
        "number of colours": whole(cells, np.count_nonzero(counts[1:])),
        "number of figures": whole(cells, min(MOST, len(figures.sizes)) if figures else 0),
        "filled in all": whole(cells, min(MOST, int(counts[1:].sum()))),
        "the most frequent colour": whole(cells, counts[1:].argmax() + 1 if counts[1:].any() else 0),
    }
    return {name: cut(values) for name, values in found.items()}


def runs(cells: np.ndarray) -> np.ndarray:
    """Length of the run of one colour, along its row, that each cell belongs to."""
    height, width = cells.shape
    starts = np.ones((height, width), bool)
    starts[:, 1:] = cells[:, 1:] != cells[:, :-1]
    number = starts.ravel().cumsum() - 1
    return np.bincount(number)[number].reshape(height, width)


def block_features(cells: np.ndarray) -> Maps:
    """Runs and blocks of one colour, and distances to coloured cells."""
    across, down = runs(cells), runs(cells.T).T
    found = {"run across": across, "run down": down, "longer run": np.sign(across - down) + 1}
    for side in (2, 3):
        found[f"in an empty {side} x {side} block"] = ndimage.binary_opening(cells == 0, np.ones((side, side)))
        found[f"in a filled {side} x {side} block"] = ndimage.binary_opening(cells != 0, np.ones((side, side)))
    found["in a largest empty rectangle"] = largest_empty_rectangle(cells)
    for metric, name in (("taxicab", "steps"), ("chessboard", "moves")):
        if cells.any():
            found[f"{name} to a coloured cell"] = ndimage.distance_transform_cdt(cells == 0, metric)
        else:
            found[f"{name} to a coloured cell"] = np.full(cells.shape, MOST)
        found[f"{name} to a coloured cell mod 2"] = found[f"{name} to a coloured cell"] % 2
        if (cells == 0).any():
            found[f"{name} to an empty cell"] = ndimage.distance_transform_cdt(cells != 0, metric)
        else:
            found[f"{name} to an empty cell"] = np.full(cells.shape, MOST)
    return {name: cut(values) for name, values in found.items()}


def largest_empty_rectangle(cells: np.ndarray) -> np.ndarray:
    """Whether a cell lies in a largest rectangle of empty cells; bool."""
    height, width = cells.shape
    sums = np.zeros((height + 1, width + 1), int)
    sums[1:, 1:] = (cells != 0).cumsum(0).cumsum(1)
    most, found = 1, np.zeros(cells.shape, bool)
    for high in range(height, 0, -1):
        for wide in range(width, 0, -1):
            if high * wide < most:
                break
            filled = sums[high:, wide:] - sums[:-high, wide:] - sums[high:, :-wide] + sums[:-high, :-wide]
            places = np.argwhere(filled == 0)
            if len(places):
                if high * wide > most:
                    most, found = high * wide, np.zeros(cells.shape, bool)
                for top, left in places:
                    found[top : top + high, left : left + wide] = True
                break
    return found


def colour_features(cells: np.ndarray, given: Maps, palette: tuple[int, ...]) -> Maps:
    """How a cell stands to the cells of each colour of `palette`."""
    found = {}
    sides = ("up", "down", "left", "right")
    figures = figures_of(image_of(cells), MIXED)
    for colour in palette:
        those = cells == colour
        rows, columns = those.any(1), those.any(0)
        name = f"colour {colour}"
        found[f"{name} in row"] = np.broadcast_to(rows[:, None], cells.shape)
        found[f"{name} in column"] = np.broadcast_to(columns[None, :], cells.shape)
        found[f"{name} in row and column"] = rows[:, None] & columns[None, :]
        found[f"{name} in row or column"] = rows[:, None] | columns[None, :]
        found[f"sees {name}"] = np.any([given[f"seen {side}"] == colour for side in sides], 0)
        found[f"sees {name} diagonally"] = np.any([given[f"seen {side}"] == colour for side in AROUND if side not in sides], 0)
        found[f"{name} beside"] = sum((given[f"cell {side}"] == colour).astype(np.uint8) for side in sides)
        found[f"{name} around"] = sum((given[f"cell {side}"] == colour).astype(np.uint8) for side in AROUND)
        box = np.zeros(cells.shape, np.uint8)
        if those.any():
            top, bottom = rows.nonzero()[0][[0, -1]]
            left, right = columns.nonzero()[0][[0, -1]]
            box[top : bottom + 1, left : right + 1] = 1
            box[top + 1 : bottom, left + 1 : right] = 2
        found[f"box of {name}"] = box
        touched = np.isin(np.arange(1, len(figures.sizes) + 1), figures.labels[those]) if figures else np.zeros(0, bool)
        found[f"{name} in figure"] = figures.spread(touched + 1) if figures else np.zeros(cells.shape)
        found[f"number of cells of {name}"] = np.full(cells.shape, those.sum())
    return {name: cut(values) for name, values in found.items()}


def mirror_features(given: Maps) -> Maps:
    names = ("mirrored left to right", "mirrored top to bottom", "turned half round", "across the diagonal")
    more = (
        "colour of largest figure", "colour of smallest figure", "nearest colour", "enclosing colour", "rarest colour of figure",
        "only colour of boxes", "only colour seen over empty cells", "only colour seen diagonally over empty cells",
        *(f"corner {n}" for n in CORNERS),
    )  # fmt: skip
    found = {name: given[name] for name in (*names, *more)}
    found["sees a corner"] = sum((given[f"corner {n}"] != 0).astype(np.uint8) for n in CORNERS)
    return found


def features(cells: np.ndarray, given: Maps, palette: tuple[int, ...], numbered: dict) -> Maps:
    """All features of every cell. `given`: its `sources`. `palette`: colours of the task. `numbered`: see `figure_features`."""
    parts: tuple[Callable, ...] = (place_features, line_features, scene_features, region_features, block_features, panel_features)
    found = sight_features(cells, given) | mirror_features(given) | colour_features(cells, given, palette)
    for part in parts:
        found |= part(cells)
    for kind, name in ((ONE, "figure"), (SIDES, "figure by sides"), (MIXED, "coloured figure")):
        found |= figure_features(cells, kind, name, numbered)
    return found
