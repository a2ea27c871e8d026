"""Objects of a picture: ways to see a grid as objects.

In:  cells and the name of a way to see them. Out: `Scene`s with numbered objects.
Not here: what objects are like (`features`), what is done with them (`regions`), which rule explains a task (`rules`).
"""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from scipy import ndimage

EIGHT = np.ones((3, 3), bool)
FOUR = ndimage.generate_binary_structure(2, 1)
WAYS = ("one8", "one4", "any8", "any4", "empty", "colour", "panels")
"""Cells of one colour joined at sides or corners, or at sides; coloured cells likewise; empty cells joined at sides; all cells
of a colour; the parts between separator lines."""
MOST_OBJECTS = 120
"""Scenes with more are left alone: features compare every object with every other."""
NONE = -1
"""A colour or value that an object does not have."""


@dataclass(frozen=True, eq=False)
class Scene:
    """`labels`: int32 (height, width), 0 no object, then objects from 1 on by first cell. `empty`: the background colour.
    Arrays of objects are indexed from 0."""

    cells: np.ndarray
    labels: np.ndarray
    empty: int
    number: int

    @cached_property
    def sizes(self) -> np.ndarray:
        """Number of cells."""
        return np.bincount(self.labels.ravel(), minlength=self.number + 1)[1:]

    @cached_property
    def slices(self) -> list[tuple[slice, slice]]:
        return ndimage.find_objects(self.labels)

    @cached_property
    def boxes(self) -> np.ndarray:
        """Top, left, bottom, right (the last two exclusive); int (objects, 4)."""
        return np.array([(y.start, x.start, y.stop, x.stop) for y, x in self.slices])

    @cached_property
    def masks(self) -> list[np.ndarray]:
        """What of its box is the object; bool."""
        return [self.labels[box] == label for label, box in enumerate(self.slices, 1)]

    @cached_property
    def own(self) -> list[np.ndarray]:
        """The cells of each object: indices into the flat cells, ascending."""
        order = self.labels.ravel().argsort(kind="stable")
        ends = np.cumsum(self.sizes) + (self.labels.size - self.sizes.sum())
        return np.split(order, np.concatenate(([ends[0] - self.sizes[0]], ends[:-1])))[1:]

    @cached_property
    def counts(self) -> np.ndarray:
        """Cells of each colour; int (objects, 10)."""
        flat = (self.labels.astype(np.int64) * 10 + self.cells).ravel()
        return np.bincount(flat, minlength=10 * (self.number + 1)).reshape(-1, 10)[1:]

    @cached_property
    def colours(self) -> np.ndarray:
        """The most frequent colour, the background last."""
        counts = self.counts.copy()
        counts[:, self.empty] = np.where(counts[:, self.empty] > 0, 0.5, 0)
        return counts.argmax(1)

    @cached_property
    def gaps(self) -> np.ndarray:
        """Empty cells between the boxes of two objects, the longer way of rows and columns; int (objects, objects)."""
        top, left, bottom, right = (edge[:, None] for edge in self.boxes.T)
        down = np.maximum(top.T - bottom, top - bottom.T)
        across = np.maximum(left.T - right, left - right.T)
        gaps = np.maximum(np.maximum(down, across), -1)
        np.fill_diagonal(gaps, 99)
        return gaps

    @cached_property
    def touching(self) -> np.ndarray:
        """Whether two objects meet at sides or corners; bool (objects, objects)."""
        found = np.zeros((self.number + 1, self.number + 1), bool)
        labels = self.labels
        pairs = (labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])
        for a, b in (*pairs, (labels[1:, 1:], labels[:-1, :-1]), (labels[1:, :-1], labels[:-1, 1:])):
            found[a, b] = True
        found |= found.T
        np.fill_diagonal(found, False)
        return found[1:, 1:]

    @cached_property
    def within(self) -> np.ndarray:
        """[i, j]: the box of i lies in the box of j and is smaller; bool (objects, objects)."""
        top, left, bottom, right = (edge[:, None] for edge in self.boxes.T)
        inside = (top >= top.T) & (left >= left.T) & (bottom <= bottom.T) & (right <= right.T)
        area = (bottom - top) * (right - left)
        return inside & (area < area.T)


def separator_labels(cells: np.ndarray, empty: int) -> np.ndarray | None:
    """The parts between full rows and columns of one colour, the colour that has most of them; None where nothing is cut."""
    rows = {int(c): np.flatnonzero((cells == c).all(1)) for c in np.unique(cells[:, 0]) if c != empty}
    columns = {int(c): np.flatnonzero((cells == c).all(0)) for c in np.unique(cells[0]) if c != empty}
    number = {c: len(rows.get(c, ())) + len(columns.get(c, ())) for c in rows | columns}
    if not number or max(number.values()) == 0:
        return None
    colour = max(number, key=number.get)
    cut_rows = np.isin(np.arange(cells.shape[0]), rows.get(colour, ()))
    cut_columns = np.isin(np.arange(cells.shape[1]), columns.get(colour, ()))
    return ndimage.label(~(cut_rows[:, None] | cut_columns))[0]


@lru_cache(1024)
def _seen(data: bytes, height: int, width: int, way: str, empty: int) -> Scene | None:
    cells = np.frombuffer(data, np.uint8).reshape(height, width)
    coloured = cells != empty
    if way == "empty":
        labels = ndimage.label(~coloured)[0]
    elif way == "panels":
        labels = separator_labels(cells, empty)
    elif way.startswith("any"):
        labels = ndimage.label(coloured, EIGHT if way == "any8" else FOUR)[0]
    else:
        present = np.flatnonzero(np.bincount(cells.ravel(), minlength=10))
        present = present[present != empty]
        if not len(present):
            return None
        if way == "colour":
            labels = np.searchsorted(present, cells) + 1
            labels[~coloured] = 0
        else:
            structure = np.zeros((3, 3, 3), bool)  # colour, row, column: no step leads to another colour
            structure[1] = EIGHT if way == "one8" else FOUR
            labels = ndimage.label(cells == present[:, None, None], structure)[0].max(0)
    if labels is None or not labels.any():
        return None
    names, first = np.unique(labels, return_index=True)
    first[names == 0] = NONE
    number = int((names > 0).sum())
    if number > MOST_OBJECTS:
        return None
    new = np.zeros(int(names[-1]) + 1, np.int32)
    new[names[first.argsort()]] = np.arange(len(names)) + (0 if (names == 0).any() else 1)
    return Scene(cells, new[labels], empty, number)


def see(cells: np.ndarray, way: str, empty: int) -> Scene | None:
    """The scene that one of `WAYS` sees in uint8 cells; None without objects or with too many. The last ones are remembered."""
    return _seen(cells.tobytes(), *cells.shape, way, empty)


def turned(cells: np.ndarray) -> list[np.ndarray]:
    """The eight turns and mirrors of an array: itself, transposed, upside down, that transposed, mirrored, that transposed, half
    a turn, that transposed."""
    return [t for m in (cells, cells[::-1], cells[:, ::-1], cells[::-1, ::-1]) for t in (m, m.T)]


TURNED_BACK = (0, 1, 2, 5, 4, 3, 6, 7)
"""Which of `turned` undoes each."""


def shape_code(mask: np.ndarray, free: bool) -> int:
    """Equal for equal masks; `free`: also for turned and mirrored ones. Positive, below 2^31, different with high chance."""
    return _code(mask.tobytes(), *mask.shape, free)


@lru_cache(20_000)
def _code(data: bytes, height: int, width: int, free: bool) -> int:
    mask = np.frombuffer(data, bool).reshape(height, width)
    if mask.all():
        return min(height, width) * 31 + max(height, width) if free else height * 31 + width
    forms = [(m.shape, m.tobytes()) for m in (turned(mask) if free else (mask,))]
    height, width, data = min((h, w, d) for (h, w), d in forms)
    code = height * 31 + width
    for byte in np.packbits(np.frombuffer(data, bool)).tolist():
        code = (code * 257 + byte + 1) % 2147483647
    return code


def occurrences(values: np.ndarray) -> np.ndarray:
    """How many objects have the value of each."""
    counts = Counter(values.tolist())
    return np.array([counts[v] for v in values.tolist()])


def lone(values: np.ndarray) -> int:
    """The single value of those that are not `NONE`; `NONE` where there are several or none."""
    distinct = set(values.tolist()) - {NONE}
    return distinct.pop() if len(distinct) == 1 else NONE
