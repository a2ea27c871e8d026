"""Families about panels laid over each other, masks, noise and hidden parts."""

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from ...arc.view import apply_symmetry
from .family import family
from .filling import cuts
from .scenes import blank, blob, canvas, noise, objects, painted, pick_colour, pick_colours, place, sides


@dataclass(frozen=True)
class Layout:
    """Panels of one size in `rows` and `columns`, with lines of colour `line` between them (0: without lines)."""

    rows: int
    columns: int
    line: int

    def join(self, panels) -> np.ndarray:
        """The panels, row by row, as one grid."""
        (height, width), gap = panels[0].shape, int(self.line > 0)
        grid = blank(self.rows * (height + gap) - gap, self.columns * (width + gap) - gap, self.line)
        for number, panel in enumerate(panels):
            row, column = (number // self.columns) * (height + gap), (number % self.columns) * (width + gap)
            grid[row : row + height, column : column + width] = panel
        return grid

    def split(self, grid: np.ndarray) -> list[np.ndarray]:
        """The panels of a grid, row by row."""
        gap = int(self.line > 0)
        height, width = (grid.shape[0] + gap) // self.rows, (grid.shape[1] + gap) // self.columns  # with their lines
        corners = [(row * height, column * width) for row in range(self.rows) for column in range(self.columns)]
        return [grid[row : row + height - gap, column : column + width - gap] for row, column in corners]


def draw_layout(rng: np.random.Generator, count: int, line: int, line_chance: float = 2 / 3) -> Layout:
    """`count` panels in a row, a column or (four) a square, with lines of that colour or, in some tasks, none."""
    shapes = [(1, count), (count, 1)] + [(2, 2)] * (count == 4)
    return Layout(*shapes[rng.integers(len(shapes))], line if rng.random() < line_chance else 0)


def draw_sides(low: int, high: int, square: bool = False):
    """A function of a generator that gives the sides of a scene's panels."""
    return lambda rng: canvas(rng, low, high, square=square)


LOGIC = {
    "both": lambda a, b: a & b,
    "either": lambda a, b: a | b,
    "exactly one": lambda a, b: a ^ b,
    "neither": lambda a, b: ~(a | b),
    "first only": lambda a, b: a & ~b,
    "alike": lambda a, b: a == b,
}


@family("Three or four panels: the output's cell tells in how many of them that cell is coloured, or whether in enough of them.")
def count_over_panels(rng):
    count = int(rng.integers(3, 5))
    line, *colours = pick_colours(rng, 2 + count)
    layout, size = draw_layout(rng, count, line, 1), draw_sides(2, 4)
    shown, *result = colours
    kind, wanted = str(rng.choice(["graded", "exactly", "at least"])), int(rng.integers(1, count + 1))
    density = np.clip(wanted / count + rng.uniform(-0.1, 0.15), 0.35, 0.75)

    def scene(rng):
        shape = size(rng)
        return layout.join([noise(rng, *shape, [shown], density) for _ in range(count)])

    def rule(grid):
        total = sum((panel != 0).astype(int) for panel in layout.split(grid))
        if kind == "graded":
            return np.array([0, *result], np.uint8)[total]
        enough = total == wanted if kind == "exactly" else total >= wanted
        return painted(enough, result[0]) if enough.any() else None

    def branches(grid):
        return {*sum((panel != 0).astype(int) for panel in layout.split(grid)).flat} if kind == "graded" else set()

    return scene, rule, branches


@family("Panels, each in its own colour, are laid on one another; where several are coloured a fixed order says which is on top.")
def overlay_panels(rng):
    count = int(rng.integers(2, 5))
    line, *colours = pick_colours(rng, count + 1)
    layout, size = draw_layout(rng, count, line), draw_sides(2, 5 if count < 4 else 4)
    order, density = rng.permutation(count), rng.uniform(0.35, 0.65)

    def scene(rng):
        shape = size(rng)
        return layout.join([noise(rng, *shape, [colour], density) for colour in colours])

    def rule(grid):
        panels = layout.split(grid)
        overlay = np.zeros_like(panels[0])
        for number in order:
            overlay = np.where(panels[number] != 0, panels[number], overlay)
        return overlay

    return scene, rule


@family("All panels but one show the same figure (in some tasks turned or mirrored): the output is the odd panel.")
def panel_unlike_the_others(rng):
    count, turned = int(rng.integers(3, 5)), bool(rng.random() < 0.65)
    line, *colours = pick_colours(rng, int(rng.integers(2, 5)))
    layout, size = draw_layout(rng, count, line, 1), draw_sides(3, 3 if turned else 4, square=turned)
    changes, density = int(rng.integers(1, 5)), rng.uniform(0.4, 0.7)

    def form(panel):
        return min(apply_symmetry(panel, k).tobytes() for k in (range(8) if turned else (0,)))

    def scene(rng):
        base = noise(rng, *size(rng), colours, density)
        odd = base.copy()
        for _ in range(changes):
            odd[rng.integers(len(odd)), rng.integers(odd.shape[1])] = rng.choice([0, *colours])
        panels = [apply_symmetry(base, rng.integers(8)) if turned else base for _ in range(count)]
        panels[rng.integers(count)] = odd
        return layout.join(panels)

    def rule(grid):
        panels = layout.split(grid)
        forms = [form(panel) for panel in panels]
        odd = [panel for panel, key in zip(panels, forms) if forms.count(key) == 1]
        return odd[0] if len(odd) == 1 and len(set(forms)) == 2 else None

    return scene, rule


@family("The panel with a cell of the marking colour is the output; the mark itself stays or is wiped out.")
def marked_panel(rng):
    count = int(rng.integers(2, 5))
    line, mark, *colours = pick_colours(rng, int(rng.integers(3, 6)))
    layout, size = draw_layout(rng, count, line, 1), draw_sides(2, 4)
    wiped, density = rng.random() < 0.5, rng.uniform(0.3, 0.8)

    def scene(rng):
        shape = size(rng)
        panels = [noise(rng, *shape, colours, density) for _ in range(count)]
        chosen = panels[rng.integers(count)]
        chosen[rng.integers(shape[0]), rng.integers(shape[1])] = mark
        return layout.join(panels)

    def rule(grid):
        chosen = next(panel for panel in layout.split(grid) if (panel == mark).any())
        return np.where(chosen == mark, np.uint8(0), chosen) if wiped else chosen

    return scene, rule


@family(
    "One panel is a mask for the picture in the other: the picture shows only where the mask is coloured (or where it is not)."
)
def picture_through_mask(rng):
    line, stencil, *colours = pick_colours(rng, int(rng.integers(4, 7)))
    layout, size = draw_layout(rng, 2, line), draw_sides(3, 6)
    first, through, visible = bool(rng.random() < 0.5), bool(rng.random() < 0.5), bool(rng.random() < 0.5)
    density = rng.uniform(0.4, 0.65)

    def scene(rng):
        shape = size(rng)
        panels = [noise(rng, *shape, [stencil], density), noise(rng, *shape, colours, 0.9)]
        return layout.join(panels if first else panels[::-1])

    def rule(grid):
        mask, picture = layout.split(grid)[:: 1 if first else -1]
        hidden = stencil if visible and not through else 0
        return np.where((mask != 0) == through, picture, np.uint8(hidden))

    return scene, rule


def most(measure):
    """The number of the panel with the highest measure, None where several have it."""

    def choose(panels):
        values = [measure(panel) for panel in panels]
        return values.index(max(values)) if values.count(max(values)) == 1 else None

    return choose


PANEL_CHOICES = {
    "most colours": most(lambda panel: len(np.unique(panel[panel != 0]))),
    "mirrored": most(lambda panel: np.array_equal(panel, panel[:, ::-1])),
}


@family("One panel excels, by the task in colours or in symmetry: the output is this panel, or its place.")
def superlative_panel(rng):
    kind = str(rng.choice([*PANEL_CHOICES]))
    count = int(rng.integers(2, 5))
    line, *colours = pick_colours(rng, int(rng.integers(max(4, count + 1), 7)))
    colours = colours if kind == "most colours" or rng.random() < 0.4 else colours[:1]
    layout, size = draw_layout(rng, count, line, 1), draw_sides(3, 4)
    only_place = rng.random() < 0.3  # the answer has one cell for each panel

    def scene(rng):
        shape = size(rng)
        shown = rng.permutation(np.arange(1, len(colours) + 1))[:count] if kind == "most colours" else [len(colours)] * count
        panels = [noise(rng, *shape, rng.permutation(colours)[:number], rng.uniform(0.3, 0.7)) for number in shown]
        if kind == "mirrored":
            chosen = rng.integers(count)
            panels[chosen] = np.maximum(panels[chosen], panels[chosen][:, ::-1])
        return layout.join(panels)

    def rule(grid):
        panels = layout.split(grid)
        chosen = PANEL_CHOICES[kind](panels)
        if chosen is None or not all(panel.any() for panel in panels):
            return None
        return painted(np.arange(count).reshape(layout.rows, -1) == chosen, line) if only_place else panels[chosen]

    return scene, rule


@family("Objects with fewer cells than the others are noise: only the large ones stay (in some tasks only the small ones).")
def remove_specks(rng):
    colours = pick_colours(rng, int(rng.integers(1, 5)))
    speck, keep_large = int(rng.integers(1, 3)), rng.random() < 0.75

    def scene(rng):
        grid = blank(*canvas(rng, 5, 10))
        for _ in range(rng.integers(1, 4)):
            place(rng, grid, painted(blob(rng, rng.integers(speck + 3, 9), 3, 4), rng.choice(colours)))
        for _ in range(rng.integers(2, 9)):
            place(rng, grid, painted(blob(rng, rng.integers(1, speck + 1)), rng.choice(colours)))
        return grid

    def rule(grid):
        cleaned = grid.copy()
        for thing in objects(grid, by_colour=False):
            if (thing.size <= speck) == keep_large:
                cleaned[thing.mask(grid)] = 0
        return cleaned if cleaned.any() else None

    return scene, rule


@family("Cells of the noise colour on coloured areas are repaired: each area is again a rectangle of one colour.")
def repair_areas(rng):
    speck = pick_colour(rng, exclude=())
    density = rng.uniform(0.05, 0.2)

    def scene(rng):
        height, width = canvas(rng, 5, 10)
        rows, columns = (cuts(rng, side, rng.integers(0, 3)) for side in (height, width))
        areas = rng.permutation([c for c in range(10) if c != speck])
        row_of, column_of = (
            np.searchsorted(lines, np.arange(side), "right") for lines, side in ((rows, height), (columns, width))
        )
        grid = areas[row_of[:, None] * (len(columns) + 1) + column_of].astype(np.uint8)
        return np.where(rng.random(grid.shape) < density, np.uint8(speck), grid)

    def rule(grid):
        repaired = blank(*grid.shape, speck)
        for colour in np.unique(grid[grid != speck]):
            rows, columns = np.nonzero(grid == colour)
            box = repaired[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            if (box != speck).any():
                return None
            box[:] = colour
        return None if (repaired == speck).any() else repaired

    return scene, rule


@family("Lines cross the whole picture, those of one direction on top; what the patch hides of them is restored, or shown alone.")
def lines_under_patch(rng):
    patch, *colours = pick_colours(rng, int(rng.integers(2, 6)))
    rows_on_top, only_part, density = rng.random() < 0.5, rng.random() < 0.5, rng.uniform(0.3, 0.6)

    def woven(rows, columns):
        over, under = (rows[:, None], columns) if rows_on_top else (columns, rows[:, None])
        return np.where(over != 0, over, under)

    def scene(rng):
        rows, columns = (noise(rng, 1, side, colours, density)[0] for side in canvas(rng, 5, 9))
        rows[0] = columns[0] = 0
        grid = woven(rows, columns)
        row, column = rng.integers(1, len(grid) - 2), rng.integers(1, grid.shape[1] - 2)
        grid[row : row + rng.integers(2, 6), column : column + rng.integers(2, 6)] = patch
        return grid

    def rule(grid):
        whole = woven(grid[:, 0], grid[0])
        rows, columns = np.nonzero(grid == patch)
        part = whole[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        return None if not part.any() else part if only_part else whole

    return scene, rule


def stacked_rectangles(rng: np.random.Generator, count: int, colours) -> np.ndarray:
    """A grid with `count` rectangles of different colours, each over a part of the one before."""
    grid, before = blank(*canvas(rng, 6, 9)), 0
    row, column = (rng.integers(0, side - 2) for side in grid.shape)
    for colour in rng.permutation(colours)[:count]:
        if before:
            grid = np.flip(grid, np.flatnonzero(rng.random(2) < 0.5)).copy()
            row, column = (rng.integers(min(line.min() + 1, line.max()), line.max() + 1) for line in np.nonzero(grid == before))
        height, width = sides(rng, 3, 6)
        grid[row : row + height, column : column + width] = before = colour
    return grid


def stacking(grid: np.ndarray) -> tuple[list[int], dict[int, tuple[slice, slice]]] | None:
    """Colours of overlapping rectangles from the lowest to the topmost, and their boxes; None where they do not tell."""
    boxes = {}
    for colour in np.unique(grid[grid != 0]):
        rows, columns = np.nonzero(grid == colour)
        boxes[int(colour)] = (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
    orders = [order for order in permutations(boxes) if np.array_equal(drawn(grid.shape, order, boxes), grid)]
    return (list(orders[0]), boxes) if len(orders) == 1 and len(boxes) > 1 else None


def drawn(shape, order, boxes) -> np.ndarray:
    """Rectangles drawn one after another."""
    grid = blank(*shape)
    for colour in order:
        grid[boxes[colour]] = colour
    return grid


@family("Overlapping rectangles: the output is a line of their colours from the topmost to the lowest, or the other way round.")
def stack_order(rng):
    colours, count = pick_colours(rng, 6), int(rng.integers(2, 4))
    upwards, upright = rng.random() < 0.5, rng.random() < 0.5

    def rule(grid):
        found = stacking(grid)
        if found is None or len(found[0]) != count:
            return None
        line = np.array([found[0]], np.uint8)[:, :: 1 if upwards else -1]
        return line.T if upright else line

    return lambda rng: stacked_rectangles(rng, count, colours), rule


@family(
    "Of overlapping rectangles the lowest is lifted to the top (or the topmost sinks to the bottom, or their order turns round)."
)
def restack_rectangles(rng):
    colours, count = pick_colours(rng, 6), int(rng.integers(2, 4))
    change = str(rng.choice(["lift", "sink", "reverse"]))

    def rule(grid):
        found = stacking(grid)
        if found is None:
            return None
        order, boxes = found
        order = {"lift": order[1:] + order[:1], "sink": order[-1:] + order[:-1], "reverse": order[::-1]}[change]
        return drawn(grid.shape, order, boxes)

    return lambda rng: stacked_rectangles(rng, count, colours), rule


@family(
    "The sheet is folded over at its middle: the second half is mirrored onto the first; doubly coloured cells get one colour."
)
def fold_sheet(rng):
    line, double, *colours = pick_colours(rng, int(rng.integers(3, 6)))
    upright, creased, density = rng.random() < 0.5, rng.random() < 0.6, rng.uniform(0.15, 0.35)
    layout, size = Layout(*((2, 1) if upright else (1, 2)), line if creased else 0), draw_sides(3, 6)

    def scene(rng):
        shape = size(rng)
        return layout.join([noise(rng, *shape, colours, density) for _ in range(2)])

    def rule(grid):
        first, second = layout.split(grid)
        second = np.flip(second, 0 if upright else 1)
        return np.where((first != 0) & (second != 0), np.uint8(double), first + second)

    return scene, rule


@family("A small plan beside the picture tells which of its blocks to keep: one cell of the plan for each block.")
def blocks_by_plan(rng):
    count, block = [(2, 2), (2, 3), (2, 4), (3, 2), (3, 3)][rng.integers(5)]
    line, plan, *colours = pick_colours(rng, int(rng.integers(3, 6)))
    left, keep, density = rng.random() < 0.5, rng.random() < 0.6, rng.uniform(0.5, 1)
    size = count * block

    def scene(rng):
        grid = blank(size, size + 1 + count)
        grid[:, size] = line
        grid[:, :size] = noise(rng, size, size, colours, density)
        grid[:count, size + 1 :] = noise(rng, count, count, [plan], 0.5)
        return np.hstack([grid[:, size + 1 :], grid[:, size:][:, :1], grid[:, :size]]) if left else grid

    def rule(grid):
        picture, small = (grid[:, -size:], grid[:count, :count]) if left else (grid[:, :size], grid[:count, -count:])
        chosen = np.kron((small != 0) == keep, np.ones((block, block), bool))
        return np.where(chosen, picture, np.uint8(0)) if chosen.any() else None

    return scene, rule


@family("Three damaged copies of one picture: every cell of the output has the colour that most of them show.")
def vote_of_copies(rng):
    line, *colours = pick_colours(rng, int(rng.integers(3, 7)))
    layout, size = draw_layout(rng, 3, line), draw_sides(3, 5)
    damage, density = rng.uniform(0.08, 0.2), rng.uniform(0.8, 1)

    def scene(rng):
        picture = noise(rng, *size(rng), colours, density)
        damaged = rng.random((3, *picture.shape)) < damage
        return layout.join([*np.where(damaged, np.uint8(0), picture)])

    def rule(grid):
        first, second, third = layout.split(grid)
        agreed = np.where(second == third, second, first)
        tied = (second != third) & (first != second) & (first != third)
        return None if tied.any() or np.array_equal(first, second) else agreed

    return scene, rule
