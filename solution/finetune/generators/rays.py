"""Families about rays on their way: turned by signs, thrown back, wide as their source, changed or stopped by what they meet."""

import numpy as np

from .family import family
from .lines import DIAGONAL, STRAIGHT, ahead, paint, until
from .paths import place_of
from .scenes import blank, blob, canvas, objects, painted, pick_colours, place, scatter, up_to

Cell = tuple[int, int]


def inward(grid: np.ndarray, cell: Cell) -> int | None:
    """The heading (index into `STRAIGHT`) from a cell at the edge into the grid; None for corners and inner cells."""
    (row, column), (height, width) = cell, grid.shape
    at_edge = [row == height - 1, column == 0, row == 0, column == width - 1]
    return at_edge.index(True) if sum(at_edge) == 1 else None


def edge_cell(rng: np.random.Generator, grid: np.ndarray, heading: int, margin: int = 1) -> Cell:
    """A random cell of the edge from which `heading` leads inwards, `margin` or more cells from the corners."""
    height, width = grid.shape
    if heading % 2:
        return int(rng.integers(margin, height - margin)), 0 if heading == 1 else width - 1
    return height - 1 if heading == 0 else 0, int(rng.integers(margin, width - margin))


def legs_of_ray(grid: np.ndarray, cell: Cell, heading: int, turns: dict[int, int]) -> list[tuple[int, list[Cell]]] | None:
    """The straight legs of a ray from `cell`: (colour of the sign before the leg, cells). A coloured cell stops a leg; the ray
    turns there by the quarter turns of its colour, if any. None where the ray runs in a circle."""
    legs, seen, sign = [], set(), 0
    while (cell, heading) not in seen:
        seen.add((cell, heading))
        way = ahead(grid, cell, STRAIGHT[heading])
        leg = until(grid, way)
        legs.append((sign, leg))
        cell = leg[-1] if leg else cell
        sign = int(grid[way[len(leg)]]) if len(leg) < len(way) else 0
        if sign not in turns:
            return legs
        heading = (heading + turns[sign]) % 4
    return None


@family("A ray from the edge goes on to the next sign and turns before it; the colour of the sign says whether left or right.")
def ray_turns_at_signs(rng):
    start, trail, *signs = pick_colours(rng, 5)
    turns = {signs[0]: 1, signs[1]: -1} if rng.random() < 0.7 else {signs[0]: int(rng.choice([-1, 1]))}
    signs = signs[: len(turns) + (rng.random() < 0.4)]  # the colour without a turn ends the ray
    takes, trail = rng.random() < 0.35, start if rng.random() < 0.5 else trail

    def scene(rng):
        grid, heading = blank(*canvas(rng, 7, 10)), int(rng.integers(4))
        cell, free = edge_cell(rng, grid, heading), np.ones(grid.shape, bool)
        grid[cell] = start
        for _ in range(rng.integers(1, 5)):
            way = until(grid, ahead(grid, cell, STRAIGHT[heading]))
            stops = [n for n in range(1, len(way)) if free[way[n]]]
            if not stops:
                break
            stop = stops[rng.integers(len(stops))]
            sign = grid[way[stop]] = rng.choice(signs)
            paint(free, way[:stop], False)
            cell, heading = way[stop - 1], (heading + turns.get(int(sign), 0)) % 4
            if sign not in turns:
                break
        paint(free, ahead(grid, cell, STRAIGHT[heading]), False)
        blocked = np.where(free | (grid > 0), grid, 10).astype(np.uint8)
        scatter(rng, blocked, rng.integers(0, 1 + grid.size // 25), signs)
        return np.where(blocked == 10, 0, blocked)

    def legs(grid):
        cell = place_of(grid, start)
        heading = inward(grid, cell)
        return None if heading is None else legs_of_ray(grid, cell, heading, turns)

    def rule(grid):
        way, changed = legs(grid), grid.copy()
        if way is None or len(way) < 2:
            return None
        for sign, cells in way:
            paint(changed, cells, sign if takes and sign else trail)
        return changed

    def branches(grid):
        return {sign for sign, _ in legs(grid) or []}

    return scene, rule, branches


def bounced(shape: Cell, cell: Cell, step: Cell, bounces: int) -> list[list[Cell]] | None:
    """The legs of a diagonal ray that the edges throw back `bounces` times; it ends at the edge after. None where it comes into
    a corner before."""
    legs, step = [[]], list(step)
    while True:
        out = [axis for axis in (0, 1) if not 0 <= cell[axis] + step[axis] < shape[axis]]
        if out and len(legs) > bounces:
            return legs
        if len(out) == 2:
            return None
        for axis in out:
            step[axis] = -step[axis]
            legs.append([])
        cell = (cell[0] + step[0], cell[1] + step[1])
        legs[-1].append(cell)


@family("A dart flies on diagonally and is thrown back by the edges so many times; its way may change colour at every bounce.")
def dart_is_thrown_back(rng):
    head, tail, *ways = pick_colours(rng, 4)
    ways = [[head], ways[:1], ways, [head, tail]][rng.integers(4)]
    bounces = int(rng.integers(1, 4))

    def scene(rng):
        height, width = canvas(rng, 6, 10)
        grid, step = blank(height, width), DIAGONAL[rng.integers(4)]
        cell = (int(rng.integers(1, height - 1)), int(rng.integers(1, width - 1)))
        grid[cell] = head
        grid[cell[0] - step[0], cell[1] - step[1]] = tail
        return grid

    def rule(grid):
        cell, end = place_of(grid, head), place_of(grid, tail)
        step = (cell[0] - end[0], cell[1] - end[1])
        legs = bounced(grid.shape, cell, step, bounces) if step in DIAGONAL else None
        if legs is None or len(legs[0]) + len(legs[-1]) < 3:
            return None
        changed = grid.copy()
        for number, leg in enumerate(legs):
            paint(changed, [c for c in leg if not grid[c]], ways[number % len(ways)])
        return changed

    return scene, rule


@family("A block with a mouth sends out a beam as wide as itself, from mouth or back, up to the next block (or under it).")
def beam_as_wide_as_block(rng):
    body, *mouths = pick_colours(rng, int(rng.integers(2, 5)))
    backwards, outer = rng.random() < 0.3, rng.random() < 0.3
    passes = rng.random() < 0.25  # beams go on behind the other blocks

    def scene(rng):
        grid = blank(*canvas(rng, 8, 11))
        for _ in range(up_to(rng, 1, 4, grid.size / 30)):
            block = np.full((rng.integers(2, 4), rng.integers(3 if outer else 2, 5)), body, np.uint8)
            block[0] = rng.choice(mouths, block.shape[1]) if rng.random() < 0.5 else rng.choice(mouths)
            place(rng, grid, np.rot90(block, rng.integers(4)))
        return grid

    def rule(grid):
        beams = blank(*grid.shape)
        for thing in objects(grid, by_colour=False):
            turned = [np.rot90(thing.colours, k) == body for k in range(4)]
            headings = [k for k, is_body in enumerate(turned) if is_body[1:].all() and not is_body[0].any()]
            if len(headings) != 1:
                return None
            step = STRAIGHT[(headings[0] + 2 * backwards) % 4]
            cells = thing.places
            lanes = [cell for cell in cells if grid[cell] != body]
            for cell in (lanes[0], lanes[-1]) if outer else lanes:
                way = [spot for spot in ahead(grid, cell, step) if spot not in cells]
                way = [spot for spot in way if not grid[spot]] if passes else until(grid, way)
                if any(beams[spot] not in (0, grid[cell]) for spot in way):
                    return None
                paint(beams, way, grid[cell])
        return np.where(grid == 0, beams, grid)

    return scene, rule


def bands(rng: np.random.Generator, height: int, width: int, colours) -> np.ndarray:
    """Upright bands, neighbours in different colours or blank, the leftmost blank."""
    grid, column, last = blank(height, width), int(rng.integers(1, 3)), 0
    while column < width:
        thick = int(rng.integers(1, 4))
        last = grid[:, column : column + thick] = rng.choice([c for c in (0, *colours) if c != last])
        column += thick
    return grid


@family("Lines run from the marks at one edge across the picture; on each field they have the colour that goes with its colour.")
def line_takes_colour_of_field(rng):
    mark, *colours = pick_colours(rng, 6)
    fields, fresh = colours[:2], colours[2:]
    second = [fresh[1], fields[1], mark, fields[0]][rng.choice(4, p=[0.55, 0.15, 0.1, 0.2])]
    inks = {fields[0]: fresh[0], fields[1]: second}
    in_bands, quarter = rng.random() < 0.4, int(rng.integers(4))
    step = (0, 1) if rng.random() < 0.7 else ((1, 1), (-1, 1))[rng.integers(2)]

    def scene(rng):
        height, width = canvas(rng, 6, 10)
        grid = bands(rng, height, width, fields) if in_bands else blank(height, width)
        for _ in range(0 if in_bands else rng.integers(2, 4 + grid.size // 60)):
            patch = np.full(rng.integers(2, 5, 2), rng.choice(fields), np.uint8)
            place(rng, grid[:, 1:], patch, gap=int(rng.integers(2)))
        rows = np.flatnonzero(grid.any(1)) if step == (0, 1) else np.arange(height)
        grid[rng.permutation(rows)[: rng.integers(1, 4)], 0] = mark
        return np.rot90(grid, quarter)

    def lines(grid):
        upright = np.rot90(grid, -quarter)
        return [ahead(upright, (int(row), 0), step) for row in np.flatnonzero(upright[:, 0] == mark)]

    def rule(grid):
        changed, upright = grid.copy(), np.rot90(grid, -quarter)
        view = np.rot90(changed, -quarter)
        cells = [cell for line in lines(grid) for cell in line]
        for cell in cells:
            view[cell] = inks.get(int(upright[cell]), mark)
        return changed if any(upright[cell] == fields[0] for cell in cells) else None

    def branches(grid):
        return {int(np.rot90(grid, -quarter)[cell]) for line in lines(grid) for cell in line}

    return scene, rule, branches


@family("Rays run inwards from the edge: things of one colour stop them, under others they go on, through others they cut.")
def rays_stop_pass_or_cut(rng):
    emitter, last, *colours = pick_colours(rng, 5)
    colours = colours[: rng.integers(2, 4)]
    roles = dict(zip(colours, rng.permutation(["stops", "passes", "cut"]).tolist()))
    last = last if rng.random() < 0.4 and "stops" in roles.values() else 0  # the colour of a stopped ray's last cell
    headings = rng.permutation(4)[: rng.integers(1, 3)]

    def scene(rng):
        grid = blank(*canvas(rng, 7, 10))
        for _ in range(rng.integers(2, 4 + grid.size // 50)):
            shape = blob(rng, rng.integers(2, 7), 3, 3) if rng.random() < 0.5 else np.ones(rng.integers(1, 4, 2), bool)
            place(rng, grid, painted(shape, rng.choice(colours)), gap=int(rng.integers(2)), margin=1)
        for _ in range(rng.integers(2, 4 + grid.size // 80)):
            heading = int(rng.choice(headings))
            cell = edge_cell(rng, grid, heading)
            if any(grid[spot] for spot in ahead(grid, cell, STRAIGHT[heading])) or rng.random() < 0.3:
                grid[cell] = emitter
        return grid

    def things_met(grid):
        """For every ray: its free cells, the cells it goes through or under, and whether it is stopped."""
        for cell in map(tuple, np.argwhere(grid == emitter)):
            way = ahead(grid, cell, STRAIGHT[inward(grid, cell)])
            stop = next((n for n, spot in enumerate(way) if roles.get(int(grid[spot])) == "stops"), len(way))
            yield [s for s in way[:stop] if not grid[s]], [s for s in way[:stop] if grid[s]], stop < len(way)

    def rule(grid):
        changed, ends = grid.copy(), []
        if any(inward(grid, cell) is None for cell in np.argwhere(grid == emitter)):
            return None
        for free, met, stopped in things_met(grid):
            paint(changed, free + [spot for spot in met if roles.get(int(grid[spot])) == "cut"], emitter)
            ends += free[-1:] if stopped and last else []
        paint(changed, ends, last)
        return changed if branches(grid) else None

    def branches(grid):
        rays = list(things_met(grid))
        return {int(grid[spot]) for _, met, _ in rays for spot in met} | {"stopped" for *_, stopped in rays if stopped}

    return scene, rule, branches


STAMPS = {
    "dot": np.eye(1, dtype=bool),
    "plus": np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], bool),
    "cross": np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]], bool),
    "block": np.ones((3, 3), bool),
}


@family("Points at the edges send rays across; where two meet a mark is set, one for rays of equal colour, another for unequal.")
def meeting_rays_marked(rng):
    like, unlike, *colours = pick_colours(rng, 4)
    like = int(rng.choice([0, like, unlike]))  # 0: no mark where equal rays meet
    drawn, stamp = rng.random() < 0.7, STAMPS[rng.choice(list(STAMPS))]
    apart = 2 if stamp.size == 1 else 4  # marks do not touch
    like = like if drawn else unlike

    def places(rng, side, count):
        return rng.permutation(np.arange(rng.integers(2, 2 + min(apart, side - 4)), side - 2, apart))[:count]

    def scene(rng):
        height, width = canvas(rng, 7, 10)
        grid, many = blank(height, width), up_to(rng, 1, 4, height * width / 30)
        for row in places(rng, height, many):
            grid[row, rng.choice([0, -1])] = rng.choice(colours)
        for column in places(rng, width, many):
            grid[rng.choice([0, -1]), column] = rng.choice(colours)
        return grid

    def meetings(grid):
        """The rows' and the columns' colours, and (row, column) of every meeting."""
        rows, columns = grid[:, [0, -1]].max(1), grid[[0, -1]].max(0)
        return rows, columns, [(int(r), int(c)) for r in np.flatnonzero(rows) for c in np.flatnonzero(columns)]

    def rule(grid):
        rows, columns, met = meetings(grid)
        changed, reach = grid.copy(), len(stamp) // 2
        if not met:
            return None
        if drawn:
            lines = np.maximum(rows[:, None], columns)
            changed = np.where(grid == 0, lines, grid).astype(np.uint8)
        for r, c in met:
            ink = like if rows[r] == columns[c] else unlike
            if ink:
                changed[r - reach : r + reach + 1, c - reach : c + reach + 1][stamp] = ink
        return changed

    def branches(grid):
        rows, columns, met = meetings(grid)
        return {bool(rows[r] == columns[c]) for r, c in met}

    return scene, rule, branches


@family("A ray runs across the grid and steps aside along every wall it meets, to the side that the wall's colour tells.")
def ray_steps_round_walls(rng):
    start, trail, *walls = pick_colours(rng, 4)
    trail = start if rng.random() < 0.5 else trail
    aside = dict(zip(walls, (1, -1))) if rng.random() < 0.6 else {walls[0]: int(rng.choice([-1, 1]))}
    quarter = int(rng.integers(4))

    def scene(rng):
        grid = blank(*canvas(rng, 7, 10))
        for column in range(2, grid.shape[1], int(rng.integers(2, 4))):
            for _ in range(1 + grid.shape[0] // 9):
                bar = np.full((rng.integers(2, 5), 1), rng.choice(list(aside)), np.uint8)
                place(rng, grid[:, column : column + 1], bar)
        rows = np.flatnonzero(grid.any(1))
        grid[rng.choice(rows), 0] = start
        return np.rot90(grid, quarter)

    def walk(upright):
        """The cells of the ray's way and the walls it meets; None where it cannot go on."""
        row, column = place_of(upright, start)
        way, met = [], set()
        while column + 1 < upright.shape[1]:
            wall = int(upright[row, column + 1])
            if wall:
                met.add(wall)
                row += aside.get(wall, 0)
            else:
                column += 1
            if not 0 <= row < upright.shape[0] or upright[row, column] or (row, column) in way:
                return None
            way.append((row, column))
        return way, met

    def rule(grid):
        found, changed = walk(np.rot90(grid, -quarter)), grid.copy()
        if found is None or not found[1]:
            return None
        paint(np.rot90(changed, -quarter), found[0], trail)
        return changed

    def branches(grid):
        return walk(np.rot90(grid, -quarter))[1]

    return scene, rule, branches


def two_ways(first: Cell, second: Cell) -> list[list[Cell]]:
    """The two ways with one bend from the upper end to the lower, ends included: along the row first, along the column first."""
    (top, a), (bottom, b) = sorted((first, second))
    turn = 1 if b > a else -1
    across, down = list(range(a, b + turn, turn)), list(range(top, bottom + 1))
    return [[(top, c) for c in across] + [(r, b) for r in down[1:]], [(r, a) for r in down] + [(bottom, c) for c in across[1:]]]


@family("Two ends of one colour are joined with one bend: where no wall is, by their colour, or near (or far from) the magnet.")
def bend_is_chosen(rng):
    other, line, *ends = pick_colours(rng, 4)
    kind, own = str(rng.choice(["colour", "wall", "magnet"])), rng.random() < 0.6
    first_way, near = int(rng.integers(2)), rng.random() < 0.6

    def scene(rng):
        grid = blank(*canvas(rng, 6, 10))
        for colour in rng.permutation(ends)[: 2 if kind == "colour" else rng.integers(1, 3)]:
            free = np.argwhere(grid == 0)
            one = free[rng.integers(len(free))]
            others = free[np.abs(free - one).min(1) > 1]
            if not len(others):
                return None
            one, two = (tuple(map(int, spot)) for spot in (one, others[rng.integers(len(others))]))
            grid[one] = grid[two] = colour
            if kind == "wall":
                inner = [spot for spot in two_ways(one, two)[rng.integers(2)][1:-1] if not grid[spot]]
                paint(grid, [inner[n] for n in rng.permutation(len(inner))[: rng.integers(1, 4)]], other)
        if kind == "wall":
            scatter(rng, grid, rng.integers(0, 4), [other])
        elif kind == "magnet":
            scatter(rng, grid, 1, [other])
        return grid

    def chosen(grid):
        """The number of the way of every colour; None where a pair has no such way."""
        numbers = {}
        for colour in ends:
            pair = [(int(r), int(c)) for r, c in np.argwhere(grid == colour)]
            if not pair:
                continue
            if len(pair) != 2 or pair[0][0] == pair[1][0] or pair[0][1] == pair[1][1]:
                return None
            ways = two_ways(*pair)
            if kind == "colour":
                fit = [first_way ^ (colour == ends[0])]
            elif kind == "wall":
                fit = [n for n, way in enumerate(ways) if not any(grid[spot] == other for spot in way)]
            else:
                row, column = place_of(grid, other)
                corners = [(pair[0][0], pair[1][1]), (pair[1][0], pair[0][1])]
                gaps = [abs(r - row) + abs(c - column) for r, c in corners]
                fit = [] if gaps[0] == gaps[1] else [int((gaps[0] < gaps[1]) != near)]
            if len(fit) != 1 or any(grid[spot] for spot in ways[fit[0]][1:-1]):
                return None
            numbers[colour] = (fit[0], ways[fit[0]])
        return numbers or None

    def rule(grid):
        found, changed = chosen(grid), grid.copy()
        if found is None or (kind == "magnet" and not (grid == other).any()):
            return None
        for colour, (_, way) in found.items():
            if any(changed[spot] for spot in way[1:-1]):
                return None
            paint(changed, way[1:-1], colour if own else line)
        return changed

    def branches(grid):
        return set(found) if kind == "colour" and (found := chosen(grid)) else set()

    return scene, rule, branches


@family("From the first end a line goes diagonally until it is in line with the second one (or first straight, then diagonally).")
def diagonal_and_straight(rng):
    first, second, ink, *walls = pick_colours(rng, 4)
    ink, straight_first = int(rng.choice([ink, first, second])), rng.random() < 0.4
    wall = walls[0] if rng.random() < 0.5 else 0

    def scene(rng):
        grid = blank(*canvas(rng, 6, 10))
        for colour in (first, second):
            scatter(rng, grid, 1, [colour])
        if wall:
            scatter(rng, grid, up_to(rng, 1, 6, grid.size / 20), [wall])
        return grid

    def rule(grid):
        (row, column), goal = place_of(grid, first), place_of(grid, second)
        gaps = np.subtract(goal, (row, column))
        slant = int(np.abs(gaps).min())
        if slant < 2 or np.ptp(np.abs(gaps)) < 2:
            return None
        steps = [np.sign(gaps)] * slant
        straight = [np.sign(gaps) * (np.abs(gaps) > slant)] * int(np.ptp(np.abs(gaps)))
        steps = straight + steps if straight_first else steps + straight
        way = [tuple(map(int, cell)) for cell in np.cumsum(steps[:-1], 0) + (row, column)]
        if any(grid[cell] for cell in way):
            return None
        changed = grid.copy()
        paint(changed, way, ink)
        return changed

    return scene, rule
