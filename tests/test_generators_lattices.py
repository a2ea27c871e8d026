"""The families of `lattices` and `hunting` against a second implementation of each rule, by loops over cells."""

import inspect
from collections import Counter
from itertools import product

import numpy as np
import pytest

from solution.arc.task import grid_key
from solution.finetune.generators import hunting, lattices
from solution.finetune.generators.family import families_of, pair_tokens

FAMILIES = families_of(lattices, hunting)
NAMES = [f.name for f in FAMILIES]
STRAIGHT, DIAGONAL = ((-1, 0), (1, 0), (0, -1), (0, 1)), ((-1, -1), (-1, 1), (1, -1), (1, 1))
REFERENCES = {}


def reference(check):
    """Register `check(grid, **parameters)`: the output for a grid given as a list of rows."""
    REFERENCES[check.__name__] = check
    return check


def parameters(rule) -> dict:
    """What a task has drawn for its rule: the values that the rule's function refers to."""
    values = dict(inspect.getclosurevars(rule).nonlocals)
    for helper in [v for v in values.values() if inspect.isfunction(v)]:
        values |= inspect.getclosurevars(helper).nonlocals
    return values


def copied(grid):
    return [list(row) for row in grid]


def blanked(grid):
    return [[0] * len(row) for row in grid]


def rooms(grid, line):
    """The cells of every room by its row and column among the rooms; found by flooding."""
    found, seen = {}, set()
    for start in product(range(len(grid)), range(len(grid[0]))):
        if start in seen or grid[start[0]][start[1]] == line:
            continue
        cells, stack = set(), [start]
        while stack:
            r, c = stack.pop()
            if (r, c) in cells or not (0 <= r < len(grid) and 0 <= c < len(grid[0])) or grid[r][c] == line:
                continue
            cells.add((r, c))
            stack += [(r + a, c + b) for a, b in STRAIGHT]
        seen |= cells
        found[start] = sorted(cells)
    tops, lefts = sorted({r for r, _ in found}), sorted({c for _, c in found})
    return {(tops.index(r), lefts.index(c)): cells for (r, c), cells in found.items()}


def cropped(grid, cells):
    wide = len({c for _, c in cells})
    values = [grid[r][c] for r, c in cells]
    return [values[k : k + wide] for k in range(0, len(values), wide)]


def table(values: dict):
    return [[values[r, c] for c in range(1 + max(c for _, c in values))] for r in range(1 + max(r for r, _ in values))]


@reference
def room_by_position(grid, line, ink, guide, where, corner, step, does, **_):
    found = rooms(grid, line)
    tall, wide = 1 + max(r for r, _ in found), 1 + max(c for _, c in found)
    marked = [place for place, cells in found.items() if any(grid[r][c] == guide for r, c in cells)]
    if where == "corner":
        chosen = (0 if corner[0] == 0 else tall - 1, 0 if corner[1] == 0 else wide - 1)
    elif where == "centre":
        chosen = ((tall - 1) // 2, (wide - 1) // 2)
    elif where == "beside":
        chosen = (marked[0][0] + step[0], marked[0][1] + step[1])
    else:
        chosen = (tall - 1 - marked[0][0], wide - 1 - marked[0][1])
    cells = found[chosen]
    if does == "cut":
        return cropped(grid, cells)
    output = copied(grid)
    for r, c in product(range(len(grid)), range(len(grid[0]))):
        near = any((r + a, c + b) in cells for a, b in STRAIGHT + DIAGONAL)
        if does == "fill" and (r, c) in cells or does == "walls" and grid[r][c] == line and near:
            output[r][c] = ink
        if does == "only" and grid[r][c] != line and (r, c) not in cells:
            output[r][c] = 0
    return output


@reference
def size_of_lattice(grid, counted, paint, speck, **_):
    line = next(c for c in range(1, 10) if c != speck and any(set(row) == {c} for row in grid)
                and any(set(column) == {c} for column in zip(*grid)))  # fmt: skip
    found = rooms(grid, line)
    tall, wide = 1 + max(r for r, _ in found), 1 + max(c for _, c in found)
    ground = next(grid[r][c] for r, c in sorted(sum(found.values(), [])) if grid[r][c] != speck)
    if counted == "frame":
        return [[line] * (wide + 2)] + [[line] + [ground] * wide + [line]] * tall + [[line] * (wide + 2)]
    tall, wide = {"crossings": (tall - 1, wide - 1), "strip": (1, len(found))}.get(counted, (tall, wide))
    pale = {"ground": ground or line, "line": line}
    return [[pale.get(paint, (line, ground)[(r + c) % 2]) for c in range(wide)] for r in range(tall)]


@reference
def marks_fill_rooms(grid, line, speck, ink, marks, reach, clears, fills, **_):
    found, output = rooms(grid, line), copied(grid)

    def reaches(other, place):
        same_row, same_column = other[0] == place[0], other[1] == place[1]
        return other == place or same_row and reach in ("row", "cross") or same_column and reach in ("column", "cross")

    for place, cells in found.items():
        near = [cell for other, inside in found.items() if reaches(other, place) for cell in inside]
        held = [grid[r][c] for r, c in near if grid[r][c] in marks]
        for r, c in cells:
            if clears and grid[r][c] == speck:
                output[r][c] = 0
            if held and not (fills == "around" and grid[r][c] in marks):
                output[r][c] = held[0] if fills == "mark's colour" else ink
    return output


@reference
def pattern_into_dotted_rooms(grid, line, ink, flip, clears, **_):
    found, output = rooms(grid, line), copied(grid)
    source = next(cells for cells in found.values() if sum(grid[r][c] != 0 for r, c in cells) > 1)
    for cells in found.values():
        held = [grid[r][c] for r, c in cells if grid[r][c]]
        tall, wide = cells[-1][0] - cells[0][0], cells[-1][1] - cells[0][1]
        for r, c in cells:
            down, right = r - cells[0][0], c - cells[0][1]
            down, right = tall - down if flip == "up-down" else down, wide - right if flip == "left-right" else right
            value = grid[source[0][0] + down][source[0][1] + right]
            if len(held) == 1:
                output[r][c] = value if ink == "own" or not value else held[0]
            if clears and cells is source:
                output[r][c] = 0
    return output


@reference
def one_cell_a_room(grid, line, tells, ink, other, number, corner, colours, **_):
    def told(cells):
        values = [grid[r][c] for r, c in cells]
        if tells == "corner":
            return cropped(grid, cells)[corner[0]][corner[1]]
        if tells == "odd cell":
            return min(set(values), key=values.count)
        filled = [v for v in values if v]
        fits = {"holds": colours[0] in values, "count": len(filled) == number, "at least": len(filled) >= number,
                "colours": len(set(filled)) >= number}  # fmt: skip
        return ink if fits[tells] else other

    return table({place: told(cells) for place, cells in rooms(grid, line).items()})


@reference
def odd_room_out(grid, line, ink, oddity, does, **_):
    def look(cells):
        filled = [(r, c) for r, c in cells if grid[r][c]]
        if oddity == "count":
            return len(filled)
        if oddity == "colour":
            return {grid[r][c] for r, c in filled}
        return {(r - min(f[0] for f in filled), c - min(f[1] for f in filled)) for r, c in filled}

    found = rooms(grid, line)
    looks = {place: look(cells) for place, cells in found.items()}
    (odd,) = [place for place, seen in looks.items() if sum(seen == other for other in looks.values()) == 1]
    if does == "cut":
        return cropped(grid, found[odd])
    if does == "map":
        return table({place: ink if place == odd else 0 for place in found})
    output = copied(grid)
    for place, cells in found.items():
        for r, c in cells:
            output[r][c] = output[r][c] if (place == odd) == (does == "only") else ink if does == "fill" else 0
    return output


@reference
def lines_take_touched_colour(grid, line, whole, on_top, stays, axes, **_):
    tall, wide = len(grid), len(grid[0])
    full_rows = {r for r in range(tall) if set(grid[r]) == {line}}
    full_columns = {c for c in range(wide) if all(row[c] == line for row in grid)}

    def taken(row_wise, r, c):
        """The colour that the line (or the wall) through a cell takes along one axis, or 0."""
        cells = [(r, c)]
        if not whole and r in full_rows and c in full_columns or axes == ("columns" if row_wise else "rows"):
            return 0
        for way in (-1, 1):
            y, x = r, c
            while 0 <= y < tall and 0 <= x < wide and (whole or not (y in full_rows and x in full_columns)):
                cells.append((y, x))
                y, x = (y, x + way) if row_wise else (y + way, x)
        sides = [(y + a, x + b) for y, x in cells for a, b in (((-1, 0), (1, 0)) if row_wise else ((0, -1), (0, 1)))]
        found = {grid[y][x] for y, x in sides if 0 <= y < tall and 0 <= x < wide} - {0, line}
        return found.pop() if found else 0

    output = [[v if stays or v == line else 0 for v in row] for row in grid]
    for r, c in product(range(tall), range(wide)):
        row_colour = taken(True, r, c) if r in full_rows else 0
        column_colour = taken(False, r, c) if c in full_columns else 0
        if r in full_rows and c in full_columns and on_top == "neither":
            continue
        first, second = (row_colour, column_colour) if on_top == "rows" else (column_colour, row_colour)
        output[r][c] = first or second or output[r][c]
    return output


@reference
def rooms_as_cells(grid, line, ink, does, step, around, new_ink, wraps, **_):
    found = rooms(grid, line)
    cells = {place: grid[inside[0][0]][inside[0][1]] for place, inside in found.items()}
    tall, wide = 1 + max(r for r, _ in cells), 1 + max(c for _, c in cells)

    def first(place, way):
        """The first coloured room from a place on."""
        r, c = place[0] + way[0], place[1] + way[1]
        while cells.get((r, c)) == 0:
            r, c = r + way[0], c + way[1]
        return cells.get((r, c), 0)

    after = dict(cells)
    if does == "fall":
        for _ in range(tall + wide):
            for r, c in sorted(after):
                if after[r, c] and after.get((r + step[0], c + step[1])) == 0:
                    after[r + step[0], c + step[1]], after[r, c] = after[r, c], 0
    for r, c in cells:
        sources = []
        if does == "move":
            back = (r - step[0], c - step[1])
            after[r, c] = cells[back[0] % tall, back[1] % wide] if wraps else cells.get(back, 0)
        if does == "join":
            views = [(first((r, c), a), first((r, c), b)) for a, b in (((0, -1), (0, 1)), ((-1, 0), (1, 0)))]
            sources = [one for one, other in views if one == other]
        if does == "ray":
            sources = [first((r, c), (-step[0], -step[1]))]
        if does == "around":
            sources = [cells.get((r - a, c - b), 0) for a, b in around]
        if cells[r, c] == 0 and any(sources):
            after[r, c] = ink if new_ink else max(sources)
    output = copied(grid)
    for place, inside in found.items():
        for r, c in inside:
            output[r][c] = after[place]
    return output


def boxes(grid, tall, wide):
    """Every place of a box of some size: its cells, row by row."""
    for top, left in product(range(len(grid) - tall + 1), range(len(grid[0]) - wide + 1)):
        yield [(r, c) for r in range(top, top + tall) for c in range(left, left + wide)]


def around_box(grid, cells):
    """The cells of a grid next to a box, also diagonally."""
    inside = set(cells)
    near = {(r + a, c + b) for r, c in cells for a, b in STRAIGHT + DIAGONAL} - inside
    return [(r, c) for r, c in near if 0 <= r < len(grid) and 0 <= c < len(grid[0])]


@reference
def clear_blocks_in_noise(grid, ink, tall, wide, turned, hunted, clears, **_):
    output = blanked(grid) if clears else copied(grid)
    for height, width in ((tall, wide), (wide, tall))[: 2 if turned else 1]:
        for cells in boxes(grid, height, width):
            if all(grid[r][c] == hunted for r, c in cells):
                for r, c in cells:
                    output[r][c] = ink
    return output


@reference
def template_in_noise(grid, frame, ink, does, turns, **_):
    box = [(r, c) for r, c in product(range(len(grid)), range(len(grid[0]))) if grid[r][c] == frame]
    (top, left), (bottom, right) = box[0], box[-1]
    template = [row[left + 1 : right] for row in grid[top + 1 : bottom]]
    output = blanked(grid) if does == "only" else copied(grid)
    for turn in turns:
        for _ in range(turn):
            template = [list(column) for column in zip(*template)][::-1]
        for cells in boxes(grid, len(template), len(template[0])):
            if cropped(grid, cells) != template or top < cells[0][0] < bottom and left < cells[0][1] < right:
                continue
            for r, c in cells if does != "outline" else around_box(grid, cells):
                output[r][c] = {"outline": frame, "only": grid[r][c], "recolour": ink if grid[r][c] else 0}[does]
        for _ in range(-turn % 4):
            template = [list(column) for column in zip(*template)][::-1]
    return output


@reference
def largest_square_in_noise(grid, ink, hunted, does, **_):
    squares = [cells for side in range(1, 31) for cells in boxes(grid, side, side) if all(grid[r][c] == hunted for r, c in cells)]
    cells = squares[-1]
    side = int(len(cells) ** 0.5)
    if does == "show":
        return [[ink] * side for _ in range(side)]
    output, (top, left) = copied(grid), cells[0]
    for r, c in cells:
        down, right = r - top, c - left
        rim = 0 in (down, right) or side - 1 in (down, right)
        if does == "fill" or does == "rim" and rim or does == "cross" and (down == right or down + right == side - 1):
            output[r][c] = ink
    return output


@reference
def rectangle_hidden_in_noise(grid, ink, tints, does, **_):
    best = []
    for top, left in product(range(len(grid)), range(len(grid[0]))):
        width = len(grid[0]) - left
        for bottom in range(top, len(grid)):  # the width that stays of one colour from the top row down
            run = 0
            while run < width and grid[bottom][left + run] == grid[top][left]:
                run += 1
            width = run
            if grid[top][left] in tints and width * (bottom - top + 1) > len(best):
                best = [(r, c) for r in range(top, bottom + 1) for c in range(left, left + width)]
    if does == "cut":
        return cropped(grid, best)
    output, ring = copied(grid), set(around_box(grid, best))
    for r, c in product(range(len(grid)), range(len(grid[0]))):
        core = (r, c) in best and all((r + a, c + b) in best for a, b in STRAIGHT)
        if (does == "recolour" and (r, c) in best) or (does == "hollow" and core) or (does == "outline" and (r, c) in ring):
            output[r][c] = ink
        if does == "keep" and (r, c) not in best:
            output[r][c] = 0
    return output


@reference
def dots_joined_in_noise(grid, dot, ink, noise_is, axes, farthest, **_):
    output = copied(grid)

    def seen(r, c, a, b):
        """The cells between this cell and the next dot one way, this one included; None where there is no dot."""
        cells = []
        while 0 <= r < len(grid) and 0 <= c < len(grid[0]):
            if grid[r][c] == dot:
                return cells
            cells.append((r, c))
            r, c = r + a, c + b
        return None

    for r, c in product(range(len(grid)), range(len(grid[0]))):
        for axis, (a, b) in (("row", (0, 1)), ("column", (1, 0))):
            one, other = seen(r, c, a, b), seen(r, c, -a, -b)
            if grid[r][c] == dot or axes not in ("both", axis) or one is None or other is None:
                continue
            gap = {*one, *other}
            blocked = noise_is == "in the way" and any(grid[y][x] for y, x in gap)
            if len(gap) <= farthest and not blocked and (noise_is == "overdrawn" or not grid[r][c]):
                output[r][c] = ink
    return output


@reference
def motif_with_a_fault(grid, ink, tall, wide, does, **_):
    whole = [cells for cells in boxes(grid, tall, wide) if all(grid[r][c] for r, c in cells)]
    looks = [cropped(grid, cells) for cells in whole]
    (odd,) = [k for k, look in enumerate(looks) if looks.count(look) == 1]
    motif = looks[1 if odd == 0 else 0]
    if does == "cut":
        return looks[odd]
    output, (top, left) = copied(grid), whole[odd][0]
    for r, c in whole[odd] if does != "outline" else around_box(grid, whole[odd]):
        right = motif[r - top][c - left] if does in ("mend", "mark") else None
        output[r][c] = {"mend": right, "mark": grid[r][c] if grid[r][c] == right else ink, "outline": ink, "remove": 0}[does]
    return output


@reference
def long_runs_in_noise(grid, ink, least, steps, clears, **_):
    output = blanked(grid) if clears else copied(grid)

    def length(r, c, a, b):
        colour, count = grid[r][c], 0
        while 0 <= r < len(grid) and 0 <= c < len(grid[0]) and grid[r][c] == colour:
            r, c, count = r + a, c + b, count + 1
        return count

    for r, c in product(range(len(grid)), range(len(grid[0]))):
        if grid[r][c] and any(length(r, c, a, b) + length(r, c, -a, -b) - 1 >= least for a, b in steps):
            output[r][c] = grid[r][c] if clears else ink
    return output


@reference
def form_in_noise(grid, ink, colour, form, exact, clears, **_):
    output = blanked(grid) if clears else copied(grid)
    wanted = form.tolist()
    for cells in boxes(grid, len(wanted), len(wanted[0])):
        shown = cropped(grid, cells)
        pairs = [(want, have) for row, other in zip(wanted, shown) for want, have in zip(row, other)]
        if all(have == colour if want else not exact or not have for want, have in pairs):
            for (r, c), (want, _) in zip(cells, pairs):
                output[r][c] = ink if want else output[r][c]
    return output


@pytest.mark.parametrize("family", FAMILIES, ids=NAMES)
def test_rule_agrees_with_the_reference(family):
    compared = 0
    for seed in range(100):
        rng = np.random.default_rng([7, seed])
        scene, rule = family.make(rng)
        drawn = parameters(rule)
        for _ in range(4):
            grid = scene(rng)
            output = None if grid is None else rule(grid)
            if output is not None:
                assert np.asarray(output).tolist() == REFERENCES[family.name](grid.tolist(), **drawn)
                compared += 1
    assert compared >= 60


@pytest.mark.parametrize("family", FAMILIES, ids=NAMES)
def test_tasks(family):
    """Tasks come in most draws, the same for the same seed, with different pairs that keep the limits."""
    pairs, repeated, given = set(), 0, Counter()
    assert family.rule.endswith(".") and len(family.rule) <= 130
    for seed, limit in product(range(40), (1024, 2048)):
        task = family.sample(np.random.default_rng([limit, seed]), 4, limit)
        if task is None:
            continue
        given[limit] += 1
        assert sum(map(pair_tokens, task)) <= limit and len({grid_key(p.input) for p in task}) == 4
        assert len({grid_key(p.output) for p in task[:3]}) > 1
        repeated += sum(p.key in pairs for p in task)
        pairs.update(p.key for p in task)
    assert given[1024] >= 24 and given[2048] >= 36
    assert repeated < 0.1 * 4 * sum(given.values())
    same = [family.sample(np.random.default_rng(3), 4, 1024) for _ in range(2)]
    assert same[0] == same[1]


@pytest.mark.parametrize("family", FAMILIES, ids=NAMES)
def test_rule_is_a_function_of_the_grid(family):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        scene, rule = family.make(rng)
        grids = [g for g in (scene(rng) for _ in range(6)) if g is not None]
        copies, first = [g.copy() for g in grids], [rule(g) for g in grids]
        for grid, copy, output in reversed(list(zip(grids, copies, first))):
            again = rule(grid)
            assert np.array_equal(grid, copy)
            assert (output is None and again is None) or np.array_equal(output, again)
