"""A small typed vocabulary of pure grid operations: what an operation is, and those on the form and the colours of a grid.

In:  values of the types of `Type`. Out: a new value; the arguments are never changed. An operation gives None where it does
not apply: where its meaning would be unclear, a result would leave ARC's limits, or nothing would change.
Colour 0 is the empty background; every other cell is called coloured.
Not here: cells and their surroundings (`cell_operations`), objects (`object_operations`), drawing programs (`program`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np

from ...arc.task import MAX_SIDE
from ...arc.view import SYMMETRIES, apply_symmetry
from ..generators import scenes
from ..generators.scenes import Object

Type = Enum(
    "Type",
    "INPUT GRID MASK OBJECTS SOME OBJECT COLOUR NUMBER FACTOR STEPS DIRECTION SYMMETRY MIRROR MEASURE TRAIT ASPECT LOGIC",
)
"""INPUT: the input grid itself. GRID: uint8 (height, width). MASK: bool (height, width). OBJECTS: `Objects`. SOME: `Objects`
chosen out of others. OBJECT: one such object, as `Objects`. COLOUR: 1-9. NUMBER: counted in a grid, from 1. FACTOR: a NUMBER
or the constants 2 and 3. STEPS: the constants 1-3. The others are names, always constants of a program."""

(INPUT, GRID, MASK, OBJECTS, SOME, OBJECT, COLOUR, NUMBER, FACTOR, STEPS, DIRECTION, SYMMETRY, MIRROR, MEASURE, TRAIT, ASPECT,
 LOGIC) = Type  # fmt: skip


@dataclass(frozen=True, eq=False)
class Objects:
    """Some objects (at least one) of a grid, and the grid."""

    grid: np.ndarray
    members: tuple[Object, ...]


@dataclass(frozen=True, eq=False)
class Operation:
    """`meaning` in one line; `function` takes values of the types `takes` and gives one of type `gives`, or None."""

    name: str
    takes: tuple[Type, ...]
    gives: Type
    meaning: str
    function: Callable

    def __call__(self, *arguments):
        """The result; None where the operation does not apply: also where its result is an empty grid or mask, or equals an
        argument."""
        result = self.function(*arguments)
        if isinstance(result, np.ndarray):
            if not result.any():
                return None
            for argument in arguments:
                if isinstance(argument, np.ndarray) and argument.shape == result.shape and (argument == result).all():
                    return None
        return result


def operation(*takes: Type, gives: Type, meaning: str):
    """Mark a function as an operation of its name."""
    return lambda function: Operation(function.__name__, takes, gives, meaning, function)


def operations_of(*modules) -> tuple[Operation, ...]:
    """The operations of modules, in their order of definition."""
    return tuple(v for module in modules for v in vars(module).values() if isinstance(v, Operation))


TOWARDS = {"down": (1, 0), "left": (0, -1), "up": (-1, 0), "right": (0, 1)}
"""Rows and columns that a step in each direction goes on."""


def axis_of(direction: str) -> int:
    return 0 if TOWARDS[direction][0] else 1


def downwards(grid: np.ndarray, direction: str, action) -> np.ndarray:
    """`action`, made for the direction down, in another direction."""
    if direction == "down":
        return action(grid)
    if direction == "up":
        return action(grid[::-1])[::-1]
    return action(grid.T).T if direction == "right" else action(grid[:, ::-1].T).T[:, ::-1]


def limited(grid: np.ndarray) -> np.ndarray | None:
    return grid if max(grid.shape) <= MAX_SIDE else None


# Form and size


@operation(GRID, SYMMETRY, gives=GRID, meaning="The grid turned or mirrored.")
def turn(grid, symmetry):
    return apply_symmetry(grid, SYMMETRIES.index(symmetry))


@operation(GRID, gives=GRID, meaning="The smallest part of the grid that holds every coloured cell, at most two thirds of it.")
def crop(grid):
    part = scenes.crop(grid)
    return part if 3 * part.size <= 2 * grid.size else None


@operation(GRID, DIRECTION, gives=GRID, meaning="The half on one side; the middle line of an odd number belongs to neither.")
def half(grid, direction):
    size = grid.shape[axis_of(direction)]
    if size < 3:
        return None
    return downwards(grid, direction, lambda g: g[-(size // 2) :])


@operation(GRID, FACTOR, gives=GRID, meaning="The grid repeated n times in both directions.")
def tile(grid, number):
    return np.tile(grid, (number, number)) if number * max(grid.shape) <= MAX_SIDE else None


@operation(GRID, GRID, DIRECTION, gives=GRID, meaning="The second grid joined to one side of the first.")
def join(grid, other, direction):
    axis = axis_of(direction)
    if grid.shape[1 - axis] != other.shape[1 - axis]:
        return None
    return limited(np.concatenate((grid, other) if direction in ("down", "right") else (other, grid), axis))


@operation(GRID, DIRECTION, gives=GRID, meaning="The mirror image joined to one side of the grid.")
def mirror_join(grid, direction):
    return limited(downwards(grid, direction, lambda g: np.concatenate((g, g[::-1]))))


@operation(GRID, gives=GRID, meaning="The grid with its mirror images on the right, below and across.")
def mirror_four(grid):
    top = np.concatenate((grid, grid[:, ::-1]), 1)
    return limited(np.concatenate((top, top[::-1])))


@operation(GRID, FACTOR, gives=GRID, meaning="Every cell becomes n x n cells.")
def scale(grid, number):
    return grid.repeat(number, 0).repeat(number, 1) if number * max(grid.shape) <= MAX_SIDE else None


@operation(GRID, COLOUR, gives=GRID, meaning="A border of one colour added around the grid.")
def border(grid, colour):
    framed = np.full((grid.shape[0] + 2, grid.shape[1] + 2), colour, np.uint8)
    framed[1:-1, 1:-1] = grid
    return limited(framed)


@operation(GRID, STEPS, gives=GRID, meaning="n lines of cells taken off every side.")
def trim(grid, number):
    return grid[number:-number, number:-number] if min(grid.shape) > 2 * number + 1 else None


@operation(
    GRID, DIRECTION, STEPS, gives=GRID, meaning="Everything shifted by n cells; what leaves on one side enters on the other."
)
def roll(grid, direction, number):
    if number >= min(grid.shape):
        return None
    return downwards(grid, direction, lambda g: np.concatenate((g[-number:], g[:-number])))


@operation(GRID, gives=GRID, meaning="Of equal neighbouring rows and of equal neighbouring columns one remains.")
def drop_repeats(grid):
    grid = grid[np.append(True, (grid[1:] != grid[:-1]).any(1))]
    return grid[:, np.append(True, (grid[:, 1:] != grid[:, :-1]).any(0))]


@operation(GRID, gives=GRID, meaning="Rows and columns without a coloured cell are left out.")
def drop_empty_lines(grid):
    return grid[grid.any(1)][:, grid.any(0)] if grid.any() else None


@operation(GRID, gives=GRID, meaning="Rows in order of their number of coloured cells, the fewest at the top.")
def sort_rows(grid):
    counts = np.count_nonzero(grid, 1)
    return grid[np.argsort(counts, kind="stable")]


@operation(GRID, MIRROR, gives=GRID, meaning="Empty cells are filled from the mirror image, which elsewhere is like the grid.")
def complete(grid, mirror):
    image = apply_symmetry(grid, SYMMETRIES.index(mirror))
    return None if ((grid != image) & (grid != 0) & (image != 0)).any() else np.maximum(grid, image)


# Colours


@operation(INPUT, gives=COLOUR, meaning="The most frequent colour, if there is just one.")
def most_common(grid):
    counts = np.bincount(grid.ravel(), minlength=10)[1:]
    return int(counts.argmax()) + 1 if (counts == counts.max()).sum() == 1 else None


@operation(INPUT, gives=COLOUR, meaning="The least frequent of the colours that occur, if there is just one.")
def least_common(grid):
    counts = np.bincount(grid.ravel(), minlength=10)[1:]
    counts[counts == 0] = grid.size + 1
    least = counts == counts.min()
    return int(counts.argmin()) + 1 if least.sum() == 1 else None


@operation(INPUT, gives=NUMBER, meaning="How many colours occur.")
def number_of_colours(grid):
    return len({*grid.ravel().tolist()} - {0}) or None


@operation(GRID, COLOUR, gives=GRID, meaning="Every coloured cell takes one colour.")
def recolour_all(grid, colour):
    return np.where(grid != 0, np.uint8(colour), grid)


@operation(GRID, COLOUR, gives=GRID, meaning="All colours but one are removed.")
def keep_colour(grid, colour):
    return np.where(grid == colour, grid, np.uint8(0)) if (grid == colour).any() else None


@operation(GRID, COLOUR, gives=GRID, meaning="One colour is removed.")
def drop_colour(grid, colour):
    return np.where(grid == colour, np.uint8(0), grid)


@operation(GRID, COLOUR, COLOUR, gives=GRID, meaning="Two colours that both occur change places.")
def swap_colours(grid, colour, other):
    first, second = grid == colour, grid == other
    if not (first.any() and second.any()):
        return None
    return np.where(first, np.uint8(other), np.where(second, np.uint8(colour), grid))


@operation(GRID, COLOUR, COLOUR, gives=GRID, meaning="One colour becomes another.")
def replace_colour(grid, colour, other):
    return np.where(grid == colour, np.uint8(other), grid)


@operation(GRID, COLOUR, gives=GRID, meaning="Every empty cell takes one colour.")
def fill_empty(grid, colour):
    return np.where(grid == 0, np.uint8(colour), grid)


@operation(GRID, gives=GRID, meaning="Empty and coloured cells change places, in a grid of one colour.")
def invert(grid):
    colours = np.flatnonzero(np.bincount(grid.ravel()))
    return colours[-1].astype(np.uint8) - grid if len(colours) == 2 and colours[0] == 0 else None
