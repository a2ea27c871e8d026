"""Kinds of random scenes for composed programs.

In:  a random generator and the colours of a task. Out: a `Scene`, which draws inputs of one kind.
What a kind leaves open (sizes, number of objects, colours used) is drawn once for a task; the rest varies from input to input.
Not here: parts of scenes (`generators.scenes`), programs (`program`).
"""

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


def canvas(rng: np.random.Generator, low: int = 7, high: int = 10):
    """A function that draws an empty grid: always of one size in half of the tasks."""
    fixed = sides(rng, low, high) if rng.random() < 0.5 else None
    return lambda rng: blank(*(fixed or sides(rng, low, high)))


def objects_of_one_colour(rng: np.random.Generator, colours) -> Scene:
    """Separate objects, each of one colour."""
    empty, most, together = canvas(rng), int(rng.integers(3, 6)), rng.random() < TOGETHER

    def scene(rng):
        grid, used = empty(rng), some(rng, colours, 1, 1) if together else colours
        for _ in range(rng.integers(2, most + 1)):
            put(rng, grid, painted(any_shape(rng, 4), one(rng, used)))
        return grid

    return scene


def objects_of_many_colours(rng: np.random.Generator, colours) -> Scene:
    """Separate objects, each of several colours."""
    empty, most, side = canvas(rng), int(rng.integers(1, 5)), int(rng.integers(2, 5))

    def scene(rng):
        grid = empty(rng)
        for _ in range(rng.integers(min(most, 2), most + 1)):
            shape = any_shape(rng, side)
            put(rng, grid, shape * noise(rng, *shape.shape, some(rng, colours, 1, 3), 1))
        return grid

    return scene


def random_cells(rng: np.random.Generator, colours) -> Scene:
    """Cells coloured at random."""
    used, density, low = some(rng, colours, 1, 3), rng.uniform(0.15, 0.6), int(rng.integers(3, 7))
    square = bool(rng.random() < 0.4)
    return lambda rng: noise(rng, *sides(rng, low, low + 3, square), used, density)


def small_picture(rng: np.random.Generator, colours) -> Scene:
    """Two to four cells a side, most of them coloured."""
    used, density, square = some(rng, colours, 1, 4), rng.uniform(0.5, 1), bool(rng.random() < 0.6)
    side = int(rng.integers(2, 5)) if rng.random() < 0.6 else None
    return lambda rng: noise(rng, *(sides(rng, side or 2, side or 4, square)), used, density)


def symmetric_picture(rng: np.random.Generator, colours) -> Scene:
    """A picture symmetric left to right, up and down or both; in some tasks with a few cells lost."""
    used, density = some(rng, colours, 1, 3), rng.uniform(0.4, 1)
    both, upright, lost = rng.random() < 0.4, rng.random() < 0.5, int(rng.choice((0, 2, 4)))

    def scene(rng):
        part = noise(rng, *sides(rng, 2, 4), used, density)
        grid = np.concatenate((part, part[:, ::-1]), 1)
        if both:
            grid = np.concatenate((grid, grid[::-1]))
        grid = grid.T.copy() if upright else grid
        for _ in range(lost):
            grid[rng.integers(grid.shape[0]), rng.integers(grid.shape[1])] = 0
        return grid

    return scene


def two_panels(rng: np.random.Generator, colours) -> Scene:
    """Two random panels of one size, side by side or one above the other, mostly parted by a line."""
    first, second, line = (int(c) for c in rng.choice(colours, 3, replace=False))
    second = first if rng.random() < 0.4 else second
    parted, upright, density = rng.random() < 0.8, rng.random() < 0.5, rng.uniform(0.3, 0.6)
    fixed = sides(rng, 3, 5) if rng.random() < 0.6 else None

    def scene(rng):
        height, width = fixed or sides(rng, 3, 5)
        panels = [noise(rng, height, width, [colour], density) for colour in (first, second)]
        grid = np.concatenate((panels[0], blank(height, 1, line), panels[1]) if parted else panels, 1)
        return grid.T if upright else grid

    return scene


def frames(rng: np.random.Generator, colours) -> Scene:
    """Hollow boxes, most with something inside, and some cells around them."""
    outer, others = int(colours[0]), list(colours[1:])
    empty, most, around = canvas(rng, 8, 11), int(rng.integers(1, 4)), int(rng.choice((0, 0, 2)))

    def scene(rng):
        grid = empty(rng)
        for _ in range(rng.integers(1, most + 1)):
            height, width = sides(rng, 3, 6)
            box = painted(box_outline(height, width), outer)
            scatter(rng, box[1:-1, 1:-1], int(rng.integers(0, 4)), some(rng, others, 1, 1))
            put(rng, grid, box)
        scatter(rng, grid, around, some(rng, others, 1, 1))
        return grid

    return scene


def loops(rng: np.random.Generator, colours) -> Scene:
    """Closed and open curves of various forms, and full shapes."""
    empty, together = canvas(rng, 8, 11), rng.random() < TOGETHER

    def scene(rng):
        grid, used = empty(rng), some(rng, colours, 1, 1) if together else colours
        for _ in range(rng.integers(2, 5)):
            shape = box_outline(*sides(rng, 3, 5)) if rng.random() < 0.7 else any_shape(rng, 3)
            if rng.random() < 0.3:
                shape[tuple(rng.choice(np.argwhere(shape)))] = False
            put(rng, grid, painted(shape, one(rng, used)))
        return grid

    return scene


def dots(rng: np.random.Generator, colours) -> Scene:
    """A few single cells, no two in neighbouring cells; in some tasks pairs of a colour share a row or column."""
    empty, most, paired = canvas(rng, 5, 10), int(rng.integers(2, 5)), rng.random() < 0.5

    def scene(rng):
        grid = empty(rng)
        for _ in range(rng.integers(1, most + 1)):
            colour = one(rng, colours)
            spot = put(rng, grid, blank(1, 1, colour))
            if paired and spot is not None:
                partner = rng.integers(grid.shape[1])
                if grid[spot[0], partner] == 0:
                    grid[spot[0], partner] = colour
        return grid if most % 2 else grid.T

    return scene


def lines_and_dots(rng: np.random.Generator, colours) -> Scene:
    """Whole or partial lines in one direction, and single cells."""
    line, dot = (int(c) for c in rng.choice(colours, 2, replace=False))
    upright, whole, empty, most = rng.random() < 0.5, rng.random() < 0.5, canvas(rng, 6, 10), int(rng.integers(1, 4))

    def scene(rng):
        grid = empty(rng)
        for _ in range(rng.integers(1, most + 1)):
            length = grid.shape[1] if whole else int(rng.integers(2, grid.shape[1]))
            row, start = int(rng.integers(grid.shape[0])), int(rng.integers(grid.shape[1] - length + 1))
            grid[row, start : start + length] = line
        scatter(rng, grid, int(rng.integers(1, 5)), [dot])
        return grid.T if upright else grid

    return scene


def stripes(rng: np.random.Generator, colours) -> Scene:
    """Stripes of random widths and colours, some of them empty; in some tasks crossed by others."""
    upright, crossed = rng.random() < 0.5, rng.random() < 0.5

    def scene(rng):
        height, width = sides(rng, 4, 8)
        pattern = noise(rng, int(rng.integers(2, 5)), int(rng.integers(2, 5)) if crossed else 1, colours, 0.75)
        rows, columns = (np.sort(rng.integers(0, n, m)) for n, m in zip(pattern.shape, (height, width)))
        grid = pattern[rows][:, columns]
        return grid.T if upright else grid

    return scene


def copies(rng: np.random.Generator, colours) -> Scene:
    """Objects of one shape in several colours."""
    empty, most = canvas(rng), int(rng.integers(3, 6))

    def scene(rng):
        grid, shape = empty(rng), any_shape(rng, 3)
        for _ in range(rng.integers(2, most + 1)):
            put(rng, grid, painted(shape, one(rng, colours)))
        return grid

    return scene


def one_unlike_others(rng: np.random.Generator, colours) -> Scene:
    """Objects all alike, but one of another shape or another colour."""
    empty, by_shape = canvas(rng), rng.random() < 0.5

    def scene(rng):
        grid, shape, (colour, other) = empty(rng), any_shape(rng, 3), some(rng, colours, 2, 2)
        put(rng, grid, painted(any_shape(rng, 3), colour) if by_shape else painted(shape, other))
        for _ in range(rng.integers(2, 5)):
            put(rng, grid, painted(shape, colour))
        return grid

    return scene


def one_picture(rng: np.random.Generator, colours) -> Scene:
    """One picture of several colours on an empty ground; in some tasks with a few cells around it."""
    empty, density, around, used = canvas(rng, 6, 10), rng.uniform(0.5, 1), int(rng.choice((0, 0, 3))), some(rng, colours, 1, 4)

    def scene(rng):
        grid = empty(rng)
        put(rng, grid, noise(rng, *sides(rng, 2, 4), used, density))
        for _ in range(around):
            put(rng, grid, blank(1, 1, one(rng, used)))
        return grid

    return scene


def growing_columns(rng: np.random.Generator, colours) -> Scene:
    """Columns of random heights, standing on one edge, in the order they come."""
    upright, above, used = rng.random() < 0.5, rng.random() < 0.5, some(rng, colours, 1, 4)

    def scene(rng):
        grid = blank(*sides(rng, 4, 8))
        for column in range(int(rng.integers(2)), grid.shape[1], int(rng.integers(1, 3))):
            draw(grid, blank(int(rng.integers(1, grid.shape[0])), 1, one(rng, used)), 0, column)
        grid = grid if above else grid[::-1]
        return grid.T if upright else grid

    return scene


SCENES = {
    "plain objects": (objects_of_one_colour, frames, loops, dots, lines_and_dots, copies),
    "an odd object": (one_unlike_others,),
    "mixed objects": (objects_of_many_colours, one_picture),
    "symmetry": (symmetric_picture,),
    "panels": (two_panels,),
    "patterns": (random_cells, small_picture, stripes, growing_columns),
}
"""The kinds by what their inputs show. Mixed objects have several colours; patterns are read as a whole."""

SUITED = {
    "objects": ("plain objects", "an odd object"),
    "loose_objects": ("plain objects", "an odd object"),
    "figures": ("plain objects", "an odd object", "mixed objects"),
    "odd_one": ("an odd object",),
    "complete": ("symmetry",),
    "unlike_mirror": ("symmetry",),
    "halves": ("panels",),
    "stack_halves": ("panels",),
    "drop_repeats": ("symmetry", "panels", "patterns"),
}
"""For operations that can be followed on some kinds only, by name: those kinds."""
