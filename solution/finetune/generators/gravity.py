"""Families about gravity: things fall, rise, stack up and slide until something stops them."""

import numpy as np

from .family import family
from .scenes import blank, blob, canvas, colours_in, noise, objects, painted, pick_colours, place, scatter

FALLS = np.array([0] + [1] * 9)  # weights by colour: everything coloured is heavier than the background


def settle(grid: np.ndarray, weights: np.ndarray = FALLS, fixed=()) -> np.ndarray:
    """Every column in order of weight (`weights[colour]`, the heaviest at the foot), equal weights in their old order.

    Cells of the colours `fixed` stay where they are, and nothing passes them.
    """
    settled = grid.copy()
    for column in settled.T:
        stops = [-1, *np.flatnonzero(np.isin(column, fixed)), len(column)] if fixed else [-1, len(column)]
        for above, below in zip(stops, stops[1:]):
            part = column[above + 1 : below]
            column[above + 1 : below] = part[np.argsort(weights[part], kind="stable")]
    return settled


def add_ledges(rng: np.random.Generator, grid: np.ndarray, count: int, colours) -> None:
    """Draw up to `count` horizontal bars of 2 to 4 cells between the first two rows and the last one."""
    for _ in range(count):
        bar = np.full((1, rng.integers(2, 5)), rng.choice(colours), np.uint8)
        place(rng, grid[2:-1], bar)


@family("Every coloured cell falls to the bottom of its column.")
def cells_fall(rng):
    colours = pick_colours(rng, int(rng.integers(1, 5)))
    density = rng.uniform(0.15, 0.5)

    def scene(rng):
        return noise(rng, *canvas(rng, 3, 9), colours, density)

    return scene, settle


@family("Whole objects fall, keeping their form, until they rest on the floor or on another object.")
def objects_fall(rng):
    high = int(rng.integers(7, 12))
    colours = pick_colours(rng, int(rng.integers(1, 4)))

    def scene(rng):
        grid = blank(*canvas(rng, 6, high))
        for _ in range(rng.integers(1, 4)):
            place(rng, grid, painted(blob(rng, rng.integers(2, 6), 3, 3), rng.choice(colours)))
        return grid

    def rule(grid):
        fallen = np.zeros_like(grid)
        for thing in sorted(objects(grid, by_colour=False), key=lambda o: -(o.row + o.height)):
            row = thing.row
            while row + thing.height < grid.shape[0]:
                below = fallen[row + 1 : row + 1 + thing.height, thing.column : thing.column + thing.width]
                if (below[thing.cells] != 0).any():
                    break
                row += 1
            fallen[row : row + thing.height, thing.column : thing.column + thing.width][thing.cells] = thing.colours[thing.cells]
        return fallen

    return scene, rule


@family("In every column heavy colours sink and light colours rise, past each other but not past fixed cells.")
def float_and_sink(rng):
    fixed, *colours = pick_colours(rng, int(rng.integers(3, 5)))
    weights = np.zeros(10, int)
    weights[colours] = [1, -1, rng.choice([-1, 1])][: len(colours)]
    density, fixed_cells = rng.uniform(0.25, 0.5), int(rng.choice([0, 2, 4]))

    def scene(rng):
        grid = noise(rng, *canvas(rng, 4, 9), colours, density)
        scatter(rng, grid, fixed_cells, [fixed])
        return grid

    return scene, lambda grid: settle(grid, weights, (fixed,)), colours_in


@family("Loose cells fall; those that come to lie on a ledge, or in a pile on one, take its colour.")
def fallen_take_ledge_colour(rng):
    loose, *colours = pick_colours(rng, int(rng.integers(3, 5)))
    density = rng.uniform(0.15, 0.35)

    def scene(rng):
        grid = blank(*canvas(rng, 6, 10))
        add_ledges(rng, grid, rng.integers(1, 4), colours)
        return np.where(grid == 0, noise(rng, *grid.shape, [loose], density), grid)

    def rule(grid):
        fallen = settle(grid, fixed=colours)
        for row in range(len(grid) - 2, -1, -1):
            resting = (fallen[row] == loose) & (fallen[row + 1] != 0)
            fallen[row][resting] = fallen[row + 1][resting]
        return fallen

    return scene, rule


@family("All cells fall, and in every column the heavier colours come to lie under the lighter ones.")
def heavy_under_light(rng):
    colours = pick_colours(rng, int(rng.integers(2, 4)))
    weights = np.zeros(10, int)
    weights[colours] = np.arange(1, len(colours) + 1)
    density = rng.uniform(0.45, 0.8)

    def scene(rng):
        return noise(rng, *canvas(rng, 4, 9), colours, density)

    return scene, lambda grid: settle(grid, weights), colours_in


@family("Cells slide towards the edge that is painted in the marker colour; in some tasks away from it.")
def slide_to_marked_edge(rng):
    marker, *colours = pick_colours(rng, int(rng.integers(2, 5)))
    weights = FALLS * int(rng.choice([1, 1, -1]))
    density = rng.uniform(0.15, 0.45)

    def scene(rng):
        grid = noise(rng, *canvas(rng, 4, 9), colours, density)
        grid[-1] = marker
        return np.rot90(grid, rng.integers(4))

    def rule(grid):
        turns = [k for k in range(4) if (np.rot90(grid, k)[-1] == marker).all()][0]
        moved = np.rot90(grid, turns).copy()
        moved[:-1] = settle(moved[:-1], weights)
        return np.rot90(moved, -turns)

    return scene, rule


@family("The sign at the head of each row says whether its cells slide to the left or to the right; without one they stay.")
def rows_slide_by_sign(rng):
    left, right, *colours = pick_colours(rng, int(rng.integers(3, 6)))
    signs = [left, right, 0][: rng.integers(2, 4)]
    density = rng.uniform(0.2, 0.5)

    def scene(rng):
        grid = noise(rng, *canvas(rng, 4, 9), colours, density)
        grid[:, 0] = rng.choice(signs, len(grid))
        return grid if {left, right} <= set(grid[:, 0]) else None

    def rule(grid):
        moved = grid.copy()
        for row, sign in zip(moved, grid[:, 0]):
            if sign:
                row[1:] = row[1:][np.argsort((row[1:] != 0) * (1 if sign == right else -1), kind="stable")]
        return moved

    return scene, rule, lambda grid: colours_in(grid[:, 0])


@family("Loose cells fly to the wall of their own colour and pile up there; cells of no wall's colour vanish.")
def fly_to_own_wall(rng):
    palette = pick_colours(rng, 4)
    foreigners = int(rng.integers(0, 2))
    density = rng.uniform(0.2, 0.45)

    def scene(rng):
        colours = rng.permutation(palette)[: 2 + foreigners]
        grid = noise(rng, *canvas(rng, 6, 10), colours, density)
        grid[0], grid[-1] = colours[0], colours[1]
        return grid

    def rule(grid):
        weights = np.zeros(10, int)
        weights[grid[0, 0]], weights[grid[-1, 0]] = -1, 1
        moved = np.where(weights[grid] != 0, grid, np.uint8(0))
        moved[1:-1] = settle(moved[1:-1], weights)
        return moved

    return scene, rule


@family("Cells in line with the block slide straight to it from all four sides; the others stay, or vanish, by the task.")
def gather_at_block(rng):
    anchor, *colours = pick_colours(rng, int(rng.integers(2, 5)))
    vanish = bool(rng.random() < 0.4)
    density = rng.uniform(0.12, 0.3)

    def scene(rng):
        height, width = canvas(rng, 6, 10)
        grid = noise(rng, height, width, colours, density)
        tall, wide = rng.integers(1, 4, 2)
        row, column = rng.integers(1, height - tall), rng.integers(1, width - wide)
        grid[row : row + tall, column : column + wide] = anchor
        return grid

    def rule(grid):
        moved = grid.copy()
        for turns in range(4):
            view = np.rot90(moved, turns)  # a numpy view: changing it changes `moved`
            rows, columns = np.nonzero(view == anchor)
            above = view[: rows.min(), columns.min() : columns.max() + 1]
            above[:] = settle(above)
            if vanish:
                view[: rows.min(), : columns.min()] = 0
        return moved

    return scene, rule


@family("The blocks are stacked into a tower: the widest at the foot, the narrowest on top, centred or flush by the task.")
def tower_of_blocks(rng):
    colours = pick_colours(rng, int(rng.integers(2, 6)))
    centred = bool(rng.random() < 0.6)
    tallest = int(rng.integers(1, 3))

    def scene(rng):
        grid = blank(*canvas(rng, 7, 11))
        for width in rng.permutation([1, 3, 5, 7])[: rng.integers(2, 4)]:
            place(rng, grid, np.full((rng.integers(1, tallest + 1), width), rng.choice(colours), np.uint8))
        return grid

    def rule(grid):
        blocks = sorted(objects(grid), key=lambda o: o.width)
        if len(blocks) < 2:
            return None
        wide = blocks[-1].width
        pads = [(wide - b.width) // 2 if centred else 0 for b in blocks]
        return np.vstack([np.pad(b.colours, ((0, 0), (pad, wide - b.width - pad))) for b, pad in zip(blocks, pads)])

    return scene, rule


@family("The magnet pulls the other object until they touch, or pushes it to the edge, by the task; it may leave a trail.")
def magnet_pulls_or_pushes(rng):
    magnet, mover, trail = pick_colours(rng, 3)
    trail = trail if rng.random() < 0.5 else 0
    pushes = bool(rng.random() < 0.3)

    def scene(rng):
        grid = blank(*canvas(rng, 6, 10))
        place(rng, grid, np.full(rng.integers(1, 5, 2), magnet, np.uint8))
        place(rng, grid, painted(blob(rng, rng.integers(1, 6), 3, 3), mover), gap=2)
        return grid

    def rule(grid):
        for turns in range(4):
            view = np.rot90(grid, turns)
            target, (rows, columns) = view == magnet, np.nonzero(view == mover)
            if not len(rows) or not target[:, columns].any() or rows.max() >= np.nonzero(target)[0].min():
                continue  # the mover does not stand above the magnet when turned so
            moved = np.where(target, view, np.uint8(0))
            step = -1 if pushes else 1
            while 0 <= rows.min() + step and rows.max() + step < len(view) and not target[rows + step, columns].any():
                moved[rows, columns] = trail
                rows = rows + step
            if not pushes and rows.max() + 1 == len(view):
                return None  # the floor stopped it too early
            moved[rows, columns] = mover
            return np.rot90(moved, -turns)
        return None

    return scene, rule


@family("Rain fills every hollow of the ground up to the lower of its two sides.")
def rain_fills_hollows(rng):
    ground, water = pick_colours(rng, 2)
    steep = int(rng.integers(2, 5))

    def scene(rng):
        height, width = canvas(rng, 5, 10)
        grid = blank(height, width)
        level = int(rng.integers(1, height))
        for column in grid.T:
            column[height - level :] = ground
            level = int(np.clip(level + rng.integers(-steep, steep + 1), 0, height - 1))
        return grid

    def rule(grid):
        left = np.logical_or.accumulate(grid == ground, axis=1)
        right = np.logical_or.accumulate(grid[:, ::-1] == ground, axis=1)[:, ::-1]
        return np.where((grid == 0) & left & right, np.uint8(water), grid)

    return scene, rule


@family("Every dart flies with its head in front to the edge of the grid; in some tasks it leaves a trail.")
def darts_fly_to_edge(rng):
    body, head, trail = pick_colours(rng, 3)
    trail = trail if rng.random() < 0.4 else 0
    length = int(rng.integers(1, 3))

    def scene(rng):
        grid = blank(*canvas(rng, 6, 10))
        for _ in range(rng.integers(1, 4)):
            dart = np.array([[body] * length + [head]], np.uint8)
            place(rng, grid, np.rot90(dart, rng.integers(4)))
        return grid

    def rule(grid):
        flown = np.zeros_like(grid)
        for turns in range(4):
            view, result = np.rot90(grid, turns), np.rot90(flown, turns)  # a numpy view: changing it changes `flown`
            for row, neck in np.argwhere((view[:, :-1] == body) & (view[:, 1:] == head)):
                path, dart = result[row, neck - length + 1 :], view[row, neck - length + 1 : neck + 2]
                if path.any() or view[row, neck + 2 :].any():
                    return None  # darts would meet
                path[:] = trail
                path[-length - 1 :] = dart
        return flown

    return scene, rule


@family("Every object falls as many rows as it has cells (or as its width or its height, by the task).")
def falls_by_its_size(rng):
    colours = pick_colours(rng, int(rng.integers(1, 5)))
    measure = ("size", "width", "height")[rng.integers(3)]
    most = 3 if measure == "size" else 5

    def scene(rng):
        grid = blank(*canvas(rng, 7, 10))
        for _ in range(rng.integers(2, 4)):
            place(rng, grid[: len(grid) - 3], painted(blob(rng, rng.integers(1, most + 1), 3, 3), rng.choice(colours)))
        return grid

    def rule(grid):
        fallen = np.zeros_like(grid)
        for thing in objects(grid, by_colour=False):
            if thing.row + thing.height + getattr(thing, measure) > len(grid):
                return None
            mask = np.roll(thing.mask(grid), getattr(thing, measure), axis=0)
            if fallen[mask].any():
                return None
            fallen[mask] = thing.colour
        return fallen

    return scene, rule


@family("Water runs straight down from its sources; on a ledge it spreads to both sides and runs on over the ends.")
def water_runs_down(rng):
    source, ledge, *others = pick_colours(rng, 3)
    water = others[0] if rng.random() < 0.5 else source

    def scene(rng):
        grid = blank(*canvas(rng, 6, 10))
        scatter(rng, grid[:1], rng.integers(1, 3), [source])
        add_ledges(rng, grid, rng.integers(1, 5), [ledge])
        return grid

    def rule(grid):
        if not (grid[1:][:, grid[0] == source] == ledge).any():
            return None  # no source stands over a ledge
        wet, flowing = grid.copy(), [(0, int(c)) for c in np.flatnonzero(grid[0] == source)]
        while flowing:
            row, column = flowing.pop()
            if row + 1 == len(grid):
                continue
            spread = [(row + 1, column)] if grid[row + 1, column] != ledge else [(row, column - 1), (row, column + 1)]
            for cell in spread:
                if 0 <= cell[1] < len(grid[0]) and wet[cell] == 0:
                    wet[cell] = water
                    flowing.append(cell)
        return wet

    return scene, rule
