"""Families about scale: enlarging, shrinking, stretching, sampling, cells that become patterns, and grids made of themselves."""

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

PATTERNS = [
    np.array([list(row) for row in text.split()]) == "x"
    for text in (
        "xxx x.x xxx",
        ".x. xxx .x.",
        "x.x .x. x.x",
        ".x. x.x .x.",
        "x.. .x. ..x",
        "xxx ... xxx",
        ".x. .x. .x.",
        "xxx xxx xxx",
    )
]
"""Patterns of 3x3 cells: ring, plus, cross, lozenge, diagonal, two lines, one line, full."""


def enlarged(grid: np.ndarray, height: int, width: int | None = None) -> np.ndarray:
    """Every cell as a block of `height` x `width` cells (a square if no width is given)."""
    return np.kron(grid, np.ones((height, width or height), grid.dtype))


def picture(rng: np.random.Generator, height: int, width: int, colours, density: float = 0.75) -> np.ndarray:
    """Noise whose first and last rows and columns are not empty, so that `crop` keeps its size."""
    grid = noise(rng, height, width, colours, density)
    for edge in (grid[0], grid[-1], grid[:, 0], grid[:, -1]):
        if not edge.any():
            edge[rng.integers(len(edge))] = rng.choice(colours)
    return grid


def without_repeats(grid: np.ndarray) -> np.ndarray:
    """Each run of equal rows as one row, each run of equal columns as one column."""
    grid = grid[np.r_[True, (grid[1:] != grid[:-1]).any(1)]]
    return grid[:, np.r_[True, (grid[:, 1:] != grid[:, :-1]).any(0)]]


@family("Every cell becomes a block of a fixed height and width.")
def cells_to_blocks(rng):
    height, width = [(1, 2), (1, 3), (2, 2), (2, 3), (3, 3), (1, 4)][rng.integers(6)]
    colours = pick_colours(rng, int(rng.integers(2, 5)))
    density = rng.choice([0.5, 0.8, 1.0])

    def scene(rng):
        return noise(rng, *canvas(rng, 2, 10 // height, (2, 10 // width)), colours, density)

    def rule(grid):
        return enlarged(grid, height, width)

    return scene, rule


@family("The picture is enlarged as many times as there are dots on the other side of the line.")
def enlarged_by_dots(rng):
    line, dot = pick_colours(rng, 2)
    one_axis, together = rng.random() < 0.3, rng.random() < 0.5
    palette = pick_colours(rng, int(rng.integers(1, 5)), (0, line))

    def scene(rng):
        height, width = canvas(rng, 2, 3)
        grid = blank(height, width + 3, line)
        grid[:, :width], grid[:, width + 1 :] = picture(rng, height, width, palette), 0
        dots = int(rng.integers(1, 4))
        if together:
            grid[:, width + 1] = np.where(np.arange(height) < dots, dot, 0)
        else:
            scatter(rng, grid[:, width + 1 :], dots, [dot])
        return grid

    def rule(grid):
        column = np.flatnonzero((grid == line).all(0))[0]
        times = int((grid[:, column + 1 :] == dot).sum())
        return enlarged(grid[:, :column], 1 if one_axis else times, times)

    return scene, rule


@family("Every cell becomes a small pattern in its colour; each colour has a pattern of its own.")
def colours_to_patterns(rng):
    count = int(rng.integers(1, 4))
    colours = pick_colours(rng, count)
    small = [
        np.array(p, bool) for p in ([[1, 0], [0, 1]], [[0, 1], [1, 0]], [[1, 1], [0, 0]], [[1, 1], [1, 0]], [[1, 1], [1, 1]])
    ]
    patterns = small if rng.random() < 0.5 else PATTERNS
    side, most = len(patterns[0]), 5 if patterns is small else 3
    chosen = [patterns[i] for i in rng.permutation(len(patterns))[:count]]
    behind = pick_colour(rng, (0, *colours)) if rng.random() < 0.3 else 0

    def scene(rng):
        return noise(rng, *canvas(rng, 2, most), colours, 0.8)

    def rule(grid):
        output = np.zeros(np.multiply(grid.shape, side), np.uint8)
        for colour, pattern in zip(colours, chosen):
            output += np.kron(grid == colour, np.where(pattern, colour, behind)).astype(np.uint8)
        return output

    return scene, rule, colours_in


@family("Runs of equal rows and of equal columns shrink to one row or column each.")
def uneven_blocks_collapse(rng):
    colours = pick_colours(rng, int(rng.integers(2, 5)), ())
    most = int(rng.integers(2, 5))
    only_columns = rng.random() < 0.2

    def scene(rng):
        base = rng.choice(np.array(colours, np.uint8), canvas(rng, 2, 4))
        rows, columns = (rng.integers(1, most + 1, side) for side in base.shape)
        return np.repeat(np.repeat(base, 1 if only_columns else rows, 0), columns, 1)

    def rule(grid):
        return without_repeats(grid) if max(grid.shape) <= 20 else None

    return scene, rule


@family("The grid consists of blocks of a fixed size with some wrong cells; each block shrinks to its most common colour.")
def blocks_vote(rng):
    height, width = [(2, 3), (3, 3), (3, 3), (2, 2), (2, 4), (1, 5)][rng.integers(6)]
    colours = np.array(pick_colours(rng, int(rng.integers(2, 5)), ()), np.uint8)

    def scene(rng):
        base = rng.choice(colours, canvas(rng, 2, 10 // height, (2, 10 // width)))
        grid = enlarged(base, height, width)
        return np.where(rng.random(grid.shape) < 0.12, rng.choice(colours, grid.shape), grid)

    def rule(grid):
        rows, columns = grid.shape[0] // height, grid.shape[1] // width
        blocks = grid.reshape(rows, height, columns, width).transpose(0, 2, 1, 3).reshape(rows, columns, -1)
        votes = (blocks[..., None] == np.arange(10)).sum(2)
        if votes.max(2).min() * 3 < height * width * 2:  # the winner has two thirds of its block
            return None
        return votes.argmax(2).astype(np.uint8)

    return scene, rule


@family("Only every second (or third) row is kept, and of the columns all or every second or third.")
def every_nth_kept(rng):
    down, across = [(2, 2), (2, 1), (3, 1), (3, 3), (2, 3)][rng.integers(5)]
    start = int(rng.integers(down))
    colours = pick_colours(rng, int(rng.integers(2, 5)))
    lines = pick_colour(rng, (0, *colours)) if rng.random() < 0.6 else None  # the dropped rows are of one colour

    def scene(rng):
        grid = noise(rng, *canvas(rng, 2 * down, 9), colours, 0.7)
        if lines:
            grid[np.arange(len(grid)) % down != start] = lines
        return grid

    def rule(grid):
        return grid[start::down, ::across]

    return scene, rule


@family("The object of one colour grows to twice (or three times) its size away from its top left corner; other objects stay.")
def object_grows_in_place(rng):
    times = 2 if rng.random() < 0.75 else 3
    growing, *others = pick_colours(rng, int(rng.integers(1, 4)))
    inner = pick_colour(rng, (0, growing, *others)) if rng.random() < 0.4 else growing
    paint = growing if rng.random() < 0.7 else None  # None: the old cells keep their colour, the new ones take another
    new = pick_colour(rng, (0, growing, inner, *others))

    def scene(rng):
        grid = blank(*canvas(rng, 6, 9))
        sprite = painted(blob(rng, rng.integers(2, 7), 2 if times == 3 else 3, 2 if times == 3 else 3), growing)
        scatter(rng, sprite, 1, [inner], background=growing)
        corner = place(rng, grid, enlarged(np.full_like(sprite, 10), times))  # the room it needs
        if corner is None:
            return None
        for _ in range(rng.integers(1, 4) if others else 0):
            place(rng, grid, painted(blob(rng, rng.integers(1, 5), 2, 3), rng.choice(others)))
        grid[grid == 10] = 0
        draw(grid, sprite, *corner)
        return grid

    def rule(grid):
        own = np.isin(grid, [growing, inner])
        rows, columns = np.nonzero(own)
        if not len(rows):
            return None
        row, column, big = rows.min(), columns.min(), enlarged(crop(np.where(own, grid, np.uint8(0))), times)
        output = np.where(own, np.uint8(0), grid)
        area = output[row : row + big.shape[0], column : column + big.shape[1]]
        if area.shape != big.shape or area.any():
            return None
        area[:] = np.where(big != 0, big if paint else new, 0)
        return output if paint else np.where(own, grid, output)

    return scene, rule


@family("The picture in the corner is stretched until it fills the whole grid.")
def picture_fills_grid(rng):
    stretch = rng.choice(["both", "even", "one"])
    colours = pick_colours(rng, int(rng.integers(2, 5)))
    density = rng.choice([0.7, 1.0])

    def scene(rng):
        small = picture(rng, *canvas(rng, 2, 4), colours, density)
        down, across = rng.integers(1, 4), rng.integers(2, 5)
        down = {"both": down, "even": across, "one": 1}[stretch]
        grid = blank(small.shape[0] * down, small.shape[1] * across)
        grid[: small.shape[0], : small.shape[1]] = small
        return grid if max(grid.shape) <= 20 else None

    def rule(grid):
        small = crop(grid)
        return enlarged(small, grid.shape[0] // small.shape[0], grid.shape[1] // small.shape[1])

    return scene, rule


@family("The picture made of square blocks is cut out, and each block shrinks to one cell; loose cells do not matter.")
def block_picture_reduced(rng):
    colours = pick_colours(rng, int(rng.integers(1, 4)))
    loose = pick_colour(rng, (0, *colours)) if rng.random() < 0.6 else None
    block = int(rng.integers(0, 4))  # 0: it varies

    def scene(rng):
        side = max(block, 2) if block else int(rng.integers(2, 4))
        shape = painted(blob(rng, rng.integers(3, 7), 3, 4 if side == 2 else 3), 1)
        small = np.where(shape, rng.choice(colours, shape.shape), 0).astype(np.uint8)
        grid = blank(*canvas(rng, 7, 10))
        if place(rng, grid, enlarged(small, side)) is None:
            return None
        if loose:
            scatter(rng, grid, int(rng.integers(2, 7)), [loose])
        return grid

    def rule(grid):
        big = crop(np.where(grid == loose, np.uint8(0), grid) if loose else grid)
        for side in (3, 2):
            small = big[::side, ::side]
            if np.array_equal(enlarged(small, side), big):
                return small
        return None

    return scene, rule


@family("The plain block is coloured like the small picture, which it shows enlarged.")
def small_picture_colours_block(rng):
    plain, *colours = pick_colours(rng, int(rng.integers(3, 6)))
    cut = rng.random() < 0.3
    density = rng.choice([0.7, 1.0])

    def scene(rng):
        times = int(rng.integers(2, 4))
        small = picture(rng, *sides(rng, 2, 3 if times == 2 else 2), colours, density)
        grid = blank(*canvas(rng, 7, 10))
        fits = place(rng, grid, enlarged(np.full_like(small, plain), times)) and place(rng, grid, np.where(small == 0, 10, small))
        return np.where(grid == 10, 0, grid).astype(np.uint8) if fits else None

    def rule(grid):
        small, block = crop(np.where(grid == plain, np.uint8(0), grid)), crop((grid == plain).astype(np.uint8))
        times = block.shape[0] // small.shape[0]
        if len(np.unique(small)) < 2 or block.shape != (small.shape[0] * times, small.shape[1] * times):
            return None
        if cut:
            return enlarged(small, times)
        output = grid.copy()
        output[grid == plain] = enlarged(small, times).ravel()
        return output

    return scene, rule


@family("Each row is repeated as often as it has cells of one colour (or coloured cells at all).")
def rows_repeat_by_count(rng):
    counted, *others = pick_colours(rng, int(rng.integers(1, 4)))
    any_colour = rng.random() < 0.4

    def scene(rng):
        grid = noise(rng, *canvas(rng, 2, 4), others, 0.4) if others else blank(*canvas(rng, 2, 4))
        for row in grid:
            row[rng.permutation(len(row))[: rng.integers(0, 4)]] = counted
        return grid

    def rule(grid):
        times = (grid != 0 if any_colour else grid == counted).sum(1)
        return np.repeat(grid, times, 0) if 2 <= times.sum() <= 20 else None

    return scene, rule


@family("What lies between the four corner marks is cut out and enlarged.")
def marked_window_enlarged(rng):
    mark = pick_colour(rng)
    times, loose = int(rng.integers(2, 4)), int(rng.choice([0, 0, 3]))
    colours, density = pick_colours(rng, int(rng.integers(1, 4)), (0, mark)), rng.uniform(0.5, 0.9)

    def scene(rng):
        grid = blank(*canvas(rng, 6, 10))
        window = np.pad(picture(rng, *sides(rng, 2, 5 - times), colours, density), 1, constant_values=10)
        window[np.ix_([0, -1], [0, -1])] = mark
        if place(rng, grid, window) is None:
            return None
        scatter(rng, grid, loose, colours)
        return np.where(grid == 10, 0, grid).astype(np.uint8)

    def rule(grid):
        rows, columns = np.nonzero(grid == mark)
        window = grid[rows.min() + 1 : rows.max(), columns.min() + 1 : columns.max()]
        return enlarged(window, times) if len(np.unique(window)) > 1 else None

    return scene, rule


@family("The cells are spread apart: blank or coloured lines, of a fixed width, come between them.")
def cells_spread_apart(rng):
    colours = pick_colours(rng, int(rng.integers(2, 5)))
    line = pick_colour(rng, colours)
    gap, border = (1, rng.random() < 0.4) if rng.random() < 0.75 else (2, False)
    density = rng.choice([0.7, 1.0])

    def scene(rng):
        return noise(rng, *canvas(rng, 2, 5 - gap), colours, density)

    def rule(grid):
        output = blank(*(side * (gap + 1) - gap for side in grid.shape), line)
        output[:: gap + 1, :: gap + 1] = grid
        return np.pad(output, 1, constant_values=line) if border else output

    return scene, rule


@family("Every dot grows into a form of three by three cells; each colour has a form of its own.")
def dots_grow_by_colour(rng):
    count = int(rng.integers(1, 4))
    colours = pick_colours(rng, count)
    forms = [PATTERNS[i] for i in rng.permutation(len(PATTERNS))[:count]]
    paint = pick_colour(rng, (0, *colours)) if rng.random() < 0.4 else None

    def scene(rng):
        grid = blank(*canvas(rng, 5, 10))
        for colour in [*rng.permutation(colours), *rng.choice(colours, 2)]:
            place(rng, grid, blank(1, 1, colour), gap=2, margin=1)
        return grid

    def rule(grid):
        output = grid.copy() if paint else np.zeros_like(grid)
        for row, column in np.argwhere(grid):
            area = output[row - 1 : row + 2, column - 1 : column + 2]
            form = forms[colours.index(grid[row, column])]
            area[form & (area == 0)] = paint or grid[row, column]
        return output

    return scene, rule, colours_in


@family("Every bar becomes two (or three) times as long, or half as long.")
def bars_multiply(rng):
    times = int(rng.choice([2, 2, 3, 0]))  # 0: half
    step, palette = int(rng.integers(1, 3)), pick_colours(rng, int(rng.integers(1, 5)))
    new = pick_colour(rng, (0, *palette)) if rng.random() < 0.4 else None  # the colour of what is added or taken away

    def scene(rng):
        width = int(rng.integers(6, 11))
        grid = blank(step * int(rng.integers(2, 7 - 2 * (step - 1))) - step + 1, width)
        for row in grid[::step]:
            length = int(rng.integers(1, width // (times or 2) + 1)) * (1 if times else 2)
            row[:length] = rng.choice(palette)
        return grid

    def rule(grid):
        lengths = (grid != 0).sum(1)[:, None]
        wanted = lengths * times if times else lengths // 2
        columns = np.arange(grid.shape[1])
        changed = (columns < wanted) != (columns < lengths)
        paint = grid[:, :1] if times else 0
        return np.where(changed, new or paint, grid).astype(np.uint8)

    return scene, rule


@family("Of the objects of one colour, the enlarged copy of the small key object is kept (or recoloured, or cut out).")
def enlarged_twin_found(rng):
    key, body, paint = pick_colours(rng, 3)
    action = rng.choice(["keep", "recolour", "cut"])
    height, width = [(2, 2), (2, 3)][rng.integers(2)]

    def scene(rng):
        shapes = {}  # by form, so that no two are alike
        for _ in range(2 if width == 3 else rng.integers(2, 5)):
            shape = blob(rng, rng.integers(3, height * width + 1), height, width)
            if shape.size > 3:
                shapes[shape.shape, shape.tobytes()] = painted(shape, body)
        shapes = list(shapes.values())
        grid = blank(*canvas(rng, 9, 10))
        if len(shapes) < 2 or any(place(rng, grid, enlarged(s, 2)) is None for s in shapes):
            return None
        return grid if place(rng, grid, shapes[0] // body * np.uint8(key)) else None

    def rule(grid):
        wanted = enlarged(crop(grid == key), 2)
        found = [o for o in objects(grid) if o.colour == body]
        twins = [o for o in found if np.array_equal(o.cells, wanted)]
        if len(twins) != 1 or len(found) < 2:
            return None
        twin, inside = twins[0], twins[0].mask(grid)
        if action == "cut":
            return twin.colours
        return np.where(inside, np.uint8(paint), grid) if action == "recolour" else np.where(inside, grid, np.uint8(0))

    return scene, rule
