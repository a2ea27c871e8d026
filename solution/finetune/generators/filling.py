"""Families about filling: closed rooms, floods from seeds, rectangles between marks, cups, nearest seeds."""

import numpy as np
from scipy import ndimage

from .family import family
from .scenes import (
    EIGHT,
    FOUR,
    blank,
    blob,
    box_outline,
    canvas,
    colours_in,
    noise,
    painted,
    pick_colours,
    place,
    scatter,
    sides,
)


def enclosed(free: np.ndarray) -> np.ndarray:
    """The cells of `free` (bool) that no path of free cells, side by side, joins to the edge of the grid."""
    labels, _ = ndimage.label(np.pad(free, 1, constant_values=True))
    return free & (labels != labels[0, 0])[1:-1, 1:-1]


def regions(mask: np.ndarray) -> list[np.ndarray]:
    """The connected parts of a bool array, each a bool array of the same shape."""
    labels, count = ndimage.label(mask)
    return [labels == number for number in range(1, count + 1)]


def runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """Start and end (exclusive) of every run of True in a line of cells."""
    edges = np.flatnonzero(np.diff(np.pad(flags.astype(np.int8), 1)))
    return list(zip(edges[::2], edges[1::2]))


def wall_around(rng: np.random.Generator, rectangular: bool = True, gap_chance: float = 0.0) -> np.ndarray:
    """A wall one cell thick around a small room, sometimes with a gap of one cell: bool (height, width)."""
    room = np.ones(rng.integers(1, 4, 2), bool) if rectangular else blob(rng, rng.integers(2, 7), 3, 3)
    room = np.pad(room, 1)
    wall = ndimage.binary_dilation(room, EIGHT) & ~room
    if rng.random() < gap_chance:
        beside = np.argwhere(wall & ndimage.binary_dilation(room, FOUR))
        wall[tuple(beside[rng.integers(len(beside))])] = False
    return wall


def rooms_scene(rng: np.random.Generator, walls, rectangular: bool = True, gap_chance: float = 0.0, low: int = 7) -> np.ndarray:
    """A grid of `low` to 10 cells a side with up to five walled rooms, apart from each other."""
    grid = blank(*canvas(rng, low, 10))
    for _ in range(rng.integers(2, 6)):
        place(rng, grid, painted(wall_around(rng, rectangular, gap_chance), rng.choice(walls)))
    return grid


def cuts(rng: np.random.Generator, length: int, count: int) -> list[int]:
    """At most `count` positions on a line of `length` cells, with at least one cell between them and at both ends."""
    chosen: list[int] = []
    for position in rng.permutation(np.arange(1, length - 1)):
        if len(chosen) < count and all(abs(position - other) > 1 for other in chosen):
            chosen.append(int(position))
    return sorted(chosen)


@family("Closed rooms are filled with a colour, in some tasks all other background with a second one; rooms with a gap are open.")
def fill_closed_rooms(rng):
    fill, outside, *walls = pick_colours(rng, int(rng.integers(3, 6)))
    paints_outside, rectangular, gap_chance = rng.random() < 0.25, rng.random() < 0.4, rng.choice([0, 0.4])

    def scene(rng):
        grid = rooms_scene(rng, walls, rectangular, gap_chance, low=5)
        scatter(rng, grid, rng.integers(0, 3), walls)
        return grid

    def rule(grid):
        inside = enclosed(grid == 0)
        if not inside.any():
            return None
        filled = np.where(inside, np.uint8(fill), grid)
        if paints_outside:
            filled[(grid == 0) & ~inside] = outside
        return filled

    return scene, rule


@family("Of the closed rooms only the largest (or the smallest) gets the fill colour; the others stay empty or get a second one.")
def fill_extreme_room(rng):
    fill, rest, *walls = pick_colours(rng, int(rng.integers(3, 6)))
    rest, largest, rectangular = rest if rng.random() < 0.4 else 0, rng.random() < 0.6, rng.random() < 0.5

    def rule(grid):
        rooms = sorted(regions(enclosed(grid == 0)), key=np.sum, reverse=bool(largest))
        if len(rooms) < 2 or rooms[0].sum() == rooms[1].sum():
            return None
        filled = grid.copy()
        for room in rooms:
            filled[room] = fill if room is rooms[0] else rest
        return filled

    return lambda rng: rooms_scene(rng, walls, rectangular), rule


@family("Square rooms are filled with one colour; oblong ones with a second, or not at all.")
def fill_square_rooms(rng):
    square, oblong, *walls = pick_colours(rng, int(rng.integers(3, 6)))
    if rng.random() < 0.4:
        square, oblong = (square, 0) if rng.random() < 0.7 else (0, oblong)

    def rule(grid):
        shapes = [(room, np.ptp(np.argwhere(room), axis=0)) for room in regions(enclosed(grid == 0))]
        if len(shapes) < 2:
            return None
        filled = grid.copy()
        for room, (tall, wide) in shapes:
            filled[room] = square if tall == wide else oblong
        return filled

    return lambda rng: rooms_scene(rng, walls), rule, lambda grid: colours_in(rule(grid))


@family("A seed's colour (or one fixed colour) floods the whole region around it, as far as the walls let it.")
def flood_from_seeds(rng):
    wall, fill, *seeds = pick_colours(rng, int(rng.integers(4, 7)))
    fill, straight = fill if rng.random() < 0.3 else None, rng.random() < 0.6
    openness = rng.choice([0, 0.1]) if straight else rng.uniform(0.3, 0.45)

    def scene(rng):
        if straight:
            grid = blank(*canvas(rng, 6, 10))
            rows, columns = (cuts(rng, side, rng.integers(1, 3)) for side in grid.shape)
            grid[rows], grid[:, columns] = wall, wall
            grid[rng.random(grid.shape) < openness] = 0
        else:
            grid = noise(rng, *canvas(rng, 5, 9), [wall], openness)
        scatter(rng, grid, rng.integers(1, 5), seeds)
        return grid

    def rule(grid):
        flooded = grid.copy()
        for region in regions(grid != wall):
            found = np.unique(grid[region & (grid != 0)])
            if len(found) > 1:
                return None
            if len(found):
                flooded[region & (grid == 0)] = fill or found[0]
        return flooded

    return scene, rule


@family("From every seed colour spreads a fixed number of steps around the walls, all in one colour or each step in its own.")
def flood_steps(rng):
    steps = int(rng.integers(1, 4))
    seed, wall, *spread = pick_colours(rng, 2 + steps)
    if rng.random() < 0.5:
        spread = spread[:1] * steps
    neighbours, density = FOUR if rng.random() < 0.6 else EIGHT, rng.uniform(0.1, 0.35)

    def scene(rng):
        grid = noise(rng, *canvas(rng, 5, 10), [wall], density)
        scatter(rng, grid, rng.integers(1, 3), [seed])
        return grid

    def rule(grid):
        flooded, reached = grid.copy(), grid == seed
        for colour in spread:
            wider = ndimage.binary_dilation(reached, neighbours, mask=grid != wall)
            flooded[wider & ~reached] = colour
            reached = wider
        return flooded

    return scene, rule


@family("Four cells of one colour that are the corners of a rectangle are joined: its inside is filled, or its sides are drawn.")
def fill_between_corners(rng):
    fill = pick_colours(rng, 1)[0]
    own, outline = rng.random() < 0.4, rng.random() < 0.4

    def scene(rng):
        grid = blank(*canvas(rng, 6, 10))
        for colour in pick_colours(rng, int(rng.integers(2, 5)), exclude=(0, fill)):
            corners = np.zeros(sides(rng, 3, 6), bool)
            corners[np.ix_([0, -1], [0, -1])] = True
            if rng.random() < 0.75:
                place(rng, grid, painted(corners, colour), gap=0)
            else:
                scatter(rng, grid, rng.integers(1, 3), [colour])
        return grid

    def rule(grid):
        filled = grid.copy()
        for colour in np.unique(grid[grid != 0]):
            rows, columns = np.nonzero(grid == colour)
            if len(rows) != 4 or np.bincount(rows).max() != 2 or np.bincount(columns).max() != 2:
                continue
            box = (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
            if np.count_nonzero(filled[box]) > 4:  # another rectangle or a stray cell lies within
                return None
            area = box_outline(*filled[box].shape) if outline else np.ones_like(filled[box], bool)
            filled[box][area & (filled[box] == 0)] = colour if own else fill
        return filled

    return scene, rule


@family("Three cells of one colour in a right angle are three corners of a rectangle: the fourth corner is added.")
def add_fourth_corner(rng):
    added = pick_colours(rng, 1)[0]
    own, strays = rng.random() < 0.5, rng.random() < 0.5

    def scene(rng):
        grid = blank(*canvas(rng, 4, 9))
        for colour in pick_colours(rng, int(rng.integers(1, 4)), exclude=(0, added)):
            rows, columns = (rng.choice(side, 2, replace=False) for side in grid.shape)
            keep = [(0, 0), (0, 1), (1, 0)] if not strays or rng.random() < 0.7 else [(0, 0), (1, 1)]
            for a, b in keep:
                grid[rows[a], columns[b]] = colour
        return grid

    def rule(grid):
        completed = grid.copy()
        for colour in np.unique(grid[grid != 0]):
            rows, columns = np.nonzero(grid == colour)
            if len(rows) == 3 and len({*rows}) == len({*columns}) == 2:
                corner = np.bincount(rows).tolist().index(1), np.bincount(columns).tolist().index(1)
                if completed[corner]:
                    return None
                completed[corner] = colour if own else added
        return completed

    return scene, rule


@family("The largest rectangle (in some tasks: square) of empty cells is filled.")
def fill_largest_empty_rectangle(rng):
    fill, *colours = pick_colours(rng, int(rng.integers(2, 5)))
    square, density = rng.random() < 0.35, rng.uniform(0.15, 0.35)

    def rule(grid):
        found = []
        for top in range(len(grid)):
            for bottom in range(top + 1, len(grid) + 1):
                for left, right in runs(~grid[top:bottom].any(0)):
                    found += [(top, bottom, left, right)] if not square else [
                        (top, bottom, start, start + bottom - top) for start in range(left, right - (bottom - top) + 1)
                    ]  # fmt: skip
        areas = [(bottom - top) * (right - left) for top, bottom, left, right in found]
        if not areas or max(areas) < 4 or areas.count(max(areas)) > 1:
            return None
        top, bottom, left, right = found[areas.index(max(areas))]
        filled = grid.copy()
        filled[top:bottom, left:right] = fill
        return filled

    return lambda rng: noise(rng, *canvas(rng, 4, 10), colours, density), rule


@family("Every cell takes the colour of the nearest seed; cells as near to seeds of two colours stay empty or get a colour.")
def nearest_seed_takes_cell(rng):
    tie, *colours = pick_colours(rng, int(rng.integers(4, 7)))
    tie, diagonal = tie if rng.random() < 0.4 else 0, rng.random() < 0.5

    def scene(rng):
        grid = blank(*canvas(rng, 3, 9))
        for colour in rng.permutation(colours)[: rng.integers(2, 5)]:
            scatter(rng, grid, 1, [colour])
        return grid

    def rule(grid):
        seeds = np.argwhere(grid)
        away = np.abs(np.argwhere(np.ones(grid.shape))[:, None] - seeds)  # (cells, seeds, 2)
        distance = away.max(2) if diagonal else away.sum(2)
        colours_of_seeds = grid[tuple(seeds.T)]
        nearest = colours_of_seeds[distance.argmin(1)]
        tied = ((distance == distance.min(1, keepdims=True)) & (colours_of_seeds != nearest[:, None])).any(1)
        return np.where(tied, np.uint8(tie), nearest).reshape(grid.shape)

    return scene, rule


@family("Cups that are open at the top fill with liquid up to their lower rim; cups turned over or without a floor stay empty.")
def fill_cups(rng):
    liquid, *colours = pick_colours(rng, int(rng.integers(2, 5)))
    uneven, wrong = rng.random() < 0.6, rng.random() < 0.7

    def scene(rng):
        grid = blank(*canvas(rng, 6, 10))
        for _ in range(rng.integers(1, 5)):
            cup = box_outline(*sides(rng, 3, 5))
            cup[0, 1:-1] = False
            if uneven and rng.random() < 0.6:
                cup[: rng.integers(1, len(cup) - 1), -1 if rng.random() < 0.5 else 0] = False
            if wrong and rng.random() < 0.3:
                cup = cup[::-1] if rng.random() < 0.6 else np.delete(cup, -1, 0)
            place(rng, grid, painted(cup, rng.choice(colours)))
        return grid

    def rule(grid):
        empty = np.pad(grid == 0, 1, constant_values=True)
        leaks = np.pad(np.zeros(grid.shape, bool), 1, constant_values=True)  # from here liquid would run off
        for _ in range(grid.size):
            wider = leaks | empty & (np.roll(leaks, -1, 0) | np.roll(leaks, 1, 1) | np.roll(leaks, -1, 1))
            if np.array_equal(wider, leaks):
                break
            leaks = wider
        return np.where((grid == 0) & ~leaks[1:-1, 1:-1], np.uint8(liquid), grid)

    return scene, rule


@family("Every room between the walls takes the most frequent colour in it; in some tasks each room shrinks to one cell.")
def rooms_take_majority(rng):
    wall, *colours = pick_colours(rng, int(rng.integers(3, 5)))
    shrunk, density = rng.random() < 0.5, rng.uniform(0.25, 0.9)

    def scene(rng):
        grid = noise(rng, *canvas(rng, 5, 10), colours, density)
        rows, columns = (cuts(rng, side, rng.integers(1, 3)) for side in grid.shape)
        grid[rows], grid[:, columns] = wall, wall
        return grid

    def rule(grid):
        filled = grid.copy()
        rows, columns = (np.flatnonzero((grid != wall).any(axis)) for axis in (1, 0))
        for room in regions(grid != wall):
            counts = np.bincount(grid[room & (grid != 0)], minlength=10)
            if counts.max() and (counts == counts.max()).sum() > 1:
                return None
            filled[room] = counts.argmax()
        if not shrunk:
            return filled
        firsts = [[line[0], *line[1:][np.diff(line) > 1]] for line in (rows, columns)]
        return filled[np.ix_(*firsts)]

    return scene, rule


@family("Solid figures are coloured in layers from their edge inwards, the colours of the layers in a fixed order.")
def fill_in_layers(rng):
    solid, *layers = pick_colours(rng, int(rng.integers(3, 5)))
    layers[0] = solid if rng.random() < 0.4 else layers[0]
    metric, several = str(rng.choice(["chessboard", "taxicab"])), rng.random() < 0.5

    def scene(rng):
        grid = blank(*canvas(rng, 6, 10))
        if several:
            for _ in range(rng.integers(2, 4)):
                place(rng, grid, blank(*sides(rng, 3, 6), solid))
            return grid
        for _ in range(rng.integers(1, 4)):
            height, width = sides(rng, 3, 7)
            row, column = rng.integers(0, len(grid) - 2), rng.integers(0, grid.shape[1] - 2)
            grid[row : row + height, column : column + width] = solid
        return grid

    def rule(grid):
        depth = ndimage.distance_transform_cdt(np.pad(grid == solid, 1), metric)[1:-1, 1:-1]
        if depth.max() < 2:
            return None
        return np.where(depth > 0, np.array(layers, np.uint8)[(depth - 1) % len(layers)], np.uint8(0))

    return scene, rule
