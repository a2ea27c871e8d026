"""Parts of random scenes for generator families: sizes, colours, shapes, placement; and finding objects in a grid.

In:  a random generator and limits. Out: small arrays (uint8 grids, bool shapes).
Colour 0 is the background unless a family says otherwise. The outermost size of a scene comes from `canvas`, so that a task
may keep one size or be larger than its family asks; the sizes of things on it come from `sides`.
Not here: rules.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

FOUR = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], bool)
EIGHT = np.ones((3, 3), bool)


def sides(rng: np.random.Generator, low: int = 4, high: int = 10, square: bool = False) -> tuple[int, int]:
    """Height and width, each from `low` to `high`."""
    height = int(rng.integers(low, high + 1))
    return height, height if square else int(rng.integers(low, high + 1))


LARGEST_SIDE = 20


@dataclass
class Canvas:
    """How a task draws the sizes of its scenes: all `alike` or each anew, `square` or not, at most `room` cells.

    Sides go up to twice what the family asks for, at most to `LARGEST_SIDE`. `drawn` has the cells of the last size.
    """

    alike: bool
    square: bool
    room: float
    drawn: int = 0
    sizes: dict[tuple, tuple[int, int]] = field(default_factory=dict)

    def size(self, rng: np.random.Generator, tall: tuple[int, int], wide: tuple[int, int], square: bool) -> tuple[int, int]:
        """Height and width in the ranges `tall` and `wide`, which are stretched."""
        limits = (tall, wide, square)
        if limits not in self.sizes or not self.alike:
            self.sizes[limits] = self._size(rng, self._stretched(tall), self._stretched(wide), square or self.square)
        return self.sizes[limits]

    def _stretched(self, limits: tuple[int, int]) -> tuple[int, int]:
        low, high = limits
        return (low + high) // 2 if self.alike else low, max(high, min(2 * high, LARGEST_SIDE))

    def _size(self, rng, tall, wide, square) -> tuple[int, int]:
        if square and (low := max(tall[0], wide[0])) <= (high := min(tall[1], wide[1])):
            side = up_to(rng, low, high, self.room**0.5)
            return side, side
        if rng.random() < 0.5:  # of the first side the longer of two draws: large grids are rare where the room is small
            height = max(up_to(rng, *tall, self.room / wide[0]) for _ in range(2))
            return height, up_to(rng, *wide, self.room / height)
        width = max(up_to(rng, *wide, self.room / tall[0]) for _ in range(2))
        return up_to(rng, *tall, self.room / width), width


_canvas: ContextVar[Canvas | None] = ContextVar("canvas", default=None)


@contextmanager
def drawing_on(canvas: Canvas) -> Iterator[None]:
    """Within it, `canvas` gives sizes of this canvas."""
    token = _canvas.set(canvas)
    try:
        yield
    finally:
        _canvas.reset(token)


def canvas(
    rng: np.random.Generator, low: int, high: int, wide: tuple[int, int] | None = None, square: bool = False
) -> tuple[int, int]:
    """Height and width of a scene, or of the parts it is made of: each from `low` to `high` (the width in the range `wide`),
    or as the task's `Canvas` has it where a task is being drawn."""
    tall, wide = (int(low), int(high)), wide or (int(low), int(high))
    task = _canvas.get()
    if task is not None and task.room:
        height, width = task.size(rng, tall, wide, square)
    else:
        height = int(rng.integers(tall[0], tall[1] + 1))
        width = height if square else int(rng.integers(wide[0], wide[1] + 1))
    if task is not None:
        task.drawn = height * width
    return height, width


def up_to(rng: np.random.Generator, low: int, high: int, room: float) -> int:
    """A number from `low` to `high`, at most `room` where that is more than `low`."""
    return int(rng.integers(low, max(low, min(high, int(room))) + 1))


def blank(height: int, width: int, colour: int = 0) -> np.ndarray:
    """A writeable grid of one colour, uint8 (height, width)."""
    return np.full((height, width), colour, np.uint8)


def pick_colours(rng: np.random.Generator, count: int, exclude=(0,)) -> list[int]:
    """`count` different colours, none of `exclude`."""
    allowed = [c for c in range(10) if c not in exclude]
    return [int(c) for c in rng.choice(allowed, count, replace=False)]


def pick_colour(rng: np.random.Generator, exclude=(0,)) -> int:
    """One colour, none of `exclude`."""
    return pick_colours(rng, 1, exclude)[0]


def blob(rng: np.random.Generator, cells: int, max_height: int = 4, max_width: int = 4, diagonal: bool = False) -> np.ndarray:
    """A random connected shape of `cells` cells (fewer where it does not fit), cropped: bool (height, width)."""
    shape = np.zeros((max_height, max_width), bool)
    shape[rng.integers(max_height), rng.integers(max_width)] = True
    for _ in range(min(cells, shape.size) - 1):
        edge = ndimage.binary_dilation(shape, EIGHT if diagonal else FOUR) & ~shape
        choices = np.argwhere(edge)
        if not len(choices):
            break
        shape[tuple(choices[rng.integers(len(choices))])] = True
    return crop(shape)


def crop(array: np.ndarray, background: int = 0) -> np.ndarray:
    """The smallest part of an array that holds every cell unlike `background`; the array itself where there is none."""
    rows, columns = np.nonzero(array != background)
    if not len(rows):
        return array
    return array[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def place(rng: np.random.Generator, grid: np.ndarray, sprite: np.ndarray, gap: int = 1, background: int = 0,
          margin: int = 0) -> tuple[int, int] | None:  # fmt: skip
    """Draw `sprite` (its non-zero cells) at a random free place; its top left corner, or None where there is no room.

    The sprite's box, widened by `gap` on every side, covers only background; `margin` cells stay free at the edges.
    """
    height, width = sprite.shape
    free = np.pad(grid != background, gap)  # outside the grid is free as well
    taken = np.zeros((grid.shape[0] + 1 + 2 * gap, grid.shape[1] + 1 + 2 * gap), int)
    taken[1:, 1:] = free.cumsum(0).cumsum(1)
    tall, wide = height + 2 * gap, width + 2 * gap
    rows, columns = grid.shape[0] - height + 1, grid.shape[1] - width + 1
    if rows <= 0 or columns <= 0:
        return None
    sums = taken[tall:, wide:] - taken[:-tall, wide:] - taken[tall:, :-wide] + taken[:-tall, :-wide]  # (rows, columns)
    open_places = sums[:rows, :columns] == 0
    if margin:
        inner = np.zeros_like(open_places)
        inner[margin : rows - margin, margin : columns - margin] = True
        open_places &= inner
    places = np.argwhere(open_places)
    if not len(places):
        return None
    row, column = (int(v) for v in places[rng.integers(len(places))])
    draw(grid, sprite, row, column)
    return row, column


def draw(grid: np.ndarray, sprite: np.ndarray, row: int, column: int) -> None:
    """Copy the non-zero cells of `sprite` into `grid`, its top left corner at (row, column); what falls outside is lost."""
    for r, c in np.argwhere(sprite):
        if 0 <= row + r < grid.shape[0] and 0 <= column + c < grid.shape[1]:
            grid[row + r, column + c] = sprite[r, c]


def painted(shape: np.ndarray, colour: int) -> np.ndarray:
    """A bool shape as a sprite of one colour, uint8."""
    return shape.astype(np.uint8) * np.uint8(colour)


def scatter(rng: np.random.Generator, grid: np.ndarray, count: int, colours, background: int = 0) -> list[tuple[int, int]]:
    """Colour `count` random background cells, each in one of `colours`; the cells' places."""
    free = np.argwhere(grid == background)
    chosen = free[rng.permutation(len(free))[:count]]
    for r, c in chosen:
        grid[r, c] = rng.choice(colours)
    return [(int(r), int(c)) for r, c in chosen]


def noise(rng: np.random.Generator, height: int, width: int, colours, density: float = 0.5) -> np.ndarray:
    """A grid whose cells are each one of `colours` with probability `density`, else 0."""
    values = rng.choice(np.array(colours, np.uint8), (height, width))
    return np.where(rng.random((height, width)) < density, values, np.uint8(0)).astype(np.uint8)


@dataclass(frozen=True)
class Object:
    """A connected group of cells: its bounding box (`row`, `column` of the top left corner), the `cells` inside the box that
    belong to it (bool) and their `colours` (uint8, 0 outside the object)."""

    row: int
    column: int
    cells: np.ndarray
    colours: np.ndarray

    @property
    def size(self) -> int:
        return int(self.cells.sum())

    @property
    def height(self) -> int:
        return self.cells.shape[0]

    @property
    def width(self) -> int:
        return self.cells.shape[1]

    @property
    def colour(self) -> int:
        """The object's most frequent colour (the lowest of several)."""
        return int(np.bincount(self.colours[self.cells]).argmax())

    @property
    def places(self) -> list[tuple[int, int]]:
        """(row, column) of every cell, in the grid."""
        return [(self.row + int(r), self.column + int(c)) for r, c in np.argwhere(self.cells)]

    def mask(self, grid: np.ndarray) -> np.ndarray:
        """Bool array of the grid's shape: the object's cells."""
        mask = np.zeros(grid.shape, bool)
        mask[self.row : self.row + self.height, self.column : self.column + self.width] = self.cells
        return mask


def objects(grid: np.ndarray, diagonal: bool = False, background: int = 0, by_colour: bool = True) -> list[Object]:
    """Connected groups of non-background cells, top to bottom, then left to right by their first cell.

    `by_colour`: neighbours of different colours are different objects. `diagonal`: diagonal neighbours are connected.
    """
    found = []
    colours = [c for c in np.unique(grid) if c != background] if by_colour else [None]
    for colour in colours:
        inside = grid == colour if by_colour else grid != background
        labels, _ = ndimage.label(inside, EIGHT if diagonal else FOUR)
        for number, (rows, columns) in enumerate(ndimage.find_objects(labels), 1):
            cells = labels[rows, columns] == number
            found.append((rows.start, columns.start, cells, np.where(cells, grid[rows, columns], 0).astype(np.uint8)))
    first = [(r, c + int(np.argmax(cells[0]))) for r, c, cells, _ in found]
    return [Object(*found[i]) for i in sorted(range(len(found)), key=first.__getitem__)]


def most_common(grid: np.ndarray, exclude=()) -> int:
    """The most frequent colour of a grid outside `exclude`; the lowest of several."""
    counts = np.bincount(grid.ravel(), minlength=10)
    counts[list(exclude)] = -1
    return int(counts.argmax())


def colours_in(grid: np.ndarray) -> set[int]:
    """The colours of a grid, 0 among them; as `branches` of a family, where every colour has a treatment of its own."""
    return set(np.unique(grid).tolist())


def box_outline(height: int, width: int) -> np.ndarray:
    """A hollow rectangle: bool (height, width), True on its border."""
    shape = np.ones((height, width), bool)
    shape[1:-1, 1:-1] = False
    return shape
