"""Operations on objects: finding, choosing, counting, cutting out, recolouring and moving them. See `operations`.

In:  values of the types of `operations.Type`. Out: a new value, or None where the operation does not apply.
An object that would leave the grid or cover something else is no result but a None.
Not here: whole grids, colours, cells and masks (`operations`, `cell_operations`).
"""

from collections import Counter

import numpy as np

from ...arc.view import SYMMETRIES, apply_symmetry
from ..generators import scenes
from ..generators.scenes import Object
from .cell_operations import enclosed, from_rows, shadow
from .operations import (
    ASPECT,
    COLOUR,
    DIRECTION,
    GRID,
    INPUT,
    MASK,
    MEASURE,
    MIRROR,
    NUMBER,
    OBJECT,
    OBJECTS,
    SOME,
    STEPS,
    TOWARDS,
    TRAIT,
    Objects,
    downwards,
    operation,
)  # fmt: skip

MAX_OBJECTS = 12

MEASURES = {
    "largest": lambda o: -o.size,
    "smallest": lambda o: o.size,
    "tallest": lambda o: -o.height,
    "widest": lambda o: -o.width,
    "topmost": lambda o: o.row,
    "lowest": lambda o: -(o.row + o.height),
    "leftmost": lambda o: o.column,
    "rightmost": lambda o: -(o.column + o.width),
    "most_colours": lambda o: -len(np.unique(o.colours[o.cells])),
}
"""What the chosen object has the least of."""


def at_edge(thing: Object, grid: np.ndarray) -> bool:
    bottom, right = thing.row + thing.height, thing.column + thing.width
    return thing.row == 0 or thing.column == 0 or bottom == grid.shape[0] or right == grid.shape[1]


def has_hole(thing: Object) -> bool:
    return min(thing.cells.shape) > 2 and bool(enclosed(~thing.cells).any())


TRAITS = {
    "at_edge": at_edge,
    "off_edge": lambda o, grid: not at_edge(o, grid),
    "with_hole": lambda o, grid: has_hole(o),
    "without_hole": lambda o, grid: not has_hole(o),
    "mirror_symmetric": lambda o, grid: np.array_equal(o.colours, o.colours[:, ::-1]),
    "full_box": lambda o, grid: o.size == o.cells.size,
    "single_cell": lambda o, grid: o.size == 1,
    "several_cells": lambda o, grid: o.size > 1,
}

ASPECTS = {
    "shape": lambda o: (o.cells.shape, o.cells.tobytes()),
    "colour": lambda o: o.colour,
}


def found(grid: np.ndarray, **how) -> Objects | None:
    members = scenes.objects(grid, **how)
    return Objects(grid, tuple(members)) if 1 <= len(members) <= MAX_OBJECTS else None


# Finding and choosing


@operation(INPUT, gives=OBJECTS, meaning="Groups of cells of one colour that touch at their sides.")
def objects(grid):
    return found(grid)


@operation(INPUT, gives=OBJECTS, meaning="Groups of cells of one colour that touch at sides or corners.")
def loose_objects(grid):
    return found(grid, diagonal=True)


@operation(INPUT, gives=OBJECTS, meaning="Groups of coloured cells that touch at sides or corners, whatever their colours.")
def figures(grid):
    return found(grid, diagonal=True, by_colour=False)


@operation(OBJECTS, TRAIT, gives=SOME, meaning="Those objects that have a trait.")
def those(things, trait):
    kept = tuple(o for o in things.members if TRAITS[trait](o, things.grid))
    return Objects(things.grid, kept) if 0 < len(kept) < len(things.members) else None


@operation(OBJECTS, COLOUR, gives=SOME, meaning="Those objects whose main colour is this one.")
def of_colour(things, colour):
    kept = tuple(o for o in things.members if o.colour == colour)
    return Objects(things.grid, kept) if 0 < len(kept) < len(things.members) else None


@operation(OBJECTS, MEASURE, gives=OBJECT, meaning="The one object that is first by a measure.")
def choose(things, measure):
    values = [MEASURES[measure](o) for o in things.members]
    best = min(values)
    if len(values) < 2 or values.count(best) > 1:
        return None
    return Objects(things.grid, (things.members[values.index(best)],))


@operation(OBJECTS, ASPECT, gives=OBJECT, meaning="The one object unlike all others, which are alike, in shape or colour.")
def odd_one(things, aspect):
    values = [ASPECTS[aspect](o) for o in things.members]
    counts = Counter(values)
    if len(values) < 3 or len(counts) != 2 or min(counts.values()) > 1:
        return None
    return Objects(things.grid, (things.members[values.index(min(counts, key=counts.get))],))


# Values


@operation(OBJECTS, gives=NUMBER, meaning="How many objects there are.")
def count(things):
    return len(things.members)


@operation(OBJECT, gives=NUMBER, meaning="How many cells the object has.")
def size_of(thing):
    return thing.members[0].size


@operation(OBJECT, gives=COLOUR, meaning="The object's main colour.")
def colour_of(thing):
    return thing.members[0].colour


# Grids


@operation(OBJECT, gives=GRID, meaning="The object alone, in a grid of its own size.")
def cut_out(thing):
    return thing.members[0].colours


def without_members(things: Objects) -> np.ndarray:
    """A new grid with the members emptied."""
    grid = things.grid.copy()
    for thing in things.members:
        window(grid, thing)[thing.cells] = 0
    return grid


def window(grid: np.ndarray, thing: Object) -> np.ndarray:
    """The part of `grid` in the object's box, as a numpy view."""
    return grid[thing.row : thing.row + thing.height, thing.column : thing.column + thing.width]


def stamp(grid: np.ndarray, colours: np.ndarray, row: int, column: int) -> bool:
    """Draw the non-zero cells of `colours` into `grid`; False where they leave it or meet a coloured cell."""
    height, width = colours.shape
    if row < 0 or column < 0 or row + height > grid.shape[0] or column + width > grid.shape[1]:
        return False
    place = grid[row : row + height, column : column + width]
    if place[colours != 0].any():
        return False
    place |= colours
    return True


@operation(SOME, gives=GRID, meaning="Only these objects, at their places.")
def only(things):
    return things.grid - without_members(things)


@operation(SOME, gives=GRID, meaning="The grid without these objects.")
def remove(things):
    return without_members(things)


@operation(SOME, COLOUR, gives=GRID, meaning="These objects take one colour.")
def recolour(things, colour):
    grid = things.grid.copy()
    for thing in things.members:
        window(grid, thing)[thing.cells] = colour
    return grid


@operation(OBJECTS, gives=MASK, meaning="The cells of the objects' boxes.")
def boxes(things):
    mask = np.zeros(things.grid.shape, bool)
    for thing in things.members:
        window(mask, thing)[:] = True
    return mask


@operation(OBJECTS, COLOUR, gives=GRID, meaning="Empty cells in the objects' boxes take one colour.")
def fill_boxes(things, colour):
    grid = things.grid.copy()
    for thing in things.members:
        box = window(grid, thing)
        box[box == 0] = colour
    return grid


@operation(OBJECTS, COLOUR, gives=GRID, meaning="Empty cells on the frame around every object's box take one colour.")
def frame(things, colour):
    height, width = things.grid.shape
    ring = np.zeros((height + 2, width + 2), bool)  # a cell wider on every side than the grid
    for thing in things.members:
        box = ring[thing.row : thing.row + thing.height + 2, thing.column : thing.column + thing.width + 2]
        box |= scenes.box_outline(*box.shape)
    return np.where(ring[1:-1, 1:-1] & (things.grid == 0), np.uint8(colour), things.grid)


@operation(OBJECTS, DIRECTION, gives=GRID, meaning="The objects slide in one direction until something stops them.")
def slide(things, direction):
    step = np.array(TOWARDS[direction])
    grid = without_members(things)
    bodies = [(np.argwhere(o.cells) + (o.row, o.column), o.colours[o.cells]) for o in things.members]  # places (cells, 2)
    for places, colours in sorted(bodies, key=lambda body: -(body[0] @ step).max()):
        if grid[tuple(places.T)].any():
            return None
        while True:
            ahead = places + step
            if ahead.min() < 0 or (ahead >= grid.shape).any() or grid[tuple(ahead.T)].any():
                break
            places = ahead
        grid[tuple(places.T)] = colours
    return grid


@operation(OBJECTS, DIRECTION, STEPS, gives=GRID, meaning="The objects move by n cells.")
def move(things, direction, number):
    down, right = TOWARDS[direction]
    grid = without_members(things)
    moved = all(stamp(grid, o.colours, o.row + number * down, o.column + number * right) for o in things.members)
    return grid if moved else None


@operation(OBJECTS, MIRROR, gives=GRID, meaning="Every object is mirrored in its own box.")
def mirror_within(things, mirror):
    grid = without_members(things)
    mirrored = (stamp(grid, apply_symmetry(o.colours, SYMMETRIES.index(mirror)), o.row, o.column) for o in things.members)
    return grid if all(mirrored) else None


@operation(OBJECTS, DIRECTION, gives=GRID, meaning="Every object gets its mirror image on one side.")
def mirror_each(things, direction):
    down, right = TOWARDS[direction]
    grid = things.grid.copy()
    for thing in things.members:
        image = thing.colours[::-1] if down else thing.colours[:, ::-1]
        if not stamp(grid, image, thing.row + down * thing.height, thing.column + right * thing.width):
            return None
    return grid


@operation(
    OBJECTS, DIRECTION, gives=GRID, meaning="Every object is repeated in one direction, a free line between, while there is room."
)
def repeat_each(things, direction):
    down, right = TOWARDS[direction]
    grid = things.grid.copy()
    for thing in things.members:
        row, column = thing.row, thing.column
        while stamp(grid, thing.colours, row := row + down * (thing.height + 1), column := column + right * (thing.width + 1)):
            pass
    return grid


@operation(SOME, DIRECTION, gives=GRID, meaning="Lines from the objects' cells in one direction, up to the next coloured cell.")
def shoot(things, direction):
    chosen = only(things)

    def draw(both):
        """`both`: the whole grid plus 10 times the chosen objects."""
        grid, source = both % 10, both // 10
        rows = shadow(grid)
        return np.where((grid == 0) & (rows >= 0), from_rows(source, rows), grid)

    return downwards(things.grid + 10 * chosen, direction, draw)


@operation(OBJECTS, gives=GRID, meaning="The objects' colours from left to right, a cell each.")
def list_colours(things):
    ordered = sorted(things.members, key=lambda o: o.column)
    if len({o.column for o in ordered}) < len(ordered) or len(ordered) < 2:
        return None
    return np.array([[o.colour for o in ordered]], np.uint8)
