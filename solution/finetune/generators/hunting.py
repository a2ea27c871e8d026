"""Families about hunting in noise: blocks, templates, the largest square, a hidden rectangle, aligned dots, runs, faults."""

from itertools import product

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .family import family
from .scenes import blank, box_outline, canvas, noise, objects, painted, pick_colours, place
from .symmetry import one_of


def corner_sums(mask: np.ndarray) -> np.ndarray:
    """How many cells are True above and left of every corner between cells: int (height + 1, width + 1)."""
    sums = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1), int)
    sums[1:, 1:] = mask.cumsum(0).cumsum(1)
    return sums


def full_windows(sums: np.ndarray, height: int, width: int) -> list[tuple[int, int]]:
    """The top left corners of the height x width windows whose cells are all True, from `corner_sums`."""
    if height >= sums.shape[0] or width >= sums.shape[1]:
        return []
    cells = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    return [(int(r), int(c)) for r, c in zip(*np.nonzero(cells == height * width))]


def largest_rectangles(mask: np.ndarray, square: bool = False) -> list[tuple[int, int, int, int]]:
    """The rectangles (or squares) of True cells that have the largest area: (top, left, height, width)."""
    shapes = [(h, w) for h, w in product(range(1, mask.shape[0] + 1), range(1, mask.shape[1] + 1)) if h == w or not square]
    best, found, sums, cells = 0, [], corner_sums(mask), int(mask.sum())
    for height, width in sorted(shapes, key=lambda shape: -shape[0] * shape[1]):
        if height * width < best:
            break
        if height * width <= cells:
            found += [(*corner, height, width) for corner in full_windows(sums, height, width)]
            best = height * width if found else 0
    return found


def planted(rng, grid: np.ndarray, patch: np.ndarray) -> tuple[int, int]:
    """Put a patch at a random place, over what is there; its top left corner."""
    row, column = (int(rng.integers(a - b + 1)) for a, b in zip(grid.shape, patch.shape))
    grid[row : row + patch.shape[0], column : column + patch.shape[1]] = patch
    return row, column


def outlined(grid: np.ndarray, row: int, column: int, height: int, width: int, ink: int) -> None:
    """Draw the ring of cells just outside of a box, as far as it lies in the grid."""
    ring = np.pad(grid, 1)
    around = ring[row : row + height + 2, column : column + width + 2]
    around[box_outline(height + 2, width + 2)] = ink
    grid[...] = ring[1:-1, 1:-1]


@family("Every block of a fixed height and width that lies empty (or is all of one colour) in the noise is coloured.")
def clear_blocks_in_noise(rng):
    ink, *colours = pick_colours(rng, int(rng.integers(2, 4)))
    tall, wide = one_of(rng, ((2, 2), (2, 3), (3, 2), (3, 3), (1, 4), (4, 1), (2, 4), (4, 2), (1, 5)))
    turned, hunted, clears = rng.random() < 0.3, one_of(rng, (0, 0, colours[0])), rng.random() < 0.25
    stray = one_of(rng, (0.3, 1.5))  # blocks that come by chance

    def scene(rng):
        height, width = canvas(rng, 6, 10)
        share = min((stray / (height * width)) ** (1 / (tall * wide)), 0.6)  # of the cells, those of the hunted colour
        if hunted == 0:
            grid = noise(rng, height, width, colours, 1 - share)
        else:
            grid = noise(rng, height, width, [0, *colours[1:]], 1.0)
            grid[rng.random((height, width)) < share] = hunted
        for _ in range(rng.integers(1, 4)):
            lengths = [tall, wide][:: -1 if turned and rng.random() < 0.5 else 1]
            planted(rng, grid, blank(*(min(n + int(rng.random() < 0.3), side) for n, side in zip(lengths, grid.shape)), hunted))
        return grid

    def rule(grid):
        marked = np.zeros(grid.shape, bool)
        for height, width in {(tall, wide), (wide, tall) if turned else (tall, wide)}:
            for row, column in full_windows(corner_sums(grid == hunted), height, width):
                marked[row : row + height, column : column + width] = True
        if not marked.any() or marked.mean() > 0.6:
            return None
        rest = np.zeros_like(grid) if clears else grid
        return np.where(marked, np.uint8(ink), rest)

    def branches(grid):
        """Which of the block and the turned block there are."""
        return {shape for shape in ((tall, wide), (wide, tall)) if full_windows(corner_sums(grid == hunted), *shape)}

    return scene, rule, branches


@family("The framed template is found again in the noise: its copies are outlined, recoloured, or alone left over.")
def template_in_noise(rng):
    frame, ink, *colours = pick_colours(rng, int(rng.integers(4, 6)))
    does, turns = one_of(rng, ("outline", "recolour", "only")), one_of(rng, ((0,), (0,), (0, 1, 2, 3)))
    shape = one_of(rng, ((2, 2), (2, 3), (3, 2), (3, 3), (1, 4), (1, 3)))
    holes, density = rng.random() < 0.5, rng.uniform(0.45, 0.8)

    def scene(rng):
        tall, wide = shape
        template = noise(rng, tall, wide, colours, 0.75 if holes else 1.0)
        if np.count_nonzero(template) < 3 or len(np.unique(template)) < 2:
            return None
        grid = noise(rng, *canvas(rng, 8, 10), colours, density)
        hidden = grid.copy()
        for _ in range(rng.integers(1, 4)):
            turned = np.rot90(template, one_of(rng, turns))
            if turned.shape[0] > grid.shape[0] or turned.shape[1] > grid.shape[1]:
                return None
            planted(rng, hidden, turned)
        grid[...] = hidden
        planted(rng, grid, np.pad(template, 1, constant_values=frame))
        return grid

    def rule(grid):
        rows, columns = np.nonzero(grid == frame)
        if not len(rows):
            return None
        top, left, bottom, right = rows.min(), columns.min(), rows.max(), columns.max()
        template = grid[top + 1 : bottom, left + 1 : right]
        found = set()
        for turn in turns:
            turned = np.rot90(template, turn)
            if turned.shape[0] > grid.shape[0] or turned.shape[1] > grid.shape[1]:
                continue
            alike = (sliding_window_view(grid, turned.shape) == turned).all((2, 3))
            found |= {(int(r), int(c), *turned.shape) for r, c in np.argwhere(alike)}
        copies = [box for box in found if box[:2] != (top + 1, left + 1)]
        if not copies or len(copies) > 4:
            return None
        output = np.zeros_like(grid) if does == "only" else grid.copy()
        covered = np.zeros(grid.shape, int)
        for row, column, height, width in copies:
            box = np.s_[row : row + height, column : column + width]
            covered[box] += 1
            if does == "outline":
                outlined(output, row, column, height, width, frame)
            elif does == "recolour":
                output[box] = np.where(grid[box] != 0, np.uint8(ink), grid[box])
            else:
                output[box] = grid[box]
        changed_template = (output != grid)[top : bottom + 1, left : right + 1].any() and does != "only"
        if covered.max() > 1 or changed_template:
            return None
        return None if does == "outline" and (output != grid)[covered > 0].any() else output

    return scene, rule


@family("The largest square of one colour (or of empty cells) in the noise is filled, gets a rim or a cross, or is shown alone.")
def largest_square_in_noise(rng):
    ink, *colours = pick_colours(rng, int(rng.integers(2, 4)))
    hunted = one_of(rng, (0, colours[0]))
    does = one_of(rng, ("fill", "rim", "cross", "show"))

    def scene(rng):
        height, width = canvas(rng, 6, 10)
        grid = noise(rng, height, width, colours, rng.uniform(0.4, 0.55))
        least = 3 if does in ("rim", "cross") else 2
        for _ in range(rng.integers(1, 3)):
            side = int(rng.integers(least, min(height, width) // 2 + 1 + (least > 2)))
            planted(rng, grid, blank(side, side, hunted))
        return grid

    def rule(grid):
        found = largest_rectangles(grid == hunted, square=True)
        if len(found) != 1 or found[0][2] < 2 or does in ("rim", "cross") and found[0][2] < 3:
            return None
        row, column, side, _ = found[0]
        if does == "show":
            return blank(side, side, ink)
        output, cells = grid.copy(), np.ones((side, side), bool)
        if does == "rim":
            cells = box_outline(side, side)
        elif does == "cross":
            cells = np.eye(side, dtype=bool) | np.eye(side, dtype=bool)[::-1]
        output[row : row + side, column : column + side][cells] = ink
        return output

    return scene, rule


@family("In the noise hides a large rectangle of one colour: it is cut out, kept alone, recoloured, or hollowed.")
def rectangle_hidden_in_noise(rng):
    ink, *colours = pick_colours(rng, int(rng.integers(3, 6)))
    does = one_of(rng, ("cut", "keep", "recolour", "hollow", "outline"))
    tints = colours if rng.random() < 0.5 else colours[:1]
    empties = rng.random() < 0.5

    def scene(rng):
        height, width = canvas(rng, 7, 11)
        grid = noise(rng, height, width, colours, 0.6 if empties else 1.0)
        tall, wide = (int(rng.integers(3, max(4, side // 2 + 1) + 1)) for side in grid.shape)
        planted(rng, grid, blank(tall, wide, one_of(rng, tints)))
        return grid

    def rule(grid):
        found = {colour: largest_rectangles(grid == colour) for colour in tints if (grid == colour).any()}
        areas = sorted((boxes[0][2] * boxes[0][3], colour) for colour, boxes in found.items())
        if not areas or areas[-1][0] < 9 or len(areas) > 1 and 2 * areas[-2][0] > areas[-1][0] or len(found[areas[-1][1]]) > 1:
            return None
        row, column, height, width = found[areas[-1][1]][0]
        box = np.s_[row : row + height, column : column + width]
        if min(height, width) < 3:
            return None
        if does == "cut":
            return grid[box]
        output = np.zeros_like(grid) if does == "keep" else grid.copy()
        if does == "keep":
            output[box] = grid[box]
        elif does == "recolour":
            output[box] = ink
        elif does == "hollow":
            output[box][1:-1, 1:-1] = ink
        else:
            outlined(output, row, column, height, width, ink)
        return output

    return scene, rule


@family("Dots in one row or column are joined through the noise: over it, behind it, or only where nothing is in the way.")
def dots_joined_in_noise(rng):
    dot, ink, *colours = pick_colours(rng, int(rng.integers(3, 5)))
    noise_is = one_of(rng, ("overdrawn", "in front", "in the way", "in the way"))
    axes = one_of(rng, ("both", "both", "row", "column"))
    density, farthest = rng.uniform(0.12, 0.3), one_of(rng, (30, 30, 5))

    def scene(rng):
        grid = noise(rng, *canvas(rng, 7, 11), colours, density)
        height, width = grid.shape
        for _ in range(rng.integers(2, 5)):
            row, column = int(rng.integers(height)), int(rng.integers(width))
            grid[row, column] = dot
            if rng.random() < 0.5 and axes != "column" or axes == "row":
                grid[row, rng.integers(width)] = dot
            else:
                grid[rng.integers(height), column] = dot
        return grid

    def rule(grid):
        output = grid.copy()
        for lines, inked, axis in ((grid, output, "row"), (grid.T, output.T, "column")):
            if axes not in ("both", axis):
                continue
            for line, drawn in zip(lines, inked):
                places = np.flatnonzero(line == dot)
                for a, b in zip(places, places[1:]):
                    gap = line[a + 1 : b]
                    if len(gap) <= farthest and not (noise_is == "in the way" and gap.any()):
                        drawn[a + 1 : b][(gap == 0) | (noise_is == "overdrawn")] = ink
        return output if np.isin(grid, colours).any() else None  # without noise it would be another task

    def branches(grid):
        """What lies between neighbouring dots: along which axis, whether noise is in the way and whether it is far."""
        found = set()
        for lines, axis in ((grid, "row"), (grid.T, "column")):
            for line in lines:
                places = np.flatnonzero(line == dot)
                gaps = [line[a + 1 : b] for a, b in zip(places, places[1:]) if b - a > 1]
                found |= {(axis, bool(gap.any()), len(gap) > farthest) for gap in gaps}
        return found

    return scene, rule, branches


@family("The motif stands there several times, once with a fault: the fault is mended or marked, or the faulty copy picked out.")
def motif_with_a_fault(rng):
    ink, *colours = pick_colours(rng, int(rng.integers(3, 6)))
    tall, wide = one_of(rng, ((2, 2), (2, 3), (3, 2), (3, 3), (3, 3), (1, 4), (2, 4)))
    does = one_of(rng, ("mend", "mend", "mark", "cut", "outline", "remove"))
    faults, gap = int(rng.integers(1, 3)), 2 if does == "outline" else 1

    def scene(rng):
        grid = blank(*canvas(rng, 8, 11))
        motif = noise(rng, tall, wide, colours, 1.0)
        faulty = motif.copy()
        for cell in rng.permutation(motif.size)[:faults]:
            faulty.flat[cell] = one_of(rng, [c for c in colours if c != motif.flat[cell]])
        copies = [faulty] + [motif] * int(rng.integers(2, 7))
        placed = [place(rng, grid, copy, gap) is not None for copy in copies]
        return grid if sum(placed) >= 3 and placed[0] else None

    def rule(grid):
        things = objects(grid, diagonal=True, by_colour=False)
        if len(things) < 3 or any(not thing.cells.all() or thing.cells.shape != (tall, wide) for thing in things):
            return None
        looks = [thing.colours.tobytes() for thing in things]
        odd = [thing for thing, look in zip(things, looks) if looks.count(look) == 1]
        if len(odd) != 1 or len(set(looks)) != 2:
            return None
        motif = next(thing.colours for thing in things if thing is not odd[0])
        box = np.s_[odd[0].row : odd[0].row + tall, odd[0].column : odd[0].column + wide]
        if does == "cut":
            return grid[box]
        output = grid.copy()
        if does == "mend":
            output[box] = motif
        elif does == "mark":
            output[box] = np.where(grid[box] == motif, grid[box], np.uint8(ink))
        elif does == "outline":
            outlined(output, odd[0].row, odd[0].column, tall, wide, ink)
        else:
            output[box] = 0
        return output

    return scene, rule


def runs_along(grid: np.ndarray, step: tuple[int, int], length: int) -> list[list[tuple[int, int]]]:
    """The places of every run of `length` equal coloured cells along a step down (or none) and to a side (or none)."""
    found, (height, width) = [], grid.shape
    for row, column in np.argwhere(grid).tolist():
        cells = [(row + k * step[0], column + k * step[1]) for k in range(length)]
        if cells[-1][0] < height and 0 <= cells[-1][1] < width and all(grid[c] == grid[row, column] for c in cells):
            found.append(cells)
    return found


@family("Runs of one colour that are long enough, along rows, columns or diagonals of the noise, are recoloured or alone left.")
def long_runs_in_noise(rng):
    ink, *colours = pick_colours(rng, int(rng.integers(2, 5)))
    least, along = int(rng.integers(3, 6)), one_of(rng, ("rows", "columns", "both", "diagonals"))
    clears, density = rng.random() < 0.35, rng.uniform(0.3, 0.8)
    steps = {"rows": ((0, 1),), "columns": ((1, 0),), "both": ((0, 1), (1, 0)), "diagonals": ((1, 1), (1, -1))}[along]

    def scene(rng):
        height, width = canvas(rng, 6, 10)
        grid = noise(rng, height, width, colours, density if len(colours) > 1 else density / 2)
        for _ in range(rng.integers(1, 5)):
            down, right = one_of(rng, steps)
            length, colour = least + int(rng.integers(-1, 3)), one_of(rng, colours)
            row, column = int(rng.integers(height)), int(rng.integers(width))
            for k in range(length):
                if row + k * down < height and 0 <= column + k * right < width:
                    grid[row + k * down, column + k * right] = colour
        return grid

    def rule(grid):
        marked = np.zeros(grid.shape, bool)
        for cells in (cells for step in steps for cells in runs_along(grid, step, least)):
            marked[tuple(zip(*cells))] = True
        if not marked.any() or marked.mean() > 0.5:
            return None
        return np.where(marked, grid, 0).astype(np.uint8) if clears else np.where(marked, np.uint8(ink), grid)

    def branches(grid):
        """Along which ways there are long runs, whether they count or not."""
        ways = ((0, 1), (1, 0), (1, 1), (1, -1))
        return {way for way in ways if runs_along(grid, way, least)}

    return scene, rule, branches


FORMS = tuple(
    np.array([[cell == "x" for cell in row] for row in form.split()])
    for form in (".x. xxx .x.", "x.x .x. x.x", "xx xx", "xxx x.x xxx", "xxx .x. .x.", "x.. x.. xxx", "x.x x.x xxx", "x.. .x. ..x",
                 "xx. .xx", "x.x", ".x. x.x .x.", "x..x .... .... x..x", "x. xx", "xxx x..", "x.x ... x.x")
)  # fmt: skip


@family("Wherever the noise of one colour holds a form of the task (a plus, a ring, corners), the form's cells are coloured.")
def form_in_noise(rng):
    ink, colour, *others = pick_colours(rng, int(rng.integers(2, 5)))
    form = np.rot90(one_of(rng, FORMS), int(rng.integers(4)))
    exact = rng.random() < 0.4  # the other cells of the form's box are empty
    clears, stray = rng.random() < 0.2, one_of(rng, (0.2, 1.0))

    def scene(rng):
        height, width = canvas(rng, 7, 11)
        cells, gaps = int(form.sum()), int((~form).sum()) if exact else 0
        density = min((stray / (height * width)) ** (1 / cells), 0.3 if others else 0.4)
        grid = noise(rng, height, width, [colour], density)
        if others:
            free = grid == 0
            grid[free] = noise(rng, 1, int(free.sum()), others, 0.25)[0]
        for number in range(rng.integers(1, 5)):
            patch = painted(form, colour)
            if rng.random() < 0.3 and number:  # a form with a cell missing
                patch.flat[one_of(rng, np.flatnonzero(form))] = 0
            row, column = (int(rng.integers(a - b + 1)) for a, b in zip(grid.shape, form.shape))
            box = grid[row : row + form.shape[0], column : column + form.shape[1]]
            box[form | (gaps > 0)] = patch[form | (gaps > 0)]
        return grid

    def rule(grid):
        windows = sliding_window_view(grid, form.shape)
        fits = (windows[:, :, form] == colour).all(2)
        if exact:
            fits &= (windows[:, :, ~form] == 0).all(2)
        marked = np.zeros(grid.shape, bool)
        for row, column in np.argwhere(fits):
            marked[row : row + form.shape[0], column : column + form.shape[1]] |= form
        if not fits.any() or marked.sum() < fits.sum() * form.sum() or marked.sum() == np.count_nonzero(grid):
            return None  # forms that share cells are hard to tell apart
        rest = np.zeros_like(grid) if clears else grid
        return np.where(marked, np.uint8(ink), rest)

    return scene, rule
