"""Families about counting: cells, objects, holes and colours are counted, and the number shows as a bar, a size or a choice."""

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from .family import family
from .scenes import (
    FOUR,
    blank,
    blob,
    box_outline,
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
    sides,
)


def way_to_show(rng: np.random.Generator, most: int) -> Callable[[int, int], np.ndarray | None]:
    """How a task shows a number from 1 to `most` in a colour: `show(number, colour)`, None for other numbers.

    A row, a row padded with blank cells, a diagonal, a square of that side, or a square filled cell by cell.
    """
    form = rng.choice(["row", "padded", "diagonal", "square", "filled"])
    if most > 6 and form in ("diagonal", "square"):
        form = "row"

    def show(number, colour):
        if not 1 <= number <= most:
            return None
        if form == "row":
            return blank(1, number, colour)
        if form == "square":
            return blank(number, number, colour)
        if form == "diagonal":
            return painted(np.eye(number, dtype=bool), colour)
        side = int(np.ceil(np.sqrt(most)))
        height, width = (1, most) if form == "padded" else (side, side)
        return painted(np.arange(height * width) < number, colour).reshape(height, width)

    return show


def panels(grid: np.ndarray, line: int) -> list[list[np.ndarray]]:
    """The parts of a grid between full rows and columns of the colour `line`, row by row."""

    def runs(is_line):
        labels, _ = ndimage.label(~is_line)
        return [s[0] for s in ndimage.find_objects(labels)]

    columns = runs((grid == line).all(0))
    return [[grid[r, c] for c in columns] for r in runs((grid == line).all(1))]


def lined_grid(rows: int, columns: int, height: int, width: int, line: int) -> np.ndarray:
    """Blank panels of `height` x `width`, `rows` x `columns` of them, with lines of one colour between them."""
    grid = blank(rows * (height + 1) - 1, columns * (width + 1) - 1)
    grid[height :: height + 1] = line
    grid[:, width :: width + 1] = line
    return grid


def count_holes(cells: np.ndarray) -> int:
    """Closed-in groups of empty cells of a bool shape."""
    return ndimage.label(~np.pad(cells, 1), FOUR)[1] - 1


@family("Each row turns into a bar as long as its number of cells of one colour.")
def rows_become_bars(rng):
    counted, *others = pick_colours(rng, int(rng.integers(2, 5)))
    bar = counted if rng.random() < 0.5 else pick_colour(rng)
    tip = bar if rng.random() < 0.6 else pick_colour(rng, (0, bar))

    def scene(rng):
        height, width = canvas(rng, 3, 8)
        others_there = noise(rng, height, width, others, rng.uniform(0, 0.5))
        return np.where(rng.random((height, width)) < 0.4, np.uint8(counted), others_there)

    def rule(grid):
        numbers = (grid == counted).sum(1)[:, None]
        columns = np.arange(grid.shape[1])
        return np.where(columns < numbers, np.where(columns == numbers - 1, tip, bar), 0).astype(np.uint8)

    return scene, rule


@family("The objects of one form (dots, flat bars, tall bars or squares) are counted; the output shows their number.")
def one_form_counted(rng):
    forms = [(1, 1), (1, 3), (3, 1), (2, 2)]
    wanted = forms[rng.integers(4)]
    colours = pick_colours(rng, int(rng.integers(1, 4)))
    answer, show = pick_colour(rng), way_to_show(rng, 4)

    def scene(rng):
        grid = blank(*canvas(rng, 6, 9))
        others = [forms[i] for i in rng.integers(4, size=rng.integers(1, 4)) if forms[i] != wanted]
        for form in [wanted] * int(rng.integers(1, 5)) + others:
            place(rng, grid, blank(*form, rng.choice(colours)))
        return grid

    def rule(grid):
        return show(sum((o.height, o.width) == wanted for o in objects(grid)), answer)

    return scene, rule


@family("A small block in the colour that has the most (or the fewest) cells; its middle may show the second.")
def block_of_commonest(rng):
    sign = rng.choice([1, -1])
    height, width = sides(rng, 1, 3)
    with_middle = rng.random() < 0.4
    height, width = (3, 3) if with_middle else (height, width)
    free_colours, palette = rng.random() < 0.5, pick_colours(rng, int(rng.integers(3, 5)))

    def scene(rng):
        colours = pick_colours(rng, len(palette)) if free_colours else palette
        shape = sides(rng, 3, 7)
        return rng.choice(np.array(colours, np.uint8), shape, p=rng.dirichlet(np.full(len(colours), 4)))

    def rule(grid):
        colours, numbers = np.unique(grid, return_counts=True)
        order = np.argsort(-sign * numbers)
        ranked = sign * numbers[order]
        if len(colours) < 3 or ranked[0] - ranked[1] < 3 or ranked[1] == ranked[2]:
            return None
        output = blank(height, width, colours[order[0]])
        if with_middle:
            output[1, 1] = colours[order[1]]
        return output

    return scene, rule


@family("Two colours are compared: the one with more cells, shown as often as it has cells more than the other.")
def difference_shown(rng):
    free_colours, pair = rng.random() < 0.4, pick_colours(rng, 2)
    other = None if free_colours or rng.random() < 0.5 else pick_colour(rng, (0, *pair))
    show = way_to_show(rng, 5)

    def scene(rng):
        grid = blank(*canvas(rng, 3, 7))
        for colour in pick_colours(rng, 2) if free_colours else pair:
            scatter(rng, grid, int(rng.integers(1, 8)), [colour])
        if other:
            scatter(rng, grid, int(rng.integers(1, 6)), [other])
        return grid

    def numbers(grid):
        first, second = np.setdiff1d(grid, [0]) if free_colours else pair
        return int((grid == first).sum()) - int((grid == second).sum()), first, second

    def rule(grid):
        more, first, second = numbers(grid)
        return show(abs(more), first if more > 0 else second)

    return scene, rule, lambda grid: {abs(numbers(grid)[0]) > 1}


@family("Every row names a colour and has some tally marks: the output strip repeats each colour that many times.")
def tallies_to_strip(rng):
    mark = pick_colour(rng)
    room, spread, spaced = int(rng.integers(3, 6)), rng.random() < 0.5, rng.random() < 0.4

    def scene(rng):
        count = int(rng.integers(2, 5))
        grid = blank(count, room + 2)
        grid[:, 0] = pick_colours(rng, count, (0, mark))
        for row in grid:
            marks = int(rng.integers(1, min(room, 4) + 1))
            row[2 + rng.permutation(room)[:marks] if spread else slice(2, 2 + marks)] = mark
        return np.insert(grid, range(1, count), 0, 0) if spaced else grid

    def rule(grid):
        return np.repeat(grid[:, 0], (grid == mark).sum(1))[None]

    return scene, rule


@family("The output shows how many different colours the grid has, however many cells each of them has.")
def colours_counted(rng):
    answer, show = pick_colour(rng), way_to_show(rng, 5)
    form = rng.choice(["noise", "dots", "blobs"])

    def scene(rng):
        colours = pick_colours(rng, int(rng.integers(1, 6)))
        grid = blank(*canvas(rng, 4, 8))
        if form == "noise":
            return noise(rng, *canvas(rng, 3, 6), colours, 0.7)
        for colour in colours * int(rng.integers(1, 3)):
            place(rng, grid, painted(blob(rng, rng.integers(1, 5) if form == "blobs" else 1, 2, 3), colour), gap=0)
        return grid

    def rule(grid):
        return show(len(np.setdiff1d(grid, [0])), answer)

    return scene, rule


@family("The dots inside (or outside) the frame are counted, the others do not matter; the output shows their number.")
def dots_in_frame_counted(rng):
    frame, dot = pick_colours(rng, 2)
    inside = rng.random() < 0.7
    answer, show = (dot if rng.random() < 0.5 else pick_colour(rng)), way_to_show(rng, 6)

    def scene(rng):
        grid = blank(*canvas(rng, 6, 9))
        box = painted(box_outline(*sides(rng, 4, 5)), frame)
        row, column = place(rng, grid, box)
        interior = grid[row + 1 : row + box.shape[0] - 1, column + 1 : column + box.shape[1] - 1]
        scatter(rng, interior, int(rng.integers(1, 7)), [dot])
        outside = grid.copy()
        outside[row : row + box.shape[0], column : column + box.shape[1]] = frame
        scatter(rng, outside, int(rng.integers(1, 7)), [dot])
        return np.maximum(grid, np.where(outside == dot, np.uint8(dot), np.uint8(0)))

    def rule(grid):
        rows, columns = np.nonzero(grid == frame)
        within = (grid[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] == dot).sum()
        return show(int(within if inside else (grid == dot).sum() - within), answer)

    return scene, rule


@family("The row with the most (or the fewest) coloured cells is recoloured, painted over, or cut out.")
def fullest_row_chosen(rng):
    colours = pick_colours(rng, int(rng.integers(1, 3)))
    paint, sign = pick_colour(rng, (0, *colours)), rng.choice([1, -1])
    action = rng.choice(["recolour", "paint", "cut", "erase others"])

    def scene(rng):
        return noise(rng, *canvas(rng, 4, 8), colours, rng.uniform(0.3, 0.7))

    def rule(grid):
        numbers = (grid != 0).sum(1) * sign
        best = np.flatnonzero(numbers == numbers.max())
        if len(best) > 1 or numbers[best[0]] == 0:
            return None
        chosen = grid[best]
        if action == "cut":
            return chosen
        output = np.zeros_like(grid) if action == "erase others" else grid.copy()
        if action != "erase others":
            chosen = np.where((chosen != 0) | (action == "paint"), paint, 0)
        output[best] = chosen
        return output

    return scene, rule


@family("Every coloured cell takes a colour that tells how many of its four neighbours are coloured.")
def neighbours_counted(rng):
    top = int(rng.integers(1, 3))
    body, *paints = pick_colours(rng, top + 2)
    density = rng.uniform(0.2, 0.4)
    if rng.random() < 0.5:
        paints[rng.integers(top + 1)] = body

    def scene(rng):
        return noise(rng, *canvas(rng, 4, 8), [body], density)

    def rule(grid):
        neighbours = ndimage.convolve((grid != 0).astype(int), FOUR.astype(int), mode="constant") - 1
        if neighbours[grid != 0].max(initial=0) < top:
            return None
        return np.where(grid != 0, np.array(paints, np.uint8)[np.clip(neighbours, 0, top)], np.uint8(0))

    return scene, rule, lambda grid: colours_in(rule(grid))


@family("The shape is cut out and repeated as often as there are dots.")
def shape_repeated_by_dots(rng):
    dot, gap = pick_colour(rng), int(rng.integers(0, 2))
    colours = pick_colours(rng, int(rng.integers(1, 4)), (0, dot))

    def scene(rng):
        grid = blank(*canvas(rng, 5, 8))
        shape = painted(blob(rng, rng.integers(3, 7), 3, 3, diagonal=True), 1)
        place(rng, grid, np.where(shape, rng.choice(colours, shape.shape), 0).astype(np.uint8))
        for _ in range(rng.integers(1, 5)):
            place(rng, grid, blank(1, 1, dot))
        return grid

    def rule(grid):
        shape, number = crop(np.where(grid == dot, np.uint8(0), grid)), int((grid == dot).sum())
        if not number:
            return None
        return np.tile(np.pad(shape, ((0, 0), (0, gap))), number)[:, : number * (shape.shape[1] + gap) - gap]

    return scene, rule


@family("The panel with the most (or the fewest) coloured cells is the output.")
def fullest_panel(rng):
    line, *colours = pick_colours(rng, int(rng.integers(2, 5)))
    sign = rng.choice([1, -1])
    rows, columns = (int(v) for v in [(2, 2), (1, 3), (1, 2), (1, 4), (3, 1)][rng.integers(5)])

    def scene(rng):
        height, width = canvas(rng, 2, 3 if rows * columns == 4 else 4)
        grid = lined_grid(rows, columns, height, width, line)
        for row in panels(grid, line):
            for panel in row:
                scatter(rng, panel, int(rng.integers(1, panel.size)), colours)
        return grid

    def rule(grid):
        parts = [panel for row in panels(grid, line) for panel in row]
        numbers = sorted(sign * int((p != 0).sum()) for p in parts)
        if numbers[-1] == numbers[-2]:
            return None
        return next(p for p in parts if sign * (p != 0).sum() == numbers[-1])

    return scene, rule


@family("A line grows out of the marker, as long as there are dots elsewhere in the grid.")
def marker_grows_by_count(rng):
    marker, dot = pick_colours(rng, 2)
    paint = [marker, dot, pick_colour(rng, (0, marker, dot))][rng.integers(3)]
    dots_stay = rng.random() < 0.4

    def scene(rng):
        grid = blank(*canvas(rng, 5, 9))
        row = int(rng.integers(grid.shape[0]))
        grid[row, rng.integers(0, 3)] = marker
        away = np.delete(np.arange(grid.shape[0]), row)
        rest = grid[away]
        scatter(rng, rest, int(rng.integers(1, 7)), [dot])
        grid[away] = rest
        return grid

    def rule(grid):
        number, (row, column) = (grid == dot).sum(), np.argwhere(grid == marker)[0]
        if column + number >= grid.shape[1]:
            return None
        output = grid.copy() if dots_stay else np.where(grid == dot, np.uint8(0), grid)
        output[row, column + 1 : column + 1 + number] = paint
        return output

    return scene, rule
