"""Families about paths: ways through mazes, walks that turn at signs and walls, snakes, spirals, and what can be reached."""

import numpy as np
from scipy import ndimage

from .family import family
from .lines import STRAIGHT, ahead
from .scenes import (
    FOUR,
    blank,
    box_outline,
    canvas,
    most_common,
    noise,
    objects,
    painted,
    pick_colour,
    pick_colours,
    place,
    scatter,
)


def beside(cells: np.ndarray, cell: tuple[int, int]) -> list[tuple[int, int]]:
    """The true neighbours of a cell in a bool array: above, right, below, left."""
    return [near for step in STRAIGHT for near in ahead(cells, cell, step)[:1] if cells[near]]


def steps_from(cells: np.ndarray, start: tuple[int, int]) -> dict[tuple[int, int], int]:
    """How many steps every cell that can be reached over true cells of a bool array is from `start`; the nearest first."""
    steps, queue = {start: 0}, [start]
    for cell in queue:
        for near in beside(cells, cell):
            if near not in steps:
                steps[near] = steps[cell] + 1
                queue.append(near)
    return steps


def shortest_way(cells: np.ndarray, start: tuple[int, int], end: tuple[int, int]) -> list[tuple[int, int]] | None:
    """The one shortest way over true cells from `start` to `end`, both included; None where there is none or several."""
    steps = steps_from(cells, start)
    if end not in steps:
        return None
    way = [end]
    while way[-1] != start:
        before = [near for near in beside(cells, way[-1]) if steps.get(near) == steps[way[-1]] - 1]
        if len(before) != 1:
            return None
        way += before
    return way[::-1]


def place_of(grid: np.ndarray, colour: int) -> tuple[int, int]:
    """(row, column) of the first cell of a colour."""
    row, column = divmod(int(np.argmax(grid == colour)), grid.shape[1])
    return row, column


def maze(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """The open cells of a maze in which exactly one way joins any two of them: bool (height, width), both odd."""
    cells = np.zeros((height, width), bool)
    trail = [(0, 0)]
    cells[0, 0] = True
    while trail:
        row, column = trail[-1]
        closed = [(a, b) for a, b in STRAIGHT if 0 <= row + 2 * a < height and 0 <= column + 2 * b < width]
        closed = [(a, b) for a, b in closed if not cells[row + 2 * a, column + 2 * b]]
        if not closed:
            trail.pop()
            continue
        down, right = closed[rng.integers(len(closed))]
        cells[row + down, column + right] = cells[row + 2 * down, column + 2 * right] = True
        trail.append((row + 2 * down, column + 2 * right))
    return cells


def snake(rng: np.random.Generator, length: int, height: int = 10, width: int = 10) -> list[tuple[int, int]]:
    """The cells of a random walk, at most `length`, which never comes beside itself."""
    cells = np.zeros((height, width), bool)
    walk = [(int(rng.integers(height)), int(rng.integers(width)))]
    cells[walk[0]] = True
    while len(walk) < length:
        free = [near for near in beside(~cells, walk[-1]) if len(beside(cells, near)) == 1]
        if not free:
            break
        walk.append(free[rng.integers(len(free))])
        cells[walk[-1]] = True
    return walk


def snake_sprite(walk: list[tuple[int, int]], colours) -> np.ndarray:
    """A walk as a sprite: its cells in turn in the given colours."""
    rows, columns = np.array(walk).T
    sprite = blank(np.ptp(rows) + 1, np.ptp(columns) + 1)
    sprite[rows - rows.min(), columns - columns.min()] = colours
    return sprite


def uncurled(grid: np.ndarray, head: int) -> list[tuple[int, int]] | None:
    """The cells of the snake whose first cell is the one of colour `head`, in order; None where it has branches."""
    order = steps_from(grid != 0, place_of(grid, head))
    return list(order) if list(order.values()) == list(range(len(order))) else None


@family("A walker goes straight on and turns right whenever a wall, the edge or its own trail is in front, until it is caught.")
def turns_at_walls(rng):
    start, wall, trail = pick_colours(rng, 3)
    trail = start if rng.random() < 0.4 else trail

    def scene(rng):
        grid = blank(*canvas(rng, 4, 9))
        grid[0, 0] = start
        scatter(rng, grid, rng.integers(1, 6), [wall])
        return grid

    def rule(grid):
        walked, cell, step, blocked = grid.copy(), place_of(grid, start), (0, 1), 0
        while blocked < 2:
            free = [near for near in ahead(grid, cell, step)[:1] if walked[near] == 0]
            if free:
                cell, blocked = free[0], 0
                walked[cell] = trail
            else:
                step, blocked = (step[1], -step[0]), blocked + 1
        return walked if (walked != grid).sum() > 3 else None

    return scene, rule


@family("Coloured cells from which a way over coloured cells leads to the edge change colour; or those without one, by the task.")
def ways_to_the_edge(rng):
    colour, new = pick_colours(rng, 2)
    new = new if rng.random() < 0.75 else 0
    shut_in = bool(rng.random() < 0.5)
    density = rng.uniform(0.3, 0.5)

    def scene(rng):
        return noise(rng, *canvas(rng, 5, 10), [colour], density)

    def rule(grid):
        out = ndimage.binary_propagation(box_outline(*grid.shape) & (grid != 0), FOUR, grid != 0)
        inside = (grid != 0) & ~out
        return np.where(inside if shut_in else out, np.uint8(new), grid) if inside.any() and out.any() else None

    return scene, rule


@family("The snake is pulled straight into one row, from its head to its tail.")
def snake_pulled_straight(rng):
    head, *colours = pick_colours(rng, int(rng.integers(3, 7)))
    short, long = (4, 8) if rng.random() < 0.5 else (7, 13)
    upright = bool(rng.random() < 0.2)

    def scene(rng):
        walk = snake(rng, rng.integers(short, long), 6, 6)
        grid = blank(*canvas(rng, 5, 9))
        place(rng, grid, snake_sprite(walk, [head, *rng.choice(colours, len(walk) - 1)]))
        return grid if grid.any() and len(walk) >= 4 else None

    def rule(grid):
        cells = uncurled(grid, head)
        straight = np.array([[grid[cell] for cell in cells]], np.uint8)
        return straight.T if upright else straight

    return scene, rule


@family("The snake crawls straight ahead, every part taking the place of the one before it: some cells far, or up to the edge.")
def snake_crawls(rng):
    head, *colours = pick_colours(rng, int(rng.integers(2, 4)))
    far = int(rng.choice([1, 2, 3, 30]))

    def scene(rng):
        walk = snake(rng, rng.integers(3, 8), 5, 5)
        grid = blank(*canvas(rng, 5, 10))
        body = np.resize(colours, len(walk) - 1)
        return grid if place(rng, grid, snake_sprite(walk, [head, *body])) and len(walk) >= 3 else None

    def rule(grid):
        cells = uncurled(grid, head)
        step = (cells[0][0] - cells[1][0], cells[0][1] - cells[1][1])
        free = ahead(grid, cells[0], step)
        if any(grid[cell] for cell in free) or (len(free) < far < 30):
            return None
        moved, track = blank(*grid.shape), free[:far][::-1] + cells
        for old, new in zip(cells, track):
            moved[new] = grid[old]
        return moved

    return scene, rule


@family("From the mark in the corner of the grid, or of its inner field, a spiral winds inwards, leaving a free track.")
def spiral_inwards(rng):
    clockwise = 1 if rng.random() < 0.5 else -1
    ground = pick_colour(rng) if rng.random() < 0.2 else 0
    around = pick_colour(rng, (0, ground)) if rng.random() < 0.6 else None

    def scene(rng):
        height, width = canvas(rng, 4, 10) if around is None else canvas(rng, 7, 12)
        ink = pick_colour(rng, (0, ground, around))
        if around is None:
            field = blank(height, width, ground)
            field[0, 0] = ink
            return np.rot90(field, rng.integers(4))
        field = blank(*(int(rng.integers(4, side)) for side in (height, width)), ground)
        field[rng.choice([0, -1]), rng.choice([0, -1])] = ink
        grid = blank(height, width, around)
        row, column = (int(rng.integers(room + 1)) for room in np.subtract(grid.shape, field.shape))
        grid[row : row + len(field), column : column + field.shape[1]] = field
        return grid

    def rule(grid):
        if around is None:
            return wound(grid)
        rows, columns = np.nonzero(grid != around)
        output, box = grid.copy(), (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
        output[box] = wound(grid[box])
        return output

    def wound(grid):
        colour, cell = most_common(grid, (ground,)), tuple(int(v) for v in np.argwhere(grid != ground)[0])
        step = next(s for s in STRAIGHT if ahead(grid, cell, s) and ahead(grid, cell, (s[1] * clockwise, -s[0] * clockwise)))
        spiral, blocked = grid.copy(), 0
        while blocked < 2:
            free = [near for near in ahead(grid, cell, step)[:1] if beside(spiral == colour, near) == [cell]]
            if free and spiral[free[0]] == ground:
                cell, blocked = free[0], 0
                spiral[cell] = colour
            else:
                step, blocked = (step[1] * clockwise, -step[0] * clockwise), blocked + 1
        return spiral

    return scene, rule


@family("From the mark a spiral winds outwards, its sides growing by as much as the task keeps, until it leaves the grid.")
def spiral_outwards(rng):
    line = pick_colour(rng)
    gap, clockwise = int(rng.choice([2, 2, 3])), 1 if rng.random() < 0.5 else -1

    def scene(rng):
        height, width = canvas(rng, 6, 10)
        grid = blank(height, width)
        grid[rng.integers(2, height - 2), rng.integers(2, width - 2)] = pick_colour(rng, (0, line))
        return grid

    def rule(grid):
        cell, step, side = tuple(int(v) for v in np.argwhere(grid)[0]), (-1, 0), 0
        spiral = grid.copy()
        while True:
            side += 1
            cells = ahead(grid, cell, step)[: gap * ((side + 1) // 2)]
            for cell in cells:
                spiral[cell] = line
            if len(cells) < gap * ((side + 1) // 2):
                return spiral
            step = (step[1] * clockwise, -step[0] * clockwise)

    return scene, rule


@family("Only one trail begins at the start mark: the answer is the colour in which it ends.")
def where_the_trail_ends(rng):
    start, trail, decoy, *ends = pick_colours(rng, 7)
    decoy = decoy if rng.random() < 0.5 else trail
    trails = int(rng.integers(2, 4))

    def scene(rng):
        grid = blank(*canvas(rng, 6, 10))
        for number, end in enumerate(rng.permutation(ends)[:trails]):
            walk = snake(rng, rng.integers(4, 9), 6, 6)
            colours = [decoy if number else start, *[trail] * (len(walk) - 2), end]
            if not place(rng, grid, snake_sprite(walk, colours[: len(walk)])):
                return None
        return grid

    def rule(grid):
        found = [thing for thing in objects(grid, by_colour=False) if (thing.colours == start).any()]
        ends = set(found[0].colours.ravel()) - {0, start, trail}
        return np.full((1, 1), ends.pop(), np.uint8) if len(ends) == 1 else None

    return scene, rule


@family("Every wire that touches a source takes the source's colour over its whole length; wires without one stay dead.")
def wires_carry_colour(rng):
    wire, *colours = pick_colours(rng, int(rng.integers(2, 6)))
    wires = int(rng.integers(2, 5))

    def scene(rng):
        grid = blank(*canvas(rng, 6, 10))
        for number in range(wires):
            walk = snake(rng, rng.integers(4, 9), 6, 6)
            parts = np.full(len(walk), wire)
            if number == 0 or rng.random() < 0.5:
                parts[rng.choice([0, -1, len(walk) // 2])] = rng.choice(colours)
            place(rng, grid, snake_sprite(walk, parts))
        return grid

    def rule(grid):
        lit = grid.copy()
        for thing in objects(grid, by_colour=False):
            sources = set(thing.colours.ravel()) - {0, wire}
            if sources:
                lit[thing.mask(grid)] = sources.pop()
        return lit

    return scene, rule


@family("All dead ends of the network are pruned away: only the way from one mark to the other stays.")
def dead_ends_pruned(rng):
    road, mark = pick_colours(rng, 2)
    pruned = pick_colour(rng, (0, road, mark)) if rng.random() < 0.3 else 0
    sparse = float(rng.choice([0, 0.1]))

    def scene(rng):
        height, width = (2 * side + 1 for side in canvas(rng, 2, 4))
        grid = painted(maze(rng, height, width) & (rng.random((height, width)) >= sparse), road)
        cells = np.argwhere(grid)
        for row, column in cells[rng.permutation(len(cells))[:2]]:
            grid[row, column] = mark
        return grid

    def rule(grid):
        start, end = (tuple(int(v) for v in cell) for cell in np.argwhere(grid == mark))
        way = shortest_way(grid != 0, start, end)
        if way is None or len(way) < 4:
            return None
        kept = np.where(grid != 0, np.uint8(pruned), grid)
        for cell in way:
            kept[cell] = grid[cell]
        return kept

    return scene, rule


@family("From the marked end on, the colours of the task follow each other along the path, over and over.")
def path_striped(rng):
    head, plain, *stripes = pick_colours(rng, int(rng.integers(4, 6)))
    runs = int(rng.integers(1, 3))

    def scene(rng):
        grid = blank(*canvas(rng, 5, 9))
        walk = snake(rng, rng.integers(5, 13), 7, 7)
        place(rng, grid, snake_sprite(walk, [head] + [plain] * (len(walk) - 1)))
        return grid if (grid != 0).sum() > 4 else None

    def rule(grid):
        striped = grid.copy()
        for number, cell in enumerate(uncurled(grid, head)[1:]):
            striped[cell] = stripes[number // runs % len(stripes)]
        return striped

    return scene, rule


@family("A row of moves is walked: every colour is a step in a direction of its own, and leaves its colour where it leads.")
def moves_walked(rng):
    start, *colours = pick_colours(rng, int(rng.integers(3, 5)))
    steps = [((0, 1), (1, 0), (1, 1))[i] for i in rng.permutation(3)]
    one_colour = pick_colour(rng) if rng.random() < 0.3 else 0

    def scene(rng):
        moves = rng.choice(colours, rng.integers(3, 8))
        return np.array([[start, *moves]], np.uint8) if set(moves) == set(colours) else None

    def rule(grid):
        cells = np.cumsum([(0, 0)] + [steps[colours.index(move)] for move in grid[0, 1:]], axis=0)
        walked = blank(*(cells.max(0) + 1))
        walked[tuple(cells.T)] = np.where(np.arange(len(cells)) > 0, one_colour, 0) + (one_colour == 0) * grid[0]
        walked[0, 0] = start
        return walked

    return scene, rule


@family("The cell of the maze that is the most steps away from the start is marked.")
def farthest_cell(rng):
    wall, start, goal = pick_colours(rng, 3)
    wall, floor = (wall, 0) if rng.random() < 0.5 else (0, wall)

    def scene(rng):
        height, width = (2 * side + 1 for side in canvas(rng, 2, 4))
        grid = np.where(maze(rng, height, width), np.uint8(floor), np.uint8(wall))
        free = np.argwhere(grid == floor)
        grid[tuple(free[rng.integers(len(free))])] = start
        return grid

    def rule(grid):
        steps = steps_from(grid != wall, place_of(grid, start))
        *_, second, last = steps
        if steps[second] == steps[last]:
            return None
        marked = grid.copy()
        marked[last] = goal
        return marked

    return scene, rule


@family("Beads on rings move on clockwise along their ring, as many cells as the task keeps.")
def beads_on_rings(rng):
    ring, *colours = pick_colours(rng, int(rng.integers(2, 5)))
    far = int(rng.integers(1, 5))

    def scene(rng):
        grid = blank(*canvas(rng, 5, 10))
        for _ in range(rng.integers(1, 4)):
            outline = painted(box_outline(*rng.integers(3, 6, 2)), ring)
            cells = np.argwhere(outline)
            for row, column in cells[rng.permutation(len(cells))[: rng.integers(1, 4)]]:
                outline[row, column] = rng.choice(colours)
            place(rng, grid, outline)
        return grid

    def rule(grid):
        turned = grid.copy()
        for thing in objects(grid, by_colour=False):
            middle = thing.row + (thing.height - 1) / 2, thing.column + (thing.width - 1) / 2
            clockwise = sorted(thing.places, key=lambda cell, middle=middle: np.arctan2(cell[0] - middle[0], cell[1] - middle[1]))
            cells = tuple(np.array(clockwise).T)
            turned[cells] = np.roll(grid[cells], far)
        return turned

    return scene, rule


@family("The ends of the network, or its junctions, by the task, are marked.")
def network_points(rng):
    road, mark = pick_colours(rng, 2)
    ends = bool(rng.random() < 0.5)

    def scene(rng):
        height, width = (2 * side + 1 for side in canvas(rng, 2, 4))
        return painted(maze(rng, height, width), road)

    def rule(grid):
        neighbours = ndimage.convolve((grid != 0).astype(int), FOUR.astype(int), mode="constant") - 1
        return np.where((grid != 0) & (neighbours == 1 if ends else neighbours > 2), np.uint8(mark), grid)

    return scene, rule
