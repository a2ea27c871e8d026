"""Families about selection: one object is chosen by a property that the others lack, and then treated.

The treatment stays the same within a task: the object is cropped, kept alone, removed, recoloured or framed (`treatment`).
"""

from collections import Counter

import numpy as np
from scipy import ndimage

from .family import family
from .lines import STRAIGHT, ahead
from .scenes import (
    Object,
    blank,
    blob,
    box_outline,
    canvas,
    draw,
    noise,
    objects,
    painted,
    pick_colour,
    pick_colours,
    place,
)


def treatment(rng: np.random.Generator, exclude):
    """What a task does with the chosen object: `act(grid, thing)` gives the output. New colours are none of `exclude`."""
    kind = ("crop", "keep", "remove", "recolour", "frame")[rng.choice(5, p=[0.3, 0.2, 0.15, 0.2, 0.15])]
    colour = np.uint8(pick_colour(rng, exclude))

    def act(grid: np.ndarray, thing: Object) -> np.ndarray:
        if kind == "crop":
            return thing.colours
        if kind == "frame":
            framed = np.pad(grid, 1)
            box = framed[thing.row : thing.row + thing.height + 2, thing.column : thing.column + thing.width + 2]
            box[box_outline(*box.shape) & (box == 0)] = colour
            return framed[1:-1, 1:-1]
        mask = thing.mask(grid)
        return np.where(mask if kind != "keep" else ~mask, colour if kind == "recolour" else np.uint8(0), grid)

    return act


def choosing(rng: np.random.Generator, exclude, find, **how):
    """A rule that treats the object `find(things, grid)`, None where there is no single one; `how` is for `objects`."""
    act = treatment(rng, (0, *exclude))

    def rule(grid):
        things = objects(grid, **how)
        thing = find(things, grid) if len(things) > 2 else None
        return None if thing is None else act(grid, thing)

    return rule


def extreme(things, measure, highest: bool = True):
    """The thing with the highest (or lowest) measure; None where several share it."""
    values = [measure(thing) for thing in things]
    best = max(values) if highest else min(values)
    return things[values.index(best)] if values.count(best) == 1 else None


def only(things, test):
    """The thing that passes the test; None where none or several do."""
    passed = [thing for thing in things if test(thing)]
    return passed[0] if len(passed) == 1 else None


def form(thing: Object, turned: bool = False) -> tuple:
    """What is equal for objects of the same shape; with `turned`, for turned ones too."""
    turns = [np.rot90(thing.cells, k) for k in range(4 if turned else 1)]
    return min((*t.shape, t.tobytes()) for t in turns)


def arranged(rng: np.random.Generator, sprites, low: int = 7, high: int = 10) -> np.ndarray | None:
    """A grid with all the sprites, apart from each other; None where they have no room."""
    grid = blank(*canvas(rng, max(low, 8) if len(sprites) > 4 else low, high))
    for sprite in sorted(sprites, key=lambda s: -s.size):
        if place(rng, grid, sprite) is None:
            return None
    return grid


def different_blobs(rng: np.random.Generator, count: int, low: int = 3, high: int = 5) -> list[np.ndarray]:
    """Up to `count` connected shapes, no two of which are equal when turned."""
    found = {}
    for _ in range(2 * count):
        shape = blob(rng, rng.integers(low, high + 1), 3, 3)
        found.setdefault(form(Object(0, 0, shape, shape), turned=True), shape)
        if len(found) == count:
            break
    return list(found.values())


@family("The largest object (in some tasks the smallest) is cropped, kept, removed, recoloured or framed.")
def largest_or_smallest(rng):
    colours = pick_colours(rng, int(rng.integers(1, 6)))
    largest, count = bool(rng.random() < 0.6), int(rng.integers(3, 5))

    def scene(rng):
        sizes = rng.permutation(np.arange(2, 10))[:count]
        return arranged(rng, [painted(blob(rng, size, 4, 4), rng.choice(colours)) for size in sizes])

    return scene, choosing(rng, colours, lambda things, grid: extreme(things, lambda t: t.size, largest))


@family("The object whose shape no other object has, whatever the colours, is cropped, kept, removed, recoloured or framed.")
def odd_shape_out(rng):
    colours = pick_colours(rng, int(rng.integers(1, 6)))
    kinds = int(rng.integers(1, 3))

    def scene(rng):
        odd, *others = different_blobs(rng, 1 + kinds)
        copies = [odd] + [shape for shape in others for _ in range(rng.integers(2, 4))]
        return arranged(rng, [painted(shape, rng.choice(colours)) for shape in copies])

    def find(things, grid):
        counts = Counter(map(form, things))
        return only(things, lambda t: counts[form(t)] == 1)

    return scene, choosing(rng, colours, find)


@family("The output is the shape that most of the objects have, in the colour of the answers.")
def commonest_shape(rng):
    answer, *colours = pick_colours(rng, int(rng.integers(2, 7)))
    answer = answer if rng.random() < 0.7 else colours[0]

    def scene(rng):
        common, *others = different_blobs(rng, 3)
        copies = [common] * int(rng.integers(2, 4)) + others
        return arranged(rng, [painted(shape, rng.choice(colours)) for shape in copies])

    def rule(grid):
        things = objects(grid)
        counts = Counter(map(form, things))
        most = [thing for thing in things if counts[form(thing)] == max(counts.values())]
        return painted(most[0].cells, answer) if len(set(map(form, most))) == 1 < len(most) else None

    return scene, rule


@family("The only object of its colour is cropped, kept, removed, recoloured or framed; other colours have several objects.")
def odd_colour_out(rng):
    colours = pick_colours(rng, int(rng.integers(3, 7)))
    kinds = int(rng.integers(1, 3))

    def scene(rng):
        odd, *others = rng.permutation(colours)[: 1 + kinds]
        shown = [odd] + [colour for colour in others for _ in range(rng.integers(2, 4))]
        return arranged(rng, [painted(blob(rng, rng.integers(2, 6), 3, 3), colour) for colour in shown])

    def find(things, grid):
        counts = Counter(thing.colour for thing in things)
        return only(things, lambda t: counts[t.colour] == 1)

    return scene, choosing(rng, colours, find)


@family("The object with the most holes (in some tasks the fewest) is cropped, kept, removed, recoloured or framed.")
def most_or_fewest_holes(rng):
    colours = pick_colours(rng, int(rng.integers(1, 5)))
    most = bool(rng.random() < 0.7)

    def scene(rng):
        sprites = []
        for holes in rng.permutation(4)[:3]:
            tall, wide = [(3, 3), (3, 5), (5, 3), (4, 5), (5, 5), (3, 7)][rng.integers((0, 0, 1, 4)[holes], (4, 4, 6, 6)[holes])]
            shape, places = np.ones((tall, wide), bool), [(r, c) for r in range(1, tall - 1, 2) for c in range(1, wide - 1, 2)]
            for number in rng.permutation(len(places))[:holes]:
                shape[places[number]] = False
            sprites.append(painted(shape, rng.choice(colours)))
        return arranged(rng, sprites, 9, 10)

    def find(things, grid):
        return extreme(things, lambda t: ndimage.label(np.pad(~t.cells, 1, constant_values=True))[1], most)

    return scene, choosing(rng, colours, find)


@family("The only object that is (or is not) left-right symmetric is cropped, kept, removed, recoloured or framed.")
def only_mirrored(rng):
    colours = pick_colours(rng, int(rng.integers(1, 6)))
    symmetric = bool(rng.random() < 0.65)

    def mirrored(cells):
        return np.array_equal(cells, cells[:, ::-1])

    def scene(rng):
        shapes = []
        for number in range(rng.integers(3, 5)):
            shape = blob(rng, rng.integers(3, 7), 3, 3)
            if (number == 0) == symmetric:
                half = shape[:, :2]
                shape = np.hstack([half, half[:, -2::-1] if half[:, -1].all() else half[:, ::-1]])
            while mirrored(shape) and (number == 0) != symmetric:
                shape = blob(rng, rng.integers(3, 7), 3, 3)
            shapes.append(shape)
        return arranged(rng, [painted(shape, rng.choice(colours)) for shape in shapes])

    return scene, choosing(rng, colours, lambda things, grid: only(things, lambda t: mirrored(t.cells) == symmetric))


@family("The only object at the edge of the grid (or the only one away from it) is cropped, kept, removed, recoloured or framed.")
def at_the_edge(rng):
    colours = pick_colours(rng, int(rng.integers(1, 6)))
    edge = bool(rng.random() < 0.6)

    def scene(rng):
        grid = blank(*canvas(rng, 7, 10))
        shapes = [painted(blob(rng, rng.integers(2, 7), 3, 3), rng.choice(colours)) for _ in range(rng.integers(3, 5))]
        for number, sprite in enumerate(shapes):
            if (number == 0) == edge:
                place(rng, np.rot90(grid, rng.integers(4))[: sprite.shape[0]], sprite)
        for number, sprite in enumerate(shapes):
            if (number == 0) != edge:
                place(rng, grid, sprite, margin=1)
        return grid

    def find(things, grid):
        return only(things, lambda t: bool((t.mask(grid) & box_outline(*grid.shape)).any()) == edge)

    return scene, choosing(rng, colours, find)


@family("The widest object (or the narrowest), however many cells it has, is cropped, kept, removed, recoloured or framed.")
def widest_or_narrowest(rng):
    colours = pick_colours(rng, int(rng.integers(1, 6)))
    widest = bool(rng.random() < 0.6)

    def scene(rng):
        sprites = []
        for number, width in enumerate(sorted(rng.permutation(np.arange(1, 6))[:3], reverse=widest)):
            height = rng.integers(1, 3) if (number == 0) == widest else rng.integers(3, 6)  # the widest is low, others are high
            sprite = np.full((height, width), rng.choice(colours), np.uint8)
            sprite[rng.choice([0, -1]), rng.choice([0, -1])] *= rng.integers(2) if min(sprite.shape) > 1 else 1
            sprites.append(sprite)
        return arranged(rng, sprites, 8, 10)

    def find(things, grid):
        thing = extreme(things, lambda t: t.width, widest)
        return None if thing is extreme(things, lambda t: t.size, widest) else thing

    return scene, choosing(rng, colours, find)


@family("The object that has one cell in the marker colour is cropped, kept, removed, recoloured or framed.")
def marked_object(rng):
    marker, decoy, *colours = pick_colours(rng, int(rng.integers(3, 7)))
    decoys, loose = rng.random() < 0.7, int(rng.random() < 0.4)

    def scene(rng):
        sprites = []
        for dot in [marker, decoy if decoys else 0, 0]:
            sprite = painted(blob(rng, rng.integers(3, 8), 3, 3), rng.choice(colours))
            if dot:
                cells = np.argwhere(sprite)
                sprite[tuple(cells[rng.integers(len(cells))])] = dot
            sprites.append(sprite)
        return arranged(rng, sprites + [np.full((1, 1), marker, np.uint8)] * loose)

    def find(things, grid):
        return only(things, lambda t: t.size > 1 and (t.colours == marker).any())

    return scene, choosing(rng, (marker, decoy, *colours), find, by_colour=False)


@family("The object with the most colours (in some tasks the fewest) is cropped, kept, removed, recoloured or framed.")
def most_colours(rng):
    colours = pick_colours(rng, int(rng.integers(4, 7)))
    most = bool(rng.random() < 0.7)

    def scene(rng):
        sprites = []
        for number in rng.permutation(np.arange(1, 5))[:3]:
            shape, palette = blob(rng, rng.integers(4, 9), 3, 3), rng.permutation(colours)[:number]
            sprite = painted(shape, 1)
            sprite[shape] = rng.permutation(np.resize(palette, shape.sum()))
            sprites.append(sprite)
        return arranged(rng, sprites)

    def find(things, grid):
        return extreme(things, lambda t: len(np.unique(t.colours[t.cells])), most)

    return scene, choosing(rng, colours, find, by_colour=False)


@family("The object nearest to the mark (or farthest from it) is cropped, kept, removed, recoloured or framed.")
def nearest_to_mark(rng):
    mark, *colours = pick_colours(rng, int(rng.integers(2, 6)))
    nearest = bool(rng.random() < 0.65)

    def scene(rng):
        shapes = [painted(blob(rng, rng.integers(2, 6), 3, 3), rng.choice(colours)) for _ in range(rng.integers(2, 4))]
        return arranged(rng, [*shapes, np.full((1, 1), mark, np.uint8)])

    def find(things, grid):
        row, column = np.argwhere(grid == mark)[0]
        others = [thing for thing in things if thing.colour != mark]
        steps = [min(abs(r - row) + abs(c - column) for r, c in thing.places) for thing in others]
        first, second = np.argsort(steps if nearest else np.negative(steps))[:2]
        return others[first] if abs(steps[first] - steps[second]) > 1 else None

    return scene, choosing(rng, (mark, *colours), find)


@family("The only full rectangle (or the only object that is none) is cropped, kept, removed, recoloured or framed.")
def only_rectangle(rng):
    colours = pick_colours(rng, int(rng.integers(1, 6)))
    full = bool(rng.random() < 0.6)

    def scene(rng):
        shapes = []
        for number in range(rng.integers(3, 5)):
            rectangle = np.ones(rng.integers(2, 4, 2), bool)
            shapes.append(rectangle if (number == 0) == full else blob(rng, rng.integers(3, 8), 3, 3))
        return arranged(rng, [painted(shape, rng.choice(colours)) for shape in shapes])

    return scene, choosing(rng, colours, lambda things, grid: only(things, lambda t: t.cells.all() == full))


@family("The object of the same shape as the key, in some tasks a turned one, is cropped, kept, removed, recoloured or framed.")
def twin_of_key(rng):
    key, *colours = pick_colours(rng, int(rng.integers(2, 6)))
    turned = bool(rng.random() < 0.4)

    def scene(rng):
        same, *others = different_blobs(rng, int(rng.integers(3, 5)), 4)
        shapes = [np.rot90(same, rng.integers(4)) if turned else same, *others]
        return arranged(rng, [painted(same, key)] + [painted(shape, rng.choice(colours)) for shape in shapes])

    def find(things, grid):
        example = next(thing for thing in things if thing.colour == key)
        return only(things, lambda t: t.colour != key and form(t, turned) == form(example, turned))

    return scene, choosing(rng, (key, *colours), find)


@family("Objects of a shape that comes twice are removed or recoloured, or those of a shape of their own, or both.")
def twins_and_singles(rng):
    first, second, *colours = pick_colours(rng, int(rng.integers(3, 7)))
    twins, singles = [(None, 0), (0, None), (first, None), (None, first), (first, second)][rng.integers(5)]

    def scene(rng):
        same, *others = different_blobs(rng, int(rng.integers(2, 5)), 2, 5)
        return arranged(rng, [painted(shape, rng.choice(colours)) for shape in (same, same, *others)])

    def rule(grid):
        treated, things = grid.copy(), objects(grid)
        counts = Counter(map(form, things))
        for thing in things:
            colour = singles if counts[form(thing)] == 1 else twins
            if colour is not None:
                treated[thing.mask(grid)] = colour
        return treated if 1 in counts.values() and max(counts.values()) > 1 else None

    return scene, rule


@family("The output is what the frame of one colour holds (in some tasks with the frame); frames of other colours are ignored.")
def frame_contents(rng):
    frame, *others = pick_colours(rng, int(rng.integers(2, 5)))
    inside = pick_colours(rng, int(rng.integers(1, 4)), (0, frame, *others))
    with_frame = bool(rng.random() < 0.3)

    def scene(rng):
        grid = blank(*canvas(rng, 8, 11))
        for colour in [frame, *rng.choice(others, 2)]:
            outline = painted(box_outline(*rng.integers(4, 6, 2)), colour)
            outline[1:-1, 1:-1] = noise(rng, outline.shape[0] - 2, outline.shape[1] - 2, inside)
            place(rng, grid, outline)
        return grid if np.isin(grid, others).any() else None

    def rule(grid):
        rows, columns = np.nonzero(grid == frame)
        held = grid[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        return held if with_frame else held[1:-1, 1:-1]

    return scene, rule


@family("All panels between the lines are equal but one: the output is that panel.")
def panel_unlike_others(rng):
    line, *colours = pick_colours(rng, int(rng.integers(2, 5)))
    down, across = [(1, 3), (1, 4), (2, 2), (3, 2)][rng.integers(4)]
    height, width = (int(v) for v in rng.integers(2, 4, 2))
    changes = int(rng.integers(1, 5))

    def scene(rng):
        usual = noise(rng, height, width, colours, 0.6)
        odd = usual.copy()
        for _ in range(changes):
            odd[rng.integers(height), rng.integers(width)] = rng.choice([0, *colours])
        panels = [usual] * (down * across)
        panels[rng.integers(len(panels))] = odd
        grid = blank(down * (height + 1) - 1, across * (width + 1) - 1, line)
        for number, panel in enumerate(panels):
            row, column = number // across * (height + 1), number % across * (width + 1)
            grid[row : row + height, column : column + width] = panel
        return grid

    def rule(grid):
        rows, columns = range(0, len(grid), height + 1), range(0, len(grid[0]), width + 1)
        panels = [grid[r : r + height, c : c + width] for r in rows for c in columns]
        counts = Counter(panel.tobytes() for panel in panels)
        return only(panels, lambda p: counts[p.tobytes()] == 1)

    return scene, rule


@family("The first object that the arrow's tip points at is cropped, kept, removed, recoloured or framed.")
def pointed_at(rng):
    shaft, tip, *colours = pick_colours(rng, int(rng.integers(3, 7)))
    arrow = np.array([[shaft] * int(rng.integers(1, 3)) + [tip]], np.uint8)

    def scene(rng):
        grid = blank(*canvas(rng, 7, 10))
        first, *others = [painted(blob(rng, rng.integers(3, 8), 3, 3), rng.choice(colours)) for _ in range(rng.integers(3, 5))]
        row = int(rng.integers(len(grid)))
        draw(grid, arrow, row, 0)
        draw(grid, first, row - int(rng.integers(len(first))), int(rng.integers(arrow.size + 1, grid.shape[1] - 1)))
        for sprite in others:
            place(rng, grid, sprite)
        return np.rot90(grid, rng.integers(4))

    def find(things, grid):
        cell = tuple(np.argwhere(grid == tip)[0])
        for step in STRAIGHT:
            behind = ahead(grid, cell, (-step[0], -step[1]))
            if behind and grid[behind[0]] == shaft:
                aim = next((c for c in ahead(grid, cell, step) if grid[c]), None)
                return only(things, lambda t, aim=aim: aim in t.places)

    return scene, choosing(rng, (shaft, tip, *colours), find)
