"""Families about lines: rays, connections, crossings, bridges, and lines that bounce, stop or go on."""

import numpy as np

from .family import family
from .scenes import blank, canvas, objects, painted, pick_colour, pick_colours, place, scatter

STRAIGHT = ((-1, 0), (0, 1), (1, 0), (0, -1))
DIAGONAL = ((-1, -1), (-1, 1), (1, 1), (1, -1))


def ahead(grid: np.ndarray, cell: tuple[int, int], step: tuple[int, int]) -> list[tuple[int, int]]:
    """The cells that lie beyond `cell` in the direction `step`, the nearest first, up to the edge of the grid."""
    cells, (row, column) = [], cell
    while 0 <= row + step[0] < grid.shape[0] and 0 <= column + step[1] < grid.shape[1]:
        row, column = int(row + step[0]), int(column + step[1])
        cells.append((row, column))
    return cells


def paint(grid: np.ndarray, cells, colour: int) -> None:
    """Give the cells a colour."""
    for cell in cells:
        grid[cell] = colour


def until(grid: np.ndarray, cells, stops=None) -> list[tuple[int, int]]:
    """The cells before the first one of colour `stops` (before the first coloured one where None)."""
    for number, cell in enumerate(cells):
        if grid[cell] == stops or (stops is None and grid[cell]):
            return cells[:number]
    return cells


def crossing_lines(rng: np.random.Generator, colours) -> np.ndarray:
    """A grid crossed by one to three whole rows and as many whole columns, never side by side, drawn in a random order."""
    grid = blank(*canvas(rng, 5, 10))
    lines = [("row", r) for r in rng.permutation(np.arange(rng.integers(2), grid.shape[0], 2))[: rng.integers(1, 4)]]
    lines += [("column", c) for c in rng.permutation(np.arange(rng.integers(2), grid.shape[1], 2))[: rng.integers(1, 4)]]
    for number, colour in zip(rng.permutation(len(lines)), rng.permutation(colours)):
        kind, where = lines[number]
        (grid if kind == "row" else grid.T)[where] = colour
    return grid


@family("Every point shoots a ray to the edge, in the direction that its colour has in this task.")
def rays_by_colour(rng):
    colours = pick_colours(rng, int(rng.integers(1, 4)))
    steps = [(STRAIGHT + DIAGONAL)[i] for i in rng.choice(4 if rng.random() < 0.6 else 8, len(colours), replace=False)]

    def scene(rng):
        grid = blank(*canvas(rng, 5, 10))
        for colour in colours:
            scatter(rng, grid, rng.integers(1, 4 - len(colours) // 2), [colour])
        return grid

    def rule(grid):
        rays = blank(*grid.shape)
        for colour, step in zip(colours, steps):
            for cell in np.argwhere(grid == colour):
                paint(rays, ahead(grid, cell, step), colour)
        return np.where(grid == 0, rays, grid)

    return scene, rule


@family("Rays run from the points at the edge across the grid until a wall stops them; the wall cell hit may change colour.")
def rays_stop_at_walls(rng):
    wall, hit, *colours = pick_colours(rng, int(rng.integers(3, 6)))
    hit = hit if rng.random() < 0.5 else wall

    def scene(rng):
        grid = blank(*canvas(rng, 5, 10))
        for _ in range(rng.integers(1, 4)):
            place(rng, grid[:, 2:], np.full((rng.integers(1, 5), rng.integers(1, 3)), wall, np.uint8))
        scatter(rng, grid[:, :1], rng.integers(2, 4), colours)
        return grid

    def rule(grid):
        rays, hits = grid.copy(), 0
        for row in np.flatnonzero(grid[:, 0]):
            free = until(grid, ahead(grid, (row, 0), (0, 1)))
            paint(rays, free, grid[row, 0])
            if len(free) + 1 < grid.shape[1]:
                rays[row, len(free) + 1] = hit
                hits += 1
        return rays if hits else None

    return scene, rule


@family("A ray climbs diagonally from the point and is thrown back by the sides; bounces may change its colour.")
def bouncing_ray(rng):
    mark, *trail = pick_colours(rng, int(rng.integers(1, 4)))
    trail = trail or [mark]
    first = int(rng.choice([-1, 1]))

    def scene(rng):
        grid = blank(*canvas(rng, 6, 12, (3, 6)))
        grid[-rng.integers(1, len(grid) // 2), rng.integers(1, grid.shape[1] - 1)] = mark
        return grid

    def rule(grid):
        bounced, step, bounces = grid.copy(), first, 0
        start, column = np.argwhere(grid)[0].tolist()
        for row in range(start - 1, -1, -1):
            if not 0 <= column + step < grid.shape[1]:
                step, bounces = -step, bounces + 1
            column += step
            bounced[row, column] = trail[bounces % len(trail)]
        return bounced

    return scene, rule


@family("A whole row and a whole column are drawn through every point; where lines of different points cross, a colour marks it.")
def crosses_through_points(rng):
    point, line, crossing = pick_colours(rng, 3)
    point = line if rng.random() < 0.3 else point
    crossing = line if rng.random() < 0.3 else crossing

    def scene(rng):
        grid = blank(*canvas(rng, 4, 10))
        scatter(rng, grid, rng.integers(1, 4), [point])
        return grid

    def rule(grid):
        rows, columns = (grid != 0).any(1), (grid != 0).any(0)
        crossed = np.where(rows[:, None] | columns, np.uint8(line), np.uint8(0))
        crossed[rows[:, None] & columns] = crossing
        return np.where(grid != 0, grid, crossed)

    return scene, rule


@family("Every short segment, straight or diagonal, is extended at both ends to the edges of the grid.")
def segments_extended(rng):
    colours = pick_colours(rng, int(rng.integers(1, 5)))
    line = pick_colour(rng, (0, *colours)) if rng.random() < 0.5 else 0
    diagonal = rng.random() < 0.6
    length = int(rng.integers(2, 4))

    def scene(rng):
        grid = blank(*canvas(rng, 6, 10))
        for _ in range(rng.integers(1, 4)):
            segment = np.eye(length, dtype=bool) if diagonal and rng.random() < 0.5 else np.ones((1, length), bool)
            place(rng, grid, painted(np.rot90(segment, rng.integers(2)), rng.choice(colours)))
        return grid

    def rule(grid):
        extended = grid.copy()
        for segment in objects(grid, diagonal=True):
            (top, left), (low, right) = segment.places[0], segment.places[1]
            step = (low - top, right - left)
            beyond = ahead(grid, segment.places[-1], step) + ahead(grid, (top, left), (-step[0], -step[1]))
            if any(extended[cell] not in (0, line) for cell in beyond):
                return None  # lines of different colours would cross
            paint(extended, beyond, line or segment.colour)
        return extended

    return scene, rule


@family("Every point sends out diagonal lines, in the directions and over the distance that the task keeps.")
def diagonals_from_points(rng):
    colours = pick_colours(rng, int(rng.integers(1, 4)))
    line = pick_colour(rng, (0, *colours)) if rng.random() < 0.5 else 0
    steps = [DIAGONAL[i] for i in ((0, 1, 2, 3), (0, 2), (0, 1), (0, 1, 2))[rng.integers(4)]]
    reach = int(rng.choice([1, 2, 3, 10], p=[0.2, 0.2, 0.1, 0.5]))

    def scene(rng):
        grid = blank(*canvas(rng, 5, 10))
        scatter(rng, grid, rng.integers(1, 3 if reach == 10 else 4), colours)
        return grid

    def rule(grid):
        lines = grid.copy()
        for cell in np.argwhere(grid):
            for step in steps:
                cells, colour = ahead(grid, cell, step)[:reach], line or grid[tuple(cell)]
                if any(lines[c] not in (0, colour) for c in cells):
                    return None  # lines of different colours would cross
                paint(lines, cells, colour)
        return lines

    return scene, rule


@family("Each block has a tail at one side; the tail grows straight away from its block to the edge or to another block.")
def tails_grow(rng):
    tail, *colours = pick_colours(rng, int(rng.integers(2, 5)))
    line = pick_colour(rng, (0, tail, *colours)) if rng.random() < 0.3 else tail
    low, high = (2, 3) if rng.random() < 0.5 else (3, 3)

    def scene(rng):
        grid = blank(*canvas(rng, 6, 10))
        for _ in range(rng.integers(1, 4)):
            block = np.full(rng.integers(low, high + 1, 2), rng.choice(colours), np.uint8)
            block = np.vstack([np.zeros_like(block[:1]), block])
            block[0, rng.integers(block.shape[1])] = tail
            place(rng, grid, np.rot90(block, rng.integers(4)))
        return grid

    def rule(grid):
        grown = grid.copy()
        for cell in np.argwhere(grid == tail):
            for step in STRAIGHT:
                behind = ahead(grid, cell, (-step[0], -step[1]))
                if behind and grid[behind[0]] in colours:
                    paint(grown, until(grid, ahead(grid, cell, step)), line)
        return grown

    return scene, rule


@family("In every row with marks at both edges, each mark colours its half of the row, and the middle gets a colour of its own.")
def half_lines_meet(rng):
    middle, *colours = pick_colours(rng, int(rng.integers(3, 7)))
    lonely = bool(rng.random() < 0.5)

    def scene(rng):
        height, half = canvas(rng, 3, 9, (2, 4))
        grid = blank(height, 2 * half + 1)
        for row in grid:
            if rng.random() < 0.4:
                row[[0, -1]] = rng.choice(colours, 2)
            elif lonely and rng.random() < 0.4:
                row[rng.choice([0, -1])] = rng.choice(colours)
        return grid

    def rule(grid):
        met = grid.copy()
        half = grid.shape[1] // 2
        for row in met:
            if row[0] and row[-1]:
                row[:half], row[half], row[half + 1 :] = row[0], middle, row[-1]
        return met

    return scene, rule


@family("The pattern that begins at the left of a row goes on, over and over, to the right edge.")
def dashes_go_on(rng):
    colours = pick_colours(rng, int(rng.integers(2, 6)))
    gap = int(rng.integers(0, 3))
    longest = 3 if gap < 2 else 2

    def scene(rng):
        grid = blank(*canvas(rng, 1, 7, (6, 12)))
        for row in grid:
            if rng.random() < 0.6:
                length = int(rng.integers(1 + (gap == 0), longest + 1))
                row[:length] = rng.choice(colours, length)
        return grid

    def rule(grid):
        dashes = grid.copy()
        for row in dashes:
            period = np.count_nonzero(row) + gap
            if period > gap:
                row[:] = np.resize(row[:period], len(row))
        return dashes

    return scene, rule


@family("A line runs from the first point along its row and then along the other point's column, with one bend.")
def elbow_between_points(rng):
    start, end, line, bend = pick_colours(rng, 4)
    bend = bend if rng.random() < 0.4 else line

    def scene(rng):
        grid = blank(*canvas(rng, 4, 10))
        scatter(rng, grid, 1, [start])
        scatter(rng, grid, 1, [end])
        return grid

    def rule(grid):
        rows, columns = np.argwhere((grid == start) | (grid == end)).T
        if min(np.ptp(rows), np.ptp(columns)) < 2:
            return None
        bent = grid.copy()
        row, column = np.argwhere(grid == start)[0]
        other_row, other_column = np.argwhere(grid == end)[0]
        bent[row, columns.min() : columns.max() + 1] = line
        bent[rows.min() : rows.max() + 1, other_column] = line
        bent[row, other_column] = bend
        return np.where(grid != 0, grid, bent)

    return scene, rule


@family("Every point is joined to the edge of the grid that is nearest to it.")
def points_to_nearest_edge(rng):
    colours = pick_colours(rng, int(rng.integers(1, 5)))
    line = pick_colour(rng, (0, *colours)) if rng.random() < 0.5 else 0

    def scene(rng):
        grid = blank(*canvas(rng, 6, 10))
        scatter(rng, grid[1:-1, 1:-1], rng.integers(2, 5), colours)
        return grid

    def rule(grid):
        joined = grid.copy()
        for cell in np.argwhere(grid):
            paths = sorted((ahead(grid, cell, step) for step in STRAIGHT), key=len)
            if len(paths[0]) == len(paths[1]) or any(joined[c] for c in paths[0]):
                return None
            paint(joined, paths[0], line or grid[tuple(cell)])
        return joined

    return scene, rule


@family("The crossings of the lines are read off into a small grid: at each, the colour of the line that lies on top.")
def crossings_read(rng):
    colours = pick_colours(rng, int(rng.integers(6, 9)))

    def rule(grid):
        return grid[np.ix_((grid != 0).all(1), (grid != 0).all(0))]

    return lambda rng: crossing_lines(rng, colours), rule


@family("From every point a staircase climbs down to the right, with steps as wide and as high as the task keeps.")
def stairs_from_points(rng):
    colours = pick_colours(rng, int(rng.integers(1, 4)))
    line = pick_colour(rng, (0, *colours)) if rng.random() < 0.4 else 0
    wide, high = (int(v) for v in rng.integers(1, 4, 2))

    def scene(rng):
        grid = blank(*canvas(rng, 5, 10))
        scatter(rng, grid[:4, :4], rng.integers(1, 3), colours)
        return grid

    def rule(grid):
        stairs = grid.copy()
        for row, column in np.argwhere(grid):
            colour, moves = line or grid[row, column], 0
            while True:
                down = moves % (wide + high) >= wide
                row, column, moves = row + down, column + (not down), moves + 1
                if row == grid.shape[0] or column == grid.shape[1]:
                    break
                if stairs[row, column] not in (0, line):
                    return None  # a staircase would cross another
                stairs[row, column] = colour
        return stairs

    return scene, rule


@family("A ray runs from each mark at the left edge to the right; behind every gate on its way it has the colour of that gate.")
def ray_changes_at_gates(rng):
    colours = pick_colours(rng, int(rng.integers(3, 7)))
    loose = bool(rng.random() < 0.6)

    def scene(rng):
        grid = blank(*canvas(rng, 2, 9, (5, 10)))
        for row in grid:
            if rng.random() < 0.6:
                row[0] = rng.choice(colours)
            if row[0] or loose:
                scatter(rng, row[None, 2:], rng.integers(0, 3), colours)
        return grid

    def rule(grid):
        rays = grid.copy()
        for row in rays:
            if row[0]:
                last = np.maximum.accumulate(np.where(row != 0, np.arange(len(row)), 0))
                row[:] = row[last]
        return rays

    return scene, rule


@family("Halfway between two points of one colour a line crosses the whole grid; points without a partner have none.")
def line_halfway(rng):
    line, *colours = pick_colours(rng, int(rng.integers(3, 7)))
    lonely = int(rng.integers(0, 3))

    def scene(rng):
        height, width = canvas(rng, 4, 10)
        grid = blank(height, width)
        pair, *others = rng.permutation(colours)
        left = int(rng.integers(0, width - 2))
        right = int(rng.choice(np.arange(left + 2, width, 2)))
        grid[rng.integers(height), [left, right]] = pair
        for other in others[:lonely]:
            scatter(rng, grid, 1, [other])
        return grid if rng.random() < 0.5 else grid.T

    def rule(grid):
        for colour in np.unique(grid[grid != 0]):
            cells = np.argwhere(grid == colour)
            if len(cells) == 2:
                row, column = cells.sum(0) // 2
                halved = grid.copy()
                if cells[0, 0] == cells[1, 0]:
                    halved[:, column] = line
                else:
                    halved[row] = line
                return np.where(grid != 0, grid, halved)
        return None

    return scene, rule
