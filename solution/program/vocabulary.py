"""What an operation of the program search is: a typed, pure function on images, with the constants that it can be given.

In:  functions of this room's operation files. Out: `Operation`s, and for one task the `Step`s that its colours allow.
Not here: what the operations do (`operations` lists their modules), how programs are searched (`search`).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import product

import numpy as np

from ..arc.task import MAX_SIDE

Type = Enum("Type", "IMAGE LIST")
"""IMAGE: an `Image`. LIST: a tuple of at least one `Image`, in reading order of their places."""

IMAGE, LIST = Type

DIRECTIONS = {"down": (1, 0), "left": (0, -1), "up": (-1, 0), "right": (0, 1)}
"""Rows and columns that a step in each direction goes on."""


class Image:
    """A piece of a picture and its place.

    `cells`: uint8 (height, width), 1 to 30 each, colour 0 is empty; never written to. `y`, `x`: the place of its first cell in
    the picture that it was cut from; an operation that changes the size keeps the place of what it keeps, if anything.
    Equal only to itself, so that facts about an image can be remembered by it. Nothing of it is changed; it is no frozen
    dataclass because those take three times as long to make.
    """

    __slots__ = ("cells", "y", "x")

    def __init__(self, cells: np.ndarray, y: int = 0, x: int = 0):
        self.cells, self.y, self.x = cells, y, x

    def __repr__(self) -> str:
        return f"Image({self.cells!r}, {self.y}, {self.x})"

    @property
    def key(self) -> tuple:
        """Equal for two images exactly when cells and places are."""
        return self.y, self.x, self.cells.shape, self.cells.tobytes()

    def with_cells(self, cells: np.ndarray) -> "Image | None":
        """The same place with other cells; None where they are not 1 to 30 each way."""
        height, width = cells.shape
        if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
            return None
        return Image(np.ascontiguousarray(cells, np.uint8), self.y, self.x)

    def part(self, top: int, left: int, height: int, width: int) -> "Image":
        """The rectangle of these cells, with its place."""
        cells = np.ascontiguousarray(self.cells[top : top + height, left : left + width])
        return Image(cells, self.y + top, self.x + left)


COSTS = {(IMAGE, IMAGE): 1.0, (IMAGE, LIST): 0.4, (LIST, IMAGE): 0.6, (LIST, LIST): 0.6}
"""Description lengths by type. Cutting an image into a list and coming back is as much as one operation, so that both together
are tried as early as operations from image to image."""


@dataclass(frozen=True, eq=False)
class Operation:
    """`function` takes a value of type `takes`, then a constant of each of `constants`, and gives one of type `gives`, or None
    where it does not apply. `cost`: description length in operations. `meaning`: one line."""

    name: str
    takes: Type
    gives: Type
    constants: tuple[str, ...]
    cost: float
    meaning: str
    function: Callable


@dataclass(frozen=True, eq=False)
class Step:
    """An operation with its constants."""

    operation: Operation
    constants: tuple

    def __call__(self, value):
        """The result of the operation on one value, or None."""
        return self.operation.function(value, *self.constants)

    def __str__(self) -> str:
        return f"{self.operation.name}({', '.join(map(str, self.constants))})" if self.constants else self.operation.name


def operation(takes: Type, *constants: str, gives: Type, meaning: str):
    """Mark a function as an operation of its name. `constants`: kinds of `constant_values`."""
    return lambda function: Operation(function.__name__, takes, gives, constants, COSTS[takes, gives], meaning, function)


def operations_of(*modules) -> tuple[Operation, ...]:
    """The operations of modules, in their order of definition."""
    return tuple(v for module in modules for v in vars(module).values() if isinstance(v, Operation))


def constant_values(kind: str, colours: Iterable[int]) -> tuple:
    """The values that a constant can have in a task whose grids show `colours` (0 left out)."""
    return {
        "colour": tuple(sorted(colours)),
        "direction": tuple(DIRECTIONS),
        "symmetry": tuple(range(1, 8)),
        "axis": ("rows", "columns"),
        "factor": (2, 3),
    }[kind]


def steps(operations: Iterable[Operation], colours: Iterable[int]) -> Iterator[Step]:
    """Every operation with every choice of its constants."""
    for op in operations:
        for constants in product(*(constant_values(kind, colours) for kind in op.constants)):
            yield Step(op, constants)
