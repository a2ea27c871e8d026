"""Families about tiling: pictures put together from copies, pieces, halves and quarters, and taken apart again."""

import numpy as np

from ...arc.view import apply_symmetry
from .family import family
from .patterns import cut_at_lines
from .scenes import blank, canvas, colours_in, noise, objects, pick_colour, pick_colours, place, scatter
from .symmetry import one_of

FLIPS = (0, 2, 5, 7)
"""The symmetries that keep a picture's height and width, as indices for `apply_symmetry`."""


def laid_out(tiles) -> np.ndarray:
    """One grid from rows of tiles of one size."""
    return np.block([list(row) for row in tiles])


def with_lines(tiles, line: int) -> np.ndarray:
    """One grid from rows of tiles of one size, with lines of a colour between them."""
    height, width = tiles[0][0].shape
    padded = laid_out([[np.pad(tile, ((0, 1), (0, 1)), constant_values=line) for tile in row] for row in tiles])
    return padded[: len(tiles) * (height + 1) - 1, : len(tiles[0]) * (width + 1) - 1]


def parts_between_lines(grid: np.ndarray, line: int) -> list[list[np.ndarray]]:
    """Rows of the parts that full lines of a colour cut a grid into."""
    return [cut_at_lines(band.T, line) for band in cut_at_lines(grid.T, line)]


@family("Copies of the picture side by side in a fixed layout, each mirrored or turned in its own way.")
def mirrored_copies(rng):
    rows, columns = one_of(rng, ((1, 2), (1, 2), (2, 2), (2, 2), (1, 3), (2, 3), (3, 3)))
    square = rng.random() < 0.4
    ways = rng.choice(range(8) if square else FLIPS, (rows, columns))
    if rng.random() < 0.3:
        ways[rng.integers(rows), rng.integers(columns)] = -1  # a blank place
    colours, density, most = pick_colours(rng, int(rng.integers(1, 5))), rng.uniform(0.4, 1.0), 6 - max(rows, columns)

    def scene(rng):
        return noise(rng, *canvas(rng, 2, most + 1, square=square), colours, density)

    def rule(grid):
        return laid_out([[apply_symmetry(grid, way) if way >= 0 else np.zeros_like(grid) for way in row] for row in ways])

    return scene, rule if len({*ways.ravel()}) > 1 else lambda grid: None


@family("The picture is tiled; every second tile is its negative, in another colour, or a plain square.")
def every_second_tile_differs(rng):
    rows, columns = one_of(rng, ((1, 2), (1, 3), (2, 2), (2, 3), (3, 3), (1, 4)))
    treatment, by_columns, first = one_of(rng, ("negative", "recolour", "plain")), rng.random() < 0.3, int(rng.integers(0, 2))
    ink, *colours = pick_colours(rng, int(rng.integers(2, 6)))

    def scene(rng):
        return noise(rng, *canvas(rng, 2, 4), [one_of(rng, colours)], 0.55)

    def rule(grid):
        colour = int(grid.max())
        if not colour or grid.all():
            return None
        other = {
            "negative": np.where(grid == 0, np.uint8(colour), np.uint8(0)),
            "recolour": np.where(grid == 0, grid, np.uint8(ink)),
            "plain": np.full_like(grid, colour),
        }[treatment]
        turn = [[(c if by_columns else r + c) % 2 for c in range(columns)] for r in range(rows)]
        return laid_out([[other if t != first else grid for t in row] for row in turn])

    return scene, rule


@family("The lines that cut the picture into parts are taken out, and the parts are pushed together.")
def push_parts_together(rng):
    line, *colours = pick_colours(rng, int(rng.integers(3, 6)))
    density, ways, most = rng.uniform(0.5, 1.0), one_of(rng, ("both", "columns")), int(rng.integers(1, 4))
    mirror = rng.random() < 0.25  # every part is also mirrored in its place

    def scene(rng):
        grid = noise(rng, *canvas(rng, 3, 7), colours, density)
        for axis in (1,) if ways == "columns" else (0, 1):
            cuts = 1 + rng.permutation(grid.shape[axis] - 1)[: int(rng.integers(1, most + 1))]
            grid = np.insert(grid, np.sort(cuts), line, axis)
        return grid

    def rule(grid):
        return laid_out([[part[:, ::-1] if mirror else part for part in row] for row in parts_between_lines(grid, line)])

    return scene, rule


@family("The scattered pieces are joined without gaps, in their order from left to right.")
def join_scattered_pieces(rng):
    tall, colours = int(rng.integers(1, 4)), pick_colours(rng, int(rng.integers(2, 6)))
    plain, seam = rng.random() < 0.3, pick_colour(rng, colours) if rng.random() < 0.3 else None
    backwards = rng.random() < 0.25

    def scene(rng):
        grid = blank(*canvas(rng, tall + 2, 10))
        for _ in range(rng.integers(2, 5)):
            wide = int(rng.integers(1, 4))
            place(rng, grid, noise(rng, tall, wide, [one_of(rng, colours)] if plain else colours, 1.0))
        return grid

    def rule(grid):
        pieces = sorted(objects(grid, by_colour=False), key=lambda thing: thing.column, reverse=backwards)
        starts = [piece.column for piece in pieces]
        if len(pieces) < 2 or len({*starts}) < len(starts):
            return None
        parts = [piece.colours for piece in pieces]
        if seam is not None:
            parts = [part for piece in parts for part in (blank(tall, 1, seam), piece)][1:]
        return np.hstack(parts)

    return scene, rule


@family("The picture, repeated in a row as often as it has different colours (or once more); every second copy may be mirrored.")
def repeat_once_for_each_colour(rng):
    colours, second = pick_colours(rng, 5), one_of(rng, (0, 0, 5, 2, 7))
    downward, gap, most = rng.random() < 0.4, int(rng.integers(0, 2)), int(rng.integers(2, 5))
    base, line = one_of(rng, (0, 0, 1)), one_of(rng, (0, pick_colour(rng, (0, *colours))))

    def scene(rng):
        kinds = rng.permutation(colours)[: int(rng.integers(1, most + 1))]
        return noise(rng, *canvas(rng, 2, 4), kinds, rng.uniform(0.5, 1.0))

    def rule(grid):
        count = len(np.unique(grid[grid != 0])) + base  # in some tasks one copy more
        copies = [apply_symmetry(grid, second if number % 2 else 0) for number in range(count)]
        if not count - base:
            return None
        if not gap:
            return (np.vstack if downward else np.hstack)(copies)
        return with_lines([[copy] for copy in copies] if downward else [copies], line)

    return scene, rule


@family("The plan beside the motif is built with motifs: one for each coloured cell of the plan, blank or mirrored elsewhere.")
def build_plan_with_motifs(rng):
    line, plan_ink, *colours = pick_colours(rng, int(rng.integers(3, 6)))
    side, elsewhere = int(rng.integers(2, 4)), one_of(rng, ("blank", "blank", "mirrored", "plain"))
    plan_first, ground = rng.random() < 0.5, pick_colour(rng, (0, line))

    def scene(rng):
        plan, motif = noise(rng, side, side, [plan_ink], 0.55), noise(rng, side, side, colours, 0.75)
        return with_lines([[plan, motif] if plan_first else [motif, plan]], line)

    def rule(grid):
        first, second = cut_at_lines(grid, line)
        plan, motif = (first, second) if plan_first else (second, first)
        if not plan.any() or plan.all() or not motif.any():
            return None
        other = {"blank": np.zeros_like(motif), "mirrored": motif[:, ::-1], "plain": np.full_like(motif, ground)}[elsewhere]
        return laid_out([[motif if cell else other for cell in row] for row in plan])

    return scene, rule


@family("A quilt after the key below the motif: each key colour stands for one way to mirror or turn the motif.")
def quilt_after_colour_key(rng):
    line, *keys = pick_colours(rng, int(rng.integers(3, 5)))
    colours = pick_colours(rng, int(rng.integers(2, 4)), (0, line, *keys))
    ways = dict(zip(keys, (int(way) for way in rng.permutation(8))))
    side, rows = int(rng.integers(2, 4)), int(rng.integers(1, 3))

    def scene(rng):
        return np.vstack([noise(rng, side, side, colours, 0.85), blank(1, side, line), noise(rng, rows, side, keys, 0.9)])

    def rule(grid):
        motif, key = grid[:side], grid[side + 1 :]
        shown = {apply_symmetry(motif, way).tobytes() for way in range(8)}
        if len(shown) < 8 or len({*key.ravel().tolist()} - {0}) < 2:  # the motif must tell all ways apart
            return None
        return laid_out(
            [[apply_symmetry(motif, ways[cell]) if cell else np.zeros_like(motif) for cell in row] for row in key.tolist()]
        )

    return scene, rule, lambda grid: colours_in(grid[side + 1 :])


@family("The columns of the left and the right half take turns (or the right half's columns in reverse order).")
def halves_take_turns(rng):
    colours, density = pick_colours(rng, int(rng.integers(2, 6))), rng.uniform(0.6, 1.0)
    reverse, right_first = rng.random() < 0.3, rng.random() < 0.4

    def scene(rng):
        height, half = canvas(rng, 2, 7, (2, 5))
        kinds = (colours[::2], colours[1::2])  # each half has colours of its own
        return np.hstack([noise(rng, height, half, kind, density) for kind in kinds])

    def rule(grid):
        left, right = np.hsplit(grid, 2)
        output = np.empty_like(grid)
        output[:, int(right_first) :: 2] = left
        output[:, int(not right_first) :: 2] = right[:, ::-1] if reverse else right
        return output

    return scene, rule


WEAVES = (
    lambda r, c, h, w: (r + c) % 2,
    lambda r, c, h, w: r % 2,
    lambda r, c, h, w: c % 2,
    lambda r, c, h, w: r * w > c * h,
    lambda r, c, h, w: 2 * r >= h,
    lambda r, c, h, w: (r // 2 + c // 2) % 2,
    lambda r, c, h, w: (r == 0) | (c == 0) | (r == h - 1) | (c == w - 1),
)


@family("The pictures on both sides of the line are woven into one: a fixed pattern says which cells come from which.")
def weave_two_pictures(rng):
    line, *colours = pick_colours(rng, int(rng.integers(4, 7)))
    weave, swap, density = one_of(rng, WEAVES), rng.random() < 0.5, one_of(rng, (0.6, 1.0, 1.0))
    kinds = (colours[::2], colours[1::2]) if rng.random() < 0.7 else (colours, colours)

    def scene(rng):
        height, width = canvas(rng, 3, 7)
        return with_lines([[noise(rng, height, width, kind, density) for kind in kinds]], line)

    def rule(grid):
        left, right = cut_at_lines(grid, line)
        from_right = weave(*np.indices(left.shape), *left.shape).astype(bool) != swap
        return np.where(from_right, right, left)

    return scene, rule


@family("The four quarters of the picture change places in a fixed way, and may be mirrored.")
def quarters_change_places(rng):
    order = one_of(rng, ((1, 0, 3, 2), (3, 2, 1, 0), (1, 3, 0, 2), (2, 0, 3, 1), (0, 3, 2, 1), (0, 1, 3, 2), (0, 1, 2, 3)))
    ways = [int(w) for w in rng.choice(FLIPS, 4)] if order == (0, 1, 2, 3) else [one_of(rng, (0, 0, 5, 2))] * 4
    colours, plain = pick_colours(rng, int(rng.integers(4, 7))), rng.random() < 0.5

    def scene(rng):
        height, width = canvas(rng, 2, 4)
        kinds = rng.permutation(colours)[:4] if plain else [rng.permutation(colours)[:2] for _ in range(4)]
        density = rng.uniform(0.4, 0.9)
        quarters = [noise(rng, height, width, np.atleast_1d(kind), density) for kind in kinds]
        return laid_out([quarters[:2], quarters[2:]])

    def rule(grid):
        quarters = [part for half in np.vsplit(grid, 2) for part in np.hsplit(half, 2)]
        moved = [apply_symmetry(quarters[source], way) for source, way in zip(order, ways)]
        return laid_out([moved[:2], moved[2:]])

    return scene, rule


@family("Every coloured cell becomes a small stamp of its colour, every blank cell a blank square.")
def cells_become_stamps(rng):
    side = int(rng.integers(2, 4))
    stamp, ground = rng.random((side, side)) < 0.6, one_of(rng, (0, 0, pick_colour(rng)))
    stamp[rng.integers(side), rng.integers(side)] = ~stamp.all()  # some cells are on, one may be off
    colours, density = pick_colours(rng, int(rng.integers(1, 5)), (0, ground)), rng.uniform(0.4, 0.9)

    def scene(rng):
        return noise(rng, *canvas(rng, 2, 5 if side == 2 else 4), colours, density)

    def rule(grid):
        output = np.kron(grid, stamp.astype(np.uint8))
        return np.where((output == 0) & np.kron(grid != 0, np.ones_like(stamp)), np.uint8(ground), output)

    return scene, rule if stamp.any() else lambda grid: None


@family("The picture is widened on every side by cells of its own: mirrored at the edge, carried around, or drawn out.")
def widen_with_own_cells(rng):
    mode = one_of(rng, ("symmetric", "reflect", "wrap", "edge"))
    top, foot, left, right = one_of(rng, ((1, 1, 1, 1), (2, 2, 2, 2), (0, 0, 2, 2), (0, 2, 0, 2), (1, 1, 0, 0), (0, 0, 1, 1)))
    colours, density = pick_colours(rng, int(rng.integers(2, 6))), rng.uniform(0.5, 1.0)

    def scene(rng):
        return noise(rng, *canvas(rng, 3, 6), colours, density)

    return scene, lambda grid: np.pad(grid, ((top, foot), (left, right)), mode=mode)


@family("The pieces in the four corners of the grid are pushed together into one picture, or exchanged across it.")
def corner_pieces_meet(rng):
    side, colours = int(rng.integers(1, 4)), pick_colours(rng, int(rng.integers(3, 6)))
    order = one_of(rng, ((0, 1, 2, 3), (0, 1, 2, 3), (1, 0, 3, 2), (3, 2, 1, 0)))
    stuff, stay = pick_colour(rng, (0, *colours)), rng.random() < 0.25 and order != (0, 1, 2, 3)

    def scene(rng):
        grid = blank(*canvas(rng, 2 * side + 1, max(2 * side + 4, 7)))
        if min(grid.shape) > 2 * side + 2:
            scatter(rng, grid[side + 1 : -side - 1, side + 1 : -side - 1], int(rng.integers(0, 4)), [stuff])
        for rows in (slice(side), slice(-side, None)):
            for columns in (slice(side), slice(-side, None)):
                grid[rows, columns] = noise(rng, side, side, colours, 1.0)
        return grid

    def rule(grid):
        places = [(rows, columns) for rows in (slice(side), slice(-side, None)) for columns in (slice(side), slice(-side, None))]
        pieces = [grid[places[source]] for source in order]
        if not stay:
            return laid_out([pieces[:2], pieces[2:]])
        output = grid.copy()
        for spot, piece in zip(places, pieces):
            output[spot] = piece
        return output

    return scene, rule


@family("Copies of the picture stand at fixed places of a larger blank grid, like its diagonal, rim or checks.")
def copies_at_fixed_places(rng):
    rows, columns = one_of(rng, ((2, 2), (2, 3), (3, 3), (1, 3), (3, 3)))
    plan = rng.random((rows, columns)) < 0.5
    shape = one_of(rng, ("any", "diagonal", "rim", "checks"))
    places = np.indices(plan.shape)
    if shape == "diagonal":
        plan = places[0] == places[1]
    elif shape == "rim":
        plan = (places[0] % (rows - 1 or 1) == 0) | (places[1] % (columns - 1) == 0)
    elif shape == "checks":
        plan = places.sum(0) % 2 == int(rng.integers(2))
    ground, colours = one_of(rng, (0, 0, pick_colour(rng))), pick_colours(rng, int(rng.integers(1, 5)))

    def scene(rng):
        return noise(rng, *canvas(rng, 2, 4), colours, 0.7)

    def rule(grid):
        return laid_out([[grid if here else np.full_like(grid, ground) for here in row] for row in plan]) if grid.any() else None

    return scene, rule if 1 < plan.sum() else lambda grid: None
