"""Families about order: rows, bars, objects, panels and colours are sorted, ranked, thinned out or chained."""

import numpy as np
from scipy import ndimage

from .family import family
from .scenes import (
    Object,
    blank,
    blob,
    canvas,
    colours_in,
    crop,
    noise,
    objects,
    painted,
    pick_colour,
    pick_colours,
    place,
    scatter,
)


def blobs_of_sizes(rng: np.random.Generator, grid: np.ndarray, sizes, colours) -> bool:
    """Place a blob of every number of cells, in its colour; whether all of them found room."""
    for size, colour in zip(sizes, colours):
        shape = blob(rng, size, 3, 4)
        if place(rng, grid, painted(shape.T if rng.random() < 0.5 else shape, colour)) is None:
            return False
    return True


def by_size(grid: np.ndarray) -> list[Object] | None:
    """The objects from small to large; None where two have one size."""
    found = sorted(objects(grid), key=lambda o: o.size)
    return None if len({o.size for o in found}) < len(found) else found


def reordered(grid: np.ndarray, keys: np.ndarray) -> np.ndarray | None:
    """The rows of a grid in ascending order of their keys; None where two rows have one key."""
    return None if len(np.unique(keys)) < len(keys) else grid[np.argsort(keys)]


@family("The bars change places so that they stand in the order of their height.")
def bars_by_height(rng):
    step, height = int(rng.integers(1, 3)), int(rng.integers(5, 9))
    cap = pick_colour(rng) if rng.random() < 0.3 else None
    palette = pick_colours(rng, int(rng.integers(1, 6)), (0, cap))

    def scene(rng):
        count = int(rng.integers(3, 6))
        grid = blank(height, count * step - step + 1)
        for number, size in enumerate(rng.permutation(np.arange(2, height + 1))[:count]):
            grid[height - size :, number * step] = rng.choice(palette)
            grid[height - size, number * step] = cap or grid[height - 1, number * step]
        return grid

    def rule(grid):
        output = grid.copy()
        places = np.flatnonzero(grid.any(0))
        output[:, places] = grid[:, places][:, np.argsort((grid[:, places] != 0).sum(0))]
        return output

    return scene, rule


@family("The objects take colours by their rank in size: the largest, the second largest, and so on.")
def size_ranks_coloured(rng):
    body, *paints = pick_colours(rng, 5)
    count = int(rng.integers(2, 5))
    if rng.random() < 0.5:
        paints[-3:] = [paints[-3]] * 3  # only the largest stands out
    if rng.random() < 0.3:
        paints = paints[::-1]

    def scene(rng):
        grid = blank(*canvas(rng, 7, 10))
        return grid if blobs_of_sizes(rng, grid, rng.permutation(np.arange(1, 9))[:count], [body] * count) else None

    def rule(grid):
        output, found = grid.copy(), by_size(grid)
        for paint, thing in zip(paints, (found or [])[::-1]):
            output[thing.mask(grid)] = paint
        return output

    return scene, rule


@family("The colours are listed in the order of how many cells they have.")
def colours_by_frequency(rng):
    listed = int(rng.integers(2, 5))
    sign, thick, full = rng.choice([1, -1]), int(rng.integers(1, 3)), rng.random() < 0.4

    def scene(rng):
        count = listed + int(rng.integers(0, 2))
        colours = pick_colours(rng, count)
        numbers = np.cumsum(rng.integers(1, 4, count))
        cells = np.repeat(colours, rng.permutation(numbers))
        width = int(rng.integers(4, 8))
        room = -(-len(cells) // width) * width
        cells = np.r_[cells, np.full(room - len(cells), colours[0])] if full else np.r_[cells, np.zeros(room - len(cells))]
        return rng.permutation(cells).reshape(-1, width).astype(np.uint8)

    def rule(grid):
        colours, numbers = np.unique(grid[grid != 0], return_counts=True)
        if len(set(numbers)) < len(numbers) or len(colours) < listed:
            return None
        return np.repeat(colours[np.argsort(-sign * numbers)][None, :listed], thick, 0)

    return scene, rule


@family("The rows change places: they are put in the order of how many cells (or cells of one colour) they have.")
def rows_by_count(rng):
    colours = pick_colours(rng, int(rng.integers(1, 4)))
    counted = colours[0] if rng.random() < 0.5 else None
    edge = pick_colour(rng, (0, *colours)) if rng.random() < 0.3 else 0

    def scene(rng):
        height, width = sorted(canvas(rng, 3, 8))
        grid = noise(rng, height, width, colours[1:], 0.4) if counted and colours[1:] else blank(height, width)
        for row, number in zip(grid, rng.permutation(width + 1)[:height]):
            row[rng.permutation(width)[:number]] = rng.choice([counted] if counted else colours, number)
        return np.insert(grid, 0, edge, 1) if edge else grid

    def rule(grid):
        return reordered(grid, ((grid == counted) if counted else (grid != 0) & (grid != edge)).sum(1))

    return scene, rule


@family("The rows change places: they are put in the order of how far from the left their first coloured cell is.")
def rows_by_first_cell(rng):
    colours = pick_colours(rng, int(rng.integers(1, 5)))
    density = rng.choice([0.0, 0.4, 1.0])

    def scene(rng):
        height, width = sorted(canvas(rng, 3, 8))
        grid = noise(rng, height, width, colours, density)
        if rng.random() < 0.5:  # rows of one colour
            grid = np.where(grid, rng.choice(colours, (height, 1)), 0).astype(np.uint8)
        for row, first in zip(grid, rng.permutation(width)[:height]):
            row[:first] = 0
            row[first] = row[first] or rng.choice(colours)
        return grid

    def rule(grid):
        return reordered(grid, (grid != 0).argmax(1))

    return scene, rule


@family("The cells of every row are sorted by colour, in an order that is always the same.")
def cells_sorted_in_rows(rng):
    order = pick_colours(rng, int(rng.integers(2, 5)))
    order.insert(int(rng.choice([0, len(order)])), 0)
    weights = rng.dirichlet(np.full(len(order), 6))
    rank = np.zeros(10, int)
    rank[order] = np.arange(len(order))

    def scene(rng):
        return rng.choice(np.array(order, np.uint8), canvas(rng, 3, 7), p=weights)

    def rule(grid):
        return np.array(order, np.uint8)[np.sort(rank[grid], 1)]

    return scene, rule, colours_in


@family("Rows that occur more than once lose their repeats (or all go, or only they stay, once each).")
def rows_thinned_out(rng):
    kept = rng.choice(["first", "once", "repeated"])
    colours = pick_colours(rng, int(rng.integers(1, 5)))
    striped = len(colours) > 2

    def scene(rng):
        count, width = canvas(rng, 3, 5, (3, 6))
        lines = noise(rng, count, width, colours, 0.6)
        if striped:
            lines[:] = rng.choice(colours, (count, 1))
        copies = rng.integers(1, 4, count)
        copies[:2] = 1, 2
        return rng.permutation(np.repeat(lines, copies, 0))

    def rule(grid):
        lines, first, numbers = np.unique(grid, axis=0, return_index=True, return_counts=True)
        keep = {"first": numbers > 0, "once": numbers == 1, "repeated": numbers > 1}[kept]
        return grid[np.sort(first[keep])] if keep.any() else None

    return scene, rule


@family("The bars change places so that their colours come in the order that the top row shows.")
def bars_in_key_order(rng):
    height, step = int(rng.integers(4, 7)), int(rng.integers(1, 3))
    key_stays = rng.random() < 0.6

    def scene(rng):
        count = int(rng.integers(3, 6))
        colours = np.array(pick_colours(rng, count))
        grid = blank(height + 2, count * step - step + 1)
        grid[0, ::step] = rng.permutation(colours)
        for number, colour in enumerate(colours):
            grid[rng.integers(2, height + 2) :, number * step] = colour
        return grid

    def rule(grid):
        output, bars = grid.copy(), grid[2:]
        for column in np.flatnonzero(grid[0]):
            output[2:, column] = bars[:, np.flatnonzero(bars[-1] == grid[0, column])[0]]
        return output if key_stays else output[2:]

    return scene, rule


@family("Only the object of one rank in size stays: the largest, second largest, smallest or middle one.")
def one_rank_stays(rng):
    rank = [-1, -2, 0, None][rng.integers(4)]  # None: the middle one
    cut, palette = rng.random() < 0.5, pick_colours(rng, int(rng.integers(1, 6)))
    counts = [3, 5] if rank is None else [3, 4, 5]

    def scene(rng):
        grid, count = blank(*canvas(rng, 7, 10)), int(rng.choice(counts))
        sizes = rng.permutation(np.arange(1, 10))[:count]
        return grid if blobs_of_sizes(rng, grid, sizes, rng.choice(palette, count)) else None

    def rule(grid):
        found = by_size(grid)
        if not found:
            return None
        chosen = found[len(found) // 2 if rank is None else rank]
        return chosen.colours if cut else np.where(chosen.mask(grid), grid, np.uint8(0))

    return scene, rule


@family("The largest and the smallest object trade colours; the others stay as they are.")
def extremes_trade_colours(rng):
    palette = pick_colours(rng, int(rng.integers(3, 7)))
    count = int(rng.integers(3, 5))

    def scene(rng):
        grid = blank(*canvas(rng, 7, 10))
        return grid if blobs_of_sizes(rng, grid, rng.permutation(np.arange(1, 9))[:count], rng.choice(palette, count)) else None

    def rule(grid):
        output, found = grid.copy(), by_size(grid)
        if not found:
            return None
        output[found[0].mask(grid)], output[found[-1].mask(grid)] = found[-1].colour, found[0].colour
        return output

    return scene, rule


@family("The panels change places so that they are in the order of their numbers of dots.")
def panels_by_dots(rng):
    line, *colours = pick_colours(rng, int(rng.integers(2, 5)))
    height, width, count = [(2, 2, 4), (3, 2, 4), (3, 3, 3), (4, 2, 3), (2, 3, 3), (3, 3, 2), (1, 5, 2)][rng.integers(7)]

    def scene(rng):
        grid = blank(height, count * (width + 1) - 1)
        for number, dots in enumerate(rng.permutation(min(height * width, 4) + 1)[:count]):
            scatter(rng, grid[:, number * (width + 1) :][:, :width], int(dots), [rng.choice(colours)])
        grid[:, width :: width + 1] = line
        return grid

    def rule(grid):
        output = grid.copy()
        parts = [grid[:, start : start + width] for start in range(0, grid.shape[1], width + 1)]
        for number, part in enumerate(sorted(parts, key=lambda p: (p != 0).sum())):
            output[:, number * (width + 1) :][:, :width] = part
        return output

    return scene, rule


@family("Lines cross over and under each other: the output lists their colours from the top layer down.")
def layers_top_first(rng):
    count = int(rng.integers(2, 5))
    thick, downwards = int(rng.integers(1, 3)), rng.random() < 0.3

    def scene(rng):
        grid = blank(*canvas(rng, 5 + thick, 8))
        turned, colours = rng.integers(2), pick_colours(rng, count)
        halves = [rng.permutation(np.arange(1, side - 2, 3))[:2] for side in grid.shape]
        for number in range(count)[::-1]:  # the lowest first; rows and columns take turns, so each crosses the next
            target = grid if (number + turned) % 2 else grid.T
            start = halves[0 if (number + turned) % 2 else 1]
            if number // 2 >= len(start):
                return None
            target[start[number // 2] : start[number // 2] + thick] = colours[number]
        return grid

    def rule(grid):
        colours = np.setdiff1d(grid, [0])
        visible = [crop((grid == c) * c).astype(bool) for c in colours]
        across = [v.shape[1] > v.shape[0] for v in visible]
        over = np.zeros((len(colours), len(colours)), bool)
        for i, j in ((i, j) for i in range(len(colours)) for j in range(len(colours)) if across[i] and not across[j]):
            crossing = np.ix_((grid == colours[i]).any(1), (grid == colours[j]).any(0))
            over[i, j] = (grid[crossing] == colours[i]).all()
            over[j, i] = not over[i, j]
        return colours[np.argsort([_depth(over, i) for i in range(len(colours))])][:: -1 if downwards else 1, None]

    return scene, rule


def _depth(over: np.ndarray, layer: int) -> int:
    """How many layers lie above one, along the longest way up."""
    return max((1 + _depth(over, above) for above in np.flatnonzero(over[:, layer])), default=0)


@family("The dominoes are joined to one chain, so that equal colours meet; the output is the chain.")
def dominoes_chained(rng):
    merge = rng.random() < 0.6  # the colours that meet are shown once, not twice

    def scene(rng):
        count = int(rng.integers(2, 5))
        chain = pick_colours(rng, count + 1)
        grid = blank(*canvas(rng, 4, 7))
        for number in rng.permutation(count):
            if place(rng, grid, np.array([chain[number : number + 2]], np.uint8)) is None:
                return None
        return grid

    def rule(grid):
        labels, _ = ndimage.label(grid)
        follows = dict(tuple(int(v) for v in grid[part][0]) for part in ndimage.find_objects(labels))
        chain = [next(iter(set(follows) - set(follows.values())))]
        while chain[-1] in follows:
            chain.append(follows[chain[-1]])
        strip = np.array([chain], np.uint8)
        return strip if merge else np.repeat(strip, 2, 1)[:, 1:-1]

    return scene, rule
