"""Families about colours: legends in the grid, neighbours, places, forms and frequencies decide what takes which colour."""

import numpy as np
from scipy import ndimage

from .family import family
from .scenes import (
    EIGHT,
    FOUR,
    blank,
    blob,
    canvas,
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


def some_blobs(rng: np.random.Generator, grid: np.ndarray, count: int, colours, cells: int = 6) -> None:
    """Place up to `count` blobs of 2 to `cells` cells, each in one of `colours`."""
    for _ in range(count):
        place(rng, grid, painted(blob(rng, rng.integers(2, cells + 1), 3, 3), rng.choice(colours)))


def recoloured(grid: np.ndarray, before, after) -> np.ndarray:
    """All colours of `before` replaced at once by the colours of `after` in the same place of the list."""
    table = np.arange(10, dtype=np.uint8)
    table[list(before)] = list(after)
    return table[grid]


@family("The legend beside the picture lists pairs of colours: the left one of a pair becomes the right one in the picture.")
def legend_maps_colours(rng):
    both_ways, legend_stays, line = rng.random() < 0.3, rng.random() < 0.3, pick_colour(rng)
    density = rng.choice([0.5, 1.0])

    def scene(rng):
        count = int(rng.integers(1, 4))
        colours = pick_colours(rng, 2 * count + 1, (0, line))
        before, after, other = colours[:count], colours[count:-1], colours[-1]
        height, width = canvas(rng, 3, 6)
        picture = noise(rng, height, width, before + [other] + (after if both_ways else []), density)
        grid = blank(height, width + 3, line)
        grid[:, :2], grid[:, 3:] = 0, picture
        grid[:count, 0], grid[:count, 1] = before, after
        return grid

    def rule(grid):
        before, after = grid[:, :2][grid[:, 0] != 0].T
        if both_ways:
            before, after = np.r_[before, after], np.r_[after, before]
        picture = recoloured(grid[:, 3:], before, after)
        if np.array_equal(picture, grid[:, 3:]):
            return None
        return np.hstack([grid[:, :3], picture]) if legend_stays else picture

    return scene, rule


@family("Every colour has a fixed partner that replaces it; some colours stay.")
def fixed_partners(rng):
    before = pick_colours(rng, int(rng.integers(2, 5)))
    after = np.roll(before, 1) if rng.random() < 0.6 else pick_colours(rng, len(before), (0, *before))
    others = pick_colours(rng, int(rng.integers(0, 2)), (0, *before, *after))
    form = rng.choice(["noise", "full", "blobs"])

    def scene(rng):
        if form != "blobs":
            return noise(rng, *canvas(rng, 3, 7), before + others, 1 if form == "full" else 0.6)
        grid = blank(*canvas(rng, 6, 9))
        for colour in rng.permutation(before + others):
            some_blobs(rng, grid, 1, [colour], 5)
        return grid

    def rule(grid):
        return recoloured(grid, before, after) if np.isin(before, grid).all() else None

    return scene, rule


@family("An empty cell between two cells of one colour, left and right (or also above and below), is filled.")
def filled_between_alike(rng):
    colours = pick_colours(rng, int(rng.integers(1, 4)))
    both_axes = rng.random() < 0.5
    paint = None if len(colours) > 1 and rng.random() < 0.5 else pick_colour(rng, (0, *colours))  # None: the same colour

    def scene(rng):
        return noise(rng, *canvas(rng, 4, 8), colours, rng.uniform(0.3, 0.5))

    def rule(grid):
        filled = np.zeros_like(grid)
        for before, target in [(grid, filled), (grid.T, filled.T)][: 1 + both_axes]:
            left, right = before[:, :-2], before[:, 2:]
            alike = (before[:, 1:-1] == 0) & (left == right) & (left != 0)
            if paint is None and (alike & (target[:, 1:-1] != 0) & (target[:, 1:-1] != left)).any():
                return None
            target[:, 1:-1][alike] = left[alike] if paint is None else paint
        return np.maximum(grid, filled)

    return scene, rule


@family("Coloured cells in every second (or third) row, or on every second cell of a chequerboard, change colour.")
def parity_of_place(rng):
    colours = pick_colours(rng, int(rng.integers(1, 3)))
    paint = pick_colour(rng, colours)  # 0: the cells vanish
    form, offset = rng.choice(["row", "third", "chequer", "chequer", "both"]), int(rng.integers(2))
    full = form != "both" and rng.random() < 0.3

    def scene(rng):
        if full:
            return blank(*canvas(rng, 3, 8), rng.choice(colours))
        grid = blank(*canvas(rng, 5, 9))
        for _ in range(rng.integers(1, 4)):
            place(rng, grid, painted(blob(rng, rng.integers(4, 16), 5, 5), rng.choice(colours)))
        return grid

    def rule(grid):
        rows, columns = np.indices(grid.shape) + offset
        chosen = {"row": rows % 2, "third": rows % 3, "chequer": (rows + columns) % 2, "both": rows % 2 + columns % 2}[form] == 0
        return np.where((grid != 0) & chosen, np.uint8(paint), grid)

    return scene, rule


@family("Objects touched by a marker cell take its colour or a fixed one, or vanish; the others stay.")
def touched_objects_change(rng):
    marker, paint, *bodies = pick_colours(rng, int(rng.integers(3, 6)))
    paint = [marker, marker, paint, 0][rng.integers(4)]
    marker_stays = paint not in (0, marker) and rng.random() < 0.5 or paint == marker

    def scene(rng):
        grid = blank(*canvas(rng, 6, 10))
        for touched in [True, False, *(rng.random(2) < 0.5)]:
            sprite = np.pad(painted(blob(rng, rng.integers(3, 7), 3, 3), rng.choice(bodies)), 1)
            beside = np.argwhere(ndimage.binary_dilation(sprite, FOUR) & (sprite == 0))
            if touched:
                sprite[tuple(beside[rng.integers(len(beside))])] = marker
            place(rng, grid, sprite[np.ix_(sprite.any(1), sprite.any(0))])
        return grid

    def rule(grid):
        output, beside = grid.copy(), ndimage.binary_dilation(grid == marker, FOUR)
        for thing in objects(grid):
            if thing.colour != marker and (thing.mask(grid) & beside).any():
                output[thing.mask(grid)] = paint
        return output if marker_stays else np.where(grid == marker, np.uint8(paint), output)

    return scene, rule


@family("Objects that are taller than wide take one colour, wider ones another, and equally tall and wide ones a third.")
def proportions_decide_colour(rng):
    bodies = pick_colours(rng, int(rng.integers(1, 3)))
    tall, wide, equal = pick_colours(rng, 3, (0, *bodies))
    equal = bodies[0] if rng.random() < 0.3 and len(bodies) == 1 else equal
    solid = rng.random() < 0.4

    def scene(rng):
        grid = blank(*canvas(rng, 7, 10))
        for _ in range(6):
            shape = np.ones(sides(rng, 1, 4), bool) if solid else blob(rng, rng.integers(2, 8), 3, 4)
            shape = shape.T if rng.random() < 0.5 else shape
            place(rng, grid, painted(shape, rng.choice(bodies)))
        return grid

    def rule(grid):
        output, found = grid.copy(), objects(grid)
        if len({np.sign(o.height - o.width) for o in found}) < 3:
            return None
        for thing in found:
            output[thing.mask(grid)] = [equal, tall, wide][np.sign(thing.height - thing.width)]
        return output

    return scene, rule


@family("The rarest (or the most common) colour gives way: to a fixed colour, to nothing, or to the colour at the other end.")
def extreme_colour_replaced(rng):
    rarest, by_other = rng.random() < 0.6, rng.random() < 0.3
    paint = pick_colour(rng, ())
    full, count = rng.random() < 0.5, int(rng.integers(3, 5))

    def scene(rng):
        grid = blank(*canvas(rng, 4, 7))
        weights = rng.dirichlet(np.full(count, 3))
        colours = np.array(pick_colours(rng, count, (0, paint)), np.uint8)
        return np.where(full | (rng.random(grid.shape) < 0.6), rng.choice(colours, grid.shape, p=weights), grid)

    def rule(grid):
        colours, numbers = np.unique(grid[grid != 0], return_counts=True)
        order = np.argsort(numbers if rarest else -numbers)
        ranked = numbers[order]
        if len(colours) < 3 or 2 * max(ranked[:2]) < 3 * min(ranked[:2]) or ranked[-1] == ranked[-2]:
            return None
        return recoloured(grid, [colours[order[0]]], [colours[order[-1]] if by_other else paint])

    return scene, rule


@family("Colours in a fixed cycle surround every seed, or its column, ring by ring, out to the edge or to a fixed distance.")
def rings_round_seeds(rng):
    seed, *cycle = pick_colours(rng, int(rng.integers(2, 5)))
    cycle = [*cycle, 0] if rng.random() < 0.2 else cycle
    distance = rng.choice(["chessboard", "taxicab", "columns"])
    reach, most_seeds = int(rng.choice([2, 3, 30])), int(rng.integers(1, 3))

    def scene(rng):
        grid = blank(*canvas(rng, 5, 9))
        for _ in range(rng.integers(1, most_seeds + 1)):
            place(rng, grid, blank(1, 1, seed), gap=2)
        return grid

    def rule(grid):
        empty = (grid != seed).all(0)[None].repeat(len(grid), 0) if distance == "columns" else grid != seed
        away = ndimage.distance_transform_cdt(empty, "chessboard" if distance == "columns" else distance)
        rings = np.array(cycle, np.uint8)[(away - 1) % len(cycle)]
        return np.where((away > 0) & (away <= reach), rings, grid)

    return scene, rule


@family("The cell at the start of each row tells the colour that the row's coloured cells (or its empty cells) take.")
def headers_colour_rows(rng):
    body, line = pick_colours(rng, 2)
    whole_row, header_stays = rng.random() < 0.3, rng.random() < 0.7
    lined, every = rng.random() < 0.4, rng.choice([0.6, 1.0])

    def scene(rng):
        height, width = canvas(rng, 3, 8)
        grid = blank(height, width + 1)
        some_blobs(rng, grid[:, 1:], 4, [body], 9) if rng.random() < 0.5 else scatter(rng, grid[:, 1:], height * 2, [body])
        headers = np.where(rng.random(height) < every, rng.choice(pick_colours(rng, 4, (0, body, line)), height), 0)
        grid[:, 0] = headers
        return np.insert(grid, 1, line, 1) if lined else grid

    def rule(grid):
        start = 2 if lined else 1
        picture, headers = grid[:, start:], grid[:, :1]
        changed = (picture == 0) if whole_row else (picture == body)
        picture = np.where(changed & (headers != 0), headers, picture)
        return np.hstack([grid[:, :start], picture]) if header_stays else picture

    return scene, rule


@family("A cell is coloured where the colours at the head of its row and of its column agree.")
def headers_agree(rng):
    palette = pick_colours(rng, int(rng.integers(2, 4)))
    paint = pick_colour(rng, (0, *palette)) if rng.random() < 0.3 else None
    unlike = pick_colour(rng, (0, *palette, paint)) if rng.random() < 0.3 else 0
    headers_stay, gaps = rng.random() < 0.6, 0.25 * (rng.random() < 0.3)

    def scene(rng):
        grid = blank(*canvas(rng, 4, 8))
        for header in (grid[0, 1:], grid[1:, 0]):
            header[:] = np.where(rng.random(len(header)) < gaps, 0, rng.choice(palette, len(header)))
        return grid

    def rule(grid):
        top, left = grid[:1, 1:], grid[1:, :1]
        agree = np.where(top == left, np.uint8(paint) if paint else top, np.uint8(unlike))
        output = grid.copy()
        output[1:, 1:] = np.where((top != 0) & (left != 0), agree, 0)
        return output if headers_stay else output[1:, 1:]

    return scene, rule


@family("Cells that touch no cell of their own colour vanish (or change colour).")
def loners_change(rng):
    colours = pick_colours(rng, int(rng.integers(1, 4)))
    paint = 0 if rng.random() < 0.5 else pick_colour(rng, (0, *colours))

    def scene(rng):
        grid = blank(*canvas(rng, 5, 9))
        for _ in range(rng.integers(1, 5)):
            place(rng, grid, painted(blob(rng, rng.integers(2, 8), 4, 4), rng.choice(colours)), gap=0)
        scatter(rng, grid, int(rng.integers(2, 6)), colours)
        return grid

    def rule(grid):
        def alone(neighbourhood):
            counts = [ndimage.convolve((grid == c).astype(int), neighbourhood.astype(int), mode="constant") for c in colours]
            return sum((grid == c) & (n == 1) for c, n in zip(colours, counts)).astype(bool)

        if (alone(FOUR) != alone(EIGHT)).any():
            return None  # a neighbour over the corner could count or not
        return np.where(alone(FOUR), np.uint8(paint), grid)

    return scene, rule


@family("An object with one odd cell takes that cell's colour (or loses the odd cell); objects of one colour stay.")
def odd_cell_sets_colour(rng):
    odd_wins, bodies = rng.random() < 0.7, pick_colours(rng, int(rng.integers(1, 3)))
    odd_colours = pick_colours(rng, int(rng.integers(1, 4)), (0, *bodies))

    def scene(rng):
        grid = blank(*canvas(rng, 6, 10))
        for odd in [True, rng.random() < 0.7, rng.random() < 0.5, False][: rng.integers(2, 5)]:
            sprite = painted(blob(rng, rng.integers(4, 9), 4, 4), rng.choice(bodies))
            if odd:
                scatter(rng, sprite, 1, odd_colours, background=sprite.max())
            place(rng, grid, sprite)
        return grid

    def rule(grid):
        output = grid.copy()
        for thing in objects(grid, by_colour=False):
            odd = thing.colours[np.isin(thing.colours, odd_colours)]
            if len(odd):
                output[thing.mask(grid)] = odd[0] if odd_wins else thing.colour
        return output

    return scene, rule


@family("The strip at the foot shows a cycle of colours: every cell of the picture takes the colour that comes after its own.")
def cycle_in_the_grid(rng):
    length, steps = int(rng.integers(2, 5)), 1 if rng.random() < 0.75 else -1
    strip_stays, density = rng.random() < 0.5, rng.choice([0.5, 1.0])

    def scene(rng):
        cycle = pick_colours(rng, length + 1)
        height, width = canvas(rng, 3, 6, (length, 7))
        grid = noise(rng, height + 2, width, cycle[: length + (rng.random() < 0.5)], density)
        grid[-2:] = 0
        grid[-1, :length] = cycle[:length]
        return grid

    def rule(grid):
        picture, cycle = grid[:-2], grid[-1, :length]
        changed = recoloured(picture, cycle, np.roll(cycle, -steps))
        return np.vstack([changed, grid[-2:]]) if strip_stays else changed

    return scene, rule


@family("Every object takes the colour of the dot nearest to it; the dots stay or vanish.")
def nearest_dot_colours(rng):
    body, *palette = pick_colours(rng, 5)
    dots_stay = rng.random() < 0.6

    def nearest(thing, dots):
        """The dot that is nearest both by steps and by steps with diagonals, one place of `dots`; None where undecided."""
        away = np.abs(np.array(thing.places)[:, None] - dots[None])
        by_steps, by_king = away.sum(2).min(0), away.max(2).min(0)
        winner = by_steps.argmin()
        decided = all((np.delete(d, winner) > d[winner]).all() for d in (by_steps, by_king))
        return tuple(dots[winner]) if decided else None

    def things_and_dots(grid):
        return objects(np.where(grid == body, grid, np.uint8(0))), np.argwhere((grid != 0) & (grid != body))

    def scene(rng):
        grid = blank(*canvas(rng, 6, 10))
        some_blobs(rng, grid, int(rng.integers(2, 5)), [body])
        for colour in rng.permutation(palette)[: rng.integers(2, 4)]:
            place(rng, grid, blank(1, 1, colour))
        things, dots = things_and_dots(grid)
        for thing in things if len(dots) else []:
            if nearest(thing, dots) is None:
                grid[thing.mask(grid)] = 0
        return grid

    def rule(grid):
        output, (things, dots) = grid.copy(), things_and_dots(grid)
        if len(dots) < 2 or not things:
            return None
        for thing in things:
            output[thing.mask(grid)] = grid[nearest(thing, dots)]
        return output if dots_stay else np.where(np.isin(grid, [0, body]), output, np.uint8(0))

    return scene, rule


@family("A line divides the grid: coloured cells on its left take one colour, those on its right another (or stay, or vanish).")
def sides_of_a_line(rng):
    line, body, left, right = pick_colours(rng, 4)
    left, right = [(left, right), (left, body), (left, 0), (body, 0)][rng.integers(4)]
    dotted, line_stays = rng.random() < 0.4, rng.random() < 0.7

    def scene(rng):
        grid = blank(*canvas(rng, 5, 9))
        column = int(rng.integers(2, grid.shape[1] - 2))
        for part in (grid[:, :column], grid[:, column + 1 :]):
            scatter(rng, part, int(rng.integers(2, 6)), [body]) if dotted else some_blobs(rng, part, 3, [body])
        grid[:, column] = line
        return grid

    def rule(grid):
        column = np.flatnonzero((grid == line).all(0))[0]
        before = np.arange(grid.shape[1])[None] < column
        output = np.where(grid == body, np.where(before, left, right), grid).astype(np.uint8)
        return output if line_stays else np.where(grid == line, np.uint8(0), output)

    return scene, rule


@family("Objects that lie at the edge (or in a corner) of the grid change colour or vanish; or all the others do.")
def edge_objects_change(rng):
    bodies = pick_colours(rng, int(rng.integers(1, 4)))
    paint = 0 if rng.random() < 0.3 else pick_colour(rng, (0, *bodies))
    at_edge, corner = rng.random() < 0.6, rng.random() < 0.2  # corner: only those that fill a corner of the grid

    def scene(rng):
        grid = blank(*canvas(rng, 6, 9))
        if corner:
            shape = blob(rng, 4, 3, 3)
            row, column = (int(rng.choice([0, room])) for room in np.subtract(grid.shape, shape.shape))
            draw(grid, painted(shape, bodies[0]), row, column)
        for _ in range(4):
            margin = int(rng.integers(2))
            place(rng, grid, painted(blob(rng, rng.integers(2, 6), 3, 3), rng.choice(bodies)), margin=margin)
        return grid

    def rule(grid):
        inner = np.zeros(grid.shape, bool)
        inner[slice(None) if corner else slice(1, -1), 1:-1] = True
        if corner:
            inner[1:-1] = True
        found = objects(grid)
        chosen = [o for o in found if (o.mask(grid) & ~inner).any() == at_edge]
        if not 0 < len(chosen) < len(found):
            return None
        output = grid.copy()
        for thing in chosen:
            output[thing.mask(grid)] = paint
        return output

    return scene, rule
