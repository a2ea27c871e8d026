"""Maps of an image: a value for every cell, by name; and the ways of looking from a cell that others are made of.

In:  cells. Out: arrays of their size.
Not here: which maps rules are learnt from (`sources`, `features`, `figures`).
"""

from functools import lru_cache

import numpy as np
from scipy import ndimage

from ..vocabulary import Image

MOST = 31
"""Features are cut at this value."""
OUTSIDE = 10
"""The colour beyond the edge."""
AROUND = {
    "up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1),
    "up left": (-1, -1), "up right": (-1, 1), "down left": (1, -1), "down right": (1, 1),
}  # fmt: skip
SIDES, CORNERS = tuple(AROUND)[:4], tuple(AROUND)[4:]

Maps = dict[str, np.ndarray]


@lru_cache(64)
def _image(data: bytes, height: int, width: int) -> Image:
    return Image(np.frombuffer(data, np.uint8).reshape(height, width).copy())


def image_of(cells: np.ndarray) -> Image:
    """An image of these cells, the same one for equal cells, so that its figures are found once."""
    return _image(np.ascontiguousarray(cells, np.uint8).tobytes(), *cells.shape)


def cut(values: np.ndarray) -> np.ndarray:
    """Values as a feature, 0 to `MOST`."""
    return np.clip(values, 0, MOST).astype(np.uint8)


def whole(cells: np.ndarray, value: int) -> np.ndarray:
    return np.full(cells.shape, value, np.uint8)


def shifted(cells: np.ndarray, down: int, right: int, outside: int = OUTSIDE) -> np.ndarray:
    """What lies so many rows and columns further from each cell."""
    height, width = cells.shape
    found = np.full_like(cells, outside)
    if abs(down) >= height or abs(right) >= width:
        return found
    rows = slice(max(0, -down), min(height, height - down))
    columns = slice(max(0, -right), min(width, width - right))
    found[rows, columns] = cells[max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)]
    return found


def seen(cells: np.ndarray, down: int, right: int) -> np.ndarray:
    """The first colour that each cell meets in a direction, 0 where there is none."""
    found = np.zeros_like(cells)
    for step in range(1, max(cells.shape)):
        beyond = shifted(cells, step * down, step * right, 0)
        np.copyto(found, beyond, where=(found == 0) & (beyond != 0))
    return found


def nearest(cells: np.ndarray) -> np.ndarray:
    """The colour of the nearest other coloured cell's figure: for coloured cells their own; 0 in an empty image."""
    if not cells.any():
        return np.zeros_like(cells)
    rows, columns = ndimage.distance_transform_cdt(cells == 0, "taxicab", return_distances=False, return_indices=True)
    return cells[rows, columns]


def only(maps: list[np.ndarray]) -> np.ndarray:
    """The one colour that some maps show at a cell, 0 where they show several or none."""
    lowest = np.min([np.where(m == 0, 255, m) for m in maps], 0)
    return np.where(lowest == np.max(maps, 0), lowest, 0).astype(np.uint8)


def line_colour(cells: np.ndarray, axis: int) -> np.ndarray:
    """The most frequent colour of each cell's row (axis 1) or column (0) among the coloured ones, the smaller of equals."""
    counts = np.stack([(cells == colour).sum(axis) for colour in range(1, 10)])
    best = np.where(counts.max(0) > 0, counts.argmax(0) + 1, 0).astype(np.uint8)
    return np.broadcast_to(best[:, None] if axis == 1 else best[None, :], cells.shape)


def rank(values: np.ndarray) -> np.ndarray:
    """1 for the largest, equal values alike."""
    different = -np.unique(-np.asarray(values))
    return 1 + np.searchsorted(-different, -np.asarray(values))


def empty_regions(cells: np.ndarray) -> tuple[np.ndarray, int]:
    return ndimage.label(cells == 0)
