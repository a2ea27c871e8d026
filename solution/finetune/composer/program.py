"""Programs over the typed vocabulary: trees of operations, drawn at random, that turn a grid into a grid.

In:  a random generator. Out: a `Program`, readable as `str(program)`, a function of a grid as `program(grid)`.
A leaf is the input grid or a constant; a program has one to four operations.
Not here: what the operations do (`operations`, `cell_operations`, `object_operations`), which tasks are good (`compose`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from ...arc.view import SYMMETRIES
from . import cell_operations, object_operations, operations
from .cell_operations import COMBINE
from .object_operations import ASPECTS, MEASURES, TRAITS
from .operations import TOWARDS, Operation, Type, operations_of

OPERATIONS = operations_of(operations, cell_operations, object_operations)

CONSTANTS = {
    Type.COLOUR: tuple(range(1, 10)),
    Type.FACTOR: (2, 3),
    Type.STEPS: (1, 2, 3),
    Type.DIRECTION: tuple(TOWARDS),
    Type.SYMMETRY: SYMMETRIES[1:],
    Type.MIRROR: ("flip_lr", "flip_ud", "rot180"),
    Type.MEASURE: tuple(MEASURES),
    Type.TRAIT: tuple(TRAITS),
    Type.ASPECT: tuple(ASPECTS),
    Type.LOGIC: tuple(COMBINE),
}
"""The values that a constant of each type can have in a program."""

SIZES = {1: 0.25, 2: 0.35, 3: 0.25, 4: 0.15}
"""Number of operations of a drawn program, with its probability."""

MAX_GRID_STEPS = 2
"""Most operations of a drawn program that give a grid: longer chains of them can hardly be read off their outputs."""


@dataclass(frozen=True)
class Input:
    """The input grid, as a leaf."""

    type = Type.GRID
    size = 0

    def __str__(self) -> str:
        return "input"


@dataclass(frozen=True)
class Constant:
    """A value fixed when the program is drawn."""

    type: Type
    value: int | str
    size = 0

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True)
class Program:
    """An operation on its arguments. `size`: operations in the tree."""

    operation: Operation
    arguments: tuple["Tree", ...]
    size: int = field(init=False, compare=False)
    _hash: int = field(init=False, compare=False, repr=False)

    def __post_init__(self):
        object.__setattr__(self, "size", 1 + sum(a.size for a in self.arguments))
        object.__setattr__(self, "_hash", hash((self.operation, self.arguments)))

    def __hash__(self) -> int:
        return self._hash

    @property
    def type(self) -> Type:
        return self.operation.gives

    def __str__(self) -> str:
        return f"{self.operation.name}({', '.join(map(str, self.arguments))})"

    def __call__(self, grid: np.ndarray):
        """What the program makes of a grid; None where an operation does not apply."""
        return value(self, grid, {})

    def parts(self) -> "Iterator[Tree]":
        """The program and everything in it, outer parts first."""
        yield self
        for argument in self.arguments:
            yield from argument.parts() if isinstance(argument, Program) else (argument,)


Tree = Input | Constant | Program


def value(tree: Tree, grid: np.ndarray, known: dict):
    """What `tree` makes of `grid`; `known` keeps the values of programs on this grid, for the next call."""
    if isinstance(tree, Input):
        return grid
    if isinstance(tree, Constant):
        return tree.value
    if tree not in known:
        arguments = []
        for argument in tree.arguments:
            arguments.append(value(argument, grid, known))
            if arguments[-1] is None:
                break
        known[tree] = None if arguments[-1] is None else tree.operation(*arguments)
    return known[tree]


SERVE = {Type.OBJECTS: (Type.SOME, Type.OBJECT), Type.SOME: (Type.OBJECT,), Type.FACTOR: (Type.NUMBER,)}
"""The other types whose values can stand where a type is asked for."""


def serves(given: Type, wanted: Type) -> bool:
    """Whether a value of type `given` can stand where `wanted` is asked for."""
    return given is wanted or given in SERVE.get(wanted, ())


@cache
def splits(takes: tuple[Type, ...], size: int) -> tuple[tuple[int, ...], ...]:
    """The ways to share `size` operations among arguments of these types."""
    if not takes:
        return ((),) if size == 0 else ()
    leaf = takes[0] in CONSTANTS or takes[0] in (Type.INPUT, Type.GRID)
    own = [n for n in range(size + 1) if (leaf if n == 0 else heads(takes[0], n))]
    return tuple((n, *rest) for n in own for rest in splits(takes[1:], size - n))


@cache
def heads(wanted: Type, size: int) -> tuple[Operation, ...]:
    """The operations that can head a tree of this type and number of operations."""
    return tuple(o for o in OPERATIONS if size > 0 and serves(o.gives, wanted) and splits(o.takes, size - 1))


@cache
def ways(wanted: Type, size: int, around: Operation) -> tuple[tuple[Operation, tuple[int, ...], int], ...]:
    """How to build such a tree with `around` below its head: head, sizes of the arguments, argument that holds `around`."""
    return tuple(
        (head, sizes, index)
        for head in heads(wanted, size)
        for sizes in splits(head.takes, size - 1)
        for index, (inner, n) in enumerate(zip(head.takes, sizes))
        if around in heads(inner, n) or ways(inner, n, around)
    )


def draw(rng: np.random.Generator, wanted: Type, size: int, colours, around: Operation | None = None) -> Tree:
    """A random tree of this type with `size` operations, one of them `around` (which must be possible)."""
    if size == 0 and wanted in (Type.INPUT, Type.GRID):
        return Input()
    if size == 0:
        values = colours if wanted is Type.COLOUR else CONSTANTS[wanted]
        return Constant(wanted, values[rng.integers(len(values))])
    below = ways(wanted, size, around) if around else ()
    if below and (around not in heads(wanted, size) or rng.random() < 0.5):
        head, sizes, holder = below[rng.integers(len(below))]
    else:
        choices = heads(wanted, size)
        head, holder = around or choices[rng.integers(len(choices))], None
        shares = splits(head.takes, size - 1)
        sizes = shares[rng.integers(len(shares))]
    arguments = (draw(rng, t, n, colours, around if i == holder else None) for i, (t, n) in enumerate(zip(head.takes, sizes)))
    return Program(head, tuple(arguments))


def is_plain(program: Program, around: Operation) -> bool:
    """Whether a drawn program is worth showing.

    At most `MAX_GRID_STEPS` operations give a grid; none has two equal arguments or works on a grid that shows a number; a
    colour is computed only by `around` or for it.
    """
    inner = [p for p in program.parts() if isinstance(p, Program)]
    if sum(p.type is Type.GRID for p in inner) > MAX_GRID_STEPS or any(len({*p.arguments}) < len(p.arguments) for p in inner):
        return False
    if any(p.type is Type.GRID and Type.NUMBER in p.operation.takes for p in inner[1:]):
        return False
    return all(any(q.operation is around for q in p.parts() if isinstance(q, Program)) for p in inner if p.type is Type.COLOUR)


@cache
def sizes_around(around: Operation) -> tuple[list[int], np.ndarray]:
    """The sizes that a program with the operation `around` can have, and their summed probabilities."""
    sizes = [n for n in SIZES if around in heads(Type.GRID, n) or ways(Type.GRID, n, around)]
    shares = np.cumsum([SIZES[n] for n in sizes])
    return sizes, shares / shares[-1]


def sample_program(rng: np.random.Generator, colours=CONSTANTS[Type.COLOUR], around: Operation | None = None) -> Program:
    """A random plain program from grid to grid, of a size after `SIZES`; its constant colours are among `colours`.

    It has the operation `around`; where that is not given, any operation is equally likely to be it.
    """
    around = around or OPERATIONS[rng.integers(len(OPERATIONS))]
    sizes, shares = sizes_around(around)
    while True:
        size = sizes[int(np.searchsorted(shares, rng.random(), "right"))]
        program = draw(rng, Type.GRID, size, colours, around)
        if is_plain(program, around):
            return program


def with_argument(program: Program, index: int, argument: Tree) -> Program:
    """The program with one argument of its head replaced."""
    return Program(program.operation, (*program.arguments[:index], argument, *program.arguments[index + 1 :]))


def shortened(program: Program, wanted: Type = Type.GRID) -> Iterator[Input | Program]:
    """Every shorter program: where a value is asked for, one of its own parts that can stand there takes its place."""
    for part in program.parts():
        if part is not program and not isinstance(part, Constant) and serves(part.type, wanted):
            yield part
    for index, (argument, taken) in enumerate(zip(program.arguments, program.operation.takes)):
        if isinstance(argument, Program):
            yield from (with_argument(program, index, shorter) for shorter in shortened(argument, taken))


def varied(program: Program) -> Iterator[Program]:
    """The program with one of its constants changed, in every way."""
    for index, argument in enumerate(program.arguments):
        if isinstance(argument, Program):
            others = varied(argument)
        elif isinstance(argument, Constant):
            others = (Constant(argument.type, v) for v in CONSTANTS[argument.type] if v != argument.value)
        else:
            continue
        yield from (with_argument(program, index, other) for other in others)


@cache
def single_operations(colours: tuple[int, ...]) -> tuple[Program, ...]:
    """Every program of one operation on the input, with constant colours among `colours`."""

    def leaves(wanted: Type) -> list[Input | Constant]:
        if wanted in (Type.INPUT, Type.GRID):
            return [Input()]
        return [Constant(wanted, v) for v in (colours if wanted is Type.COLOUR else CONSTANTS.get(wanted, ()))]

    programs = []
    for operation in OPERATIONS:
        if operation.gives is Type.GRID:
            arguments = [()]
            for wanted in operation.takes:
                arguments = [(*given, leaf) for given in arguments for leaf in leaves(wanted)]
            programs += [Program(operation, given) for given in arguments]
    return tuple(programs)
