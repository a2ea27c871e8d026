"""Kinds of random scenes for composed programs.

In:  a random generator, the colours of a task and its `Canvas`. Out: a `Scene`, which draws inputs of one kind.
What a kind leaves open (sizes, number of objects, colours used) is drawn once for a task; the rest varies from input to input.
Not here: parts of scenes (`generators.scenes`), programs (`program`), which operations a kind suits (`suited`).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..generators.family import Scene
from ..generators.scenes import blank, box_outline, crop, draw, noise, painted, scatter, sides

TOGETHER = 0.35
"""Share of tasks in which all objects of an input have one colour."""


def some(rng: np.random.Generator, colours, low: int, high: int) -> list[int]:
    """From `low` to `high` of `colours`."""
    return [int(c) for c in rng.choice(colours, min(int(rng.integers(low, high + 1)), len(colours)), replace=False)]


def one(rng: np.random.Generator, colours) -> int:
    """One of `colours`."""
    return int(colours[rng.integers(len(colours))])


def walked(rng: np.random.Generator, steps: int, side: int, diagonal: bool) -> np.ndarray:
    """The cells of a random walk of so many steps, in a box of at most `side` x `side`: bool."""
    shape = np.zeros((side, side), bool)
    row, column = rng.integers(side, size=2).tolist()
    shape[row, column] = True
    for down, right in rng.integers(-1, 2, (steps, 2)).tolist():
        right = right if diagonal or not down else 0
        row, column = min(max(row + down, 0), side - 1), min(max(column + right, 0), side - 1)
        shape[row, column] = True
    return crop(shape)


def put(rng: np.random.Generator, grid: np.ndarray, sprite: np.ndarray) -> tuple[int, int] | None:
    """Draw `sprite` at a place where it touches nothing; its top left corner, or None where eight tries find none.

    A quicker `scenes.place`: a task needs dozens of inputs."""
    height, width = sprite.shape
    rows, columns = grid.shape[0] - height + 1, grid.shape[1] - width + 1
    if rows <= 0 or columns <= 0:
        return None
    for row, column in zip(rng.integers(rows, size=8).tolist(), rng.integers(columns, size=8).tolist()):
        if not grid[max(row - 1, 0) : row + height + 1, max(column - 1, 0) : column + width + 1].any():
            grid[row : row + height, column : column + width] = sprite
            return row, column
    return None


def any_shape(rng: np.random.Generator, side: int) -> np.ndarray:
    """A blob, rectangle, frame, line or cross in a box of at most `side` x `side`: bool."""
    form = rng.integers(6)
    height, width = sides(rng, 2, max(side, 2))
    if form < 2:
        return walked(rng, 2 * side, side, diagonal=bool(form))
    if form == 2:
        return np.ones((height, width), bool)
    if form == 3:
        return box_outline(max(height, 3), max(width, 3))
    if form == 4:
        return np.ones((height, 1) if rng.random() < 0.5 else (1, width), bool)
    cross = np.zeros((3, 3), bool)
    cross[1] = cross[:, 1] = True
    return cross


FIXED, SQUARE = 0.5, 0.55
"""Shares of tasks in which all inputs have one size, and in which all are square (ARC's training tasks: 0.51 and about 0.6)."""

ROOM_OF_AN_OBJECT = 16
"""Cells of a grid for each object in it, at most."""


@dataclass(frozen=True)
class Canvas:
    """The inputs' sizes in one task: all the same where `fixed`; `room`: tokens for one input."""

    fixed: bool
    square: bool
    room: float

    @classmethod
    def drawn(cls, rng: np.random.Generator, room: float) -> "Canvas":
        return cls(bool(rng.random() < FIXED), bool(rng.random() < SQUARE), room)

    def sides(self, rng: np.random.Generator, low: int, high: int) -> Callable[[np.random.Generator], tuple[int, int]]:
        """A function that draws height and width of an input, from `low` to `high` where there is room (else `low`)."""
        top = max(low, min(high, int(np.sqrt(self.room + 0.25) - 0.5)))  # n rows of n cells are n (n + 1) tokens
        least = int(rng.integers(low, max(low, top - 2) + 1))
        most = min(top, least + int(rng.integers(2, 7)))
        if self.fixed:
            size = sides(rng, least, most, self.square)
            return lambda rng: size
        return lambda rng: sides(rng, least, most, self.square)

    def grids(self, rng: np.random.Generator, low: int = 7, high: int = 20) -> Callable[[np.random.Generator], np.ndarray]:
        """The same for empty grids."""
        size = self.sides(rng, low, high)
        return lambda rng: blank(*size(rng))


def several(rng: np.random.Generator, grid: np.ndarray, low: int, high: int) -> int:
    """A number of objects from `low` to `high` that a grid has room for."""
    return int(rng.integers(low, max(low, min(high, grid.size // ROOM_OF_AN_OBJECT)) + 1))


def objects_of_one_colour(rng: np.random.Generator, colours, canvas: Canvas) -> Scene:
    """Separate objects, each of one colour."""
    empty, most, together = canvas.grids(rng), int(rng.integers(3, 9)), rng.random() < TOGETHER

    def scene(rng):
        grid, used = empty(rng), some(rng, colours, 1, 1) if together else colours
        for _ in range(several(rng, grid, 2, most)):
            put(rng, grid, painted(any_shape(rng, 4), one(rng, used)))
        return grid

    return scene


def objects_of_many_colours(rng: np.random.Generator, colours, canvas: Canvas) -> Scene:
    """Separate objects, each of several colours."""
    empty, most, side = canvas.grids(rng), int(rng.integers(2, 6)), int(rng.integers(2, 5))

    def scene(rng):
        grid = empty(rng)
        for _ in range(several(rng, grid, 2, most)):
            shape = any_shape(rng, side)
            put(rng, grid, shape * noise(rng, *shape.shape, some(rng, colours, 1, 3), 1))
        return grid

    return scene


def full_boxes(rng: np.random.Generator, colours, canvas: Canvas) -> Scene:
    """Full rectangles; in some tasks with single cells around them."""
    empty, most, around, together = canvas.grids(rng, 8), int(rng.integers(2, 6)), rng.random() < 0.5, rng.random() < TOGETHER

    def scene(rng):
        grid, used = empty(rng), some(rng, colours, 1, 1) if together else colours
        for _ in range(several(rng, grid, 1, most)):
            put(rng, grid, blank(*sides(rng, 2, 5), one(rng, used)))
        for _ in range(int(rng.integers(2, 6)) if around else 0):
            put(rng, grid, blank(1, 1, one(rng, used)))
        return grid

    return scene


def loose_cells(rng: np.random.Generator, colours, canvas: Canvas) -> Scene:
    """Cells coloured at random, most of the grid empty."""
    used, density, size = some(rng, colours, 1, 3), rng.uniform(0.12, 0.35), canvas.sides(rng, 4, 12)
    return lambda rng: noise(rng, *size(rng), used, density)


def small_picture(rng: np.random.Generator, colours, canvas: Canvas) -> Scene:
    """A few cells a side, most of them coloured."""
    used, density, size = some(rng, colours, 1, 4), rng.uniform(0.5, 1), canvas.sides(rng, 2, 5)
    return lambda rng: noise(rng, *size(rng), used, density)


def framed_picture(rng: np.random.Generator, colours, canvas: Canvas) -> Scene:
    """A dense picture in a frame of one colour, as wide as the grid."""
    outer, *others = some(rng, colours, 3, 4)
    width, density, size = int(rng.choice((1, 1, 2, 3))), rng.uniform(0.6, 1), canvas.sides(rng, 5, 12)

    def scene(rng):
        grid = blank(*size(rng), outer)
        inside = grid[width:-width, width:-width]
        if inside.size:
            inside[:] = noise(rng, *inside.shape, others, density)
        return grid

    return scene


def mirrored(grid: np.ndarray) -> np.ndarray:
    """The grid with its right half replaced by the mirror image of its left half."""
    return np.where(np.arange(grid.shape[1]) < (grid.shape[1] + 1) // 2, grid, grid[:, ::-1])


def symmetric_picture(rng: np.random.Generator, colours, canvas: Canvas) -> Scene:
    """A dense picture symmetric left to right, up and down or both, with a patch of it or some cells lost."""
    used, density, size = some(rng, colours, 2, 4), rng.uniform(0.7, 1), canvas.sides(rng, 5, 14)
    both, upright, patch = rng.random() < 0.4, rng.random() < 0.5, rng.random() < 0.5

    def scene(rng):
        grid = noise(rng, *size(rng), used, density)
        if both or not upright:
            grid = mirrored(grid)
        if both or upright:
            grid = mirrored(grid.T).T
        grid = grid.copy()
        for _ in range(1 if patch else rng.integers(2, 6)):
            height, width = sides(rng, 2, 3) if patch else (1, 1)
            row, column = rng.integers(grid.shape[0] - height + 1), rng.integers(grid.shape[1] - width + 1)
            grid[row : row + height, column : column + width] = 0
        return grid

    return scene


def two_panels(rng: np.random.Generator, colours, canvas: Canvas) -> Scene:
    """Two random panels of one size, side by side or one above the other, mostly parted by a line."""
    first, second, line = (int(c) for c in rng.choice(colours, 3, replace=False))
    second = first if rng.random() < 0.4 else second
    parted, upright, density = rng.random() < 0.8, rng.random() < 0.5, rng.uniform(0.3, 0.6)
    size = replace(canvas, room=canvas.room / 2).sides(rng, 3, 7)

    def scene(rng):
        height, width = size(rng)
        panels = [noise(rng, height, width, [colour], density) for colour in (first, second)]
        grid = np.concatenate((panels[0], blank(height, 1, line), panels[1]) if parted else panels, 1)
        return grid.T if upright else grid

    return scene


def frames(rng: np.random.Generator, colours, canvas: Canvas) -> Scene:
    """Hollow boxes, most with something inside, and some cells around them."""
    outer, others = int(colours[0]), list(colours[1:])
    empty, most, around = canvas.grids(rng, 8), int(rng.integers(2, 6)), int(rng.choice((0, 0, 0, 2)))

    def scene(rng):
        grid = empty(rng)
        for _ in range(several(rng, grid, 1, most)):
            height, width = sides(rng, 3, 6)
            box = painted(box_outline(height, width), outer)
            scatter(rng, box[1:-1, 1:-1], int(rng.integers(0, 4)), some(rng, others, 1, 1))
            put(rng, grid, box)
        scatter(rng, grid, around, some(rng, others, 1, 1))
        return grid

    return scene


def loops(rng: np.random.Generator, colours, canvas: Canvas) -> Scene:
    """Closed and open curves of various forms, and full shapes."""
    empty, together = canvas.grids(rng, 8), rng.random() < TOGETHER

    def scene(rng):
        grid, used = empty(rng), some(rng, colours, 1, 1) if together else colours
        for _ in range(several(rng, grid, 2, 6)):
            shape = box_outline(*sides(rng, 3, 5)) if rng.random() < 0.7 else any_shape(rng, 3)
            if rng.random() < 0.3:
                shape[tuple(rng.choice(np.argwhere(shape)))] = False
            put(rng, grid, painted(shape, one(rng, used)))
        return grid

    return scene


def dots(rng: np.random.Generator, colours, canvas: Canvas) -> Scene:
    """A few single cells, no two in neighbouring cells; in some tasks pairs of a colour share a row or column."""
    empty, most, paired = canvas.grids(rng, 6, 16), int(rng.integers(2, 6)), rng.random() < 0.5
    flipped = rng.random() < 0.5

    def scene(rng):
        grid = empty(rng)
        for _ in range(rng.integers(2, most + 1)):
            colour = one(rng, colours)
            spot = put(rng, grid, blank(1, 1, colour))
            if paired and spot is not None:
                partner = rng.integers(grid.shape[1])
                if grid[spot[0], partner] == 0:
                    grid[spot[0], partner] = colour
        return grid.T if flipped else grid

    return scene


def lines_and_dots(rng: np.random.Generator, colours, canvas: Canvas) -> Scene:
    """Whole or partial lines in one direction, and single cells, none touching."""
    line, dot = some(rng, colours, 2, 2)
    upright, whole, empty, most = rng.random() < 0.5, rng.random() < 0.4, canvas.grids(rng, 7, 16), int(rng.integers(2, 5))

    def scene(rng):
        grid = empty(rng)
        for _ in range(rng.integers(1, most)):
            put(rng, grid, blank(1, grid.shape[1] if whole else int(rng.integers(2, grid.shape[1])), line))
        for _ in range(rng.integers(1, most + 2)):
            put(rng, grid, blank(1, 1, dot))
        return grid.T if upright else grid

    return scene


def stripes(rng: np.random.Generator, colours, canvas: Canvas) -> Scene:
    """Stripes of random widths and colours, some of them empty; in some tasks crossed by others."""
    upright, crossed, size = rng.random() < 0.5, rng.random() < 0.5, canvas.sides(rng, 4, 10)

    def scene(rng):
        height, width = size(rng)
        pattern = noise(rng, int(rng.integers(2, 5)), int(rng.integers(2, 5)) if crossed else 1, colours, 0.75)
        rows, columns = (np.sort(rng.integers(0, n, m)) for n, m in zip(pattern.shape, (height, width)))
        grid = pattern[rows][:, columns]
        return grid.T if upright else grid

    return scene


def copies(rng: np.random.Generator, colours, canvas: Canvas) -> Scene:
    """Objects of one shape in several colours."""
    empty, most = canvas.grids(rng), int(rng.integers(3, 7))

    def scene(rng):
        grid, shape = empty(rng), any_shape(rng, 3)
        for _ in range(several(rng, grid, 2, most)):
            put(rng, grid, painted(shape, one(rng, colours)))
        return grid

    return scene


def one_unlike_others(rng: np.random.Generator, colours, canvas: Canvas) -> Scene:
    """Objects all alike, but one of another shape or another colour."""
    empty, by_shape = canvas.grids(rng), rng.random() < 0.5

    def scene(rng):
        grid, shape, (colour, other) = empty(rng), any_shape(rng, 3), some(rng, colours, 2, 2)
        put(rng, grid, painted(any_shape(rng, 3), colour) if by_shape else painted(shape, other))
        for _ in range(several(rng, grid, 2, 6)):
            put(rng, grid, painted(shape, colour))
        return grid

    return scene


def one_picture(rng: np.random.Generator, colours, canvas: Canvas) -> Scene:
    """One picture of several colours on an empty ground."""
    empty, density, used = canvas.grids(rng, 6, 14), rng.uniform(0.6, 1), some(rng, colours, 1, 4)

    def scene(rng):
        grid = empty(rng)
        put(rng, grid, noise(rng, *sides(rng, 2, 5), used, density))
        return grid

    return scene


def growing_columns(rng: np.random.Generator, colours, canvas: Canvas) -> Scene:
    """Columns of random heights, standing on one edge, in the order they come."""
    upright, above, used = rng.random() < 0.5, rng.random() < 0.5, some(rng, colours, 1, 4)
    empty, step = canvas.grids(rng, 4, 10), int(rng.integers(1, 3))

    def scene(rng):
        grid = empty(rng)
        for column in range(int(rng.integers(2)), grid.shape[1], step):
            draw(grid, blank(int(rng.integers(1, grid.shape[0])), 1, one(rng, used)), 0, column)
        grid = grid if above else grid[::-1]
        return grid.T if upright else grid

    return scene
