"""Families about borders: frames, outlines, concentric rings and corners that are drawn, read, mended, moved or removed."""

import numpy as np
from scipy import ndimage

from .family import family
from .scenes import (
    EIGHT,
    FOUR,
    blank,
    blob,
    box_outline,
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
from .symmetry import one_of


def depth(height: int, width: int) -> np.ndarray:
    """Every cell's distance from the nearest edge: int (height, width), 0 on the border."""
    rows, columns = np.indices((height, width))
    return np.minimum(np.minimum(rows, height - 1 - rows), np.minimum(columns, width - 1 - columns))


def by_frequency(grid: np.ndarray) -> list[int]:
    """The non-background colours, most frequent first; empty where two are equally frequent."""
    counts = np.bincount(grid.ravel(), minlength=10)[1:]
    colours = [int(c) + 1 for c in np.argsort(-counts) if counts[c]]
    return colours if len({int(counts[c - 1]) for c in colours}) == len(colours) else []


def boxed(height: int, width: int, border: int, inside: int = 0) -> np.ndarray:
    """A rectangle with a border of one colour."""
    return np.where(box_outline(height, width), np.uint8(border), np.uint8(inside))


def is_frame(cells: np.ndarray) -> bool:
    """Whether a shape is a closed hollow rectangle one cell thick."""
    return min(cells.shape) >= 3 and np.array_equal(cells, box_outline(*cells.shape))


def boxes(grid: np.ndarray) -> list[tuple[slice, slice]]:
    """The bounding boxes of all that touches; what a frame encloses belongs to it."""
    return ndimage.find_objects(ndimage.label(ndimage.binary_fill_holes(grid != 0))[0])


@family("The picture gets a frame, around it or on its edge, in the colour that is most (or least) frequent in it.")
def frame_in_frequent_colour(rng):
    thick, around = int(rng.integers(1, 3)), rng.random() < 0.6
    rank, colours = one_of(rng, (0, 0, -1)), pick_colours(rng, int(rng.integers(3, 6)))
    thick, density = thick if around else 1, rng.uniform(0.4, 1.0)

    def scene(rng):
        return noise(rng, *canvas(rng, 3, 6 if around else 8), rng.choice(colours, 3), density)

    def rule(grid):
        ranked = by_frequency(grid)
        if len(ranked) < 2:
            return None
        if around:
            return np.pad(grid, thick, constant_values=ranked[rank])
        return np.where(depth(*grid.shape) < thick, np.uint8(ranked[rank]), grid)

    return scene, rule, lambda grid: {int(by_frequency(grid)[rank])}


@family("Every object gets an outline; its colour is fixed, or depends on the object's colour.")
def outline_every_object(rng):
    colours, reach = pick_colours(rng, int(rng.integers(1, 4))), one_of(rng, (FOUR, EIGHT))
    inks = pick_colours(rng, len(colours), (0, *colours))
    ink = dict(zip(colours, inks if rng.random() < 0.5 else [inks[0]] * 3))
    spared = colours[0] if len(colours) == 3 and rng.random() < 0.5 else None

    def scene(rng):
        grid = blank(*canvas(rng, 5, 10))
        for _ in range(rng.integers(1, 4)):
            place(rng, grid, painted(blob(rng, int(rng.integers(1, 6)), 3, 3), one_of(rng, colours)), gap=2)
        return grid

    def rule(grid):
        output = grid.copy()
        for thing in objects(grid):
            if thing.colour != spared:
                output[ndimage.binary_dilation(thing.mask(grid), reach) & (grid == 0)] = ink[thing.colour]
        return output

    return scene, rule, colours_in


CHOICES = {
    "largest": lambda thing: thing.size,
    "smallest": lambda thing: -thing.size,
    "tallest": lambda thing: thing.height,
    "widest": lambda thing: thing.width,
    "uppermost": lambda thing: -thing.row,
}


@family("A rectangular frame is drawn around one object: the largest, smallest, tallest, widest or uppermost.")
def frame_around_the_chosen(rng):
    ink, *colours = pick_colours(rng, int(rng.integers(2, 5)))
    measure, cut_out = CHOICES[one_of(rng, tuple(CHOICES))], rng.random() < 0.3

    def scene(rng):
        grid = blank(*canvas(rng, 6, 11))
        for _ in range(rng.integers(2, 5)):
            place(rng, grid, painted(blob(rng, int(rng.integers(2, 8)), 4, 4), one_of(rng, colours)), gap=2, margin=1)
        return grid

    def rule(grid):
        ranked = sorted(objects(grid), key=measure)
        if len(ranked) < 2 or measure(ranked[-1]) == measure(ranked[-2]):
            return None
        chosen, output = ranked[-1], grid.copy()
        frame = boxed(chosen.height + 2, chosen.width + 2, ink)
        draw(output, frame, chosen.row - 1, chosen.column - 1)
        if cut_out:
            return output[chosen.row - 1 : chosen.row + chosen.height + 1, chosen.column - 1 : chosen.column + chosen.width + 1]
        return output

    return scene, rule


@family("Concentric square rings in the listed colours, from top to bottom or left to right: from outside to inside, or back.")
def rings_from_list(rng):
    outside_first, centre = rng.random() < 0.5, int(rng.integers(1, 3))
    layout, thick_first = one_of(rng, ("row", "column", "scattered", "scattered")), rng.random() < 0.25

    def scene(rng):
        grid = blank(*canvas(rng, 4, 9))
        listed = pick_colours(rng, int(rng.integers(2, min(6, *grid.shape))))
        if layout == "scattered":  # never two colours in one row
            rows = rng.permutation(len(grid))[: len(listed)]
            grid[rows, rng.integers(0, grid.shape[1], len(listed))] = listed
        else:
            strip = np.array([listed], np.uint8)
            place(rng, grid, strip if layout == "row" else strip.T)
        return grid

    def rule(grid):
        listed = grid[grid != 0]
        listed = listed if outside_first else listed[::-1]
        if thick_first:
            listed = np.insert(listed, 0, listed[0])
        side = 2 * (len(listed) - 1) + centre
        return listed[depth(side, side)]

    return scene, rule


@family("The colours of the concentric rings, listed from the outermost to the innermost or back, each once.")
def list_of_ring_colours(rng):
    reverse, upright, longest = rng.random() < 0.4, rng.random() < 0.3, int(rng.integers(1, 3))
    colours = pick_colours(rng, int(rng.integers(5, 10)))

    def scene(rng):
        order = rng.permutation(colours)[: int(rng.integers(2, 6))]
        layers = np.repeat(order[:-1], rng.integers(1, longest + 1, len(order) - 1)).astype(np.uint8)
        height, width = (2 * len(layers) + int(v) for v in rng.integers(1, 4, 2))
        if max(height, width) > 11:
            return None
        grid = blank(height + int(rng.integers(3)), width + int(rng.integers(3)))
        place(rng, grid, np.append(layers, order[-1:])[depth(height, width).clip(0, len(layers))].astype(np.uint8), gap=0)
        return grid

    def rule(grid):
        picture = crop(grid)
        inwards = [int(picture[k, k]) for k in range((min(picture.shape) + 1) // 2)]
        listed = [c for c, last in zip(inwards, [None, *inwards]) if c != last]
        row = np.array([listed[::-1] if reverse else listed], np.uint8)
        return row.T if upright else row

    return scene, rule


@family("Only what lies inside the frame of the task's colour, without the frame.")
def inside_of_the_frame(rng):
    wanted, decoy, *colours = pick_colours(rng, int(rng.integers(3, 6)))
    litter, keep_frame = rng.uniform(0, 0.3), rng.random() < 0.2

    def scene(rng):
        grid, frames = blank(*canvas(rng, 8, 11)), np.zeros((30, 30), bool)
        for colour in (wanted, decoy):
            spot = place(rng, grid, blank(*sides(rng, 3, 6), colour), gap=0)
            if spot is None:
                return None
        for thing in objects(grid):
            grid[thing.mask(grid)] = boxed(thing.height, thing.width, thing.colour).ravel()
            frames[thing.row : thing.row + thing.height, thing.column : thing.column + thing.width] = True
        inside = frames[: grid.shape[0], : grid.shape[1]] & (grid == 0)
        dots = noise(rng, *grid.shape, colours, 0.6) * inside + noise(rng, *grid.shape, colours, litter) * ~inside
        return np.where(grid == 0, dots, grid)

    def rule(grid):
        rows, columns = np.nonzero(grid == wanted)
        part = grid[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        if not is_frame(part == wanted):
            return None
        return part if keep_frame else part[1:-1, 1:-1]

    return scene, rule


@family("The border of every rectangle and its inside exchange their colours.")
def border_and_inside_exchange(rng):
    colours, thick = pick_colours(rng, int(rng.integers(2, 6))), one_of(rng, (1, 1, 2))
    whole_grid = rng.random() < 0.12

    def scene(rng):
        grid = blank(*canvas(rng, 2 * thick + 1, 9)) if whole_grid else blank(*canvas(rng, 6, 11))
        for _ in range(1 if whole_grid else rng.integers(1, 4)):
            height, width = grid.shape if whole_grid else sides(rng, 2 * thick + 1, 6)
            border, inside = rng.choice(colours, 2, replace=False)
            place(rng, grid, np.where(depth(height, width) < thick, np.uint8(border), np.uint8(inside)))
        return grid

    def rule(grid):
        output = grid.copy()
        for thing in objects(grid, by_colour=False):
            border, inside = thing.colours[0, 0], thing.colours[thick, thick]
            exchanged = np.where(thing.colours == border, inside, border)
            output[thing.row : thing.row + thing.height, thing.column : thing.column + thing.width] = exchanged
        return output

    return scene, rule


@family("The colours of all concentric rings move one ring inwards or outwards (around), or reverse their order.")
def ring_colours_move(rng):
    move = one_of(rng, (lambda c: np.roll(c, 1), lambda c: np.roll(c, -1), lambda c: c[::-1]))
    colours, most = pick_colours(rng, int(rng.integers(4, 8))), int(rng.integers(3, 5))

    def scene(rng):
        grid = blank(*canvas(rng, 7, 11))
        for _ in range(rng.integers(1, 4)):
            rings = int(rng.integers(2, most + 1))
            height = 2 * rings - int(rng.integers(2))
            width = height + int(rng.integers(3))
            sprite = rng.permutation(colours).astype(np.uint8)[depth(height, width)]
            place(rng, grid, sprite.T if rng.random() < 0.5 else sprite)
        return grid

    def levels(thing):
        return depth(thing.height, thing.width)

    def rule(grid):
        output, found = grid.copy(), objects(grid, by_colour=False)
        for thing in found:
            inwards = np.array([thing.colours[k, k] for k in range(int(levels(thing).max()) + 1)])
            draw(output, move(inwards)[levels(thing)], thing.row, thing.column)
        return output if found else None

    def branches(grid):
        return {min(int(levels(thing).max()), 2) for thing in objects(grid, by_colour=False)}

    return scene, rule, branches


@family("Some corners of every rectangle are marked: the corner cells themselves, or the cells diagonally outside.")
def mark_corners_of_rectangles(rng):
    ink, *colours = pick_colours(rng, int(rng.integers(2, 5)))
    outside, hollow = int(rng.integers(0, 2)), rng.random() < 0.3
    corners = one_of(rng, ((0, 1, 2, 3), (0, 1, 2, 3), (0, 1), (0, 3), (2,), (0, 1, 2)))

    def scene(rng):
        grid = blank(*canvas(rng, 6, 10))
        for _ in range(rng.integers(1, 4)):
            box = np.ones(sides(rng, 2, 5), bool)
            place(
                rng,
                grid,
                painted(box_outline(*box.shape) if hollow else box, one_of(rng, colours)),
                gap=1 + outside,
                margin=outside,
            )
        return grid

    def rule(grid):
        output = grid.copy()
        for thing in objects(grid):
            top, left, foot, right = thing.row, thing.column, thing.row + thing.height - 1, thing.column + thing.width - 1
            rows, columns = (top - outside, foot + outside), (left - outside, right + outside)
            for corner in corners:
                output[rows[corner // 2], columns[corner % 2]] = ink
        return output

    return scene, rule


@family("The missing cells of broken rectangular frames are put in, in the frame's colour or a fixed one.")
def mend_broken_frames(rng):
    colours, worst = pick_colours(rng, int(rng.integers(3, 6))), int(rng.integers(1, 5))
    ink, counted = pick_colour(rng, (0, *colours)), rng.random() < 0.25  # only the mending cells, as a bar
    ink = ink if counted or rng.random() < 0.6 else None

    def scene(rng):
        grid = blank(*canvas(rng, 5, 10))
        for colour in rng.permutation(colours)[: int(rng.integers(1, 4))]:
            frame = boxed(*sides(rng, 3, 6), int(colour))
            border = np.argwhere(frame)
            for r, c in border[rng.permutation(len(border))[: int(rng.integers(0, worst + 1))]]:
                frame[r, c] = 0
            place(rng, grid, frame)
        return grid

    def rule(grid):
        output = grid.copy()
        for colour in np.unique(grid[grid != 0]):
            part = crop(grid == colour)
            sides_seen = [part[0].sum(), part[-1].sum(), part[:, 0].sum(), part[:, -1].sum()]
            if min(part.shape) < 3 or min(sides_seen) < 2 or part[1:-1, 1:-1].any():
                return None
            rows, columns = np.nonzero(grid == colour)
            draw(output, boxed(*part.shape, colour if ink is None else ink) * ~part, rows.min(), columns.min())
        missing = int((output != grid).sum())
        return blank(1, missing, ink) if counted and missing else output

    return scene, rule


@family("The picture gets a frame as thick as it has cells of the counted colour.")
def frame_as_thick_as_count(rng):
    counted, ink, *colours = pick_colours(rng, int(rng.integers(3, 6)))
    ink = one_of(rng, (ink, counted))
    outermost = pick_colour(rng, (0, ink)) if rng.random() < 0.25 else None  # one more frame around it

    def scene(rng):
        grid = noise(rng, *canvas(rng, 2, 5), colours, 0.5)
        scatter(rng, grid, int(rng.integers(1, 4)), [counted])
        return grid

    def rule(grid):
        thick = int((grid == counted).sum())
        if not 1 <= thick <= 3:
            return None
        output = np.pad(grid, thick, constant_values=ink)
        return output if outermost is None else np.pad(output, 1, constant_values=outermost)

    return scene, rule


@family("Each side of the frame takes the colour of the one cell at that edge; the corners take a fixed colour or none.")
def sides_in_colours_of_edge_cells(rng):
    corner, *colours = pick_colours(rng, int(rng.integers(4, 8)))
    corner, filled = one_of(rng, (0, corner)), rng.random() < 0.5

    def scene(rng):
        height, width = canvas(rng, 4, 9)
        grid = np.pad(noise(rng, height - 2, width - 2, colours, 0.3) if filled else blank(height - 2, width - 2), 1)
        for edge in (grid[0], grid[-1], grid[:, 0], grid[:, -1]):
            edge[rng.integers(1, len(edge) - 1)] = one_of(rng, colours)
        return grid

    def rule(grid):
        output = grid.copy()
        for edge in (output[0], output[-1], output[:, 0], output[:, -1]):
            edge[1:-1] = edge.max()
        output[[0, 0, -1, -1], [0, -1, 0, -1]] = corner
        return output

    return scene, rule


@family("The cells of every object that border on something else are recoloured or peeled off.")
def rim_of_objects(rng):
    reach, colours = one_of(rng, (FOUR, EIGHT)), pick_colours(rng, int(rng.integers(1, 4)))
    ink = 0 if rng.random() < 0.35 else pick_colour(rng, (0, *colours))
    core = rng.random() < 0.25  # the core is treated instead

    def scene(rng):
        grid = blank(*canvas(rng, 6, 10))
        for _ in range(rng.integers(1, 3)):
            shape = ndimage.binary_dilation(np.pad(blob(rng, int(rng.integers(1, 7)), 3, 3), 1), one_of(rng, (FOUR, EIGHT)))
            place(rng, grid, painted(shape, one_of(rng, colours)), margin=1)
        return grid

    def rule(grid):
        output = grid.copy()
        for thing in objects(grid):
            inner = ndimage.binary_erosion(thing.mask(grid), reach)
            if not inner.any():
                return None
            output[inner if core else thing.mask(grid) & ~inner] = ink
        return output

    return scene, rule


@family("Frames round the whole picture are taken off or blanked: all one-coloured rings, or those of the outermost colour.")
def take_off_frames(rng):
    colours, most = pick_colours(rng, int(rng.integers(3, 8))), int(rng.integers(1, 4))
    just_outer = rng.random() < 0.4  # only the outermost colour goes
    put_back = pick_colour(rng) if rng.random() < 0.3 else None  # blanked (in a colour) and not cut off

    def scene(rng):
        picture = noise(rng, *canvas(rng, 2, 5), colours, rng.uniform(0.5, 1.0))
        for colour in rng.permutation(colours)[: int(rng.integers(1, most + 1))]:
            picture = np.pad(picture, 1, constant_values=colour)
        return picture

    def rule(grid):
        level, taken, colour = depth(*grid.shape), 0, grid[0, 0]
        while taken <= level.max() and len(np.unique(grid[level == taken])) == 1:
            if just_outer and grid[level == taken][0] != colour:
                break
            taken += 1
        if not 0 < taken <= level.max():
            return None
        if put_back is not None:
            return np.where(level < taken, np.uint8(put_back), grid)
        return grid[taken : grid.shape[0] - taken, taken : grid.shape[1] - taken]

    return scene, rule
