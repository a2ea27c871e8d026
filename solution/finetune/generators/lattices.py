"""Families about lattices: lines divide the grid into rooms, which are chosen, counted, filled, copied or shrunk to a cell.

Lines are the full rows and columns of the line colour; nothing in a room has that colour.
"""

from itertools import product

import numpy as np
from scipy import ndimage

from .family import family
from .scenes import FOUR, blank, blob, canvas, crop, draw, noise, painted, pick_colours, scatter
from .symmetry import one_of

Sides = tuple[tuple[int, ...], tuple[int, ...]]
"""The heights of the rows of rooms and the widths of the columns of rooms."""
Room = tuple[slice, slice]
DOWN = np.array([[0, 1, 0]] * 3, bool)
STEPS = ((-1, 0), (1, 0), (0, -1), (0, 1))
DIAGONALS = ((-1, -1), (-1, 1), (1, -1), (1, 1))


def lattice_sides(rng, rooms=(2, 4), side=(2, 4), even: bool = True, odd: bool = False):
    """A function that draws the sides of a lattice which fills the task's canvas as far as equal rooms can.

    `rooms` and `side`: the fewest and the most rooms along an axis, and cells along a room. `even`: all rooms have one size,
    else rooms may be longer than `side` says. `odd`: an odd number of rooms along both axes.
    """
    kinds = [(n, s) for n, s in product(range(rooms[0], rooms[1] + 1), range(side[0], side[1] + 1)) if not odd or n % 2]
    shortest, alike = min(n * (s + 1) - 1 for n, s in kinds), rng.random() < 0.7

    def axis(rng, length: int) -> tuple[int, ...]:
        fitting = [(n, s) for n, s in kinds if n * (s + 1) - 1 <= length] or [min(kinds)]
        if rng.random() < 0.75:
            fitting = [(n, s) for n, s in fitting if n > 2] or fitting
        if even:
            longest = max(n * (s + 1) for n, s in fitting)
            count, cells = one_of(rng, [(n, s) for n, s in fitting if n * (s + 1) == longest])
            return (cells,) * count
        count = one_of(rng, sorted({n for n, _ in fitting}))
        spare = length - count * (side[0] + 1) + 1
        added = np.bincount(rng.integers(count, size=max(spare, 0)), minlength=count)
        return tuple(int(side[0] + n) for n in added)

    def draw_sides(rng) -> Sides:
        height, width = canvas(rng, max(6, shortest), 11)
        heights = axis(rng, height)
        return heights, heights if alike and even and height == width else axis(rng, width)

    return draw_sides


def drawn(heights, widths, line: int, ground: int = 0) -> np.ndarray:
    """An empty lattice."""
    across, down = (np.concatenate([np.append(np.zeros(s, bool), True) for s in sides])[:-1] for sides in (heights, widths))
    return np.where(across[:, None] | down, np.uint8(line), np.uint8(ground))


def spans(is_line: np.ndarray) -> list[slice]:
    """The stretches between lines."""
    ends = np.flatnonzero(np.concatenate([[True], is_line, [True]]))
    return [slice(int(a), int(b) - 1) for a, b in zip(ends, ends[1:]) if b - a > 1]


def rooms_of(grid: np.ndarray, line: int) -> list[list[Room]] | None:
    """The rooms, row by row; None where lines do not cross the grid both ways."""
    across, down = ((grid == line).all(axis) for axis in (1, 0))
    if not across.any() or not down.any() or across.all():
        return None
    return [[(rows, columns) for columns in spans(down)] for rows in spans(across)]


def listed(rooms: list[list[Room]]) -> list[tuple[int, int, Room]]:
    """Every room with its row and column among the rooms."""
    return [(r, c, room) for r, row in enumerate(rooms) for c, room in enumerate(row)]


def holding(grid: np.ndarray, rooms: list[list[Room]], colour: int) -> list[tuple[int, int]]:
    """The places among the rooms of those that hold a colour."""
    return [(r, c) for r, c, room in listed(rooms) if (grid[room] == colour).any()]


def dots(rng, view: np.ndarray, count: int, colours) -> None:
    """Colour `count` random cells of an empty room, each in one of `colours`."""
    places = rng.permutation(view.size)[:count]
    chosen = rng.integers(len(colours), size=len(places))
    view[np.unravel_index(places, view.shape)] = np.array(colours, np.uint8)[chosen]


@family("One room is chosen (corner, centre, beside or opposite a marked one): it is cut out, filled, walled in or kept alone.")
def room_by_position(rng):
    line, ink, guide, *colours = pick_colours(rng, int(rng.integers(4, 7)))
    where = one_of(rng, ("corner", "centre", "beside", "beside", "opposite"))
    corner, step = one_of(rng, list(product((0, -1), repeat=2))), one_of(rng, STEPS + DIAGONALS)
    does, density = one_of(rng, ("cut", "fill", "only", "walls")), one_of(rng, (0.25, 0.6))
    rooms, side = (2, 4) if where == "corner" else (3, 5), (1, 3) if where == "centre" else (2, 4)
    draw_sides = lattice_sides(rng, rooms, side, odd=where == "centre")

    def scene(rng):
        grid = drawn(*draw_sides(rng), line)
        rows, columns = np.nonzero(grid == 0)
        grid[rows, columns] = noise(rng, 1, len(rows), colours, density)[0]
        if where in ("beside", "opposite"):
            cell = rng.integers(len(rows))
            grid[rows[cell], columns[cell]] = guide
        return grid

    def rule(grid):
        rooms = rooms_of(grid, line)
        if rooms is None:
            return None
        tall, wide = len(rooms), len(rooms[0])
        row, column = corner if where == "corner" else (tall // 2, wide // 2)
        if where in ("beside", "opposite"):
            marked = holding(grid, rooms, guide)
            if len(marked) != 1:
                return None
            row, column = (a + b for a, b in zip(marked[0], step))
            if where == "opposite":
                row, column = tall - 1 - marked[0][0], wide - 1 - marked[0][1]
            if not (0 <= row < tall and 0 <= column < wide) or (row, column) == marked[0]:
                return None
        rows, columns = room = rooms[row][column]
        if not grid[room].any():
            return None
        if does == "cut":
            return grid[room]
        output = grid.copy()
        if does == "fill":
            output[room] = ink
        elif does == "only":
            output[grid != line] = 0
            output[room] = grid[room]
        else:
            walls = output[max(rows.start - 1, 0) : rows.stop + 1, max(columns.start - 1, 0) : columns.stop + 1]
            walls[walls == line] = ink
        return output

    return scene, rule


@family("The output counts the lattice: a cell for each room, each crossing of lines, or each room in one strip.")
def size_of_lattice(rng):
    counted, paint = one_of(rng, ("rooms", "crossings", "strip", "frame")), one_of(rng, ("ground", "line", "checks"))
    speck, *inks = pick_colours(rng, int(rng.integers(3, 7)))
    specks, bare = rng.random() < 0.5, rng.random() < 0.6  # `bare`: the rooms are blank
    draw_sides = lattice_sides(rng, (2, 5), (1, 4), even=False)

    def scene(rng):
        line, ground = rng.permutation(inks)[:2]
        grid = drawn(*draw_sides(rng), line, 0 if bare else ground)
        if specks:
            scatter(rng, grid, int(rng.integers(1, 6)), [speck], 0 if bare else int(ground))
        return grid

    def rule(grid):
        full = [int(row[0]) for row in grid if len(set(row.tolist())) == 1]
        line = next((c for c in full if c not in (0, speck) and rooms_of(grid, c) is not None), None)
        if line is None:
            return None
        rooms = rooms_of(grid, line)
        ground = next((int(c) for c in grid.flat if c not in (line, speck)), None)
        if ground is None:
            return None
        tall, wide = len(rooms), len(rooms[0])
        if counted == "crossings":
            tall, wide = tall - 1, wide - 1
        if counted == "strip":
            tall, wide = 1, tall * wide
        if wide > 30:
            return None
        if counted == "frame":  # a frame that holds a cell for each room
            return np.pad(blank(tall, wide, ground), 1, constant_values=line)
        solid = {"ground": ground or line, "line": line, "checks": line}[paint]
        output = blank(tall, wide, solid)
        if paint == "checks":
            output[np.indices(output.shape).sum(0) % 2 == 1] = ground
        return output

    return scene, rule


@family("A mark fills its room, its row of rooms, its column or both with its colour; other rooms are cleared or stay.")
def marks_fill_rooms(rng):
    line, speck, ink, *marks = pick_colours(rng, int(rng.integers(4, 7)))
    reach, clears = one_of(rng, ("room", "room", "row", "column", "cross")), rng.random() < 0.6
    fills = one_of(rng, ("mark's colour", "mark's colour", "ink", "around")) if reach == "room" else "mark's colour"
    draw_sides = lattice_sides(rng, (2, 5), (2, 4), even=rng.random() < 0.6)
    density = one_of(rng, (0.15, 0.35, 0.35))

    def scene(rng):
        grid = drawn(*draw_sides(rng), line)
        free = grid == 0
        grid[free] = noise(rng, 1, int(free.sum()), [speck], density)[0]
        count = int(rng.integers(2, 6)) if reach == "room" else int(rng.integers(1, 3))
        for cell in rng.permutation(np.argwhere(free))[:count]:
            grid[tuple(cell)] = one_of(rng, marks)
        return grid

    def rule(grid):
        rooms, output = rooms_of(grid, line), grid.copy()
        if rooms is None:
            return None
        if clears:
            output[grid == speck] = 0
        claims = {}
        for row, column, room in listed(rooms):
            held = [int(c) for c in np.unique(grid[room]) if c in marks]
            for r, c, _ in listed(rooms) if held else ():
                same_row, same_column = r == row, c == column
                if {"room": same_row and same_column, "row": same_row, "column": same_column}.get(reach, same_row or same_column):
                    claims.setdefault((r, c), set()).update(held)
        if not claims or len(claims) == len(listed(rooms)) or any(len(c) > 1 for c in claims.values()):
            return None
        for (row, column), held in claims.items():
            room = rooms[row][column]
            output[room] = held.pop() if fills == "mark's colour" else ink
            if fills == "around":
                output[room] = np.where(np.isin(grid[room], marks), grid[room], np.uint8(ink))
        return output

    return scene, rule


@family("The pattern of one room comes into every room with a single dot: as it is, mirrored, or in the colour of the dot.")
def pattern_into_dotted_rooms(rng):
    line, *colours = pick_colours(rng, int(rng.integers(3, 6)))
    dots = colours if rng.random() < 0.5 else colours[:1]
    ink, flip = one_of(rng, ("own", "dot's")), one_of(rng, ("none", "none", "left-right", "up-down"))
    clears = flip == "none" and rng.random() < 0.4  # the first pattern vanishes
    middle = rng.random() < 0.5  # dots are in the middle of rooms
    draw_sides = lattice_sides(rng, (2, 4), (2, 4))

    def scene(rng):
        heights, widths = draw_sides(rng)
        if flip != "none" and min(heights[0], widths[0]) < 2:
            return None
        grid = drawn(heights, widths, line)
        first, *others = [room for _, _, room in rng.permutation(np.array(listed(rooms_of(grid, line)), object))]
        tall, wide = heights[0], widths[0]
        cells = int(rng.integers(3, max(4, tall * wide - 1)))
        kinds = [one_of(rng, colours)] if rng.random() < 0.4 else colours
        shape = np.zeros(tall * wide, bool)
        shape[rng.permutation(shape.size)[: min(cells, shape.size - 1)]] = True
        grid[first] = noise(rng, tall, wide, kinds, 1.0) * shape.reshape(tall, wide)
        for room in others[: int(rng.integers(1, max(2, len(others) // 2 + 1)))]:
            cell = (tall // 2, wide // 2) if middle else (rng.integers(tall), rng.integers(wide))
            grid[room][tuple(cell)] = one_of(rng, dots)
        return grid

    def rule(grid):
        rooms, output = rooms_of(grid, line), grid.copy()
        if rooms is None:
            return None
        filled = [(room, int(np.count_nonzero(grid[room]))) for _, _, room in listed(rooms)]
        patterns = [room for room, count in filled if count > 1]
        if len(patterns) != 1 or len({grid[room].shape for room, _ in filled}) > 1:
            return None
        pattern = grid[patterns[0]]
        pattern = {"none": pattern, "left-right": pattern[:, ::-1], "up-down": pattern[::-1]}[flip]
        if flip != "none" and np.array_equal(pattern, grid[patterns[0]]):
            return None
        for room, count in filled:
            if count == 1:
                output[room] = pattern if ink == "own" else painted(pattern != 0, int(grid[room].max()))
        if clears:
            output[patterns[0]] = 0
        return output

    return scene, rule


@family("Every room shrinks to one cell that tells its corner cell, its only odd cell, or whether it holds a colour or a count.")
def one_cell_a_room(rng):
    tells = one_of(rng, ("holds", "count", "at least", "corner", "odd cell", "colours"))
    line, ink, other, *colours = pick_colours(rng, int(rng.integers(5, 8)))
    other = 0 if rng.random() < 0.7 else other
    number, corner = int(rng.integers(2, 4)), one_of(rng, list(product((0, -1), repeat=2)))
    draw_sides = lattice_sides(rng, (2, 5), (2, 4))

    def scene(rng):
        grid = drawn(*draw_sides(rng), line)
        for _, _, room in listed(rooms_of(grid, line)):
            tall, wide = grid[room].shape
            if tells == "odd cell":
                one, odd = rng.permutation(colours)[:2]
                grid[room] = one
                grid[room][rng.integers(tall), rng.integers(wide)] = odd
            elif tells == "corner":
                grid[room] = noise(rng, tall, wide, colours, 0.7)
            else:
                most = min(tall * wide, number + 2)
                dots(rng, grid[room], int(rng.integers(0 if tells == "holds" else 1, most + 1)), colours)
        return grid

    def rule(grid):
        rooms = rooms_of(grid, line)
        if rooms is None:
            return None
        output = blank(len(rooms), len(rooms[0]))
        for row, column, room in listed(rooms):
            counts = np.bincount(grid[room].ravel(), minlength=10)
            if tells == "corner":
                output[row, column] = grid[room][corner]
            elif tells == "odd cell":
                if sorted(counts)[-3:-1] != [0, 1] or sorted(counts)[-1] < 2:
                    return None
                output[row, column] = np.flatnonzero(counts == 1)[0]
            else:
                cells = int(counts[1:].sum())
                fits = {"holds": counts[colours[0]] > 0, "count": cells == number, "at least": cells >= number,
                        "colours": np.count_nonzero(counts[1:]) >= number}[tells]  # fmt: skip
                output[row, column] = ink if fits else other
        return output if len(np.unique(output)) > 1 else None

    return scene, rule


@family("One room is unlike the others in its number of dots, its colour or its shape: it is cut out, mapped, filled or kept.")
def odd_room_out(rng):
    oddity, does = one_of(rng, ("count", "colour", "shape")), one_of(rng, ("cut", "map", "fill", "only"))
    line, ink, *colours = pick_colours(rng, int(rng.integers(4, 7)))
    draw_sides = lattice_sides(rng, (2, 4), (3, 4) if oddity == "shape" else (2, 4))

    def scene(rng):
        heights, widths = draw_sides(rng)
        grid = drawn(heights, widths, line)
        rooms = [room for _, _, room in listed(rooms_of(grid, line))]
        if len(rooms) < 4:
            return None
        odd, area = int(rng.integers(len(rooms))), heights[0] * widths[0]
        usual, strange = rng.permutation(min(area - 1, 5))[:2] + 1
        hues = rng.permutation(colours)[:2]
        cells = int(rng.integers(3, 6))
        shapes = [blob(rng, cells, min(3, heights[0]), min(3, widths[0])) for _ in range(2)]
        for number, room in enumerate(rooms):
            view = grid[room]
            if oddity == "count":
                dots(rng, view, int(strange if number == odd else usual), colours)
            elif oddity == "colour":
                dots(rng, view, int(rng.integers(1, min(area, 5))), [hues[int(number == odd)]])
            else:
                shape = shapes[int(number == odd)]
                top, left = (int(rng.integers(a - b + 1)) for a, b in zip(view.shape, shape.shape))
                draw(view, painted(shape, one_of(rng, colours)), top, left)
        return grid

    def rule(grid):
        rooms = rooms_of(grid, line)
        if rooms is None:
            return None
        keys = []
        for _, _, room in listed(rooms):
            cells = crop(grid[room]) != 0
            kinds = tuple(int(c) for c in np.unique(grid[room]) if c)
            keys.append({"count": int(cells.sum()), "colour": kinds, "shape": (cells.shape, cells.tobytes())}[oddity])
        odd = [number for number, key in enumerate(keys) if keys.count(key) == 1]
        if len(odd) != 1 or len(set(keys)) != 2 or not grid[listed(rooms)[odd[0]][2]].any():
            return None
        row, column, room = listed(rooms)[odd[0]]
        if does == "cut":
            return grid[room]
        output = blank(len(rooms), len(rooms[0])) if does == "map" else grid.copy()
        if does == "map":
            output[row, column] = ink
        elif does == "fill":
            output[room] = ink
        else:
            output[grid != line] = 0
            output[room] = grid[room]
        return output

    return scene, rule


@family("The lines of the lattice, whole or only the wall of one room, take the colour of the cells that touch them.")
def lines_take_touched_colour(rng):
    line, *colours = pick_colours(rng, int(rng.integers(2, 6)))
    whole, on_top = rng.random() < 0.5, one_of(rng, ("rows", "columns", "neither"))
    stays, axes = rng.random() < 0.6, one_of(rng, ("both", "both", "rows", "columns"))
    draw_sides = lattice_sides(rng, (2, 4), (2, 5), even=rng.random() < 0.6)

    def scene(rng):
        grid = drawn(*draw_sides(rng), line)
        near = ndimage.binary_dilation(grid == line, FOUR) & (grid == 0)
        for cells, count in ((near, rng.integers(1, 3 if whole else 6)), (~near & (grid == 0), rng.integers(0, 4))):
            for row, column in rng.permutation(np.argwhere(cells))[:count]:
                grid[row, column] = one_of(rng, colours)
        return grid

    def rule(grid):
        rooms = rooms_of(grid, line)
        if rooms is None:
            return None
        output = grid.copy()
        if not stays:
            output[grid != line] = 0
        touched = False
        order = ("columns", "rows") if on_top == "rows" else ("rows", "columns")
        for axis in order:
            if axes not in ("both", axis):
                continue
            seen, painted_grid = (grid, output) if axis == "rows" else (grid.T, output.T)
            is_line = (seen == line).all(1)
            parts = [slice(None)] if whole else spans((seen == line).all(0))
            for row, part in product(np.flatnonzero(is_line), parts):
                near = [seen[r, part] for r in (row - 1, row + 1) if 0 <= r < len(seen)]
                found = {int(c) for cells in near for c in cells} - {0, line}
                if len(found) > 1:
                    return None
                if found:
                    touched = True
                    cells = painted_grid[row, part]
                    cells[seen[row - 1, part] != line if whole and on_top == "neither" else slice(None)] = found.pop()
        return output if touched else None

    def branches(grid):
        """Which lines cells touch, along rows or along columns, and whether touched lines cross."""
        is_line, cells = grid == line, (grid != 0) & (grid != line)
        touching = [bool((lines & ndimage.binary_dilation(cells, way)).any())
                    for lines, way in ((is_line.all(1)[:, None], FOUR & DOWN), (is_line.all(0), FOUR & DOWN.T))]  # fmt: skip
        return {axis for axis, touched in zip(("rows", "columns"), touching) if touched} | ({"both"} if all(touching) else set())

    return scene, rule, branches


@family("Coloured rooms behave as cells do: they are joined, send rays, colour the rooms around them, move or fall.")
def rooms_as_cells(rng):
    line, ink, *colours = pick_colours(rng, int(rng.integers(3, 6)))
    does = one_of(rng, ("join", "ray", "around", "move", "fall"))
    step = one_of(rng, STEPS + DIAGONALS if does in ("ray", "move") else STEPS)
    around = one_of(rng, (STEPS, DIAGONALS, STEPS + DIAGONALS))
    new_ink, wraps = rng.random() < 0.5, rng.random() < 0.4
    draw_sides = lattice_sides(rng, (3, 6), (1, 3), even=rng.random() < 0.7)

    def scene(rng):
        grid = drawn(*draw_sides(rng), line)
        rooms = rooms_of(grid, line)
        tall, wide = len(rooms), len(rooms[0])
        filled = blank(tall, wide)
        if does == "join":
            for row in rng.permutation(tall)[: int(rng.integers(1, 4))]:
                filled[row, rng.permutation(wide)[:2]] = one_of(rng, colours)
            if rng.random() < 0.7:
                filled[rng.permutation(tall)[:2], rng.integers(wide)] = one_of(rng, colours)
        else:
            dots(rng, filled, int(rng.integers(1, 3 if does == "around" else 2 + tall * wide // 4)), colours)
        for row, column, room in listed(rooms):
            grid[room] = filled[row, column]
        return grid

    def rule(grid):
        rooms = rooms_of(grid, line)
        if rooms is None:
            return None
        before = np.array([[grid[room][0, 0] for room in row] for row in rooms])
        after = coarse(before)
        if after is None or any((grid[room] != before[row, column]).any() for row, column, room in listed(rooms)):
            return None
        output = grid.copy()
        for row, column, room in listed(rooms):
            output[room] = after[row, column]
        return output

    def coarse(cells):
        tall, wide = cells.shape
        after = blank(tall, wide) if does in ("move", "fall") else cells.copy()
        if does == "fall":
            turns = STEPS.index(step)  # turned so that the rooms fall down
            turned = (cells[::-1], cells, cells.T[::-1], cells.T)[turns]
            fallen = np.zeros_like(turned)
            for column in range(turned.shape[1]):
                stack = turned[:, column][turned[:, column] != 0]
                fallen[len(turned) - len(stack) :, column] = stack
            return (fallen[::-1], fallen, fallen[::-1].T, fallen.T)[turns]
        if does == "join":
            for (row, column), (down, right) in product(np.argwhere(cells), ((0, 1), (1, 0))):
                r, c, between = row + down, column + right, []
                while r < tall and c < wide and not cells[r, c]:
                    between.append((r, c))
                    r, c = r + down, c + right
                if r < tall and c < wide and cells[r, c] == cells[row, column]:
                    for place in between:
                        if after[place]:
                            return None
                        after[place] = ink if new_ink else cells[row, column]
            return after
        for row, column in np.argwhere(cells):
            if does == "move":
                r, c = row + step[0], column + step[1]
                if wraps or 0 <= r < tall and 0 <= c < wide:
                    after[r % tall, c % wide] = cells[row, column]
            for down, right in {"ray": (step,), "around": around}.get(does, ()):
                r, c = row + down, column + right
                while 0 <= r < tall and 0 <= c < wide and not cells[r, c]:
                    colour = ink if new_ink else cells[row, column]
                    if after[r, c] not in (0, colour):
                        return None
                    after[r, c] = colour
                    if does == "around":
                        break
                    r, c = r + down, c + right
        return after

    def branches(grid):
        """Along which axes rooms are joined; which way rays run into rooms; whether moved rooms leave the lattice."""
        cells = np.array([[grid[room][0, 0] for room in row] for row in rooms_of(grid, line)])
        if does == "join":
            return {axis for axis, lines in (("row", cells), ("column", cells.T)) if any(len(ln[ln > 0]) > 1 for ln in lines)}
        if does not in ("move", "ray"):
            return set()
        targets = [(r + step[0], c + step[1]) for r, c in np.argwhere(cells)]
        inside = [0 <= r < cells.shape[0] and 0 <= c < cells.shape[1] for r, c in targets]
        return {("leaves", does == "move" and not all(inside))}

    return scene, rule, branches
