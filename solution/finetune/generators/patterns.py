"""Families about patterns: sequences and tilings that are continued, repaired, grown from a seed, or cut to their period."""

from itertools import product

import numpy as np

from .family import family
from .scenes import (
    blank,
    blob,
    canvas,
    colours_in,
    crop,
    draw,
    noise,
    objects,
    painted,
    pick_colour,
    pick_colours,
    place,
    scatter,
    sides,
)
from .symmetry import cover, one_of, spoil


def shortest_period(rows: np.ndarray) -> int:
    """The least p such that every row equals the one p before it; the number of rows where nothing repeats."""
    return next(p for p in range(1, len(rows) + 1) if np.array_equal(rows[p:], rows[:-p]))


def repeated(tile: np.ndarray, height: int, width: int) -> np.ndarray:
    """Copies of a tile over a grid, from the top left corner."""
    return tile[np.ix_(np.arange(height) % tile.shape[0], np.arange(width) % tile.shape[1])]


def tile_behind(grid: np.ndarray, hidden: int, height: int, width: int) -> np.ndarray | None:
    """The height x width tile whose repetition gives all the cells that show; None where there is none or a part is unknown."""
    tile = blank(height, width)
    for row, column in product(range(height), range(width)):
        seen = set(grid[row::height, column::width].ravel().tolist()) - {hidden}
        if len(seen) != 1:
            return None
        tile[row, column] = seen.pop()
    return tile


def cut_at_lines(grid: np.ndarray, line: int) -> list[np.ndarray]:
    """The parts of a grid between its full columns of a colour, left to right."""
    parts = np.split(grid, np.flatnonzero((grid == line).all(0)), axis=1)
    return [part if number == 0 else part[:, 1:] for number, part in enumerate(parts)]


@family("The rows at the top repeat with a period; the pattern continues down to the bottom.")
def continue_repeating_rows(rng):
    colours, density = pick_colours(rng, int(rng.integers(1, 5))), rng.uniform(0.5, 1.0)
    longest = int(rng.integers(2, 5))

    def scene(rng):
        (height, width), period = canvas(rng, 6, 10, (2, 7)), int(rng.integers(2, longest + 1))
        grid = repeated(noise(rng, period, width, colours, density), height, width)
        grid[int(rng.integers(period + 1, max(period + 2, height - 1))) :] = 0
        return grid

    def rule(grid):
        shown = grid[: 1 + int(np.flatnonzero(grid.any(1)).max(initial=0))]
        period = shortest_period(shown)
        return repeated(shown[:period], *grid.shape) if 1 < period < len(shown) and shown.any(1).all() else None

    return scene, rule


@family("The smallest tile whose repetition gives the whole grid.")
def smallest_repeating_tile(rng):
    colours, density = pick_colours(rng, int(rng.integers(2, 5))), one_of(rng, (0.5, 1.0))
    whole_copies, longest = rng.random() < 0.5, int(rng.integers(3, 5))

    def scene(rng):
        height, width = (int(v) for v in rng.integers(1, longest + 1, 2))
        copies = rng.integers(2, 4, 2)
        extra = (0, 0) if whole_copies else rng.integers((height, width))
        tile = noise(rng, height, width, colours, density)
        return repeated(tile, *(int(n * side + e) for n, side, e in zip(copies, (height, width), extra)))

    def rule(grid):
        height, width = shortest_period(grid), shortest_period(grid.T)
        fits = height * width > 1 and 2 * height <= grid.shape[0] and 2 * width <= grid.shape[1]
        return grid[:height, :width] if fits else None

    return scene, rule


@family("A tiling repeats one small tile; what the patches hide is filled in so that the tiling is whole.")
def fill_patches_of_tiling(rng):
    hidden, *colours = pick_colours(rng, int(rng.integers(3, 6)))
    density, patches = one_of(rng, (0.6, 1.0)), int(rng.integers(1, 4))
    only_hidden = patches == 1 and rng.random() < 0.5

    def scene(rng):
        height, width = canvas(rng, 5, 9)
        tile = noise(rng, int(rng.integers(1, height // 2 + 1)), int(rng.integers(2, width // 2 + 1)), colours, density)
        grid = repeated(tile, height, width)
        for _ in range(patches):
            cover(rng, grid, hidden, 3)
        return grid

    def rule(grid):
        sizes = sorted(product(range(1, grid.shape[0] // 2 + 1), range(1, grid.shape[1] // 2 + 1)), key=lambda s: s[0] * s[1])
        wholes, area = [], grid.size
        for height, width in sizes:
            tile = tile_behind(grid, hidden, height, width) if height * width <= area else None
            if tile is not None:
                wholes.append(repeated(tile, *grid.shape))
                area = height * width
        if not wholes or area == 1 or any(not np.array_equal(whole, wholes[0]) for whole in wholes):
            return None
        rows, columns = np.nonzero(grid == hidden)
        return wholes[0][rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] if only_hidden else wholes[0]

    return scene, rule


@family("The few cells that break the tiling are corrected, or marked in a colour.")
def faults_of_tiling(rng):
    mark, *colours = pick_colours(rng, int(rng.integers(3, 5)))
    tall, wide = one_of(rng, ((1, 2), (2, 1), (2, 2), (2, 3), (1, 3), (3, 3)))
    mark = mark if rng.random() < 0.5 else None

    def scene(rng):
        grid = repeated(noise(rng, tall, wide, colours, 1.0), *canvas(rng, max(5, 3 * tall - 1), 9))
        spoil(rng, grid, int(rng.integers(1, 5)), colours)
        return grid

    def rule(grid):
        tile = blank(tall, wide)
        for row, column in product(range(tall), range(wide)):
            counts = np.bincount(grid[row::tall, column::wide].ravel(), minlength=10)
            if 2 * counts.max() <= counts.sum() + 1:
                return None
            tile[row, column] = counts.argmax()
        whole = repeated(tile, *grid.shape)
        return whole if mark is None else np.where(whole == grid, grid, np.uint8(mark))

    return scene, rule


TEXTURES = (
    lambda r, c: (r + c) % 2,
    lambda r, c: r % 2,
    lambda r, c: c % 2,
    lambda r, c: (r % 2) & (c % 2),
    lambda r, c: (r % 2) | (c % 2),
    lambda r, c: (r + c) % 3 == 0,
    lambda r, c: (r - c) % 3 == 0,
)


@family("Solid rectangles get one regular texture (checks, stripes, dots), counted from their top left corner.")
def texture_of_rectangles(rng):
    texture, colours = one_of(rng, TEXTURES), pick_colours(rng, int(rng.integers(1, 4)))
    ink = one_of(rng, (0, pick_colour(rng, (0, *colours))))
    spared = pick_colour(rng, (0, ink, *colours)) if rng.random() < 0.3 else None

    def scene(rng):
        grid = blank(*canvas(rng, 6, 10))
        for _ in range(rng.integers(1, 4)):
            colour = one_of(rng, colours if spared is None else [spared, *colours])
            place(rng, grid, blank(*sides(rng, 2, 5), colour))
        return grid

    def rule(grid):
        output = grid.copy()
        for thing in objects(grid):
            rows, columns = np.indices(grid.shape)
            texture_here = texture(rows - thing.row, columns - thing.column).astype(bool)
            if thing.colour != spared:
                output[thing.mask(grid) & texture_here] = ink
        return output

    return scene, rule, colours_in


@family("The motif repeats from where it stands, in a row or over the whole grid, with the same gap between its copies.")
def motif_fills_the_grid(rng):
    colours, gap, shear = pick_colours(rng, int(rng.integers(1, 4))), int(rng.integers(0, 3)), int(rng.integers(0, 2))
    directions = one_of(rng, ("all", "all", "across", "right and down"))
    density = one_of(rng, (0.7, 1.0))

    def scene(rng):
        motif = crop(noise(rng, *(int(v) for v in rng.integers(1, 4, 2)), colours, density))
        grid = blank(*canvas(rng, 5, 10))
        return grid if motif.any() and motif.size > 1 and place(rng, grid, motif) else None

    def rule(grid):
        rows, columns = np.nonzero(grid)
        top, left, motif = rows.min(), columns.min(), crop(grid)
        cell = np.pad(motif, ((0, gap), (0, gap)))
        down, right = (axis - first for axis, first in zip(np.indices(grid.shape), (top, left)))
        number = down // cell.shape[0]  # copies in every next row of copies stand `shear` cells further to the right
        output = cell[down % cell.shape[0], (right - shear * number) % cell.shape[1]]
        if directions == "across":
            output[number != 0] = 0
        if directions == "right and down":
            output[(number < 0) | (right - shear * number < 0)] = 0
        return output

    return scene, rule


ARRANGEMENTS = (
    lambda r, c: r,
    lambda r, c: c,
    lambda r, c: r + c,
    lambda r, c: c - r,
    lambda r, c: np.maximum(r, c),
    lambda r, c: c + r % 2,
)


@family("The colours listed in the top row fill the grid in turns as rows, columns, diagonals or nested corners.")
def stripes_from_listed_colours(rng):
    arrangement, thick = one_of(rng, ARRANGEMENTS), one_of(rng, (1, 1, 2))
    most, stays, repeats = int(rng.integers(3, 7)), rng.random() < 0.4, rng.random() < 0.7
    palette = 2 if rng.random() < 0.3 else 6  # of two colours, many come more than once

    def scene(rng):
        grid = blank(*canvas(rng, 4, 9))
        listed = rng.choice(pick_colours(rng, palette), int(rng.integers(2, min(most, grid.shape[1]) + 1)))
        if len({*listed.tolist()}) == 1:
            return None
        grid[0, : len(listed)] = listed
        return grid

    def rule(grid):
        first = 1 if stays else 0
        listed = grid[0][grid[0] != 0]
        turn = arrangement(*np.indices((grid.shape[0] - first, grid.shape[1]))) // thick
        stripes = (
            listed[turn % len(listed)]
            if repeats
            else np.append(listed, np.uint8(0))[np.where(turn < 0, -1, turn).clip(-1, len(listed))]
        )
        return np.vstack([grid[:first], stripes])

    return scene, rule


@family("Every single cell starts the same rhythm of its own colour, blanks and a second colour, running to the right.")
def rhythm_from_each_cell(rng):
    colours = pick_colours(rng, int(rng.integers(1, 4)))
    ink, own = pick_colour(rng, (0, *colours)), -1
    rhythm = one_of(
        rng, ((own, 0), (own, ink), (own, 0, 0), (own, own, 0), (own, own, ink), (own, 0, ink), (own, ink, ink), (own, 0, ink, 0))
    )
    both_ways = rng.random() < 0.3

    def scene(rng):
        grid = blank(*canvas(rng, 4, 10))
        for row in rng.permutation(grid.shape[0])[: int(rng.integers(1, 4))]:
            grid[row, rng.integers(grid.shape[1] if both_ways else grid.shape[1] - 2)] = one_of(rng, colours)
        return grid

    def rule(grid):
        output = grid.copy()
        for row, start in np.argwhere(grid):
            for column in range(0 if both_ways else start, grid.shape[1]):
                beat = rhythm[abs(column - start) % len(rhythm)]
                output[row, column] = grid[row, start] if beat == own else beat
        return output

    return scene, rule


@family("From every cell at the left edge a zigzag of fixed height runs to the right edge.")
def zigzag_from_the_edge(rng):
    rise, upward = int(rng.integers(1, 4)), rng.random() < 0.5
    colours = pick_colours(rng, int(rng.integers(1, 4)))
    turn_ink = pick_colour(rng, (0, *colours)) if rng.random() < 0.4 else None

    def scene(rng):
        grid = blank(*canvas(rng, rise + 2, 10))
        grid[one_of(rng, range(rise, grid.shape[0])) - (0 if upward else rise), 0] = one_of(rng, colours)
        if rng.random() < 0.5:
            scatter(rng, grid[:, :1], 1, colours)
        return grid

    def rule(grid):
        output = blank(*grid.shape)
        for start in np.flatnonzero(grid[:, 0]):
            for column in range(grid.shape[1]):
                phase = column % (2 * rise)
                climbed = min(phase, 2 * rise - phase)
                row = start - climbed if upward else start + climbed
                if not 0 <= row < grid.shape[0] or output[row, column]:
                    return None
                output[row, column] = grid[start, 0] if turn_ink is None or climbed not in (0, rise) else turn_ink
        return output

    return scene, rule


@family("Pictures in a row show a steady motion (a step with wrap-around, or a turn); the next picture of the row.")
def next_picture_of_motion(rng):
    line, *colours = pick_colours(rng, int(rng.integers(2, 5)))
    turning, count = rng.random() < 0.35, int(rng.integers(2, 4))
    steps = [(r, c) for r, c in product((-1, 0, 1), repeat=2) if r or c]

    def scene(rng):
        side = int(rng.integers(3, 5 if count == 3 else 6))
        picture, step = blank(side, side if turning else int(rng.integers(3, 6))), one_of(rng, steps)
        if rng.random() < 0.5:
            scatter(rng, picture, int(rng.integers(2, 5)), colours)
        else:
            shape = blob(rng, int(rng.integers(2, 5)), 3, 3)
            draw(picture, painted(shape, 1) * noise(rng, *shape.shape, colours, 1.0), 0, 0)
        parts = [picture]
        for number in range(1, count):
            parts += [
                blank(side, 1, line),
                np.rot90(picture, number) if turning else np.roll(picture, (number * step[0], number * step[1]), (0, 1)),
            ]
        return np.hstack(parts)

    def rule(grid):
        pictures = cut_at_lines(grid, line)
        if turning:
            return np.rot90(pictures[-1])
        fitting = [s for s in steps if all(np.array_equal(np.roll(a, s, (0, 1)), b) for a, b in zip(pictures, pictures[1:]))]
        following = [np.roll(pictures[-1], step, (0, 1)) for step in fitting]
        return following[0] if len(following) == 1 else None

    return scene, rule


@family("Bars on the floor grow (or shrink) by equal steps; the row of bars continues to the right edge.")
def continue_growing_bars(rng):
    pitch, shown, cycle = int(rng.integers(1, 3)), int(rng.integers(2, 4)), pick_colours(rng, int(rng.integers(1, 4)))
    new_ink = pick_colour(rng, (0, *cycle)) if rng.random() < 0.3 else None

    def scene(rng):
        height, step = int(rng.integers(5, 11)), one_of(rng, (1, 1, 2, -1, -2))
        width = int(rng.integers(pitch * shown + 1, min(pitch * (shown + 3), 10) + 1))
        start = int(rng.integers(1, 4)) if step > 0 else height - int(rng.integers(0, 2))
        if not all(0 <= start + number * step <= height for number in range(shown)):
            return None
        grid = blank(height, width)
        for number in range(shown):
            grid[height - start - number * step :, number * pitch] = cycle[number % len(cycle)]
        return grid

    def rule(grid):
        heights = [int(n) for n in (grid[:, ::pitch] != 0).sum(0)]
        step, output = heights[1] - heights[0], grid.copy()
        if heights[shown - 1] in (0, grid.shape[0]) or heights[shown:] == []:
            return None
        for number in range(shown, len(heights)):
            tall = min(max(heights[0] + number * step, 0), grid.shape[0])
            output[grid.shape[0] - tall :, number * pitch] = cycle[number % len(cycle)] if new_ink is None else new_ink
        return output

    return scene, rule


@family("Every row repeats its own short sequence; the colours missing under the marked cells, one for each row.")
def missing_items_of_rows(rng):
    hidden, *colours = pick_colours(rng, int(rng.integers(3, 6)))
    longest, wipes = int(rng.integers(2, 5)), rng.random() < 0.3  # answers as a column, or in place

    def scene(rng):
        height, width = canvas(rng, 1, 5, (2 * longest + 1, 10))
        rows = [repeated(noise(rng, 1, int(rng.integers(2, longest + 1)), colours, 1.0), 1, width) for _ in range(height)]
        grid = np.vstack(rows)
        grid[np.arange(height), rng.integers(0, width, height)] = hidden
        return grid

    def rule(grid):
        missing = []
        for row in grid:
            tiles = [tile_behind(row[None], hidden, 1, period) for period in range(1, len(row) // 2 + 1)]
            tile = next((tile[0] for tile in tiles if tile is not None), None)
            if tile is None:
                return None
            missing.append(tile[int(np.flatnonzero(row == hidden)[0]) % len(tile)])
        column = np.array(missing, np.uint8)[:, None]
        return np.where(grid == hidden, column, grid) if wipes else column

    return scene, rule


@family("Every row is the row above it moved by a fixed number of cells, around the edge; one row is given.")
def rows_shift_on(rng):
    step, colours = one_of(rng, (1, -1, 2, -2)), pick_colours(rng, int(rng.integers(1, 5)))
    density, given = rng.uniform(0.3, 1.0), one_of(rng, ("top", "bottom", "any"))

    def scene(rng):
        grid = blank(*canvas(rng, 3, 9))
        row = {"top": 0, "bottom": grid.shape[0] - 1, "any": int(rng.integers(grid.shape[0]))}[given]
        grid[row] = noise(rng, 1, grid.shape[1], colours, density)[0]
        return grid

    def rule(grid):
        if not grid.any():
            return None
        start = int(np.flatnonzero(grid.any(1))[0])
        return np.stack([np.roll(grid[start], step * (row - start)) for row in range(grid.shape[0])])

    return scene, rule


@family("Copies of the shape run to the right, with an equal gap, in colours that take turns.")
def copies_in_turning_colours(rng):
    gap, cycle = int(rng.integers(0, 3)), pick_colours(rng, int(rng.integers(2, 4)))
    fall = one_of(rng, (0, 0, 1, -1))  # every copy this much lower than the last

    def scene(rng):
        grid = blank(*canvas(rng, 4, 11))
        shape = painted(blob(rng, int(rng.integers(2, 6)), 3, 3), cycle[0])
        if grid.shape[1] < 2 * shape.shape[1] + gap or grid.shape[0] < shape.shape[0]:
            return None
        draw(grid, shape, int(rng.integers(grid.shape[0] - shape.shape[0] + 1)), int(rng.integers(2)))
        return grid

    def rule(grid):
        output, shape, (rows, columns) = blank(*grid.shape), crop(grid) != 0, np.nonzero(grid)
        for number in range(grid.shape[1]):
            column = columns.min() + number * (shape.shape[1] + gap)
            draw(output, painted(shape, cycle[number % len(cycle)]), rows.min() + number * fall, column)
        return output

    return scene, rule
