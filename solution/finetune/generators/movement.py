"""Families about movement: shifts, contact, swaps, copies at marks, jigsaw pieces, trails, mirrored moves."""

import numpy as np

from ...arc.view import apply_symmetry
from .family import family
from .filling import enclosed, regions
from .scenes import (
    Object,
    blank,
    blob,
    box_outline,
    canvas,
    colours_in,
    crop,
    noise,
    objects,
    painted,
    pick_colour,
    pick_colours,
    place,
    sides,
)

STEPS = [(-1, 0), (0, 1), (1, 0), (0, -1)]
"""Up, right, down, left: clockwise."""


def blobs_scene(rng: np.random.Generator, colours, count: int, low: int = 6, high: int = 10, cells: int = 5) -> np.ndarray:
    """A grid with up to `count` objects of at most `cells` cells, apart from each other."""
    grid = blank(*canvas(rng, low, high))
    for _ in range(rng.integers(1, count + 1)):
        place(rng, grid, painted(blob(rng, rng.integers(1, cells + 1), 3, 3), rng.choice(colours)))
    return grid


def within(grid: np.ndarray, places: np.ndarray) -> bool:
    """Whether all `places` (n, 2) lie in the grid."""
    return bool((places >= 0).all() and (places < grid.shape).all())


def moved(grid: np.ndarray, moving: np.ndarray, step) -> np.ndarray | None:
    """The grid with the cells of `moving` (bool) shifted by (down, right); None where they would leave it or hit others."""
    places, rest = np.argwhere(moving), np.where(moving, 0, grid).astype(np.uint8)
    targets = places + step
    if not within(grid, targets) or rest[tuple(targets.T)].any():
        return None
    rest[tuple(targets.T)] = grid[tuple(places.T)]
    return rest


def slide(grid: np.ndarray, thing: Object, step) -> np.ndarray:
    """The grid with an object pushed on in the direction `step` until the edge or another cell stops it."""
    moving, pushed, steps = thing.mask(grid), grid, 0
    while (further := moved(grid, moving, np.multiply(step, steps + 1))) is not None:
        pushed, steps = further, steps + 1
    return pushed


@family("Objects of one or two colours move by the same vector in all grids; all others stay where they are.")
def shift_by_fixed_vector(rng):
    colours = pick_colours(rng, int(rng.integers(2, 5)))
    movers, step = colours[: max(1, len(colours) // 2)], rng.integers(-2, 3, 2)
    step = step if step.any() else np.array((1, 2))
    ghost = pick_colour(rng, (0, *colours)) if rng.random() < 0.25 else 0

    def rule(grid):
        moving = np.isin(grid, movers)
        shifted = moved(grid, moving, step) if moving.any() else None
        return shifted if shifted is None else np.where((shifted == 0) & moving, np.uint8(ghost), shifted)

    return lambda rng: blobs_scene(rng, colours, 4), rule, colours_in


@family("The whole picture is shifted by a fixed vector; what leaves on one side comes in on the opposite side.")
def roll_picture(rng):
    colours, density = pick_colours(rng, int(rng.integers(2, 6))), rng.uniform(0.3, 0.9)
    down, right = (int(n) for n in rng.integers(-2, 3, 2))
    if not down and not right:
        right = 1

    return lambda rng: noise(rng, *canvas(rng, 3, 8), colours, density), lambda grid: np.roll(grid, (down, right), (0, 1))


@family("Objects in line with the anchor move straight to it (or away from it) until something stops them; others stay.")
def approach_anchor(rng):
    anchor, *colours = pick_colours(rng, int(rng.integers(2, 5)))
    away = rng.random() < 0.2

    def scene(rng):
        grid = blank(*canvas(rng, 7, 10))
        place(rng, grid, blank(*sides(rng, 1, 3), anchor), margin=2)
        for _ in range(rng.integers(1, 5)):
            place(rng, grid, painted(blob(rng, rng.integers(1, 5), 2, 2), rng.choice(colours)))
        return grid

    def rule(grid):
        things = objects(grid)
        goal = [thing for thing in things if thing.colour == anchor]
        if len(goal) != 1:
            return None
        top, left, foot, right = goal[0].row, goal[0].column, goal[0].row + goal[0].height, goal[0].column + goal[0].width
        distances = []
        for thing in things:
            gaps = [thing.row - foot, top - thing.row - thing.height, thing.column - right, left - thing.column - thing.width]
            beside, above = max(gaps[:2]) < 0, max(gaps[2:]) < 0
            if thing is not goal[0] and beside != above:
                far = int(np.argmax(gaps))
                distances.append((gaps[far], thing, [(-1, 0), (1, 0), (0, -1), (0, 1)][far]))
        changed = grid
        for _, thing, step in sorted(distances, key=lambda item: -item[0] if away else item[0]):
            changed = slide(changed, thing, np.multiply(step, -1 if away else 1))
        return changed

    return scene, rule


@family("Every colour has its own direction: its objects slide that way until the edge or another object stops them.")
def colours_go_their_ways(rng):
    colours = pick_colours(rng, int(rng.integers(2, 4)))
    ways = dict(zip(colours, rng.permutation(STEPS)))
    still = pick_colour(rng, (0, *colours)) if rng.random() < 0.5 else None

    def scene(rng):
        return blobs_scene(rng, colours + [still] * (still is not None), 5, cells=4)

    def rule(grid):
        things = [thing for thing in objects(grid) if thing.colour != still]
        results = []
        for order in (things, things[::-1]):
            changed = grid
            for thing in order:
                changed = slide(changed, thing, ways[thing.colour])
            results.append(changed)
        return results[0] if np.array_equal(*results) else None

    return scene, rule, colours_in


@family("Tiles of one size change places: each goes where the next one to the right is, the last to the first place.")
def tiles_change_places(rng):
    tall, wide, count = *sides(rng, 2, 3), int(rng.integers(2, 4))
    colours, stray = pick_colours(rng, int(rng.integers(3, 7))), rng.random() < 0.5
    shift = int(rng.choice([-1, 1]))

    def scene(rng):
        grid = blank(*canvas(rng, 5, 10))
        for _ in range(count):
            place(rng, grid, noise(rng, tall, wide, rng.choice(colours, 2), 1))
        if stray:
            place(rng, grid, np.full((1, 1), rng.choice(colours), np.uint8))
        return grid

    def rule(grid):
        tiles = [thing for thing in objects(grid, by_colour=False) if thing.cells.shape == (tall, wide)]
        tiles.sort(key=lambda tile: tile.column)
        if len(tiles) != count or len({tile.column for tile in tiles}) < count:
            return None
        changed = grid.copy()
        for number, tile in enumerate(tiles):
            goal = tiles[(number + shift) % count]
            changed[goal.row : goal.row + tall, goal.column : goal.column + wide] = tile.colours
        return changed

    return scene, rule


@family("One object has a cell of the marking colour: it is copied (or moved) to every single mark, mark upon mark.")
def copy_to_marks(rng):
    mark, *colours = pick_colours(rng, int(rng.integers(2, 6)))
    moves, turned = rng.random() < 0.25, int(rng.choice([0, 0, 0, 2, 5]))

    def scene(rng):
        grid, shape = blank(*canvas(rng, 7, 10)), blob(rng, rng.integers(3, 7), 3, 3, diagonal=True)
        sprite = painted(shape, 1) * rng.choice(np.array(colours, np.uint8), shape.shape)
        cells = np.argwhere(sprite)
        sprite[tuple(cells[rng.integers(len(cells))])] = mark
        places = [place(rng, grid, apply_symmetry(sprite, turned if number else 0)) for number in range(rng.integers(2, 5))]
        for row, column in filter(None, places[1:]):
            copied = grid[row : row + sprite.shape[0], column : column + sprite.shape[1]]
            copied[copied != mark] = 0
        return grid

    def rule(grid):
        things = objects(grid, diagonal=True, by_colour=False)
        models = [thing for thing in things if thing.size > 1]
        if len(models) != 1 or (models[0].colours == mark).sum() != 1 or len(things) < 2:
            return None
        sprite = apply_symmetry(models[0].colours, turned)
        anchor, changed = np.argwhere(sprite == mark)[0], grid.copy()
        if moves:
            changed[models[0].mask(grid)] = 0
        for spot in (thing for thing in things if thing.size == 1):
            targets = np.argwhere(sprite) - anchor + (spot.row, spot.column)
            if spot.colour != mark or not within(grid, targets) or np.count_nonzero(changed[tuple(targets.T)]) > 1:
                return None
            changed[tuple(targets.T)] = sprite[sprite != 0]
        return changed

    return scene, rule


@family("Pieces move into the holes of their own shape; a piece that fits no hole stays outside (or vanishes).")
def jigsaw(rng):
    block, *colours = pick_colours(rng, int(rng.integers(3, 6)))
    spare_vanishes, spare = rng.random() < 0.3, rng.random() < 0.5

    def scene(rng):
        grid, inner = blank(*canvas(rng, 8, 11)), blank(*sides(rng, 4, 7))
        shapes = [blob(rng, rng.integers(1, 5), 3, 3) for _ in range(rng.integers(2, 4))]
        shapes = [shape for shape in shapes if place(rng, inner, painted(shape, 1), margin=1)]
        place(rng, grid, np.where(inner, 0, block).astype(np.uint8), gap=0)
        closed = np.where(enclosed(grid == 0), 10, grid).astype(np.uint8)  # 10: no piece is put into a hole
        if spare:
            shapes.append(blob(rng, rng.integers(2, 5), 3, 3))
        for shape in shapes:
            place(rng, closed, painted(shape, rng.choice(colours)))
        return np.where(closed == 10, 0, closed)

    def rule(grid):
        holes = [(hole, crop(hole, False)) for hole in regions(enclosed(grid == 0))]
        pieces = [thing for thing in objects(grid, by_colour=False) if block not in thing.colours]
        changed, filled = grid.copy(), 0
        for thing in pieces:
            fitting = [hole for hole, shape in holes if np.array_equal(shape, thing.cells)]
            if len(fitting) > 1 or sum(np.array_equal(thing.cells, other.cells) for other in pieces) > 1:
                return None
            if fitting or spare_vanishes:
                changed[thing.mask(grid)] = 0
            for hole in fitting:
                changed[hole] = thing.colour
                filled += 1
        return changed if filled else None

    return scene, rule


@family("A block moves along its row or column onto the mark of its size and leaves a trail (or none); without a mark it stays.")
def blocks_go_to_marks(rng):
    block, mark, trail, other = pick_colours(rng, 4)
    trail, size, lone = int(rng.choice([0, block, trail])), int(rng.integers(1, 3)), rng.uniform(0, 0.3)
    lying = rng.random() < 0.5

    def scene(rng):
        grid = blank(*canvas(rng, 6, 10))
        for row in range(rng.integers(0, 2), len(grid) - size + 1, size + 1):
            start, goal = rng.choice(grid.shape[1] - size + 1, 2, replace=False)
            if rng.random() < 0.6 and abs(start - goal) > size:
                if rng.random() >= lone:
                    grid[row : row + size, goal : goal + size] = mark
                grid[row : row + size, start : start + size] = block
            elif rng.random() < 0.2:
                grid[row, start] = other
        return grid if lying else grid.T

    def rule(grid):
        changed = grid.copy()
        view, result = (grid, changed) if lying else (grid.T, changed.T)
        for thing in objects(view):
            goals = [o for o in objects(view) if o.colour == mark and o.row == thing.row] if thing.colour == block else []
            for goal in goals:
                left, right = sorted((thing.column, goal.column))
                result[thing.row : thing.row + size, left : right + size] = trail
                result[goal.mask(view)] = block
        return changed

    return scene, rule


@family("Everything changes sides: each object goes to its mirror image beyond the line, in its own or a fixed colour.")
def cross_the_line(rng):
    line, *colours = pick_colours(rng, int(rng.integers(2, 6)))
    upright = rng.random() < 0.5
    image = pick_colour(rng, (0, line, *colours)) if rng.random() < 0.3 else 0

    def scene(rng):
        grid = blank(*canvas(rng, 5, 10))
        position = int(rng.integers(2, len(grid) - 2))
        grid[position] = line
        for _ in range(rng.integers(1, 4)):
            place(rng, grid, painted(blob(rng, rng.integers(1, 6), 3, 4), rng.choice(colours)), gap=0)
        return grid.T if upright else grid

    def rule(grid):
        lying = grid.T if upright else grid
        (position,) = np.flatnonzero((lying == line).all(1))
        places = np.argwhere((lying != 0) & (lying != line))
        targets = np.stack([2 * position - places[:, 0], places[:, 1]], 1)
        if not within(lying, targets):
            return None
        changed = np.where(lying == line, lying, 0)
        changed[tuple(targets.T)] = image or lying[tuple(places.T)]
        return changed.T if upright else changed

    return scene, rule


@family("A bar in the top row tells how far: the objects move so many cells in a fixed direction.")
def move_by_bar(rng):
    bar, *colours = pick_colours(rng, int(rng.integers(2, 6)))
    step, stays, erased = STEPS[rng.integers(1, 4)], rng.random() < 0.4 and len(colours) > 1, rng.random() < 0.3
    movers = colours[1:] if stays else colours

    def scene(rng):
        grid = blank(*canvas(rng, 6, 10))
        grid[0] = 10  # kept free for the bar
        for _ in range(rng.integers(1, 4)):
            place(rng, grid, painted(blob(rng, rng.integers(1, 6), 3, 3), rng.choice(colours)))
        grid[0] = 0
        grid[0, : rng.integers(1, 5)] = bar
        return grid

    def rule(grid):
        moving = np.isin(grid, movers)
        changed = moved(grid, moving, np.multiply(step, (grid[0] == bar).sum())) if moving.any() else None
        if changed is not None and erased:
            changed[0, grid[0] == bar] = 0
        return changed

    return scene, rule


@family("Empty rows and columns are taken out (or gaps narrowed to one); in some tasks only the rows, or only the columns.")
def close_gaps(rng):
    colours, density = pick_colours(rng, int(rng.integers(1, 6))), rng.uniform(0.1, 0.25)
    axes = [(True, True), (True, False), (False, True)][rng.integers(3)]
    one_left = rng.random() < 0.25  # several empty lines in a row leave one

    def scene(rng):
        return noise(rng, *canvas(rng, 4, 10), colours, density)

    def rule(grid):
        for axis, closes in enumerate(axes):
            full = grid.any(1 - axis)
            if closes:
                kept = full | (one_left & np.roll(full, 1) & (np.arange(len(full)) > 0))
                grid = np.compress(kept, grid, axis)
        return grid if grid.any() else None

    return scene, rule


@family("Two objects are put together so that their marked cells coincide; the output is what they form, or the whole grid.")
def join_at_marks(rng):
    mark, first, second = pick_colours(rng, 3)
    stay = rng.random() < 0.4  # the first object stays in its grid and the second comes to it

    def scene(rng):
        grid = blank(*canvas(rng, 6, 10))
        for colour in (first, second):
            sprite = painted(blob(rng, rng.integers(3, 7), 3, 3), colour)
            cells = np.argwhere(sprite)
            sprite[tuple(cells[rng.integers(len(cells))])] = mark
            if place(rng, grid, sprite) is None:
                return None
        return grid

    def rule(grid):
        parts = {int(max(thing.colours[thing.colours != mark])): thing for thing in objects(grid, by_colour=False)}
        anchor, other = parts[first], parts[second]
        (to,), (start,) = ([p for p in part.places if grid[p] == mark] for part in (anchor, other))
        wider = np.pad(np.where(other.mask(grid), np.uint8(0), grid), margin := 0 if stay else max(grid.shape))
        targets = np.array(other.places) - start + to + margin
        if not within(wider, targets) or np.count_nonzero(wider[tuple(targets.T)]) > 1:
            return None
        wider[tuple(targets.T)] = other.colours[other.cells]
        return wider if stay else crop(wider)

    return scene, rule


@family("The cells on the border of the picture move on along it by a fixed number of places; the inside stays.")
def border_conveyor(rng):
    colours, density = pick_colours(rng, int(rng.integers(2, 7))), rng.uniform(0.4, 1)
    places, filled = int(rng.choice([-3, -2, -1, 1, 2, 3])), rng.random() < 0.5

    def scene(rng):
        grid = noise(rng, *canvas(rng, 3, 7), colours, density)
        if not filled:
            grid[1:-1, 1:-1] = 0
        return grid

    def rule(grid):
        height, width = grid.shape
        around = [(0, c) for c in range(width - 1)] + [(r, width - 1) for r in range(height - 1)]
        around += [(height - 1, c) for c in range(width - 1, 0, -1)] + [(r, 0) for r in range(height - 1, 0, -1)]
        line, turned = tuple(np.transpose(around)), grid.copy()
        turned[line] = np.roll(grid[line], places)
        return turned

    return scene, rule


@family("Rows slide sideways by a scheme: every other row by one, each row one further than the last, or by the bar at its left.")
def rows_slide(rng):
    colours, density = pick_colours(rng, int(rng.integers(2, 6))), rng.uniform(0.3, 0.8)
    kind, wraps, by = str(rng.choice(["alternate", "stairs", "marked"])), rng.random() < 0.6, int(rng.choice([-2, -1, 1, 2]))
    mark = pick_colour(rng, (0, *colours))

    def scene(rng):
        grid = noise(rng, *canvas(rng, 3, 8), colours, density)
        if rng.random() < 0.5:
            grid[:] = grid[0]
        if kind == "marked":
            grid[:, 0] = np.where(rng.random(len(grid)) < 0.5, mark, 0)
        return grid

    def rule(grid):
        changed = grid.copy()
        for number, row in enumerate(grid):
            shift = {"alternate": number % 2, "stairs": number, "marked": int(row[0] == mark)}[kind] * by
            start = int(kind == "marked")
            line = np.roll(row[start:], shift)
            if not wraps and shift:
                line[slice(0, shift) if shift > 0 else slice(shift, None)] = 0
            changed[number, start:] = line
        return changed if changed.any() else None

    return scene, rule


@family("A block of four cells bursts: each cell flies off diagonally, a fixed number of steps or to the edge, or draws its way.")
def block_bursts(rng):
    colours, distance = pick_colours(rng, int(rng.integers(2, 6))), int(rng.choice([1, 2, 20]))
    drawn, core = rng.random() < 0.4, pick_colour(rng, (0, *colours)) if rng.random() < 0.3 else 0

    def scene(rng):
        grid = blank(*canvas(rng, 5, 10))
        for _ in range(rng.integers(1, 3)):
            place(rng, grid, noise(rng, 2, 2, colours, 1), margin=1)
        return grid

    def rule(grid):
        changed, hits = grid.copy(), np.zeros(grid.shape, int)
        for thing in objects(grid, by_colour=False):
            if thing.cells.shape != (2, 2):
                return None
            changed[thing.mask(grid)] = 0
            for r, c in ((0, 0), (0, 1), (1, 0), (1, 1)):
                way = [(thing.row + r + n * (2 * r - 1), thing.column + c + n * (2 * c - 1)) for n in range(distance + 1)]
                way = [spot for spot in way if within(grid, np.array(spot))]
                if distance < 20 and len(way) <= distance:
                    return None
                hits[tuple(np.transpose(way))] += 1
                changed[tuple(np.transpose(way if drawn else way[-1:]))] = thing.colours[r, c]
            if core:
                changed[thing.mask(grid)] = core
        return None if hits.max() > 1 else changed

    return scene, rule


@family("A frame is thrown off its content: the frame stays, what it held moves out by a fixed vector (or the other way round).")
def frame_and_content_part(rng):
    frame, *colours = pick_colours(rng, int(rng.integers(2, 5)))
    frame_moves, axis, sign = rng.random() < 0.5, int(rng.integers(2)), int(rng.choice([-1, 1]))

    def scene(rng):
        grid, content = blank(*canvas(rng, 6, 10)), blob(rng, rng.integers(1, 5), 2, 3)
        shape = np.pad(content, 1)
        sprite = np.where(shape, rng.choice(np.array(colours, np.uint8), shape.shape), painted(box_outline(*shape.shape), frame))
        place(rng, grid, sprite.astype(np.uint8))
        return grid

    def rule(grid):
        moving = (grid == frame) if frame_moves else (grid != frame) & (grid != 0)
        step = np.zeros(2, int)
        step[axis] = sign * (crop(grid).shape[axis] if frame_moves else crop(grid).shape[axis] - 1)
        return moved(grid, moving, step)

    return scene, rule
