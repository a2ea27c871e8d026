"""Families about assembly: copies completed, pieces joined, frames nested, objects ranked and lined up, outlines closed."""

from functools import cache
from itertools import product

import numpy as np
from scipy import ndimage

from ...arc.view import apply_symmetry
from .family import family
from .filling import enclosed
from .lines import STRAIGHT, ahead
from .movement import within
from .scenes import (
    Object,
    blank,
    blob,
    box_outline,
    canvas,
    crop,
    draw,
    objects,
    painted,
    pick_colour,
    pick_colours,
    place,
    scatter,
    up_to,
)

GROUPS = ((0,), (0, 1, 2, 3), tuple(range(8)))
"""Symmetries (indices of `apply_symmetry`) that copies may have: none, quarter turns, turns and mirror images."""


def shape_key(cells: np.ndarray, turned: bool = True) -> tuple:
    """What is equal for bool shapes that are alike, with `turned` for their turned and mirrored forms too."""
    forms = [apply_symmetry(cells, k) for k in GROUPS[2 if turned else 0]]
    return min((*f.shape, f.tobytes()) for f in forms)


@cache
def small_shapes(low: int, high: int) -> list[np.ndarray]:
    """All connected shapes of `low` to `high` cells in 3 x 3, of turned and mirrored forms only one: bool, cropped."""
    shapes = {}
    for bits in product((False, True), repeat=9):
        cells = np.array(bits).reshape(3, 3)
        if low <= cells.sum() <= high and ndimage.label(cells)[1] == 1:
            shape = crop(cells, False)
            shapes.setdefault(shape_key(shape), shape)
    return list(shapes.values())


def model_with_anchors(rng: np.random.Generator, body: int, anchors) -> np.ndarray:
    """A shape of one colour in which one cell of each anchor colour is set, never all in one line."""
    while True:
        shape = blob(rng, rng.integers(len(anchors) + 3, len(anchors) + 6), 4, 4, diagonal=True)
        cells = np.argwhere(shape)
        chosen = cells[rng.permutation(len(cells))[: len(anchors)]]
        if len(anchors) < 3 or np.linalg.matrix_rank(chosen - chosen[0]) == 2:
            sprite = painted(shape, body)
            sprite[tuple(chosen.T)] = anchors
            return sprite


def fits(grid: np.ndarray, model: np.ndarray, body: int, group) -> dict[tuple, list]:
    """Every way to lay the model so that its anchors meet single cells of their colours and its body only blank ones:
    {cells and colours of the copy: its anchor cells}."""
    found = {}
    for sprite in {(s.shape, s.tobytes()): s for s in (apply_symmetry(model, k) for k in group)}.values():
        cells = np.argwhere(sprite)
        inks = sprite[sprite != 0]
        first = int(np.argmax(inks != body))
        for start in np.argwhere(grid == inks[first]):
            targets = cells - cells[first] + start
            if within(grid, targets) and np.array_equal(grid[tuple(targets.T)], np.where(inks == body, 0, inks)):
                key = tuple(sorted((int(r), int(c), int(ink)) for (r, c), ink in zip(targets, inks)))
                found[key] = [(r, c) for r, c, ink in key if ink != body]
    return found


@family("Anchor cells show where copies of the model belong, turned or mirrored: the rest of every copy is drawn.")
def copies_completed_at_anchors(rng):
    group = GROUPS[rng.integers(3)]
    body, *anchors = pick_colours(rng, 4 if len(group) == 8 else 3)
    model_goes = rng.random() < 0.25

    def scene(rng):
        grid, model = blank(*canvas(rng, 9, 11)), model_with_anchors(rng, body, anchors)
        count = up_to(rng, 1, 3, grid.size / 50)
        corners = [place(rng, grid, apply_symmetry(model, int(rng.choice(group)))) for _ in range(count)]
        if not any(corners) or place(rng, copied := np.where(grid == body, 10, grid).astype(np.uint8), model) is None:
            return None
        return np.where(copied == 10, 0, copied)

    def rule(grid):
        models = [thing for thing in objects(grid, diagonal=True, by_colour=False) if (thing.colours == body).any()]
        if len(models) != 1:
            return None
        others = np.where(models[0].mask(grid), 0, grid).astype(np.uint8)
        copies = fits(np.where(models[0].mask(grid), 10, others), models[0].colours, body, group)
        used = [cell for cells in copies.values() for cell in cells]
        if len(set(used)) < len(used) or len(used) != np.count_nonzero(others):
            return None
        changed = others if model_goes else grid.copy()
        for r, c, ink in (cell for copy in copies for cell in copy):
            if changed[r, c] not in (0, ink):
                return None
            changed[r, c] = ink
        return changed

    return scene, rule


@family("Squares or square frames are put into each other by size, the largest outside: centred, or flush in one corner.")
def nested_by_size(rng):
    colours, hollow, in_place = pick_colours(rng, int(rng.integers(3, 7))), rng.random() < 0.5, rng.random() < 0.35
    corner = None if hollow or rng.random() < 0.5 else int(rng.integers(4))  # quarter turns of the upper left corner
    first = int(rng.integers(1, 3))

    def scene(rng):
        grid = blank(*canvas(rng, 9, 13))
        steps = 2 if corner is None else 1
        sizes = np.arange(first, min(min(grid.shape) - 2, first + 3 * steps) + 1, steps)
        sizes = rng.permutation(sizes)[: rng.integers(2, len(sizes) + 1)]
        for size, colour in zip(sorted(sizes.tolist(), reverse=True), rng.permutation(colours)):
            shape = box_outline(size, size) if hollow else np.ones((size, size), bool)
            if place(rng, grid, painted(shape, colour)) is None:
                return None
        return grid

    def rule(grid):
        squares = sorted(objects(grid), key=lambda thing: -thing.height)
        if len(squares) < 2 or len({thing.height for thing in squares}) < len(squares):
            return None
        if any(thing.height != thing.width for thing in squares):
            return None
        largest = squares[0]
        nest = largest.colours.copy()
        for thing in squares[1:]:
            gap = largest.height - thing.height
            view = nest if corner is None else np.rot90(nest, corner)
            start = gap // 2 if corner is None else 0
            draw(view, thing.colours, start, start)
        if not in_place:
            return nest
        changed = np.zeros_like(grid)
        draw(changed, nest, largest.row, largest.column)
        return changed

    return scene, rule


@family("The legend gives every shape a colour: the plain objects in the picture take the colour of their shape.")
def shapes_take_legend_colour(rng):
    plain, line, *colours = pick_colours(rng, 6)
    with_dots, turned, unlisted = rng.random() < 0.5, rng.random() < 0.5, str(rng.choice(["none", "stays", "goes"]))
    quarter = int(rng.integers(4))

    def scene(rng):
        height, width = canvas(rng, 9, 11, (7, 10))
        grid, entries = blank(height, width), min(3, (width + 1) // 4)
        forms = small_shapes(3, 5)
        shapes = [apply_symmetry(forms[n], int(rng.integers(8))) for n in rng.choice(len(forms), entries + 1, replace=False)]
        grid[4] = line
        for number, (shape, colour) in enumerate(zip(shapes[:entries], rng.permutation(colours))):
            tall = len(shape)
            draw(grid, painted(shape, plain if with_dots else colour), 4 - with_dots - tall, 4 * number)
            if with_dots:
                grid[3, 4 * number + int(np.argmax(shape[-1]))] = colour
        known = shapes[:entries] if unlisted == "none" else shapes
        for _ in range(rng.integers(2, 3 + (height - 5) * width // 20)):
            shape = apply_symmetry(known[rng.integers(len(known))], int(rng.integers(8)) if turned else 0)
            place(rng, grid[5:], painted(shape, plain))
        return np.rot90(grid, quarter)

    def rule(grid):
        upright, entries = np.rot90(grid, -quarter), {}
        for thing in objects(upright[:4], diagonal=True, by_colour=False):
            dots = thing.colours[(thing.colours != 0) & (thing.colours != plain)]
            shape = thing.colours == plain if with_dots else thing.cells
            entries[shape_key(crop(shape, False), turned)] = int(dots[0])
        changed, count = grid.copy(), 0
        view = np.rot90(changed, -quarter)[5:]
        for thing in objects(upright[5:], diagonal=True):
            colour = entries.get(shape_key(thing.cells, turned))
            count += colour is not None
            if colour is not None or unlisted == "goes":
                view[thing.mask(view)] = colour or 0
        return changed if count else None

    def branches(grid):
        before, after = np.rot90(grid, -quarter)[5:], rule(grid)
        return set() if after is None else set(np.rot90(after, -quarter)[5:][before == plain].tolist()) & {0, plain}

    return scene, rule, branches


@family("Marked cells on (or bumps out of) the sides of a box grow into lines: outwards to the edge, across the inside, or both.")
def bumps_grow_to_lines(rng):
    wall, inside, *colours = pick_colours(rng, 4)
    kind, sticks_out, inside = str(rng.choice(["out", "in", "both"])), rng.random() < 0.5, inside if rng.random() < 0.5 else 0

    def scene(rng):
        grid = blank(*canvas(rng, 8, 11))
        tall, wide = (int(rng.integers(4, side - 3)) for side in grid.shape)
        box = np.where(box_outline(tall, wide), wall, inside).astype(np.uint8)
        corner = place(rng, grid, box, margin=2)
        if corner is None:
            return None
        ends = [0, 0, tall - 1, wide - 1]
        for _ in range(up_to(rng, 1, 4, grid.size / 25)):
            heading = int(rng.integers(4))
            along = int(rng.integers(1, (wide, tall)[heading % 2] - 1))
            side = -int(sticks_out) if heading in (0, 3) else ends[2 + heading % 2] + sticks_out
            row, column = (side, along) if heading % 2 == 0 else (along, side)
            grid[corner[0] + row, corner[1] + column] = rng.choice(colours)
        return grid

    def rule(grid):
        walls = np.argwhere(grid == wall)
        (top, left), (bottom, right) = walls.min(0), walls.max(0)
        lines = blank(*grid.shape)
        for r, c in map(tuple, np.argwhere(np.isin(grid, colours))):
            sides = [r + sticks_out == top, c - sticks_out == right, r - sticks_out == bottom, c + sticks_out == left]
            heading = sides.index(True)
            out = ahead(grid, (r, c), STRAIGHT[heading]) if kind != "in" else []
            back = ahead(grid, (r, c), STRAIGHT[heading - 2]) if kind != "out" else []
            back = [(a, b) for a, b in back if top < a < bottom and left < b < right]
            if any(lines[cell] not in (0, grid[r, c]) or grid[cell] not in (0, inside) for cell in out + back):
                return None
            for cell in out + back:
                lines[cell] = grid[r, c]
        return np.where(lines > 0, lines, grid)

    return scene, rule


@family("Every piece comes to the base and joins it there, its marked cell on the cell of the same colour in the base.")
def pieces_join_base(rng):
    base, flesh, *marks = pick_colours(rng, 5)
    mark_goes, thick, quarter = rng.random() < 0.3, int(rng.integers(1, 3)), int(rng.integers(4))
    loose_stay = rng.random() < 0.3  # the pieces leave a copy where they were

    def scene(rng):
        height, width = canvas(rng, 8, 11, (7, 10))
        grid, row = blank(height, width), height - thick
        grid[row:] = base
        joined, sprites = grid.copy(), []
        slots = rng.permutation(np.arange(rng.integers(2), width - 2, 4))
        for slot, mark in zip(slots[: rng.integers(1, 4)], rng.permutation(marks)):
            sprite = np.pad(painted(blob(rng, rng.integers(2, 6), 3, 3), flesh), ((0, 1), (0, 0)))
            foot = int(rng.choice(np.flatnonzero(sprite[-2])))
            grid[row, slot + foot] = sprite[-1, foot] = mark
            draw(joined, sprite, row + 1 - len(sprite), int(slot))
            sprites.append(sprite)
        for sprite in sprites:
            corner = place(rng, joined, sprite)
            if corner is None:
                return None
            draw(grid, sprite, *corner)
        return np.rot90(grid, quarter)

    def rule(grid):
        upright = np.rot90(grid, -quarter)
        pieces = [thing for thing in objects(upright, diagonal=True, by_colour=False) if (thing.colours == flesh).any()]
        changed = upright.copy()
        for piece in pieces if not loose_stay else []:
            changed[piece.mask(upright)] = 0
        for piece in pieces:
            anchor = next((spot for spot in piece.places if upright[spot] in marks), None)
            if anchor is None:
                return None
            row = len(upright) - thick
            socket = (row, int(np.argmax(upright[row] == upright[anchor])))
            targets = np.array(piece.places) - anchor + socket
            if not within(upright, targets) or np.count_nonzero(changed[tuple(targets.T)]) > 1:
                return None
            changed[tuple(targets.T)] = piece.colours[piece.cells]
            if mark_goes:
                changed[socket] = flesh
        return np.rot90(changed, quarter) if pieces else None

    return scene, rule


@family("Every colour becomes a bar as long as it has cells (or objects); the bars are put in the order of their lengths.")
def colours_become_bars(rng):
    colours, by_objects = pick_colours(rng, int(rng.integers(3, 6))), rng.random() < 0.4
    falling, gap, quarter = rng.random() < 0.5, int(rng.random() < 0.3), int(rng.integers(4))

    def scene(rng):
        grid = blank(*canvas(rng, 6, 10))
        chosen = rng.permutation(colours)[: rng.integers(2, len(colours) + 1)]
        counts = rng.permutation(np.arange(1, 8 if grid.size > 60 else 6))[: len(chosen)]
        for colour, count in zip(chosen, counts):
            for _ in range(count if by_objects else 0):
                place(rng, grid, painted(blob(rng, rng.integers(1, 4), 2, 2), colour))
            if not by_objects:
                scatter(rng, grid, int(count), [colour])
        return grid

    def rule(grid):
        counts = {int(c): int((grid == c).sum()) for c in np.unique(grid) if c}
        if by_objects:
            counts = {c: sum(thing.colour == c for thing in objects(grid)) for c in counts}
        order = sorted(counts, key=lambda c: -counts[c] if falling else counts[c])
        if len(order) < 2 or len(set(counts.values())) < len(order) or max(counts.values()) > 12:
            return None
        chart = blank(max(counts.values()), len(order) * (1 + gap) - gap)
        for number, colour in enumerate(order):
            chart[-counts[colour] :, number * (1 + gap)] = colour
        return np.rot90(chart, quarter)

    return scene, rule


@family("The objects are put in a row in the order of their size (or height, or width), side by side on one line.")
def objects_in_a_row(rng):
    rising, gap, quarter = rng.random() < 0.5, int(rng.random() < 0.6), int(rng.integers(4))
    measure = str(rng.choice(["size", "size", "height", "width"]))
    colours = pick_colours(rng, int(rng.integers(1 if gap else 5, 6)))

    def scene(rng):
        grid = blank(*canvas(rng, 7, 11))
        inks, long = rng.permutation(colours), rng.permutation(np.arange(1, 9 if measure == "size" else 5))
        for number in range(up_to(rng, 2, 4, grid.size / 16)):
            if measure == "size":
                shape = blob(rng, long[number], 3, 4)
            else:
                box = (long[number], rng.integers(1, 4))[:: 1 if measure == "height" else -1]
                shape = blob(rng, rng.integers(long[number], 3 + long[number]), *box)
            place(rng, grid, painted(shape, inks[number % len(inks)]))
        return grid

    def rule(grid):
        things: list[Object] = sorted(objects(grid), key=lambda thing: getattr(thing, measure), reverse=not rising)
        measures = [getattr(thing, measure) for thing in things]
        if len(things) < 2 or len(set(measures)) < len(measures):
            return None
        sprites = [np.rot90(thing.colours, -quarter) for thing in things]
        row = blank(max(map(len, sprites)), sum(s.shape[1] + gap for s in sprites) - gap)
        column = 0
        for sprite in sprites[::-1] if quarter in (1, 2) else sprites:  # the first is at the left or at the top in all quarters
            draw(row, sprite, len(row) - len(sprite), column)
            column += sprite.shape[1] + gap
        return np.rot90(row, quarter)

    return scene, rule


def outline(rng: np.random.Generator, bent: bool) -> np.ndarray:
    """The outline of a rectangle, or (`bent`) of an L, of sides of at least five cells: bool."""
    tall, wide = (int(n) for n in rng.integers(5, 9 - 2 * bent, 2))
    area = np.ones((tall, wide), bool)
    if bent:
        area = np.ones((tall + 2, wide + 2), bool)
        area[: int(rng.integers(2, tall - 2)), : int(rng.integers(2, wide - 2))] = False
        area = apply_symmetry(area, int(rng.integers(8)))
    padded = np.pad(area, 1)
    inner = np.all([np.roll(padded, (r, c), (0, 1)) for r in (-1, 0, 1) for c in (-1, 0, 1)], 0)[1:-1, 1:-1]
    return area & ~inner


def bridged(cells: np.ndarray) -> np.ndarray:
    """The blank cells of gaps, at most two long, in the rows of a bool array, and in its columns."""
    bridges = np.zeros_like(cells)
    for lines, marks in ((cells, bridges), (cells.T, bridges.T)):
        for gap in (1, 2):
            spanned = lines[:, : -gap - 1] & lines[:, gap + 1 :]
            inner = [slice(n, n + spanned.shape[1]) for n in range(1, gap + 1)]
            for part in inner:
                spanned = spanned & ~lines[:, part]
            for part in inner:
                marks[:, part] |= spanned
    return bridges


@family("Broken outlines are closed and what they then enclose is filled; the number of cells put in may tell the colour.")
def outline_closed_and_filled(rng):
    wall, mend, *fills = pick_colours(rng, 5)
    mend, bent = mend if rng.random() < 0.4 else wall, rng.random() < 0.5
    by_count = rng.random() < 0.5
    most = 2 if by_count else int(rng.integers(1, 4))
    fills = fills[:most] if by_count else fills[:1] * most

    def scene(rng):
        grid = blank(*canvas(rng, 8, 11))
        for _ in range(up_to(rng, 1, 3, grid.size / 50)):
            shape = outline(rng, bent)
            for _ in range(rng.integers(1, most + 1)):
                cells = np.argwhere(shape)
                cell = tuple(cells[rng.integers(len(cells))])
                shape[cell] = False
                shape[cell] = not bridged(shape)[cell]  # corners stay
            place(rng, grid, painted(shape, wall))
        return grid

    def closed(grid):
        """(the cells put in, the cells enclosed) of every outline; None where one does not close."""
        bridges = bridged(grid == wall)
        found = []
        for thing in objects(np.where(bridges, wall, grid)):
            cells = thing.mask(grid)
            inner = enclosed(~cells)
            if not inner.any() or grid[inner].any() or not (cells & bridges).any():
                return None
            found.append((cells & bridges, inner))
        return found

    def rule(grid):
        found, changed = closed(grid), grid.copy()
        if not found or any(bridges.sum() > len(fills) for bridges, _ in found):
            return None
        for bridges, inner in found:
            changed[bridges] = mend
            changed[inner] = fills[bridges.sum() - 1]
        return changed

    def branches(grid):
        return {fills[bridges.sum() - 1] for bridges, _ in closed(grid) or []}

    return scene, rule, branches


def cut_in_two(rng: np.random.Generator, tall: int, wide: int) -> list[np.ndarray]:
    """A rectangle cut along stairs, a step or more in each row, into a left and a right part: bool, cropped."""
    while True:
        widths = rng.integers(1, wide, tall)
        left = np.arange(wide) < widths[:, None]
        if np.ptp(widths) and np.abs(np.diff(widths)).max() < 3 and (np.diff(widths) != 0).sum() > tall // 3:
            return [crop(left, False), crop(~left, False)]


@family("Two pieces are put together, without turning them, so that they make a full rectangle, which is the answer.")
def pieces_make_a_rectangle(rng):
    colours, quarter, keep = pick_colours(rng, int(rng.integers(2, 5))), int(rng.integers(2)), rng.random() < 0.3
    frame = pick_colour(rng, (0, *colours)) if keep else 0  # the rectangle gets a rim in this colour

    def scene(rng):
        grid = blank(*canvas(rng, 7, 11))
        parts = cut_in_two(rng, int(rng.integers(3, 6)), int(rng.integers(3, 6)))
        for part, colour in zip(parts, rng.permutation(colours)):
            if place(rng, grid, painted(np.rot90(part, quarter), colour)) is None:
                return None
        return grid

    def rule(grid):
        things = objects(grid)
        if len(things) != 2:
            return None
        (one, two), found = things, []
        tall, wide = two.cells.shape
        for row in range(-tall, one.height + 1):
            for column in range(-wide, one.width + 1):
                top, left = max(0, -row), max(0, -column)  # how far the first piece lies from the joined picture's corner
                joined = blank(max(one.height, row + tall) + top, max(one.width, column + wide) + left)
                if joined.size == one.size + two.size:  # full, unless the pieces overlap
                    draw(joined, one.colours, top, left)
                    draw(joined, two.colours, row + top, column + left)
                    found += [joined] if joined.all() else []
        return np.pad(found[0], int(keep), constant_values=frame) if len(found) == 1 else None

    return scene, rule
